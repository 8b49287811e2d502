# ruff: noqa: PLR0912, PLR0915 - compiled functions take arrays one by one, and calls cost

"""The inner loops of travel times: arrays in, arrays out, compiled, without the GIL.

Times are int32 milliseconds. A share of an edge takes ``floor(ms * share + 0.5)``: rounded to the
nearest, not up, since ``1000 * 0.1`` is a little above 100 in floating point and must stay 100.
Limits are inclusive. Sums are made in int64, so nothing wraps.

A search *from* the starts and one *toward* them run the same code: the second is given the reverse
arcs, and its edges' times swapped. Everywhere below ``out_ms`` is the time along the edge's
direction when searching from the starts, against it when searching toward them; ``back_ms`` is the
other.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

# The same as riskmap.units.UNREACHED (a test compares them): kernels import no room of ours.
UNREACHED: Final = 2**31 - 1
# 8 s, about what a road in a city takes: with buckets of 0.1 s a search took a fifth longer, most
# of it to look at empty ones.
BUCKET_SHIFT: Final = 13
MAX_BUCKETS: Final = 65_536
NOT_QUEUED: Final = -2

Array = npt.NDArray[Any]
# An integer of any width inside compiled code; outside, an int.
Int = Any


class Workspace(NamedTuple):
    """What one search writes to. Every search leaves it as it found it, once it is `reset`.

    A label is a node, or an arc where turns matter; l labels.

    Attributes
    ----------
    dist_ms, source, parent : int32[l]
        Result of the running search: `UNREACHED`, -1 and -1 between searches.
    following, previous : int32[l]
        Links of the buckets' lists; `following` is -2 for a label in no list.
    touched : int32[l]
        The labels that the search reached, in the order they were first seen.
    bucket : int32[MAX_BUCKETS + 1]
        First label of each bucket, -1 between searches.
    """

    dist_ms: Array
    source: Array
    parent: Array
    following: Array
    previous: Array
    touched: Array
    bucket: Array


def new_workspace(labels: int) -> Workspace:
    """Return a workspace for searches over that many labels, 24 bytes each."""
    full = np.full
    return Workspace(
        dist_ms=full(labels, UNREACHED, np.int32),
        source=full(labels, -1, np.int32),
        parent=full(labels, -1, np.int32),
        following=full(labels, NOT_QUEUED, np.int32),
        previous=full(labels, -1, np.int32),
        touched=np.empty(labels, np.int32),
        bucket=full(MAX_BUCKETS + 1, -1, np.int32),
    )


@njit(cache=True, nogil=True, inline="always")
def share_ms(whole_ms: Int, share: float) -> Int:
    """Return the time of a share of an edge, rounded to the nearest millisecond."""
    return int(whole_ms * share + 0.5)


@njit(cache=True, nogil=True, inline="always")
def bucket_shift(limit_ms: Int) -> Int:
    """Return the binary logarithm of how many milliseconds a bucket spans.

    A longer limit widens the buckets instead of adding more: label correcting keeps the result
    exact. A power of two, since a division would be among the dearest steps of a search.
    """
    shift = BUCKET_SHIFT
    while limit_ms >> shift >= MAX_BUCKETS:
        shift += 1
    return shift


@njit(cache=True, nogil=True)
def ascending(values: Array, count: Int, most: Int) -> Array:
    """Return the first `count` of some numbers below `most`, each once, in ascending order.

    A byte for each number there may be is cleared and looked through, eight at a time: 30 us for a
    million. Sorting some 20,000 takes longer.
    """
    mark = np.zeros((most + 7) // 8 * 8, np.uint8)
    low, high = most, -1
    for place in range(count):
        value = values[place]
        mark[value] = 1
        low, high = min(low, value), max(high, value)
    found = np.empty(count, np.int32)
    size = 0
    words = mark.view(np.uint64)
    for word in range(low // 8, high // 8 + 1):
        if words[word] != 0:
            for value in range(8 * word, 8 * word + 8):
                if mark[value]:
                    found[size] = value
                    size += 1
    return found[:size]


@njit(cache=True, nogil=True)
def bounded_search(
    indptr: Array,
    head: Array,
    cost_ms: Array,
    seed_node: Array,
    seed_ms: Array,
    seed_source: Array,
    limit_ms: Int,
    dist_ms: Array,
    source: Array,
    parent: Array,
    following: Array,
    previous: Array,
    touched: Array,
    bucket: Array,
) -> Int:
    """Find the times from the seeds to every node within a limit, inclusive.

    Parameters
    ----------
    indptr : int32[n + 1]
    head, cost_ms : int32[a]
        Arcs in compressed form; `UNREACHED` as a cost is a closed arc.
    seed_node, seed_ms, seed_source : int32[k]
        Where the search begins, when, and for which source. Seeds past the limit are ignored.
    limit_ms
        Largest time that counts, below `UNREACHED`.
    dist_ms, source, parent, following, previous, touched, bucket
        A `Workspace`. On return its first three hold the answer: time, winning source (of equal
        times the lowest source) and the arc that the node was entered by (-1 at a seed).

    Returns
    -------
    int
        Number of reached nodes, listed in ``touched``. The caller resets them by `reset`.

    Notes
    -----
    R. Dial, "Algorithm 360: shortest-path forest with topological ordering" (CACM 1969), with
    buckets of 8 s. Each node stands in at most one bucket, in a doubly linked list through
    arrays of the nodes, so that an improved node moves instead of standing there twice. A bucket
    is wider than the shortest arc, so a node may be improved after it was scanned: it is then
    linked into the same bucket again (label correcting), which makes the result exact.
    """
    shift = bucket_shift(limit_ms)
    count, queued, seeds = 0, 0, len(seed_node)
    current = 0
    # The seeds are offers like those of arcs, made before the first bucket is scanned.
    at: Int = 0
    node, first, last = -1, 0, seeds
    while True:
        for position in range(first, last):
            if node < 0:
                ms = np.int64(seed_ms[position])
                if ms > limit_ms:
                    continue
                target, origin, arc = seed_node[position], seed_source[position], -1
            else:
                if cost_ms[position] > limit_ms - at:
                    continue
                ms = np.int64(at + cost_ms[position])
                target, origin, arc = head[position], source[node], position
            old = dist_ms[target]
            if ms > old or (ms == old and origin >= source[target]):
                continue
            if old == UNREACHED:
                touched[count] = target
                count += 1
            if following[target] != NOT_QUEUED:
                after, before = following[target], previous[target]
                if before >= 0:
                    following[before] = after
                else:
                    bucket[old >> shift] = after
                if after >= 0:
                    previous[after] = before
            else:
                queued += 1
            dist_ms[target], source[target], parent[target] = ms, origin, arc
            slot = ms >> shift
            after = bucket[slot]
            following[target], previous[target] = after, -1
            if after >= 0:
                previous[after] = target
            bucket[slot] = target
        if queued == 0:
            return count
        while bucket[current] < 0:
            current += 1
        node = bucket[current]
        after = following[node]
        bucket[current] = after
        if after >= 0:
            previous[after] = -1
        following[node] = NOT_QUEUED
        queued -= 1
        at, first, last = np.int64(dist_ms[node]), indptr[node], indptr[node + 1]


@njit(cache=True, nogil=True)
def reset(touched: Array, count: Int, dist_ms: Array, source: Array, parent: Array) -> None:
    """Undo a search in its workspace, in time that follows the reached nodes, not all nodes."""
    for position in range(count):
        node = touched[position]
        dist_ms[node], source[node], parent[node] = UNREACHED, -1, -1


@njit(cache=True, nogil=True)
def reset_arrivals(
    touched: Array, count: Int, arcs: Int, nodes: Int, ms: Array, source: Array, parent: Array
) -> None:
    """Undo what `riskmap.analysis.turns.turn_search` keeps of junctions besides their times."""
    for position in range(count):
        for label in (arcs + touched[position], arcs + nodes + touched[position]):
            ms[label], source[label], parent[label] = UNREACHED, -1, -1


@njit(cache=True, nogil=True, inline="always")
def _offer(
    best: Int, winner: Int, at: Int, whole: Int, share: float, origin: Int
) -> tuple[Int, Int]:
    """Improve (best, winner) by going on from time `at` over a share of an edge."""
    if at == UNREACHED or (whole == UNREACHED and share > 0.0):
        return best, winner
    ms = np.int64(at) + (share_ms(whole, share) if share > 0.0 else 0)
    if ms < best or (ms == best and best != UNREACHED and origin < winner):
        return ms, np.int64(origin)
    return best, winner


@njit(cache=True, nogil=True)
def arrival(
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
    edge: Int,
    share: float,
) -> tuple[Int, Int]:
    """Return time and winning source at one position; see `arrivals`."""
    best, winner = np.int64(UNREACHED), np.int64(-1)
    whole = out_ms[edge]
    if whole != UNREACHED:
        near = near_label[edge]
        best, winner = _offer(best, winner, label_ms[near], whole, share, label_source[near])
    whole = back_ms[edge]
    if whole != UNREACHED:
        far = far_label[edge]
        best, winner = _offer(best, winner, label_ms[far], whole, 1.0 - share, label_source[far])
    # A position at a junction is reached by every road that leads there.
    if share == 0.0 or share == 1.0:  # noqa: PLR1714 - compiled
        node = edge_from[edge] if share == 0.0 else edge_to[edge]
        best, winner = _offer(best, winner, node_ms[node], UNREACHED, 0.0, node_source[node])
    # A start on the same edge gets here without passing a node, in an allowed direction only.
    row = np.searchsorted(start_edge, edge)
    while row < len(start_edge) and start_edge[row] == edge:
        ahead = share - start_share[row]
        whole = out_ms[edge] if ahead > 0.0 else back_ms[edge]
        best, winner = _offer(best, winner, start_ms[row], whole, abs(ahead), start_row[row])
        row += 1
    if best > limit_ms:
        return np.int64(UNREACHED), np.int64(-1)
    return best, winner


@njit(cache=True, nogil=True)
def arrivals(
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
    edge: Array,
    share: Array,
) -> tuple[Array, Array]:
    """Find the times at positions on edges from those of a search.

    Parameters
    ----------
    label_ms, label_source : int32
        When an edge is entered, and for which source: by node after `bounded_search`, by arc
        after `riskmap.analysis.turns.turn_search`.
    node_ms, node_source : int32[n]
        When a junction is reached; the same arrays as the labels after `bounded_search`.
    near_label, far_label : int32[m]
        Label of entering each edge at its from-node and at its to-node.
    edge_from, edge_to, out_ms, back_ms : int32[m]
        Ends and times of the edges.
    start_edge, start_share, start_ms, start_row
        The starts of that search in ascending order of edge, and their rows as given.
    limit_ms
        The search's limit; a later arrival is none.
    edge, share : int64[p], float64[p]
        The positions; edge -1 is never reached.

    Returns
    -------
    ms, winner : int32[p]
        `UNREACHED` and -1 where not reached; of equal times the lowest source wins.
    """
    ms, winner = np.full(len(edge), UNREACHED, np.int32), np.full(len(edge), -1, np.int32)
    for position in range(len(edge)):
        if edge[position] >= 0:
            ms[position], winner[position] = arrival(
                label_ms, label_source, node_ms, node_source, near_label, far_label, edge_from,
                edge_to, out_ms, back_ms, start_edge, start_share, start_ms, start_row, limit_ms,
                edge[position], share[position],
            )  # fmt: skip
    return ms, winner
