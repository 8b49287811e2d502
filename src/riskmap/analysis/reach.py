"""Who reaches this place: teams in the order of their arrival, phase by phase, and when enough.

"Enough" is the fire service's own question, the effective response force: when do so many people,
or so many teams of a kind, stand there?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors, anchor
from riskmap.analysis.ground import Ground, Moment, facts
from riskmap.analysis.places import Place, check_inside, point_place, read_feature
from riskmap.analysis.presets import Preset, preset_of, read_presets
from riskmap.analysis.response import MAX_MINUTES, METHOD, METHOD_HOUR
from riskmap.analysis.routes import Route, routes
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import LayerRows, Phases, phases_of
from riskmap.catalog.spec import Role
from riskmap.errors import InputError, UnprocessableError
from riskmap.roads.graphs import Network
from riskmap.units import MS_PER_S, UNREACHED, LonLat

# A team in one of these states does not come: it is listed apart, not left out.
AWAY: Final = frozenset({"dispatched", "off"})
MAX_NEED: Final = 100_000
# How long after the alarm teams are looked for at least: who is late is told by how much.
LOOK_MINUTES: Final = 60.0
# A line of each takes a few milliseconds and some kilobytes.
MAX_ROUTES: Final = 50
# What comes to a hazard source is asked of those who know such accidents first.
_SOURCE_SPECIALTY: Final = "work_safety"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachQuery:
    """A place, and within how many minutes of the alarm help should stand there.

    Parameters
    ----------
    place
        A position, or
    feature
        a feature, ``layer/id``; an area is reached where it is first touched.
    minutes
        None: those of the preset, else 15.
    kind
        Only teams of this kind count toward the needs.
    specialty
        Teams that have it are listed first; None: work safety where the feature is a source.
    need_people, need_teams
        How many should stand there; None: those of the preset.
    preset
        See `riskmap.analysis.presets`.
    when
        Kind of day and hour whose speeds count; None: free flow.
    with_routes
        Whether the answer has each team's way, of the first `MAX_ROUTES`.
    """

    place: LonLat | None = None
    feature: str | None = None
    minutes: float | None = None
    kind: str | None = None
    specialty: str | None = None
    need_people: int | None = None
    need_teams: int | None = None
    preset: str | None = None
    when: tuple[str, int] | None = None
    with_routes: bool = False

    def check(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        InputError
            Names the parameter.
        """
        if (self.place is None) == (self.feature is None):
            raise InputError(
                "reach.place", parameter="lon,lat" if self.place is None else "feature"
            )
        if self.minutes is not None and not 0 < self.minutes <= MAX_MINUTES:
            raise InputError(
                "response.minutes", parameter="minutes", value=self.minutes, most=MAX_MINUTES
            )
        for name in ("need_people", "need_teams"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MAX_NEED:
                raise InputError(
                    "parameter.value", parameter=name, value=value, expected=f"1 … {MAX_NEED}"
                )


@dataclass(frozen=True, eq=False)
class _Asked:
    """A checked question with what it means here."""

    query: ReachQuery
    moment: Moment
    place: Place
    preset: Preset | None
    minutes: float

    @property
    def look_ms(self) -> int:
        """How far the search goes, milliseconds."""
        return round(max(self.minutes, LOOK_MINUTES) * 60 * MS_PER_S)

    def phases(self, kind: str | None) -> Phases:
        """Return the phases of a kind, those that the preset names in their place."""
        own = phases_of(self.moment.phases, kind)
        if self.preset is None:
            return own
        named = {
            name: getattr(self.preset, name)
            for name in ("call_handling_s", "turnout_s", "setup_s", "profile")
            if getattr(self.preset, name) is not None
        }
        return replace(own, **named, source=self.preset.source) if named else own


def reach(ground: Ground, query: ReachQuery, watch: Stopwatch) -> dict[str, Any]:
    """List the teams that reach a place in time, those who cannot come apart.

    Raises
    ------
    InputError
        A parameter cannot be, or (422) a position has no road near.
    NotFoundError
        There is no such feature.
    UnavailableError
        There is no city or no road network yet.
    """
    query.check()
    with watch.stage("sql"):
        asked = _asked(ground, query)
        moment = asked.moment
        kinds = {*moment.phases, None}
        names = sorted({asked.phases(kind).profile for kind in kinds})
        networks = {profile: ground.network(moment, profile) for profile in names}
        layers = ground.catalog.with_role(Role.TEAM)
    default = networks[asked.phases(None).profile]
    everyone: list[dict[str, Any]] = []
    snapped: dict[str, Any] | None = None
    for profile, network in networks.items():
        with watch.stage("snap"):
            here = _anchored(asked.place, network)
        if network is default:
            snapped = _snapped(here, network)
        if not here.positions.found.any():
            continue
        with watch.stage("search"):
            graph = ground.graph_at(network, query.when)
            clock = np.minimum(here.access_ms, UNREACHED - 1)
            times = search(graph, here.positions, clock, asked.look_ms, reverse=True)
        with watch.stage("teams"):
            for teams in ground.anchored(layers, network, moment).values():
                everyone += _arrivals(asked, teams, times, profile, network)
    if snapped is None and query.place is not None:
        raise UnprocessableError(
            "response.far",
            parameter="lon,lat",
            lon=query.place.lon,
            lat=query.place.lat,
            most=round(MAX_SNAP_M),
        )
    coming, gone = _split(everyone, _specialty(asked))
    in_time = asked.minutes * 60
    come = [team for team in coming if team["arrival_s"] <= in_time]
    return {
        **asked.place.described(),
        "minutes": asked.minutes,
        "preset": None if asked.preset is None else asked.preset.told(),
        "reachable": snapped is not None,
        "reason": None if snapped is not None else "no_road",
        **(snapped or {"snap_distance_m": None, "snapped": None}),
        "snap_limit_m": MAX_SNAP_M,
        "teams": come,
        "unavailable": [team for team in gone if team["arrival_s"] <= in_time],
        "later": len(coming) - len(come),
        "force": force(coming, _needs(asked)),
        **({"tiers": tiers(asked.preset, coming)} if asked.preset and asked.preset.tiers else {}),
        "off_road_mps": OFF_ROAD_MPS,
        "method": METHOD if query.when is None else METHOD_HOUR,
        **ground.hour_facts(default, query.when),
        **facts(default, moment, *names),
    }


def _asked(ground: Ground, query: ReachQuery) -> _Asked:
    moment = ground.now()
    ground.check_kind(moment, query.kind)
    with ground.database.read() as session:
        preset = None
        if query.preset is not None:
            preset = preset_of(read_presets(session), query.preset)
        if query.feature is not None:
            place = read_feature(session, ground.catalog, query.feature)
        elif query.place is not None:
            place = point_place(query.place)
    check_inside(place, moment.city.bbox)
    known = {
        str(value.code)
        for layer in ground.catalog.with_role(Role.TEAM)
        if (field := layer.field("specialties"))
        for value in field.values
    }
    if query.specialty is not None and query.specialty not in known:
        raise InputError(
            "parameter.value",
            parameter="specialty",
            value=query.specialty[:40],
            expected=", ".join(sorted(known)),
        )
    minutes = query.minutes or (15.0 if preset is None else preset.minutes)
    return _Asked(query, moment, place, preset, minutes)


def _specialty(asked: _Asked) -> str | None:
    layer = asked.place.layer
    is_source = layer is not None and layer.role is Role.SOURCE
    return asked.query.specialty or (_SOURCE_SPECIALTY if is_source else None)


def _anchored(place: Place, network: Network) -> Anchors:
    """Return where a place meets a network: a point once, a line or area all along its outline."""
    shapes: npt.NDArray[Any] = np.array([place.shape], dtype=object)
    rows = LayerRows(place.layer, 0, np.zeros(1, dtype=np.int64), shapes, {})  # type: ignore[arg-type]
    return anchor(rows, network)


def _snapped(here: Anchors, network: Network) -> dict[str, Any] | None:
    """Say where the place stands on the road nearest to it, None without one."""
    found = here.positions.found
    if not found.any():
        return None
    row = int(np.flatnonzero(found)[np.argmin(here.positions.distance_m[found])])
    lonlat = network.to_lonlat(here.positions.xy[row : row + 1])[0]
    islands = network.graph.island_size(here.positions.edge[row : row + 1])[0]
    largest = int(network.graph.component_size.max(initial=0))
    return {
        "snapped": [round(float(value), 7) for value in lonlat],
        "snap_distance_m": round(float(here.positions.distance_m[row]), 1),
        "island_nodes": None if islands == largest else int(islands),
    }


def _arrivals(
    asked: _Asked, teams: Anchors, times: TravelTimes, profile: str, network: Network
) -> list[dict[str, Any]]:
    """Return the teams of one profile that arrive at all, unsorted."""
    fields, nothing = teams.rows.fields, [None] * len(teams.rows)
    # A team is on its road at once, as the start of a circle is.
    travel_ms = teams.arrival_ms(times, walked=False)
    found: list[dict[str, Any]] = []
    rows: list[int] = []
    for row, ms in enumerate(travel_ms.tolist()):
        kind = fields.get("kind", nothing)[row]
        phases = asked.phases(kind)
        if ms == UNREACHED or phases.profile != profile:
            continue
        own = fields.get("turnout_s", nothing)[row]
        preset = asked.preset is not None and asked.preset.turnout_s is not None
        turnout_s = phases.turnout_s if own is None or preset else float(own)
        fixed_s = phases.call_handling_s + turnout_s + phases.setup_s
        total_ms = round(fixed_s * MS_PER_S) + ms
        if total_ms > asked.look_ms:
            continue
        rows.append(row)
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
                    "turnout_source": "team" if own is not None and not preset else phases.source,
                    "travel_s": ms / MS_PER_S,
                    "setup_s": phases.setup_s,
                },
            }
        )
    if asked.query.with_routes:
        order = sorted(range(len(found)), key=lambda one: found[one]["arrival_s"])[:MAX_ROUTES]
        ways = _ways(teams, times, network, [rows[one] for one in order])
        for one, way in zip(order, ways, strict=True):
            found[one] |= way
    return found


