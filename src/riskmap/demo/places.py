"""Where a feature can stand: questions that all layers ask of the ground, and how places are named.

A `Feature` holds its shape in metres of the ground; files turn it into degrees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Division, Floats, Ground, random_of

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

# Still water, and the river's bed: nothing stands in them.
WATER: Final = ("sea", "lake", "reservoir")
# Roads that a vehicle may use, by the first word of OSM's class.
DRIVABLE: Final = (
    "motorway",
    "trunk",
    "primary",
    "secondary",
    "tertiary",
    "unclassified",
    "residential",
    "living_street",
    "service",
)
_STEMS: Final = ("社区", "街道", "新区", "村", "镇", "乡", "区", "县", "市")


@dataclass(slots=True)
class Feature:
    """A feature of a layer: its shape in metres, its fields without those that are null."""

    shape: BaseGeometry
    properties: dict[str, Any]


Layers = dict[str, list[Feature]]


def stem(name: str) -> str:
    """Return a division's Chinese name without the word for its kind."""
    for ending in _STEMS:
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name.removesuffix(ending)
    return name


def stem_en(name: str) -> str:
    """Return a division's English name without the word for its kind, its last."""
    head, _, tail = name.rpartition(" ")
    return head or tail


def day_of(rng: np.random.Generator, first: str = "2026-01-05", days: int = 310) -> str:
    """Return a day: of the demo's year, 2026, where nothing else is asked for."""
    return (date.fromisoformat(first) + timedelta(days=int(rng.integers(days)))).isoformat()


def pick(rng: np.random.Generator, shares: dict[Any, float]) -> Any:
    """Return a key by its share; the key None says that nothing is known."""
    keys = list(shares)
    weights = np.array(list(shares.values()))
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def points_of(features: Iterable[Feature]) -> Floats:
    """Return the coordinates of features that are points."""
    return shapely.get_coordinates([feature.shape for feature in features])


