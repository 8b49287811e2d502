"""Every SQL statement about features, as named pure functions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on

from riskmap.catalog.spec import Child, Layer
from riskmap.db.tables import FEED
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for

# 7 decimals of a degree are 1 cm; more is noise that every reader downloads.
DECIMALS = 7


def _child(layer: Layer, child: Child, *, restricted: bool) -> ColumnElement[Any]:
    """Return a child's rows, without the restricted keys for a caller who may not read them."""
    column: ColumnElement[Any] = table_for(layer).c[child.name]
    hidden = [field.name for field in child.fields if field.restricted]
    if restricted or not hidden:
        return column
    element = func.jsonb_array_elements(column).table_valued("value").render_derived()
    rows: ColumnElement[Any] = element.c.value
    for name in hidden:
        rows = rows.op("-")(literal(name, String))
    return select(func.jsonb_agg(rows)).select_from(element).scalar_subquery()


def feature_text(query: FeatureQuery) -> ColumnElement[str]:
    """Return the expression of one GeoJSON feature, built as text in PostGIS.

    Text concatenation is about twice as fast as json_build_object and knows no limit of 100
    arguments (PEERS-SERVING.md section 4). The numbers in the row come from `row_to_json`.
    """
    table = table_for(query.layer)
    columns: list[ColumnElement[Any]] = [table.c[field.name] for field in query.fields]
    columns += [
        _child(query.layer, child, restricted=query.restricted).label(child.name)
        for child in query.layer.children
    ]
    properties = select(*columns).correlate(table).subquery("properties")
    row = select(func.row_to_json(literal_column("properties"))).select_from(properties)
    return (
        literal('{"type":"Feature","id":', String)
        + cast(table.c.id, String)
        + literal(',"geometry":', String)
        + func.ST_AsGeoJSON(table.c.geom, DECIMALS, 0)
        + literal(',"properties":', String)
        + cast(row.scalar_subquery(), String)
        + literal("}", String)
    )


def page(query: FeatureQuery) -> Select[Any]:
    """Return (id, feature text) of a page and of one row more, which says whether more follow."""
    table = table_for(query.layer)
    statement = (
        select(table.c.id, feature_text(query).label("feature"))
        .where(*conditions(query))
        .order_by(table.c.id)
        .limit(query.limit + 1)
    )
    if query.after is not None:
        statement = statement.where(table.c.id > query.after)
    if query.offset:
        statement = statement.offset(query.offset)
    return statement


def count(query: FeatureQuery, cap: int) -> Select[Any]:
    """Return the number of matches, at most `cap` + 1."""
    table = table_for(query.layer)
    matches = select(literal(1)).select_from(table).where(*conditions(query)).limit(cap + 1)
    return select(func.count()).select_from(matches.subquery())


def extent(layer: Layer) -> Select[Any]:
    """Return west, south, east, north of a layer; nulls when it is empty."""
    box = func.ST_Extent(table_for(layer).c.geom)
    return select(func.ST_XMin(box), func.ST_YMin(box), func.ST_XMax(box), func.ST_YMax(box))


def revisions() -> Select[Any]:
    """Return the last revision of every layer and when it was committed."""
    return (
        select(FEED.c.layer, FEED.c.revision, FEED.c.at)
        .ext(distinct_on(FEED.c.layer))
        .where(FEED.c.revision.is_not(None))
        .order_by(FEED.c.layer, FEED.c.revision.desc())
    )


def geometries(query: FeatureQuery, fields: tuple[str, ...]) -> Select[Any]:
    """Return id, WKB and some fields of every match, in the order of ids: for the analyses."""
    table = table_for(query.layer)
    visible = {field.name for field in query.fields}
    if hidden := set(fields) - visible:
        raise KeyError(f"fields not visible to this query: {sorted(hidden)}")
    return (
        select(
            table.c.id,
            func.ST_AsBinary(table.c.geom).label("wkb"),
            *(table.c[name] for name in fields),
        )
        .where(*conditions(query))
        .order_by(table.c.id)
    )
