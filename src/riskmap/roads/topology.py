"""From lines as somebody drew them to edges between junctions.

Lines meet where they share a vertex on one level. A crossing without a shared vertex is none, nor
is a bridge's vertex above a street's; only where a bridge or tunnel ends does it meet the ground.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from riskmap.roads.joining import NO_MOVES, Ids, Lines, Moves, join_touching, place_keys, snap_ends


@dataclass(frozen=True, eq=False)
class Pieces:
    """m pieces of n lines, each from a junction to the next.

    Attributes
    ----------
    line : int64[m]
        The line each comes from; after a contraction that of its first row.
    from_node, to_node : int64[m]
        Junctions, from 1, numbered by position.
    vertex : int64[w]
        Vertices of all pieces, as indices into `lines`, from-node first.
    offsets : int64[m + 1]
    flipped : bool[m]
        The piece runs against its line as drawn.
    """

    lines: Lines
    line: Ids
    from_node: Ids
    to_node: Ids
    vertex: Ids
    offsets: Ids
    flipped: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.line)


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to lines until they were a network.

    Attributes
    ----------
    snapped, touching
        Ends moved to another end; ends joined to a line that they touch.
    splits
        Places inside lines where these were cut.
    contracted
        Joints of two alike roads that were dissolved.
    apart
        For each place that lines of different levels share without meeting: two of the lines.
    collapsed
        Lines of which nothing was left after snapping.
    """

    tolerance_m: float = 0.0
    snapped: Moves = NO_MOVES
    touching: Moves = NO_MOVES
    splits: int = 0
    contracted: int = 0
    apart: tuple[tuple[int, int], ...] = ()
    collapsed: tuple[int, ...] = ()


def build(
    lines: Lines,
    alike: Ids,
    oneway: Ids,
    *,
    snap_m: float,
    split_touching: bool = False,
    already_split: bool = False,
) -> tuple[Pieces, Mended]:
    """Make a network of lines.

    Parameters
    ----------
    alike : int64[n]
        Equal for lines of equal attributes, the direction aside.
    oneway : int64[n]
        0 both ways, 1 as drawn, -1 against it.
    snap_m
        Ends within this distance of each other are one, 0 for none.
    split_touching
        An end that lies within `snap_m` of a line cuts it there.
    already_split
        The lines are edges as they are: they meet where their ends are equal, and nothing is
        snapped, split or dissolved.
    """
    lines = without_repeats(lines)
    if already_split:
        ends = np.zeros(len(lines.lonlat), dtype=bool)
        ends[lines.ends] = True
        return _cut(lines, ends, place_keys(lines.lonlat)), Mended()
    lines, snapped = snap_ends(lines, snap_m)
    touching = NO_MOVES
    if split_touching:
        lines, touching = join_touching(lines, snap_m)
    lines = without_repeats(lines)
    stop, node, apart = _junctions(lines, place_keys(lines.lonlat))
    pieces = _cut(lines, stop, node)
    splits = len(pieces) - int((np.diff(lines.offsets) > 1).sum())
    collapsed = np.flatnonzero(np.diff(lines.offsets) < 2)
    whole, contracted = _contract(pieces, alike, oneway)
    return whole, Mended(
        tolerance_m=snap_m,
        snapped=snapped,
        touching=touching,
        splits=splits,
        contracted=contracted,
        apart=apart,
        collapsed=tuple(collapsed.tolist()),
    )


