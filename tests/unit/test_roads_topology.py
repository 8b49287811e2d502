"""Lines become a network: the same city drawn in three ways is the same city."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from conftest import shared_data
from riskmap.crs.input import read_crs
from riskmap.ingest.roads import read_lines
from riskmap.roads.columns import RoadMapping
from riskmap.roads.edges import RoadEdges
from riskmap.roads.joining import place_keys, to_metres
from riskmap.roads.report import describe
from riskmap.roads.vector import RoadLines, edges_of

WEST, SOUTH = 118.7, 32.0
# About 100 m each way.
EAST_M, NORTH_M = 1 / (111_420 * np.cos(np.radians(SOUTH))), 1 / 110_900


def at(x: float, y: float) -> tuple[float, float]:
    return (WEST + x * EAST_M, SOUTH + y * NORTH_M)


def lines(*drawn, **cells) -> RoadLines:
    """Lines of metres east and north."""
    shapes = np.array([shapely.LineString([at(*p) for p in line]) for line in drawn], dtype=object)
    return RoadLines(list(range(1, len(drawn) + 1)), shapes, cells)


def network(roads: RoadLines, **options):
    edges, mended = edges_of(roads, RoadMapping(), file="test", **options)
    return edges, describe(edges, mended)


def times(edges: RoadEdges, starts, ends, kmh: float = 36.0) -> np.ndarray:
    """Return seconds from each start to each end, given in metres; a snap by nearest node."""
    xy = to_metres(edges.lonlat)
    nodes, number = np.unique(np.concatenate([edges.from_node, edges.to_node]), return_inverse=True)
    count = len(edges)
    place = np.zeros((len(nodes), 2))
    place[number[:count]] = edges.lonlat[edges.offsets[:-1]]
    place[number[count:]] = edges.lonlat[edges.offsets[1:] - 1]
    step = np.hypot(*np.diff(xy, axis=0).T)
    seconds = np.add.reduceat(np.append(step, 0), edges.offsets[:-1])
    seconds -= [step[k - 1] if k <= len(step) else 0 for k in edges.offsets[1:]]
    seconds *= 3.6 / kmh
    best: dict[tuple[int, int], float] = {}
    for a, b, way, s in zip(number[:count], number[count:], edges.oneway, seconds, strict=True):
        for u, v, shut in ((a, b, "backward"), (b, a, "forward")):
            if way != shut and u != v:
                best[u, v] = min(best.get((u, v), np.inf), max(s, 1e-9))
    keys = np.array(list(best))
    matrix = csr_matrix((list(best.values()), keys.T), shape=(len(nodes), len(nodes)))
    local = place / (EAST_M, NORTH_M)

    def near(points):
        wanted = np.array([at(*p) for p in points]) / (EAST_M, NORTH_M)
        found = shapely.STRtree(shapely.points(local)).nearest(shapely.points(wanted))
        assert np.hypot(*(local[found] - wanted).T).max() < 2
        return found

    return dijkstra(matrix, indices=near(starts))[:, near(ends)]


SIDE = 5


def split_grid():
    """Every block a line of its own."""
    drawn = []
    for k, j in itertools.product(range(SIDE), range(SIDE - 1)):
        drawn.append([(100 * j, 100 * k), (100 * j + 100, 100 * k)])
        drawn.append([(100 * k, 100 * j), (100 * k, 100 * j + 100)])
    return drawn


def long_grid():
    """Every street one line with a vertex at each crossing."""
    stops = [100 * j for j in range(SIDE)]
    rows = [[(x, 100 * k) for x in stops] for k in range(SIDE)]
    return rows + [[(100 * k, y) for y in stops] for k in range(SIDE)]


def sloppy_grid(random):
    """Streets without vertices; those to the north end on them, up to 0.3 m off."""
    drawn = [[(0, 100 * k), (100 * (SIDE - 1), 100 * k)] for k in range(SIDE)]
    for k, j in itertools.product(range(SIDE), range(SIDE - 1)):
        a, b = random.uniform(-0.21, 0.21, (2, 2))
        drawn.append([(100 * k + a[0], 100 * j + a[1]), (100 * k + b[0], 100 * j + 100 + b[1])])
    return drawn


@pytest.mark.parametrize("seed", range(5))
def test_one_city_drawn_three_ways(seed):
    random = np.random.default_rng(seed)
    corners = [(100.0 * x, 100.0 * y) for x in range(SIDE) for y in range(SIDE)]
    truth = np.abs(np.subtract.outer(*[np.array(corners)[:, 0]] * 2))
    truth = (truth + np.abs(np.subtract.outer(*[np.array(corners)[:, 1]] * 2))) / 10
    plain, _ = network(lines(*split_grid()))
    # Four corners are bends of two alike streets: no junctions.
    assert len(np.unique([plain.from_node, plain.to_node])) == SIDE**2 - 4
    inner = [k for k, (x, y) in enumerate(corners) if not {x, y} <= {0.0, 400.0}]
    inner_corners = [corners[k] for k in inner]
    truth = truth[np.ix_(inner, inner)]
    exact = times(plain, inner_corners, inner_corners)
    np.testing.assert_allclose(exact, truth, rtol=2e-3)

    shared, report = network(lines(*long_grid()))
    assert report.mended.splits == 2 * SIDE * (SIDE - 2)
    assert (report.edges, report.junctions) == (len(plain), SIDE**2 - 4)
    np.testing.assert_allclose(times(shared, inner_corners, inner_corners), exact, atol=1e-3)

    order = random.permutation(len(sloppy_grid(random)))
    drawn = sloppy_grid(np.random.default_rng(seed))
    sloppy, report = network(lines(*(drawn[k] for k in order)), snap_m=1.0, split_touching=True)
    assert (report.edges, report.junctions) == (len(plain), SIDE**2 - 4)
    # A street whose own end was snapped by 0.3 m may lie 0.6 m from where another ends.
    assert 0 < report.mended.snapped.greatest_m <= 0.6
    assert 0 < report.mended.touching.greatest_m <= 0.6
    assert len(report.components) == 1 and report.dangling == 0
    # 8 blocks, each at most twice 0.3 m and a bend of as much off, at 10 m/s.
    found = times(sloppy, inner_corners, inner_corners)
    np.testing.assert_allclose(found, exact, atol=0.5)

    _, report = network(lines(*drawn), snap_m=0)
    assert report.dangling > 0 and len(report.components) > 1


def test_the_order_of_the_rows_does_not_matter():
    drawn = sloppy_grid(np.random.default_rng(1))
    seen = set()
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(drawn))
        edges, _ = network(lines(*(drawn[k] for k in order)), snap_m=1.0, split_touching=True)
        ends = np.sort(
            np.column_stack(
                [
                    place_keys(edges.lonlat[edges.offsets[:-1]]),
                    place_keys(edges.lonlat[edges.offsets[1:] - 1]),
                ]
            ),
            axis=1,
        )
        seen.add(tuple(map(tuple, sorted(ends.tolist()))))
    assert len(seen) == 1


def test_snaps_do_not_creep():
    # Ends 0.4 m apart in a row of ten: none may move farther than 0.5 m.
    drawn = [[(0.4 * k, 0), (0.4 * k, 50 + k)] for k in range(10)]
    roads = lines(*drawn)
    edges, report = network(roads, snap_m=0.5)
    assert 0 < report.mended.snapped.greatest_m <= 0.5
    was = np.array([shapely.get_coordinates(line)[0] for line in roads.shapes])
    for k, row in enumerate(edges.source_id):
        line = int(row.split("/")[1]) - 1
        ends = edges.lonlat[[edges.offsets[k], edges.offsets[k + 1] - 1]]
        moved = np.hypot(*((ends - was[line]) / (EAST_M, NORTH_M)).T).min()
        assert moved <= 0.51 or edges.source_id.count(row) == 1
    assert 3 <= len(set(edges.from_node.tolist())) <= 6


def test_a_stretch_shorter_than_the_tolerance_stays_a_road():
    left, right = (100, 0), (100.3, 0)
    arms = [[(0, 0), left], [left, (100, -90)], [right, (100.3, 80)], [right, (180, 0)]]
    edges, report = network(lines([left, right], *arms), snap_m=0.5)
    assert len(edges) == 5
    assert report.self_loops == ()
    assert report.mended.snapped.count == 0


STREET = [(0, 0), (50, 0), (100, 0)]
OVER = [(50, -50), (50, 0), (50, 50)]


def test_a_bridge_over_a_street_stays_apart():
    ramps = [[(50, -100), (50, -50)], [(50, 50), (50, 100)]]
    edges, report = network(lines(STREET, OVER, *ramps, bridge=["", "1", "", ""]))
    # The bridge joins its ramps at its ends, and not the street that has a vertex beneath it.
    assert len(edges) == 4 and len(report.components) == 2
    assert len(report.mended.apart) == 1
    # The same drawing on one level is a crossing, and each road through it has two arms.
    flat, report = network(lines(STREET, OVER, *ramps))
    assert len(flat) == 4 and report.junctions == 5 and len(report.components) == 1


@pytest.mark.parametrize(
    "cells",
    [{"tunnel": ["", "yes"]}, {"level": [0, 1]}, {"level": [1, 2], "bridge": ["1", "1"]}],
)
def test_levels_of_every_kind_stay_apart(cells):
    edges, report = network(lines(STREET, OVER, **cells))
    assert len(edges) == 2 and len(report.components) == 2


def test_a_bridge_in_two_pieces_stays_apart_at_its_joint():
    pieces = [[(50, -50), (50, 0)], [(50, 0), (50, 50)]]
    edges, report = network(lines(STREET, *pieces, bridge=["", "1", "1"]))
    assert len(report.components) == 2
    assert len(edges) == 2  # the joint of the two is dissolved


def test_a_bridge_that_ends_on_a_street_joins_it():
    edges, report = network(lines(STREET, [(50, 0), (50, 50)], bridge=["", "1"]))
    assert len(edges) == 3 and len(report.components) == 1
    # A street that ends beneath a bridge does not.
    edges, report = network(lines(STREET, [(50, 0), (50, 50)], bridge=["1", ""]))
    assert len(edges) == 2 and len(report.components) == 2


def test_touching_ends_split_only_when_asked_and_only_on_their_level():
    main, side = [(0, 0), (100, 0)], [(40, 0.3), (40, 50)]
    edges, report = network(lines(main, side))
    assert len(edges) == 2
    assert [gap.source_id for gap in report.gaps] == ["row/2/0"]
    assert report.gaps[0].distance_m == pytest.approx(0.3, abs=0.01)
    edges, report = network(lines(main, side), split_touching=True)
    assert len(edges) == 3 and report.gaps == ()
    above, _ = network(lines(main, side, bridge=["1", ""]), split_touching=True)
    assert len(above) == 2
    landing, _ = network(lines(main, side, bridge=["", "1"]), split_touching=True)
    assert len(landing) == 3
    # A road that comes back to its own side, like a 6.
    six, report = network(
        lines([(0, 0), (0, 100), (60, 100), (60, 50), (0.2, 50)]), split_touching=True
    )
    assert len(six) == 2 and len(report.self_loops) == 1


def test_a_crossing_without_a_shared_vertex_is_none():
    edges, report = network(lines([(0, 0), (100, 0)], [(50, -50), (50, 50)]), split_touching=True)
    assert len(edges) == 2 and len(report.components) == 2


def test_one_ways_survive_a_contraction():
    # Four stretches of one street to the east, two of them drawn to the west.
    drawn = [[(0, 0), (100, 0)], [(200, 0), (100, 0)], [(200, 0), (300, 10), (400, 0)],
             [(500, 0), (400, 0)]]  # fmt: skip
    edges, report = network(lines(*drawn, oneway=["FT", "TF", "FT", "TF"]))
    assert len(edges) == 1 and report.mended.contracted == 3
    assert edges.source_id == ["row/1/0"] and edges.oneway == ["forward"]
    np.testing.assert_allclose(edges.lonlat[[0, -1]], [at(0, 0), at(500, 0)])
    assert len(edges.lonlat) == 6  # every vertex is kept
    reverse, _ = network(lines(*drawn, oneway=["TF", "FT", "TF", "FT"]))
    assert reverse.oneway == ["forward"]
    np.testing.assert_allclose(reverse.lonlat[[0, -1]], [at(500, 0), at(0, 0)])
    # Two that run against each other meet in a trap, which must stay one.
    trap, _ = network(lines(*drawn[:2], oneway=["FT", "FT"]))
    assert len(trap) == 2
    both, _ = network(lines(*drawn))
    assert len(both) == 1 and both.oneway == ["both"]
    for cells in ({"name": ["a", "b"]}, {"speed_kmh": [30, 40]}, {"bridge": ["1", "0"]}):
        assert len(network(lines(*drawn[:2], **cells))[0]) == 2


def test_a_ring_of_pieces_keeps_one_node():
    corners = [(0, 0), (100, 0), (100, 100), (0, 100), (0, 0)]
    for turn in ((0, 0, 0, 0), (1, 0, 1, 0)):
        drawn = [
            [b, a] if t else [a, b]
            for (a, b), t in zip(itertools.pairwise(corners), turn, strict=True)
        ]
        edges, report = network(lines(*drawn))
        assert len(edges) == 1 and edges.from_node[0] == edges.to_node[0]
        assert report.length_m == pytest.approx(400, rel=0.005)
        ring, _ = network(lines(*drawn, oneway=["TF" if t else "FT" for t in turn]))
        assert len(ring) == 1 and ring.oneway == ["forward"]
        area = shapely.Polygon(ring.lonlat).exterior
        assert area.is_ccw


def test_a_street_drawn_twice_is_told_and_not_shattered():
    bend = [(0, 0), (50, 5), (100, 0), (150, 9), (200, 0)]
    edges, report = network(lines(bend, bend[::-1], oneway=["FT", "FT"]))
    assert len(edges) == 2
    assert report.duplicates == (("row/1/0", "row/2/0"),)
    # A side street at a vertex of both cuts both.
    edges, _ = network(lines(bend, bend[::-1], [(100, 0), (100, 80)], oneway=["FT", "FT", ""]))
    assert len(edges) == 5


def test_what_is_left_loose_is_told():
    _, report = network(
        lines(
            [(0, 0), (100, 0)],
            [(103, 0), (200, 0)],
            [(0, 500), (60, 500)],
            [(300, 300), (350, 300), (350, 350), (300, 300)],
        ),
        snap_m=0.5,
    )
    assert report.dangling == 6
    assert {gap.source_id for gap in report.gaps} == {"row/1/0", "row/2/0"}
    assert all(gap.distance_m == pytest.approx(3, rel=0.01) for gap in report.gaps)
    assert [part.source_id for part in report.components][-1] == "row/3/0"
    assert report.self_loops == ("row/4/0",)
    told = report.to_json()
    assert told["components"]["count"] == 4
    assert len(told["components"]["small"]) == 3
    for lang in ("zh", "en"):
        assert "row/3/0" in report.render(lang)


def test_times_over_nanjing_do_not_change():
    roads = read_lines(
        shared_data("nanjing/roads.gpkg"),
        mapping := RoadMapping({"speed_kmh": "speed_kmh"}),
        crs=read_crs("EPSG:4326"),
    )
    merged, done = edges_of(roads, mapping, file="n")
    assert (len(merged), done.contracted) == (45_721, 4)
    # A name for each row, and no two are alike: the same network, its joints kept.
    named = replace(roads, cells={**roads.cells, "name": [str(row) for row in roads.rows]})
    kept, done = edges_of(named, mapping, file="n")
    assert (len(kept), done.contracted) == (45_725, 0)
    random = np.random.default_rng(7)
    picked = random.choice(len(merged), 400, replace=False)
    places = merged.lonlat[merged.offsets[picked]]
    scale = 111_195 * np.array([np.cos(np.radians(32)), 1])
    seconds = [_between(edges, places, scale) for edges in (kept, merged)]
    assert len(seconds[0]) == 200 and np.isfinite(seconds[0]).all() and seconds[0].max() > 1000
    np.testing.assert_allclose(seconds[0], seconds[1], rtol=0, atol=1e-3)


def _between(edges, places, scale):
    """Return the seconds of each of 200 pairs; metres by one plain scale for both networks."""
    xy = edges.lonlat * scale
    nodes, number = np.unique(np.concatenate([edges.from_node, edges.to_node]), return_inverse=True)
    count = len(edges)
    at_node = np.zeros((len(nodes), 2))
    at_node[number[:count]] = edges.lonlat[edges.offsets[:-1]]
    at_node[number[count:]] = edges.lonlat[edges.offsets[1:] - 1]
    owner = np.repeat(np.arange(count), np.diff(edges.offsets))
    step = np.zeros(len(xy))
    step[1:] = np.hypot(*np.diff(xy, axis=0).T) * (owner[1:] == owner[:-1])
    metres = np.bincount(owner, weights=step)
    seconds = metres * 3.6 / np.where(np.isfinite(edges.maxspeed_kmh), edges.maxspeed_kmh, 24)
    tail, head = number[:count], number[count:]
    pairs = np.sort(np.column_stack([tail, head]), axis=1)
    order = np.lexsort((seconds, pairs[:, 1], pairs[:, 0]))
    first = np.ones(count, bool)
    first[1:] = (np.diff(pairs[order], axis=0) != 0).any(axis=1)
    best = order[first]
    matrix = csr_matrix((seconds[best], (pairs[best, 0], pairs[best, 1])), (len(nodes),) * 2)
    near = shapely.STRtree(shapely.points(at_node * scale)).nearest(shapely.points(places * scale))
    half = len(near) // 2
    rows = dijkstra(matrix, directed=False, indices=near[:half])
    return rows[np.arange(half), near[half:]]


def test_lines_of_no_road_are_refused():
    roads = lines([(0, 0), (0, 0)])
    with pytest.raises(Exception, match="test"):
        network(roads)
    assert replace(roads, notes=()).rows == [1]
