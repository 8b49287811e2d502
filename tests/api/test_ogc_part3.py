"""OGC API - Features part 3 (19-079r2): its abstract tests, each by its id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from shapely.geometry import box, shape

from api_help import CATALOG, SECRET, Served
from ogc_help import EPSG, LAYERS, OPENAPI, a_city, all_items, is_problem, link_of, parameter
from riskmap.api.parameters import of_fields
from riskmap.catalog.spec import Kind
from riskmap.db.cluster import Cluster

PART3 = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf"
CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf"
REL = "http://www.opengis.net/def/rel/ogc/1.0"
SCHEMA = "application/schema+json"
ITEMS = "/collections/{collectionId}/items"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with a_city(cluster, migrated) as found:
        yield found


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    return served.client.get("/openapi.json", headers={"Accept": OPENAPI}).json()


def ids(features: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for one in features]


def public(layer: str, *but: Kind) -> set[str]:
    return {one.name for one in CATALOG[layer].visible(restricted=False) if one.kind not in but}


# Requirements class "Queryables"


def test_ats_queryables_conformance(served: Served) -> None:
    classes = set(served.get("/conformance").json()["conformsTo"])
    part3 = ("queryables", "queryables-query-parameters", "filter", "features-filter")
    assert {f"{PART3}/{name}" for name in part3} <= classes
    cql2 = ("cql2-text", "cql2-json", "basic-cql2", "basic-spatial-functions")
    assert {f"{CQL2}/{name}" for name in cql2} <= classes


@pytest.mark.parametrize("layer", CATALOG)
def test_ats_queryables_link(served: Served, layer: str) -> None:
    body = served.get(f"/collections/{layer}").json()
    for rel, path in (("queryables", "queryables"), ("sortables", "sortables")):
        found = link_of(body, f"{REL}/{rel}", SCHEMA)
        assert found["href"] == f"http://testserver/collections/{layer}/{path}"


@pytest.mark.parametrize("layer", CATALOG)
def test_ats_queryables_get_op_response(served: Served, layer: str) -> None:
    answer = served.get(f"/collections/{layer}/queryables")
    assert answer.status_code == 200 and answer.headers["content-type"] == SCHEMA
    body = answer.json()
    Draft202012Validator.check_schema(body)
    assert body["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert body["$id"] == f"http://testserver/collections/{layer}/queryables"
    assert (body["type"], body["additionalProperties"]) == ("object", False)
    properties = body["properties"]
    assert set(properties) == {"geometry"} | public(layer, Kind.JSON)
    assert properties.pop("geometry")["format"].startswith("geometry-")
    for name, one in properties.items():
        field = CATALOG[layer].field(name)
        assert field is not None and one["title"] == field.zh and one["type"]
        values = one["items"] if one["type"] == "array" else one
        assert values.get("enum", []) == [value.code for value in field.values]
    english = served.client.get(
        f"/collections/{layer}/queryables", headers={"Accept-Language": "en"}
    ).json()["properties"]
    assert english["code"]["title"] == "Code"


@pytest.mark.parametrize("layer", CATALOG)
def test_restricted_properties_are_for_key_holders(served: Served, layer: str) -> None:
    for path in ("queryables", "sortables", "schema"):
        public_ = served.get(f"/collections/{layer}/{path}")
        for_key = served.get(f"/collections/{layer}/{path}", "reader")
        added = set(for_key.json()["properties"]) - set(public_.json()["properties"])
        assert "responsible_phone" in added
        assert all(CATALOG[layer].field(name).restricted for name in added)  # type: ignore[union-attr]
        assert SECRET not in public_.text
        assert for_key.headers["cache-control"] == "private, no-store"
        assert public_.headers["etag"] != for_key.headers["etag"]
        known = {"If-None-Match": public_.headers["etag"]}
        address = f"/collections/{layer}/{path}"
        assert served.client.get(address, headers=known).status_code == 304
        assert (
            served.client.get(address, headers={**known, **served.headers("reader")}).status_code
            == 200
        )


# Requirements class "Queryables as query parameters"


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_queryables_query_parameters(
    served: Served, document: dict[str, Any], layer: str
) -> None:
    """Every queryable but the geometry is declared, and selects what has its value."""
    queryables = served.get(f"/collections/{layer}/queryables").json()["properties"]
    features = all_items(served, layer)
    path = f"/collections/{layer}/items"
    for name, told in queryables.items():
        if name == "geometry":
            continue
        found = parameter(document, path, name)
        assert (found["required"], found["style"], found["explode"]) == (False, "form", False)
        values = {json.dumps(one["properties"][name]) for one in features}
        for text in sorted(values)[:3]:
            value = json.loads(text)
            if isinstance(value, list):
                value = value[0]
            asked = "null" if value is None else value
            asked = str(asked).lower() if isinstance(value, bool) else asked
            expected = [
                one["id"]
                for one in features
                if one["properties"][name] == value
                or (told["type"] == "array" and value in (one["properties"][name] or []))
            ]
            assert ids(all_items(served, layer, **{name: asked})) == expected, (name, value)


@pytest.mark.parametrize("layer", CATALOG)
def test_what_is_declared_for_a_collection_is_what_it_takes(
    served: Served, document: dict[str, Any], layer: str
) -> None:
    path = f"/collections/{layer}/items"
    refused = served.get(path, nonsense="x").json()
    known = set(refused["detail"].split("：")[-1].strip("。").split(", "))
    item = document["paths"][path]
    declared = set()
    for one in [*item["parameters"], *item["get"]["parameters"]]:
        key = one.get("$ref", "").rpartition("/")[2]
        declared.add((document["components"]["parameters"][key] if key else one)["name"])
    assert declared == known
    plain = {one.name for one in of_fields(CATALOG[layer], plain=True)}
    # What clients may leave to the service is in the operation: GDAL writes free text wrongly.
    assert {"name", "address", "code"}.isdisjoint(plain) and "status" in plain


# Requirements classes "Filter" and "Features filter"


def test_ats_filter_definition(document: dict[str, Any]) -> None:
    for path in (ITEMS, "/collections/shelters/items"):
        for name in ("filter", "filter-lang", "filter-crs"):
            found = parameter(document, path, name)
            assert (found["required"], found["schema"]["type"]) == (False, "string")
        schema = parameter(document, path, "filter-lang")["schema"]
        assert schema["enum"] == ["cql2-text", "cql2-json"]
        assert schema["default"] == "cql2-text"


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_filter_filter_param(served: Served, layer: str) -> None:
    features = all_items(served, layer)
    some = features[3]["properties"]["code"]
    others = [one["id"] for one in features if one["properties"]["code"] != some]
    assert ids(all_items(served, layer, filter=f"code='{some}'")) == [features[3]["id"]]
    assert ids(all_items(served, layer, filter=f"NOT code='{some}'")) == others
    assert all_items(served, layer, filter="code='nobody'") == []
    assert ids(all_items(served, layer, filter="code IS NOT NULL", limit=4)) == ids(features)


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_filter_filter_lang(served: Served, layer: str) -> None:
    code = all_items(served, layer)[2]["properties"]["code"]
    text = f"code='{code}'"
    as_json = json.dumps({"op": "=", "args": [{"property": "code"}, code]})
    bare = all_items(served, layer, filter=text)
    assert len(bare) == 1
    assert all_items(served, layer, **{"filter": text, "filter-lang": "cql2-text"}) == bare
    assert all_items(served, layer, **{"filter": as_json, "filter-lang": "cql2-json"}) == bare
    path = f"/collections/{layer}/items"
    is_problem(served.get(path, **{"filter": text, "filter-lang": "ecql"}), 400, "filter-lang")
    is_problem(served.get(path, **{"filter": text, "filter-lang": "cql2-json"}), 400, "filter")
    is_problem(served.get(path, filter=as_json), 400, "filter")


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_filter_filter_crs(served: Served, layer: str) -> None:
    wanted = box(120.2, 36.2, 120.5, 36.5)
    expected = [
        one["id"] for one in all_items(served, layer) if shape(one["geometry"]).intersects(wanted)
    ]
    assert 0 < len(expected) < len(all_items(served, layer))
    ring = [(120.2, 36.2), (120.5, 36.2), (120.5, 36.5), (120.2, 36.5), (120.2, 36.2)]
    lonlat = ",".join(f"{x} {y}" for x, y in ring)
    latlon = ",".join(f"{y} {x}" for x, y in ring)
    for more, numbers in (
        ({}, lonlat),
        ({"filter-crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}, lonlat),
        ({"filter-crs": f"{EPSG}/4326"}, latlon),
        ({"filter-crs": f"{EPSG}/4490"}, latlon),
    ):
        text = f"S_INTERSECTS(geometry,POLYGON(({numbers})))"
        assert ids(all_items(served, layer, filter=text, **more)) == expected, more


def test_ats_filter_unknown_property_and_function(served: Served) -> None:
    path = "/collections/shelters/items"
    for text, named in (("nonsense=1", "nonsense"), ("nonsense(code)=1", "nonsense")):
        answer = served.get(path, filter=text)
        is_problem(answer, 400, "filter")
        assert named in answer.json()["detail"]
    # A restricted property is unknown to those who may not read it.
    for name in ("responsible_phone", "attributes"):
        answer = served.get(path, filter=f"{name}='x'")
        is_problem(answer, 400, "filter")
        hidden = answer.json()["detail"].replace(name, "nonsense")
        assert hidden == served.get(path, filter="nonsense='x'").json()["detail"]
    assert served.get(path, "reader", filter="responsible_phone='x'").status_code == 200


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_features_filter_and_the_other_parameters(served: Served, layer: str) -> None:
    """What selects must all hold."""
    corners = "120.15,36.15,120.6,36.6"
    in_box = ids(all_items(served, layer, bbox=corners))
    coded = ids(all_items(served, layer, filter="status='active'"))
    assert in_box and coded
    both = ids(all_items(served, layer, bbox=corners, filter="status='active'"))
    assert both == [one for one in in_box if one in coded]
    assert both == ids(all_items(served, layer, bbox=corners, status="active"))


# Sortables and the features' schema (parts 5 and 8 are drafts: nothing is claimed of them)


@pytest.mark.parametrize("layer", LAYERS)
def test_sortables_are_what_can_be_sorted_by(served: Served, layer: str) -> None:
    told = served.get(f"/collections/{layer}/sortables").json()["properties"]
    assert set(told) == {"id"} | public(layer, Kind.JSON, Kind.TEXTS)
    path = f"/collections/{layer}/items"
    for name in told:
        assert served.get(path, sortby=f"-{name}", limit=2).status_code == 200
    for name in (*public(layer) - set(told), "geometry", "geom", "responsible_phone"):
        is_problem(served.get(path, sortby=name), 400, "sortby")


@pytest.mark.parametrize("layer", CATALOG)
def test_features_match_their_schema(served: Served, layer: str) -> None:
    for role in (None, "reader"):
        answer = served.get(f"/collections/{layer}/schemas/feature", role)
        assert answer.headers["content-type"] == SCHEMA
        schema = answer.json()
        Draft202012Validator.check_schema(schema)
        del schema["properties"]["geometry"]  # another schema, at geojson.org
        schema["properties"]["properties"]["additionalProperties"] = False
        checker = Draft202012Validator(schema, format_checker=FormatChecker())
        features = served.items(layer, role)
        names = set(schema["properties"]["properties"]["properties"])
        for feature in features:
            assert set(feature["properties"]) == names
            stated = {k: v for k, v in feature["properties"].items() if v is not None}
            checker.validate({**feature, "properties": stated})


@pytest.mark.parametrize("layer", CATALOG)
def test_the_schema_says_what_an_edit_may_set(served: Served, layer: str) -> None:
    body = served.get(f"/collections/{layer}/schema", "editor").json()
    Draft202012Validator.check_schema(body)
    managed = {one.name for one in CATALOG[layer].fields if one.managed} | {"id"}
    assert {name for name, one in body["properties"].items() if one.get("readOnly")} == managed
    assert {"geometry", "code"} <= set(body["required"])
    described = link_of(served.get(f"/collections/{layer}").json(), "describedby")
    assert described["type"] == SCHEMA
    assert served.client.get(described["href"]).status_code == 200
