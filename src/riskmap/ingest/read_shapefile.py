"""A shapefile: .shp with .shx and .dbf beside it, and what .prj and .cpg say.

The encoding of texts is, in this order: as the caller states (who has seen the texts wrong); the
.cpg; the language driver id of the .dbf; UTF-8 if every text decodes strictly, else GB 18030. GDAL
is told Latin-1, which keeps every byte, and the texts are decoded here: GDAL itself puts in or
leaves out what it cannot decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.batches import BATCH_ROWS, ReadOptions, check_declared, unreadable
from riskmap.ingest.dbf import Dbf, check_shapes, read_dbf
from riskmap.ingest.encodings import declared_encoding, ldid_encoding, read_encoding
from riskmap.ingest.read_gdal import GdalTable, Page
from riskmap.ingest.report import Problem, shorten

NEEDED: Final = (".shp", ".shx", ".dbf")
PARTS: Final = (*NEEDED, ".prj", ".cpg")

# A .dbf cuts headings at 10 bytes and texts at 254.
_HEADING_BYTES: Final = 10
_TEXT_BYTES: Final = 254
_LONGEST_PRJ: Final = 65_536


def find_parts(shp: Path) -> dict[str, Path]:
    """Return the parts of a shapefile that are there, by ending, whatever the case of endings.

    Raises
    ------
    InputError
        One that is needed is missing.
    """
    parts = {
        path.suffix.lower(): path
        for path in sorted(shp.parent.iterdir())
        if path.stem == shp.stem and path.suffix.lower() in PARTS and path.is_file()
    }
    parts[".shp"] = shp
    check_parts(shp.name, set(parts))
    return parts


def check_parts(name: str, endings: set[str]) -> None:
    """Refuse a shapefile without .shp, .shx or .dbf, naming which."""
    missing = [ending for ending in NEEDED if ending not in endings]
    if missing:
        raise InputError(
            "ingest.shapefile.parts", parameter="file", value=name, missing=", ".join(missing)
        )


class Shapefile(GdalTable):
    """A shapefile. Records that are marked as deleted are no rows."""

    driver = "ESRI Shapefile"
    encoding = "ISO-8859-1"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        parts = find_parts(path)
        self._dbf = read_dbf(parts[".dbf"])
        check_shapes(parts[".shp"], parts[".shx"], self._dbf.rows)
        self._stated = read_encoding(options.encoding)
        self._codec = self._stated or _encoding(self._dbf, parts.get(".cpg"))
        self._prj = parts.get(".prj")
        super().__init__(path, options, None)
        self._count = self._dbf.live_rows()
        # GDAL makes a column FID where a table has none of its own; here each table has one.
        self.headings = tuple(self._heading(name) for name in self._fields)
        if len(set(self.headings)) < len(self.headings):
            twice = next(h for h in self.headings if self.headings.count(h) > 1)
            raise InputError("ingest.heading.repeated", parameter="file", value=shorten(twice))

    def _check_crs(self, crs: InputCrs) -> None:
        if self._prj is None:
            return
        with self._prj.open("rb") as file:
            declared = (
                file.read(_LONGEST_PRJ).decode("utf-8-sig", errors="replace").strip("\0 \r\n")
            )
        if declared:
            check_declared(declared, crs)

    def _heading(self, name: str) -> str:
        raw = name.encode("latin-1")
        # Programs cut headings at 10 bytes, in the middle of a character if it falls so.
        for cut in range(4 if len(raw) >= _HEADING_BYTES else 1):
            try:
                heading = raw[: len(raw) - cut].decode(self._codec)
            except UnicodeDecodeError:
                continue
            return {"rm_row": "riskmap_row", "rm_reason": "riskmap_reason"}.get(heading, heading)
        raise InputError(
            "ingest.encoding.heading",
            parameter="encoding",
            value=shorten(raw.decode(self._codec, errors="backslashreplace")),
            encoding=self._codec,
        )

    def _pages(self) -> Iterator[Page]:
        """Yield the rows; here GDAL skips by the number of the record, deleted ones counted."""
        done = 0
        following = 0
        while following < self._dbf.rows:
            found = self._read(skip_features=following, max_features=BATCH_ROWS, return_fids=True)
            if found.fids is None or len(found.fids) == 0:
                break
            yield Page(done + 1, found.wkb, found.columns, found.bad)
            done += len(found.wkb)
            following = int(found.fids[-1]) + 1
        if done != self._count:
            raise unreadable(self._path)

    def _cells(self, place: int, page: Page, problems: list[Problem]) -> list[object]:
        cells = super()._cells(place, page, problems)
        for index, cell in enumerate(cells):
            if isinstance(cell, str) and not cell.isascii():
                raw = cell.encode("latin-1")
                try:
                    cells[index] = raw.decode(self._codec)
                except UnicodeDecodeError:
                    heading = (self.headings or ())[place]
                    shown = shorten(raw.decode(self._codec, errors="backslashreplace"))
                    problems.append(
                        Problem(
                            page.start + index,
                            "ingest.text",
                            heading,
                            shown,
                            {"encoding": self._codec},
                        )
                    )
        return cells

    def _added(self) -> tuple[str, str]:
        return "rm_row", "rm_reason"

    def _write_options(self) -> dict[str, Any]:
        return {"encoding": self._writes_in()}

    def _writes_in(self) -> str:
        """Return the stated encoding, since the caller will state it again; else UTF-8.

        But GB 18030 where UTF-8 would cut what stood in GB 18030.
        """
        if self._stated is not None:
            return self._stated.upper()
        long = any(
            len(heading.encode()) > _HEADING_BYTES for heading in self.headings or ()
        ) or any(field.width * 3 // 2 > _TEXT_BYTES for field in self._dbf.fields)
        return "GB18030" if long and self._codec == "gb18030" else "UTF-8"

    def _reason(self, text: str) -> str:
        codec = self._writes_in()
        return text.encode(codec, errors="replace")[:_TEXT_BYTES].decode(codec, errors="ignore")

    def _column(
        self, place: int, heading: str, page: Page, indices: list[int]
    ) -> tuple[str, NDArray[Any], NDArray[np.bool_] | None]:
        name, values, mask = super()._column(place, heading, page, indices)
        if values.dtype.kind == "O":
            # What cannot be decoded is written as \xb1, which the reader of the file can mend.
            values[:] = [
                None
                if value is None
                else value.encode("latin-1").decode(self._codec, errors="backslashreplace")
                for value in values.tolist()
            ]
        return name, values, mask


def _encoding(dbf: Dbf, cpg: Path | None) -> str:
    if cpg is not None:
        with cpg.open("rb") as file:
            text = file.read(64).decode("ascii", errors="replace").strip("\0 \r\n")
        if text:
            found = declared_encoding(text)
            if found is None:
                raise InputError("ingest.encoding.cpg", parameter="encoding", value=shorten(text))
            return found
    return ldid_encoding(dbf.ldid) or ("utf-8" if dbf.is_utf8() else "gb18030")
