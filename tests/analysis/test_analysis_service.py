"""Response circles and reach over a city whose times can be said aloud."""

from __future__ import annotations

import errno
import fcntl
import itertools
import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from sqlalchemy import text
from starlette.testclient import TestClient

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import (  # noqa: E402
    COLUMNS,
    ROWS,
    SECONDS,
    SPUR_END,
    SPURS,
    TRAP,
    build,
    node,
    place,
    streets,
)

from api_help import Served, serving, settled  # noqa: E402
from riskmap.app import create_app  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402
from riskmap.roads import graphs  # noqa: E402
from riskmap.roads.graph import RoadGraph  # noqa: E402

NOW = {"call_handling_s": 0, "turnout_s": 0, "setup_s": 0}
START = place(0)


def at(lonlat: tuple[float, float]) -> str:
    return f"POINT({lonlat[0]} {lonlat[1]})"


def strip(first: float, last: float, *, row: float = 0) -> str:
    """An area over the street of a row between two columns."""
    (w, s), (e, n) = place(first, row - 0.3), place(last, row + 0.3)
    return f"MULTIPOLYGON((({w} {s},{e} {s},{e} {n},{w} {n},{w} {s})))"


def fill(served: Served) -> None:
    served.put(
        "population-cells",
        *(
            {"code": f"{c}/{r}", "geom": at(place(c, r)), "population": 1 + c + 100 * r}
            for c in range(COLUMNS)
            for r in range(ROWS)
        ),
    )
    levels = {2: 1, 3: 1, 4: 2, 6: 3, 8: 4, 9: None, 12: None}
    served.put(
        "geohazard-points",
        *(
            {"code": f"G{c}", "geom": at(place(c)), "risk_level": level, "threatened_persons": c}
            for c, level in levels.items()
        ),
    )
    served.put(
        "shelters",
        *(
            {"code": name, "geom": at(SPUR_END[name]), "capacity_persons": seconds}
            for name, seconds in SPURS.items()
        ),
        {"code": "unknown size", "geom": at(place(1))},
        {"code": "far away", "geom": "POINT(120.9 36.9)", "capacity_persons": 10_000},
    )
    # Touched at column 10.5, and reaching far beyond.
    served.put("flood-impact-areas", {"code": "F", "geom": strip(10.5, 13), "risk_level": 1})
    (x, y), (x1, y1) = place(5.5, -0.5), place(5.5, 0.4)
    served.put("fault-lines", {"code": "L", "geom": f"MULTILINESTRING(({x} {y},{x1} {y1}))"})
    served.put(
        "rescue-teams",
        {"code": "near", "geom": at(place(8)), "kind": "fire_station", "personnel": 30},
        {"code": "nearer, slow", "geom": at(place(9)), "kind": "other", "turnout_s": 400},
        {"code": "micro", "geom": at(place(7)), "kind": "micro_station", "duty_status": "on_duty"},
        {"code": "off", "geom": at(place(10)), "kind": "fire_station", "duty_status": "off"},
        {"code": "gone", "geom": at(place(11)), "duty_status": "dispatched"},
        {"code": "trapped", "geom": at(TRAP), "kind": "fire_station"},
        {"code": "volunteers", "geom": at(place(10, 1)), "kind": "volunteer"},
        {"code": "no road", "geom": "POINT(120.9 36.9)", "kind": "fire_station"},
    )


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        fill(found)
        yield found


