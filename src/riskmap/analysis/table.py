"""Who is reached by whom, each start for itself: sparse rows, or dense ones for few targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.kernels import Array, Int, arrival, share_ms
from riskmap.analysis.search import TravelTimes, search
from riskmap.roads.graph import RoadGraph
from riskmap.roads.snap import Positions
from riskmap.units import UNREACHED

T = TypeVar("T")
Row = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class ArrivalTable:
    """Which features each of k starts reaches within a limit, and when.

    Attributes
    ----------
    features
        Number of features n that could have been reached.
    indptr : int64[k + 1]
        Row of start s is ``indptr[s]:indptr[s + 1]``.
    feature : int32[r]
        Rows of the features, ascending within each start.
    ms : int32[r]
        Milliseconds, the start's clock and the walk from the road included.
    """

    features: int
    indptr: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int32]
    ms: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def row(self, start: int) -> Row:
        """Return the features of one start and their times."""
        part = slice(self.indptr[start], self.indptr[start + 1])
        return self.feature[part], self.ms[part]

    def with_rows(self, changed: dict[int, Row]) -> ArrivalTable:
        """Return the table with some rows replaced: a team moved, the others did not."""
        return _table(
            self.features, [changed.get(start) or self.row(start) for start in range(len(self))]
        )

    def earliest(self, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the first arrivals at each feature.

        Returns
        -------
        ms, start : int64[n, most]
            By time, of equal times the lower start first; `UNREACHED` and -1 where there are fewer.
        """
        start = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        order = np.lexsort((start, self.ms, self.feature))
        feature = self.feature[order]
        first = np.searchsorted(feature, np.arange(self.features))
        rank = np.arange(len(feature)) - first[feature]
        kept = rank < most
        ms = np.full((self.features, most), UNREACHED, dtype=np.int64)
        who = np.full((self.features, most), -1, dtype=np.int64)
        ms[feature[kept], rank[kept]] = self.ms[order][kept]
        who[feature[kept], rank[kept]] = start[order][kept]
        return ms, who

    def counts(self, limit_ms: int) -> npt.NDArray[np.int64]:
        """Return how many starts reach each feature within a limit, int64[n]."""
        return np.bincount(self.feature[self.ms <= limit_ms], minlength=self.features)


def arrival_table(
    graph: RoadGraph,
    starts: Positions,
    start_ms: npt.ArrayLike,
    limit_ms: int,
    anchors: Anchors,
    *,
    threads: int = 1,
) -> ArrivalTable:
    """Find for each start for itself which features it reaches.

    Parameters
    ----------
    starts, start_ms, limit_ms
        See `riskmap.analysis.search.search`; one row for each of the k starts.
    anchors
        The features; their network is that of `graph`, whose times may be a scenario's.
    threads
        The kernels let go of the interpreter: two threads take little more than half the time.

    Raises
    ------
    InputError
        As `riskmap.analysis.search.search`.
    """
    clock = np.asarray(start_ms, dtype=np.int64)

    def one(start: int) -> Row:
        here = Positions(
            starts.edge[start : start + 1],
            starts.fraction[start : start + 1],
            starts.distance_m[start : start + 1],
            starts.xy[start : start + 1],
        )
        return features_of(search(graph, here, clock[start : start + 1], limit_ms), anchors)

    return _table(len(anchors.rows), _each(one, len(starts), threads))


def features_of(times: TravelTimes, anchors: Anchors) -> Row:
    """Return the features that one search reaches within its limit, ascending, and when."""
    index = anchors.by_edge
    given: Any = (
        *times.kernel_input,
        times.entered_edges,
        index.first,
        index.share,
        index.access_ms,
        index.feature,
        index.junction,
        index.junction_edge,
        len(anchors.rows),
    )
    feature, ms = _reached_features(*given)
    return feature, ms


