"""Areas that several starts reach: who is nearest, how many come; and bands without their cores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon

from riskmap.analysis.contours import trace
from riskmap.analysis.polygons import Rings, Surface, contours
from riskmap.analysis.response import Cutoff
from riskmap.analysis.scene import Scene, band_features
from riskmap.analysis.search import TravelTimes
from riskmap.analysis.starts import Starts
from riskmap.roads.snap import positions_on
from riskmap.units import UNREACHED


def rings_of(shape: shapely.Geometry) -> Rings:
    """Return the rings of a valid area: outer ones counter-clockwise."""
    parts = [
        part
        for part in shapely.get_parts(shapely.orient_polygons(shape))
        if part.geom_type == "Polygon" and part.area > 0
    ]
    rings: list[npt.NDArray[np.float64]] = []
    owner: list[int] = []
    for part in parts:
        outer = len(rings)
        for ring in (part.exterior, *part.interiors):
            rings.append(shapely.get_coordinates(ring))
            owner.append(outer)
    sizes = [len(ring) for ring in rings]
    return Rings(
        np.concatenate(rings) if rings else np.zeros((0, 2)),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        np.array(owner, dtype=np.int32),
    )


def without_the_one_before(rings: Sequence[Rings]) -> tuple[Rings, ...]:
    """Return what each area adds to the one before it; the first stays as it is."""
    shapes = [area.shape() for area in rings]
    # A centimetre: what is thinner between two borders that run together is no area.
    cut = [shapely.difference(wide, narrow, grid_size=0.01) for narrow, wide in pairwise(shapes)]
    return (rings[0], *(rings_of(shape) for shape in cut))


def nearest_features(scene: Scene, times: TravelTimes, starts: Starts) -> list[dict[str, Any]]:
    """Return for each start the bands of what it reaches before all others.

    Zones share their borders: every cell of the drawing belongs to the start that is first at the
    road nearest to it.
    """
    with scene.watch.stage("polygon"):
        surface = scene.surface(times)
        disks = [area.shape() for area in contours(surface, scene.limits_ms)]
        zone = _zones(scene, times, starts, surface)
    features: list[dict[str, Any]] = []
    arrivals = {name: found.first_arrival(times, times.limit_ms) for name, found in
                scene.anchors.items()}  # fmt: skip
    for start in range(len(starts)):
        mine = zone.get(start, MultiPolygon())
        areas = [rings_of(shapely.intersection(disk, mine, grid_size=0.01)) for disk in disks]
        if scene.query.cutoff is Cutoff.RINGS:
            areas = list(without_the_one_before(areas))
        own = {
            name: np.where((who >= 0) & (starts.start[np.maximum(who, 0)] == start), ms, UNREACHED)
            for name, (ms, who) in arrivals.items()
        }
        features += band_features(scene, areas, own, {"start": start})
    return features


def _zones(
    scene: Scene, times: TravelTimes, starts: Starts, surface: Surface
) -> dict[int, shapely.Geometry]:
    """Return the cells of each start as one area, from the winner of the nearest reached road."""
    parts = times.reached_edges()
    graph = scene.graph
    middle = (parts.fraction_start + parts.fraction_end) / 2
    usable = graph.stops[parts.edge]
    places = positions_on(graph, parts.edge[usable], middle[usable])
    winner = starts.start[np.maximum(times.source_at(places), 0)]
    rows, columns = np.nonzero(surface.grid != UNREACHED)
    centres = np.column_stack(
        [surface.x0 + columns * surface.cell_m, surface.y0 + rows * surface.cell_m]
    )
    if not len(centres) or not len(places):
        return {}
    tree = shapely.STRtree([shapely.Point(*place) for place in places.xy])
    nearest = winner[tree.nearest(shapely.points(centres))]
    half = surface.cell_m / 2
    boxes = np.asarray(shapely.box(*(centres - half).T, *(centres + half).T), dtype=object)
    return {
        int(start): shapely.union_all(boxes[nearest == start], grid_size=0.01)
        for start in np.unique(nearest)
    }


def count_features(scene: Scene, each: Sequence[TravelTimes]) -> list[dict[str, Any]]:
    """Return for each band the areas that at least 1, 2, … starts reach within it.

    Every answer counts what as many starts reach: the n-th arrival decides.
    """
    with scene.watch.stage("polygon"):
        surfaces = [scene.surface(times) for times in each]
        cell_m = max(surface.cell_m for surface in surfaces)
        if any(surface.cell_m != cell_m for surface in surfaces):
            surfaces = [scene.surface(times, cell_m) for times in each]
        stack, x0, y0 = _stacked(surfaces)
    arrivals = {
        name: np.sort(np.stack([found.arrival_ms(times) for times in each]), axis=0)
        for name, found in scene.anchors.items()
    }
    features: list[dict[str, Any]] = []
    for n in range(1, len(each) + 1):
        areas = []
        for limit in scene.limits_ms:
            reaching = (stack <= limit).sum(axis=0).astype(np.int32)
            # Marching squares takes what is at or below a level: n starts are "-n or less".
            xy, first, owner = trace(-reaching, -n + 0.5)
            areas.append(Rings(xy * surfaces[0].cell_m + (x0, y0), first, owner))
        if all(len(area.owner) == 0 for area in areas):
            break
        nth = {name: ms[n - 1] for name, ms in arrivals.items()}
        features += band_features(scene, areas, nth, {"at_least": n})
    return features


def _stacked(surfaces: Sequence[Surface]) -> tuple[npt.NDArray[np.int32], float, float]:
    """Put rasters of one cell size on one grid, int32[k, rows, columns], and say where it lies."""
    cell = surfaces[0].cell_m
    low = np.array([[round(s.x0 / cell), round(s.y0 / cell)] for s in surfaces])
    high = low + [[s.grid.shape[1], s.grid.shape[0]] for s in surfaces]
    first, size = low.min(axis=0), high.max(axis=0) - low.min(axis=0)
    stack = np.full((len(surfaces), int(size[1]), int(size[0])), UNREACHED, dtype=np.int32)
    for plane, surface, (x, y) in zip(stack, surfaces, low - first, strict=True):
        rows, columns = surface.grid.shape
        plane[y : y + rows, x : x + columns] = surface.grid
    return stack, float(first[0] * cell), float(first[1] * cell)
