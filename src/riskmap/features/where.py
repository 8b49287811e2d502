"""The only WHERE builder: items, counts, tiles and analyses that share a filter share its set."""

from __future__ import annotations

from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ColumnElement, FromClause, Table, and_, any_, false, func, literal, or_

from riskmap.catalog.spec import Kind, Layer
from riskmap.crs.boxes import rectangle
from riskmap.crs.datum import Datum, box_in_wgs84
from riskmap.db.base import METADATA
from riskmap.features import words
from riskmap.features.query import ID, Equals, FeatureQuery, Interval, Keyset, Order
from riskmap.units import WGS84, Bbox

# What says since when and until when a feature counts; null is open.
TIME = ("valid_from", "valid_to")


def table_for(layer: Layer) -> Table:
    """Return a layer's table."""
    return METADATA.tables[layer.table]


def _shape(area: BaseGeometry) -> ColumnElement[object]:
    """Return a shape as a bound value."""
    return func.ST_GeomFromWKB(shapely.to_wkb(area), WGS84)


def _area(bbox: Bbox, datum: Datum) -> BaseGeometry:
    """Return a box of a datum as a shape: what is asked is moved, never the column."""
    return rectangle(*bbox) if datum is Datum.WGS84 else box_in_wgs84(bbox, datum)


def _equals(table: Table, condition: Equals) -> ColumnElement[bool]:
    column = table.c[condition.field.name]
    known = [value for value in condition.values if value is not None]
    parts: list[ColumnElement[bool]] = []
    if None in condition.values:
        parts.append(column.is_(None))
    if known and condition.field.kind is Kind.TEXTS:
        parts.extend(literal(value) == any_(column) for value in known)
    elif known:
        parts.append(column.in_(known))
    return or_(*parts)


def _meets(table: Table, time: Interval) -> ColumnElement[bool]:
    """Say whether a feature's own time meets an interval, both ends of both included."""
    since, until = (table.c[name] for name in TIME)
    parts: list[ColumnElement[bool]] = []
    if time.end is not None:
        parts.append(or_(since.is_(None), since <= time.end))
    if time.start is not None:
        parts.append(or_(until.is_(None), until >= time.start))
    return and_(*parts)


def conditions(query: FeatureQuery) -> list[ColumnElement[bool]]:
    """Return the conditions of a query, without its paging."""
    table = table_for(query.layer)
    found = [_equals(table, condition) for condition in query.filters]
    if query.bbox is not None:
        # ST_Intersects asks the index (&&) itself and then tests the shape, not its box.
        found.append(func.ST_Intersects(table.c.geom, _shape(_area(query.bbox, query.datum))))
    if query.area is not None:
        found.append(func.ST_Intersects(table.c.geom, _shape(query.area)))
    if query.time is not None:
        found.append(_meets(table, query.time))
    if query.condition is not None:
        found.append(query.condition.where(table))
    if query.words is not None:
        found.append(words.condition(table, query.words))
    if query.feature_id is not None:
        found.append(table.c.id == query.feature_id)
    return found


def keys(query: FeatureQuery) -> tuple[Order, ...]:
    """Return the keys of a query's order; the id is always the last, so that no two are equal."""
    named: list[Order] = []
    for one in query.order:
        named.append(one)
        if one.field is ID:  # what follows decides nothing
            return tuple(named)
    return (*named, Order(ID))


def ordering(query: FeatureQuery, source: FromClause) -> list[ColumnElement[Any]]:
    """Return ORDER BY of a query; of a page that is read backward, the reverse."""
    backward = query.after is not None and query.after.backward
    found: list[ColumnElement[Any]] = []
    for one in keys(query):
        column = source.c[one.field.name]
        ordered = column.asc() if one.descending == backward else column.desc()
        if one.field is not ID:  # never null: without the words an index can serve it
            ordered = ordered.nulls_first() if backward else ordered.nulls_last()
        found.append(ordered)
    return found


def beyond(query: FeatureQuery, source: FromClause) -> ColumnElement[bool] | None:
    """Return the condition that a row lies beyond where the page starts, in its direction.

    (a, b, id) lies beyond (x, y, i) when a does, or a equals x and b lies beyond y, or both are
    equal and id lies beyond i. Nulls come last, whichever way a key goes.
    """
    start = query.after
    if start is None:
        return None
    found: ColumnElement[bool] = false()
    values = (*start.values, start.feature_id)
    for one, value in reversed(list(zip(keys(query), values, strict=True))):
        column = source.c[one.field.name]
        ahead = _ahead(column, value, one, start)
        if one.field is ID:
            found = ahead
        else:
            same = column.is_(None) if value is None else column == literal(value, column.type)
            found = or_(ahead, and_(same, found))
    return found


def _ahead(
    column: ColumnElement[Any], value: Any, one: Order, start: Keyset
) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if start.backward else false()
    # As a literal: SQLAlchemy has no `<` for a bare True.
    mark = literal(value, column.type)
    ahead: ColumnElement[bool] = (
        column < mark if one.descending != start.backward else column > mark
    )
    # Nulls come last: ahead of every value, and before none.
    return ahead if one.field is ID or start.backward else or_(ahead, column.is_(None))
