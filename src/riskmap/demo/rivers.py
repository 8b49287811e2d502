"""Rivers of the demo city: routed down the relief, smoothed, and cut into it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon

from riskmap.demo.ground import Floats, Grid, random_of
from riskmap.demo.noise import smooth_noise
from riskmap.demo.relief import Relief

Ints = npt.NDArray[np.int64]
# Water is routed on cells of 200 m: a quarter of the cells, and a river's line is smoothed over
# more than that anyway.
STEP: Final = 2
SPRING_KM2: Final = 2.5
MOST_RIVERS: Final = 72
LARGE_KM2: Final = 130.0
SHORTEST_M: Final = 3500.0


@dataclass(eq=False)
class Course:
    """A river on its way to become a `River`: points from the source down to the mouth."""

    xy: Floats
    bed_m: Floats
    catchment_km2: Floats
    parent: int | None

    @property
    def width_m(self) -> Floats:
        """Return the width at each point: 20 m for 9 km² and 240 m for 1,400 km²."""
        return np.clip(6.5 * np.sqrt(self.catchment_km2), 16, 300)


def make_courses(seed: int, relief: Relief) -> list[Course]:
    """Return the rivers, a river before those that flow into it."""
    grid = relief.grid
    cell_m = grid.cell_m * STEP
    rows, columns = grid.rows // STEP, grid.columns // STEP
    coarse = relief.elevation_m.reshape(rows, STEP, columns, STEP).mean(axis=(1, 3))
    random = random_of(seed, "rivers")
    wander = smooth_noise(random, grid, 9000, 1500, 1.0)[
        : rows * STEP : STEP, : columns * STEP : STEP
    ]
    filled, down, order = _flood(coarse, 0.004 * np.exp(1.1 * wander))
    catchment = np.where(coarse > 0, (cell_m / 1000) ** 2, 0.0).ravel()
    area = catchment.tolist()
    for cell in reversed(order):
        area[down[cell]] += area[cell]
    paths = _paths(down, order, area, coarse.ravel())
    # One smooth bending of the plane makes the straight runs of a raster meander and keeps who
    # flows into whom. It fades in the hills, where the valley holds the stream.
    bend = [smooth_noise(random, grid, 5000, 1300, 1.2) for _ in range(2)]
    steep = np.hypot(*np.gradient(relief.elevation_m, grid.cell_m))
    courses: list[Course] = []
    area_km2 = np.asarray(area)
    for cells, parent in paths:
        row, column = np.divmod(np.asarray(cells), columns)
        xy = np.column_stack(
            (grid.west_m + (column + 0.5) * cell_m, grid.south_m + (row + 0.5) * cell_m)
        )
        bed = filled[row, column]
        wet = area_km2[np.asarray(cells)]
        # The last cell is the sea's or the parent river's, whose catchment is not this one's.
        wet[-1] = wet[-2]
        xy = _smooth(xy)
        reach_m = 170 / (1 + (grid.sample(steep, xy) / 0.04) ** 2)
        xy = xy + np.column_stack([reach_m * grid.sample(part, xy) for part in bend])
        xy = _smooth(xy)
        course = _join(Course(xy, bed, wet, parent), courses, relief.land_shape)
        courses.append(course)
    return courses


def _flood(coarse: Floats, rise_m: Floats) -> tuple[Floats, list[int], list[int]]:
    """Return levels without hollows, where each land cell drains to, and the cells from the sea up.

    Priority-flood: the sea rises, and each cell drains to the one that it was flooded from.
    """
    rows, columns = coarse.shape
    level = coarse.ravel().tolist()
    rise = rise_m.ravel().tolist()
    sea = (coarse <= 0).ravel()
    down = [-1] * (rows * columns)
    seen = bytearray(sea.astype(np.uint8).tobytes())
    shore = np.zeros_like(coarse, dtype=np.bool_)
    wet = coarse <= 0
    shore[1:] |= wet[:-1]
    shore[:-1] |= wet[1:]
    shore[:, 1:] |= wet[:, :-1]
    shore[:, :-1] |= wet[:, 1:]
    queue: list[tuple[float, int]] = []
    for cell in np.flatnonzero((shore & ~wet).ravel()).tolist():
        row, column = divmod(cell, columns)
        for step, inside in (
            (1, column + 1 < columns),
            (-1, column > 0),
            (columns, row + 1 < rows),
            (-columns, row > 0),
        ):
            if inside and sea[cell + step]:
                down[cell] = cell + step
                break
        seen[cell] = 1
        queue.append((level[cell], cell))
    heapq.heapify(queue)
    order = []
    while queue:
        height, cell = heapq.heappop(queue)
        order.append(cell)
        row, column = divmod(cell, columns)
        for up in (-1, 0, 1):
            if not 0 <= row + up < rows:
                continue
            for right in (-1, 0, 1):
                near = cell + up * columns + right
                if 0 <= column + right < columns and not seen[near]:
                    seen[near] = 1
                    down[near] = cell
                    # A few millimetres a cell keep water running over what was a hollow; more
                    # in some places than in others, else it would run there as by a ruler.
                    level[near] = max(level[near], height + rise[near])
                    heapq.heappush(queue, (level[near], near))
    return np.asarray(level).reshape(rows, columns), down, order


def _paths(
    down: list[int], order: list[int], area: list[float], height: Floats
) -> list[tuple[list[int], int | None]]:
    """Return the cells of each river, source first, and the index of the river it flows into."""
    above: dict[int, list[int]] = {}
    for cell in order:
        if area[cell] >= SPRING_KM2:
            above.setdefault(down[cell], []).append(cell)
    found: list[tuple[float, list[int], int]] = []
    # (first cell, cell that it flows into, index of the parent in `found`)
    stack = [
        (cell, mouth, -1)
        for mouth, cells in above.items()
        if height[mouth] <= 0
        for cell in cells
        if area[cell] > 14
    ]
    while stack:
        cell, into, parent = stack.pop()
        path = [into]
        mouth_area = area[cell]
        mine = len(found)
        while True:
            path.append(cell)
            sources = above.get(cell)
            if not sources:
                break
            main = max(sources, key=lambda source: (area[source], -source))
            stack.extend((other, cell, mine) for other in sources if other != main)
            cell = main
        found.append((mouth_area, path[::-1], parent))
    # A river that rises in the hills or is large is kept; those that flow into it come after it,
    # as their catchments are smaller.
    ranked = sorted(range(len(found)), key=lambda i: (-found[i][0], found[i][1][0]))
    kept: dict[int, int] = {-1: -1}
    paths: list[tuple[list[int], int | None]] = []
    for index in ranked:
        mouth_area, path, parent = found[index]
        from_hills = height[path[0]] > 150 and len(path) * 220 > SHORTEST_M
        if parent not in kept or not (from_hills or mouth_area > 90):
            continue
        if len(paths) == MOST_RIVERS:
            break
        kept[index] = len(paths)
        paths.append((path, None if parent == -1 else kept[parent]))
    return paths


def _smooth(xy: Floats) -> Floats:
    """Return a line's points averaged along it; the ends stay."""
    weights = np.array([1, 3, 4, 3, 1], dtype=np.float64)
    weights /= weights.sum()
    padded = np.concatenate((2 * xy[:1] - xy[2:0:-1], xy, 2 * xy[-1:] - xy[-2:-4:-1]))
    return np.column_stack([np.convolve(padded[:, axis], weights, "valid") for axis in (0, 1)])


