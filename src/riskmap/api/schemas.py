"""What a layer's properties are, as JSON Schema: queryables, sortables, and the features' schema.

Each says only what the caller may see. A property that is not stated is null in the features; the
schemas name the type of what is stated, as part 5 of the standard does (GDAL takes a column of
several types for text).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api.deps import Ctx, Language, Who
from riskmap.api.documents import answer
from riskmap.api.links import SCHEMA, base, cache_headers
from riskmap.catalog.spec import Child, Field, Geometry, Kind, Layer
from riskmap.features.query import ID
from riskmap.i18n import Lang, say

router = APIRouter(prefix="/collections/{layer_id}", tags=["features"])

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final[dict[Kind, Schema]] = {
    Kind.TEXT: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.DATETIME: {"type": "string", "format": "date-time"},
    Kind.JSON: {"type": "object"},
}
_ROLES: Final = {
    ID.name: "id",
    "valid_from": "primary-interval-start",
    "valid_to": "primary-interval-end",
}
_GEOMETRIES: Final = {
    Geometry.POINT: "geometry-point",
    Geometry.LINE: "geometry-multilinestring",
    Geometry.POLYGON: "geometry-multipolygon",
    Geometry.MIXED: "geometry-any",
}


def property_of(field: Field, lang: Lang) -> Schema:
    """Return the schema of a field's values, as far as they are stated."""
    found: Schema = {"title": field.label.in_(lang)}
    if field.unit is not None:
        found["x-riskmap-unit"] = field.unit
    value: Schema = dict(_TYPES[Kind.TEXT] if field.kind is Kind.TEXTS else _TYPES[field.kind])
    if field.values:
        value["enum"] = [one.code for one in field.values]
        labels = {str(one.code): one.zh if lang == "zh" else one.en for one in field.values}
        found["x-riskmap-labels"] = labels
    for keyword, bound in (("minimum", field.minimum), ("maximum", field.maximum)):
        if bound is not None:
            value[keyword] = int(bound) if float(bound).is_integer() else bound
    found |= {"type": "array", "items": value} if field.kind is Kind.TEXTS else value
    if field.name in _ROLES:
        found["x-ogc-role"] = _ROLES[field.name]
    if field.managed:
        found["readOnly"] = True
    return found


def _child(child: Child, lang: Lang, *, restricted: bool) -> Schema:
    rows = {
        one.name: property_of(one, lang) for one in child.fields if restricted or not one.restricted
    }
    return {
        "title": child.zh if lang == "zh" else child.en,
        "type": "array",
        "items": {"type": "object", "properties": rows},
    }


def _geometry(layer: Layer, lang: Lang) -> Schema:
    return {
        "title": say("ogc.geometry", lang),
        "format": _GEOMETRIES[layer.geometry],
        "x-ogc-role": "primary-geometry",
    }


def _named(fields: Iterable[Field], lang: Lang) -> dict[str, Schema]:
    return {field.name: property_of(field, lang) for field in fields}


def _plain(layer: Layer, who: Who) -> list[Field]:
    """Return the fields that one can compare with: all but JSON."""
    visible = layer.visible(restricted=who.reads_restricted)
    return [field for field in visible if field.kind is not Kind.JSON]


def queryables_of(layer: Layer, who: Who, lang: Lang) -> dict[str, Schema]:
    """Return what a caller may filter a layer by."""
    return {"geometry": _geometry(layer, lang), **_named(_plain(layer, who), lang)}


def sortables_of(layer: Layer, who: Who, lang: Lang) -> dict[str, Schema]:
    """Return what a caller may sort a layer by."""
    fields = [field for field in _plain(layer, who) if field.kind is not Kind.TEXTS]
    return _named([ID, *fields], lang)


async def _answer(
    request: Request, ctx: Ctx, layer: Layer, who: Who, lang: Lang, path: str, body: Schema
) -> Response:
    head = {
        "$schema": _DIALECT,
        "$id": f"{base(request)}/collections/{layer.id}/{path}",
        "title": layer.title.in_(lang),
        "type": "object",
    }
    shown = {**head, **body}
    headers = cache_headers(who)
    return await answer(request, ctx, lang, layer.title, shown, media=SCHEMA, headers=headers)


@router.get("/queryables", summary="可查询的属性 Queryables", response_model=None)
async def queryables(
    layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Say by which properties the features can be filtered."""
    layer = ctx.catalog.find(layer_id)
    body = {"properties": queryables_of(layer, who, lang), "additionalProperties": False}
    return await _answer(request, ctx, layer, who, lang, "queryables", body)


@router.get("/sortables", summary="可排序的属性 Sortables", response_model=None)
async def sortables(
    layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Say by which properties the features can be sorted."""
    layer = ctx.catalog.find(layer_id)
    body = {"properties": sortables_of(layer, who, lang), "additionalProperties": False}
    return await _answer(request, ctx, layer, who, lang, "sortables", body)


@router.get("/schema", summary="要素的属性 Schema", response_model=None)
async def schema(layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Say which properties the features have, and which of them an edit may set."""
    layer = ctx.catalog.find(layer_id)
    body: Schema = {
        "properties": {
            ID.name: property_of(ID, lang),
            "geometry": _geometry(layer, lang),
            **_properties(layer, who, lang),
        },
        "required": ["geometry", *_required(layer)],
        "additionalProperties": False,
    }
    return await _answer(request, ctx, layer, who, lang, "schema", body)


@router.get("/schemas/feature", summary="要素的 GeoJSON Schema of features", response_model=None)
async def feature(layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Describe a feature as it is answered in GeoJSON."""
    layer = ctx.catalog.find(layer_id)
    body: Schema = {
        "required": ["type", "geometry", "properties"],
        "properties": {
            "type": {"type": "string", "enum": ["Feature"]},
            "id": {"type": "integer"},
            "geometry": {"$ref": "https://geojson.org/schema/Geometry.json"},
            "properties": {
                "type": "object",
                "required": _required(layer),
                "properties": _properties(layer, who, lang),
            },
        },
    }
    return await _answer(request, ctx, layer, who, lang, "schemas/feature", body)


def _properties(layer: Layer, who: Who, lang: Lang) -> dict[str, Schema]:
    restricted = who.reads_restricted
    children = {one.name: _child(one, lang, restricted=restricted) for one in layer.children}
    return {**_named(layer.visible(restricted=restricted), lang), **children}


def _required(layer: Layer) -> list[str]:
    return [field.name for field in layer.fields if field.required]
