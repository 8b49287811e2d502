"""Who reaches a place: needs, tiers, ways, and features instead of positions."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import build, place  # noqa: E402

from api_help import Served, serving  # noqa: E402
from riskmap.analysis.presets import Preset, Tier, read_presets  # noqa: E402
from riskmap.analysis.reach import force, tiers  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402

# Call handling and turnout of every kind but those that have rows of their own: 60 s each.
BEFORE_S = 120
BLOCK_S = 60


def at(lonlat: tuple[float, float]) -> str:
    return f"POINT({lonlat[0]} {lonlat[1]})"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=0) as made:
        build(made.database)
        made.put(
            "rescue-teams",
            *(
                {"code": code, "geom": at(place(column)), "kind": kind, **more}
                for code, column, kind, more in (
                    ("micro", 1, "micro_station", {"personnel": 5, "turnout_s": 30}),
                    ("joint", 3, "joint_station", {"personnel": 12, "specialties": ["flood"]}),
                    ("fire", 8, "fire_station", {"personnel": 30, "on_duty_personnel": 20}),
                    ("unknown", 9, "team", {}),
                    ("far", 15, "fire_station", {"personnel": 40, "specialties": ["work_safety"]}),
                    ("off", 2, "fire_station", {"personnel": 50, "duty_status": "off"}),
                )
            ),
        )
        (w, s), (e, n) = place(4.5, -0.3), place(6, 0.3)
        area = f"MULTIPOLYGON((({w} {s},{e} {s},{e} {n},{w} {n},{w} {s})))"
        made.put("flood-impact-areas", {"code": "A", "geom": area, "risk_level": 1})
        made.put("major-hazard-sources", {"code": "S", "geom": at(place(0)), "risk_level": 1})
        made.put("shelters", {"code": "sea", "geom": "POINT(120.9 36.9)"})
        yield made


def reach(served: Served, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = served.get("/analysis/reach", **query)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def here(**query: Any) -> dict[str, Any]:
    lon, lat = place(0)
    return {"lon": lon, "lat": lat, **query}


def arrivals(found: dict[str, Any]) -> dict[str, float]:
    return {team["code"]: team["arrival_s"] for team in found["teams"]}


def test_needs_are_met_when_the_last_of_them_arrives(served: Served) -> None:
    found = reach(served, **here(minutes=60, need_people=37, need_teams=3))
    assert arrivals(found) == {
        "micro": 60 + 30 + BLOCK_S,
        "joint": BEFORE_S + 3 * BLOCK_S,
        "fire": BEFORE_S + 8 * BLOCK_S,
        "unknown": BEFORE_S + 9 * BLOCK_S,
        "far": BEFORE_S + 15 * BLOCK_S,
    }
    said = found["force"]
    # 5 + 12 + 20 on duty; the fourth does not say how many it is.
    assert said["people_met_s"] == said["teams_met_s"] == BEFORE_S + 8 * BLOCK_S
    assert [step["people"] for step in said["curve"]] == [5, 17, 37, 37, 77]
    assert [step["teams"] for step in said["curve"]] == [1, 2, 3, 4, 5]
    assert said["people_unknown"] == 1
    assert reach(served, **here(need_people=38))["force"]["people_met_s"] == 120 + 15 * 60
    never = reach(served, **here(need_people=78, kind="fire_station", need_teams=2))["force"]
    assert never["people_met_s"] is None and never["reason"] == {"people": "never", "teams": None}
    assert never["teams_met_s"] == BEFORE_S + 15 * BLOCK_S
    assert [t["code"] for t in found["unavailable"]] == ["off"]


def test_who_is_later_is_counted(served: Served) -> None:
    limit = (BEFORE_S + 8 * BLOCK_S) / 60
    for minutes, inside in ((limit - 1 / 60, 2), (limit, 3), (limit + 1 / 60, 3)):
        found = reach(served, **here(minutes=minutes))
        assert (len(found["teams"]), found["later"]) == (inside, 5 - inside)


def test_an_area_is_reached_where_it_is_first_touched(served: Served) -> None:
    number = served.get("/collections/flood-impact-areas/items").json()["features"][0]["id"]
    found = arrivals(reach(served, feature=f"flood-impact-areas/{number}", minutes=60))
    # It begins half a block past column 4; a sample of its outline lies up to 25 m off the road.
    assert found["joint"] == pytest.approx(BEFORE_S + 1.5 * BLOCK_S, abs=7)
    assert found["fire"] == pytest.approx(BEFORE_S + 2 * BLOCK_S, abs=7)


def test_a_source_asks_for_those_who_know_such_accidents(served: Served) -> None:
    number = served.get("/collections/major-hazard-sources/items").json()["features"][0]["id"]
    found = reach(served, feature=f"major-hazard-sources/{number}", minutes=60)
    marked = {team["code"] for team in found["teams"] if team["has_specialty"]}
    assert marked == {"far"} and found["feature"]["code"] == "S"
    flood = reach(served, **here(minutes=60, specialty="flood"))
    assert {t["code"] for t in flood["teams"] if t["has_specialty"]} == {"joint"}
    assert all("has_specialty" not in t for t in reach(served, **here())["teams"])


def test_a_feature_without_a_road_is_unreachable(served: Served) -> None:
    number = served.get("/collections/shelters/items").json()["features"][0]["id"]
    found = reach(served, feature=f"shelters/{number}")
    assert found["reachable"] is False and found["reason"] == "no_road"
    assert found["teams"] == [] and found["snapped"] is None and found["snap_distance_m"] is None


def test_ways_lead_from_the_team_to_the_place(served: Served) -> None:
    found = reach(served, **here(minutes=60, routes="true"))
    for team in found["teams"]:
        line = team["route"]["coordinates"]
        blocks = round((team["phases"]["travel_s"]) / BLOCK_S)
        assert line[0] == pytest.approx([team["lon"], team["lat"]], abs=1e-6)
        assert line[-1] == pytest.approx(list(place(0)), abs=1e-6)
        # A block of 0.003 degrees at 36.5 N is 268.6 m.
        assert team["distance_m"] == pytest.approx(blocks * 268.6, rel=0.01)
    assert "route" not in reach(served, **here())["teams"][0]


# ---------------------------------------------------------------- presets


def test_presets_say_where_they_come_from(served: Served) -> None:
    found = {one["preset"]: one for one in served.get("/analysis/presets").json()["presets"]}
    assert {"circle-15", "135-taizhou", "135-stations", "jb152-5min"} <= set(found)
    for one in found.values():
        assert one["source"] and one["name"] and one["name_en"]
        assert one["confidence"] in ("confirmed", "uncertain", "local")
    assert found["circle-15"]["confidence"] == "local"
    assert [tier["minutes"] for tier in found["135-stations"]["tiers"]] == [1, 3, 5]


def test_both_readings_of_135(served: Served) -> None:
    stations = reach(served, **here(preset="135-stations"))
    assert stations["minutes"] == 5 and stations["preset"]["confidence"] == "uncertain"
    told = {tier["tier"]: tier for tier in stations["tiers"]}
    # The micro station needs 150 s, not 60; the neighbours 300, not 180; the brigade 600.
    assert [told[k]["late_s"] for k in (1, 3, 5)] == [90, 120, 300]
    assert not any(tier["met"] for tier in told.values())
    assert told[5]["teams"][0]["layer"] == "rescue-teams"
    taizhou = {t["tier"]: t for t in reach(served, **here(preset="135-taizhou"))["tiers"]}
    assert taizhou[1]["late_s"] == 30  # alarm and turnout: 90 s
    assert taizhou[3]["met"] and taizhou[3]["at_s"] == 150
    assert taizhou[5]["met"] and taizhou[5]["at_s"] == 300  # the second team, to the second
    lon, lat = place(3)
    near = {t["tier"]: t for t in reach(served, lon=lon, lat=lat, preset="135-stations")["tiers"]}
    assert near[3]["met"] and near[3]["at_s"] == 120


def test_a_preset_is_data(served: Served) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(
            text(
                "INSERT INTO response_presets (preset, name_zh, name_en, minutes, turnout_s,"
                " need_people, source, confidence)"
                " VALUES ('own', '自定', 'Own', 20, 0, 17, 'us', 'local')"
            )
        )
        session.execute(
            text(
                "INSERT INTO response_tiers"
                " VALUES ('own', 1, 1, 'arrival', 'rescue_base', 1, '甲', 'A')"
            )
        )
    found = reach(served, **here(preset="own"))
    assert found["minutes"] == 20
    # Its turnout takes the place of the kind's and of the team's own.
    assert arrivals(found)["micro"] == 60 + BLOCK_S
    assert arrivals(found)["joint"] == 60 + 3 * BLOCK_S == found["force"]["people_met_s"]
    (tier,) = found["tiers"]
    assert tier["reason"] == "nobody" and tier["at_s"] is None and tier["met"] is False
    asked = reach(served, **here(preset="own", minutes=3, need_people=5))
    assert asked["minutes"] == 3 and asked["force"]["people_met_s"] == 60 + BLOCK_S


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({}, 400, "lon"),
        (here(feature="shelters/1"), 400, "feature"),
        ({"feature": "shelters"}, 400, "feature"),
        ({"feature": "nothing/1"}, 404, "feature"),
        ({"feature": "shelters/999999"}, 404, "feature"),
        (here(preset="none"), 400, "preset"),
        (here(specialty="magic"), 400, "specialty"),
        (here(kind="circus"), 400, "kind"),
        (here(need_people=0), 400, "need_people"),
        (here(need_people=-1), 400, "need_people"),
        (here(need_teams="nan"), 400, "need_teams"),
        (here(need_teams=100_001), 400, "need_teams"),
        (here(hour=8), 400, "day_type"),
        (here(day_type="workday"), 400, "hour"),
        (here(day_type="feast", hour=8), 400, "day_type"),
        (here(routes="perhaps"), 400, "routes"),
    ],
    ids=lambda value: str(value)[-50:],
)
def test_a_bad_question_names_its_parameter(
    served: Served, query: dict[str, Any], status: int, parameter: str
) -> None:
    assert reach(served, status, **query).get("parameter") == parameter


def test_an_hour_is_said(served: Served) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(
            text(
                "INSERT INTO road_time_factors"
                " (profile, road_class, day_type, hour, factor, source)"
                " VALUES ('emergency', '*', 'workday', 8, 0.5, 'test')"
                " ON CONFLICT (profile, road_class, day_type, hour) DO UPDATE SET factor = 0.5,"
                " source = 'test'"
            )
        )
    slow = reach(served, **here(minutes=60, day_type="workday", hour=8))
    assert arrivals(slow)["joint"] == BEFORE_S + 2 * 3 * BLOCK_S
    assert slow["hour"]["hour"] == 8 and slow["method"] == "network_hour"
    assert reach(served, **here())["hour"] is None


# ---------------------------------------------------------------- invariants

TEAM = st.fixed_dictionaries(
    {
        "arrival_s": st.sampled_from([60.0, 120.0, 300.0, 300.001, 900.0]),
        "kind": st.sampled_from(["a", "b", None]),
        "personnel": st.one_of(st.none(), st.integers(0, 9)),
        "on_duty_personnel": st.one_of(st.none(), st.integers(0, 9)),
        "phases": st.just({"call_handling_s": 30.0, "turnout_s": 30.0}),
        "layer": st.just("teams"),
        "id": st.integers(1, 99),
    }
)


def by_arrival(teams: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(teams, key=lambda team: (team["arrival_s"], team["id"]))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(TEAM, max_size=8), TEAM, st.integers(1, 20), st.integers(1, 6),
    st.sampled_from(["a", None]),
)  # fmt: skip
def test_one_team_more_never_delays_a_need(
    teams: list[dict[str, Any]], more: dict[str, Any], people: int, count: int, kind: str | None
) -> None:
    needs = {"kind": kind, "people": people, "teams": count}
    one, other = force(by_arrival(teams), needs), force(by_arrival([*teams, more]), needs)
    for name in ("people_met_s", "teams_met_s"):
        if one[name] is not None:
            assert other[name] is not None and other[name] <= one[name]
    for low, high in itertools.pairwise(one["curve"]):
        assert low["arrival_s"] < high["arrival_s"] and low["teams"] < high["teams"]
    # A plain recount at every moment.
    rows = [t for t in teams if kind in (None, t["kind"])]
    for step in one["curve"]:
        there = [t for t in rows if t["arrival_s"] <= step["arrival_s"]]
        sums = [
            t["on_duty_personnel"] if t["on_duty_personnel"] is not None else t["personnel"] or 0
            for t in there
        ]
        assert step["teams"] == len(there) and step["people"] == sum(sums)
    preset = Preset(
        *("p", "甲", "A", 5.0, None, None, None, None, None, None, None, "s", None, "local"),
        tiers=(Tier(1, 5.0, "arrival", frozenset({"a"}), count, "一", "one"),),
    )
    (before,), (after,) = (
        tiers(preset, by_arrival(teams)),
        tiers(preset, by_arrival([*teams, more])),
    )
    assert not (before["met"] and not after["met"])


def test_presets_are_read_in_order(served: Served) -> None:
    with served.database.read() as session:
        assert list(read_presets(session)) == sorted(read_presets(session))


# ---------------------------------------------------------------- presets in circles, coverage


def circle(served: Served, status: int = 200, **query: Any) -> dict[str, Any]:
    lon, lat = place(0)
    answer = served.get("/analysis/response-circles", points=f"{lon},{lat}", **query)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def minutes_of(found: dict[str, Any]) -> list[float]:
    return sorted(one["properties"]["minutes"] for one in found["features"])


def test_a_preset_fills_what_a_circle_leaves_out(served: Served) -> None:
    found = circle(served, preset="jb152-5min")
    assert minutes_of(found) == [5]
    phases, told = found["phases"], found["preset"]
    assert [phases[name] for name in ("call_handling_s", "turnout_s", "setup_s")] == [0, 60, 0]
    assert told["used"] == ["call_handling_s", "minutes", "setup_s", "turnout_s"]
    assert (told["confidence"], told["edition"]) == ("confirmed", "2011")
    assert phases["source"] == told["source"] and told["name"] and told["name_en"]
    # 300 s - 60 s of turnout are four blocks along the row.
    ends = circle(served, preset="jb152-5min", output="points")["features"]
    assert max(one["properties"]["arrival_s"] for one in ends) == 300
    given = circle(served, preset="jb152-5min", minutes="4,7", turnout_s="90")
    assert minutes_of(given) == [4, 7] and given["phases"]["turnout_s"] == 90
    assert given["preset"]["used"] == ["call_handling_s", "setup_s"]
    assert circle(served)["preset"] is None and minutes_of(circle(served)) == [5, 10, 15]


def test_tiers_are_bands_where_they_can_be(served: Served) -> None:
    taizhou = circle(served, preset="135-taizhou")
    assert minutes_of(taizhou) == [3]
    assert taizhou["preset"]["not_drawn"] == [
        {"tier": 1, "reason": "turnout"}, {"tier": 5, "reason": "several_teams"}
    ]  # fmt: skip
    counted = circle(served, preset="135-taizhou", overlap="count")["preset"]
    assert [one["minutes"] for one in counted["bands"]] == [3, 5]
    fire = circle(served, preset="135-stations", kind="fire_station")
    assert minutes_of(fire) == [5]
    refused = circle(served, 422, preset="135-stations")
    assert refused["parameter"] == "kind" and "micro_station" in refused["detail"]
    # Who names the minutes needs no tier.
    assert minutes_of(circle(served, preset="135-stations", minutes="6")) == [6]
    unknown = circle(served, 400, preset="none")
    assert unknown["parameter"] == "preset" and "135-taizhou" in unknown["detail"]


def test_a_preset_stands_for_the_clocks_of_all_teams(served: Served) -> None:
    path, source = "/analysis/coverage/features", "major-hazard-sources"

    def first_s(**query: Any) -> float:
        (one,) = served.get(path, layer=source, **query).json()["features"]
        return float(one["properties"]["first_s"])

    # The micro station, one block away, is on its way after 60 + 30 s.
    assert first_s() == 60 + 30 + BLOCK_S
    assert first_s(preset="jb152-5min") == 60 + BLOCK_S
    body = served.get("/analysis/coverage", layer=source, preset="jb152-5min", k="2").json()
    assert (body["minutes"], body["k"]) == (5, 2)
    assert body["preset"]["used"] == ["call_handling_s", "minutes", "setup_s", "turnout_s"]
    # The second one, three blocks away, comes after 60 + 180 s.
    assert body["total"] == {"count": 1, "covered": 1}
    late = served.get("/analysis/coverage", layer=source, preset="jb152-5min", k="2", minutes="3.9")
    assert late.json()["total"]["covered"] == 0
    unknown = served.get("/analysis/coverage", layer=source, preset="none")
    assert unknown.status_code == 400 and unknown.json()["parameter"] == "preset"
    tiers = served.get("/analysis/coverage", preset="135-taizhou").json()
    assert {"code": "tiers_not_judged", "preset": "135-taizhou"} in tiers["warnings"]


# ---------------------------------------------------------------- tiles of reached roads

TILES = "/analysis/response-circles/tiles"


def tile_of(served: Served, z: int, x: int, y: int, **query: Any) -> list[dict[str, Any]]:
    lon, lat = place(0)
    answer = served.get(f"{TILES}/{z}/{x}/{y}.mvt", points=f"{lon},{lat}", **query)
    if answer.status_code == 204:
        return []
    assert answer.status_code == 200, answer.text
    (name, layer), *_ = mapbox_vector_tile.decode(answer.content).items()
    assert name == "reached_edges" and layer["extent"] == 4096
    found: list[dict[str, Any]] = layer["features"]
    return found


def test_reached_roads_are_tiles_by_arrival_time(served: Served) -> None:
    query = {"minutes": "3,5", "output": "edges", "turnout_s": "60", "call_handling_s": "60"}
    lon, lat = place(0)
    service = served.app.state.context.analysis
    before, z = service.drawings.made, 14
    # 0.003 degrees are 0.55 of a tile of 4096 units at zoom 14: 360 / 2**14 = 0.02197 degrees.
    column = int((lon + 180) / 360 * 2**z)
    row = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**z)
    span = {
        (x, y): tile_of(served, z, x, y, **query)
        for x in range(column - 1, column + 3)
        for y in range(row - 2, row + 2)
    }
    assert service.drawings.made == before + 1
    shown = [one["properties"] for tile in span.values() for one in tile]
    assert {one["band_min"] for one in shown} == {3, 5} and {one["source"] for one in shown} == {0}
    # 120 s before it moves, 60 s a block: every road is reached on the whole minute or cut.
    assert {one["arrival_s"] for one in shown} == {120, 180, 240}
    assert {one["band_min"] for one in shown if one["arrival_s"] >= 180} == {5}

    # The length within each tile's own square adds up to that of the same roads as GeoJSON.
    square = shapely.box(0, 0, 4096, 4096)
    units = sum(
        shapely.intersection(shapely.geometry.shape(one["geometry"]), square).length
        for tile in span.values()
        for one in tile
    )
    lines = circle(served, **query)["features"]
    east = 4096 * 2**z / 360
    whole = sum(
        math.hypot(
            (b[0] - a[0]) * east,
            (b[1] - a[1]) * east / math.cos(math.radians((a[1] + b[1]) / 2)),
        )
        for one in lines
        for a, b in itertools.pairwise(one["geometry"]["coordinates"])
    )
    # Rounded to units: half of one at each end of some thirty lines.
    assert units == pytest.approx(whole, rel=0.002)
    answer = served.get(f"{TILES}/{z}/{column}/{row}.mvt", points=f"{lon},{lat}", **query)
    tag = {"If-None-Match": answer.headers["etag"]}
    again = served.client.get(str(answer.request.url), headers=tag)
    assert again.status_code == 304
    # Streets of no known class come at zoom 14; who left them out says how many.
    low = served.get(f"{TILES}/8/{column >> 6}/{row >> 6}.mvt", points=f"{lon},{lat}", **query)
    assert low.status_code == 204 and int(low.headers["x-riskmap-dropped"]) >= len(lines)


def test_the_style_of_reached_roads(served: Served) -> None:
    lon, lat = place(0)
    asked = {"points": f"{lon},{lat}", "minutes": "10"}
    told = served.get("/analysis/response-circles/tilejson", **asked).json()
    assert told["tiles"][0].endswith("minutes=10") and "{z}/{x}/{y}.mvt?" in told["tiles"][0]
    style = served.get("/analysis/response-circles/style", **asked).json()
    (layer,) = style["layers"]
    assert layer["paint"]["line-color"][2] == ["get", "arrival_s"]
    assert layer["paint"]["line-color"][-2] == 600
    assert {"zh", "en"} <= set(style["metadata"]["legend"]["entries"][0]["label"])
    refused = served.get("/analysis/response-circles/style", overlap="count", **asked)
    assert refused.status_code == 400 and refused.json()["parameter"] == "overlap"


# ---------------------------------------------------------------- the k nearest


def nearest_of(served: Served, status: int = 200, **query: Any) -> Any:
    lon, lat = place(0)
    answer = served.get("/analysis/nearest", **{"points": f"{lon},{lat}", **query})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_k_nearest_by_network_time(served: Served) -> None:
    found = nearest_of(served, layer="rescue-teams", k=3, direction="toward", geometry="true")
    told = [
        (one["properties"]["code"], one["properties"]["arrival_s"]) for one in found["features"]
    ]
    # Off duty or not, it stands two blocks away: what it may do is told beside it.
    assert told == [("micro", BLOCK_S), ("off", 2 * BLOCK_S), ("joint", 3 * BLOCK_S)]
    assert [one["properties"]["rank"] for one in found["features"]] == [1, 2, 3]
    for one, blocks in zip(found["features"], (1, 2, 3), strict=True):
        assert one["geometry"]["type"] == "LineString"
        assert one["geometry"]["coordinates"][-1] == pytest.approx(list(place(0)), abs=1e-6)
        assert one["properties"]["distance_m"] == pytest.approx(blocks * 268.6, rel=0.01)
    # With a kind its phases count: 60 + 60 s before the first block; 180 s are inclusive.
    phased = {"layer": "rescue-teams", "k": 9, "kind": "fire_station"}
    for minutes, count in ((179.999 / 60, 0), (3, 1), (4, 2)):
        some = nearest_of(served, minutes=minutes, **phased)
        assert len(some["features"]) == count
        assert some["unreachable_count"]["out_of_reach_by_start"] == [6 - count]
    (lon, lat), (lon_2, lat_2) = place(0), place(14)
    two = nearest_of(served, layer="rescue-teams", points=f"{lon},{lat};{lon_2},{lat_2}")
    assert [(one["properties"]["start"], one["properties"]["code"]) for one in two["features"]] == [
        (0, "micro"), (1, "far")
    ]  # fmt: skip


def test_what_no_road_is_near_to_stands_apart(served: Served) -> None:
    found = nearest_of(served, layer="shelters", k=2)
    assert found["features"] == [] and found["unreachable_count"]["no_road"] == 1
    assert found["unreachable"][0]["reason"] == "no_road"
    for query, parameter in (({"k": 0}, "k"), ({"k": 101}, "k"), ({"minutes": -1}, "minutes")):
        refused = nearest_of(served, 400, layer="shelters", **query)
        assert refused["parameter"] == parameter
    body = {"layer": "rescue-teams", "points": [place(0)], "k": 101}
    assert served.client.post("/analysis/nearest", json=body).json()["parameter"] == "k"
