"""Coverage over a city whose times can be said aloud, against arithmetic and against reach."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import COLUMNS, ROWS, TRAP, build, place  # noqa: E402

from api_help import Served, serving, settled  # noqa: E402
from riskmap.analysis import covering, ground  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402

# kind, own turnout -> seconds before the wheels roll (call handling, turnout, set-up), and per
# block. A volunteer drives at ordinary speed.
KINDS = {
    ("fire_station", None): (120, 60),
    ("fire_station", 15): (75, 60),
    ("micro_station", None): (90, 60),
    ("volunteer", None): (300, 120),
}
FAR = "POINT(120.9 36.9)"  # nobody's road is within 500 m
Crossing = tuple[int, int]


def at(crossing: Crossing) -> str:
    lon, lat = place(*crossing)
    return f"POINT({lon} {lat})"


def blocks(one: Crossing, other: Crossing) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


class Town:
    """Features and teams at random crossings, and what arithmetic says of them."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(seed)

        def crossing() -> Crossing:
            return (dice.randrange(COLUMNS), dice.randrange(ROWS))

        kinds = list(KINDS)
        # Two rows for one crossing: of equal times the lower id is first.
        self.teams: list[tuple[Crossing, tuple[str, int | None], str | None]] = [
            (crossing(), dice.choice(kinds), dice.choice(["on_duty", "standby", None, "off"]))
            for _ in range(6)
        ]
        self.teams += [self.teams[0], (crossing(), kinds[0], "dispatched")]
        self.hazards = [(crossing(), dice.choice([1, 2, 3, 4, None])) for _ in range(40)]
        self.people = {crossing(): 1 + 0.25 * n for n in range(60)}

    def arrival(self, where: Crossing) -> tuple[float, int] | None:
        """Return when a crossing is reached and by which row of the teams."""
        found = []
        for row, (base, kind, state) in enumerate(self.teams):
            if state not in ("off", "dispatched"):
                spent, per_block = KINDS[kind]
                found.append((spent + per_block * blocks(base, where), row))
        best = min(found, default=None)
        return best if best and best[0] <= 3600 else None

    def put(self, served: Served) -> None:
        served.put(
            "rescue-teams",
            *(
                {"code": f"T{row}", "name": f"队{row}", "geom": at(base), "kind": kind[0],
                 "turnout_s": kind[1], "duty_status": state}
                for row, (base, kind, state) in enumerate(self.teams)
            ),
        )  # fmt: skip
        served.put(
            "geohazard-points",
            *(
                {"code": f"G{row}", "name": f"点{row}", "geom": at(where), "risk_level": level,
                 "threatened_persons": row or None}
                for row, (where, level) in enumerate(self.hazards)
            ),
        )  # fmt: skip
        served.put(
            "population-cells",
            *(
                {"code": f"P{row}", "geom": at(where), "population": people}
                for row, (where, people) in enumerate(self.people.items())
            ),
        )


@pytest.fixture(scope="module", params=range(3))
def town(request: pytest.FixtureRequest, cluster: Cluster, migrated: str) -> Iterator[Any]:
    with serving(cluster, migrated) as served:
        build(served.database)
        found = Town(request.param)
        found.put(served)
        served.put("major-hazard-sources", {"code": "sea", "geom": FAR, "risk_level": 1})
        served.put("enterprises", {"code": "unnamed", "geom": FAR, "risk_level": None})
        # A fault has no level: it is no danger that a share could be told of.
        (x, y), (x1, y1) = place(2, 1), place(4, 1)
        served.put("fault-lines", {"code": "L", "geom": f"MULTILINESTRING(({x} {y},{x1} {y1}))"})
        yield found, served


