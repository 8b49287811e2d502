"""JSON-FG (OGC 21-045r1): GeoJSON with the feature's time, and its place in any system.

In CRS84 the geometry is GeoJSON's own and `place` is null. In any other system GeoJSON has no
geometry, and `place` has it in the axes of that system.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, String, case, cast, func, literal, or_
from sqlalchemy.sql.selectable import NamedFromClause

from riskmap.crs.datum import Datum
from riskmap.crs.served import CRS84
from riskmap.errors import InputError
from riskmap.features import read, statements
from riskmap.features.formats.columns import as_text, attributes
from riskmap.features.query import FeatureQuery
from riskmap.features.where import TIME, table_for

_CONF: Final = "http://www.opengis.net/spec/json-fg-1/1.0/conf"
CONFORMS_TO: Final = (f"{_CONF}/core", f"{_CONF}/types-schemas")


def check(query: FeatureQuery) -> None:
    """Refuse what JSON-FG has no words for.

    Raises
    ------
    InputError
        A datum without a URI: `place` would lie.
    """
    if query.datum is not Datum.WGS84:
        raise InputError("formats.datum", parameter="datum", value=query.datum, format="JSON-FG")


def head(query: FeatureQuery) -> dict[str, Any]:
    """Return what the document says once: of all its features, or of its only one."""
    return {
        "conformsTo": list(CONFORMS_TO),
        "featureType": query.layer.id,
        "coordRefSys": query.crs.uri,
    }


def feature_columns(
    query: FeatureQuery, source: NamedFromClause | None = None
) -> list[ColumnElement[Any]]:
    """Return the column of one feature, as `statements.feature_columns` does."""
    table = table_for(query.layer) if source is None else source
    shape: ColumnElement[Any] = literal("null", String)
    if query.geometry:
        geom = statements.geometry(query, table)
        shape = func.ST_AsGeoJSON(geom, query.crs.decimals, 0)
    null = literal("null", String)
    geometry, place = (shape, null) if query.crs is CRS84 else (null, shape)
    text = (
        literal('{"type":"Feature","id":', String)
        + cast(table.c.id, String)
        + literal(',"time":', String)
        + _time(query, table)
        + literal(',"geometry":', String)
        + geometry
        + literal(',"place":', String)
        + place
        + literal(',"properties":', String)
        + statements.properties_text(query, table)
        + literal("}", String)
    )
    return [text.label("feature")]


def _time(query: FeatureQuery, table: NamedFromClause) -> ColumnElement[Any]:
    """Return since when and until when the feature counts, `..` for an open end."""
    kinds = {one.name: one for one in attributes(query)}
    ends = []
    for name in TIME:
        if name not in kinds:  # not chosen: the answer is not to tell it
            return literal("null", String)
        text = as_text(kinds[name], table.c[name])
        ends.append(func.coalesce(text, ".."))
    since, until = ends
    interval = func.concat('{"interval":["', since, '","', until, '"]}')
    known = or_(*(table.c[name].is_not(None) for name in TIME))
    return case((known, interval), else_=literal("null", String))


FORM: Final = read.Form(head, feature_columns)
