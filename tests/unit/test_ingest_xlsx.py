"""XLSX: what is read, what is refused before it is read, what is copied."""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import shapely
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.utils import get_column_letter

from conftest import shared_data
from ingest_help import run
from riskmap.crs.input import read_crs
from riskmap.errors import InputError
from riskmap.ingest import read_xlsx, xlsx_package
from riskmap.ingest.batches import Batch, ReadOptions
from riskmap.ingest.readers import read

WGS84 = read_crs("EPSG:4326")
DAY = datetime(2024, 3, 5)  # noqa: DTZ001 - Excel knows no zones
HEADS = ("code", "lon", "lat")
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def source(path: Path, **options: Any) -> Any:
    return read(path, ReadOptions(crs=WGS84, **options))


def only(path: Path, **options: Any) -> Batch:
    (batch,) = source(path, **options).batches()
    return batch  # type: ignore[no-any-return]


def refusal(action: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.text("zh") and caught.value.text("en")
    return caught.value


def saved(folder: Path, *rows: Any, name: str = "a.xlsx", **more: list[Any]) -> Path:
    """Write a workbook by openpyxl: the rows in one sheet, `more` in others."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "数据"
    for row in rows:
        sheet.append(row)
    for title, others in more.items():
        other = book.create_sheet(title)
        for row in others:
            other.append(row)
    book.save(folder / name)
    return folder / name


def by_hand(
    folder: Path,
    sheet: str,
    *,
    name: str = "a.xlsx",
    texts: str | None = None,
    styles: str | None = None,
    parts: dict[str, bytes | str] | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a workbook part by part: `sheet` is what stands within its worksheet."""
    links = f'<Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="worksheets/s.xml"/>'
    files: dict[str, bytes | str] = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="b" '
        f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/worksheets/s.xml": f'<worksheet xmlns="{MAIN}">{sheet}</worksheet>',
    }
    if texts is not None:
        links += f'<Relationship Id="r2" Type="{RELATIONS}/sharedStrings" Target="t.xml"/>'
        files["xl/t.xml"] = f'<sst xmlns="{MAIN}">{texts}</sst>'
    if styles is not None:
        links += f'<Relationship Id="r3" Type="{RELATIONS}/styles" Target="/xl/st.xml"/>'
        files["xl/st.xml"] = f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
    files["xl/_rels/workbook.xml.rels"] = (
        f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>'
    )
    files |= parts or {}
    path = folder / name
    with zipfile.ZipFile(path, "w", compression) as archive:
        for part, content in files.items():
            archive.writestr(part, content)
    return path


def cells(row: int, *values: str) -> str:
    """Return a row of texts and numbers, written out."""
    made = []
    for place, value in enumerate(values, 1):
        ref = f'r="{get_column_letter(place)}{row}"'
        if value.replace(".", "").isdecimal():
            made.append(f"<c {ref}><v>{value}</v></c>")
        else:
            made.append(f'<c {ref} t="inlineStr"><is><t>{value}</t></is></c>')
    return f'<row r="{row}">{"".join(made)}</row>'


def data(*rows: str) -> str:
    return f"<sheetData>{''.join(rows)}</sheetData>"


GOOD = data(cells(1, *HEADS), cells(2, "a", "120", "36"))


def test_the_workbook_made_by_hand_is_good(tmp_path: Path) -> None:
    batch = only(by_hand(tmp_path, GOOD))
    assert batch.columns == {"code": ["a"]}
    assert batch.geometry[0] == shapely.Point(120, 36)


# --- what is read ---------------------------------------------------------------------------


