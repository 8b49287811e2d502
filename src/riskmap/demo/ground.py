"""What the demo city stands on: the shapes that its terrain, divisions, people and roads take.

Everything is in metres of `SRID`, x east and y north; files and database get degrees. Rasters are
`[row, column]` arrays, row 0 in the south. One `numpy.random.Generator` for each part, derived from
the seed and the part's name, so that a change of one part leaves the others as they are.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from shapely.geometry import LineString, MultiPolygon, Polygon

from riskmap.units import Bbox

# Open water of the Yellow Sea: nobody can take the demo for a place that exists.
BOX: Final = Bbox(122.35, 34.55, 123.65, 35.55)
# CGCS2000, 3 degrees, central meridian 123 E.
SRID: Final = 4550
NAME: Final = "演示市"
NAME_EN: Final = "Demo City"
TIME_ZONE: Final = "Asia/Shanghai"
# Stands in every feature's source_system, and data_quality says `synthetic`.
SOURCE_SYSTEM: Final = "demo"
SEED: Final = 20261122

Floats = npt.NDArray[np.float64]


def random_of(seed: int, part: str) -> np.random.Generator:
    """Return the random numbers of one part of the city."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


@dataclass(frozen=True, slots=True)
class Grid:
    """The raster that terrain and density are sampled on; `west_m, south_m` is its corner."""

    west_m: float
    south_m: float
    cell_m: float
    columns: int
    rows: int

    def centres(self) -> tuple[Floats, Floats]:
        """Return x[columns] and y[rows] of the cells' centres."""
        x = self.west_m + (np.arange(self.columns, dtype=np.float64) + 0.5) * self.cell_m
        y = self.south_m + (np.arange(self.rows, dtype=np.float64) + 0.5) * self.cell_m
        return x, y

    def cell_of(self, xy: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return row and column of the cell that holds each point [n, 2], clamped to the grid."""
        column = np.floor((xy[..., 0] - self.west_m) / self.cell_m).astype(np.int64)
        row = np.floor((xy[..., 1] - self.south_m) / self.cell_m).astype(np.int64)
        return np.clip(row, 0, self.rows - 1), np.clip(column, 0, self.columns - 1)

    def sample(self, raster: npt.NDArray[Any], xy: Floats) -> npt.NDArray[Any]:
        """Return the raster's value in the cell of each point [n, 2]."""
        row, column = self.cell_of(xy)
        return raster[row, column]


@dataclass(frozen=True, slots=True)
class Division:
    """A district, street or community; a street's shape is the union of its communities'."""

    code: str
    parent_code: str | None
    level: str
    name: str
    name_en: str
    shape: Polygon | MultiPolygon
    population: int
    urban: bool
    is_functional_zone: bool = False


@dataclass(frozen=True, slots=True)
class River:
    """A river from its source to its mouth."""

    name: str
    name_en: str
    line: LineString
    width_m: float
    catchment_km2: float


@dataclass(frozen=True, slots=True)
class Cover:
    """A shape of the base map; `cover_class` is a value of the layer's field of that name."""

    cover_class: str
    name: str
    name_en: str
    shape: Polygon | MultiPolygon


@dataclass(frozen=True, slots=True)
class Park:
    """An industrial park. `kind`: chemical, port or general."""

    name: str
    name_en: str
    kind: str
    district_code: str
    shape: Polygon


@dataclass(frozen=True, eq=False)
class Terrain:
    """Land and water.

    Attributes
    ----------
    elevation_m : float64[rows, columns]
        At or below 0 in the sea.
    slope : float64[rows, columns]
        Rise over run, 0 in water.
    land : bool[rows, columns]
        Neither sea, lake nor reservoir; the river's bed counts as land.
    river_m : float64[rows, columns]
        Metres to the nearest river's line.
    """

    grid: Grid
    elevation_m: Floats
    slope: Floats
    land: npt.NDArray[np.bool_]
    river_m: Floats
    rivers: tuple[River, ...]
    cover: tuple[Cover, ...]
    land_shape: MultiPolygon
    # The island that no bridge reaches, and the one that a ferry serves.
    lonely_island: Polygon
    ferry_island: Polygon
    # The middle of the bay: the old town and the port lie around it.
    harbour: tuple[float, float]


@dataclass(frozen=True, eq=False)
class People:
    """Where people live and work.

    Attributes
    ----------
    density : float64[rows, columns]
        Residents per km², on the terrain's grid.
    cell_xy : float64[n, 2]
        Centres of the populated cells.
    cell_people : int64[n]
        Residents of each, all above 0; they add up to the city.
    cell_m
        Edge of a cell.
    """

    density: Floats
    cell_xy: Floats
    cell_people: npt.NDArray[np.int64]
    cell_m: float
    parks: tuple[Park, ...]
    divisions: tuple[Division, ...]
    # Built-up ground, green parks and industrial parks, to be drawn above the terrain's.
    cover: tuple[Cover, ...]

    def of_level(self, level: str) -> list[Division]:
        """Return the divisions of a level, in the order of their codes."""
        return [division for division in self.divisions if division.level == level]


@dataclass(frozen=True, slots=True)
class Way:
    """A way as OpenStreetMap has it: its nodes in order, and tags. Ways meet at shared nodes."""

    nodes: tuple[int, ...]
    tags: dict[str, str]


@dataclass(frozen=True, eq=False)
class Streets:
    """The road network. `node_xy` is float64[n, 2]; node i has OSM id i + 1."""

    node_xy: Floats
    ways: tuple[Way, ...]


@dataclass(frozen=True, eq=False)
class Ground:
    """The whole ground of one seed."""

    seed: int
    terrain: Terrain
    people: People
    streets: Streets
