"""Travel times on a road graph: from starts, or toward them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from riskmap.analysis import kernels
from riskmap.analysis.parts import reached_edges, reached_parts, seeds_of_positions
from riskmap.analysis.turns import turn_search
from riskmap.errors import InputError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.snap import Positions
from riskmap.units import UNREACHED

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ReachedEdges:
    """Parts of edges that are reached within the limit, in the order in which they were found.

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


class _Pool:
    """Workspaces between searches: making one takes longer than a short search does."""

    MOST: Final = 8

    def __init__(self) -> None:
        self._free: list[kernels.Workspace] = []

    def take(self, labels: int) -> kernels.Workspace:
        """Return a workspace of at least that many labels."""
        # Popping and appending are atomic: a thread may find none and makes another.
        for _ in range(len(self._free)):
            try:
                work = self._free.pop()
            except IndexError:
                break
            if len(work.dist_ms) >= labels:
                return work
        return kernels.new_workspace(labels)

    def give(self, work: kernels.Workspace, count: int) -> None:
        """Take a workspace back, with the labels that its search touched."""
        kernels.reset(work.touched, count, work.dist_ms, work.source, work.parent)
        if len(self._free) < self.MOST:
            self._free.append(work)

    def give_both(self, labels: kernels.Workspace, nodes: kernels.Workspace, *sizes: int) -> None:
        """Take back those of a search with turns.

        `sizes`: how many arcs and nodes it touched, and how many there are.
        """
        arcs_touched, nodes_touched, arcs, nodes_in_all = sizes
        kernels.reset_arrivals(nodes.touched, nodes_touched, arcs, nodes_in_all, *labels[:3])
        self.give(labels, arcs_touched)
        self.give(nodes, nodes_touched)


_pool = _Pool()


