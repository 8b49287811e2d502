"""Numbers of a filter as SQL.

Without arithmetic, numbers are compared as they are stored. Arithmetic is decimal: PostgreSQL's
`numeric`, whose sums and products know no overflow (256 operations of 308 digits stay below its
131,072) and in which 0.1 + 0.2 is 0.3. A double enters by its shortest text, which is also the one
that answers show. What has no value is unknown (null), as NULL is: a division by zero, a power of
zero or of a negative number that does not exist, a power past 1e±300.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Numeric,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
)

from riskmap.features.cql2.tree import ARITHMETIC
from riskmap.features.cql2.typed import Column, Expr, Op, Value

Sql = ColumnElement[Any]

# A power repeats its operands so often: its weight is the SQL's, and is capped.
REPEATS: Final = 10
_LARGEST: Final = Decimal("1e300")
_SMALLEST: Final = Decimal("1e-300")
_MOST_EXPONENT: Final = Decimal(1000)
# e^690 is 1e299.6: within a double either way.
_MOST_LN: Final = 690.0


def is_computed(expr: Expr) -> bool:
    """Say whether a number is the result of arithmetic."""
    return isinstance(expr, Op) and expr.op in ARITHMETIC


def stored(expr: Expr, table: Table) -> Sql:
    """Return a column or literal as it is.

    An integer is a bigint: an int4 column compares with it without an overflow.
    """
    match expr:
        case Column(name=name):
            return table.c[name]
        case Value(value=int(value)):
            return literal(value, BigInteger())
        case Value(value=value):
            return literal(value, Double())
    raise AssertionError(expr)


def decimal(expr: Expr, table: Table) -> Sql:
    """Return a number as a decimal."""
    match expr:
        case Value(value=value):
            return literal(Decimal(repr(value)), Numeric())
        case Column(name=name):
            column = table.c[name]
            if isinstance(column.type, (Integer, BigInteger)):
                return cast(column, Numeric())
            # By its text: the direct cast keeps 15 digits only.
            return cast(cast(column, Text()), Numeric())
        case Op(op=op, args=(left, right)):
            return _RESULTS[op](decimal(left, table), decimal(right, table))
    raise AssertionError(expr)


def _number(value: int | Decimal) -> Sql:
    return literal(Decimal(value), Numeric())


def _power(base: Sql, exponent: Sql) -> Sql:
    """Return a power by way of doubles, null where it has no value or one past 1e±300.

    CASE asks in order, and each question keeps the next one from failing.
    """
    wide_base: Sql = cast(base, Double())
    wide_exponent: Sql = cast(exponent, Double())
    ln: Sql = func.ln(cast(func.abs(base), Double()), type_=Double())
    power: Sql = func.power(wide_base, wide_exponent, type_=Double())
    return case(
        # Zero as the exponent of an unknown base: unknown too.
        (or_(base.is_(None), exponent.is_(None)), null()),
        (func.abs(base) > _number(_LARGEST), null()),
        (func.abs(exponent) > _number(_MOST_EXPONENT), null()),
        (func.abs(exponent) < _number(_SMALLEST), _number(1)),
        (and_(func.abs(base) < _number(_SMALLEST), exponent > _number(0)), _number(0)),
        (func.abs(base) < _number(_SMALLEST), null()),
        (and_(base < _number(0), exponent != func.trunc(exponent)), null()),
        (func.abs(wide_exponent * ln) > literal(_MOST_LN, Double()), null()),
        else_=cast(cast(power, Text()), Numeric()),
    )  # fmt: skip


def _not_zero(divisor: Sql) -> Sql:
    return func.nullif(divisor, _number(0), type_=Numeric())


_RESULTS: Final[dict[str, Callable[[Sql, Sql], Sql]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / _not_zero(right),
    # Towards zero, the remainder with the dividend's sign: 7 div -2 is -3, 7 % -2 is 1.
    "div": lambda left, right: func.div(left, _not_zero(right), type_=Numeric()),
    "%": lambda left, right: func.mod(left, _not_zero(right), type_=Numeric()),
    "^": _power,
}
