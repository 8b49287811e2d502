"""Imports through a real `riskmap serve`: the notebooks' client, stops and kills in the middle."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api_help import eventually
from cli_help import Place, Service, a_place, session_of
from conftest import connect
from riskmap.client import Client, ImportRefusedError, ServiceError

LAYER = "risk-records"
ROWS = 60_000
SEED = 20_261_122
STATE = """
SELECT count(*), count(DISTINCT code), coalesce(sum(version - 1), 0),
    md5(string_agg(md5(concat_ws('|', code, name, threatened_persons, ST_AsEWKT(geom))), ''
        ORDER BY code))
FROM risk_records
"""


def write(folder: Path, version: int, rows: int = ROWS) -> Path:
    """Write a version of the records: each adds some and changes a quarter."""
    chance = random.Random(SEED)
    path = folder / f"records-{version}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("code,name,longitude,latitude,threatened_persons\n")
        for number in range(rows + 50 * version):
            lon, lat = chance.uniform(120.01, 120.99), chance.uniform(36.01, 36.99)
            people = version if number % 4 == 0 else 0
            file.write(f"R{number},风险点 {number},{lon:.6f},{lat:.6f},{people}\n")
    return path


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with a_place(made=True) as found:
        found.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        yield found


@contextmanager
def database(place: Place) -> Iterator[psycopg.Connection]:
    """Keep the cluster up whatever happens to the service."""
    with place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
        yield session


def state(session: psycopg.Connection) -> tuple[Any, ...]:
    return session.execute(STATE).fetchone()  # type: ignore[return-value]


def editor(place: Place) -> str:
    out = place.done("keys", "create", "tester", "--role", "editor").out
    found = re.search(r"rmk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", out)
    assert found is not None, out
    return found[0]


def send(service: Service, key: str, path: Path, **fields: str) -> httpx.Response:
    with path.open("rb") as file:
        return httpx.post(
            f"{service.address}/imports",
            data={"layer": LAYER, "crs": "EPSG:4326", "source_system": "kills", **fields},
            files={"file": (path.name, file)},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )


def look(service: Service, key: str, number: int) -> dict[str, Any]:
    answer = httpx.get(
        f"{service.address}/imports/{number}", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(service: Service, key: str, number: int) -> dict[str, Any]:
    eventually(
        lambda: look(service, key, number)["status"] not in ("queued", "running"), tries=20_000
    )
    return look(service, key, number)


def test_the_notebooks_client_imports_and_shows_what_is_wrong(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    key = editor(place)
    good, bad = write(place.cwd, 0, rows=2000), place.cwd / "坏.csv"
    bad.write_text("编号,lon,lat\nA,120.5,36.5\nB,10,36.5\n", encoding="utf-8")
    mapping = {"fields": {"code": "编号"}}
    with place.serving() as service, Client(service.address, key=key, lang="en") as city:
        seen: list[tuple[str, int, int]] = []
        report = city.import_file(
            good,
            LAYER,
            "EPSG:4326",
            source_system="笔记本",
            progress=lambda *said: seen.append(said),
        )
        assert report["inserted"] == 2000
        assert len(city.read(LAYER, source_system="笔记本")) == 2000
        again = city.import_file(good, LAYER, "EPSG:4326", source_system="笔记本")
        assert (again["unchanged"], again["inserted"], again["updated"]) == (2000, 0, 0)
        capsys.readouterr()

        with pytest.raises(ImportRefusedError) as refused:
            city.import_file(bad, LAYER, "EPSG:4326", mapping=mapping, progress=None)
        assert refused.value.report is not None
        assert refused.value.report["problems"][0]["row"] == 2
        assert "outside the city" in str(refused.value)
        assert capsys.readouterr().out == ""
        part = city.import_file(bad, LAYER, "EPSG:4326", mapping=mapping, max_bad_share=0.5)
        assert (part["inserted"], part["rejected"]) == (1, 1)

        with pytest.raises(ServiceError) as wrong:
            city.import_file(good, "nowhere", "EPSG:4326")
        assert (wrong.value.status, wrong.value.parameter) == (400, "layer")
        with Client(service.address) as nobody, pytest.raises(ServiceError) as denied:
            nobody.import_file(good, LAYER, "EPSG:4326")
        assert denied.value.status == 401


def test_the_service_answers_while_an_import_runs(place: Place) -> None:
    key = editor(place)
    path = write(place.cwd, 1, rows=20_000)
    with place.serving() as service:
        number = send(service, key, path, source_system="busy").json()["id"]
        answers = 0
        while look(service, key, number)["status"] in ("queued", "running"):
            assert service.get("/livez").status == 200
            assert service.get("/collections/risk-records/items?limit=1").status == 200
            answers += 1
        assert answers > 0
        assert look(service, key, number)["status"] == "done"


def test_a_stopped_service_puts_the_job_back_and_the_next_start_ends_it(place: Place) -> None:
    key, rows = editor(place), 30_000
    path = write(place.cwd, 2, rows=rows)
    with database(place) as session:
        old = state(session)
        with place.serving() as service:
            number = send(service, key, path, source_system="stop").json()["id"]
            eventually(lambda: look(service, key, number)["progress"] is not None)
            assert service.stop() in (0, 143)
            assert "Traceback" not in service.said
        row = session.execute("SELECT status, attempts FROM jobs ORDER BY id DESC").fetchone()
        assert row is not None
        if row[0] != "done":  # a fast machine may have been done before
            assert row == ("queued", 0)
            assert state(session) == old
        with place.serving() as service:
            assert ended(service, key, number)["status"] == "done"
        assert state(session)[0] == old[0] + rows + 100


@pytest.mark.prove
def test_a_few_kills_end_in_one_copy(place: Place) -> None:
    """kill -9 at any point: old or new, and after the next start exactly new, once."""
    key = editor(place)
    chance = random.Random(SEED)
    with database(place) as session:
        with place.serving() as service:
            number = send(service, key, write(place.cwd, 3)).json()["id"]
            began = time.monotonic()
            assert ended(service, key, number)["status"] == "done"
            takes = time.monotonic() - began
        before = state(session)
        for version in (4, 5):
            path = write(place.cwd, version)
            service = Service(place)
            try:
                service.await_ready()
                number = send(service, key, path).json()["id"]
                time.sleep(chance.uniform(0.0, takes))
                service.process.kill()
                service.process.wait()
                eventually(lambda leader=service.process.pid: session_of(leader) == [])
            finally:
                service.end()
            left = state(session)
            with place.serving() as service:
                found = ended(service, key, number)
                assert (found["status"], found["problem"]) == ("done", None), service.said
            after = state(session)
            assert left in (before, after), "a part was left"
            assert after[0] == before[0] + 50
            sums = session.execute(
                "SELECT (report->>'inserted')::int, (report->>'updated')::int FROM imports"
                " WHERE id = %s",
                [number],
            ).fetchone()
            # The report is of the attempt that committed, so it counts what that one changed.
            assert sums == (50, (ROWS + 50 * (version - 1) + 3) // 4), found
            uploads = list((place.data / "imports" / str(number)).glob("upload/*"))
            assert uploads == []
            before = after