class TravelTimes:
    """What a search found, in arrays that go back to the pool when nobody holds it any more.

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
    """

    def __init__(
        self, graph: RoadGraph, starts: Positions, start_ms: Ints, limit_ms: int, reverse: bool
    ) -> None:
        self.graph, self.starts, self.start_ms = graph, starts, start_ms
        self.limit_ms, self.reverse = limit_ms, reverse
        self._arcs = side_of(graph, reverse)
        self._nodes = _pool.take(graph.node_count)
        self._labels = self._nodes
        self._count = self._node_count = 0
        if graph.has_turns:
            arcs, nodes = len(graph.head), graph.node_count
            self._labels = _pool.take(arcs + 2 * nodes)
            self._count, self._node_count = self._search_turns()
            sizes = (self._count, self._node_count, arcs, nodes)
            weakref.finalize(self, _pool.give_both, self._labels, self._nodes, *sizes)
        else:
            self._count = self._node_count = self._search_nodes()
            weakref.finalize(self, _pool.give, self._nodes, self._count)

    def _search_nodes(self) -> int:
        graph, side, starts = self.graph, self._arcs, self.starts
        seeds = seeds_of_positions(
            graph.edge_from,
            graph.edge_to,
            side.out_ms,
            side.back_ms,
            starts.edge,
            starts.fraction,
            self.start_ms,
        )
        given: Any = (side.indptr, side.head, side.cost_ms, *seeds, self.limit_ms, *self._nodes)
        return int(kernels.bounded_search(*given))

    def _search_turns(self) -> tuple[int, int]:
        graph, side, starts, nodes = self.graph, self._arcs, self.starts, self._nodes
        arcs, junctions = turn_search(
            side.indptr,
            side.head,
            side.cost_ms,
            graph.twin(reverse=self.reverse),
            side.bound,
            side.banned,
            graph.indptr,
            graph.u_turns,
            graph.edge_from,
            graph.edge_to,
            side.near_label,
            side.far_label,
            side.out_ms,
            side.back_ms,
            starts.edge,
            starts.fraction,
            self.start_ms,
            self.limit_ms,
            nodes.dist_ms[: graph.node_count],
            nodes.source,
            nodes.touched,
            nodes.parent,
            *self._labels,
        )
        return int(arcs), int(junctions)

    @property
    def reached(self) -> Ints:
        """The reached nodes, int32[r], in no special order."""
        return self._nodes.touched[: self._node_count].copy()

    @property
    def node_ms(self) -> Ints:
        """Time of every node, int32[n], `UNREACHED` past the limit. A copy."""
        return self._nodes.dist_ms[: self.graph.node_count].copy()

    @property
    def node_source(self) -> Ints:
        """The winning source of every node, int32[n], of equal times the lowest row; -1 for none.

        A copy.
        """
        return self._nodes.source[: self.graph.node_count].copy()

    @property
    def parent_arc(self) -> Ints:
        """The arc that leads to each node on its best way, int32[n], -1 at seeds. A copy.

        Where turns matter it is the arc before each arc, int32[a]. Indices are those of the
        reverse arcs if `reverse`.
        """
        size = len(self.graph.head) if self.graph.has_turns else self.graph.node_count
        return self._labels.parent[:size].copy()

    def at(self, positions: Positions) -> Ints:
        """Return the time at each position, int32[n] milliseconds, `UNREACHED` past the limit."""
        return self.arrivals(positions)[0]

    def source_at(self, positions: Positions) -> Ints:
        """Return the row of the start that gets to each position first, int32[n], -1 for none."""
        return self.arrivals(positions)[1]

    def arrivals(self, positions: Positions) -> tuple[Ints, Ints]:
        """Return `at` and `source_at` of each position: one pass finds both."""
        given: Any = (*self.kernel_input, positions.edge, positions.fraction)
        ms, source = kernels.arrivals(*given)
        return ms, source

    def reached_edges(self, edge: Ints | None = None) -> ReachedEdges:
        """Return the reached parts of some edges, each given once; None: of all."""
        given: Any = (*self.kernel_input, self.entered_edges if edge is None else edge)
        count, *arrays = reached_parts(*given)
        return ReachedEdges(*(array[:count] for array in arrays))

    @cached_property
    def entered_edges(self) -> Ints:
        """The edges of which a part is reached, int32[e], each once, ascending."""
        side, labels = self._arcs, self._labels
        found: Ints = reached_edges(
            labels.touched,
            self._count,
            self.graph.has_turns,
            side.indptr,
            side.edge,
            side.cost_ms,
            self._begun[0],
            self.graph.edge_count,
        )
        return found

    @property
    def entering(self) -> Any:
        """When edges are entered at their ends, as `riskmap.analysis.raster.survey` takes it."""
        side, labels = self._arcs, self._labels
        return (
            labels.dist_ms,
            side.near_label,
            side.far_label,
            side.out_ms,
            side.back_ms,
            self._begun[0],
            self.limit_ms,
        )

    @cached_property
    def _begun(self) -> tuple[npt.NDArray[Any], ...]:
        """Edge, share, clock and row of the starts that take part, by edge."""
        edge = self.starts.edge
        order = np.argsort(edge, kind="stable")
        order = order[(edge[order] >= 0) & (self.start_ms[order] <= self.limit_ms)]
        return (
            edge[order],
            self.starts.fraction[order],
            self.start_ms[order],
            order.astype(np.int32),
        )

    @property
    def labels(self) -> Labels:
        """The labels of the search, and the arcs that its parents are indices of."""
        side, labels = self._arcs, self._labels
        return Labels(
            labels.dist_ms, labels.source, labels.parent, side.near_label, side.far_label,
            side.edge, side.forward, side.ahead, side.cost_ms, side.out_ms, side.back_ms,
        )  # fmt: skip

    @property
    def edge_ms(self) -> tuple[Ints, Ints]:
        """Times over whole edges, int32[m] each: from the from-node on, and from the to-node on."""
        return self._arcs.out_ms, self._arcs.back_ms

    def node_ms_of(self, node: int) -> int:
        """Return the time of one node, milliseconds, `UNREACHED` past the limit."""
        return int(self._nodes.dist_ms[node])

    def arcs_into(self, node: int) -> Ints:
        """Return the arcs that lead to a node, in the order of the search."""
        graph = self.graph
        if self.reverse:
            rows = slice(graph.indptr[node], graph.indptr[node + 1])
            names = (graph.rev_forward_arc, graph.rev_backward_arc)
            edge, forward = graph.arc_edge[rows], graph.arc_forward[rows]
        else:
            rows = slice(graph.rev_indptr[node], graph.rev_indptr[node + 1])
            names = (graph.forward_arc, graph.backward_arc)
            edge, forward = graph.rev_edge[rows], graph.rev_forward[rows]
        found: Ints = np.where(forward, names[0][edge], names[1][edge])
        return found

    @property
    def kernel_input(self) -> Any:
        """What `riskmap.analysis.kernels.arrivals` takes before the positions.

        The arrays are those of the search itself: they hold as long as this object does.
        """
        side, graph, labels, nodes = self._arcs, self.graph, self._labels, self._nodes
        return (
            labels.dist_ms,
            labels.source,
            nodes.dist_ms,
            nodes.source,
            side.near_label,
            side.far_label,
            graph.edge_from,
            graph.edge_to,
            side.out_ms,
            side.back_ms,
            *self._begun,
            self.limit_ms,
        )


