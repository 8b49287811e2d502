"""Which tile is asked for: what it shows, of which place, to whom."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from riskmap import __version__
from riskmap.crs.datum import Datum
from riskmap.db.feed import Corners
from riskmap.features.query import FeatureQuery
from riskmap.tiles import roads
from riskmap.tiles.archive_meta import CONTENT
from riskmap.tiles.boxes import mercator_box
from riskmap.tiles.grid import Address

# GCJ-02 and BD-09 lie at most some 1.5 km from WGS 84 on the ground, in Web Mercator at 54 degrees
# north 1.7 times that: a tile of theirs shows what is at most so far from its box.
_DATUM_M: Final = 3_000.0
# What was read from a character of a filter: measured are 37 bytes for comparisons, 32 for lists,
# 1.4 for geometries.
_READ_BYTES: Final = 40


@dataclass(frozen=True, slots=True)
class Question:
    """A tile: layers with their filters, roads beneath them, and the place.

    Parameters
    ----------
    asked
        What tells the filters, the datum and the role scope from all others.

    Attributes
    ----------
    key
        Tells the question from all others.
    boxes
        What of the plane it shows of each layer, in Web Mercator metres: the tile with the
        layer's buffer.
    scope
        The key and the program as a short text: the part of an ETag that must be the same.
    weight_bytes
        What its filters take in memory, about: a client chooses their length.
    """

    asked: Hashable
    queries: tuple[FeatureQuery, ...]
    place: Address
    with_roads: bool
    key: Hashable = field(init=False)
    boxes: dict[str, Corners] = field(init=False, compare=False)
    scope: str = field(init=False, compare=False)
    weight_bytes: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        boxes = {}
        for query in self.queries:
            margin_m = 0.0 if query.datum is Datum.WGS84 else _DATUM_M
            buffer = query.layer.tile.buffer
            boxes[query.layer.id] = mercator_box(self.place, buffer=buffer, margin_m=margin_m)
        if self.with_roads:
            boxes[roads.NAME] = mercator_box(self.place, buffer=roads.BUFFER)
        place = self.place
        key = (tuple(boxes), self.asked, place.grid.id, place.zoom, place.x, place.y)
        said = repr((key, __version__, CONTENT)).encode()
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scope", hashlib.blake2b(said, digest_size=8).hexdigest())
        object.__setattr__(self, "weight_bytes", _READ_BYTES * len(repr(self.asked)))

    @property
    def restricted(self) -> bool:
        """Whether the tile may show what only the holder of a key reads."""
        return any(query.restricted for query in self.queries)
