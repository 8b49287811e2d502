"""Who is reached in time, from wherever a free team stands: shares, and whom nobody reaches.

All teams are the starts of one search for each way of moving. Each starts after its own call
handling, turnout and set-up, so that the least time at a place is the first arrival there, and
the start it came from is the team.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.preset_use import Used, phases_under
from riskmap.analysis.reach import AWAY
from riskmap.analysis.response import count_levels, people_in
from riskmap.analysis.search import search
from riskmap.analysis.store import LayerRows, Phases, phases_of
from riskmap.catalog.spec import Role
from riskmap.errors import InputError
from riskmap.features.summary import LEVELS, STATUS
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, UNREACHED

# Later than this after the alarm nobody is said to come.
MAX_MINUTES: Final = 60.0
LIMIT_MS: Final = 3_600_000
MAX_LISTED: Final = 2000
# Levels that are listed one by one where nobody reaches them: 重大, 较大.
_LISTED: Final = (1, 2)
_MAJOR: Final = 1
_NAMES: Final = ("name", "name_en")


@dataclass(frozen=True, slots=True)
class CoverageQuery:
    """Within how many minutes of the alarm, and how many of the uncovered to list."""

    minutes: float = 15.0
    limit: int = 200

    def checked(self) -> CoverageQuery:
        """Return the query, or say what is wrong with it.

        Raises
        ------
        InputError
            Names the parameter.
        """
        if not 0 < self.minutes <= MAX_MINUTES:
            raise InputError(
                "response.minutes", parameter="minutes", value=self.minutes, most=MAX_MINUTES
            )
        if not 0 <= self.limit <= MAX_LISTED:
            raise InputError(
                "parameter.value", parameter="limit", value=self.limit, expected=f"0 … {MAX_LISTED}"
            )
        return self


@dataclass(frozen=True, eq=False)
class Teams:
    """The teams of all layers in the order of layer and id: k of them.

    Attributes
    ----------
    free : bool[k]
        Whether a team can come: it is neither dispatched nor off duty.
    profile : object[k]
        How each moves.
    start_ms : int64[k]
        Call handling, turnout and set-up of each, milliseconds.
    """

    layers: tuple[LayerRows, ...]
    free: npt.NDArray[np.bool_]
    profile: npt.NDArray[np.object_]
    start_ms: npt.NDArray[np.int64]

    def named(self, team: int) -> dict[str, Any] | None:
        """Return a team by its row; -1 is nobody."""
        if team < 0:
            return None
        for rows in self.layers:
            if team < len(rows):
                return {"layer": rows.layer.id, **_named(rows, team)}
            team -= len(rows)
        raise IndexError(team)


def teams_of(
    layers: Iterable[LayerRows], known: Mapping[str, Phases], preset: Used | None = None
) -> Teams:
    """Return the teams with their clocks: the team's own turnout, or that of its kind.

    What a preset says stands in the place of both.
    """
    same = preset is not None and "turnout_s" in preset["used"]
    found = tuple(layers)
    free, profile, start_ms = [], [], []
    for rows in found:
        nothing = [None] * len(rows)
        columns = [rows.fields.get(name, nothing) for name in ("kind", "turnout_s")]
        states = rows.fields.get(STATUS[Role.TEAM], nothing)
        for kind, own, state in zip(*columns, states, strict=True):
            phases = phases_under(phases_of(known, kind), preset)
            turnout_s = phases.turnout_s if own is None or same else float(own)
            spent_s = phases.call_handling_s + turnout_s + phases.setup_s
            free.append(state not in AWAY)
            profile.append(phases.profile)
            start_ms.append(min(round(spent_s * MS_PER_S), UNREACHED - 1))
    return Teams(
        found,
        np.array(free, dtype=bool),
        np.array(profile, dtype=object),
        np.array(start_ms, dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class Arrivals:
    """First arrivals at the n features of a layer.

    Attributes
    ----------
    ms : int64[n]
        Milliseconds after the alarm, `UNREACHED` past `LIMIT_MS`.
    team : int64[n]
        Row of the team, of equal times the lowest; -1 for nobody.
    """

    rows: LayerRows
    ms: npt.NDArray[np.int64]
    team: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Way:
    """A way of moving: its network, where the teams of all layers stand on it, and the features."""

    network: Network
    bases: list[Anchors]
    targets: list[Anchors]

    @property
    def profile(self) -> str:
        """Name of its profile."""
        return self.network.graph.profile

    @property
    def anchors(self) -> list[Anchors]:
        """All that stand on its network."""
        return [*self.bases, *self.targets]


def first_arrivals(teams: Teams, ways: Sequence[Way]) -> list[Arrivals]:
    """Find who is first at every feature: for each way of moving the teams that move so.

    The features of every way are the same, and so is the order of their layers in the answer.
    """
    best: list[Arrivals] = []
    for way in ways:
        starts, team = _starts(way.bases)
        moves = teams.free[team] & (teams.profile[team] == way.profile)
        starts, team = _some(starts, moves), team[moves]
        times = search(way.network.graph, starts, teams.start_ms[team], LIMIT_MS)
        found = []
        for target in way.targets:
            ms, source = target.first_arrival(times, LIMIT_MS)
            who = np.where(source >= 0, team[np.maximum(source, 0)], -1) if len(team) else source
            found.append(Arrivals(target.rows, ms, who))
        best = [_earlier(*pair) for pair in zip(best, found, strict=True)] if best else found
    return best


def _starts(bases: list[Anchors]) -> tuple[Positions, npt.NDArray[np.int64]]:
    """Return the positions of all teams and the row of the team that each belongs to."""
    owners, before = [], 0
    for anchors in bases:
        counts = np.diff(np.append(anchors.first, len(anchors.positions)))
        owners.append(np.repeat(np.arange(len(anchors.rows)) + before, counts))
        before += len(anchors.rows)
    parts = [anchors.positions for anchors in bases]
    whole = Positions(
        edge=np.concatenate([part.edge for part in parts]),
        fraction=np.concatenate([part.fraction for part in parts]),
        distance_m=np.concatenate([part.distance_m for part in parts]),
        xy=np.concatenate([part.xy for part in parts]),
    )
    return whole, np.concatenate(owners).astype(np.int64)


def _some(positions: Positions, kept: npt.NDArray[np.bool_]) -> Positions:
    return Positions(
        positions.edge[kept], positions.fraction[kept], positions.distance_m[kept],
        positions.xy[kept],
    )  # fmt: skip


def _earlier(one: Arrivals, other: Arrivals) -> Arrivals:
    """Keep the earlier arrival of each feature, of equal ones that of the lower team."""
    takes = (other.ms < one.ms) | ((other.ms == one.ms) & (other.team < one.team))
    return Arrivals(
        one.rows, np.where(takes, other.ms, one.ms), np.where(takes, other.team, one.team)
    )


def coverage(
    query: CoverageQuery, teams: Teams, people: Arrivals, risks: list[Arrivals]
) -> dict[str, Any]:
    """Put the answer together: shares by layer and level, people, and who is left out."""
    within_ms = round(query.minutes * 60 * MS_PER_S)
    total, major = {"count": 0, "covered": 0}, {"count": 0, "covered": 0}
    layers: dict[str, Any] = {}
    for found in risks:
        inside = found.ms <= within_ms
        counts, covered = count_levels(found.rows.level), count_levels(found.rows.level[inside])
        layer = {"count": len(inside), "covered": int(inside.sum())}
        levels = {level: {"count": counts[level], "covered": covered[level]} for level in LEVELS}
        for name, value in layer.items():
            total[name] += value
            major[name] += levels[str(_MAJOR)][name]
        layers[found.rows.layer.id] = {**layer, "by_risk_level": levels}
    left_out = sorted(
        (
            (int(found.rows.level[row]), -int(found.ms[row]), place, row)
            for place, found in enumerate(risks)
            for row in np.flatnonzero(
                (found.ms > within_ms) & np.isin(found.rows.level, _LISTED)
            ).tolist()
        )
    )
    everybody = np.ones(len(people.rows), dtype=bool)
    return {
        "minutes": query.minutes,
        "teams": {"available": int(teams.free.sum()), "away": int((~teams.free).sum())},
        "total": total,
        "major": major,
        "population": {
            "count": people_in(people.rows, everybody),
            "covered": people_in(people.rows, people.ms <= within_ms),
        },
        "layers": layers,
        "uncovered": [
            _uncovered(risks[place], row, teams) for _, _, place, row in left_out[: query.limit]
        ],
        "uncovered_count": len(left_out),
    }


def _uncovered(found: Arrivals, row: int, teams: Teams) -> dict[str, Any]:
    rows, ms = found.rows, int(found.ms[row])
    place = rows.shapes[row].representative_point()
    return {
        "layer": rows.layer.id,
        **_named(rows, row),
        "risk_level": int(rows.level[row]),
        "lon": round(place.x, 7),
        "lat": round(place.y, 7),
        "people": rows.people[row],
        "arrival_s": None if ms == UNREACHED else ms / MS_PER_S,
        "team": teams.named(int(found.team[row])),
    }


def _named(rows: LayerRows, row: int) -> dict[str, Any]:
    names = {name: rows.fields[name][row] if name in rows.fields else None for name in _NAMES}
    return {"id": int(rows.ids[row]), **names}
