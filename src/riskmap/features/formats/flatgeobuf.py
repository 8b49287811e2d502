"""FlatGeobuf with its spatial index, written by GDAL from Arrow batches.

GDAL keeps about 100 bytes of every feature until the end, for the index; the features themselves
wait in a file beside the one it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyogrio

from riskmap.crs.datum import Datum
from riskmap.db.cursors import Row
from riskmap.features.formats import arrow
from riskmap.features.query import FeatureQuery


def write(
    path: Path,
    query: FeatureQuery,
    batches: Iterator[Sequence[Row]],
    *,
    check: Callable[[], None],
) -> None:
    """Write the file; lists of texts are their JSON, since the format knows no lists."""
    failed: list[BaseException] = []

    def kept() -> Iterator[pa.RecordBatch]:
        # Of what is raised here GDAL passes on a text at best: the first fault is the true one.
        try:
            yield from arrow.record_batches(query, batches, lists=False, check=check)
        except BaseException as error:
            failed.append(error)
            raise

    wanted = arrow.schema(query, lists=False)
    options = {"SPATIAL_INDEX": "YES" if query.geometry else "NO"}
    try:
        with pa.RecordBatchReader.from_batches(wanted, kept()) as reader:
            pyogrio.raw.write_arrow(
                reader,
                path,
                driver="FlatGeobuf",
                layer=query.layer.id,
                geometry_name=arrow.GEOMETRY if query.geometry else None,
                geometry_type=_kind(query),
                # A datum that no registry has is no system at all: the file says none.
                crs=f"EPSG:{query.crs.srid}" if query.datum is Datum.WGS84 else None,
                layer_options=options,
            )
    except Exception:
        # Whatever class GDAL makes of an error in `kept`: the one that was raised is in `failed`.
        if failed:
            raise failed[0] from None
        raise
    if failed:
        raise failed[0]


def _kind(query: FeatureQuery) -> str | None:
    if not query.geometry:
        return None
    declared = str(query.layer.geometry)
    return "Unknown" if declared == "Geometry" else declared
