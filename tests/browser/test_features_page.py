"""The pages of layers and features in a real browser: maps, themes, narrow screens, no script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api_help import CATALOG, Served, eventually, listening, serving
from browser_help import LAPTOP, a_browser, colours, watched
from riskmap.app import create_app
from riskmap.catalog.spec import Geometry
from riskmap.db.cluster import Cluster

PHONE = {"width": 400, "height": 800}
ZONES = "/collections/flash-flood-zones"
POINTS = "/collections/geohazard-points"
# A zone of 10 m in a city of 20 km.
TINY = "MULTIPOLYGON(((120.31 36.32,120.3101 36.32,120.3101 36.3201,120.31 36.3201,120.31 36.32)))"
FAR = "MULTIPOLYGON(((120.48 36.48,120.49 36.48,120.49 36.49,120.48 36.49,120.48 36.48)))"
MAJOR, LOW = "#b5101f", "#1e69cc"

# Contrast of WCAG 2 between each text and what is painted behind it.
_CONTRAST = """
() => {
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { rgb, a } = parse(getComputedStyle(at).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.closest('script, .map, .skip')) continue;
    const ink = parse(getComputedStyle(element).color).rgb;
    const [one, other] = [ink, behind(element)].map(luminance);
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([ratio, text.slice(0, 40)]);
  }
  return found;
}
"""


@pytest.fixture(scope="module")
def city(cluster: Cluster, migrated: str) -> Iterator[tuple[Served, str]]:
    with serving(cluster, migrated, rows=7) as served:
        served.put(
            "flash-flood-zones",
            {"code": "TINY", "name": "小危险区", "risk_level": 1, "geom": TINY},
            {"code": "FAR", "name": "远危险区", "risk_level": 4, "geom": FAR},
        )
        with listening(create_app(served.settings)) as port:
            yield served, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


def map_of(page: Any) -> Any:
    """Return the map's place once it is drawn."""
    page.wait_for_selector(".map canvas")
    return page.locator(".map")


def shows(browser: Any, place: Any, *wanted: str) -> None:
    """Wait until colours are on the map: tiles and images come when they come.

    A line of a pixel's width lies between pixels and is blended with the ground.
    """

    def near(one: str, other: str) -> bool:
        return all(
            abs(int(one[at : at + 2], 16) - int(other[at : at + 2], 16)) < 48 for at in (1, 3, 5)
        )

    def there() -> bool:
        found = colours(browser, place.screenshot())
        return all(any(near(colour, one) for colour in found) for one in wanted)

    eventually(there, tries=60)


def test_a_zone_of_ten_metres_is_seen_on_the_lists_map(
    browser: Any, city: tuple[Served, str]
) -> None:
    _, url = city
    with watched(browser, url, viewport=LAPTOP) as seen:
        seen.page.goto(f"{url}{ZONES}/items?code=TINY,FAR")
        shows(browser, map_of(seen.page), MAJOR, LOW)
        assert seen.page.locator("tbody tr").count() == 2
        seen.clean()


def test_the_layers_own_map_draws_it_from_its_tiles(browser: Any, city: tuple[Served, str]) -> None:
    served, url = city
    with watched(browser, url, viewport=LAPTOP) as seen:
        seen.page.goto(url + ZONES)
        shows(browser, map_of(seen.page), MAJOR, LOW)
        tiles = [one for one in seen.requests if "/tiles/" in one]
        # The layer and the ground under it, and nothing else.
        assert tiles and all("flash-flood-zones" in one for one in tiles)
        others = [name for name, layer in CATALOG.items() if layer.role not in ("area", "context")]
        others.remove("flash-flood-zones")
        assert not [one for one in tiles for name in others if name in one]
        assert "in_tile" not in str(served.get(ZONES).json())
        seen.clean()


# One layer of each kind of geometry: a map costs seconds where no graphics card draws it.
EACH_KIND = {layer.geometry: layer.id for layer in CATALOG.values()}


