"""Times on the roads of Nanjing agree with pgRouting's and networkx's, drawings with the times.

`make prove-reach` takes 200 origins, `make test` a few. Costs are whole milliseconds, the same for
all; turns are free and U-turns allowed, since the others know no better. The seed is in the message
of a failure: RISKMAP_SEED=... repeats it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

import networkx
import numpy as np
import psycopg
import pytest
import shapely
from pyproj import Transformer
from scipy.spatial import cKDTree

from conftest import connect, shared_data
from riskmap.analysis.polygons import OFF_ROAD_MAX_M, WALK_MPS, bands
from riskmap.analysis.search import search
from riskmap.crs.input import read_crs
from riskmap.db.cluster import Cluster
from riskmap.ingest.roads import import_lines
from riskmap.roads.columns import RoadMapping
from riskmap.roads.graph import RoadGraph, build_graph
from riskmap.roads.snap import Positions, positions_on
from riskmap.units import UNREACHED

SEED = int(os.environ.get("RISKMAP_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SRID = 32650
LIMIT_MS = 900_000
CELL_M = 75.0
# Places along the roads, this far apart: a place beside a road is within half of it of one.
SAMPLE_M = 20.0


def nanjing() -> RoadGraph:
    """Build the network: its lines are all two-way, here a fifth is made one-way.

    Otherwise a search that mixed up the directions would find the same.
    """
    edges, _ = import_lines(
        shared_data("nanjing", "roads.gpkg"),
        RoadMapping({"speed_kmh": "speed_kmh"}),
        crs=read_crs("EPSG:4326"),
        already_split=True,
    )
    x, y = Transformer.from_crs(4326, SRID, always_xy=True).transform(*edges.lonlat.T)
    xy = np.column_stack([x, y])
    owner = np.repeat(np.arange(len(edges)), np.diff(edges.offsets))
    metres = shapely.length(shapely.linestrings(xy, indices=owner))
    kmh = np.where(edges.maxspeed_kmh > 0, edges.maxspeed_kmh, 30.0)
    ms = np.maximum(1, np.rint(metres * 3.6 / kmh * 1000)).astype(np.int32)
    turn = np.arange(len(edges)) % 10
    return build_graph(
        revision="nanjing",
        profile="plain",
        srid=SRID,
        edge_id=np.arange(len(edges)),
        from_node=edges.from_node,
        to_node=edges.to_node,
        xy=xy,
        offsets=edges.offsets,
        length_m=metres,
        forward_ms=np.where(turn == 3, UNREACHED, ms),
        backward_ms=np.where(turn == 7, UNREACHED, ms),
    )


@dataclass(frozen=True, eq=False)
class City:
    """The network; `junctions` are all nodes as positions, in the order of `graph.node_id`."""

    graph: RoadGraph
    junctions: Positions
    row: dict[int, int]

    def one(self, row: int) -> Positions:
        return positions_on(
            self.graph, self.junctions.edge[row : row + 1], self.junctions.fraction[row : row + 1]
        )

    def ours(self, row: int) -> np.ndarray:
        return search(self.graph, self.one(row), [0], LIMIT_MS).at(self.junctions)

    def arcs(self) -> list[tuple[int, int, int]]:
        graph = self.graph
        tails, heads = graph.node_id[graph.edge_from], graph.node_id[graph.edge_to]
        return [
            (int(a), int(b), int(ms))
            for ends, times in (
                ((tails, heads), graph.forward_ms),
                ((heads, tails), graph.backward_ms),
            )
            for a, b, ms in zip(*ends, times, strict=True)
            if ms != UNREACHED
        ]


@pytest.fixture(scope="module")
def city() -> City:
    graph = nanjing()
    edge = np.zeros(graph.node_count, dtype=np.int64)
    share = np.zeros(graph.node_count)
    rows = np.arange(graph.edge_count)
    edge[graph.edge_to], share[graph.edge_to] = rows, 1.0
    edge[graph.edge_from], share[graph.edge_from] = rows, 0.0
    row = {int(name): place for place, name in enumerate(graph.node_id)}
    return City(graph, positions_on(graph, edge, share), row)


def origins(city: City, count: int) -> list[int]:
    """Choose junctions, the same ones for every test of a run."""
    chosen = np.random.default_rng(SEED).choice(city.graph.node_count, count, replace=False)
    return [int(one) for one in chosen]


def compare(city: City, count: int, theirs: Callable[[int], dict[int, int]]) -> None:
    """Ours and theirs reach the same junctions at the same millisecond."""
    reached = 0
    for row in origins(city, count):
        expected = np.full(city.graph.node_count, UNREACHED, dtype=np.int64)
        for node, ms in theirs(int(city.graph.node_id[row])).items():
            expected[city.row[node]] = ms
        found = city.ours(row)
        differ = np.flatnonzero(found != expected)
        assert not len(differ), (SEED, row, found[differ[:5]], expected[differ[:5]])
        reached += int((found != UNREACHED).sum())
    # Agreement on nothing but the origins would prove little.
    assert reached > 100 * count


def agree_with_networkx(city: City, count: int) -> None:
    streets = networkx.DiGraph()
    streets.add_nodes_from(city.row)
    for tail, head, ms in city.arcs():
        if not streets.has_edge(tail, head) or streets.edges[tail, head]["ms"] > ms:
            streets.add_edge(tail, head, ms=ms)
    compare(
        city,
        count,
        lambda node: networkx.single_source_dijkstra_path_length(
            streets, node, cutoff=LIMIT_MS, weight="ms"
        ),
    )


def test_networkx_finds_the_same_times(city: City) -> None:
    agree_with_networkx(city, 5)


@pytest.mark.prove
def test_networkx_finds_the_same_times_from_200_origins(city: City) -> None:
    agree_with_networkx(city, 200)


@pytest.fixture
def routing(
    city: City, cluster: Cluster, database_factory: Callable[[], str]
) -> Callable[[int], dict[int, int]]:
    """Return pgRouting's drivingDistance over the same costs."""
    with connect(cluster) as session:
        here = session.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'pgrouting'"
        ).fetchone()
    if here is None:
        say = "PostgreSQL has no pgRouting (Debian: postgresql-15-pgrouting)"
        if os.environ.get("CI"):
            pytest.fail(say)
        pytest.skip(say)
    name = database_factory()
    session = connect(cluster, name)
    session.execute("CREATE EXTENSION pgrouting CASCADE")
    session.execute("CREATE TABLE arcs (id bigserial, source bigint, target bigint, cost float8)")
    with (
        session.cursor() as cursor,
        cursor.copy("COPY arcs (source, target, cost) FROM STDIN") as c,
    ):
        for arc in city.arcs():
            c.write_row(arc)
    return lambda node: driving_distance(session, node)


