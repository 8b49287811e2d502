"""Travel times on a road graph: from starts, or toward them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from riskmap.analysis import kernels
from riskmap.analysis.parts import reached_parts, seeds_of_positions
from riskmap.errors import InputError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.snap import Positions
from riskmap.units import UNREACHED

Ints = npt.NDArray[np.int32]

_thread = threading.local()


@dataclass(frozen=True, eq=False)
class ReachedEdges:
    """Parts of edges that are reached within the limit, by ascending edge.

    An edge that is reached from both ends has two parts: they touch where the whole edge is
    reached, at the place that both ends reach at the same time. Times run linearly along a part.

    Attributes
    ----------
    edge : int32[p]
        Edge index.
    fraction_start, fraction_end : float64[p]
        Shares along the edge's geometry, cut exactly where the limit falls.
    ms_start, ms_end : int32[p]
        Times at those two places, milliseconds.
    """

    edge: Ints
    fraction_start: npt.NDArray[np.float64]
    fraction_end: npt.NDArray[np.float64]
    ms_start: Ints
    ms_end: Ints

    def __len__(self) -> int:
        return len(self.edge)


@dataclass(frozen=True, eq=False)
class TravelTimes:
    """What a search found. Holds the graph; its own arrays belong to it alone.

    Attributes
    ----------
    graph
        The graph searched.
    starts
        The starts as given, k of them; "source" below is the row of one.
    start_ms : int32[k]
        When each start's clock begins (call handling and turnout), milliseconds.
    limit_ms
        Largest time that counts, inclusive.
    reverse
        Whether the times lead toward the starts instead of from them.
    node_ms : int32[n]
        Time of each node, `UNREACHED` past the limit.
    node_source : int32[n]
        The winning source, of equal times the lowest row; -1 where not reached.
    parent_arc : int32[n]
        The arc that leads to the node on its best way (an index of the reverse arcs if
        `reverse`); -1 at seeds and where not reached.
    reached : int32[r]
        The reached nodes, in no special order.
    """

    graph: RoadGraph
    starts: Positions
    start_ms: Ints
    limit_ms: int
    reverse: bool
    node_ms: Ints
    node_source: Ints
    parent_arc: Ints
    reached: Ints

    def at(self, positions: Positions) -> Ints:
        """Return the time at each position, int32[n] milliseconds, `UNREACHED` past the limit."""
        return self.arrivals(positions)[0]

    def source_at(self, positions: Positions) -> Ints:
        """Return the row of the start that gets to each position first, int32[n], -1 for none."""
        return self.arrivals(positions)[1]

    def arrivals(self, positions: Positions) -> tuple[Ints, Ints]:
        """Return `at` and `source_at` of each position: one pass finds both."""
        given: Any = (*self._kernel_input, positions.edge, positions.fraction)
        ms, source = kernels.arrivals(*given)
        return ms, source

    def reached_edges(self) -> ReachedEdges:
        """Return the reached parts of all edges; they feed the drawing."""
        count, *arrays = reached_parts(*self._kernel_input)
        return ReachedEdges(*(array[:count] for array in arrays))

    @cached_property
    def _kernel_input(self) -> Any:
        graph, edge = self.graph, self.starts.edge
        out_ms, back_ms = _directions(graph, self.reverse)
        order = np.argsort(edge, kind="stable")
        order = order[(edge[order] >= 0) & (self.start_ms[order] <= self.limit_ms)]
        return (
            self.node_ms,
            self.node_source,
            graph.edge_from,
            graph.edge_to,
            out_ms,
            back_ms,
            edge[order],
            self.starts.fraction[order],
            self.start_ms[order],
            order.astype(np.int32),
            self.limit_ms,
        )


def search(
    graph: RoadGraph,
    starts: Positions,
    start_ms: npt.ArrayLike,
    limit_ms: int,
    *,
    reverse: bool = False,
) -> TravelTimes:
    """Find how long it takes from the starts to everywhere, or from everywhere to them.

    Parameters
    ----------
    graph
        The network with the times of a profile or scenario.
    starts
        Positions on it; those without an edge take no part.
    start_ms : int32[k]
        Milliseconds on each start's clock before it moves; all count against the limit.
    limit_ms
        Largest time that counts, inclusive, 0 to ``UNREACHED - 1``.
    reverse
        True for "who reaches this point": times run toward the starts, one-way streets obeyed.

    Raises
    ------
    InputError
        `limit_ms` out of range, or `start_ms` of another shape or below 0.

    Notes
    -----
    Threads may search at the same time; each keeps a workspace of 24 bytes a node.
    """
    if not 0 <= limit_ms < UNREACHED:
        raise InputError("roads.limit", parameter="limit_ms", value=limit_ms)
    clock = np.array(start_ms, dtype=np.int32)
    if clock.shape != starts.edge.shape or (clock < 0).any():
        raise InputError("roads.start_times", parameter="start_ms")
    out_ms, back_ms = _directions(graph, reverse)
    seeds = seeds_of_positions(
        graph.edge_from, graph.edge_to, out_ms, back_ms, starts.edge, starts.fraction, clock
    )
    arcs = (
        (graph.rev_indptr, graph.rev_head, graph.rev_cost_ms)
        if reverse
        else (graph.indptr, graph.head, graph.cost_ms)
    )
    work = _workspace(graph.node_count)
    count = kernels.bounded_search(*arcs, *seeds, int(limit_ms), *work)
    size = graph.node_count
    times = TravelTimes(
        graph=graph,
        starts=starts,
        start_ms=clock,
        limit_ms=int(limit_ms),
        reverse=reverse,
        node_ms=work.dist_ms[:size].copy(),
        node_source=work.source[:size].copy(),
        parent_arc=work.parent[:size].copy(),
        reached=work.touched[:count].copy(),
    )
    kernels.reset(work.touched, count, work.dist_ms, work.source, work.parent)
    return times


def _directions(graph: RoadGraph, reverse: bool) -> tuple[Ints, Ints]:
    forward, backward = graph.forward_ms, graph.backward_ms
    return (backward, forward) if reverse else (forward, backward)


def _workspace(nodes: int) -> kernels.Workspace:
    """Return this thread's workspace, made larger where the graph asks for it."""
    work: kernels.Workspace | None = getattr(_thread, "work", None)
    if work is None or len(work.dist_ms) < nodes:
        work = _thread.work = kernels.new_workspace(nodes)
    return work
