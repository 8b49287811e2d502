"""Take the README's pictures of a running service, or of one started for it with the demo city.

make pictures
python scripts/pictures.py --url http://127.0.0.1:8000
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WALL = {"width": 1920, "height": 1080}
LAPTOP = {"width": 1366, "height": 768}
# WebGL by software, so that the pictures are alike on every machine.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
COLOURS = 256
NEAR_DEG = 0.045  # 5 km
# The map has rested for some frames, and the figures are there.
READY = """
() => {
  const place = document.getElementById('status-place')?.textContent ?? '';
  const still = /z \\d/.test(place) && document.getElementById('map-busy')?.hidden
    && document.querySelector('#kpis')?.textContent.includes('%')
    && document.querySelectorAll('[aria-busy=true]').length === 0;
  window.__still = still ? (window.__still ?? 0) + 1 : 0;
  return window.__still > 60;
}
"""
PIXELS = """
async (png) => {
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  let text = '';
  for (let i = 0; i < data.length; i += 32768) {
    text += String.fromCharCode(...data.subarray(i, i + 32768));
  }
  return btoa(text);
}
"""


def main() -> None:
    """Take all pictures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--url", help="a running service; without it one is started")
    options.add_argument("--folder", type=Path, default=FOLDER)
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.url:
        take_all(given.url.rstrip("/"), given.folder)
        return
    with a_service() as url:
        take_all(url, given.folder)


@contextmanager
def a_service() -> Iterator[str]:
    """Start a service of its own in a temporary folder; it loads the demo city."""
    with tempfile.TemporaryDirectory(prefix="riskmap-pictures-") as name:
        Path(name).chmod(0o755)  # root's clusters run as another account
        kept = {key: text for key, text in os.environ.items() if not key.startswith("RISKMAP_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "riskmap.cli.main", "serve"],
            env={**kept, "RISKMAP_DATA_DIR": f"{name}/data", "RISKMAP_PORT": "0"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield address(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)


def address(process: subprocess.Popen[str]) -> str:
    """Wait until the service says where it listens."""
    if process.stdout is None:
        raise SystemExit("no output to read")
    for line in process.stdout:
        if found := re.search(r"ready: (http://\S+:\d+)", line):
            return found[1]
    raise SystemExit("the service ended before it was ready")


def take_all(url: str, folder: Path) -> None:
    """Take every picture of a service."""
    station = main_station(url)
    lon, lat = station["geometry"]["coordinates"]
    circle = f"#11.6/{lat:.5f}/{lon:.5f}?view=circle&at={lon:.6f},{lat:.6f}&kind=fire_station"
    circle += f"&team={station['layer']}:{station['id']}&lang=zh"
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        if path is None:
            raise SystemExit("没有 Chromium：apt-get install chromium | there is no Chromium")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for name, hash_, size in (
            ("overview", "#?lang=zh&theme=light", WALL),
            ("circle-dark", f"{circle}&theme=dark", WALL),
            ("laptop", "#?lang=en&theme=light", LAPTOP),
        ):
            shot = take(browser, f"{url}/{hash_}", size)
            small = smaller(browser, shot, size)
            (folder / f"{name}.png").write_bytes(small)
            print(f"{folder / name}.png {len(small) // 1000} kB")  # noqa: T201
        browser.close()


def main_station(url: str) -> dict[str, Any]:
    """Return the fire station with the most other teams around: the middle of a good circle."""
    overview = httpx.get(f"{url}/overview", timeout=60).json()
    teams = []
    for layer in overview["layers"]:
        if layer["role"] == "team":
            items = f"{url}/collections/{layer['id']}/items?limit=1000"
            for feature in httpx.get(items, timeout=60).json()["features"]:
                if feature["geometry"]["type"] == "Point":
                    teams.append({**feature, "layer": layer["id"]})
    stations = [team for team in teams if team["properties"].get("kind") == "fire_station"]
    if not stations:
        raise SystemExit("没有消防站可画响应圈 | no fire station to draw a circle of")
    xy = np.array([team["geometry"]["coordinates"] for team in teams])

    def neighbours(station: dict[str, Any]) -> int:
        lon, lat = station["geometry"]["coordinates"]
        east = (xy[:, 0] - lon) * np.cos(np.radians(lat))
        return int((np.hypot(east, xy[:, 1] - lat) < NEAR_DEG).sum())

    return max(stations, key=neighbours)


def take(browser: Any, address_: str, size: dict[str, int]) -> bytes:
    """Return a picture of the page once its map has come to rest."""
    context = browser.new_context(viewport=size, locale="zh-CN", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.goto(address_)
    if "view=circle" in address_:
        page.wait_for_selector("#right table.bands")
    page.wait_for_function(READY)
    shot: bytes = page.screenshot()
    context.close()
    return shot


def smaller(browser: Any, png: bytes, size: dict[str, int]) -> bytes:
    """Return the picture with a palette: a third of the bytes, and nobody sees it."""
    page = browser.new_page()
    raw = base64.b64decode(page.evaluate(PIXELS, base64.b64encode(png).decode()))
    page.close()
    pixels = np.frombuffer(raw, np.uint8).reshape(size["height"], size["width"], 4)[:, :, :3]
    palette, indexes = quantised(pixels)
    return palette_png(palette, indexes)


def quantised(
    pixels: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return a palette by median cut (Heckbert 1982), and each pixel's place in it.

    The box to cut is the one with the most error, not the most pixels: a page is mostly plain
    ground, and its small symbols must keep their colours.
    """
    colours, place, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    boxes = [np.arange(len(colours))]
    errors = [_error(colours[boxes[0]], counts[boxes[0]])]
    while len(boxes) < min(COLOURS, len(colours)):
        worst = int(np.argmax(errors))
        box = boxes.pop(worst)
        errors.pop(worst)
        axis = int(np.argmax(_spread(colours[box], counts[box])))
        box = box[np.argsort(colours[box, axis], kind="stable")]
        running = np.cumsum(counts[box])
        cut = int(np.clip(np.searchsorted(running, running[-1] / 2), 1, len(box) - 1))
        for part in (box[:cut], box[cut:]):
            boxes.append(part)
            errors.append(_error(colours[part], counts[part]))
    entry = np.zeros(len(colours), np.uint8)
    palette = np.zeros((len(boxes), 3), np.uint8)
    for number, box in enumerate(boxes):
        entry[box] = number
        palette[number] = np.round(np.average(colours[box], axis=0, weights=counts[box]))
    return palette, entry[place.reshape(pixels.shape[:2])]


def _spread(colours: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    middle = np.average(colours, axis=0, weights=counts)
    spread: npt.NDArray[Any] = ((colours - middle) ** 2 * counts[:, None]).sum(axis=0)
    return spread


def _error(colours: npt.NDArray[Any], counts: npt.NDArray[Any]) -> float:
    return float(_spread(colours, counts).sum()) if len(colours) > 1 else -1.0


def palette_png(palette: npt.NDArray[np.uint8], indexes: npt.NDArray[np.uint8]) -> bytes:
    """Write a PNG of colour type 3 (PNG specification, section 11.2)."""
    height, width = indexes.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), indexes], axis=1)  # filter 0: none
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


if __name__ == "__main__":
    main()
