"""Circles in process beside Valhalla and pgRouting, and on a network of a million edges."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import reach_ours as ours
from reach_networks import Bench, Origins
from reach_peers import Peer, isochrone
from reach_postgres import Routing
from reach_table import Clock, Report, Say

STAGES = ("search", "grid", "contour", "encoding")
LIMIT_MS = ours.LIMITS_MS[-1]


@dataclass
class Seen:
    """What the drawings are like; looked at, not timed."""

    drawn: int = 0
    invalid: int = 0
    farthest_m: float = 0.0
    kilobytes: list[float] = field(default_factory=list)

    def look(self, bench: Bench, origins: Origins, row: int, cell_m: float, text: bytes) -> None:
        graph = bench.turned.graph
        shapes = ours.shapes_of(text)
        self.drawn += len(shapes)
        self.invalid += sum(not shape.is_valid for shape in shapes)
        self.kilobytes.append(len(text) / 1000)
        times = ours.circle_search(graph, origins.one(row))
        surface = ours.grid(graph, times, cell_m)
        self.farthest_m = max(self.farthest_m, ours.farthest_cell_m(graph, times, surface))


def circles(
    report: Report,
    bench: Bench,
    origins: Origins,
    cell_m: float,
    valhalla: Peer | None,
    routing: Routing | None,
    *,
    targets: bool,
) -> None:
    """Measure circles of four bands, each origin by every side in turn."""
    clock, seen = Clock(), Seen()
    plain, turned = bench.plain.graph, bench.turned.graph
    for row, counts in clock.turns(report, len(origins)):
        start, junction = origins.one(row), origins.junction(row)
        text = clock("circle", staged, clock, bench, origins, row, cell_m)
        for name, graph, origin in (
            ("with turns", turned, start), ("partial", plain, start), ("node", plain, junction)
        ):  # fmt: skip
            # Once before: whoever searches second finds the graph in the processor's cache.
            ours.find(graph, origin, LIMIT_MS)
            clock(name, ours.find, graph, origin, LIMIT_MS)
        if valhalla is not None:
            said = isochrone(valhalla, origins.lonlat[row], ours.MINUTES)
            clock.take("valhalla", said["ms"])
        if routing is not None:
            node, place = origins.node_id(row), tuple(start.xy[0].tolist())
            clock.take("pgr", routing.count(node, LIMIT_MS))
            clock.take("pgr box", routing.count(node, LIMIT_MS, place))
        if counts:
            seen.look(bench, origins, row, cell_m, text)
    section = f"circle of 5/8/10/15 min as GeoJSON, {cell_m:g} m, {len(origins)} origins, warm"
    _say(report.of(section, bench.name), clock, seen, cell_m, targets=targets)


def staged(clock: Clock, bench: Bench, origins: Origins, row: int, cell_m: float) -> bytes:
    """Draw one circle, each stage within a clock of its own."""
    graph = bench.turned.graph
    times = clock("search", ours.circle_search, graph, origins.one(row))
    surface = clock("grid", ours.grid, graph, times, cell_m)
    rings = clock("contour", ours.contour, surface)
    return clock("encoding", ours.encode, bench.turned, rings)


def _say(say: Say, clock: Clock, seen: Seen, cell_m: float, *, targets: bool) -> None:
    def least(value: float) -> float | None:
        return value if targets else None

    size = f"p90 {clock.p90('circle'):.1f}, {np.median(seen.kilobytes):,.0f} kB"
    say("ours: whole circle", clock.median("circle"), "ms", note=size)
    total = sum(clock.median(name) for name in STAGES)
    for name in STAGES:
        share = f"{clock.median(name) / total:.0%} of the stages"
        say(f"  {name}", clock.median(name), "ms", note=share)
    if "valhalla" in clock:
        p90 = f"p90 {clock.p90('valhalla'):.1f}"
        say("Valhalla isochrone, 4 contours", clock.median("valhalla"), "ms", note=p90)
        say("Valhalla : ours", clock.ratio("valhalla", "circle"), "x", least=least(20.0))
    if "pgr" in clock:
        p90 = f"p90 {clock.p90('pgr'):.1f}"
        say("pgr_drivingDistance, count only", clock.median("pgr"), "ms", note=p90)
        say("pgr_drivingDistance : ours", clock.ratio("pgr", "circle"), "x", least=least(15.0))
        say("pgr_drivingDistance, edges of a box", clock.median("pgr box"), "ms")
        say("pgr_drivingDistance of a box : ours", clock.ratio("pgr box", "circle"), "x")
    say("node search of the same kernel, from a junction", clock.median("node"), "ms")
    say("search with turns and partial edges", clock.median("with turns"), "ms")
    most = 2.0 if targets else None
    say("search with turns : node search", clock.ratio("with turns", "node"), "x", most=most)
    say("search with partial edges alone : node search", clock.ratio("partial", "node"), "x")
    say(f"invalid polygons of {seen.drawn}", seen.invalid, "", most=0.0)
    leg = round(max(ours.OFF_ROAD_MAX_M, ours.OWN_CELLS * cell_m), 1)
    say("farthest cell from a road where one can stop", seen.farthest_m, "m", most=leg)


def growth(
    report: Report, small: Bench, large: Bench, count: int, cell_m: float, routing: Routing | None
) -> None:
    """Measure the same circles on a network and on the one that is made of copies of it."""
    # In the middle: nobody gets from there across a border, where the large network goes on.
    places = small.origins(count * 20).positions.xy
    middle = small.plain.graph.xy.mean(axis=0)
    places = places[np.argsort(np.hypot(*(places - middle).T))[: count * 2 : 2]]
    clock = Clock()
    for row, _ in clock.turns(report, count):
        xy = places[row : row + 1]
        for name, bench in (("small", small), ("large", large)):
            start = bench.turned.snapper.snap(xy, 1.0)
            clock(name, ours.circle, bench.turned, start, cell_m)
            clock(f"{name} search", ours.find, bench.turned.graph, start, LIMIT_MS)
        if routing is not None and row < 8:
            graph = large.plain.graph
            edge = large.plain.snapper.snap(xy, 1.0).edge[0]
            node, place = int(graph.node_id[graph.edge_from[edge]]), tuple(xy[0].tolist())
            clock.take("pgr", routing.count(node, LIMIT_MS))
            clock.take("pgr box", routing.count(node, LIMIT_MS, place))
    say = report.of("the same circles on a large network of copies", large.name)
    say("directed edges", large.arcs, "", least=1_000_000)
    say(f"ours, on {small.name}", clock.median("small"), "ms")
    p90 = f"p90 {clock.p90('large'):.1f}"
    say("ours, on the large network", clock.median("large"), "ms", note=p90)
    say("large : small, whole circle", clock.ratio("large", "small"), "x", most=1.3)
    say("large : small, search", clock.ratio("large search", "small search"), "x")
    if "pgr" in clock:
        say("pgr_drivingDistance, count only", clock.median("pgr"), "ms")
        say("pgr_drivingDistance : ours", clock.ratio("pgr", "large"), "x", least=50.0)
        say("pgr_drivingDistance of a box : ours", clock.ratio("pgr box", "large"), "x")
