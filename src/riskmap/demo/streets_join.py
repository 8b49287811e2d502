"""Make lines meet: a shared node wherever two cross on the ground, and no loose pieces."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from numba import njit

from riskmap.demo.ground import Floats, Streets, Way
from riskmap.demo.streets_lines import Line
from riskmap.demo.streets_route import Ints
from riskmap.roads.edges import FOOT_CLASSES

Bools = npt.NDArray[np.bool_]

# A crossing so near a vertex is at that vertex.
_SNAP_M: Final = 6.0
# Vertices in the same square of this edge are one node.
_SAME_M: Final = 0.5
# No piece is shorter: places are written to 0.1 m.
_LEAST_M: Final = 1.0
# Shorter dead ends are where a line was drawn over the road it was to reach.
_STUB_M: Final = 32.0


@dataclass(eq=False)
class Pieces:
    """Straight pieces between nodes, in the order of their lines."""

    node_xy: Floats
    start: Ints
    end: Ints
    line: Ints
    level: npt.NDArray[np.int8]

    def only(self, keep: Bools | Ints) -> Pieces:
        """Return some of the pieces."""
        return Pieces(
            self.node_xy, self.start[keep], self.end[keep], self.line[keep], self.level[keep]
        )

    @property
    def length_m(self) -> Floats:
        """Length of each piece."""
        across = self.node_xy[self.end] - self.node_xy[self.start]
        return np.hypot(across[:, 0], across[:, 1])


def meet(lines: Sequence[Line]) -> Pieces:
    """Cut lines where they cross on the ground."""
    a = np.concatenate([line.xy[:-1] for line in lines])
    b = np.concatenate([line.xy[1:] for line in lines])
    level = np.concatenate([line.level for line in lines])
    of_line = np.repeat(np.arange(len(lines)), [len(line.xy) - 1 for line in lines])
    # The ends of ramps are on a motorway, where no street may end.
    ramp = np.array([line.road_class == "motorway_link" for line in lines])[of_line]
    own = np.diff(of_line, prepend=-1, append=len(lines)) != 0
    reach = np.where(np.column_stack([ramp & own[:-1], ramp & own[1:]]), 0.0, _SNAP_M)
    seg, share, point = _crossings(a, b, level, reach)
    order = np.lexsort((share, seg))
    seg, point = seg[order], point[order]
    # Each piece: its start, then its crossings in order, then its end.
    extra = np.bincount(seg, minlength=len(a))
    first = np.concatenate([[0], np.cumsum(extra + 2)])
    vertex = np.empty((first[-1], 2))
    vertex[first[:-1]], vertex[first[1:] - 1] = a, b
    rank = np.arange(len(seg)) - np.concatenate([[0], np.cumsum(extra)])[seg]
    vertex[first[seg] + 1 + rank] = point
    key = np.round(vertex / _SAME_M).astype(np.int64)
    _, one, node = np.unique(
        key[:, 0] * (1 << 32) + key[:, 1], return_index=True, return_inverse=True
    )
    owner = np.repeat(np.arange(len(a)), extra + 2)
    start, end, same = node[:-1], node[1:], owner[1:] == owner[:-1]
    real = same & (start != end)
    pieces = Pieces(
        vertex[one], start[real], end[real], of_line[owner[:-1][real]], level[owner[:-1][real]]
    )
    pieces = _contracted(pieces)
    # Two lines on the same two nodes are one road: the first, which matters more, stays.
    low, high = np.minimum(pieces.start, pieces.end), np.maximum(pieces.start, pieces.end)
    _, keep = np.unique(low * len(pieces.node_xy) + high, return_index=True)
    return pieces.only(np.sort(keep))


def _contracted(pieces: Pieces) -> Pieces:
    """Make the ends of pieces shorter than `_LEAST_M` one node.

    Places within half a metre fall into two squares if a border runs between them.
    """
    while (short := pieces.length_m < _LEAST_M).any():
        into = np.arange(len(pieces.node_xy))
        pair = np.sort(np.column_stack([pieces.start[short], pieces.end[short]]), axis=1)
        into[pair[:, 1]] = pair[:, 0]
        while (into[into] != into).any():
            into = into[into]
        start, end = into[pieces.start], into[pieces.end]
        real = start != end
        pieces = Pieces(
            pieces.node_xy, start[real], end[real], pieces.line[real], pieces.level[real]
        )
    return pieces


def _crossings(
    a: Floats, b: Floats, level: npt.NDArray[np.int8], reach_m: Floats
) -> tuple[Ints, Floats, Floats]:
    """Return piece, share along it and place of every vertex to add.

    `reach_m` [n, 2] says how near the start and the end of a piece a crossing is at that vertex.
    """
    ground = np.flatnonzero(level == 0)
    shapes = np.asarray(shapely.linestrings(np.stack([a[ground], b[ground]], axis=1)))
    i, j = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    i, j = ground[i[i < j]], ground[j[i < j]]
    meets = (a[i] == b[j]).all(axis=1) | (b[i] == a[j]).all(axis=1)
    meets |= (a[i] == a[j]).all(axis=1) | (b[i] == b[j]).all(axis=1)
    i, j = i[~meets], j[~meets]
    r, s, gap = b[i] - a[i], b[j] - a[j], a[j] - a[i]
    across = _cross(r, s)
    long_i, long_j = np.hypot(*r.T), np.hypot(*s.T)
    skew = np.abs(across) > 1e-6 * long_i * long_j
    i, j, r, s, gap = i[skew], j[skew], r[skew], s[skew], gap[skew]
    across, long_i, long_j = across[skew], long_i[skew], long_j[skew]
    t = np.clip(_cross(gap, s) / across, 0.0, 1.0)
    u = np.clip(_cross(gap, r) / across, 0.0, 1.0)
    t_end, u_end = _snapped(t, long_i, reach_m[i]), _snapped(u, long_j, reach_m[j])
    point = a[i] + t[:, None] * r
    at_j, at_i = u_end >= 0.0, t_end >= 0.0
    point[at_j] = np.where(u_end[at_j, None] == 0.0, a[j[at_j]], b[j[at_j]])
    point[at_i] = np.where(t_end[at_i, None] == 0.0, a[i[at_i]], b[i[at_i]])
    # At its own end a piece has the vertex already; the other gets it.
    at_j_only = at_j & ~at_i
    return (
        np.concatenate([i[~at_i], j[~at_j_only]]),
        np.concatenate([t[~at_i], u[~at_j_only]]),
        np.concatenate([point[~at_i], point[~at_j_only]]),
    )


def _cross(p: Floats, q: Floats) -> Floats:
    return np.asarray(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0])


def _snapped(share: Floats, length_m: Floats, reach_m: Floats) -> Floats:
    """Return 0 or 1 if the share is at an end of a piece, -1 if it is between."""
    start, end = np.minimum(reach_m, 0.3 * length_m[:, None]).T
    out = np.full(len(share), -1.0)
    out[share * length_m < start] = 0.0
    out[(1.0 - share) * length_m < end] = 1.0
    return out


def tidy(pieces: Pieces, lines: Sequence[Line]) -> tuple[Pieces, Bools]:
    """Trim stubs and drop what vehicles or walkers cannot get to from the centre and back.

    Returns
    -------
    pieces
        Those that stay.
    both_ways : bool[lines]
        One-way lines that had to be opened in both directions.
    """
    foot_line = np.array([line.road_class in FOOT_CLASSES for line in lines])
    island_line = np.array([line.island for line in lines])
    oneway_line = np.array([line.tags.get("oneway") == "yes" for line in lines])
    # Residential streets only: a motorway that would need it is a mistake to be dropped.
    may_open = np.array([line.road_class in ("residential", "living_street") for line in lines])
    for _ in range(3):
        pieces = pieces.only(~_stubs(pieces))
    both_ways = np.zeros(len(lines), dtype=bool)
    for part in (island_line, ~island_line):
        while part.any():
            mine = np.flatnonzero(~foot_line[pieces.line] & part[pieces.line])
            if len(mine) == 0:
                break
            net = pieces.only(mine)
            one = oneway_line[net.line] & ~both_ways[net.line]
            hub = _hub(net)
            n = len(pieces.node_xy)
            out = _reached(n, hub, *_arcs(n, net.start, net.end, one))
            back = _reached(n, hub, *_arcs(n, net.end, net.start, one))
            good = out & back
            lost = ~(good[net.start] & good[net.end])
            if not lost.any():
                break
            open_lines = np.unique(net.line[lost & one & may_open[net.line]])
            if len(open_lines):
                both_ways[open_lines] = True
                continue
            stays = np.ones(len(pieces.line), dtype=bool)
            stays[mine[lost]] = False
            pieces = pieces.only(stays)
    return _anchored(pieces, foot_line), both_ways


def _hub(net: Pieces) -> int:
    """Return a node of the largest part, going by the pieces that hang together either way."""
    n = len(net.node_xy)
    first, to = _arcs(n, net.start, net.end, np.zeros(len(net.line), dtype=bool))
    left = np.zeros(n, dtype=bool)
    left[net.start] = left[net.end] = True
    best, most = -1, 0
    for node in np.flatnonzero(left).tolist():
        if not left[node]:
            continue
        part = _reached(n, node, first, to)
        left &= ~part
        if part.sum() > most:
            best, most = node, int(part.sum())
        if most > left.sum():
            break
    return best


def _stubs(pieces: Pieces) -> Bools:
    degree = np.bincount(np.concatenate([pieces.start, pieces.end]), minlength=len(pieces.node_xy))
    loose = (degree[pieces.start] == 1) | (degree[pieces.end] == 1)
    short: Bools = loose & (pieces.length_m < _STUB_M) & (pieces.level == 0)
    return short


def _anchored(pieces: Pieces, foot_line: Bools) -> Pieces:
    """Drop footpaths that no road leads to."""
    n = len(pieces.node_xy)
    motor = ~foot_line[pieces.line]
    sources = np.zeros(n, dtype=bool)
    sources[pieces.start[motor]] = sources[pieces.end[motor]] = True
    first, to = _arcs(n, pieces.start, pieces.end, np.zeros(len(motor), dtype=bool))
    seen = _flood(sources, first, to)
    return pieces.only(seen[pieces.start] & seen[pieces.end])


def _arcs(n: int, start: Ints, end: Ints, one: Bools) -> tuple[Ints, Ints]:
    """Return directed neighbours in compressed rows; one-way pieces lead from start to end."""
    tail = np.concatenate([start, end[~one]])
    head = np.concatenate([end, start[~one]])
    order = np.argsort(tail, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(tail, minlength=n))])
    return first, head[order]


def _reached(n: int, hub: int, first: Ints, to: Ints) -> Bools:
    sources = np.zeros(n, dtype=bool)
    sources[hub] = True
    return _flood(sources, first, to)


def _flood(sources: Bools, first: Ints, to: Ints) -> Bools:
    return np.asarray(_flooded(sources.copy(), first, to))


@njit(cache=True)
def _flooded(seen: Any, first: Any, to: Any) -> Any:
    stack = np.empty(len(seen), np.int64)
    size = 0
    for node in range(len(seen)):
        if seen[node]:
            stack[size] = node
            size += 1
    while size > 0:
        size -= 1
        here = stack[size]
        for k in range(first[here], first[here + 1]):
            if not seen[to[k]]:
                seen[to[k]] = True
                stack[size] = to[k]
                size += 1
    return seen


def as_ways(pieces: Pieces, lines: Sequence[Line], both_ways: Bools) -> Streets:
    """Return runs of pieces with the same line and level as ways, nodes numbered as they come."""
    number = np.full(len(pieces.node_xy), -1, dtype=np.int64)
    order: list[int] = []
    ways = []
    breaks = np.ones(len(pieces.line), dtype=bool)
    breaks[1:] = (
        (pieces.line[1:] != pieces.line[:-1])
        | (pieces.level[1:] != pieces.level[:-1])
        | (pieces.start[1:] != pieces.end[:-1])
    )
    stops = [*np.flatnonzero(breaks).tolist(), len(pieces.line)]
    for first, last in itertools.pairwise(stops):
        nodes = [int(pieces.start[first]), *pieces.end[first:last].tolist()]
        for node in nodes:
            if number[node] < 0:
                number[node] = len(order)
                order.append(node)
        line = lines[int(pieces.line[first])]
        level = int(pieces.level[first])
        tags = {"highway": line.road_class} | line.tags
        if line.tags.get("route") == "ferry":
            del tags["highway"]
        if both_ways[pieces.line[first]]:
            tags.pop("oneway", None)
        if level in (1, 2):
            tags |= {"bridge": "yes", "layer": str(level)}
        elif level < 0:
            tags |= {"tunnel": "yes", "layer": str(level)}
        ways.append(Way(tuple(int(number[node]) for node in nodes), tags | {"synthetic": "yes"}))
    return Streets(pieces.node_xy[np.array(order, dtype=np.int64)], tuple(ways))
