"""A served city for tests: a database with rows in every layer, keys of every role, a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import insert, text
from starlette.testclient import TestClient

from conftest import TEST_CITY, copy_of, drop, open_database
from riskmap.access.keys import KeyRole
from riskmap.access.store import create_key, revoke_key
from riskmap.app import create_app
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Field, Geometry, Kind, Layer
from riskmap.db.base import METADATA
from riskmap.db.city import write_city
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database
from riskmap.demo.load import layers_folder, load_demo, read_files
from riskmap.roads.graphs import Graphs
from riskmap.settings import Settings

CATALOG = load_catalog()
# What stands in restricted fields, and nowhere else: no answer without a key may hold it.
SECRET = "保密"
SECRET_NUMBER = 987654.25
_numbers = count(1)


@dataclass
class Served:
    database: Database
    settings: Settings
    app: FastAPI
    client: TestClient
    keys: dict[str, str]

    def get(self, path: str, role: str | None = None, **params: Any) -> Any:
        return self.client.get(path, params=params or None, headers=self.headers(role))

    def headers(self, role: str | None) -> dict[str, str]:
        return {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}

    def put(self, layer: str, *rows: dict[str, Any]) -> None:
        put(self.database, layer, *rows)
        self.settle()

    def forget(self) -> None:
        """Let the service forget its tiles: a test has changed what they are made by."""
        context = self.app.state.context
        context.tiles.cache.clear()
        context.known_tiles.clear()

    def settle(self) -> None:
        """Wait until the service knows all that is committed: it may take it a second."""
        with self.database.read() as session:
            last = session.execute(text("SELECT coalesce(max(revision), 0) FROM feed")).scalar_one()
        eventually(lambda: self.app.state.context.feed.position >= last)

    def items(self, layer: str, role: str | None = None, **params: Any) -> list[dict[str, Any]]:
        answer = self.get(f"/collections/{layer}/items", role, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()["features"]


def put(database: Database, layer: str, *rows: dict[str, Any]) -> None:
    table = METADATA.tables[CATALOG[layer].table]
    with database.write(Actor("test")) as session:
        for row in rows:  # one by one: they need not have the same columns
            geom = row["geom"]
            session.execute(insert(table).values({**row, "geom": f"SRID=4326;{geom}"}))


def shape(kind: Geometry, x: float, y: float, turn: int = 0) -> str:
    point = f"POINT({x} {y})"
    line = f"MULTILINESTRING(({x} {y},{x + 0.004} {y + 0.004}))"
    area = (
        f"MULTIPOLYGON((({x} {y},{x + 0.004} {y},{x + 0.004} {y + 0.004},{x} {y + 0.004},{x} {y})))"
    )
    match kind:
        case Geometry.POINT:
            return point
        case Geometry.LINE:
            return line
        case Geometry.POLYGON:
            return area
        case _:
            return (point, line, area)[turn % 3]


def value(field: Field, turn: int) -> Any:
    """Return something for a field; what is restricted can be told from all else."""
    if field.kind is Kind.JSON:
        return {"note": f"{SECRET}-{field.name}"}
    if field.values and field.kind is not Kind.TEXTS:
        return field.values[turn % len(field.values)].code
    match field.kind:
        case Kind.INTEGER:
            return int(SECRET_NUMBER) if field.restricted else 1 + turn
        case Kind.NUMBER:
            return SECRET_NUMBER if field.restricted else 1.5 + turn
        case Kind.BOOLEAN:
            return turn % 2 == 0
        case Kind.DATE:
            return "2024-02-29"
        case Kind.DATETIME:
            return "2024-02-29T08:00:00+08:00"
        case Kind.TEXTS:
            return [value.code for value in field.values[turn % 2 : turn % 2 + 2]] or ["甲", "乙"]
        case _:
            return f"{SECRET}-{field.name}" if field.restricted else f"{field.name} {turn}"


def row_of(layer: Layer, turn: int) -> dict[str, Any]:
    given = {
        field.name: value(field, turn)
        for field in layer.fields
        if field.name not in {"version", "created_at", "updated_at", "source_system"}
    }
    if layer.assessed:
        given["risk_level"] = (1, 2, 3, 4, None)[turn % 5]
    for child in layer.children:
        given[child.name] = [{field.name: value(field, turn) for field in child.fields}]
    given["geom"] = shape(layer.geometry, 120.3 + 0.01 * (turn % 20), 36.3 + 0.01 * turn, turn)
    return given


def fill(database: Database, rows: int = 7) -> None:
    for layer in CATALOG.values():
        put(database, layer.id, *(row_of(layer, turn) for turn in range(rows)))


@contextmanager
def serving(
    cluster: Cluster, template: str, *, city: bool = True, rows: int = 0
) -> Iterator[Served]:
    """Serve a copy of the migrated database."""
    name = f"test_api_{next(_numbers)}"
    copy_of(cluster, template, name)
    database = open_database(cluster, name)
    settings = Settings(
        database_url=cluster.owner_url(name).render_as_string(hide_password=False),
        api_database_url=cluster.api_url(name).render_as_string(hide_password=False),
        data_dir=cluster.folder.parent / "graphs",
    )
    try:
        with database.own(Actor("test")) as session:
            if city:
                write_city(session, TEST_CITY)
        if rows:
            fill(database, rows)
        app = create_app(settings)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield Served(database, settings, app, client, make_keys(database))
    finally:
        database.dispose()
        drop(cluster, name)


@contextmanager
def serving_the_demo(cluster: Cluster, template: str) -> Iterator[Served]:
    """Serve the demo city, as it is committed."""
    with serving(cluster, template, city=False) as served:
        load_demo(
            served.database,
            CATALOG,
            Graphs(served.settings.data_dir, served.database),
            read_files(layers_folder()),
            actor=Actor("test"),
            progress=lambda _: None,
        )
        yield served


def make_keys(database: Database) -> dict[str, str]:
    with database.own(Actor("test")) as session:
        made = {role.value: create_key(session, name=role, role=role) for role in KeyRole}
        made["revoked"] = create_key(session, name="revoked", role=KeyRole.ADMIN)
        revoke_key(session, made["revoked"].prefix)
        made["expired"] = create_key(
            session,
            name="expired",
            role=KeyRole.ADMIN,
            expires_at=datetime.now(UTC) - timedelta(seconds=1),
        )
    keys = {name: key.token for name, key in made.items()}
    # The right prefix and shape, and another secret.
    keys["wrong"] = keys["admin"][:-1] + ("A" if keys["admin"][-1] != "A" else "E")
    return keys


@contextmanager
def listening(app: FastAPI) -> Iterator[int]:
    """Run a real uvicorn in a thread; yields its port. The app is of this loop alone."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        # A service left behind would ask a database that is gone, until the last test ends.
        assert not thread.is_alive(), "the service does not stop"


def eventually(true: Any, tries: int = 1500) -> None:
    """Wait until something holds; the bound only ends a test that would never end."""
    for _ in range(tries):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came true")


def settled(ask: Callable[[], Any]) -> Any:
    """Ask until the answer is made of the newest network: an edit of roads is built aside."""
    answers: list[Any] = []

    def newest() -> bool:
        answers.append(ask())
        return not answers[-1].json()["network_pending"]

    eventually(newest)
    return answers[-1]


def streaming(database: Database) -> list[int]:
    """Return the server processes that feed a stream: their last word was about its cursor.

    The service's own threads ask now and then too, and are none of these.
    """
    with database.own(Actor("test")) as session:
        return list(
            session.execute(
                text(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND usename = 'riskmap_api' AND state <> 'idle'"
                    " AND query ~* '^(declare|fetch)'"
                )
            ).scalars()
        )


def backends(database: Database) -> list[int]:
    """Return the server processes of the API's role, busy with a request."""
    with database.own(Actor("test")) as session:
        return list(
            session.execute(
                text(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND usename = 'riskmap_api' AND state <> 'idle'"
                )
            ).scalars()
        )
