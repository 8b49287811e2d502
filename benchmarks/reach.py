"""How fast riskmap answers who reaches what, beside Valhalla, OSRM, pgRouting and scipy.

    python benchmarks/reach.py DATA [--networks porto,nanjing,...] [--cache FOLDER] [--json FILE]

DATA holds porto/porto_2015.osm.pbf, nanjing/roads.gpkg and porto-alegre/poa_osm.pbf; each can be
given by an option of its own, and what is not there is left out by name. The demo city comes with
the package, and the network of a million directed edges is stitched of mirrored copies of Nanjing.

One run: the same networks, the same origins, every side in turns, medians. Each side's call alone
is within its clock, in its own process: Valhalla and OSRM answer over a pipe and time themselves.
They have wheels for Python 3.12 only: an environment with that Python is made in the cache, where
their tiles and tables stay. PostgreSQL with pgRouting (Debian: postgresql-15-pgrouting) is started
in a folder of its own. Valhalla and OSRM know their own speeds and no others, so that what they
reach is alike and not the same; pgRouting and scipy have our costs to the millisecond.

Read the ratios: the milliseconds are those of this machine at this hour. How busy it was is told
by how much the same arithmetic varied between the turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import reach_circles
import reach_closing
import reach_memory
import reach_networks
import reach_postgres
import reach_service
import reach_tables
from reach_networks import Bench
from reach_peers import Environment, MissingError, Peer
from reach_postgres import Routing
from reach_table import Report

from riskmap.db.cluster import Cluster
from riskmap.demo.load import layers_folder

NETWORKS = ("porto", "nanjing", "porto-alegre", "demo", "large")
PARTS = ("circles", "growth", "nearest", "matrix", "closing", "service", "memory")
LARGE_ARCS = 1_000_000


def cache_folder() -> Path:
    """Return where users keep what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "riskmap-benchmarks"


class Run:
    """What the parts share: networks and peers, each made when it is first asked for."""

    def __init__(self, options: argparse.Namespace, report: Report, stack: ExitStack) -> None:
        self.options, self.report, self.stack = options, report, stack
        self.environment = Environment(options.cache)
        self._made: dict[str, object] = {}
        self.versions: dict[str, str] = {}
        if not options.no_peers:
            self.versions = self._or_note(self.environment.make) or {}
            if self.versions:
                report.note(f"peers: {self.versions}")

    def _or_note(self, make: Callable[[], object]) -> object:
        try:
            return make()
        except MissingError as error:
            self.report.note(f"left out: {error}")
            return None

    def _once(self, key: str, make: Callable[[], object]) -> object:
        if key not in self._made:
            self._made[key] = self._or_note(make)
        return self._made[key]

    def file(self, name: str) -> Path:
        given: dict[str, Path | None] = {
            "porto": self.options.porto,
            "nanjing": self.options.nanjing,
            "porto-alegre": self.options.porto_alegre,
            "demo": layers_folder() / "roads.osm.pbf",
        }
        usual = {
            "porto": "porto/porto_2015.osm.pbf",
            "nanjing": "nanjing/roads.gpkg",
            "porto-alegre": "porto-alegre/poa_osm.pbf",
        }
        file = given[name] or (self.options.data or Path()) / usual[name]
        if not file.exists():
            raise MissingError(f"{name}: no file {file}")
        return file

    def network(self, name: str) -> Bench | None:
        """Return a network, or None where its file is not there or it is not wanted."""
        if name not in self.options.networks:
            return None

        def make() -> Bench:
            if name == "large":
                one = reach_networks.read("nanjing", self.file("nanjing"))
                found = reach_networks.ready(reach_networks.stitched(one, self.options.large_arcs))
            else:
                found = reach_networks.ready(reach_networks.read(name, self.file(name)))
            graph = found.turned.graph
            self.report.note(
                f"{found.name}: {graph.node_count:,} junctions, {graph.edge_count:,} roads, "
                f"{found.arcs:,} directed edges, {len(found.roads.bans):,} banned turns"
            )
            return found

        return self._once(name, make)  # type: ignore[return-value]

    def valhalla(self, bench: Bench) -> Peer | None:
        return self._peer("valhalla", "pyvalhalla", bench)

    def osrm(self, bench: Bench) -> Peer | None:
        return self._peer("osrm", "osrm-bindings", bench)

    def _peer(self, kind: str, package: str, bench: Bench) -> Peer | None:
        if package not in self.versions:
            return None

        def make() -> Peer:
            build = getattr(self.environment, kind)
            data = build(self.environment.pbf(bench.roads), self.versions[package])
            peer = Peer(self.environment, kind, data)
            self.stack.callback(peer.stop)
            return peer

        return self._once(f"{kind} {bench.name}", make)  # type: ignore[return-value]

    @property
    def cluster(self) -> Cluster:
        def make() -> Cluster:
            folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="riskmap-bench-"))
            return self.stack.enter_context(reach_postgres.cluster(Path(folder)))

        return self._once("cluster", make)  # type: ignore[return-value]

    def routing(self, bench: Bench) -> Routing | None:
        if self.options.no_peers:
            return None

        def make() -> Routing:
            if not reach_postgres.has_pgrouting(self.cluster):
                raise MissingError("PostgreSQL has no pgRouting (Debian: postgresql-15-pgrouting)")
            name = f"bench_{len(self._made)}"
            routing = reach_postgres.load(self.cluster, name, bench.plain.graph)
            self.stack.callback(routing.close)
            return routing

        return self._once(f"routing {bench.name}", make)  # type: ignore[return-value]


