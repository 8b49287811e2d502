"""How long a page of features and a whole layer take beside TiPg, pg_featureserv and psql.

    python benchmarks/features.py [--rows 1000000] [--rounds 7] [--layer population-cells]
        [--tipg VERSION] [--pg-featureserv PROGRAM]

One run: a private PostgreSQL with one layer of synthetic points (same seed, same rows), all sides
on that database in turns, each over one connection on the loopback without compression. PostgreSQL
listens on a socket alone, and every side is told its folder.

riskmap         uvicorn, one worker, anonymous: the public fields.
tipg            TiPg in a venv of its own, made here (pip), under the same uvicorn, one worker.
pg_featureserv  `go install github.com/CrunchyData/pg_featureserv@latest` where the Go proxy has it;
                its program is given by --pg-featureserv, or found on the PATH. It serves at most as
                many features as it is configured to: here a page's.
psql, build     the same features by json_build_object, psql writing to /dev/null.
psql, ours      the statement that riskmap itself sends, psql writing to /dev/null.

Read the ratios: the milliseconds are those of this machine at this hour. How busy it was is told
by the load, and by how much the same `SELECT` of pure arithmetic varied between rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from features_sides import (
    Peer,
    body_of,
    last_page,
    peak_mb,
    pg_featureserv,
    psql,
    riskmap,
    tipg,
)
from features_table import load, ours_sql, peer_sql

from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Layer
from riskmap.db.cluster import Cluster
from riskmap.settings import Settings

PAGE = 10_000
SPIN = "SELECT sum(sqrt(n)) FROM generate_series(1, 300000) n"

Times = dict[str, list[float]]


def clock(times: Times, name: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    times.setdefault(name, []).append((time.perf_counter() - began) * 1000)


def show(times: Times, against: str) -> dict[str, float]:
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        ratio = medians[name] / medians[against]
        print(
            f"  {name:24} {medians[name]:10.1f} ms  x{ratio:6.2f}"
            f"   ({min(values):,.1f} … {max(values):,.1f})"
        )
    return medians


def pages(cluster: Cluster, layer: Layer, peers: list[Peer], rounds: int) -> None:
    times: Times = {}
    build, ours = peer_sql(layer, PAGE), ours_sql(layer, PAGE)
    last = last_page(peers[0], PAGE)
    size = {peer.name: len(body_of(peer.page(PAGE))) for peer in peers}
    psql_start: Times = {}
    for _ in range(rounds):
        for peer in peers:
            clock(times, peer.name, lambda peer=peer: body_of(peer.page(PAGE)))
        clock(times, "riskmap, last page", lambda: body_of(last))
        clock(times, "psql, build", lambda: psql(cluster, build))
        clock(times, "psql, ours", lambda: psql(cluster, ours))
        clock(psql_start, "psql", lambda: psql(cluster, "SELECT 1"))
        clock(psql_start, "noise", lambda: psql(cluster, SPIN))
    print(f"\npage of {PAGE:,} features; ratio to riskmap; (least … most)")
    medians = show(times, "riskmap")
    print("  bytes: " + ", ".join(f"{name} {count:,}" for name, count in size.items()))
    start = statistics.median(psql_start["psql"])
    noise = psql_start["noise"]
    print(
        f"  psql's own start {start:.0f} ms is within its times; noise: the same arithmetic took "
        f"{min(noise):.0f} … {max(noise):.0f} ms; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} processors"
    )
    mine = medians["riskmap"]
    for name in ("psql, build", "psql, ours"):
        print(f"  riskmap : {name} = {mine / medians[name]:.2f} (target 1.5)")
    if "tipg" in medians:
        print(f"  tipg : riskmap = {medians['tipg'] / mine:.1f} (target 20)")
    print(f"  last page : first page = {medians['riskmap, last page'] / mine:.2f} (target 2)")


def whole(cluster: Cluster, layer: Layer, mine: Peer, rows: int, rounds: int) -> None:
    stream = mine.whole()
    if stream is None:
        print("\nno stream: this version answers f=geojsonseq with an error")
        return
    times: Times = {}
    body_of(mine.page(10))
    mine.forget_peak()
    before = peak_mb(mine.pid)
    ours = ours_sql(layer, None)
    for _ in range(rounds):
        clock(times, "riskmap", lambda: body_of(stream, keep=False))
        clock(times, "psql, ours", lambda: psql(cluster, ours, rows_at_once=PAGE))
        clock(times, "psql, COPY", lambda: psql(cluster, f"COPY ({ours}) TO STDOUT"))
    print(f"\n{rows:,} features as GeoJSONSeq; ratio to psql with FETCH_COUNT")
    medians = show(times, "psql, ours")
    print(
        f"  riskmap : psql = {medians['riskmap'] / medians['psql, ours']:.2f} (target 1.3); "
        f"grown by {peak_mb(mine.pid) - before:.0f} MB (target 50)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--layer", default="population-cells")
    parser.add_argument("--tipg", default="", help="a version other than the newest")
    parser.add_argument("--pg-featureserv", default=shutil.which("pg_featureserv"))
    options = parser.parse_args()
    layer = load_catalog()[options.layer]
    with tempfile.TemporaryDirectory(prefix="riskmap-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the account of root's clusters enters it
        cluster = Cluster.locate(Settings(data_dir=folder / "data"))
        with cluster.running():
            took = load(cluster, layer, options.rows)
            fields = len(list(layer.visible(restricted=False)))
            print(f"{layer.id}: {options.rows:,} points, {fields} public fields, {took:.0f} s")
            peers: list[Peer] = []
            try:
                peers.append(riskmap(cluster, folder, layer))
                peers.append(tipg(cluster, folder, layer, options.tipg))
                if options.pg_featureserv is None:
                    print("pg_featureserv: no program; see --help")
                else:
                    program = options.pg_featureserv
                    peers.append(pg_featureserv(cluster, folder, layer, program, PAGE))
                for peer in peers:
                    print(f"{peer.name}: {peer.version}")
                pages(cluster, layer, peers, options.rounds)
                whole(cluster, layer, peers[0], options.rows, max(1, options.rounds // 2))
            finally:
                for peer in peers:
                    peer.stop()


if __name__ == "__main__":
    main()
