"""Checks of geometry, over whole batches: there, finite, of the right type, valid, in the city."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

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

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the geometry at one place of a batch."""

    index: int
    key: str
    value: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


class Shapes(NamedTuple):
    """The geometries of a batch in WGS 84, and what is wrong.

    `raw` holds the input's own numbers of points, NaN for other geometries.
    """

    geometry: Geometries
    raw: NDArray[np.float64]
    faults: list[Fault]
    repaired: list[Fault]


def check_shapes(
    geometry: Geometries, kind: Geometry, crs: InputCrs, box: Bbox, *, repair: bool
) -> Shapes:
    """Check and convert the geometries of a batch.

    Third and fourth coordinates are dropped. Single lines and polygons become multi; a multipoint
    of one point becomes the point.
    """
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


def to_ewkb(geometry: Geometries) -> list[str]:
    """Return geometries as hexadecimal EWKB, which COPY reads."""
    encoded = shapely.to_wkb(shapely.set_srid(geometry, WGS84), hex=True, include_srid=True)
    return [str(text) for text in encoded]


def _where(mask: Mask) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def _first_position(shape: Any) -> str:
    x, y = shapely.get_coordinates(shape)[0]
    return f"{x:.10g}, {y:.10g}"


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
    limits = {"box": ", ".join(f"{edge:g}" for edge in box), "crs": crs.name}
    for index, fit in zip(outside.tolist(), fits.tolist(), strict=True):
        if fit:
            key = "ingest.outside.swapped"
        elif np.isfinite(shapely.get_coordinates(converted[index])).all():
            key = "ingest.outside"
        else:
            key = "crs.not_finite"
        faults.append(Fault(index, key, _first_position(flat[index]), limits))
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
