"""OGC API - Features part 2 (18-058r1), Annex A: its abstract tests, and golden axis orders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
from pyproj import CRS, Transformer
from shapely import transform
from shapely.geometry import box, shape

from api_help import CATALOG, Served, serving
from ogc_help import (
    CRS84,
    EPSG,
    LAYERS,
    OPENAPI,
    a_city,
    all_items,
    is_problem,
    link_of,
    parameter,
)
from riskmap.db.cluster import Cluster

# CGCS2000 / 3-degree Gauss-Kruger CM 120E: the system of the test city.
LOCAL = 4549
CODES = (4326, 4490, 3857, LOCAL)
URIS = (CRS84, *(f"{EPSG}/{code}" for code in CODES))
ITEMS = "/collections/{collectionId}/items"
GOLDEN = "geohazard-points"
# 120.5 east, 36.5 north as each registry orders its axes; the metres were computed with PROJ.
GOLDEN_POSITIONS = {
    CRS84: (120.5, 36.5),
    f"{EPSG}/4326": (36.5, 120.5),
    f"{EPSG}/4490": (36.5, 120.5),
    f"{EPSG}/3857": (13413998.641, 4369640.511),
    f"{EPSG}/4549": (4041140.757, 544795.718),
}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with a_city(cluster, migrated) as found:
        yield found


@pytest.fixture(scope="module")
def golden(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        found.put(GOLDEN, {"code": "golden", "geom": "POINT(120.5 36.5)"})
        yield found


@pytest.fixture(scope="module")
def document(served: Served) -> dict[str, Any]:
    return served.get("/openapi.json", f="json").json()


def moved(geometry: dict[str, Any], uri: str) -> Any:
    """Return a CRS84 geometry in another system, its axes in the order of the registry."""
    code = uri.rpartition("/")[2]
    if code == "CRS84":
        return shape(geometry)
    # Without always_xy pyproj itself gives the axes as the registry has them.
    return transform(shape(geometry), _into(code).transform, interleaved=False)


@lru_cache
def _into(code: str) -> Transformer:
    """Make it once: to find the operation takes PROJ 50 ms."""
    return Transformer.from_crs("OGC:CRS84", f"EPSG:{code}")


def test_ats_crs_crs_uri(served: Served) -> None:
    for one in served.get("/collections").json()["collections"]:
        assert one["crs"] == list(URIS)
    for code in CODES:
        assert CRS.from_epsg(code)


def test_ats_crs_default_crs(served: Served) -> None:
    for layer in CATALOG:
        assert served.get(f"/collections/{layer}").json()["crs"][0] == CRS84


def test_ats_crs_storage_crs(served: Served) -> None:
    for one in served.get("/collections").json()["collections"]:
        assert one["storageCrs"] in one["crs"]


@pytest.mark.parametrize("path", [ITEMS, f"{ITEMS}/{{featureId}}"])
def test_ats_crs_crs_parameter(document: dict[str, Any], path: str) -> None:
    found = parameter(document, path, "crs")
    assert (found["required"], found["style"], found["explode"]) == (False, "form", False)
    assert found["schema"]["type"] == "string"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", ["crs", "bbox-crs", "filter-crs"])
@pytest.mark.parametrize("uri", ["", "x", f"{EPSG}/4214", "EPSG:4326", f"{EPSG}/4326 ", "4326"])
def test_ats_crs_parameter_invalid(served: Served, layer: str, name: str, uri: str) -> None:
    more = {"bbox": "120,36,121,37"} if name == "bbox-crs" else {}
    is_problem(served.get(f"/collections/{layer}/items", **{name: uri}, **more), 400, name)
    if name == "crs":
        is_problem(served.get(f"/collections/{layer}/items/1", crs=uri), 400, "crs")


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_crs_crs_parameter_default(served: Served, layer: str) -> None:
    path = f"/collections/{layer}/items"
    for address in (path, f"{path}/1"):
        bare, stated = served.get(address), served.get(address, crs=CRS84)
        assert bare.headers["content-crs"] == stated.headers["content-crs"] == f"<{CRS84}>"
    assert served.get(path).json()["features"] == served.get(path, crs=CRS84).json()["features"]


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("layer", LAYERS)
def test_ats_crs_crs_parameter_transform(served: Served, layer: str, uri: str) -> None:
    """Every vertex is where PROJ, which is asked without our help, puts it."""
    path = f"/collections/{layer}/items"
    plain = {one["id"]: one["geometry"] for one in all_items(served, layer)}
    answer = served.get(path, crs=uri)
    assert answer.headers["content-crs"] == f"<{uri}>"
    features = answer.json()["features"]
    assert {one["id"] for one in features} == set(plain)
    tolerance = 0.02 if uri.rpartition("/")[2] in ("3857", str(LOCAL)) else 2e-7
    for one in features:
        expected = moved(plain[one["id"]], uri)
        assert shape(one["geometry"]).equals_exact(expected, tolerance)
        single = served.get(f"{path}/{one['id']}", crs=uri)
        assert single.headers["content-crs"] == f"<{uri}>"
        assert single.json()["geometry"] == one["geometry"]


@pytest.mark.parametrize("uri", URIS)
def test_ats_crs_pages_keep_the_system(served: Served, uri: str) -> None:
    whole = served.get("/collections/shelters/items", crs=uri).json()["features"]
    assert all_items(served, "shelters", crs=uri, limit=4) == whole
    first = served.get("/collections/shelters/items", crs=uri, limit=4).json()
    following = served.client.get(link_of(first, "next")["href"])
    assert following.headers["content-crs"] == f"<{uri}>"


def test_ats_crs_bbox_crs_parameter(document: dict[str, Any]) -> None:
    found = parameter(document, ITEMS, "bbox-crs")
    assert (found["required"], found["style"], found["explode"]) == (False, "form", False)


@pytest.mark.parametrize("layer", LAYERS)
def test_ats_crs_bbox_crs_parameter_default(served: Served, layer: str) -> None:
    corners = "120.2,36.2,120.5,36.5"
    bare = all_items(served, layer, bbox=corners)
    assert 0 < len(bare) < len(all_items(served, layer))
    assert all_items(served, layer, **{"bbox": corners, "bbox-crs": CRS84}) == bare


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize("layer", LAYERS)
def test_ats_crs_bbox_crs_action(served: Served, layer: str, uri: str) -> None:
    """The box is measured in the system's own axes, in their own order."""
    area = moved(box(120.2, 36.2, 120.5, 36.5).__geo_interface__, uri)
    corners = ",".join(f"{value:.9f}" for value in area.bounds)
    answered = all_items(served, layer, **{"bbox": corners, "bbox-crs": uri})
    wanted = box(*area.bounds)
    expected = {
        one["id"]
        for one in all_items(served, layer)
        if moved(one["geometry"], uri).intersects(wanted)
    }
    assert expected and {one["id"] for one in answered} == expected
    # The answer's own system is another matter.
    assert answered == all_items(served, layer, **{"bbox": corners, "bbox-crs": uri, "crs": CRS84})


