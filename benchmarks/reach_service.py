"""The demo city: circles over HTTP beside the same in process, and the table of all teams."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import reach_ours as ours
from reach_table import Clock, Report

from riskmap.analysis.ground import Ground
from riskmap.analysis.response import ResponseQuery
from riskmap.analysis.service import AnalysisService
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Role
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor, Database
from riskmap.demo.load import layers_folder, load_demo, read_files
from riskmap.roads.graphs import Graphs, Network
from riskmap.settings import Settings
from riskmap.units import LonLat

DATABASE = "bench_demo"
PATH = "/analysis/response-circles"
START_SECONDS = 180
# What the 383 teams are asked to reach: hazards, flash floods, major sources, and people.
TARGETS = ("geohazard-points", "flash-flood-zones", "major-hazard-sources")
PEOPLE = 6000
TABLE_MS = 900_000


@dataclass
class Service:
    """A uvicorn of one worker."""

    port: int
    process: subprocess.Popen[bytes]
    began: float
    stages: dict[str, list[float]] = field(default_factory=dict)

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def circle(self, connection: HTTPConnection, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:500]!r}")
        for name, ms in re.findall(r"([\w-]+);dur=([\d.]+)", answer.getheader("Server-Timing", "")):
            self.stages.setdefault(name, []).append(float(ms))
        return text


def body_of(place: LonLat) -> bytes:
    """Ask for bands of travel alone, so that they are those of the other sides."""
    phases = {"call_handling_s": 0, "turnout_s": 0, "setup_s": 0}
    return orjson.dumps({"points": [list(place)], "minutes": list(ours.MINUTES), **phases})


@contextmanager
def serving(cluster: Cluster, folder: Path, body: bytes) -> Iterator[tuple[Service, float]]:
    """Start the service; yields it and how many seconds passed until it answered a circle."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {
        "RISKMAP_DATABASE_URL": cluster.owner_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_API_DATABASE_URL": cluster.api_url(DATABASE).render_as_string(hide_password=False),
        "RISKMAP_DATA_DIR": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "riskmap.app:from_environment"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--log-level", "warning", "--no-access-log"),
    ]
    began = time.perf_counter()
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    service = Service(port, process, began)
    try:
        while True:
            try:
                service.circle(service.connection(), body)
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                    said = (folder / "service.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the service does not answer:\n{said}") from None
                time.sleep(0.01)
        took = time.perf_counter() - began
        service.stages.clear()
        yield service, took
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def service(report: Report, cluster: Cluster, origins: int, cell_m: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="riskmap-bench-") as name:
        folder = Path(name)
        settings = Settings(
            database_url=cluster.owner_url(DATABASE).render_as_string(hide_password=False),
            api_database_url=cluster.api_url(DATABASE).render_as_string(hide_password=False),
            data_dir=folder,
        )
        cluster.ensure_database(DATABASE)
        database = Database(cluster.owner_url(DATABASE), cluster.api_url(DATABASE), settings)
        try:
            migrate(database)
            catalog, graphs = load_catalog(), Graphs(folder, database)
            load_demo(
                database, catalog, graphs, read_files(layers_folder()),
                actor=Actor("benchmark"), progress=lambda _: None,
            )  # fmt: skip
            analysis = AnalysisService(database, catalog, graphs)
            analysis.warm_up()
            over_http(report, cluster, folder, analysis, origins, cell_m)
            table(report, analysis.ground, rounds)
        finally:
            database.dispose()


def over_http(
    report: Report,
    cluster: Cluster,
    folder: Path,
    analysis: AnalysisService,
    count: int,
    cell_m: float,
) -> None:
    section = "circles of the demo city over HTTP, people and hazards counted, one worker"
    ground = analysis.ground
    moment = ground.now()
    network = ground.network(moment, moment.default_profile)
    places = teams_of(ground, network).xy
    random = np.random.default_rng(15)
    near = places[np.isfinite(places).all(axis=1)]
    near = near[random.choice(len(near), count, replace=False)]
    lonlat = [LonLat(*map(float, one)) for one in np.round(network.to_lonlat(near), 6)]
    clock, sizes, in_answer = Clock(), [], 0
    with serving(cluster, folder, body_of(lonlat[0])) as (uvicorn, took):
        connection = uvicorn.connection()
        for row, counts in clock.turns(report, count):
            if not counts:
                uvicorn.stages.clear()
            place = lonlat[row]
            body = body_of(place)
            text = clock("http", uvicorn.circle, connection, body)
            sizes.append(len(text) / 1000)
            in_answer = len(json.loads(text)["features"])
            start = network.snapper.snap(network.to_local([place]), 500.0)
            clock("bare", ours.circle, network, start, cell_m)
            query = ResponseQuery(
                starts=(place,), minutes=ours.MINUTES, call_handling_s=0, turnout_s=0, setup_s=0
            )
            clock("service", analysis.circle, query)
        connection.close()
        stages = {name: float(np.median(ms)) for name, ms in uvicorn.stages.items()}

    line = report.of(section, "demo")
    http, bare = clock.median("http"), clock.median("bare")
    line("in process: search, grid, contour, encoding", bare, "ms")
    line("in process: the whole answer, counted, no text", clock.median("service"), "ms")
    line(
        "over HTTP",
        http,
        "ms",
        note=f"p90 {clock.p90('http'):.1f}, {np.median(sizes):,.0f} kB, {in_answer} bands",
    )
    for name, ms in stages.items():
        line(f"  {name}", ms, "ms", note=f"{ms / http:.0%} of HTTP's")
    line("  the rest: text, server, connection", http - sum(stages.values()), "ms")
    line("HTTP : in process", http / bare, "x", most=3.0)
    line(
        "service from its start to its first answer",
        took,
        "s",
        note="database migrated, graphs on disk",
    )


def teams_of(ground: Ground, network: Network) -> Any:
    (layer,) = ground.catalog.with_role(Role.TEAM)
    return ground.anchored([layer], network)[layer.id].positions


def table(report: Report, ground: Ground, rounds: int) -> None:
    """Measure what all teams reach in 15 minutes, on one core, and one team moved."""
    moment = ground.now()
    for profile in (moment.default_profile, "ordinary"):
        network = ground.network(moment, profile)
        starts = teams_of(ground, network)
        wanted = [ground.catalog[name] for name in TARGETS]
        people = ground.catalog.population
        anchored = ground.anchored([*wanted, people], network)
        layers = [anchored[layer.id] for layer in wanted]
        layers.append(ours.first_features(anchored[people.id], PEOPLE))
        counts = " + ".join(f"{len(layer.rows):,}" for layer in layers)
        section = f"table of {len(starts)} teams x ({counts}) within 15 minutes, one core"
        tables = ours.Tables(
            network.graph, starts, np.zeros(len(starts), np.int32), TABLE_MS, layers
        )
        clock, found = Clock(), tables.whole()
        random = np.random.default_rng(15)
        for _ in range(rounds):
            report.spin()
            found = clock("table", tables.whole)
            for team in random.integers(0, len(starts), 5).tolist():
                clock("moved", tables.moved, found, team)

        line = report.of(f"{section}, profile {profile}", "demo")
        size = sum(one.feature.nbytes + one.ms.nbytes + one.indptr.nbytes for one in found)
        pairs = sum(len(one.feature) for one in found)
        whole = sum(len(starts) * one.features for one in found)
        line("the table", clock.median("table") / 1000, "s", most=1.0)
        line("one team moved", clock.median("moved"), "ms", most=50.0)
        line("stored", size / 2**20, "MB", note=f"{pairs:,} of {whole:,} pairs")
