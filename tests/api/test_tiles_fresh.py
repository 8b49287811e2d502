"""Tiles are never old: two workers on one database, edits by the API and by psql."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import brotli
import httpx
import mapbox_vector_tile
import psycopg
import pytest
import zstandard
from sqlalchemy import event

from api_help import Served, eventually, listening, put, serving
from conftest import connect
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.db.feed import IDENTITY
from riskmap.errors import UnavailableError
from riskmap.tiles import service
from riskmap.tiles.cache import Entry

LON, LAT, Z = 120.5, 36.5, 14
POINT = f"POINT({LON} {LAT})"
# What the bound promises; a test waits for the news itself and uses this only as an end.
BOUND_S = 1.0


def place(lon: float = LON, lat: float = LAT, z: int = Z) -> tuple[int, int]:
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


def path(layers: str = "shelters", lon: float = LON, lat: float = LAT, z: int = Z) -> str:
    x, y = place(lon, lat, z)
    return f"/tiles/{layers}/{z}/{x}/{y}.mvt"


PATH = path()


@dataclass
class Worker:
    """One process's worth of the service, on a port of its own."""

    client: httpx.Client
    app: Any

    @property
    def tiles(self) -> service.TileService:
        return self.app.state.context.tiles

    @property
    def feed(self) -> Any:
        return self.app.state.context.feed

    def get(self, at: str = PATH, **headers: str) -> httpx.Response:
        return self.client.get(at, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def names(self, at: str = PATH, layer: str = "shelters") -> list[str]:
        answer = self.get(at)
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, answer.text
        found = mapbox_vector_tile.decode(answer.content).get(layer, {"features": []})
        return sorted(one["properties"]["name"] for one in found["features"])

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Write down the SQL of requests (the feed's own connection is none of them)."""
        database = self.app.state.context.database
        found: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            found.append(statement)

        engines = (database.async_engine.sync_engine, database.engine)
        for engine in engines:
            event.listen(engine, "before_cursor_execute", note)
        try:
            yield found
        finally:
            for engine in engines:
                event.remove(engine, "before_cursor_execute", note)


@dataclass
class Pair:
    served: Served
    workers: list[Worker]
    cluster: Cluster

    def psql(self, *statements: str) -> None:
        with connect(self.cluster, self.name) as session:
            for one in statements:
                session.execute(one)

    @property
    def name(self) -> str:
        return str(self.served.database.owner_url.database)

    def settle(self) -> None:
        """Wait until both workers know all that is committed."""
        with connect(self.cluster, self.name) as session:
            last = session.execute("SELECT coalesce(max(revision), 0) FROM feed").fetchone()
        assert last is not None
        eventually(lambda: all(one.feed.position >= last[0] for one in self.workers))


@pytest.fixture(scope="module")
def standing(cluster: Cluster, migrated: str) -> Iterator[Pair]:
    with serving(cluster, migrated) as served, ExitStack() as stack:
        workers = []
        for _ in range(2):
            app = create_app(served.settings)
            port = stack.enter_context(listening(app))
            client = stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            )
            workers.append(Worker(client, app))
        yield Pair(served, workers, cluster)


@pytest.fixture
def pair(standing: Pair) -> Pair:
    """Two workers that have rendered nothing yet, and one shelter."""
    standing.psql("DELETE FROM shelters", "DELETE FROM enterprises")
    put(standing.served.database, "shelters", {"code": "a", "name": "甲", "geom": POINT})
    standing.settle()
    eventually(lambda: all(one.feed.fresh for one in standing.workers))
    # What was hot in the test before is rendered ahead even now.
    stoves = [one.tiles._stove for one in standing.workers]
    eventually(lambda: all(one is None or one.done() for one in stoves))
    for worker in standing.workers:
        worker.tiles.cache.clear()
        worker.tiles.tallies.clear()
        worker.app.state.context.known_tiles.clear()
    return standing


EDITS = {
    "moved within": "UPDATE shelters SET name = '乙' WHERE code = 'a'",
    "moved away": "UPDATE shelters SET geom = 'SRID=4326;POINT(120.9 36.9)' WHERE code = 'a'",
    "deleted": "DELETE FROM shelters",
    "truncated": "TRUNCATE shelters",
    "another": "INSERT INTO shelters (code, name, geom)"
    f" VALUES ('b', '丙', 'SRID=4326;POINT({LON} {LAT})')",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_by_psql_is_in_the_next_tile_of_both(pair: Pair, edit: str) -> None:
    tags = []
    for worker in pair.workers:
        assert worker.names() == ["甲"]
        tags.append(worker.get().headers["etag"])
    pair.psql(EDITS[edit])
    pair.settle()
    for worker, tag in zip(pair.workers, reversed(tags), strict=True):
        assert worker.get(if_none_match=tag).status_code in (200, 204)
        expected = {"moved within": ["乙"], "another": ["丙", "甲"]}.get(edit, [])
        assert worker.names() == expected


def test_an_edit_by_the_api_is_in_the_next_tile_of_both(pair: Pair) -> None:
    first, second = pair.workers
    assert [one.names() for one in pair.workers] == [["甲"], ["甲"]]
    [item] = first.client.get("/collections/shelters/items").json()["features"]
    at = f"/collections/shelters/items/{item['id']}"
    tag = first.client.get(at).headers["etag"]
    answer = second.client.patch(
        at,
        json={"properties": {"name": "新名"}},
        headers={
            **pair.served.headers("editor"),
            "If-Match": tag,
            "Content-Type": "application/merge-patch+json",
        },
    )
    assert answer.status_code in (200, 204), answer.text
    pair.settle()
    assert [one.names() for one in pair.workers] == [["新名"], ["新名"]]


def test_news_take_less_than_the_bound(pair: Pair) -> None:
    """By a clock, with room: NOTIFY takes milliseconds, asking without it a quarter of a second."""
    for n in range(5):
        pair.psql(f"UPDATE shelters SET name = 'n{n}'")
        end = time.monotonic() + 10 * BOUND_S
        while any(one.names() != [f"n{n}"] for one in pair.workers):
            assert time.monotonic() < end


def test_a_known_tile_takes_no_sql_and_neither_does_its_304(pair: Pair) -> None:
    worker = pair.workers[0]
    whole = worker.get(accept_encoding="identity")
    with worker.statements() as found:
        again = worker.get(accept_encoding="identity")
        assert again.content == whole.content and again.headers["etag"] == whole.headers["etag"]
        known = worker.get(if_none_match=whole.headers["etag"])
        assert known.status_code == 304 and known.content == b""
        assert known.headers["etag"] == whole.headers["etag"]
        # Elsewhere, and another layer: neither touches this tile.
        put(
            pair.served.database,
            "shelters",
            {"code": "far", "name": "远", "geom": "POINT(120.8 36.8)"},
        )
        put(
            pair.served.database,
            "enterprises",
            {"code": "e", "name": "企", "geom": f"POINT({LON} {LAT})"},
        )
        pair.settle()
        assert worker.get(if_none_match=whole.headers["etag"]).status_code == 304
        assert worker.get(accept_encoding="identity").headers["etag"] == whole.headers["etag"]
    assert [one for one in found if "feed" not in one and "INSERT" not in one] == []


def test_a_known_tile_in_gcj02_takes_no_sql_either(pair: Pair) -> None:
    worker, at = pair.workers[0], f"{PATH}?datum=gcj02"
    tag = worker.get(at).headers["etag"]
    with worker.statements() as found:
        assert worker.get(at).headers["etag"] == tag
        assert worker.get(at, if_none_match=tag).status_code == 304
    assert [one for one in found if "feed" not in one] == []
    with _away(pair):
        eventually(lambda: not worker.feed.fresh)
        assert worker.get(at).headers["warning"].startswith("111 ")
    eventually(lambda: worker.feed.fresh)


def test_a_tag_outlives_the_tile_and_the_process(pair: Pair) -> None:
    """The other worker has never rendered it; a third one starts when all of it is past."""
    first, second = pair.workers
    tag = first.get().headers["etag"]
    first.tiles.cache.clear()
    with first.statements() as found, second.statements() as others:
        assert first.get(if_none_match=tag).status_code == 304
    assert found == []
    second.get(path(lon=120.7))  # so that the address is no longer new to it
    assert second.get(if_none_match=tag).status_code == 304
    assert not [one for one in others if "ST_AsMVT" in one]
    app = create_app(pair.served.settings)
    with listening(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        third = Worker(client, app)
        eventually(lambda: third.feed.fresh)
        assert third.get(if_none_match=tag).status_code == 304
        pair.psql("UPDATE shelters SET name = '丁'")
        eventually(lambda: third.feed.position >= pair.workers[0].feed.position)
        pair.settle()
        eventually(lambda: third.get(if_none_match=tag).status_code == 200)


def test_tags_are_of_one_question(pair: Pair) -> None:
    """What another filter, place, role or coding was told confirms nothing."""
    worker = pair.workers[0]
    tag = worker.get().headers["etag"]
    assert worker.get(path(z=13), if_none_match=tag).status_code == 200
    assert worker.get(f"{PATH}?code=a", if_none_match=tag).status_code == 200
    key = pair.served.headers("reader")
    assert worker.get(if_none_match=tag, **key).status_code == 200
    for other in ('"x"', "*", '""', '"1-2-3-4"', tag.replace('"', '"f'), "W/"):
        assert worker.get(if_none_match=other).status_code == 200
    assert worker.get(if_none_match=f'"x", W/{tag}').status_code == 304


def test_what_commits_while_a_tile_is_rendered_is_in_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot is taken, the tile is made, and only then comes the edit: it is made again."""
    worker = pair.workers[0]
    made = 0
    real = service.render

    async def slow(*given: Any, **options: Any) -> Any:
        nonlocal made
        drawn = await real(*given, **options)
        made += 1
        if made == 1:
            await asyncio.to_thread(pair.psql, "UPDATE shelters SET name = '后来'")
            await asyncio.to_thread(pair.settle)
        return drawn

    monkeypatch.setattr(service, "render", slow)
    assert worker.names() == ["后来"] and made == 2
    assert worker.names() == ["后来"] and made == 2  # and that one is kept


def test_a_tile_that_is_edited_without_end_is_served_and_not_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = pair.workers[0]
    made = 0
    real = service.render

    async def slow(*given: Any, **options: Any) -> Any:
        nonlocal made
        drawn = await real(*given, **options)
        made += 1
        await asyncio.to_thread(pair.psql, f"UPDATE shelters SET name = 'n{made}'")
        await asyncio.to_thread(pair.settle)
        return drawn

    monkeypatch.setattr(service, "render", slow)
    monkeypatch.setattr(service, "FRESH_S", 60.0)
    answer = worker.get()
    assert answer.status_code == 200 and made == 3 and "warning" not in answer.headers
    assert len(worker.tiles.cache) == 0
    # Made so slowly that it may lack what was committed before the bound.
    monkeypatch.setattr(service, "FRESH_S", 0.0)
    for _ in range(2):  # by the application, and before it
        made = 0
        late = worker.get()
        assert late.status_code == 200 and late.headers["warning"].startswith("111 ")
        assert made == 3 and "etag" not in late.headers
    monkeypatch.undo()
    assert worker.get(if_none_match=answer.headers["etag"]).status_code == 200
    assert worker.names() == ["n3"]


def test_a_tile_that_fails_is_tried_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its address is known, so that it is tried before the application."""
    worker = pair.workers[0]
    tried = 0

    async def fails(*given: Any, **options: Any) -> Any:
        nonlocal tried
        tried += 1
        raise UnavailableError("database.timeout")

    worker.get()
    worker.tiles.cache.clear()
    monkeypatch.setattr(service, "render", fails)
    answer = worker.get()
    assert answer.status_code == 503 and tried == 1
    assert answer.json()["type"].endswith("database.timeout")
    monkeypatch.undo()
    assert worker.names() == ["甲"]


def test_what_is_rendered_ahead_hangs_nobody(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = pair.workers[0]
    hung = 0

    async def hangs(*given: Any, **options: Any) -> Any:
        nonlocal hung
        hung += 1
        await asyncio.sleep(3600)

    for _ in range(4):
        worker.get()
    monkeypatch.setattr(service, "_RENDER_S", 0.3)
    monkeypatch.setattr(service, "render", hangs)
    pair.psql("UPDATE shelters SET name = '热'")
    eventually(lambda: hung)
    eventually(lambda: not worker.tiles._flights)
    monkeypatch.undo()
    assert worker.names() == ["热"]


def test_those_who_ask_together_wait_for_one_render(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = pair.workers[0]
    worker.tiles.cache.clear()
    before = worker.tiles.renders
    gate = asyncio.Event()
    waiting: list[Any] = []
    real = service.render

    async def gated(*given: Any, **options: Any) -> Any:
        waiting.append(asyncio.get_running_loop())
        await gate.wait()
        return await real(*given, **options)

    monkeypatch.setattr(service, "render", gated)
    found: list[httpx.Response] = []
    url = str(worker.client.base_url) + PATH
    threads = [
        threading.Thread(target=lambda: found.append(httpx.get(url, timeout=30))) for _ in range(12)
    ]
    for one in threads:
        one.start()
    flights = worker.tiles._flights
    eventually(lambda: [one.waiting for one in flights.values()] == [12] and waiting)
    waiting[0].call_soon_threadsafe(gate.set)
    for one in threads:
        one.join()
    assert len(waiting) == 1 and worker.tiles.renders == before + 1
    assert {one.content for one in found} == {found[0].content} and len(found) == 12


def _asks(url: httpx.URL, at: str) -> socket.socket:
    asking = socket.create_connection((url.host, url.port or 80))
    asking.sendall(f"GET {at} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return asking


def test_who_leaves_last_stops_it_in_the_database(pair: Pair) -> None:
    worker = pair.workers[0]
    worker.tiles.cache.clear()

    def blocked() -> int:
        with connect(pair.cluster, pair.name) as look:
            found = look.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = 'riskmap_api' AND wait_event_type = 'Lock'"
            ).fetchone()
        return int(found[0]) if found else 0

    with connect(pair.cluster, pair.name) as session, session.transaction():
        session.execute("LOCK TABLE shelters IN ACCESS EXCLUSIVE MODE")
        asking = [_asks(worker.client.base_url, PATH) for _ in range(2)]
        eventually(lambda: blocked() == 1)
        eventually(lambda: [one.waiting for one in worker.tiles._flights.values()] == [2])
        asking[0].close()
        eventually(lambda: [one.waiting for one in worker.tiles._flights.values()] == [1])
        assert blocked() == 1  # the other one still waits for it
        asking[1].close()
        eventually(lambda: blocked() == 0)
    assert worker.names() == ["甲"]


@contextmanager
def _away(pair: Pair) -> Iterator[None]:
    """Let nobody of the API's role into the database, nor stay in it."""
    name = pair.name
    with connect(pair.cluster) as session:

        def allow(yes: bool) -> None:
            session.execute(
                f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"true" if yes else "false"}'
            )

        allow(False)
        try:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
        finally:
            allow(True)


def test_while_the_database_is_away_old_tiles_say_that_they_may_be_old(pair: Pair) -> None:
    worker = pair.workers[0]
    fresh = worker.get()
    with _away(pair):
        eventually(lambda: not worker.feed.fresh)
        answer = worker.get()
        assert answer.status_code == 200 and answer.content == fresh.content
        assert answer.headers["warning"].startswith("111 ")
        assert "etag" not in answer.headers
        # None is confirmed, and what is not at hand is not there.
        assert worker.get(if_none_match=fresh.headers["etag"]).status_code == 200
        assert worker.get(path(lon=120.7)).status_code == 503
        # Nobody can tell whether a key still holds.
        key = pair.served.headers("reader")
        assert worker.get(**key).status_code == 503
        assert worker.client.get("/readyz").status_code == 503
        assert 'how="stale"' in worker.client.get("/metrics").text
    eventually(lambda: worker.feed.fresh)
    answer = worker.get(if_none_match=fresh.headers["etag"])
    assert answer.status_code == 304 and "warning" not in answer.headers
    assert worker.client.get("/readyz").json()["feed"]["fresh"] is True


def test_what_was_missed_while_the_connection_was_lost_is_made_up_for(pair: Pair) -> None:
    tags = [worker.get().headers["etag"] for worker in pair.workers]
    for n in range(3):
        pair.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'riskmap_api'",
            f"UPDATE shelters SET name = '断{n}'",
        )
        pair.settle()
        for worker, tag in zip(pair.workers, tags, strict=True):
            eventually(lambda worker=worker: worker.feed.fresh)
            assert worker.get(if_none_match=tag).status_code == 200
            assert worker.names() == [f"断{n}"]


def test_a_revoked_key_stops_without_sql_a_request(pair: Pair) -> None:
    worker = pair.workers[0]
    key = pair.served.headers("analyst")
    assert worker.get(**key).status_code == 200
    with worker.statements() as found:
        for _ in range(3):
            assert worker.get(**key).status_code == 200
            assert worker.client.get("/me", headers=key).json()["role"] == "analyst"
    assert found == []
    pair.psql("UPDATE api_keys SET revoked_at = now() WHERE name = 'analyst'")
    pair.settle()
    assert worker.get(**key).status_code == 401
    assert worker.client.get("/me", headers=key).status_code == 401


def test_what_many_ask_for_is_ready_before_the_next_one_asks(pair: Pair) -> None:
    worker = pair.workers[0]
    for _ in range(4):
        worker.get()
    # What was hot in another test may be rendered ahead even now.
    [entry] = [one for one in worker.tiles.cache.entries() if one.wanted >= 4]
    pair.psql("UPDATE shelters SET name = '热'")

    def reheated() -> list[Entry]:
        return [one for one in worker.tiles.cache.entries() if one.revision > entry.revision]

    eventually(reheated)
    with worker.statements() as found:
        assert worker.names() == ["热"]
    assert found == []


def crowd(pair: Pair, *, repeat: int = 1) -> None:
    """Put twenty more shelters into the tile: it is then worth packing."""
    put(
        pair.served.database,
        "shelters",
        *(
            {"code": f"c{n}", "name": f"名{n}" * repeat, "geom": f"POINT({LON + n / 1e4} {LAT})"}
            for n in range(20)
        ),
    )
    pair.settle()


def test_a_tile_is_packed_once_for_each_coding(pair: Pair) -> None:
    crowd(pair)
    worker = pair.workers[0]
    plain = worker.get(accept_encoding="identity")
    unpack = {
        "gzip": gzip.decompress,
        "br": brotli.decompress,
        "zstd": lambda raw: zstandard.ZstdDecompressor().decompress(raw),
    }
    tags = {plain.headers["etag"]}
    for coding, undo in unpack.items():
        for _ in range(2):
            with worker.client.stream("GET", PATH, headers={"Accept-Encoding": coding}) as answer:
                raw = b"".join(answer.iter_raw())
            assert answer.headers["content-encoding"] == coding
            assert int(answer.headers["content-length"]) == len(raw) < len(plain.content)
            assert undo(raw) == plain.content
        tags.add(answer.headers["etag"])
    assert len(tags) == 4
    [entry] = [one for one in worker.tiles.cache.entries() if one.mvt and len(one.packed) > 1]
    assert set(entry.packed) == {"identity", "gzip", "br", "zstd"}
    head = worker.client.head(PATH, headers={"Accept-Encoding": "gzip"})
    assert head.content == b"" and int(head.headers["content-length"]) == len(entry.packed["gzip"])


def test_those_who_ask_together_have_it_packed_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(pair)
    worker = pair.workers[0]
    plain = worker.get(accept_encoding="identity")
    gate, packed = threading.Event(), 0
    real = service.pack

    def gated(content: bytes, coding: str) -> bytes:
        nonlocal packed
        packed += 1
        gate.wait(30)
        return real(content, coding)

    monkeypatch.setattr(service, "pack", gated)
    found: list[httpx.Response] = []
    url = str(worker.client.base_url) + PATH
    headers = {"Accept-Encoding": "gzip"}
    threads = [
        threading.Thread(target=lambda: found.append(httpx.get(url, headers=headers, timeout=30)))
        for _ in range(4)
    ]
    leaver = socket.create_connection((worker.client.base_url.host, worker.client.base_url.port))
    leaver.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())
    eventually(lambda: packed)
    for one in threads:
        one.start()
    leaver.close()
    [entry] = worker.tiles.cache.entries()
    tallied = worker.tiles.tallies["shelters", Z]
    eventually(lambda: tallied.memory >= 5)
    gate.set()
    for one in threads:
        one.join()
    assert packed == 1 and [one.content for one in found] == [plain.content] * 4
    assert set(entry.packed) == {"identity", "gzip"} and not entry.packing


def test_who_takes_no_coding_gets_none(pair: Pair) -> None:
    crowd(pair, repeat=9)
    for _ in range(2):  # by the application, and before it
        answer = pair.workers[0].get(accept_encoding="gzip;q=0")
        assert "content-encoding" not in answer.headers and len(answer.content) > 1024
        assert answer.headers["etag"].endswith('-identity"')


def test_the_epoch_tells_clusters_and_timelines_apart(pair: Pair) -> None:
    """The first database of two clusters has the same oid, and both count from 1."""
    with connect(pair.cluster, pair.name) as session:
        cluster, timeline, oid = session.execute(
            "SELECT system_identifier, timeline_id, d.oid"
            " FROM pg_control_system(), pg_control_checkpoint(), pg_database d"
            " WHERE d.datname = current_database()"
        ).fetchone()
        session.execute("SET ROLE riskmap_api")
        said = session.execute(f"SELECT {IDENTITY}").fetchone()[0]
    assert said == f"{cluster % 2**64:x}-{oid:x}-{timeline:08X}"
    assert len({one.feed.epoch for one in pair.workers}) == 1
    assert pair.workers[0].feed.epoch == hashlib.blake2b(said.encode(), digest_size=6).hexdigest()


def test_a_restored_database_confirms_nothing_of_the_old_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = pair.workers[0]
    tag = worker.get().headers["etag"]
    # As the next look at the database does after a restore.
    monkeypatch.setattr(worker.feed, "epoch", "other")
    worker.feed._tell(None)
    assert worker.get(if_none_match=tag).status_code == 200


def test_a_feed_that_falls_behind_is_read_to_its_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riskmap.db import feed  # noqa: PLC0415

    monkeypatch.setattr(feed, "_MOST_NEWS", 3)
    with psycopg.connect(
        pair.cluster.owner_url(pair.name)
        .set(drivername="postgresql")
        .render_as_string(hide_password=False)
    ) as session:
        for n in range(20):
            session.execute(f"UPDATE shelters SET name = 'v{n}'")
    pair.settle()
    assert [worker.names() for worker in pair.workers] == [["v19"], ["v19"]]


def test_metrics_count_by_layer_and_zoom(pair: Pair) -> None:
    worker = pair.workers[0]
    tag = worker.get().headers["etag"]
    worker.get()
    worker.get(if_none_match=tag)
    text = worker.client.get("/metrics").text
    for how, number in (("rendered", 1), ("memory", 1), ("confirmed", 1)):
        assert f'riskmap_tiles_total{{how="{how}",layer="shelters",zoom="14"}} {number}.0' in text
    assert "riskmap_tile_cache_tiles 1.0" in text and "riskmap_processes_fresh 1.0" in text
