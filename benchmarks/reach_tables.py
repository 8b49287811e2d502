"""Nearest of many beside scipy, and a matrix beside OSRM."""

from __future__ import annotations

import numpy as np
import reach_ours as ours
from reach_networks import Bench
from reach_peers import Peer
from reach_table import Clock, Report
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from riskmap.roads.graph import RoadGraph
from riskmap.units import UNREACHED


def scipy_matrix(graph: RoadGraph) -> csr_array:
    """Return the arcs as scipy takes them: of a parallel pair one, since it adds them up."""
    tail = np.repeat(np.arange(graph.node_count), np.diff(graph.indptr))
    order = np.lexsort((graph.cost_ms, graph.head, tail))
    pairs = np.column_stack([tail, graph.head])[order]
    arcs = order[np.unique(pairs, axis=0, return_index=True)[1]]
    costs = graph.cost_ms[arcs].astype(float)
    return csr_array((costs, (tail[arcs], graph.head[arcs])), (graph.node_count,) * 2)


def nearest(report: Report, bench: Bench, starts: int, rounds: int) -> None:
    """Measure who of many starts is nearest to every junction of the whole network."""
    graph, matrix, clock = bench.plain.graph, scipy_matrix(bench.plain.graph), Clock()
    origins = bench.origins(starts, seed=383)
    junctions = ours.at_junctions(graph, origins.positions.edge)
    nodes = np.unique(graph.edge_from[origins.positions.edge])
    differ = 0
    for _ in clock.turns(report, rounds, warm=1):
        times = clock("ours", ours.find, graph, junctions, ours.EVERYWHERE_MS)
        clock("turns", ours.find, bench.turned.graph, origins.positions, ours.EVERYWHERE_MS)
        theirs = clock("scipy", dijkstra, matrix, indices=nodes, min_only=True)
        found = ours.at_every_node(graph, times)
        differ += int((np.where(found == UNREACHED, np.inf, found) != theirs).sum())
    say = report.of(f"nearest of {starts} starts for the whole network", bench.name)
    say("ours, turns free, with the winning start", clock.median("ours"), "ms")
    say("scipy dijkstra(min_only=True), without it", clock.median("scipy"), "ms")
    say("scipy : ours", clock.ratio("scipy", "ours"), "x", least=3.0)
    say("ours with turns and partial edges", clock.median("turns"), "ms")
    say("scipy : ours with turns", clock.ratio("scipy", "turns"), "x")
    say(f"junctions of {graph.node_count:,} whose times differ", differ, "", most=0.0)


def matrix(report: Report, bench: Bench, osrm: Peer | None, rounds: int) -> None:
    """Measure a matrix of 100 x 2,000 without a limit, in one thread and in two."""
    froms, tos, clock = bench.origins(100, seed=100), bench.origins(2000, seed=2000), Clock()
    graphs = {"turns free": bench.plain.graph, "with turns": bench.turned.graph}
    sides = [
        (f"ours, {name}, {n} thread{'s'[: n - 1]}", name, n) for name in graphs for n in (1, 2)
    ]
    for _ in clock.turns(report, rounds, warm=1):
        for side, name, threads in sides:
            clock(
                side, ours.travel_matrix, graphs[name], froms.positions, tos.positions,
                ours.EVERYWHERE_MS, threads=threads,
            )  # fmt: skip
        if osrm is not None:
            said = osrm.ask(sources=froms.lonlat.tolist(), targets=tos.lonlat.tolist())
            assert (said["rows"], said["columns"]) == (100, 2000)
            clock.take("osrm", said["ms"])
    say = report.of("matrix of 100 x 2,000, no limit", bench.name)
    for side, _, _ in sides:
        say(side, clock.median(side), "ms")
    if "osrm" in clock:
        say("OSRM table, contraction hierarchy, 1 thread", clock.median("osrm"), "ms")
        for side, _, _ in sides:
            least = 2.0 if side == "ours, turns free, 1 thread" else None
            say(f"OSRM : {side}", clock.ratio("osrm", side), "x", least=least)
