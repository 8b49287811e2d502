"""The reached roads of a response circle as vector tiles by arrival time, with a style for them."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import orjson
import shapely
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.analysis.reached import reached_roads
from riskmap.analysis.response import Overlap
from riskmap.analysis.scenario_store import find_scenario, read_flood_factors
from riskmap.api.analysis import read_city_datum
from riskmap.api.circles import CircleBody, body_of, circle_query
from riskmap.api.conditions import not_modified
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, integer, parameters
from riskmap.api.links import JSON, base
from riskmap.api.styles import STYLE
from riskmap.api.tile_edge import DROPPED, MVT
from riskmap.catalog.tokens import TOKENS
from riskmap.crs.datum import Datum
from riskmap.errors import InputError
from riskmap.roads.speeds import read_time_factors
from riskmap.tiles.grid import WEB_MERCATOR_QUAD, address
from riskmap.tiles.lines import Lines, mercator, tile

router = APIRouter(prefix="/analysis/response-circles", tags=["analysis"])

#: The layer's name in a tile.
NAME: Final = "reached_edges"
FIELDS: Final = {
    "arrival_s": "Number",
    "band_min": "Number",
    "class": "String",
    "source": "Number",
}
_TITLE: Final = "到达时间 Arrival time"
_COLOURS: Final = ("band-5", "band-10", "band-15")


@router.get("/tiles/{z}/{x}/{y}.mvt", summary="到达路段瓦片 Tile of reached roads")
def reached_tile(z: str, x: str, y: str, request: Request, ctx: Ctx) -> Response:
    """Return one tile of the roads that a circle reaches, by arrival time; 204 when empty."""
    numbers = [
        integer(text, name, least=0, most=2**31) for name, text in (("z", z), ("x", x), ("y", y))
    ]
    at = address(WEB_MERCATOR_QUAD, *numbers)
    body, datum = _read(request, ctx)
    key = _key(ctx, body, datum)
    tag = f'"{hashlib.sha256(f"{key}/{numbers}".encode()).hexdigest()[:32]}"'
    headers = {"Cache-Control": "public, no-cache", "ETag": tag}
    if not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    lines = ctx.analysis.drawings.get(key, lambda: _lines(ctx, body, datum))
    mvt, thinned = tile(lines, NAME, at)
    if thinned:
        headers[DROPPED] = str(thinned)
    if not mvt:
        return Response(status_code=204, headers=headers)
    return Response(mvt, media_type=MVT, headers=headers)


@router.get("/tilejson", summary="到达路段 TileJSON of reached roads", response_model=None)
def tilejson(request: Request, ctx: Ctx) -> Response:
    """Say where the tiles of a circle are, what a line carries, and how to draw it."""
    body, _ = _read(request, ctx)
    return Response(orjson.dumps(_tilejson(request, ctx, body)), media_type=JSON)


@router.get("/style", summary="到达路段样式 Style of reached roads", response_model=None)
def style(request: Request, ctx: Ctx) -> Response:
    """Return a MapLibre style of the reached roads alone, to lie over any map."""
    body, _ = _read(request, ctx)
    told = _tilejson(request, ctx, body)
    source = {"type": "vector", **{k: told[k] for k in ("tiles", "minzoom", "maxzoom", "bounds")}}
    found = {
        "version": 8,
        "name": _TITLE,
        "sources": {NAME: source},
        "layers": [told["layer"]],
        "metadata": {"legend": told["legend"]},
    }
    return Response(orjson.dumps(found), media_type=STYLE)


def _read(request: Request, ctx: Context) -> tuple[CircleBody, Datum]:
    body = body_of(parameters(request, set(CircleBody.model_fields)))
    if body.overlap not in (Overlap.UNION, Overlap.NEAREST):
        # A road has one colour: that of the first to get there.
        raise InputError(
            "parameter.value",
            parameter="overlap",
            value=body.overlap[:40],
            expected=f"{Overlap.UNION}, {Overlap.NEAREST}",
        )
    datum = read_city_datum(ctx.analysis.ground, body.datum)
    circle_query(ctx.analysis.ground, body, datum)  # what is wrong with it is said at once
    return body, datum


def _key(ctx: Context, body: CircleBody, datum: Datum) -> str:
    """Return what the lines follow from: the question and the revisions of all that it reads."""
    query = circle_query(ctx.analysis.ground, body, datum)
    moment = ctx.analysis.ground.now()
    served = None if moment.networks is None else moment.networks.revision
    more: list[Any] = []
    with ctx.database.read() as session:
        if body.day_type is not None:
            more.append(sorted(read_time_factors(session).rows.items()))
        if body.scenario is not None:
            more.append(read_flood_factors(session).rows)
            if str(body.scenario).isdigit():
                more.append(find_scenario(session, int(str(body.scenario))).version)
    parts = (body, query.preset, served, sorted(moment.layer_revisions.items()), moment.phases)
    return hashlib.sha256(repr((*parts, more)).encode("utf-8", "replace")).hexdigest()


def _lines(ctx: Context, body: CircleBody, datum: Datum) -> Lines:
    found = reached_roads(
        ctx.analysis.under(body.scenario, datum).ground,
        circle_query(ctx.analysis.ground, body, datum),
    )
    size = [len(part) for part in found.lonlat]
    degrees = np.concatenate(found.lonlat) if size else np.zeros((0, 2))
    shapes = shapely.linestrings(
        mercator(np.asarray(datum.from_wgs84(degrees))),
        indices=np.repeat(np.arange(len(size)), size),
    )
    values = {
        "arrival_s": found.arrival_s,
        "band_min": found.band_min,
        "class": found.road_class,
        "source": found.source,
    }
    return Lines(np.asarray(shapes, dtype=object), found.road_class, values)


def _tilejson(request: Request, ctx: Context, body: CircleBody) -> dict[str, Any]:
    datum = read_city_datum(ctx.analysis.ground, body.datum)
    minutes = sorted(set(circle_query(ctx.analysis.ground, body, datum).minutes))
    here = f"{base(request)}/analysis/response-circles/tiles/{{z}}/{{x}}/{{y}}.mvt"
    asked = request.url.query
    # Times are coloured between the alarm and the last band, as the bands are: dark comes first.
    stops = [
        (share * minutes[-1] * 60, TOKENS["light"][colour])
        for share, colour in zip((0.0, 0.5, 1.0), _COLOURS, strict=True)
    ]
    ramp = [value for stop in stops for value in stop]
    layer = {
        "id": NAME,
        "type": "line",
        "source": NAME,
        "source-layer": NAME,
        "layout": {"line-cap": "round", "line-join": "round"},
        "paint": {
            "line-color": ["interpolate", ["linear"], ["get", "arrival_s"], *ramp],
            "line-width": ["interpolate", ["linear"], ["zoom"], 8, 1.2, 14, 2.4, 18, 6],
        },
    }
    return {
        "tilejson": "3.0.0",
        "name": _TITLE,
        "tiles": [f"{here}?{asked}" if asked else here],
        "minzoom": 5,
        "maxzoom": 18,
        "bounds": list(ctx.analysis.ground.now().city.bbox),
        "vector_layers": [{"id": NAME, "fields": FIELDS}],
        "description": (
            "第 14 级以前只画该级应有的道路类别,省去几段见响应头 Before zoom 14 only the classes of"
            f" roads that a zoom has room for are drawn; the header {DROPPED} counts the others"
        ),
        "layer": layer,
        "legend": {
            "title": {"zh": "报警后到达的时间", "en": "Arrival, after the alarm"},
            "entries": [
                {
                    "value_s": value_s,
                    "colour": colour,
                    "label": {"zh": f"{value_s / 60:g} 分钟", "en": f"{value_s / 60:g} min"},
                }
                for value_s, colour in stops
            ],
        },
    }
