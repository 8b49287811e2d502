"""A second after a commit no worker serves or confirms the old tile.

Two services on one database, readers that never rest, writes by both of them, by psql and by the
importer. `make prove-tiles` makes 10,000 pairs of a write and a read, `make test` a sample. The
seed is in the message of a failure: RISKMAP_SEED=... repeats it.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import mapbox_vector_tile
import psycopg
import pytest

from cli_help import Place, a_place
from conftest import connect, open_database
from riskmap.access.keys import KeyRole
from riskmap.access.store import create_key
from riskmap.catalog.registry import load_catalog
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database
from riskmap.features.query import Equals, FeatureQuery
from riskmap.tiles.grid import Address
from riskmap.tiles.read import render

SEED = int(os.environ.get("RISKMAP_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
CATALOG = load_catalog()
POINTS, AREAS = "geohazard-points", "flash-flood-zones"
# What is asked for: layers, and levels (none: no filter).
QUESTIONS = (
    ((POINTS,), ()),
    ((POINTS, AREAS), ()),
    ((POINTS,), (1, None)),
    ((AREAS,), (2,)),
)
# What the service promises.
BOUND_S = 1.0
WRITES = 40
BOX = (120.3, 36.2, 120.8, 36.6)


@dataclass(frozen=True)
class Asked:
    """A tile and what is asked of it."""

    layers: tuple[str, ...]
    levels: tuple[int | None, ...]
    z: int
    x: int
    y: int

    @property
    def path(self) -> str:
        told = ",".join("null" if one is None else str(one) for one in self.levels)
        query = f"?risk_level={told}" if self.levels else ""
        return f"/tiles/{','.join(self.layers)}/{self.z}/{self.x}/{self.y}.mvt{query}"

    def queries(self) -> list[FeatureQuery]:
        found = []
        for name in self.layers:
            layer = CATALOG[name]
            level = layer.field("risk_level")
            assert level is not None
            filters = (Equals(level, self.levels),) if self.levels else ()
            found.append(FeatureQuery(layer=layer, filters=filters))
        return found


def content(mvt: bytes) -> dict[str, list[str]]:
    """Return what a tile holds, in no order: cells come in any."""
    decoded = mapbox_vector_tile.decode(mvt)
    return {
        name: sorted(repr((one.get("id"), one["properties"], one["geometry"])) for one in of)
        for name, layer in decoded.items()
        if (of := layer["features"])
    }


@dataclass
class Prover:
    """The two services, the database, and what was seen."""

    addresses: list[str]
    database: Database
    session: psycopg.Connection[Any]
    key: str
    place: Place
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    pairs: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def told(self, asked: Asked, what: str) -> str:
        return f"RISKMAP_SEED={SEED}, write {self.number}, {asked.path}: {what}"

    # -------------------------------------------------------------- writes

    def spot(self) -> tuple[float, float]:
        west, south, east, north = BOX
        return self.chance.uniform(west, east), self.chance.uniform(south, north)

    def shape(self, layer: str, at: tuple[float, float]) -> str:
        lon, lat = at
        if layer == POINTS:
            return f"SRID=4326;POINT({lon} {lat})"
        ring = ",".join(
            f"{lon + 0.004 * math.cos(turn)} {lat + 0.004 * math.sin(turn)}"
            for turn in (0, 1, 2, 3, 4, 5, 0)
        )
        return f"SRID=4326;MULTIPOLYGON((({ring})))"

    def someone(self, layer: str) -> tuple[int, str, float, float] | None:
        table = CATALOG[layer].table
        return self.session.execute(
            f"SELECT id, code, ST_X(p), ST_Y(p) FROM {table}, ST_PointOnSurface(geom) p"
            " OFFSET floor(random() * (SELECT count(*) FROM"
            f" {table})) LIMIT 1"
        ).fetchone()

    def write(self) -> tuple[str, list[tuple[float, float]]]:
        """Change something; return its layer and where it was and is."""
        self.number += 1
        layer = self.chance.choice([POINTS, POINTS, AREAS])
        table = CATALOG[layer].table
        there, level = self.spot(), self.chance.choice([1, 2, 3, 4, None])
        found = self.someone(layer)
        way = self.chance.choice(["insert", "move", "rename", "level", "delete", "api", "api-move"])
        if found is None or way == "insert":
            self.session.execute(
                f"INSERT INTO {table} (code, risk_level, geom) VALUES (%s, %s, %s)",
                [f"N{self.number}", level, self.shape(layer, there)],
            )
            return layer, [there]
        number, _, lon, lat = found
        if way == "move":
            self.session.execute(
                f"UPDATE {table} SET geom = %s WHERE id = %s", [self.shape(layer, there), number]
            )
        elif way == "rename":
            self.session.execute(
                f"UPDATE {table} SET name = %s WHERE id = %s", [f"名{self.number}", number]
            )
        elif way == "level":
            self.session.execute(
                f"UPDATE {table} SET risk_level = %s WHERE id = %s", [level, number]
            )
        elif way == "delete":
            self.session.execute(f"DELETE FROM {table} WHERE id = %s", [number])
        else:
            self.by_api(layer, number, there if way == "api-move" else None)
        self.pairs[way] += 1
        return layer, [(lon, lat), there]

    def by_api(self, layer: str, number: int, there: tuple[float, float] | None) -> None:
        url = f"{self.chance.choice(self.addresses)}/collections/{layer}/items/{number}"
        change: dict[str, Any] = {"type": "Feature", "properties": {"name": f"改{self.number}"}}
        if there is not None and layer == POINTS:
            change["geometry"] = {"type": "Point", "coordinates": list(there)}
        answer = httpx.patch(
            url,
            json=change,
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "application/merge-patch+json",
                "If-Match": httpx.get(url).headers["etag"],
            },
        )
        assert answer.status_code in (200, 204), answer.text

    def bring_in(self) -> list[tuple[float, float]]:
        """Import a few rows, some of them known."""
        places = [self.spot() for _ in range(5)]
        lines = [f"I{self.chance.randrange(20)},入{self.number},{lon},{lat}" for lon, lat in places]
        unique = {line.split(",")[0]: line for line in lines}
        file = self.place.cwd / "rows.csv"
        file.write_text("code,name,longitude,latitude\n" + "\n".join(unique.values()) + "\n")
        before = self.session.execute(
            "SELECT ST_X(geom), ST_Y(geom) FROM geohazard_points WHERE code LIKE 'I%'"
        ).fetchall()
        self.place.done("import", POINTS, str(file), "--crs", "EPSG:4326")
        return [*places, *before]

    # -------------------------------------------------------------- reads

    def asked(self, layer: str, at: tuple[float, float]) -> Asked:
        z = self.chance.randint(8, 16)
        y = (1 - math.asinh(math.tan(math.radians(at[1]))) / math.pi) / 2
        layers, levels = self.chance.choice([one for one in QUESTIONS if layer in one[0]])
        return Asked(layers, levels, z, int((at[0] + 180) / 360 * 2**z), int(y * 2**z))

    def truth(self, asked: list[Asked]) -> list[dict[str, list[str]]]:
        """Render tiles here and now, past every memory."""

        async def drawn() -> list[bytes]:
            try:
                found = []
                for one in asked:
                    async with self.database.read_async() as session:
                        place = Address(one.z, one.x, one.y)
                        found.append((await render(session, one.queries(), place)).mvt)
                return found
            finally:
                await self.database.async_engine.dispose()

        return [content(one) for one in asyncio.run(drawn())]

    @contextmanager
    def readers(self, asked: list[Asked]) -> Iterator[None]:
        """Ask for the tiles without rest, so that renders meet commits."""
        stop = threading.Event()

        def read(address: str, dice: random.Random) -> None:
            with httpx.Client(base_url=address, timeout=60) as client:
                while not stop.is_set():
                    assert client.get(dice.choice(asked).path).status_code in (200, 204)

        threads = [
            threading.Thread(target=read, args=(address, random.Random(n)))
            for n, address in enumerate(self.addresses)
        ]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            stop.set()
            for one in threads:
                one.join()

    def round(self, clients: list[httpx.Client], *, imports: bool) -> None:
        """Write, wait for the bound, and read from both."""
        watched = [self.asked(self.chance.choice([POINTS, AREAS]), self.spot()) for _ in range(8)]
        tags: dict[tuple[int, Asked], str] = {}
        checked: list[Asked] = []
        with self.readers(watched):
            for _ in range(WRITES):
                layer = self.chance.choice([POINTS, AREAS])
                found = self.someone(layer)
                if found is not None:  # what was there before is known to both
                    checked.append(self.asked(layer, (found[2], found[3])))
                    for number, client in enumerate(clients):
                        tags[number, checked[-1]] = client.get(checked[-1].path).headers["etag"]
                layer, places = self.write()
                checked += [self.asked(layer, at) for at in places]
            if imports:
                checked += [self.asked(POINTS, at) for at in self.bring_in()]
            written = time.monotonic()
        checked += watched
        time.sleep(max(0.0, written + BOUND_S - time.monotonic()))
        for asked, truth in zip(checked, self.truth(checked), strict=True):
            for number, client in enumerate(clients):
                answer = client.get(asked.path)
                assert content(answer.content) == truth, self.told(asked, f"old body of {number}")
                old = tags.get((number, asked))
                if old is not None:
                    again = client.get(asked.path, headers={"If-None-Match": old})
                    if again.status_code == 304:
                        # Confirmed: then what it stood for is what is there now.
                        same = old.split("-")[2] == answer.headers["etag"].split("-")[2]
                        assert same, self.told(asked, f"old tag of {number} confirmed")
                    self.pairs[f"tag: {again.status_code}"] += 1
                self.pairs["read"] += 1


@contextmanager
def proving(cluster: Cluster, database_factory: Callable[[], str]) -> Iterator[Prover]:
    name = database_factory()
    url = cluster.owner_url(name).render_as_string(hide_password=False)
    with ExitStack() as stack:
        bare = stack.enter_context(a_place())
        place = bare.set(DATABASE_URL=url)
        place.done("migrate")
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        database = open_database(cluster, name)
        stack.callback(database.dispose)
        with database.own(Actor("test")) as session:
            key = create_key(session, name="prover", role=KeyRole.EDITOR).token
        services = [stack.enter_context(place.serving()) for _ in range(2)]
        session_ = stack.enter_context(connect(cluster, name))
        yield Prover([one.address for one in services], database, session_, key, place)


def prove(cluster: Cluster, database_factory: Callable[[], str], pairs: int) -> Counter[str]:
    with proving(cluster, database_factory) as prover, ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=address, timeout=60))
            for address in prover.addresses
        ]
        for _ in range(100):
            prover.write()
        rounds = 0
        while prover.pairs["read"] < pairs:
            prover.round(clients, imports=rounds % 10 == 1)
            rounds += 1
        return prover.pairs


def test_a_second_after_a_commit_both_workers_have_it(
    cluster: Cluster, database_factory: Callable[[], str]
) -> None:
    pairs = prove(cluster, database_factory, 60)
    assert pairs["tag: 304"] > 0 and pairs["tag: 200"] > 0


@pytest.mark.prove
def test_ten_thousand_pairs(
    cluster: Cluster, database_factory: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = prove(cluster, database_factory, int(os.environ.get("PROVE_PAIRS", "10000")))
    with capsys.disabled():
        print(f"\n{dict(pairs)}")  # noqa: T201
