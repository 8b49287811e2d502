"""Speeds of road classes and what the hour makes of them, as their tables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import select

from riskmap.db.sessions import ReadSession
from riskmap.db.tables import ROAD_SPEEDS, ROAD_TIME_FACTORS
from riskmap.errors import InputError

DAY_TYPES: Final = ("workday", "restday")
EVERY_CLASS: Final = "*"


class Speed(NamedTuple):
    """How fast a profile goes on a class of road; see `riskmap.db.tables.ROAD_SPEEDS`."""

    profile: str
    road_class: str
    speed_kmh: float
    maxspeed_factor: float | None
    against_oneway_factor: float | None
    stops: bool
    source: str


class TimeFactor(NamedTuple):
    """A share of the free speed in one hour, and where it comes from."""

    factor: float
    source: str


@dataclass(frozen=True, slots=True)
class TimeFactors:
    """Every row of the table, by (profile, class, day type, hour)."""

    rows: Mapping[tuple[str, str, str, int], TimeFactor]

    def find(self, profile: str, road_class: str, day_type: str, hour: int) -> TimeFactor | None:
        """Return the class's own row, else that of every class (`*`), else None.

        Raises
        ------
        InputError
            There is no such day type or hour.
        """
        self.check(day_type, hour)
        own = self.rows.get((profile, road_class, day_type, hour))
        return own or self.rows.get((profile, EVERY_CLASS, day_type, hour))

    @staticmethod
    def check(day_type: str, hour: int) -> None:
        """Refuse a time that there is not.

        Raises
        ------
        InputError
            Names `day_type` or `hour`.
        """
        if day_type not in DAY_TYPES:
            raise InputError(
                "roads.day_type", parameter="day_type", value=day_type, known=", ".join(DAY_TYPES)
            )
        if not 0 <= hour <= 23:
            raise InputError("roads.hour", parameter="hour", value=hour)

    def factor(self, profile: str, road_class: str, day_type: str, hour: int) -> float:
        """Return the share of the free speed, 1 where the table says nothing."""
        found = self.find(profile, road_class, day_type, hour)
        return 1.0 if found is None else found.factor


def read_speeds(session: ReadSession, profile: str) -> dict[str, Speed]:
    """Return the speeds of a profile by road class; a class that is missing is closed to it."""
    columns = ROAD_SPEEDS.c
    rows = session.execute(
        select(*(columns[name] for name in Speed._fields)).where(columns.profile == profile)
    )
    return {row.road_class: Speed(**row._mapping) for row in rows}


def read_time_factors(session: ReadSession) -> TimeFactors:
    """Return the factors of all profiles."""
    c = ROAD_TIME_FACTORS.c
    rows = session.execute(select(c.profile, c.road_class, c.day_type, c.hour, c.factor, c.source))
    return TimeFactors(
        {
            (row.profile, row.road_class, row.day_type, row.hour): TimeFactor(
                row.factor, row.source
            )
            for row in rows
        }
    )
