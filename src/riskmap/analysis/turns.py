# ruff: noqa: PLR0912, PLR0915 - compiled functions take arrays one by one, and calls cost

"""The search where turns matter: by what road one comes to a junction, compiled.

Nothing is built for it, no graph of turns. Of the roads that lead to a junction the first to get
there may go on everywhere but back, and the second, by another road, may go that one way: no later
one can offer anything. Only what comes by a road after which some turn is banned is looked at road
by road.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from riskmap.analysis.kernels import (
    NOT_QUEUED,
    UNREACHED,
    Array,
    Int,
    ascending,
    bucket_shift,
    share_ms,
)


@njit(cache=True, nogil=True)
def turn_search(
    indptr: Array,
    head: Array,
    cost_ms: Array,
    twin: Array,
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
    detour: Array,
    ms: Array,
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
    indptr, head, cost_ms : int32
        n nodes and a arcs in compressed form; `UNREACHED` as a cost is a closed arc.
    twin : int32[a]
        The other direction of each arc's edge, -1 where there is none.
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
    detour : int32[n]
        1 where the first way to a node passes a banned turn, else 0; -1 between searches.
    ms, source, parent, following, previous, touched, bucket
        A `riskmap.analysis.kernels.Workspace` of a + 2 n labels. Those of the arcs hold the answer:
        when each is entered, for which start, and the arc that one came by. Label a + v is the
        first arrival at node v, a + n + v the next one by another road; `parent` is the arc.

    Returns
    -------
    arcs, nodes : int
        How many were reached, listed in ``touched`` and ``node_touched``.

    Notes
    -----
    The buckets are those of `riskmap.analysis.kernels.bounded_search`. A search over arcs takes
    three times as long as one over nodes, for there are two or three arcs to a node; this one looks
    at the arcs of a node once. When arcs are entered follows from the arrivals, and is written down
    at the end.

    Whoever goes back is later everywhere on that way than he was, so that it serves one purpose
    only: to come to a junction again and take the turn that was banned there. So the way back is
    followed from those nodes alone that lie behind a banned turn.
    """
    shift = bucket_shift(limit_ms)
    arcs, nodes = len(head), len(node_ms)
    count, reached, queued, current = 0, 0, 0, 0
    for seed in range(2 * len(start_edge)):
        row, end = seed // 2, seed % 2
        edge, share = start_edge[row], start_share[row]
        if edge < 0 or start_ms[row] == UNREACHED:
            continue
        # Toward the from-node (end 0) or the to-node, as `seeds_of_positions` does; `via` is the
        # arc that leads there, -1 for a start at the junction itself.
        whole, rest = (back_ms[edge], share) if end == 0 else (out_ms[edge], 1.0 - share)
        via: Int = -1
        at = np.int64(start_ms[row])
        if rest > 0.0:
            if whole == UNREACHED:
                continue
            via = far_label[edge] if end == 0 else near_label[edge]
            at += share_ms(whole, rest)
        if at > limit_ms:
            continue
        node = edge_from[edge] if end == 0 else edge_to[edge]
        reached += _arrive(node, at, row, node_ms, node_source, node_touched, reached)
        more, new = _go_on(
            via, node, at, row, shift, indptr, cost_ms, twin, bound, banned, exits, u_turns, ms,
            source, parent, following, previous, touched[count:], bucket,
        )  # fmt: skip
        queued += more
        count += new
    while queued > 0:
        while bucket[current] < 0:
            current += 1
        label = bucket[current]
        after = following[label]
        bucket[current] = after
        if after >= 0:
            previous[after] = -1
        following[label] = NOT_QUEUED
        queued -= 1
        begin, origin = np.int64(ms[label]), source[label]
        skipped: Int = -1
        if label < arcs:
            low, high = label, label + 1
            behind = 1 if parent[label] >= 0 and bound[parent[label]] else 0
        else:
            node = label - arcs if label < arcs + nodes else label - arcs - nodes
            low, high, behind = indptr[node], indptr[node + 1], detour[node]
            if not u_turns and exits[node + 1] - exits[node] != 1:
                skipped = twin[parent[arcs + node]]
            if label >= arcs + nodes:
                # The next by another road: it is the only one that may go back by the first's.
                if skipped < 0:
                    continue
                low, high, skipped = skipped, skipped + 1, -1
        for arc in range(low, high):
            if arc == skipped or cost_ms[arc] > limit_ms - begin:
                continue
            at = begin + cost_ms[arc]
            node = head[arc]
            if bound[arc]:
                reached += _arrive(node, at, origin, node_ms, node_source, node_touched, reached)
                more, new = _go_on(
                    arc, node, at, origin, shift, indptr, cost_ms, twin, bound, banned, exits,
                    u_turns, ms, source, parent, following, previous, touched[count:], bucket,
                )  # fmt: skip
                queued += more
                count += new
                continue
            first, second = arcs + node, arcs + nodes + node
            known = ms[first]
            if at < known or (at == known and origin < source[first]):
                queued += _queue(first, known, at, shift, following, previous, bucket)
                before = parent[first]
                if known == UNREACHED:
                    if node_ms[node] == UNREACHED:
                        node_touched[reached] = node
                        reached += 1
                        # Reached; when exactly is written down at the end.
                        node_ms[node] = UNREACHED - 1
                elif not u_turns and before != arc and before != twin[arc]:
                    if following[second] != NOT_QUEUED:
                        _queue(second, ms[second], known, shift, following, previous, bucket)
                    ms[second], source[second], parent[second] = known, source[first], before
                ms[first], source[first], parent[first] = at, origin, arc
                detour[node] = behind
                if not u_turns and behind > 0 and ms[second] != UNREACHED and twin[arc] >= 0:
                    again = np.int64(ms[second])
                    queued += _queue(second, again, again, shift, following, previous, bucket)
                    current = min(current, again >> shift)
            elif not u_turns and at <= ms[second]:
                before = parent[first]
                sooner = at < ms[second] or origin < source[second]
                if sooner and before != arc and before != twin[arc]:
                    # What is queued moves in any case: it is found there by its time.
                    back = detour[node] > 0 and twin[before] >= 0
                    if back or following[second] != NOT_QUEUED:
                        queued += _queue(second, ms[second], at, shift, following, previous, bucket)
                    ms[second], source[second], parent[second] = at, origin, arc
    # Nodes that are neighbours on the ground mostly are in memory, too: in ascending order this
    # takes a third of the time.
    order = ascending(node_touched, reached, nodes)
    for node in order:
        first = arcs + node
        at = np.int64(ms[first])
        if at == UNREACHED:
            continue
        _arrive(node, at, source[first], node_ms, node_source, node_touched, 0)
        skipped = -1
        if not u_turns and exits[node + 1] - exits[node] != 1:
            skipped = twin[parent[first]]
        for arc in range(indptr[node], indptr[node + 1]):
            label = first + nodes if arc == skipped else first
            at = np.int64(ms[label])
            if at == UNREACHED or cost_ms[arc] == UNREACHED:
                continue
            if at < ms[arc] or (at == ms[arc] and source[label] < source[arc]):
                if ms[arc] == UNREACHED:
                    touched[count] = arc
                    count += 1
                ms[arc], source[arc], parent[arc] = at, source[label], parent[label]
    return count, reached


