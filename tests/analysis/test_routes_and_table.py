"""Ways say the times they were found with; sparse rows say what single searches say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

sys.path.insert(0, str(Path(__file__).parent))

from network import random_graph, straight
from test_turns import random_bans

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.kernels import share_ms
from riskmap.analysis.routes import _pieces, routes
from riskmap.analysis.search import search
from riskmap.analysis.table import arrival_table, features_of, travel_matrix
from riskmap.roads.graphs import Network
from riskmap.roads.snap import positions_on
from riskmap.units import UNREACHED

LIMIT = 6000


def graphs(seed):
    free = random_graph(np.random.default_rng(seed), 30, 70)
    rows, _ = random_bans(np.random.default_rng(seed), free, 20)
    yield free
    yield random_graph(np.random.default_rng(seed), 30, 70, turns=rows, u_turns=False)


def places(random, graph, count):
    return positions_on(
        graph,
        random.integers(0, graph.edge_count, count),
        np.where(random.random(count) < 0.3, random.integers(0, 2, count), random.random(count)),
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_way_takes_the_time_it_says_and_hangs_together(seed, reverse):
    for graph in graphs(seed):
        random = np.random.default_rng(seed)
        starts, targets = places(random, graph, 3), places(random, graph, 60)
        clock = random.integers(0, 300, 3)
        times = search(graph, starts, clock, LIMIT, reverse=reverse)
        reached, source = times.arrivals(targets)
        found = routes(times, targets, Network(graph))
        assert [way is None for way in found] == (reached == UNREACHED).tolist()
        checked = 0
        for row, way in enumerate(found):
            if way is None:
                continue
            edge, share = int(targets.edge[row]), float(targets.fraction[row])
            pieces = _pieces(times, edge, share, int(reached[row]), int(source[row]))
            spent = int(clock[source[row]])
            at = (int(starts.edge[source[row]]), float(starts.fraction[source[row]]))
            for piece_edge, begin, to in pieces:
                ahead = (to > begin) != reverse
                whole = (graph.forward_ms if ahead else graph.backward_ms)[piece_edge]
                assert whole != UNREACHED
                spent += int(share_ms.py_func(whole, abs(to - begin)))
                here = positions_on(graph, [at[0], piece_edge], [at[1], begin]).xy
                assert np.allclose(here[0], here[1])
                at = (piece_edge, to)
            end = positions_on(graph, [at[0], edge], [at[1], share]).xy
            assert np.allclose(end[0], end[1])
            assert spent == reached[row] == way.ms
            assert len(way.geometry) >= 2 and len(way.edge_ids) == len(pieces)
            begins, ends = (end[0], starts.xy[source[row]])
            if not reverse:
                begins, ends = ends, begins
            ways = Network(graph).to_local(way.geometry)
            assert np.allclose(ways[0], begins, atol=0.05)
            assert np.allclose(ways[-1], ends, atol=0.05)
            checked += 1
        assert checked > 5


def test_the_length_of_a_way_is_that_of_its_roads():
    graph = straight([(0, 1, 1000, 1000), (1, 2, 1000, 1000)])
    start, end = positions_on(graph, [0], [0.25]), positions_on(graph, [1], [0.5])
    (way,) = routes(search(graph, start, [0], 9000), end, Network(graph))
    assert way.length_m == pytest.approx(125.0) and way.ms == 1250
    assert way.edge_ids == [1000, 1001]
    (stays,) = routes(search(graph, start, [7], 9000), start, Network(graph))
    assert stays.ms == 7 and stays.length_m == 0.0 and len(stays.geometry) == 2


def anchors_of(random, graph, features):
    """Features with one to four positions each, some without a road."""
    counts = random.integers(1, 5, features)
    positions = places(random, graph, int(counts.sum()))
    positions.edge[random.random(len(positions)) < 0.1] = -1
    return Anchors(
        rows=_Rows(features),
        network=Network(graph),
        positions=positions,
        access_ms=random.integers(0, 400, len(positions)).astype(np.int64),
        first=np.concatenate([[0], np.cumsum(counts)])[:-1].astype(np.int64),
    )


class _Rows:
    def __init__(self, count):
        self.count = count
        self.shapes = np.array([shapely.Point(0, 0)] * count)

    def __len__(self):
        return self.count


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_rows_of_the_table_are_those_of_single_searches(seed, threads):
    for graph in graphs(seed):
        random = np.random.default_rng(seed)
        anchors = anchors_of(random, graph, 50)
        starts, clock = places(random, graph, 12), random.integers(0, 900, 12)
        starts.edge[3] = -1
        table = arrival_table(graph, starts, clock, LIMIT, anchors, threads=threads)
        whole = np.full((12, 50), UNREACHED, dtype=np.int64)
        for row in range(12):
            one = positions_on(graph, starts.edge[row : row + 1], starts.fraction[row : row + 1])
            at = anchors.arrival_ms(search(graph, one, clock[row : row + 1], LIMIT))
            whole[row] = np.where(at <= LIMIT, at, UNREACHED)
            feature, ms = table.row(row)
            np.testing.assert_array_equal(feature, np.flatnonzero(whole[row] != UNREACHED))
            np.testing.assert_array_equal(ms, whole[row][feature])
        assert (whole != UNREACHED).sum() > 30
        ms, who = table.earliest(3)
        order = np.argsort(whole, axis=0, kind="stable")[:3].T
        np.testing.assert_array_equal(ms, np.take_along_axis(whole.T, order, axis=1))
        np.testing.assert_array_equal(who, np.where(ms == UNREACHED, -1, order))
        np.testing.assert_array_equal(table.counts(3000), (whole <= 3000).sum(axis=0))
        # One start moves: its row alone is made anew.
        moved = positions_on(graph, [int(starts.edge[5])], [0.5])
        again = table.with_rows({5: features_of(search(graph, moved, clock[5:6], LIMIT), anchors)})
        for row in (0, 4, 6, 11):
            np.testing.assert_array_equal(again.row(row)[1], table.row(row)[1])
        expected = anchors.arrival_ms(search(graph, moved, clock[5:6], LIMIT))
        np.testing.assert_array_equal(again.row(5)[1], expected[expected <= LIMIT])


def test_a_matrix_says_what_searches_say():
    (graph, _) = graphs(3)
    random = np.random.default_rng(3)
    origins, targets = places(random, graph, 9), places(random, graph, 40)
    for threads in (1, 2):
        found = travel_matrix(graph, origins, targets, LIMIT, threads=threads)
        assert found.shape == (9, 40) and found.dtype == np.int32
        for row in range(9):
            one = positions_on(graph, origins.edge[row : row + 1], origins.fraction[row : row + 1])
            np.testing.assert_array_equal(found[row], search(graph, one, [0], LIMIT).at(targets))
    assert travel_matrix(graph, origins, positions_on(graph, [], []), LIMIT).shape == (9, 0)
