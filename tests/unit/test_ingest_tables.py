"""Tables of text: delimiters, encodings, coordinates, headings, values, rejected rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import shapely

from ingest_help import BOX, Outcome, run, table, trial_layer
from riskmap.crs.input import InputCrs, read_crs
from riskmap.errors import InputError
from riskmap.ingest import read_csv
from riskmap.ingest.batches import Batch, ReadOptions
from riskmap.ingest.coordinates import read_coordinate
from riskmap.ingest.mapping import FieldMapping, parse_mapping
from riskmap.ingest.readers import read
from riskmap.ingest.tables import guarded
from riskmap.ingest.values import BadValueError

WGS84 = read_crs("EPSG:4326")


def source(path: Path, crs: InputCrs = WGS84, **options: Any) -> Any:
    return read(path, ReadOptions(crs=crs, **options))


def only(path: Path, crs: InputCrs = WGS84, **options: Any) -> Batch:
    (batch,) = source(path, crs, **options).batches()
    return batch  # type: ignore[no-any-return]


def refusal(action: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.text("zh") and caught.value.text("en")
    return caught.value


# --- delimiters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "code,lon,lat\na,120,36\n"),
        ("a.csv", "code;lon;lat\na;120;36\n"),
        ("a.csv", "code\tlon\tlat\na\t120\t36\n"),
        ("a.txt", "code\tlon\tlat\na\t120\t36\n"),
        ("a.txt", "code,lon,lat\na,120,36\n"),
        ("a.tsv", "code\tlon\tlat\na\t120\t36\n"),
        ("A.TSV", "code\tlon\tlat\na\t120\t36\n"),
    ],
)
def test_the_heading_line_tells_the_delimiter(tmp_path: Path, name: str, text: str) -> None:
    batch = only(table(tmp_path, text, name=name))
    assert batch.columns == {"code": ["a"]}
    assert batch.geometry[0] == shapely.Point(120, 36)


def test_the_delimiter_that_gives_most_cells_counts_and_the_comma_wins_ties(tmp_path: Path) -> None:
    batch = only(table(tmp_path, 'lon,lat,"a;b"\n120,36,x;y\n'))
    assert batch.columns == {"a;b": ["x;y"]}
    # Two cells either way: with the comma they are `wkt;a` and `b`, and there is no column wkt.
    tie = table(tmp_path, "wkt;a,b\n", name="tie.csv")
    assert "wkt;a, b" in refusal(lambda: source(tie)).text("en")
    assert source(table(tmp_path, "wkt;a,b;c\n", name="most.csv")).headings == ("a,b", "c")
    # A tab-separated file keeps its commas: its ending says what it is.
    assert only(table(tmp_path, "lon\tlat\ta,b,c,d\n120\t36\tx\n", name="a.tsv")).columns == {
        "a,b,c,d": ["x"]
    }


def test_a_cell_may_hold_the_delimiter_a_quote_and_line_ends(tmp_path: Path) -> None:
    path = table(tmp_path, 'code;lon;lat;note\r\na;120;36;"x;""y""\r\nz"\r\n')
    assert only(path).columns["note"] == ['x;"y"\r\nz']


def test_a_nul_is_a_problem_of_its_row(tmp_path: Path) -> None:
    outcome = run(table(tmp_path, "code,lon,lat,name\na,120,36,x\0y\nb,120,36,z\n"))
    assert outcome.found == [(1, "ingest.characters", "name")]
    assert [record["code"] for record in outcome.records] == ["b"]


# --- encodings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("gb18030", None),
        ("utf-16", None),
        ("utf-16", "utf-16"),
        ("utf-8-sig", "UTF8"),
        ("gbk", "GB2312"),
        ("gb18030", "gbk"),
        ("big5", "Big5"),
        ("utf-16-le", "utf-16-le"),
    ],
)
def test_encodings_as_found_and_as_stated(
    tmp_path: Path, encoding: str, stated: str | None
) -> None:
    path = table(tmp_path, "名稱,經,lon,lat\r\n避難所,中,120,36\r\n", encoding=encoding)
    batch = only(path, encoding=stated)
    assert batch.columns == {"名稱": ["避難所"], "經": ["中"]}


def test_excels_unicode_text(tmp_path: Path) -> None:
    text = "名称\t经度\t纬度\r\n避难所\t120.5\t36.1\r\n"
    batch = only(table(tmp_path, text, encoding="utf-16", name="a.txt"))
    assert batch.columns == {"名称": ["避难所"]}
    assert batch.geometry[0] == shapely.Point(120.5, 36.1)


def test_japanese_bytes_have_to_be_stated(tmp_path: Path) -> None:
    path = table(tmp_path, "名称,lon,lat\n避難場所①,135,35\n", encoding="cp932")
    for stated in ("cp932", "Shift_JIS", "sjis"):
        assert only(path, encoding=stated).columns == {"名称": ["避難場所①"]}
    assert list(only(path).columns) != ["名称"]  # as GB 18030 it decodes, to something else


@pytest.mark.parametrize("stated", ["klingon", "base64", "idna", "unicode_escape", "rot13", " "])
def test_unknown_encodings_list_the_usual_ones(tmp_path: Path, stated: str) -> None:
    path = table(tmp_path, "code,lon,lat\na,120,36\n")
    error = refusal(lambda: source(path, encoding=stated))
    assert (error.key, error.parameter) == ("ingest.text.encoding", "encoding")
    assert "gb18030" in error.text("zh") and "cp932" in error.text("en")


def test_a_stated_encoding_that_does_not_decode_names_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    good = "code,lon,lat\n" + "a,120,36\n" * 40
    path.write_bytes(good.encode() + "避\n".encode("gb18030"))
    for chunk in (1 << 20, 16):
        monkeypatch.setattr("riskmap.ingest.text_encoding._CHUNK", chunk)
        error = refusal(lambda: source(path, encoding="utf-8"))
        assert (error.key, error.values["line"]) == ("ingest.text.line", 42)
    path.write_bytes(good.encode("utf-16") + b"\x00")
    assert refusal(lambda: source(path, encoding="utf-16")).values["line"] == 42


# --- coordinates ----------------------------------------------------------------------------

# The point 120.38 E, 36.07 N of Qingdao, in degrees and in EPSG:4549 (easting, northing).
DEGREES = (120.38, 36.07)
METRES = (534_231.97, 3_993_376.68)


@dataclass(frozen=True)
class NorthFirst:
    """What `axes="ne"` makes of a system: the first number of a position is the northing."""

    inner: InputCrs
    north_first: bool = True

    @property
    def name(self) -> str:
        return f"{self.inner.name} (north, east)"

    def to_wgs84(self, xy: Any) -> Any:
        return self.inner.to_wgs84(np.ascontiguousarray(xy[:, ::-1]))

    def is_same_as(self, declared: str) -> bool:
        return self.inner.is_same_as(declared)


def landed(path: Path, crs: InputCrs, **options: Any) -> list[tuple[float, float]]:
    """Return the positions of the file's rows that lie in the city box."""
    found = crs.to_wgs84(shapely.get_coordinates(only(path, crs, **options).geometry))
    west, south, east, north = BOX
    return [(x, y) for x, y in found.tolist() if west <= x <= east and south <= y <= north]


