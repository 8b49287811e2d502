"""Counts and sums of a layer's features by the values of its fields: what statistics show.

The features are those of the items under the same query, so that the numbers are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    cast,
    func,
    literal,
    literal_column,
    select,
)

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
# A sum of doubles beyond 1.8e308 is an error in PostgreSQL, and one row with 1e308 suffices for it
# beside another. At 2**-64 of their size fewer than 2**64 rows cannot get there, and as a power of
# two moves the exponent alone, no digit is lost.
_SCALE: Final = 2.0**-64


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
    """The sum of a field.

    Parameters
    ----------
    total
        None: of none of the features is it known, which is not zero.
    unknown
        Of how many features it is not known (null).
    """

    total: float | None
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
        whole = field.kind is Kind.INTEGER
        addend = cast(column, BigInteger) if whole else cast(column, Double) * literal(_SCALE)
        sums.append(func.sum(addend).label(f"sum_{n}"))
        sums.append(func.count().filter(column.is_(None)).label(f"unknown_{n}"))
    order: list[ColumnElement[Any]] = [
        literal_column(f"{n + 1} ASC NULLS LAST") for n in range(len(keys))
    ]
    return (
        select(*marks, func.count().label("count"), *sums)
        # Said, since a count alone names no table: without one PostgreSQL counts 1.
        .select_from(table)
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
        There are more than `MAX_GROUPS`, which names `group_by`; a sum is beyond what a double
        holds, which names `sum`.
    """
    rows = (await session.execute(grouped(query, keys, fields))).all()
    if len(rows) > MAX_GROUPS:
        raise InputError("summary.many", parameter="group_by", most=MAX_GROUPS)
    found = []
    for row in rows:
        values = tuple(row[: len(keys)])
        count, *rest = row[len(keys) :]
        sums = zip(fields, rest[::2], rest[1::2], strict=True)
        told = tuple(
            Sum(_added(field, [] if part is None else [part], count), unknown)
            for field, part, unknown in sums
        )
        found.append(Group(values, count, told))
    return found


def total(groups: Sequence[Group], fields: Sequence[Field]) -> Group:
    """Add groups up.

    Raises
    ------
    InputError
        A sum is beyond what a double holds; names `sum`.
    """
    count = sum(group.count for group in groups)
    sums = []
    for n, field in enumerate(fields):
        known = [one.sums[n].total for one in groups]
        scale = 1 if field.kind is Kind.INTEGER else _SCALE
        parts = [one * scale for one in known if one is not None]
        unknown = sum(one.sums[n].unknown for one in groups)
        sums.append(Sum(_added(field, parts, count), unknown))
    return Group((), count, tuple(sums))


def _added(field: Field, parts: Sequence[Any], count: int) -> float | None:
    """Add parts of a sum, those of doubles at `_SCALE`."""
    if not parts:
        return None if count else 0
    if field.kind is Kind.INTEGER:
        return int(sum(parts))
    added = fsum(parts) / _SCALE
    if not isfinite(added):
        raise InputError("summary.overflow", parameter="sum", value=field.name)
    return added
