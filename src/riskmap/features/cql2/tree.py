"""The one tree that text and JSON are read into, before its names and types are checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from riskmap.features.cql2.limits import At

COMPARISONS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "div", "^"})
FOLDS: Final = frozenset({"casei", "accenti"})
SPATIAL: Final = frozenset(
    f"s_{name}"
    for name in (
        "contains", "crosses", "disjoint", "equals", "intersects", "overlaps", "touches", "within"
    )
)  # fmt: skip
# Those that take instants and intervals, and those of intervals alone.
TEMPORAL_ANY: Final = frozenset({"t_after", "t_before", "t_disjoint", "t_equals", "t_intersects"})
TEMPORAL_INTERVALS: Final = frozenset(
    f"t_{name}"
    for name in (
        "contains", "during", "finishedby", "finishes", "meets", "metby", "overlappedby",
        "overlaps", "startedby", "starts",
    )
)  # fmt: skip
TEMPORAL: Final = TEMPORAL_ANY | TEMPORAL_INTERVALS
ARRAYS: Final = frozenset({"a_containedby", "a_contains", "a_equals", "a_overlaps"})
# What is written like a function; the rest are operators.
FUNCTIONS: Final = FOLDS | SPATIAL | TEMPORAL | ARRAYS


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number or boolean."""

    at: At
    value: str | int | float | bool
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Name:
    """A property."""

    at: At
    name: str
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, or a timestamp in UTC (which is a date to Python)."""

    at: At
    value: date
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """An interval, both ends of it included; None: open."""

    at: At
    start: Node | None
    end: Node | None
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """A geometry as WKB, WGS 84 with the longitude first.

    Parameters
    ----------
    kind
        Its type as Simple Features calls it: Point, MultiPolygon, GeometryCollection ...
    """

    at: At
    wkb: bytes
    kind: str
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """An array."""

    at: At
    items: tuple[Node, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function and what it is applied to; `op` as in JSON, in lower case."""

    at: At
    op: str
    args: tuple[Node, ...]
    depth: int


Node = Literal | Name | Moment | Span | Shape | Items | Call
