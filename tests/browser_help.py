"""A real browser for tests: Debian's Chromium, watched for what a page must never do."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from riskmap.web.page import BUILT, INDEX

# WebGL by software: the machines that run tests have no graphics card.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
WALL = {"width": 1920, "height": 1080}
LAPTOP = {"width": 1366, "height": 768}
# No limit of speed: software WebGL on two busy cores is slow, and a hung page must fail some day.
PATIENCE_MS = 120_000
_VIOLATIONS = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


def _lacking(what: str) -> NoReturn:
    """Skip by name what this machine lacks; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(f"not here: {what}")


def chromium() -> str:
    """Return where Chromium is, once there is a page for it to show."""
    if not (BUILT / INDEX).exists():
        _lacking("the built page (make web)")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        _lacking("Chromium (apt-get install chromium fonts-noto-cjk)")
    return found


@contextmanager
def a_browser() -> Iterator[Any]:
    """Start Chromium. Playwright keeps an event loop in this thread: end it with the module."""
    path = chromium()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only with a Chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and what it did that it may not."""

    page: Any
    origin: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def elsewhere(self) -> list[str]:
        """Return the requests that went to any other host."""
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in ("data", "blob", "about")
            and f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" != self.origin
        ]

    def violations(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.__violations")
        return found

    def clean(self) -> None:
        """Check that the page asked no other host and complained of nothing."""
        assert self.elsewhere() == []
        assert self.violations() == []
        assert self.errors == []


@contextmanager
def watched(browser: Any, origin: str, **options: Any) -> Iterator[Watched]:
    """Open a page of a fresh visitor, who wants no motion: each frame of a camera's flight is drawn
    by the processor. What moves is asked for with `reduced_motion="no-preference"`.
    """
    usual = {"viewport": LAPTOP, "locale": "zh-CN", "reduced_motion": "reduce"}
    context = browser.new_context(**{**usual, **options})
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_VIOLATIONS)
    page = context.new_page()
    seen = Watched(page, origin)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on(
        "console",
        lambda said: seen.errors.append(said.text) if said.type == "error" else None,
    )
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        yield seen
    finally:
        context.close()


@cache
def blank(browser: Any) -> Any:
    """Return a page for computing, the same each time: to open one takes half a second."""
    return browser.new_page()


_COLOURS = """
async (png) => {
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const found = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const key = data[i] << 16 | data[i + 1] << 8 | data[i + 2];
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return Object.fromEntries([...found].map(([k, n]) => [k.toString(16).padStart(6, '0'), n]));
}
"""


def colours(browser: Any, png: bytes) -> dict[str, int]:
    """Return how many pixels of a picture have each colour, `#rrggbb`.

    The browser itself decodes the picture, on a blank page without our content policy.
    """
    found: dict[str, int] = blank(browser).evaluate(_COLOURS, base64.b64encode(png).decode())
    return {f"#{colour}": pixels for colour, pixels in found.items()}


# The map has rested for some frames, and nothing is being asked.
_READY = """
() => {
  const place = document.getElementById('status-place')?.textContent ?? '';
  const still = /z \\d/.test(place) && document.getElementById('map-busy')?.hidden;
  window.__still = still ? (window.__still ?? 0) + 1 : 0;
  return window.__still > 8;
}
"""


def ready(page: Any) -> None:
    """Wait until the map has drawn what it was asked for, tiles and answers included."""
    page.evaluate("window.__still = 0")
    page.wait_for_function(_READY)
