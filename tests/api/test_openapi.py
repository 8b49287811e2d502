"""The API's description: every route, every parameter, and 3.1 said in the words of 3.0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from lxml import html as lxml_html
from openapi_schema_validator import OAS30Validator, OAS31Validator

from api_help import CATALOG, Served, serving
from riskmap.api.openapi_convert import NULL, to_30
from riskmap.api.parameters import LANG
from riskmap.api.taken import TAKEN
from riskmap.db.cluster import Cluster
from riskmap.settings import Settings, load_settings


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=2) as found:
        yield found


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    return served.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


def resolved(document: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    key = one.get("$ref", "").rpartition("/")[2]
    return document["components"]["parameters"][key] if key else one


def routes(found: Any) -> Iterator[APIRoute]:
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes(route.original_router.routes)


def standard(path: str) -> str:
    """Return a route's path with the names of the standard: `tile_row` is `tileRow`."""
    names = {"layer_id": "collectionId", "tile_matrix_set": "tileMatrixSetId"}

    def named(found: re.Match[str]) -> str:
        first, *others = found[1].split("_")
        if found[1] in names or found[1].startswith(("tile_", "feature_")):
            return f"{{{names.get(found[1], first + ''.join(one.title() for one in others))}}}"
        return found[0]

    return re.sub(r"\{([a-z_]+)\}", named, path)


def test_it_lists_every_route_once(served: Served, document: dict[str, Any]) -> None:
    expected = {
        (method.lower(), standard(route.path))
        for route in routes(served.app.routes)
        for method in route.methods
    }
    single = {("get", f"/collections/{layer}/items") for layer in CATALOG}
    assert {(method, path) for method, path, _ in operations(document)} == expected | single
    names = [one["operationId"] for _, _, one in operations(document)]
    assert len(names) == len(set(names))
    # The suite of OGC API - Tiles looks for it.
    assert any(".getTile" in name for name in names)
    assert all(one["summary"] and one["description"] for _, _, one in operations(document))


def test_what_is_referred_to_is_there_and_nothing_is_of_31(document: dict[str, Any]) -> None:
    text = str(document)
    for kind, name in re.findall(r"#/components/(\w+)/([\w.]+)", text):
        assert name in document["components"][kind]
    # A bad parameter is answered 400 with a problem, never FastAPI's own 422.
    for word in ("HTTPValidationError", "'const'", "prefixItems", "'null'}", "'examples'"):
        assert word not in text, word


def test_every_parameter_is_described_in_both_languages(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        item = document["paths"][path]
        found = [resolved(document, one) for one in operation["parameters"]]
        found += [resolved(document, one) for one in item.get("parameters", [])]
        names = [(one["in"], one["name"]) for one in found]
        assert len(names) == len(set(names)), (method, path)
        in_path = set(re.findall(r"\{(\w+)\}", path))
        assert {name for place, name in names if place == "path"} == in_path
        for one in found:
            assert one["schema"].get("type") or one["schema"].get("anyOf"), one["name"]
            if one["in"] == "query":
                zh, en = one["description"].split(" | ")
                assert re.search("[\u4e00-\u9fff]", zh) and en.isascii(), one["name"]


@pytest.mark.parametrize("path", TAKEN)
def test_what_is_declared_is_what_a_resource_takes(served: Served, path: str) -> None:
    """The refusal of a parameter of no resource lists those that there are."""
    where = {
        "layer_id": "land-cover", "feature_id": "1", "layers": "land-cover", "z": "8", "x": "213",
        "y": "100", "tile_matrix_set": "WebMercatorQuad", "tile_matrix": "8", "tile_row": "100",
        "tile_col": "213",
        "name": "risk", "sheet": "light", "run_id": "1", "other_id": "2",
    }  # fmt: skip
    of_one = {"collections": "land-cover"} if "/{tile_row}" in path and "{layer" not in path else {}
    answer = served.get(path.format(**where), "admin", nonsense="x", **of_one)
    assert answer.status_code == 400 and answer.json()["parameter"] == "nonsense"
    known = set(answer.json()["detail"].split("：")[-1].strip("。").split(", "))
    fields = {one.name for one in CATALOG["land-cover"].fields if "{layer" in path or of_one}
    assert known - fields == {one.name for one in (*TAKEN[path], LANG)} - fields


def test_keys_are_asked_for_where_they_are_needed(served: Served, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if "{" in path or method != "get":
            continue
        refused = served.get(path).status_code == 401
        assert refused is ({} not in operation["security"]), path


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"type": ["integer", "null"]}, {"type": "integer", "nullable": True}),
        (
            {"type": ["integer", "string"]},
            {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        ),
        (
            {"anyOf": [{"type": "integer"}, {"type": "boolean"}, {"type": "null"}]},
            {"anyOf": [{"type": "integer"}, {"type": "boolean"}, NULL]},
        ),
        (
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        ),
        (
            {"type": "number", "exclusiveMaximum": 9},
            {"type": "number", "maximum": 9, "exclusiveMaximum": True},
        ),
        ({"const": "a"}, {"enum": ["a"]}),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
            {"type": "array", "items": {"type": "number"}},
        ),
        (
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            {"type": "array", "items": {"type": "string", "nullable": True}},
        ),
        (
            {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
            {"type": "object", "properties": {"a": {"type": "string", "nullable": True}}},
        ),
    ],
)
def test_31_is_said_in_the_words_of_30(newer: dict[str, Any], older: dict[str, Any]) -> None:
    assert to_30(newer) == older
    values = [None, True, 0, 1, -1, 9, 10, 0.5, "a", "b", [], [1], ["a"], [None], [1.5, 2], {},
              {"a": None}, {"a": "x"}, {"a": 1}]  # fmt: skip
    for value in values:
        assert OAS31Validator(newer).is_valid(value) == OAS30Validator(older).is_valid(value), value


