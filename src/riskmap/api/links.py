"""Links and headers that the resources share."""

from __future__ import annotations

from typing import Final, cast

from fastapi import Request
from starlette.datastructures import URL

from riskmap.access.keys import Caller
from riskmap.api.context import Context

GEOJSON: Final = "application/geo+json"
JSON: Final = "application/json"
HTML: Final = "text/html"
SCHEMA: Final = "application/schema+json"

Links = list[dict[str, str]]


def base(request: Request) -> str:
    """Return the service's own address without a slash at its end.

    As the caller reached it, unless the settings say where it is reached: behind a proxy the
    request has the address of the proxy's inner side.
    """
    public = cast(Context, request.app.state.context).settings.public_url
    return public or str(request.base_url).rstrip("/")


def address(request: Request) -> URL:
    """Return the address of what is asked for, with its query, as callers reach it."""
    query = request.url.query
    return URL(f"{base(request)}{request.url.path}" + (f"?{query}" if query else ""))


def link(href: str, rel: str, media: str, title: str | None = None) -> dict[str, str]:
    """Return a link object."""
    found = {"href": href, "rel": rel, "type": media}
    return found if title is None else {**found, "title": title}


def cache_headers(who: Caller, **more: str) -> dict[str, str]:
    """Say who may cache an answer: what a key unlocked belongs to its holder alone."""
    kept = "public, no-cache" if who.role is None else "private, no-store"
    return {
        "Cache-Control": kept,
        "Vary": "Accept, Authorization, X-API-Key, Accept-Language",
        **more,
    }
