"""What the tests of feed and history share: plain statements on one point layer, and a reader."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import text

from conftest import connect
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database

HALF = 20037508.342789244
CELL = 2 * HALF / 2**14
ACTOR = Actor("key:0123456789ab", "req-1")


def point(code: str, lon: float = 120.5, lat: float = 36.5, table: str = "shelters") -> str:
    return (
        f"INSERT INTO {table} (code, geom)"
        f" VALUES ('{code}', ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326))"
    )


def points(n: int) -> str:
    return (
        "INSERT INTO shelters (code, geom) SELECT 'n' || i,"
        " ST_SetSRID(ST_MakePoint(120 + i * 0.001, 36.5), 4326)"
        f" FROM generate_series(1, {n}) i"
    )


def act(database: Database, *statements: str) -> None:
    """Run statements in one transaction of the API's role."""
    with database.write(ACTOR) as session:
        for statement in statements:
            session.execute(text(statement))


@contextmanager
def psql(cluster: Cluster, database: Database, **values: Any) -> Iterator[psycopg.Connection]:
    """Connect as somebody with psql does: the owner, no actor, every statement committed."""
    with connect(cluster, str(database.owner_url.database)) as session:
        yield session


def rows(database: Database, statement: str) -> list[Any]:
    with database.read() as session:
        return list(session.execute(text(statement)).all())


def feed(database: Database, after: int = 0) -> list[Any]:
    return rows(database, f"SELECT * FROM feed WHERE revision > {after} ORDER BY revision")


def cell(lon: float, lat: float) -> int:
    """The zoom-14 tile of a position, by the textbook's arithmetic."""
    x = math.floor((lon + 180) / 360 * 2**14)
    phi = math.radians(lat)
    y = math.floor((1 - math.asinh(math.tan(phi)) / math.pi) / 2 * 2**14)
    return x << 14 | y
