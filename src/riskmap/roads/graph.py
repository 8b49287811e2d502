"""The road network of one profile, frozen as arrays in compressed sparse row form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from riskmap.errors import InputError
from riskmap.roads.edge_grid import EdgeGrid, edge_grid
from riskmap.roads.folder import StoredGraphError, read_folder, write_folder
from riskmap.roads.ordering import banned_turns, compressed_arcs, hilbert_index
from riskmap.units import UNREACHED

Ints = npt.NDArray[np.int32]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """A road network with the travel times of one profile.

    n nodes, m edges, v vertices, a arcs, c weak components. An edge is a road between two
    junctions; an arc is one direction of it that the profile may take. Ids of the database meet
    indices nowhere but here. Whether roads meet is said by node ids alone: a bridge and the road
    beneath share no node, so they cross without a junction.

    Attributes
    ----------
    revision, profile
        Revision of the network and name of the profile that the times were made for.
    srid
        EPSG code of the local projected CRS of `xy`, metres.
    node_id : int64[n]
        Id of each node; nodes stand along a Hilbert curve.
    component : int32[n]
        Weak component over the profile's arcs, 0 the largest.
    component_size : int32[c]
        Nodes of each component.
    edge_id : int64[m]
        Id of each edge; edges stand by their first node, then by id.
    edge_from, edge_to : int32[m]
        Node indices of the ends.
    forward_ms, backward_ms : int32[m]
        Milliseconds over the whole edge, at least 1; `UNREACHED` is "not allowed".
    length_m : float64[m]
        Length on the ground.
    planar_m : float32[m]
        Length of the shape on the projection, which distorts it.
    xy : float64[v, 2]
        Vertices of all edges, metres; the first of an edge lies at its from-node.
    offsets : int64[m + 1]
        Edge e has the vertices ``xy[offsets[e]:offsets[e + 1]]``.
    indptr : int32[n + 1]
        Arcs that leave node u are ``indptr[u]:indptr[u + 1]``.
    head, cost_ms, arc_edge : int32[a]
        Where an arc leads, its time, its edge.
    arc_forward : bool[a]
        Whether the arc runs along its edge's direction.
    forward_arc, backward_arc : int32[m]
        The arc of each direction of an edge, -1 where it is not allowed.
    bound : bool[a]
        Whether something is banned after the arc.
    banned : int64[b]
        Banned passages, ``arc << 32 | next arc``, ascending.
    rev_indptr, rev_head, rev_cost_ms, rev_edge, rev_forward, rev_forward_arc, rev_backward_arc
        The same arcs by the node they enter, for searches toward a point.
    rev_bound, rev_banned
        The same bans by the arc that one goes on: ``next arc << 32 | arc``.
    u_turns
        Whether the profile may turn round at a junction; at the end of a dead end it always may.
    road_class : int16[m]
        Index of each edge's class in `classes`.
    classes
        Names of the road classes, none where nobody told them.
    stops : bool[m]
        Whether one can stop there and leave the road: not on a motorway or a bridge.
    kept
        What others make of the roads' shapes once; copies with other times share it.
    """

    revision: str
    profile: str
    srid: int
    node_id: Ids
    component: Ints
    component_size: Ints
    edge_id: Ids
    edge_from: Ints
    edge_to: Ints
    forward_ms: Ints
    backward_ms: Ints
    length_m: Floats
    planar_m: npt.NDArray[np.float32]
    xy: Floats
    offsets: Ids
    indptr: Ints
    head: Ints
    cost_ms: Ints
    arc_edge: Ints
    arc_forward: Flags
    forward_arc: Ints
    backward_arc: Ints
    bound: Flags
    banned: Ids
    rev_indptr: Ints
    rev_head: Ints
    rev_cost_ms: Ints
    rev_edge: Ints
    rev_forward: Flags
    rev_forward_arc: Ints
    rev_backward_arc: Ints
    rev_bound: Flags
    rev_banned: Ids
    road_class: npt.NDArray[np.int16]
    stops: Flags
    u_turns: bool = True
    classes: tuple[str, ...] = ()
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Threads share the graph: a write would change the answers of all of them.
        for name in _ARRAYS:
            getattr(self, name).flags.writeable = False

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return len(self.node_id)

    @property
    def edge_count(self) -> int:
        """Number of edges."""
        return len(self.edge_id)

    @property
    def has_turns(self) -> bool:
        """Whether the way one came by matters at a junction.

        That one may not turn round does not matter by itself: whoever comes back is later than
        he was. It does where a ban makes one pass a junction and come back to it.
        """
        return len(self.banned) > 0

    @property
    def grid(self) -> EdgeGrid:
        """The edges by place; it is kept with a saved graph."""
        found: EdgeGrid | None = self.kept.get("grid")
        if found is None:
            found = self.kept["grid"] = edge_grid(self.xy, self.offsets)
            for name in _GRID_ARRAYS:
                getattr(found, name).flags.writeable = False
        return found

    def twin(self, *, reverse: bool = False) -> Ints:
        """Return the arc of the other direction of each arc's edge, int32[a], -1 for none."""
        name = "rev_forward_arc" if reverse else "forward_arc"
        ahead, back = getattr(self, name), getattr(self, name.replace("forward", "backward"))
        made: tuple[Ints, Ints] | None = self.kept.get(name)
        if made is None or made[0] is not ahead:
            found = np.full(len(self.head), -1, dtype=np.int32)
            both = np.flatnonzero((ahead >= 0) & (back >= 0))
            found[ahead[both]], found[back[both]] = back[both], ahead[both]
            found.flags.writeable = False
            made = self.kept[name] = (ahead, found)
        return made[1]

    @cached_property
    def _node_order(self) -> Ids:
        return np.argsort(self.node_id)

    @cached_property
    def _edge_order(self) -> Ids:
        return np.argsort(self.edge_id)

    def node_xy(self, node: npt.ArrayLike) -> Floats:
        """Return where nodes lie, float64[k, 2] metres, NaN for one without an arc."""
        nodes = np.asarray(node, dtype=np.int64)
        found = np.full((len(nodes), 2), np.nan)
        for indptr, edges, forward, leaves in (
            (self.indptr, self.arc_edge, self.arc_forward, True),
            (self.rev_indptr, self.rev_edge, self.rev_forward, False),
        ):
            some = np.flatnonzero(np.isnan(found[:, 0]) & (indptr[nodes + 1] > indptr[nodes]))
            arc = indptr[nodes[some]]
            edge = edges[arc]
            # The first vertex of an edge lies at its from-node, the last at its to-node.
            begins = forward[arc] == leaves
            vertex = np.where(begins, self.offsets[edge], self.offsets[edge + 1] - 1)
            found[some] = self.xy[vertex]
        return found

    def node_index(self, ids: npt.ArrayLike) -> Ids:
        """Return the index of each node id, int64, -1 where there is none."""
        return _lookup(self.node_id, self._node_order, ids)

    def edge_index(self, ids: npt.ArrayLike) -> Ids:
        """Return the index of each edge id, int64, -1 where there is none."""
        return _lookup(self.edge_id, self._edge_order, ids)

    def island_size(self, edge: npt.ArrayLike) -> Ids:
        """Return the nodes of the component that each edge index belongs to, 0 for index -1.

        A start on an island of 3 nodes explains an empty circle; it is no error.
        """
        index = np.asarray(edge, dtype=np.int64)
        known = index >= 0
        size = np.zeros(index.shape, dtype=np.int64)
        size[known] = self.component_size[self.component[self.edge_from[index[known]]]]
        return size

    def with_times(self, forward_ms: Ints, backward_ms: Ints, *, revision: str) -> RoadGraph:
        """Return a graph with other times: a scenario. This one stays as it is.

        Parameters
        ----------
        forward_ms, backward_ms : int32[m]
            Times in the order of this graph's edges; `UNREACHED` closes a direction.
        revision
            Name of the result, so that no cache takes it for the stored network.

        Raises
        ------
        InputError
            Wrong shape, or a time below 1 ms.
        """
        forward = _times("forward_ms", forward_ms, self.edge_count)
        backward = _times("backward_ms", backward_ms, self.edge_count)
        opened = ((forward != UNREACHED) & (self.forward_arc < 0)).any() or (
            (backward != UNREACHED) & (self.backward_arc < 0)
        ).any()
        if opened:
            return self._opened(forward, backward, revision)
        # What was closed keeps its arcs, at a cost that no search pays: copying four arrays takes
        # a hundredth of the time that sorting all arcs anew would.
        out: dict[str, Any] = {
            "cost_ms": self.cost_ms.copy(),
            "rev_cost_ms": self.rev_cost_ms.copy(),
        }
        for times, old, name in (
            (forward, self.forward_ms, "forward_arc"),
            (backward, self.backward_ms, "backward_arc"),
        ):
            moved = np.flatnonzero(times != old)
            out["cost_ms"][getattr(self, name)[moved]] = times[moved]
            out["rev_cost_ms"][getattr(self, f"rev_{name}")[moved]] = times[moved]
        return replace(self, revision=revision, forward_ms=forward, backward_ms=backward, **out)

    def _opened(self, forward: Ints, backward: Ints, revision: str) -> RoadGraph:
        """Return the graph with directions that had no arc: all arcs and bans are made anew."""
        arcs = compressed_arcs(self.node_count, self.edge_from, self.edge_to, forward, backward)
        first, second = self.banned >> 32, self.banned & 0xFFFFFFFF
        via = self.head[first].astype(np.int64)
        turns = banned_turns(
            self.edge_from,
            self.edge_to,
            arcs,
            self.arc_edge[first].astype(np.int64),
            via,
            self.arc_edge[second].astype(np.int64),
        )
        return replace(
            self, revision=revision, forward_ms=forward, backward_ms=backward, **arcs, **turns
        )

    def save(self, folder: Path) -> None:
        """Write the graph to a folder of .npy files, all or nothing.

        Raises
        ------
        OSError
            It cannot be written; an older copy stays.
        """
        meta = {name: getattr(self, name) for name in _META}
        counts = {"nodes": self.node_count, "edges": self.edge_count, "arcs": len(self.head)}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        grid = self.grid._asdict()
        arrays |= {f"grid_{name}": grid.pop(name) for name in _GRID_ARRAYS}
        write_folder(folder, arrays, meta | counts | {"grid": grid})

    @classmethod
    def load(cls, folder: Path) -> RoadGraph:
        """Map a saved graph read-only; processes share its memory.

        Raises
        ------
        StoredGraphError
            Missing, damaged or of another format: the caller builds the graph again.
        """
        arrays, meta = read_folder(folder)
        try:
            known: dict[str, Any] = {name: meta[name] for name in _META}
            known |= {"classes": tuple(meta["classes"])}
            known |= {name: arrays[name] for name in _ARRAYS}
            graph = cls(**known)
            placed: dict[str, Any] = {name: arrays[f"grid_{name}"] for name in _GRID_ARRAYS}
            graph.kept["grid"] = EdgeGrid(**meta["grid"], **placed)
        except (KeyError, TypeError) as error:
            raise StoredGraphError(
                "roads.graph_damaged", parameter=str(folder), reason=repr(error)
            ) from error
        if (graph.node_count, graph.edge_count) != (meta.get("nodes"), meta.get("edges")):
            raise StoredGraphError("roads.graph_damaged", parameter=str(folder), reason="counts")
        return graph


