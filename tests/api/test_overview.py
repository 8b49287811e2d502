"""The overview says what the items say, added up."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "analysis"))

from grid_city import build, streets

from api_help import CATALOG, SECRET, SECRET_NUMBER, Served, serving, value
from riskmap.catalog.spec import Role
from riskmap.db.cluster import Cluster

RISK = (Role.HAZARD, Role.SOURCE, Role.ENTERPRISE)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=9) as found:
        box = "MULTIPOLYGON(((120.2 36.2,120.6 36.2,120.6 36.7,120.2 36.7,120.2 36.2)))"
        found.put(
            "admin-divisions",
            {"code": "370202", "name": "市南", "name_en": "South", "level": "district",
             "population": 500_000, "geom": box},
            {"code": "370203000000", "name": "市北", "level": "district", "geom": box},
            {"code": "370202001000", "name": "街道", "level": "street", "geom": box},
        )  # fmt: skip
        for layer in ("geohazard-points", "fault-lines", "enterprises"):
            geom = "POINT(120.4 36.4)"
            if layer == "fault-lines":
                geom = "MULTILINESTRING((120.4 36.4,120.5 36.5))"
            found.put(
                layer,
                *(
                    {"code": f"d{n}", "geom": geom, "admin_code": code}
                    | ({"risk_level": level} if CATALOG[layer].assessed else {})
                    for n, (code, level) in enumerate(
                        [("370202001002", 1), ("370202", 1), ("370203", None), (None, 2)]
                    )
                ),
            )
        at = "POINT(120.4 36.4)"
        found.put(
            "shelters",
            *(
                {"code": f"s{n}", "geom": at, "admin_code": "370202003", "capacity_persons": c,
                 "current_occupancy": o, "open_status": s}
                for n, (c, o, s) in enumerate([
                    (1000, 400, "open"), (300, 500, "open"), (200, None, "standby"),
                    (None, 10, "open"), (5000, 0, "closed"), (700, 0, None), (60, 60, "full"),
                ])
            ),
        )  # fmt: skip
        yield found


@pytest.fixture(scope="module")
def body(served: Served) -> dict[str, Any]:
    answer = served.get("/overview")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-cache"
    return answer.json()


@pytest.mark.parametrize("layer", CATALOG)
def test_a_layer_is_the_sum_of_its_items(served: Served, body: dict[str, Any], layer: str) -> None:
    (told,) = [one for one in body["layers"] if one["id"] == layer]
    spec = CATALOG[layer]
    rows = [f["properties"] for f in served.items(layer, limit=10_000)]
    assert told["count"] == len(rows) > 0
    assert told["title"] == {"zh": spec.title.zh, "en": spec.title.en}
    assert (told["role"], told["geometry"]) == (spec.role, spec.geometry)
    assert (told["cluster"], told["min_zoom"]) == (spec.tile.cluster, spec.tile.min_zoom)
    if spec.assessed:
        levels = Counter(str(row["risk_level"] or "null") for row in rows)
        assert told["levels"] == dict.fromkeys(["1", "2", "3", "4", "null"], 0) | levels
    else:
        assert told["levels"] is None
    if spec.people and spec.role is not Role.AREA:  # divisions hold each other
        assert told["people"] == round(sum(row[spec.people] or 0 for row in rows))
    else:
        assert told["people"] is None
    fresh = served.get(f"/collections/{layer}").json()
    assert told["revision"] == fresh["revision"] and told["updated_at"].endswith("Z")


def test_the_layers_come_in_the_order_of_the_catalogue(body: dict[str, Any]) -> None:
    assert [one["id"] for one in body["layers"]] == list(CATALOG)


def test_shelters_and_teams_by_their_state(served: Served, body: dict[str, Any]) -> None:
    rows = [f["properties"] for f in served.items("shelters", limit=10_000)]
    told = body["shelters"]
    assert told["count"] == len(rows)
    assert sum(told["by_status"].values()) == len(rows)
    assert told["by_status"]["open"] == sum(r["open_status"] == "open" for r in rows)
    assert told["by_status"]["null"] == 1
    assert set(told["by_status"]) == {"closed", "standby", "open", "full", "damaged", "null"}
    assert told["capacity"] == sum(r["capacity_persons"] or 0 for r in rows)
    assert told["occupancy"] == sum(r["current_occupancy"] or 0 for r in rows)
    # Of the seven above: 600 + 0 (too full already) + 200 + 0 (size not known); others are shut.
    rest = [r for r in rows if not r["code"].startswith("s")]
    assert told["free"] == 800 + sum(
        max(0, r["capacity_persons"] - r["current_occupancy"])
        for r in rest
        if r["open_status"] in ("open", "standby")
    )
    teams = [f["properties"] for f in served.items("rescue-teams", limit=10_000)]
    told = body["teams"]
    assert told["count"] == len(teams)
    assert told["personnel"] == sum(r["personnel"] for r in teams)
    assert {k: n for k, n in told["by_status"].items() if n} == Counter(
        r["duty_status"] for r in teams
    )
    assert told["by_status"]["null"] == 0


def test_districts_hold_what_their_codes_say(body: dict[str, Any]) -> None:
    """Two points and two plants of level 1; faults have no level and are no danger of a level."""
    found = {one["code"]: one for one in body["divisions"] if one["code"].startswith("3702")}
    assert list(found) == ["370202", "370203000000"]
    south, north = found.values()
    assert south == {
        "code": "370202", "name": "市南", "name_en": "South", "population": 500_000,
        "levels": {"1": 4, "2": 0, "3": 0, "4": 0, "null": 0}, "capacity": 7260,
    }  # fmt: skip
    assert north["levels"] == {"1": 0, "2": 0, "3": 0, "4": 0, "null": 2}
    assert north["population"] is None and north["name_en"] is None and north["capacity"] == 0


def test_the_extent_is_that_of_the_areas(served: Served, body: dict[str, Any]) -> None:
    box = served.get("/collections/admin-divisions").json()["extent"]["spatial"]["bbox"][0]
    assert body["extent"] == pytest.approx(box)
    assert body["city"]["bbox"] == [120, 36, 121, 37] and body["hint"] is None


def test_nothing_restricted_is_told(served: Served, body: dict[str, Any]) -> None:
    text = served.get("/overview").text
    assert SECRET not in text and str(int(SECRET_NUMBER)) not in text
    assert value(CATALOG["shelters"].field("responsible_phone"), 0).startswith(SECRET)
    mine = served.get("/overview", "admin").json()
    assert mine | {"as_of": ""} == body | {"as_of": ""}


def test_no_city_an_empty_city_and_one_without_areas(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated, city=False) as served:
        told = served.get("/overview").json()
        assert told["city"] is None and told["extent"] is None and told["roads"] is None
        assert "riskmap city init" in told["hint"]
        assert told["divisions"] == [] and told["shelters"]["by_status"]["null"] == 0
        english = served.client.get("/overview", headers={"Accept-Language": "en"}).json()
        assert english["hint"].isascii() and english["hint"] != told["hint"]
    with serving(cluster, migrated) as served:
        told = served.get("/overview").json()
        assert "riskmap import" in told["hint"] and "测试市" in told["hint"]
        assert told["extent"] == told["city"]["bbox"] == [120, 36, 121, 37]
        assert all(one["count"] == 0 and one["revision"] is None for one in told["layers"])
        served.put("shelters", {"code": "a", "geom": "POINT(120.5 36.5)"})
        told = served.get("/overview").json()
        assert told["hint"] is None and told["extent"] == [120.5, 36.5, 120.5, 36.5]
        build(served.database)
        roads = served.get("/overview").json()["roads"]
        assert roads["edges"] == len(streets()) and roads["km"] > 20
        assert roads["revision"] == served.get("/readyz").json()["roads"]["revision"]


def test_an_unknown_parameter_is_named(served: Served) -> None:
    answer = served.get("/overview", layer="x")
    assert answer.status_code == 400 and answer.json()["parameter"] == "layer"
