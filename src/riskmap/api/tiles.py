"""Vector tiles."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from riskmap.access.keys import Caller
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Who, integer, parameters
from riskmap.api.query import feature_query
from riskmap.catalog.spec import Layer
from riskmap.db.sessions import AsyncReadSession
from riskmap.errors import InputError
from riskmap.features import read
from riskmap.tiles import roads
from riskmap.tiles.grid import WEB_MERCATOR_QUAD, Address, address
from riskmap.tiles.read import render

router = APIRouter(tags=["tiles"])

MVT = "application/vnd.mapbox-vector-tile"


MAX_LAYERS = 16


@router.get("/tiles/{layers}/{z}/{x}/{y}.mvt", summary="矢量瓦片 Vector tile")
async def tile(
    layers: str, z: str, x: str, y: str, request: Request, ctx: Ctx, who: Who
) -> Response:
    """Return one tile of one or several layers (`a,b,roads`); 204 when nothing is in it.

    The filters are those of the items, and of every layer that is asked for.
    """
    names = _names(layers)
    numbers = [
        integer(text, name, least=0, most=2**31) for name, text in (("z", z), ("x", x), ("y", y))
    ]
    return await answer(request, ctx, who, names, address(WEB_MERCATOR_QUAD, *numbers))


async def answer(
    request: Request, ctx: Context, who: Caller, names: Sequence[str], place: Address
) -> Response:
    """Answer with a tile of these layers, whatever the address that asked for it.

    Raises
    ------
    NotFoundError
        There is no such layer.
    InputError
        A parameter is wrong, or one of the layers lacks what it names.
    """
    found = [ctx.catalog.find(name) for name in names if name != roads.NAME]
    with_roads = roads.NAME in names
    if with_roads:
        parameters(request, set())  # the network has no fields to filter by
    async with ctx.database.read_async() as session:
        srid = await _local_srid(request, session, found)
        queries = [feature_query(request, layer, who, local_srid=srid) for layer in found]
        drawn = await render(session, queries, place, with_roads=with_roads)
    headers = {
        "Cache-Control": "public, no-cache" if who.role is None else "private, no-store",
        "Vary": "Authorization, X-API-Key",
    }
    if drawn.dropped:
        headers["X-Riskmap-Dropped"] = str(sum(drawn.dropped.values()))
    if not drawn.mvt:
        return Response(status_code=204, headers=headers)
    return Response(drawn.mvt, media_type=MVT, headers=headers)


async def _local_srid(
    request: Request, session: AsyncReadSession, layers: list[Layer]
) -> int | None:
    """Return the city's own system where the filters may be measured in it: tiles seldom are."""
    asked = {"bbox-crs", "filter-crs"} & request.query_params.keys()
    return (await read.facts(session, layers[0])).local_srid if asked and layers else None


def _names(layers: str) -> list[str]:
    names = layers.split(",")
    if len(names) > MAX_LAYERS:
        raise InputError("tile.layers", parameter="layers", value=len(names), most=MAX_LAYERS)
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("tile.twice", parameter="layers", value=twice[0][:40])
    return names
