"""Banned turns and turning round, against a plain search over pairs of roads."""

from __future__ import annotations

import heapq
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from network import desert, random_graph, straight

from riskmap.analysis.search import search
from riskmap.roads.snap import positions_on
from riskmap.units import UNREACHED


def on(graph, *places):
    edges = graph.edge_index([1000 + place[0] for place in places])
    return positions_on(graph, edges, [place[1] for place in places])


def nodes(graph, times, *ids):
    return times.node_ms[graph.node_index(list(ids))].tolist()


def ends(graph):
    """Every arc as (edge, tail, head, cost), by name of edge and direction."""
    found = {}
    for edge in range(graph.edge_count):
        u, v = int(graph.edge_from[edge]), int(graph.edge_to[edge])
        if graph.forward_ms[edge] != UNREACHED:
            found[edge, True] = (u, v, int(graph.forward_ms[edge]))
        if graph.backward_ms[edge] != UNREACHED:
            found[edge, False] = (v, u, int(graph.backward_ms[edge]))
    return found


def oracle(graph, bans, start, limit, reverse):
    """Times of nodes by Dijkstra over the roads one came by; plain loops, nothing shared."""
    arcs = ends(graph)
    leaving = {}
    for name, (tail, _, _) in arcs.items():
        leaving.setdefault(tail, []).append(name)

    def allowed(first, second):
        node = arcs[first][1]
        if arcs[second][0] != node:
            return False
        if (
            not graph.u_turns
            and first[0] == second[0]
            and first != second
            and len(leaving[node]) > 1
        ):
            return False
        return (first, second) not in bans

    follow = {name: [other for other in arcs if allowed(name, other)] for name in arcs}
    if reverse:
        before = {name: [] for name in arcs}
        for name, others in follow.items():
            for other in others:
                before[other].append(name)
        follow = before
    edge, share = start
    end = 0 if reverse else 1
    best, queue = {}, []
    node_ms = np.full(graph.node_count, UNREACHED, dtype=np.int64)
    for name in ((edge, True), (edge, False)):
        if name not in arcs:
            continue
        ahead = name[1] != reverse
        ms = int(arcs[name][2] * ((1 - share) if ahead else share) + 0.5)
        if ms <= limit:
            heapq.heappush(queue, (ms, name))
    # A state is an arc that was passed to its end (its begin, when searching toward the start).
    while queue:
        ms, name = heapq.heappop(queue)
        if name in best and best[name] <= ms:
            continue
        best[name] = ms
        node = arcs[name][end]
        node_ms[node] = min(node_ms[node], ms)
        for other in follow[name]:
            later = ms + arcs[other][2]
            if later <= limit:
                heapq.heappush(queue, (later, other))
    return node_ms


def random_bans(random, graph, count):
    """Bans by edge ids for `build_graph`, and by arcs for the oracle."""
    arcs = ends(graph)
    names = list(arcs)
    rows, pairs = [], set()
    for _ in range(count * 20):
        first, second = (names[k] for k in random.integers(0, len(names), 2))
        loops = {graph.edge_from[e] == graph.edge_to[e] for e in (first[0], second[0])}
        if arcs[first][1] == arcs[second][0] and True not in loops:
            rows.append(
                (
                    int(graph.edge_id[first[0]]),
                    int(graph.node_id[arcs[first][1]]),
                    int(graph.edge_id[second[0]]),
                )
            )
            pairs.add((first, second))
        if len(rows) == count:
            break
    return rows, pairs


