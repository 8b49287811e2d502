"""Search over all layers, and which administrative units hold a position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from api_help import SECRET, Served, put, serving
from riskmap.crs.china import wgs84_to_gcj02
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.features.search import CANDIDATES

SQUARE = "MULTIPOLYGON((({0} {1},{2} {1},{2} {3},{0} {3},{0} {1})))"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as made:
        put(
            made.database,
            "shelters",
            {"code": "S1", "name": "消防公园", "geom": "POINT(120.51 36.5)"},
            {"code": "S2", "name": "公园旁的消防站前广场", "geom": "POINT(120.52 36.5)"},
            {"code": "S3", "name": "学校", "address": "消防路 3 号", "geom": "POINT(120.53 36.5)"},
            {
                "code": "S4",
                "name": "体育馆",
                "responsible_person": f"{SECRET}消防",
                "geom": SQUARE.format(120.6, 36.6, 120.7, 36.7),
            },
        )
        put(
            made.database,
            "rescue-teams",
            {"code": "T1", "name": "消防", "name_en": "Fire brigade", "geom": "POINT(120.54 36.5)"},
            {"code": "T2", "name": "消防二站", "geom": "POINT(120.3 36.3)"},
        )
        put(
            made.database,
            "major-hazard-sources",
            {"code": "M1", "name": "罐区", "risk_level": None, "geom": "POINT(120.5 36.5)"},
            {"code": "M2", "name": "罐区二", "risk_level": 1, "geom": "POINT(120.5 36.5)"},
        )
        put(
            made.database,
            "admin-divisions",
            {
                "code": "370202",
                "name": "甲区",
                "level": "district",
                "geom": SQUARE.format(120.2, 36.2, 120.5, 36.8),
            },
            {
                "code": "370203",
                "name": "乙区",
                "level": "district",
                "geom": SQUARE.format(120.5, 36.2, 120.8, 36.8),
            },
            {
                "code": "370202001",
                "name": "甲一街道",
                "level": "street",
                "geom": SQUARE.format(120.2, 36.2, 120.4, 36.4),
            },
        )
        put(
            made.database,
            "population-cells",
            {"code": "P1", "name": "网格一", "population": 1, "geom": "POINT(120.5 36.5)"},
        )
        yield made


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["properties"]["name"] for one in answer.json()["features"]]


def test_the_name_itself_comes_first_then_its_beginning(served: Served) -> None:
    found = names(served.get("/search", q="消防"))
    assert found[0] == "消防"
    assert set(found[1:3]) == {"消防公园", "消防二站"}
    assert found[3:] == ["公园旁的消防站前广场", "学校"]


def test_a_hit_says_what_and_where(served: Served) -> None:
    (hit,) = served.get("/search", q="fire bri").json()["features"]
    assert hit["properties"]["layer"] == "rescue-teams"
    assert hit["properties"]["layer_title"] == "救援队伍"
    assert hit["geometry"] == {"type": "Point", "coordinates": [120.54, 36.5]}
    (link,) = hit["links"]
    assert served.client.get(link["href"]).json()["properties"]["code"] == "T1"
    english = served.client.get("/search?q=fire", headers={"Accept-Language": "en"}).json()
    assert english["features"][0]["properties"]["layer_title"] == "Rescue teams"
    (hall,) = served.get("/search", q="体育馆").json()["features"]
    assert hall["geometry"]["type"] == "Point"
    assert 120.6 < hall["geometry"]["coordinates"][0] < 120.7
    tanks = served.get("/search", q="罐").json()["features"]
    assert [one["properties"]["risk_level"] for one in tanks] == [None, 1]


def test_restricted_texts_are_searched_by_nobody(served: Served) -> None:
    assert names(served.get("/search", q=SECRET)) == []
    assert names(served.get("/search", "admin", q=SECRET)) == []


def test_layers_box_and_limit(served: Served) -> None:
    assert names(served.get("/search", q="消防", layers="rescue-teams")) == ["消防", "消防二站"]
    assert names(served.get("/search", q="消防", bbox="120.2,36.2,120.4,36.4")) == ["消防二站"]
    assert len(names(served.get("/search", q="消防", limit="2"))) == 2


def test_how_many_there_are(served: Served) -> None:
    for limit in ("1", "3", "100"):
        assert served.get("/search", q="消防", limit=limit).json()["numberMatched"] == 5
    assert served.get("/search", q="消防", layers="rescue-teams").json()["numberMatched"] == 2
    assert served.get("/search", q="没有的").json()["numberMatched"] == 0


def test_more_than_are_ranked_are_not_counted(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as made:
        insert = (
            "INSERT INTO shelters (code, name, geom) SELECT 'g' || n, '场所' || n,"
            " 'SRID=4326;POINT(120.5 36.5)' FROM generate_series({}, {}) n"
        )
        with made.database.own(Actor("test")) as session:
            session.connection.exec_driver_sql(insert.format(1, CANDIDATES))
        assert made.get("/search", q="场所").json()["numberMatched"] == CANDIDATES
        with made.database.own(Actor("test")) as session:
            session.connection.exec_driver_sql(insert.format(CANDIDATES + 1, CANDIDATES + 1))
        body = made.get("/search", q="场所", limit="3").json()
        assert "numberMatched" not in body and body["numberReturned"] == 3
        assert made.get("/search", q="场所 g7").json()["numberMatched"] == 1111  # 7, 70-79, ...


def test_one_that_is_silent_answers_when_named(served: Served) -> None:
    assert names(served.get("/search", q="网格")) == []
    assert names(served.get("/search", q="网格", layers="population-cells")) == ["网格一"]


def test_any_of_the_languages_and_codes(served: Served) -> None:
    assert names(served.get("/search", q="FIRE"))[0] == "消防"
    assert names(served.get("/search", q="t2")) == ["消防二站"]
    assert names(served.get("/search", q="Ｔ２")) == ["消防二站"]
    assert names(served.get("/search", q="站 消防")) == ["消防二站", "公园旁的消防站前广场"]


def test_datum(served: Served) -> None:
    (hit,) = served.get("/search", q="fire", datum="gcj02").json()["features"]
    want = wgs84_to_gcj02(np.array([[120.54, 36.5]]))[0]
    assert hit["geometry"]["coordinates"] == pytest.approx(want.tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("parameter", "params"),
    [
        *(("q", {}), ("q", {"q": ""}), ("q", {"q": "、"}), ("q", {"q": "x" * 201})),
        *(("limit", {"q": "a", "limit": "0"}), ("limit", {"q": "a", "limit": "101"})),
        *(("layers", {"q": "a", "layers": "nosuch"}), ("layers", {"q": "a", "layers": ""})),
        ("layers", {"q": "a", "layers": "shelters,shelters"}),
        *(("bbox", {"q": "a", "bbox": "1,2"}), ("datum", {"q": "a", "datum": "mars"})),
        *(("filter", {"q": "a", "filter": "1=1"}), ("f", {"q": "a", "f": "xml"})),
    ],
)
def test_what_is_wrong_is_named(served: Served, parameter: str, params: dict[str, str]) -> None:
    answer = served.get("/search", **params)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter


SIGNS = {
    **{"'": 400, "((": 400, "%_": 400, "\\": 400, "、。": 400, "\u3000": 400},
    **{"a' & 'b": 200, "!消防": 200, "a:*": 200, "消防\\": 200, "😀": 200, "·": 200, "\ufffd": 200},
    # One that stands for four, two hundred times over: 799 pairs. Eighteen for one, in words.
    **{"㍿" * 200: 200, "\ufdfa" * 200: 200, "é" * 200: 200, "a " * 100: 200},
}


@pytest.mark.parametrize(("q", "status"), SIGNS.items(), ids=lambda one: repr(one)[:12])
def test_signs_are_no_operators(served: Served, q: str, status: int) -> None:
    answer = served.get("/search", q=q)
    assert answer.status_code == status, answer.text
    if status == 200 and "消防" in q:
        assert len(names(answer)) == 5


def test_the_page_of_a_search(served: Served) -> None:
    answer = served.client.get("/search?q=消防", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "消防二站" in answer.text


# ---------------------------------------------------------------- units


def units(served: Served, **params: str) -> list[str]:
    answer = served.get("/locate", **params)
    assert answer.status_code == 200, answer.text
    return [one["code"] for one in answer.json()["units"]]


def test_units_the_largest_first(served: Served) -> None:
    assert units(served, lon="120.3", lat="36.3") == ["370202", "370202001"]
    assert units(served, lon="120.45", lat="36.5") == ["370202"]
    body = served.get("/locate", lon="120.3", lat="36.3").json()
    assert not body["outside"] and body["units"][0]["name"] == "甲区"
    assert body["units"][1]["level_label"] == "街道(乡镇)"


def test_on_a_border_it_is_both(served: Served) -> None:
    assert units(served, lon="120.5", lat="36.5") == ["370202", "370203"]


def test_outside_of_all(served: Served) -> None:
    body = served.get("/locate", lon="0", lat="0").json()
    assert body["outside"] and body["units"] == []


def test_a_position_of_another_datum(served: Served) -> None:
    # GCJ-02 lies some 500 m east of WGS 84 here: across the border between the districts.
    assert units(served, lon="120.503", lat="36.5") == ["370203"]
    assert units(served, lon="120.503", lat="36.5", datum="gcj02") == ["370202"]


@pytest.mark.parametrize(
    ("parameter", "params"),
    [
        *(("lon", {"lat": "1"}), ("lat", {"lon": "1"}), ("lon", {"lon": "x", "lat": "1"})),
        *(("lon", {"lon": "181", "lat": "1"}), ("lat", {"lon": "1", "lat": "nan"})),
        *(("datum", {"lon": "1", "lat": "1", "datum": "x"}), ("q", {"q": "1"})),
        ("lon,lat", {"lon": "10", "lat": "10", "datum": "gcj02"}),
    ],
)
def test_a_wrong_position_is_named(served: Served, parameter: str, params: dict[str, str]) -> None:
    answer = served.get("/locate", **params)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter
