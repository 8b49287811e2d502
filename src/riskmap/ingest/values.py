"""From what a file's cell holds to what a field's column takes, or a clear refusal.

Null stays null: an empty cell is never turned into 0, low or False.
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Final

import orjson

from riskmap.catalog.spec import Field, Kind

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})日)")
_COMPACT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_LIST_MARKS: Final = re.compile(r"[;；、|,，]")
_INT32: Final = 2**31 - 1
_EXACT: Final = 2**53
_INT64: Final = 2**63
_LARGEST: Final = int(sys.float_info.max)
_TRUE: Final = frozenset(("true", "t", "yes", "y", "1", "是", "有", "√", "✓", "✔"))
_FALSE: Final = frozenset(("false", "f", "no", "n", "0", "否", "无", "×", "✗", "✘"))
_SEPARATED: Final = re.compile(r"[+-]?[\d.,、' ]*\d[,、' ]\d[\d.,、' ]*", re.ASCII)
# Digits, letters and marks as a Chinese keyboard writes them: １２．５ and －３. NFKC would go too
# far: it makes 12 of 1².
_HALF_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ",
    0x2212: "-",
}
_LISTED: Final = 12


class BadValueError(Exception):
    """A cell that its field cannot take: the catalogue's key and what fills its placeholders."""

    def __init__(self, key: str, /, **values: str) -> None:
        self.key = key
        self.values = values
        super().__init__(key)


def is_null(raw: object) -> bool:
    """Say whether a cell holds nothing. NaN is how pyogrio says null in a column of numbers."""
    if raw is None:
        return True
    if isinstance(raw, str):
        return not raw or raw.isspace()
    return isinstance(raw, float) and math.isnan(raw)


def storable(text: str) -> str:
    """Return a text that PostgreSQL can store.

    Raises
    ------
    BadValueError
        It holds a NUL character or half a surrogate pair.
    """
    if not text.isascii():  # the cheap test first: it is one for every cell
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadValueError("ingest.characters") from None
    if "\0" in text:
        raise BadValueError("ingest.characters")
    return text


def to_half_width(text: str) -> str:
    """Return a text with its full-width digits, letters and marks in half width."""
    return text if text.isascii() else text.translate(_HALF_WIDTH)


def to_json_text(value: object) -> str:
    """Return the JSON text of a value for a jsonb column.

    A whole number of any length stays as it is, since jsonb keeps every digit; one that no double
    reaches becomes a text, since those who read it would get infinity.

    Raises
    ------
    BadValueError
        JSON or PostgreSQL cannot hold it.
    """
    try:
        try:
            dumped = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        except TypeError:  # orjson takes 64 bits
            dumped = orjson.dumps(_spelt(value), option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, RecursionError):
        raise BadValueError("ingest.characters") from None
    # An escaped backslash before u0000 is harmless, so look closely only when the cheap test hits.
    if "\\u0000" in dumped and "\\u0000" in dumped.replace("\\\\", ""):
        raise BadValueError("ingest.characters")
    return dumped


