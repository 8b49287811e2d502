"""FlatGeobuf. Its features are in the order of the file, which its index has usually sorted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from riskmap.ingest.batches import BATCH_ROWS, ReadOptions, unreadable
from riskmap.ingest.dbf import short
from riskmap.ingest.read_gdal import GdalTable, Rejected

_MAGIC: Final = b"fgb\x03fgb"
_LONGEST_HEADER: Final = 1 << 20
# Place of features_count in the header's table (header.fbs of FlatGeobuf 3), as flatbuffers
# count it: two bytes for each field after the two sizes.
_COUNT_ENTRY: Final = 4 + 2 * 8
# A feature without geometry and properties: its length and an empty table.
_SMALLEST_FEATURE: Final = 8
# The driver finds a page by passing over all features before it: larger pages, fewer passes.
_PAGE_BYTES: Final = 64 << 20


class FlatGeobuf(GdalTable):
    """A FlatGeobuf file."""

    driver = "FlatGeobuf"
    _by_fid = False

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._size = path.stat().st_size
        told = read_count(path)
        if told * _SMALLEST_FEATURE > self._size:
            raise short(path, told * _SMALLEST_FEATURE, self._size)
        super().__init__(path, options, None)

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the rows with these numbers, as `GdalTable.write_rejected` says.

        They are held in memory until the last: nothing can be added to a FlatGeobuf.
        """
        self._held: list[Rejected] = []
        return super().write_rejected(target, reasons)

    def _store(self, target: Path, rows: Rejected, *, append: bool) -> None:
        self._held.append(rows)

    def _finish(self, target: Path) -> None:
        held = self._held
        columns = [np.concatenate(parts) for parts in zip(*(r.columns for r in held), strict=True)]
        masks = [
            None
            if all(mask is None for mask in parts)
            else np.concatenate(
                [
                    np.zeros(len(rows.wkb), dtype=bool) if mask is None else mask
                    for mask, rows in zip(parts, held, strict=True)
                ]
            )
            for parts in zip(*(r.masks for r in held), strict=True)
        ]
        wkb = np.concatenate([rows.wkb for rows in held])
        super()._store(target, Rejected(wkb, held[0].names, columns, masks), append=False)

    def _write_options(self) -> dict[str, Any]:
        # An index would sort the rows, and knows no null geometries.
        return {"SPATIAL_INDEX": "NO"}

    def _page_rows(self) -> int:
        """Return how many features are about 64 MB, in whole batches."""
        of_file = _PAGE_BYTES / max(1, self._size)
        return BATCH_ROWS * min(50, max(1, int(of_file * self._count / BATCH_ROWS)))


def read_count(path: Path) -> int:
    """Return how many features the header claims; 0 where it does not say.

    Raises
    ------
    InputError
        It is no FlatGeobuf of version 3, or its header is damaged.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if not head.startswith(_MAGIC) or len(head) < 12:
            raise unreadable(path)
        (length,) = struct.unpack_from("<I", head, 8)
        if not 8 <= length <= _LONGEST_HEADER:
            raise unreadable(path)
        header = file.read(length)
    if len(header) < length:
        raise short(path, 12 + length, path.stat().st_size)
    try:
        (table,) = struct.unpack_from("<I", header, 0)
        (back,) = struct.unpack_from("<i", header, table)
        entries = table - back
        (size,) = struct.unpack_from("<H", header, entries)
        if size <= _COUNT_ENTRY:
            return 0
        (place,) = struct.unpack_from("<H", header, entries + _COUNT_ENTRY)
        return int(struct.unpack_from("<Q", header, table + place)[0]) if place else 0
    except struct.error:
        raise unreadable(path) from None
