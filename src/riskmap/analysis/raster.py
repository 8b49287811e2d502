"""Travel times on a grid: roads stamped along their shape, then spread off the road.

A road shows in a grid by points along it, a cell's length apart, that are the same in every drawing
of that cell size: `Samples`. A road that is reached whole needs nothing but them and the times at
its ends; only where a limit falls on a road, or a start lies on it, is its shape walked again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from riskmap.analysis.kernels import UNREACHED, Array, Int
from riskmap.roads.graph import RoadGraph

EMPTY: Final = UNREACHED << 32


class Samples(NamedTuple):
    """Points along edges: both ends, and every cell's length from the edge's beginning.

    Edges where nobody can stop have none. 32 bytes a point; in a city some three points an edge.

    Attributes
    ----------
    first : int32[k + 1]
        Points of the edge in row r are ``first[r]:first[r + 1]``.
    share : float64[p]
        Where on its edge each point lies, 0..1.
    column, row : int32[p]
        The square of four cell centres around the point: that of its south-west one, counted from
        the origin of the projection.
    away_mm : int32[p, 4]
        How far from the point the square's corners lie: south-west, south-east, then the northern.
    """

    first: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]
    column: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    away_mm: npt.NDArray[np.int32]


def kept_samples(graph: RoadGraph, cell_m: float) -> Samples:
    """Return the samples of all edges, made once for a network and its scenarios.

    For 100,000 edges they take 15 ms and 8 MB.
    """
    found = graph.kept.get("samples")
    if found is None or found[0] != cell_m or found[1] is not graph.stops:
        found = graph.kept["samples"] = (cell_m, graph.stops, samples_of(graph, cell_m, None))
    samples: Samples = found[2]
    return samples


def samples_of(graph: RoadGraph, cell_m: float, edge: npt.NDArray[np.int32] | None) -> Samples:
    """Return the samples of some edges, in their order; None: of all."""
    rows = np.arange(graph.edge_count, dtype=np.int32) if edge is None else edge
    return Samples(*_sampled(rows, graph.xy, graph.offsets, graph.planar_m, graph.stops, cell_m))


@njit(cache=True, nogil=True)
def _sampled(
    edge: Array, xy: Array, offsets: Array, planar_m: Array, stops: Array, cell_m: float
) -> tuple[Array, Array, Array, Array, Array]:
    first = np.zeros(len(edge) + 1, np.int32)
    for place in range(len(edge)):
        points: Int = 0
        if stops[edge[place]]:
            total = np.float64(planar_m[edge[place]])
            steps = int(total / cell_m)
            # Those before the end, and the end.
            points = steps + (2 if steps * cell_m < total else 1)
        first[place + 1] = first[place] + points
    count = first[-1]
    share = np.empty(count, np.float64)
    column, row = np.empty(count, np.int32), np.empty(count, np.int32)
    away_mm = np.empty((count, 4), np.int32)
    for place in range(len(edge)):
        if first[place + 1] == first[place]:
            continue
        last = offsets[edge[place] + 1] - 1
        total = np.float64(planar_m[edge[place]])
        vertex, passed, long = offsets[edge[place]], 0.0, _long(xy, offsets[edge[place]])
        for point in range(first[place], first[place + 1]):
            at = min((point - first[place]) * cell_m, total)
            while vertex < last - 1 and passed + long < at:
                passed += long
                vertex += 1
                long = _long(xy, vertex)
            along = min((at - passed) / long, 1.0) if long > 0.0 else 0.0
            share[point] = at / total if total > 0.0 else 0.0
            if at == total:
                # What rounding of the sum left over.
                vertex, along = last - 1, 1.0
            column[point], x = _square(xy[vertex, 0], xy[vertex + 1, 0], along, cell_m)
            row[point], y = _square(xy[vertex, 1], xy[vertex + 1, 1], along, cell_m)
            for corner in range(4):
                away_mm[point, corner] = _away_mm(x, y, corner, cell_m)
    return first, share, column, row, away_mm


@njit(cache=True, nogil=True, inline="always")
def _long(xy: Array, vertex: Int) -> float:
    dx, dy = xy[vertex + 1, 0] - xy[vertex, 0], xy[vertex + 1, 1] - xy[vertex, 1]
    return np.sqrt(dx * dx + dy * dy)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True, inline="always")
def _square(a: float, b: float, along: float, cell_m: float) -> tuple[Int, float]:
    """Return the column, or row, of a point between two vertices, and where in it it lies."""
    at = (a + (b - a) * along) / cell_m
    whole = np.floor(at)
    return np.int32(whole), at - whole


@njit(cache=True, nogil=True, inline="always")
def _away_mm(x: float, y: float, corner: Int, cell_m: float) -> Int:
    """Return how far a point in a square lies from one of its corners."""
    dx, dy = x - (corner & 1), y - (corner >> 1)
    return np.int32(np.sqrt(dx * dx + dy * dy) * cell_m * 1000.0 + 0.5)


@njit(cache=True, nogil=True, inline="always")
def _offer(cells: Array, r: Int, c: Int, corner: Int, ms: Int, away_mm: Int, max_mm: Int) -> None:
    """Let a point of a road count for one of the four centres around it.

    The one that counts is chosen without a branch: half of them would be guessed wrong.
    """
    key = np.int64(ms) << 32 | np.int64(away_mm) if away_mm <= max_mm else np.int64(EMPTY)
    known = cells[r + (corner >> 1), c + (corner & 1)]
    cells[r + (corner >> 1), c + (corner & 1)] = key if key < known else known


@njit(cache=True, nogil=True)
def survey(
    samples: Samples,
    rows: Array,
    edge: Array,
    label_ms: Array,
    near_label: Array,
    far_label: Array,
    out_ms: Array,
    back_ms: Array,
    start_edge: Array,
    limit_ms: Int,
    bounds: Array,
) -> tuple[Array, Array]:
    """Tell roads that are reached whole from others, and widen ``bounds`` to hold all of them.

    Parameters
    ----------
    samples, rows
        Points of the edges, and the row of each edge in them.
    edge : int32[k]
        Edges of which a part is reached, ascending.
    label_ms, near_label, far_label, out_ms, back_ms
        See `riskmap.analysis.kernels.arrivals`.
    start_edge
        Edges of the starts, ascending: there times do not come from the ends alone.
    limit_ms
        The search's limit.
    bounds : int64[4]
        Least column and row, greatest column and row. Changed.

    Returns
    -------
    whole : bool[k]
        Whether the edge is reached in all its length, from its ends.
    partly : int32[l]
        The other edges.
    """
    whole, partly = np.empty(len(edge), np.bool_), np.empty(len(edge), np.int32)
    others, start = 0, 0
    for place in range(len(edge)):
        e = edge[place]
        for point in range(samples.first[rows[place]], samples.first[rows[place] + 1]):
            column, row = samples.column[point], samples.row[point]
            bounds[0], bounds[1] = min(bounds[0], column), min(bounds[1], row)
            bounds[2], bounds[3] = max(bounds[2], column), max(bounds[3], row)
        covered = 0.0
        if out_ms[e] != UNREACHED and label_ms[near_label[e]] != UNREACHED:
            covered += (limit_ms - label_ms[near_label[e]]) / out_ms[e]
        if back_ms[e] != UNREACHED and label_ms[far_label[e]] != UNREACHED:
            covered += (limit_ms - label_ms[far_label[e]]) / back_ms[e]
        while start < len(start_edge) and start_edge[start] < e:
            start += 1
        begun = start < len(start_edge) and start_edge[start] == e
        whole[place] = covered >= 1.0 and not begun
        if not whole[place]:
            partly[others] = e
            others += 1
    return whole, partly[:others]


@njit(cache=True, nogil=True)
def stamp(
    cells: Array,
    column0: Int,
    row0: Int,
    max_m: float,
    samples: Samples,
    rows: Array,
    edge: Array,
    whole: Array,
    label_ms: Array,
    near_label: Array,
    far_label: Array,
    out_ms: Array,
    back_ms: Array,
) -> None:
    """Write the times along roads that are reached whole into the cells, the least of each.

    Parameters
    ----------
    cells : int64[rows, columns]
        Milliseconds and, in the lower 32 bits, how many millimetres the centre lies from the road
        it was reached from; `EMPTY` where nothing is. So the least of several is the earliest, and
        of equal times the nearest: the order of the roads does not matter. Changed.
    column0, row0
        Which cell of the projection is cell (0, 0).
    max_m
        How far from a road a cell's centre may lie.
    samples, rows, edge, label_ms, near_label, far_label, out_ms, back_ms
        See `survey`.
    whole : bool[k]
        Which of the edges to write.

    Notes
    -----
    Each point counts for the four centres around it, at the road's own time, so that a drawing
    holds every road that is reached: the walk there counts for how far the cells beside may lie, or
    a road at the edge of reach would show in pieces, where a centre happens to be near.
    """
    max_mm = int(max_m * 1000.0)
    for place in range(len(edge)):
        if not whole[place]:
            continue
        e = edge[place]
        out, back = out_ms[e], back_ms[e]
        from_near: Int = UNREACHED if out == UNREACHED else np.int64(label_ms[near_label[e]])
        from_far: Int = UNREACHED if back == UNREACHED else np.int64(label_ms[far_label[e]])
        for point in range(samples.first[rows[place]], samples.first[rows[place] + 1]):
            share = samples.share[point]
            ms = np.int64(UNREACHED)
            if from_near != UNREACHED:
                ms = min(ms, from_near + int(out * share + 0.5))
            if from_far != UNREACHED:
                ms = min(ms, from_far + int(back * (1.0 - share) + 0.5))
            r, c = samples.row[point] - row0, samples.column[point] - column0
            for corner in range(4):
                _offer(cells, r, c, corner, ms, samples.away_mm[point, corner], max_mm)


@njit(cache=True, nogil=True)
def stamp_parts(
    cells: Array,
    column0: Int,
    row0: Int,
    max_m: float,
    cell_m: float,
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
    """Write the times of parts of roads into the cells, as `stamp` does, and at their ends.

    Parameters
    ----------
    xy, offsets, planar_m, stops
        Shapes of all edges, their lengths on the projection, and where one can stop and leave
        the road.
    out_ms, back_ms : int32[m]
        Times over whole edges, as the search took them.
    edge, low, high, ms_low, ms_high
        Parts as `riskmap.analysis.parts.reached_parts` gives them.
    """
    max_mm = int(max_m * 1000.0)
    for part in range(len(edge)):
        e = edge[part]
        if not stops[e]:
            continue
        last = offsets[e + 1] - 1
        total = np.float64(planar_m[e])
        begin, end = low[part] * total, high[part] * total
        # From the end that the part was entered by: what does not depend on where it was cut.
        ahead = ms_low[part] <= ms_high[part]
        base = ms_low[part] if ahead else ms_high[part]
        entry = low[part] if ahead else high[part]
        time = out_ms[e] if ahead else back_ms[e]
        vertex, passed, long = offsets[e], 0.0, _long(xy, offsets[e])
        at, step = begin, int(begin / cell_m)
        while True:
            while vertex < last - 1 and passed + long < at:
                passed += long
                vertex += 1
                long = _long(xy, vertex)
            along = min((at - passed) / long, 1.0) if long > 0.0 else 0.0
            share = at / total if total > 0.0 else 0.0
            ms = base + int(time * abs(share - entry) + 0.5)
            if at == total:
                vertex, along = last - 1, 1.0
            column, x = _square(xy[vertex, 0], xy[vertex + 1, 0], along, cell_m)
            row, y = _square(xy[vertex, 1], xy[vertex + 1, 1], along, cell_m)
            r, c = row - row0, column - column0
            for corner in range(4):
                away_mm = _away_mm(x, y, corner, cell_m)
                _offer(cells, r, c, corner, ms, away_mm, max_mm)
            if at >= end:
                break
            step += 1
            at = min(max(step * cell_m, at), end)


@njit(cache=True, nogil=True)
def apart(cells: Array) -> tuple[Array, Array]:
    """Return the times of cells, int32 milliseconds, and how far off the road, float32 metres."""
    grid, away_m = np.empty(cells.shape, np.int32), np.empty(cells.shape, np.float32)
    for row in range(cells.shape[0]):
        for column in range(cells.shape[1]):
            grid[row, column] = cells[row, column] >> 32
            away_m[row, column] = (cells[row, column] & 0xFFFFFFFF) * 0.001
    return grid, away_m


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
    at most 8 % longer than the straight line. Each cell offers its time to those that follow in
    the sweep, so that the many from which no step is short enough cost one look.
    """
    rows, columns = grid.shape
    straight, diagonal = cell_m, cell_m * np.sqrt(2.0)
    straight_ms = int(1000.0 * straight / speed_mps + 0.5)
    diagonal_ms = int(1000.0 * diagonal / speed_mps + 0.5)
    for sweep in range(2):
        step = 1 if sweep == 0 else -1
        for line in range(1, rows - 1):
            row = line if sweep == 0 else rows - 1 - line
            for place in range(1, columns - 1):
                column = place if sweep == 0 else columns - 1 - place
                if grid[row, column] == UNREACHED or away_m[row, column] + straight > max_m:
                    continue
                ms, walked = np.int64(grid[row, column]), np.float64(away_m[row, column])
                for side in range(4):
                    # The next one in the row, then the three of the next row.
                    r = row if side == 0 else row + step
                    c = column + (step if side == 0 else side - 2)
                    cross = side == 1 or side == 3  # noqa: PLR1714, compiled: no set
                    at = ms + (diagonal_ms if cross else straight_ms)
                    far = walked + (diagonal if cross else straight)
                    inside = 0 < r < rows - 1 and 0 < c < columns - 1
                    if inside and at < grid[r, c] and far <= max_m:
                        grid[r, c], away_m[r, c] = at, far
