"""Upsert, replace, append; and the division's code by position."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feedrows import act
from sqlalchemy import text

from import_help import CATALOG, IMPORTER, Desk, counts, division
from ingest_help import point, shape
from riskmap.db.city import City
from riskmap.db.sessions import Actor, Database
from riskmap.errors import ConflictError, InputError
from riskmap.ingest.frames import ROW, Columns, Frame, Rows, Withdrawn
from riskmap.ingest.load import MODES, Counts, load, lock_layer
from riskmap.ingest.report import ImportCancelledError, ImportRejectedError, ImportReport
from riskmap.ingest.undo import undo_import

FIRST = (point("a", 120.1, 36.1, name="one"), point("b", 120.2, 36.2), point("c", 120.3, 36.3))


@pytest.fixture
def desk(database: Database, city: City, tmp_path: Path) -> Desk:
    return Desk(database, city, tmp_path)


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_a_second_import_changes_nothing(desk: Desk, mode: str) -> None:
    assert counts(desk.bring(*FIRST, mode=mode)) == (3, 0, 0, 0)
    before = desk.everything()
    report = desk.bring(*FIRST, mode=mode)
    assert counts(report) == (0, 0, 3, 0)
    assert desk.everything() == before
    assert desk.column("SELECT count(*) FROM history") == [0]


def test_append_refuses_what_is_stored(desk: Desk) -> None:
    assert counts(desk.bring(*FIRST, mode="append")) == (3, 0, 0, 0)
    before = desk.everything()
    more = (point("d", 120.4, 36.4), point("b", 120.9, 36.9, name="other"))
    with pytest.raises(ImportRejectedError) as caught:
        desk.bring(*more, mode="append")
    report = caught.value.report
    assert (report.rows, report.rejected, report.problem_count) == (2, 1, 1)
    [problem] = report.problems
    stored_id = str(desk.stored()["b"][0])
    assert (problem.row, problem.field, problem.key) == (2, "code", "ingest.duplicate.stored")
    assert problem.value == "b" and problem.values == {"stored_id": stored_id}
    assert stored_id in problem.text("zh") and stored_id in problem.text("en")
    assert desk.everything() == before
    # The whole file again: every row is refused.
    with pytest.raises(ImportRejectedError):
        desk.bring(*FIRST, mode="append", max_bad_share=0.99)
    assert desk.everything() == before


def test_append_counts_bad_rows_and_duplicates_together(desk: Desk) -> None:
    desk.bring(point("a", 120.1, 36.1))
    before = desk.everything()
    ten = [point(f"n{n}", 120.5, 36.5) for n in range(8)]
    mixed = (*ten, point("a", 120.1, 36.1), point("bad", 0, 0))
    with pytest.raises(ImportRejectedError) as caught:
        desk.bring(*mixed, mode="append", max_bad_share=0.1)
    assert caught.value.report.rejected == 2
    assert desk.everything() == before
    report = desk.bring(*mixed, mode="append", max_bad_share=0.2)
    assert (report.inserted, report.duplicates, report.rejected) == (8, 1, 2)
    assert desk.stored()["a"] == (1, 1, None)
    assert len(desk.stored()) == 9


def test_append_to_another_source_is_no_duplicate(desk: Desk) -> None:
    desk.bring(*FIRST)
    assert desk.bring(*FIRST, mode="append", source_system="other").inserted == 3


def test_replace_deletes_what_the_file_lacks_and_keeps_ids(desk: Desk) -> None:
    desk.bring(*FIRST)
    desk.bring(point("x", 120.5, 36.5), source_system="other")
    before = desk.stored()
    report = desk.bring(
        point("a", 120.1, 36.1, name="new"), FIRST[1], point("d", 120.4, 36.4), mode="replace"
    )
    assert counts(report) == (1, 1, 1, 1)
    after = desk.stored()
    assert sorted(after) == ["a", "b", "d", "x"]
    assert after["a"] == (before["a"][0], 2, "new")
    assert (after["b"], after["x"]) == (before["b"], before["x"])
    [gone] = desk.rows("SELECT feature_id, op, import_id FROM history WHERE op = 'delete'")
    assert gone == (before["c"][0], "delete", report.import_id)


def test_a_dry_run_foresees_every_mode(desk: Desk) -> None:
    desk.bring(*FIRST)
    before, listed = desk.everything(), desk.column("SELECT count(*) FROM imports")
    file = (point("a", 120.1, 36.1, name="new"), point("b", 120.2, 36.2), point("d", 120.4, 36.4))
    found = {
        mode: desk.bring(*file, mode=mode, dry_run=True, max_bad_share=0.7 * (mode == "append"))
        for mode in MODES
    }
    assert counts(found["upsert"]) == (1, 1, 1, 0)
    assert counts(found["replace"]) == (1, 1, 1, 1)
    assert (found["append"].inserted, found["append"].duplicates) == (1, 2)
    assert desk.everything() == before
    assert desk.column("SELECT count(*) FROM imports") == listed
    assert {report.import_id for report in found.values()} == {None}


def test_replace_takes_no_bad_row(desk: Desk) -> None:
    desk.bring(*FIRST)
    before = desk.everything()
    with pytest.raises(InputError) as caught:
        desk.bring(*FIRST, mode="replace", max_bad_share=0.5)
    assert caught.value.parameter == "max_bad_share"
    with pytest.raises(ImportRejectedError):
        desk.bring(FIRST[0], FIRST[1], point("c", 0, 0), mode="replace")
    assert desk.everything() == before
    with pytest.raises(InputError) as caught:
        desk.bring(*FIRST, mode="merge")
    assert caught.value.parameter == "mode" and "upsert, replace, append" in str(caught.value)


def test_ids_of_new_features_stand_in_the_row_of_the_import(desk: Desk) -> None:
    desk.bring(*FIRST)
    # Every other row is new: an update takes a number of the sequence, too.
    mixed = [point(c, 120.5, 36.5, name="n") for c in ("a", "p", "b", "q", "c", "r", "s", "t")]
    report = desk.bring(*mixed)
    stored = desk.stored()
    [ids] = desk.column(
        "SELECT ARRAY(SELECT id FROM shelters WHERE id <@ any(ARRAY(SELECT unnest(inserted_ids)))"
        f" ORDER BY id) FROM imports WHERE id = {report.import_id}"
    )
    assert ids == sorted(stored[code][0] for code in "pqrst")
    [row] = desk.rows(f"SELECT * FROM imports WHERE id = {report.import_id}")
    assert (row.status, row.kind, row.actor, row.request_id) == (
        *("done", "import", IMPORTER.name, IMPORTER.request_id),
    )
    assert row.report == report.to_json()
    assert row.finished_at >= row.created_at
    audit = desk.rows("SELECT action, import_id FROM audit ORDER BY id DESC LIMIT 3")
    assert set(audit) == {(a, report.import_id) for a in ("import.done", "insert", "update")}


def test_a_rejected_import_is_listed_with_its_report(desk: Desk) -> None:
    with pytest.raises(ImportRejectedError) as caught:
        desk.bring(point("a", 0, 0, name="x\0y"))
    report = caught.value.report
    [row] = desk.rows("SELECT id, status, report, inserted_ids FROM imports")
    assert (row.id, row.status, row.inserted_ids) == (report.import_id, "rejected", None)
    assert row.report["rejected"] == 1 and row.report["import_id"] == row.id
    assert desk.stored() == {}


# Divisions


def areas(desk: Desk) -> None:
    """A city, a district in it, a street in that, a community; and a grid that counts for none."""
    desk.bring(
        division("370200", "city", 120.0, 36.0, 0.8),
        division("370202", "district", 120.0, 36.0, 0.4),
        division("370202001", "street", 120.0, 36.0, 0.2),
        division("370202001001", "community", 120.0, 36.0, 0.1),
        division("370202001001G1", "grid", 120.0, 36.0, 0.1),
        division("370271", "district", 120.3, 36.3, 0.1),  # a zone inside the other district
        layer="admin-divisions",
        source_system="civil",
    )


PLACED = {
    (120.05, 36.05): "370202001001",
    (120.15, 36.15): "370202001",
    (120.25, 36.25): "370202",
    (120.35, 36.35): "370271",
    (120.6, 36.6): "370200",
    (120.9, 36.9): None,
}


def admin_codes(desk: Desk) -> list[str | None]:
    return desk.column("SELECT admin_code FROM shelters ORDER BY code")


def test_a_code_by_position_is_the_most_detailed_one(desk: Desk) -> None:
    areas(desk)
    assert desk.column("SELECT DISTINCT admin_code FROM admin_divisions") == [None]
    file = [point(f"p{n}", x, y) for n, (x, y) in enumerate(PLACED)]
    report = desk.bring(*file)
    assert admin_codes(desk) == list(PLACED.values())
    assert (report.admin_filled, report.admin_mismatched) == (5, 0)
    before = desk.everything()
    again = desk.bring(*file)
    assert (counts(again), again.admin_filled) == ((0, 0, 6, 0), 0)
    assert desk.everything() == before


def test_a_surface_goes_by_a_point_inside_it(desk: Desk) -> None:
    areas(desk)
    # Horseshoes: the centroid of the first lies outside it.
    ring = [[120.01, 36.01], [120.09, 36.01], [120.09, 36.09], [120.01, 36.09], [120.01, 36.01]]
    desk.bring(shape("a", "Polygon", [ring]), shape("b", "Point", [120.15, 36.15]))
    assert admin_codes(desk) == ["370202001001", "370202001"]


def test_a_stated_code_is_kept_and_a_wrong_one_noted(desk: Desk) -> None:
    areas(desk)
    stated = {
        "a": "370202001001",
        "b": "370202000000",  # the district it lies in, as 12 digits
        "c": "370200",
        "d": "370202001001999",
        "e": "370271",  # another district
        "f": "990000",
        "g": None,
        "h": "370000",
    }
    file = [point(code, 120.05, 36.05, admin_code=said) for code, said in stated.items()]
    report = desk.bring(*file)
    assert admin_codes(desk) == [said or "370202001001" for said in stated.values()]
    assert (report.admin_filled, report.admin_mismatched) == (1, 2)
    assert [(note.row, note.value, note.values["by_position"]) for note in report.notes] == [
        (5, "370271", "370202001001"),
        (6, "990000", "370202001001"),
    ]
    assert {note.key for note in report.notes} == {"ingest.admin.mismatch"}
    before = desk.everything()
    desk.bring(*file)
    assert desk.everything() == before


def test_what_is_stored_stays_until_the_feature_moves(desk: Desk) -> None:
    desk.bring(point("a", 120.05, 36.05), point("b", 120.05, 36.05, admin_code="370299"))
    assert admin_codes(desk) == [None, "370299"]
    areas(desk)
    # Not stated any more: the one without a code gets it, the other one keeps what it has.
    both = (point("a", 120.05, 36.05), point("b", 120.05, 36.05))
    report = desk.bring(*both)
    assert (counts(report), report.admin_filled) == ((0, 1, 1, 0), 1)
    assert admin_codes(desk) == ["370202001001", "370299"]
    moved = desk.bring(point("a", 120.6, 36.6), point("b", 120.15, 36.15))
    assert (counts(moved), moved.admin_filled) == ((0, 2, 0, 0), 2)
    assert admin_codes(desk) == ["370200", "370202001"]
    # Out of every division: nothing better is known.
    desk.bring(point("a", 120.9, 36.9), point("b", 120.15, 36.15))
    assert admin_codes(desk) == ["370200", "370202001"]


def test_an_invalid_division_holds_nothing(desk: Desk) -> None:
    bow = "MULTIPOLYGON(((120 36, 121 37, 121 36, 120 37, 120 36)))"
    act(
        desk.database,
        "INSERT INTO admin_divisions (code, level, geom)"
        f" VALUES ('370202', 'district', ST_GeomFromText('{bow}', 4326))",
    )
    report = desk.bring(point("a", 120.2, 36.5))
    assert (admin_codes(desk), report.admin_filled) == ([None], 0)


# Others at work


class Held:
    """A load that stops in the middle of its COPY until it is let go; rows are (code, name)."""

    def __init__(self, desk: Desk, *rows: tuple[str, str | None]) -> None:
        self.inside, self.go = threading.Event(), threading.Event()
        self.done: Counts | None = None
        self._desk, self._rows = desk, rows
        self._thread = threading.Thread(target=self._run)

    def _frames(self) -> Iterator[Frame]:
        yield Columns((ROW, "code", "name", "geom"))
        for number, (code, name) in enumerate(self._rows, 1):
            place = f"SRID=4326;POINT({PLACE[code]})"
            cells = (str(number), code, "\\N" if name is None else name, place)
            yield Rows(("\t".join(cells) + "\n").encode(), 1)
            self.inside.set()
            assert self.go.wait(60)

    def _run(self) -> None:
        with self._desk.database.write(IMPORTER, timeout_s=0) as session:
            self.done = load(
                session,
                CATALOG["shelters"],
                self._frames(),
                source_system="bureau",
                source_crs="EPSG:4326",
            )

    @property
    def counts(self) -> tuple[int, int, int]:
        assert self.done is not None, "it failed"
        return self.done.inserted, self.done.updated, self.done.unchanged

    def __enter__(self) -> Held:
        self._thread.start()
        assert self.inside.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


PLACE = {"a": "120.1 36.1", "b": "120.2 36.2", "c": "120.3 36.3", "d": "120.4 36.4"}


def test_writers_go_on_during_an_import(desk: Desk) -> None:
    desk.bring(*FIRST)
    others = Actor("key:other")
    with Held(desk, ("a", "import"), ("b", None)) as held:
        # A statement that had to wait for the import would end by this limit.
        with desk.database.write(others, timeout_s=1) as session:
            for statement in (
                "UPDATE shelters SET name = 'edited', address = 'edited' WHERE code = 'a'",
                "UPDATE shelters SET address = 'edited' WHERE code = 'b'",
                "DELETE FROM shelters WHERE code = 'c'",
                "INSERT INTO shelters (code, source_system, geom)"
                " VALUES ('e', 'bureau', 'SRID=4326;POINT(120.4 36.4)')",
            ):
                session.execute(text(statement))
        assert sorted(desk.stored()) == ["a", "b", "e"]
        revision = desk.revision
    assert held.counts == (0, 1, 1) and desk.revision > revision
    # Both are in the row that both touched, one version after the other.
    [row] = desk.rows("SELECT name, address, version FROM shelters WHERE code = 'a'")
    assert row == ("import", "edited", 3)
    assert desk.stored()["b"][1] == 2
    superseded = desk.rows("SELECT version, actor FROM history WHERE feature_id = 1 ORDER BY id")
    assert superseded == [(1, "key:other"), (2, IMPORTER.name)]


def test_a_row_that_others_make_meanwhile_is_updated(desk: Desk) -> None:
    desk.bring(*FIRST)
    with Held(desk, ("d", "import")) as held:
        act(
            desk.database,
            "INSERT INTO shelters (code, source_system, name, geom)"
            " VALUES ('d', 'bureau', 'edited', 'SRID=4326;POINT(120.5 36.5)')",
        )
    assert held.counts == (0, 1, 0)
    assert desk.stored()["d"][1:] == (2, "import")


def test_a_second_import_waits_for_the_first(desk: Desk) -> None:
    done: list[ImportReport] = []
    second = threading.Thread(
        target=lambda: done.append(desk.bring(point("a", 120.1, 36.1, name="second")))
    )
    with desk.database.write(IMPORTER) as session:
        lock_layer(session, CATALOG["shelters"])
        second.start()
        second.join(2)
        assert second.is_alive() and not done
        act(
            desk.database,
            "INSERT INTO shelters (code, source_system, name, geom)"
            " VALUES ('a', 'bureau', 'first', 'SRID=4326;POINT(120.1 36.1)')",
        )
    second.join(60)
    assert counts(done[0])[:2] == (0, 1)
    assert desk.stored()["a"][1:] == (2, "second")


def test_who_waits_for_a_layer_can_be_cancelled_and_may_lose_patience(desk: Desk) -> None:
    layer, asked = CATALOG["shelters"], []
    frames = (Columns((ROW, "code", "geom")), Rows(b"1\ta\tSRID=4326;POINT(120 36)\n", 1))
    with desk.database.write(IMPORTER) as first:
        lock_layer(first, layer)
        with desk.database.write(IMPORTER) as second, pytest.raises(ImportCancelledError):
            load(
                second,
                layer,
                frames,
                source_system="bureau",
                source_crs="EPSG:4326",
                cancelled=lambda: bool(asked) or asked.append(1),  # at the second time
            )
        with desk.database.write(IMPORTER) as third, pytest.raises(ConflictError) as caught:
            lock_layer(third, layer, patience_s=0.1)
        assert caught.value.key == "imports.busy"
        # Another layer is free.
        with desk.database.write(IMPORTER) as third:
            lock_layer(third, CATALOG["rescue-teams"], patience_s=0)
    assert desk.stored() == {}


def test_withdrawn_rows_are_not_loaded(desk: Desk) -> None:
    cells = "".join(f"{n}\t{code}\tSRID=4326;POINT(120 36)\n" for n, code in enumerate("abc", 1))
    frames = (Columns((ROW, "code", "geom")), Rows(cells.encode(), 3), Withdrawn([2, 9]))
    with desk.database.write(IMPORTER) as session:
        found = load(
            session, CATALOG["shelters"], frames, source_system="bureau", source_crs="EPSG:4326"
        )
    assert (found.inserted, found.unchanged) == (2, 0)
    assert sorted(desk.stored()) == ["a", "c"]


def test_the_layer_is_free_while_a_file_is_read(desk: Desk) -> None:
    report = desk.bring(*FIRST)
    with Held(desk, ("d", "import")) as held, desk.database.write(IMPORTER) as session:
        undone = undo_import(session, report.import_id or 0, actor=IMPORTER, patience_s=0)
        assert undone.deleted == 3
    assert held.counts == (1, 0, 0)
    assert sorted(desk.stored()) == ["d"]


def test_append_and_a_row_that_others_make_meanwhile(desk: Desk) -> None:
    """Between the look and the write: nothing is left out without a word."""
    from riskmap.ingest import load as module  # noqa: PLC0415

    original = module.places.find_places

    def meanwhile(*arguments: Any, **options: Any) -> None:
        act(
            desk.database,
            "INSERT INTO shelters (code, source_system, geom)"
            " VALUES ('a', 'bureau', 'SRID=4326;POINT(120.5 36.5)')",
        )
        original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.places, "find_places", meanwhile)
        with pytest.raises(ConflictError):
            desk.bring(point("a", 120.1, 36.1), point("b", 120.2, 36.2), mode="append")
    assert sorted(desk.stored()) == ["a"]
