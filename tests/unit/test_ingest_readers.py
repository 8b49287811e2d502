from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import pandas
import pytest
import shapely

from conftest import shared_data
from ingest_help import geojson, point, shape, table
from riskmap.crs.input import read_crs
from riskmap.errors import InputError
from riskmap.ingest import check_gpkg, read_csv, read_geojson
from riskmap.ingest.batches import Batch, ReadOptions
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.readers import read

WGS84 = read_crs("EPSG:4326")


def all_of(path: Path, **options: object) -> list[Batch]:
    return list(read(path, ReadOptions(crs=WGS84, **options)).batches())  # type: ignore[arg-type]


def refusal(action: Callable[[], object]) -> InputError:
    with pytest.raises(InputError) as caught:
        action()
    assert caught.value.text("zh")
    assert caught.value.text("en")
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        "/vsicurl/http://example.org/a.geojson",
        "vsizip/a.zip/a.csv",
        "https://example.org/a.geojson",
        "http:/example.org/a.geojson",
        "s3://bucket/a.gpkg",
    ],
)
def test_remote_paths_are_refused(name: str) -> None:
    assert refusal(lambda: all_of(Path(name))).key == "ingest.file.remote"


@pytest.mark.parametrize("name", ["a.vrt", "a.gml", "a.osm", "a.sqlite", "a", "a.gdalg.json.gz"])
def test_other_formats_are_refused_naming_what_there_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    error = refusal(lambda: all_of(tmp_path / name))
    assert error.key == "ingest.file.format"
    assert "GeoPackage" in error.text("zh")
    assert "CSV" in error.text("en")


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (None, "ingest.file.missing"),
        (b"", "ingest.file.empty"),
        (b"\xef\xbb\xbf \n", "ingest.file.empty"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "geojson", "json", "gpkg"])
