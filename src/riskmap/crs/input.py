"""The coordinate system that a caller states: what all kinds of them can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from riskmap.crs.epsg import read_epsg
from riskmap.errors import InputError

AXES: Final = ("en", "ne")
_CHINA: Final = {"GCJ02": "GCJ02", "GCJ-02": "GCJ02", "BD09": "BD09", "BD-09": "BD09"}
_BAIDU_METRES: Final = frozenset({"BD09MC", "BD-09MC", "BD09-MC", "BD-09-MC", "BD09_MC"})
_DATUMS: Final = frozenset({"wgs84", "gcj02", "bd09"})


class InputCrs(Protocol):
    """A coordinate system of input."""

    @property
    def name(self) -> str:
        """What was stated, which `source_crs` keeps: `EPSG:4528`, `EPSG:4549 (north, east)`."""

    @property
    def datum(self) -> str:
        """What a `datum` member of GeoJSON calls it: `gcj02`, `bd09`, `wgs84` for any other."""

    @property
    def north_first(self) -> bool:
        """Whether the first coordinate of a position is the northing (or latitude)."""

    @property
    def decimals(self) -> int:
        """How many decimals hold a position to 0.1 mm."""

    def to_wgs84(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), as the file has them, to longitude and latitude.

        What cannot be converted comes back as infinity: the caller says which row that is.
        """

    def from_wgs84(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert longitude and latitude, shape (n, 2), to positions of this system."""

    def is_same_as(self, declared: str) -> bool:
        """Say whether a file's own declaration (a name, a URN or WKT) agrees with this system."""


def read_crs(
    text: str | None,
    *,
    parameter: str = "crs",
    axes: str = "en",
    datum_shift: Sequence[float] = (),
) -> InputCrs:
    """Read what a caller states: `EPSG:4528`, `GCJ02` or `BD09`, in any case.

    Parameters
    ----------
    axes
        `en`: the first coordinate of a position is the easting (or longitude); `ne`: the northing
        (or latitude), as in Chinese survey tables.
    datum_shift
        Three (metres) or seven (metres, arc seconds, parts per million) numbers as PROJ's
        `+towgs84` takes them (position vector), for Beijing 1954, New Beijing and Xian 1980.

    Raises
    ------
    InputError
        None is stated (nothing is guessed), it is not supported, or a datum shift is missing,
        malformed or given where it would be applied twice.
    """
    if text is None or not text.strip():
        raise InputError("crs.missing", parameter=parameter)
    if axes not in AXES:
        raise InputError("crs.axes", parameter="axes", value=axes[:40])
    name, north_first = text.strip().upper(), axes == "ne"
    if name in _BAIDU_METRES:
        raise InputError("crs.baidu_metres", parameter=parameter, value=text.strip())
    system = _CHINA.get(name)
    if system is None:
        return read_epsg(
            text, parameter=parameter, north_first=north_first, datum_shift=datum_shift
        )
    if datum_shift:
        raise InputError("crs.shift_twice", parameter="datum_shift", value=system)
    # Compiled code: half a second that an import of any other system need not wait.
    from riskmap.crs.china import ChinaCrs  # noqa: PLC0415

    return ChinaCrs(system, north_first)


def check_datum(member: object, crs: InputCrs, *, parameter: str = "crs") -> None:
    """Compare the `datum` member of GeoJSON, by which riskmap marks its own, with what is stated.

    Other files may mean anything by a member of that name: only the three names count.

    Raises
    ------
    InputError
        They differ: one of two shifts would be made twice, or not at all.
    """
    if isinstance(member, str) and member in _DATUMS and member != crs.datum:
        raise InputError("crs.differs", parameter=parameter, value=crs.name, declared=member)
