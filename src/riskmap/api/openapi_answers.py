"""What each resource answers: media types and schemas, for the API's description."""

from __future__ import annotations

from typing import Any, Final

from riskmap.api.links import GEOJSON, HTML, JSON, SCHEMA
from riskmap.api.openapi_schemas import ref
from riskmap.api.problems import MEDIA as PROBLEM
from riskmap.api.styles import PNG, STYLE, SVG
from riskmap.api.summary import CSV
from riskmap.api.taken import ITEM, ITEMS, TAKEN
from riskmap.api.tile_edge import MVT
from riskmap.features.formats import OF_ITEM, OF_PAGE, Format, Way
from riskmap.tiles.archive_format import MEDIA_TYPE

# Clients compare it byte for byte.
OPENAPI: Final = "application/vnd.oai.openapi+json;version=3.0"

_OBJECT: Final = {JSON: ref("object")}
_PAGE: Final = {HTML: {"type": "string"}}
_SCHEMA: Final = {SCHEMA: ref("object"), **_PAGE}
_FILE: Final = {"type": "string", "format": "binary"}
_TABLE: Final = {"type": "string"}
_NDJSON: Final = {"application/x-ndjson": {"type": "string"}}

Contents = dict[str, dict[str, Any]]


def _of(formats: tuple[Format, ...], document: dict[str, Any]) -> Contents:
    """Return what each format's answer is: a document, a text or a file."""
    kinds = {Way.STREAM: {"type": "string"}, Way.SPOOL: _FILE}
    return {one.media_type: kinds.get(one.way, document) for one in formats} | _PAGE


TILES: Final = (
    "/tiles/{layers}/{z}/{x}/{y}.mvt",
    "/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}",
    "/collections/{layer_id}/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}",
    "/analysis/coverage-runs/{run_id}/tiles/{z}/{x}/{y}.mvt",
    "/analysis/response-circles/tiles/{z}/{x}/{y}.mvt",
)

