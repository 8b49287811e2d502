"""The networks of benchmarks/reach.py: files, and a large one stitched of mirrored copies."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import osmium
import shapely
from osmium.osm import mutable
from pyproj import Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from riskmap.crs.input import read_crs
from riskmap.ingest.roads import import_lines
from riskmap.roads.columns import RoadMapping
from riskmap.roads.edges import RoadEdges
from riskmap.roads.graph import RoadGraph, build_graph
from riskmap.roads.graphs import Network
from riskmap.roads.osm import read_osm_pbf
from riskmap.roads.snap import Positions, positions_on
from riskmap.roads.turns import NO_TURNS, banned_passages
from riskmap.units import UNREACHED

# Every side is told the same times; Valhalla and OSRM know nothing but their own.
KMH = {
    "motorway": 100, "motorway_link": 50, "trunk": 80, "trunk_link": 45, "primary": 60,
    "primary_link": 40, "secondary": 50, "secondary_link": 35, "tertiary": 40,
    "tertiary_link": 30, "residential": 30, "unclassified": 35, "living_street": 15,
    "service": 15, "track": 10,
}  # fmt: skip
NO_STOP = ("motorway", "motorway_link", "trunk", "trunk_link")
STITCH_KMH = 50.0


@dataclass(frozen=True, eq=False)
class Roads:
    """m roads of v vertices with speeds, metres and degrees; arrays as `build_graph` takes them."""

    name: str
    srid: int
    from_node: np.ndarray
    to_node: np.ndarray
    xy: np.ndarray
    offsets: np.ndarray
    road_class: np.ndarray
    oneway: np.ndarray
    kmh: np.ndarray
    stops: np.ndarray
    bans: np.ndarray
    pbf: Path | None = None

    def __len__(self) -> int:
        return len(self.from_node)

    @cached_property
    def lonlat(self) -> np.ndarray:
        back = Transformer.from_crs(self.srid, 4326, always_xy=True)
        return np.column_stack(back.transform(self.xy[:, 0], self.xy[:, 1]))

    @cached_property
    def length_m(self) -> np.ndarray:
        owner = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        return shapely.length(shapely.linestrings(self.xy, indices=owner))

    @cached_property
    def ms(self) -> np.ndarray:
        whole = np.round(self.length_m * 3.6 / self.kmh * 1000)
        return np.maximum(1, whole).astype(np.int32)

    @cached_property
    def forward_ms(self) -> np.ndarray:
        return np.where(self.oneway == "backward", UNREACHED, self.ms).astype(np.int32)

    @cached_property
    def backward_ms(self) -> np.ndarray:
        return np.where(self.oneway == "forward", UNREACHED, self.ms).astype(np.int32)

    def graph(self, *, turns: bool) -> RoadGraph:
        """Build the graph: with its restrictions and without U-turns, or free of both."""
        return build_graph(
            revision=self.name,
            profile="turns" if turns else "plain",
            srid=self.srid,
            edge_id=np.arange(len(self)),
            from_node=self.from_node,
            to_node=self.to_node,
            xy=self.xy,
            offsets=self.offsets,
            length_m=self.length_m,
            forward_ms=self.forward_ms,
            backward_ms=self.backward_ms,
            road_class=self.road_class.tolist(),
            stops=self.stops,
            turns=self.bans if turns else NO_TURNS,
            u_turns=not turns,
        )


@dataclass(frozen=True, eq=False)
class Bench:
    """A network ready for measuring: `turned` is what riskmap answers by, `plain` what peers can.

    Edges of both graphs have the same indices, as nodes do.
    """

    name: str
    roads: Roads
    turned: Network
    plain: Network

    @property
    def arcs(self) -> int:
        return len(self.plain.graph.head)

    @cached_property
    def strong_edges(self) -> np.ndarray:
        """Indices of the two-way edges whose ends belong to the largest strong component."""
        graph = self.plain.graph
        tail = np.repeat(np.arange(graph.node_count), np.diff(graph.indptr))
        matrix = csr_array(
            (np.ones(len(tail), np.int8), (tail, graph.head)), (graph.node_count, graph.node_count)
        )
        _, label = connected_components(matrix, connection="strong")
        inside = label == np.bincount(label).argmax()
        both = (graph.forward_ms != UNREACHED) & (graph.backward_ms != UNREACHED)
        return np.flatnonzero(inside[graph.edge_from] & inside[graph.edge_to] & both & graph.stops)

    def origins(self, count: int, seed: int = 15) -> Origins:
        """Choose places on roads: between their ends, as vehicles stand."""
        random = np.random.default_rng(seed)
        edge = random.choice(self.strong_edges, count, replace=count > len(self.strong_edges))
        share = random.uniform(0.2, 0.8, count)
        return Origins(self, positions_on(self.plain.graph, edge, share))


@dataclass(frozen=True, eq=False)
class Origins:
    bench: Bench
    positions: Positions

    def __len__(self) -> int:
        return len(self.positions)

    def one(self, row: int) -> Positions:
        """Return one of them: it stands between the ends of its road."""
        return rows_of(self.positions, slice(row, row + 1))

    def junction(self, row: int) -> Positions:
        """Return the junction where its road begins."""
        edge = self.positions.edge[row]
        return positions_on(self.bench.plain.graph, [edge], [0.0])

    def node_id(self, row: int) -> int:
        graph = self.bench.plain.graph
        return int(graph.node_id[graph.edge_from[self.positions.edge[row]]])

    @cached_property
    def lonlat(self) -> np.ndarray:
        return self.bench.plain.to_lonlat(self.positions.xy)


def rows_of(places: Positions, rows: slice) -> Positions:
    return Positions(
        places.edge[rows], places.fraction[rows], places.distance_m[rows], places.xy[rows]
    )


def ready(roads: Roads) -> Bench:
    plain, turned = roads.graph(turns=False), roads.graph(turns=True)
    assert np.array_equal(plain.edge_id, turned.edge_id)
    return Bench(roads.name, roads, Network(turned), Network(plain))


def read(name: str, file: Path) -> Roads:
    """Read an OSM PBF by its tags, or lines with a speed on each."""
    if file.name.endswith(".pbf"):
        return _roads(name, read_osm_pbf(file), file)
    edges, _ = import_lines(
        file,
        RoadMapping({"speed_kmh": "speed_kmh"}),
        crs=read_crs("EPSG:4326"),
        already_split=True,
    )
    return _roads(name, edges, None)


def _roads(name: str, edges: RoadEdges, pbf: Path | None) -> Roads:
    classes = np.array(edges.road_class)
    stated = pbf is None
    known = edges.motor & (stated | np.isin(classes, list(KMH)))
    keep = np.flatnonzero(known)
    lines = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, edges.lonlat, (edges.offsets,)
    )[keep]
    west, south, east, north = shapely.total_bounds(lines)
    zone = query_utm_crs_info("WGS 84", AreaOfInterest(west, south, east, north))[0]
    to_metres = Transformer.from_crs(4326, int(zone.code), always_xy=True)
    lonlat, owner = shapely.get_coordinates(lines, return_index=True)
    usual = np.array([KMH.get(one, 30) for one in classes[keep].tolist()], dtype=float)
    told = edges.maxspeed_kmh[keep]
    row = {source: k for k, source in enumerate(np.array(edges.source_id)[keep].tolist())}
    turns = [
        (row[turn.from_source], turn.via_node, row[turn.to_source], int(turn.mandatory))
        for turn in edges.turns
        if turn.from_source in row and turn.to_source in row
    ]
    ends = np.column_stack([np.arange(len(keep)), edges.from_node[keep], edges.to_node[keep]])
    return Roads(
        name=name,
        srid=int(zone.code),
        from_node=edges.from_node[keep],
        to_node=edges.to_node[keep],
        xy=np.column_stack(to_metres.transform(lonlat[:, 0], lonlat[:, 1])),
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner))]),
        road_class=classes[keep],
        oneway=np.array(edges.oneway)[keep],
        kmh=np.where(np.isfinite(told) & (told > 0), told, usual) if stated else usual,
        stops=~np.isin(classes[keep], NO_STOP) & ~(edges.bridge | edges.tunnel)[keep],
        bans=banned_passages(ends, np.array(turns, dtype=np.int64).reshape(-1, 4)),
        pbf=pbf,
    )


def stitched(one: Roads, arcs: int) -> Roads:
    """Return copies side by side until there are that many directed edges.

    Every second column is mirrored at its western border and every second row at its southern one,
    so that along a border each junction meets its own image. In each of 100 strips across a border
    the junction nearest to it is linked with its image, by a straight road that is made up. The
    first copy lies where the original does.
    """
    each = int((one.forward_ms != UNREACHED).sum() + (one.backward_ms != UNREACHED).sum())
    copies = -(-arcs // each)
    columns = max(1, math.isqrt(copies))
    low, high = one.xy.min(axis=0), one.xy.max(axis=0)
    step = high - low + 100.0
    names, number = np.unique(np.concatenate([one.from_node, one.to_node]), return_inverse=True)
    count, edges = len(names), len(one)
    place = np.zeros((count, 2))
    place[number[:edges]] = one.xy[one.offsets[:-1]]
    place[number[edges:]] = one.xy[one.offsets[1:] - 1]

    def moved(xy: np.ndarray, copy: int) -> np.ndarray:
        found = xy - low
        for axis, turn in enumerate((copy % columns, copy // columns)):
            if turn % 2:
                found[:, axis] = (high - low)[axis] - found[:, axis]
            found[:, axis] += turn * step[axis]
        return found + low

    links: list[tuple[int, int]] = []
    for copy in range(copies):
        for axis, beside in ((0, copy + 1), (1, copy + columns)):
            if beside >= copies or (axis == 0 and beside % columns == 0):
                continue
            turn = copy % columns if axis == 0 else copy // columns
            for node in _along(place, axis, far=turn % 2 == 0):
                links.append((copy * count + node, beside * count + node))
    spots = np.concatenate([moved(place, copy) for copy in range(copies)])
    ends = np.array(links)
    xy = np.concatenate(
        [*(moved(one.xy, copy) for copy in range(copies)), spots[ends].reshape(-1, 2)]
    )
    sizes = np.concatenate([np.tile(np.diff(one.offsets), copies), np.full(len(ends), 2)])

    def all_of(values: np.ndarray, more: object) -> np.ndarray:
        return np.concatenate([np.tile(values, copies), np.full(len(ends), more)])

    shift = np.repeat(np.arange(copies) * count, edges)
    return Roads(
        name=f"{one.name} x {copies}",
        srid=one.srid,
        from_node=np.concatenate([np.tile(number[:edges], copies) + shift, ends[:, 0]]),
        to_node=np.concatenate([np.tile(number[edges:], copies) + shift, ends[:, 1]]),
        xy=xy,
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        road_class=all_of(one.road_class, "unclassified"),
        oneway=all_of(one.oneway, "both"),
        kmh=all_of(one.kmh, STITCH_KMH),
        stops=all_of(one.stops, True),
        bans=NO_TURNS,
    )


def _along(place: np.ndarray, axis: int, *, far: bool, strips: int = 100) -> list[int]:
    """Return the junction nearest to a border in each strip across it that has one."""
    across = place[:, 1 - axis]
    edges = np.linspace(across.min(), across.max(), strips + 1)
    found = []
    for begin, end in itertools.pairwise(edges):
        inside = np.flatnonzero((across >= begin) & (across < end))
        if len(inside):
            depth = place[inside, axis]
            found.append(int(inside[depth.argmax() if far else depth.argmin()]))
    return found


def write_pbf(roads: Roads, file: Path) -> None:
    """Write the roads for those who read nothing but OpenStreetMap's format."""
    names, number = np.unique(np.concatenate([roads.from_node, roads.to_node]), return_inverse=True)
    edges = len(roads)
    inner = np.ones(len(roads.xy), dtype=bool)
    inner[roads.offsets[:-1]] = inner[roads.offsets[1:] - 1] = False
    vertex = np.empty(len(roads.xy), dtype=np.int64)
    vertex[roads.offsets[:-1]] = number[:edges]
    vertex[roads.offsets[1:] - 1] = number[edges:]
    vertex[inner] = len(names) + np.arange(inner.sum())
    _, first = np.unique(vertex, return_index=True)
    lonlat, refs, bounds = roads.lonlat[first].tolist(), (vertex + 1).tolist(), roads.offsets
    ways = {"both": "no", "forward": "yes", "backward": "-1"}
    file.unlink(missing_ok=True)
    with osmium.SimpleWriter(str(file)) as writer:
        for row, place in enumerate(lonlat):
            writer.add_node(mutable.Node(id=row + 1, version=1, location=tuple(place)))
        for row in range(edges):
            tags = {
                "highway": str(roads.road_class[row]),
                "oneway": ways[str(roads.oneway[row])],
                "maxspeed": f"{roads.kmh[row]:.0f}",
            }
            nodes = refs[bounds[row] : bounds[row + 1]]
            writer.add_way(mutable.Way(id=row + 1, version=1, nodes=nodes, tags=tags))
