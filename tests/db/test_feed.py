"""The change feed: one revision per statement that changed rows, and in the order of commits."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from feedrows import ACTOR, CELL, HALF, act, cell, feed, point, points, psql, rows
from sqlalchemy import text

from riskmap.db import feed as feeds
from riskmap.db.cluster import Cluster
from riskmap.db.feed import Feed
from riskmap.db.sessions import Actor, Database

STATEMENTS = (
    (points(3), "INSERT", 3),
    ("UPDATE shelters SET name = 'x' WHERE code <> 'n1'", "UPDATE", 2),
    ("DELETE FROM shelters WHERE code = 'n2'", "DELETE", 1),
)


@pytest.mark.parametrize("by", ["api", "psql"])
def test_each_statement_is_one_revision(cluster: Cluster, database: Database, by: str) -> None:
    for n, (statement, op, touched) in enumerate(STATEMENTS, 1):
        if by == "api":
            act(database, statement)
        else:
            with psql(cluster, database) as session:
                session.execute(statement)
        assert [(r.revision, r.layer, r.op, r.row_count) for r in feed(database, n - 1)] == [
            (n, "shelters", op, touched)
        ]


def test_copy_is_one_revision_and_an_upsert_one_for_each_event(
    cluster: Cluster, database: Database
) -> None:
    with psql(cluster, database) as session:
        with session.cursor() as cursor, cursor.copy("COPY shelters (code, geom) FROM STDIN") as f:
            for code in "ab":
                f.write_row((code, "SRID=4326;POINT(120.5 36.5)"))
        session.execute(
            "INSERT INTO shelters (code, geom) SELECT c, 'SRID=4326;POINT(120.5 36.5)'"
            " FROM unnest(ARRAY['b', 'c']) c"
            " ON CONFLICT (source_system, code) DO UPDATE SET name = 'again'"
        )
    found = sorted((r.op, r.row_count) for r in feed(database))
    assert found == [("INSERT", 1), ("INSERT", 2), ("UPDATE", 1)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO shelters (code, geom) SELECT code, geom FROM shelters WHERE false",
        "UPDATE shelters SET name = 'y' WHERE code = 'nobody'",
        "DELETE FROM shelters WHERE code = 'nobody'",
        # Touches the row and changes nothing.
        "UPDATE shelters SET name = name, geom = geom",
        "UPDATE shelters SET version = 99, updated_at = 'epoch', created_at = 'epoch'",
        "INSERT INTO shelters (code, geom) SELECT code, geom FROM shelters ON CONFLICT DO NOTHING",
        "SAVEPOINT s; DELETE FROM shelters; ROLLBACK TO s",
    ],
)
def test_what_changes_nothing_is_no_revision(
    cluster: Cluster, database: Database, statement: str
) -> None:
    act(database, point("a"))
    before = rows(database, "SELECT * FROM shelters")
    with psql(cluster, database) as session, session.transaction():
        session.execute(statement)
    assert feed(database, 1) == [] and rows(database, "SELECT * FROM history") == []
    assert rows(database, "SELECT * FROM shelters") == before


def test_truncating_an_empty_layer_is_no_revision(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as session:
        session.execute("TRUNCATE shelters")
    assert feed(database) == []


def test_a_change_is_a_new_version(database: Database) -> None:
    act(database, point("a"))
    [before] = rows(database, "SELECT * FROM shelters")
    act(database, "UPDATE shelters SET name = 'x', version = 40, created_at = 'epoch'")
    [after] = rows(database, "SELECT * FROM shelters")
    assert (before.version, after.version) == (1, 2)
    assert after.updated_at > before.updated_at and after.created_at == before.created_at
    assert after.id == before.id


def test_a_moved_point_touches_where_it_was_and_where_it_is(database: Database) -> None:
    act(database, point("a", 120.1234, 36.4321))
    assert feed(database)[0].cells == [cell(120.1234, 36.4321)]
    act(database, "UPDATE shelters SET geom = 'SRID=4326;POINT(120.9 36.9)'")
    moved = feed(database, 1)[0]
    assert sorted(moved.cells) == sorted([cell(120.1234, 36.4321), cell(120.9, 36.9)])
    assert (moved.x_min, moved.x_max) == pytest.approx(
        tuple(lon / 180 * HALF for lon in (120.1234, 120.9))
    )
    act(database, "DELETE FROM shelters")
    assert feed(database, 2)[0].cells == [cell(120.9, 36.9)]


def test_cells_against_the_textbook_all_over_the_world(database: Database) -> None:
    at = random.Random(14)
    lonlat = [(at.uniform(-179.9, 179.9), at.uniform(-84.9, 84.9)) for _ in range(300)]
    values = ", ".join(f"({lon!r}, {lat!r})" for lon, lat in lonlat)
    act(
        database,
        "INSERT INTO shelters (code, geom) SELECT x::text, ST_SetSRID(ST_MakePoint(x, y), 4326)"
        f" FROM (VALUES {values}) t (x, y)",
    )
    assert sorted(feed(database)[0].cells) == sorted({cell(*one) for one in lonlat})


@pytest.mark.parametrize(
    ("table", "wkt"),
    [
        ("fault_lines", "MULTILINESTRING((120.1 36.1, 120.15 36.2))"),
        ("flood_impact_areas", "MULTIPOLYGON(((120.1 36.1, 120.15 36.1, 120.1 36.2, 120.1 36.1)))"),
        ("risk_records", "LINESTRING(120.1 36.1, 120.15 36.2)"),
    ],
)
def test_the_envelope_of_lines_and_areas(database: Database, table: str, wkt: str) -> None:
    act(
        database,
        f"INSERT INTO {table} (code, geom) VALUES ('a', 'SRID=4326;{wkt}')",
    )
    west, south, east, north = 120.1, 36.1, 120.15, 36.2
    low, high = cell(west, north), cell(east, south)
    box = {
        x << 14 | y
        for x in range(low >> 14, (high >> 14) + 1)
        for y in range(low & 16383, (high & 16383) + 1)
    }
    assert set(feed(database)[0].cells) == box and len(box) > 10


@pytest.mark.parametrize(("n", "counted"), [(1024, True), (1025, False)])
def test_past_1024_cells_the_box_stands_for_them(database: Database, n: int, counted: bool) -> None:
    """Points in the middles of the cells (i % 64, i / 64) from the null meridian on."""
    act(
        database,
        "INSERT INTO shelters (code, geom) SELECT i::text, ST_Transform(ST_SetSRID(ST_MakePoint("
        f" (i % 64 + 0.5) * {CELL!r}, (i / 64 + 0.5) * {CELL!r}), 3857), 4326)"
        f" FROM generate_series(0, {n - 1}) i",
    )
    [row] = feed(database)
    assert (len(row.cells) if row.cells else None) == (n if counted else None)
    assert (row.x_min, row.y_min) == pytest.approx((CELL / 2, CELL / 2))
    assert row.x_max == pytest.approx(63.5 * CELL)


def test_a_change_all_over_the_world_is_not_counted_out(database: Database) -> None:
    started = time.monotonic()
    act(
        database,
        "INSERT INTO risk_records (code, geom) SELECT i::text,"
        " 'SRID=4326;LINESTRING(-179 -80, 179 80)' FROM generate_series(1, 100) i",
    )
    assert feed(database)[0].cells is None and feed(database)[0].x_min is not None
    assert time.monotonic() - started < 30, "its 2.6e10 cells were counted"


@pytest.mark.parametrize("wkt", ["POINT EMPTY", "POINT(0 90)"])
def test_a_place_without_a_tile_does_not_stop_a_writer(database: Database, wkt: str) -> None:
    act(database, f"INSERT INTO risk_records (code, geom) VALUES ('a', 'SRID=4326;{wkt}')")
    assert feed(database)[0].row_count == 1


def test_truncate_flushes(cluster: Cluster, database: Database) -> None:
    act(database, points(5))
    with psql(cluster, database) as session:
        session.execute("TRUNCATE shelters")
    [row] = feed(database, 1)
    assert (row.op, row.row_count, row.cells) == ("TRUNCATE", 5, None)
    assert (row.x_min, row.y_min, row.x_max, row.y_max) == (None,) * 4
    kept = rows(database, "SELECT op, \"row\"->>'code' FROM history ORDER BY feature_id")
    assert kept == [("truncate", f"n{i}") for i in range(1, 6)]


def test_an_edit_of_speeds_flushes_the_roads(cluster: Cluster, database: Database) -> None:
    assert feed(database) == [], "a new database has no past"
    with psql(cluster, database) as session:
        session.execute("UPDATE road_speeds SET speed_kmh = 50 WHERE road_class = 'primary'")
    [row] = feed(database)
    assert (row.layer, row.op, row.cells, row.x_min) == ("roads", "UPDATE", None, None)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO road_turns VALUES ('a', 1, 'b', false, 'test')",
        "UPDATE road_profiles SET u_turns = false WHERE profile = 'walk'",
        "UPDATE road_speeds SET stops = false WHERE road_class = 'primary'",
    ],
)
def test_turns_and_profiles_count_as_roads(
    cluster: Cluster, database: Database, statement: str
) -> None:
    with psql(cluster, database) as session:
        session.execute(statement)
    [row] = feed(database)
    assert (row.layer, row.cells) == ("roads", None)


def test_the_notice_carries_layer_and_revision_only(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as listener:
        listener.execute("LISTEN riskmap_feed")
        act(database, point("a"), "UPDATE shelters SET name = 'x'")
        heard = [json.loads(n.payload) for n in listener.notifies(timeout=5, stop_after=2)]
        assert heard == [{"layer": "shelters", "revision": n} for n in (1, 2)]
        with psql(cluster, database) as session, session.transaction(force_rollback=True):
            session.execute("DELETE FROM shelters")
        act(database, "DELETE FROM shelters")
        [last] = listener.notifies(timeout=5, stop_after=1)
        assert json.loads(last.payload) == {"layer": "shelters", "revision": 3}


def test_who_commits_later_gets_the_later_number_and_nobody_waits(
    cluster: Cluster, database: Database
) -> None:
    with psql(cluster, database) as a, psql(cluster, database) as b:
        a.execute("BEGIN")
        a.execute(points(1000))
        b.execute("SET statement_timeout = '5s'")  # a bound, not a measurement
        b.execute(point("b"))
        assert [r.row_count for r in feed(database)] == [1], "seen while A is still open"
        a.execute("COMMIT")
    found = feed(database)
    assert [(r.revision, r.row_count) for r in found] == [(1, 1), (2, 1000)]
    assert found[0].id > found[1].id, "A wrote its row first"
    assert found[0].at < found[1].at


def test_the_lock_lasts_until_the_number_can_be_seen(cluster: Cluster, database: Database) -> None:
    """A holds its number and has not committed: B must wait, or it would be seen before A."""
    with psql(cluster, database) as a, psql(cluster, database) as b, ThreadPoolExecutor(1) as pool:
        a.execute("BEGIN")
        a.execute(point("a"))
        a.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a commit does first
        waiting = pool.submit(b.execute, point("b"))
        try:
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            assert feed(database) == []
        finally:
            a.execute("COMMIT")
        waiting.result(30)
    assert [r.revision for r in feed(database)] == [1, 2]


def test_a_rollback_leaves_no_trace(cluster: Cluster, database: Database) -> None:
    act(database, point("a"))
    with psql(cluster, database) as session, session.transaction(force_rollback=True):
        session.execute("UPDATE shelters SET name = 'x'")
        session.execute("DELETE FROM shelters")
    assert len(feed(database)) == 1
    assert rows(database, "SELECT count(*) FROM feed") == [(1,)]
    assert rows(database, "SELECT count(*) FROM history") == [(0,)]
    assert rows(database, "SELECT action FROM audit") == [("insert",)]


def test_a_savepoint_takes_back_its_own_part(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as session, session.transaction():
        session.execute(point("a"))
        with session.transaction(force_rollback=True):
            session.execute(points(5))
        session.execute(point("b"))
    assert [(r.revision, r.row_count) for r in feed(database)] == [(1, 1), (2, 1)]


def test_a_reader_who_polls_misses_nothing(database: Database) -> None:
    """Writers of all lengths, some of which give up; a reader that asks for `revision > last`."""
    writers, each = 5, 16
    done = threading.Event()
    seen: list[int] = []
    errors: list[int] = []

    def write(number: int) -> int:
        at = random.Random(number)
        kept = 0
        for i in range(each):
            try:
                with database.write(Actor(f"writer:{number}")) as session:
                    for j in range(at.randint(1, 3)):
                        session.execute(text(point(f"{number}-{i}-{j}")))
                        time.sleep(at.choice((0, 0, 0.001, 0.02)))
                    if at.random() < 0.2:
                        raise KeyError
                    kept += j + 1
            except KeyError:
                continue
        return kept

    def read() -> None:
        last = 0
        while True:
            final = done.is_set()
            news = [row.revision for row in feed(database, last)]
            if any(b <= a for a, b in zip([last, *news], news, strict=False)):
                errors.append(last)
            seen.extend(news)
            last = max([last, *news])
            if final:
                return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(writers) as pool:
            kept = sum(pool.map(write, range(writers)))
    finally:
        done.set()
        reader.join(30)
    assert errors == []
    assert len(seen) == len(set(seen)) == kept
    assert seen == [row.revision for row in feed(database)]


def test_the_audit_names_the_revision(database: Database) -> None:
    act(database, points(3), "UPDATE shelters SET name = 'x'")
    found = rows(
        database,
        "SELECT a.actor, a.db_user, a.request_id, a.action, a.subject, a.row_count, f.revision"
        " FROM audit a JOIN feed f ON f.id = a.feed_id ORDER BY a.id",
    )
    who = (ACTOR.name, "riskmap_api", ACTOR.request_id)
    assert found == [(*who, "insert", "shelters", 3, 1), (*who, "update", "shelters", 3, 2)]


def test_a_loss_is_said_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the database was never there: a line a second would bury all others."""
    real, tried = database.connect_directly, 0

    async def refused() -> Any:
        nonlocal tried
        tried += 1
        if tried in (4, 8):
            connection = await real()
            await connection.close()  # lost as soon as it is used
            return connection
        raise OSError("refused")

    async def follow() -> None:
        follower = Feed(database)
        follower.start()
        while tried < 12:
            await asyncio.sleep(0.01)
        await follower.stop()

    monkeypatch.setattr(feeds, "_RETRY_S", (0.0,))
    monkeypatch.setattr(database, "connect_directly", refused)
    with caplog.at_level(logging.DEBUG, logger="riskmap"):
        asyncio.run(follow())
    levels = [one.levelno for one in caplog.records if "change feed" in one.getMessage()]
    assert levels[0] == logging.WARNING and len(levels) >= 10
    assert set(levels[1:]) == {logging.DEBUG}


def test_a_fault_of_a_listener_does_not_end_the_following(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next beginning tells everybody to forget what he has."""
    told: list[int | None] = []

    def listener(changes: Any) -> None:
        told.append(None if changes is None else len(changes))
        if told == [None, 1]:
            raise ZeroDivisionError

    async def follow() -> None:
        feed = Feed(database)
        feed.listen(listener)
        feed.start()
        try:
            assert await feed.wait_fresh(30)
            await asyncio.to_thread(act, database, points(1))
            async with asyncio.timeout(30):
                while told != [None, 1, None]:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(act, database, "UPDATE shelters SET name = 'x'")
            async with asyncio.timeout(30):
                while told != [None, 1, None, 1]:
                    await asyncio.sleep(0.01)
        finally:
            await feed.stop()

    asyncio.run(follow())
    assert "ZeroDivisionError" in caplog.text
