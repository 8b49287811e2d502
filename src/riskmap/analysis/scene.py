"""What all parts of a circle's answer share: the search, the counts, the drawing as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson

from riskmap.analysis.anchors import OFF_ROAD_MPS, Anchors
from riskmap.analysis.contours import HORIZON_MS
from riskmap.analysis.encode import multipolygon, to_degrees
from riskmap.analysis.polygons import MAX_CELLS, Rings, Surface, travel_surface
from riskmap.analysis.response import Cutoff, Output, ResponseQuery, count_bands
from riskmap.analysis.search import TravelTimes, search
from riskmap.analysis.starts import Starts
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.table import arrival_of_each
from riskmap.crs.datum import Datum
from riskmap.roads.graph import RoadGraph
from riskmap.roads.graphs import Network


@dataclass(frozen=True, eq=False)
class Scene:
    """What all parts of one answer share."""

    query: ResponseQuery
    network: Network
    graph: RoadGraph
    anchors: dict[str, Anchors]
    population: str
    limits_ms: list[int]
    datum: Datum
    watch: Stopwatch

    def search(self, starts: Starts, start: int | None = None) -> TravelTimes:
        """Search from all starts or from one, as far past the last band as drawing asks for."""
        positions, clock = (
            (starts.positions, starts.start_ms) if start is None else starts.only(start)
        )
        limit_ms = self.limits_ms[-1]
        if self.query.output is Output.BANDS:
            limit_ms += HORIZON_MS
        with self.watch.stage("search"):
            return search(self.graph, positions, clock, limit_ms, reverse=self.query.toward)

    def surface(self, times: TravelTimes, cell_m: float | None = None) -> Surface:
        """Return the travel-time raster of a search, of the asked cell or a coarser one."""
        return travel_surface(
            self.graph,
            times,
            cell_m=cell_m or self.query.cell_m,
            off_road_mps=OFF_ROAD_MPS,
            off_road_max_m=self.query.access_m,
            max_cells=MAX_CELLS,
        )


def arrivals_of(scene: Scene, times: TravelTimes) -> dict[str, Any]:
    """Return when each feature of each layer is reached, int64[n] milliseconds."""
    with scene.watch.stage("count"):
        return {name: arrival_of_each(times, found) for name, found in scene.anchors.items()}


def differences(counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what each band counts beyond the one before it."""

    def less(wide: Any, narrow: Any) -> Any:
        if isinstance(wide, dict):
            return {name: less(value, narrow[name]) for name, value in wide.items()}
        return wide - narrow

    return [counts[0], *(less(wide, narrow) for narrow, wide in pairwise(counts))]


def counts_of(scene: Scene, arrivals: dict[str, Any]) -> list[dict[str, Any]]:
    """Return people and layers of each band; a ring counts what the band before does not."""
    limits = scene.limits_ms
    layers = {
        name: count_bands(found.rows, arrivals[name], limits)
        for name, found in scene.anchors.items()
    }
    if scene.query.cutoff is Cutoff.RINGS:
        layers = {name: differences(counts) for name, counts in layers.items()}
    people = layers.pop(scene.population)
    return [
        {
            "people": people[band]["people"],
            "layers": {name: counts[band] for name, counts in layers.items()},
        }
        for band in range(len(limits))
    ]


def geometries_of(rings: Sequence[Rings], scene: Scene) -> list[orjson.Fragment]:
    """Write areas as GeoJSON: 7 decimals (1 cm), outer rings counter-clockwise (RFC 7946)."""
    with scene.watch.stage("encode"):
        bounds = np.cumsum([len(area.xy) for area in rings])[:-1]
        degrees = to_degrees(np.concatenate([area.xy for area in rings]), scene.network.to_lonlat)
        if scene.datum is not Datum.WGS84:
            degrees = scene.datum.from_wgs84(degrees)
        return [
            orjson.Fragment(multipolygon(xy, area.first, area.owner))
            for xy, area in zip(np.split(degrees, bounds), rings, strict=True)
        ]


def band_features(
    scene: Scene,
    areas: Sequence[Rings],
    arrivals: dict[str, Any],
    named: dict[str, Any],
    begin_s: float | None = None,
) -> list[dict[str, Any]]:
    """Return one feature for each band, the widest first so that maps stack them.

    Parameters
    ----------
    areas
        One for each of the query's minutes.
    arrivals
        When each feature of each layer is reached, milliseconds; see `arrivals_of`.
    named
        What every band says of itself before its minutes: which start, how many starts.
    begin_s
        When the first start moves, seconds after the alarm; None where it is not told.
    """
    geometries = geometries_of(areas, scene)
    with scene.watch.stage("count"):
        told = counts_of(scene, arrivals)
    return [
        {
            "type": "Feature",
            "geometry": geometry,
            "properties": {
                **named,
                "minutes": minutes,
                **({} if begin_s is None else {"travel_s": max(0.0, minutes * 60 - begin_s)}),
                "area_km2": round(area.area_m2 / 1e6, 3),
                **inside,
            },
        }
        for minutes, area, geometry, inside in zip(
            scene.query.minutes, areas, geometries, told, strict=True
        )
    ][::-1]
