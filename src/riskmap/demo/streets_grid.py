"""Residential streets: block by block where people live, turned with the roads around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats, Grid, People
from riskmap.demo.streets_lines import Line
from riskmap.demo.streets_route import Ints

Bools = npt.NDArray[np.bool_]

# Every street, every second and every fourth one is built from these densities (people/km²) on.
_BUILT: Final = ((8000.0, 1), (2600.0, 2), (500.0, 4))
# Faces of the road network up to this size lie along their own longest side.
_OWN_TURN_M2: Final = 14e6
# Streets turn with their place this far around it.
_PLACE_M: Final = 2400.0
# A street reaches over the road it ends at, so that they surely meet; the rest is trimmed.
_REACH_M: Final = 16.0
# Widest and narrowest blocks that the wanted number of edges may lead to.
_BLOCK_M: Final = (95.0, 300.0)


@dataclass(eq=False)
class Site:
    """What streets must keep to."""

    wet: BaseGeometry
    # Arterial roads as single pieces, for distances.
    roads: Floats
    motorways: BaseGeometry
    grid: Grid
    density: Floats
    near_water: Bools


def block_m(people: People, grid: Grid, wanted_edges: float) -> float:
    """Return the block edge with which the streets come to about this many edges."""
    cell_km2 = grid.cell_m**2 / 1e6
    # A lattice of spacing s has 2/s² edges per km².
    sum_of = sum(
        2.0
        / every**2
        * cell_km2
        * float(((people.density >= least) & (people.density < top)).sum())
        for (least, every), top in zip(_BUILT, (np.inf, _BUILT[0][0], _BUILT[1][0]), strict=True)
    )
    return float(np.clip(1000.0 * np.sqrt(sum_of / wanted_edges), *_BLOCK_M))


def street_grids(
    site: Site,
    faces: list[shapely.Polygon],
    centres: Floats,
    spacing_m: float,
    rng: np.random.Generator,
) -> list[Line]:
    """Fill faces of the road network with streets.

    Parameters
    ----------
    faces
        Pieces of land between arterial roads.
    centres
        Places; each turns the streets around it its own way where the face is too large to.
    """
    lines: list[Line] = []
    turns = rng.uniform(0.0, np.pi / 2.0, size=len(centres))
    tree = shapely.STRtree(np.asarray(shapely.points(centres)))
    road_tree = shapely.STRtree(np.asarray(shapely.linestrings(site.roads)))
    for face in faces:
        seed = rng.integers(1 << 62)
        own = np.random.default_rng(seed)
        if face.area <= _OWN_TURN_M2:
            lines += _fill(site, face, _turn_of(face), spacing_m, own, road_tree)
            continue
        rest: BaseGeometry = face
        # Places stand on the roads that bound the face: what counts is how near they are.
        for k in sorted(tree.query(face, predicate="dwithin", distance=_PLACE_M).tolist()):
            disc = shapely.Point(centres[k]).buffer(_PLACE_M, quad_segs=4)
            part: BaseGeometry = shapely.intersection(disc, face)
            # Where the next place is nearer, its streets run.
            near = tree.query(shapely.Point(centres[k]), predicate="dwithin", distance=2 * _PLACE_M)
            for other in sorted(near.tolist()):
                if other != k:
                    part = shapely.intersection(part, _nearer(centres[k], centres[other]))
            for piece in _pieces(part):
                lines += _fill(site, piece, float(turns[k]), spacing_m, own, road_tree)
            rest = shapely.difference(rest, disc)
        for square in _squares(rest):
            for piece in _pieces(shapely.intersection(rest, square)):
                lines += _fill(site, piece, _turn_of(piece), spacing_m, own, road_tree)
    return lines


def _pieces(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Return the parts of a shape that have room for streets."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return [part for part in parts if part.area > 1e5]


def _squares(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Return squares of two places' width that cover a shape."""
    if shape.is_empty:
        return []
    side = 2 * _PLACE_M
    west, south, east, north = np.floor_divide(shape.bounds, side).astype(int).tolist()
    return [
        shapely.box(column * side, row * side, (column + 1) * side, (row + 1) * side)
        for row in range(south, north + 1)
        for column in range(west, east + 1)
    ]


