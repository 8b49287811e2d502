"""The straight line of a circle: query -> starts -> search -> count -> draw -> answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from riskmap.analysis import overlap
from riskmap.analysis.anchors import MAX_SNAP_M, OFF_ROAD_MPS
from riskmap.analysis.ground import Ground, facts
from riskmap.analysis.outputs import edges_features, points_features
from riskmap.analysis.polygons import contours
from riskmap.analysis.response import (
    COUNTED_ROLES,
    METHOD,
    METHOD_HOUR,
    Cutoff,
    Output,
    Overlap,
    ResponseQuery,
    band_limits_ms,
    people_by_minute,
)
from riskmap.analysis.scene import Scene, arrivals_of, band_features
from riskmap.analysis.search import TravelTimes
from riskmap.analysis.starts import Starts, find_starts
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import Phases, phases_of
from riskmap.catalog.spec import Role
from riskmap.crs.datum import Datum
from riskmap.roads.graph import RoadGraph
from riskmap.units import MS_PER_S


def circle(
    ground: Ground, query: ResponseQuery, watch: Stopwatch, datum: Datum = Datum.WGS84
) -> dict[str, Any]:
    """Compute response circles as a GeoJSON FeatureCollection; geometries are JSON fragments.

    Parameters
    ----------
    datum
        What the areas are written in; all other positions are WGS 84.

    Raises
    ------
    InputError
        A parameter cannot be, or (422) no start has a road near.
    NotFoundError
        There is no such feature.
    UnavailableError
        There is no city or no road network yet.
    """
    with watch.stage("sql"):
        moment = ground.now()
        asked = query.minutes
        query = query.checked(moment.city.bbox)
        ground.check_kind(moment, query.kind)
        phases = query.phases(phases_of(moment.phases, query.kind))
        network = ground.network(moment, phases.profile)
        layers = ground.catalog.with_role(Role.POPULATION, *COUNTED_ROLES)
        anchors = ground.anchored(layers, network, moment)
        graph = ground.graph_at(network, query.when)
    with watch.stage("snap"):
        starts = find_starts(ground, moment, query, phases, network)
    scene = Scene(
        query, network, graph, anchors, ground.catalog.population.id, band_limits_ms(query), datum,
        watch,
    )  # fmt: skip
    if query.output is Output.EDGES:
        features = edges_features(scene.search(starts), network, datum)
        by_minute = None
    elif query.output is Output.POINTS:
        features = points_features(scene.search(starts), network, datum)
        by_minute = None
    else:
        features, by_minute = _bands(scene, starts)
    warnings = _warnings(asked, starts, phases, graph)
    return {
        "type": "FeatureCollection",
        "features": features,
        "method": METHOD if query.when is None else METHOD_HOUR,
        "profile": phases.profile,
        "preset": query.preset,
        "direction": "toward" if query.toward else "from",
        "overlap": query.overlap.value,
        "cutoff": query.cutoff.value,
        **({} if by_minute is None else {"people_by_minute": by_minute}),
        "phases": {
            "kind": phases.kind,
            "call_handling_s": phases.call_handling_s,
            "turnout_s": phases.turnout_s,
            "setup_s": phases.setup_s,
            "source": phases.source,
        },
        "off_road_mps": OFF_ROAD_MPS,
        "cell_m": query.cell_m,
        "access_m": query.access_m,
        "snap_limit_m": MAX_SNAP_M,
        "starts": starts.told,
        "not_snapped": starts.unsnapped,
        "warnings": warnings,
        **ground.hour_facts(network, query.when),
        **facts(network, moment, phases.profile),
    }


def _warnings(
    asked: Sequence[float], starts: Starts, phases: Phases, graph: RoadGraph
) -> list[dict[str, Any]]:
    """Say what was read differently from how it was asked."""
    found: list[dict[str, Any]] = []
    if list(asked) != sorted(set(asked)):
        found.append({"code": "minutes_sorted", "parameter": "minutes"})
    if starts.unsnapped:
        found.append({"code": "not_snapped", "count": len(starts.unsnapped)})
    others = sum("own_profile" in one for one in starts.told)
    if others:
        found.append({"code": "other_profile", "count": others, "profile": phases.profile})
    if islands := sum(one["island_nodes"] is not None for one in starts.told):
        found.append({"code": "island", "count": islands})
    return found


def _bands(scene: Scene, starts: Starts) -> tuple[list[dict[str, Any]], list[int] | None]:
    """Return the features of all bands, the widest first so that maps stack them."""
    query = scene.query
    if query.overlap is Overlap.SEPARATE:
        features = []
        for start in range(len(starts)):
            times = scene.search(starts, start)
            features += _features(scene, times, {"start": start})
        return features, None
    if query.overlap is Overlap.COUNT:
        each = [scene.search(starts, start) for start in range(len(starts))]
        return overlap.count_features(scene, each), None
    times = scene.search(starts)
    if query.overlap is Overlap.NEAREST:
        return overlap.nearest_features(scene, times, starts), None
    people = scene.anchors[scene.population]
    arrivals = arrivals_of(scene, times)
    minutes = people_by_minute(people.rows, arrivals[scene.population], query.minutes[-1])
    return _features(scene, times, {}, arrivals), minutes


def _features(
    scene: Scene,
    times: TravelTimes,
    named: dict[str, Any],
    arrivals: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return one feature for each band of a search, each the whole disk up to its minutes."""
    query = scene.query
    with scene.watch.stage("polygon"):
        surface = scene.surface(times)
        rings = contours(surface, scene.limits_ms)
        rings = rings if query.cutoff is Cutoff.DISKS else overlap.without_the_one_before(rings)
    arrivals = arrivals_of(scene, times) if arrivals is None else arrivals
    begin_s = int(times.start_ms.min()) / MS_PER_S
    return band_features(scene, rings, arrivals, named, begin_s)
