"""From degrees to pixels of a picture, and room for its labels."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from riskmap.units import Bbox

_GEOD: Final = Geod(ellps="WGS84")
# What a box has at least: one point alone is drawn with the quarter around it.
_LEAST_M: Final = 3000.0
_MARGIN: Final = 0.06
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """A map window: degrees scaled to metres about the box's middle, the north up.

    A city is small enough for that: over 50 km at 36 degrees the scale changes by 0.3 %.

    Parameters
    ----------
    lon, lat
        The middle of the window, degrees.
    m_per_lon, m_per_lat
        Metres to a degree there, on the ellipsoid.
    """

    lon: float
    lat: float
    m_per_lon: float
    m_per_lat: float
    m_per_px: float
    left: float
    top: float
    width: float
    height: float

    @classmethod
    def fit(cls, box: Bbox, *, left: float, top: float, width: float, height: float) -> Frame:
        """Return the window of these pixels that holds a box with a margin around it."""
        lon, lat = (box.west + box.east) / 2, (box.south + box.north) / 2
        step = 0.001
        m_per_lon = _GEOD.inv(lon - step, lat, lon + step, lat)[2] / (2 * step)
        m_per_lat = _GEOD.inv(lon, lat - step, lon, lat + step)[2] / (2 * step)
        across = max(_LEAST_M, (box.east - box.west) * m_per_lon) * (1 + 2 * _MARGIN)
        up = max(_LEAST_M, (box.north - box.south) * m_per_lat) * (1 + 2 * _MARGIN)
        m_per_px = max(across / width, up / height)
        return cls(lon, lat, m_per_lon, m_per_lat, m_per_px, left, top, width, height)

    def px(self, lonlat: npt.ArrayLike) -> Floats:
        """Return the pixels of positions, (n, 2) in and out."""
        places = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2)
        x = (places[:, 0] - self.lon) * self.m_per_lon / self.m_per_px
        y = (self.lat - places[:, 1]) * self.m_per_lat / self.m_per_px
        return np.column_stack([self.left + self.width / 2 + x, self.top + self.height / 2 + y])

    @property
    def box(self) -> Bbox:
        """What the window shows, degrees."""
        across = self.width * self.m_per_px / 2 / self.m_per_lon
        up = self.height * self.m_per_px / 2 / self.m_per_lat
        return Bbox(self.lon - across, self.lat - up, self.lon + across, self.lat + up)

    def clipped(self, shape: BaseGeometry, beyond_px: float = 24) -> BaseGeometry:
        """Return a shape in pixels, cut off so far outside the window that no edge shows there."""
        drawn = shapely.transform(shape, self.px)
        if shapely.get_dimensions(drawn) == 2 and not shapely.is_valid(drawn):
            drawn = shapely.make_valid(drawn)
        return shapely.clip_by_rect(
            drawn,
            self.left - beyond_px,
            self.top - beyond_px,
            self.left + self.width + beyond_px,
            self.top + self.height + beyond_px,
        )

    def scale_bar(self, most_px: float = 150) -> tuple[float, str]:
        """Return the length in pixels of a round distance, and how it is called."""
        most_m = most_px * self.m_per_px
        power = 10 ** math.floor(math.log10(most_m))
        metres = max(step * power for step in (1, 2, 5) if step * power <= most_m)
        text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
        return metres / self.m_per_px, text


def path(shape: BaseGeometry) -> str:
    """Return the lines and rings of a shape in pixels as the data of an SVG path."""
    found = []
    for part in shapely.get_parts(shape):
        if shapely.get_dimensions(part) == 2:
            found += [_line(ring, closed=True) for ring in (part.exterior, *part.interiors)]
        elif shapely.get_type_id(part) == shapely.GeometryType.GEOMETRYCOLLECTION:
            found.append(path(part))
        elif shapely.get_dimensions(part) == 1:
            found.append(_line(part, closed=False))
    return "".join(found)


def _line(line: BaseGeometry, *, closed: bool) -> str:
    """Return one line, points that fall on the same tenth of a pixel once."""
    xy = np.round(shapely.get_coordinates(line), 1)
    if len(xy) == 0:
        return ""
    new = np.any(np.diff(xy, axis=0) != 0, axis=1)
    xy = xy[np.concatenate([[True], new])]
    if closed and len(xy) > 1:
        xy = xy[:-1]
    text = "L".join(f"{x:g} {y:g}" for x, y in xy.tolist())
    return f"M{text}{'z' if closed else ''}"


def text_width(text: str, size_px: float) -> float:
    """Return about how wide a text is: Chinese characters are square, others about half as wide."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return size_px * (wide + 0.56 * (len(text) - wide))


@dataclass
class Room:
    """Where labels may still stand; each is put where it covers neither a symbol nor another."""

    frame: Frame
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def take(self, x: float, y: float, width: float, height: float) -> None:
        """Keep a rectangle about a middle free of labels."""
        self.taken.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))

    def free(self, x: float, y: float, width: float, height: float) -> bool:
        """Say whether a rectangle about a middle lies in the window and on nothing."""
        west, north = x - width / 2, y - height / 2
        east, south = x + width / 2, y + height / 2
        frame = self.frame
        if west < frame.left + 2 or north < frame.top + 2:
            return False
        if east > frame.left + frame.width - 2 or south > frame.top + frame.height - 2:
            return False
        return not any(
            west < e and east > w and north < s and south > n for w, n, e, s in self.taken
        )

    def beside(
        self, x: float, y: float, away: float, width: float, height: float
    ) -> tuple[float, float] | None:
        """Take room right, left, above or below a point; None: there is none."""
        aside, off = away + width / 2 + 2, away + height / 2 + 1
        spots: Iterable[tuple[float, float]] = (
            (x + aside, y), (x - aside, y), (x, y - off), (x, y + off),
            (x + aside, y - off), (x + aside, y + off), (x - aside, y - off), (x - aside, y + off),
        )  # fmt: skip
        for spot in spots:
            if self.free(*spot, width, height):
                self.take(*spot, width, height)
                return spot
        return None
