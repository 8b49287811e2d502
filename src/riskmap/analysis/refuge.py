"""Where people can go from a danger zone: shelters on foot, not through the zone nor the plume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.anchors import Anchors
from riskmap.analysis.danger import Danger
from riskmap.analysis.ground import Ground, Moment
from riskmap.analysis.plane import HAIR_M
from riskmap.analysis.routes import routes
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.within import SUITABLE, Near
from riskmap.catalog.spec import Layer, Role
from riskmap.errors import InputError, RiskmapError
from riskmap.features.summary import ADMITTING, STATUS
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions, positions_on
from riskmap.units import MS_PER_S, UNREACHED

WALK: Final = "walk"
MAX_WALK_MINUTES: Final = 180.0
# Why a shelter is not for these people, the worst first.
IN_ZONE, DOWNWIND, CLOSED, FULL, UNKNOWN, UNSUITABLE, UNREACHABLE, NO_WALK_NETWORK = REASONS = (
    "in_zone", "downwind", "not_open", "full", "capacity_unknown", "not_suitable",
    "not_reachable_on_foot", "no_walk_network",
)  # fmt: skip
_FULL_STATE: Final = "full"
# Ways are told for so many shelters, the shortest first.
_ROUTES: Final = 10


@dataclass(frozen=True, slots=True)
class RefugeQuery:
    """From what people flee, and how long they walk at most.

    Parameters
    ----------
    hazard
        As the shelters' field of suitable hazards has it.
    """

    hazard: str = "chemical"
    walk_minutes: float = 60.0

    def check(self, layers: Iterable[Layer]) -> None:
        """Refuse a hazard that no shelter can be suitable for, or a walk out of range.

        Raises
        ------
        InputError
            Names the parameter.
        """
        if not 0 < self.walk_minutes <= MAX_WALK_MINUTES:
            raise InputError(
                "around.range", parameter="walk_minutes", value=self.walk_minutes, least=0,
                most=MAX_WALK_MINUTES, least_sign=">",
            )  # fmt: skip
        fields = [field for layer in layers if (field := layer.field(SUITABLE)) is not None]
        known = sorted({str(value.code) for field in fields for value in field.values})
        if known and self.hazard not in known:
            raise InputError(
                "around.hazard", parameter="hazard", value=self.hazard[:40], known=", ".join(known)
            )


@dataclass(frozen=True, eq=False)
class Exits:
    """Where people leave the zone on foot, and the network without the streets that are shut.

    Attributes
    ----------
    starts
        Where streets cross the zone's edge outside of the plume.
    graph
        Streets wholly in the zone, and all that touch the plume, are closed in it.
    closed
        How many streets that are.
    """

    graph: RoadGraph
    starts: Positions
    closed: int


def exits(network: Network, danger: Danger) -> Exits:
    """Find the exits of a zone.

    All start at the same time at the zone's edge. A way through the zone would leave it at an
    exit, where another begins already: none of them is the shortest.
    """
    graph = network.graph
    zone, plume = (_local(shape, danger, network) for shape in (danger.zone, danger.plume))
    edges, lines = _touching(graph, [zone] if plume.is_empty else [zone, plume])
    shapely.prepare(zone)
    inside = shapely.covers(zone, lines)
    if plume.is_empty:
        smoky = np.zeros(len(edges), dtype=bool)
    else:
        # Up to the zone's edge the plume is the zone's: what only touches it there stays open.
        smoky = shapely.length(shapely.intersection(lines, plume)) > 0.01
    shut = edges[inside | smoky]
    forward, backward = graph.forward_ms.copy(), graph.backward_ms.copy()
    forward[shut] = backward[shut] = UNREACHED
    crossing = ~inside & ~smoky & shapely.intersects(zone, lines)
    cuts = shapely.intersection(lines[crossing], shapely.boundary(zone))
    points, owner = shapely.get_parts(cuts, return_index=True)
    at = shapely.get_type_id(points) == shapely.GeometryType.POINT
    points, owner = points[at], owner[at]
    share = shapely.line_locate_point(lines[crossing][owner], points, normalized=True)
    open_edge = edges[crossing][owner]
    usable = (graph.forward_ms[open_edge] != UNREACHED) | (
        graph.backward_ms[open_edge] != UNREACHED
    )
    starts = positions_on(graph, open_edge[usable], np.clip(share[usable], 0.0, 1.0))
    name = f"{graph.revision}+danger"
    return Exits(graph.with_times(forward, backward, revision=name), starts, len(shut))


def _local(shape: BaseGeometry, danger: Danger, network: Network) -> BaseGeometry:
    def moved(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return network.to_local(danger.plane.to_degrees(xy))

    # Rounding lets the plume touch itself where it begins at the zone's edge.
    return shape if shape.is_empty else shapely.make_valid(shapely.transform(shape, moved))


def _touching(
    graph: RoadGraph, areas: list[BaseGeometry]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    """Return the edges whose box meets that of all areas, and their lines."""
    if not graph.edge_count:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=object)
    first = graph.offsets[:-1]
    west, south, east, north = shapely.total_bounds(areas)
    low, high = (west, south), (east, north)
    near = np.ones(graph.edge_count, dtype=bool)
    for axis in (0, 1):
        values = graph.xy[:, axis]
        near &= np.minimum.reduceat(values, first) <= high[axis]
        near &= np.maximum.reduceat(values, first) >= low[axis]
    edges = np.flatnonzero(near)
    parts = [graph.xy[graph.offsets[edge] : graph.offsets[edge + 1]] for edge in edges]
    bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    xy = np.concatenate(parts) if parts else np.zeros((0, 2))
    lines: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, xy, (bounds,)
    )
    return edges, lines


@dataclass(frozen=True, eq=False)
class Walks:
    """The walks from a zone's edge to the shelters of a layer."""

    times: TravelTimes
    anchors: Anchors
    network: Network

    @cached_property
    def _ms(self) -> dict[int, int]:
        """Milliseconds by id, the last metres off the road included."""
        ms = self.anchors.arrival_ms(self.times)
        kept = ms <= self.times.limit_ms
        return dict(zip(self.anchors.rows.ids[kept].tolist(), ms[kept].tolist(), strict=True))

    def ms(self, feature_id: int) -> int:
        """Return how long the walk to a shelter takes, `UNREACHED` past the limit."""
        return self._ms.get(feature_id, UNREACHED)

    def route(self, feature_id: int) -> dict[str, Any] | None:
        """Return the way along the streets as GeoJSON, None where there is none."""
        (row,) = np.flatnonzero(self.anchors.rows.ids == feature_id)
        ends = np.append(self.anchors.first, len(self.anchors.positions))
        doors = np.arange(ends[row], ends[row + 1])
        there = self.anchors.positions
        some = Positions(
            there.edge[doors], there.fraction[doors], there.distance_m[doors], there.xy[doors]
        )
        ms = self.times.at(some).astype(np.int64)
        ms = np.where(ms == UNREACHED, UNREACHED, ms + self.anchors.access_ms[doors])
        best = np.array([int(np.argmin(ms))])
        one = Positions(some.edge[best], some.fraction[best], some.distance_m[best], some.xy[best])
        (found,) = routes(self.times, one, self.network)
        return None if found is None else {"type": "LineString", "coordinates": found.geometry}


