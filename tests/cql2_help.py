"""CQL2 for tests: a table of every kind of field, random filters, and what they mean, in Python.

The evaluator shares nothing with the compiler: it works on the filter as it was made, before it
was written as text or JSON. Run as a program, this file reads hostile filters for some seconds.
"""

from __future__ import annotations

import json
import math
import random
import resource
import sys
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import shapely
from geoalchemy2 import Geometry as GeometryColumn
from shapely.geometry.base import BaseGeometry
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
)

from riskmap.catalog.spec import Field, Kind
from riskmap.crs.served import CRS84, ServedCrs, served
from riskmap.db.sessions import API_ROLE, Actor, Database
from riskmap.errors import InputError
from riskmap.features.cql2 import Filter, read_json, read_json_text, read_text

TRIAL = Table(
    "cql2_trial",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("geom", GeometryColumn("Geometry", 4326, spatial_index=False)),
    Column("name", Text),
    Column("other", Text),
    Column("count", Integer),
    Column("most", Integer),
    Column("amount", Double),
    Column("rate", Double),
    Column("is_open", Boolean),
    Column("day", Date),
    Column("seen", DateTime(timezone=True)),
    Column("until", DateTime(timezone=True)),
    Column("tags", ARRAY(Text)),
)
Index("ix_cql2_trial_geom", TRIAL.c.geom, postgresql_using="gist")

_KINDS = {
    "name": Kind.TEXT, "other": Kind.TEXT, "count": Kind.INTEGER, "most": Kind.INTEGER,
    "amount": Kind.NUMBER, "rate": Kind.NUMBER, "is_open": Kind.BOOLEAN, "day": Kind.DATE,
    "seen": Kind.DATETIME, "until": Kind.DATETIME, "tags": Kind.TEXTS,
}  # fmt: skip
FIELDS = {name: Field(name=name, zh=name, en=name, kind=kind) for name, kind in _KINDS.items()}
FIELDS["notes"] = Field(name="notes", zh="notes", en="notes", kind=Kind.JSON)

Row = dict[str, Any]
# A filter as it is made: the operator, then its operands.
Made = tuple[Any, ...]

# What hurts: quotes, wildcards, the escape, accents apart and together, cases that fold oddly.
PIECES = (
    "a", "b", "A", "B", "ab", "é", "e\u0301", "É", "ß", "SS", "ss", "ẞ", "Σ", "ς", "σ", "ø", "Ø",
    "学校", "滑坡", "危", "'", "''", '"', "%", "_", "\\", " ", "\n", "\t", "ｱ", "；", "😀", "1",
)  # fmt: skip
_TAGS = ("water", "power", "医疗", "a'b", 'c"d', "e,f", "{g}", "NULL", "")


def text_of(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 4)))


def rows(rng: random.Random, count: int) -> list[Row]:
    return [row(rng, number) for number in range(1, count + 1)]


def row(rng: random.Random, number: int) -> Row:
    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.15 else value

    start = instant_of(rng)
    return {
        "id": number,
        "geom": maybe(shape_of(rng, stored=True)),
        "name": maybe(text_of(rng)),
        "other": maybe(text_of(rng)),
        "count": maybe(rng.choice((-3, -1, 0, 1, 2, 3, 7, 10, 2**31 - 1, -(2**31)))),
        "most": maybe(rng.randint(-5, 5)),
        "amount": maybe(rng.choice((0.0, 0.1, 0.2, 0.3, -2.5, 7.0, 1e10, 1e-12, 1e300, -1e300))),
        "rate": maybe(rng.choice((0.0, 0.5, -0.5, 2.0, 3.0, 1 / 3, 1e16, 123456.789))),
        "is_open": maybe(rng.random() < 0.5),
        "day": maybe(start.date()),
        "seen": maybe(start),
        "until": maybe(start + timedelta(seconds=rng.choice((0, 1, 3600, 86_400, 200_000)))),
        "tags": maybe(rng.sample(_TAGS, rng.randint(0, 4)) + rng.choices(_TAGS, k=1)),
    }


