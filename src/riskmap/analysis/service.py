"""The straight line of an analysis: query -> snap -> search -> bands -> answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from shapely import MultiPolygon

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors, anchor
from riskmap.analysis.polygons import bands
from riskmap.analysis.reach import TEAM_FIELDS, ReachQuery, arrivals, profile_of, split_by_duty
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
from riskmap.analysis.store import layer_revisions, phases_of, read_layer, read_phases
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.db.city import City, read_city
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import InputError, UnprocessableError
from riskmap.roads.graphs import Graphs, Network
from riskmap.roads.load import profiles, roads_revision, speed_sources
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, LonLat


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
        self._lock = threading.Lock()
        self._anchors: dict[tuple[str, str], Anchors] = {}

    async def roads_state(self) -> dict[str, Any]:
        """Say which network is stored."""

        def read() -> dict[str, Any]:
            with self._database.read() as session:
                return {"revision": roads_revision(session), "profiles": profiles(session)}

        return await asyncio.to_thread(read)

    def warm_up(self) -> None:
        """Build or load the graphs, and compile the kernels, before the first caller waits."""
        with self._database.read() as session:
            if roads_revision(session) is None:
                return
            city = read_city(session)
            for graph in self._graphs.build_all(session, srid=city.local_srid):
                network = self._graphs.get(session, profile=graph.profile, srid=graph.srid)
                start = network.snapper.snap(graph.xy[:1], MAX_SNAP_M)
                bands(graph, search(graph, start, [0], 60_000), [60_000])

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
        with watch.stage("sql"), self._database.read() as session:
            city = read_city(session)
            query = query.checked(city.bbox)
            phases = query.phases(phases_of(read_phases(session), query.kind))
            network = self._network(session, city, phases.profile)
            sources = speed_sources(session, phases.profile)
            layers = self._catalog.with_role(Role.POPULATION, *COUNTED_ROLES)
            anchors = {layer.id: self._anchored(session, layer, network) for layer in layers}
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
                facts=_facts(network, sources, city),
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
        found: list[dict[str, Any]] = []
        with self._database.read() as session:
            city = read_city(session)
            check_place(query.place, city.bbox, "lon,lat")
            known = read_phases(session)
            default = self._network(session, city, phases_of(known, None).profile)
            place = _snap(default, (query.place,), "lon,lat")
            sources: list[str] = []
            for layer in self._catalog.with_role(Role.TEAM):
                kinds = self._anchored(session, layer, default).rows.fields.get("kind", [None])
                for profile in sorted({profile_of(known, kind) for kind in kinds}):
                    network = self._network(session, city, profile)
                    sources += speed_sources(session, profile)
                    teams = self._anchored(session, layer, network)
                    here = network.snapper.snap(network.to_local([query.place]), MAX_SNAP_M)
                    if not here.found.all():
                        continue
                    access_ms = int(np.ceil(here.distance_m[0] / OFF_ROAD_MPS * MS_PER_S))
                    with watch.stage("search"):
                        limit = round(query.minutes * 60 * MS_PER_S)
                        times = search(network.graph, here, [0], limit, reverse=True)
                    found += arrivals(teams, times, known, profile, query.minutes, access_ms)
        come, away = split_by_duty(found)
        return {
            "lon": query.place.lon,
            "lat": query.place.lat,
            "minutes": query.minutes,
            "snap_distance_m": round(float(place.distance_m[0]), 1),
            "teams": come,
            "unavailable": away,
            "off_road_mps": OFF_ROAD_MPS,
            "method": METHOD,
            **_facts(default, sorted(set(sources)), city),
        }

    def _network(self, session: ReadSession, city: City, profile: str) -> Network:
        known = profiles(session)
        if profile not in known:
            raise InputError(
                "response.profile", parameter="profile", value=profile, known=", ".join(known)
            )
        return self._graphs.get(session, profile=profile, srid=city.local_srid)

    def _anchored(self, session: ReadSession, layer: Layer, network: Network) -> Anchors:
        """Return the layer's anchors at the revision that the session sees."""
        revision = layer_revisions(session).get(layer.id, 0)
        key = (layer.id, network.graph.profile)
        kept = self._anchors.get(key)
        if kept is not None and kept.rows.revision == revision and kept.network is network:
            return kept
        names = [name for name in ("risk_level", layer.people) if name and layer.field(name)]
        if layer.role is Role.TEAM:
            names += [name for name in TEAM_FIELDS if layer.field(name) and name not in names]
        public = [name for name in names if not _restricted(layer, name)]
        made = anchor(read_layer(session, layer, revision, public), network)
        with self._lock:
            self._anchors[key] = made
        return made


def _restricted(layer: Layer, name: str) -> bool:
    found = layer.field(name)
    return found is None or found.restricted


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
