"""The API's description: OpenAPI 3.0, made from the routes and from what they declare.

FastAPI writes OpenAPI 3.1, knows nothing of parameters that the service reads itself, and says
422 where we say 400; the standard, and the clients that read the document, want 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from riskmap.api import openapi_answers, openapi_page, parameters
from riskmap.api.deps import Language, Needs
from riskmap.api.documents import tagged, wanted
from riskmap.api.links import JSON, base
from riskmap.api.openapi_answers import OPENAPI
from riskmap.api.openapi_convert import to_30
from riskmap.api.openapi_schemas import SCHEMAS
from riskmap.api.parameters import LANG, Parameter
from riskmap.api.taken import EDITED, ITEMS, PATHS, TAKEN
from riskmap.catalog.registry import Catalog
from riskmap.i18n import LANGS, say

router = APIRouter(tags=["service"])

VERSION: Final = "3.0.3"
_METHODS: Final = ("get", "post", "put", "patch", "delete", "options")
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_KEYS: Final[list[dict[str, list[str]]]] = [{name: []} for name in _SCHEMES]
_STANDARD_NAMES: Final = {
    "layer_id": "collectionId",
    "feature_id": "featureId",
    "tile_matrix_set": "tileMatrixSetId",
    "tile_matrix": "tileMatrix",
    "tile_row": "tileRow",
    "tile_col": "tileCol",
}
_HEADERS: Final = {"Cache-Control": "no-cache", "Vary": "Accept, Accept-Language"}


@router.get("/openapi.json", summary="接口定义 API definition", response_model=None)
@router.get("/api", summary="接口定义 API definition", response_model=None)
async def definition(request: Request, lang: Language) -> Response:
    """Describe the API in OpenAPI 3.0, or list its resources as a page."""
    asked = request.query_params.get("f")
    form = wanted(request)
    found = {**_document(request.app), "servers": [{"url": base(request)}]}
    # At /openapi.json a browser wants what the name says.
    if form == "html" and (asked is not None or request.url.path == "/api"):
        return openapi_page.page(request, found, lang)
    accept = request.headers.get("accept", "")
    # A client that names no type of the document's own gets the general one.
    plain = JSON in accept and OPENAPI.partition(";")[0] not in accept
    return tagged(request, found, media=JSON if plain else OPENAPI, headers=_HEADERS)


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once."""
    state = app.state
    if not hasattr(state, "openapi"):
        state.openapi = document(app, state.context.catalog)
    return cast(dict[str, Any], state.openapi)


def document(app: FastAPI, catalog: Catalog) -> dict[str, Any]:
    """Make the document of a service.

    The resources of features stand there with a template, as the standard has them; the pages of
    features stand there once more for each collection, with that collection's own properties as
    parameters: a template cannot have them, and a parameter of any name would hide misspelt ones.
    Only public properties are in it: it is the same for all callers.

    Raises
    ------
    ValueError
        A route declares a parameter that `taken.TAKEN` does not have.
    """
    stock = app.openapi()
    keyed = set(_keyed(app.routes))
    part = parameters.collection_id(list(catalog))
    paths: dict[str, Any] = {}
    for path, operations in stock["paths"].items():
        found = {
            method: _operation(
                method, path, operations[method], part, keyed=(method, path) in keyed
            )
            for method in _METHODS
            if method in operations
        }
        paths[_named(path)] = found
    used = {one.key: one for taken in TAKEN.values() for one in taken if one.key is not None}
    used["lang"] = LANG
    for layer in catalog.values():
        own = list(parameters.of_fields(layer, plain=True))
        free = list(parameters.of_fields(layer, plain=False))
        paths[ITEMS.replace("{layer_id}", layer.id)] = _of_layer(
            paths[_named(ITEMS)]["get"], layer.id, own, free
        )
        used |= {one.key: one for one in (*own, *free) if one.key is not None}
    schemas = stock.get("components", {}).get("schemas", {})
    return {
        "openapi": VERSION,
        "info": {
            "title": stock["info"]["title"],
            "version": stock["info"]["version"],
            "description": "\n\n".join(say("ogc.about", lang) for lang in LANGS),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**{name: to_30(one) for name, one in schemas.items()}, **SCHEMAS},
            "parameters": {key: one.to_json() for key, one in (used | {part.name: part}).items()},
            "responses": {"problem": openapi_answers.PROBLEM_RESPONSE},
            "securitySchemes": _SCHEMES,
        },
    }


