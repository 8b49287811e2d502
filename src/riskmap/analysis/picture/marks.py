"""The small elements of a picture as SVG text: painted shapes, crosses, pills, arrows."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape

from riskmap.analysis.picture.looks import Look
from riskmap.catalog.tokens import TOKENS, Theme

# XML knows no control characters, not even as entities; a name in the database may hold one.
_CONTROL: Final = re.compile(r"[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
FONT: Final = "'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif"


def plain(text: str) -> str:
    """Return a text as XML has it."""
    return escape(_CONTROL.sub("", text))


def painted(data: str, look: Look, theme: Theme) -> str:
    """Return the data of a path drawn as its class says; nothing for no data."""
    t = TOKENS[theme]
    if not data:
        return ""
    text = ""
    if look.casing:
        text += (
            f'<path d="{data}" fill="none" stroke="{t["halo"]}" stroke-width="{look.casing:g}"'
            ' stroke-linecap="round" stroke-linejoin="round" opacity="0.9"/>'
        )
    if look.fill is not None:
        text += (
            f'<path d="{data}" fill="{t[look.fill]}" fill-opacity="{look.opacity:g}"'
            ' fill-rule="evenodd"/>'
        )
    if look.hatch and look.fill is not None:
        text += f'<path d="{data}" fill="url(#hatch-{look.fill})" fill-rule="evenodd"/>'
    if look.stroke is not None and look.width:
        dash = (
            f' stroke-dasharray="{" ".join(f"{one:g}" for one in look.dash)}"' if look.dash else ""
        )
        text += (
            f'<path d="{data}" fill="none" stroke="{t[look.stroke]}" stroke-width="{look.width:g}"'
            f' stroke-linecap="round" stroke-linejoin="round"{dash}/>'
        )
    return text


def hatches(tokens: set[str], theme: Theme) -> str:
    """Return the patterns that hatched classes fill with, one for each colour."""
    return "".join(
        f'<pattern id="hatch-{token}" width="9" height="9" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)">'
        f'<path d="M0 0V9" stroke="{TOKENS[theme][token]}" stroke-width="1.6"/></pattern>'
        for token in sorted(tokens)
    )


def place_mark(x: float, y: float, theme: Theme) -> str:
    """Return the ink cross on a white disc: what happened, or what is asked about."""
    t = TOKENS[theme]
    return (
        f'<g transform="translate({x:.1f} {y:.1f})">'
        f'<circle r="14" fill="{t["halo"]}" stroke="{t["ink"]}" stroke-width="1.6"/>'
        f'<path d="M-6 -6 6 6M6 -6-6 6" stroke="{t["ink"]}" stroke-width="4"'
        ' stroke-linecap="round"/></g>'
    )


def numbered(x: float, y: float, text: str, theme: Theme) -> str:
    """Return a small disc with a number: a place in an order."""
    t = TOKENS[theme]
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{t["panel"]}" stroke="{t["jade"]}"'
        f' stroke-width="1.6"/><text x="{x:.1f}" y="{y + 3.9:.1f}" text-anchor="middle"'
        f' font-size="10.5" font-weight="700" fill="{t["ink"]}">{plain(text)}</text>'
    )


def pill(x: float, y: float, width: float, text: str, theme: Theme) -> str:
    """Return a text on a rounded ground about a middle: what a line on the map says."""
    t = TOKENS[theme]
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 9.5:.1f}" width="{width:.1f}" height="19" rx="9.5"'
        f' fill="{t["panel"]}" stroke="{t["ink2"]}" stroke-width="0.8"/>'
        f'<text x="{x:.1f}" y="{y + 4.4:.1f}" text-anchor="middle" font-size="12"'
        f' font-weight="600" fill="{t["ink"]}">{plain(text)}</text>'
    )


def wind_arrow(x: float, y: float, from_deg: float, theme: Theme) -> str:
    """Return an arrow that points where the wind blows, and where it comes from in words."""
    t = TOKENS[theme]
    # Drawn pointing up (north): a wind from the north blows to the south.
    turn = (from_deg + 180) % 360
    return (
        f'<g transform="translate({x:g} {y:g})">'
        f'<circle r="30" fill="{t["panel"]}" fill-opacity="0.92" stroke="{t["line"]}"/>'
        f'<g transform="rotate({turn:g})"><path d="M0 20V-12" stroke="{t["ink"]}"'
        f' stroke-width="3.4"/><path d="M0 -22 7.5 -8H-7.5z" fill="{t["ink"]}"/></g>'
        f'<text y="46" text-anchor="middle" font-size="12.5" font-weight="600" fill="{t["ink"]}"'
        f' stroke="{t["halo"]}" stroke-width="3" paint-order="stroke">'
        f"风自 wind from {from_deg % 360:g}°</text></g>"
    )


def scale_mark(x: float, y: float, width: float, text: str, theme: Theme) -> str:
    """Return a scale bar that ends at its right lower corner."""
    t = TOKENS[theme]
    return (
        f'<rect x="{x - width - 10:.1f}" y="{y - 26:g}" width="{width + 20:.1f}" height="28" rx="4"'
        f' fill="{t["panel"]}" fill-opacity="0.92"/>'
        f'<path d="M{x - width:.1f} {y - 10:g}V{y - 5:g}H{x:.1f}V{y - 10:g}" fill="none"'
        f' stroke="{t["ink"]}" stroke-width="1.6"/>'
        f'<text x="{x - width / 2:.1f}" y="{y - 11:g}" text-anchor="middle" font-size="12"'
        f' fill="{t["ink"]}">{text}</text>'
    )


def ring_mark(x: float, y: float, radius: float, theme: Theme) -> str:
    """Return a dashed ring about a symbol: those whom nobody reaches in time."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none"'
        f' stroke="{TOKENS[theme]["ink"]}" stroke-width="1.6" stroke-dasharray="4 3"/>'
    )
