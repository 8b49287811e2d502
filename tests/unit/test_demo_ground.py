"""The demo's ground: whatever the seed, a city that hangs together."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely

from demo_help import SEEDS, people_of, terrain_of
from riskmap.demo.ground import SEED, Division, People, Terrain
from riskmap.demo.people import RESIDENTS, make_people
from riskmap.demo.relief import frame
from riskmap.demo.terrain import make_terrain

LEVELS = ("district", "street", "community")
STANDING_WATER = ("sea", "lake", "reservoir")


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def terrain(seed: int) -> Terrain:
    return terrain_of(seed)


@pytest.fixture
def people(seed: int) -> People:
    return people_of(seed)


def water_of(terrain: Terrain, *classes: str) -> shapely.Geometry:
    return shapely.union_all([c.shape for c in terrain.cover if c.cover_class in classes])


def children_of(people: People, level: str) -> dict[str | None, list[Division]]:
    children: dict[str | None, list[Division]] = {}
    for division in people.of_level(level):
        children.setdefault(division.parent_code, []).append(division)
    return children


def test_the_city_has_its_number_of_divisions(people: People) -> None:
    assert len(people.of_level("district")) == 11
    assert sum(district.is_functional_zone for district in people.of_level("district")) == 1
    assert len(people.of_level("street")) == 139
    assert 1200 <= len(people.of_level("community")) <= 1500
    assert {division.level for division in people.divisions} == set(LEVELS)


def test_codes_say_where_a_division_belongs(people: People) -> None:
    codes = [division.code for division in people.divisions]
    assert len(set(codes)) == len(codes)
    assert all(district.parent_code is None for district in people.of_level("district"))
    assert {len(district.code) for district in people.of_level("district")} == {6}
    for level, above, digits in (("street", "district", 9), ("community", "street", 12)):
        parents = {division.code for division in people.of_level(above)}
        for division in people.of_level(level):
            assert division.parent_code in parents
            assert division.code.startswith(division.parent_code)
            assert len(division.code) == digits
        # Nobody is without children.
        assert parents == set(children_of(people, level))


@pytest.mark.parametrize("level", LEVELS)
def test_no_two_divisions_of_a_level_have_the_same_name(people: People, level: str) -> None:
    times = Counter(division.name for division in people.of_level(level))
    assert [name for name, count in times.items() if count > 1] == []
    assert all(division.name and division.name_en for division in people.of_level(level))


def test_every_shape_is_valid(terrain: Terrain, people: People) -> None:
    shapes = [division.shape for division in people.divisions]
    shapes += [cover.shape for cover in (*terrain.cover, *people.cover)]
    shapes += [park.shape for park in people.parks]
    shapes += [terrain.land_shape, terrain.lonely_island, terrain.ferry_island]
    assert all(shapely.is_valid(shapes))
    assert not any(shapely.is_empty(shapes))


def test_communities_tile_the_land(terrain: Terrain, people: People) -> None:
    # Lakes and reservoirs belong to communities: the land is what the coast encloses.
    land = shapely.union_all([shapely.Polygon(part.exterior) for part in terrain.land_shape.geoms])
    shapes = [community.shape for community in people.of_level("community")]
    whole = shapely.union_all(shapes)
    assert sum(shape.area for shape in shapes) - whole.area < 10
    assert shapely.symmetric_difference(whole, land).area < 10


@pytest.mark.parametrize(("level", "above"), [("street", "district"), ("community", "street")])
def test_a_division_is_what_its_parts_are(people: People, level: str, above: str) -> None:
    children = children_of(people, level)
    for division in people.of_level(above):
        parts = children[division.code]
        assert sum(part.population for part in parts) == division.population
        union = shapely.union_all([part.shape for part in parts])
        assert shapely.symmetric_difference(union, division.shape).area < 10


def test_everybody_is_counted_once(people: People) -> None:
    assert RESIDENTS == 9_013_527
    assert int(people.cell_people.sum()) == RESIDENTS
    assert int(people.cell_people.min()) > 0
    for level in LEVELS:
        assert sum(division.population for division in people.of_level(level)) == RESIDENTS


def test_density_and_cells_tell_one_story(terrain: Terrain, people: People) -> None:
    at_cells = terrain.grid.sample(people.density, people.cell_xy)
    assert np.allclose(at_cells, people.cell_people / (people.cell_m / 1000) ** 2)
    # Cells are 500 m wide and the raster's 100 m: only shores make a difference.
    total = float(people.density.sum()) * (terrain.grid.cell_m / 1000) ** 2
    assert total == pytest.approx(RESIDENTS, rel=0.03)
    assert (people.density[~terrain.land] == 0).all()


def test_nobody_lives_in_the_water(terrain: Terrain, people: People) -> None:
    x, y = people.cell_xy.T
    for cover in terrain.cover:
        if cover.cover_class in STANDING_WATER:
            shapely.prepare(cover.shape)
            assert not shapely.contains_xy(cover.shape, x, y).any(), cover.cover_class


def test_raster_and_shapes_agree_on_the_land(terrain: Terrain) -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(*terrain.grid.centres()))
    ashore = np.zeros(len(x), dtype=bool)
    for part in terrain.land_shape.geoms:
        shapely.prepare(part)
        ashore |= shapely.contains_xy(part, x, y)
    for cover in terrain.cover:
        if cover.cover_class in ("lake", "reservoir"):
            shapely.prepare(cover.shape)
            ashore &= ~shapely.contains_xy(cover.shape, x, y)
    # The coast is simplified by 22 m, so a cell of 100 m at the shore may lie on either side.
    assert np.mean(ashore != terrain.land.ravel()) < 0.001
    assert (terrain.elevation_m[terrain.land] > 0).all()
    assert (terrain.slope[~terrain.land] == 0).all()


def test_rivers_end_in_water_or_leave_the_city(terrain: Terrain) -> None:
    water = water_of(terrain, *STANDING_WATER)
    edge = frame(terrain.grid).exterior
    for number, river in enumerate(terrain.rivers):
        mouth = shapely.Point(river.line.coords[-1])
        others = [other.line for k, other in enumerate(terrain.rivers) if k != number]
        ends = [water, edge, *others]
        # One cell: courses are drawn through the middles of cells, then smoothed.
        assert min(shapely.distance(ends, mouth)) <= terrain.grid.cell_m, river.name


def test_rivers_grow_with_what_they_drain(terrain: Terrain) -> None:
    assert len(terrain.rivers) > 20
    largest = max(terrain.rivers, key=lambda river: river.catchment_km2)
    smallest = min(terrain.rivers, key=lambda river: river.catchment_km2)
    assert largest.width_m > 3 * smallest.width_m > 0


def test_every_kind_of_ground_is_there(terrain: Terrain, people: People) -> None:
    kinds = Counter(cover.cover_class for cover in (*terrain.cover, *people.cover))
    assert set(kinds) == {
        *("sea", "lake", "reservoir", "river", "hill", "built_up", "industrial", "park")
    }
    assert kinds["reservoir"] >= 3
    assert kinds["lake"] >= 2
    assert kinds["industrial"] == len(people.parks)
    assert float(terrain.elevation_m.max()) > 500


def test_the_lonely_island_is_lived_on_and_far_from_everybody(
    terrain: Terrain, people: People
) -> None:
    island = terrain.lonely_island
    on_island = shapely.contains_xy(island, people.cell_xy)
    assert 100 <= int(people.cell_people[on_island].sum()) <= 2000
    elsewhere = shapely.MultiPoint(people.cell_xy[~on_island])
    # Half the diagonal of a cell: people live around its middle.
    assert island.distance(elsewhere) - people.cell_m / np.sqrt(2) > 3000
    assert all(
        island.distance(part) > 3000
        for part in terrain.land_shape.geoms
        if part.area > 100e6  # the mainland
    )
    own = [unit for unit in people.of_level("community") if unit.shape.intersects(island)]
    assert len(own) == 1
    assert own[0].population == int(people.cell_people[on_island].sum())


def test_the_ferry_has_somebody_to_serve_and_water_to_cross(
    terrain: Terrain, people: People
) -> None:
    island = terrain.ferry_island
    on_island = shapely.contains_xy(island, people.cell_xy)
    assert 500 <= int(people.cell_people[on_island].sum()) <= 5000
    # Villages: a community is urban from 2,000 to the km² on.
    assert float(people.cell_people[on_island].max()) / (people.cell_m / 1000) ** 2 < 2000
    mainland = max(terrain.land_shape.geoms, key=lambda part: part.area)
    assert island.distance(mainland) > 3000
    assert not island.intersects(terrain.lonely_island)


def test_industry_has_parks_of_three_kinds(terrain: Terrain, people: People) -> None:
    kinds = Counter(park.kind for park in people.parks)
    assert set(kinds) == {"chemical", "port", "general"}
    assert kinds["port"] == 1
    districts = {district.code: district for district in people.of_level("district")}
    water = water_of(terrain, "lake", "reservoir")
    for park in people.parks:
        assert park.shape.intersects(districts[park.district_code].shape)
        assert 0.3e6 < park.shape.area < 12e6
        assert park.shape.intersection(water).area < 10
        assert not park.shape.intersects(terrain.lonely_island)
        assert not park.shape.intersects(terrain.ferry_island)
    # The port lies by the sea.
    port = next(park for park in people.parks if park.kind == "port")
    assert port.shape.distance(water_of(terrain, "sea")) < 3000


def test_a_seed_gives_the_same_city_every_time() -> None:
    first, again = terrain_of(SEED), make_terrain(SEED)
    for name in ("elevation_m", "slope", "land", "river_m"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert first.rivers == again.rivers
    assert first.cover == again.cover
    assert shapely.equals_exact(first.land_shape, again.land_shape)
    then, now = people_of(SEED), make_people(SEED, again)
    for name in ("density", "cell_xy", "cell_people"):
        assert np.array_equal(getattr(then, name), getattr(now, name)), name
    assert then.divisions == now.divisions
    assert then.parks == now.parks
    assert then.cover == now.cover


def test_another_seed_gives_another_city() -> None:
    one, other = (terrain_of(seed) for seed in SEEDS)
    assert (one.land != other.land).mean() > 0.02
    assert not shapely.equals(one.lonely_island, other.lonely_island)
    one_people, other_people = (people_of(seed) for seed in SEEDS)
    names = [
        {unit.name for unit in people.of_level("street")} for people in (one_people, other_people)
    ]
    assert len(names[0] & names[1]) < 70
    assert not np.array_equal(one_people.cell_people, other_people.cell_people)
