"""What the analyses read from the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import (
    Row,
    Select,
    func,
    select,
)

from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import ReadSession
from riskmap.db.tables import (
    CITY,
    RESPONSE_PHASES,
    ROAD_PROFILES,
    ROAD_SPEEDS,
    WIND_SECTORS,
)
from riskmap.errors import InputError
from riskmap.features import statements
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import ADMITTING, OCCUPANCY, STATUS
from riskmap.roads.load import revision_columns

DEFAULT_KIND = "default"
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Phases:
    """The parts of a response that are no travel, seconds, and where the figures come from."""

    kind: str
    profile: str
    call_handling_s: float
    turnout_s: float
    setup_s: float
    source: str

    @property
    def before_travel_s(self) -> float:
        """Seconds from the alarm to the wheels rolling."""
        return self.call_handling_s + self.turnout_s


@dataclass(frozen=True, eq=False)
class LayerRows:
    """The features of a layer at one revision, as arrays of n rows.

    Attributes
    ----------
    ids : int64[n]
    shapes : object[n]
        Shapely geometries in degrees.
    fields
        Values by field name, n each; only public fields are ever in here.
    """

    layer: Layer
    revision: int
    ids: npt.NDArray[np.int64]
    shapes: npt.NDArray[Any]
    fields: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def level(self) -> npt.NDArray[np.int8]:
        """Risk level of each feature, int8[n], 0 for none: 未评估."""
        values = self.fields.get("risk_level", [None] * len(self))
        return np.array([value or 0 for value in values], dtype=np.int8)

    @cached_property
    def people_known(self) -> npt.NDArray[np.bool_]:
        """Whether the layer's field of people holds a number, bool[n]."""
        return np.array([value is not None for value in self.people], dtype=bool)

    @cached_property
    def people_unknown(self) -> npt.NDArray[np.int64]:
        """1 where the layer's field of people holds nothing, int64[n]."""
        return (~self.people_known).astype(np.int64)

    @cached_property
    def micro_people(self) -> npt.NDArray[np.int64]:
        """Millionths of people at each feature, int64[n], 0 where that is not known.

        Gridded cells hold fractions. Whole numbers add up to the same whatever the order, so
        that a band and a minute of the same length tell the same people.
        """
        values = np.array([value or 0.0 for value in self.people], dtype=np.float64)
        return np.rint(values * MICRO).astype(np.int64)

    @cached_property
    def free_places(self) -> npt.NDArray[np.int64]:
        """Free places of each shelter, int64[n]: 0 where it is shut, full or its size unknown."""
        status = self.fields.get(STATUS[Role.SHELTER], [None] * len(self))
        occupied = self.fields.get(OCCUPANCY, [None] * len(self))
        return np.array(
            [
                max(0, capacity - (there or 0)) if capacity and state in ADMITTING else 0
                for capacity, there, state in zip(self.people, occupied, status, strict=True)
            ],
            dtype=np.int64,
        )

    @property
    def people(self) -> list[Any]:
        """The values of the layer's field of people, n of them, None where not known."""
        return self.fields.get(self.layer.people or "", [None] * len(self))


def layer_revisions(session: ReadSession, layers: Iterable[Layer]) -> dict[str, int]:
    """Return the last revision of each layer that has one."""
    return {row.layer: row.revision for row in session.execute(statements.revisions(layers))}


def read_revision(session: ReadSession, layer: Layer) -> int:
    """Return the last revision of a layer, 0 before its first."""
    return layer_revisions(session, [layer]).get(layer.id, 0)


def read_layer(
    session: ReadSession,
    layer: Layer,
    revision: int,
    names: Sequence[str],
    query: FeatureQuery | None = None,
) -> LayerRows:
    """Read the features of a layer that are in force: shape, id and some public fields.

    A query about the layer says which of them; none: all.
    """
    return read_rows(session, query or FeatureQuery(layer=layer), names, revision)


