"""Where the people of the demo city live and work, and its divisions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import Polygon

from riskmap.demo.divisions import make_divisions
from riskmap.demo.ground import (
    Cover,
    Division,
    Floats,
    Grid,
    Park,
    People,
    Terrain,
    random_of,
)
from riskmap.demo.names import Names
from riskmap.demo.noise import box_mean, smooth_noise
from riskmap.demo.relief import inside, regions_above

RESIDENTS: Final = 9_013_527
CELL_M: Final = 500.0
MOST_CELLS: Final = 12_500
# Residents per km²: old towns reach 25,000 to 30,000.
DENSEST: Final = 28_000.0
TOWNS: Final = 110
# Of the island that nobody reaches, and of the ferry's: villages, no towns.
LONELY_RESIDENTS: Final = 640
FERRY_RESIDENTS: Final = 2400
PARKS: Final = ("chemical", "chemical", "chemical", "port", *("general",) * 8)
PARK_TITLES: Final = {
    "chemical": ("化工园区", "Chemical Park"),
    "port": ("港区", "Port"),
    "general": ("产业园", "Industrial Park"),
}


Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def make_people(seed: int, terrain: Terrain) -> People:
    """Return residents, industrial parks, divisions and built-up ground of a seed."""
    grid = terrain.grid
    random = random_of(seed, "people")
    names = Names(random_of(seed, "place names"))
    fit = _fitness(terrain)
    islands = [
        (inside(grid, terrain.lonely_island), LONELY_RESIDENTS),
        (inside(grid, terrain.ferry_island), FERRY_RESIDENTS),
    ]
    off_shore = islands[0][0] | islands[1][0]
    village = np.where(terrain.land & (terrain.slope < 0.2), 0.4 + fit, 0.0)[off_shore]
    fit[off_shore] = 0.0
    centres = _centres(random, terrain, fit)
    wish = _wish(random, terrain, fit, centres)
    areas = _park_areas(random, terrain, wish, terrain.land & ~off_shore)
    wish[off_shore] = village
    for _, shape in areas:
        wish[inside(grid, shape)] = 0.0
    cell_xy, cell_people = _cells(terrain, wish, islands)
    # The density follows the cells, so that raster and cells tell one story.
    row, column = grid.cell_of(cell_xy)
    density = np.zeros_like(wish)
    half = int(CELL_M // grid.cell_m) // 2
    per_km2 = cell_people / (CELL_M / 1000) ** 2
    for down in range(-half, half + 1):
        for across in range(-half, half + 1):
            density[row + down, column + across] = per_km2
    density *= terrain.land
    divisions = make_divisions(seed, terrain, density, centres, cell_xy, cell_people)
    parks = _name_parks(areas, divisions, names)
    cover = _cover(random, terrain, density, parks, names)
    return People(density, cell_xy, cell_people, CELL_M, parks, divisions, cover)


def _fitness(terrain: Terrain) -> Floats:
    """Return how well a cell suits a settlement, 0 to 1: flat, low, dry."""
    slope = box_mean(terrain.slope, 2)
    flat = np.clip(1 - slope / 0.12, 0, 1)
    low = np.clip(1.2 - np.maximum(terrain.elevation_m, 0) / 500, 0.05, 1)
    bed = np.clip((terrain.river_m - 120) / 300, 0, 1)
    steep = terrain.slope > 0.25
    return np.where(terrain.land & ~steep, flat**1.5 * low * bed, 0.0)


def _centres(random: np.random.Generator, terrain: Terrain, fit: Floats) -> Floats:
    """Return the centres of the 11 districts: six of the city around the bay, five outer ones."""
    grid = terrain.grid
    x, y = grid.centres()
    room = np.maximum(box_mean(fit, 15), 0)  # sums round to a hair below 0
    margin = 60  # cells: a town at the frame would be cut in half
    room[:margin] = room[-margin:] = 0
    room[:, :margin] = room[:, -margin:] = 0
    from_bay = np.hypot(x[None, :] - terrain.harbour[0], y[:, None] - terrain.harbour[1])
    jitter = 1 + 0.15 * smooth_noise(random, grid, 40_000, 10_000)
    found: list[tuple[float, float]] = []
    for number in range(11):
        nearest = np.full(room.shape, np.inf)
        for at in found:
            nearest = np.minimum(nearest, np.hypot(x[None, :] - at[0], y[:, None] - at[1]))
        if number == 0:
            score = room**2 / (1 + from_bay / 4000)
        elif number < 6:
            score = np.where((nearest > 7500) & (nearest < 22_000), room**2, 0)
            score = score / (1 + from_bay / 15_000)
        else:
            score = room**1.5 * np.minimum(nearest, 32_000)
        row, column = np.unravel_index(int(np.argmax(score * jitter)), score.shape)
        found.append((float(x[column]), float(y[row])))
    return np.array(found)


def _hump(grid: Grid, at: Floats, radius_m: float) -> tuple[slice, slice, Floats]:
    """Return exp(-(d/r)^1.3) around a point, cut off at six radii, and where it lies."""
    reach = int(6 * radius_m / grid.cell_m)
    row, column = (int(value) for value in grid.cell_of(at))
    rows = slice(max(0, row - reach), min(grid.rows, row + reach + 1))
    columns = slice(max(0, column - reach), min(grid.columns, column + reach + 1))
    x, y = grid.centres()
    distance = np.hypot(x[None, columns] - at[0], y[rows, None] - at[1])
    return rows, columns, np.exp(-((distance / radius_m) ** 1.3))


def _wish(random: np.random.Generator, terrain: Terrain, fit: Floats, centres: Floats) -> Floats:
    """Return residents per km² as they would settle, not yet scaled to the city's number."""
    grid = terrain.grid
    field = 14.0 * fit**0.5 + 90.0 * fit
    peaks = (26_000, 20_000, 17_000, 15_000, 13_000, 12_000, *(8_500,) * 5)
    radii = (4200, 3600, 3000, 2800, 2600, 2500, *(1700,) * 5)
    for at, peak, radius in zip(centres, peaks, radii, strict=True):
        rows, columns, hump = _hump(grid, at, radius * random.uniform(0.9, 1.15))
        field[rows, columns] += peak * hump
    # Towns stand apart from each other, rather near a river than far from one.
    near = np.exp(-terrain.river_m / 6000)
    room = np.maximum(box_mean(fit, 6), 0) * (0.4 + near)
    chance = np.where(fit > 0.3, room**2, 0).ravel()
    picks = random.choice(chance.size, size=2500, replace=False, p=chance / chance.sum())
    x, y = grid.centres()
    towns: list[tuple[float, float]] = []
    for pick in picks.tolist():
        at = (float(x[pick % grid.columns]), float(y[pick // grid.columns]))
        if all(np.hypot(at[0] - other[0], at[1] - other[1]) > 4200 for other in towns):
            towns.append(at)
        if len(towns) == TOWNS:
            break
    for at in towns:
        rows, columns, hump = _hump(grid, np.array(at), random.uniform(450, 1000))
        field[rows, columns] += random.uniform(3500, 9000) * hump
    # Villages: knots of a few hundred metres in the open land.
    knots = np.clip(smooth_noise(random, grid, 3000, 800, 1.0) - 1.2, 0, None)
    field += 900.0 * knots * fit
    lumpy = np.exp(0.35 * smooth_noise(random, grid, 5000, 900))
    field = field * lumpy * np.where(fit > 0, 0.25 + 0.75 * fit, 0.0)
    field[~terrain.land] = 0.0
    return np.minimum(field, DENSEST)


def _park_areas(
    random: np.random.Generator, terrain: Terrain, wish: Floats, mainland: Bools
) -> list[tuple[str, Polygon]]:
    """Lay out the industrial parks: the chemical ones and the port by the sea, all off homes."""
    grid = terrain.grid
    x, y = grid.centres()
    sea = box_mean((terrain.elevation_m <= 0).astype(np.float64), 25)
    people = box_mean(wish, 12)
    flat = box_mean(((terrain.slope < 0.06) & mainland).astype(np.float64), 12)
    from_bay = np.hypot(x[None, :] - terrain.harbour[0], y[:, None] - terrain.harbour[1])
    frame = np.zeros_like(people)
    frame[60:-60, 60:-60] = 1.0
    dry = np.clip(terrain.river_m / 600, 0, 1)
    calm = flat**3 * frame * dry
    coast = calm * np.clip(sea * 6, 0, 1) * np.exp(-people / 900)
    busy = calm * np.exp(-(((np.log10(people + 1) - 3.0) / 0.35) ** 2))
    found: list[tuple[str, Polygon]] = []
    land = terrain.land_shape
    water = shapely.union_all(
        [cover.shape for cover in terrain.cover if cover.cover_class in ("lake", "reservoir")]
    )
    for kind in PARKS:
        score = {
            "chemical": coast / (1 + from_bay / 40_000),
            "port": calm * np.clip(sea * 6, 0, 1) / (1 + from_bay / 3000),
            "general": busy,
        }[kind] * random.uniform(0.75, 1.0, people.shape)
        apart = np.full(score.shape, np.inf)
        for _, other in found:
            at = other.centroid
            apart = np.minimum(apart, np.hypot(x[None, :] - at.x, y[:, None] - at.y))
        score = np.where(apart > (9000 if kind == "chemical" else 5000), score, 0)
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        shape = _block(random, (float(x[column]), float(y[row])), kind)
        shape = max(
            shapely.get_parts(shape.intersection(land).difference(water)), key=lambda p: p.area
        )
        found.append((kind, Polygon(shape.exterior)))
    return found


def _block(random: np.random.Generator, at: tuple[float, float], kind: str) -> Polygon:
    """Return a turned rectangle with its corners cut off, as plots of industry are."""
    long_m = random.uniform(1700, 3400) * (1.15 if kind == "chemical" else 1.0)
    wide_m = long_m * random.uniform(0.5, 0.8)
    cut = 0.12 * wide_m
    a, b = long_m / 2, wide_m / 2
    corners = np.array(
        [(-a + cut, -b), (a - cut, -b), (a, -b + cut), (a, b - cut), (a - cut, b), (-a, b)]
    )
    turn = random.uniform(0, np.pi)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return Polygon(corners @ spin.T + at)


def _cells(terrain: Terrain, wish: Floats, islands: list[tuple[Bools, int]]) -> tuple[Floats, Ints]:
    """Share the residents out among the fullest cells, to the last one.

    A cell counts as dry if its centre is: nobody lives in the water. The islands have residents of
    their own number, shared out by what is wished for on each.
    """
    grid = terrain.grid
    size = int(CELL_M // grid.cell_m)
    rows, columns = grid.rows // size, grid.columns // size
    parts = (rows, size, columns, size)
    weight = wish[: rows * size, : columns * size].reshape(parts).mean((1, 3)).ravel()
    row, column = np.divmod(np.arange(rows * columns), columns)
    xy = np.column_stack(
        [grid.west_m + (column + 0.5) * CELL_M, grid.south_m + (row + 0.5) * CELL_M]
    )
    weight[~_dry(terrain, xy)] = 0.0
    people = np.zeros(len(weight), dtype=np.int64)
    for mask, residents in islands:
        own = np.flatnonzero(grid.sample(mask, xy) & (weight > 0))
        people[own] = _whole(weight[own] / weight[own].sum() * residents, residents)
        weight[own] = 0.0
    left = int(RESIDENTS - people.sum())
    fullest = np.argsort(-weight, kind="stable")[: MOST_CELLS - np.count_nonzero(people)]
    fullest = np.sort(fullest[weight[fullest] > 0])
    # The densest cells give what exceeds the bound to all others, a few rounds suffice.
    share = weight[fullest] / weight[fullest].sum() * left
    most = DENSEST * (CELL_M / 1000) ** 2
    for _ in range(40):
        share = np.minimum(share, most)
        free = share < most
        share[free] *= (left - share[~free].sum()) / share[free].sum()
    people[fullest] = _whole(share, left)
    lived_in = np.flatnonzero(people)
    return xy[lived_in], people[lived_in]


def _dry(terrain: Terrain, xy: Floats) -> Bools:
    """Return which points lie on land, by the shapes: rasters differ from them by half a cell."""
    water = shapely.union_all(
        [cover.shape for cover in terrain.cover if cover.cover_class in ("lake", "reservoir")]
    )
    shapely.prepare(terrain.land_shape)
    shapely.prepare(water)
    ashore = shapely.contains_xy(terrain.land_shape, xy) & ~shapely.contains_xy(water, xy)
    return np.asarray(ashore & terrain.grid.sample(terrain.land, xy), dtype=np.bool_)


def _whole(share: Floats, total: int) -> Ints:
    """Round shares to whole persons, at least one each, who add up to the total.

    Largest remainders get the persons that rounding leaves over.
    """
    people = np.maximum(1, np.floor(share)).astype(np.int64)
    order = np.argsort(-(share - np.floor(share)), kind="stable")
    people[order[: max(0, total - int(people.sum()))]] += 1
    return people


def _name_parks(
    areas: list[tuple[str, Polygon]], divisions: tuple[Division, ...], names: Names
) -> tuple[Park, ...]:
    districts = [division for division in divisions if division.level == "district"]
    parks = []
    for kind, shape in areas:
        overlap = [district.shape.intersection(shape).area for district in districts]
        name, name_en = names.place(*PARK_TITLES[kind])
        code = districts[int(np.argmax(overlap))].code
        parks.append(Park(name, name_en, kind, code, shape))
    return tuple(parks)


def _cover(
    random: np.random.Generator,
    terrain: Terrain,
    density: Floats,
    parks: tuple[Park, ...],
    names: Names,
) -> tuple[Cover, ...]:
    """Return built-up ground, industrial parks and green parks."""
    grid = terrain.grid
    cover = []
    smooth = box_mean(box_mean(density, 3), 2)
    for shape in regions_above(grid, np.where(terrain.land, smooth, 0), 1300.0, step=2):
        if shape.area < 0.4e6:
            break
        holes = [ring for ring in shape.interiors if Polygon(ring).area > 0.3e6]
        town = shapely.simplify(Polygon(shape.exterior, holes), 40.0)
        for part in _polygons(town.intersection(terrain.land_shape)):
            cover.append(Cover("built_up", *names.place("建成区", "Built-up area"), part))
    cover += [Cover("industrial", park.name, park.name_en, park.shape) for park in parks]
    chance = np.where((smooth > 2500) & terrain.land, np.sqrt(np.maximum(smooth, 0)), 0).ravel()
    x, y = grid.centres()
    ripple = smooth_noise(random, grid, 1500, 400)
    taken: list[Polygon] = []
    for pick in random.choice(
        chance.size, size=600, replace=False, p=chance / chance.sum()
    ).tolist():
        row, column = pick // grid.columns, pick % grid.columns
        at = np.array((x[column], y[row]))
        radius = random.uniform(250, 750)
        reach = 20
        rows = slice(max(0, row - reach), row + reach + 1)
        columns = slice(max(0, column - reach), column + reach + 1)
        distance = np.hypot(x[None, columns] - at[0], y[rows, None] - at[1])
        field = np.full(smooth.shape, -1.0)
        field[rows, columns] = radius * (1 + 0.25 * ripple[rows, columns]) - distance
        shapes = regions_above(grid, field, 0.0)
        parts = _polygons(shapes[0].intersection(terrain.land_shape)) if shapes else []
        if not parts or parts[0].area < 0.08e6:
            continue
        green = shapely.simplify(parts[0], 15.0)
        if any(green.distance(other) < 700 for other in taken):
            continue
        taken.append(green)
        cover.append(Cover("park", *names.place("公园", "Park"), green))
        if len(taken) == 60:
            break
    return tuple(cover)


def _polygons(shape: Any) -> list[Polygon]:
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    return sorted((part for part in parts if part.area > 10_000), key=lambda part: -part.area)
