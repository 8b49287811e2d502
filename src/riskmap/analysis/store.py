"""What the analyses read from the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import Row, select

from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import ReadSession
from riskmap.db.tables import RESPONSE_PHASES
from riskmap.errors import InputError
from riskmap.features import statements
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import ADMITTING, OCCUPANCY, STATUS

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


def read_layer(
    session: ReadSession, layer: Layer, revision: int, names: Sequence[str]
) -> LayerRows:
    """Read the features of a layer that are in force: shape, id and some public fields."""
    rows = session.execute(statements.geometries(FeatureQuery(layer=layer), tuple(names))).all()
    return LayerRows(
        layer=layer,
        revision=revision,
        ids=np.array([row.id for row in rows], dtype=np.int64),
        shapes=shapely.from_wkb([row.wkb for row in rows]),
        fields={name: [getattr(row, name) for row in rows] for name in names},
    )


def _phases(row: Row[Any]) -> Phases:
    return Phases(
        row.kind, row.profile, row.call_handling_s, row.turnout_s, row.setup_s, row.source
    )


def read_phases(session: ReadSession) -> dict[str, Phases]:
    """Return the phases of every kind that has some; `default` serves the others."""
    return {row.kind: _phases(row) for row in session.execute(select(RESPONSE_PHASES))}


def phases_of(known: dict[str, Phases], kind: str | None) -> Phases:
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