def ask(served: Served, **query: Any) -> dict[str, Any]:
    answer = served.get("/analysis/coverage", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(served: Served, layer: str) -> dict[str, int]:
    return {f["properties"]["code"]: f["id"] for f in served.items(layer, limit=10_000)}


# 5 min and 11 s lie between two whole minutes; 6 min is met to the second by some.
@pytest.mark.parametrize("minutes", [1, 6, 311 / 60, 15, 60])
def test_shares_are_those_of_arithmetic(town: Any, minutes: float) -> None:
    found, served = town
    body = ask(served, minutes=minutes)
    limit = round(minutes * 60, 3)

    def inside(where: Crossing) -> bool:
        best = found.arrival(where)
        return best is not None and best[0] <= limit

    levels = {str(level or "null"): {"count": 0, "covered": 0} for level in (1, 2, 3, 4, None)}
    for where, level in found.hazards:
        levels[str(level or "null")]["count"] += 1
        levels[str(level or "null")]["covered"] += inside(where)
    covered = sum(one["covered"] for one in levels.values())
    assert body["layers"]["geohazard-points"] == {
        "count": 40, "covered": covered, "by_risk_level": levels
    }  # fmt: skip
    assert body["total"] == {"count": 42, "covered": covered}
    assert body["major"] == {
        "count": levels["1"]["count"] + 1, "covered": levels["1"]["covered"]
    }  # fmt: skip
    assert body["population"] == {
        "count": round(sum(found.people.values())),
        "covered": round(sum(n for where, n in found.people.items() if inside(where))),
    }
    away = sum(state in ("off", "dispatched") for _, _, state in found.teams)
    assert body["teams"] == {"available": len(found.teams) - away, "away": away}
    assert "fault-lines" not in body["layers"]
    assert body["minutes"] == minutes


def test_whom_nobody_reaches_and_who_would_be_first(town: Any) -> None:
    found, served = town
    hazards, teams = ids(served, "geohazard-points"), ids(served, "rescue-teams")
    body = ask(served, minutes=4)
    expected = []
    for row, (where, level) in enumerate(found.hazards):
        best = found.arrival(where)
        if level in (1, 2) and (best is None or best[0] > 240):
            expected.append((level, where, best, row))
    got = {one["id"]: one for one in body["uncovered"] if one["layer"] == "geohazard-points"}
    assert len(got) == len(expected) and expected
    for level, where, best, row in expected:
        one = got[hazards[f"G{row}"]]
        assert (one["risk_level"], one["name"], one["people"]) == (level, f"点{row}", row or None)
        assert (one["lon"], one["lat"]) == pytest.approx(place(*where), abs=1e-7)
        if best is None:
            assert one["arrival_s"] is None and one["team"] is None
        else:
            assert one["arrival_s"] == best[0]
            assert one["team"] == {
                "layer": "rescue-teams", "id": teams[f"T{best[1]}"], "name": f"队{best[1]}",
                "name_en": None,
            }  # fmt: skip
    sea = body["uncovered"][0]
    assert (sea["layer"], sea["arrival_s"], sea["team"]) == ("major-hazard-sources", None, None)
    assert body["uncovered_count"] == len(body["uncovered"]) == len(expected) + 1
    order = [(one["risk_level"], -(one["arrival_s"] or 1e9)) for one in body["uncovered"]]
    assert order == sorted(order)


def test_the_list_is_cut_and_its_length_is_told(town: Any) -> None:
    _, served = town
    whole = ask(served, minutes=1)
    for limit in (0, 1, 5, 2000):
        cut = ask(served, minutes=1, limit=limit)
        assert cut["uncovered"] == whole["uncovered"][:limit]
        assert cut["uncovered_count"] == len(whole["uncovered"])


def test_reach_says_the_same_of_every_point(town: Any) -> None:
    _, served = town
    body = ask(served, minutes=1, limit=2000)
    listed = [one for one in body["uncovered"] if one["layer"] == "geohazard-points"]
    assert len(listed) > 8
    for one in listed:
        reached = served.get("/analysis/reach", lon=one["lon"], lat=one["lat"], minutes=60).json()
        if one["team"] is None:
            assert reached["teams"] == []
        else:
            first = reached["teams"][0]
            assert (first["arrival_s"], first["id"]) == (one["arrival_s"], one["team"]["id"])


def test_a_second_answer_searches_nothing(town: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, served = town
    first = ask(served, minutes=7)

    def refuse(*_: Any) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(covering, "first_arrivals", refuse)
    began = time.perf_counter()
    assert ask(served, minutes=7) == first
    assert ask(served, minutes=9)["minutes"] == 9
    assert time.perf_counter() - began < 2


@pytest.fixture
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        yield found


def sql(served: Served, statement: str) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(text(statement))


def test_what_moves_is_in_the_next_answer(served: Served) -> None:
    served.put("geohazard-points", {"code": "G", "geom": at((0, 0)), "risk_level": 1})
    served.put("rescue-teams", {"code": "T", "geom": at((5, 0)), "kind": "fire_station"})

    def arrival() -> float | None:
        answer = settled(lambda: served.get("/analysis/coverage", minutes=1))
        return answer.json()["uncovered"][0]["arrival_s"]

    assert arrival() == 120 + 300
    sql(served, "UPDATE rescue_teams SET turnout_s = 0")
    assert arrival() == 60 + 300
    sql(served, "UPDATE response_phases SET setup_s = 7 WHERE kind = 'default'")
    assert arrival() == 67 + 300
    sql(served, "UPDATE road_speeds SET speed_kmh = speed_kmh / 2 WHERE profile = 'emergency'")
    assert arrival() == 67 + 600
    served.put("rescue-teams", {"code": "U", "geom": at((1, 0)), "kind": "volunteer"})
    assert arrival() == 300 + 120
    sql(served, "UPDATE rescue_teams SET duty_status = 'dispatched' WHERE code = 'U'")
    assert arrival() == 67 + 600
    sql(served, "UPDATE rescue_teams SET duty_status = 'off'")
    body = ask(served, minutes=60)
    assert body["uncovered"][0]["arrival_s"] is None and body["uncovered"][0]["team"] is None
    assert body["teams"] == {"available": 0, "away": 2}
    sql(served, "DELETE FROM geohazard_points")
    body = ask(served)
    assert body["total"] == body["major"] == {"count": 0, "covered": 0}
    assert body["uncovered"] == [] and body["uncovered_count"] == 0


def test_a_team_that_comes_between_two_reads(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.put("rescue-teams", {"code": "T1", "geom": at((0, 0)), "kind": "fire_station"})
    served.put("geohazard-points", {"code": "G", "geom": at((3, 0)), "risk_level": 1})
    reads = 0
    anchored = ground.Ground.anchored

    def then_another_team(self: Any, *arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        found = anchored(self, *arguments)
        if reads == 1:
            served.put("rescue-teams", {"code": "T2", "geom": at((3, 0)), "kind": "fire_station"})
        return found

    monkeypatch.setattr(ground.Ground, "anchored", then_another_team)
    told = served.get("/analysis/coverage").json()
    assert told["teams"] == {"available": 2, "away": 0}
    assert told["major"] == {"count": 1, "covered": 1}
    assert reads == 4


def test_an_area_is_reached_where_it_is_first_touched(served: Served) -> None:
    """It begins half way between columns 10 and 11; one team stands at either side of it."""
    (w, s), (e, n) = place(10.5, -0.3), place(16, 0.3)
    area = f"MULTIPOLYGON((({w} {s},{e} {s},{e} {n},{w} {n},{w} {s})))"
    served.put("flood-impact-areas", {"code": "F", "geom": area, "risk_level": 2})
    served.put("rescue-teams", {"code": "east", "geom": at((20, 0)), "kind": "fire_station"})
    served.put("rescue-teams", {"code": "west", "geom": at((8, 0)), "kind": "fire_station"})
    (found,) = ask(served, minutes=1)["uncovered"]
    assert found["team"]["id"] == ids(served, "rescue-teams")["west"]
    # Half a block takes 30 s; a sample of the outline lies up to 25 m from the street.
    assert 120 + 150 <= found["arrival_s"] <= 120 + 150 + 6


def test_one_way_streets_lead_one_way(served: Served) -> None:
    """Into the trap and never out: a team in it reaches nobody, a hazard in it is reached."""
    served.put("rescue-teams", {"code": "T", "geom": f"POINT({TRAP[0]} {TRAP[1]})"})
    served.put("geohazard-points", {"code": "G", "geom": at((3, 0)), "risk_level": 1})
    assert ask(served, minutes=60)["uncovered"][0]["arrival_s"] is None
    served.put("rescue-teams", {"code": "U", "geom": at((3, 1))})
    served.put(
        "geohazard-points",
        {"code": "H", "geom": f"POINT({TRAP[0]} {TRAP[1]})", "risk_level": 1},
    )
    sql(served, "DELETE FROM rescue_teams WHERE code = 'T'")
    found = {one["id"]: one["arrival_s"] for one in ask(served, minutes=1)["uncovered"]}
    hazards = ids(served, "geohazard-points")
    assert found == {hazards["G"]: 180, hazards["H"]: 240}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("minutes=0", "minutes"),
        ("minutes=60.01", "minutes"),
        ("minutes=nan", "minutes"),
        ("minutes=x", "minutes"),
        ("limit=-1", "limit"),
        ("limit=2001", "limit"),
        ("limit=1.5", "limit"),
        ("kind=x", "kind"),
        ("minutes=5&minutes=6", "minutes"),
    ],
)
def test_a_bad_question_names_its_parameter(town: Any, query: str, parameter: str) -> None:
    _, served = town
    answer = served.client.get(f"/analysis/coverage?{query}")
    assert answer.status_code == 400 and answer.json()["parameter"] == parameter


def test_without_city_or_roads_it_says_what_to_run(cluster: Cluster, migrated: str) -> None:
    for city, command in ((False, "riskmap city init"), (True, "riskmap roads import")):
        with serving(cluster, migrated, city=city) as served:
            answer = served.get("/analysis/coverage")
            assert answer.status_code == 503 and command in answer.json()["detail"]


def test_a_city_without_features_or_teams_has_shares_of_nothing(served: Served) -> None:
    body = ask(served)
    assert body["teams"] == {"available": 0, "away": 0}
    assert body["population"] == {"count": 0, "covered": 0}
    assert body["method"] and body["network_revision"] and body["speed_source"]
    assert body["synthetic"] is False
