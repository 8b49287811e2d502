"""Coordinates of a stated EPSG code to WGS 84. Nothing is guessed, nothing is converted wrong.

Three rules (DOMAIN.md section 3): the code is mandatory; Beijing 1954, New Beijing and Xian 1980
need local parameters, because PROJ hands their numbers through unchanged and the error is tens of
metres; input is x = easting, y = northing in every code, whatever order EPSG declares, unless the
caller says that the north comes first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.crs import BoundCRS
from pyproj.crs.coordinate_operation import ToWGS84Transformation
from pyproj.exceptions import CRSError
from pyproj.transformer import TransformerGroup

from riskmap.errors import InputError
from riskmap.units import WGS84, Bbox

_CODE: Final = re.compile(r"EPSG:(\d{1,6})", re.ASCII | re.IGNORECASE)

# Geodetic CRS -> name. From each of them PROJ knows no way to WGS 84 and returns the same numbers
# ("ballpark"). Every projected code on these datums is found through its geodetic CRS.
_SILENTLY_WRONG: Final = {4214: "Beijing 1954", 4555: "New Beijing", 4610: "Xian 1980"}

# WGS 84 and CGCS2000, as plain longitude and latitude or with heights.
_WGS84_ALIKE: Final = frozenset((4326, 4979, 4490, 4480))

# Survey offices hand out metres, arc seconds and parts per million. What a datum of 1954 or 1980
# is off by is a hundred metres and a few seconds: larger numbers are other units, or a typo.
_MOST_SHIFT: Final = (2000.0,) * 3 + (60.0,) * 3 + (200.0,)
# Transverse Mercator is asked for some 300 km around its meridian. Numbers farther off are those
# of another code, whatever its series makes of them.
_FARTHEST_M: Final = 3e6
_ZONE_M: Final = 1e6


@dataclass(frozen=True)
class EpsgCrs:
    """A coordinate system of the EPSG registry.

    Parameters
    ----------
    code
        Number of the EPSG registry.
    north_first
        Whether a position is northing, easting (or latitude, longitude).
    datum_shift
        Three or seven numbers of PROJ's `+towgs84`, for a datum that needs them.
    """

    code: int
    _crs: CRS = field(repr=False, compare=False)
    north_first: bool = False
    datum_shift: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What was stated, which `source_crs` keeps: `EPSG:4528 (north, east)`."""
        shift = ",".join(f"{number:.10g}" for number in self.datum_shift)
        shown = f" +towgs84={shift}" if shift else ""
        return f"EPSG:{self.code}{shown}{' (north, east)' if self.north_first else ''}"

    @property
    def datum(self) -> str:
        """What a `datum` member of GeoJSON calls it: no EPSG code is GCJ-02 or BD-09."""
        return "wgs84"

    @property
    def decimals(self) -> int:
        """How many decimals hold a position to 0.1 mm."""
        return 9 if self._crs.is_geographic else 4

    @cached_property
    def _transformer(self) -> Transformer:
        geodetic = self._crs.geodetic_crs
        if not self.datum_shift or geodetic is None:
            # PROJ chooses anew for every position, and where none of its operations was made for
            # the place it takes a ballpark one: the numbers of an old datum as those of WGS 84.
            # Between CGCS2000 and WGS 84 it has no other, and none is needed.
            alike = _is_wgs84_alike(geodetic)
            return Transformer.from_crs(self._crs, WGS84, always_xy=True, allow_ballpark=alike)
        shift = ToWGS84Transformation(geodetic, *self.datum_shift)
        bound = BoundCRS(
            source_crs=self._crs, target_crs=CRS.from_epsg(WGS84), transformation=shift
        )
        return Transformer.from_crs(bound, WGS84, always_xy=True)

    @cached_property
    def _areas(self) -> tuple[Bbox, ...]:
        """Where the way to WGS 84 holds; none: everywhere."""
        geodetic = self._crs.geodetic_crs
        if self.datum_shift or geodetic is None or _is_wgs84_alike(geodetic):
            return ()
        return _areas_of(geodetic)

    def _elsewhere(self, lonlat: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which positions lie where no way to WGS 84 was made for."""
        if not self._areas:
            return np.zeros(len(lonlat), dtype=np.bool_)
        lon, lat = lonlat[:, 0], lonlat[:, 1]
        within = np.zeros(len(lonlat), dtype=np.bool_)
        for west, south, east, north in self._areas:
            # An area across the antimeridian has its west east of its east.
            wide = (west <= lon) & (lon <= east) if west <= east else (west <= lon) | (lon <= east)
            within |= wide & (south <= lat) & (lat <= north)
        return ~within

    @cached_property
    def _false_easting_m(self) -> float | None:
        """The easting of the central meridian of a transverse Mercator in metres, else None."""
        operation = self._crs.coordinate_operation
        if operation is None or operation.method_name != "Transverse Mercator":
            return None
        found = [
            p for p in operation.params if p.name == "False easting" and p.unit_name == "metre"
        ]
        return float(found[0].value) if found else None

    def to_wgs84(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), as the file has them, to longitude and latitude.

        What cannot be converted comes back as infinity: the caller says which row that is. So do
        eastings that carry the number of another zone, or one where the code has none: some of
        them PROJ would place on the other side of the earth. So do positions far from the land
        that an old datum was made for, where its shift is anybody's guess.
        """
        xy = xy[:, ::-1] if self.north_first else xy
        if self.code == WGS84:
            return np.array(xy, dtype=np.float64)
        lonlat = np.column_stack(self._transformer.transform(xy[:, 0], xy[:, 1]))
        lonlat[self._elsewhere(lonlat)] = np.inf
        central = self._false_easting_m
        if central is not None:
            other = np.abs(xy[:, 0] - central) > _FARTHEST_M
            if central > _ZONE_M:
                other |= np.floor(xy[:, 0] / _ZONE_M) != np.floor(central / _ZONE_M)
            lonlat[other] = np.inf
        return lonlat

    def from_wgs84(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert longitude and latitude, shape (n, 2), to positions of this system.

        What cannot be converted comes back as infinity, as in `to_wgs84`.
        """
        if self.code == WGS84:
            xy = np.array(lonlat, dtype=np.float64)
        else:
            back = self._transformer.transform(lonlat[:, 0], lonlat[:, 1], direction="INVERSE")
            xy = np.column_stack(back)
            xy[self._elsewhere(lonlat)] = np.inf
        return xy[:, ::-1] if self.north_first else xy

    def is_same_as(self, declared: str) -> bool:
        """Say whether a file's own declaration (a name, a URN or WKT) means this system.

        The order of axes is not compared: files of either order hold x before y. Nor are names:
        every program has its own for a zone. What counts is the datum, and where positions land.
        """
        try:
            other = CRS.from_user_input(declared)
        except CRSError:
            return False
        if other.to_epsg() == self.code or self._crs.equals(other, ignore_axis_order=True):
            return True
        return _is_same_datum(self._crs, other) and _is_same_projection(self._crs, other)


def _is_same_datum(one: CRS, other: CRS) -> bool:
    """Compare the datums; WGS 84 and CGCS2000 are one at the accuracy of a map (DOMAIN.md 3.1)."""
    mine, theirs = one.geodetic_crs, other.geodetic_crs
    if mine is None or theirs is None:
        return False
    if mine.to_epsg() in _WGS84_ALIKE and theirs.to_epsg() in _WGS84_ALIKE:
        return True
    return bool(mine.equals(theirs, ignore_axis_order=True))


def _is_same_projection(one: CRS, other: CRS) -> bool:
    """Say whether both bring some positions of the first one's area to the same millimetre."""
    if not (one.is_projected and other.is_projected):
        return one.is_geographic and other.is_geographic
    area = one.area_of_use
    if area is None or area.west >= area.east:
        return False
    lon, lat = np.meshgrid(
        np.linspace(area.west, area.east, 5)[1:-1], np.linspace(area.south, area.north, 5)[1:-1]
    )
    found = [
        np.array(Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(lon, lat))
        for crs in (one, other)
    ]
    return bool(np.isfinite(found).all() and np.allclose(found[0], found[1], rtol=0, atol=1e-3))


def read_epsg(
    text: str,
    *,
    parameter: str = "crs",
    north_first: bool = False,
    datum_shift: Sequence[float] = (),
) -> EpsgCrs:
    """Read `EPSG:4528`.

    Raises
    ------
    InputError
        It is no EPSG code, the registry does not know it, it is no system of positions on a map,
        PROJ would convert it silently wrong without a datum shift, or one is given that the datum
        does not need.
    """
    match = _CODE.fullmatch(text.strip())
    if match is None:
        raise InputError("crs.not_epsg", parameter=parameter, value=text.strip()[:40])
    code = int(match[1])
    try:
        crs = CRS.from_epsg(code)
    except CRSError:
        raise InputError("crs.unknown", parameter=parameter, value=f"EPSG:{code}") from None
    if not (crs.is_geographic or crs.is_projected) or crs.geodetic_crs is None:
        raise InputError("crs.no_map", parameter=parameter, value=f"EPSG:{code}", name=crs.name)
    datum = _unknown_to_proj(crs.geodetic_crs)
    shift = _read_shift(datum_shift)
    if datum is None and shift:
        raise InputError("crs.shift_twice", parameter="datum_shift", value=f"EPSG:{code}")
    if datum is not None and not shift:
        raise InputError("crs.refused", parameter=parameter, value=f"EPSG:{code}", datum=datum)
    return EpsgCrs(code, crs, north_first, shift)


def _unknown_to_proj(base: CRS) -> str | None:
    """Return the datum's name if PROJ would hand its numbers through as those of WGS 84.

    It calls that a ballpark offset and says nothing: TWD67 or Hong Kong 1963 would land hundreds
    of metres off. CGCS2000 is such a case on paper and the same as WGS 84 on a map.
    """
    code = base.to_epsg() or 0
    if code in _SILENTLY_WRONG:
        return _SILENTLY_WRONG[code]
    if code in _WGS84_ALIKE or _ways_of(base):
        return None
    return str(base.name)


def _is_wgs84_alike(base: CRS | None) -> bool:
    return base is not None and base.to_epsg() in _WGS84_ALIKE


def _ways_of(base: CRS) -> list[Transformer]:
    """Return PROJ's operations to WGS 84, without the ballpark one that fits everywhere."""
    # `allow_ballpark=False` of TransformerGroup ends in an IndexError where nothing else is left.
    ways = TransformerGroup(base, WGS84, always_xy=True).transformers
    return [way for way in ways if "ballpark" not in way.description.lower()]


@lru_cache(maxsize=32)
def _areas_of(base: CRS) -> tuple[Bbox, ...]:
    """Return the boxes where a datum's way to WGS 84 holds, in longitude and latitude.

    Those of the operations, and that of the datum itself: Hanoi lies in Indian 1960's area (102
    to 110 E, 8 to 23 N) but north of all its operations (below 18 N). The nearest one, whose
    shift is 440 m there, is some tens of metres off; no shift would be off by all of it.
    """
    areas = [base.area_of_use, *(way.area_of_use for way in _ways_of(base))]
    return tuple(Bbox(*area.bounds) for area in areas if area is not None)


def _read_shift(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return the numbers of `+towgs84`.

    Raises
    ------
    InputError
        They are not three or seven finite numbers, or larger than any datum's shift.
    """
    shift = tuple(float(number) for number in numbers)
    small = all(
        math.isfinite(number) and abs(number) <= most
        for number, most in zip(shift, _MOST_SHIFT, strict=False)
    )
    if len(shift) not in (0, 3, 7) or not small:
        shown = ",".join(f"{number:g}" for number in shift)[:80]
        raise InputError("crs.shift", parameter="datum_shift", value=shown)
    return shift
