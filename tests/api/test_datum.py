"""`datum=`: answers in GCJ-02 and BD-09, and the same features by the same spot (question 13)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from api_help import CATALOG, Served, serving
from riskmap.crs.input import read_crs
from riskmap.db.cluster import Cluster
from riskmap.errors import InputError
from riskmap.ingest.batches import ReadOptions
from riskmap.ingest.read_geojson import GeoJson

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))
from grid_city import build, place

DATUMS = ("gcj02", "bd09")
POINTS, AREAS = "shelters", "flash-flood-zones"
N = 1_200  # three batches of a stream


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=3) as found:
        build(found.database)
        random = np.random.default_rng(13)
        spots = np.column_stack([random.uniform(120.2, 120.8, N), random.uniform(36.2, 36.8, N)])
        found.put(POINTS, *({"code": f"P{n}", "geom": f"POINT({x} {y})"}
                            for n, (x, y) in enumerate(spots.tolist())))  # fmt: skip
        found.put(
            "rescue-teams",
            *(
                {"code": f"T{n}", "geom": "POINT({} {})".format(*place(n)), "kind": "fire_station"}
                for n in (3, 8)
            ),
        )
        yield found


def all_items(served: Served, layer: str, **params: Any) -> dict[int, Any]:
    return {one["id"]: one for one in served.items(layer, limit=10_000, **params)}


def coordinates(geometry: dict[str, Any]) -> np.ndarray:
    return shapely.get_coordinates(shape(geometry))


@pytest.mark.parametrize("datum", DATUMS)
@pytest.mark.parametrize("layer", CATALOG)
def test_items_are_the_same_but_for_their_positions(served: Served, layer: str, datum: str) -> None:
    plain, moved = all_items(served, layer), all_items(served, layer, datum=datum)
    assert list(plain) == list(moved)
    for number, one in plain.items():
        other = moved[number]
        assert other["properties"] == one["properties"]
        assert other["geometry"]["type"] == one["geometry"]["type"]
        expected = read_crs(datum).from_wgs84(coordinates(one["geometry"]))
        found = coordinates(other["geometry"])
        # The plain answer itself is rounded to 7 decimals.
        assert np.abs(found - expected).max() < 1.1e-7
        assert np.array_equal(found, np.round(found, 7))
        assert np.abs(found - coordinates(one["geometry"])).max() > 1e-3


@pytest.mark.parametrize("datum", DATUMS)
def test_the_answer_says_what_it_is(served: Served, datum: str) -> None:
    page = served.get(f"/collections/{POINTS}/items", datum=datum, limit=2)
    assert page.text.startswith(f'{{"type":"FeatureCollection","datum":"{datum}",')
    assert page.headers["x-datum"] == datum
    assert "content-crs" not in page.headers and "CRS84" not in page.text
    first = page.json()["features"][0]["id"]
    one = served.get(f"/collections/{POINTS}/items/{first}", datum=datum)
    assert one.text.startswith(f'{{"type":"Feature","datum":"{datum}","id":{first},')
    assert one.headers["x-datum"] == datum and "content-crs" not in one.headers
    assert one.json()["geometry"] == page.json()["features"][0]["geometry"]
    following = next(link["href"] for link in page.json()["links"] if link["rel"] == "next")
    assert f"datum={datum}" in following
    assert served.client.get(following).json()["datum"] == datum


def test_wgs84_is_the_answer_without_it(served: Served) -> None:
    for path in (f"/collections/{POINTS}/items", f"/collections/{POINTS}/items/1"):
        plain, asked = served.get(path, limit=3) if path.endswith("s") else served.get(path), None
        asked = served.get(path, datum="wgs84", **({"limit": 3} if path.endswith("s") else {}))
        assert "x-datum" not in asked.headers and '"datum"' not in asked.text
        assert "CRS84" in asked.headers["content-crs"]
        without = ("timeStamp", "links")
        one, other = plain.json(), asked.json()
        assert {k: v for k, v in one.items() if k not in without} == {
            k: v for k, v in other.items() if k not in without
        }


@pytest.mark.parametrize("datum", DATUMS)
@pytest.mark.parametrize("layer", [POINTS, AREAS, "fault-lines"])
def test_a_click_returns_the_feature_of_the_same_spot(
    served: Served, layer: str, datum: str
) -> None:
    """A click is a box of some pixels around the spot, as a map in that datum shows it."""
    crs = read_crs(datum)
    for number, one in list(all_items(served, layer).items())[:25]:
        lon, lat = coordinates(one["geometry"])[0]
        here = f"{lon - 2e-5},{lat - 2e-5},{lon + 2e-5},{lat + 2e-5}"
        x, y = crs.from_wgs84(np.array([[lon, lat]]))[0]
        there = f"{x - 2e-5},{y - 2e-5},{x + 2e-5},{y + 2e-5}"
        found = all_items(served, layer, bbox=there, datum=datum)
        assert number in found
        assert list(found) == list(all_items(served, layer, bbox=here))
        # The box's numbers read as WGS 84 are another spot.
        assert number not in all_items(served, layer, bbox=there)


@pytest.mark.parametrize("datum", DATUMS)
def test_a_box_takes_exactly_what_lies_in_it_in_its_own_datum(served: Served, datum: str) -> None:
    moved = read_crs(datum)
    plain = {
        number: one
        for number, one in all_items(served, POINTS).items()
        if one["geometry"]["type"] == "Point"
    }
    assert len(plain) > N
    spots = moved.from_wgs84(np.array([one["geometry"]["coordinates"] for one in plain.values()]))
    random = np.random.default_rng(17)
    for turn in range(60):
        # From a hundred metres to the whole city.
        half = 10.0 ** random.uniform(-3, -0.4, 2)
        centre = spots[random.integers(len(spots))] + random.uniform(-half, half)
        (west, south), (east, north) = centre - half, centre + half
        inside = ((spots >= [west, south]) & (spots <= [east, north])).all(axis=1)
        expected = {number for number, kept in zip(plain, inside, strict=True) if kept}
        answer = served.get(
            f"/collections/{POINTS}/items",
            bbox=f"{west},{south},{east},{north}",
            datum=datum,
            limit=10_000,
        ).json()
        assert {one["id"] for one in answer["features"]} & plain.keys() == expected, turn
        assert answer["numberMatched"] == len(answer["features"])


@pytest.mark.parametrize("datum", DATUMS)
def test_boxes_without_width_of_the_world_and_elsewhere(served: Served, datum: str) -> None:
    everything = set(all_items(served, AREAS))
    assert set(all_items(served, AREAS, bbox="-180,-90,180,90", datum=datum)) == everything
    assert not all_items(served, AREAS, bbox="-10,40,0,50", datum=datum)
    area = next(iter(all_items(served, AREAS, datum=datum).values()))
    x, y = shape(area["geometry"]).representative_point().coords[0]
    for box in (f"{x},{y},{x},{y}", f"{x - 1},{y},{x + 1},{y}", f"{x},{y - 1},{x},{y + 1}"):
        assert area["id"] in all_items(served, AREAS, bbox=box, datum=datum)


@pytest.mark.parametrize(
    "path",
    [f"/collections/{POINTS}/items", f"/collections/{POINTS}/items/1", "/analysis/coverage",
     "/tiles/shelters/8/213/100.mvt", "/analysis/reach?lon=120.5&lat=36.5"],
)  # fmt: skip
@pytest.mark.parametrize("datum", ["", "GCJ-02", "cgcs2000", "bd09mc"])
def test_another_name_is_refused(served: Served, path: str, datum: str) -> None:
    mark = "&" if "?" in path else "?"
    answer = served.get(f"{path}{mark}datum={datum}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "datum")
    assert "gcj02" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/tiles", "/tileMatrixSets", "/collections", "/overview"])
def test_elsewhere_it_is_an_unknown_parameter(served: Served, path: str) -> None:
    answer = served.get(path, datum="gcj02")
    assert answer.status_code == 400
    assert answer.json()["type"].endswith("parameter.unknown")


@pytest.mark.parametrize("datum", DATUMS)
def test_circles_start_and_answer_in_the_datum(served: Served, datum: str) -> None:
    crs = read_crs(datum)
    start = np.array([place(4)])
    body: dict[str, Any] = {"minutes": [4, 8], "call_handling_s": 0, "turnout_s": 0}
    url = "/analysis/response-circles"
    plain = served.client.post(url, json={**body, "points": start.tolist()})
    points = crs.from_wgs84(start).tolist()
    answer = served.client.post(url, json={**body, "points": points, "datum": datum})
    assert answer.status_code == 200, answer.text
    assert answer.text.startswith(f'{{"type":"FeatureCollection","datum":"{datum}",')
    assert answer.headers["x-datum"] == datum and "x-datum" not in plain.headers
    one, other = plain.json(), answer.json()
    assert "datum" not in one
    for here, there in zip(one["features"], other["features"], strict=True):
        assert there["properties"] == here["properties"]
        drawn = shape(there["geometry"])
        assert drawn.is_valid and drawn.geom_type == "MultiPolygon"
        back = shapely.transform(drawn, crs.to_wgs84)
        assert back.symmetric_difference(shape(here["geometry"])).area < 1e-3 * back.area
    for name in ("method", "people_by_minute", "phases"):
        assert other[name] == one[name]
    assert np.abs(np.array([[s["lon"], s["lat"]] for s in other["starts"]]) - points).max() < 1e-6
    snapped = crs.from_wgs84(np.array([s["snapped"] for s in one["starts"]]))
    assert np.abs(np.array([s["snapped"] for s in other["starts"]]) - snapped).max() < 1e-6


@pytest.mark.parametrize("datum", DATUMS)
def test_reach_and_coverage_answer_in_the_datum(served: Served, datum: str) -> None:
    crs = read_crs(datum)
    lon, lat = place(6)
    x, y = crs.from_wgs84(np.array([[lon, lat]]))[0].tolist()
    plain = served.get("/analysis/reach", lon=repr(lon), lat=repr(lat)).json()
    found = served.get("/analysis/reach", lon=repr(x), lat=repr(y), datum=datum)
    assert found.headers["x-datum"] == datum == found.json()["datum"]
    assert [found.json()["lon"], found.json()["lat"]] == pytest.approx([x, y], abs=1.1e-7)
    assert len(plain["teams"]) >= 2
    pairs = [(plain["teams"], found.json()["teams"])]
    plain, answer = (served.get("/analysis/coverage", limit=50, **one).json()
                     for one in ({}, {"datum": datum}))  # fmt: skip
    assert answer["datum"] == datum and answer["total"] == plain["total"]
    assert plain["uncovered"]
    pairs.append((plain["uncovered"], answer["uncovered"]))
    for before, after in pairs:
        assert [one["id"] for one in before] == [one["id"] for one in after]
        lonlat = np.array([[one["lon"], one["lat"]] for one in before])
        moved = np.array([[one["lon"], one["lat"]] for one in after])
        assert np.abs(moved - crs.from_wgs84(lonlat)).max() < 1.1e-7


def test_a_place_that_the_formula_is_not_made_for_is_named(served: Served) -> None:
    answer = served.client.post(
        "/analysis/response-circles",
        json={"points": [[120.5, 36.5], [-0.1, 51.5]], "datum": "gcj02"},
    )
    assert (answer.status_code, answer.json()["parameter"]) == (400, "points[1]")
    answer = served.get("/analysis/reach", lon="-0.1", lat="51.5", datum="bd09")
    assert (answer.status_code, answer.json()["parameter"]) == (400, "lon,lat")
    assert "-0.1" in answer.json()["detail"] and "bd09" in answer.json()["detail"]


def test_what_lies_beyond_the_formula_has_no_geometry_rather_than_infinity(
    cluster: Cluster, migrated: str
) -> None:
    """psql can store a feature anywhere."""
    with serving(cluster, migrated) as found:
        found.put(POINTS, {"code": "far", "geom": "POINT(-0.1 51.5)"},
                  {"code": "near", "geom": "POINT(120.5 36.5)"})  # fmt: skip
        far, near = found.items(POINTS, datum="gcj02")
        assert far["geometry"] is None and near["geometry"]["type"] == "Point"


def test_the_importer_reads_the_member_and_never_shifts_twice(
    served: Served, tmp_path: Path
) -> None:
    page = served.get(f"/collections/{POINTS}/items", datum="gcj02", limit=5)
    file = tmp_path / "answer.geojson"
    plain = {one["id"]: one for one in served.items(POINTS, limit=5)}
    members = page.json()
    for last in (False, True):  # wherever the file says so
        if last:
            members = {**members, "datum": members.pop("datum")}
        file.write_text(json.dumps(members), encoding="utf-8")
        (batch,) = GeoJson(file, ReadOptions(crs=read_crs("GCJ02"))).batches()
        landed = read_crs("GCJ02").to_wgs84(shapely.get_coordinates(batch.geometry))
        expected = np.vstack([coordinates(one["geometry"]) for one in plain.values()])
        assert np.abs(landed - expected).max() < 2.1e-7
        for other in ("BD09", "EPSG:4326", "EPSG:4490"):
            with pytest.raises(InputError) as caught:
                list(GeoJson(file, ReadOptions(crs=read_crs(other))).batches())
            assert caught.value.key == "crs.differs"
            assert "gcj02" in str(caught.value) and other in str(caught.value)
