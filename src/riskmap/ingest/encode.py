r"""Checked rows to COPY's text format, column by column.

https://www.postgresql.org/docs/current/sql-copy.html, "Text Format": tabs between columns, a
newline after each row, `\N` for null, a backslash before what would be read as one of them. A
list per column and one join cost a third of a loop over cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from riskmap.catalog.spec import Kind, Layer
from riskmap.errors import InputError
from riskmap.ingest.checks import Ready
from riskmap.ingest.frames import ROW, Columns, Rows

NULL: Final = "\\N"
# One frame is about this long: the other side takes it as a whole.
FRAME_BYTES: Final = 4 << 20
# PostgreSQL takes 1 GiB in a field and libpq 1 GiB in a message; no real feature comes near.
LONGEST_ROW_BYTES: Final = 128 << 20

_SPECIAL: Final = ("\\", "\t", "\n", "\r")
_QUOTED: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})


class RowEncoder:
    """Encodes the checked rows of one layer as frames.

    A `Columns` frame stands before the first rows and wherever the columns change: which a batch
    of GeoJSON has depends on its features.
    """

    def __init__(self, layer: Layer) -> None:
        self._kinds = {field.name: field.kind for field in layer.fields}
        self._names: tuple[str, ...] = ()

    def frames(self, ready: Ready) -> Iterator[Columns | Rows]:
        """Yield the rows, in pieces of some megabytes.

        Raises
        ------
        InputError
            A row is too long to be stored.
        """
        if not ready.rows:
            return
        names = (ROW, *ready.columns)
        if names != self._names:
            self._names = names
            yield Columns(names)
        texts = [list(map(str, ready.rows))]
        for name, values in ready.columns.items():
            # Children and attributes are JSON text by now; geometry is hexadecimal.
            texts.append(encode_column(self._kinds.get(name, Kind.TEXT), values))
        yield from _pieces(ready.rows, list(map("\t".join, zip(*texts, strict=True))))


def _pieces(rows: Sequence[int], lines: list[str]) -> Iterator[Rows]:
    data = "\n".join(lines).encode()
    if len(data) < FRAME_BYTES:
        yield Rows(data + b"\n", len(lines))
        return
    piece: list[bytes] = []
    size = 0
    for row, line in zip(rows, data.split(b"\n"), strict=True):
        if len(line) > LONGEST_ROW_BYTES:
            limit = str(LONGEST_ROW_BYTES >> 20)
            raise InputError("ingest.row.too_long", parameter="file", row=row, limit_mb=limit)
        if size + len(line) > FRAME_BYTES and piece:
            yield Rows(b"\n".join(piece) + b"\n", len(piece))
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    yield Rows(b"\n".join(piece) + b"\n", len(piece))


def encode_column(kind: Kind, values: Sequence[Any]) -> list[str]:
    """Return the texts of a column's values, null as `NULL`."""
    make = _MAKERS.get(kind)
    if make is None:  # it is text already
        there = [value for value in values if value is not None] if None in values else values
        if _has_special(there):
            return [NULL if value is None else _escaped(value) for value in values]
        if there is values:
            return list(values)
        return [NULL if value is None else value for value in values]
    if None not in values:
        return list(map(make, values))
    return [NULL if value is None else make(value) for value in values]


def _has_special(texts: Sequence[str]) -> bool:
    joined = "".join(texts)
    return any(mark in joined for mark in _SPECIAL)


def _escaped(text: str) -> str:
    # The backslash first. Four searches that find nothing cost less than one translate().
    escaped = text.replace("\\", "\\\\").replace("\t", "\\t")
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def _array(items: Sequence[object]) -> str:
    """Return an array literal: every element in quotes, so that the word NULL is a text."""
    quoted = (
        "NULL" if item is None else '"' + str(item).translate(_QUOTED) + '"' for item in items
    )
    return _escaped("{" + ",".join(quoted) + "}")


# repr of a float is the shortest text that reads back as the same number, as PostgreSQL's own is.
_MAKERS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.INTEGER: str,
    Kind.NUMBER: repr,
    Kind.BOOLEAN: lambda value: "t" if value else "f",
    Kind.DATE: lambda value: str(value.isoformat()),
    Kind.DATETIME: lambda value: str(value.isoformat()),
    Kind.TEXTS: _array,
}
