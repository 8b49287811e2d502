"""Hill streams: where water gathers on the slopes above the rivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from riskmap.demo.ground import Floats
from riskmap.demo.places import Places

# Cells of 200 m, as the rivers are routed on.
_CELL_M: Final = 200.0
_SPRING_KM2: Final = 0.16
# Below this the valley belongs to a river of the plain.
_LOWEST_M: Final = 10.0


@dataclass(frozen=True, eq=False)
class Stream:
    """A stream from its spring down; catchment at each point."""

    xy: Floats
    catchment_km2: Floats


def hill_streams(places: Places) -> list[Stream]:
    """Return the streams of the hills, the longest first.

    Each cell drains to the lowest of its neighbours; hollows end a stream.
    """
    step = max(1, round(_CELL_M / places.grid.cell_m))
    height, slope = _coarse(places.terrain.elevation_m, step), _coarse(places.terrain.slope, step)
    land = _coarse(places.terrain.land.astype(np.float64), step) == 1.0
    columns = height.shape[1]
    cell_m = places.grid.cell_m * step
    down = _drains_to(np.where(land, height, -1.0))
    area = np.where(land, (cell_m / 1000) ** 2, 0.0).ravel().tolist()
    order = np.argsort(-height.ravel(), kind="stable").tolist()
    below = down.ravel().tolist()
    for cell in order:
        if below[cell] >= 0:
            area[below[cell]] += area[cell]
    area_km2 = np.array(area)
    # A valley: enough water, hills around it, above the plain.
    hilly = (_spread(slope) > 0.07) & land & (height > _LOWEST_M)
    wet = ((area_km2 >= _SPRING_KM2) & hilly.ravel()).tolist()
    taken = [False] * len(area)
    streams = []
    for start in order:
        if not wet[start] or taken[start]:
            continue
        path, cell = [], start
        while cell >= 0 and wet[cell]:
            path.append(cell)
            if taken[cell]:
                break
            taken[cell] = True
            cell = below[cell]
        if len(path) < 3:
            continue
        row, column = np.divmod(np.array(path), columns)
        x = places.grid.west_m + (column + 0.5) * cell_m
        y = places.grid.south_m + (row + 0.5) * cell_m
        xy = np.column_stack([x, y])
        streams.append(Stream(_smooth(xy), area_km2[path]))
    return sorted(streams, key=lambda stream: -len(stream.xy))


def _coarse(raster: Floats, step: int) -> Floats:
    rows, columns = raster.shape[0] // step, raster.shape[1] // step
    cut = raster[: rows * step, : columns * step]
    return np.asarray(cut.reshape(rows, step, columns, step).mean(axis=(1, 3)))


def _drains_to(height: Floats) -> npt.NDArray[np.int64]:
    """Return for each cell the one of its 8 neighbours that lies lowest, -1 in a hollow."""
    rows, columns = height.shape
    padded = np.pad(height, 1, mode="constant", constant_values=np.inf)
    numbers = np.pad(np.arange(rows * columns).reshape(rows, columns), 1, constant_values=-1)
    best, found = height.copy(), np.full((rows, columns), -1, dtype=np.int64)
    for up in (0, 1, 2):
        for right in (0, 1, 2):
            near = padded[up : up + rows, right : right + columns]
            lower = near < best
            best = np.where(lower, near, best)
            found = np.where(lower, numbers[up : up + rows, right : right + columns], found)
    return found


def _spread(slope: Floats) -> Floats:
    """Return the greatest slope of each cell and its neighbours, four cells far."""
    best = slope
    for _ in range(4):
        padded = np.pad(best, 1, mode="edge")
        best = np.maximum.reduce(
            [
                padded[1:-1, 1:-1],
                padded[:-2, 1:-1],
                padded[2:, 1:-1],
                padded[1:-1, :-2],
                padded[1:-1, 2:],
            ]
        )
    return np.asarray(best)


def _smooth(xy: Floats) -> Floats:
    """Average points along a line; its ends stay."""
    for _ in range(2):
        xy = np.concatenate([xy[:1], (xy[:-2] + 2 * xy[1:-1] + xy[2:]) / 4, xy[-1:]])
    # One bending of the whole plane takes the raster's eight directions away and keeps where
    # streams meet.
    x, y = xy.T
    bend = np.column_stack([np.sin(x / 190 + y / 330), np.sin(x / 270 - y / 170)])
    return np.asarray(xy + 55.0 * bend)
