"""OGC API - Tiles part 1 (20-057), its abstract tests by their names, and TileJSON 3."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from api_help import CATALOG, Served, serving
from riskmap.api.tilesets import SCHEME, TILESETS
from riskmap.db.cluster import Cluster
from riskmap.tiles.grid import GRIDS

LAYER = "shelters"
MVT = "application/vnd.mapbox-vector-tile"
SPEC = "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        yield found


def linked(body: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [one for one in body["links"] if one["rel"] == rel]


def follow(served: Served, link: dict[str, Any], **parts: Any) -> Any:
    href = link["href"]
    for name, value in parts.items():
        href = href.replace(f"{{{name}}}", str(value))
    return served.client.get(href)


def at(grid: str, lon: float, lat: float, matrix: int) -> tuple[int, int]:
    """Return row and column by the standard's arithmetic, of the definition that is served."""
    columns = GRIDS[grid].columns(matrix + GRIDS[grid].shift)
    if grid == "WebMercatorQuad":
        y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
        return int(y * columns), int((lon + 180) / 360 * columns)
    return int((90 - lat) / 360 * columns), int((lon + 180) / 360 * columns)


# ------------------------------------------------------------------ /conf/core


def test_conf_core_conformance_success(served: Served) -> None:
    classes = served.get("/conformance").json()["conformsTo"]
    for one in ("core", "tileset", "tilesets-list", "dataset-tilesets", "geodata-tilesets", "mvt"):
        assert f"{SPEC}/{one}" in classes


@pytest.mark.parametrize("grid", GRIDS)
def test_conf_core_tc_op_and_success(served: Served, grid: str) -> None:
    """A tile of every tileset: 200 or 204, of the type that its link says."""
    found = 0
    for path in (f"/collections/{LAYER}/tiles/{grid}", f"/tiles/{grid}"):
        tileset = served.get(path).json()
        [item] = linked(tileset, "item")
        assert item["type"] == MVT and item["templated"] is True
        for limit in tileset["tileMatrixSetLimits"]:
            matrix = int(limit["tileMatrix"])
            row, column = at(grid, 120.34, 36.34, matrix)
            assert limit["minTileRow"] <= row <= limit["maxTileRow"]
            assert limit["minTileCol"] <= column <= limit["maxTileCol"]
            answer = follow(served, item, tileMatrix=matrix, tileRow=row, tileCol=column)
            assert answer.status_code in (200, 204), answer.text
            if answer.status_code == 200:
                found += 1
                assert answer.headers["content-type"] == MVT
                assert mapbox_vector_tile.decode(answer.content)
    assert found > 10


@pytest.mark.parametrize("grid", GRIDS)
def test_conf_core_tc_error(served: Served, grid: str) -> None:
    """Outside of the matrix: 404 or 400."""
    [item] = linked(served.get(f"/collections/{LAYER}/tiles/{grid}").json(), "item")
    rows, columns = GRIDS[grid].rows(8), GRIDS[grid].columns(8)
    matrix = 8 - GRIDS[grid].shift
    for row, column in (
        (rows, 0), (0, columns), (2**31 - 1, 0), (0, 2**31 - 1), (-1, 0), ("a", 0)
    ):  # fmt: skip
        answer = follow(served, item, tileMatrix=matrix, tileRow=row, tileCol=column)
        assert answer.status_code in (400, 404), (row, column)
        assert answer.headers["content-type"] == "application/problem+json"
    for other in (99, -1, "x"):
        assert follow(served, item, tileMatrix=other, tileRow=0, tileCol=0).status_code in (
            400,
            404,
        )


def test_the_api_definition_names_the_operations(served: Served) -> None:
    paths = served.get("/openapi.json").json()["paths"]
    named = {one["get"]["operationId"] for path, one in paths.items() if "{tileRow}" in path}
    assert len(named) == 2 and all(".getTile" in one for one in named)
    for path in ("/collections/{collectionId}/tiles", "/tiles", "/tileMatrixSets"):
        assert path in paths


