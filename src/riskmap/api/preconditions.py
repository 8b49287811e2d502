"""If-Match: which versions of a feature a change may be made from."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request

from riskmap.errors import InputError

# An entity tag and a list of them (RFC 9110 sections 8.8.3 and 13.1.1).
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_EACH: Final = re.compile(_TAG)
# A version, and what else the representation depends on. Strictly, a weak tag never matches
# If-Match: bytes may differ. Here bytes do not matter, the version is all that is compared; and a
# proxy that compresses makes the tag weak, or hangs something on it ("7-1a2b3c4d-gzip").
_OURS: Final = re.compile(r'(?:W/)?"([0-9]{1,10})(?:-[^"]*)?"')
_BARE: Final = re.compile(r"[0-9]{1,10}")


def version_tag(version: int) -> str:
    """Return the entity tag that answers a change.

    It is no tag of any representation (those have more than the version): a cache cannot mistake
    the answer to a PUT, whose body it may keep, for what a GET would bring (RFC 9110 9.3.4).
    """
    return f'"{version}"'


def if_match(request: Request) -> frozenset[int] | None:
    """Return the versions that If-Match names; None when it is missing or `*`, and names none.

    Tags of others are well formed and match no version.

    Raises
    ------
    InputError
        It is no list of entity tags.
    """
    given = request.headers.getlist("if-match")
    tags = ", ".join(given).strip()
    if not given or tags == "*":
        return None
    if _BARE.fullmatch(tags):  # people with curl
        return frozenset((int(tags),))
    if not _TAGS.fullmatch(tags):
        raise InputError("parameter.value", parameter="If-Match", value=tags[:40], expected='"3"')
    ours = map(_OURS.fullmatch, _EACH.findall(tags))
    return frozenset(int(found[1]) for found in ours if found is not None)
