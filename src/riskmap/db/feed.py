"""Following the change feed: what was changed where, known to this process within a second.

One connection of its own listens for NOTIFY and, whether or not one comes, asks four times a
second for what is new. The answer proves that nothing older is missing: `fresh` says that such
a proof is younger than `FRESH_S`, and whoever keeps copies of what the database holds serves
them only then. So the bound stands on a clock of this process alone; NOTIFY makes it
milliseconds, and where a pooler swallows it, it is a quarter of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from riskmap.db.sessions import Database

log = logging.getLogger("riskmap")

# What was last asked so long ago may be old: the age of a proof, and the promise made with it
# (1 s after a commit nobody is served what it changed) leaves 0.2 s for the answer itself.
FRESH_S: Final = 0.8
_ASK_EVERY_S: Final = 0.25
# An answer that takes longer than this is a lost connection.
_ANSWER_S: Final = 2.0
_RETRY_S: Final = (0.1, 0.2, 0.4, 1.0)
_CHANNEL: Final = "riskmap_feed"
# Changes remembered, and what they may take: a row's cells are 4 bytes each, at most 1,024 of them.
_MOST_CHANGES: Final = 4096
_MOST_CELLS: Final = 1_000_000
# News read at once, at most: with all their cells they keep the event loop some 90 ms (5,000: 550).
_MOST_NEWS: Final = 500
# A zoom-14 cell in Web Mercator, and where the first one begins (migration 0002_feed).
_CELL_M: Final = 40_075_016.685578488 / 2**14
_HALF_M: Final = 40_075_016.685578488 / 2

# Tells a database, and its history, from all others. The first database of any cluster has the same
# oid; the cluster's own number tells them apart. One that was set back to a moment of its past, or
# a standby that took over without the last commits, goes on in a timeline of its own, whose number
# the names of its log begin with (a standby writes none, and tells what its last checkpoint says).
IDENTITY: Final = (
    "(SELECT concat_ws('-', to_hex(system_identifier), to_hex(d.oid::bigint),"
    " CASE WHEN pg_is_in_recovery() THEN upper(lpad(to_hex(timeline_id), 8, '0'))"
    " ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END)"
    " FROM pg_control_system(), pg_control_checkpoint(), pg_database d"
    " WHERE d.datname = current_database())"
)

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Change:
    """What one statement did to a layer.

    Parameters
    ----------
    box
        West, south, east, north in Web Mercator metres of all that it touched, before and after;
        None: the whole layer.
    cells
        Column and row of the zoom-14 cells that it touched, one row each; None: too many, the
        box alone tells.
    """

    revision: int
    layer: str
    box: Corners | None
    cells: NDArray[np.int32] | None

    def meets(self, west: float, south: float, east: float, north: float) -> bool:
        """Say whether a box in Web Mercator metres meets what was touched, edges included."""
        if self.box is None:
            return True
        w, s, e, n = self.box
        # What was touched lies in its cells and in the box: of one feature that is the feature.
        w, s, e, n = max(w, west), max(s, south), min(e, east), min(n, north)
        if w > e or s > n:
            return False
        if self.cells is None:
            return True
        column, row = self.cells
        met = (
            (column * _CELL_M - _HALF_M <= e)
            & ((column + 1) * _CELL_M - _HALF_M >= w)
            & (_HALF_M - row * _CELL_M >= s)
            & (_HALF_M - (row + 1) * _CELL_M <= n)
        )
        return bool(met.any())


Listener = Callable[[Sequence[Change] | None], None]


class Feed:
    """Follows the feed of one database for one process.

    Attributes
    ----------
    position
        The last revision known; everything up to it has been told to the listeners.
    epoch
        Which database it is: revisions of another one (a restored backup) say nothing here.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Listener] = []
        self._changes: deque[Change] = deque()
        self._cells = 0
        # Changes after this revision are all remembered.
        self._floor = 0
        self._proved_at = -1e9
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self.position = 0
        self.epoch = ""
        self.connected = False
        self._told_lost = False
        self._failures = 0

    def listen(self, listener: Listener) -> None:
        """Have changes told, in their order; None: anything may have changed."""
        self._listeners.append(listener)

    @property
    def fresh(self) -> bool:
        """Whether every change that was committed `FRESH_S` ago has been told."""
        return time.monotonic() - self._proved_at <= FRESH_S

    async def wait_fresh(self, timeout_s: float) -> bool:
        """Wait until `fresh`; False when it does not become so in time."""
        end = time.monotonic() + timeout_s
        while not self.fresh:
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        return True

    def since(self, revision: int, layers: Collection[str]) -> list[Change] | None:
        """Return what touched any of these layers after a revision; None: not known any more."""
        if not self._floor <= revision <= self.position:
            return None
        found = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            if change.layer in layers:
                found.append(change)
        return found

    def start(self) -> None:
        """Begin to follow; of a running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._say_lost(error)
            except Exception:  # who follows no more would be missed by every tile
                log.exception("change feed")
                # Some listeners may not have been told: the next begin tells all of them to forget.
                self.epoch = ""
            await asyncio.sleep(_RETRY_S[min(self._failures, len(_RETRY_S) - 1)])
            self._failures += 1

    async def _follow(self) -> None:
        async with asyncio.timeout(_ANSWER_S + 10):
            connection = await self._database.connect_directly()
        try:
            await self._begin(connection)
            self._failures = 0
            while True:
                if await self._ask(connection):
                    await self._wait(connection)
        finally:
            self.connected = False
            # Not awaited for long: of a server that hangs the farewell hangs as well.
            with contextlib.suppress(TimeoutError, psycopg.Error, OSError):
                await asyncio.wait_for(connection.close(), 1.0)

    def _say_lost(self, error: BaseException) -> None:
        # Once for each loss: the service's own log is no place for a line a second.
        level = logging.DEBUG if self._told_lost else logging.WARNING
        self._told_lost = True
        log.log(level, "change feed: %s", str(error).strip() or type(error).__name__)

    async def _begin(self, connection: psycopg.AsyncConnection[Any]) -> None:
        async with asyncio.timeout(_ANSWER_S):
            await connection.execute(f"LISTEN {_CHANNEL}")
            cursor = await connection.execute(
                f"SELECT {IDENTITY}, coalesce(max(revision), 0) FROM feed"  # noqa: S608 - ours
            )
            (row,) = await cursor.fetchall()
        # Short, as each ETag has it.
        epoch = hashlib.blake2b(row[0].encode(), digest_size=6).hexdigest()
        last = int(row[1])
        if epoch != self.epoch or last < self.position:
            await self._remember(connection, last)
            self.epoch, self.position = epoch, last
            self._tell(None)
        self.connected, self._told_lost = True, False

    async def _remember(self, connection: psycopg.AsyncConnection[Any], last: int) -> None:
        """Read what was changed lately: of older copies at clients one can say that they hold."""
        async with asyncio.timeout(_ANSWER_S):
            cursor = await connection.execute(
                f"{_SELECT} WHERE revision <= %s ORDER BY revision DESC LIMIT %s",
                (last, _MOST_CHANGES // 4),
            )
            rows = await cursor.fetchall()
        self._changes.clear()
        self._cells = 0
        # What was there before the oldest one that was read is not known, if there was any.
        self._floor = rows[-1][0] if len(rows) == _MOST_CHANGES // 4 else 0
        for row in reversed(rows):
            self._keep(_change(row))

    async def _ask(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Read what is new; True when that was all, which proves that nothing else is."""
        asked_at = time.monotonic()
        async with asyncio.timeout(_ANSWER_S):
            cursor = await connection.execute(
                f"{_SELECT} WHERE revision > %s ORDER BY revision LIMIT %s",
                (self.position, _MOST_NEWS),
                binary=True,
            )
            rows = await cursor.fetchall()
        if rows:
            changes = [_change(row) for row in rows]
            for change in changes:
                self._keep(change)
            self.position = changes[-1].revision
            self._tell(changes)
        if len(rows) == _MOST_NEWS:
            return False
        self._proved_at = asked_at
        self._news.set()
        return True

    async def _wait(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Wait for a notice, at most until it is time to ask again."""
        async for _ in connection.notifies(timeout=_ASK_EVERY_S, stop_after=1):
            pass

    def _keep(self, change: Change) -> None:
        self._changes.append(change)
        self._cells += 0 if change.cells is None else change.cells.shape[1]
        while len(self._changes) > _MOST_CHANGES or self._cells > _MOST_CELLS:
            gone = self._changes.popleft()
            self._cells -= 0 if gone.cells is None else gone.cells.shape[1]
            self._floor = gone.revision

    def _tell(self, changes: Sequence[Change] | None) -> None:
        for listener in self._listeners:
            listener(changes)


_SELECT: Final = "SELECT revision, layer, x_min, y_min, x_max, y_max, cells FROM feed"


def _change(row: Sequence[Any]) -> Change:
    revision, layer, west, south, east, north, codes = row
    cells = None
    if codes is not None:
        code = np.asarray(codes, dtype=np.int32)
        cells = np.stack([code >> 14, code & 0x3FFF])
    box = None if west is None else (west, south, east, north)
    return Change(revision, layer, box, cells)
