# ruff: noqa: PLR0912, PLR0915 - compiled functions take arrays one by one, and calls cost

"""The search where turns matter: over arcs instead of nodes, compiled.

The label of an arc is the time at which its road is entered. What one may do at the end of a road
depends on the road, so two arcs into one junction may lead on differently: a banned turn, or no
turning round. Nothing is built for it, no graph of turns: the junction's arcs are looked at again
for each arc that leads there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from riskmap.analysis.kernels import (
    BUCKET_MS,
    MAX_BUCKETS,
    NOT_QUEUED,
    UNREACHED,
    Array,
    Int,
    share_ms,
)


@njit(cache=True, nogil=True)
def turn_search(
    indptr: Array,
    head: Array,
    cost_ms: Array,
    arc_edge: Array,
    bound: Array,
    banned: Array,
    exits: Array,
    u_turns: bool,
    edge_from: Array,
    edge_to: Array,
    near_label: Array,
    far_label: Array,
    out_ms: Array,
    back_ms: Array,
    start_edge: Array,
    start_share: Array,
    start_ms: Array,
    limit_ms: Int,
    node_ms: Array,
    node_source: Array,
    node_touched: Array,
    first_via: Array,
    first_ms: Array,
    second_ms: Array,
    dist_ms: Array,
    source: Array,
    parent: Array,
    following: Array,
    previous: Array,
    touched: Array,
    bucket: Array,
) -> tuple[Int, Int]:
    """Find when each road is entered from the starts, within a limit, inclusive.

    Parameters
    ----------
    indptr, head, cost_ms, arc_edge : int32
        Arcs in compressed form and the edge of each; `UNREACHED` as a cost is a closed arc.
    bound, banned
        See `riskmap.roads.graph.RoadGraph`; the reverse ones with the reverse arcs.
    exits : int32[n + 1]
        Compressed rows of the arcs that leave each node: where only one does, it is a dead end.
    u_turns
        Whether one may go back by the road one came by, except at a dead end, where one always may.
    edge_from, edge_to, near_label, far_label, out_ms, back_ms : int32[m]
        See `riskmap.analysis.kernels.arrivals`.
    start_edge, start_share, start_ms
        The starts as given; edge -1 takes no part. A start in mid-road may leave either way.
    limit_ms
        Largest time that counts, below `UNREACHED`.
    node_ms, node_source, node_touched : int32[n]
        When each junction is reached; `UNREACHED` and -1 between searches.
    first_via, first_ms, second_ms : int32[n]
        The earliest arc into each junction after which nothing is banned, when it gets there, and
        when the next by another road does; -1, `NOT_QUEUED` and -1 between searches.
    dist_ms, source, parent, following, previous, touched, bucket
        A `riskmap.analysis.kernels.Workspace` of arcs; `parent` is the arc that one came by.

    Returns
    -------
    arcs, nodes : int
        How many were reached, listed in ``touched`` and ``node_touched``.

    Notes
    -----
    The buckets are those of `riskmap.analysis.kernels.bounded_search`. An arc that gets to a
    junction later than another can offer it nothing but the way back along that other's road, which
    that one may not take: so the arcs of a junction are looked at once or twice, not once for each
    arc that leads there.
    """
    width = max(BUCKET_MS, limit_ms // MAX_BUCKETS + 1)
    count, nodes, queued, current = 0, 0, 0, 0
    seed, seeds = 0, 2 * len(start_edge)
    while True:
        # `via` is the arc that leads to `node`, -1 for a start at the junction itself.
        via: Int = -1
        at: Int = 0
        origin: Int = 0
        node: Int = 0
        if seed < seeds:
            row, end = seed // 2, seed % 2
            seed += 1
            edge, share = start_edge[row], start_share[row]
            if edge < 0 or start_ms[row] == UNREACHED:
                continue
            # Toward the from-node (end 0) or the to-node, as `seeds_of_positions` does.
            whole, rest = (back_ms[edge], share) if end == 0 else (out_ms[edge], 1.0 - share)
            if rest > 0.0:
                if whole == UNREACHED:
                    continue
                via = far_label[edge] if end == 0 else near_label[edge]
            at = np.int64(start_ms[row]) + (share_ms(whole, rest) if rest > 0.0 else 0)
            node = edge_from[edge] if end == 0 else edge_to[edge]
            origin = row
            popped = False
        else:
            popped = True
            if queued == 0:
                return count, nodes
            while bucket[current] < 0:
                current += 1
            via = bucket[current]
            after = following[via]
            bucket[current] = after
            if after >= 0:
                previous[after] = -1
            following[via] = NOT_QUEUED
            queued -= 1
            if cost_ms[via] > limit_ms - dist_ms[via]:
                continue  # the limit falls on this road
            at = np.int64(dist_ms[via]) + cost_ms[via]
            node, origin = head[via], source[via]
        if at > limit_ms:
            continue
        known = node_ms[node]
        if at < known or (at == known and origin < node_source[node]):
            if known == UNREACHED:
                node_touched[nodes] = node
                nodes += 1
            node_ms[node], node_source[node] = at, origin
        dead_end = exits[node + 1] - exits[node] == 1
        low, high = indptr[node], indptr[node + 1]
        if popped and not bound[via]:
            earliest = first_ms[node]
            if earliest == NOT_QUEUED:
                first_ms[node], first_via[node] = at, via
            else:
                first = first_via[node]
                if at < earliest or (at == earliest and origin < source[first]):
                    if arc_edge[first] != arc_edge[via]:
                        second_ms[node] = earliest
                    first_ms[node], first_via[node] = at, via
                else:
                    # Equal times are let through: the lower source may win.
                    if u_turns or dead_end or (-1 < second_ms[node] < at):
                        continue
                    edge = arc_edge[first]
                    back = far_label[edge] if near_label[edge] == first else near_label[edge]
                    if back < 0 or first == via:
                        continue
                    if second_ms[node] < 0:
                        second_ms[node] = at
                    second_ms[node] = min(second_ms[node], at)
                    low, high = back, back + 1
        for arc in range(low, high):
            if cost_ms[arc] == UNREACHED:
                continue
            if via >= 0:
                if not u_turns and not dead_end and arc != via and arc_edge[arc] == arc_edge[via]:
                    continue
                if bound[via]:
                    key = (np.int64(via) << 32) | np.int64(arc)
                    place = np.searchsorted(banned, key)
                    if place < len(banned) and banned[place] == key:
                        continue
            old = dist_ms[arc]
            if at > old or (at == old and origin >= source[arc]):
                continue
            if old == UNREACHED:
                touched[count] = arc
                count += 1
            if following[arc] != NOT_QUEUED:
                after, before = following[arc], previous[arc]
                if before >= 0:
                    following[before] = after
                else:
                    bucket[old // width] = after
                if after >= 0:
                    previous[after] = before
            else:
                queued += 1
            dist_ms[arc], source[arc], parent[arc] = at, origin, via
            slot = at // width
            # Seeds come in no order: the scan begins at the least of them.
            current = min(current, slot)
            after = bucket[slot]
            following[arc], previous[arc] = after, -1
            if after >= 0:
                previous[after] = arc
            bucket[slot] = arc
