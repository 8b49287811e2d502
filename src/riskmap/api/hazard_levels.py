"""Levels of major hazard sources, computed beside the filed ones: for holders of a key.

With one chemical S or R gives its quantity away, and so may the level: nothing of it is public.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from riskmap.access.keys import Caller, KeyRole
from riskmap.analysis.hazard_levels import hazard_levels, source_layer
from riskmap.api.deps import Ctx, decode_cursor, encode_cursor, integer, needs, parameters
from riskmap.api.deps import bbox as read_bbox
from riskmap.api.links import address
from riskmap.features.query import FeatureQuery, Keyset

router = APIRouter(prefix="/analysis/hazard-levels", tags=["analysis"])

Holder = Annotated[Caller, Depends(needs(KeyRole.READER, KeyRole.EDITOR, KeyRole.ANALYST))]
MAX_SOURCES = 1000


def _answer(body: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "private, no-store", "Vary": "Authorization, X-API-Key"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)


@router.get("", summary="重大危险源级别核对 Levels, filed and computed", response_model=None)
def levels(
    request: Request,
    ctx: Ctx,
    who: Holder,
    bbox: str | None = None,
    limit: str | None = None,
    cursor: str | None = None,
) -> Response:
    """Compute the sources of a box or of the whole city, a page at a time."""
    del bbox, limit, cursor  # declared for OpenAPI, read below
    found = parameters(request, {"bbox", "limit", "cursor"})
    most = integer(found.get("limit", str(MAX_SOURCES)), "limit", least=1, most=MAX_SOURCES)
    query = FeatureQuery(
        layer=source_layer(ctx.catalog),
        restricted=who.reads_restricted,
        bbox=read_bbox(found["bbox"]) if "bbox" in found else None,
        limit=most,
        after=Keyset((), decode_cursor(found["cursor"])) if "cursor" in found else None,
    )
    with ctx.database.read() as session:
        body, following = hazard_levels(session, ctx.catalog, query)
    links = [{"href": str(address(request)), "rel": "self", "type": "application/json"}]
    if following is not None:
        url = address(request).include_query_params(cursor=encode_cursor(following))
        links.append({"href": str(url), "rel": "next", "type": "application/json"})
    return _answer({**body, "links": links})


@router.get("/{feature_id}", summary="一个重大危险源 One source", response_model=None)
def level(feature_id: str, request: Request, ctx: Ctx, who: Holder) -> Response:
    """Compute one source by its id."""
    parameters(request, set())
    number = integer(feature_id, "feature_id", least=0, most=2**63 - 1)
    query = FeatureQuery(
        layer=source_layer(ctx.catalog),
        restricted=who.reads_restricted,
        feature_id=number,
        limit=1,
    )
    with ctx.database.read() as session:
        body, _ = hazard_levels(session, ctx.catalog, query)
    return _answer(body)
