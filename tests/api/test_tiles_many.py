"""Several layers in one tile, and the roads among them."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "analysis"))

from grid_city import edges

from api_help import CATALOG, Served, serving
from conftest import TEST_CITY
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.roads.load import replace_edges
from riskmap.tiles import roads

CENTRE = (120.43, 36.506)
CLASSES = ("motorway", "primary", "secondary", "tertiary", "residential", "footway")


def address(z: int, lon: float = CENTRE[0], lat: float = CENTRE[1]) -> tuple[int, int, int]:
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return z, int((lon + 180) / 360 * 2**z), int(y * 2**z)


def decoded(served: Served, layers: str, z: int, **query: Any) -> dict[str, Any]:
    answer = served.get("/tiles/{}/{}/{}/{}.mvt".format(layers, *address(z)), **query)
    if answer.status_code == 204:
        return {}
    assert answer.status_code == 200, answer.text
    return mapbox_vector_tile.decode(answer.content)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as found:
        made = edges()
        count = len(made)
        made = dataclasses.replace(
            made,
            road_class=[CLASSES[n % len(CLASSES)] for n in range(count)],
            name=[f"路{n}" for n in range(count)],
            bridge=np.arange(count) % 7 == 0,
            layer=(np.arange(count) % 7 == 0).astype(np.int32),
        )
        with found.database.own(Actor("test")) as session:
            replace_edges(session, made, TEST_CITY.bbox, source="test")
        yield found


@pytest.mark.parametrize("z", [8, 9, 10])
def test_one_answer_holds_what_each_layer_alone_would(served: Served, z: int) -> None:
    names = ["roads", *CATALOG]
    whole = decoded(served, ",".join(names), z)
    alone = {name: decoded(served, name, z).get(name) for name in names}
    assert {name: layer for name, layer in alone.items() if layer} == whole
    assert len(whole) > 3
    # The roads lie beneath, then the layers in the order asked for.
    assert list(whole) == [name for name in names if name in whole]
    turned = decoded(served, ",".join(reversed(names)), z)
    assert turned == whole and next(iter(turned)) == "roads"


def test_a_filter_must_be_one_of_every_layer(served: Served) -> None:
    pair = "shelters,rescue-teams"
    assert decoded(served, pair, 12, name="nobody") == {}
    for layers, query in (
        (pair, "open_status"),
        (pair, "duty_status"),
        (f"{pair},roads", "name"),
        ("roads", "bbox"),
    ):
        answer = served.get("/tiles/{}/{}/{}/{}.mvt".format(layers, *address(12)), **{query: "x"})
        assert answer.status_code == 400 and answer.json()["parameter"] == query


def test_addresses_of_several_layers(served: Served) -> None:
    for layers, status, parameter in (
        ("shelters,none", 404, "layer"),
        ("shelters,", 404, "layer"),
        (",roads", 404, "layer"),
        ("shelters,shelters", 400, "layers"),
        ("roads,roads", 400, "layers"),
        (",".join(f"a{n}" for n in range(17)), 400, "layers"),
    ):
        answer = served.get(f"/tiles/{layers}/8/213/100.mvt")
        assert (answer.status_code, answer.json()["parameter"]) == (status, parameter), layers
    assert served.get("/tiles/roads/8/0/0.mvt").status_code == 204
    assert served.get("/tiles/roads/3/6/3.mvt").status_code == 204
    assert served.get("/tiles/roads/30/0/0.mvt").status_code == 404


def test_no_layer_can_be_named_like_the_roads() -> None:
    layer = CATALOG["shelters"]
    with pytest.raises(ValueError, match="road network"):
        dataclasses.replace(layer, id=roads.NAME)


def test_more_classes_come_with_the_zoom(served: Served) -> None:
    seen = {
        z: {f["properties"]["road_class"] for f in decoded(served, "roads", z)["roads"]["features"]}
        for z in (7, 8, 10, 11, 13, 14)
    }
    assert seen[7] == {"motorway"}
    assert seen[8] == {"motorway", "primary"}
    assert seen[10] == seen[8] | {"secondary"}
    assert seen[11] == seen[10] | {"tertiary"}
    assert seen[13] == seen[11] | {"residential"}
    assert seen[14] == set(CLASSES)


def test_near_roads_are_single_and_told_apart_far_ones_are_merged(served: Served) -> None:
    near = decoded(served, "roads", 14)["roads"]["features"]
    assert len({f["id"] for f in near}) == len(near)
    for feature in near:
        assert set(feature["properties"]) == {
            "road_class", "bridge", "tunnel", "level", "name", "oneway"
        }  # fmt: skip
        assert feature["properties"]["name"] == f"路{int(feature['properties']['name'][1:])}"
    far = decoded(served, "roads", 11)["roads"]["features"]
    kinds = [(f["properties"]["road_class"], f["properties"]["bridge"]) for f in far]
    assert len(kinds) == len(set(kinds))
    assert all("name" not in f["properties"] for f in far)
    assert all(f["geometry"]["type"] in ("LineString", "MultiLineString") for f in far)


def test_bridges_come_last_and_main_roads_after_side_roads(served: Served) -> None:
    near = [f["properties"] for f in decoded(served, "roads", 14)["roads"]["features"]]
    order = [(p["level"], -CLASSES.index(p["road_class"])) for p in near]
    assert order == sorted(order)


def test_what_each_layer_dropped_is_added_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = type(CATALOG).find

    def few(self: Any, layer_id: str) -> Any:
        layer = real(self, layer_id)
        return dataclasses.replace(
            layer, tile=dataclasses.replace(layer.tile, max_features=1, low_max_features=1)
        )

    layers = "shelters,rescue-teams"
    z, x, y = address(9)
    whole = decoded(served, layers, 9)
    monkeypatch.setattr(type(CATALOG), "find", few)
    served.forget()
    answer = served.get(f"/tiles/{layers}/{z}/{x}/{y}.mvt")
    kept = mapbox_vector_tile.decode(answer.content)
    assert all(len(layer["features"]) == 1 for layer in kept.values())
    lost = sum(len(layer["features"]) for layer in whole.values()) - 2
    assert int(answer.headers["x-riskmap-dropped"]) == lost > 2
