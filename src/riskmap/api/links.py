"""Links and headers that the resources share."""

from __future__ import annotations

from fastapi import Request

from riskmap.access.keys import Caller

GEOJSON = "application/geo+json"
JSON = "application/json"


def base(request: Request) -> str:
    """Return the service's own address, as the caller reached it, without a slash at its end."""
    return str(request.base_url).rstrip("/")


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