@pytest.fixture
def writable(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        fill(found)
        yield found


def ask(served: Served, **body: Any) -> Any:
    body = {"points": [START], **NOW, **body}
    return served.client.post("/analysis/response-circles", json=body)


def circle(served: Served, **body: Any) -> dict[float, dict[str, Any]]:
    """Return the properties of each band by its minutes."""
    answer = ask(served, **body)
    assert answer.status_code == 200, answer.text
    return {f["properties"]["minutes"]: f["properties"] for f in answer.json()["features"]}


def reach(served: Served, where: tuple[float, float], **query: Any) -> dict[str, Any]:
    answer = served.get("/analysis/reach", lon=where[0], lat=where[1], **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sql(served: Served, statement: str) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(text(statement))


# ---------------------------------------------------------------- circles


@pytest.mark.parametrize(("column", "row"), [(0, 0), (10, 2), (20, 4), (3, 1)])
def test_people_are_those_that_arithmetic_reaches(served: Served, column: int, row: int) -> None:
    """Manhattan distance times a minute: nothing else decides on this grid."""
    minutes = [1, 2, 5, 10, 15, 24]
    found = circle(served, points=[place(column, row)], minutes=minutes)
    for limit in minutes:
        expected = sum(
            1 + c + 100 * r
            for c in range(COLUMNS)
            for r in range(ROWS)
            if abs(c - column) + abs(r - row) <= limit
        )
        assert found[limit]["people"] == expected


def test_people_are_those_that_scipy_reaches(served: Served) -> None:
    """Two starts, half a block off the crossings, one of them on a one-way street."""
    known = sorted({n for s in streets() for n in s[:2]})
    index = {n: k for k, n in enumerate(known)}
    source = len(known)  # two more nodes: the starts
    arcs = []
    for one, other, _, _, kind, oneway in streets():
        arcs.append((index[one], index[other], SECONDS[kind]))
        if oneway == "both":
            arcs.append((index[other], index[one], SECONDS[kind]))
    # Start 1: half way between (6, 3) and (7, 3). Start 2: half way down the one-way street.
    arcs += [(source, index[node(6, 3)], 30), (source, index[node(7, 3)], 30)]
    arcs += [(source + 1, index[950], 30)]
    size = len(known) + 2
    weights = csr_array(
        ([a[2] for a in arcs], ([a[0] for a in arcs], [a[1] for a in arcs])), shape=(size, size)
    )
    least = dijkstra(weights, indices=[source, source + 1], min_only=True)
    starts = [place(6.5, 3), place(3, -0.5)]
    minutes = [m + 0.75 for m in range(12)]  # 45 s past: no rounding of a half block matters
    found = circle(served, points=starts, minutes=minutes)
    for limit in minutes:
        expected = sum(
            1 + c + 100 * r
            for c in range(COLUMNS)
            for r in range(ROWS)
            if least[index[node(c, r)]] <= limit * 60
        )
        assert found[limit]["people"] == expected


def test_the_limit_itself_is_inside(served: Served) -> None:
    """899, 900 and 901 s from the start, asked for 15 minutes and a second more or less."""
    found = circle(served, minutes=[898.999 / 60, 899 / 60, 899.999 / 60, 15, 901 / 60])
    counts = [found[m]["layers"]["shelters"]["count"] for m in sorted(found)]
    assert counts == [1, 2, 2, 3, 4]  # one more is next to the start
    shelters = found[15]["layers"]["shelters"]
    assert shelters["people"] == 59 + 60 and shelters["people_unknown"] == 1


def test_phases_eat_into_the_limit_to_the_second(served: Served) -> None:
    for spent, count in ((59, 4), (60, 3), (60.001, 2), (61, 2), (61.001, 1)):
        for phases in (
            {"call_handling_s": spent},
            {"turnout_s": spent},
            {"setup_s": spent},
            {"call_handling_s": 20, "turnout_s": 20, "setup_s": spent - 40},
        ):
            band = circle(served, minutes=[16], **phases)[16]
            assert band["layers"]["shelters"]["count"] == count
            assert band["travel_s"] == pytest.approx(960 - spent)


def test_hazards_are_counted_by_level_and_not_assessed_is_no_low(served: Served) -> None:
    found = circle(served, minutes=[1, 3, 8, 9, 15])
    expected = {
        1: {"1": 0, "2": 0, "3": 0, "4": 0, "null": 0},
        3: {"1": 2, "2": 0, "3": 0, "4": 0, "null": 0},
        8: {"1": 2, "2": 1, "3": 1, "4": 1, "null": 0},
        9: {"1": 2, "2": 1, "3": 1, "4": 1, "null": 1},
        15: {"1": 2, "2": 1, "3": 1, "4": 1, "null": 2},
    }
    for minutes, levels in expected.items():
        hazards = found[minutes]["layers"]["geohazard-points"]
        assert hazards["by_risk_level"] == levels
        assert hazards["count"] == sum(levels.values())
    assert found[15]["layers"]["geohazard-points"]["people"] == 2 + 3 + 4 + 6 + 8 + 9 + 12
    assert "by_risk_level" not in found[15]["layers"]["shelters"]
    assert set(found[15]["layers"]) >= {"risk-records", "supply-depots", "major-hazard-sources"}
    assert found[15]["layers"]["risk-records"]["count"] == 0


def test_people_of_every_minute_and_of_the_bands_agree(served: Served) -> None:
    """Fractions add up to the same people minute by minute and band by band."""
    for spent in (0, 60, 120, 200):
        answer = ask(served, points=[place(3, 2)], minutes=[2, 7, 12.5], call_handling_s=spent)
        body = answer.json()
        people = body["people_by_minute"]
        assert len(people) == 13
        expected = [
            sum(
                1 + c + 100 * r
                for c in range(COLUMNS)
                for r in range(ROWS)
                if (abs(c - 3) + abs(r - 2)) * 60 + spent <= minute * 60
            )
            for minute in range(13)
        ]
        assert people == expected
        for feature in body["features"]:
            band = feature["properties"]
            if band["minutes"] == int(band["minutes"]):
                assert people[int(band["minutes"])] == band["people"]


def test_fractions_of_people_add_up_alike(writable: Served) -> None:
    """A tenth is no binary fraction: sums in another order would round another way."""
    sql(writable, "UPDATE population_cells SET population = population * 0.1 + 0.05")
    body = ask(writable, minutes=[float(m) for m in range(1, 13)]).json()
    for feature in body["features"]:
        band = feature["properties"]
        assert body["people_by_minute"][int(band["minutes"])] == band["people"]


def test_free_places_are_those_of_shelters_that_take_people_in(writable: Served) -> None:
    sql(writable, "DELETE FROM shelters")
    rows = [
        (1, 100, 30, "open"), (2, 50, None, "standby"), (3, 40, 60, "open"), (4, 500, 0, "closed"),
        (5, None, 0, "open"), (6, 70, 0, None), (7, 80, 0, "full"), (8, 90, 90, "standby"),
        (9, 10, 1, "open"),
    ]  # fmt: skip
    writable.put(
        "shelters",
        *(
            {"code": f"S{c}", "geom": at(place(c)), "capacity_persons": most,
             "current_occupancy": there, "open_status": state}
            for c, most, there, state in rows
        ),
    )  # fmt: skip
    found = circle(writable, minutes=[1, 2, 8, 9])
    free = {m: band["layers"]["shelters"]["free"] for m, band in found.items()}
    assert free == {1: 70, 2: 120, 8: 120, 9: 129}
    assert all("free" not in band["layers"]["geohazard-points"] for band in found.values())


def test_areas_and_lines_are_reached_where_they_are_touched(served: Served) -> None:
    """The area begins half way between columns 10 and 11 (630 s), the line crosses at 5.5."""
    found = circle(served, minutes=[5.25, 5.75, 10.25, 10.75])
    lines = [found[m]["layers"]["fault-lines"]["count"] for m in sorted(found)]
    areas = [found[m]["layers"]["flood-impact-areas"]["count"] for m in sorted(found)]
    assert lines == [0, 1, 1, 1]
    assert areas == [0, 0, 0, 1]


def test_bands_nest_and_the_widest_comes_first(served: Served) -> None:
    answer = ask(served, points=[place(10, 2)], minutes=[5, 1, 3, 5]).json()
    assert [f["properties"]["minutes"] for f in answer["features"]] == [5, 3, 1]
    shapes = [shapely.geometry.shape(f["geometry"]) for f in answer["features"]]
    for wide, narrow in itertools.pairwise(shapes):
        assert wide.is_valid and narrow.is_valid
        assert wide.covers(narrow)
        assert wide.area > narrow.area > 0
    for shape in shapes:
        assert shape.covers(shapely.Point(place(10, 2)))
    # A drawing is true to a cell of 75 m: half a block inside the 3 minutes, and far outside.
    assert shapes[1].covers(shapely.Point(place(12.5, 2)))
    assert not shapes[1].covers(shapely.Point(place(15, 2)))
    for feature in answer["features"]:
        for polygon in feature["geometry"]["coordinates"]:
            for ring in polygon:
                assert ring[0] == ring[-1]
                for lon, lat in ring:
                    assert 120 <= lon <= 121 and 36 <= lat <= 37
                    assert (round(lon, 7), round(lat, 7)) == (lon, lat)


def test_an_answer_says_how_it_came_about(served: Served) -> None:
    answer = ask(served).json()
    assert answer["method"] == "network_free_flow"
    assert answer["profile"] == "emergency"
    assert "grid" in answer["speed_source"]
    assert answer["network_revision"] == served.get("/readyz").json()["roads"]["revision"]
    assert answer["synthetic"] is False
    (start,) = answer["starts"]
    assert (start["lon"], start["lat"]) == START
    assert start["snapped"] == pytest.approx(START, abs=1e-7)
    assert start["snap_distance_m"] == 0
    assert "Server-Timing" in ask(served).headers


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, ("default", "emergency", 60, 60, 0)),
        ("default", ("default", "emergency", 60, 60, 0)),
        ("micro_station", ("micro_station", "emergency", 60, 30, 0)),
        ("volunteer", ("volunteer", "ordinary", 60, 240, 0)),
        ("fire_station", ("default", "emergency", 60, 60, 0)),
    ],
)
def test_each_kind_of_team_has_its_phases(served: Served, kind: str, expected: Any) -> None:
    body = {"points": [START], "minutes": [15], **({"kind": kind} if kind else {})}
    answer = served.client.post("/analysis/response-circles", json=body).json()
    phases = answer["phases"]
    names = ("call_handling_s", "turnout_s", "setup_s")
    assert (phases["kind"], answer["profile"], *(phases[n] for n in names)) == expected
    assert phases["source"]
    own = served.client.post(
        "/analysis/response-circles", json={**body, "turnout_s": 0, "profile": "emergency"}
    ).json()
    assert own["phases"]["turnout_s"] == 0 and own["profile"] == "emergency"
    assert own["phases"]["call_handling_s"] == expected[2]
    band = answer["features"][0]["properties"]
    assert band["travel_s"] == 900 - sum(expected[2:])


