"""What every test shares: a private PostgreSQL of its own, and empty databases in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from riskmap.db.cluster import Cluster
from riskmap.settings import Settings


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
