"""Where features meet the road network: found once for a layer and a network, used by every query.

"Reached within t" is decided by network time at these positions, never by a drawn polygon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.search import TravelTimes
from riskmap.analysis.store import LayerRows
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, UNREACHED

# The last metres from the road are walked; as fast as the drawing spreads (WALK_MPS there).
OFF_ROAD_MPS: Final = 1.4
# Farther from a road than this, a feature is in reach of nobody by road.
MAX_SNAP_M: Final = 500.0


class ByEdge(NamedTuple):
    """The positions of features, edge after edge.

    Attributes
    ----------
    first : int32[m + 1]
        Positions on edge e are ``first[e]:first[e + 1]``.
    share : float64[p]
    access_ms : int32[p]
    feature : int32[p]
        Row of the feature that each position belongs to.
    junction, junction_edge : int32[j]
        The positions exactly at the end of their edge, and that edge: they are reached by other
        roads too, so that their own may be none of those reached.
    """

    first: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]
    access_ms: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    junction: npt.NDArray[np.int32]
    junction_edge: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Anchors:
    """Positions of n features on a network, p >= n of them.

    Attributes
    ----------
    rows
        The features.
    network
        The network that the positions belong to.
    positions
        p positions; a place without a road near has edge -1.
    access_ms : int64[p]
        From the position to the feature on foot, milliseconds.
    first : int64[n]
        Row of each feature's first position; its positions follow one another.
    """

    rows: LayerRows
    network: Network
    positions: Positions
    access_ms: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]

    def arrival_ms(self, times: TravelTimes, *, walked: bool = True) -> npt.NDArray[np.int64]:
        """Return when each feature is reached, int64[n] milliseconds, `UNREACHED` for never.

        A feature is reached when the first of its positions is. The walk from the road counts
        unless `walked` is false; the search's limit is not applied again.
        """
        if not len(self.rows):
            return np.zeros(0, dtype=np.int64)
        at = times.at(self.positions).astype(np.int64)
        at = np.where(at == UNREACHED, UNREACHED, at + self.access_ms * walked)
        return np.minimum.reduceat(np.minimum(at, UNREACHED), self.first)

    def first_arrival(
        self, times: TravelTimes, limit_ms: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return when each feature is reached, and by which start of the search.

        Returns
        -------
        ms, source : int64[n]
            As `arrival_ms`, and the row of the start, of equal times the lowest; `UNREACHED` and
            -1 past the limit.
        """
        if not len(self.rows):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        at, source = (found.astype(np.int64) for found in times.arrivals(self.positions))
        at = np.where(at == UNREACHED, UNREACHED, np.minimum(at + self.access_ms, UNREACHED))
        # Time and row in one number, so that the least is the earliest and, of these, the lowest
        # row: 31 bits each.
        best = np.minimum.reduceat(at << 31 | np.maximum(source, 0), self.first)
        ms = best >> 31
        late = ms > limit_ms
        return np.where(late, UNREACHED, ms), np.where(late, -1, best & UNREACHED)

    @cached_property
    def by_edge(self) -> ByEdge:
        """The positions by edge: a search that reaches few edges looks at few features."""
        edge = self.positions.edge
        order = np.argsort(edge, kind="stable")
        order = order[edge[order] >= 0]
        counts = np.bincount(edge[order], minlength=self.network.graph.edge_count)
        owner = np.repeat(
            np.arange(len(self.rows)), np.diff(np.append(self.first, len(self.positions)))
        )
        share = self.positions.fraction[order]
        junction = np.flatnonzero((share == 0.0) | (share == 1.0))
        return ByEdge(
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            share=share,
            access_ms=np.minimum(self.access_ms[order], UNREACHED).astype(np.int32),
            feature=owner[order].astype(np.int32),
            junction=junction.astype(np.int32),
            junction_edge=edge[order][junction].astype(np.int32),
        )

    @property
    def far(self) -> npt.NDArray[np.bool_]:
        """Whether each feature is farther than `MAX_SNAP_M` from every road, bool[n]."""
        if not len(self.rows):
            return np.zeros(0, dtype=bool)
        return ~np.logical_or.reduceat(self.positions.found, self.first)


def _places(
    rows: LayerRows, network: Network, step_m: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the points that stand for features, metres, the feature of each, and who is wide.

    A point is itself, lines and outlines give one every `step_m` at most: so sampled, they lie
    within half a step of any road that crosses them. A polygon also gives a point inside, for the
    road that ends within it. Wide is what has a length or an area, bool[n].
    """
    dimensions = shapely.get_dimensions(rows.shapes)
    wide = dimensions > 0
    points, owner = shapely.get_coordinates(rows.shapes[~wide], return_index=True)
    xy, owners = [network.to_local(points)], [np.flatnonzero(~wide)[owner]]
    if wide.any():
        local = shapely.transform(rows.shapes[wide], network.to_local)
        outline, owner = shapely.get_coordinates(
            shapely.segmentize(local, step_m), return_index=True
        )
        areas = dimensions[wide] == 2
        inside, within = shapely.get_coordinates(
            shapely.point_on_surface(local[areas]), return_index=True
        )
        xy += [outline, inside]
        owners += [np.flatnonzero(wide)[owner], np.flatnonzero(wide)[areas][within]]
    everyone = np.concatenate(owners)
    order = np.argsort(everyone, kind="stable")
    return np.concatenate(xy)[order], everyone[order], wide


def anchor(rows: LayerRows, network: Network, *, step_m: float = 50.0) -> Anchors:
    """Find where the features of a layer meet the network.

    Points snap to the nearest road. Lines and polygons are reached where they are first touched:
    every `step_m` of their outline is a candidate, and the earliest counts.
    """
    places, owner, wide = _places(rows, network, step_m)
    first = np.searchsorted(owner, np.arange(len(rows)))
    positions = network.snapper.snap(places, MAX_SNAP_M)
    metres = np.nan_to_num(positions.distance_m, nan=0.0)
    access_ms = np.ceil(metres / OFF_ROAD_MPS * MS_PER_S).astype(np.int64)
    # Points of an area are not walked to from outside: touching the area is reaching it, and a
    # sample lies up to half a step from where the road really crosses the outline.
    access_ms[wide[owner] & (metres <= step_m / 2)] = 0
    return Anchors(rows, network, positions, access_ms, first)
