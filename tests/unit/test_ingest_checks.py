from __future__ import annotations

import csv
import json
import math
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import shared_data
from ingest_help import (
    BOX,
    PORTO_ALEGRE,
    geojson,
    point,
    run,
    shape,
    table,
    trial_layer,
)
from riskmap.catalog.spec import Field, Geometry, Kind
from riskmap.crs.input import read_crs
from riskmap.ingest.columns import convert_column
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.report import ImportReport, Problem, ProblemLog
from riskmap.ingest.shapes import Shapes, check_points, check_shapes
from riskmap.ingest.values import BadValueError, Converter, to_json_text

SQUARE = [[[120, 36], [120.1, 36], [120.1, 36.1], [120, 36.1], [120, 36]]]
BOWTIE = [[[120, 36], [120.1, 36.1], [120.1, 36], [120, 36.1], [120, 36]]]
NEEDLE = [[[120, 36], [120.1, 36], [120, 36], [120, 36]]]


def test_good_rows_come_out_as_columns(tmp_path: Path) -> None:
    outcome = run(
        geojson(
            tmp_path,
            point(
                "a",
                name=" 和平里 ",
                population="1e3",
                area_m2=12.5,
                on_duty="是",
                filed_on="2024年3月5日",
                valid_from="2024-03-05 08:30",
                surveyed_at="2024-03-05T08:30:00Z",
                plan={"a": 1},
                chemicals=[{"CAS": "7664-41-7", "数量": "2.5", "since": "2020/1/2"}],
            ),
        )
    )
    assert outcome.found == []
    (record,) = outcome.records
    assert record["name"] == "和平里"
    assert record["population"] == 1000
    assert record["on_duty"] is True
    assert record["filed_on"] == date(2024, 3, 5)
    shanghai = ZoneInfo("Asia/Shanghai")
    assert record["valid_from"] == datetime(2024, 3, 5, 8, 30, tzinfo=shanghai)
    assert record["surveyed_at"] == datetime(2024, 3, 5, 16, 30, tzinfo=shanghai)
    assert record["plan"] == '{"a":1}'
    assert json.loads(str(record["chemicals"])) == [
        {"cas": "7664-41-7", "quantity_t": 2.5, "since": "2020-01-02"}
    ]
    assert (record["raw_x"], record["raw_y"]) == (120.0, 36.0)
    assert shapely.get_srid(shapely.from_wkb(str(record["geom"]))) == 4326


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("population", "many", "ingest.type.integer"),
        ("population", "1,000", "ingest.type.separated"),
        ("population", "１２²", "ingest.type.integer"),
        ("population", 1.5, "ingest.type.integer"),
        ("population", True, "ingest.type.integer"),
        ("population", -1, "ingest.range"),
        ("population", 2**31, "ingest.range"),
        ("population", 10**400, "ingest.range"),
        ("population", [1], "ingest.type.integer"),
        ("area_m2", "NaN", "ingest.type.number"),
        ("area_m2", "1e999", "ingest.type.number"),
        ("area_m2", 1e10, "ingest.range"),
        ("on_duty", "maybe", "ingest.type.boolean"),
        ("on_duty", 2, "ingest.type.boolean"),
        ("filed_on", "2023-02-29", "ingest.type.date"),
        ("filed_on", "2024-03-05T08:30:00", "ingest.type.date"),
        ("filed_on", 45356, "ingest.type.date"),
        ("valid_from", "soon", "ingest.type.datetime"),
        ("risk_level", 5, "ingest.allowed"),
        ("risk_level", 0, "ingest.allowed"),
        ("status", "open", "ingest.allowed"),
        ("skills", ["fire", "magic"], "ingest.allowed"),
        ("skills", {"fire": 1}, "ingest.type.texts"),
        ("name", {"a": 1}, "ingest.type.text"),
        ("name", "a\0b", "ingest.characters"),
        ("name", "\ud800", "ingest.characters"),
        ("plan", "{", "ingest.type.json"),
        ("plan", {"a": "\0"}, "ingest.characters"),
        ("chemicals", "none", "ingest.type.json"),
        ("chemicals", {"cas": "1"}, "ingest.type.child"),
        ("chemicals", [{"quantity_t": 1}], "ingest.child.required"),
        ("chemicals", [{"cas": "1", "secret": 1}], "ingest.child.key"),
        ("chemicals", [{"cas": "1", "quantity_t": -1}], "ingest.child.value"),
        ("address_book", "a\0b", "ingest.characters"),
    ],
)
def test_each_bad_value_names_row_field_and_value(
    tmp_path: Path, field: str, value: object, key: str
) -> None:
    path = tmp_path / "a.geojson"
    features = [point("a"), point("b", **{field: value})]
    # ensure_ascii: a lone surrogate can only be written as an escape.
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    outcome = run(path)
    named = "attributes" if field == "address_book" else field
    assert outcome.found == [(2, key, named)]
    assert outcome.rows == [1]
    (problem,) = outcome.log.problems
    assert problem.value
    assert len(problem.value) <= 60
    for lang in ("zh", "en"):
        assert named in problem.text(lang)  # type: ignore[arg-type]


