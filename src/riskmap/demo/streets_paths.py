"""Ways that are not for through traffic: in parks, up hills, in industrial parks; and the ferry."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats, People, Terrain
from riskmap.demo.streets_lines import Line, at
from riskmap.demo.streets_plan import UNCLASSIFIED, Plan
from riskmap.demo.streets_route import NOWHERE

# A path that was drawn to a road goes on so far, so that they surely meet.
_OVER_M: Final = 4.0
_SERVICE_BLOCK_M: Final = 210.0


def park_paths(
    people: People, roads: list[Line], wet: BaseGeometry, rng: np.random.Generator
) -> list[Line]:
    """Return a walk around each park, ways through it and ways in."""
    tree = shapely.STRtree([shapely.LineString(road.xy) for road in roads])
    lines: list[Line] = []
    for cover in people.cover:
        if cover.cover_class != "park":
            continue
        for shape in shapely.get_parts(cover.shape):
            if shape.area < 2e4:
                continue
            inner = shapely.simplify(shape.buffer(-0.12 * np.sqrt(shape.area)), 10.0)
            if inner.geom_type != "Polygon" or inner.is_empty:
                continue
            ring = inner.exterior
            loop = shapely.get_coordinates(ring)
            lines.append(Line(loop, "cycleway" if rng.random() < 0.3 else "footway"))
            for share in rng.uniform(0.0, 0.5, size=3).tolist():
                ends = [ring.interpolate(s, normalized=True) for s in (share, share + 0.45)]
                lines.append(Line(_drawn_over(ends[0], ends[1]), "path", {"foot": "yes"}))
            for share in (np.arange(6) / 6.0 + rng.uniform(0.0, 0.1)).tolist():
                gate = ring.interpolate(share, normalized=True)
                road = tree.geometries[int(tree.nearest(gate))]
                target = road.interpolate(road.project(gate))
                if gate.distance(target) < 900.0:
                    lines.append(Line(_drawn_over(gate, target), "footway"))
    return [line for line in lines if not shapely.intersects(wet, shapely.LineString(line.xy))]


def _drawn_over(a: shapely.Point, b: shapely.Point) -> Floats:
    """Return the straight course between two points and a little farther at both ends."""
    xy = np.array([[a.x, a.y], [b.x, b.y]])
    step = xy[1] - xy[0]
    step *= _OVER_M / max(float(np.hypot(*step)), 1.0)
    return np.array([xy[0] - step, xy[1] + step])


def hill_paths(terrain: Terrain, roads: list[Line], rng: np.random.Generator) -> list[Line]:
    """Return footpaths from roads at the foot of hills upwards, some with steps at the end."""
    grid = terrain.grid
    feet = np.concatenate([road.xy[:: max(len(road.xy) // 4, 1)] for road in roads])
    steep = grid.sample(terrain.slope, feet)
    feet = feet[(steep > 0.05) & (grid.sample(terrain.river_m, feet) > 200.0)]
    if len(feet) == 0:
        return []
    north, east = np.gradient(terrain.elevation_m, grid.cell_m)
    rise = np.stack([north, east], axis=-1)
    lines: list[Line] = []
    for start in feet[np.sort(rng.permutation(len(feet))[:420])]:
        course = [start]
        for _ in range(int(rng.integers(6, 22))):
            up = grid.sample(rise, course[-1][None])[0][::-1]
            steepness = float(np.hypot(*up))
            if steepness < 0.02:
                break
            turn = rng.normal(0.0, 0.7)
            ahead = up / steepness
            course.append(
                course[-1]
                + 85.0
                * np.array(
                    [
                        ahead[0] * np.cos(turn) - ahead[1] * np.sin(turn),
                        ahead[0] * np.sin(turn) + ahead[1] * np.cos(turn),
                    ]
                )
            )
        xy = np.array(course)
        dry = grid.sample(terrain.land, xy).all() and grid.sample(terrain.river_m, xy).min() > 150
        if len(xy) < 4 or not dry:
            continue
        cut = len(xy) - int(rng.integers(2, 4)) if rng.random() < 0.5 else len(xy)
        lines.append(Line(xy[:cut], "path"))
        if cut < len(xy):
            lines.append(Line(xy[cut - 1 :], "steps"))
    return lines


def service_roads(people: People, wet: BaseGeometry, rng: np.random.Generator) -> list[Line]:
    """Return the inner roads of industrial parks and ports."""
    lines: list[Line] = []
    for park in people.parks:
        box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(park.shape))
        u, v = box[1] - box[0], box[3] - box[0]
        yard = shapely.difference(park.shape.buffer(-25.0), wet.buffer(40.0))
        for base, step, along in ((box[0], v, u), (box[0], u, v)):
            count = max(int(np.hypot(*step) / _SERVICE_BLOCK_M), 1)
            for k in range(count):
                start = base + step * (k + rng.uniform(0.35, 0.65)) / count
                row = shapely.LineString([start, start + along])
                private = park.kind != "general" and rng.random() < 0.4
                tags = {"access": "private"} if private else {}
                lines += [
                    Line(shapely.get_coordinates(part), "service", dict(tags))
                    for part in shapely.get_parts(shapely.intersection(row, yard))
                    if part.geom_type == "LineString" and part.length > 120.0
                ]
    return lines


def draw_ports(plan: Plan, terrain: Terrain) -> tuple[int, int] | None:
    """Route roads to the two landings of the ferry and return their nodes, mainland first."""
    routes = plan.routes
    shapely.prepare(terrain.ferry_island)
    has_road = (routes.rank > 0).any(axis=1)
    on_island = shapely.contains_xy(terrain.ferry_island, routes.xy)
    on_other = shapely.contains_xy(terrain.lonely_island, routes.xy)
    island = np.flatnonzero(on_island & has_road)
    # A bridge is a road, too, but nobody lands there.
    far_off = has_road & routes.land & ~on_island & ~on_other
    if len(island) == 0:
        return None
    # From any road of the island to any of the mainland: the cheapest way, mostly over water.
    cost = routes.cost(slope=1.0, water=4.0, river=5.0)
    cost[on_other] = NOWHERE
    far, before = routes.spread(cost, island)
    goal = int(np.flatnonzero(far_off)[int(np.argmin(far[far_off]))])
    path = routes.path(before, goal)
    wet = np.flatnonzero(~routes.land[path])
    home, away = int(wet[0]) - 1, int(wet[-1]) + 1
    if home > 0:
        routes.draw(path[: home + 1], UNCLASSIFIED)
    if away < len(path) - 1:
        routes.draw(path[away:], UNCLASSIFIED)
    return int(path[away]), int(path[home])


def ferry(plan: Plan, xy: Floats, ports: tuple[int, int]) -> Line:
    """Return the ferry's course between the two landings, around land where need be."""
    routes = plan.routes
    water = np.where(routes.land, 8.0, 1.0)
    _, before = routes.spread(water, np.array([ports[0]]), target=ports[1], reuse=1.0)
    nodes = routes.path(before, ports[1])
    course = xy[nodes[[0, *range(4, len(nodes) - 3, 4), -1]]]
    tags = {"route": "ferry", "motor_vehicle": "yes", "foot": "yes"}
    line = Line(course, "ferry", tags)
    # A level of its own: it meets nothing on the way.
    line.level[:] = 8
    return line


def street_life(lines: list[Line], centre: Floats, rng: np.random.Generator) -> list[Line]:
    """Turn some streets of the old town, around the centre, over to walkers."""
    out = []
    for line in lines:
        middle = at(line.xy, [line.along_m[-1] / 2.0])[0]
        old_town = float(np.hypot(*(middle - centre))) < 1400.0
        if not old_town or line.road_class not in ("residential", "living_street"):
            out.append(line)
            continue
        kind = str(rng.choice(["pedestrian", "footway", "living_street", "residential"]))
        out.append(Line(line.xy, kind))
    return out
