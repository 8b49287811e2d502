"""What stands around the map of a picture: title, banner, legend, figures, source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from riskmap.analysis.picture.frame import Frame, text_width
from riskmap.analysis.picture.looks import LOOKS
from riskmap.analysis.picture.marks import FONT, hatches, plain, scale_mark, wind_arrow
from riskmap.catalog.shapes import LEVELS, Level
from riskmap.catalog.spec import RISK_LEVELS, Text
from riskmap.catalog.symbols import hazard_parts, svg
from riskmap.catalog.tokens import TOKENS, Theme

WIDTH_PX: Final = 1180
HEIGHT_PX: Final = 800
_HEADER_PX: Final = 58
_BANNER_PX: Final = 26
_FOOTER_PX: Final = 30
_PANEL_PX: Final = 300
_PAD_PX: Final = 16
_ROW_PX: Final = 22
_NOTE_PX: Final = 12.5
_NULL_LEVEL: Final = Text("未评估", "Not assessed")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the legend: a swatch in a box of 24 by 24, and what it means."""

    swatch: str
    text: Text


def window(*, synthetic: bool) -> tuple[float, float, float, float]:
    """Return where the map lies in the picture: left, top, width, height, px."""
    top = _HEADER_PX + (_BANNER_PX if synthetic else 0)
    return 0.0, float(top), float(WIDTH_PX - _PANEL_PX), float(HEIGHT_PX - top - _FOOTER_PX)


def around_the_map(
    *,
    title: Text,
    body: str,
    frame: Frame,
    rows: Sequence[Row],
    levels: set[Level],
    notes: Sequence[Text],
    footer: str,
    wind_from_deg: float | None,
    synthetic: bool,
    theme: Theme,
) -> str:
    """Return the whole SVG file."""
    t = TOKENS[theme]
    used = {look.fill for look in LOOKS.values() if look.hatch and look.fill}
    map_rect = (
        f'x="{frame.left:g}" y="{frame.top:g}" width="{frame.width:g}" height="{frame.height:g}"'
    )
    bar_px, bar_text = frame.scale_bar()
    right, bottom = frame.left + frame.width, frame.top + frame.height
    wind = (
        ""
        if wind_from_deg is None
        else wind_arrow(right - 84, frame.top + 46, wind_from_deg, theme)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{HEIGHT_PX}"'
        f' viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" font-family="{FONT}" role="img">'
        f"<title>{plain(title.zh)} {plain(title.en)}</title>"
        f'<defs><clipPath id="map"><rect {map_rect}/></clipPath>{hatches(used, theme)}</defs>'
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="{t["panel"]}"/>'
        f"{_header(title, theme)}{_banner(theme) if synthetic else ''}"
        f'<rect {map_rect} fill="{t["land"]}"/>'
        f'<g clip-path="url(#map)">{body}</g>'
        f"{scale_mark(right - 22, bottom - 12, bar_px, bar_text, theme)}{wind}"
        f'<rect {map_rect} fill="none" stroke="{t["line"]}"/>'
        f"{_panel(rows, levels, notes, frame, theme)}"
        f'<text x="{_PAD_PX}" y="{HEIGHT_PX - 10}" font-size="12" fill="{t["ink3"]}">'
        f"{plain(_cut(footer, WIDTH_PX - 2 * _PAD_PX, 12))}</text></svg>\n"
    )


def _header(title: Text, theme: Theme) -> str:
    t = TOKENS[theme]
    zh_px = min(21.0, 21 * (WIDTH_PX - 2 * _PAD_PX) / max(1.0, text_width(title.zh, 21)))
    en = _cut(title.en, WIDTH_PX - 2 * _PAD_PX, 13.5)
    return (
        f'<text x="{_PAD_PX}" y="27" font-size="{zh_px:.3g}" font-weight="700" fill="{t["ink"]}">'
        f"{plain(title.zh)}</text>"
        f'<text x="{_PAD_PX}" y="47" font-size="13.5" fill="{t["ink2"]}">{plain(en)}</text>'
    )


