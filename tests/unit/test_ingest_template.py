from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner

from ingest_help import run, trial_layer
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Text, Value
from riskmap.cli.main import app
from riskmap.errors import InputError
from riskmap.ingest.read_xlsx import NOTES_SHEET
from riskmap.ingest.templates import Column, columns, example, notes, notes_markdown, template
from riskmap.units import Bbox

LAYERS = [pytest.param(layer, id=layer.id) for layer in load_catalog().values()]
AREA = "MULTIPOLYGON (((120.1 36.1, 120.2 36.1, 120.2 36.2, 120.1 36.1)))"
LINE = "LINESTRING (120.1 36.1, 120.2 36.2)"
EARTH = Bbox(-180, -90, 180, 90)


def cell(layer: Layer, column: Column, lang: str) -> str:
    """One valid cell for a column: what the notes give as its example, and what must be there."""
    if column.name == "wkt":
        return LINE if layer.geometry is Geometry.LINE else AREA
    if column.name in ("lon", "lat"):
        return {"lon": "120.3826", "lat": "36.0671"}[column.name]
    if column.child is not None:
        note = next(n for n in notes(layer, lang) if n["name"] == column.name)  # type: ignore[arg-type]
        return note["example"]
    assert column.field is not None
    return example(column.field, lang) or "某某"  # type: ignore[arg-type]


def expected(field: Field, record: dict[str, object]) -> None:
    """Check that the value arrived as the code that its label stands for."""
    found = record[field.name]
    assert found is not None, field.name
    if field.kind is Kind.TEXTS and field.values:
        assert found == [value.code for value in field.values[:2]]
    elif field.values:
        assert found == field.values[0].code
    elif field.kind is Kind.BOOLEAN:
        assert found is True


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("form", ["xlsx", "csv"])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_filled_template_goes_in_without_a_word(
    tmp_path: Path, layer: Layer, form: str, lang: str
) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(template(layer, form, lang))  # type: ignore[arg-type]
    row = [cell(layer, column, lang) for column in columns(layer, lang)]  # type: ignore[arg-type]
    if form == "xlsx":
        book = openpyxl.load_workbook(path)
        sheet = book.worksheets[0]
        # As people type it: numbers are numbers.
        sheet.append([float(text) if text.replace(".", "").isdecimal() else text for text in row])
        book.save(path)
    else:
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(row)
    outcome = run(path, layer, box=EARTH)
    assert outcome.found == []
    (record,) = outcome.records
    for field in layer.fields:
        if not field.managed:
            expected(field, record)
    for child in layer.children:
        assert len(json.loads(str(record[child.name]))) == 1
    assert record["geom"] is not None
    assert set(json.loads(str(record["attributes"]))) == {"备注" if lang == "zh" else "note"}


@pytest.mark.parametrize("form", ["xlsx", "csv", "geojson"])
@pytest.mark.parametrize("layer", LAYERS)
def test_an_empty_template_has_no_rows_and_no_faults(
    tmp_path: Path, layer: Layer, form: str
) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(template(layer, form))
    outcome = run(path, layer)
    assert (outcome.found, outcome.records, outcome.log.rows) == ([], [], 0)


@pytest.mark.parametrize("layer", LAYERS)
def test_notes_say_everything_about_every_column(layer: Layer) -> None:
    said = {note["name"]: note for note in notes(layer, "zh")}
    for field in layer.fields:
        assert (field.name in said) is not field.managed
        if field.managed:
            continue
        note = said[field.name]
        assert (note["zh"], note["en"], note["source"]) == (field.zh, field.en, field.source)
        assert note["required"] == ("是" if field.required else "否")
        assert note["restricted"] == ("是" if field.restricted else "否")
        for value in field.values:
            assert f"{value.code} = {value.zh}" in note["allowed"]
    assert layer.id in notes_markdown(layer, "en")
    assert "--crs" in notes_markdown(layer, "zh")


