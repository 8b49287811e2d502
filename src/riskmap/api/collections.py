"""The collections: what layers there are, where they lie, how fresh they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Language, Who
from riskmap.api.documents import both_forms, tagged, wanted
from riskmap.api.html_features import collection_page, collections_page
from riskmap.api.links import GEOJSON, HTML, JSON, SCHEMA, Links, base, cache_headers, link
from riskmap.api.tilesets import TILESETS
from riskmap.catalog.spec import Layer
from riskmap.crs.served import CRS84, served
from riskmap.db.sessions import AsyncReadSession
from riskmap.db.tables import CITY
from riskmap.features import read
from riskmap.features.extents import Extent
from riskmap.i18n import Lang, say

router = APIRouter(tags=["features"])

_REL: Final = "http://www.opengis.net/def/rel/ogc/1.0"
QUERYABLES: Final = f"{_REL}/queryables"
SORTABLES: Final = f"{_REL}/sortables"
SCHEMA_REL: Final = f"{_REL}/schema"
_MVT: Final = "application/vnd.mapbox-vector-tile"
_GREGORIAN: Final = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"


def _collection(
    request: Request, layer: Layer, lang: Lang, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": layer.id,
        "title": layer.title.in_(lang),
        "description": layer.description.in_(lang),
        "titles": {"zh": layer.title.zh, "en": layer.title.en},
        "role": layer.role,
        "itemType": "feature",
        "storageCrs": CRS84.uri,
        **facts,
        "links": _links(request, layer, lang),
    }


def _links(request: Request, layer: Layer, lang: Lang) -> Links:
    root = base(request)
    one = f"{root}/collections/{layer.id}"
    title = layer.title.in_(lang)

    def schema(path: str, rel: str, key: str) -> dict[str, str]:
        return link(f"{one}/{path}", rel, SCHEMA, say(key, lang))

    return [
        link(one, "self", JSON, title),
        link(f"{one}?f=html", "alternate", HTML, title),
        link(f"{root}/collections", "parent", JSON),
        link(f"{one}/items", "items", GEOJSON, title),
        link(f"{one}/items?f=html", "items", HTML, title),
        schema("queryables", QUERYABLES, "ogc.queryables"),
        schema("sortables", SORTABLES, "ogc.sortables"),
        schema("schema", SCHEMA_REL, "ogc.schema"),
        # GDAL takes its columns from this one.
        schema("schemas/feature", "describedby", "ogc.feature_schema"),
        link(f"{one}/tiles", TILESETS, JSON, title),
        link(f"{root}/tiles/{layer.id}/{{z}}/{{x}}/{{y}}.mvt", "tiles", _MVT),
    ]


def _fields(layer: Layer, who: Who, lang: Lang) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "label": field.label.in_(lang),
            "type": field.kind,
            "unit": field.unit,
            "source": field.source,
            "values": [
                {"code": value.code, "label": value.zh if lang == "zh" else value.en}
                for value in field.values
            ]
            or None,
        }
        for field in layer.visible(restricted=who.reads_restricted)
    ]


async def _facts(
    ctx: Context, session: AsyncReadSession, layers: list[Layer]
) -> dict[str, dict[str, Any]]:
    """Return what the database says of each layer."""
    local_srid = (await session.execute(CITY.select())).mappings().first()
    systems = [one.uri for one in served(local_srid and local_srid["local_srid"])]
    fresh = await read.revisions(session, layers)
    found: dict[str, dict[str, Any]] = {}
    for layer in layers:
        revision, at = fresh.get(layer.id, (None, None))
        extent = await ctx.extents.find(session, layer, revision)
        found[layer.id] = {
            "crs": systems,
            "revision": revision,
            "updated_at": None if at is None else at.isoformat(),
            **({} if extent is None else {"extent": _extent(extent)}),
        }
    return found


def _extent(extent: Extent) -> dict[str, Any]:
    interval = [_time(extent.start), _time(extent.end)]
    return {
        "spatial": {"bbox": [list(extent.bbox)], "crs": CRS84.uri},
        "temporal": {"interval": [interval], "trs": _GREGORIAN},
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


@router.get("/collections", summary="全部图层 All layers", response_model=None)
async def collections(request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """List the layers."""
    form = wanted(request)
    async with ctx.database.read_async() as session:
        facts = await _facts(ctx, session, list(ctx.catalog.values()))
    body = {
        "title": say("ogc.collections", lang),
        "links": both_forms(request),
        "collections": [
            _collection(request, layer, lang, facts[layer.id]) for layer in ctx.catalog.values()
        ],
    }
    if form == "html":
        return await collections_page(request, ctx, who, lang, body)
    return tagged(request, body, headers=cache_headers(who))


@router.get("/collections/{layer_id}", summary="一个图层 One layer", response_model=None)
async def collection(
    layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Describe a layer: extent, freshness, fields that the caller may see."""
    form = wanted(request)
    layer = ctx.catalog.find(layer_id)
    async with ctx.database.read_async() as session:
        facts = await _facts(ctx, session, [layer])
    told = {**facts[layer.id], "fields": _fields(layer, who, lang)}
    body = _collection(request, layer, lang, told)
    if form == "html":
        return await collection_page(request, ctx, who, lang, layer, body)
    return tagged(request, body, headers=cache_headers(who))
