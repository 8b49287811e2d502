"""Symbols as lists of painted paths: one description for sprites and legends.

The same as the page's `symbols.ts`, which draws them on a canvas.
"""

from __future__ import annotations

from typing import Final

from riskmap.catalog.shapes import (
    HAZARD_GLYPHS,
    LEVEL_SHAPES,
    RESOURCE_GLYPHS,
    SLASH,
    SQUARE,
    Level,
    Look,
    Part,
)
from riskmap.catalog.tokens import TOKENS, Theme

_OUTLINE_PX: Final = 1.6
_HALO_PX: Final = 1.8
# Below this size there is no room for a glyph.
_GLYPH_FROM_PX: Final = 17
_DASH: Final = (3.2, 2.4)


def hazard_parts(
    symbol: str, level: Level, theme: Theme, size_px: float, *, halo: bool
) -> list[Part]:
    """Return a level's shape with the hazard's glyph, drawn `size_px` wide."""
    t = TOKENS[theme]
    unit = 24 / size_px
    d, scale = LEVEL_SHAPES[level]
    assessed = level != "null"
    outline = _OUTLINE_PX * unit
    parts: list[Part] = []
    if halo:
        width = outline + 2 * _HALO_PX * unit
        opacity = 0.95 if assessed else 0.8
        parts.append(Part(d=d, scale=scale, stroke=t["halo"], width=width, opacity=opacity))
    if assessed:
        fill = t[f"level-{level}"]
        parts.append(Part(d=d, scale=scale, fill=fill, stroke=t["outline"], width=outline))
    else:
        ink = t["ink2"]
        parts.append(Part(d=d, scale=scale, fill=t["panel"], stroke=ink, width=outline, dash=_DASH))
    if size_px >= _GLYPH_FROM_PX and symbol in HAZARD_GLYPHS:
        # The triangle narrows upwards: there the glyph is smaller.
        inner = 0.92 if level == "3" else scale
        parts.append(Part(d=HAZARD_GLYPHS[symbol], scale=inner, fill=t[f"glyph-{level}"]))
    return parts


def resource_parts(
    symbol: str, look: Look, theme: Theme, size_px: float, *, halo: bool
) -> list[Part]:
    """Return the jade square of a shelter, team or depot, drawn `size_px` wide."""
    t = TOKENS[theme]
    unit = 24 / size_px
    hollow = look in ("outline", "unknown")
    body = t["away"] if look.startswith("grey") else t["jade"]
    ground = t["panel"] if hollow else body
    ink = body if hollow else t["on-jade"]
    parts: list[Part] = []
    if halo:
        width = 2 * _HALO_PX * unit + 1
        parts.append(Part(d=SQUARE, stroke=t["halo"], width=width, opacity=0.95))
    parts.append(Part(d=SQUARE, fill=ground))
    if hollow:
        dash = _DASH if look == "unknown" else ()
        parts.append(Part(d=SQUARE, scale=0.93, stroke=body, width=1.8 * unit, dash=dash))
    if symbol in RESOURCE_GLYPHS:
        fill, cut = RESOURCE_GLYPHS[symbol]
        scale = 1.05 if size_px < _GLYPH_FROM_PX else 0.9
        parts.append(Part(d=fill, scale=scale, fill=ink))
        if cut:
            parts.append(Part(d=cut, scale=scale, stroke=ground, width=2))
    if look.endswith("slash"):
        parts.append(Part(d=SLASH, stroke=ground, width=5.4))
        parts.append(Part(d=SLASH, stroke=ink, width=2.4))
    return parts


_BOX: Final = "M4 5h16q2 0 2 2v10q0 2-2 2H4q-2 0-2-2V7q0-2 2-2z"
_WAVE: Final = "q2.5-3 5 0t5 0 5 0 5 0"


def swatch_parts(symbol: str, theme: Theme) -> list[Part]:
    """Return what a legend shows for a whole layer."""
    t = TOKENS[theme]
    if (found := _swatches(t).get(symbol)) is not None:
        return found
    if symbol in RESOURCE_GLYPHS:
        return resource_parts(symbol, "solid", theme, 24, halo=False)
    if symbol in HAZARD_GLYPHS:
        return [Part(d=HAZARD_GLYPHS[symbol], scale=1.35, fill=t["ink2"])]
    return [Part(d=LEVEL_SHAPES["4"][0], scale=0.6, fill=t["ink2"])]


def _swatches(t: dict[str, str]) -> dict[str, list[Part]]:
    """Return the swatches of areas and lines, in the colour that their features mostly have."""
    waves = f"M2 9.5{_WAVE}M2 13.5{_WAVE}M2 17{_WAVE}"
    ticks = "M5.4 12.6l4 5.6M10 9.3l4 5.6M14.6 6.1l4 5.6"
    water = "M2 14q5-4 10 0t10 0v3q0 2-2 2H4q-2 0-2-2z"
    return {
        "flash-flood": [
            Part(d=_BOX, fill=t["level-1"], opacity=0.16),
            Part(d=_diagonals(4.5), stroke=t["level-1"], width=1),
            Part(d=_BOX, stroke=t["level-1"], width=1.8),
        ],
        "flood-impact": [
            Part(d=_BOX, fill=t["level-2"], opacity=0.16),
            Part(d=waves, stroke=t["level-2"], width=1.2),
            Part(d=_BOX, stroke=t["level-2"], width=1.6, dash=(4, 2.4)),
        ],
        "fault": [
            Part(d="M2 19 22 5", stroke=t["fault"], width=2.4),
            Part(d=ticks, stroke=t["fault"], width=1.6),
        ],
        "division": [Part(d="M1 16 8 9l7 5 8-7", stroke=t["boundary"], width=2, dash=(5, 2, 1, 2))],
        "population": [
            Part(d="M3 13h5v7H3z", fill=t["band-15"]),
            Part(d="M9.5 8h5v12h-5z", fill=t["band-10"]),
            Part(d="M16 4h5v16h-5z", fill=t["band-5"]),
        ],
        "cover": [
            Part(d=_BOX, fill=t["parks"], stroke=t["boundary"], width=1),
            Part(d=water, fill=t["water"]),
        ],
    }


def _diagonals(step: float) -> str:
    """Return crossed lines at 45 degrees in the box from 2,5 to 22,19, `step` along the edge."""
    left, top, right, bottom = 2.0, 5.0, 22.0, 19.0
    high = bottom - top
    d = ""
    at = left - high + step
    while at < right:
        start, end = max(at, left), min(at + high, right)
        low, up = bottom - (start - at), bottom - (end - at)
        d += f"M{start} {low}L{end} {up}M{start} {top + bottom - low}L{end} {top + bottom - up}"
        at += step
    return d


def svg(parts: list[Part]) -> str:
    """Return the paths as SVG elements in the 24 box."""
    return "".join(_path(part) for part in parts)


def _path(part: Part) -> str:
    k = part.scale
    move = 12 * (1 - k)
    found = f'<path d="{part.d}" fill="{part.fill or "none"}" stroke-linejoin="round"'
    if k != 1:
        found += f' transform="translate({move:g} {move:g}) scale({k:g})"'
    if part.stroke is not None:
        found += f' stroke="{part.stroke}" stroke-width="{part.width / k:g}"'
    if part.dash:
        found += f' stroke-dasharray="{" ".join(f"{length / k:g}" for length in part.dash)}"'
    if part.opacity != 1:
        found += f' opacity="{part.opacity:g}"'
    return found + "/>"
