"""How the resources around the features are answered: JSON with its tag, or a page for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from riskmap.api import html
from riskmap.api.conditions import not_modified
from riskmap.api.context import Context
from riskmap.api.deps import parameters
from riskmap.api.links import HTML, JSON, Links, address, link
from riskmap.catalog.spec import Text
from riskmap.i18n import Lang


def wanted(request: Request) -> str:
    """Say in which form a document is asked for: by `f`, else as a browser's Accept tells.

    Raises
    ------
    InputError
        Another parameter, or another form.
    """
    # First: whoever wants HTML is told of another parameter in HTML.
    as_html = html.wanted(request, "json")
    parameters(request, {"f"})
    return "html" if as_html else "json"


def both_forms(request: Request, media: str = JSON) -> Links:
    """Return the links from a document to itself and to its page."""
    url = address(request)
    return [
        link(str(url), "self", media),
        link(str(url.replace(query="f=html")), "alternate", HTML),
    ]


async def answer(
    request: Request,
    ctx: Context,
    lang: Lang,
    title: Text,
    body: Mapping[str, Any],
    *,
    media: str = JSON,
    headers: Mapping[str, str],
) -> Response:
    """Return a document in the form that is asked for."""
    if wanted(request) == "html":
        shown = orjson.loads(orjson.dumps(body))
        return await html.document(request, ctx, lang, title=title, body=shown, headers=headers)
    return tagged(request, body, media=media, headers=headers)


def tagged(
    request: Request,
    body: Mapping[str, Any],
    *,
    media: str = JSON,
    headers: Mapping[str, str],
) -> Response:
    """Return a document as JSON, or 304 where the reader has it.

    Its tag is that of the text: the same program makes the same text of the same revisions, and
    whatever else it depends on (the city, the caller, the language) is in it.
    """
    text = orjson.dumps(body)
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {**headers, "ETag": tag}
    if not_modified(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(text, media_type=media, headers=headers)
