"""A plane about a place, on which the ground is measured: distances, bearings, wedges.

The azimuthal equidistant projection about the place itself: from its centre every distance and
bearing is that of the ellipsoid, and 50 km away a length is 1 part in 100,000 too long at most
(d^2 / 6 R^2), which no projection of a whole city can promise.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod, Transformer
from pyproj.enums import TransformDirection
from shapely.geometry.base import BaseGeometry

from riskmap.units import Bbox

GEOD: Final = Geod(ellps="WGS84")
# 360 corners: such a disk lacks 0.005 % of its area.
QUARTER: Final = 90
# A tenth of a millimetre at 5 km: what lies on an edge is inside, whatever rounding does.
BEARING_HAIR_DEG: Final = 1e-6
HAIR_M: Final = 1e-4
# So long a line, straight in degrees, leaves the straight line on the ground by s^2 / 8 R tan(lat):
# 1 km at 45 degrees by 2 cm.
_STRAIGHT_DEG: Final = 0.01
Floats = npt.NDArray[np.float64]


class Plane:
    """Metres east and north of a place's centre.

    Parameters
    ----------
    shape
        The place, degrees (WGS 84).

    Attributes
    ----------
    lon, lat
        The centre: of a point itself, of anything else the middle of its box.
    place
        The shape in metres.
    """

    def __init__(self, shape: BaseGeometry) -> None:
        west, south, east, north = shape.bounds
        self.lon, self.lat = (west + east) / 2, (south + north) / 2
        # As a pipeline: out of EPSG's tables a transformer takes 300 ms in every new thread.
        self._projection = Transformer.from_pipeline(
            "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=aeqd"
            f" +lat_0={self.lat!r} +lon_0={self.lon!r} +ellps=WGS84"
        )
        self.place: BaseGeometry = shapely.transform(
            shapely.segmentize(shape, _STRAIGHT_DEG), self.to_metres
        )
        shapely.prepare(self.place)

    def to_metres(self, lonlat: npt.ArrayLike) -> Floats:
        """Return degrees (n, 2) as metres (n, 2)."""
        places = np.asarray(lonlat, dtype=np.float64).reshape(-1, 2)
        return np.column_stack(self._projection.transform(places[:, 0], places[:, 1]))

    def to_degrees(self, xy: npt.ArrayLike) -> Floats:
        """Return metres (n, 2) as degrees (n, 2)."""
        places = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        found = self._projection.transform(
            places[:, 0], places[:, 1], direction=TransformDirection.INVERSE
        )
        return np.column_stack(found)

    def flat(self, shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        """Return shapes in degrees as shapes in metres.

        Between two vertices a line is straight in degrees (RFC 7946), which is no straight line
        here: it is followed in steps.
        """
        found: npt.NDArray[np.object_] = shapely.transform(
            shapely.segmentize(shapes, _STRAIGHT_DEG), self.to_metres
        )
        return found

    def around(self, radius_m: float) -> BaseGeometry:
        """Return all within a radius of the place, metres."""
        return self.place.buffer(radius_m, quad_segs=QUARTER)

    def box(self, radius_m: float) -> Bbox:
        """Return a box in degrees that holds all within a radius of the place."""
        west, south, east, north = self.place.bounds
        # Parallels are no straight lines here: 1 % is more than they bend in 300 km.
        far = radius_m * 1.01 + 1
        edge = np.linspace(0.0, 1.0, 9)
        x, y = (
            west - far + edge * (east - west + 2 * far),
            south - far + edge * (north - south + 2 * far),
        )
        ring = np.concatenate(
            [np.column_stack([x, np.full(9, y[end])]) for end in (0, -1)]
            + [np.column_stack([np.full(9, x[end]), y]) for end in (0, -1)]
        )
        degrees = self.to_degrees(ring)
        return Bbox(*degrees.min(axis=0).tolist(), *degrees.max(axis=0).tolist())

    def nearest(self, shapes: npt.NDArray[np.object_]) -> tuple[Floats, Floats]:
        """Return how far the nearest point of each shape (metres here) is, and where.

        Returns
        -------
        distance_m : float64[n]
            On the ellipsoid, from the place's nearest point; 0 where they meet.
        bearing_deg : float64[n]
            From there, clockwise from the north, 0 to 360; NaN where they meet.
        """
        distance, bearing = np.zeros(len(shapes)), np.full(len(shapes), np.nan)
        apart = np.flatnonzero(~shapely.intersects(self.place, shapes))
        if len(apart):
            lines = shapely.shortest_line(self.place, shapes[apart])
            ends = self.to_degrees(shapely.get_coordinates(lines)).reshape(-1, 2, 2)
            azimuth, _, metres = GEOD.inv(
                ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 0], ends[:, 1, 1]
            )
            distance[apart], bearing[apart] = metres, np.asarray(azimuth) % 360
        return distance, bearing


class Sector:
    """Where the wind carries what escapes at a place: a wedge, no farther than so many metres.

    From a place with an extent it starts upwind of it, so far that the wedge's sides touch the
    place: the virtual point source of dispersion models.

    Parameters
    ----------
    wind_from_deg
        Meteorological: where the wind comes from; 90 blows to 270. 0 and 360 are the same.
    half_width_deg
        Of the wedge, above 0; 180 is every direction.
    downwind_m
        From the place.

    Attributes
    ----------
    shape
        The wedge in metres of the plane.
    """

    def __init__(
        self, plane: Plane, wind_from_deg: float, half_width_deg: float, downwind_m: float
    ) -> None:
        self._plane, self.half_width_deg, self.downwind_m = plane, half_width_deg, downwind_m
        self.wind_to_deg = (wind_from_deg + 180) % 360
        self._apex = self._upwind()
        reach = plane.around(downwind_m)
        self.shape = reach if half_width_deg >= 180 else reach.intersection(self._wedge(reach))
        shapely.prepare(self.shape)

    def _upwind(self) -> Floats:
        """Return the apex: u metres along the wind, the least u - |v| / tan(half width)."""
        if self.half_width_deg >= 90:
            return np.zeros(2)
        turn = math.radians(self.wind_to_deg)
        along, across = (
            np.array([math.sin(turn), math.cos(turn)]),
            np.array([math.cos(turn), -math.sin(turn)]),
        )
        xy = shapely.get_coordinates(self._plane.place)
        u = xy @ along - np.abs(xy @ across) / math.tan(math.radians(self.half_width_deg))
        return along * float(u.min())

    def _wedge(self, reach: BaseGeometry) -> BaseGeometry:
        """Return the wedge so far that it is cut off by `reach` alone."""
        west, south, east, north = reach.bounds
        far = 2 * (math.hypot(east - west, north - south) + float(np.hypot(*self._apex)))
        # Corners every 5 degrees at most: the chord lies at cos 2.5 degrees = 0.999 of `far`.
        steps = max(2, math.ceil(self.half_width_deg / 2.5))
        turns = np.radians(
            self.wind_to_deg + np.linspace(-self.half_width_deg, self.half_width_deg, steps + 1)
        )
        arc = self._apex + far * np.column_stack([np.sin(turns), np.cos(turns)])
        return shapely.Polygon([self._apex, *arc])

    def holds(self, shapes: npt.NDArray[np.object_], distance_m: Floats) -> npt.NDArray[np.bool_]:
        """Say which shapes lie in the sector at least in part, its edges included.

        A point is decided by its own bearing, not by the drawn wedge.
        """
        found = np.asarray(shapely.intersects(self.shape, shapes), dtype=bool)
        points = shapely.get_type_id(shapes) == shapely.GeometryType.POINT
        if points.any():
            east, north = (shapely.get_coordinates(shapes[points]) - self._apex).T
            bearing = np.degrees(np.arctan2(east, north))
            off = np.abs((bearing - self.wind_to_deg + 180) % 360 - 180)
            inside = (off <= self.half_width_deg + BEARING_HAIR_DEG) | (np.hypot(east, north) == 0)
            found[points] = inside & (distance_m[points] <= self.downwind_m + HAIR_M)
        return found
