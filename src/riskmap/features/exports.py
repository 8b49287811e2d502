"""Files that are written to the disk before they are sent: XLSX, FlatGeobuf, GeoParquet.

They cannot be streamed: the index or the table of contents stands before or behind what it is
about. Each is written by a thread into a folder of its own, which is gone as soon as the file is
open: what is sent has no name, and the disk is free when the last byte or the reader has gone.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import BinaryIO, Final

from riskmap.db import flocks
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import RiskmapError, StorageFullError, UnavailableError

log = logging.getLogger("riskmap")

AT_ONCE: Final = 2
#: What an export leaves free: the database needs room to write more than a map needs to be saved.
RESERVE_BYTES: Final = 512 << 20
_LOCK: Final = "lock"
_PIECE_BYTES: Final = 256 * 1024
_LOOK_EVERY_S: Final = 0.25


class LeftError(Exception):
    """The reader is gone: there is nobody to tell."""


@dataclass
class Work:
    """One export at work in its thread.

    Parameters
    ----------
    path
        Where the file is to be.
    ends_at
        Deadline, of `time.monotonic`.
    """

    database: Database
    path: Path
    ends_at: float
    left: Event = field(default_factory=Event)
    session: ReadSession | None = None

    def check(self) -> None:
        """Raise what ends the work: nobody waits for it, it takes too long, the disk is full.

        Raises
        ------
        LeftError, UnavailableError, StorageFullError
        """
        if self.left.is_set():
            raise LeftError
        if time.monotonic() > self.ends_at:
            raise UnavailableError("exports.late")
        _check_room(self.path.parent)

    @contextmanager
    def opened(self) -> Iterator[ReadSession]:
        """Open the session of the work: one snapshot for all that it reads."""
        with self.database.read() as session:
            session.limit_statements(max(0.001, self.ends_at - time.monotonic()))
            self.session = session
            try:
                yield session
            finally:
                self.session = None

    def stop(self) -> None:
        """End it, and what the database does for it."""
        self.left.set()
        session = self.session
        if session is not None:
            session.cancel()


def _check_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < RESERVE_BYTES:
        raise StorageFullError("exports.disk_full", reserve=f"{RESERVE_BYTES >> 20}")


class Exports:
    """The folder of exports, and how many are at work."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._running = 0

    def clear(self) -> None:
        """Remove what a process that was killed left behind; living ones hold their locks."""
        for folder in self._folder.glob("*/"):
            with suppress(FileNotFoundError), (folder / _LOCK).open("rb") as lock:
                if flocks.take(lock.fileno()):
                    shutil.rmtree(folder, ignore_errors=True)

    async def make(
        self,
        write: Callable[[Work], None],
        *,
        name: str,
        deadline_s: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> BinaryIO:
        """Write a file and return it, open at its start and without a name.

        Parameters
        ----------
        write
            Runs in a thread of its own and writes `Work.path`.
        gone
            Says whether the reader has left.

        Raises
        ------
        UnavailableError
            `AT_ONCE` others are at work, or this one took too long.
        StorageFullError
            The disk would be full.
        LeftError
            The reader has left.
        """
        if self._running >= AT_ONCE:
            raise UnavailableError("exports.busy", most=AT_ONCE)
        self._running += 1
        try:
            return await self._make(write, name, deadline_s, gone)
        finally:
            self._running -= 1

    async def _make(
        self,
        write: Callable[[Work], None],
        name: str,
        deadline_s: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> BinaryIO:
        with self._own_folder() as folder:
            work = Work(self._database, folder / name, time.monotonic() + deadline_s)
            work.check()
            task = asyncio.create_task(asyncio.to_thread(write, work))
            try:
                while not (await asyncio.wait([task], timeout=_LOOK_EVERY_S))[0]:
                    if await gone():
                        raise LeftError
                task.result()
            finally:
                # The folder stays until the thread has let go of it.
                if not task.done():
                    await asyncio.to_thread(work.stop)
                    await asyncio.wait([task])
                    _look_at(task)
            return work.path.open("rb")

    @contextmanager
    def _own_folder(self) -> Iterator[Path]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        try:
            with (folder / _LOCK).open("xb") as lock:
                flocks.take(lock.fileno())
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _look_at(task: asyncio.Task[None]) -> None:
    """Log how a stopped writer ended, unless it ended because it was stopped.

    An exception that nobody looks at is printed whole by asyncio: a page of the log for every
    reader that closes a window.
    """
    if task.cancelled():
        return
    fault = task.exception()
    if fault is not None and not isinstance(fault, (LeftError, RiskmapError)):
        log.error("a file that nobody waits for any more failed", exc_info=fault)


async def pieces(file: BinaryIO) -> AsyncGenerator[bytes]:
    """Yield a file's bytes and close it."""
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
    finally:
        file.close()
