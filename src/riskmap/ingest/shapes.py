"""Checks of geometry, over whole batches: there, finite, of the right type, valid, in the city.

Points, which most layers and most rows are, stay numbers from the file to the database: making,
transforming and writing a million objects would cost more than all other checks together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import GeometryType as T

from riskmap.catalog.spec import Geometry
from riskmap.crs.input import InputCrs
from riskmap.ingest.batches import Geometries
from riskmap.units import WGS84, Bbox

_POINTS: Final = (T.POINT, T.MULTIPOINT)
_LINES: Final = (T.LINESTRING, T.LINEARRING, T.MULTILINESTRING)
_POLYGONS: Final = (T.POLYGON, T.MULTIPOLYGON)
_TAKEN: Final = {
    Geometry.POINT: _POINTS,
    Geometry.LINE: _LINES,
    Geometry.POLYGON: _POLYGONS,
    Geometry.MIXED: (*_POINTS, *_LINES, *_POLYGONS),
}
_NAMES: Final = {
    Geometry.POINT: "Point",
    Geometry.LINE: "LineString, MultiLineString",
    Geometry.POLYGON: "Polygon, MultiPolygon",
    Geometry.MIXED: "Point, LineString, Polygon",
}

_TAKE_POINTS: Final = (Geometry.POINT, Geometry.MIXED)
# Little-endian EWKB of a point: order, type with the flag "an SRID follows", SRID, x, y.
_POINT_WITH_SRID: Final = 0x20000001
_EWKB_POINT: Final = np.dtype(
    [("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("xy", "<f8", (2,))]
)

Mask = NDArray[np.bool_]
Positions = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the geometry at one place of a batch."""

    index: int
    key: str
    value: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shapes:
    """The geometries of a batch in WGS 84, and what is wrong.

    Parameters
    ----------
    converted
        Shapely geometries, or the positions of points, float64 of shape (n, 2).
    raw
        The input's own numbers of points, NaN for other geometries; float64 of shape (n, 2).
    """

    converted: Geometries | Positions
    raw: Positions
    faults: list[Fault]
    repaired: list[Fault]

    def ewkb(self, keep: list[int] | None) -> list[str]:
        """Return the geometries at some places (None: all) as hexadecimal EWKB."""
        kept = self.converted if keep is None else self.converted[keep]
        return points_to_ewkb(kept) if kept.ndim == 2 else to_ewkb(kept)


def check_shapes(
    geometry: Geometries, kind: Geometry, crs: InputCrs, box: Bbox, *, repair: bool
) -> Shapes:
    """Check and convert the geometries of a batch.

    Third and fourth coordinates are dropped. Single lines and polygons become multi; a multipoint
    of one point becomes the point.
    """
    if kind in _TAKE_POINTS and (shapely.get_type_id(geometry) == T.POINT).all():
        xy = shapely.get_coordinates(geometry)
        # An empty point has no coordinates, and what is not finite is told apart below.
        if len(xy) == len(geometry) and np.isfinite(xy).all():
            return check_points(xy, kind, crs, box)
    flat: Geometries = shapely.force_2d(geometry)
    faults: list[Fault] = []
    good = _present(flat, kind, faults)
    flat = _promote(flat, good)
    raw = np.full((len(flat), 2), np.nan)
    points = good & (shapely.get_type_id(flat) == T.POINT)
    raw[points] = shapely.get_coordinates(flat[points])
    converted: Geometries = np.full(len(flat), None, dtype=object)
    converted[good] = shapely.transform(flat[good], crs.to_wgs84)
    _inside(flat, converted, good, crs=crs, box=box, faults=faults)
    repaired = _valid(converted, good, repair, faults)
    converted[~good] = None
    return Shapes(converted, raw, faults, repaired)


