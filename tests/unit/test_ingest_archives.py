"""KML and KMZ, sequences of GeoJSON, zip archives, and the rejected rows of these."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import shapely

from ingest_help import geojson, point
from maps_help import batches, column, packed, refused, source, write
from riskmap.ingest import kml as kml_module
from riskmap.ingest import read_geojson, read_geojsonseq, read_kml
from riskmap.ingest.limits import FileLimits

# As a phone and Google Earth write it: folders in folders, styles, a schema, 3D, a track.
KML = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">
<Document><name>我的地图</name>
<Style id="s"><IconStyle><Icon><href>http://127.0.0.1:9/icon.png</href></Icon></IconStyle></Style>
<Schema name="t" id="t"><SimpleField type="int" name="人数"/></Schema>
<Folder><name>避难所</name>
 <Placemark id="p1"><name>一号</name><styleUrl>#s</styleUrl>
  <description><![CDATA[<b>大门</b> & 东侧]]></description>
  <ExtendedData><Data name="编号"><displayName>号</displayName><value>A-1</value></Data>
   <SchemaData schemaUrl="#t"><SimpleData name="人数">120</SimpleData></SchemaData></ExtendedData>
  <LookAt><longitude>1</longitude><latitude>2</latitude></LookAt>
  <Point><altitudeMode>absolute</altitudeMode><coordinates>
   120.5,36.25,12.5 </coordinates></Point></Placemark>
 <Folder><name>室内</name>
  <Placemark><name>二号</name><TimeStamp><when>2024-05-01T08:00:00+08:00</when></TimeStamp>
   <Polygon><outerBoundaryIs><LinearRing><coordinates>0,0 4,0 4,4 0,0</coordinates></LinearRing>
   </outerBoundaryIs><innerBoundaryIs><LinearRing><coordinates>2,1 3,1 3,2 2,1</coordinates>
   </LinearRing></innerBoundaryIs></Polygon></Placemark>
 </Folder>
</Folder>
<Placemark><name>轨迹</name><gx:Track><when>2024-05-01T00:00:00Z</when>
 <gx:coord>1 2 3</gx:coord><gx:coord>4 5 6</gx:coord></gx:Track></Placemark>
<Placemark><name>多个</name><MultiGeometry><Point><coordinates>1, 2</coordinates></Point>
 <Point><coordinates>3,4</coordinates></Point></MultiGeometry></Placemark>
<Placemark><name>无</name></Placemark>
<Placemark><name>坏</name><Point><coordinates>东,2</coordinates></Point></Placemark>
<NetworkLink><Link><href>http://127.0.0.1:9/other.kml</href></Link></NetworkLink>
</Document></kml>
"""


