"""How long a response circle takes: search, bands, GeoJSON; and the search against scipy.

    python benchmarks/circle.py porto_2015.osm.pbf [--origins 30] [--cell 75]

Both searches run interleaved from the same starts on the same arcs. Read the ratios: the
milliseconds are those of this machine at this hour.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import shapely
from pyproj import Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from riskmap.analysis import polygons
from riskmap.analysis.search import search
from riskmap.roads.edges import RoadEdges
from riskmap.roads.graph import RoadGraph, build_graph
from riskmap.roads.osm import read_osm_pbf
from riskmap.roads.snap import Snapper, positions_on
from riskmap.units import UNREACHED

KMH = {
    "motorway": 100, "motorway_link": 50, "trunk": 80, "trunk_link": 45, "primary": 60,
    "primary_link": 40, "secondary": 50, "secondary_link": 35, "tertiary": 40,
    "tertiary_link": 30, "residential": 30, "unclassified": 35, "living_street": 15,
    "service": 15, "track": 10,
}  # fmt: skip
LIMITS_MS = (300_000, 480_000, 600_000, 900_000)


def graph_of(edges: RoadEdges) -> tuple[RoadGraph, Transformer]:
    keep = np.flatnonzero(edges.motor & np.array([name in KMH for name in edges.road_class]))
    lines = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, edges.lonlat, (edges.offsets,)
    )[keep]
    west, south, east, north = shapely.total_bounds(lines)
    zone = query_utm_crs_info("WGS 84", AreaOfInterest(west, south, east, north))[0]
    to_metres = Transformer.from_crs(4326, int(zone.code), always_xy=True)
    lonlat, owner = shapely.get_coordinates(lines, return_index=True)
    xy = np.column_stack(to_metres.transform(lonlat[:, 0], lonlat[:, 1]))
    length = shapely.length(shapely.linestrings(xy, indices=owner))
    kmh = np.array([KMH[edges.road_class[edge]] for edge in keep])
    ms = np.maximum(1, np.round(length / (kmh / 3.6) * 1000)).astype(np.int32)
    oneway = np.array(edges.oneway)[keep]
    graph = build_graph(
        revision="benchmark",
        profile="plain",
        srid=int(zone.code),
        edge_id=np.arange(len(keep)),
        from_node=edges.from_node[keep],
        to_node=edges.to_node[keep],
        xy=xy,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner))]),
        length_m=length,
        forward_ms=np.where(oneway == "backward", UNREACHED, ms),
        backward_ms=np.where(oneway == "forward", UNREACHED, ms),
    )
    return graph, Transformer.from_crs(int(zone.code), 4326, always_xy=True)


def clock(stages: dict[str, list[float]], name: str, work):
    began = time.perf_counter()
    result = work()
    stages.setdefault(name, []).append((time.perf_counter() - began) * 1000)
    return result


def geojson(shapes, to_lonlat: Transformer) -> bytes:
    _, xy, (rings, parts, wholes) = shapely.to_ragged_array(np.array(shapes, dtype=object))
    lonlat = np.round(np.column_stack(to_lonlat.transform(xy[:, 0], xy[:, 1])), 7).tolist()
    ring = [lonlat[a:b] for a, b in pairwise(rings.tolist())]
    part = [ring[a:b] for a, b in pairwise(parts.tolist())]
    return orjson.dumps(
        [{"type": "MultiPolygon", "coordinates": part[a:b]} for a, b in pairwise(wholes.tolist())]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pbf", type=Path)
    parser.add_argument("--origins", type=int, default=30)
    parser.add_argument("--cell", type=float, default=75.0)
    options = parser.parse_args()

    build: dict[str, list[float]] = {}
    edges = clock(build, "read", lambda: read_osm_pbf(options.pbf))
    graph, to_lonlat = clock(build, "graph", lambda: graph_of(edges))
    snapper = clock(build, "snapper", lambda: Snapper(graph))
    # One arc of each parallel pair: scipy adds up what stands twice.
    tail = np.repeat(np.arange(graph.node_count), np.diff(graph.indptr))
    order = np.lexsort((graph.cost_ms, graph.head, tail))
    _, first = np.unique(np.column_stack([tail, graph.head])[order], axis=0, return_index=True)
    arcs = order[first]
    matrix = csr_array(
        (graph.cost_ms[arcs].astype(float), (tail[arcs], graph.head[arcs])),
        shape=(graph.node_count, graph.node_count),
    )
    _, label = connected_components(matrix, connection="strong")
    main_part = np.flatnonzero(label == np.bincount(label).argmax())
    print(
        f"{graph.node_count:,} nodes, {graph.edge_count:,} edges, {len(graph.head):,} arcs; ms: "
        + ", ".join(f"{name} {values[0]:,.0f}" for name, values in build.items())
    )

    random = np.random.default_rng(15)
    stages: dict[str, list[float]] = {}
    reached, vertices, size, invalid = [], [], [], 0
    first_edge = np.full(graph.node_count, -1)
    first_edge[graph.edge_from[::-1]] = np.arange(graph.edge_count)[::-1]
    nodes = main_part[first_edge[main_part] >= 0]
    for turn, node in enumerate(random.choice(nodes, options.origins + 2, replace=False)):
        at_node = positions_on(graph, [first_edge[node]], [0.0])
        place = at_node.xy + random.normal(0, 20, (1, 2))
        if turn == 2:  # two turns to compile and to warm up
            stages.clear()
        clock(stages, "snap", lambda place=place: snapper.snap(place, 500.0))
        times = clock(stages, "search", lambda at=at_node: search(graph, at, [0], LIMITS_MS[-1]))
        theirs = clock(
            stages, "scipy", lambda node=node: dijkstra(matrix, indices=node, limit=LIMITS_MS[-1])
        )
        ours = np.where(times.node_ms == UNREACHED, np.inf, times.node_ms)
        assert np.array_equal(ours, theirs)
        surface, x0, y0, cell = clock(
            stages,
            "raster",
            lambda times=times: polygons.travel_surface(
                graph,
                times,
                cell_m=options.cell,
                off_road_mps=polygons.WALK_MPS,
                off_road_max_m=polygons.OFF_ROAD_MAX_M,
                max_cells=polygons.MAX_CELLS,
            ),
        )
        shapes = clock(
            stages,
            "contour",
            lambda s=surface, x=x0, y=y0, c=cell: polygons.contours(s, x, y, c, LIMITS_MS),
        )
        text = clock(stages, "geojson", lambda shapes=shapes: geojson(shapes, to_lonlat))
        reached.append(len(times.reached))
        vertices.append(sum(shapely.get_num_coordinates(shape) for shape in shapes))
        size.append(len(text))
        invalid += sum(not shape.is_valid for shape in shapes)
    medians = {name: float(np.median(values)) for name, values in stages.items()}
    total = sum(medians[name] for name in ("search", "raster", "contour", "geojson"))
    print(
        f"{options.origins} origins, {LIMITS_MS[-1] // 60000} min, {len(LIMITS_MS)} bands at "
        f"{options.cell:g} m; medians: {np.median(reached):,.0f} nodes reached, "
        f"{np.median(vertices):,.0f} vertices, {np.median(size) / 1000:,.0f} kB, {invalid} invalid"
    )
    for name in ("snap", "search", "raster", "contour", "geojson"):
        share = "" if name == "snap" else f"{medians[name] / total:6.0%}"
        print(f"  {name:8} {medians[name]:8.2f} ms {share}")
    print(f"  {'total':8} {total:8.2f} ms (without the snap)")
    print(f"  scipy    {medians['scipy']:8.2f} ms, x{medians['scipy'] / medians['search']:.1f}")


if __name__ == "__main__":
    main()
