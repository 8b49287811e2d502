"""What a scenario changes: who is newly out of reach, newly in reach, and how much later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.changed import ChangedNetwork
from riskmap.analysis.coverage import (
    LIMIT_MS,
    Arrivals,
    CoverageQuery,
    Teams,
    Way,
    first_arrivals,
)
from riskmap.analysis.covering import ways_of
from riskmap.analysis.ground import Ground, Moment, facts
from riskmap.analysis.response import METHOD, people_in
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import LayerRows
from riskmap.features.summary import RISK_ROLES
from riskmap.units import MS_PER_S, UNREACHED

Bools = npt.NDArray[np.bool_]
KINDS: Final = ("out_of_reach", "in_reach", "later", "earlier")
_NAMES: Final = ("name", "name_en")
_UNASSESSED: Final = 9


@dataclass(frozen=True, eq=False)
class Outcome:
    """First arrivals at the population and at every risk layer, on one ground."""

    moment: Moment
    teams: Teams
    ways: list[Way]
    people: Arrivals
    risks: list[Arrivals]

    @property
    def all(self) -> list[Arrivals]:
        """Those at the population, then those at the risk layers."""
        return [self.people, *self.risks]

    def facts(self) -> dict[str, Any]:
        """Say which network and which teams it stands on."""
        default = next(
            way.network for way in self.ways if way.profile == self.moment.default_profile
        )
        free = int(self.teams.free.sum())
        return {
            **facts(default, self.moment, *(way.profile for way in self.ways)),
            "teams": {"available": free, "away": len(self.teams.free) - free},
        }


def outcome(ground: Ground, moment: Moment) -> Outcome:
    """Find who is first everywhere, for the free teams of a ground."""
    default = ground.network(moment, moment.default_profile)
    risks = [layer for layer in ground.catalog.with_role(*RISK_ROLES) if layer.assessed]
    teams, ways = ways_of(ground, moment, default, [ground.catalog.population, *risks])
    people, *others = first_arrivals(teams, ways)
    return Outcome(moment, teams, ways, people, others)


def compare(
    base: Ground, changed: Ground, query: CoverageQuery, watch: Stopwatch
) -> dict[str, Any]:
    """Compare the coverage of a city with that of a scenario.

    Returns
    -------
    dict
        By layer how many are newly out of reach, newly in reach, later and earlier; and those
        features one by one, the gravest first, at most `limit` of each.

    Raises
    ------
    InputError
        A parameter cannot be.
    UnavailableError
        There is no city or no road network yet.
    """
    query = query.checked()
    moment = changed.now()  # one for both: a network that moves meanwhile is no effect either
    while True:
        with watch.stage("base"):
            before = outcome(base, moment)
        with watch.stage("scenario"):
            after = outcome(changed, moment)
        # Features that were edited in between are no effect of the scenario: both are asked again.
        if all(one.rows is other.rows for one, other in zip(before.all, after.all, strict=True)):
            break
    within_ms = round(query.minutes * 60 * MS_PER_S)
    layers: dict[str, Any] = {}
    lists: dict[str, list[tuple[Any, ...]]] = {name: [] for name in KINDS}
    population, *risks = changes(before, after, within_ms)
    for place, change in enumerate(risks):
        layers[change.rows.layer.id] = change.summary()
        for name in KINDS:
            for row in np.flatnonzero(change.kind(name)).tolist():
                # The gravest level first (unassessed last), then who is hit hardest.
                level = int(change.rows.level[row]) or _UNASSESSED
                lists[name].append((level, -abs(int(change.later_ms[row])), place, row))
    return {
        "minutes": query.minutes,
        "method": METHOD,
        "base": before.facts(),
        **after.facts(),
        "population": population.summary(),
        "layers": layers,
        "counts": {name: len(found) for name, found in lists.items()},
        **{
            name: [
                risks[place].feature(row, before.teams, after.teams)
                for _, _, place, row in sorted(found)[: query.limit]
            ]
            for name, found in lists.items()
        },
        "limit_s": LIMIT_MS // MS_PER_S,
    }


@dataclass(frozen=True, eq=False)
class Change:
    """First arrivals at the n features of a layer, before and after.

    A feature is in reach when it is reached within the asked minutes. The kinds exclude each
    other: who was in reach and is not; who was not and is; who is on the same side as before but
    is reached later or earlier (past the minutes also: no more, or at all).

    Attributes
    ----------
    anchors
        Where the features meet the network of the scenario.
    """

    before: Arrivals
    after: Arrivals
    within_ms: int
    anchors: Anchors

    @property
    def rows(self) -> LayerRows:
        """The features."""
        return self.after.rows

    @property
    def later_ms(self) -> npt.NDArray[np.int64]:
        """How much later each is reached, int64[n], below 0 for earlier."""
        return self.after.ms - self.before.ms

    def kind(self, name: str) -> Bools:
        """Return which features a kind of change has happened to, bool[n]."""
        was, is_ = self.before.ms <= self.within_ms, self.after.ms <= self.within_ms
        found: Bools = {
            "out_of_reach": was & ~is_,
            "in_reach": ~was & is_,
            "later": (was == is_) & (self.later_ms > 0),
            "earlier": (was == is_) & (self.later_ms < 0),
        }[name]
        return found

    def summary(self) -> dict[str, Any]:
        """Count the features and, where the layer knows them, the people."""
        was, is_ = self.before.ms <= self.within_ms, self.after.ms <= self.within_ms
        timed = (self.before.ms < UNREACHED) & (self.after.ms < UNREACHED) & (self.later_ms > 0)
        later_s = self.later_ms[timed] / MS_PER_S
        found: dict[str, Any] = {
            "count": len(self.rows),
            "covered_base": int(was.sum()),
            "covered": int(is_.sum()),
            **{name: int(self.kind(name).sum()) for name in KINDS},
            # Of those reached both before and after; the others have no difference.
            "later_s_mean": round(float(later_s.mean()), 1) if len(later_s) else None,
            "later_s_max": float(later_s.max()) if len(later_s) else None,
        }
        if self.rows.layer.people is not None:
            found["people"] = {
                "covered_base": people_in(self.rows, was),
                "covered": people_in(self.rows, is_),
                **{name: people_in(self.rows, self.kind(name)) for name in KINDS},
            }
        return found

    def feature(self, row: int, teams_before: Teams, teams_after: Teams) -> dict[str, Any]:
        """Describe one feature; a time that there is not is null, with the reason beside it."""
        rows = self.rows
        place = rows.shapes[row].representative_point()
        before, after = (int(found.ms[row]) for found in (self.before, self.after))
        both = UNREACHED not in (before, after)
        return {
            "layer": rows.layer.id,
            "id": int(rows.ids[row]),
            **{name: rows.fields[name][row] for name in _NAMES if name in rows.fields},
            "risk_level": int(rows.level[row]) or None,
            "people": rows.people[row],
            "lon": round(place.x, 7),
            "lat": round(place.y, 7),
            "base_s": _seconds(before),
            "arrival_s": _seconds(after),
            "later_s": (after - before) / MS_PER_S if both else None,
            "reason": self._reason(row) if after == UNREACHED else None,
            "base_team": teams_before.named(int(self.before.team[row])),
            "team": teams_after.named(int(self.after.team[row])),
        }

    def _reason(self, row: int) -> str:
        """Say why nobody comes: no road near, its road is closed, or all roads are too long."""
        anchors = self.anchors
        first = int(anchors.first[row])
        last = int(anchors.first[row + 1]) if row + 1 < len(self.rows) else len(anchors.positions)
        edge = anchors.positions.edge[first:last]
        edge = edge[edge >= 0]
        if not len(edge):
            return "no_road_near"
        network = anchors.network
        if isinstance(network, ChangedNetwork) and network.closed[edge].all():
            return "road_closed"
        return "no_team_in_limit"


def changes(before: Outcome, after: Outcome, within_ms: int) -> list[Change]:
    """Pair the arrivals of two outcomes: the population's first, then those of the risk layers."""
    targets = next(way.targets for way in after.ways if way.profile == after.moment.default_profile)
    return [
        Change(one, other, within_ms, anchors)
        for one, other, anchors in zip(before.all, after.all, targets, strict=True)
    ]


def _seconds(ms: int) -> float | None:
    return None if ms == UNREACHED else ms / MS_PER_S
