"""The k nearest features of a layer by network time, from each place or toward it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS, Anchors
from riskmap.analysis.ground import Ground, facts
from riskmap.analysis.reach import route_told
from riskmap.analysis.response import METHOD, METHOD_HOUR, ResponseQuery, band_limits_ms
from riskmap.analysis.routes import routes
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.starts import find_starts
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import phases_of
from riskmap.catalog.spec import Layer, Role
from riskmap.errors import InputError
from riskmap.roads.graphs import Network
from riskmap.units import MS_PER_S, UNREACHED

MAX_K: Final = 100
# Each start is a search of its own: some milliseconds.
MAX_STARTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestQuery:
    """Starts and clocks as a circle has them, and of which layer the nearest are asked.

    Parameters
    ----------
    circle
        Its last minutes are the limit, inclusive; `toward` turns the direction of travel.
    layer
        Whose features are found.
    k
        How many for each start.
    with_routes
        Whether each has its way.
    """

    circle: ResponseQuery
    layer: Layer
    k: int = 1
    with_routes: bool = False


def nearest_features(ground: Ground, query: NearestQuery, watch: Stopwatch) -> dict[str, Any]:
    """Find the k nearest features for each start, as a GeoJSON FeatureCollection.

    Those that no road is near to, and those later than the limit, stand apart with their reason.

    Raises
    ------
    InputError, NotFoundError, UnprocessableError, UnavailableError
        As `riskmap.analysis.circles.circle`; `k` out of range, or too many starts.
    """
    if not 1 <= query.k <= MAX_K:
        raise InputError("parameter.value", parameter="k", value=query.k, expected=f"1 … {MAX_K}")
    with watch.stage("sql"):
        moment = ground.now()
        circle = query.circle.checked(moment.city.bbox)
        ground.check_kind(moment, circle.kind)
        phases = circle.phases(phases_of(moment.phases, circle.kind))
        network = ground.network(moment, phases.profile)
        graph = ground.graph_at(network, circle.when)
        anchors = ground.anchored([query.layer], network, moment)[query.layer.id]
    with watch.stage("snap"):
        starts = find_starts(ground, moment, circle, phases, network)
    if len(starts) > MAX_STARTS:
        raise InputError("response.starts", parameter="points", most=MAX_STARTS)
    limit_ms = band_limits_ms(circle)[-1]
    features: list[dict[str, Any]] = []
    late = []
    for start in range(len(starts)):
        positions, clock = starts.only(start)
        with watch.stage("search"):
            times = search(graph, positions, clock, limit_ms, reverse=circle.toward)
            # A team stands on its own road; to anything else the last metres are walked.
            ms = anchors.arrival_ms(times, walked=query.layer.role is not Role.TEAM)
        found = np.flatnonzero(ms <= limit_ms)
        rows = found[np.lexsort((anchors.rows.ids[found], ms[found]))][: query.k]
        late.append(int(len(ms) - len(found) - anchors.far.sum()))
        with watch.stage("routes"):
            ways: list[dict[str, Any] | None] = [None] * len(rows)
            if query.with_routes:
                ways = [*_ways(times, anchors, rows, network)]
        features += [
            _feature(anchors, int(row), start, rank, int(ms[row]), ways[rank - 1])
            for rank, row in enumerate(rows.tolist(), 1)
        ]
    far = np.flatnonzero(anchors.far)
    return {
        "type": "FeatureCollection",
        "features": features,
        "layer": query.layer.id,
        "k": query.k,
        "minutes": circle.minutes[-1],
        "unreachable": [
            {"layer": query.layer.id, "id": int(anchors.rows.ids[row]), "reason": "no_road"}
            for row in far[:MAX_K].tolist()
        ],
        "unreachable_count": {"no_road": len(far), "out_of_reach_by_start": late},
        "method": METHOD if circle.when is None else METHOD_HOUR,
        "profile": phases.profile,
        "preset": circle.preset,
        "direction": "toward" if circle.toward else "from",
        "phases": {
            "call_handling_s": phases.call_handling_s,
            "turnout_s": phases.turnout_s,
            "setup_s": phases.setup_s,
        },
        "off_road_mps": OFF_ROAD_MPS,
        "snap_limit_m": MAX_SNAP_M,
        "starts": starts.told,
        "not_snapped": starts.unsnapped,
        "warnings": [] if len(anchors.rows) else [{"code": "layer_empty", "layer": query.layer.id}],
        **ground.hour_facts(network, circle.when),
        **facts(network, moment, phases.profile),
    }


def _ways(
    times: TravelTimes, anchors: Anchors, rows: npt.NDArray[np.int64], network: Network
) -> list[dict[str, Any]]:
    """Return the way to the position by which each feature is reached first."""
    last = np.append(anchors.first, len(anchors.positions))
    at = times.at(anchors.positions).astype(np.int64)
    walk_ms = 0 if anchors.rows.layer.role is Role.TEAM else anchors.access_ms
    at = np.where(at == UNREACHED, UNREACHED, at + walk_ms)
    picked = [last[row] + int(np.argmin(at[last[row] : last[row + 1]])) for row in rows]
    some = anchors.positions.some(np.array(picked, dtype=np.int64))
    return [route_told(way) for way in routes(times, some, network)]


def _feature(
    anchors: Anchors, row: int, start: int, rank: int, ms: int, way: dict[str, Any] | None
) -> dict[str, Any]:
    rows = anchors.rows
    place = rows.shapes[row].representative_point()
    lonlat = [round(place.x, 7), round(place.y, 7)]
    point: dict[str, Any] = {"type": "Point", "coordinates": lonlat}
    named = {name: rows.fields[name][row] for name in sorted(rows.fields)}
    return {
        "type": "Feature",
        "geometry": point if way is None or way["route"] is None else way["route"],
        "properties": {
            "start": start,
            "rank": rank,
            "arrival_s": ms / MS_PER_S,
            "layer": rows.layer.id,
            "id": int(rows.ids[row]),
            "lon": lonlat[0],
            "lat": lonlat[1],
            **({} if way is None else {"distance_m": way["distance_m"]}),
            **{name: value for name, value in named.items() if not isinstance(value, list)},
        },
    }
