"""The map's window: roads, areas, symbols and labels as SVG elements, in the order drawn."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.picture.frame import Frame, Room, path, text_width
from riskmap.analysis.picture.looks import LOOKS, PLACE, UNCOVERED, Look
from riskmap.analysis.picture.marks import numbered, painted, pill, place_mark, plain, ring_mark
from riskmap.analysis.picture.shapes import Feature, Roads, Shapes, geometry
from riskmap.catalog.shapes import LOOK_OF_STATE, Level
from riskmap.catalog.symbols import hazard_parts, resource_parts, svg
from riskmap.catalog.tokens import TOKENS, Theme

# From this many points of one layer on they are drawn small, without glyphs.
_CROWD: Final = 120
_LABEL_PX: Final = 12.5
# In which property a feature may say its state, whatever its layer calls it.
_STATES: Final = ("state", "open_status", "duty_status")
_LEVELS: Final[dict[Any, Level]] = {1: "1", 2: "2", 3: "3", 4: "4"}


class Canvas:
    """Collects the elements of the map's window."""

    def __init__(self, frame: Frame, theme: Theme) -> None:
        self.frame, self.theme, self.tokens = frame, theme, TOKENS[theme]
        self.room = Room(frame)
        self.body: list[str] = []
        self.levels: set[Level] = set()
        self._waiting: list[tuple[int, float, float, float, str]] = []
        self._pills: list[tuple[npt.NDArray[np.float64], str]] = []

    def roads(self, roads: Roads) -> None:
        """Draw the background, the main roads above the others."""
        for main, token, width in ((False, "road-minor", 1.1), (True, "road-trunk", 1.9)):
            chosen = roads.lines[roads.main == main]
            lines = [shapely.simplify(self.frame.clipped(line), 0.4) for line in chosen]
            data = "".join(path(line) for line in lines if line.length > 1.2)
            if data:
                self.body.append(
                    f'<path d="{data}" fill="none" stroke="{self.tokens[token]}"'
                    f' stroke-width="{width}" stroke-linecap="round"/>'
                )

    def areas(self, shapes: Shapes) -> None:
        """Draw the lines and areas of a class."""
        for row, feature in enumerate(shapes.features):
            found = geometry(feature)
            if found is None:
                continue
            drawn = self.frame.clipped(found)
            self.body.append(painted(path(drawn), LOOKS[shapes.look], self.theme))
            label = feature.get("properties", {}).get("label")
            if label and row < shapes.labelled and not drawn.is_empty:
                self._pills.append((shapely.get_coordinates(drawn), str(label)))

    def grounds(self, shapes: Shapes) -> None:
        """Draw the lines and areas of layers whose features also have a symbol."""
        for feature in shapes.features:
            found = geometry(feature)
            if found is None or shapely.get_dimensions(found) == 0:
                continue
            level = self._level(shapes, feature)
            colour = "jade" if level is None else f"level-{level}"
            if shapes.symbol == "fault":
                colour = "fault"
            line = shapely.get_dimensions(found) == 1
            look = Look(
                fill=None if line else colour, opacity=0.16, stroke=colour,
                width=2.2 if line else 1.2, dash=(4, 3) if level == "null" else (),
            )  # fmt: skip
            self.body.append(painted(path(self.frame.clipped(found)), look, self.theme))

    def points(self, shapes: Shapes) -> None:
        """Draw the symbols of points and areas."""
        many = len(shapes.features) > _CROWD
        # Drawn later lies on top: the worst last, and of equal ones the first of the list.
        order = sorted(
            range(len(shapes.features)),
            key=lambda row: (_badness(shapes, shapes.features[row]), -row),
        )
        for row in order:
            feature = shapes.features[row]
            found = geometry(feature)
            if found is None or shapely.get_dimensions(found) == 1:
                continue
            place = found if shapely.get_type_id(found) == 0 else found.representative_point()
            x, y = self.frame.px(shapely.get_coordinates(place))[0].tolist()
            if not (
                -20 <= x - self.frame.left <= self.frame.width + 20
                and -20 <= y - self.frame.top <= self.frame.height + 20
            ):
                continue
            size = 32.0 if shapes.look == PLACE else 11.0 if many else 20.0
            self.body.append(self._symbol(shapes, feature, x, y, size))
            self.room.take(x, y, size * (0.7 if many else 1), size * (0.7 if many else 1))
            properties = feature.get("properties") or {}
            if properties.get("label") and row < shapes.labelled:
                self._waiting.append((row, x, y, size / 2, str(properties["label"])))

    def _level(self, shapes: Shapes, feature: Feature) -> Level | None:
        if not shapes.by_risk_level:
            return None
        value = (feature.get("properties") or {}).get("risk_level")
        level = _LEVELS.get(value, "null")
        self.levels.add(level)
        return level

    def _symbol(self, shapes: Shapes, feature: Feature, x: float, y: float, size: float) -> str:
        if shapes.look == PLACE:
            return place_mark(x, y, self.theme)
        level = self._level(shapes, feature)
        properties = feature.get("properties") or {}
        if level is not None:
            parts = hazard_parts(shapes.symbol, level, self.theme, size, halo=True)
        else:
            state = next((properties[name] for name in _STATES if properties.get(name)), None)
            look = "solid" if state is None else LOOK_OF_STATE.get(str(state), "unknown")
            parts = resource_parts(shapes.symbol, look, self.theme, size, halo=True)
        k = size / 24
        move = f"translate({x - size / 2:.1f} {y - size / 2:.1f}) scale({k:.4g})"
        text = f'<g transform="{move}">{svg(parts)}</g>'
        if shapes.look == UNCOVERED:
            text += ring_mark(x, y, size * 0.8, self.theme)
        if properties.get("order") is not None:
            text += numbered(x + size * 0.46, y - size * 0.46, str(properties["order"]), self.theme)
        return text

    def labels(self) -> None:
        """Write the labels where there is room, those of the first features first."""
        for xy, text in self._pills:
            inside = xy[
                (xy[:, 0] > self.frame.left + 40)
                & (xy[:, 0] < self.frame.left + self.frame.width - 40)
                & (xy[:, 1] > self.frame.top + 14)
                & (xy[:, 1] < self.frame.top + self.frame.height - 14)
            ]
            width = text_width(text, _LABEL_PX) + 12
            for x, y in inside[np.argsort(inside[:, 1], kind="stable")][
                :: max(1, len(inside) // 40)
            ]:
                if self.room.free(float(x), float(y), width, 19):
                    self.room.take(float(x), float(y), width, 19)
                    self.body.append(pill(float(x), float(y), width, text, self.theme))
                    break
        for _, x, y, away, text in sorted(self._waiting, key=lambda one: one[0]):
            width = text_width(text, _LABEL_PX)
            spot = self.room.beside(x, y, away, width, 16)
            if spot is not None:
                self.body.append(
                    f'<text x="{spot[0]:.1f}" y="{spot[1] + 4.5:.1f}" text-anchor="middle"'
                    f' font-size="{_LABEL_PX}" fill="{self.tokens["map-label"]}"'
                    f' stroke="{self.tokens["halo"]}" stroke-width="3" paint-order="stroke"'
                    f' stroke-linejoin="round">{plain(text)}</text>'
                )


def _badness(shapes: Shapes, feature: Feature) -> int:
    """Return where a level stands in the order of drawing: not assessed below 一般, above 低."""
    if not shapes.by_risk_level:
        return 0
    order: dict[Any, int] = {1: 4, 2: 3, 3: 2, 4: 0}
    return order.get((feature.get("properties") or {}).get("risk_level"), 1)
