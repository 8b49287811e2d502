"""周边分析: what lies within so many metres or minutes of a place, and who can be sent where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors, anchor
from riskmap.analysis.danger import Danger, DangerQuery, polygon_geojson, read_danger
from riskmap.analysis.ground import Ground, Moment, facts
from riskmap.analysis.places import Place, check_inside, read_feature
from riskmap.analysis.plane import HAIR_M, Plane
from riskmap.analysis.refuge import RefugeQuery, refuge
from riskmap.analysis.response import COUNTED_ROLES, MAX_MINUTES, METHOD, people_in
from riskmap.analysis.search import search
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import LayerRows, is_filled
from riskmap.analysis.within import (
    Near,
    People,
    count_near,
    empty_layers,
    read_near,
    read_people,
)
from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import ReadSession
from riskmap.errors import InputError, UnprocessableError
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, UNREACHED, Bbox

MAX_RADIUS_M: Final = 50_000.0
MAX_RINGS: Final = 12
MAX_LISTED: Final = 1_000
DEFAULT_RADIUS_M: Final = (500.0, 1_000.0, 3_000.0)
DEFAULT_LIMIT: Final = 20
STRAIGHT: Final = "straight_line"
# No network's walkers are faster: what they reach lies within so many metres a second.
_FASTEST_WALK_MPS: Final = 2.5
# Layers that no analysis reads, and the cells, which are counted as people.
_UNLISTED: Final = (Role.CONTEXT, Role.POPULATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurroundingsQuery:
    """A question for what lies around a place.

    Parameters
    ----------
    place
        A shape, or `layer/id` of a feature.
    radius_m, minutes
        Free lists; neither: 500, 1000 and 3000 m.
    profile
        Who moves within the minutes; None: as a bare point's team.
    limit
        How many features of each layer are listed.
    """

    place: Place | str
    radius_m: tuple[float, ...] = ()
    minutes: tuple[float, ...] = ()
    profile: str | None = None
    limit: int = DEFAULT_LIMIT
    danger: DangerQuery = field(default_factory=DangerQuery)
    refuge: RefugeQuery = field(default_factory=RefugeQuery)

    def checked(self) -> SurroundingsQuery:
        """Return the query with its lists in order, or say what is wrong with it.

        Raises
        ------
        InputError
            Names the parameter.
        """
        for name, values, most in (
            ("radius_m", self.radius_m, MAX_RADIUS_M),
            ("minutes", self.minutes, MAX_MINUTES),
        ):
            if len(values) > MAX_RINGS:
                raise InputError("around.many", parameter=name, most=MAX_RINGS)
            for value in values:
                if not (math.isfinite(value) and 0 < value <= most):
                    raise InputError(
                        "around.range", parameter=name, value=value, least=0, most=most,
                        least_sign=">",
                    )  # fmt: skip
        if not 0 <= self.limit <= MAX_LISTED:
            raise InputError(
                "around.range", parameter="limit", value=self.limit, least=0, most=MAX_LISTED,
                least_sign="≥",
            )  # fmt: skip
        self.danger.check()
        radius_m = tuple(sorted(set(self.radius_m)))
        if not radius_m and not self.minutes:
            radius_m = DEFAULT_RADIUS_M
        return replace(self, radius_m=radius_m, minutes=tuple(sorted(set(self.minutes))))


@dataclass(frozen=True, eq=False)
class Reach:
    """What the network says: when each feature of some layers is reached from the place."""

    network: Network
    anchors: Mapping[str, Anchors]
    arrival_ms: Mapping[str, npt.NDArray[np.int64]]
    limit_ms: int
    starts: Positions

    def by_id(self, layer: Layer) -> dict[int, int]:
        """Return the arrivals of a layer by id, within the limit."""
        found = self.anchors.get(layer.id)
        if found is None:
            return {}
        ms = self.arrival_ms[layer.id]
        inside = ms <= self.limit_ms
        return dict(zip(found.rows.ids[inside].tolist(), ms[inside].tolist(), strict=True))

    def box(self) -> Bbox | None:
        """Return the box of all that is reached, None for nothing."""
        shapes = [
            found.rows.shapes[self.arrival_ms[name] <= self.limit_ms]
            for name, found in self.anchors.items()
            if found.rows.layer.role not in _UNLISTED
        ]
        joined = np.concatenate(shapes) if shapes else np.zeros(0, dtype=object)
        return Bbox(*map(float, shapely.total_bounds(joined))) if len(joined) else None


def surroundings(ground: Ground, query: SurroundingsQuery, watch: Stopwatch) -> dict[str, Any]:
    """List and count what lies around a place.

    Raises
    ------
    InputError
        A parameter cannot be, or (422) the place has no road near and minutes are asked for.
    NotFoundError
        There is no such feature.
    UnavailableError
        There is no city, or minutes are asked for and there is no road network yet.
    """
    query = query.checked()
    catalog = ground.catalog
    shelters = catalog.with_role(Role.SHELTER)
    query.refuge.check(shelters)
    with watch.stage("sql"):
        moment = ground.now()
        place = _place(ground, query.place)
        check_inside(place, moment.city.bbox)
    plane = Plane(place.shape)
    with watch.stage("search"):
        reach = _reach(ground, moment, query, place)
    layers = [layer for layer in catalog.values() if layer.role not in _UNLISTED]
    with watch.stage("sql"), ground.database.read() as session:
        danger = None
        if query.danger.asked:
            danger = read_danger(session, query.danger, place, plane)
        widest_m = _widest_m(query, danger)
        box = _joined(plane.box(widest_m), None if reach is None else reach.box())
        # Shelters within a walk may lie beyond all that is asked for.
        far = plane.box(widest_m if danger is None else _walk_m(query, danger))
        near = [
            read_near(
                session,
                layer,
                plane,
                _joined(box, far) if layer.role is Role.SHELTER else box,
                {} if reach is None else reach.by_id(layer),
            )
            for layer in layers
        ]
        empty = empty_layers(session, [one.layer for one in near if not len(one.rows)])
        people = _people(session, catalog.population, plane, widest_m)
    with watch.stage("count"):
        answer = _answer(query, place, plane, near, empty, people, reach, moment)
        if people is None:
            answer["warnings"].append(
                str(InputError("around.no_people", parameter=catalog.population.id))
            )
    if danger is not None:
        with watch.stage("danger"):
            answer |= _dangers(ground, moment, query, danger, near, people, answer["warnings"])
    return answer


def _place(ground: Ground, place: Place | str) -> Place:
    if isinstance(place, Place):
        return place
    with ground.database.read() as session:
        return read_feature(session, ground.catalog, place)


def _widest_m(query: SurroundingsQuery, danger: Danger | None) -> float:
    """Return within how many metres anything is asked for."""
    found = [*query.radius_m]
    if danger is not None:
        found.append(danger.radius_m)
        if danger.sector is not None:
            found.append(danger.sector.downwind_m)
    return max(found, default=0.0)


def _walk_m(query: SurroundingsQuery, danger: Danger) -> float:
    """Return how far from the place a walk from the zone's edge may end."""
    return danger.radius_m + query.refuge.walk_minutes * 60 * _FASTEST_WALK_MPS


