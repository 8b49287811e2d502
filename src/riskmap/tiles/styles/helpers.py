"""Teams, shelters and depots: what helps, by its state."""

from __future__ import annotations

from typing import Final

from riskmap.catalog.shapes import LOOK_OF_STATE
from riskmap.catalog.spec import Layer, Role
from riskmap.features.summary import ADMITTING, OCCUPANCY, STATUS
from riskmap.i18n import Lang, say
from riskmap.tiles.styles.dangers import POINTS_FROM_ZOOM, placed
from riskmap.tiles.styles.expressions import Expression, Rule, name_layout, text_of
from riskmap.tiles.styles.ground import Look

# No text holds it, so it marks the place of a number.
_PLACE: Final = "\0"


def _look_of(role: Role) -> Expression | str:
    """Return the look of a feature by its state; what declares no state is in order."""
    field = STATUS.get(role)
    if field is None:
        return "solid"
    pairs = [part for state, look in LOOK_OF_STATE.items() for part in (state, look)]
    return ["match", ["coalesce", ["get", field], ""], *pairs, "unknown"]


def resources(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return the symbols of a layer: 16 px for teams far away, 20 at zoom 12, from 13 22."""

    def at(px: int) -> Expression:
        return ["concat", f"resource/{layer.style.symbol}/", _look_of(layer.role), f"/{px}"]

    image = ["step", ["zoom"], at(16), POINTS_FROM_ZOOM, at(20), 13, at(22)]
    layout = {
        "icon-image": image,
        "icon-allow-overlap": True,
        **name_layout(_label(layer, look.lang), 1.2),
    }
    first = layer.tile.min_zoom if layer.role is Role.TEAM else POINTS_FROM_ZOOM
    return placed(layer, source, "symbol", ["!", ["has", "cell"]], layout, look, first)


def _label(layer: Layer, lang: Lang) -> Expression:
    """Return the name from zoom 15, and from 14 the room left where people are taken in."""
    name = text_of(lang)
    if layer.role is not Role.SHELTER or layer.people is None:
        return ["step", ["zoom"], "", 15, name]
    places = ["-", ["get", layer.people], ["coalesce", ["get", OCCUPANCY], 0]]
    number = ["number-format", ["max", 0, places], {"locale": "en"}]
    before, after = say("page.map.free", lang, n=_PLACE).split(_PLACE)
    admits = ["in", ["get", STATUS[layer.role]], ["literal", list(ADMITTING)]]
    known = ["all", admits, ["has", layer.people]]
    free = ["case", known, ["concat", before, number, after], ""]
    both = ["case", known, ["concat", name, "\n", before, number, after], name]
    return ["step", ["zoom"], "", 14, free, 15, both]
