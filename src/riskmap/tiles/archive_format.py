"""The bytes of a PMTiles archive, version 3 (github.com/protomaps/PMTiles, spec/v3/spec.md).

Header, root directory, metadata, leaf directories, tiles: in this order, and the tiles in the
order of their numbers, so that a reader who asks for neighbours asks for neighbouring bytes.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

MEDIA_TYPE: Final = "application/vnd.pmtiles"
HEADER_BYTES: Final = 127
# Header and root directory come with a reader's first request, which is for so much.
FIRST_BYTES: Final = 16_384
_MAGIC: Final = b"PMTiles"
_VERSION: Final = 3
_HEADER: Final = struct.Struct("<7sB11Q6B4iB2i")
_GZIP: Final = 2
_MVT: Final = 1
_CLUSTERED: Final = 1
_LEAF_ENTRIES: Final = 4096
# More metadata than any archive of ours has: a broken file must not fill the memory.
_MOST_METADATA_BYTES: Final = 4 << 20
_DEGREES_E7: Final = 10_000_000


class NotAnArchiveError(Exception):
    """A file is no PMTiles archive of version 3, or only a part of one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Neighbours of the same content: the first one's number, and where the content lies."""

    number: int
    offset: int
    length: int
    run: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says that is of use to others.

    Parameters
    ----------
    bounds
        West, south, east, north in degrees.
    tiles
        How many addresses have a tile.
    """

    min_zoom: int
    max_zoom: int
    bounds: tuple[float, float, float, float]
    tiles: int
    metadata_offset: int
    metadata_length: int
    end: int


def number(zoom: int, x: int, y: int) -> int:
    """Return the number of a tile: zoom after zoom, each along a Hilbert curve."""
    found = ((1 << (2 * zoom)) - 1) // 3
    for level in reversed(range(zoom)):
        half = 1 << level
        right, lower = bool(x & half), bool(y & half)
        found += ((3 * right) ^ lower) << (2 * level)
        if not lower:
            if right:
                x, y = ~x, ~y
            x, y = y, x
    return found


def place(tile: int) -> tuple[int, int, int]:
    """Return zoom, x and y of the tile of a number."""
    zoom = ((3 * tile + 1).bit_length() - 1) // 2
    left = tile - ((1 << (2 * zoom)) - 1) // 3
    x = y = 0
    for level in range(zoom):
        half = 1 << level
        right = (left >> 1) & 1
        lower = (left ^ right) & 1
        if not lower:
            if right:
                x, y = half - 1 - x, half - 1 - y
            x, y = y, x
        x, y = x + half * right, y + half * lower
        left >>= 2
    return zoom, x, y


def entries(tiles: Iterable[tuple[int, int]], lengths: Mapping[int, int]) -> Iterator[Entry]:
    """Yield the entries of tiles given as (number, content), by ascending numbers.

    A content lies where it was met first. Runs of one content are one entry.
    """
    offsets: dict[int, int] = {}
    end = 0
    current: Entry | None = None
    for tile, content in tiles:
        if content not in offsets:
            offsets[content] = end
            end += lengths[content]
        offset = offsets[content]
        if current and current.offset == offset and current.number + current.run == tile:
            current = Entry(current.number, offset, current.length, current.run + 1)
            continue
        if current:
            yield current
        current = Entry(tile, offset, lengths[content], 1)
    if current:
        yield current


def directories(found: Sequence[Entry]) -> tuple[bytes, bytes]:
    """Return the root directory and the leaves that it points to: none where it has room for all.

    The root must end within `FIRST_BYTES`.
    """
    room = FIRST_BYTES - HEADER_BYTES
    root, leaves = _directory(found), b""
    size = _LEAF_ENTRIES
    while len(root) > room:
        packed = [_directory(found[at : at + size]) for at in range(0, len(found), size)]
        pointers, offset = [], 0
        for index, leaf in enumerate(packed):
            # An entry of no run is a leaf.
            pointers.append(Entry(found[index * size].number, offset, len(leaf), 0))
            offset += len(leaf)
        root, leaves = _directory(pointers), b"".join(packed)
        size *= 2
    return root, leaves


def write(
    file: BinaryIO,
    found: Sequence[Entry],
    contents: Iterable[bytes],
    *,
    metadata: Mapping[str, Any],
    bounds: tuple[float, float, float, float],
    zooms: tuple[int, int],
) -> None:
    """Write an archive.

    Parameters
    ----------
    contents
        Each content once, gzipped, in the order in which the entries name them first.
    bounds
        West, south, east, north in degrees.
    """
    root, leaves = directories(found)
    described = gzip.compress(orjson.dumps(metadata), mtime=0)
    metadata_at = HEADER_BYTES + len(root)
    leaves_at = metadata_at + len(described)
    tiles_at = leaves_at + len(leaves)
    last = max(found, key=lambda entry: entry.offset)
    west, south, east, north = (round(degrees * _DEGREES_E7) for degrees in bounds)
    file.write(
        _HEADER.pack(
            _MAGIC,
            _VERSION,
            HEADER_BYTES,
            len(root),
            metadata_at,
            len(described),
            leaves_at,
            len(leaves),
            tiles_at,
            last.offset + last.length,
            sum(entry.run for entry in found),
            len(found),
            len({entry.offset for entry in found}),
            _CLUSTERED,
            _GZIP,
            _GZIP,
            _MVT,
            *zooms,
            west,
            south,
            east,
            north,
            _whole(bounds, zooms),
            (west + east) // 2,
            (south + north) // 2,
        )
    )
    for part in (root, described, leaves):
        file.write(part)
    for content in contents:
        file.write(content)


def _whole(bounds: tuple[float, float, float, float], zooms: tuple[int, int]) -> int:
    """Return the zoom at which the bounds are about as wide as a tile: a viewer's first look."""
    wide = max(bounds[2] - bounds[0], 1e-6)
    return max(zooms[0], min(zooms[1], round(math.log2(360 / wide))))