def without_repeats(lines: Lines) -> Lines:
    """Drop vertices at the place of the one before: slips of the pen."""
    keys, line = place_keys(lines.lonlat), lines.line
    again = np.zeros(len(keys), dtype=bool)
    again[1:] = (keys[1:] == keys[:-1]) & (line[1:] == line[:-1])
    # The end stays, not the vertex before it: ends are what was snapped.
    last = lines.offsets[1:] - 1
    swap = last[again[last] & (np.diff(lines.offsets) > 2)]
    again[swap], again[swap - 1] = False, True
    sizes = np.bincount(line[~again], minlength=len(lines.level))
    return replace(
        lines,
        lonlat=lines.lonlat[~again],
        xy=lines.xy[~again],
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


def _items(lines: Lines, keys: Ids) -> Ids:
    """Number the vertices so that lines drawn twice have the same numbers.

    Two directions of a street are often two rows with one geometry: what they share is no
    junction at every vertex.
    """
    item = np.arange(len(keys))
    seen: dict[tuple[int, bytes], int] = {}
    bounds, levels = lines.offsets.tolist(), lines.level.tolist()
    for k, level in enumerate(levels):
        there = keys[bounds[k] : bounds[k + 1]]
        ahead, back = there.tobytes(), there[::-1].tobytes()
        first = seen.setdefault((level, min(ahead, back)), k)
        if first != k:
            numbers = np.arange(bounds[first], bounds[first + 1])
            same = keys[bounds[first] : bounds[first + 1]].tobytes() == ahead
            item[bounds[k] : bounds[k + 1]] = numbers if same else numbers[::-1]
    return item


def _junctions(
    lines: Lines, keys: Ids
) -> tuple[npt.NDArray[np.bool_], Ids, tuple[tuple[int, int], ...]]:
    """Return which vertices are junctions, the node of each vertex, and lines kept apart."""
    line = lines.line
    place = np.unique(keys, return_inverse=True)[1]
    level = lines.level[line]
    kinds, rank = np.unique(level, return_inverse=True)
    group_name, sample, group = np.unique(
        place * len(kinds) + rank, return_index=True, return_inverse=True
    )
    ends = np.zeros(len(keys), dtype=bool)
    ends[lines.ends] = True
    # A closed line drawn twice has four ends and two items: count both.
    items = np.unique(np.column_stack((group, _items(lines, keys))), axis=0)[:, 0]
    size = np.bincount(items, minlength=len(group_name))
    has_end = np.bincount(group[ends], minlength=len(group_name)) > 0
    stops_here = has_end & (size == 1)

    root = np.arange(len(group_name))
    apart: list[tuple[int, int]] = []
    group_place = group_name // len(kinds)
    height = kinds[group_name % len(kinds)]
    several = np.flatnonzero(np.diff(group_place, prepend=-1) == 0)
    for place_at in np.unique(group_place[several]).tolist():
        low, high = np.searchsorted(group_place, [place_at, place_at + 1]).tolist()
        groups = range(low, high)
        for a in groups:
            for b in groups:
                # The end of a road that goes no further on its level meets other ends; that of a
                # bridge or tunnel also what passes: it has come to the ground.
                if a != b and stops_here[a] and (has_end[b] or height[a] != 0):
                    root[low:high][root[low:high] == root[b]] = root[a]
        roots = root[low:high]
        if len(np.unique(roots)) > 1:
            other = low + int(np.flatnonzero(roots != roots[0])[0])
            apart.append((int(line[sample[low]]), int(line[sample[other]])))
    total = np.zeros(len(group_name), dtype=np.int64)
    np.add.at(total, root, size)
    node = root[group]
    return ends | (total[node] > 1), node, tuple(apart)


def _cut(lines: Lines, stop: npt.NDArray[np.bool_], node: Ids) -> Pieces:
    line = lines.line
    stops = np.flatnonzero(stop)
    first, last = stops[:-1], stops[1:]
    same = line[first] == line[last]
    first, last = first[same], last[same]
    size = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    number = np.unique(node[stops], return_inverse=True)[1] + 1
    named = np.zeros(len(line), dtype=np.int64)
    named[stops] = number
    return Pieces(
        lines=lines,
        line=line[first],
        from_node=named[first],
        to_node=named[last],
        vertex=np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], size),
        offsets=offsets,
        flipped=np.zeros(len(first), dtype=bool),
    )


