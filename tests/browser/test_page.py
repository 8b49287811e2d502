"""The map page over the demo city, in a real browser, against what the API says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box, shape

from api_help import Served, listening, serving_the_demo
from browser_help import LAPTOP, WALL, Watched, a_browser, colours, ready, watched
from riskmap.app import create_app
from riskmap.db.cluster import Cluster

# 40 m at the city's latitude: more than half a symbol at zoom 16, where a pixel is a metre.
NEAR_DEG = 40 / 111_000 / 0.8
LEVEL_WORDS = {"1": "重大", "2": "较大", "3": "一般", "4": "低", "null": "未评估"}
# Drawn beneath and not picked by a click.
GROUND = ("context", "area", "population")


@dataclass
class Demo:
    served: Served
    url: str

    def get(self, path: str, **params: Any) -> Any:
        answer = self.served.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def around(self, lon: float, lat: float) -> list[tuple[str, int]]:
        """Return what lies so near that a click could mean it."""
        near = box(lon - NEAR_DEG, lat - NEAR_DEG, lon + NEAR_DEG, lat + NEAR_DEG)
        bounds = ",".join(str(value) for value in near.bounds)
        return [
            (layer["id"], feature["id"])
            for layer in self.get("/overview")["layers"]
            if layer["role"] not in GROUND
            for feature in self.get(f"/collections/{layer['id']}/items", bbox=bounds)["features"]
            if shape(feature["geometry"]).intersects(near)
        ]

    def features(self, role: str, **filters: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the points of the layers of a role."""
        for layer in self.get("/overview")["layers"]:
            if layer["role"] == role and layer["geometry"] != "MultiLineString":
                found = self.get(f"/collections/{layer['id']}/items", limit=200, **filters)
                for feature in found["features"]:
                    if feature["geometry"]["type"] == "Point":
                        yield layer["id"], feature

    def alone(self, role: str, **filters: Any) -> tuple[str, dict[str, Any]]:
        """Return a point that nothing else lies near."""
        for layer, feature in self.features(role, **filters):
            if self.around(*feature["geometry"]["coordinates"]) == [(layer, feature["id"])]:
                return layer, feature
        raise AssertionError(f"every {role} {filters} has a neighbour")

    def bare_ground(self) -> tuple[float, float]:
        """Return a place beside a fire station, thus beside a road, with no feature on it."""
        for _, station in self.features("team", kind="fire_station"):
            lon, lat = station["geometry"]["coordinates"]
            for step in (3, -3, 5, -5):
                if not self.around(lon + step * NEAR_DEG, lat):
                    return lon + step * NEAR_DEG, lat
        raise AssertionError("no bare ground beside any station")


