"""The coordinate systems that answers are given in, and boxes and filters are measured in.

OGC API - Features part 2: CRS84 is always there and the default; each other one has the axes that
its registry declares (EPSG:4326, EPSG:4490 and the zones of CGCS2000 have the north first).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from riskmap.crs.boxes import rectangle
from riskmap.errors import InputError
from riskmap.units import WEB_MERCATOR, WGS84

CGCS2000: Final = 4490
_OGC: Final = "http://www.opengis.net/def/crs"
# 7 decimals of a degree are 1 cm, 3 of a metre a millimetre.
_DEGREE_DECIMALS: Final = 7
_METRE_DECIMALS: Final = 3


@dataclass(frozen=True, slots=True)
class ServedCrs:
    """A coordinate system that answers are given in.

    Parameters
    ----------
    srid
        What PostGIS calls it; CRS84 is 4326 there, which has the east first in a database.
    north_first
        Whether its registry declares northing (latitude) before easting.
    decimals
        How many decimals of its unit a position is given with.
    """

    uri: str
    srid: int
    north_first: bool
    decimals: int


def _epsg(srid: int) -> ServedCrs:
    crs = CRS.from_epsg(srid)
    first = crs.axis_info[0]
    decimals = _METRE_DECIMALS if crs.is_projected else _DEGREE_DECIMALS
    return ServedCrs(f"{_OGC}/EPSG/0/{srid}", srid, first.direction == "north", decimals)


CRS84: Final = ServedCrs(f"{_OGC}/OGC/1.3/CRS84", WGS84, False, _DEGREE_DECIMALS)


@lru_cache(maxsize=32)
def served(local_srid: int | None) -> tuple[ServedCrs, ...]:
    """Return the systems of a city, CRS84 first; None: a database without a city."""
    codes = [WGS84, CGCS2000, WEB_MERCATOR, *([] if local_srid is None else [local_srid])]
    return (CRS84, *map(_epsg, dict.fromkeys(codes)))


# A straight edge of a box in a projected system is a curve in longitude and latitude. Between two
# points s apart the chord leaves it by about s^2 / 8R * tan(latitude): 10 cm for 2 km at 60
# degrees, and a box of 600 km has edges of 300 parts.
_PARTS: Final = 300


_RETURN_M: Final = 1.0


@lru_cache(maxsize=32)
def _to_wgs84(srid: int) -> Transformer:
    return Transformer.from_crs(srid, WGS84, always_xy=True)


def is_projected(crs: ServedCrs) -> bool:
    """Say whether a system measures in metres on a plane."""
    source = _to_wgs84(crs.srid).source_crs
    return source is not None and source.is_projected


def moved(xy: NDArray[np.float64], crs: ServedCrs) -> NDArray[np.float64] | None:
    """Return positions of a system, the east first, in WGS 84: n x 2 in and out.

    Past its edge a projection repeats itself, so that a position out there would be one on the
    other side of the world: what does not come back was never on it. None: there is such a one.
    """
    transformer = _to_wgs84(crs.srid)
    found = np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    back = np.column_stack(transformer.transform(found[:, 0], found[:, 1], direction="INVERSE"))
    # NaN and infinity are near nothing.
    return found if bool(np.all(np.abs(back - xy) <= _RETURN_M)) else None


def area(corners: tuple[float, float, float, float], crs: ServedCrs) -> BaseGeometry:
    """Return a box, given by two opposite corners in a system's own axes, as a shape in WGS 84.

    Longitude and latitude: a box whose west lies east of its east goes across the antimeridian.

    Raises
    ------
    InputError
        Swapped corners, outside the world, or where the system has no numbers; names `bbox`.
    """
    shown = ",".join(f"{value:.10g}" for value in corners)
    a, b, c, d = corners
    west, south, east, north = (b, a, d, c) if crs.north_first else corners
    if crs.srid in (WGS84, CGCS2000):
        # Across the antimeridian the west is the larger number (177 to -177). A box that would go
        # round more than half the world has its corners swapped.
        if south > north or 0 < west - east <= 180:
            raise InputError("bbox.swapped", parameter="bbox", value=shown)
        if not (-180 <= west <= 180 and -180 <= east <= 180 and south >= -90 and north <= 90):
            raise InputError("bbox.world", parameter="bbox", value=shown)
        if west <= east:
            return rectangle(west, south, east, north)
        halves = [rectangle(west, south, 180, north), rectangle(-180, south, east, north)]
        return shapely.union_all(halves)
    if west > east or south > north:
        raise InputError("bbox.swapped", parameter="bbox", value=shown)
    part = max(east - west, north - south) / _PARTS
    outline = rectangle(west, south, east, north)
    if part > 0:
        outline = shapely.segmentize(outline, part)
    positions = moved(shapely.get_coordinates(outline), crs)
    if positions is None:
        raise InputError("bbox.world", parameter="bbox", value=shown)
    found: BaseGeometry = shapely.set_coordinates(outline, positions)
    return found
