"""What is said of the coverage of layers: sums by level, district and street, and who is missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import MAX_SNAP_M
from riskmap.analysis.coverage import Arrivals, CoverageQuery, coverage
from riskmap.analysis.coverage_layers import Covered, Found
from riskmap.analysis.ground import facts
from riskmap.analysis.response import METHOD, METHOD_HOUR, people_in
from riskmap.catalog.spec import Role
from riskmap.features.summary import LEVELS
from riskmap.units import MS_PER_S, UNREACHED

# GB/T 2260 and GB/T 10114: a district's code has six digits, a street's nine.
DIGITS: Final = {"by_district": 6, "by_street": 9}
# More bases outside than these are counted, not named.
_NAMED: Final = 50


def summary(found: Found, hour: dict[str, Any]) -> dict[str, Any]:
    """Return the answer about whole layers: that of `riskmap.analysis.coverage`, and more.

    Parameters
    ----------
    hour
        What `riskmap.analysis.ground.Ground.hour_facts` says.
    """
    query, layers = found.query, found.layers
    plain = coverage(
        CoverageQuery(query.minutes, query.limit),
        found.teams,
        _arrivals(found.people, query.k),
        [_arrivals(one, query.k) for one in layers],
    )
    return {
        **plain,
        "teams": plain["teams"]
        | {
            "counted": int(found.counts.sum()),
            "neighbours": int((found.teams.free & found.outside).sum()),
            "no_road": [found.teams.named(int(row)) for row in np.flatnonzero(found.no_road)],
        },
        "k": query.k,
        "kind": query.kind,
        "preset": query.preset,
        "horizon_minutes": query.horizon_minutes,
        "line_kmh": query.line_kmh,
        "people": _people(layers, _true(layers)),
        "uncovered_people": _people(layers, [~one.covered for one in layers]),
        "no_road_count": int(sum(one.far.sum() for one in layers)),
        "by_risk_level": by_level(layers),
        **{name: by_division(found, digits) for name, digits in DIGITS.items()},
        "straight_line": _straight(found),
        "neighbours": _neighbours(found),
        "warnings": warnings(found),
        "method": METHOD if query.when is None else METHOD_HOUR,
        "snap_limit_m": MAX_SNAP_M,
        **hour,
        **facts(found.network, found.moment, *found.profiles),
    }


def _arrivals(one: Covered, k: int) -> Arrivals:
    return Arrivals(one.rows, one.ms, one.nearest.team[:, k - 1])


def _true(layers: Sequence[Covered]) -> list[npt.NDArray[np.bool_]]:
    return [np.ones(len(one.rows), dtype=bool) for one in layers]


def _people(layers: Sequence[Covered], some: Sequence[npt.NDArray[np.bool_]]) -> dict[str, int]:
    """Add up the people of some features; of how many it is not known stands beside the sum."""
    return {
        "sum": sum(people_in(one.rows, inside) for one, inside in zip(layers, some, strict=True)),
        "unknown": int(
            sum(
                one.rows.people_unknown[inside].sum()
                for one, inside in zip(layers, some, strict=True)
            )
        ),
    }


def _share(layers: Sequence[Covered], some: Sequence[npt.NDArray[np.bool_]]) -> dict[str, Any]:
    """Return how many of some features there are, how many are covered, and the people missed."""
    pairs = list(zip(layers, some, strict=True))
    missed = [inside & ~one.covered for one, inside in pairs]
    return {
        "count": int(sum(inside.sum() for inside in some)),
        "covered": int(sum((inside & one.covered).sum() for one, inside in pairs)),
        "people": _people(layers, some),
        "uncovered_people": _people(layers, missed),
    }


def by_level(layers: Sequence[Covered]) -> dict[str, Any]:
    """Return the shares by risk level; null is 未评估, never low."""
    codes = [0 if name == "null" else int(name) for name in LEVELS]
    return {
        name: _share(layers, [one.rows.level == code for one in layers])
        for name, code in zip(LEVELS, codes, strict=True)
    }


def by_division(found: Found, digits: int) -> list[dict[str, Any]]:
    """Return the shares by the first digits of the features' division, by code, null last.

    A code that is shorter than that names no such division: null, as without a code.
    """
    marks = [_divisions(one, digits) for one in found.layers]
    codes = sorted({str(code) for mark in marks for code in mark if code})
    told = []
    for code in [*codes, ""]:
        some = [mark == code for mark in marks]
        share = _share(found.layers, some)
        if not share["count"]:
            continue
        zh, en = found.divisions.names.get(code, (None, None))
        told.append({"code": code or None, "name": zh, "name_en": en, **share})
    return told


def _divisions(one: Covered, digits: int) -> npt.NDArray[np.object_]:
    codes = one.rows.fields.get("admin_code", [None] * len(one.rows))
    return np.array(
        [code[:digits] if code and len(code) >= digits else "" for code in codes], dtype=object
    )


def _straight(found: Found) -> dict[str, Any]:
    """Say what a planner with compasses would take for covered, and where that is wrong."""
    inside = [line_ms(found, one) <= found.within_ms for one in found.layers]
    pairs = list(zip(found.layers, inside, strict=True))
    return {
        "kmh": found.query.line_kmh,
        "covered": int(sum(near.sum() for near in inside)),
        "covered_by_line_only": int(sum((near & ~one.covered).sum() for one, near in pairs)),
        "covered_by_network_only": int(sum((one.covered & ~near).sum() for one, near in pairs)),
    }


def line_ms(found: Found, one: Covered) -> npt.NDArray[np.int64]:
    """Return when the nearest team would arrive by the straight line, its own clock included."""
    lines = one.lines
    if lines is None:
        return np.full(len(one.rows), UNREACHED, dtype=np.int64)
    driven = np.nan_to_num(lines.metres, nan=0.0) / (found.query.line_kmh / 3.6) * MS_PER_S
    # A team whose phases are unknown has none; nobody at all is -1, whose clock is not looked at.
    start = np.append(found.teams.start_ms, 0)[lines.team]
    return np.where(lines.team < 0, UNREACHED, start + np.ceil(driven).astype(np.int64))


def _neighbours(found: Found) -> dict[str, Any]:
    """Say what teams based outside the city's own divisions change (DOMAIN question 11)."""
    everybody = {**_totals(found, "all")}
    own = {**_totals(found, "own")}
    rows = np.flatnonzero(found.teams.free & found.outside)
    return {
        "counted": found.query.neighbours,
        "known": bool(found.divisions),
        "teams": [found.teams.named(int(row)) for row in rows[:_NAMED]],
        "team_count": len(rows),
        "in": everybody,
        "out": own,
        "difference": {name: everybody[name] - own[name] for name in own},
    }


