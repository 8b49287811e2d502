"""XLSX: one sheet of a workbook, its first non-empty row the heading.

Values only: of a formula the value that Excel stored with it, of a date cell the date. A cell that
shows an error or a formula without a stored value is a problem of its row. Hidden rows and columns
are read like others. Rows are counted from 1 behind the heading, and empty ones are passed over
but keep their number, so that row n of the report is n rows below the heading in the sheet.

A workbook with several sheets is read without a choice when only one of them is visible, holds
anything and is no sheet of notes of our own templates and exports.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from riskmap.errors import InputError
from riskmap.features.formats import ABOUT_SHEET
from riskmap.ingest.batches import BATCH_ROWS, Batch, ReadOptions
from riskmap.ingest.headings import check_names, find_heading
from riskmap.ingest.mapping import ADDED
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.tables import NO_CELLS, guarded, table_batch
from riskmap.ingest.xlsx_package import Package, Sheet
from riskmap.ingest.xlsx_sheet import Bad, Cell, Row, plain, sheet_rows

EXCEL: Final = (".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb")
"""The endings of Excel's files; all but the first are refused with the word what to do."""

NOTES_SHEET: Final = "填写说明 Notes"
_NO_ROW: Final[Row] = (0, [])


class Xlsx:
    """A sheet with a heading.

    Raises
    ------
    InputError
        It is no workbook that is read here, the sheet is not told, or the heading is not one.
    """

    headings: tuple[str, ...] | None

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path = path
        self._crs = options.crs
        self._package = Package(path)
        self._sheet = self._choose(options.table)
        self._first_row, cells = self._first(self._sheet)
        self._first_column = cells[0][0] if cells else 0
        texts = [""] * (cells[-1][0] + 1 - self._first_column if cells else 0)
        for column, cell in cells:
            texts[column - self._first_column] = _heading_text(cell)
        names = check_names(texts, path.name)
        if len(names) == 1:
            raise InputError(
                "ingest.xlsx.title", parameter="file", value=path.name, title=shorten(names[0])
            )
        self._heading = find_heading(names, options.mapping, options.crs, file=path.name)
        self.headings = self._heading.others

    @cached_property
    def _texts(self) -> list[str]:
        return self._package.texts()

    def _first(self, sheet: Sheet) -> Row:
        """Return the first row of a sheet that holds anything."""
        return next(sheet_rows(self._package, sheet, self._texts), _NO_ROW)

    def _choose(self, table: str | None) -> Sheet:
        sheets = self._package.sheets
        if table is not None:
            for sheet in sheets:
                if sheet.name.strip() == table.strip():
                    return sheet
            raise InputError(
                "ingest.xlsx.sheet", parameter="table", value=shorten(table), known=_list(sheets)
            )
        shown = [s for s in sheets if not s.hidden and s.name not in (NOTES_SHEET, ABOUT_SHEET)]
        filled = shown if len(shown) == 1 else [s for s in shown if self._first(s) != _NO_ROW]
        if not filled:
            raise InputError("ingest.file.no_rows", parameter="file", value=self._path.name)
        if len(filled) > 1:
            raise InputError("ingest.xlsx.sheets", parameter="table", known=_list(filled))
        return filled[0]

    def _rows(self, position: list[int] | None = None) -> Iterator[Row]:
        """Yield the rows behind the heading by their numbers as data rows."""

        def at(done: int) -> None:
            if position is not None:
                position[0] = done

        rows = sheet_rows(self._package, self._sheet, self._texts, at=at)
        next(rows, None)
        for number, cells in rows:
            yield number - self._first_row, cells

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the sheet.

        Raises
        ------
        InputError
            The sheet is damaged, or more than 10,000 empty rows follow each other.
        """
        position = [0]
        total = self._package.size(self._sheet.part)
        numbers: list[int] = []
        table: list[list[object]] = []
        problems: list[Problem] = []
        for number, cells in self._rows(position):
            numbers.append(number)
            table.append(self._values(number, cells, problems))
            if len(numbers) == BATCH_ROWS:
                yield self._batch(numbers, table, problems, (position[0], total))
                numbers, table, problems = [], [], []
        if numbers:
            yield self._batch(numbers, table, problems, (total, total))

    def _values(
        self, number: int, cells: list[tuple[int, Cell]], problems: list[Problem]
    ) -> list[object]:
        """Return a row's values under the heading."""
        names = self._heading.names
        values: list[object] = [None] * len(names)
        astray: list[tuple[int, Cell]] = []
        for column, cell in cells:
            place = column - self._first_column
            if not 0 <= place < len(names):
                astray.append((column, cell))
            elif type(cell) is str or type(cell) is int or type(cell) is float:
                values[place] = cell
            elif isinstance(cell, Bad):
                problems.append(Problem(number, cell.key, names[place], shorten(cell.text)))
            else:
                values[place] = plain(cell)
        if astray:
            shown = ", ".join(shorten(_shown(cell)) for _, cell in astray)
            width = {"cells": str(len(cells)), "headings": str(len(names))}
            problems.append(Problem(number, NO_CELLS, value=shorten(shown), values=width))
        return values

    def _batch(
        self,
        numbers: list[int],
        table: list[list[object]],
        problems: list[Problem],
        position: tuple[int, int],
    ) -> Batch:
        columns = list(zip(*table, strict=True))
        return table_batch(self._heading, self._crs, numbers, columns, problems, position)

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy rows into a new workbook, each with its number and the reason.

        Cells keep their values: dates are dates, texts are texts even where they look like a
        formula, errors are errors, and a formula without a stored value is there as its text.

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
        names = self._heading.names
        places = [place for place, name in enumerate(names) if name not in ADDED]
        book = Workbook(write_only=True)
        sheet = book.create_sheet(self._sheet.name)
        sheet.append([_text_cell(sheet, text) for text in (*(names[p] for p in places), *ADDED)])
        copied = 0
        for number, cells in self._rows():
            if wanted is None:
                break
            if number != wanted[0]:
                continue
            row: list[object] = [None] * len(names)
            for column, cell in cells:
                place = column - self._first_column
                if 0 <= place < len(names):
                    row[place] = _copied(sheet, cell)
            said = _text_cell(sheet, guarded(wanted[1]))
            sheet.append([*(row[place] for place in places), number, said])
            copied += 1
            wanted = next(reasons, None)
        book.save(target)
        return copied


def _list(sheets: list[Sheet]) -> str:
    return ", ".join(shorten(sheet.name) for sheet in sheets)


def _shown(cell: Cell) -> object:
    return cell.text if isinstance(cell, Bad) else plain(cell)


def _heading_text(cell: Cell) -> str:
    return " ".join(str(_shown(cell)).split())


def _text_cell(sheet: WriteOnlyWorksheet, text: str) -> object:
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # else openpyxl takes what begins with = for a formula
    return cell


def _copied(sheet: WriteOnlyWorksheet, cell: Cell) -> object:
    if isinstance(cell, Bad):
        if cell.key == "ingest.xlsx.error":
            return cell.text
        cell = cell.text
    return _text_cell(sheet, cell) if isinstance(cell, str) else cell