@pytest.mark.parametrize("u_turns", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_with_bans_agree_with_a_plain_search(seed, u_turns):
    free = random_graph(np.random.default_rng(seed), 30, 70)
    rows, bans = random_bans(np.random.default_rng(seed + 99), free, 25)
    graph = random_graph(np.random.default_rng(seed), 30, 70, turns=rows, u_turns=u_turns)
    assert graph.has_turns and len(graph.banned) == len(graph.rev_banned) == len(bans)
    random = np.random.default_rng(seed + 7)
    compared = 0
    for _ in range(6):
        edge = int(random.integers(0, graph.edge_count))
        share = float(random.uniform(0.05, 0.95))
        start = positions_on(graph, [edge], [share])
        for reverse in (False, True):
            times = search(graph, start, [0], 6000, reverse=reverse)
            expected = oracle(graph, bans, (edge, share), 6000, reverse)
            np.testing.assert_array_equal(times.node_ms, expected)
            compared += int((expected != UNREACHED).sum())
    assert compared > 20


@pytest.mark.parametrize("seed", range(20))
def test_without_bans_it_does_not_matter_whether_one_may_turn_round(seed):
    random = np.random.default_rng(seed)
    nodes = int(random.integers(4, 40))
    graph = random_graph(np.random.default_rng(seed), nodes, 2 * nodes, turns=[], u_turns=False)
    assert not graph.has_turns
    edge, share = int(random.integers(0, graph.edge_count)), float(random.uniform(0.05, 0.95))
    for reverse in (False, True):
        times = search(graph, positions_on(graph, [edge], [share]), [0], 5000, reverse=reverse)
        expected = oracle(graph, set(), (edge, share), 5000, reverse)
        np.testing.assert_array_equal(times.node_ms, expected)


@pytest.mark.parametrize("seed", range(8))
def test_of_several_starts_the_earliest_counts_and_of_equal_ones_the_lowest(seed):
    random = np.random.default_rng(seed)
    free = random_graph(np.random.default_rng(seed), 25, 55)
    rows, _ = random_bans(np.random.default_rng(seed + 99), free, 20)
    graph = random_graph(np.random.default_rng(seed), 25, 55, turns=rows, u_turns=False)
    edges, shares = random.integers(0, graph.edge_count, 4), random.choice([0.0, 0.3, 1.0], 4)
    clocks = random.choice([0, 0, 50], 4)
    places = positions_on(
        graph, random.integers(0, graph.edge_count, 90), random.choice([0, 0.2, 0.7, 1], 90)
    )
    for reverse in (False, True):
        together = search(graph, positions_on(graph, edges, shares), clocks, 4000, reverse=reverse)
        alone = np.array(
            [
                search(graph, positions_on(graph, [e], [s]), [c], 4000, reverse=reverse).at(places)
                for e, s, c in zip(edges, shares, clocks, strict=True)
            ]
        )
        best = alone.min(axis=0)
        np.testing.assert_array_equal(together.at(places), best)
        winner = np.where(best == UNREACHED, -1, alone.argmin(axis=0))
        np.testing.assert_array_equal(together.source_at(places), winner)


@pytest.mark.parametrize("seed", range(6))
def test_without_bans_arcs_and_nodes_find_the_same(seed):
    free = random_graph(np.random.default_rng(seed), 40, 90)
    # A ban of a passage that the graph does not have binds nothing but makes it search arcs.
    bound = random_graph(np.random.default_rng(seed), 40, 90)
    object.__setattr__(bound, "banned", np.array([(1 << 62)], dtype=np.int64))
    assert bound.has_turns and not free.has_turns
    random = np.random.default_rng(seed)
    for reverse in (False, True):
        edges, shares = random.integers(0, free.edge_count, 3), random.choice([0.0, 0.3, 1.0], 3)
        starts = positions_on(free, edges, shares)
        one = search(free, starts, [0, 50, 10], 5000, reverse=reverse)
        other = search(bound, starts, [0, 50, 10], 5000, reverse=reverse)
        np.testing.assert_array_equal(one.node_ms, other.node_ms)
        np.testing.assert_array_equal(one.node_source, other.node_source)
        places = positions_on(
            free, random.integers(0, free.edge_count, 300), random.choice([0, 0.2, 0.7, 1], 300)
        )
        np.testing.assert_array_equal(one.at(places), other.at(places))
        np.testing.assert_array_equal(one.source_at(places), other.source_at(places))
        parts = [times.reached_edges() for times in (one, other)]
        rows = [
            sorted(zip(p.edge, p.fraction_start, p.fraction_end, p.ms_start, p.ms_end, strict=True))
            for p in parts
        ]
        assert rows[0] == rows[1]


def test_no_turning_round_but_at_the_end_of_a_dead_end():
    # 0 - 1 - 2 and a dead end 1 - 3; one stands on 0 - 1 looking either way.
    rows = [(0, 1, 1000, 1000), (1, 2, 1000, 1000), (1, 3, 500, 500)]
    start = (0, 0.5)
    free, strict = straight(rows), straight(rows, u_turns=False)
    targets = [(1, 0.5), (2, 0.5)]
    for graph in (free, strict):
        times = search(graph, on(graph, start), [0], 10_000)
        assert nodes(graph, times, 0, 1, 2, 3) == [500, 500, 1500, 1000]
        assert times.at(on(graph, *targets)).tolist() == [1000, 750]
    # Only by a one-way round the block back to the road that one came by.
    block = [(0, 1, 1000, 1000), (1, 2, 1000, None), (2, 3, 1000, None), (3, 1, 1000, None)]
    graph = straight(block, u_turns=False, turns=[(1000, 1, 1001)])
    # From the block's far side one gets home to 0; from 0 the turn into the block is banned.
    assert nodes(graph, search(graph, on(graph, (3, 0.5)), [0], 9000), 0) == [1500]
    assert nodes(graph, search(graph, on(graph, (0, 0.5)), [0], 9000), 2) == [UNREACHED]
    free = straight(block, turns=[(1000, 1, 1001)])
    assert nodes(free, search(free, on(free, (0, 0.5)), [0], 9000), 2) == [UNREACHED]


def test_turning_round_is_a_way_past_a_banned_turn():
    # No left turn from 1000 to 1001 at 1; on to the dead end 3, round, and back it is allowed.
    rows = [(0, 1, 1000, 1000), (1, 2, 1000, 1000), (1, 3, 500, 500)]
    graph = straight(rows, u_turns=False, turns=[(1000, 1, 1001)])
    times = search(graph, on(graph, (0, 0.0)), [0], 10_000)
    # A start at a junction stands there with all roads open, so begin in mid-road.
    times = search(graph, on(graph, (0, 0.5)), [0], 10_000)
    assert nodes(graph, times, 2) == [500 + 500 + 500 + 1000]
    back = search(graph, on(graph, (1, 0.5)), [0], 10_000, reverse=True)
    assert back.at(on(graph, (0, 0.5))).tolist() == [500 + 1000 + 500]


def test_closing_a_road_never_opens_a_turn():
    rows = [(0, 1, 1000, 1000), (1, 2, 1000, 1000), (1, 3, 500, 500)]
    graph = straight(rows, u_turns=False)
    closed = graph.with_times(
        np.where(graph.edge_id == 1000, graph.forward_ms, UNREACHED).astype(np.int32),
        np.where(graph.edge_id == 1000, graph.backward_ms, UNREACHED).astype(np.int32),
        revision="closed",
    )
    # Node 1 has three roads still, two of them closed: nobody may turn round there.
    toward = search(closed, on(closed, (0, 0.9)), [0], 10_000)
    assert nodes(closed, toward, 0, 1) == [900, 100]


def test_899_900_and_901_seconds_with_turns():
    graph = desert(61, 15_000)
    object.__setattr__(graph, "u_turns", False)
    start = on(graph, (0, 0.0))
    for limit_s, blocks in ((899, 59), (900, 60), (901, 60)):
        times = search(graph, start, [0], limit_s * 1000)
        x, y = graph.node_id % 61, graph.node_id // 61
        expected = np.where(x + y <= blocks, (x + y) * 15_000, UNREACHED)
        np.testing.assert_array_equal(times.node_ms, expected)
