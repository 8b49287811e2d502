"""Finding things: by words over all layers, and where a position lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api import html
from riskmap.api.deps import Ctx, Language, Who, bbox, integer, number, parameters
from riskmap.api.html_features import search_page
from riskmap.api.links import GEOJSON, JSON, Links, address, base, cache_headers, link
from riskmap.catalog.spec import Layer, Role
from riskmap.crs.datum import (
    Datum,
    check_city,
    place_in_wgs84,
    read_datum,
    shapes_to_geojson,
)
from riskmap.db.sessions import AsyncReadSession
from riskmap.errors import InputError
from riskmap.features import locate, read, search
from riskmap.features.query import FeatureQuery
from riskmap.units import LonLat

router = APIRouter(tags=["search"])

MAX_HITS: Final = 100
DEFAULT_HITS: Final = 10
# Nobody searches for a cell of the population or a piece of a lake; asked by name they answer.
_SILENT: Final = (Role.POPULATION, Role.CONTEXT)


@router.get("/search", summary="搜索 Search", response_model=None)
async def find(request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Search names, codes and addresses over all layers, best hits first.

    Public texts alone are searched, whoever asks.
    """
    as_html = html.wanted(request, "geojson", "json")
    found = parameters(request, {"q", "layers", "bbox", "limit", "datum", "f"})
    if "q" not in found:
        raise InputError("parameter.missing", parameter="q")
    datum = read_datum(found.get("datum"))
    box = bbox(found["bbox"]) if "bbox" in found else None
    limit = integer(found.get("limit", str(DEFAULT_HITS)), "limit", least=1, most=MAX_HITS)
    queries = [
        FeatureQuery(layer=layer, words=found["q"], bbox=box, datum=datum)
        for layer in _layers(ctx, found.get("layers"))
    ]
    async with ctx.database.read_async() as session:
        await _check_datum(session, datum, queries[0].layer)
        rows = (await session.execute(search.hits(queries, found["q"], limit))).all()
    body = {
        "type": "FeatureCollection",
        **({} if datum is Datum.WGS84 else {"datum": datum.value}),
        **_matched(rows),
        "numberReturned": len(rows),
        "features": _features(request, rows, [query.layer for query in queries], datum, lang),
        "links": [link(str(address(request)), "self", GEOJSON)],
    }
    if as_html:
        return await search_page(request, ctx, who, lang, body, MAX_HITS)
    return Response(orjson.dumps(body), media_type=GEOJSON, headers=cache_headers(who))


def _layers(ctx: Ctx, text: str | None) -> list[Layer]:
    if text is None:
        return [one for one in ctx.catalog.values() if one.role not in _SILENT]
    names = text.split(",")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("tile.twice", parameter="layers", value=twice[0][:40])
    for name in names:
        if name not in ctx.catalog:
            known = ", ".join(ctx.catalog)
            raise InputError("parameter.value", parameter="layers", value=name[:40], expected=known)
    return [ctx.catalog[name] for name in names]


def _matched(rows: Sequence[Any]) -> dict[str, int]:
    """Say how many features match, unless there are more than were looked at."""
    number = rows[0].matched if rows else 0
    return {} if number is None else {"numberMatched": number}


async def _check_datum(session: AsyncReadSession, datum: Datum, layer: Layer) -> None:
    if datum is not Datum.WGS84:
        facts = await read.facts(session, layer)
        if facts.city is not None:
            check_city(datum, facts.city)


def _features(
    request: Request, rows: Any, layers: list[Layer], datum: Datum, lang: Language
) -> list[dict[str, Any]]:
    """Return hits as features; their ids are unique over all layers."""
    shapes = shapes_to_geojson([row.wkb for row in rows], datum) if rows else []
    found = []
    for row, shape in zip(rows, shapes, strict=True):
        layer = layers[row.place]
        href = f"{base(request)}/collections/{layer.id}/items/{row.id}"
        links: Links = [link(href, "item", GEOJSON)]
        properties = {
            "layer": layer.id,
            "layer_title": layer.title.in_(lang),
            "feature_id": row.id,
            "code": row.code,
            "name": row.name,
            "name_en": row.name_en,
            "address": row.address,
            "status": row.status,
            "score": round(row.score, 4),
        }
        if layer.assessed:
            properties["risk_level"] = row.risk_level
        found.append(
            {
                "type": "Feature",
                "id": f"{layer.id}.{row.id}",
                "geometry": orjson.loads(shape),
                "properties": properties,
                "links": links,
            }
        )
    return found


@router.get("/locate", summary="所在区划 Administrative units of a position", response_model=None)
async def where_is(request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Return the administrative units that hold a position, the largest first.

    On a border these are the units of both sides; outside all of them the list is empty.
    """
    as_html = html.wanted(request, "json")
    found = parameters(request, {"lon", "lat", "datum", "f"})
    for name in ("lon", "lat"):
        if name not in found:
            raise InputError("parameter.missing", parameter=name)
    datum = read_datum(found.get("datum"))
    given = LonLat(number(found["lon"], "lon"), number(found["lat"], "lat"))
    for name, value, most in (("lon", given.lon, 180), ("lat", given.lat, 90)):
        if abs(value) > most:
            expected = f"-{most} … {most}"
            raise InputError("parameter.value", parameter=name, value=value, expected=expected)
    place = place_in_wgs84(given, datum, "lon,lat")
    areas = list(ctx.catalog.with_role(Role.AREA))
    async with ctx.database.read_async() as session:
        held = await locate.units(session, areas, place)
    body = {
        "lon": given.lon,
        "lat": given.lat,
        "datum": datum.value,
        "outside": not held,
        "units": [_unit(one, areas, lang) for one in held],
    }
    if as_html:
        title = html.both("locate.title")
        return await html.document(request, ctx, lang, title=title, body=body)
    return Response(orjson.dumps(body), media_type=JSON, headers=cache_headers(who))


def _unit(one: locate.Unit, areas: list[Layer], lang: Language) -> dict[str, Any]:
    """Say a unit's level as people call it, too."""
    layer = next(area for area in areas if area.id == one.layer)
    field = layer.field("level")
    labels = {value.code: value for value in field.values} if field else {}
    value = labels.get(one.level)
    label = one.level if value is None else value.zh if lang == "zh" else value.en
    return {**one.to_json(), "level_label": label}
