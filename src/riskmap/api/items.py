"""Features: pages and single ones (OGC API - Features parts 1 to 3)."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api import formats, html
from riskmap.api.asking import ask, check_datum
from riskmap.api.conditions import etag, not_modified
from riskmap.api.deps import Ctx, Language, Who, integer, parameters
from riskmap.api.html_features import item_page, items_page
from riskmap.api.links import JSON, Links, address, base, cache_headers, link
from riskmap.api.query import PAGING, SHAPING, encode_keyset, read_crs
from riskmap.api.streams import Stream
from riskmap.crs.datum import Datum, read_datum
from riskmap.crs.served import ServedCrs
from riskmap.features import read
from riskmap.features.formats import HTML, JSONFG, OF_ITEM, OF_PAGE, Format, jsonfg
from riskmap.features.query import FeatureQuery
from riskmap.features.read import Neighbours

router = APIRouter(prefix="/collections/{layer_id}/items", tags=["features"])


def _system_headers(datum: Datum, crs: ServedCrs) -> dict[str, str]:
    """Say what the positions are in: a datum that no CRS names is no CRS84."""
    if datum is Datum.WGS84:
        return {"Content-Crs": f"<{crs.uri}>"}
    return {"X-Datum": datum.value}


@router.get("", summary="要素 Features", response_model=None)
async def items(layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Stream a page of features."""
    chosen = formats.choose(request, OF_PAGE)
    if chosen is HTML and (tidied := html.without_blanks(request)):
        return tidied
    layer = ctx.catalog.find(layer_id)
    query, facts = await ask(request, ctx, layer, who, "f", *SHAPING, *PAGING, *formats.OPTIONS)
    query = formats.unlimited(request, query, chosen)
    options = formats.options(request, lang)

    def links(near: Neighbours) -> Links:
        return _links(request, query, near, chosen)

    if chosen is HTML:
        return await items_page(request, ctx, who, lang, query, links)
    headers = cache_headers(
        who,
        ETag=f"W/{etag(request, who, facts.revision)}",
        **_system_headers(query.datum, query.crs),
    )
    if not_modified(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if not chosen.paged:
        return await formats.answer(ctx, request, lang, query, chosen, facts, headers, options)
    pieces = read.page(ctx.database, query, links, _form(query, chosen))
    # The first piece is awaited here: what fails before it still gets its proper status.
    first = await anext(pieces)
    return Stream(
        first,
        pieces,
        media_type=chosen.media_type,
        headers=headers,
        deadline_s=ctx.settings.stream_timeout_s,
    )


def _form(query: FeatureQuery, chosen: Format) -> read.Form:
    """Return which kind of GeoJSON it is."""
    if chosen is not JSONFG:
        return read.GEOJSON
    jsonfg.check(query)
    return jsonfg.FORM


def _links(request: Request, query: FeatureQuery, near: Neighbours, chosen: Format) -> Links:
    here = f"{base(request)}/collections/{query.layer.id}"
    found = [
        link(str(address(request)), "self", chosen.media_type),
        *formats.alternates(request, OF_PAGE, chosen),
        link(here, "collection", JSON),
    ]
    url = address(request).remove_query_params(["offset", "cursor"])
    for rel, start in (("next", near.after), ("prev", near.before)):
        if start is not None:
            cursor = encode_keyset(start, query.order)
            found.append(link(str(url.include_query_params(cursor=cursor)), rel, chosen.media_type))
    if query.after is None and query.offset:
        before = max(0, query.offset - (query.limit or query.offset))
        found.append(link(str(url.include_query_params(offset=before)), "prev", chosen.media_type))
    return found


@router.get("/{feature_id}", summary="一个要素 One feature", response_model=None)
async def item(
    layer_id: str, feature_id: str, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Return one feature by its id."""
    chosen = formats.choose(request, OF_ITEM)
    layer = ctx.catalog.find(layer_id)
    found = parameters(request, {"crs", "datum", "f"})
    number = integer(feature_id, "feature_id", least=0, most=2**63 - 1)
    async with ctx.database.read_async() as session:
        facts = await read.facts(session, layer)
        query = FeatureQuery(
            layer=layer,
            restricted=who.reads_restricted,
            feature_id=number,
            datum=read_datum(found.get("datum")),
            crs=read_crs(found.get("crs"), "crs", facts.local_srid),
        )
        check_datum(query.datum, facts)
        if chosen is HTML:
            return await item_page(request, ctx, who, lang, query)
        text, version = await read.feature(session, query, _form(query, chosen))
    headers = cache_headers(
        who, ETag=etag(request, who, version), **_system_headers(query.datum, query.crs)
    )
    if not_modified(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(
        _linked(text, request, query, chosen), media_type=chosen.media_type, headers=headers
    )


def _linked(text: bytes, request: Request, query: FeatureQuery, chosen: Format) -> bytes:
    """Put the links that a feature by itself has at its end."""
    here = f"{base(request)}/collections/{query.layer.id}"
    links = [
        link(str(address(request)), "self", chosen.media_type),
        *formats.alternates(request, OF_ITEM, chosen),
        link(here, "collection", JSON),
    ]
    return text.removesuffix(b"}") + b',"links":' + orjson.dumps(links) + b"}"
