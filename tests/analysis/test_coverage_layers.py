"""Coverage of whole layers against arithmetic, and each shortcut against doing all again."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import SPUR_END, build, place  # noqa: E402

from api_help import Served, eventually, serving  # noqa: E402
from riskmap.analysis.coverage_features import rows_of  # noqa: E402
from riskmap.analysis.coverage_query import LayersQuery  # noqa: E402
from riskmap.analysis.coverage_rows import joined, nearest  # noqa: E402
from riskmap.analysis.pictures import coverage_picture  # noqa: E402
from riskmap.analysis.stopwatch import Stopwatch  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402
from riskmap.units import UNREACHED  # noqa: E402

PATH = "/analysis/coverage"
RUNS = "/analysis/coverage-runs"
HAZARDS = "geohazard-points"


def at(column: float, row: float = 0) -> str:
    lon, lat = place(column, row)
    return f"POINT({lon} {lat})"


def sql(served: Served, statement: str) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(text(statement))
    served.settle()


def team(code: str, column: float, kind: str = "fire_station", **more: Any) -> dict[str, Any]:
    return {"code": code, "name": code, "geom": at(column), "kind": kind, **more}


@pytest.fixture
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        found.put("rescue-teams", team("A", 0), team("B", 4), team("C", 10, "micro_station"))
        found.put("rescue-teams", team("D", 4), team("off", 2, duty_status="off"))
        found.put(
            HAZARDS,
            {"code": "g2", "geom": at(2), "risk_level": 1, "threatened_persons": 10,
             "admin_code": "370211001"},
            {"code": "g20", "geom": at(20), "risk_level": None, "admin_code": "370211002"},
            {"code": "sea", "geom": "POINT(120.9 36.9)", "risk_level": 2,
             "threatened_persons": 7},
        )  # fmt: skip
        yield found


def ask(served: Served, **query: Any) -> dict[str, Any]:
    answer = served.get(PATH, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(served: Served, **query: Any) -> dict[str, dict[str, Any]]:
    answer = served.get(f"{PATH}/features", layer=HAZARDS, **query)
    assert answer.status_code == 200, answer.text
    return {one["properties"]["code"]: one["properties"] for one in answer.json()["features"]}


def test_first_second_third_and_how_many(served: Served) -> None:
    """At column 2: A, B and D after 120 + 120 s (ties by the lower row), C after 90 + 480 s."""
    found = rows(served, minutes=15)
    g = found["g2"]
    assert [g[f"{n}_s"] for n in ("first", "second", "third")] == [240, 240, 240]
    assert [g[f"{n}_team_name"] for n in ("first", "second", "third")] == ["A", "B", "D"]
    assert (g["teams_in_time"], g["covered"], g["reason"]) == (4, True, None)
    sea = found["sea"]
    assert (sea["first_s"], sea["covered"], sea["reason"]) == (None, False, "no_road")
    # Column 20: C after 90 + 600 s, B and D after 120 + 960.
    far = found["g20"]
    assert [far[f"{n}_s"] for n in ("first", "second", "third")] == [690, 1080, 1080]
    assert (far["teams_in_time"], far["risk_level"]) == (1, None)
    # 2 blocks of 0.003 degrees on the ellipsoid at 36.5 north are 537.5 m.
    assert g["line_m"] == pytest.approx(537.5, abs=1)
    assert g["line_s"] == pytest.approx(120 + g["line_m"] / (40 / 3.6), abs=0.01)


@pytest.mark.parametrize(("k", "minutes", "covered"), [
    (1, 239.999 / 60, False), (1, 4, True), (3, 4, True), (4, 569.999 / 60, False),
    (4, 9.5, True), (5, 60, False),
])  # fmt: skip
def test_k_teams_in_time(served: Served, k: int, minutes: float, covered: bool) -> None:
    assert rows(served, k=k, minutes=minutes)["g2"]["covered"] is covered


def test_899_900_901(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as served:
        build(served.database)
        # 60 s of call handling and no turnout; 840 s to the root of the spurs.
        sql(served, "UPDATE response_phases SET call_handling_s = 0, setup_s = 0")
        served.put("rescue-teams", team("A", 0, turnout_s=0))
        served.put(HAZARDS, *(
            {"code": name, "geom": f"POINT({lon} {lat})"} for name, (lon, lat) in SPUR_END.items()
        ))  # fmt: skip
        found = rows(served, minutes=15)
        assert {n: (found[n]["first_s"], found[n]["covered"]) for n in SPUR_END} == {
            "s59": (899, True), "s60": (900, True), "s61": (901, False)
        }  # fmt: skip
        assert found["s61"]["reason"] == "late"


def test_sums_by_level_district_and_street(served: Served) -> None:
    body = ask(served, layer=HAZARDS, minutes=15)
    assert body["total"] == {"count": 3, "covered": 2}
    levels = {name: (one["count"], one["covered"]) for name, one in body["by_risk_level"].items()}
    assert levels == {"1": (1, 1), "2": (1, 0), "3": (0, 0), "4": (0, 0), "null": (1, 1)}
    assert body["by_risk_level"]["null"]["people"] == {"sum": 0, "unknown": 1}
    assert body["uncovered_people"] == {"sum": 7, "unknown": 0}
    districts = [(one["code"], one["count"], one["covered"]) for one in body["by_district"]]
    assert districts == [("370211", 2, 2), (None, 1, 0)]
    streets = [(one["code"], one["count"]) for one in body["by_street"]]
    assert streets == [("370211001", 1), ("370211002", 1), (None, 1)]
    assert body["teams"]["available"] == 4 and body["teams"]["away"] == 1
    codes = {one["code"] for one in body["warnings"]}
    assert {"no_population", "no_divisions", "not_snapped"} <= codes
    assert body["network_revision"] and body["speed_source"] and body["hour"] is None


def test_the_short_answer_stays_and_agrees(served: Served) -> None:
    short, long = ask(served, minutes=9), ask(served, minutes=9, k=1)
    assert "by_district" not in short
    for name in ("minutes", "total", "major", "population", "layers", "uncovered"):
        assert long[name] == short[name], name
    body = served.client.post(PATH, json={"minutes": 9, "k": 1}).json()
    assert body == long


def test_kind_and_neighbours(served: Served) -> None:
    assert rows(served, kind="micro_station")["g2"]["first_s"] == 570
    (w, s), (e, n) = place(-1, -3), place(8, 8)
    served.put("admin-divisions", {
        "code": "370211", "name": "区", "level": "district",
        "geom": f"MULTIPOLYGON((({w} {s},{e} {s},{e} {n},{w} {n},{w} {s})))",
    })  # fmt: skip
    inside, outside = (ask(served, layer=HAZARDS, neighbours=one) for one in ("in", "out"))
    # C stands outside, and only C is at column 20 within 15 minutes.
    assert inside["total"]["covered"] == 2 and outside["total"]["covered"] == 1
    for body in (inside, outside):
        told = body["neighbours"]
        assert [one["name"] for one in told["teams"]] == ["C"] and told["known"]
        assert (told["in"]["covered"], told["out"]["covered"]) == (2, 1)
        assert told["difference"]["covered"] == 1
    assert inside["by_district"][0]["name"] == "区"
    assert rows(served, neighbours="out")["g20"]["first_s"] == 1080


def test_an_hour_makes_it_slower_never_faster(served: Served) -> None:
    free = rows(served)["g2"]["first_s"]
    sql(served, "INSERT INTO road_time_factors VALUES ('emergency', '*', 'workday', 3, 0.5, 'x')"
        " ON CONFLICT (profile, road_class, day_type, hour)"
        " DO UPDATE SET factor = 0.5")  # fmt: skip
    slow = rows(served, day_type="workday", hour=3)["g2"]["first_s"]
    assert (free, slow) == (240, 360)
    assert ask(served, layer=HAZARDS, day_type="workday", hour=3)["hour"]["hour"] == 3


def test_one_team_that_moves_is_searched_alone(served: Served) -> None:
    keeper = served.app.state.context.analysis._layers.rows
    ask(served, layer=HAZARDS)
    before = keeper.searched
    assert ask(served, layer=HAZARDS, minutes=7)["minutes"] == 7
    assert keeper.searched == before
    lon, lat = place(6)
    sql(served, f"UPDATE rescue_teams SET geom = 'SRID=4326;POINT({lon} {lat})' WHERE code = 'B'")
    moved = rows(served)
    assert keeper.searched == before + 1
    sql(served, "UPDATE rescue_teams SET duty_status = 'dispatched' WHERE code = 'A'")
    rows(served)
    assert keeper.searched == before + 1
    sql(served, "UPDATE rescue_teams SET duty_status = 'on_duty' WHERE code = 'A'")
    # All again says the same.
    keeper._kept = []
    assert rows(served) == moved


def test_pages_and_tables(served: Served) -> None:
    whole = served.get(f"{PATH}/features", layer=HAZARDS).json()
    assert (whole["numberMatched"], whole["numberReturned"]) == (3, 3)
    page = served.get(f"{PATH}/features", layer=HAZARDS, limit=2).json()
    rest = served.client.get(page["links"][-1]["href"]).json()
    assert page["features"] + rest["features"] == whole["features"]
    answer = served.get(f"{PATH}/features", layer=HAZARDS, f="csv", bom="true")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [one["code"] for one in table] == ["g2", "g20", "sea"]
    assert table[2]["first_s"] == "" and table[0]["first_s"] == "240.0"


@pytest.mark.parametrize(("query", "status", "parameter"), [
    ("minutes=0&k=1", 400, "minutes"), ("minutes=-1&k=1", 400, "minutes"),
    ("minutes=nan&k=1", 400, "minutes"), ("minutes=61&k=1", 400, "minutes"),
    ("k=0", 400, "k"), ("k=11", 400, "k"), ("neighbours=x", 400, "neighbours"),
    ("layer=nothing", 404, "layer"), ("kind=nobody", 400, "kind"), ("hour=3", 400, "day_type"),
    ("day_type=workday", 400, "hour"), ("line_kmh=0", 400, "line_kmh"),
    ("kind=volunteer", 422, "kind"), ("limit=-1&k=1", 400, "limit"),
])  # fmt: skip
def test_a_bad_question_names_its_parameter(
    served: Served, query: str, status: int, parameter: str
) -> None:
    for path in (PATH, f"{PATH}/features"):
        answer = served.client.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["parameter"]) == (status, parameter), path


def test_without_roads_teams_or_features(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as served:
        assert served.get(PATH, k=1).status_code == 503
        build(served.database)
        body = ask(served, k=1)
        codes = {one["code"] for one in body["warnings"]}
        assert {"no_teams", "no_population", "layer_empty"} <= codes
        served.put(HAZARDS, {"code": "g", "geom": at(2), "risk_level": 1})
        one = rows(served)["g"]
        assert (one["first_s"], one["line_m"], one["reason"]) == (None, None, "no_team")


def run(served: Served, **body: Any) -> dict[str, Any]:
    answer = served.client.post(RUNS, json=body, headers=served.headers("analyst"))
    assert answer.status_code == 202, answer.text
    where = answer.headers["location"]
    eventually(lambda: served.get(where).json()["status"] not in ("queued", "running"))
    return served.get(where).json()


def test_a_run_is_kept_compared_and_computed_again(served: Served) -> None:
    first = run(served, layer=[HAZARDS], name="甲")
    assert (first["status"], first["name"]) == ("done", "甲")
    assert first["actor"].startswith("key:")
    assert first["summary"]["total"] == {"count": 3, "covered": 2}
    assert first["inputs"]["network_revision"] and first["inputs"]["phases"]
    here = f"{RUNS}/{first['id']}"
    stored = served.get(f"{here}/features").json()
    live = served.get(f"{PATH}/features", layer=HAZARDS).json()
    assert stored["features"] == live["features"]
    assert served.get(f"{here}/features", f="csv").text == (
        served.get(f"{PATH}/features", layer=HAZARDS, f="csv").text
    )
    told = served.get(f"{here}/reproduce").json()
    assert told["same"] is True and told["changed_inputs"] == []
    sql(served, "UPDATE rescue_teams SET duty_status = 'off' WHERE code = 'C'")
    told = served.get(f"{here}/reproduce").json()
    assert told["same"] is False
    assert [one["input"] for one in told["changed_inputs"]] == ["layer_revisions.rescue-teams"]
    second = run(served, layer=[HAZARDS])
    assert second["checksum"] == told["checksum_now"]
    found = served.get(f"{here}/compare/{second['id']}").json()
    counts = found["counts"]
    assert (counts["in_both"], counts["newly_uncovered"], counts["newly_covered"]) == (3, 1, 0)
    assert [(one["before_s"], one["after_s"]) for one in found["newly_uncovered"]] == [(690, 1080)]
    assert (counts["later"], counts["earlier"]) == (1, 0)
    listed = served.get(RUNS).json()["runs"]
    assert [one["id"] for one in listed] == [second["id"], first["id"]]
    gone = served.client.delete(here, headers=served.headers("analyst"))
    assert gone.status_code == 204 and served.get(here).status_code == 404
    with served.database.read() as session:
        left = session.execute(text("SELECT DISTINCT run_id FROM coverage_features")).scalars()
        assert list(left) == [second["id"]]


def test_tiles_of_a_run(served: Served) -> None:
    made = run(served, layer=[HAZARDS])
    tile = served.get(f"{RUNS}/{made['id']}/tiles/0/0/0.mvt")
    assert tile.status_code == 200
    (layer,) = mapbox_vector_tile.decode(tile.content).values()
    shown = {one["id"]: one["properties"] for one in layer["features"]}
    assert len(shown) == 3
    assert sorted(one.get("first_s", -1) for one in shown.values()) == [-1, 240, 690]
    assert sorted(one["teams_in_time"] for one in shown.values()) == [0, 1, 4]
    assert served.get(f"{RUNS}/{made['id']}/tiles/3/0/0.mvt").status_code == 204
    assert served.get(f"{RUNS}/{made['id']}/tiles/3/9/0.mvt").status_code == 404
    assert served.get(f"{RUNS}/999/tiles/0/0/0.mvt").status_code == 404


def test_a_cancelled_run_leaves_no_rows(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    service = served.app.state.context.analysis
    original, steps = service.covered, []

    def slow(query: Any, watch: Any, progress: Any = None) -> Any:
        if progress is not None:
            eventually(lambda: steps)
            eventually(lambda: _cancels(progress))
        return original(query, watch, progress)

    def _cancels(progress: Any) -> bool:
        progress(1, 2)
        return False

    monkeypatch.setattr(type(service), "covered", lambda self, *a: slow(*a))
    answer = served.client.post(RUNS, json={"k": 1}, headers=served.headers("editor"))
    here = f"{RUNS}/{answer.json()['id']}"
    eventually(lambda: served.get(here).json()["status"] == "running")
    open_ = served.client.delete(here, headers=served.headers("editor"))
    assert open_.status_code == 409
    assert served.get(f"{here}/features").status_code == 409
    cancelled = served.client.post(f"{here}/cancel", headers=served.headers("editor"))
    assert cancelled.status_code == 202
    steps.append(1)
    eventually(lambda: served.get(here).json()["status"] == "cancelled")
    with served.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM coverage_features")).scalar_one() == 0
    again = served.client.post(f"{here}/cancel", headers=served.headers("editor"))
    assert again.status_code == 409


TABLES = st.lists(
    st.dictionaries(st.integers(0, 6), st.integers(0, 12), max_size=7), min_size=0, max_size=8
)


def _table(found: list[dict[int, int]]) -> Any:
    return joined(
        [
            (np.array(sorted(one), np.int32), np.array([one[f] for f in sorted(one)], np.int32))
            for one in found
        ],
        7,
    )


@settings(max_examples=200, deadline=None)
@given(found=TABLES, most=st.integers(1, 4), within=st.integers(0, 12), data=st.data())
def test_counting_again_in_plain_python(found: Any, most: int, within: int, data: Any) -> None:
    counts = data.draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))
    told = nearest(_table(found), np.array(counts, dtype=bool), most, within)
    for feature in range(7):
        all_of = sorted(
            (one[feature], row)
            for row, (one, fine) in enumerate(zip(found, counts, strict=True))
            if fine and feature in one
        )
        expected = (all_of + [(UNREACHED, -1)] * most)[:most]
        got = zip(told.ms[feature].tolist(), told.team[feature].tolist(), strict=True)
        assert list(got) == expected
        assert told.within[feature] == sum(ms <= within for ms, _ in all_of)


@settings(max_examples=100, deadline=None)
@given(found=TABLES.filter(bool), within=st.integers(0, 12), data=st.data())
def test_a_team_more_never_lengthens_one_less_never_raises(
    found: Any, within: int, data: Any
) -> None:
    everybody = np.ones(len(found), dtype=bool)
    fewer = everybody.copy()
    fewer[data.draw(st.integers(0, len(found) - 1))] = False
    table = _table(found)
    more, less = (nearest(table, one, 3, within) for one in (everybody, fewer))
    assert (more.ms <= less.ms).all() and (less.within <= more.within).all()


DOCS = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text(encoding="utf-8")
ADDRESSES = [line[4:] for line in DOCS.splitlines() if line.startswith("GET /")]


def test_every_address_of_the_page_is_answered(served: Served) -> None:
    assert len(ADDRESSES) > 5
    for address in ADDRESSES:
        assert served.client.get(address).status_code == 200, address


def test_the_picture_shows_who_is_missed(served: Served) -> None:
    service = served.app.state.context.analysis
    found = service.covered(LayersQuery(layers=(HAZARDS,)), Stopwatch())
    told = service.coverage_summary(found)
    drawn = coverage_picture(service.ground, told, list(rows_of(found)))
    assert drawn.startswith("<svg") or "<svg" in drawn[:200]
    assert "2 / 3" in drawn and told["network_revision"] in drawn


def test_a_scenario_counts_too(served: Served) -> None:
    ids = {one["properties"]["code"]: one["id"] for one in served.items("rescue-teams")}
    gone = {"teams_removed": [{"layer": "rescue-teams", "id": ids["C"]}]}
    answer = served.get(PATH, layer=HAZARDS, scenario=json.dumps(gone))
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == {"count": 3, "covered": 1}
    assert ask(served, layer=HAZARDS)["total"] == {"count": 3, "covered": 2}
    posted = served.client.post(PATH, json={"layer": [HAZARDS], "scenario": gone})
    assert posted.json()["total"] == {"count": 3, "covered": 1}


def test_a_run_keeps_its_scenario_when_the_stored_one_is_gone(served: Served) -> None:
    ids = {one["properties"]["code"]: one["id"] for one in served.items("rescue-teams")}
    gone = {"teams_removed": [{"layer": "rescue-teams", "id": ids["C"]}]}
    keyed = served.headers("analyst")
    stored = served.client.post(
        "/analysis/scenarios", json={"name": "C is away", "scenario": gone}, headers=keyed
    )
    number = stored.json()["id"]
    made = run(served, layer=[HAZARDS], scenario=number)
    inline = run(served, layer=[HAZARDS], scenario=gone)
    assert made["checksum"] == inline["checksum"]
    assert made["checksum"] != run(served, layer=[HAZARDS])["checksum"]
    assert made["parameters"]["scenario"]["teams_removed"] == gone["teams_removed"]
    tag = {"If-Match": stored.headers["etag"]}
    deleted = served.client.delete(f"/analysis/scenarios/{number}", headers=keyed | tag)
    assert deleted.status_code == 204
    told = served.get(f"{RUNS}/{made['id']}/reproduce").json()
    assert told["same"] is True
    unknown = served.client.post(RUNS, json={"scenario": number}, headers=keyed)
    assert (unknown.status_code, unknown.json()["parameter"]) == (404, "scenario")