def _nearer(here: Floats, there: Floats) -> shapely.Polygon:
    """Return the 12 km square on the side of a place, up to half the way to another."""
    ahead = (there - here) / np.hypot(*(there - here))
    side = np.array([-ahead[1], ahead[0]])
    middle = (here + there) / 2.0
    corners = [middle + 6e3 * side, middle - 6e3 * side]
    return shapely.Polygon([*corners, *(c - 12e3 * ahead for c in corners[::-1])])


def _turn_of(face: shapely.Polygon) -> float:
    """Return the direction of the longest side of the narrowest box around a face."""
    corner = shapely.get_coordinates(shapely.minimum_rotated_rectangle(face))
    sides = np.diff(corner[:3], axis=0)
    longest = sides[int(np.argmax(np.hypot(*sides.T)))]
    return float(np.arctan2(longest[1], longest[0]))


def _fill(
    site: Site,
    face: shapely.Polygon,
    turn: float,
    spacing_m: float,
    rng: np.random.Generator,
    road_tree: shapely.STRtree,
) -> list[Line]:
    west, south, east, north = face.bounds
    row, column = site.grid.cell_of(np.array([[west, south], [east, north]]))
    patch = site.density[row[0] : row[1] + 1, column[0] : column[1] + 1]
    if patch.size == 0 or patch.max() < _BUILT[-1][0]:
        return []
    u, v = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    origin = np.array([(west + east) / 2.0, (south + north) / 2.0])
    half = int(np.hypot(east - west, north - south) / 2.0 / spacing_m) + 2
    count = 2 * half + 1
    # Blocks are not square, and no two are alike: uneven rows, a slow bend, a little noise.
    row_m = np.cumsum(rng.uniform(0.75, 1.25, size=count)) * spacing_m * rng.uniform(0.85, 1.0)
    col_m = np.cumsum(rng.uniform(0.75, 1.25, size=count)) * spacing_m * rng.uniform(1.0, 1.2)
    p = (row_m - row_m[half])[:, None] + np.zeros(count)
    q = (col_m - col_m[half])[None, :] + np.zeros((count, 1))
    bend = 2.0 * np.pi / (14.0 * spacing_m)
    p, q = (
        p + 0.5 * spacing_m * np.sin(bend * q + rng.uniform(0, 6)) + rng.normal(0, 5.0, p.shape),
        q + 0.5 * spacing_m * np.sin(bend * p + rng.uniform(0, 6)) + rng.normal(0, 5.0, q.shape),
    )
    xy = origin + p[..., None] * u + q[..., None] * v
    shapely.prepare(face)
    inside = shapely.contains_xy(face, xy[..., 0], xy[..., 1])
    if not inside.any():
        return []
    phase = int(rng.integers(4))
    lines: list[Line] = []
    style = rng.random((2, count, 6))
    segments: list[Floats] = []
    where: list[Ints] = []
    for axis in (0, 1):
        grid_xy, grid_in = (xy, inside) if axis == 0 else (xy.transpose(1, 0, 2), inside.T)
        a, b = grid_xy[:, :-1], grid_xy[:, 1:]
        in_a, in_b = grid_in[:, :-1], grid_in[:, 1:]
        i, j = np.nonzero(in_a | in_b)
        segments.append(np.stack([a[i, j], b[i, j]], axis=1))
        where.append(
            np.column_stack([np.full(len(i), axis), i, j, in_a[i, j].astype(int), in_b[i, j]])
        )
    seg, at = np.concatenate(segments), np.concatenate(where)
    keep = _kept(site, seg, at, spacing_m, phase, rng, road_tree)
    seg, at = seg[keep], at[keep]
    seg = _reached_over(face, seg, at)
    row_key = at[:, 0] * count + at[:, 1]
    cuts = np.flatnonzero((row_key[1:] != row_key[:-1]) | (at[1:, 2] != at[:-1, 2] + 1)) + 1
    for run in np.split(np.arange(len(seg)), cuts):
        if len(run):
            axis, index = int(at[run[0], 0]), int(at[run[0], 1])
            course = np.concatenate([seg[run, 0], seg[run[-1:], 1]])
            density = float(site.grid.sample(site.density, course).mean())
            lines.append(_street(course, (index + phase) % 12, style[axis, index], density))
    return lines