def test_missing_and_empty_files(
    tmp_path: Path, content: bytes | None, key: str, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    if content is not None:
        path.write_bytes(content)
    error = refusal(lambda: all_of(path))
    assert (error.key, error.parameter) == (key, "file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    assert refusal(lambda: all_of(tmp_path / "a.csv")).key == "ingest.file.missing"


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path, "code,lon,lat\n")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    # chmod would not do: the tests may run as root.
    monkeypatch.setattr(Path, "open", denied)
    assert refusal(lambda: all_of(path)).key == "ingest.file.denied"


# GDAL would open these two by their content, whatever they are called.
@pytest.mark.parametrize(
    "content",
    [
        '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>",
        '{"type":"gdal_streamed_alg","command_line":"gdal vector read /vsicurl/http://127.0.0.1/"}',
        '{"type":"Topology","objects":{},"arcs":[]}',
        '{"type":"Feature","properties":{},"geometry":null}',
        '{"type":"FeatureCollection"}',
        '{"features":[]}',
        '{"type":"FeatureCollection","features":[]} {}',
        '{"type":"FeatureCollection","features":[{]}',
        '{"type":"FeatureCollection","features":[',
        '{"type":"FeatureCollection","features":[{}',
        '["features"]',
        '{"a":' + "[" * 200_000,
        '{"type":"FeatureCollection","features":[1' + "9" * 5000 + "]}",
    ],
)
def test_what_is_no_feature_collection_is_refused(tmp_path: Path, content: str) -> None:
    for name in ("a.geojson", "a.json", "a.gpkg"):
        path = tmp_path / name
        path.write_text(content)
        error = refusal(lambda path=path: all_of(path))  # type: ignore[misc]
        assert error.key in ("ingest.file.unreadable", "ingest.geojson.kind")
        assert error.parameter == "file"


def test_geojson_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes('{"type":"FeatureCollection","features":["避难"]}'.encode("gb18030"))
    assert refusal(lambda: all_of(path)).key == "ingest.file.unreadable"


def test_geojson_keeps_order_ids_and_types(tmp_path: Path) -> None:
    features = [
        point(f"c{n}", id=n, big=2**60 + n, nested={"a": [1, {"b": None}]}) for n in (3, 1, 3)
    ]
    features[1]["properties"]["big"] = "text"
    (batch,) = all_of(geojson(tmp_path, *features))
    assert list(batch.rows) == [1, 2, 3]
    assert batch.columns["id"] == [3, 1, 3]
    assert batch.columns["big"] == [2**60 + 3, "text", 2**60 + 3]
    assert batch.columns["nested"][0] == {"a": [1, {"b": None}]}


def test_geojson_takes_the_features_own_id_as_a_column(tmp_path: Path) -> None:
    (batch,) = all_of(geojson(tmp_path, {**point("a"), "id": "x1"}, point("b")))
    assert batch.columns["id"] == ["x1", None]


def test_geojson_in_small_windows_and_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = [point(f"编号{n}", 120 + n / 1000, 36, note="x" * (n % 37)) for n in range(100)]
    path = geojson(tmp_path, *features, name="a.json", numbers=[1, 2.5, -3e-2], count=12345)
    for chunk in (1, 2, 7, 64, 1000):
        monkeypatch.setattr(read_geojson, "_CHUNK", chunk)
        monkeypatch.setattr(read_geojson, "BATCH_ROWS", 33)
        batches = all_of(path)
        assert [len(batch.rows) for batch in batches] == [33, 33, 33, 1]
        assert [row for batch in batches for row in batch.rows] == list(range(1, 101))
        codes = [code for batch in batches for code in batch.columns["code"]]
        assert codes == [f"编号{n}" for n in range(100)]
        assert batches[3].geometry[0] == shapely.Point(120.099, 36)
        assert batches[3].position[0] == batches[3].position[1] == path.stat().st_size


def test_geojson_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    nan = json.loads('{"type": "Point", "coordinates": [NaN, 1]}')
    path = geojson(
        tmp_path,
        point("a"),
        {"type": "Point"},
        17,
        point("b", "120", 36),
        {"type": "Feature", "properties": {"code": "c"}, "geometry": nan},
        shape("d", "Polygon", [[[0, 0], [1, 1]]]),
        shape("e", "Nonsense", []),
        {"type": "Feature", "properties": [], "geometry": None},
        point("f", 10**400, 1),
        {"type": "Feature", "properties": None, "geometry": "no"},
    )
    (batch,) = all_of(path)
    assert [(p.row, p.key) for p in sorted(batch.problems, key=lambda p: p.row)] == [
        (2, "ingest.feature"),
        (3, "ingest.feature"),
        (4, "ingest.coordinate"),
        (5, "ingest.coordinate"),
        (6, "ingest.geometry.unreadable"),
        (7, "ingest.geometry.unreadable"),
        (8, "ingest.feature"),
        (10, "ingest.geometry.unreadable"),
    ]
    assert len(batch.rows) == 10


def crs_member(name: str) -> dict[str, object]:
    return {"type": "name", "properties": {"name": name}}


def test_geojson_crs_member_must_agree_wherever_it_stands(tmp_path: Path) -> None:
    good = crs_member("urn:ogc:def:crs:OGC:1.3:CRS84")
    assert all_of(geojson(tmp_path, point("a"), crs=good))
    assert all_of(geojson(tmp_path, point("a"), crs=None))
    bad = crs_member("urn:ogc:def:crs:EPSG::4528")
    error = refusal(lambda: all_of(geojson(tmp_path, point("a"), crs=bad)))
    assert error.key == "crs.differs"
    assert "EPSG:4326" in error.text("en")
    assert "4528" in error.text("en")
    late = tmp_path / "late.geojson"
    late.write_text(json.dumps({"type": "FeatureCollection", "features": [point("a")], "crs": bad}))
    assert refusal(lambda: all_of(late)).key == "crs.differs"
    link = {"type": "link", "properties": {"href": "http://example.org"}}
    assert refusal(lambda: all_of(geojson(tmp_path, point("a"), crs=link))).key == "crs.differs"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("pair", ["lon,lat", "LON,Lat", "x,y", "经度,纬度"])
def test_csv_encodings_and_coordinate_names(tmp_path: Path, encoding: str, pair: str) -> None:
    path = table(tmp_path, f"名称,{pair}\r\n避难所,120.5,36.1\r\n", encoding=encoding)
    (batch,) = all_of(path)
    assert batch.columns == {"名称": ["避难所"]}
    assert batch.geometry[0] == shapely.Point(120.5, 36.1)


def test_csv_wkt_quotes_newlines_blank_rows_and_numbers(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        'code,wkt,note\na,POINT (120 36),"two\nlines, ""quoted"""\n\n,,\n'
        'b,"LINESTRING (120 36, 121 36)",x\nc,nonsense,y\nd,,z\n',
    )
    (batch,) = all_of(path)
    assert list(batch.rows) == [1, 4, 5, 6]
    assert batch.columns["note"][0] == 'two\nlines, "quoted"'
    assert [p.row for p in batch.problems] == [5]
    assert batch.geometry[3] is None


def test_csv_coordinates_as_told(tmp_path: Path) -> None:
    path = table(tmp_path, "code,北,东,lon,lat\na,36,120,1,2\n")
    (batch,) = all_of(path, mapping=FieldMapping(fields={"x": "东", "y": "北"}))
    assert batch.geometry[0] == shapely.Point(120, 36)
    assert set(batch.columns) == {"code", "lon", "lat"}
    for told, key in (
        ({"x": "东"}, "ingest.coordinates.told"),
        ({"x": "东", "wkt": "code"}, "ingest.coordinates.told"),
        ({"x": "东", "y": "南"}, "ingest.mapping.column"),
    ):
        error = refusal(lambda told=told: all_of(path, mapping=FieldMapping(fields=told)))  # type: ignore[misc]
        assert (error.key, error.parameter) == (key, "mapping")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("code,name\na,b\n", "ingest.coordinates.none"),
        ("code,lon,lat,x,y\n", "ingest.coordinates.many"),
        ("code,lon,lat,wkt\n", "ingest.coordinates.many"),
        ("code,,lon,lat\n", "ingest.heading.empty"),
        ("code,code,lon,lat\n", "ingest.heading.repeated"),
        ('code,lon,lat\na,"120,36\nb,120,36\n', "ingest.csv.quotes"),
        ('code,lon,lat\na,"1"20,36\n', "ingest.csv.quotes"),
    ],
)
def test_csv_tables_that_cannot_be_understood(tmp_path: Path, text: str, key: str) -> None:
    assert refusal(lambda: all_of(table(tmp_path, text))).key == key


