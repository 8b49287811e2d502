"""Frames as bytes, between the process that reads and the one that loads.

A byte that says the kind, eight bytes of length (big-endian), the payload: JSON, but for rows.
Nothing is unpickled or evaluated, and every length has its limit: whoever reads this does not
trust whoever wrote it, since a crafted file may have taken that process over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from riskmap.errors import (
    InputError,
    RiskmapError,
    SetupError,
    UnavailableError,
    UnprocessableError,
)
from riskmap.i18n import LANGS
from riskmap.ingest.encode import FRAME_BYTES, LONGEST_ROW_BYTES
from riskmap.ingest.frames import Columns, Frame, Reading, Rows, Summary, Withdrawn
from riskmap.ingest.report import Problem

HEADER: Final = struct.Struct(">cQ")
_COUNT: Final = struct.Struct(">Q")
_COLUMNS, _ROWS, _READING, _SUMMARY, _FAULT, _DONE = b"C", b"R", b"P", b"S", b"E", b"D"
_WITHDRAWN: Final = b"W"
_LONGEST: Final = {
    _COLUMNS: 1 << 20,
    _ROWS: LONGEST_ROW_BYTES + FRAME_BYTES + 1024,
    _READING: 1 << 10,
    _WITHDRAWN: 1 << 20,
    _SUMMARY: 16 << 20,
    _FAULT: 1 << 20,
    _DONE: 1 << 16,
}
_CLASSES: Final[dict[str, type[RiskmapError]]] = {
    made.__name__: made for made in (InputError, UnprocessableError, UnavailableError, SetupError)
}


class ProtocolError(Exception):
    """The other side sent what is no frame."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The reader's last word where it cannot go on: the error to raise here."""

    error: RiskmapError


@dataclass(frozen=True, slots=True)
class Done:
    """The reader's last word where no rows were asked for: the name of the file it made."""

    name: str | None


Message = Frame | Fault | Done


def encode(message: Message) -> tuple[bytes, bytes]:
    """Return a message's header and its payload."""
    match message:
        case Rows(data, count):
            return HEADER.pack(_ROWS, _COUNT.size + len(data)) + _COUNT.pack(count), data
        case Columns(names):
            return _json(_COLUMNS, names)
        case Reading() | Withdrawn():
            return _numbers(message)
        case Summary():
            return _json(_SUMMARY, asdict(message))
        case Done(name):
            return _json(_DONE, name)
        case Fault(error):
            name = type(error).__name__
            told = {
                "class": name if name in _CLASSES else InputError.__name__,
                "key": error.key,
                "parameter": error.parameter,
                "values": {name: _plain(value) for name, value in error.values.items()},
            }
            return _json(_FAULT, told)


def _numbers(message: Reading | Withdrawn) -> tuple[bytes, bytes]:
    if isinstance(message, Reading):
        return _json(_READING, [message.done, message.total])
    return _json(_WITHDRAWN, message.rows)


def _json(kind: bytes, content: object) -> tuple[bytes, bytes]:
    payload = orjson.dumps(content)
    return HEADER.pack(kind, len(payload)), payload


def _plain(value: object) -> object:
    # Placeholders with a format, such as {value:,}, need the number.
    return value if isinstance(value, int | float) else str(value)


def payload_length(header: bytes) -> tuple[bytes, int]:
    """Read a header: which kind follows, and how many bytes.

    Raises
    ------
    ProtocolError
        There is no such kind, or it is never that long.
    """
    kind, length = HEADER.unpack(header)
    if length > _LONGEST.get(kind, -1):
        raise ProtocolError(f"{kind!r} of {length} bytes")
    return kind, length


def decode(kind: bytes, payload: bytes) -> Message:
    """Read a payload.

    Raises
    ------
    ProtocolError
        It is not what its kind says.
    """
    try:
        if kind == _ROWS:
            (count,) = _COUNT.unpack_from(payload)
            return Rows(payload[_COUNT.size :], count)
        return _DECODERS[kind](orjson.loads(payload))
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise ProtocolError(f"{kind!r} cannot be read") from error


def _columns(names: Any) -> Columns:
    if not all(isinstance(name, str) for name in names):
        raise TypeError("columns have names")
    return Columns(tuple(names))


def _summary(found: Any) -> Summary:
    summary = Summary(
        **{name: int(found[name]) for name in ("rows", "rejected", "repaired", "problem_count")},
        problems=list(found["problems"]),
        notes=list(found["notes"]),
        other_columns=[str(name) for name in found["other_columns"]],
    )
    for problem in (*summary.problems, *summary.notes):
        Problem.from_plain(problem)
    return summary


def _fault(found: Any) -> Fault:
    values = {str(name): _plain(value) for name, value in found["values"].items()}
    parameter = found["parameter"] and str(found["parameter"])
    error = _CLASSES[found["class"]](str(found["key"]), parameter=parameter, **values)
    for lang in LANGS:
        error.text(lang)
    return Fault(error)


def _reading(found: Any) -> Reading:
    done, total = found
    return Reading(int(done), int(total))


def _withdrawn(found: Any) -> Withdrawn:
    return Withdrawn([int(row) for row in found])


def _done(found: Any) -> Done:
    if found is not None and (not isinstance(found, str) or "/" in found or "\0" in found):
        raise ValueError("no name of a file")
    return Done(found)


_DECODERS: Final[dict[bytes, Callable[[Any], Message]]] = {
    _COLUMNS: _columns,
    _READING: _reading,
    _WITHDRAWN: _withdrawn,
    _SUMMARY: _summary,
    _FAULT: _fault,
    _DONE: _done,
}