def _spelt(value: object) -> object:
    """Return a value with its large whole numbers as orjson is to write them."""
    if isinstance(value, dict):
        return {key: _spelt(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(item) for item in value]
    if isinstance(value, int) and abs(value) >= _INT64:
        return orjson.Fragment(str(value)) if abs(value) <= _LARGEST else str(value)
    return value


def _word(text: str) -> str:
    """Return a code or label as it is compared: 乡镇（街道）级 is 乡镇(街道)级."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return storable(raw.strip())
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < _EXACT:
        return str(int(raw))
    if isinstance(raw, int | float):
        return str(raw)
    raise BadValueError("ingest.type.text")


def read_number(raw: object) -> int | float:
    """Read a number, however large; words such as NaN are none.

    Raises
    ------
    BadValueError
        It is no number.
    """
    if isinstance(raw, str):
        text = raw.strip()
        if not _NUMBER.fullmatch(text):
            text = to_half_width(text).strip()
            if _SEPARATED.fullmatch(text):
                raise BadValueError("ingest.type.separated")
            if not _NUMBER.fullmatch(text):
                raise BadValueError("ingest.type.number")
        return float(text)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadValueError("ingest.type.number")
    return raw


def _finite(raw: object) -> float:
    try:
        number = float(read_number(raw))
    except OverflowError:
        raise BadValueError("ingest.type.number") from None
    if not math.isfinite(number):
        raise BadValueError("ingest.type.number")
    return number


def within_int32(number: float) -> bool:
    """Say whether a column of 32 bits takes the number; the lowest of them is left out."""
    return abs(number) <= _INT32


def _integer(raw: object) -> int:
    try:
        number = read_number(raw)
    except BadValueError as error:
        separated = error.key == "ingest.type.separated"
        raise BadValueError(error.key if separated else "ingest.type.integer") from None
    if isinstance(number, float) and not number.is_integer():
        raise BadValueError("ingest.type.integer")
    if not within_int32(number):
        raise BadValueError("ingest.range", minimum=str(-_INT32), maximum=str(_INT32))
    return int(number)


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = to_half_width(_text(raw)).casefold() if isinstance(raw, str | int | float) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadValueError("ingest.type.boolean")


def _read_date(text: str) -> date | None:
    match = _DATE.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups() if part is not None)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _read_datetime(text: str) -> datetime | None:
    head, mark, tail = text.partition("T") if "T" in text else text.partition(" ")
    day = _read_date(head)
    if day is None:
        return None
    # Excel saves 8:30 as it shows it, ISO wants 08:30.
    time = tail.strip()
    if time[1:2] == ":":
        time = f"0{time}"
    try:
        return datetime.fromisoformat(f"{day.isoformat()}T{time}" if mark else str(day))
    except ValueError:
        return None


def _date(raw: object) -> date:
    """Read a date; a time of day is taken only when it is midnight, so that nothing is lost."""
    text = raw.strip() if isinstance(raw, str) else ""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        text = _text(raw)  # 20240305 in a cell of numbers; a serial number has five digits
    day = _read_date(text)
    if day is None:
        moment = _read_datetime(text)
        if moment is None or moment.time() != moment.time().min:
            raise BadValueError("ingest.type.date")
        day = moment.date()
    return day


def read_json(raw: object) -> object:
    """Decode a text of JSON; what is no text already is what it is.

    Raises
    ------
    BadValueError
        It is no JSON.
    """
    if isinstance(raw, str):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise BadValueError("ingest.type.json") from None
    return raw


def _items(raw: object) -> list[object]:
    if isinstance(raw, str):
        raw = read_json(raw) if raw.lstrip().startswith("[") else _LIST_MARKS.split(raw)
    if not isinstance(raw, list):
        raise BadValueError("ingest.type.texts")
    return [item for item in raw if not is_null(item)]


class Converter:
    """Converts the cells of one field.

    Parameters
    ----------
    field
        What the layer declares.
    zone
        Time zone of times that state none: the city's.
    translate
        What the mapping file says a source's own value means, already in the field's terms.
    """

    def __init__(
        self, field: Field, zone: tzinfo, translate: Mapping[str, object] | None = None
    ) -> None:
        self.field = field
        self._zone = zone
        self._translate = translate or {}
        self._allowed: dict[str, object] = {}
        for value in field.values:
            for word in (str(value.code), value.zh, value.en):
                self._allowed.setdefault(_word(word), value.code)
        self._read: dict[Kind, Callable[[object], object]] = {
            Kind.TEXT: _text,
            Kind.INTEGER: _integer,
            Kind.NUMBER: _finite,
            Kind.BOOLEAN: _boolean,
            Kind.DATE: _date,
            Kind.DATETIME: self._datetime,
            Kind.JSON: read_json,
        }
        self._scalar = self._read.get(field.kind, _text)
        # Nothing is listed: the kind alone says what is good (`riskmap.ingest.columns`).
        self.is_plain = not (self._allowed or self._translate)

    def __call__(self, raw: object) -> object:
        """Return the value for the column, None for null.

        Raises
        ------
        BadValueError
            The field cannot take it.
        """
        if is_null(raw):
            return None
        if self.field.kind is Kind.TEXTS:
            return [self._one(item) for item in _items(raw)] or None
        return self._one(raw)

    def _one(self, raw: object) -> object:
        if self._translate and isinstance(raw, str | int | float):
            word = str(raw).strip()
            if word in self._translate:
                return self._translate[word]
        if self._allowed:
            return self._code_of(raw)
        value = self._scalar(raw)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._check_range(value)
        return value

    def _code_of(self, raw: object) -> object:
        try:
            word = _text(raw)
            word = to_half_width(word)
            if self.field.kind in (Kind.INTEGER, Kind.NUMBER) and _NUMBER.fullmatch(word):
                word = _text(float(word))
            return self._allowed[_word(word)]
        except (KeyError, BadValueError):
            listed = [f"{value.code} {value.zh}" for value in self.field.values[:_LISTED]]
            more = ["…"] if len(self.field.values) > _LISTED else []
            raise BadValueError("ingest.allowed", allowed=", ".join(listed + more)) from None

    def _check_range(self, value: float) -> None:
        low, high = self.field.minimum, self.field.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise BadValueError(
                "ingest.range",
                minimum="-∞" if low is None else f"{low:g}",
                maximum="∞" if high is None else f"{high:g}",
            )

    def _datetime(self, raw: object) -> datetime:
        moment = _read_datetime(raw.strip()) if isinstance(raw, str) else None
        if moment is None:
            raise BadValueError("ingest.type.datetime")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        try:
            return moment.astimezone(UTC)
        except OverflowError:  # before the year 1 or after 9999 in UTC, which no reader can tell
            raise BadValueError("ingest.type.datetime") from None
