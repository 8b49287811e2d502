"""A PostgreSQL of somebody else's: migrate, fill, serve with two workers, as the API's role."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api_help import eventually
from cli_help import a_place, session_of
from conftest import connect
from riskmap.db.cluster import Cluster


def workers(leader: int) -> list[int]:
    """Return the service's worker processes."""
    found = []
    for pid in session_of(leader):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if pid != leader and b"spawn_main" in command:
            found.append(pid)
    return found


def test_two_workers_on_another_server(
    cluster: Cluster, database_factory: Callable[[], str]
) -> None:
    name = database_factory()
    url = cluster.owner_url(name).render_as_string(hide_password=False)
    with a_place() as bare:
        place = bare.set(DATABASE_URL=url, WORKERS="2")
        place.run("layers").refused(2, "riskmap migrate")
        place.done("migrate")
        place.done(
            *("city", "init", "--name", "测试市", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
        )
        (place.cwd / "rows.csv").write_text(
            "code,name,longitude,latitude\nA,甲,120.5,36.5\n", encoding="utf-8"
        )
        place.done("import", "risk-records", "rows.csv", "--crs", "EPSG:4326")
        assert not (place.data / "pg").exists()  # no cluster of its own
        items = "/collections/risk-records/items"
        with place.serving() as service:
            pair = workers(service.process.pid)
            assert len(pair) == 2
            for still in pair:
                # The other one must answer.
                os.kill(still, signal.SIGSTOP)
                try:
                    assert len(service.get(items).json()["features"]) == 1
                finally:
                    os.kill(still, signal.SIGCONT)

            # The owner could read all the same: so it is the API's role that asks.
            with connect(cluster, name) as session:
                session.execute("REVOKE SELECT ON risk_records FROM riskmap_api")
                assert service.get(items).status == 500
                assert service.get("/collections/shelters/items").status == 200
                session.execute("GRANT SELECT ON risk_records TO riskmap_api")
            assert service.get(items).status == 200
            assert service.stop() in (0, 143)
            eventually(lambda: session_of(service.process.pid) == [])
        with connect(cluster, name) as session:
            left = session.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid()",
                [name],
            ).fetchone()
        assert left == (0,)
    assert cluster.is_running()  # theirs is left running


@pytest.mark.parametrize("workers_wanted", ["2"])
def test_workers_on_the_private_cluster_stop_with_it(workers_wanted: str) -> None:
    with a_place(made=True) as place:
        with place.set(WORKERS=workers_wanted).serving() as service:
            assert service.get("/readyz").status == 200
            assert service.stop() in (0, 143)
            # Python's own helper of spawned processes ends a moment after them.
            eventually(lambda: session_of(service.process.pid) == [])
        assert not place.cluster().is_running()


def test_workers_end_with_the_process_that_started_them() -> None:
    """kill -9 of the service: its workers leave the port to the next start."""
    with a_place(made=True) as place, place.set(WORKERS="2").serving() as service:
        assert "riskmap city init" in service.said  # an empty city says what fills it
        port = int(service.address.rsplit(":", 1)[1])
        assert service.get("/livez").status == 200
        service.process.kill()
        service.process.wait()
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return
            time.sleep(0.1)
        raise AssertionError("orphans still listen")
