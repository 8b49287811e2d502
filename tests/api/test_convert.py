"""POST /convert: positions and GeoJSON from one system to another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from api_help import Served, serving
from riskmap.api.convert import MAX_BODY_BYTES, MAX_POSITIONS
from riskmap.crs.input import read_crs
from riskmap.db.cluster import Cluster

QINGDAO = [120.38, 36.07]


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def convert(served: Served, lang: str = "zh", **body: Any) -> Any:
    body = {name.rstrip("_"): value for name, value in body.items()}
    return served.client.post("/convert", json=body, headers={"Accept-Language": lang})


@pytest.mark.parametrize("source", ["WGS84", "crs84", "EPSG:4326", "gcj-02", "BD09", "EPSG:4528"])
@pytest.mark.parametrize("target", ["WGS84", "EPSG:4490", "GCJ02", "bd-09", "EPSG:4549"])
def test_from_any_system_to_any_other(served: Served, source: str, target: str) -> None:
    def known(name: str) -> Any:
        return read_crs("EPSG:4326" if name.upper() in ("WGS84", "CRS84") else name)

    wgs84 = np.array([QINGDAO, [104.07, 30.67], [120.15, 30.27]])[: 1 if "45" in source else 3]
    sent = known(source).from_wgs84(wgs84)
    answer = convert(served, from_=source, to=target, positions=sent.tolist())
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["from"], body["to"]) == (known(source).name, known(target).name)
    expected = known(target).from_wgs84(wgs84)
    assert np.allclose(
        body["positions"], expected, rtol=0, atol=1e-9 if expected.max() < 200 else 1e-4
    )


def test_axes_of_both_sides_and_a_datum_shift(served: Served) -> None:
    shift = [10.0, 20.0, 30.0]
    sent = read_crs("EPSG:2437", axes="ne", datum_shift=shift).from_wgs84(np.array([QINGDAO]))
    asked = {"from_": "EPSG:2437", "axes": "ne", "to": "WGS84", "to_axes": "ne"}
    answer = convert(served, **asked, datum_shift=shift, positions=sent.tolist())
    assert np.allclose(answer.json()["positions"], [QINGDAO[::-1]], rtol=0, atol=1e-8)
    assert answer.json()["from"] == "EPSG:2437 +towgs84=10,20,30 (north, east)"
    without = convert(served, **asked, positions=sent.tolist())
    assert (without.status_code, without.json()["parameter"]) == (400, "from")
    assert "crs.refused" in without.json()["type"]


def test_as_many_as_it_takes_and_no_more(served: Served) -> None:
    digits = [120.38123456789012, 36.071234567890123]
    full = convert(served, from_="BD09", to="WGS84", positions=[digits] * MAX_POSITIONS)
    assert full.status_code == 200
    assert len(full.json()["positions"]) == MAX_POSITIONS
    more = convert(served, from_="BD09", to="WGS84", positions=[[120, 36]] * (MAX_POSITIONS + 1))
    assert more.status_code == 400
    for word in ("positions", "10000", "10001", f"{MAX_BODY_BYTES // 1024} KiB"):
        assert word in more.json()["detail"]
    none = convert(served, from_="BD09", to="WGS84", positions=[])
    assert none.json()["positions"] == []


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_body_beyond_the_limit_is_not_read(served: Served, lang: str) -> None:
    body = json.dumps({"from": "BD09", "to": "WGS84", "positions": [[1.5, 2.5]]})
    answer = served.client.post(
        "/convert",
        content=body + " " * MAX_BODY_BYTES,
        headers={"Content-Type": "application/json", "Accept-Language": lang},
    )
    assert answer.status_code == 413
    assert f"{MAX_BODY_BYTES // 1024} KiB" in answer.json()["detail"]


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("GCJ02", [40534231.97, 3993376.68]),
        ("GCJ02", [-0.1, 51.5]),
        ("EPSG:4549", [40534231.97, 3993376.68]),
        ("EPSG:4528", [534231.97, 3993376.68]),
        ("WGS84", [36.07, 120.38]),
        ("WGS84", [120.38, float("nan")]),
        ("WGS84", [float("inf"), 36.0]),
    ],
)
def test_what_cannot_be_converted_is_named_by_its_index(
    served: Served, source: str, position: list[float], lang: str
) -> None:
    good = read_crs("EPSG:4326" if source == "WGS84" else source).from_wgs84(np.array([QINGDAO]))
    body = {"from": source, "to": "BD09", "positions": [*good.tolist(), position, position]}
    answer = served.client.post(
        "/convert",
        content=json.dumps(body),  # NaN as Python spells it
        headers={"Content-Type": "application/json", "Accept-Language": lang},
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].endswith("convert.position")
    assert problem["parameter"] == "positions[1]"
    assert "positions[1]" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"to": "WGS84", "positions": []}, "from"),
        ({"from": "WGS84", "positions": []}, "to"),
        ({"from": "WGS84", "to": "GCJ02"}, "positions,geojson"),
        ({"from": "WGS84", "to": "GCJ02", "positions": [], "geojson": {}}, "positions,geojson"),
        ({"from": "nowhere", "to": "GCJ02", "positions": []}, "from"),
        ({"from": "GCJ02", "to": "EPSG:99999", "positions": []}, "to"),
        ({"from": "BD09MC", "to": "GCJ02", "positions": []}, "from"),
        ({"from": "GCJ02", "to": "BD09", "axes": "xy", "positions": []}, "axes"),
        ({"from": "GCJ02", "to": "BD09", "datum_shift": [1, 2, 3], "positions": []}, "datum_shift"),
        ({"from": "GCJ02", "to": "BD09", "positions": [[1, 2, 3]]}, "positions[0]"),
        ({"from": "GCJ02", "to": "BD09", "positions": [[1]]}, "positions[0]"),
        ({"from": "GCJ02", "to": "BD09", "positions": [], "more": 1}, "more"),
        ({"from": "GCJ02", "to": "BD09", "geojson": {}}, "geojson"),
        ({"from": "GCJ02", "to": "BD09", "geojson": {"type": "Circle"}}, "geojson"),
        ({"from": "GCJ02", "to": "BD09", "geojson": {"type": ["Point"]}}, "geojson"),
        (
            {"from": "GCJ02", "to": "BD09", "geojson": {"type": "Point", "coordinates": []}},
            "geojson",
        ),
        (
            {"from": "GCJ02", "to": "BD09",
             "geojson": {"type": "LineString", "coordinates": [[1, 2], 3]}},
            "geojson",
        ),
        (
            {"from": "GCJ02", "to": "BD09",
             "geojson": {"type": "Polygon", "coordinates": [[1, 2], [3, 4]]}},
            "geojson",
        ),
        (
            {"from": "GCJ02", "to": "BD09",
             "geojson": {"type": "Point", "coordinates": [10**400, 2]}},
            "geojson",
        ),
        (
            {"from": "WGS84", "to": "BD09", "geojson":
             {"type": "Feature", "datum": "gcj02", "properties": {}, "geometry": None}},
            "from",
        ),
    ],
)  # fmt: skip
def test_a_bad_body_names_what_is_at_fault(
    served: Served, body: dict[str, Any], parameter: str
) -> None:
    answer = served.client.post(
        "/convert", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"].startswith(parameter)


def test_deep_nests_are_refused(served: Served) -> None:
    nested: dict[str, Any] = {"type": "Point", "coordinates": QINGDAO}
    for _ in range(200):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    assert convert(served, from_="WGS84", to="GCJ02", geojson=nested).status_code == 400


def test_unknown_parameters_are_refused(served: Served) -> None:
    answer = served.client.post("/convert?to=GCJ02", json={})
    assert answer.status_code == 400


def test_geojson_of_every_kind_keeps_all_but_its_positions(served: Served) -> None:
    ring = [[120.1, 36.1], [120.2, 36.1], [120.2, 36.2], [120.1, 36.1]]
    geometries = [
        {"type": "Point", "coordinates": [120.1, 36.1, 55.5]},
        {"type": "MultiPoint", "coordinates": ring[:2]},
        {"type": "LineString", "coordinates": ring[:3]},
        {"type": "MultiLineString", "coordinates": [ring[:2], ring[1:]]},
        {"type": "Polygon", "coordinates": [ring]},
        {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
    ]
    collection = {"type": "GeometryCollection", "geometries": geometries}
    features = [
        {"type": "Feature", "id": n, "geometry": one, "properties": {"coordinates": [1, 2]}}
        for n, one in enumerate([*geometries, collection, None])
    ]
    whole = {"type": "FeatureCollection", "features": features, "crs": {"x": 1}, "note": "kept"}
    there = convert(served, from_="WGS84", to="GCJ02", geojson=whole).json()["geojson"]
    assert (there["type"], there["datum"], there["note"]) == ("FeatureCollection", "gcj02", "kept")
    assert "crs" not in there
    point = there["features"][0]["geometry"]["coordinates"]
    gcj02 = read_crs("GCJ02").from_wgs84(np.array([[120.1, 36.1]]))
    assert point == [*np.round(gcj02[0], 9).tolist(), 55.5]
    assert there["features"][5]["geometry"]["coordinates"][1][0][0] == point[:2]
    assert there["features"][6]["geometry"]["geometries"][5] == there["features"][5]["geometry"]
    back = convert(served, from_="GCJ02", to="CRS84", geojson=there).json()["geojson"]
    del whole["crs"]
    assert "datum" not in back
    assert _rounded(back) == _rounded(whole)
    twice = convert(served, from_="WGS84", to="GCJ02", geojson=there)
    assert twice.status_code == 400 and twice.json()["type"].endswith("crs.differs")


def _rounded(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 7))


@pytest.mark.parametrize("member", ["datum_shift", "to_datum_shift"])
@pytest.mark.parametrize(
    ("shift", "key"),
    [
        ([1.0] * 8, "body.invalid"),
        (["x"] * 60_000, "body.invalid"),
        ([1, 2], "crs.shift"),
        ([1] * 6, "crs.shift"),
        ([], "crs.refused"),
        ([1, 2, "3"], "crs.shift"),
        ([1, 2, True], "crs.shift"),
        ([1, 2, None], "crs.shift"),
        ([1, 2, [3]], "crs.shift"),
        ([1, 2, 1e7], "crs.shift"),
        ([1, 2, 10**400], "crs.shift"),
        ("1,2,3", "body.invalid"),
    ],
)
def test_a_datum_shift_is_three_or_seven_numbers(
    served: Served, member: str, shift: Any, key: str
) -> None:
    systems = ("EPSG:2437", "WGS84") if member == "datum_shift" else ("WGS84", "EPSG:2437")
    body = {"from": systems[0], "to": systems[1], "positions": [], member: shift}
    answer = served.client.post(
        "/convert", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    found = answer.json()
    assert len(answer.content) < 2000
    system = "from" if member == "datum_shift" else "to"
    assert found["parameter"] == (system if key == "crs.refused" else member)
    assert found["type"].endswith(key)


def test_axes_of_the_answer_are_named_as_such(served: Served) -> None:
    answer = convert(served, from_="GCJ02", to="BD09", to_axes="xy", positions=[])
    assert (answer.status_code, answer.json()["parameter"]) == (400, "to_axes")


def test_the_description_says_how_many_numbers_a_datum_shift_has(served: Served) -> None:
    body = served.get("/openapi.json").json()["components"]["schemas"]["ConvertBody"]["properties"]
    for member in ("datum_shift", "to_datum_shift"):
        assert body[member]["items"] == {"type": "number"} and body[member]["maxItems"] == 7


@pytest.mark.parametrize("far", [[120.38, 36.07], [-104.9, 39.7]])
def test_a_position_that_no_way_was_made_for_is_named(served: Served, far: list[float]) -> None:
    """Indian 1960 is Vietnam's: elsewhere its numbers came back unchanged."""
    for source, target in (("EPSG:4131", "WGS84"), ("WGS84", "EPSG:4131")):
        answer = convert(served, from_=source, to=target, positions=[[106.0, 21.0], far])
        assert answer.status_code == 400
        assert answer.json()["parameter"] == "positions[1]"
    answer = convert(served, from_="EPSG:4131", to="WGS84", positions=[[106.0, 21.0]])
    assert np.allclose(answer.json()["positions"], [[105.9958, 21.0012]], rtol=0, atol=5e-5)
