"""What escapes at a place: the danger zone around it, and the sector where the wind carries it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.places import Place
from riskmap.analysis.plane import HAIR_M, Plane, Sector
from riskmap.analysis.store import read_wind_sector
from riskmap.analysis.within import Near
from riskmap.catalog.spec import Role
from riskmap.db.sessions import ReadSession
from riskmap.errors import InputError

MAX_DANGER_M: Final = 20_000.0
# GB 18218 counts the people within 500 m of a source's plant for its alpha. That is the ring of a
# source; how far a given leak is dangerous no standard says, so this is but where to start.
SOURCE_DANGER_M: Final = 500.0
SOURCE_DANGER: Final = "GB 18218-2018 α 500 m [C]; [U] as the radius of a danger zone"
DOWNWIND_M: Final = 3_000.0
DOWNWIND: Final = "[D] riskmap 初始值 initial value"
ASKED: Final = "asked"
_DECIMALS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DangerQuery:
    """What escapes and how the wind blows; all None: nothing escapes.

    Parameters
    ----------
    wind_from_deg
        Meteorological: where the wind comes from, 0 to 360.
    sector_deg
        To either side of the wind's direction; None: by the table `wind_sectors`.
    """

    danger_radius_m: float | None = None
    wind_from_deg: float | None = None
    wind_speed_mps: float | None = None
    sector_deg: float | None = None
    downwind_m: float | None = None

    @property
    def asked(self) -> bool:
        """Whether anything escapes."""
        return self.danger_radius_m is not None or self.wind_from_deg is not None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises
        ------
        InputError
            Names the parameter.
        """
        bounds: dict[str, tuple[float, float, bool]] = {
            "danger_radius_m": (0, MAX_DANGER_M, False),
            "wind_from_deg": (0, 360, True),
            "wind_speed_mps": (0, 200, True),
            "sector_deg": (0, 180, False),
            "downwind_m": (0, MAX_DANGER_M, False),
        }
        for name, (least, most, inclusive) in bounds.items():
            value = getattr(self, name)
            if value is None:
                continue
            fine = math.isfinite(value) and least <= value <= most
            if not fine or (value == least and not inclusive):
                raise InputError(
                    "around.range", parameter=name, value=value, least=least, most=most,
                    least_sign="≥" if inclusive else ">",
                )  # fmt: skip
        for name in ("wind_speed_mps", "sector_deg", "downwind_m"):
            if getattr(self, name) is not None and self.wind_from_deg is None:
                raise InputError("around.no_wind", parameter="wind_from_deg", other=name)


@dataclass(frozen=True, eq=False)
class Danger:
    """The zone and, where there is a wind, the sector; in metres of the plane.

    Attributes
    ----------
    sources
        Where each figure comes from: asked for, or by default.
    """

    plane: Plane
    query: DangerQuery
    radius_m: float
    sector: Sector | None
    sources: dict[str, str]

    @property
    def zone(self) -> BaseGeometry:
        """All within the danger radius."""
        return self.plane.around(self.radius_m)

    @property
    def plume(self) -> BaseGeometry:
        """The sector beyond the zone; empty without a wind."""
        if self.sector is None:
            return shapely.Polygon()
        return shapely.difference(self.sector.shape, self.zone)

    def split(self, near: Near) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return which features lie in the zone, and which of the others in the sector."""
        zone = near.distance_m <= self.radius_m + HAIR_M
        if self.sector is None:
            return zone, np.zeros_like(zone)
        return zone, self.sector.holds(near.shapes, near.distance_m) & ~zone

    def told(self) -> dict[str, Any]:
        """Return the figures, each with its source, and the shapes as GeoJSON."""
        found: dict[str, Any] = {
            "danger_radius_m": self.radius_m,
            "wind_from_deg": self.query.wind_from_deg,
            "wind_to_deg": None,
            "wind_speed_mps": self.query.wind_speed_mps,
            "sector_deg": None,
            "downwind_m": None,
            "sources": self.sources,
            "zone": polygon_geojson(self.zone, self.plane),
            "sector": None,
        }
        if self.sector is not None:
            found |= {
                "wind_to_deg": self.sector.wind_to_deg,
                "sector_deg": self.sector.half_width_deg,
                "downwind_m": self.sector.downwind_m,
                "sector": polygon_geojson(self.sector.shape, self.plane),
            }
        return found


def read_danger(session: ReadSession, query: DangerQuery, place: Place, plane: Plane) -> Danger:
    """Make the zone and the sector; what is not asked for has a default and says whose.

    Raises
    ------
    InputError
        There is no danger radius, and the place is no source; or the table has no sector.
    """
    sources = {"danger_radius_m": ASKED}
    radius_m = query.danger_radius_m
    if radius_m is None:
        if place.layer is None or place.layer.role is not Role.SOURCE:
            raise InputError("around.no_danger_radius", parameter="danger_radius_m")
        radius_m, sources["danger_radius_m"] = SOURCE_DANGER_M, SOURCE_DANGER
    if query.wind_from_deg is None:
        return Danger(plane, query, radius_m, None, sources)
    half_width_deg, sources["sector_deg"] = query.sector_deg, ASKED
    if half_width_deg is None:
        found = read_wind_sector(session, query.wind_speed_mps)
        if found is None:
            raise InputError("around.no_sector", parameter="sector_deg")
        half_width_deg, sources["sector_deg"] = found
    downwind_m, sources["downwind_m"] = query.downwind_m, ASKED
    if downwind_m is None:
        downwind_m, sources["downwind_m"] = max(DOWNWIND_M, radius_m), DOWNWIND
    sector = Sector(plane, query.wind_from_deg, half_width_deg, downwind_m)
    return Danger(plane, query, radius_m, sector, sources)


def polygon_geojson(shape: BaseGeometry, plane: Plane) -> dict[str, Any]:
    """Return a shape of the plane as a GeoJSON MultiPolygon, 7 decimals (1 cm)."""
    degrees = shapely.transform(shape, plane.to_degrees)
    rounded = shapely.transform(degrees, lambda xy: np.round(xy, _DECIMALS))
    if not shapely.is_valid(rounded):
        rounded = shapely.set_precision(degrees, 10.0**-_DECIMALS)
    polygons = [
        [
            np.round(shapely.get_coordinates(ring), _DECIMALS).tolist()
            for ring in (part.exterior, *part.interiors)
        ]
        for part in shapely.get_parts(shapely.orient_polygons(rounded))
        if part.geom_type == "Polygon" and not part.is_empty
    ]
    return {"type": "MultiPolygon", "coordinates": polygons}
