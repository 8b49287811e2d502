"""Sessions: who connects as what, what reading cannot do, and what a lost database looks like."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from feedrows import ACTOR, point, psql, rows
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from conftest import connect
from riskmap.db.cluster import Cluster
from riskmap.db.jsonb import storable
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import UnavailableError
from riskmap.settings import Settings


@pytest.fixture(params=["login", "SET ROLE"])
def hurried(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """Sessions with a limit of 0.3 s, by the API's own login and by the owner's."""
    api = database.api_url if request.param == "login" else None
    settings = Settings(statement_timeout_s=0.3, pool_size=1)
    opened = Database(database.owner_url, api, settings)
    yield opened
    opened.dispose()


def test_both_ways_lead_to_the_role(hurried: Database) -> None:
    who = "SELECT current_user, current_setting('is_superuser'), current_setting('TimeZone')"
    with hurried.read() as session:
        assert session.execute(text(who)).one()[0] == "riskmap_api"
    with hurried.write(ACTOR) as session:
        assert session.execute(text(who)).one() == ("riskmap_api", "off", "UTC")

    async def ask() -> str:
        async with hurried.read_async() as session:
            user = (await session.execute(text("SELECT current_user"))).scalar_one()
        await hurried.dispose_async()
        return str(user)

    assert asyncio.run(ask()) == "riskmap_api"
    for denied in ("DELETE FROM audit", "RESET ROLE; DELETE FROM audit", "TRUNCATE shelters"):
        with pytest.raises(DBAPIError, match="permission denied"), hurried.write(ACTOR) as session:
            session.execute(text(denied))


def test_a_read_session_cannot_write(hurried: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"), hurried.read() as session:
        session.execute(text(point("a")))

    async def attempt() -> None:
        try:
            async with hurried.read_async() as session:
                await session.execute(text(point("a")))
        finally:
            await hurried.dispose_async()

    with pytest.raises(DBAPIError, match="read-only transaction"):
        asyncio.run(attempt())
    assert rows(hurried, "SELECT 1 FROM shelters") == []


def test_a_read_session_sees_one_moment(cluster: Cluster, database: Database) -> None:
    def count(session: ReadSession) -> int:
        return int(session.execute(text("SELECT count(*) FROM shelters")).scalar_one())

    with database.read() as session:
        assert count(session) == 0
        with psql(cluster, database) as other:
            other.execute(point("a"))
        assert count(session) == 0


def test_a_write_session_is_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(KeyError), database.write(ACTOR) as session:
        session.execute(text(point("a")))
        raise KeyError
    assert rows(database, "SELECT 1 FROM shelters") == []


def test_a_timeout_is_an_answer_and_the_connection_goes_on(hurried: Database) -> None:
    with hurried.read() as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with pytest.raises(UnavailableError) as caught, hurried.read() as session:
        session.execute(text("SELECT pg_sleep(5)"))
    assert caught.value.key == "database.timeout"
    with hurried.read() as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() == pid
    with hurried.write(ACTOR, timeout_s=0) as session:
        session.execute(text("SELECT pg_sleep(0.5)"))
    with pytest.raises(UnavailableError), hurried.write(ACTOR) as session:
        session.execute(text("SELECT pg_sleep(0.5)"))


def kill(cluster: Cluster, database: Database) -> None:
    with connect(cluster) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [database.owner_url.database],
        )


def test_a_killed_connection_is_an_answer_and_the_next_is_new(
    cluster: Cluster, database: Database
) -> None:
    with pytest.raises(UnavailableError) as caught, database.write(ACTOR) as session:
        session.execute(text(point("a")))
        kill(cluster, database)
        session.execute(text(point("b")))
    assert caught.value.key == "database.away"
    with pytest.raises(UnavailableError) as caught, database.write(ACTOR) as session:
        driver = session.connection.connection.driver_connection
        assert driver is not None
        with (
            driver.cursor() as cursor,
            cursor.copy("COPY shelters (code, geom) FROM STDIN") as copy,
        ):
            kill(cluster, database)
            copy.write_row(("a", "SRID=4326;POINT(120.5 36.5)"))
    assert caught.value.key == "database.away", "COPY speaks to the driver itself"
    kill(cluster, database)  # while idle in the pool: nobody notices
    assert rows(database, "SELECT 1 FROM shelters") == []


def test_a_database_that_is_gone(cluster: Cluster, database: Database) -> None:
    gone = Database(
        database.owner_url, database.api_url.set(database="no_such_database"), Settings()
    )
    with pytest.raises(UnavailableError) as caught, gone.read():
        pass
    assert caught.value.key == "database.away" and "no_such" not in str(caught.value)


def test_a_deadlock_is_an_answer_for_one_and_the_other_goes_on(
    database: Database, cluster: Cluster
) -> None:
    """PostgreSQL ends one of two that wait for each other (40P01): it may simply try again."""
    with database.write(ACTOR) as session:
        session.execute(text(point("a")))
        session.execute(text(point("b")))
    first_holds, second_holds = threading.Event(), threading.Event()
    ended: list[str] = []

    def swap(one: str, other: str, mine: threading.Event, its: threading.Event) -> None:
        change = text("UPDATE shelters SET name = :by WHERE code = :code")
        try:
            with database.write(ACTOR, timeout_s=30) as session:
                session.execute(change, {"by": one, "code": one})
                mine.set()
                assert its.wait(30)
                session.execute(change, {"by": one, "code": other})
        except UnavailableError as error:
            ended.append(error.key)
        else:
            ended.append("committed")

    threads = [
        threading.Thread(target=swap, args=("a", "b", first_holds, second_holds)),
        threading.Thread(target=swap, args=("b", "a", second_holds, first_holds)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == ["committed", "database.locked"]
    names = {row.name for row in rows(database, "SELECT name FROM shelters")}
    assert names in ({"a"}, {"b"}), "one of them did both, the other nothing"


def test_what_json_can_spell_and_postgresql_cannot_keep(database: Database) -> None:
    """NUL and half a surrogate pair; a backslash before u0000 is six characters like others."""
    spelt = json.loads(r'"a\u0000b"')
    value = {spelt: [spelt, ("\ud800x", 1, 1.5, None, True)], "path": Path("/x")}
    kept = {"a\ufffdb": ["a\ufffdb", ["\ufffdx", 1, 1.5, None, True]], "path": "/x"}
    harmless = {r"a\u0000b": r"\u0000"}
    for found, expected in ((value, kept), (harmless, harmless)):
        assert storable(found) == expected
        with database.read() as session:
            bound = {"value": json.dumps(storable(found))}
            stored = session.execute(text("SELECT CAST(:value AS jsonb)"), bound).scalar_one()
        assert stored == expected
    with pytest.raises(DBAPIError, match="u0000"), database.read() as session:
        session.execute(text("SELECT CAST(:value AS jsonb)"), {"value": json.dumps(spelt)})


def test_a_pool_without_a_free_connection_is_an_answer(hurried: Database) -> None:
    hurried.engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    with (
        hurried.read(),
        pytest.raises(UnavailableError) as caught,
        hurried.read(),
    ):
        pass
    assert caught.value.key == "database.busy"


def test_a_compiled_statement_runs_with_numbered_values(database: Database) -> None:
    """A value in several places, a percent sign, null, and columns by name; errors as ever."""

    async def run() -> None:
        try:
            async with database.read_async() as session:
                sql = (
                    "SELECT %(a)s::integer + %(b)s::integer AS total, 7 %% %(a)s::integer AS rest,"
                    " %(c)s::text AS nothing, 'x'::bytea AS raw, '%%(a)s $1' AS literal"
                )
                for _ in range(7):  # from the sixth on it is a prepared statement
                    (row,) = await session.driver(sql, {"a": 4, "b": 5, "c": None, "more": 1})
                    assert (row.total, row.rest, row.nothing) == (9, 3, None)
                    assert (row.raw, row.literal) == (b"x", "%(a)s $1")
            with pytest.raises(UnavailableError) as late:
                async with database.read_async() as session:
                    await session.limit_statements(0.05)
                    await session.driver("SELECT pg_sleep(%(s)s::float8)", {"s": 5})
            assert late.value.key == "database.timeout"
            # A reader that leaves: the database stops, and the connection is of use again.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), database.read_async() as session:
                    await session.driver("SELECT pg_sleep(%(s)s::float8)", {"s": 60})
            async with database.read_async() as session:
                busy = "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE %(like)s"
                ((sleeping,),) = await session.driver(
                    busy + " AND state = 'active' AND pid <> pg_backend_pid()",
                    {"like": "SELECT pg_sleep%"},
                )
                assert sleeping == 0
        finally:
            await database.async_engine.dispose()

    asyncio.run(run())
