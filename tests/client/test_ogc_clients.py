"""Clients that others wrote, against the service on a real port: GDAL twice, OWSLib, geopandas."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import geopandas
import pytest
from owslib.ogcapi.features import Features
from pyproj import Transformer
from shapely import from_wkt, transform
from sqlalchemy import func, select, text

from api_help import CATALOG, Served, listening
from ogc_help import LAYERS, a_city
from riskmap.app import create_app
from riskmap.db.base import METADATA
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

# More than two of the service's pages and, on GDAL 3.6, some 240 of its own.
MANY = "risk-records"
COUNT = 2_345


@pytest.fixture(scope="module")
def city(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with a_city(cluster, migrated) as served:
        with served.database.own(Actor("test")) as session:
            session.execute(
                text(
                    "INSERT INTO risk_records (code, name, risk_level, geom)"
                    " SELECT 'm' || n, '点, K' || n || '+300', nullif(n % 5, 0),"
                    " ST_SetSRID(ST_MakePoint(120 + n / 5000.0, 36 + n / 4000.0), 4326)"
                    " FROM generate_series(1, :count) n"
                ),
                {"count": COUNT},
            )
        yield served


@pytest.fixture(scope="module")
def root(city: Served) -> Iterator[str]:
    with listening(create_app(city.settings)) as port:
        yield f"http://127.0.0.1:{port}"


def stored(city: Served, layer: str, *where: str) -> set[int]:
    """Return the ids that the database itself has."""
    with city.database.own(Actor("test")) as session:
        ids = select(METADATA.tables[CATALOG[layer].table].c.id).where(*map(text, where))
        return set(session.execute(ids).scalars())


def gdal(program: str, *arguments: str) -> str:
    """Run a program of the distribution's GDAL."""
    if shutil.which(program) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} missing in CI")
        pytest.skip(f"{program} is not here")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr
    return done.stdout


def read_by_gdal(root: str, layer: str, *options: str) -> list[dict[str, Any]]:
    source = ("-f", "GeoJSONSeq", "/vsistdout/", f"OAPIF:{root}", layer)
    out = gdal("ogr2ogr", "-preserve_fid", *source, *options)
    return [json.loads(line) for line in out.splitlines()]


def ids(features: list[dict[str, Any]]) -> set[int]:
    found = [one["id"] for one in features]
    assert len(found) == len(set(found))
    return set(found)


def test_gdal_of_the_distribution_lists_every_collection(root: str) -> None:
    told = gdal("ogrinfo", "-ro", f"OAPIF:{root}")
    for layer in CATALOG.values():
        assert f"{layer.id} (title: {layer.title.zh})" in told


@pytest.mark.parametrize("layer", CATALOG)
def test_gdal_of_the_distribution_reads_every_collection_whole(
    city: Served, root: str, layer: str
) -> None:
    ids_there = stored(city, layer)
    told = gdal("ogrinfo", "-ro", "-so", f"OAPIF:{root}", layer)
    assert f"Feature Count: {len(ids_there)}" in told
    # A column in which nothing is stated keeps its type.
    types = {"integer": "Integer", "number": "Real", "datetime": "DateTime", "text": "String"}
    for field in CATALOG[layer].visible(restricted=False):
        if field.kind in types and field.kind != "boolean":
            assert f"{field.name}: {types[field.kind]} (" in told, field.name
    assert ids(read_by_gdal(root, layer)) == ids_there


@pytest.mark.parametrize("layer", [*LAYERS, MANY])
def test_gdal_of_the_distribution_reads_a_box(city: Served, root: str, layer: str) -> None:
    corners = (120.2, 36.2, 120.5, 36.5)
    inside = "ST_Intersects(geom, ST_MakeEnvelope(120.2,36.2,120.5,36.5,4326))"
    expected = stored(city, layer, inside)
    found = ids(read_by_gdal(root, layer, "-spat", *map(str, corners)))
    assert expected and found == expected


@pytest.mark.parametrize(
    ("where", "sql"),
    [
        ("risk_level = 2", "risk_level = 2"),
        ("risk_level = 2 AND status = 'active'", "risk_level = 2 AND status = 'active'"),
        ("risk_level IS NULL", "risk_level IS NULL"),
        ("risk_level > 2", "risk_level > 2"),
        ("code = 'm17'", "code = 'm17'"),
        # A comma and a plus sign, which the program writes into an address as they are.
        ("name = '点, K300+300'", "name = '点, K300+300'"),
        ("name LIKE '点, K23%'", "name LIKE '点, K23%'"),
    ],
)
def test_gdal_of_the_distribution_filters(city: Served, root: str, where: str, sql: str) -> None:
    expected = stored(city, MANY, sql)
    assert ids(read_by_gdal(root, MANY, "-where", where)) == expected
    assert expected or "active" in where


