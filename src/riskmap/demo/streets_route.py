"""Routes over the terrain: the cost raster that roads are drawn on, and the cheapest way over it.

Roads bend around hills and share a bridge because each route pays for slope, for water and for a
new river crossing, and travels cheaply where a road is already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from numba import njit

from riskmap.demo.ground import Floats, Grid, People, Terrain

Ints = npt.NDArray[np.int64]

# 250 m: finer, and 300 routes take longer than all the rest; coarser, and valleys close.
STEP_M: Final = 250.0
# Diagonal steps are 354 m: a band this wide on each side of a river cannot be jumped.
_RIVER_BAND_M: Final = 190.0
_DR: Final = np.array([0, 1, 1, 1, 0, -1, -1, -1])
_DC: Final = np.array([1, 1, 0, -1, -1, -1, 0, 1])
# Paths end here; nothing costs more.
NOWHERE: Final = 1e18


@dataclass(eq=False)
class RouteGrid:
    """Nodes every `STEP_M`, joined to their eight neighbours.

    Attributes
    ----------
    rank : uint8[nodes, 8]
        What road leads from a node in each direction, 0 for none; higher is more important.
    """

    grid: Grid
    xy: Floats
    land: npt.NDArray[np.bool_]
    river: npt.NDArray[np.bool_]
    shore: npt.NDArray[np.bool_]
    slope: Floats
    elevation_m: Floats
    density: Floats
    rank: npt.NDArray[np.uint8]
    offset: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.offset = _DR * self.grid.columns + _DC

    def node_at(self, xy: Floats) -> Ints:
        """Return the node nearest each point [n, 2]."""
        row, column = self.grid.cell_of(np.asarray(xy, dtype=np.float64))
        return row * self.grid.columns + column

    def cost(self, *, slope: float, water: float, river: float, dense: float = 0.0) -> Floats:
        """Return what a metre costs at each node.

        Parameters
        ----------
        slope
            Times the square of slope over 10 %.
        water
            Factor over open water, or `NOWHERE` for none.
        river
            Factor beside and in rivers: half a kilometre of it is what a new bridge costs.
        dense
            Times the density over 10,000 people per km².
        """
        cost = 1.0 + slope * (self.slope / 0.1) ** 2 + dense * self.density / 10_000.0
        cost[self.shore] *= 2.0
        cost[self.river] += river
        cost[~self.land] = water
        # The raster's rim has no neighbours on one side; nothing needs to run there.
        inner = np.zeros((self.grid.rows, self.grid.columns), dtype=bool)
        inner[2:-2, 2:-2] = True
        cost[~inner.ravel()] = NOWHERE
        return cost

    def spread(
        self, cost: Floats, sources: Ints, *, target: int = -1, reuse: float = 0.4
    ) -> tuple[Floats, Ints]:
        """Return the cheapest cost from any source, and each node's predecessor (-1 for none).

        A metre of a road that is there costs `reuse`, or what the ground costs if that is 1.
        """
        far, before = _spread(
            cost,
            self.rank,
            self.offset,
            np.ascontiguousarray(sources, dtype=np.int64),
            target,
            reuse,
            STEP_M,
            NOWHERE,
        )
        return far, before

    def path(self, before: Ints, target: int) -> Ints:
        """Return the nodes from the source to a target, empty if it was not reached."""
        nodes = [target]
        while before[nodes[-1]] >= 0:
            nodes.append(int(before[nodes[-1]]))
        return np.array(nodes[::-1], dtype=np.int64) if len(nodes) > 1 else np.empty(0, np.int64)

    def draw(self, nodes: Ints, rank: int) -> None:
        """Make the steps of a path roads of at least this rank."""
        for a, b in zip(nodes[:-1].tolist(), nodes[1:].tolist(), strict=True):
            k = int(np.flatnonzero(self.offset == b - a)[0])
            self.rank[a, k] = max(self.rank[a, k], rank)
            self.rank[b, (k + 4) % 8] = max(self.rank[b, (k + 4) % 8], rank)

    def nodes_with(self, rank: int) -> Ints:
        """Return the nodes that a road of at least this rank touches."""
        return np.flatnonzero((self.rank >= rank).any(axis=1))

    def edges(self) -> tuple[Ints, Ints, Ints]:
        """Return from-node, to-node and rank of every road step, each once."""
        node, k = np.nonzero(self.rank[:, :4])
        return node, node + self.offset[k], self.rank[node, k].astype(np.int64)


def route_grid(terrain: Terrain, people: People) -> RouteGrid:
    """Sample the ground at the nodes of the routing grid."""
    full = terrain.grid
    grid = Grid(
        west_m=full.west_m,
        south_m=full.south_m,
        cell_m=STEP_M,
        columns=int(full.columns * full.cell_m / STEP_M),
        rows=int(full.rows * full.cell_m / STEP_M),
    )
    x, y = grid.centres()
    xy = np.column_stack([np.tile(x, grid.rows), np.repeat(y, grid.columns)])
    land = full.sample(terrain.land, xy)
    shape = (grid.rows, grid.columns)
    wet = ~land.reshape(shape)
    shore = land & grown(wet).ravel()
    river = np.zeros(len(xy), dtype=bool)
    for one in terrain.rivers:
        band = one.line.buffer(max(_RIVER_BAND_M, one.width_m / 2.0 + 60.0), quad_segs=3)
        shapely.prepare(band)
        west, south, east, north = band.bounds
        near = np.flatnonzero(
            (xy[:, 0] > west) & (xy[:, 0] < east) & (xy[:, 1] > south) & (xy[:, 1] < north)
        )
        river[near[shapely.contains_xy(band, xy[near])]] = True
    return RouteGrid(
        grid=grid,
        xy=xy,
        land=land,
        river=river & land,
        shore=shore,
        slope=full.sample(terrain.slope, xy),
        elevation_m=full.sample(terrain.elevation_m, xy),
        density=full.sample(people.density, xy),
        rank=np.zeros((len(xy), 8), dtype=np.uint8),
    )


def grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the mask and the cells around it."""
    wide = np.pad(mask, 1)
    rows, columns = mask.shape
    around: npt.NDArray[np.bool_] = np.logical_or.reduce(
        [wide[r : r + rows, c : c + columns] for r in range(3) for c in range(3)]
    )
    return around


