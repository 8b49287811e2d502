"""Which places are joined by which roads, from trunk roads down to the tracks in the hills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats, People, Terrain
from riskmap.demo.streets_route import NOWHERE, STEP_M, Ints, RouteGrid

TRUNK, PRIMARY, SECONDARY, TERTIARY, UNCLASSIFIED, TRACK = 6, 5, 4, 3, 2, 1
CLASS_OF_RANK: Final = {
    TRUNK: "trunk",
    PRIMARY: "primary",
    SECONDARY: "secondary",
    TERTIARY: "tertiary",
    UNCLASSIFIED: "unclassified",
    TRACK: "track",
}
# Least distance between places joined by roads of a rank; a third of it where people live dense.
_APART_M: Final = {TRUNK: 14_000.0, PRIMARY: 6_500.0, SECONDARY: 3_000.0, UNCLASSIFIED: 1_500.0}
_LEAST_DENSITY: Final = {TRUNK: 2500.0, PRIMARY: 1500.0, SECONDARY: 900.0, UNCLASSIFIED: 120.0}
# Islands are small: half an hour's walk across.
_ISLAND_APART_M: Final = 600.0
# Beyond this density streets are laid out block by block: no country road leads to each corner.
_BLOCKS_DENSITY: Final = 3000.0
# A village that costs more metres than this has a track, or nothing.
_TRACK_COST_M: Final = 7_000.0
_GIVEN_UP_COST_M: Final = 16_000.0


@dataclass(eq=False)
class Plan:
    """The routed network: what is drawn is in `routes.rank`."""

    routes: RouteGrid
    # Nodes of the places of each rank, most people first.
    places: dict[int, Ints]
    # Trunk roads across the bay, the one that spares most first.
    crossings: list[Ints]
    centre: int


def make_plan(
    routes: RouteGrid, terrain: Terrain, people: People, rng: np.random.Generator
) -> Plan:
    """Choose the places and route the roads between them."""
    mainland = _mainland(routes)
    islands = [terrain.lonely_island, terrain.ferry_island]
    for island in islands:
        mainland &= ~_inside(island.buffer(STEP_M), routes.xy)
    places = {
        rank: _spread_out(
            routes, mainland & (routes.density >= _LEAST_DENSITY[rank]) & ~routes.river, apart_m
        )
        for rank, apart_m in _APART_M.items()
    }
    centre = int(places[TRUNK][0])
    plan = Plan(routes, places, [], centre)
    _cross_the_bay(plan, mainland)
    costs = {
        TRUNK: routes.cost(slope=1.0, water=NOWHERE, river=6.0, dense=0.3),
        PRIMARY: routes.cost(slope=1.5, water=NOWHERE, river=7.0),
        SECONDARY: routes.cost(slope=2.5, water=NOWHERE, river=9.0),
    }
    for rank, cost in costs.items():
        _join(routes, places[rank], cost, rank)
    _villages(plan, rng)
    for park in people.parks:
        gate = routes.node_at(np.array([[*park.shape.representative_point().coords[0]]]))
        _reach(routes, gate, costs[SECONDARY], TERTIARY)
    _tracks(plan, mainland, rng)
    for island in islands:
        _island(plan, island)
    return plan


def _inside(shape: BaseGeometry, xy: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which points are inside, looking only at those in the shape's box."""
    west, south, east, north = shape.bounds
    inside = (xy[:, 0] > west) & (xy[:, 0] < east) & (xy[:, 1] > south) & (xy[:, 1] < north)
    near = np.flatnonzero(inside)
    shapely.prepare(shape)
    inside[near] = shapely.contains_xy(shape, xy[near])
    return np.asarray(inside, dtype=np.bool_)


