"""From places to positions on the road network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.errors import InputError
from riskmap.roads.graph import RoadGraph
from riskmap.units import UNREACHED

# Nearer to an end than this share of the edge is at the junction: what rounding of a projection
# leaves over must not put a start a hair's breadth up a one-way street.
_AT_NODE: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Positions:
    """Places on edges.

    Attributes
    ----------
    edge : int64[n]
        Index of the edge in the graph; -1 where no usable road is near enough.
    fraction : float64[n]
        Share of the edge's geometry from its from-node, 0..1; NaN where there is no edge.
    distance_m : float64[n]
        From the place to the snapped point, metres of the projection; NaN where there is none.
    xy : float64[n, 2]
        The snapped point, metres; NaN where there is none.
    """

    edge: npt.NDArray[np.int64]
    fraction: npt.NDArray[np.float64]
    distance_m: npt.NDArray[np.float64]
    xy: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.edge)

    def some(self, rows: npt.NDArray[Any]) -> Positions:
        """Return some of the places, by a mask or by their rows."""
        return Positions(self.edge[rows], self.fraction[rows], self.distance_m[rows], self.xy[rows])

    @staticmethod
    def joined(parts: Sequence[Positions]) -> Positions:
        """Return the places of several one after the other."""
        return Positions(
            edge=np.concatenate([part.edge for part in parts] or [np.zeros(0, np.int64)]),
            fraction=np.concatenate([part.fraction for part in parts] or [np.zeros(0)]),
            distance_m=np.concatenate([part.distance_m for part in parts] or [np.zeros(0)]),
            xy=np.concatenate([part.xy for part in parts] or [np.zeros((0, 2))]),
        )

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Whether each place has a road, bool[n]."""
        return self.edge >= 0


def positions_on(graph: RoadGraph, edge: npt.ArrayLike, fraction: npt.ArrayLike) -> Positions:
    """Return positions that are known by edge index and fraction, as from a stored snap.

    Parameters
    ----------
    graph
        The graph whose edge indices they are.
    edge : int64[n]
        Edge indices, -1 for none.
    fraction : float64[n]
        0..1 along the geometry.

    Raises
    ------
    InputError
        An index or a fraction out of range.
    """
    edges = np.array(edge, dtype=np.int64).reshape(-1)
    fractions = np.array(fraction, dtype=np.float64).reshape(-1)
    found = edges >= 0
    if edges.shape != fractions.shape or (edges < -1).any() or (edges >= graph.edge_count).any():
        raise InputError("roads.position", parameter="edge")
    if not ((fractions[found] >= 0) & (fractions[found] <= 1)).all():
        raise InputError("roads.position", parameter="fraction")
    fractions[~found] = np.nan
    xy = np.full((len(edges), 2), np.nan)
    lines = _lines(graph, edges[found])
    xy[found] = shapely.get_coordinates(
        shapely.line_interpolate_point(lines, fractions[found], normalized=True)
    )
    return Positions(edges, fractions, np.where(found, 0.0, np.nan), xy)


class Snapper:
    """Finds the nearest usable road. Built once per graph; threads may share it.

    Parameters
    ----------
    graph
        The graph; only edges that its profile may use in some direction are snapped to.

    Notes
    -----
    Islands are not avoided: a place that snaps to one is told so by `RoadGraph.island_size`.
    """

    def __init__(self, graph: RoadGraph) -> None:
        usable = (graph.forward_ms != UNREACHED) | (graph.backward_ms != UNREACHED)
        self._edge = np.flatnonzero(usable)
        self._lines = _lines(graph, self._edge)
        self._tree = shapely.STRtree(self._lines)

    def snap(self, xy: npt.ArrayLike, max_m: float) -> Positions:
        """Snap places to the nearest usable road; of equally near ones the lowest edge index.

        Parameters
        ----------
        xy : float64[n, 2]
            Places, metres of the graph's projection.
        max_m
            Farthest road that counts, metres, above 0.

        Returns
        -------
        Positions
            In the order of the places, edge -1 where no road is within `max_m`, and for a place
            that is not finite.

        Raises
        ------
        InputError
            `max_m` is not above 0.
        """
        if not max_m > 0:
            raise InputError("roads.snap_distance", parameter="max_m", value=max_m)
        places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        count = len(places)
        edge = np.full(count, -1, dtype=np.int64)
        fraction, distance = np.full(count, np.nan), np.full(count, np.nan)
        snapped = np.full((count, 2), np.nan)
        rows = np.flatnonzero(np.isfinite(places).all(axis=1))
        if len(rows) and len(self._edge):
            points: npt.NDArray[np.object_] = np.asarray(shapely.points(places[rows]), dtype=object)
            (place, hit), metres = self._tree.query_nearest(
                points, max_distance=float(max_m), return_distance=True, all_matches=True
            )
            order = np.lexsort((hit, place))
            place, hit, metres = place[order], hit[order], metres[order]
            place, first = np.unique(place, return_index=True)
            hit, metres = hit[first], metres[first]
            lines = self._lines[hit]
            share = shapely.line_locate_point(lines, points[place], normalized=True)
            # A line of no length has no share: its two ends are one place.
            share = np.atleast_1d(np.clip(np.nan_to_num(share, nan=0.0), 0.0, 1.0))
            share[share < _AT_NODE] = 0.0
            share[share > 1 - _AT_NODE] = 1.0
            at = rows[place]
            edge[at], fraction[at], distance[at] = self._edge[hit], share, metres
            snapped[at] = shapely.get_coordinates(
                shapely.line_interpolate_point(lines, share, normalized=True)
            )
        return Positions(edge, fraction, distance, snapped)


def _lines(graph: RoadGraph, edge: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Return the linestrings of some edges."""
    sizes = np.diff(graph.offsets)[edge]
    first = np.concatenate([[0], np.cumsum(sizes)])
    vertex = np.arange(first[-1]) + np.repeat(graph.offsets[edge] - first[:-1], sizes)
    lines: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, graph.xy[vertex], (first,)
    )
    return lines