def _banner(theme: Theme) -> str:
    t = TOKENS[theme]
    return (
        f'<rect y="{_HEADER_PX}" width="{WIDTH_PX}" height="{_BANNER_PX}"'
        f' fill="{t["warning-fill"]}"/><text x="{_PAD_PX}" y="{_HEADER_PX + 18}" font-size="13.5"'
        f' font-weight="700" fill="{t["warning"]}">▲ 演示数据 Synthetic data</text>'
    )


def _panel(
    rows: Sequence[Row], levels: set[Level], notes: Sequence[Text], frame: Frame, theme: Theme
) -> str:
    """Return the legend and beneath it the notes, as many as there is room for."""
    t = TOKENS[theme]
    left = frame.left + frame.width + _PAD_PX
    room = _PANEL_PX - 2 * _PAD_PX
    y = frame.top + 20
    text = _heading("图例 Legend", left, y, theme)
    y += 12
    for row in (*rows, *_level_rows(levels, theme)):
        words = _cut(f"{row.text.zh} {row.text.en}", room - 32, 13)
        text += (
            f'<g transform="translate({left:g} {y:.1f}) scale(0.88)">{row.swatch}</g>'
            f'<text x="{left + 30:g}" y="{y + 15:.1f}" font-size="13" fill="{t["ink"]}">'
            f"{plain(words)}</text>"
        )
        y += _ROW_PX
    bottom = frame.top + frame.height - 8
    if notes:
        y += 18
        text += _heading("结果 Result", left, y, theme)
        y += 6
    for row_number, note in enumerate(notes):
        lines = [
            *((line, t["ink"]) for line in _wrapped(note.zh, room, _NOTE_PX)),
            *((line, t["ink3"]) for line in _wrapped(note.en, room, _NOTE_PX - 1)),
        ]
        if y + 17 * len(lines) > bottom - (17 if row_number + 1 < len(notes) else 0):
            left_out = len(notes) - row_number
            text += _line(f"… +{left_out}", left, y + 17, t["ink3"])
            break
        for line, colour in lines:
            y += 17
            text += _line(line, left, y, colour)
        y += 5
    return text


def _heading(text: str, x: float, y: float, theme: Theme) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="12.5" font-weight="700"'
        f' fill="{TOKENS[theme]["ink2"]}">{text}</text>'
    )


def _line(text: str, x: float, y: float, colour: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:.1f}" font-size="{_NOTE_PX}" fill="{colour}">{plain(text)}</text>'
    )


def _level_rows(levels: set[Level], theme: Theme) -> list[Row]:
    names: dict[str, Text] = {str(one.code): Text(one.zh, one.en) for one in RISK_LEVELS}
    return [
        Row(svg(hazard_parts("", level, theme, 16, halo=False)), names.get(level, _NULL_LEVEL))
        for level in LEVELS
        if level in levels
    ]


def _cut(text: str, room_px: float, size_px: float) -> str:
    """Return a text, its end left out where there is no room for it."""
    if text_width(text, size_px) <= room_px:
        return text
    while text and text_width(text + "…", size_px) > room_px:
        text = text[:-1]
    return text + "…"


def _wrapped(text: str, room_px: float, size_px: float) -> list[str]:
    """Return a text in lines: between words, and anywhere between Chinese characters."""
    lines, line, word = [], "", ""
    for one in [*text, ""]:
        breaks = one in ("", " ") or ord(one) > 0x2E7F
        if not breaks:
            word += one
            continue
        if text_width(line + word, size_px) > room_px and line:
            lines.append(line.rstrip())
            line = ""
        line, word = line + word, ""
        if one and text_width(line + one, size_px) > room_px and one != " ":
            lines.append(line.rstrip())
            line = ""
        line += one
    return [*lines, line.rstrip()] if line.strip() else lines
