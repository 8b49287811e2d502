"""Small networks with times that can be said aloud."""

from __future__ import annotations

import numpy as np

from riskmap.roads.graph import RoadGraph, build_graph
from riskmap.units import UNREACHED


def straight(rows, *, place=None, **more) -> RoadGraph:
    """Rows of (from, to, forward_ms, backward_ms), None for not allowed; straight edges."""
    nodes = sorted({row[0] for row in rows} | {row[1] for row in rows})
    place = place or {node: (node * 100.0, 0.0) for node in nodes}
    xy = [place[node] for row in rows for node in row[:2]]
    return build_graph(
        revision="test",
        profile="plain",
        srid=32650,
        edge_id=np.arange(len(rows)) + 1000,
        from_node=[row[0] for row in rows],
        to_node=[row[1] for row in rows],
        xy=np.array(xy, dtype=float).reshape(-1, 2),
        offsets=np.arange(len(rows) + 1) * 2,
        length_m=[float(np.hypot(*np.subtract(place[r[0]], place[r[1]]))) for r in rows],
        forward_ms=[UNREACHED if row[2] is None else row[2] for row in rows],
        backward_ms=[UNREACHED if row[3] is None else row[3] for row in rows],
        **more,
    )


def desert(side: int, step_ms: int, spacing_m: float = 100.0) -> RoadGraph:
    """A square grid of two-way streets, node ids row * side + column, all edges alike."""
    rows = []
    for y in range(side):
        for x in range(side):
            node = y * side + x
            if x + 1 < side:
                rows.append((node, node + 1, step_ms, step_ms))
            if y + 1 < side:
                rows.append((node, node + side, step_ms, step_ms))
    place = {k: (k % side * spacing_m, k // side * spacing_m) for k in range(side * side)}
    return straight(rows, place=place)


def random_graph(random, nodes: int, edges: int, longest_ms: int = 3000, **more) -> RoadGraph:
    """Any multigraph: one-ways, closed roads, parallel edges, self loops, islands."""
    ends = random.integers(0, nodes, (edges, 2))
    times = random.integers(1, longest_ms, (edges, 2))
    closed = random.random((edges, 2)) < 0.25
    place = {k: tuple(random.uniform(0, 2000, 2)) for k in range(nodes)}
    return straight(
        [
            (int(u), int(v), None if c else int(f), None if d else int(b))
            for (u, v), (f, b), (c, d) in zip(ends, times, closed, strict=True)
        ],
        place=place,
        **more,
    )
