"""The rows of one sheet, as they stream by.

Our own parser and not a library's: a row can claim to be number 10^12 or a cell to stand in column
ZZZZZZ, and a reader that fills the gaps up to there never ends. Nothing is filled here. A formula
whose value the file does not hold must be told from an empty cell, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from riskmap.errors import InputError
from riskmap.ingest.batches import unreadable
from riskmap.ingest.xlsx_package import (
    DATE,
    NUMBER,
    Package,
    Sheet,
    TextReader,
    local,
    new_parser,
    unescape,
)

MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
MOST_EMPTY_ROWS: Final = 10_000
# Excel keeps 15 digits of a number; whole numbers up to there are what was typed.
_KEPT_DIGITS: Final = 10**15


@dataclass(frozen=True, slots=True)
class Bad:
    """A cell without a value that could be used: the catalogue's key, and what stands there."""

    key: str
    text: str


Cell = str | int | float | bool | date | time | timedelta | Bad
Row = tuple[int, list[tuple[int, Cell]]]
"""The row's number in the sheet, from 1, and its cells that are not empty: (column from 0, cell).
"""


def sheet_rows(
    package: Package, sheet: Sheet, texts: list[str], *, at: Callable[[int], None] | None = None
) -> Iterator[Row]:
    """Yield the rows that hold anything.

    Hidden rows and columns are read like others, and of merged cells the first one has the value.

    Parameters
    ----------
    texts
        The workbook's shared texts.
    at
        Called with how many bytes of the sheet are read.

    Raises
    ------
    InputError
        The part is damaged; rows or columns are out of order or beyond what a sheet can have; more
        than 10,000 rows in a row are empty, which is a format dragged down and not a table.
    """
    parser = _SheetParser(package, texts)
    last = 0
    for done in package.feed(sheet.part, parser.expat):
        if at is not None:
            at(done)
        for number, cells in parser.rows:
            if number - last > MOST_EMPTY_ROWS + 1:
                raise too_empty(package, sheet, last + 1)
            last = number
            yield number, cells
        parser.rows.clear()
        if parser.number - last > MOST_EMPTY_ROWS:
            raise too_empty(package, sheet, last + 1)


def too_empty(package: Package, sheet: Sheet, first: int) -> InputError:
    """Return the error for a sheet with a long run of empty rows."""
    return InputError(
        "ingest.xlsx.empty_rows",
        parameter="file",
        value=package.path.name,
        sheet=sheet.name[:40],
        first=first,
        most=f"{MOST_EMPTY_ROWS:,}",
    )


class _SheetParser:
    """Turns the events of expat into rows."""

    def __init__(self, package: Package, texts: list[str]) -> None:
        self.rows: list[Row] = []
        self.number = 0
        self._package = package
        self._texts = texts
        self._formats = package.formats
        self._epoch = MAC_EPOCH if package.from_1904 else WINDOWS_EPOCH
        self._cells: list[tuple[int, Cell]] = []
        self._column = -1
        self._type = "n"
        self._style = 0
        self._value: list[str] = []
        self._formula: list[str] | None = None
        self._taking: list[str] | None = None
        self._inline = TextReader()
        self._in_inline = False
        self._names: dict[str, str] = {}
        self._letters: dict[str, int] = {}
        self.expat = new_parser()
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._data

    def _name(self, tag: str) -> str:
        name = self._names.get(tag)
        if name is None:
            name = self._names[tag] = local(tag)
        return name

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = self._name(tag)
        if name == "c":
            self._begin_cell(attributes)
        elif name == "v":
            self._taking = self._value
        elif self._in_inline:
            self._inline.start(name)
        elif name == "is":
            self._in_inline = True
        elif name == "f":
            self._taking = self._formula = []
        elif name == "row":
            self._begin_row(attributes.get("r"))

    def _begin_row(self, stated: str | None) -> None:
        try:
            number = self.number + 1 if stated is None else int(stated)
        except ValueError:
            raise unreadable(self._package.path) from None
        if not self.number < number <= MOST_ROWS:
            raise unreadable(self._package.path)
        self.number = number
        self._cells = []
        self._column = -1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        stated = attributes.get("r")
        column = self._column + 1 if stated is None else self._place(stated)
        if not self._column < column < MOST_COLUMNS:
            raise unreadable(self._package.path)
        self._column = column
        self._type = attributes.get("t", "n")
        style = attributes.get("s", "0")
        self._style = int(style) if style.isdecimal() and len(style) < 9 else 0
        self._value = []
        self._formula = None

    def _place(self, reference: str) -> int:
        """Return the column of a reference such as AB12, from 0."""
        letters = reference.rstrip("0123456789")
        place = self._letters.get(letters)
        if place is None:
            if not (1 <= len(letters) <= 3 and letters.isascii() and letters.isalpha()):
                raise unreadable(self._package.path)
            place = 0
            for letter in letters.upper():
                place = place * 26 + ord(letter) - 64
            place -= 1
            self._letters[letters] = place
        return place

    def _data(self, text: str) -> None:
        if self._taking is not None:
            self._taking.append(text)
        elif self._in_inline:
            self._inline.data(text)

    def _end(self, tag: str) -> None:
        name = self._name(tag)
        if name in ("v", "f"):
            self._taking = None
        elif name == "c":
            cell = self._cell()
            if cell is not None and cell != "":
                self._cells.append((self._column, cell))
        elif name == "row":
            if self._cells:
                self.rows.append((self.number, self._cells))
        elif name == "is":
            self._in_inline = False
            self._value = [self._inline.take()]
        elif self._in_inline:
            self._inline.end(name)

    def _cell(self) -> Cell | None:
        text = "".join(self._value)
        if text:
            try:
                return self._read(text)
            except (ValueError, IndexError, OverflowError):
                return Bad("ingest.xlsx.cell", text[:80])
        if self._formula is None or self._type == "str":
            return None
        return Bad("ingest.xlsx.formula", "=" + "".join(self._formula))

    def _read(self, text: str) -> Cell:
        kind = self._type
        if kind == "s":
            return self._texts[int(text)]
        if kind == "n":
            return self._number(text)
        if kind == "b":
            return text.strip() not in ("0", "false")
        if kind == "e":
            return Bad("ingest.xlsx.error", text)
        return unescape(text) if kind == "str" else text

    def _number(self, text: str) -> Cell:
        meaning = self._formats[self._style] if self._style < len(self._formats) else NUMBER
        number = int(text) if text.isdecimal() and len(text) < 20 else float(text)
        if meaning == NUMBER:
            if abs(number) >= _KEPT_DIGITS and number == int(number):
                return Bad("ingest.xlsx.digits", text)
            return number
        found: Cell | None = from_excel(number, self._epoch, timedelta=meaning != DATE)
        if found is None:
            raise ValueError
        return found


def plain(cell: Cell) -> object:
    """Return a cell as the checks take it: times as ISO text, a day without a time as a date."""
    if isinstance(cell, datetime):
        # Serial numbers are fractions of a day: a second is 1.2e-5 of it, so they round.
        moment = (cell + timedelta(milliseconds=500)).replace(microsecond=0)
        return (moment.date() if moment.time() == time.min else moment).isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, timedelta) else cell
