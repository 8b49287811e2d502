"""What a graph takes: memory alone and shared by two workers, loading, the first answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reach_networks import Bench
from reach_table import Clock, Report

from riskmap.roads.graph import RoadGraph


class Worker:
    """A fresh process that loads a graph and answers once."""

    def __init__(self, folder: Path, lonlat: Any, cell_m: float) -> None:
        words = [folder, *map(float, lonlat), cell_m, time.time()]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("reach_worker.py"), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        self.first = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def again(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._read()

    def stop(self) -> None:
        # The end of its input is what it waits for.
        self.process.communicate(timeout=60)


def memory(report: Report, bench: Bench, cell_m: float, rounds: int) -> None:
    """Measure the graph that riskmap answers by: with turns."""
    section = "memory of a graph, load from disk, first answer of a fresh process"
    millions = bench.arcs / 1e6

    line = report.of(section, bench.name)
    with tempfile.TemporaryDirectory(prefix="riskmap-bench-") as name:
        folder = Path(name) / "graph"
        bench.turned.graph.save(folder)
        disk = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
        clock = Clock()
        for _ in range(rounds):
            report.spin()
            clock("load", RoadGraph.load, folder)
        lonlat = bench.origins(1).lonlat[0]
        starts: list[dict[str, Any]] = []
        # The first may have kernels to compile; what counts is what every later start takes.
        for _ in range(min(rounds, 3) + 1):
            worker = Worker(folder, lonlat, cell_m)
            starts.append(worker.first)
            worker.stop()
        pair = [Worker(folder, lonlat, cell_m) for _ in range(2)]
        shared = [worker.again() for worker in pair]
        for worker in pair:
            worker.stop()
    usual = sorted(starts[1:], key=lambda one: one["total_s"])[len(starts[1:]) // 2]
    line("graph on disk", disk, "MB")
    line("graph on disk for a million directed edges", disk / millions, "MB")
    line("a circle touches of it", starts[-1]["after"]["graph_rss"], "MB")
    line("graph resident in each of two workers, all touched", shared[0]["graph_rss"], "MB")
    each = sum(one["graph_pss"] for one in shared) / 2
    line("its share of each (PSS)", each, "MB")
    line("  the same for a million directed edges", each / millions, "MB")
    line("RSS of a worker, all touched", shared[0]["rss"], "MB")
    line("PSS of a worker, two at work", sum(one["pss"] for one in shared) / 2, "MB")
    line("load from disk", clock.median("load") / 1000, "s", most=1.0)
    line("first answer after the process began", usual["total_s"], "s", most=1.0)
    for part in ("python", "import", "load", "snapper", "circle"):
        line(f"  {part}", usual[f"{part}_s"], "s")
    line("first answer where kernels had to be compiled or read", starts[0]["total_s"], "s")