def _join(course: Course, courses: list[Course], land: MultiPolygon) -> Course:
    """Return the course ended where it first meets another river or the sea."""
    xy, parent = course.xy, course.parent
    if parent is None:
        # On along its last direction, so that it does reach the sea.
        ahead = xy[-1] - xy[-2]
        ahead = ahead / max(1.0, float(np.hypot(*ahead))) * 1500
        line = LineString([*xy, xy[-1] + ahead])
        shores = _points(line, land.boundary)
        stops: list[tuple[float, int | None]] = [(line.project(at), None) for at in shores]
        stops = [stop for stop in stops if stop[0] > 0.5 * line.length] or stops
    else:
        line = LineString(xy)
        main = LineString(courses[parent].xy)
        nearest = main.interpolate(main.project(Point(xy[-1])))
        line = LineString([*xy[:-1], (nearest.x, nearest.y)])
        stops = [(line.length, parent)]
    for index, other in enumerate(courses):
        crossing = _points(line, LineString(other.xy))
        stops += [(line.project(point), index) for point in crossing]
    stop_m, parent = min(stops, key=lambda stop: stop[0])
    end = line.interpolate(stop_m)
    along = np.concatenate(([0.0], np.hypot(*np.diff(np.asarray(line.coords), axis=0).T).cumsum()))
    keep = int(np.searchsorted(along, stop_m - 1.0))
    points = np.concatenate((np.asarray(line.coords)[:keep], [[end.x, end.y]]))
    last = len(course.bed_m) - 1
    bed = course.bed_m[np.minimum(np.arange(keep + 1), last)]
    wet = course.catchment_km2[np.minimum(np.arange(keep + 1), last)]
    floor = 0.3
    if parent is not None:
        into = courses[parent]
        floor = float(into.bed_m[np.hypot(*(into.xy - points[-1]).T).argmin()])
    bed = np.maximum(np.minimum.accumulate(bed - 2), floor)
    return Course(points, bed, wet, parent)


