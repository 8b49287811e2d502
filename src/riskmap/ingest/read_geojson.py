"""GeoJSON, feature by feature: memory holds one batch, however large the file.

GDAL is not used here: it takes VRT and pipeline files for GeoJSON, renumbers repeated ids, guesses
one type for a column of mixed values, and loses what a broken geometry was.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import shapely

from riskmap.crs.input import check_datum
from riskmap.errors import InputError
from riskmap.ingest.batches import (
    BATCH_ROWS,
    Batch,
    Geometries,
    ReadOptions,
    check_declared,
    geometries,
    unreadable,
)
from riskmap.ingest.encodings import read_encoding
from riskmap.ingest.limits import in_mb
from riskmap.ingest.mark_json import marked
from riskmap.ingest.report import Problem, shorten

_CHUNK: Final = 1 << 20
_SPACE: Final = " \t\n\r"


class _Text:
    """The text of a file as a window that moves over it, decoding one JSON value at a time."""

    def __init__(self, file: BinaryIO, path: Path, encoding: str, longest: int) -> None:
        self._file = file
        self._path = path
        self._longest = longest
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        # NaN and Infinity are no JSON; as words they fail as numbers, with their row's number.
        self._decoder = json.JSONDecoder(parse_constant=str)
        self._text = ""
        self._at = 0
        self._ended = False

    def _more(self) -> None:
        left = len(self._text) - self._at
        if left > self._longest:
            raise too_long(self._path, self._longest)
        # Doubling: a long feature is scanned again each time, and must not cost its square.
        chunk = self._file.read(max(_CHUNK, left))
        self._ended = not chunk
        try:
            self._text = self._text[self._at :] + self._decode(chunk, final=self._ended)
        except UnicodeDecodeError:
            raise unreadable(self._path) from None
        self._at = 0

    def next(self) -> str:
        """Return the next character that is no space, "" at the end, and stay before it."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def take(self, wanted: str) -> str:
        """Go past the next character, which must be one of those wanted, and return it."""
        found = self.next()
        if not found or found not in wanted:
            raise unreadable(self._path)
        self._at += 1
        return found

    def value(self) -> Any:
        """Decode the value that begins here."""
        return self.piece()[0]

    def piece(self) -> tuple[Any, str]:
        """Decode the value that begins here; return it, and as it is written."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise unreadable(self._path) from None
            except ValueError:
                if self._ended:
                    raise unreadable(self._path) from None
            else:
                # A number that touches the end of the window may go on behind it.
                if end < len(self._text) or self._ended:
                    text = self._text[self._at : end]
                    self._at = end
                    return value, text
            self._more()


def too_long(path: Path, longest: int) -> InputError:
    """Return the error for one feature that is longer than any real one."""
    return InputError("ingest.feature.long", parameter="file", value=path.name, most=in_mb(longest))


def declared_crs(member: Any) -> str | None:
    """Return what a `crs` member names; null is how the older standard said unknown."""
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    return name if isinstance(name, str) else json.dumps(member)


class GeoJson:
    """A FeatureCollection."""

    headings: tuple[str, ...] | None = None

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._path = path
        self._crs = options.crs
        self._longest = options.limits.max_feature_bytes
        encoding = read_encoding(options.encoding) or "utf-8"
        self._encoding = "utf-8-sig" if encoding == "utf-8" else encoding

    def batches(self) -> Iterator[Batch]:
        """Yield all features in the order of the file.

        Raises
        ------
        InputError
            It is no FeatureCollection, is damaged, or declares another CRS, wherever it says so.
        """
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            row = 0
            pending: list[Any] = []
            for feature, _ in self._features(file):
                pending.append(feature)
                if len(pending) == BATCH_ROWS:
                    yield to_batch(row + 1, pending, (min(file.tell(), size), size))
                    row += len(pending)
                    pending = []
            if pending:
                yield to_batch(row + 1, pending, (size, size))

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the features with these numbers as they are written, with two properties more."""
        written = 0
        # In the original's encoding, which the caller will state again; a reason's characters that
        # it lacks become question marks, the English reason stands beside.
        codec = self._encoding.removesuffix("-sig")
        with (
            self._path.open("rb") as file,
            target.open("w", encoding=codec, errors="replace") as copy,
        ):
            copy.write('{"type":"FeatureCollection","features":[')
            texts = (text for _, text in self._features(file))
            for text in marked(texts, reasons):
                copy.write(",\n" if written else "\n")
                copy.write(text)
                written += 1
            copy.write("\n]")
            if self._declared is not None:
                copy.write(f',"crs":{self._declared}')
            copy.write("}\n")
        return written

    _declared: str | None = None
    """The `crs` member as it is written, which may stand before the features or behind them."""

    def _features(self, file: BinaryIO) -> Iterator[tuple[Any, str]]:
        text = _Text(file, self._path, self._encoding, self._longest)
        kind: Any = None
        found = False
        text.take("{")
        mark = "," if text.next() != "}" else text.take("}")
        while mark == ",":
            if text.next() != '"':
                raise unreadable(self._path)
            name = text.value()
            text.take(":")
            if name == "features" and not found and text.next() == "[":
                found = True
                yield from self._items(text)
            else:
                value, written = text.piece()
                kind = value if name == "type" else kind
                declared = declared_crs(value) if name == "crs" else None
                if declared is not None:
                    self._declared = written
                    check_declared(declared, self._crs)
                if name == "datum":
                    check_datum(value, self._crs)
            mark = text.take(",}")
        if text.next():
            raise unreadable(self._path)
        if kind != "FeatureCollection" or not found:
            raise InputError("ingest.geojson.kind", parameter="file", value=self._path.name)

    @staticmethod
    def _items(text: _Text) -> Iterator[tuple[Any, str]]:
        text.take("[")
        if text.next() == "]":
            text.take("]")
            return
        mark = ","
        while mark == ",":
            yield text.piece()
            mark = text.take(",]")


