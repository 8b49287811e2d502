"""multipart/form-data that streams to disk while it arrives: memory holds one piece of the file.

Starlette's own `request.form()` would keep the whole body in a spooled file of its own before the
first field could be looked at.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from riskmap.errors import InputError, RiskmapError, StorageFullError, TooLargeError

log = logging.getLogger("riskmap")

MIB: Final = 1024 * 1024
MAX_FIELD_BYTES: Final = 64 * 1024
# What a body may have beside its file: fields, headers, boundaries.
MAX_REST_BYTES: Final = MIB
_PIECE_BYTES: Final = MIB
# An answer that comes while the client still sends may be lost with the connection: so much more
# is read, and so long, before it is given.
_DRAIN_BYTES: Final = 16 * MIB
_DRAIN_S: Final = 2.0
# A full disk stops the database beside it, and with it the whole service. So much stays free:
# a segment of PostgreSQL's log is 16 MiB, its checkpoints take turns within 1 GiB.
RESERVE_BYTES: Final = 512 * MIB
# How much is received between two looks at the disk, whose free space others take, too.
_LOOK_BYTES: Final = 16 * MIB
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class Form:
    """What has arrived so far.

    Parameters
    ----------
    fields
        The fields that have arrived whole.
    file
        Where the file is; None until its part begins.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    size: int = 0
    sha256: str = ""


class _Receiver:
    """Turns the parser's callbacks into fields and a file."""

    def __init__(
        self,
        folder: Path,
        known: Collection[str],
        max_file_bytes: int,
        name_of: Callable[[str], str],
        at_file: Callable[[Form], None],
    ) -> None:
        self.form = Form()
        self.complete = False
        self._folder = folder
        self._known = known
        self._most = max_file_bytes
        self._name_of = name_of
        self._at_file = at_file
        self._hash = hashlib.sha256()
        self._out: BufferedWriter | None = None
        self._waiting = bytearray()
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._text = bytearray()
        self._in_file = False
        self._looked_at = 0

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._headers.clear()
        self._header.clear()
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise InputError("upload.broken", parameter="body")
        self._name = options[b"name"].decode("utf-8", "replace")
        if self._name not in self._known and self._name != "file":
            raise InputError(
                "upload.field",
                parameter=self._name[:60],
                known=", ".join(sorted([*self._known, "file"])),
            )
        self._in_file = self._name == "file"
        if self._name in self.form.fields or (self._in_file and self.form.file is not None):
            raise InputError("upload.twice", parameter=self._name)
        self._text.clear()
        if self._in_file:
            if b"filename" not in options:
                raise InputError("upload.form", parameter="file")
            name = self._name_of(options[b"filename"].decode("utf-8", "replace"))
            self.form.file = self._folder / name
            self._at_file(self.form)
            self._out = self.form.file.open("xb")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.form.size += end - start
            if self.form.size > self._most:
                raise too_large(self._most)
            self._waiting += data[start:end]
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            raise InputError("upload.long", parameter=self._name, most=MAX_FIELD_BYTES)

    def _part_end(self) -> None:
        if self._in_file:
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError("upload.text", parameter=self._name) from None
        if "\x00" in text:
            raise InputError("upload.text", parameter=self._name)
        self.form.fields[self._name] = text

    def _end(self) -> None:
        self.complete = True

    async def flush(self, least: int) -> None:
        """Write what waits if it is as much as this; in a thread, since disks can be slow."""
        if self._out is None or len(self._waiting) < max(least, 1):
            return
        piece, self._waiting = self._waiting, bytearray()
        await run_in_threadpool(self._write, piece)

    def _write(self, piece: bytearray) -> None:
        if self._out is None:
            return
        if self.form.size - self._looked_at >= _LOOK_BYTES:
            self._looked_at = self.form.size
            check_space(self._folder, len(piece))
        self._hash.update(piece)
        self._out.write(piece)
        self._out.flush()

    def close(self) -> None:
        """Close the file."""
        if self._out is not None:
            self._out.close()
        self.form.sha256 = self._hash.hexdigest()


def too_large(most_bytes: int) -> TooLargeError:
    """Return the error for a file that is too large."""
    return TooLargeError("upload.too_large", parameter="file", most_mb=most_bytes // MIB)


def free_bytes(folder: Path) -> int:
    """Return how much the disk of a folder still takes."""
    return shutil.disk_usage(folder).free


def check_space(folder: Path, more_bytes: int) -> None:
    """Keep a reserve on the disk.

    Raises
    ------
    StorageFullError
        With so much more, less than `RESERVE_BYTES` would be left.
    """
    if free_bytes(folder) - more_bytes < RESERVE_BYTES:
        raise StorageFullError(
            "upload.disk_full", parameter="file", reserve_mb=RESERVE_BYTES // MIB
        )


@asynccontextmanager
async def received(
    request: Request,
    make_folder: Callable[[], Path],
    *,
    into: str,
    known: Collection[str],
    max_file_bytes: int,
    name_of: Callable[[str], str],
    at_file: Callable[[Form], None],
) -> AsyncIterator[tuple[Path, Form]]:
    """Receive a form; its folder is removed again unless somebody has moved it away.

    Parameters
    ----------
    make_folder
        Makes the folder once the request looks like one that can be taken.
    into
        Subfolder of it for the file.
    known
        The fields that may come beside `file`.
    name_of
        Turns the client's name of the file into a safe one, or refuses it.
    at_file
        Is called when the file's first byte is about to be written, with the fields so far: what
        it refuses need not be sent.

    Raises
    ------
    InputError
        The body is no such form, or a field is unknown, repeated, too long or no text.
    TooLargeError
        The file is too large.
    StorageFullError
        The disk is full, or would be but for its reserve.
    """
    boundary = _boundary(request)
    announced = int(request.headers.get("content-length") or 0)
    if announced > max_file_bytes + MAX_REST_BYTES:
        raise too_large(max_file_bytes)
    folder = await run_in_threadpool(make_folder)
    try:
        await run_in_threadpool(check_space, folder, announced)
        receiver = _Receiver(folder / into, known, max_file_bytes, name_of, at_file)
        try:
            await _receive(request, receiver, boundary, max_file_bytes + MAX_REST_BYTES)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError(
                    "upload.disk_full", parameter="file", reserve_mb=RESERVE_BYTES // MIB
                ) from error
            raise
        finally:
            receiver.close()
        if receiver.form.file is None:
            raise InputError("upload.form", parameter="file")
        yield folder, receiver.form
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InputError("upload.form", parameter="body")
    return options[b"boundary"]


async def _receive(request: Request, receiver: _Receiver, boundary: bytes, max_bytes: int) -> None:
    callbacks: Any = receiver.callbacks()
    total = 0
    stream = request.stream()
    try:
        parser = MultipartParser(boundary, callbacks)
        async for chunk in stream:
            total += len(chunk)
            if total > max_bytes:
                raise too_large(max_bytes - MAX_REST_BYTES)
            parser.write(chunk)
            await receiver.flush(_PIECE_BYTES)
        await receiver.flush(1)
    except ClientDisconnect:
        # Nobody reads this answer; the folder goes all the same.
        raise InputError("upload.broken", parameter="body") from None
    except FormParserError:
        await _drain(stream)
        raise InputError("upload.broken", parameter="body") from None
    except (RiskmapError, OSError):
        await _drain(stream)
        raise
    if not receiver.complete:
        raise InputError("upload.broken", parameter="body")


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Read on for a while, and keep nothing of it."""
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    return
    except (ClientDisconnect, TimeoutError):
        log.debug("the client left, or has nothing more to send")
