"""The `datetime` parameter: instants, intervals with open ends, durations (RFC 3339, ISO 8601)."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from riskmap.errors import InputError
from riskmap.features.query import Interval

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})W)?(?:(\d{1,7})D)?"
    r"(?:T(?=.)(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,6}))?S)?)?",
    re.ASCII,
)
_OPEN: Final = ("", "..")
EXPECTED: Final = (
    "2026-11-23T08:00:00Z, 2026-11-23, start/end, ../end, start/.., start/P7D, P7D/end"
)


def read_interval(text: str, *, parameter: str = "datetime") -> Interval:
    """Read an instant, a day or an interval.

    A day stands for all of it, in UTC: `2026-11-01/2026-11-02` ends with the second day.

    Raises
    ------
    InputError
        It is none, both ends are open, or the end lies before the start.
    """
    bad = InputError("parameter.value", parameter=parameter, value=text[:80], expected=EXPECTED)
    parts = text.split("/")
    try:
        if len(parts) == 1:
            return _whole(parts[0])
        if len(parts) != 2 or all(part in _OPEN for part in parts):
            raise bad
        first, last = parts
        if last.startswith("P"):
            start = _whole(first).start
            found = Interval(start, _add(start, last, 1))
        elif first.startswith("P"):
            end = _whole(last).end
            found = Interval(_add(end, first, -1), end)
        else:
            found = Interval(
                None if first in _OPEN else _whole(first).start,
                None if last in _OPEN else _whole(last).end,
            )
    except (ValueError, OverflowError):
        raise bad from None
    if found.start is not None and found.end is not None and found.start > found.end:
        raise InputError("datetime.reversed", parameter=parameter, value=text[:80])
    return found


def _whole(text: str) -> Interval:
    """Return from when to when a text is: a moment is both, a day its first and last tick."""
    if _DATE.fullmatch(text):
        day = date.fromisoformat(text)
        return Interval(datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC))
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day_text, clock, fraction, zone = match.groups()
    # A leap second is the last of its minute to PostgreSQL and Python; both lack the 61st.
    if clock.endswith(":60"):
        clock = f"{clock[:-2]}59"
    moment = datetime.fromisoformat(f"{day_text}T{clock}{(fraction or '')[:7]}{zone.upper()}")
    return Interval(moment.astimezone(UTC), moment.astimezone(UTC))


def _add(moment: datetime | None, text: str, sign: int) -> datetime:
    """Add a duration; months first, to the same day or the month's last (ISO 8601-2)."""
    match = _DURATION.fullmatch(text)
    if match is None or moment is None:
        raise ValueError(text)
    years, months, weeks, days, hours, minutes, seconds, _ = (int(n or 0) for n in match.groups())
    micros = int((match[8] or "").ljust(6, "0"))
    month = moment.year * 12 + moment.month - 1 + sign * (12 * years + months)
    year, month = month // 12, month % 12 + 1
    if not 1 <= year <= 9999:
        raise ValueError(text)
    moment = moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))
    length = timedelta(
        weeks=weeks,
        days=days,
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=micros,
    )
    return moment + sign * length