def measure(run: Run) -> None:
    options, report = run.options, run.report
    small = [one for one in map(run.network, NETWORKS[:-1]) if one is not None]
    by_name = {one.name: one for one in small}
    if "circles" in options.parts:
        for bench in small:
            peers = run.valhalla(bench), run.routing(bench)
            count = options.origins
            reach_circles.circles(
                report, bench, bench.origins(count), options.cell, *peers,
                targets=bench.name == "porto",
            )  # fmt: skip
    nanjing, porto = by_name.get("nanjing"), by_name.get("porto")
    if "growth" in options.parts and nanjing and (large := run.network("large")):
        reach_circles.growth(
            report, nanjing, large, options.origins, options.cell, run.routing(large)
        )
    if "nearest" in options.parts and nanjing:
        reach_tables.nearest(report, nanjing, 383, options.rounds)
    if "matrix" in options.parts and porto:
        reach_tables.matrix(report, porto, run.osrm(porto), options.rounds)
    if "closing" in options.parts:
        for bench in filter(None, (porto, nanjing)):
            origins = bench.origins(options.origins)
            reach_closing.closing(report, bench, origins, options.cell, run.valhalla(bench))
    if "memory" in options.parts:
        for bench in filter(None, (porto, run.network("large"))):
            reach_memory.memory(report, bench, options.cell, options.rounds)
    if "service" in options.parts:
        reach_service.service(report, run.cluster, options.origins, options.cell, options.rounds)


def listed(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        for one in found:
            if one not in known:
                raise argparse.ArgumentTypeError(f"{one}: one of {', '.join(known)}")
        return found

    return read


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", help="folder of the networks' files")
    for name in NETWORKS[:3]:
        parser.add_argument(f"--{name}", type=Path, help=f"the file of {name}")
    parser.add_argument("--networks", type=listed(NETWORKS), default=NETWORKS, help="which of them")
    parser.add_argument("--parts", type=listed(PARTS), default=PARTS, help="what to measure")
    parser.add_argument("--origins", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=7, help="of tables and matrices")
    parser.add_argument("--cell", type=float, default=75.0, help="metres")
    parser.add_argument("--large-arcs", type=int, default=LARGE_ARCS)
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="of the peers' files")
    parser.add_argument("--no-peers", action="store_true", help="riskmap and scipy alone")
    parser.add_argument("--json", type=Path, help="write all lines there")
    options = parser.parse_args()
    report = Report()
    try:
        with ExitStack() as stack:
            measure(Run(options, report, stack))
    finally:
        report.end(options.json)


if __name__ == "__main__":
    main()
