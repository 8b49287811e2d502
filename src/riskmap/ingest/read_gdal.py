"""One table of a file through GDAL, page by page."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import FeatureError

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.batches import (
    BATCH_ROWS,
    Batch,
    ReadOptions,
    check_declared,
    geometries,
    unreadable,
)
from riskmap.ingest.gdal import GDAL_ERRORS, gdal_path, read_info
from riskmap.ingest.report import Problem

_EXACT: Final = 2**53
_MOST_BAD: Final = 100
_ROW, _REASON = "riskmap_row", "riskmap_reason"


@dataclass(frozen=True, slots=True)
class Page:
    """Some consecutive rows as pyogrio returns them.

    Parameters
    ----------
    start
        Number of its first row, from 1.
    wkb, columns
        Of equal length; a column for each of the source's headings.
    bad
        Places whose geometry GDAL cannot read; it is null in `wkb`.
    """

    start: int
    wkb: NDArray[Any]
    columns: list[NDArray[Any]]
    bad: frozenset[int] = frozenset()


class _Read(NamedTuple):
    """What one call of pyogrio returns, and the places whose geometry is none."""

    fids: NDArray[Any] | None
    wkb: NDArray[Any]
    columns: list[NDArray[Any]]
    bad: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rejected rows as pyogrio writes them: a mask says which values of a column are null."""

    wkb: NDArray[Any]
    names: list[str]
    columns: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]


