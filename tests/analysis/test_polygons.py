from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import Point

sys.path.insert(0, str(Path(__file__).parent))

from network import desert, random_graph, straight

from riskmap.analysis import encode
from riskmap.analysis.contours import HORIZON_MS
from riskmap.analysis.polygons import Surface, bands, contours
from riskmap.analysis.search import search
from riskmap.errors import InputError
from riskmap.roads.snap import positions_on
from riskmap.units import UNREACHED

LIMITS = (60_000, 120_000, 180_000)


def drawn(graph, starts=((0, 0.0),), limits=LIMITS, **options):
    edges = graph.edge_index([1000 + start[0] for start in starts])
    at = positions_on(graph, edges, [start[1] for start in starts])
    times = search(graph, at, [0] * len(starts), limits[-1])
    return bands(graph, times, limits, **options)


def check(found):
    for polygon in found.polygons:
        assert polygon.geom_type == "MultiPolygon"
        assert polygon.is_valid, shapely.is_valid_reason(polygon)
    for inner, outer in zip(found.polygons, found.polygons[1:], strict=False):
        assert outer.covers(inner)
        assert inner.area <= outer.area


def test_bands_of_a_grid_nest_and_grow():
    found = drawn(desert(40, 10_000), cell_m=50.0)
    check(found)
    assert found.cell_m == 50.0
    areas = [polygon.area for polygon in found.polygons]
    # A quarter of a diamond of 6, 12 and 18 blocks of 100 m, and the way off the road.
    for area, blocks in zip(areas, (6, 12, 18), strict=True):
        assert (blocks * 100) ** 2 / 2 < area < ((blocks + 2) * 100) ** 2


@pytest.mark.parametrize("seed", range(12))
def test_bands_of_random_networks_are_valid_and_nest(seed):
    random = np.random.default_rng(seed)
    graph = random_graph(random, 60, 150, 60_000)
    check(
        drawn(graph, [(int(random.integers(0, 150)), 0.3)], cell_m=float(random.choice([20, 75])))
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([0, 99, 100, 101, 150, 200, 201, UNREACHED]), min_size=49, max_size=49
    ),
    st.sampled_from([10.0, 75.0]),
)
def test_contours_of_any_surface_hold_just_the_cells_in_reach(values, cell_m):
    grid = np.full((9, 9), UNREACHED, dtype=np.int32)
    grid[1:8, 1:8] = np.array(values).reshape(7, 7)
    surface = Surface(grid, 500_000.0, 4_000_000.0, cell_m)
    areas = contours(surface, (100, 200))
    small, large = (area.shape() for area in areas)
    assert large.covers(small)
    row, column = np.indices(grid.shape)
    centres = shapely.points(500_000.0 + column * cell_m, 4_000_000.0 + row * cell_m)
    for area, polygon, limit in zip(areas, (small, large), (100, 200), strict=True):
        assert polygon.is_valid, shapely.is_valid_reason(polygon)
        np.testing.assert_array_equal(shapely.contains(polygon, centres), grid <= limit)
        assert area.area_m2 == pytest.approx(polygon.area, rel=1e-9)
        for part in polygon.geoms:
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
        # Written in degrees with seven decimals it is as valid, and the same within 1 cm.
        network = SimpleNamespace(to_lonlat=lambda xy: np.asarray(TO_LONLAT(*xy.T)).T)
        degrees = encode.to_degrees(area.xy, network.to_lonlat)
        text = encode.multipolygon(degrees, area.first, area.owner)
        written = shapely.from_geojson(text)
        assert written.geom_type == "MultiPolygon"
        assert written.is_valid, shapely.is_valid_reason(written)
        back = shapely.transform(written, lambda xy: np.asarray(TO_LOCAL(*xy.T)).T)
        assert back.hausdorff_distance(polygon) < 0.01 or polygon.is_empty
        assert len(written.geoms) == len(polygon.geoms)


TO_LONLAT = Transformer.from_crs(32650, 4326, always_xy=True).transform
TO_LOCAL = Transformer.from_crs(4326, 32650, always_xy=True).transform


def test_degrees_between_exact_ones_are_within_a_tenth_of_a_millimetre():
    random = np.random.default_rng(1)
    for srid, x in ((32650, 500_000.0), (32650, 800_000.0), (4549, 40_600_000.0 - 40_000_000)):
        project = Transformer.from_crs(srid, 4326, always_xy=True).transform
        xy = np.column_stack(
            [random.uniform(x, x + 60_000, 5000), random.uniform(4e6, 4.06e6, 5000)]
        )

        def exact(places, project=project):
            return np.column_stack(project(*places.T))

        error = np.abs(encode.to_degrees(xy, exact) - exact(xy)) * (90_000, 111_000)
        assert error.max() < 1e-4


def test_numbers_are_written_as_they_are():
    lonlat = np.array([[-0.00000014, 12.5], [179.99999996, -89.0000001], [0.1, 0.0000001]])
    lonlat = np.vstack([lonlat, lonlat[:1]])
    rings = np.array([0, 4], dtype=np.int32), np.array([0], dtype=np.int32)
    text = encode.multipolygon(lonlat, *rings)
    assert text == (
        b'{"type":"MultiPolygon","coordinates":'
        b"[[[[-0.0000001,12.5],[180,-89.0000001],[0.1,0.0000001],[-0.0000001,12.5]]]]}"
    )
    nothing = np.zeros((0, 2)), np.zeros(1, np.int32), np.zeros(0, np.int32)
    assert json.loads(encode.multipolygon(*nothing))["coordinates"] == []


