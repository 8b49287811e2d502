"""Instants and intervals of a filter as SQL.

Dates and timestamps compare with their like. Where both meet, both are days in UTC: a date has no
zone of its own (21-065r2, 6.3.1), while timestamps of a filter are in UTC; so
`surveyed_at = DATE('2026-05-01')` finds what was surveyed on that day, and
`surveyed_at <= DATE('2026-05-01')` up to the end of it. The standard leaves such casts to the
server (6.3.3, 7.7.4) and names this as one way.

Intervals are closed at both ends. An open end lies past every instant; an end that is null is
unknown, and with it every comparison that reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Date, DateTime, Table, Text, and_, cast, func, literal, or_

from riskmap.features.cql2.typed import Column, Expr, Period, Type, Value

Sql = ColumnElement[Any]

# The relations of OWL-Time between (s1, e1) and (s2, e2), as 21-065r2 table 7 and 8 name them.
_RELATIONS: Final[dict[str, Callable[[Sql, Sql, Sql, Sql], Sql]]] = {
    "t_after": lambda s1, e1, s2, e2: s1 > e2,
    "t_before": lambda s1, e1, s2, e2: e1 < s2,
    "t_disjoint": lambda s1, e1, s2, e2: or_(e1 < s2, s1 > e2),
    "t_equals": lambda s1, e1, s2, e2: and_(s1 == s2, e1 == e2),
    "t_intersects": lambda s1, e1, s2, e2: and_(e1 >= s2, s1 <= e2),
    "t_contains": lambda s1, e1, s2, e2: and_(s1 < s2, e1 > e2),
    "t_during": lambda s1, e1, s2, e2: and_(s1 > s2, e1 < e2),
    "t_finishedby": lambda s1, e1, s2, e2: and_(s1 < s2, e1 == e2),
    "t_finishes": lambda s1, e1, s2, e2: and_(s1 > s2, e1 == e2),
    "t_meets": lambda s1, e1, s2, e2: e1 == s2,
    "t_metby": lambda s1, e1, s2, e2: s1 == e2,
    "t_overlappedby": lambda s1, e1, s2, e2: and_(s1 > s2, s1 < e2, e1 > e2),
    "t_overlaps": lambda s1, e1, s2, e2: and_(s1 < s2, e1 > s2, e1 < e2),
    "t_startedby": lambda s1, e1, s2, e2: and_(s1 == s2, e1 > e2),
    "t_starts": lambda s1, e1, s2, e2: and_(s1 == s2, e1 < e2),
}


def by_day(*parts: Expr) -> bool:
    """Say whether these instants and intervals are compared as days: as soon as one is a date."""
    return any(one.type is Type.DATE for one in parts) or any(
        end is not None and end.type is Type.DATE
        for one in parts
        if isinstance(one, Period)
        for end in (one.start, one.end)
    )


def instant(expr: Expr, table: Table, *, days: bool) -> Sql:
    """Return an instant as a moment, or as a day in UTC."""
    match expr:
        case Column(type=Type.TIMESTAMP, name=name) if days:
            return cast(func.timezone("UTC", table.c[name]), Date())
        case Column(name=name):
            return table.c[name]
        case Value(value=datetime() as value) if days:
            return literal(value.date(), Date())
        case Value(type=Type.TIMESTAMP, value=value):
            return literal(value, DateTime(timezone=True))
        case Value(value=value):
            return literal(value, Date())
    raise AssertionError(expr)


def ends(expr: Expr, table: Table, *, days: bool) -> tuple[Sql, Sql]:
    """Return start and end of an interval, or an instant twice."""
    if not isinstance(expr, Period):
        found = instant(expr, table, days=days)
        return found, found
    return (
        _end(expr.start, "-infinity", table, days=days),
        _end(expr.end, "infinity", table, days=days),
    )


def _end(expr: Expr | None, never: str, table: Table, *, days: bool) -> Sql:
    if expr is not None:
        return instant(expr, table, days=days)
    return cast(literal(never, Text()), Date() if days else DateTime(timezone=True))


def relation(op: str, left: Expr, right: Expr, table: Table) -> Sql:
    """Return one of the fifteen temporal relations."""
    days = by_day(left, right)
    first, second = ends(left, table, days=days), ends(right, table, days=days)
    return _RELATIONS[op](*first, *second)