def test_every_kind_of_cell(tmp_path: Path) -> None:
    rich = CellRichText("避", TextBlock(InlineFont(b=True), "难"), "所")
    path = saved(
        tmp_path,
        ("统一编号*", "经度", "纬度", "名称", "人口", "面积", "值班", "备案日期", "调查时间", "注"),
        (
            "a",
            120.5,
            36.1,
            rich,
            12,
            1.5,
            True,
            date(2024, 3, 5),
            DAY.replace(hour=8, minute=30),
            1,
        ),
        (7, 120, 36, 13800000000.0, 12.0, 2, "否", DAY, "2024/3/5 8:30", 2.5),
        ("c", "120.5", "36°06′", None, None, None, None, None, None, time(8, 30)),
        ("d", 120, 36, " _x000D_x ", None, None, None, None, None, timedelta(hours=30)),
    )
    outcome = run(path)
    assert outcome.found == []
    a, b, c, d = outcome.records
    assert [r["code"] for r in outcome.records] == ["a", "7", "c", "d"]
    assert (a["name"], b["name"], c["name"], d["name"]) == ("避难所", "13800000000", None, "x")
    assert (a["population"], b["population"], a["area_m2"]) == (12, 12, 1.5)
    assert (a["on_duty"], b["on_duty"], c["on_duty"]) == (True, False, None)
    assert a["filed_on"] == b["filed_on"] == date(2024, 3, 5)
    assert a["surveyed_at"] == b["surveyed_at"]
    assert [r["attributes"] for r in outcome.records] == [
        '{"注":1}', '{"注":2.5}', '{"注":"08:30:00"}', '{"注":"1 day, 6:00:00"}',
    ]  # fmt: skip
    assert shapely.from_wkb(str(c["geom"])) == shapely.Point(120.5, 36.1)


def test_dates_by_format_and_epoch(tmp_path: Path) -> None:
    styles = (
        '<numFmts><numFmt numFmtId="180" '
        'formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/>'
        '<numFmt numFmtId="181" formatCode="0.00&quot;m&quot;"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="180"/><xf numFmtId="31"/>'
        '<xf numFmtId="181"/><xf numFmtId="22"/></cellXfs>'
    )
    row = "".join(f'<c s="{s}"><v>45356.354166666664</v></c>' for s in (0, 1, 2, 3, 4, 5, 99))
    sheet = data(
        cells(1, *HEADS, "s0", "s1", "s2", "s3", "s4", "s5", "s99"),
        f'<row r="2"><c t="str"><v>a</v></c><c><v>120</v></c><c><v>36</v></c>{row}</row>',
    )
    batch = only(by_hand(tmp_path, sheet, styles=styles))
    moment, number = "2024-03-05T08:30:00", 45356.354166666664
    assert [batch.columns[f"s{n}"] for n in (0, 1, 2, 3, 4, 5, 99)] == [
        [number], [moment], [moment], [moment], [number], [moment], [number],
    ]  # fmt: skip
    path = tmp_path / "mac.xlsx"
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.MAC_EPOCH
    assert book.active is not None
    book.active.append((*HEADS, "d"))
    book.active.append(("a", 120, 36, date(2024, 3, 5)))
    book.save(path)
    assert only(path).columns["d"] == ["2024-03-05"]


def test_a_serial_number_is_no_date(tmp_path: Path) -> None:
    path = saved(tmp_path, (*HEADS, "备案日期"), ("a", 120, 36, 45356), ("b", 120, 36, 20240305))
    outcome = run(path)
    assert outcome.found == [(1, "ingest.type.date", "filed_on")]
    assert outcome.records[0]["filed_on"] == date(2024, 3, 5)


def test_errors_formulas_without_a_value_and_lost_digits_are_problems_of_their_rows(
    tmp_path: Path,
) -> None:
    def row(number: int, cell: str) -> str:
        return cells(number, f"c{number}", "120", "36").replace("</row>", f"{cell}</row>")

    sheet = data(
        cells(1, *HEADS, "name"),
        row(2, '<c t="e"><f>A1/0</f><v>#DIV/0!</v></c>'),
        row(3, "<c><f>A1&amp;B1</f></c>"),
        row(4, '<c t="str"><f>A1</f><v>fine</v></c>'),
        row(5, "<c><v>1.1010119900307E+17</v></c>"),
        row(6, '<c t="s"><v>9</v></c>'),
        row(7, '<c t="str"><f>A1</f><v></v></c>'),
        row(8, '<c t="b"><v>1</v></c>'),
        row(9, "<c><v>much</v></c>"),
    )
    outcome = run(by_hand(tmp_path, sheet, texts="<si><t>x</t></si>"))
    assert outcome.found == [
        (1, "ingest.xlsx.error", "name"),
        (2, "ingest.xlsx.formula", "name"),
        (4, "ingest.xlsx.digits", "name"),
        (5, "ingest.xlsx.cell", "name"),
        (8, "ingest.xlsx.cell", "name"),
    ]
    values = [problem.value for problem in outcome.log.problems]
    assert values == ["#DIV/0!", "=A1&B1", "1.1010119900307E+17", "9", "much"]
    assert [r["name"] for r in outcome.records] == ["fine", None, "true"]