_META = ("revision", "profile", "srid", "u_turns", "classes")
_GRID_ARRAYS = ("indptr", "edge")
_ARRAYS = tuple(f.name for f in fields(RoadGraph) if f.name not in (*_META, "kept"))


def build_graph(
    *,
    revision: str,
    profile: str,
    srid: int,
    edge_id: npt.ArrayLike,
    from_node: npt.ArrayLike,
    to_node: npt.ArrayLike,
    xy: npt.ArrayLike,
    offsets: npt.ArrayLike,
    length_m: npt.ArrayLike,
    forward_ms: npt.ArrayLike,
    backward_ms: npt.ArrayLike,
    road_class: Sequence[str] | None = None,
    stops: npt.ArrayLike | None = None,
    turns: npt.ArrayLike = (),
    u_turns: bool = True,
) -> RoadGraph:
    """Build the graph of one profile. The order of the rows does not matter to the result.

    Parameters
    ----------
    revision, profile, srid
        See `RoadGraph`.
    edge_id, from_node, to_node : int64[m]
        Ids, edge ids unique. Self loops and parallel edges are welcome.
    xy : float64[v, 2]
        Vertices in metres of the projected CRS, edge after edge, from-node first.
    offsets : int64[m + 1]
        Where each edge's vertices begin; at least two to an edge, which may coincide.
    length_m : float64[m]
        Length on the ground, 0 allowed.
    forward_ms, backward_ms : int32[m]
        Time over the whole edge, at least 1 ms, `UNREACHED` where not allowed.
    road_class
        Name of each edge's class, for factors by the hour; none: all of one class without a name.
    stops : bool[m]
        Whether one can stop there; none: everywhere.
    turns : int64[t, 3]
        Banned passages: id of the edge that one comes by, of the node, of the edge that one may
        not go on. Those of roads that the profile cannot use are left out.
    u_turns
        Whether turning round at a junction is allowed.

    Raises
    ------
    InputError
        An array of the wrong shape, a time below 1 ms, an edge id twice, an edge of one vertex,
        a coordinate that is not finite; ``parameter`` names the array.
    """
    ids = np.asarray(edge_id, dtype=np.int64)
    count = len(ids)
    starts, ends = np.asarray(from_node, dtype=np.int64), np.asarray(to_node, dtype=np.int64)
    points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    bounds = np.asarray(offsets, dtype=np.int64)
    length = np.asarray(length_m, dtype=np.float64)
    forward = _times("forward_ms", forward_ms, count)
    backward = _times("backward_ms", backward_ms, count)
    _require(len(np.unique(ids)) == count, "edge_id")
    _require(starts.shape == (count,) and ends.shape == (count,), "from_node")
    _require(bounds.shape == (count + 1,) and bounds[0] == 0, "offsets")
    _require(bounds[-1] == len(points) and bool((np.diff(bounds) >= 2).all()), "offsets")
    _require(bool(np.isfinite(points).all()), "xy")
    _require(length.shape == (count,) and bool((length >= 0).all()), "length_m")

    node_id, inverse = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    place = np.zeros((len(node_id), 2))
    place[inverse[:count]] = points[bounds[:-1]]
    place[inverse[count:]] = points[bounds[1:] - 1]
    order = np.argsort(hilbert_index(place), kind="stable")
    rank = np.empty(len(node_id), dtype=np.int32)
    rank[order] = np.arange(len(node_id), dtype=np.int32)
    edge_from, edge_to = rank[inverse[:count]], rank[inverse[count:]]

    by_place = np.lexsort((ids, edge_from))
    sizes = np.diff(bounds)[by_place]
    new_bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    vertex = np.arange(len(points)) + np.repeat(bounds[:-1][by_place] - new_bounds[:-1], sizes)
    edge_from, edge_to = edge_from[by_place], edge_to[by_place]
    forward, backward = forward[by_place], backward[by_place]
    names = [""] * count if road_class is None else list(road_class)
    _require(len(names) == count, "road_class")
    classes, class_of = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    may_stop = np.ones(count, dtype=bool) if stops is None else np.asarray(stops, dtype=bool)
    _require(may_stop.shape == (count,), "stops")
    edge_ids = ids[by_place]
    arcs = compressed_arcs(len(node_id), edge_from, edge_to, forward, backward)
    bans = np.asarray(turns, dtype=np.int64).reshape(-1, 3)
    by_id, by_node = np.argsort(edge_ids), np.argsort(node_id[order])
    ban_from, ban_to = (_lookup(edge_ids, by_id, bans[:, column]) for column in (0, 2))
    ban_via = _lookup(node_id[order], by_node, bans[:, 1])
    known = (ban_from >= 0) & (ban_via >= 0) & (ban_to >= 0)
    banned = banned_turns(edge_from, edge_to, arcs, ban_from[known], ban_via[known], ban_to[known])
    return RoadGraph(
        revision=revision,
        profile=profile,
        srid=srid,
        node_id=node_id[order],
        edge_id=edge_ids,
        edge_from=edge_from,
        edge_to=edge_to,
        forward_ms=forward,
        backward_ms=backward,
        length_m=length[by_place],
        planar_m=_planar(points[vertex], new_bounds),
        xy=points[vertex],
        offsets=new_bounds,
        road_class=class_of[by_place].astype(np.int16),
        stops=may_stop[by_place],
        u_turns=u_turns,
        classes=tuple(str(name) for name in classes),
        **arcs,
        **banned,
    )


