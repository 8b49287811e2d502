"""Whose ground a base stands on, and the straight line from a base to a feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod

from riskmap.analysis.store import LayerRows
from riskmap.roads.graphs import Network

# Degrees are those of WGS 84; CGCS2000 differs by less than a millimetre in a distance.
_GEOD: Final = Geod(ellps="WGS84")


@dataclass(frozen=True, eq=False)
class Divisions:
    """The city's own administrative divisions, and their names by code."""

    shapes: npt.NDArray[np.object_]
    names: dict[str, tuple[str | None, str | None]]

    def __bool__(self) -> bool:
        return len(self.shapes) > 0

    def outside(self, places: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
        """Say which places lie in no division, bool[n]; none does where there is no division."""
        if not self:
            return np.zeros(len(places), dtype=bool)
        tree = shapely.STRtree(self.shapes)
        inside = np.zeros(len(places), dtype=bool)
        inside[np.unique(tree.query(places, predicate="intersects")[0])] = True
        return ~inside


def divisions_of(layers: Sequence[LayerRows]) -> Divisions:
    """Return the divisions that some layers of areas hold.

    All that is stored is the city's own: a city keeps its own divisions, not its neighbours'.
    """
    names: dict[str, tuple[str | None, str | None]] = {}
    for rows in layers:
        nothing = [None] * len(rows)
        columns = (rows.fields.get(name, nothing) for name in ("code", "name", "name_en"))
        names |= {code: (zh, en) for code, zh, en in zip(*columns, strict=True) if code}
    shapes = [rows.shapes for rows in layers]
    return Divisions(np.concatenate(shapes) if shapes else np.zeros(0, dtype=object), names)


@dataclass(frozen=True, eq=False)
class Lines:
    """Straight lines from n features to the nearest base.

    Attributes
    ----------
    metres : float64[n]
        Geodesic length, NaN without a team.
    team : int64[n]
        Row of the team, -1 without one.
    """

    metres: npt.NDArray[np.float64]
    team: npt.NDArray[np.int64]


def straight_lines(
    shapes: npt.NDArray[np.object_],
    bases: npt.NDArray[np.object_],
    teams: npt.NDArray[np.int64],
    network: Network,
) -> Lines:
    """Return the straight line from each feature, an area from its outline, to the nearest base.

    Which one is nearest is found in the city's projection; the length is that of the geodesic
    (Karney 2013) between the two ends.

    Parameters
    ----------
    shapes, bases
        In metres of the city's projection.
    teams : int64[m]
        The row of each base's team.
    """
    metres = np.full(len(shapes), np.nan)
    team = np.full(len(shapes), -1, dtype=np.int64)
    if len(shapes) and len(bases):
        feature, base = shapely.STRtree(bases).query_nearest(shapes, all_matches=True)
        # Of equally near ones the lower team, as among arrivals.
        order = np.lexsort((teams[base], feature))
        feature, base = feature[order], base[order]
        _, first = np.unique(feature, return_index=True)
        feature, base = feature[first], base[first]
        ends = shapely.get_coordinates(shapely.shortest_line(shapes[feature], bases[base]))
        degrees = network.to_lonlat(ends).reshape(-1, 4)
        metres[feature] = _GEOD.inv(*degrees.T)[2]
        team[feature] = teams[base]
    return Lines(metres, team)
