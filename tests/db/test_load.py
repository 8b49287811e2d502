"""Import into a real PostGIS: what is written, what is not touched, what is not left behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from conftest import shared_data
from ingest_help import (
    BOX,
    PORTO_ALEGRE,
    geojson,
    point,
    shape,
    table,
    trial_layer,
)
from riskmap.catalog.spec import Geometry, Layer
from riskmap.db.base import METADATA, table_of
from riskmap.db.sessions import API_ROLE, Actor, Database
from riskmap.errors import InputError
from riskmap.ingest import read_geojson
from riskmap.ingest.load import writable
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.report import ImportCancelledError, ImportRejectedError, ImportReport
from riskmap.ingest.request import Limits
from riskmap.ingest.run import ImportOptions, import_file, import_within
from riskmap.units import Bbox

ACTOR = Actor("cli:test")
WGS84 = ImportOptions(crs="EPSG:4326")


@dataclass(frozen=True)
class TrialCity:
    bbox: Bbox = BOX
    time_zone: str = "Asia/Shanghai"


@dataclass
class Trial:
    """A layer of every kind of field, with a table of its own for one test."""

    database: Database
    layer: Layer

    def load(
        self, path: Path, options: ImportOptions = WGS84, city: TrialCity | None = None
    ) -> ImportReport:
        return import_file(
            self.database, city or TrialCity(), self.layer, path, options, actor=ACTOR
        )

    def rows(self, columns: str = "*") -> list[dict[str, Any]]:
        with self.database.read() as session:
            found = session.execute(
                text(f"SELECT {columns} FROM {self.layer.table} ORDER BY source_system, code")
            )
            return [dict(row) for row in found.mappings()]

    def versions(self) -> dict[str, str]:
        """The physical version of each row: it changes whenever the row is written or locked."""
        return {
            row["code"]: row["place"]
            for row in self.rows("code, concat(ctid, ' ', xmin, ' ', xmax) AS place")
        }


@pytest.fixture
def trial(database: Database) -> Iterator[Trial]:
    layer = trial_layer(Geometry.MIXED, name="trial-places")
    made = table_of(layer)
    try:
        with database.own(ACTOR) as session:
            made.create(session.connection)
            session.execute(text(f"GRANT SELECT, INSERT, UPDATE ON {layer.table} TO {API_ROLE}"))
        yield Trial(database, layer)
    finally:
        with database.own(ACTOR) as session:
            made.drop(session.connection, checkfirst=True)
        METADATA.remove(made)


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.inserted, report.updated, report.unchanged


def test_what_an_import_fills(trial: Trial) -> None:
    names = set(writable(METADATA.tables[trial.layer.table]))
    assert {"geom", "raw_x", "source_crs", "source_system", "chemicals", "skills"} <= names
    assert not names & {"id", "geom_3857", "version", "created_at", "updated_at"}


def test_the_same_file_twice_touches_nothing(trial: Trial, tmp_path: Path) -> None:
    path = geojson(
        tmp_path,
        point(
            "a",
            name="避难所",
            population=7,
            skills=["fire", "water"],
            plan={"b": [1, 2.5], "a": "x"},
            chemicals=[{"cas": "1-2-3", "quantity_t": 2}],
            filed_on="2024-03-05",
            valid_from="2024-03-05 08:30",
            other="kept",
        ),
        shape("b", "LineString", [[120, 36], [120.1, 36.123456789012345]]),
        shape("c", "Polygon", [[[120, 36], [120.1, 36], [120.1, 36.1], [120, 36]]]),
    )
    assert counts(trial.load(path)) == (3, 0, 0)
    before = trial.versions()
    assert counts(trial.load(path)) == (0, 0, 3)
    assert trial.versions() == before


def test_a_changed_value_updates_its_row_alone(trial: Trial, tmp_path: Path) -> None:
    trial.load(geojson(tmp_path, point("a"), point("b"), point("c", name="old")))
    before = trial.versions()
    ids = {row["code"]: row["id"] for row in trial.rows()}
    report = trial.load(geojson(tmp_path, point("a"), point("b"), point("c", name="new")))
    assert counts(report) == (0, 1, 2)
    after = trial.versions()
    assert [code for code in before if before[code] != after[code]] == ["c"]
    assert {row["code"]: row["id"] for row in trial.rows()} == ids
    moved = trial.load(geojson(tmp_path, point("a", 120.0000001), point("d")))
    assert counts(moved) == (1, 1, 0)
    assert len(trial.rows()) == 4


def test_values_arrive_as_they_are(trial: Trial, tmp_path: Path) -> None:
    awkward = "tab\there\\N \"quoted\"\nline\\t end\r, {1,2} 'x' 危险源"
    path = geojson(
        tmp_path,
        point(
            "编号\t1",
            name=awkward,
            skills=["消防", "Water"],
            plan={awkward: [awkward, None, True]},
            chemicals=[{"CAS号": awkward, "quantity_t": "0.5", "since": "2020-01-02"}],
            population="12",
            area_m2=0.1,
            on_duty="否",
            filed_on="2024/3/5",
            valid_from="2024-03-05 08:30",
            surveyed_at="2024-03-05T08:30:00Z",
            risk_level="重大",
            留言=awkward,
        ),
    )
    assert counts(trial.load(path)) == (1, 0, 0)
    (row,) = trial.rows()
    assert row["code"] == "编号\t1"
    assert row["name"] == awkward
    assert row["skills"] == ["fire", "water"]
    assert row["plan"] == {awkward: [awkward, None, True]}
    assert row["chemicals"] == [{"cas": awkward, "quantity_t": 0.5, "since": "2020-01-02"}]
    assert (row["population"], row["area_m2"], row["on_duty"]) == (12, 0.1, False)
    assert row["filed_on"] == date(2024, 3, 5)
    assert row["valid_from"] == datetime(2024, 3, 5, 0, 30, tzinfo=UTC)
    assert row["surveyed_at"] == datetime(2024, 3, 5, 8, 30, tzinfo=UTC)
    assert row["risk_level"] == 1
    assert row["attributes"] == {"留言": awkward}
    assert (row["source_system"], row["source_crs"]) == ("local", "EPSG:4326")
    assert (row["raw_x"], row["raw_y"], row["version"]) == (120.0, 36.0, 1)
    (place,) = trial.rows("ST_AsText(geom) AS wkt, ST_SRID(geom_3857) AS srid")
    assert place == {"wkt": "POINT(120 36)", "srid": 3857}


def test_null_is_stored_as_null_and_a_missing_column_keeps_its_value(
    trial: Trial, tmp_path: Path
) -> None:
    trial.load(geojson(tmp_path, point("a", name="x", risk_level=1, population=5)))
    report = trial.load(table(tmp_path, "code,lon,lat,risk_level\na,120,36,\n"))
    assert counts(report) == (0, 1, 0)
    (row,) = trial.rows()
    assert (row["risk_level"], row["name"], row["population"]) == (None, "x", 5)


def test_nul_and_other_bad_rows_load_nothing(trial: Trial, tmp_path: Path) -> None:
    trial.load(geojson(tmp_path, point("a", name="old")))
    before = trial.versions()
    path = geojson(tmp_path, point("a", name="new"), point("b", name="x\0y"), point("c", 0, 0))
    with pytest.raises(ImportRejectedError) as caught:
        trial.load(path)
    report = caught.value.report
    assert (report.rows, report.rejected) == (3, 2)
    assert [(p.row, p.key) for p in report.problems] == [
        (2, "ingest.characters"),
        (3, "ingest.outside"),
    ]
    assert trial.versions() == before


def test_good_rows_go_in_up_to_the_stated_share(trial: Trial, tmp_path: Path) -> None:
    path = geojson(tmp_path, *(point(f"c{n}") for n in range(9)), point("bad", 0, 0))
    with pytest.raises(ImportRejectedError):
        trial.load(path, replace(WGS84, max_bad_share=0.09))
    assert trial.rows() == []
    report = trial.load(path, replace(WGS84, max_bad_share=0.1))
    assert counts(report) == (9, 0, 0)
    assert report.rejected == 1


def test_a_dry_run_counts_and_writes_nothing(trial: Trial, tmp_path: Path) -> None:
    trial.load(geojson(tmp_path, point("a"), point("b")))
    before = trial.versions()
    path = geojson(tmp_path, point("a"), point("b", name="x"), point("c"), name="b.json")
    report = trial.load(path, replace(WGS84, dry_run=True))
    assert (counts(report), report.dry_run) == ((1, 1, 1), True)
    assert trial.versions() == before
    assert counts(trial.load(path)) == counts(report)


def test_sources_do_not_overwrite_each_other(trial: Trial, tmp_path: Path) -> None:
    path = geojson(tmp_path, point("a"))
    trial.load(path, replace(WGS84, source_system="消防"))
    trial.load(path, replace(WGS84, source_system="应急"))
    assert [row["source_system"] for row in trial.rows()] == ["应急", "消防"]
    for name in ("", " ", "x" * 65, "a\0"):
        with pytest.raises(InputError) as caught:
            trial.load(path, replace(WGS84, source_system=name))
        assert caught.value.parameter == "source_system"


def load_here(trial: Trial, path: Path) -> ImportReport:
    """Import a file that is read in this process."""
    with trial.database.write(ACTOR) as session:
        return import_within(session, TrialCity(), trial.layer, path, WGS84)


def test_batches_with_different_columns(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_geojson, "BATCH_ROWS", 2)
    path = geojson(
        tmp_path, point("a"), point("b"), point("c", name="x"), point("d"), point("e", other=1)
    )
    assert counts(load_here(trial, path)) == (5, 0, 0)
    assert [row["name"] for row in trial.rows()] == [None, None, "x", None, None]
    # The same features in another order: other batches, the same rows.
    again = geojson(
        tmp_path, point("e", other=1), point("c", name="x"), point("a"), point("b"), point("d")
    )
    assert counts(load_here(trial, again)) == (0, 0, 5)


def test_a_file_found_wrong_at_its_end_leaves_nothing(trial: Trial, tmp_path: Path) -> None:
    path = geojson(tmp_path, *(point(f"c{n}") for n in range(50)))
    path.write_text(path.read_text().removesuffix("]}"))
    with pytest.raises(InputError) as caught:
        trial.load(path)
    assert caught.value.key == "ingest.file.unreadable"
    mapping = FieldMapping(fields={"name": "nowhere"})
    with pytest.raises(InputError) as caught:
        trial.load(geojson(tmp_path, point("a")), replace(WGS84, mapping=mapping))
    assert caught.value.key == "ingest.mapping.column"
    for empty in (geojson(tmp_path), table(tmp_path, "code,lon,lat\n")):
        with pytest.raises(InputError) as caught:
            trial.load(empty)
        assert (caught.value.key, caught.value.parameter) == ("ingest.file.no_rows", "file")
    assert trial.rows() == []


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none(trial: Trial, tmp_path: Path, share: float) -> None:
    with pytest.raises(InputError) as caught:
        trial.load(geojson(tmp_path, point("a")), replace(WGS84, max_bad_share=share))
    assert caught.value.parameter == "max_bad_share"


def test_an_import_that_dies_half_way_leaves_the_old_data(trial: Trial, tmp_path: Path) -> None:
    trial.load(geojson(tmp_path, point("a", name="old")))
    before = trial.versions()
    path = geojson(tmp_path, point("a", name="new"), point("b"))

    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "load":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(
            trial.database, TrialCity(), trial.layer, path, WGS84, actor=ACTOR, progress=interrupted
        )
    assert trial.versions() == before
    assert counts(trial.load(path)) == (1, 1, 0)


def test_a_cancelled_import_leaves_the_old_data(trial: Trial, tmp_path: Path) -> None:
    trial.load(geojson(tmp_path, point("a", name="old")))
    before = trial.rows("code, name, version, updated_at, ctid::text")
    path = geojson(tmp_path, point("a", name="new"), point("b"))
    said: list[str] = []
    # Cancelled at the start, and when everything is written but not committed.
    for ends in (lambda: True, lambda: "load" in said):
        with pytest.raises(ImportCancelledError):
            import_file(
                trial.database,
                TrialCity(),
                trial.layer,
                path,
                WGS84,
                actor=ACTOR,
                progress=lambda stage, done, total: said.append(stage),
                cancelled=ends,
            )
        assert trial.rows("code, name, version, updated_at, ctid::text") == before
    assert counts(trial.load(path)) == (1, 1, 0)


def test_what_is_left_in_the_work_folder(trial: Trial, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    path = table(tmp_path, "code,lon,lat\na,120,36\nb,0,0\nc,120,36\n")

    def load(share: float) -> ImportReport:
        return import_file(
            trial.database,
            TrialCity(),
            trial.layer,
            path,
            replace(WGS84, max_bad_share=share),
            actor=ACTOR,
            work_dir=folder,
        )

    with pytest.raises(ImportRejectedError) as caught:
        load(0)
    problems = folder / "problems.jsonl"
    assert [json.loads(line)["row"] for line in problems.read_text().splitlines()] == [2]
    report = load(0.5)
    assert counts(report) == (2, 0, 0)
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert caught.value.report.sha256 == report.sha256
    assert [json.loads(line)["row"] for line in problems.read_text().splitlines()] == [2]


def test_a_file_beyond_the_limit_is_not_read(trial: Trial, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("code,lon,lat\n" + " " * (1 << 20))
    with pytest.raises(InputError) as caught:
        import_file(
            trial.database,
            TrialCity(),
            trial.layer,
            path,
            WGS84,
            actor=ACTOR,
            limits=Limits(max_mb=1),
        )
    assert caught.value.key == "ingest.limit.size"


def test_the_same_points_in_three_codes_land_together(trial: Trial, tmp_path: Path) -> None:
    for name, crs, row in (
        ("zone", "EPSG:4528", "40534231.97,3993376.68"),
        ("meridian", "EPSG:4549", "534231.97,3993376.68"),
        ("degrees", "EPSG:4490", "120.37999994968433,36.069999978335005"),
    ):
        path = table(tmp_path, f"code,x,y\n1,{row}\n")
        options = replace(WGS84, crs=crs, source_system=name)
        assert counts(trial.load(path, options)) == (1, 0, 0)
        assert counts(trial.load(path, options)) == (0, 0, 1)
    distances = trial.rows(
        "source_crs, raw_x, ST_Distance(geom::geography, ST_MakePoint(120.38, 36.07)) AS metres"
    )
    assert {row["source_crs"] for row in distances} == {"EPSG:4490", "EPSG:4528", "EPSG:4549"}
    assert max(row["metres"] for row in distances) < 0.1
    assert max(row["raw_x"] for row in distances) == 40534231.97


def test_real_risk_sectors_and_population(trial: Trial) -> None:
    city = TrialCity(PORTO_ALEGRE, "America/Sao_Paulo")
    sectors = shared_data("porto-alegre/pmrr_setores.geojson")
    mapping = FieldMapping(
        fields={"code": "cod", "name": "bairro", "risk_level": "risco", "population": "pessoas"},
        values={"risk_level": {"R3": 2, "R4": 1}},
    )
    options = replace(WGS84, mapping=mapping, source_system="pmrr")
    with pytest.raises(ImportRejectedError) as caught:
        trial.load(sectors, options, city)
    assert [problem.row for problem in caught.value.report.problems] == [29]
    repaired = trial.load(sectors, replace(options, repair=True), city)
    assert (counts(repaired), repaired.repaired) == ((204, 0, 0), 1)
    assert counts(trial.load(sectors, replace(options, repair=True), city)) == (0, 0, 204)
    cells = FieldMapping(fields={"code": "id"})
    grid = shared_data("porto-alegre/poa_hexgrid.csv")
    report = trial.load(grid, replace(WGS84, mapping=cells, source_system="h3"), city)
    assert counts(report) == (1227, 0, 0)
    rows = trial.rows("source_system, population, ST_IsValid(geom) AS valid")
    assert sum(row["population"] for row in rows if row["source_system"] == "h3") == 812_935
    assert all(row["valid"] for row in rows)
    assert json.dumps(report.to_json())
