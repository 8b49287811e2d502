"""The coordinate systems that answers are given in, and boxes and filters are measured in.

OGC API - Features part 2: CRS84 is always there and the default; each other one has the axes that
its registry declares (EPSG:4326, EPSG:4490 and the zones of CGCS2000 have the north first).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pyproj import CRS

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
