from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

sys.path.insert(0, str(Path(__file__).parent))

from network import desert, random_graph, straight

from riskmap import units
from riskmap.analysis import kernels
from riskmap.analysis.search import search
from riskmap.errors import InputError
from riskmap.roads.snap import positions_on
from riskmap.units import UNREACHED


def on(graph, *places):
    """Positions from (row of the edge as given, fraction)."""
    edges = graph.edge_index([1000 + place[0] for place in places])
    return positions_on(graph, edges, [place[1] for place in places])


def node_ms(graph, times, *ids):
    return times.node_ms[graph.node_index(list(ids))].tolist()


def test_kernels_share_the_unit_of_the_rest():
    assert kernels.UNREACHED == units.UNREACHED


def test_899_900_and_901_seconds():
    # 61 x 61 crossings, 15 s between two: the crossing k blocks away takes 15 k seconds.
    graph = desert(61, 15_000)
    start = on(graph, (0, 0.0))
    for limit_s, blocks in ((899, 59), (900, 60), (901, 60)):
        times = search(graph, start, [0], limit_s * 1000)
        x, y = graph.node_id % 61, graph.node_id // 61
        expected = np.where(x + y <= blocks, (x + y) * 15_000, UNREACHED)
        np.testing.assert_array_equal(times.node_ms, expected)


