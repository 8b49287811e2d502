"""What everything else stands on: land, water, divisions, people, roads and their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from riskmap.catalog.spec import Layer
from riskmap.catalog.tokens import TOKENS, Theme
from riskmap.i18n import Lang
from riskmap.tiles import roads
from riskmap.tiles.styles.expressions import (
    FONTS,
    Expression,
    Rule,
    by_zoom,
    geometry_is,
)

_T = TypeVar("_T", str, float)

_COVER: Final = {
    "sea": "water",
    "lake": "water",
    "reservoir": "water",
    "river": "water",
    "wetland": "wetland",
    "hill": "hills",
    "park": "parks",
    "industrial": "industrial",
    "built_up": "built-up",
    "farmland": "farmland",
}
# Built-up ground lies under parks, parks under water, whatever the order of the tile.
_COVER_ORDER: Final = ("farmland", "hill", "built_up", "industrial", "wetland", "park")
_ROUND: Final[Rule] = {"line-cap": "round", "line-join": "round"}


@dataclass(frozen=True, slots=True)
class Look:
    """What every layer of a style is drawn by."""

    theme: Theme
    lang: Lang

    @property
    def tokens(self) -> dict[str, str]:
        """The theme's colours."""
        return TOKENS[self.theme]


def layer_rule(name: str, kind: str, source: str, source_layer: str, **more: Any) -> Rule:
    """Return one layer of a style; `None` leaves a property out."""
    rule = {"id": name, "type": kind, "source": source, "source-layer": source_layer, **more}
    return {key: value for key, value in rule.items() if value is not None}


