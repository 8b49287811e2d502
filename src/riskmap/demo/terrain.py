"""Land and water of the demo city."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, Polygon

from riskmap.demo.ground import Cover, Floats, Grid, River, Terrain, random_of
from riskmap.demo.names import Names
from riskmap.demo.noise import box_mean, smooth_noise
from riskmap.demo.relief import Relief, frame, inside, make_relief, regions_above
from riskmap.demo.rivers import (
    LARGE_KM2,
    Course,
    make_courses,
    nearest_river,
    river_shape,
)

RESERVOIRS: Final = 6
LAKES: Final = 4
RIVER_TOLERANCE_M: Final = 22.0
HILL_TOLERANCE_M: Final = 45.0


@dataclass(eq=False)
class _Water:
    shape: Polygon
    name: tuple[str, str]
    cover_class: str


def make_terrain(seed: int) -> Terrain:
    """Return sea, land, hills, rivers, reservoirs and lakes of a seed."""
    relief = make_relief(seed)
    grid = relief.grid
    courses = make_courses(seed, relief)
    names = Names(random_of(seed, "water names"))
    river_m, bed_m = nearest_river(grid, courses)
    elevation = relief.elevation_m
    dry = elevation > 0
    # A flat floor of 100 m, then sides that steepen: 11 m up at 500 m, 41 m at 1 km. Capes and
    # islands drain to the sea, so far from a river nothing is cut.
    valley = np.maximum(0, river_m - 100)
    carved = bed_m + 0.012 * valley + 35 * (valley / 1000) ** 2
    elevation = np.where(dry & (river_m < 4000), np.minimum(elevation, carved), elevation)
    elevation = np.where(dry, np.maximum(elevation, 0.2), elevation)
    random = random_of(seed, "lakes")
    water = _reservoirs(random, relief, courses, elevation, names)
    water += _lakes(random, relief, elevation, river_m, names)
    land = dry.copy()
    for body in water:
        wet = inside(grid, body.shape)
        land[wet] = False
    north, east = np.gradient(elevation, grid.cell_m)
    slope = np.where(land, np.hypot(north, east), 0.0)
    rivers = [_river(course, names) for course in courses]
    return Terrain(
        grid=grid,
        elevation_m=elevation,
        slope=slope,
        land=land,
        river_m=river_m,
        rivers=tuple(rivers),
        cover=tuple(_cover(relief, elevation, water, courses, rivers, names)),
        land_shape=relief.land_shape,
        lonely_island=relief.lonely_island,
        ferry_island=relief.ferry_island,
        harbour=relief.harbour,
    )


def _river(course: Course, names: Names) -> River:
    area_km2 = float(course.catchment_km2[-1])
    if area_km2 > LARGE_KM2:
        name, name_en = names.place("河", "River")
    else:
        name, name_en = names.place("溪", "Stream")
    line = LineString(course.xy)
    return River(name, name_en, line, round(float(course.width_m[-1]), 1), round(area_km2, 1))


def _reservoirs(
    random: np.random.Generator,
    relief: Relief,
    courses: list[Course],
    elevation: Floats,
    names: Names,
) -> list[_Water]:
    """Dam valleys: raise `elevation` to the water's level behind each dam, and return the water."""
    grid = relief.grid
    sites = []
    for course in courses:
        fits = (course.catchment_km2 > 12) & (course.catchment_km2 < 260) & (course.bed_m > 35)
        for i in np.flatnonzero(fits)[::4].tolist():
            if 8 < i < len(course.xy) - 4:
                sites.append((course.xy[i], course.xy[i] - course.xy[i - 6], course.bed_m[i]))
    found: list[_Water] = []
    for pick in random.permutation(len(sites)).tolist():
        at, ahead, bed = sites[pick]
        # A pool is found again with each height of the dam until it is as large as it should be.
        for depth_m in (14, 20, 28, 38):
            level = float(bed) + depth_m
            pool = _pool(grid, elevation, at, ahead, level)
            area_km2 = pool.sum() * (grid.cell_m / 1000) ** 2
            if area_km2 > 1.2:
                break
        if not 1.2 < area_km2 < 9:
            continue
        shapes = regions_above(grid, _soft(pool), 0.5)
        shape = shapely.simplify(shapes[0], 25.0)
        if not isinstance(shape, Polygon) or any(
            shape.distance(other.shape) < 6000 for other in found
        ):
            continue
        elevation[pool] = level
        found.append(_Water(shape, names.place("水库", "Reservoir"), "reservoir"))
        if len(found) == RESERVOIRS:
            break
    return found