def kml(folder: Path, text: str = KML, *, name: str = "a.kml", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_kml_of_a_phone(tmp_path: Path) -> None:
    (batch,) = batches(kml(tmp_path))
    assert batch.columns == {
        "folder": ["避难所", "避难所/室内", None, None, None, None],
        "name": ["一号", "二号", "轨迹", "多个", "无", "坏"],
        "description": ["<b>大门</b> & 东侧", *[None] * 5],
        "编号": ["A-1", *[None] * 5],
        "人数": ["120", *[None] * 5],
        "timestamp": [None, "2024-05-01T08:00:00+08:00", *[None] * 4],
    }
    assert list(batch.rows) == [1, 2, 3, 4, 5, 6]
    one, two, track, many, none, bad = batch.geometry
    assert shapely.to_wkt(one) == "POINT Z (120.5 36.25 12.5)"
    assert two.equals(shapely.from_wkt("POLYGON((0 0,4 0,4 4,0 0),(2 1,3 1,3 2,2 1))"))
    assert shapely.to_wkt(track) == "LINESTRING Z (1 2 3, 4 5 6)"
    assert shapely.to_wkt(many) == "MULTIPOINT ((1 2), (3 4))"
    assert none is None
    assert bad is None
    assert [(p.row, p.key, p.value) for p in batch.problems] == [
        (6, "ingest.geometry.unreadable", "东,2")
    ]


def test_kml_in_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kml(tmp_path)
    whole = batches(path)
    for size in (1, 7, 64):
        monkeypatch.setattr(kml_module, "_CHUNK", size)
        (batch,) = batches(path)
        assert batch.columns == whole[0].columns
    monkeypatch.setattr(read_kml, "BATCH_ROWS", 4)
    assert [list(batch.rows) for batch in batches(path)] == [[1, 2, 3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("declared", "inside", "stated"),
    [("GBK", "gb18030", None), ("gb2312", "gb18030", None), ("UTF-8", "gb18030", "gbk")],
)
def test_kml_in_other_encodings(
    tmp_path: Path, declared: str, inside: str, stated: str | None
) -> None:
    path = kml(tmp_path, KML.replace("UTF-8", declared), encoding=inside)
    assert column(batches(path, encoding=stated), "name")[0] == "一号"
    if stated is not None:
        assert refused(path).key == "ingest.file.unreadable"


def test_rejected_placemarks_of_utf_16(tmp_path: Path) -> None:
    path = kml(tmp_path, KML.replace("UTF-8", "UTF-16"), encoding="utf-16")
    assert column(batches(path), "name")[0] == "一号"
    assert source(path).write_rejected(tmp_path / "r.kml", reasons(1, 2)) == 2
    assert column(batches(tmp_path / "r.kml"), "name") == ["一号", "二号"]


def test_a_folder_of_a_kml_may_be_picked(tmp_path: Path) -> None:
    path = kml(tmp_path)
    assert column(batches(path, table="室内"), "name") == ["二号"]
    assert column(batches(path, table="避难所"), "name") == ["一号", "二号"]
    error = refused(path, table="室外")
    assert error.key == "ingest.table.unknown"
    assert "避难所, 室内" in error.text("zh")


def test_kml_is_on_wgs_84(tmp_path: Path) -> None:
    assert refused(kml(tmp_path), "EPSG:4528").key == "crs.differs"


def test_kml_over_its_size_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.kml"
    with path.open("wb") as file:
        file.write(b"<kml>")
        file.truncate(100_000_001)
    error = refused(path)
    assert error.key == "ingest.kml.large"
    assert "100 MB" in error.text("zh")
    assert refused(kml(tmp_path), limits=FileLimits(max_kml_bytes=1000)).key == "ingest.kml.large"
    monkeypatch.setattr(kml_module, "_CHUNK", 50)
    assert (
        refused(kml(tmp_path), limits=FileLimits(max_feature_bytes=100)).key
        == "ingest.feature.long"
    )


def test_kmz_is_its_doc_kml_or_its_first(tmp_path: Path) -> None:
    path = tmp_path / "a.kmz"
    for names, wanted in (
        (("files/a.png", "other.kml", "doc.kml"), "doc.kml"),
        (("b.kml", "a.kml"), "b.kml"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, KML.replace("一号", name))
        assert column(batches(path, workspace=tmp_path), "name")[0] == wanted
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"x")
    assert refused(path, workspace=tmp_path).key == "ingest.archive.empty"
    assert refused(path).key == "ingest.archive.workspace"


def reasons(*rows: int) -> Any:
    return iter([(row, f"第 {row} 行 <不对> & / row {row} is wrong") for row in rows])


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 18])
@pytest.mark.parametrize("prefix", ["", "k:"])
def test_rejected_placemarks_are_copied_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, chunk: int
) -> None:
    monkeypatch.setattr(kml_module, "_CHUNK", chunk)
    text = KML
    if prefix:
        text = re.sub(r"<(/?)([A-Za-z])(?![\w]*:)", rf"<\1{prefix}\2", text)
        text = text.replace('xmlns="', 'xmlns:k="')
    path = kml(tmp_path, text)
    whole = batches(path)[0]
    opened: Any = source(path)
    target = tmp_path / "r.kml"
    assert opened.write_rejected(target, reasons(1, 2, 3, 6)) == 4
    if not prefix:
        assert "<description><![CDATA[<b>大门</b> & 东侧]]></description>" in target.read_text()
    again: Any = source(target)
    (batch,) = again.batches()
    assert batch.columns["riskmap_row"] == ["1", "2", "3", "6"]
    assert batch.columns["riskmap_reason"][0] == "第 1 行 <不对> & / row 1 is wrong"
    for heading in ("folder", "name", "编号", "人数", "timestamp"):
        assert batch.columns[heading] == [whole.columns[heading][n] for n in (0, 1, 2, 5)]
    assert list(batch.geometry[:3]) == list(whole.geometry[:3])
    second = tmp_path / "s.kml"
    assert again.write_rejected(second, reasons(1, 4)) == 2
    assert second.read_text().count("riskmap_row") == 2
    assert column(batches(second), "编号") == ["A-1", None]


