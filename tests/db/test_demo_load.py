"""The demo city goes into an empty database, whole or not at all, and out again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from feedrows import act, feed, point, rows

from conftest import TEST_CITY
from demo_help import COUNTS, EDGES, write_city, write_manifest
from riskmap.catalog.registry import load_catalog
from riskmap.cli import demo as command
from riskmap.cli.opening import Opened
from riskmap.db.city import find_city
from riskmap.db.city import write_city as put_city
from riskmap.db.sessions import Actor, Database
from riskmap.demo import load as module
from riskmap.demo.load import (
    DEMO_CITY,
    Stage,
    held,
    is_empty,
    load_demo,
    read_files,
    removable,
    remove_demo,
)
from riskmap.errors import ConflictError, SetupError
from riskmap.ingest.report import ImportRejectedError
from riskmap.roads.graphs import Graphs
from riskmap.roads.load import roads_revision
from riskmap.settings import Settings

ACTOR = Actor("cli:tester")
CATALOG = load_catalog()
CODES = "SELECT code, source_system, version FROM {} ORDER BY code"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_city(tmp_path / "files")


@pytest.fixture
def load(database: Database, folder: Path, tmp_path: Path) -> Callable[[], bool]:
    def run() -> bool:
        graphs = Graphs(tmp_path / "data", database)
        files = read_files(folder)
        return load_demo(database, CATALOG, graphs, files, actor=ACTOR, progress=stages.append)

    stages: list[Stage] = []
    return run


def assert_empty(database: Database) -> None:
    with database.read() as session:
        assert is_empty(session, CATALOG)
        found = held(session, CATALOG)
        assert (found.city, found.edges, found.demo, found.other) == (None, 0, {}, {})
        assert roads_revision(session) is None


def test_everything_goes_in(database: Database, load: Callable[[], bool], tmp_path: Path) -> None:
    assert_empty(database)
    assert load()
    with database.read() as session:
        found = held(session, CATALOG)
        assert not is_empty(session, CATALOG)
    assert found.city == DEMO_CITY
    assert DEMO_CITY.synthetic
    assert (found.demo, found.other, found.edges) == (COUNTS, {}, EDGES)
    assert rows(database, "SELECT count(*) FROM history") == [(0,)]
    noted = [row for row in feed(database) if row.layer in COUNTS]
    assert {row.layer: row.row_count for row in noted} == COUNTS
    assert {row.op for row in noted} == {"INSERT"}
    actions = "SELECT action FROM audit WHERE action LIKE '%.%' ORDER BY id"
    assert rows(database, actions) == [("city.init",), ("roads.import",), ("demo.load",)]
    graphs = {path.name.split("-")[0] for path in (tmp_path / "data/graphs").glob("*/*-*")}
    assert graphs == {"emergency", "motorcycle", "ordinary", "walk"}


def test_each_stage_is_told_in_order(database: Database, folder: Path, tmp_path: Path) -> None:
    stages: list[Stage] = []
    graphs, files = Graphs(tmp_path / "data", database), read_files(folder)
    load_demo(database, CATALOG, graphs, files, actor=ACTOR, progress=stages.append)
    assert [stage.number for stage in stages] == list(range(1, len(stages) + 1))
    assert {stage.of for stage in stages} == {len(stages)} == {len(COUNTS) + 4}
    for layer in COUNTS:
        title = CATALOG[layer].title
        assert any(title.zh in stage.text("zh") for stage in stages)
        assert any(title.en in stage.text("en") for stage in stages)


def test_a_second_load_changes_nothing(database: Database, load: Callable[[], bool]) -> None:
    assert load()
    before = feed(database)
    assert not load()
    assert feed(database) == before


def test_two_loads_at_once_are_one(database: Database, folder: Path, tmp_path: Path) -> None:
    twin = Database(database.owner_url, database.api_url, Settings())
    files, answers = read_files(folder), []

    def attempt(one: Database) -> None:
        graphs = Graphs(tmp_path / "data", one)
        answers.append(
            load_demo(one, CATALOG, graphs, files, actor=ACTOR, progress=lambda stage: None)
        )

    threads = [threading.Thread(target=attempt, args=(one,)) for one in (database, twin)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    twin.dispose()
    assert sorted(answers) == [False, True]
    with database.read() as session:
        assert held(session, CATALOG).demo == COUNTS


def test_a_bad_row_in_the_last_file_leaves_nothing(
    database: Database, folder: Path, load: Callable[[], bool]
) -> None:
    last = folder / "shelters.geojson"
    good = last.read_text(encoding="utf-8")
    last.write_text(good.replace('"capacity": 100,', '"capacity": -1,'), encoding="utf-8")
    assert last.read_text(encoding="utf-8") != good
    write_manifest(folder)
    with pytest.raises(ImportRejectedError):
        load()
    assert_empty(database)
    assert rows(database, "SELECT count(*) FROM feed") == [(0,)]
    last.write_text(good, encoding="utf-8")
    write_manifest(folder)
    assert load()


@pytest.mark.parametrize(
    ("damage", "key", "named"),
    [
        (lambda f: (f / "manifest.json").unlink(), "demo.no_files", "manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "demo.bad_manifest", "manifest.json"),
        (lambda f: (f / "manifest.json").write_text("[]"), "demo.bad_manifest", "manifest.json"),
        (lambda f: (f / "shelters.geojson").unlink(), "demo.file_missing", "shelters.geojson"),
        (lambda f: (f / "roads.osm.pbf").unlink(), "demo.file_missing", "roads.osm.pbf"),
        (
            lambda f: (f / "population-cells.csv").open("a").write("\n"),
            "demo.file_changed",
            "population-cells.csv",
        ),
    ],
)
def test_files_are_looked_at_before_anything_is_written(
    database: Database,
    folder: Path,
    load: Callable[[], bool],
    damage: Callable[[Path], object],
    key: str,
    named: str,
) -> None:
    damage(folder)
    with pytest.raises(SetupError) as caught:
        load()
    assert caught.value.key == key
    for lang in ("zh", "en"):
        assert named in caught.value.text(lang)
        assert str(folder) in caught.value.text(lang)
    assert_empty(database)


def refused(act: Callable[[], object], key: str, *parts: str) -> None:
    with pytest.raises(ConflictError) as caught:
        act()
    assert caught.value.key == key
    for part in parts:
        assert part in caught.value.text("zh") and part in caught.value.text("en")


def test_a_real_city_keeps_its_database(database: Database, load: Callable[[], bool]) -> None:
    with database.own(ACTOR) as session:
        put_city(session, TEST_CITY)
    refused(load, "demo.other_city", TEST_CITY.name)
    refused(
        lambda: remove_demo(database, CATALOG, actor=ACTOR, every_source=True),
        "demo.real_city",
        TEST_CITY.name,
    )
    with database.read() as session:
        assert find_city(session) == TEST_CITY


def test_features_without_a_city_are_somebodys(
    database: Database, load: Callable[[], bool]
) -> None:
    act(database, point("a"))
    refused(load, "demo.not_empty", "shelters 1")
    act(database, "DELETE FROM shelters")
    assert load()


def test_roads_without_a_city_are_somebodys(database: Database, load: Callable[[], bool]) -> None:
    act(
        database,
        "INSERT INTO road_edges (geom, from_node, to_node, road_class) VALUES"
        " (ST_GeomFromText('LINESTRING(120 36, 120.1 36)', 4326), 1, 2, 'primary')",
    )
    refused(load, "demo.not_empty", "roads 1")


def test_a_real_city_never_takes_the_demos_database(
    database: Database, load: Callable[[], bool]
) -> None:
    load()
    for replace in (False, True):
        with pytest.raises(ConflictError) as caught, database.own(ACTOR) as session:
            put_city(session, TEST_CITY, replace=replace)
        assert caught.value.key == "demo.city_init"
        assert "riskmap demo remove" in caught.value.text("zh")
        assert "riskmap demo remove" in caught.value.text("en")
    with database.read() as session:
        assert find_city(session) == DEMO_CITY


def test_all_goes_out_and_in_again(database: Database, load: Callable[[], bool]) -> None:
    load()
    act(
        database,
        "UPDATE shelters SET name = 'x' WHERE code = 'S1'",
        "DELETE FROM shelters WHERE code = 'S2'",
    )
    # What somebody else had here once stays in the books.
    act(database, point("theirs"), "DELETE FROM shelters WHERE code = 'theirs'")
    was = {layer: n - (layer == "shelters") for layer, n in COUNTS.items()}
    gone = remove_demo(database, CATALOG, actor=ACTOR)
    assert (gone.demo, gone.edges) == (was, EDGES)
    assert_empty(database)
    kept = rows(database, "SELECT layer, row->>'code' FROM history")
    assert kept == [("shelters", "theirs")]
    assert ("demo.remove", ACTOR.name) in rows(database, "SELECT action, actor FROM audit")
    assert {row.row_count for row in feed(database) if row.op == "DELETE"} >= {EDGES}
    assert load()
    with database.read() as session:
        assert held(session, CATALOG).demo == COUNTS
    assert rows(database, "SELECT DISTINCT version FROM shelters") == [(1,)]


def test_features_of_others_are_not_taken_along(
    database: Database, load: Callable[[], bool]
) -> None:
    load()
    act(database, point("theirs"))
    refused(lambda: remove_demo(database, CATALOG, actor=ACTOR), "demo.foreign", "shelters 1")
    with database.read() as session:
        found = held(session, CATALOG)
        assert (found.demo, found.other) == (COUNTS, {"shelters": 1})
        assert removable(session, CATALOG, every_source=True) == found
    remove_demo(database, CATALOG, actor=ACTOR, every_source=True)
    assert_empty(database)
    assert rows(database, "SELECT count(*) FROM history") == [(0,)]


def test_nothing_to_remove(database: Database) -> None:
    refused(lambda: remove_demo(database, CATALOG, actor=ACTOR), "demo.none")


def opened(database: Database, tmp_path: Path) -> Opened:
    return Opened(Settings(data_dir=tmp_path / "data"), database, None)


def test_a_start_without_files_goes_on_empty(
    database: Database,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = tmp_path / "nowhere"
    monkeypatch.setattr(module, "layers_folder", lambda: missing)
    command.load_when_empty(opened(database, tmp_path))
    assert str(missing) in capsys.readouterr().err.replace("\n", "")
    assert_empty(database)
    monkeypatch.setattr(module, "layers_folder", lambda: folder)
    command.load_when_empty(opened(database, tmp_path))
    said = capsys.readouterr().out
    assert "RISKMAP_DEMO=0" in said and "[ 1/8]" in said
    with database.read() as session:
        assert held(session, CATALOG).demo == COUNTS
    command.load_when_empty(opened(database, tmp_path))
    assert capsys.readouterr().out == "", "a city that is there is passed over in silence"


def test_a_start_leaves_a_real_city_alone(
    database: Database,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with database.own(ACTOR) as session:
        put_city(session, TEST_CITY)
    monkeypatch.setattr(module, "layers_folder", lambda: folder)
    command.load_when_empty(opened(database, tmp_path))
    with database.read() as session:
        assert find_city(session) == TEST_CITY
        assert held(session, CATALOG).demo == {}