def test_a_backslash_before_u0000_is_no_nul(tmp_path: Path) -> None:
    outcome = run(geojson(tmp_path, point("a", plan={"path": "c:\\u0000"}, note="\\u0000")))
    assert outcome.found == []


def test_null_stays_null(tmp_path: Path) -> None:
    outcome = run(
        table(tmp_path, "code,lon,lat,risk_level,population,on_duty,skills,name\na,120,36,,, ,,\n")
    )
    (record,) = outcome.records
    for name in ("risk_level", "population", "on_duty", "skills", "name"):
        assert record[name] is None
    assert outcome.found == []


def test_code_is_required_and_unique_in_the_file(tmp_path: Path) -> None:
    outcome = run(
        geojson(tmp_path, point("a"), point(None), point(" "), point(" a"), point(1), point("1"))
    )
    assert outcome.found == [
        (1, "ingest.duplicate", "code"),
        (2, "ingest.required", "code"),
        (3, "ingest.required", "code"),
        (4, "ingest.duplicate", "code"),
        (5, "ingest.duplicate", "code"),
        (6, "ingest.duplicate", "code"),
    ]
    assert outcome.log.problems[3].values == {"first": "1"}
    assert outcome.log.problems[0].values == {"first": "4"}
    assert outcome.records == []


def test_a_file_without_codes_says_so_row_by_row(tmp_path: Path) -> None:
    outcome = run(table(tmp_path, "lon,lat\n120,36\n121,36\n"))
    assert [problem.key for problem in outcome.log.problems] == ["ingest.required"] * 2


def test_several_problems_of_a_row_are_all_told_and_count_as_one_row(tmp_path: Path) -> None:
    outcome = run(geojson(tmp_path, point(None, 0, 0, population=-1)))
    assert {key for _, key, _ in outcome.found} == {
        "ingest.required",
        "ingest.outside",
        "ingest.range",
    }
    assert (outcome.log.rejected, outcome.log.count) == (1, 3)


def test_geometry_that_is_missing_empty_or_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    bad = [
        '{"type":"Feature","properties":{"code":"a"},"geometry":null}',
        json.dumps(shape("b", "Point", [])),
        '{"type":"Feature","properties":{"code":"c"},"geometry":{"type":"Point","coordinates":[1e999,36]}}',
        '{"type":"Feature","properties":{"code":"d"},"geometry":{"type":"Point","coordinates":[NaN,36]}}',
    ]
    path.write_text('{"type":"FeatureCollection","features":[' + ",".join(bad) + "]}")
    assert run(path).found == [
        (1, "ingest.geometry.null", "geometry"),
        (2, "ingest.geometry.empty", "geometry"),
        (3, "ingest.geometry.not_finite", "geometry"),
        (4, "ingest.coordinate", "geometry"),
    ]


