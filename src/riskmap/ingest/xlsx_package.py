"""The package of a workbook: what it may be, its sheets, texts and which numbers are dates.

Checked before anything is unpacked, in this order:

- Old and macro workbooks and encrypted ones (OLE containers) are refused by what they are.
- At most 50 MB as they come. A sheet of one million rows of ten fields has about 40 MB.
- At most 300 MB unpacked, by the sizes that the archive states; `zipfile` unpacks no more of a part
  than stated. A part that unpacks to over 10 MB may have 200 times its packed size: real sheets
  have 5 to 40 times, deflate's greatest is 1032, and a bomb is near that.
- No part has a document type declaration, and so no entity: none of Office's ever has.
- Links to other files are never followed: only parts of the archive are opened.

The XML is read by expat as it streams, and only what is asked for is kept.
"""

from __future__ import annotations

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

from riskmap.errors import InputError
from riskmap.ingest.batches import unreadable

MOST_BYTES: Final = 50_000_000
MOST_UNPACKED: Final = 300_000_000
MOST_PARTS: Final = 10_000
MOST_RATIO: Final = 200
RATIO_FROM: Final = 10_000_000
# Each text is an object of 60 to 100 bytes: 3 million of them are 0.2 to 0.3 GB.
MOST_TEXTS: Final = 3_000_000
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CHUNK: Final = 1 << 16
# Built-in formats whose meaning depends on the language of Office; in Chinese they are dates.
_CHINESE_DATES: Final = frozenset((*range(27, 37), *range(50, 59)))
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")

NUMBER, DATE, DURATION = range(3)
"""What a cell's format makes of its number."""


class DoctypeError(Exception):
    """A part declares a document type."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook and the part that holds it."""

    name: str
    part: str
    hidden: bool