def arrival_of_each(times: TravelTimes, anchors: Anchors) -> npt.NDArray[np.int64]:
    """Return when one search reaches each feature, int64[n], `UNREACHED` past its limit."""
    found = np.full(len(anchors.rows), UNREACHED, dtype=np.int64)
    feature, ms = features_of(times, anchors)
    found[feature] = ms
    return found


def travel_matrix(
    graph: RoadGraph,
    origins: Positions,
    targets: Positions,
    limit_ms: int,
    *,
    threads: int = 1,
) -> npt.NDArray[np.int32]:
    """Return the times from every origin to every target, int32[k, t] milliseconds.

    `UNREACHED` past the limit. Parameters as those of `arrival_table`.
    """

    def one(start: int) -> npt.NDArray[np.int32]:
        here = Positions(
            origins.edge[start : start + 1],
            origins.fraction[start : start + 1],
            origins.distance_m[start : start + 1],
            origins.xy[start : start + 1],
        )
        return search(graph, here, [0], limit_ms).at(targets)

    rows = list(_each(one, len(origins), threads))
    return np.stack(rows) if rows else np.zeros((0, len(targets)), dtype=np.int32)


def _each(one: Callable[[int], T], count: int, threads: int) -> Iterable[T]:
    if threads <= 1 or count <= 1:
        return map(one, range(count))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(count), chunksize=8))


def _table(features: int, rows: Iterable[Row]) -> ArrivalTable:
    found = list(rows)
    nothing = [np.zeros(0, dtype=np.int32)]
    return ArrivalTable(
        features=features,
        indptr=np.concatenate([[0], np.cumsum([len(row[0]) for row in found])]).astype(np.int64),
        feature=np.concatenate([row[0] for row in found] or nothing),
        ms=np.concatenate([row[1] for row in found] or nothing),
    )


@njit(cache=True, nogil=True)
def _reached_features(
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
    wanted: Array,
    first: Array,
    share: Array,
    access_ms: Array,
    feature: Array,
    junction: Array,
    junction_edge: Array,
    features: Int,
) -> tuple[Array, Array]:
    """List the features whose positions lie on some reached edges; the least time of each.

    What `riskmap.analysis.kernels.arrival` finds for one position is found here for all positions
    of an edge from the times at its ends, looked up once; only edges where a start lies ask it.
    """
    best = np.full(features, UNREACHED, np.int32)
    alone = len(junction)
    for turn in range(alone + len(wanted)):
        if turn < alone:
            edge = junction_edge[turn]
            low, high = junction[turn], junction[turn] + 1
        else:
            edge = wanted[turn - alone]
            low, high = first[edge], first[edge + 1]
        if low == high:
            continue
        row = np.searchsorted(start_edge, edge)
        begun = row < len(start_edge) and start_edge[row] == edge
        out, back = out_ms[edge], back_ms[edge]
        near = np.int64(label_ms[near_label[edge]]) if out != UNREACHED else np.int64(UNREACHED)
        far = np.int64(label_ms[far_label[edge]]) if back != UNREACHED else np.int64(UNREACHED)
        for place in range(low, high):
            ms = np.int64(UNREACHED)
            if begun:
                ms, _ = arrival(
                    label_ms, label_source, node_ms, node_source, near_label, far_label, edge_from,
                    edge_to, out_ms, back_ms, start_edge, start_share, start_ms, start_row,
                    limit_ms, edge, share[place],
                )  # fmt: skip
            else:
                if near != UNREACHED:
                    ms = near + share_ms(out, share[place])
                if far != UNREACHED:
                    ms = min(ms, far + share_ms(back, 1.0 - share[place]))
                # A position at a junction is reached by every road that leads there.
                if share[place] == 0.0:
                    ms = min(ms, np.int64(node_ms[edge_from[edge]]))
                elif share[place] == 1.0:
                    ms = min(ms, np.int64(node_ms[edge_to[edge]]))
            ms += access_ms[place]
            if ms <= limit_ms and ms < best[feature[place]]:
                best[feature[place]] = ms
    found = np.flatnonzero(best != UNREACHED).astype(np.int32)
    return found, best[found]