@pytest.mark.parametrize("kind", sorted(EACH_KIND))
def test_every_kind_of_layer_has_a_map_of_one_feature(
    browser: Any, city: tuple[Served, str], kind: Geometry
) -> None:
    _, url = city
    layer = EACH_KIND[kind]
    with watched(browser, url, viewport=LAPTOP) as seen:
        # A mixed layer has points, lines and areas.
        for turn in (1, 2, 3) if kind is Geometry.MIXED else (1,):
            seen.page.goto(f"{url}/collections/{layer}/items/{turn}")
            place = map_of(seen.page)
            eventually(lambda at=place: len(colours(browser, at.screenshot())) > 2, tries=60)
        seen.clean()


def test_a_click_on_the_map_opens_the_feature(browser: Any, city: tuple[Served, str]) -> None:
    _, url = city
    with watched(browser, url, viewport=LAPTOP) as seen:
        seen.page.goto(f"{url}{ZONES}/items?code=TINY&lang=en")
        place = map_of(seen.page)
        shows(browser, place, MAJOR)
        place.scroll_into_view_if_needed()
        box = place.bounding_box()
        seen.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        seen.page.wait_for_url(f"{url}{ZONES}/items/*")
        assert seen.page.get_attribute("html", "lang") == "en"
        assert "小危险区" in seen.page.inner_text("h1")


def test_without_script_one_finds_filters_and_turns_pages(
    browser: Any, city: tuple[Served, str]
) -> None:
    _, url = city
    with watched(browser, url, viewport=LAPTOP, java_script_enabled=False) as seen:
        page = seen.page
        page.goto(f"{url}/collections")
        page.click("a:has-text('地质灾害点')")
        page.click("main a.main")
        assert page.locator("tbody tr").count() == 7
        page.select_option("select[name=risk_level]", "null")
        page.click("form button")
        assert page.url.endswith("/items?risk_level=null")
        assert "未评估" in page.inner_text(".active")
        levels = page.locator("tbody td .level").all_inner_texts()
        assert {level.strip() for level in levels} == {"未评估"}
        page.click(".active li:last-child a")
        page.goto(f"{page.url}?limit=5")
        page.click("a[rel=next]")
        assert page.locator("tbody tr").count() == 2
        page.click("tbody th a")
        assert page.locator(".map").is_hidden() and page.locator("a.main").is_visible()
        page.click("a.switch")
        assert page.get_attribute("html", "lang") == "en"
        assert seen.elsewhere() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/collections",
        POINTS,
        f"{POINTS}/items?risk_level=1,null",
        f"{POINTS}/items/1",
        f"{POINTS}/items?limit=0",
        f"{POINTS}/queryables?f=html",
        "/conformance",
        "/api?f=html",
    ],
)
def test_text_stands_out_and_fits_a_phone(
    browser: Any, city: tuple[Served, str], path: str, scheme: str
) -> None:
    _, url = city
    with watched(browser, url, viewport=PHONE, color_scheme=scheme) as seen:
        seen.page.goto(url + path)
        ratios = seen.page.evaluate(_CONTRAST)
        assert len(ratios) > 10
        assert [found for found in ratios if found[0] < 4.5] == []
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide == PHONE["width"]


def test_the_keyboard_reaches_everything(browser: Any, city: tuple[Served, str]) -> None:
    _, url = city
    with watched(browser, url, viewport=LAPTOP) as seen:
        page = seen.page
        page.goto(f"{url}{POINTS}/items?limit=2")
        map_of(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        for what in ('name="q"', 'name="filter"', "<select", "<button>", "<canvas", 'rel="next"'):
            assert any(what in one for one in reached), what
        assert any('class="scroll"' in one for one in reached)


def test_a_browser_that_cannot_draw_says_so(browser: Any, city: tuple[Served, str]) -> None:
    _, url = city
    with watched(browser, url, viewport=LAPTOP) as seen:
        seen.page.add_init_script(
            "HTMLCanvasElement.prototype.getContext = function () { return null; };"
        )
        for path in (POINTS, f"{POINTS}/items"):
            seen.page.goto(url + path)
            seen.page.wait_for_selector(".map.trouble")
            assert "无法绘制地图" in seen.page.inner_text(".map")
            assert seen.page.locator("table").first.is_visible()