@pytest.mark.parametrize("stated", ["gb18030", "big5", "cp932"])
@pytest.mark.parametrize("ending", ["kml", "geojson", "geojsonl"])
def test_rejected_rows_are_in_the_encoding_that_was_stated(
    tmp_path: Path, ending: str, stated: str
) -> None:
    """Whoever imports the mended file states the same again."""
    feature = json.dumps(point("x", name="避難所"), ensure_ascii=False)
    text = {
        "kml": "<kml><Placemark><name>避難所</name></Placemark></kml>",
        "geojson": f'{{"type":"FeatureCollection","features":[{feature}]}}',
        "geojsonl": feature,
    }[ending]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(text.encode(stated))
    target = tmp_path / f"r.{ending}"
    assert source(path, encoding=stated).write_rejected(target, reasons(1)) == 1
    found = batches(target, encoding=stated)
    assert column(found, "name") == ["避難所"]
    assert str(column(found, "riskmap_reason")[0]).endswith("row 1 is wrong")


def test_rejected_placemarks_of_a_kmz_and_features_of_a_zip_are_packed(tmp_path: Path) -> None:
    for ending, name, text in (
        ("kmz", "doc.kml", KML),
        ("zip", "a.geojson", geojson(tmp_path, *(point(n) for n in "abc")).read_text()),
    ):
        path = tmp_path / f"a.{ending}"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, text)
        target = tmp_path / f"rejected.{ending}"
        assert source(path, workspace=tmp_path).write_rejected(target, reasons(1, 3)) == 2
        found = column(batches(target, workspace=tmp_path), "riskmap_row")
        assert [int(str(row)) for row in found] == [1, 3]


def sequence(folder: Path, *texts: str, separator: bool = False, name: str = "a.geojsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"\x1e{t}\n" if separator else f"{t}\n" for t in texts))
    return path


@pytest.mark.parametrize("separator", [False, True])
def test_sequences_of_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: bool
) -> None:
    texts = [json.dumps(point(f"编号{n}", big=2**60 + n)) for n in range(20)]
    texts[4] = texts[4][:-20]
    texts[9] = "[" * 100_000
    if separator:
        texts[2] = json.dumps(point("编号2", big=1), indent=2)
    path = sequence(tmp_path, *texts, "", separator=separator)
    for chunk in (1, 7, 1 << 20):
        monkeypatch.setattr(read_geojsonseq, "_CHUNK", chunk if chunk > 1 else 50)
        monkeypatch.setattr(read_geojsonseq, "BATCH_ROWS", 8)
        found = batches(path)
        assert [len(batch.rows) for batch in found] == [8, 8, 4]
        codes = column(found, "code")
        assert codes == [None if n in (4, 9) else f"编号{n}" for n in range(20)]
        assert column(found, "big")[19] == 2**60 + 19
        problems = [p for batch in found for p in batch.problems]
        assert [(p.row, p.key) for p in problems] == [(5, "ingest.feature"), (10, "ingest.feature")]


def test_bytes_that_are_no_text_are_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.geojsonl"
    lines = [json.dumps(point("避难"), ensure_ascii=False) for _ in range(2)]
    path.write_bytes(b"\n".join([lines[0].encode(), lines[1].encode("gb18030")]))
    (batch,) = batches(path)
    assert [(p.row, p.key) for p in batch.problems] == [(2, "ingest.feature")]
    path.write_bytes(lines[1].encode("gb18030"))
    assert column(batches(path, encoding="gb18030"), "code") == ["避难"]


