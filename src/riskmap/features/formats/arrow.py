"""Rows as Arrow record batches: what FlatGeobuf and GeoParquet are written from.

PostGIS makes a line of CSV and the WKB of each row, and Arrow's own reader turns the lines into
typed columns: thirty columns of a million rows never become Python objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import shapely
from pyarrow import csv
from sqlalchemy import Select, literal

from riskmap.catalog.spec import Kind
from riskmap.db.cursors import Row
from riskmap.features.formats import ID_COLUMN
from riskmap.features.formats.columns import (
    Column,
    attributes,
    moved,
    rows,
    wkb,
)
from riskmap.features.formats.datums import shapes
from riskmap.features.formats.delimited import cell, line
from riskmap.features.query import FeatureQuery
from riskmap.features.where import table_for

GEOMETRY: Final = "geometry"
_TYPES: Final = {
    Kind.INTEGER: pa.int32(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    # Microseconds, as PostgreSQL has them.
    Kind.DATETIME: pa.timestamp("us", tz="UTC"),
}
_LIST: Final = pa.list_(pa.string())


def schema(query: FeatureQuery, *, lists: bool) -> pa.Schema:
    """Return the types of the columns, the geometry's last.

    Parameters
    ----------
    lists
        Whether the format knows lists of texts; else they are their JSON.
    """
    fields = [pa.field(one.name, _type(one, lists=lists)) for one in attributes(query)]
    if query.geometry:
        fields.append(pa.field(GEOMETRY, pa.binary()))
    return pa.schema(fields)


def _type(column: Column, *, lists: bool) -> pa.DataType:
    if column.name == ID_COLUMN:
        return pa.int64()
    if column.kind is Kind.TEXTS and lists:
        return _LIST
    return _TYPES.get(column.kind, pa.string()) if column.kind is not None else pa.string()


def statement(query: FeatureQuery) -> Select[Any]:
    """Select each row's line and, where the answer has geometries, its WKB."""
    table = table_for(query.layer)
    cells = [cell(query, one, table) for one in attributes(query)]
    text = line([*cells], "\n").label("line") if len(cells) > 1 else (cells[0] + literal("\n"))
    return rows(query, text, *([wkb(query, table)] if query.geometry else []))


def record_batches(
    query: FeatureQuery,
    batches: Iterator[Sequence[Row]],
    *,
    lists: bool,
    check: Callable[[], None],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows with the types of `schema`.

    Parameters
    ----------
    check
        Called between batches; what it raises ends the work.
    """
    wanted = schema(query, lists=lists)
    names = [one.name for one in attributes(query)]
    read = csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 30)
    parse = csv.ParseOptions(newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types={
            field.name: pa.string() if field.type == _LIST else field.type
            for field in wanted
            if field.name in names
        },
        null_values=[""],
        true_values=["true"],
        false_values=["false"],
        strings_can_be_null=True,
        # "" is an empty text, and nothing at all is null.
        quoted_strings_can_be_null=False,
    )
    for batch in batches:
        check()
        text = BytesIO(b"".join(row[0] for row in batch))
        found = csv.read_csv(text, read, parse, convert).combine_chunks()
        columns = [_listed(found[name], wanted.field(name).type) for name in names]
        if query.geometry:
            columns.append(_geometries(batch, query))
        yield pa.record_batch(columns, schema=wanted)


def _listed(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.Array:
    whole = column.combine_chunks()
    if wanted != _LIST:
        return whole
    return pa.array(
        [None if text is None else orjson.loads(text) for text in whole.to_pylist()], _LIST
    )


def _geometries(batch: Sequence[Row], query: FeatureQuery) -> pa.Array:
    found = [row[1] for row in batch]
    if moved(query):
        turned = shapes(found, query.datum)
        found = shapely.to_wkb(turned).tolist()
    return pa.array(found, pa.binary())


def bounds(found: np.ndarray[Any, Any], so_far: list[float] | None) -> list[float] | None:
    """Return the box around geometries and what was met before; None: neither has any."""
    west, south, east, north = shapely.total_bounds(found).tolist()
    if west != west:  # noqa: PLR0124 - NaN: there is nothing
        return so_far
    if so_far is None:
        return [west, south, east, north]
    return [
        min(west, so_far[0]),
        min(south, so_far[1]),
        max(east, so_far[2]),
        max(north, so_far[3]),
    ]
