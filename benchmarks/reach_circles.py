"""Circles in process beside Valhalla and pgRouting, the large network, and a closed polygon."""

from __future__ import annotations

import numpy as np
import reach_ours as ours
import shapely
from reach_networks import Bench, Origins
from reach_peers import MissingError, Peer, isochrone
from reach_postgres import Routing
from reach_table import Clock, Report
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from riskmap.units import UNREACHED

STAGES = ("search", "grid", "contour", "encoding")


def staged(clock: Clock, bench: Bench, origins: Origins, row: int, cell_m: float) -> bytes:
    """Draw one circle by stages, the whole within a clock of its own."""
    start, network = origins.one(row), bench.turned

    def whole() -> bytes:
        times = clock("search", lambda: ours.circle_search(network.graph, start))
        surface = clock("grid", lambda: ours.grid(network.graph, times, cell_m))
        rings = clock("contour", lambda: ours.contour(surface))
        return clock("encoding", lambda: ours.encode(network, rings))

    return clock("circle", whole)


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
    section = f"circle of 5/8/10/15 min as GeoJSON, {cell_m:g} m, {len(origins)} origins, warm"
    clock, plain = Clock(), bench.plain.graph
    areas: dict[str, list[float]] = {"ours": [], "valhalla": []}
    invalid, drawn, farthest, sizes = 0, 0, 0.0, []
    limit = ours.LIMITS_MS[-1]
    for row in range(-2, len(origins)):
        if row == 0:
            clock.ms.clear()  # two turns to compile and to warm up
        report.spin()
        turn = max(row, 0)
        start = origins.one(turn)
        text = staged(clock, bench, origins, turn, cell_m)
        clock("edge search", lambda: ours.find(bench.turned.graph, start, limit))
        clock(
            "free edge search",
            lambda: ours.find(plain, start, limit),  # noqa: B023
        )
        junction = origins.junction(turn)
        clock("node search", lambda: ours.find(plain, junction, limit))  # noqa: B023
        if valhalla is not None:
            said = isochrone(valhalla, origins.lonlat[turn], ours.MINUTES, answer=row == 0)
            clock.take("valhalla", said["ms"])
        if routing is not None:
            node = origins.node_id(turn)
            clock.take("pgr", routing.count(node, limit))
            place = tuple(start.xy[0].tolist())
            clock.take("pgr bbox", routing.count(node, limit, place))
        if row < 0:
            continue
        # What follows is looked at, not timed.
        shapes = ours.shapes_of(text)
        invalid += sum(not shape.is_valid for shape in shapes)
        drawn += len(shapes)
        sizes.append(len(text) / 1000)
        areas["ours"].append(sum(1 for shape in shapes if not shape.is_empty))
        times = ours.circle_search(bench.turned.graph, start)
        surface = ours.grid(bench.turned.graph, times, cell_m)
        farthest = max(farthest, ours.farthest_cell_m(bench.turned.graph, times, surface))

    def line(name: str, value: float, unit: str, **more: object) -> None:
        report.add(section, bench.name, name, value, unit, **more)

    total = clock.median("circle")
    line("ours: whole circle", total, "ms", note=f"p90 {clock.p90('circle'):.1f}, {np.median(sizes):,.0f} kB")
    stages = sum(clock.median(name) for name in STAGES)
    for name in STAGES:
        share = clock.median(name) / stages
        line(f"  {name}", clock.median(name), "ms", note=f"{share:.0%} of the stages")
    if "valhalla" in clock:
        line("Valhalla isochrone, 4 contours", clock.median("valhalla"), "ms", note=f"p90 {clock.p90('valhalla'):.1f}")
        ratio = clock.median("valhalla") / total
        line("Valhalla : ours", ratio, "x", least=20.0 if targets else None)
    if "pgr" in clock:
        line("pgr_drivingDistance, count only", clock.median("pgr"), "ms", note=f"p90 {clock.p90('pgr'):.1f}")
        line("pgr_drivingDistance : ours", clock.median("pgr") / total, "x", least=15.0 if targets else None)
        line("pgr_drivingDistance, edges of a box", clock.median("pgr bbox"), "ms")
        line("pgr_drivingDistance of a box : ours", clock.median("pgr bbox") / total, "x")
    node = clock.median("node search")
    line("node search of the same kernel, from a junction", node, "ms")
    line("search with turns and partial edges", clock.median("edge search"), "ms")
    line("search with turns : node search", clock.median("edge search") / node, "x", most=2.0 if targets else None)
    line("partial edges alone : node search", clock.median("free edge search") / node, "x")
    line(f"invalid polygons of {drawn}", invalid, "", most=0.0)
    leg = max(ours.OFF_ROAD_MAX_M, ours.OWN_CELLS * cell_m)
    line("farthest cell from a road where one can stop", farthest, "m", most=round(leg, 1))


