"""Real and awkward files land where they belong: the questions that an analyst asks on day one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy import text

from conftest import shared_data
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.crs.china import wgs84_to_bd09
from riskmap.db.city import City, write_city
from riskmap.db.sessions import Actor, Database
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.report import ImportRejectedError, ImportReport
from riskmap.ingest.run import ImportOptions, import_file
from riskmap.units import Bbox

ACTOR = Actor("test")
CATALOG = load_catalog()
COUNT = 200


def layer(role: Role) -> Layer:
    return CATALOG.with_role(role)[0]


def brought_in(
    database: Database, city: City, target: Layer, path: Path, **options: Any
) -> ImportReport:
    return import_file(database, city, target, path, ImportOptions(**options), actor=ACTOR)


def stored(database: Database, target: Layer, source: str) -> dict[str, tuple[float, float]]:
    with database.read() as session:
        rows = session.execute(
            text(
                f"SELECT code, ST_X(geom), ST_Y(geom) FROM {target.table}"
                " WHERE source_system = :source"
            ),
            {"source": source},
        ).all()
    return {row[0]: (row[1], row[2]) for row in rows}


def revision(database: Database) -> object:
    with database.read() as session:
        return session.execute(text("SELECT max(revision), count(*) FROM feed")).one()


def metres_apart(first: tuple[float, float], second: tuple[float, float]) -> float:
    east = (first[0] - second[0]) * np.cos(np.radians(first[1])) * 111_320.0
    return float(np.hypot(east, (first[1] - second[1]) * 111_320.0))


def three_files(folder: Path, lonlat: np.ndarray) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Write the same places as a map app, a survey office and a hand-kept table would."""
    names = [f"避难场所{number}" for number in range(len(lonlat))]
    codes = [f"S{number}" for number in range(len(lonlat))]
    baidu = wgs84_to_bd09(lonlat)
    app = folder / "百度.csv"
    lines = ["统一编号,名称,经度,纬度"]
    lines += [
        f"{code},{name},{x:.9f},{y:.9f}"
        for code, name, (x, y) in zip(codes, names, baidu, strict=True)
    ]
    app.write_bytes("\r\n".join(lines).encode("gb18030"))

    easting, northing = Transformer.from_crs(4326, 4528, always_xy=True).transform(*lonlat.T)
    survey = folder / "survey.shp"
    frame = geopandas.GeoDataFrame(
        {"code": codes, "名称": names}, geometry=shapely.points(easting, northing), crs="EPSG:4528"
    )
    pyogrio.write_dataframe(frame, survey, encoding="GBK")

    easting, northing = Transformer.from_crs(4326, 4549, always_xy=True).transform(*lonlat.T)
    table = folder / "坐标表.csv"
    lines = ["code,name,X,Y"]
    lines += [
        f"{code},{name},{north:.4f},{east:.4f}"
        for code, name, east, north in zip(codes, names, easting, northing, strict=True)
    ]
    table.write_text("\n".join(lines), encoding="utf-8")
    return {
        "app": (app, {"crs": "BD09"}),
        "survey": (survey, {"crs": "EPSG:4528"}),
        "table": (table, {"crs": "EPSG:4549", "axes": "ne"}),
    }


def test_three_files_of_the_same_places_land_on_the_same_spots(
    database: Database, city: City, tmp_path: Path
) -> None:
    """DOMAIN question 14: BD-09 CSV in GBK, EPSG:4528 shapefile in GBK, (north, east) table."""
    chance = np.random.default_rng(14)
    lonlat = chance.uniform((120.05, 36.05), (120.95, 36.95), (COUNT, 2))
    target = layer(Role.SHELTER)
    files = three_files(tmp_path, lonlat)
    found = {}
    for source, (path, how) in files.items():
        report = brought_in(database, city, target, path, source_system=source, **how)
        assert (report.inserted, report.rejected) == (COUNT, 0), report.render("en")
        found[source] = stored(database, target, source)
    for number in range(COUNT):
        spots = [found[source][f"S{number}"] for source in files]
        truth = (float(lonlat[number, 0]), float(lonlat[number, 1]))
        for spot in spots:
            assert metres_apart(truth, spot) < 0.05
            assert metres_apart(spots[0], spot) < 0.1

    before = revision(database)
    for source, (path, how) in files.items():
        report = brought_in(database, city, target, path, source_system=source, **how)
        assert (report.inserted, report.updated, report.unchanged) == (0, 0, COUNT)
        assert stored(database, target, source) == found[source]
    assert revision(database) == before


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("table", {"crs": "EPSG:4549"}),  # north read as east
        ("survey", {"crs": "EPSG:4549"}),  # the file says otherwise
        ("app", {"crs": "EPSG:4528"}),
    ],
)
def test_the_wrong_words_about_a_file_are_refused(
    database: Database, city: City, tmp_path: Path, source: str, wrong: dict[str, Any]
) -> None:
    lonlat = np.random.default_rng(15).uniform((120.05, 36.05), (120.95, 36.95), (20, 2))
    path, _ = three_files(tmp_path, lonlat)[source]
    before = revision(database)
    with pytest.raises(Exception) as refused:
        brought_in(database, city, layer(Role.SHELTER), path, source_system=source, **wrong)
    if isinstance(refused.value, ImportRejectedError):
        assert refused.value.report.rejected == 20
        keys = {problem.key for problem in refused.value.report.problems}
        if source == "table":
            assert keys == {"ingest.outside.swapped"}
    assert revision(database) == before


