"""Features created, replaced, patched and deleted (OGC API - Features part 4).

The endpoints are plain functions: FastAPI runs them in threads, for a polygon of a megabyte takes
its time to check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from riskmap.access.keys import Caller, KeyRole
from riskmap.api.deps import Ctx, Who, integer, needs, parameters
from riskmap.api.links import GEOJSON, JSON, base, cache_headers
from riskmap.api.preconditions import if_match, version_tag
from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum, read_datum
from riskmap.db.sessions import Actor, WriteSession
from riskmap.errors import InputError, MediaTypeError
from riskmap.ingest.edit import (
    Edited,
    change_feature,
    create_feature,
    delete_feature,
    representation,
)
from riskmap.ingest.edit_body import Body, read_body

router = APIRouter(prefix="/collections/{layer_id}/items", tags=["edits"])

_PART4: Final = "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf"
CONFORMANCE: Final = (
    f"{_PART4}/create-replace-delete",
    f"{_PART4}/update",
    f"{_PART4}/optimistic-locking-etags",
    f"{_PART4}/return-resource-representation-in-response",
    f"{_PART4}/features",
)
PATHS: Final = re.compile(r"/collections/[^/]+/items(/[^/]+)?")
# A border of 25,000 vertices with seven decimals, 24 bytes each, is 600 kB.
MAX_BODY_BYTES: Final = 1024 * 1024
WARNINGS: Final = "X-Riskmap-Warnings"

_FEATURE_MEDIA: Final = (GEOJSON, JSON)
_PATCH_MEDIA: Final = ("application/merge-patch+json", *_FEATURE_MEDIA)
_READING: Final = ("GET", "HEAD", "OPTIONS")
_MOST_ID: Final = 2**63 - 1

Editor = Annotated[Caller, Depends(needs(KeyRole.EDITOR))]


async def _content(request: Request) -> bytes:
    return await request.body()


# Behind `Editor` in each signature: nobody else's megabyte is read.
Content = Annotated[bytes, Depends(_content)]


def _header(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    said = {"description": about, "schema": schema}
    return {"name": name, "in": "header", "required": False, **said}


_CONTENT_CRS: Final = _header(
    "Content-Crs",
    {"type": "string"},
    "请求体的坐标系 | CRS of the body, <URI>: one that the collection serves; default CRS84",
)
_PREFER: Final = _header(
    "Prefer",
    {"type": "string", "enum": ["return=minimal", "return=representation"]},
    "是否返回要素 | whether the feature is wanted back",
)
_FEATURE: Final = {
    "type": "object",
    "required": ["type", "geometry", "properties"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]},
        "geometry": {"type": "object"},
        "properties": {"type": "object"},
    },
}


def _described(media: tuple[str, ...], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what the API's description says of a body that is read by hand, and its headers."""
    content = {one: {"schema": schema} for one in media}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [_CONTENT_CRS, _PREFER],
    }


@router.options("", summary="可用方法 Methods of a layer", response_model=None)
def layer_options(layer_id: str, request: Request, ctx: Ctx, who: Who) -> Response:
    """Say which methods the caller may use, and what a body may be."""
    ctx.catalog.find(layer_id)
    parameters(request, set())
    if not who.has(KeyRole.EDITOR):
        return _allowed(who, *_READING)
    return _allowed(who, *_READING, "POST", accept={"Accept-Post": _FEATURE_MEDIA})


@router.options("/{feature_id}", summary="可用方法 Methods of a feature", response_model=None)
def feature_options(
    layer_id: str, feature_id: str, request: Request, ctx: Ctx, who: Who
) -> Response:
    """Say which methods the caller may use, and what a patch may be."""
    ctx.catalog.find(layer_id)
    parameters(request, set())
    _number(feature_id)
    if not who.has(KeyRole.EDITOR):
        return _allowed(who, *_READING)
    accept = {"Accept-Patch": _PATCH_MEDIA}
    return _allowed(who, *_READING, "PUT", "PATCH", "DELETE", accept=accept)


def _allowed(
    who: Caller, *methods: str, accept: Mapping[str, tuple[str, ...]] | None = None
) -> Response:
    taken = {name: ", ".join(media) for name, media in (accept or {}).items()}
    return Response(headers=cache_headers(who, Allow=", ".join(methods), **taken))


@router.post(
    "",
    summary="新建要素 Create a feature",
    response_model=None,
    status_code=201,
    openapi_extra=_described(_FEATURE_MEDIA, _FEATURE),
)
def create(layer_id: str, request: Request, ctx: Ctx, who: Editor, content: Content) -> Response:
    """Store a new feature; the database gives its id."""
    layer = ctx.catalog.find(layer_id)
    body = _body(request, content, _FEATURE_MEDIA)
    with ctx.database.write(_actor(request, who)) as session:
        made = create_feature(session, layer, body)
        shown = _shown(request, session, layer, made)
    here = f"{base(request)}/collections/{layer.id}/items/{made.feature_id}"
    return _answer(who, made, shown, 201, Location=here)


