"""Content codings of tiles: which one a client takes, and how a tile is packed, once."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

import brotli
import zstandard

IDENTITY: Final = "identity"
# In the order of our liking: by size, since a tile is packed once and sent many times. Brotli at
# level 5 and zstd at level 9 take some 3 ms for 100 kB; brotli's level 11 a hundred times that.
CODINGS: Final = ("br", "zstd", "gzip")
_BROTLI_QUALITY: Final = 5
_ZSTD_LEVEL: Final = 9
_GZIP_LEVEL: Final = 6
_GZIP_WINDOW: Final = 31  # 15 bits, and a gzip header around them
# Below this a packet is a packet either way.
LEAST_BYTES: Final = 256


# A browser's header is some 30 bytes; the answers to longer ones are not remembered, since a client
# chooses their length.
_MOST_HEADER: Final = 256


def accepted(header: str | None) -> str:
    """Return the coding to send, by Accept-Encoding (RFC 9110 section 12.5.3).

    Of those that a client wants equally much the first of `CODINGS`; identity where it takes none.
    """
    header = header or ""
    return _known(header) if len(header) <= _MOST_HEADER else _accepted(header)


def accepted_bytes(header: bytes) -> str:
    """Return what `accepted` does, for a header as it came."""
    return _known_bytes(header) if len(header) <= _MOST_HEADER else _accepted(_text(header))


def _accepted(header: str) -> str:
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        name, weight = name.strip(), 1.0
        key, _, value = parameters.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        if name:
            weights["gzip" if name == "x-gzip" else name] = weight
    others = weights.get("*", 0.0)
    best = max(CODINGS, key=lambda one: weights.get(one, others))
    return best if weights.get(best, others) > 0 else IDENTITY


_known = lru_cache(maxsize=1024)(_accepted)


def _text(header: bytes) -> str:
    return header.decode("latin-1")


@lru_cache(maxsize=1024)
def _known_bytes(header: bytes) -> str:
    return _accepted(_text(header))


def pack(content: bytes, coding: str) -> bytes:
    """Return the content in a coding; the same bytes give the same bytes."""
    if coding == "br":
        return bytes(brotli.compress(content, quality=_BROTLI_QUALITY))
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)
    if coding == "gzip":
        return zlib.compress(content, _GZIP_LEVEL, _GZIP_WINDOW)
    return content
