"""Response circles as polygons: drawings of a search, never its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon

from riskmap.analysis import raster
from riskmap.analysis.contours import BEYOND_MS, enclosed, trace
from riskmap.analysis.raster import kept_samples, samples_of
from riskmap.analysis.search import TravelTimes
from riskmap.errors import InputError
from riskmap.roads.graph import RoadGraph
from riskmap.units import UNREACHED

CELL_M: Final = 75.0
MAX_CELLS: Final = 4_000_000
MIN_CELL_M: Final = 10.0
WALK_MPS: Final = 1.4
OFF_ROAD_MAX_M: Final = 100.0

# The grid holds whole milliseconds: a level between two of them never equals a cell's value, which
# is what makes contours touch themselves.
_BETWEEN_MS: Final = 0.37
# A road counts for the three nearest centres at least: the third lies 1.12 cells away at most.
_OWN_CELLS: Final = 1.15


class Rings(NamedTuple):
    """An area by its rings; see `riskmap.analysis.contours.trace`.

    Attributes
    ----------
    xy : float64[v, 2]
        Metres of the graph's projection.
    first, owner : int32[r + 1], int32[r]
        Where each ring begins, and the outer ring it belongs to: itself, or a hole's.
    """

    xy: npt.NDArray[np.float64]
    first: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]

    @property
    def area_m2(self) -> float:
        """Area on the projection, square metres."""
        return float(enclosed(self.xy, self.first).sum())

    def shape(self) -> MultiPolygon:
        """Return the area as a shapely geometry, valid as it stands."""
        order = np.argsort(self.owner, kind="stable")
        if len(order) == 0:
            return MultiPolygon()
        sizes = np.diff(self.first)[order]
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        vertex = np.arange(bounds[-1]) + np.repeat(self.first[:-1][order] - bounds[:-1], sizes)
        outer = np.flatnonzero(self.owner[order] == order)
        parts = np.append(outer, len(order))
        polygons = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, self.xy[vertex], (bounds, parts)
        )
        return MultiPolygon(list(polygons))


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands of one search.

    Attributes
    ----------
    limits_ms
        Their limits, ascending.
    rings
        One area for each limit; each lies in the next. Every separate part and every hole is
        kept. Empty where nothing is reached.
    cell_m
        The cell used: the one asked for, or a coarser one for a very large reach.
    """

    limits_ms: tuple[int, ...]
    rings: tuple[Rings, ...]
    cell_m: float

    @cached_property
    def polygons(self) -> tuple[MultiPolygon, ...]:
        """The areas as shapely geometries, metres of the graph's projection."""
        return tuple(rings.shape() for rings in self.rings)


class Surface(NamedTuple):
    """A travel-time raster.

    Attributes
    ----------
    grid : int32[rows, columns]
        Whole milliseconds, `UNREACHED` where nothing is reached.
    x0, y0
        Centre of cell (0, 0), metres.
    cell_m
        Side of a cell.
    """

    grid: npt.NDArray[np.int32]
    x0: float
    y0: float
    cell_m: float


