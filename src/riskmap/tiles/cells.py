"""Points at low zooms, counted in cells of the tile grid.

A point belongs to one cell and a cell to one tile, whatever asks: the sum of the counts over tiles
that cover the plane once is the number of points. Cells of a zoom lie whole in those of the zoom
before, since a power of two scales a floating-point number exactly.
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
    cast,
    func,
    literal,
    null,
    select,
)

from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.tiles.grid import EXTENT, Grid, X, Y

# Up to this zoom points are drawn as cells: from the next on there is room for each.
MAX_ZOOM: Final = 11
# Cells along a tile's side: 64 px, a mark of 50 px across with its halo.
ACROSS: Final = 8
_UNITS: Final = EXTENT // ACROSS
# The levels by the names of their counts; n0 is null, not assessed.
COUNTS: Final = {"n1": 1, "n2": 2, "n3": 3, "n4": 4, "n0": None}


def is_point(geom: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return whether a geometry is what goes into cells."""
    return func.GeometryType(geom) == "POINT"


def applies(query: FeatureQuery, z: int) -> bool:
    """Say whether a layer's points are cells at a zoom."""
    return query.layer.tile.cluster and z <= MAX_ZOOM


def cells(query: FeatureQuery, grid: Grid, z: int) -> Select[Any]:
    """Return one row for each cell of a tile: id, the layer's tile fields, geom, cell, n, `COUNTS`.

    `geom` is in units of the tile. A cell of one point is that point, with its id and fields;
    others have null there. The mark of a cell stands at the mean place of its points and, rounded
    down, never in a neighbour's cell: at 4096 it would be outside of its tile.
    """
    layer, table = query.layer, table_for(query.layer)
    geom = grid.geometry(table)
    scale = (1 << z) / grid.width
    west, north = grid.corner
    # In tiles from the north-west corner. ST_XMin, as ST_X fails on what is no point, and nothing
    # says that the condition is tested first.
    across = (func.ST_XMin(geom) - west) * literal(scale, Double)
    down = (literal(north, Double) - func.ST_YMin(geom)) * literal(scale, Double)
    placed = (
        select(
            table.c.id,
            *([table.c.risk_level] if layer.assessed else []),
            _column(across, z).label("col"),
            _column(down, z).label("row"),
            ((across - X) * EXTENT).label("px"),
            ((down - Y) * EXTENT).label("py"),
        )
        # The margin is for rounding: the cell alone says which tile a point on an edge is in.
        .where(
            geom.op("&&")(grid.envelope(z, buffer=1)),
            is_point(geom),
            *conditions(query),
        )
        .subquery("placed")
    )
    counts: list[ColumnElement[Any]] = [
        func.count().filter(placed.c.risk_level.is_not_distinct_from(level)).label(name)
        if layer.assessed
        else (func.count() if level is None else literal(0)).label(name)
        for name, level in COUNTS.items()
    ]
    first_col, first_row = X * ACROSS, Y * ACROSS
    counted = (
        select(
            placed.c.col,
            placed.c.row,
            func.min(placed.c.id).label("id"),
            func.count().label("n"),
            *counts,
            _mark(func.avg(placed.c.px), placed.c.col - first_col).label("px"),
            _mark(func.avg(placed.c.py), placed.c.row - first_row).label("py"),
        )
        .where(
            placed.c.col.between(first_col, first_col + ACROSS - 1),
            placed.c.row.between(first_row, first_row + ACROSS - 1),
        )
        .group_by(placed.c.col, placed.c.row)
        .subquery("counted")
    )
    only = table.alias("only")
    name = cast(counted.c.col, String) + ":" + cast(counted.c.row, String)
    return select(
        only.c.id,
        *(only.c[field.name] for field in query.fields if field.in_tile),
        func.ST_MakePoint(counted.c.px, counted.c.py).label("geom"),
        name.label("cell"),
        *(counted.c[name] for name in ("n", *COUNTS)),
    ).select_from(counted.outerjoin(only, (counted.c.n == 1) & (only.c.id == counted.c.id)))


def nothing() -> list[ColumnElement[Any]]:
    """Return what a feature that is no cell has in the place of a cell's properties."""
    counts = (cast(null(), BigInteger).label(name) for name in ("n", *COUNTS))
    return [cast(null(), String).label("cell"), *counts]


def _column(tiles: ColumnElement[Any], z: int) -> ColumnElement[int]:
    """Return the cell of a place given in tiles; the world's far edge is in the last one."""
    last = (ACROSS << z) - 1
    return cast(func.least(func.greatest(func.floor(tiles * ACROSS), 0), last), Integer)


def _mark(mean: ColumnElement[Any], cell: ColumnElement[Any]) -> ColumnElement[Any]:
    first = cell * _UNITS
    return func.least(func.greatest(func.floor(mean), first), first + (_UNITS - 1))
