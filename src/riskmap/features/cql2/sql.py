"""A checked filter to an SQL condition: bound values, and columns of the layer's own table.

Null is unknown, and logic has three values, as in SQL and in the standard's own table.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Double,
    LargeBinary,
    Numeric,
    Table,
    Text,
    and_,
    any_,
    case,
    cast,
    collate,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.types import TypeEngine

from riskmap.features.cql2.arithmetic import decimal, is_computed, stored
from riskmap.features.cql2.moments import by_day, ends, instant, relation
from riskmap.features.cql2.tree import ARRAYS, COMPARISONS, SPATIAL, TEMPORAL
from riskmap.features.cql2.typed import INSTANTS, Column, Elements, Expr, Op, Period, Type, Value
from riskmap.units import WGS84

Sql = ColumnElement[Any]
Convert = Callable[[Expr], Sql]

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_LOGIC: Final[dict[str, Callable[..., Sql]]] = {"and": and_, "or": or_, "not": not_}
_ARRAY: Final = {"a_contains": "@>", "a_containedby": "<@", "a_overlaps": "&&"}
_ELEMENTS: Final[dict[Type, TypeEngine[Any]]] = {
    Type.TEXT: Text(),
    Type.NUMBER: Numeric(),
    Type.BOOLEAN: Boolean(),
    Type.DATE: Date(),
    Type.TIMESTAMP: DateTime(timezone=True),
}
# Letters that Unicode does not take apart into a letter and an accent, though readers do.
_BARRED: Final = "ØøŁłĐđĦħŦŧ"
_PLAIN: Final = "OoLlDdHhTt"
# Combining diacritical marks. The marks of Japanese kana (U+3099) are none of them: they make
# another sound, not an accent.
_ACCENTS: Final = "[\u0300-\u036f]"


def condition(expr: Expr, table: Table) -> ColumnElement[bool]:
    """Return a checked filter as an SQL condition."""
    match expr:
        case Value(value=value):
            return true() if value else false()
        case Column(name=name):
            return table.c[name]
        case Op(op=op, args=args):
            return _operation(op, args, table)
    raise AssertionError(expr)


def _operation(op: str, args: tuple[Expr, ...], table: Table) -> Sql:
    if op in _LOGIC:
        return _LOGIC[op](*(condition(one, table) for one in args))
    if op in COMPARISONS:
        return _comparison(op, args, table)
    if op in SPATIAL:
        return _spatial(op, args, table)
    if op in TEMPORAL:
        return relation(op, args[0], args[1], table)
    if op in ARRAYS:
        return _arrays(op, args, table)
    return _PREDICATES[op](args, table)


def _comparison(op: str, args: tuple[Expr, ...], table: Table) -> Sql:
    left, right = _sides(args, table, ordered=op not in ("=", "<>"))
    found: Sql = _COMPARE[op](left, right)
    return found


def _converter(args: Sequence[Expr], table: Table) -> Convert:
    """Return what makes operands comparable: all as decimals, all as days, or as they are."""
    kind = args[0].type
    if kind is Type.NUMBER:
        number = decimal if any(map(is_computed, args)) else stored
        return lambda one: number(one, table)
    if kind in INSTANTS:
        days = by_day(*args)
        return lambda one: instant(one, table, days=days)
    if kind is Type.TEXT:
        return lambda one: _text(one, table)
    return lambda one: _plain(one, table)


def _sides(args: Sequence[Expr], table: Table, *, ordered: bool) -> list[Sql]:
    found = list(map(_converter(args, table), args))
    if ordered and args[0].type is Type.TEXT:
        # By code point, whatever the database was made with.
        found[0] = collate(found[0], "C")
    return found


def _plain(expr: Expr, table: Table) -> Sql:
    match expr:
        case Column(name=name):
            return table.c[name]
        case Value(type=Type.GEOMETRY, value=value):
            return func.ST_GeomFromWKB(literal(value, LargeBinary()), WGS84)
        case Value(type=kind, value=value):
            return literal(value, _ELEMENTS[kind])
    raise AssertionError(expr)


def _text(expr: Expr, table: Table) -> Sql:
    if isinstance(expr, Op):
        inner = _text(expr.args[0], table)
        return _folded(inner) if expr.op == "casei" else _unaccented(inner)
    return _plain(expr, table)


def _folded(text: Sql) -> Sql:
    """Return a text whose case is folded.

    By way of the upper case: σ and ς, s and ſ meet there only. ß is what both ẞ and itself become,
    and ss is what the standard's own example expects of it.
    """
    return func.replace(func.lower(func.upper(text)), "ß", "ss", type_=Text())


def _unaccented(text: Sql) -> Sql:
    """Return a text without accents: taken apart, without the marks, put together again."""
    bare = func.regexp_replace(func.normalize(text, literal_column("NFD")), _ACCENTS, "", "g")
    return func.normalize(
        func.translate(bare, _BARRED, _PLAIN), literal_column("NFC"), type_=Text()
    )


def _membership(args: tuple[Expr, ...], table: Table) -> Sql:
    convert = _converter(args, table)
    value, items = args[0], args[1:]
    if not all(isinstance(one, Value) for one in items):
        return or_(*(convert(value) == convert(one) for one in items))
    kind = _item_type(args)
    values = [one.value for one in map(convert, items)]
    if isinstance(kind, Double):
        values = list(map(float, values))
    return convert(value) == any_(literal(values, ARRAY(kind)))


def _item_type(args: Sequence[Expr]) -> TypeEngine[Any]:
    """Return the type of a list's items: one bound array, however many they are."""
    kind = args[0].type
    if kind is Type.NUMBER:
        if any(map(is_computed, args)):
            return Numeric()
        whole = all(isinstance(one.value, int) for one in args[1:] if isinstance(one, Value))
        return BigInteger() if whole else Double()
    if kind in INSTANTS:
        return _ELEMENTS[Type.DATE if by_day(*args) else Type.TIMESTAMP]
    return _ELEMENTS[kind]


