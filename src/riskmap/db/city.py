"""The one city of a database: name, box, local projected CRS, time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pyproj import CRS, Proj
from pyproj.exceptions import CRSError
from sqlalchemy import RowMapping, insert, select, text, update

from riskmap.db.audit import record
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.db.tables import CITY
from riskmap.errors import ConflictError, InputError, UnavailableError
from riskmap.units import Bbox

MOST_DISTORTED: Final = 0.01


@dataclass(frozen=True, slots=True)
class City:
    """A city. `local_srid` is the EPSG code of a projected CRS in metres for its ground."""

    name: str
    name_en: str | None
    bbox: Bbox
    local_srid: int
    time_zone: str
    synthetic: bool = False

    @property
    def tz(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.time_zone)


def utm_srid(bbox: Bbox) -> int:
    """Return the UTM zone of a box's middle: what the error suggests, never what is assumed."""
    zone = int(((bbox.west + bbox.east) / 2 + 180) // 6) + 1
    return (32600 if bbox.south + bbox.north >= 0 else 32700) + zone


def _is_for(crs: CRS, box: Bbox) -> bool:
    """Say whether the middle of a box lies in the area that a CRS is made for, or beside it.

    The middle: no zone holds a box wider than itself, such as that of a whole country.
    """
    area = crs.area_of_use
    if area is None:
        return True
    lon, lat = (box.west + box.east) / 2, (box.south + box.north) / 2
    west, east = area.west - 1, area.east + 1
    # An area across 180 degrees has its west edge east of its east edge.
    between = west <= lon <= east if area.west <= area.east else lon >= west or lon <= east
    return bool(between and area.south - 1 <= lat <= area.north + 1)


def check_city(city: City) -> None:
    """Refuse a box, CRS or time zone that cannot be.

    Raises
    ------
    InputError
        Names the parameter: `name`, `bbox`, `crs` or `timezone`.
    """
    if not city.name.strip():
        raise InputError("city.name", parameter="name")
    box = city.bbox
    if not box.is_finite() or not (
        -180 <= box.west < box.east <= 180 and -85 <= box.south < box.north <= 85
    ):
        raise InputError("city.bbox", parameter="bbox")
    hint = utm_srid(box)
    try:
        crs = CRS.from_epsg(city.local_srid)
    except CRSError:
        raise InputError("city.crs", parameter="crs", value=city.local_srid, hint=hint) from None
    if not crs.is_projected or {axis.unit_name for axis in crs.axis_info} != {"metre"}:
        raise InputError("city.crs", parameter="crs", value=city.local_srid, hint=hint)
    if not _is_for(crs, box):
        raise InputError("city.crs_elsewhere", parameter="crs", value=city.local_srid, hint=hint)
    # Web Mercator is metres too, and a quarter too long at 36°: a local system is true to 1 %.
    factors = Proj(crs).get_factors((box.west + box.east) / 2, (box.south + box.north) / 2)
    if max(abs(factors.meridional_scale - 1), abs(factors.parallel_scale - 1)) > MOST_DISTORTED:
        raise InputError("city.crs_distorts", parameter="crs", value=city.local_srid, hint=hint)
    if city.time_zone not in available_timezones():
        raise InputError("city.time_zone", parameter="timezone", value=city.time_zone)


def find_city(session: ReadSession) -> City | None:
    """Return the database's city, or None before `riskmap city init`."""
    row = session.execute(select(CITY)).mappings().first()
    return None if row is None else city_of(row)


def city_of(row: RowMapping | Mapping[str, Any]) -> City:
    """Return the city of a row of its table."""
    return City(
        name=row["name"],
        name_en=row["name_en"],
        bbox=Bbox(row["west"], row["south"], row["east"], row["north"]),
        local_srid=row["local_srid"],
        time_zone=row["time_zone"],
        synthetic=row["synthetic"],
    )


def read_city(session: ReadSession) -> City:
    """Return the database's city.

    Raises
    ------
    UnavailableError
        There is none yet; the message says which command makes one.
    """
    city = find_city(session)
    if city is None:
        raise UnavailableError("city.none")
    return city


def write_city(session: WriteSession, city: City, *, replace: bool = False) -> None:
    """Store the city; one database holds one.

    Raises
    ------
    ConflictError
        There is a city already and `replace` was not asked for, or it is the demo city, which
        only goes with all that belongs to it.
    """
    check_city(city)
    # Two at once: the second waits here and then finds the first one's city.
    session.execute(text("LOCK TABLE city IN SHARE ROW EXCLUSIVE MODE"))
    present = find_city(session)
    if present is not None and present.synthetic:
        raise ConflictError("demo.city_init", parameter="name", name=present.name)
    values = {
        "name": city.name,
        "name_en": city.name_en,
        **city.bbox._asdict(),
        "local_srid": city.local_srid,
        "time_zone": city.time_zone,
        "synthetic": city.synthetic,
    }
    if present is None:
        session.execute(insert(CITY).values(values))
    elif replace:
        session.execute(update(CITY).values(values))
    else:
        raise ConflictError("city.exists", parameter="name", name=present.name)
    record(session, "city.init" if present is None else "city.replace", city.name, values)
