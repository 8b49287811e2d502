"""Motorways: a ring and radials in one-way pairs, with ramps, above everything that they cross."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats
from riskmap.demo.streets_lines import (
    APART,
    Line,
    along,
    at,
    merged,
    normals,
    raise_spans,
    split_at,
)
from riskmap.demo.streets_plan import PRIMARY, SECONDARY, TRUNK, Plan
from riskmap.demo.streets_route import NOWHERE, STEP_M, Ints, RouteGrid

# Half the distance between carriageways, and how far out and along a ramp swings.
HALF_M: Final = 12.0
_RAMP_SIDE_M: Final = 75.0
_RAMP_M: Final = 330.0
_LOOP_M: Final = 130.0
# Interchanges are no nearer to each other than this.
_APART_M: Final = 2400.0
_CLEAR_M: Final = 45.0
_MEET_M: Final = 4000.0


@dataclass(eq=False)
class Motorway:
    """The middle line and the carriageways to its right and left (against the course)."""

    middle: Floats
    right: Line
    left: Line


def plan_motorways(plan: Plan, xy: Floats, rng: np.random.Generator) -> list[Floats]:
    """Return middle lines; each begins and ends at a node of the ordinary roads, or is a ring."""
    routes = plan.routes
    centre = routes.xy[plan.centre]
    cost = routes.cost(slope=0.4, water=2.2, river=1.5, dense=1.5)
    # Across the ordinary roads, not along them.
    _shun(routes, cost, routes.nodes_with(SECONDARY), 2.4)
    towns = plan.places[TRUNK]
    ring_m = _ring_radius(plan)
    out: list[Floats] = []
    ring = _ring_points(plan, centre, ring_m, rng)
    nodes: list[int] = []
    used = cost.copy()
    for a, b in itertools.pairwise(ring):
        _, before = routes.spread(used, np.array([a]), target=b, reuse=1.0)
        nodes += routes.path(before, b)[1 if nodes else 0 :].tolist()
    closed = ring[0] == ring[-1]
    out.append(_course(plan, xy, _without_spurs(nodes), closed=closed))
    main = routes.nodes_with(PRIMARY)
    # Radials: to the far towns, one for each direction, starting well inside the ring.
    taken: list[float] = []
    for town in towns[1:].tolist():
        gap = routes.xy[town] - centre
        far, angle = float(np.hypot(*gap)), float(np.arctan2(gap[1], gap[0]))
        if far < 1.7 * ring_m or any(_apart(angle, other) < 0.62 for other in taken):
            continue
        if not routes.land[routes.node_at(centre + gap / far * np.array([[0.55 * ring_m]]))][0]:
            continue
        start = _nearest(routes.xy, main, centre + gap / far * 0.5 * ring_m)
        end = _nearest(routes.xy, main, routes.xy[town] - gap / far * 2600.0)
        slow = cost.copy()
        for other in out:
            # Not beside another motorway: across it, or elsewhere.
            _shun(
                routes,
                slow,
                routes.node_at(at(other, np.arange(0.0, along(other)[-1], 120.0))),
                4.0,
            )
        reached, before = routes.spread(slow, np.array([start]), target=end, reuse=1.0)
        if reached[end] < NOWHERE:
            taken.append(angle)
            out.append(_course(plan, xy, routes.path(before, end), closed=False))
        if len(taken) == 8:
            break
    return out


def _without_spurs(nodes: list[int]) -> Ints:
    """Return a path without the ways to and back from a point that lay beside it."""
    out: list[int] = []
    for node in nodes:
        # Up to 20 km: the ring itself comes back to its first node, too.
        if node in out[-80:]:
            del out[len(out) - out[::-1].index(node) :]
        else:
            out.append(node)
    return np.array(out, dtype=np.int64)


def _shun(routes: RouteGrid, cost: Floats, nodes: Ints, factor: float) -> None:
    """Make these nodes and those around them dearer, each once."""
    columns = routes.grid.columns
    shifts = [row * columns + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    around = np.unique(nodes[:, None] + np.array(shifts))
    cost[around[(around >= 0) & (around < len(cost))]] *= factor


def _apart(a: float, b: float) -> float:
    return abs((a - b + np.pi) % (2.0 * np.pi) - np.pi)


def _nearest(xy: Floats, nodes: Ints, point: Floats) -> int:
    return int(nodes[int(np.argmin(np.hypot(*(xy[nodes] - point).T)))])


def _ring_radius(plan: Plan) -> float:
    """Return the radius around the centre within which 30 % of all people live, 8 to 14 km."""
    away = np.hypot(*(plan.routes.xy - plan.routes.xy[plan.centre]).T)
    order = np.argsort(away, kind="stable")
    share = np.cumsum(plan.routes.density[order])
    row = int(np.searchsorted(share, 0.3 * share[-1]))
    return float(np.clip(away[order[row]], 8_000.0, 14_000.0))


def _ring_points(plan: Plan, centre: Floats, ring_m: float, rng: np.random.Generator) -> list[int]:
    """Return nodes around the centre; the first again at the end if the ring closes."""
    routes = plan.routes
    main = routes.nodes_with(SECONDARY)
    angles = np.arange(14) / 14.0 * 2.0 * np.pi + rng.uniform(0.0, 0.4)
    found: list[tuple[float, int]] = []
    for angle in angles.tolist():
        radius = ring_m * rng.uniform(0.93, 1.07)
        point = centre + radius * np.array([np.cos(angle), np.sin(angle)])
        node = int(routes.node_at(point[None])[0])
        near = main[np.hypot(*(routes.xy[main] - point).T) < 3000.0]
        if routes.land[node] and len(near):
            found.append((angle, node))
    gaps = [
        ((found[(k + 1) % len(found)][0] - found[k][0]) % (2.0 * np.pi), k)
        for k in range(len(found))
    ]
    widest, k = max(gaps)
    nodes = [node for _, node in found[k + 1 :] + found[: k + 1]]
    reach = float(np.hypot(*(routes.xy[nodes[0]] - routes.xy[nodes[-1]])))
    if widest < np.radians(130.0) and reach < 1.6 * ring_m:
        return [*nodes, nodes[0]]
    # An arc: from and to ordinary roads.
    return [
        _nearest(routes.xy, main, routes.xy[nodes[0]]),
        *nodes[1:-1],
        _nearest(routes.xy, main, routes.xy[nodes[-1]]),
    ]


def _course(plan: Plan, xy: Floats, nodes: Ints, *, closed: bool) -> Floats:
    """Return a sweeping line along the nodes (a mean over 2 km), with its ends where they are."""
    del plan
    raw = xy[nodes]
    length = along(raw)[-1]
    fine = at(raw, np.linspace(0.0, length, int(length / 100.0) + 2))
    window = np.hanning(25)
    window /= window.sum()
    half = len(window) // 2
    if closed:
        wide = np.concatenate([fine[-half - 1 : -1], fine, fine[1 : half + 1]])
    else:
        # Mirrored at the ends, which so stay in place.
        wide = np.concatenate(
            [2 * fine[0] - fine[half:0:-1], fine, 2 * fine[-1] - fine[-2 : -half - 2 : -1]]
        )
    soft = np.column_stack([np.convolve(wide[:, k], window, mode="valid") for k in (0, 1)])
    if closed:
        soft[-1] = soft[0]
    thin = shapely.get_coordinates(shapely.simplify(shapely.LineString(soft), 2.0))
    m = along(thin)
    stops = np.unique(np.concatenate([m, np.arange(0.0, m[-1], 400.0)]))
    out = at(thin, stops)
    if not closed:
        out[0], out[-1] = raw[0], raw[-1]
    return out


def carriageways(
    middle: Floats, spans: list[tuple[float, float, int]], names: dict[str, str]
) -> Motorway:
    """Return the one-way pair of a middle line, with bridges and tunnels where `spans` say."""
    level = np.full(len(middle) - 1, APART, dtype=np.int8)
    lifted = raise_spans(Line(middle, "motorway", level=level), spans)
    xy = lifted.xy
    side = normals(xy)
    closed = bool((xy[0] == xy[-1]).all())
    if closed:
        side[0] = side[-1] = normals(np.stack([xy[-2], xy[0], xy[1]]))[1]
    right, left = xy + HALF_M * side, xy - HALF_M * side
    if not closed:
        for way in (right, left):
            way[0], way[-1] = xy[0], xy[-1]
    tags = names | {"oneway": "yes", "maxspeed": "100"}
    return Motorway(
        xy,
        Line(right, "motorway", dict(tags), lifted.level.copy()),
        Line(left[::-1].copy(), "motorway", dict(tags), lifted.level[::-1].copy()),
    )


def interchanges(motorways: list[Motorway], roads: list[Line], wet: BaseGeometry) -> list[Line]:
    """Return ramps to the important roads that motorways cross, and between motorways.

    A ramp leaves the carriageway, swings out, crosses the road at ground level (where the two
    meet) and swings back: the way off and the way on in one line.
    """
    ramps: list[Line] = []
    tree = shapely.STRtree([shapely.LineString(road.xy) for road in roads])
    middles = [shapely.LineString(one.middle) for one in motorways]
    for k, one in enumerate(motorways):
        knots, clovers = _knots(motorways, middles, k)
        ramps += clovers
        for s in _crossroads(one, middles[k], roads, tree, knots):
            point = at(one.middle, [s])[0]
            for name in ("right", "left"):
                way = getattr(one, name)
                m = float(shapely.LineString(way.xy).project(shapely.Point(point)))
                way, ramp = _diamond(way, m)
                if not shapely.intersects(wet, shapely.LineString(ramp.xy)):
                    setattr(one, name, way)
                    ramps.append(ramp)
    return ramps


def _knots(
    motorways: list[Motorway], middles: list[shapely.LineString], k: int
) -> tuple[list[float], list[Line]]:
    """Return where a motorway meets the others, and the ramps to those after it."""
    knots: list[float] = []
    ramps: list[Line] = []
    for other in range(len(motorways)):
        meetings: list[float] = []
        for point in (
            _points(shapely.intersection(middles[k], middles[other])) if other != k else ()
        ):
            knots.append(float(middles[k].project(point)))
            # Two that wind around each other meet in one place only.
            if other > k and all(abs(knots[-1] - m) > _MEET_M for m in meetings):
                meetings.append(knots[-1])
                ramps += _clover(motorways[k], motorways[other], point)
    return knots, ramps


def _crossroads(
    one: Motorway,
    middle: shapely.LineString,
    roads: list[Line],
    tree: shapely.STRtree,
    knots: list[float],
) -> list[float]:
    """Return where a motorway has an interchange with an ordinary road, the greatest first."""
    crossings = [
        (_weight(roads[row]), float(middle.project(point)), row)
        for row in sorted(tree.query(middle, predicate="intersects").tolist())
        for point in _points(shapely.intersection(middle, shapely.LineString(roads[row].xy)))
    ]
    chosen: list[float] = []
    for _, s, row in sorted(crossings):
        if (
            700.0 < s < middle.length - 700.0
            and all(abs(s - m) >= 1300.0 for m in knots)
            and all(abs(s - m) >= _APART_M for m in chosen)
            and not _below(one.right, at(one.middle, [s])[0])
            and _square(one.middle, s, roads[row].xy)
        ):
            chosen.append(s)
    return chosen


def _weight(road: Line) -> int:
    return ("trunk", "primary", "secondary").index(road.road_class)


def _points(shape: shapely.Geometry) -> list[shapely.Point]:
    return [part for part in shapely.get_parts(shape) if part.geom_type == "Point"]


def _square(middle: Floats, s: float, road: Floats) -> bool:
    """Return whether a road crosses at more than 40 degrees."""
    here = at(middle, [s - 60.0, s, s + 60.0])
    course = shapely.LineString(road)
    m = course.project(shapely.Point(here[1]))
    there = at(road, [m - 60.0, m + 60.0])
    a, b = here[2] - here[0], there[1] - there[0]
    sine = abs(float(a[0] * b[1] - a[1] * b[0])) / max(float(np.hypot(*a) * np.hypot(*b)), 1e-9)
    return bool(sine > np.sin(np.radians(40.0)))


def _below(way: Line, point: Floats) -> bool:
    """Return whether a carriageway is in a tunnel around a point."""
    m = float(shapely.LineString(way.xy).project(shapely.Point(point)))
    return any(a - _RAMP_M - 50.0 < m < b + _RAMP_M + 50.0 for a, b in _kept_low(way))


def _diamond(way: Line, m: float) -> tuple[Line, Line]:
    """Return a carriageway with the ramp's ends as vertices, and the ramp."""
    ends = [m - _RAMP_M, m + _RAMP_M]
    way = split_at(way, ends)
    shares = np.array([-1.0, -0.75, -0.45, -0.15, 0.15, 0.45, 0.75, 1.0])
    sides = np.array([0.0, 0.2, 0.75, 1.0, 1.0, 0.75, 0.2, 0.0]) * _RAMP_SIDE_M
    course = at(way.xy, m + shares * _RAMP_M)
    course += sides[:, None] * normals(course)
    along_m = way.along_m
    for k, end in ((0, ends[0]), (-1, ends[1])):
        course[k] = way.xy[int(np.argmin(np.abs(along_m - end)))]
    return way, Line(course, "motorway_link", {"oneway": "yes"})