def _times(name: str, values: npt.ArrayLike, count: int) -> Ints:
    times = np.array(values, dtype=np.int32)
    _require(times.shape == (count,) and bool((times >= 1).all()), name)
    return times


def _planar(xy: Floats, offsets: Ids) -> npt.NDArray[np.float32]:
    """Return the length of each edge's shape, metres."""
    steps = np.hypot(*np.diff(xy, axis=0).T) if len(xy) else np.zeros(0)
    steps[offsets[1:-1] - 1] = 0.0  # from one edge to the next
    along = np.concatenate([[0.0], np.cumsum(steps)])
    found: npt.NDArray[np.float32] = (along[offsets[1:] - 1] - along[offsets[:-1]]).astype(
        np.float32
    )
    return found


def _lookup(ids: Ids, order: Ids, wanted: npt.ArrayLike) -> Ids:
    asked = np.asarray(wanted, dtype=np.int64)
    if len(ids) == 0:
        return np.full(asked.shape, -1, dtype=np.int64)
    found = order[np.minimum(np.searchsorted(ids, asked, sorter=order), len(ids) - 1)]
    return np.where(ids[found] == asked, found, -1)


def _require(fine: bool, parameter: str) -> None:
    if not fine:
        raise InputError("roads.graph_input", parameter=parameter)
