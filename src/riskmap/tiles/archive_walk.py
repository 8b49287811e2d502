"""Walking the tiles of an archive zoom by zoom, from the world down to what holds something."""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from riskmap.catalog.spec import Layer
from riskmap.db.sessions import AsyncReadSession, Database
from riskmap.errors import ConflictError, InputError
from riskmap.features.query import FeatureQuery
from riskmap.tiles import archive_changes, archive_format, archive_meta, roads
from riskmap.tiles.archive_changes import Changes
from riskmap.tiles.archive_work import Rendered, Work
from riskmap.tiles.grid import WORLD_M, Address, Corners
from riskmap.tiles.read import render

# Tiles that one snapshot renders. A longer one would keep PostgreSQL from tidying up.
_BATCH: Final = 16
# So few stale tiles are rendered in one snapshot, and after so many walks however many there are:
# who writes without pause cannot put the end off for ever.
_FEW: Final = 256
_MOST_WALKS: Final = 5
_GZIP_LEVEL: Final = 9  # packed once, sent many times
_GZIP_WINDOW: Final = 31  # 15 bits, and a gzip header around them

Draw = Callable[[Sequence[int]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """How far a walk is: tiles done, and how many there will be by what is known by now."""

    zoom: int
    done: int
    estimated: int
    ends_zoom: bool = False


Progress = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Walked:
    """What there is at one revision.

    Parameters
    ----------
    tiles
        Numbers of the tiles of the asked zooms, empty ones included.
    box
        Of all geometries, in metres of Web Mercator.
    rendered
        How many tiles were rendered to get there.
    """

    revision: int
    tiles: frozenset[int]
    box: Corners
    rendered: int


class Walk:
    """The walk of one export: what it draws, from which database, into which work file.

    Parameters
    ----------
    timeout_s
        How long one statement may take.
    connections
        How many tiles are rendered at the same time.
    """

    def __init__(
        self,
        database: Database,
        layers: Sequence[Layer],
        *,
        with_roads: bool,
        zooms: tuple[int, int],
        timeout_s: float,
        connections: int,
        progress: Progress,
    ) -> None:
        self._database = database
        self._layers = tuple(layers)
        self._queries = [FeatureQuery(layer=layer, limit=None) for layer in layers]
        self._with_roads = with_roads
        self._zooms = zooms
        self._timeout_s = timeout_s
        self._connections = connections
        self._progress = progress
        buffers = [layer.tile.buffer for layer in layers] + ([roads.BUFFER] if with_roads else [])
        self._buffer = max(buffers)
        self._rendered = 0

    async def run(self, work: Work) -> Walked:
        """Render all tiles, and those that were changed meanwhile once more.

        Raises
        ------
        InputError
            There is nothing to draw.
        ConflictError
            The work file knows of a later revision than the database.
        UnavailableError
            The database is away, or a tile took too long.
        """
        walks = 0
        while True:
            walks += 1
            async with self._session() as session:
                changes, box = await self._look(session, work)
            await self._descend(work, changes, box, lambda tiles: self._at_once(work, tiles))
            # What is stale by now is rendered in the one snapshot that knows it: then nothing is.
            async with self._session() as session:
                changes, box = await self._look(session, work)
                if len(self._stale(work, list(work.tiles), changes)) > _FEW and walks < _MOST_WALKS:
                    continue
                revision = await archive_changes.position(session)
                tiles = await self._descend(
                    work, changes, box, lambda tiles: self._draw(session, work, tiles)
                )
                return Walked(revision, frozenset(tiles), box, self._rendered)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncReadSession]:
        async with self._database.read_async() as session:
            await session.limit_statements(self._timeout_s)
            yield session

    async def _look(self, session: AsyncReadSession, work: Work) -> tuple[Changes, Corners]:
        """Return what was changed since the oldest tile was rendered, and where all lies."""
        now = await archive_changes.position(session)
        revisions = [tile.revision for tile in work.tiles.values()]
        if max(revisions, default=0) > now:
            raise ConflictError("archive.part_ahead", parameter="-o", file=work.path)
        names = archive_meta.names_of(self._layers, with_roads=self._with_roads)
        found = await archive_changes.changes(session, min(revisions, default=now), names)
        box = await archive_changes.extent(session, self._layers, with_roads=self._with_roads)
        if box is None:
            raise InputError("archive.empty", parameter="--layers", names=", ".join(names))
        return found, box

    def _stale(self, work: Work, tiles: Sequence[int], changes: Changes) -> list[int]:
        """Return those of the tiles that are not rendered, or were before a change of theirs."""
        last = changes.last(tiles, self._buffer)
        known = work.tiles
        return [
            tile
            for tile, touched in zip(tiles, last.tolist(), strict=True)
            if tile not in known or known[tile].revision < touched
        ]

    async def _descend(self, work: Work, changes: Changes, box: Corners, draw: Draw) -> list[int]:
        """Render what is stale, each zoom after the one before, and return all tiles there are."""
        first, last = self._zooms
        found: list[int] = []
        level = [0]
        for zoom in range(last + 1):
            within = [_across(box, below, self._buffer) for below in range(zoom, last + 1)]
            # As much of the box as holds something here will hold something below.
            estimated = len(found) + round(sum(within) * min(1, len(level) / within[0]))
            stale = self._stale(work, level, changes)
            done = len(found) + len(level) - len(stale)
            for at in range(0, len(stale), _BATCH * self._connections):
                self._progress(Step(zoom, done + at, max(estimated, done + len(stale))))
                await draw(stale[at : at + _BATCH * self._connections])
            found += level
            self._progress(Step(zoom, len(found), max(estimated, len(found)), ends_zoom=True))
            level = sorted(
                child for tile in level if not work.tiles[tile].bare for child in _children(tile)
            )
        return [tile for tile in found if archive_format.place(tile)[0] >= first]

    async def _at_once(self, work: Work, tiles: Sequence[int]) -> None:
        """Render tiles on several connections."""
        left = iter(tiles)

        async def some() -> None:
            async with self._session() as session:
                for tile in left:
                    await self._draw(session, work, [tile])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._connections, len(tiles))):
                    group.create_task(some())
        except ExceptionGroup as failed:
            # The others were ended for it: it says all.
            raise failed.exceptions[0] from failed

    async def _draw(self, session: AsyncReadSession, work: Work, tiles: Sequence[int]) -> None:
        """Render tiles as the session's snapshot has them."""
        revision = await archive_changes.position(session)
        for tile in tiles:
            work.put(await self._tile(session, tile, revision))
            self._rendered += 1

    async def _tile(self, session: AsyncReadSession, tile: int, revision: int) -> Rendered:
        zoom, x, y = archive_format.place(tile)
        content, dropped = None, 0
        # Above the asked zooms a tile only tells what lies below it.
        if zoom >= self._zooms[0]:
            drawn = await render(
                session, self._queries, Address(zoom, x, y), with_roads=self._with_roads
            )
            dropped = sum(drawn.dropped.values())
            if drawn.mvt:
                packed = await asyncio.to_thread(
                    zlib.compress, drawn.mvt, _GZIP_LEVEL, _GZIP_WINDOW
                )
                return Rendered(tile, revision, packed, bare=False, dropped=dropped)
        bare = await archive_changes.is_bare(
            session, self._layers, tile, with_roads=self._with_roads
        )
        return Rendered(tile, revision, content, bare=bare, dropped=dropped)


def _children(tile: int) -> list[int]:
    zoom, x, y = archive_format.place(tile)
    return [
        archive_format.number(zoom + 1, 2 * x + right, 2 * y + lower)
        for right in (0, 1)
        for lower in (0, 1)
    ]


def _across(box: Corners, zoom: int, buffer: int) -> int:
    """Return how many tiles of a zoom meet a box, buffers included."""
    side = WORLD_M / (1 << zoom)
    margin = side * buffer / 4096
    west, south, east, north = (value + WORLD_M / 2 for value in box)

    def along(low: float, high: float) -> int:
        first = max(0, math.floor((low - margin) / side))
        return min((1 << zoom) - 1, math.floor((high + margin) / side)) - first + 1

    return max(1, along(west, east)) * max(1, along(south, north))
