"""Exports over a real database: equal to the live tiles, of one revision, whatever happens."""

from __future__ import annotations

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from api_help import CATALOG, SECRET, Served, row_of, serving
from archive_help import ALL, live, places, read, same, write
from conftest import TEST_CITY
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.db.tables import FEED
from riskmap.errors import (
    ConflictError,
    InputError,
    RiskmapError,
    StorageFullError,
)
from riskmap.tiles import archive
from riskmap.tiles.archive import read_zooms
from riskmap.tiles.archive_walk import Step
from riskmap.tiles.archive_work import part_of

# Around all that `api_help.fill` makes, and around what some tests add.
CITY_BOX = (120.29, 36.29, 120.38, 36.38)
MORE_BOX = (120.29, 36.29, 120.45, 36.45)
FAR_BOX = (120.89, 36.89, 120.92, 36.92)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        roads(found)
        yield found


@pytest.fixture
def writable(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=3) as found:
        roads(found)
        yield found


def roads(served: Served) -> None:
    with served.database.own(Actor("test")) as session:
        session.execute(
            text(
                "INSERT INTO road_edges (geom, from_node, to_node, road_class, name)"
                " SELECT ST_SetSRID(ST_MakeLine(ST_Point(120.3 + n / 100.0, 36.3),"
                " ST_Point(120.3 + n / 100.0, 36.36)), 4326), 2 * n, 2 * n + 1,"
                " (ARRAY['motorway', 'primary', 'residential', 'service'])[1 + n % 4], '路' || n"
                " FROM generate_series(0, 7) n"
            )
        )


def revision(served: Served) -> int:
    with served.database.read() as session:
        return int(session.execute(select(func.max(FEED.c.revision))).scalar_one())


def as_live(served: Served, path: Path, *boxes: tuple[float, float, float, float]) -> int:
    """Check that every tile is what the service answers, and return how many there are."""
    tiles, _ = read(path)
    asked = {place for box in (CITY_BOX, *boxes) for place in places(box, range(15))}
    assert set(tiles) <= asked
    for place in asked:
        assert same(tiles.get(place, b""), live(served, place)), place
    return len(tiles)


def test_every_tile_is_the_live_one(served: Served, tmp_path: Path) -> None:
    done = write(served.database, tmp_path / "city.pmtiles")
    assert as_live(served, tmp_path / "city.pmtiles") == done.tiles > 40
    assert done.revision == revision(served)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["city.pmtiles"]