def check_points(xy: Positions, kind: Geometry, crs: InputCrs, box: Bbox) -> Shapes:
    """Check and convert points that are numbers, NaN where a row has none."""
    missing: Mask = np.asarray(np.isnan(xy).any(axis=1))
    faults = [Fault(i, "ingest.geometry.null") for i in _where(missing)]
    infinite: Mask = np.asarray(~missing & ~np.isfinite(xy).all(axis=1))
    faults += [Fault(i, "ingest.geometry.not_finite", _position(xy[i])) for i in _where(infinite)]
    if kind not in _TAKE_POINTS:
        taken = {"taken": _NAMES[kind]}
        faults += [Fault(i, "ingest.geometry.type", "Point", taken) for i in _where(~missing)]
        return Shapes(np.full(xy.shape, np.nan), xy, faults, [])
    good = ~(missing | infinite)
    lonlat = np.full(xy.shape, np.nan)
    lonlat[good] = crs.to_wgs84(xy[good])
    outside = np.flatnonzero(good & ~_points_in_box(lonlat, box))
    if len(outside):
        fits = _points_in_box(crs.to_wgs84(xy[outside, ::-1]), box)
        finite = np.isfinite(lonlat[outside]).all(axis=1)
        _tell_outside(outside, fits, finite, xy[outside], crs=crs, box=box, faults=faults)
    return Shapes(lonlat, xy, faults, [])


def points_to_ewkb(lonlat: Positions) -> list[str]:
    """Return points as hexadecimal EWKB: 25 bytes each, 50 characters."""
    points = np.empty(len(lonlat), dtype=_EWKB_POINT)
    points["order"] = 1
    points["type"] = _POINT_WITH_SRID
    points["srid"] = WGS84
    points["xy"] = lonlat
    text = points.tobytes().hex()
    return [text[at : at + 50] for at in range(0, len(text), 50)]


def to_ewkb(geometry: Geometries) -> list[str]:
    """Return geometries as hexadecimal EWKB, which COPY reads."""
    encoded = shapely.to_wkb(shapely.set_srid(geometry, WGS84), hex=True, include_srid=True)
    texts: list[str] = encoded.tolist()
    return texts


def _where(mask: Mask) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def _position(xy: Positions) -> str:
    return f"{xy[0]:.10g}, {xy[1]:.10g}"


def _first_position(shape: Any) -> str:
    return _position(shapely.get_coordinates(shape)[0])


def _present(flat: Geometries, kind: Geometry, faults: list[Fault]) -> Mask:
    """Say which geometries are there, finite and of a type that the layer takes."""
    missing = shapely.is_missing(flat)
    empty = ~missing & shapely.is_empty(flat)
    coordinates, owners = shapely.get_coordinates(flat, return_index=True)
    infinite = np.zeros(len(flat), dtype=bool)
    infinite[owners[~np.isfinite(coordinates).all(axis=1)]] = True
    types = shapely.get_type_id(flat)
    wrong = ~missing & ~empty & ~np.isin(types, _TAKEN[kind])
    wrong |= (types == T.MULTIPOINT) & ~empty & (shapely.get_num_geometries(flat) != 1)
    faults += [Fault(i, "ingest.geometry.null") for i in _where(missing)]
    faults += [Fault(i, "ingest.geometry.empty", str(flat[i].geom_type)) for i in _where(empty)]
    faults += [
        Fault(i, "ingest.geometry.not_finite", _first_position(flat[i])) for i in _where(infinite)
    ]
    faults += [
        Fault(i, "ingest.geometry.type", str(flat[i].geom_type), {"taken": _NAMES[kind]})
        for i in _where(wrong)
    ]
    return np.asarray(~(missing | empty | infinite | wrong))


def _promote(flat: Geometries, good: Mask) -> Geometries:
    types = np.where(good, shapely.get_type_id(flat), -1)
    result = flat.copy()
    lines = np.isin(types, (T.LINESTRING, T.LINEARRING))
    if lines.any():
        result[lines] = shapely.multilinestrings(flat[lines][:, None])
    polygons = types == T.POLYGON
    if polygons.any():
        result[polygons] = shapely.multipolygons(flat[polygons][:, None])
    multipoints = types == T.MULTIPOINT
    if multipoints.any():
        result[multipoints] = shapely.get_geometry(flat[multipoints], 0)
    return result


