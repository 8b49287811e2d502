"""Every route and every kind of caller, and what no answer without a key may hold."""

from __future__ import annotations

from collections.abc import Iterator

import mapbox_vector_tile
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from api_help import CATALOG, SECRET, SECRET_NUMBER, Served, serving
from riskmap.db.cluster import Cluster

SCHEMAS = ("queryables", "sortables", "schema", "schemas/feature")
CALLERS = ("anonymous", "reader", "editor", "analyst", "admin", "wrong", "revoked", "expired")
OPEN = (200,) * 8  # says nothing that a key unlocks, so it asks for none
CHECKED = (200,) * 5 + (401,) * 3
KEYED = (401, 200, 200, 200, 200, 401, 401, 401)
ADMIN = (401, 403, 403, 403, 200, 401, 401, 401)
EDITOR = (401, 403, 200, 403, 200, 401, 401, 401)
NONE = (401, 403, 404, 403, 404, 401, 401, 401)
WRONG = (401, 403, 400, 403, 400, 401, 401, 401)
BODY = {"points": [[119.0, 36.5]]}  # outside the city: 400 says that the caller got through

# (method, route's path) -> (address asked for, status for each of CALLERS)
TABLE: dict[tuple[str, str], tuple[str, tuple[int, ...]]] = {
    ("GET", "/"): ("/", CHECKED),
    # No file of that name, built or not: nothing else could be said of it without a build.
    ("GET", "/static/{path:path}"): ("/static/none.js", (404,) * 8),
    ("GET", "/openapi.json"): ("/openapi.json", OPEN),
    ("GET", "/api"): ("/api", OPEN),
    ("GET", "/conformance"): ("/conformance", CHECKED),
    ("GET", "/livez"): ("/livez", OPEN),
    ("GET", "/readyz"): ("/readyz", OPEN),
    ("GET", "/metrics"): ("/metrics", OPEN),
    ("GET", "/collections"): ("/collections", CHECKED),
    ("GET", "/collections/{layer_id}"): ("/collections/shelters", CHECKED),
    ("GET", "/collections/{layer_id}/queryables"): ("/collections/shelters/queryables", CHECKED),
    ("GET", "/collections/{layer_id}/sortables"): ("/collections/shelters/sortables", CHECKED),
    ("GET", "/collections/{layer_id}/schema"): ("/collections/shelters/schema", CHECKED),
    ("GET", "/collections/{layer_id}/schemas/feature"): (
        "/collections/shelters/schemas/feature",
        CHECKED,
    ),
    ("GET", "/collections/{layer_id}/items"): ("/collections/shelters/items", CHECKED),
    ("GET", "/collections/{layer_id}/items/{feature_id}"): (
        "/collections/shelters/items/1",
        CHECKED,
    ),
    ("OPTIONS", "/collections/{layer_id}/items"): ("/collections/shelters/items", CHECKED),
    ("OPTIONS", "/collections/{layer_id}/items/{feature_id}"): (
        "/collections/shelters/items/1",
        CHECKED,
    ),
    # The body is no feature, or missing: 400 says that the caller got through, and so does 428.
    ("POST", "/collections/{layer_id}/items"): ("/collections/shelters/items", WRONG),
    ("PUT", "/collections/{layer_id}/items/{feature_id}"): ("/collections/shelters/items/1", WRONG),
    ("PATCH", "/collections/{layer_id}/items/{feature_id}"): (
        "/collections/shelters/items/1",
        WRONG,
    ),
    ("DELETE", "/collections/{layer_id}/items/{feature_id}"): (
        "/collections/shelters/items/1",
        (401, 403, 428, 403, 428, 401, 401, 401),
    ),
    ("GET", "/collections/{layer_id}/items/{feature_id}/history"): (
        "/collections/shelters/items/1/history",
        CHECKED,
    ),
    ("GET", "/collections/{layer_id}/items/{feature_id}/history/{version}"): (
        "/collections/shelters/items/1/history/1",
        CHECKED,
    ),
    # The body is that of another route: 400 says that the caller got through.
    ("POST", "/collections/{layer_id}/items/{feature_id}/restore"): (
        "/collections/shelters/items/1/restore",
        WRONG,
    ),
    ("GET", "/collections/{layer_id}/summary"): ("/collections/shelters/summary", CHECKED),
    ("GET", "/search"): ("/search?q=name", CHECKED),
    ("GET", "/locate"): ("/locate?lon=120.5&lat=36.5", CHECKED),
    ("GET", "/tiles/{layers}/{z}/{x}/{y}.mvt"): ("/tiles/shelters/8/213/100.mvt", CHECKED),
    ("GET", "/tiles/{layers}.json"): ("/tiles/shelters.json", CHECKED),
    ("GET", "/tiles"): ("/tiles", CHECKED),
    ("GET", "/tiles/{tile_matrix_set}"): ("/tiles/WebMercatorQuad", CHECKED),
    ("GET", "/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}"): (
        "/tiles/WebMercatorQuad/8/100/213",
        CHECKED,
    ),
    ("GET", "/tileMatrixSets"): ("/tileMatrixSets", CHECKED),
    ("GET", "/tileMatrixSets/{tile_matrix_set}"): ("/tileMatrixSets/WebMercatorQuad", CHECKED),
    ("GET", "/collections/{layer_id}/tiles"): ("/collections/shelters/tiles", CHECKED),
    ("GET", "/collections/{layer_id}/tiles/{tile_matrix_set}"): (
        "/collections/shelters/tiles/WebMercatorQuad",
        CHECKED,
    ),
    (
        "GET",
        "/collections/{layer_id}/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}",
    ): ("/collections/shelters/tiles/WebMercatorQuad/8/100/213", CHECKED),
    ("GET", "/archives"): ("/archives", CHECKED),
    ("GET", "/archives/{archive_name}.pmtiles"): (
        "/archives/none.pmtiles",
        (404,) * 5 + (401,) * 3,
    ),
    ("GET", "/styles"): ("/styles", CHECKED),
    ("GET", "/styles/{name}.json"): ("/styles/risk.json", CHECKED),
    ("GET", "/styles/names.geojson"): ("/styles/names.geojson", CHECKED),
    ("GET", "/styles/{name}/legend.json"): ("/styles/risk/legend.json", CHECKED),
    ("GET", "/styles/{name}/legend.svg"): ("/styles/risk/legend.svg", CHECKED),
    ("GET", "/styles/sprites/{sheet}.json"): ("/styles/sprites/light.json", CHECKED),
    ("GET", "/styles/sprites/{sheet}.png"): ("/styles/sprites/light.png", CHECKED),
    ("GET", "/overview"): ("/overview", CHECKED),
    ("GET", "/me"): ("/me", CHECKED),
    ("GET", "/audit"): ("/audit", ADMIN),
    # The body is no form: 400 says that the caller got through.
    ("POST", "/imports"): ("/imports", (401, 403, 400, 403, 400, 401, 401, 401)),
    ("GET", "/imports"): ("/imports", EDITOR),
    ("GET", "/imports/{import_id}"): ("/imports/1", NONE),
    ("GET", "/imports/{import_id}/rejected"): ("/imports/1/rejected", NONE),
    ("GET", "/imports/{import_id}/problems"): ("/imports/1/problems", NONE),
    ("POST", "/imports/{import_id}/cancel"): ("/imports/1/cancel", NONE),
    # The body is that of another route.
    ("POST", "/imports/{import_id}/undo"): ("/imports/1/undo", WRONG),
    ("GET", "/analysis/presets"): ("/analysis/presets", CHECKED),
    ("GET", "/analysis/reach"): (
        "/analysis/reach?lon=119&lat=36.5",
        (400,) * 5 + (401,) * 3,
    ),
    ("GET", "/analysis/surroundings"): ("/analysis/surroundings?lon=x", (400,) * 5 + (401,) * 3),
    ("POST", "/analysis/surroundings"): ("/analysis/surroundings", (400,) * 5 + (401,) * 3),
    ("GET", "/analysis/coverage"): ("/analysis/coverage?limit=x", (400,) * 5 + (401,) * 3),
    ("POST", "/analysis/coverage"): ("/analysis/coverage?limit=x", (400,) * 5 + (401,) * 3),
    ("GET", "/analysis/coverage/features"): (
        "/analysis/coverage/features?limit=x",
        (400,) * 5 + (401,) * 3,
    ),
    ("GET", "/analysis/coverage-runs"): ("/analysis/coverage-runs", CHECKED),
    ("POST", "/analysis/coverage-runs"): (
        "/analysis/coverage-runs?limit=x",
        (401, 403, 400, 400, 400, 401, 401, 401),
    ),
    **{
        ("GET", f"/analysis/coverage-runs/{{run_id}}{end}"): (
            f"/analysis/coverage-runs/99{asked}",
            (404,) * 5 + (401,) * 3,
        )
        for end, asked in (
            ("", ""),
            ("/features", "/features"),
            ("/compare/{other_id}", "/compare/98"),
            ("/reproduce", "/reproduce"),
            ("/tiles/{z}/{x}/{y}.mvt", "/tiles/0/0/0.mvt"),
        )
    },
    ("DELETE", "/analysis/coverage-runs/{run_id}"): (
        "/analysis/coverage-runs/99",
        (401, 403, 404, 404, 404, 401, 401, 401),
    ),
    ("POST", "/analysis/coverage-runs/{run_id}/cancel"): (
        "/analysis/coverage-runs/99/cancel",
        (401, 403, 404, 404, 404, 401, 401, 401),
    ),
    ("GET", "/processes"): ("/processes", CHECKED),
    ("GET", "/processes/{process_id}"): ("/processes/reach", CHECKED),
    # The body is no request to run anything: 400 says that the caller got through.
    ("POST", "/processes/{process_id}/execution"): (
        "/processes/reach/execution",
        (400,) * 5 + (401,) * 3,
    ),
    ("GET", "/jobs"): ("/jobs", (401, 403, 200, 200, 200, 401, 401, 401)),
    ("GET", "/jobs/{job_id}"): ("/jobs/99", (404,) * 5 + (401,) * 3),
    ("GET", "/jobs/{job_id}/results"): ("/jobs/99/results", (404,) * 5 + (401,) * 3),
    ("DELETE", "/jobs/{job_id}"): ("/jobs/99", (401, 403, 404, 404, 404, 401, 401, 401)),
    # The body is no request to convert: 400 says that the caller got through.
    ("POST", "/convert"): ("/convert", (400,) * 5 + (401,) * 3),
    ("GET", "/analysis/hazard-levels"): ("/analysis/hazard-levels", KEYED),
    ("GET", "/analysis/hazard-levels/{feature_id}"): ("/analysis/hazard-levels/1", KEYED),
    ("GET", "/analysis/scenarios"): ("/analysis/scenarios", CHECKED),
    # The body is no scenario: 400 says that the caller got through.
    ("POST", "/analysis/scenarios"): (
        "/analysis/scenarios",
        (401, 403, 400, 400, 400, 401, 401, 401),
    ),
    ("GET", "/analysis/scenarios/{scenario_id}"): (
        "/analysis/scenarios/999",
        (404,) * 5 + (401,) * 3,
    ),
    ("PUT", "/analysis/scenarios/{scenario_id}"): (
        "/analysis/scenarios/999",
        (401, 403, 400, 400, 400, 401, 401, 401),
    ),
    ("DELETE", "/analysis/scenarios/{scenario_id}"): (
        "/analysis/scenarios/999",
        (401, 403, 404, 404, 404, 401, 401, 401),
    ),
    ("POST", "/analysis/scenarios/{scenario_id}/compare"): (
        "/analysis/scenarios/999/compare",
        (400,) * 5 + (401,) * 3,
    ),
    ("POST", "/analysis/scenarios/compare"): (
        "/analysis/scenarios/compare",
        (400,) * 5 + (401,) * 3,
    ),
    **{
        ("GET", f"/analysis/response-circles/{end}"): (
            f"/analysis/response-circles/{asked}?points=119,36.5&overlap=x",
            (400,) * 5 + (401,) * 3,
        )
        for end, asked in (
            ("tiles/{z}/{x}/{y}.mvt", "tiles/0/0/0.mvt"),
            ("tilejson", "tilejson"),
            ("style", "style"),
        )
    },
    **{
        (method, "/analysis/nearest"): (
            "/analysis/nearest?points=119,36.5",
            (400,) * 5 + (401,) * 3,
        )
        for method in ("GET", "POST")
    },
    ("GET", "/analysis/response-circles"): (
        "/analysis/response-circles?points=119,36.5",
        (400,) * 5 + (401,) * 3,
    ),
    ("POST", "/analysis/response-circles"): (
        "/analysis/response-circles",
        (400,) * 5 + (401,) * 3,
    ),
}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        yield found


