"""How many, how dangerous, how many people: the sums over whole layers that an overview shows.

What a field means follows from its layer's role; a layer without the field has no such sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from geoalchemy2 import Geometry
from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import ReadSession
from riskmap.features import statements
from riskmap.features.where import table_for
from riskmap.units import Bbox

# GB/T 2260: the first six digits of a division's code are its district.
DISTRICT_DIGITS: Final = 6
# Roles whose features endanger; the others may carry a level for another reason.
RISK_ROLES: Final = (Role.HAZARD, Role.SOURCE, Role.ENTERPRISE)
LEVELS: Final = ("1", "2", "3", "4", "null")
OCCUPANCY: Final = "current_occupancy"
# What an area's field of its level says of a district.
LEVEL: Final = "level"
DISTRICT: Final = "district"
# In which field each role says what state a feature is in.
STATUS: Final = {Role.SHELTER: "open_status", Role.TEAM: "duty_status"}
# Shelters in these states take people in.
ADMITTING: Final = ("open", "standby")


@dataclass(frozen=True, slots=True)
class Tally:
    """The features of a layer that share district, level and state: their number and sums.

    `free` is the sum of the free places of shelters that take people in. A capacity that is not
    known gives none, an occupancy that is not known counts as empty.
    """

    layer: str
    district: str | None
    level: str
    status: str
    count: int
    people: float
    occupancy: float
    free: float


@dataclass(frozen=True, slots=True)
class District:
    """A district as its own feature tells it."""

    code: str
    name: str | None
    name_en: str | None
    population: int | None


@dataclass(frozen=True, slots=True)
class Sums:
    """Tallies added up: by level, by state, over all."""

    count: int = 0
    people: float = 0.0
    occupancy: float = 0.0
    free: float = 0.0
    levels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LEVELS, 0))
    by_status: dict[str, int] = field(default_factory=dict)


def add_up(tallies: Iterable[Tally]) -> Sums:
    """Add tallies up."""
    found = list(tallies)
    levels = dict.fromkeys(LEVELS, 0)
    by_status: dict[str, int] = {}
    for one in found:
        levels[one.level] += one.count
        by_status[one.status] = by_status.get(one.status, 0) + one.count
    return Sums(
        count=sum(one.count for one in found),
        people=sum(one.people for one in found),
        occupancy=sum(one.occupancy for one in found),
        free=sum(one.free for one in found),
        levels=levels,
        by_status=by_status,
    )


def public(layer: Layer, name: str | None) -> bool:
    """Say whether a layer has a field of this name that everybody may see."""
    found = layer.field(name) if name else None
    return found is not None and not found.restricted


def tallies(session: ReadSession, layers: Iterable[Layer]) -> list[Tally]:
    """Count the features of the layers, all in one statement."""
    rows = session.execute(union_all(*(_tally(layer) for layer in layers)))
    return [Tally(**row) for row in rows.mappings()]


def freshness(session: ReadSession, layers: Iterable[Layer]) -> dict[str, tuple[int, datetime]]:
    """Return the last revision of each layer that has one, and when it was committed."""
    rows = session.execute(statements.revisions(layers))
    return {row.layer: (row.revision, row.at) for row in rows}


def _tally(layer: Layer) -> Select[Any]:
    table = table_for(layer)
    none: ColumnElement[Any] = cast(null(), String)
    zero: ColumnElement[Any] = literal(0, Integer)
    shelter = layer.role is Role.SHELTER
    # To group what nobody asks by district would only cost time.
    grouped = shelter or layer.role in RISK_ROLES
    state = STATUS.get(layer.role)
    status = table.c[state] if state and public(layer, state) else none
    people = table.c[layer.people] if layer.people and public(layer, layer.people) else None
    occupied = table.c[OCCUPANCY] if shelter and public(layer, OCCUPANCY) else zero
    free = zero
    if shelter and people is not None:
        # GREATEST leaves a null out: an unknown capacity is no place.
        places = func.greatest(people - func.coalesce(occupied, 0), 0)
        free = case((status.in_(ADMITTING), places), else_=0)
    # In a subquery: a table may have a column named like one of these, which GROUP BY would mean.
    rows = (
        select(
            (func.left(table.c.admin_code, DISTRICT_DIGITS) if grouped else none).label("district"),
            func.coalesce(
                cast(table.c.risk_level, String) if layer.assessed else none, "null"
            ).label("level"),
            func.coalesce(status, "null").label("status"),
            (zero if people is None else people).label("people"),
            occupied.label("occupancy"),
            free.label("free"),
        )
        .select_from(table)
        .subquery("rows")
    )
    sums = (
        cast(func.coalesce(func.sum(rows.c[name]), 0), Double).label(name)
        for name in ("people", "occupancy", "free")
    )
    keys = (rows.c.district, rows.c.level, rows.c.status)
    return select(
        literal(layer.id, String).label("layer"), *keys, func.count().label("count"), *sums
    ).group_by(*keys)


def districts(session: ReadSession, layers: Iterable[Layer]) -> list[District]:
    """Return the districts of the area layers, by code."""
    found: list[District] = []
    for layer in layers:
        if not public(layer, LEVEL):
            continue
        table = table_for(layer)
        people = table.c[layer.people] if layer.people and public(layer, layer.people) else null()
        statement = (
            select(table.c.code, table.c.name, table.c.name_en, people.label("population"))
            .where(table.c[LEVEL] == DISTRICT)
            .order_by(table.c.code)
        )
        found += [District(**row) for row in session.execute(statement).mappings()]
    return found


def extent(session: ReadSession, layers: Iterable[Layer]) -> Bbox | None:
    """Return the box of all features of some layers, None where there are none."""
    boxes = union_all(
        *(select(func.ST_Extent(table_for(layer).c.geom).label("box")) for layer in layers)
    ).subquery("boxes")
    # An aggregate over boxes: ST_Extent takes geometries, and a box becomes one by a cast.
    whole = func.ST_Extent(cast(boxes.c.box, Geometry))
    sides = (func.ST_XMin, func.ST_YMin, func.ST_XMax, func.ST_YMax)
    row = session.execute(
        select(*(side(whole).label(name) for side, name in zip(sides, Bbox._fields, strict=True)))
    )
    found = row.mappings().one()
    return None if found["west"] is None else Bbox(**found)
