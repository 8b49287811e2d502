"""Tiles in GCJ-02, which PostGIS does not know.

Within one tile the shift of the datum is nearly the same everywhere: one affine map, fitted to the
exact formula over the tile, moves every vertex to within half a screen pixel (the shift's shortest
wave is some 30 km long and 13 m high; a tile that holds a whole one has pixels of 76 m). The map is
six numbers, which PostGIS applies.

BD-09 adds waves of 42 m every 13 km, three pixels at zoom 12, and its maps have a tile grid of
their own, which nobody else's tiles fit: there are none of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Double, bindparam, func

from riskmap.crs.datum import Datum
from riskmap.tiles.grid import EXTENT, WORLD_M, Address, Corners
from riskmap.units import WEB_MERCATOR

# Positions along a side of the tile that the map is fitted to.
_ACROSS: Final = 9
# What is asked for in WGS 84 is the tile moved back, and wider by so much of it: the map is exact
# to a pixel, a 512th.
_MARGIN: Final = 1 / 128
_NAMES: Final = ("a", "b", "d", "e", "x", "y")


@dataclass(frozen=True, slots=True)
class Shift:
    """How what lies in WGS 84 is moved into a tile of another datum.

    Parameters
    ----------
    ground
        a, b, d, e, x, y of ST_Affine in units of the grid.
    tile
        The same in units of the tile, y downwards.
    source
        The tile with its buffer in WGS 84: west, south, east, north in units of the grid.
    residual_px
        The farthest that the map leaves a fitted position from its exact place, screen pixels.
    """

    ground: tuple[float, ...]
    tile: tuple[float, ...]
    source: Corners
    residual_px: float

    def bound(self) -> dict[str, float]:
        """Return the values of the parameters that `moved`, `moved_in_tile` and `box` name."""
        ground = {f"ground_{name}": value for name, value in zip(_NAMES, self.ground, strict=True)}
        tile = {f"tile_{name}": value for name, value in zip(_NAMES, self.tile, strict=True)}
        corners = ("west", "south", "east", "north")
        box = {f"source_{name}": value for name, value in zip(corners, self.source, strict=True)}
        return ground | tile | box


def moved(geom: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a geometry of the grid's system where the datum puts it."""
    return _affine(geom, "ground")


def moved_in_tile(geom: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a geometry in units of the tile where the datum puts it."""
    return _affine(geom, "tile")


def box(srid: int) -> ColumnElement[Any]:
    """Return the box of WGS 84 that a tile shows."""
    corners = (bindparam(f"source_{name}", type_=Double) for name in ("west", "south"))
    others = (bindparam(f"source_{name}", type_=Double) for name in ("east", "north"))
    return func.ST_MakeEnvelope(*corners, *others, srid)


def _affine(geom: ColumnElement[Any], which: str) -> ColumnElement[Any]:
    return func.ST_Affine(geom, *(bindparam(f"{which}_{name}", type_=Double) for name in _NAMES))


def fit(datum: Datum, address: Address, *, buffer: int) -> Shift:
    """Fit the map of a tile.

    Where the datum's formula has no value (it is made for China) nothing is moved.
    """
    west, south, east, north = address.bounds(buffer=buffer)
    x, y = np.meshgrid(np.linspace(west, east, _ACROSS), np.linspace(south, north, _ACROSS))
    target = np.column_stack([x.ravel(), y.ravel()])
    source = _projected(address, datum.to_wgs84(_degrees(address, target)))
    known = np.isfinite(source).all(axis=1)
    side = address.grid.width / (1 << address.zoom)
    if not known.any():
        none = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
        return Shift(none, none, (west, south, east, north), 0.0)
    # Around the middle: the numbers are as small as the tile, and nothing is lost by rounding.
    middle = source[known].mean(axis=0)
    ones = np.ones(int(known.sum()))
    design = np.column_stack([source[known] - middle, ones])
    # Too few known positions leave some of it open: then the smallest change from no change.
    change, *_ = np.linalg.lstsq(design, target[known] - source[known], rcond=None)
    residual = np.abs(design @ change - (target[known] - source[known])).max()
    (a, b), (d, e) = (np.eye(2) + change[:2].T).tolist()
    shift = change[2] - change[:2].T @ middle
    ground = (a, b, d, e, float(shift[0]), float(shift[1]))
    # px = (x - left) * k, py = (top - y) * k.
    left, _, _, top = address.bounds()
    k = EXTENT / side
    tile = (
        a,
        -b,
        -d,
        e,
        k * (a * left + b * top + ground[4] - left),
        k * (top - d * left - e * top - ground[5]),
    )
    both = np.concatenate([source[known], target[~known]])
    low, high = both.min(axis=0) - _MARGIN * side, both.max(axis=0) + _MARGIN * side
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Shift(ground, tile, box, float(residual / address.grid.pixel(address.zoom)))


def _degrees(address: Address, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    if address.grid.srid != WEB_MERCATOR:
        return xy
    lat = np.degrees(np.arctan(np.sinh(xy[:, 1] / WORLD_M * math.tau)))
    return np.column_stack([xy[:, 0] / WORLD_M * 360, lat])


def _projected(address: Address, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    if address.grid.srid != WEB_MERCATOR:
        return lonlat
    with np.errstate(invalid="ignore"):  # infinity: the formula has no value there
        y = np.arcsinh(np.tan(np.radians(lonlat[:, 1]))) / math.tau * WORLD_M
    return np.column_stack([lonlat[:, 0] / 360 * WORLD_M, y])