def _kept(
    site: Site,
    seg: Floats,
    at: Ints,
    spacing_m: float,
    phase: int,
    rng: np.random.Generator,
    road_tree: shapely.STRtree,
) -> Bools:
    """Choose the pieces that are built."""
    middle = seg.mean(axis=1)
    density = site.grid.sample(site.density, middle)
    index = at[:, 1] + phase
    keep = np.zeros(len(seg), dtype=bool)
    for least, every in _BUILT:
        keep |= (density >= least) & (index % every == 0)
    # Missing blocks; the streets that carry the traffic of the quarter are all there.
    keep &= (rng.random(len(seg)) > 0.09) | (index % 4 == 0)
    # No street runs along an arterial road a few steps from it.
    inner = np.flatnonzero(keep & (at[:, 3] == 1) & (at[:, 4] == 1))
    shapes = shapely.points(middle[inner])
    mine, road = road_tree.query(shapes, predicate="dwithin", distance=0.3 * spacing_m)
    ahead = seg[inner[mine], 1] - seg[inner[mine], 0]
    along = site.roads[road, 1] - site.roads[road, 0]
    cosine = np.abs((ahead * along).sum(axis=1)) / np.maximum(
        np.hypot(*ahead.T) * np.hypot(*along.T), 1e-9
    )
    keep[inner[mine[cosine > 0.8]]] = False
    near = np.flatnonzero(keep)
    near = near[site.grid.sample(site.near_water, middle[near])]
    keep[near[shapely.intersects(site.wet, shapely.linestrings(seg[near]))]] = False
    # Only a quarter's main streets pass under a motorway.
    near = np.flatnonzero(keep & (index % 4 != 0))
    keep[near[shapely.intersects(site.motorways, shapely.linestrings(seg[near]))]] = False
    return keep


def _reached_over(face: shapely.Polygon, seg: Floats, at: Ints) -> Floats:
    """Cut pieces that leave the face `_REACH_M` beyond its edge."""
    seg = seg.copy()
    out = np.flatnonzero((at[:, 3] == 0) | (at[:, 4] == 0))
    edge = np.asarray(shapely.intersection(shapely.linestrings(seg[out]), face.exterior))
    for k, crossing in zip(out.tolist(), edge, strict=True):
        points = shapely.get_coordinates(crossing)
        inner, outer = (0, 1) if at[k, 3] else (1, 0)
        if len(points) == 0:
            continue
        away = np.hypot(*(points - seg[k, inner]).T)
        stop = points[int(np.argmin(away))]
        step = stop - seg[k, inner]
        length = max(float(np.hypot(*step)), 1.0)
        seg[k, outer] = seg[k, inner] + step * (1.0 + _REACH_M / length)
    return seg


def _street(xy: Floats, index: int, style: Floats, density: float) -> Line:
    """Return a street as what its place in the quarter makes it."""
    dense = density > _BUILT[1][0]
    if index == 0 and dense and len(xy) > 4:
        return Line(xy, "tertiary")
    if index % 4 == 0:
        return Line(xy, "unclassified" if not dense and style[0] < 0.4 else "residential")
    tags: dict[str, str] = {}
    if style[0] < 0.07:
        return Line(xy, "living_street", {"maxspeed": "20"} if style[1] < 0.5 else {})
    if style[0] < 0.12:
        return Line(xy, "service", {"access": "private"} if style[1] < 0.4 else {})
    if style[0] < 0.16:
        return Line(xy, "residential", {"access": "destination" if style[1] < 0.7 else "private"})
    if dense and style[2] < 0.16:
        tags["oneway"] = "yes"
        if style[3] < 0.5:
            xy = xy[::-1].copy()
    if style[4] < 0.12:
        tags["maxspeed"] = "30"
    return Line(xy, "residential", tags)
