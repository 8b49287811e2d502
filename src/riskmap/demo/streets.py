"""The road network of the demo city, from motorways to footpaths."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely

from riskmap.demo.ground import Floats, People, Streets, Terrain, random_of
from riskmap.demo.streets_course import courses, smooth
from riskmap.demo.streets_grid import Site, block_m, street_grids
from riskmap.demo.streets_join import as_ways, meet, tidy
from riskmap.demo.streets_lines import Line, along, at, merged, raise_spans, spans_inside
from riskmap.demo.streets_motorway import carriageways, interchanges, lift, plan_motorways
from riskmap.demo.streets_names import Names
from riskmap.demo.streets_paths import (
    draw_ports,
    ferry,
    hill_paths,
    park_paths,
    service_roads,
    street_life,
)
from riskmap.demo.streets_plan import UNCLASSIFIED, Plan, make_plan
from riskmap.demo.streets_route import grown, route_grid

# Edges that the residential streets are to come to; the roads above and the paths add the rest.
_STREET_EDGES: Final = 39_000.0
# Steeper than this no main road goes for long: where the ground is 30 m higher, it has a tunnel.
_GRADE: Final = 0.05
_COVER_M: Final = 30.0
# A bridge begins so far from the water.
_BEYOND_M: Final = 25.0
# A motorway bridge as long as this is the city's bridge over the bay.
_BAY_M: Final = 1000.0
# Roads on land keep so far from the sea and from lakes.
_SHORE_M: Final = 30.0
_WATER: Final = ("sea", "lake", "reservoir", "river")


def make_streets(seed: int, terrain: Terrain, people: People) -> Streets:
    """Return the road network of a seed.

    One strongly connected network for vehicles on the mainland, with the ferry's island; the
    lonely island has its own. Roads that cross on the ground share a node.
    """
    rng = random_of(seed, "streets")
    names = Names(random_of(seed, "street names"))
    routes = route_grid(terrain, people)
    plan = make_plan(routes, terrain, people, rng)
    ports = draw_ports(plan, terrain)
    xy = _ashore(smooth(plan, rng), plan, terrain)
    middles = plan_motorways(plan, xy, rng)
    joints = set(ports or ()) | _nodes_at(xy, middles)
    # The bay has a bridge and a tunnel: where a motorway bridges it, trunk roads dive.
    bridged = any(_open_water_m(terrain, middle) > _BAY_M for middle in middles)
    sunk = plan.crossings if bridged else plan.crossings[1:]
    ground = _Ground(terrain, [xy[path] for path in sunk])
    roads = [
        raise_spans(line, ground.spans(line.xy, line.road_class))
        for line in courses(plan, xy, joints, names, rng)
    ]
    motorways = [
        carriageways(middle, ground.spans(middle, "motorway"), names.tags("motorway"))
        for middle in middles
    ]
    main = [line for line in roads if line.road_class in ("trunk", "primary", "secondary")]
    ramps = interchanges(motorways, main, ground.wet)
    centres = xy[plan.places[UNCLASSIFIED]]
    streets = _streets(ground, people, centres, roads, middles, rng)
    streets = street_life(streets, routes.xy[plan.centre], rng)
    streets += service_roads(people, ground.wet, rng)
    paths = park_paths(people, roads, ground.wet, rng) + hill_paths(terrain, roads, rng)
    level_ground = [*roads, *streets, *paths]
    lines = [*lift(motorways, ramps, level_ground), *ramps, *level_ground]
    if ports is not None:
        lines.append(ferry(plan, xy, ports))
    _mark_island(lines, terrain)
    pieces, both_ways = tidy(meet(lines), lines)
    return as_ways(pieces, lines, both_ways)


def _ashore(xy: Floats, plan: Plan, terrain: Terrain) -> Floats:
    """Move nodes that smoothing, or the raster's half cell, put into the water to the shore.

    Nodes on the way across the water stay: they are parts of bridges.
    """
    waters = [c.shape for c in terrain.cover if c.cover_class in ("lake", "reservoir")]
    dry = terrain.land_shape.buffer(-_SHORE_M) - shapely.union_all(waters).buffer(_SHORE_M)
    shapely.prepare(dry)
    nodes = np.flatnonzero((plan.routes.rank > 0).any(axis=1) & plan.routes.land)
    nodes = nodes[~shapely.contains_xy(dry, xy[nodes])]
    xy = xy.copy()
    for node in nodes.tolist():
        xy[node] = shapely.get_coordinates(shapely.shortest_line(dry, shapely.Point(xy[node])))[0]
    return xy


def _nodes_at(xy: Floats, middles: list[Floats]) -> set[int]:
    """Return the nodes at which motorways begin and end."""
    ends = [end for middle in middles for end in (middle[0], middle[-1])]
    return {int(row) for end in ends for row in np.flatnonzero((xy == end).all(axis=1))}


def _open_water_m(terrain: Terrain, xy: Floats) -> float:
    """Return the longest stretch of a course over water, in steps of 50 m."""
    steps = at(xy, np.arange(0.0, along(xy)[-1], 50.0))
    wet = np.concatenate([[False], ~terrain.grid.sample(terrain.land, steps), [False]])
    stops = np.flatnonzero(wet[1:] != wet[:-1])
    return 50.0 * float((stops[1::2] - stops[::2]).max(initial=0))


class _Ground:
    """Where roads need a bridge or a tunnel."""

    def __init__(self, terrain: Terrain, sunk: list[Floats]) -> None:
        west, south, east, north = terrain.land_shape.bounds
        sea = shapely.box(west - 1e3, south - 1e3, east + 1e3, north + 1e3) - terrain.land_shape
        waters = [*shapely.get_parts(sea)]
        for cover in terrain.cover:
            if cover.cover_class in _WATER:
                waters += [*shapely.get_parts(cover.shape)]
        # A brook is crossed by a bridge, too, however narrow.
        waters += [river.line.buffer(max(river.width_m / 2.0, 4.0)) for river in terrain.rivers]
        self.terrain = terrain
        self.waters = waters
        self.wet = shapely.union_all(waters)
        shapely.prepare(self.wet)
        self.tree = shapely.STRtree(waters)
        self.sunk = shapely.union_all([shapely.LineString(xy).buffer(120.0) for xy in sunk])

    def spans(self, xy: Floats, road_class: str) -> list[tuple[float, float, int]]:
        """Return the bridges and tunnels of a course."""
        course = shapely.LineString(xy)
        spans: list[tuple[float, float, int]] = []
        if road_class in ("motorway", "trunk"):
            spans += [(a, b, -1) for a, b in self._through_hills(xy)]
        over = [
            span
            for row in sorted(self.tree.query(course, predicate="intersects").tolist())
            for span in spans_inside(xy, self.waters[row], beyond_m=_BEYOND_M, gap_m=1.0)
        ]
        for a, b in merged(over, 60.0):
            middle = shapely.Point(at(xy, [(a + b) / 2.0])[0])
            sunk = b - a > 500.0 and shapely.contains(self.sunk, middle)
            spans.append((a, b, -1 if sunk else 1))
        return spans

    def _through_hills(self, xy: Floats) -> list[tuple[float, float]]:
        """Return where the ground is well above the steepest road that could follow it.

        That road is the lower envelope of cones of slope `_GRADE` on the ground: twice a running
        minimum, forwards and backwards.
        """
        length = along(xy)[-1]
        count = int(length / 40.0) + 2
        step = length / (count - 1)
        ground = self.terrain.grid.sample(
            self.terrain.elevation_m, at(xy, np.linspace(0.0, length, count))
        )
        rise = _GRADE * step * np.arange(count)
        road = np.minimum.accumulate(ground - rise) + rise
        road = (np.minimum.accumulate((road - rise[::-1])[::-1]) + rise)[::-1]
        deep = ground - road
        out = []
        stops = np.flatnonzero(np.diff(np.concatenate([[0], deep > 6.0, [0]]).astype(np.int8)))
        for first, last in zip(stops[::2].tolist(), stops[1::2].tolist(), strict=True):
            if deep[first:last].max() > _COVER_M and (last - first) * step > 200.0:
                out.append((first * step, (last - 1) * step))
        return out


def _streets(
    ground: _Ground,
    people: People,
    centres: Floats,
    roads: list[Line],
    middles: list[Floats],
    rng: np.random.Generator,
) -> list[Line]:
    """Fill the land between the roads."""
    terrain = ground.terrain
    grid = terrain.grid
    bounding = [line for line in roads if line.road_class not in ("track", "unclassified")]
    edges = [shapely.LineString(line.xy) for line in bounding]
    edges += [part.boundary for part in shapely.get_parts(terrain.land_shape)]
    edges += [river.line for river in terrain.rivers]
    faces = [
        face
        for face in shapely.get_parts(shapely.polygonize([shapely.union_all(edges)]))
        if face.area > 1e5
    ]
    # By place, not by the order in which the library found them.
    faces.sort(key=lambda face: face.bounds)
    wet_near = ~terrain.land | (terrain.river_m < 4.0 * grid.cell_m)
    site = Site(
        wet=ground.wet.buffer(35.0, quad_segs=2),
        roads=np.concatenate([np.stack([line.xy[:-1], line.xy[1:]], axis=1) for line in roads]),
        motorways=shapely.union_all([shapely.LineString(xy).buffer(60.0) for xy in middles]),
        grid=grid,
        density=people.density,
        # Streets of up to 300 m are looked up by their middle, on cells of 100 m.
        near_water=grown(grown(wet_near)),
    )
    shapely.prepare(site.wet)
    shapely.prepare(site.motorways)
    spacing_m = block_m(people, grid, _STREET_EDGES)
    return street_grids(site, faces, centres, spacing_m, rng)


def _mark_island(lines: list[Line], terrain: Terrain) -> None:
    shapely.prepare(terrain.lonely_island)
    first = np.array([line.xy[0] for line in lines])
    for row in np.flatnonzero(shapely.contains_xy(terrain.lonely_island, first)).tolist():
        lines[row].island = True
