"""Roads from the lines of any file: lines and columns in, edges between junctions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.errors import InputError
from riskmap.roads.columns import FASTEST_KMH, ColumnReader, RoadMapping
from riskmap.roads.edges import MOTOR_CLASSES, NO_WALK_CLASSES, RoadEdges, RowNote
from riskmap.roads.joining import Lines, place_keys, to_metres
from riskmap.roads.topology import Mended, build

# Half a metre: twice what digitising at 1:500 leaves, and less than half a lane, so that roads
# which really run beside each other stay apart.
SNAP_M: Final = 0.5
_WIDEST_SNAP_M: Final = 50.0


@dataclass(frozen=True, eq=False)
class RoadLines:
    """The rows of a file that hold roads, in WGS 84.

    Attributes
    ----------
    rows : list of int
        Number of each row, from 1.
    shapes : object[n]
        Shapely geometries in degrees, longitude first; None where a row has none.
    cells
        Use of a column (`riskmap.roads.columns.COLUMN_ROLES`) -> its cells.
    notes
        What the reader could not take.
    """

    rows: list[int]
    shapes: npt.NDArray[Any]
    cells: Mapping[str, list[object]]
    notes: tuple[RowNote, ...] = ()


def edges_of(
    roads: RoadLines,
    mapping: RoadMapping,
    *,
    file: str,
    snap_m: float = SNAP_M,
    split_touching: bool = False,
    already_split: bool = False,
) -> tuple[RoadEdges, Mended]:
    """Make edges of lines.

    Parameters
    ----------
    file
        What errors call the file.
    snap_m, split_touching, already_split
        See `riskmap.roads.topology.build`. Touching ends are split only when asked: over a
        network of 2 km/km2 each of n ends lies within 0.5 m of some line by chance with 0.2 %,
        and where a file does not say which roads are bridges those are mostly crossings above
        and below. (Nanjing, 31,500 junctions: 52 such ends, 62 expected.) The report lists them.

    Returns
    -------
    RoadEdges
        Source ids are ``row/7/0``: row from 1, then the piece of it. Of pieces that were merged
        the first one's counts. What was left out or not understood stands in ``notes``.
    Mended
        What was done to the lines.

    Raises
    ------
    InputError
        No road is left, or the tolerance is none.

    Notes
    -----
    `seconds`, a travel time over a whole line, becomes the speed length / time, and goes before
    `speed_kmh`. Without a level, a bridge lies above the ground and a tunnel below.
    """
    if not 0 <= snap_m <= _WIDEST_SNAP_M:
        raise InputError("roads.snap", parameter="--snap", value=snap_m, most=_WIDEST_SNAP_M)
    notes = list(roads.notes)
    drawn, owner = _drawn(roads, notes)
    if len(drawn.level) == 0:
        raise InputError("roads.no_roads", parameter=file)
    rows = [roads.rows[k] for k in owner.tolist()]
    cells = {role: [of[k] for k in owner.tolist()] for role, of in roads.cells.items()}
    reader = ColumnReader(cells, mapping, rows)
    table = _attributes(reader, drawn)
    notes += reader.notes
    numbers: dict[tuple[object, ...], int] = {}
    kinds = zip(*(values for role, values in table.items() if role != "oneway"), strict=True)
    alike = np.array([numbers.setdefault(kind, len(numbers)) for kind in kinds], dtype=np.int64)
    ways = {"both": 0, "forward": 1, "backward": -1}
    oneway = np.array([ways[way] for way in table["oneway"]], dtype=np.int64)
    pieces, mended = build(
        drawn,
        alike,
        oneway,
        snap_m=snap_m,
        split_touching=split_touching,
        already_split=already_split,
    )
    notes += [_note(rows[k], "roads.row_collapsed") for k in mended.collapsed]

    of = pieces.line.tolist()
    turned = {"both": "both", "forward": "backward", "backward": "forward"}

    def column(role: str) -> list[Any]:
        values = table[role]
        return [values[k] for k in of]

    speed = np.array(column("speed_kmh"), dtype=np.float64)
    return RoadEdges(
        source_id=_source_ids([rows[k] for k in of]),
        from_node=pieces.from_node,
        to_node=pieces.to_node,
        lonlat=pieces.lines.lonlat[pieces.vertex],
        offsets=pieces.offsets,
        road_class=column("road_class"),
        name=column("name"),
        oneway=[
            turned[way] if flip else way
            for way, flip in zip(column("oneway"), pieces.flipped.tolist(), strict=True)
        ],
        maxspeed_kmh=np.where(speed > 0, speed, np.nan),
        bridge=np.array(column("bridge"), dtype=bool),
        tunnel=np.array(column("tunnel"), dtype=bool),
        layer=np.array(column("level"), dtype=np.int32),
        motor=np.array(column("motor"), dtype=bool),
        foot=np.array(column("foot"), dtype=bool),
        restricted=np.array(column("restricted"), dtype=bool),
        notes=tuple(sorted(notes, key=lambda note: note.row)),
    ), mended


def _note(row: int, key: str) -> RowNote:
    return RowNote(row, key, {"row": row})


def _source_ids(rows: list[int]) -> list[str]:
    """Name the pieces of each row; those of a row lie side by side."""
    seen: dict[int, int] = {}
    found = []
    for row in rows:
        piece = seen[row] = seen.get(row, -1) + 1
        found.append(f"row/{row}/{piece}")
    return found


def _drawn(roads: RoadLines, notes: list[RowNote]) -> tuple[Lines, npt.NDArray[np.int64]]:
    """Return the lines that are roads, and the index of the row that each belongs to."""
    shapes = roads.shapes
    told = {note.row for note in notes}
    # The dimension of nothing is -1; an empty line is a line.
    line_like = (shapely.get_dimensions(shapes) == 1) & ~shapely.is_empty(shapes)
    empty = ~np.asarray(line_like, dtype=bool)
    for at in np.flatnonzero(empty).tolist():
        if roads.rows[at] not in told:  # the reader has said what is wrong with it
            notes.append(_note(roads.rows[at], "roads.row_empty"))
    parts, owner = shapely.get_parts(shapes[~empty], return_index=True)
    owner = np.flatnonzero(~empty)[owner]
    lonlat, line = shapely.get_coordinates(parts, return_index=True)
    fits = np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat) <= (180.0, 90.0)).all(axis=1)
    outside: npt.NDArray[np.bool_] = np.logical_not(fits)
    wild = np.bincount(line[outside], minlength=len(parts)) > 0
    for at in np.unique(owner[wild]).tolist():
        notes.append(_note(roads.rows[at], "roads.row_coordinates"))
    keys = place_keys(np.where(outside[:, None], 0.0, lonlat))
    moves = np.zeros(len(keys), dtype=bool)
    moves[1:] = (keys[1:] != keys[:-1]) & (line[1:] == line[:-1])
    flat = (np.bincount(line[moves], minlength=len(parts)) == 0) & ~wild
    for at in np.unique(owner[flat]).tolist():
        notes.append(_note(roads.rows[at], "roads.row_zero_length"))
    keep = ~wild & ~flat
    count = int(keep.sum())
    lonlat = lonlat[keep[line]]
    sizes = shapely.get_num_points(parts[keep]) if count else np.empty(0, dtype=np.int64)
    return Lines(
        lonlat=lonlat,
        xy=to_metres(lonlat) if count else lonlat,
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        level=np.zeros(count, dtype=np.int64),
    ), owner[keep]


def _attributes(reader: ColumnReader, drawn: Lines) -> dict[str, list[Any]]:
    """Return the attributes of each line by their use, and set the lines' levels."""
    classes = reader.read("road_class", "road")
    table: dict[str, list[Any]] = {
        "road_class": classes,
        "name": reader.read("name", ""),
        "oneway": reader.read("oneway", "both"),
        "speed_kmh": _speeds(reader, drawn),
        "bridge": reader.read("bridge", False),
        "tunnel": reader.read("tunnel", False),
        "level": reader.read("level", 0),
        "restricted": reader.read("restricted", False),
    }
    for role, usual in (
        ("motor", [name in MOTOR_CLASSES for name in classes]),
        ("foot", [name not in NO_WALK_CLASSES for name in classes]),
    ):
        said = reader.read(role, None)
        table[role] = [by if word is None else word for by, word in zip(usual, said, strict=True)]
    drawn.level[:] = [
        level or int(bridge) - int(tunnel)
        for level, bridge, tunnel in zip(
            table["level"], table["bridge"], table["tunnel"], strict=True
        )
    ]
    return table


def _speeds(reader: ColumnReader, drawn: Lines) -> list[float | None]:
    """Return km/h, None where not known: NaN would make no two lines alike."""
    stated = np.array(reader.read("speed_kmh", np.nan), dtype=np.float64)
    if "seconds" in reader:
        seconds = np.array(reader.read("seconds", np.nan), dtype=np.float64)
        step = np.zeros(len(drawn.xy))
        line = drawn.line
        step[1:] = np.hypot(*np.diff(drawn.xy, axis=0).T) * (line[1:] == line[:-1])
        length_m = np.bincount(line, weights=step, minlength=len(drawn.level))
        implied = length_m / seconds * 3.6
        believed = (implied > 0) & (implied <= FASTEST_KMH)
        reader.refuse("seconds", np.flatnonzero(np.isfinite(seconds) & ~believed), seconds)
        stated = np.where(believed, implied, stated)
    return [float(v) if v > 0 else None for v in stated.tolist()]