def test_the_workbook_helps_to_fill_it_in() -> None:
    layer = trial_layer()
    book = openpyxl.load_workbook(io.BytesIO(template(layer, "xlsx")))
    assert book.sheetnames == ["试验", NOTES_SHEET]
    sheet = book["试验"]
    heads = [c.value for c in sheet[1]]
    assert heads[:5] == ["统一编号*", "名称", "经度*", "纬度*", "英文名称"]
    assert sheet.freeze_panes == "A2"
    rules = {str(rule.sqref).split("2:")[0]: rule for rule in sheet.data_validations.dataValidation}

    def rule(heading: str) -> object:
        letter = sheet.cell(1, heads.index(heading) + 1).column_letter
        found = rules[letter]
        return found.type, found.operator, found.formula1, found.formula2

    assert rule("风险等级") == ("list", None, '"重大,较大,一般,低"', None)
    assert rule("值班") == ("list", None, '"是,否"', None)
    assert rule("人口") == ("whole", "greaterThanOrEqual", "0", None)
    assert rule("面积") == ("decimal", "between", "0", "1e+09")
    assert sheet.column_dimensions["A"].number_format == "@"
    texts = [c.value for row in book[NOTES_SHEET].iter_rows() for c in row if c.value]
    assert any("--crs" in str(text) for text in texts)
    assert "major = 重大" not in texts
    assert "1 = 重大; 2 = 较大; 3 = 一般; 4 = 低" in texts
    assert any(str(text).startswith('[{"cas":') for text in texts)


def test_a_list_that_is_too_long_for_a_rule_stands_on_a_hidden_sheet(tmp_path: Path) -> None:
    many = tuple(Value(f"v{n}", f"第{n}种很长的名称", f"Kind, {n}") for n in range(40))
    layer = Layer(
        id="many-kinds",
        title=Text("种类", "Kinds"),
        description=Text("种类", "Kinds"),
        geometry=Geometry.POINT,
        role=Role.HAZARD,
        own_fields=(Field(name="kind", zh="种类", en="Kind", values=many),),
    )
    path = tmp_path / "a.xlsx"
    path.write_bytes(template(layer, "xlsx"))
    book = openpyxl.load_workbook(path)
    assert book["riskmap"].sheet_state == "hidden"
    assert [c.value for c in book["riskmap"]["A"]] == [value.zh for value in many]
    formulas = [r.formula1 for r in book.worksheets[0].data_validations.dataValidation]
    assert "riskmap!$A$1:$A$40" in formulas
    book.worksheets[0].append(["a", "b", 120, 36])
    book.save(path)
    assert len(run(path, layer).records) == 1


def test_geojson_templates_carry_their_notes() -> None:
    content = json.loads(template(trial_layer(), "geojson"))
    assert (content["type"], content["features"]) == ("FeatureCollection", [])
    names = [entry["name"] for entry in content["riskmap"]["properties"]]
    assert names[:2] == ["code", "name"]
    assert "version" not in names and "lon" not in names


def test_other_formats_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        template(trial_layer(), "shp")
    assert "geojson" in caught.value.text("zh")


def test_the_command_writes_files_and_never_over_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    invoke = CliRunner().invoke
    layer = next(iter(load_catalog()))
    assert invoke(app, ["template", layer]).exit_code == 0
    assert zipfile.is_zipfile(tmp_path / f"{layer}.xlsx")
    again = invoke(app, ["template", layer])
    assert isinstance(again.exception, InputError)
    assert again.exception.key == "ingest.template.exists"
    assert invoke(app, ["template", layer, "--format", "csv", "-o", "a.csv"]).exit_code == 0
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "| 统一编号* | code |" in (tmp_path / "a.notes.md").read_text(encoding="utf-8")
    shown = invoke(app, ["template", layer, "--format", "csv", "--lang", "en"])
    assert "Code*,Name,Longitude" in shown.stdout or "Code*,Name,WKT" in shown.stdout
    assert json.loads(invoke(app, ["template", layer, "--format", "geojson"]).stdout)
    listed = invoke(app, ["template"])
    assert all(known in listed.stdout for known in load_catalog())
    for wrong, key in (
        (["template", "nowhere"], "layer.unknown"),
        (["template", layer, "--format", "shp"], "ingest.template.format"),
        (["template", layer, "--lang", "fr"], "ingest.template.lang"),
        (["template", layer, "-o", "no/such/folder.xlsx"], "ingest.template.denied"),
    ):
        error = invoke(app, wrong).exception
        assert getattr(error, "key", None) == key
