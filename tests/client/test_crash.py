"""kill -9 during an import: the next start has the old rows or the new ones, never a part.

`make test` runs a small sample, `make prove-crash` many kills (PROVE_KILLS, 60 unless told).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api_help import eventually
from cli_help import Place, a_place, call, session_of
from conftest import connect

ROWS = 20_000
SIDE = 40  # streets each way: 2 * 40 * 39 edges
SEED = 20_261_122

IMPORTED = """
SELECT count(*), count(DISTINCT code),
    md5(string_agg(md5(concat_ws('|', code, name, threatened_persons, ST_AsEWKT(geom))), ''
        ORDER BY code)),
    coalesce(sum(version - 1), 0)
FROM risk_records
"""
ROADS = """
SELECT count(*), count(DISTINCT source_id),
    md5(string_agg(md5(concat_ws('|', source_id, name, ST_AsEWKT(geom))), '' ORDER BY source_id)),
    0
FROM road_edges
"""
BOOKS = """
SELECT coalesce(sum(row_count) FILTER (WHERE op = 'INSERT'), 0)
        - coalesce(sum(row_count) FILTER (WHERE op = 'DELETE'), 0),
    coalesce(sum(row_count) FILTER (WHERE op = 'UPDATE'), 0),
    count(*) FILTER (WHERE revision IS NULL),
    count(*) - (SELECT count(*) FROM audit a JOIN feed f ON a.feed_id = f.id
        WHERE f.layer = %(l)s AND f.x_min IS NOT NULL)
