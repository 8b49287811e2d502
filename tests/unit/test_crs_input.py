"""What callers state: axes, datum shifts, zones, and files of three kinds on one spot."""

from __future__ import annotations

import json
import math

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from conftest import shared_data
from riskmap.catalog.spec import Geometry
from riskmap.crs.input import check_datum, read_crs
from riskmap.errors import InputError
from riskmap.ingest.shapes import check_shapes
from riskmap.units import Bbox

GEOD = Geod(ellps="WGS84")
QINGDAO = Bbox(119.5, 35.5, 121.5, 37.5)
SEVEN = (-12.6, -113.4, -41.3, 0.11, -0.22, 0.33, 4.5)


def apart_m(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(GEOD.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])[2])


def around_qingdao(n: int) -> np.ndarray:
    random = np.random.default_rng(11)
    return np.column_stack([random.uniform(120.0, 120.9, n), random.uniform(36.0, 36.9, n)])


# ---- question 14: three files of the same points


def test_three_files_of_the_same_points_land_on_one_spot() -> None:
    """BD-09 with a map's six decimals, EPSG:4528 to the millimetre, EPSG:4549 north first."""
    wgs84 = around_qingdao(200)
    zone = np.column_stack(Transformer.from_crs(4326, 4528, always_xy=True).transform(*wgs84.T))
    meridian = np.column_stack(Transformer.from_crs(4326, 4549, always_xy=True).transform(*wgs84.T))
    baidu = read_crs("bd-09").to_wgs84(np.round(read_crs("BD09").from_wgs84(wgs84), 6))
    east_north = read_crs("EPSG:4528").to_wgs84(np.round(zone, 3))
    north_east = read_crs("EPSG:4549", axes="ne").to_wgs84(np.round(meridian[:, ::-1], 3))
    for one, other in ((baidu, east_north), (baidu, north_east), (east_north, north_east)):
        assert apart_m(one, other).max() < 0.1
    assert apart_m(baidu, wgs84).max() < 0.1


# ---- datum shifts


def _helmert(lonlat: np.ndarray, shift: tuple[float, ...]) -> np.ndarray:
    """Shift positions on Krasovsky's ellipsoid to WGS 84, by arithmetic alone."""
    a, f = 6378245.0, 1 / 298.3
    e2 = f * (2 - f)
    lon, lat = np.radians(lonlat).T
    n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
    xyz = np.array(
        [n * np.cos(lat) * np.cos(lon), n * np.cos(lat) * np.sin(lon), n * (1 - e2) * np.sin(lat)]
    )
    dx, dy, dz, rx, ry, rz, ppm = (*shift, 0, 0, 0, 0)[:7]
    rx, ry, rz = (math.radians(second / 3600) for second in (rx, ry, rz))
    turn = np.array([[1, -rz, ry], [rz, 1, -rx], [-ry, rx, 1]])  # position vector
    x, y, z = np.array([[dx], [dy], [dz]]) + (1 + ppm * 1e-6) * (turn @ xyz)
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    lat = np.arctan2(z, np.hypot(x, y) * (1 - e2))
    for _ in range(10):
        n = a / np.sqrt(1 - e2 * np.sin(lat) ** 2)
        lat = np.arctan2(z + e2 * n * np.sin(lat), np.hypot(x, y))
    return np.degrees(np.column_stack([np.arctan2(y, x), lat]))


@pytest.mark.parametrize("shift", [SEVEN, SEVEN[:3]])
@pytest.mark.parametrize("code", [4214, 2437, 2416])
def test_a_datum_shift_is_applied_as_arithmetic_says(code: int, shift: tuple[float, ...]) -> None:
    geodetic = around_qingdao(50)
    crs = CRS.from_epsg(code)
    assert crs.geodetic_crs is not None and crs.geodetic_crs.to_epsg() == 4214
    xy = np.column_stack(Transformer.from_crs(4214, code, always_xy=True).transform(*geodetic.T))
    found = read_crs(f"EPSG:{code}", datum_shift=shift).to_wgs84(xy)
    assert apart_m(found, _helmert(geodetic, shift)).max() < 1e-3
    assert apart_m(found, geodetic).min() > 20  # what would be wrong without it


