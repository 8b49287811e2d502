"""From a query string to a feature query: what to select, in which order, what to show of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import date, datetime
from math import isfinite
from typing import Any, Final

import orjson
from fastapi import Request

from riskmap.access.keys import Caller
from riskmap.api.deps import bbox, integer, number, parameters
from riskmap.api.times import read_interval
from riskmap.catalog.spec import Field, Kind, Layer
from riskmap.crs.datum import Datum, read_datum
from riskmap.crs.served import CRS84, ServedCrs, area, served
from riskmap.errors import InputError
from riskmap.features import cql2
from riskmap.features.query import (
    DEFAULT_LIMIT,
    ID,
    MAX_LIMIT,
    Equals,
    FeatureQuery,
    Keyset,
    Order,
    Scalar,
)
from riskmap.units import Bbox

# What selects: every resource that takes a query takes these, and any visible field.
NARROWING: Final = (
    "bbox",
    "bbox-crs",
    "datetime",
    "filter",
    "filter-lang",
    "filter-crs",
    "q",
)
# What shapes an answer of features. Each resource says which of these it takes.
SHAPING: Final = ("crs", "datum", "properties", "skipGeometry", "simplify")
PAGING: Final = ("limit", "offset", "cursor", "sortby")
MAX_TOLERANCE_M: Final = 100_000.0
MAX_OFFSET: Final = 10**9
LANGS: Final = ("cql2-text", "cql2-json")

_TRUE: Final = {"true": True, "1": True, "false": False, "0": False}
# PostgreSQL's integer and bigint: a larger number cannot be in the column, nor be bound.
_INT4, _INT8 = 2**31, 2**63
_MAX_KEYS: Final = 8
# What psql can store, in the words of Python and of PostgreSQL.
_BEYOND_NUMBERS: Final = ("nan", "inf", "-inf")
_BEYOND_TIMES: Final = ("infinity", "-infinity")


def feature_query(
    request: Request,
    layer: Layer,
    who: Caller,
    *more: str,
    local_srid: int | None = None,
) -> FeatureQuery:
    """Turn a query string into a query.

    Parameters
    ----------
    more
        What the resource takes beside `NARROWING` and the layer's fields: some of `SHAPING` and
        `PAGING`, and what it reads itself.
    local_srid
        The city's own projected system, one of those served.

    Raises
    ------
    InputError
        Names the parameter at fault.
    """
    fields = {one.name: one for one in layer.visible(restricted=who.reads_restricted)}
    plain = {name: one for name, one in fields.items() if one.kind is not Kind.JSON}
    found = parameters(request, {*NARROWING, *more, *plain})
    # A parameter of the resource comes before a field of the same name.
    mine = {name: text for name, text in found.items() if name in plain and name not in more}
    filters = tuple(
        Equals(plain[name], tuple(_scalar(plain[name], part) for part in text.split(",")))
        for name, text in mine.items()
    )
    datum = read_datum(found.get("datum"))
    crs = read_crs(found.get("crs"), "crs", local_srid)
    if datum is not Datum.WGS84 and crs is not CRS84:
        raise InputError("crs.datum_and_crs", parameter="crs", value=datum)
    box, shape = _space(found, datum, local_srid)
    order = _order(found["sortby"], plain) if "sortby" in found else ()
    after = _cursor(found["cursor"], order) if "cursor" in found else None
    limit, offset, tolerance = found.get("limit"), found.get("offset"), found.get("simplify")
    return FeatureQuery(
        layer=layer,
        restricted=who.reads_restricted,
        bbox=box,
        area=shape,
        time=read_interval(found["datetime"]) if "datetime" in found else None,
        filters=filters,
        condition=_condition(found, plain, local_srid),
        words=found.get("q"),
        limit=DEFAULT_LIMIT if limit is None else integer(limit, "limit", least=1, most=MAX_LIMIT),
        offset=0 if offset is None else integer(offset, "offset", least=0, most=MAX_OFFSET),
        after=after,
        order=order,
        chosen=_chosen(found["properties"], layer, fields) if "properties" in found else None,
        geometry=not flag(found.get("skipGeometry", "false"), "skipGeometry"),
        tolerance_m=0.0 if tolerance is None else _tolerance(tolerance),
        datum=datum,
        crs=crs,
    )


def read_crs(text: str | None, parameter: str, local_srid: int | None) -> ServedCrs:
    """Find a coordinate system that is served by its URI; nothing is CRS84.

    Raises
    ------
    InputError
        It is none of those; the message lists them.
    """
    if text is None:
        return CRS84
    known = served(local_srid)
    for one in known:
        if text == one.uri:
            return one
    uris = ", ".join(one.uri for one in known)
    raise InputError("parameter.value", parameter=parameter, value=text[:80], expected=uris)


def _space(
    found: Mapping[str, str], datum: Datum, local_srid: int | None
) -> tuple[Bbox | None, Any]:
    """Read `bbox` in its system: a plain box where it is one of longitude and latitude."""
    crs = read_crs(found.get("bbox-crs"), "bbox-crs", local_srid)
    text = found.get("bbox")
    if text is None:
        return None, None
    if datum is not Datum.WGS84:
        if "bbox-crs" in found:
            raise InputError("crs.datum_and_crs", parameter="bbox-crs", value=datum)
        return bbox(text), None
    if crs is not CRS84:
        return None, area(_corners(text), crs)
    corners = _corners(text)
    if corners[0] > corners[2]:  # across the antimeridian
        return None, area(corners, crs)
    return bbox(text), None


def _corners(text: str) -> tuple[float, float, float, float]:
    parts = text.split(",")
    if len(parts) not in (4, 6):
        raise InputError("bbox.shape", parameter="bbox", value=text[:80])
    values = [number(part, "bbox") for part in parts]
    half = len(values) // 2
    return values[0], values[1], values[half], values[half + 1]


def _condition(
    found: Mapping[str, str], fields: Mapping[str, Field], local_srid: int | None
) -> cql2.Filter | None:
    lang = found.get("filter-lang", LANGS[0])
    if lang not in LANGS:
        raise InputError(
            "parameter.value", parameter="filter-lang", value=lang[:40], expected=", ".join(LANGS)
        )
    crs = read_crs(found.get("filter-crs"), "filter-crs", local_srid)
    text = found.get("filter")
    if text is None:
        return None
    read = cql2.read_text if lang == LANGS[0] else cql2.read_json_text
    return read(text, fields, crs=crs)


def _order(text: str, fields: Mapping[str, Field]) -> tuple[Order, ...]:
    """Read `name,-risk_level`; a plus sign may stand for ascending (a query string makes it a
    blank).
    """
    sortable = {name: one for name, one in fields.items() if one.kind is not Kind.TEXTS}
    sortable[ID.name] = ID
    found: dict[str, Order] = {}
    for part in text.split(","):
        name = part.strip().removeprefix("+")
        descending = name.startswith("-")
        name = name.removeprefix("-")
        if name not in sortable:
            known = ", ".join(sorted(sortable))
            raise InputError("sortby.unknown", parameter="sortby", value=name[:40], known=known)
        if name in found:
            raise InputError("sortby.twice", parameter="sortby", value=name)
        found[name] = Order(sortable[name], descending)
    if len(found) > _MAX_KEYS:
        raise InputError("sortby.many", parameter="sortby", value=len(found), most=_MAX_KEYS)
    return tuple(found.values())


def _chosen(text: str, layer: Layer, fields: Mapping[str, Field]) -> frozenset[str]:
    known = {*fields, *(child.name for child in layer.children)}
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in known:
            raise InputError(
                "properties.unknown",
                parameter="properties",
                value=name[:40],
                known=", ".join(sorted(known)),
            )
    return frozenset(names)


def flag(text: str, parameter: str) -> bool:
    """Read `true` or `false`."""
    if text not in ("true", "false"):
        raise InputError(
            "parameter.value", parameter=parameter, value=text[:40], expected="true, false"
        )
    return text == "true"


def _tolerance(text: str) -> float:
    value = number(text, "simplify")
    if not 0 <= value <= MAX_TOLERANCE_M:
        raise InputError(
            "parameter.value",
            parameter="simplify",
            value=text[:40],
            expected=f"0 … {MAX_TOLERANCE_M:g} m",
        )
    return value


def _scalar(field: Field, text: str) -> Scalar:
    """Read one value of a property filter as the field's type; `null` is null."""
    if text == "null":
        return None
    expected = ", ".join([*(str(one.code) for one in field.values), "null"])
    if field.kind is Kind.BOOLEAN:
        expected = "true, false, null"
    elif not field.values:
        expected = str(field.kind)
    bad = InputError("parameter.value", parameter=field.name, value=text[:40], expected=expected)
    match field.kind:
        case Kind.INTEGER:
            # The range of the column says nothing to who wrote the label of a level.
            if field.values and not text.lstrip("+-").isdecimal():
                raise bad
            return integer(text, field.name, least=-_INT4, most=_INT4 - 1)
        case Kind.NUMBER:
            return number(text, field.name)
        case Kind.BOOLEAN:
            if text.lower() not in _TRUE:
                raise bad
            return _TRUE[text.lower()]
        case Kind.DATE | Kind.DATETIME:
            # The value itself is bound, not the text: Python reads forms of ISO 8601 that
            # PostgreSQL does not (2024-W09-4).
            try:
                return (date if field.kind is Kind.DATE else datetime).fromisoformat(text)
            except ValueError:
                raise bad from None
        case _:
            return text