def routes(found: object) -> set[tuple[str, str]]:
    """Return (method, path) of all routes, those of included routers too."""
    pairs: set[tuple[str, str]] = set()
    for route in found:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute | Route):
            pairs |= {(m, route.path) for m in (route.methods or set()) - {"HEAD"}}
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "app", None)
            assert inner is not None and hasattr(inner, "routes"), f"what is {route!r}?"
            pairs |= routes(inner.routes)
    return pairs


def test_the_table_lists_every_route_and_no_other(served: Served) -> None:
    assert routes(served.app.routes) == set(TABLE)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_who_may_call_what(served: Served, route: tuple[str, str], caller: str) -> None:
    address, expected = TABLE[route]
    headers = served.headers(None if caller == "anonymous" else caller)
    answer = served.client.request(
        route[0], address, headers=headers, json=BODY if route[0] == "POST" else None
    )
    assert answer.status_code == expected[CALLERS.index(caller)], answer.text
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("caller", ["wrong", "revoked", "expired"])
def test_the_parameter_at_fault_is_the_header_that_was_sent(served: Served, caller: str) -> None:
    key = served.keys[caller]
    by_name = served.client.get("/me", headers={"X-API-Key": key})
    bearer = served.client.get("/me", headers={"Authorization": f"Bearer {key}"})
    assert (by_name.status_code, bearer.status_code) == (401, 401)
    assert by_name.json()["parameter"] == "X-API-Key"
    assert bearer.json()["parameter"] == "Authorization"
    assert key not in by_name.text + bearer.text


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic YTpi",
        "Bearer",
        "Bearer ",
        "Bearer x y",
        "rmk_x",
        "Bearer rmk_\u00e9",
        "Bearer ''",
    ],
)
def test_what_is_no_key_is_refused(served: Served, header: str) -> None:
    answer = served.client.get("/me", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.json()["parameter"] == "Authorization"


def test_an_unknown_key_and_a_wrong_secret_look_alike(served: Served) -> None:
    unknown = "rmk_" + "0" * 12 + "_" + "A" * 43
    one = served.client.get("/me", headers={"X-API-Key": unknown}).json()
    other = served.client.get("/me", headers={"X-API-Key": served.keys["wrong"]}).json()
    assert one == other


@pytest.mark.parametrize("layer", CATALOG)
def test_restricted_values_are_never_public(served: Served, layer: str) -> None:
    restricted = {f.name for f in CATALOG[layer].fields if f.restricted}
    hidden = {f.name for c in CATALOG[layer].children for f in c.fields if f.restricted}
    assert {"responsible_phone", "attributes", "raw_x"} <= restricted
    number = str(int(SECRET_NUMBER))
    first = served.items(layer, limit=1)[0]["id"]
    z, x, y = 10, 854, 400
    addresses = [
        f"/collections/{layer}/items",
        f"/collections/{layer}/items/{first}",
        f"/collections/{layer}",
        *(f"/collections/{layer}/{name}" for name in SCHEMAS),
        f"/tiles/{layer}/{z}/{x}/{y}.mvt",
    ]
    for address in addresses:
        answer = served.get(address)
        assert answer.status_code in (200, 204)
        assert SECRET.encode() not in answer.content, address
        assert number.encode() not in answer.content, address
        if not address.endswith(".mvt"):
            for name in restricted | hidden:
                assert f'"{name}"' not in answer.text, (address, name)
    for address in addresses[:2]:
        answer = served.get(address, "reader")
        for name in restricted | hidden:
            assert f'"{name}"' in answer.text, (address, name)
        assert SECRET in answer.text and number in answer.text
    described = {f["name"] for f in served.get(addresses[2], "reader").json()["fields"]}
    assert restricted <= described


def test_tiles_hold_no_restricted_field_for_a_key_either_unless_declared(served: Served) -> None:
    for layer in CATALOG.values():
        answer = served.get(f"/tiles/{layer.id}/8/213/100.mvt", "admin")
        if answer.status_code == 204:
            continue
        names = {
            name
            for feature in mapbox_vector_tile.decode(answer.content)[layer.id]["features"]
            for name in feature["properties"]
        }
        cell = {"cell", "n", "top", "n1", "n2", "n3", "n4", "n0"} if layer.tile.cluster else set()
        assert names - cell <= {field.name for field in layer.fields if field.in_tile}


def test_children_keep_what_is_public(served: Served) -> None:
    child = CATALOG["major-hazard-sources"].children[0]
    public = {field.name for field in child.fields if not field.restricted}
    feature = served.items("major-hazard-sources", limit=1)[0]
    (chemical,) = feature["properties"][child.name]
    assert set(chemical) == public
    keyed = served.items("major-hazard-sources", "reader", limit=1)[0]
    assert keyed["properties"][child.name][0]["quantity_t"] == SECRET_NUMBER


@pytest.mark.parametrize(
    ("stored", "public"),
    [
        (None, None),
        ([], []),
        ([{"name": "氯", "quantity_t": 5, "quantity": "5 t"}], [{"name": "氯"}]),
        ([{"name": "甲"}, {"name": "乙"}, {"name": "丙"}], [{"name": n} for n in "甲乙丙"]),
        ({"quantity_t": 5}, None),
        ("5 t", None),
        (["5 t", {"name": "氯"}], [{"name": "氯"}]),
    ],
)
def test_children_of_any_shape_do_not_break_the_page_nor_tell_more(
    served: Served, stored: object, public: object
) -> None:
    """psql can store anything in the array, JSON null included; undeclared keys are no public."""
    code = f"odd-{stored!r}"
    served.put(
        "major-hazard-sources",
        {"code": code, "geom": "POINT(120.9 36.9)", "chemicals": stored, "address": "odd"},
    )
    found = [
        f
        for f in served.items("major-hazard-sources", address="odd")
        if f["properties"]["code"] == code
    ]
    assert found[0]["properties"]["chemicals"] == public
    keyed = [
        f
        for f in served.items("major-hazard-sources", "reader", address="odd")
        if f["properties"]["code"] == code
    ]
    assert keyed[0]["properties"]["chemicals"] == stored


@pytest.mark.parametrize("name", ["responsible_phone", "contact_phone", "attributes", "raw_x"])
@pytest.mark.parametrize(
    "path", ["/collections/rescue-teams/items", "/tiles/rescue-teams/10/1/1.mvt"]
)
def test_a_restricted_filter_is_an_unknown_parameter(served: Served, path: str, name: str) -> None:
    asked = served.get(path, **{name: "1"})
    misspelt = served.get(path, **{"no_such_field": "1"})
    assert asked.status_code == misspelt.status_code == 400
    assert asked.text.replace(name, "no_such_field") == misspelt.text
    assert dict(asked.headers).keys() == dict(misspelt.headers).keys()


def test_a_key_filters_by_restricted_fields(served: Served) -> None:
    path = "/collections/rescue-teams/items"
    found = served.get(path, "reader", contact_phone=f"{SECRET}-contact_phone").json()
    assert found["numberMatched"] == 7
    assert served.get(path, "reader", contact_phone="x").json()["numberMatched"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "collections/shelters",
        "collections/shelters/items",
        "collections/shelters/items/1",
    ],
)
def test_what_a_key_unlocked_is_not_shared_by_caches(served: Served, name: str) -> None:
    public, private = served.get(f"/{name}"), served.get(f"/{name}", "reader")
    assert public.headers["cache-control"].startswith("public")
    assert private.headers["cache-control"] == "private, no-store"
    for answer in (public, private):
        vary = {part.strip().lower() for part in answer.headers["vary"].split(",")}
        assert {"authorization", "x-api-key"} <= vary