@pytest.mark.parametrize(
    ("geometry", "kind", "coordinates", "stored"),
    [
        (Geometry.POINT, "Point", [120, 36, 7], "Point"),
        (Geometry.POINT, "MultiPoint", [[120, 36]], "Point"),
        (Geometry.POINT, "MultiPoint", [[120, 36], [121, 36]], None),
        (Geometry.POINT, "Polygon", SQUARE, None),
        (Geometry.LINE, "LineString", [[120, 36], [121, 36]], "MultiLineString"),
        (Geometry.LINE, "MultiLineString", [[[120, 36], [121, 36]]], "MultiLineString"),
        (Geometry.LINE, "Point", [120, 36], None),
        (Geometry.POLYGON, "Polygon", SQUARE, "MultiPolygon"),
        (Geometry.POLYGON, "MultiPolygon", [SQUARE], "MultiPolygon"),
        (Geometry.POLYGON, "LineString", [[120, 36], [121, 36]], None),
        (Geometry.MIXED, "Point", [120, 36], "Point"),
        (Geometry.MIXED, "LineString", [[120, 36], [121, 36]], "MultiLineString"),
        (Geometry.MIXED, "Polygon", SQUARE, "MultiPolygon"),
    ],
)
def test_geometry_types(
    tmp_path: Path, geometry: Geometry, kind: str, coordinates: object, stored: str | None
) -> None:
    outcome = run(geojson(tmp_path, shape("a", kind, coordinates)), trial_layer(geometry))
    if stored is None:
        assert outcome.found == [(1, "ingest.geometry.type", "geometry")]
    else:
        made = shapely.from_wkb(str(outcome.records[0]["geom"]))
        assert made.geom_type == stored
        assert not made.has_z
        assert (outcome.records[0]["raw_x"] is None) == (stored != "Point")


def test_a_collection_is_refused(tmp_path: Path) -> None:
    feature = {
        "type": "Feature",
        "properties": {"code": "a"},
        "geometry": {
            "type": "GeometryCollection",
            "geometries": [{"type": "Point", "coordinates": [120, 36]}],
        },
    }
    outcome = run(geojson(tmp_path, feature), trial_layer(Geometry.MIXED))
    assert outcome.found == [(1, "ingest.geometry.type", "geometry")]


def test_measures_are_dropped_with_heights(tmp_path: Path) -> None:
    outcome = run(table(tmp_path, "code,wkt\na,POINT ZM (120 36 1 2)\nb,POINT M (120 36 1)\n"))
    assert outcome.found == []
    made = [shapely.from_wkb(str(record["geom"])) for record in outcome.records]
    assert [shape.wkt for shape in made] == ["POINT (120 36)"] * 2


def test_invalid_geometry_is_refused_or_repaired_when_asked(tmp_path: Path) -> None:
    path = geojson(
        tmp_path,
        shape("a", "Polygon", SQUARE),
        shape("b", "Polygon", BOWTIE),
        shape("c", "Polygon", NEEDLE),
    )
    layer = trial_layer(Geometry.POLYGON)
    refused = run(path, layer)
    assert [(row, key) for row, key, _ in refused.found] == [
        (2, "ingest.geometry.invalid"),
        (3, "ingest.geometry.invalid"),
    ]
    repaired = run(path, layer, repair=True)
    assert [(row, key) for row, key, _ in repaired.found] == [(3, "ingest.geometry.collapsed")]
    assert [(note.row, note.key) for note in repaired.log.notes] == [
        (2, "ingest.geometry.repaired")
    ]
    made = shapely.from_wkb(str(repaired.records[1]["geom"]))
    assert made.is_valid
    assert made.geom_type == "MultiPolygon"
    assert made.area == pytest.approx(0.005)
    assert repaired.log.repaired == 1


