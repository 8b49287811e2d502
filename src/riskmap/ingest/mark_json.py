"""Features copied as they are written, with row number and reason among the properties."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

_ADDED: Final = ("riskmap_row", "riskmap_reason")
_DECODER: Final = json.JSONDecoder(parse_constant=str)
_SPACE: Final = " \t\n\r"


def marked(texts: Iterable[str], reasons: Iterator[tuple[int, str]]) -> Iterator[str]:
    """Yield the texts whose numbers (from 1) are among the reasons, each marked with its reason.

    Reads the texts to their end: what stands behind the last one may be wanted too.
    """
    following = next(reasons, None)
    for row, text in enumerate(texts, 1):
        while following is not None and following[0] < row:
            following = next(reasons, None)
        if following is not None and following[0] == row:
            yield mark(text, row, following[1])
            following = next(reasons, None)


def mark(text: str, row: int, reason: str) -> str:
    """Return a feature with two properties more, every other character as it was.

    What is no feature, or no JSON at all, becomes the property `riskmap_text` of one.
    """
    added = json.dumps(dict(zip(_ADDED, (row, reason), strict=True)), ensure_ascii=False)[1:-1]
    members = _members(text.strip(_SPACE))
    properties = next((m for m in members or () if m[0] == "properties"), None)
    if members is None or (properties is not None and not isinstance(properties[1], dict | None)):
        kept = json.dumps(text, ensure_ascii=False)
        return (
            f'{{"type":"Feature","properties":{{"riskmap_text":{kept},{added}}},"geometry":null}}'
        )
    inner = _members(properties[2]) if properties is not None else None
    kept = ",".join(member[3] for member in inner or () if member[0] not in _ADDED)
    marked_properties = f'"properties":{{{kept}{"," if kept else ""}{added}}}'
    parts = [marked_properties if m is properties else m[3] for m in members]
    if properties is None:
        parts.append(marked_properties)
    return "{" + ",".join(parts) + "}"


def _members(text: str) -> list[tuple[str, Any, str, str]] | None:
    """Return an object's members: name, value, the value as written, the whole as written."""
    at = 0

    def past(wanted: str) -> int:
        end = at
        while end < len(text) and text[end] in _SPACE:
            end += 1
        if end < len(text) and text[end] in wanted:
            return end + 1
        return -1

    if (at := past("{")) < 0:
        return None
    found: list[tuple[str, Any, str, str]] = []
    if past("}") > 0:
        return found
    try:
        while True:
            while text[at : at + 1] and text[at] in _SPACE:
                at += 1
            start = at
            name, at = _DECODER.raw_decode(text, at)
            if not isinstance(name, str) or (at := past(":")) < 0:
                return None
            while text[at : at + 1] and text[at] in _SPACE:
                at += 1
            begin = at
            value, at = _DECODER.raw_decode(text, at)
            found.append((name, value, text[begin:at], text[start:at]))
            if past("}") > 0:
                return found
            if (at := past(",")) < 0:
                return None
    except (ValueError, RecursionError):
        return None
