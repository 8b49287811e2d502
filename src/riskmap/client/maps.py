"""Maps of a notebook: a folium map with the page's colours that asks no host but the service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import folium
import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from branca.element import Figure, MacroElement
from jinja2 import Template

from riskmap.client import style
from riskmap.client.base import Base
from riskmap.client.frames import CRS
from riskmap.client.http import Lang
from riskmap.client.style import word

_SCRIPT = files("riskmap.client").joinpath("maps.js").read_text(encoding="utf-8")
_FONT = '"Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif'
# Six decimals of a degree are 11 cm, far below a pixel.
_DECIMALS = 6
_ROLE_SYMBOLS = {"shelter": "shelter", "team": "team", "depot": "depot"}


class Drawing(MacroElement):
    """What `maps.js` draws on the map that it is added to."""

    _template = Template(
        "{% macro header(this, kwargs) %}{{ this.head }}{% endmacro %}"
        "{% macro script(this, kwargs) %}"
        "riskmapDraw({{ this._parent.get_name() }}, {{ this.data }});"
        "{% endmacro %}"
    )

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "Drawing"
        self.head = f"<style>:root {{ --riskmap-font: {_FONT}; }}</style><script>{_SCRIPT}</script>"
        self.data = _json(data)


def draw(
    frames: Sequence[gpd.GeoDataFrame],
    *,
    circle: gpd.GeoDataFrame | None,
    base: Base,
    synthetic: bool,
    lang: Lang,
    base_url: str,
    height: int | str,
) -> folium.Map:
    """Return a map of layers and a circle on a base.

    Parameters
    ----------
    frames
        Features with `risk_level` are drawn by it, the most dangerous on top; others by the role
        in their `attrs`.
    base_url
        The service, which gives Leaflet itself.
    """
    layers = [_layer(frame.to_crs(CRS), place, lang) for place, frame in enumerate(frames, 1)]
    bands = [] if circle is None else _bands(circle)
    data = {
        "land": style.LAND,
        "base": _base(base),
        "names": _names(base, lang),
        "symbols": style.SYMBOLS,
        "layers": layers,
        "bands": bands,
        "minutes": [] if circle is None else _minute_labels(circle, lang),
        "starts": [] if circle is None else _starts(circle),
        "start_word": word(style.WORDS["start"], lang),
        "start_colour": style.JADE,
        "legend": [*_level_legend(layers, lang), *_band_legend(circle, lang)],
        "note": " ".join(style.SYNTHETIC) if synthetic else None,
        # Who asks for a circle wants to see it: features elsewhere need not fit in.
        "bounds": _bounds(frames if circle is None else [circle], base),
    }
    made = folium.Map(tiles=None, prefer_canvas=True, attribution_control=False)
    # folium's own lists name four other hosts.
    vendor = f"{base_url}/static/vendor/leaflet"
    made.default_js = [("leaflet", f"{vendor}/leaflet.js")]
    made.default_css = [("leaflet_css", f"{vendor}/leaflet.css")]
    figure = made.get_root()
    if isinstance(figure, Figure):
        figure.height = f"{height}px" if isinstance(height, int) else height
    Drawing(data).add_to(made)
    return made


def _json(data: object) -> str:
    """Write JSON that may stand within a script that branca compiles as a template.

    `</script>` in a name must not end the script, and `{{` in one must not run as an expression:
    in JSON a brace is followed by a brace or a sign only within a text.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = re.sub(r"\{(?=[{%#])", r"\\u007b", text)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _features(
    frame: gpd.GeoDataFrame, properties: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return GeoJSON features of the rows that have a shape."""
    shapes = shapely.transform(frame.geometry.to_numpy(), lambda xy: np.round(xy, _DECIMALS))
    return [
        {"type": "Feature", "geometry": json.loads(text), "properties": given}
        for text, given in zip(shapely.to_geojson(shapes), properties, strict=True)
        if text is not None
    ]


def _layer(frame: gpd.GeoDataFrame, place: int, lang: Lang) -> dict[str, Any]:
    """Prepare one layer: its features in drawing order, each with style, symbol and popup."""
    fallback = f"{word(style.WORDS['layer'], lang)} {place}"
    title = frame.attrs.get("title" if lang == "zh" else "title_en") or fallback
    assessed = "risk_level" in frame
    if assessed:  # the most dangerous last, so that nothing lies over it
        frame = frame.sort_values("risk_level", ascending=False, na_position="first")
    levels = [_level(value) for value in frame["risk_level"]] if assessed else [None] * len(frame)
    symbol = _ROLE_SYMBOLS.get(frame.attrs.get("role", ""), "dot")
    rows = zip(_column(frame, "name"), _column(frame, "name_en"), levels, strict=True)
    properties = []
    for name, name_en, level in rows:
        lines = [title]
        if level is not None:
            words = word(style.LEVEL_WORDS[level], lang)
            lines.append(f"{word(style.WORDS['level'], lang)} {words}")
        both = [text for text in ((name, name_en) if lang == "zh" else (name_en, name)) if text]
        properties.append(
            {
                "name": both[0] if both else word(style.WORDS["unnamed"], lang),
                "lines": [*both[1:], *lines],
                "symbol": level or symbol,
                "style": _area_style(level, symbol),
            }
        )
    used = sorted({level for level in levels if level}, key=style.LEVELS.index)
    return {
        "title": title,
        "features": _features(frame, properties),
        "levels": used,
        "symbol": None if assessed else symbol,
    }


def _level(value: Any) -> str:
    return "null" if pd.isna(value) else str(int(value))


def _column(frame: gpd.GeoDataFrame, name: str) -> list[str | None]:
    if name not in frame:
        return [None] * len(frame)
    return [None if pd.isna(value) else str(value) for value in frame[name]]


def _area_style(level: str | None, symbol: str) -> dict[str, Any]:
    """Return how lines and areas look; 未评估 has a dashed edge and no fill."""
    if level is None:
        colour = style.INK2 if symbol == "dot" else style.JADE
        return {"color": colour, "weight": 2, "fillColor": colour, "fillOpacity": 0.12}
    if level == "null":
        return {"color": style.INK2, "weight": 1.6, "dashArray": "7 4", "fillOpacity": 0}
    colour = style.LEVEL_COLOURS[level]
    return {"color": colour, "weight": 1.8, "fillColor": colour, "fillOpacity": 0.22}


def _level_legend(layers: list[dict[str, Any]], lang: Lang) -> list[dict[str, Any]]:
    used = {level for layer in layers for level in layer["levels"]}
    found = [
        {"symbol": level, "text": word(style.LEVEL_WORDS[level], lang)}
        for level in style.LEVELS
        if level in used
    ]
    others = [layer for layer in layers if layer["symbol"] is not None]
    return [*found, *({"symbol": one["symbol"], "text": one["title"]} for one in others)]


def _minutes(circle: gpd.GeoDataFrame) -> list[float]:
    return [float(value) for value in circle["minutes"]]


def _band_look(minutes: float) -> tuple[str, float]:
    last = style.BANDS[-1]
    _, colour, opacity = next((band for band in style.BANDS if minutes <= band[0]), last)
    return colour, opacity


def _edge_weight(minutes: float, all_minutes: list[float]) -> float:
    """Return how heavy the line is: heaviest at 15 minutes, or else at the widest band."""
    heaviest = 15 if 15 in all_minutes else max(all_minutes)
    if minutes == heaviest:
        return style.BAND_EDGES[-1][1]
    return next((weight for most, weight in style.BAND_EDGES[:-1] if minutes <= most), 2.2)


def _bands(circle: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return the bands' rings, then their edges.

    Rings are disjoint: disks stacked one on another would shift each other's colour.
    """
    ordered = circle.to_crs(CRS).sort_values("minutes")
    disks = list(ordered.geometry)
    rings = [disk.difference(inner) for disk, inner in zip(disks[1:], disks, strict=False)]
    minutes = _minutes(ordered)
    looks = [_band_look(value) for value in minutes]
    fills = [
        {"style": {"stroke": False, "fillColor": colour, "fillOpacity": opacity}}
        for colour, opacity in looks
    ]
    edges = [
        {"style": {"fill": False, "color": style.JADE, "weight": _edge_weight(value, minutes)}}
        for value in minutes
    ]
    return [
        *_features(gpd.GeoDataFrame(geometry=[*disks[:1], *rings], crs=CRS), fills),
        *_features(ordered, edges),
    ]


def _minute_labels(circle: gpd.GeoDataFrame, lang: Lang) -> list[dict[str, Any]]:
    """Return each band's minutes, at the northernmost place of its edge."""
    found = []
    for minutes, disk in zip(_minutes(circle), circle.to_crs(CRS).geometry, strict=True):
        if disk.is_empty:
            continue
        xy = shapely.get_coordinates(disk)
        lon, lat = xy[xy[:, 1].argmax()]
        text = word(style.MINUTES, lang).format(minutes=minutes)
        found.append({"at": [lat, lon], "text": text, "colour": style.JADE})
    return found


def _band_legend(circle: gpd.GeoDataFrame | None, lang: Lang) -> list[dict[str, Any]]:
    if circle is None:
        return []
    found, before, minutes = [], 0.0, sorted(_minutes(circle))
    for value in minutes:
        text = word(style.MINUTES, lang).format(minutes=value)
        colour, opacity = _band_look(value)
        found.append(
            {
                "text": f"{before:g}–{text}" if before else f"≤ {text}",
                "fill": f"{colour}{round(opacity * 255):02x}",
                "stroke": style.JADE,
                "weight": _edge_weight(value, minutes),
            }
        )
        before = value
    return found


def _starts(circle: gpd.GeoDataFrame) -> list[list[float]]:
    return [[start["lat"], start["lon"]] for start in circle.attrs.get("starts", [])]


def _base(base: Base) -> list[dict[str, Any]]:
    """Return the base's features from the ground up: cover, roads, boundaries."""
    found = []
    if len(base.cover):
        # Ground first, water last: a hill's outline must not cover the sea's.
        order = {name: place for place, name in enumerate(reversed(style.COVER))}
        drawn = base.cover["cover_class"].isin(order) & (base.cover.geom_type != "Point")
        cover = base.cover[drawn]
        cover = cover.sort_values("cover_class", key=lambda names: names.map(order))
        # A river may be a line: what has an edge of its own colour shows as a line, too.
        found += _features(cover, [_ground(style.COVER[name]) for name in cover["cover_class"]])
    for name, (colour, weight) in style.ROADS.items():
        if len(base.roads):
            roads = base.roads[base.roads["road_class"] == name]
            look = {"style": {"fill": False, "color": colour, "weight": weight}}
            found += _features(roads, [look] * len(roads))
    if len(base.districts):
        look = {
            "style": {
                "fill": False,
                "color": style.BOUNDARY,
                "weight": 1.4,
                "dashArray": "8 3 1.5 3",
            }
        }
        found += _features(base.districts, [look] * len(base.districts))
    return found


def _ground(colour: str) -> dict[str, Any]:
    return {"style": {"color": colour, "weight": 1, "fillColor": colour, "fillOpacity": 1}}


def _names(base: Base, lang: Lang) -> list[dict[str, Any]]:
    if not len(base.districts):
        return []
    places = base.districts.geometry.representative_point()
    own, english = _column(base.districts, "name"), _column(base.districts, "name_en")
    texts = own if lang == "zh" else [en or zh for zh, en in zip(own, english, strict=True)]
    return [
        {"at": [place.y, place.x], "text": text, "colour": style.MAP_LABEL}
        for place, text in zip(places, texts, strict=True)
        if text
    ]


def _bounds(frames: Sequence[gpd.GeoDataFrame], base: Base) -> list[list[float]] | None:
    """Return south-west and north-east of what is shown, else of the base."""
    shown = [frame.to_crs(CRS).total_bounds for frame in frames if len(frame)]
    shown = shown or [frame.total_bounds for frame in (base.districts, base.cover) if len(frame)]
    boxes = np.array(shown).reshape(-1, 4)
    boxes = boxes[~np.isnan(boxes).any(axis=1)]
    if not len(boxes):
        return None
    (west, south), (east, north) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return [[float(south), float(west)], [float(north), float(east)]]
