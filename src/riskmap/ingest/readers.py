"""From a file to batches of rows: the one way in, with its allow-list.

A format is known by its ending *and* by its first bytes. GDAL decides by content alone: a VRT
or a GDALG pipeline named `x.geojson` would be opened and may read other files or the network.
So GDAL only ever sees what starts like a GeoPackage; tables and GeoJSON are read by our own code,
which also keeps row numbers, integers and nested values as they stand in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from riskmap.crs.epsg import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.report import Problem

Geometries = NDArray[Any]

BATCH_ROWS: Final = 10_000
_REMOTE: Final = re.compile(r"[/\\]*vsi|[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows, as the file has them, column by column.

    Parameters
    ----------
    rows
        Number of each data row, from 1.
    columns
        Heading -> cells; without the coordinates of a table.
    geometry
        Shapely geometries in the file's own coordinates, None where a row has none.
    problems
        Rows that could not be read as such.
    position
        How far the file is read: done, of all.
    """

    rows: Sequence[int]
    columns: dict[str, list[object]]
    geometry: Geometries
    problems: tuple[Problem, ...] = ()
    position: tuple[int, int] = (0, 0)


class Source(Protocol):
    """An opened file."""

    @property
    def headings(self) -> tuple[str, ...] | None:
        """The headings, or None when only reading to the end tells them (GeoJSON)."""

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file."""


def geometries(items: Sequence[object]) -> Geometries:
    """Return shapely geometries and None as one array of objects."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def unreadable(path: Path) -> InputError:
    """Return the error for a file that is not what its ending says, or is damaged."""
    return InputError("ingest.file.unreadable", parameter="file", value=path.name)


def check_declared(declared: str, crs: InputCrs) -> None:
    """Compare what a file declares with what the caller stated.

    Raises
    ------
    InputError
        They differ; the message names both.
    """
    if not crs.is_same_as(declared):
        name = " ".join(declared.split())[:80]
        raise InputError("crs.differs", parameter="crs", value=crs.name, declared=name)


def read(
    path: Path, crs: InputCrs, mapping: FieldMapping | None = None, *, table: str | None = None
) -> Source:
    """Open a file for import.

    Parameters
    ----------
    crs
        What the caller states. A file that declares another one is refused.
    mapping
        Names the columns that hold a table's coordinates, where they have other names.
    table
        Which table of a GeoPackage; needed when it has more than one.

    Raises
    ------
    InputError
        It is remote, missing, empty, of another format, or not what its ending says.
    """
    # Here, so that the readers can share this module's types.
    from riskmap.ingest import read_csv, read_geojson, read_gpkg  # noqa: PLC0415

    if _REMOTE.match(str(path)):
        raise InputError("ingest.file.remote", parameter="file", value=str(path)[:120])
    ending = path.suffix.lower()
    if ending not in (".geojson", ".json", ".gpkg", ".csv"):
        raise InputError("ingest.file.format", parameter="file", value=path.name)
    if table is not None and ending != ".gpkg":
        raise InputError("ingest.table.none", parameter="table", value=table)
    try:
        if not path.is_file():
            raise InputError("ingest.file.missing", parameter="file", value=str(path))
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        raise InputError("ingest.file.denied", parameter="file", value=str(path)) from None
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError("ingest.file.empty", parameter="file", value=path.name)
    mapping = mapping or FieldMapping()
    if ending == ".gpkg":
        return read_gpkg.GeoPackage(path, head, crs, table)
    if ending == ".csv":
        return read_csv.Csv(path, mapping)
    return read_geojson.GeoJson(path, crs)