def instant_of(rng: random.Random) -> datetime:
    """Return a moment of a few days, so that many are equal, often at midnight."""
    day = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=rng.randint(0, 4))
    return day + timedelta(
        seconds=rng.choice((0, 0, 1, 43_200, 86_399)), microseconds=rng.choice((0, 0, 500_000))
    )


def shape_of(rng: random.Random, *, stored: bool = False) -> BaseGeometry:
    """Return a shape on a grid of 1/8 degree: doubles hold it exactly, and borders do touch."""

    def place() -> tuple[float, float]:
        return 120 + rng.randint(0, 8) / 8, 36 + rng.randint(0, 8) / 8

    def box() -> BaseGeometry:
        (west, south), size = place(), rng.randint(1, 4) / 8
        return shapely.box(west, south, west + size, south + size)

    def line() -> BaseGeometry:
        first = place()
        second = place()
        while second == first:
            second = place()
        return shapely.LineString([first, second])

    match rng.randint(0, 6 if stored else 7):
        case 0 | 1:
            return shapely.Point(place())
        case 2:
            return shapely.MultiLineString([line()]) if stored else line()
        case 3:
            return shapely.MultiPolygon([box()]) if stored else box()
        case 4:
            return shapely.MultiPoint([place(), place()])
        case 5:
            return box() if not stored else shapely.MultiPolygon([box()])
        case 6 if stored:
            # A layer of mixed geometries may hold a collection. Of points: GEOS 3.11 overlooks the
            # points of a collection of several kinds beside a prepared line.
            return shapely.GeometryCollection([shapely.Point(place()), shapely.Point(place())])
        case 6:
            return shapely.GeometryCollection([shapely.Point(place()), line()])
        case _:
            return shapely.Polygon([(120, 36), (121, 36), (120.5, 37)])


def fill(database: Database, made: list[Row]) -> None:
    """Make the trial table in a database, readable by the API's role."""
    with database.own(Actor("test")) as session:
        TRIAL.create(session.connection)
        values = [
            one | {"geom": None if one["geom"] is None else f"SRID=4326;{one['geom'].wkt}"}
            for one in made
        ]
        session.execute(insert(TRIAL), values)
        session.connection.exec_driver_sql(f"GRANT SELECT ON cql2_trial TO {API_ROLE}")


# ---------------------------------------------------------------------------------- random filters

_COMPARE = ("=", "<>", "<", "<=", ">", ">=")
_TEMPORAL = ("t_after", "t_before", "t_disjoint", "t_equals", "t_intersects")
_INTERVALS = (
    "t_contains", "t_during", "t_finishedBy", "t_finishes", "t_meets", "t_metBy",
    "t_overlappedBy", "t_overlaps", "t_startedBy", "t_starts",
)  # fmt: skip
_SPATIAL = (
    "s_contains", "s_crosses", "s_disjoint", "s_equals", "s_intersects", "s_overlaps", "s_touches",
    "s_within",
)  # fmt: skip


