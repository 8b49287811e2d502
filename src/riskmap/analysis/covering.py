"""The straight line of coverage: all free teams start at once, kept until something moves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from riskmap.analysis.coverage import (
    Arrivals,
    CoverageQuery,
    Teams,
    Way,
    coverage,
    first_arrivals,
    teams_of,
)
from riskmap.analysis.ground import Ground, Moment, facts
from riskmap.analysis.preset_use import Used
from riskmap.analysis.response import METHOD
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.catalog.spec import Layer, Role
from riskmap.features.summary import RISK_ROLES
from riskmap.roads.graphs import Network


class Covering:
    """First arrivals of all teams everywhere, for the coverage of whole layers."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._lock = threading.Lock()
        self._kept: tuple[Any, list[Arrivals]] | None = None

    def coverage(self, query: CoverageQuery, watch: Stopwatch) -> dict[str, Any]:
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
        query = query.checked()
        with watch.stage("sql"):
            moment = self._ground.now()
            default = self._ground.network(moment, moment.default_profile)
        with watch.stage("anchors"):
            targets = [self._ground.catalog.population, *self._assessed_risks()]
            teams, ways = ways_of(self._ground, moment, default, targets)
        with watch.stage("search"):
            people, *risks = self._first_arrivals(teams, ways, moment)
        with watch.stage("count"):
            return {
                **coverage(query, teams, people, risks),
                "method": METHOD,
                **facts(default, moment, *(way.profile for way in ways)),
            }

    def _assessed_risks(self) -> list[Layer]:
        return [layer for layer in self._ground.catalog.with_role(*RISK_ROLES) if layer.assessed]

    def _first_arrivals(self, teams: Teams, ways: list[Way], moment: Moment) -> list[Arrivals]:
        """Return the arrivals of the same teams, features, network and phases, kept or new."""
        # Anchors are compared by identity: they are made anew when their layer or network moves.
        key = (*(one for way in ways for one in way.anchors), *moment.phases.items())
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, first_arrivals(teams, ways))
            return self._kept[1]


def ways_of(
    ground: Ground,
    moment: Moment,
    default: Network,
    targets: Sequence[Layer],
    preset: Used | None = None,
) -> tuple[Teams, list[Way]]:
    """Return the teams and every way in which one of them moves, the default one first.

    A change may be committed between two reads: then all is read again. Changes of a layer take
    longer than this does.
    """
    layers = ground.catalog.with_role(Role.TEAM)
    names = {layer.id for layer in (*layers, *targets)}
    while True:
        bases = ground.anchored(layers, default)
        teams = teams_of((bases[layer.id].rows for layer in layers), moment.phases, preset)
        ways = []
        others = sorted({*teams.profile[teams.free]} - {default.graph.profile})
        for profile in (default.graph.profile, *others):
            moving = ground.network(moment, profile)
            found = ground.anchored((*layers, *targets), moving)
            ways.append(
                Way(
                    moving,
                    [found[layer.id] for layer in layers],
                    [found[layer.id] for layer in targets],
                )
            )
        rows = [*teams.layers, *(one.rows for way in ways for one in way.anchors)]
        if len({(one.layer.id, one.revision) for one in rows}) == len(names):
            return teams, ways