def _totals(found: Found, which: str) -> dict[str, int]:
    inside = [getattr(one, which) for one in found.layers]
    return {
        "covered": int(sum(one.sum() for one in inside)),
        "people": _people(found.layers, inside)["sum"],
        "population": people_in(found.people.rows, getattr(found.people, which)),
    }


def warnings(found: Found) -> list[dict[str, Any]]:
    """Say what a reader must know before trusting the figures."""
    told: list[dict[str, Any]] = []
    if not len(found.teams.free):
        told.append({"code": "no_teams"})
    elif not found.counts.any():
        told.append({"code": "no_team_counts"})
    if found.query.preset is not None and found.query.preset["tiers"]:
        # Whether each tier stands is a question of one place.
        told.append({"code": "tiers_not_judged", "preset": found.query.preset["preset"]})
    if not len(found.people.rows):
        told.append({"code": "no_population"})
    told += [
        {"code": "layer_empty", "layer": one.rows.layer.id}
        for one in found.layers
        if not len(one.rows)
    ]
    if not found.divisions:
        told.append({"code": "no_divisions"})
    if found.no_road.any():
        told.append({"code": "teams_not_snapped", "count": int(found.no_road.sum())})
    if far := int(sum(one.far.sum() for one in found.layers)):
        told.append({"code": "not_snapped", "count": far})
    if any(one.rows.layer.role is Role.POPULATION for one in found.layers):
        told.append({"code": "no_straight_line", "layer": found.people.rows.layer.id})
    return told
