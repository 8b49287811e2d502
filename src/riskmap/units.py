"""Units and small geometry types that every room shares."""

from __future__ import annotations

import math
from typing import Final, NamedTuple, NewType

Seconds = NewType("Seconds", float)
Metres = NewType("Metres", float)

WGS84: Final = 4326
WEB_MERCATOR: Final = 3857

# Travel times inside the kernels are whole milliseconds in int32: 2**31 ms is 24 days, and a sum
# of rounded edges stays within half a millisecond an edge of the true time.
MS_PER_S: Final = 1000
UNREACHED: Final = 2**31 - 1


class LonLat(NamedTuple):
    """A position in degrees, WGS 84, longitude first."""

    lon: float
    lat: float


class Bbox(NamedTuple):
    """A box in degrees, WGS 84: west, south, east, north."""

    west: float
    south: float
    east: float
    north: float

    def contains(self, lon: float, lat: float) -> bool:
        """Say whether a position lies in the box, its edge included. NaN never does."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north

    def is_finite(self) -> bool:
        """Say whether all four numbers are finite."""
        return all(map(math.isfinite, self))
