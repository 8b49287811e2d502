"""Where a database's tiles are, and which of them later changes touched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Select, exists, func, not_, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import psycopg

from riskmap.catalog.spec import Layer
from riskmap.db.feed import IDENTITY
from riskmap.db.sessions import AsyncReadSession
from riskmap.db.tables import FEED, ROAD_EDGES
from riskmap.features.where import table_for
from riskmap.tiles import archive_format, roads
from riskmap.tiles.grid import WEB_MERCATOR_QUAD as GRID
from riskmap.tiles.grid import WORLD_M, Corners

# The feed notes what was touched in cells of this zoom (migration 0002_feed).
_CELLS_ZOOM: Final = 14


async def identity(session: AsyncReadSession) -> str:
    """Tell this database from any other, a copy restored from a backup included."""
    return str((await session.execute(text(f"SELECT {IDENTITY}"))).scalar_one())


async def position(session: AsyncReadSession) -> int:
    """Return the last revision that the session's snapshot holds, and with it all before."""
    found = await session.execute(select(func.coalesce(func.max(FEED.c.revision), 0)))
    return int(found.scalar_one())


async def extent(
    session: AsyncReadSession, layers: Sequence[Layer], *, with_roads: bool
) -> Corners | None:
    """Return the box of all geometries in metres of Web Mercator; None where there is none."""
    columns = [table_for(layer).c.geom_3857 for layer in layers]
    columns += [ROAD_EDGES.c.geom_3857] if with_roads else []
    each = union_all(*(select(func.ST_Extent(column).label("box")) for column in columns))
    box = each.subquery("each").c.box
    edges = (
        func.min(func.ST_XMin(box)),
        func.min(func.ST_YMin(box)),
        func.max(func.ST_XMax(box)),
        func.max(func.ST_YMax(box)),
    )
    row: Any = (await session.execute(select(*edges))).one()
    west, south, east, north = row
    return None if west is None else (west, south, east, north)


async def is_bare(
    session: AsyncReadSession, layers: tuple[Layer, ...], tile: int, *, with_roads: bool
) -> bool:
    """Say whether nothing at all lies in a tile with its buffers, drawn at its zoom or not.

    Then nothing lies in the tiles below: their buffered boxes are within this one.
    """
    zoom, x, y = archive_format.place(tile)
    sql, bound = _bare(layers, with_roads, zoom)
    ((bare,),) = await session.driver(sql, bound | {"x": x, "y": y})
    return bool(bare)


@lru_cache(maxsize=64)
def _bare(layers: tuple[Layer, ...], with_roads: bool, zoom: int) -> tuple[str, dict[str, Any]]:
    """Return the statement as the driver takes it; to build one takes longer than to run it."""

    def holds(column: ColumnElement[Any], buffer: int) -> ColumnElement[bool]:
        return exists().where(column.op("&&")(GRID.envelope(zoom, buffer=buffer)))

    parts = [holds(table_for(layer).c.geom_3857, layer.tile.buffer) for layer in layers]
    parts += [holds(ROAD_EDGES.c.geom_3857, roads.BUFFER)] if with_roads else []
    statement: Select[Any] = select(not_(or_(*parts)))
    ready = statement.compile(dialect=psycopg.dialect())  # type: ignore[no-untyped-call]
    return str(ready), {k: v for k, v in ready.params.items() if k not in ("x", "y")}


@dataclass(frozen=True, slots=True)
class Changes:
    """What was touched where after some revision.

    Parameters
    ----------
    boxes, revisions
        One of each for every cell that a change touched.
    everywhere
        The last revision that touched a whole layer, 0 for none.
    """

    boxes: NDArray[np.object_]
    revisions: NDArray[np.int64]
    everywhere: int

    def last(self, tiles: Sequence[int], buffer: int) -> NDArray[np.int64]:
        """Return the last revision that touched each tile with its buffer, 0 for none."""
        found = np.full(len(tiles), self.everywhere, dtype=np.int64)
        if len(self.boxes) and len(tiles):
            corners = np.array([corners_of(tile, buffer) for tile in tiles])
            at, touched = shapely.STRtree(self.boxes).query(shapely.box(*corners.T))
            np.maximum.at(found, at, self.revisions[touched])
        return found


async def changes(session: AsyncReadSession, after: int, names: Collection[str]) -> Changes:
    """Read what was touched after a revision, of layers by their names."""
    column = FEED.c
    rows: Any = await session.execute(
        select(
            column.revision,
            column.cells,
            column.x_min,
            column.y_min,
            column.x_max,
            column.y_max,
        ).where(column.revision > after, column.layer.in_(names))
    )
    everywhere, corners, revisions = 0, [np.empty((0, 4))], []
    for revision, cells, *box in rows:
        if box[0] is None:
            everywhere = max(everywhere, revision)
            continue
        touched = np.array([box]) if cells is None else _cells(cells, box)
        corners.append(touched)
        revisions += [revision] * len(touched)
    boxes: Any = shapely.box(*np.concatenate(corners).T)
    return Changes(boxes, np.array(revisions, dtype=np.int64), everywhere)


def _cells(codes: list[int], box: list[float]) -> NDArray[np.float64]:
    """Return the boxes of cells, no farther than the box of all that was touched."""
    code = np.array(codes)
    side, half = WORLD_M / 2**_CELLS_ZOOM, WORLD_M / 2
    west, north = (code >> _CELLS_ZOOM) * side - half, half - (code & 0x3FFF) * side
    return np.column_stack(
        [
            np.maximum(west, box[0]),
            np.maximum(north - side, box[1]),
            np.minimum(west + side, box[2]),
            np.minimum(north, box[3]),
        ]
    )


def corners_of(tile: int, buffer: int) -> Corners:
    """Return west, south, east, north of a buffered tile in metres of Web Mercator."""
    zoom, x, y = archive_format.place(tile)
    return GRID.bounds(zoom, x, y, buffer=buffer)