def test_outside_the_city_and_swapped(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        f"code,lon,lat\na,36,120\nb,0,0\nc,{BOX.west},{BOX.south}\nd,{BOX.east + 1e-9},36\n",
    )
    outcome = run(path)
    assert outcome.found == [
        (1, "ingest.outside.swapped", "geometry"),
        (2, "ingest.outside", "geometry"),
        (4, "ingest.outside", "geometry"),
    ]
    assert outcome.log.problems[0].value == "36, 120"
    assert outcome.rows == [3]


def test_projected_tables_swapped_and_with_the_wrong_code(tmp_path: Path) -> None:
    path = table(tmp_path, "code,x,y\na,40534231.97,3993376.68\nb,3993376.68,40534231.97\n")
    zone = run(path, crs="EPSG:4528")
    assert zone.found == [(2, "ingest.outside.swapped", "geometry")]
    assert zone.records[0]["raw_x"] == 40534231.97
    made = shapely.from_wkb(str(zone.records[0]["geom"]))
    assert (made.x, made.y) == pytest.approx((120.38, 36.07), abs=1e-6)
    meridian = run(path, crs="EPSG:4549")
    assert [key for _, key, _ in meridian.found] == ["crs.not_finite", "crs.not_finite"]


def test_a_polygon_that_leaves_the_box_is_outside(tmp_path: Path) -> None:
    wide = [[[120, 36], [125, 36], [125, 36.1], [120, 36]]]
    outcome = run(geojson(tmp_path, shape("a", "Polygon", wide)), trial_layer(Geometry.POLYGON))
    assert outcome.found == [(1, "ingest.outside", "geometry")]


def test_an_unreadable_row_is_told_once(tmp_path: Path) -> None:
    outcome = run(geojson(tmp_path, 17, point("a", "x", 1), point("b")))
    assert outcome.found == [
        (1, "ingest.feature", None),
        (2, "ingest.coordinate", "geometry"),
    ]
    assert outcome.rows == [3]


def test_the_log_counts_all_and_keeps_the_first() -> None:
    log = ProblemLog(keep=2)
    for row in range(1, 6):
        log.reject([Problem(row, "ingest.required", "code"), Problem(row, "ingest.geometry.null")])
    assert (log.count, log.rejected, len(log.problems)) == (10, 5, 2)
    report = ImportReport(
        layer="trial-places",
        file="a.csv",
        crs="EPSG:4326",
        source_system="local",
        dry_run=False,
        rows=5,
        rejected=5,
        problem_count=log.count,
        problems=tuple(log.problems),
    )
    said = report.render("en")
    assert "row 1: code is required" in said
    assert "10 problems in all" in said
    assert "第 1 行：code 必填" in report.render("zh")
    told = json.loads(json.dumps(report.to_json()))
    assert told["problems"][0]["reason"]["zh"] == "code 必填"


CELLS = st.one_of(
    st.sampled_from(
        ["", " ", "1", "-1", "+2.5", "1.", ".5", "1e3", "1e400", "nan", "inf", "1_0", "１２", "1 2",
         "2147483648", "-0", "是", "fire", "Water", "消防;fire", "2024-03-05", "20240305", "a\0",
         "\ud800", "\t3 ", "{}", "[1]", "1,5", "--1", "e", "true", "重大", "0x1F", "\u00a07"]
    ),
    st.text(max_size=5),
    st.none(),
    st.integers(-(2**40), 2**40),
    st.sampled_from([10**400, True, False, math.nan, math.inf, -0.0, 0.5, 2.0**60]),
    st.floats(),
    st.just([1]),
)  # fmt: skip
TEXTS = st.one_of(st.integers(-5, 5).map(str), st.floats(-9, 9).map(str), st.just(""))
NUMBERS = st.one_of(st.integers(-5, 5), st.floats(-9, 9), st.none(), st.just(math.nan))


