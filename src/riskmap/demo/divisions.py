"""The city's divisions: districts, streets and towns, communities, one inside the other."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from riskmap.demo.ground import Division, Floats, Terrain, random_of
from riskmap.demo.names import CORE, HIGH_TECH, OUTER, Names
from riskmap.demo.noise import smooth_noise
from riskmap.demo.relief import frame

STREETS: Final = 139
COMMUNITIES: Final = 1360
# 99 is no province of GB/T 2260, and 55 none of its functional zones.
CITY_CODE: Final = "9901"
FUNCTIONAL_ZONE_CODE: Final = "990171"
URBAN_PER_KM2: Final = 2000.0

Labels = npt.NDArray[np.int64]
Shapes = npt.NDArray[np.object_]


def make_divisions(
    seed: int,
    terrain: Terrain,
    density: Floats,
    centres: Floats,
    cell_xy: Floats,
    cell_people: npt.NDArray[np.int64],
) -> tuple[Division, ...]:
    """Cut the land into communities and gather them into streets and districts.

    Parameters
    ----------
    centres
        Of the districts, the six of the city first.
    """
    random = random_of(seed, "divisions")
    seats = _seats(random, terrain, density)
    shapes, seats = _communities(random, terrain, seats)
    lonely = len(shapes) - 1
    district = _nearest(seats, centres, np.array([0.62] * 6 + [1.0] * 5))
    outer_of_island = 6 + int(np.argmin(np.hypot(*(centres[6:] - seats[lonely]).T)))
    district[lonely] = outer_of_island
    people = _residents(shapes, cell_xy, cell_people)
    area_km2 = np.array([shape.area for shape in shapes]) / 1e6
    street = _streets(seats, district, people, lonely)
    return _named(seed, shapes, district, street, people, area_km2, lonely)


def _seats(random: np.random.Generator, terrain: Terrain, density: Floats) -> Floats:
    """Return a point for each community, closer to each other where more people live."""
    grid = terrain.grid
    chance = np.where(terrain.land, (density + 25.0) ** 0.62, 0.0).ravel()
    picks = random.choice(chance.size, size=COMMUNITIES * 6, replace=False, p=chance / chance.sum())
    row, column = picks // grid.columns, picks % grid.columns
    x, y = grid.centres()
    xy = np.column_stack([x[column], y[row]]) + random.uniform(-40, 40, (len(picks), 2))
    # A share of the local mean distance keeps neighbours apart: cells of one kind of size.
    apart = 0.55 / np.sqrt(chance[picks] / chance.sum() * COMMUNITIES) * grid.cell_m
    kept: list[int] = []
    for at in range(len(xy)):
        if len(kept) == COMMUNITIES - 1:
            break
        other = xy[kept] if kept else np.zeros((0, 2))
        if not (np.hypot(*(other - xy[at]).T) < apart[at]).any():
            kept.append(at)
    return xy[kept]


def _communities(
    random: np.random.Generator, terrain: Terrain, seats: Floats
) -> tuple[list[MultiPolygon], Floats]:
    """Return the communities' shapes and seats; the last is the island that nobody reaches.

    Borders are cut into pieces and bent together before the shapes are made of them: neighbours
    share them vertex by vertex.
    """
    grid = terrain.grid
    edge = frame(grid)
    lines = shapely.voronoi_polygons(
        shapely.MultiPoint(seats), extend_to=edge.buffer(5000), only_edges=True
    )
    pieces = shapely.segmentize(shapely.get_parts(lines), 350.0)
    bend = [260.0 * smooth_noise(random, grid, 6000, 1800, 2.0) for _ in range(2)]

    def bent(xy: Floats) -> Floats:
        moved: Floats = xy + np.column_stack([grid.sample(field, xy) for field in bend])
        return moved

    # The noise is constant within a raster cell, so equal vertices move equally.
    borders = shapely.set_precision(shapely.transform(shapely.union_all(pieces), bent), 0.5)
    whole = shapely.union_all([borders, shapely.set_precision(edge.exterior, 0.5)])
    faces: Shapes = shapely.get_parts(shapely.polygonize([whole]))
    # Lakes and reservoirs belong to somebody: only the sea is outside.
    dry = [Polygon(part.exterior) for part in terrain.land_shape.geoms]
    island = terrain.lonely_island
    mainland = shapely.MultiPolygon([part for part in dry if not part.intersects(island)])
    cut: Shapes = np.asarray(shapely.intersection(faces, mainland))
    owner = _owners(faces, cut, bent(seats), seats)
    shapes = [_multi(shapely.union_all(cut[owner == number])) for number in range(len(seats))]
    kept = [number for number, shape in enumerate(shapes) if not shape.is_empty]
    found = [shapes[number] for number in kept] + [MultiPolygon([Polygon(island.exterior)])]
    return found, np.vstack([seats[kept], [island.centroid.x, island.centroid.y]])


def _owners(
    faces: npt.NDArray[np.object_], cut: npt.NDArray[np.object_], bent: Floats, seats: Floats
) -> Labels:
    """Return whose each face is: of the seat in it, else of the seat nearest to its land."""
    tree = shapely.STRtree(faces)
    seat, face = tree.query(shapely.points(bent), predicate="intersects")
    owner = np.full(len(faces), -1, dtype=np.int64)
    owner[face] = seat
    for number in np.flatnonzero((owner < 0) & ~shapely.is_empty(cut)):
        at = cut[number].centroid
        owner[number] = int(np.argmin(np.hypot(seats[:, 0] - at.x, seats[:, 1] - at.y)))
    return owner


def _multi(shape: Any) -> MultiPolygon:
    parts = [part for part in shapely.get_parts(shape).tolist() if part.geom_type == "Polygon"]
    parts.sort(key=lambda part: (-part.area, part.bounds))
    return MultiPolygon(parts)


def _nearest(points: Floats, centres: Floats, scale: Floats) -> Labels:
    distance = np.hypot(
        points[:, None, 0] - centres[None, :, 0], points[:, None, 1] - centres[None, :, 1]
    )
    nearest: Labels = np.argmin(distance / scale, axis=1).astype(np.int64)
    return nearest


def _residents(
    shapes: list[MultiPolygon], cell_xy: Floats, cell_people: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return residents by community: of the one that holds a cell's centre, else the nearest."""
    tree = shapely.STRtree(shapes)
    points: Shapes = np.asarray(shapely.points(cell_xy))
    cell, home = tree.query(points, predicate="intersects")
    owner = np.full(len(points), -1, dtype=np.int64)
    owner[cell[::-1]] = home[::-1]  # on a border the first one
    for number in np.flatnonzero(owner < 0):
        owner[number] = int(tree.nearest(points[number]))
    return np.bincount(owner, weights=cell_people, minlength=len(shapes)).astype(np.int64)