class Labels(NamedTuple):
    """What a search wrote, for those who follow its ways; see `Side` and `kernels.Workspace`.

    The arrays are those of the search itself: they hold as long as its `TravelTimes` does.
    """

    ms: Ints
    source: Ints
    parent: Ints
    near: Ints
    far: Ints
    edge: Ints
    forward: npt.NDArray[np.bool_]
    ahead: bool
    cost_ms: Ints
    out_ms: Ints
    back_ms: Ints


@dataclass(frozen=True, slots=True)
class Side:
    """A graph as seen from the starts, or toward them; see `riskmap.roads.graph.RoadGraph`.

    Attributes
    ----------
    forward
        Whether each arc runs along its edge's geometry.
    ahead
        What `forward` is for the arcs that take `out_ms`.
    """

    indptr: Ints
    head: Ints
    cost_ms: Ints
    edge: Ints
    forward: npt.NDArray[np.bool_]
    ahead: bool
    bound: npt.NDArray[np.bool_]
    banned: npt.NDArray[np.int64]
    out_ms: Ints
    back_ms: Ints
    near_label: Ints
    far_label: Ints


def side_of(graph: RoadGraph, reverse: bool) -> Side:
    """Return the arrays that a search in that direction takes."""
    if not reverse:
        labels = (graph.forward_arc, graph.backward_arc)
        return Side(
            graph.indptr, graph.head, graph.cost_ms, graph.arc_edge, graph.arc_forward, True,
            graph.bound, graph.banned, graph.forward_ms, graph.backward_ms,
            *(labels if graph.has_turns else (graph.edge_from, graph.edge_to)),
        )  # fmt: skip
    # Toward the starts a road is passed backward in time: what leads along it comes from its end.
    labels = (graph.rev_backward_arc, graph.rev_forward_arc)
    return Side(
        graph.rev_indptr, graph.rev_head, graph.rev_cost_ms, graph.rev_edge, graph.rev_forward,
        False, graph.rev_bound, graph.rev_banned, graph.backward_ms, graph.forward_ms,
        *(labels if graph.has_turns else (graph.edge_from, graph.edge_to)),
    )  # fmt: skip


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
    Threads may search at the same time. Where the graph has banned turns it matters by what road
    one comes to a junction; otherwise the search is over nodes alone.
    """
    if not 0 <= limit_ms < UNREACHED:
        raise InputError("roads.limit", parameter="limit_ms", value=limit_ms)
    clock = np.array(start_ms, dtype=np.int32)
    if clock.shape != starts.edge.shape or (clock < 0).any():
        raise InputError("roads.start_times", parameter="start_ms")
    return TravelTimes(graph, starts, clock, int(limit_ms), reverse)