def growth(
    report: Report, small: Bench, large: Bench, count: int, cell_m: float, routing: Routing | None
) -> None:
    """Measure the same circles on a network and on the one that is made of copies of it."""
    section = "the same circle on the large network: its first copy lies where the original does"
    random = np.random.default_rng(17)
    middle = small.plain.graph.xy.mean(axis=0)
    near = small.origins(count * 20).positions
    order = np.argsort(np.hypot(*(near.xy - middle).T))[: count * 2]
    rows = np.sort(random.choice(order, count, replace=False))
    clock = Clock()
    starts = [near.xy[row : row + 1] for row in rows]
    for turn, xy in [(0, starts[0]), (0, starts[0]), *enumerate(starts)]:
        report.spin()
        for name, bench in (("small", small), ("large", large)):
            start = bench.turned.snapper.snap(xy, 1.0)
            clock(name, lambda: ours.circle(bench.turned, start, cell_m))  # noqa: B023
            clock(
                f"{name} search",
                lambda: ours.find(bench.turned.graph, start, ours.LIMITS_MS[-1]),  # noqa: B023
            )
        if routing is not None and turn < 8:
            graph = large.plain.graph
            edge = large.plain.snapper.snap(xy, 1.0).edge[0]
            node = int(graph.node_id[graph.edge_from[edge]])
            clock.take("pgr", routing.count(node, ours.LIMITS_MS[-1]))
            place = tuple(xy[0].tolist())
            clock.take("pgr bbox", routing.count(node, ours.LIMITS_MS[-1], place))

    def line(name: str, value: float, unit: str, **more: object) -> None:
        report.add(section, large.name, name, value, unit, **more)

    line("directed edges", large.arcs, "", least=1_000_000)
    line(f"ours, on {small.name}", clock.median("small"), "ms")
    line("ours, on the large network", clock.median("large"), "ms", note=f"p90 {clock.p90('large'):.1f}")
    line("large : small, whole circle", clock.median("large") / clock.median("small"), "x", most=1.3)
    line("large : small, search", clock.median("large search") / clock.median("small search"), "x")
    if "pgr" in clock:
        line("pgr_drivingDistance, count only", clock.median("pgr"), "ms")
        line("pgr_drivingDistance : ours", clock.median("pgr") / clock.median("large"), "x", least=50.0)
        line("pgr_drivingDistance of a box : ours", clock.median("pgr bbox") / clock.median("large"), "x")


def wavy(centre: np.ndarray, radius_m: float, vertices: int) -> shapely.Polygon:
    """Return a polygon of many vertices around a place, in and out by a fifth as water lies."""
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radius = radius_m * (1 + 0.1 * np.sin(7 * angle) + 0.1 * np.sin(31 * angle + 1))
    return shapely.Polygon(centre + np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))