def test_a_bad_coordinate_cell_is_named_by_its_column(tmp_path: Path) -> None:
    sheet = data(
        cells(1, *HEADS),
        '<row r="2"><c t="str"><v>a</v></c><c t="e"><v>#N/A</v></c><c><v>36</v></c></row>',
        cells(3, "b", "120,5", "36"),
    )
    outcome = run(by_hand(tmp_path, sheet))
    assert (1, "ingest.xlsx.error", "lon") in outcome.found
    assert (2, "ingest.coordinate.comma", "lon") in outcome.found
    assert outcome.log.rejected == 2


def test_row_numbers_count_from_the_heading_and_empty_rows_keep_theirs(tmp_path: Path) -> None:
    sheet = data(
        '<row r="1"/>',
        cells(3, *HEADS),
        cells(4, "a", "120", "36"),
        '<row r="5" spans="1:3" hidden="1"><c r="A5" s="3"/><c r="B5"/></row>',
        cells(7, "b", "x", "36").replace("<row ", '<row hidden="1" '),
        cells(8, "c", "120", "36"),
    )
    batch = only(by_hand(tmp_path, sheet))
    assert list(batch.rows) == [1, 4, 5]  # hidden rows are rows
    assert [(p.row, p.key) for p in batch.problems] == [(4, "ingest.coordinate")]


def test_a_table_may_begin_right_of_the_first_column(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        (None, *HEADS),
        (None, "a", 120, 36),
        ("remark", "b", 120, 36),
        (None, "c", 120, 36, None, "x"),
    )
    outcome = run(path)
    assert outcome.found == [(2, "ingest.row.cells", None), (3, "ingest.row.cells", None)]
    assert "remark" in outcome.log.problems[0].text("zh")
    assert outcome.rows == [1]


def test_a_title_above_the_heading_and_merged_headings_are_said(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(("市南区避难场所一览表",))
    sheet.append(HEADS)
    sheet.merge_cells("A1:C1")
    book.save(tmp_path / "a.xlsx")
    error = refusal(lambda: source(tmp_path / "a.xlsx"))
    assert error.key == "ingest.xlsx.title" and "一览表" in error.text("en")
    sheet.delete_rows(1)
    sheet.merge_cells("B1:C1")
    book.save(tmp_path / "b.xlsx")
    error = refusal(lambda: source(tmp_path / "b.xlsx"))
    assert error.key in ("ingest.coordinates.none", "ingest.heading.empty")


def test_sheets_are_chosen_by_name_or_when_only_one_holds_anything(tmp_path: Path) -> None:
    rows = [HEADS, ("a", 120, 36)]
    one = saved(tmp_path, *rows, 空=[], **{read_xlsx.NOTES_SHEET: [("x", "y")]})
    assert only(one).columns == {"code": ["a"]}
    two = saved(tmp_path, *rows, name="two.xlsx", 另=[HEADS, ("b", 120, 36)])
    error = refusal(lambda: source(two))
    assert (error.key, error.parameter) == ("ingest.xlsx.sheets", "table")
    assert "数据, 另" in error.text("zh")
    assert only(two, table="另").columns == {"code": ["b"]}
    error = refusal(lambda: source(two, table="third"))
    assert error.key == "ingest.xlsx.sheet" and "数据, 另" in error.text("en")
    book = openpyxl.load_workbook(two)
    book["另"].sheet_state = "hidden"
    book.save(two)
    assert only(two).columns == {"code": ["a"]}
    assert only(two, table="另").columns == {"code": ["b"]}
    empty = saved(tmp_path, name="empty.xlsx")
    assert refusal(lambda: source(empty)).key in ("ingest.coordinates.none", "ingest.file.no_rows")


def test_rows_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_xlsx, "BATCH_ROWS", 4)
    path = saved(tmp_path, HEADS, *((f"c{n}", 120, 36) for n in range(9)))
    batches = list(source(path).batches())
    assert [list(batch.rows) for batch in batches] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert batches[-1].position[0] == batches[-1].position[1] > 0


