"""Archives of tiles: PMTiles files, served by ranges of their bytes, and a list of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any, BinaryIO, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from riskmap.api.deps import Ctx, parameters
from riskmap.catalog.registry import Catalog
from riskmap.tiles.archive_format import MEDIA_TYPE
from riskmap.tiles.archive_list import SUFFIX, Archive, folder_of, listed, open_archive

router = APIRouter(tags=["archives"])

#: Where a file of the folder is served.
PATH: Final = "/archives/"
_PIECE_BYTES: Final = 256 * 1024
# One range; several are answered with the whole, as RFC 9110 section 14.2 allows.
_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")


@router.get("/archives", summary="瓦片档案 Archives of tiles", response_model=None)
def archives(request: Request, ctx: Ctx) -> Response:
    """List the archives of tiles: size, revision, zooms, time; `current` is of this schema."""
    parameters(request, set())
    found = listed(folder_of(ctx.settings.data_dir))
    body = {"archives": [_described(one, ctx.catalog) for one in found]}
    return JSONResponse(body, headers={"Cache-Control": "no-cache"})


@router.get(
    "/archives/{archive_name}.pmtiles", summary="瓦片档案文件 An archive", response_model=None
)
def archive(archive_name: str, request: Request, ctx: Ctx) -> Response:
    """Return an archive or a range of its bytes (RFC 9110 section 14)."""
    parameters(request, set())
    found, file = open_archive(folder_of(ctx.settings.data_dir), archive_name)
    headers = {"ETag": found.etag, "Accept-Ranges": "bytes", "Cache-Control": "public, no-cache"}
    given = request.headers
    known = [tag.strip().removeprefix("W/") for tag in given.get("if-none-match", "").split(",")]
    if found.etag in known or "*" in known:
        file.close()
        return Response(status_code=304, headers=headers)
    # A range is of GET alone; and of the bytes that the asker knows, if it says which (If-Range).
    wanted = None
    if not request.scope.get("riskmap.head") and given.get("if-range", found.etag) == found.etag:
        wanted = given.get("range")
    try:
        first, length, status = _range(wanted, found.size_bytes)
    except HTTPException:
        file.close()
        raise
    if status == 206:
        headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{found.size_bytes}"
    headers["Content-Length"] = str(length)
    file.seek(first)
    if request.scope.get("riskmap.head"):
        file.close()
        return Response(headers=headers, media_type=MEDIA_TYPE)
    return StreamingResponse(
        _pieces(file, length), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )


def _range(wanted: str | None, size: int) -> tuple[int, int, int]:
    """Return first byte, length and status of the answer.

    Raises
    ------
    HTTPException
        416: no byte of the range is in the file.
    """
    match = _RANGE.fullmatch(wanted or "")
    if match is None or not (match[1] or match[2]):
        return 0, size, 200
    if match[1]:
        first = int(match[1])
        last = min(int(match[2]) if match[2] else size, size - 1)
        if match[2] and int(match[2]) < first:
            return 0, size, 200  # not valid, thus none
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first > last:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"})
    return first, last - first + 1, 206


async def _pieces(file: BinaryIO, length: int) -> AsyncGenerator[bytes]:
    """Yield the next bytes of a file and close it."""
    try:
        while length > 0 and (
            piece := await asyncio.to_thread(file.read, min(length, _PIECE_BYTES))
        ):
            length -= len(piece)
            yield piece
    finally:
        file.close()


def _described(one: Archive, catalog: Catalog) -> dict[str, Any]:
    header, ours = one.header, one.ours
    return {
        "name": one.name,
        "href": f"{PATH}{one.name}{SUFFIX}",
        "bytes": one.size_bytes,
        "revision": ours.get("revision"),
        "generated_at": ours.get("generated_at"),
        "layers": ours.get("layers"),
        "zooms": None if header is None else [header.min_zoom, header.max_zoom],
        "bbox": None if header is None else list(header.bounds),
        "tiles": None if header is None else header.tiles,
        "synthetic": ours.get("synthetic"),
        "schema": ours.get("schema"),
        "current": one.is_current(catalog),
        "problem": one.problem,
    }
