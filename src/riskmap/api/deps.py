"""From raw requests to what the rooms below understand: the caller, boxes, numbers.

FastAPI ignores unknown parameters and answers 422 to bad ones; OGC asks for 400 in both cases, so
parameters are read here, and an error names the one at fault.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Collection
from typing import Annotated, cast

from fastapi import Depends, Request

from riskmap.access.keys import ANONYMOUS, Caller, KeyRole
from riskmap.api.context import Context
from riskmap.errors import ForbiddenError, InputError, UnauthenticatedError
from riskmap.i18n import LANGS, Lang, preferred
from riskmap.units import Bbox

# Python's own int() and float() would also take 1_000, １０ and blanks around them.
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,32}(\.[0-9]{0,32})?|\.[0-9]{1,32})([eE][+-]?[0-9]{1,3})?")
# PostgreSQL's bigint.
_INT8 = 2**63


def context(request: Request) -> Context:
    """Return the running service."""
    return cast(Context, request.app.state.context)


def language(request: Request) -> Lang:
    """Return the reader's language: by `lang`, else as Accept-Language tells."""
    asked = request.query_params.get("lang")
    if asked in LANGS:
        return asked
    return preferred(request.headers.get("accept-language"))


async def caller(request: Request, ctx: Annotated[Context, Depends(context)]) -> Caller:
    """Return who asks: the holder of the key in `Authorization: Bearer` or `X-API-Key`.

    A key that is wrong is refused, not treated as none: its holder would miss fields unawares.
    """
    header = request.headers.get("authorization")
    token, source = request.headers.get("x-api-key"), "X-API-Key"
    if header is not None:
        source = "Authorization"
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError("key.wrong", parameter=source)
    if token is None:
        return ANONYMOUS
    return await ctx.keys.authenticate(token.strip(), parameter=source)


class Needs:
    """A dependency that lets only some roles (and admins) through.

    A class, so that the API's description can tell which routes need a key.
    """

    def __init__(self, *roles: KeyRole) -> None:
        self._roles = roles

    async def __call__(self, who: Annotated[Caller, Depends(caller)]) -> Caller:
        """Return the caller.

        Raises
        ------
        UnauthenticatedError, ForbiddenError
            It has no key, or one whose role does not reach.
        """
        names = ", ".join(dict.fromkeys([*self._roles, KeyRole.ADMIN]))
        if who.role is None:
            raise UnauthenticatedError("key.needed", roles=names)
        if not who.has(*self._roles):
            raise ForbiddenError("key.role", role=who.role, roles=names)
        return who


def needs(*roles: KeyRole) -> Needs:
    """Return a dependency that lets only these roles (and admins) through."""
    return Needs(*roles)


Ctx = Annotated[Context, Depends(context)]
Who = Annotated[Caller, Depends(caller)]
Language = Annotated[Lang, Depends(language)]


def parameters(request: Request, known: Collection[str]) -> dict[str, str]:
    """Return the query's parameters. Every resource takes `lang`, which `language` reads.

    Raises
    ------
    InputError
        One is unknown or stands twice.
    """
    found: dict[str, str] = {}
    known = {*known, "lang"}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise InputError("parameter.unknown", parameter=name, known=", ".join(sorted(known)))
        if name in found:
            raise InputError("parameter.twice", parameter=name)
        if "\x00" in value:
            raise InputError("parameter.value", parameter=name, value="\\0", expected="text")
        if name == "lang" and value not in LANGS:
            expected = ", ".join(LANGS)
            raise InputError("parameter.value", parameter=name, value=value[:40], expected=expected)
        found[name] = value
    return found


def integer(text: str, parameter: str, *, least: int, most: int) -> int:
    """Read a whole number within inclusive bounds."""
    expected = f"{least} … {most}"
    value = int(text) if _INTEGER.fullmatch(text) else None
    if value is None or not least <= value <= most:
        raise InputError("parameter.value", parameter=parameter, value=text[:40], expected=expected)
    return value


def number(text: str, parameter: str) -> float:
    """Read a finite number."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InputError("parameter.number", parameter=parameter, value=text[:40])
    return value


def bbox(text: str) -> Bbox:
    """Read `west,south,east,north`, or the six numbers of a box with heights.

    Raises
    ------
    InputError
        Not four or six finite numbers, swapped corners, or outside the world.
    """
    parts = text.split(",")
    if len(parts) not in (4, 6):
        raise InputError("bbox.shape", parameter="bbox", value=text[:80])
    values = [number(part, "bbox") for part in parts]
    if len(values) == 6:
        values = [values[0], values[1], values[3], values[4]]
    box = Bbox(*values)
    if box.west > box.east or box.south > box.north:
        raise InputError("bbox.swapped", parameter="bbox", value=text[:80])
    if not (box.west >= -180 and box.east <= 180 and box.south >= -90 and box.north <= 90):
        raise InputError("bbox.world", parameter="bbox", value=text[:80])
    return box


def encode_cursor(after: int) -> str:
    """Make the opaque cursor of the page that starts after an id."""
    return base64.urlsafe_b64encode(str(after).encode()).decode().rstrip("=")


def decode_cursor(text: str) -> int:
    """Read a cursor of ours.

    Raises
    ------
    InputError
        It is none.
    """
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value = int(decoded) if _INTEGER.fullmatch(decoded.decode()) else -1
    except (ValueError, binascii.Error):
        value = -1
    if not 0 <= value < _INT8:
        raise InputError("parameter.cursor", parameter="cursor", value=text[:40])
    return value
