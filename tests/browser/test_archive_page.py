"""The map page over an archive: the same map as over the service, and no tile asked of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from api_help import Served, listening, serving
from archive_help import write
from browser_help import Watched, a_browser, blank, ready, watched
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.tiles.archive_list import folder_of

# Cells, cells nearer, single points, and beyond the archive's last zoom.
FAR, NEAR = "#8/36.37/120.35", "#13/36.32/120.32"
CAMERAS = (
    "#16.5/36.3205/120.3205",
    pytest.param("#10.5/36.33/120.33", marks=pytest.mark.prove),
    pytest.param(FAR, marks=pytest.mark.prove),
    pytest.param(NEAR, marks=pytest.mark.prove),
)
LAST_ZOOM = 14


@dataclass
class Both:
    """A city served with its tiles live, and from an archive."""

    live: str
    archived: str
    folder: Path
    served: Served


@pytest.fixture(scope="module")
def both(cluster: Cluster, migrated: str) -> Iterator[Both]:
    with serving(cluster, migrated, rows=20) as served:
        folder = folder_of(served.settings.data_dir)
        folder.mkdir(parents=True, exist_ok=True)
        write(served.database, folder / "page.pmtiles", zooms=(0, LAST_ZOOM))
        settings = served.settings.model_copy(update={"tiles_archive": "page.pmtiles"})
        with (
            listening(create_app(served.settings)) as live,
            listening(create_app(settings)) as archived,
        ):
            yield Both(f"http://127.0.0.1:{live}", f"http://127.0.0.1:{archived}", folder, served)
        (folder / "page.pmtiles").unlink()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as found:
        yield found


@contextmanager
def opened(browser: Any, url: str, camera: str = "", **options: Any) -> Iterator[Watched]:
    with watched(browser, url, **options) as seen:
        seen.page.goto(f"{url}/{camera}")
        ready(seen.page)
        yield seen
        assert seen.elsewhere() == [] and seen.violations() == []


def asked(seen: Watched, prefix: str) -> list[str]:
    return [url for url in seen.requests if urlsplit(url).path.startswith(prefix)]


def complaints(seen: Watched) -> list[str]:
    # This city has no roads: who asks for what is reached over them is told so.
    return [said for said in seen.errors if "status of 503" not in said]


_DIFFERENT = """
async ([one, other]) => {
  const pixels = async (png) => {
    const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d');
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  const count = (same) => {
    let found = 0;
    for (let i = 0; i < a.length; i += 4) {
      if (!same(i)) found += 1;
    }
    return found;
  };
  const near = (x, y, i) => [0, 1, 2].every((k) => Math.abs(x[i + k] - y[i + k]) < 24);
  // What is no ground is drawn: pixels unlike the corner's.
  const corner = new Uint8ClampedArray(a.length).fill(0).map((_, i) => a[i % 4]);
  return { different: count((i) => near(a, b, i)), drawn: count((i) => near(a, corner, i)) };
}
"""


def compared(browser: Any, one: bytes, other: bytes) -> dict[str, int]:
    """Return how many pixels differ, and how many show something."""
    given = [base64.b64encode(png).decode() for png in (one, other)]
    found: dict[str, int] = blank(browser).evaluate(_DIFFERENT, given)
    return found


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_map_is_the_same_and_asks_for_no_tile(browser: Any, both: Both, camera: str) -> None:
    pictures = []
    for url in (both.live, both.archived):
        with opened(browser, url, camera) as seen:
            pictures.append(seen.page.locator("#map canvas").screenshot())
            tiles, ranges = asked(seen, "/tiles/"), asked(seen, "/archives/")
            assert bool(tiles) is (url == both.live) and bool(ranges) is (url == both.archived)
            assert complaints(seen) == []
    found = compared(browser, *pictures)
    assert found["drawn"] > 2_000
    # Labels may give way to each other in another order of loading; marks and shapes may not.
    assert found["different"] < found["drawn"] / 50, found


def test_the_page_says_of_when_its_map_is(browser: Any, both: Both) -> None:
    with opened(browser, both.archived) as seen:
        assert "地图截至 20" in seen.page.locator("#status-facts").inner_text()
    with opened(browser, both.live) as seen:
        assert "地图截至" not in seen.page.locator("#status-facts").inner_text()


def test_layers_and_people_come_from_it_too(browser: Any, both: Both) -> None:
    """The layer that the page asks the service for alone, as it is heavy, is in the archive."""
    (people,) = (
        one["id"]
        for one in both.served.get("/overview").json()["layers"]
        if one["role"] == "population"
    )
    with opened(browser, both.archived, f"{NEAR}?layers={people}") as seen:
        assert asked(seen, "/tiles/") == [] and asked(seen, "/archives/")


def test_an_archive_that_went_leaves_the_page_to_the_service(browser: Any, both: Both) -> None:
    """The overview named it, and when the page looks it is of another schema."""
    with watched(browser, both.archived) as seen:

        def lie(route: Any) -> None:
            answer = route.fetch()
            told = answer.json()
            told["archive"]["schema"] = "another"
            route.fulfill(response=answer, json=told)

        seen.page.route("**/overview", lie)
        seen.page.goto(f"{both.archived}/{FAR}")
        ready(seen.page)
        assert asked(seen, "/tiles/") and complaints(seen) == []
        assert "地图截至" not in seen.page.locator("#status-facts").inner_text()
    with watched(browser, both.archived) as seen:
        seen.page.route("**/archives/*", lambda route: route.abort())
        seen.page.goto(f"{both.archived}/{FAR}")
        ready(seen.page)
        assert asked(seen, "/tiles/")
