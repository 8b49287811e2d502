"""Vector tiles, decoded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest

from api_help import CATALOG, Served, serving
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer
from riskmap.db.cluster import Cluster

Z = 12
EPSG_4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
CELL = {"cell", "n", "n1", "n2", "n3", "n4", "n0", "top"}


def address(lon: float, lat: float, z: int) -> tuple[int, int]:
    """Return x, y of the tile that holds a position."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


def west(x: int, z: int) -> float:
    return x / 2**z * 360 - 180


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        found.put(
            "risk-records",
            *(
                {
                    "code": f"R{n}",
                    "geom": f"POINT({120.5 + n / 400} 36.5)",
                    "risk_level": (4, 3, 2, 1, None)[n % 5],
                    "address": "spread",
                    "lists": [f"list{n % 2}"],
                }
                for n in range(30)
            ),
        )
        yield found


@pytest.fixture(autouse=True)
def forgotten(served: Served) -> None:
    """A test may have limited what is drawn."""
    served.forget()


@pytest.fixture
def writable(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def features(served: Served, layer: str, z: int, x: int, y: int, **query: Any) -> list[Any]:
    answer = served.get(f"/tiles/{layer}/{z}/{x}/{y}.mvt", **query)
    if answer.status_code == 204:
        assert answer.content == b""
        return []
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    decoded = mapbox_vector_tile.decode(answer.content)
    assert list(decoded) == [layer]
    assert decoded[layer]["extent"] == 4096
    return decoded[layer]["features"]


def alone(properties: dict[str, Any]) -> dict[str, Any]:
    """Return what a point has of its own, without what says that its cell holds it alone."""
    return {name: v for name, v in properties.items() if name not in CELL}


def limited(served: Served, monkeypatch: pytest.MonkeyPatch, layer: str, most: int) -> None:
    """Let the service draw a layer with another limit."""
    copy = CATALOG[layer]
    copy = dataclasses.replace(copy, tile=dataclasses.replace(copy.tile, max_features=most))
    real = Catalog.find

    def find(self: Catalog, layer_id: str) -> Layer:
        return copy if layer_id == layer else real(self, layer_id)

    monkeypatch.setattr(Catalog, "find", find)
    served.forget()


@pytest.mark.parametrize("layer", CATALOG)
def test_ids_and_attributes_are_those_of_the_items(served: Served, layer: str) -> None:
    items = {f["id"]: f["properties"] for f in served.items(layer)}
    x, y = address(120.35, 36.35, 11)
    tiles = [(11, x + dx, y + dy) for dx in range(-1, 3) for dy in range(-2, 3)]
    found = {
        f["id"]: f["properties"] for t in tiles for f in features(served, layer, *t) if f["id"]
    }  # a cell of several has no id
    assert found and set(found) <= set(items)
    declared = [f.name for f in CATALOG[layer].fields if f.in_tile]
    for number, properties in found.items():
        shown = {name: items[number][name] for name in declared}
        assert alone(properties) == {name: v for name, v in shown.items() if v is not None}


def test_not_assessed_features_are_drawn_without_a_level(served: Served) -> None:
    (x0, y0), (x1, y1) = address(120.25, 36.6, Z), address(120.85, 36.25, Z)
    found = [
        f
        for x in range(x0, x1 + 1)
        for y in range(y0, y1 + 1)
        for f in features(served, "risk-records", Z, x, y)
    ]
    null = {f["id"] for f in served.items("risk-records", risk_level="null")}
    assert null and null <= {f["id"] for f in found}
    assert all(("risk_level" in f["properties"]) == (f["id"] not in null) for f in found)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"address": "spread"},
        {"risk_level": "null"},
        {"risk_level": "1,null"},
        {"lists": "list1"},
        {"bbox": "120.505,36.4,120.7,36.6"},
        {"code": "R3,R4"},
        {"code": "nobody"},
        {"filter": "risk_level IN (1, 2) OR code LIKE 'R1%'"},
        {"filter": "S_INTERSECTS(geom, BBOX(36.4, 120.505, 36.6, 120.7))", "filter-crs": EPSG_4326},
        {"bbox": "36.4,120.505,36.6,120.7", "bbox-crs": EPSG_4326},
        {"datetime": "2100-01-01/.."},
        {"q": "spread"},
    ],
    ids=str,
)
@pytest.mark.parametrize("z", [8, 10, 12])
def test_one_filter_means_one_set(served: Served, query: dict[str, str], z: int) -> None:
    """The tiles over the city together hold the items, at each zoom; low ones count points."""
    (x0, y0), (x1, y1) = address(120.25, 36.6, z), address(120.85, 36.25, z)
    found = [
        f
        for x in range(x0, x1 + 1)
        for y in range(y0, y1 + 1)
        for f in features(served, "risk-records", z, x, y, **query)
    ]
    items = served.items("risk-records", **query)
    points = [f for f in items if f["geometry"]["type"] == "Point"]
    cells = [f["properties"] for f in found if "cell" in f["properties"]]
    assert sum(cell["n"] for cell in cells) == (len(points) if z <= 11 else 0)
    assert {f["id"] for f in found if f["id"]} <= {f["id"] for f in items}
    shapes = items if z > 11 else [f for f in items if f not in points]
    assert {f["id"] for f in found if "cell" not in f["properties"]} == {f["id"] for f in shapes}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("risk_level=x", "risk_level"),
        ("bbox=1,2,3", "bbox"),
        ("bbox=121,36,120,37", "bbox"),
        ("limit=5", "limit"),
        ("cursor=MQ", "cursor"),
        ("nothing=1", "nothing"),
        ("risk_level=1&risk_level=2", "risk_level"),
    ],
)
def test_a_bad_filter_is_named(served: Served, query: str, parameter: str) -> None:
    answer = served.client.get(f"/tiles/risk-records/10/853/400.mvt?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize(
    ("tile", "status", "parameter"),
    [
        ("23/0/0", 404, "z"),
        ("10/1024/0", 404, "x"),
        ("10/0/1024", 404, "y"),
        ("0/1/0", 404, "x"),
        ("0/0/1", 404, "y"),
        ("10/-1/0", 400, "x"),
        ("-1/0/0", 400, "z"),
        ("a/0/0", 400, "z"),
        ("10/1.5/0", 400, "x"),
        (f"10/0/{10**30}", 400, "y"),
        ("22/4194303/4194303", 204, None),
        ("0/0/0", 200, None),
        ("1/0/0", 204, None),
    ],
)
def test_addresses(served: Served, tile: str, status: int, parameter: str | None) -> None:
    answer = served.get(f"/tiles/risk-records/{tile}.mvt")
    assert answer.status_code == status
    if parameter:
        assert answer.json()["parameter"] == parameter


