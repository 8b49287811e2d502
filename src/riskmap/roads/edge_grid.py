"""A uniform grid over the edges of a network: which edges have a part in a cell.

Closing by polygon and snapping both ask for the roads near a place. In a city roads are spread so
evenly that square cells answer that with two array look-ups, and the arrays can be mapped.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from riskmap.errors import InputError

CELL_M: Final = 250.0
# A network with an outlier far away gets wider cells instead of a grid that fills the memory:
# 4 million cells are 16 MB.
MAX_CELLS: Final = 4_000_000
# Where a line crosses into the next row is known to some nanometres only (northings have seven
# digits before the point). Wider by this share of a cell, no cell that the line enters is missed.
SLACK: Final = 1e-6

Ints = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


class EdgeGrid(NamedTuple):
    """Edges by cell, in compressed sparse row form; k entries.

    Attributes
    ----------
    x0, y0
        South-west corner of the grid, metres of the local projection.
    cell_m
        Side of a cell, metres.
    columns, rows
        How many cells there are; cell (column, row) is number ``row * columns + column``.
    indptr : int32[columns * rows + 1]
        The edges of cell c are ``edge[indptr[c]:indptr[c + 1]]``.
    edge : int32[k]
        Edge indices, ascending in each cell, every edge in each cell that it has a part in
        (and where it passes a cell's side within `SLACK` of a cell, in that cell as well).
    """

    x0: float
    y0: float
    cell_m: float
    columns: int
    rows: int
    indptr: Ints
    edge: Ints


def edge_grid(xy: npt.ArrayLike, offsets: npt.ArrayLike, cell_m: float = CELL_M) -> EdgeGrid:
    """List the edges of every cell.

    Parameters
    ----------
    xy : float64[v, 2]
        Vertices of all edges, metres.
    offsets : int64[m + 1]
        Edge e has the vertices ``xy[offsets[e]:offsets[e + 1]]``, at least two.
    cell_m
        Side of a cell, above 0; doubled until there are at most `MAX_CELLS`.

    Raises
    ------
    InputError
        `cell_m` is not above 0.
    """
    if not cell_m > 0:
        raise InputError("roads.graph_input", parameter="cell_m")
    points = np.ascontiguousarray(xy, dtype=np.float64).reshape(-1, 2)
    bounds = np.ascontiguousarray(offsets, dtype=np.int64)
    low = points.min(axis=0) if len(points) else np.zeros(2)
    high = points.max(axis=0) if len(points) else np.zeros(2)
    side = float(cell_m)
    while True:
        columns, rows = (int(n) for n in np.floor((high - low) / side) + 1)
        if columns * rows <= MAX_CELLS:
            break
        side *= 2
    x0, y0 = float(low[0]), float(low[1])
    indptr, edge = cover(points, bounds, x0, y0, side, 0, 0, columns, rows)
    return EdgeGrid(x0, y0, side, columns, rows, indptr, edge)


@njit(cache=True, nogil=True, inline="always")
def cell_of(value: float, origin: float, cell_m: float) -> int:
    """Return the column of an x, or the row of a y; it may lie outside the grid."""
    return int(np.floor((value - origin) / cell_m))


@njit(cache=True, nogil=True)
def row_span(
    ax: float, ay: float, bx: float, by: float, low_y: float, high_y: float
) -> tuple[float, float]:
    """Return the least and greatest x of a segment between two heights that it reaches."""
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    first, last = ax, bx
    if by > ay:
        if ay < low_y:
            first = ax + (bx - ax) * ((low_y - ay) / (by - ay))
        if by > high_y:
            last = ax + (bx - ax) * ((high_y - ay) / (by - ay))
    return min(first, last), max(first, last)


@njit(cache=True, nogil=True)
def cover(
    xy: Array,
    offsets: Array,
    x0: float,
    y0: float,
    cell_m: float,
    first_column: int,
    first_row: int,
    columns: int,
    rows: int,
) -> tuple[Array, Array]:
    """Return `indptr` and `edge` of a window of a grid, for any polylines; the rest is left out.

    Each segment is cut into the rows that it passes; in a row it covers the columns from its least
    to its greatest x. `stamp` keeps an edge that comes back to a cell from being listed twice.
    Two passes: the first counts, the second fills.
    """
    slack = cell_m * SLACK
    count = len(offsets) - 1
    indptr = np.zeros(columns * rows + 1, np.int32)
    stamp = np.full(columns * rows, -1, np.int32)
    edge = np.empty(0, np.int32)
    for filling in range(2):
        for e in range(count):
            mark = e + filling * count
            for v in range(offsets[e], offsets[e + 1] - 1):
                ax, ay, bx, by = xy[v, 0], xy[v, 1], xy[v + 1, 0], xy[v + 1, 1]
                bottom = max(cell_of(min(ay, by), y0, cell_m) - first_row, 0)
                top = min(cell_of(max(ay, by), y0, cell_m) - first_row, rows - 1)
                for row in range(bottom, top + 1):
                    south = y0 + (row + first_row) * cell_m - slack
                    west, east = row_span(ax, ay, bx, by, south, south + cell_m + 2 * slack)
                    left = max(cell_of(west - slack, x0, cell_m) - first_column, 0)
                    right = min(cell_of(east + slack, x0, cell_m) - first_column, columns - 1)
                    for cell in range(row * columns + left, row * columns + right + 1):
                        if stamp[cell] == mark:
                            continue
                        stamp[cell] = mark
                        if filling:
                            edge[indptr[cell]] = e
                            indptr[cell] += 1
                        else:
                            indptr[cell + 1] += 1
        if not filling:
            indptr[:] = np.cumsum(indptr)
            edge = np.empty(indptr[-1], np.int32)
    # Filling moved each beginning to its end: one place on, and they are beginnings again.
    indptr[1:] = indptr[:-1].copy()
    indptr[0] = 0
    return indptr, edge
