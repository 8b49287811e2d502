"""Distances are those of the ellipsoid; a wind from 350 blows over 170, wrap or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from riskmap.analysis.plane import Plane, Sector

GEOD = Geod(ellps="WGS84")
LON, LAT = 120.5, 36.2


def away(bearing: float, metres: float, lon: float = LON, lat: float = LAT) -> shapely.Point:
    x, y, _ = GEOD.fwd(lon, lat, bearing % 360, metres)
    return shapely.Point(x, y)


def measured(plane: Plane, *shapes: Any) -> tuple[Any, Any, Any]:
    local = plane.flat(np.array(shapes, dtype=object))
    return local, *plane.nearest(local)


def plane_of(shape: Any = None) -> Plane:
    return Plane(shapely.Point(LON, LAT) if shape is None else shape)


@given(st.floats(-179, 179), st.floats(-80, 80), st.floats(0, 359.9), st.floats(0.5, 50_000))
def test_distance_and_bearing_are_the_geodesics(
    lon: float, lat: float, bearing: float, metres: float
) -> None:
    """Within a millimetre at 50 km, anywhere on earth but at its poles and its date line."""
    there = away(bearing, metres, lon, lat)
    if abs(there.x - lon) > 90:
        return
    _, distance, direction = measured(plane_of(shapely.Point(lon, lat)), there)
    assert distance[0] == pytest.approx(metres, abs=1e-3)
    off = abs((direction[0] - bearing + 180) % 360 - 180)
    assert off * math.pi / 180 * metres < 0.01


def test_distance_is_to_the_shape_and_not_to_its_middle() -> None:
    """A street 400 m to the north runs 2 km to either side; its ends are 2,040 m away."""
    line = shapely.LineString(
        [away(0, 400, *GEOD.fwd(LON, LAT, turn, 2000)[:2]) for turn in (270, 90)]
    )
    area = line.buffer(0.0001)
    _, distance, bearing = measured(plane_of(), line, area)
    assert distance[0] == pytest.approx(400, abs=0.5)
    assert bearing[0] % 360 == pytest.approx(0, abs=0.1) or bearing[0] == pytest.approx(
        360, abs=0.1
    )
    assert distance[1] < distance[0] - 8  # 0.0001 degrees are 9 to 11 m


def test_never_the_metres_of_web_mercator() -> None:
    """500 m there are 404 m on the ground of Qingdao."""
    mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    x, y = mercator.transform(LON, LAT)
    there = shapely.Point(mercator.transform(x + 500, y, direction="INVERSE"))
    _, distance, _ = measured(plane_of(), there)
    assert distance[0] == pytest.approx(403.5, abs=1)


def test_a_long_line_is_straight_in_degrees_and_not_on_the_ground() -> None:
    """Along a parallel: 100 km of it bend 140 m off the straight line."""
    road = shapely.LineString([(LON - 0.55, LAT), (LON + 0.55, LAT)])
    dense = shapely.get_coordinates(shapely.segmentize(road, 2e-5))
    for lon in (LON - 0.5, LON, LON + 0.3):
        there = away(0, 1000, lon, LAT)
        least = GEOD.inv(*dense.T, np.full(len(dense), there.x), np.full(len(dense), there.y))[2]
        _, distance, _ = measured(plane_of(road), there)
        assert distance[0] == pytest.approx(float(least.min()), abs=0.1)
        _, distance, _ = measured(plane_of(there), road)
        assert distance[0] == pytest.approx(float(least.min()), abs=0.1)


def test_where_they_meet_is_no_direction() -> None:
    area = shapely.Point(LON, LAT).buffer(0.01)
    _, distance, bearing = measured(plane_of(), area, shapely.Point(LON, LAT))
    assert distance.tolist() == [0, 0]
    assert np.isnan(bearing).all()


@pytest.mark.parametrize("radius_m", [1, 500, 3000, 50_000])
def test_the_box_holds_all_within_the_radius(radius_m: float) -> None:
    for shape in (None, shapely.LineString([away(200, 5000), away(70, 9000)])):
        plane = plane_of(shape)
        box = plane.box(radius_m)
        ring = plane.to_degrees(shapely.get_coordinates(plane.around(radius_m)))
        assert all(box.contains(lon, lat) for lon, lat in ring.tolist())


def test_the_disk_has_its_area() -> None:
    """360 corners lack 0.005 %."""
    disk = plane_of().around(1000).area
    assert disk == pytest.approx(math.pi * 1e6, rel=6e-5)


def holds(sector: Sector, plane: Plane, *shapes: Any) -> list[bool]:
    local, distance, _ = measured(plane, *shapes)
    return [bool(one) for one in sector.holds(local, distance)]


@pytest.mark.parametrize("wind_from", [0, 10, 90, 170, 179.5, 180, 190, 270, 350, 359.9, 360])
def test_the_plume_goes_where_the_wind_blows_to(wind_from: float) -> None:
    """Half width 30: 29.9 to either side is in it, 30.1 is not, at any wrap; and upwind never."""
    plane = plane_of()
    sector = Sector(plane, wind_from, 30, 3000)
    to = wind_from + 180
    inside = [away(to + off, 2000) for off in (-29.9, -10, 0, 10, 29.9)]
    outside = [away(to + off, 2000) for off in (-30.1, 30.1, 90, 180, 270)]
    assert holds(sector, plane, *inside, *outside) == [True] * 5 + [False] * 5
    assert shapely.is_valid(sector.shape)
    drawn = [
        bool(one)
        for one in shapely.intersects(
            sector.shape, shapely.transform(np.array([*inside, *outside]), plane.to_metres)
        )
    ]
    assert drawn == [True] * 5 + [False] * 5


def test_350_and_10_and_0_and_360() -> None:
    """A wind from 350 blows to 170: with 30 degrees to 140 ... 200; one from 10 to 160 ... 220."""
    plane = plane_of()
    south = [away(bearing, 1000) for bearing in (139, 141, 159, 161, 199, 201, 219, 221)]
    first, second = Sector(plane, 350, 30, 3000), Sector(plane, 10, 30, 3000)
    assert holds(first, plane, *south) == [False, True, True, True, True, False, False, False]
    assert holds(second, plane, *south) == [False, False, False, True, True, True, True, False]
    zero, whole = Sector(plane, 0, 30, 3000), Sector(plane, 360, 30, 3000)
    assert zero.wind_to_deg == whole.wind_to_deg == 180
    assert zero.shape.equals(whole.shape)
    # And to the north, where bearings wrap: from 180 it blows over 330 ... 30.
    north = Sector(plane, 180, 30, 3000)
    around = [away(bearing, 1000) for bearing in (329, 331, 359.99, 0.01, 29, 31)]
    assert holds(north, plane, *around) == [False, True, True, True, True, False]


@given(st.floats(0, 360), st.floats(1, 179), st.sampled_from([-1, 1]), st.floats(10, 2999))
def test_what_lies_exactly_on_an_edge_is_in_the_plume(
    wind_from: float, half: float, side: int, metres: float
) -> None:
    plane = plane_of()
    sector = Sector(plane, wind_from, half, 3000)
    assert holds(sector, plane, away(wind_from + 180 + side * half, metres)) == [True]


def test_the_end_of_the_plume_is_inclusive() -> None:
    plane = plane_of()
    sector = Sector(plane, 90, 30, 3000)
    assert holds(sector, plane, away(270, 3000), away(270, 3000.01)) == [True, False]


def test_areas_count_where_they_touch() -> None:
    plane = plane_of()
    sector = Sector(plane, 90, 30, 3000)
    beside = away(270 + 40, 2000)
    local = shapely.transform(beside, plane.to_metres)
    far = float(local.distance(sector.shape))
    near = shapely.transform(local.buffer(far + 1), plane.to_degrees)
    clear = shapely.transform(local.buffer(far - 1), plane.to_degrees)
    assert holds(sector, plane, beside, near, clear) == [False, True, False]


@pytest.mark.parametrize("half", [5, 30, 60, 89])
def test_from_a_plant_the_plume_starts_upwind_and_holds_all_of_it(half: float) -> None:
    """Its sides touch the plant: a virtual point source."""
    plant = shapely.MultiPoint([away(turn, 300) for turn in range(0, 360, 45)]).convex_hull
    plane = plane_of(plant)
    sector = Sector(plane, 75, half, 2000)
    assert sector.shape.buffer(0.01).covers(plane.place)
    wedge = shapely.difference(plane.around(2000), sector.shape.buffer(0.05))
    assert wedge.distance(plane.place) < 1
    # As far downwind as asked, counted from the plant's own edge.
    assert holds(sector, plane, away(255, 300 * math.cos(math.radians(22.5)) + 1900)) == [True]
    assert holds(sector, plane, away(255, 2400)) == [False]


@pytest.mark.parametrize("half", [90, 120, 179, 180])
def test_a_wide_sector_is_still_one(half: float) -> None:
    plane = plane_of()
    sector = Sector(plane, 0, half, 1000)
    assert shapely.is_valid(sector.shape)
    assert sector.shape.area == pytest.approx(half / 180 * math.pi * 1e6, rel=1e-3)
    assert holds(sector, plane, away(180 - half + 1, 900), away(180, 900)) == [True, True]
    assert holds(sector, plane, away(0, 900)) == [half == 180]


def test_calm_air_goes_everywhere() -> None:
    plane = plane_of()
    sector = Sector(plane, 123, 180, 1000)
    assert all(holds(sector, plane, *(away(turn, 999) for turn in range(0, 360, 15))))