class Maker:
    """Makes random filters, most of them about values that some rows have."""

    def __init__(self, rng: random.Random, made: list[Row]) -> None:
        self.rng = rng
        self.rows = made

    def _known(self, *names: str) -> Any:
        """Return a value of some row, or None."""
        return self.rng.choice(self.rows)[self.rng.choice(names)]

    def filter(self, depth: int = 3) -> Made:
        rng = self.rng
        if depth and rng.random() < 0.55:
            op = rng.choice(("and", "or", "not"))
            count = 1 if op == "not" else rng.randint(2, 3)
            return (op, *(self.filter(depth - 1) for _ in range(count)))
        return rng.choice(
            (self._numbers, self._texts, self._likes, self._moments, self._periods, self._shapes,
             self._arrays, self._booleans, self._nulls, self._lists, self._betweens)
        )()  # fmt: skip

    def number(self, depth: int = 2) -> Made:
        rng = self.rng
        if depth and rng.random() < 0.3:
            op = rng.choice(("+", "-", "*", "/", "%", "div", "^"))
            return (op, self.number(depth - 1), self.number(depth - 1))
        if rng.random() < 0.5:
            return ("property", rng.choice(("count", "most", "amount", "rate", "id")))
        known = self._known("count", "most", "amount", "rate")
        return (
            "number",
            rng.choice((0, 1, 2, -1, 0.5, 2**40, 1e-7, 3)) if known is None else known,
        )

    def text(self, depth: int = 2) -> Made:
        rng = self.rng
        if depth and rng.random() < 0.3:
            return (rng.choice(("casei", "accenti")), self.text(depth - 1))
        if rng.random() < 0.5:
            return ("property", rng.choice(("name", "other")))
        known = self._known("name", "other")
        return ("text", text_of(rng) if known is None or rng.random() < 0.2 else known)

    def moment(self) -> Made:
        rng = self.rng
        if rng.random() < 0.5:
            return ("property", rng.choice(("day", "seen", "until")))
        known = instant_of(rng)
        return ("date", known.date()) if rng.random() < 0.5 else ("timestamp", known)

    def period(self) -> Made:
        rng = self.rng

        def end() -> Made | None:
            return None if rng.random() < 0.15 else self.moment()

        start, finish = end(), end()
        literals = [one for one in (start, finish) if one is not None and one[0] != "property"]
        if len(literals) == 2:
            start, finish = sorted(literals, key=lambda one: _as_day(one[1]))
            if start[0] == finish[0] and start[1] > finish[1]:
                start, finish = finish, start
        return ("interval", start, finish)

    def shape(self) -> Made:
        if self.rng.random() < 0.4:
            return ("property", self.rng.choice(("geom", "geometry")))
        return ("shape", shape_of(self.rng))

    def _numbers(self) -> Made:
        return (self.rng.choice(_COMPARE), self.number(), self.number())

    def _texts(self) -> Made:
        return (self.rng.choice(_COMPARE), self.text(), self.text())

    def _moments(self) -> Made:
        return (self.rng.choice(_COMPARE), self.moment(), self.moment())

    def _booleans(self) -> Made:
        if self.rng.random() < 0.2:
            return ("boolean", self.rng.random() < 0.5)
        return (
            self.rng.choice(_COMPARE), ("property", "is_open"), ("boolean", self.rng.random() < 0.5)
        )  # fmt: skip

    def _likes(self) -> Made:
        rng = self.rng
        known = self._known("name", "other") or text_of(rng)
        pattern = "".join(
            "%" if rng.random() < 0.2 else "_" if rng.random() < 0.2
            else f"\\{one}" if one in "%_\\" or rng.random() < 0.05 else one
            for one in known
        ) + rng.choice(("", "", "%"))  # fmt: skip
        made: Made = ("pattern", pattern)
        value = self.text(1)
        while value[0] in ("casei", "accenti"):
            made = (value[0], made)
            value = value[1]
            break
        folds = made[0] if made[0] != "pattern" else None
        return ("like", (folds, value) if folds else value, made)

    def _lists(self) -> Made:
        make = self.rng.choice((self.number, self.text, self.moment))
        simple = self.rng.random() < 0.5
        items = [make() for _ in range(self.rng.randint(1, 5))]
        if simple:
            items = [one for one in items if one[0] in ("number", "text", "date", "timestamp")]
        first = make()
        return ("in", first, *(items or [first]))

    def _betweens(self) -> Made:
        make = self.rng.choice((self.number, self.text, self.moment))
        return ("between", make(), make(), make())

    def _nulls(self) -> Made:
        make = self.rng.choice(
            (self.number, self.text, self.moment, self.shape, self.period, self._numbers,
             lambda: ("property", "tags"))
        )  # fmt: skip
        return ("isNull", make())

    def _periods(self) -> Made:
        if self.rng.random() < 0.4:
            return (
                self.rng.choice(_TEMPORAL),
                self.rng.choice((self.moment, self.period))(),
                self.rng.choice((self.moment, self.period))(),
            )
        return (self.rng.choice(_INTERVALS), self.period(), self.period())

    def _shapes(self) -> Made:
        op = self.rng.choice(_SPATIAL)
        pair = [("property", "geom"), self.shape()]
        self.rng.shuffle(pair)
        mixed = any(one[0] == "shape" and one[1].geom_type == "GeometryCollection" for one in pair)
        return ("s_intersects" if mixed and op != "s_disjoint" else op, *pair)

    def _arrays(self) -> Made:
        rng = self.rng
        items = rng.choices(_TAGS, k=rng.randint(0, 3))
        known = self._known("tags")
        if known and rng.random() < 0.5:
            items = rng.sample(known, rng.randint(1, len(known)))
        pair = [("property", "tags"), ("array", *(("text", one) for one in items))]
        rng.shuffle(pair)
        return (rng.choice(("a_contains", "a_containedBy", "a_equals", "a_overlaps")), *pair)


