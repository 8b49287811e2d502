"""What every analysis stands on: the city of now, its networks, and where features meet them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from riskmap.analysis.anchors import MAX_SNAP_M, Anchors, anchor
from riskmap.analysis.fields import fields_of
from riskmap.analysis.store import (
    Phases,
    layer_revisions,
    phases_by_kind,
    phases_of,
    read_layer,
    read_now,
)
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.db.city import City, city_of
from riskmap.db.sessions import Database, ReadSession
from riskmap.errors import InputError, UnavailableError, UnprocessableError
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Graphs, Network, Networks
from riskmap.roads.hours import at_hour, hour_sources
from riskmap.roads.load import revision_name
from riskmap.roads.snap import Positions
from riskmap.roads.speeds import read_time_factors
from riskmap.units import LonLat


@dataclass(frozen=True, slots=True)
class Moment:
    """What one session tells of city, phases and roads: kept when it is closed.

    Attributes
    ----------
    phases
        By kind of team; see `riskmap.analysis.store.phases_of`.
    revision
        Name of the stored network, None when there is none.
    speed_sources
        Where the speeds of each profile come from; its keys are all the profiles.
    layer_revisions
        Last revision of each layer that has one.
    networks
        What to answer with: of one revision, which may be older while a newer one is prepared.
    """

    city: City
    phases: Mapping[str, Phases]
    revision: str | None
    speed_sources: Mapping[str, list[str]]
    layer_revisions: Mapping[str, int]
    networks: Networks | None = None

    @property
    def pending(self) -> bool:
        """Whether a newer network than that of the answer is being prepared."""
        if self.networks is None or self.revision is None:
            return False
        return self.networks.outdated(self.revision)

    @property
    def default_profile(self) -> str:
        """The profile of a bare point."""
        return phases_of(self.phases, None).profile

    def check_profile(self, profile: str) -> None:
        """Refuse a profile that there is not.

        Raises
        ------
        InputError
            Names the parameter `profile` and lists those there are.
        """
        if profile not in self.speed_sources:
            raise InputError(
                "response.profile",
                parameter="profile",
                value=profile[:40],
                known=", ".join(self.speed_sources),
            )


def read_moment(session: ReadSession, catalog: Catalog) -> Moment:
    """Read what an analysis needs to know before it computes.

    Raises
    ------
    UnavailableError
        There is no city yet.
    """
    row = read_now(session, catalog.values())
    if row.city is None:
        raise UnavailableError("city.none")
    sources: dict[str, list[str]] = row.speed_sources or {}
    return Moment(
        city=city_of(row.city),
        phases=phases_by_kind(row.phases or ()),
        revision=revision_name(row),
        speed_sources=dict(sorted(sources.items())),
        layer_revisions=row.layer_revisions or {},
    )


class Ground:
    """The networks and anchors of one database; threads may share it.

    Anchors of layers are kept for the revision of layer and network: finding them again for
    every click would cost more than everything else.
    """

    def __init__(self, database: Database, catalog: Catalog, graphs: Graphs) -> None:
        self.database, self.catalog, self.graphs = database, catalog, graphs
        self._anchoring = threading.Lock()
        self._anchors: dict[tuple[str, str], Anchors] = {}
        self._hour: tuple[Any, RoadGraph] | None = None

    def now(self) -> Moment:
        """Read city, phases and the facts of the roads, and choose the networks to answer with."""
        with self.database.read() as session:
            moment = read_moment(session, self.catalog)
        if moment.revision is None:
            return moment
        networks = self.graphs.serving(moment.revision, srid=moment.city.local_srid)
        return replace(moment, networks=networks)

    def network(self, moment: Moment, profile: str) -> Network:
        """Return the network of a profile, of one revision for all profiles of an answer.

        Raises
        ------
        InputError
            There is no such profile.
        UnavailableError
            There are no roads yet, or their graph is still being built.
        """
        moment.check_profile(profile)
        if moment.networks is None:
            raise UnavailableError("roads.none")
        return moment.networks.get(profile)

    def graph_at(self, network: Network, when: tuple[str, int] | None) -> RoadGraph:
        """Return the network's graph with the speeds of an hour; None: those of free flow.

        Raises
        ------
        InputError
            There is no such kind of day or hour.
        """
        if when is None:
            return network.graph
        with self.database.read() as session:
            factors = read_time_factors(session)
        key = (network.graph, when, factors)
        if self._hour is None or self._hour[0] != key:
            self._hour = (key, at_hour(network.graph, factors, *when))
        return self._hour[1]

    def hour_facts(self, network: Network, when: tuple[str, int] | None) -> dict[str, Any]:
        """Return what an answer says of its hour: null is free flow, at no hour at all."""
        if when is None:
            return {"hour": None}
        with self.database.read() as session:
            factors = read_time_factors(session)
        sources = hour_sources(network.graph, factors, *when)
        return {"hour": {"day_type": when[0], "hour": when[1], "factor_source": sources}}

    def check_kind(self, moment: Moment, kind: str | None) -> None:
        """Refuse a kind of team that nobody knows: a typo would get the default phases.

        Raises
        ------
        InputError
            Names the parameter `kind` and lists those there are.
        """
        kinds = set(moment.phases)
        for layer in self.catalog.with_role(Role.TEAM):
            field = layer.field("kind")
            kinds |= {str(value.code) for value in field.values} if field else set()
        if kind is not None and kind not in kinds:
            raise InputError(
                "response.kind", parameter="kind", value=kind[:40], known=", ".join(sorted(kinds))
            )

    def anchored(
        self, layers: Iterable[Layer], network: Network, moment: Moment | None = None
    ) -> dict[str, Anchors]:
        """Return the layers' anchors at the revisions of now; only what moved is read again.

        With a moment, what was read then is new enough: an answer need not ask twice.

        Who finds that something moved while another thread reads it waits for that one, without a
        connection: twice the work on the same cores would take both of them twice as long.
        """
        wanted = tuple(layers)
        if moment is not None:
            kept, moved = self._kept(moment.layer_revisions, wanted, network)
        else:
            with self.database.read() as session:
                kept, moved = self._kept(layer_revisions(session, wanted), wanted, network)
        if not moved:
            return kept
        with self._anchoring:
            with self.database.read() as session:
                revisions = layer_revisions(session, wanted)
                kept, moved = self._kept(revisions, wanted, network)
                fresh = [
                    read_layer(session, layer, revisions.get(layer.id, 0), fields_of(layer))
                    for layer in moved
                ]
            for rows in fresh:
                found = anchor(rows, network)
                kept[rows.layer.id] = self._anchors[rows.layer.id, network.graph.profile] = found
        return kept

    def _kept(
        self, revisions: Mapping[str, int], layers: tuple[Layer, ...], network: Network
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


def snap_places(network: Network, places: tuple[LonLat, ...], parameter: str) -> Positions:
    """Snap the asked places.

    Raises
    ------
    UnprocessableError
        Names the place that has no road near.
    """
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


def facts(network: Network, moment: Moment, *profiles_: str) -> dict[str, Any]:
    """Return what every answer says of its network: revision, where speeds come from.

    The sources are those of the given profiles, or of the network's own.
    """
    named = profiles_ or (network.graph.profile,)
    return {
        "network_revision": network.graph.revision,
        # The roads were changed: the same question will soon be answered with a newer revision.
        "network_pending": moment.pending,
        "speed_source": sorted({s for name in named for s in moment.speed_sources[name]}),
        "synthetic": moment.city.synthetic,
        **network.stated,
    }