def test_office_in_its_strict_form_and_with_prefixes(tmp_path: Path) -> None:
    strict = {
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/": "http://purl.oclc.org/ooxml/officeDocument/",
    }
    path = by_hand(tmp_path, GOOD)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    for old, new in strict.items():
        parts = {name: text.replace(old, new) for name, text in parts.items()}
    sheet = parts["xl/worksheets/s.xml"].replace("xmlns=", "xmlns:x=")
    for tag in ("worksheet", "sheetData", "row", "c", "v", "is", "t"):
        sheet = sheet.replace(f"<{tag} ", f"<x:{tag} ").replace(f"<{tag}>", f"<x:{tag}>")
        sheet = sheet.replace(f"</{tag}>", f"</x:{tag}>")
    parts["xl/worksheets/s.xml"] = sheet
    assert only(by_hand(tmp_path, "", parts=parts, name="s.xlsx")).columns == {"code": ["a"]}


def test_phonetic_guides_are_no_text(tmp_path: Path) -> None:
    texts = '<si><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh></si>'
    sheet = data(
        cells(1, *HEADS), '<row r="2"><c t="s"><v>0</v></c><c><v>120</v></c><c><v>36</v></c></row>'
    )
    assert only(by_hand(tmp_path, sheet, texts=texts)).columns == {"code": ["東京"]}


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.xlsm", "a.xls", "a.xlsb", "a.xltm", "A.XLS"])
def test_other_workbooks_are_told_to_be_saved_as_xlsx(tmp_path: Path, name: str) -> None:
    by_hand(tmp_path, GOOD, name=name)
    error = refusal(lambda: source(tmp_path / name))
    assert error.key == "ingest.xlsx.kind" and ".xlsx" in error.text("zh")


def test_macros_under_the_name_of_xlsx_are_refused(tmp_path: Path) -> None:
    path = by_hand(tmp_path, GOOD, parts={"xl/vbaProject.bin": b"\0"})
    assert refusal(lambda: source(path)).key == "ingest.xlsx.kind"


def test_encrypted_workbooks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096))
    assert refusal(lambda: source(path)).key == "ingest.xlsx.encrypted"
    whole = bytearray(by_hand(tmp_path, GOOD).read_bytes())
    at = whole.index(b"PK\x01\x02")
    whole[at + 8] |= 1  # the archive's own flag of encryption
    path.write_bytes(whole)
    assert refusal(lambda: source(path)).key == "ingest.xlsx.encrypted"


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 and nothing more", b"code,lon,lat\na,120,36\n", b"<html><table>"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    assert refusal(lambda: source(tmp_path / "a.xlsx")).key == "ingest.file.unreadable"


def test_a_damaged_workbook_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    rows = [(f"c{n}", 120 + n / 1e4, 36, f"名称{n}") for n in range(300)]
    path = saved(tmp_path, (*HEADS, "name"), *rows)
    whole = path.read_bytes()
    seen = set()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + b"\x55" * 8 + whole[at + 8 :])
        try:
            found = list(source(path).batches())
        except InputError as error:
            seen.add(error.key)
        else:
            assert sum(len(batch.rows) for batch in found) == 300
    assert "ingest.file.unreadable" in seen
    for at in range(0, len(whole), 401):
        path.write_bytes(whole[:at])
        keys = ("ingest.file.unreadable", "ingest.file.empty")
        assert refusal(lambda: list(source(path).batches())).key in keys


