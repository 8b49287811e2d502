"""The datum that a reader asks answers in, and gives positions in: WGS 84, GCJ-02 or BD-09."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from riskmap.crs.boxes import rectangle
from riskmap.errors import InputError
from riskmap.units import Bbox, LonLat

# 7 decimals of a degree are 1 cm; more is noise that every reader downloads.
DECIMALS: Final = 7
# A straight edge of a box in GCJ-02 is a wavy line in WGS 84. Between two points h degrees apart
# its chord leaves it by h^2 / 8 * 4,800 m: 0.6 mm at a thousandth of a degree, less than the
# seventh decimal. A box wider than a degree has edges of a thousand parts all the same.
_PARTS: Final = 1000
_LEAST_PART_DEG: Final = 0.001
# The shift is below 0.02 degrees: nothing that the formula can convert lies farther out.
_MARGIN_DEG: Final = 0.02


class Datum(StrEnum):
    """What longitude and latitude are measured in."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"

    def to_wgs84(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), degrees; infinity outside the formula's box."""
        from riskmap.crs import china  # noqa: PLC0415 - compiled code, for those who ask for it

        ways = {Datum.GCJ02: china.gcj02_to_wgs84, Datum.BD09: china.bd09_to_wgs84}
        return lonlat if self is Datum.WGS84 else ways[self](lonlat)

    def from_wgs84(self, lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert positions of shape (n, 2), degrees; infinity outside the formula's box."""
        from riskmap.crs import china  # noqa: PLC0415

        ways = {Datum.GCJ02: china.wgs84_to_gcj02, Datum.BD09: china.wgs84_to_bd09}
        return lonlat if self is Datum.WGS84 else ways[self](lonlat)


def read_datum(text: str | None, *, parameter: str = "datum") -> Datum:
    """Read what a request asks for; nothing is WGS 84.

    Raises
    ------
    InputError
        It is none of the three.
    """
    try:
        return Datum.WGS84 if text is None else Datum(text.lower())
    except ValueError:
        known = ", ".join(Datum)
        raise InputError(
            "crs.datum", parameter=parameter, value=str(text)[:40], known=known
        ) from None


def check_city(datum: Datum, city: Bbox) -> None:
    """Refuse a datum for a city that the public formula is not made for.

    Raises
    ------
    InputError
        Part of the city's box lies outside the formula's: its features could not be converted.
    """
    if datum is Datum.WGS84:
        return
    from riskmap.crs.china import FORMULA_BOX  # noqa: PLC0415

    box = FORMULA_BOX
    if not (box.contains(city.west, city.south) and box.contains(city.east, city.north)):
        shown = {
            "bbox": ",".join(f"{edge:g}" for edge in city),
            "box": ",".join(f"{edge:g}" for edge in box),
        }
        raise InputError("crs.datum_city", parameter="datum", value=datum, **shown)


def place_in_wgs84(place: LonLat, datum: Datum, parameter: str) -> LonLat:
    """Convert a place that a caller points at.

    Raises
    ------
    InputError
        The formula is not made for it.
    """
    if datum is Datum.WGS84:
        return place
    lon, lat = datum.to_wgs84(np.array([place], dtype=np.float64))[0].tolist()
    if not np.isfinite(lon):
        raise InputError(
            "crs.datum_outside", parameter=parameter, x=place.lon, y=place.lat, value=datum
        )
    return LonLat(lon, lat)


def box_in_wgs84(box: Bbox, datum: Datum) -> BaseGeometry:
    """Return a box of a datum as a shape in WGS 84, its edges followed to a millimetre.

    A box without width is a line, one without either a point; one that the formula is not made for
    is empty.
    """
    from riskmap.crs import china  # noqa: PLC0415

    whole = china.FORMULA_BOX
    west, east = max(box.west, whole.west - _MARGIN_DEG), min(box.east, whole.east + _MARGIN_DEG)
    south = max(box.south, whole.south - _MARGIN_DEG)
    north = min(box.north, whole.north + _MARGIN_DEG)
    if west > east or south > north:
        return shapely.Polygon()
    outline = rectangle(west, south, east, north)
    part = max(_LEAST_PART_DEG, max(east - west, north - south) / _PARTS)
    fine = shapely.segmentize(outline, part)
    convert = china.bd09_to_wgs84 if datum is Datum.BD09 else china.gcj02_to_wgs84
    found: BaseGeometry = shapely.transform(fine, lambda xy: convert(xy, china.ANYWHERE))
    return found


def shapes_to_geojson(wkb: Sequence[bytes], datum: Datum) -> list[str]:
    """Convert WGS 84 geometries to GeoJSON text of a datum, 7 decimals (1 cm).

    What the formula is not made for is null: JSON has no infinity.
    """
    shapes = shapely.force_2d(shapely.from_wkb(np.array(wkb, dtype=object)))
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    moved = np.round(datum.from_wgs84(xy), DECIMALS)
    lost = np.unique(owner[~np.isfinite(moved[:, 0])])
    texts: list[str] = shapely.to_geojson(shapely.set_coordinates(shapes, moved)).tolist()
    for index in lost.tolist():
        texts[index] = "null"
    return texts


def move_answer(answer: dict[str, Any], datum: Datum) -> dict[str, Any]:
    """Return an analysis' answer in a datum: its shapes, and whatever has a `lon` and a `lat`."""
    if datum is Datum.WGS84:
        return answer
    moved = _moved(answer, datum)
    head = {"type": moved.pop("type")} if "type" in moved else {}
    return {**head, "datum": datum.value, **moved}


def _moved(value: Any, datum: Datum) -> Any:
    if isinstance(value, list):
        return [_moved(one, datum) if isinstance(one, dict) else one for one in value]
    if not isinstance(value, Mapping):
        return value
    if "coordinates" in value:
        return _shape(value, datum)
    found = {name: _moved(one, datum) for name, one in value.items()}
    if "lon" in value and "lat" in value:
        found["lon"], found["lat"] = _place([value["lon"], value["lat"]], datum)
    if "snapped" in value:
        found["snapped"] = _place(value["snapped"], datum)
    return found


def _shape(geometry: Mapping[str, Any], datum: Datum) -> dict[str, Any]:
    """Convert a geometry; where rounding makes rings touch, it is rounded as a whole."""
    exact = shapely.transform(shape(dict(geometry)), datum.from_wgs84)
    moved = shapely.transform(exact, lambda xy: np.round(xy, DECIMALS))
    if not shapely.is_valid(moved):
        moved = shapely.orient_polygons(shapely.set_precision(exact, 10.0**-DECIMALS))
        moved = shapely.transform(moved, lambda xy: np.round(xy, DECIMALS))
    if geometry["type"] == "MultiPolygon":
        moved = MultiPolygon(list(shapely.get_parts(moved)))
    return dict(mapping(moved))


def _place(lonlat: Sequence[float], datum: Datum) -> list[float]:
    moved: list[float] = np.round(datum.from_wgs84(np.array([lonlat])), DECIMALS)[0].tolist()
    return moved