# ------------------------------------------------------------------------------------ as CQL2 text


def as_text(made: Made, rng: random.Random) -> str:
    """Write a filter as CQL2 text, in one of its spellings."""
    op, *args = made

    def word(one: str) -> str:
        return rng.choice((one.lower(), one.upper(), one.capitalize()))

    def inner(one: Made) -> str:
        return as_text(one, rng)

    match op:
        case "property":
            return f'"{args[0]}"' if rng.random() < 0.3 else args[0]
        case "number":
            return repr(args[0])
        case "text":
            return quoted(args[0], rng)
        case "pattern":
            return quoted(args[0], rng, pattern=True)
        case "boolean":
            return word(str(args[0]))
        case "date" | "timestamp":
            return f"{word(op)}('{_written(args[0])}')"
        case "interval":
            return f"{word(op)}({', '.join(_end_text(one, rng) for one in args)})"
        case "shape":
            return args[0].wkt
        case "array":
            return f"({', '.join(map(inner, args))})"
        case "and" | "or":
            return f"({f' {word(op)} '.join(map(inner, args))})"
        case "not":
            return f"{word('not')} ({inner(args[0])})"
        case "isNull":
            return f"({inner(args[0])}) {word('is')} {word('null')}"
        case "in":
            return f"{inner(args[0])} {word('in')} ({', '.join(map(inner, args[1:]))})"
        case "between":
            value, low, high = map(inner, args)
            return f"{value} {word('between')} {low} {word('and')} {high}"
        case "like":
            return f"{inner(args[0])} {word('like')} {inner(args[1])}"
    if op in (*_COMPARE, "+", "-", "*", "/", "%", "div", "^"):
        return f"({inner(args[0])} {op} {inner(args[1])})"
    return f"{word(op)}({', '.join(map(inner, args))})"


def quoted(text: str, rng: random.Random, *, pattern: bool = False) -> str:
    r"""Write a text literal; the backslash of \% may stay alone."""
    kept = []
    for place, one in enumerate(text):
        if one == "'":
            kept.append(rng.choice(("''", "\\'")))
        elif one == "\\":
            alone = pattern and text[place + 1 : place + 2] in ("%", "_") and _even(text, place)
            kept.append("\\" if alone and rng.random() < 0.5 else "\\\\")
        elif one == "\n":
            kept.append(rng.choice(("\n", "\\n")))
        elif one == "\t":
            kept.append(rng.choice(("\t", "\\t")))
        else:
            kept.append(one)
    return f"'{''.join(kept)}'"


def _even(text: str, place: int) -> bool:
    """Say whether an even number of backslashes stands before a place."""
    before = text[:place]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def _written(value: date) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat()


def _end_text(one: Made | None, rng: random.Random) -> str:
    if one is None:
        return "'..'"
    return as_text(one, rng) if one[0] == "property" else f"'{_written(one[1])}'"


# ------------------------------------------------------------------------------------ as CQL2 JSON