def _joined(one: Bbox, other: Bbox | None) -> Bbox:
    if other is None:
        return one
    return Bbox(
        min(one.west, other.west),
        min(one.south, other.south),
        max(one.east, other.east),
        max(one.north, other.north),
    )


def _people(session: ReadSession, layer: Layer, plane: Plane, radius_m: float) -> People | None:
    """Read the cells, None where the city has none."""
    return read_people(session, layer, plane, radius_m) if is_filled(session, layer) else None


def _reach(ground: Ground, moment: Moment, query: SurroundingsQuery, place: Place) -> Reach | None:
    """Search the network from the place; None where no minutes are asked for.

    A line or area is left wherever a road meets its outline; see `riskmap.analysis.anchors`.
    """
    if not query.minutes:
        return None
    network = ground.network(moment, query.profile or moment.default_profile)
    layers = ground.catalog.with_role(Role.POPULATION, *COUNTED_ROLES)
    anchors = ground.anchored(layers, network)
    # Any layer serves: only the shape is read.
    alone = LayerRows(
        layers[0], 0, np.zeros(1, dtype=np.int64), np.array([place.shape], dtype=object), {}
    )
    doors = anchor(alone, network)
    if doors.far.all():
        raise UnprocessableError(
            "around.far", parameter=place.parameter, most=MAX_SNAP_M, profile=network.graph.profile
        )
    limit_ms = round(max(query.minutes) * 60 * MS_PER_S)
    times = search(network.graph, doors.positions, doors.access_ms, limit_ms)
    arrivals = {name: found.arrival_ms(times) for name, found in anchors.items()}
    return Reach(network, anchors, arrivals, limit_ms, doors.positions)


