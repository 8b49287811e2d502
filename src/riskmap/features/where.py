"""The only WHERE builder: items, counts, tiles and analyses that share a filter share its set."""

from __future__ import annotations

import shapely
from sqlalchemy import ColumnElement, Table, any_, func, literal, or_

from riskmap.catalog.spec import Kind, Layer
from riskmap.crs.datum import Datum, box_in_wgs84
from riskmap.db.base import METADATA
from riskmap.features.query import Equals, FeatureQuery
from riskmap.units import WGS84, Bbox


def table_for(layer: Layer) -> Table:
    """Return a layer's table."""
    return METADATA.tables[layer.table]


def envelope(bbox: Bbox) -> ColumnElement[object]:
    """Return a box as a geometry with bound values."""
    return func.ST_MakeEnvelope(*bbox, WGS84)


def _area(bbox: Bbox, datum: Datum) -> ColumnElement[object]:
    """Return a box of a datum as a geometry: what is asked is moved, never the column."""
    if datum is Datum.WGS84:
        return envelope(bbox)
    return func.ST_GeomFromWKB(shapely.to_wkb(box_in_wgs84(bbox, datum)), WGS84)


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


def conditions(query: FeatureQuery) -> list[ColumnElement[bool]]:
    """Return the conditions of a query, without its paging."""
    table = table_for(query.layer)
    found = [_equals(table, condition) for condition in query.filters]
    if query.bbox is not None:
        # ST_Intersects asks the index (&&) itself and then tests the shape, not its box.
        found.append(func.ST_Intersects(table.c.geom, _area(query.bbox, query.datum)))
    if query.feature_id is not None:
        found.append(table.c.id == query.feature_id)
    return found
