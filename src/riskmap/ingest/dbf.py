"""The parts of a shapefile, looked at before GDAL sees them: sizes that fit, encoding, headings.

A .dbf says how many rows it has and how long each is; a .shx says where each shape begins. Both
claims are compared with the files' real sizes, so that nothing is allocated for what is not there
and no row is lost quietly.

Source: ESRI Shapefile Technical Description (July 1998); dBASE III+ table layout.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from riskmap.errors import InputError
from riskmap.ingest.batches import unreadable

_SHP_MAGIC: Final = struct.pack(">i", 9994)
_SHAPE_HEADER: Final = 100
_FIELD_BYTES: Final = 32
_CHUNK_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class DbfField:
    """One column: its name as bytes, its type's letter, where it lies in a record, its width."""

    name: bytes
    kind: str
    offset: int
    width: int


@dataclass(frozen=True, slots=True)
class Dbf:
    """The head of a .dbf.

    Parameters
    ----------
    rows
        Records, deleted ones among them.
    ldid
        Language driver id: the encoding, where a program wrote it.
    """

    path: Path
    rows: int
    header_bytes: int
    record_bytes: int
    ldid: int
    fields: tuple[DbfField, ...]

    @contextmanager
    def _records(self) -> Iterator[memoryview]:
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
            view[self.header_bytes : self.header_bytes + self.rows * self.record_bytes] as records,
        ):
            yield records

    def live_rows(self) -> int:
        """Count the records that are not marked as deleted, which GDAL passes over."""
        if not self.rows:
            return 0
        with self._records() as records:
            marks = bytes(records[:: self.record_bytes])
        return len(marks) - marks.count(b"*")

    def is_utf8(self) -> bool:
        """Say whether every heading and every text is strict UTF-8."""
        texts = [field for field in self.fields if field.kind == "C"]
        size = self.record_bytes
        try:
            for field in self.fields:
                field.name.decode("utf-8")
            if not self.rows:
                return True
            with self._records() as records:
                for start in range(0, self.rows, _CHUNK_ROWS):
                    chunk = bytes(records[start * size : (start + _CHUNK_ROWS) * size])
                    if chunk.isascii():
                        continue
                    for at in range(0, len(chunk), size):
                        record = chunk[at : at + size]
                        if record.isascii() or record[:1] == b"*":
                            continue
                        for field in texts:
                            record[field.offset : field.offset + field.width].decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True


def short(part: Path, told: int, size: int) -> InputError:
    """Return the error for a file that holds less than its own head says."""
    return InputError(
        "ingest.file.short", parameter="file", value=part.name, told=f"{told:,}", size=f"{size:,}"
    )


def read_dbf(path: Path) -> Dbf:
    """Read the head of a .dbf.

    Raises
    ------
    InputError
        It is no .dbf, or shorter than its rows.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_FIELD_BYTES)
        if len(head) < _FIELD_BYTES:
            raise unreadable(path)
        rows, header_bytes, record_bytes = struct.unpack_from("<IHH", head, 4)
        described = file.read(max(0, header_bytes - _FIELD_BYTES))
    if header_bytes < _FIELD_BYTES + 1 or record_bytes < 1 or len(described) < header_bytes - 32:
        raise unreadable(path)
    if header_bytes + rows * record_bytes > size:
        raise short(path, header_bytes + rows * record_bytes, size)
    fields: list[DbfField] = []
    offset = 1
    for at in range(0, len(described) - _FIELD_BYTES + 1, _FIELD_BYTES):
        if described[at] in (0x0D, 0):
            break
        entry = described[at : at + _FIELD_BYTES]
        kind = chr(entry[11])
        # A text's width may go on into the byte that is the number of decimals elsewhere.
        width = entry[16] + (entry[17] << 8 if kind == "C" else 0)
        fields.append(DbfField(entry[:11].split(b"\0")[0].strip(), kind, offset, width))
        offset += width
    if not fields or offset > record_bytes:
        raise unreadable(path)
    return Dbf(path, rows, header_bytes, record_bytes, head[29], tuple(fields))


def check_shapes(shp: Path, shx: Path, rows: int) -> None:
    """Check that the index fits the shapes and the rows.

    Raises
    ------
    InputError
        One of them is damaged or cut, or they belong to different files.
    """
    for part in (shp, shx):
        with part.open("rb") as file:
            head = file.read(_SHAPE_HEADER)
        if len(head) < _SHAPE_HEADER or not head.startswith(_SHP_MAGIC):
            raise unreadable(part)
    entries = np.fromfile(shx, dtype=">i4", offset=_SHAPE_HEADER)
    if len(entries) != 2 * rows or (shx.stat().st_size - _SHAPE_HEADER) % 8:
        raise InputError(
            "ingest.shapefile.rows",
            parameter="file",
            value=shx.name,
            shapes=f"{len(entries) // 2:,}",
            rows=f"{rows:,}",
        )
    # Both in words of two bytes; each shape has a head of eight bytes before its content.
    offsets, lengths = entries[0::2].astype(np.int64), entries[1::2].astype(np.int64)
    if rows == 0:
        return
    if offsets.min() < _SHAPE_HEADER // 2 or lengths.min() < 0:
        raise unreadable(shx)
    end = int((2 * (offsets + lengths) + 8).max())
    size = shp.stat().st_size
    if end > size:
        raise short(shp, end, size)
