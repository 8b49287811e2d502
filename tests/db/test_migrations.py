"""Migrations: there, back and there again; what does not fit is refused and left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from sqlalchemy import text

from conftest import connect, drop, open_database
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import alembic_config, connect_owner, migrate, schema_state
from riskmap.db.sessions import Actor, Database
from riskmap.errors import SetupError
from riskmap.settings import Settings

OBJECTS = """
SELECT 'relation', c.oid::regclass::text, c.relkind::text, c.relacl::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname IN ('public', 'riskmap')
UNION ALL
SELECT 'function', p.oid::regprocedure::text, p.prosrc, p.proacl::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'riskmap'
UNION ALL
SELECT 'trigger', pg_get_triggerdef(oid), '', '' FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid), ''
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'column', attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod),
    concat(attnotnull, attidentity, attgenerated)
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
    AND NOT attisdropped
UNION ALL
SELECT 'speed', s::text, '', '' FROM road_speeds s
UNION ALL
SELECT 'profile', p::text, '', '' FROM road_profiles p
UNION ALL
SELECT 'phase', p::text, '', '' FROM response_phases p
ORDER BY 1, 2, 3, 4
"""


def objects(database: Database) -> list[tuple[object, ...]]:
    with database.owner_engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(OBJECTS))]


def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database.owner_engine.begin() as connection:
        command.check(alembic_config(connection))


def test_a_column_that_no_migration_knows_is_seen(database: Database) -> None:
    with database.owner_engine.connect() as connection, connection.begin() as change:
        connection.execute(text("ALTER TABLE shelters DROP COLUMN department"))
        with pytest.raises(Exception, match="New upgrade operations"):
            command.check(alembic_config(connection))
        change.rollback()


def test_down_to_nothing_and_up_again_gives_the_same(database: Database) -> None:
    before = objects(database)
    assert len(before) > 500
    with database.owner_engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
        left = connection.execute(
            text(
                "SELECT c.relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'S') ORDER BY 1"
            )
        ).scalars()
        assert list(left) == ["alembic_version", "spatial_ref_sys"]
        assert connection.execute(text("SELECT to_regnamespace('riskmap')")).scalar() is None
    assert migrate(database).ready
    assert objects(database) == before


def test_a_database_of_a_newer_riskmap_is_refused_and_left_alone(database: Database) -> None:
    with database.owner_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    before = objects(database)
    with pytest.raises(SetupError) as caught:
        migrate(database)
    assert caught.value.key == "migrate.newer"
    assert "9999_future" in caught.value.text("en") and "9999_future" in caught.value.text("zh")
    assert objects(database) == before
    with database.owner_engine.connect() as connection:
        now = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert now == "9999_future"


def test_a_failure_half_way_leaves_nothing(
    cluster: Cluster, database_factory: Callable[[], str]
) -> None:
    name = database_factory()
    with connect(cluster, name) as session:
        session.execute("CREATE SCHEMA riskmap")  # in the way of the second migration
    database = open_database(cluster, name)
    with pytest.raises(Exception, match="already exists"):
        migrate(database)
    with database.owner_engine.connect() as connection:
        assert schema_state(connection).current is None
        assert connection.execute(text("SELECT to_regclass('public.shelters')")).scalar() is None
    database.dispose()


def test_two_at_once(cluster: Cluster, database_factory: Callable[[], str]) -> None:
    name = database_factory()
    pair = [open_database(cluster, name) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert all(state.ready for state in pool.map(migrate, pair))
    for database in pair:
        database.dispose()


@pytest.fixture
def ordinary(cluster: Cluster, migrated: str) -> Iterator[Callable[..., Database]]:
    """Make a fresh database of an owner who is no superuser, as on a city's own server."""
    made: list[Database] = []

    def make(*, postgis: bool) -> Database:
        with connect(cluster) as session:
            session.execute("CREATE ROLE town LOGIN")
            session.execute("CREATE DATABASE town OWNER town TEMPLATE template0 ENCODING 'UTF8'")
        if postgis:
            with connect(cluster, "town") as session:
                session.execute("CREATE EXTENSION postgis")
        url = cluster.owner_url("town").set(username="town")
        made.append(Database(url, None, Settings()))
        return made[0]

    yield make
    for database in made:
        database.dispose()
    with connect(cluster) as session:
        session.execute("DROP DATABASE IF EXISTS town WITH (FORCE)")
        session.execute("DROP ROLE town")


