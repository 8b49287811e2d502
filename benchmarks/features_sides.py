"""The sides of benchmarks/features.py: servers that are started, and psql."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from features_table import DATABASE

from riskmap.catalog.spec import Layer
from riskmap.db.cluster import Cluster
from riskmap.db.server import PORT

START_SECONDS = 120
_READ_BYTES = 1 << 20


@dataclass
class Peer:
    """A server under measurement.

    Parameters
    ----------
    items
        Address of its items.
    """

    name: str
    version: str
    items: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def page(self, limit: int) -> str:
        """Return the address of a page."""
        return f"{self.items}?limit={limit}"

    def whole(self) -> str | None:
        """Return the address of all features as GeoJSONSeq, or None where that is not served."""
        address = f"{self.items}?f=geojsonseq"
        connection = _ask(f"{address}&limit=1")
        served = connection.getresponse().status == 200
        connection.close()
        return address if served else None

    def forget_peak(self) -> None:
        """Have the kernel count the process's largest memory anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def await_ready(self) -> Peer:
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                connection = _ask(self.page(1))
                if connection.getresponse().status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.2)
        self.stop()
        sys.exit(f"{self.name} does not serve:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _ask(address: str) -> HTTPConnection:
    host, _, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=600)
    connection.request("GET", f"/{path}", headers={"Accept-Encoding": "identity"})
    return connection


def body_of(address: str, *, keep: bool = True) -> bytes:
    """Read an answer to its end as fast as it comes; what is not kept is thrown away at once."""
    connection = _ask(address)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"{answer.status} {address}: {answer.read(500)!r}")
    parts = []
    while part := answer.read(_READ_BYTES):
        if keep:
            parts.append(part)
    connection.close()
    return b"".join(parts)


def last_page(peer: Peer, size: int) -> str:
    """Follow the next links, and return the address of the last full one."""
    address = at = peer.page(size)
    while True:
        page = json.loads(body_of(at))
        following = [one["href"] for one in page["links"] if one["rel"] == "next"]
        if page["numberReturned"] < size:
            return address
        address = at
        if not following:
            return address
        at = following[0]


def peak_mb(pid: int) -> float:
    """Return the largest resident memory that a process had, MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return 0.0 if found is None else int(found[1]) / 1024


def psql(cluster: Cluster, statement: str, *, rows_at_once: int = 0) -> None:
    """Have psql fetch a statement's rows as bare text and write them to /dev/null."""
    parts = cluster.owner_url(DATABASE)
    command = ["psql", "-qAtX", "-h", str(parts.query["host"]), "-p", str(parts.query["port"])]
    command += ["-U", str(parts.username), "-d", DATABASE, "-o", "/dev/null"]
    # As the service's sessions have them.
    environment = os.environ | {"PGOPTIONS": "-c jit=off -c timezone=UTC"}
    if rows_at_once:
        command += ["-v", f"FETCH_COUNT={rows_at_once}"]
    subprocess.run([*command, "-f", "-"], input=statement.encode(), env=environment, check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(
    folder: Path, name: str, command: list[str], environment: dict[str, str]
) -> tuple[subprocess.Popen[bytes], Path]:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=output, cwd=folder
        )
    return process, log


def _uvicorn(python: str, application: str, port: int) -> list[str]:
    return [
        *(python, "-m", "uvicorn", *application.split()),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--log-level", "warning", "--no-access-log"),
    ]


def riskmap(cluster: Cluster, folder: Path, layer: Layer) -> Peer:
    """Serve the database by this checkout."""
    port = _free_port()
    environment = {
        "RISKMAP_DATABASE_URL": cluster.owner_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_API_DATABASE_URL": cluster.api_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_DATA_DIR": str(folder / "graphs"),
        # A layer of a million features is read whole.
        "RISKMAP_STREAM_TIMEOUT_S": "600",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = _uvicorn(sys.executable, "--factory riskmap.app:from_environment", port)
    process, log = _start(folder, "riskmap", command, environment)
    items = f"http://127.0.0.1:{port}/collections/{layer.id}/items"
    return Peer("riskmap", "this checkout", items, process, log).await_ready()


def tipg(cluster: Cluster, folder: Path, layer: Layer, version: str) -> Peer:
    """Install TiPg into a venv of its own and serve the same table."""
    home = folder / "tipg"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = str(home / "bin" / "python")
    wanted = f"tipg=={version}" if version else "tipg"
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wanted]
    subprocess.run([*install, "uvicorn[standard]"], check=True)
    shown = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('tipg'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    parts = cluster.owner_url(DATABASE)
    # asyncpg takes a folder for the host where it is quoted as a host's name would be.
    host = quote(str(parts.query["host"]), safe="")
    port = _free_port()
    environment = {
        "DATABASE_URL": f"postgresql://{parts.username}@{host}:{PORT}/{DATABASE}",
        "TIPG_DB_SCHEMAS": '["public"]',
        "TIPG_DB_TABLES": json.dumps([f"public.{layer.table}"]),
        "TIPG_DB_FUNCTIONS": "[]",
    }
    process, log = _start(folder, "tipg", _uvicorn(python, "tipg.main:app", port), environment)
    items = f"http://127.0.0.1:{port}/collections/public.{layer.table}/items"
    return Peer("tipg", shown.stdout.strip(), items, process, log).await_ready()


def pg_featureserv(cluster: Cluster, folder: Path, layer: Layer, program: str, most: int) -> Peer:
    """Serve the same table by pg_featureserv."""
    parts = cluster.owner_url(DATABASE)
    port = _free_port()
    environment = {
        "DATABASE_URL": f"host={parts.query['host']} port={PORT} user={parts.username}"
        f" dbname={DATABASE}",
        "PGFS_SERVER_HTTPHOST": "127.0.0.1",
        "PGFS_SERVER_HTTPPORT": str(port),
        "PGFS_PAGING_LIMITMAX": str(most),
    }
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    process, log = _start(folder, "pg_featureserv", [program], environment)
    items = f"http://127.0.0.1:{port}/collections/public.{layer.table}/items.json"
    said = (version.stdout or version.stderr).strip().splitlines()
    return Peer("pg_featureserv", said[-1] if said else "?", items, process, log).await_ready()
