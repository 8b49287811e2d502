from __future__ import annotations

import numpy as np
import pytest

from riskmap.crs.input import read_crs
from riskmap.errors import InputError


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (None, "crs.missing"),
        ("  ", "crs.missing"),
        ("WGS84", "crs.not_epsg"),
        ("4326", "crs.not_epsg"),
        ("EPSG:４３２６", "crs.not_epsg"),
        ("+proj=longlat", "crs.not_epsg"),
        ("EPSG:999999", "crs.unknown"),
        ("EPSG:5773", "crs.no_map"),
        ("EPSG:4978", "crs.no_map"),
    ],
)
def test_what_is_no_usable_code_is_refused_by_name(text: str | None, key: str) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(text)
    assert caught.value.key == key
    assert caught.value.parameter == "crs"
    assert "EPSG" in str(caught.value)


@pytest.mark.parametrize(
    "code", [4214, 4610, 4555, *range(2327, 2391), *range(2401, 2443), 21413, 4568]
)
def test_datums_that_proj_converts_silently_wrong_are_refused(code: int) -> None:
    with pytest.raises(InputError) as caught:
        read_crs(f"EPSG:{code}")
    assert caught.value.key == "crs.refused"


def test_qingdao_in_zone_and_meridian_codes_is_one_place() -> None:
    zone = read_crs("epsg:4528").to_wgs84(np.array([[40534231.97, 3993376.68]]))
    meridian = read_crs("EPSG:4549").to_wgs84(np.array([[534231.97, 3993376.68]]))
    assert zone == pytest.approx(np.array([[120.38, 36.07]]), abs=1e-6)
    assert meridian == pytest.approx(zone, abs=1e-9)


def test_longitude_comes_first_also_where_epsg_says_latitude_first() -> None:
    xy = np.array([[120.38, 36.07]])
    for code in ("EPSG:4326", "EPSG:4490"):
        assert read_crs(code).to_wgs84(xy).tolist() == xy.tolist()


def test_zone_prefix_read_as_meridian_code_is_infinite() -> None:
    assert not np.isfinite(
        read_crs("EPSG:4549").to_wgs84(np.array([[40534231.97, 3993376.68]]))
    ).any()


def test_a_declaration_means_the_same_in_any_spelling() -> None:
    wgs84 = read_crs("EPSG:4326")
    for same in ("EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326"):
        assert wgs84.is_same_as(same), same
    for other in ("EPSG:4214", "EPSG:4610", "EPSG:3857", "GCJ02", ""):
        assert not wgs84.is_same_as(other), other
    assert read_crs("EPSG:4528").name == "EPSG:4528"
