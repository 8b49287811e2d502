"""Shapefile, GeoPackage, FlatGeobuf, File Geodatabase: rows, types, texts, CRS, rejected rows."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely

from maps_help import DRIVERS, batches, column, options, packed, refused, source, write
from riskmap.ingest import check_gpkg, read_flatgeobuf, read_gdal, read_shapefile
from riskmap.ingest.gdal import DRIVERS as ALLOWED
from riskmap.ingest.gdal import gdal_environment
from riskmap.ingest.text_encoding import USUAL

GDAL_ENDINGS = ("shp", "gpkg", "fgb", "gdb")

# As ArcGIS writes .prj: no authority, names of its own.
CGCS = (
    'GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",'
    'SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]]'
)
ESRI = {
    "EPSG:4490": CGCS,
    "EPSG:4528": (
        f'PROJCS["CGCS2000_3_Degree_GK_Zone_40",{CGCS},PROJECTION["Gauss_Kruger"],'
        'PARAMETER["False_Easting",40500000.0],PARAMETER["False_Northing",0.0],'
        'PARAMETER["Central_Meridian",120.0],PARAMETER["Scale_Factor",1.0],'
        'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
    ),
    "EPSG:4549": (
        f'PROJCS["CGCS2000_3_Degree_GK_CM_120E",{CGCS},PROJECTION["Gauss_Kruger"],'
        'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],'
        'PARAMETER["Central_Meridian",120.0],PARAMETER["Scale_Factor",1.0],'
        'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
    ),
    "EPSG:4326": (
        'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
        'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
    ),
}


def small_batches(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    for module in (check_gpkg, read_flatgeobuf, read_gdal, read_shapefile):
        monkeypatch.setattr(module, "BATCH_ROWS", rows)


@pytest.mark.parametrize("ending", GDAL_ENDINGS)
def test_rows_in_the_order_of_the_file_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = write(
        tmp_path / f"a.{ending}",
        {"name": [f"避难所{n}" for n in range(25)], "n": np.arange(25, dtype=np.int32)},
        encoding="UTF-8" if ending == "shp" else None,
        **({"spatial_index": "NO"} if ending == "fgb" else {}),
    )
    small_batches(monkeypatch, 10)
    found = batches(path)
    assert [list(batch.rows) for batch in found] == [
        list(range(1, 11)),
        list(range(11, 21)),
        list(range(21, 26)),
    ]
    assert column(found, "name") == [f"避难所{n}" for n in range(25)]
    assert column(found, "n") == list(range(25))
    assert all(type(n) is int for n in column(found, "n"))
    assert found[2].geometry[4] == shapely.Point(120.024, 36)
    assert found[2].position == (25, 25)


def test_the_pages_of_a_flatgeobuf_are_larger_than_its_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.fgb", {"n": np.arange(95)}, spatial_index="NO")
    small_batches(monkeypatch, 10)
    calls: list[Any] = []
    original = pyogrio.raw.read

    def counted(*args: Any, **named: Any) -> Any:
        calls.append(named.get("skip_features"))
        return original(*args, **named)

    monkeypatch.setattr(pyogrio.raw, "read", counted)
    assert column(batches(path), "n") == list(range(95))
    assert calls == [0]
    monkeypatch.setattr(read_flatgeobuf, "_PAGE_BYTES", path.stat().st_size // 3)
    calls.clear()
    assert column(batches(path), "n") == list(range(95))
    assert calls == [0, 30, 60, 90]


@pytest.mark.parametrize("ending", GDAL_ENDINGS)
def test_null_geometries_integers_with_nulls_and_dates(tmp_path: Path, ending: str) -> None:
    days = np.array(["2024-01-02", "NaT", "2024-01-04"], dtype="datetime64[D]")
    path = write(
        tmp_path / f"a.{ending}",
        {"n": np.array([7, 0, 9], dtype=np.int32), "day": days, "x": [0.5, np.nan, 2.0]},
        [shapely.Point(120, 36), None, shapely.Point(121, 36)],
        masks={"n": np.array([False, True, False])},
        **({"spatial_index": "NO"} if ending == "fgb" else {}),
    )
    (batch,) = batches(path)
    assert batch.columns["n"] == [7, None, 9]
    assert [type(value) for value in batch.columns["n"]] == [int, type(None), int]
    assert [value and str(value)[:10] for value in batch.columns["day"]] == [
        "2024-01-02",
        None,
        "2024-01-04",
    ]
    assert batch.geometry[1] is None
    assert batch.geometry[2] == shapely.Point(121, 36)


def test_json_columns_come_as_what_they_hold(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpkg", {"l": ['["消防", "水上"]', None, "{"], "t": ["[1]"] * 3})
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL,"
            " name TEXT, title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT,"
            " PRIMARY KEY (table_name, column_name));"
            "INSERT INTO gpkg_data_columns VALUES"
            " ('a', 'l', NULL, NULL, NULL, 'application/json', NULL);"
            "INSERT INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema',"
            " 'http://www.geopackage.org/spec121/#extension_schema', 'read-write');"
        )
    (batch,) = batches(path)
    assert batch.columns["l"] == [["消防", "水上"], None, "{"]
    assert batch.columns["t"] == ["[1]"] * 3


def test_deleted_records_of_a_shapefile_are_no_rows_and_no_row_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.shp", {"n": np.arange(25, dtype=np.int32)}, encoding="UTF-8")
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    header, size = struct.unpack_from("<HH", dbf, 8)
    for deleted in (3, 4, 5, 12, 24):
        dbf[header + deleted * size] = ord("*")
    (tmp_path / "a.dbf").write_bytes(dbf)
    small_batches(monkeypatch, 10)
    found = batches(path)
    assert column(found, "n") == [n for n in range(25) if n not in (3, 4, 5, 12, 24)]
    assert [row for batch in found for row in batch.rows] == list(range(1, 21))


# What the .cpg says, what the texts are in, what is stated, what must come of it.
@pytest.mark.parametrize(
    ("cpg", "inside", "stated", "good"),
    [
        ("UTF-8", "utf-8", None, True),
        ("GBK", "gb18030", None, True),
        ("936", "gb18030", None, True),
        ("ANSI 936", "gb18030", None, True),
        ("SHIFT_JIS", "cp932", None, True),
        (None, "utf-8", None, True),
        (None, "gb18030", None, True),
        (None, "cp932", "cp932", True),
        (None, "big5", "BIG5", True),
        (None, "gb18030", "GBK", True),
        # Stated wins over the .cpg: the caller has seen the texts wrong.
        ("UTF-8", "gb18030", "gb18030", True),
        ("UTF-8", "gb18030", None, False),
        ("GBK", "utf-8", "utf-8-sig", True),
    ],
)
def test_encodings_of_a_shapefile(
    tmp_path: Path, cpg: str | None, inside: str, stated: str | None, good: bool
) -> None:
    words = ["避難所甲", "b", "避難所"]
    raw = [word.encode(inside).decode("latin-1") for word in words]
    path = write(tmp_path / "a.shp", {"t": raw}, encoding="ISO-8859-1")
    (tmp_path / "a.cpg").unlink()
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    dbf[29] = 0x57
    (tmp_path / "a.dbf").write_bytes(dbf)
    if cpg is not None:
        (tmp_path / "a.cpg").write_text(cpg)
    (batch,) = batches(path, encoding=stated)
    if good:
        assert batch.columns["t"] == words
        assert not batch.problems
    else:
        assert [(p.row, p.key, p.field) for p in batch.problems] == [
            (1, "ingest.text", "t"),
            (3, "ingest.text", "t"),
        ]
        assert "�" not in batch.problems[0].text("zh")


def test_the_dbf_itself_may_say_its_encoding(tmp_path: Path) -> None:
    raw = "避难".encode("gb18030").decode("latin-1")
    path = write(tmp_path / "a.shp", {"t": [raw]}, encoding="ISO-8859-1")
    (tmp_path / "a.cpg").unlink()
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    for ldid, text in ((0x4D, "避难"), (0x13, None)):
        dbf[29] = ldid
        (tmp_path / "a.dbf").write_bytes(dbf)
        (batch,) = batches(path)
        assert (batch.columns["t"] == ["避难"]) is (text is not None)


def test_unknown_encodings_name_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", {"t": ["a"]}, encoding="UTF-8")
    error = refused(path, encoding="klingon")
    assert (error.key, error.parameter) == ("ingest.text.encoding", "encoding")
    assert all(name in error.text("zh") for name in USUAL)
    assert refused(path, encoding="base64").key == "ingest.text.encoding"
    (tmp_path / "a.cpg").write_text("KLINGON")
    assert refused(path).key == "ingest.encoding.cpg"


def test_headings_that_a_program_cut_within_a_character(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", {"避难场": ["a"]}, encoding="UTF-8")
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    dbf[32:43] = "避难场所".encode()[:10] + b"\0"
    (tmp_path / "a.dbf").write_bytes(dbf)
    assert list(batches(path)[0].columns) == ["避难场"]
    dbf[32:43] = b"\xff\xfea".ljust(11, b"\0")
    (tmp_path / "a.dbf").write_bytes(dbf)
    assert refused(path).key == "ingest.encoding.heading"


@pytest.mark.parametrize("code", list(ESRI))
def test_a_prj_as_arcgis_writes_it_agrees_with_its_code_only(tmp_path: Path, code: str) -> None:
    path = write(tmp_path / "a.shp", {"n": [1]}, crs=None)
    (tmp_path / "a.prj").write_text(ESRI[code])
    for stated in ESRI:
        if stated == code:
            assert batches(path, stated)
        else:
            error = refused(path, stated)
            assert error.key == "crs.differs"
            assert stated in error.text("zh")


def test_a_shapefile_without_prj_takes_what_is_stated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", {"n": [1]}, crs=None)
    assert not (tmp_path / "a.prj").exists()
    assert batches(path, "EPSG:4528")
    (tmp_path / "a.prj").write_text("nonsense")
    assert refused(path).key == "crs.differs"


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "gdb"])
def test_the_declared_crs_must_agree(tmp_path: Path, ending: str) -> None:
    path = write(
        tmp_path / f"a.{ending}", {"n": [1]}, [shapely.Point(40.5e6, 4e6)], crs="EPSG:4528"
    )
    assert batches(path, "EPSG:4528")
    for stated in ("EPSG:4326", "EPSG:4549"):
        error = refused(path, stated)
        assert error.key == "crs.differs"
        assert stated in error.text("en")


@pytest.mark.parametrize("missing", [".shp", ".shx", ".dbf"])
def test_missing_parts_are_named(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    path = write(folder / "a.shp", {"n": [1]})
    path.with_suffix(missing).unlink()
    archive = packed(tmp_path / "a.zip", folder)
    error = refused(archive, workspace=tmp_path)
    assert error.key == "ingest.shapefile.parts"
    assert missing in error.text("zh")
    if missing != ".shp":
        assert refused(path).key == "ingest.shapefile.parts"


def test_parts_of_two_shapefiles_do_not_belong_together(tmp_path: Path) -> None:
    write(tmp_path / "a.shp", {"n": [1, 2]})
    write(tmp_path / "b.shp", {"n": [1, 2, 3]})
    shutil.copy(tmp_path / "b.dbf", tmp_path / "a.dbf")
    assert refused(tmp_path / "a.shp").key == "ingest.shapefile.rows"


def test_a_shapefile_with_endings_in_capitals(tmp_path: Path) -> None:
    write(tmp_path / "a.shp", {"n": [1, 2]})
    for path in tmp_path.iterdir():
        path.rename(path.with_suffix(path.suffix.upper()))
    assert column(batches(tmp_path / "a.SHP"), "n") == [1, 2]


def test_a_folder_is_its_one_shapefile_or_the_named_one(tmp_path: Path) -> None:
    folder = tmp_path / "避难所"
    folder.mkdir()
    assert refused(folder).key == "ingest.archive.empty"
    write(folder / "one.shp", {"n": [1]})
    assert column(batches(folder), "n") == [1]
    write(folder / "two.shp", {"n": [2]})
    error = refused(folder)
    assert error.key == "ingest.archive.several"
    assert "one.shp, two.shp" in error.text("zh")
    assert column(batches(folder, table="two"), "n") == [2]
    assert column(batches(folder, table="one.shp"), "n") == [1]


def test_tables_of_a_geodatabase(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gdb", {"n": [1]}, layer="one")
    write(path, {"n": [2]}, layer="two", append=True)
    error = refused(path)
    assert (error.key, error.parameter) == ("ingest.table.several", "table")
    assert column(batches(path, table="two"), "n") == [2]
    assert refused(path, table="three").key == "ingest.table.unknown"
    (path / "edit.sr.lock").touch()
    assert batches(path, table="one")
    (path / "a.vrt").write_text("<OGRVRTDataSource/>")
    error = refused(path, table="one")
    assert error.key == "ingest.gdb.member"
    assert "a.vrt" in error.text("zh")


def test_a_path_that_pyogrio_would_cut_is_refused(tmp_path: Path) -> None:
    for name in ("a!b.fgb", "a;b.fgb"):
        path = write(tmp_path / "a.fgb", {"n": [1]})
        path.rename(tmp_path / name)
        assert refused(tmp_path / name).key == "ingest.file.name"
    for name in ("a#b.fgb", "a?b.fgb", "a b%20.fgb", "避难所（一）.fgb"):
        write(tmp_path / "a.fgb", {"n": [1]}).rename(tmp_path / name)
        assert batches(tmp_path / name)


def reasons(*rows: int) -> Any:
    return iter([(row, f"第 {row} 行不对 / row {row} is wrong") for row in rows])


@pytest.mark.parametrize("ending", GDAL_ENDINGS)
def test_rejected_rows_go_into_the_same_format_and_can_be_imported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    count = 25
    days = np.full(count, "2024-01-02", dtype="datetime64[D]")
    path = write(
        tmp_path / f"a.{ending}",
        {
            "名称": [f"避难所{n}" for n in range(count)],
            "n": np.arange(count, dtype=np.int32),
            "day": days,
        },
        [None if n == 3 else shapely.Point(40.5e6 + n, 4e6) for n in range(count)],
        masks={"n": np.arange(count) == 11},
        crs="EPSG:4528",
        encoding="UTF-8" if ending == "shp" else None,
        **({"spatial_index": "NO"} if ending == "fgb" else {}),
    )
    small_batches(monkeypatch, 10)
    opened = source(path, "EPSG:4528")
    target = tmp_path / f"rejected.{ending}"
    assert opened.write_rejected(target, reasons(2, 4, 12, 25)) == 4
    again = source(target, "EPSG:4528", workspace=tmp_path)
    (batch,) = again.batches()
    expected = [1, 3, 11, 24]
    assert batch.columns["riskmap_row"] == [2, 4, 12, 25]
    assert batch.columns["riskmap_reason"][0] == "第 2 行不对 / row 2 is wrong"
    assert batch.columns["名称"] == [f"避难所{n}" for n in expected]
    assert batch.columns["n"] == [1, 3, None, 24]
    assert str(batch.columns["day"][0]).startswith("2024-01-02")
    assert batch.geometry[1] is None
    assert batch.geometry[3] == shapely.Point(40.5e6 + 24, 4e6)
    # Rejected once more: the two columns are replaced, not doubled.
    second = tmp_path / f"second.{ending}"
    assert again.write_rejected(second, reasons(1)) == 1
    (batch,) = batches(second, "EPSG:4528", workspace=tmp_path)
    assert set(batch.columns) == {"名称", "n", "day", "riskmap_row", "riskmap_reason"}
    assert batch.columns["riskmap_row"] == [1]


def test_rejected_rows_of_a_shapefile_keep_long_and_broken_texts(tmp_path: Path) -> None:
    long = "避" * 127
    raw = [text.encode("gb18030").decode("latin-1") for text in (long, "b")]
    raw[1] = "a\xff"
    path = write(tmp_path / "a.shp", {"t": raw}, encoding="ISO-8859-1")
    (tmp_path / "a.cpg").write_text("GBK")
    opened = source(path)
    target = tmp_path / "r.shp"
    assert opened.write_rejected(target, reasons(1, 2)) == 2
    (batch,) = batches(target, workspace=tmp_path)
    assert batch.columns["t"] == [long, "a\\xff"]


@pytest.mark.parametrize(
    "stated", ["utf-8", "gb18030", "gbk", "cp936", "cp932", "shift_jis", "big5"]
)
def test_rejected_rows_are_in_the_encoding_that_was_stated(tmp_path: Path, stated: str) -> None:
    """Whoever imports the mended file states the same again."""
    raw = "避難所".encode(stated).decode("latin-1")
    path = write(tmp_path / "a.shp", {"t": [raw]}, encoding="ISO-8859-1")
    opened = source(path, encoding=stated)
    target = tmp_path / "r.shp"
    assert opened.write_rejected(target, reasons(1)) == 1
    (batch,) = batches(target, encoding=stated)
    assert batch.columns["t"] == ["避難所"]
    assert str(batch.columns["riskmap_reason"][0]).endswith("row 1 is wrong")
    (batch,) = batches(target)
    assert batch.columns["t"] == ["避難所"]


def test_no_rejected_rows_no_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", {"n": [1]})
    assert source(path).write_rejected(tmp_path / "r.shp", iter(())) == 0
    assert not (tmp_path / "r.shp").exists()


@pytest.mark.parametrize("ending", ["shp", "gdb"])
@pytest.mark.parametrize("from_folder", [True, False])
def test_rejected_rows_of_what_came_packed_are_packed(
    tmp_path: Path, ending: str, from_folder: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / f"a.{ending}", {"n": np.arange(3, dtype=np.int32)})
    path = folder if from_folder else packed(tmp_path / "a.zip", folder)
    target = tmp_path / "rejected.zip"
    assert source(path, workspace=tmp_path).write_rejected(target, reasons(2)) == 1
    assert [p.name for p in tmp_path.glob("rejected*")] == [target.name]
    (batch,) = batches(target, workspace=tmp_path)
    assert batch.columns["n"] == [1]
    assert batch.columns["riskmap_row"] == [2]
    assert source(path, workspace=tmp_path).write_rejected(tmp_path / "none.zip", iter(())) == 0
    assert not list(tmp_path.glob("none*"))


# Before pyogrio is imported, and after: only what is allowed is left.
@pytest.mark.parametrize("early", [True, False])
def test_a_confined_process_has_only_the_allowed_drivers(tmp_path: Path, early: bool) -> None:
    vrt = tmp_path / "a.vrt"
    write(tmp_path / "b.gpkg", {"n": [1]})
    vrt.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="b"><SrcDataSource>{tmp_path}/b.gpkg'
        "</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    assert pyogrio.read_info(vrt)["driver"] == "OGR_VRT"
    code = (
        "import pyogrio, sys\n"
        + ("" if early else "from riskmap.ingest.gdal import confine_gdal; confine_gdal()\n")
        + "print(sorted(pyogrio.list_drivers()))\n"
        "print(pyogrio.read_info(sys.argv[2])['features'])\n"
        "try: pyogrio.read_info(sys.argv[1])\n"
        "except pyogrio.errors.DataSourceError: print('refused')\n"
    )
    environment = {**os.environ, **(gdal_environment() if early else {})}
    out = subprocess.run(
        [sys.executable, "-c", code, str(vrt), str(tmp_path / "b.gpkg")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.splitlines() == [str(sorted(ALLOWED)), "1", "refused"]


def test_every_gdal_reader_has_an_allowed_driver() -> None:
    assert {DRIVERS[ending] for ending in GDAL_ENDINGS} == ALLOWED
    assert options().limits.max_kml_bytes == 100_000_000