def _in_box(shape: Geometries, box: Bbox) -> Mask:
    """Say which geometries lie wholly in the box; NaN and infinity never do."""
    low_x, low_y, high_x, high_y = shapely.bounds(shape).T
    inside = (low_x >= box.west) & (low_y >= box.south)
    inside &= (high_x <= box.east) & (high_y <= box.north)
    coordinates, owners = shapely.get_coordinates(shape, return_index=True)
    inside[owners[~np.isfinite(coordinates).all(axis=1)]] = False
    return np.asarray(inside)


def _points_in_box(lonlat: Positions, box: Bbox) -> Mask:
    lon, lat = lonlat.T
    inside = (lon >= box.west) & (lat >= box.south) & (lon <= box.east) & (lat <= box.north)
    return np.asarray(inside)


def _tell_outside(
    outside: NDArray[np.intp],
    fits: Mask,
    finite: Mask,
    first: Positions,
    *,
    crs: InputCrs,
    box: Bbox,
    faults: list[Fault],
) -> None:
    """Say of each row outside the city whether swapped axes or a wrong code would explain it."""
    limits = {"box": ", ".join(f"{edge:g}" for edge in box), "crs": crs.name}
    for index, fit, known, xy in zip(
        outside.tolist(), fits.tolist(), finite.tolist(), first, strict=True
    ):
        key = "ingest.outside" if known else "crs.not_finite"
        if fit:
            key = "ingest.outside.swapped"
        faults.append(Fault(index, key, _position(xy), limits))


def _first_outside(was: Any, converted: Any, box: Bbox) -> Positions:
    """Return the first position, as the file has it, that lies outside the box."""
    lon, lat = shapely.get_coordinates(converted).T
    within = (lon >= box.west) & (lon <= box.east) & (lat >= box.south) & (lat <= box.north)
    return np.asarray(shapely.get_coordinates(was)[np.argmin(within)])


def _inside(
    flat: Geometries,
    converted: Geometries,
    good: Mask,
    *,
    crs: InputCrs,
    box: Bbox,
    faults: list[Fault],
) -> None:
    """Refuse what lies outside the city, and say so where swapped axes would explain it."""
    there = np.flatnonzero(good)
    outside = there[~_in_box(converted[there], box)]
    if not len(outside):
        return
    swapped = shapely.transform(flat[outside], lambda xy: crs.to_wgs84(xy[:, ::-1]))
    fits = _in_box(swapped, box)
    finite = np.array(
        [np.isfinite(shapely.get_coordinates(shape)).all() for shape in converted[outside]]
    )
    first = np.array(
        [
            _first_outside(was, shape, box)
            for was, shape in zip(flat[outside], converted[outside], strict=True)
        ]
    )
    _tell_outside(outside, fits, finite, first, crs=crs, box=box, faults=faults)
    good[outside] = False


def _valid(converted: Geometries, good: Mask, repair: bool, faults: list[Fault]) -> list[Fault]:
    """Refuse or repair what is not simple. What collapses to a lower dimension is not kept."""
    there = np.flatnonzero(good)
    repaired: list[Fault] = []
    for index in there[~shapely.is_valid(converted[there])].tolist():
        shape = converted[index]
        reason = {"reason": str(shapely.is_valid_reason(shape))}
        if not repair:
            faults.append(Fault(index, "ingest.geometry.invalid", None, reason))
            good[index] = False
            continue
        made = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        same = shapely.get_dimensions(made) == shapely.get_dimensions(shape)
        if made.is_empty or not same or made.geom_type == "GeometryCollection":
            faults.append(Fault(index, "ingest.geometry.collapsed", None, reason))
            good[index] = False
            continue
        one = np.array([made], dtype=object)
        converted[index] = _promote(one, np.array([True]))[0]
        repaired.append(Fault(index, "ingest.geometry.repaired", None, reason))
    return repaired
