"""A long answer leaves the process as small as it was: one batch of rows is held, not the answer.

Measured in a process of its own, by the largest memory that the kernel ever saw it have.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from conftest import copy_of, drop, open_database
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

ROWS = 160_000
MOST_MB = 50
DATABASE = "test_long_answers"

# Triggers write feed and history: nothing of that is read here, and it takes half a minute.
LOAD = """
SET session_replication_role = replica;
INSERT INTO population_cells (geom, code, name, population, admin_code, source_system)
SELECT ST_SetSRID(ST_MakePoint(120 + mod(n, 1000) * 0.001, 36 + n / 1000 * 0.001), 4326), 'P' || n,
    '单元 ' || n, mod(n, 500), '370202' || mod(n, 100), 'test'
FROM generate_series(1, %(rows)s) n;
"""

# Prints for each kind how many bytes came and by how many MB the process grew over what it had
# after a short answer of the same kind. Each is a fork of a process that has only imported us.
CHILD = """
import asyncio, os, sys
from pathlib import Path
from riskmap.app import create_app
from riskmap.catalog.registry import load_catalog
from riskmap.features import read
from riskmap.features.query import FeatureQuery
from riskmap.settings import Settings

owner, api, *kinds = sys.argv[1:]

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith(name)) / 1024

async def main(kind):
    app = create_app(Settings(database_url=owner, api_database_url=api))
    database = app.state.context.database

    async def whole(limit):
        layer = load_catalog()["population-cells"]
        query = FeatureQuery(layer=layer, limit=limit)
        return sum([len(one) async for one in read.page(database, query, lambda near: [])])

    async def served(url):
        # Straight into the application: httpx would gather the answer.
        sent, asked = 0, iter([{"type": "http.request", "body": b"", "more_body": False}])
        async def receive():
            for message in asked:
                return message
            await asyncio.Event().wait()  # the reader stays
        async def send(message):
            nonlocal sent
            assert message.get("status", 200) == 200, message
            sent += len(message.get("body", b""))
        path, _, query = url.partition("?")
        headers = [(b"host", b"test")]
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1",
                 "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
                 "query_string": query.encode(), "headers": headers, "root_path": "",
                 "client": ("127.0.0.1", 1), "server": ("test", 80)}
        await app(scope, receive, send)
        return sent

    items = "/collections/population-cells/items"
    runs = {
        "whole": (lambda: whole(10), lambda: whole(None)),
        "page": (lambda: served(items + "?limit=10"), lambda: served(items + "?limit=10000")),
        "geojsonseq": (
            lambda: served(items + "?f=geojsonseq&limit=10"),
            lambda: served(items + "?f=geojsonseq"),
        ),
        "csv": (lambda: served(items + "?f=csv&limit=10"), lambda: served(items + "?f=csv")),
    }
    short, long = runs[kind]
    await short()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    before = memory("VmRSS")
    sent = await long()
    print(kind, sent, memory("VmHWM") - before, flush=True)
    await database.dispose_async()

for kind in kinds:
    child = os.fork()
    if child == 0:
        asyncio.run(main(kind))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, kind
"""
# A row of this layer is longer than so many bytes; a page has 10,000.
LEAST_BYTES = {
    "whole": 400 * ROWS,
    "page": 400 * 10_000,
    "geojsonseq": 400 * ROWS,
    "csv": 60 * ROWS,
}


@pytest.fixture(scope="module")
def measured(cluster: Cluster, migrated: str) -> Iterator[dict[str, tuple[int, float]]]:
    """Bytes and growth in MB of each kind of answer."""
    copy_of(cluster, migrated, DATABASE)
    database = open_database(cluster, DATABASE)
    with database.own(Actor("test")) as session:
        for statement in LOAD.strip().split(";\n"):
            session.connection.exec_driver_sql(statement, {"rows": ROWS})
    database.dispose()
    addresses = [
        url.render_as_string(hide_password=False)
        for url in (cluster.owner_url(DATABASE), cluster.api_url(DATABASE))
    ]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *addresses, *LEAST_BYTES],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    yield {kind: (int(sent), float(grown_mb)) for kind, sent, grown_mb in lines}
    drop(cluster, DATABASE)


@pytest.mark.parametrize("kind", LEAST_BYTES)
def test_a_long_answer_does_not_grow_the_process(
    kind: str, measured: dict[str, tuple[int, float]]
) -> None:
    sent, grown_mb = measured[kind]
    assert sent > LEAST_BYTES[kind]
    assert grown_mb < MOST_MB
