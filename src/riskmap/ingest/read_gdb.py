"""File Geodatabase: a folder of files, of which each has a name that is known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pyogrio

from riskmap.errors import InputError
from riskmap.ingest.batches import ReadOptions, unreadable
from riskmap.ingest.dbf import short
from riskmap.ingest.gdal import GDAL_ERRORS, gdal_path
from riskmap.ingest.read_gdal import GdalTable
from riskmap.ingest.read_gpkg import choose
from riskmap.ingest.report import shorten

_NEEDED: Final = re.compile(
    r"a[0-9a-f]{8}\.(gdbtable|gdbtablx|gdbindexes|spx|freelist|horizon|([\w-]+\.)?atx)|gdb|timestamps",
    re.IGNORECASE,
)
# Locks of programs that had it open, and what operating systems leave in folders.
_PASSED_OVER: Final = re.compile(r".*\.lock|\.ds_store|thumbs\.db|desktop\.ini", re.IGNORECASE)
# Versions 3 (ArcGIS 9) and 4 (with 64-bit ids) of the table that lists all others.
_HEAD_BYTES: Final = 40
_SIZE_AT: Final = 24
_MAGIC: Final = (b"\x03\0\0\0", b"\x04\0\0\0")


def is_gdb_member(name: str) -> bool:
    """Say whether a file of this name belongs to a geodatabase."""
    return _NEEDED.fullmatch(name) is not None


class Geodatabase(GdalTable):
    """One table of a File Geodatabase.

    Raises
    ------
    InputError
        It is none, holds files that no geodatabase has, has no such table or several, or declares
        another CRS.
    """

    driver = "OpenFileGDB"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        for member in path.iterdir():
            known = is_gdb_member(member.name) or _PASSED_OVER.fullmatch(member.name)
            if not known or not member.is_file() or member.is_symlink():
                raise InputError(
                    "ingest.gdb.member",
                    parameter="file",
                    value=path.name,
                    member=shorten(member.name),
                )
        if not (path / "a00000001.gdbtable").is_file():
            raise unreadable(path)
        for table in sorted(path.glob("a*.gdbtable")):
            # GDAL takes one that is cut in its head or its fields for an empty table.
            with table.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            if len(head) < _HEAD_BYTES or head[:4] not in _MAGIC:
                raise unreadable(table)
            told = int.from_bytes(head[_SIZE_AT : _SIZE_AT + 8], "little")
            if told > (size := table.stat().st_size):
                raise short(table, told, size)
        try:
            found = pyogrio.list_layers(gdal_path(path))
        except GDAL_ERRORS:
            raise unreadable(path) from None
        tables = [str(name) for name, kind in found if kind is not None]
        super().__init__(path, options, choose(tables, options.table))

    def _write_options(self) -> dict[str, Any]:
        # Without it whole numbers of 64 bits become floating point.
        return {"TARGET_ARCGIS_VERSION": "ARCGIS_PRO_3_2_OR_LATER"}