def polygons_of(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Return the polygons in a shape, the largest first."""
    parts = [
        part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0
    ]
    return sorted(parts, key=lambda part: -part.area)


def lines_of(shape: BaseGeometry) -> list[shapely.LineString]:
    """Return the lines in a shape, the longest first."""
    parts = [
        part
        for part in shapely.get_parts(shape)
        if part.geom_type == "LineString" and part.length > 0
    ]
    return sorted(parts, key=lambda part: -part.length)


def tiles_of(shape: BaseGeometry, most_points: int = 256) -> list[BaseGeometry]:
    """Halve a shape until each part has few points: a tree of such parts answers quickly."""
    if shape.is_empty or shapely.get_num_coordinates(shape) <= most_points:
        return [] if shape.is_empty else [shape]
    west, south, east, north = shape.bounds
    if east - west > north - south:
        middle = (west + east) / 2
        boxes = ((west, south, middle, north), (middle, south, east, north))
    else:
        middle = (south + north) / 2
        boxes = ((west, south, east, middle), (west, middle, east, north))
    return [
        part for box in boxes for part in tiles_of(shapely.clip_by_rect(shape, *box), most_points)
    ]


def blob(
    line: Floats, rng: np.random.Generator, half_width_m: tuple[float, float], step_m: float
) -> shapely.Polygon:
    """Return an irregular smooth outline along a line: circles whose radius wanders."""
    path = shapely.LineString(line)
    count = max(3, int(path.length / step_m) + 1)
    at = shapely.line_interpolate_point(path, np.linspace(0, 1, count), normalized=True)
    walk = np.cumsum(rng.normal(0, 0.35, count))
    share = (np.sin(walk + rng.uniform(0, 6)) + 1) / 2
    low, high = half_width_m
    round_m = low * 0.8
    joined = shapely.union_all(
        [
            *shapely.buffer(at, low + (high - low) * share, quad_segs=3),
            path.buffer(low, quad_segs=2),
        ]
    )
    smooth = joined.simplify(low / 14).buffer(round_m, quad_segs=3)
    smooth = smooth.buffer(-1.6 * round_m, quad_segs=3).buffer(0.6 * round_m, quad_segs=3)
    return polygons_of(smooth.simplify(low / 8))[0]


@dataclass(frozen=True, eq=False)
class Roadside:
    """The segments of roads: start, end, class word and length of each."""

    start: Floats
    end: Floats
    road_class: npt.NDArray[np.str_]
    name: npt.NDArray[np.str_]
    way: Indices

    @cached_property
    def length_m(self) -> Floats:
        """Length of each segment."""
        return np.asarray(np.hypot(*(self.end - self.start).T))

    @cached_property
    def tree(self) -> shapely.STRtree:
        """The segments as lines, to find the nearest."""
        lines = shapely.linestrings(np.stack([self.start, self.end], axis=1))
        return shapely.STRtree(np.asarray(lines))

    def distance_m(self, xy: Floats) -> Floats:
        """Return how far each place is from the nearest segment."""
        _, metres = self.tree.query_nearest(
            shapely.points(xy), return_distance=True, all_matches=False
        )
        return np.asarray(metres, dtype=np.float64)

    def beside(
        self, rng: np.random.Generator, count: int, weight: Floats, offset_m: tuple[float, float]
    ) -> Floats:
        """Draw places beside segments, by weight times length."""
        share = weight * self.length_m
        row = rng.choice(len(share), size=count, p=share / share.sum())
        along = self.end[row] - self.start[row]
        at = self.start[row] + along * rng.random((count, 1))
        across = np.column_stack([-along[:, 1], along[:, 0]])
        across /= np.maximum(np.hypot(*across.T), 1e-6)[:, None]
        side = rng.choice([-1.0, 1.0], size=count) * rng.uniform(*offset_m, size=count)
        return np.asarray(at + across * side[:, None])


class Places:
    """The ground of one seed with what is needed to place features on it."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.terrain = ground.terrain
        self.people = ground.people
        self.grid = ground.terrain.grid
        self.communities = ground.people.of_level("community")
        self.streets = ground.people.of_level("street")
        self.districts = ground.people.of_level("district")
        self._community_tree = shapely.STRtree([unit.shape for unit in self.communities])
        self._street_tree = shapely.STRtree([unit.shape for unit in self.streets])
        self._by_code = {unit.code: unit for unit in ground.people.divisions}
        covers = ground.terrain.cover
        water = [part for c in covers if c.cover_class in WATER for part in tiles_of(c.shape)]
        rivers = [part for c in covers if c.cover_class == "river" for part in tiles_of(c.shape)]
        self._water = shapely.STRtree(water)
        self._wet = shapely.STRtree([*water, *rivers])
        self._cells = shapely.STRtree(self.cell_boxes)

    def random(self, part: str) -> np.random.Generator:
        """Return the random numbers of one layer."""
        return random_of(self.ground.seed, part)

    @cached_property
    def cell_boxes(self) -> npt.NDArray[np.object_]:
        """The populated cells as squares."""
        half = self.people.cell_m / 2
        x, y = self.people.cell_xy.T
        return np.asarray(shapely.box(x - half, y - half, x + half, y + half))

    @cached_property
    def roadside(self) -> Roadside:
        """The segments that a vehicle may use."""
        node_xy = self.ground.streets.node_xy
        starts: list[int] = []
        ends: list[int] = []
        classes: list[str] = []
        names: list[str] = []
        numbers: list[int] = []
        for number, way in enumerate(self.ground.streets.ways):
            word = way.tags.get("highway", "").removesuffix("_link")
            if word not in DRIVABLE or "tunnel" in way.tags or "bridge" in way.tags:
                continue
            starts += way.nodes[:-1]
            ends += way.nodes[1:]
            edges = len(way.nodes) - 1
            classes += [word] * edges
            names += [way.tags.get("name", "")] * edges
            numbers += [number] * edges
        start = node_xy[np.array(starts, dtype=np.int64)]
        end = node_xy[np.array(ends, dtype=np.int64)]
        return Roadside(start, end, np.array(classes), np.array(names), np.array(numbers))

    @cached_property
    def road_usable(self) -> Mask:
        """Whether the middle of each segment is dry and in a community."""
        return self.usable((self.roadside.start + self.roadside.end) / 2)

    def road_weight(self, shares: dict[str, float], power: float = 0.0) -> Floats:
        """Weigh segments by class, and by the density of people around their middle."""
        roads = self.roadside
        weight = np.zeros(len(roads.road_class))
        for word, share in shares.items():
            weight[roads.road_class == word] = share
        if power:
            density = self.density_at((roads.start + roads.end) / 2)
            weight = weight * np.power(density + 5.0, power)
        return np.asarray(weight)

    def slope_at(self, xy: Floats) -> Floats:
        """Return rise over run."""
        return self.grid.sample(self.terrain.slope, xy)

    def density_at(self, xy: Floats) -> Floats:
        """Return residents per km²."""
        return self.grid.sample(self.people.density, xy)

    def community_at(self, xy: Floats) -> Indices:
        """Return the row of the community that holds each place, -1 for none."""
        found = np.full(len(xy), -1, dtype=np.int64)
        place, unit = self._community_tree.query(shapely.points(xy), predicate="intersects")
        # The last write counts: backwards, a place on a boundary goes to the first of its two.
        found[place[::-1]] = unit[::-1]
        return found

    def dry(self, xy: Floats) -> Mask:
        """Say which places are on land, by raster and by shapes, and outside the rivers."""
        found = np.asarray(self.grid.sample(self.terrain.land, xy), dtype=bool).copy()
        place, _ = self._wet.query(shapely.points(xy), predicate="intersects")
        found[place] = False
        return found

    def meets_water(self, shape: BaseGeometry) -> bool:
        """Say whether a shape meets the sea, a lake or a river."""
        return bool(len(self._wet.query(shape, predicate="intersects")))

    def usable(self, xy: Floats) -> Mask:
        """Say which places are dry and in a community."""
        return np.asarray(self.dry(xy) & (self.community_at(xy) >= 0))

    def draw(self, rng: np.random.Generator, weight: Floats, count: int) -> Floats:
        """Draw places on the terrain's grid by weight, each cell once, in the order of the draw.

        Raises
        ------
        ValueError
            The ground has fewer such places.
        """
        flat = np.flatnonzero(weight.ravel() > 0)
        # Weighted sampling without replacement: the smallest of exponentials over weights.
        keys = rng.standard_exponential(len(flat)) / weight.ravel()[flat]
        take = min(len(flat), 2 * count + 50)
        best = np.argpartition(keys, take - 1)[:take]
        cells = flat[best[np.argsort(keys[best], kind="stable")]]
        row, column = np.divmod(cells, self.grid.columns)
        jitter = rng.random((take, 2))
        xy = np.column_stack([column, row]) + jitter
        xy = xy * self.grid.cell_m + [self.grid.west_m, self.grid.south_m]
        xy = xy[self.usable(xy)][:count]
        if len(xy) < count:
            raise ValueError(f"the ground has {len(xy)} places of a kind, {count} are needed")
        return np.asarray(xy)

    def draw_roadside(
        self,
        rng: np.random.Generator,
        weight: Floats,
        count: int,
        offset_m: tuple[float, float] = (15.0, 60.0),
        slope: float = 0.35,
    ) -> Floats:
        """Draw dry places beside roads, on ground no steeper than a slope.

        Raises
        ------
        ValueError
            The ground has fewer such places.
        """
        xy = self.roadside.beside(rng, 3 * count + 60, weight, offset_m)
        xy = xy[self.usable(xy) & (self.slope_at(xy) <= slope)][:count]
        if len(xy) < count:
            raise ValueError(f"{len(xy)} roadside places of a kind, {count} are needed")
        return xy

    def near_people(self, radius_m: float) -> Floats:
        """Return for each cell of the grid the mean density in a square of 2 radius_m."""
        return box_mean(self.people.density, max(1, round(radius_m / self.grid.cell_m)))

    def near_roads(self, radius_m: float) -> Mask:
        """Say for each cell of the grid whether a road comes about that near."""
        roads = self.roadside
        hit = np.zeros((self.grid.rows, self.grid.columns))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            row, column = self.grid.cell_of(roads.start + (roads.end - roads.start) * share)
            hit[row, column] = 1.0
        near = box_mean(hit, max(1, round(radius_m / self.grid.cell_m)))
        return np.asarray(near > 1e-9)

    def persons_in(self, shapes: Sequence[BaseGeometry]) -> Indices:
        """Count residents: of each cell the share whose area the shape takes, rounded."""
        array = np.array(shapes, dtype=object)
        row, cell = self._cells.query(array, predicate="intersects")
        part = shapely.area(shapely.intersection(array[row], self.cell_boxes[cell]))
        share = part / self.people.cell_m**2 * self.people.cell_people[cell]
        return np.rint(np.bincount(row, share, minlength=len(array))).astype(np.int64)

    def unit(self, code: str) -> Division:
        """Return a division by its code."""
        return self._by_code[code]

    def community_of(self, shape: BaseGeometry) -> Division:
        """Return the community of a shape's inner point, or the nearest to it."""
        point = shape if shape.geom_type == "Point" else shapely.point_on_surface(shape)
        return self.communities[int(self._community_tree.nearest(point))]

    def admin_code(self, shape: BaseGeometry) -> str:
        """Return the code of the smallest division that a shape mostly lies in.

        The community for what lies in one, else the street, else the district.
        """
        community = self.community_of(shape)
        if shape.geom_type == "Point":
            return community.code
        size = shape.area or shape.length
        for code in (community.code, community.parent_code):
            if code is not None:
                inside = shapely.intersection(shape, self._by_code[code].shape)
                if (inside.area or inside.length) > 0.6 * size:
                    return code
        return community.code[:6]

    def free_of_water(self, shape: BaseGeometry) -> BaseGeometry:
        """Return what of a shape is neither sea nor lake."""
        rows = np.sort(self._water.query(shape, predicate="intersects"))
        if not len(rows):
            return shape
        return shapely.difference(shape, shapely.union_all(self._water.geometries[rows]))


def box_mean(raster: Floats, half: int) -> Floats:
    """Return the mean of a raster over squares of 2 half + 1 cells, its edge repeated."""
    size = 2 * half + 1
    padded = np.pad(raster, half, mode="edge")
    sums = np.zeros((padded.shape[0] + 1, padded.shape[1] + 1))
    sums[1:, 1:] = padded.cumsum(0).cumsum(1)
    total = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return np.asarray(total / size**2)


def write_common(
    properties: dict[str, Any],
    rng: np.random.Generator,
    *,
    department: str,
    admin_code: str | None,
    responsible: float = 0.0,
) -> dict[str, Any]:
    """Add what every layer has. `responsible` is the share of rows that name a (fake) person."""
    properties |= {
        "status": "active",
        "data_quality": "synthetic",
        "department": department,
        "surveyed_at": day_of(rng),
    }
    if admin_code is not None:
        properties["admin_code"] = admin_code
    if rng.random() < responsible:
        number = int(rng.integers(1, 100))
        properties["responsible_person"] = f"演示人员{number:02d}"
        properties["responsible_phone"] = f"000-0000-{number:04d}"
    return properties


def numbered(prefix: str, features: Iterable[Feature], width: int = 6) -> list[Feature]:
    """Give features their codes, in order from 1."""
    found = list(features)
    for number, feature in enumerate(found, 1):
        feature.properties["code"] = f"{prefix}-{number:0{width}d}"
    return found


def rank_levels(
    rng: np.random.Generator,
    score: Floats,
    shares: tuple[float, float, float, float],
    unknown: float,
) -> list[int | None]:
    """Turn scores into risk levels 1 to 4 by their ranks; a share of rows is not assessed yet."""
    order = np.argsort(-score, kind="stable")
    ends = np.cumsum(shares) / sum(shares) * len(score)
    level = np.empty(len(score), dtype=np.int64)
    level[order] = np.searchsorted(ends, np.arange(len(score)) + 0.5) + 1
    known = rng.random(len(score)) >= unknown
    return [int(one) if there else None for one, there in zip(level, known, strict=True)]