def _like(args: tuple[Expr, ...], table: Table) -> Sql:
    return _text(args[0], table).like(_text(args[1], table))


def _between(args: tuple[Expr, ...], table: Table) -> Sql:
    value, low, high = _sides(args, table, ordered=True)
    return value.between(low, high)


def _is_null(args: tuple[Expr, ...], table: Table) -> Sql:
    (expr,) = args
    match expr:
        case Period():
            parts = ends(expr, table, days=by_day(expr))
            return or_(*(one.is_(None) for one in parts))
        case Elements():
            return false()
        case Op(type=Type.BOOLEAN):
            return condition(expr, table).self_group().is_(None)
    return _converter([expr], table)(expr).is_(None)


_PREDICATES: Final[dict[str, Callable[[tuple[Expr, ...], Table], Sql]]] = {
    "like": _like,
    "between": _between,
    "in": _membership,
    "isnull": _is_null,
}


def _spatial(op: str, args: tuple[Expr, ...], table: Table) -> Sql:
    left, right = (_plain(one, table) for one in args)
    if op == "s_disjoint":
        return not_(func.ST_Intersects(left, right, type_=Boolean()))
    name = f"ST_{op.removeprefix('s_').capitalize()}"
    found: Sql = getattr(func, name)(left, right, type_=Boolean())
    columns = [one for one, arg in zip((left, right), args, strict=True) if isinstance(arg, Column)]
    if op == "s_intersects" or not columns or columns[0].type.geometry_type != "GEOMETRY":  # type: ignore[attr-defined]
        return found
    # PostGIS fails on a collection here, and a layer of mixed geometries may hold one. The box
    # asks the index, which CASE would hide.
    single = func.ST_GeometryType(columns[0]) != literal("ST_GeometryCollection", Text())
    return and_(left.bool_op("&&")(right), case((single, found), else_=null()))


def _arrays(op: str, args: tuple[Expr, ...], table: Table) -> Sql:
    kinds = [one.of for one in args if isinstance(one, Elements) and one.of is not None]
    is_text = any(isinstance(one, Column) for one in args) or not kinds
    kind = Type.TEXT if is_text else Type.DATE if Type.DATE in kinds else kinds[0]
    left, right = (_array(one, kind, table) for one in args)
    if op == "a_equals":
        return and_(left.bool_op("@>")(right), left.bool_op("<@")(right))
    return left.bool_op(_ARRAY[op])(right)


def _array(expr: Expr, kind: Type, table: Table) -> Sql:
    if not isinstance(expr, Elements):
        return _plain(expr, table)

    def element(one: Expr) -> Sql:
        if kind is Type.NUMBER:
            return decimal(one, table)
        if kind in INSTANTS:
            return instant(one, table, days=kind is Type.DATE)
        return _text(one, table) if kind is Type.TEXT else _plain(one, table)

    return cast(array([element(one) for one in expr.items]), ARRAY(_ELEMENTS[kind]))
