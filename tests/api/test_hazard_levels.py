"""Levels computed beside filed ones: residents by arithmetic, answers, the demo city."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy import event, text

from api_help import Served, serving
from cli_help import Place
from riskmap.client import Client
from riskmap.client import client as client_module
from riskmap.db.base import METADATA
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.demo.load import layers_folder

PATH = "/analysis/hazard-levels"
SOURCES, PLANTS, CELLS = "major-hazard-sources", "enterprises", "population-cells"
# The local ground of the tests' city (EPSG:4549), a plant of 200 m at (E0, N0), 36.1° N.
TO_DEGREES = Transformer.from_crs(4549, 4326, always_xy=True)
E0, N0, SIDE = 527_000.0, 4_000_000.0, 200.0
CHLORINE = {
    "name": "液氯",
    "cas": "7782-50-5",
    "quantity_t": 5,
    "critical_quantity_t": 5,
    "beta": 4,
}


def point(x: float, y: float) -> str:
    lon, lat = TO_DEGREES.transform(E0 + x, N0 + y)
    return f"POINT({lon!r} {lat!r})"


def square(x: float, y: float, side: float) -> str:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)]
    told = [" ".join(map(repr, TO_DEGREES.transform(E0 + a, N0 + b))) for a, b in corners]
    return f"MULTIPOLYGON((({','.join(told)})))"


def outside(x: Any, y: Any, side: float = SIDE) -> Any:
    """Return the distance to the plant, 0 inside."""
    return np.hypot(
        np.maximum(0, np.maximum(-x, x - side)), np.maximum(0, np.maximum(-y, y - side))
    )


def source(code: str, **more: Any) -> dict[str, Any]:
    found = {"code": code, "name": code, "geom": point(100, 100), "enterprise_code": "Q1"}
    return {**found, "regulation": "gb18218-2018", "chemicals": [CHLORINE], **more}


@pytest.fixture
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def ask(served: Served, **params: Any) -> dict[str, dict[str, Any]]:
    answer = served.get(PATH, "reader", **params)
    assert answer.status_code == 200, answer.text
    return {one["code"]: one for one in answer.json()["sources"]}


def codes(found: list[dict[str, Any]]) -> set[str]:
    return {one["code"] for one in found}


def put_persons(served: Served, persons: float, **more: Any) -> None:
    served.put(CELLS, {"code": f"P{persons}", "population": persons, "geom": point(300, 0), **more})


def test_a_grid_of_points_is_counted_by_arithmetic(served: Served) -> None:
    xs, ys = np.meshgrid(np.arange(-700, 900, 37) + 0.3, np.arange(-700, 900, 37) + 0.7)
    far = outside(xs.ravel(), ys.ravel())
    assert np.abs(far[far > 0] - 500).min() > 0.01
    served.put(PLANTS, {"code": "Q1", "name": "甲厂", "geom": square(0, 0, SIDE)})
    served.put(
        CELLS,
        *(
            {"code": f"{n}", "population": 0.1, "geom": point(x, y)}
            for n, (x, y) in enumerate(zip(xs.ravel(), ys.ravel(), strict=True))
        ),
    )
    served.put(SOURCES, source("Z1"), source("Z2", geom=point(20, 30)))
    found = ask(served)
    expected = int(((far > 0) & (far <= 500)).sum())
    mercator = int(((far > 0) & (far <= 404)).sum())
    assert mercator < 0.75 * expected
    for one in found.values():
        assert one["boundary"] == {"kind": "enterprise", "enterprise": "Q1", "cells": expected}
        # Exactly a tenth of the points: tenths add up without noise.
        assert one["computed"]["persons_raw"] == expected / 10
        assert one["computed"]["persons"] == int(Fraction(expected, 10) + Fraction(1, 2))
        assert one["warnings"] == []


def test_cells_with_an_area_count_by_their_share(served: Served) -> None:
    served.put(PLANTS, {"code": "Q1", "geom": square(0, 0, SIDE)})
    served.put(
        CELLS,
        # Astride the fence: 100 x 100 inside, the rest of 200 x 100 outside.
        {"code": "a", "population": 200, "geom": square(100, 100, 200)},
        # Astride the ring's outer edge at x = 700: half of it.
        {"code": "b", "population": 100, "geom": square(650, 50, 100)},
        # Wholly inside the plant, and wholly out of reach.
        {"code": "c", "population": 1000, "geom": square(20, 20, 50)},
        {"code": "d", "population": 1000, "geom": square(710, 50, 100)},
    )
    served.put(SOURCES, source("Z1"))
    computed = ask(served)["Z1"]["computed"]
    assert computed["persons_raw"] == pytest.approx(200 * 0.75 + 100 * 0.5, abs=0.02)
    assert (computed["persons"], computed["alpha"]) == (200, 2.0)


def test_without_a_boundary_it_is_the_circle_around_the_source(served: Served) -> None:
    served.put(PLANTS, {"code": "Q2", "geom": point(0, 0)})
    served.put(
        CELLS,
        {"code": "near", "population": 30, "geom": point(100 + 499.9, 100)},
        {"code": "far", "population": 70, "geom": point(100, 100 + 500.1)},
    )
    served.put(
        SOURCES,
        source("Z1"),
        source("Z2", enterprise_code="Q2"),
        source("Z3", enterprise_code=None),
    )
    found = ask(served)
    for code, kind in (("Z1", "boundary_none"), ("Z2", "boundary_point"), ("Z3", "boundary_none")):
        one = found[code]
        assert codes(one["warnings"]) == {kind}
        told = next(note["en"] for note in one["warnings"] if note["code"] == kind)
        assert "boundary: none, circle of 500 m around the point" in told
        assert one["boundary"]["kind"] == "source"
        assert (one["computed"]["persons"], one["computed"]["alpha"]) == (30, 1.2)


def test_the_boundary_is_that_of_the_sources_own_system_first(served: Served) -> None:
    served.put(
        PLANTS,
        {"code": "Q1", "source_system": "other", "geom": square(5000, 0, SIDE)},
        {"code": "Q1", "source_system": "mine", "geom": square(0, 0, SIDE)},
    )
    put_persons(served, 50)
    served.put(
        SOURCES,
        source("Z1", source_system="mine"),
        source("Z2", source_system="other"),
        source("Z3", source_system="third"),
    )
    found = ask(served)
    assert found["Z1"]["computed"]["persons"] == 50 and found["Z1"]["warnings"] == []
    assert found["Z2"]["computed"]["persons"] == 0
    assert codes(found["Z2"]["warnings"]) == {"nobody"}
    assert "boundary_foreign" in codes(found["Z3"]["warnings"])


def test_a_centre_with_its_cells_size_counts_like_the_cell(served: Served) -> None:
    served.put(PLANTS, {"code": "Q1", "geom": square(0, 0, SIDE)})
    # The cell reaches from -850 to -350: the ring's western edge, -500, cuts it. Of its height of
    # 500 all lies beside the plant or in the round corners, which lack very little here.
    served.put(
        CELLS,
        {"code": "a", "population": 900, "geom": point(-600, 100), "cell_size_m": 500},
        {"code": "b", "population": 5, "geom": point(-400, 100), "cell_size_m": 0},
    )
    served.put(SOURCES, source("Z1"))
    one = ask(served)["Z1"]
    band = shapely.box(0, 0, SIDE, SIDE).buffer(500, 90).difference(shapely.box(0, 0, SIDE, SIDE))
    share = shapely.box(-850, -150, -350, 350).intersection(band).area / 500**2
    assert 0.25 < share < 0.31
    assert one["computed"]["persons_raw"] == pytest.approx(900 * share + 5, abs=0.05)
    assert one["boundary"]["cells"] == 2
    assert codes(one["warnings"]) == {"coarse_cells"}


@pytest.mark.parametrize(
    ("persons", "r_value", "level"),
    # Chlorine 5 t: q/Q = 1, β 4: R = 4α; 25 of them are exactly 50, 100 ...
    [
        (0, 50, 2),
        (1, 100, 1),
        (29, 100, 1),
        (30, 120, 1),
        (49, 120, 1),
        (50, 150, 1),
        (100, 200, 1),
    ],
)
def test_answers_at_the_borders_of_persons(
    served: Served, persons: int, r_value: float, level: int
) -> None:
    served.put(PLANTS, {"code": "Q1", "geom": square(0, 0, SIDE)})
    served.put(CELLS, {"code": "else", "population": 1, "geom": point(5000, 0)})
    if persons:
        put_persons(served, persons)
    served.put(SOURCES, source("Z1", chemicals=[{**CHLORINE, "quantity_t": 125}], hazard_level=1))
    one = ask(served)["Z1"]
    assert (one["computed"]["R"], one["computed"]["level"]) == (r_value, level)
    assert one["computed"]["S"] == 25 and one["computed"]["major"] is True
    assert one["agrees"] is (level == 1)


def test_without_population_there_is_no_alpha_but_the_filed_one_labelled(served: Served) -> None:
    served.put(
        SOURCES,
        source("Z1", alpha=1.5, chemicals=[{**CHLORINE, "quantity_t": 25}], hazard_level=3),
        source("Z2"),
    )
    found = ask(served)
    one = found["Z1"]
    assert codes(one["not_computed"]) == {"no_population"}
    assert CELLS in one["not_computed"][0]["zh"]
    computed = one["computed"]
    assert [computed[k] for k in ("alpha", "R", "level", "persons", "persons_raw")] == [None] * 5
    assert computed["S"] == 5 and one["agrees"] is None
    other = one["with_filed_alpha"]
    assert (other["alpha"], other["R"], other["level"]) == (1.5, 30.0, 3)
    assert found["Z2"]["with_filed_alpha"] is None


def test_a_chemical_without_figures_stops_the_whole_source(served: Served) -> None:
    put_persons(served, 100)
    nameless = {"name": "某物", "cas": "0-0-0", "quantity_t": 9}
    served.put(
        SOURCES,
        source("Z1", chemicals=[CHLORINE, nameless], hazard_level=3, s_value=4, r_value=20),
        source("Z2", chemicals=None),
        source("Z3", chemicals={"quantity_t": 5}),
    )
    found = ask(served)
    one = found["Z1"]
    assert one["computed"]["S"] is one["computed"]["R"] is one["computed"]["level"] is None
    assert one["agrees"] is None
    assert codes(one["not_computed"]) == {"no_critical_quantity", "no_beta"}
    assert all("某物" in note["zh"] and "某物" in note["en"] for note in one["not_computed"])
    assert (one["lower_bound"]["S_at_least"], one["lower_bound"]["R_at_least"]) == (1.0, 8.0)
    assert one["chemicals"][1]["ratio"] is None
    for code in ("Z2", "Z3"):
        assert codes(found[code]["not_computed"]) == {"no_chemicals"}
        assert found[code]["lower_bound"] is None


def test_editions_and_unverified_rows(served: Served) -> None:
    put_persons(served, 100)
    with served.database.own(Actor("test")) as session:
        session.execute(
            text("UPDATE gb18218_chemicals SET verified = true WHERE cas = '7664-41-7'")
        )
    ammonia = {"name": "液氨", "cas": "7664-41-7", "quantity_t": 10, "critical_quantity_t": 5}
    served.put(
        SOURCES,
        source("old", regulation="order40-2011", chemicals=[{**ammonia, "beta": 3}]),
        source("none", regulation=None, chemicals=[ammonia]),
        source("new"),
    )
    found = ask(served)
    old = found["old"]
    assert "edition_without_tables" in codes(old["warnings"]) and old["unverified"] == []
    assert (old["computed"]["S"], old["computed"]["R"]) == (2.0, 12.0)
    assert old["chemicals"][0]["critical_quantity_t"]["origin"] == "filed"
    none = found["none"]
    assert none["computed"]["edition"] == "gb18218-2018"
    assert "edition_assumed" in codes(none["warnings"]) and none["unverified"] == []
    q = none["chemicals"][0]["critical_quantity_t"]
    assert (q["value"], q["origin"], q["verified"], q["filed"], q["differs"]) == (
        *(10.0, "table", True),
        *(5.0, True),
    )
    assert "critical_quantity_t" in {one["what"] for one in none["differences"]}
    assert {(one["row"], one["figure"]) for one in found["new"]["unverified"]} == {
        ("7782-50-5", "critical_quantity_t"),
        ("7782-50-5", "beta"),
    }
    assert all("GB 18218" in one["source"] for one in found["new"]["unverified"])


def test_nothing_is_stored(served: Served) -> None:
    put_persons(served, 100)
    served.put(SOURCES, source("Z1", hazard_level=4, r_value=1, s_value=1))

    def state() -> Any:
        with served.database.read() as session:
            return [
                session.execute(text(f"SELECT to_jsonb(t)::text FROM {name} t ORDER BY 1")).all()
                for name in (METADATA.tables["major_hazard_sources"].name, "feed", "audit")
            ]

    before = state()
    one = ask(served)["Z1"]
    assert one["filed"]["level"] == 4 and one["computed"]["level"] == 4
    assert one["computed"]["R"] == 8.0 and {"R"} <= {d["what"] for d in one["differences"]}
    assert state() == before


def test_pages_boxes_and_one_by_its_id(served: Served) -> None:
    put_persons(served, 100)
    served.put(
        SOURCES,
        *(source(f"Z{n}", geom=f"POINT({120.1 + 0.1 * n} 36.5)") for n in range(5)),
    )
    first = served.get(PATH, "reader", limit=2).json()
    assert first["numberReturned"] == 2
    seen = [one["code"] for one in first["sources"]]
    following = next(link["href"] for link in first["links"] if link["rel"] == "next")
    while following:
        page = served.client.get(following, headers=served.headers("reader")).json()
        seen += [one["code"] for one in page["sources"]]
        following = next((k["href"] for k in page["links"] if k["rel"] == "next"), None)
    assert seen == [f"Z{n}" for n in range(5)]
    assert set(ask(served, bbox="120.15,36,120.35,37")) == {"Z1", "Z2"}
    number = first["sources"][1]["id"]
    (one,) = served.get(f"{PATH}/{number}", "reader").json()["sources"]
    assert one == first["sources"][1]


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        (f"{PATH}/999", 404, "feature_id"),
        (f"{PATH}/x", 400, "feature_id"),
        (f"{PATH}?layer=x", 400, "layer"),
        (f"{PATH}/1?limit=1", 400, "limit"),
        (f"{PATH}?limit=0", 400, "limit"),
        (f"{PATH}?bbox=1,2,3", 400, "bbox"),
        (f"{PATH}?cursor=_", 400, "cursor"),
    ],
)
def test_bad_questions_are_refused(served: Served, path: str, status: int, parameter: str) -> None:
    answer = served.get(path, "reader")
    assert (answer.status_code, answer.json()["parameter"]) == (status, parameter)
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_city_answers_and_nobody_without_a_key(served: Served) -> None:
    body = served.get(PATH, "reader").json()
    assert body["sources"] == [] and body["population"]["loaded"] is False
    answer = served.get(PATH)
    assert answer.status_code == 401
    assert served.get(PATH, "reader").headers["cache-control"] == "private, no-store"


def test_the_command_tells_what_the_service_tells(served: Served, tmp_path: Path) -> None:
    put_persons(served, 100)
    served.put(SOURCES, source("Z1", hazard_level=4), source("Z2", hazard_level=3, alpha=1))
    place = Place(tmp_path).set(
        DATABASE_URL=served.settings.database_url or "",
        API_DATABASE_URL=served.settings.api_database_url or "",
    )
    whole = json.loads(place.done("sources", "check", "--json").out)
    answer = served.get(PATH, "reader").json()
    assert whole == {name: value for name, value in answer.items() if name != "links"}
    number = whole["sources"][1]["id"]
    shown = place.done("sources", "check", "--id", str(number)).out
    assert "Z2" in shown and "Z1" not in shown
    assert "0 agree, 1 disagree" in shown
    place.run("sources", "check", "--id", "999999").refused(1, "999999")


def test_the_client_makes_a_frame(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    put_persons(served, 100)
    served.put(SOURCES, source("Z1", hazard_level=4), source("Z2", chemicals=None))
    asked = []

    def get(path: str, params: dict[str, str] | None = None) -> Any:
        asked.append(params)
        return served.get(path, "reader", **{"limit": "1", **(params or {})}).json()

    with Client(key=served.keys["reader"]) as city:
        monkeypatch.setattr(city._service, "get", get)
        frame = city.hazard_levels()
        empty = city.hazard_levels(bbox=(120.9, 36.9, 121, 37))
    assert len(asked) == 3 and client_module._LEVEL_COLUMNS[1:] == list(frame.columns)
    assert frame["code"].tolist() == ["Z1", "Z2"]
    assert frame["computed_level"].isna().tolist() == [False, True]
    assert frame["agrees"].tolist()[0] is True and frame["agrees"].isna().tolist()[1]
    assert frame.attrs["method"]["radius_m"] == 500
    assert empty.empty and list(empty.columns) == list(frame.columns)


def test_the_demo_city_is_computed_in_a_few_statements(served: Served) -> None:
    folder = layers_folder()
    table = METADATA.tables

    def rows(name: str) -> list[dict[str, Any]]:
        features = json.loads((folder / f"{name}.geojson").read_text(encoding="utf-8"))["features"]
        return [
            {
                **{
                    k: v for k, v in f["properties"].items() if k in table[name.replace("-", "_")].c
                },
                "geom": json.dumps(f["geometry"]),
            }
            for f in features
        ]

    with served.database.write(Actor("test")) as session:
        for name in (SOURCES, PLANTS):
            for row in rows(name):
                put_geojson(session, name, row)
        lines = (folder / f"{CELLS}.csv").read_text(encoding="utf-8").splitlines()
        head = lines[0].split(",")
        cells = [dict(zip(head, line.split(","), strict=True)) for line in lines[1:]]
        session.execute(
            text(
                "INSERT INTO population_cells (code, population, cell_size_m, geom) SELECT"
                " c, p, s, ST_SetSRID(ST_MakePoint(x, y), 4326) FROM unnest(cast(:c AS text[]),"
                " cast(:p AS float8[]), cast(:s AS float8[]), cast(:x AS float8[]),"
                " cast(:y AS float8[])) AS t (c, p, s, x, y)"
            ),
            {
                "c": [cell["code"] for cell in cells],
                **{
                    short: [float(cell[name]) for cell in cells]
                    for short, name in zip(
                        "psxy", ("population", "cell_size_m", "lon", "lat"), strict=True
                    )
                },
            },
        )
    statements: list[str] = []
    event.listen(
        served.app.state.context.database.engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    answer = served.get(PATH, "reader").json()
    assert answer["numberReturned"] == 192
    # City, sources, two tables, is there a population, exposure, revisions; and the transaction.
    assert len(statements) <= 9
    found = answer["sources"]
    assert all(one["not_computed"] == [] for one in found)
    assert {one["boundary"]["kind"] for one in found} == {"enterprise"}
    # Filed by the same rule over the same cells: a difference has a cause that is told.
    for one in found:
        assert one["agrees"] is not None
        if not one["agrees"]:
            assert one["differences"], one


def put_geojson(session: Any, layer: str, row: dict[str, Any]) -> None:
    values = {key: value for key, value in row.items() if key != "geom"}
    table = METADATA.tables[layer.replace("-", "_")]
    shape = text("ST_SetSRID(ST_GeomFromGeoJSON(:shape), 4326)").bindparams(shape=row["geom"])
    session.execute(table.insert().values({**values, "geom": shape}))