def test_too_large_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_hand(tmp_path, GOOD)
    monkeypatch.setattr(xlsx_package, "MOST_BYTES", 100)
    assert refusal(lambda: source(path)).key == "ingest.xlsx.size"
    monkeypatch.undo()
    monkeypatch.setattr(xlsx_package, "MOST_UNPACKED", 100)
    error = refusal(lambda: source(path))
    assert error.key == "ingest.xlsx.unpacked" and "MB" in error.text("zh")


def test_zip_bombs_are_refused_by_their_ratio_and_by_their_size(tmp_path: Path) -> None:
    blank = b" " * 11_000_000  # deflates 1000 : 1
    path = by_hand(tmp_path, GOOD, parts={"xl/media/x.xml": blank})
    error = refusal(lambda: source(path))
    assert error.key == "ingest.xlsx.bomb" and "xl/media/x.xml" in error.text("zh")
    path = tmp_path / "big.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(301):
            archive.writestr(f"{n}.xml", b" " * 1_000_000)
    assert refusal(lambda: source(path)).key == "ingest.xlsx.unpacked"


def test_sizes_that_lie_unpack_no_more_than_they_say(tmp_path: Path) -> None:
    big = data(cells(1, *HEADS), *(cells(n, f"c{n}", "120", "36") for n in range(2, 9000)))
    whole = bytearray(by_hand(tmp_path, big).read_bytes())
    at = whole.index(b"xl/worksheets/s.xml", whole.index(b"PK\x01\x02")) - 46
    assert whole[at : at + 4] == b"PK\x01\x02"
    whole[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path = tmp_path / "liar.xlsx"
    path.write_bytes(whole)
    assert refusal(lambda: list(source(path).batches())).key == "ingest.file.unreadable"


LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'


@pytest.mark.parametrize("doctype", [LAUGHS, OUTSIDE, "<!DOCTYPE a>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "part", ["xl/worksheets/s.xml", "xl/workbook.xml", "docProps/core.xml", "xl/unused.dat"]
)
def test_a_doctype_in_any_part_is_refused(
    tmp_path: Path, doctype: str, encoding: str, part: str
) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- x -->{doctype}<a/>'
    path = by_hand(tmp_path, GOOD, parts={part: text.encode(encoding)})
    error = refusal(lambda: source(path))
    assert error.key == "ingest.xlsx.doctype" and part in error.text("zh")


def test_a_doctype_behind_a_lying_prologue_is_still_not_read(tmp_path: Path) -> None:
    text = f"x{LAUGHS}<worksheet/>"
    path = by_hand(tmp_path, GOOD, parts={"xl/worksheets/s.xml": text})
    assert refusal(lambda: list(source(path).batches())).key == "ingest.file.unreadable"


def test_external_parts_are_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.xml"
    outside.write_text(f'<worksheet xmlns="{MAIN}">{GOOD}</worksheet>')
    for link in (
        f'TargetMode="External" Target="{outside.as_uri()}"',
        f'Target="{outside}"',
        'Target="../../../outside.xml"',
        'TargetMode="External" Target="http://127.0.0.1:9/sheet.xml"',
    ):
        rels = (
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" '
            f'Type="{RELATIONS}/worksheet" {link}/></Relationships>'
        )
        path = by_hand(tmp_path, GOOD, parts={"xl/_rels/workbook.xml.rels": rels})
        assert refusal(lambda path=path: source(path)).key == "ingest.file.no_rows"  # type: ignore[misc]


@pytest.mark.parametrize(
    "rows",
    [
        "".join(f'<row r="{n}" s="1" customFormat="1"/>' for n in range(3, 1_000_003)),
        "<row/>" * 1_000_000,
        '<row><c s="1"/><c s="1"/></row>' * 20_000,
        cells(1_048_576, "z", "120", "36"),
    ],
    ids=["a million formatted", "a million bare", "styled cells", "one far below"],
)
@pytest.mark.parametrize("before", [True, False])
def test_long_runs_of_empty_rows_are_refused(tmp_path: Path, rows: str, before: bool) -> None:
    first = cells(1, *HEADS) + cells(2, "a", "120", "36") if before else ""
    path = by_hand(tmp_path, data(first, rows), compression=zipfile.ZIP_DEFLATED)
    error = refusal(lambda: list(source(path).batches()))
    assert error.key == "ingest.xlsx.empty_rows"
    assert "10,000" in error.text("zh")
    assert error.values["first"] == (3 if before else 1)


def test_ten_thousand_empty_rows_are_still_a_table(tmp_path: Path) -> None:
    sheet = data(cells(1, *HEADS), cells(10_002, "a", "120", "36"), "<row/>" * 10_000)
    assert list(only(by_hand(tmp_path, sheet)).rows) == [10_001]
    sheet = data(cells(1, *HEADS), cells(10_003, "a", "120", "36"))
    path = by_hand(tmp_path, sheet, name="b.xlsx")
    assert refusal(lambda: list(source(path).batches())).key == "ingest.xlsx.empty_rows"


def test_an_absurd_dimension_costs_nothing(tmp_path: Path) -> None:
    sheet = '<dimension ref="A1:XFD1048576"/>' + GOOD
    assert only(by_hand(tmp_path, sheet)).columns == {"code": ["a"]}


@pytest.mark.parametrize(
    "row",
    [
        '<row r="1000000000000"><c><v>1</v></c></row>',
        '<row r="1"><c><v>1</v></c></row>',
        '<row r="-1"/>',
        '<row r="x"/>',
        '<row r="2"><c r="ZZZZZZ2"><v>1</v></c></row>',
        '<row r="2"><c r="XFE2"><v>1</v></c></row>',
        '<row r="2"><c r="2"><v>1</v></c></row>',
        '<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>1</v></c></row>',
        '<row r="2">' + "<c><v>1</v></c>" * 16_385 + "</row>",
    ],
)
def test_rows_and_columns_that_no_sheet_has_are_refused(tmp_path: Path, row: str) -> None:
    path = by_hand(tmp_path, data(cells(1, *HEADS), row))
    assert refusal(lambda: list(source(path).batches())).key == "ingest.file.unreadable"


def test_shared_texts_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_package, "MOST_TEXTS", 9)
    path = by_hand(tmp_path, GOOD, texts="<si><t>x</t></si>" * 9)
    assert only(path).columns == {"code": ["a"]}
    path = by_hand(tmp_path, GOOD, texts="<si/>" * 10)
    assert refusal(lambda: source(path)).key == "ingest.xlsx.texts"


def test_bad_styles_and_books_are_refused(tmp_path: Path) -> None:
    for styles in ("<numFmts><numFmt/></numFmts>", '<cellXfs><xf numFmtId="x"/></cellXfs>'):
        path = by_hand(tmp_path, GOOD, styles=styles)
        assert refusal(lambda path=path: source(path)).key == "ingest.file.unreadable"  # type: ignore[misc]
    for parts in (
        {"xl/workbook.xml": "<workbook"},
        {"_rels/.rels": "<Relationships/>"},
        {"xl/_rels/workbook.xml.rels": "no xml"},
    ):
        path = by_hand(tmp_path, GOOD, parts=dict(parts))
        assert refusal(lambda path=path: source(path)).key == "ingest.file.unreadable"  # type: ignore[misc]


def test_a_cell_of_many_columns_per_row_takes_bounded_memory(tmp_path: Path) -> None:
    # One cell in the last column of each row: a reader that pads rows would hold 800 million.
    rows = (f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(2, 50_002))
    path = by_hand(tmp_path, data(cells(1, *HEADS), *rows))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problems = sum(len(batch.problems) for batch in source(path).batches())
    assert problems == 50_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


# --- rejected rows --------------------------------------------------------------------------


def test_rejected_rows_keep_their_cells(tmp_path: Path) -> None:
    sheet = data(
        cells(1, *HEADS, "name", "备案日期", "n"),
        cells(2, "a", "120", "36"),
        '<row r="3"><c t="str"><v>b</v></c><c t="e"><v>#N/A</v></c><c><v>36.5</v></c>'
        '<c t="inlineStr"><is><t>=1+1</t></is></c><c s="1"><v>45356</v></c><c><f>A1</f></c></row>',
        cells(4, "c", "x", "36"),
        cells(5, "d", "120", "36"),
    )
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    path = by_hand(tmp_path, sheet, styles=styles)
    target = tmp_path / "rejected.xlsx"
    said = [(2, "坏 / bad"), (3, "=坏")]
    assert source(path).write_rejected(target, iter(said)) == 2
    written = openpyxl.load_workbook(target).worksheets[0]
    assert written.title == "S"
    rows = [[cell.value for cell in row] for row in written.iter_rows()]
    assert rows == [
        [*HEADS, "name", "备案日期", "n", "riskmap_row", "riskmap_reason"],
        ["b", "#N/A", 36.5, "=1+1", DAY, "=A1", 2, "坏 / bad"],
        ["c", "x", 36, None, None, None, 3, "'=坏"],
    ]
    kinds = {ref: written[ref].data_type for ref in ("B2", "C2", "D2", "E2", "F2", "H3")}
    assert kinds == {"B2": "e", "C2": "n", "D2": "s", "E2": "d", "F2": "s", "H3": "s"}


def test_the_mended_workbook_goes_in_and_can_be_rejected_again(tmp_path: Path) -> None:
    path = saved(tmp_path, (*HEADS, "名称"), ("a", "x", 36, "甲"), ("b", 120, 36, "乙"))
    first, second = tmp_path / "r1.xlsx", tmp_path / "r2.xlsx"
    assert source(path).write_rejected(first, iter([(1, "坏 / bad")])) == 1
    assert run(first).found == [(1, "ingest.coordinate", "lon")]
    assert source(first).write_rejected(second, iter([(1, "仍坏 / still bad")])) == 1
    book = openpyxl.load_workbook(second)
    sheet = book.worksheets[0]
    assert [c.value for c in sheet[1]] == [*HEADS, "名称", "riskmap_row", "riskmap_reason"]
    assert [c.value for c in sheet[2]] == ["a", "x", 36, "甲", 1, "仍坏 / still bad"]
    sheet["B2"] = 120
    book.save(second)
    mended = run(second)
    assert mended.found == []
    (record,) = mended.records
    assert record["name"] == "甲" and "attributes" not in record


def test_nothing_rejected_writes_no_file(tmp_path: Path) -> None:
    path = saved(tmp_path, HEADS, ("a", 120, 36))
    assert source(path).write_rejected(tmp_path / "r.xlsx", iter([])) == 0
    assert not (tmp_path / "r.xlsx").exists()


# --- against another reader -----------------------------------------------------------------


def test_a_real_table_is_read_as_openpyxl_reads_it(tmp_path: Path) -> None:
    with shared_data("porto-alegre/poa_hexgrid.csv").open(encoding="utf-8") as file:
        table = [[_typed(text) for text in row] for row in csv.reader(file)]
    path = saved(tmp_path, *table)
    batches = list(source(path).batches())
    sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
    heads, *rows = sheet.iter_rows(values_only=True)
    assert sum(len(batch.rows) for batch in batches) == len(rows) == len(table) - 1
    for name in batches[0].columns:
        ours = [cell for batch in batches for cell in batch.columns[name]]
        assert ours == [row[heads.index(name)] for row in rows]


def _typed(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


MEMORY = """
import resource, sys
from pathlib import Path
from riskmap.crs.input import read_crs
from riskmap.ingest.batches import ReadOptions
from riskmap.ingest.readers import read
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = read(Path(sys.argv[1]), ReadOptions(crs=read_crs("EPSG:4326")))
rows = sum(len(batch.rows) for batch in source.batches())
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    row = "".join(f'<c t="s"><v>{n % 3}</v></c>' for n in range(9))
    rows = "".join(
        f'<row><c t="str"><v>c{n}</v></c><c><v>120.5</v></c><c><v>36.5</v></c>{row}</row>'
        for n in range(60_000)
    )
    heads = cells(1, *HEADS, *(f"h{n}x" for n in range(9)))
    path = by_hand(tmp_path, data(heads, rows), texts="<si><t>文本</t></si>" * 3)
    answer = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    count, kilobytes = map(int, answer.stdout.split())
    assert count == 60_000
    assert kilobytes < 100_000  # all cells at once would be some 100 MB more