def test_the_clock_before_the_start_counts():
    graph = desert(61, 15_000)
    times = search(graph, on(graph, (0, 0.0)), [60_000], 900_000)
    assert times.node_ms[times.reached].max() == 900_000
    assert (graph.node_id[times.reached] % 61 + graph.node_id[times.reached] // 61).max() == 56
    late = search(graph, on(graph, (0, 0.0)), [900_001], 900_000)
    assert len(late.reached) == 0
    assert len(late.reached_edges()) == 0


def test_positions_in_mid_edge_are_exact():
    graph = straight([(0, 1, 1000, 2000), (1, 2, 1000, None)])
    times = search(graph, on(graph, (0, 0.25)), [0], 10_000)
    assert node_ms(graph, times, 0, 1, 2) == [500, 750, 1750]
    targets = on(graph, (0, 0.1), (0, 0.25), (0, 0.9), (1, 0.1), (1, 1.0))
    assert times.at(targets).tolist() == [300, 0, 650, 850, 1750]


def test_a_tenth_of_a_second_is_not_rounded_up():
    graph = straight([(0, 1, 1000, None)])
    times = search(graph, on(graph, (0, 0.0)), [0], 100)
    assert times.at(on(graph, (0, 0.1))).tolist() == [100]


def test_behind_on_a_one_way_goes_round_the_block():
    graph = straight([(0, 1, 1000, None), (1, 2, 1000, None), (2, 0, 1000, None)])
    times = search(graph, on(graph, (0, 0.5)), [0], 10_000)
    assert times.at(on(graph, (0, 0.75), (0, 0.25), (0, 0.5))).tolist() == [250, 2750, 0]
    toward = search(graph, on(graph, (0, 0.5)), [0], 10_000, reverse=True)
    assert toward.at(on(graph, (0, 0.75), (0, 0.25))).tolist() == [2750, 250]


def test_a_dead_end_one_way_has_no_way_back():
    graph = straight([(0, 1, 1000, None)])
    times = search(graph, on(graph, (0, 0.5)), [0], 10_000)
    assert times.at(on(graph, (0, 0.25))).tolist() == [UNREACHED]
    assert node_ms(graph, times, 0, 1) == [UNREACHED, 500]


def test_the_two_sides_of_a_one_way_differ():
    # 0 -> 1 by the one-way, back only over 2.
    graph = straight([(0, 1, 1000, None), (1, 2, 5000, 5000), (2, 0, 5000, 5000)])
    there = search(graph, on(graph, (0, 0.0)), [0], 60_000)
    back = search(graph, on(graph, (0, 1.0)), [0], 60_000)
    assert node_ms(graph, there, 1) == [1000]
    assert node_ms(graph, back, 0) == [10_000]


def test_a_start_at_a_junction_leaves_by_every_road():
    # The start is snapped to the end of a one-way that leads to it, or away from it.
    graph = straight([(0, 1, 1000, None), (1, 2, 1000, None), (1, 3, 700, None)])
    for place in ((0, 1.0), (1, 0.0)):
        times = search(graph, on(graph, place), [0], 5000)
        assert node_ms(graph, times, 0, 1, 2, 3) == [UNREACHED, 0, 1000, 700]


def test_an_island_is_not_reached():
    graph = straight([(0, 1, 1000, 1000), (10, 11, 1000, 1000), (11, 12, 1000, 1000)])
    times = search(graph, on(graph, (0, 0.5)), [0], 10_000)
    assert node_ms(graph, times, 10, 11, 12) == [UNREACHED] * 3
    assert times.at(on(graph, (1, 0.5))).tolist() == [UNREACHED]
    assert times.source_at(on(graph, (1, 0.5), (0, 0.5))).tolist() == [-1, 0]
    assert graph.island_size([graph.edge_index(1000), -1]).tolist() == [2, 0]


def test_parallel_edges_self_loops_and_edges_without_length():
    graph = straight(
        [(0, 1, 900, 900), (0, 1, 400, None), (1, 1, 50, 60), (1, 2, 1, 1)],
        place={0: (0, 0), 1: (100, 0), 2: (100, 0)},
    )
    times = search(graph, on(graph, (0, 0.0)), [0], 5000)
    assert node_ms(graph, times, 0, 1, 2) == [0, 400, 401]
    assert times.at(on(graph, (0, 0.5), (2, 0.5), (2, 0.1))).tolist() == [450, 425, 405]
    assert set(times.reached_edges().edge.tolist()) == {0, 1, 2, 3}


def test_starts_without_a_road_take_no_part():
    graph = straight([(0, 1, 1000, 1000)])
    starts = positions_on(graph, [-1, 0], [0.5, 0.5])
    times = search(graph, starts, [0, 0], 5000)
    assert times.source_at(positions_on(graph, [0, -1], [0.0, 0.0])).tolist() == [1, -1]
    assert times.at(positions_on(graph, [-1], [0.0])).tolist() == [UNREACHED]


def test_wrong_input_names_the_parameter():
    graph = straight([(0, 1, 1000, 1000)])
    start = on(graph, (0, 0.5))
    for limit, clock, name in (
        (-1, [0], "limit_ms"),
        (UNREACHED, [0], "limit_ms"),
        (1, [0, 0], "start_ms"),
        (1, [-1], "start_ms"),
    ):
        with pytest.raises(InputError) as caught:
            search(graph, start, clock, limit)
        assert caught.value.parameter == name


def oracle(graph, limit_ms, seeds, reverse):
    """scipy's bounded Dijkstra from each source alone; seeds are (node, ms, source)."""
    n = graph.node_count
    best = {}
    tail = np.repeat(np.arange(n), np.diff(graph.indptr)).tolist()
    for u, v, c in zip(tail, graph.head.tolist(), graph.cost_ms.tolist(), strict=True):
        key = (v, u) if reverse else (u, v)
        best[key] = min(c, best.get(key, UNREACHED))
    sources = sorted({seed[2] for seed in seeds})
    found = np.full((len(sources), n), np.inf)
    for row, source in enumerate(sources):
        # A node of its own, one arc to each seed; + 1 since scipy drops arcs of cost 0.
        arcs = dict(best)
        for node, ms, _ in (seed for seed in seeds if seed[2] == source):
            arcs[(n, node)] = min(ms + 1, arcs.get((n, node), UNREACHED))
        ends = np.array(list(arcs)).T
        matrix = csr_array((np.array(list(arcs.values()), float), ends), shape=(n + 1, n + 1))
        found[row] = dijkstra(matrix, indices=n, limit=limit_ms + 1)[:n] - 1
    ms = found.min(axis=0)
    winner = np.where(np.isfinite(ms), np.array(sources)[found.argmin(axis=0)], -1)
    return np.where(np.isfinite(ms), ms, UNREACHED).astype(np.int64), winner


@pytest.mark.parametrize("batch", range(10))
def test_random_graphs_agree_with_scipy(batch):
    random = np.random.default_rng(batch)
    for turn in range(25):
        nodes = int(random.integers(2, 60))
        longest = int(random.choice([3, 150, 3000, 200_000]))
        graph = random_graph(random, nodes, int(random.integers(1, 4 * nodes)), longest)
        count = int(random.integers(1, 5))
        starts = positions_on(
            graph,
            random.integers(0, graph.edge_count, count),
            random.choice([0.0, 0.25, 0.5, 1.0], count),
        )
        clock = random.integers(0, longest, count)
        limit, reverse = int(random.integers(0, 6 * longest)), bool(turn % 2)
        times = search(graph, starts, clock, limit, reverse=reverse)
        out, back = graph.forward_ms, graph.backward_ms
        if reverse:
            out, back = back, out
        seeds = []
        for k, (e, f) in enumerate(zip(starts.edge, starts.fraction, strict=True)):
            for node, whole, rest in (
                (graph.edge_from[e], back[e], f),
                (graph.edge_to[e], out[e], 1 - f),
            ):
                if rest == 0 or whole != UNREACHED:
                    seeds.append(
                        (int(node), int(clock[k]) + int(whole * rest + 0.5) * (rest > 0), k)
                    )
        ms, winner = oracle(graph, limit, seeds, reverse) if seeds else (UNREACHED, -1)
        np.testing.assert_array_equal(times.node_ms, ms)
        np.testing.assert_array_equal(times.node_source, winner)
        assert sorted(times.reached) == np.flatnonzero(times.node_ms != UNREACHED).tolist()
        check_parents(graph, times)
        check_parts(graph, times, random)


def check_parents(graph, times):
    """The parent arc says the time: the arc's own tail plus its cost."""
    indptr, cost = graph.indptr, graph.cost_ms
    if times.reverse:
        indptr, cost = graph.rev_indptr, graph.rev_cost_ms
    for node in times.reached:
        arc = times.parent_arc[node]
        if arc >= 0:
            tail = np.searchsorted(indptr, arc, side="right") - 1
            assert times.node_ms[node] == times.node_ms[tail] + cost[arc]
            assert times.node_source[node] == times.node_source[tail]


def check_parts(graph, times, random):
    """A place lies in a reached part exactly if it is reached, and at the part's time."""
    parts = times.reached_edges()
    # The parts of an edge follow one another.
    assert (np.diff(parts.edge) != 0).sum() + 1 == len(np.unique(parts.edge)) or not len(parts)
    assert (parts.fraction_start < parts.fraction_end).all()
    assert (np.maximum(parts.ms_start, parts.ms_end) <= times.limit_ms).all()
    edges = random.integers(0, graph.edge_count, 100)
    places = positions_on(graph, edges, random.uniform(0, 1, 100))
    for edge, share, ms in zip(edges, places.fraction, times.at(places), strict=True):
        inside = np.inf
        slack = False
        cuts = [0.0, 1.0, *times.starts.fraction]
        for k in np.flatnonzero(parts.edge == edge):
            low, high = parts.fraction_start[k], parts.fraction_end[k]
            if low <= share <= high:
                along = (share - low) / (high - low)
                inside = min(
                    inside, parts.ms_start[k] + along * (parts.ms_end[k] - parts.ms_start[k])
                )
            cuts += [low, high]
        for whole in (graph.forward_ms[edge], graph.backward_ms[edge]):
            slack |= whole != UNREACHED and min(abs(share - cut) for cut in cuts) * whole <= 0.6
        if ms == UNREACHED or np.isinf(inside):
            # Half a millisecond of rounding at the very cut is nobody's fault.
            assert (ms == UNREACHED) == np.isinf(inside) or slack
        else:
            assert abs(ms - inside) <= 2


def test_zero_milliseconds_of_limit_reach_the_start_alone():
    graph = desert(3, 1000)
    times = search(graph, on(graph, (0, 0.0)), [0], 0)
    assert len(times.reached) == 1
    assert len(times.reached_edges()) == 0


def test_a_limit_of_weeks_is_still_exact():
    graph = desert(5, 200_000_000)
    times = search(graph, on(graph, (0, 0.0)), [0], UNREACHED - 1)
    assert node_ms(graph, times, 24, 1) == [1_600_000_000, 200_000_000]


def test_parts_of_an_edge_reached_from_both_ends():
    graph = straight([(0, 1, 100, 100), (1, 2, 1000, 1000), (2, 3, 100, 100)])
    starts = on(graph, (0, 0.0), (2, 1.0))
    rows = search(graph, starts, [0, 0], 350).reached_edges()
    middle = rows.edge == graph.edge_index(1001)
    assert rows.fraction_start[middle].tolist() == [0.0, 0.75]
    assert rows.fraction_end[middle].tolist() == [0.25, 1.0]
    assert rows.ms_start[middle].tolist() == [100, 350]
    assert rows.ms_end[middle].tolist() == [350, 100]
    # With time enough the two parts touch where both ends arrive at once: the whole edge.
    rows = search(graph, starts, [0, 200], 5000).reached_edges()
    middle = rows.edge == graph.edge_index(1001)
    assert rows.fraction_start[middle].tolist() == [0.0, 0.6]
    assert rows.fraction_end[middle].tolist() == [0.6, 1.0]
    assert rows.ms_end[middle].tolist() == [700, 300]


def test_parts_of_a_one_way_are_entered_from_one_end():
    graph = straight([(0, 1, 1000, None), (0, 1, 100, None)])
    rows = search(graph, on(graph, (0, 0.0)), [0], 5000).reached_edges()
    slow = rows.edge == graph.edge_index(1000)
    assert rows.fraction_end[slow].tolist() == [1.0]
    assert rows.ms_end[slow].tolist() == [1000]


def test_the_start_edge_is_cut_on_both_sides_of_the_start():
    graph = straight([(0, 1, 1000, 2000)])
    rows = search(graph, on(graph, (0, 0.5)), [0], 400).reached_edges()
    assert rows.fraction_start.tolist() == pytest.approx([0.3, 0.5])
    assert rows.fraction_end.tolist() == pytest.approx([0.5, 0.9])
    assert rows.ms_start.tolist() == [400, 0]
    assert rows.ms_end.tolist() == [0, 400]


def test_closing_never_shortens_and_a_new_start_never_lengthens():
    random = np.random.default_rng(7)
    for _ in range(60):
        graph = random_graph(random, 30, 70)
        places = positions_on(graph, random.integers(0, 70, 40), random.uniform(0, 1, 40))
        starts = positions_on(graph, random.integers(0, 70, 3), random.uniform(0, 1, 3))
        before = search(graph, starts, [0, 0, 0], 9000)
        closed = graph.forward_ms.copy(), graph.backward_ms.copy()
        shut = random.integers(0, 70, 5)
        closed[0][shut] = closed[1][shut] = UNREACHED
        after = search(graph.with_times(*closed, revision="closed"), starts, [0, 0, 0], 9000)
        assert (after.node_ms >= before.node_ms).all()
        assert (after.at(places) >= before.at(places)).all()
        fewer = search(
            graph, positions_on(graph, starts.edge[:2], starts.fraction[:2]), [0, 0], 9000
        )
        assert (before.node_ms <= fewer.node_ms).all()
        assert (before.at(places) <= fewer.at(places)).all()


def test_an_empty_scenario_changes_nothing():
    graph = random_graph(np.random.default_rng(1), 30, 70)
    same = graph.with_times(graph.forward_ms, graph.backward_ms, revision="none")
    start = positions_on(graph, [0], [0.5])
    np.testing.assert_array_equal(
        search(graph, start, [0], 9000).node_ms, search(same, start, [0], 9000).node_ms
    )
    assert (graph.revision, same.revision) == ("test", "none")


def test_toward_a_point_is_from_everywhere_to_it():
    random = np.random.default_rng(3)
    graph = random_graph(random, 25, 80)
    places = positions_on(graph, random.integers(0, 80, 12), random.uniform(0, 1, 12))
    one = [
        positions_on(graph, places.edge[k : k + 1], places.fraction[k : k + 1]) for k in range(12)
    ]
    there = np.array([search(graph, p, [0], 20_000).at(places) for p in one])
    back = np.array([search(graph, p, [0], 20_000, reverse=True).at(places) for p in one])
    # Rounding to the millisecond happens once at each end, in the other order.
    reached = there != UNREACHED
    np.testing.assert_array_equal(reached, back.T != UNREACHED)
    assert np.abs(there[reached] - back.T[reached]).max() <= 1


def test_threads_have_a_workspace_each():
    graph = desert(40, 1000)
    expected = {k: search(graph, on(graph, (k, 0.0)), [0], 30_000).node_ms for k in range(8)}
    wrong: list[int] = []

    def work(k):
        start = on(graph, (k, 0.0))
        for _ in range(50):
            if not np.array_equal(search(graph, start, [0], 30_000).node_ms, expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
