"""Roads from a line file of any format that layers come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import shapely

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.i18n import LANGS
from riskmap.ingest.batches import ReadOptions
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.readers import read
from riskmap.ingest.report import Problem
from riskmap.roads.columns import RoadMapping
from riskmap.roads.edges import RoadEdges, RowNote
from riskmap.roads.report import RoadReport, describe
from riskmap.roads.vector import SNAP_M, RoadLines, edges_of

_PARTS: Final = ("columns", "values", "defaults")


def read_road_mapping(path: Path | None = None, pairs: Sequence[str] = ()) -> RoadMapping:
    """Read a mapping file and `field=column` pairs; a pair wins over the file.

    The file is JSON: ``{"columns": {"road_class": "等级"}, "values": {"road_class": {"一级道路":
    "primary"}}, "defaults": {"speed_kmh": 30}}``, each part optional.

    Raises
    ------
    InputError
        It cannot be read, has another shape, or says what cannot be; a pair has no equals sign.
    """
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    if path is not None:
        try:
            content = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        except (OSError, orjson.JSONDecodeError):
            content = None
        wanted = {"columns": str, "values": dict}
        if not isinstance(content, dict) or not all(
            part in _PARTS
            and isinstance(entries, dict)
            and all(isinstance(entry, wanted.get(part, object)) for entry in entries.values())
            for part, entries in content.items()
        ):
            raise InputError("roads.mapping_file", parameter="--mapping", file=path.name)
        parts |= content
    for pair in pairs:
        role, sign, column = (part.strip() for part in pair.partition("="))
        if not (role and sign and column):
            raise InputError("option.pair", parameter="--map", value=pair)
        parts["columns"][role] = column
    return RoadMapping(**parts)


def read_lines(
    path: Path,
    mapping: RoadMapping,
    *,
    crs: InputCrs,
    table: str | None = None,
    encoding: str | None = None,
    workspace: Path | None = None,
    wkt: str | None = None,
) -> RoadLines:
    """Read the rows of a line file.

    Parameters
    ----------
    wkt
        Column that holds the lines of a table (CSV, XLSX) as well-known text.

    Raises
    ------
    InputError
        What the readers refuse, or the file lacks a column of the mapping.
    """
    fields = FieldMapping(fields={} if wkt is None else {"wkt": wkt})
    source = read(
        path,
        ReadOptions(crs=crs, mapping=fields, table=table, encoding=encoding, workspace=workspace),
    )
    rows: list[int] = []
    shapes: list[Any] = []
    cells: dict[str, list[object]] = {role: [] for role in mapping.columns}
    headings = dict.fromkeys(source.headings or ())
    notes: list[RowNote] = []
    for batch in source.batches():
        rows += batch.rows
        shapes.append(_in_degrees(batch.geometry, crs))
        headings |= dict.fromkeys(batch.columns)
        for role, column in mapping.columns.items():
            cells[role] += batch.columns.get(column, [None] * len(batch.rows))
        notes += [_note(problem) for problem in batch.problems]
    for column in mapping.columns.values():
        if column not in headings:
            known = ", ".join(headings)
            raise InputError("roads.column_unknown", parameter=column, columns=known)
    found = np.concatenate(shapes) if shapes else np.empty(0, dtype=object)
    return RoadLines(rows, found, cells, tuple(notes))


def _note(problem: Problem) -> RowNote:
    # The row stands before the reason: the readers' own sentences do not name it.
    reason: dict[str, object] = {lang: problem.text(lang) for lang in LANGS}
    return RowNote(problem.row, "roads.row_problem", {"row": problem.row, **reason})


def _in_degrees(geometry: np.ndarray[Any, Any], crs: InputCrs) -> np.ndarray[Any, Any]:
    flat = shapely.force_2d(geometry)
    return np.asarray(shapely.transform(flat, crs.to_wgs84), dtype=object)


def import_lines(
    path: Path,
    mapping: RoadMapping,
    *,
    crs: InputCrs,
    table: str | None = None,
    encoding: str | None = None,
    workspace: Path | None = None,
    wkt: str | None = None,
    snap_m: float = SNAP_M,
    split_touching: bool = False,
    already_split: bool = False,
) -> tuple[RoadEdges, RoadReport]:
    """Read a line file and make a network of it, with its report.

    Raises
    ------
    InputError
        See `read_lines` and `riskmap.roads.vector.edges_of`.
    """
    lines = read_lines(
        path, mapping, crs=crs, table=table, encoding=encoding, workspace=workspace, wkt=wkt
    )
    edges, mended = edges_of(
        lines,
        mapping,
        file=str(path),
        snap_m=snap_m,
        split_touching=split_touching,
        already_split=already_split,
    )
    return edges, describe(edges, mended)
