"""README's pictures are there and small, and their palette keeps what the page shows."""

from __future__ import annotations

import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

from pictures import COLOURS, palette_png, quantised  # noqa: E402


def decoded(png: bytes) -> np.ndarray:
    """Read back a PNG of one byte a pixel without filters, chunk by chunk."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    parts, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", png, at + 8 + length)
        assert zlib.crc32(kind + data) == checksum
        parts[kind] = data
        at += 12 + length
    width, height = struct.unpack_from(">II", parts[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width + 1)
    palette = np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)
    return palette[rows[:, 1:]]


def test_the_readme_s_pictures_are_there_and_small() -> None:
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) >= 2
    for name in named:
        assert (ROOT / name).read_bytes().startswith(b"\x89PNG")
        assert (ROOT / name).stat().st_size < 900_000


def test_few_colours_stay_as_they_are() -> None:
    random = np.random.default_rng(1)
    colours = random.integers(0, 256, (COLOURS, 3), dtype=np.uint8)
    pixels = colours[random.integers(0, COLOURS, (60, 80))]
    assert (decoded(palette_png(*quantised(pixels))) == pixels).all()


def test_many_colours_come_close_and_a_small_symbol_keeps_its_own() -> None:
    random = np.random.default_rng(2)
    ground = np.array([243, 244, 242]) + random.integers(-6, 7, (200, 300, 3))
    pixels = ground.clip(0, 255).astype(np.uint8)
    pixels[10:14, 10:14] = (181, 16, 31)
    found = decoded(palette_png(*quantised(pixels))).astype(int)
    assert (found[10:14, 10:14] == (181, 16, 31)).all()
    assert np.abs(found - pixels).max() <= 6