def _named(path: str) -> str:
    """Return a route's path with the names that the standard gives its parts."""
    for key, name in _STANDARD_NAMES.items():
        path = path.replace(f"{{{key}}}", f"{{{name}}}")
    return path


def _operation(
    method: str, path: str, stock: dict[str, Any], part: Parameter, *, keyed: bool
) -> dict[str, Any]:
    own = TAKEN.get(path, ()) if method == "get" else EDITED.get((method, path), ())
    taken = (*own, LANG)
    found: dict[str, Any] = {
        "tags": stock["tags"],
        "summary": stock["summary"],
        "description": stock["description"],
        "operationId": _operation_id(method, _named(path), stock["tags"][0]),
        "parameters": [*_others(path, stock, part, taken), *(one.reference() for one in taken)],
        "responses": openapi_answers.responses(method, path),
    }
    if "requestBody" in stock:
        found["requestBody"] = _body(stock["requestBody"])
    # A key that is sent is always checked; an empty requirement says that one may send none.
    found["security"] = _KEYS if keyed else [{}, *_KEYS]
    return found


def _operation_id(method: str, path: str, tag: str) -> str:
    """Return such as `features.getCollectionsByCollectionIdItems`.

    That of tiles begins with `.getTile`, by which the suite of OGC API - Tiles knows it.
    """
    words = re.findall("[A-Za-z0-9]+", path.replace("{", "By-"))
    name = "".join(word[0].upper() + word[1:] for word in words) or "LandingPage"
    if tag == "tiles":
        name = f"Tile{name}"
    return f"{tag}.{method}{name}"


def _others(
    path: str, stock: dict[str, Any], part: Parameter, taken: Iterable[Parameter]
) -> Iterator[dict[str, Any]]:
    """Yield what a route's own declaration says: parts of the path, headers."""
    known = {one.name for one in taken}
    for one in stock.get("parameters", []):
        name = one["name"]
        if one["in"] == "query":
            if name not in known:
                raise ValueError(f"{path}: nothing says what its parameter {name!r} may be")
        elif one["in"] == "path" and name == part.key:
            yield {"$ref": f"#/components/parameters/{part.name}"}
        elif one["in"] == "path":
            yield PATHS[name].to_json()
        else:
            yield {**one, "schema": to_30(one["schema"])}


def _body(stock: dict[str, Any]) -> dict[str, Any]:
    content = {
        media: {**one, "schema": to_30(one["schema"])} for media, one in stock["content"].items()
    }
    return {**stock, "content": content}


def _of_layer(
    generic: dict[str, Any], layer_id: str, own: list[Parameter], free: list[Parameter]
) -> dict[str, Any]:
    """Return the pages of one collection.

    Free text stands with the path and not with the operation, which means the same. GDAL up to
    3.12 looks for properties in the operation alone, and leaves to the service what it finds
    there, but writes a comma and a plus sign as they are: `K12+300` would be asked for as `K12
    300`. So it compares such text itself.
    """
    shared = [one for one in generic["parameters"] if "collectionId" not in str(one)]
    operation = {
        **generic,
        "operationId": f"{generic['operationId']}.{layer_id}",
        "parameters": [*shared, *(one.reference() for one in own)],
    }
    return {"parameters": [one.reference() for one in free], "get": operation}


def _keyed(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of the routes that need a key."""
    for route in routes:
        if isinstance(route, APIRoute):
            if _needs_key(route.dependant):
                yield from ((method.lower(), route.path) for method in route.methods or ())
            continue
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _keyed(inner.routes)


def _needs_key(dependant: Dependant) -> bool:
    return any(isinstance(one.call, Needs) or _needs_key(one) for one in dependant.dependencies)
