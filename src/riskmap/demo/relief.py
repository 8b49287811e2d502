"""Coast, islands and hills of the demo city, before rivers cut into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import contourpy
import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon, box

from riskmap.demo.ground import Floats, Grid, random_of
from riskmap.demo.noise import box_mean, ridges, smooth_noise

KM: Final = 1000.0
# The largest whole box of metres inside BOX: its edges are 440,339 to 441,062 in the west, 558,938
# to 559,661 in the east, 3,824,671 to 3,824,863 in the south and 3,935,613 to 3,935,808 in the
# north. Even numbers of cells, as rivers are routed on cells twice as wide.
GRID: Final = Grid(west_m=441_100, south_m=3_824_900, cell_m=100, columns=1178, rows=1106)
SMALLEST_ISLAND_M2: Final = 0.12e6
COAST_TOLERANCE_M: Final = 22.0
# Open water around the lonely and the ferry's island; 3 km are promised, the coast is simplified.
OFFSHORE_KM: Final = 3.3


@dataclass(frozen=True, eq=False)
class Relief:
    """The uncut ground; the sea lies below 0."""

    grid: Grid
    elevation_m: Floats
    # Kilometres from the coast, about; negative at sea.
    inland_km: Floats
    land_shape: MultiPolygon
    lonely_island: Polygon
    ferry_island: Polygon
    harbour: tuple[float, float]


def frame(grid: Grid) -> Polygon:
    """Return the outline of the grid."""
    return box(
        grid.west_m,
        grid.south_m,
        grid.west_m + grid.columns * grid.cell_m,
        grid.south_m + grid.rows * grid.cell_m,
    )


def regions_above(grid: Grid, field: Floats, level: float, *, step: int = 1) -> list[Polygon]:
    """Return where a field lies above a level, largest first; `step` thins the raster."""
    x, y = grid.centres()
    x, y, field = x[::step], y[::step], field[::step, ::step]
    # A rim below every level closes the shapes on the outline of the grid, and the clip cuts it.
    padded = np.pad(field, 1, mode="edge")
    x = np.concatenate(([x[0] - step * grid.cell_m], x, [x[-1] + step * grid.cell_m]))
    y = np.concatenate(([y[0] - step * grid.cell_m], y, [y[-1] + step * grid.cell_m]))
    generator = contourpy.contour_generator(x, y, padded, fill_type=contourpy.FillType.OuterOffset)
    # With OuterOffset the answer is this pair; the stubs know the union of all fill types.
    points, offsets = cast(
        "tuple[list[Floats], list[npt.NDArray[np.uint32]]]", generator.filled(level, np.inf)
    )
    shapes = []
    for ring, offset in zip(points, offsets, strict=True):
        rings = [ring[offset[i] : offset[i + 1]] for i in range(len(offset) - 1)]
        if len(rings[0]) >= 4:
            shapes.append(Polygon(rings[0], rings[1:]))
    whole = shapely.intersection(shapely.union_all(shapely.make_valid(shapes)), frame(grid))
    parts = [part for part in shapely.get_parts(whole) if isinstance(part, Polygon)]
    return sorted(parts, key=lambda part: (-part.area, part.bounds))


def inside(grid: Grid, shape: Polygon | MultiPolygon) -> npt.NDArray[np.bool_]:
    """Return which cells have their centre in a shape; only its box is looked at."""
    mask = np.zeros((grid.rows, grid.columns), dtype=np.bool_)
    west, south, east, north = shape.bounds
    (row_0, row_1), (column_0, column_1) = grid.cell_of(np.array([[west, south], [east, north]]))
    x, y = grid.centres()
    window = np.s_[row_0 : row_1 + 1, column_0 : column_1 + 1]
    xx, yy = np.meshgrid(x[window[1]], y[window[0]])
    shapely.prepare(shape)
    mask[window] = shapely.contains_xy(shape, xx, yy)
    return mask


def make_relief(seed: int) -> Relief:
    """Return coast, islands and hills."""
    grid = GRID
    random = random_of(seed, "relief")
    x, y = grid.centres()
    east = (x - x.mean())[None, :] / KM
    north = (y - y.mean())[:, None] / KM
    # Out to sea is east-south-east; `out` and `along` are the kilometres on these two axes.
    bearing = np.radians(random.uniform(-42, -14))
    out = east * np.cos(bearing) + north * np.sin(bearing)
    along = -east * np.sin(bearing) + north * np.cos(bearing)
    coast = random.uniform(12, 18)
    inland = coast - out
    inland = inland + 3.4 * smooth_noise(random, grid, 60 * KM, 14 * KM)
    # The bay, and the peninsula that shelters it on one side.
    side = 1.0 if random.random() < 0.5 else -1.0
    bay = random.uniform(-9, 9)
    bay_depth = random.uniform(4, 8)
    turn = 0.35 * side * (out - coast)
    inland -= 24 * np.exp(
        -(((along - bay - 0.5 * turn) / random.uniform(7, 9)) ** 2)
        - ((out - coast + bay_depth) / random.uniform(10, 13)) ** 2
    )
    cape = bay - side * random.uniform(15, 18)
    inland += 25 * np.exp(
        -(((along - cape - turn) / random.uniform(5.5, 7)) ** 2)
        - ((out - coast - 11) / random.uniform(9, 12)) ** 2
    )
    harbour_at = (bay, coast - bay_depth)
    cos, sin = np.cos(bearing), np.sin(bearing)
    harbour = (
        float(x.mean() + KM * (harbour_at[1] * cos - harbour_at[0] * sin)),
        float(y.mean() + KM * (harbour_at[1] * sin + harbour_at[0] * cos)),
    )
    # Small capes and coves; a rocky shore by the hills, a smooth one along the plain.
    hills_at = bay + side * random.uniform(20, 27)
    coastal = np.exp(-(((along - hills_at) / 11) ** 2) - (((out - coast + 6) / 9) ** 2))
    rough = smooth_noise(random, grid, 12 * KM, 1.2 * KM, 1.7)
    inland += (0.45 + 0.9 * coastal + 0.35 * np.clip(-inland / 10, 0, 1)) * rough
    domes, sites = _islands(random, grid, inland, east, north)
    inland = np.maximum(inland, domes)

    # The plain: 2.3 m a kilometre at the coast, flatter inland.
    elevation = np.where(inland > 0, 95 * (1 - np.exp(-inland / 42)), 5 * inland)
    ashore = np.clip(inland / 6, 0, 1)
    elevation += ashore * 6 * smooth_noise(random, grid, 14 * KM, 1.5 * KM, 1.3)
    elevation += _hills(random, grid, inland, coastal, out - coast, along, side)
    # Islands rise as hills of their own, to some 40 m a kilometre from their shore.
    elevation += np.where((domes >= inland) & (inland > 0), 55 * inland * (1 + 0.3 * rough), 0)
    elevation = np.where(
        inland > 0,
        np.maximum(elevation, 0.4 + 1.5 * np.clip(inland, 0, 1)),
        np.minimum(elevation, 5 * inland),
    )
    land = _land(grid, inland, elevation)
    islands = [_holding(land, grid, at) for at in sites]
    return Relief(grid, elevation, inland, MultiPolygon(land), islands[0], islands[1], harbour)


def _hills(
    random: np.random.Generator,
    grid: Grid,
    inland: Floats,
    coastal: Floats,
    out: Floats,
    along: Floats,
    side: float,
) -> Floats:
    """Return the heights of the inland range, of the coastal group and of scattered low hills."""
    bend = 4.0 * smooth_noise(random, grid, 50 * KM, 20 * KM)
    axis = random.uniform(50, 58)
    range_mask = np.exp(-(((out + axis + bend + 0.18 * along) / 13) ** 2)) / (
        1 + np.exp(-(along + random.uniform(2, 18)) / 6)
    )
    low_mask = np.clip(smooth_noise(random, grid, 45 * KM, 15 * KM) - 0.35, 0, 1.2) / 1.2
    low_mask = low_mask * np.clip((inland - 9) / 14, 0, 1)
    crest = ridges(random, grid, 16 * KM, 1.6 * KM)
    shore = np.clip(inland / 1.5, 0, 1)
    hills = np.zeros_like(crest)
    for mask, top in (
        (range_mask, random.uniform(880, 1080)),
        (coastal, random.uniform(720, 960)),
        (low_mask, random.uniform(260, 420)),
    ):
        shape = mask**1.15 * (0.12 + 0.88 * crest**1.3) * shore
        hills = np.maximum(hills, top * shape / shape.max())
    return hills


def _islands(
    random: np.random.Generator, grid: Grid, inland: Floats, east: Floats, north: Floats
) -> tuple[Floats, list[tuple[float, float]]]:
    """Return what the islands add to `inland`, and the kilometres of lonely and ferry island."""
    margin = 60
    inner = np.zeros_like(inland, dtype=np.bool_)
    inner[margin:-margin, margin:-margin] = True
    ripple = smooth_noise(random, grid, 5 * KM, 0.9 * KM)
    domes = np.full_like(inland, -np.inf)
    taken: list[tuple[float, float]] = []
    mainland = (inland > 0).astype(np.float64)
    cells_per_km = KM / grid.cell_m
    too_near = box_mean(mainland, int(OFFSHORE_KM * cells_per_km)) > 0
    # Kilometres offshore from and to, radius, and the distance kept to other islands.
    plan = [(23.0, 30.0, 1.25, 9.0), (6.5, 9.5, 2.5, 9.0)]
    plan += [(2.5, 14.0, random.uniform(0.35, 0.8), 3.5) for _ in range(7)]
    for nearest, farthest, radius, apart in plan:
        free = inner & (inland < -nearest) & (inland > -farthest)
        for at in taken:
            free &= np.hypot(east - at[0], north - at[1]) > apart
        if len(taken) < 2:
            # `inland` is no distance where a cape bends it: the middle keeps clear by the radius,
            # too, wherever there is such a place.
            reach = int((OFFSHORE_KM + 1.3 * radius) * cells_per_km)
            clear = free & (box_mean(mainland, reach) == 0)
            free = clear if clear.any() else free & ~too_near
        rows, columns = np.nonzero(free)
        if not len(rows):
            continue
        pick = int(random.integers(len(rows)))
        at = (float(east[0, columns[pick]]), float(north[rows[pick], 0]))
        alone = len(taken) < 2
        taken.append(at)
        stretch, angle = random.uniform(0.65, 0.95), random.uniform(0, np.pi)
        across = (east - at[0]) * np.cos(angle) + (north - at[1]) * np.sin(angle)
        up = (north - at[1]) * np.cos(angle) - (east - at[0]) * np.sin(angle)
        distance = np.hypot(across * stretch, up / stretch)
        dome = radius * (1 + 0.22 * ripple) - distance
        if alone:
            dome[too_near] = -1.0
        domes = np.maximum(domes, dome)
    return domes, taken[:2]


def _land(grid: Grid, inland: Floats, elevation: Floats) -> list[Polygon]:
    """Return the land's shapes, mainland first; ponds and rocks go, from the rasters as well."""
    shapes = []
    for part in regions_above(grid, inland, 0.0):
        if part.area < SMALLEST_ISLAND_M2:
            drowned = inside(grid, part)
            inland[drowned] = -0.05
            elevation[drowned] = -0.3
            continue
        for ring in part.interiors:
            pond = inside(grid, Polygon(ring)) & (inland <= 0)
            inland[pond] = 0.05
            elevation[pond] = 1.0
        # Simplified together with nothing beside it: the sea is made from it.
        shapes.append(shapely.simplify(Polygon(part.exterior), COAST_TOLERANCE_M))
    return [part for part in shapes if isinstance(part, Polygon) and part.is_valid]


def _holding(land: list[Polygon], grid: Grid, at: tuple[float, float]) -> Polygon:
    x, y = grid.centres()
    point = shapely.Point(x.mean() + at[0] * KM, y.mean() + at[1] * KM)
    return min(land[1:], key=lambda part: part.distance(point))