-- Without a box are the speeds and profiles, which count to the network, too.
FROM feed WHERE layer = %(l)s AND x_min IS NOT NULL
"""


@dataclass
class Subject:
    """What is imported again and again, each time as another version."""

    layer: str
    query: str
    arguments: tuple[str, ...]
    version: int = 0
    rows: int = ROWS

    def write(self, folder: Path, version: int) -> None:
        if self.layer == "roads":
            (folder / "roads.geojson").write_text(json.dumps(streets(version)), encoding="utf-8")
            return
        chance = random.Random(SEED)
        with (folder / "records.csv").open("w", encoding="utf-8") as file:
            file.write("code,name,longitude,latitude,threatened_persons\n")
            # Each version changes a quarter of the rows and adds some.
            for number in range(self.rows + 50 * version):
                lon, lat = chance.uniform(120.01, 120.99), chance.uniform(36.01, 36.99)
                people = version if number % 4 == 0 else 0
                file.write(f"R{number},风险点 {number},{lon:.6f},{lat:.6f},{people}\n")


def streets(version: int) -> dict[str, Any]:
    """A grid of streets whose names tell the version."""
    step = 0.001
    lines = []
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = 120.3 + column * step, 36.3 + row * step
            for dx, dy in ((step, 0.0), (0.0, step)):
                if (column + 1 < SIDE or not dx) and (row + 1 < SIDE or not dy):
                    ends = [[round(x, 6), round(y, 6)], [round(x + dx, 6), round(y + dy, 6)]]
                    lines.append(ends)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"name": f"v{version}"},
                "geometry": {"type": "LineString", "coordinates": line},
            }
            for line in lines
        ],
    }


def records() -> Subject:
    return Subject(
        "risk-records",
        IMPORTED,
        ("import", "risk-records", "records.csv", "--crs", "EPSG:4326", "--source", "crash"),
    )


def roads() -> Subject:
    return Subject(
        "roads",
        ROADS,
        ("roads", "import", "roads.geojson", "--crs", "EPSG:4326", "--map", "name=name"),
    )


def state(session: psycopg.Connection, subject: Subject) -> tuple[Any, ...]:
    """Return count and checksum of what is stored, after a look at feed, history and audit."""
    found = session.execute(subject.query).fetchone()
    assert found is not None
    count, distinct, checksum, versions = found
    assert distinct == count, "two copies"
    books = session.execute(BOOKS, {"l": subject.layer}).fetchone()
    assert books is not None
    inserted, updated, unnumbered, unaudited = books
    assert inserted == count, "the feed tells of other rows"
    assert (unnumbered, unaudited) == (0, 0)
    if subject.layer != "roads":
        kept = session.execute(
            "SELECT count(*) FROM history WHERE layer = %s", [subject.layer]
        ).fetchone()
        assert kept == (updated,)
        assert versions == updated
    return count, checksum


class Killer:
    """Imports versions of one subject, kills, and looks at what the next start finds."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.context = multiprocessing.get_context("forkserver")
        # The rooms are imported once: else most kills would meet Python's own start.
        self.context.set_forkserver_preload(
            [
                "cli_help",
                "riskmap.cli.main",
                "riskmap.ingest.run",
                "riskmap.ingest.roads",
                "riskmap.roads.osm",
                "riskmap.roads.graphs",
                "riskmap.db.cluster",
            ]
        )
        self.outcomes: Counter[str] = Counter()

    def victim(self, subject: Subject) -> Any:
        process = self.context.Process(
            target=call, args=(self.place.environment, self.place.cwd, subject.arguments)
        )
        process.start()
        return process

    def whole(self, subject: Subject) -> float:
        """Import to the end; return how long that took."""
        began = time.monotonic()
        process = self.victim(subject)
        process.join()
        assert process.exitcode == 0, self.said()
        return time.monotonic() - began

    def said(self) -> str:
        return (self.place.cwd / "victim.log").read_text(encoding="utf-8", errors="replace")

    def look(self, subject: Subject) -> tuple[Any, ...]:
        with self.place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
            return state(session, subject)

    @property
    def killed(self) -> int:
        """How many kills met an import under way."""
        return sum(n for name, n in self.outcomes.items() if not name.endswith("too late"))

    def next_version(self, subject: Subject) -> None:
        subject.version += 1
        subject.write(self.place.cwd, subject.version)

    def round(
        self, subject: Subject, whom: str, after_s: float, old: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Kill one import of a new version; return the state that the retry ends in."""
        self.next_version(subject)
        process = self.victim(subject)
        process.join(after_s)
        ended = not process.is_alive()
        if whom == "importer":
            process.kill()
            process.join()
        else:
            kill_postgres(self.place)
            process.join()
            assert ended or process.exitcode != -signal.SIGKILL
            assert "Traceback" not in self.said(), self.said()
        found = self.look(subject)  # the next start
        self.whole(subject)  # the retry
        new = self.look(subject)
        assert new != old
        assert found in (old, new), f"a part was left by a kill of the {whom}: {found}"
        when = "too late" if ended else "old" if found == old else "new"
        self.outcomes[f"{subject.layer}, {whom} killed: {when}"] += 1
        return new


def kill_postgres(place: Place) -> None:
    """Kill the postmaster and every backend at once, if they run by now."""
    with suppress(FileNotFoundError, IndexError, ValueError):
        postmaster = place.postmaster()
        family = [postmaster]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                if stat.read_text().rpartition(")")[2].split()[1] == str(postmaster):
                    family.append(int(stat.parent.name))
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def prove(kills: int, subjects: list[Subject]) -> Counter[str]:
    chance = random.Random(SEED)
    with a_place(made=True) as place:
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        killer = Killer(place)
        states, takes = [], []
        for subject in subjects:
            subject.write(place.cwd, 0)
            killer.whole(subject)
            killer.next_version(subject)
            takes.append(killer.whole(subject))
            states.append(killer.look(subject))
        number = 0
        # A kill that came after the import had ended proves nothing and is not counted.
        while killer.killed < kills:
            at = number % len(subjects)
            whom = ("importer", "PostgreSQL")[number // len(subjects) % 2]
            after_s = chance.uniform(0.05, takes[at])
            killed = killer.killed
            states[at] = killer.round(subjects[at], whom, after_s, states[at])
            if killer.killed == killed:
                takes[at] = max(0.5, min(takes[at], after_s))  # imports are faster by now
            number += 1
        graphs = [path.name for path in (place.data / "graphs").glob("*/.*-*")]
        assert graphs == [], "half-written graphs are left"
        assert not place.cluster().is_running()
        return killer.outcomes


def test_a_kill() -> None:
    outcomes = prove(1, [replace(records(), rows=6_000)])
    assert sum(outcomes.values()) >= 1


@pytest.mark.prove
def test_many_kills(capsys: pytest.CaptureFixture[str]) -> None:
    kills = int(os.environ.get("PROVE_KILLS", "60"))
    outcomes = prove(kills, [records(), roads()])
    assert sum(outcomes.values()) >= kills
    with capsys.disabled():
        print(f"\n{kills} kills")  # noqa: T201
        for name, count in sorted(outcomes.items()):
            print(f"  {name}: {count}")  # noqa: T201


def test_the_service_without_its_database_and_after_a_kill() -> None:
    with a_place(made=True) as place:
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        records().write(place.cwd, 0)
        place.done(*records().arguments)
        with place.serving() as service:
            items = "/collections/risk-records/items?limit=2"
            before = service.get(items).json()["features"]
            kill_postgres(place)
            assert service.get("/livez").status == 200
            for path in ("/readyz", items, "/tiles/risk-records/9/426/199.mvt"):
                reply = service.get(path)
                assert reply.status == 503, path
                assert reply.type == "application/problem+json"
                assert reply.json()["type"] == "urn:riskmap:problem:database.away"
            place.done("layers")  # starts the cluster anew, for the service, too
            assert service.get("/readyz").status == 200
            assert service.get(items).json()["features"] == before
            assert "Traceback" not in service.said

            service.process.kill()
            service.process.wait()
            eventually(lambda: session_of(service.process.pid) == [])
        with place.serving() as service:
            assert service.get(items).json()["features"] == before
            assert service.stop() in (0, 143)
        assert not place.cluster().is_running()
