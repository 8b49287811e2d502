"""Arrays and frames whose positions the service converts, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from riskmap.client.frames import CRS

Positions: TypeAlias = npt.NDArray[np.float64]
Convertible: TypeAlias = gpd.GeoDataFrame | gpd.GeoSeries | npt.NDArray[Any]

# The service takes 10,000 positions at once; half of them show sooner that something is wrong.
_PIECE = 5000
_DATUMS = {"GCJ02": "gcj02", "GCJ-02": "gcj02", "BD09": "bd09", "BD-09": "bd09"}


def converted(data: Convertible, to: str, convert: Callable[[Positions], Positions]) -> Any:
    """Return the data with other positions; a frame gets the CRS that it is now in.

    Raises
    ------
    ValueError
        An array is not of shape (n, 2).
    """
    if isinstance(data, gpd.GeoDataFrame):
        shapes = converted(data.geometry, to, convert)
        # `set_geometry` alone would keep the old CRS where there is no new one.
        found = data.set_geometry(shapes).set_crs(shapes.crs, allow_override=True)
        return in_datum(found, _DATUMS.get(to.strip().upper()))
    if isinstance(data, gpd.GeoSeries):
        flat = np.asarray(shapely.force_2d(data.to_numpy()))
        shapes = shapely.transform(flat, lambda xy: _in_pieces(xy, convert))
        name = to.strip().upper()
        datum = _DATUMS.get(name)
        crs = None if datum else name if name.startswith("EPSG:") else CRS
        return gpd.GeoSeries(shapes, index=data.index, name=data.name, crs=crs)
    xy = np.asarray(data, dtype=float)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(
            f"数组的形状应为 (n, 2)，收到 {xy.shape}\nthe array must be of shape (n, 2): {xy.shape}"
        )
    return _in_pieces(xy, convert)


def _in_pieces(xy: Positions, convert: Callable[[Positions], Positions]) -> Positions:
    parts = [convert(xy[start : start + _PIECE]) for start in range(0, len(xy), _PIECE)]
    return np.concatenate(parts) if parts else np.empty((0, 2))


def in_datum(frame: gpd.GeoDataFrame, datum: str | None) -> gpd.GeoDataFrame:
    """Take away the CRS of a frame whose datum no CRS names."""
    if datum is None or datum.lower() == "wgs84":
        return frame
    found = frame.set_crs(None, allow_override=True)
    found.attrs["datum"] = datum.lower()
    return found
