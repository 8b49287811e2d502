"""The styles in a bare MapLibre page, over the demo city: no page of ours, no other host."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx
import mapbox_vector_tile
import pytest
from shapely.geometry import shape

from api_help import listening, serving_the_demo
from browser_help import PATIENCE_MS, Watched, a_browser, colours, watched
from riskmap.app import create_app
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.tokens import THEMES, TOKENS
from riskmap.db.cluster import Cluster
from riskmap.web.page import BUILT

CENTRE = (123.0, 35.05)
VIEW = {"width": 900, "height": 700}
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html, body, #map { margin: 0; height: 100% }</style></head>
<body><div id="map"></div><script type="module">
import { Map, setWorkerUrl } from '/static/LIBRARY';
setWorkerUrl(location.origin + '/static/WORKER');
const asked = new URLSearchParams(location.search);
const map = window.map = new Map({
  container: 'map', style: asked.get('style'), fadeDuration: 0, attributionControl: false,
  zoom: Number(asked.get('zoom')), center: asked.get('at').split(',').map(Number),
});
map.on('error', ({ error }) => console.error('map: ' + error.message));
map.on('styleimagemissing', ({ id }) => console.error('no image ' + id));
map.once('idle', () => { window.idle = true; });
</script></body></html>"""


@pytest.fixture(scope="module")
def demo(cluster: Cluster, migrated: str) -> Iterator[str]:
    with (
        serving_the_demo(cluster, migrated) as served,
        listening(create_app(served.settings)) as port,
    ):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


def bare() -> str:
    """Return a page with nothing but MapLibre, whose files the build has."""
    files = [one["file"] for one in json.loads((BUILT / "MANIFEST.json").read_text())["files"]]
    (worker,) = (one for one in files if one.startswith("maplibre-gl-worker-"))
    (library,) = (one for one in files if re.match(r"maplibre-gl-[0-9A-F]+\.mjs", one))
    return PAGE.replace("LIBRARY", library).replace("WORKER", worker)


def shown(seen: Watched, origin: str, zoom: float, **asked: str) -> list[dict[str, Any]]:
    """Open a style and return what is drawn: layer of the style, of the tile, properties."""
    page = seen.page
    page.route(
        re.compile(r"/bare\.html"),
        lambda route: route.fulfill(body=bare(), content_type="text/html"),
    )
    style = f"{origin}/styles/risk.json?" + "&".join(f"{k}={v}" for k, v in asked.items())
    page.goto(
        f"{origin}/bare.html?zoom={zoom}&at={CENTRE[0]},{CENTRE[1]}&style={quote(style, safe='')}"
    )
    page.wait_for_function("window.idle === true", timeout=PATIENCE_MS)
    found: list[dict[str, Any]] = page.evaluate(
        """map.queryRenderedFeatures().map(({ layer, properties }) => {
          const icon = layer.layout?.['icon-image'] ?? null;
          return { id: layer.id, icon: icon?.name ?? icon, properties };
        })"""
    )
    return found


# A software renderer takes a quarter of a minute for each: `make prove-demo` draws the others.
@pytest.mark.parametrize(
    ("zoom", "theme"),
    [
        (11, "light"),
        *(
            pytest.param(zoom, theme, marks=pytest.mark.prove)
            for zoom in (8, 11, 13, 15)
            for theme in THEMES
            if (zoom, theme) != (11, "light")
        ),
    ],
)
def test_a_plain_map_draws_the_style(browser: Any, demo: str, theme: str, zoom: int) -> None:
    lang = "zh" if theme == "light" else "en"
    with watched(browser, demo, viewport=VIEW) as seen:
        found = shown(seen, demo, zoom, theme=theme, lang=lang)
        icons = {one["icon"] for one in found if one["icon"]}
        # Clusters far away, each point near by.
        donuts = [one for one in found if one["id"].endswith("/cluster")]
        assert bool(donuts) is (zoom < 12)
        if zoom < 12:
            assert "donut" in icons and any(icon.startswith("arc/") for icon in icons)
            for one in donuts:
                cell = one["properties"]
                assert cell["n"] == sum(cell[f"n{level}"] for level in (1, 2, 3, 4, 0)) > 1
        else:
            sizes = {icon.rpartition("/")[2] for icon in icons if icon.startswith("hazard/")}
            assert sizes == {"28"}
            levels = {icon.split("/")[2] for icon in icons if icon.startswith("hazard/")}
            assert {"2", "3", "4", "null"} <= levels
        # What helps: teams from far away, shelters and depots near by; at 15 the view is 2 km wide.
        symbols = {icon.split("/")[1] for icon in icons if icon.startswith("resource/")}
        if zoom < 15:
            assert symbols == {"team"} if zoom < 12 else symbols >= {"team", "shelter"}
        assert any("/name-" in one["id"] for one in found)
        # The ground is in the theme's colour.
        land = seen.page.evaluate("map.getPaintProperty('land', 'background-color')")
        assert land == TOKENS[theme]["land"]
        seen.clean()


