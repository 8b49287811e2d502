"""The way that a search found to a place: edges, geometry, length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.kernels import share_ms
from riskmap.analysis.search import TravelTimes
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import UNREACHED

# A piece of a route: edge, share where it begins, share where it ends.
Piece = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """A way along the roads.

    Attributes
    ----------
    geometry
        Positions in degrees, longitude first, from where the travel begins; two at least.
    length_m
        Metres on the ground.
    edge_ids
        Ids of the roads in the order of travel.
    ms
        Time of travel, milliseconds, the start's clock included.
    """

    geometry: list[list[float]]
    length_m: float
    edge_ids: list[int]
    ms: int


def routes(times: TravelTimes, positions: Positions, network: Network) -> list[Route | None]:
    """Return the way to each position, or from it when the search leads toward its starts.

    Parameters
    ----------
    times
        The search.
    positions
        p places.
    network
        The network of the search's graph, for degrees.

    Returns
    -------
    list
        p routes, None where the place is not reached.
    """
    reached, winner = times.arrivals(positions)
    found: list[Route | None] = []
    for row in range(len(positions)):
        if reached[row] == UNREACHED:
            found.append(None)
            continue
        place = (int(positions.edge[row]), float(positions.fraction[row]))
        pieces = _pieces(times, *place, int(reached[row]), int(winner[row]))
        if times.reverse:
            # Found from the starts outward: travel goes the other way, from place to start.
            pieces = [(edge, to, begin) for edge, begin, to in reversed(pieces)]
        here = positions.xy[row : row + 1]
        found.append(_route(times, pieces, here, network, int(reached[row])))
    return found


def _pieces(times: TravelTimes, edge: int, share: float, ms: int, source: int) -> list[Piece]:
    """Return the pieces from the start to a place in the order of the search."""
    graph, labels = times.graph, times.labels
    last: list[Piece] = []
    node = -1
    label = -1
    for whole, rest, entry, begin in (
        (labels.out_ms[edge], share, labels.near[edge], 0.0),
        (labels.back_ms[edge], 1.0 - share, labels.far[edge], 1.0),
    ):
        if whole == UNREACHED or labels.ms[entry] == UNREACHED:
            continue
        if labels.ms[entry] + (share_ms(whole, rest) if rest > 0.0 else 0) == ms:
            label, last = int(entry), [(edge, begin, share)]
            node = int((graph.edge_from if begin == 0.0 else graph.edge_to)[edge])
            break
    if label < 0:
        on_own = _direct(times, edge, share, ms, source)
        if on_own is not None:
            return [on_own] if share != on_own[1] else []
        # At a junction that other roads lead to.
        node = int((graph.edge_from if share == 0.0 else graph.edge_to)[edge])
        if graph.has_turns:
            label = _arc_into(times, node, ms)
            last = [_whole(times, label)] if label >= 0 else []
        else:
            label = node
    pieces = last
    while label >= 0:
        before = int(labels.parent[label])
        if graph.has_turns:
            node = _tail(times, label)
            passed = (
                before >= 0
                and labels.ms[before] != UNREACHED
                and int(labels.ms[before]) + int(labels.cost_ms[before]) == labels.ms[label]
                and labels.source[before] == labels.source[label]
            )
            if not passed:
                break
            pieces.append(_whole(times, before))
            label = before
        else:
            node = label
            if before < 0:
                break
            pieces.append(_whole(times, before))
            label = _tail(times, before)
    at_node = (
        int(times.node_ms_of(node)) if label < 0 or not graph.has_turns else int(labels.ms[label])
    )
    first = _first(times, source, node, at_node)
    whole_way = ([first] if first is not None else []) + pieces[::-1]
    return [piece for piece in whole_way if piece[1] != piece[2]]


def _whole(times: TravelTimes, arc: int) -> Piece:
    labels = times.labels
    ahead = bool(labels.forward[arc]) == labels.ahead
    return (int(labels.edge[arc]), 0.0, 1.0) if ahead else (int(labels.edge[arc]), 1.0, 0.0)


def _tail(times: TravelTimes, arc: int) -> int:
    """Return the node where an arc is entered, in the order of the search."""
    edge, begin, _ = _whole(times, arc)
    ends = times.graph.edge_from if begin == 0.0 else times.graph.edge_to
    return int(ends[edge])


def _arc_into(times: TravelTimes, node: int, ms: int) -> int:
    """Return the arc that reaches a junction at a time, -1 if a start on its own road does."""
    labels = times.labels
    for arc in times.arcs_into(node):
        whole = int(labels.cost_ms[arc])
        if labels.ms[arc] != UNREACHED and int(labels.ms[arc]) + whole == ms:
            return int(arc)
    return -1


def _first(times: TravelTimes, source: int, node: int, ms: int) -> Piece | None:
    """Return the piece from a start to the first junction, None where it stands there."""
    starts, labels, graph = times.starts, times.labels, times.graph
    edge, share = int(starts.edge[source]), float(starts.fraction[source])
    clock = int(times.start_ms[source])
    for whole, rest, end, to in (
        (labels.back_ms[edge], share, graph.edge_from[edge], 0.0),
        (labels.out_ms[edge], 1.0 - share, graph.edge_to[edge], 1.0),
    ):
        if end != node or (whole == UNREACHED and rest > 0.0):
            continue
        if clock + (share_ms(whole, rest) if rest > 0.0 else 0) == ms:
            return (edge, share, to) if rest > 0.0 else None
    return None


def _direct(times: TravelTimes, edge: int, share: float, ms: int, source: int) -> Piece | None:
    """Return the piece along one edge where start and place lie on the same, None otherwise."""
    starts, labels = times.starts, times.labels
    if int(starts.edge[source]) != edge:
        return None
    begin = float(starts.fraction[source])
    whole = labels.out_ms[edge] if share > begin else labels.back_ms[edge]
    if share != begin and whole == UNREACHED:
        return None
    spent = share_ms(whole, abs(share - begin)) if share != begin else 0
    return (edge, begin, share) if int(times.start_ms[source]) + spent == ms else None


def _route(
    times: TravelTimes,
    pieces: list[Piece],
    here: npt.NDArray[np.float64],
    network: Network,
    ms: int,
) -> Route:
    graph = times.graph
    lines, length_m = [], 0.0
    for edge, begin, to in pieces:
        xy = graph.xy[graph.offsets[edge] : graph.offsets[edge + 1]]
        length_m += float(graph.length_m[edge]) * abs(to - begin)
        lines.append(cut(xy, begin, to))
    if not lines:
        lines = [np.vstack([here, here])]
    xy = np.vstack(lines)
    fresh = np.concatenate([[True], (np.diff(xy, axis=0) != 0).any(axis=1)])
    if fresh.sum() < 2:
        fresh[-1] = True
    degrees = np.round(network.to_lonlat(xy[fresh]), 7)
    ids = [int(graph.edge_id[edge]) for edge, _, _ in pieces]
    return Route(degrees.tolist(), length_m, ids, ms)


def cut(xy: npt.NDArray[Any], begin: float, to: float) -> npt.NDArray[np.float64]:
    """Return the vertices of a line from one share of its length to another, in that order."""
    if (begin, to) == (0.0, 1.0):
        return np.asarray(xy)
    if (begin, to) == (1.0, 0.0):
        return np.asarray(xy)[::-1]
    line = shapely.linestrings(xy)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    along = along / (along[-1] or 1.0)
    low, high = min(begin, to), max(begin, to)
    ends = shapely.get_coordinates(
        shapely.line_interpolate_point(line, [low, high], normalized=True)
    )
    inner = xy[(along > low) & (along < high)]
    cut = np.vstack([ends[:1], inner, ends[1:]])
    return cut if begin <= to else cut[::-1]
