"""A GeoPackage is a database with code in it: look at the code before GDAL runs it.

SQLite executes what a file's schema holds: triggers when rows change, views and the modules of
virtual tables when they are read. Python's own SQLite opens the file first, read-only and without
taking it for changeable, and reads nothing but the list of what there is.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, unreadable
from riskmap.ingest.report import shorten

_SQLITE: Final = b"SQLite format 3\0"
# The application ids of GeoPackage 1.2 and later, 1.0 and 1.1, at byte 68 of an SQLite file.
_GPKG_IDS: Final = (b"GPKG", b"GP10", b"GP11")

# What QGIS, ArcGIS and GDAL write: the spatial index's triggers, the count of features, and those
# of the standard's own tables (GeoPackage 1.4, annexes C to F). They only keep tables in step
# that belong to the file, and only when it is written to, which an import never does.
_TRIGGER: Final = re.compile(
    r"(rtree_.*_(insert|update\d?|delete)"
    r"|trigger_(insert|delete)_feature_count_.*"
    r"|gpkg_(tile_matrix|metadata|metadata_reference|geometry_columns|contents|extensions)_.*"
    r"|.*_(zoom|pixel_x_size|pixel_y_size|tile_column|tile_row|matrix_width|matrix_height)_.*)",
    re.IGNORECASE | re.DOTALL,
)
_TRIGGERED: Final = re.compile(
    r"\b(ATTACH|DETACH|PRAGMA|VACUUM|load_extension|readfile|writefile|edit|fts3_tokenizer)\b",
    re.IGNORECASE,
)
_VIRTUAL: Final = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\b.*\bUSING\s+(\w+)", re.I | re.DOTALL)
# Spatial index; full text search, which QGIS's layer styles or metadata may bring along.
_MODULES: Final = frozenset({"rtree"})
_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """A table of features: name, column of its row ids, and pages of these (first, last)."""

    name: str
    key: str
    rows: int
    pages: tuple[tuple[int, int], ...]


def check_gpkg(path: Path) -> None:
    """Check that it is a GeoPackage whose schema holds nothing but tables and the usual triggers.

    Raises
    ------
    InputError
        It is none, is still open in another program, or holds a trigger, a virtual table or a view
        that an import must not run.
    """
    with path.open("rb") as file:
        head = file.read(100)
    if not head.startswith(_SQLITE) or head[68:72] not in _GPKG_IDS:
        raise unreadable(path)
    for ending in ("-wal", "-journal"):
        # Rows in there are not in the file yet, and would be lost without a word.
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise InputError("ingest.gpkg.open", parameter="file", value=path.name)
    with _opened(path) as database:
        for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
            _check_entry(path, str(kind), str(name), str(sql or ""))


def _check_entry(path: Path, kind: str, name: str, sql: str) -> None:
    bad = len(sql) > _LONGEST
    if kind == "trigger":
        bad = bad or not _TRIGGER.fullmatch(name) or bool(_TRIGGERED.search(sql))
    elif kind == "table":
        virtual = _VIRTUAL.match(sql)
        bad = bad or (virtual is not None and virtual[1].lower() not in _MODULES)
    elif kind == "view":
        bad = bad or bool(_TRIGGERED.search(sql))
    elif kind != "index":
        bad = True
    if bad:
        raise InputError(
            "ingest.gpkg.code", parameter="file", value=path.name, kind=kind, name=shorten(name)
        )


def tables_of(path: Path) -> list[str]:
    """Return the names of the tables that hold features, in the order of the file.

    Raises
    ------
    InputError
        The file is damaged.
    """
    with _opened(path) as database:
        found = database.execute(
            "SELECT c.table_name FROM gpkg_contents AS c"
            " JOIN gpkg_geometry_columns AS g ON lower(g.table_name) = lower(c.table_name)"
            " WHERE c.data_type = 'features' ORDER BY c.rowid"
        )
        return [str(name) for (name,) in found]


def look_up(path: Path, name: str) -> Table:
    """Return what reading a table page by page needs.

    Row ids are read once, which costs a scan of the table's keys, and then each page is found by
    its key. Skipping rows instead would read all rows before it, page after page.

    Raises
    ------
    InputError
        It is a view, has no integer key, or the file is damaged.
    """
    with _opened(path) as database:
        entry = database.execute(
            "SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(?)"
            " AND type IN ('table', 'view')",
            (name,),
        ).fetchone()
        if entry is None:
            raise unreadable(path)
        if entry[0] != "table" or _VIRTUAL.match(str(entry[1])):
            raise InputError("ingest.gpkg.view", parameter="table", value=shorten(name))
        keys = [
            str(column)
            for column, kind, place in database.execute(
                "SELECT name, type, pk FROM pragma_table_info(?)", (name,)
            )
            if place and str(kind).upper() == "INTEGER"
        ]
        if len(keys) != 1:
            raise InputError("ingest.gpkg.key", parameter="table", value=shorten(name))
        quoted = name.replace('"', '""')
        key = keys[0].replace('"', '""')
        cursor = database.execute(f'SELECT "{key}" FROM "{quoted}" ORDER BY "{key}"')  # noqa: S608
        pages: list[tuple[int, int]] = []
        rows = 0
        while ids := cursor.fetchmany(BATCH_ROWS):
            pages.append((int(ids[0][0]), int(ids[-1][0])))
            rows += len(ids)
        return Table(name, keys[0], rows, tuple(pages))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    name = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(name, uri=True)) as database:
            # No function or view of the file's schema may do more than compute.
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA query_only = ON")
            yield database
    except (sqlite3.Error, OverflowError, ValueError):
        raise unreadable(path) from None
