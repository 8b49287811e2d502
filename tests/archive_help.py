"""What the tests of archives share: exporting a served city, and comparing it with live tiles."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mapbox_vector_tile
from pmtiles.reader import MemorySource, Reader, all_tiles

from api_help import CATALOG, Served
from conftest import TEST_CITY
from riskmap.db.city import City
from riskmap.db.sessions import Database
from riskmap.tiles.archive import Exported, export
from riskmap.tiles.archive_walk import Step

ALL = ",".join([*CATALOG, "roads"])

Tiles = dict[tuple[int, int, int], bytes]


def write(
    database: Database,
    output: Path,
    *,
    layers: tuple[str, ...] = tuple(CATALOG),
    roads: bool = True,
    zooms: tuple[int, int] = (0, 14),
    progress: Callable[[Step], None] = lambda _: None,
    restart: bool = False,
    city: City = TEST_CITY,
) -> Exported:
    """Export as the command does."""

    async def work() -> Exported:
        try:
            return await export(
                database,
                city,
                [CATALOG[name] for name in layers],
                output,
                with_roads=roads,
                zooms=zooms,
                timeout_s=60,
                progress=progress,
                restart=restart,
            )
        finally:
            await database.async_engine.dispose()

    # In a thread of its own: a browser's driver keeps an event loop in the test's.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work()).result()


def read(path: Path) -> tuple[Tiles, dict[str, Any]]:
    """Return tiles and metadata by a reader that is not ours."""
    source = MemorySource(path.read_bytes())
    tiles = {place: gzip.decompress(data) for place, data in all_tiles(source)}
    return tiles, Reader(source).metadata()


def places(box: tuple[float, float, float, float], zooms: range) -> Iterator[tuple[int, int, int]]:
    """Yield the tiles around a box of degrees: those that meet it, and a ring about them."""

    def column(lon: float, zoom: int) -> int:
        return math.floor((lon + 180) / 360 * 2**zoom)

    def row(lat: float, zoom: int) -> int:
        return math.floor((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom)

    west, south, east, north = box
    for zoom in zooms:
        last = 2**zoom - 1
        xs = range(max(0, column(west, zoom) - 1), min(last, column(east, zoom) + 1) + 1)
        ys = range(max(0, row(north, zoom) - 1), min(last, row(south, zoom) + 1) + 1)
        yield from ((zoom, x, y) for x, y in itertools.product(xs, ys))


def live(served: Served, place: tuple[int, int, int], names: str = ALL) -> bytes:
    zoom, x, y = place
    answer = served.get(f"/tiles/{names}/{zoom}/{x}/{y}.mvt")
    assert answer.status_code in (200, 204), answer.text
    return bytes(answer.content)


def decoded(tile: bytes) -> dict[str, list[str]]:
    """Return what is in a tile; the order of the features is nobody's business."""
    layers = mapbox_vector_tile.decode(tile) if tile else {}
    return {name: sorted(map(repr, layer["features"])) for name, layer in layers.items()}


def same(one: bytes, other: bytes) -> bool:
    return one == other or decoded(one) == decoded(other)
