"""CSV and other tables of text, with columns of coordinates or one of WKT.

The delimiter of `.tsv` is the tab. In `.csv` and `.txt` the heading line decides: whichever of
comma, tab and semicolon splits it into the most cells, the comma when they split it alike.

One million rows of ten fields take a few seconds because nothing here looks at single cells: rows
become columns by `zip`, and coordinates that are plain numbers become points as arrays.
"""

from __future__ import annotations

import csv
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO, TextIOWrapper
from itertools import count, islice
from pathlib import Path
from typing import Final

from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, Batch, ReadOptions, unreadable
from riskmap.ingest.headings import check_names, find_heading
from riskmap.ingest.mapping import ADDED
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.tables import guarded, table_batch
from riskmap.ingest.text_encoding import find_encoding

TEXT_TABLES: Final = (".csv", ".tsv", ".txt")
_LONGEST_CELL: Final = 1 << 26
_DELIMITERS: Final = (",", "\t", ";")


class Csv:
    """A table with a heading. Rows with no content at all are passed over but keep their number.

    Raises
    ------
    InputError
        The encoding, the heading or the columns of coordinates cannot be told.
    """

    headings: tuple[str, ...] | None

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path = path
        self._crs = options.crs
        self._encoding = find_encoding(path, options.encoding)
        # The csv module's own limit (128 KiB) is shorter than the WKT of a district.
        csv.field_size_limit(_LONGEST_CELL)
        self._delimiter, cells = self._first_line()
        names = check_names(cells, path.name)
        self._heading = find_heading(names, options.mapping, options.crs, file=path.name)
        self.headings = self._heading.others

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(self._path.open("rb"), encoding=self._encoding, newline="")

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        # strict: without it an unclosed quotation mark swallows all rows after it.
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _first_line(self) -> tuple[str, list[str]]:
        """Return the delimiter and the cells of the heading that it gives."""
        delimiters = _DELIMITERS if self._path.suffix.lower() != ".tsv" else ("\t",)
        found: list[tuple[str, list[str]]] = []
        for delimiter in delimiters:
            with self._open() as file:
                try:
                    cells = next(csv.reader(file, delimiter=delimiter, strict=True), [])
                except csv.Error:
                    continue
            found.append((delimiter, cells))
        if not found:
            raise unreadable(self._path)
        return max(found, key=lambda pair: len(pair[1]))  # the first of the longest

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
            reader = self._reader(file)
            next(reader)
            number = 1
            while True:
                with _no_collection():
                    try:
                        cells = list(islice(reader, BATCH_ROWS))
                    except csv.Error:
                        line = str(reader.line_num)  # type: ignore[attr-defined]
                        raise InputError(
                            "ingest.csv.quotes", parameter="file", value=line
                        ) from None
                    if not cells:
                        return
                    taken = len(cells)
                    batch = self._batch(number, cells, (min(raw.tell(), size), size))
                    del cells
                if batch.rows:
                    yield batch
                number += taken

    def _batch(self, first: int, cells: list[list[str]], position: tuple[int, int]) -> Batch:
        rows: list[int] = list(range(first, first + len(cells)))
        width = len(self._heading.names)
        problems: list[Problem] = []
        # Whole batches are right most of the time; only where one is not, each row is looked at.
        if set(map(len, cells)) != {width} or not all(row[0] for row in cells):
            there = [index for index, row in enumerate(cells) if any(row)]
            rows = [rows[index] for index in there]
            cells = [self._fitted(rows[at], cells[i], problems) for at, i in enumerate(there)]
        columns = list(zip(*cells, strict=True)) if cells else [()] * width
        return table_batch(self._heading, self._crs, rows, columns, problems, position)

    def _fitted(self, number: int, row: list[str], problems: list[Problem]) -> list[str]:
        """Return a row as wide as the heading; a problem where that loses or invents cells."""
        width = len(self._heading.names)
        if len(row) < width or any(row[width:]):
            problems.append(
                Problem(
                    number,
                    "ingest.row.cells",
                    value=shorten(self._delimiter.join(row)),
                    values={"cells": str(len(row)), "headings": str(width)},
                )
            )
        return (row + [""] * (width - len(row)))[:width]

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy rows into a new file of the same delimiter and encoding, with number and reason.

        The rows are copied as they stand, quotation marks included. Cells that a spreadsheet would
        take for a formula are the sender's own and stay; the reasons never begin like one. UTF-8
        gets its byte order mark, without which Excel shows no Chinese.

        Parameters
        ----------
        reasons
            Numbers of rows, ascending, and what is said of them.

        Returns
        -------
        int
            How many rows were copied; without any no file is written.
        """
        wanted = next(reasons, None)
        if wanted is None:
            return 0
        copied = 0
        with (
            self._open() as file,
            # Japanese cp932 lacks characters of a Chinese reason; the English one is beside it.
            target.open("w", encoding=self._encoding, errors="replace", newline="") as out,
        ):
            taken: list[str] = []
            reader = self._reader(_remember(file, taken))
            heading = next(reader)
            end = "\r\n" if taken[-1].endswith("\r\n") else "\n"
            old = {place for place, name in enumerate(heading) if name.strip() in ADDED}
            width = len(self._heading.names)
            out.write(self._line(heading, taken, width, old, ADDED, end))
            for number in count(1):
                taken.clear()
                if wanted is None or (row := next(reader, None)) is None:
                    return copied
                if number == wanted[0]:
                    said = (str(number), guarded(wanted[1]))
                    out.write(self._line(row, taken, width, old, said, end))
                    copied += 1
                    wanted = next(reasons, None)
        return copied

    def _line(
        self,
        row: list[str],
        taken: list[str],
        width: int,
        old: set[int],
        more: tuple[str, ...],
        end: str,
    ) -> str:
        """Return a row's own text with further cells behind it.

        Where the file has the two columns already (it is one of rejected rows, mended and not yet
        right), their cells are left out and the row is written anew.
        """
        if old or len(row) > width:
            text = self._written([c for place, c in enumerate(row[:width]) if place not in old])
        else:
            text = "".join(taken).removeprefix("\ufeff").rstrip("\r\n")
        text += self._delimiter * (width - len(row))
        return f"{text}{self._delimiter}{self._written(more)}{end}"

    def _written(self, cells: Iterable[str]) -> str:
        text = StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="").writerow(cells)
        return text.getvalue()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for cycles among the lists of a batch: there are none.

    It looks whenever 700 more lists exist, and a batch makes 10,000: half of the reading's time.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _remember(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Yield lines and keep them, so that the text of the row that they make is at hand."""
    for line in lines:
        taken.append(line)
        yield line
