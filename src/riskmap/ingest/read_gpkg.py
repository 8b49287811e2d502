"""GeoPackage: one of its tables of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from riskmap.errors import InputError
from riskmap.ingest.batches import ReadOptions, unreadable
from riskmap.ingest.check_gpkg import check_gpkg, look_up, tables_of
from riskmap.ingest.read_gdal import GdalTable, Page


def choose(tables: Sequence[str], wanted: str | None) -> str:
    """Return the one table, or the one that was named.

    Raises
    ------
    InputError
        There is none of that name, or there are several or none at all.
    """
    if wanted is not None and wanted not in tables:
        raise InputError(
            "ingest.table.unknown", parameter="table", value=wanted, known=", ".join(tables)
        )
    if wanted is None and len(tables) != 1:
        key = "ingest.table.several" if tables else "ingest.table.without"
        raise InputError(key, parameter="table", known=", ".join(tables))
    return tables[0] if wanted is None else wanted


class GeoPackage(GdalTable):
    """One table of a GeoPackage, in the order of its row ids.

    Raises
    ------
    InputError
        It is no GeoPackage, holds code, has no such table or several, or declares another CRS.
    """

    driver = "GPKG"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        check_gpkg(path)
        table = choose(tables_of(path), options.table)
        self._table = look_up(path, table)
        super().__init__(path, options, table)
        # The count that the file keeps of its rows is wrong after edits by other programs.
        self._count = self._table.rows

    def _pages(self) -> Iterator[Page]:
        key = self._table.key.replace('"', '""')
        done = 0
        for first, last in self._table.pages:
            found = self._read(where=f'"{key}" >= {first} AND "{key}" <= {last}')
            yield Page(done + 1, found.wkb, found.columns, found.bad)
            done += len(found.wkb)
        if done != self._count:
            raise unreadable(self._path)
