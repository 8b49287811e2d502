"""CSV: utf-8 or gb18030, with columns of coordinates or one of WKT."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import shapely

from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, Batch, Geometries, geometries, unreadable
from riskmap.ingest.mapping import FieldMapping, missing_column
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.values import BadValueError, is_null, read_number

_PAIRS: Final = (("lon", "lat"), ("x", "y"), ("经度", "纬度"), ("longitude", "latitude"))
_WKT: Final = ("wkt", "geometry")
_CHUNK: Final = 1 << 20
_LONGEST_CELL: Final = 1 << 26


def _encoding(path: Path) -> str:
    """Find the encoding by decoding the whole file: a guess from its start can be wrong later."""
    for name in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(name)()
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return name
    raise InputError("ingest.file.encoding", parameter="file", value=path.name)


class Csv:
    """A table with a heading. Rows with no content at all are passed over but keep their number."""

    headings: tuple[str, ...] | None

    def __init__(self, path: Path, mapping: FieldMapping) -> None:
        self._path = path
        self._encoding = _encoding(path)
        # The csv module's own limit (128 KiB) is shorter than the WKT of a district.
        csv.field_size_limit(_LONGEST_CELL)
        with path.open(encoding=self._encoding, newline="") as file:
            self._all = self._heading(file)
        self._coordinates = self._find(mapping)
        self._places = [self._all.index(column) for column in self._coordinates]
        self.headings = tuple(h for h in self._all if h not in self._coordinates)

    def _heading(self, file: Iterator[str] | TextIOWrapper) -> list[str]:
        try:
            names = [name.strip() for name in next(csv.reader(file, strict=True), [])]
        except csv.Error:
            raise unreadable(self._path) from None
        while names and not names[-1]:
            names.pop()
        for name in names:
            if not name:
                raise InputError("ingest.heading.empty", parameter="file", value=self._path.name)
            if names.count(name) > 1:
                raise InputError("ingest.heading.repeated", parameter="file", value=shorten(name))
        return names

    def _find(self, mapping: FieldMapping) -> tuple[str, ...]:
        """Find the columns of coordinates: as told, or by their names; never by a guess."""
        told = mapping.coordinates
        for name, column in told.items():
            if column not in self._all:
                raise missing_column(name, column, self._all)
        if told:
            if set(told) not in ({"x", "y"}, {"wkt"}):
                raise InputError("ingest.coordinates.told", parameter="mapping")
            return (told["wkt"],) if "wkt" in told else (told["x"], told["y"])
        names = {name.casefold(): name for name in self._all}
        found = [(names[x], names[y]) for x, y in _PAIRS if x in names and y in names]
        texts = [(names[name],) for name in _WKT if name in names]
        candidates: list[tuple[str, ...]] = [*found, *texts]
        if len(candidates) != 1:
            key = "ingest.coordinates.many" if candidates else "ingest.coordinates.none"
            headings = ", ".join(shorten(name) for name in self._all)
            raise InputError(key, parameter="file", value=self._path.name, headings=headings)
        return candidates[0]

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file.

        Raises
        ------
        InputError
            A quotation mark is never closed, or a cell is longer than any real one.
        """
        size = self._path.stat().st_size
        with (
            self._path.open("rb") as raw,
            TextIOWrapper(raw, encoding=self._encoding, newline="") as file,
        ):
            # strict: without it an unclosed quotation mark swallows all rows after it.
            reader = csv.reader(file, strict=True)
            next(reader)
            rows: list[int] = []
            cells: list[list[str]] = []
            number = 0
            while True:
                try:
                    row = next(reader, None)
                except csv.Error:
                    raise InputError(
                        "ingest.csv.quotes", parameter="file", value=str(reader.line_num)
                    ) from None
                if row is None or len(rows) == BATCH_ROWS:
                    if rows:
                        yield self._batch(rows, cells, (min(raw.tell(), size), size))
                    rows, cells = [], []
                if row is None:
                    return
                number += 1
                if any(row):
                    rows.append(number)
                    cells.append(row)

    def _batch(self, rows: list[int], cells: list[list[str]], position: tuple[int, int]) -> Batch:
        problems: list[Problem] = []
        width = len(self._all)
        for number, row in zip(rows, cells, strict=True):
            if len(row) < width or any(row[width:]):
                problems.append(
                    Problem(
                        number,
                        "ingest.row.cells",
                        value=shorten(",".join(row)),
                        values={"cells": str(len(row)), "headings": str(width)},
                    )
                )
                row.extend([""] * (width - len(row)))
        columns: dict[str, list[object]] = {
            heading: [row[place] for row in cells]
            for place, heading in enumerate(self._all)
            if heading not in self._coordinates
        }
        broken = {problem.row for problem in problems}
        found = self._shapes(rows, cells, problems)
        # A row of the wrong width has its cells under the wrong headings: say that and no more.
        problems = [p for p in problems if p.row not in broken or p.key == "ingest.row.cells"]
        return Batch(rows, columns, found, tuple(problems), position)

    def _shapes(
        self, rows: list[int], cells: list[list[str]], problems: list[Problem]
    ) -> Geometries:
        texts = [[row[place] for place in self._places] for row in cells]
        if len(self._places) == 1:
            wkt = [None if is_null(text[0]) else text[0].strip() for text in texts]
            shapes = shapely.from_wkt(wkt, on_invalid="ignore")
            for number, text, shape in zip(rows, wkt, shapes, strict=True):
                if shape is None and text is not None:
                    column = self._coordinates[0]
                    problems.append(
                        Problem(number, "ingest.geometry.unreadable", column, shorten(text))
                    )
            return geometries(list(shapes))
        xy: list[list[float]] = []
        there: list[int] = []
        for index, pair in enumerate(texts):
            if all(map(is_null, pair)):
                continue
            numbers = []
            for column, text in zip(self._coordinates, pair, strict=True):
                try:
                    numbers.append(float(read_number(text)))
                except BadValueError:
                    problems.append(
                        Problem(rows[index], "ingest.coordinate", column, shorten(text))
                    )
            if len(numbers) == 2:
                xy.append(numbers)
                there.append(index)
        found: list[object] = [None] * len(rows)
        if xy:
            for index, point in zip(there, shapely.points(xy), strict=True):
                found[index] = point
        return geometries(found)
