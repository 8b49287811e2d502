"""The grids as OGC Two Dimensional Tile Matrix Set 2.0 (17-083r4) describes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from riskmap.tiles.grid import (
    CGCS2000_QUAD,
    MAX_ZOOM,
    WEB_MERCATOR_QUAD,
    WORLD_CRS84_QUAD,
    WORLD_M,
    Grid,
)
from riskmap.units import WEB_MERCATOR, Bbox

_DEF: Final = "http://www.opengis.net/def"
# The standard's size of a pixel on a screen, metres, and its length of a degree (section 6.1.1.1).
_SCREEN_M: Final = 0.00028
_DEGREE_M: Final = 6378137 * math.pi / 180
# What the registry's definitions are made for. Vector tiles have no pixels: clients draw ours at
# 512 px, one zoom out, and place them by their matrix alone.
_TILE_PX: Final = 256

#: The CRS of a grid, the order of its axes, the scale set that it belongs to, its own address.
_NAMES: Final[dict[str, tuple[str, list[str], str | None, str | None]]] = {
    WEB_MERCATOR_QUAD.id: (
        f"{_DEF}/crs/EPSG/0/3857",
        ["X", "Y"],
        f"{_DEF}/wkss/OGC/1.0/GoogleMapsCompatible",
        f"{_DEF}/tilematrixset/OGC/1.0/WebMercatorQuad",
    ),
    WORLD_CRS84_QUAD.id: (
        f"{_DEF}/crs/OGC/1.3/CRS84",
        ["Lon", "Lat"],
        f"{_DEF}/wkss/OGC/1.0/GoogleCRS84Quad",
        f"{_DEF}/tilematrixset/OGC/1.0/WorldCRS84Quad",
    ),
    # Tianditu's own: nobody registered it. The latitude comes first, as EPSG has it.
    CGCS2000_QUAD.id: (f"{_DEF}/crs/EPSG/0/4490", ["Lat", "Lon"], None, None),
}


def crs(grid: Grid) -> str:
    """Return the URI of what a grid is measured in."""
    return _NAMES[grid.id][0]


def uri(grid: Grid) -> str | None:
    """Return the registered address of a grid, if it has one."""
    return _NAMES[grid.id][3]


def matrices(grid: Grid) -> range:
    """Return the names of a grid's matrices."""
    return range(grid.first_zoom - grid.shift, MAX_ZOOM - grid.shift + 1)


def definition(grid: Grid) -> dict[str, Any]:
    """Return the JSON of a tile matrix set."""
    system, axes, scales, own = _NAMES[grid.id]
    west, north = grid.corner
    unit_m = 1.0 if grid.srid == WEB_MERCATOR else _DEGREE_M
    origin = [north, west] if axes == ["Lat", "Lon"] else [west, north]

    def matrix(name: int) -> dict[str, Any]:
        zoom = name + grid.shift
        cell = grid.width / (grid.columns(zoom) * _TILE_PX)
        return {
            "id": str(name),
            "scaleDenominator": cell * unit_m / _SCREEN_M,
            "cellSize": cell,
            "cornerOfOrigin": "topLeft",
            "pointOfOrigin": origin,
            "tileWidth": _TILE_PX,
            "tileHeight": _TILE_PX,
            "matrixWidth": grid.columns(zoom),
            "matrixHeight": grid.rows(zoom),
        }

    return {
        "id": grid.id,
        "title": grid.id,
        **({} if own is None else {"uri": own}),
        "crs": system,
        "orderedAxes": axes,
        **({} if scales is None else {"wellKnownScaleSet": scales}),
        "tileMatrices": [matrix(name) for name in matrices(grid)],
    }


def limits(grid: Grid, box: Bbox, least_zoom: int, most_zoom: int) -> Iterator[dict[str, Any]]:
    """Yield which tiles of each matrix a box touches, from one zoom to another."""
    corners = [_project(grid, box.west, box.north), _project(grid, box.east, box.south)]
    for name in matrices(grid):
        zoom = name + grid.shift
        if not least_zoom <= zoom <= most_zoom:
            continue
        side = grid.width / grid.columns(zoom)
        columns = [int((x - grid.corner[0]) / side) for x, _ in corners]
        rows = [int((grid.corner[1] - y) / side) for _, y in corners]
        yield {
            "tileMatrix": str(name),
            "minTileRow": max(0, rows[0]),
            "maxTileRow": min(grid.rows(zoom) - 1, rows[1]),
            "minTileCol": max(0, columns[0]),
            "maxTileCol": min(grid.columns(zoom) - 1, columns[1]),
        }


def _project(grid: Grid, lon: float, lat: float) -> tuple[float, float]:
    if grid.srid != WEB_MERCATOR:
        return lon, lat
    lat = math.radians(max(-85.05, min(85.05, lat)))
    return lon / 360 * WORLD_M, math.asinh(math.tan(lat)) / math.tau * WORLD_M
