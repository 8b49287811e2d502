"""Numbering of nodes by place, arcs in compressed form, and the parts that hang together."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.units import UNREACHED

Ints = npt.NDArray[np.int32]

_ORDER_BITS: Final = 16


def hilbert_index(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the position of each point along a Hilbert curve over the points' own square.

    A search touches neighbours; neighbours that stand side by side in memory make it 1.5 to 4
    times faster than a random numbering.

    Parameters
    ----------
    xy : float64[n, 2]
        Points in metres (any unit does).

    Returns
    -------
    int64[n]
        Cell number on a curve of 2**16 by 2**16 cells; points of one cell share it.

    Notes
    -----
    The walk down the quadrants follows J. Skilling, "Programming the Hilbert curve" (2004), in
    its two-dimensional textbook form.
    """
    if len(xy) == 0:
        return np.empty(0, dtype=np.int64)
    low = xy.min(axis=0)
    side = float(max((xy.max(axis=0) - low).max(), 1e-9))
    cells = ((xy - low) * ((2**_ORDER_BITS - 1) / side)).astype(np.int64)
    x, y = cells[:, 0], cells[:, 1]
    index = np.zeros(len(xy), dtype=np.int64)
    half = 1 << (_ORDER_BITS - 1)
    while half:
        right = ((x & half) > 0).astype(np.int64)
        upper = ((y & half) > 0).astype(np.int64)
        index += half * half * ((3 * right) ^ upper)
        # The curve in the lower quadrants is turned, so the coordinates are turned back.
        flip = (upper == 0) & (right == 1)
        x, y = np.where(flip, half * 2 - 1 - x, x), np.where(flip, half * 2 - 1 - y, y)
        swap = upper == 0
        x, y = np.where(swap, y, x), np.where(swap, x, y)
        x, y = x & (half - 1), y & (half - 1)
        half >>= 1
    return index


def weak_components(
    count: int, tail: npt.NDArray[Any], head: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Label the parts of a network that hang together, whatever the direction of the arcs.

    Parameters
    ----------
    count
        Number of nodes.
    tail, head : int[a]
        Ends of the arcs, node indices.

    Returns
    -------
    component : int32[count]
        Label of each node; 0 is the largest part, ties go to the part with the lowest node.
    size : int32[c]
        Nodes of each part.

    Notes
    -----
    Hooking and pointer jumping (Shiloach and Vishkin 1982), vectorised: scipy, which has the
    same, is not a dependency of the service.
    """
    root = np.arange(count, dtype=np.int64)
    u, v = np.asarray(tail, dtype=np.int64), np.asarray(head, dtype=np.int64)
    while len(u):
        root_u, root_v = root[u], root[v]
        apart = root_u != root_v
        u, v, root_u, root_v = u[apart], v[apart], root_u[apart], root_v[apart]
        np.minimum.at(root, np.maximum(root_u, root_v), np.minimum(root_u, root_v))
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above
    roots, inverse, sizes = np.unique(root, return_inverse=True, return_counts=True)
    order = np.lexsort((roots, -sizes))
    rank = np.empty(len(roots), dtype=np.int32)
    rank[order] = np.arange(len(roots), dtype=np.int32)
    return rank[inverse].astype(np.int32, copy=False), sizes[order].astype(np.int32)


def compressed_arcs(
    count: int, start: Ints, end: Ints, forward: Ints, backward: Ints
) -> dict[str, Any]:
    """Return the arcs of the allowed directions, by the node they leave and by the one they enter.

    Parameters
    ----------
    count
        Number of nodes.
    start, end, forward, backward : int32[m]
        Ends of the edges and their times, `UNREACHED` where not allowed.

    Returns
    -------
    dict
        The fields of `riskmap.roads.graph.RoadGraph` from ``component`` to ``rev_backward_arc``.
    """
    along, against = np.flatnonzero(forward != UNREACHED), np.flatnonzero(backward != UNREACHED)
    edge = np.concatenate([along, against]).astype(np.int32)
    ahead = np.arange(len(edge)) < len(along)
    tail, head = np.where(ahead, start[edge], end[edge]), np.where(ahead, end[edge], start[edge])
    cost = np.where(ahead, forward[edge], backward[edge])
    out: dict[str, Any] = {}
    for prefix, near, far, names in (
        ("", tail, head, ("arc_edge", "arc_forward")),
        ("rev_", head, tail, ("rev_edge", "rev_forward")),
    ):
        order = np.lexsort((far, near))
        degree = np.bincount(near, minlength=count)
        out[f"{prefix}indptr"] = np.concatenate([[0], np.cumsum(degree)]).astype(np.int32)
        out[f"{prefix}head"] = far[order].astype(np.int32)
        out[f"{prefix}cost_ms"] = cost[order].astype(np.int32)
        out[names[0]], out[names[1]] = edge[order], ahead[order]
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        for name, rows, part in (
            ("forward_arc", along, place[: len(along)]),
            ("backward_arc", against, place[len(along) :]),
        ):
            out[prefix + name] = np.full(len(start), -1, dtype=np.int32)
            out[prefix + name][rows] = part
    out["component"], out["component_size"] = weak_components(count, tail, head)
    return out


def banned_turns(
    start: Ints,
    end: Ints,
    arcs: dict[str, Any],
    from_edge: npt.NDArray[np.int64],
    via: npt.NDArray[np.int64],
    to_edge: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Return the banned passages from arc to arc.

    Parameters
    ----------
    start, end : int32[m]
        Ends of the edges.
    arcs
        What `compressed_arcs` returned.
    from_edge, via, to_edge : int64[t]
        Index of the edge that one comes by, of the node, of the edge that one may not go on.

    Returns
    -------
    dict
        ``bound``, ``banned``, ``rev_bound``, ``rev_banned`` of `riskmap.roads.graph.RoadGraph`.
    """
    pairs: dict[str, list[npt.NDArray[Any]]] = {"": [], "rev_": []}
    for comes_forward in (True, False):
        for goes_forward in (True, False):
            comes = (end if comes_forward else start)[from_edge] == via
            goes = (start if goes_forward else end)[to_edge] == via
            rows = comes & goes
            for prefix, found in pairs.items():
                first = _arc(arcs, prefix, comes_forward)[from_edge[rows]].astype(np.int64)
                second = _arc(arcs, prefix, goes_forward)[to_edge[rows]].astype(np.int64)
                known = (first >= 0) & (second >= 0)
                # A search toward a place takes the second arc off the queue and offers the first.
                taken, offered = (second, first) if prefix else (first, second)
                found.append((taken[known] << 32) | offered[known])
    out: dict[str, Any] = {}
    for prefix, found in pairs.items():
        keys = np.unique(np.concatenate(found))
        out[f"{prefix}banned"] = keys
        out[f"{prefix}bound"] = np.zeros(len(arcs["head"]), dtype=bool)
        out[f"{prefix}bound"][keys >> 32] = True
    return out


def _arc(arcs: dict[str, Any], prefix: str, forward: bool) -> Ints:
    found: Ints = arcs[f"{prefix}{'forward' if forward else 'backward'}_arc"]
    return found
