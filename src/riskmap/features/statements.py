"""Every SQL statement about features, as named pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Select,
    String,
    Text,
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
from sqlalchemy.sql.selectable import NamedFromClause

from riskmap.catalog.spec import Child, Kind, Layer
from riskmap.crs.datum import Datum
from riskmap.db.tables import CITY, FEED
from riskmap.features.query import FeatureQuery
from riskmap.features.where import beyond, conditions, keys, ordering, table_for
from riskmap.units import WGS84

# A degree of the meridian is at most 111.7 km and one of a parallel is less: what is simplified
# by so many degrees has moved at most so many metres.
_M_PER_DEGREE = 111_700


def child_rows(source: FromClause, child: Child, *, restricted: bool) -> ColumnElement[Any]:
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


def properties_text(query: FeatureQuery, table: NamedFromClause) -> ColumnElement[str]:
    """Return the expression of a feature's properties as JSON text.

    The text of `row_to_json`, column by column: that function looks up the type of every value
    anew, and costs a null as much as a value. Half of a feature's fields are null.

    All fields are one piece of SQL, made of the names that the layer declares: as expressions of
    SQLAlchemy forty of them take longer to build than a short page takes to read.
    """
    fields: list[str] = []
    for field in query.fields:
        column = f"{table.name}.{field.name}"
        plain = field.kind in (Kind.INTEGER, Kind.BOOLEAN)  # they print themselves as JSON
        value = f"{column if plain else f'to_json({column})'}::text"
        key = _key(field.name, first=not fields)
        fields.append(f"coalesce('{key}' || {value}, '{key}null')")
    members: list[ColumnElement[str]] = []
    if fields:
        members.append(literal_column(f"({' || '.join(fields)})", Text))
    for child in query.children:  # jsonb prints itself, too
        rows = cast(child_rows(table, child, restricted=query.restricted), Text)
        key = _key(child.name, first=not members)
        members.append(func.coalesce(literal(key, String) + rows, literal(f"{key}null", String)))
    return sum(members, literal("{", String)) + literal("}", String)


def _key(name: str, *, first: bool) -> str:
    return f'{"" if first else ","}"{name}":'


def geometry(query: FeatureQuery, source: FromClause) -> ColumnElement[Any]:
    """Return a feature's geometry as the answer has it: simplified, in its system, in its axes.

    ST_AsGeoJSON and ST_AsText print x, y as they stand; where the system's registry declares the
    north first, x is therefore the northing.
    """
    geom: ColumnElement[Any] = source.c.geom
    if query.tolerance_m > 0:
        # The slower of the two simplifications: an answer that analysts compute with is valid.
        geom = func.ST_SimplifyPreserveTopology(geom, query.tolerance_m / _M_PER_DEGREE)
    if query.crs.srid != WGS84:
        geom = func.ST_Transform(geom, query.crs.srid)
    return func.ST_FlipCoordinates(geom) if query.crs.north_first else geom


def feature_columns(
    query: FeatureQuery, source: NamedFromClause | None = None
) -> list[ColumnElement[Any]]:
    """Return the columns of one feature: its whole GeoJSON as `feature`, or what it is made of.

    PostGIS builds the text: concatenation is about twice as fast as json_build_object and knows no
    limit of 100 arguments (PEERS-SERVING.md section 4); the values come from `to_json`. It knows
    neither GCJ-02 nor BD-09: then the geometry is `wkb`, and the text around it `before` and
    `after`.

    Parameters
    ----------
    source
        What has the columns of the layer's table; None: the table itself.
    """
    table = table_for(query.layer) if source is None else source
    before = (
        literal('{"type":"Feature","id":', String)
        + cast(table.c.id, String)
        + literal(',"geometry":', String)
    )
    after = literal(',"properties":', String) + properties_text(query, table) + literal("}", String)
    if not query.geometry:
        return [(before + literal("null", String) + after).label("feature")]
    if query.datum is not Datum.WGS84:
        wkb = func.ST_AsBinary(geometry(query, table)).label("wkb")
        return [before.label("before"), wkb, after.label("after")]
    shape = func.ST_AsGeoJSON(geometry(query, table), query.crs.decimals, 0)
    return [(before + shape + after).label("feature")]


FeatureColumns = Callable[[FeatureQuery, NamedFromClause | None], list[ColumnElement[Any]]]


def page(query: FeatureQuery, columns: FeatureColumns = feature_columns) -> Select[Any]:
    """Return the rows of a page in order, and one more, which says whether more follow.

    The columns are those of a feature and the values of the sort keys, `key_0` and so on
    (the last is the id). A page that is read backward has its extra row first, and how many rows
    there are as `total`.
    """
    table = table_for(query.layer)
    backward = query.after is not None and query.after.backward
    marks: list[ColumnElement[Any]] = [table.c[one.field.name] for one in keys(query)]
    # A page that is read backward is sorted once more by its keys, and says them after that.
    said = marks if backward else [_said(mark) for mark in marks]
    statement = (
        select(*(mark.label(f"key_{n}") for n, mark in enumerate(said)), *columns(query, None))
        .where(*conditions(query))
        .order_by(*ordering(query, table))
    )
    if query.limit is not None:
        statement = statement.limit(query.limit + 1)
    start = beyond(query, table)
    if start is not None:
        statement = statement.where(start)
    if query.offset:
        statement = statement.offset(query.offset)
    if not backward:
        return statement
    rows = statement.subquery("rows")
    found = list(rows.c)
    marks, others = [*found[: len(marks)]], found[len(marks) :]
    back = [
        (mark.desc() if one.descending else mark.asc()).nulls_last()
        for mark, one in zip(marks, keys(query), strict=True)
    ]
    said = [_said(mark).label(f"said_{n}") for n, mark in enumerate(marks)]
    return select(*said, *others, func.count().over().label("total")).order_by(*back)


def _said(mark: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the value of a sort key as a cursor carries it.

    A time as its text: PostgreSQL knows infinity and times before the year 1, the driver does not.
    """
    return cast(mark, Text) if isinstance(mark.type, (Date, DateTime)) else mark


