"""The memory of ready tiles: bounded, and a change drops what it touched and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskmap.api.tile_edge import Known
from riskmap.catalog.registry import load_catalog
from riskmap.crs.datum import Datum
from riskmap.db.feed import Change
from riskmap.features.query import FeatureQuery
from riskmap.tiles import packing
from riskmap.tiles.cache import Entry, TileCache
from riskmap.tiles.grid import GRIDS, WORLD_M, Address
from riskmap.tiles.packing import accepted, accepted_bytes, pack
from riskmap.tiles.question import Question

CATALOG = load_catalog()
LAYERS = ("shelters", "geohazard-points", "flash-flood-zones")
MB = 1 << 20
CELL = WORLD_M / 2**14


def question(
    layers: tuple[str, ...] = ("shelters",),
    zoom: int = 14,
    x: int = 13_675,
    y: int = 6_427,
    grid: str = "WebMercatorQuad",
    **options: Any,
) -> Question:
    queries = tuple(FeatureQuery(layer=CATALOG[name], **options) for name in layers)
    return Question(("", False), queries, Address(zoom, x, y, GRIDS[grid]), with_roads=False)


def entry(asked: Question, revision: int = 1, size: int = 100) -> Entry:
    return Entry(asked, revision, bytes(size), {})


def change(layer: str, west: float, south: float, east: float, north: float) -> Change:
    return Change(2, layer, (west, south, east, north), None)


def test_a_tile_is_found_until_something_touches_it() -> None:
    cache = TileCache(MB)
    asked = question()
    kept = entry(asked)
    assert cache.put(kept) and cache.get(asked.key) is kept
    west, south, east, north = asked.boxes["shelters"]
    for other in (
        change("enterprises", west, south, east, north),
        change("shelters", east + 1, south, east + 2, north),
        change("shelters", west, north + 0.001, east, north + 5),
    ):
        assert cache.drop([other]) == [] and cache.get(asked.key) is kept
    assert cache.drop([change("shelters", east, north, east + 1, north + 1)]) == [kept]
    assert cache.get(asked.key) is None and cache.bytes == 0


def test_what_a_tile_has_already_does_not_drop_it() -> None:
    cache = TileCache(MB)
    asked = question()
    cache.put(entry(asked, revision=2))
    assert cache.drop([Change(2, "shelters", None, None)]) == []
    assert len(cache.drop([Change(3, "shelters", None, None)])) == 1


def test_only_the_cells_of_a_change_count_within_its_box() -> None:
    """Two places far apart are one statement: the land between them was not touched."""
    asked = question()
    west, south, east, north = asked.boxes["shelters"]
    box = (west - 50 * CELL, south - 50 * CELL, east + 50 * CELL, north + 50 * CELL)
    far = np.array([[13_675 - 40, 13_675 + 40], [6_427 - 40, 6_427 + 40]], dtype=np.int32)
    near = np.array([[13_675 - 40, 13_675], [6_427 - 40, 6_427]], dtype=np.int32)
    cache = TileCache(MB)
    cache.put(entry(asked))
    assert cache.drop([Change(2, "shelters", box, far)]) == []
    assert len(cache.drop([Change(2, "shelters", box, near)])) == 1


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(LAYERS), min_size=1, max_size=3, unique=True),
            st.integers(9, 16),
            st.floats(-0.002, 1.002),
            st.floats(-0.002, 1.002),
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from(LAYERS),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 0.2),
    st.booleans(),
)
def test_dropped_is_exactly_what_the_change_meets(
    tiles: list[tuple[list[str], int, float, float]],
    layer: str,
    left: float,
    low: float,
    width: float,
    in_cells: bool,
) -> None:
    """By arithmetic of its own: cells of zoom 14 in a box, tiles with a buffer of 128 / 4096."""
    span = 40_000.0
    corner_x, corner_y = 13_400_000.0, 4_300_000.0
    box = (
        corner_x + left * span,
        corner_y + low * span,
        corner_x + (left + width) * span,
        corner_y + (low + width / 2) * span,
    )

    def column(x: float) -> int:
        return math.floor((x + WORLD_M / 2) / CELL)

    def row(y: float) -> int:
        return math.floor((WORLD_M / 2 - y) / CELL)

    corners = {(column(box[0]), row(box[1])), (column(box[2]), row(box[3]))}
    cells = np.array(sorted(corners), dtype=np.int32).T if in_cells else None
    touched = Change(2, layer, box, cells)
    cache = TileCache(100 * MB)
    expected = set()
    for layers, zoom, across, down in tiles:
        side = WORLD_M / 2**zoom
        x = int((corner_x + across * span + WORLD_M / 2) / side)
        y = int((WORLD_M / 2 - corner_y - down * span) / side)
        asked = question(tuple(layers), zoom, x, y)
        cache.put(entry(asked))
        if layer not in layers:
            continue
        margin = side * CATALOG[layer].tile.buffer / 4096
        west, north = x * side - WORLD_M / 2 - margin, WORLD_M / 2 - y * side + margin
        east, south = west + side + 2 * margin, north - side - 2 * margin
        w, s, e, n = max(west, box[0]), max(south, box[1]), min(east, box[2]), min(north, box[3])
        if w > e or s > n:
            continue
        if cells is None or any(
            column(w) <= c <= column(e) and row(n) <= r <= row(s) for c, r in corners
        ):
            expected.add(asked.key)
    assert {one.question.key for one in cache.drop([touched])} == expected


def test_memory_is_bounded_and_the_longest_unused_goes_first() -> None:
    cache = TileCache(40_000)
    asked = [question(x=13_600 + n) for n in range(8)]
    for one in asked[:4]:
        assert cache.put(entry(one, size=7_000))
    assert cache.get(asked[0].key) is not None  # used again
    for one in asked[4:6]:
        cache.put(entry(one, size=7_000))
    kept = [one for one in asked if cache.get(one.key) is not None]
    assert asked[0] in kept and asked[1] not in kept
    assert cache.bytes <= 40_000 and cache.evicted == 2
    assert not cache.put(entry(asked[7], size=20_000))  # it alone would drive out half of them
    big = cache.get(asked[0].key)
    assert big is not None
    cache.pack(big, "br", bytes(9_000))
    assert cache.bytes <= 40_000 and cache.get(asked[0].key) is big
    cache.clear()
    assert cache.bytes == 0 and len(cache) == 0


def test_no_memory_keeps_nothing() -> None:
    cache = TileCache(0)
    assert not cache.put(entry(question()))


def test_a_tile_of_another_datum_is_dropped_by_what_lies_beside_it() -> None:
    """Beijing in GCJ-02 lies some 540 m away: a change there is in the moved tile."""
    plain = question(zoom=16, x=54_000, y=25_000)
    moved = question(zoom=16, x=54_000, y=25_000, datum=Datum.GCJ02)
    _west, south, east, north = plain.boxes["shelters"]
    beside = change("shelters", east + 600, south, east + 601, north)
    for asked, dropped in ((plain, 0), (moved, 1)):
        cache = TileCache(MB)
        cache.put(entry(asked))
        assert len(cache.drop([beside])) == dropped


@pytest.mark.parametrize("grid", ["WorldCRS84Quad", "CGCS2000Quad"])
def test_tiles_in_degrees_are_dropped_where_they_lie(grid: str) -> None:
    """A point of Qingdao, in the tile of the lon/lat grid that holds it and in no neighbour."""
    lon, lat, zoom = 120.38, 36.07, 15
    side = 360 / 2**zoom
    x, y = int((lon + 180) / side), int((90 - lat) / side)
    mx = lon / 360 * WORLD_M
    my = math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) / math.tau * WORLD_M
    touched = change("shelters", mx, my, mx, my)
    cache = TileCache(MB)
    for dx in (-2, -1, 0, 1, 2):
        for dy in (-2, -1, 0, 1, 2):
            cache.put(entry(question(zoom=zoom, x=x + dx, y=y + dy, grid=grid)))
    dropped = {one.question.place for one in cache.drop([touched])}
    assert Address(zoom, x, y, GRIDS[grid]) in dropped
    assert all(abs(one.x - x) <= 1 and abs(one.y - y) <= 1 for one in dropped)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("zstd;q=1, br;q=0.5", "zstd"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("*", "br"),
        ("*;q=0", "identity"),
        ("br;q=nonsense", "identity"),
        ("identity", "identity"),
        ("X-GZIP", "gzip"),
    ],
)
def test_the_coding_is_what_the_client_takes(header: str | None, coding: str) -> None:
    assert accepted(header) == coding


def test_long_headers_are_read_and_not_remembered() -> None:
    before = packing._known.cache_info().currsize, packing._known_bytes.cache_info().currsize
    for n in range(50):
        header = f"x{n}{'y' * 1000}, br;q=0, zstd"
        assert accepted(header) == accepted_bytes(header.encode()) == "zstd"
    assert before == (
        packing._known.cache_info().currsize,
        packing._known_bytes.cache_info().currsize,
    )


@pytest.mark.parametrize("coding", ["br", "gzip", "zstd", "identity"])
def test_the_same_bytes_are_packed_the_same(coding: str) -> None:
    content = bytes(range(256)) * 40
    assert pack(content, coding) == pack(content, coding)


def filtered(text: str, x: int) -> Question:
    query = FeatureQuery(layer=CATALOG["shelters"])
    return Question(((("filter", text),), False), (query,), Address(14, x, 6_427), with_roads=False)


def test_long_filters_are_counted_into_the_bound() -> None:
    """Nothing is in the tiles, yet each keeps its filter alive."""
    cache = TileCache(4 * MB)
    for x in range(100):
        cache.put(entry(filtered("a" * 10_000, x), size=0))
    assert len(cache) * 10_000 < 4 * MB and cache.evicted > 80


def test_addresses_are_remembered_within_a_bound() -> None:
    known = Known()
    for x in range(600):
        path = f"/tiles/shelters/14/{x}/6427.mvt"
        known.remember(path, b"filter=%d" % x, filtered("a" * 60_000, x), restricted=False)
    held = [
        known.find(f"/tiles/shelters/14/{x}/6427.mvt", b"filter=%d" % x, restricted=False)
        for x in range(600)
    ]
    assert held[0] is None and held[-1] is not None
    assert sum(one.weight_bytes for one in held if one is not None) < 100 * MB
