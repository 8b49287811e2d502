"""The demo city: counts equal to a recount of the items, addresses of the docs, commands."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from pyproj import Geod
from typer.testing import CliRunner

sys.path[:0] = [str(Path(__file__).parents[1])]

from api_help import Served, serving_the_demo  # noqa: E402
from riskmap.catalog.registry import load_catalog  # noqa: E402
from riskmap.catalog.spec import Role  # noqa: E402
from riskmap.cli.main import app  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402

GEOD = Geod(ellps="WGS84")
DOCS = (Path(__file__).parents[2] / "docs" / "surroundings.md").read_text(encoding="utf-8")
ADDRESSES = re.findall(r"^GET (/.*)$", DOCS, re.MULTILINE)
BODIES = re.findall(r"^POST /analysis/surroundings\n(\{.*\})$", DOCS, re.MULTILINE)
COMMANDS = re.findall(r"^riskmap (around .*)$", DOCS, re.MULTILINE)
HERE = (123.0, 35.05)


@pytest.fixture(scope="module")
def demo(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving_the_demo(cluster, migrated) as served:
        yield served


def test_the_docs_show_some() -> None:
    assert len(ADDRESSES) >= 10 and len(BODIES) == 3 and len(COMMANDS) == 3


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_answered(demo: Served, address: str) -> None:
    answer = demo.client.get(address)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert any(layer["count"] for layer in found["layers"].values())
    assert found["synthetic"] is True


@pytest.mark.parametrize("body", BODIES)
def test_a_body_is_answered(demo: Served, body: str) -> None:
    answer = demo.client.post("/analysis/surroundings", json=json.loads(body))
    assert answer.status_code == 200, answer.text
    assert any(layer["count"] for layer in answer.json()["layers"].values())


def test_the_docs_name_every_reason_and_parameter(demo: Served) -> None:
    from riskmap.analysis.refuge import REASONS  # noqa: PLC0415
    from riskmap.api.taken import TAKEN  # noqa: PLC0415

    assert all(f"`{reason}`" in DOCS for reason in REASONS)
    assert all(f"`{one.name}`" in DOCS for one in TAKEN["/analysis/surroundings"])


@pytest.mark.parametrize("radius_m", [500, 1500])
def test_the_counts_are_those_of_a_recount(demo: Served, radius_m: int) -> None:
    """Items of the box, each measured by geodesics to a dense line of its outline."""
    found = demo.get(
        "/analysis/surroundings", lon=HERE[0], lat=HERE[1], radius_m=radius_m, limit=1000
    ).json()
    (ring,) = found["rings"]
    edge = radius_m / 80_000
    box = ",".join(str(HERE[axis] + side * edge) for side in (-1, 1) for axis in (0, 1))
    place = shapely.Point(HERE)
    counted = 0
    for layer in load_catalog().values():
        if layer.role in (Role.CONTEXT, Role.POPULATION):
            assert layer.id not in ring["layers"]
            continue
        inside = [
            one
            for one in demo.items(layer.id, bbox=box, limit=10_000)
            if _metres(one["geometry"], place) <= radius_m
        ]
        told = ring["layers"][layer.id]
        assert told["count"] == len(inside), layer.id
        counted += len(inside)
        listed = {one["id"] for one in found["layers"][layer.id]["features"]}
        assert listed == {one["id"] for one in inside}
        if layer.assessed:
            nulls = sum(one["properties"]["risk_level"] is None for one in inside)
            assert told["by_risk_level"]["null"] == nulls
        if layer.people is not None:
            known = [one["properties"].get(layer.people) for one in inside]
            assert told["people"] == sum(value for value in known if value is not None)
            assert told["people_unknown"] == sum(value is None for value in known)
    assert counted > 20


def _metres(geometry: dict[str, Any], place: Any) -> float:
    shape = shapely.geometry.shape(geometry)
    if shape.intersects(place):
        return 0.0
    xy = shapely.get_coordinates(shapely.segmentize(shape, 2e-5))
    here = (np.full(len(xy), place.x), np.full(len(xy), place.y))
    return float(GEOD.inv(*xy.T, *here)[2].min())


def test_the_people_are_those_of_a_recount(demo: Served) -> None:
    """Cells of 500 m or so in the local projection, as the alpha of sources counts them."""
    found = demo.get("/analysis/surroundings", lon=HERE[0], lat=HERE[1], radius_m=2000).json()
    with demo.database.read() as session:
        from sqlalchemy import text  # noqa: PLC0415

        people = session.execute(
            text(
                "WITH p AS (SELECT ST_Transform(ST_SetSRID(ST_MakePoint(:x, :y), 4326), s) AS p, s"
                " FROM (SELECT local_srid AS s FROM city) c), a AS (SELECT CASE"
                " WHEN ST_Dimension(geom) = 0 AND cell_size_m > 0"
                " THEN ST_Expand(ST_Transform(geom, s), cell_size_m / 2)"
                " ELSE ST_Transform(geom, s) END AS cell, population FROM population_cells, p)"
                " SELECT sum(population * CASE WHEN ST_Area(cell) > 0 THEN"
                " ST_Area(ST_Intersection(cell, ST_Buffer(p, 2000, 90))) / ST_Area(cell)"
                " ELSE 1 END) FROM a, p WHERE ST_DWithin(cell, p, 2000)"
            ),
            {"x": HERE[0], "y": HERE[1]},
        ).scalar_one()
    assert found["rings"][0]["people"] == pytest.approx(float(people), rel=2e-3)
    assert found["rings"][0]["people"] > 1000


def test_question_2_and_3_by_one_command_each(
    demo: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """哪些避难场所可用, 半径内有什么: with the picture of each."""
    url = demo.settings.database_url
    assert url is not None
    monkeypatch.setenv("RISKMAP_DATABASE_URL", url)
    monkeypatch.setenv("RISKMAP_API_DATABASE_URL", str(demo.settings.api_database_url))
    monkeypatch.setenv("RISKMAP_DATA_DIR", str(demo.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    area = {"type": "Point", "coordinates": list(HERE)}
    (tmp_path / "area.geojson").write_text(json.dumps(area), encoding="utf-8")
    shown = [CliRunner().invoke(app, command.split()) for command in COMMANDS]
    assert [one.exit_code for one in shown] == [0, 0, 0], [one.output for one in shown]
    near, toxic, told = (one.stdout for one in shown)
    assert "避难场所 Shelters" in near and "人口 People" in near and "≤ 3000 m" in near
    assert "危险区 Danger zone 500 m" in toxic and "累计 So far" in toxic
    picture = (tmp_path / "toxic.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(picture)  # noqa: S314 - our own text
    for words in ("危险区 Danger zone", "下风扇区", "演示数据 Synthetic data", "wind from 90"):
        assert words in picture
    assert json.loads(told)["rings"][0]["radius_m"] == 100
    circle = CliRunner().invoke(app, ["circle", "--at", "123.0,35.05", "--picture", "c.svg"])
    assert circle.exit_code == 0, circle.output
    assert "响应圈" in (tmp_path / "c.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--at", "x,y"],
        ["--at", "123"],
        [],
        ["--at", "123,35", "--feature", "shelters/1"],
        ["--at", "123.0,35.05", "--radius", "a"],
        ["--geometry", "no-such-file"],
        ["--at", "123.0,35.05", "--picture", "/no/such/folder/x.svg"],
    ],
)
def test_a_wrong_command_is_named(arguments: list[str]) -> None:
    shown = CliRunner().invoke(app, ["around", *arguments])
    assert shown.exit_code != 0
    assert shown.exception is not None and "--" in str(shown.exception)
