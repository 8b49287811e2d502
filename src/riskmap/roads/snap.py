"""From places to positions on the road network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from numba import njit

from riskmap.errors import InputError
from riskmap.roads.edge_grid import SLACK, EdgeGrid, cell_of
from riskmap.roads.graph import RoadGraph
from riskmap.units import UNREACHED

# Nearer to an end than this share of the edge is at the junction: what rounding of a projection
# leaves over must not put a start a hair's breadth up a one-way street.
_AT_NODE: Final = 1e-9
# Half of a carriageway of three lanes with its shoulders is 8 m, a position out of a vehicle is
# good to some 10 m. Nothing is built that near: 30 m from the outer edge of a motorway's land are
# kept free (公路安全保护条例, article 11).
ON_ROAD_M: Final = 20.0
_FAR_M: Final = 1e9

Array = npt.NDArray[Any]


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
    """Finds the nearest road to stand on; threads may share it.

    Parameters
    ----------
    graph
        The graph; only edges that its profile may use in some direction are snapped to.

    Notes
    -----
    Islands are not avoided: a place that snaps to one is told so by `RoadGraph.island_size`.

    A road where one cannot stop (`RoadGraph.stops`) counts within `ON_ROAD_M` only: that near, a
    place is taken to lie on it, like an accident on a motorway. What is farther lies beside it,
    and is come to from the next street.
    """

    def __init__(self, graph: RoadGraph) -> None:
        self._graph = graph

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
        places = np.ascontiguousarray(xy, dtype=np.float64).reshape(-1, 2)
        graph = self._graph
        found = nearest(
            places,
            float(max_m),
            min(float(max_m), ON_ROAD_M),
            graph.grid,
            graph.xy,
            graph.offsets,
            graph.forward_ms,
            graph.backward_ms,
            graph.stops,
        )
        return Positions(*found)


@njit(cache=True, nogil=True)
def nearest(
    places: Array,
    max_m: float,
    on_road_m: float,
    grid: EdgeGrid,
    xy: Array,
    offsets: Array,
    forward_ms: Array,
    backward_ms: Array,
    stops: Array,
) -> tuple[Array, Array, Array, Array]:
    """Return edge, fraction, distance and snapped point of each place; see `Positions`.

    Cells are looked at in square rings around the place's own. The ring r is at least r - 1 sides
    away, and the way to the own cell's nearest side: once that is more than the best so far,
    nothing nearer can come.
    """
    count = len(places)
    edge = np.full(count, -1, np.int64)
    fraction = np.full(count, np.nan)
    distance = np.full(count, np.nan)
    snapped = np.full((count, 2), np.nan)
    side = grid.cell_m
    for p in range(count):
        x, y = places[p, 0], places[p, 1]
        # Not finite, or beyond the numbers of cells and so too far from everything anyway.
        if not (abs(x - grid.x0) < _FAR_M and abs(y - grid.y0) < _FAR_M):
            continue
        column, row = cell_of(x, grid.x0, side), cell_of(y, grid.y0, side)
        east, north = x - (grid.x0 + column * side), y - (grid.y0 + row * side)
        inner = min(east, side - east, north, side - north) - side * SLACK
        first = max(-column, column - grid.columns + 1, -row, row - grid.rows + 1, 0)
        last = max(column, grid.columns - 1 - column, row, grid.rows - 1 - row)
        square, found = max_m * max_m, np.int64(-1)
        for ring in range(first, last + 1):
            if ring and ((ring - 1) * side + inner) > np.sqrt(square):
                break
            for r in range(max(row - ring, 0), min(row + ring, grid.rows - 1) + 1):
                # Its first and last rows are whole; between, a ring has two cells in a row.
                step = 1 if r in (row - ring, row + ring) else 2 * ring
                for c in range(column - ring, column + ring + 1, step):
                    if 0 <= c < grid.columns:
                        cell = r * grid.columns + c
                        for k in range(grid.indptr[cell], grid.indptr[cell + 1]):
                            e = np.int64(grid.edge[k])
                            if forward_ms[e] == UNREACHED and backward_ms[e] == UNREACHED:
                                continue
                            near = _square(xy, offsets[e], offsets[e + 1], x, y)
                            if near > square or not (stops[e] or near <= on_road_m * on_road_m):
                                continue
                            if near < square or found < 0 or e < found:
                                square, found = near, e
        if found >= 0:
            share, snapped[p, 0], snapped[p, 1] = _foot(
                xy, offsets[found], offsets[found + 1], x, y
            )
            edge[p], fraction[p], distance[p] = found, share, np.sqrt(square)
    return edge, fraction, distance, snapped


@njit(cache=True, nogil=True, inline="always")
def _along(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    """Return where on a segment the nearest point lies, 0..1; 0 on one of no length."""
    dx, dy = bx - ax, by - ay
    square = dx * dx + dy * dy
    if square == 0.0:
        return 0.0
    return min(max(((x - ax) * dx + (y - ay) * dy) / square, 0.0), 1.0)


@njit(cache=True, nogil=True, inline="always")
def _on(a: float, b: float, share: float) -> float:
    """Return the coordinate between two; at the ends it is theirs to the last digit.

    So two edges that meet at a junction are equally near, and the lower index wins.
    """
    return b if share == 1.0 else a + share * (b - a)


@njit(cache=True, nogil=True)
def _square(xy: Array, first: int, last: int, x: float, y: float) -> float:
    """Return the square of the distance between a place and the vertices first..last-1's line."""
    best = np.inf
    for v in range(first, last - 1):
        ax, ay, bx, by = xy[v, 0], xy[v, 1], xy[v + 1, 0], xy[v + 1, 1]
        share = _along(ax, ay, bx, by, x, y)
        dx, dy = x - _on(ax, bx, share), y - _on(ay, by, share)
        best = min(best, dx * dx + dy * dy)
    return best


@njit(cache=True, nogil=True)
def _foot(xy: Array, first: int, last: int, x: float, y: float) -> tuple[float, float, float]:
    """Return the share of a line's length at its nearest point, of several the first; the point."""
    best, at, total = np.inf, 0.0, 0.0
    at_x, at_y = xy[first, 0], xy[first, 1]
    for v in range(first, last - 1):
        ax, ay, bx, by = xy[v, 0], xy[v, 1], xy[v + 1, 0], xy[v + 1, 1]
        share = _along(ax, ay, bx, by, x, y)
        on_x, on_y = _on(ax, bx, share), _on(ay, by, share)
        square = (x - on_x) ** 2 + (y - on_y) ** 2
        length = np.hypot(bx - ax, by - ay)
        if square < best:
            best, at, at_x, at_y = square, total + share * length, on_x, on_y
        total += length
    # A line of no length has no share: its two ends are one place.
    share = at / total if total > 0.0 else 0.0
    if share < _AT_NODE:
        return 0.0, xy[first, 0], xy[first, 1]
    if share > 1.0 - _AT_NODE:
        return 1.0, xy[last - 1, 0], xy[last - 1, 1]
    return share, at_x, at_y


def _lines(graph: RoadGraph, edge: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    """Return the linestrings of some edges."""
    sizes = np.diff(graph.offsets)[edge]
    first = np.concatenate([[0], np.cumsum(sizes)])
    vertex = np.arange(first[-1]) + np.repeat(graph.offsets[edge] - first[:-1], sizes)
    lines: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, graph.xy[vertex], (first,)
    )
    return lines
