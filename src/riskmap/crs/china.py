"""GCJ-02 (AMap, Tencent) and BD-09 (Baidu), converted to and from WGS 84 by the public formula.

What is claimed: consistent with the public formula. Forward it is the formula itself; the inverse
followed by the formula comes back within 1e-6 m (measured over its whole box: 4.2e-7 m beside the
meridian of 105 E, where the formula has a kink, 1e-8 m elsewhere). How close the formula is to
what a provider computes nobody outside can say.

There is no test whether a position "is in China". The usual one is a box that also holds Seoul,
Hanoi and Ulaanbaatar, and hands back unshifted what lies beyond it: two meanings in one column.
Here a caller says which system the numbers are in, and what the formula is not made for (outside
72.004 to 137.8347 E, 0.8293 to 55.8271 N) comes back as infinity, so that its row is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError

from riskmap.crs import kernels
from riskmap.units import WGS84, Bbox

# The box of the public formula, in WGS 84.
FORMULA_BOX: Final = Bbox(72.004, 0.8293, 137.8347, 55.8271)
ANYWHERE: Final = Bbox(-math.inf, -math.inf, math.inf, math.inf)
# 1e-9 degrees (0.1 mm) more: what lies on the edge stays inside after going there and back.
_BOX: Final = Bbox(72.004 - 1e-9, 0.8293 - 1e-9, 137.8347 + 1e-9, 55.8271 + 1e-9)
_CGCS2000: Final = 4490
# Four columns of so many numbers (128 KiB) stay in a core's own cache.
_CHUNK: Final = 4096

Positions = NDArray[np.float64]
_Kernel = Callable[[Positions, Positions, Positions, Positions], None]
_Way = Callable[[Positions], Positions]


def _run(xy: Positions, steps: tuple[_Kernel, ...], *, back: bool, box: Bbox) -> Positions:
    """Apply kernels one after another to positions of shape (n, 2).

    Parameters
    ----------
    back
        Whether the result is WGS 84; else the input is. That one has to lie in the box.
    """
    xy = np.ascontiguousarray(xy, dtype=np.float64)
    out = np.empty((len(xy), 2))
    work = np.empty((len(steps) + 1, 2, min(_CHUNK, len(xy))))
    for start in range(0, len(xy), _CHUNK):
        part = xy[start : start + _CHUNK]
        columns = work[:, :, : len(part)]
        kernels.load(part, *columns[0])
        for place, step in enumerate(steps):
            step(*columns[place], *columns[place + 1])
        wgs84 = columns[-1 if back else 0]
        kernels.store(*columns[-1], *wgs84, *box, out[start : start + _CHUNK])
    return out


def wgs84_to_gcj02(xy: Positions, box: Bbox = _BOX) -> Positions:
    """Convert longitude and latitude, shape (n, 2), degrees; infinity outside the box."""
    return _run(xy, (kernels.add_shift,), back=False, box=box)


def gcj02_to_wgs84(xy: Positions, box: Bbox = _BOX) -> Positions:
    """Convert longitude and latitude, shape (n, 2), degrees; infinity outside the box."""
    return _run(xy, (kernels.take_shift,), back=True, box=box)


def wgs84_to_bd09(xy: Positions, box: Bbox = _BOX) -> Positions:
    """Convert longitude and latitude, shape (n, 2), degrees; infinity outside the box."""
    return _run(xy, (kernels.add_shift, kernels.add_baidu), back=False, box=box)


def bd09_to_wgs84(xy: Positions, box: Bbox = _BOX) -> Positions:
    """Convert longitude and latitude, shape (n, 2), degrees; infinity outside the box."""
    return _run(xy, (kernels.take_baidu, kernels.take_shift), back=True, box=box)


_WAYS: Final[dict[str, tuple[_Way, _Way]]] = {
    "GCJ02": (gcj02_to_wgs84, wgs84_to_gcj02),
    "BD09": (bd09_to_wgs84, wgs84_to_bd09),
}


@dataclass(frozen=True)
class ChinaCrs:
    """GCJ-02 or BD-09 as longitude and latitude.

    Parameters
    ----------
    system
        `GCJ02` or `BD09`.
    north_first
        Whether a position is latitude, longitude.
    """

    system: str
    north_first: bool = False

    @property
    def name(self) -> str:
        """Its public name, which `source_crs` keeps."""
        return f"{self.system} (north, east)" if self.north_first else self.system

    @property
    def datum(self) -> str:
        """What a `datum` member of GeoJSON calls it."""
        return self.system.lower()

    @property
    def decimals(self) -> int:
        """How many decimals hold a position to 0.1 mm."""
        return 9

    def to_wgs84(self, xy: Positions) -> Positions:
        """Convert positions of shape (n, 2); what the formula is not made for becomes infinity."""
        return _WAYS[self.system][0](xy[:, ::-1] if self.north_first else xy)

    def from_wgs84(self, lonlat: Positions) -> Positions:
        """Convert longitude and latitude, shape (n, 2), to positions of this system."""
        xy = _WAYS[self.system][1](lonlat)
        return xy[:, ::-1] if self.north_first else xy

    def is_same_as(self, declared: str) -> bool:
        """Say whether a file's own declaration may stand beside this system.

        No format can declare GCJ-02 or BD-09: such files say WGS 84 or CGCS2000, or nothing. What
        declares a projection holds other numbers.
        """
        if declared.strip().upper() == self.system:
            return True
        try:
            crs = CRS.from_user_input(declared)
        except CRSError:
            return False
        return any(crs.equals(CRS.from_epsg(c), ignore_axis_order=True) for c in (WGS84, _CGCS2000))
