"""The paths that symbols are made of, in a box of 24 by 24: those of the page's `shapes.ts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["1", "2", "3", "4", "null"]
# The most dangerous first. As the tiles have them; null is 未评估, not assessed.
LEVELS: Final[tuple[Level, ...]] = ("1", "2", "3", "4", "null")

CIRCLE: Final = "M12 2.6a9.4 9.4 0 1 1 0 18.8 9.4 9.4 0 1 1 0-18.8z"

# Outline of each level and its scale: the more dangerous, the larger.
LEVEL_SHAPES: Final[dict[Level, tuple[str, float]]] = {
    "1": ("M8 2h8l6 6v8l-6 6H8l-6-6V8z", 1.15),
    "2": ("M12 1.2 22.8 12 12 22.8 1.2 12z", 1.08),
    "3": ("M12 2.2 23 21.2H1z", 1),
    "4": (CIRCLE, 0.86),
    "null": (CIRCLE, 0.84),
}

# What stands on a level's shape, filled with the glyph's colour, by the symbol of a layer's style.
HAZARD_GLYPHS: Final = {
    "geohazard": "M6.4 17.4h11.2L9.4 7.6z"
    "M14.3 7.4a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 1 1 0-2.6z"
    "M16.9 10.9a1.1 1.1 0 1 1 0 2.2 1.1 1.1 0 1 1 0-2.2z",
    "flask": "M10.2 6.2h3.6v4l4 7.6H6.2l4-7.6z",
    "enterprise": "M6.4 17.4v-7l3.8 2.3v-2.3l3.8 2.3V6.8h3.4v10.6z",
    "risk": "M10.7 6.6h2.6l-.5 7h-1.6zM12 14.9a1.35 1.35 0 1 1 0 2.7 1.35 1.35 0 1 1 0-2.7z",
}

# Square with a radius of 5.5: everything that helps.
SQUARE: Final = (
    "M7 1.5h10a5.5 5.5 0 0 1 5.5 5.5v10a5.5 5.5 0 0 1-5.5 5.5H7a5.5 5.5 0 0 1-5.5-5.5V7"
    "A5.5 5.5 0 0 1 7 1.5z"
)
# Glyphs on the square: filled parts, and lines in the square's colour cut into them.
RESOURCE_GLYPHS: Final = {
    "shelter": ("M12 4.6 20 11.6h-2.2v7.2h-3.9v-4.6h-3.8v4.6H6.2v-7.2H4z", ""),
    "team": (
        "M12 4.2l6.8 2.1v5.4c0 4-2.7 6.6-6.8 8.1-4.1-1.5-6.8-4.1-6.8-8.1V6.3z",
        "M8.6 11.9l2.5 2.5 4.4-4.7",
    ),
    "depot": (
        "M12 4l7.2 3.7v8.6L12 20l-7.2-3.7V7.7z",
        "M5.4 8.2 12 11.5l6.6-3.3M12 11.5v7.7",
    ),
}
# A slash from corner to corner of the square.
SLASH: Final = "M4.2 19.8 19.8 4.2"

# How a resource looks, whatever its layer calls the state.
Look = Literal["solid", "outline", "slash", "grey", "grey-slash", "unknown"]
LOOKS: Final[tuple[Look, ...]] = ("solid", "outline", "slash", "grey", "grey-slash", "unknown")
# 待命 is an outline, what has no room left is struck out; a state not named here is unknown.
LOOK_OF_STATE: Final[dict[str, Look]] = {
    "open": "solid",
    "on_duty": "solid",
    "standby": "outline",
    "full": "slash",
    "dispatched": "slash",
    "closed": "grey",
    "off": "grey",
    "damaged": "grey-slash",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One path in the 24 box, scaled about its centre; `width` and `dash` are unscaled units."""

    d: str
    scale: float = 1
    fill: str | None = None
    stroke: str | None = None
    width: float = 0
    dash: tuple[float, ...] = ()
    opacity: float = 1