def driving_distance(session: psycopg.Connection, node: int) -> dict[int, int]:
    rows = session.execute(
        "SELECT node, agg_cost FROM pgr_drivingDistance('SELECT * FROM arcs', %s::bigint,"
        " %s::float8, true)",
        (node, LIMIT_MS),
    ).fetchall()
    # Sums of whole numbers are whole, also as floating point numbers of this size.
    assert all(float(ms).is_integer() for _, ms in rows)
    return {int(found): int(ms) for found, ms in rows}


def test_pgrouting_finds_the_same_times(
    city: City, routing: Callable[[int], dict[int, int]]
) -> None:
    compare(city, 5, routing)


@pytest.mark.prove
def test_pgrouting_finds_the_same_times_from_200_origins(
    city: City, routing: Callable[[int], dict[int, int]]
) -> None:
    compare(city, 200, routing)


def along(graph: RoadGraph, edges: np.ndarray) -> Positions:
    """Return places on some roads from end to end, at most `SAMPLE_M` apart."""
    pieces = np.ceil(graph.length_m[edges] / SAMPLE_M).astype(np.int64) + 1
    step = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return positions_on(graph, np.repeat(edges, pieces), step / np.repeat(pieces - 1, pieces))


def drawn_as_timed(city: City, count: int, places: int) -> None:
    """Roads reached in time lie in the band, and where the band is one can get in time.

    But for one cell along the edge. The time of a place beside the road is that of a point on the
    road and the walk from there, at most as far as drawings go.
    """
    graph, chance = city.graph, np.random.default_rng(SEED)
    both = [0, 0]
    for row in origins(city, count):
        times = search(graph, city.one(row), [0], LIMIT_MS)
        limits = (300_000, LIMIT_MS)
        drawn = bands(graph, times, limits, cell_m=CELL_M)
        assert drawn.cell_m == CELL_M
        roads = along(graph, np.unique(times.reached_edges().edge))
        at = times.at(roads)
        reached = np.flatnonzero(at != UNREACHED)
        if not len(reached):
            continue  # no road leads away from there
        tree = cKDTree(roads.xy[reached])
        # Around what is reached, and a little beyond.
        middle = roads.xy[chance.choice(reached, places)]
        spots = middle + chance.normal(0, 150, (places, 2)) * chance.integers(0, 2, (places, 1))
        near = tree.query_ball_point(spots, OFF_ROAD_MAX_M + CELL_M + SAMPLE_M)
        for limit, shape in zip(limits, drawn.polygons, strict=True):
            edge = shape.boundary
            shapely.prepare([shape, edge])
            inside = shapely.contains_xy(shape, spots[:, 0], spots[:, 1])
            at_edge = shapely.dwithin(edge, shapely.points(spots), CELL_M)
            for row_of, (spot, rows) in enumerate(zip(spots, near, strict=True)):
                if at_edge[row_of]:
                    continue
                walk = np.hypot(*(roads.xy[reached[rows]] - spot).T)
                ms = at[reached[rows]]
                if inside[row_of]:
                    both[0] += 1
                    # A cell's centre, at most 100 m off, counts at its road's own time, and a spot
                    # lies at most half a diagonal from a centre: smaller pockets are not drawn.
                    short = np.maximum(0, walk - OFF_ROAD_MAX_M - 0.71 * CELL_M - SAMPLE_M / 2)
                    late = ms + short / WALK_MPS * 1000
                    assert ((short <= OFF_ROAD_MAX_M) & (late <= limit)).any(), (SEED, row, spot)
                else:
                    both[1] += 1
                    # No road that is reached in time is near.
                    assert not ((walk < SAMPLE_M / 2) & (ms <= limit)).any(), (SEED, row, spot)
    assert min(both) > count * places / 50, both


def test_drawings_agree_with_times(city: City) -> None:
    drawn_as_timed(city, 3, 200)


@pytest.mark.prove
def test_drawings_agree_with_times_from_200_origins(city: City) -> None:
    drawn_as_timed(city, 200, 500)


def test_a_junction_at_exactly_the_limit_is_reached(city: City) -> None:
    for row in origins(city, 5):
        at = city.ours(row)
        last = int(at[at != UNREACHED].max())
        exact = search(city.graph, city.one(row), [0], last).at(city.junctions)
        short = search(city.graph, city.one(row), [0], max(0, last - 1)).at(city.junctions)
        assert last == exact[exact != UNREACHED].max()
        assert last == 0 or (short != UNREACHED).sum() < (exact != UNREACHED).sum()
