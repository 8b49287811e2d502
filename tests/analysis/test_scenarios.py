"""Scenarios over a city whose times can be said aloud."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import STEP, build, place  # noqa: E402

from api_help import Served, serving  # noqa: E402
from riskmap.analysis.scenario_shapes import MAX_VERTICES  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402

TEAMS, HAZARDS = "rescue-teams", "geohazard-points"
# Call handling 60 s, turnout 15 s.
BEFORE_S = 75
# Hazards in the middle of a block of row 0, by their column; G0 also tells people.
COLUMNS = {"G2": 2.5, "G5": 5.5, "G8": 8.5, "G15": 15.5}


def at(column: float, row: float = 0) -> str:
    lon, lat = place(column, row)
    return f"POINT({lon} {lat})"


def sql(served: Served, statement: str, **values: Any) -> list[Any]:
    with served.database.own(Actor("test")) as session:
        found = session.execute(text(statement), values)
        return list(found.scalars()) if found.returns_rows else []


def edge(served: Served, column: float, row: int = 0, *, north: bool = False) -> int:
    """Return the id of the block that begins at a crossing and goes east, or north."""
    lon, lat = place(column, row + 0.5) if north else place(column + 0.5, row)
    (found,) = sql(
        served,
        "SELECT id FROM road_edges ORDER BY geom <-> ST_Point(:lon, :lat, 4326) LIMIT 1",
        lon=lon,
        lat=lat,
    )
    return int(found)


def area(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """Return the GeoJSON of a box between columns and rows."""
    (w, s), (e, n) = place(west, south), place(east, north)
    return {"type": "Polygon", "coordinates": [[[w, s], [e, s], [e, n], [w, n], [w, s]]]}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        # A bridge in row 1 between the columns 7 and 8.
        sql(found, "UPDATE road_edges SET bridge = true WHERE id = :id", id=edge(found, 7, 1))
        sql(
            found,
            "INSERT INTO road_time_factors (profile, road_class, day_type, hour, factor, source)"
            " VALUES ('emergency', '*', 'restday', 3, 0.5, 'test')",
        )
        # Not at a crossing: a team stands on a road that can be closed.
        for code, column, row in (("A", 0.5, 0), ("B", 20, 4)):
            found.put(
                TEAMS,
                {"code": code, "name": f"队{code}", "geom": at(column, row),
                 "kind": "fire_station", "turnout_s": 15, "duty_status": "on_duty"},
            )  # fmt: skip
        for level, (code, column) in enumerate(COLUMNS.items(), 1):
            found.put(
                HAZARDS,
                {"code": code, "name": code, "geom": at(column), "risk_level": level,
                 "threatened_persons": 10 * level},
            )  # fmt: skip
        found.put("population-cells", {"code": "P", "geom": at(8.5), "population": 100})
        yield found


@pytest.fixture(scope="module")
def ids(served: Served) -> dict[str, int]:
    return {
        feature["properties"]["code"]: feature["id"]
        for layer in (TEAMS, HAZARDS)
        for feature in served.items(layer)
    }


def compared(served: Served, scenario: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = served.client.post("/analysis/scenarios/compare", json={"scenario": scenario, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def whole(seconds: float | None) -> int | None:
    """Take off the millisecond that walking a hair's breadth from the road's line takes."""
    assert seconds is None or abs(seconds - round(seconds)) <= 0.005, seconds
    return None if seconds is None else round(seconds)


def seconds(body: dict[str, Any], kind: str) -> dict[str, tuple[int | None, int | None]]:
    return {one["name"]: (whole(one["base_s"]), whole(one["arrival_s"])) for one in body[kind]}


def circle(served: Served, **more: Any) -> Any:
    body = {"points": [place(0)], "minutes": [10], "kind": "fire_station", **more}
    return served.client.post("/analysis/response-circles", json=body)


def reach(served: Served, column: float, row: float = 0, **more: Any) -> Any:
    lon, lat = place(column, row)
    return served.get("/analysis/reach", lon=lon, lat=lat, minutes=60, **more)


def arrivals(answer: Any, name: str = "teams") -> dict[str, float]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: whole(one["arrival_s"]) for one in answer.json()[name]}


# ---------------------------------------------------------------- nothing


def test_an_empty_scenario_is_none(served: Served) -> None:
    """The same bytes, whether it is sent or stored."""
    made = store(served, "空 empty", {})
    for scenario in ({}, {"closed_edges": [], "teams_added": []}, made["id"]):
        assert circle(served, scenario=scenario).content == circle(served).content
        text_ = json.dumps(scenario)
        assert reach(served, 4, scenario=text_).content == reach(served, 4).content
        plain = served.get("/analysis/coverage")
        assert served.get("/analysis/coverage", scenario=text_).content == plain.content
    body = compared(served, {})
    assert "scenario" not in body and body["counts"] == dict.fromkeys(
        ("out_of_reach", "in_reach", "later", "earlier"), 0
    )
    assert body["layers"][HAZARDS]["covered"] == body["layers"][HAZARDS]["covered_base"]


# ---------------------------------------------------------------- roads


def test_a_closed_road_costs_the_way_round(served: Served) -> None:
    """From (0.5, 0) to (8.5, 0) are 8 blocks: 480 s; with (7, 0)-(8, 0) closed two more."""
    shut = {"closed_edges": [edge(served, 7)]}
    assert arrivals(reach(served, 8.5))["队A"] == BEFORE_S + 480
    assert arrivals(reach(served, 8.5, scenario=json.dumps(shut)))["队A"] == BEFORE_S + 600
    body = compared(served, shut, minutes=10)
    assert seconds(body, "out_of_reach") == {"G8": (555, 675)}
    assert body["out_of_reach"][0]["later_s"] == 120
    assert body["out_of_reach"][0]["base_team"]["name"] == "队A"
    # G15 is nearer to B, from (20, 4): 4.5 + 4 blocks.
    assert body["counts"] == {"out_of_reach": 1, "in_reach": 0, "later": 0, "earlier": 0}
    assert body["layers"][HAZARDS]["people"]["out_of_reach"] == 30
    assert body["layers"][HAZARDS]["later_s_max"] == 120
    assert body["population"]["people"] == {
        "covered_base": 100, "covered": 0, "out_of_reach": 100,
        "in_reach": 0, "later": 0, "earlier": 0,
    }  # fmt: skip
    # Within 15 minutes it is in reach still, but later.
    body = compared(served, shut)
    assert seconds(body, "later") == {"G8": (555, 675)} and not body["out_of_reach"]
    revision = body["base"]["network_revision"]
    assert body["scenario"]["base_network_revision"] == revision
    assert body["network_revision"] == f"{revision}+{body['scenario']['digest']}"
    assert body["scenario"]["edges_closed"] == 1 and body["scenario"]["warnings"] == []


def test_what_stands_on_a_closed_road_is_reached_by_nobody(served: Served) -> None:
    body = compared(served, {"closed_edges": [edge(served, 5)]})
    (lost,) = body["out_of_reach"]
    assert (lost["name"], lost["arrival_s"], lost["later_s"], lost["team"]) == (
        "G5", None, None, None,
    )  # fmt: skip
    assert lost["reason"] == "road_closed" and whole(lost["base_s"]) == BEFORE_S + 300


def test_the_stored_network_stays_as_it_is(served: Served) -> None:
    before = circle(served).content
    assert circle(served, scenario={"closed_polygons": [area(-1, -2, 21, 5)]}).status_code == 200
    assert circle(served).content == before


def test_a_circle_of_a_scenario(served: Served) -> None:
    """135 s before travel leave 465 s: 7 blocks and three quarters; a wall stands at 3.5."""
    wall = {"closed_polygons": [area(3.4, -0.5, 3.6, 4.5)]}
    answer = circle(served, scenario=wall)
    assert answer.status_code == 200, answer.text
    plain = circle(served).json()
    body = answer.json()
    inside = body["features"][0]["properties"]["layers"][HAZARDS]["count"]
    assert inside == 1 < plain["features"][0]["properties"]["layers"][HAZARDS]["count"]
    assert body["scenario"]["edges_closed"] == 5
    assert "scenario" not in plain


@pytest.mark.parametrize(
    ("box", "shut"),
    [
        ((7.2, -0.2, 7.8, 0.2), True),  # across
        ((4.9, -0.2, 6.1, 0.2), True),  # the block of column 5 lies wholly inside
        ((7.2, 0, 7.8, 0.3), True),  # its side lies along the road
        ((7.2, 0.01, 7.8, 0.3), False),  # beside
    ],
)
def test_touching_closes(served: Served, box: Any, shut: bool) -> None:
    later = {"G8": (555, 675)} if shut else {}
    body = compared(served, {"closed_polygons": [area(*box)]})
    assert seconds(body, "later") == later
    dry = [one["code"] for one in body["scenario"]["warnings"]]
    assert dry == ([] if shut else ["dry"])


def test_a_hole_is_open(served: Served, ids: dict[str, int]) -> None:
    """The block of G5, and a team in it, lie in the hole; the way out of it is shut."""
    lon, lat = place(5.2)
    inside = {"teams_moved": [{"id": ids["A"], "lon": lon, "lat": lat}]}
    outer, hole = area(4, -0.5, 7, 0.5), area(4.6, -0.3, 6.4, 0.3)
    ring = {"type": "Polygon", "coordinates": [*outer["coordinates"], *hole["coordinates"]]}
    body = compared(served, {"closed_polygons": [ring], **inside})
    assert seconds(body, "earlier")["G5"] == (375, BEFORE_S + 18)
    assert "G5" not in seconds(body, "out_of_reach")
    solid = compared(served, {"closed_polygons": [outer], **inside})
    assert seconds(solid, "out_of_reach")["G5"] == (375, None)
    assert solid["scenario"]["edges_closed"] == body["scenario"]["edges_closed"] + 1


def test_water_slows_and_blocks_by_depth(served: Served) -> None:
    """The table: 0.5 of the speed from 0.15 m, a quarter from 0.3 m, blocked from 0.6 m."""
    for depth, later in ((0, 0), (0.2, 60), (0.3, 120), (0.6, 120)):
        # At a quarter the block takes 240 s: the way round (120 s more) is shorter.
        flood = {"geometry": area(7.2, -0.2, 7.8, 0.2), "depth_m": depth}
        body = compared(served, {"flooded_polygons": [flood]})
        assert seconds(body, "later") == ({"G8": (555, 555 + later)} if later else {}), depth
        assert body["scenario"]["edges_slowed"] == (1 if 0 < depth < 0.6 else 0)
        assert body["scenario"]["edges_closed"] == (1 if depth == 0.6 else 0)
    two = [{"geometry": area(7.2, -0.2, 7.8, 0.2), "depth_m": depth} for depth in (0.2, 0.1)]
    assert seconds(compared(served, {"flooded_polygons": two}), "later") == {"G8": (555, 615)}


def test_a_bridge_over_water_is_dry_and_under_a_closure_is_not(served: Served) -> None:
    """Row 0 and the bridge of row 1 lie in the area; row 2 does not."""
    both = area(7.2, -0.2, 7.8, 1.2)
    flooded = compared(served, {"flooded_polygons": [{"geometry": both, "depth_m": 2}]})
    assert seconds(flooded, "later") == {"G8": (555, 675)}  # over the bridge
    shut = compared(served, {"closed_polygons": [both]})
    assert seconds(shut, "later") == {"G8": (555, 795)}  # by row 2


def test_another_hour(served: Served) -> None:
    asked = json.dumps({"hour": 3, "day_type": "restday"})
    assert arrivals(reach(served, 8.5, scenario=asked))["队A"] == BEFORE_S + 960
    free = json.dumps({"hour": 4, "day_type": "restday"})
    answer = reach(served, 8.5, scenario=free)
    assert arrivals(answer)["队A"] == BEFORE_S + 480
    assert answer.json()["hour"]["hour"] == 4 and answer.json()["method"] == "network_hour"
    twice = circle(served, scenario={"hour": 4}, hour=3, day_type="restday")
    assert twice.status_code == 400 and twice.json()["parameter"] == "hour"


# ---------------------------------------------------------------- teams


def test_teams_that_stand_otherwise(served: Served, ids: dict[str, int]) -> None:
    lon, lat = place(8.5)

    def asked(**scenario: Any) -> Any:
        return reach(served, 8.5, scenario=json.dumps(scenario))

    a = {"id": ids["A"], "layer": TEAMS}
    base = arrivals(reach(served, 8.5))
    assert base == {"队A": 555, "队B": BEFORE_S + 930}
    moved = asked(teams_moved=[{**a, "lon": lon, "lat": lat}])
    assert arrivals(moved) == {"队A": BEFORE_S, "队B": base["队B"]}
    assert moved.json()["teams"][0]["lon"] == lon
    assert arrivals(asked(teams_removed=[a])) == {"队B": base["队B"]}
    off = asked(teams_off_duty=[{"id": ids["A"]}])
    assert arrivals(off) == {"队B": base["队B"]}
    assert arrivals(off, "unavailable") == {"队A": base["队A"]}
    new = {"name": "新站", "kind": "fire_station", "turnout_s": 0, "lon": lon, "lat": lat}
    added = asked(teams_added=[new])
    assert arrivals(added) == {"新站": 60, **base}
    assert added.json()["teams"][0]["id"] == -1
    # Nothing of it stays.
    assert arrivals(reach(served, 8.5)) == base


def test_a_new_team_brings_somebody_into_reach(served: Served) -> None:
    lon, lat = place(15)
    new = {"name": "新站", "kind": "fire_station", "turnout_s": 15, "lon": lon, "lat": lat}
    body = compared(served, {"teams_added": [new]}, minutes=2)
    assert seconds(body, "in_reach") == {"G15": (585, 105)}
    assert body["in_reach"][0]["team"]["name"] == "新站"
    assert seconds(body, "earlier") == {"G8": (555, 465)}
    assert body["teams"] == {"available": 3, "away": 0}
    assert body["base"]["teams"] == {"available": 2, "away": 0}


def test_a_team_in_the_closed_area_does_not_leave_by_a_road_outside(served: Served) -> None:
    box = {"closed_polygons": [area(0.2, -0.2, 0.8, 0.2)]}
    answer = reach(served, 3, scenario=json.dumps(box))
    assert list(arrivals(answer)) == ["队B"]
    assert [one["code"] for one in answer.json()["scenario"]["warnings"]] == ["cut"]


def test_a_polygon_over_all_teams_is_answered_with_a_warning(
    served: Served, ids: dict[str, int]
) -> None:
    whole = {"closed_polygons": [area(-1, -2, 21, 5)], "teams_removed": [{"id": ids["B"]}]}
    body = compared(served, whole)
    assert body["layers"][HAZARDS]["covered"] == 0
    assert body["counts"]["out_of_reach"] == 4
    (said,) = body["scenario"]["warnings"]
    assert said["code"] == "all_cut" and said["of"] == 1
    assert {one["reason"] for one in body["out_of_reach"]} == {"road_closed"}


def test_lists_are_cut_and_counted(served: Served) -> None:
    whole = {"closed_polygons": [area(-1, -2, 21, 5)]}
    body = compared(served, whole, limit=2)
    assert [one["name"] for one in body["out_of_reach"]] == ["G2", "G5"]  # the gravest first
    assert body["counts"]["out_of_reach"] == 4


# ---------------------------------------------------------------- stored


def store(served: Served, name: str, scenario: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = served.client.post(
        "/analysis/scenarios",
        json={"name": name, "scenario": scenario, **more},
        headers=served.headers("editor"),
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(f"/analysis/scenarios/{answer.json()['id']}")
    return answer.json()


def test_a_scenario_is_stored_changed_and_deleted(served: Served) -> None:
    content = {"closed_edges": [edge(served, 7)]}
    made = store(served, "七号路 Road 7", content, note="演练")
    here = f"/analysis/scenarios/{made['id']}"
    shown = served.get(here)
    assert shown.json()["scenario"] == content and shown.headers["etag"] == '"1"'
    assert "created_by" not in shown.json()
    assert served.get(here, "reader").json()["created_by"]
    assert arrivals(reach(served, 8.5, scenario=made["id"]))["队A"] == 675
    body = served.client.post(f"{here}/compare", json={"minutes": 10}).json()
    assert seconds(body, "out_of_reach") == {"G8": (555, 675)}
    assert body["scenario"]["name"] == "七号路 Road 7"
    listed = served.get("/analysis/scenarios").json()["scenarios"]
    assert made["id"] in [one["id"] for one in listed] and "scenario" not in listed[0]

    changed = {"name": "七号路 Road 7", "scenario": {"closed_edges": [edge(served, 6)]}}

    def put(role: str | None, **headers: str) -> Any:
        return served.client.put(here, json=changed, headers={**served.headers(role), **headers})

    assert put(None).status_code == 401
    assert put("reader").status_code == 403
    assert put("analyst").status_code == 428
    assert put("analyst", **{"If-Match": '"7"'}).status_code == 412
    answer = put("analyst", **{"If-Match": '"1"'})
    assert answer.status_code == 200 and answer.headers["etag"] == '"2"'
    assert answer.json()["scenario"] == changed["scenario"]
    taken = served.client.post(
        "/analysis/scenarios", json=changed, headers=served.headers("editor")
    )
    assert taken.status_code == 409 and taken.json()["parameter"] == "name"

    gone = served.client.delete(here, headers={**served.headers("editor"), "If-Match": '"2"'})
    assert gone.status_code == 204
    assert served.get(here).status_code == 404
    assert reach(served, 8.5, scenario=made["id"]).status_code == 404
    audit = served.get("/audit", "admin", limit=20).json()["audit"]
    mine = [one for one in audit if one["subject"] == "七号路 Road 7"]
    assert [one["action"] for one in mine] == [
        "scenario.delete", "scenario.change", "scenario.create"
    ]  # fmt: skip


def test_pages_of_scenarios(served: Served) -> None:
    names = [store(served, f"页 {n}", {"hour": n})["name"] for n in range(5)]
    found, url = [], "/analysis/scenarios?limit=2"
    while url:
        body = served.get(url).json()
        assert len(body["scenarios"]) <= 2
        found += [one["name"] for one in body["scenarios"]]
        url = next((one["href"] for one in body["links"] if one["rel"] == "next"), None)
    assert [name for name in found if name.startswith("页")] == names
    assert len(found) == len(set(found))


def test_what_a_stored_scenario_names_may_be_gone(served: Served) -> None:
    served.put(TEAMS, {"code": "C", "name": "队C", "geom": at(10), "kind": "fire_station"})
    (c,) = (f["id"] for f in served.items(TEAMS) if f["properties"]["code"] == "C")
    only = store(served, "只有C", {"teams_removed": [{"id": c}]})
    both = store(
        served, "C和路", {"teams_off_duty": [{"id": c}], "closed_edges": [edge(served, 7)]}
    )
    # By psql: no key and no check is in the way.
    sql(served, "DELETE FROM rescue_teams WHERE id = :id", id=c)
    served.settle()
    answer = reach(served, 8.5, scenario=both["id"])
    assert arrivals(answer)["队A"] == 675
    (said,) = answer.json()["scenario"]["warnings"]
    assert said["code"] == "no_team_since" and f"/{c}" in said["missing"]
    answer = reach(served, 8.5, scenario=only["id"])
    assert answer.status_code == 422 and "只有C" in answer.json()["detail"]


def test_a_scenario_of_an_older_network(served: Served) -> None:
    made = store(served, "旧路网", {"closed_edges": [edge(served, 7)]})
    sql(
        served,
        "INSERT INTO road_speeds (profile, road_class, speed_kmh, source)"
        " VALUES ('emergency', 'none', 50, 'test')",
    )
    served.settle()
    answer = served.client.post(f"/analysis/scenarios/{made['id']}/compare", json={})
    assert answer.status_code == 200, answer.text
    (said,) = answer.json()["scenario"]["warnings"]
    assert said["code"] == "older" and said["made"] == made["network_revision"] != said["now"]


# ---------------------------------------------------------------- bad input

SQUARE = area(1, 1, 2, 2)
RING = SQUARE["coordinates"][0]
BOW = [RING[0], RING[2], RING[1], RING[3], RING[0]]


def flood(depth: Any) -> dict[str, Any]:
    return {"flooded_polygons": [{"geometry": SQUARE, "depth_m": depth}]}


@pytest.mark.parametrize(
    ("scenario", "parameter"),
    [
        ({"closed": []}, "scenario.closed"),
        ({"closed_edges": 7}, "scenario.closed_edges"),
        ({"closed_edges": [1.5]}, "scenario.closed_edges[0]"),
        ({"closed_edges": [True]}, "scenario.closed_edges[0]"),
        ({"closed_edges": [10**30]}, "scenario.closed_edges[0]"),
        ({"closed_edges": [999_999_999]}, "scenario.closed_edges[0]"),
        ({"closed_edges": list(range(10_001))}, "scenario.closed_edges"),
        ({"closed_polygons": [{"type": "Point", "coordinates": [1, 2]}]},
         "scenario.closed_polygons[0]"),
        ({"closed_polygons": [{"type": "MultiPolygon", "coordinates": []}]},
         "scenario.closed_polygons[0]"),
        ({"closed_polygons": [SQUARE, {"type": "Polygon", "coordinates": [RING[:-1]]}]},
         "scenario.closed_polygons[1].coordinates[0]"),
        ({"closed_polygons": [{"type": "Polygon", "coordinates": [[*RING[:-1], [200, 0]]]}]},
         "scenario.closed_polygons[0].coordinates[0][4]"),
        ({"closed_polygons": [{"type": "Polygon", "coordinates": [["x", *RING]]}]},
         "scenario.closed_polygons[0].coordinates[0][0]"),
        ({"closed_polygons": [{"type": "Polygon", "coordinates": [[[10**400, 0], *RING]]}]},
         "scenario.closed_polygons[0].coordinates[0][0]"),
        ({"closed_polygons": [{"type": "Polygon", "coordinates": [BOW]}]},
         "scenario.closed_polygons[0]"),
        ({"closed_polygons": [{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]
                               }]}, "scenario.closed_polygons[0]"),
        (flood(-0.1), "scenario.flooded_polygons[0].depth_m"),
        (flood(float("nan")), "scenario.flooded_polygons[0].depth_m"),
        (flood("deep"), "scenario.flooded_polygons[0].depth_m"),
        ({"flooded_polygons": [{"geometry": SQUARE}]}, "scenario.flooded_polygons[0].depth_m"),
        ({"flooded_polygons": [{"geometry": SQUARE, "depth_m": 1, "speed": 2}]},
         "scenario.flooded_polygons[0].speed"),
        ({"teams_removed": [{"id": 999_999}]}, "scenario.teams_removed[0]"),
        ({"teams_removed": [{"id": 1, "layer": "shelters"}]}, "scenario.teams_removed[0].layer"),
        ({"teams_off_duty": [{}]}, "scenario.teams_off_duty[0].id"),
        ({"teams_moved": [{"id": 1, "lon": 36.5, "lat": 120.4}]}, "scenario.teams_moved[0]"),
        ({"teams_moved": [{"id": 1, "lon": 0, "lat": 0}]}, "scenario.teams_moved[0]"),
        ({"teams_moved": [{"id": 1, "lon": 120.4}]}, "scenario.teams_moved[0].lat"),
        ({"teams_removed": [{"id": 1}], "teams_off_duty": [{"id": 1}]},
         "scenario.teams_off_duty[0]"),
        ({"teams_added": [{"name": "x", "lon": 120.4, "lat": 36.5, "kind": "rocket"}]}, "kind"),
        ({"teams_added": [{"name": " ", "lon": 120.4, "lat": 36.5}]},
         "scenario.teams_added[0].name"),
        ({"hour": 24}, "scenario.hour"),
        ({"day_type": "restday"}, "scenario.day_type"),
        ({"hour": 3, "day_type": "feast"}, "scenario.day_type"),
    ],
)  # fmt: skip
def test_an_error_names_the_part_at_fault(
    served: Served, scenario: dict[str, Any], parameter: str
) -> None:
    content = json.dumps({"scenario": scenario, "points": [place(0)]})  # json writes NaN
    headers = {"Content-Type": "application/json"}
    answer = served.client.post("/analysis/response-circles", content=content, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter, answer.text


def test_a_crossing_is_told_with_its_place(served: Served) -> None:
    bow = {"closed_polygons": [{"type": "Polygon", "coordinates": [BOW]}]}
    said = circle(served, scenario=bow).json()
    lon, lat = place(1.5, 1.5)
    assert f"{lon:.4f}"[:7] in said["detail"] and f"{lat:.4f}"[:6] in said["detail"], said


def test_many_vertices_are_refused_before_any_work(served: Served) -> None:
    ring = [RING[0]] * (MAX_VERTICES + 1)
    huge = {"closed_polygons": [{"type": "Polygon", "coordinates": [ring]}]}
    answer = circle(served, scenario=huge)
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "scenario" and "100001" in answer.json()["detail"]
    ring *= 10
    answer = circle(served, scenario=huge | {"closed_polygons": [
        {"type": "Polygon", "coordinates": [ring]}]})  # fmt: skip
    assert answer.status_code == 413


@pytest.mark.parametrize("scenario", ["abc", "[1]", '"x"', "1.5", "-1", "{"])
def test_a_parameter_that_is_no_scenario(served: Served, scenario: str) -> None:
    answer = reach(served, 3, scenario=scenario)
    assert answer.status_code == 400 and answer.json()["parameter"] == "scenario"


def test_positions_may_be_in_gcj02(served: Served) -> None:
    """Half a kilometre beside: read as WGS 84 the polygon would close another street."""
    import numpy as np  # noqa: PLC0415

    from riskmap.crs.datum import Datum  # noqa: PLC0415

    moved = Datum.GCJ02.from_wgs84(np.array(area(7.2, -0.2, 7.8, 0.2)["coordinates"][0]))
    there = {"type": "Polygon", "coordinates": [moved.tolist()]}
    body = compared(served, {"closed_polygons": [there]}, datum="gcj02")
    assert seconds(body, "later") == {"G8": (555, 675)}
    lon, lat = place(8.5)
    assert abs(body["later"][0]["lon"] - lon) > STEP / 2 and body["datum"] == "gcj02"
    made = store(served, "火星", {"closed_polygons": [there]}, datum="gcj02")
    stored = served.client.post(f"/analysis/scenarios/{made['id']}/compare", json={}).json()
    assert seconds(stored, "later") == {"G8": (555, 675)}
    assert lat
