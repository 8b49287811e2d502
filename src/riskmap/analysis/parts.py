# ruff: noqa: PLR1714 - compiled functions take arrays one by one and know no sets

"""What happens on edges: where starts enter the network, and what parts are reached. Compiled."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from riskmap.analysis.kernels import UNREACHED, Array, Int, arrival, ascending, share_ms

_HAIR: Final = 1e-9


@njit(cache=True, nogil=True)
def seeds_of_positions(
    edge_from: Array,
    edge_to: Array,
    out_ms: Array,
    back_ms: Array,
    start_edge: Array,
    start_share: Array,
    start_ms: Array,
) -> tuple[Array, Array, Array]:
    """Turn starts on edges into seeds at nodes; starts with edge -1 give none.

    A start exactly at an end is at that junction, even on a one-way street that leads to it.

    Returns
    -------
    seed_node, seed_ms, seed_source : int32[k']
        Source is the row of the start. Seeds past the range of int32 are left out.
    """
    room = 2 * len(start_edge)
    node, ms, row = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    count = 0
    for start in range(len(start_edge)):
        edge, share = start_edge[start], start_share[start]
        if edge < 0 or start_ms[start] == UNREACHED:
            continue
        for end in range(2):
            whole, rest = (back_ms[edge], share) if end == 0 else (out_ms[edge], 1.0 - share)
            if whole == UNREACHED and rest > 0.0:
                continue
            time = np.int64(start_ms[start]) + (share_ms(whole, rest) if rest > 0.0 else 0)
            if time < UNREACHED:
                node[count] = edge_from[edge] if end == 0 else edge_to[edge]
                ms[count], row[count] = time, start
                count += 1
    return node[:count], ms[:count], row[:count]


@njit(cache=True, nogil=True)
def reached_edges(
    touched: Array,
    count: Int,
    by_arc: bool,
    indptr: Array,
    arc_edge: Array,
    cost_ms: Array,
    start_edge: Array,
    edges: Int,
) -> Array:
    """List every edge of which a part is reached, once, in time that follows what is reached.

    Parameters
    ----------
    touched, count
        The reached labels: nodes, or arcs if `by_arc`.
    indptr, arc_edge, cost_ms
        Arcs that leave each node, the edge of each, and its time.
    start_edge
        Edges of the starts.
    edges
        How many edges there are.

    Returns
    -------
    int32[k]
        Ascending: edges that are neighbours on the ground mostly are in memory too, and what
        follows reads their shapes in one direction, which takes a third of the time.
    """
    room = len(start_edge)
    for place in range(count):
        label = touched[place]
        room += 1 if by_arc else indptr[label + 1] - indptr[label]
    found = np.empty(room, np.int32)
    size = 0
    for place in range(count):
        label = touched[place]
        first, last = (label, label + 1) if by_arc else (indptr[label], indptr[label + 1])
        for arc in range(first, last):
            if cost_ms[arc] != UNREACHED:
                found[size] = arc_edge[arc]
                size += 1
    for edge in start_edge:
        found[size] = edge
        size += 1
    return ascending(found, size, edges)


@njit(cache=True, nogil=True)
def reached_parts(
    label_ms: Array,
    label_source: Array,
    node_ms: Array,
    node_source: Array,
    near_label: Array,
    far_label: Array,
    edge_from: Array,
    edge_to: Array,
    out_ms: Array,
    back_ms: Array,
    start_edge: Array,
    start_share: Array,
    start_ms: Array,
    start_row: Array,
    limit_ms: Int,
    wanted: Array,
) -> tuple[Int, Array, Array, Array, Array, Array]:
    """List the reached parts of some edges.

    The parameters are those of `riskmap.analysis.kernels.arrivals`, and `reached_edges`.

    Returns
    -------
    count : int
        Number of parts p; the arrays may be longer.
    edge : int32[>= p]
        In the order of `wanted`; the parts of an edge follow one another.
    low, high : float64[>= p]
        Shares of the edge, low < high but on an edge without length.
    ms_low, ms_high : int32[>= p]
        Times at the two ends of the part, linear in between, at most the limit.

    Notes
    -----
    Starts on an edge cut it into stretches. No start lies inside a stretch, so it is entered by
    its ends only: from the low end up to where the limit falls or the other end's time wins, and
    the same from the high end.
    """
    room = 2 * len(wanted) + 4 * len(start_edge)
    edges = np.empty(room, np.int32)
    low, high = np.empty(room, np.float64), np.empty(room, np.float64)
    ms_low, ms_high = np.empty(room, np.int32), np.empty(room, np.int32)
    count = 0
    cuts = np.empty(len(start_edge) + 2, np.float64)
    for edge in wanted:
        out: Int = out_ms[edge]
        back: Int = back_ms[edge]
        t_left: Int = UNREACHED if out == UNREACHED else np.int64(label_ms[near_label[edge]])
        t_far: Int = UNREACHED if back == UNREACHED else np.int64(label_ms[far_label[edge]])
        row = np.searchsorted(start_edge, edge)
        on_edge = 0
        while row + on_edge < len(start_edge) and start_edge[row + on_edge] == edge:
            cuts[on_edge + 1] = start_share[row + on_edge]
            on_edge += 1
        if t_left == UNREACHED and t_far == UNREACHED and on_edge == 0:
            continue
        cuts[0], cuts[on_edge + 1] = 0.0, 1.0
        if on_edge > 1:
            cuts[1 : on_edge + 1].sort()
        for stretch in range(on_edge + 1):
            a, b = cuts[stretch], cuts[stretch + 1]
            t_right: Int = t_far
            if stretch < on_edge:
                t_right, _ = arrival(
                    label_ms, label_source, node_ms, node_source, near_label, far_label, edge_from,
                    edge_to, out_ms, back_ms, start_edge, start_share, start_ms, start_row,
                    limit_ms, edge, b,
                )  # fmt: skip
            length = b - a
            from_left = t_left != UNREACHED and out != UNREACHED and length > 0.0
            from_right = t_right != UNREACHED and back != UNREACHED and length > 0.0
            up, down = a, b
            if from_left:
                up = b if t_left + out * length <= limit_ms else a + (limit_ms - t_left) / out
            if from_right:
                down = a if t_right + back * length <= limit_ms else b - (limit_ms - t_right) / back
            if from_left and from_right and up > down:
                # They meet where both take the same time: t_left + out x = t_right + back (b-a-x).
                meet = a + (t_right - t_left + back * length) / (np.float64(out) + back)
                # Rounded times must not leave a part of a hair's breadth at an end.
                meet = b if b - meet < _HAIR else (a if meet - a < _HAIR else meet)
                up = down = min(max(meet, down), up)
            if from_left and up > a:
                edges[count], low[count], high[count] = edge, a, up
                ms_low[count] = t_left
                ms_high[count] = min(limit_ms, t_left + int(out * (up - a) + 0.5))
                count += 1
            if from_right and down < b:
                edges[count], low[count], high[count] = edge, down, b
                ms_low[count] = min(limit_ms, t_right + int(back * (b - down) + 0.5))
                ms_high[count] = t_right
                count += 1
            t_left = t_right
    return count, edges, low, high, ms_low, ms_high
