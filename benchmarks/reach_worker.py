"""A worker of benchmarks/reach.py: loads a graph from disk, answers once, tells its memory.

    python reach_worker.py FOLDER LON LAT CELL STARTED

Writes a line of JSON, waits for a line, writes another: so two of them hold the graph at once.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def memory_of(folder: str) -> dict[str, float]:
    """Return MB: of the whole process, and of the mapped files of a folder."""
    found = {"rss": 0.0, "pss": 0.0, "graph_rss": 0.0, "graph_pss": 0.0}
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            inside = folder in rest
        elif name in ("Rss:", "Pss:"):
            kind, megabytes = name[:-1].lower(), int(rest.split()[0]) / 1024
            found[kind] += megabytes
            if inside:
                found[f"graph_{kind}"] += megabytes
    return found


def main() -> None:
    folder, lon, lat, cell, started = sys.argv[1:]
    began = time.time()
    # What importing takes is part of the first answer.
    import reach_ours as ours  # noqa: PLC0415

    from riskmap.roads.graph import RoadGraph  # noqa: PLC0415
    from riskmap.roads.graphs import Network  # noqa: PLC0415

    imported = time.time()
    graph = RoadGraph.load(Path(folder))
    loaded = time.time()
    network = Network(graph)
    start = network.snapper.snap(network.to_local([[float(lon), float(lat)]]), 500.0)
    snapped = time.time()
    text = ours.circle(network, start, float(cell))
    answered = time.time()
    after = memory_of(folder)
    # A worker that has served the whole city has touched every page.
    for array in vars(graph).values():
        if hasattr(array, "nbytes"):
            array.max(initial=0)
    said = {
        "python_s": began - float(started),
        "import_s": imported - began,
        "load_s": loaded - imported,
        "snapper_s": snapped - loaded,
        "circle_s": answered - snapped,
        "total_s": answered - float(started),
        "bytes": len(text),
        "after": after,
    }
    print(json.dumps(said), flush=True)
    sys.stdin.readline()
    print(json.dumps(memory_of(folder)), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
