"""The ground under a notebook's map: the service's own water, hills, districts and main roads."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from riskmap.client.frames import CRS
from riskmap.client.http import Service

# A city fits into some nine tiles of a zoom at which they hold its main roads only.
_TILES_ACROSS = 2
_MAX_ROAD_ZOOM = 11
# A degree of latitude is 111 km: a ten-thousandth is 11 m, less than a city map's pixel.
_TOLERANCE_DEG = 1e-4


@dataclass(frozen=True)
class Base:
    """What to draw beneath, each in EPSG:4326.

    Parameters
    ----------
    cover
        Areas with `cover_class`.
    districts
        Areas with `name`.
    roads
        Lines with `road_class`.
    """

    cover: gpd.GeoDataFrame
    districts: gpd.GeoDataFrame
    roads: gpd.GeoDataFrame

    @classmethod
    def empty(cls) -> Base:
        """Return a base of nothing."""
        nothing = gpd.GeoDataFrame(geometry=[], crs=CRS)
        return cls(nothing, nothing, nothing)


def read_base(
    layers: pd.DataFrame, read: Callable[..., gpd.GeoDataFrame], service: Service
) -> Base:
    """Read the base map of a service: layers by their role, roads from its tiles."""
    roles = layers["role"]
    cover = [read(layer) for layer in roles.index[roles == "context"]]
    districts = [read(layer, level="district") for layer in roles.index[roles == "area"]]
    ground = _together(cover)
    divided = _together(districts)
    known = [frame.total_bounds for frame in (divided, ground) if len(frame)]
    roads = _together([read_roads(service, tuple(known[0]))]) if known else Base.empty().roads
    return Base(ground, divided, roads)


def _together(frames: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return gpd.GeoDataFrame(geometry=[], crs=CRS)
    joined = gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=CRS)
    return joined.set_geometry(joined.geometry.simplify(_TOLERANCE_DEG))


def read_roads(service: Service, bounds: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    """Read the roads that the service's tiles show of a box at the scale of the box."""
    west, south, east, north = bounds
    span = max(east - west, (north - south) / math.cos(math.radians((north + south) / 2)), 1e-6)
    zoom = min(_MAX_ROAD_ZOOM, max(0, math.ceil(math.log2(360 * _TILES_ACROSS / span))))
    left, top = tile_of(west, north, zoom)
    right, bottom = tile_of(east, south, zoom)
    found = []
    with tempfile.TemporaryDirectory(prefix="riskmap-roads-") as name:
        for x in range(left, right + 1):
            for y in range(top, bottom + 1):
                tile = service.bytes(f"/tiles/roads/{zoom}/{x}/{y}.mvt")
                if not tile:
                    continue
                # GDAL reads from the path where on earth a tile lies.
                file = Path(name, str(zoom), str(x), f"{y}.pbf")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(tile)
                found.append(gpd.read_file(file, layer="roads", engine="pyogrio").to_crs(CRS))
    if not found:
        return gpd.GeoDataFrame(geometry=[], crs=CRS)
    return gpd.GeoDataFrame(pd.concat(found, ignore_index=True), crs=CRS)


def tile_of(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    """Return column and row of the web mercator tile that holds a place."""
    across = 2**zoom
    x = (lon + 180) / 360 * across
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * across
    return min(across - 1, max(0, int(x))), min(across - 1, max(0, int(y)))