def test_a_keyword_without_a_rule_is_a_fault() -> None:
    with pytest.raises(ValueError, match="patternProperties"):
        to_30({"type": "object", "patternProperties": {"a": {}}})
    assert to_30({"$ref": "#/x", "description": "d"}) == {
        "description": "d",
        "allOf": [{"$ref": "#/x"}],
    }


def test_the_page_lists_every_resource(served: Served, document: dict[str, Any]) -> None:
    for lang in ("zh", "en"):
        answer = served.client.get("/api?f=html", headers={"Accept-Language": lang})
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert (
            "script" not in answer.text
            and "default-src 'none'" in (answer.headers["content-security-policy"])
        )
        tree = lxml_html.document_fromstring(answer.content)
        assert tree.get("lang", "")[:2] == lang and len(tree.findall(".//h1")) == 1
        told = {code.text for code in tree.iterfind(".//h3/code")}
        assert told == {
            f"{method.upper()} {path}"
            for method, path, _ in operations(document)
            if "parameters" not in document["paths"][path]
        }
        # It is one of the service's pages: their menu leads on from it, in its language.
        ways = {a.get("href", "").partition("?")[0] for a in tree.iterfind(".//nav//a")}
        assert any(one.endswith("/collections") for one in ways)
        assert (
            tree.find(".//h1").text.strip() == {"zh": "接口说明", "en": "API documentation"}[lang]
        )
        assert "bbox-crs" in {code.text for code in tree.iterfind(".//dt/code")}


def test_the_description_is_answered_304_to_those_who_have_it(served: Served) -> None:
    for path in (
        "/openapi.json",
        "/api",
        "/conformance",
        "/collections",
        "/",
        "/collections/shelters",
    ):
        first = served.get(path)
        known = {"If-None-Match": first.headers["etag"]}
        again = served.client.get(path, headers=known)
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["etag"] == first.headers["etag"]


def test_an_edit_changes_the_tags_of_the_collections(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated, rows=2) as served:
        paths = ("/collections", "/collections/shelters", "/collections/enterprises")
        before = [served.get(path).headers["etag"] for path in paths]
        assert before == [served.get(path).headers["etag"] for path in paths]
        served.put("shelters", {"code": "far", "geom": "POINT(120.95 36.95)"})
        after = [served.get(path).headers["etag"] for path in paths]
        assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True]
        (box,) = served.get("/collections/shelters").json()["extent"]["spatial"]["bbox"]
        assert box[2:] == [120.95, 36.95]


def test_links_have_the_address_that_the_proxy_has(
    cluster: Cluster, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(cluster, migrated, rows=2) as served:
        context = served.app.state.context
        public = Settings(
            **{**served.settings.model_dump(), "public_url": "https://a.example/map/"}
        )
        object.__setattr__(context, "settings", public)
        root = "https://a.example/map"
        for path in (
            "/",
            "/collections",
            "/collections/shelters",
            "/conformance",
            "/collections/shelters/items?limit=1",
            "/collections/shelters/items/1",
        ):
            body = served.get(path).json()
            assert all(link["href"].startswith(root) for link in body["links"]), path
        assert served.get("/api").json()["servers"] == [{"url": root}]
        queryables = served.get("/collections/shelters/queryables").json()
        assert queryables["$id"] == f"{root}/collections/shelters/queryables"
    for bad in ("a.example", "ftp://a.example", "https://a.example/?x", "https://a b"):
        monkeypatch.setenv("RISKMAP_PUBLIC_URL", bad)
        with pytest.raises(Exception, match="RISKMAP_PUBLIC_URL"):
            load_settings()