def _points(line: LineString, other: shapely.Geometry) -> list[Point]:
    crossing = shapely.get_parts(shapely.intersection(line, other))
    return [Point(shapely.get_coordinates(part)[0]) for part in crossing if not part.is_empty]


def nearest_river(grid: Grid, courses: list[Course]) -> tuple[Floats, Floats]:
    """Return for each cell the metres to the nearest river, and that river's bed there.

    Jump flooding: each cell asks the cells 512, 256, ... 1 away which point they know.
    """
    starts = np.concatenate([course.xy[:-1] for course in courses])
    ends = np.concatenate([course.xy[1:] for course in courses])
    beds = np.concatenate([course.bed_m[1:] for course in courses])
    middle = (starts + ends) / 2
    # A point every 100 m or less, each with the segment that it lies on.
    parts = np.maximum(1, np.ceil(np.hypot(*(ends - starts).T) / 90)).astype(np.int64)
    segment = np.repeat(np.arange(len(middle)), parts)
    share = (np.arange(len(segment)) - np.repeat(parts.cumsum() - parts, parts) + 0.5) / np.repeat(
        parts, parts
    )
    points = starts[segment] + share[:, None] * (ends - starts)[segment]
    known = np.full((grid.rows, grid.columns), -1, dtype=np.int32)
    row, column = grid.cell_of(points)
    known[row, column] = np.arange(len(points))
    x, y = grid.centres()
    px, py = points.T.astype(np.float32)
    x32 = np.broadcast_to(x.astype(np.float32)[None, :], known.shape)
    y32 = np.broadcast_to(y.astype(np.float32)[:, None], known.shape)

    def squared(
        index: npt.NDArray[np.int32], window: tuple[slice, slice]
    ) -> npt.NDArray[np.float32]:
        gap = (px[index] - x32[window]) ** 2 + (py[index] - y32[window]) ** 2
        return np.where(index < 0, np.float32(np.inf), gap)

    best = squared(known, np.s_[:, :])
    jump = 512
    while jump:
        for up in (-jump, 0, jump):
            for right in (-jump, 0, jump):
                if not (up or right):
                    continue
                here = _window(up, grid.rows), _window(right, grid.columns)
                there = _window(-up, grid.rows), _window(-right, grid.columns)
                theirs = known[there]
                gap = squared(theirs, here)
                closer = gap < best[here]
                np.copyto(best[here], gap, where=closer)
                np.copyto(known[here], theirs, where=closer)
        jump //= 2
    lies_on = segment[known]
    start, along = starts[lies_on], (ends - starts)[lies_on]
    from_start = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1) - start
    share = np.clip((from_start * along).sum(-1) / (along**2).sum(-1), 0, 1)
    away = from_start - share[..., None] * along
    return np.hypot(away[..., 0], away[..., 1]), beds[lies_on]


def _window(shift: int, size: int) -> slice:
    return slice(max(0, -shift), min(size, size - shift))


def river_shape(course: Course, tolerance_m: float) -> Polygon | MultiPolygon:
    """Return the water of a river, as wide at each point as its catchment makes it."""
    line = LineString(course.xy).simplify(tolerance_m)
    xy = np.asarray(line.coords)
    nearest = ((xy[:, None, :] - course.xy[None, :, :]) ** 2).sum(-1).argmin(1)
    width = course.width_m[nearest]
    discs = shapely.buffer(shapely.points(xy), width / 2, quad_segs=2)
    reaches = [shapely.union(discs[i], discs[i + 1]).convex_hull for i in range(len(discs) - 1)]
    return cast("Polygon | MultiPolygon", shapely.union_all(reaches).simplify(2.0))
