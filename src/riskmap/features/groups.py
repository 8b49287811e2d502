"""Counts and sums of a layer's features by the values of its fields: what statistics show.

The features are those of the items under the same query, so that the numbers are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Double, Select, cast, func, literal_column, select

from riskmap.catalog.spec import Field, Kind
from riskmap.db.sessions import AsyncReadSession
from riskmap.errors import InputError
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for

MAX_GROUPS: Final = 10_000
# What a field must be to tell groups apart. A list belongs to several groups at once, whose
# counts would add up to more than there are; a moment is in a group of its own.
GROUPED: Final = (Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN, Kind.DATE)
SUMMED: Final = (Kind.INTEGER, Kind.NUMBER)


@dataclass(frozen=True, slots=True)
class Key:
    """What features are grouped by.

    Parameters
    ----------
    digits
        Only so many first characters count: a district is six digits of a street's nine. 0: all.
    """

    field: Field
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a field; `unknown` says of how many features it is not known (null)."""

    total: float
    unknown: int


@dataclass(frozen=True, slots=True)
class Group:
    """The features that share the values of the keys; None is a value: not known."""

    values: tuple[Any, ...]
    count: int
    sums: tuple[Sum, ...]


def grouped(query: FeatureQuery, keys: Sequence[Key], fields: Sequence[Field]) -> Select[Any]:
    """Return one row for each group: its keys, the count, and sum and unknowns of each field."""
    table = table_for(query.layer)
    marks = [_mark(table.c[key.field.name], key).label(f"key_{n}") for n, key in enumerate(keys)]
    sums: list[ColumnElement[Any]] = []
    for n, field in enumerate(fields):
        column = table.c[field.name]
        kind = BigInteger if field.kind is Kind.INTEGER else Double
        sums.append(func.coalesce(func.sum(cast(column, kind)), 0).label(f"sum_{n}"))
        sums.append(func.count().filter(column.is_(None)).label(f"unknown_{n}"))
    order: list[ColumnElement[Any]] = [
        literal_column(f"{n + 1} ASC NULLS LAST") for n in range(len(keys))
    ]
    return (
        select(*marks, func.count().label("count"), *sums)
        .where(*conditions(query))
        # By their places: a bound value in an expression makes it another one each time.
        .group_by(*(literal_column(str(n + 1)) for n in range(len(keys))))
        .order_by(*order)
        .limit(MAX_GROUPS + 1)
    )


def _mark(column: ColumnElement[Any], key: Key) -> ColumnElement[Any]:
    return func.left(column, key.digits) if key.digits else column


async def read_groups(
    session: AsyncReadSession, query: FeatureQuery, keys: Sequence[Key], fields: Sequence[Field]
) -> list[Group]:
    """Read the groups, by the values of the keys, what is not known last.

    Raises
    ------
    InputError
        There are more than `MAX_GROUPS`; names `group_by`.
    """
    rows = (await session.execute(grouped(query, keys, fields))).all()
    if len(rows) > MAX_GROUPS:
        raise InputError("summary.many", parameter="group_by", most=MAX_GROUPS)
    found = []
    for row in rows:
        values = tuple(row[: len(keys)])
        count, *rest = row[len(keys) :]
        whole = [field.kind is Kind.INTEGER for field in fields]
        sums = tuple(
            Sum(int(total) if integer else float(total), unknown)
            for integer, total, unknown in zip(whole, rest[::2], rest[1::2], strict=True)
        )
        found.append(Group(values, count, sums))
    return found


def total(groups: Sequence[Group], fields: Sequence[Field]) -> Group:
    """Add groups up."""
    sums = []
    for n, field in enumerate(fields):
        parts = [group.sums[n] for group in groups]
        exact = sum if field.kind is Kind.INTEGER else fsum
        sums.append(Sum(exact(one.total for one in parts), sum(one.unknown for one in parts)))
    return Group((), sum(group.count for group in groups), tuple(sums))