def bands(
    graph: RoadGraph,
    times: TravelTimes,
    limits_ms: Sequence[int],
    *,
    cell_m: float = CELL_M,
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
        How fast and how far time goes on beside a road where one can stop. No cell's centre lies
        farther from such a road than this, or than 1.15 cells: a road must show.
    max_cells
        The raster's size is held below this by a coarser cell.

    Raises
    ------
    InputError
        Limits that do not ascend, exceed the search or 37 hours, or a parameter not above 0.

    Notes
    -----
    All bands are contours of the same raster, so they nest. The raster's cells are aligned to the
    origin of the projection: the same roads give the same picture whatever the extent. Let the
    search go `riskmap.analysis.contours.HORIZON_MS` past the longest limit, and each band is the
    same alone, among others, and among longer ones.
    """
    limits = tuple(int(limit) for limit in limits_ms)
    if not limits or list(limits) != sorted(set(limits)) or limits[0] < 0:
        raise InputError("roads.bands", parameter="limits_ms", value=limits)
    if limits[-1] > times.limit_ms or limits[-1] >= BEYOND_MS:
        raise InputError("roads.bands", parameter="limits_ms", value=limits[-1])
    if not cell_m >= MIN_CELL_M:
        raise InputError("roads.bands", parameter="cell_m", value=cell_m)
    for name, value in (
        ("cell_m", cell_m),
        ("off_road_mps", off_road_mps),
        ("off_road_max_m", off_road_max_m),
    ):
        if not (math.isfinite(value) and value > 0):
            raise InputError("roads.bands", parameter=name, value=value)
    surface = travel_surface(
        graph,
        times,
        cell_m=cell_m,
        off_road_mps=off_road_mps,
        off_road_max_m=off_road_max_m,
        max_cells=max_cells,
    )
    return Bands(limits, contours(surface, limits), surface.cell_m)


def travel_surface(
    graph: RoadGraph,
    times: TravelTimes,
    *,
    cell_m: float,
    off_road_mps: float,
    off_road_max_m: float,
    max_cells: int,
) -> Surface:
    """Return the travel-time raster that `bands` draws; the parameters are the same."""
    wanted = times.entered_edges
    # Of the usual cell all roads' points are kept; for any other they are made for this drawing.
    kept = cell_m == CELL_M
    samples = kept_samples(graph, cell_m) if kept else samples_of(graph, cell_m, wanted)
    rows_of = wanted if kept else np.arange(len(wanted), dtype=np.int32)
    far = np.iinfo(np.int64).max
    bounds = np.array([far, far, -far, -far])
    survey: Any = (samples, rows_of, wanted, *times.entering, bounds)
    whole, partly = raster.survey(*survey)
    began = times.starts.found & (times.start_ms <= times.limit_ms)
    at_start = times.starts.xy[began]
    box = at_start if bounds[0] == far else np.vstack([bounds.reshape(2, 2) * cell_m, at_start])
    if not len(box):
        return Surface(np.full((2, 2), UNREACHED, dtype=np.int32), 0.0, 0.0, cell_m)
    low, high = box.min(axis=0), box.max(axis=0)
    cell = cell_m
    while True:
        reach_m = max(off_road_max_m, _OWN_CELLS * cell)
        # A frame of unreached cells closes the contours; a part may end a cell past the samples.
        pad = math.ceil(reach_m / cell) + 3
        first = np.floor(low / cell).astype(np.int64) - pad
        columns, rows = (np.ceil(high / cell).astype(np.int64) + pad + 2 - first).tolist()
        if rows * columns <= max_cells:
            break
        cell *= max(1.01, math.sqrt(rows * columns / max_cells))
        if columns <= 2 * pad + 5 and rows <= 2 * pad + 5:
            break
    if cell != cell_m:
        samples, rows_of = samples_of(graph, cell, wanted), np.arange(len(wanted), dtype=np.int32)
    x0, y0 = float(first[0] * cell), float(first[1] * cell)
    cells = np.full((rows, columns), raster.EMPTY)
    place = (cells, *first, reach_m)
    by_samples: Any = (*place, samples, rows_of, wanted, whole, *times.entering[:5])
    raster.stamp(*by_samples)
    parts = times.reached_edges(partly)
    by_parts: Any = (
        *place, cell, graph.xy, graph.offsets, graph.planar_m, graph.stops, *times.edge_ms,
        parts.edge, parts.fraction_start, parts.fraction_end, parts.ms_start, parts.ms_end,
    )  # fmt: skip
    raster.stamp_parts(*by_parts)
    grid, away_m = raster.apart(cells)
    # A start on a closed road, or where nobody else can stop, reaches its own place.
    column, row = np.floor((at_start - (x0, y0)) / cell + 0.5).astype(np.int64).T
    np.minimum.at(grid, (row, column), times.start_ms[began])
    raster.spread(grid, away_m, cell, off_road_mps, reach_m)
    return Surface(grid, x0, y0, cell)


def contours(surface: Surface, limits_ms: Sequence[int]) -> tuple[Rings, ...]:
    """Return the area at or below each limit, metres: valid by construction, also once rounded."""
    found = []
    for limit in limits_ms:
        xy, first, owner = trace(surface.grid, limit + _BETWEEN_MS)
        found.append(Rings(xy * surface.cell_m + (surface.x0, surface.y0), first, owner))
    return tuple(found)