@njit(cache=True)
def _spread(  # noqa: PLR0912, PLR0915 - compiled as one
    cost: Any,
    rank: Any,
    offset: Any,
    sources: Any,
    target: int,
    reuse: float,
    step_m: float,
    nowhere: float,
) -> tuple[Any, Any]:
    """Dijkstra with a binary heap of our own; stale entries are skipped when they come up."""
    n = len(cost)
    far = np.full(n, nowhere)
    before = np.full(n, -1, np.int64)
    room = 8 * n + len(sources) + 8
    key, item = np.empty(room), np.empty(room, np.int64)
    size = 0
    for s in sources:
        far[s] = 0.0
        key[size], item[size] = 0.0, s
        size += 1
    while size > 0:
        top, here = key[0], item[0]
        size -= 1
        last_key, last_item = key[size], item[size]
        i = 0
        while True:
            child = 2 * i + 1
            if child >= size:
                break
            if child + 1 < size and key[child + 1] < key[child]:
                child += 1
            if key[child] >= last_key:
                break
            key[i], item[i] = key[child], item[child]
            i = child
        key[i], item[i] = last_key, last_item
        if top > far[here]:
            continue
        if here == target:
            break
        if cost[here] >= nowhere:
            continue
        for k in range(8):
            there = here + offset[k]
            if there < 0 or there >= n or cost[there] >= nowhere:
                continue
            length = step_m * (1.4142135623730951 if k % 2 == 1 else 1.0)
            if reuse < 1.0 and rank[here, k] > 0:
                price = length * reuse
            else:
                price = length * 0.5 * (cost[here] + cost[there])
            if top + price < far[there]:
                far[there] = top + price
                before[there] = here
                i = size
                size += 1
                while i > 0:
                    parent = (i - 1) // 2
                    if key[parent] <= top + price:
                        break
                    key[i], item[i] = key[parent], item[parent]
                    i = parent
                key[i], item[i] = top + price, there
    return far, before
