"""The tables that a city edits, out as CSV and back in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import text

from riskmap.db.reference import REFERENCE, TableRejectedError, export_table, load_table
from riskmap.db.sessions import Actor, Database
from riskmap.errors import ConflictError, InputError, NotFoundError
from riskmap.i18n import LANGS
from riskmap.roads.load import roads_revision
from riskmap.roads.speeds import read_speeds, read_time_factors

ACTOR = Actor("cli:test")


def exported(database: Database, name: str) -> list[list[str]]:
    with database.read() as session:
        return list(csv.reader(io.StringIO(export_table(session, name).decode("utf-8-sig"))))


def load(database: Database, folder: Path, name: str, rows, encoding: str = "utf-8"):
    path = folder / f"{name}.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    with database.own(ACTOR) as session:
        return load_table(session, name, path)


def books(database: Database) -> tuple[int, int]:
    with database.read() as session:
        return tuple(
            session.execute(
                text("SELECT (SELECT count(*) FROM feed), (SELECT count(*) FROM audit)")
            ).one()
        )


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_what_was_exported_changes_nothing(database: Database, tmp_path: Path, name: str) -> None:
    with database.own(ACTOR) as session:
        session.execute(
            text(
                "INSERT INTO road_turns VALUES ('way/1/0', 9007199254740993, 'way/2/0', true, 'a')"
            )
        )
    rows = exported(database, name)
    assert len(rows) > 1
    before = books(database)
    change = load(database, tmp_path, name, rows)
    assert (change.inserted, change.updated, change.deleted) == (0, 0, 0)
    assert change.unchanged == len(rows) - 1
    # Columns in another order, and a spreadsheet's encoding.
    load(database, tmp_path, name, [row[::-1] for row in rows], "gb18030")
    assert books(database) == before


def test_only_what_differs_is_touched(database: Database, tmp_path: Path) -> None:
    head, *rows = exported(database, "road_speeds")
    at = {name: k for k, name in enumerate(head)}
    with database.read() as session:
        walk = read_speeds(session, "walk")
    gone = next(row for row in rows if row[0] == "walk" and row[1] == "steps")
    rows.remove(gone)
    for row in rows:
        if row[:2] in (["emergency", "primary"], ["emergency", "tertiary"]):
            row[at["speed_kmh"]] = "62.5"
            row[at["against_oneway_factor"]] = ""
            row[at["source"]] = "实测 2026"
    rows.append(["ordinary", "pedestrian", "5", "", "", "true", "本市规定"])
    change = load(database, tmp_path, "road_speeds", [head, *rows])
    assert (change.inserted, change.updated, change.deleted) == (1, 2, 1)
    with database.read() as session:
        emergency = read_speeds(session, "emergency")
        assert emergency["primary"].speed_kmh == 62.5
        assert emergency["tertiary"].against_oneway_factor is None
        assert emergency["primary"].source == "实测 2026"
        assert read_speeds(session, "ordinary")["pedestrian"].maxspeed_factor is None
        assert set(walk) - set(read_speeds(session, "walk")) == {"steps"}
        told = session.execute(
            text(
                "SELECT action, subject, row_count, actor FROM audit"
                " WHERE subject = 'road_speeds' ORDER BY id"
            )
        ).all()
    assert [tuple(row) for row in told] == [
        ("delete", "road_speeds", 1, ACTOR.name),
        ("update", "road_speeds", 2, ACTOR.name),
        ("insert", "road_speeds", 1, ACTOR.name),
        ("tables.load", "road_speeds", len(rows), ACTOR.name),
    ]
    feed = exported_feed(database)
    assert {row[0] for row in feed} == {"roads"}


def exported_feed(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [tuple(r) for r in session.execute(text("SELECT layer, op FROM feed ORDER BY id"))]


def test_the_roads_move_with_speeds_and_factors_only(database: Database, tmp_path: Path) -> None:
    with database.own(ACTOR) as session:
        session.execute(
            text(
                "INSERT INTO road_edges (geom, from_node, to_node, road_class)"
                " VALUES ('SRID=4326;LINESTRING(120.1 36.1, 120.2 36.1)', 1, 2, 'primary')"
            )
        )

    def revision() -> str | None:
        with database.read() as session:
            return roads_revision(session)

    first = revision()
    assert first is not None
    head, *rows = exported(database, "response_phases")
    rows[0][2] = "45"
    load(database, tmp_path, "response_phases", [head, *rows])
    assert revision() == first
    head, *rows = exported(database, "road_time_factors")
    load(database, tmp_path, "road_time_factors", [head, *rows])
    assert revision() == first
    rows[0][4] = "0.5"
    load(database, tmp_path, "road_time_factors", [head, *rows])
    assert revision() != first


WRONG = [
    ("road_speeds", {"speed_kmh": "fast"}, "speed_kmh"),
    ("road_speeds", {"speed_kmh": "nan"}, "speed_kmh"),
    ("road_speeds", {"speed_kmh": "0"}, "speed_kmh"),
    ("road_speeds", {"speed_kmh": "201"}, "speed_kmh"),
    ("road_speeds", {"speed_kmh": ""}, "speed_kmh"),
    ("road_speeds", {"source": "  "}, "source"),
    ("road_speeds", {"profile": "helicopter"}, "profile"),
    ("road_profiles", {"mode": "boat"}, "mode"),
    ("road_profiles", {"uses_restricted": "perhaps"}, "uses_restricted"),
    ("road_time_factors", {"hour": "24"}, "hour"),
    ("road_time_factors", {"hour": "7.5"}, "hour"),
    ("road_time_factors", {"day_type": "sunday"}, "day_type"),
    ("road_time_factors", {"factor": "-1"}, "factor"),
    ("road_profiles", {"u_turns": "at night"}, "u_turns"),
    ("road_speeds", {"stops": ""}, "stops"),
    ("response_phases", {"turnout_s": "-1"}, "turnout_s"),
    ("gb18218_chemicals", {"critical_quantity_t": "0"}, "critical_quantity_t"),
    ("gb18218_categories", {"beta": "-2"}, "beta"),
]


@pytest.mark.parametrize(("name", "change", "column"), WRONG)
def test_a_row_that_cannot_be(database: Database, tmp_path: Path, name, change, column) -> None:
    head, *rows = exported(database, name)
    before = exported(database, name)
    state = books(database)
    at = 2
    for field, value in change.items():
        rows[at - 1][head.index(field)] = value
    rows[0][head.index("source")] = "other"  # a good change beside it is not made either
    with pytest.raises(TableRejectedError) as caught:
        load(database, tmp_path, name, [head, *rows])
    (problem,) = caught.value.problems
    assert problem.row == at and column in problem.column
    for lang in LANGS:
        assert column in problem.text(lang) and str(at) in problem.text(lang)
        assert caught.value.text(lang)
    assert exported(database, name) == before
    assert books(database) == state


def test_files_that_are_no_table(database: Database, tmp_path: Path) -> None:
    head, *rows = exported(database, "road_speeds")
    with pytest.raises(TableRejectedError) as caught:
        load(database, tmp_path, "road_speeds", [head, *rows, rows[0], [*rows[1], "more"]])
    assert [problem.key for problem in caught.value.problems] == [
        "tables.row_twice", "tables.row_long",
    ]  # fmt: skip
    for wrong in ([head[:-1], *rows], [[*head, "x"], *rows], [[*head[:-1], head[0]], *rows], []):
        with pytest.raises(InputError) as refused:
            load(database, tmp_path, "road_speeds", wrong)
        assert refused.value.key == "tables.headings"
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81")
    for path in (binary, tmp_path / "none.csv"):
        with pytest.raises(InputError), database.own(ACTOR) as session:
            load_table(session, "road_speeds", path)
    with pytest.raises(NotFoundError):
        exported(database, "api_keys")
    # A profile that others use cannot go.
    head, *rows = exported(database, "road_profiles")
    with pytest.raises(ConflictError) as conflict:
        load(database, tmp_path, "road_profiles", [head, *rows[:1]])
    assert conflict.value.key == "tables.referred"
    assert len(exported(database, "road_profiles")) == 1 + len(rows)
    # A blank line is no row, and keeps its number.
    head, *rows = exported(database, "road_speeds")
    assert load(database, tmp_path, "road_speeds", [head, [], *rows]).unchanged == len(rows)


def test_turns_go_out_and_come_back(database: Database, tmp_path: Path) -> None:
    # One above what a float can tell apart, and more rows than a statement takes values.
    node = 2**53 + 1
    many = [[f"way/{k}/0", str(node), "way/2/0", "false", "本市"] for k in range(13_200)]
    head, *none = exported(database, "road_turns")
    assert none == []
    change = load(database, tmp_path, "road_turns", [head, *many])
    assert (change.inserted, change.unchanged) == (13_200, 0)
    rows = exported(database, "road_turns")
    assert sorted(rows[1:]) == sorted(many)
    few = rows[:51]
    few[1][3] = "true"
    change = load(database, tmp_path, "road_turns", few)
    assert (change.deleted, change.updated, change.unchanged) == (13_150, 1, 49)
    with pytest.raises(TableRejectedError) as caught:
        wrong = [[*rows[1][:1], cell, *rows[1][2:]] for cell in ("1.5", "x", str(2**63), "")]
        load(database, tmp_path, "road_turns", [head, *wrong])
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [*["tables.cell_integer"] * 3, "tables.cell_empty"]
    assert load(database, tmp_path, "road_turns", [head]).deleted == 50


def test_factors_by_the_hour(database: Database, tmp_path: Path) -> None:
    head, *rows = exported(database, "road_time_factors")
    rows.append(["ordinary", "primary", "workday", "8", "0.4", "test"])
    load(database, tmp_path, "road_time_factors", [head, *rows])
    with database.read() as session:
        factors = read_time_factors(session)
    assert factors.factor("ordinary", "primary", "workday", 8) == 0.4
    assert factors.factor("ordinary", "secondary", "workday", 8) == 0.6
    assert factors.factor("emergency", "secondary", "workday", 8) == pytest.approx(0.8)
    assert factors.factor("ordinary", "primary", "restday", 8) == 1
    assert factors.factor("walk", "footway", "workday", 8) == 1
    found = factors.find("ordinary", "primary", "workday", 8)
    assert found is not None and found.source == "test"
    for wrong in (("sunday", 8), ("workday", 24), ("workday", -1)):
        with pytest.raises(InputError):
            factors.factor("ordinary", "primary", *wrong)


def test_emergency_vehicles_on_narrow_ways(database: Database) -> None:
    with database.read() as session:
        emergency = read_speeds(session, "emergency")
        assert emergency["footway"].speed_kmh == 10
        assert emergency["footway"].source
        assert "footway" not in read_speeds(session, "ordinary")
        assert emergency["primary"].stops and not emergency["motorway"].stops
        assert "no stop" in emergency["trunk_link"].source
        wheels = read_speeds(session, "motorcycle")
        assert "motorway" not in wheels and wheels["footway"].speed_kmh == 15
        assert {name for name, row in wheels.items() if not row.stops} == {
            "trunk", "trunk_link", "ferry",
        }  # fmt: skip
        assert read_speeds(session, "walk")["trunk"].stops
        rules = session.execute(
            text("SELECT profile, u_turns, obeys_turns FROM road_profiles ORDER BY 1")
        ).all()
        assert [tuple(row) for row in rules] == [
            ("emergency", True, False),
            ("motorcycle", True, False),
            ("ordinary", False, True),
            ("walk", True, False),
        ]
        # The start of a new database is no change.
        assert session.execute(text("SELECT count(*) FROM feed")).scalar_one() == 0