NAMED = [
    "lon,lat", "LON,Lat", "lng,lat", "longitude,latitude", "Longitude,Latitude",
    "经度,纬度", "经度(°),纬度（度）", "经度*,纬度*",
]  # fmt: skip
NAMED_METRES = ["easting,northing", "东坐标,北坐标", "横坐标,纵坐标", "东坐标(m),北坐标（米）"]


@pytest.mark.parametrize("axes", ["en", "ne"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("pair", NAMED + NAMED_METRES)
def test_names_that_say_which_is_which_land_right_whatever_axes_says(
    tmp_path: Path, pair: str, turned: bool, axes: str
) -> None:
    metres = pair in NAMED_METRES
    inner = read_crs("EPSG:4549" if metres else "EPSG:4326")
    crs: InputCrs = NorthFirst(inner) if axes == "ne" else inner
    heads, cells = pair.split(","), [str(n) for n in (METRES if metres else DEGREES)]
    if turned:
        heads, cells = heads[::-1], cells[::-1]
    path = table(tmp_path, f"code,{','.join(heads)}\na,{','.join(cells)}\n")
    (position,) = landed(path, crs)
    assert position == pytest.approx(DEGREES, abs=2e-3)


@pytest.mark.parametrize("heads", ["x,y", "X,Y", "X坐标,Y坐标"])
@pytest.mark.parametrize("first", ["east", "north"])
@pytest.mark.parametrize("axes", ["en", "ne"])
def test_plain_x_and_y_mean_what_axes_says(
    tmp_path: Path, heads: str, first: str, axes: str
) -> None:
    inner = read_crs("EPSG:4549")
    crs: InputCrs = NorthFirst(inner) if axes == "ne" else inner
    numbers = METRES if first == "east" else METRES[::-1]
    path = table(tmp_path, f"code,{heads}\na,{numbers[0]},{numbers[1]}\n")
    found = landed(path, crs)
    if (first == "east") == (axes == "en"):
        assert found == [pytest.approx(DEGREES, abs=2e-3)]
    else:
        assert found == []
    if axes == "en" and first == "north":
        assert run(path, crs="EPSG:4549").found == [(1, "ingest.outside.swapped", "geometry")]


@pytest.mark.parametrize("axes", ["en", "ne"])
@pytest.mark.parametrize(
    ("told", "lands"),
    [
        ({"easting": "E", "northing": "N"}, {"en", "ne"}),
        ({"lon": "E", "lat": "N"}, {"en", "ne"}),
        ({"x": "E", "y": "N"}, {"en"}),
        ({"x": "N", "y": "E"}, {"ne"}),
    ],
)
def test_a_mapping_says_which_is_which_or_leaves_it_to_axes(
    tmp_path: Path, told: dict[str, str], lands: set[str], axes: str
) -> None:
    inner = read_crs("EPSG:4549")
    crs: InputCrs = NorthFirst(inner) if axes == "ne" else inner
    path = table(tmp_path, f"code,N,E\na,{METRES[1]},{METRES[0]}\n")
    found = landed(path, crs, mapping=FieldMapping(fields=told))
    assert found == ([pytest.approx(DEGREES, abs=2e-3)] if axes in lands else [])


def test_the_trap_of_swapped_labels_is_named_row_by_row(tmp_path: Path) -> None:
    # 纬度 under lon and 经度 under lat, as a widely copied list of fields has it.
    path = table(tmp_path, "code,lon,lat\na,36.07,120.38\nb,120.38,36.07\n")
    outcome = run(path)
    assert outcome.found == [(1, "ingest.outside.swapped", "geometry")]
    assert "看来两个坐标写反了" in outcome.log.problems[0].text("zh")
    assert outcome.rows == [2]


def test_wkt_under_its_chinese_heading(tmp_path: Path) -> None:
    batch = only(table(tmp_path, "code,几何WKT\na,POINT (120 36)\n"))
    assert batch.geometry[0] == shapely.Point(120, 36)


@pytest.mark.parametrize("heads", ["经度,纬度,东坐标,北坐标", "x,y,横坐标,纵坐标", "lon,lng,lat"])
def test_two_sets_of_coordinates_need_a_word(tmp_path: Path, heads: str) -> None:
    error = refusal(lambda: source(table(tmp_path, f"code,{heads}\n")))
    assert error.key == "ingest.coordinates.many"


@pytest.mark.parametrize(
    ("text", "axis", "degrees"),
    [
        ("120°22'57.1\"E", "EW", 120 + 22 / 60 + 57.1 / 3600),
        ("36°04′", "NS", 36 + 4 / 60),
        ("36°", "NS", 36.0),
        ("36°04′30″N", "NS", 36 + 4.5 / 60),
        ("N36°04′30″", "NS", 36 + 4.5 / 60),
        ("120度22分57.1秒", "EW", 120 + 22 / 60 + 57.1 / 3600),
        ("东经120°22′", "EW", 120 + 22 / 60),
        ("36°4.5'S", "NS", -(36 + 4.5 / 60)),
        ("-51°13'48\"", "EW", -(51 + 13 / 60 + 48 / 3600)),
        ("51° 13' 48'' w", "EW", -(51 + 13 / 60 + 48 / 3600)),
        ("120.3826°", "EW", 120.3826),
        ("１２０．５", "EW", 120.5),
        (" 1.2e2 ", "EW", 120.0),
    ],
)
def test_degrees_and_numbers(text: str, axis: str, degrees: float) -> None:
    assert read_coordinate(text, axis) == pytest.approx(degrees, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("120,38", "ingest.coordinate.comma"),
        ("120，38", "ingest.coordinate.comma"),
        ("120.38,36.07", "ingest.coordinate.comma"),
        ("120 22 57", "ingest.coordinate"),
        ("120:22:57", "ingest.coordinate"),
        ("120°60'", "ingest.coordinate"),
        ("120°22'60\"", "ingest.coordinate"),
        ("120.5°22'", "ingest.coordinate"),
        ("120°22.5'10\"", "ingest.coordinate"),
        ("E120°22'E", "ingest.coordinate"),
        ("-120°W", "ingest.coordinate"),
        ("36°04′N", "ingest.coordinate.side"),
        ("北纬36°", "ingest.coordinate.side"),
        ("nan", "ingest.coordinate"),
        ("1_2", "ingest.coordinate"),
        ("12²", "ingest.coordinate"),
        ("", "ingest.coordinate"),
    ],
)
def test_coordinates_that_leave_a_doubt(text: str, key: str) -> None:
    with pytest.raises(BadValueError) as caught:
        read_coordinate(text, "EW")
    assert caught.value.key == key


def test_coordinates_are_refused_by_number(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        'code;lon;lat\na;120,38;36,07\nb;120;36\nc;;\nd;120°;36°04′N\ne;120;"120°E"\nf;1-2;36\n',
    )
    outcome = run(path)
    assert outcome.found == [
        (1, "ingest.coordinate.comma", "lon"),
        (1, "ingest.coordinate.comma", "lat"),
        (3, "ingest.geometry.null", "geometry"),
        (5, "ingest.coordinate.side", "lat"),
        (6, "ingest.coordinate", "lon"),
    ]
    assert outcome.rows == [2, 4]
    assert all(problem.text("zh") and problem.text("en") for problem in outcome.log.problems)


def test_the_fast_way_and_the_slow_way_give_the_same_points(tmp_path: Path) -> None:
    cells = [(f"{120 + n / 977:.7f}", f"{36 - n / 1013:.7f}") for n in range(500)]
    cells += [("-51.23", "-30.0")]
    lines = "".join(f"c{n},{x},{y}\n" for n, (x, y) in enumerate(cells))
    fast = only(table(tmp_path, f"code,lon,lat\n{lines}"))
    slow = only(table(tmp_path, f"code,lon,lat\n{lines}z,+1e2,1e1\n", name="b.csv"))
    assert fast.problems == slow.problems == ()
    assert list(fast.geometry) == list(slow.geometry[:-1])
    assert [(p.x, p.y) for p in fast.geometry] == [(float(x), float(y)) for x, y in cells]


# --- headings and values --------------------------------------------------------------------


@pytest.mark.parametrize(
    "heading",
    [
        "area_m2", "AREA_M2", "面积", " 面积 ", "面积*", "*面积", "面积(m²)", "面积（m²）",
        "面积（㎡）", "面积 (m2)", "面积(平方米)", "面积(m²)*", "Area (m²)", "area_m2(m2)",
    ],
)  # fmt: skip
def test_headings_as_templates_and_people_write_them(tmp_path: Path, heading: str) -> None:
    layer = trial_layer()
    fields = tuple(replace(f, unit="m²") if f.name == "area_m2" else f for f in layer.own_fields)
    path = table(tmp_path, f"code,lon,lat,{heading}\na,120,36,12.5\n")
    outcome = run(path, replace(layer, own_fields=fields))
    assert outcome.found == []
    assert outcome.records[0]["area_m2"] == 12.5


@pytest.mark.parametrize("heading", ["面积(亩)", "面积(2024年)", "总面积", "名称(英)"])
def test_another_unit_is_another_column(tmp_path: Path, heading: str) -> None:
    outcome = run(table(tmp_path, f"code,lon,lat,{heading}\na,120,36,12.5\n"))
    assert "area_m2" not in outcome.records[0]
    assert json.loads(str(outcome.records[0]["attributes"])) == {heading: "12.5"}


def test_values_by_label_in_any_width(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "code,lon,lat,风险等级,人口,值班,专长,备案日期,调查时间\n"
        "a,120,36,重大,１２,√,消防；水上,2024年3月5日,2024/3/5 8:30\n"
        "b,120,36,２,－0,×,Fire|水上,20240305,2024-03-05\n"
        "c,120,36,Ｍａｊｏｒ,1２.0,是,,,\n",
    )
    outcome = run(path)
    assert outcome.found == []
    rows = outcome.records
    assert [r["risk_level"] for r in rows] == [1, 2, 1]
    assert [r["population"] for r in rows] == [12, 0, 12]
    assert [r["on_duty"] for r in rows] == [True, False, True]
    assert rows[0]["skills"] == rows[1]["skills"] == ["fire", "water"]
    assert rows[0]["filed_on"] == rows[1]["filed_on"]
    assert rows[0]["surveyed_at"] == datetime(2024, 3, 5, 8, 30, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize("text", ["1,234", "1，234", "1 234", "1'234", "1.234,5", "12,5"])
@pytest.mark.parametrize("field", ["population", "area_m2"])
def test_separators_are_refused_with_a_reason(tmp_path: Path, text: str, field: str) -> None:
    outcome = run(table(tmp_path, f'code,lon,lat,{field}\na,120,36,"{text}"\n'))
    assert outcome.found == [(1, "ingest.type.separated", field)]
    assert text in outcome.log.problems[0].text("zh")


# --- rejected rows --------------------------------------------------------------------------


def rejected(path: Path, target: Path, rows: list[tuple[int, str]], **options: Any) -> int:
    return source(path, **options).write_rejected(target, iter(rows))  # type: ignore[no-any-return]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "mark", "encoding"),
    [
        ("a.csv", ",", "utf-8-sig"),
        ("a.csv", ";", "gb18030"),
        ("a.tsv", "\t", "utf-8-sig"),
        ("a.txt", "\t", "utf-16"),
    ],
)
def test_rejected_rows_are_copied_as_they_stand(
    tmp_path: Path, name: str, mark: str, encoding: str, ending: str
) -> None:
    lines = [
        mark.join(("code", "lon", "lat", "备注")),
        mark.join(("a", "120", "36", '"引""号"')),
        "",
        mark.join(("b", "x", "36", "=1+1")),
        mark.join(('"c"', "120", "y", '"two\nlines"')),
        mark.join(("d", "120", "36", "好")),
        mark.join(("e", "120")),
    ]
    path = table(tmp_path, ending.join(lines), name=name, encoding=encoding)
    target = tmp_path / f"rejected{path.suffix}"
    said = [(3, "坏坐标 / bad, coordinate"), (4, "=cmd"), (6, '引"号')]
    assert rejected(path, target, said) == 3
    text = target.read_bytes().decode(encoding)
    quoted = '"坏坐标 / bad, coordinate"' if mark == "," else "坏坐标 / bad, coordinate"
    assert text == ending.join(
        [
            lines[0] + f"{mark}riskmap_row{mark}riskmap_reason",
            lines[3] + f"{mark}3{mark}{quoted}",
            lines[4] + f"{mark}4{mark}'=cmd",
            lines[6] + f'{mark}{mark}{mark}6{mark}"引""号"',
            "",
        ]
    )


def test_the_mended_file_goes_in_and_can_be_rejected_again(tmp_path: Path) -> None:
    path = table(tmp_path, "code,lon,lat,名称\na,x,36,甲\nb,120,36,乙\n")
    first, second = tmp_path / "r1.csv", tmp_path / "r2.csv"
    assert rejected(path, first, [(1, "坏 / bad")]) == 1
    outcome = run(first)
    assert outcome.found == [(1, "ingest.coordinate", "lon")]
    assert rejected(first, second, [(1, "仍坏 / still bad")]) == 1
    rows = list(csv.reader(io.StringIO(second.read_text(encoding="utf-8-sig"))))
    assert rows == [
        ["code", "lon", "lat", "名称", "riskmap_row", "riskmap_reason"],
        ["a", "x", "36", "甲", "1", "仍坏 / still bad"],
    ]
    second.write_text(second.read_text(encoding="utf-8").replace(",x,", ",120,"), encoding="utf-8")
    mended: Outcome = run(second)
    assert mended.found == []
    (record,) = mended.records
    assert (record["code"], record["name"]) == ("a", "甲")
    assert "attributes" not in record  # the two added columns are no data


def test_rejected_rows_of_another_encoding_than_their_reasons(tmp_path: Path) -> None:
    path = table(tmp_path, "名称,lon,lat\n避難場所①,135,35\n", encoding="cp932")
    target = tmp_path / "r.csv"
    assert rejected(path, target, [(1, "坐标 / bad")], encoding="cp932") == 1
    assert target.read_bytes().decode("cp932").splitlines()[1].startswith("避難場所①,135,35,1,")


def test_nothing_rejected_writes_no_file(tmp_path: Path) -> None:
    path = table(tmp_path, "code,lon,lat\na,120,36\n")
    assert rejected(path, tmp_path / "r.csv", []) == 0
    assert not (tmp_path / "r.csv").exists()


def test_reasons_are_drawn_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_csv, "BATCH_ROWS", 3)
    path = table(tmp_path, "code,lon,lat\n" + "".join(f"c{n},120,36\n" for n in range(1, 30)))

    def some() -> Iterator[tuple[int, str]]:
        for number in (1, 7, 29, 40):
            yield number, "x"

    assert source(path).write_rejected(tmp_path / "r.csv", some()) == 3
    rows = list(csv.reader((tmp_path / "r.csv").open(encoding="utf-8-sig")))[1:]
    assert [row[0] for row in rows] == ["c1", "c7", "c29"]
    assert [row[3] for row in rows] == ["1", "7", "29"]


