"""Files made to harm: each is refused with its reason, without a connection, in bounded memory."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from ingest_help import geojson, point, run, trial_layer
from maps_help import batches, column, packed, refused, source, write
from riskmap.catalog.spec import Geometry
from riskmap.ingest.gdal import gdal_environment
from riskmap.ingest.readers import READERS

ENDINGS = sorted(set(READERS) - {".gdb"})


@contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine and whoever connected to it."""
    seen: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                connection.close()
                seen.append(address)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], seen
        finally:
            stop.set()
            thread.join()


# What GDAL would open by its content, whatever its name. {port} is one that must stay silent.
SCRIPTS = {
    "vrt": '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/http://127.0.0.1:{port}/'
    "a.geojson</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
    "gdalg": '{{"type":"gdal_streamed_alg","command_line":'
    '"gdal vector read /vsicurl/http://127.0.0.1:{port}/a.geojson"}}',
    "wfs": "<OGRWFSDataSource><URL>http://127.0.0.1:{port}/wfs</URL></OGRWFSDataSource>",
    "url": "http://127.0.0.1:{port}/a.geojson",
    "esri": '{{"href":"http://127.0.0.1:{port}/a","links":[]}}',
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_gdal_would_open_by_content_is_refused_under_every_ending(
    tmp_path: Path, ending: str, script: str
) -> None:
    write(tmp_path / "a.shp", {"n": [1]})
    path = tmp_path / f"a{ending}"
    with listening() as (port, seen):
        path.write_text(SCRIPTS[script].format(port=port))
        error = refused(path, workspace=tmp_path)
        assert error.parameter == "file"
        assert not seen
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(path, f"x{ending}")
        archive.write(path, "x.vrt")
    assert refused(tmp_path / "b.zip", workspace=tmp_path)


@pytest.mark.parametrize("part", [".dbf", ".shx"])
def test_a_script_as_a_part_of_a_shapefile(tmp_path: Path, part: str) -> None:
    path = write(tmp_path / "a.shp", {"n": [1]})
    path.with_suffix(part).write_text(SCRIPTS["vrt"])
    assert refused(path).parameter == "file"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
KML = (
    '<?xml version="1.0"?>{head}<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
    "<Placemark><name>{name}</name><Point><coordinates>120,36</coordinates></Point></Placemark>"
    "</Document></kml>"
)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (f'<!DOCTYPE kml [<!ENTITY l0 "ha">{LAUGHS}]>', "&l9;"),
        ('<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ('<!DOCTYPE kml [<!ENTITY x SYSTEM "http://127.0.0.1:{port}/">]>', "&x;"),
        ('<!DOCTYPE kml SYSTEM "http://127.0.0.1:{port}/a.dtd">', "a"),
        ('<!DOCTYPE kml [<!ENTITY % x SYSTEM "http://127.0.0.1:{port}/">%x;]>', "a"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("ending", ["kml", "kmz"])
def test_kml_with_a_doctype_is_refused(
    tmp_path: Path, head: str, name: str, encoding: str, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    with listening() as (port, seen):
        text = KML.format(head=head.replace("{port}", str(port)), name=name).encode(encoding)
        if ending == "kmz":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("doc.kml", text)
        else:
            path.write_bytes(text)
        assert refused(path, workspace=tmp_path).key == "ingest.kml.doctype"
        assert not seen


def test_what_a_kml_links_to_is_never_fetched(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    with listening() as (port, seen):
        link = f"http://127.0.0.1:{port}/a"
        elements = (
            f"<NetworkLink><Link><href>{link}.kml</href></Link></NetworkLink>"
            f"<Style><IconStyle><Icon><href>{link}.png</href></Icon></IconStyle></Style>"
            f"<GroundOverlay><Icon><href>{link}.jpg</href></Icon></GroundOverlay>"
        )
        mark = f"<Placemark><name>a</name><styleUrl>{link}#s</styleUrl></Placemark>"
        path.write_text(f"<kml><Document>{elements}{mark}</Document></kml>")
        assert column(batches(path), "name") == ["a"]
        path.write_text(f"<kml><Document>{elements}</Document></kml>")
        assert refused(path).key == "ingest.kml.link"
        assert not seen


@pytest.mark.parametrize(
    "text",
    [
        "<kml><Document>" + "<Folder>" * 100_000,
        "<kml><Document></kml>",
        "<gml/>",
        "<kml><Document><Placemark><name>a",
        "<kml>&undefined;</kml>",
        "<kml>\x00</kml>",
    ],
)
def test_damaged_kml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.kml"
    path.write_text(text)
    assert refused(path).key == "ingest.file.unreadable"


def archive_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, compress_type=zipfile.ZIP_DEFLATED)
    return path


def test_a_zip_bomb_is_stopped_while_it_is_written(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.zip", ("a.csv", b"\0" * 50_000_000))
    assert path.stat().st_size < 60_000
    error = refused(path, workspace=tmp_path)
    assert error.key == "ingest.archive.ratio"
    assert sum(p.stat().st_size for p in tmp_path.glob("unpacked-*/*")) <= 11 << 20


@pytest.mark.parametrize(
    "name", ["../a.csv", "/etc/a.csv", "x/../../a.csv", "..\\a.csv", "C:\\a.csv", "\\a.csv"]
)
def test_names_that_lead_out_of_a_zip(tmp_path: Path, name: str) -> None:
    path = archive_of(tmp_path / "a.zip", ("a.csv", b"code,lon,lat\n"), (name, b"code,lon,lat\n"))
    workspace = tmp_path / "x" / "work"
    workspace.mkdir(parents=True)
    assert refused(path, workspace=workspace).key == "ingest.archive.path"
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_in_a_zip(tmp_path: Path, mode: int) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.external_attr = (mode | 0o777) << 16
    path = archive_of(tmp_path / "a.zip", (link, b"/etc/passwd"))
    assert refused(path, workspace=tmp_path).key == "ingest.archive.link"


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.zip", ("a.csv", b"code,lon,lat\n"))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1
    path.write_bytes(data)
    assert refused(path, workspace=tmp_path).key == "ingest.archive.encrypted"


def test_zips_within_zips_are_not_opened(tmp_path: Path) -> None:
    inner = archive_of(tmp_path / "inner.zip", ("a.csv", b"code,lon,lat\na,120,36\n"))
    path = archive_of(tmp_path / "a.zip", ("inner.zip", inner.read_bytes()))
    error = refused(path, workspace=tmp_path)
    assert error.key == "ingest.archive.nested"
    assert "inner.zip" in error.text("zh")


def test_an_archive_of_too_many_entries(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.zip", *((f"{n}.txt", b"") for n in range(10_001)))
    assert refused(path, workspace=tmp_path).key == "ingest.archive.members"
    path = archive_of(tmp_path / "b.zip", *((f"{n}{'x' * 9000}.txt", b"") for n in range(500)))
    assert refused(path, workspace=tmp_path).key == "ingest.archive.members"


def test_other_methods_and_members_that_are_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", b"code,lon,lat\n")
    assert refused(path, workspace=tmp_path).key == "ingest.archive.method"
    folder = tmp_path / "in"
    folder.mkdir()
    shapefile = write(folder / "a.shp", {"n": [1]})
    with zipfile.ZipFile(path, "w") as archive:
        for part in folder.iterdir():
            archive.write(part, part.name)
        archive.write(shapefile, "a.SHP")
    assert refused(path, workspace=tmp_path).key == "ingest.archive.twice"


def gpkg(folder: Path, *statements: str) -> Path:
    path = write(folder / "a.gpkg", {"n": [1, 2]})
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TRIGGER gone AFTER INSERT ON a BEGIN DELETE FROM a; END", "gone"),
        (
            "CREATE TRIGGER rtree_a_geom_insert9 AFTER UPDATE ON a"
            " BEGIN SELECT load_extension('/tmp/x.so'); END",
            "rtree_a_geom_insert9",
        ),
        ("CREATE VIEW v AS SELECT load_extension('x')", "v"),
        ("CREATE VIEW v AS SELECT 1 AS attach", "v"),
        ("CREATE VIRTUAL TABLE f USING fts5(t)", "f"),
    ],
)
def test_code_in_a_geopackage(tmp_path: Path, statement: str, name: str) -> None:
    error = refused(gpkg(tmp_path, statement))
    assert error.key == "ingest.gpkg.code"
    assert name in error.text("zh")


def test_a_view_is_no_layer(tmp_path: Path) -> None:
    path = gpkg(
        tmp_path,
        "CREATE VIEW v AS SELECT * FROM a",
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
        " VALUES ('v', 'features', 'v', 4326)",
        "INSERT INTO gpkg_geometry_columns VALUES ('v', 'geom', 'POINT', 4326, 0, 0)",
    )
    assert refused(path, table="v").key == "ingest.gpkg.view"
    assert column(batches(path, table="a"), "n") == [1, 2]


def test_a_geopackage_that_is_still_open_elsewhere(tmp_path: Path) -> None:
    path = gpkg(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE more (n)")
        database.commit()
        assert refused(path).key == "ingest.gpkg.open"
    assert batches(path)


def test_ordinary_geopackages_are_not_refused_and_not_changed(tmp_path: Path) -> None:
    """With index, count triggers, styles, metadata, a raster's triggers and a second table."""
    path = write(tmp_path / "a.gpkg", {"n": [1, 2]}, layer="one")
    write(path, {"n": [3]}, layer='two\'s "table"', append=True, dataset_metadata={"a": "b"})
    with closing(sqlite3.connect(path)) as database:
        kinds = {kind for (kind,) in database.execute("SELECT DISTINCT type FROM sqlite_master")}
        assert "trigger" in kinds
        database.execute("CREATE TABLE layer_styles (id INTEGER PRIMARY KEY, styleQML TEXT)")
        database.execute(
            "CREATE TRIGGER layer_styles_zoom_insert BEFORE INSERT ON layer_styles"
            " BEGIN SELECT RAISE(ABORT, 'x') WHERE 0; END"
        )
        database.commit()
    before = path.read_bytes()
    files = sorted(tmp_path.iterdir())
    assert column(batches(path, table="one"), "n") == [1, 2]
    assert column(batches(path, table='two\'s "table"'), "n") == [3]
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == files


def test_a_count_that_a_geopackage_keeps_wrongly_loses_no_row(tmp_path: Path) -> None:
    path = gpkg(tmp_path, "UPDATE gpkg_ogr_contents SET feature_count = 1")
    assert column(batches(path), "n") == [1, 2]


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"GP",
        b"GP\0\1" + struct.pack("<i", 4326) + b"\1\2",
        # A line that claims 2^32 - 1 vertices; a point of NaN and infinity.
        b"GP\0\1" + struct.pack("<i", 4326) + struct.pack("<BII", 1, 2, 0xFFFFFFFF),
        b"GP\0\1" + struct.pack("<i", 4326) + struct.pack("<BIdd", 1, 1, np.nan, np.inf),
    ],
)
def test_geometries_of_a_geopackage_that_are_none(tmp_path: Path, blob: bytes) -> None:
    path = write(tmp_path / "a.gpkg", {"code": ["a", "b"]}, spatial_index="NO")
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE a SET geom = ? WHERE fid = 1", (blob,))
        database.commit()
    outcome = run(path)
    assert [row for row, _, _ in outcome.found] == [1]
    assert outcome.rows == [2]


def test_a_dbf_that_claims_a_thousand_million_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.shp", {"n": [1]})
    dbf = bytearray((tmp_path / "a.dbf").read_bytes())
    dbf[4:8] = struct.pack("<I", 10**9)
    (tmp_path / "a.dbf").write_bytes(dbf)
    error = refused(path)
    assert error.key == "ingest.file.short"
    assert "a.dbf" in error.text("zh")


def test_a_shape_that_claims_more_vertices_than_there_are(tmp_path: Path) -> None:
    line = shapely.LineString([(120, 36), (121, 37)])
    path = write(tmp_path / "a.shp", {"code": ["a", "b"]}, [line, line], kind="LineString")
    shp = bytearray(path.read_bytes())
    # Within the first record: type, box, number of parts, then of points.
    shp[108 + 4 + 32 + 4 : 108 + 4 + 32 + 8] = struct.pack("<i", 2**31 - 1)
    path.write_bytes(shp)
    (batch,) = batches(path)
    assert batch.columns["code"] == ["a", "b"]
    outcome = run(path, trial_layer(Geometry.LINE))
    assert [row for row, _, _ in outcome.found] == [1]
    assert outcome.rows == [2]
    assert batch.geometry[0] is None
    assert batch.geometry[1] == line


def test_a_flatgeobuf_that_claims_a_million_million_features(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fgb", {"n": np.arange(12345)}, spatial_index="NO")
    data = path.read_bytes()
    at = data.find(struct.pack("<Q", 12345))
    assert 0 < at < 1000
    path.write_bytes(data[:at] + struct.pack("<Q", 10**12) + data[at + 8 :])
    assert refused(path).key == "ingest.file.short"
    # A claim that the size does not disprove is disproved by reading.
    path.write_bytes(data[:at] + struct.pack("<Q", 12346) + data[at + 8 :])
    assert refused(path).key in ("ingest.file.short", "ingest.file.unreadable")


def test_deep_json_and_numbers_that_are_none(tmp_path: Path) -> None:
    for text in (
        '{"type":"FeatureCollection","features":[' + "[" * 500_000,
        '{"type":"FeatureCollection","features":[' + '{"a":' * 500_000,
    ):
        path = tmp_path / "a.geojson"
        path.write_text(text)
        assert refused(path).key == "ingest.file.unreadable"
    path = tmp_path / "a.geojsonl"
    path.write_text("\n".join(['{"a":' * 200_000, json.dumps(point("b"))]))
    (batch,) = batches(path)
    assert [(p.row, p.key) for p in batch.problems] == [(1, "ingest.feature")]
    texts = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 400)
    features = [json.dumps(point(f"c{n}", "@")) for n in range(len(texts))]
    lines = [f.replace('"@"', text) for f, text in zip(features, texts, strict=True)]
    path.write_text("\n".join(lines))
    assert [row for row, _, _ in run(path).found] == [1, 2, 3, 4, 5]


# Reads the files that are named, one process for all: a crash of the interpreter is its exit code.
PROBE = textwrap.dedent("""
    import resource, sys
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    import tempfile
    from pathlib import Path
    from riskmap.crs.input import read_crs
    from riskmap.errors import InputError
    from riskmap.ingest.batches import ReadOptions
    from riskmap.ingest.gdal import confine_gdal
    from riskmap.ingest.readers import read
    confine_gdal()
    for name in sys.stdin.read().splitlines():
        print(name, end="\\t", flush=True)
        with tempfile.TemporaryDirectory() as workspace:
            options = ReadOptions(crs=read_crs("EPSG:4326"), workspace=Path(workspace))
            try:
                batches = list(read(Path(name), options).batches())
            except InputError as error:
                print("refused", error.key)
            else:
                rows = sum(len(b.rows) for b in batches)
                print("read", rows, sum(len(b.problems) for b in batches))
""")


def probe(paths: list[Path]) -> dict[str, list[str]]:
    """Read files in a confined child, as an import does; name -> what became of each."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        env={**os.environ, **gdal_environment()},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == len(paths)
    return {Path(name).name: outcome.split() for name, outcome in lines}


COUNT = 300


def whole(folder: Path, ending: str) -> Path:
    """A good file of each kind, with lines, texts and numbers."""
    columns = {"code": [f"编号{n}" for n in range(COUNT)], "n": np.arange(COUNT, dtype=np.int32)}
    lines = [
        shapely.LineString([(120, 36 + n / COUNT), (121, 37), (121, 36)]) for n in range(COUNT)
    ]
    if ending in ("shp", "gpkg", "fgb", "gdb", "kml", "geojsonl"):
        extra: dict[str, Any] = {"encoding": "UTF-8"} if ending == "shp" else {}
        return write(folder / f"a.{ending}", columns, lines, kind="LineString", **extra)
    if ending == "geojson":
        return geojson(folder, *(point(f"编号{n}") for n in range(COUNT)))
    inner = whole(folder, {"kmz": "kml", "zip": "shp"}[ending])
    names = {p.name for p in folder.iterdir() if p.stem == inner.stem}
    return packed(folder / f"a.{ending}", folder, names)


def broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same cut at several lengths and with bytes changed here and there."""
    size = len(data)
    for cut in (1, 7, 50, 101, size // 4, size // 2, size - size // 8, size - 9):
        yield f"cut{cut}", data[:cut]
    random = np.random.default_rng(5)
    for number in range(12):
        changed = bytearray(data)
        for at in random.integers(0, min(size, 400 if number % 2 else size), 8):
            changed[at] = random.integers(256)
        yield f"changed{number}", bytes(changed)


@pytest.mark.parametrize("ending", ["geojson", "geojsonl", "kml", "kmz", "zip", "gpkg", "fgb"])
def test_cut_and_changed_files_are_refused_or_read_whole(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    path = whole(folder, ending)
    files = [path]
    for name, data in broken(path.read_bytes()):
        files.append(tmp_path / f"{name}.{ending}")
        files[-1].write_bytes(data)
    found = probe(files)
    assert found.pop(path.name) == ["read", str(COUNT), "0"]
    for name, outcome in found.items():
        cut = name.startswith("cut")
        if ending == "geojsonl":
            # Each line stands for itself: what a cut leaves is read, a damaged line is named. Of
            # the eight changed bytes some may be newlines.
            assert outcome[0] == "refused" or int(outcome[1]) <= COUNT + 8
            continue
        assert outcome[0] == ("refused" if cut else outcome[0]), (name, outcome)


@pytest.mark.parametrize("part", ["shp", "shx", "dbf", "a00000001.gdbtable", "a00000009.gdbtable"])
def test_cut_and_changed_parts(tmp_path: Path, part: str) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    gdb = part.endswith(".gdbtable")
    path = whole(folder, "gdb" if gdb else "shp")
    victim = path / part if gdb else path.with_suffix(f".{part}")
    files = [path]
    for name, data in broken(victim.read_bytes()):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        ((copy / path.name / part) if gdb else copy / victim.name).write_bytes(data)
        files.append((copy / path.name).rename(copy / f"{name}.gdb") if gdb else copy)
    found = probe(files)
    assert found.pop(path.name) == ["read", str(COUNT), "0"]
    for name, outcome in found.items():
        if name.startswith("cut"):
            assert outcome[0] == "refused", (name, outcome)


def test_no_reader_hands_a_driver_of_gdal_more_than_a_path(tmp_path: Path) -> None:
    for name in ("GPKG:/etc/a.gpkg", "sqlite:a.gpkg", "/vsimem/a.fgb", "zip://a.zip!a.shp"):
        error = refused(Path(name))
        assert error.key in ("ingest.file.remote", "ingest.file.missing"), name
    link = tmp_path / "a.shp"
    link.symlink_to("/vsicurl/http://127.0.0.1/a.shp")
    assert refused(link).key == "ingest.file.missing"
    assert re.search(
        "gdal_path", Path(sys.modules["riskmap.ingest.read_gdal"].__file__).read_text()
    )  # type: ignore[arg-type]
    assert source(write(tmp_path / "b.fgb", {"n": [1]}))
