"""Points in cells: each point in one cell, each cell in one tile, whatever the zoom."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest
from sqlalchemy import text

from api_help import CATALOG, Served, serving
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

LAYER = "geohazard-points"
COUNTS = {"n1": 1, "n2": 2, "n3": 3, "n4": 4, "n0": None}
# Half the world's width in metres, as EPSG:3857 has it.
HALF = 20037508.342789244
LOW, HIGH = 8, 11
Tile = tuple[int, int, int]


def decoded(served: Served, layers: str, tile: Tile, **query: Any) -> dict[str, Any]:
    z, x, y = tile
    answer = served.get(f"/tiles/{layers}/{z}/{x}/{y}.mvt", **query)
    if answer.status_code == 204:
        return {}
    assert answer.status_code == 200, answer.text
    return mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})


def features(served: Served, tile: Tile, layer: str = LAYER, **query: Any) -> list[Any]:
    return decoded(served, layer, tile, **query).get(layer, {}).get("features", [])


def split(served: Served, tile: Tile, dice: random.Random) -> list[Tile]:
    """Return tiles of any zooms that cover one tile once."""
    z, x, y = tile
    if z == HIGH or (z >= LOW and dice.random() < 0.5):
        return [tile]
    return [
        part
        for dx in (0, 1)
        for dy in (0, 1)
        for part in split(served, (z + 1, 2 * x + dx, 2 * y + dy), dice)
    ]


def at_metres(served: Served, places: list[tuple[float, float]]) -> None:
    """Put points at exact places of Web Mercator: the column is computed, so that a way round
    through degrees would move them off the edge."""
    with served.database.own(Actor("test")) as session:
        for n, (x, y) in enumerate(places):
            session.execute(
                text(
                    "INSERT INTO geohazard_points (code, risk_level, geom) VALUES (:code, :level,"
                    " ST_Transform(ST_SetSRID(ST_MakePoint(:x, :y), 3857), 4326))"
                ),
                {"code": f"P{n}", "level": (1, 2, 3, 4, None)[n % 5], "x": x, "y": y},
            )


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """Points on edges and corners of tiles and cells, beside them by a hair, and anywhere."""
    dice = random.Random(7)
    tile_m = 2 * HALF / 2**8
    x0, y0 = 213 * tile_m - HALF, HALF - 100 * tile_m
    places = []
    for step in (tile_m, tile_m / 8, tile_m / 16, tile_m / 64):
        for _ in range(12):
            x, y = (dice.randrange(int(tile_m / step) + 1) * step for _ in range(2))
            places += [(x0 + x, y0 - y), (x0 + x + dice.choice([-1, 1]) * 1e-8, y0 - y)]
    places += [(x0 + dice.random() * tile_m, y0 - dice.random() * tile_m) for _ in range(150)]
    with serving(cluster, migrated) as found:
        at_metres(found, places)
        # The antimeridian from both sides: the ends of the world, in the first and last cell.
        with found.database.own(Actor("test")) as session:
            for n, (lon, lat) in enumerate([(180, 36.5), (-180, 36.5), (180, 0), (-180, -36.5)]):
                session.execute(
                    text(
                        "INSERT INTO geohazard_points (code, geom) VALUES (:code,"
                        " ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))"
                    ),
                    {"code": f"W{n}", "lon": lon, "lat": lat},
                )
        yield found


def occupied(served: Served, z: int) -> set[Tile]:
    """Return all tiles that may hold a point, generously."""
    with served.database.own(Actor("test")) as session:
        rows = session.execute(
            text("SELECT ST_X(geom_3857), ST_Y(geom_3857) FROM geohazard_points")
        ).all()
    size = 2 * HALF / 2**z
    return {
        (z, int((x + HALF) // size) + dx, int((HALF - y) // size) + dy)
        for x, y in rows
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
        if 0 <= int((x + HALF) // size) + dx < 2**z and 0 <= int((HALF - y) // size) + dy < 2**z
    }


@pytest.mark.parametrize("z", range(LOW, HIGH + 1))
def test_each_point_is_counted_once_at_every_zoom(served: Served, z: int) -> None:
    levels = Counter(f["properties"]["risk_level"] for f in served.items(LAYER, limit=10_000))
    cells = [f["properties"] for tile in occupied(served, z) for f in features(served, tile)]
    assert sum(cell["n"] for cell in cells) == sum(levels.values())
    for name, level in COUNTS.items():
        assert sum(cell[name] for cell in cells) == levels[level]
    names = [cell["cell"] for cell in cells]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("seed", range(4))
def test_tiles_of_mixed_zooms_that_cover_the_plane_count_each_point_once(
    served: Served, seed: int
) -> None:
    dice = random.Random(seed)
    total = served.get(f"/collections/{LAYER}/items", limit=1).json()["numberMatched"]
    cover = [part for tile in occupied(served, LOW) for part in split(served, tile, dice)]
    busy = {z: occupied(served, z) for z in range(LOW, HIGH + 1)}
    # Every other tile is empty: asking for all of them would take an hour.
    asked = [tile for tile in cover if tile in busy[tile[0]]]
    assert len({z for z, _, _ in asked}) > 2
    counts = [f["properties"]["n"] for tile in asked for f in features(served, tile)]
    assert sum(counts) == total


def test_a_cell_stands_in_its_own_place_and_tile(served: Served) -> None:
    for z in (8, 11):
        for tile in occupied(served, z):
            for feature in features(served, tile):
                column, row = map(int, feature["properties"]["cell"].split(":"))
                assert (column // 8, row // 8) == tile[1:]
                x, y = feature["geometry"]["coordinates"]
                assert (x // 512, y // 512) == (column % 8, row % 8)


def test_the_ends_of_the_world_are_in_the_first_and_the_last_cell(served: Served) -> None:
    for x, code in ((255, {"W0", "W2"}), (0, {"W1", "W3"})):
        found = [f for y in range(256) if 90 <= y <= 160 for f in features(served, (8, x, y))]
        assert {f["properties"]["cell"].split(":")[0] for f in found} == {"2047" if x else "0"}
        ids = {f["id"] for f in served.items(LAYER, code=",".join(sorted(code)))}
        assert {f["id"] for f in found} == ids


def test_a_cell_of_one_is_the_point_itself_and_no_other_has_an_id(served: Served) -> None:
    items = {f["id"]: f["properties"] for f in served.items(LAYER, limit=10_000)}
    seen = Counter()
    for tile in occupied(served, 11):
        for feature in features(served, tile):
            properties = feature["properties"]
            seen[properties["n"] == 1] += 1
            own = {k: v for k, v in properties.items() if k not in {"cell", "n", "top", *COUNTS}}
            if properties["n"] > 1:
                assert feature["id"] == 0 and own == {}  # 0: the message names none
            else:
                declared = [f.name for f in CATALOG[LAYER].fields if f.in_tile]
                shown = {name: items[feature["id"]][name] for name in declared}
                assert own == {k: v for k, v in shown.items() if v is not None}
    assert seen[True] > 20 and seen[False] > 20


def test_a_filter_counts_what_the_items_count(served: Served) -> None:
    for query in ({"risk_level": "1,null"}, {"code": "P3,P4,P5"}, {"bbox": "119.6,36,120,36.4"}):
        total = len(served.items(LAYER, limit=10_000, **query))
        found = [
            f["properties"] for tile in occupied(served, 9) for f in features(served, tile, **query)
        ]
        assert sum(cell["n"] for cell in found) == total > 0


def test_from_zoom_12_each_point_is_itself(served: Served) -> None:
    found = {
        f["id"]: f["properties"] for tile in occupied(served, 12) for f in features(served, tile)
    }
    assert set(found) == {f["id"] for f in served.items(LAYER, limit=10_000)}
    assert not any("cell" in properties for properties in found.values())


def test_cells_of_layers_share_a_grid_and_shapes_stay_shapes(
    cluster: Cluster, migrated: str
) -> None:
    with serving(cluster, migrated) as served:
        area = "MULTIPOLYGON(((120.5 36.5,120.51 36.5,120.51 36.51,120.5 36.51,120.5 36.5)))"
        served.put("enterprises", {"code": "area", "geom": area, "name": "厂", "risk_level": 2})
        for layer in ("enterprises", LAYER):
            served.put(
                layer,
                {"code": "a", "geom": "POINT(120.5 36.5)", "risk_level": 1},
                {"code": "b", "geom": "POINT(120.501 36.501)", "risk_level": None},
            )
        # The same cells from two layers; no cell for the area, which has its id and fields.
        tile = (9, 427, 200)
        both = decoded(served, f"{LAYER},enterprises", tile)
        assert set(both) == {LAYER, "enterprises"}
        cells = {
            name: [f["properties"] for f in both[name]["features"] if "n" in f["properties"]]
            for name in both
        }
        assert cells[LAYER] == cells["enterprises"]
        (cell,) = cells[LAYER]
        assert {k: v for k, v in cell.items() if k != "cell"} == {
            "n": 2, "n1": 1, "n2": 0, "n3": 0, "n4": 0, "n0": 1, "top": 1
        }  # fmt: skip
        (shape,) = [f for f in both["enterprises"]["features"] if "n" not in f["properties"]]
        assert shape["geometry"]["type"] == "Polygon" and shape["properties"]["name"] == "厂"
        assert shape["id"] == served.items("enterprises", code="area")[0]["id"]
