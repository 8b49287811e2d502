"""Every SQL statement about features, as named pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Select,
    String,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from riskmap.catalog.spec import Child, Layer
from riskmap.db.tables import FEED
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for

# 7 decimals of a degree are 1 cm; more is noise that every reader downloads.
DECIMALS = 7


def _child(source: FromClause, child: Child, *, restricted: bool) -> ColumnElement[Any]:
    """Return a child's rows; a caller who may not read restricted fields gets the public ones.

    Public are the fields that the child declares so, and no other key: what nobody modelled is
    unreviewed, like `attributes`. A row that is no object (psql can store one) is left out, and
    what is no array at all is null.
    """
    column: ColumnElement[Any] = source.c[child.name]
    if restricted:
        return column
    public = [field.name for field in child.fields if not field.restricted]
    # jsonb_array_elements fails on what is no array, jsonb_each on what is no object.
    array = case((func.jsonb_typeof(column) == "array", column), else_=None)
    row = (
        func.jsonb_array_elements(array)
        .table_valued("value", with_ordinality="place", name="child_row")
        .render_derived()
    )
    is_object = func.jsonb_typeof(row.c.value) == "object"
    pair = (
        func.jsonb_each(case((is_object, row.c.value), else_=None))
        .table_valued("key", "value", name="child_pair")
        .render_derived()
    )
    kept = (
        select(
            func.coalesce(
                func.jsonb_object_agg(pair.c.key, pair.c.value),
                cast(literal("{}", String), JSONB),
            )
        )
        .select_from(pair)
        .where(pair.c.key == any_(literal(public, ARRAY(String))))
        .scalar_subquery()
    )
    rows = (
        select(func.jsonb_agg(aggregate_order_by(kept, row.c.place)))
        .select_from(row)
        .where(is_object)
        .scalar_subquery()
    )
    nothing = case((array.is_not(None), cast(literal("[]", String), JSONB)), else_=None)
    return func.coalesce(rows, nothing)


def feature_text(query: FeatureQuery, source: FromClause | None = None) -> ColumnElement[str]:
    """Return the expression of one GeoJSON feature, built as text in PostGIS.

    Text concatenation is about twice as fast as json_build_object and knows no limit of 100
    arguments (PEERS-SERVING.md section 4). The numbers in the row come from `row_to_json`.

    Parameters
    ----------
    source
        What has the columns of the layer's table; None: the table itself.
    """
    table = table_for(query.layer) if source is None else source
    columns: list[ColumnElement[Any]] = [table.c[field.name] for field in query.fields]
    columns += [
        _child(table, child, restricted=query.restricted).label(child.name)
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


def filled(layers: Iterable[Layer]) -> Select[Any]:
    """Return whether any of the layers holds a feature."""
    return select(or_(*(exists(select(table_for(layer).c.id)) for layer in layers)))


def revisions(layers: Iterable[Layer]) -> Select[Any]:
    """Return the last revision of each of these layers and when it was committed.

    One look into the index for each layer, however long the feed has grown.
    """
    names = (
        func.unnest(cast([layer.id for layer in layers], ARRAY(String)))
        .table_valued("layer")
        .render_derived()
    )
    last = (
        select(FEED.c.revision, FEED.c.at)
        .where(FEED.c.layer == names.c.layer, FEED.c.revision.is_not(None))
        .order_by(FEED.c.revision.desc())
        .limit(1)
        .lateral("last")
    )
    return select(names.c.layer, last.c.revision, last.c.at).select_from(names.join(last, true()))


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