def read_rows(
    session: ReadSession, query: FeatureQuery, names: Sequence[str], revision: int = 0
) -> LayerRows:
    """Read the features that a query matches: shape, id and some public fields."""
    rows = session.execute(statements.geometries(query, tuple(names))).all()
    return LayerRows(
        layer=query.layer,
        revision=revision,
        ids=np.array([row.id for row in rows], dtype=np.int64),
        shapes=shapely.from_wkb([row.wkb for row in rows]),
        fields={name: [getattr(row, name) for row in rows] for name in names},
    )


def read_now(session: ReadSession, layers: Iterable[Layer]) -> Row[Any]:
    """Return one row with all that an analysis asks for first.

    Its columns: `city` (a row of its table, or None), `phases` (rows of theirs), `speed_sources`
    (profile -> sources, every profile), `layer_revisions` (layer -> last revision), and those of
    `riskmap.roads.load.revision_columns`. One statement: on a circle of 15 ms every journey to the
    server shows.
    """
    return session.execute(_now(tuple(layer.id for layer in layers))).one()


@lru_cache(maxsize=8)
def _now(layers: tuple[str, ...]) -> Select[Any]:
    """Return the statement of `read_now`: made anew it takes five times as long as its answer."""
    phases = select(RESPONSE_PHASES).subquery()
    sources = (
        select(
            ROAD_PROFILES.c.profile,
            func.array_remove(
                func.array_agg(ROAD_SPEEDS.c.source.distinct()),
                None,
            ).label("sources"),
        )
        .select_from(
            ROAD_PROFILES.outerjoin(ROAD_SPEEDS, ROAD_SPEEDS.c.profile == ROAD_PROFILES.c.profile)
        )
        .group_by(ROAD_PROFILES.c.profile)
        .subquery()
    )
    city, moved = select(CITY).limit(1).subquery(), statements.revisions_of(layers).subquery()
    return select(
        select(func.row_to_json(city.table_valued())).scalar_subquery().label("city"),
        select(func.json_agg(func.row_to_json(phases.table_valued())))
        .scalar_subquery()
        .label("phases"),
        select(func.json_object_agg(sources.c.profile, func.to_json(sources.c.sources)))
        .scalar_subquery()
        .label("speed_sources"),
        select(func.json_object_agg(moved.c.layer, moved.c.revision))
        .scalar_subquery()
        .label("layer_revisions"),
        *revision_columns(),
    )


def phases_by_kind(rows: Iterable[Mapping[str, Any]]) -> dict[str, Phases]:
    """Return the phases of `read_now` by kind of team."""
    names = [field.name for field in fields(Phases)]
    return {row["kind"]: Phases(**{name: row[name] for name in names}) for row in rows}


def _phases(row: Row[Any]) -> Phases:
    return Phases(
        row.kind, row.profile, row.call_handling_s, row.turnout_s, row.setup_s, row.source
    )


def read_phases(session: ReadSession) -> dict[str, Phases]:
    """Return the phases of every kind that has some; `default` serves the others."""
    return {row.kind: _phases(row) for row in session.execute(select(RESPONSE_PHASES))}


def phases_of(known: Mapping[str, Phases], kind: str | None) -> Phases:
    """Return the phases of a kind of team, or the default ones for a kind without its own.

    Raises
    ------
    InputError
        The table lacks even the default row.
    """
    found = known.get(kind or DEFAULT_KIND) or known.get(DEFAULT_KIND)
    if found is None:
        raise InputError("response.no_phases", parameter="kind")
    return found


def read_wind_sector(session: ReadSession, speed_mps: float | None) -> tuple[float, str] | None:
    """Return the half width of the downwind sector for a wind speed, degrees, and its source.

    That of the strongest wind where no speed is known; None where the table has no row for it.
    """
    table = WIND_SECTORS.c
    statement = select(table.half_width_deg, table.source).order_by(table.wind_speed_mps.desc())
    if speed_mps is not None:
        statement = statement.where(table.wind_speed_mps <= speed_mps)
    row = session.execute(statement.limit(1)).first()
    return None if row is None else (row.half_width_deg, row.source)


def is_filled(session: ReadSession, layer: Layer) -> bool:
    """Say whether a layer holds anything."""
    return bool(session.execute(statements.filled([layer])).scalar_one())