def test_the_profile_decides_the_speed(served: Served) -> None:
    fast, slow = (circle(served, minutes=[10], profile=p)[10] for p in ("emergency", "ordinary"))
    half = circle(served, minutes=[5], profile="emergency")[5]
    assert slow["people"] == half["people"] < fast["people"]


def test_a_band_that_the_phases_leave_no_time_for_is_empty(served: Served) -> None:
    answer = ask(served, minutes=[1, 2, 3, 5], call_handling_s=100, turnout_s=80.001)
    assert answer.status_code == 200, answer.text
    five, *others = answer.json()["features"]
    assert five["properties"]["people"] > 0
    assert len(others) == 3
    for feature in others:
        assert feature["geometry"] == {"type": "MultiPolygon", "coordinates": []}
        assert feature["properties"]["people"] == feature["properties"]["travel_s"] == 0
        assert all(one["count"] == 0 for one in feature["properties"]["layers"].values())
    none = ask(served, minutes=[1, 2], turnout_s=3600).json()
    assert [f["properties"]["people"] for f in none["features"]] == [0, 0]
    # Exactly no time left: the start itself is reached.
    assert circle(served, minutes=[3], turnout_s=180)[3]["people"] == 1


def test_minutes_that_round_to_one_millisecond_are_two_bands_all_the_same(served: Served) -> None:
    found = circle(served, minutes=[5, 5.000001])
    assert len(found) == 2 and found[5]["people"] == found[5.000001]["people"]