def test_a_tile_of_a_key_is_its_holder_s_alone(served: Served) -> None:
    path = "/tiles/shelters/8/213/100.mvt"
    public, private = served.get(path), served.get(path, "reader")
    assert public.headers["cache-control"] == "public, no-cache"
    assert private.headers["cache-control"] == "private, no-cache"
    for answer in (public, private):
        vary = {part.strip().lower() for part in answer.headers["vary"].split(",")}
        assert {"authorization", "x-api-key", "accept-encoding"} <= vary
    known = {"If-None-Match": private.headers["etag"]}
    assert served.client.get(path, headers=known).status_code in (200, 204)
    assert served.client.get(path, headers=known | served.headers("editor")).status_code == 304


def test_errors_are_not_kept_by_caches(served: Served) -> None:
    for path in ("/collections/none", "/collections/shelters/items/99999", "/nothing"):
        assert served.get(path, "reader").headers["cache-control"] == "no-store"


def test_openapi_tells_no_value(served: Served) -> None:
    body = served.get("/openapi.json").text
    for layer in CATALOG.values():
        for field in layer.fields:
            if field.restricted and field.name != "attributes":
                assert field.name not in body


def test_audit_has_no_secret_and_hashes_are_nowhere(served: Served) -> None:
    body = served.get("/audit", "admin", limit=1000).text
    assert "key.revoke" in body
    for token in served.keys.values():
        assert token not in body and token.split("_", 2)[2] not in body
