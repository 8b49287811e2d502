"""Landing page, collections and features (OGC API - Features, first cut)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from riskmap.api import html
from riskmap.api.deps import Ctx, Language, Who, parameters
from riskmap.api.html_features import collection_page, collections_page
from riskmap.api.links import GEOJSON, base, cache_headers, link
from riskmap.catalog.spec import Layer
from riskmap.db.tables import CITY
from riskmap.errors import InputError
from riskmap.features import read
from riskmap.i18n import Lang, say

router = APIRouter(tags=["features"])

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


def _collection(
    request: Request, layer: Layer, lang: Lang, facts: dict[str, Any]
) -> dict[str, Any]:
    here = f"{base(request)}/collections/{layer.id}"
    return {
        "id": layer.id,
        "title": layer.title.in_(lang),
        "description": layer.description.in_(lang),
        "titles": {"zh": layer.title.zh, "en": layer.title.en},
        "role": layer.role,
        "itemType": "feature",
        "crs": [CRS84],
        "storageCrs": CRS84,
        "links": [
            link(here, "self", "application/json"),
            link(f"{here}/items", "items", GEOJSON, layer.title.in_(lang)),
            link(
                f"{base(request)}/tiles/{layer.id}/{{z}}/{{x}}/{{y}}.mvt",
                "tiles",
                "application/vnd.mapbox-vector-tile",
            ),
        ],
        **facts,
    }


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


@router.get("/", summary="服务入口 Landing page", response_model=None)
async def landing(request: Request, ctx: Ctx, lang: Language) -> Response:
    """Say what this is, and what to do when it is empty; a browser gets the page instead."""
    form = parameters(request, {"f"}).get("f", "json")
    if form != "json":
        raise InputError("parameter.value", parameter="f", value=form[:40], expected="html, json")
    root = base(request)
    async with ctx.database.read_async() as session:
        city = (await session.execute(CITY.select())).mappings().first()
        filled = await read.filled(session, ctx.catalog.values())
    hint = None
    if city is None:
        hint = say("landing.no_city", lang)
    elif not filled:
        hint = say("landing.empty", lang, name=city["name"])
    links = [
        link(f"{root}/", "self", "application/json"),
        link(
            f"{root}/openapi.json", "service-desc", "application/vnd.oai.openapi+json;version=3.1"
        ),
        link(f"{root}/collections", "data", "application/json"),
    ]
    title = say("landing.title", lang)
    body = {
        "title": title,
        "description": hint or (city["name"] if city else ""),
        "city": None
        if city is None
        else {
            "name": city["name"],
            "name_en": city["name_en"],
            "bbox": [city["west"], city["south"], city["east"], city["north"]],
            "synthetic": city["synthetic"],
        },
        "links": links,
    }
    return JSONResponse(body, headers={"Vary": "Accept, Accept-Language"})


@router.get("/collections", summary="全部图层 All layers", response_model=None)
async def collections(request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """List the layers."""
    as_html = html.wanted(request, "json")
    parameters(request, {"f"})
    async with ctx.database.read_async() as session:
        fresh = await read.revisions(session, ctx.catalog.values())
    body = {
        "links": [link(f"{base(request)}/collections", "self", "application/json")],
        "collections": [
            _collection(request, layer, lang, _freshness(layer, fresh))
            for layer in ctx.catalog.values()
        ],
    }
    if as_html:
        return await collections_page(request, ctx, who, lang, body)
    return JSONResponse(body, headers={"Vary": "Accept, Accept-Language"})


def _freshness(layer: Layer, fresh: dict[str, Any]) -> dict[str, Any]:
    revision, at = fresh.get(layer.id, (None, None))
    return {"revision": revision, "updated_at": None if at is None else at.isoformat()}


@router.get("/collections/{layer_id}", summary="一个图层 One layer", response_model=None)
async def collection(
    layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Describe a layer: extent, freshness, fields that the caller may see."""
    as_html = html.wanted(request, "json")
    layer = ctx.catalog.find(layer_id)
    parameters(request, {"f"})
    async with ctx.database.read_async() as session:
        fresh = await read.revisions(session, [layer])
        extent = await read.extent(session, layer)
    facts = {**_freshness(layer, fresh), "fields": _fields(layer, who, lang)}
    if extent is not None:
        facts["extent"] = {"spatial": {"bbox": [extent], "crs": CRS84}}
    body = _collection(request, layer, lang, facts)
    if as_html:
        return await collection_page(request, ctx, who, lang, layer, body)
    return JSONResponse(body, headers=cache_headers(who))