@pytest.mark.parametrize(
    ("body", "status", "parameter"),
    [
        ({"points": [[119.0, 36.5]]}, 400, "points[0]"),
        ({"points": [START, [36.5, 120.4]]}, 400, "points[1]"),
        ({"points": [[120.9, 36.9]]}, 422, "points"),
        ({"points": [[120.9, 36.9], [120.95, 36.9]]}, 422, "points[0]"),
        ({"points": []}, 400, "points"),
        ({"points": [START] * 1001}, 400, "points"),
        ({"points": [], "features": ["shelters"]}, 400, "features"),
        ({"points": [], "features": ["nothing/1"]}, 404, "features"),
        ({"points": [], "features": ["shelters/999"]}, 404, "features"),
        ({"points": [], "layer": "nothing"}, 404, "layer"),
        ({"points": [], "layer": "shelters", "filter": "capacity_persons >"}, 400, "filter"),
        ({"points": [], "layer": "shelters", "filter": "id = 0"}, 422, "filter"),
        ({"filter": "id = 0"}, 400, "layer"),
        ({"direction": "up"}, 400, "direction"),
        ({"overlap": "some"}, 400, "overlap"),
        ({"cutoff": "squares"}, 400, "cutoff"),
        ({"output": "png"}, 400, "output"),
        ({"f": "shp"}, 400, "f"),
        ({"cell_m": 9.9}, 400, "cell_m"),
        ({"access_m": 0}, 400, "access_m"),
        ({"hour": 8}, 400, "day_type"),
        ({"day_type": "workday"}, 400, "hour"),
        ({"day_type": "holiday", "hour": 8}, 400, "day_type"),
        ({"day_type": "workday", "hour": 24}, 400, "hour"),
        ({"minutes": []}, 400, "minutes"),
        ({"minutes": list(range(1, 14))}, 400, "minutes"),
        ({"minutes": [121]}, 400, "minutes"),
        ({"minutes": [120.0001]}, 400, "minutes"),
        ({"minutes": [0]}, 400, "minutes"),
        ({"minutes": [5, -1]}, 400, "minutes"),
        ({"call_handling_s": -1}, 400, "call_handling_s"),
        ({"turnout_s": 3601}, 400, "turnout_s"),
        ({"setup_s": -0.001}, 400, "setup_s"),
        ({"profile": "flying"}, 400, "profile"),
        ({"profile": ""}, 400, "profile"),
        ({"profile": "x\x00"}, 400, "profile"),
        ({"speed": 5}, 400, "speed"),
        ({"kind": 5}, 400, "kind"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_question_names_its_parameter(
    served: Served, body: dict[str, Any], status: int, parameter: str
) -> None:
    answer = ask(served, **body)
    assert (answer.status_code, answer.json().get("parameter")) == (status, parameter)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none_are_refused(served: Served, number: str) -> None:
    for body, parameter in (
        (f'{{"points": [[{number}, 36.5]]}}', "points"),
        (f'{{"points": [[120.4, {number}]]}}', "points"),
        (f'{{"points": [[120.4, 36.5]], "minutes": [{number}]}}', "minutes"),
        (f'{{"points": [[120.4, 36.5]], "turnout_s": {number}}}', "turnout_s"),
    ):
        answer = served.client.post(
            "/analysis/response-circles",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["parameter"].startswith(parameter)


def test_swapped_coordinates_get_a_hint(served: Served) -> None:
    assert ask(served, points=[[36.5, 120.4]]).json()["type"].endswith("outside_swapped")
    assert ask(served, points=[[20, 20]]).json()["type"].endswith("response.outside")
    assert ask(served, points=[[120.9, 36.9]]).json()["type"].endswith("response.far")


def test_what_is_the_most_is_allowed(served: Served) -> None:
    assert ask(served, points=[START] * 100, minutes=[*range(1, 12), 120]).status_code == 200


def test_of_many_starts_the_nearest_counts(served: Served) -> None:
    one, other, both = (
        circle(served, points=points, minutes=[3])[3]["people"]
        for points in ([place(0)], [place(20)], [place(0), place(20)])
    )
    assert both == one + other


# ---------------------------------------------------------------- reach


def test_teams_come_in_the_order_of_their_arrival(served: Served) -> None:
    """Call handling and turnout are 60 s each, 30 s for the micro station's turnout."""
    found = reach(served, place(5))
    names = [(team["code"], team["arrival_s"]) for team in found["teams"]]
    assert names == [
        ("micro", 60 + 30 + 2 * 60),
        ("near", 60 + 60 + 3 * 60),
        ("nearer, slow", 60 + 400 + 4 * 60),
    ]
    assert [(t["code"], t["arrival_s"]) for t in found["unavailable"]] == [
        ("off", 120 + 300),
        ("gone", 120 + 360),
    ]
    for team in found["teams"]:
        phases = team["phases"]
        parts = ("call_handling_s", "turnout_s", "travel_s", "setup_s")
        assert sum(phases[part] for part in parts) == team["arrival_s"]
    by_code = {team["code"]: team for team in found["teams"]}
    assert by_code["nearer, slow"]["phases"]["turnout_source"] == "team"
    assert by_code["near"]["phases"]["turnout_source"] != "team"
    assert by_code["near"]["personnel"] == 30
    assert "contact_phone" not in by_code["near"]
    assert found["snap_distance_m"] == 0 and found["method"] and found["network_revision"]


def test_the_last_minute_is_inside_and_the_next_second_is_not(served: Served) -> None:
    assert [t["code"] for t in reach(served, place(5), minutes=5)["teams"]] == ["micro", "near"]
    within = reach(served, place(5), minutes=299.999 / 60)
    assert [t["code"] for t in within["teams"]] == ["micro"]
    assert reach(served, place(5), minutes=0.01)["teams"] == []


def test_one_way_streets_lead_one_way(served: Served) -> None:
    """The trap is entered from column 3; the team in it comes to nobody but itself."""
    assert "trapped" not in {t["code"] for t in reach(served, place(3), minutes=120)["teams"]}
    there = {t["code"]: t["arrival_s"] for t in reach(served, TRAP, minutes=120)["teams"]}
    assert there["trapped"] == 120
    assert there["near"] == 120 + 5 * 60 + 60
    assert circle(served, points=[TRAP], minutes=[120])[120]["people"] == 0


def test_a_kind_moves_by_its_own_profile(served: Served) -> None:
    """Volunteers drive as others do: blocks take 120 s, and turnout 240 s."""
    found = {t["code"]: t for t in reach(served, place(10), minutes=15)["teams"]}
    assert found["volunteers"]["profile"] == "ordinary"
    assert found["volunteers"]["arrival_s"] == 60 + 240 + 120
    assert found["near"]["profile"] == "emergency"
    assert found["near"]["arrival_s"] == 120 + 120


def test_a_circle_and_reach_agree(served: Served) -> None:
    """A place that the circle of a team holds is one that the team reaches in that time."""
    for column in range(0, COLUMNS, 4):
        team = next(
            (t for t in reach(served, place(column), minutes=60)["teams"] if t["code"] == "near"),
        )
        minutes = team["arrival_s"] / 60
        body = {"points": [place(8)], "kind": "fire_station", "minutes": [minutes - 1e-4, minutes]}
        answer = served.client.post("/analysis/response-circles", json=body).json()
        wide, narrow = (f["properties"]["people"] for f in answer["features"])
        assert wide - narrow >= 1 + column


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({}, 400, "lon"),
        ({"lon": 120.4}, 400, "lat"),
        ({"lon": "x", "lat": 36.5}, 400, "lon"),
        ({"lon": "nan", "lat": 36.5}, 400, "lon"),
        ({"lon": 120.4, "lat": "inf"}, 400, "lat"),
        ({"lon": 119, "lat": 36.5}, 400, "lon,lat"),
        ({"lon": 36.5, "lat": 120.4}, 400, "lon,lat"),
        ({"lon": 120.9, "lat": 36.9}, 422, "lon,lat"),
        ({"lon": 120.4, "lat": 36.5, "minutes": 0}, 400, "minutes"),
        ({"lon": 120.4, "lat": 36.5, "minutes": 121}, 400, "minutes"),
        ({"lon": 120.4, "lat": 36.5, "minutes": "nan"}, 400, "minutes"),
        ({"lon": 120.4, "lat": 36.5, "bbox": 1}, 400, "bbox"),
    ],
    ids=str,
)
def test_reach_names_what_is_wrong(
    served: Served, query: dict[str, Any], status: int, parameter: str
) -> None:
    answer = served.get("/analysis/reach", **query)
    assert (answer.status_code, answer.json().get("parameter")) == (status, parameter)


# ---------------------------------------------------------------- edits are seen


def test_an_edit_of_speeds_or_streets_is_in_the_next_answer(writable: Served) -> None:
    first = ask(writable, minutes=[4]).json()
    people = [first["features"][0]["properties"]["people"]]
    revisions = [first["network_revision"]]
    for edit in (
        "UPDATE road_speeds SET speed_kmh = speed_kmh / 2 WHERE road_class ~ '^[hv][0-9]'",
        "DELETE FROM road_edges WHERE road_class ~ '^v'",
        f"UPDATE road_edges SET oneway = 'backward' WHERE from_node = {node(0)}",
    ):
        sql(writable, edit)
        answer = settled(lambda: ask(writable, minutes=[4])).json()
        people.append(answer["features"][0]["properties"]["people"])
        revisions.append(answer["network_revision"])
    grid = {(c, r): 1 + c + 100 * r for c in range(COLUMNS) for r in range(ROWS)}
    assert people == [
        sum(v for (c, r), v in grid.items() if c + r <= 4),
        sum(v for (c, r), v in grid.items() if c + r <= 2),
        sum(v for (c, r), v in grid.items() if r == 0 and c <= 2),
        1,
    ]
    assert len(set(revisions)) == 4
    assert writable.get("/readyz").json()["roads"]["revision"] == revisions[-1]


def test_an_answer_says_that_a_newer_network_is_being_prepared(
    writable: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "PATIENCE_S", 1.0)
    first = ask(writable, minutes=[4]).json()
    assert first["network_pending"] is reach(writable, START)["network_pending"] is False
    folder = writable.app.state.context.analysis.ground.graphs._folder
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else builds, and takes his time
        sql(writable, "DELETE FROM road_edges WHERE road_class ~ '^v'")
        answer = ask(writable, minutes=[4]).json()
        stored = writable.get("/readyz").json()["roads"]["revision"]
        assert answer["network_revision"] == first["network_revision"] != stored
        assert answer["network_pending"] is True
        assert answer["features"] == first["features"]
        assert reach(writable, START)["network_pending"] is True
    answer = settled(lambda: ask(writable, minutes=[4])).json()
    assert answer["network_revision"] == stored
    assert answer["features"] != first["features"]


def test_an_edit_of_features_is_in_the_next_answer(writable: Served) -> None:
    def counts() -> tuple[int, int, int]:
        band = circle(writable, minutes=[4])[4]
        hazards = band["layers"]["geohazard-points"]
        return band["people"], hazards["count"], hazards["by_risk_level"]["1"]

    people, hazards, major = counts()
    writable.put("geohazard-points", {"code": "new", "geom": at(place(1)), "risk_level": 1})
    assert counts() == (people, hazards + 1, major + 1)
    sql(writable, "UPDATE geohazard_points SET risk_level = NULL WHERE code = 'new'")
    assert counts() == (people, hazards + 1, major)
    sql(writable, f"UPDATE geohazard_points SET geom = '{SRID}{at(place(20))}' WHERE code = 'new'")
    assert counts() == (people, hazards, major)
    sql(writable, "DELETE FROM geohazard_points; TRUNCATE population_cells")
    assert counts() == (0, 0, 0)
    sql(writable, "UPDATE rescue_teams SET duty_status = 'off' WHERE code = 'near'")
    found = reach(writable, place(5))
    assert "near" in {team["code"] for team in found["unavailable"]}


SRID = "SRID=4326;"


def test_phases_are_data(writable: Served) -> None:
    sql(writable, "UPDATE response_phases SET turnout_s = 0 WHERE kind = 'default'")
    sql(
        writable,
        "INSERT INTO response_phases VALUES ('fire_station', 'ordinary', 10, 20, 30, 'here')",
    )
    found = {t["code"]: t for t in reach(writable, place(6))["teams"]}
    assert found["near"]["arrival_s"] == 60 + 240
    assert found["near"]["profile"] == "ordinary"
    assert found["near"]["phases"]["turnout_source"] == "here"
    off = {t["code"]: t for t in reach(writable, place(11))["unavailable"]}
    assert off["gone"]["arrival_s"] == 60


def test_without_roads_the_answer_says_what_to_run(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as bare:
        for answer in (ask(bare), bare.get("/analysis/reach", lon=START[0], lat=START[1])):
            assert answer.status_code == 503
            assert "riskmap roads import" in answer.json()["detail"]


def test_roads_without_features_count_nothing(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as bare:
        build(bare.database)
        band = circle(bare, minutes=[5])[5]
        assert band["people"] == 0 and band["area_km2"] > 0
        assert all(one["count"] == 0 for one in band["layers"].values())
        assert reach(bare, START)["teams"] == []


def test_threads_agree(writable: Served) -> None:
    """Cold caches, many threads, three questions: each has one answer."""
    questions = [place(c, 2) for c in (0, 10, 20)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda n: ask(writable, points=[questions[n % 3]]).json(), range(36))
        )
    for n, answer in enumerate(answers):
        assert answer == answers[n % 3]
    assert answers[0] != answers[1] != answers[2]
    assert not any(math.isnan(v) for v in np.ravel(answers[0]["starts"][0]["snapped"]))


def test_a_kind_that_nobody_knows_is_refused(served: Served) -> None:
    body = {"points": [START], "kind": "fire_sation"}
    answer = served.client.post("/analysis/response-circles", json=body)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "kind")
    assert "fire_station" in answer.json()["detail"]


def test_whoever_waits_for_a_graph_holds_no_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that takes long: the others are told to come back, and the pool stays free."""
    monkeypatch.setattr(graphs, "PATIENCE_S", 0.05)
    app = create_app(served.settings)
    service = app.state.context.analysis
    held = service.ground.graphs._lock  # somebody else is building
    with TestClient(app) as client, held:
        for _ in range(served.settings.pool_size + 2):
            answer = client.post("/analysis/response-circles", json={"points": [START]})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert service.ground.database.engine.pool.checkedout() == 0
        assert client.get("/readyz").status_code == 200
    monkeypatch.undo()  # the start makes the graphs ready at the same time
    with TestClient(app) as client:
        assert client.post("/analysis/response-circles", json={"points": [START]}).is_success


def test_a_graph_that_cannot_be_kept_still_answers(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RoadGraph, "save", full)
    settings = served.settings.model_copy(update={"data_dir": tmp_path / "empty"})
    with TestClient(create_app(settings)) as client:
        answer = client.post("/analysis/response-circles", json={"points": [START]})
    assert answer.is_success, answer.text


def test_a_team_off_the_road_starts_at_once_in_circle_and_reach(served: Served) -> None:
    """Neither charges the start's walk to its own road; both charge the place's."""
    off, on = place(4.4, 0.05), place(4.4, 0)
    body = {"points": [off], "minutes": [30], **NOW}
    circle = served.client.post("/analysis/response-circles", json=body).json()
    assert circle["starts"][0]["snap_distance_m"] > 1
    served.put("rescue-teams", {"code": "off-road", "geom": at(off), "kind": "fire_station"})
    try:
        teams = reach(served, on, minutes=60)["teams"]
        found = next(team for team in teams if team["code"] == "off-road")
        assert found["phases"]["travel_s"] <= 0.002  # two roundings of one place
    finally:
        with served.database.write(Actor("test")) as session:
            session.execute(text("DELETE FROM rescue_teams WHERE code = 'off-road'"))
