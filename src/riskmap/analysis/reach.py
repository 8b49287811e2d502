"""Who reaches this place: teams in the order of their arrival, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors
from riskmap.analysis.ground import Ground, facts, snap_places
from riskmap.analysis.response import MAX_MINUTES, METHOD, check_place
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import Phases, phases_of
from riskmap.catalog.spec import Role
from riskmap.errors import InputError
from riskmap.units import MS_PER_S, UNREACHED, LonLat

# A team in one of these states does not come: it is listed apart, not left out.
AWAY: Final = frozenset({"dispatched", "off"})


@dataclass(frozen=True, slots=True)
class ReachQuery:
    """A place, and within how many minutes of the alarm help should stand there."""

    place: LonLat
    minutes: float


def arrivals(
    teams: Anchors,
    times: TravelTimes,
    known: Mapping[str, Phases],
    profile: str,
    minutes: float,
    access_ms: int,
) -> list[dict[str, Any]]:
    """Return the teams of one profile that arrive in time, with their phases, unsorted.

    Parameters
    ----------
    times
        A search toward the place, with that profile's network.
    access_ms
        From the place's road to the place itself, on foot.
    """
    fields = teams.rows.fields
    # A team is on its road at once, as the start of a circle is.
    travel_ms = teams.arrival_ms(times, walked=False)
    found = []
    for row, ms in enumerate(travel_ms):
        kind = fields.get("kind", [None] * len(travel_ms))[row]
        phases = phases_of(known, kind)
        if ms == UNREACHED or phases.profile != profile:
            continue
        own = fields.get("turnout_s", [None] * len(travel_ms))[row]
        turnout_s = phases.turnout_s if own is None else float(own)
        total_ms = (
            round((phases.call_handling_s + turnout_s + phases.setup_s) * MS_PER_S)
            + int(ms)
            + access_ms
        )
        if total_ms > round(minutes * 60 * MS_PER_S):
            continue
        shape = teams.rows.shapes[row].representative_point()
        found.append(
            {
                "layer": teams.rows.layer.id,
                "id": int(teams.rows.ids[row]),
                **{name: values[row] for name, values in fields.items()},
                "lon": round(shape.x, 7),
                "lat": round(shape.y, 7),
                "profile": profile,
                "arrival_s": total_ms / MS_PER_S,
                "phases": {
                    "call_handling_s": phases.call_handling_s,
                    "turnout_s": turnout_s,
                    "turnout_source": "team" if own is not None else phases.source,
                    "travel_s": (int(ms) + access_ms) / MS_PER_S,
                    "setup_s": phases.setup_s,
                },
            }
        )
    return found


def split_by_duty(found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (those who come, those who cannot), each by arrival."""
    ordered = sorted(found, key=lambda team: (team["arrival_s"], team["id"]))
    come = [team for team in ordered if team.get("duty_status") not in AWAY]
    return come, [team for team in ordered if team.get("duty_status") in AWAY]


def reach(ground: Ground, query: ReachQuery, watch: Stopwatch) -> dict[str, Any]:
    """List the teams that reach a place in time, those who cannot come apart.

    Raises
    ------
    InputError
        A parameter cannot be, or (422) the place has no road near.
    UnavailableError
        There is no city or no road network yet.
    """
    if not 0 < query.minutes <= MAX_MINUTES:
        raise InputError(
            "response.minutes", parameter="minutes", value=query.minutes, most=MAX_MINUTES
        )
    moment = ground.now()
    check_place(query.place, moment.city.bbox, "lon,lat")
    names = sorted({phases.profile for phases in moment.phases.values()})
    networks = {profile: ground.network(moment, profile) for profile in names}
    default = networks[moment.default_profile]
    place = snap_places(default, (query.place,), "lon,lat")
    limit_ms = round(query.minutes * 60 * MS_PER_S)
    layers = ground.catalog.with_role(Role.TEAM)
    found: list[dict[str, Any]] = []
    for profile, network in networks.items():
        # The place may be out of reach for one way of moving and not for another.
        here = network.snapper.snap(network.to_local([query.place]), MAX_SNAP_M)
        if not here.found.all():
            continue
        access_ms = int(np.ceil(here.distance_m[0] / OFF_ROAD_MPS * MS_PER_S))
        with watch.stage("search"):
            times = search(network.graph, here, [0], limit_ms, reverse=True)
        for teams in ground.anchored(layers, network).values():
            found += arrivals(teams, times, moment.phases, profile, query.minutes, access_ms)
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
        **facts(default, moment, *names),
    }
