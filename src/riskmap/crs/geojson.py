"""GeoJSON from one coordinate system to another: geometries, features, collections."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from riskmap.errors import InputError

# How many lists lie around a position.
_DEPTHS: Final = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
_DEEPEST: Final = 8

Json = dict[str, Any]


def read_positions(shape: Any, *, parameter: str = "geojson") -> list[list[float]]:
    """Return all positions of a GeoJSON object in the order in which they stand in it.

    Raises
    ------
    InputError
        It is no GeoJSON.
    """
    found: list[list[float]] = []
    for geometry in _geometries(shape, parameter, 0):
        level = geometry.get("coordinates")
        lists: list[Any] = [level]
        for _ in range(_DEPTHS[geometry["type"]]):
            if not all(isinstance(one, list) for one in lists):
                raise InputError("convert.geojson", parameter=parameter)
            lists = [inner for one in lists for inner in one]
        for position in lists:
            if not (
                isinstance(position, list)
                and len(position) >= 2
                and all(_is_number(number) for number in position)
            ):
                raise InputError("convert.geojson", parameter=parameter)
            found.append(position)
    return found


def write_positions(shape: Json, positions: NDArray[np.float64], decimals: int) -> Json:
    """Return a GeoJSON object with other positions, heights kept, in the order of `read_positions`.

    Members that name the system of the old positions are left out.
    """
    return _written(shape, iter(np.round(positions, decimals).tolist()))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _members(shape: Json, parameter: str) -> list[Any]:
    """Return what lies inside an object that is no plain geometry."""
    kind = shape.get("type")
    if kind == "Feature":
        return [shape["geometry"]] if shape.get("geometry") is not None else []
    name = {"FeatureCollection": "features", "GeometryCollection": "geometries"}.get(str(kind))
    inner = shape.get(name) if name else None
    if isinstance(inner, list):
        return inner
    raise InputError("convert.geojson", parameter=parameter)


def _geometries(shape: Any, parameter: str, depth: int) -> Iterator[Json]:
    if not isinstance(shape, dict) or depth > _DEEPEST:
        raise InputError("convert.geojson", parameter=parameter)
    kind = shape.get("type")
    if isinstance(kind, str) and kind in _DEPTHS:
        yield shape
        return
    for inner in _members(shape, parameter):
        yield from _geometries(inner, parameter, depth + 1)


def _written(shape: Json, rows: Iterator[list[float]]) -> Json:
    kept = {name: value for name, value in shape.items() if name not in ("crs", "datum", "bbox")}
    kind = shape["type"]
    if kind in _DEPTHS:
        return {**kept, "coordinates": _coordinates(shape["coordinates"], _DEPTHS[kind], rows)}
    if kind == "Feature":
        inner = shape.get("geometry")
        return kept if inner is None else {**kept, "geometry": _written(inner, rows)}
    name = "features" if kind == "FeatureCollection" else "geometries"
    return {**kept, name: [_written(one, rows) for one in shape[name]]}


def _coordinates(old: Any, depth: int, rows: Iterator[list[float]]) -> Any:
    if depth == 0:
        return [*next(rows), *old[2:]]
    if depth == 1:
        moved = islice(rows, len(old))
        return [[*new, *position[2:]] for position, new in zip(old, moved, strict=True)]
    return [_coordinates(inner, depth - 1, rows) for inner in old]
