"""Points at low zooms, counted in cells of the tile grid.

A point belongs to one cell and a cell to one tile, whatever asks: the sum of the counts over tiles
that cover the plane once is the number of points. Places are whole numbers, the world being 2^31
units wide: sums of them are exact, and the cells of a zoom lie whole in those of the zoom before.

Without a filter they are added up from `cell_sums`, which triggers keep in step with every write
(migration 0006_cells); with one they are counted. Both ways give the same cells.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)

from riskmap.crs.datum import Datum
from riskmap.db.tables import CELL_DELTAS, CELL_SUMS
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.tiles import datums
from riskmap.tiles.grid import EXTENT, WEB_MERCATOR_QUAD, Grid, X, Y

# Up to this zoom points are drawn as cells: from the next on there is room for each.
MAX_ZOOM: Final = 11
# Cells along a tile's side: 64 px, a mark of 50 px across with its halo.
ACROSS: Final = 8
_ACROSS_BITS: Final = 3
_EXTENT_BITS: Final = 12
_WORLD_BITS: Final = 31
_SUMS: Final = ("sum_x", "sum_y", "sum_id")
# The levels by the names of their counts; n0 is null, not assessed.
COUNTS: Final = {"n1": 1, "n2": 2, "n3": 3, "n4": 4, "n0": None}
# What a cell carries beside the layer's own fields, and their types as TileJSON names them.
FIELDS: Final = {"cell": "String", **dict.fromkeys(("n", *COUNTS, "top"), "Number")}


def is_point(geom: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a geometry is what goes into cells."""
    return func.GeometryType(geom) == "POINT"


def applies(query: FeatureQuery, z: int) -> bool:
    """Say whether a layer's points are cells at a zoom."""
    return query.layer.tile.cluster and z <= MAX_ZOOM


def cells(query: FeatureQuery, grid: Grid, z: int) -> Select[Any]:
    """Return one row for each cell of a tile: id, the layer's tile fields, geom, cell, n, `COUNTS`.

    `geom` is in units of the tile. A cell of one point is that point, with its id and fields;
    others have null there. The mark of a cell stands at the mean place of its points, rounded
    down to the tile's units: that is never in a neighbour's cell.
    """
    stored = grid is WEB_MERCATOR_QUAD and not query.narrowed
    counted = (_stored(query, z) if stored else _computed(query, grid, z)).subquery("counted")
    only = table_for(query.layer).alias("only")
    name = cast(counted.c.col, String) + ":" + cast(counted.c.row, String)
    shift = _WORLD_BITS - z - _EXTENT_BITS  # of a place's units to those of the tile
    marks = (
        _shifted(func.div(counted.c[total], counted.c.n), shift) - tile * EXTENT
        for total, tile in (("sum_x", X), ("sum_y", Y))
    )
    mark = func.ST_MakePoint(*marks)
    # Of the id's own type: PostgreSQL adds bigints up to a numeric, which no index of ids knows: it
    # read the whole layer for each tile. Only a sum of one id fits that type.
    alone = case((counted.c.n == 1, cast(counted.c.sum_id, only.c.id.type)))
    worst = case(*((counted.c[f"n{level}"] > 0, level) for level in (1, 2, 3, 4)))
    return select(
        only.c.id,
        *(only.c[field.name] for field in query.fields if field.in_tile),
        (mark if query.datum is Datum.WGS84 else datums.moved_in_tile(mark)).label("geom"),
        name.label("cell"),
        *(cast(counted.c[name], BigInteger).label(name) for name in ("n", *COUNTS)),
        worst.label("top"),
    ).select_from(counted.outerjoin(only, only.c.id == alone))


def _stored(query: FeatureQuery, z: int) -> Select[Any]:
    """Add up the stored cells of zoom 11 in a tile, and what was appended to them since."""
    across = ACROSS << (MAX_ZOOM - z)
    parts = (
        select(*(table.c[name] for name in ("x", "y", "n", *COUNTS, *_SUMS))).where(
            table.c.layer == query.layer.id,
            table.c.x.between(X * across, X * across + (across - 1)),
            table.c.y.between(Y * across, Y * across + (across - 1)),
        )
        for table in (CELL_SUMS, CELL_DELTAS)
    )
    every = union_all(*parts).subquery("every")
    col, row = (_shifted(every.c[name], MAX_ZOOM - z) for name in ("x", "y"))
    n = func.sum(every.c.n)
    sums: list[ColumnElement[Any]] = [
        func.sum(every.c[name]).label(name) for name in (*COUNTS, *_SUMS)
    ]
    found: Select[Any] = select(col.label("col"), row.label("row"), n.label("n"), *sums)
    return found.group_by(col, row).having(n > 0)


def _computed(query: FeatureQuery, grid: Grid, z: int) -> Select[Any]:
    """Count the points of a tile that a query asks for."""
    table = table_for(query.layer)
    geom = grid.geometry(table)
    west, north = grid.corner
    # ST_XMin, as ST_X fails on what is no point, and nothing says that the condition is tested
    # first.
    ux = _unit(func.ST_XMin(geom) - west, grid)
    uy = _unit(literal(north, Double) - func.ST_YMin(geom), grid)
    placed = (
        select(table.c.id, table.c.risk_level, ux.label("ux"), uy.label("uy"))
        # The margin is for rounding: the cell alone says which tile a point on an edge is in.
        .where(
            geom.op("&&")(grid.envelope(z, buffer=1)),
            is_point(geom),
            *conditions(query),
        )
        .subquery("placed")
    )
    shift = _WORLD_BITS - _ACROSS_BITS - z
    col, row = _shifted(placed.c.ux, shift), _shifted(placed.c.uy, shift)
    sums: list[ColumnElement[Any]] = [
        *(
            func.count().filter(placed.c.risk_level.is_not_distinct_from(level)).label(name)
            for name, level in COUNTS.items()
        ),
        func.sum(placed.c.ux).label("sum_x"),
        func.sum(placed.c.uy).label("sum_y"),
        func.sum(placed.c.id).label("sum_id"),
    ]
    found: Select[Any] = select(col.label("col"), row.label("row"), func.count().label("n"), *sums)
    return found.where(
        col.between(X * ACROSS, X * ACROSS + (ACROSS - 1)),
        row.between(Y * ACROSS, Y * ACROSS + (ACROSS - 1)),
    ).group_by(col, row)


def nothing() -> list[ColumnElement[Any]]:
    """Return what a feature that is no cell has in the place of a cell's properties."""
    counts = (cast(null(), BigInteger).label(name) for name in ("n", *COUNTS))
    return [cast(null(), String).label("cell"), *counts, cast(null(), Integer).label("top")]


def _unit(distance: ColumnElement[Any], grid: Grid) -> ColumnElement[int]:
    """Return a distance from the grid's corner as a place; the world's far edge is in the last."""
    units = func.floor(distance * literal((1 << _WORLD_BITS) / grid.width, Double))
    return cast(func.least(func.greatest(units, 0), (1 << _WORLD_BITS) - 1), BigInteger)


def _shifted(value: ColumnElement[Any], bits: int) -> ColumnElement[int]:
    """Return a place in coarser units: literal, so that equal expressions group alike."""
    return cast(value, BigInteger).op(">>")(literal_column(str(bits), Integer))
