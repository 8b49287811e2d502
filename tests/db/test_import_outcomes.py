"""How imports end: an import and its job say the same, whatever happens between them."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from import_help import CATALOG, IMPORTER, Desk
from ingest_help import geojson, point
from riskmap.db.city import City
from riskmap.db.sessions import Database
from riskmap.errors import ConflictError, InputError
from riskmap.ingest import store
from riskmap.ingest.folders import Folders
from riskmap.ingest.frames import ROW, Columns, Rows
from riskmap.ingest.job import ImportKind, Upload, queue_import
from riskmap.ingest.load import load
from riskmap.ingest.options import ImportOptions
from riskmap.ingest.report import ImportRejectedError
from riskmap.ingest.request import Limits
from riskmap.ingest.run import import_file
from riskmap.ingest.shapes import points_to_ewkb
from riskmap.jobs import store as jobs
from riskmap.jobs.runner import Handle
from riskmap.jobs.store import Job, JobCancelledError, LostClaimError

GOOD = (point("a", 120.1, 36.1, name="one"), point("b", 120.2, 36.2))
BAD = (*GOOD, point("x", 0, 0, name="far"))
OPTIONS = ImportOptions(crs="EPSG:4326", source_system="bureau")


@pytest.fixture
def desk(database: Database, city: City, tmp_path: Path) -> Desk:
    return Desk(database, city, tmp_path)


class Queued:
    """An import of a file that waits in the queue, and has been claimed."""

    def __init__(self, desk: Desk, *features: dict[str, Any]) -> None:
        self.desk = desk
        self.folders = Folders(desk.folder / "data")
        self.kind = ImportKind(desk.database, CATALOG, self.folders, keep_days=30, limits=Limits())
        incoming = self.folders.incoming()
        shutil.move(geojson(desk.folder, *features), incoming / "upload" / "a.geojson")
        upload = Upload(incoming, "a.geojson", "0" * 64, desk.layer, "EPSG:4326", OPTIONS)
        with desk.database.write(IMPORTER) as session:
            self.id, _ = queue_import(session, self.folders, upload, IMPORTER)
        with desk.database.write(IMPORTER) as session:
            job = jobs.claim(session, "elsewhere/1.1/a", ["import"], self.folders.place())
        assert job is not None
        self.job: Job = job

    def run(self) -> None:
        """Run it without a heartbeat: what happens meanwhile is learnt at its end alone."""
        self.kind.run(self.job.parameters, Handle(self.desk.database, self.job, threading.Event()))

    def statuses(self) -> list[Any]:
        return self.desk.column(
            "SELECT status FROM imports UNION ALL SELECT status FROM jobs"
            " UNION ALL SELECT result->>'status' FROM jobs"
        )


def test_an_import_that_is_rejected_and_its_job_end_together(desk: Desk) -> None:
    queued = Queued(desk, *BAD)
    queued.run()
    assert queued.statuses() == ["rejected", "done", "rejected"]
    assert queued.folders.left(queued.id, "rejected") is not None
    with desk.database.read() as session:
        assert store.get_import(session, queued.id).report["import_id"] == queued.id
    assert desk.column("SELECT count(*) FROM shelters") == [0]


@pytest.mark.parametrize("features", [GOOD, BAD], ids=["good", "bad"])
def test_a_cancel_that_was_answered_with_yes_wins(
    desk: Desk, features: tuple[dict[str, Any], ...]
) -> None:
    """Neither done nor rejected is written; the worker then notes the cancel, in both rows."""
    queued = Queued(desk, *features)
    with desk.database.write(IMPORTER) as session:
        assert jobs.ask_cancel(session, queued.job.id).cancel_asked
    with pytest.raises(JobCancelledError):
        queued.run()
    assert queued.statuses() == ["queued", "running", None]
    assert desk.column("SELECT count(*) FROM shelters") == [0]


@pytest.mark.parametrize("features", [GOOD, BAD], ids=["good", "bad"])
def test_a_job_that_is_anothers_by_now_writes_nothing(
    desk: Desk, features: tuple[dict[str, Any], ...]
) -> None:
    queued = Queued(desk, *features)
    with desk.database.write(IMPORTER) as session:
        ended = jobs.finish(session, queued.job.claim, "cancelled")
        queued.kind.ended(session, ended)
    with pytest.raises(ConflictError if features == GOOD else LostClaimError):
        queued.run()
    assert queued.statuses() == ["cancelled", "cancelled", None]
    assert desk.column("SELECT count(*) FROM shelters") == [0]
    assert desk.column("SELECT report FROM imports") == [None]


def test_an_import_that_has_ended_is_not_done_again(desk: Desk) -> None:
    """The load of an import that was cancelled meanwhile rolls back with its report."""
    entry = store.Entry(layer=desk.layer, file="a.geojson", source_system="x", mode="upsert")
    number = store.record_outcome(desk.database, IMPORTER, status="cancelled", entry=entry)
    path = geojson(desk.folder, *GOOD)
    with pytest.raises(ConflictError) as refused:
        import_file(
            desk.database,
            desk.city,
            CATALOG[desk.layer],
            path,
            OPTIONS,
            actor=IMPORTER,
            import_id=number,
        )
    assert (refused.value.key, refused.value.values["value"]) == ("imports.ended", number)
    assert desk.column("SELECT count(*) FROM shelters") == [0]
    assert desk.rows("SELECT status, report FROM imports") == [("cancelled", None)]
    assert desk.column("SELECT count(*) FROM audit WHERE action = 'import.done'") == [0]


@pytest.mark.parametrize("features", [GOOD, BAD], ids=["good", "bad"])
def test_a_dry_run_leaves_no_row_whatever_it_finds(
    desk: Desk, features: tuple[dict[str, Any], ...]
) -> None:
    if features == GOOD:
        assert desk.bring(*features, dry_run=True).import_id is None
    else:
        with pytest.raises(ImportRejectedError) as refused:
            desk.bring(*features, dry_run=True)
        report = refused.value.report
        assert (report.import_id, report.rejected, report.dry_run) == (None, 1, True)
    assert desk.column("SELECT count(*) FROM imports") == [0]
    with pytest.raises(ImportRejectedError):
        desk.bring(*BAD)
    assert desk.column("SELECT status FROM imports") == ["rejected"]


def test_a_row_beyond_the_databases_limits_refuses_the_file(desk: Desk) -> None:
    """54001: no lost connection, after which it would be tried again, and no fault of ours."""
    names = (ROW, "code", "geom", "attributes")
    position = points_to_ewkb(np.array([[120.1, 36.1]]))[0]
    deep = "[" * 100_000 + "]" * 100_000
    rows = Rows(f"1\ta\t{position}\t{deep}\n".encode(), 1)
    with pytest.raises(InputError) as refused, desk.database.write(IMPORTER) as session:
        load(
            session,
            CATALOG[desk.layer],
            [Columns(names), rows],
            source_system="x",
            source_crs="EPSG:4326",
        )
    assert refused.value.key == "ingest.database_limit"
    assert isinstance(refused.value.__cause__, psycopg.errors.StatementTooComplex)
    assert desk.column("SELECT count(*) FROM shelters") == [0]


def test_whole_numbers_of_any_length_are_kept_to_the_digit(desk: Desk) -> None:
    """In a property that no field models; one that no double reaches is kept as text."""
    large, huge = int("1234567890" * 3 + "1"), int("9" * 400)
    numbers = {"n31": large, "below": -large, "u64": 2**64 - 1, "deep": [{"n": large}], "n": huge}
    desk.bring(point("a", 120.1, 36.1, **numbers))
    [kept] = desk.column("SELECT attributes::text FROM shelters")
    assert json.loads(kept) == {**numbers, "n": "9" * 400}
    [answer] = desk.column("SELECT (attributes->>'n31')::numeric FROM shelters")
    assert int(answer) == large
    again = desk.bring(point("a", 120.1, 36.1, **numbers))
    assert (again.unchanged, again.updated) == (1, 0)
