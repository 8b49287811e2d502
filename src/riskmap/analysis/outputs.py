"""What a search reached, road by road or junction by junction, as GeoJSON features."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from riskmap.analysis.routes import cut
from riskmap.analysis.search import TravelTimes
from riskmap.crs.datum import Datum
from riskmap.roads.graphs import Network
from riskmap.units import MS_PER_S

DECIMALS: Final = 6


def edges_features(times: TravelTimes, network: Network, datum: Datum) -> list[dict[str, Any]]:
    """Return the reached parts of roads, cut at the exact place where the limit falls.

    Times run linearly from `from_s` to `to_s` along each line; the direction of travel is toward
    the later one.
    """
    graph, parts = times.graph, times.reached_edges()
    lines = [
        cut(graph.xy[graph.offsets[edge] : graph.offsets[edge + 1]], low, high)
        for edge, low, high in zip(
            parts.edge.tolist(),
            parts.fraction_start.tolist(),
            parts.fraction_end.tolist(),
            strict=True,
        )
    ]
    if not lines:
        return []
    degrees = _degrees(np.concatenate(lines), network, datum)
    pieces = np.split(degrees, np.cumsum([len(line) for line in lines])[:-1])
    ids = graph.edge_id[parts.edge].tolist()
    classes = [graph.classes[code] for code in graph.road_class[parts.edge].tolist()]
    return [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": line.tolist()},
            "properties": {
                "edge_id": one,
                "road_class": name or None,
                "from_s": begin / MS_PER_S,
                "to_s": end / MS_PER_S,
            },
        }
        for line, one, name, begin, end in zip(
            pieces, ids, classes, parts.ms_start.tolist(), parts.ms_end.tolist(), strict=True
        )
    ]


def points_features(times: TravelTimes, network: Network, datum: Datum) -> list[dict[str, Any]]:
    """Return the reached junctions with their times and the start that is first there."""
    graph, reached = times.graph, np.sort(times.reached)
    at, who = times.node_ms[reached], times.node_source[reached]
    degrees = _degrees(graph.node_xy(reached), network, datum)
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": place},
            "properties": {"node_id": node, "arrival_s": ms / MS_PER_S, "start": start},
        }
        for place, node, ms, start in zip(
            degrees.tolist(),
            graph.node_id[reached].tolist(),
            at.tolist(),
            who.tolist(),
            strict=True,
        )
    ]


def _degrees(xy: Any, network: Network, datum: Datum) -> Any:
    return np.round(datum.from_wgs84(network.to_lonlat(xy)), DECIMALS)