def refuge(
    ground: Ground,
    moment: Moment,
    query: RefugeQuery,
    danger: Danger,
    shelters: Iterable[Near],
    widest_m: float,
    people: int | None,
) -> dict[str, Any]:
    """List the shelters for the people of a zone, the shortest walk first; the others with why.

    Parameters
    ----------
    shelters
        All that a walk might reach, and all within `widest_m`.
    widest_m
        Shelters that are not usable are told within so many metres of the place.
    people
        How many live in the zone; None: not known.
    """
    found = list(shelters)
    warnings: list[str] = []
    network: Network | None = None
    try:
        network = ground.network(moment, WALK)
    except RiskmapError as error:
        warnings.append(str(error))
    walks = _walks(ground, network, query, danger, found, warnings)
    usable: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for near, walk in zip(found, walks, strict=True):
        for row, told, reasons in _judged(near, walk, query, danger):
            if not reasons:
                usable.append(told)
            # Of those farther away than anything asked for only the usable ones are told.
            elif near.distance_m[row] <= widest_m + HAIR_M:
                refused.append({**told, "reasons": reasons})
    usable.sort(key=lambda one: (one["walk_s"], one["layer"], one["id"]))
    refused.sort(key=lambda one: (one["distance_m"], one["layer"], one["id"]))
    by_layer = {near.layer.id: walk for near, walk in zip(found, walks, strict=True)}
    for one in usable[:_ROUTES]:
        walk = by_layer[one["layer"]]
        one["route"] = None if walk is None else walk.route(one["id"])
    free = 0
    enough: int | None = None
    for rank, one in enumerate(usable, 1):
        free += one["free"]
        one["free_so_far"] = free
        if enough is None and people is not None and free >= people:
            enough = rank
    return {
        "hazard": query.hazard,
        "profile": WALK,
        "walk_minutes": query.walk_minutes,
        "walks_from": "edge of the danger zone",
        "avoids": ["zone"] if danger.sector is None else ["zone", "sector"],
        "usable": usable,
        "refused": refused,
        "refused_by_reason": {
            reason: sum(reason in one["reasons"] for one in refused) for reason in REASONS
        },
        "people": people,
        "free": free,
        "takes_in": None if people is None else min(people, free),
        "lacking": None if people is None else max(0, people - free),
        "enough_with": enough,
        "warnings": warnings,
    }