@njit(cache=True, nogil=True)
def _arrive(
    node: Int, at: Int, origin: Int, node_ms: Array, node_source: Array, touched: Array, count: Int
) -> Int:
    """Note that a junction is reached; return how many are new to the list."""
    known = node_ms[node]
    if at > known or (at == known and origin >= node_source[node]):
        return 0
    node_ms[node], node_source[node] = at, origin
    if known != UNREACHED:
        return 0
    touched[count] = node
    return 1


@njit(cache=True, nogil=True)
def _go_on(
    via: Int,
    node: Int,
    at: Int,
    origin: Int,
    shift: Int,
    indptr: Array,
    cost_ms: Array,
    twin: Array,
    bound: Array,
    banned: Array,
    exits: Array,
    u_turns: bool,
    ms: Array,
    source: Array,
    parent: Array,
    following: Array,
    previous: Array,
    touched: Array,
    bucket: Array,
) -> tuple[Int, Int]:
    """Enter each road that one may enter after `via`, by a label of its own.

    Returns
    -------
    queued, count : int
        How many more labels are queued, and how many were added to ``touched``.
    """
    queued, count = 0, 0
    for arc in range(indptr[node], indptr[node + 1]):
        sooner = at < ms[arc] or (at == ms[arc] and origin < source[arc])
        if sooner and cost_ms[arc] != UNREACHED and _allowed(
            via, arc, node, twin, bound, banned, exits, u_turns
        ):  # fmt: skip
            if ms[arc] == UNREACHED:
                touched[count] = arc
                count += 1
            queued += _queue(arc, ms[arc], at, shift, following, previous, bucket)
            ms[arc], source[arc], parent[arc] = at, origin, via
    return queued, count


@njit(cache=True, nogil=True)
def _allowed(
    via: Int, arc: Int, node: Int, twin: Array, bound: Array, banned: Array, exits: Array,
    u_turns: bool,
) -> bool:  # fmt: skip
    """Say whether one that came to a junction by one arc may go on by another."""
    if via < 0:
        return True
    if arc == twin[via] and not u_turns and exits[node + 1] - exits[node] != 1:
        return False
    if not bound[via]:
        return True
    key = (np.int64(via) << 32) | np.int64(arc)
    place = np.searchsorted(banned, key)
    return not (place < len(banned) and banned[place] == key)


@njit(cache=True, nogil=True)
def _queue(
    label: Int, old_ms: Int, ms: Int, shift: Int, following: Array, previous: Array, bucket: Array
) -> Int:
    """Put a label into the bucket of its new time; return how many more are queued: 0 or 1."""
    more = 1
    if following[label] != NOT_QUEUED:
        more = 0
        after, before = following[label], previous[label]
        if before >= 0:
            following[before] = after
        else:
            bucket[old_ms >> shift] = after
        if after >= 0:
            previous[after] = before
    slot = ms >> shift
    after = bucket[slot]
    following[label], previous[label] = after, -1
    if after >= 0:
        previous[after] = label
    bucket[slot] = label
    return more
