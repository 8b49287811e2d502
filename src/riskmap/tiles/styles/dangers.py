"""Zones, faults and points of hazard: what is dangerous, by its level."""

from __future__ import annotations

import math
from typing import Final

from riskmap.catalog.spec import Geometry, Layer
from riskmap.tiles import cells
from riskmap.tiles.styles.expressions import (
    DANGER,
    LEVEL,
    Expression,
    Rule,
    by_level,
    by_zoom,
    geometry_is,
    level_colours,
    level_edges,
    name_layout,
    name_paint,
    text_of,
)
from riskmap.tiles.styles.ground import Look, layer_rule

# From this zoom on each point is in the tiles, and there is room for more than dots and clusters.
POINTS_FROM_ZOOM: Final = cells.MAX_ZOOM + 1
# Of a thousand zones in one view the worst speak first.
_WORST_FIRST: Final = ["step", ["zoom"], by_level(lambda v: 1 if v in ("1", "2") else 0.55), 10, 1]
_JOINED: Final = {"line-join": "round", "line-cap": "round"}


def zones(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return areas: filled faintly, hatched from zoom 12, 未评估 as a dashed edge alone."""
    wavy = layer.style.symbol == "flood-impact"
    # In widths of the line: 7 and 4 px at 2.4.
    dashed: Expression = [2.9, 1.7]
    by_state = ["match", LEVEL, "null", ["literal", dashed], ["literal", [1, 0]]]
    pattern = "waves" if wavy else "hatch"
    area = geometry_is("Polygon")
    colours = level_colours(look.theme)
    return [
        layer_rule(
            f"{layer.id}/fill",
            "fill",
            source,
            layer.id,
            filter=area,
            paint={
                "fill-color": colours,
                "fill-opacity": by_level(lambda level: 0 if level == "null" else 0.16),
                "fill-antialias": False,
            },
        ),
        layer_rule(
            f"{layer.id}/hatch",
            "fill",
            source,
            layer.id,
            minzoom=POINTS_FROM_ZOOM,
            filter=area,
            paint={
                "fill-pattern": by_level(lambda level: f"{pattern}/{level}"),
                "fill-opacity": 0.8,
            },
        ),
        layer_rule(
            f"{layer.id}/edge",
            "line",
            source,
            layer.id,
            filter=area,
            layout={"line-join": "round"},
            paint={
                "line-color": level_edges(look.theme),
                "line-width": ["step", ["zoom"], 1.2, POINTS_FROM_ZOOM, 2.4],
                "line-opacity": _WORST_FIRST,
                "line-dasharray": dashed if wavy else by_state,
            },
        ),
        layer_rule(
            # A zone smaller than a pixel comes as its point: it must not vanish.
            f"{layer.id}/dot",
            "circle",
            source,
            layer.id,
            filter=geometry_is("Point"),
            layout={"circle-sort-key": DANGER},
            paint={
                "circle-radius": 2.4,
                "circle-opacity": _WORST_FIRST,
                "circle-stroke-opacity": _WORST_FIRST,
                "circle-color": colours,
                "circle-stroke-color": look.tokens["outline"],
                "circle-stroke-width": 0.8,
            },
        ),
    ]


# Setback of the overlay analysis (GB 50011 table 4.1.7): 200 m on either side.
_SETBACK_M: Final = 200
# Metres of a screen pixel at zoom 0 on the equator: the equator's length over a tile of 512 px.
_EQUATOR_PX_M: Final = 40_075_016.685578488 / 512
SETBACK_FROM_ZOOM: Final = 13


def setback(layer: Layer, source: str, look: Look, latitude: float) -> list[Rule]:
    """Return the strip along a fault that is kept free, from a source of whole lines.

    It is wider than what tiles hold beyond their edge, and would end at each.
    """

    def width_px(zoom: int) -> float:
        metres_per_px = _EQUATOR_PX_M * math.cos(math.radians(latitude)) / (1 << zoom)
        return round(2 * _SETBACK_M / metres_per_px, 2)

    width = by_zoom(2, SETBACK_FROM_ZOOM, width_px(SETBACK_FROM_ZOOM), 20, width_px(20))
    return [
        {
            "id": f"{layer.id}/setback",
            "type": "line",
            "source": source,
            "minzoom": SETBACK_FROM_ZOOM,
            "layout": {"line-join": "round"},
            "paint": {
                "line-color": look.tokens["fault"],
                "line-opacity": 0.1,
                "line-width": width,
            },
        }
    ]


def faults(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return lines with a tick each 32 px."""
    t = look.tokens
    lines = geometry_is("LineString")

    def line(name: str, colour: str, far: float, near: float, opacity: float | None) -> Rule:
        width = ["step", ["zoom"], far, POINTS_FROM_ZOOM, near]
        paint: Rule = {"line-color": colour, "line-width": width}
        if opacity is not None:
            paint["line-opacity"] = opacity
        return layer_rule(
            f"{layer.id}/{name}",
            "line",
            source,
            layer.id,
            filter=lines,
            layout=_JOINED,
            paint=paint,
        )

    ticks = layer_rule(
        f"{layer.id}/tick",
        "symbol",
        source,
        layer.id,
        minzoom=POINTS_FROM_ZOOM,
        filter=lines,
        layout={
            "symbol-placement": "line",
            "symbol-spacing": 32,
            "icon-image": "tick",
            "icon-rotation-alignment": "map",
            "icon-allow-overlap": True,
            "icon-ignore-placement": True,
            "icon-keep-upright": False,
        },
    )
    return [
        line("casing", t["halo"], 4, 6, 0.8),
        line("line", t["fault"], 2, 3, None),
        ticks,
    ]


def outlines(layer: Layer, source: str, look: Look, *, hazard: bool) -> list[Rule]:
    """Return a plant's or shelter's own ground, once it is large enough to be one, and lines."""
    t = look.tokens
    if layer.geometry is Geometry.POINT:
        return []
    edge = level_edges(look.theme) if hazard else t["jade"]
    fill = level_colours(look.theme) if hazard else t["jade"]
    area, lines = geometry_is("Polygon"), geometry_is("LineString")
    near = POINTS_FROM_ZOOM

    def rule(
        name: str,
        chosen: Expression,
        zoom: int,
        paint: Rule,
        layout: Rule | None = None,
        kind: str = "line",
    ) -> Rule:
        return layer_rule(
            f"{layer.id}/{name}",
            kind,
            source,
            layer.id,
            minzoom=zoom,
            filter=chosen,
            layout=layout,
            paint=paint,
        )

    ground = {"fill-color": edge, "fill-opacity": 0.08, "fill-antialias": False}
    casing = {"line-color": t["outline"], "line-width": 4.2, "line-opacity": 0.75}
    return [
        rule("ground", area, 14, ground, kind="fill"),
        rule("outline", area, 14, {"line-color": edge, "line-width": 1.6}, {"line-join": "round"}),
        rule("line-casing", lines, near, casing, _JOINED),
        rule("line", lines, near, {"line-color": fill, "line-width": 2.4}, _JOINED),
    ]


# Levels in the order that they are drawn: no harmless symbol of one layer hides a worse one.
TIERS: Final = (("null", "4", "3"), ("2", "1"))
# A cell of one point is the point.
SINGLE: Final = ["any", ["!", ["has", "cell"]], ["==", ["get", "n"], 1]]


def symbols(layer: Layer, source: str, look: Look, tier: int) -> list[Rule]:
    """Return the symbols of some levels: 16 px, at zoom 12 the worst two 20, from 13 all 28."""
    name = layer.style.symbol

    def at(px: int) -> Expression:
        return ["concat", f"hazard/{name}/", LEVEL, f"/{px}"]

    at_12 = ["match", LEVEL, ["1", "2"], at(20), at(16)]
    image = ["step", ["zoom"], at(16), POINTS_FROM_ZOOM, at_12, 13, at(28)]
    text = ["step", ["zoom"], "", 15, text_of(look.lang)]
    chosen = ["in", LEVEL, ["literal", list(TIERS[tier])]]
    return placed(
        layer,
        source,
        f"symbol-{tier}",
        ["all", SINGLE, chosen],
        {
            "icon-image": image,
            "icon-allow-overlap": True,
            "symbol-sort-key": DANGER,
            **name_layout(text, 1.5),
        },
        look,
    )


def placed(
    layer: Layer,
    source: str,
    name: str,
    chosen: Expression,
    layout: Rule,
    look: Look,
    minzoom: int | None = None,
) -> list[Rule]:
    """Return a symbol on points and within areas, and another in the middle of lines."""
    kinds = ["Point"] if layer.geometry is Geometry.POINT else ["Point", "Polygon"]

    def rule(suffix: str, where: Expression, zoom: int | None, more: Rule) -> Rule:
        return layer_rule(
            f"{layer.id}/{name}{suffix}",
            "symbol",
            source,
            layer.id,
            minzoom=zoom,
            filter=["all", where, chosen],
            layout={**layout, **more},
            paint=name_paint(look.theme),
        )

    found = [rule("", geometry_is(*kinds), minzoom, {})]
    if layer.geometry is Geometry.MIXED:
        upright = {
            "symbol-placement": "line-center",
            "icon-rotation-alignment": "viewport",
            "text-rotation-alignment": "viewport",
        }
        found.append(rule("-line", geometry_is("LineString"), POINTS_FROM_ZOOM, upright))
    return found
