"""The page at /: the built HTML with its texts in both languages, under a strict policy."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from riskmap.i18n import LANGS, catalogue, say

# What npm builds; it comes with the wheel and is not in the repository.
BUILT: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"
_MARKER: Final = "<!--texts-->"
_COMMAND: Final = "make web"


# Nothing from another host, no inline script, no inline style: MapLibre styles its elements
# through the CSSOM, which the policy does not touch. It draws its sprites from blobs.
# The exceptions are what somebody configured: an archive of tiles and a raster base elsewhere.
def policy(*, archive: str | None = None, raster: str | None = None) -> str:
    """Return the policy.

    Parameters
    ----------
    archive
        Address of an archive of tiles, or the name of one of ours.
    raster
        Origin of a raster base.
    """
    elsewhere = archive if archive is not None and archive.startswith("https://") else None
    read = "" if elsewhere is None else f" https://{urlsplit(elsewhere).netloc}"
    drawn = "" if raster is None else f" {raster}"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            f"connect-src 'self'{read}{drawn}",
            f"img-src 'self' data: blob:{drawn}",
            "style-src 'self'",
            "font-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def headers_with(policy: str) -> dict[str, str]:
    """Return the headers of the page and its files.

    A worker obeys the policy that came with its own script, so that files carry it too.
    """
    return {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}


POLICY: Final = policy()
HEADERS: Final = headers_with(POLICY)


class PageRoute(Route):
    """The page at /, for whoever wants HTML; all others get the service's JSON from there.

    Parameters of the query are left alone: messengers add theirs to a link that is passed on.
    """

    def __init__(self, folder: Path = BUILT, *, policy: str = POLICY) -> None:
        async def endpoint(request: Request) -> Response:
            known = request.headers.get("if-none-match")
            return await run_in_threadpool(answer, folder, known, policy)

        super().__init__("/", endpoint, methods=["GET"], include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match where HTML is wanted."""
        if scope["type"] != "http" or not wants_html(Request(scope)):
            return Match.NONE, {}
        return super().matches(scope)


def wants_html(request: Request) -> bool:
    """Say whether a reader wants the page: by `f`, else as a browser's Accept tells."""
    form = request.query_params.get("f")
    return form == "html" or (form is None and "text/html" in request.headers.get("accept", ""))


def answer(folder: Path, known: str | None = None, policy: str = POLICY) -> Response:
    """Return the page, or 304 where the reader has it already."""
    try:
        html = (folder / INDEX).read_text(encoding="utf-8").replace(_MARKER, _texts(), 1)
    except FileNotFoundError:
        html = _not_built()
    body = html.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**headers_with(policy), "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept"}
    # A proxy that compresses makes the tag weak: W/"...".
    if known is not None and etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="text/html", headers=headers)


@cache
def _texts() -> str:
    """Return the page's words as JSON in a script element that does not run."""
    entries = {key: texts for key, texts in catalogue().items() if key.startswith("page.")}
    words = {lang: {key: texts[lang] for key, texts in entries.items()} for lang in LANGS}
    # Within a script element "<" alone can end it; JSON writes it as an escape as well.
    text = json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="texts">{text}</script>'


def _not_built() -> str:
    """Say what to run, in both languages: this page does not know yet how to choose."""
    paragraphs = "".join(
        f'<section lang="{lang}"><p>{escape(say("web.not_built", lang, command=_COMMAND))}</p>'
        f'<ul><li><a href="/collections">{escape(say("web.collections", lang))}</a></li>'
        f'<li><a href="/openapi.json">{escape(say("web.openapi", lang))}</a></li></ul></section>'
        for lang in LANGS
    )
    titles = [escape(say("landing.title", lang)) for lang in LANGS]
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{' | '.join(titles)}</title>"
        f"<main><h1>{'<br>'.join(titles)}</h1>{paragraphs}</main></html>"
    )