#: (method, path as the routes have it) -> status -> media type -> schema. What is not here
#: answers 200 with a JSON object.
ANSWERS: Final[dict[tuple[str, str], dict[str, Contents]]] = {
    ("get", "/"): {"200": {JSON: ref("landingPage"), **_PAGE}},
    ("get", "/api"): {"200": {OPENAPI: ref("object"), **_OBJECT, **_PAGE}},
    ("get", "/openapi.json"): {"200": {OPENAPI: ref("object"), **_OBJECT, **_PAGE}},
    ("get", "/conformance"): {"200": {JSON: ref("confClasses"), **_PAGE}},
    ("get", "/collections"): {"200": {JSON: ref("collections"), **_PAGE}},
    ("get", "/collections/{layer_id}"): {"200": {JSON: ref("collection"), **_PAGE}},
    ("get", "/collections/{layer_id}/queryables"): {"200": _SCHEMA},
    ("get", "/collections/{layer_id}/sortables"): {"200": _SCHEMA},
    ("get", "/collections/{layer_id}/schema"): {"200": _SCHEMA},
    ("get", "/collections/{layer_id}/schemas/feature"): {"200": _SCHEMA},
    ("get", ITEMS): {"200": _of(OF_PAGE, ref("featureCollection")), "303": {}},
    ("post", ITEMS): {"201": {GEOJSON: ref("feature")}},
    ("options", ITEMS): {"200": {}},
    ("get", ITEM): {"200": _of(OF_ITEM, ref("feature"))},
    ("put", ITEM): {"200": {GEOJSON: ref("feature")}, "204": {}},
    ("patch", ITEM): {"200": {GEOJSON: ref("feature")}, "204": {}},
    ("delete", ITEM): {"204": {}},
    ("options", ITEM): {"200": {}},
    ("get", "/collections/{layer_id}/summary"): {"200": {**_OBJECT, CSV: _TABLE, **_PAGE}},
    ("get", "/search"): {"200": {GEOJSON: ref("object"), **_PAGE}},
    ("get", "/locate"): {"200": {**_OBJECT, **_PAGE}},
    **{("get", path): {"200": {MVT: _FILE}, "204": {}} for path in TILES},
    ("get", "/archives/{archive_name}.pmtiles"): {
        "200": {MEDIA_TYPE: _FILE},
        "206": {MEDIA_TYPE: _FILE},
        "304": {},
    },
    ("get", "/styles/{name}.json"): {"200": {STYLE: ref("object")}},
    ("get", "/styles/names.geojson"): {"200": {GEOJSON: ref("object")}},
    ("get", "/styles/{name}/legend.svg"): {"200": {SVG: {"type": "string"}}},
    ("get", "/styles/sprites/{sheet}.png"): {"200": {PNG: _FILE}},
    ("get", "/analysis/response-circles/style"): {"200": {STYLE: ref("object")}},
    **{
        (method, "/analysis/nearest"): {"200": {GEOJSON: ref("featureCollection"), CSV: _TABLE}}
        for method in ("get", "post")
    },
    **{
        (method, "/analysis/response-circles"): {
            "200": {GEOJSON: ref("featureCollection"), CSV: _TABLE}
        }
        for method in ("get", "post")
    },
    **{
        ("get", path): {"200": {GEOJSON: ref("object"), CSV: _TABLE}}
        for path in (
            "/analysis/coverage/features",
            "/analysis/coverage-runs/{run_id}/features",
        )
    },
    ("post", "/analysis/coverage-runs"): {"202": _OBJECT},
    ("post", "/analysis/coverage-runs/{run_id}/cancel"): {"202": _OBJECT},
    ("delete", "/analysis/coverage-runs/{run_id}"): {"204": {}},
    ("post", "/analysis/scenarios"): {"201": _OBJECT},
    ("delete", "/analysis/scenarios/{scenario_id}"): {"204": {}},
    ("post", "/processes/{process_id}/execution"): {
        "200": {**_OBJECT, GEOJSON: ref("object")},
        "201": _OBJECT,
    },
    ("get", "/jobs/{job_id}/results"): {"200": {**_OBJECT, GEOJSON: ref("object")}},
    ("post", "/imports"): {"200": _OBJECT, "202": _OBJECT},
    ("post", "/imports/{import_id}/cancel"): {"202": _OBJECT},
    ("post", "/imports/{import_id}/undo"): {"201": _OBJECT},
    ("get", "/imports/{import_id}/rejected"): {"200": {"*/*": _FILE}},
    ("get", "/imports/{import_id}/problems"): {"200": _NDJSON},
}
DEFAULT: Final[dict[str, Contents]] = {"200": _OBJECT}
#: Those that say 304 to a reader who has the answer.
TAGGED: Final = frozenset(
    {
        *("/", "/api", "/openapi.json", "/conformance", "/collections", ITEMS, ITEM),
        *(path for method, path in ANSWERS if path.startswith("/collections/{layer_id}")),
        *(path for path in TAKEN if path.startswith("/styles")),
    }
)

_WORDS: Final = {
    "200": "答复 The answer",
    "201": "已建立 Created",
    "202": "已受理 Accepted",
    "206": "部分字节 A range of the bytes",
    "304": "未变 Not modified",
    "204": "空 Nothing to say",
    "303": "表单的空白项略去 A form's empty boxes are left out",
}
_PROBLEM: Final = {"$ref": "#/components/responses/problem"}
PROBLEM_RESPONSE: Final[dict[str, Any]] = {
    "description": "RFC 9457: `parameter` 指出问题所在 names what is at fault",
    # To whoever asked for a page the problem is told as one.
    "content": {PROBLEM: {"schema": ref("problem")}, HTML: {"schema": {"type": "string"}}},
}


def responses(method: str, path: str) -> dict[str, Any]:
    """Return the responses of an operation."""
    found: dict[str, Any] = {}
    for status, contents in ANSWERS.get((method, path), DEFAULT).items():
        found[status] = {"description": _WORDS[status]}
        if contents:
            found[status]["content"] = {
                media: {"schema": schema} for media, schema in contents.items()
            }
    if method == "get" and path in TAGGED:
        found["304"] = {"description": "未变 Not modified"}
    return {**found, "4XX": _PROBLEM, "5XX": _PROBLEM}