@pytest.mark.parametrize("reason", ["=a", "+a", "-a", "@a", "\ta"])
def test_reasons_never_look_like_formulas(reason: str) -> None:
    assert guarded(reason) == f"'{reason}"
    assert guarded(f"列 {reason}") == f"列 {reason}"


# --- the mapping as the API has it ----------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        {"fields": {"code": "编号"}, "constants": {"status": "active"}},
        b'\xef\xbb\xbf{"fields": {"code": "\xe7\xbc\x96\xe5\x8f\xb7"}, '
        b'"constants": {"status": "active"}}',
        '{"fields": {"code": "编号"}, "constants": {"status": "active"}}',
    ],
)
def test_a_mapping_comes_as_json_or_decoded(content: Any) -> None:
    mapping = parse_mapping(content)
    assert mapping == FieldMapping(fields={"code": "编号"}, constants={"status": "active"})


@pytest.mark.parametrize(
    ("content", "key", "named"),
    [
        (b"{", "ingest.mapping.file", "mapping"),
        (b"\xff", "ingest.mapping.file", "mapping"),
        ("\ud800", "ingest.mapping.file", "mapping"),
        (b"[]", "ingest.mapping.file", "fields"),
        ({"filds": {}}, "ingest.mapping.part", "filds"),
        ({"fields": {"code": 1}}, "ingest.mapping.file", "fields"),
        ({"values": {"status": "x"}}, "ingest.mapping.file", "values"),
    ],
)
def test_a_mapping_that_is_none_says_which_part(content: Any, key: str, named: str) -> None:
    error = refusal(lambda: parse_mapping(content))
    assert (error.key, error.parameter) == (key, "mapping")
    assert named in error.text("zh")