# ------------------------------------------------------------------ /conf/tileset


@pytest.mark.parametrize("path", [f"/collections/{LAYER}/tiles", "/tiles"])
@pytest.mark.parametrize("grid", GRIDS)
def test_conf_tileset_desc_success(served: Served, path: str, grid: str) -> None:
    tileset = served.get(f"{path}/{grid}").json()
    assert tileset["dataType"] == "vector" and tileset["crs"].startswith("http://www.opengis.net/")
    [scheme] = linked(tileset, SCHEME)
    assert follow(served, scheme).json()["id"] == grid
    [own] = linked(tileset, "self")
    assert follow(served, own).json() == tileset
    if grid != "CGCS2000Quad":
        assert tileset["tileMatrixSetURI"].endswith(f"/OGC/1.0/{grid}")
    ids = {one["id"] for one in tileset["layers"]}
    assert ids == ({LAYER} if "collections" in path else set(CATALOG))


def test_layers_say_what_their_features_carry_and_no_more(served: Served) -> None:
    [layer] = served.get(f"/collections/{LAYER}/tiles/WebMercatorQuad").json()["layers"]
    declared = [one.name for one in CATALOG[LAYER].fields if one.in_tile and not one.restricted]
    assert list(layer["propertiesSchema"]["properties"]) == declared
    whole = served.get("/tiles/WebMercatorQuad").json()["layers"]
    dimensions = {one["id"]: one.get("geometryDimension") for one in whole}
    assert dimensions["rescue-teams"] == 0 and dimensions["fault-lines"] == 1
    assert dimensions["flash-flood-zones"] == 2 and dimensions["risk-records"] is None


# ------------------------------------------------------------------ /conf/tilesets-list


@pytest.mark.parametrize("path", [f"/collections/{LAYER}/tiles", "/tiles"])
def test_conf_tilesets_list_success(served: Served, path: str) -> None:
    body = served.get(path).json()
    assert len(body["tilesets"]) == len(GRIDS)
    for one in body["tilesets"]:
        assert {"title", "dataType", "crs", "links"} <= set(one)
        [own] = linked(one, "self")
        assert follow(served, own).json()["crs"] == one["crs"]
        assert follow(served, linked(one, SCHEME)[0]).status_code == 200


def test_conf_dataset_tilesets_landing_page(served: Served) -> None:
    [link] = linked(served.get("/", f="json").json(), TILESETS)
    assert follow(served, link).json()["tilesets"]


def test_conf_geodata_tilesets_rc_op(served: Served) -> None:
    for layer in CATALOG:
        [link] = linked(served.get(f"/collections/{layer}").json(), TILESETS)
        assert follow(served, link).json()["tilesets"]


# ------------------------------------------------------------------ grids


def test_registered_grids_are_as_registered(served: Served) -> None:
    """Numbers of the registry (17-083r4 annex D.1 and D.2)."""
    mercator = served.get("/tileMatrixSets/WebMercatorQuad").json()
    first, fifth = mercator["tileMatrices"][0], mercator["tileMatrices"][5]
    assert first["scaleDenominator"] == pytest.approx(559082264.028717)
    assert first["cellSize"] == pytest.approx(156543.033928041)
    assert first["pointOfOrigin"] == pytest.approx([-20037508.3427892, 20037508.3427892])
    assert fifth["scaleDenominator"] == pytest.approx(17471320.7508974)
    assert (fifth["matrixWidth"], fifth["matrixHeight"]) == (32, 32)
    degrees = served.get("/tileMatrixSets/WorldCRS84Quad").json()
    assert degrees["tileMatrices"][0] == {
        "id": "0",
        "scaleDenominator": pytest.approx(279541132.014358),
        "cellSize": pytest.approx(0.703125),
        "cornerOfOrigin": "topLeft",
        "pointOfOrigin": [-180, 90],
        "tileWidth": 256,
        "tileHeight": 256,
        "matrixWidth": 2,
        "matrixHeight": 1,
    }


