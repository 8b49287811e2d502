"""Entity tags: what an answer was made of, and whether the reader has it already."""

from __future__ import annotations

import hashlib

from fastapi import Request

from riskmap import __version__
from riskmap.access.keys import Caller
from riskmap.api.deps import language


def etag(request: Request, who: Caller, revision: int | None) -> str:
    """Return the tag of an answer that a revision (or a version) and the request decide.

    The number comes first, so that an editor can say it in If-Match; then what else the text
    depends on: address and parameters, media type, language, what the caller may read, and the
    program. A page, which bears the time at which it was made, has it as a weak one.
    """
    headers = request.headers
    parts = (
        __version__,
        str(request.url),
        headers.get("accept", ""),
        language(request),
        str(who.reads_restricted),
    )
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:8]
    return f'"{revision or 0}-{digest}"'


def not_modified(request: Request, tag: str) -> bool:
    """Say whether the reader has this answer: If-None-Match, compared weakly (RFC 9110 13.1.2)."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    tags = (one.strip().removeprefix("W/") for one in known.split(","))
    return known.strip() == "*" or tag.removeprefix("W/") in tags
