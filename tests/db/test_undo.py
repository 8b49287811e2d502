"""An import taken back, an undo taken back, one feature put back: to the bit, ids kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from feedrows import act, psql
from sqlalchemy import text

from import_help import CATALOG, IMPORTER, Desk, counts
from ingest_help import point
from riskmap.db.city import City
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database
from riskmap.errors import ConflictError, NotFoundError, PreconditionError
from riskmap.ingest import store
from riskmap.ingest.report import ImportRejectedError
from riskmap.ingest.undo import Undone, restore_feature, undo_import

UNDOER = Actor("cli:undoer", "undo-1")
OLD = (point("a", 120.1, 36.1, name="one"), point("b", 120.2, 36.2), point("c", 120.3, 36.3))
NEW = (point("a", 120.7, 36.7, name="new"), point("b", 120.2, 36.2), point("d", 120.4, 36.4))

# Numbers, texts and times that a careless way through JSON would change.
TEAM = """
INSERT INTO rescue_teams (code, source_system, source_crs, geom, name, specialties, personnel,
    licensed, licensed_at, surveyed_at, raw_x, position_accuracy_m, attributes, vehicles)
VALUES ('a', 'bureau', 'EPSG:4326', ST_SetSRID(ST_MakePoint(120.1 + 0.2, 1 / 3.0 + 36), 4326),
    E'消防\\n"站"', '{fire,"a,b",NULL}', 2147483647, false, '2024-02-29',
    '2024-02-29 23:59:59.123456+08', 0.1::float8 + 0.2::float8, 'NaN',
    '{"深": [1, 1.50, null, {"x": 1e40}]}', '[{"type": "truck", "count": 2}]')
"""
BITS = """
SELECT t.*, geom::text AS hex, geom_3857::text AS hex_3857, float8send(raw_x) AS bits,
    float8send(position_accuracy_m) AS nan, attributes::text AS json
