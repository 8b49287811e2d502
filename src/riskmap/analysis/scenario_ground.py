"""From what a request says of a scenario to the ground that its question stands on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from riskmap.analysis.changed import ChangedGround, RoadFacts, Warning_, cut_off, warning
from riskmap.analysis.ground import Ground, Moment
from riskmap.analysis.scenario_store import (
    FloodFactors,
    StoredScenario,
    bridges_near,
    find_scenario,
    known_edges,
    read_flood_factors,
)
from riskmap.analysis.scenarios import Scenario, TeamRef, read_scenario, whole, wrong
from riskmap.catalog.spec import Role
from riskmap.crs.datum import Datum
from riskmap.db.city import read_city
from riskmap.db.sessions import ReadSession
from riskmap.errors import InputError, UnprocessableError
from riskmap.roads.speeds import TimeFactors, read_time_factors
from riskmap.units import Bbox

_MAX_ID: Final = 2**63 - 1
# How many of what is gone a warning names.
_NAMED: Final = 10
_T = TypeVar("_T")


def ground_for(ground: Ground, value: Any, datum: Datum = Datum.WGS84) -> Ground:
    """Return the ground of a request: as it is, or with the scenario that the request names.

    Parameters
    ----------
    value
        None; the id of a stored scenario (a number or its digits); or a scenario itself, an object
        or JSON text of one.

    Raises
    ------
    InputError, NotFoundError, UnprocessableError
        See `riskmap.analysis.scenarios.read_scenario` and `changed_ground`.
    """
    if value is None:
        return ground
    if isinstance(value, str):
        value = _decoded(value)
    with ground.database.read() as session:
        box = read_city(session).bbox
        if not isinstance(value, dict):
            stored = find_scenario(session, whole(value, "scenario", _MAX_ID))
            # What is stored is in WGS 84, whatever the request is in.
            value, datum = stored.content, Datum.WGS84
        else:
            stored = None
    return changed_ground(ground, read_scenario(value, ground.catalog, box, datum), stored)


def checked_scenario(ground: Ground, content: Any, datum: Datum = Datum.WGS84) -> Scenario:
    """Read a scenario and see to it that all it names is there, before it is stored.

    Raises
    ------
    InputError
        Something in it cannot be, or a road or a team is not there.
    """
    with ground.database.read() as session:
        box = read_city(session).bbox
    scenario = read_scenario(content, ground.catalog, box, datum)
    moment = ground.now()
    _check_kinds(ground, moment, scenario)
    teams = _known_teams(ground, moment) if scenario.changes_teams else set()
    with ground.database.read() as session:
        edges = known_edges(session, scenario.closed_edges)
    return _existing(scenario, edges, teams, strict=True)[0]


def content_of(ground: Ground, value: Any) -> dict[str, Any] | None:
    """Return what a scenario says, in WGS 84, to be kept with what is computed under it.

    A stored one may be changed or deleted later; see `ground_for` for `value` and what is raised.
    """
    if isinstance(value, str):
        value = _decoded(value)
    if value is None:
        return None
    if isinstance(value, dict):
        return checked_scenario(ground, value).to_json()
    with ground.database.read() as session:
        return find_scenario(session, whole(value, "scenario", _MAX_ID)).content


def _check_kinds(ground: Ground, moment: Moment, scenario: Scenario) -> None:
    for one in scenario.teams_added:
        ground.check_kind(moment, one.fields.get("kind"))


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise wrong("scenario", text, "id / { … }") from None


def changed_ground(
    ground: Ground, scenario: Scenario, stored: StoredScenario | None = None
) -> Ground:
    """Lay a scenario over a ground; circles, reach and coverage run on the result unchanged.

    Parameters
    ----------
    stored
        Where the scenario comes from. What a stored one names may be gone since: it is left out,
        with a warning. A scenario of the request itself must name what there is.

    Returns
    -------
    Ground
        The same one for an empty scenario.

    Raises
    ------
    InputError
        It names a road or a team that there is not.
    UnprocessableError
        Nothing of a stored one is there any more.
    UnavailableError
        There is no city or no road network yet.
    """
    if scenario.empty:
        return ground
    moment = ground.now()
    _check_kinds(ground, moment, scenario)
    teams = _known_teams(ground, moment) if scenario.changes_teams else set()
    with ground.database.read() as session:
        edges = known_edges(session, scenario.closed_edges)
        left, warnings = _existing(scenario, edges, teams, strict=stored is None)
        facts = RoadFacts(
            flood=read_flood_factors(session) if left.flooded_polygons else FloodFactors({}),
            hours=TimeFactors({}) if left.when is None else read_time_factors(session),
            bridges=_bridges(session, left),
        )
    told: dict[str, Any] = {}
    if stored is not None:
        told = {
            "id": stored.id,
            "name": stored.name,
            "version": stored.version,
            "made_on_network_revision": stored.network_revision,
        }
        if left.empty:
            raise UnprocessableError(
                "scenario.nothing_left", parameter="scenario", name=stored.name
            )
        if stored.network_revision != moment.revision:
            named = {"made": stored.network_revision, "now": moment.revision}
            warnings.append(warning("scenario.older", **named))
    found = ChangedGround(ground, left, moment, facts, {**told, "warnings": warnings})
    if scenario.changes_roads:
        cut, free = cut_off(found)
        if cut:
            key = "scenario.all_cut" if cut == free else "scenario.cut"
            found.warn(warning(key, count=cut, of=free))
    return found


def _known_teams(ground: Ground, moment: Moment) -> set[TeamRef]:
    network = ground.network(moment, moment.default_profile)
    found = ground.anchored(ground.catalog.with_role(Role.TEAM), network)
    return {TeamRef(name, int(one)) for name, teams in found.items() for one in teams.rows.ids}


def _bridges(session: ReadSession, scenario: Scenario) -> npt.NDArray[np.int64]:
    """Return the bridges that lie near water."""
    found = [bridges_near(session, Bbox(*one.shape.bounds)) for one in scenario.flooded_polygons]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def _existing(
    scenario: Scenario, edges: set[int], teams: set[TeamRef], *, strict: bool
) -> tuple[Scenario, list[Warning_]]:
    """Return what of a scenario is there, and warnings of what is not."""
    warnings: list[Warning_] = []

    def there(
        name: str, items: Iterable[_T], fits: Callable[[_T], bool], key: str
    ) -> tuple[_T, ...]:
        rows = list(enumerate(items))
        missing = [(row, one) for row, one in rows if not fits(one)]
        if missing and strict:
            row, one = missing[0]
            raise InputError(key, parameter=f"scenario.{name}[{row}]", missing=_shown(one))
        if missing:
            listed = ", ".join(_shown(one) for _, one in missing[:_NAMED])
            count = {"count": len(missing), "missing": listed}
            warnings.append(warning(f"{key}_since", parameter=name, **count))
        return tuple(one for _, one in rows if fits(one))

    no_edge, no_team = "scenario.no_edge", "scenario.no_team"
    moved = there("teams_moved", scenario.teams_moved, lambda one: one.team in teams, no_team)
    left = replace(
        scenario,
        closed_edges=there("closed_edges", scenario.closed_edges, edges.__contains__, no_edge),
        teams_moved=moved,
        teams_removed=there("teams_removed", scenario.teams_removed, teams.__contains__, no_team),
        teams_off_duty=there(
            "teams_off_duty", scenario.teams_off_duty, teams.__contains__, no_team
        ),
    )
    return left, warnings


def _shown(one: Any) -> str:
    team = getattr(one, "team", one)
    return f"{team.layer}/{team.id}" if isinstance(team, TeamRef) else str(team)