def _streets(seats: Floats, district: Labels, people: npt.NDArray[np.int64], lonely: int) -> Labels:
    """Return the street of each community: groups of neighbours, the island one of its own."""
    street = np.full(len(seats), -1, dtype=np.int64)
    members = [
        np.flatnonzero((district == d) & (np.arange(len(seats)) != lonely))
        for d in range(int(district.max()) + 1)
    ]
    # Room for both people and land; every district has at least three.
    weight = np.array([people[m].sum() ** 0.6 * len(m) ** 0.4 for m in members])
    share = 3 + weight / weight.sum() * (STREETS - 1 - 3 * len(members))
    number = np.floor(share).astype(np.int64)
    rest = np.argsort(-(share - number), kind="stable")[: STREETS - 1 - int(number.sum())]
    number[rest] += 1
    first = 0
    for inside, count in zip(members, number.tolist(), strict=True):
        street[inside] = first + _grouped(
            seats[inside], np.sqrt(people[inside].astype(np.float64)) + 10.0, count
        )
        first += count
    street[lonely] = first
    return street


def _grouped(xy: Floats, weight: Floats, count: int) -> Labels:
    """Group points into compact sets (Lloyd's k-means from points far from each other)."""
    chosen = [int(np.argmax(weight))]
    while len(chosen) < count:
        distance = np.min(
            np.hypot(xy[:, None, 0] - xy[chosen, 0], xy[:, None, 1] - xy[chosen, 1]), axis=1
        )
        chosen.append(int(np.argmax(distance * weight**0.35)))
    means = xy[chosen].copy()
    for _ in range(12):
        group = _nearest(xy, means, np.ones(count))
        # A group never runs empty: its own seed stays with it.
        for number, seed in enumerate(chosen):
            if not (group == number).any():
                group[seed] = number
            own = group == number
            means[number] = np.average(xy[own], axis=0, weights=weight[own])
    return group