def encode_keyset(start: Keyset, order: tuple[Order, ...]) -> str:
    """Make the opaque cursor of a page."""
    # JSON knows neither infinity nor NaN, which PostgreSQL sorts as any other number.
    values = [
        str(one) if isinstance(one, float) and not isfinite(one) else one for one in start.values
    ]
    body = [start.feature_id, int(start.backward), _spelt(order), values]
    return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")


def _spelt(order: tuple[Order, ...]) -> str:
    return ",".join(f"{'-' * one.descending}{one.field.name}" for one in order)


def _cursor(text: str, order: tuple[Order, ...]) -> Keyset:
    """Read a cursor of ours.

    Raises
    ------
    InputError
        It is none, or of another order.
    """
    bad = InputError("parameter.cursor", parameter="cursor", value=text[:40])
    try:
        padded = text + "=" * (-len(text) % 4)
        body = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        feature_id, backward, spelt, values = body
    except (ValueError, TypeError, binascii.Error):
        raise bad from None
    keys = [one.field for one in order]
    if ID in keys:
        keys = keys[: keys.index(ID)]
    if (
        type(feature_id) is not int
        or not 0 <= feature_id < _INT8
        or backward not in (0, 1)
        or spelt != _spelt(order)
        or not isinstance(values, list)
        or len(values) != len(keys)
    ):
        raise bad
    start = tuple(_kept(field, value, bad) for field, value in zip(keys, values, strict=True))
    return Keyset(start, feature_id, bool(backward))


def _kept(field: Field, value: Any, bad: InputError) -> Any:
    """Read a value that a cursor carries: JSON of what the row had."""
    if value is None:
        return None
    if field.kind is Kind.NUMBER and value in _BEYOND_NUMBERS:
        return float(value)
    if field.kind in (Kind.DATE, Kind.DATETIME) and value in _BEYOND_TIMES:
        return value
    kinds: dict[Kind, tuple[type, ...]] = {
        Kind.INTEGER: (int,),
        Kind.NUMBER: (int, float),
        Kind.BOOLEAN: (bool,),
    }
    if type(value) not in kinds.get(field.kind, (str,)):
        raise bad
    if isinstance(value, str) and ("\x00" in value or (not value.isascii() and _broken(value))):
        raise bad
    if field.kind is Kind.INTEGER and not -_INT4 <= value < _INT4:
        raise bad
    if field.kind not in (Kind.DATE, Kind.DATETIME):
        return value
    try:
        return _scalar(field, value)
    except InputError:
        raise bad from None


def _broken(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)
