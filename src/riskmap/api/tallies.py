"""Counters of one process, and those of the other processes of the same service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from riskmap.db import flocks
from riskmap.db.feed import Feed
from riskmap.settings import Settings
from riskmap.tiles.service import TileService

_EVERY_S: Final = 2.0
_FOLDER: Final = "metrics"

Sample = tuple[str, tuple[str, ...], float]


def samples(tiles: TileService, feed: Feed) -> Iterator[Sample]:
    """Yield what this process has counted: name, labels, number."""
    for (layer, zoom), tally in tiles.tallies.items():
        for how in ("memory", "confirmed", "rendered", "stale"):
            if number := getattr(tally, how):
                yield "riskmap_tiles", (layer, str(zoom), how), number
    yield "riskmap_tile_renders", (), tiles.renders
    yield "riskmap_tile_render_seconds", (), tiles.render_s
    yield "riskmap_tile_cache_bytes", (), tiles.cache.bytes
    yield "riskmap_tile_cache_tiles", (), len(tiles.cache)
    yield "riskmap_tile_cache_evicted", (), tiles.cache.evicted
    yield "riskmap_processes", (), 1
    yield "riskmap_processes_fresh", (), feed.fresh


class Exchange:
    """The numbers of the other processes of one service, where it has several.

    A process holds a lock on its file as long as it lives, however it ends.
    """

    def __init__(self, settings: Settings, tiles: TileService, feed: Feed) -> None:
        self._alone = settings.workers == 1
        self._tiles, self._feed = tiles, feed
        self._folder = settings.data_dir / _FOLDER
        self._task: asyncio.Task[None] | None = None
        self._lock: Any = None

    def start(self) -> None:
        """Begin to leave our numbers, where there are others to read them."""
        if self._alone:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in self._folder.glob("*.lock"):
            if _ended(file):
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
        self._lock = self._own().with_suffix(".lock").open("wb")
        flocks.take(self._lock.fileno())
        self._task = asyncio.create_task(self._leave())

    async def stop(self) -> None:
        """Take our numbers away."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._own().unlink(missing_ok=True)
        self._lock.close()
        self._own().with_suffix(".lock").unlink(missing_ok=True)

    def everybody(self) -> Iterator[Sample]:
        """Yield what all living processes have counted, ours as it is now."""
        yield from samples(self._tiles, self._feed)
        yield from self._others()

    def _others(self) -> Iterator[Sample]:
        for file in self._folder.glob("*.json"):
            lock = file.with_suffix(".lock")
            if file != self._own() and lock.exists() and not _ended(lock):
                with contextlib.suppress(FileNotFoundError):  # it ended just now
                    for name, labels, number in json.loads(file.read_text()):
                        yield name, tuple(labels), number

    def _own(self) -> Path:
        return self._folder / f"{os.getpid()}.json"

    async def _leave(self) -> None:
        while True:
            part = self._own().with_suffix(".part")
            part.write_text(json.dumps(list(samples(self._tiles, self._feed))))
            part.replace(self._own())
            await asyncio.sleep(_EVERY_S)


def _ended(lock: Path) -> bool:
    with lock.open("rb") as file:
        return flocks.take(file.fileno())
