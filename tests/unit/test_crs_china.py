"""GCJ-02 and BD-09: against the formula as it is published, against two libraries, and back."""

from __future__ import annotations

import math
import warnings

import geocoordinates_ffi as rust
import numpy as np
import prcoords
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from riskmap.crs import china
from riskmap.crs.input import read_crs
from riskmap.errors import InputError

GEOD = Geod(ellps="WGS84")
ROUND_TRIP_M = 1e-6
LON = st.floats(china.FORMULA_BOX.west, china.FORMULA_BOX.east)
LAT = st.floats(china.FORMULA_BOX.south, china.FORMULA_BOX.north)


def apart_m(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(GEOD.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])[2])


def published(lon: float, lat: float) -> tuple[float, float]:
    """The public formula term by term, as written everywhere: the array code has other sums."""
    x, y, pi = lon - 105.0, lat - 35.0, math.pi
    ripple = (20.0 * math.sin(6.0 * x * pi) + 20.0 * math.sin(2.0 * x * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    north += ripple
    north += (20.0 * math.sin(y * pi) + 40.0 * math.sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * math.sin(y / 12.0 * pi) + 320.0 * math.sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x)) + ripple
    east += (20.0 * math.sin(x * pi) + 40.0 * math.sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * math.sin(x / 12.0 * pi) + 300.0 * math.sin(x / 30.0 * pi)) * 2.0 / 3.0
    a, ee = 6378245.0, 0.00669342162296594323
    magic = 1.0 - ee * math.sin(math.radians(lat)) ** 2
    to_north = 180.0 / ((a * (1.0 - ee)) / (magic * math.sqrt(magic)) * pi)
    to_east = 180.0 / (a / math.sqrt(magic) * math.cos(math.radians(lat)) * pi)
    return lon + east * to_east, lat + north * to_north


def published_baidu(lon: float, lat: float) -> tuple[float, float]:
    turn = math.pi * 3000.0 / 180.0
    z = math.sqrt(lon * lon + lat * lat) + 0.00002 * math.sin(lat * turn)
    theta = math.atan2(lat, lon) + 0.000003 * math.cos(lon * turn)
    return z * math.cos(theta) + 0.0065, z * math.sin(theta) + 0.006


def places(n: int, seed: int = 3) -> np.ndarray:
    """Random places of the formula's box, many of them next to its kink at 105 E."""
    random = np.random.default_rng(seed)
    box = china.FORMULA_BOX
    found = np.column_stack(
        [random.uniform(box.west, box.east, n), random.uniform(box.south, box.north, n)]
    )
    near = n // 5
    found[:near, 0] = 105 + random.choice([-1, 1], near) * 10.0 ** random.uniform(-14, -1, near)
    return found


def test_forward_is_the_published_formula() -> None:
    wgs84 = places(5_000)
    gcj02 = np.array([published(*place) for place in wgs84])
    bd09 = np.array([published_baidu(*place) for place in gcj02])
    assert apart_m(china.wgs84_to_gcj02(wgs84), gcj02).max() < 1e-8
    assert apart_m(china.wgs84_to_bd09(wgs84), bd09).max() < 1e-7


def test_the_way_back_leads_to_the_start() -> None:
    """Measured on a million places: 4.2e-7 m next to 105 E, 1e-8 m elsewhere."""
    wgs84 = places(200_000)
    for there, back in (
        (china.wgs84_to_gcj02, china.gcj02_to_wgs84),
        (china.wgs84_to_bd09, china.bd09_to_wgs84),
    ):
        shifted = there(wgs84)
        found = back(shifted)
        assert apart_m(found, wgs84).max() < ROUND_TRIP_M
        assert apart_m(there(found), shifted).max() < ROUND_TRIP_M


@given(LON, LAT)
@example(105.0, 35.0)
@example(105.0 + 1e-13, 53.4)
@example(105.0 - 1e-9, 1.0)
@example(72.004, 0.8293)
@example(137.8347, 55.8271)
@example(72.004, 55.8271)
@example(137.8347, 0.8293)
@settings(max_examples=300, deadline=None)
def test_any_place_of_the_box_there_and_back_against_the_published_formula(
    lon: float, lat: float
) -> None:
    wgs84 = np.array([[lon, lat]])
    gcj02 = np.array([published(lon, lat)])
    found = china.gcj02_to_wgs84(gcj02)
    assert apart_m(found, wgs84)[0] < ROUND_TRIP_M
    assert apart_m(np.array([published(*found[0])]), gcj02)[0] < ROUND_TRIP_M
    bd09 = np.array([published_baidu(*gcj02[0])])
    assert apart_m(china.bd09_to_wgs84(bd09), wgs84)[0] < ROUND_TRIP_M


def _prcoords(function: object, xy: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.array([function(prcoords.Coords(y, x))[::-1] for x, y in xy])  # type: ignore[operator]


def test_forward_agrees_with_two_libraries() -> None:
    wgs84 = places(2_000, seed=5)
    gcj02, bd09 = china.wgs84_to_gcj02(wgs84), china.wgs84_to_bd09(wgs84)
    assert apart_m(gcj02, _prcoords(prcoords.wgs_gcj, wgs84)).max() < 1e-6
    assert apart_m(bd09, _prcoords(prcoords.wgs_bd, wgs84)).max() < 1e-6
    inside = wgs84[(gcj02 < [137.8, 55.8]).all(axis=1)]
    theirs = [rust.wgs84_to_gcj02(rust_place(rust.Wgs84, place)) for place in inside]
    assert apart_m(china.wgs84_to_gcj02(inside), lonlat(theirs)).max() < 1e-6
    theirs = [rust.wgs84_to_bd09(rust_place(rust.Wgs84, place)) for place in inside]
    assert apart_m(china.wgs84_to_bd09(inside), lonlat(theirs)).max() < 1e-6


def test_the_way_back_agrees_with_two_libraries_to_what_each_of_them_reaches() -> None:
    """`prcoords` stops at 1e-5 degrees of change, the other one's refined inverse much later."""
    wgs84 = places(2_000, seed=7)
    wgs84 = wgs84[(wgs84 < [137.7, 55.7]).all(axis=1) & (wgs84 > [72.1, 0.9]).all(axis=1)]
    gcj02, bd09 = china.wgs84_to_gcj02(wgs84), china.wgs84_to_bd09(wgs84)
    ours, ours_bd = china.gcj02_to_wgs84(gcj02), china.bd09_to_wgs84(bd09)
    assert apart_m(ours, _prcoords(prcoords.gcj_wgs_bored, gcj02)).max() < 0.05
    assert apart_m(ours_bd, _prcoords(prcoords.bd_wgs_bored, bd09)).max() < 0.1
    theirs = [rust.gcj02_to_wgs84_refined(rust_place(rust.Gcj02, one)) for one in gcj02]
    assert apart_m(ours, lonlat(theirs)).max() < 1e-3
    theirs = [rust.bd09_to_wgs84_refined(rust_place(rust.Bd09, one)) for one in bd09]
    assert apart_m(ours_bd, lonlat(theirs)).max() < 1e-3


def rust_place(kind: type, place: np.ndarray) -> object:
    return kind(lat=float(place[1]), lon=float(place[0]))


def lonlat(found: list[object]) -> np.ndarray:
    return np.array([[one.lon, one.lat] for one in found])  # type: ignore[attr-defined]


def test_the_shift_is_what_is_known_of_cities() -> None:
    """Metres between WGS 84 and GCJ-02 at the centres of five cities (DOMAIN.md section 3.2)."""
    centres = {(120.38, 36.07): 463, (104.07, 30.67): 360, (120.15, 30.27): 514}
    for place, metres in centres.items():
        wgs84 = np.array([place])
        assert apart_m(wgs84, china.wgs84_to_gcj02(wgs84))[0] == pytest.approx(metres, abs=8)


@pytest.mark.parametrize(
    "place",
    [
        (72.0039, 36.0),
        (137.8348, 36.0),
        (120.0, 0.8292),
        (120.0, 55.8272),
        (-0.1, 51.5),
        (40534231.97, 3993376.68),
        (1e308, -1e308),
        (math.nan, 36.0),
        (120.0, math.inf),
    ],
)
def test_outside_the_formulas_box_is_infinity(place: tuple[float, float]) -> None:
    xy = np.array([place, (120.0, 36.0)])
    for convert in (china.wgs84_to_gcj02, china.wgs84_to_bd09):
        found = convert(xy)
        assert np.isinf(found[0]).all() and np.isfinite(found[1]).all()
    # No shift is longer: what lies so far out comes from outside the box.
    beyond = np.where(np.array(place) > [130, 50], 0.03, -0.03)
    for convert in (china.gcj02_to_wgs84, china.bd09_to_wgs84):
        found = convert(np.vstack([place + beyond, (120.0, 36.0)]))
        assert np.isinf(found[0]).all() and np.isfinite(found[1]).all()


def test_a_box_of_neighbours_is_shifted_too_and_nothing_is_handed_back_unshifted() -> None:
    """No test for "in China": what is asked for is done. Seoul moves by 461 m."""
    seoul = np.array([[126.98, 37.57]])
    assert apart_m(seoul, china.wgs84_to_gcj02(seoul))[0] == pytest.approx(461, abs=10)


@pytest.mark.parametrize("n", [0, 1, 4095, 4096, 4097, 8192, 10_001])
def test_any_number_of_positions_in_any_layout(n: int) -> None:
    wgs84 = places(max(n, 5))[:n]
    found = china.wgs84_to_gcj02(wgs84)
    assert found.shape == (n, 2)
    swapped = np.asfortranarray(wgs84[:, ::-1])[:, ::-1]
    assert np.array_equal(found, china.wgs84_to_gcj02(swapped))
    one_by_one = [china.wgs84_to_gcj02(row[None])[0] for row in wgs84[-3:]]
    assert np.allclose(found[-3:], np.reshape(one_by_one, (-1, 2)), rtol=0, atol=1e-12)
    before = wgs84.copy()
    china.gcj02_to_wgs84(found)
    assert np.array_equal(wgs84, before)


@pytest.mark.parametrize("text", ["GCJ02", "gcj-02", " Gcj02 ", "GCJ-02"])
def test_names_in_any_case(text: str) -> None:
    crs = read_crs(text)
    assert (crs.name, crs.datum) == ("GCJ02", "gcj02")
    assert (
        read_crs(
            text.replace("GCJ", "BD").replace("gcj", "bd").replace("Gcj", "Bd").replace("02", "09")
        ).name
        == "BD09"
    )


def test_north_first_swaps_both_ways_and_says_so() -> None:
    crs, plain = read_crs("BD09", axes="ne"), read_crs("BD09")
    assert crs.name == "BD09 (north, east)"
    lonlat_ = places(100)
    there = crs.from_wgs84(lonlat_)
    assert np.array_equal(there[:, ::-1], plain.from_wgs84(lonlat_))
    assert np.array_equal(crs.to_wgs84(there), plain.to_wgs84(there[:, ::-1]))


@pytest.mark.parametrize("text", ["GCJ02", "BD09"])
def test_what_a_file_declares_beside_it(text: str) -> None:
    """No format can declare GCJ-02: such files say WGS 84, CGCS2000, or nothing."""
    crs = read_crs(text)
    for agrees in ("EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4490", text, text.lower()):
        assert crs.is_same_as(agrees), agrees
    other = "BD09" if text == "GCJ02" else "GCJ02"
    for differs in ("EPSG:4528", "EPSG:3857", "EPSG:4214", "", "unknown", other):
        assert not crs.is_same_as(differs), differs


@pytest.mark.parametrize("text", ["BD09MC", "bd-09-mc", "BD09_mc"])
def test_baidus_mercator_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(text)
    assert caught.value.key == "crs.baidu_metres"
    assert text in str(caught.value) and "BD09" in caught.value.text("zh")


def test_a_datum_shift_beside_them_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        read_crs("GCJ02", datum_shift=(1, 2, 3))
    assert caught.value.key == "crs.shift_twice"
    assert caught.value.parameter == "datum_shift"