def _clover(one: Motorway, other: Motorway, point: shapely.Point) -> list[Line]:
    """Return four outer ramps (right turns) and four loops (left turns) between two motorways."""
    here = np.array([point.x, point.y])
    ramps = []
    for a_name in ("right", "left"):
        for b_name in ("right", "left"):
            for from_motorway, from_name, to_motorway, to_name in (
                (one, a_name, other, b_name),
                (other, b_name, one, a_name),
            ):
                ramp = _turn(from_motorway, from_name, to_motorway, to_name, here)
                if ramp is not None:
                    ramps.append(ramp)
    return ramps


def _turn(
    from_motorway: Motorway, from_name: str, to_motorway: Motorway, to_name: str, here: Floats
) -> Line | None:
    source, target = getattr(from_motorway, from_name), getattr(to_motorway, to_name)
    s = float(shapely.LineString(source.xy).project(shapely.Point(here)))
    t = float(shapely.LineString(target.xy).project(shapely.Point(here)))
    reach = 420.0
    if min(s, t, source.along_m[-1] - s, target.along_m[-1] - t) < reach + 50.0:
        return None
    a = np.diff(at(source.xy, [s - 30.0, s + 30.0]), axis=0)[0]
    b = np.diff(at(target.xy, [t - 30.0, t + 30.0]), axis=0)[0]
    a, b = a / np.hypot(*a), b / np.hypot(*b)
    right_turn = a[0] * b[1] - a[1] * b[0] < 0.0
    # A right turn leaves early and joins late; a loop goes past, and joins before the crossing.
    out_m, in_m = (s - reach, t + reach) if right_turn else (s + _LOOP_M, t - _LOOP_M)
    source, target = split_at(source, [out_m]), split_at(target, [in_m])
    setattr(from_motorway, from_name, source)
    setattr(to_motorway, to_name, target)
    p0 = source.xy[int(np.argmin(np.abs(source.along_m - out_m)))]
    p3 = target.xy[int(np.argmin(np.abs(target.along_m - in_m)))]
    pull = 0.9 * reach if right_turn else 2.1 * _LOOP_M
    a0 = np.diff(at(source.xy, [out_m - 30.0, out_m + 30.0]), axis=0)[0]
    b0 = np.diff(at(target.xy, [in_m - 30.0, in_m + 30.0]), axis=0)[0]
    p1, p2 = p0 + pull * a0 / np.hypot(*a0), p3 - pull * b0 / np.hypot(*b0)
    share = np.linspace(0.0, 1.0, 9 if right_turn else 13)[:, None]
    course = (
        (1 - share) ** 3 * p0
        + 3 * (1 - share) ** 2 * share * p1
        + 3 * (1 - share) * share**2 * p2
        + share**3 * p3
    )
    course[0], course[-1] = p0, p3
    ramp = shapely.LineString(course)
    for way in (from_motorway.right, from_motorway.left, to_motorway.right, to_motorway.left):
        # Where carriageways bend, a turn may run over one of them: there is none, then.
        if any(0.5 < m < ramp.length - 0.5 for m in _met(ramp, shapely.LineString(way.xy))):
            return None
    return Line(course, "motorway_link", {"oneway": "yes"})