def _contract(pieces: Pieces, alike: Ids, oneway: Ids) -> tuple[Pieces, int]:
    """Dissolve nodes where two alike pieces meet and nothing else does.

    A one-way chain runs in its direction afterwards, another one as its first row was drawn.
    """
    way = oneway[pieces.line]
    # Tail and head in the direction of travel.
    tail = np.where(way < 0, pieces.to_node, pieces.from_node)
    head = np.where(way < 0, pieces.from_node, pieces.to_node)
    count = len(pieces)
    edge = np.tile(np.arange(count), 2)
    node = np.concatenate([tail, head])
    side = np.repeat([0, 1], count)  # 0: the piece leaves the node, 1: it enters
    order = np.lexsort((edge, node))
    degree = np.bincount(node)
    begins = np.flatnonzero(np.diff(node[order], prepend=-1) != 0)
    pairs = begins[degree[node[order[begins]]] == 2]
    a, b = order[pairs], order[pairs + 1]
    kind = alike[pieces.line] * 2 + (way != 0)
    fits = (edge[a] != edge[b]) & (kind[edge[a]] == kind[edge[b]])
    fits &= (way[edge[a]] == 0) | (side[a] != side[b])
    # The two directions of a dead end, each a line of its own, would become one loop.
    pair = np.sort(np.column_stack((tail, head)), axis=1)
    fits &= (pair[edge[a]] != pair[edge[b]]).any(axis=1)
    a, b = a[fits], b[fits]
    if len(a) == 0:
        return pieces, 0
    # beyond[end] is the end of the next piece that lies at the same joint.
    beyond: dict[int, int] = {}
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        beyond[one], beyond[other] = other, one
    chains, dissolved = _chains(
        beyond, sorted({int(e) for e in edge[np.concatenate([a, b])]}), count
    )
    return _merged(pieces, way, chains), dissolved


def _chains(
    beyond: dict[int, int], linked: list[int], count: int
) -> tuple[list[list[tuple[int, bool]]], int]:
    """Follow joints from end to end; pieces as (piece, entered at its head).

    End k is the tail of piece k, end k + count its head.
    """
    done: set[int] = set()
    chains = []
    dissolved = 0
    for first in linked:
        if first in done:
            continue
        # Back to where the chain begins; a ring begins at its first piece.
        end = first
        while (before := beyond.get(end)) is not None:
            end = before + count if before < count else before - count
            if end == first:
                break
        chain: list[tuple[int, bool]] = []
        here: int | None = end
        while here is not None and here % count not in done:
            chain.append((here % count, here >= count))
            done.add(here % count)
            here = beyond.get(here + count if here < count else here - count)
        chains.append(chain)
        dissolved += len(chain) - 1
    return chains, dissolved


def _merged(pieces: Pieces, way: Ids, chains: list[list[tuple[int, bool]]]) -> Pieces:
    bounds = pieces.offsets.tolist()
    runs: list[Ids] = [pieces.vertex[a:b] for a, b in itertools.pairwise(bounds)]
    from_node, to_node = pieces.from_node.copy(), pieces.to_node.copy()
    flipped = pieces.flipped.copy()
    keep = np.ones(len(pieces), dtype=bool)
    for chain in chains:
        first = min(piece for piece, _ in chain)
        backward = dict(chain)[first]
        # Of a one-way street every piece is entered at its tail, or every one at its head.
        if backward:
            chain = [(piece, not at_head) for piece, at_head in reversed(chain)]  # noqa: PLW2901
        parts: list[Ids] = []
        nodes: list[int] = []
        for piece, at_head in chain:
            # Tail and head follow the travel, runs follow the drawing.
            turned = at_head != (way[piece] < 0)
            run = runs[piece][::-1] if turned else runs[piece]
            parts.append(run[1:] if parts else run)
            a, b = int(pieces.from_node[piece]), int(pieces.to_node[piece])
            nodes += (b, a) if turned else (a, b)
            keep[piece] = piece == first
        flipped[first] = way[first] < 0
        runs[first] = np.concatenate(parts)
        from_node[first], to_node[first] = nodes[0], nodes[-1]
    kept = np.flatnonzero(keep)
    left = [runs[k] for k in kept.tolist()]
    return replace(
        pieces,
        line=pieces.line[kept],
        from_node=from_node[kept],
        to_node=to_node[kept],
        vertex=np.concatenate(left),
        offsets=np.concatenate([[0], np.cumsum([len(run) for run in left])]).astype(np.int64),
        flipped=flipped[kept],
    )