def as_json(made: Made) -> Any:
    """Write a filter as CQL2 JSON."""
    op, *args = made
    match op:
        case "property":
            return {"property": args[0]}
        case "number" | "text" | "pattern" | "boolean":
            return args[0]
        case "date" | "timestamp":
            return {op: _written(args[0])}
        case "interval":
            return {"interval": [_end_json(one) for one in args]}
        case "shape":
            return shapely.geometry.mapping(args[0])
        case "array":
            return [as_json(one) for one in args]
        case "in":
            return {"op": "in", "args": [as_json(args[0]), [as_json(one) for one in args[1:]]]}
    return {"op": op, "args": [as_json(one) for one in args]}


def _end_json(one: Made | None) -> Any:
    if one is None:
        return ".."
    return as_json(one) if one[0] == "property" else _written(one[1])


# --------------------------------------------------------------------------------- what they mean


def holds(made: Made, row: Row) -> bool | None:
    """Say whether a filter holds for a row: true, false or unknown."""
    op, *args = made
    if op == "boolean":
        return args[0]
    if op == "not":
        inner = holds(args[0], row)
        return None if inner is None else not inner
    if op in ("and", "or"):
        found = [holds(one, row) for one in args]
        decisive = op == "or"
        if decisive in found:
            return decisive
        return None if None in found else not decisive
    if op == "isNull":
        return _unknown(args[0], row)
    if op in _COMPARE:
        return _compared(op, *_values(args, row))
    if op == "in":
        value, *items = _values(args, row)
        found = [_compared("=", value, one) for one in items]
        return True if True in found else None if None in found else False
    if op == "between":
        value, low, high = _values(args, row)
        pair = _compared(">=", value, low), _compared("<=", value, high)
        return False if False in pair else None if None in pair else True
    if op == "like":
        value = _text_value(args[0], row)
        return None if value is None else _matches(value, args[1])
    if op.startswith("t_"):
        return _related(op.lower(), args, row)
    if op.startswith("s_"):
        return _meets(op, args, row)
    return _sets(op.lower(), args, row)


def _unknown(made: Made, row: Row) -> bool:
    if made[0] == "interval":
        return any(one is not None and _value(one, row) is None for one in made[1:])
    if made[0] == "shape":
        return False
    if made[0] in _COMPARE:
        return holds(made, row) is None
    if made == ("property", "geometry"):
        return row["geom"] is None
    return _value(made, row) is None