def test_tianditu_s_grid(served: Served) -> None:
    """Matrix 1 of its set "c" is two tiles of 180 degrees; the latitude comes first in 4490."""
    grid = served.get("/tileMatrixSets/CGCS2000Quad").json()
    assert grid["crs"].endswith("/EPSG/0/4490") and grid["orderedAxes"] == ["Lat", "Lon"]
    first = grid["tileMatrices"][0]
    assert first["id"] == "1" and (first["matrixWidth"], first["matrixHeight"]) == (2, 1)
    assert first["cellSize"] == pytest.approx(0.703125) and first["pointOfOrigin"] == [90, -180]
    listed = served.get("/tileMatrixSets").json()["tileMatrixSets"]
    assert [one["id"] for one in listed] == list(GRIDS)
    assert "天地图" in listed[2]["title"]


# ------------------------------------------------------------------ tiles


def test_a_tile_by_any_address_is_the_same(served: Served) -> None:
    row, column = at("WebMercatorQuad", 120.34, 36.34, 10)
    plain = served.get(f"/tiles/{LAYER}/10/{column}/{row}.mvt")
    assert plain.status_code == 200
    for path, query in (
        (f"/collections/{LAYER}/tiles/WebMercatorQuad/10/{row}/{column}", {}),
        (f"/tiles/WebMercatorQuad/10/{row}/{column}", {"collections": LAYER}),
    ):
        answer = served.get(path, **query)
        assert answer.content == plain.content and answer.headers["etag"]
    every = mapbox_vector_tile.decode(
        served.get(f"/tiles/WebMercatorQuad/10/{row}/{column}").content
    )
    assert len(every) > 5 and LAYER in every


def test_filters_hold_for_every_address(served: Served) -> None:
    row, column = at("WebMercatorQuad", 120.34, 36.34, 8)
    code = served.items(LAYER)[0]["properties"]["code"]
    for path in (
        f"/collections/{LAYER}/tiles/WebMercatorQuad/8/{row}/{column}",
        f"/tiles/WebMercatorQuad/8/{row}/{column}",
    ):
        query = {"code": code, **({} if "collections" in path else {"collections": LAYER})}
        decoded = mapbox_vector_tile.decode(served.get(path, **query).content)
        assert len(decoded[LAYER]["features"]) == 1


@pytest.mark.parametrize(
    ("path", "query", "status", "parameter"),
    [
        (f"/collections/{LAYER}/tiles/Nope", {}, 404, "tileMatrixSetId"),
        ("/collections/nope/tiles", {}, 404, "layer"),
        (f"/collections/{LAYER}/tiles", {"x": 1}, 400, "x"),
        ("/tileMatrixSets/Nope", {}, 404, "tileMatrixSetId"),
        ("/tiles/WebMercatorQuad/5/1/1", {"collections": "shelters,nope"}, 404, "layer"),
        ("/tiles/WebMercatorQuad/5/1/1", {"collections": "shelters,shelters"}, 400, "collections"),
        ("/tiles/WebMercatorQuad/5/1/1", {"collections": ",".join("abcdefghijklmnopq")}, 400,
         "collections"),
        (f"/collections/{LAYER}/tiles/WebMercatorQuad/5/1/1", {"collections": "a"}, 400,
         "collections"),
        ("/tiles/WebMercatorQuad/5/1/1", {"collections": "shelters,fault-lines", "kind": "x"}, 400,
         "kind"),
        (f"/collections/{LAYER}/tiles/WebMercatorQuad/5/1/1", {"filter": "nope = 1"}, 400,
         "filter"),
        (f"/tiles/{LAYER},nope.json", {}, 404, "layer"),
        (f"/tiles/{LAYER}.json", {"nope": 1}, 400, "nope"),
        ("/tiles/roads.json", {"bbox": "1,2,3,4"}, 400, "bbox"),
    ],
)  # fmt: skip
def test_bad_input_names_the_parameter(
    served: Served, path: str, query: dict[str, Any], status: int, parameter: str
) -> None:
    answer = served.get(path, **query)
    assert answer.status_code == status, answer.text
    assert answer.json()["parameter"] == parameter


