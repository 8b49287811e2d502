"""The coverage of whole layers: who comes first, second, third to every feature, and who is missed.

Every team is searched for by itself, once: filters of kind and neighbours, numbers of teams and
the difference that a neighbour makes are then a matter of counting rows.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.coverage import Teams, Way
from riskmap.analysis.coverage_places import Divisions, Lines, divisions_of, straight_lines
from riskmap.analysis.coverage_query import LayersQuery
from riskmap.analysis.coverage_rows import (
    Nearest,
    Progress,
    Scope,
    TeamRows,
    TeamStart,
    joined,
    nearest,
)
from riskmap.analysis.covering import ways_of
from riskmap.analysis.fields import fields_of
from riskmap.analysis.ground import Ground, Moment
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import LayerRows, read_layer
from riskmap.analysis.table import ArrivalTable, Row
from riskmap.catalog.spec import Role
from riskmap.errors import UnprocessableError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Network
from riskmap.roads.speeds import read_time_factors
from riskmap.units import MS_PER_S

# First, second, third: more only where k asks for more.
TOLD: Final = 3


@dataclass(frozen=True, eq=False)
class Covered:
    """The features of one layer, n of them, and who comes to them.

    Attributes
    ----------
    nearest
        Of the teams that count.
    ms : int64[n]
        When the k-th team is there.
    covered : bool[n]
        Whether that is in time.
    own, all : bool[n]
        Whether it would be in time without teams of neighbours, and with them.
    far : bool[n]
        No road is near.
    """

    anchors: Anchors
    nearest: Nearest
    ms: npt.NDArray[np.int64]
    covered: npt.NDArray[np.bool_]
    own: npt.NDArray[np.bool_]
    all: npt.NDArray[np.bool_]
    lines: Lines | None

    @property
    def rows(self) -> LayerRows:
        """The features."""
        return self.anchors.rows

    @property
    def far(self) -> npt.NDArray[np.bool_]:
        """Whether no road is near, bool[n]."""
        return self.anchors.far


@dataclass(frozen=True, eq=False)
class Found:
    """All that an answer tells of.

    Attributes
    ----------
    counts, outside : bool[k]
        Which teams count, and which are based outside the city's own divisions.
    no_road : bool[k]
        Which free teams no road is near to.
    """

    query: LayersQuery
    moment: Moment
    network: Network
    profiles: tuple[str, ...]
    teams: Teams
    counts: npt.NDArray[np.bool_]
    outside: npt.NDArray[np.bool_]
    no_road: npt.NDArray[np.bool_]
    divisions: Divisions
    layers: tuple[Covered, ...]
    people: Covered

    @property
    def within_ms(self) -> int:
        """The asked time in milliseconds."""
        return round(self.query.minutes * 60 * MS_PER_S)


class LayersCoverage:
    """Answers about whole layers for one database; threads may share it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.rows = TeamRows()
        self._lock = threading.Lock()
        self._divisions: tuple[Any, Divisions] | None = None
        self._local: list[tuple[Anchors, npt.NDArray[np.object_]]] = []

    def find(self, query: LayersQuery, watch: Stopwatch, progress: Progress | None = None) -> Found:
        """Find who comes to every feature of the asked layers.

        Raises
        ------
        InputError, NotFoundError, UnprocessableError
            A parameter cannot be; there is no such layer; no team is of the asked kind.
        UnavailableError
            There is no city or no road network yet.
        """
        ground, query = self._ground, query.checked()
        targets = query.targets(ground.catalog)
        with watch.stage("sql"):
            moment = ground.now()
            ground.check_kind(moment, query.kind)
            network = ground.network(moment, moment.default_profile)
            divisions = self._own_divisions(moment)
        with watch.stage("anchors"):
            wanted = [*targets, ground.catalog.population]
            teams, ways = ways_of(ground, moment, network, wanted, query.preset)
        free = teams.free & _of_kind(teams, query.kind)
        if query.kind is not None and not _of_kind(teams, query.kind).any():
            raise UnprocessableError("coverage.kind", parameter="kind", value=query.kind)
        with watch.stage("search"):
            starts = _starts(teams, ways, free)
            tables = self._tables(query, ways, teams, starts, progress)
        with watch.stage("count"):
            outside = divisions.outside(_bases(teams))
            counts = free if query.neighbours == "in" else free & ~outside
            covered = [
                self._covered(query, anchors, table, teams, (counts, free & ~outside, free))
                for anchors, table in zip(ways[0].targets, tables, strict=True)
            ]
        no_road = free & np.array([one is None for one in starts], dtype=bool)
        profiles = tuple(way.profile for way in ways)
        return Found(
            query, moment, network, profiles, teams, counts, outside, no_road, divisions,
            tuple(covered[:-1]), covered[-1],
        )  # fmt: skip

    def _tables(
        self,
        query: LayersQuery,
        ways: Sequence[Way],
        teams: Teams,
        starts: Sequence[TeamStart | None],
        progress: Progress | None,
    ) -> list[ArrivalTable]:
        """Return a table for each target layer, a row for each team, empty where it is not free."""
        nothing: Row = (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))
        rows: list[tuple[Row, ...]] = [(nothing,) * len(ways[0].targets)] * len(starts)
        limit_ms = round(query.horizon_minutes * 60 * MS_PER_S)
        for way in ways:
            mine = [
                row
                for row, start in enumerate(starts)
                if start is not None and teams.profile[row] == way.profile
            ]
            scope = self._scope(query, way, limit_ms)
            asked = [start for start in (starts[row] for row in mine) if start is not None]
            for row, found in zip(mine, self.rows.of(scope, asked, progress), strict=True):
                rows[row] = found
        return [
            joined((row[place] for row in rows), len(target.rows))
            for place, target in enumerate(ways[0].targets)
        ]

    def _scope(self, query: LayersQuery, way: Way, limit_ms: int) -> Scope:
        factors: Any = None
        graph: RoadGraph = way.network.graph
        if query.when is not None:
            with self._ground.database.read() as session:
                factors = read_time_factors(session)
            graph = self._ground.graph_at(way.network, query.when)
        # Anchors and graphs are compared by identity: they are made anew when they move.
        key = (way.network.graph, query.when, factors, limit_ms, *way.targets)
        return Scope(key, graph, way.targets, limit_ms)

    def _covered(
        self,
        query: LayersQuery,
        anchors: Anchors,
        table: ArrivalTable,
        teams: Teams,
        counted: tuple[npt.NDArray[np.bool_], ...],
    ) -> Covered:
        most, within_ms = max(TOLD, query.k), round(query.minutes * 60 * MS_PER_S)
        counting: dict[bytes, Nearest] = {}
        for one in counted:  # mostly the same teams: a city without neighbours counts once
            if one.tobytes() not in counting:
                counting[one.tobytes()] = nearest(table, one, most, within_ms)
        found, own, everybody = (counting[one.tobytes()] for one in counted)
        lines = None
        if anchors.rows.layer.role is not Role.POPULATION:
            lines = self._lines(anchors, teams, counted[0])
        return Covered(
            anchors, found, found.ms[:, query.k - 1], found.within >= query.k,
            own.within >= query.k, everybody.within >= query.k, lines,
        )  # fmt: skip

    def _lines(self, anchors: Anchors, teams: Teams, counts: npt.NDArray[np.bool_]) -> Lines:
        network, rows = anchors.network, np.flatnonzero(counts)
        bases = shapely.transform(_bases(teams)[rows], network.to_local)
        return straight_lines(self._local_shapes(anchors), bases, rows, network)

    def _local_shapes(self, anchors: Anchors) -> npt.NDArray[np.object_]:
        """Return a layer's shapes in metres, kept while its anchors are."""
        with self._lock:
            for one, shapes in self._local:
                if one is anchors:
                    return shapes
        found = shapely.transform(anchors.rows.shapes, anchors.network.to_local)
        with self._lock:
            self._local = [*self._local[-31:], (anchors, found)]
        return found

    def _own_divisions(self, moment: Moment) -> Divisions:
        layers = self._ground.catalog.with_role(Role.AREA)
        key = tuple((layer.id, moment.layer_revisions.get(layer.id, 0)) for layer in layers)
        with self._lock:
            kept = self._divisions
        if kept is None or kept[0] != key:
            with self._ground.database.read() as session:
                rows = [
                    read_layer(session, layer, revision, fields_of(layer))
                    for layer, (_, revision) in zip(layers, key, strict=True)
                ]
            kept = (key, divisions_of(rows))
            with self._lock:
                self._divisions = kept
        return kept[1]


