"""Dates and timestamps of a filter (RFC 3339)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from riskmap.features.cql2.limits import At, fault, shown

OPEN: Final = ".."
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# The grammar has only Z; other offsets of RFC 3339 mean a moment as clearly.
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def read_date(text: str, at: At) -> date:
    """Read a date.

    Raises
    ------
    InputError
        It is none, or none that exists.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        raise fault("instant", at, found=shown(text)) from None
    raise fault("instant", at, found=shown(text))


def read_timestamp(text: str, at: At) -> datetime:
    """Read a moment and give it in UTC, to the microsecond.

    Raises
    ------
    InputError
        It is none, or none that exists.
    """
    try:
        if _TIMESTAMP.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the year 9999 with an offset lies past the calendar
        raise fault("instant", at, found=shown(text)) from None
    raise fault("instant", at, found=shown(text))


def read_instant(text: str, at: At) -> date:
    """Read a date or a timestamp, whichever it looks like.

    Raises
    ------
    InputError
        It is neither.
    """
    return read_date(text, at) if len(text) <= len("2026-01-31") else read_timestamp(text, at)
