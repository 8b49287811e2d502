"""A filter that was read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table

from riskmap.catalog.spec import Field
from riskmap.crs.served import CRS84, ServedCrs


@dataclass(frozen=True, slots=True)
class Filter:
    """A CQL2 filter whose names and types were checked against a layer's visible fields."""

    def where(self, table: Table) -> ColumnElement[bool]:
        """Return it as an SQL condition with bound values."""
        raise NotImplementedError


def read_text(text: str, fields: Mapping[str, Field], *, crs: ServedCrs = CRS84) -> Filter:
    """Read CQL2 text.

    Parameters
    ----------
    fields
        What the caller may ask for, by name.
    crs
        What the filter's geometries are measured in.

    Raises
    ------
    InputError
        Names the parameter `filter` and the position in the text.
    """
    raise NotImplementedError


def read_json(value: Any, fields: Mapping[str, Field], *, crs: ServedCrs = CRS84) -> Filter:
    """Read CQL2 JSON (parsed)."""
    raise NotImplementedError