@router.put(
    "/{feature_id}",
    summary="替换要素 Replace a feature",
    response_model=None,
    status_code=204,
    openapi_extra=_described(_FEATURE_MEDIA, _FEATURE),
)
def replace(
    layer_id: str, feature_id: str, request: Request, ctx: Ctx, who: Editor, content: Content
) -> Response:
    """Replace a feature as a whole; If-Match says which version it was."""
    body = _body(request, content, _FEATURE_MEDIA)
    return _changed(request, ctx, who, (layer_id, feature_id), body, patch=False)


@router.patch(
    "/{feature_id}",
    summary="修改要素 Change a feature",
    response_model=None,
    status_code=204,
    openapi_extra=_described(_PATCH_MEDIA, {"type": "object"}),
)
def patch(
    layer_id: str, feature_id: str, request: Request, ctx: Ctx, who: Editor, content: Content
) -> Response:
    """Lay a merge patch (RFC 7396) over a feature; If-Match says which version it was."""
    body = _body(request, content, _PATCH_MEDIA)
    return _changed(request, ctx, who, (layer_id, feature_id), body, patch=True)


def _changed(
    request: Request, ctx: Ctx, who: Caller, where: tuple[str, str], body: Body, *, patch: bool
) -> Response:
    layer, number = ctx.catalog.find(where[0]), _number(where[1])
    expected = if_match(request)
    with ctx.database.write(_actor(request, who)) as session:
        made = change_feature(session, layer, number, body, expected=expected, patch=patch)
        shown = _shown(request, session, layer, made)
    return _answer(who, made, shown, 204 if shown is None else 200)


@router.delete(
    "/{feature_id}",
    summary="删除要素 Delete a feature",
    response_model=None,
    status_code=204,
)
def remove(layer_id: str, feature_id: str, request: Request, ctx: Ctx, who: Editor) -> Response:
    """Delete a feature; If-Match says which version it was. The history keeps it."""
    layer = ctx.catalog.find(layer_id)
    parameters(request, set())
    number, expected = _number(feature_id), if_match(request)
    with ctx.database.write(_actor(request, who)) as session:
        delete_feature(session, layer, number, expected=expected)
    return Response(status_code=204, headers=cache_headers(who))


def _number(feature_id: str) -> int:
    return integer(feature_id, "feature_id", least=0, most=_MOST_ID)


def _actor(request: Request, who: Caller) -> Actor:
    return Actor(who.name, request.scope.get("riskmap.request_id"))


def _body(request: Request, content: bytes, taken: tuple[str, ...]) -> Body:
    """Read what was sent and what is said of it: media type, datum, coordinate system."""
    found = parameters(request, {"datum"})
    _check_media(request, taken)
    # In angle brackets, as Part 2 writes it, or bare, as people do.
    crs = request.headers.get("content-crs", "").strip()
    if crs.startswith("<") and crs.endswith(">"):
        crs = crs[1:-1]
    return Body(
        content=read_body(content),
        datum=read_datum(found["datum"]) if "datum" in found else None,
        content_crs=crs if "content-crs" in request.headers else None,
    )


def _check_media(request: Request, taken: tuple[str, ...]) -> None:
    """Refuse a body that does not say what it is (400, Part 4), or is something else (415)."""
    known = ", ".join(taken)
    text = request.headers.get("content-type", "").strip()
    if not text:
        raise InputError("edit.media.missing", parameter="Content-Type", known=known)
    media, _, rest = text.partition(";")
    charset = re.search(r'charset="?([^\s";]+)', rest.lower())
    if media.strip().lower() not in taken or (charset and charset[1] not in ("utf-8", "utf8")):
        raise MediaTypeError("edit.media", parameter="Content-Type", value=text[:80], known=known)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise MediaTypeError(
            "edit.media", parameter="Content-Encoding", value=encoding[:40], known="identity"
        )


def _shown(request: Request, session: WriteSession, layer: Layer, made: Edited) -> bytes | None:
    """Return the feature where the caller prefers to have it (RFC 7240), else None."""
    preferences = ",".join(request.headers.getlist("prefer")).split(",")
    wanted = {part.partition(";")[0].replace('"', "").replace(" ", "") for part in preferences}
    if "return=representation" not in wanted:
        return None
    return representation(session, layer, made)


def _answer(who: Caller, made: Edited, shown: bytes | None, status: int, **more: str) -> Response:
    headers = {"ETag": version_tag(made.version), **more}
    if made.mismatches:
        # In a header, since most of these answers have no body, and a feature has no place for it.
        headers[WARNINGS] = ", ".join(
            f"admin_code; stated={quote(one.stated)}; by-position={quote(one.by_position)}"
            for one in made.mismatches
        )
    if shown is None:
        return Response(status_code=status, headers=cache_headers(who, **headers))
    headers["Preference-Applied"] = "return=representation"
    if made.system.datum is Datum.WGS84:
        headers["Content-Crs"] = f"<{made.system.crs.uri}>"
    else:
        headers["X-Datum"] = made.system.datum.value
    return Response(shown, status, cache_headers(who, **headers), media_type=GEOJSON)
