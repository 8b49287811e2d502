"""Tiles as they are served: from memory while the feed proves them current, else rendered once.

The bound: a second after a commit nobody is served, or told that he may keep, a tile without it.

- A tile is kept with the feed's revision from before it was rendered. What touches it later drops
  it; what touched it while it was rendered makes it be rendered again.
- Memory is trusted only while the feed is fresh (`riskmap.db.feed`). While the database is away
  a tile that we hold is served and called stale; none is confirmed.
- An ETag begins with that revision: a client's copy holds as long as nothing after it touched
  the tile, which the feed's memory tells without SQL, and without the tile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from riskmap.db.feed import FRESH_S, Change, Feed
from riskmap.db.sessions import Database
from riskmap.errors import RiskmapError, UnavailableError
from riskmap.tiles.cache import Entry, TileCache, touched
from riskmap.tiles.packing import IDENTITY, LEAST_BYTES, pack
from riskmap.tiles.question import Question
from riskmap.tiles.read import render

log = logging.getLogger("riskmap")

# How long a request waits for a feed that is not fresh before it does without memory.
_PATIENCE_S: Final = 1.0
# How long one waits for a tile, and with an old one at hand; the database's own limits end sooner
# what it can still end.
_RENDER_S: Final = 30.0
_SPARED_S: Final = 3.0
# A tile that changes touch again and again while it is rendered: the last one is served, unkept.
_ATTEMPTS: Final = 3
# What was asked for so often is rendered again when it is dropped, before somebody waits for it.
_HOT: Final = 3
_MOST_REHEATED: Final = 64

_T = TypeVar("_T")


@dataclass(slots=True)
class _Flight:
    """A tile that is being rendered, and how many wait for it."""

    task: asyncio.Task[Entry]
    waiting: int = 0


@dataclass(slots=True)
class Tally:
    """How often tiles of a layer and zoom were served, by how."""

    memory: int = 0
    confirmed: int = 0
    rendered: int = 0
    stale: int = 0


class TileService:
    """Serves tiles for one process.

    Attributes
    ----------
    tallies
        By layer and zoom.
    renders, render_s
        How many were rendered, and how long that took.
    """

    def __init__(self, database: Database, feed: Feed, cache: TileCache) -> None:
        self._database, self.feed, self.cache = database, feed, cache
        self._flights: dict[Hashable, _Flight] = {}
        self._reheated: OrderedDict[Hashable, Question] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stove: asyncio.Task[None] | None = None
        self.tallies: dict[tuple[str, int], Tally] = {}
        self.renders, self.render_s = 0, 0.0
        feed.listen(self._changed)

    def at_hand(self, question: Question) -> Entry | None:
        """Return the tile where memory has it and may be trusted: nothing is awaited."""
        entry = self.cache.get(question.key) if self.feed.fresh else None
        if entry is not None:
            entry.wanted += 1
        return entry

    async def get(self, question: Question) -> tuple[Entry, bool]:
        """Return a tile, and whether it is as current as the bound promises.

        Raises
        ------
        UnavailableError
            The database is away, and memory does not have the tile.
        """
        fresh = self.feed.fresh or await self.feed.wait_fresh(_PATIENCE_S)
        entry = self.cache.get(question.key)
        if entry is not None and fresh:
            entry.wanted += 1
            self.count(question, "memory")
            return entry, True
        # Who was told of a restricted field may have lost the right since: no old tile for him.
        spare = None if question.restricted else entry
        try:
            async with asyncio.timeout(_RENDER_S if spare is None else _SPARED_S):
                found = await self._join(question)
        except (UnavailableError, TimeoutError) as error:
            if spare is not None:
                self.count(question, "stale")
                return spare, False
            if isinstance(error, TimeoutError):
                raise UnavailableError("database.timeout") from error
            raise
        self.count(question, "stale" if found.late else "rendered")
        return found, not found.late

    def confirm(self, question: Question, tag: str) -> bool:
        """Say whether a client's copy with this ETag is current: without SQL, and without it.

        A tag is `"revision-scope-digest-coding"`.
        """
        parts = tag.removeprefix("W/").strip('"').split("-")
        if len(parts) != 4 or parts[1] != self._scope(question) or not self.feed.fresh:
            return False
        try:
            revision = int(parts[0], 16)
        except ValueError:
            return False
        changes = self.feed.since(revision, question.boxes)
        return changes is not None and not touched(question, changes)

    def tag(self, entry: Entry, coding: str) -> str:
        """Return the strong ETag of a tile in a coding."""
        scope = self._scope(entry.question)
        return f'"{entry.revision:x}-{scope}-{entry.digest}-{coding}"'

    async def packed(self, entry: Entry, coding: str) -> tuple[bytes, str]:
        """Return a tile's bytes and the coding that they are in."""
        if coding == IDENTITY or len(entry.mvt) < LEAST_BYTES:
            return entry.mvt, IDENTITY
        content = entry.packed.get(coding)
        if content is None:
            work = entry.packing.get(coding)
            if work is None:
                packing = asyncio.to_thread(pack, entry.mvt, coding)
                work = entry.packing[coding] = self._started(packing)
                work.add_done_callback(lambda _: entry.packing.pop(coding, None))
            # Who leaves does not take it from the others.
            content = await asyncio.shield(work)
            self.cache.pack(entry, coding, content)
        return content, coding

    def count(self, question: Question, how: str) -> None:
        """Count an answer."""
        zoom = question.place.zoom
        for layer in question.boxes:
            tally = self.tallies.get((layer, zoom))
            if tally is None:
                tally = self.tallies[layer, zoom] = Tally()
            setattr(tally, how, getattr(tally, how) + 1)

    async def stop(self) -> None:
        """End what is being rendered."""
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _scope(self, question: Question) -> str:
        return question.scope + self.feed.epoch

    # ------------------------------------------------------------------ rendering

    async def _join(self, question: Question) -> Entry:
        """Render a tile, or wait for the one who does. Who leaves last stops it in the database."""
        flight = self._flights.get(question.key)
        if flight is None:
            flight = self._flights[question.key] = _Flight(self._started(self._render(question)))
            flight.task.add_done_callback(lambda _: self._land(question.key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                # Not awaited: of a database that hangs the cancelling hangs as well.
                self._land(question.key, flight)
                flight.task.cancel()

    def _started(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _land(self, key: Hashable, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.task.done() and not flight.task.cancelled():
            flight.task.exception()  # asked for: it is told to whoever waited

    async def _render(self, question: Question) -> Entry:
        """Render until nothing touched the tile meanwhile: only such a one is kept.

        The revision is read before the snapshot is taken: what is after it is in the tile or
        will be told, and drops the tile then.
        """
        for _ in range(_ATTEMPTS):
            revision, epoch = self.feed.position, self.feed.epoch
            began = time.perf_counter()
            async with self._database.read_async() as session:
                drawn = await render(
                    session, question.queries, question.place, with_roads=question.with_roads
                )
            self.render_s += time.perf_counter() - began
            self.renders += 1
            entry = Entry(question, revision, drawn.mvt, drawn.dropped)
            changes = self.feed.since(revision, question.boxes)
            if changes is not None and epoch == self.feed.epoch and not touched(question, changes):
                self.cache.put(entry)
                break
            entry.late = time.perf_counter() - began > FRESH_S
        return entry

    # ------------------------------------------------------------------ changes

    def _changed(self, changes: Sequence[Change] | None) -> None:
        if changes is None:
            self.cache.clear()
            return
        for entry in self.cache.drop(changes):
            if entry.wanted >= _HOT and len(self._reheated) < _MOST_REHEATED:
                self._reheated[entry.question.key] = entry.question
        if self._reheated and (self._stove is None or self._stove.done()):
            self._stove = asyncio.create_task(self._reheat())
            self._tasks.add(self._stove)
            self._stove.add_done_callback(self._tasks.discard)

    async def _reheat(self) -> None:
        """Render what many ask for, one after the other, before somebody has to wait for it."""
        while self._reheated:
            _, question = self._reheated.popitem(last=False)
            try:
                # Whoever asks for it meanwhile joins in: it must not hang for ever.
                async with asyncio.timeout(_RENDER_S):
                    entry = await self._join(question)
            except (RiskmapError, TimeoutError) as error:
                log.debug("tile not rendered ahead: %s", error)
            else:
                entry.wanted = _HOT - 1  # one more who asks, and it is hot again
