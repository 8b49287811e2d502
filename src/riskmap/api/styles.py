"""Styles, their sprites and legends: how the city's tiles are drawn, for clients of others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, cast

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api.conditions import not_modified
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Language, parameters
from riskmap.api.links import GEOJSON, JSON, base, link
from riskmap.catalog.spec import Role
from riskmap.catalog.tokens import THEMES, Theme
from riskmap.crs.datum import Datum, read_datum
from riskmap.errors import InputError, NotFoundError
from riskmap.features import read
from riskmap.tiles.styles import legend as legends
from riskmap.tiles.styles.ground import Look
from riskmap.tiles.styles.names import names
from riskmap.tiles.styles.sprite import RATIOS, sprite, symbols_of
from riskmap.tiles.styles.style import NAMES_PATH, STYLES, Place, RasterBase, drawn, find, style
from riskmap.units import Bbox

router = APIRouter(tags=["styles"])

# Named so by OGC API - Styles.
STYLE: Final = "application/vnd.mapbox.style+json"
SVG: Final = "image/svg+xml"
PNG: Final = "image/png"
_OWN: Final = "own"
_RASTER: Final = "raster"
BASES: Final = (_OWN, _RASTER)
# The sheets by the end of their addresses, as MapLibre puts them together.
SHEETS: Final[dict[str, tuple[Theme, int]]] = {
    theme + ("" if ratio == 1 else f"@{ratio}x"): (theme, ratio)
    for theme in THEMES
    for ratio in RATIOS
}


@router.get("/styles", summary="样式 Styles", response_model=None)
def listed(request: Request, lang: Language) -> Response:
    """List the styles with the addresses of each theme."""
    parameters(request, set())
    root = f"{base(request)}/styles"
    found = [
        {
            "id": name,
            "title": title.in_(lang),
            "links": [
                one
                for theme in THEMES
                for one in (
                    link(f"{root}/{name}.json?theme={theme}&lang={lang}", "stylesheet", STYLE),
                    link(f"{root}/{name}/legend.json?theme={theme}&lang={lang}", "legend", JSON),
                    link(f"{root}/{name}/legend.svg?theme={theme}&lang={lang}", "legend", SVG),
                )
            ],
        }
        for name, title in STYLES.items()
    ]
    body = {"styles": found, "default": next(iter(STYLES)), "links": [link(root, "self", JSON)]}
    return _answer(request, orjson.dumps(body), JSON)


@router.get("/styles/{name}.json", summary="样式 Style", response_model=None)
async def stylesheet(name: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """Return a style of the MapLibre style specification over this service's tiles."""
    find(name)
    asked = parameters(request, {"theme", "base"})
    look = Look(_theme(asked), lang)
    raster = _raster(ctx, asked)
    place = await _place(ctx, base(request))
    found = style(name, drawn(ctx.catalog, name, raster), look, place, raster)
    return _answer(request, orjson.dumps(found), STYLE)


@router.get(NAMES_PATH, summary="区划名称 Names of divisions", response_model=None)
async def division_names(request: Request, ctx: Ctx) -> Response:
    """Return one place for the name of each division, which styles draw."""
    datum = read_datum(parameters(request, {"datum"}).get("datum"))
    async with ctx.database.read_async() as session:
        found = await names(session, ctx.catalog.with_role(Role.AREA), datum)
    return _answer(request, orjson.dumps(found), GEOJSON)


@router.get("/styles/{name}/legend.json", summary="图例 Legend", response_model=None)
def legend(name: str, request: Request, ctx: Ctx) -> Response:
    """Return what each symbol means, in both languages."""
    find(name)
    look = Look(_theme(parameters(request, {"theme"})), "zh")
    found = legends.as_json(name, drawn(ctx.catalog, name), look.theme)
    found["sprite"] = f"{base(request)}/styles/sprites/{look.theme}"
    return _answer(request, orjson.dumps(found), JSON)


@router.get("/styles/{name}/legend.svg", summary="图例图 Legend, drawn", response_model=None)
def picture(name: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """Return the legend as a picture."""
    find(name)
    look = Look(_theme(parameters(request, {"theme"})), lang)
    text = legends.as_svg(name, drawn(ctx.catalog, name), look)
    return _answer(request, text.encode(), SVG)


@router.get("/styles/sprites/{sheet}.json", summary="图标索引 Sprite index", response_model=None)
def sprite_index(sheet: str, request: Request, ctx: Ctx) -> Response:
    """Say where each image lies in the sheet of a theme, such as `light` and `light@2x`."""
    parameters(request, set())
    theme, ratio = _sheet(sheet)
    found = sprite(symbols_of(ctx.catalog.values()), theme, ratio)
    return _answer(request, orjson.dumps(found.index), JSON)


@router.get("/styles/sprites/{sheet}.png", summary="图标 Sprite", response_model=None)
def sprite_image(sheet: str, request: Request, ctx: Ctx) -> Response:
    """Return the images of all styles in one sheet."""
    parameters(request, set())
    theme, ratio = _sheet(sheet)
    return _answer(request, sprite(symbols_of(ctx.catalog.values()), theme, ratio).png, PNG)


def _theme(asked: dict[str, str]) -> Theme:
    return cast(Theme, _one_of(asked, "theme", THEMES))


def _one_of(asked: dict[str, str], name: str, known: tuple[str, ...]) -> str:
    """Return one of some words, the first where none is asked for."""
    value = asked.get(name, known[0])
    if value not in known:
        raise InputError(
            "parameter.value", parameter=name, value=value[:40], expected=", ".join(known)
        )
    return value


def _raster(ctx: Context, asked: dict[str, str]) -> RasterBase | None:
    if _one_of(asked, "base", BASES) == _OWN:
        return None
    found = ctx.settings
    if found.basemap_url is None:
        raise InputError("style.no_raster", parameter="base")
    return RasterBase(
        found.basemap_url.get_secret_value(),
        found.basemap_attribution,
        found.basemap_tile_size,
        Datum(found.basemap_datum),
    )


def _sheet(name: str) -> tuple[Theme, int]:
    if name not in SHEETS:
        raise NotFoundError("style.no_sprite", value=name[:40], known=", ".join(SHEETS))
    return SHEETS[name]


async def _place(ctx: Context, root: str) -> Place:
    """Return where the city lies: its divisions are shown first."""
    boxes: list[Bbox] = []
    async with ctx.database.read_async() as session:
        areas = ctx.catalog.with_role(Role.AREA)
        facts = [await read.facts(session, layer) for layer in areas]
        for layer, fact in zip(areas, facts, strict=True):
            extent = await ctx.extents.find(session, layer, fact.revision)
            boxes += [] if extent is None else [extent.bbox]
    home = _around(boxes)
    city = next((fact.city for fact in facts if fact.city is not None), None)
    return Place(
        base=root,
        bounds=_around([box for box in (home, city) if box is not None]),
        home=home or city,
    )


def _around(boxes: Sequence[Bbox]) -> Bbox | None:
    """Return the box of all boxes."""
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return Bbox(min(west), min(south), max(east), max(north))


def _answer(request: Request, body: bytes, media: str) -> Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache", "Vary": "Accept-Language"}
    if not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media, headers=headers)
