"""The tree after its check: every name a column, every literal of a type.

Where a part stood does not count when two filters are compared: the same filter as text and as JSON
is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from riskmap.features.cql2.limits import At


class Type(StrEnum):
    """What an expression is; the names are the standard's."""

    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INTERVAL = "interval"
    GEOMETRY = "geometry"
    ARRAY = "array"


INSTANTS = frozenset({Type.DATE, Type.TIMESTAMP})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the layer's table."""

    at: At = field(compare=False)
    type: Type
    name: str


@dataclass(frozen=True, slots=True)
class Value:
    """A literal; a geometry is WKB."""

    at: At = field(compare=False)
    type: Type
    value: str | int | float | bool | date | bytes
    geometry: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """An interval of two instants; None: open."""

    at: At = field(compare=False)
    start: Expr | None
    end: Expr | None
    type: Type = Type.INTERVAL


@dataclass(frozen=True, slots=True)
class Elements:
    """An array literal; all elements are of one type, None when there are none."""

    at: At = field(compare=False)
    items: tuple[Expr, ...]
    of: Type | None
    type: Type = Type.ARRAY


@dataclass(frozen=True, slots=True)
class Op:
    """An operator or function and its operands."""

    at: At = field(compare=False)
    type: Type
    op: str
    args: tuple[Expr, ...]


Expr = Column | Value | Period | Elements | Op