NANJING = City("南京市", "Nanjing", Bbox(118.2, 31.1, 119.4, 32.8), 4549, "Asia/Shanghai")
DISTRICTS = FieldMapping(fields={"code": "adcode", "name": "name"}, constants={"level": "district"})


def test_nanjing_districts_declare_no_datum_and_land_right_when_told(database: Database) -> None:
    path = shared_data("nanjing", "districts_gcj02.json")
    roads = shapely.from_wkb(pyogrio.raw.read(shared_data("nanjing", "roads.gpkg"), columns=[])[2])
    # Shape points, and the junctions that lines share once each; seven of the source's 146,839
    # nodes lie on the position of another one.
    xy, line = shapely.get_coordinates(roads, return_index=True)
    step = np.diff(line, prepend=-1, append=line[-1] + 1) != 0
    ends = step[:-1] | step[1:]
    vertices = shapely.points(np.vstack([xy[~ends], np.unique(xy[ends], axis=0)]))
    with database.own(ACTOR) as session:
        write_city(session, NANJING)
    target = layer(Role.AREA)
    with pytest.raises(ImportRejectedError) as refused:
        brought_in(database, NANJING, target, path, crs="GCJ02", mapping=DISTRICTS)
    report = refused.value.report
    assert (report.rows, report.rejected) == (11, 2)
    assert {problem.key for problem in report.problems} == {"ingest.geometry.invalid"}
    outside = {}
    for crs in ("GCJ02", "EPSG:4326"):
        how = {"crs": crs, "mapping": DISTRICTS, "repair": True, "source_system": crs}
        report = brought_in(database, NANJING, target, path, **how)
        assert (report.inserted, report.repaired, len(report.notes)) == (11, 2, 2)
        with database.read() as session:
            wkb = session.execute(
                text(
                    f"SELECT ST_AsBinary(ST_Union(geom)) FROM {target.table}"
                    " WHERE source_system = :source"
                ),
                {"source": crs},
            ).scalar_one()
        city_area = shapely.from_wkb(bytes(wkb))
        shapely.prepare(city_area)
        outside[crs] = int((~shapely.intersects(city_area, vertices)).sum())
    assert len(vertices) == 146_839 - 7
    # The usual one-step inverse, up to 2.5 m off, says 105; one vertex lies 0.35 m within the
    # boundary that the formula itself gives (tests/unit/test_crs_input.py shows both).
    assert outside == {"GCJ02": 104, "EPSG:4326": 636}


JAPAN = City("日本", "Japan", Bbox(122.0, 20.0, 154.0, 46.0), 32654, "Asia/Tokyo")
SHELTERS = {
    "evacuation": FieldMapping(
        fields={"code": "共通ID", "name": "施設・場所名", "address": "住所", "source_id": "NO"}
    ),
    "emergency": FieldMapping(
        fields={"code": "共通ID", "name": "施設・場所名", "address": "住所", "source_id": "NO"}
    ),
}


# The tenth of a file has places from Hokkaido to Okinawa; `make prove-import` takes all of both.
@pytest.mark.parametrize(
    ("name", "every", "count"),
    [
        ("evacuation", 10, 8_256),
        pytest.param("evacuation", 1, 82_557, marks=pytest.mark.prove),
        pytest.param("emergency", 1, 115_402, marks=pytest.mark.prove),
    ],
)
def test_japans_shelters_land_and_land_again(
    database: Database, tmp_path: Path, name: str, every: int, count: int
) -> None:
    path = tmp_path / f"{name}.geojson"
    with gzip.open(shared_data("japan-shelters", f"{name}.geojson.gz")) as packed:
        whole = packed.read()
    if every == 1:
        path.write_bytes(whole)
    else:
        file = json.loads(whole)
        file["features"] = file["features"][::every]
        path.write_text(json.dumps(file, ensure_ascii=False), encoding="utf-8")
    with database.own(ACTOR) as session:
        write_city(session, JAPAN)
    how: dict[str, Any] = {"crs": "EPSG:4326", "mapping": SHELTERS[name], "source_system": name}
    target = layer(Role.SHELTER)
    report = brought_in(database, JAPAN, target, path, **how)
    assert (report.rows, report.inserted, report.rejected) == (count, count, 0)
    # The truth, read by nothing of ours.
    features = json.loads(path.read_bytes())["features"]
    expected = {
        f["properties"]["共通ID"]: tuple(f["geometry"]["coordinates"][:2]) for f in features
    }
    assert stored(database, target, name) == expected
    before = revision(database)
    report = brought_in(database, JAPAN, target, path, **how)
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, count)
    assert revision(database) == before
