"""The reached roads of a circle as lines by arrival time, kept for the tiles that ask for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from riskmap.analysis.ground import Ground
from riskmap.analysis.response import ResponseQuery, band_limits_ms
from riskmap.analysis.routes import cut
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.starts import find_starts
from riskmap.analysis.store import phases_of
from riskmap.roads.graph import RoadGraph
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S

# Some ten circles of a city: one of 15 minutes has 20,000 parts of 300 bytes and their vertices.
MAX_BYTES: Final = 96 << 20


class Weighed(Protocol):
    """What says how many bytes it takes."""

    @property
    def weight_bytes(self) -> int:
        """Bytes, nearly."""
        ...


T = TypeVar("T", bound=Weighed)


@dataclass(frozen=True, eq=False)
class Reached:
    """The reached parts of roads, p of them, cut where a band ends.

    Attributes
    ----------
    lonlat
        Vertices of each part in degrees (WGS 84).
    arrival_s : float64[p]
        When its first end is reached, seconds after the alarm.
    band_min : float64[p]
        The band it lies in, minutes.
    road_class : str[p]
    source : int64[p]
        The start that is first there.
    """

    lonlat: list[npt.NDArray[np.float64]]
    arrival_s: npt.NDArray[np.float64]
    band_min: npt.NDArray[np.float64]
    road_class: npt.NDArray[np.str_]
    source: npt.NDArray[np.int64]


def reached_roads(ground: Ground, query: ResponseQuery) -> Reached:
    """Search once and return all that is reached; errors as `riskmap.analysis.circles.circle`."""
    moment = ground.now()
    query = query.checked(moment.city.bbox)
    ground.check_kind(moment, query.kind)
    phases = query.phases(phases_of(moment.phases, query.kind))
    network = ground.network(moment, phases.profile)
    graph = ground.graph_at(network, query.when)
    starts = find_starts(ground, moment, query, phases, network)
    limits_ms = band_limits_ms(query)
    times = search(
        graph, starts.positions, starts.start_ms, limits_ms[-1], reverse=query.toward
    )  # fmt: skip
    edge, low, high, begin, end = _banded(times, limits_ms)
    nothing = np.full(len(edge), np.nan)
    middle = Positions(edge.astype(np.int64), (low + high) / 2, nothing, np.empty((len(edge), 2)))
    source = times.source_at(middle)
    owner = np.where(source >= 0, starts.start[np.maximum(source, 0)], -1)
    first = np.minimum(begin, end)
    # The parts are cut at the limits: the later end says which band a part lies in.
    band = np.searchsorted(limits_ms, np.maximum(begin, end))
    lines = _lines(graph, edge, low, high)
    degrees = network.to_lonlat(np.concatenate(lines)) if lines else np.zeros((0, 2))
    pieces = np.split(degrees, np.cumsum([len(line) for line in lines])[:-1]) if lines else []
    classes = np.array([name or "" for name in graph.classes], dtype=np.str_)
    return Reached(
        pieces,
        first / MS_PER_S,
        np.asarray(query.minutes, dtype=np.float64)[band],
        classes[graph.road_class[edge]],
        owner.astype(np.int64),
    )


def _banded(times: TravelTimes, limits_ms: Sequence[int]) -> tuple[npt.NDArray[Any], ...]:
    """Return the reached parts, those that a limit falls into cut there: times run linearly."""
    parts = times.reached_edges()
    edge = parts.edge
    low, high = parts.fraction_start, parts.fraction_end
    begin, end = parts.ms_start.astype(np.int64), parts.ms_end.astype(np.int64)
    for limit in limits_ms[:-1]:
        across = (np.minimum(begin, end) < limit) & (np.maximum(begin, end) > limit)
        rows = np.flatnonzero(across)
        share = (limit - begin[rows]) / (end[rows] - begin[rows])
        at = low[rows] + share * (high[rows] - low[rows])
        there = np.full(len(rows), limit)
        edge = np.append(edge, edge[rows])
        low, high_after = np.append(low, at), np.append(high, high[rows])
        begin, end_after = np.append(begin, there), np.append(end, end[rows])
        high_after[rows], end_after[rows] = at, limit
        high, end = high_after, end_after
    return edge, low, high, begin, end


def _lines(
    graph: RoadGraph,
    edge: npt.NDArray[Any],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> list[npt.NDArray[np.float64]]:
    return [
        cut(graph.xy[graph.offsets[one] : graph.offsets[one + 1]], begin, end)
        for one, begin, end in zip(edge.tolist(), low.tolist(), high.tolist(), strict=True)
    ]


class Keep(Generic[T]):
    """Results by their question, the least recently asked dropped first; threads may share it.

    Who asks for what another thread is making waits for that one: the tiles of a map come at once.
    """

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most, self._lock = most_bytes, threading.Lock()
        self._kept: OrderedDict[Hashable, Future[T]] = OrderedDict()
        self.made = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept under a key, or make it; what `make` raises is kept by nobody."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            else:
                mine: Future[T] = Future()
                self._kept[key] = mine
        if found is not None:
            return found.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(made)
        with self._lock:
            self.made += 1
            self._trim(key)
        return made

    def _trim(self, newest: Hashable) -> None:
        done = [(key, one) for key, one in self._kept.items() if one.done()]
        weight = sum(one.result().weight_bytes for _, one in done if one.exception() is None)
        for key, one in done:
            if weight <= self._most:
                return
            if key != newest and one.exception() is None:
                weight -= one.result().weight_bytes
                del self._kept[key]
