"""Expressions of the MapLibre style specification that several layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from riskmap.catalog.shapes import LEVELS, Level
from riskmap.catalog.tokens import TOKENS, Theme
from riskmap.i18n import Lang

Expression = list[Any]
Rule = dict[str, Any]

# Fonts of the reader's machine: the style names no `glyphs`, so that text is drawn from these.
FONTS: Final = ["Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif"]

# The level of a feature as a key; a tile leaves null out.
LEVEL: Final[Expression] = ["to-string", ["coalesce", ["get", "risk_level"], "null"]]


def by_level(value: Callable[[Level], str | float | Expression]) -> Expression:
    """Return one value for each level."""
    pairs = [part for level in LEVELS[:-1] for part in (level, value(level))]
    return ["match", LEVEL, *pairs, value("null")]


def level_colours(theme: Theme) -> Expression:
    """Return the fill of each level."""
    return by_level(lambda level: TOKENS[theme][f"level-{level}"])


def level_edges(theme: Theme) -> Expression:
    """Return the edge of areas: 未评估 in the ink of its dashes, as its own grey is too pale."""
    t = TOKENS[theme]
    return by_level(lambda level: t["ink2"] if level == "null" else t[f"level-{level}"])


# Drawn later lies on top: 重大 last.
DANGER: Final = by_level(lambda level: 0 if level == "null" else 5 - int(level))


def geometry_is(*kinds: str) -> Expression:
    """Return whether a feature is a Point, a LineString or a Polygon, of one or several parts."""
    names = [name for kind in kinds for name in (kind, f"Multi{kind}")]
    return ["in", ["geometry-type"], ["literal", names]]


def text_of(lang: Lang) -> Expression:
    """Return the name in the reader's language, else in the other one."""
    first, second = ("name_en", "name") if lang == "en" else ("name", "name_en")
    return ["coalesce", ["get", first], ["get", second], ""]


def by_zoom(base: float, *stops: float | Expression) -> Expression:
    """Return a number that grows with the zoom: zoom, value, zoom, value, ..."""
    return ["interpolate", ["exponential", base], ["zoom"], *stops]


def name_layout(text: Expression, offset: float) -> Rule:
    """Return the layout of a text under a symbol, which stays when the text finds no room."""
    return {
        "text-field": text,
        "text-font": FONTS,
        "text-size": 12,
        "text-anchor": "top",
        "text-offset": [0, offset],
        "text-max-width": 9,
        "text-optional": True,
    }


def name_paint(theme: Theme) -> Rule:
    """Return the paint of such a text."""
    t = TOKENS[theme]
    return {"text-color": t["ink"], "text-halo-color": t["halo"], "text-halo-width": 1.5}