def to_batch(first: int, features: list[Any], position: tuple[int, int]) -> Batch:
    """Return features, or what stands in their place, as a batch; `first` is the first row."""
    problems: list[Problem] = []
    columns: dict[str, list[object]] = {}
    shapes: list[Any] = []
    for index, feature in enumerate(features):
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if (
            not isinstance(feature, dict)
            or feature.get("type") != "Feature"
            or not isinstance(properties, dict | None)
        ):
            problems.append(Problem(first + index, "ingest.feature", value=shorten(feature)))
            shapes.append(None)
            continue
        shapes.append(feature.get("geometry"))
        if "id" in feature and "id" not in (properties or {}):
            properties = {"id": feature["id"], **(properties or {})}
        for heading, value in (properties or {}).items():
            cells = columns.get(heading)
            if cells is None:
                cells = columns[heading] = [None] * len(features)
            cells[index] = value
    geometry = _shapes(first, shapes, problems)
    rows = range(first, first + len(features))
    return Batch(rows, columns, geometry, tuple(problems), position)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shapes(first: int, shapes: list[Any], problems: list[Problem]) -> Geometries:
    """Build the geometries; points all at once, since most large files hold points."""
    found: list[Any] = [None] * len(shapes)
    points: list[int] = []
    others: list[int] = []
    for index, shape in enumerate(shapes):
        if shape is None:
            continue
        position = shape.get("coordinates") if isinstance(shape, dict) else None
        if isinstance(position, list) and shape.get("type") == "Point" and position:
            if len(position) >= 2 and _is_number(position[0]) and _is_number(position[1]):
                points.append(index)
            else:
                problems.append(
                    Problem(first + index, "ingest.coordinate", "geometry", shorten(position))
                )
        else:
            others.append(index)
    if points:
        try:
            xy = [[float(number) for number in shapes[i]["coordinates"][:2]] for i in points]
        except OverflowError:
            xy = [[_capped(number) for number in shapes[i]["coordinates"][:2]] for i in points]
        for index, point in zip(points, shapely.points(xy), strict=True):
            found[index] = point
    texts = [json.dumps(shapes[index]) for index in others]
    for index, shape in zip(others, shapely.from_geojson(texts, on_invalid="ignore"), strict=True):
        found[index] = shape
        if shape is None:
            problems.append(
                Problem(
                    first + index,
                    "ingest.geometry.unreadable",
                    "geometry",
                    shorten(json.dumps(shapes[index])),
                )
            )
    return geometries(found)


def _capped(number: float) -> float:
    """Return a number as a float; an integer beyond floats becomes infinity, which is refused."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")
