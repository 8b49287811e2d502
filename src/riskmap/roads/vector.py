"""Roads from a line layer (GeoPackage, shapefile, GeoJSON, anything GDAL reads)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyogrio
import pyogrio.errors
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from riskmap.errors import InputError
from riskmap.roads.edges import FOOT_CLASSES, MOTOR_CLASSES, NO_WALK_CLASSES, RoadEdges, RowNote

COLUMN_ROLES: Final = ("road_class", "name", "oneway", "speed_kmh", "bridge", "tunnel")
_REFUSED_DATUMS: Final = ("Beijing 1954", "Xian 1980")
_YES: Final = frozenset({"1", "1.0", "true", "t", "yes", "y", "是"})
_ONEWAY: Final = {
    **dict.fromkeys(
        ("", "both", "b", "0", "0.0", "no", "n", "false", "双向", "none", "nan"), "both"
    ),
    **dict.fromkeys(("forward", "f", "ft", "1", "1.0", "yes", "y", "true"), "forward"),
    **dict.fromkeys(("backward", "t", "tf", "-1", "-1.0", "reverse"), "backward"),
}


def read_vector_roads(
    path: Path, *, crs: str, columns: Mapping[str, str] | None = None, layer: str | None = None
) -> RoadEdges:
    """Read the roads of a line layer.

    Parameters
    ----------
    path
        A file that GDAL reads.
    crs
        EPSG code of the coordinates, ``EPSG:4490``: demanded, since files often say nothing or
        something wrong. Coordinates are taken east first, as files hold them.
    columns
        From the use of a column (`COLUMN_ROLES`) to its name in the file; all optional. A speed
        of 0 or less is "not known".
    layer
        Layer of the file, the first by default.

    Returns
    -------
    RoadEdges
        Source ids are ``row/7/0``: row from 1, then the part of a multi-line. Nodes are ends with
        equal coordinates, to 1e-7 degrees (1 cm): lines must be split at their junctions. Left
        out rows and values that were not understood stand in ``notes``.

    Raises
    ------
    InputError
        The file, the CRS or a column is wrong, or no road is left.
    """
    transformer = _to_lonlat(crs)
    lines, values = _read(path, dict(columns or {}), layer)
    notes: list[RowNote] = []
    empty = (
        shapely.is_missing(lines) | shapely.is_empty(lines) | (shapely.get_dimensions(lines) != 1)
    )
    notes += [_note(int(at), "roads.row_empty") for at in np.flatnonzero(empty)]
    parts, owner = shapely.get_parts(lines[~empty], return_index=True)
    row = np.flatnonzero(~empty)[owner]
    piece = np.arange(len(row)) - np.searchsorted(row, row)

    xy, line = shapely.get_coordinates(parts, return_index=True)
    lonlat = np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    outside = ~(np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat) <= (180.0, 90.0)).all(axis=1))
    wild = np.bincount(line[outside], minlength=len(parts)) > 0
    notes += [_note(at, "roads.row_coordinates") for at in np.unique(row[wild]).tolist()]
    grid = np.round(np.where(outside[:, None], 0.0, lonlat) * 1e7).astype(np.int64)
    step = np.zeros(len(grid), dtype=np.int64)
    step[1:] = np.abs(np.diff(grid, axis=0)).sum(axis=1) * (line[1:] == line[:-1])
    flat = (np.bincount(line, weights=step, minlength=len(parts)) == 0) & ~wild
    notes += [_note(at, "roads.row_zero_length") for at in np.unique(row[flat]).tolist()]

    keep = ~wild & ~flat
    if not keep.any():
        raise InputError("roads.no_roads", parameter=str(path))
    vertices = keep[line]
    lonlat, grid = lonlat[vertices], grid[vertices]
    offsets = np.concatenate([[0], np.cumsum(shapely.get_num_points(parts[keep]))]).astype(np.int64)
    row, piece = row[keep], piece[keep]
    # Both numbers of a place in one: 32 bits for the longitude, 31 for the latitude.
    node = ((grid[:, 0] + 1_800_000_000) << 31) | (grid[:, 1] + 900_000_000)
    classes = _classes(values, row, notes)
    count = len(row)
    speed = _floats(values["speed_kmh"], row) if "speed_kmh" in values else np.full(count, np.nan)
    return RoadEdges(
        source_id=[f"row/{r + 1}/{k}" for r, k in zip(row.tolist(), piece.tolist(), strict=True)],
        from_node=node[offsets[:-1]],
        to_node=node[offsets[1:] - 1],
        lonlat=lonlat,
        offsets=offsets,
        road_class=classes,
        name=_texts(values, "name", row),
        oneway=_oneways(values, row, notes),
        maxspeed_kmh=np.where(speed > 0, speed, np.nan),
        bridge=_flags(values, "bridge", row),
        tunnel=_flags(values, "tunnel", row),
        layer=np.zeros(count, dtype=np.int32),
        motor=np.array([name in MOTOR_CLASSES for name in classes]),
        foot=np.array([name not in NO_WALK_CLASSES for name in classes]),
        restricted=np.zeros(count, dtype=bool),
        notes=tuple(sorted(notes, key=lambda note: note.row)),
    )


def _to_lonlat(crs: str) -> Transformer:
    if not re.fullmatch(r"EPSG:\d+", crs, re.IGNORECASE):
        raise InputError("roads.crs_unknown", parameter="crs", value=crs)
    try:
        source = CRS.from_user_input(crs)
    except CRSError:
        raise InputError("roads.crs_unknown", parameter="crs", value=crs) from None
    # PROJ converts these without a word, and tens of metres wrong.
    datum = source.geodetic_crs.name if source.geodetic_crs else ""
    if any(name in datum or name in source.name for name in _REFUSED_DATUMS):
        raise InputError("roads.crs_refused", parameter="crs", value=crs, name=source.name)
    return Transformer.from_crs(source, 4326, always_xy=True)


def _read(
    path: Path, columns: dict[str, str], layer: str | None
) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[Any]]]:
    for role in columns:
        if role not in COLUMN_ROLES:
            raise InputError("roads.column_role", parameter=role, roles=", ".join(COLUMN_ROLES))
    try:
        known = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
        for name in columns.values():
            if name not in known:
                raise InputError("roads.column_unknown", parameter=name, columns=", ".join(known))
        meta, _, wkb, data = pyogrio.raw.read(
            path, layer=layer, columns=sorted(set(columns.values())), force_2d=True
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        raise InputError("roads.file_unreadable", parameter=str(path), reason=str(error)) from error
    if wkb is None:
        raise InputError("roads.no_roads", parameter=str(path))
    by_name = dict(zip(meta["fields"].tolist(), data, strict=True))
    return shapely.from_wkb(wkb), {role: by_name[name] for role, name in columns.items()}


def _note(row: int, key: str, **values: object) -> RowNote:
    return RowNote(row + 1, key, {"row": row + 1, **values})


def _texts(values: dict[str, npt.NDArray[Any]], role: str, row: npt.NDArray[Any]) -> list[str]:
    if role not in values:
        return [""] * len(row)
    return ["" if v is None else str(v).strip() for v in values[role][row].tolist()]


def _flags(
    values: dict[str, npt.NDArray[Any]], role: str, row: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    return np.array([text.lower() in _YES for text in _texts(values, role, row)], dtype=bool)


def _floats(column: npt.NDArray[Any], row: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    def number(value: object) -> float:
        try:
            return float(str(value))
        except ValueError:
            return float("nan")

    return np.array([number(value) for value in column[row].tolist()])


def _oneways(
    values: dict[str, npt.NDArray[Any]], row: npt.NDArray[Any], notes: list[RowNote]
) -> list[str]:
    found = []
    for at, text in zip(row.tolist(), _texts(values, "oneway", row), strict=True):
        way = _ONEWAY.get(text.lower())
        if way is None:
            notes.append(_note(at, "roads.row_oneway", value=text))
        found.append(way or "both")
    return found


def _classes(
    values: dict[str, npt.NDArray[Any]], row: npt.NDArray[Any], notes: list[RowNote]
) -> list[str]:
    known = MOTOR_CLASSES | FOOT_CLASSES | {"ferry"}
    found = []
    for at, text in zip(row.tolist(), _texts(values, "road_class", row), strict=True):
        name = text.lower()
        if name and name not in known:
            notes.append(_note(at, "roads.row_class", value=text))
        found.append(name if name in known else "road")
    return found