@pytest.mark.parametrize("corners", ["-4e7,-2e7,4e7,2e7", "1e7,4e6,5e7,5e6", "-1e9,-1e9,1e9,1e9"])
def test_a_box_past_the_edge_of_the_projection_is_refused(served: Served, corners: str) -> None:
    """Out there positions repeat themselves: the box would be one on the other side."""
    path = f"/collections/{LAYERS[0]}/items"
    refused = served.get(path, **{"bbox": corners, "bbox-crs": f"{EPSG}/3857"})
    assert (refused.status_code, refused.json()["parameter"]) == (400, "bbox")
    assert refused.json()["type"].endswith("bbox.world")
    whole = ",".join(["-20037508.342789244"] * 2 + ["20037508.342789244"] * 2)
    answered = all_items(served, LAYERS[0], **{"bbox": whole, "bbox-crs": f"{EPSG}/3857"})
    assert answered == all_items(served, LAYERS[0])


def swapped(text: str) -> str:
    a, b, c, d = text.split(",")
    return ",".join((b, a, d, c))


@pytest.mark.parametrize("uri", URIS)
def test_golden_axis_order(golden: Served, uri: str) -> None:
    first, second = GOLDEN_POSITIONS[uri]
    path = f"/collections/{GOLDEN}/items"
    page = golden.get(path, crs=uri)
    (feature,) = page.json()["features"]
    tolerance = 1e-9 if abs(first) < 200 else 0.0011
    assert feature["geometry"]["coordinates"] == pytest.approx([first, second], abs=tolerance)
    single = golden.get(f"{path}/{feature['id']}", crs=uri)
    assert single.json()["geometry"] == feature["geometry"]
    assert page.headers["content-crs"] == single.headers["content-crs"] == f"<{uri}>"
    near = 0.001 if abs(first) < 200 else 50
    corners = f"{first - near},{second - near},{first + near},{second + near}"
    ask = {"bbox-crs": uri}
    assert golden.get(path, bbox=corners, **ask).json()["numberMatched"] == 1
    other = golden.get(path, bbox=swapped(corners), **ask)
    # The other way round it lies elsewhere, or nowhere.
    assert other.status_code == 400 or other.json()["numberMatched"] == 0


def test_a_datum_and_a_system_cannot_both_be_asked_for(served: Served) -> None:
    path = "/collections/shelters/items"
    for datum in ("gcj02", "bd09"):
        is_problem(served.get(path, datum=datum, crs=f"{EPSG}/4490"), 400, "crs")
        answer = served.get(path, datum=datum)
        assert "content-crs" not in answer.headers and answer.headers["x-datum"] == datum


def test_the_description_is_of_openapi_30_for_those_who_ask_for_json(served: Served) -> None:
    for accept, media in (
        ("application/json", "application/json"),
        ("application/json, text/plain", "application/json"),
        (OPENAPI, OPENAPI),
        (f"{OPENAPI}, application/json", OPENAPI),
        ("*/*", OPENAPI),
    ):
        for path in ("/api", "/openapi.json"):
            answer = served.client.get(path, headers={"Accept": accept})
            assert answer.headers["content-type"] == media, (accept, path)
