"""Backup and restore: the old city whole, or the present one untouched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from feedrows import act, feed, point, points, rows
from sqlalchemy import text

from conftest import connect, copy_of, drop, open_database
from riskmap.access.keys import KeyRole
from riskmap.access.store import create_key
from riskmap.db import backup as module
from riskmap.db.backup import backup, restore
from riskmap.db.city import City
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor, Database
from riskmap.errors import ConflictError, InputError, SetupError

EVERYTHING = ("shelters", "feed", "history", "audit", "city", "api_keys", "road_speeds")


def content(database: Database) -> dict[str, list[object]]:
    return {t: rows(database, f"SELECT t::text FROM {t} t ORDER BY 1") for t in EVERYTHING}


def databases(cluster: Cluster) -> list[str]:
    with connect(cluster) as session:
        return sorted(n for (n,) in session.execute("SELECT datname FROM pg_database").fetchall())


@pytest.fixture
def kept(cluster: Cluster, database: Database, city: City, tmp_path: Path) -> Iterator[Path]:
    """A backup of a city with a past: ids with gaps, versions, deleted rows, a key."""
    act(database, points(5), "UPDATE shelters SET name = 'x' WHERE code = 'n2'")
    act(database, "DELETE FROM shelters WHERE code IN ('n3', 'n5')")
    with database.own(Actor("test")) as session:
        create_key(session, name="a", role=KeyRole.READER)
    file = tmp_path / "city.backup"
    assert backup(database, file, bin_folder=cluster.programs.folder) == file.stat().st_size
    assert list(tmp_path.iterdir()) == [file]
    yield file


def test_all_comes_back_and_goes_on(cluster: Cluster, database: Database, kept: Path) -> None:
    before, last = content(database), feed(database)[-1].revision
    act(database, point("later"), "DELETE FROM shelters WHERE code = 'n1'")
    others = databases(cluster)
    restore(database, kept, replace=True, bin_folder=cluster.programs.folder)
    assert databases(cluster) == others, "nothing is left over"
    assert content(database) == before
    assert migrate(database).ready
    act(database, point("new"))
    assert rows(database, "SELECT id FROM shelters WHERE code = 'new'") == [(6,)]
    assert [(r.revision, r.layer) for r in feed(database, last)] == [(last + 1, "shelters")]


def test_it_can_be_put_into_an_empty_database(
    cluster: Cluster, database: Database, kept: Path, migrated: str
) -> None:
    before = content(database)
    copy_of(cluster, migrated, "test_" + "n" * 58)  # the longest name there can be
    other = open_database(cluster, "test_" + "n" * 58)
    try:
        restore(other, kept, bin_folder=cluster.programs.folder)
        assert content(other) == before
    finally:
        other.dispose()
        drop(cluster, "test_" + "n" * 58)


def refused(
    cluster: Cluster, database: Database, file: Path, key: str, *, replace: bool = True
) -> None:
    before, others = content(database), databases(cluster)
    with pytest.raises((InputError, ConflictError, SetupError)) as caught:
        restore(database, file, replace=replace, bin_folder=cluster.programs.folder)
    assert caught.value.key == key and "{" not in caught.value.text("zh")
    assert databases(cluster) == others
    assert content(database) == before


def test_a_city_is_not_replaced_unasked(cluster: Cluster, database: Database, kept: Path) -> None:
    refused(cluster, database, kept, "backup.holds", replace=False)


def test_what_is_no_backup(
    cluster: Cluster, database: Database, city: City, kept: Path, tmp_path: Path
) -> None:
    refused(cluster, database, tmp_path / "nothing", "backup.missing")
    text_file = tmp_path / "notes.txt"
    text_file.write_text("no backup")
    refused(cluster, database, text_file, "backup.no_backup")
    cut = tmp_path / "cut"
    cut.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    refused(cluster, database, cut, "backup.failed")


def test_a_backup_of_a_newer_riskmap(
    cluster: Cluster, database: Database, city: City, tmp_path: Path
) -> None:
    with database.own(Actor("test")) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    backup(database, tmp_path / "newer", bin_folder=cluster.programs.folder)
    with database.own(Actor("test")) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0002_feed'"))
    refused(cluster, database, tmp_path / "newer", "migrate.newer")


def test_a_database_in_use(cluster: Cluster, database: Database, kept: Path) -> None:
    with connect(cluster, str(database.owner_url.database)):
        refused(cluster, database, kept, "backup.busy")


def test_a_swap_that_stops_half_way(
    cluster: Cluster, database: Database, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second name cannot be given: the first one is given back."""
    held: list[object] = []
    look = module.schema_state

    def look_and_stay(connection):
        if "_restore_" in connection.engine.url.database:
            held.append(connect(cluster, connection.engine.url.database))
        return look(connection)

    monkeypatch.setattr(module, "schema_state", look_and_stay)
    refused(cluster, database, kept, "backup.busy")
    assert len(held) == 1


def test_a_file_is_never_overwritten(cluster: Cluster, database: Database, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    with pytest.raises(InputError) as caught:
        backup(database, tmp_path / "there")
    assert caught.value.key == "backup.exists"
    assert (tmp_path / "there").read_text() == "precious"
    with pytest.raises(InputError) as caught:
        backup(database, tmp_path / "no" / "such" / "folder")
    assert caught.value.key == "backup.folder"
    with pytest.raises(SetupError) as program:
        backup(database, tmp_path / "new", bin_folder=tmp_path)
    assert program.value.key == "backup.program"
    assert not (tmp_path / "new").exists()


def test_a_backup_is_its_owners_alone(cluster: Cluster, database: Database, tmp_path: Path) -> None:
    backup(database, tmp_path / "city.backup", bin_folder=cluster.programs.folder)
    assert (tmp_path / "city.backup").stat().st_mode & 0o777 == 0o600
