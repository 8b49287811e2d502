"""Scenarios in the database, and what of the database they are laid over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import ARRAY, BigInteger, any_, delete, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from riskmap.db.audit import record
from riskmap.db.scenario_tables import FLOOD_SPEED_FACTORS, SCENARIOS
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.db.tables import ROAD_EDGES
from riskmap.errors import (
    ConflictError,
    NoPreconditionError,
    NotFoundError,
    PreconditionError,
)
from riskmap.units import WGS84, Bbox

EVERY_PROFILE: Final = "*"


@dataclass(frozen=True, slots=True)
class StoredScenario:
    """A scenario as it is stored; `content` as `riskmap.analysis.scenarios.read_scenario` reads it.

    Attributes
    ----------
    network_revision
        The network that its ids of edges belong to; None: there was none.
    """

    id: int
    name: str
    note: str | None
    content: dict[str, Any]
    network_revision: str | None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class FloodFactors:
    """What water does to speed: by profile, rows of (from m, below m, share; None: blocked)."""

    rows: Mapping[str, Sequence[tuple[float, float, float | None]]]

    def find(self, profile: str, depth_m: float) -> tuple[float, bool]:
        """Return the share of the dry speed, 0 for blocked, and whether the table says so.

        No water is the dry road. A depth that no row of the profile (or of `*`) holds is blocked:
        nobody is sent where nobody knows.
        """
        if depth_m == 0:
            return 1.0, True
        for start, end, factor in self.rows.get(profile, self.rows.get(EVERY_PROFILE, ())):
            if start <= depth_m < end:
                return factor or 0.0, True
        return 0.0, False


def read_flood_factors(session: ReadSession) -> FloodFactors:
    """Read the table `flood_speed_factors`."""
    c = FLOOD_SPEED_FACTORS.c
    found: dict[str, list[tuple[float, float, float | None]]] = {}
    rows = session.execute(
        select(c.profile, c.depth_from_m, c.depth_to_m, c.factor).order_by(c.depth_from_m)
    )
    for row in rows:
        end = math.inf if row.depth_to_m is None else row.depth_to_m
        found.setdefault(row.profile, []).append((row.depth_from_m, end, row.factor))
    return FloodFactors(found)


def known_edges(session: ReadSession, ids: Sequence[int]) -> set[int]:
    """Return which of these roads are stored."""
    if not ids:
        return set()
    edge = ROAD_EDGES.c
    wanted = literal(list(ids), ARRAY(BigInteger))
    return set(session.execute(select(edge.id).where(edge.id == any_(wanted))).scalars())


def bridges_near(session: ReadSession, box: Bbox) -> npt.NDArray[np.int64]:
    """Return the ids of the bridges whose box meets another."""
    edge = ROAD_EDGES.c
    near = edge.geom.op("&&")(func.ST_MakeEnvelope(*box, WGS84))
    found = session.execute(select(edge.id).where(edge.bridge, near)).scalars()
    return np.array(list(found), dtype=np.int64)


def find_scenario(session: ReadSession, scenario_id: int) -> StoredScenario:
    """Read one.

    Raises
    ------
    NotFoundError
        There is none of this id.
    """
    row = session.execute(select(SCENARIOS).where(SCENARIOS.c.id == scenario_id)).first()
    if row is None:
        raise NotFoundError("scenario.missing", parameter="scenario", id=scenario_id)
    return StoredScenario(**row._mapping)


def list_scenarios(session: ReadSession, *, after: int, limit: int) -> list[StoredScenario]:
    """Read a page of them by id."""
    found = select(SCENARIOS).where(SCENARIOS.c.id > after).order_by(SCENARIOS.c.id).limit(limit)
    return [StoredScenario(**row._mapping) for row in session.execute(found)]


def add_scenario(
    session: WriteSession,
    *,
    name: str,
    note: str | None,
    content: Mapping[str, Any],
    network_revision: str | None,
    actor: str,
) -> StoredScenario:
    """Store one.

    Raises
    ------
    ConflictError
        The name is taken.
    """
    values = {
        "name": name,
        "note": note,
        "content": dict(content),
        "network_revision": network_revision,
        "created_by": actor,
    }
    row = _written(session, insert(SCENARIOS).values(values).returning(SCENARIOS), name)
    record(session, "scenario.create", name, {"id": row.id})
    return row


def change_scenario(
    session: WriteSession,
    scenario_id: int,
    *,
    expected: frozenset[int] | None,
    name: str,
    note: str | None,
    content: Mapping[str, Any],
    network_revision: str | None,
) -> StoredScenario:
    """Put another content in its place.

    Parameters
    ----------
    expected
        Versions that it may be at; None: none was named, which is refused.

    Raises
    ------
    NotFoundError, NoPreconditionError, PreconditionError, ConflictError
        It is gone, no version is named, it is at another one, the name is taken.
    """
    _lock(session, scenario_id, expected)
    values = {
        "name": name,
        "note": note,
        "content": dict(content),
        "network_revision": network_revision,
        "updated_at": func.now(),
        "version": SCENARIOS.c.version + 1,
    }
    statement = update(SCENARIOS).where(SCENARIOS.c.id == scenario_id).values(values)
    row = _written(session, statement.returning(SCENARIOS), name)
    record(session, "scenario.change", name, {"id": row.id, "version": row.version})
    return row


def delete_scenario(
    session: WriteSession, scenario_id: int, *, expected: frozenset[int] | None
) -> None:
    """Delete one; errors as `change_scenario`."""
    found = _lock(session, scenario_id, expected)
    session.execute(delete(SCENARIOS).where(SCENARIOS.c.id == scenario_id))
    record(session, "scenario.delete", found.name, {"id": scenario_id, "content": found.content})


def _lock(
    session: WriteSession, scenario_id: int, expected: frozenset[int] | None
) -> StoredScenario:
    statement = select(SCENARIOS).where(SCENARIOS.c.id == scenario_id).with_for_update()
    row = session.execute(statement).first()
    if row is None:
        raise NotFoundError("scenario.missing", parameter="scenario_id", id=scenario_id)
    if expected is None:
        raise NoPreconditionError("edit.if_match", parameter="If-Match", version=row.version)
    if row.version not in expected:
        raise PreconditionError("edit.stale", parameter="If-Match", version=row.version)
    return StoredScenario(**row._mapping)


def _written(session: WriteSession, statement: Any, name: str) -> StoredScenario:
    try:
        row = session.execute(statement).one()
    except IntegrityError as error:
        raise ConflictError("scenario.taken", parameter="name", value=name) from error
    return StoredScenario(**row._mapping)