def _ways(
    teams: Anchors, times: TravelTimes, network: Network, rows: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the way of each team from the position that is first at the place."""
    last = np.append(teams.first, len(teams.positions))
    ms = times.at(teams.positions)
    picked = np.array(
        [last[row] + int(np.argmin(ms[last[row] : last[row + 1]])) for row in rows], dtype=np.int64
    )
    return [route_told(way) for way in routes(times, teams.positions.some(picked), network)]


def route_told(way: Route | None) -> dict[str, Any]:
    """Return a way as an answer has it, nulls for none."""
    if way is None:
        return {"route": None, "distance_m": None}
    return {
        "route": {"type": "LineString", "coordinates": way.geometry},
        "distance_m": round(way.length_m, 1),
    }


def _split(
    found: list[dict[str, Any]], specialty: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (those who come, those who cannot), each by arrival.

    With a specialty each says whether it has it, and those who come and do are marked: the order
    is that of arrival all the same, since who stands there first works first.
    """
    ordered = sorted(found, key=lambda team: (team["arrival_s"], team["layer"], team["id"]))
    if specialty is not None:
        for team in ordered:
            team["has_specialty"] = specialty in (team.get("specialties") or ())
    come = [team for team in ordered if team.get("duty_status") not in AWAY]
    return come, [team for team in ordered if team.get("duty_status") in AWAY]


def _needs(asked: _Asked) -> dict[str, Any]:
    query, preset = asked.query, asked.preset
    return {
        "kind": query.kind,
        "people": query.need_people or (preset.need_people if preset else None),
        "teams": query.need_teams or (preset.need_teams if preset else None),
    }


def people_of(team: Mapping[str, Any]) -> int | None:
    """Return how many a team brings: those on duty, else all; None where neither is known."""
    on_duty = team.get("on_duty_personnel")
    value = team.get("personnel") if on_duty is None else on_duty
    return None if value is None else int(value)


def force(come: Sequence[Mapping[str, Any]], needs: Mapping[str, Any]) -> dict[str, Any]:
    """Say how people and teams add up by arrival, and when the needs are met.

    Parameters
    ----------
    come
        The teams that come, by arrival.
    needs
        ``kind`` (None: any), ``people`` and ``teams`` (None: not asked).

    Returns
    -------
    dict
        ``curve``: seconds, teams and people so far, at each arrival; teams that do not say how
        many they are count as none and are told in ``people_unknown``. ``people_met_s`` and
        ``teams_met_s``: when the need is met, null where it is not or was not asked; ``reason``
        says which of these.
    """
    counted = [team for team in come if needs["kind"] in (None, team.get("kind"))]
    curve: list[dict[str, Any]] = []
    teams = people = unknown = 0
    met: dict[str, float | None] = {"people": None, "teams": None}
    for team in counted:
        brought = people_of(team)
        teams, unknown = teams + 1, unknown + (brought is None)
        people += brought or 0
        step = {"arrival_s": team["arrival_s"], "teams": teams, "people": people}
        if curve and curve[-1]["arrival_s"] == team["arrival_s"]:
            curve[-1] = step
        else:
            curve.append(step)
        for name, sum_ in (("people", people), ("teams", teams)):
            if needs[name] is not None and met[name] is None and sum_ >= needs[name]:
                met[name] = team["arrival_s"]
    reason = {
        name: "not_asked" if needs[name] is None else (None if met[name] is not None else "never")
        for name in met
    }
    return {
        "kind": needs["kind"],
        "need_people": needs["people"],
        "need_teams": needs["teams"],
        "people_met_s": met["people"],
        "teams_met_s": met["teams"],
        "reason": reason,
        "people_unknown": unknown,
        "curve": curve,
    }


def tiers(preset: Preset, come: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say of each tier whether it stands in time, and what is missing.

    The moment is that of its n-th team: on the way (call handling and turnout) or at the place.
    """
    found = []
    for tier in preset.tiers:
        rows = [team for team in come if tier.kinds is None or team.get("kind") in tier.kinds]
        moments = sorted(
            (
                team["phases"]["call_handling_s"] + team["phases"]["turnout_s"]
                if tier.measure == "turnout"
                else team["arrival_s"],
                index,
            )
            for index, team in enumerate(rows)
        )
        at_s = moments[tier.need_teams - 1][0] if len(moments) >= tier.need_teams else None
        allowed_s = tier.minutes * 60
        fine = at_s is not None and at_s <= allowed_s
        found.append(
            {
                "tier": tier.tier,
                "name": tier.name_zh,
                "name_en": tier.name_en,
                "minutes": tier.minutes,
                "measure": tier.measure,
                "kinds": sorted(tier.kinds) if tier.kinds is not None else None,
                "need_teams": tier.need_teams,
                "at_s": at_s,
                "met": fine,
                "late_s": None if at_s is None or fine else round(at_s - allowed_s, 3),
                "reason": None if fine else ("late" if at_s is not None else "nobody"),
                "teams": [
                    {"layer": rows[index]["layer"], "id": rows[index]["id"]}
                    for _, index in moments[: tier.need_teams]
                ],
            }
        )
    return found
