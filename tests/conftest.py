"""What every test shares: a private PostgreSQL of its own, and empty databases in it."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from riskmap.db.city import City, write_city
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor, Database
from riskmap.ingest import process
from riskmap.settings import Settings
from riskmap.units import Bbox
from zygote import Forked, Zygote

# A shell that starts the tests in the background has them ignore these, and their children, too.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without collecting garbage, and leave them out of it from then on.

    Eight thousand tests and their modules stay to the end: to look at them again and again while
    there come more took 6 of the 18 s.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def connect(cluster: Cluster, database: str = "postgres") -> psycopg.Connection:
    """Open a session of the owner that commits every statement."""
    address = cluster.owner_url(database).set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The run's cluster (under xdist: each worker's), made by the code that the service runs."""
    # Not pytest's own temporary folder: it is closed to the account that root's clusters run as.
    with tempfile.TemporaryDirectory(prefix="riskmap-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = Cluster.locate(Settings(data_dir=folder / "data"))
        with cluster.running():
            with connect(cluster) as session:
                # A test's data need not survive the machine.
                session.execute("ALTER SYSTEM SET fsync = off")
                session.execute("ALTER SYSTEM SET synchronous_commit = off")
                session.execute("SELECT pg_reload_conf()")
            yield cluster


@pytest.fixture
def database_factory(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Make empty databases, the API's role beside them; they are dropped after the test."""
    numbers = count(1)
    made: list[str] = []

    def make() -> str:
        name = f"test_{next(numbers)}"
        cluster.ensure_database(name)
        made.append(name)
        return name

    yield make
    with connect(cluster) as session:
        for name in made:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated(cluster: Cluster) -> str:
    """The name of a database at head: tests copy it as a template, which takes milliseconds."""
    name = "test_template"
    cluster.ensure_database(name)
    database = open_database(cluster, name)
    migrate(database)
    database.dispose()
    return name


def open_database(cluster: Cluster, name: str) -> Database:
    """Open a database of the cluster as the service does."""
    settings = Settings(
        database_url=cluster.owner_url(name).render_as_string(hide_password=False),
        api_database_url=cluster.api_url(name).render_as_string(hide_password=False),
        data_dir=cluster.folder.parent / "graphs",
    )
    return Database(cluster.owner_url(name), cluster.api_url(name), settings)


def copy_of(cluster: Cluster, template: str, name: str) -> None:
    """Make a database as a copy of another to which nobody is connected.

    File by file, which asks for a checkpoint: without fsync that costs little, and the other way,
    by way of the log, takes 0.2 s and not 0.06.
    """
    with connect(cluster) as session:
        session.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def drop(cluster: Cluster, name: str) -> None:
    """Drop a database, whoever is connected."""
    with connect(cluster) as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


_numbers = count(1)


@pytest.fixture
def database(cluster: Cluster, migrated: str) -> Iterator[Database]:
    """A database at head with a city, of one test alone: feed and history need real commits."""
    name = f"test_copy_{next(_numbers)}"
    copy_of(cluster, migrated, name)
    database = open_database(cluster, name)
    yield database
    database.dispose()
    drop(cluster, name)


# The box of the synthetic city of the tests: a degree around Qingdao.
TEST_CITY = City("测试市", "Testville", Bbox(120.0, 36.0, 121.0, 37.0), 4549, "Asia/Shanghai")


@pytest.fixture
def city(database: Database) -> City:
    """The city of the test's database."""
    with database.own(Actor("test")) as session:
        write_city(session, TEST_CITY)
    return TEST_CITY


class Reader(Forked):
    """The process that reads a foreign file, forked."""

    zygote = staticmethod(cache(lambda: Zygote("reader_zygote.py")))


class _Subprocess:
    """The module, with another Popen."""

    Popen = Reader

    def __getattr__(self, name: str) -> object:
        return getattr(subprocess, name)


@pytest.fixture(scope="module", autouse=True)
def forked_readers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fork the process that reads a file where many files are imported.

    The reader's own tests (unit) start it as it is started, and so does every service and command.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name in ("analysis", "api", "db"):
            patch.setattr(process, "subprocess", _Subprocess())
        yield


def shared_data(*parts: str) -> Path:
    """Return a file of the real data, or skip by name; in CI a missing file is a failure."""
    root = Path(os.environ.get("RISKMAP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    file = root.joinpath(*parts)
    if not file.exists():
        if os.environ.get("CI"):
            pytest.fail(f"real data missing in CI: {'/'.join(parts)}")
        pytest.skip(f"real data not here: {'/'.join(parts)}")
    return file
