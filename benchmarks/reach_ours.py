"""riskmap's side of benchmarks/reach.py: everything that it calls of the package, by stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import shapely
from shapely import Polygon

from riskmap.analysis import polygons
from riskmap.analysis.anchors import Anchors
from riskmap.analysis.contours import HORIZON_MS
from riskmap.analysis.encode import multipolygon, to_degrees
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.table import ArrivalTable, features_of, travel_matrix
from riskmap.roads.closing import touched_edges
from riskmap.roads.edge_grid import edge_grid
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions, positions_on
from riskmap.units import UNREACHED

LIMITS_MS = (300_000, 480_000, 600_000, 900_000)
MINUTES = tuple(limit / 60_000 for limit in LIMITS_MS)
EVERYWHERE_MS = UNREACHED - 1
OFF_ROAD_MAX_M = polygons.OFF_ROAD_MAX_M
OWN_CELLS = 1.15

__all__ = ["EVERYWHERE_MS", "HORIZON_MS", "LIMITS_MS", "MINUTES", "Anchors", "travel_matrix"]


def circle_search(graph: RoadGraph, start: Positions) -> TravelTimes:
    """Search as the service does for a circle: a little past the longest band."""
    return search(graph, start, [0], LIMITS_MS[-1] + HORIZON_MS)


def find(graph: RoadGraph, starts: Positions, limit_ms: int) -> TravelTimes:
    return search(graph, starts, np.zeros(len(starts), dtype=np.int32), limit_ms)


def at_junctions(graph: RoadGraph, edge: np.ndarray) -> Positions:
    """Return the places where some roads begin."""
    return positions_on(graph, edge, np.zeros(len(edge)))


def at_every_node(graph: RoadGraph, times: TravelTimes) -> np.ndarray:
    """Return the time of every junction, by its row."""
    edge = np.zeros(graph.node_count, dtype=np.int64)
    share = np.zeros(graph.node_count)
    rows = np.arange(graph.edge_count)
    edge[graph.edge_to], share[graph.edge_to] = rows, 1.0
    edge[graph.edge_from], share[graph.edge_from] = rows, 0.0
    return times.at(positions_on(graph, edge, share))


def grid(graph: RoadGraph, times: TravelTimes, cell_m: float) -> polygons.Surface:
    return polygons.travel_surface(
        graph,
        times,
        cell_m=cell_m,
        off_road_mps=polygons.WALK_MPS,
        off_road_max_m=polygons.OFF_ROAD_MAX_M,
        max_cells=polygons.MAX_CELLS,
    )


def contour(surface: polygons.Surface) -> tuple[polygons.Rings, ...]:
    return polygons.contours(surface, LIMITS_MS)


def encode(network: Network, rings: Sequence[polygons.Rings]) -> bytes:
    shapes = b",".join(
        b'{"type":"Feature","properties":{"minutes":%g},"geometry":%s}'
        % (
            minutes,
            multipolygon(to_degrees(one.xy, network.to_lonlat), one.first, one.owner),
        )
        for minutes, one in zip(MINUTES, rings, strict=True)
    )
    return b'{"type":"FeatureCollection","features":[' + shapes + b"]}"


def circle(network: Network, start: Positions, cell_m: float) -> bytes:
    times = circle_search(network.graph, start)
    return encode(network, contour(grid(network.graph, times, cell_m)))


def shapes_of(text: bytes) -> list[Any]:
    return [
        shapely.from_geojson(orjson.dumps(one["geometry"]))
        for one in orjson.loads(text)["features"]
    ]


def farthest_cell_m(graph: RoadGraph, times: TravelTimes, surface: polygons.Surface) -> float:
    """Return how far the farthest cell of the widest band is from a reached road to stop on."""
    parts = times.reached_edges()
    edges = np.unique(parts.edge[graph.stops[parts.edge]])
    sizes = np.diff(graph.offsets)[edges]
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    vertex = np.arange(bounds[-1]) + np.repeat(graph.offsets[edges] - bounds[:-1], sizes)
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, graph.xy[vertex], (bounds,))
    rows, columns = np.nonzero(surface.grid <= LIMITS_MS[-1])
    cells = np.column_stack([columns, rows]) * surface.cell_m + (surface.x0, surface.y0)
    _, metres = shapely.STRtree(lines).query_nearest(
        shapely.points(cells), return_distance=True, all_matches=False
    )
    return float(metres.max(initial=0.0))


def closed(network: Network, polygon: Polygon, index: Any) -> RoadGraph:
    """Return the graph without the roads that a polygon in metres touches."""
    graph = network.graph
    shut = touched_edges(graph.xy, graph.offsets, index, polygon)
    return graph.with_times(
        np.where(shut, UNREACHED, graph.forward_ms),
        np.where(shut, UNREACHED, graph.backward_ms),
        revision="closed",
    )


def closed_roads(before: RoadGraph, after: RoadGraph) -> int:
    """Return how many roads were closed."""
    return int(((after.forward_ms == UNREACHED) & (before.forward_ms != UNREACHED)).sum())


def closing_index(network: Network) -> Any:
    """Return what is made once for each network."""
    return edge_grid(network.graph.xy, network.graph.offsets)


@dataclass(eq=False)
class Tables:
    """Which features of several layers each team reaches: one search for a team, all layers."""

    graph: RoadGraph
    starts: Positions
    start_ms: np.ndarray
    limit_ms: int
    layers: list[Anchors]

    def row(self, team: int) -> list[tuple[np.ndarray, np.ndarray]]:
        one = slice(team, team + 1)
        places = self.starts
        here = Positions(
            places.edge[one], places.fraction[one], places.distance_m[one], places.xy[one]
        )
        times = search(self.graph, here, self.start_ms[one], self.limit_ms)
        return [features_of(times, layer) for layer in self.layers]

    def whole(self) -> list[ArrivalTable]:
        rows = [self.row(team) for team in range(len(self.starts))]
        empty = [
            ArrivalTable(
                len(layer.rows),
                np.zeros(len(rows) + 1, np.int64),
                np.zeros(0, np.int32),
                np.zeros(0, np.int32),
            )
            for layer in self.layers
        ]
        return [
            table.with_rows({team: row[place] for team, row in enumerate(rows)})
            for place, table in enumerate(empty)
        ]

    def moved(self, tables: list[ArrivalTable], team: int) -> list[ArrivalTable]:
        row = self.row(team)
        return [table.with_rows({team: row[place]}) for place, table in enumerate(tables)]


def first_features(anchors: Anchors, count: int) -> Anchors:
    """Return the anchors of a layer's first features, each of one position."""
    assert np.array_equal(anchors.first, np.arange(len(anchors.rows)))
    rows = anchors.rows
    fields = {name: values[:count] for name, values in rows.fields.items()}
    places = anchors.positions
    part = slice(0, count)
    return Anchors(
        replace(rows, ids=rows.ids[:count], shapes=rows.shapes[:count], fields=fields),
        anchors.network,
        Positions(
            places.edge[part], places.fraction[part], places.distance_m[part], places.xy[part]
        ),
        anchors.access_ms[part],
        anchors.first[part],
    )
