"""Ready tiles in memory, bounded by their bytes; what a change touched is dropped, nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from riskmap.db.feed import Change, Corners
from riskmap.tiles.question import Question

# What an entry takes beside its bytes: its objects, its headers, its row in the boxes.
_OVERHEAD_BYTES: Final = 2_048


@dataclass(slots=True, eq=False)
class Entry:
    """A ready tile.

    Parameters
    ----------
    revision
        Of the feed before it was rendered: later changes may be missing from it.
    dropped
        As `riskmap.tiles.read.Tile` has it.
    packed
        Its bytes by content coding; `identity` is there from the start.
    wanted
        How often it was asked for.
    late
        Whether it lacks what may have been committed longer ago than the bound.
    wire, tags
        What the HTTP side keeps of it, ready to be sent, and the ETags that stand for it.
    packing
        Its packing, while it is packed.
    """

    question: Question
    revision: int
    mvt: bytes
    dropped: Mapping[str, int]
    packed: dict[str, bytes] = field(default_factory=dict)
    wanted: int = 1
    late: bool = False
    wire: dict[str, Any] = field(default_factory=dict)
    tags: set[bytes] = field(default_factory=set)
    packing: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)
    digest: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        self.packed["identity"] = self.mvt
        self.digest = hashlib.blake2b(self.mvt, digest_size=8).hexdigest()
        self.size = len(self.mvt) + _OVERHEAD_BYTES + self.question.weight_bytes

    def meets(self, change: Change) -> bool:
        """Say whether a change touched what the tile shows."""
        return touched(self.question, [change])


def touched(question: Question, changes: Iterable[Change]) -> bool:
    """Say whether any of some changes touched what a tile shows."""
    for change in changes:
        box = question.boxes.get(change.layer)
        if box is not None and change.meets(*box):
            return True
    return False


class _Boxes:
    """The boxes of one layer in the cached tiles: which of them a change's own box meets."""

    def __init__(self) -> None:
        self._corners: NDArray[np.float64] = np.empty((4, 64))
        self._entries: list[Entry] = []
        self._rows: dict[int, int] = {}

    def add(self, entry: Entry, box: Corners) -> None:
        row = len(self._entries)
        if row == self._corners.shape[1]:
            self._corners = np.concatenate([self._corners, np.empty_like(self._corners)], axis=1)
        self._corners[:, row] = box
        self._entries.append(entry)
        self._rows[id(entry)] = row

    def remove(self, entry: Entry) -> None:
        row = self._rows.pop(id(entry))
        last = self._entries.pop()
        if last is not entry:  # the last one takes the place
            self._entries[row] = last
            self._corners[:, row] = self._corners[:, len(self._entries)]
            self._rows[id(last)] = row

    def near(self, change: Change) -> list[Entry]:
        """Return the entries that the change's box meets: more than its cells may meet."""
        if change.box is None:
            return list(self._entries)
        west, south, east, north = change.box
        w, s, e, n = self._corners[:, : len(self._entries)]
        met = (w <= east) & (e >= west) & (s <= north) & (n >= south)
        return [self._entries[row] for row in np.flatnonzero(met)]


class TileCache:
    """Tiles by key, the longest unused given up first.

    Parameters
    ----------
    max_bytes
        What all of them may take, overhead included; a tile larger than a quarter of it is not
        kept, since it would drive out everybody else's.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evicted = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()
        self._boxes: dict[str, _Boxes] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Entry | None:
        """Return a tile."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, entry: Entry) -> bool:
        """Keep a tile; say whether there was room for it."""
        if entry.size > self.max_bytes // 4:
            return False
        if (old := self._entries.get(entry.question.key)) is not None:
            self.remove(old)
        self._entries[entry.question.key] = entry
        for layer, box in entry.question.boxes.items():
            self._boxes.setdefault(layer, _Boxes()).add(entry, box)
        self.bytes += entry.size
        self._make_room()
        return True

    def pack(self, entry: Entry, coding: str, content: bytes) -> None:
        """Keep a tile's bytes in one more coding."""
        if coding in entry.packed:
            return
        entry.packed[coding] = content
        entry.size += len(content)
        if self._entries.get(entry.question.key) is entry:
            self.bytes += len(content)
            self._make_room()

    def remove(self, entry: Entry) -> None:
        """Give up a tile."""
        del self._entries[entry.question.key]
        for layer in entry.question.boxes:
            self._boxes[layer].remove(entry)
        self.bytes -= entry.size

    def drop(self, changes: Iterable[Change]) -> list[Entry]:
        """Give up the tiles that changes touched, and return them."""
        found: dict[int, Entry] = {}
        for change in changes:
            boxes = self._boxes.get(change.layer)
            for entry in boxes.near(change) if boxes is not None else ():
                if entry.revision < change.revision and entry.meets(change):
                    found[id(entry)] = entry
        for entry in found.values():
            self.remove(entry)
        return list(found.values())

    def clear(self) -> None:
        """Give up all of them."""
        self._entries.clear()
        self._boxes.clear()
        self.bytes = 0

    def entries(self) -> Sequence[Entry]:
        """Return all of them, the longest unused first."""
        return list(self._entries.values())

    def _make_room(self) -> None:
        while self.bytes > self.max_bytes:
            self.remove(next(iter(self._entries.values())))
            self.evicted += 1
