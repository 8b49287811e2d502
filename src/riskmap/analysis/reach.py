"""Who reaches this place: teams in the order of their arrival, phase by phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.search import TravelTimes
from riskmap.analysis.store import Phases, phases_of
from riskmap.units import MS_PER_S, UNREACHED, LonLat

# Fields of a layer of teams that an answer tells, where the layer has them.
TEAM_FIELDS: Final = (
    "code",
    "name",
    "name_en",
    "kind",
    "tier",
    "level",
    "specialties",
    "personnel",
    "on_duty_personnel",
    "duty_status",
    "turnout_s",
)
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
    known: dict[str, Phases],
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
