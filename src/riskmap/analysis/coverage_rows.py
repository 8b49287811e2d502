"""Whom each team reaches, team by team, kept: when one moves, only its own row is found again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.search import search
from riskmap.analysis.table import ArrivalTable, Row, features_of
from riskmap.roads.graph import RoadGraph
from riskmap.roads.snap import Positions
from riskmap.units import UNREACHED

# Of so many combinations of profile, hour and target layers the rows are kept: a city of 383 teams
# and 10,000 features within half an hour fills some 20 MB of each.
MAX_SCOPES: Final = 6
_THREADS: Final = 2
_CHUNK: Final = 16

Progress = Callable[[int, int], None]
Rows = tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class TeamStart:
    """Where one team starts, at all its positions, and its clock in milliseconds."""

    positions: Positions
    start_ms: int

    @property
    def signature(self) -> tuple[bytes, bytes, int]:
        """What its row depends on, besides network and targets."""
        return self.positions.edge.tobytes(), self.positions.fraction.tobytes(), self.start_ms


@dataclass(frozen=True, eq=False)
class Scope:
    """What rows of all teams depend on: a network at an hour, the targets, and the limit.

    Attributes
    ----------
    key
        Tells this scope from any other: the same objects, the same hour.
    """

    key: tuple[Any, ...]
    graph: RoadGraph
    targets: Sequence[Anchors]
    limit_ms: int


@dataclass(eq=False)
class _Kept:
    key: tuple[Any, ...]
    rows: dict[tuple[bytes, bytes, int], Rows] = field(default_factory=dict)


class TeamRows:
    """Rows of arrivals by team, kept between questions; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self.searched = 0

    def of(
        self, scope: Scope, starts: Sequence[TeamStart], progress: Progress | None = None
    ) -> list[Rows]:
        """Return for each team a row for each target layer; only rows that are new are searched.

        Parameters
        ----------
        progress
            Told how many rows of those to search are found; what it raises ends the work, and what
            was found until then is kept.
        """
        with self._lock:
            kept = self._scope(scope.key)
            wanted = {start.signature: start for start in starts}
            missing = [one for name, one in wanted.items() if name not in kept.rows]
            for part in range(0, len(missing), _CHUNK):
                some = missing[part : part + _CHUNK]
                for start, rows in zip(some, _searched(scope, some), strict=True):
                    kept.rows[start.signature] = rows
                self.searched += len(some)
                if progress is not None:
                    progress(part + len(some), len(missing))
            found = [kept.rows[start.signature] for start in starts]
            # Rows of teams as they were: a team that drives all day would leave one at each place.
            if len(kept.rows) > 2 * len(wanted) + _CHUNK:
                kept.rows = {name: kept.rows[name] for name in wanted}
            return found

    def _scope(self, key: tuple[Any, ...]) -> _Kept:
        for place, one in enumerate(self._kept):
            if one.key == key:
                self._kept.append(self._kept.pop(place))
                return one
        self._kept = [*self._kept[1 - MAX_SCOPES :], _Kept(key)]
        return self._kept[-1]


def _searched(scope: Scope, starts: Sequence[TeamStart]) -> list[Rows]:
    # Made before the threads run: a cached property is no place to meet.
    for target in scope.targets:
        _ = target.by_edge

    def one(start: TeamStart) -> Rows:
        clock = np.full(len(start.positions), start.start_ms, dtype=np.int64)
        times = search(scope.graph, start.positions, clock, scope.limit_ms)
        return tuple(features_of(times, target) for target in scope.targets)

    if len(starts) == 1:
        return [one(starts[0])]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, starts))


def joined(rows: Iterable[Row], features: int) -> ArrivalTable:
    """Return rows as a table."""
    found = list(rows)
    none = np.zeros(0, dtype=np.int32)
    return ArrivalTable(
        features=features,
        indptr=np.cumsum([0, *(len(row[0]) for row in found)]).astype(np.int64),
        feature=np.concatenate([row[0] for row in found] or [none]).astype(np.int32, copy=False),
        ms=np.concatenate([row[1] for row in found] or [none]).astype(np.int32, copy=False),
    )


@dataclass(frozen=True, eq=False)
class Nearest:
    """Who comes first, second, …: of n features the m earliest of the teams that count.

    Attributes
    ----------
    ms, team : int64[n, m]
        Milliseconds after the alarm and the team's row, earliest first, of equal times the lower
        row; `UNREACHED` and -1 where there are fewer.
    within : int64[n]
        How many teams come within the asked time.
    """

    ms: npt.NDArray[np.int64]
    team: npt.NDArray[np.int64]
    within: npt.NDArray[np.int64]


def nearest(
    table: ArrivalTable, counts: npt.NDArray[np.bool_], most: int, within_ms: int
) -> Nearest:
    """Find the earliest arrivals at every feature.

    Parameters
    ----------
    table
        One row for each team.
    counts : bool[k]
        Whether a team counts.
    most
        How many arrivals, at least 1.
    within_ms
        Inclusive.

    Notes
    -----
    A feature's list is kept sorted as rows are read, r entries in all: r * `most` steps, where
    sorting the r entries of a city takes half a second.
    """
    ms = np.full((table.features, most), UNREACHED, dtype=np.int64)
    team = np.full((table.features, most), -1, dtype=np.int64)
    within = np.zeros(table.features, dtype=np.int64)
    _insert(table.indptr, table.feature, table.ms, counts, within_ms, ms, team, within)
    return Nearest(ms, team, within)


@njit(cache=True, nogil=True)
def _insert(
    indptr: Any,
    feature: Any,
    times: Any,
    counts: Any,
    within_ms: int,
    ms: Any,
    team: Any,
    within: Any,
) -> None:
    most = ms.shape[1]
    for row in range(len(indptr) - 1):
        if not counts[row]:
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            one, at = feature[entry], times[entry]
            if at <= within_ms:
                within[one] += 1
            # Rows come in ascending order: an equal time stays behind what is there.
            place = most
            while place > 0 and at < ms[one, place - 1]:
                place -= 1
            if place == most:
                continue
            for later in range(most - 1, place, -1):
                ms[one, later] = ms[one, later - 1]
                team[one, later] = team[one, later - 1]
            ms[one, place] = at
            team[one, place] = row
