"""A scenario laid over the city: the same ground with other times and other teams.

Every question takes a `Ground`, so it answers for a changed one as it stands. Weights are those of
a copy, and edges keep their indices: where a feature or a team meets the network is found once,
on the network as it is. That is also what is meant: a team inside a flooded area does not set out
from some dry road a kilometre away, it cannot leave; what stands on a closed road is reached by
nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.anchors import Anchors, anchor
from riskmap.analysis.ground import Ground, Moment
from riskmap.analysis.reach import AWAY
from riskmap.analysis.response import METHOD_HOUR
from riskmap.analysis.scenario_store import FloodFactors
from riskmap.analysis.scenarios import Scenario, TeamRef
from riskmap.analysis.store import LayerRows
from riskmap.catalog.spec import Layer, Role
from riskmap.errors import InputError
from riskmap.features.summary import STATUS
from riskmap.i18n import say
from riskmap.roads.closing import touched_edges
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Network
from riskmap.roads.hours import at_hour
from riskmap.roads.snap import Positions, Snapper
from riskmap.roads.speeds import TimeFactors
from riskmap.units import UNREACHED

Warning_ = dict[str, Any]
_OFF: Final = "off"
_FIELDS: Final = frozenset(one.name for one in fields(Anchors))


def warning(key: str, **values: object) -> Warning_:
    """Return a warning for an answer: its code and both languages."""
    code = key.partition(".")[2]
    return {"code": code, "zh": say(key, "zh", **values), "en": say(key, "en", **values), **values}


@dataclass(frozen=True, slots=True)
class RoadFacts:
    """What the tables say that a scenario is laid over.

    Attributes
    ----------
    bridges : int64[b]
        Ids of the bridges near the flooded polygons: they stay dry.
    """

    flood: FloodFactors
    hours: TimeFactors
    bridges: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChangedNetwork(Network):
    """A network with a scenario's times.

    Attributes
    ----------
    base
        The network as it is: its snapper and its projection serve this one too.
    closed : bool[m]
        Edges that the scenario closes.
    slowed
        How many more it slows by water.
    """

    base: Network = field(kw_only=True)
    closed: npt.NDArray[np.bool_] = field(kw_only=True)
    slowed: int = field(kw_only=True)
    warnings: tuple[Warning_, ...] = field(kw_only=True, default=())

    @property
    def snapper(self) -> Snapper:
        """The base's: positions are those of the network as it is."""
        return self.base.snapper

    def to_local(self, lonlat: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Project degrees (n, 2) to metres (n, 2)."""
        return self.base.to_local(lonlat)

    def to_lonlat(self, xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Turn metres (n, 2) back to degrees (n, 2)."""
        return self.base.to_lonlat(xy)


def apply(scenario: Scenario, network: Network, facts: RoadFacts) -> ChangedNetwork:
    """Lay a scenario over a network; the network stays as it is.

    Times of an hour come first, then water slows (the slowest of several areas counts, whole
    milliseconds upward), then what is closed is closed in both directions.
    """
    base = network.graph
    graph, warnings = base, []
    if scenario.when is not None:
        graph = at_hour(graph, facts.hours, *scenario.when)
    closed = np.zeros(base.edge_count, dtype=bool)
    index = base.edge_index(np.array(scenario.closed_edges, dtype=np.int64))
    closed[index[index >= 0]] = True
    for row, shape in enumerate(scenario.closed_polygons):
        touched = _touched(network, shape)
        closed |= touched
        if not touched.any():
            warnings.append(warning("scenario.dry", parameter=f"closed_polygons[{row}]"))
    share = np.ones(base.edge_count)
    bridge = base.edge_index(facts.bridges)
    for row, flood in enumerate(scenario.flooded_polygons):
        touched = _touched(network, flood.shape)
        touched[bridge[bridge >= 0]] = False
        factor, told = facts.flood.find(base.profile, flood.depth_m)
        share[touched] = np.minimum(share[touched], factor)
        path = f"flooded_polygons[{row}]"
        if not touched.any():
            warnings.append(warning("scenario.dry", parameter=path))
        elif not told:
            named = {"profile": base.profile, "depth_m": flood.depth_m}
            warnings.append(warning("scenario.no_factor", parameter=path, **named))
    closed |= share == 0
    slowed = np.flatnonzero((share < 1) & ~closed)
    times = []
    for whole_ms in (graph.forward_ms, graph.backward_ms):
        ms = whole_ms.copy()
        slower = np.ceil(whole_ms[slowed] / share[slowed])
        ms[slowed] = np.where(
            whole_ms[slowed] == UNREACHED, UNREACHED, np.minimum(slower, UNREACHED - 1)
        )
        ms[closed] = UNREACHED
        times.append(ms)
    changed = graph.with_times(*times, revision=f"{base.revision}+{scenario.digest}")
    return ChangedNetwork(
        changed, base=network, closed=closed, slowed=len(slowed), warnings=tuple(warnings)
    )


def _touched(network: Network, shape: shapely.Geometry) -> npt.NDArray[np.bool_]:
    graph = network.graph
    local: Any = shapely.transform(shape, network.to_local)
    return touched_edges(graph.xy, graph.offsets, graph.grid, local)


class ChangedGround(Ground):
    """A ground with a scenario laid over it, at one moment; threads may share it.

    Attributes
    ----------
    scenario
        What is supposed; its roads and teams exist.
    told
        What answers say of it.
    """

    def __init__(
        self,
        base: Ground,
        scenario: Scenario,
        moment: Moment,
        facts: RoadFacts,
        told: Mapping[str, Any],
    ) -> None:
        super().__init__(base.database, base.catalog, base.graphs)
        self.base, self.scenario, self.told = base, scenario, told
        self._moment, self._facts = moment, facts
        self._changing = threading.Lock()
        self._networks: dict[int, ChangedNetwork] = {}
        self._teams: dict[int, tuple[Anchors, Anchors]] = {}

    def now(self) -> Moment:
        """Return the moment that the scenario was laid over."""
        return self._moment

    def network(self, moment: Moment, profile: str) -> Network:
        """Return the changed network of a profile; raises as `Ground.network`."""
        base = self.base.network(moment, profile)
        with self._changing:
            found = self._networks.get(id(base))
            if found is None:
                found = apply(self.scenario, base, self._facts)
                found = replace(found, stated=self._stated(found))
                self._networks[id(base)] = found
        return found

    def warn(self, said: Warning_) -> None:
        """Say something more in every answer."""
        with self._changing:
            self.told = {**self.told, "warnings": [*self.told.get("warnings", ()), said]}
            self._networks = {
                key: replace(one, stated=self._stated(one)) for key, one in self._networks.items()
            }
            self._teams.clear()

    def graph_at(self, network: Network, when: tuple[str, int] | None) -> RoadGraph:
        """Return the network's graph at an hour; None: that of the scenario, or free flow.

        Raises
        ------
        InputError
            Request and scenario each name an hour.
        """
        if when is not None and self.scenario.hour is not None:
            raise InputError("scenario.hour", parameter="hour", value=self.scenario.hour)
        return super().graph_at(network, when)

    def hour_facts(self, network: Network, when: tuple[str, int] | None) -> dict[str, Any]:
        """Return what an answer says of its hour: that of the scenario where it has one."""
        return super().hour_facts(network, when or self.scenario.when)

    def anchored(
        self, layers: Iterable[Layer], network: Network, moment: Moment | None = None
    ) -> dict[str, Anchors]:
        """Return where features stand: as they do, but for the scenario's teams."""
        base = network.base if isinstance(network, ChangedNetwork) else network
        found = self.base.anchored(layers, base, moment)
        return {name: self._changed(anchors, network) for name, anchors in found.items()}

    def _changed(self, anchors: Anchors, network: Network) -> Anchors:
        with self._changing:
            kept = self._teams.get(id(anchors))
            if kept is None:
                # The base's anchors are kept beside, so that no other gets their id.
                moved = replace(anchors, network=network)
                # What was found out about the positions holds for the same positions.
                moved.__dict__.update(
                    {name: one for name, one in anchors.__dict__.items() if name not in _FIELDS}
                )
                if anchors.rows.layer.role is Role.TEAM and self.scenario.changes_teams:
                    moved = changed_teams(self.scenario, moved)
                kept = self._teams[id(anchors)] = (anchors, moved)
            return kept[1]

    def _stated(self, network: ChangedNetwork) -> dict[str, Any]:
        when, method = self.scenario.when, {}
        if when is not None:
            # Answers put what a network states behind their own words.
            method = {"method": METHOD_HOUR, **self.hour_facts(network, when)}
        return {
            **method,
            "scenario": {
                **self.told,
                "digest": self.scenario.digest,
                "base_network_revision": network.base.graph.revision,
                "edges_closed": int(network.closed.sum()),
                "edges_slowed": network.slowed,
                "warnings": [*self.told.get("warnings", ()), *network.warnings],
            },
        }


def cut_off(ground: ChangedGround) -> tuple[int, int]:
    """Return how many free teams stand on a closed road and cannot leave, and how many are free."""
    moment = ground.now()
    network = ground.network(moment, moment.default_profile)
    if not isinstance(network, ChangedNetwork):
        return 0, 0
    cut = free = 0
    for anchors in ground.anchored(ground.catalog.with_role(Role.TEAM), network).values():
        rows, edge = anchors.rows, anchors.positions.edge
        if not len(rows):
            continue
        states = rows.fields.get(STATUS[Role.TEAM], [None] * len(rows))
        able = np.array([state not in AWAY for state in states], dtype=bool)
        share = anchors.positions.fraction
        # At a junction the other roads may be open.
        held = (edge >= 0) & network.closed[edge] & (share > 0) & (share < 1)
        shut = np.logical_and.reduceat(held, anchors.first)
        free += int(able.sum())
        cut += int((able & shut).sum())
    return cut, free


def changed_teams(scenario: Scenario, anchors: Anchors) -> Anchors:
    """Return a layer of teams as a scenario has it; the layer as it is stays.

    Teams keep their order, so that of equally early ones the same is named; those that are added
    come last, with ids -1, -2, … .
    """
    rows, layer = anchors.rows, anchors.rows.layer.id
    place = {int(one): row for row, one in enumerate(rows.ids.tolist())}
    # A team may have been deleted since the scenario was compared with the layer.
    removed = [place[one.id] for one in scenario.teams_removed if _is(one, layer, place)]
    moved = {
        place[one.team.id]: one.place for one in scenario.teams_moved if _is(one.team, layer, place)
    }
    added = [one for one in scenario.teams_added if one.layer == layer]
    off = [place[one.id] for one in scenario.teams_off_duty if _is(one, layer, place)]
    kept = np.setdiff1d(np.arange(len(rows)), removed)

    shapes = rows.shapes.copy()
    for row, lonlat in moved.items():
        shapes[row] = shapely.Point(lonlat)
    points = np.array([shapely.Point(one.place) for one in added], dtype=object)
    told = {name: _kept(values, kept) for name, values in rows.fields.items()}
    if off:
        states = list(rows.fields.get(STATUS[Role.TEAM], [None] * len(rows)))
        for row in off:
            states[row] = _OFF
        told[STATUS[Role.TEAM]] = _kept(states, kept)
    for name, values in told.items():
        values += [one.fields.get(name) for one in added]
    ids = np.concatenate([rows.ids[kept], -1 - np.arange(len(added))]).astype(np.int64)
    shapes = np.concatenate([shapes[kept], points])
    changed = LayerRows(rows.layer, rows.revision, ids, shapes, told)

    # Where each stands: as before, but for those that are snapped anew.
    places = [*moved.values(), *(one.place for one in added)]
    nothing = LayerRows(
        rows.layer,
        rows.revision,
        np.zeros(len(places), dtype=np.int64),
        np.array([shapely.Point(one) for one in places], dtype=object),
        {},
    )
    fresh = anchor(nothing, anchors.network)
    before = anchors.positions
    counts = np.diff(np.append(anchors.first, len(before)))
    owner = np.repeat(np.arange(len(rows)), counts)
    stays = ~np.isin(owner, [*removed, *moved])
    # By the row of before, the added ones behind all of them.
    key = np.concatenate(
        [owner[stays], np.array(list(moved), dtype=np.int64), len(rows) + np.arange(len(added))]
    )
    pick = np.concatenate([np.flatnonzero(stays), len(before) + np.arange(len(places))])
    order = np.argsort(key, kind="stable")
    first = np.unique(key[order], return_index=True)[1]
    return replace(
        anchors,
        rows=changed,
        positions=_picked((before, fresh.positions), pick[order]),
        access_ms=np.concatenate([anchors.access_ms, fresh.access_ms])[pick[order]],
        first=first.astype(np.int64),
    )


def _is(team: TeamRef, layer: str, known: Mapping[int, int]) -> bool:
    return team.layer == layer and team.id in known


def _kept(values: Sequence[Any], kept: npt.NDArray[np.int64]) -> list[Any]:
    return [values[row] for row in kept.tolist()]


def _picked(parts: Sequence[Positions], rows: npt.NDArray[np.int64]) -> Positions:
    return Positions(
        edge=np.concatenate([part.edge for part in parts])[rows],
        fraction=np.concatenate([part.fraction for part in parts])[rows],
        distance_m=np.concatenate([part.distance_m for part in parts])[rows],
        xy=np.concatenate([part.xy for part in parts])[rows],
    )
