"""A second city in a second data folder: roads of a GeoPackage with a speed on each line."""

from __future__ import annotations

import itertools
import json
import re

import shapely

from cli_help import a_place
from conftest import shared_data


def test_a_circle_on_the_roads_of_a_geopackage() -> None:
    roads = shared_data("nanjing", "roads.gpkg")
    with a_place(made=True) as place:
        place.done(
            *("city", "init", "--name", "南京市", "--name-en", "Nanjing"),
            *("--bbox=118.3,31.2,119.3,32.7", "--crs", "EPSG:32650"),
        )
        said = place.done(
            *("roads", "import", roads, "--crs", "EPSG:4326", "--map", "speed_kmh=speed_kmh"),
            "--already-split",
        )
        stored = re.search(r"(\d+) edges, \d+ km, (\d+) notes", said.out)
        assert stored is not None, said.out
        # The file has 45,723 lines; those without a length are left out with a note each.
        assert int(stored[1]) + int(stored[2]) == 45_723
        assert 0 < int(stored[2]) < 10
        file = place.cwd / "circle.geojson"
        place.done("circle", "--at=118.796,32.060", "--minutes", "5,10,15", "-o", file)
        answer = json.loads(file.read_text(encoding="utf-8"))
    found = {f["properties"]["minutes"]: f for f in answer["features"]}
    bands = [found[minutes] for minutes in (5, 10, 15)]
    areas = [band["properties"]["area_km2"] for band in bands]
    assert 0 < areas[0] < areas[1] < areas[2]
    shapes = [shapely.from_geojson(json.dumps(band["geometry"])) for band in bands]
    for inner, outer in itertools.pairwise(shapes):
        assert inner.is_valid
        # GeoJSON's rounded coordinates may stick out by a rounding, not by more.
        assert inner.difference(outer).area <= 1e-9
    assert shapes[0].distance(shapely.Point(118.796, 32.060)) < 0.01
