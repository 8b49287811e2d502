"""The grid that tiles are cut from: sizes, boxes, and where a feature lies in one."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, bindparam, func

from riskmap.units import WEB_MERCATOR

EXTENT: Final = 4096
# Width of the Web Mercator world in metres, and of a tile on the screen in pixels.
WORLD_M: Final = 40_075_016.685578488
TILE_PX: Final = 512
# ST_TileEnvelope's default bounds, which must be given before its margin.
_WORLD: Final = func.ST_MakeEnvelope(
    -WORLD_M / 2, -WORLD_M / 2, WORLD_M / 2, WORLD_M / 2, WEB_MERCATOR
)
# Which tile: bound when a statement runs, so that one statement serves a whole zoom.
X: Final = bindparam("x", type_=Integer)
Y: Final = bindparam("y", type_=Integer)


def pixel_m(zoom: int) -> float:
    """Return the width of a screen pixel in Web Mercator metres: the tolerance of drawing."""
    return WORLD_M / TILE_PX / (1 << zoom)


def envelope(z: int, *, buffer: int = 0) -> ColumnElement[Any]:
    """Return the box of the tile at `X`, `Y`, widened by a buffer in units of the grid."""
    if not buffer:
        return func.ST_TileEnvelope(z, X, Y)
    return func.ST_TileEnvelope(z, X, Y, _WORLD, buffer / EXTENT)