def test_no_band_beside_a_road_that_nobody_can_leave():
    """A motorway and a bridge lead past; only the streets at its ends are drawn."""
    rows = [(0, 1, 1000, 1000), (1, 2, 20_000, 20_000), (2, 3, 1000, 1000)]
    place = {0: (0, 0), 1: (200, 0), 2: (3200, 0), 3: (3400, 0)}
    graph = straight(rows, place=place, stops=[True, False, True])
    (area,) = drawn(graph, limits=(60_000,)).polygons
    assert len(area.geoms) == 2
    streets = shapely.union_all(shapely.linestrings([[(0, 0), (200, 0)], [(3200, 0), (3400, 0)]]))
    vertices = shapely.points(shapely.get_coordinates(area))
    # Centres lie within the access leg of 100 m, a ring within a cell of the last centre.
    assert shapely.distance(vertices, streets).max() < 100 + 0.03 * 75
    assert not area.intersects(Point(1700, 0))


@pytest.mark.parametrize("seed", range(10))
def test_a_band_holds_every_reached_place_on_a_road(seed):
    random = np.random.default_rng(seed)
    graph = random_graph(random, 60, 150, 60_000)
    at = positions_on(graph, [int(random.integers(0, 150))], [0.3])
    times = search(graph, at, [0], 180_000 + HORIZON_MS)
    found = bands(graph, times, LIMITS)
    places = positions_on(graph, random.integers(0, 150, 3000), random.uniform(0, 1, 3000))
    ms, points = times.at(places), shapely.points(places.xy)
    reached = 0
    for limit, polygon in zip(LIMITS, found.polygons, strict=True):
        inside = ms <= limit
        reached += int(inside.sum())
        # Nearer than the millimetres that a margin of 3.75 m leaves to spare.
        assert shapely.distance(points[inside], polygon).max(initial=0) < 1e-6
    assert reached > 100 or len(times.reached) < 5


def test_holes_and_separate_parts_are_kept():
    # A ring road of 1 km radius, and another place reached over a fast long bridge far away.
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    place = {k: (1000 * np.cos(a), 1000 * np.sin(a)) for k, a in enumerate(angle)}
    place |= {100: (6000.0, 0.0), 101: (6500.0, 0.0)}
    rows = [(k, (k + 1) % 24, 1000, 1000) for k in range(24)] + [(100, 101, 9000, 9000)]
    graph = straight(rows, place=place)
    found = drawn(graph, [(0, 0.0), (24, 0.0)], limits=(20_000,))
    check(found)
    (whole,) = found.polygons
    assert len(whole.geoms) == 2
    assert not whole.contains(Point(0, 0))
    assert sum(len(part.interiors) for part in whole.geoms) == 1
    assert whole.contains(Point(6250, 0))


def test_a_wide_river_is_not_leapt_over():
    place = {0: (0, 0), 1: (2000, 0), 2: (0, 400), 3: (2000, 400)}
    graph = straight([(0, 1, 60_000, 60_000), (2, 3, 60_000, 60_000)], place=place)
    (area,) = drawn(graph, limits=(900_000,)).polygons
    assert area.bounds[3] < 200


def test_nothing_reached_is_an_empty_band():
    graph = straight([(0, 1, 1000, 1000)])
    nowhere = search(graph, positions_on(graph, [-1], [0.0]), [0], 1000)
    (area,) = bands(graph, nowhere, [1000]).polygons
    assert area.is_empty
    assert area.geom_type == "MultiPolygon"


def test_the_start_alone_is_a_small_area():
    found = drawn(straight([(0, 1, 100_000, 100_000)]), limits=(0, 1000))
    check(found)
    assert 0 < found.polygons[0].area <= found.polygons[1].area < 75.0**2


def test_a_huge_reach_takes_a_coarser_cell():
    place = {0: (0, 0), 1: (400_000, 300_000)}
    graph = straight([(0, 1, 900_000, 900_000)], place=place)
    found = drawn(graph, limits=(900_000,), max_cells=100_000)
    check(found)
    assert found.cell_m > 75
    assert found.polygons[0].intersects(Point(200_000, 150_000).buffer(found.cell_m))


@pytest.mark.parametrize("seed", range(8))
def test_a_band_alone_is_the_band_among_others(seed):
    random = np.random.default_rng(seed)
    graph = desert(30, 10_000) if seed == 0 else random_graph(random, 60, 150, 60_000)
    at = positions_on(graph, [0], [0.0])
    among = bands(graph, search(graph, at, [0], 180_000 + HORIZON_MS), LIMITS).polygons
    for farther in (120_000 + HORIZON_MS, 180_000, 400_000):
        alone = bands(graph, search(graph, at, [0], farther), [120_000]).polygons[0]
        assert among[1].equals_exact(alone, 1e-6)
    longer = bands(graph, search(graph, at, [0], 400_000), [180_000]).polygons[0]
    assert among[2].equals_exact(longer, 1e-6)


def test_wrong_input_names_the_parameter():
    graph = straight([(0, 1, 1000, 1000)])
    times = search(graph, positions_on(graph, [0], [0.5]), [0], 1000)
    for limits, options, name in (
        ([], {}, "limits_ms"),
        ([2, 1], {}, "limits_ms"),
        ([1001], {}, "limits_ms"),
        ([1000], {"cell_m": 0.0}, "cell_m"),
        ([1000], {"off_road_mps": float("nan")}, "off_road_mps"),
    ):
        with pytest.raises(InputError) as caught:
            bands(graph, times, limits, **options)
        assert caught.value.parameter == name
