"""What a tile shows: whole at every zoom and edge, in every grid, in GCJ-02, too."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import shape as to_shape
from sqlalchemy import text

from api_help import CATALOG, Served, serving
from riskmap.catalog.spec import Geometry
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.tiles.grid import EXTENT, GRIDS, WORLD_M, Address, Grid

LAYERS = {"points": "rescue-teams", "lines": "fault-lines", "areas": "flash-flood-zones"}
MERCATOR = GRIDS["WebMercatorQuad"]


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


@pytest.fixture(autouse=True)
def emptied(served: Served) -> None:
    tables = ", ".join(CATALOG[name].table for name in LAYERS.values())
    with served.database.own(Actor("test")) as session:
        session.execute(text(f"TRUNCATE {tables}"))
    served.settle()


def only(served: Served, layer: str, geom: str) -> None:
    """Let a layer hold this and nothing else."""
    with served.database.own(Actor("test")) as session:
        session.execute(text(f"TRUNCATE {CATALOG[layer].table}"))
    served.put(
        layer, {"code": "a", "geom": geom, **({"risk_level": 4} if CATALOG[layer].assessed else {})}
    )


def mercator(lon: float, lat: float) -> tuple[float, float]:
    y = math.asinh(math.tan(math.radians(lat))) / math.tau * WORLD_M
    return lon / 360 * WORLD_M, y


def features(served: Served, layer: str, place: Address, **query: Any) -> list[Any]:
    grid = place.grid
    if grid is MERCATOR:
        path = f"/tiles/{layer}/{place.zoom}/{place.x}/{place.y}.mvt"
    else:
        path = f"/collections/{layer}/tiles/{grid.id}/{place.zoom - grid.shift}/{place.y}/{place.x}"
    answer = served.get(path, **query)
    assert answer.status_code in (200, 204), answer.text
    if answer.status_code == 204:
        return []
    decoded = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})
    return list(decoded[layer]["features"])


def on_ground(place: Address, feature: Any) -> Any:
    """Return a decoded geometry in units of the grid."""
    west, _, _, north = place.bounds()
    unit = place.grid.width / (1 << place.zoom) / EXTENT
    found = to_shape(feature["geometry"])
    return shapely.transform(found, lambda xy: xy * [unit, -unit] + [west, north])


def around(place: Address) -> list[Address]:
    grid, zoom = place.grid, place.zoom
    return [
        Address(zoom, x, y, grid)
        for x in range(place.x - 1, place.x + 2)
        for y in range(place.y - 1, place.y + 2)
        if 0 <= x < grid.columns(zoom) and 0 <= y < grid.rows(zoom)
    ]


def holding(grid: Grid, zoom: int, x: float, y: float) -> Address:
    side = grid.width / (1 << zoom)
    return Address(zoom, int((x - grid.corner[0]) / side), int((grid.corner[1] - y) / side), grid)


@st.composite
def near_an_edge(draw: st.DrawFn) -> tuple[str, int, list[tuple[float, float]]]:
    """A shape of a few tiles' parts, at the corner of a tile of Qingdao or on its edge."""
    kind = draw(st.sampled_from(sorted(LAYERS)))
    zoom = draw(st.integers(12 if kind == "points" else 6, 18))
    place = holding(MERCATOR, zoom, *mercator(120.4, 36.3))
    west, _, _, north = place.bounds()
    side = MERCATOR.width / (1 << zoom)
    # Within a symbol of the corner, a sixteenth of a tile; shapes reach farther.
    reach = side / 16 if kind == "points" else side * 0.9
    parts = st.tuples(st.floats(-1, 1), st.floats(-1, 1))
    number = {"points": 1, "lines": 4, "areas": 5}[kind]
    steps = draw(st.lists(parts, min_size=number, max_size=number, unique=True))
    return kind, zoom, [(west + dx * reach, north + dy * reach) for dx, dy in steps]


def geometry_of(kind: str, places: list[tuple[float, float]]) -> Any:
    if kind == "points":
        return shapely.Point(places[0])
    if kind == "lines":
        return shapely.MultiLineString([places])
    hull = shapely.MultiPoint(places).convex_hull
    return shapely.MultiPolygon([hull]) if hull.geom_type == "Polygon" else None