FROM rescue_teams t ORDER BY id
"""
GIVEN = {"version", "updated_at"}


@pytest.fixture
def desk(database: Database, city: City, tmp_path: Path) -> Desk:
    return Desk(database, city, tmp_path)


def undo(desk: Desk, import_id: int | None, **options: Any) -> Undone:
    assert import_id is not None
    with desk.database.write(UNDOER) as session:
        return undo_import(session, import_id, actor=UNDOER, **options)


def touched(done: Undone) -> tuple[int, int, int, int]:
    return done.inserted, done.updated, done.deleted, done.skipped


def content(desk: Desk) -> list[Any]:
    """What the layer holds, but for what every change gives anew."""
    found = desk.rows(f"SELECT *, geom::text AS hex FROM {desk.layer} ORDER BY id")
    return [
        {k: v for k, v in row._mapping.items() if k not in GIVEN | {"geom", "geom_3857"}}
        for row in found
    ]


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_undo_and_redo_of_an_import(desk: Desk, mode: str) -> None:
    desk.bring(*OLD)
    before, versions = content(desk), desk.stored()
    report = desk.bring(*NEW, mode=mode)
    gone = int(mode == "replace")
    assert counts(report) == (1, 1, 1, gone)
    between = content(desk)

    undone = undo(desk, report.import_id)
    assert touched(undone) == (gone, 1, 1, 0)
    assert content(desk) == before
    after = desk.stored()
    # New versions, none used before: a went 1, 2, 3; c went 1 and came back as 2.
    assert {code: row[1] for code, row in after.items()} == {"a": 3, "b": 1, "c": 1 + gone}
    assert {code: row[0] for code, row in after.items()} == {
        code: row[0] for code, row in versions.items()
    }

    redone = undo(desk, undone.import_id)
    assert touched(redone) == (1, 1, gone, 0)
    assert content(desk) == between
    back = undo(desk, redone.import_id)
    assert touched(back) == (gone, 1, 1, 0)
    assert content(desk) == before
    numbered = desk.rows("SELECT layer, feature_id, version FROM history")
    assert len(set(numbered)) == len(numbered)


def test_an_undo_is_an_import_of_its_own(desk: Desk) -> None:
    desk.bring(*OLD)
    report = desk.bring(*NEW, mode="replace")
    done = undo(desk, report.import_id)
    with desk.database.read() as session:
        row = store.get_import(session, done.import_id)
        listed = store.list_imports(session)
        assert store.get_import(session, report.import_id or 0).undone_by == done.import_id
    assert (row.kind, row.undo_of, row.status) == ("undo", report.import_id, "done")
    assert (row.actor, row.request_id) == (UNDOER.name, UNDOER.request_id)
    assert row.report == done.to_json()
    assert [one.id for one in listed] == [3, 2, 1]
    by_it = desk.rows(f"SELECT op, actor FROM history WHERE import_id = {done.import_id}")
    assert sorted(by_it) == [("delete", UNDOER.name), ("update", UNDOER.name)]
    [audit] = desk.rows("SELECT * FROM audit WHERE action = 'import.undo'")
    assert (audit.subject, audit.import_id, audit.row_count) == ("shelters", done.import_id, 3)


def test_values_come_back_bit_for_bit(desk: Desk, cluster: Cluster) -> None:
    desk.layer = "rescue_teams"
    with psql(cluster, desk.database) as session:
        session.execute(TEAM)
    [was] = desk.rows(BITS)
    layer = "rescue-teams"
    updated = desk.bring(point("a", 120.9, 36.9, name="new"), layer=layer)
    assert counts(updated) == (0, 1, 0, 0)
    undo(desk, updated.import_id)
    replaced = desk.bring(point("b", 120.9, 36.9), layer=layer, mode="replace")
    assert counts(replaced) == (1, 0, 0, 1)
    undo(desk, replaced.import_id)
    [row] = desk.rows(BITS)
    skipped = GIVEN | {"geom", "geom_3857", "position_accuracy_m"}
    for name, value in was._mapping.items():
        if name not in skipped:
            assert row._mapping[name] == value, name
    assert (row.version, row.created_at) == (4, was.created_at)


def test_undo_twice_is_refused(desk: Desk) -> None:
    report = desk.bring(*OLD)
    first = undo(desk, report.import_id)
    with pytest.raises(ConflictError) as caught:
        undo(desk, report.import_id)
    assert caught.value.key == "undo.twice" and str(first.import_id) in str(caught.value)
    redone = undo(desk, first.import_id)
    for number in (report.import_id, first.import_id):
        with pytest.raises(ConflictError) as caught:
            undo(desk, number)
        assert caught.value.values["last"] == redone.import_id
    assert sorted(desk.stored()) == ["a", "b", "c"]


def test_what_changed_nothing_cannot_be_undone(desk: Desk) -> None:
    with pytest.raises(ImportRejectedError) as caught:
        desk.bring(point("a", 0, 0))
    with pytest.raises(ConflictError) as refused:
        undo(desk, caught.value.report.import_id)
    assert refused.value.key == "undo.not_done"
    with pytest.raises(NotFoundError):
        undo(desk, 99)


def test_features_that_others_changed_are_named_and_can_be_skipped(desk: Desk) -> None:
    desk.bring(*OLD)
    report = desk.bring(*NEW, mode="replace")
    ids = {code: row[0] for code, row in desk.stored().items()}
    act(desk.database, "UPDATE shelters SET address = 'x' WHERE code = 'a'")
    before = desk.everything()
    with pytest.raises(ConflictError) as caught:
        undo(desk, report.import_id)
    assert caught.value.values["count"] == 1 and str(ids["a"]) in str(caught.value)
    assert desk.everything() == before
    assert desk.column("SELECT count(*) FROM imports") == [2]
    done = undo(desk, report.import_id, skip_changed=True)
    assert touched(done) == (1, 0, 1, 1)
    assert desk.stored() == {"a": (1, 3, "new"), "b": (2, 1, None), "c": (3, 2, None)}


@pytest.mark.parametrize("edit", ["UPDATE shelters SET name = 'x'", "DELETE FROM shelters"])
def test_new_features_that_others_edited_or_deleted(desk: Desk, edit: str) -> None:
    report = desk.bring(*OLD)
    act(desk.database, f"{edit} WHERE code = 'a'")
    if edit.startswith("UPDATE"):
        with pytest.raises(ConflictError):
            undo(desk, report.import_id)
        assert touched(undo(desk, report.import_id, skip_changed=True)) == (0, 0, 2, 1)
        assert sorted(desk.stored()) == ["a"]
    else:  # what should go is gone
        assert touched(undo(desk, report.import_id)) == (0, 0, 2, 0)
        assert desk.stored() == {}


def test_an_import_after_the_import_is_a_change_until_it_is_undone(desk: Desk) -> None:
    first = desk.bring(*OLD)
    second = desk.bring(point("a", 120.1, 36.1, name="again"))
    with pytest.raises(ConflictError):
        undo(desk, first.import_id)
    undo(desk, second.import_id)
    assert touched(undo(desk, first.import_id)) == (0, 0, 3, 0)
    assert desk.stored() == {}


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_imports_are_undone_backwards(desk: Desk, mode: str) -> None:
    states, reports = [content(desk)], []
    for rows in (
        OLD,
        NEW,
        (point("a", 120.8, 36.8), point("c", 120.3, 36.3, name="three"), OLD[1]),
    ):
        reports.append(desk.bring(*rows, mode=mode))
        states.append(content(desk))
    for number in (2, 1, 0):
        undone = undo(desk, reports[number].import_id)
        assert content(desk) == states[number]
        # What an undo left can be brought back and taken back once more.
        redone = undo(desk, undone.import_id)
        assert content(desk) == states[number + 1]
        undo(desk, redone.import_id)
        assert content(desk) == states[number]


def test_an_edit_after_an_undone_import_is_a_change(desk: Desk) -> None:
    first = desk.bring(*OLD)
    second = desk.bring(*NEW)
    undo(desk, second.import_id)
    act(desk.database, "UPDATE shelters SET address = 'edited' WHERE code = 'a'")
    with pytest.raises(ConflictError) as caught:
        undo(desk, first.import_id)
    assert caught.value.key == "undo.changed" and caught.value.values["count"] == 1
    assert touched(undo(desk, first.import_id, skip_changed=True)) == (0, 0, 2, 1)


def test_what_an_undo_skipped_is_a_change_for_the_import_before(desk: Desk) -> None:
    first = desk.bring(*OLD)
    second = desk.bring(*NEW)
    act(desk.database, "UPDATE shelters SET geom = 'SRID=4326;POINT(120 36)' WHERE code = 'a'")
    assert touched(undo(desk, second.import_id, skip_changed=True)) == (0, 0, 1, 1)
    with pytest.raises(ConflictError):
        undo(desk, first.import_id)


def test_a_code_that_another_feature_has_now(desk: Desk) -> None:
    desk.bring(*OLD)
    report = desk.bring(*OLD[:2], mode="replace")
    act(
        desk.database,
        "INSERT INTO shelters (code, source_system, geom)"
        " VALUES ('c', 'bureau', 'SRID=4326;POINT(120.5 36.5)')",
    )
    taken = desk.stored()["c"][0]
    with pytest.raises(ConflictError) as caught:
        undo(desk, report.import_id)
    assert caught.value.key == "undo.taken" and str(taken) in str(caught.value)
    assert touched(undo(desk, report.import_id, skip_changed=True)) == (0, 0, 0, 1)
    assert desk.stored()["c"][0] == taken


def test_a_younger_column_keeps_its_present_value(desk: Desk, cluster: Cluster) -> None:
    desk.bring(*OLD)
    report = desk.bring(point("a", 120.1, 36.1, name="new"))
    with psql(cluster, desk.database) as session:
        # As if `address` were younger than the history.
        session.execute('UPDATE history SET "row" = "row" - \'address\'')
        session.execute("ALTER TABLE shelters DISABLE TRIGGER USER")
        session.execute("UPDATE shelters SET address = 'kept'")
        session.execute("ALTER TABLE shelters ENABLE TRIGGER USER")
    undo(desk, report.import_id)
    assert desk.rows("SELECT name, address FROM shelters WHERE code = 'a'") == [("one", "kept")]


def test_undo_changes_only_what_the_import_touched(desk: Desk) -> None:
    desk.bring(*OLD)
    desk.bring(point("z", 120.8, 36.8), source_system="other")
    report = desk.bring(*NEW)
    untouched = "SELECT code, xmin, ctid FROM shelters WHERE code IN ('b', 'c', 'z') ORDER BY 1"
    before, revision = desk.rows(untouched), desk.revision
    undo(desk, report.import_id)
    assert desk.rows(untouched) == before
    noted = desk.rows(f"SELECT op, row_count FROM feed WHERE revision > {revision} ORDER BY op")
    assert noted == [("DELETE", 1), ("UPDATE", 1)]


# One feature


def restore(desk: Desk, feature_id: int, version: int, **options: Any) -> int:
    with desk.database.write(UNDOER) as session:
        return restore_feature(session, CATALOG["shelters"], feature_id, version, **options)


def test_one_feature_goes_back_to_a_version(desk: Desk) -> None:
    desk.bring(*OLD)
    before = content(desk)
    desk.bring(*NEW)
    desk.bring(point("a", 120.8, 36.8, name="newer"))
    assert restore(desk, 1, 1) == 4
    assert content(desk)[0] == before[0]
    assert restore(desk, 1, 3) == 5
    assert desk.stored()["a"] == (1, 5, "newer")
    # It is what it is: no new version.
    assert restore(desk, 1, 5) == 5
    assert restore(desk, 1, 3) == 5
    [last] = desk.rows("SELECT * FROM history ORDER BY id DESC LIMIT 1")
    assert (last.version, last.op, last.actor, last.import_id) == (4, "update", UNDOER.name, None)


def test_a_deleted_feature_comes_back_with_its_id(desk: Desk) -> None:
    desk.bring(*OLD)
    before = content(desk)
    act(desk.database, "UPDATE shelters SET name = 'x' WHERE code = 'a'", "DELETE FROM shelters")
    assert restore(desk, 1, 1) == 3
    assert content(desk) == before[:1]
    assert desk.stored() == {"a": (1, 3, "one")}
    assert restore(desk, 2, 1) == 2
    [audit] = desk.rows("SELECT * FROM audit WHERE action = 'feature.restore' ORDER BY id LIMIT 1")
    assert audit.detail == {"feature_id": 1, "restored": 1, "version": 3}


def test_what_cannot_be_restored(desk: Desk) -> None:
    desk.bring(*OLD)
    desk.bring(*NEW)
    for feature_id, version, key in ((99, 1, "feature.unknown"), (1, 9, "history.version")):
        with pytest.raises(NotFoundError) as caught:
            restore(desk, feature_id, version)
        assert caught.value.key == key
    with pytest.raises(PreconditionError):
        restore(desk, 1, 1, if_match={1})
    assert restore(desk, 1, 1, if_match={2}) == 3
    act(
        desk.database,
        "DELETE FROM shelters WHERE code = 'c'",
        "UPDATE shelters SET code = 'c' WHERE code = 'b'",
    )
    with pytest.raises(ConflictError) as taken:
        restore(desk, 3, 1)
    assert (taken.value.key, taken.value.values["other"]) == ("restore.taken", 2)
    with pytest.raises(PreconditionError):
        restore(desk, 3, 1, if_match={1})


def test_who_may_not_change_an_import(desk: Desk) -> None:
    """The API's role writes the list of imports, and can delete nothing from it."""
    desk.bring(*OLD)
    with pytest.raises(Exception, match="permission denied"), desk.database.write(IMPORTER) as s:
        s.execute(text("DELETE FROM imports"))


