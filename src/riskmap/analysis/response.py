"""Response circles: who and what is reached within so many minutes of a start.

The clock runs from the alarm: call handling + turnout + travel (+ set-up at the place) must fit
into the minutes asked for, inclusive. Travel alone is what the network decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon

from riskmap.analysis.anchors import OFF_ROAD_MPS, Anchors
from riskmap.analysis.search import TravelTimes
from riskmap.analysis.store import MICRO, LayerRows, Phases
from riskmap.catalog.spec import Role
from riskmap.errors import InputError
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, Bbox, LonLat

MAX_MINUTES: Final = 120.0
MAX_BANDS: Final = 12
MAX_STARTS: Final = 100
METHOD: Final = "network_free_flow"
DECIMALS: Final = 7
# What people ask of a circle, besides the people in it.
COUNTED_ROLES: Final = (
    Role.HAZARD,
    Role.SOURCE,
    Role.ENTERPRISE,
    Role.SHELTER,
    Role.TEAM,
    Role.DEPOT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseQuery:
    """A question for a response circle.

    Parameters
    ----------
    starts
        Where help starts; of several the nearest counts.
    minutes
        Bands, minutes after the alarm, ascending.
    kind
        Kind of team, whose phases and profile serve where none are given.
    """

    starts: tuple[LonLat, ...]
    minutes: tuple[float, ...]
    kind: str | None = None
    profile: str | None = None
    call_handling_s: float | None = None
    turnout_s: float | None = None
    setup_s: float | None = None

    def checked(self, box: Bbox) -> ResponseQuery:
        """Return the query with its minutes in order, or say what is wrong with it.

        Raises
        ------
        InputError
            Names the parameter: a start outside the city, minutes out of range, a negative phase.
        """
        if not 1 <= len(self.starts) <= MAX_STARTS:
            raise InputError("response.starts", parameter="points", most=MAX_STARTS)
        for row, start in enumerate(self.starts):
            check_place(start, box, f"points[{row}]")
        if not 1 <= len(self.minutes) <= MAX_BANDS:
            raise InputError("response.bands", parameter="minutes", most=MAX_BANDS)
        for minutes in self.minutes:
            if not 0 < minutes <= MAX_MINUTES:
                raise InputError(
                    "response.minutes", parameter="minutes", value=minutes, most=MAX_MINUTES
                )
        for name in ("call_handling_s", "turnout_s", "setup_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 3600:
                raise InputError("response.phase", parameter=name, value=value)
        return ResponseQuery(
            starts=self.starts,
            minutes=tuple(sorted(set(self.minutes))),
            kind=self.kind,
            profile=self.profile,
            call_handling_s=self.call_handling_s,
            turnout_s=self.turnout_s,
            setup_s=self.setup_s,
        )

    def phases(self, default: Phases) -> Phases:
        """Return the phases that count: those given, the kind's own otherwise."""

        def given(value: float | None, fallback: float) -> float:
            return fallback if value is None else value

        return Phases(
            kind=default.kind,
            profile=default.profile if self.profile is None else self.profile,
            call_handling_s=given(self.call_handling_s, default.call_handling_s),
            turnout_s=given(self.turnout_s, default.turnout_s),
            setup_s=given(self.setup_s, default.setup_s),
            source=default.source,
        )


def check_place(place: LonLat, box: Bbox, parameter: str) -> None:
    """Refuse a position that is not finite or lies outside the city's box."""
    if not box.contains(*place):
        hint = "response.outside_swapped" if box.contains(place.lat, place.lon) else None
        raise InputError(
            hint or "response.outside",
            parameter=parameter,
            lon=place.lon,
            lat=place.lat,
            bbox=",".join(f"{value:g}" for value in box),
        )


def travel_limits_ms(query: ResponseQuery, phases: Phases) -> list[int]:
    """Return what is left of each band for travel, milliseconds; -1 when nothing is."""
    spent = round((phases.before_travel_s + phases.setup_s) * MS_PER_S)
    return [max(-1, round(minutes * 60 * MS_PER_S) - spent) for minutes in query.minutes]


def count_inside(
    anchors: Anchors, arrival_ms: npt.NDArray[np.int64], limit_ms: int
) -> dict[str, Any]:
    """Count the features reached within a limit: by risk level where they have one, and people.

    A null level is 未评估 and has a count of its own, never that of low.
    """
    rows, inside = anchors.rows, arrival_ms <= limit_ms
    found: dict[str, Any] = {"count": int(inside.sum())}
    if rows.layer.assessed:
        found["by_risk_level"] = count_levels(rows.level[inside])
    if rows.layer.people is not None:
        found["people"] = people_in(rows, inside)
        # A sum over features of which some say nothing is a least number: say how many.
        found["people_unknown"] = int((inside & ~rows.people_known).sum())
    if rows.layer.role is Role.SHELTER:
        found["free"] = int(rows.free_places[inside].sum())
    return found