def _pool(
    grid: Grid, elevation: Floats, at: Floats, ahead: Floats, level: float
) -> npt.NDArray[np.bool_]:
    """Return the cells below the level that water behind a dam reaches."""
    pool = np.zeros_like(elevation, dtype=np.bool_)
    reach = 55
    row, column = (int(value) for value in grid.cell_of(at))
    row_0, row_1 = max(row - reach, 0), min(row + reach + 1, grid.rows)
    column_0, column_1 = max(column - reach, 0), min(column + reach + 1, grid.columns)
    x, y = grid.centres()
    behind = (x[None, column_0:column_1] - at[0]) * ahead[0] + (
        y[row_0:row_1, None] - at[1]
    ) * ahead[1] < 0
    low = behind & (elevation[row_0:row_1, column_0:column_1] < level)
    step = 250 * ahead / max(1.0, float(np.hypot(*ahead)))
    row, column = (int(value) for value in grid.cell_of(at - step))
    wet = np.zeros_like(low)
    wet[row - row_0, column - column_0] = low[row - row_0, column - column_0]
    size = -1
    # Spread by one cell a round until nothing is added: a pool is some 50 cells long.
    while size != (size := int(wet.sum())):
        spread = wet.copy()
        spread[1:] |= wet[:-1]
        spread[:-1] |= wet[1:]
        spread[:, 1:] |= wet[:, :-1]
        spread[:, :-1] |= wet[:, 1:]
        wet = spread & low
    edge = wet[0].any() or wet[-1].any() or wet[:, 0].any() or wet[:, -1].any()
    if not edge:
        pool[row_0:row_1, column_0:column_1] = wet
    return pool


def _soft(mask: npt.NDArray[np.bool_]) -> Floats:
    """Return a mask blurred, so that its outline at one half has no stairs."""
    return box_mean(box_mean(mask.astype(np.float64), 1), 1)


def _lakes(
    random: np.random.Generator,
    relief: Relief,
    elevation: Floats,
    river_m: Floats,
    names: Names,
) -> list[_Water]:
    """Lay lakes into the plain, clear of rivers and coast."""
    grid = relief.grid
    x, y = grid.centres()
    ripple = smooth_noise(random, grid, 4000, 900)
    rough = box_mean(np.hypot(*np.gradient(elevation, grid.cell_m)), 10)
    free = (river_m > 1500) & (river_m < 6000) & (relief.inland_km > 4) & (rough < 0.02)
    free[:40] = free[-40:] = False
    free[:, :40] = free[:, -40:] = False
    found: list[_Water] = []
    rows, columns = np.nonzero(free)
    for pick in random.permutation(len(rows)).tolist():
        row, column = int(rows[pick]), int(columns[pick])
        at = (x[column], y[row])
        point = shapely.Point(at)
        if any(point.distance(other.shape) < 9000 for other in found):
            continue
        radius = random.uniform(450, min(1200, river_m[row, column] - 700))
        distance = np.hypot(x[None, :] - at[0], y[:, None] - at[1])
        field = radius * (1 + 0.3 * ripple) - distance
        shape = shapely.simplify(regions_above(grid, field, 0.0)[0], 20.0)
        if not isinstance(shape, Polygon):
            continue
        wet = inside(grid, shape)
        elevation[wet] = max(0.3, float(elevation[wet].min()) - 0.5)
        found.append(_Water(shape, names.place("湖", "Lake"), "lake"))
        if len(found) == LAKES:
            break
    return found


def _cover(
    relief: Relief,
    elevation: Floats,
    water: list[_Water],
    courses: list[Course],
    rivers: list[River],
    names: Names,
) -> list[Cover]:
    grid = relief.grid
    cover = []
    for part in _parts(shapely.difference(frame(grid), relief.land_shape), 0.0):
        cover.append(Cover("sea", "演示海", "Demo Sea", part))
    # What stands out of the ground around it, so that the rising plain is no hill.
    smooth = box_mean(box_mean(elevation, 2), 2)
    steep = box_mean(np.hypot(*np.gradient(smooth, grid.cell_m)), 6)
    height = np.maximum(smooth - 95, 0) / 60 + np.minimum(steep / 0.075, 1.6) - 0.6
    height[elevation <= 0] = np.minimum(height[elevation <= 0], 0)
    for part in regions_above(grid, box_mean(height, 3), 1.0, step=2):
        if part.area < 1.5e6:
            break
        holes = [ring for ring in part.interiors if Polygon(ring).area > 0.8e6]
        hill = shapely.simplify(Polygon(part.exterior, holes), HILL_TOLERANCE_M)
        name, name_en = names.place("山", "Hills")
        for piece in _parts(shapely.intersection(hill, relief.land_shape), 0.5e6):
            cover.append(Cover("hill", name, name_en, piece))
    for course, river in zip(courses, rivers, strict=True):
        shape = river_shape(course, RIVER_TOLERANCE_M)
        cover.append(Cover("river", river.name, river.name_en, shape))
    for body in water:
        cover.append(Cover(body.cover_class, *body.name, body.shape))
    return cover


def _parts(shape: shapely.Geometry, smallest_m2: float) -> list[Polygon]:
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    parts = [part for part in parts if part.area > smallest_m2]
    return sorted(parts, key=lambda part: (-part.area, part.bounds))
