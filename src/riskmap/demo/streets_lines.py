"""Lines that become ways: a course, what road it is, and at what level each piece runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats

Levels = npt.NDArray[np.int8]
# Level of a motorway on the ground: it meets nothing but its own ramps.
APART: int = 9


@dataclass(eq=False)
class Line:
    """A road before it is cut at its crossings.

    Attributes
    ----------
    level : int8[n - 1]
        Of each piece: 0 on the ground, 1 or 2 a bridge, -1 a tunnel, `APART` a motorway on the
        ground. Only pieces at level 0 meet where they cross.
    island
        Not expected to hang together with the mainland.
    """

    xy: Floats
    road_class: str
    tags: dict[str, str] = field(default_factory=dict)
    level: Levels = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    island: bool = False

    def __post_init__(self) -> None:
        if len(self.level) != len(self.xy) - 1:
            self.level = np.zeros(len(self.xy) - 1, dtype=np.int8)

    @property
    def along_m(self) -> Floats:
        """Metres from the start at each vertex."""
        return along(self.xy)


def along(xy: Floats) -> Floats:
    """Return the metres from the start at each vertex."""
    step = np.hypot(*np.diff(xy, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(step)])


def at(xy: Floats, metres: npt.ArrayLike) -> Floats:
    """Return the points so many metres along a course."""
    m, wanted = along(xy), np.asarray(metres, dtype=np.float64)
    return np.column_stack([np.interp(wanted, m, xy[:, 0]), np.interp(wanted, m, xy[:, 1])])


def normals(xy: Floats) -> Floats:
    """Return the unit vectors to the right of the course at its vertices."""
    ahead = np.empty_like(xy)
    ahead[1:-1] = xy[2:] - xy[:-2]
    ahead[0], ahead[-1] = xy[1] - xy[0], xy[-1] - xy[-2]
    ahead /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    return np.column_stack([ahead[:, 1], -ahead[:, 0]])


def raise_spans(line: Line, spans: Iterable[tuple[float, float, int]]) -> Line:
    """Return the line with stretches (from, to, level) lifted or lowered; vertices are added."""
    m = line.along_m
    wanted = [(max(a, 0.0), min(b, float(m[-1])), level) for a, b, level in spans]
    wanted = [(a, b, level) for a, b, level in wanted if b - a > 1.0]
    if not wanted:
        return line
    stops = np.array([s for a, b, _ in wanted for s in (a, b)])
    # A stop within 1 m of a vertex is that vertex.
    near = m[np.argmin(np.abs(m[None, :] - stops[:, None]), axis=1)]
    stops = np.where(np.abs(near - stops) < 1.0, near, stops)
    every = np.unique(np.concatenate([m, stops]))
    middle = (every[1:] + every[:-1]) / 2.0
    level = line.level[np.clip(np.searchsorted(m, middle) - 1, 0, len(m) - 2)].copy()
    for a, b, raised in wanted:
        level[(middle > a) & (middle < b)] = raised
    new = np.column_stack([np.interp(every, m, line.xy[:, 0]), np.interp(every, m, line.xy[:, 1])])
    # Old vertices stay as they were to the last bit: others meet there.
    new[np.searchsorted(every, m)] = line.xy
    return Line(new, line.road_class, line.tags, level, line.island)


def merged(spans: list[tuple[float, float]], gap_m: float) -> list[tuple[float, float]]:
    """Return stretches in order, those closer than `gap_m` made one."""
    out: list[tuple[float, float]] = []
    for a, b in sorted(spans):
        if out and a - out[-1][1] < gap_m:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return out


def spans_inside(
    xy: Floats, area: BaseGeometry, *, beyond_m: float, gap_m: float
) -> list[tuple[float, float]]:
    """Return the stretches of a course inside an area, each longer by `beyond_m` at both ends."""
    course = shapely.LineString(xy)
    if not shapely.intersects(area, course):
        return []
    spans = []
    for part in shapely.get_parts(shapely.intersection(course, area)):
        if part.geom_type == "LineString" and part.length > 0.5:
            ends = shapely.points(shapely.get_coordinates(part)[[0, -1]])
            a, b = sorted(np.asarray(shapely.line_locate_point(course, ends)).tolist())
            spans.append((a - beyond_m, b + beyond_m))
    return merged(spans, gap_m)


def split_at(line: Line, metres: list[float]) -> Line:
    """Return the line with vertices so far along."""
    m = line.along_m
    every = np.unique(np.concatenate([m, np.clip(metres, 0.0, m[-1])]))
    middle = (every[1:] + every[:-1]) / 2.0
    level = line.level[np.clip(np.searchsorted(m, middle) - 1, 0, len(m) - 2)]
    new = np.column_stack([np.interp(every, m, line.xy[:, 0]), np.interp(every, m, line.xy[:, 1])])
    new[np.searchsorted(every, m)] = line.xy
    return Line(new, line.road_class, line.tags, level.copy(), line.island)
