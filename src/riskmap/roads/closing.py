# ruff: noqa: PLR0912 - compiled functions take arrays one by one, and calls cost

"""Which roads a polygon touches, crosses or holds.

A polygon of a thousand vertices over a whole city must cost less than the circle that is asked
about it. So nearly all of the work is done by the cells of a grid whose edges are listed once for
each network: a cell that lies wholly inside closes all of its edges without a look at any, a cell
wholly outside none, and only in the cells that the outline passes are roads compared with the few
segments of the outline that are there.

Touching counts, and so does lying wholly inside without crossing the outline. Signs that rounding
leaves open (points that lie on one line to 16 digits) count as touching: no road that touches is
ever missed, and one that passes within a millimetre may be closed as well.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from numba import njit
from shapely import MultiPolygon, Polygon

from riskmap.roads.edge_grid import EdgeGrid, cell_of, cover

# Bound of the rounding error of a 2 x 2 determinant of differences, (3 + 16 e) e with e = 2^-53:
# Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates, 1997.
_UNSURE: Final = 3.3306690738754716e-16
# What is known of an edge while a polygon is laid over the network.
_OPEN: Final = 1
_CLOSED: Final = 2

Array = npt.NDArray[Any]


def touched_edges(
    xy: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
    grid: EdgeGrid,
    shape: Polygon | MultiPolygon,
) -> npt.NDArray[np.bool_]:
    """Find the edges that have a point in common with a polygon; its holes are not part of it.

    Parameters
    ----------
    xy, offsets
        Shapes of the m edges; see `riskmap.roads.graph.RoadGraph`.
    grid
        `riskmap.roads.edge_grid.edge_grid` of the same edges.
    shape
        Valid polygon in the same metres. It may be empty.

    Returns
    -------
    bool[m]
    """
    rings = shapely.get_rings(shapely.get_parts(shape))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    # The two ends of every segment, one after the other, as polylines of two vertices.
    first = np.flatnonzero(ring[1:] == ring[:-1])
    segments = np.empty((len(first), 4))
    segments[:, :2], segments[:, 2:] = points[first], points[first + 1]
    if not len(segments):
        return np.zeros(len(offsets) - 1, dtype=bool)
    return _touched(
        xy,
        offsets,
        grid.x0,
        grid.y0,
        grid.cell_m,
        grid.columns,
        grid.rows,
        grid.indptr,
        grid.edge,
        segments,
    )


@njit(cache=True, nogil=True, inline="always")
def _side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> int:
    """Return on which side of the line a-b a point lies: 1 left, -1 right, 0 on it or not sure."""
    one, other = (ax - px) * (by - py), (ay - py) * (bx - px)
    turn = one - other
    if abs(turn) <= _UNSURE * (abs(one) + abs(other)):
        return 0
    return 1 if turn > 0 else -1


@njit(cache=True, nogil=True)
def _meet(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> bool:
    """Say whether the segments a-b and c-d have a point in common."""
    if max(ax, bx) < min(cx, dx) or max(cx, dx) < min(ax, bx):
        return False
    if max(ay, by) < min(cy, dy) or max(cy, dy) < min(ay, by):
        return False
    if _side(ax, ay, bx, by, cx, cy) * _side(ax, ay, bx, by, dx, dy) > 0:
        return False
    return _side(cx, cy, dx, dy, ax, ay) * _side(cx, cy, dx, dy, bx, by) <= 0


@njit(cache=True, nogil=True)
def _inside(px: float, py: float, segments: Array, first: int, last: int) -> bool:
    """Say whether a point lies in the polygon: an odd number of segments lies west of it.

    Of a segment the lower end counts and the upper does not, so that a vertex counts once. A point
    that may lie on the outline is inside.
    """
    odd = False
    for s in range(first, last):
        ay, by = segments[s, 1], segments[s, 3]
        if (ay > py) == (by > py):
            continue
        ax, bx = segments[s, 0], segments[s, 2]
        side = _side(ax, ay, bx, by, px, py)
        if side == 0:
            return True
        # Upward, what lies on the right of a segment lies east of it.
        if (side < 0) == (by > ay):
            odd = not odd
    return odd


@njit(cache=True, nogil=True)
def _rows_of(
    segments: Array, y0: float, cell_m: float, first_row: int, rows: int
) -> tuple[Array, Array]:
    """List for each row of cells the segments that reach into it, wherever they lie in x."""
    indptr = np.zeros(rows + 1, np.int64)
    listed = np.empty(0, np.int32)
    for filling in range(2):
        for s in range(len(segments)):
            low, high = segments[s, 1], segments[s, 3]
            bottom = max(cell_of(min(low, high), y0, cell_m) - first_row, 0)
            top = min(cell_of(max(low, high), y0, cell_m) - first_row, rows - 1)
            for row in range(bottom, top + 1):
                if filling:
                    listed[indptr[row]] = s
                    indptr[row] += 1
                else:
                    indptr[row + 1] += 1
        if not filling:
            indptr[:] = np.cumsum(indptr)
            listed = np.empty(indptr[-1], np.int32)
    indptr[1:] = indptr[:-1].copy()
    indptr[0] = 0
    return indptr, listed


@njit(cache=True, nogil=True)
def _crossings(segments: Array, first: int, last: int, y: float) -> Array:
    """Return where the outline passes a height, ascending; as often as it is entered and left."""
    found = np.empty(last - first, np.float64)
    count = 0
    for s in range(first, last):
        ax, ay, bx, by = segments[s, 0], segments[s, 1], segments[s, 2], segments[s, 3]
        if (ay > y) != (by > y):
            found[count] = ax + (bx - ax) * ((y - ay) / (by - ay))
            count += 1
    ascending: Array = np.sort(found[:count])
    return ascending


@njit(cache=True, nogil=True)
def _crosses(
    xy: Array,
    first: int,
    last: int,
    segments: Array,
    begin: int,
    end: int,
    west: float,
    south: float,
    east: float,
    north: float,
) -> bool:
    """Say whether an edge meets one of the segments, by its own segments that reach into a box."""
    for v in range(first, last - 1):
        ax, ay, bx, by = xy[v, 0], xy[v, 1], xy[v + 1, 0], xy[v + 1, 1]
        if max(ax, bx) < west or min(ax, bx) > east or max(ay, by) < south or min(ay, by) > north:
            continue
        for s in range(begin, end):
            if _meet(
                ax, ay, bx, by, segments[s, 0], segments[s, 1], segments[s, 2], segments[s, 3]
            ):
                return True
    return False


@njit(cache=True, nogil=True)
def _touched(
    xy: Array,
    offsets: Array,
    x0: float,
    y0: float,
    cell_m: float,
    columns: int,
    rows: int,
    indptr: Array,
    edge: Array,
    segments: Array,
) -> Array:
    """Return the edges that a polygon touches; arrays as in `touched_edges`, segments k x 4."""
    state = np.zeros(len(offsets) - 1, np.uint8)
    low_x = min(segments[:, 0].min(), segments[:, 2].min())
    high_x = max(segments[:, 0].max(), segments[:, 2].max())
    low_y = min(segments[:, 1].min(), segments[:, 3].min())
    high_y = max(segments[:, 1].max(), segments[:, 3].max())
    # The cells that the polygon's box meets, one more on every side for what rounding leaves open.
    left = max(cell_of(low_x, x0, cell_m) - 1, 0)
    right = min(cell_of(high_x, x0, cell_m) + 1, columns - 1)
    bottom = max(cell_of(low_y, y0, cell_m) - 1, 0)
    top = min(cell_of(high_y, y0, cell_m) + 1, rows - 1)
    if left > right or bottom > top:
        return np.equal(state, _CLOSED)
    wide, tall = right - left + 1, top - bottom + 1
    ends = segments.reshape(-1, 2)
    pairs = np.arange(len(segments) + 1) * 2
    at, here = cover(ends, pairs, x0, y0, cell_m, left, bottom, wide, tall)
    row_at, row_here = _rows_of(segments, y0, cell_m, bottom, tall)
    # Copies in the order in which they are read: looked up one by one they cost twice as much.
    in_cell, in_row = segments[here], segments[row_here]
    last_x = last_y = np.nan
    last_inside = False
    # Millimetres around a cell: what `cover` lists may lie that far beyond its sides.
    hair = 4e-6 * cell_m
    for row in range(tall):
        south = y0 + (row + bottom) * cell_m
        passes = _crossings(in_row, row_at[row], row_at[row + 1], south + cell_m / 2)
        passed = 0
        for column in range(wide):
            west = x0 + (column + left) * cell_m
            while passed < len(passes) and passes[passed] < west + cell_m / 2:
                passed += 1
            window = row * wide + column
            cell = (row + bottom) * columns + column + left
            begin, end = indptr[cell], indptr[cell + 1]
            if at[window] == at[window + 1]:
                # The outline stays away: the cell is what its centre is.
                if passed % 2:
                    for k in range(begin, end):
                        state[edge[k]] = _CLOSED
                continue
            for k in range(begin, end):
                e = edge[k]
                if state[e] == 0:
                    px, py = xy[offsets[e], 0], xy[offsets[e], 1]
                    state[e] = _OPEN
                    # Edges stand by their first node: the next one often begins there too.
                    if px != last_x or py != last_y:
                        last_x, last_y, last_inside = px, py, False
                        if low_x <= px <= high_x and low_y <= py <= high_y:
                            beside = cell_of(py, y0, cell_m) - bottom
                            last_inside = _inside(
                                px, py, in_row, row_at[beside], row_at[beside + 1]
                            )
                    if last_inside:
                        state[e] = _CLOSED
                if state[e] == _OPEN and _crosses(
                    xy, offsets[e], offsets[e + 1], in_cell, at[window], at[window + 1],
                    west - hair, south - hair, west + cell_m + hair, south + cell_m + hair,
                ):  # fmt: skip
                    state[e] = _CLOSED
    return np.equal(state, _CLOSED)