class Package:
    """An opened workbook.

    Raises
    ------
    InputError
        It is no workbook, too large, encrypted, with macros, or not as Office writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._check_container()
        with self._archive() as archive:
            infos = archive.infolist()
        self._check_parts(infos)
        self._parts = {info.filename: info for info in infos}
        with self._archive() as archive:
            for name in self._parts:
                self._check_prologue(name, archive)
        links = self._links("_rels/.rels", "")
        book = next((to for kind, to in links.values() if kind == "officeDocument"), None)
        if book is None or book not in self._parts:
            raise unreadable(path)
        folder, _, file = book.rpartition("/")
        self._book_links = self._links(f"{folder}/_rels/{file}.rels", folder)
        self.sheets, self.from_1904 = self._read_book(book)
        self.formats = self._read_formats()

    def _refuse(self, key: str, **values: object) -> InputError:
        return InputError(key, parameter="file", value=self.path.name, **values)

    def _check_container(self) -> None:
        with self.path.open("rb") as file:
            head = file.read(8)
        if self.path.suffix.lower() != ".xlsx":
            raise self._refuse("ingest.xlsx.kind")
        if head == _OLE:
            raise self._refuse("ingest.xlsx.encrypted")
        size = self.path.stat().st_size
        if size > MOST_BYTES:
            raise self._refuse("ingest.xlsx.size", size=_mb(size), most=_mb(MOST_BYTES))

    def _check_parts(self, infos: list[zipfile.ZipInfo]) -> None:
        names = [info.filename for info in infos]
        if len(set(names)) != len(names) or len(names) > MOST_PARTS:
            raise unreadable(self.path)
        unpacked = sum(info.file_size for info in infos)
        if unpacked > MOST_UNPACKED:
            raise self._refuse("ingest.xlsx.unpacked", size=_mb(unpacked), most=_mb(MOST_UNPACKED))
        for info in infos:
            if info.flag_bits & 1:
                raise self._refuse("ingest.xlsx.encrypted")
            if info.file_size > max(RATIO_FROM, MOST_RATIO * info.compress_size):
                raise self._refuse("ingest.xlsx.bomb", part=info.filename[:80])
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            raise self._refuse("ingest.xlsx.kind")

    def _check_prologue(self, name: str, archive: zipfile.ZipFile) -> None:
        """Refuse a part that declares a document type; what is no XML is nothing that we read."""

        def started(*_: object) -> None:
            raise _StartedError

        parser = new_parser()
        parser.StartElementHandler = started
        try:
            with archive.open(name) as part:
                while chunk := part.read(_CHUNK):
                    parser.Parse(chunk)
        except DoctypeError:
            raise self._refuse("ingest.xlsx.doctype", part=name[:80]) from None
        except (_StartedError, expat.ExpatError, ValueError, LookupError):
            return

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive; say in our words what is wrong with it."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError):
            # RuntimeError: zipfile's word for encryption; NotImplementedError is one of it.
            raise unreadable(self.path) from None

    def size(self, name: str) -> int:
        """Return how many bytes a part unpacks to."""
        return self._parts[name].file_size

    def feed(self, name: str, parser: expat.XMLParserType) -> Iterator[int]:
        """Parse a part piece by piece; yield after each how many bytes are parsed.

        Raises
        ------
        InputError
            The part is damaged or no XML.
        """
        done = 0
        try:
            with self._archive() as archive, archive.open(name) as part:
                while chunk := part.read(_CHUNK):
                    parser.Parse(chunk)
                    done += len(chunk)
                    yield done
            parser.Parse(b"", True)
        except (expat.ExpatError, DoctypeError, LookupError):
            raise unreadable(self.path) from None
        yield done

    def _elements(self, name: str, start: Callable[[str, dict[str, str]], None]) -> None:
        """Parse a part and call `start` with each element's local name and attributes."""
        parser = new_parser()
        parser.StartElementHandler = lambda tag, attributes: start(local(tag), attributes)
        for _ in self.feed(name, parser):
            pass

    def _links(self, name: str, folder: str) -> dict[str, tuple[str, str]]:
        """Return a part's relations: id -> (kind, part). What lies outside the archive is none."""
        found: dict[str, tuple[str, str]] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag != "Relationship" or attributes.get("TargetMode") == "External":
                return
            kind = attributes.get("Type", "").rpartition("/")[2]
            target = attributes.get("Target", "")
            part = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[attributes.get("Id", "")] = (kind, part)

        if name in self._parts:
            self._elements(name, start)
        return found

    def _read_book(self, book: str) -> tuple[list[Sheet], bool]:
        sheets: list[Sheet] = []
        from_1904 = False

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal from_1904
            if tag == "workbookPr":
                from_1904 = attributes.get("date1904", "0") in ("1", "true")
            if tag != "sheet":
                return
            ids = {local(name): value for name, value in attributes.items()}
            kind, part = self._book_links.get(ids.get("id", ""), ("", ""))
            if kind == "worksheet" and part in self._parts:
                hidden = ids.get("state", "visible") != "visible"
                sheets.append(Sheet(ids.get("name", ""), part, hidden))

        self._elements(book, start)
        return sheets, from_1904

    def _linked(self, kind: str) -> str | None:
        parts = (part for linked, part in self._book_links.values() if linked == kind)
        return next((part for part in parts if part in self._parts), None)

    def _read_formats(self) -> list[int]:
        """Return for each cell style whether it shows a number, a date or a duration."""
        own: dict[int, str] = {}
        ids: list[int] = []
        inside = False

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            if tag in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
                inside = tag == "cellXfs"
            elif tag == "numFmt":
                own[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
            elif tag == "xf" and inside:
                ids.append(int(attributes.get("numFmtId", "0")))

        part = self._linked("styles")
        if part is not None:
            try:
                self._elements(part, start)
            except (KeyError, ValueError):
                raise unreadable(self.path) from None
        return [_meaning(number, own) for number in ids]

    def texts(self) -> list[str]:
        """Return the workbook's shared texts; the runs of a rich text become one.

        Raises
        ------
        InputError
            There are more than memory should hold.
        """
        part = self._linked("sharedStrings")
        if part is None:
            return []
        texts: list[str] = []
        reader = TextReader()
        parser = new_parser()

        def end(tag: str) -> None:
            name = local(tag)
            if name == "si":
                if len(texts) == MOST_TEXTS:
                    raise self._refuse("ingest.xlsx.texts", most=f"{MOST_TEXTS:,}")
                texts.append(reader.take())
            else:
                reader.end(name)

        parser.StartElementHandler = lambda tag, _: reader.start(local(tag))
        parser.EndElementHandler = end
        parser.CharacterDataHandler = reader.data
        for _ in self.feed(part, parser):
            pass
        return texts


class TextReader:
    """Gathers a text from its runs, without the phonetic guides of Japanese files."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._in_text = False
        self._in_guide = False

    def start(self, tag: str) -> None:
        """Begin an element."""
        if tag == "t":
            self._in_text = not self._in_guide
        elif tag == "rPh":
            self._in_guide = True

    def end(self, tag: str) -> None:
        """End an element."""
        if tag == "t":
            self._in_text = False
        elif tag == "rPh":
            self._in_guide = False

    def data(self, text: str) -> None:
        """Take characters where they belong to the text."""
        if self._in_text:
            self._pieces.append(text)

    def take(self) -> str:
        """Return the text and begin the next one."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return unescape(text)


def unescape(text: str) -> str:
    """Return a text with Office's escapes (`_x000D_`) as what they stand for.

    Control characters that no cell can hold stay escaped.
    """
    if "_x" not in text:
        return text
    return _ESCAPED.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    if code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE:
        return chr(code)
    return match[0]


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition(" ")[2]


class _StartedError(Exception):
    """The root element has begun: what may stand before it does not."""


def new_parser() -> expat.XMLParserType:
    """Return a parser that stops at a document type."""

    def doctype(*_: object) -> None:
        raise DoctypeError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    return parser


def _meaning(number: int, own: dict[int, str]) -> int:
    code = own.get(number)
    if code is None and number in _CHINESE_DATES:
        return DATE
    code = BUILTIN_FORMATS.get(number, "General") if code is None else code
    if is_timedelta_format(code):
        return DURATION
    return DATE if is_date_format(code) else NUMBER


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