def test_a_file_of_something_else_is_no_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("<kml/>", '{"type":"FeatureCollection","features":[]}', "a,b\n1,2"):
        path = sequence(tmp_path, text)
        assert refused(path).key == "ingest.geojsonseq.kind"
    path = sequence(tmp_path, json.dumps(point("a", note="x" * 5000)))
    monkeypatch.setattr(read_geojsonseq, "_CHUNK", 100)
    assert refused(path, limits=FileLimits(max_feature_bytes=1000)).key == "ingest.feature.long"


def test_a_sequence_written_by_gdal(tmp_path: Path) -> None:
    for rs in ("YES", "NO"):
        path = write(tmp_path / f"{rs}.geojsonl", {"n": [1, 2]}, RS=rs)
        assert column(batches(path), "n") == [1, 2]


ODD = (
    '{ "type":"Feature", "properties" : { "a": 1.10, "riskmap_row": 7 }, "geometry":null }',
    '{"type":"Feature","geometry":{"type":"Point","coordinates":[1e400,NaN]}}',
    '{"type":"Feature","properties":null,"geometry":null}',
    '{"type":"Feature","properties":[],"geometry":null}',
    "17",
    '{"properties":{},"big":123456789012345678901234567890}',
)
EXPECTED = (
    '{"type":"Feature","properties":{"a": 1.10,"riskmap_row": 1, "riskmap_reason": "R1"},'
    '"geometry":null}',
    '{"type":"Feature","geometry":{"type":"Point","coordinates":[1e400,NaN]},'
    '"properties":{"riskmap_row": 2, "riskmap_reason": "R2"}}',
    '{"type":"Feature","properties":{"riskmap_row": 3, "riskmap_reason": "R3"},"geometry":null}',
    '{"type":"Feature","properties":{"riskmap_text":'
    '"{\\"type\\":\\"Feature\\",\\"properties\\":[],\\"geometry\\":null}",'
    '"riskmap_row": 4, "riskmap_reason": "R4"},"geometry":null}',
    '{"type":"Feature","properties":{"riskmap_text":"17",'
    '"riskmap_row": 5, "riskmap_reason": "R5"},"geometry":null}',
    '{"properties":{"riskmap_row": 6, "riskmap_reason": "R6"},'
    '"big":123456789012345678901234567890}',
)


def test_rejected_features_are_copied_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = [(row, f"R{row}") for row in range(1, 7)]
    first = '{"type":"Feature","properties":{},"geometry":null}'
    crs = '{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}'
    path = tmp_path / "a.geojson"
    path.write_text(
        f'{{"type":"FeatureCollection","features":[{",".join((*ODD, first))}],"crs":{crs}}}'
    )
    target = tmp_path / "r.geojson"
    for chunk in (5, 1 << 20):
        monkeypatch.setattr(read_geojson, "_CHUNK", chunk)
        opened: Any = source(path)
        assert opened.write_rejected(target, iter(marks)) == 6
        lines = target.read_text().splitlines()
        assert [line.removesuffix(",") for line in lines[1:-1]] == list(EXPECTED)
        assert lines[-1] == f'],"crs":{crs}}}'
    assert batches(target)
    lined = sequence(tmp_path, *ODD, first)
    opened = source(lined)
    target = tmp_path / "r.geojsonl"
    assert opened.write_rejected(target, iter(marks)) == 6
    assert target.read_text().splitlines() == list(EXPECTED)
    assert batches(target)
    lined = sequence(tmp_path, *ODD, first, separator=True)
    opened = source(lined)
    assert opened.write_rejected(target, iter(marks[3:4])) == 1
    assert target.read_text() == f"\x1e{EXPECTED[3]}\n"


