"""What an analysis is asked about: a point, a line or an area, given or that of a feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import shape as read
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.response import check_place
from riskmap.analysis.store import read_rows
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum
from riskmap.crs.geojson import read_positions
from riskmap.db.sessions import ReadSession
from riskmap.errors import InputError, NotFoundError, TooLargeError
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import public
from riskmap.units import Bbox, LonLat

# What a person draws has hundreds of vertices; the time to measure from a place grows with them.
MAX_VERTICES: Final = 5_000
KINDS: Final = (
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon",
)  # fmt: skip
_NAMES: Final = ("code", "name", "name_en")


@dataclass(frozen=True, slots=True)
class Place:
    """A place on the ground.

    Parameters
    ----------
    shape
        Degrees, WGS 84.
    parameter
        How the caller named it, for errors.
    layer, feature_id, names
        Of a feature; None and nothing for any other.
    """

    shape: BaseGeometry
    parameter: str
    layer: Layer | None = None
    feature_id: int | None = None
    names: Mapping[str, Any] | None = None

    def described(self) -> dict[str, Any]:
        """Return what an answer says of it."""
        middle = self.shape.representative_point() if self.shape.area else self.shape.centroid
        found: dict[str, Any] = {
            "lon": round(middle.x, 7),
            "lat": round(middle.y, 7),
            "geometry_type": self.shape.geom_type,
        }
        if self.layer is not None:
            found["feature"] = {"layer": self.layer.id, "id": self.feature_id, **(self.names or {})}
        return found


def point_place(lonlat: LonLat, parameter: str = "lon,lat") -> Place:
    """Return a position as a place; `checked` says whether it can be."""
    return Place(shapely.Point(lonlat), parameter)


def read_geometry(value: object, datum: Datum = Datum.WGS84, parameter: str = "geometry") -> Place:
    """Read a GeoJSON point, line or area, or a feature that has one.

    Raises
    ------
    InputError
        It is none, has too many vertices, is empty, crosses itself or has no finite numbers.
    """
    if isinstance(value, Mapping) and value.get("type") == "Feature":
        value = value.get("geometry")
    if not isinstance(value, Mapping) or value.get("type") not in KINDS:
        kind = value.get("type") if isinstance(value, Mapping) else type(value).__name__
        raise InputError(
            "around.geometry", parameter=parameter, value=str(kind)[:40], known=", ".join(KINDS)
        )
    positions = read_positions(dict(value), parameter=parameter)
    if len(positions) > MAX_VERTICES:
        raise TooLargeError(
            "around.vertices", parameter=parameter, count=len(positions), most=MAX_VERTICES
        )
    if not positions:
        raise InputError("around.empty", parameter=parameter)
    xy = np.array([position[:2] for position in positions], dtype=np.float64)
    if not np.isfinite(xy).all():
        row = int(np.flatnonzero(~np.isfinite(xy).all(axis=1))[0])
        raise InputError("around.finite", parameter=parameter, position=row)
    try:
        shape = shapely.force_2d(read(dict(value)))
    except (ValueError, shapely.errors.ShapelyError) as error:
        raise InputError("around.broken", parameter=parameter, reason=str(error)[:120]) from error
    if shape.is_empty:
        raise InputError("around.empty", parameter=parameter)
    if shapely.get_dimensions(shape) == 2 and not shape.is_valid:
        reason = shapely.is_valid_reason(shape)
        raise InputError("around.invalid", parameter=parameter, reason=reason[:120])
    if datum is not Datum.WGS84:
        shape = shapely.transform(shape, datum.to_wgs84)
    return Place(shape, parameter)


def read_feature(session: ReadSession, catalog: Catalog, text: str) -> Place:
    """Return the place of a feature: `layer/id`.

    Raises
    ------
    InputError
        It is not of that form.
    NotFoundError
        There is no such layer, or no such feature in it.
    """
    layer_id, _, number = text.partition("/")
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise InputError("around.feature", parameter="feature", value=text[:80])
    layer = catalog.find(layer_id, parameter="feature")
    names = [name for name in _NAMES if public(layer, name)]
    rows = read_rows(session, FeatureQuery(layer=layer, feature_id=int(number)), names)
    if not len(rows):
        raise NotFoundError(
            "around.no_feature", parameter="feature", layer=layer.id, value=int(number)
        )
    found = {name: values[0] for name, values in rows.fields.items()}
    shape = rows.shapes[0]
    # Stored shapes may be larger than what anybody draws: their outline within a metre will do.
    if shapely.get_num_coordinates(shape) > MAX_VERTICES:
        shape = shapely.simplify(shape, 1e-5)
    if shapely.get_dimensions(shape) == 2:
        shape = shapely.make_valid(shape)
    return Place(shape, "feature", layer, int(number), found)


def check_inside(place: Place, box: Bbox) -> None:
    """Refuse a place that lies outside the city's box, or partly so.

    Raises
    ------
    InputError
        Names the first position that lies outside, and says so if it looks swapped.
    """
    if place.layer is not None:
        return
    for lon, lat in shapely.get_coordinates(place.shape).tolist():
        check_place(LonLat(lon, lat), box, place.parameter)
