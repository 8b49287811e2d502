"""From a file to batches of rows: the one way in, with its allow-list.

A format is known by its ending *and* by its content. `READERS` says which reader an ending means;
each reader checks the content before it or GDAL goes on (see `riskmap.ingest.gdal` for what GDAL
may do). Our own code reads tables, GeoJSON, GeoJSONSeq and KML, row by row, which also keeps row
numbers, integers and nested values as they stand in the file; GDAL reads shapefiles, GeoPackages,
FlatGeobuf and geodatabases, page by page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.archives import FULL, unpack
from riskmap.ingest.batches import ReadOptions, Source
from riskmap.ingest.packed import Packed
from riskmap.ingest.read_csv import TEXT_TABLES, Csv
from riskmap.ingest.read_flatgeobuf import FlatGeobuf
from riskmap.ingest.read_gdb import Geodatabase
from riskmap.ingest.read_geojson import GeoJson
from riskmap.ingest.read_geojsonseq import GeoJsonSeq
from riskmap.ingest.read_gpkg import GeoPackage
from riskmap.ingest.read_kml import KmlFile
from riskmap.ingest.read_shapefile import Shapefile
from riskmap.ingest.read_xlsx import EXCEL, Xlsx
from riskmap.ingest.report import shorten

_REMOTE: Final = re.compile(r"[/\\]*vsi|[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)


def _zip(path: Path, options: ReadOptions) -> Source:
    unpacked, table = unpack(path, options)
    if unpacked.suffix not in READERS:
        raise InputError("ingest.file.format", parameter="file", value=unpacked.name)
    source = READERS[unpacked.suffix](unpacked, _table_for(unpacked, replace(options, table=table)))
    return Packed(source, f"rejected{unpacked.suffix}")


def _kmz(path: Path, options: ReadOptions) -> Source:
    unpacked, table = unpack(path, options, kmz=True)
    return Packed(KmlFile(unpacked, replace(options, table=table)), "doc.kml")


READERS: Final[dict[str, Callable[[Path, ReadOptions], Source]]] = {
    ".geojson": GeoJson,
    ".json": GeoJson,
    ".geojsonl": GeoJsonSeq,
    ".geojsons": GeoJsonSeq,
    ".geojsonseq": GeoJsonSeq,
    ".ndjson": GeoJsonSeq,
    ".jsonl": GeoJsonSeq,
    **dict.fromkeys(TEXT_TABLES, Csv),
    **dict.fromkeys(EXCEL, Xlsx),
    ".shp": Shapefile,
    ".gpkg": GeoPackage,
    ".fgb": FlatGeobuf,
    ".kml": KmlFile,
    ".kmz": _kmz,
    ".zip": _zip,
    ".gdb": Geodatabase,
}
"""Ending -> reader. A reader is called with the path and the options, and raises InputError."""

WITH_TABLES: Final = frozenset({".gpkg", ".gdb", ".kml", ".kmz", ".zip", *EXCEL})
"""Endings whose files may hold several tables, of which `options.table` names one."""


def _table_for(path: Path, options: ReadOptions) -> ReadOptions:
    if options.table is not None and path.suffix.lower() not in WITH_TABLES:
        raise InputError("ingest.table.none", parameter="table", value=options.table)
    return options


def read(path: Path, options: ReadOptions) -> Source:
    """Open a file, or a folder with a shapefile or geodatabase, for import.

    Raises
    ------
    InputError
        It is remote, missing, empty, of another format, or not what its ending says.
    """
    if _REMOTE.match(str(path)):
        raise InputError("ingest.file.remote", parameter="file", value=str(path)[:120])
    try:
        if path.is_dir() and path.suffix.lower() not in READERS:
            path, options = _in_folder(path, options)
            return Packed(read(path, options), f"rejected{path.suffix.lower()}")
        ending = path.suffix.lower()
        if ending not in READERS:
            raise InputError("ingest.file.format", parameter="file", value=path.name)
        _table_for(path, options)
        if not (path.is_dir() if ending == ".gdb" else path.is_file()):
            raise InputError("ingest.file.missing", parameter="file", value=str(path))
        if ending != ".gdb":
            with path.open("rb") as file:
                head = file.read(4096)
            if not head.removeprefix(b"\xef\xbb\xbf").strip():
                raise InputError("ingest.file.empty", parameter="file", value=path.name)
        return READERS[ending](path, options)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise InputError("ingest.file.denied", parameter="file", value=str(path)) from None


def _in_folder(folder: Path, options: ReadOptions) -> tuple[Path, ReadOptions]:
    """Find the one shapefile or geodatabase of a folder, or the one that is named."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".shp", ".gdb"))
    named = [path for path in found if options.table in (path.name, path.stem)]
    if len(named) == 1:
        return named[0], replace(options, table=None)
    if len(found) == 1:
        return found[0], options
    known = ", ".join(shorten(path.name) for path in found)
    if found:
        raise InputError(
            "ingest.archive.several", parameter="table", value=folder.name, known=known
        )
    raise InputError("ingest.archive.empty", parameter="file", value=folder.name)
