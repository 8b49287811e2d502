"""The versions of a feature, and putting it back to one of them.

Plain functions: FastAPI runs them in threads.
"""

from __future__ import annotations

from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.access.keys import Caller, KeyRole
from riskmap.api.deps import Ctx, Who, decode_cursor, encode_cursor, integer, needs, parameters
from riskmap.api.links import address
from riskmap.api.preconditions import if_match, version_tag
from riskmap.db.sessions import Actor
from riskmap.features.history import MAX_VERSIONS, versions
from riskmap.ingest.undo import PATIENCE_S, restore_feature

router = APIRouter(prefix="/collections/{layer_id}/items/{feature_id}", tags=["history"])

_MOST: Final = 2**63 - 1
_MOST_VERSION: Final = 2**31 - 1


class RestoreBody(BaseModel):
    """Which version a feature is to be put back to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(ge=1, le=_MOST_VERSION, description="a superseded version")


def _json(body: object, who: Caller, **headers: str) -> Response:
    kept = "public, no-cache" if who.role is None else "private, no-store"
    vary = "Authorization, X-API-Key, Accept-Language"
    return Response(
        orjson.dumps(body),
        media_type="application/json",
        headers={"Cache-Control": kept, "Vary": vary, **headers},
    )


@router.get("/history", summary="要素的历史版本 Versions of a feature", response_model=None)
def history(
    layer_id: str,
    feature_id: str,
    request: Request,
    ctx: Ctx,
    who: Who,
    limit: str | None = None,
    cursor: str | None = None,
) -> Response:
    """List the versions, the newest first: when, from which import and, with a key, by whom."""
    del limit, cursor  # declared for OpenAPI, read below
    layer = ctx.catalog.find(layer_id)
    found = parameters(request, {"limit", "cursor"})
    most = integer(found.get("limit", "20"), "limit", least=1, most=MAX_VERSIONS)
    with ctx.database.read() as session:
        page = versions(
            session,
            layer,
            integer(feature_id, "feature_id", least=0, most=_MOST),
            restricted=who.reads_restricted,
            limit=most + 1,
            below=decode_cursor(found["cursor"]) if "cursor" in found else None,
        )
    links = [{"href": str(address(request)), "rel": "self", "type": "application/json"}]
    if len(page) > most:
        following = address(request).include_query_params(
            cursor=encode_cursor(page[most - 1].version)
        )
        links.append({"href": str(following), "rel": "next", "type": "application/json"})
    named = who.role is not None
    return _json(
        {"versions": [one.to_json(named=named) for one in page[:most]], "links": links}, who
    )


@router.get("/history/{version}", summary="一个历史版本 One version", response_model=None)
def version(
    layer_id: str, feature_id: str, version: str, request: Request, ctx: Ctx, who: Who
) -> Response:
    """Return one version of a feature."""
    layer = ctx.catalog.find(layer_id)
    parameters(request, set())
    with ctx.database.read() as session:
        (found, *_) = versions(
            session,
            layer,
            integer(feature_id, "feature_id", least=0, most=_MOST),
            restricted=who.reads_restricted,
            limit=1,
            only=integer(version, "version", least=0, most=_MOST_VERSION),
        )
    return _json(found.to_json(named=who.role is not None), who)


@router.post("/restore", summary="恢复到历史版本 Back to a version", response_model=None)
def restore(
    layer_id: str,
    feature_id: str,
    body: RestoreBody,
    request: Request,
    ctx: Ctx,
    who: Annotated[Caller, Depends(needs(KeyRole.EDITOR))],
) -> Response:
    """Put a feature back to a superseded version, a deleted one with its id."""
    layer = ctx.catalog.find(layer_id)
    parameters(request, set())
    number = integer(feature_id, "feature_id", least=0, most=_MOST)
    actor = Actor(who.name, request.scope.get("riskmap.request_id"))
    with ctx.database.write(actor) as session:
        became = restore_feature(
            session, layer, number, body.version, if_match=if_match(request), patience_s=PATIENCE_S
        )
        (found, *_) = versions(session, layer, number, restricted=True, limit=1, only=became)
    return _json(found.to_json(named=True), who, ETag=version_tag(became))