def refused(database: Database, key: str) -> SetupError:
    with pytest.raises(SetupError) as caught:
        migrate(database)
    assert caught.value.key == key
    with database.owner_engine.connect() as connection:
        assert schema_state(connection).current is None
    return caught.value


def test_no_postgis_and_no_right_to_add_it(ordinary: Callable[..., Database]) -> None:
    error = refused(ordinary(postgis=False), "database.postgis")
    assert "CREATE EXTENSION postgis" in error.text("en")


def test_an_owner_without_rights_learns_what_to_grant_and_then_it_works(
    cluster: Cluster, ordinary: Callable[..., Database]
) -> None:
    database = ordinary(postgis=True)
    error = refused(database, "database.membership")
    grant = "GRANT riskmap_api TO town;"
    assert grant in error.text("en") and grant in error.text("zh")
    with connect(cluster) as session:
        session.execute(grant)
    assert migrate(database).ready
    # An owner who is no superuser owns the SECURITY DEFINER functions: do they still reach?
    with database.write(Actor("test")) as session:
        assert session.execute(text("SELECT current_user")).scalar_one() == "riskmap_api"
        session.execute(
            text("INSERT INTO shelters (code, geom) VALUES ('a', 'SRID=4326;POINT(120.5 36.5)')")
        )
        session.execute(text("DELETE FROM shelters"))
    with database.read() as session:
        counts = "SELECT (SELECT count(*) FROM feed), (SELECT count(*) FROM history)"
        assert session.execute(text(counts)).one() == (2, 1)
    with database.owner_engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")


def test_no_right_to_make_the_role(ordinary: Callable[..., Database]) -> None:
    database = ordinary(postgis=True)
    # One server has one riskmap_api: another name stands for a server without it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("riskmap.db.migrate.API_ROLE", "riskmap_absent")
        error = refused(database, "database.role")
    assert "CREATE ROLE riskmap_absent NOLOGIN" in error.text("en")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alice:s3cret@127.0.0.1:1/city",
        "postgresql://alice@127.0.0.1:1/city?password=s3cret",
        "postgresql://alice:s3cret@127.0.0.1:1/city?no_such_option=1",
        "postgresql://alice:s3cret@nowhere.invalid/city",
    ],
)
def test_a_server_that_is_not_there(url: str) -> None:
    database = Database(url, None, Settings())
    with pytest.raises(SetupError) as caught:
        connect_owner(database.owner_engine)
    assert caught.value.key == "database.connect"
    assert caught.value.parameter == "RISKMAP_DATABASE_URL"
    assert "s3cret" not in str(caught.value)
    assert "alice" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "riskmap", "mysql://alice:s3cret@host/city", "postgresql://alice:s3cret@host:54a2/city"],
)
def test_what_is_no_address_at_all(url: str) -> None:
    with pytest.raises(SetupError) as caught:
        Database(url, None, Settings())
    assert caught.value.key == "database.url"
    assert "s3" not in str(caught.value)


def test_a_wrong_database_name_is_named(cluster: Cluster) -> None:
    database = open_database(cluster, "no_such_city")
    with pytest.raises(SetupError) as caught:
        migrate(database)
    assert caught.value.key == "database.connect" and "no_such_city" in caught.value.text("en")


def test_another_encoding_is_refused(cluster: Cluster) -> None:
    with connect(cluster) as session:
        session.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        database = open_database(cluster, "latin")
        refused(database, "database.encoding")
        database.dispose()
    finally:
        drop(cluster, "latin")
