"""The demo's roads: a network that vehicles and people on foot can use, and a file of it."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from riskmap.demo.ground import SEED, Streets, Terrain, Way
from riskmap.demo.streets import make_streets
from riskmap.demo.streets_pbf import write_pbf
from riskmap.roads.edges import MOTOR_CLASSES, ROAD_CLASSES, RoadEdges
from riskmap.roads.osm import read_osm_pbf
from seeds_help import SEEDS, people_of, streets_of, terrain_of

# `make test` compares the files that are made with those that are committed, byte by byte, and
# imports these; what the streets of any seed must be is for who changes them: `make prove-demo`.
pytestmark = pytest.mark.prove

# Slip roads exist where carriageways are apart; `road` says that somebody knows no better.
NOT_DRAWN = {"secondary_link", "tertiary_link", "road"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streets")


@pytest.fixture(scope="module")
def edges_of(folder: Path):  # type: ignore[no-untyped-def]
    """Return what the importer reads of a seed's file."""

    @cache
    def read(seed: int) -> RoadEdges:
        path = folder / f"{seed}.osm.pbf"
        write_pbf(streets_of(seed), path)
        return read_osm_pbf(path)

    return read


@pytest.fixture
def streets() -> Streets:
    return streets_of(SEED)


@pytest.fixture
def edges(edges_of) -> RoadEdges:  # type: ignore[no-untyped-def]
    return edges_of(SEED)


def is_ferry(way: Way) -> bool:
    return way.tags.get("route") == "ferry"


def is_raised(way: Way) -> bool:
    return "bridge" in way.tags or "tunnel" in way.tags


def on_island(terrain: Terrain, streets: Streets, nodes: np.ndarray) -> np.ndarray:
    """Return which OSM nodes lie on the lonely island."""
    return shapely.contains_xy(terrain.lonely_island, streets.node_xy[nodes - 1])


