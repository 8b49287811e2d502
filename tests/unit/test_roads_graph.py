from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

from network import desert, random_graph, straight

from riskmap.errors import InputError
from riskmap.roads.folder import StoredGraphError
from riskmap.roads.graph import _ARRAYS, RoadGraph, build_graph
from riskmap.roads.ordering import hilbert_index, weak_components
from riskmap.roads.snap import Snapper
from riskmap.units import UNREACHED


def test_the_hilbert_curve_goes_from_neighbour_to_neighbour():
    cells = np.stack(np.meshgrid(np.arange(16.0), np.arange(16.0)), -1).reshape(-1, 2)
    walk = cells[np.argsort(hilbert_index(cells * 4369))]
    assert (np.abs(np.diff(walk, axis=0)).sum(axis=1) == 1).all()
    assert len(hilbert_index(np.empty((0, 2)))) == 0
    assert hilbert_index(np.ones((3, 2))).tolist() == [0, 0, 0]


def test_components_are_named_by_size():
    label, size = weak_components(6, np.array([5, 1, 4]), np.array([4, 0, 3]))
    assert label.tolist() == [1, 1, 2, 0, 0, 0]
    assert size.tolist() == [3, 2, 1]


def test_arcs_say_what_the_edges_say():
    graph = random_graph(np.random.default_rng(2), 30, 80)
    for indptr, head, cost, edge, ahead, reverse in (
        (graph.indptr, graph.head, graph.cost_ms, graph.arc_edge, graph.arc_forward, False),
        (graph.rev_indptr, graph.rev_head, graph.rev_cost_ms, graph.rev_edge,
         graph.rev_forward, True),
    ):  # fmt: skip
        near = np.repeat(np.arange(graph.node_count), np.diff(indptr))
        tail, end = (head, near) if reverse else (near, head)
        np.testing.assert_array_equal(
            tail, np.where(ahead, graph.edge_from[edge], graph.edge_to[edge])
        )
        np.testing.assert_array_equal(
            end, np.where(ahead, graph.edge_to[edge], graph.edge_from[edge])
        )
        np.testing.assert_array_equal(
            cost, np.where(ahead, graph.forward_ms[edge], graph.backward_ms[edge])
        )


def test_ids_find_their_index_and_back():
    graph = desert(5, 1000)
    assert graph.node_index(graph.node_id).tolist() == list(range(25))
    assert graph.edge_index([1000, 7]).tolist() == [graph.edge_id.tolist().index(1000), -1]


def test_the_order_of_the_rows_does_not_matter():
    rows = [(0, 1, 10, 20), (1, 2, 30, None), (5, 2, 7, 7)]
    one, other = straight(rows), straight(rows[:2] + rows[2:])
    flipped = build_graph(
        revision="test", profile="plain", srid=32650, edge_id=[1002, 1001, 1000],
        from_node=[5, 1, 0], to_node=[2, 2, 1],
        xy=[[500, 0], [200, 0], [100, 0], [200, 0], [0, 0], [100, 0]], offsets=[0, 2, 4, 6],
        length_m=[300, 100, 100], forward_ms=[7, 30, 10], backward_ms=[7, 2**31 - 1, 20],
    )  # fmt: skip
    for name in _ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(getattr(one, name), getattr(flipped, name))


def test_a_graph_cannot_be_written_to():
    graph = desert(3, 1000)
    with pytest.raises(ValueError, match="read-only"):
        graph.cost_ms[0] = 1


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"forward_ms": [0]}, "forward_ms"),
        ({"backward_ms": [1, 2]}, "backward_ms"),
        ({"offsets": [0, 1]}, "offsets"),
        ({"xy": [[0, 0], [float("nan"), 0]]}, "xy"),
        ({"length_m": [-1.0]}, "length_m"),
        ({"to_node": [1, 2]}, "from_node"),
    ],
)
def test_wrong_arrays_are_named(change, parameter):
    fine = {
        "edge_id": [1], "from_node": [1], "to_node": [2], "xy": [[0, 0], [1, 0]],
        "offsets": [0, 2], "length_m": [1.0], "forward_ms": [1], "backward_ms": [1],
    }  # fmt: skip
    with pytest.raises(InputError) as caught:
        build_graph(revision="r", profile="p", srid=1, **(fine | change))
    assert caught.value.parameter == parameter
    assert "\n" in str(caught.value)


def test_a_network_without_roads_is_survived(tmp_path):
    graph = straight([])
    assert (graph.node_count, graph.edge_count) == (0, 0)
    assert not Snapper(graph).snap([[0.0, 0.0]], 100).found.any()
    assert graph.edge_index([1]).tolist() == [-1]
    graph.save(tmp_path / "none")
    assert RoadGraph.load(tmp_path / "none").edge_count == 0


def test_saved_and_mapped_again(tmp_path):
    graph = random_graph(np.random.default_rng(4), 30, 80)
    desert(3, 1000).save(tmp_path / "graph")
    graph.save(tmp_path / "graph")
    found = RoadGraph.load(tmp_path / "graph")
    assert (found.revision, found.profile, found.srid) == ("test", "plain", 32650)
    for name in _ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(graph, name))
        assert getattr(found, name).dtype == getattr(graph, name).dtype
        assert isinstance(getattr(found, name), np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_damaged_folder_says_so(tmp_path):
    folder = tmp_path / "graph"

    def broken(damage):
        desert(3, 1000).save(folder)
        damage()
        with pytest.raises(StoredGraphError) as caught:
            RoadGraph.load(folder)
        return caught.value.key

    def older():
        meta = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps(meta | {"format": 0}))

    def flip():
        data = bytearray((folder / "head.npy").read_bytes())
        data[-1] ^= 1
        (folder / "head.npy").write_bytes(data)

    assert broken(older) == "roads.graph_format"
    assert broken(flip) == "roads.graph_damaged"
    assert broken((folder / "xy.npy").unlink) == "roads.graph_damaged"
    assert broken(lambda: (folder / "meta.json").write_text("{")) == "roads.graph_damaged"
    assert broken(lambda: (folder / "xy.npy").write_bytes(b"")) == "roads.graph_damaged"