def check_union(served: Served, kind: str, zoom: int, places: list[tuple[float, float]]) -> None:
    """Tiles around a shape, each cut to its own square, make the shape, to a pixel and a half."""
    truth = geometry_of(kind, places)
    px = MERCATOR.pixel(zoom)
    if truth is None or (kind == "areas" and truth.area < (8 * px) ** 2):
        return
    degrees = shapely.transform(truth, _degrees)
    layer = LAYERS[kind]
    only(served, layer, degrees.wkt)
    corner = holding(MERCATOR, zoom, *mercator(120.4, 36.3))
    buffer = CATALOG[layer].tile.buffer
    squares = []
    for place in around(corner):
        found = features(served, layer, place)
        if shapely.intersects(shapely.box(*place.bounds(buffer=buffer - 1)), truth):
            assert len(found) == 1, (place, truth.wkt)
        for one in found:
            drawn = on_ground(place, one)
            squares.append(shapely.make_valid(drawn).intersection(shapely.box(*place.bounds())))
    union = shapely.union_all(squares)
    inside = truth.intersection(
        shapely.union_all([shapely.box(*place.bounds()) for place in around(corner)])
    )
    # The simplification may move an edge by a pixel, the grid of the tile rounds by an eighth.
    for lost in (inside - union.buffer(1.6 * px), union - truth.buffer(1.6 * px)):
        # Cut at an edge, an area leaves lines and points without extent as well.
        size = {"points": 0 if lost.is_empty else px, "lines": lost.length}.get(
            kind, lost.area / px
        )
        assert size < 0.01 * px, (zoom, truth.wkt)


def _degrees(xy: Any) -> Any:
    import numpy as np  # noqa: PLC0415

    lat = np.degrees(np.arctan(np.sinh(xy[:, 1] / WORLD_M * math.tau)))
    return np.column_stack([xy[:, 0] / WORLD_M * 360, lat])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(near_an_edge())
def test_neighbouring_tiles_make_the_shape(
    served: Served, drawn: tuple[str, int, list[tuple[float, float]]]
) -> None:
    check_union(served, *drawn)