def vehicle_groups(edges: RoadEdges) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of roads for vehicles and which strong component each is in."""
    motor = edges.motor
    oneway = np.array(edges.oneway)[motor]
    nodes, place = np.unique([edges.from_node[motor], edges.to_node[motor]], return_inverse=True)
    a, b = place.reshape(2, -1)
    start = np.concatenate([a[oneway != "backward"], b[oneway != "forward"]])
    end = np.concatenate([b[oneway != "backward"], a[oneway != "forward"]])
    shape = (len(nodes), len(nodes))
    graph = coo_matrix((np.ones(len(start)), (start, end)), shape=shape)
    _, group = connected_components(graph, directed=True, connection="strong")
    return nodes, group


def test_the_importer_reads_the_file_without_a_word(edges: RoadEdges) -> None:
    assert edges.notes == ()
    assert 60_000 <= len(edges) <= 80_000


def test_every_class_of_road_is_there(edges: RoadEdges) -> None:
    times = Counter(edges.road_class)
    assert set(times) == ROAD_CLASSES - NOT_DRAWN
    # Streets where people live are the most, motorways few.
    assert times["residential"] > 0.4 * len(edges)
    assert 200 < times["motorway"] < 0.05 * len(edges)


def test_no_edge_is_without_length(edges: RoadEdges) -> None:
    step = np.hypot(*np.diff(edges.lonlat, axis=0).T)
    step[edges.offsets[1:-1] - 1] = 0.0  # from one edge to the next
    length = np.add.reduceat(np.append(step, 0.0), edges.offsets[:-1])
    assert (length > 0).all()
    assert (length < 1e-5).mean() < 0.005
    assert (edges.from_node != edges.to_node).mean() > 0.999


def test_names_and_speeds_are_stated_in_part(edges: RoadEdges) -> None:
    stated = ~np.isnan(edges.maxspeed_kmh)
    assert 0.02 < stated.mean() < 0.9
    assert edges.maxspeed_kmh[stated].min() >= 5 and edges.maxspeed_kmh[stated].max() <= 120
    main = [
        name for name, kind in zip(edges.name, edges.road_class, strict=True) if kind == "trunk"
    ]
    assert all(main)
    assert edges.restricted.sum() > 100


def test_great_roads_come_as_pairs_of_one_way_carriageways(streets: Streets) -> None:
    for road_class, least in (("motorway", 20), ("trunk", 10), ("primary", 10)):
        # Longer than the 300 m within which an interchange or a link bends the two apart.
        lines = [
            shapely.LineString(streets.node_xy[list(way.nodes)])
            for way in streets.ways
            if way.tags.get("highway") == road_class and way.tags.get("oneway") == "yes"
        ]
        lines = [line for line in lines if line.length > 300]
        assert len(lines) >= least, road_class
        tree = shapely.STRtree(lines)
        opposite = 0
        for number, line in enumerate(lines):
            middle = line.interpolate(0.5, normalized=True)
            ahead = heading(line, middle)
            near = tree.query(middle, predicate="dwithin", distance=60.0)
            opposite += any(
                ahead @ heading(lines[other], middle) < -0.8 for other in near if other != number
            )
        assert opposite > 0.75 * len(lines), road_class


def heading(line: shapely.LineString, point: shapely.Point) -> np.ndarray:
    """Return the direction of a line where it is nearest to a point."""
    at = line.project(point)
    ends = [line.interpolate(max(at - 5, 0)), line.interpolate(min(at + 5, line.length))]
    step = np.array([ends[1].x - ends[0].x, ends[1].y - ends[0].y])
    return step / np.hypot(*step)


def test_bridges_cross_roads_on_the_ground_without_meeting_them(streets: Streets) -> None:
    # Slip roads may join a road wherever it runs.
    ground = [
        way
        for way in streets.ways
        if not is_raised(way) and way.tags.get("highway", "_link")[-5:] != "_link"
    ]
    tree = shapely.STRtree([shapely.LineString(streets.node_xy[list(way.nodes)]) for way in ground])
    over = met = 0
    for way in streets.ways:
        if "bridge" not in way.tags:
            continue
        assert int(way.tags["layer"]) > 0
        # The ends are on the ground and do meet; what is between them must not.
        inner = set(way.nodes[1:-1])
        line = shapely.LineString(streets.node_xy[list(way.nodes)])
        for row in tree.query(line, predicate="crosses").tolist():
            over += 1
            met += bool(inner & set(ground[row].nodes))
    assert over > 200
    # Vertices in one square of 0.5 m are one node, even one above the other: 3 of 915.
    assert met < 0.01 * over


def test_tunnels_lie_below(streets: Streets) -> None:
    tunnels = [way for way in streets.ways if "tunnel" in way.tags]
    assert len(tunnels) >= 2
    assert all(int(way.tags["layer"]) < 0 for way in tunnels)
    lengths = [shapely.LineString(streets.node_xy[list(way.nodes)]).length for way in tunnels]
    assert max(lengths) > 300


def test_one_ferry_carries_vehicles_between_island_and_mainland(
    streets: Streets, edges: RoadEdges
) -> None:
    ferries = [way for way in streets.ways if is_ferry(way)]
    assert len(ferries) == 1
    assert [bool(motor) for motor in edges.motor[np.array(edges.road_class) == "ferry"]] == [True]
    terrain = terrain_of(SEED)
    ends = streets.node_xy[[ferries[0].nodes[0], ferries[0].nodes[-1]]]
    # Landings stand at the shore, on either side of its simplified line.
    away_m = shapely.distance(terrain.ferry_island, shapely.points(ends))
    assert min(away_m) < 50
    assert max(away_m) > 3000
    roads = {node for way in streets.ways if not is_ferry(way) for node in way.nodes}
    assert {ferries[0].nodes[0], ferries[0].nodes[-1]} <= roads
    assert not set(ferries[0].nodes[1:-1]) & roads


def test_some_roads_end_nowhere(edges: RoadEdges) -> None:
    _, uses = np.unique([edges.from_node, edges.to_node], return_counts=True)
    assert 500 < (uses == 1).sum() < 0.25 * len(uses)


@pytest.mark.parametrize("seed", SEEDS)
def test_vehicles_get_everywhere_but_to_the_lonely_island(seed: int, edges_of) -> None:  # type: ignore[no-untyped-def]
    edges = edges_of(seed)
    assert 55_000 <= len(edges) <= 85_000
    nodes, group = vehicle_groups(edges)
    island = on_island(terrain_of(seed), streets_of(seed), nodes)
    assert island.sum() >= 2
    assert len(set(group[island])) == 1
    assert len(set(group[~island])) == 1
    assert set(group[island]).isdisjoint(group[~island])
    # Nor does anybody walk there.
    every = np.unique([edges.from_node, edges.to_node], return_inverse=True)
    a, b = every[1].reshape(2, -1)
    size = len(every[0])
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    island = on_island(terrain_of(seed), streets_of(seed), every[0])
    assert len(set(group)) == 2
    assert set(group[island]).isdisjoint(group[~island])


@pytest.mark.parametrize("seed", SEEDS)
def test_roads_on_the_ground_stay_out_of_the_water(seed: int) -> None:
    streets, terrain = streets_of(seed), terrain_of(seed)
    landings = {node for way in streets.ways if is_ferry(way) for node in way.nodes}
    ground = {
        node
        for way in streets.ways
        if not is_raised(way) and not is_ferry(way)
        for node in way.nodes
    }
    nodes = np.array(sorted(ground - landings))
    x, y = streets.node_xy[nodes].T
    for cover in terrain.cover:
        if cover.cover_class in ("sea", "lake", "reservoir"):
            shapely.prepare(cover.shape)
            wet = np.flatnonzero(shapely.contains_xy(cover.shape, x, y))
            # A street that ends at the shore is drawn 16 m over it, as over any road it ends at.
            assert len(wet) <= 5
            depth_m = cover.shape.boundary.distance(shapely.points(x[wet], y[wet]))
            assert (depth_m < 16.5).all(), cover.cover_class


def test_most_people_live_by_a_road(streets: Streets) -> None:
    people = people_of(SEED)
    roads = shapely.STRtree(
        [
            shapely.LineString(streets.node_xy[list(way.nodes)])
            for way in streets.ways
            if way.tags.get("highway") in MOTOR_CLASSES - {"motorway", "motorway_link"}
        ]
    )
    homes = shapely.points(people.cell_xy)
    _, distance_m = roads.query_nearest(homes, all_matches=False, return_distance=True)
    near = people.cell_people[distance_m < 500].sum() / people.cell_people.sum()
    assert near > 0.95
    # And some do not: that is what the map is to show.
    assert near < 1


@pytest.mark.prove
def test_a_seed_gives_the_same_bytes_every_time(folder: Path) -> None:
    first, again = folder / "first.osm.pbf", folder / "again.osm.pbf"
    write_pbf(streets_of(SEED), first)
    write_pbf(make_streets(SEED, terrain_of(SEED), people_of(SEED)), again)
    assert first.read_bytes() == again.read_bytes()
