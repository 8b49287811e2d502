"""The README's words hold: its commands are read from it and run as a user would."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import psycopg
import pytest
from shapely import is_valid
from shapely.geometry import shape

from cli_help import Answer, Place, a_place, counts
from conftest import connect, shared_data
from riskmap.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
POPULATION = 812_935
FILES = ("poa_osm.pbf", "poa_hexgrid.csv", "pmrr_setores.geojson")


def commands() -> list[list[str]]:
    """Return the commands of "Import your city" without the word riskmap."""
    section = README.split("## Import your city")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    script = block[1].replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in script.splitlines()]
    found = [line[1:] for line in lines if line and line[0] == "riskmap"]
    assert len(found) == len([line for line in lines if line])
    # Another city's file: tests/client/test_nanjing.py imports it.
    return [words for words in found if "roads.gpkg" not in words]


def mapping() -> str:
    block = re.search(r"`pmrr.json`[^`]*```json\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return block[1]


@pytest.fixture(scope="module")
def city() -> Iterator[tuple[Place, dict[str, Answer]]]:
    """A city made by the README's commands, and what each said."""
    files = [shared_data("porto-alegre", name) for name in FILES]
    with a_place() as place:
        for file in files:
            shutil.copyfile(file, place.cwd / file.name)
        (place.cwd / "pmrr.json").write_text(mapping(), encoding="utf-8")
        said = {" ".join(words[:2]): place.done(*words) for words in commands()}
        yield place, said


def row(answer: Answer, name: str) -> list[float]:
    line = next(line for line in answer.out.splitlines() if name in line)
    return [float(cell.replace(",", "")) for cell in re.split("[│┃|]", line)[2:-1]]


def circle_command() -> list[str]:
    return next(words for words in commands() if words[0] == "circle")


def test_the_commands_are_all_there() -> None:
    assert [words[0] for words in commands()] == ["city", "roads", "import", "import", "circle"]


def test_the_readme_fills_a_city(city: tuple[Place, dict[str, Answer]]) -> None:
    place, said = city
    assert counts(said["import population-cells"]) == (1227, 0, 0)
    assert counts(said["import risk-records"]) == (204, 0, 0)
    assert "1 repaired" in said["import risk-records"].out
    circle = said[" ".join(circle_command()[:2])]
    people = row(circle, "People")
    assert len(people) == 3
    assert 0 < people[0] < people[1] < people[2] <= POPULATION
    sectors = row(circle, "Risk records")
    assert 0 <= sectors[0] <= sectors[1] <= sectors[2] <= 204
    assert sectors[2] > 0
    areas = row(circle, "Area")
    assert 0 < areas[0] < areas[1] < areas[2]
    with place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
        assert one(session, "SELECT sum(population) FROM population_cells") == POPULATION
        assert one(session, "SELECT name FROM city") == "阿雷格里港"


def one(session: psycopg.Connection, statement: str) -> Any:
    found = session.execute(statement).fetchone()
    assert found is not None
    return found[0]


def test_a_second_import_changes_nothing(city: tuple[Place, dict[str, Answer]]) -> None:
    place, _ = city
    with place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
        before = one(session, "SELECT max(revision) FROM feed")
        for words in commands():
            if words[0] == "import":
                inserted, updated, unchanged = counts(place.done(*words))
                assert (inserted, updated) == (0, 0)
                assert unchanged in (204, 1227)
        assert one(session, "SELECT max(revision) FROM feed") == before
        assert one(session, "SELECT count(*) FROM history") == 0


def test_layers_shows_every_id_whole_on_a_narrow_terminal(
    city: tuple[Place, dict[str, Answer]],
) -> None:
    place, _ = city
    narrow = Place(place.cwd, {"COLUMNS": "60"})
    answer = narrow.done("layers")
    for name in ("flash-flood-zones", "major-hazard-sources", "population-cells"):
        assert name in answer.out
    assert re.search(r"population-cells.* 1,227 ", place.done("layers").out)


def test_the_service_beside_a_command(city: tuple[Place, dict[str, Answer]]) -> None:
    place, _ = city
    with place.serving() as service:
        assert service.get("/readyz").json()["city"] is True
        found = service.get("/collections").json()["collections"]
        assert len(found) == 13

        file = place.cwd / "circle.geojson"
        place.done(*circle_command(), "-o", file)  # a command beside the service
        shown = json.loads(file.read_text(encoding="utf-8"))
        at = next(word for word in circle_command() if word.startswith("--at="))
        lon, lat = map(float, at.removeprefix("--at=").split(","))
        body = {"points": [[lon, lat]], "minutes": [5, 10, 15]}
        reply = service.get("/analysis/response-circles", body)
        assert reply.status == 200
        assert reply.json() == shown
        widest, middle, narrow = (shape(f["geometry"]) for f in shown["features"])
        assert all(map(is_valid, (widest, middle, narrow)))
        assert widest.covers(middle) and middle.covers(narrow)

        items = service.get("/collections/risk-records/items?limit=1000").json()["features"]
        ids = {feature["id"] for feature in items}
        assert len(ids) == 204
        zoom = 10
        x = math.floor((lon + 180) / 360 * 2**zoom)
        y = math.floor((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom)
        tile = service.get(f"/tiles/risk-records/{zoom}/{x}/{y}.mvt")
        assert tile.status == 200
        drawn = mapbox_vector_tile.decode(tile.body)["risk-records"]["features"]
        assert drawn
        assert {feature["id"] for feature in drawn} <= ids

        assert place.cluster().is_running()
        assert service.stop() in (0, 143)
        assert "riskmap has stopped" in service.said
        assert "Traceback" not in service.said
    assert not place.cluster().is_running()
    assert not (place.cluster().data / "postmaster.pid").exists()


def test_the_table_of_variables_is_the_settings() -> None:
    table = README.split("## Two commands")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `RISKMAP_")]
    named = {
        name for line in rows for name in re.findall(r"`RISKMAP_([A-Z_]+)`", line.split("|")[1])
    }
    assert named == {name.upper() for name in Settings.model_fields}
    for line in rows:
        _, names, _, defaults, _ = line.split("|")
        shown = [part.strip() for part in defaults.split(",")]
        fields = [name.lower() for name in re.findall(r"`RISKMAP_([A-Z_]+)`", names)]
        for name, text in zip(fields, shown, strict=True):
            default = Settings.model_fields[name].default
            if default in (None, []):
                assert text in ("–", "none"), name
            elif isinstance(default, float):
                assert float(text) == default, name
            else:
                assert text.strip("`") == str(default), name
