"""KML: every placemark is a row, whatever folder it is in; `folder` says which."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from riskmap.errors import InputError
from riskmap.ingest.batches import (
    BATCH_ROWS,
    Batch,
    ReadOptions,
    check_declared,
    geometries,
)
from riskmap.ingest.encodings import read_encoding
from riskmap.ingest.kml import Kml, Placemark
from riskmap.ingest.limits import in_mb
from riskmap.ingest.report import Problem, shorten

# KML is WGS 84 by definition. Phones in China write GCJ-02 into it all the same, which is why
# whoever imports says which, and a system on WGS 84's ellipsoid is let pass.
_DECLARED: Final = "EPSG:4326"
_FOLDER: Final = "folder"


class KmlFile:
    """The placemarks of a KML file; `table` picks those of the folders with that name.

    Raises
    ------
    InputError
        It is larger than a KML may be.
    """

    headings: tuple[str, ...] | None = None

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path = path
        self._size = path.stat().st_size
        most = options.limits.max_kml_bytes
        if self._size > most:
            raise InputError(
                "ingest.kml.large",
                parameter="file",
                value=path.name,
                size=in_mb(self._size),
                most=in_mb(most),
            )
        check_declared(_DECLARED, options.crs)
        self._table = options.table
        self._kml = Kml(
            path,
            encoding=read_encoding(options.encoding),
            longest=options.limits.max_feature_bytes,
        )

    def _placemarks(self) -> Iterator[Placemark]:
        folders: dict[str, None] = {}
        found = False
        for mark in self._kml.placemarks():
            folders.update(dict.fromkeys(mark.folders))
            if self._table is None or self._table in mark.folders:
                found = True
                yield mark
        if self._table is not None and not found:
            raise InputError(
                "ingest.table.unknown",
                parameter="table",
                value=self._table,
                known=", ".join(shorten(folder) for folder in folders),
            )

    def batches(self) -> Iterator[Batch]:
        """Yield all placemarks in the order of the file.

        Raises
        ------
        InputError
            The file is damaged, has a DOCTYPE, or no folder of that name.
        """
        row = 0
        pending: list[Placemark] = []
        for mark in self._placemarks():
            pending.append(mark)
            if len(pending) == BATCH_ROWS:
                yield self._batch(row + 1, pending)
                row += len(pending)
                pending = []
        if pending:
            yield self._batch(row + 1, pending)

    def _batch(self, first: int, marks: list[Placemark]) -> Batch:
        columns: dict[str, list[object]] = {}
        shapes: list[Any] = []
        problems: list[Problem] = []
        for index, mark in enumerate(marks):
            cells = {_FOLDER: "/".join(mark.folders), **mark.cells} if mark.folders else mark.cells
            for heading, text in cells.items():
                if heading not in columns:
                    columns[heading] = [None] * len(marks)
                columns[heading][index] = text.strip() or None
            shapes.append(None if mark.bad is not None else mark.geometry)
            if mark.bad is not None:
                key = "ingest.geometry.unreadable"
                problems.append(Problem(first + index, key, "geometry", shorten(mark.bad)))
        rows = range(first, first + len(marks))
        return Batch(
            rows, columns, geometries(shapes), tuple(problems), (self._kml.done, self._size)
        )

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the placemarks with these numbers as they are written, with two Data more."""
        written = 0
        codec = self._codec()
        with target.open("wb") as copy:
            for mark, row, reason in self._wanted(reasons):
                if not written:
                    copy.write(self._head().encode(codec))
                raw = _folder(mark, _marked(mark, row, reason))
                copy.write(raw.decode().encode(codec, errors="xmlcharrefreplace"))
                written += 1
            copy.write(self._tail().encode(codec) if written else b"")
        return written

    def _wanted(self, reasons: Iterator[tuple[int, str]]) -> Iterator[tuple[Placemark, int, str]]:
        following = next(reasons, None)
        for row, mark in enumerate(self._placemarks(), 1):
            while following is not None and following[0] < row:
                following = next(reasons, None)
            if following is None:
                return
            if following[0] == row:
                yield mark, row, following[1]

    def _codec(self) -> str:
        """Return the original's encoding, which the caller may state again; UTF-8 for UTF-16."""
        encoding = self._kml.encoding
        return "utf-8" if encoding.startswith("utf") else encoding

    def _names(self) -> tuple[str, str]:
        prefix, colon, name = self._kml.root.rpartition(":")
        # A root that is no kml element still has the namespaces; they go on ours.
        return f"{prefix}{colon}kml" if name != "kml" else self._kml.root, f"{prefix}{colon}"

    def _head(self) -> str:
        root, prefix = self._names()
        attributes = "".join(
            f" {name}={quoteattr(value)}" for name, value in self._kml.attributes.items()
        )
        head = f'<?xml version="1.0" encoding="{self._codec()}"?>\n'
        return f"{head}<{root}{attributes}><{prefix}Document>\n"

    def _tail(self) -> str:
        root, prefix = self._names()
        return f"</{prefix}Document></{root}>\n"


def _folder(mark: Placemark, raw: bytes) -> bytes:
    """Put a placemark into the folders that it was in, since their names are a column."""
    colon = f"{mark.prefix}:" if mark.prefix else ""
    opened = "".join(
        f"<{colon}Folder><{colon}name>{escape(folder)}</{colon}name>" for folder in mark.folders
    )
    return opened.encode() + raw + (f"</{colon}Folder>" * len(mark.folders) + "\n").encode()


def _marked(mark: Placemark, row: int, reason: str) -> bytes:
    colon = f"{mark.prefix}:" if mark.prefix else ""
    added = "".join(
        f'<{colon}Data name="{name}"><{colon}value>'
        f"{escape(str(value))}</{colon}value></{colon}Data>"
        for name, value in (("riskmap_row", row), ("riskmap_reason", reason))
    )
    at, alone = mark.insert
    if alone:
        added = f"<{colon}ExtendedData>{added}</{colon}ExtendedData>"
    raw = mark.raw[:at] + added.encode() + mark.raw[at:]
    # Cuts stand before the place of insertion: from the last to the first they stay in place.
    for begin, end in reversed(mark.cut):
        raw = raw[:begin] + raw[end:]
    return raw
