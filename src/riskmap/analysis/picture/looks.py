"""How each kind of shape of an analysis looks in a picture: names, not colours, are passed around.

Danger wears level colours, help wears jade, what is only asked about is ink (the page's rules).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How polygons and lines of a class are drawn; colours are names of `riskmap.catalog.tokens`.

    Parameters
    ----------
    opacity
        Of the fill; edges are opaque.
    width
        Of the edge or line, px; 0 draws none.
    casing
        Width of a pale line beneath, px, that lifts a route off the roads.
    hatch
        The fill is lines at 45 degrees instead of a tint.
    """

    fill: str | None = None
    opacity: float = 0.0
    stroke: str | None = None
    width: float = 0.0
    dash: tuple[float, ...] = ()
    casing: float = 0.0
    hatch: bool = False


LOOKS: Final[dict[str, Look]] = {
    # Where help is in time; `Shapes` of the class `band` get one of these by the rank of `minutes`.
    # Edges are thinner than on the page: a whole circle on one sheet has its holes side by side.
    "band-5": Look(fill="band-5", opacity=0.4, stroke="band-5", width=1.0),
    "band-10": Look(fill="band-10", opacity=0.28, stroke="band-5", width=1.4),
    "band-15": Look(fill="band-15", opacity=0.22, stroke="band-5", width=2.0),
    # Roads that are reached, when drawn as lines.
    "reached": Look(stroke="band-10", width=1.6),
    "route": Look(stroke="jade", width=4, casing=7.5),
    "walk": Look(stroke="jade", width=3, dash=(1, 5), casing=6.5),
    # A danger and where its plume goes.
    "danger": Look(fill="level-1", opacity=0.16, stroke="level-1", width=2.4),
    "sector": Look(fill="level-2", opacity=0.3, stroke="level-2", width=1.6, hatch=True),
    # What was asked about: rings of so many metres, a drawn line or area.
    "range": Look(stroke="ink2", width=1.4, dash=(7, 4)),
    "area": Look(fill="ink2", opacity=0.06, stroke="ink", width=1.8),
    # A scenario: closed or flooded, and whom nobody reaches any more.
    "closed": Look(stroke="level-1", width=4, dash=(3, 3), casing=7),
    "flooded": Look(fill="level-4", opacity=0.3, stroke="level-4", width=1.4, hatch=True),
    "lost": Look(fill="level-2", opacity=0.25, stroke="level-2", width=1.2),
    "gained": Look(fill="band-15", opacity=0.3, stroke="band-5", width=1.2),
    "boundary": Look(stroke="boundary", width=1.8, dash=(8, 3, 1.5, 3)),
}
BANDS: Final = ("band-5", "band-10", "band-15")
# Classes of points: an ink cross for what happened, a ring for those nobody reaches in time, the
# symbol of the layer's style for everything else.
PLACE: Final = "place"
UNCOVERED: Final = "uncovered"
POINTS: Final = "points"
POINT_LOOKS: Final = (PLACE, UNCOVERED, POINTS)
