"""The straight line of an analysis: query -> snap -> search -> bands -> answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from shapely import MultiPolygon

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors, anchor
from riskmap.analysis.coverage import (
    Arrivals,
    CoverageQuery,
    Teams,
    Way,
    coverage,
    first_arrivals,
    teams_of,
)
from riskmap.analysis.polygons import bands
from riskmap.analysis.reach import TEAM_FIELDS, ReachQuery, arrivals, split_by_duty
from riskmap.analysis.response import (
    COUNTED_ROLES,
    MAX_MINUTES,
    METHOD,
    ResponseQuery,
    bands_geojson,
    check_place,
    travel_limits_ms,
)
from riskmap.analysis.search import search
from riskmap.analysis.store import (
    Phases,
    layer_revisions,
    phases_of,
    read_layer,
    read_phases,
)
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.db.city import City, find_city, read_city
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import InputError, UnprocessableError
from riskmap.features.summary import OCCUPANCY, RISK_ROLES, STATUS, public
from riskmap.roads.graph import build_graph
from riskmap.roads.graphs import Graphs, Network
from riskmap.roads.load import profiles, roads_revision, speed_sources
from riskmap.roads.snap import Positions, Snapper
from riskmap.units import MS_PER_S, WEB_MERCATOR, LonLat

log = logging.getLogger("riskmap")


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by stage, for Server-Timing and the benchmarks."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what a block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1000

    def header(self) -> str:
        """Return it as a Server-Timing header."""
        return ", ".join(f"{name};dur={ms:.1f}" for name, ms in self.ms.items())


class AnalysisService:
    """Answers for one database; threads may share it.

    Anchors of layers are kept for the revision of layer and network: finding them again for
    every click would cost more than everything else.
    """

    def __init__(self, database: Database, catalog: Catalog, graphs: Graphs) -> None:
        self._database, self._catalog, self._graphs = database, catalog, graphs
        self._anchoring = threading.Lock()
        self._anchors: dict[tuple[str, str], Anchors] = {}
        self._covering = threading.Lock()
        self._covered: tuple[Any, list[Arrivals]] | None = None

    def roads_state(self) -> dict[str, Any]:
        """Say which network is stored."""
        with self._database.read() as session:
            return {"revision": roads_revision(session), "profiles": profiles(session)}

    def warm_up(self) -> None:
        """Compile the kernels and make the graphs ready, before the first caller waits.

        The kernels are compiled on a network of one road, so that a service that starts empty
        answers quickly once its roads are there.
        """
        graph = build_graph(
            revision="warm-up",
            profile="warm-up",
            srid=WEB_MERCATOR,
            edge_id=[1],
            from_node=[1],
            to_node=[2],
            xy=[[0.0, 0.0], [100.0, 0.0]],
            offsets=[0, 2],
            length_m=[100.0],
            forward_ms=[10_000],
            backward_ms=[10_000],
        )
        start = Snapper(graph).snap(graph.xy[:1], MAX_SNAP_M)
        for reverse in (False, True):
            times = search(graph, start, [0], 60_000, reverse=reverse)
            times.at(start)
            bands(graph, times, [60_000])
        with self._database.read() as session:
            city = find_city(session)
        if city is not None:
            for ready in self._graphs.build_all(srid=city.local_srid):
                log.info("road graph ready: %s, %d junctions", ready.profile, ready.node_count)
            self._warm_up_anchors()

    def _warm_up_anchors(self) -> None:
        """Find where the features stand, which takes seconds in a large city."""
        with self._database.read() as session:
            city, known = read_city(session), read_phases(session)
            profile = phases_of(known, None).profile
            facts = _read_facts(session, profile)
        network = self._graphs.get(facts.revision, profile=profile, srid=city.local_srid)
        self._anchored(self._catalog.with_role(Role.POPULATION, *COUNTED_ROLES), network)
        self.coverage(CoverageQuery())

    def circle(self, query: ResponseQuery, watch: Stopwatch | None = None) -> dict[str, Any]:
        """Compute response circles as a GeoJSON FeatureCollection.

        Raises
        ------
        InputError
            A parameter cannot be, or (422) a start has no road near.
        UnavailableError
            There is no city or no road network yet.
        """
        watch = watch or Stopwatch()
        with watch.stage("sql"):
            with self._database.read() as session:
                city = read_city(session)
                query = query.checked(city.bbox)
                known = read_phases(session)
                self._check_kind(known, query.kind)
                phases = query.phases(phases_of(known, query.kind))
                facts = _read_facts(session, phases.profile)
            network = self._graphs.get(facts.revision, profile=phases.profile, srid=city.local_srid)
            layers = self._catalog.with_role(Role.POPULATION, *COUNTED_ROLES)
            anchors = self._anchored(layers, network)
        limits_ms = travel_limits_ms(query, phases)
        with watch.stage("snap"):
            starts = _snap(network, query.starts, "points")
        with watch.stage("search"):
            start_ms = np.zeros(len(starts), dtype=np.int32)
            times = search(network.graph, starts, start_ms, max(0, *limits_ms))
        with watch.stage("polygon"):
            # Bands that the phases leave no time for are empty, and two that round to the same
            # millisecond are one drawing: `bands` wants ascending limits from 0.
            feasible = sorted({limit for limit in limits_ms if limit >= 0}) or [0]
            drawn = bands(network.graph, times, feasible, off_road_mps=OFF_ROAD_MPS)
            shapes = dict(zip(feasible, drawn.polygons, strict=True))
        with watch.stage("count"):
            return bands_geojson(
                query=query,
                phases=phases,
                limits_ms=limits_ms,
                shapes=[shapes[ms] if ms >= 0 else MultiPolygon() for ms in limits_ms],
                cell_m=drawn.cell_m,
                times=times,
                network=network,
                anchors=anchors,
                population=self._catalog.population.id,
                facts=_facts(network, facts.speed_sources, city),
            )

    def reach(self, query: ReachQuery, watch: Stopwatch | None = None) -> dict[str, Any]:
        """List the teams that reach a place in time, those who cannot come apart.

        Raises
        ------
        InputError
            A parameter cannot be, or (422) the place has no road near.
        UnavailableError
            There is no city or no road network yet.
        """
        watch = watch or Stopwatch()
        if not 0 < query.minutes <= MAX_MINUTES:
            raise InputError(
                "response.minutes", parameter="minutes", value=query.minutes, most=MAX_MINUTES
            )
        with self._database.read() as session:
            city = read_city(session)
            check_place(query.place, city.bbox, "lon,lat")
            known = read_phases(session)
            names = sorted({phases.profile for phases in known.values()})
            facts = {profile: _read_facts(session, profile) for profile in names}
        networks = {
            profile: self._graphs.get(one.revision, profile=profile, srid=city.local_srid)
            for profile, one in facts.items()
        }
        default = networks[phases_of(known, None).profile]
        place = _snap(default, (query.place,), "lon,lat")
        limit_ms = round(query.minutes * 60 * MS_PER_S)
        layers = self._catalog.with_role(Role.TEAM)
        found: list[dict[str, Any]] = []
        for profile, network in networks.items():
            # The place may be out of reach for one way of moving and not for another.
            here = network.snapper.snap(network.to_local([query.place]), MAX_SNAP_M)
            if not here.found.all():
                continue
            access_ms = int(np.ceil(here.distance_m[0] / OFF_ROAD_MPS * MS_PER_S))
            with watch.stage("search"):
                times = search(network.graph, here, [0], limit_ms, reverse=True)
            for teams in self._anchored(layers, network).values():
                found += arrivals(teams, times, known, profile, query.minutes, access_ms)
        come, away = split_by_duty(found)
        sources = sorted({source for one in facts.values() for source in one.speed_sources})
        return {
            "lon": query.place.lon,
            "lat": query.place.lat,
            "minutes": query.minutes,
            "snap_distance_m": round(float(place.distance_m[0]), 1),
            "teams": come,
            "unavailable": away,
            "off_road_mps": OFF_ROAD_MPS,
            "method": METHOD,
            **_facts(default, sources, city),
        }

    def coverage(self, query: CoverageQuery, watch: Stopwatch | None = None) -> dict[str, Any]:
        """Say which share of dangers and people the free teams reach in time, and whom they miss.

        The arrivals are kept until a layer, the network or the phases move; other minutes of the
        same arrivals cost no search.

        Raises
        ------
        InputError
            A parameter cannot be.
        UnavailableError
            There is no city or no road network yet.
        """
        watch, query = watch or Stopwatch(), query.checked()
        with watch.stage("sql"), self._database.read() as session:
            city, known = read_city(session), read_phases(session)
            profiles_ = sorted({phases.profile for phases in known.values()})
            facts = {profile: _read_facts(session, profile) for profile in profiles_}

        def network(profile: str) -> Network:
            revision = facts[profile].revision
            return self._graphs.get(revision, profile=profile, srid=city.local_srid)

        default = network(phases_of(known, None).profile)
        with watch.stage("anchors"):
            teams, ways = self._ways(known, default, network)
        with watch.stage("search"):
            people, *risks = self._first_arrivals(teams, ways, known)
        with watch.stage("count"):
            sources = sorted({s for way in ways for s in facts[way.profile].speed_sources})
            return {
                **coverage(query, teams, people, risks),
                "method": METHOD,
                **_facts(default, sources, city),
            }

    def _ways(
        self, known: dict[str, Phases], default: Network, network: Callable[[str], Network]
    ) -> tuple[Teams, list[Way]]:
        """Return the teams and every way in which one of them moves, all of the same revisions.

        A change may be committed between two reads: then all is read again. Changes of a layer
        take longer than this does.
        """
        layers = self._catalog.with_role(Role.TEAM)
        targets = [self._catalog.population, *self._assessed_risks()]
        while True:
            bases = self._anchored(layers, default)
            teams = teams_of((bases[layer.id].rows for layer in layers), known)
            ways = []
            for profile in sorted({*teams.profile[teams.free], default.graph.profile}):
                moving = network(profile)
                found = self._anchored((*layers, *targets), moving)
                ways.append(
                    Way(
                        moving,
                        [found[layer.id] for layer in layers],
                        [found[layer.id] for layer in targets],
                    )
                )
            rows = [*teams.layers, *(one.rows for way in ways for one in way.anchors)]
            if len({(one.layer.id, one.revision) for one in rows}) == len(layers) + len(targets):
                return teams, ways

    def _assessed_risks(self) -> list[Layer]:
        return [layer for layer in self._catalog.with_role(*RISK_ROLES) if layer.assessed]

    def _first_arrivals(
        self, teams: Teams, ways: list[Way], known: dict[str, Phases]
    ) -> list[Arrivals]:
        """Return the arrivals of the same teams, features, network and phases, kept or new."""
        # Anchors are compared by identity: they are made anew when their layer or network moves.
        key = (*(one for way in ways for one in way.anchors), *known.items())
        with self._covering:
            if self._covered is None or self._covered[0] != key:
                self._covered = (key, first_arrivals(teams, ways))
            return self._covered[1]

    def _check_kind(self, known: dict[str, Phases], kind: str | None) -> None:
        """Refuse a kind of team that nobody knows: a typo would get the default phases."""
        kinds = set(known)
        for layer in self._catalog.with_role(Role.TEAM):
            field_ = layer.field("kind")
            kinds |= {str(value.code) for value in field_.values} if field_ else set()
        if kind is not None and kind not in kinds:
            raise InputError(
                "response.kind", parameter="kind", value=kind[:40], known=", ".join(sorted(kinds))
            )

    def _anchored(self, layers: Iterable[Layer], network: Network) -> dict[str, Anchors]:
        """Return the layers' anchors at the revisions of now; only what moved is read again.

        Who finds that something moved while another thread reads it waits for that one, without a
        connection: twice the work on the same cores would take both of them twice as long.
        """
        wanted = tuple(layers)
        with self._database.read() as session:
            kept, moved = self._kept(layer_revisions(session, wanted), wanted, network)
        if not moved:
            return kept
        with self._anchoring:
            with self._database.read() as session:
                revisions = layer_revisions(session, wanted)
                kept, moved = self._kept(revisions, wanted, network)
                fresh = [
                    read_layer(session, layer, revisions.get(layer.id, 0), _public(layer))
                    for layer in moved
                ]
            for rows in fresh:
                found = anchor(rows, network)
                kept[rows.layer.id] = self._anchors[rows.layer.id, network.graph.profile] = found
        return kept

    def _kept(
        self, revisions: dict[str, int], layers: tuple[Layer, ...], network: Network
    ) -> tuple[dict[str, Anchors], list[Layer]]:
        """Return the anchors that still hold, and the layers that moved."""
        kept: dict[str, Anchors] = {}
        moved: list[Layer] = []
        for layer in layers:
            found = self._anchors.get((layer.id, network.graph.profile))
            current = revisions.get(layer.id, 0)
            if found and found.rows.revision == current and found.network is network:
                kept[layer.id] = found
            else:
                moved.append(layer)
        return kept, moved


@dataclass(frozen=True, slots=True)
class _RoadFacts:
    """What a session tells of the roads: kept when it is closed."""

    revision: str | None
    speed_sources: list[str]


def _read_facts(session: ReadSession, profile: str) -> _RoadFacts:
    known = profiles(session)
    if profile not in known:
        raise InputError(
            "response.profile", parameter="profile", value=profile[:40], known=", ".join(known)
        )
    return _RoadFacts(roads_revision(session), speed_sources(session, profile))


def _public(layer: Layer) -> list[str]:
    """Return the fields that the analyses read of a layer: public ones only."""
    names = ["risk_level", layer.people]
    if layer.role is Role.TEAM:
        names += TEAM_FIELDS
    elif layer.role is Role.SHELTER:
        names += (STATUS[layer.role], OCCUPANCY)
    elif layer.role in RISK_ROLES:
        names += ("name", "name_en")
    return [name for name in dict.fromkeys(names) if name and public(layer, name)]


def _snap(network: Network, places: tuple[LonLat, ...], parameter: str) -> Positions:
    """Snap the asked places, or say which of them has no road near."""
    found = network.snapper.snap(network.to_local(places), MAX_SNAP_M)
    for row in np.flatnonzero(~found.found):
        name = parameter if len(places) == 1 else f"{parameter}[{row}]"
        raise UnprocessableError(
            "response.far",
            parameter=name,
            lon=places[row].lon,
            lat=places[row].lat,
            most=round(MAX_SNAP_M),
        )
    return found


def _facts(network: Network, sources: list[str], city: City) -> dict[str, Any]:
    return {
        "network_revision": network.graph.revision,
        "speed_source": sources,
        "synthetic": city.synthetic,
    }
