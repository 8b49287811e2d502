"""Response circles as polygons: drawings of a search, never its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from contourpy import FillType, contour_generator
from shapely import MultiPolygon

from riskmap.analysis import raster
from riskmap.analysis.search import TravelTimes
from riskmap.errors import InputError
from riskmap.roads.graph import RoadGraph
from riskmap.units import UNREACHED

MAX_CELLS: Final = 4_000_000
WALK_MPS: Final = 1.4
OFF_ROAD_MAX_M: Final = 100.0

# The grid holds whole milliseconds: a level between two of them never equals a cell's value, which
# is what makes contours touch themselves.
_BETWEEN_MS: Final = 0.37
# What unreached cells hold, 37 hours: far above any limit, so that the border of reach lies near
# the last filled cell, yet for every band at a place of its own: one minute is 60,000 / 2^27 of a
# cell of 75 m, 3.4 cm, and GeoJSON rounds to 1 cm. The same for every search, so that a band does
# not depend on the other bands asked for.
_BEYOND_MS: Final = 2.0**27


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands of one search.

    Attributes
    ----------
    limits_ms
        Their limits, ascending.
    polygons
        One for each limit, metres of the graph's projection; each lies in the next. Every
        separate part and every hole is kept. Empty where nothing is reached.
    cell_m
        The cell used: the one asked for, or a coarser one for a very large reach.
    """

    limits_ms: tuple[int, ...]
    polygons: tuple[MultiPolygon, ...]
    cell_m: float


def bands(
    graph: RoadGraph,
    times: TravelTimes,
    limits_ms: Sequence[int],
    *,
    cell_m: float = 75.0,
    off_road_mps: float = WALK_MPS,
    off_road_max_m: float = OFF_ROAD_MAX_M,
    max_cells: int = MAX_CELLS,
) -> Bands:
    """Draw what is reached within each limit.

    Parameters
    ----------
    graph, times
        A search and the graph it ran on; its limit must be no less than the largest of
        `limits_ms`.
    limits_ms
        Limits in milliseconds, ascending, at least one.
    cell_m
        Side of a cell of the travel-time raster, metres.
    off_road_mps, off_road_max_m
        How fast and how far time goes on beside the road. The distance keeps the circle from
        leaping over a wide river; it is never less than 1.5 cells, as a road one cell wide would
        have no area.
    max_cells
        The raster's size is held below this by a coarser cell.

    Raises
    ------
    InputError
        Limits that do not ascend, exceed the search or 37 hours, or a parameter not above 0.

    Notes
    -----
    All bands are contours of the same raster, so they nest. The raster's cells are aligned to the
    origin of the projection: the same roads give the same picture whatever the extent. Within a
    cell of its border a band also depends on the roads just past its limit, as far as the search
    went: let the search go a minute further than the longest limit, and the longest band is the
    one that it would be among longer ones.
    """
    limits = tuple(int(limit) for limit in limits_ms)
    if not limits or list(limits) != sorted(set(limits)) or limits[0] < 0:
        raise InputError("roads.bands", parameter="limits_ms", value=limits)
    if limits[-1] > times.limit_ms or limits[-1] >= _BEYOND_MS:
        raise InputError("roads.bands", parameter="limits_ms", value=limits[-1])
    for name, value in (
        ("cell_m", cell_m),
        ("off_road_mps", off_road_mps),
        ("off_road_max_m", off_road_max_m),
    ):
        if not (math.isfinite(value) and value > 0):
            raise InputError("roads.bands", parameter=name, value=value)
    surface, x0, y0, cell = travel_surface(
        graph,
        times,
        cell_m=cell_m,
        off_road_mps=off_road_mps,
        off_road_max_m=off_road_max_m,
        max_cells=max_cells,
    )
    if surface is None:
        return Bands(limits, tuple(MultiPolygon() for _ in limits), cell)
    return Bands(limits, contours(surface, x0, y0, cell, limits), cell)


def travel_surface(
    graph: RoadGraph,
    times: TravelTimes,
    *,
    cell_m: float,
    off_road_mps: float,
    off_road_max_m: float,
    max_cells: int,
) -> tuple[npt.NDArray[np.float64] | None, float, float, float]:
    """Return the travel-time raster that `bands` contours.

    Returns
    -------
    surface : float64[rows, columns] or None
        Whole milliseconds, far above the limit where nothing is reached; None if nothing is.
    x0, y0
        Centre of cell (0, 0), metres.
    cell
        Side of a cell, metres.
    """
    parts = times.reached_edges()
    began = times.starts.found & (times.start_ms <= times.limit_ms)
    at_start = times.starts.xy[began]
    if len(parts) == 0 and len(at_start) == 0:
        return None, 0.0, 0.0, cell_m
    box = np.array([np.inf, np.inf, -np.inf, -np.inf])
    raster.extent(graph.xy, graph.offsets, parts.edge, box)
    if len(at_start):
        box[:2] = np.minimum(box[:2], at_start.min(axis=0))
        box[2:] = np.maximum(box[2:], at_start.max(axis=0))
    cell = cell_m
    while True:
        reach_m = max(off_road_max_m, 1.5 * cell)
        # A frame of unreached cells closes the contours.
        pad = math.ceil(reach_m / cell) + 2
        first = np.floor(box[:2] / cell).astype(np.int64) - pad
        columns, rows = (np.ceil(box[2:] / cell).astype(np.int64) + pad + 1 - first).tolist()
        if rows * columns <= max_cells:
            break
        cell *= max(1.01, math.sqrt(rows * columns / max_cells))
        if columns <= 2 * pad + 4 and rows <= 2 * pad + 4:
            break
    x0, y0 = float(first[0] * cell), float(first[1] * cell)
    grid = np.full((rows, columns), UNREACHED, dtype=np.int32)
    raster.stamp(
        grid, x0, y0, cell, graph.xy, graph.offsets, parts.edge, parts.fraction_start,
        parts.fraction_end, parts.ms_start, parts.ms_end,
    )  # fmt: skip
    # A start on a closed road reaches its own place and nothing else.
    column, row = np.floor((at_start - (x0, y0)) / cell + 0.5).astype(np.int64).T
    np.minimum.at(grid, (row, column), times.start_ms[began])
    away_m = np.zeros(grid.shape, dtype=np.float32)
    raster.spread(grid, away_m, cell, off_road_mps, reach_m)
    return raster.as_surface(grid, _BEYOND_MS), x0, y0, cell


def contours(
    surface: npt.NDArray[np.float64], x0: float, y0: float, cell_m: float, limits_ms: Sequence[int]
) -> tuple[MultiPolygon, ...]:
    """Return the area at or below each limit, metres; the parameters are `travel_surface`'s.

    Notes
    -----
    Valid by construction, which tests hold against random surfaces: no cell equals a level, so
    each grid line is crossed at most once between two cells, at a place of its own. Asking GEOS
    would take longer than all the rest of the drawing. An encoder that rounds coordinates may
    still make rings touch: 7 decimals of a degree did not in 120 polygons of Porto, 5 did.
    """
    generator: Any = contour_generator(z=surface, fill_type=FillType.ChunkCombinedOffsetOffset)
    found: list[Any] = []
    for limit in limits_ms:
        (points,), (rings,), (parts,) = generator.filled(-1.0, limit + _BETWEEN_MS)
        if points is None:
            found.append(MultiPolygon())
            continue
        found.append(
            shapely.multipolygons(
                shapely.from_ragged_array(
                    shapely.GeometryType.POLYGON, points * cell_m + (x0, y0), (rings, parts)
                )
            )
        )
    return tuple(found)
