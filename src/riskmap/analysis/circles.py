"""The straight line of a circle: query -> snap -> search -> bands -> answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from shapely import MultiPolygon

from riskmap.analysis.anchors import OFF_ROAD_MPS
from riskmap.analysis.ground import Ground, facts, snap_places
from riskmap.analysis.polygons import bands
from riskmap.analysis.response import (
    COUNTED_ROLES,
    ResponseQuery,
    bands_geojson,
    travel_limits_ms,
)
from riskmap.analysis.search import search
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.store import phases_of
from riskmap.catalog.spec import Role


def circle(ground: Ground, query: ResponseQuery, watch: Stopwatch) -> dict[str, Any]:
    """Compute response circles as a GeoJSON FeatureCollection.

    Raises
    ------
    InputError
        A parameter cannot be, or (422) a start has no road near.
    UnavailableError
        There is no city or no road network yet.
    """
    with watch.stage("sql"):
        moment = ground.now()
        query = query.checked(moment.city.bbox)
        ground.check_kind(moment, query.kind)
        phases = query.phases(phases_of(moment.phases, query.kind))
        network = ground.network(moment, phases.profile)
        layers = ground.catalog.with_role(Role.POPULATION, *COUNTED_ROLES)
        anchors = ground.anchored(layers, network)
    limits_ms = travel_limits_ms(query, phases)
    with watch.stage("snap"):
        starts = snap_places(network, query.starts, "points")
    with watch.stage("search"):
        start_ms = np.zeros(len(starts), dtype=np.int32)
        times = search(network.graph, starts, start_ms, max(0, *limits_ms))
    with watch.stage("polygon"):
        # Bands that the phases leave no time for are empty, and two that round to the same
        # millisecond are one drawing: `bands` wants ascending limits from 0.
        feasible = sorted({limit for limit in limits_ms if limit >= 0}) or [0]
        drawn = bands(network.graph, times, feasible, off_road_mps=OFF_ROAD_MPS)
        shapes = dict(zip(feasible, drawn.polygons, strict=True))
    with watch.stage("count"):
        return bands_geojson(
            query=query,
            phases=phases,
            limits_ms=limits_ms,
            shapes=[shapes[ms] if ms >= 0 else MultiPolygon() for ms in limits_ms],
            cell_m=drawn.cell_m,
            times=times,
            network=network,
            anchors=anchors,
            population=ground.catalog.population.id,
            facts=facts(network, moment),
        )
