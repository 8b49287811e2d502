"""The map page when something is missing: a sentence in the reader's language, no blank map."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from api_help import Served, eventually, fill, listening, serving
from browser_help import Watched, a_browser, colours, ready, watched
from online_help import an_online_city, place
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.i18n import say

# What the browser itself says of an answer that did not come; the page adds nothing to it.
_FAILED = re.compile(r"Failed to load resource")
CHINESE = re.compile(r"[\u4e00-\u9fff]{4}")
ENGLISH = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


def notice(seen: Watched) -> str:
    """Return the sentence over the map, once there is one."""
    seen.page.wait_for_selector("#notice:not([hidden])")
    text: str = seen.page.inner_text("#notice")
    return text


def in_both_languages(seen: Watched) -> tuple[str, str]:
    """Return the sentence in Chinese and in English, the language switched by one click."""
    chinese = notice(seen)
    assert CHINESE.search(chinese), chinese
    seen.page.click("[data-focus='lang']")
    seen.page.wait_for_function(
        "(old) => document.getElementById('notice').textContent !== old", arg=chinese
    )
    english = notice(seen)
    assert ENGLISH.search(english) and not re.search(r"[\u4e00-\u9fff]{4}", english), english
    seen.page.click("[data-focus='lang']")
    return chinese, english


def tolerable(seen: Watched) -> None:
    """Check that the page itself complained of nothing and asked nobody else."""
    assert [text for text in seen.errors if not _FAILED.search(text)] == []
    assert seen.elsewhere() == []
    assert seen.violations() == []


@contextmanager
def on_port(app: FastAPI, port: int) -> Iterator[None]:
    """Serve where a page expects its service."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)


def test_an_empty_database(browser: Any, cluster: Cluster, migrated: str) -> None:
    with (
        serving(cluster, migrated, city=False) as served,
        listening(create_app(served.settings)) as port,
        watched(browser, f"http://127.0.0.1:{port}") as seen,
    ):
        seen.page.goto(seen.origin)
        chinese, english = in_both_languages(seen)
        assert chinese == say("landing.no_city", "zh")
        assert english == say("landing.no_city", "en")
        seen.clean()


def test_a_city_that_is_empty_fills_while_the_page_is_open(
    browser: Any, cluster: Cluster, migrated: str
) -> None:
    with (
        serving(cluster, migrated) as served,
        listening(create_app(served.settings)) as port,
        watched(browser, f"http://127.0.0.1:{port}") as seen,
    ):
        seen.page.goto(seen.origin)
        chinese, _ = in_both_languages(seen)
        assert "测试市" in chinese
        fill(served.database, rows=7)
        ready(seen.page)
        # No roads yet: that is the next thing to say.
        assert seen.page.inner_text("#notice") != chinese
        assert "riskmap roads import" in notice(seen)
        tolerable(seen)


@pytest.fixture(scope="module")
def roadless(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as served:
        yield served


def test_a_city_without_roads(browser: Any, roadless: Served) -> None:
    with (
        listening(create_app(roadless.settings)) as port,
        watched(browser, f"http://127.0.0.1:{port}") as seen,
    ):
        page = seen.page
        page.goto(f"{seen.origin}/#13/36.5/120.6")
        ready(page)
        in_both_languages(seen)
        # The map is there all the same, and a circle says why there is none.
        assert "z 13" in page.inner_text("#status-place")
        spot = page.locator("#map").bounding_box()
        page.mouse.click(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
        page.wait_for_function("location.hash.includes('view=circle')")
        said = page.locator("#right [role=alert], #right .trouble").first.inner_text()
        assert CHINESE.search(said), said
        assert page.locator("#right table.bands").count() == 0
        tolerable(seen)


def test_tiles_that_do_not_come(browser: Any, cluster: Cluster, migrated: str) -> None:
    with (
        an_online_city(cluster, migrated) as online,
        watched(browser, online.url) as seen,
    ):
        page = seen.page
        page.route("**/tiles/**", lambda route: route.abort())
        lon, lat = place(10, 2)
        page.goto(f"{online.url}/#13/{lat}/{lon}")
        chinese, english = in_both_languages(seen)
        assert "瓦片" in chinese or "地图" in chinese
        assert "tile" in english or "map" in english
        # The panels work without tiles.
        assert page.locator("[data-focus^='layer-']").count() > 5
        page.unroute("**/tiles/**")
        page.wait_for_selector("#notice[hidden]", state="attached")
        ready(page)
        found = colours(browser, page.locator("#map").screenshot())
        assert len(found) > 50
        tolerable(seen)


def test_a_server_that_dies_and_comes_back(browser: Any, cluster: Cluster, migrated: str) -> None:
    with an_online_city(cluster, migrated) as online:
        with listening(create_app(online.served.settings)) as port:
            pass  # a port that was free a moment ago
        with watched(browser, f"http://127.0.0.1:{port}") as seen:
            page = seen.page
            lon, lat = place(10, 2)
            with on_port(create_app(online.served.settings), port):
                page.goto(f"{seen.origin}/#13/{lat}/{lon}")
                ready(page)
                assert page.is_hidden("#notice")
                before = page.locator("#left-body .count").all_inner_texts()
            chinese, english = in_both_languages(seen)
            assert re.search(r"\d\d:\d\d", chinese) and re.search(r"\d\d:\d\d", english)
            assert "断线" in page.inner_text("#status")
            # What was known stays.
            assert page.locator("#left-body .count").all_inner_texts() == before
            # A circle that cannot be asked for says so in the panel.
            spot = page.locator("#map").bounding_box()
            page.mouse.click(spot["x"] + 30, spot["y"] + spot["height"] / 2)
            page.wait_for_function("location.hash.includes('view=circle')")
            said = page.locator("#right [role=alert], #right .trouble").first.inner_text()
            assert CHINESE.search(said), said
            with on_port(create_app(online.served.settings), port):
                page.wait_for_selector("#notice[hidden]", state="attached")
                assert "断线" not in page.inner_text("#status")
                tolerable(seen)


def test_a_page_that_starts_without_its_server(
    browser: Any, cluster: Cluster, migrated: str
) -> None:
    """The page is here, its files too, and then every question goes unanswered."""
    with (
        an_online_city(cluster, migrated) as online,
        watched(browser, online.url) as seen,
    ):
        dead = re.compile(r"/(overview|analysis|collections|tiles)")
        seen.page.route(dead, lambda route: route.abort())
        seen.page.goto(online.url)
        in_both_languages(seen)
        seen.page.unroute(dead)
        ready(seen.page)
        seen.page.wait_for_selector("#notice[hidden]", state="attached")
        tolerable(seen)
