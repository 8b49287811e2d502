"""A closed polygon of a thousand vertices, beside the plain circle and Valhalla's exclusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import reach_ours as ours
import shapely
from reach_networks import Bench, Origins
from reach_peers import MissingError, Peer, isochrone
from reach_table import Clock, Report

from riskmap.roads.graphs import Network

RADIUS_M = 3000.0
VERTICES = 1000


def wavy(centre: np.ndarray) -> shapely.Polygon:
    """Return a polygon around a place, in and out by a fifth as water lies."""
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    radius = RADIUS_M * (1 + 0.1 * np.sin(7 * angle) + 0.1 * np.sin(31 * angle + 1))
    around = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    return shapely.Polygon(centre + around)


def _around(
    clock: Clock, network: Network, area: shapely.Polygon, index: Any, start: Any, cell_m: float
) -> bytes:
    graph = clock("closing", ours.closed, network, area, index)
    return ours.circle(Network(graph), start, cell_m)


def closing(
    report: Report, bench: Bench, origins: Origins, cell_m: float, valhalla: Peer | None
) -> None:
    """Measure circles from just outside a polygon over the middle of a city."""
    clock, network, places = Clock(), bench.turned, origins.positions.xy
    middle = np.median(network.graph.xy, axis=0)
    area = wavy(middle)
    ring = network.to_lonlat(shapely.get_coordinates(area)).tolist()
    index = ours.closing_index(network)
    outside = np.flatnonzero(~shapely.contains_xy(area.buffer(200), places[:, 0], places[:, 1]))
    near = outside[np.argsort(np.hypot(*(places[outside] - middle).T))]
    near = near[: max(5, len(origins) // 2)]
    failed = ""
    for turn, _ in clock.turns(report, len(near)):
        row = int(near[turn])
        start, lonlat = origins.one(row), origins.lonlat[row]
        clock("plain", ours.circle, network, start, cell_m)
        clock("closed", _around, clock, network, area, index, start, cell_m)
        if valhalla is None:
            continue
        try:
            clock.take("valhalla plain", isochrone(valhalla, lonlat, ours.MINUTES)["ms"])
            clock.take("valhalla", isochrone(valhalla, lonlat, ours.MINUTES, ring)["ms"])
        except MissingError as error:
            failed = str(error)
    if failed:
        report.note(f"left out: {failed}")
    shut = ours.closed_roads(network.graph, ours.closed(network, area, index))
    say = report.of(f"a closed polygon of {VERTICES:,} vertices around the middle", bench.name)
    say("plain circle", clock.median("plain"), "ms")
    note = f"{shut:,} roads closed"
    say("circle with the polygon closed", clock.median("closed"), "ms", note=note)
    say("  finding and closing the roads", clock.median("closing"), "ms")
    say("closed : plain", clock.ratio("closed", "plain"), "x", most=1.5)
    if "valhalla" in clock:
        say("Valhalla, exclude_polygons", clock.median("valhalla"), "ms")
        say("Valhalla, closed : plain", clock.ratio("valhalla", "valhalla plain"), "x")
        say("Valhalla : ours, both closed", clock.ratio("valhalla", "closed"), "x")
