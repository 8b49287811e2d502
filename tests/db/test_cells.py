"""Counted cells: exact for every writer, whatever is folded meanwhile."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import psycopg
import pytest
from feedrows import psql, rows
from sqlalchemy import text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from riskmap.catalog.registry import load_catalog
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Database
from riskmap.features.query import Equals, FeatureQuery
from riskmap.tiles import cells
from riskmap.tiles.folding import fold
from riskmap.tiles.grid import WEB_MERCATOR_QUAD

CATALOG = load_catalog()


class Explained(Executable, ClauseElement):
    """EXPLAIN of a statement."""

    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explained)
def _explained(element: Explained, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN {compiler.process(element.statement, **options)}"


LAYER = CATALOG["geohazard-points"]
EVERY = (1, 2, 3, 4, None)
# West, south, east, north: several cells of zoom 11, the border of two tiles among them.
BOX = (120.1, 36.1, 120.6, 36.5)


def of(database: Database, query: FeatureQuery, z: int, x: int, y: int) -> list[Any]:
    """Return the cells of a tile, in an order."""
    statement = cells.cells(query, WEB_MERCATOR_QUAD, z)
    with database.read() as session:
        found = session.execute(statement, {"x": x, "y": y}).mappings().all()
    plain = [{**row, "geom": str(row["geom"])} for row in found]
    return sorted(plain, key=lambda row: row["cell"])


def tiles(z: int) -> list[tuple[int, int]]:
    scale = 2**z
    columns = range(int((120.0 + 180) / 360 * scale), int((120.7 + 180) / 360 * scale) + 1)
    # 0.388 to 0.3955: latitudes 37 to 35.9 in parts of the world.
    lines = range(int(0.388 * scale), int(0.3955 * scale) + 1)
    return [(x, y) for x in columns for y in lines]


def agree(database: Database, layer: Any = LAYER) -> int:
    """Compare the stored cells with counted ones at every zoom; return how many points."""
    field = layer.field("risk_level")
    stored = FeatureQuery(layer=layer)
    counted = FeatureQuery(layer=layer, filters=(Equals(field, EVERY),))
    assert counted.narrowed and not stored.narrowed
    totals = set()
    for z in range(cells.MAX_ZOOM + 1):
        total = 0
        for x, y in tiles(z):
            one = of(database, stored, z, x, y)
            assert one == of(database, counted, z, x, y), (z, x, y)
            total += sum(row["n"] for row in one)
        totals.add(total)
    with database.read() as session:
        number = session.execute(
            text(f"SELECT count(*) FROM {layer.table} WHERE GeometryType(geom) = 'POINT'")
        ).scalar_one()
    assert totals == {number}
    return int(number)


def write(dice: random.Random, session: psycopg.Connection[Any], turn: int) -> None:
    """Do something to the points, of whatever kind."""
    west, south, east, north = BOX
    place = (
        f"ST_SetSRID(ST_MakePoint({west} + {east - west} * random(),"
        f" {south} + {north - south} * random()), 4326)"
    )
    some = f"id % {dice.randint(2, 7)} = {dice.randint(0, 1)}"
    level = f"nullif({dice.randint(0, 4)}, 0)"
    more = (
        f"INSERT INTO geohazard_points (code, risk_level, geom) SELECT '{turn}-' || i, {level},"
        f" {place} FROM generate_series(1, {dice.randint(1, 40)}) i"
    )
    statement = dice.choice(
        [
            more,
            f"UPDATE geohazard_points SET geom = {place} WHERE {some}",
            f"UPDATE geohazard_points SET risk_level = {level} WHERE {some}",
            f"UPDATE geohazard_points SET name = 'x{turn}' WHERE {some}",
            f"DELETE FROM geohazard_points WHERE {some}",
            "INSERT INTO geohazard_points (code, risk_level, geom)"
            f" SELECT code, {level}, {place} FROM geohazard_points WHERE {some}"
            " ON CONFLICT (source_system, code) DO UPDATE SET geom = excluded.geom,"
            " risk_level = excluded.risk_level",
        ]
    )
    session.execute(statement if turn % 4 else more)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.prove) for seed in (1, 2))]
)
def test_stored_cells_are_the_counted_ones(cluster: Cluster, database: Database, seed: int) -> None:
    dice = random.Random(seed)
    with psql(cluster, database) as session:
        session.execute("SELECT setseed(0.5)")
        for turn in range(30):
            write(dice, session, turn)
            if dice.random() < 0.2:
                fold(database)
            if turn == 14:
                assert agree(database) > 0
    assert agree(database) > 0
    fold(database)
    assert rows(database, "SELECT * FROM cell_deltas") == []
    assert agree(database) > 0


def test_truncate_and_what_follows(cluster: Cluster, database: Database) -> None:
    point = "SRID=4326;POINT(120.3 36.3)"
    with psql(cluster, database) as session:
        for turn in range(2):
            session.execute(
                "INSERT INTO geohazard_points (code, geom) SELECT 'a' || i, %s"
                " FROM generate_series(1, 50) i",
                [point],
            )
            if turn:
                fold(database)
            session.execute("TRUNCATE geohazard_points")
            assert agree(database) == 0
        session.execute("INSERT INTO geohazard_points (code, geom) VALUES ('b', %s)", [point])
    assert agree(database) == 1
    while fold(database):
        pass
    assert agree(database) == 1
    [row] = rows(database, "SELECT * FROM cell_sums")
    assert (row.n, row.n0, row.n1) == (1, 1, 0)


def test_what_moves_no_point_appends_nothing(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as session:
        session.execute(
            "INSERT INTO geohazard_points (code, geom) VALUES ('a', 'SRID=4326;POINT(120.3 36.3)')"
        )
        before = rows(database, "SELECT count(*) FROM cell_deltas")
        session.execute("UPDATE geohazard_points SET name = 'x'")
        session.execute("UPDATE geohazard_points SET name = 'x'")
        session.execute("DELETE FROM geohazard_points WHERE false")
        assert rows(database, "SELECT count(*) FROM cell_deltas") == before


def test_only_points_of_a_mixed_layer_are_counted(cluster: Cluster, database: Database) -> None:
    layer = CATALOG["risk-records"]
    with psql(cluster, database) as session:
        for n, shape in enumerate(
            (
                "POINT(120.3 36.3)",
                "LINESTRING(120.3 36.3, 120.4 36.4)",
                "POLYGON((120.3 36.3, 120.4 36.3, 120.4 36.4, 120.3 36.3))",
                "MULTIPOINT(120.3 36.3, 120.4 36.4)",
            )
        ):
            session.execute(
                "INSERT INTO risk_records (code, geom) VALUES (%s, ST_GeomFromEWKT(%s))",
                [f"s{n}", f"SRID=4326;{shape}"],
            )
        assert agree(database, layer) == 1
        session.execute("UPDATE risk_records SET geom = ST_Centroid(geom)")  # all become points
        assert agree(database, layer) == 4
        session.execute("UPDATE risk_records SET geom = ST_Buffer(geom, 0.001) WHERE code < 's2'")
        assert agree(database, layer) == 2


def test_many_writers_and_a_folder_at_once(cluster: Cluster, database: Database) -> None:
    """None waits for another's cell, none is lost."""
    stop = threading.Event()
    folded = Counter[bool]()

    def folding() -> None:
        while not stop.is_set():
            folded[fold(database) > 0] += 1

    def writing(number: int) -> None:
        with psql(cluster, database) as session:
            for turn in range(25):
                session.execute(
                    "INSERT INTO geohazard_points (code, risk_level, geom)"
                    " VALUES (%s, 1 + %s %% 4, 'SRID=4326;POINT(120.3 36.3)')",
                    [f"{number}-{turn}", turn],
                )
                if turn % 3 == 2:
                    session.execute(
                        "UPDATE geohazard_points SET risk_level = NULL,"
                        " geom = 'SRID=4326;POINT(120.5 36.4)' WHERE code = %s",
                        [f"{number}-{turn - 1}"],
                    )
                if turn % 5 == 4:
                    session.execute(
                        "DELETE FROM geohazard_points WHERE code = %s", [f"{number}-{turn - 3}"]
                    )

    threads = [threading.Thread(target=writing, args=(n,)) for n in range(6)]
    folder = threading.Thread(target=folding)
    for one in (*threads, folder):
        one.start()
    for one in threads:
        one.join()
    stop.set()
    folder.join()
    assert folded[True] > 0
    assert agree(database) == 6 * 20


def test_a_writer_that_is_rolled_back_leaves_nothing(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as session:
        with pytest.raises(psycopg.errors.DivisionByZero), session.transaction():
            session.execute(
                "INSERT INTO geohazard_points (code, geom)"
                " VALUES ('a', 'SRID=4326;POINT(120.3 36.3)')"
            )
            session.execute("SELECT 1 / 0")
        assert rows(database, "SELECT * FROM cell_deltas") == []
        assert agree(database) == 0


def test_a_cell_of_one_finds_its_point_by_the_index(database: Database) -> None:
    """PostgreSQL adds ids up to a numeric: compared as such, each tile would read the layer."""
    for bbox in (None, BOX):
        statement = cells.cells(FeatureQuery(layer=LAYER, bbox=bbox), WEB_MERCATOR_QUAD, 0)
        with database.read() as session:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            found = session.execute(Explained(statement), {"x": 0, "y": 0})
            assert f"Index Scan using pk_{LAYER.table}" in "\n".join(found.scalars())