def shapefile(folder: Path, name: str = "a", n: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    return write(folder / f"{name}.shp", {"n": [n]})


def test_a_zipped_shapefile_among_other_things(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shapefile(folder, "避难所")
    for name in ("readme.txt", "避难所.shp.xml", "photo.jpg", "codes.csv", "避难所.sbn", "x.vrt"):
        (folder / name).write_text("x")
    path = packed(tmp_path / "a.zip", folder, prefix="交付/")
    workspace = tmp_path / "work"
    workspace.mkdir()
    assert column(batches(path, workspace=workspace), "n") == [1]
    names = sorted(p.name for p in workspace.rglob("*") if p.is_file())
    assert names == sorted(f"避难所.{e}" for e in ("cpg", "dbf", "prj", "shp", "shx"))
    assert column(batches(path, workspace=workspace, table="避难所"), "n") == [1]
    assert refused(path, workspace=workspace, table="x").key == "ingest.table.none"


@pytest.mark.parametrize("codec", ["gb18030", "utf-8"])
def test_names_without_the_flag_for_utf_8(tmp_path: Path, codec: str) -> None:
    """As Chinese Windows packs, and as some programs pack UTF-8 without saying so."""
    folder = tmp_path / "in"
    shapefile(folder)
    parts = sorted(folder.iterdir())
    raws = [f"避难所{part.suffix}".encode(codec) for part in parts]
    path = tmp_path / "a.zip"
    # zipfile itself would set the flag: it writes names of the same length, then ours go there,
    # first into the members' own heads, then into the list of them.
    with zipfile.ZipFile(path, "w") as archive:
        for number, (part, raw) in enumerate(zip(parts, raws, strict=True)):
            archive.writestr(str(number) * len(raw), part.read_bytes())
    content = path.read_bytes()
    for number, raw in enumerate(raws):
        content = content.replace(str(number).encode() * len(raw), raw)
    path.write_bytes(content)
    assert column(batches(path, workspace=tmp_path), "n") == [1]
    assert list(tmp_path.glob("unpacked-*/避难所.shp"))


def test_two_datasets_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shapefile(folder, "one", 1)
    shapefile(folder, "two", 2)
    path = packed(tmp_path / "a.zip", folder)
    error = refused(path, workspace=tmp_path)
    assert (error.key, error.parameter) == ("ingest.archive.several", "table")
    assert "one, two" in error.text("zh")
    assert column(batches(path, workspace=tmp_path, table="two"), "n") == [2]
    assert refused(path, workspace=tmp_path, table="six").key == "ingest.table.unknown"


def test_other_formats_in_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.gdb", {"n": [1]}, layer="one")
    write(folder / "a.gdb", {"n": [2]}, layer="two", append=True)
    (folder / "a.gdb" / "x.sr.lock").touch()
    path = packed(tmp_path / "gdb.zip", folder)
    assert refused(path, workspace=tmp_path).key == "ingest.table.several"
    assert column(batches(path, workspace=tmp_path, table="two"), "n") == [2]
    for name, content in (
        ("a.geojson", geojson(tmp_path, point("a")).read_bytes()),
        ("a.kml", KML.encode()),
        ("a.csv", b"code,lon,lat\na,120,36\n"),
    ):
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            archive.writestr(f"folder/{name}", content)
        assert batches(tmp_path / "b.zip", workspace=tmp_path)


def test_a_zip_needs_a_workspace(tmp_path: Path) -> None:
    shapefile(tmp_path / "in")
    path = packed(tmp_path / "a.zip", tmp_path / "in")
    assert refused(path).key == "ingest.archive.workspace"


def test_what_unpacks_to_more_than_the_limit(tmp_path: Path) -> None:
    shapefile(tmp_path / "in")
    path = packed(tmp_path / "a.zip", tmp_path / "in")
    error = refused(path, workspace=tmp_path, limits=FileLimits(max_unpacked_bytes=300))
    assert error.key == "ingest.archive.large"


def test_headers_that_claim_a_smaller_size_are_not_believed(tmp_path: Path) -> None:
    """The size in the headers is set to 10 bytes: what comes out is counted."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "code,lon,lat\n" + "a,120,36\n" * 10_000)
    data = bytearray(path.read_bytes())
    directory = data.rfind(b"PK\x01\x02")
    data[22:26] = data[directory + 24 : directory + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    error = refused(path, workspace=tmp_path, limits=FileLimits(max_unpacked_bytes=1000))
    assert error.key in ("ingest.archive.large", "ingest.file.unreadable")
