"""200,000 features in every format of files: the process does not grow with them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import text

from api_help import Served, eventually, serving
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

ROWS = 120_000
MB = 1 << 20
# What a million may cost, ten batches and the libraries' own buffers. The index of a FlatGeobuf
# is GDAL's, about 100 bytes for each feature.
MOST_GROWTH = {"flatgeobuf": 80 * MB, "geoparquet": 80 * MB}
DEFAULT_GROWTH = 50 * MB


@pytest.fixture(scope="module")
def full(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        with found.database.own(Actor("test")) as session:
            # Triggers write feed and history: nothing of that is read here, and it takes long.
            session.execute(text("SET LOCAL session_replication_role = replica"))
            session.execute(
                text(
                    "INSERT INTO geohazard_points (code, name, address, risk_level,"
                    " threatened_persons, geom) SELECT 'c' || n, '隐患点 ' || n, '路 ' || n,"
                    " 1 + n % 4, n, ST_SetSRID(ST_MakePoint(120 + n % 1000 / 1000.0,"
                    " 36 + n / 1000 / 1000.0), 4326) FROM generate_series(1, :rows) n"
                ),
                {"rows": ROWS},
            )
        yield found


@pytest.fixture(scope="module")
def service(full: Served) -> Iterator[tuple[str, psutil.Process]]:
    """The service in a process of its own, which holds nothing of the tests."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        "RISKMAP_DATABASE_URL": full.settings.database_url or "",
        "RISKMAP_API_DATABASE_URL": full.settings.api_database_url or "",
        "RISKMAP_DATA_DIR": str(full.settings.data_dir),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "riskmap.app:from_environment"),
        *("--port", str(port), "--log-level", "error"),
    ]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment) as process:
        try:
            eventually(lambda: _answers(address), tries=6000)
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/collections").status_code == 200
    except httpx.TransportError:
        return False


class Peak:
    """The most memory that a process had while the block ran."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()
        self.before = self.most = self._now()

    def _now(self) -> int:
        return self._process.memory_info().rss

    def __enter__(self) -> Peak:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.is_set():
            self.most = max(self.most, self._now())
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("form", ["geojsonseq", "csv", "xlsx", "flatgeobuf", "geoparquet"])
def test_memory_is_flat(service: tuple[str, psutil.Process], form: str, tmp_path: Path) -> None:
    address, process = service
    url = f"{address}/collections/geohazard-points/items"
    plain = {"Accept-Encoding": "identity"}
    # What is loaded once (Arrow, GDAL) is not the file's.
    warm = httpx.get(url, params={"f": form, "limit": 10_000}, headers=plain, timeout=60)
    assert warm.status_code == 200
    file = tmp_path / "all"
    with (
        Peak(process) as peak,
        httpx.stream("GET", url, params={"f": form}, headers=plain, timeout=600) as answer,
        file.open("wb") as out,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            out.write(piece)
    grown = peak.most - peak.before
    assert grown < MOST_GROWTH.get(form, DEFAULT_GROWTH), f"{grown / MB:.0f} MB"
    assert file.stat().st_size > ROWS * 10
    if form == "geojsonseq":
        assert file.read_bytes().count(b"\x1e") == ROWS
    if form == "csv":
        assert file.read_bytes().count(b"\r\n") == ROWS + 1
