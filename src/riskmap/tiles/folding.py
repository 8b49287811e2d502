"""Folding what was appended to the counted cells into their sums, in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select

from riskmap.catalog.registry import Catalog
from riskmap.db.feed import Change, Feed
from riskmap.db.sessions import Actor, Database
from riskmap.errors import RiskmapError

log = logging.getLogger("riskmap")

# Readers add up what is not folded: a thousand rows more take them some 1 ms.
_EVERY_S: Final = 5.0
_ROWS: Final = 50_000
_ACTOR: Final = Actor("riskmap")


def fold(database: Database) -> int:
    """Fold once and return how many rows were; 0 while another process does."""
    with database.write_for_jobs(_ACTOR) as session:
        return int(session.execute(select(func.riskmap.fold_cells(_ROWS))).scalar_one())


class Folder:
    """Folds a few seconds after a layer with cells was changed, and once at the start."""

    def __init__(self, database: Database, feed: Feed, catalog: Catalog) -> None:
        self._database = database
        self._layers = frozenset(one.id for one in catalog.values() if one.tile.cluster)
        self._news = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        feed.listen(self._changed)

    def _changed(self, changes: Sequence[Change] | None) -> None:
        if changes is None or any(change.layer in self._layers for change in changes):
            self._news.set()

    def start(self) -> None:
        """Begin; of a running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_EVERY_S)
            self._news.clear()
            try:
                while await asyncio.to_thread(fold, self._database) == _ROWS:
                    await asyncio.sleep(0)
            except RiskmapError as error:
                log.debug("cells are not folded: %s", error)
                self._news.set()
            except Exception:  # unfolded they are right as well: tried again at the next change
                log.exception("cells are not folded")
