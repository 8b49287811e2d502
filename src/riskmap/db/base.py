"""From a layer's declaration to its table: the common columns and the declared ones."""

from __future__ import annotations

from typing import Any, Final

from geoalchemy2 import Geometry as GeometryColumn
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.types import TypeEngine

from riskmap.catalog.spec import IDENTITY_FIELDS, Field, Geometry, Kind, Layer
from riskmap.units import WEB_MERCATOR, WGS84

# Tiles up to this zoom draw lines and areas from a copy that is as coarse as a pixel of it, which
# is the world's width in Web Mercator metres over 512 pixels and 2^10 tiles.
LOW_ZOOM: Final = 10
LOW_PIXEL_M: Final = 76.43702828517625

# Every constraint has a name, so that migrations can speak of it.
METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_TYPES: Final[dict[Kind, TypeEngine[Any]]] = {
    Kind.TEXT: Text(),
    Kind.INTEGER: Integer(),
    Kind.NUMBER: Double(),
    Kind.BOOLEAN: Boolean(),
    Kind.DATE: Date(),
    Kind.DATETIME: DateTime(timezone=True),
    Kind.TEXTS: ARRAY(Text()),
    Kind.JSON: JSONB(),
}

# What the database itself gives a row that does not say: name -> server default.
_DEFAULTS: Final = {
    "source_system": text("'local'"),
    "version": text("1"),
    "created_at": text("now()"),
    "updated_at": text("now()"),
}


def _column(field: Field) -> Column[Any]:
    return Column(
        field.name,
        _TYPES[field.kind],
        nullable=not (field.required or field.name in _DEFAULTS),
        server_default=_DEFAULTS.get(field.name),
    )


def geometry_columns(kind: Geometry) -> tuple[Column[Any], Column[Any]]:
    """Return `geom` in WGS 84 and its copy in Web Mercator, which the database computes.

    Tiles read the copy: transforming each row for each tile costs about twice as much.
    """
    return (
        Column("geom", GeometryColumn(str(kind), WGS84, spatial_index=False), nullable=False),
        Column(
            "geom_3857",
            GeometryColumn(str(kind), WEB_MERCATOR, spatial_index=False),
            Computed(f"ST_Transform(geom, {WEB_MERCATOR})", persisted=True),
        ),
    )


def _low_column() -> Column[Any]:
    """Return a line's or an area's copy for low zooms, a pixel of zoom 10 coarse.

    A tile of a whole city has ten thousand shapes, and half a second goes into simplifying them;
    the copy, of some eleven vertices, takes a third of that. A generated column cannot be
    computed from another one; psql can store a curve, which cannot be simplified as it is.
    """
    drawn = f"ST_CurveToLine(ST_Transform(geom, {WEB_MERCATOR}))"
    return Column(
        "geom_low",
        GeometryColumn("GEOMETRY", WEB_MERCATOR, spatial_index=False),
        Computed(f"ST_Simplify({drawn}, {LOW_PIXEL_M!r}, true)", persisted=True),
    )


def _search_column(layer: Layer) -> Column[Any]:
    """Return the column that the search looks into: names and codes weigh more than the rest."""
    first = {field.name for field in IDENTITY_FIELDS}
    names = [field.name for field in layer.fields if field.searched]
    texts = (
        " || ' ' || ".join(f"coalesce({name}, '')" for name in names if (name in first) is leading)
        for leading in (True, False)
    )
    return Column(
        "search", TSVECTOR, Computed(f"riskmap.search_vector({', '.join(texts)})", persisted=True)
    )


def table_of(layer: Layer) -> Table:
    """Make a layer's table: id, geometry, its fields, its children as JSON arrays, the search."""
    table = Table(
        layer.table,
        METADATA,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        *geometry_columns(layer.geometry),
        *(_column(field) for field in layer.fields),
        *(Column(child.name, JSONB) for child in layer.children),
        _search_column(layer),
        *([] if layer.geometry is Geometry.POINT else [_low_column()]),
        UniqueConstraint("source_system", "code"),
        info={"layer": layer.id},
    )
    for column in ("geom", "geom_3857"):
        Index(f"ix_{layer.table}_{column}", table.c[column], postgresql_using="gist")
    Index(f"ix_{layer.table}_search", table.c.search, postgresql_using="gin")
    Index(None, table.c.admin_code)
    if layer.assessed:
        table.append_constraint(CheckConstraint("risk_level BETWEEN 1 AND 4", name="risk_level"))
    return table
