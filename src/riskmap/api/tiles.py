"""Vector tiles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response

from riskmap.access.keys import Caller
from riskmap.api.asking import check_datum
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Who, integer, parameters
from riskmap.api.query import feature_query
from riskmap.api.tile_edge import TRIED, Headers, headers_of, shared_headers, tags_in
from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum
from riskmap.errors import InputError
from riskmap.features import read
from riskmap.features.exports import LeftError
from riskmap.features.query import FeatureQuery
from riskmap.features.read import Facts
from riskmap.tiles import roads
from riskmap.tiles.cache import Entry
from riskmap.tiles.grid import WEB_MERCATOR_QUAD, Address, address
from riskmap.tiles.packing import accepted
from riskmap.tiles.question import Question

router = APIRouter(tags=["tiles"])

MAX_LAYERS = 16
# What may depend on the city's box or its own system, which are no part of the address.
_OF_ITS_SYSTEM: Final = frozenset({"bbox-crs", "filter-crs"})
_OF_THE_CITY: Final = _OF_ITS_SYSTEM | {"datum"}
_LOOK_EVERY_S: Final = 0.25
# Nginx says it of a client that left; nobody reads it.
_CLIENT_LEFT: Final = 499
# RFC 7234 section 5.5.2: what is served could not be compared with the database.
_STALE: Final = b'111 riskmap "Revalidation Failed"'

_T = TypeVar("_T")


@router.get("/tiles/{layers}/{z}/{x}/{y}.mvt", summary="矢量瓦片 Vector tile")
async def tile(
    layers: str, z: str, x: str, y: str, request: Request, ctx: Ctx, who: Who
) -> Response:
    """Return one tile of one or several layers (`a,b,roads`); 204 when nothing is in it.

    The filters are those of the items, and of every layer that is asked for.
    """
    names = names_of(layers)
    numbers = [
        integer(text, name, least=0, most=2**31) for name, text in (("z", z), ("x", x), ("y", y))
    ]
    return await answer(request, ctx, who, names, address(WEB_MERCATOR_QUAD, *numbers))


async def answer(
    request: Request,
    ctx: Context,
    who: Caller,
    names: Sequence[str],
    place: Address,
    *more: str,
) -> Response:
    """Answer with a tile of these layers, whatever the address that asked for it.

    Parameters
    ----------
    more
        Parameters that the resource takes and has read itself.

    Raises
    ------
    NotFoundError
        There is no such layer.
    InputError
        A parameter is wrong, or one of the layers lacks what it names.
    """
    layers = [ctx.catalog.find(name) for name in names if name != roads.NAME]
    question = await _question(
        request, ctx, who, layers, place, *more, with_roads=roads.NAME in names
    )
    if not _OF_THE_CITY & request.query_params.keys():
        ctx.known_tiles.remember(
            request.url.path,
            request.scope["query_string"],
            question,
            restricted=who.reads_restricted,
        )
    for tag in tags_in(request.headers.get("if-none-match", "")):
        if ctx.tiles.confirm(question, tag):
            ctx.tiles.count(question, "confirmed")
            return _response(304, shared_headers(question, tag))
    try:
        entry, current = await _unless_left(request, _tile(request, ctx, question))
    except LeftError:
        return Response(status_code=_CLIENT_LEFT)
    content, coding = await ctx.tiles.packed(
        entry, accepted(request.headers.get("accept-encoding"))
    )
    headers = headers_of(ctx.tiles, entry, coding)
    if not current:
        # No tag: nobody shall be told later that he may keep it.
        headers = [(name, value) for name, value in headers if name != b"etag"]
        headers.append((b"warning", _STALE))
    return _response(200 if entry.mvt else 204, headers, content)


async def _tile(request: Request, ctx: Context, question: Question) -> tuple[Entry, bool]:
    key, tried = request.scope.get(TRIED, (None, None))
    found: tuple[Entry, bool] = await (tried if key == question.key else ctx.tiles.get(question))
    return found


async def _question(
    request: Request,
    ctx: Context,
    who: Caller,
    layers: Sequence[Layer],
    place: Address,
    *more: str,
    with_roads: bool,
) -> Question:
    if with_roads:
        parameters(request, set(more))  # the network has no fields to filter by
    facts = await _facts(request, ctx, layers)
    srid = None if facts is None else facts.local_srid
    taken = ("datum", *more)
    queries = tuple(feature_query(request, one, who, *taken, local_srid=srid) for one in layers)
    pairs = request.query_params.multi_items()
    asked = tuple(sorted(pair for pair in pairs if pair[0] != "lang"))
    question = Question((asked, who.reads_restricted), queries, place, with_roads)
    if queries:
        await _check_datum(ctx, queries[0], question)
    return question


def _response(status: int, headers: Headers, content: bytes = b"") -> Response:
    answer = Response(content, status_code=status)
    answer.raw_headers = list(headers)
    return answer


async def _unless_left(request: Request, work: Awaitable[_T]) -> _T:
    """Await some work as long as somebody waits for it.

    Raises
    ------
    LeftError
        Nobody does.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=_LOOK_EVERY_S))[0]:
            if await request.is_disconnected():
                raise LeftError
        return task.result()
    finally:
        task.cancel()


async def _facts(request: Request, ctx: Context, layers: Sequence[Layer]) -> Facts | None:
    """Return what the filters depend on of the city: those of most tiles do not."""
    if not layers or not _OF_ITS_SYSTEM & request.query_params.keys():
        return None
    async with ctx.database.read_async() as session:
        return await read.facts(session, layers[0])


async def _check_datum(ctx: Context, query: FeatureQuery, question: Question) -> None:
    """Refuse a datum that tiles do not have, or that cannot serve this city."""
    if query.datum is Datum.BD09:
        expected = f"{Datum.WGS84}, {Datum.GCJ02}"
        raise InputError("tile.datum", parameter="datum", value=query.datum, expected=expected)
    # A tile that we hold was asked for before, and its datum found right: that takes no SQL.
    if query.datum is not Datum.WGS84 and ctx.tiles.cache.get(question.key) is None:
        async with ctx.database.read_async() as session:
            check_datum(query.datum, await read.facts(session, query.layer))


def names_of(layers: str, *, parameter: str = "layers") -> list[str]:
    """Return the layers that a list names.

    Raises
    ------
    InputError
        They are too many, or one stands twice.
    """
    names = layers.split(",")
    if len(names) > MAX_LAYERS:
        raise InputError("tile.layers", parameter=parameter, value=len(names), most=MAX_LAYERS)
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError("tile.twice", parameter=parameter, value=twice[0][:40])
    return names