def test_an_unknown_layer_and_an_empty_tile(served: Served) -> None:
    assert served.get("/tiles/none/0/0/0.mvt").status_code == 404
    empty = served.get("/tiles/risk-records/12/0/0.mvt")
    assert (empty.status_code, empty.content) == (204, b"")


def test_a_symbol_at_the_edge_is_in_both_tiles(writable: Served) -> None:
    """The buffer of this layer is 128 units: 100 units off the edge is in, 200 is not."""
    x, y = address(120.5, 36.5, Z)
    unit = 360 / 2**Z / 4096
    edge = west(x, Z)
    assert CATALOG["geohazard-points"].tile.buffer == 128
    for code, off in (("near", 100), ("far", 200), ("other side", -100)):
        writable.put("geohazard-points", {"code": code, "geom": f"POINT({edge + off * unit} 36.5)"})
    named = {f["id"]: f["properties"]["code"] for f in writable.items("geohazard-points")}
    left, right = (
        {named[f["id"]] for f in features(writable, "geohazard-points", Z, column, y)}
        for column in (x - 1, x)
    )
    assert left == {"near", "other side"}
    assert right == {"near", "far", "other side"}


def box(lon: float, lat: float, width: float, height: float) -> str:
    e, n = lon + width, lat + height
    return f"MULTIPOLYGON((({lon} {lat},{e} {lat},{e} {n},{lon} {n},{lon} {lat})))"


