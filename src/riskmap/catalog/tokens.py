"""The colours of both themes by name: those of the page's `tokens.ts`, which a test compares.

They stand here a second time since the package is built and run without the page's sources, and
the page without the package's: a file of both would tie each build to the other's folder.
"""

from __future__ import annotations

from typing import Final, Literal

Theme = Literal["light", "dark"]
THEMES: Final[tuple[Theme, ...]] = ("light", "dark")

_LIGHT: Final = {
    "level-1": "#B5101F",
    "level-2": "#E8760A",
    "level-3": "#FFD60A",
    "level-4": "#1E69CC",
    "level-null": "#8A9199",
    "glyph-1": "#FFFFFF",
    "glyph-2": "#16202B",
    "glyph-3": "#16202B",
    "glyph-4": "#FFFFFF",
    "glyph-null": "#4A5867",
    "outline": "#16202B",
    "halo": "#FFFFFF",
    "band-5": "#0B4A3E",
    "band-10": "#12806A",
    "band-15": "#4FB89B",
    "jade": "#0B4A3E",
    "on-jade": "#FFFFFF",
    "away": "#5F6C7A",
    "land": "#F3F4F2",
    "water": "#CFDDE6",
    "hills": "#E6EAE0",
    "parks": "#DDE6D6",
    "built-up": "#EDEEEC",
    "industrial": "#E9E8E6",
    "farmland": "#EFF1EB",
    "wetland": "#DCE5E4",
    "road-minor": "#D9DDE0",
    "road-main": "#CBD1D6",
    "road-trunk": "#B4BDC5",
    "boundary": "#8693A0",
    "map-label": "#3D4956",
    "panel": "#FFFFFF",
    "line": "#D8DEE4",
    "ink": "#16202B",
    "ink2": "#4A5867",
    "ink3": "#5F6C7A",
    "focus": "#0B57D0",
    "warning": "#7A4B00",
    "warning-fill": "#FFF3D6",
    "fault": "#6B3FA0",
}

_DARK: Final = {
    "level-1": "#F24A57",
    "level-2": "#FB9A32",
    "level-3": "#FFEC70",
    "level-4": "#6CA4FA",
    "level-null": "#828F9B",
    "glyph-1": "#0B0F14",
    "glyph-2": "#0B0F14",
    "glyph-3": "#0B0F14",
    "glyph-4": "#0B0F14",
    "glyph-null": "#B4C0CC",
    "outline": "#0B0F14",
    "halo": "#0B0F14",
    "band-5": "#D5FFF3",
    "band-10": "#63DDC0",
    "band-15": "#1E9A7E",
    "jade": "#D5FFF3",
    "on-jade": "#0B0F14",
    "away": "#97A5B3",
    "land": "#1B222A",
    "water": "#111C28",
    "hills": "#1F2A2A",
    "parks": "#20302A",
    "built-up": "#1F262F",
    "industrial": "#222830",
    "farmland": "#1D2628",
    "wetland": "#162329",
    "road-minor": "#2A343F",
    "road-main": "#3A4754",
    "road-trunk": "#4D5C6B",
    "boundary": "#708090",
    "map-label": "#C8D2DC",
    "panel": "#141A21",
    "line": "#313C48",
    "ink": "#EEF2F6",
    "ink2": "#B4C0CC",
    "ink3": "#97A5B3",
    "focus": "#8AB8FF",
    "warning": "#FFD58A",
    "warning-fill": "#3A2E12",
    "fault": "#C9A6F5",
}

TOKENS: Final[dict[Theme, dict[str, str]]] = {"light": _LIGHT, "dark": _DARK}
