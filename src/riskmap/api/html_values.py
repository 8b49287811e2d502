"""A field's value as people read it: its label, its unit, its time of day in the city."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from markupsafe import Markup

from riskmap.catalog.spec import RISK_LEVEL, Field, Kind
from riskmap.i18n import Lang, catalogue, say

NOTHING: Final = "—"
# A year with a comma in it reads as a quantity.
_UNGROUPED_UNITS: Final = frozenset({None, "年"})
_UNITS: Final = "html.unit."


@cache
def _english_units() -> dict[str, str]:
    entries = catalogue().items()
    return {texts["zh"]: texts["en"] for key, texts in entries if key.startswith(_UNITS)}


def unit(field: Field, lang: Lang) -> str | None:
    """Return a field's unit as the language writes it."""
    if field.unit is None or lang == "zh":
        return field.unit
    return _english_units().get(field.unit, field.unit)


def label_of(field: Field, value: Any, lang: Lang) -> str:
    """Return the label of an allowed value; any other value as it stands."""
    for one in field.values:
        if one.code == value or str(one.code) == str(value):
            return one.zh if lang == "zh" else one.en
    return str(value)


def plain(field: Field, value: Any, lang: Lang, zone: ZoneInfo) -> str:
    """Return one value as plain text, without its unit."""
    if value is None:
        return say("html.not_assessed", lang) if field.name == RISK_LEVEL.name else NOTHING
    if isinstance(value, list):
        parts = (plain(field, one, lang, zone) for one in value)
        return ("、" if lang == "zh" else ", ").join(parts) or NOTHING
    return label_of(field, value, lang) if field.values else _free(field, value, lang, zone)


def _free(field: Field, value: Any, lang: Lang, zone: ZoneInfo) -> str:
    """Return a value that is none of a list of allowed ones."""
    match value:
        case dict():
            return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        case bool():
            return say("html.yes" if value else "html.no", lang)
        case int() | float():
            return _number(value, grouped=field.unit not in _UNGROUPED_UNITS)
        case _:
            return _clock(value, zone) if field.kind is Kind.DATETIME else str(value)


def shown(field: Field, value: Any, lang: Lang, zone: ZoneInfo) -> Markup:
    """Return one value as HTML: a time says its moment to programs, a long text keeps its lines."""
    text = plain(field, value, lang, zone)
    if value is None:
        return Markup('<span class="none">{}</span>').format(text)
    if field.kind is Kind.DATETIME and isinstance(value, str):
        return Markup('<time datetime="{}">{}</time>').format(value, text)
    if field.kind is Kind.JSON:
        return Markup("<pre>{}</pre>").format(text)
    return Markup("{}").format(text)


def _number(value: float, *, grouped: bool) -> str:
    # Through the shortest text that means the same number: no digits appear that nobody stored.
    exact = Decimal(repr(value))
    if exact == exact.to_integral_value():
        exact = exact.to_integral_value()  # as `quantize`, for more than 28 digits as well
    return format(exact, ",f" if grouped else "f")


def _clock(value: str, zone: ZoneInfo) -> str:
    try:
        moment = datetime.fromisoformat(value)
        return f"{moment.astimezone(zone) if moment.tzinfo else moment:%Y-%m-%d %H:%M}"
    # Before year 1, after 9999 in the zone, infinity: PostgreSQL knows times that Python does not.
    except (ValueError, OverflowError):
        return value