def cover(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return land cover as areas and, where it came as lines, as lines."""
    t = look.tokens
    kind = ["get", "cover_class"]
    pairs = [part for name, token in _COVER.items() for part in (name, t[token])]
    colour = ["match", kind, *pairs, t["land"]]
    order = [part for at, name in enumerate(_COVER_ORDER) for part in (name, at)]
    return [
        layer_rule(
            f"{layer.id}/fill",
            "fill",
            source,
            layer.id,
            filter=geometry_is("Polygon"),
            layout={"fill-sort-key": ["match", kind, *order, 9]},
            paint={"fill-color": colour},
        ),
        layer_rule(
            f"{layer.id}/line",
            "line",
            source,
            layer.id,
            filter=geometry_is("LineString"),
            layout=_ROUND,
            paint={"line-color": colour, "line-width": by_zoom(1.6, 8, 0.8, 12, 3, 16, 14)},
        ),
    ]


# Neighbours both draw their common line, out of step: wide gaps leave it dashed all the same.
_DASH_DOT: Final = [5, 4, 1, 4]
# Boundaries by the level of the division: from which zoom, how wide, how opaque.
_BOUNDARIES: Final = (
    (("community", "grid"), 14, 0.8, 0.6),
    (("street",), 11, 1.1, 0.75),
    (("district",), 0, 1.8, 1),
    (("city", "province"), 0, 1.8, 1),
)


def boundaries(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return the edges of divisions."""
    return [
        layer_rule(
            f"{layer.id}/{levels[0]}",
            "line",
            source,
            layer.id,
            minzoom=zoom,
            filter=["in", ["get", "level"], ["literal", list(levels)]],
            layout={"line-join": "round"},
            paint={
                "line-color": look.tokens["boundary"],
                "line-width": width,
                "line-opacity": opacity,
                "line-dasharray": _DASH_DOT,
            },
        )
        for levels, zoom, width, opacity in _BOUNDARIES
    ]


# Names of divisions: which level from which zoom to which, and their size.
_NAMES: Final = (
    ("district", 0, 12.5, 17),
    ("street", 11.5, 24, 15),
    ("community", 14.5, 24, 13),
)


def division_names(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return the names of divisions, the reader's large and the other one small below it.

    Parameters
    ----------
    source
        Points, one for each division (`names`).
    """
    t = look.tokens
    order = ("name", "name_en") if look.lang == "zh" else ("name_en", "name")
    large, small = (["coalesce", ["get", name], ""] for name in order)
    known = ["!=", large, ""]
    second = ["case", ["all", known, ["!=", small, ""]], ["concat", "\n", small], ""]
    both = ["format", ["case", known, large, small], {}, second, {"font-scale": 0.72}]
    return [
        {
            "id": f"{layer.id}/name-{level}",
            "type": "symbol",
            "source": source,
            "minzoom": first,
            "maxzoom": last,
            "filter": ["all", ["==", ["get", "layer"], layer.id], ["==", ["get", "level"], level]],
            "layout": {
                "text-field": both,
                "text-font": FONTS,
                "text-size": by_zoom(1, first, size, first + 3, size + 2),
                "text-letter-spacing": 0.08,
                "text-line-height": 1.15,
                "text-max-width": 12,
                "text-padding": 3,
                # Names step aside for symbols; where there is no room at all they lie below them.
                "text-variable-anchor": ["center", "top", "bottom", "left", "right"],
                "text-radial-offset": 1.2,
                "text-justify": "auto",
                "text-allow-overlap": True,
            },
            "paint": {
                "text-color": t["map-label"],
                "text-halo-color": t["land"],
                "text-halo-width": 1.6,
            },
        }
        for level, first, last, size in _NAMES
    ]


_MAIN: Final = ["secondary", "tertiary", "secondary_link", "tertiary_link"]
_LINKS: Final = ["motorway_link", "trunk_link", "primary_link"]
_FOOT: Final = ["footway", "path", "steps", "pedestrian", "cycleway"]


def _by_class(motorway: _T, trunk: _T, link: _T, main: _T, rest: _T) -> Expression:
    cases: Expression = [
        "motorway",
        motorway,
        ["trunk", "primary"],
        trunk,
        _LINKS,
        link,
        _MAIN,
        main,
    ]
    return ["match", ["get", "road_class"], *cases, rest]


# Width in pixels by zoom of motorways, trunk roads, their links, main and other roads.
_WIDTHS: Final = {
    8: (1.4, 1.2, 0.6, 0.5, 0.3),
    11: (2.6, 2.4, 1.2, 1.5, 0.6),
    13: (4.4, 4, 2, 2.8, 1.3),
    15: (8, 7.5, 4, 5.5, 3),
    17: (16, 15, 9, 12, 8),
    19: (34, 30, 20, 26, 18),
}


def _width(extra: float) -> Expression:
    """Return the width of roads, or of a casing that is `extra` pixels wider."""
    stops: list[float | Expression] = []
    for zoom, (motorway, trunk, link, main, rest) in _WIDTHS.items():
        at = _by_class(motorway + extra, trunk + extra, link + extra, main + extra, rest + extra)
        stops += [zoom, at]
    return by_zoom(1.4, *stops)


def road_lines(source: str, look: Look) -> list[Rule]:
    """Return roads with their casings, tunnels below and bridges above the others."""
    t = look.tokens
    motor = ["!", ["in", ["get", "road_class"], ["literal", [*_FOOT, "ferry"]]]]
    bridge, tunnel = (["==", ["get", name], True] for name in ("bridge", "tunnel"))
    colour = _by_class(
        t["road-trunk"], t["road-trunk"], t["road-trunk"], t["road-main"], t["road-minor"]
    )
    order: Rule = {"line-sort-key": _by_class(5, 4, 3, 2, 1)}

    def line(
        name: str,
        chosen: Expression,
        paint: Rule,
        minzoom: int | None = None,
        layout: Rule | None = None,
    ) -> Rule:
        return layer_rule(
            f"{roads.NAME}/{name}",
            "line",
            source,
            roads.NAME,
            minzoom=minzoom,
            filter=chosen,
            layout=layout,
            paint={f"line-{key}": value for key, value in paint.items()},
        )

    ferry = ["==", ["get", "road_class"], "ferry"]
    foot = ["in", ["get", "road_class"], ["literal", _FOOT]]
    on_ground = ["all", motor, ["!", tunnel], ["!", bridge]]
    # Far away a bridge is a piece of its road.
    drawn = ["all", motor, ["!", tunnel], ["any", ["!", bridge], ["<", ["zoom"], 12]]]
    bridges = ["all", motor, bridge]
    joined = {**order, "line-join": "round"}
    foot_width = by_zoom(1.4, 15, 0.8, 18, 2.4)
    faint = {"color": colour, "width": _width(0), "opacity": 0.7, "dasharray": [1.6, 0.9]}
    edge = {"color": t["boundary"], "width": _width(1.6), "opacity": 0.8}
    casing = {"color": t["land"], "width": _width(2)}
    body = {"color": colour, "width": _width(0)}
    path = {"color": t["road-main"], "width": foot_width, "dasharray": [2, 1.6]}
    return [
        line("ferry", ferry, {"color": t["boundary"], "width": 1.2, "dasharray": [3, 3]}, 9),
        line("foot", foot, path, 15, _ROUND),
        line("tunnel", ["all", motor, tunnel], faint, 11, joined),
        line("casing", on_ground, casing, 12, order | _ROUND),
        line("line", drawn, body, None, order | _ROUND),
        line("bridge-casing", bridges, edge, 12, joined),
        line("bridge", bridges, body, 12, joined),
    ]


def road_names(source: str, look: Look) -> list[Rule]:
    """Return the names of roads along them."""
    t = look.tokens
    return [
        layer_rule(
            f"{roads.NAME}/name",
            "symbol",
            source,
            roads.NAME,
            minzoom=14,
            filter=["!=", ["coalesce", ["get", "name"], ""], ""],
            layout={
                "symbol-placement": "line",
                "symbol-spacing": 400,
                "symbol-sort-key": _by_class(1, 2, 5, 3, 4),
                "text-field": ["coalesce", ["get", "name"], ""],
                "text-font": FONTS,
                "text-size": 12,
                "text-padding": 8,
            },
            paint={"text-color": t["ink3"], "text-halo-color": t["land"], "text-halo-width": 1.4},
        )
    ]


# Classes of people in a cell over the jade of the middle band: from how many on, how opaque.
# Each class is about four times the one before, so that cells of 100 m and of 1 km both tell.
POPULATION: Final = ((0, 0.04), (10, 0.1), (50, 0.18), (200, 0.28), (800, 0.4))


def population(layer: Layer, source: str, look: Look) -> list[Rule]:
    """Return people by cell, hidden until a reader's layer list shows them."""
    (_, first), *rest = POPULATION
    steps = [part for people, opacity in rest for part in (people, opacity)]
    opacity = ["step", ["coalesce", ["get", layer.people], 0], first, *steps]
    colour = look.tokens["band-10"]
    hidden = {"visibility": "none"}
    return [
        layer_rule(
            f"{layer.id}/fill",
            "fill",
            source,
            layer.id,
            filter=geometry_is("Polygon"),
            layout=hidden,
            paint={"fill-color": colour, "fill-opacity": opacity, "fill-antialias": False},
        ),
        layer_rule(
            f"{layer.id}/dot",
            "circle",
            source,
            layer.id,
            filter=geometry_is("Point"),
            layout=hidden,
            paint={
                "circle-color": colour,
                "circle-opacity": opacity,
                "circle-radius": by_zoom(2, 10, 1.5, 16, 60),
            },
        ),
    ]
