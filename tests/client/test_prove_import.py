"""kill -9 of the service or of PostgreSQL while an upload is imported: old or new, one copy.

`make test` runs a small sample, `make prove-import` many kills (PROVE_KILLS, 50 unless told).
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from test_crash import kill_postgres

from cli_help import Place, Service, a_place, session_of
from conftest import connect

# Of the many kills; the one of `make test` meets an import of fewer.
ROWS, FEW_ROWS = 20_000, 6_000
SEED = 20_261_122
LAYER = "risk-records"
STATE = """
SELECT count(*), count(DISTINCT code),
    md5(string_agg(md5(concat_ws('|', code, name, threatened_persons, ST_AsEWKT(geom))), ''
        ORDER BY code))
FROM risk_records WHERE source_system = 'proof'
"""
BOOKS = """
SELECT
    (SELECT coalesce(sum(row_count) FILTER (WHERE op = 'INSERT'), 0)
        - coalesce(sum(row_count) FILTER (WHERE op = 'DELETE'), 0) FROM feed WHERE layer = %(l)s)
        = (SELECT count(*) FROM risk_records),
    (SELECT coalesce(sum(row_count) FILTER (WHERE op <> 'INSERT'), 0) FROM feed WHERE layer = %(l)s)
        = (SELECT count(*) FROM history WHERE layer = %(l)s),
    (SELECT count(*) FROM feed WHERE revision IS NULL) = 0,
    (SELECT count(*) FROM imports WHERE kind = 'import' AND status = 'done')
        = (SELECT count(DISTINCT import_id) FROM audit WHERE import_id IS NOT NULL)
"""

State = tuple[int, str]


def write_version(folder: Path, version: int, rows: int) -> Path:
    """Write a file that changes a quarter of the last one's rows, drops some and adds others."""
    chance = random.Random(SEED)
    path = folder / f"v{version}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("code,name,longitude,latitude,threatened_persons\n")
        for number in range(50 * version, rows + 50 * version):
            lon, lat = chance.uniform(120.01, 120.99), chance.uniform(36.01, 36.99)
            people = version if number % 4 == 0 else 0
            file.write(f"R{number},风险点 {number},{lon:.6f},{lat:.6f},{people}\n")
    return path


def look(session: psycopg.Connection) -> State:
    """Return count and checksum, after a look at feed, history and audit."""
    count, distinct, checksum = session.execute(STATE).fetchone() or (0, 0, "")
    assert count == distinct, "two copies"
    books = session.execute(BOOKS, {"l": LAYER}).fetchone()
    assert books == (True, True, True, True), books
    return count, checksum


class Prover:
    """One service, one source that is replaced again and again, and somebody who kills."""

    def __init__(self, place: Place, rows: int) -> None:
        self.place, self.rows = place, rows
        self.outcomes: Counter[str] = Counter()
        self.version = 0
        answer = place.done("keys", "create", "proof", "--role", "editor")
        token = next(word for word in answer.out.split() if word.startswith("rmk_"))
        self.headers = {"Authorization": f"Bearer {token}"}
        self.service = self.started()

    def started(self) -> Service:
        service = Service(self.place)
        service.await_ready()
        return service

    def submit(self) -> str:
        """Upload the present version; the same version bears the same key."""
        path = write_version(self.place.cwd, self.version, self.rows)
        fields = {
            "layer": LAYER,
            "crs": "EPSG:4326",
            "source_system": "proof",
            # Replace deletes, too: the mode with the most to leave half done.
            "mode": "replace",
        }
        answer = httpx.post(
            f"{self.service.address}/imports",
            data=fields,
            files={"file": (path.name, path.read_bytes(), "text/csv")},
            headers={**self.headers, "Idempotency-Key": f"version-{self.version}"},
            timeout=300,
        )
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def finished(self, import_id: str) -> dict[str, Any]:
        """Wait until an import is over."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(
                    f"{self.service.address}/imports/{import_id}",
                    headers=self.headers,
                    timeout=60,
                )
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            # 503: the database is just coming back.
            if answer.status_code == 200 and answer.json()["status"] not in ("queued", "running"):
                found: dict[str, Any] = answer.json()
                assert found["status"] == "done", json.dumps(found, ensure_ascii=False)
                return found
            assert answer.status_code in (200, 503), answer.text
            time.sleep(0.05)
        raise AssertionError(self.service.said)

    def state(self) -> State:
        with self.place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
            return look(session)

    def whole(self) -> float:
        """Import the next version to its end; return how long that took."""
        self.version += 1
        began = time.monotonic()
        self.finished(self.submit())
        return time.monotonic() - began

    def kill_service(self) -> None:
        """Kill the service with its workers and the child that reads; PostgreSQL lives."""
        for pid in session_of(self.service.process.pid):
            if "postgres" not in Path(f"/proc/{pid}/comm").read_text():
                os.kill(pid, signal.SIGKILL)
        self.service.process.wait()

    def round(self, whom: str, after_s: float, old: State) -> State:
        """Kill once during the import of a new version; return the state it ends in."""
        self.version += 1
        import_id = self.submit()
        time.sleep(after_s)
        if whom == "service":
            self.kill_service()
            found = self.state()  # before anything has started again
            self.service = self.started()
        else:
            kill_postgres(self.place)
            found = self.state()  # starts it anew, for the service, too
        self.finished(import_id)
        new = self.state()
        assert new != old
        assert found in (old, new), f"a part was left by a kill of the {whom}: {found}"
        # The client never learnt what became of it and sends the same once more.
        assert self.submit() == import_id
        self.finished(import_id)
        assert self.state() == new
        self.outcomes[f"{whom} killed: {'old' if found == old else 'new'}"] += 1
        return new

    @property
    def met(self) -> int:
        """How many kills met an import under way."""
        return sum(count for name, count in self.outcomes.items() if name.endswith("old"))


def prove(kills: int, rows: int, until: float = 1.0) -> Counter[str]:
    chance = random.Random(SEED)
    with a_place(made=True) as place:
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        prover = Prover(place, rows)
        try:
            prover.whole()
            takes = until * prover.whole()
            state = prover.state()
            number = 0
            # A kill that came after the commit is a good outcome, too, but proves less.
            while prover.met < kills:
                whom = ("service", "PostgreSQL")[number % 2]
                met = prover.met
                state = prover.round(whom, chance.uniform(0.02, takes), state)
                if prover.met == met:
                    takes = max(0.3, takes * 0.9)
                number += 1
        finally:
            prover.service.end()
        return prover.outcomes


def test_a_kill_of_an_upload() -> None:
    outcomes = prove(1, FEW_ROWS, until=0.5)
    assert sum(outcomes.values()) >= 1


@pytest.mark.prove
def test_many_kills_of_uploads(capsys: pytest.CaptureFixture[str]) -> None:
    kills = int(os.environ.get("PROVE_KILLS", "50"))
    outcomes = prove(kills, ROWS)
    assert sum(outcomes.values()) >= kills
    with capsys.disabled():
        print(f"\n{kills} kills that met an import")  # noqa: T201
        for name, count in sorted(outcomes.items()):
            print(f"  {name}: {count}")  # noqa: T201