def test_it_says_what_it_is(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"
    write(served.database, path, zooms=(0, 3), city=replace(TEST_CITY, synthetic=True))
    _, metadata = read(path)
    assert "演示数据" in metadata["name"] and "synthetic" in metadata["name"]
    assert {layer["id"] for layer in metadata["vector_layers"]} == set(ALL.split(","))
    for layer in metadata["vector_layers"]:
        assert layer["fields"], layer["id"]
    ours = metadata["riskmap"]
    assert ours["revision"] == revision(served) and ours["zooms"] == [0, 3] and ours["synthetic"]
    write(served.database, path, zooms=(0, 3))
    assert "演示数据" not in read(path)[1]["name"]


def test_nothing_restricted_is_in_it(served: Served, tmp_path: Path) -> None:
    write(served.database, tmp_path / "city.pmtiles")
    tiles, metadata = read(tmp_path / "city.pmtiles")
    assert not any(SECRET.encode() in tile for tile in tiles.values())
    restricted = {f.name for layer in CATALOG.values() for f in layer.fields if f.restricted}
    assert not restricted & {name for one in metadata["vector_layers"] for name in one["fields"]}


def test_fields_that_a_tile_has_are_those_that_are_told(served: Served, tmp_path: Path) -> None:
    import mapbox_vector_tile  # noqa: PLC0415

    write(served.database, tmp_path / "city.pmtiles")
    tiles, metadata = read(tmp_path / "city.pmtiles")
    told = {one["id"]: set(one["fields"]) for one in metadata["vector_layers"]}
    for tile in tiles.values():
        for name, layer in mapbox_vector_tile.decode(tile).items():
            for feature in layer["features"]:
                assert set(feature["properties"]) <= told[name], name


def test_some_layers_and_zooms_alone(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "some.pmtiles"
    write(served.database, path, layers=("shelters",), roads=False, zooms=(9, 12))
    tiles, _ = read(path)
    assert {place[0] for place in tiles} == {9, 10, 11, 12}
    for place in places(CITY_BOX, range(9, 13)):
        assert same(tiles.get(place, b""), live(served, place, "shelters")), place


def test_changes_meanwhile_are_in_it(writable: Served, tmp_path: Path) -> None:
    """In place of tiles that are done, where nothing was, and what was is gone."""
    told: list[int] = []

    def change(step: Step) -> None:
        if not step.ends_zoom or step.zoom in told:
            return
        told.append(step.zoom)
        row = row_of(CATALOG["shelters"], step.zoom)
        if step.zoom in (3, 9, 13):
            writable.put("shelters", {**row, "code": f"N{step.zoom}"})
            writable.put(
                "risk-records", {**row_of(CATALOG["risk-records"], 0), "code": f"{step.zoom}"}
            )
        if step.zoom == 12:
            writable.put("shelters", {**row, "code": "far", "geom": "POINT(120.9 36.9)"})
        if step.zoom == 14:
            with writable.database.write(Actor("test")) as session:
                session.execute(text("DELETE FROM rescue_teams"))

    path = tmp_path / "city.pmtiles"
    done = write(writable.database, path, progress=change)
    assert told == list(range(15))
    assert done.revision == revision(writable) == read(path)[1]["riskmap"]["revision"]
    as_live(writable, path, MORE_BOX, FAR_BOX)


def test_who_writes_without_pause_does_not_put_the_end_off(
    writable: Served, tmp_path: Path
) -> None:
    steps = 0

    def change(step: Step) -> None:
        nonlocal steps
        steps += 1
        row = row_of(CATALOG["shelters"], steps)
        writable.put("shelters", {**row, "code": f"N{steps}"})

    path = tmp_path / "city.pmtiles"
    done = write(writable.database, path, progress=change, zooms=(0, 10))
    # The last walk is one snapshot: what came after it is not in the archive.
    assert done.revision < revision(writable)
    with writable.database.write(Actor("test")) as session:
        session.execute(
            text(
                "DELETE FROM shelters WHERE xmin::text::bigint IS NOT NULL AND code LIKE 'N%'"
                " AND substr(code, 2)::int > :seen"
            ),
            {"seen": steps - (revision(writable) - done.revision)},
        )
    tiles, _ = read(path)
    for place in places(CITY_BOX, range(11)):
        assert same(tiles.get(place, b""), live(writable, place)), place


def test_a_run_that_was_ended_goes_on(writable: Served, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"

    def end(step: Step) -> None:
        if step.zoom == 12 and step.ends_zoom:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(writable.database, path, progress=end)
    assert not path.exists() and part_of(path).exists()
    # Meanwhile the world goes on: some of what is done is old now.
    writable.put("shelters", {**row_of(CATALOG["shelters"], 1), "code": "new"})
    with writable.database.write(Actor("test")) as session:
        session.execute(text("DELETE FROM enterprises"))
    done = write(writable.database, path)
    assert as_live(writable, path) == done.tiles
    assert 0 < done.rendered < write(writable.database, path).rendered
    assert not part_of(path).exists()


def test_work_of_another_plan_is_refused_and_left_alone(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"

    def end(step: Step) -> None:
        if step.zoom == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(served.database, path, progress=end)
    kept = part_of(path).read_bytes()
    for other in ({"zooms": (0, 13)}, {"layers": ("shelters",)}, {"roads": False}):
        with pytest.raises(ConflictError) as refused:
            write(served.database, path, **other)
        assert refused.value.key == "archive.part_differs" and "--restart" in str(refused.value)
    assert part_of(path).read_bytes() == kept
    done = write(served.database, path, zooms=(0, 8), restart=True)
    assert done.tiles and not part_of(path).exists()


def test_work_of_another_schema_is_refused(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "city.pmtiles"

    def end(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(served.database, path, progress=end)
    monkeypatch.setattr("riskmap.tiles.archive_meta.CONTENT", 99)
    with pytest.raises(ConflictError, match="schema"):
        write(served.database, path)


def test_work_of_another_database_is_refused(
    served: Served, writable: Served, tmp_path: Path
) -> None:
    path = tmp_path / "city.pmtiles"

    def end(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(served.database, path, progress=end)
    with pytest.raises(ConflictError, match="database"):
        write(writable.database, path)


@pytest.mark.parametrize(
    "content", [b"no database" * 1000, b"", b"SQLite format 3\0" + b"\1" * 9999]
)
def test_a_broken_work_file_is_told_and_started_anew(
    served: Served, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "city.pmtiles"
    part_of(path).write_bytes(content)
    if content:
        with pytest.raises(ConflictError) as refused:
            write(served.database, path, zooms=(0, 4))
        assert refused.value.key == "archive.part_broken" and "--restart" in str(refused.value)
        assert part_of(path).read_bytes() == content
    assert write(served.database, path, zooms=(0, 4), restart=bool(content)).tiles


def test_a_second_export_of_the_same_file_is_refused(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"
    holder = sqlite3.connect(part_of(path), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for restart in (False, True):
        with pytest.raises(ConflictError) as refused:
            write(served.database, path, restart=restart)
        assert refused.value.key == "archive.in_use"
    holder.close()
    assert write(served.database, path, zooms=(0, 4)).tiles


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 20_000, 40_000])
def test_a_full_disk_leaves_the_old_archive_whole(
    served: Served, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "city.pmtiles"
    path.write_bytes(b"the old one")
    with files_of_at_most(size), pytest.raises(StorageFullError) as refused:
        write(served.database, path)
    assert str(part_of(path)) in str(refused.value)
    assert path.read_bytes() == b"the old one"
    # There is room again: the same command goes on.
    done = write(served.database, path)
    assert as_live(served, path) == done.tiles


def test_a_disk_that_is_full_at_the_very_end(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tiles are there, and no room for the archive itself."""
    path = tmp_path / "city.pmtiles"
    path.write_bytes(b"the old one")
    publish = archive._publish

    def cramped(*arguments: Any) -> int:
        with files_of_at_most(1000):
            return publish(*arguments)

    monkeypatch.setattr(archive, "_publish", cramped)
    with pytest.raises(StorageFullError):
        write(served.database, path)
    assert path.read_bytes() == b"the old one"
    assert not path.with_name("city.pmtiles.new").exists() and part_of(path).exists()
    monkeypatch.undo()
    done = write(served.database, path)
    assert done.rendered == 0 and as_live(served, path) == done.tiles


def test_what_is_no_file_is_not_made_one(served: Served, tmp_path: Path) -> None:
    """As /dev/null would be, by who may write there."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InputError, match="regular file"):
        write(served.database, path)
    assert path.is_fifo() and not part_of(path).exists()


def test_an_empty_city_has_no_archive(cluster: Cluster, migrated: str, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"
    with serving(cluster, migrated) as empty, pytest.raises(InputError) as refused:
        write(empty.database, path)
    assert refused.value.key == "archive.empty" and not path.exists()


def test_layers_that_show_nothing_at_these_zooms_have_none(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "city.pmtiles"
    late = next(layer.id for layer in CATALOG.values() if layer.tile.min_zoom > 3)
    with pytest.raises(InputError) as refused:
        write(served.database, path, layers=(late,), roads=False, zooms=(0, 3))
    assert refused.value.key == "archive.empty" and not path.exists()


@pytest.mark.parametrize(
    ("text_", "zooms"), [("0-16", (0, 16)), ("12", (12, 12)), ("0-0", (0, 0)), ("5-22", (5, 22))]
)
def test_zooms(text_: str, zooms: tuple[int, int]) -> None:
    assert read_zooms(text_) == zooms


@pytest.mark.parametrize(
    "text_", ["", "-", "16-0", "0-23", "-1-3", "a-b", "1-2-3", "０-1", "1.5", "0-", "-5", "²-3"]
)
def test_nonsense_zooms(text_: str) -> None:
    with pytest.raises(RiskmapError) as refused:
        read_zooms(text_)
    assert refused.value.parameter == "--zooms" and "22" in str(refused.value)
