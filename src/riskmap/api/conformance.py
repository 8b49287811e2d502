"""Landing page and conformance: what this is, where everything is, and which standards it meets."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api import edits, html, processes, tilesets
from riskmap.api.deps import Ctx, Language
from riskmap.api.documents import answer, both_forms, tagged, wanted
from riskmap.api.links import GEOJSON, HTML, JSON, base, link
from riskmap.api.openapi_answers import OPENAPI
from riskmap.db.tables import CITY
from riskmap.features import cql2, read
from riskmap.i18n import Lang, say

router = APIRouter(tags=["service"])

_SPEC: Final = "http://www.opengis.net/spec"
#: What is met; a test for each stands in tests/api/test_ogc_part1.py and its neighbours.
CLASSES: Final = (
    *(f"{_SPEC}/ogcapi-features-1/1.0/conf/{one}" for one in ("core", "oas30", "html", "geojson")),
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
    *(
        f"{_SPEC}/ogcapi-features-3/1.0/conf/{one}"
        for one in ("queryables", "queryables-query-parameters", "filter", "features-filter")
    ),
    *edits.CONFORMANCE,
    *cql2.CONFORMANCE,
    *tilesets.CONFORMANCE,
    *processes.CONFORMANCE,
)
_HEADERS: Final = {"Cache-Control": "no-cache", "Vary": "Accept, Accept-Language"}


@router.get("/", summary="服务入口 Landing page", response_model=None)
async def landing(request: Request, ctx: Ctx, lang: Language) -> Response:
    """Say what this is, and what to do when it is empty; a browser gets the page instead."""
    wanted(request)  # whoever wants HTML was given the map before
    async with ctx.database.read_async() as session:
        city = (await session.execute(CITY.select())).mappings().first()
        filled = await read.filled(session, ctx.catalog.values())
    hint = None
    if city is None:
        hint = say("landing.no_city", lang)
    elif not filled:
        hint = say("landing.empty", lang, name=city["name"])
    told: dict[str, Any] | None = None
    if city is not None:
        told = {
            "name": city["name"],
            "name_en": city["name_en"],
            "bbox": [city["west"], city["south"], city["east"], city["north"]],
            "synthetic": city["synthetic"],
        }
    body = {
        "title": say("landing.title", lang),
        "description": hint or (city["name"] if city else ""),
        "city": told,
        "links": _links(request, lang),
    }
    return tagged(request, body, headers=_HEADERS)


def _links(request: Request, lang: Lang) -> list[dict[str, Any]]:
    root = base(request)

    def titled(path: str, rel: str, media: str, key: str) -> dict[str, str]:
        return link(f"{root}{path}", rel, media, say(key, lang))

    return [
        link(f"{root}/", "self", JSON),
        titled("/?f=html", "alternate", HTML, "ogc.map"),
        titled("/openapi.json", "service-desc", OPENAPI, "ogc.definition"),
        titled("/api?f=html", "service-doc", HTML, "ogc.documentation"),
        titled("/conformance", "conformance", JSON, "ogc.conformance"),
        titled("/collections", "data", JSON, "ogc.collections"),
        titled("/tiles", tilesets.TILESETS, JSON, "tilesets.all"),
        titled("/tileMatrixSets", tilesets.SCHEMES, JSON, "tilesets.grids"),
        titled("/processes", processes.LIST, JSON, "ogc.processes"),
        {**titled("/search?q={q}", "search", GEOJSON, "ogc.search"), "templated": True},
    ]


@router.get("/conformance", summary="符合的标准 Conformance", response_model=None)
async def conformance(request: Request, ctx: Ctx, lang: Language) -> Response:
    """List the conformance classes that are met."""
    body = {
        "title": say("ogc.conformance", lang),
        "conformsTo": list(CLASSES),
        "links": both_forms(request),
    }
    title = html.both("ogc.conformance")
    return await answer(request, ctx, lang, title, body, headers=_HEADERS)