@pytest.mark.parametrize("code", [4214, 4555, 4610, *range(2327, 2391), *range(2401, 2443)])
def test_every_code_of_these_datums_is_let_in_with_a_shift_and_refused_without(code: int) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(f"EPSG:{code}")
    assert caught.value.key == "crs.refused"
    crs, bare = read_crs(f"EPSG:{code}", datum_shift=(10, 20, 30)), CRS.from_epsg(code)
    assert bare.area_of_use is not None
    lon = (bare.area_of_use.west + bare.area_of_use.east) / 2
    place = np.array([[lon, 36.0]])
    there = crs.from_wgs84(place)
    assert np.isfinite(there).all()
    assert apart_m(crs.to_wgs84(there), place)[0] < 0.01
    if bare.is_projected:
        # Read as the same projection on its own ellipsoid, it lies where the shift began.
        geodetic = bare.geodetic_crs
        back = Transformer.from_crs(bare, geodetic, always_xy=True).transform(*there[0])
        assert 5 < apart_m(np.array([back]), place)[0] < 60


def test_a_shift_is_kept_with_the_name() -> None:
    assert read_crs("EPSG:2437", datum_shift=SEVEN, axes="ne").name == (
        "EPSG:2437 +towgs84=-12.6,-113.4,-41.3,0.11,-0.22,0.33,4.5 (north, east)"
    )


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:4490", "EPSG:4528", "EPSG:32651", "BD09"])
def test_a_shift_that_would_be_made_twice_is_refused(code: str) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(code, datum_shift=SEVEN)
    assert (caught.value.key, caught.value.parameter) == ("crs.shift_twice", "datum_shift")


@pytest.mark.parametrize(
    "shift",
    [
        (1,),
        (1, 2),
        (1, 2, 3, 4),
        SEVEN[:6],
        (*SEVEN, 1),
        (math.nan, 0, 0),
        (0, math.inf, 0),
        (1e7, 0, 0),
    ],
)
def test_a_shift_is_three_or_seven_finite_numbers(shift: tuple[float, ...]) -> None:
    with pytest.raises(InputError) as caught:
        read_crs("EPSG:2437", datum_shift=shift)
    assert caught.value.key == "crs.shift"


# ---- axes, names, zones


@pytest.mark.parametrize(("code", "kept"), [("EPSG:4528", "EPSG:4528"), ("epsg:4490", "EPSG:4490")])
def test_north_first_swaps_and_is_kept_with_the_name(code: str, kept: str) -> None:
    plain, swapped = read_crs(code), read_crs(code, axes="ne")
    assert (plain.name, swapped.name) == (kept, f"{kept} (north, east)")
    xy = plain.from_wgs84(around_qingdao(20))
    assert np.array_equal(plain.to_wgs84(xy), swapped.to_wgs84(xy[:, ::-1]))
    assert np.array_equal(swapped.from_wgs84(around_qingdao(20)), xy[:, ::-1])


def test_axes_are_one_of_two() -> None:
    for axes in ("", "xy", "NE", "yx"):
        with pytest.raises(InputError) as caught:
            read_crs("EPSG:4326", axes=axes)
        assert (caught.value.key, caught.value.parameter) == ("crs.axes", "axes")


@pytest.mark.parametrize("key", ["", "nowhere"])
def test_the_help_names_systems_and_cities(key: str) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(key)
    for lang in ("zh", "en"):
        text = caught.value.text(lang)
        for name in ("4528", "4549", "4523", "4547", "GCJ02", "BD09", "4490"):
            assert name in text


def _fault(code: str, xy: tuple[float, float]) -> str:
    point = np.array([shapely.Point(xy)], dtype=object)
    (fault,) = check_shapes(point, Geometry.POINT, read_crs(code), QINGDAO, repair=False).faults
    return fault.key


@pytest.mark.parametrize("step", range(21))
def test_eastings_with_and_without_the_zone_read_as_each_other_say_so(step: int) -> None:
    """4513-4533 carry the zone 25-45, 4534-4554 (75-135 E) do not; both ways, every zone."""
    with_zone, without = 4513 + step, 4534 + step
    easting = 534231.97
    assert _fault(f"EPSG:{with_zone}", (easting, 3993376.68)) == "crs.not_finite"
    prefixed = (25 + step) * 1e6 + easting
    assert _fault(f"EPSG:{without}", (prefixed, 3993376.68)) == "crs.not_finite"
    one = read_crs(f"EPSG:{with_zone}").to_wgs84(np.array([[prefixed, 3993376.68]]))
    other = read_crs(f"EPSG:{without}").to_wgs84(np.array([[easting, 3993376.68]]))
    assert apart_m(one, other)[0] < 1e-3


