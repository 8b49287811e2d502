"""Coordinates of a stated EPSG code to WGS 84. Nothing is guessed, nothing is converted wrong.

Three rules (DOMAIN.md section 3): the code is mandatory; Beijing 1954 and Xian 1980 are refused,
because PROJ hands their numbers through unchanged and the error is tens of metres; input is
x = easting, y = northing in every code, whatever order EPSG declares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from riskmap.errors import InputError
from riskmap.units import WGS84

_CODE: Final = re.compile(r"EPSG:(\d{1,6})", re.ASCII | re.IGNORECASE)

# Geodetic CRS -> name. From each of them PROJ knows no way to WGS 84 and returns the same numbers
# ("ballpark"). Every projected code on these datums is found through its geodetic CRS.
_SILENTLY_WRONG: Final = {4214: "Beijing 1954", 4555: "New Beijing", 4610: "Xian 1980"}


@dataclass(frozen=True)
class EpsgCrs:
    """A coordinate system of the EPSG registry.

    Parameters
    ----------
    code
        Number of the EPSG registry.
    """

    code: int
    _crs: CRS = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Its public name, `EPSG:4528`, which `source_crs` keeps."""
        return f"EPSG:{self.code}"

    @cached_property
    def _transformer(self) -> Transformer:
        return Transformer.from_crs(self._crs, WGS84, always_xy=True)

    def to_wgs84(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), x before y, to longitude and latitude.

        What cannot be converted comes back as infinity: the caller says which row that is.
        """
        if self.code == WGS84:
            return np.array(xy, dtype=np.float64)
        lon, lat = self._transformer.transform(xy[:, 0], xy[:, 1])
        return np.column_stack((lon, lat))

    def is_same_as(self, declared: str) -> bool:
        """Say whether a file's own declaration (a name, a URN or WKT) means this system.

        The order of axes is not compared: files of either order hold x before y.
        """
        try:
            other = CRS.from_user_input(declared)
        except CRSError:
            return False
        return other.to_epsg() == self.code or self._crs.equals(other, ignore_axis_order=True)


def read_epsg(text: str, *, parameter: str = "crs") -> EpsgCrs:
    """Read `EPSG:4528`.

    Raises
    ------
    InputError
        It is no EPSG code, the registry does not know it, it is no system of positions on a map,
        or PROJ would convert it silently wrong.
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
    datum = _SILENTLY_WRONG.get(crs.geodetic_crs.to_epsg() or 0)
    if datum is not None:
        raise InputError("crs.refused", parameter=parameter, value=f"EPSG:{code}", datum=datum)
    return EpsgCrs(code, crs)
