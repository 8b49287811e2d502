"""The SQL of a layer's vector tile."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal_column, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import LargeBinary

from riskmap.catalog.spec import Geometry
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.tiles import cells
from riskmap.tiles.grid import EXTENT, Grid


def tile(
    query: FeatureQuery, grid: Grid, z: int, *, exact: bool = False
) -> Select[bytes, int, int]:
    """Return (mvt, taken, kept) of one tile of a layer: rows selected, and those of them drawn.

    Cells count in neither: a layer's limit does not touch them.

    Parameters
    ----------
    exact
        Select by the shape, not by its box: for a full tile, where the place of a feature that
        is drawn must not go to one that only passes by. It costs more.
    """
    layer = query.layer
    if not cells.applies(query, z):
        rows = _shapes(query, grid, z, exact=exact).subquery("tile")
        single = rows.c.id.is_not(None)
    elif layer.geometry is Geometry.POINT:
        rows = cells.cells(query, grid, z).subquery("tile")
        single = rows.c.cell.is_(None)
    else:
        both = union_all(cells.cells(query, grid, z), _shapes(query, grid, z, exact=exact))
        rows = both.subquery("tile")
        single = rows.c.cell.is_(None)
    shown = rows.c.geom.is_not(None)
    mvt = func.ST_AsMVT(literal_column("tile"), layer.id, EXTENT, "geom", "id").filter(shown)
    return select(
        sql_cast(mvt, LargeBinary).label("mvt"),
        func.count().filter(single).label("taken"),
        func.count().filter(single, shown).label("kept"),
    ).select_from(rows)


def _shapes(query: FeatureQuery, grid: Grid, z: int, *, exact: bool) -> Select[Any]:
    """Return the features of a tile one by one: all, or where points are cells all others.

    The box that selects is as wide as the one that clips, so that a symbol at the edge is in both
    tiles. `ST_Simplify` and not its topology-preserving kin, which is ten times slower. What is
    smaller than a pixel becomes its point, and so does a sliver that collapses on the tile's
    grid: they would vanish otherwise, and they may be dangerous.
    The most dangerous come first where the limit bites; null (not assessed) sorts last there
    and is still drawn.
    """
    layer, table = query.layer, table_for(query.layer)
    box = grid.envelope(z)
    px = grid.pixel(z)
    geom = grid.geometry(table)
    tiny = (
        (func.ST_Dimension(geom) > 0)
        & (func.ST_XMax(geom) - func.ST_XMin(geom) < px)
        & (func.ST_YMax(geom) - func.ST_YMin(geom) < px)
    )
    drawn = case((tiny, func.ST_PointOnSurface(geom)), else_=func.ST_Simplify(geom, px, True))
    as_point = case((func.ST_Dimension(geom) > 0, func.ST_PointOnSurface(geom)), else_=None)
    danger = [table.c.risk_level.asc().nulls_last()] if layer.assessed else []
    none = cells.nothing() if cells.applies(query, z) else []
    return (
        select(
            table.c.id,
            *(table.c[field.name] for field in query.fields if field.in_tile),
            func.coalesce(
                func.ST_AsMVTGeom(drawn, box, EXTENT, layer.tile.buffer, True),
                func.ST_AsMVTGeom(as_point, box, EXTENT, layer.tile.buffer, True),
            ).label("geom"),
            *none,
        )
        .where(*_selected(query, grid, z, exact=exact))
        .order_by(*danger, table.c.id)
        .limit(layer.tile.max_features)
    )


def crowd(query: FeatureQuery, grid: Grid, z: int) -> Select[int]:
    """Return how many features a full tile would hold: asked only when its limit was reached."""
    table = table_for(query.layer)
    return select(func.count()).select_from(table).where(*_selected(query, grid, z, exact=True))


def _selected(query: FeatureQuery, grid: Grid, z: int, *, exact: bool) -> list[ColumnElement[bool]]:
    geom = grid.geometry(table_for(query.layer))
    margin = grid.envelope(z, buffer=query.layer.tile.buffer)
    near = func.ST_Intersects(geom, margin) if exact else geom.op("&&")(margin)
    others = [~cells.is_point(geom)] if cells.applies(query, z) else []
    return [near, *others, *conditions(query)]
