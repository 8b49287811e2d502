"""Features as files: the same set in every format, nothing restricted, whole or visibly not."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import json
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import geopandas
import httpx
import openpyxl
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
from pyarrow import parquet
from sqlalchemy import text
from starlette.testclient import TestClient

from api_help import (
    CATALOG,
    SECRET,
    SECRET_NUMBER,
    Served,
    backends,
    eventually,
    listening,
    serving,
    streaming,
)
from riskmap.app import create_app
from riskmap.catalog.spec import Geometry, Kind
from riskmap.db.city import read_city
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.features import exports
from riskmap.features.formats import ABOUT_SHEET, ID_COLUMN, OF_PAGE, Way, workbook
from riskmap.ingest.run import ImportOptions, import_file

POINTS = "/collections/geohazard-points/items"
FILES = tuple(one for one in OF_PAGE if not one.paged)
NAMES = [one.name for one in FILES]
EPSG = "http://www.opengis.net/def/crs/EPSG/0"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """Seven rows in each layer; read-only by agreement."""
    with serving(cluster, migrated, rows=7) as found:
        yield found


@pytest.fixture
def writable(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def export(served: Served, layer: str, form: str, role: str | None = None, **asked: Any) -> bytes:
    answer = served.get(f"/collections/{layer}/items", role, f=form, **asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(
        next(one.media_type for one in FILES if one.name == form)
    )
    return answer.content


def sequence(content: bytes) -> list[dict[str, Any]]:
    records = content.split(b"\x1e")
    assert records[0] == b"" and all(record.endswith(b"}\n") for record in records[1:])
    return [json.loads(record) for record in records[1:]]


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def sheets(content: bytes) -> list[list[list[Any]]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    return [[[cell.value for cell in row] for row in sheet.rows] for sheet in book.worksheets]


def count_of(form: str, content: bytes) -> int:
    match form:
        case "geojsonseq":
            return len(sequence(content))
        case "csv":
            return len(table(content))
        case "xlsx":
            return len(sheets(content)[0]) - 1
        case "flatgeobuf":
            return len(geopandas.read_file(io.BytesIO(content)))
        case _:
            return len(geopandas.read_parquet(io.BytesIO(content)))


# ------------------------------------------------------------------ the same set


@pytest.mark.parametrize("form", NAMES)
def test_every_layer_is_whole_in_every_format(served: Served, form: str) -> None:
    for layer in CATALOG:
        assert count_of(form, export(served, layer, form)) == 7, layer


@pytest.mark.parametrize("form", NAMES)
def test_an_empty_answer_is_a_file_all_the_same(served: Served, form: str) -> None:
    for layer in ("geohazard-points", "admin-divisions"):
        content = export(served, layer, form, code="there is none")
        assert count_of(form, content) == 0


@pytest.mark.parametrize("form", NAMES)
def test_a_query_means_the_same_in_every_format(served: Served, form: str) -> None:
    asked = {"filter": "risk_level IN (1,2) OR risk_level IS NULL", "sortby": "-code"}
    wanted = [f["properties"]["code"] for f in served.items("geohazard-points", **asked)]
    assert 0 < len(wanted) < 7
    content = export(served, "geohazard-points", form, **asked)
    match form:
        case "geojsonseq":
            found = [one["properties"]["code"] for one in sequence(content)]
        case "csv":
            found = [row["code"] for row in table(content)]
        case "xlsx":
            found = [row[1] for row in sheets(content)[0][1:]]
        case "flatgeobuf":  # its index sorts
            found = sorted(geopandas.read_file(io.BytesIO(content)).code, reverse=True)
        case _:
            found = list(geopandas.read_parquet(io.BytesIO(content)).code)
    assert found == wanted


def test_files_are_whole_unless_a_limit_is_asked_for(writable: Served) -> None:
    writable.put(
        "shelters", *({"code": f"S{n:04}", "geom": "POINT(120.4 36.3)"} for n in range(1200))
    )
    path = "/collections/shelters/items"
    assert writable.get(path).json()["numberReturned"] == 1000
    assert len(sequence(writable.get(path, f="geojsonseq").content)) == 1200
    assert len(table(writable.get(path, f="csv", limit=5, offset=1198).content)) == 2
    # A cursor, forward and backward, says the same as in a page.
    links = writable.get(path, limit=100, offset=100).json()["links"]
    for rel in ("next", "prev"):
        page = next(link["href"] for link in links if link["rel"] == rel)
        asked = dict(parse_qsl(urlsplit(page).query))
        if "cursor" not in asked:
            page_after = writable.get(path, limit=100).json()["links"]
            href = next(link["href"] for link in page_after if link["rel"] == "next")
            second = writable.client.get(href).json()
            href = next(one["href"] for one in second["links"] if one["rel"] == "prev")
            asked = dict(parse_qsl(urlsplit(href).query))
        wanted = [f["properties"]["code"] for f in writable.items("shelters", **asked)]
        found = [row["code"] for row in table(writable.get(path, f="csv", **asked).content)]
        assert len(wanted) == 100 and found == wanted


@pytest.mark.parametrize("crs", ["EPSG/0/4326", "EPSG/0/4490", "EPSG/0/3857"])
def test_a_sequence_has_what_the_page_has(served: Served, crs: str) -> None:
    for layer in ("geohazard-points", "major-hazard-sources"):
        asked = {"crs": f"http://www.opengis.net/def/crs/{crs}", "simplify": "20"}
        answer = served.get(f"/collections/{layer}/items", f="geojsonseq", **asked)
        assert answer.headers["content-crs"] == f"<{asked['crs']}>"
        assert sequence(answer.content) == served.items(layer, **asked)


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_a_datum_moves_every_format(served: Served, datum: str) -> None:
    wanted = {
        f["properties"]["code"]: f["geometry"]["coordinates"]
        for f in served.items("geohazard-points", datum=datum)
    }
    assert wanted != {
        f["properties"]["code"]: f["geometry"]["coordinates"]
        for f in served.items("geohazard-points")
    }
    got: dict[str, Callable[[bytes], dict[str, Any]]] = {
        "geojsonseq": lambda content: {
            f["properties"]["code"]: f["geometry"]["coordinates"] for f in sequence(content)
        },
        "csv": lambda content: {
            row["code"]: [float(row["lon"]), float(row["lat"])] for row in table(content)
        },
        "xlsx": lambda content: {row[1]: row[4:6] for row in sheets(content)[0][1:]},
        "flatgeobuf": lambda content: _points(geopandas.read_file(io.BytesIO(content))),
        "geoparquet": lambda content: _points(geopandas.read_parquet(io.BytesIO(content))),
    }
    for form, read in got.items():
        answer = served.get(POINTS, f=form, datum=datum)
        assert answer.headers["x-datum"] == datum and "content-crs" not in answer.headers
        assert read(answer.content) == wanted, form
    areas = served.get("/collections/admin-divisions/items", f="csv", datum=datum).content
    assert all(row["wkt"].startswith("MULTIPOLYGON ((") for row in table(areas))


def _points(frame: Any) -> dict[str, Any]:
    assert frame.crs is None  # no registry has this datum: the file does not claim one
    return {
        code: [place.x, place.y] for code, place in zip(frame.code, frame.geometry, strict=True)
    }


def test_projected_columns_say_so(served: Served) -> None:
    [first, *_] = table(export(served, "geohazard-points", "csv", crs=f"{EPSG}/3857"))
    page = served.items("geohazard-points", crs=f"{EPSG}/3857")[0]["geometry"]["coordinates"]
    assert [float(first["easting"]), float(first["northing"])] == page
    # 4490 has the north first; a column is named, so it has it nowhere.
    [north, *_] = table(export(served, "geohazard-points", "csv", crs=f"{EPSG}/4490"))
    assert float(north["lon"]) == pytest.approx(120.3) and "easting" not in north
    for form, read in (("flatgeobuf", geopandas.read_file), ("geoparquet", geopandas.read_parquet)):
        frame = read(io.BytesIO(export(served, "geohazard-points", form, crs=f"{EPSG}/3857")))
        assert frame.crs.to_epsg() == 3857
        assert frame.geometry.x.min() > 13_000_000


def test_chosen_properties_and_no_geometry(served: Served) -> None:
    asked = {"properties": "name,chemicals", "skipGeometry": "true"}
    layer = "major-hazard-sources"
    [row, *_] = table(export(served, layer, "csv", **asked))
    assert list(row) == [ID_COLUMN, "name", "chemicals"]
    assert sheets(export(served, layer, "xlsx", **asked))[0][0] == list(row)
    path = io.BytesIO(export(served, layer, "flatgeobuf", **asked))
    assert list(pyogrio.read_dataframe(path, read_geometry=False)) == list(row)
    frame = pd.read_parquet(io.BytesIO(export(served, layer, "geoparquet", **asked)))
    assert list(frame) == list(row)
    [feature, *_] = sequence(export(served, layer, "geojsonseq", **asked))
    assert feature["geometry"] is None and list(feature["properties"]) == ["name", "chemicals"]


# ------------------------------------------------------------------ what is restricted


def visible_bytes(form: str, content: bytes) -> str:
    """Return all that a reader of the file could find."""
    if form == "xlsx":
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            return "".join(package.read(name).decode() for name in package.namelist())
    if form == "geoparquet":
        return str(parquet.read_table(io.BytesIO(content)).to_pylist())
    return content.decode("utf-8", "replace")


@pytest.mark.parametrize("form", NAMES)
def test_nobody_finds_what_is_restricted(served: Served, form: str) -> None:
    for layer in CATALOG.values():
        hidden = [field.name for field in layer.fields if field.restricted]
        anonymous = visible_bytes(form, export(served, layer.id, form))
        assert SECRET not in anonymous and str(SECRET_NUMBER) not in anonymous
        assert not any(f'"{name}"' in anonymous or f",{name}," in anonymous for name in hidden)
        answer = served.get(f"/collections/{layer.id}/items", "reader", f=form)
        assert answer.headers["cache-control"] == "private, no-store"
        assert SECRET in visible_bytes(form, answer.content)
    for asked in ({"properties": "responsible_phone"}, {"sortby": "responsible_phone"}):
        assert served.get(POINTS, f=form, **asked).status_code == 400


# ------------------------------------------------------------------ types


def test_types_of_parquet(writable: Served) -> None:
    writable.put(
        "major-hazard-sources",
        {
            "code": "H1",
            "geom": "POINT(120.4 36.3)",
            "name": 'a "b", c\r\nd',
            "address": "",
            "filed_at": "2024-02-29",
            "valid_from": "2024-03-01T08:30:00.25+08:00",
            "wind_relevant": False,
            "alpha": 0.1,
            "chemicals": [{"name": "氯", "beta": 4}],
        },
        {"code": "H2", "geom": "LINESTRING(120.4 36.3,120.5 36.4)"},
    )
    found = parquet.read_table(io.BytesIO(export(writable, "major-hazard-sources", "geoparquet")))
    assert found.schema.field("filed_at").type == pa.date32()
    assert found.schema.field("valid_from").type == pa.timestamp("us", tz="UTC")
    assert found.schema.field(ID_COLUMN).type == pa.int64()
    first, second = found.to_pylist()
    assert first["name"] == 'a "b", c\r\nd' and first["address"] == "" and first["alpha"] == 0.1
    assert first["filed_at"].isoformat() == "2024-02-29" and first["wind_relevant"] is False
    assert first["valid_from"].isoformat() == "2024-03-01T00:30:00.250000+00:00"
    assert json.loads(first["chemicals"]) == [{"name": "氯", "beta": 4}]
    nulls = {name for name, value in second.items() if value is None}
    assert {"name", "address", "filed_at", "valid_from", "wind_relevant", "alpha"} <= nulls
    content = export(writable, "major-hazard-sources", "geoparquet")
    geo = json.loads(parquet.read_metadata(io.BytesIO(content)).metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo["version"] == "1.1.0" and column["crs"]["id"] == {
        "authority": "OGC",
        "code": "CRS84",
    }
    assert column["geometry_types"] == ["LineString", "Point"]
    assert column["bbox"] == [120.4, 36.3, 120.5, 36.4]


def test_lists_are_lists_in_parquet_and_json_elsewhere(served: Served) -> None:
    layer = CATALOG["geohazard-points"]
    [name] = [field.name for field in layer.fields if field.kind is Kind.TEXTS]
    wanted = [feature["properties"][name] for feature in served.items(layer.id)]
    found = parquet.read_table(io.BytesIO(export(served, layer.id, "geoparquet")))
    assert found.schema.field(name).type == pa.list_(pa.string())
    assert found[name].to_pylist() == wanted
    frame = geopandas.read_file(io.BytesIO(export(served, layer.id, "flatgeobuf")))
    assert sorted(frame[name]) == sorted(json.dumps(one, separators=(",", ":")) for one in wanted)
    rows = table(export(served, layer.id, "csv"))
    assert [json.loads(row[name]) for row in rows] == wanted


def test_flatgeobuf_has_nulls_types_and_an_index(writable: Served) -> None:
    writable.put(
        "geohazard-points",
        {"code": "a", "geom": "POINT(120.4 36.3)", "threatened_persons": 0, "risk_level": 1},
        {"code": "b", "geom": "POINT(120.5 36.4)"},
    )
    content = export(writable, "geohazard-points", "flatgeobuf")
    info = pyogrio.read_info(io.BytesIO(content))
    assert info["features"] == 2 and info["capabilities"]["fast_spatial_filter"]
    assert info["geometry_type"] == "Point" and info["crs"] == "EPSG:4326"
    frame = geopandas.read_file(io.BytesIO(content)).set_index("code")
    assert frame.threatened_persons["a"] == 0 and pd.isna(frame.threatened_persons["b"])
    assert pd.isna(frame.risk_level["b"]) and pd.isna(frame.name["b"])
    assert str(frame.updated_at.dtype) == "datetime64[ms, UTC]"


# ------------------------------------------------------------------ workbooks


def test_a_workbook(writable: Served) -> None:
    long = "长" * 40_000
    writable.put(
        "major-hazard-sources",
        {
            "code": "=1+1",
            "name": "<b>&\x01_x0041_\r\n\t'",
            "address": long,
            "risk_level": 2,
            "alpha": 0.1,
            "filed_at": "2024-02-29",
            "valid_from": "2024-03-01T08:30:00+08:00",
            "surveyed_at": "1850-01-01T00:00:00Z",
            "wind_relevant": True,
            "geom": "POINT(120.4 36.3)",
        },
        {"code": "b", "geom": "POINT(120.5 36.4)"},
    )
    asked = {"headings": "label", "lang": "zh", "sortby": "id"}
    answer = writable.get("/collections/major-hazard-sources/items", f="xlsx", **asked)
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    sheet, about = book.worksheets
    assert (sheet.title, about.title) == ("重大危险源", ABOUT_SHEET)
    assert sheet.freeze_panes == "A2" and all(cell.font.bold for cell in sheet[1])
    row = {head.value: cell for head, cell in zip(sheet[1], sheet[2], strict=True)}
    assert row["统一编号"].value == "=1+1" and row["统一编号"].data_type != "f"
    assert row["名称"].value == "<b>&_x005F_x0041__x000D_\n\t'"  # as Office escapes it
    assert len(row["地址"].value) == 32_767 and row["地址"].value.endswith("…")
    assert row["风险等级"].value == 2 and row["有效期起"].is_date
    # The city's clock: Excel knows no zones.
    assert row["有效期起"].value.isoformat() == "2024-03-01T08:30:00"
    assert row["调查时间"].value == "1850-01-01T00:00:00Z"  # older than Excel's calendar
    labels = {field.name: field.zh for field in CATALOG["major-hazard-sources"].fields}
    assert row[labels["filed_at"]].number_format == r"yyyy\-mm\-dd"
    assert row[labels["wind_relevant"]].value is True and row[labels["alpha"]].value == 0.1
    empty = [cell.value for cell in sheet[3] if cell.value is not None]
    assert len(empty) < 12
    said = {row[0].value: row[1].value for row in about.rows}
    assert said["图层"] == "重大危险源 (major-hazard-sources)"
    assert said["筛选条件"] == "sortby=id" and said["坐标系"].endswith("CRS84")
    assert said["截短"].startswith("1 ") and int(said["数据修订号"]) > 0
    assert "注意" not in said


def test_a_workbook_of_made_up_data_says_so(writable: Served) -> None:
    with writable.database.own(Actor("test")) as session:
        session.execute(text("UPDATE city SET synthetic = true"))
    said = {row[0]: row[1] for row in sheets(export(writable, "shelters", "xlsx", lang="en"))[1]}
    assert "演示数据" in said["Note"] and "Synthetic" in said["Note"]


def test_an_outline_too_long_for_a_cell_is_no_outline(writable: Served) -> None:
    ring = ",".join(f"{120 + n / 10_000:.7f} {36 + (n % 2) / 10_000:.7f}" for n in range(3000))
    area = f"MULTIPOLYGON((({ring},120.3 36.5,120 36.5,120 36)))"
    writable.put("admin-divisions", {"code": "a", "level": "district", "geom": area})
    heading, row = sheets(export(writable, "admin-divisions", "xlsx"))[0]
    assert heading[-1] == "wkt" and row[-1].startswith("too long: ")
    [row] = table(export(writable, "admin-divisions", "csv"))
    assert len(row["wkt"]) > 32_767


def test_too_many_rows_for_a_sheet(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 6)
    answer = served.get(POINTS, f="xlsx", lang="en")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "f" and "There are 7 rows" in answer.json()["detail"]
    assert served.get(POINTS, f="xlsx", limit=6).status_code == 200


# ------------------------------------------------------------------ tables


def test_csv_is_rfc_4180(writable: Served) -> None:
    writable.put("geohazard-points", {"code": 'a"b,c\nd', "name": "", "geom": "POINT(120.4 36.3)"})
    content = export(writable, "geohazard-points", "csv")
    assert content.startswith(b"riskmap_id,code,name,name_en,lon,lat,")
    assert content.endswith(b"\r\n") and b'"a""b,c\nd","",,120.4,36.3,' in content
    with_mark = export(writable, "geohazard-points", "csv", bom="true")
    assert with_mark == b"\xef\xbb\xbf" + content


@pytest.mark.parametrize("name", ["bom", "headings"])
@pytest.mark.parametrize("f", ["csv", "geojson", "html", "jsonfg", "flatgeobuf"])
def test_a_wrong_option_is_refused_with_any_format(served: Served, f: str, name: str) -> None:
    answer = served.get("/collections/shelters/items", f=f, **{name: "perhaps"})
    assert answer.status_code == 400 and name in answer.text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_labels_are_unique(served: Served, lang: str) -> None:
    for layer in CATALOG:
        asked = {"headings": "label", "lang": lang, "limit": 1}
        content = export(served, layer, "csv", "admin", **asked).decode()
        heads = next(csv.reader(io.StringIO(content)))
        assert len(set(heads)) == len(heads), layer


# ------------------------------------------------------------------ and back again


def _reads(served: Served, layer: str, path: Path) -> tuple[int, int, int]:
    with served.database.own(Actor("test")) as session:
        city = read_city(session)
    assert city is not None
    report = import_file(
        served.database,
        city,
        CATALOG[layer],
        path,
        ImportOptions(crs="EPSG:4326", source_system="bureau"),
        actor=Actor("test"),
    )
    return report.inserted, report.updated, report.unchanged


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param("geohazard-points", marks=pytest.mark.prove),
        "major-hazard-sources",
        pytest.param("admin-divisions", marks=pytest.mark.prove),
    ],
)
def test_an_export_imported_again_changes_nothing(
    writable: Served, layer: str, tmp_path: Path
) -> None:
    kind = CATALOG[layer].geometry
    first = tmp_path / "first.geojson"
    first.write_text(json.dumps(sent_rows(kind), ensure_ascii=False), encoding="utf-8")
    assert _reads(writable, layer, first) == (4, 0, 0)
    before = everything(writable, layer)
    for asked in (
        {"f": "csv"},
        {"f": "csv", "headings": "label", "lang": "zh", "bom": "true"},
        {"f": "csv", "headings": "label", "lang": "en"},
        {"f": "xlsx"},
        {"f": "xlsx", "headings": "label", "lang": "zh"},
        {"f": "geojsonseq"},
        {"f": "flatgeobuf"},
        {"f": "csv", "properties": "code,name" + ",level" * (kind is Geometry.POLYGON)},
    ):
        # Without a key the chemicals have no quantities: to import that takes them away.
        for role in ("admin",) if CATALOG[layer].children else ("admin", None):
            form = next(one for one in FILES if one.name == asked["f"])
            path = tmp_path / f"again.{form.extension}"
            path.write_bytes(writable.get(f"/collections/{layer}/items", role, **asked).content)
            assert _reads(writable, layer, path) == (0, 0, 4), (asked, role)
    assert everything(writable, layer) == before


def everything(served: Served, layer: str) -> list[Any]:
    with served.database.read() as session:
        return list(
            session.execute(
                text(f"SELECT *, xmin, geom::text AS hex FROM {CATALOG[layer].table} ORDER BY id")
            )
        )


def sent_rows(kind: Geometry) -> dict[str, Any]:
    """Features as a bureau would send them: unmodelled columns, nulls, awkward texts."""
    ring = [[120.4, 36.3], [120.41, 36.3], [120.41, 36.31], [120.4, 36.3]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    if kind is not Geometry.POLYGON:
        shape = {"type": "Point", "coordinates": [120.382611, 36.0671234]}
    rich = {
        "name": '市北 "一号", 北段',
        "name_en": "=cmd|'/c calc'!A1",
        "address": "第一行\n第二行; 其余",
        "surveyed_at": "2024-03-01T08:30:00+08:00",
        "valid_from": "2024-01-01",
        "position_accuracy_m": 0.1,
        "responsible_phone": "13800000000",
        "data_quality": "verified",
        "没有建模": "留着",
        "编号2": 17,
    }
    must: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if kind is Geometry.MIXED:
        more = {
            "chemicals": [{"name": "氯", "quantity_t": 5.5, "cas": "7782-50-5"}],
            "hazard_level": 1,
            "filed_at": "2024-02-29",
            "wind_relevant": True,
        }
    elif kind is Geometry.POINT:
        more = {"trigger": ["rainfall", "earthquake"], "threatened_persons": 0, "risk_level": 1}
    else:
        must = {"level": "district"}
        more = {**must, "population": 123456, "is_functional_zone": False}
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": shape, "properties": {"code": f"C{n}", **values}}
            for n, values in enumerate((must, {**must, **rich}, more, {**rich, **more}))
        ],
    }


def test_a_foreign_version_stays_the_source_s_own(writable: Served, tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("code,lon,lat,version,id\na,120.4,36.3,7,12\n", encoding="utf-8")
    assert _reads(writable, "shelters", path) == (1, 0, 0)
    [feature] = writable.items("shelters", "admin")
    assert feature["properties"]["attributes"] == {"version": "7", "id": "12"}
    assert feature["properties"]["version"] == 1


# ------------------------------------------------------------------ JSON-FG


def test_jsonfg(served: Served) -> None:
    body = served.get(POINTS, f="jsonfg").json()
    assert body["conformsTo"][0] == "http://www.opengis.net/spec/json-fg-1/1.0/conf/core"
    assert body["featureType"] == "geohazard-points" and body["coordRefSys"].endswith("CRS84")
    plain = served.items("geohazard-points")
    for feature, wanted in zip(body["features"], plain, strict=True):
        time_ = {"interval": ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"]}
        assert feature == {**wanted, "time": time_, "place": None}
    links = {(one["rel"], one["type"]) for one in body["links"]}
    assert ("self", "application/fg+json") in links and ("alternate", "text/csv") in links

    moved = served.get(POINTS, f="jsonfg", crs=f"{EPSG}/4490").json()
    assert moved["coordRefSys"] == f"{EPSG}/4490"
    assert all(feature["geometry"] is None for feature in moved["features"])
    lon, lat = plain[0]["geometry"]["coordinates"]
    assert moved["features"][0]["place"]["coordinates"] == pytest.approx([lat, lon], abs=1e-6)

    one = served.get(f"{POINTS}/{plain[0]['id']}", f="jsonfg")
    assert one.headers["content-type"] == "application/fg+json"
    assert one.json()["conformsTo"] == body["conformsTo"] and one.json()["time"] == time_
    assert served.get(POINTS, f="jsonfg", datum="gcj02").json()["parameter"] == "datum"


def test_jsonfg_of_open_ends(writable: Served) -> None:
    writable.put(
        "shelters",
        {"code": "a", "geom": "POINT(120.4 36.3)", "valid_from": "2024-01-01T00:00:00Z"},
        {"code": "b", "geom": "POINT(120.4 36.3)"},
    )
    path = "/collections/shelters/items"
    first, second = writable.get(path, f="jsonfg").json()["features"]
    assert first["time"] == {"interval": ["2024-01-01T00:00:00Z", ".."]} and second["time"] is None
    chosen = writable.get(path, f="jsonfg", properties="code").json()["features"]
    assert chosen[0]["time"] is None  # a time that was not chosen is not told


# ------------------------------------------------------------------ headers


@pytest.mark.parametrize("form", FILES, ids=NAMES)
def test_headers(served: Served, form: Any) -> None:
    answer = served.client.get(POINTS, headers={"Accept": form.media_type, "Accept-Language": "zh"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(form.media_type)
    disposition = answer.headers["content-disposition"]
    assert 'filename="geohazard-points_' in disposition
    name = unquote(disposition.partition("filename*=UTF-8''")[2])
    assert name.startswith("地质灾害点_") and name.endswith(f".{form.extension}")
    if form.way is Way.SPOOL:
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert "content-encoding" not in answer.headers
    tag = answer.headers["etag"]
    again = served.client.get(
        POINTS, headers={"Accept": form.media_type, "Accept-Language": "zh", "If-None-Match": tag}
    )
    assert again.status_code == 304 and again.content == b""


def test_every_page_links_to_every_format(served: Served) -> None:
    page = served.get(POINTS, risk_level=1, limit=2).json()
    alternates = {one["type"]: one["href"] for one in page["links"] if one["rel"] == "alternate"}
    assert alternates.keys() == {one.media_type for one in OF_PAGE if one.name != "geojson"}
    for media_type, href in alternates.items():
        answer = served.client.get(href)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(media_type)
        assert "risk_level=1" in href


def test_what_nobody_makes(served: Served) -> None:
    answer = served.client.get(POINTS, headers={"Accept": "image/png"})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"
    assert "text/csv" in answer.json()["detail"]
    assert served.get(POINTS, f="shp").json()["parameter"] == "f"
    assert served.get(f"{POINTS}/1", f="csv").status_code == 400


# ------------------------------------------------------------------ files in the making


def test_no_file_is_left(served: Served) -> None:
    folder = served.settings.data_dir / "exports"
    export(served, "shelters", "flatgeobuf")
    assert list(folder.iterdir()) == [] and folder.stat().st_mode & 0o777 == 0o700


def test_what_a_killed_process_left_goes_at_the_next_start(served: Served) -> None:
    folder = served.settings.data_dir / "exports"
    dead, alive = folder / "dead", folder / "alive"
    for one in (dead, alive):
        one.mkdir(parents=True)
        (one / "lock").touch()
        (one / "half.fgb").write_bytes(b"half")
    with (alive / "lock").open("rb") as lock:
        assert exports.flocks.take(lock.fileno())
        with TestClient(create_app(served.settings)):
            assert not dead.exists() and alive.exists()
    with TestClient(create_app(served.settings)):
        assert not alive.exists()


def test_only_so_many_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.app.state.context.exports, "_running", exports.AT_ONCE)
    answer = served.get(POINTS, f="geoparquet")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert served.get(POINTS, f="csv").status_code == 200  # what is streamed does not wait


@pytest.mark.parametrize("form", ["xlsx", "flatgeobuf", "geoparquet"])
def test_a_full_disk(served: Served, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """It fills after the start: the first look still finds room."""
    looks = iter((1 << 40,))
    usage = exports.shutil.disk_usage

    def shrinking(path: Any) -> Any:
        return usage(path)._replace(free=next(looks, 0))

    monkeypatch.setattr(exports.shutil, "disk_usage", shrinking)
    answer = served.get(POINTS, f=form)
    assert answer.status_code == 507, answer.text
    assert answer.json()["type"].endswith("exports.disk_full")
    assert list((served.settings.data_dir / "exports").iterdir()) == []


@pytest.mark.parametrize("form", ["xlsx", "flatgeobuf", "geoparquet"])
def test_a_file_that_takes_too_long(served: Served, form: str) -> None:
    settings = served.settings.model_copy(update={"export_timeout_s": 0.001})
    with TestClient(create_app(settings)) as client:
        answer = client.get(POINTS, params={"f": form})
    assert answer.status_code == 503
    assert list((served.settings.data_dir / "exports").iterdir()) == []


# ------------------------------------------------------------------ streams that break


@pytest.fixture(scope="module")
def large(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """20,000 features of some 4 kB each."""
    with serving(cluster, migrated) as found:
        with found.database.write(Actor("test"), timeout_s=0) as session:
            session.execute(
                text(
                    "INSERT INTO geohazard_points (code, geom, evac_route) SELECT 'c' || n,"
                    # Not in a field that is searched: its index would take most of the time.
                    " 'SRID=4326;POINT(120.5 36.5)', repeat('长', 1300)"
                    " FROM generate_series(1, 20000) n"
                )
            )
        yield found


@pytest.mark.parametrize("form", ["geojsonseq", "csv"])
def test_a_stream_that_breaks_does_not_look_whole(large: Served, form: str) -> None:
    with listening(create_app(large.settings)) as port:
        url = f"http://127.0.0.1:{port}{POINTS}"
        with (
            pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"),
            httpx.stream("GET", url, params={"f": form}, timeout=60) as answer,
        ):
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            next(pieces)
            eventually(lambda: len(streaming(large.database)) == 1)
            (process,) = streaming(large.database)
            with large.database.own(Actor("test")) as session:
                session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": process})
            for _ in pieces:
                pass
        assert httpx.get(url, params={"limit": 1}).status_code == 200


@pytest.mark.parametrize("form", ["geojsonseq", "csv", "xlsx", "geoparquet"])
def test_a_client_that_leaves_gives_everything_back(
    large: Served, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(large.settings)
    database, running = app.state.context.database, app.state.context.exports
    with listening(app) as port:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(f"GET {POINTS}?f={form} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                eventually(lambda: backends(large.database) != [])
            left = time.monotonic()
            eventually(lambda: backends(large.database) == [])
            assert time.monotonic() - left < 10  # far from any deadline of the service
        eventually(lambda: database.async_engine.pool.checkedout() == 0)
        eventually(lambda: database.engine.pool.checkedout() == 0 and running._running == 0)
        folder = large.settings.data_dir / "exports"
        assert not folder.exists() or list(folder.iterdir()) == []
        answer = httpx.get(f"http://127.0.0.1:{port}{POINTS}?f={form}&limit=1")
        assert answer.status_code == 200
    # Nor does it fill the log: asyncio tells of an exception that nobody looked at when its task
    # is collected.
    gc.collect()
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


def test_the_service_answers_while_a_file_is_made(large: Served) -> None:
    with listening(create_app(large.settings)) as port:
        url = f"http://127.0.0.1:{port}{POINTS}"

        async def both() -> tuple[httpx.Response, bool, httpx.Response]:
            async with httpx.AsyncClient(timeout=120) as client:
                file = asyncio.create_task(client.get(url, params={"f": "xlsx"}))
                await asyncio.sleep(0.2)
                one = await client.get(url, params={"limit": 1})
                return one, file.done(), await file

        one, done, file = asyncio.run(both())
    assert one.status_code == file.status_code == 200 and not done
    with zipfile.ZipFile(io.BytesIO(file.content)) as book:
        assert book.read("xl/worksheets/sheet1.xml").count(b"<row") == 20_001
