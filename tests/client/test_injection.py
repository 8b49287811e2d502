"""No text of a request becomes text of a statement, and none brings the service down.

`make test` sends every payload and every place a share of them, `make prove-features` every
payload to every place.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
import pytest
from injections import MARK, Attack, attacks, payloads, places

from api_help import fill, make_keys
from conftest import TEST_CITY, connect, open_database
from riskmap.app import create_app
from riskmap.db.city import write_city
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor
from riskmap.settings import Settings

DATABASE = "injected"
AT_ONCE = 6
SHARE = 40
# An unknown layer is not found, wherever it is named.
NOT_FOUND = {"/imports layer"}
# What the server is to keep of every statement it is given: its text, none of its values, and no
# message of an error, which may well quote a value.
WATCHED = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "pg_stat_statements.max": "20000",
    "log_statement": "all",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_messages": "log",
    "fsync": "off",
}


@dataclass
class Watched:
    cluster: Cluster
    settings: Settings
    keys: dict[str, str]

    def statements(self) -> list[str]:
        """Return the texts of all statements, those within functions too."""
        with connect(self.cluster, DATABASE) as session:
            rows = session.execute("SELECT query FROM pg_stat_statements").fetchall()
        return [query for (query,) in rows]

    def log(self) -> str:
        """Return what clients sent, constants and all."""
        files = sorted((self.cluster.data / "log").glob("postgresql-*.log"))
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A service whose server notes down every statement."""
    with tempfile.TemporaryDirectory(prefix="riskmap-injection-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = Cluster.locate(Settings(data_dir=folder / "data"))
        with cluster.running():
            pass
        # Not by ALTER SYSTEM: the library's settings are unknown until it is loaded.
        with (cluster.data / "postgresql.auto.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{setting} = '{value}'\n" for setting, value in WATCHED.items())
        with cluster.running():  # the library is loaded at the start alone
            cluster.ensure_database(DATABASE)
            database = open_database(cluster, DATABASE)
            migrate(database)
            with database.own(Actor("test")) as own:
                write_city(own, TEST_CITY)
            fill(database)
            keys = make_keys(database)
            database.dispose()
            with connect(cluster, DATABASE) as session:
                session.execute("CREATE EXTENSION pg_stat_statements")
            settings = Settings(
                database_url=cluster.owner_url(DATABASE).render_as_string(hide_password=False),
                api_database_url=cluster.api_url(DATABASE).render_as_string(hide_password=False),
                data_dir=folder / "graphs",
            )
            yield Watched(cluster, settings, keys)


@asynccontextmanager
async def client(watched: Watched) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(watched.settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as found:
        yield found
    await app.state.context.database.dispose_async()


def fault(attack: Attack, answer: httpx.Response) -> str | None:
    """Say what is wrong with an answer."""
    problem = answer.headers.get("content-type", "").startswith("application/problem+json")
    if answer.status_code >= 500 or (answer.status_code >= 400 and not problem):
        return f"{answer.status_code} {attack.place}: {attack.url[:300]} {attack.body!r:.300}"
    return None


async def send(watched: Watched, share: int) -> tuple[list[str], dict[str, set[int]]]:
    """Send the attacks; return the faults, and which statuses each place answered."""
    faults: list[str] = []
    seen: dict[str, set[int]] = {}
    key = {"Authorization": f"Bearer {watched.keys['admin']}"}

    async with client(watched) as http:

        async def one(attack: Attack) -> None:
            headers = key | attack.headers if "X-API-Key" not in attack.headers else attack.headers
            answer = await http.request(
                attack.method, attack.url, headers=headers, content=attack.body
            )
            seen.setdefault(attack.place, set()).add(answer.status_code)
            if wrong := fault(attack, answer):
                faults.append(wrong)

        waiting = attacks(share=share)
        while some := list(islice(waiting, AT_ONCE)):
            await asyncio.gather(*map(one, some))
    return faults, seen


def check(watched: Watched, share: int) -> None:
    with connect(watched.cluster, DATABASE) as session:
        before = session.execute("SELECT count(*) FROM api_keys").fetchone()
    faults, seen = asyncio.run(send(watched, share))
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:20])
    # Where nothing but 404 comes back the payloads met a route that is not there.
    reached = {place for place, statuses in seen.items() if statuses - {404, 405}}
    unreached = {place for place in seen if "{}" not in place} - reached - NOT_FOUND
    assert not unreached
    with connect(watched.cluster, DATABASE) as session:
        assert session.execute("SELECT count(*) FROM api_keys").fetchone() == before
    leaked = [text for text in watched.statements() if MARK in text.lower()]
    assert not leaked, leaked[0]
    lines = [line for line in watched.log().splitlines() if MARK in line.lower()]
    assert not lines, lines[0]


def test_there_are_enough_payloads() -> None:
    hostile = payloads()
    assert len(set(hostile)) == len(hostile) >= 500
    assert all(MARK in text for text in hostile)
    sent = "".join(
        f"{attack.url}{attack.headers}{attack.body!r}" for attack in attacks(share=SHARE)
    )
    assert sent.count(MARK) > 1500
    assert len(list(places())) > 80


def test_a_share_of_the_payloads_in_every_place(watched: Watched) -> None:
    check(watched, SHARE)


@pytest.mark.prove
def test_every_payload_in_every_place(watched: Watched) -> None:
    check(watched, 1)


def test_a_value_put_into_a_statement_would_be_seen(watched: Watched) -> None:
    """What `check` looks for is there to be found: as a name, in DECLARE, and as a constant."""
    with connect(watched.cluster, DATABASE) as session:
        session.execute('SELECT 1 AS "leaked_name"')
        with session.transaction():
            session.execute("DECLARE c CURSOR FOR SELECT 'leaked_in_declare'")
        session.execute("SELECT 'leaked_constant'")
    texts = " ".join(watched.statements())
    assert "leaked_name" in texts
    assert "leaked_in_declare" in texts
    assert "leaked_constant" in watched.log()
