"""The geometries of KML as shapely's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import shapely

_COMMA: Final = re.compile(r"\s*,\s*")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

SHAPES: Final = frozenset(
    {
        "Point",
        "LineString",
        "LinearRing",
        "Track",
        "Polygon",
        "MultiGeometry",
        "MultiTrack",
        "Model",
    }
)


class KmlError(Exception):
    """What is written as a geometry is none; the value is what stood there."""


@dataclass(slots=True)
class Shape:
    """A geometry that is being read."""

    kind: str
    parts: list[Any] = field(default_factory=list)
    rings: list[Any] = field(default_factory=list)
    outer: Any = None
    coordinates: list[tuple[float, ...]] = field(default_factory=list)


def position(numbers: list[str], text: str) -> tuple[float, ...]:
    """Return two or three numbers.

    Raises
    ------
    KmlError
        They are fewer, more or no numbers.
    """
    if len(numbers) not in (2, 3) or not all(map(_NUMBER.fullmatch, numbers)):
        raise KmlError(text)
    return tuple(map(float, numbers))


def coordinates(text: str) -> list[tuple[float, ...]]:
    """Read `lon,lat,altitude lon,lat`; blanks beside a comma are passed over."""
    found = [
        # A comma at the end stands before an altitude that was left out.
        position(token.rstrip(",").split(","), token)
        for token in _COMMA.sub(",", text).split()
    ]
    # One altitude that is missing is no reason to lose the others' place.
    flat = min(map(len, found), default=2)
    return [position[:flat] for position in found]


def build(shape: Shape) -> Any:
    """Return the geometry.

    Raises
    ------
    KmlError
        Its positions make none.
    """
    try:
        if shape.kind == "Point":
            if len(shape.coordinates) != 1:
                raise KmlError(str(shape.coordinates))
            return shapely.Point(shape.coordinates[0])
        if shape.kind in ("LineString", "Track"):
            if len(shape.coordinates) < 2:
                raise KmlError(f"{shape.kind}: {len(shape.coordinates)}")
            return shapely.LineString(shape.coordinates)
        if shape.kind == "LinearRing":
            return shapely.LinearRing(shape.coordinates)
        if shape.kind == "Polygon":
            if shape.outer is None:
                raise KmlError(shape.kind)
            return shapely.Polygon(shape.outer, shape.rings)
        if shape.kind == "Model" or not shape.parts:
            raise KmlError(shape.kind)
        return _collect(shape.parts)
    except (ValueError, shapely.errors.GEOSException) as error:
        raise KmlError(str(error)) from None


def _collect(parts: list[Any]) -> Any:
    """Return parts of one kind as the Multi-geometry of that kind."""
    if len(parts) == 1:
        return parts[0]
    kinds = {part.geom_type for part in parts}
    if kinds == {"Point"}:
        return shapely.MultiPoint(parts)
    if kinds <= {"LineString", "LinearRing"}:
        return shapely.MultiLineString(parts)
    if kinds == {"Polygon"}:
        return shapely.MultiPolygon(parts)
    return shapely.GeometryCollection(parts)