def test_a_report_with_characters_that_cannot_be_stored(desk: Desk) -> None:
    entry = store.Entry(layer="shelters", file="a\ud800.csv", source_system="x", mode="upsert")
    report = {"rows": 1, "problems": [{"value": "x\0y\udc00", "三": ["\0"]}]}
    number = store.record_outcome(
        desk.database, IMPORTER, status="failed", report=report, entry=entry
    )
    with desk.database.read() as session:
        row = store.get_import(session, number)
    assert (row.file, row.status) == ("a\ufffd.csv", "failed")
    assert row.report["problems"] == [{"value": "x\ufffdy\ufffd", "三": ["\ufffd"]}]


def test_rows_of_imports(desk: Desk) -> None:
    entry = store.Entry(layer="shelters", file="a.csv", source_system="x", mode="append")
    with desk.database.write(IMPORTER) as session:
        queued = store.queue_import(
            session, entry, IMPORTER, idempotency_key="k", idempotency_hash="h"
        )
    assert queued is not None
    with desk.database.write(IMPORTER) as session:
        again = store.queue_import(
            session, entry, IMPORTER, idempotency_key="k", idempotency_hash="other"
        )
    assert again is None
    with desk.database.read() as session:
        found = store.find_by_key(session, IMPORTER.name, "k")
        assert found is not None and (found.id, found.idempotency_hash) == (queued, "h")
        assert store.find_by_key(session, "key:other", "k") is None
        assert store.list_imports(session, status="queued", layer="shelters")[0].id == queued
        assert store.list_imports(session, status="done") == []
        assert store.list_imports(session, before=queued) == []
    store.record_outcome(desk.database, IMPORTER, status="cancelled", import_id=queued)
    # What has ended stays as it ended.
    store.record_outcome(desk.database, IMPORTER, status="failed", import_id=queued)
    with desk.database.read() as session:
        assert store.get_import(session, queued).status == "cancelled"


def test_what_was_only_checked_cannot_be_undone(desk: Desk) -> None:
    entry = store.Entry(layer="shelters", file="a.csv", source_system="x", mode="upsert")
    with desk.database.write(IMPORTER) as session:
        number = store.queue_import(session, entry, IMPORTER)
        assert number is not None
        store.finish_import(session, number, {"dry_run": True, "inserted": 3}, [])
    with pytest.raises(ConflictError) as refused:
        undo(desk, number)
    assert refused.value.key == "undo.dry_run"