@pytest.fixture(scope="module")
def demo(cluster: Cluster, migrated: str) -> Iterator[Demo]:
    with (
        serving_the_demo(cluster, migrated) as served,
        listening(create_app(served.settings)) as port,
    ):
        yield Demo(served, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


@pytest.fixture(scope="module")
def overview_page(browser: Any, demo: Demo) -> Iterator[Watched]:
    """The page as it opens, for tests that only read it."""
    with opened(browser, demo) as seen:
        yield seen


@contextmanager
def opened(browser: Any, demo: Demo, hash_: str = "", **options: Any) -> Iterator[Watched]:
    """Open the page, wait until its map is drawn, and check at the end that it behaved."""
    with watched(browser, demo.url, **options) as seen:
        seen.page.goto(f"{demo.url}/{hash_}")
        ready(seen.page)
        yield seen
        seen.clean()


def middle(page: Any) -> tuple[float, float]:
    place = page.locator("#map").bounding_box()
    return place["x"] + place["width"] / 2, place["y"] + place["height"] / 2


def at(place: Any, zoom: float = 16, **more: str) -> str:
    lon, lat = place
    return f"#{zoom}/{lat:.6f}/{lon:.6f}?" + "&".join(f"{k}={v}" for k, v in more.items())


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def picture(seen: Watched, name: str) -> bytes:
    """Take a picture; `make test ARGS=--basetemp=...` keeps it for who wants to look."""
    shot: bytes = seen.page.screenshot(path=name)
    return shot


# ---------------------------------------------------------------- overview


def test_the_page_shows_the_city(
    browser: Any, demo: Demo, overview_page: Watched, tmp_path: Path
) -> None:
    overview = demo.get("/overview")
    seen, page = overview_page, overview_page.page
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert overview["city"]["name"] in page.title()
    assert "演示数据" in page.inner_text("#banner")
    assert page.is_hidden("#notice")
    for layer in overview["layers"]:
        row = page.locator(f"[data-focus='layer-{layer['id']}']")
        if row.count():
            said = row.locator("xpath=..").locator(".count").inner_text()
            assert numbers(said) == [layer["count"]], layer["id"]
    shown = [
        layer
        for layer in overview["layers"]
        if page.locator(f"[data-focus='layer-{layer['id']}']:checked").count()
    ]
    assert len(shown) > 5
    for level, word in LEVEL_WORDS.items():
        row = page.locator(f"[data-focus='level-{level}']").locator("xpath=..")
        expected = sum((layer["levels"] or {}).get(level, 0) for layer in shown)
        assert numbers(row.locator(".count").inner_text()) == [expected]
        assert word in row.inner_text()
    picture(seen, str(tmp_path / "overview-wall.png"))
    tiles = [url for url in seen.requests if "/tiles/" in url]
    assert tiles
    found = colours(browser, page.locator("#map").screenshot())
    assert len(found) > 500  # not blank
    # Land, water and the level colours of PAGE.md, on the map and not only in the legend.
    for colour in ("#f3f4f2", "#cfdde6", "#b5101f", "#e8760a", "#ffd60a", "#1e69cc"):
        assert found.get(colour, 0) > 200, colour
    seen.clean()


def test_the_key_figures_are_the_service_s(demo: Demo, overview_page: Watched) -> None:
    overview = demo.get("/overview")
    coverage = demo.get("/analysis/coverage", minutes=15, limit=2000)
    seen = overview_page
    figures = seen.page.locator("#kpis > *")
    seen.page.wait_for_function(
        "document.querySelector('#tab-attention')?.textContent.match(/[0-9]/)"
    )
    major, covered, shelters, _fresh = (numbers(text) for text in figures.all_inner_texts())
    major_count = coverage["major"]["count"]
    assert major[0] == major_count
    assert major_count - coverage["major"]["covered"] in major
    share = coverage["total"]["covered"] / coverage["total"]["count"] * 100
    assert any(abs(value - share) < 0.06 for value in covered)
    usable = sum(overview["shelters"]["by_status"].get(s, 0) for s in ("open", "standby"))
    assert usable in shelters
    free = overview["shelters"]["free"]
    assert any(abs(value * 10_000 - free) <= 500 for value in shelters)  # 65.2 万
    first = coverage["uncovered"][0]
    row = seen.page.locator("#tab-body .item").first.inner_text()
    assert first["name"] in row
    assert numbers(seen.page.inner_text("#tab-attention")) == [coverage["uncovered_count"]]


def test_language_and_theme_are_one_click_away(browser: Any, demo: Demo, tmp_path: Path) -> None:
    with opened(browser, demo) as seen:
        page = seen.page
        light = colours(browser, page.locator("#map").screenshot())
        before = page.locator("#left-body .count").all_inner_texts()
        page.click("[data-focus='lang']")
        page.wait_for_function("document.documentElement.lang === 'en'")
        ready(page)
        assert page.inner_text("[data-focus='overview']") == "Overview"
        assert "Synthetic data" in page.inner_text("#banner")
        assert "Major" in page.inner_text("#legend")
        assert page.locator("#left-body .count").all_inner_texts() == before
        assert "lang=en" in page.url
        picture(seen, str(tmp_path / "overview-en.png"))
        page.click("[data-focus='theme']")
        page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        ready(page)
        assert "theme=dark" in page.url
        dark = colours(browser, page.locator("#map").screenshot())
        assert light.get("#1b222a", 0) < 100 < 1000 < dark.get("#1b222a", 0)
        assert dark.get("#f3f4f2", 0) < 100
        picture(seen, str(tmp_path / "overview-dark.png"))
        page.click("[data-focus='lang']")
        page.wait_for_function("document.documentElement.lang === 'zh-CN'")
        page.reload()
        ready(page)
        assert page.get_attribute("html", "data-theme") == "dark"


def test_levels_and_layers_are_switched(browser: Any, demo: Demo) -> None:
    with opened(browser, demo, viewport=WALL) as seen:
        page = seen.page
        red = colours(browser, page.locator("#map").screenshot()).get("#b5101f", 0)
        for level in ("1", "2", "3"):
            page.click(f"[data-focus='level-{level}']")
        ready(page)
        assert "重大" not in page.inner_text("#legend")
        left = colours(browser, page.locator("#map").screenshot())
        assert left.get("#b5101f", 0) < red / 10
        page.click("[data-focus='level-1']")
        ready(page)
        again = colours(browser, page.locator("#map").screenshot())
        assert again.get("#b5101f", 0) > left.get("#b5101f", 0)
        assert "lv=1,4,null" in page.url


# ---------------------------------------------------------------- card


def test_a_click_opens_the_card(browser: Any, demo: Demo, tmp_path: Path) -> None:
    wanted: tuple[tuple[str, dict[str, Any]], ...] = (
        ("hazard", {"risk_level": 1}),
        ("shelter", {}),
    )
    with opened(browser, demo) as seen:
        for role, filters in wanted:
            a_click_opens_the_card(seen, demo, role, filters, tmp_path)


def a_click_opens_the_card(
    seen: Watched, demo: Demo, role: str, filters: dict[str, Any], tmp_path: Path
) -> None:
    layer, feature = demo.alone(role, **filters)
    properties = feature["properties"]
    page = seen.page
    page.goto(f"{demo.url}/{at(feature['geometry']['coordinates'])}")
    ready(page)
    page.mouse.click(*middle(page))
    page.wait_for_selector("#right dl.fields")
    assert page.inner_text("#right h2") == properties["name"]
    assert f"id={layer}:{feature['id']}" in page.url
    card = page.inner_text("#right")
    assert "演示数据" in card
    assert properties["code"] in card
    if role == "hazard":
        assert "重大" in page.inner_text("#right header")
    labels = {
        field["name"]: field["label"] for field in demo.get(f"/collections/{layer}")["fields"]
    }
    assert labels["code"] in card
    picture(seen, str(tmp_path / f"card-{role}.png"))
    page.keyboard.press("Escape")
    page.wait_for_selector("#tab-body")
    assert "id=" not in page.url


# ---------------------------------------------------------------- circle


def test_a_click_on_bare_ground_draws_the_circle(
    browser: Any, demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = demo.bare_ground()
    with opened(browser, demo, at(place, 12.2)) as seen:
        page = seen.page
        before = colours(browser, page.locator("#map").screenshot())
        page.goto(f"{demo.url}/{at(place)}")
        ready(page)
        drawn = time_to_bands(page, middle(page))
        with capsys.disabled():
            print(f"\ncircle by click: {drawn}")  # noqa: T201 - measured, not asserted
            page.keyboard.press("Escape")
            page.wait_for_selector("#right table.bands", state="detached")
            page.goto(f"{demo.url}/{at(place)}")
            ready(page)
            drawn = time_to_bands(page, middle(page))
            print(f"and again: {drawn}")  # noqa: T201
        asked = drawn["asked"]["points"][0]
        assert asked == pytest.approx(place, abs=1e-4)
        answer = demo.served.client.post("/analysis/response-circles", json=drawn["asked"]).json()
        bands = [band["properties"] for band in answer["features"][::-1]]
        people = [band["people"] for band in bands]
        assert 0 < people[0] < people[1] < people[2]
        assert shown_people(page) == pytest.approx(
            [people[0], people[1] - people[0], people[2] - people[1], people[2]], abs=501
        )
        table = page.inner_text("#right table.bands")
        assert "≤5" in table and "5–10" in table and "10–15" in table
        for name in bands[2]["layers"]:
            title = demo.get(f"/collections/{name}")["titles"]["zh"]
            cells = page.locator("#right table.bands tr", has_text=title).first.inner_text()
            assert numbers(cells.removeprefix(title))[-1] == bands[2]["layers"][name]["count"]
        page.goto(f"{demo.url}/{at(place, 12.2)}&{page.url.split('?')[1]}")
        page.wait_for_selector("#right table.bands")
        ready(page)
        after = colours(browser, page.locator("#map").screenshot())
        # The bands' edges: else only the resources' squares have this colour.
        assert after.get("#0b4a3e", 0) > before.get("#0b4a3e", 0) + 2000
        for word in ("15 分钟界", "≤5", "5–10", "10–15"):
            assert word in page.inner_text("#legend")
        picture(seen, str(tmp_path / "circle-wall.png"))
        page.keyboard.press("Escape")
        page.wait_for_selector("#right table.bands", state="detached")


def time_to_bands(page: Any, where: tuple[float, float]) -> dict[str, Any]:
    """Click and say how long it took: until the answer was here, and until it was drawn.

    The panel and the map get the answer in one step: the second frame after the table has come is
    the first that certainly shows the bands.
    """
    page.evaluate(
        """() => {
          window.__drawn = new Promise((resolve) => {
            addEventListener('pointerdown', () => { window.__clicked = performance.now(); },
              { capture: true, once: true });
            new MutationObserver((_, observer) => {
              if (!document.querySelector('#right table.bands')) return;
              observer.disconnect();
              requestAnimationFrame(() => requestAnimationFrame(() =>
                resolve(performance.now() - window.__clicked)));
            }).observe(document.getElementById('right'), { childList: true, subtree: true });
          });
        }"""
    )
    with page.expect_response("**/analysis/response-circles") as heard:
        page.mouse.click(*where)
    drawn_ms = page.evaluate("window.__drawn")
    answered_ms = page.evaluate(
        """performance.getEntriesByType('resource')
          .filter(({ name }) => name.endsWith('/analysis/response-circles')).at(-1).responseEnd
          - window.__clicked"""
    )
    return {
        "answered_ms": round(answered_ms),
        "drawn_ms": round(drawn_ms),
        "server": heard.value.headers.get("server-timing"),
        "asked": heard.value.request.post_data_json,
    }


def shown_people(page: Any) -> list[float]:
    """Return the people of each band and in all, as the table says them (in 万 or one by one)."""
    row = page.locator("#right table.bands tbody tr").first
    factor = 10_000 if "万" in row.locator("th").inner_text() else 1
    return [numbers(text)[0] * factor for text in row.locator("td").all_inner_texts()]


def test_a_team_s_card_draws_its_own_circle(browser: Any, demo: Demo, tmp_path: Path) -> None:
    layer, team = demo.alone("team", kind="fire_station")
    with opened(browser, demo, at(team["geometry"]["coordinates"], 16, theme="dark")) as seen:
        page = seen.page
        page.mouse.click(*middle(page))
        page.wait_for_selector("[data-focus='draw']")
        with page.expect_response("**/analysis/response-circles") as heard:
            page.click("[data-focus='draw']")
        assert heard.value.request.post_data_json["kind"] == "fire_station"
        page.wait_for_selector("#right table.bands")
        assert page.inner_text("#right h2") == team["properties"]["name"]
        assert f"team={layer}:{team['id']}" in page.url
        seen.page.goto(
            f"{demo.url}/{at(team['geometry']['coordinates'], 11.8)}&{page.url.split('?')[1]}"
        )
        ready(page)
        picture(seen, str(tmp_path / "circle-dark.png"))


# ---------------------------------------------------------------- keyboard, URL, layout


def test_the_keyboard_is_enough(browser: Any, demo: Demo) -> None:
    layer, feature = demo.alone("hazard", risk_level=1)
    lon, lat = feature["geometry"]["coordinates"]
    # With all that moves, as on most machines.
    with opened(browser, demo, reduced_motion="no-preference") as seen:
        page = seen.page
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "go-input"
        page.keyboard.type("999,999")
        page.keyboard.press("Enter")
        assert page.is_visible("#go-said")
        page.fill("#go-input", f"{lon},{lat}")
        page.keyboard.press("Enter")
        page.wait_for_function("(z) => Number(location.hash.slice(1).split('/')[0]) >= z", arg=13.9)
        where = [float(value) for value in page.url.split("#")[1].split("?")[0].split("/")]
        assert where[1:] == pytest.approx([lat, lon], abs=1e-3)
        page.keyboard.press("2")
        page.wait_for_function("location.hash.includes('view=circle')")
        page.keyboard.press("1")
        page.wait_for_function("location.hash.includes('view=overview')")
        page.focus("#map canvas")
        page.keyboard.press("+")
        page.wait_for_function(
            "(z) => Number(location.hash.slice(1).split('/')[0]) > z", arg=where[0] + 0.5
        )
        # The list says in words what the map shows, and opens it.
        page.focus("#tab-attention")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#tab-list[aria-selected='true']")
        row = page.locator(f"#tab-body [data-focus='{layer}:{feature['id']}']")
        row.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#right dl.fields")
        assert page.inner_text("#right h2") == feature["properties"]["name"]
        page.keyboard.press("Escape")
        page.wait_for_selector("#tab-list")


def test_a_link_restores_everything(browser: Any, demo: Demo) -> None:
    lon, lat = demo.bare_ground()
    wanted = at((lon, lat), 12.5, view="circle", at=f"{lon:.6f},{lat:.6f}", lv="1,2", lang="en")
    with opened(browser, demo, f"{wanted}&theme=dark") as seen:
        page = seen.page
        page.wait_for_selector("#right table.bands")
        assert page.get_attribute("html", "lang") == "en"
        assert page.get_attribute("html", "data-theme") == "dark"
        assert page.get_attribute("[data-focus='circle']", "aria-current") == "page"
        checked = [page.is_checked(f"[data-focus='level-{level}']") for level in LEVEL_WORDS]
        assert checked == [True, True, False, False, False]
        assert "z 12.5" in page.inner_text("#status-place")
        table = page.inner_text("#right table.bands")
        page.reload()
        ready(page)
        page.wait_for_selector("#right table.bands")
        assert page.inner_text("#right table.bands") == table
        for part in ("view=circle", f"at={lon:.6f},{lat:.6f}", "lv=1,2", "lang=en", "theme=dark"):
            assert part in page.url


@pytest.mark.parametrize("size", [WALL, LAPTOP], ids=["wall", "laptop"])
def test_nothing_is_cut_off(browser: Any, demo: Demo, size: dict[str, int], tmp_path: Path) -> None:
    """PAGE.md section 2: the map has at least 62 % of the width, and the page never scrolls."""
    lon, lat = demo.bare_ground()
    circle = at((lon, lat), 12.3, view="circle", at=f"{lon:.6f},{lat:.6f}")
    with opened(browser, demo, viewport=size) as seen:
        picture(seen, str(tmp_path / "overview.png"))
        within(seen.page, size)
        seen.page.goto(f"{demo.url}/{circle}")
        seen.page.wait_for_selector("#right table.bands")
        ready(seen.page)
        picture(seen, str(tmp_path / "circle.png"))
        within(seen.page, size)


def within(page: Any, size: dict[str, int]) -> None:
    scroll = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert scroll == [size["width"], size["height"]]
    parts = {
        name: page.locator(f"#{name}").bounding_box()
        for name in ("top", "banner", "left", "kpis", "map", "legend", "right", "status")
    }
    assert all(parts.values()), parts
    assert parts["map"]["width"] >= 0.62 * size["width"]
    for name, place in parts.items():
        assert place["x"] >= 0 and place["x"] + place["width"] <= size["width"], name
        assert place["y"] >= 0 and place["y"] + place["height"] <= size["height"], name
    # No figure or word of the strip runs out of its box.
    cut = page.evaluate(
        """[...document.querySelectorAll('#top *, #kpis *, #status *, #legend *')]
          .filter((e) => e.children.length === 0 && e.scrollWidth > e.clientWidth + 1
            && getComputedStyle(e).display !== 'inline' && e.clientWidth > 0
            && !['INPUT', 'KBD'].includes(e.tagName) && !e.closest('.unseen'))
          .map((e) => `${e.tagName}.${e.className}: ${e.textContent}`)"""
    )
    assert cut == []


def test_the_readme_s_notebook_lines_hold(demo: Demo) -> None:
    """README "In a notebook", with the address of this service."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## In a notebook.*?```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    known: dict[str, Any] = {}
    code = block[1].replace("http://127.0.0.1:8000", demo.url)
    assert code != block[1]
    exec(code, known)  # noqa: S102 - our own words
    answer = demo.get("/collections/geohazard-points/items", risk_level="1,null", limit=1)
    assert len(known["hazards"]) == answer["numberMatched"] > 0
    assert known["circle"]["people"].iloc[-1] > 10_000
    html = known["city"].map(known["hazards"], circle=known["circle"]).get_root().render()
    assert "演示数据" in html
