"""The demo city's ground: what must hold of any seed (`make prove-demo`: of another one, too)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import Point

from riskmap.demo.ground import SEED, People, Terrain
from riskmap.demo.people import RESIDENTS, make_people
from riskmap.demo.relief import frame
from riskmap.demo.terrain import make_terrain

LEVELS = ("district", "street", "community")


@pytest.fixture(scope="module", params=[SEED, pytest.param(1, marks=pytest.mark.prove)])
def ground(request) -> tuple[int, Terrain, People]:
    terrain = make_terrain(request.param)
    return request.param, terrain, make_people(request.param, terrain)


def digest(terrain: Terrain, people: People) -> str:
    """Return one number for everything that the ground is made of."""
    total = hashlib.sha256()
    for raster in (terrain.elevation_m, terrain.slope, terrain.land, terrain.river_m):
        total.update(raster.tobytes())
    for array in (people.density, people.cell_xy, people.cell_people):
        total.update(array.tobytes())
    for river in terrain.rivers:
        total.update(f"{river.name} {river.width_m} {river.catchment_km2}".encode())
        total.update(river.line.wkb)
    for cover in (*terrain.cover, *people.cover):
        total.update(f"{cover.cover_class} {cover.name} {cover.name_en}".encode())
        total.update(cover.shape.wkb)
    for division in people.divisions:
        total.update(f"{division.code} {division.name} {division.population}".encode())
        total.update(division.shape.wkb)
    for park in people.parks:
        total.update(f"{park.name} {park.kind} {park.district_code}".encode())
        total.update(park.shape.wkb)
    return total.hexdigest()


def test_counts(ground):
    _, terrain, people = ground
    assert len(people.of_level("district")) == 11
    assert len(people.of_level("street")) == 139
    assert 1200 <= len(people.of_level("community")) <= 1500
    assert sum(d.is_functional_zone for d in people.of_level("district")) == 1
    assert 40 <= len(terrain.rivers) <= 80
    kinds = [cover.cover_class for cover in terrain.cover]
    assert 3 <= kinds.count("reservoir") <= 6
    assert kinds.count("lake") >= 1
    assert {"sea", "hill", "river"} <= set(kinds)
    parks = [park.kind for park in people.parks]
    assert 8 <= len(parks) <= 14
    assert parks.count("chemical") >= 3
    assert "port" in parks


def test_codes_are_unique_and_nested(ground):
    _, _, people = ground
    codes = [division.code for division in people.divisions]
    assert len(codes) == len(set(codes))
    by_code = {division.code: division for division in people.divisions}
    for division in people.divisions:
        assert division.code.startswith("99"), "a code of a real province"
        assert len(division.code) == {"district": 6, "street": 9, "community": 12}[division.level]
        if division.level != "district":
            parent = by_code[division.parent_code]
            assert division.code.startswith(parent.code)
            assert LEVELS.index(parent.level) == LEVELS.index(division.level) - 1
    for street in people.of_level("street"):
        # GB/T 10114: 001-099 are subdistricts, 100-199 towns.
        assert (1 <= int(street.code[6:]) <= 99) == street.name.endswith("街道")
        assert (100 <= int(street.code[6:]) <= 199) == street.name.endswith("镇")


def test_names_are_given_once_in_both_languages(ground):
    _, _, people = ground
    names = [division.name for division in people.divisions]
    assert len(names) == len(set(names))
    assert all(division.name_en.isascii() for division in people.divisions)


def test_people_add_up(ground):
    _, _, people = ground
    assert people.cell_people.sum() == RESIDENTS
    assert people.cell_people.min() > 0
    assert 10_000 <= len(people.cell_people) <= 14_000
    for level in LEVELS:
        assert sum(division.population for division in people.of_level(level)) == RESIDENTS
    inside: dict[str, int] = {}
    for division in people.divisions:
        if division.parent_code is not None:
            inside[division.parent_code] = inside.get(division.parent_code, 0) + division.population
    by_code = {division.code: division.population for division in people.divisions}
    assert all(by_code[code] == total for code, total in inside.items())
    # 25,000 to 30,000 a km² is as dense as an old town gets.
    assert 20_000 < people.cell_people.max() / (people.cell_m / 1000) ** 2 <= 30_000


def test_shapes_are_valid_and_inside_the_box(ground):
    _, terrain, people = ground
    shapes = [d.shape for d in people.divisions]
    shapes += [p.shape for p in people.parks]
    cover = [*terrain.cover, *people.cover]
    # Rivers run on over the frame; the layers cut them at the box.
    shapes += [c.shape for c in cover if c.cover_class != "river"]
    rivers = [c.shape for c in cover if c.cover_class == "river"]
    assert all(shapely.is_valid([*shapes, *rivers]))
    assert not any(shapely.is_empty([*shapes, *rivers]))
    edge = frame(terrain.grid).buffer(1.0)
    shapely.prepare(edge)
    assert all(shapely.covers(edge, shapes))


@pytest.mark.parametrize("level", LEVELS)
def test_divisions_tile_the_land(ground, level):
    _, terrain, people = ground
    shapes = np.array([division.shape for division in people.of_level(level)])
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = first < second
    shared = shapely.area(shapely.intersection(shapes[first[pairs]], shapes[second[pairs]]))
    assert shared.max() < 1.0
    dry = shapely.union_all([shapely.Polygon(p.exterior) for p in terrain.land_shape.geoms])
    missing = shapely.get_parts(shapely.difference(dry, shapely.union_all(shapes)))
    # Half a metre of rounding along the shore is no gap; a place without a community is one.
    assert max((part.area for part in missing), default=0.0) < 2000
    assert sum(part.area for part in missing) < 1e-5 * dry.area


def test_streets_are_the_union_of_their_communities(ground):
    _, _, people = ground
    communities: dict[str, list] = {}
    for division in people.of_level("community"):
        communities.setdefault(division.parent_code, []).append(division.shape)
    for street in people.of_level("street"):
        whole = shapely.union_all(communities[street.code])
        assert shapely.symmetric_difference(whole, street.shape).area < 1.0


def test_nobody_lives_in_water_or_on_a_cliff(ground):
    _, terrain, people = ground
    x, y = people.cell_xy.T
    water = shapely.union_all(
        [
            cover.shape
            for cover in terrain.cover
            if cover.cover_class in {"sea", "lake", "reservoir"}
        ]
    )
    shapely.prepare(water)
    square = shapely.box(
        x - people.cell_m / 2, y - people.cell_m / 2, x + people.cell_m / 2, y + people.cell_m / 2
    )
    drowned = people.cell_people[shapely.contains(water, square)]
    assert drowned.sum() == 0, "cells that are water throughout"
    # The middle of a cell at the shore may be wet; those are few.
    wet = shapely.contains_xy(water, x, y)
    assert people.cell_people[wet].sum() < 0.01 * RESIDENTS
    assert people.density[~terrain.land].max() == 0
    steep = terrain.grid.sample(terrain.slope, people.cell_xy) > 0.3
    assert people.cell_people[steep].sum() < 0.001 * RESIDENTS


def test_rivers_end_in_water(ground):
    _, terrain, _ = ground
    sea = shapely.union_all([c.shape for c in terrain.cover if c.cover_class == "sea"])
    lines = np.array([river.line for river in terrain.rivers])
    for index, river in enumerate(terrain.rivers):
        assert river.line.is_simple
        assert river.line.length > 1000
        mouth = Point(river.line.coords[-1])
        others = np.delete(lines, index)
        assert min(mouth.distance(sea), shapely.distance(others, mouth).min()) < 60, river.name
    named = [river for river in terrain.rivers if river.catchment_km2 > 130]
    assert len(named) >= 4
    assert all(16 <= river.width_m <= 300 for river in terrain.rivers)


def test_hills_plain_and_coast(ground):
    _, terrain, _ = ground
    assert 700 <= terrain.elevation_m.max() <= 1100
    rows, columns = terrain.elevation_m.shape
    assert (rows, columns) == (terrain.grid.rows, terrain.grid.columns)
    assert 0.5 < terrain.land.mean() < 0.8
    east = terrain.elevation_m[:, -1] <= 0
    west = terrain.elevation_m[:, 0] <= 0
    assert east.mean() > 0.5 > 0.1 > west.mean(), "the sea lies in the east"


def test_islands_lie_apart(ground):
    _, terrain, people = ground
    lonely, ferry = terrain.lonely_island, terrain.ferry_island
    parts = sorted(terrain.land_shape.geoms, key=lambda part: -part.area)
    assert lonely.distance(parts[0]) > 8000
    assert ferry.distance(parts[0]) > 0
    assert not ferry.equals(lonely)
    inside = shapely.contains_xy(lonely, *people.cell_xy.T)
    assert people.cell_people[inside].sum() > 0
    holding = [d for d in people.divisions if d.shape.intersects(lonely.representative_point())]
    assert [d.level for d in holding] == list(LEVELS)
    street = holding[1]
    assert sum(d.parent_code == street.code for d in people.of_level("community")) == 1


def test_parks_stand_on_empty_ground_of_their_district(ground):
    _, terrain, people = ground
    by_code = {division.code: division for division in people.divisions}
    sea = shapely.union_all([c.shape for c in terrain.cover if c.cover_class == "sea"])
    for park in people.parks:
        assert 0.9e6 <= park.shape.area <= 12e6, park.name
        home = by_code[park.district_code].shape
        # More than half: no other district holds as much of it.
        assert park.shape.intersection(home).area > 0.5 * park.shape.area, park.name
        inside = shapely.contains_xy(park.shape, *people.cell_xy.T)
        # Cells of 500 m at the fence stick in with a corner. A port grows amid the old town.
        if park.kind != "port":
            assert people.cell_people[inside].sum() / (park.shape.area / 1e6) < 600, park.name
        if park.kind != "general":
            assert park.shape.distance(sea) < 6000, park.name
    parks = [park.shape for park in people.parks]
    first, second = shapely.STRtree(parks).query(parks, predicate="intersects")
    assert (first == second).all(), "parks overlap"


def test_cover_is_light(ground):
    _, terrain, people = ground
    shapes = [cover.shape for cover in (*terrain.cover, *people.cover)]
    # Two numbers of 10 and 9 characters with brackets and commas: 24 bytes a point.
    assert shapely.get_num_coordinates(shapes).sum() * 24 < 1.5e6


# `make test` generates the whole city once more: test_demo_files.py.
@pytest.mark.prove
@pytest.mark.parametrize("ground", [SEED], indirect=True)
def test_the_same_seed_gives_the_same_ground(ground):
    """In another process, with another order of sets."""
    seed, terrain, people = ground
    script = (
        "import sys; sys.path[:0] = [sys.argv[2]]\n"
        "from unit.test_demo_ground import digest, make_people, make_terrain\n"
        "terrain = make_terrain(int(sys.argv[1]))\n"
        "print(digest(terrain, make_people(int(sys.argv[1]), terrain)))\n"
    )
    again = subprocess.run(
        [sys.executable, "-c", script, str(seed), str(Path(__file__).parents[1])],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == digest(terrain, people)
