"""Where the features of a layer lie and when they are valid, kept for as long as that holds."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from riskmap.catalog.spec import Layer
from riskmap.db.sessions import AsyncReadSession
from riskmap.features import statements
from riskmap.units import Bbox


@dataclass(frozen=True, slots=True)
class Extent:
    """The box of a layer's features, and from when to when they are valid; None: open."""

    bbox: Bbox
    start: datetime | None
    end: datetime | None


class Extents:
    """The extents of all layers, each computed once for a revision of its layer.

    The exact box of a million rows is a scan of some 100 ms; PostGIS's estimate would be free, but
    a client that trusts it would miss what lies outside.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int | None, Extent | None]] = {}
        # One scan at a time: sixty requests after an edit wait for the first one's.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(
        self, session: AsyncReadSession, layer: Layer, revision: int | None
    ) -> Extent | None:
        """Return the extent of a layer, None when it is empty.

        Parameters
        ----------
        revision
            The layer's last one, read before: what is seen now is at least as new.
        """
        async with self._locks[layer.id]:
            known = self._known.get(layer.id)
            if known is None or known[0] != revision:
                row = (await session.execute(statements.extent(layer))).one()
                found = (
                    None
                    if row.west is None
                    else Extent(Bbox(row.west, row.south, row.east, row.north), row.start, row.end)
                )
                known = self._known[layer.id] = (revision, found)
            return known[1]
