"""Placemarks out of KML, one at a time, with nothing of XML that reaches outside the file.

GDAL's drivers hold the whole file, make a layer of each folder and know neither a placemark's
number nor its place in the file. Here expat streams: DOCTYPE and entities are refused, and what
refers elsewhere (NetworkLink, styles, icons, schema addresses) is never looked at.

Source: OGC KML 2.3 (12-007r2), and Google's gx:Track.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from riskmap.errors import InputError
from riskmap.ingest.batches import unreadable
from riskmap.ingest.encodings import declared_encoding
from riskmap.ingest.kml_shapes import SHAPES, KmlError, Shape, build, coordinates, position

_CHUNK: Final = 1 << 18
_DECLARED: Final = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")
_DEEPEST: Final = 100

# Texts of a placemark that become columns. Styles, views, regions and snippets are for drawing.
_TEXTS: Final = frozenset({"name", "description", "address", "phoneNumber", "when", "begin", "end"})
_TIMES: Final = frozenset({"TimeStamp", "TimeSpan"})


@dataclass(slots=True)
class Placemark:
    """One placemark.

    Parameters
    ----------
    folders
        Names of the folders it is in, the outermost first.
    cells
        Name of a column -> text.
    geometry
        None: it has none, or `bad` says what stands in its place.
    raw
        The placemark as it is written, in UTF-8.
    insert
        Where in `raw` a further Data element belongs, and whether in an ExtendedData of its own.
    cut
        Parts of `raw` that hold the row number and reason of an earlier import.
    """

    folders: tuple[str, ...]
    prefix: str = ""
    cells: dict[str, str] = field(default_factory=dict)
    geometry: Any = None
    bad: str | None = None
    raw: bytes = b""
    insert: tuple[int, bool] = (0, True)
    cut: list[tuple[int, int]] = field(default_factory=list)


class Kml:
    """Reads the placemarks of one file.

    Raises
    ------
    InputError
        It is damaged, no KML, or has a DOCTYPE.
    """

    def __init__(self, path: Path, *, encoding: str | None, longest: int) -> None:
        self._path = path
        self.encoding = encoding or _declared(path)
        self._longest = longest
        self.attributes: dict[str, str] = {}
        """Of the root: the names of its namespaces."""
        self.root = ""
        self.done = 0
        """Bytes read."""

    def placemarks(self) -> Iterator[Placemark]:
        """Yield the placemarks in the order of the file."""
        self.done = 0
        self._names: list[str] = []
        self._folders: list[str] = []
        self._shapes: list[Shape] = []
        self._text: list[str] | None = None
        self._mark: Placemark | None = None
        self._found: list[Placemark] = []
        self._begin = 0
        self._data: tuple[str | None, int] = (None, 0)
        self._linked = False
        parser = expat.ParserCreate("utf-8")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.buffer_text = True
        self._parser = parser
        decoder = codecs.getincrementaldecoder(self.encoding)()
        # What has been fed since the placemark that is being read began; `fed` is where it starts.
        self._fed = 0
        self._window = b""
        any_mark = False
        try:
            with self._path.open("rb") as file:
                while True:
                    chunk = file.read(_CHUNK)
                    self.done += len(chunk)
                    piece = decoder.decode(chunk, final=not chunk).removeprefix("\ufeff").encode()
                    self._window += piece
                    parser.Parse(piece, not chunk)
                    any_mark = any_mark or bool(self._found)
                    yield from self._found
                    self._found = []
                    self._forget()
                    if not chunk:
                        break
        except (expat.ExpatError, UnicodeError):
            raise unreadable(self._path) from None
        if not any_mark and self._linked:
            raise InputError("ingest.kml.link", parameter="file", value=self._path.name)

    def _forget(self) -> None:
        """Drop what was fed before the placemark that is being read.

        Between two placemarks the last event's place is kept: what was fed after it may be the
        beginning of a tag that expat has not seen the end of.
        """
        inside = self._mark is not None
        keep = self._begin if inside else max(self._fed, self._parser.CurrentByteIndex)
        if inside and self._fed + len(self._window) - keep > self._longest:
            raise InputError(
                "ingest.feature.long",
                parameter="file",
                value=self._path.name,
                most=f"{self._longest / 1e6:,.0f}",
            )
        self._window = self._window[keep - self._fed :]
        self._fed = keep

    def _refuse(self, *_: object) -> None:
        raise InputError("ingest.kml.doctype", parameter="file", value=self._path.name)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        prefix, _, name = tag.rpartition(":")
        if not self._names:
            if name not in ("kml", "Document", "Folder", "Placemark"):
                raise unreadable(self._path)
            self.root, self.attributes = tag, attributes
        self._names.append(name)
        if len(self._names) > _DEEPEST:
            raise unreadable(self._path)
        mark = self._mark
        if mark is None:
            if name == "Placemark":
                self._begin = self._parser.CurrentByteIndex
                self._mark = Placemark(tuple(f for f in self._folders if f), prefix)
            elif name in ("Document", "Folder"):
                self._folders.append("")
            elif name == "name" and self._names[-2:-1] == ["Folder"]:
                self._text = []
            self._linked = self._linked or name == "NetworkLink"
            return
        parent = self._names[-2]
        if name in SHAPES:
            self._shapes.append(Shape(name))
        elif self._shapes:
            if name in ("coordinates", "coord"):
                self._text = []
        else:
            self._start_cell(name, parent, attributes)

    def _start_cell(self, name: str, parent: str, attributes: dict[str, str]) -> None:
        if name in ("Data", "SimpleData"):
            at = self._parser.CurrentByteIndex - self._begin
            self._data = (attributes.get("name"), at)
            self._text = [] if name == "SimpleData" else None
        elif (name == "value" and parent == "Data") or (
            name in _TEXTS and (parent == "Placemark" or parent in _TIMES)
        ):
            self._text = []

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = self._names.pop()
        parent = self._names[-1] if self._names else ""
        text = None if self._text is None else "".join(self._text)
        mark = self._mark
        if mark is None:
            if name in ("Document", "Folder"):
                self._folders.pop()
            elif name == "name" and parent == "Folder" and text is not None:
                self._folders[-1] = text.strip()
            self._text = None
            return
        here = self._parser.CurrentByteIndex - self._begin
        if name == "Placemark":
            self._close(mark, here, tag)
            return
        try:
            self._geometry(mark, name, text)
        except KmlError as error:
            mark.bad = mark.bad or str(error)
        if self._shapes or name in SHAPES:
            self._text = None
            return
        self._end_cell(mark, name, here, tag, text)

    def _end_cell(self, mark: Placemark, name: str, here: int, tag: str, text: str | None) -> None:
        heading, at = self._data
        if name in ("Data", "SimpleData"):
            if heading in ("riskmap_row", "riskmap_reason"):
                mark.cut.append((at, here + len(f"</{tag}>".encode())))
            if name == "SimpleData" and heading:
                mark.cells[heading] = text or ""
        elif name == "value":
            if heading and text is not None:
                mark.cells[heading] = text
        elif name == "ExtendedData" and self._raw(here, 2) == b"</":
            mark.insert = (here, False)
        elif text is not None:
            mark.cells[{"when": "timestamp"}.get(name, name)] = text
        if name != "Data":
            self._text = None

    def _raw(self, at: int, size: int) -> bytes:
        begin = self._begin - self._fed + at
        return self._window[begin : begin + size]

    def _close(self, mark: Placemark, here: int, tag: str) -> None:
        mark.raw = self._raw(0, here) + f"</{tag}>".encode()
        if mark.insert[1]:
            mark.insert = (here, True)
        self._found.append(mark)
        self._mark = None
        self._text = None
        self._shapes = []

    def _geometry(self, mark: Placemark, name: str, text: str | None) -> None:
        if not self._shapes:
            return
        shape = self._shapes[-1]
        if name == "coordinates":
            shape.coordinates = coordinates(text or "")
        elif name == "coord":
            shape.coordinates.append(position((text or "").split(), text or ""))
        elif name in ("outerBoundaryIs", "innerBoundaryIs") and shape.kind == "Polygon":
            ring = shape.parts.pop() if shape.parts else None
            if ring is None or (name == "outerBoundaryIs" and shape.outer is not None):
                raise KmlError(name)
            if name == "outerBoundaryIs":
                shape.outer = ring
            else:
                shape.rings.append(ring)
        elif name in SHAPES:
            self._shapes.pop()
            built = build(shape)
            if self._shapes:
                self._shapes[-1].parts.append(built)
            elif mark.geometry is not None:
                raise KmlError(name)
            else:
                mark.geometry = built


def _declared(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    declared = _DECLARED.search(head)
    if declared is None:
        return "utf-8"
    found = declared_encoding(declared[1].decode())
    if found is None:
        raise InputError("ingest.encoding.cpg", parameter="encoding", value=declared[1].decode())
    return found