@pytest.mark.parametrize(
    ("width", "height"),
    [(1e-5, 1e-5), (0.05, 1e-6), (1e-6, 0.05), (0.0005, 0.0005)],
    ids=["speck", "flat sliver", "upright sliver", "below a pixel"],
)
@pytest.mark.parametrize("z", [8, 9, 12])
def test_small_zones_never_vanish(writable: Served, width: float, height: float, z: int) -> None:
    lon, lat = 120.5, 36.5
    writable.put("flood-impact-areas", {"code": "zone", "geom": box(lon, lat, width, height)})
    x, y = address(lon + width / 2, lat + height / 2, z)
    found = features(writable, "flood-impact-areas", z, x, y)
    assert len(found) == 1
    if width < 1e-4 and z == 8:
        assert found[0]["geometry"]["type"] == "Point"


def test_what_is_larger_than_a_pixel_stays_a_polygon(writable: Served) -> None:
    writable.put("flood-impact-areas", {"code": "zone", "geom": box(120.5, 36.5, 0.01, 0.01)})
    x, y = address(120.505, 36.505, Z)
    (found,) = features(writable, "flood-impact-areas", Z, x, y)
    assert found["geometry"]["type"] == "Polygon"


def test_the_most_dangerous_survive_a_full_tile(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = address(120.55, 36.5, Z)
    path = f"/tiles/risk-records/{Z}/{x}/{y}.mvt"
    full = served.get(path, address="spread")
    assert "x-riskmap-dropped" not in full.headers
    every = mapbox_vector_tile.decode(full.content)["risk-records"]["features"]
    assert len(every) == 30
    for most, levels in ((6, {1: 6}), (10, {1: 6, 2: 4}), (27, {1: 6, 2: 6, 3: 6, None: 6, 4: 3})):
        limited(served, monkeypatch, "risk-records", most)
        answer = served.get(path, address="spread")
        kept = mapbox_vector_tile.decode(answer.content)["risk-records"]["features"]
        found: dict[int | None, int] = {}
        for feature in kept:
            level = feature["properties"].get("risk_level")
            found[level] = found.get(level, 0) + 1
        assert found == levels
        assert answer.headers["x-riskmap-dropped"] == str(30 - most)


def test_a_limit_met_exactly_drops_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(served, monkeypatch, "risk-records", 30)
    x, y = address(120.55, 36.5, Z)
    answer = served.get(f"/tiles/risk-records/{Z}/{x}/{y}.mvt", address="spread")
    assert answer.status_code == 200 and "x-riskmap-dropped" not in answer.headers


def test_what_only_its_box_brings_in_is_no_loss(
    writable: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines whose boxes meet the tile, while the lines pass it by: neither kept nor dropped."""
    x, y = address(120.5, 36.5, Z)
    w, e = west(x, Z), west(x + 1, Z)
    off = e - w
    around = f"MULTILINESTRING(({w - off} 36.4,{w - off} 36.6,{e + off} 36.6))"
    inside = f"MULTILINESTRING(({w + off / 4} 36.495,{w + off / 2} 36.5))"
    writable.put("fault-lines", *({"code": f"a{n}", "geom": around} for n in range(2)))
    writable.put("fault-lines", *({"code": f"b{n}", "geom": inside} for n in range(3)))
    path = f"/tiles/fault-lines/{Z}/{x}/{y}.mvt"
    ids = {f["properties"]["code"]: f["id"] for f in writable.items("fault-lines")}
    for most, dropped in ((3, None), (2, "1"), (1, "2")):
        limited(writable, monkeypatch, "fault-lines", most)
        answer = writable.get(path)
        assert answer.status_code == 200
        kept = mapbox_vector_tile.decode(answer.content)["fault-lines"]["features"]
        assert [f["id"] for f in kept] == [ids[f"b{n}"] for n in range(most)]
        assert answer.headers.get("x-riskmap-dropped") == dropped


def test_an_edit_is_in_the_next_tile(writable: Served) -> None:
    x, y = address(120.5, 36.5, Z)
    assert features(writable, "geohazard-points", Z, x, y) == []
    writable.put("geohazard-points", {"code": "a", "geom": "POINT(120.5 36.5)", "name": "新"})
    (found,) = features(writable, "geohazard-points", Z, x, y)
    assert found["properties"] == {"name": "新"}
