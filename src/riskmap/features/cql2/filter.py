"""A filter that was read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table

from riskmap.catalog.spec import Field
from riskmap.crs.served import CRS84, ServedCrs
from riskmap.features.cql2.check import check
from riskmap.features.cql2.read_json import load, parse_json
from riskmap.features.cql2.read_text import parse_text
from riskmap.features.cql2.sql import condition
from riskmap.features.cql2.typed import Expr


@dataclass(frozen=True, slots=True)
class Filter:
    """A CQL2 filter whose names and types were checked against a layer's visible fields."""

    tree: Expr

    def where(self, table: Table) -> ColumnElement[bool]:
        """Return it as an SQL condition with bound values."""
        return condition(self.tree, table)


def read_text(text: str, fields: Mapping[str, Field], *, crs: ServedCrs = CRS84) -> Filter:
    """Read CQL2 text (OGC 21-065r2).

    Parameters
    ----------
    fields
        What the caller may ask for, by name. `id` and `geom` (or `geometry`) are always there.
    crs
        What the filter's geometries are measured in, and the order of their axes.

    Raises
    ------
    InputError
        It is malformed, too large, names what is not there or compares what does not compare; the
        error names the parameter `filter`, and the position in the text, counted from 1.
    """
    return Filter(check(parse_text(text, crs), fields))


def read_json(value: Any, fields: Mapping[str, Field], *, crs: ServedCrs = CRS84) -> Filter:
    """Read CQL2 JSON that was parsed; as `read_text`, with a JSON pointer for the position."""
    return Filter(check(parse_json(value, crs), fields))


def read_json_text(
    text: str | bytes, fields: Mapping[str, Field], *, crs: ServedCrs = CRS84
) -> Filter:
    """Read CQL2 JSON as it was sent: its size is checked before it is parsed."""
    return read_json(load(text), fields, crs=crs)