# GDAL holds Python's lock while it waits for the service, which here runs in a thread of the same
# process: so it gets a process of its own, one for all questions, as its imports take a second.
READ = """
import json, sys, pyogrio
for line in sys.stdin:
    root, layer, options = json.loads(line)
    if "bbox" in options:
        options["bbox"] = tuple(options["bbox"])
    frame = pyogrio.read_dataframe(f"OAPIF:{root}", layer=layer, fid_as_index=True, **options)
    print(json.dumps({
        "ids": frame.index.tolist(),
        "columns": frame.columns.tolist(),
        "epsg": frame.crs.to_epsg(),
        "shapes": frame.geometry.to_wkt(rounding_precision=9).tolist(),
    }), flush=True)
"""
Read = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def read_by_pyogrio(root: str) -> Iterator[Read]:
    """Read a collection by the GDAL that pyogrio brings."""
    with subprocess.Popen(
        [sys.executable, "-c", READ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def read(layer: str, **options: Any) -> dict[str, Any]:
            process.stdin.write(json.dumps([root, layer, options]) + "\n")
            process.stdin.flush()
            said = process.stdout.readline()
            assert said, "the reading process ended"
            found: dict[str, Any] = json.loads(said)
            assert len(found["ids"]) == len(set(found["ids"]))
            return found

        yield read


@pytest.mark.parametrize("layer", CATALOG)
def test_gdal_within_pyogrio_reads_every_collection_whole(
    city: Served, read_by_pyogrio: Read, layer: str
) -> None:
    found = read_by_pyogrio(layer)
    assert set(found["ids"]) == stored(city, layer)
    fields = {field.name for field in CATALOG[layer].visible(restricted=False)}
    assert fields <= set(found["columns"])
    assert found["epsg"] in (4326, None)  # CRS84 has no number


def test_gdal_within_pyogrio_filters(city: Served, read_by_pyogrio: Read) -> None:
    for where in ("risk_level = 3", "risk_level IS NULL", "name = '点, K300+300'"):
        assert set(read_by_pyogrio(MANY, where=where)["ids"]) == stored(city, MANY, where)
    inside = "ST_Intersects(geom, ST_MakeEnvelope(120.2,36.2,120.3,36.3,4326))"
    found = read_by_pyogrio(MANY, bbox=(120.2, 36.2, 120.3, 36.3))
    assert set(found["ids"]) == stored(city, MANY, inside)


@pytest.mark.parametrize("code", [4326, 4490, 3857, 4549])
def test_gdal_within_pyogrio_reads_other_systems(read_by_pyogrio: Read, code: int) -> None:
    """It turns the axes back itself: what it shows must lie where the features lie."""
    plain, other = (
        dict(zip(found["ids"], found["shapes"], strict=True))
        for found in (
            read_by_pyogrio("shelters"),
            read_by_pyogrio("shelters", CRS=f"EPSG:{code}"),
        )
    )
    into = Transformer.from_crs(4326, code, always_xy=True)
    near = 0.01 if code in (3857, 4549) else 1e-6
    assert set(plain) == set(other)
    for number, wkt in plain.items():
        moved = transform(from_wkt(wkt), into.transform, interleaved=False)
        assert moved.distance(from_wkt(other[number])) < near


def test_owslib(city: Served, root: str) -> None:
    service = Features(root)
    assert set(service.feature_collections()) == set(CATALOG)
    assert service.api()["openapi"] == "3.0.3"
    classes = service.conformance()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in classes
    assert {link["rel"] for link in service.links} >= {"service-desc", "data", "conformance"}
    for layer in CATALOG:
        assert service.collection(layer)["id"] == layer
        assert "code" in service.collection_queryables(layer)["properties"]
        found = service.collection_items(layer, limit=10_000)
        assert {one["id"] for one in found["features"]} == stored(city, layer)
    one = service.collection_items("shelters", limit=1)["features"][0]
    assert service.collection_item("shelters", str(one["id"]))["properties"] == one["properties"]
    inside = service.collection_items("shelters", bbox=[120.2, 36.2, 120.5, 36.5])
    expected = "ST_Intersects(geom, ST_MakeEnvelope(120.2,36.2,120.5,36.5,4326))"
    assert {f["id"] for f in inside["features"]} == stored(city, "shelters", expected)
    later = service.collection_items("shelters", datetime_="2022-06-01T00:00:00Z")
    assert 0 < later["numberMatched"] < len(stored(city, "shelters"))


@pytest.mark.parametrize("layer", [*LAYERS, MANY])
def test_geopandas_reads_an_address(city: Served, root: str, layer: str) -> None:
    frame = geopandas.read_file(f"{root}/collections/{layer}/items?limit=10000")
    assert len(frame) == len(stored(city, layer))
    with city.database.own(Actor("test")) as session:
        table = METADATA.tables[CATALOG[layer].table]
        extent = session.execute(
            select(*(getattr(func, f"ST_{edge}")(func.ST_Extent(table.c.geom))
                     for edge in ("XMin", "YMin", "XMax", "YMax")))
        ).one()  # fmt: skip
    assert list(frame.total_bounds) == pytest.approx(list(extent), abs=1e-6)
