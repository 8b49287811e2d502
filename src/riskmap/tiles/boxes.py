"""What of the plane a tile shows."""

from __future__ import annotations

import math
from typing import Final

from riskmap.db.feed import Corners
from riskmap.tiles.grid import WORLD_M, Address
from riskmap.units import WEB_MERCATOR

# Where Web Mercator's world ends; farther north there is nothing that a tile could touch.
_MOST_LAT: Final = 89.9


def mercator_box(address: Address, *, buffer: int, margin_m: float = 0.0) -> Corners:
    """Return west, south, east, north of a buffered tile in Web Mercator metres."""
    west, south, east, north = address.bounds(buffer=buffer)
    if address.grid.srid != WEB_MERCATOR:
        west, east = west / 360 * WORLD_M, east / 360 * WORLD_M
        south, north = _northing(south), _northing(north)
    return west - margin_m, south - margin_m, east + margin_m, north + margin_m


def _northing(lat: float) -> float:
    lat = math.radians(max(-_MOST_LAT, min(_MOST_LAT, lat)))
    return math.asinh(math.tan(lat)) / math.tau * WORLD_M
