"""The columns of a table of features, and the rows that a table has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Numeric, Select, String, cast, func, select

from riskmap.catalog.spec import IDENTITY_FIELDS, Geometry, Kind, Text
from riskmap.crs.datum import Datum
from riskmap.crs.served import CRS84
from riskmap.features import statements
from riskmap.features.formats import ID_COLUMN
from riskmap.features.query import FeatureQuery
from riskmap.features.where import beyond, conditions, keys, ordering, table_for
from riskmap.i18n import Lang

_IDENTITY: Final = frozenset(field.name for field in IDENTITY_FIELDS)
_DEGREES: Final = (("lon", "经度", "Longitude"), ("lat", "纬度", "Latitude"))
_METRES: Final = (("easting", "东坐标", "Easting"), ("northing", "北坐标", "Northing"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    kind
        None: it is (part of) the geometry.
    unit
        Unit of its numbers; headings have it in brackets.
    """

    name: str
    label: Text
    kind: Kind | None
    unit: str | None = None

    def heading(self, lang: Lang | None) -> str:
        """Return the name, or in a language the label as an import's template writes it."""
        if lang is None:
            return self.name
        unit = f"({self.unit})" if self.unit is not None else ""
        return f"{self.label.in_(lang)}{unit}"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a query's table: those before the geometry's, the geometry's, the rest.

    Points are two columns of numbers, named so that nobody can swap them; all else is WKT, east
    before north like every table's.
    """

    before: tuple[Column, ...]
    place: tuple[Column, ...]
    after: tuple[Column, ...]

    @property
    def all(self) -> tuple[Column, ...]:
        """All of them in order."""
        return (*self.before, *self.place, *self.after)


def attributes(query: FeatureQuery) -> tuple[Column, ...]:
    """Return the columns of a query that are not its geometry."""
    fields = [Column(one.name, one.label, one.kind, one.unit) for one in query.fields]
    children = [Column(one.name, Text(one.zh, one.en), Kind.JSON) for one in query.children]
    return (
        Column(ID_COLUMN, Text(ID_COLUMN, ID_COLUMN), Kind.INTEGER),
        *fields,
        *children,
    )


def table_columns(query: FeatureQuery) -> Columns:
    """Return the columns of a query's table."""
    found = attributes(query)
    place = _place(query)
    first = 1 + sum(one.name in _IDENTITY for one in found) if len(place) == 2 else len(found)
    return Columns(found[:first], place, found[first:])


def _place(query: FeatureQuery) -> tuple[Column, ...]:
    if not query.geometry:
        return ()
    if query.layer.geometry is not Geometry.POINT:
        return (Column("wkt", Text("几何WKT", "WKT"), None),)
    names = _DEGREES if query.crs.decimals == CRS84.decimals else _METRES
    return tuple(Column(name, Text(zh, en), None) for name, zh, en in names)


def value(query: FeatureQuery, column: Column, source: FromClause) -> ColumnElement[Any]:
    """Return what a row has in a column that is not the geometry's."""
    if column.name == ID_COLUMN:
        found: ColumnElement[Any] = source.c.id
        return found
    for child in query.children:
        if child.name == column.name:
            return statements.child_rows(source, child, restricted=query.restricted)
    return source.c[column.name]


def as_text(column: Column, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value as text: lists and what is JSON as JSON, times as ISO 8601 in UTC."""
    match column.kind:
        case Kind.TEXT:
            return value
        case Kind.TEXTS:
            return cast(func.to_json(value), String)
        case Kind.DATETIME:
            # A session's zone is UTC: 2024-02-29 08:00:00+00.
            text = func.replace(cast(value, String), " ", "T")
            return func.replace(text, "+00", "Z")
        case _:
            return cast(value, String)


def east_first(query: FeatureQuery) -> FeatureQuery:
    """Return a query whose positions have the east first, as in every table and every file."""
    return replace(query, crs=replace(query.crs, north_first=False))


def exact(query: FeatureQuery) -> bool:
    """Whether the answer has the stored geometry: it is given to the last bit."""
    return query.crs is CRS84 and query.tolerance_m == 0


def place_texts(query: FeatureQuery, source: FromClause) -> list[ColumnElement[Any]]:
    """Return the texts of the columns of a geometry, WGS 84 or transformed."""
    geom = statements.geometry(east_first(query), source)
    if query.layer.geometry is not Geometry.POINT:
        # 15 decimals are all that a double has; the shortest text that reads as the same number.
        return [func.ST_AsText(geom, 15 if exact(query) else query.crs.decimals)]
    parts = (func.ST_X(geom), func.ST_Y(geom))
    if exact(query):
        return [cast(part, String) for part in parts]
    # Only a `numeric` rounds to decimals.
    return [cast(func.round(cast(part, Numeric), query.crs.decimals), String) for part in parts]


def wkb(query: FeatureQuery, source: FromClause) -> ColumnElement[Any]:
    """Return the geometry as WKB, the east first."""
    return func.ST_AsBinary(statements.geometry(east_first(query), source)).label("wkb")


def moved(query: FeatureQuery) -> bool:
    """Whether the positions are of a datum that PostGIS does not know."""
    return query.geometry and query.datum is not Datum.WGS84


def joined(parts: list[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Return the parts of a text as one: `concat` takes nulls for nothing, and 100 arguments."""
    most = 90
    texts = [func.concat(*parts[n : n + most]) for n in range(0, len(parts), most)]
    found: ColumnElement[Any] = texts[0]
    for text in texts[1:]:
        found = found + text
    return found


def rows(query: FeatureQuery, *columns: ColumnElement[Any]) -> Select[Any]:
    """Select these columns of what a query asks for, in its order."""
    table = table_for(query.layer)
    statement = select(*columns).where(*conditions(query)).order_by(*ordering(query, table))
    if query.limit is not None:
        statement = statement.limit(query.limit)
    start = beyond(query, table)
    if start is not None:
        statement = statement.where(start)
    if query.offset:
        statement = statement.offset(query.offset)
    if query.after is None or not query.after.backward:
        return statement
    marks = [table.c[one.field.name].label(f"key_{n}") for n, one in enumerate(keys(query))]
    turned = statement.add_columns(*marks).subquery("rows")
    back = []
    for n, one in enumerate(keys(query)):
        mark = turned.c[f"key_{n}"]
        back.append((mark.desc() if one.descending else mark.asc()).nulls_last())
    kept = list(turned.c)[: len(columns)]
    return select(*kept).order_by(*back)


def count(query: FeatureQuery) -> Select[Any]:
    """Count the rows."""
    found = rows(query, table_for(query.layer).c.id).order_by(None).subquery("counted")
    return select(func.count()).select_from(found)
