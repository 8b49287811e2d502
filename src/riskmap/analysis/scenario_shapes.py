"""Polygons of a scenario: read strictly, so that a road is never closed by a slip of the pen."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely import MultiPolygon, Polygon

from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError
from riskmap.units import Bbox, LonLat

MAX_VERTICES: Final = 100_000
_KINDS: Final = ("Polygon", "MultiPolygon")
_PLACE: Final = re.compile(r"^(.*)\[(\S+) (\S+)\]$")


def vertices(geometry: Any) -> int:
    """Count the positions of a polygon without looking at them; of anything else 0."""
    if not isinstance(geometry, dict):
        return 0
    rings = geometry.get("coordinates")
    if geometry.get("type") == "MultiPolygon" and isinstance(rings, list):
        rings = [ring for part in rings if isinstance(part, list) for ring in part]
    if not isinstance(rings, list):
        return 0
    return sum(len(ring) for ring in rings if isinstance(ring, list))


def read_polygon(value: Any, path: str, box: Bbox, datum: Datum) -> Polygon | MultiPolygon:
    """Read a GeoJSON Polygon or MultiPolygon.

    Parameters
    ----------
    path
        How errors name it.
    box
        The city's; a polygon that lies outside it closes nothing, and is a mistake.

    Raises
    ------
    InputError
        It is none, a ring is no ring, it crosses itself (the place is named) or lies elsewhere.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in _KINDS or not isinstance(value.get("coordinates"), list):
        raise InputError("scenario.polygon", parameter=path, known=", ".join(_KINDS))
    if kind == "Polygon":
        shape: Polygon | MultiPolygon = _polygon(value["coordinates"], f"{path}.coordinates", datum)
    else:
        shape = MultiPolygon(
            [
                _polygon(part, f"{path}.coordinates[{row}]", datum)
                for row, part in enumerate(value["coordinates"])
            ]
        )
    if shape.is_empty:
        raise InputError("scenario.polygon", parameter=path, known=", ".join(_KINDS))
    if not shapely.is_valid(shape):
        reason = str(shapely.is_valid_reason(shape))
        place = _PLACE.match(reason)
        lon, lat = (place[2], place[3]) if place else ("?", "?")
        raise InputError(
            "scenario.crosses",
            parameter=path,
            reason=place[1] if place else reason,
            lon=lon,
            lat=lat,
        )
    _check_city(shape, path, box)
    return shape


def _polygon(rings: Any, path: str, datum: Datum) -> Polygon:
    if not isinstance(rings, list) or not rings:
        raise InputError("scenario.ring", parameter=path)
    shell, *holes = (_ring(ring, f"{path}[{row}]", datum) for row, ring in enumerate(rings))
    return Polygon(shell, holes)


def _ring(ring: Any, path: str, datum: Datum) -> npt.NDArray[np.float64]:
    """Read a ring: at least four positions, the last the first."""
    if not isinstance(ring, list) or len(ring) < 4:
        raise InputError("scenario.ring", parameter=path)
    for row, place in enumerate(ring):
        fine = isinstance(place, list | tuple) and len(place) in (2, 3)
        if not fine or not all(_is_number(part) for part in place):
            raise InputError("scenario.position", parameter=f"{path}[{row}]", value=str(place)[:40])
    xy = np.array([place[:2] for place in ring], dtype=np.float64)
    world = (np.abs(xy) <= (180, 90)).all(axis=1)
    for row in np.flatnonzero(~world)[:1]:
        raise InputError("scenario.position", parameter=f"{path}[{row}]", value=str(ring[row])[:40])
    if (xy[0] != xy[-1]).any():
        raise InputError("scenario.open", parameter=path)
    if datum is Datum.WGS84:
        return xy
    moved = datum.to_wgs84(xy)
    for row in np.flatnonzero(~np.isfinite(moved).all(axis=1))[:1]:
        place_in_wgs84(LonLat(*xy[row].tolist()), datum, f"{path}[{row}]")
    return moved


def _is_number(value: Any) -> bool:
    # In no range is NaN, and an integer may be larger than any float.
    return isinstance(value, int | float) and not isinstance(value, bool) and -360 <= value <= 360


def _check_city(shape: Polygon | MultiPolygon, path: str, box: Bbox) -> None:
    west, south, east, north = shape.bounds
    if west <= box.east and east >= box.west and south <= box.north and north >= box.south:
        return
    # The corner says enough: it is the whole that lies elsewhere.
    lon, lat = shapely.get_coordinates(shape)[0].tolist()
    swapped = box.contains(lat, lon)
    raise InputError(
        "response.outside_swapped" if swapped else "response.outside",
        parameter=path,
        lon=lon,
        lat=lat,
        bbox=",".join(f"{value:g}" for value in box),
    )
