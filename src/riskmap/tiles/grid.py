"""The grids that tiles are cut from: their sizes and boxes, and where a feature lies in one.

Inside, a tile is always named by its zoom: at zoom z the world's width is 2^z tiles, whichever the
grid, so that a zoom has the same scale in all of them. The name of a tile matrix in the OGC's
sense is the zoom less the grid's `shift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Integer, bindparam, func

from riskmap.errors import NotFoundError
from riskmap.units import WEB_MERCATOR, WGS84

EXTENT: Final = 4096
# Width of the Web Mercator world in metres, and of a tile on the screen in pixels.
WORLD_M: Final = 40_075_016.685578488
TILE_PX: Final = 512
MAX_ZOOM: Final = 22
# Which tile: bound when a statement runs, so that one statement serves a whole zoom.
X: Final = bindparam("x", type_=Integer)
Y: Final = bindparam("y", type_=Integer)

Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """A tile matrix set.

    Parameters
    ----------
    id
        Its name in addresses.
    srid
        What its tiles are measured in; `geometry` is the column that has it.
    corner, width
        Its upper left corner and the width of the world, in units of `srid`.
    square
        Whether the world is as high as wide; else it is half as high.
    shift
        What a zoom is more than the name of its tile matrix.
    first_zoom
        The zoom of its first tile matrix.
    """

    id: str
    srid: int
    corner: tuple[float, float]
    width: float
    square: bool
    shift: int
    first_zoom: int

    def pixel(self, zoom: int) -> float:
        """Return the width of a screen pixel in units of the grid: the tolerance of drawing."""
        return self.width / TILE_PX / (1 << zoom)

    def columns(self, zoom: int) -> int:
        """Return how many tiles a row has."""
        return 1 << zoom

    def rows(self, zoom: int) -> int:
        """Return how many rows of tiles there are."""
        return 1 << zoom if self.square else 1 << (zoom - 1)

    def bounds(self, zoom: int, x: int, y: int, *, buffer: int = 0) -> Corners:
        """Return west, south, east, north of a tile, widened by a buffer in units of 1/4096."""
        side = self.width / (1 << zoom)
        margin = side * buffer / EXTENT
        west, north = self.corner[0] + x * side, self.corner[1] - y * side
        return west - margin, north - side - margin, west + side + margin, north + margin

    def envelope(self, zoom: int, *, buffer: int = 0) -> ColumnElement[Any]:
        """Return the SQL of the box of the tile at `X`, `Y`, as `bounds` gives it in numbers."""
        west, north = self.corner
        # ST_TileEnvelope halves a square; a world half as high is the upper half of one.
        square = func.ST_MakeEnvelope(west, north - self.width, west + self.width, north, self.srid)
        return func.ST_TileEnvelope(zoom, X, Y, square, buffer / EXTENT)

    def geometry(self, source: FromClause) -> ColumnElement[Any]:
        """Return a table's geometry in the grid's system."""
        found: ColumnElement[Any] = source.c[_COLUMNS[self.srid]]
        return found


_COLUMNS: Final = {WEB_MERCATOR: "geom_3857", WGS84: "geom"}

WEB_MERCATOR_QUAD: Final = Grid(
    id="WebMercatorQuad",
    srid=WEB_MERCATOR,
    corner=(-WORLD_M / 2, WORLD_M / 2),
    width=WORLD_M,
    square=True,
    shift=0,
    first_zoom=0,
)
# OGC 17-083r4 annex D.2: its first matrix is two tiles wide.
WORLD_CRS84_QUAD: Final = Grid(
    id="WorldCRS84Quad",
    srid=WGS84,
    corner=(-180.0, 90.0),
    width=360.0,
    square=False,
    shift=1,
    first_zoom=1,
)
# Tianditu's matrix set "c": matrix 1 is two tiles wide and one high, of 180 degrees. Positions in
# CGCS2000 and WGS 84 differ by centimetres, less than any coordinate here is known to.
CGCS2000_QUAD: Final = Grid(
    id="CGCS2000Quad",
    srid=WGS84,
    corner=(-180.0, 90.0),
    width=360.0,
    square=False,
    shift=0,
    first_zoom=1,
)
GRIDS: Final = {one.id: one for one in (WEB_MERCATOR_QUAD, WORLD_CRS84_QUAD, CGCS2000_QUAD)}


@dataclass(frozen=True, slots=True)
class Address:
    """One tile of a grid."""

    zoom: int
    x: int
    y: int
    grid: Grid = WEB_MERCATOR_QUAD

    def bounds(self, *, buffer: int = 0) -> Corners:
        """Return west, south, east, north in units of the grid, as `Grid.bounds`."""
        return self.grid.bounds(self.zoom, self.x, self.y, buffer=buffer)


def address(grid: Grid, matrix: int, x: int, y: int) -> Address:
    """Return the tile of a matrix, column and row.

    Raises
    ------
    NotFoundError
        The grid has no such tile: names z, x or y.
    """
    least, most = grid.first_zoom - grid.shift, MAX_ZOOM - grid.shift
    if not least <= matrix <= most:
        raise NotFoundError("tile.zoom", parameter="z", value=matrix, least=least, most=most)
    zoom = matrix + grid.shift
    for name, value, number in (("x", x, grid.columns(zoom)), ("y", y, grid.rows(zoom))):
        if not 0 <= value < number:
            raise NotFoundError(
                "tile.range", parameter=name, value=value, zoom=matrix, most=number - 1
            )
    return Address(zoom, x, y, grid)