def _answer(
    query: SurroundingsQuery,
    place: Place,
    plane: Plane,
    near: list[Near],
    empty: list[str],
    people: People | None,
    reach: Reach | None,
    moment: Moment,
) -> dict[str, Any]:
    """Put the answer together, but for dangers."""
    widest_m = max(query.radius_m, default=-1.0)
    inside = {
        one.layer.id: (one.distance_m <= widest_m + HAIR_M) | (one.arrival_ms != UNREACHED)
        for one in near
    }
    return {
        "place": place.described(),
        "radius_m": list(query.radius_m),
        "minutes": list(query.minutes),
        "profile": None if reach is None else reach.network.graph.profile,
        "rings": [_ring(radius_m, near, people, plane) for radius_m in query.radius_m],
        "reached": [] if reach is None else [_reached(m, reach) for m in query.minutes],
        "layers": {
            one.layer.id: {
                "title": one.layer.title.zh,
                "title_en": one.layer.title.en,
                "role": one.layer.role.value,
                "count": int(inside[one.layer.id].sum()),
                "features": [
                    one.told(row) for row in one.order(inside[one.layer.id])[: query.limit]
                ],
            }
            for one in near
        },
        "empty_layers": empty,
        "none_in_range": [
            name for name, found in inside.items() if not found.any() and name not in empty
        ],
        "snapped": [] if reach is None else _snapped(reach),
        "off_road_mps": OFF_ROAD_MPS,
        "method": _method(query),
        "warnings": [],
        **_facts(moment, reach),
    }


def _ring(radius_m: float, near: list[Near], people: People | None, plane: Plane) -> dict[str, Any]:
    area = plane.around(radius_m)
    return {
        "radius_m": radius_m,
        "area_km2": round(area.area / 1e6, 3),
        "people": None if people is None else people.inside(area),
        "layers": {
            one.layer.id: count_near(one.rows, one.distance_m <= radius_m + HAIR_M) for one in near
        },
        "geometry": polygon_geojson(area, plane),
    }


def _reached(minutes: float, reach: Reach) -> dict[str, Any]:
    limit_ms = round(minutes * 60 * MS_PER_S)
    people: int | None = None
    layers: dict[str, Any] = {}
    for name, found in reach.anchors.items():
        inside = reach.arrival_ms[name] <= limit_ms
        if found.rows.layer.role is not Role.POPULATION:
            layers[name] = count_near(found.rows, inside)
        elif len(found.rows):
            people = people_in(found.rows, inside)
    return {"minutes": minutes, "people": people, "layers": layers}


def _snapped(reach: Reach) -> list[dict[str, Any]]:
    """Say where the place meets the roads: for a long outline its first meetings."""
    starts = reach.starts
    rows = np.flatnonzero(starts.found)[:20]
    degrees = reach.network.to_lonlat(starts.xy[rows])
    return [
        {
            "lon": round(float(lon), 7),
            "lat": round(float(lat), 7),
            "snap_distance_m": round(float(starts.distance_m[row]), 1),
        }
        for row, (lon, lat) in zip(rows, degrees, strict=True)
    ]


def _method(query: SurroundingsQuery) -> str:
    used = [STRAIGHT] if query.radius_m else []
    return ", ".join([*used, METHOD] if query.minutes else used)


def _facts(moment: Moment, reach: Reach | None) -> dict[str, Any]:
    if reach is not None:
        return facts(reach.network, moment)
    return {
        "network_revision": moment.revision,
        "speed_source": [],
        "synthetic": moment.city.synthetic,
    }


def _dangers(
    ground: Ground,
    moment: Moment,
    query: SurroundingsQuery,
    danger: Danger,
    near: list[Near],
    people: People | None,
    warnings: list[str],
) -> dict[str, Any]:
    """Tell apart what lies in the zone and in the sector, and where people can go."""
    told = danger.told()
    split = [(one, *danger.split(one)) for one in near]
    told["zone_layers"] = {one.layer.id: count_near(one.rows, zone) for one, zone, _ in split}
    told["sector_layers"] = {one.layer.id: count_near(one.rows, wind) for one, _, wind in split}
    told["people_in_zone"] = None if people is None else people.inside(danger.zone)
    told["people_in_sector"] = None if people is None else people.inside(danger.plume)
    wind = query.danger
    if danger.sector is not None and wind.wind_speed_mps is None and wind.sector_deg is None:
        warnings.append(str(InputError("around.light_wind", parameter="wind_speed_mps")))
    widest_m = _widest_m(query, danger)
    shelters = [one for one in near if one.layer.role is Role.SHELTER]
    found = refuge(ground, moment, query.refuge, danger, shelters, widest_m, told["people_in_zone"])
    return {"danger": told, "refuge": found}
