"""GeoParquet 1.1: Parquet with a `geo` entry that says what the geometries are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import shapely
from pyarrow import parquet
from pyproj import CRS

from riskmap.crs.datum import Datum
from riskmap.crs.served import CRS84
from riskmap.db.cursors import Row
from riskmap.features.formats import arrow
from riskmap.features.query import FeatureQuery

_VERSION: Final = "1.1.0"
# Readers skip whole row groups; one of them is held until it is full.
_GROUP_BYTES: Final = 16 << 20
_GROUP_ROWS: Final = 50_000
_KINDS: Final = {
    0: "Point", 1: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString",
    6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip


def write(
    path: Path,
    query: FeatureQuery,
    batches: Iterator[Sequence[Row]],
    *,
    check: Callable[[], None],
) -> None:
    """Write the file; the positions have the longitude (or the east) first, as the format wants."""
    wanted = arrow.schema(query, lists=True)
    box: list[float] | None = None
    kinds: set[int] = set()
    with parquet.ParquetWriter(path, wanted, compression="zstd", compression_level=3) as writer:
        pending: list[pa.RecordBatch] = []
        for batch in arrow.record_batches(query, batches, lists=True, check=check):
            if query.geometry:
                shapes = shapely.from_wkb(batch[arrow.GEOMETRY].to_numpy(zero_copy_only=False))
                box = arrow.bounds(shapes, box)
                kinds |= set(shapely.get_type_id(shapes).tolist()) - {-1}
            pending.append(batch)
            if (
                sum(one.nbytes for one in pending) >= _GROUP_BYTES
                or sum(one.num_rows for one in pending) >= _GROUP_ROWS
            ):
                writer.write_table(pa.Table.from_batches(pending, wanted))
                pending = []
        if pending:
            writer.write_table(pa.Table.from_batches(pending, wanted))
        if query.geometry:
            writer.add_key_value_metadata({"geo": orjson.dumps(_geo(query, box, kinds)).decode()})


def _geo(query: FeatureQuery, box: list[float] | None, kinds: set[int]) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(_KINDS[kind] for kind in kinds),
        "crs": _crs(query),
    }
    if box is not None:
        column["bbox"] = box
    return {
        "version": _VERSION,
        "primary_column": arrow.GEOMETRY,
        "columns": {arrow.GEOMETRY: column},
    }


def _crs(query: FeatureQuery) -> dict[str, Any] | None:
    """Return PROJJSON; null, which means unknown, for a datum that no registry has."""
    if query.datum is not Datum.WGS84:
        return None
    crs = CRS.from_user_input("OGC:CRS84") if query.crs is CRS84 else CRS.from_epsg(query.crs.srid)
    return crs.to_json_dict()
