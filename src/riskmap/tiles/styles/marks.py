"""The images of the map that are no symbols: hatches, waves, ticks, parts of a cluster's donut.

Each is an SVG of its own size in pixels of the screen, drawn as the page draws it on a canvas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from riskmap.catalog.shapes import LEVEL_SHAPES, LEVELS, Level, Part
from riskmap.catalog.symbols import svg
from riskmap.catalog.tokens import TOKENS, Theme


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its size in pixels and what is drawn there, as SVG elements."""

    width: int
    height: int
    body: str


def symbol(size_px: int, parts: list[Part]) -> Image:
    """Return a symbol with room for its halo: 34 units across, 24 of them the symbol's box."""
    side = math.ceil(size_px * 34 / 24)
    unit = size_px / 24
    move = side / 2 - 12 * unit
    inner = svg(parts)
    return Image(
        side, side, f'<g transform="translate({move:g} {move:g}) scale({unit:g})">{inner}</g>'
    )


# Side of the pattern's square: a spacing of s across lines at 45 degrees is s * sqrt(2) along
# its edge, in whole pixels so that it joins itself. 7 -> 10, 8 -> 11, 13 -> 18.
_HATCH_SIDE_PX: Final[dict[Level, int]] = {"1": 10, "2": 11, "3": 18, "4": 8, "null": 8}


def hatch(level: Level, theme: Theme) -> Image:
    """Return 重大 crossed, 较大 and 一般 lines ever wider apart, 低 dots, 未评估 nothing."""
    side = _HATCH_SIDE_PX[level]
    colour = TOKENS[theme][f"level-{level}"]
    if level == "null":
        return Image(side, side, "")
    if level == "4":
        return Image(
            side, side, f'<circle cx="{side / 2}" cy="{side / 2}" r="1.1" fill="{colour}"/>'
        )
    d = ""
    # Each line once more a side further on either hand, so that its ends are not cut at the seam.
    for shift in (-side, 0, side):
        d += f"M{shift - 2} {side + 2}L{shift + side + 2} -2"
        if level == "1":
            d += f"M{shift - 2} -2L{shift + side + 2} {side + 2}"
    width = 1.3 if level == "3" else 1.1
    return Image(
        side, side, f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
    )


_WAVE_STEP_PX: Final[dict[Level, int]] = {"1": 8, "2": 10, "3": 14, "4": 18, "null": 8}
_WAVE_PX: Final = 24


def waves(level: Level, theme: Theme) -> Image:
    """Return waves, the closer the more dangerous."""
    height = _WAVE_STEP_PX[level]
    if level == "null":
        return Image(_WAVE_PX, height, "")
    # Half a wave is 12 px long and rises 4 px on its control points.
    half = "q3 -4 6 0t6 0"
    d = f"M-6 {height / 2:g}{half * 4}"
    colour = TOKENS[theme][f"level-{level}"]
    return Image(
        _WAVE_PX, height, f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
    )


def tick(theme: Theme) -> Image:
    """Return a stroke of 11 px across a fault."""
    colour = TOKENS[theme]["fault"]
    return Image(6, 13, f'<path d="M3 1V12" stroke="{colour}" stroke-width="2"/>')


# Radius of the largest donut; smaller ones are drawn by `icon-size`.
DONUT_RADIUS_PX: Final = 30
# In how many lengths there is an arc. 32 are 11 degrees each: 1 mm on the largest donut.
STEPS: Final = 32
_RING_PX: Final = 8
_EDGE_PX: Final = 1.4
_MARGIN_PX: Final = 2
_INNER_PX: Final = DONUT_RADIUS_PX - _RING_PX


def donut(theme: Theme) -> Image:
    """Return the ground of a cluster: halo, a whole ring of 未评估, the disk of its number."""
    t = TOKENS[theme]
    middle = DONUT_RADIUS_PX + _MARGIN_PX
    disks = (
        (DONUT_RADIUS_PX + 1.8, t["halo"], 0.95),
        (DONUT_RADIUS_PX, t["outline"], 1),
        (DONUT_RADIUS_PX - _EDGE_PX, t["level-null"], 1),
        (_INNER_PX, t["outline"], 1),
        (_INNER_PX - _EDGE_PX, t["panel"], 1),
    )
    body = "".join(
        f'<circle cx="{middle}" cy="{middle}" r="{radius:g}" fill="{fill}" opacity="{opacity:g}"/>'
        for radius, fill, opacity in disks
    )
    return Image(2 * middle, 2 * middle, body)


def arc(level: Level, steps: int, theme: Theme) -> Image:
    """Return a part of the ring from 12 o'clock on, `steps` of `STEPS` long."""
    t = TOKENS[theme]
    outer, inner, middle = DONUT_RADIUS_PX - _EDGE_PX, float(_INNER_PX), DONUT_RADIUS_PX
    fill = t[f"level-{level}"]
    side = 2 * middle
    if steps == STEPS:
        radius, width = (outer + inner) / 2, outer - inner
        ring = f'r="{radius:g}" fill="none" stroke="{fill}" stroke-width="{width:g}"'
        return Image(side, side, f'<circle cx="{middle}" cy="{middle}" {ring}/>')
    turn = 2 * math.pi * steps / STEPS
    x, y = math.sin(turn), -math.cos(turn)
    large = int(steps * 2 > STEPS)
    d = (
        f"M{middle} {middle - outer:g}"
        f"A{outer:g} {outer:g} 0 {large} 1 {middle + outer * x:.3f} {middle + outer * y:.3f}"
        f"L{middle + inner * x:.3f} {middle + inner * y:.3f}"
        f"A{inner:g} {inner:g} 0 {large} 0 {middle} {middle - inner:g}z"
    )
    stroke = f'stroke="{t["outline"]}" stroke-width="1" stroke-linejoin="round"'
    return Image(side, side, f'<path d="{d}" fill="{fill}" {stroke}/>')


BADGE_DIGITS: Final = 5


def badge(digits: int, theme: Theme) -> Image:
    """Return the octagon of 重大, 17 px high and wider for more than two digits."""
    t = TOKENS[theme]
    stretch = max(1.0, 1 + 0.32 * (digits - 2))
    across, down = 17 / 20 * stretch, 17 / 20
    width, height = math.ceil(20 * across + 4), 21
    octagon = LEVEL_SHAPES["1"][0]
    body = (
        f'<g transform="translate({width / 2:g} {height / 2:g}) scale({across:g} {down:g}) '
        f'translate(-12 -12)"><path d="{octagon}" fill="{t["level-1"]}" stroke="{t["halo"]}" '
        f'stroke-width="2.4" paint-order="stroke" stroke-linejoin="round"/></g>'
    )
    return Image(width, height, body)


def marks(theme: Theme) -> dict[str, Image]:
    """Return all of them by name."""
    found = {"tick": tick(theme), "donut": donut(theme)}
    for level in LEVELS:
        found[f"hatch/{level}"] = hatch(level, theme)
        found[f"waves/{level}"] = waves(level, theme)
        if level != "null":
            found |= {f"arc/{level}/{n}": arc(level, n, theme) for n in range(1, STEPS + 1)}
    return found | {f"badge/{n}": badge(n, theme) for n in range(1, BADGE_DIGITS + 1)}
