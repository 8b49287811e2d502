# ruff: noqa: PLR0912, PLR0915 - compiled functions take arrays one by one, and calls cost

"""Rings around what is reached: marching squares over whole milliseconds, compiled.

W. Lorensen and H. Cline, "Marching cubes" (1987), in two dimensions. Each line between the centres
of two neighbouring cells is crossed at most once, and never near a centre: so rings do not meet
themselves, also after their coordinates are rounded, and none has to be mended afterwards. Where
only two corners of a square that lie across are reached, they stay apart: whoever can pass there
has left a reached cell beside.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from riskmap.analysis.kernels import Array, Int

# Least share of a cell between a crossing and the nearest centre, and how much it grows up to the
# longest level. Where nothing is reached beside, all bands end at the same cells: there each has a
# border of its own, 12 cm a minute apart for cells of 75 m, so that bands nest to the last digit.
MARGIN: Final = 0.02
MARGIN_GROWS: Final = 0.2
LONGEST_MS: Final = 7_200_000
_BETWEEN: Final = 1.0 - 2.0 * MARGIN - MARGIN_GROWS

# What lies later than this past a level counts as not reached, so that a ring does not depend on
# how much farther the search went. In 20 s a car at 13 km/h passes a cell of 75 m: the next cell of
# most roads is known.
HORIZON_MS: Final = 20_000
# What cells that are not reached count as between two centres, 37 hours: far above any level, so
# that the ring keeps to its margin.
BEYOND_MS: Final = 2.0**27

# By the corners of a square that are inside (south-west 1, south-east 2, north-east 4, north-west
# 8) and the side that a ring comes in by (south 0, east 1, north 2, west 3), the side that it
# leaves by, the inside on its left: rings around an area turn counter-clockwise, holes clockwise.
_EXIT: Final = np.full(64, -1, np.int8)
for _corners, _ways in {
    1: {0: 3}, 2: {1: 0}, 3: {1: 3}, 4: {2: 1}, 5: {0: 3, 2: 1}, 6: {2: 0}, 7: {2: 3},
    8: {3: 2}, 9: {0: 2}, 10: {1: 0, 3: 2}, 11: {1: 2}, 12: {3: 1}, 13: {0: 1}, 14: {3: 0},
}.items():  # fmt: skip
    for _entry, _leave in _ways.items():
        _EXIT[_corners * 4 + _entry] = _leave


@njit(cache=True, nogil=True, inline="always")
def _share(low: Int, high: Int, level: float, margin: float) -> float:
    """Return where between two centres the level lies, 0..1 but for the margins.

    Both ends grow with the level, from whichever centre is inside.
    """
    first = BEYOND_MS if low > level + HORIZON_MS - 1 else np.float64(low)
    second = BEYOND_MS if high > level + HORIZON_MS - 1 else np.float64(high)
    share = (level - first) / (second - first)
    if first <= level:
        return min(max(share, margin), margin + _BETWEEN)
    return max(min(share, 1.0 - margin), 1.0 - margin - _BETWEEN)


@njit(cache=True, nogil=True)
def trace(grid: Array, level: float) -> tuple[Array, Array, Array]:
    """Return the rings around all cells at or below a level.

    Parameters
    ----------
    grid : int32[rows, columns]
        Milliseconds; the outermost cells are above the level.
    level
        Between two whole numbers, so that no cell equals it.

    Returns
    -------
    xy : float64[v, 2]
        Column and row of the vertices, ring after ring, each closed; cell (0, 0) is centred at 0.
    first : int32[r + 1]
        Where each ring begins.
    owner : int32[r]
        The ring around the area that each ring bounds: itself, or for a hole the one it lies in.
        A ring stands before its holes.
    """
    rows, columns = grid.shape
    margin = MARGIN + MARGIN_GROWS * min(max(level, 0.0) / LONGEST_MS, 1.0)
    within = np.empty((rows, columns), np.uint8)
    for row in range(rows):
        for column in range(columns):
            within[row, column] = grid[row, column] <= level
    crossings = 0
    for row in range(rows - 1):
        # Without a branch it runs over many cells at once.
        for column in range(columns - 1):
            inside = within[row, column]
            crossings += inside ^ within[row, column + 1]
            crossings += inside ^ within[row + 1, column]
    # A ring has four vertices at least, and one more to close it.
    xy = np.empty((crossings + crossings // 4 + 1, 2), np.float64)
    first = np.empty(crossings // 4 + 2, np.int32)
    owner = np.empty(crossings // 4 + 1, np.int32)
    ring_of = np.full((rows, columns), -1, np.int32)
    rings, count = 0, 0
    first[0] = 0
    for row in range(1, rows - 1):
        last = -1
        for column in range(columns - 1):
            inside = within[row, column]
            if inside == within[row, column + 1]:
                continue
            if ring_of[row, column] < 0:
                # Met from the west for the first time: an area begins, or a hole in one.
                if inside:
                    owner[rings] = owner[last]
                    r, c, entry = row, column, 0
                else:
                    owner[rings] = rings
                    r, c, entry = row - 1, column, 2
                begin = count
                x = column + _share(grid[row, column], grid[row, column + 1], level, margin)
                y = row + 0.0
                ring_of[row, column] = rings
                while True:
                    # A vertex on the straight line from the one before to this is none.
                    if count - begin >= 2:
                        ax, ay = xy[count - 1, 0], xy[count - 1, 1]
                        bx, by = xy[count - 2, 0], xy[count - 2, 1]
                        if abs((ax - bx) * (y - by) - (ay - by) * (x - bx)) < 1e-12:
                            count -= 1
                    xy[count, 0], xy[count, 1] = x, y
                    count += 1
                    corners = (
                        within[r, c]
                        | within[r, c + 1] << 1
                        | within[r + 1, c + 1] << 2
                        | within[r + 1, c] << 3
                    )
                    side = _EXIT[corners * 4 + entry]
                    if side == 0 or side == 2:  # noqa: PLR1714 - compiled
                        line = r if side == 0 else r + 1
                        if line == row and c == column:
                            break
                        ring_of[line, c] = rings
                        x = c + _share(grid[line, c], grid[line, c + 1], level, margin)
                        y = line + 0.0
                        r += -1 if side == 0 else 1
                    else:
                        line = c if side == 3 else c + 1
                        x = line + 0.0
                        y = r + _share(grid[r, line], grid[r + 1, line], level, margin)
                        c += -1 if side == 3 else 1
                    entry = (side + 2) % 4
                xy[count, 0], xy[count, 1] = xy[begin, 0], xy[begin, 1]
                count += 1
                rings += 1
                first[rings] = count
            last = ring_of[row, column]
    return xy[:count], first[: rings + 1], owner[:rings]


@njit(cache=True, nogil=True)
def enclosed(xy: Array, first: Array) -> Array:
    """Return the area of each closed ring, float64[r]: negative where it turns clockwise."""
    area = np.zeros(len(first) - 1, np.float64)
    for ring in range(len(first) - 1):
        # From the ring's own corner: products of far coordinates would eat up the digits.
        x0, y0 = xy[first[ring], 0], xy[first[ring], 1]
        for vertex in range(first[ring], first[ring + 1] - 1):
            area[ring] += 0.5 * (
                (xy[vertex, 0] - x0) * (xy[vertex + 1, 1] - y0)
                - (xy[vertex + 1, 0] - x0) * (xy[vertex, 1] - y0)
            )
    return area