def closing(
    report: Report, bench: Bench, origins: Origins, cell_m: float, valhalla: Peer | None
) -> None:
    """Measure circles beside a closed polygon of a thousand vertices over the middle of a city."""
    section = "a closed polygon of 1,000 vertices, 3 km around the city's middle"
    clock = Clock()
    places = origins.positions.xy
    middle = np.median(bench.plain.graph.xy, axis=0)
    area = wavy(middle, 3000.0, 1000)
    ring = bench.plain.to_lonlat(shapely.get_coordinates(area)).tolist()
    report.spin()
    index = clock("index", lambda: ours.closing_index(bench.turned))
    outside = np.flatnonzero(~shapely.contains_xy(area.buffer(200), places[:, 0], places[:, 1]))
    near = outside[np.argsort(np.hypot(*(places[outside] - middle).T))][: max(10, len(origins) // 2)]
    shut = 0
    for turn, row in enumerate([near[0], near[0], *near]):
        if turn == 2:
            clock.ms.clear()
        report.spin()
        start = origins.one(row)
        clock("plain", lambda: ours.circle(bench.turned, start, cell_m))  # noqa: B023

        def around() -> bytes:
            graph = clock("closing", lambda: ours.closed(bench.turned, area, index))
            return ours.circle(type(bench.turned)(graph), start, cell_m)  # noqa: B023

        clock("closed", around)
        if valhalla is not None:
            said = isochrone(valhalla, origins.lonlat[row], ours.MINUTES)
            clock.take("valhalla plain", said["ms"])
            try:
                said = isochrone(valhalla, origins.lonlat[row], ours.MINUTES, ring)
                clock.take("valhalla", said["ms"])
            except MissingError as error:
                if turn == 2:
                    report.note(str(error))
    graph = ours.closed(bench.turned, area, index)
    shut = int((graph.forward_ms == UNREACHED).sum() - (bench.turned.graph.forward_ms == UNREACHED).sum())

    def line(name: str, value: float, unit: str, **more: object) -> None:
        report.add(section, bench.name, name, value, unit, **more)

    line("plain circle", clock.median("plain"), "ms")
    line("circle with the polygon closed", clock.median("closed"), "ms", note=f"{shut:,} roads closed")
    line("  finding and closing the roads", clock.median("closing"), "ms")
    line("closed : plain", clock.median("closed") / clock.median("plain"), "x", most=1.5)
    if "valhalla" in clock:
        line("Valhalla, exclude_polygons", clock.median("valhalla"), "ms")
        line("Valhalla, closed : plain", clock.median("valhalla") / clock.median("valhalla plain"), "x")
        line("Valhalla : ours, both closed", clock.median("valhalla") / clock.median("closed"), "x")


def nearest(report: Report, bench: Bench, count: int, rounds: int) -> None:
    """Measure who of many starts is nearest to every junction, beside scipy on the same arcs."""
    section = f"nearest of {count} starts for the whole network"
    graph = bench.plain.graph
    tail = np.repeat(np.arange(graph.node_count), np.diff(graph.indptr))
    # One arc of each parallel pair: scipy adds up what stands twice.
    order = np.lexsort((graph.cost_ms, graph.head, tail))
    pairs = np.column_stack([tail, graph.head])[order]
    arcs = order[np.unique(pairs, axis=0, return_index=True)[1]]
    size = (graph.node_count, graph.node_count)
    matrix = csr_array((graph.cost_ms[arcs].astype(float), (tail[arcs], graph.head[arcs])), size)
    origins = bench.origins(count, seed=383)
    edge = origins.positions.edge
    junctions = ours.at_junctions(graph, edge)
    nodes = np.unique(graph.edge_from[edge])
    clock = Clock()
    for turn in range(rounds + 1):
        if turn == 1:
            clock.ms.clear()
        report.spin()
        times = clock("ours", lambda: ours.find(graph, junctions, ours.EVERYWHERE_MS))
        clock("turns", lambda: ours.find(bench.turned.graph, origins.positions, ours.EVERYWHERE_MS))
        theirs = clock(
            "scipy",
            lambda: dijkstra(matrix, indices=nodes, min_only=True, return_predecessors=False),
        )
    found = ours.at_every_node(graph, times)
    differ = int((np.where(found == UNREACHED, np.inf, found) != theirs).sum())

    def line(name: str, value: float, unit: str, **more: object) -> None:
        report.add(section, bench.name, name, value, unit, **more)

    line("ours, turns free, with the winning start", clock.median("ours"), "ms")
    line("scipy dijkstra(min_only=True), without it", clock.median("scipy"), "ms")
    line("scipy : ours", clock.median("scipy") / clock.median("ours"), "x", least=3.0)
    line("ours with turns and partial edges", clock.median("turns"), "ms")
    line("scipy : ours with turns", clock.median("scipy") / clock.median("turns"), "x")
    line(f"junctions of {graph.node_count:,} whose times differ", differ, "", most=0.0)


def matrix(report: Report, bench: Bench, osrm: Peer | None, rounds: int) -> None:
    """Measure a matrix of 100 x 2,000 without a limit, one thread and two, beside OSRM's."""
    section = "matrix of 100 x 2,000, no limit"
    froms, tos = bench.origins(100, seed=100), bench.origins(2000, seed=2000)
    clock = Clock()
    sides = {"turns": bench.turned.graph, "free": bench.plain.graph}
    for turn in range(rounds + 1):
        if turn == 1:
            clock.ms.clear()
        report.spin()
        for name, graph in sides.items():
            for threads in (1, 2):
                clock(
                    f"{name} {threads}",
                    lambda: ours.travel_matrix(
                        graph, froms.positions, tos.positions, ours.EVERYWHERE_MS, threads=threads  # noqa: B023
                    ),
                )
        if osrm is not None:
            said = osrm.ask(sources=froms.lonlat.tolist(), targets=tos.lonlat.tolist())
            clock.take("osrm", said["ms"])

    def line(name: str, value: float, unit: str, **more: object) -> None:
        report.add(section, bench.name, name, value, unit, **more)

    line("ours, turns free, one thread", clock.median("free 1"), "ms")
    line("ours, turns free, two threads", clock.median("free 2"), "ms")
    line("ours with turns, one thread", clock.median("turns 1"), "ms")
    line("ours with turns, two threads", clock.median("turns 2"), "ms")
    if "osrm" in clock:
        line("OSRM table, contraction hierarchy", clock.median("osrm"), "ms")
        line("OSRM : ours, turns free, one thread", clock.median("osrm") / clock.median("free 1"), "x", least=2.0)
        line("OSRM : ours, turns free, two threads", clock.median("osrm") / clock.median("free 2"), "x")
        line("OSRM : ours with turns, one thread", clock.median("osrm") / clock.median("turns 1"), "x")
        line("OSRM : ours with turns, two threads", clock.median("osrm") / clock.median("turns 2"), "x")