def count_levels(levels: npt.NDArray[np.int8]) -> dict[str, int]:
    """Count risk levels by their names, 0 as null."""
    null, *counts = np.bincount(levels, minlength=5).tolist()
    return {**{str(level): count for level, count in enumerate(counts, 1)}, "null": null}


def people_in(rows: LayerRows, inside: npt.NDArray[np.bool_]) -> int:
    """Add up the people at some features."""
    return round(int(rows.micro_people[inside].sum()) / MICRO)


def people_by_minute(
    rows: LayerRows, arrival_ms: npt.NDArray[np.int64], query: ResponseQuery, phases: Phases
) -> list[int]:
    """Return how many people are reached by each minute after the alarm, 0 to the widest band."""
    minutes = tuple(float(minute) for minute in range(int(max(query.minutes)) + 1))
    limits_ms = np.array(travel_limits_ms(replace(query, minutes=minutes), phases))
    # The first minute whose limit a place is within: each place is added once.
    minute = np.searchsorted(limits_ms, arrival_ms)
    added = np.zeros(len(minutes) + 1, dtype=np.int64)
    np.add.at(added, minute, rows.micro_people)
    return [round(total / MICRO) for total in np.cumsum(added[:-1]).tolist()]


def polygon_geojson(shape: MultiPolygon, network: Network) -> dict[str, Any]:
    """Return a band as valid GeoJSON: 7 decimals (1 cm), outer rings counter-clockwise (RFC 7946).

    Rounding coordinates one by one lets rings touch themselves where a contour passes a cell's
    corner within millimetres. Then, and only then since it takes five times as long,
    `set_precision` rounds the shape as a whole; what is thinner than a centimetre vanishes there.
    """
    degrees = shapely.transform(shape, network.to_lonlat)
    rounded = shapely.transform(degrees, lambda xy: np.round(xy, DECIMALS))
    if not shapely.is_valid(rounded):
        rounded = shapely.set_precision(degrees, 10.0**-DECIMALS)
    polygons = [
        [
            np.round(shapely.get_coordinates(ring), DECIMALS).tolist()
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        for polygon in shapely.get_parts(shapely.orient_polygons(rounded))
    ]
    return {"type": "MultiPolygon", "coordinates": polygons}


def describe_starts(
    query: ResponseQuery, positions: Positions, network: Network
) -> list[dict[str, Any]]:
    """Say where each start stands on the network, and whether it is cut off from the rest."""
    snapped = network.to_lonlat(positions.xy)
    islands = network.graph.island_size(positions.edge)
    largest = int(network.graph.component_size.max(initial=0))
    return [
        {
            "lon": start.lon,
            "lat": start.lat,
            "snapped": [round(float(v), 7) for v in snapped[row]],
            "snap_distance_m": round(float(positions.distance_m[row]), 1),
            "island_nodes": None if islands[row] == largest else int(islands[row]),
        }
        for row, start in enumerate(query.starts)
    ]


def bands_geojson(
    *,
    query: ResponseQuery,
    phases: Phases,
    limits_ms: list[int],
    shapes: list[MultiPolygon],
    cell_m: float,
    times: TravelTimes,
    network: Network,
    anchors: dict[str, Anchors],
    population: str,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Put a circle together: one feature for each band, the widest first so that maps stack them.

    Each band is the whole disk up to its minutes, so that bands nest.
    """
    arrivals = {name: found.arrival_ms(times) for name, found in anchors.items()}
    features = []
    for minutes, limit, shape in zip(query.minutes, limits_ms, shapes, strict=True):
        layers = {
            name: count_inside(found, arrivals[name], limit) for name, found in anchors.items()
        }
        people = layers.pop(population)
        features.append(
            {
                "type": "Feature",
                "geometry": polygon_geojson(shape, network),
                "properties": {
                    "minutes": minutes,
                    "travel_s": max(0, limit) / MS_PER_S,
                    "area_km2": round(shape.area / 1e6, 3),
                    "people": people["people"],
                    "layers": layers,
                },
            }
        )
    return {
        "type": "FeatureCollection",
        "features": features[::-1],
        "method": METHOD,
        "profile": phases.profile,
        "people_by_minute": people_by_minute(
            anchors[population].rows, arrivals[population], query, phases
        ),
        "phases": {
            "kind": phases.kind,
            "call_handling_s": phases.call_handling_s,
            "turnout_s": phases.turnout_s,
            "setup_s": phases.setup_s,
            "source": phases.source,
        },
        "off_road_mps": OFF_ROAD_MPS,
        "cell_m": cell_m,
        "starts": describe_starts(query, times.starts, network),
        **facts,
    }