def test_text_and_images_are_drawn_from_the_service_alone(browser: Any, demo: str) -> None:
    """A screen of two pixels for one takes the finer sheet; no glyph is fetched from anywhere."""
    with watched(browser, demo, viewport=VIEW, device_scale_factor=2) as seen:
        shown(seen, demo, 15, theme="light", lang="en")
        paths = {url.removeprefix(demo).partition("?")[0] for url in seen.requests}
        assert {"/styles/sprites/light@2x.png", "/styles/sprites/light@2x.json"} <= paths
        assert not any(".pbf" in path or "font" in path for path in paths)
        seen.clean()


def test_level_colours_are_on_the_screen(browser: Any, demo: str) -> None:
    with watched(browser, demo, viewport=VIEW) as seen:
        shown(seen, demo, 13, theme="light", lang="zh")
        found = colours(browser, seen.page.screenshot())
        for token in ("level-1", "level-2", "level-3", "level-4", "jade"):
            assert found.get(TOKENS["light"][token].lower(), 0) > 40, token


def tile_of(lon: float, lat: float, z: int) -> tuple[int, int]:
    """Return x, y of the tile that holds a position."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)


def names_in(expression: Any) -> Iterator[str]:
    """Yield the properties that an expression reads."""
    if isinstance(expression, list):
        if len(expression) == 2 and expression[0] in ("get", "has"):
            yield expression[1]
        for part in expression:
            yield from names_in(part)
    elif isinstance(expression, dict):
        for part in expression.values():
            yield from names_in(part)


def test_each_property_that_a_style_reads_is_in_the_tiles(demo: str) -> None:
    style = httpx.get(f"{demo}/styles/risk.json", timeout=60).json()
    (template,) = style["sources"]["city"]["tiles"]
    (people,) = style["sources"]["people"]["tiles"]
    there: dict[str, set[str]] = {}
    wanted = {(z, *tile_of(*CENTRE, z)) for z in range(8, 15)}
    for layer in load_catalog():
        items = httpx.get(f"{demo}/collections/{layer}/items?limit=6", timeout=60).json()
        for one in items["features"]:
            at = shape(one["geometry"]).representative_point()
            wanted.add((14, *tile_of(at.x, at.y, 14)))
    for address, (z, x, y) in product((template, people), wanted):
        answer = httpx.get(address.format(z=z, x=x, y=y), timeout=60)
        for layer, content in mapbox_vector_tile.decode(answer.content).items():
            for one in content["features"]:
                there.setdefault(layer, set()).update(one["properties"])
    read: dict[str, set[str]] = {}
    for layer in style["layers"]:
        if "source-layer" in layer:
            names = names_in([layer.get(part) for part in ("filter", "layout", "paint")])
            read.setdefault(layer["source-layer"], set()).update(names)
    assert set(read) == {*load_catalog(), "roads"}
    for layer, names in read.items():
        assert names <= there[layer] | {"cell", "n"}, layer
    clustered = [layer for layer in read if "n1" in read[layer]]
    assert clustered and all({"cell", "n"} <= there[layer] for layer in clustered)


def test_the_picture_of_the_legend_fits_its_words(browser: Any, demo: str) -> None:
    """No text runs out of its column or into another, in both languages."""
    for lang in ("zh", "en"):
        with watched(browser, demo, viewport=VIEW) as seen:
            seen.page.goto(f"{demo}/styles/risk/legend.svg?lang={lang}")
            boxes = seen.page.evaluate(
                "[...document.querySelectorAll('text')].map((t) => {"
                "const { x, y, width, height } = t.getBBox();"
                "return [t.textContent, x, x + width, y, y + height]})"
            )
            width = seen.page.evaluate("document.documentElement.viewBox.baseVal.width")
            assert len(boxes) > 40
            for at, (text, left, right, top, bottom) in enumerate(boxes):
                assert right <= width, text
                for other, left2, right2, top2, bottom2 in boxes[at + 1 :]:
                    apart = (
                        right <= left2 or right2 <= left or bottom <= top2 + 6 or bottom2 <= top + 6
                    )
                    assert apart, (text, other)