class GdalTable:
    """One table of a file that GDAL reads.

    Raises
    ------
    InputError
        The file is damaged, is of another format, or declares another CRS.
    """

    driver: str
    headings: tuple[str, ...] | None
    encoding: str | None = None
    """What pyogrio is told."""
    _by_fid = True
    """Single rows can be read by their ids."""

    def __init__(self, path: Path, options: ReadOptions, layer: str | None) -> None:
        self._path = path
        self._name = gdal_path(path)
        self._layer = layer
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                info = read_info(self._name, self.driver, layer=layer, encoding=self.encoding)
        except GDAL_ERRORS:
            raise unreadable(path) from None
        self._crs_text: str | None = info["crs"]
        self._check_crs(options.crs)
        self._fields = [str(name) for name in info["fields"]]
        self._types = [str(dtype) for dtype in info["dtypes"]]
        self._json = [kind == "OFSTJSON" for kind in info["ogr_subtypes"]]
        self._count = max(0, int(info["features"]))
        self._geometry_type: str | None = info["geometry_type"]
        self.headings = tuple(self._fields)

    def _check_crs(self, crs: InputCrs) -> None:
        declared = self._crs_text
        if declared is not None and "undefined" not in declared.casefold():
            check_declared(declared, crs)

    def _read(self, **which: Any) -> _Read:
        """Read rows; where GDAL stumbles over a geometry, find the rows whose geometry is none."""
        try:
            return self._read_once(**which)
        except FeatureError:
            if not self._by_fid:
                raise unreadable(self._path) from None
        except GDAL_ERRORS:
            raise unreadable(self._path) from None
        try:
            found = self._read_once(**which | {"read_geometry": False, "return_fids": True})
            fids = found.fids if found.fids is not None else np.empty(0, dtype=np.int64)
            wkb = np.full(len(fids), None, dtype=object)
            bad: set[int] = set()
            self._halve(fids, 0, wkb, bad)
        except GDAL_ERRORS:
            raise unreadable(self._path) from None
        return _Read(found.fids, wkb, found.columns, frozenset(bad))

    def _halve(self, fids: NDArray[Any], start: int, wkb: NDArray[Any], bad: set[int]) -> None:
        try:
            found = self._read_once(fids=fids, columns=[])
        except FeatureError:
            if len(fids) == 1:
                bad.add(start)
                # Each costs about 2 * log2(10,000) reads; more of them is a damaged file.
                if len(bad) > _MOST_BAD:
                    raise
                return
            middle = len(fids) // 2
            self._halve(fids[:middle], start, wkb, bad)
            self._halve(fids[middle:], start + middle, wkb, bad)
        else:
            wkb[start : start + len(fids)] = found.wkb

    def _read_once(self, **which: Any) -> _Read:
        # What pyogrio warns of (a stated encoding that GDAL recodes) is dealt with here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            meta, fids, wkb, columns = pyogrio.raw.read(
                self._name,
                layer=self._layer,
                encoding=self.encoding,
                datetime_as_string=True,
                **which,
            )
        names = [str(name) for name in meta["fields"]]
        if names != ([] if "columns" in which else self._fields):
            raise unreadable(self._path)
        if wkb is None and which.get("read_geometry", True):
            raise InputError("ingest.table.without", parameter="table", known="")
        return _Read(fids, wkb, list(columns))

    def _page_rows(self) -> int:
        return BATCH_ROWS

    def _pages(self) -> Iterator[Page]:
        """Yield the rows in the order of the file."""
        done = 0
        rows = self._page_rows()
        while done < self._count:
            found = self._read(skip_features=done, max_features=rows)
            count = len(found.wkb)
            for start in range(0, count, BATCH_ROWS):
                end = start + BATCH_ROWS
                columns = [column[start:end] for column in found.columns]
                bad = frozenset(place - start for place in found.bad if start <= place < end)
                yield Page(done + start + 1, found.wkb[start:end], columns, bad)
            done += count
            if count < rows:
                break
        if done != self._count:
            raise unreadable(self._path)

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file.

        Raises
        ------
        InputError
            The file is damaged, or a column's integers cannot be read exactly.
        """
        for page in self._pages():
            problems: list[Problem] = []
            cells = {
                heading: self._cells(place, page, problems)
                for place, heading in enumerate(self.headings or ())
                if heading is not None
            }
            shapes = shapely.from_wkb(page.wkb, on_invalid="ignore")
            for index in np.flatnonzero(shapely.is_missing(shapes)):
                if page.wkb[index] is not None or int(index) in page.bad:
                    problems.append(
                        Problem(page.start + int(index), "ingest.geometry.unreadable", "geometry")
                    )
            rows = range(page.start, page.start + len(page.wkb))
            yield Batch(
                rows, cells, geometries(list(shapes)), tuple(problems), (rows.stop - 1, self._count)
            )

    def _cells(self, place: int, page: Page, problems: list[Problem]) -> list[object]:
        """Undo what numpy cannot say: pyogrio makes whole numbers with nulls into floats."""
        column, dtype = page.columns[place], self._types[place]
        if column.dtype.kind == "f" and (dtype.startswith(("int", "uint")) or dtype == "bool"):
            known = column[np.isfinite(column)]
            if np.any(np.abs(known) > _EXACT):
                raise InputError(
                    "ingest.table.integers", parameter="file", column=self._fields[place]
                )
            make = bool if dtype == "bool" else int
            return [None if value != value else make(value) for value in column.tolist()]  # noqa: PLR0124
        if self._json[place]:
            return [_parsed(value) for value in column.tolist()]
        if column.dtype.kind != "O":
            return list(column.tolist())
        return [_plain(value) for value in column.tolist()]

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the rows with these numbers into a new file, with their number and the reason."""
        written = 0
        following = next(reasons, None)
        for page in self._pages():
            indices: list[int] = []
            texts: list[str] = []
            while following is not None and following[0] < page.start + len(page.wkb):
                if following[0] >= page.start:
                    indices.append(following[0] - page.start)
                    texts.append(following[1])
                following = next(reasons, None)
            if indices:
                self._write(target, page, indices, texts, append=written > 0)
                written += len(indices)
            if following is None:
                break
        if written:
            self._finish(target)
        return written

    def _finish(self, target: Path) -> None:
        """Make the one file out of what was written."""

    def _added(self) -> tuple[str, str]:
        return _ROW, _REASON

    def _write_options(self) -> dict[str, Any]:
        return {}

    def _write(
        self, target: Path, page: Page, indices: list[int], texts: list[str], *, append: bool
    ) -> None:
        names: list[str] = []
        data: list[NDArray[Any]] = []
        masks: list[NDArray[np.bool_] | None] = []
        for place, heading in enumerate(self._fields if self.headings is None else self.headings):
            if heading in (*self._added(), _ROW, _REASON):
                continue
            name, values, mask = self._column(place, heading, page, indices)
            names.append(name)
            data.append(values)
            masks.append(mask)
        reasons = np.empty(len(texts), dtype=object)
        reasons[:] = [self._reason(text) for text in texts]
        names += self._added()
        data += [np.array([page.start + index for index in indices]), reasons]
        masks += [None, None]
        self._store(target, Rejected(page.wkb[indices], names, data, masks), append=append)

    def _store(self, target: Path, rows: Rejected, *, append: bool) -> None:
        with warnings.catch_warnings():
            # Of a CRS that is not there, of fields that GDAL made wider.
            warnings.simplefilter("ignore")
            pyogrio.raw.write(
                gdal_path(target),
                rows.wkb,
                rows.columns,
                rows.names,
                field_mask=rows.masks,
                driver=self.driver,
                layer=self._layer,
                geometry_type=self._geometry_type,
                crs=self._crs_text,
                append=append,
                **self._write_options(),
            )

    def _reason(self, text: str) -> str:
        return text

    def _column(
        self, place: int, heading: str, page: Page, indices: list[int]
    ) -> tuple[str, NDArray[Any], NDArray[np.bool_] | None]:
        """Return one column as pyogrio writes it: name, values, which of them are null."""
        values, dtype = page.columns[place][indices], self._types[place]
        if values.dtype.kind == "f" and (dtype.startswith(("int", "uint")) or dtype == "bool"):
            nulls = np.isnan(values)
            return heading, np.where(nulls, 0, values).astype(dtype), nulls
        if values.dtype.kind != "O":
            return heading, values, None
        if dtype == "datetime64[D]":
            return heading, values.astype("datetime64[D]"), None
        texts = np.empty(len(values), dtype=object)
        # GDAL's writer makes the text of Python's own notation out of a list.
        texts[:] = [
            v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str)
            for v in map(_plain, values.tolist())
        ]
        return heading, texts, None


def _plain(value: Any) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _parsed(value: Any) -> object:
    """Return a cell of a column that is declared to hold JSON; text stays what is none."""
    if not isinstance(value, str):
        return _plain(value)
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