def test_snapping():
    graph = straight(
        [(0, 1, 1000, None), (1, 2, None, None), (3, 4, 1000, 1000), (5, 5, 1, 1)],
        place={0: (0, 0), 1: (100, 0), 2: (200, 0), 3: (0, 20), 4: (100, 20), 5: (0, 500)},
    )
    found = Snapper(graph).snap(
        [[25, 3], [50, 10], [190, 0], [-30, 0], [3, 500], [5000, 0], [np.nan, 0]], 95.0
    )
    one, three, loop = graph.edge_index([1000, 1002, 1003])
    # Half way between two roads the lower edge index wins; a closed road is not snapped to.
    expected = [one, min(one, three), one, one, loop, -1, -1]
    assert found.edge.tolist() == expected
    np.testing.assert_allclose(found.fraction, [0.25, 0.5, 1, 0, 0, np.nan, np.nan])
    np.testing.assert_allclose(found.distance_m, [3, 10, 90, 30, 3, np.nan, np.nan])
    np.testing.assert_allclose(found.xy[:5, 0], [25, 50, 100, 0, 0])
    assert found.found.tolist() == [True] * 5 + [False] * 2
    with pytest.raises(InputError):
        Snapper(graph).snap([[0, 0]], 0.0)


def test_snapping_agrees_with_geos_over_many_cells(tmp_path):
    rng = np.random.default_rng(8)
    count, place = 400, rng.uniform(0, 6000, (150, 2)).round()
    ends = rng.integers(0, len(place), (count, 2))
    # A loop of two straight lines there and back would be as near at two places of its length.
    ends[:, 1] = np.where(ends[:, 0] == ends[:, 1], (ends[:, 0] + 1) % len(place), ends[:, 1])
    middle = place[ends].mean(axis=1) + rng.normal(0, 200, (count, 2))
    xy = np.stack([place[ends[:, 0]], middle, place[ends[:, 1]]], axis=1).reshape(-1, 2)
    forward = np.where(rng.random(count) < 0.1, UNREACHED, 1000)
    build_graph(
        revision="r", profile="p", srid=32650, edge_id=np.arange(count), from_node=ends[:, 0],
        to_node=ends[:, 1], xy=xy, offsets=np.arange(count + 1) * 3, length_m=np.ones(count),
        forward_ms=forward, backward_ms=np.full(count, UNREACHED),
    ).save(tmp_path / "graph")  # fmt: skip
    graph = RoadGraph.load(tmp_path / "graph")
    assert "grid" in graph.kept, "mapped, not made again"
    usable = np.flatnonzero(graph.forward_ms != UNREACHED)
    lines = shapely.linestrings(graph.xy.reshape(-1, 3, 2)[usable])
    places = np.vstack([rng.uniform(-3000, 9000, (2000, 2)), place])
    for limit_m in (40.0, 300.0, 5000.0):
        found = Snapper(graph).snap(places, limit_m)
        (row, hit), metres = shapely.STRtree(lines).query_nearest(
            shapely.points(places), max_distance=limit_m, return_distance=True
        )
        first = np.unique(row[np.lexsort((hit, row))], return_index=True)[1]
        row, hit, metres = (a[np.lexsort((hit, row))][first] for a in (row, hit, metres))
        assert np.flatnonzero(found.found).tolist() == row.tolist()
        # Of equally near ones (a place at a junction) the lowest.
        assert found.edge[row].tolist() == usable[hit].tolist()
        np.testing.assert_allclose(found.distance_m[row], metres, atol=1e-6)
        share = shapely.line_locate_point(lines[hit], shapely.points(places[row]), normalized=True)
        np.testing.assert_allclose(found.fraction[row], share, atol=1e-9)
        foot = shapely.line_interpolate_point(lines[hit], share, normalized=True)
        np.testing.assert_allclose(found.xy[row], shapely.get_coordinates(foot), atol=1e-6)


def test_beside_a_road_where_nobody_stops_the_next_street_counts():
    graph = build_graph(
        revision="r", profile="p", srid=32650, edge_id=[1, 2], from_node=[1, 3], to_node=[2, 4],
        xy=[[0, 0], [1000, 0], [0, 300], [1000, 300]], offsets=[0, 2, 4], length_m=[1000, 1000],
        forward_ms=[1, 1], backward_ms=[1, 1], stops=[False, True],
    )  # fmt: skip
    found = Snapper(graph).snap([[500, 20.0], [500, 20.5], [500, -20.5]], 310.0)
    assert graph.edge_id[found.edge[:2]].tolist() == [1, 2]
    np.testing.assert_allclose(found.distance_m[:2], [20.0, 279.5])
    assert found.edge[2] == -1
    assert Snapper(graph).snap([[500, 10.0]], 9.0).edge.tolist() == [-1]
