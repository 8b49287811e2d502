"""The notebook's conversions, and frames in GCJ-02, against a real service."""

from __future__ import annotations

from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import Point, box

from online_help import LAYER, Online, an_online_city
from riskmap.client import Client, ServiceError
from riskmap.crs.input import read_crs
from riskmap.db.cluster import Cluster


@pytest.fixture(scope="module")
def online(cluster: Cluster, migrated: str) -> Iterator[Online]:
    with an_online_city(cluster, migrated) as found:
        yield found


@pytest.fixture
def city(online: Online) -> Iterator[Client]:
    with online.client() as client:
        yield client


def places(n: int) -> np.ndarray:
    random = np.random.default_rng(2)
    return np.column_stack([random.uniform(120, 121, n), random.uniform(36, 37, n)])


@pytest.mark.parametrize("n", [0, 1, 12_345])
def test_arrays_of_any_length(city: Client, n: int) -> None:
    wgs84 = places(n)
    bd09 = city.convert(wgs84, "WGS84", "BD09")
    assert bd09.shape == (n, 2)
    assert np.allclose(bd09, read_crs("BD09").from_wgs84(wgs84), rtol=0, atol=1e-9)
    assert np.allclose(city.convert(bd09, "BD09", "WGS84"), wgs84, rtol=0, atol=3e-9)
    with pytest.raises(ValueError, match="shape"):
        city.convert(np.zeros(3), "BD09", "WGS84")


def test_frames_say_what_they_are_now_in(city: Client) -> None:
    shapes = [Point(120.5, 36.5), box(120.1, 36.1, 120.2, 36.2), None]
    frame = gpd.GeoDataFrame({"name": list("abc")}, geometry=shapes, crs="EPSG:4326")
    gcj02 = city.convert(frame, "WGS84", "gcj-02")
    assert gcj02.crs is None and gcj02.attrs["datum"] == "gcj02"
    assert list(gcj02["name"]) == list("abc")
    assert frame.crs is not None and frame.geometry[0] == Point(120.5, 36.5)
    back = city.convert(gcj02, "GCJ02", "EPSG:4490")
    assert back.crs.to_epsg() == 4490 and back.geometry[2] is None
    assert back.geometry[1].equals_exact(shapes[1], 1e-8)
    projected = city.convert(frame.geometry, "WGS84", "EPSG:4549")
    assert np.allclose(
        projected.iloc[0].coords[0], frame.geometry.to_crs(4549).iloc[0].coords[0], atol=1e-3
    )


def test_axes_and_shift_are_passed_on(city: Client) -> None:
    shift = (10.0, 20.0, 30.0)
    crs = read_crs("EPSG:2437", axes="ne", datum_shift=shift)
    sent = crs.from_wgs84(places(5))
    found = city.convert(sent, "EPSG:2437", "WGS84", axes="ne", datum_shift=shift)
    assert np.allclose(found, places(5), rtol=0, atol=1e-8)
    with pytest.raises(ServiceError) as caught:
        city.convert(sent, "EPSG:2437", "WGS84", axes="ne")
    assert caught.value.parameter == "from"


def test_a_layer_in_gcj02_has_no_crs_and_says_so(city: Client) -> None:
    plain, moved = city.read(LAYER), city.read(LAYER, datum="gcj02")
    assert plain.crs is not None and "datum" not in plain.attrs
    assert moved.crs is None and moved.attrs["datum"] == "gcj02"
    assert list(plain.index) == list(moved.index) and len(moved)
    expected = read_crs("GCJ02").from_wgs84(plain.geometry.get_coordinates().to_numpy())
    assert np.abs(moved.geometry.get_coordinates().to_numpy() - expected).max() < 1.1e-7
