"""The coordinate system that an import was told: what all kinds of them can do."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from riskmap.crs.epsg import read_epsg
from riskmap.errors import InputError


class InputCrs(Protocol):
    """A coordinate system of input."""

    @property
    def name(self) -> str:
        """Its public name, which `source_crs` keeps: `EPSG:4528`."""

    def to_wgs84(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), as the file has them, to longitude and latitude.

        What cannot be converted comes back as infinity: the caller says which row that is.
        """

    def is_same_as(self, declared: str) -> bool:
        """Say whether a file's own declaration (a name, a URN or WKT) agrees with this system."""


def read_crs(
    text: str | None,
    *,
    parameter: str = "crs",
    axes: str = "en",
    datum_shift: tuple[float, ...] = (),
) -> InputCrs:
    """Read what a caller states.

    Raises
    ------
    InputError
        None is stated (nothing is guessed), or `riskmap.crs.epsg.read_epsg` refuses it.
    """
    if axes != "en" or datum_shift:
        raise NotImplementedError("axes and datum shift")
    if text is None or not text.strip():
        raise InputError("crs.missing", parameter=parameter)
    return read_epsg(text, parameter=parameter)
