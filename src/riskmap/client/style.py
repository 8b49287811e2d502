"""How a notebook's map looks: the colours, shapes and words of the page (light theme)."""

from __future__ import annotations

from typing import Any, Final

# Keys of levels as the service writes them; the most dangerous first.
LEVELS: Final = ("1", "2", "3", "4", "null")
LEVEL_WORDS: Final = {
    "1": ("重大", "Major"),
    "2": ("较大", "Serious"),
    "3": ("一般", "General"),
    "4": ("低", "Low"),
    "null": ("未评估", "Not assessed"),
}
LEVEL_COLOURS: Final = {
    "1": "#B5101F",
    "2": "#E8760A",
    "3": "#FFD60A",
    "4": "#1E69CC",
    "null": "#8A9199",
}
INK, INK2, PANEL, JADE, FAULT = "#16202B", "#4A5867", "#FFFFFF", "#0B4A3E", "#6B3FA0"
DASH: Final = (3.2, 2.4)

# Outlines in a box of 24: a level is shape and size, never colour alone.
_OCTAGON = "M8 2h8l6 6v8l-6 6H8l-6-6V8z"
_DIAMOND = "M12 1.2 22.8 12 12 22.8 1.2 12z"
_TRIANGLE = "M12 2.2 23 21.2H1z"
_DISC = "M2.6 12a9.4 9.4 0 1 0 18.8 0a9.4 9.4 0 1 0-18.8 0z"
_SQUARE = (
    "M6.5 1h11A5.5 5.5 0 0 1 23 6.5v11a5.5 5.5 0 0 1-5.5 5.5h-11A5.5 5.5 0 0 1 1 17.5v-11"
    "A5.5 5.5 0 0 1 6.5 1z"
)
_SIZE_PX = 15


def _level(level: str, path: str, scale: float) -> dict[str, Any]:
    return {
        "path": path,
        "fill": LEVEL_COLOURS[level] if level != "null" else PANEL,
        "stroke": INK if level != "null" else INK2,
        "dash": () if level != "null" else DASH,
        "size": _SIZE_PX * scale,
        "glyph": None,
    }


def _resource(glyph: str) -> dict[str, Any]:
    return {
        "path": _SQUARE,
        "fill": JADE,
        "stroke": PANEL,
        "dash": (),
        "size": _SIZE_PX * 1.15,
        "glyph": glyph,
    }


SYMBOLS: Final[dict[str, dict[str, Any]]] = {
    "1": _level("1", _OCTAGON, 1.15),
    "2": _level("2", _DIAMOND, 1.08),
    "3": _level("3", _TRIANGLE, 1.0),
    "4": _level("4", _DISC, 0.86),
    "null": _level("null", _DISC, 0.84),
    "shelter": _resource("M12 4.6 20 11.6h-2.2v7.2h-3.9v-4.6h-3.8v4.6H6.2v-7.2H4z"),
    "team": _resource("M12 4.2 18.6 6.6v5.2c0 3.9-2.7 6.5-6.6 8-3.9-1.5-6.6-4.1-6.6-8V6.6z"),
    "depot": _resource("M12 4.4 19 8v8l-7 3.6L5 16V8z"),
    "dot": {
        "path": _DISC,
        "fill": INK2,
        "stroke": PANEL,
        "dash": (),
        "size": _SIZE_PX * 0.6,
        "glyph": None,
    },
}

# Bands by the minutes at which they end; later ones look like the last.
BANDS: Final = ((5, "#0B4A3E", 0.34), (10, "#12806A", 0.24), (15, "#4FB89B", 0.17))
BAND_EDGES: Final = ((5, 1.8), (10, 2.2), (15, 3.4))

LAND: Final = "#F3F4F2"
_WATER, _HILLS, _PARKS = "#CFDDE6", "#E6EAE0", "#DDE6D6"
COVER: Final = {
    "sea": _WATER,
    "lake": _WATER,
    "reservoir": _WATER,
    "river": _WATER,
    "wetland": "#DFE7E6",
    "hill": _HILLS,
    "park": _PARKS,
    "built_up": "#ECEDEC",
    "industrial": "#E9E8E6",
}
BOUNDARY, MAP_LABEL = "#8693A0", "#3D4956"
# What the map of a city shows, the widest on top.
ROADS: Final = {
    "tertiary": ("#D9DDE0", 0.8),
    "secondary": ("#CBD1D6", 1.1),
    "primary": ("#CBD1D6", 1.6),
    "trunk": ("#B4BDC5", 2.0),
    "motorway": ("#B4BDC5", 2.4),
}

SYNTHETIC: Final = (
    "▲ 演示数据，不得用于实际处置",
    "Synthetic data, not for operational use",
)
MINUTES: Final = ("{minutes:g} 分钟", "{minutes:g} min")
WORDS: Final = {
    "level": ("风险等级", "Risk level"),
    "start": ("起点", "Start"),
    "unnamed": ("未命名", "No name"),
    "layer": ("图层", "Layer"),
}


def word(pair: tuple[str, str], lang: str) -> str:
    """Return a text in one language."""
    return pair[0] if lang == "zh" else pair[1]