def read(file: BinaryIO, size: int) -> tuple[Header, dict[str, Any]]:
    """Return header and metadata of an archive of so many bytes.

    Raises
    ------
    NotAnArchiveError
        It is none, of another version, or cut off.
    """
    raw = file.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise NotAnArchiveError("shorter than a header")
    magic, version, *rest = _HEADER.unpack(raw)
    if magic != _MAGIC or version != _VERSION:
        raise NotAnArchiveError("no PMTiles archive of version 3")
    offsets, (min_zoom, max_zoom), box = rest[:11], rest[15:17], rest[17:21]
    end = max(
        offset + length for offset, length in zip(offsets[0:8:2], offsets[1:8:2], strict=True)
    )
    if end > size:
        raise NotAnArchiveError(f"{size} bytes of {end}")
    west, south, east, north = (value / _DEGREES_E7 for value in box)
    header = Header(
        min_zoom, max_zoom, (west, south, east, north), offsets[8], offsets[2], offsets[3], end
    )
    return header, _metadata(file, header, compression=rest[12])


def _metadata(file: BinaryIO, header: Header, *, compression: int) -> dict[str, Any]:
    if header.metadata_length > _MOST_METADATA_BYTES:
        raise NotAnArchiveError("too much metadata")
    file.seek(header.metadata_offset)
    text = file.read(header.metadata_length)
    try:
        if compression == _GZIP:
            text = zlib.decompressobj(31).decompress(text, _MOST_METADATA_BYTES)
        found = orjson.loads(text)
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise NotAnArchiveError(str(error)) from error
    if not isinstance(found, dict):
        raise NotAnArchiveError("its metadata is no object")
    return found


def _directory(found: Sequence[Entry]) -> bytes:
    """Return a directory, gzipped: column after column, each number in seven-bit groups."""
    raw = bytearray()
    _varint(raw, len(found))
    before = 0
    for entry in found:
        _varint(raw, entry.number - before)
        before = entry.number
    for entry in found:
        _varint(raw, entry.run)
    for entry in found:
        _varint(raw, entry.length)
    follows = -1
    for entry in found:
        # 0: right after the one before.
        _varint(raw, 0 if entry.offset == follows else entry.offset + 1)
        follows = entry.offset + entry.length
    return gzip.compress(raw, mtime=0)


def _varint(raw: bytearray, value: int) -> None:
    while value > 0x7F:
        raw.append(value & 0x7F | 0x80)
        value >>= 7
    raw.append(value)
