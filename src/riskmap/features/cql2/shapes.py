"""Geometries of a filter: from positions in the filter's CRS to a checked shape in WGS 84.

The literal is moved, never the column: the index of the column stays of use, and one literal is
cheaper to move than a million rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from riskmap.crs.served import ServedCrs, is_projected, moved
from riskmap.features.cql2.limits import At, fault
from riskmap.features.cql2.tree import Shape
from riskmap.units import WGS84

# A straight edge of a projected system is a curve in degrees: cut into parts of 100 m, it leaves
# the true line by 100^2 / 8 / 6.4e6 m = 0.2 mm at most; an outline longer than 500 km has its
# 5,000 parts all the same, which bounds what is added.
_PART_M: Final = 100.0
_PARTS: Final = 5_000
# No system measures 1,000,000 km from its origin (zone numbers before the easting reach 60,000).
_FARTHEST_M: Final = 1e9
# Where the border of the world was written with decimals.
_SLACK_DEG: Final = 1e-9
# WKB of a point without a position has NaN in it: empty shapes skip the test of positions.
Positions = Sequence[Sequence[float]]


def _moved(shape: BaseGeometry, crs: ServedCrs, at: At) -> BaseGeometry:
    """Return a shape of a system, its east first, in WGS 84."""
    if crs.srid == WGS84:
        return shape
    if is_projected(crs):
        part = max(_PART_M, float(shapely.length(shape)) / _PARTS)
        shape = shapely.segmentize(shape, part)

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        found = moved(xy, crs)
        if found is None:
            raise fault("world", at)
        return found

    found: BaseGeometry = shapely.transform(shape, move)
    return found


def _in_world(xy: NDArray[np.float64]) -> bool:
    """Say whether all positions are finite and on the globe; NaN never is."""
    lon, lat = np.abs(xy[:, 0]), np.abs(xy[:, 1])
    return bool(np.all(lon <= 180 + _SLACK_DEG) and np.all(lat <= 90 + _SLACK_DEG))


_SEVERAL: Final[dict[str, Callable[[Any], Any]]] = {
    "Point": shapely.multipoints,
    "LineString": shapely.multilinestrings,
    "Polygon": shapely.multipolygons,
}


def finish(shape: BaseGeometry, crs: ServedCrs, at: At, *, east_first: bool = False) -> Shape:
    """Give a shape as it was written: on the globe, in WGS 84, valid.

    Parameters
    ----------
    east_first
        Its positions have the east first whatever the system says.

    Raises
    ------
    InputError
        A position is not finite or lies outside the world, or the shape is invalid.
    """
    shape = shapely.force_2d(shape)
    written = shapely.get_coordinates(shape)
    # NaN is below nothing, infinity below no number.
    if not bool(np.all(np.abs(written) < _FARTHEST_M)):
        raise fault("world", at)
    if crs.north_first and not east_first:
        shape = shapely.transform(shape, lambda xy: xy[:, ::-1])
    shape = _moved(shape, crs, at)
    if not _in_world(shapely.get_coordinates(shape)):
        raise fault("world", at)
    if not shapely.is_valid(shape):
        raise fault("invalid", at, reason=shapely.is_valid_reason(shape))
    shape = _unified(shape)
    return Shape(at, shapely.to_wkb(shape), shape.geom_type)


def _unified(shape: BaseGeometry) -> BaseGeometry:
    """Return a collection of one kind as the multi geometry that it is.

    PostGIS relates no collections but by ST_Intersects: what can be said otherwise is. Set side by
    side, never merged: two thousand vertices of lines that cross each other have a million
    crossings, a gigabyte of them. Polygons that overlap stay a collection.
    """
    if shape.geom_type != "GeometryCollection" or shape.is_empty:
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    parts = parts[~shapely.is_empty(parts)]
    make = _SEVERAL.get(parts[0].geom_type)
    if make is None or len({part.geom_type for part in parts}) > 1:
        return shape
    found: BaseGeometry = make(parts)
    return found if shapely.is_valid(found) else shape


def box(numbers: Sequence[float], crs: ServedCrs, at: At) -> Shape:
    """Give a bounding box; the west past the east crosses the antimeridian.

    Parameters
    ----------
    numbers
        Lower corner, then upper corner, in the axes of the system; three each with a height.

    Raises
    ------
    InputError
        They are not four or six, not finite, swapped, or outside the world.
    """
    if len(numbers) not in (4, 6):
        raise fault("bbox", at)
    half = len(numbers) // 2
    low, high = numbers[:2], numbers[half : half + 2]
    if not all(abs(one) < _FARTHEST_M for one in numbers):
        raise fault("world", at)
    (west, south), (east, north) = (
        (low[::-1], high[::-1]) if crs.north_first else (low, high)
    )  # as x, y
    if south > north or (west > east and is_projected(crs)):
        raise fault("bbox", at)
    if west > east:
        parts = [_rectangle(west, south, 180.0, north), _rectangle(-180.0, south, east, north)]
        return finish(shapely.union_all(parts), crs, at, east_first=True)
    return finish(_rectangle(west, south, east, north), crs, at, east_first=True)


def _rectangle(west: float, south: float, east: float, north: float) -> BaseGeometry:
    """Return a box; without width it is a line, without either side a point."""
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)


def ring(positions: Positions, at: At) -> Positions:
    """Return the positions of a ring.

    Raises
    ------
    InputError
        They are fewer than four, or it is not closed.
    """
    if len(positions) < 4 or list(positions[0][:2]) != list(positions[-1][:2]):
        raise fault("ring", at)
    return positions


def point(positions: Positions) -> BaseGeometry:
    """Make a point of its one position, or the empty one."""
    if len(positions) > 1:
        raise ValueError("a point has one position")
    return shapely.Point(*positions)


def multipoint(positions: Positions) -> Any:
    """Make the points at once: one by one, 9,000 take 50 ms."""
    if not positions:
        return shapely.MultiPoint()
    found: Any = shapely.multipoints(np.array(positions, dtype=np.float64))
    return found


def polygon(rings: Sequence[Positions]) -> Polygon:
    """Make a polygon of its rings, the outer one first."""
    return Polygon(rings[0], rings[1:]) if rings else Polygon()


def made(build: Callable[[], Any], at: At) -> BaseGeometry:
    """Build a shape.

    Raises
    ------
    InputError
        GEOS refuses it: a line of one position, heights here and not there.
    """
    try:
        shape: BaseGeometry = build()
    except (ShapelyError, ValueError, TypeError):
        raise fault("geometry", at) from None
    return shape