def _of_kind(teams: Teams, kind: str | None) -> npt.NDArray[np.bool_]:
    found = [
        kind is None or one == kind
        for rows in teams.layers
        for one in rows.fields.get("kind", [None] * len(rows))
    ]
    return np.array(found, dtype=bool)


def _bases(teams: Teams) -> npt.NDArray[np.object_]:
    """Return where each team is based, shapely points in degrees."""
    parts = [rows.shapes for rows in teams.layers]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=object)


def _starts(
    teams: Teams, ways: Sequence[Way], free: npt.NDArray[np.bool_]
) -> list[TeamStart | None]:
    """Return where each team starts on the network it moves on; None: not free, or no road near."""
    way_of: dict[str, Way] = {way.profile: way for way in ways}
    found: list[TeamStart | None] = []
    for place, rows in enumerate(teams.layers):
        ends = {
            name: np.append(way.bases[place].first, len(way.bases[place].positions))
            for name, way in way_of.items()
        }
        for row in range(len(rows)):
            team = len(found)
            if not free[team]:
                found.append(None)
                continue
            profile = teams.profile[team]
            positions = way_of[profile].bases[place].positions
            some = np.arange(ends[profile][row], ends[profile][row + 1])
            some = some[positions.found[some]]
            start = TeamStart(positions.some(some), int(teams.start_ms[team]))
            found.append(start if len(some) else None)
    return found
