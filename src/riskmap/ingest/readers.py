"""From a file to batches of rows: the one way in, with its allow-list.

A format is known by its ending *and* by its first bytes. GDAL decides by content alone: a VRT
or a GDALG pipeline named `x.geojson` would be opened and may read other files or the network.
So GDAL only ever sees what starts like a GeoPackage; tables and GeoJSON are read by our own code,
which also keeps row numbers, integers and nested values as they stand in the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.batches import ReadOptions, Source
from riskmap.ingest.read_csv import TEXT_TABLES, Csv
from riskmap.ingest.read_geojson import GeoJson
from riskmap.ingest.read_gpkg import GeoPackage
from riskmap.ingest.read_xlsx import EXCEL, Xlsx

_REMOTE: Final = re.compile(r"[/\\]*vsi|[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)


def read(path: Path, options: ReadOptions) -> Source:
    """Open a file for import.

    Raises
    ------
    InputError
        It is remote, missing, empty, of another format, or not what its ending says.
    """
    if _REMOTE.match(str(path)):
        raise InputError("ingest.file.remote", parameter="file", value=str(path)[:120])
    ending = path.suffix.lower()
    if ending not in (".geojson", ".json", ".gpkg", *TEXT_TABLES, *EXCEL):
        raise InputError("ingest.file.format", parameter="file", value=path.name)
    if options.table is not None and ending not in (".gpkg", *EXCEL):
        raise InputError("ingest.table.none", parameter="table", value=options.table)
    try:
        if not path.is_file():
            raise InputError("ingest.file.missing", parameter="file", value=str(path))
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        raise InputError("ingest.file.denied", parameter="file", value=str(path)) from None
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError("ingest.file.empty", parameter="file", value=path.name)
    if ending == ".gpkg":
        return GeoPackage(path, head, options.crs, options.table)
    if ending in TEXT_TABLES:
        return Csv(path, options)
    if ending in EXCEL:
        return Xlsx(path, options)
    return GeoJson(path, options.crs)