def test_csv_of_unknown_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("code,lon,lat\n避,120,36\n".encode("utf-16-be"))
    assert refusal(lambda: all_of(path)).key == "ingest.file.encoding"


def test_csv_rows_of_the_wrong_width_or_without_numbers_are_named(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "code,lon,lat,,\na,120,36\nb,120\nc,120,36,5\nd,120,36,,\ne,1_2,36\nf,nan,36\ng,,36\n",
    )
    (batch,) = all_of(path)
    assert [(p.row, p.key, p.field) for p in batch.problems] == [
        (2, "ingest.row.cells", None),
        (3, "ingest.row.cells", None),
        (5, "ingest.coordinate", "lon"),
        (6, "ingest.coordinate", "lon"),
        (7, "ingest.required", "lon"),
    ]


def test_csv_comes_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_csv, "BATCH_ROWS", 4)
    path = table(tmp_path, "code,lon,lat\n" + "".join(f"c{n},120,36\n" for n in range(9)))
    batches = all_of(path)
    assert [list(batch.rows) for batch in batches] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]


def places(crs: object = 4326) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {
            "code": ["a", "b", "c"],
            "count": pandas.array([1, None, 2**40], dtype="Int64"),
            "open": pandas.array([True, None, False], dtype="boolean"),
            "share": [0.5, None, 2.0],
            "when": pandas.to_datetime(["2024-03-05T08:30:00+08:00"] * 3),
        },
        geometry=[shapely.Point(120, 36, 9), None, shapely.Point(121, 36, 9)],
        crs=crs,
    )


def test_geopackage_keeps_integers_booleans_times_and_nulls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_gpkg, "BATCH_ROWS", 2)
    places().to_file(tmp_path / "a.gpkg")
    batches = all_of(tmp_path / "a.gpkg")
    assert [list(batch.rows) for batch in batches] == [[1, 2], [3]]
    cells = [
        dict(zip(batch.columns, row, strict=True))
        for batch in batches
        for row in zip(*batch.columns.values(), strict=True)
    ]
    assert [repr(row["count"]) for row in cells] == ["1", "None", str(2**40)]
    assert [row["open"] for row in cells] == [True, None, False]
    assert pandas.isna(cells[1]["share"])
    assert cells[0]["when"] == "2024-03-05T08:30:00+08:00"
    assert batches[0].geometry[1] is None


def test_geopackage_tables_and_declared_crs(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    places(4528).to_file(path, layer="one")
    assert refusal(lambda: all_of(path)).key == "crs.differs"
    assert list(read(path, ReadOptions(crs=read_crs("EPSG:4528"))).batches())
    places().to_file(path, layer="two")
    error = refusal(lambda: all_of(path))
    assert (error.key, error.parameter) == ("ingest.table.several", "table")
    assert "one, two" in error.text("en")
    assert refusal(lambda: all_of(path, table="three")).key == "ingest.table.unknown"
    assert all_of(path, table="two")
    assert refusal(lambda: all_of(table(tmp_path, "lon,lat\n"), table="x")).parameter == "table"


def test_geopackage_without_declared_crs_is_what_is_stated(tmp_path: Path) -> None:
    places(None).to_file(tmp_path / "a.gpkg")
    assert all_of(tmp_path / "a.gpkg")


def test_integers_that_would_lose_digits_are_refused(tmp_path: Path) -> None:
    frame = places()
    frame["count"] = pandas.array([2**60 + 1, None, 1], dtype="Int64")
    frame.to_file(tmp_path / "a.gpkg")
    assert refusal(lambda: all_of(tmp_path / "a.gpkg")).key == "ingest.table.integers"


def test_a_damaged_geopackage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    places().to_file(path)
    whole = path.read_bytes()
    for damaged in (whole[:100], whole[:4096] + b"\x55" * (len(whole) - 4096)):
        path.write_bytes(damaged)
        assert refusal(lambda: all_of(path)).key == "ingest.file.unreadable"
    path.write_bytes(whole[:68] + b"\0\0\0\0" + whole[72:])
    assert refusal(lambda: all_of(path)).key == "ingest.file.unreadable"


def test_real_roads_of_nanjing_are_read_to_the_end() -> None:
    batches = all_of(shared_data("nanjing/roads.gpkg"))
    assert sum(len(batch.rows) for batch in batches) == 45_723
    assert batches[-1].position == (45_723, 45_723)