def _met(course: shapely.LineString, other: shapely.LineString) -> list[float]:
    """Return how far along a course it touches another line."""
    return [float(course.project(point)) for point in _points(course.intersection(other))]


def lift(motorways: list[Motorway], ramps: list[Line], others: list[Line]) -> list[Line]:
    """Return the carriageways, raised wherever they cross anything on the ground or each other."""
    ground = [*others, *ramps]
    a = np.concatenate([line.xy[:-1] for line in ground])
    b = np.concatenate([line.xy[1:] for line in ground])
    level = np.concatenate([line.level for line in ground])
    on = level >= 0
    shapes = np.asarray(shapely.linestrings(np.stack([a[on], b[on]], axis=1)))
    tree = shapely.STRtree(shapes)
    out: list[Line] = []
    for k, one in enumerate(motorways):
        for way in (one.right, one.left):
            course = shapely.LineString(way.xy)
            spans = [
                (m - _CLEAR_M, m + _CLEAR_M)
                for row in tree.query(course, predicate="intersects").tolist()
                for m in _crossed(course, shapes[row])
            ]
            over = [
                (m - 90.0, m + 90.0)
                for earlier in motorways[:k]
                for carriageway in (earlier.right, earlier.left)
                for m in _crossed(course, shapely.LineString(carriageway.xy))
            ]
            low = _kept_low(way)
            raised = [(x, y, 1) for x, y in _without(merged(spans, 150.0), low)]
            raised += [(x, y, 2) for x, y in _without(merged(over, 150.0), low)]
            out.append(raise_spans(way, raised))
    return out


def _crossed(course: shapely.LineString, other: shapely.LineString) -> list[float]:
    """Return where another line is crossed, not where it only begins or ends."""
    ends = np.asarray(shapely.points(shapely.get_coordinates(other)[[0, -1]]))
    return [
        float(course.project(point))
        for point in _points(shapely.intersection(course, other))
        if min(float(shapely.distance(point, end)) for end in ends) > 0.5
        or other.length > 5 * STEP_M
    ]


def _kept_low(way: Line) -> list[tuple[float, float]]:
    """Return the stretches in a tunnel: what crosses above does not raise them."""
    m = way.along_m
    below = np.flatnonzero(way.level < 0)
    return merged([(float(m[k]), float(m[k + 1])) for k in below.tolist()], 1.0)


def _without(
    spans: list[tuple[float, float]], low: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    out = []
    for a, b in spans:
        parts = [(a, b)]
        for x, y in low:
            parts = [
                part
                for p, q in parts
                for part in ((p, min(q, x)), (max(p, y), q))
                if part[1] - part[0] > 1.0
            ]
        out += parts
    return out