def _compared(op: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    match op:
        case "=":
            return left == right
        case "<>":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
    return left >= right


def _values(args: list[Made], row: Row) -> list[Any]:
    """Return values that compare: as decimals after arithmetic, as days once one is a date."""
    found = [_value(one, row) for one in args]
    if any(_is_day(one) for one in args):
        return [None if one is None else _as_day(one) for one in found]
    if any(one[0] in ("+", "-", "*", "/", "%", "div", "^") for one in args):
        return [_decimal(one, row) for one in args]
    # Whole numbers of a float comparison become floats, as in PostgreSQL.
    if any(isinstance(one, float) for one in found):
        return [None if one is None else float(one) for one in found]
    return found


def _is_day(made: Made) -> bool:
    return made[0] == "date" or made == ("property", "day")


def _as_day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _value(made: Made, row: Row) -> Any:
    op, *args = made
    match op:
        case "property":
            return row[args[0]]
        case "number" | "text" | "boolean" | "date" | "timestamp":
            return args[0]
        case "casei" | "accenti":
            return _text_value(made, row)
    return _decimal(made, row)


def _text_value(made: Made, row: Row) -> str | None:
    if made[0] not in ("casei", "accenti"):
        return _value(made, row)
    inner = _text_value(made[1], row)
    if inner is None:
        return None
    return folded(inner) if made[0] == "casei" else unaccented(inner)


def folded(text: str) -> str:
    """Fold case one character at a time: upper, then lower, as C does; ß is ss."""

    def one_to_one(one: str, other: str) -> str:
        return other if len(other) == 1 else one

    upper = (one_to_one(one, one.upper()) for one in text)
    return "".join(one_to_one(one, one.lower()) for one in upper).replace("ß", "ss")


def unaccented(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    bare = "".join(one for one in apart if not "\u0300" <= one <= "\u036f")
    plain = bare.translate(str.maketrans("ØøŁłĐđĦħŦŧ", "OoLlDdHhTt"))
    return unicodedata.normalize("NFC", plain)


def _matches(value: str, made: Made) -> bool:
    """Match a pattern without any library: which ends of the pattern are reached."""
    folds = []
    while made[0] != "pattern":
        folds.append(made[0])
        made = made[1]
    parts: list[tuple[bool, str]] = []  # is it a wildcard, the character
    escaped = False
    for one in made[1]:
        if escaped or one not in "%_\\":
            parts.append((False, one))
            escaped = False
        elif one == "\\":
            escaped = True
        else:
            parts.append((True, one))
    if folds:
        change = folded if folds[0] == "casei" else unaccented
        whole: list[tuple[bool, str]] = []
        run = ""
        for wild, one in [*parts, (True, "")]:
            if not wild:
                run += one
                continue
            whole += [(False, each) for each in change(run)]
            run = ""
            whole += [(True, one)] if one else []
        parts = whole
    reached = {0}
    for wild, one in parts:
        if wild and one == "%":
            reached = set(range(min(reached, default=len(value) + 1), len(value) + 1))
        else:
            reached = {
                place + 1 for place in reached
                if place < len(value) and (wild or value[place] == one)
            }  # fmt: skip
    return len(value) in reached


def _leaf(value: int | float, *, stored: bool) -> Decimal:
    written = repr(value)
    if stored:  # PostgreSQL writes 7.0 as 7: the scale of a quotient depends on it
        written = written.removesuffix(".0")
    found = Decimal(written)
    if stored and isinstance(value, float):
        # Nor does it write what lies halfway to the next double, even where that reads back.
        gap = abs(Decimal(math.nextafter(value, math.inf)) - Decimal(value))
        if found != Decimal(value) and abs(found - Decimal(value)) * 2 >= gap:
            found = Decimal(f"{value:.17g}")
    return Decimal(int(found)) if found.as_tuple().exponent > 0 else found


def _decimal(made: Made, row: Row) -> Decimal | None:
    op, *args = made
    if op in ("property", "number"):
        value = _value(made, row)
        return None if value is None else _leaf(value, stored=op == "property")
    left, right = (_decimal(one, row) for one in args)
    if left is None or right is None:
        return None
    with localcontext(prec=5000) as context:
        context.Emax, context.Emin = 999_999, -999_999
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "^":
                return _power(left, right)
        if right == 0:
            return None
        match op:
            case "%":
                return left % right
            case "div":
                return Decimal(int(left / right)) if abs(left) < abs(right) else left // right
        return _quotient(left, right)


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    """Divide to as many decimals as PostgreSQL's numeric does: 16 significant digits and more."""

    def weight(one: Decimal) -> tuple[int, int]:
        if one == 0:
            return 0, 0
        place = one.adjusted() // 4
        return place, int(abs(one).scaleb(-4 * place))

    (first, first_digit), (second, second_digit) = weight(left), weight(right)
    places = first - second - (first_digit <= second_digit)
    scales = [max(0, -int(one.as_tuple().exponent)) for one in (left, right)]
    scale = min(1000, max(16 - 4 * places, *scales, 0))
    return (left / right).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)


def _power(base: Decimal, exponent: Decimal) -> Decimal | None:
    if abs(base) > Decimal("1e300") or abs(exponent) > 1000:
        return None
    if abs(exponent) < Decimal("1e-300"):
        return Decimal(1)
    if abs(base) < Decimal("1e-300"):
        return Decimal(0) if exponent > 0 else None
    if base < 0 and exponent != int(exponent):
        return None
    if abs(float(exponent) * math.log(abs(float(base)))) > 690:
        return None
    return _leaf(math.pow(float(base), float(exponent)), stored=True)


def _related(op: str, args: list[Made], row: Row) -> bool | None:
    days = any(
        _is_day(part)
        for one in args
        for part in (one[1:] if one[0] == "interval" else [one])
        if part is not None
    )

    def ends(one: Made) -> list[Any]:
        parts = one[1:] if one[0] == "interval" else (one, one)
        found = []
        for part, never in zip(parts, (-math.inf, math.inf), strict=True):
            value = never if part is None else _value(part, row)
            if isinstance(value, date):
                value = _as_day(value).toordinal() if days else value.timestamp()
            found.append(value)
        return found

    (s1, e1), (s2, e2) = map(ends, args)
    rules = {
        "t_after": [(s1, ">", e2)], "t_before": [(e1, "<", s2)],
        "t_equals": [(s1, "=", s2), (e1, "=", e2)],
        "t_intersects": [(s1, "<=", e2), (e1, ">=", s2)],
        "t_contains": [(s1, "<", s2), (e1, ">", e2)],
        "t_during": [(s1, ">", s2), (e1, "<", e2)],
        "t_finishedby": [(s1, "<", s2), (e1, "=", e2)],
        "t_finishes": [(s1, ">", s2), (e1, "=", e2)],
        "t_meets": [(e1, "=", s2)], "t_metby": [(s1, "=", e2)],
        "t_overlappedby": [(s1, ">", s2), (s1, "<", e2), (e1, ">", e2)],
        "t_overlaps": [(s1, "<", s2), (e1, ">", s2), (e1, "<", e2)],
        "t_startedby": [(s1, "=", s2), (e1, ">", e2)],
        "t_starts": [(s1, "=", s2), (e1, "<", e2)],
    }  # fmt: skip
    if op == "t_disjoint":
        inner = _all(rules["t_intersects"])
        return None if inner is None else not inner
    return _all(rules[op])


def _all(rules: list[tuple[Any, str, Any]]) -> bool | None:
    found = [_compared(op, left, right) for left, op, right in rules]
    return False if False in found else None if None in found else True


def _meets(op: str, args: list[Made], row: Row) -> bool | None:
    left, right = (row["geom"] if one[0] == "property" else one[1] for one in args)
    if left is None or right is None:
        return None
    if op == "s_disjoint":
        return not shapely.intersects(left, right)
    if op != "s_intersects":
        boxes = shapely.intersects(shapely.box(*left.bounds), shapely.box(*right.bounds))
        if not boxes:
            return False
        if "GeometryCollection" in (left.geom_type, right.geom_type):
            return None
    return bool(getattr(shapely, op.removeprefix("s_"))(left, right))


def _sets(op: str, args: list[Made], row: Row) -> bool | None:
    left, right = (
        row["tags"] if one[0] == "property" else [item[1] for item in one[1:]] for one in args
    )
    if left is None or right is None:
        return None
    first, second = set(left), set(right)
    match op:
        case "a_contains":
            return first >= second
        case "a_containedby":
            return first <= second
        case "a_equals":
            return first == second
    return bool(first & second)


# ------------------------------------------------------------------------------------------- fuzz

_WORDS = (
    "name", "count", "geom", "tags", "seen", "AND", "OR", "NOT", "LIKE", "IN", "IS NULL", "BETWEEN",
    "(", ")", ",", "'", '"', "''", "\\", "%", "=", "<>", "<", "^", "div", "1", "-1e308", "9" * 70,
    "CASEI(", "S_INTERSECTS(geom,", "POINT(", "POLYGON((", "GEOMETRYCOLLECTION(", "EMPTY", "BBOX(",
    "INTERVAL(", "DATE('", "TIMESTAMP('2026-05-01T00:00:00Z')", "A_EQUALS(", "\0", "\ud800", "学校",
    "pg_sleep(9)", "--", ";", "/*", "$1", "%s", "%(a)s", ":a", "{0}", "1.", ".", "e", "\u3000",
)  # fmt: skip


def hostile(maker: Maker) -> str | bytes | Any:
    """Return something that may or may not be a filter: text, JSON as sent, or JSON parsed."""
    rng = maker.rng
    match rng.randint(0, 6):
        case 0:
            return "".join(chr(rng.choice((rng.randint(0, 127), rng.randint(0, 0x10FFFF)))) for _ in
                           range(rng.randint(0, 200)))  # fmt: skip
        case 1:
            return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(1, 60)))
        case 2:
            return mutated(as_text(maker.filter(4), rng), rng)
        case 3:
            return mutated(json.dumps(as_json(maker.filter(4))), rng).encode("utf-8", "replace")
        case 4:
            part = rng.choice(_WORDS)
            return part * rng.choice((10, 1000, 70_000 // len(part)))
        case 5:
            deep: Any = rng.choice((True, 1, "a", {"property": "count"}, []))
            for _ in range(rng.choice((10, 100, 900))):
                deep = rng.choice((
                    lambda one: {"op": "not", "args": [one]}, lambda one: [one],
                    lambda one: {"op": rng.choice(("+", "and", "=", "^")), "args": [one, one]}
                    if rng.random() < 0.1 else {"op": "casei", "args": [one]},
                    lambda one: {"type": "GeometryCollection", "geometries": [one]},
                ))(deep)  # fmt: skip
            return deep
    return rng.randbytes(rng.randint(0, 300))


def mutated(text: str, rng: random.Random) -> str:
    """Return a text with a few of its parts cut, doubled or replaced."""
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.randint(0, 12))
        text = rng.choice((
            text[:start] + text[end:], text[:end] + text[start:],
            text[:start] + rng.choice(_WORDS) + text[end:], text[start:] + text[:start],
        ))  # fmt: skip
    return text


def read(asked: Any, crs: ServedCrs = CRS84) -> Filter:
    """Read whatever `hostile` made."""
    if isinstance(asked, str):
        return read_text(asked, FIELDS, crs=crs)
    if isinstance(asked, bytes):
        return read_json_text(asked, FIELDS, crs=crs)
    return read_json(asked, FIELDS, crs=crs)


def refused_at_once(read_it: Callable[[], object]) -> InputError:
    """Return the error of a filter that is refused within 50 ms of processor time, at best of 5."""
    took = []
    for _ in range(5):
        began = time.thread_time()
        try:
            read_it()
        except InputError as error:
            took.append(time.thread_time() - began)
            refused = error
        else:
            raise AssertionError("it was accepted")
    assert min(took) < 0.05, took
    return refused


def _rss_mb() -> float:
    status = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(status[1]) * resource.getpagesize() / 2**20


def _took_ms(asked: Any, crs: ServedCrs) -> tuple[float, bool]:
    """Return the processor time that a reading takes, and whether it was accepted."""
    accepted = False
    began = time.thread_time()
    try:
        found = read(asked, crs)
    except InputError as error:
        took = time.thread_time() - began
        assert error.parameter == "filter"
        error.text("zh").encode()
        error.text("en").encode()
    else:
        took = time.thread_time() - began
        accepted = True
        str(found.where(TRIAL).compile())
    return took * 1000, accepted


def fuzz(seconds: float, seed: int) -> dict[str, float]:
    """Read hostile filters; whatever is raised but an InputError ends it."""
    rng = random.Random(seed)
    maker = Maker(rng, rows(rng, 50))
    systems = served(4549)
    for one in systems:  # the first use of a system opens its definition
        _took_ms("s_within(geom, BBOX(1, 2, 3, 4))", one)
    count = accepted = 0
    slowest_ms, warm_mb = 0.0, 0.0
    start = time.monotonic()
    while (gone := time.monotonic() - start) < seconds:
        asked, crs = hostile(maker), rng.choice(systems)
        took_ms, read_well = _took_ms(asked, crs)
        if took_ms > 20:  # a neighbour on the processor, or the filter itself?
            took_ms = min(took_ms, *(_took_ms(asked, crs)[0] for _ in range(3)))
        slowest_ms = max(slowest_ms, took_ms)
        accepted += read_well
        count += 1
        if not warm_mb and gone > seconds / 5:
            warm_mb = _rss_mb()
    return {
        "count": count,
        "accepted": accepted,
        "slowest_ms": slowest_ms,
        "warm_mb": warm_mb,
        "end_mb": _rss_mb(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fuzz(float(sys.argv[1]), int(sys.argv[2]))))
