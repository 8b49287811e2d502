"""Vector tiles."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from riskmap.api.deps import Ctx, Who, feature_query, integer
from riskmap.tiles.read import check_address, render

router = APIRouter(tags=["tiles"])

MVT = "application/vnd.mapbox-vector-tile"


@router.get("/tiles/{layer_id}/{z}/{x}/{y}.mvt", summary="矢量瓦片 Vector tile")
async def tile(
    layer_id: str, z: str, x: str, y: str, request: Request, ctx: Ctx, who: Who
) -> Response:
    """Return one tile; 204 when nothing is in it. The filters are those of the items."""
    layer = ctx.catalog.find(layer_id)
    address = tuple(
        integer(text, name, least=0, most=2**31) for name, text in (("z", z), ("x", x), ("y", y))
    )
    check_address(*address)
    query = feature_query(request, layer, who)
    async with ctx.database.read_async() as session:
        found = await render(session, query, *address)
    headers = {
        "Cache-Control": "public, no-cache" if who.role is None else "private, no-store",
        "Vary": "Authorization, X-API-Key",
    }
    if found.dropped:
        headers["X-Riskmap-Dropped"] = str(found.dropped)
    if not found.mvt:
        return Response(status_code=204, headers=headers)
    return Response(found.mvt, media_type=MVT, headers=headers)
