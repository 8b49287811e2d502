"""Which administrative units hold a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Integer, String, cast, func, literal, null, select

from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import AsyncReadSession
from riskmap.features.summary import LEVEL, public
from riskmap.features.where import table_for
from riskmap.units import WGS84, LonLat


@dataclass(frozen=True, slots=True)
class Unit:
    """An administrative unit.

    Parameters
    ----------
    people
        Residents; None: not known, or not public.
    """

    layer: str
    id: int
    level: str
    code: str
    name: str | None
    name_en: str | None
    people: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {name: getattr(self, name) for name in self.__slots__}


async def units(session: AsyncReadSession, layers: Sequence[Layer], place: LonLat) -> list[Unit]:
    """Return the units that hold a position, the largest level first.

    One on a border lies in the units on both sides.

    Parameters
    ----------
    layers
        Only those count that have the role area and say of what level a unit is.
    """
    found: list[Unit] = []
    point = func.ST_SetSRID(func.ST_MakePoint(place.lon, place.lat), WGS84)
    for layer in layers:
        field = layer.field(LEVEL)
        if layer.role is not Role.AREA or field is None or not public(layer, LEVEL):
            continue
        table = table_for(layer)
        levels = cast([str(value.code) for value in field.values], ARRAY(String))
        depth = func.array_position(levels, table.c[LEVEL], type_=Integer)
        people = table.c[layer.people] if layer.people and public(layer, layer.people) else null()
        rows = await session.execute(
            select(
                literal(layer.id).label("layer"),
                table.c.id,
                table.c[LEVEL].label("level"),
                table.c.code,
                table.c.name,
                table.c.name_en,
                people.label("people"),
            )
            .where(func.ST_Intersects(table.c.geom, point))
            .order_by(depth.nulls_last(), table.c.code)
        )
        found += [Unit(**row) for row in rows.mappings()]
    return found
