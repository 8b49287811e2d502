"""Lines that are in memory, not in a table, as a Mapbox Vector Tile (specification 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.tiles.grid import EXTENT, WORLD_M, Address
from riskmap.tiles.roads import classes

#: Half the widest line, 8 px across, beyond the edge: what two tiles share, both draw.
BUFFER: Final = 64
# From this zoom every road is drawn, whatever its class.
_ALL_ZOOM: Final = 14
# Half a screen pixel of 8 units: no eye sees what is left out.
_TOLERANCE: Final = 4.0
_RADIUS_M: Final = WORLD_M / 2 / np.pi


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines in Web Mercator metres with what each carries: n of them.

    Attributes
    ----------
    shapes : object[n]
        Shapely LineStrings.
    road_class : str[n]
        Decides from which zoom a line is drawn.
    values
        By name n values each: strings, whole numbers or floats.
    """

    shapes: npt.NDArray[np.object_]
    road_class: npt.NDArray[np.str_]
    values: Mapping[str, npt.NDArray[Any]]

    @property
    def weight_bytes(self) -> int:
        """What the lines take in memory, nearly: 16 bytes a vertex, 200 a line."""
        return int(shapely.get_num_coordinates(self.shapes).sum()) * 16 + len(self.shapes) * 200


def mercator(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return degrees as Web Mercator metres, float64[n, 2] (EPSG:3857: of a sphere)."""
    lon, lat = np.radians(lonlat).T
    return np.column_stack([lon, np.arctanh(np.sin(lat))]) * _RADIUS_M


def tile(lines: Lines, name: str, at: Address) -> tuple[bytes, int]:
    """Return a layer of lines as the bytes of a tile, empty where none is drawn.

    Returns
    -------
    mvt, thinned
        The tile, and how many of the lines that meet it are of a class that is not drawn yet.

    Notes
    -----
    Lines are simplified as a whole and clipped then, so that the two halves of one that crosses
    the border lie on each other. A line that leaves the tile and comes back is two features.
    """
    west, south, east, north = at.bounds(buffer=BUFFER)
    x0, x1, y0, y1 = _boxes(lines.shapes)
    near = (x0 <= east) & (x1 >= west) & (y0 <= north) & (y1 >= south)
    drawn = near
    if at.zoom < _ALL_ZOOM:
        drawn = near & np.isin(lines.road_class, classes(at.zoom))
    thinned = int(near.sum() - drawn.sum())
    rows = np.flatnonzero(drawn)
    if not len(rows):
        return b"", thinned
    left, _, right, top = at.bounds()
    scale = EXTENT / (right - left)
    units = shapely.transform(
        lines.shapes[rows], lambda xy: np.column_stack([xy[:, 0] - left, top - xy[:, 1]]) * scale
    )
    simple = shapely.simplify(units, _TOLERANCE, preserve_topology=False)
    clipped = shapely.clip_by_rect(simple, -BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
    parts, owner = shapely.get_parts(clipped, return_index=True)
    lineal = shapely.get_type_id(parts) == 1
    parts, owner = parts[lineal], rows[owner[lineal]]
    if not len(parts):
        return b"", thinned
    xy, piece = shapely.get_coordinates(parts, return_index=True)
    whole = np.rint(xy).astype(np.int64)
    again = np.zeros(len(whole), dtype=bool)
    again[1:] = (piece[1:] == piece[:-1]) & (whole[1:] == whole[:-1]).all(axis=1)
    whole, piece = whole[~again], piece[~again]
    size = np.bincount(piece, minlength=len(parts))
    # Shorter than a unit: nothing of it would be seen, and a line of one point is none.
    long = size > 1
    kept = long[piece]
    geometries = _geometries(whole[kept], size[long])
    owner = owner[long]
    if not len(owner):
        return b"", thinned
    return _layer(name, geometries, {k: v[owner] for k, v in lines.values.items()}), thinned


def _boxes(shapes: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.float64], ...]:
    west, south, east, north = shapely.bounds(shapes).reshape(-1, 4).T
    return west, east, south, north


def _geometries(xy: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> list[bytes]:
    """Return the commands of lines: MoveTo the first vertex, LineTo each of the others."""
    first = np.cumsum(size) - size
    steps = np.diff(xy, axis=0, prepend=xy[:1])
    steps[first] = xy[first]
    steps = (steps << 1) ^ (steps >> 63)  # zigzag: small numbers of either sign are short
    # 9, x, y, LineTo of all others, x, y, …: two numbers a vertex, and two.
    begin = np.cumsum(2 * size + 2) - (2 * size + 2)
    line = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(xy)) - first[line]
    at = begin[line] + 1 + 2 * place + (place > 0)
    numbers = np.empty(int((2 * size + 2).sum()), dtype=np.int64)
    numbers[begin] = 1 | 1 << 3
    numbers[begin + 3] = 2 | (size - 1) << 3
    numbers[at], numbers[at + 1] = steps[:, 0], steps[:, 1]
    written, ends = _varints(numbers)
    last = ends[np.append(begin[1:], len(numbers)) - 1]
    return [
        written[a:b] for a, b in zip(np.append(0, last[:-1]).tolist(), last.tolist(), strict=True)
    ]


def _varints(numbers: npt.NDArray[np.int64]) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Return numbers as base-128 varints, and where each of them ends."""
    length = np.ones(len(numbers), dtype=np.int64)
    for shift in range(7, 63, 7):
        length += numbers >> shift > 0
    ends = np.cumsum(length)
    found = np.empty(int(ends[-1]), dtype=np.uint8)
    for place in range(int(length.max())):
        there = length > place
        more = (length[there] > place + 1).astype(np.int64) << 7
        at = ends[there] - length[there] + place
        found[at] = (numbers[there] >> 7 * place & 127) | more
    return found.tobytes(), ends


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return _field(1, value.encode())
    if isinstance(value, int):
        return _varint(5 << 3) + _varint(value)
    return _varint(3 << 3 | 1) + np.float64(value).tobytes()


def _layer(
    name: str, geometries: Sequence[bytes], columns: Mapping[str, npt.NDArray[Any]]
) -> bytes:
    keys: list[bytes] = []
    values: list[bytes] = []
    tags: list[tuple[int, list[int]]] = []
    before = 0
    for key, column in columns.items():
        some, which = np.unique(column, return_inverse=True)
        tags.append((len(keys), (which + before).tolist()))
        keys.append(_field(3, key.encode()))
        values += [_field(4, _value(one)) for one in some.tolist()]
        before += len(some)
    key_of = [_varint(key) for key, _ in tags]
    features = []
    for row, geometry in enumerate(geometries):
        told = b"".join(
            key + _varint(which[row]) for key, (_, which) in zip(key_of, tags, strict=True)
        )
        # Type 2: LineString.
        body = _field(2, told) + b"\x18\x02" + _field(4, geometry)
        features.append(_field(2, body))
    head = _varint(15 << 3) + _varint(2) + _field(1, name.encode())
    extent = _varint(5 << 3) + _varint(EXTENT)
    return _field(3, b"".join([head, *features, *keys, *values, extent]))