def _mainland(routes: RouteGrid) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the nodes that the densest place reaches over land."""
    start = np.array([np.argmax(np.where(routes.land, routes.density, -1.0))])
    far, _ = routes.spread(routes.cost(slope=0.0, water=NOWHERE, river=0.0), start)
    return far < NOWHERE


def _spread_out(
    routes: RouteGrid,
    may: np.ndarray[tuple[int], np.dtype[np.bool_]],
    apart_m: float,
) -> Ints:
    """Return places from the densest down, none nearer than `apart_m` to a denser one."""
    columns, rows = routes.grid.columns, routes.grid.rows
    reach = int(apart_m // STEP_M)
    # Mean over 5 by 5 nodes: a place is where many live around, not one tower.
    wide = np.pad(routes.density.reshape(rows, columns), 2)
    mean = sum(wide[r : r + rows, c : c + columns] for r in range(5) for c in range(5)) / 25.0
    score = np.where(may, np.asarray(mean).ravel() - 400.0 * routes.slope, -np.inf)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = dy**2 + dx**2 <= reach**2
    taken = np.zeros((rows + 2 * reach, columns + 2 * reach), dtype=bool)
    out = []
    for node in np.argsort(-score, kind="stable").tolist():
        if score[node] == -np.inf:
            break
        row, column = divmod(node, columns)
        if not taken[row + reach, column + reach]:
            out.append(node)
            taken[row : row + 2 * reach + 1, column : column + 2 * reach + 1] |= disc
    return np.array(out, dtype=np.int64)


def neighbours(xy: Floats) -> list[tuple[int, int]]:
    """Return the pairs with no third point in the circle on them (Gabriel), nearest first."""
    d2 = ((xy[:, None, :] - xy[None, :, :]) ** 2).sum(axis=2)
    pairs = []
    for i in range(len(xy)):
        # j stays if no k has d(i,k)² + d(j,k)² < d(i,j)².
        through = (d2[i][None, :] + d2) < d2[i][:, None] - 1e-6
        for j in np.flatnonzero(~through.any(axis=1)).tolist():
            if j > i:
                pairs.append((float(d2[i, j]), i, j))
    return [(i, j) for _, i, j in sorted(pairs)]


def _join(routes: RouteGrid, places: Ints, cost: Floats, rank: int) -> None:
    for i, j in neighbours(routes.xy[places]):
        start = places[i : i + 1]
        _, before = routes.spread(cost, start, target=int(places[j]), reuse=0.45)
        routes.draw(routes.path(before, int(places[j])), rank)


def _reach(routes: RouteGrid, targets: Ints, cost: Floats, rank: int) -> None:
    """Join places to the nearest road of this rank or more."""
    far, before = routes.spread(cost, routes.nodes_with(rank))
    for target in targets.tolist():
        if far[target] < NOWHERE:
            routes.draw(routes.path(before, target), rank)


def _cross_the_bay(plan: Plan, mainland: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """Lead trunk roads over the water that spares the longest way round, and the second best.

    Candidates are pairs of places within 25 km of the centre whose straight line runs over one
    stretch of open water of 0.8 to 9 km.
    """
    routes = plan.routes
    places = plan.places[SECONDARY]
    xy = routes.xy[places]
    near = np.hypot(*(xy - routes.xy[plan.centre]).T) < 25_000.0
    places, xy = places[near][:70], xy[near][:70]
    found = []
    share = np.linspace(0.0, 1.0, 81)
    for i in range(len(places)):
        for j in range(i + 1, len(places)):
            gap = float(np.hypot(*(xy[i] - xy[j])))
            if not 1500.0 < gap < 14_000.0:
                continue
            wet = ~routes.land[routes.node_at(xy[i] + share[:, None] * (xy[j] - xy[i]))]
            runs = np.count_nonzero(np.diff(wet.astype(np.int8)) == 1)
            water_m = gap * float(wet.mean())
            if runs == 1 and 800.0 < water_m < 9000.0 and water_m > 0.3 * gap:
                found.append((i, j, gap, water_m))
    land = routes.cost(slope=0.0, water=NOWHERE, river=0.0)
    ways_round = {
        i: routes.spread(land, places[i : i + 1])[0] for i in sorted({i for i, *_ in found})
    }
    # What a crossing spares for each metre over water.
    ranked = sorted(
        found, key=lambda f: (-(min(ways_round[f[0]][places[f[1]]], 9e4) - f[2]) / f[3], f[:2])
    )
    over = routes.cost(slope=1.0, water=0.7, river=6.0)
    chosen: list[Floats] = []
    for i, j, _, _ in ranked:
        middle = (xy[i] + xy[j]) / 2.0
        if any(np.hypot(*(middle - other)) < 5000.0 for other in chosen):
            continue
        _, before = routes.spread(over, places[i : i + 1], target=int(places[j]))
        path = routes.path(before, int(places[j]))
        routes.draw(path, TRUNK)
        plan.crossings.append(path)
        chosen.append(middle)
        if len(chosen) == 2:
            return


def _villages(plan: Plan, rng: np.random.Generator) -> None:
    """Join every village by the cheapest way to the network; many share the road up a valley."""
    routes = plan.routes
    villages = plan.places[UNCLASSIFIED]
    villages = villages[routes.density[villages] < _BLOCKS_DENSITY]
    cost = routes.cost(slope=4.0, water=NOWHERE, river=12.0)
    far, before = routes.spread(cost, routes.nodes_with(SECONDARY))
    use = np.zeros(len(far))
    paths = [(v, routes.path(before, v)) for v in villages.tolist() if far[v] < NOWHERE]
    for village, path in paths:
        use[path] += routes.density[village]
    kept = []
    for village, path in paths:
        steep = routes.slope[path].mean() if len(path) else 0.0
        remote = far[village] > _TRACK_COST_M or steep > 0.14
        if far[village] > _GIVEN_UP_COST_M or (remote and rng.random() < 0.35):
            continue
        kept.append(village)
        busy = use[path] > 6000.0
        routes.draw(path, TRACK if remote else UNCLASSIFIED)
        if not remote and busy.sum() > 1:
            routes.draw(path[: int(np.flatnonzero(busy)[-1]) + 1], TERTIARY)
    plan.places[UNCLASSIFIED] = np.array(kept, dtype=np.int64)
    # A tree alone sends everybody through its trunk: join some neighbours, too.
    xy = routes.xy[plan.places[UNCLASSIFIED]]
    points = np.asarray(shapely.points(xy))
    pairs = shapely.STRtree(points).query(points, predicate="dwithin", distance=2600.0).T
    for i, j in sorted((int(a), int(b)) for a, b in pairs if a < b):
        if rng.random() < 0.22:
            start, target = kept[i], kept[j]
            _, before = routes.spread(cost, np.array([start]), target=target, reuse=0.6)
            path = routes.path(before, target)
            if len(path) * STEP_M < 5000.0 and routes.slope[path].max(initial=0.0) < 0.12:
                routes.draw(path, UNCLASSIFIED)


def _tracks(
    plan: Plan, mainland: np.ndarray[tuple[int], np.dtype[np.bool_]], rng: np.random.Generator
) -> None:
    """Lead tracks into some of the hills; the others stay without."""
    routes = plan.routes
    hills = np.flatnonzero(mainland & (routes.slope > 0.08) & ~routes.river)
    if len(hills) == 0:
        return
    ends = np.sort(rng.choice(hills, size=min(240, len(hills)), replace=False))
    cost = routes.cost(slope=3.0, water=NOWHERE, river=20.0)
    far, before = routes.spread(cost, routes.nodes_with(TRACK))
    for end in ends.tolist():
        if 800.0 < far[end] < 9000.0:
            routes.draw(routes.path(before, end), TRACK)


def _island(plan: Plan, island: shapely.Polygon) -> None:
    """Join the places of an island to their neighbours."""
    routes = plan.routes
    on = _inside(island, routes.xy) & routes.land & ~routes.shore
    if not on.any():
        on = _inside(island, routes.xy) & routes.land
    places = _spread_out(routes, on, _ISLAND_APART_M)
    cost = np.where(_inside(island, routes.xy) & routes.land, 1.0, NOWHERE)
    for i, j in neighbours(routes.xy[places]):
        _, before = routes.spread(cost, places[i : i + 1], target=int(places[j]), reuse=0.6)
        rank = TERTIARY if i == 0 else UNCLASSIFIED
        routes.draw(routes.path(before, int(places[j])), rank)