def _named(
    seed: int,
    shapes: list[MultiPolygon],
    district: Labels,
    street: Labels,
    people: npt.NDArray[np.int64],
    area_km2: Floats,
    lonely: int,
) -> tuple[Division, ...]:
    names = Names(random_of(seed, "division names"))
    random = random_of(seed, "district names")
    core = [CORE[i] for i in random.permutation(len(CORE))[:5].tolist()]
    titles = [core[0], HIGH_TECH, *core[1:], *(OUTER[i] for i in random.permutation(10)[:5])]
    found: list[Division] = []
    code_of_district = 1
    for d, (title, title_en) in enumerate(titles):
        inside = np.flatnonzero(district == d)
        functional = (title, title_en) == HIGH_TECH
        code_of_district += not functional
        code = FUNCTIONAL_ZONE_CODE if functional else f"{CITY_CODE}{code_of_district:02d}"
        streets, units = [], []
        numbers = {"urban": 0, "town": 99}
        for s in sorted(set(street[inside].tolist())):
            own = inside[street[inside] == s]
            urban = people[own].sum() / area_km2[own].sum() > URBAN_PER_KM2
            kind = "urban" if urban else "town"
            numbers[kind] += 1
            street_code = f"{code}{numbers[kind]:03d}"
            name = names.place(*(("街道", "Subdistrict") if urban else ("镇", "Town")))
            streets.append(_union(street_code, code, "street", name, shapes, own, people, urban))
            for place, c in enumerate(own.tolist()):
                dense = bool(people[c] / area_km2[c] > URBAN_PER_KM2)
                label = names.place("社区", "Community") if dense else names.hamlet()
                # 001-199 are communities, 200-399 villages.
                unit_code = f"{street_code}{place + (1 if dense else 200):03d}"
                units.append(
                    _union(unit_code, street_code, "community", label, shapes, [c], people, dense)
                )
        whole = f"{title}" if functional else f"{title}区"
        label = (
            f"{whole}区" if functional else whole,
            title_en if functional else f"{title_en} District",
        )
        urban = people[inside].sum() / area_km2[inside].sum() > 800
        unit = _union(code, None, "district", label, shapes, inside, people, urban)
        found.append(
            Division(
                unit.code,
                None,
                "district",
                *label,
                unit.shape,
                unit.population,
                unit.urban,
                is_functional_zone=functional,
            )
        )
        found += streets + units
    order = {"district": 0, "street": 1, "community": 2}
    return tuple(sorted(found, key=lambda unit: (order[unit.level], unit.code)))


def _union(
    code: str,
    parent: str | None,
    level: str,
    name: tuple[str, str],
    shapes: list[MultiPolygon],
    members: npt.NDArray[np.int64] | list[int],
    people: npt.NDArray[np.int64],
    urban: bool,
) -> Division:
    shape = shapes[members[0]]
    if len(members) > 1:
        shape = _multi(shapely.union_all([shapes[i] for i in members]))
    return Division(code, parent, level, *name, shape, int(people[members].sum()), bool(urban))
