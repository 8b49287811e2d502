"""Boxes as shapes."""

from __future__ import annotations

import shapely
from shapely.geometry.base import BaseGeometry


def rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """Return a box as a shape: one without width is a line, one without either a point.

    A polygon without area intersects nothing to PostGIS, not even what it lies on.
    """
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)
