"""GeoPackage, through GDAL, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, Batch, check_declared, geometries, unreadable

_ERRORS: Final = (DataLayerError, DataSourceError, FeatureError, FieldError)
_SQLITE: Final = b"SQLite format 3\0"
# The application ids of GeoPackage 1.2 and later, 1.0 and 1.1, at byte 68 of an SQLite file.
_GPKG_IDS: Final = (b"GPKG", b"GP10", b"GP11")
_EXACT: Final = 2**53


class GeoPackage:
    """One table of a GeoPackage.

    Raises
    ------
    InputError
        It is no GeoPackage, has no such table or several, or declares another CRS.
    """

    headings: tuple[str, ...] | None

    def __init__(self, path: Path, head: bytes, crs: InputCrs, table: str | None) -> None:
        self._path = path
        # An absolute path: GDAL then sees no prefix of its own in what the caller wrote.
        self._name = str(path.resolve())
        if not head.startswith(_SQLITE) or head[68:72] not in _GPKG_IDS:
            raise unreadable(path)
        try:
            self._table = self._choose(table)
            info = pyogrio.read_info(self._name, layer=self._table)
        except _ERRORS:
            raise unreadable(path) from None
        if info["driver"] != "GPKG":
            raise unreadable(path)
        declared = info["crs"]
        if declared is not None and "undefined" not in declared.casefold():
            check_declared(declared, crs)
        self.headings = tuple(str(name) for name in info["fields"])
        self._types = [str(dtype) for dtype in info["dtypes"]]
        self._count = max(0, int(info["features"]))

    def _choose(self, table: str | None) -> str:
        tables = [str(name) for name, kind in pyogrio.list_layers(self._name) if kind is not None]
        if table is not None and table not in tables:
            raise InputError(
                "ingest.table.unknown", parameter="table", value=table, known=", ".join(tables)
            )
        if table is None and len(tables) != 1:
            key = "ingest.table.several" if tables else "ingest.table.without"
            raise InputError(key, parameter="table", known=", ".join(tables))
        return tables[0] if table is None else table

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file.

        Raises
        ------
        InputError
            The file is damaged.
        """
        done = 0
        while True:
            try:
                meta, _, shapes, columns = pyogrio.raw.read(
                    self._name,
                    layer=self._table,
                    skip_features=done,
                    max_features=BATCH_ROWS,
                    datetime_as_string=True,
                )
            except _ERRORS:
                raise unreadable(self._path) from None
            count = len(shapes)
            if count == 0:
                return
            cells = {
                str(heading): self._cells(str(heading), dtype, column)
                for heading, dtype, column in zip(meta["fields"], self._types, columns, strict=True)
            }
            found = geometries(list(shapely.from_wkb(shapes, on_invalid="ignore")))
            rows = range(done + 1, done + count + 1)
            done += count
            yield Batch(rows, cells, found, (), (done, max(done, self._count)))

    def _cells(self, heading: str, dtype: str, column: NDArray[Any]) -> list[object]:
        """Undo what numpy cannot say: pyogrio makes whole numbers with nulls into floats."""
        if column.dtype.kind == "f" and (dtype.startswith(("int", "uint")) or dtype == "bool"):
            known = column[np.isfinite(column)]
            if np.any(np.abs(known) > _EXACT):
                raise InputError("ingest.table.integers", parameter="file", column=heading)
            make = bool if dtype == "bool" else int
            return [None if value != value else make(value) for value in column.tolist()]  # noqa: PLR0124
        return [
            value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            for value in column.tolist()
        ]