@settings(max_examples=400, deadline=None, database=None)
@given(
    st.sampled_from([f for f in trial_layer().fields if not f.managed]),
    st.one_of(*(st.lists(cell, max_size=6) for cell in (CELLS, TEXTS, NUMBERS, st.text()))),
)
def test_a_column_at_once_is_its_cells_one_by_one(declared: Field, cells: list[object]) -> None:
    convert = Converter(declared, ZoneInfo("Asia/Shanghai"))
    values, failures = convert_column(convert, cells)
    found: list[object] = []
    bad: list[tuple[int, str, object]] = []
    for place, cell in enumerate(cells):
        value: object = None
        try:
            value = convert(cell)
            if declared.kind is Kind.JSON and value is not None:
                value = to_json_text(value)
        except BadValueError as error:
            value = None
            bad.append((place, error.key, error.values))
        found.append(value)
    assert values == found
    assert [type(value) for value in values] == [type(value) for value in found]
    assert [(place, error.key, error.values) for place, error in failures] == bad


def test_points_as_numbers_are_judged_like_points() -> None:
    lonlat = [(120.5, 36.5), (36.0, 120.0), (0.0, 0.0), (120.0, 36.0), (BOX.east, BOX.north)]
    xy = np.array([*lonlat, (math.inf, 36.0), (math.nan, math.nan)])
    for crs in (read_crs("EPSG:4326"), read_crs("EPSG:4549")):
        for kind in Geometry:
            shapes = np.array([*shapely.points(xy[:-1]), None], dtype=object)
            ours = check_points(xy, kind, crs, BOX)
            theirs = check_shapes(shapes, kind, crs, BOX, repair=False)

            def told(found: Shapes) -> list[object]:
                return sorted((f.index, f.key, f.value, dict(f.values)) for f in found.faults)

            assert told(ours) == told(theirs)
            good = sorted(set(range(len(xy))) - {fault.index for fault in ours.faults})
            made = shapely.from_wkb(ours.ewkb(good))
            wanted = shapely.from_wkb(theirs.ewkb(good))
            assert shapely.equals_exact(made, wanted).all()
            assert np.array_equal(ours.raw[good], theirs.raw[good])


def test_real_risk_sectors_of_porto_alegre() -> None:
    path = shared_data("porto-alegre/pmrr_setores.geojson")
    mapping = FieldMapping(
        fields={"code": "cod", "name": "bairro", "population": "pessoas"},
        values={"risk_level": {"R3": 2, "R4": 1}},
    )
    mapping.fields["risk_level"] = "risco"
    layer = trial_layer(Geometry.MIXED)
    refused = run(path, layer, mapping=mapping, box=PORTO_ALEGRE)
    assert refused.found == [(29, "ingest.geometry.invalid", "geometry")]
    assert (refused.log.rows, len(refused.rows)) == (204, 203)
    repaired = run(path, layer, mapping=mapping, box=PORTO_ALEGRE, repair=True)
    assert len(repaired.rows) == 204
    levels = [record["risk_level"] for record in repaired.records]
    assert (levels.count(2), levels.count(1)) == (169, 35)
    assert json.loads(str(repaired.records[0]["attributes"])).keys() == {
        "setor",
        "grau",
        "tipo",
        "edif",
    }


def test_real_population_of_porto_alegre() -> None:
    path = shared_data("porto-alegre/poa_hexgrid.csv")
    outcome = run(path, mapping=FieldMapping(fields={"code": "id"}), box=PORTO_ALEGRE)
    assert outcome.found == []
    assert len(outcome.records) == 1227
    assert sum(int(str(record["population"])) for record in outcome.records) == 812_935
    with path.open() as file:
        first = next(csv.DictReader(file))
    assert outcome.records[0]["raw_x"] == float(first["lon"])


def test_a_code_that_no_index_takes_is_named(tmp_path: Path) -> None:
    good, bad = "界" * 200, "界" * 201
    outcome = run(geojson(tmp_path, point(good), point(bad), point("c", admin_code="3" * 41)))
    assert outcome.found == [(2, "ingest.length", "code"), (3, "ingest.length", "admin_code")]
    assert [record["code"] for record in outcome.records] == [good]
    assert "201" in outcome.log.problems[0].text("zh")
