"""Response circles: who and what is reached within so many minutes of a start.

The clock runs from the alarm: call handling + turnout + travel (+ set-up at the place) must fit
into the minutes asked for, inclusive. Travel alone is what the network decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.polygons import CELL_M, MIN_CELL_M, OFF_ROAD_MAX_M
from riskmap.analysis.store import MICRO, LayerRows, Phases
from riskmap.catalog.spec import Role
from riskmap.errors import InputError
from riskmap.features.query import FeatureQuery
from riskmap.units import MS_PER_S, Bbox, LonLat

MAX_MINUTES: Final = 120.0
MAX_BANDS: Final = 12
MAX_STARTS: Final = 1000
METHOD: Final = "network_free_flow"
# Speeds of an hour instead of the free ones.
METHOD_HOUR: Final = "network_hour"
# What people ask of a circle, besides the people in it.
COUNTED_ROLES: Final = (
    Role.HAZARD,
    Role.SOURCE,
    Role.ENTERPRISE,
    Role.SHELTER,
    Role.TEAM,
    Role.DEPOT,
)


class Overlap(StrEnum):
    """What becomes of an area that several starts reach."""

    UNION = "union"
    SEPARATE = "separate"
    NEAREST = "nearest"
    COUNT = "count"


class Cutoff(StrEnum):
    """Whether a band is all that is reached by then, or what is reached since the band before."""

    DISKS = "disks"
    RINGS = "rings"


class Output(StrEnum):
    """What an answer shows: areas, the reached parts of roads, or the reached junctions."""

    BANDS = "bands"
    EDGES = "edges"
    POINTS = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseQuery:
    """A question for a response circle.

    Parameters
    ----------
    starts
        Where help starts.
    features
        Features that start as well, ``layer/id``.
    selection
        A question whose matches start as well: a layer, or a filter of it.
    minutes
        Bands, minutes after the alarm.
    preset
        What is told of the preset whose values are in here; see `riskmap.analysis.preset_use`.
    kind
        Kind of team, whose phases and profile serve where none are given.
    toward
        From where one gets to the starts, instead of where one gets from them.
    when
        Kind of day and hour whose speeds count; None: free flow.
    overlap, cutoff, output
        See `Overlap`, `Cutoff`, `Output`.
    cell_m, access_m
        Side of the drawing's cells, and how far from a road it goes on foot, metres.
    """

    starts: tuple[LonLat, ...] = ()
    features: tuple[str, ...] = ()
    selection: FeatureQuery | None = None
    minutes: tuple[float, ...]
    preset: Mapping[str, Any] | None = None
    kind: str | None = None
    profile: str | None = None
    call_handling_s: float | None = None
    turnout_s: float | None = None
    setup_s: float | None = None
    toward: bool = False
    when: tuple[str, int] | None = None
    overlap: Overlap = Overlap.UNION
    cutoff: Cutoff = Cutoff.DISKS
    output: Output = Output.BANDS
    cell_m: float = CELL_M
    access_m: float = OFF_ROAD_MAX_M

    def checked(self, box: Bbox) -> ResponseQuery:
        """Return the query with its minutes in order, or say what is wrong with it.

        Raises
        ------
        InputError
            Names the parameter: no start or too many, a start outside the city, minutes out of
            range, a negative phase, a cell or an access leg out of range.
        """
        given = len(self.starts) + len(self.features)
        if given > MAX_STARTS or (given == 0 and self.selection is None):
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
        for name, least, most in (("cell_m", MIN_CELL_M, 1000.0), ("access_m", 10.0, 2000.0)):
            if not least <= getattr(self, name) <= most:
                raise InputError(
                    "parameter.value",
                    parameter=name,
                    value=getattr(self, name),
                    expected=f"{least:g} … {most:g}",
                )
        return replace(self, minutes=tuple(sorted(set(self.minutes))))

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
            source=self._source(default),
        )

    def _source(self, default: Phases) -> str:
        """Return where the phases come from: a preset that has any says so."""
        names = {"call_handling_s", "turnout_s", "setup_s"}
        if self.preset is None or not names & {*self.preset["used"]}:
            return default.source
        return str(self.preset["source"])


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


def band_limits_ms(query: ResponseQuery) -> list[int]:
    """Return when each band ends, milliseconds after the alarm."""
    return [round(minutes * 60 * MS_PER_S) for minutes in query.minutes]


def count_bands(
    rows: LayerRows, arrival_ms: npt.NDArray[np.int64], limits_ms: Sequence[int]
) -> list[dict[str, Any]]:
    """Count the features reached within each limit: by risk level where they have one, and people.

    Parameters
    ----------
    arrival_ms : int64[n]
        When each feature is reached.
    limits_ms
        Ascending.

    Returns
    -------
    list
        For each limit all that is reached by then. A null level is 未评估 and has a count of its
        own, never that of low.
    """
    # The first band that each feature is in; adding the bands up makes disks of rings.
    band = np.searchsorted(np.asarray(limits_ms), arrival_ms)
    size = len(limits_ms)

    def disks(weights: npt.NDArray[np.int64] | None = None) -> list[int]:
        # Sums below 2**53 are exact in floating point: 9e9 people in millionths.
        found = np.bincount(band, weights=weights, minlength=size + 1)[:size]
        return [int(value) for value in np.cumsum(found)]

    counts = disks()
    found: list[dict[str, Any]] = [{"count": count} for count in counts]
    if rows.layer.assessed:
        table = np.bincount(band * 5 + rows.level, minlength=(size + 1) * 5).reshape(-1, 5)
        for one, levels in zip(found, np.cumsum(table[:size], axis=0).tolist(), strict=True):
            null, *counted = levels
            one["by_risk_level"] = {
                **{str(level): count for level, count in enumerate(counted, 1)},
                "null": null,
            }
    if rows.layer.people is not None:
        # A sum over features of which some say nothing is a least number: say how many.
        unknown = disks(rows.people_unknown)
        for one, people, missing in zip(found, disks(rows.micro_people), unknown, strict=True):
            one["people"], one["people_unknown"] = round(people / MICRO), missing
    if rows.layer.role is Role.SHELTER:
        for one, free in zip(found, disks(rows.free_places), strict=True):
            one["free"] = free
    return found


def count_levels(levels: npt.NDArray[np.int8]) -> dict[str, int]:
    """Count risk levels by their names, 0 as null."""
    null, *counts = np.bincount(levels, minlength=5).tolist()
    return {**{str(level): count for level, count in enumerate(counts, 1)}, "null": null}


def people_in(rows: LayerRows, inside: npt.NDArray[np.bool_]) -> int:
    """Add up the people at some features."""
    return round(int(rows.micro_people[inside].sum()) / MICRO)


def people_by_minute(
    rows: LayerRows, arrival_ms: npt.NDArray[np.int64], widest_minutes: float
) -> list[int]:
    """Return how many people are reached by each minute after the alarm, 0 to the widest band."""
    limits_ms = np.arange(int(widest_minutes) + 1) * 60 * MS_PER_S
    # The first minute whose limit a place is within: each place is added once.
    minute = np.searchsorted(limits_ms, arrival_ms)
    added = np.bincount(minute, weights=rows.micro_people, minlength=len(limits_ms) + 1)
    return [round(total / MICRO) for total in np.cumsum(added[: len(limits_ms)]).tolist()]