def _judged(
    near: Near, walk: Walks | None, query: RefugeQuery, danger: Danger
) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    """Yield the row of each shelter, what is told of it, and why it is none for these people."""
    zone, downwind = danger.split(near)
    for row in range(len(near.rows)):
        reasons = [IN_ZONE] if zone[row] else [DOWNWIND] if downwind[row] else []
        reasons += _reasons(near, row, query.hazard)
        ms = UNREACHED if walk is None else walk.ms(int(near.rows.ids[row]))
        if walk is None:
            reasons.append(NO_WALK_NETWORK)
        elif ms == UNREACHED and not zone[row] and not downwind[row]:
            reasons.append(UNREACHABLE)
        told = {
            "layer": near.layer.id,
            **near.told(row),
            "suitable": _suitable(near, row, query.hazard),
            "walk_s": None if ms == UNREACHED else ms / MS_PER_S,
        }
        yield row, told, reasons


def _walks(
    ground: Ground,
    network: Network | None,
    query: RefugeQuery,
    danger: Danger,
    shelters: list[Near],
    warnings: list[str],
) -> list[Walks | None]:
    """Return for each layer the walks from the zone's edge, None where there is no network."""
    if network is None:
        return [None for _ in shelters]
    limit_ms = round(query.walk_minutes * 60 * MS_PER_S)
    ways = exits(network, danger)
    if not len(ways.starts):
        warnings.append(str(InputError("around.no_exit", parameter=WALK)))
    times = search(ways.graph, ways.starts, np.zeros(len(ways.starts), dtype=np.int32), limit_ms)
    anchors = ground.anchored([near.layer for near in shelters], network)
    return [Walks(times, anchors[near.layer.id], network) for near in shelters]


def _suitable(near: Near, row: int, hazard: str) -> bool | None:
    """Say whether a shelter is for a hazard, None where its field says nothing."""
    values = near.rows.fields.get(SUITABLE, [None] * len(near.rows))[row]
    return None if values is None else hazard in values


def _reasons(near: Near, row: int, hazard: str) -> list[str]:
    """Say why a shelter takes nobody in, wherever it stands."""
    state = near.rows.fields.get(STATUS[Role.SHELTER], [None] * len(near.rows))[row]
    found = []
    if state == _FULL_STATE:
        found.append(FULL)
    elif state not in ADMITTING:
        found.append(CLOSED)
    elif near.rows.people[row] is None:
        found.append(UNKNOWN)
    elif near.rows.free_places[row] <= 0:
        found.append(FULL)
    if _suitable(near, row, hazard) is False:
        found.append(UNSUITABLE)
    return found
