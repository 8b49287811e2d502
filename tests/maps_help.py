"""What the tests of map files share: one small table, written in every format by GDAL."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely

from riskmap.crs.input import read_crs
from riskmap.errors import InputError
from riskmap.ingest.batches import Batch, ReadOptions, Source
from riskmap.ingest.readers import read

DRIVERS = {
    "shp": "ESRI Shapefile",
    "gpkg": "GPKG",
    "fgb": "FlatGeobuf",
    "gdb": "OpenFileGDB",
    "geojsonl": "GeoJSONSeq",
    "kml": "KML",
}


def options(crs: str = "EPSG:4326", **others: Any) -> ReadOptions:
    return ReadOptions(crs=read_crs(crs), **others)


def source(path: Path, crs: str = "EPSG:4326", **others: Any) -> Source:
    return read(path, options(crs, **others))


def batches(path: Path, crs: str = "EPSG:4326", **others: Any) -> list[Batch]:
    return list(source(path, crs, **others).batches())


def refused(path: Path, crs: str = "EPSG:4326", **others: Any) -> InputError:
    """Read a file to its end, which must be refused in both languages."""
    with pytest.raises(InputError) as caught:
        batches(path, crs, **others)
    assert caught.value.text("zh")
    assert caught.value.text("en")
    return caught.value


def column(found: Iterable[Batch], heading: str) -> list[object]:
    return [cell for batch in found for cell in batch.columns[heading]]


def write(
    path: Path,
    columns: dict[str, Any],
    shapes: Sequence[shapely.Geometry | None] | None = None,
    *,
    crs: str | None = "EPSG:4326",
    kind: str = "Point",
    masks: dict[str, Any] | None = None,
    **others: Any,
) -> Path:
    """Write a table by GDAL; points from (120, 36) eastwards where no shapes are given."""
    count = len(next(iter(columns.values())))
    if shapes is None:
        shapes = [shapely.Point(120 + n / 1000, 36) for n in range(count)]
    wkb = np.empty(count, dtype=object)
    wkb[:] = [None if shape is None else shapely.to_wkb(shape) for shape in shapes]
    data = [np.array(values, dtype=kind_of(values)) for values in columns.values()]
    pyogrio.raw.write(
        str(path),
        wkb,
        data,
        list(columns),
        field_mask=[(masks or {}).get(name) for name in columns],
        driver=DRIVERS[path.suffix[1:]],
        geometry_type=kind,
        crs=crs,
        **others,
    )
    return path


def kind_of(values: Sequence[Any]) -> Any:
    if isinstance(values, np.ndarray):
        return values.dtype
    return object if any(isinstance(v, str | None) for v in values) else None


def packed(
    target: Path, folder: Path, names: Iterable[str] | None = None, *, prefix: str = ""
) -> Path:
    """Pack the files of a folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path != target and (names is None or path.name in names):
                archive.write(path, prefix + str(path.relative_to(folder)))
    return target
