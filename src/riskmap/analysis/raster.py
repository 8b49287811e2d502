"""Travel times on a grid: roads stamped along their shape, then spread off the road."""

from __future__ import annotations

import numpy as np
from numba import njit

from riskmap.analysis.kernels import Array


@njit(cache=True, nogil=True)
def extent(xy: Array, offsets: Array, edge: Array, stops: Array, bounds: Array) -> None:
    """Widen ``bounds`` (float64[4]: min x, min y, max x, max y) to hold whole edges.

    Parameters
    ----------
    xy, offsets : float64[v, 2], int64[m + 1]
        Shapes of all edges, metres.
    edge : int32[p]
        The edges to hold, but for those where one cannot stop.
    stops : bool[m]
        Whether one can stop on each edge.
    """
    for part in range(len(edge)):
        if not stops[edge[part]] or (part > 0 and edge[part] == edge[part - 1]):
            continue
        for vertex in range(offsets[edge[part]], offsets[edge[part] + 1]):
            x, y = xy[vertex, 0], xy[vertex, 1]
            bounds[0], bounds[1] = min(bounds[0], x), min(bounds[1], y)
            bounds[2], bounds[3] = max(bounds[2], x), max(bounds[3], y)


@njit(cache=True, nogil=True)
def stamp(
    grid: Array,
    away_m: Array,
    x0: float,
    y0: float,
    cell_m: float,
    max_m: float,
    xy: Array,
    offsets: Array,
    planar_m: Array,
    stops: Array,
    out_ms: Array,
    back_ms: Array,
    edge: Array,
    low: Array,
    high: Array,
    ms_low: Array,
    ms_high: Array,
) -> None:
    """Write the times of reached parts into the grid, the least of each cell.

    Parameters
    ----------
    grid : int32[rows, columns]
        Milliseconds, `UNREACHED` where nothing is; cell (0, 0) is centred at (x0, y0). Changed.
    away_m : float32[rows, columns]
        How far each filled cell's centre lies from the road it was reached from. Changed.
    x0, y0, cell_m
        Metres.
    max_m
        How far from a road a cell's centre may lie.
    xy, offsets, planar_m, stops
        Shapes of all edges, their lengths on the projection, and where one can stop and leave
        the road.
    out_ms, back_ms : int32[m]
        Times over whole edges, as the search took them.
    edge, low, high, ms_low, ms_high
        Parts as `riskmap.analysis.parts.reached_parts` gives them.

    Notes
    -----
    Points stand at the part's ends and at every cell's length from the edge's own beginning. Each
    counts for the four centres around it, at the road's own time, so that a drawing holds every
    road that is reached: the walk there counts for how far the cells beside may lie, or a road at
    the edge of reach would show in pieces, where a centre happens to be near.
    """
    rows, columns = grid.shape
    per_cell, pitch = 1.0 / cell_m, cell_m
    for part in range(len(edge)):
        if not stops[edge[part]]:
            continue
        first, last = offsets[edge[part]], offsets[edge[part] + 1] - 1
        total = planar_m[edge[part]]
        begin, end = low[part] * total, high[part] * total
        # From the end that the part was entered by: what does not depend on where it was cut.
        if ms_low[part] <= ms_high[part]:
            base, entry, whole = ms_low[part], begin, out_ms[edge[part]]
        else:
            base, entry, whole = ms_high[part], end, back_ms[edge[part]]
        rate = whole / max(total, 1e-9)
        passed, at, step = 0.0, begin, int(begin / pitch)
        last_row, last_column, last_ms = -1, -1, 0
        # A whole road no longer than a cell is its two ends.
        short = total <= pitch and begin == 0.0 and end == total
        vertex = first - 1
        while vertex < last - 1:
            vertex += 1
            ax, ay = xy[vertex, 0], xy[vertex, 1]
            if short:
                vertex = last - 1
            dx, dy = xy[vertex + 1, 0] - ax, xy[vertex + 1, 1] - ay
            long = total if short else np.sqrt(dx * dx + dy * dy)
            # The last segment takes what rounding of the sum left over.
            reach = end if vertex == last - 1 else passed + long
            # Most segments are shorter than a cell and hold no point: they cost no division.
            per_metre = 1.0 / long if at <= reach and long > 0.0 else 0.0
            while at <= reach:
                share = min((at - passed) * per_metre, 1.0)
                x, y = (ax + dx * share - x0) * per_cell, (ay + dy * share - y0) * per_cell
                column, row = int(x), int(y)
                ms = int(base + rate * abs(at - entry) + 0.5)
                # Points that follow often lie in one square: the earlier one filled its corners.
                fresh = row != last_row or column != last_column or ms < last_ms
                if fresh and 0 <= row < rows - 1 and 0 <= column < columns - 1:
                    last_row, last_column, last_ms = row, column, ms
                    for corner in range(4):
                        r, c = row + corner // 2, column + corner % 2
                        if ms < grid[r, c]:
                            walked = np.sqrt((x - c) ** 2 + (y - r) ** 2) * cell_m
                            if walked <= max_m:
                                grid[r, c], away_m[r, c] = ms, walked
                step += 1
                at = np.inf if at >= end else min(max(step * pitch, at), end)
            passed += long


@njit(cache=True, nogil=True)
def spread(grid: Array, away_m: Array, cell_m: float, speed_mps: float, max_m: float) -> None:
    """Let the times of the grid walk off the road, at most `max_m` far. Two sweeps, in place.

    Parameters
    ----------
    grid : int32[rows, columns]
        Milliseconds, `UNREACHED` where nothing is. Changed; its outermost cells are left alone.
    away_m : float32[rows, columns]
        Distance of each filled cell's centre from its road. Changed.
    cell_m, speed_mps, max_m
        Side of a cell, walking speed, and how far the walk may lead.

    Notes
    -----
    Chamfer of steps 1 and sqrt(2): Borgefors, "Distance transformations in digital images" (1986);
    at most 8 % longer than the straight line.
    """
    rows, columns = grid.shape
    straight, diagonal = cell_m, cell_m * np.sqrt(2.0)
    straight_ms = int(1000.0 * straight / speed_mps + 0.5)
    diagonal_ms = int(1000.0 * diagonal / speed_mps + 0.5)
    for sweep in range(2):
        step = 1 if sweep == 0 else -1
        row = 1 if sweep == 0 else rows - 2
        while 0 < row < rows - 1:
            column = 1 if sweep == 0 else columns - 2
            behind = row - step
            while 0 < column < columns - 1:
                least = min(
                    grid[behind, column - 1],
                    grid[behind, column],
                    grid[behind, column + 1],
                    grid[row, column - step],
                )
                if least >= grid[row, column]:
                    column += step
                    continue
                best, far = np.int64(grid[row, column]), np.float64(away_m[row, column])
                for neighbour in range(4):
                    if neighbour == 3:
                        r, c = row, column - step
                    else:
                        r, c = behind, column + neighbour - 1
                    ms = np.int64(grid[r, c])
                    if ms >= best:
                        continue
                    cross = neighbour == 0 or neighbour == 2  # noqa: PLR1714, compiled: no set
                    ms += diagonal_ms if cross else straight_ms
                    walked = away_m[r, c] + (diagonal if cross else straight)
                    if ms < best and walked <= max_m:
                        best, far = ms, walked
                if best < grid[row, column]:
                    grid[row, column], away_m[row, column] = best, far
                column += step
            row += step
