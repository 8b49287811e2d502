"""The sprite: every image of a style in one PNG, and the index that says where each lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from resvg_py import svg_to_bytes

from riskmap.catalog.shapes import LEVELS, LOOKS
from riskmap.catalog.spec import Layer
from riskmap.catalog.symbols import hazard_parts, resource_parts
from riskmap.catalog.tokens import THEMES, Theme
from riskmap.tiles.styles import marks
from riskmap.tiles.styles.kinds import Kind, kind_of
from riskmap.tiles.styles.marks import Image

# Sizes of symbols by zoom: up to 11, at 12, from 13 on.
HAZARD_PX: Final = (16, 20, 28)
RESOURCE_PX: Final = (16, 20, 22)
RATIOS: Final = (1, 2)

_SHEET_PX: Final = 1024
# Images are blended with what lies beside them where they are scaled.
_GAP_PX: Final = 1


@dataclass(frozen=True, slots=True)
class Sprite:
    """A rendered sheet and its index by the names of the images."""

    png: bytes
    index: dict[str, dict[str, Any]]


# What the images of a style follow from: how layers are drawn, and with which symbol.
Symbols = frozenset[tuple[Kind, str]]


def symbols_of(layers: Iterable[Layer]) -> Symbols:
    """Return the symbols of some layers."""
    return frozenset((kind_of(layer), layer.style.symbol) for layer in layers)


def images(symbols: Symbols, theme: Theme) -> dict[str, Image]:
    """Return all images that a style of these symbols asks for, by name."""
    found = marks.marks(theme)
    for kind, symbol in sorted(symbols):
        match kind:
            case Kind.HAZARD:
                for level in LEVELS:
                    for px in HAZARD_PX:
                        parts = hazard_parts(symbol, level, theme, px, halo=True)
                        found[f"hazard/{symbol}/{level}/{px}"] = marks.symbol(px, parts)
            case Kind.RESOURCE:
                for look in LOOKS:
                    for px in RESOURCE_PX:
                        parts = resource_parts(symbol, look, theme, px, halo=True)
                        found[f"resource/{symbol}/{look}/{px}"] = marks.symbol(px, parts)
            case _:
                pass
    return found


@lru_cache(maxsize=len(THEMES) * len(RATIOS))
def sprite(symbols: Symbols, theme: Theme, ratio: int) -> Sprite:
    """Render the sheet, once. The same symbols give the same bytes.

    Parameters
    ----------
    ratio
        Pixels of the sheet for one of the screen.
    """
    drawn = images(symbols, theme)
    index: dict[str, dict[str, Any]] = {}
    body: list[str] = []
    x = y = row = 0
    # Rows of images of like height waste little.
    for name, image in sorted(drawn.items(), key=lambda item: (-item[1].height, item[0])):
        if x + image.width > _SHEET_PX:
            x, y, row = 0, y + row + _GAP_PX, 0
        # A nested <svg> cuts what a pattern draws beyond its own square.
        body.append(
            f'<svg x="{x}" y="{y}" width="{image.width}" height="{image.height}">{image.body}</svg>'
        )
        index[name] = {
            "x": x * ratio,
            "y": y * ratio,
            "width": image.width * ratio,
            "height": image.height * ratio,
            "pixelRatio": ratio,
        }
        x += image.width + _GAP_PX
        row = max(row, image.height)
    size = f'width="{_SHEET_PX}" height="{y + row}"'
    sheet = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(body)}</svg>'
    png = svg_to_bytes(svg_string=sheet, zoom=ratio, skip_system_fonts=True)
    return Sprite(png, dict(sorted(index.items())))