def test_the_number_of_another_zone_says_so_too() -> None:
    """PROJ places it a thousand kilometres away; the right zone places it."""
    assert _fault("EPSG:4527", (40534231.97, 3993376.68)) == "crs.not_finite"
    assert _fault("EPSG:4548", (534231.97, 3993376.68)) == "ingest.outside"  # nothing shows it


def test_a_datum_member_is_compared() -> None:
    for stated, member in (("GCJ02", "gcj02"), ("BD09", "bd09"), ("EPSG:4326", "wgs84")):
        check_datum(member, read_crs(stated))
    for foreign in (None, 7, "2024-01-01", ["gcj02"]):
        check_datum(foreign, read_crs("GCJ02"))
    for stated, member in (
        ("EPSG:4326", "gcj02"), ("EPSG:4326", "bd09"), ("GCJ02", "bd09"), ("GCJ02", "wgs84"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_datum(member, read_crs(stated))
        assert caught.value.key == "crs.differs" and member in str(caught.value)


# ---- a real city


def test_nanjings_roads_lie_in_its_districts_once_these_are_read_as_gcj02() -> None:
    """nanjing/districts_gcj02.json, which does not say what it is, and nanjing/roads.gpkg."""
    features = json.loads(shared_data("nanjing", "districts_gcj02.json").read_text("utf-8"))
    districts = np.array(
        [shapely.geometry.shape(feature["geometry"]) for feature in features["features"]]
    )
    _, _, lines, _ = pyogrio.raw.read(shared_data("nanjing", "roads.gpkg"), columns=[])
    # The shape points of every line, and the junctions: ends that lines share are one vertex.
    xy, line = shapely.get_coordinates(shapely.from_wkb(lines), return_index=True)
    step = np.diff(line, prepend=-1, append=line[-1] + 1) != 0
    ends = step[:-1] | step[1:]
    vertices = shapely.points(np.vstack([xy[~ends], np.unique(xy[ends], axis=0)]))
    # The file's source has 146,839 nodes; seven pairs of them lie on one position.
    assert len(vertices) == 146_839 - 7
    crs = read_crs("GCJ02")

    def outside(shapes: np.ndarray) -> int:
        city = shapely.union_all(shapely.make_valid(shapes, method="structure"))
        shapely.prepare(city)
        return int((~shapely.intersects(city, vertices)).sum())

    assert outside(districts) == 636
    # The 105 that is handed down is that of the usual one-step inverse, up to 2.5 m off. Done
    # exactly, the vertex at 119.152742, 32.187854 lies inside by 0.35 m: 104, which the formula
    # itself confirms when the vertices are moved instead of the districts.
    assert outside(shapely.transform(districts, lambda xy: 2 * xy - crs.from_wgs84(xy))) == 105
    assert outside(shapely.transform(districts, crs.to_wgs84)) == 104
    vertices = shapely.transform(vertices, crs.from_wgs84)
    assert outside(districts) == 104
    assert int((~shapely.is_valid(districts)).sum()) == 2


# ---- what a .prj may say


@pytest.mark.parametrize("form", ["WKT1_GDAL", "WKT1_ESRI", "WKT2_2019"])
@pytest.mark.parametrize("code", [4490, 4500, 4528, 4547, 4549, 32650, 3857, 6677, 31982])
def test_a_declaration_agrees_whatever_program_wrote_it(code: int, form: str) -> None:
    """WKT1_GDAL is how spatial_ref_sys and its exporters spell it, ESRI's has other names."""
    declared = CRS.from_epsg(code).to_wkt(form)
    assert read_crs(f"EPSG:{code}").is_same_as(declared)
    for other in (code - 1, code + 1):
        if code not in (4490, 3857):
            assert not read_crs(f"EPSG:{code}").is_same_as(CRS.from_epsg(other).to_wkt(form))


def test_cgcs2000_and_wgs84_are_one_on_a_map_and_old_datums_are_not() -> None:
    assert read_crs("EPSG:4490").is_same_as("EPSG:4326")
    assert read_crs("EPSG:4326").is_same_as("EPSG:4490")
    for other in ("EPSG:4214", "EPSG:4610", "EPSG:4528", "EPSG:3857"):
        assert not read_crs("EPSG:4490").is_same_as(other)


@pytest.mark.parametrize("code", [3821, 4738])
def test_a_datum_that_proj_does_not_know_is_refused_without_a_shift(code: int) -> None:
    """TWD67, Hong Kong 1963: PROJ would hand their numbers through, hundreds of metres off."""
    with pytest.raises(InputError) as refused:
        read_crs(f"EPSG:{code}")
    assert refused.value.key == "crs.refused"
    assert read_crs(f"EPSG:{code}", datum_shift=(-700.0, -300.0, -100.0)).name


# ---- datums of one country


def test_an_old_datum_is_shifted_where_no_operation_was_made_for_the_place() -> None:
    """Hanoi on Indian 1960: its operations end at 18 N, and PROJ's ballpark shifts by nothing."""
    crs = read_crs("EPSG:4131")
    there = crs.to_wgs84(np.array([[106.0, 21.0]]))
    assert there == pytest.approx(np.array([[105.9958, 21.0012]]), abs=5e-5)
    assert apart_m(there, np.array([[106.0, 21.0]]))[0] > 400
    assert crs.from_wgs84(there) == pytest.approx(np.array([[106.0, 21.0]]), abs=1e-7)


def test_positions_far_from_a_datums_land_are_refused_row_by_row() -> None:
    """Indian 1960 is Vietnam's and its neighbours': not Qingdao's, and not Denver's."""
    crs = read_crs("EPSG:4131")
    xy = np.array([[106.0, 21.0], [120.38, 36.07], [108.0, 16.0], [-104.9, 39.7], [500.0, 500.0]])
    assert np.isfinite(crs.to_wgs84(xy)).all(axis=1).tolist() == [True, False, True, False, False]
    back = np.isfinite(crs.from_wgs84(xy[:4])).all(axis=1)
    assert back.tolist() == [True, False, True, False]
    hanoi = Bbox(105.0, 20.0, 107.0, 22.0)
    points = shapely.points(xy[:4])
    faults = check_shapes(points, Geometry.POINT, crs, hanoi, repair=False).faults
    assert {fault.index: fault.key for fault in faults} == {
        1: "crs.not_finite",
        2: "ingest.outside",
        3: "crs.not_finite",
    }


def test_a_datum_whose_land_lies_across_the_antimeridian_keeps_both_sides() -> None:
    """NAD83: from the Aleutians, 167.65 E, to Newfoundland."""
    xy = np.array([[172.9, 52.9], [-104.9, 39.7], [120.38, 36.07]])
    found = np.isfinite(read_crs("EPSG:4269").to_wgs84(xy)).all(axis=1)
    assert found.tolist() == [True, True, False]


@pytest.mark.parametrize("code", [4326, 4490, 4480, 4528, 4549, 3857, 32650])
def test_what_is_wgs84_on_a_map_is_converted_everywhere(code: int) -> None:
    """CGCS2000 has no operation but the ballpark one, which is right here."""
    crs = read_crs(f"EPSG:{code}")
    place = np.array([[119.0, 36.07], [117.2, -12.0]])
    assert apart_m(crs.to_wgs84(crs.from_wgs84(place)), place).max() < 1e-3
    if CRS.from_epsg(code).is_geographic:
        assert np.array_equal(crs.to_wgs84(place), place)


@pytest.mark.parametrize("code", [2326, 2443, 6677, 31982, 27700, 26910, 5514])
def test_other_countries_projections_agree_with_proj_on_their_land(code: int) -> None:
    bare = CRS.from_epsg(code)
    assert bare.area_of_use is not None
    west, south, east, north = bare.area_of_use.bounds
    place = np.array([[(west + east) / 2, (south + north) / 2]])
    crs = read_crs(f"EPSG:{code}")
    proj = Transformer.from_crs(4326, code, always_xy=True).transform(*place[0])
    assert crs.from_wgs84(place)[0] == pytest.approx(proj, abs=1e-3)
    assert apart_m(crs.to_wgs84(crs.from_wgs84(place)), place)[0] < 0.01