@pytest.mark.prove
@settings(
    max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(near_an_edge())
def test_neighbouring_tiles_make_many_shapes(
    served: Served, drawn: tuple[str, int, list[tuple[float, float]]]
) -> None:
    check_union(served, *drawn)


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_a_feature_is_there_at_every_zoom(served: Served, kind: str) -> None:
    """Small and large, as far out as the layer is drawn: PostGIS before 3.5 loses some elsewhere.

    ST_AsMVTGeom gives nothing for what rounds to less than its dimension (martin #1651): a line or
    an area of a few metres, or a sliver. It is its point then.
    """
    layer = LAYERS[kind]
    lon, lat = 120.41234, 36.31234
    sizes = (1e-7, 1e-5, 1e-3, 0.05)
    for size in sizes:
        for thin in (1.0, 1e-3):
            east, north = lon + size, lat + size * thin
            wkt = {
                "points": f"POINT({lon} {lat})",
                "lines": f"MULTILINESTRING(({lon} {lat},{east} {lat},{east} {north}))",
                "areas": f"MULTIPOLYGON((({lon} {lat},{east} {lat},{east} {north},{lon} {lat})))",
            }[kind]
            only(served, layer, wkt)
            for zoom in range(CATALOG[layer].tile.min_zoom, 19):
                place = holding(MERCATOR, zoom, *mercator(lon, lat))
                found = features(served, layer, place)
                assert len(found) == 1, (zoom, size, thin)
                drawn = on_ground(place, found[0])
                spot = shapely.Point(mercator(lon, lat))
                assert shapely.distance(drawn, spot) <= 1.5 * MERCATOR.pixel(zoom) + size * 1.6e5


def test_the_peers_shape_of_query_does_lose_them(served: Served) -> None:
    """That the test above can fail: the query that the peers send, on this PostGIS."""
    only(
        served,
        LAYERS["areas"],
        "MULTIPOLYGON(((120.4 36.3,120.4001 36.3,120.4001 36.3001,120.4 36.3)))",
    )
    with served.database.read() as session:
        lost = session.execute(
            text(
                "SELECT count(*) FROM flash_flood_zones WHERE"
                " ST_AsMVTGeom(geom_3857, ST_TileEnvelope(8, 213, 100), 4096, 64, true) IS NULL"
            )
        ).scalar_one()
    assert lost == 1


@pytest.mark.parametrize("grid", ["WorldCRS84Quad", "CGCS2000Quad"])
@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_grids_in_degrees_show_the_same_places(served: Served, grid: str, kind: str) -> None:
    lon, lat = 120.41, 36.31
    wkt = {
        "points": f"POINT({lon} {lat})",
        "lines": f"MULTILINESTRING(({lon} {lat},{lon + 0.01} {lat + 0.02}))",
        "areas": f"MULTIPOLYGON((({lon} {lat},{lon + 0.01} {lat},{lon} {lat + 0.02},{lon} {lat})))",
    }[kind]
    truth = shapely.from_wkt(wkt)
    layer = LAYERS[kind]
    only(served, layer, wkt)
    for zoom in (8, 12, 15):
        place = holding(GRIDS[grid], zoom, lon, lat)
        [found] = features(served, layer, place)
        px = GRIDS[grid].pixel(zoom)
        square = shapely.box(*place.bounds(buffer=CATALOG[layer].tile.buffer))
        assert shapely.hausdorff_distance(on_ground(place, found), truth & square) < 1.5 * px


@pytest.mark.parametrize("grid", ["WorldCRS84Quad", "CGCS2000Quad"])
def test_cells_of_grids_in_degrees_count_everybody_once(served: Served, grid: str) -> None:
    dice = random.Random(3)
    layer = "geohazard-points"
    with served.database.own(Actor("test")) as session:
        session.execute(text("TRUNCATE geohazard_points"))
    served.put(
        layer,
        *(
            {"code": f"g{n}", "geom": f"POINT({dice.uniform(120, 121)} {dice.uniform(36, 37)})"}
            for n in range(60)
        ),
    )
    for zoom in (3, 8, 10):
        places = {
            holding(GRIDS[grid], zoom, 120 + dx / 8, 36 + dy / 8)
            for dx in range(9)
            for dy in range(9)
        }
        counts = [f["properties"]["n"] for place in places for f in features(served, layer, place)]
        assert sum(counts) == 60


@pytest.mark.parametrize("kind", sorted(LAYERS))
@pytest.mark.parametrize("zoom", [9, 13, 16])
def test_gcj02_is_where_the_items_say_to_half_a_pixel(served: Served, kind: str, zoom: int) -> None:
    layer = LAYERS[kind]
    lon, lat = 120.41, 36.31
    wkt = {
        "points": f"POINT({lon} {lat})",
        "lines": f"MULTILINESTRING(({lon} {lat},{lon + 0.01} {lat + 0.02}))",
        "areas": f"MULTIPOLYGON((({lon} {lat},{lon + 0.01} {lat},{lon} {lat + 0.02},{lon} {lat})))",
    }[kind]
    only(served, layer, wkt)
    [item] = served.items(layer, datum="gcj02")
    truth = shapely.transform(
        to_shape(item["geometry"]), lambda xy: [mercator(x, y) for x, y in xy]
    )
    assert shapely.distance(shapely.Point(mercator(lon, lat)), truth) > 100  # metres: it is moved
    start = truth.representative_point() if kind == "points" else shapely.Point(truth.bounds[:2])
    place = holding(MERCATOR, zoom, start.x, start.y)
    [found] = features(served, layer, place, datum="gcj02")
    square = shapely.box(*place.bounds(buffer=CATALOG[layer].tile.buffer))
    apart = shapely.hausdorff_distance(on_ground(place, found), truth & square)
    assert apart < (0.7 if kind == "points" else 1.7) * MERCATOR.pixel(zoom)


def test_cells_in_gcj02_count_everybody_once_and_stand_where_they_should(served: Served) -> None:
    layer = "geohazard-points"
    with served.database.own(Actor("test")) as session:
        session.execute(text("TRUNCATE geohazard_points"))
    served.put(layer, {"code": "one", "geom": "POINT(120.41 36.31)"})
    [item] = served.items(layer, datum="gcj02")
    there = mercator(*item["geometry"]["coordinates"])
    place = holding(MERCATOR, 11, *mercator(120.41, 36.31))
    [found] = features(served, layer, place, datum="gcj02")
    assert shapely.distance(on_ground(place, found), shapely.Point(there)) < MERCATOR.pixel(11)


def test_bd09_tiles_are_refused_with_what_to_do(served: Served) -> None:
    answer = served.get("/tiles/shelters/12/3418/1606.mvt", datum="bd09")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == "datum" and "items" in answer.json()["detail"]


def test_the_layers_of_these_tests_are_what_they_say() -> None:
    kinds = {kind: CATALOG[layer].geometry for kind, layer in LAYERS.items()}
    assert kinds == {
        "points": Geometry.POINT,
        "lines": Geometry.LINE,
        "areas": Geometry.POLYGON,
    }


def test_a_line_that_runs_back_over_itself_is_whole(served: Served) -> None:
    """North along the edge of two tiles, back south, and half the way north again."""
    west, _, _, north = holding(MERCATOR, 12, *mercator(120.4, 36.3)).bounds()
    side = MERCATOR.width / 2**12
    turns = [(west, north - dy * side) for dy in (0.8, -0.7, 0.8, 0.3, 0.8)]
    for count in (3, 4, 5):
        check_union(served, "lines", 12, turns[:count])
        check_union(served, "lines", 8, turns[:count])