# ------------------------------------------------------------------ TileJSON


def test_tilejson_names_layers_fields_and_where_they_lie(served: Served) -> None:
    body = served.get(f"/tiles/{LAYER},geohazard-points,roads.json", lang="en").json()
    assert body["tilejson"] == "3.0.0"
    assert [one["id"] for one in body["vector_layers"]] == [LAYER, "geohazard-points", "roads"]
    declared = {one.name: one.en for one in CATALOG[LAYER].fields if one.in_tile}
    assert body["vector_layers"][0]["fields"] == declared
    west, south, east, north = body["bounds"]
    assert west < 120.34 < east and south < 36.34 < north
    assert body["riskmap:dropped"]["header"] == "X-Riskmap-Dropped"
    [url] = body["tiles"]
    row, column = at("WebMercatorQuad", 120.34, 36.34, 10)
    answer = served.client.get(
        url.replace("{z}", "10").replace("{x}", str(column)).replace("{y}", str(row))
    )
    assert answer.status_code == 200


def test_fields_of_cells_and_roads_are_told(served: Served) -> None:
    names = ("geohazard-points", "roads")
    body = served.get(f"/tiles/{','.join(names)}.json").json()
    told = {one["id"]: set(one["fields"]) for one in body["vector_layers"]}
    tileset = served.get("/collections/geohazard-points/tiles/WebMercatorQuad").json()
    schema = set(tileset["layers"][0]["propertiesSchema"]["properties"])
    carried: dict[str, set[str]] = {}
    for z in (0, 10, 14):
        row, column = at("WebMercatorQuad", 120.34, 36.34, z)
        answer = served.get(f"/tiles/{','.join(names)}/{z}/{column}/{row}.mvt")
        for name, layer in mapbox_vector_tile.decode(answer.content).items():
            found = (one["properties"] for one in layer["features"])
            carried.setdefault(name, set()).update(*found)
    assert {"cell", "n", "n0", "top"} <= carried["geohazard-points"] <= told["geohazard-points"]
    assert carried["geohazard-points"] <= schema
    assert carried.get("roads", set()) <= told["roads"] >= {"name", "oneway"}


def test_tilejson_carries_a_filter_into_the_tiles(served: Served) -> None:
    body = served.get("/tiles/geohazard-points.json", filter="risk_level = 1").json()
    [url] = body["tiles"]
    answer = served.client.get(url.replace("{z}", "0").replace("{x}", "0").replace("{y}", "0"))
    decoded = mapbox_vector_tile.decode(answer.content)["geohazard-points"]["features"]
    counts = [one["properties"] for one in decoded]
    assert sum(one["n"] for one in counts) == sum(one["n1"] for one in counts) > 0


# ------------------------------------------------------------------ other readers


def test_gdal_reads_the_same_features(served: Served, tmp_path: Path) -> None:
    """The MVT driver of the distribution's GDAL beside mapbox-vector-tile."""
    row, column = at("WebMercatorQuad", 120.34, 36.34, 10)
    answer = served.get(f"/tiles/rescue-teams/10/{column}/{row}.mvt")
    file = tmp_path / "10" / str(column) / f"{row}.mvt"
    file.parent.mkdir(parents=True)
    file.write_bytes(answer.content)
    mine = mapbox_vector_tile.decode(answer.content)["rescue-teams"]["features"]
    told = subprocess.run(
        ["ogrinfo", "-ro", "-al", f"MVT:{file}"], capture_output=True, text=True, check=True
    ).stdout
    # GDAL counts what lies in the buffer alone, and does not show it: the neighbour has it.
    assert f"Feature Count: {len(mine)}" in told
    within = [one for one in mine if all(0 <= n <= 4096 for n in one["geometry"]["coordinates"])]
    names = sorted(line.split(" = ")[1] for line in told.splitlines() if "  name (String)" in line)
    assert names == sorted(one["properties"]["name"] for one in within) and names
