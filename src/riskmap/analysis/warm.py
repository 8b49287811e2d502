"""The kernels made ready before anybody waits for them."""

from __future__ import annotations

import logging

import numpy as np
import shapely

from riskmap.analysis.anchors import MAX_SNAP_M, anchor
from riskmap.analysis.encode import multipolygon, to_degrees
from riskmap.analysis.polygons import bands
from riskmap.analysis.search import search
from riskmap.analysis.store import LayerRows
from riskmap.analysis.table import features_of
from riskmap.catalog.spec import Layer
from riskmap.roads.graph import build_graph
from riskmap.roads.graphs import Network
from riskmap.units import WEB_MERCATOR

log = logging.getLogger("riskmap")

# Near the middle of the projection, of a size that a drawing has some cells for.
_STREET: tuple[tuple[float, float], ...] = ((0.0, 0.0), (400.0, 0.0), (400.0, 300.0))


def warm_kernels(layer: Layer) -> None:
    """Compile the kernels, or load them from their cache: a second, and ten at the first time.

    They run on two streets, with and without a banned turn, so that a service that starts empty
    answers quickly once its roads are there.

    Parameters
    ----------
    layer
        Any one: a feature of it is counted.
    """
    for turns in ((), ((1, 2, 2),)):
        graph = build_graph(
            revision="warm-up",
            profile="warm-up",
            srid=WEB_MERCATOR,
            edge_id=[1, 2],
            from_node=[1, 2],
            to_node=[2, 3],
            xy=np.repeat(_STREET, [1, 2, 1], axis=0),
            offsets=[0, 2, 4],
            length_m=[400.0, 300.0],
            forward_ms=[10_000, 10_000],
            backward_ms=[10_000, 10_000],
            turns=turns,
        )
        network = Network(graph)
        start = network.snapper.snap(graph.xy[:1], MAX_SNAP_M)
        place = network.to_lonlat(graph.xy[:1])
        rows = LayerRows(layer, 0, np.array([1]), np.asarray(shapely.points(place)), {})
        anchors = anchor(rows, network)
        for reverse in (False, True):
            times = search(graph, start, [0], 60_000, reverse=reverse)
            features_of(times, anchors)
            (area,) = bands(graph, times, [60_000]).rings
        text = multipolygon(to_degrees(area.xy, network.to_lonlat), area.first, area.owner)
        log.debug("kernels are ready: %d bytes, %.0f m2", len(text), area.area_m2)
