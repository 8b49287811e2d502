"""OGC API - Features part 1 (17-069r4), Annex A: its abstract tests, each by its id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import shapely
from lxml import html as lxml_html
from openapi_spec_validator import OpenAPIV30SpecValidator
from shapely.geometry import Point, box, shape

from api_help import CATALOG, Served
from ogc_help import (
    CRS84,
    GEOJSON,
    LAYERS,
    OPENAPI,
    ROWS,
    a_city,
    all_items,
    is_problem,
    link_of,
    parameter,
    valid_in,
)
from riskmap.db.cluster import Cluster

CORE = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf"
ITEMS = "/collections/{collectionId}/items"
# The resources whose links and formats are looked at.
DOCUMENTS = ("/", "/conformance", "/collections", "/collections/shelters")

JANUARY, YEAR = "2025-01-31T00:00:00Z", "2023-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with a_city(cluster, migrated) as found:
        yield found


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    return served.get("/openapi.json").json()


# A.2 core


def test_ats_core_http(served: Served) -> None:
    for path in ("/", "/conformance", "/collections", "/collections/shelters/items", "/api"):
        assert served.get(path).status_code == 200
    is_problem(served.get("/collections/none/items"), 404)
    is_problem(served.get("/none"), 404)
    assert served.client.put("/collections").status_code == 405
    assert served.client.head("/collections/shelters/items").status_code == 200


def test_ats_core_root_op_root_success(served: Served) -> None:
    answer = served.get("/")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    rels = {link["rel"] for link in body["links"]}
    assert {"self", "service-desc", "service-doc", "conformance", "data"} <= rels
    assert all(link["href"].startswith("http") and link["type"] for link in body["links"])


def test_ats_core_api_definition_op_success(served: Served) -> None:
    desc = link_of(served.get("/").json(), "service-desc")
    assert desc["type"] == OPENAPI  # clients compare it byte for byte
    answer = served.client.get(desc["href"], headers={"Accept": desc["type"]})
    assert answer.status_code == 200 and answer.headers["content-type"] == OPENAPI
    assert answer.json()["openapi"].startswith("3.0.")
    doc = link_of(served.get("/").json(), "service-doc")
    page = served.client.get(doc["href"], headers={"Accept": "text/html"})
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")


def test_ats_core_conformance_op_success(served: Served) -> None:
    found = served.client.get(link_of(served.get("/").json(), "conformance")["href"])
    assert found.status_code == 200
    classes = found.json()["conformsTo"]
    assert {f"{CORE}/{name}" for name in ("core", "oas30", "html", "geojson")} <= set(classes)
    assert len(classes) == len(set(classes))


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_crs84(served: Served, layer: str) -> None:
    answer = served.get(f"/collections/{layer}/items")
    assert answer.headers["content-crs"] == f"<{CRS84}>"
    for feature in answer.json()["features"]:
        # Longitude first: the test city lies at 120 to 121 east, 36 to 37 north.
        assert box(120, 36, 121, 37).contains(shape(feature["geometry"]))


def test_ats_core_fc_md_op_success_links_items(served: Served) -> None:
    answer = served.client.get(link_of(served.get("/").json(), "data")["href"])
    assert answer.status_code == 200
    body = answer.json()
    assert link_of(body, "self")["type"] == "application/json"
    assert link_of(body, "alternate")["type"] == "text/html"
    assert [one["id"] for one in body["collections"]] == list(CATALOG)
    assert all(one["links"] for one in body["collections"])


def test_ats_core_fc_md_items_links(served: Served) -> None:
    for one in served.get("/collections").json()["collections"]:
        items = link_of(one, "items", GEOJSON)
        assert items["href"].endswith(f"/collections/{one['id']}/items")
        answer = served.client.get(items["href"])
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(items["type"])
        assert len([link for link in one["links"] if link["rel"] == "self"]) == 1


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_fc_md_extent(served: Served, layer: str) -> None:
    extent = served.get(f"/collections/{layer}").json()["extent"]
    features = all_items(served, layer)
    shapes = [shape(feature["geometry"]) for feature in features]
    assert extent["spatial"]["crs"] == CRS84
    (bbox,) = extent["spatial"]["bbox"]
    assert bbox == pytest.approx(shapely.total_bounds(shapes), abs=1e-9)
    # Some are open at one side and some at the other, so that the whole is.
    assert extent["temporal"]["interval"] == [[None, None]]


def test_ats_core_fc_md_extent_multi(served: Served) -> None:
    for one in served.get("/collections").json()["collections"]:
        assert len(one["extent"]["spatial"]["bbox"]) == 1
        assert len(one["extent"]["temporal"]["interval"]) == 1


@pytest.mark.parametrize("layer", CATALOG)
def test_ats_core_sfc_md_op_success(served: Served, layer: str) -> None:
    listed = {one["id"]: one for one in served.get("/collections").json()["collections"]}[layer]
    single = served.get(f"/collections/{layer}")
    assert single.status_code == 200
    body = single.json()
    for key, value in listed.items():
        assert body[key] == value, key
    assert body["itemType"] == "feature"


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_fc_op_response(served: Served, layer: str) -> None:
    answer = served.get(f"/collections/{layer}/items")
    assert answer.status_code == 200 and answer.headers["content-type"] == GEOJSON
    body = answer.json()
    assert body["type"] == "FeatureCollection" and len(body["features"]) == ROWS
    assert all(feature["type"] == "Feature" for feature in body["features"])


@pytest.mark.parametrize("path", [ITEMS, *(f"/collections/{one}/items" for one in LAYERS)])
def test_ats_core_fc_limit_definition(document: dict[str, Any], path: str) -> None:
    found = parameter(document, path, "limit")
    assert (found["required"], found["style"], found["explode"]) == (False, "form", False)
    schema = found["schema"]
    assert schema["type"] == "integer"
    assert 0 < schema["minimum"] <= schema["default"] <= schema["maximum"]


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_fc_limit_response(served: Served, document: dict[str, Any], layer: str) -> None:
    schema = parameter(document, ITEMS, "limit")["schema"]
    for limit in (schema["minimum"], 5, ROWS - 1, ROWS, schema["maximum"]):
        body = served.get(f"/collections/{layer}/items", limit=limit).json()
        assert len(body["features"]) == min(limit, ROWS)
        followed = [link for link in body["links"] if link["rel"] == "next"]
        assert len(followed) == (limit < ROWS)
    for limit in (schema["minimum"] - 1, schema["maximum"] + 1, -1, "x", "1.5", ""):
        is_problem(served.get(f"/collections/{layer}/items", limit=limit), 400, "limit")


@pytest.mark.parametrize("path", [ITEMS, *(f"/collections/{one}/items" for one in LAYERS)])
def test_ats_core_fc_bbox_definition(document: dict[str, Any], path: str) -> None:
    found = parameter(document, path, "bbox")
    assert (found["required"], found["style"], found["explode"]) == (False, "form", False)
    schema = found["schema"]
    assert schema["type"] == "array" and schema["items"]["type"] == "number"
    assert (schema["minItems"], schema["maxItems"]) == (4, 6)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "corners",
    [
        (120.2, 36.2, 120.5, 36.5),
        (120.0, 36.0, 121.0, 37.0),
        (120.1, 36.1, 120.1, 36.1),
        (-180, -90, 180, 90),
        (5, 40, 6, 41),
        # The suite's own: poles and the antimeridian.
        (177.0, 65.0, -177.0, 70.0),
        (-180.0, 85.0, 180.0, 90.0),
        (-180.0, -90.0, 180.0, -85.0),
    ],
    ids=str,
)
def test_ats_core_fc_bbox_response(served: Served, layer: str, corners: tuple[float, ...]) -> None:
    west, south, east, north = corners
    parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
    # A box without an area is a point, which GEOS does not see in its outline.
    areas = [box(a, south, b, north) for a, b in parts if a < b]
    wanted = shapely.union_all(areas) if areas else Point(west, south)
    expected = {
        feature["id"]
        for feature in all_items(served, layer)
        if shape(feature["geometry"]).intersects(wanted)
    }
    flat = ",".join(map(str, corners))
    deep = f"{west},{south},-10,{east},{north},9000"
    for text in (flat, deep):
        assert {one["id"] for one in all_items(served, layer, bbox=text)} == expected


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,4,5,6,7", "1,5,2,4", "0,-91,1,0", "nan,0,1,1"],
)
def test_ats_core_fc_bbox_invalid(served: Served, text: str) -> None:
    is_problem(served.get("/collections/shelters/items", bbox=text), 400, "bbox")


@pytest.mark.parametrize("path", [ITEMS, *(f"/collections/{one}/items" for one in LAYERS)])
def test_ats_core_fc_time_definition(document: dict[str, Any], path: str) -> None:
    found = parameter(document, path, "datetime")
    assert (found["required"], found["style"], found["explode"]) == (False, "form", False)
    assert found["schema"]["type"] == "string"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("2024-02-29T08:00:00+08:00", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("2022-01-01T00:00:00Z", "2022-01-01T00:00:00Z", "2022-01-01T00:00:00Z"),
        # Both ends are inclusive.
        ("2024-12-31T00:00:00Z/2025-01-31T00:00:00Z", "2024-12-31T00:00:00Z", JANUARY),
        ("2024-12-31T00:00:01Z/2025-01-31T00:00:00Z", "2024-12-31T00:00:01Z", JANUARY),
        ("2022-01-01T00:00:00Z/2023-01-01T00:00:00Z", "2022-01-01T00:00:00Z", YEAR),
        ("2024-07-01T00:00:00Z/..", "2024-07-01T00:00:00Z", None),
        ("2024-07-01T00:00:00Z/", "2024-07-01T00:00:00Z", None),
        ("../2022-12-31T00:00:00Z", None, "2022-12-31T00:00:00Z"),
        ("/2022-12-31T00:00:00Z", None, "2022-12-31T00:00:00Z"),
        ("2024-12-30T00:00:00Z/P1D", "2024-12-30T00:00:00Z", "2024-12-31T00:00:00Z"),
        ("2024-02-28T23:00:00Z/PT1H", "2024-02-28T23:00:00Z", "2024-02-29T00:00:00Z"),
    ],
)  # fmt: skip
def test_ats_core_fc_time_response(
    served: Served, layer: str, text: str, start: str | None, end: str | None
) -> None:
    expected = {one["id"] for one in all_items(served, layer) if valid_in(one, start, end)}
    assert expected and {one["id"] for one in all_items(served, layer, datetime=text)} == expected


@pytest.mark.parametrize(
    "text",
    ["", "..", "x", "2024", "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "a/b",
     "2024-01-02T00:00:00Z/2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z/P1D/P1D"],
)  # fmt: skip
def test_ats_core_fc_time_invalid(served: Served, text: str) -> None:
    is_problem(served.get("/collections/shelters/items", datetime=text), 400, "datetime")


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, "/api", "/collections/shelters/items", "/collections/shelters/items/1"]
)
def test_ats_core_query_param_unknown(served: Served, path: str) -> None:
    is_problem(served.get(path, unknownQueryParameter="x"), 400, "unknownQueryParameter")


@pytest.mark.parametrize("path", [*DOCUMENTS, "/api"])
def test_ats_core_query_param_invalid(served: Served, path: str) -> None:
    is_problem(served.get(path, f="nonsense"), 400, "f")
    is_problem(served.client.get(f"{path}?f=json&f=json"), 400, "f")


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_fc_links_rel_type(served: Served, layer: str) -> None:
    body = served.get(f"/collections/{layer}/items", limit=10).json()
    self = link_of(body, "self")
    assert served.client.get(self["href"]).json()["features"] == body["features"]
    assert link_of(body, "alternate", "text/html")["href"]
    assert all(link["rel"] and link["type"] for link in body["links"])
    following = link_of(body, "next")
    assert following["type"] == GEOJSON and following["href"].startswith("http")
    second = served.client.get(following["href"]).json()
    first_ids, second_ids = ({one["id"] for one in page["features"]} for page in (body, second))
    assert len(second_ids) == 10 and not first_ids & second_ids
    assert link_of(second, "prev")["type"] == GEOJSON


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_fc_timestamp_numbermatched_numberreturned(served: Served, layer: str) -> None:
    for params in ({}, {"limit": 4}, {"bbox": "120.2,36.2,120.5,36.5"}, {"limit": 4, "offset": 6}):
        body = served.get(f"/collections/{layer}/items", **params).json()
        assert datetime.fromisoformat(body["timeStamp"]).tzinfo is not None
        assert body["numberReturned"] == len(body["features"])
        # Over all pages: an estimate would fail here.
        whole = {key: value for key, value in params.items() if key == "bbox"}
        assert body["numberMatched"] == len(all_items(served, layer, **whole, limit=3))


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_core_f_op_success_links(served: Served, layer: str) -> None:
    for feature in all_items(served, layer)[:5]:
        answer = served.get(f"/collections/{layer}/items/{feature['id']}")
        assert answer.status_code == 200 and answer.headers["content-type"] == GEOJSON
        body = answer.json()
        assert {key: body[key] for key in feature} == feature
        assert served.client.get(link_of(body, "self")["href"]).json() == body
        collection = served.client.get(link_of(body, "collection")["href"]).json()
        assert collection["id"] == layer
        assert link_of(body, "alternate", "text/html")["href"]
    for gone in (10**9, 2**63 - 1):
        is_problem(served.get(f"/collections/{layer}/items/{gone}"), 404)


# A.3 GeoJSON


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_geojson_definition_content(served: Served, layer: str) -> None:
    path = f"/collections/{layer}/items"
    one = served.get(path, limit=1).json()["features"][0]["id"]
    for address, kind in ((path, "FeatureCollection"), (f"{path}/{one}", "Feature")):
        answer = served.client.get(address, headers={"Accept": GEOJSON})
        assert answer.headers["content-type"] == GEOJSON
        assert answer.json()["type"] == kind
    for feature in all_items(served, layer):
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert shape(feature["geometry"]).is_valid


# A.4 HTML


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, "/api", "/collections/shelters/items", "/collections/shelters/items/1"]
)
def test_ats_html_definition_content(served: Served, path: str) -> None:
    by_accept = served.client.get(path, headers={"Accept": "text/html"})
    by_f = served.get(path, f="html")
    for answer in (by_accept, by_f):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        tree = lxml_html.document_fromstring(answer.content)
        assert tree.findtext(".//title") and tree.find(".//main") is not None
    if path not in ("/", "/api"):  # the map asks for what it shows
        text = lxml_html.document_fromstring(by_f.content).text_content()
        told = served.get("/collections/shelters/items/1").json()["properties"]["name"]
        assert told in text if "items" in path else "opengis" in text or "避难场所" in text


# A.5 OpenAPI 3.0


def test_ats_oas30_completeness(served: Served, document: dict[str, Any]) -> None:
    for path in ("/", "/conformance", "/collections", "/collections/{collectionId}", ITEMS,
                 f"{ITEMS}/{{featureId}}"):  # fmt: skip
        operation = document["paths"][path]["get"]
        answer = served.get(path.replace("{collectionId}", "shelters").replace("{featureId}", "1"))
        contents = operation["responses"]["200"]["content"]
        assert answer.headers["content-type"] in contents
    ids = {"$ref": "#/components/parameters/collectionId"}
    assert ids in document["paths"][ITEMS]["get"]["parameters"]
    assert document["components"]["parameters"]["collectionId"]["schema"]["enum"] == list(CATALOG)


def test_ats_oas30_exceptions_codes(served: Served, document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                for codes in ("4XX", "5XX"):
                    assert codes in operation["responses"], (method, path)
    problem = document["components"]["responses"]["problem"]["content"]
    assert list(problem) == ["application/problem+json", "text/html"]


def test_ats_oas30_security(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert {one["type"] for one in schemes.values()} == {"http", "apiKey"}
    assert {} in document["paths"][ITEMS]["get"]["security"]
    assert {} not in document["paths"]["/audit"]["get"]["security"]


def test_ats_oas30_definition(served: Served, document: dict[str, Any]) -> None:
    assert not list(OpenAPIV30SpecValidator(document).iter_errors())
    assert document["openapi"] == "3.0.3"
    assert served.get("/api").json() == document
    (server,) = document["servers"]
    assert server["url"] == "http://testserver"