def one(query: FeatureQuery, columns: FeatureColumns = feature_columns) -> Select[Any]:
    """Return version and columns of the feature that the query names."""
    table = table_for(query.layer)
    return select(table.c.version, *columns(query, None)).where(*conditions(query))


def count(query: FeatureQuery, cap: int) -> Select[Any]:
    """Return the number of matches, at most `cap` + 1."""
    table = table_for(query.layer)
    matches = select(literal(1)).select_from(table).where(*conditions(query)).limit(cap + 1)
    return select(func.count()).select_from(matches.subquery())


def extent(layer: Layer) -> Select[Any]:
    """Return west, south, east, north, start and end of a layer; nulls when it is empty.

    Start and end of its features' validity are null as well where one of them is open there.
    """
    table = table_for(layer)
    box = func.ST_Extent(table.c.geom)
    since, until = table.c.valid_from, table.c.valid_to
    # min() passes over nulls, which here mean an open end.
    start = case((func.count() == func.count(since), func.min(since)), else_=None)
    end = case((func.count() == func.count(until), func.max(until)), else_=None)
    return select(
        func.ST_XMin(box).label("west"),
        func.ST_YMin(box).label("south"),
        func.ST_XMax(box).label("east"),
        func.ST_YMax(box).label("north"),
        start.label("start"),
        end.label("end"),
    ).select_from(table)


def filled(layers: Iterable[Layer]) -> Select[Any]:
    """Return whether any of the layers holds a feature."""
    return select(or_(*(exists(select(table_for(layer).c.id)) for layer in layers)))


def revisions(layers: Iterable[Layer]) -> Select[Any]:
    """Return the last revision of each of these layers and when it was committed.

    One look into the index for each layer, however long the feed has grown.
    """
    return revisions_of([layer.id for layer in layers])


def revisions_of(ids: Sequence[str]) -> Select[Any]:
    """Return the statement of `revisions` for layers by their ids."""
    names = func.unnest(cast(list(ids), ARRAY(String))).table_valued("layer").render_derived()
    last = (
        select(FEED.c.revision, FEED.c.at)
        .where(FEED.c.layer == names.c.layer, FEED.c.revision.is_not(None))
        .order_by(FEED.c.revision.desc())
        .limit(1)
        .lateral("last")
    )
    return select(names.c.layer, last.c.revision, last.c.at).select_from(names.join(last, true()))


def city_and_revision(layer: Layer) -> Select[Any]:
    """Return one row: the city's box and local system, and the layer's last revision and its time.

    Nulls where there is no city, and where the layer was never touched.
    """
    last = revisions([layer]).subquery("last")
    one = select(literal(1).label("one")).subquery("one")
    return select(
        CITY.c.west,
        CITY.c.south,
        CITY.c.east,
        CITY.c.north,
        CITY.c.local_srid,
        last.c.revision,
        last.c.at,
    ).select_from(one.outerjoin(CITY, true()).outerjoin(last, true()))


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
