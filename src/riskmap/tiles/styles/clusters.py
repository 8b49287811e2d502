"""The donut of a cluster: a ring of its levels from 12 o'clock on, its number, a badge of 重大.

A static style has no image for every composition. So the ring is laid in arcs, each over the one
before: all of it in the colour of 未评估, then the part of the levels 1 to 4, then 1 to 3, and so
on; what stays visible of each is its own level's part.
"""

from __future__ import annotations

import math
from typing import Any, Final

from riskmap.catalog.spec import Layer
from riskmap.tiles.styles.dangers import POINTS_FROM_ZOOM
from riskmap.tiles.styles.expressions import FONTS, Expression, Rule
from riskmap.tiles.styles.ground import Look, layer_rule
from riskmap.tiles.styles.marks import BADGE_DIGITS, DONUT_RADIUS_PX, STEPS

# The total from which a donut has a radius, px.
RADII: Final = ((0, 20), (40, 25), (100, 30))
_LEVELS: Final = ("1", "2", "3", "4")
_N: Final = ["get", "n"]
_BOLD: Final = [f"{FONTS[0]} Bold", *FONTS[1:]]
_BADGE_PX: Final = 10.5
# Where several layers have clusters: how far each stands aside, and of which size it is.
_ASIDE_PX: Final = 15
_SMALL: Final = 0.72


def _count(level: str) -> Expression:
    return ["get", f"n{level}"]


def _has(level: str) -> Expression:
    return [">", _count(level), 0]


def _by_size(value: Any) -> Expression:
    """Return one value for each radius: `value` makes it from the radius in px."""
    (_, first), *rest = RADII
    return ["step", _N, value(first), *(part for n, px in rest for part in (n, value(px)))]


def steps_to(level: str) -> Expression:
    """Return how many steps of the ring the levels from 重大 to this one take.

    The share of the counts, rounded; but each level with a count has at least one step of its
    own, and those after it keep theirs: one 重大 of a thousand is seen.
    """
    at = _LEVELS.index(level)
    upto = ["+", *(_count(one) for one in _LEVELS[: at + 1])] if at else _count(level)
    before: Expression | int = steps_to(_LEVELS[at - 1]) if at else 0
    later = ["+", *(["case", _has(one), 1, 0] for one in (*_LEVELS[at + 1 :], "0"))]
    share = ["round", ["/", ["*", STEPS, upto], _N]]
    least = ["+", ["var", f"s{level}"], 1]
    return [
        "let",
        f"s{level}",
        before,
        [
            "case",
            _has(level),
            ["max", least, ["min", share, ["-", STEPS, later]]],
            ["var", f"s{level}"],
        ],
    ]


def aside(turn: int, turns: int) -> list[float]:
    """Return how far a layer's donuts stand from their place, px: around it in equal angles."""
    if turns == 1:
        return [0, 0]
    angle = 2 * math.pi * (turn + 0.5) / turns
    return [round(_ASIDE_PX * math.sin(angle), 1), round(-_ASIDE_PX * math.cos(angle), 1)]


def clusters(layer: Layer, source: str, look: Look, turn: int, turns: int) -> list[Rule]:
    """Return the donuts of a layer's cells of two points and more.

    Parameters
    ----------
    turn, turns
        Which of how many layers with clusters it is. All of them count in the same cells of 64 px
        and would lie on one another: each stands aside in a direction of its own, and is smaller.
    """
    t = look.tokens
    cluster = ["all", ["has", "cell"], [">", _N, 1]]
    worst = ["case", *(part for at, v in enumerate(_LEVELS) for part in (_has(v), 4 - at)), 0]
    small = 1 if turns == 1 else _SMALL
    size = _by_size(lambda px: round(small * px / DONUT_RADIUS_PX, 4))
    place = aside(turn, turns)
    over = {"icon-allow-overlap": True, "icon-ignore-placement": True, "symbol-sort-key": worst}
    text_over = {"text-allow-overlap": True, "text-ignore-placement": True}

    def rule(name: str, layout: Rule, *more: Expression, text: str | None = None) -> Rule:
        paint: Rule = {"icon-translate": place} if "icon-image" in layout else {}
        if text is not None:
            paint |= {"text-color": text, "text-translate": place}
        return layer_rule(
            f"{layer.id}/{name}",
            "symbol",
            source,
            layer.id,
            maxzoom=POINTS_FROM_ZOOM,
            filter=[*cluster, *more],
            layout=layout,
            paint=paint,
        )

    ground = {**over, "icon-ignore-placement": False, "icon-image": "donut", "icon-size": size}
    found = [rule("cluster", ground)]
    for level in reversed(_LEVELS):
        arc = ["concat", f"arc/{level}/", ["to-string", steps_to(level)]]
        found.append(
            rule(f"arc-{level}", {**over, "icon-image": arc, "icon-size": size}, _has(level))
        )
    total = {
        "text-field": ["number-format", _N, {"locale": "en"}],
        "text-font": _BOLD,
        # The inner disk is 28 to 42 px wide: 2 digits of 14 px, 3 of 16, 5 and a comma of 12.5.
        "text-size": ["step", _N, 14 * small, 40, 16 * small, 1000, 12.5 * small],
        "symbol-sort-key": worst,
        **text_over,
    }
    found.append(rule("total", total, text=t["ink"]))
    badge = _badge(worst, over | text_over, small)
    return [*found, rule("badge", badge, _has("1"), text=t["glyph-1"])]


def _badge(worst: Expression, over: Rule, small: float) -> Rule:
    """Return the octagon at the donut's upper right with the number of 重大 in it."""
    count = ["number-format", _count("1"), {"locale": "en"}]
    digits = ["min", ["length", count], BADGE_DIGITS]

    def at(unit: float) -> Any:
        # At 45 degrees on the donut's edge.
        part = 0.72 * small / unit
        return lambda px: ["literal", [round(part * px, 3), round(-part * px, 3)]]

    return {
        **over,
        "symbol-sort-key": worst,
        "icon-image": ["concat", "badge/", ["to-string", digits]],
        "icon-offset": _by_size(at(1)),
        "text-field": count,
        "text-font": _BOLD,
        "text-size": _BADGE_PX,
        # In ems.
        "text-offset": _by_size(at(_BADGE_PX)),
    }
