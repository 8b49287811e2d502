"""Where a circle starts: points, features, or the matches of a filter, each with its own clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from riskmap.analysis.anchors import MAX_SNAP_M, Anchors, anchor
from riskmap.analysis.fields import fields_of
from riskmap.analysis.ground import Ground, Moment
from riskmap.analysis.response import MAX_STARTS, ResponseQuery
from riskmap.analysis.store import LayerRows, Phases, phases_of, read_layer, read_revision
from riskmap.catalog.spec import Role
from riskmap.errors import InputError, NotFoundError, UnprocessableError
from riskmap.roads.graphs import Network
from riskmap.roads.snap import Positions
from riskmap.units import MS_PER_S, UNREACHED, LonLat


@dataclass(frozen=True, eq=False)
class Starts:
    """The starts of a circle: s of them at p >= s positions, an area has several.

    Attributes
    ----------
    told
        What the answer says of each.
    positions
        All positions that have a road.
    start : int64[p]
        The start that each position belongs to.
    start_ms : int64[p]
        Call handling, turnout and set-up of each, milliseconds.
    unsnapped
        What the answer says of those without a road near.
    """

    told: list[dict[str, Any]]
    positions: Positions
    start: npt.NDArray[np.int64]
    start_ms: npt.NDArray[np.int64]
    unsnapped: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.told)

    def only(self, start: int) -> tuple[Positions, npt.NDArray[np.int64]]:
        """Return the positions and clocks of one start."""
        rows = self.start == start
        return self.positions.some(rows), self.start_ms[rows]


def find_starts(
    ground: Ground, moment: Moment, query: ResponseQuery, phases: Phases, network: Network
) -> Starts:
    """Find the starts of a query on a network.

    Raises
    ------
    InputError
        More starts than `MAX_STARTS`, or a feature that is not named as layer/id.
    NotFoundError
        There is no such layer or feature.
    UnprocessableError
        No start has a road near; it names the first.
    """
    groups = [_points(query.starts, network, phases)] if query.starts else []
    for name, ids in _by_layer(query.features).items():
        layer = ground.catalog.get(name)
        if layer is None:
            raise NotFoundError("response.layer", parameter="features", value=name[:60])
        anchors = ground.anchored([layer], network)[layer.id]
        rows = _rows(anchors, ids, name)
        groups.append(_features(anchors, rows, query, phases, moment))
    if query.selection is not None:
        layer = query.selection.layer
        with ground.database.read() as session:
            revision = read_revision(session, layer)
            found = read_layer(session, layer, revision, fields_of(layer), query.selection)
        if len(found) > MAX_STARTS:
            raise InputError("response.starts", parameter="filter", most=MAX_STARTS)
        everyone = np.arange(len(found))
        groups.append(_features(anchor(found, network), everyone, query, phases, moment))
    return _together(groups, network)


@dataclass(frozen=True, eq=False)
class _Group:
    """Some starts: s of them, and the positions they have."""

    told: list[dict[str, Any]]
    positions: Positions
    start: npt.NDArray[np.int64]
    start_ms: npt.NDArray[np.int64]


def _points(places: Sequence[LonLat], network: Network, phases: Phases) -> _Group:
    positions = network.snapper.snap(network.to_local(places), MAX_SNAP_M)
    spent_ms = round((phases.before_travel_s + phases.setup_s) * MS_PER_S)
    return _Group(
        [{"lon": place.lon, "lat": place.lat} for place in places],
        positions,
        np.arange(len(places)),
        np.full(len(places), spent_ms, dtype=np.int64),
    )


def _by_layer(features: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name in features:
        layer, slash, number = name.partition("/")
        if not slash or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise InputError("response.feature", parameter="features", value=name[:60])
        found.setdefault(layer, []).append(int(number))
    return found


def _rows(anchors: Anchors, ids: list[int], layer: str) -> npt.NDArray[np.int64]:
    row_of = {int(one): row for row, one in enumerate(anchors.rows.ids)}
    for one in ids:
        if one not in row_of:
            raise NotFoundError("response.no_feature", parameter="features", value=f"{layer}/{one}")
    return np.array([row_of[one] for one in ids], dtype=np.int64)


def _features(
    anchors: Anchors,
    rows: npt.NDArray[np.int64],
    query: ResponseQuery,
    phases: Phases,
    moment: Moment,
) -> _Group:
    layer, fields = anchors.rows.layer, anchors.rows.fields
    last = np.append(anchors.first, len(anchors.positions))
    told: list[dict[str, Any]] = []
    places, owner, clock = [], [], []
    names = [name for name in ("code", "name", "name_en") if name in fields]
    for start, row in enumerate(rows.tolist()):
        own = _own_phases(anchors.rows, row, query, phases, moment)
        where = anchors.rows.shapes[row].representative_point()
        told.append(
            {
                "layer": layer.id,
                "id": int(anchors.rows.ids[row]),
                **{name: fields[name][row] for name in names},
                "lon": round(where.x, 7),
                "lat": round(where.y, 7),
                **({"own_profile": own.profile} if own.profile != phases.profile else {}),
            }
        )
        spent_ms = round((own.before_travel_s + own.setup_s) * MS_PER_S)
        for position in range(last[row], last[row + 1]):
            places.append(position)
            owner.append(start)
            # A feature off the road walks to it first; a team stands on its own road.
            walk_ms = 0 if layer.role is Role.TEAM else int(anchors.access_ms[position])
            clock.append(min(spent_ms + walk_ms, UNREACHED - 1))
    return _Group(
        told,
        anchors.positions.some(np.array(places, dtype=np.int64)),
        np.array(owner, dtype=np.int64),
        np.array(clock, dtype=np.int64),
    )


def _own_phases(
    rows: LayerRows, row: int, query: ResponseQuery, phases: Phases, moment: Moment
) -> Phases:
    """Return the phases of a team by its own kind and turnout, of anything else those asked for."""
    if rows.layer.role is not Role.TEAM:
        return phases
    kind = rows.fields["kind"][row] if "kind" in rows.fields else None
    known = phases_of(moment.phases, kind) if query.kind is None else phases
    turnout = rows.fields["turnout_s"][row] if "turnout_s" in rows.fields else None
    return Phases(
        kind=known.kind,
        profile=known.profile,
        call_handling_s=_first(query.call_handling_s, known.call_handling_s),
        turnout_s=_first(query.turnout_s, turnout, known.turnout_s),
        setup_s=_first(query.setup_s, known.setup_s),
        source=known.source,
    )


def _first(*values: float | None) -> float:
    return float(next(value for value in values if value is not None))


def _together(groups: list[_Group], network: Network) -> Starts:
    """Join the groups; starts of which no position has a road are told apart."""
    told: list[dict[str, Any]] = []
    owners: list[npt.NDArray[np.int64]] = []
    for group in groups:
        owners.append(group.start + len(told))
        told += group.told
    positions = Positions.joined([group.positions for group in groups])
    owner = np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)
    clock = np.concatenate([group.start_ms for group in groups]) if groups else owner
    reached = np.bincount(owner[positions.found], minlength=len(told)) > 0
    far = [
        {**one, "reason": "no_road", "limit_m": MAX_SNAP_M}
        for one, fine in zip(told, reached, strict=True)
        if not fine
    ]
    if not reached.any():
        first = told[0] if told else None
        if first is None:
            raise UnprocessableError("response.nobody", parameter="filter")
        name = "points" if len(told) == 1 else "points[0]"
        raise UnprocessableError(
            "response.far",
            parameter="features" if "layer" in first else name,
            lon=first["lon"],
            lat=first["lat"],
            most=round(MAX_SNAP_M),
        )
    number = np.cumsum(reached) - 1
    kept = positions.found
    some, owner = positions.some(kept), number[owner[kept]]
    snapped, islands = network.to_lonlat(some.xy), network.graph.island_size(some.edge)
    largest = int(network.graph.component_size.max(initial=0))
    left = [one for one, fine in zip(told, reached, strict=True) if fine]
    for start in range(len(left)):
        rows = np.flatnonzero(owner == start)
        row = int(rows[np.argmin(some.distance_m[rows])])
        left[start] |= {
            "snapped": [round(float(v), 7) for v in snapped[row]],
            "snap_distance_m": round(float(some.distance_m[row]), 1),
            # Cut off from the rest: explains an empty circle.
            "island_nodes": None if islands[row] == largest else int(islands[row]),
            "before_travel_s": float(clock[kept][row]) / MS_PER_S,
        }
    return Starts(left, some, owner, clock[kept], far)
