"""The SQL of a layer's vector tile."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, case, func, literal_column, select, union_all
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import LargeBinary

from riskmap.catalog.spec import Geometry, Layer
from riskmap.crs.datum import Datum
from riskmap.db.base import LOW_ZOOM
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.tiles import cells, datums
from riskmap.tiles.grid import EXTENT, WEB_MERCATOR_QUAD, Grid


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
    exact = exact or is_exact(layer, grid, z)
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


def most(layer: Layer, z: int) -> int:
    """Return how many features of a layer a tile of a zoom holds at most."""
    return layer.tile.low_max_features if z <= LOW_ZOOM else layer.tile.max_features


def is_exact(layer: Layer, grid: Grid, z: int) -> bool:
    """Say whether a tile is selected by shapes in any case: of coarse copies that costs little."""
    return _is_low(layer, grid, z)


def _shapes(query: FeatureQuery, grid: Grid, z: int, *, exact: bool) -> Select[Any]:
    """Return the features of a tile one by one: all, or where points are cells all others.

    The box that selects is as wide as the one that clips, so that a symbol at the edge is in both
    tiles. `ST_Simplify` and not its topology-preserving kin, which is ten times slower. What is
    smaller than a pixel becomes its point, and so does a sliver that collapses on the tile's
    grid: they would vanish otherwise, and they may be dangerous.
    """
    layer, table = query.layer, table_for(query.layer)
    box = grid.envelope(z)
    px = grid.pixel(z)
    geom = _placed(query, _drawn_from(layer, grid, z))
    left, right, low, high = (
        edge(geom) for edge in (func.ST_XMin, func.ST_XMax, func.ST_YMin, func.ST_YMax)
    )
    tiny = (func.ST_Dimension(geom) > 0) & (right - left < px) & (high - low < px)
    middle = func.ST_SetSRID(func.ST_MakePoint((left + right) / 2, (low + high) / 2), grid.srid)
    drawn = case((tiny, middle), else_=_simplified(layer, geom, px))
    whole = _placed(query, grid.geometry(table))
    as_point = case((func.ST_Dimension(whole) > 0, func.ST_PointOnSurface(whole)), else_=None)
    none = cells.nothing() if cells.applies(query, z) else []
    order = (*_importance(layer, table), table.c.id)
    # Of all that lie in a tile of a low zoom few are drawn. They are found first, by their ids:
    # to sort 20,000 rows with their shapes takes a quarter of a second and a file.
    picked = (
        select(table.c.id)
        .where(*_selected(query, grid, z, exact=exact))
        .order_by(*order)
        .limit(most(layer, z))
        .subquery("picked")
    )
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
        .join_from(table, picked, picked.c.id == table.c.id)
        .order_by(*order)
    )


def _simplified(layer: Layer, geom: ColumnElement[Any], px: float) -> Any:
    """Return a geometry without what no pixel shows.

    A line that runs back over itself is made one that does not: of its points on one straight
    line `ST_AsMVTGeom` keeps the ends, and what reached beyond them is gone.
    """
    found = func.ST_Simplify(geom, px, True)
    if layer.geometry in (Geometry.POINT, Geometry.POLYGON):
        return found
    return case((func.ST_Dimension(geom) == 1, func.ST_UnaryUnion(found)), else_=found)


def _drawn_from(layer: Layer, grid: Grid, z: int) -> ColumnElement[Any]:
    """Return the geometry that a zoom draws: the coarse copy where it is fine enough."""
    table = table_for(layer)
    if _is_low(layer, grid, z):
        found: ColumnElement[Any] = table.c.geom_low
        return found
    return grid.geometry(table)


def _placed(query: FeatureQuery, geom: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a geometry where the query's datum puts it."""
    return geom if query.datum is Datum.WGS84 else datums.moved(geom)


def _is_low(layer: Layer, grid: Grid, z: int) -> bool:
    return grid is WEB_MERCATOR_QUAD and z <= LOW_ZOOM and layer.geometry is not Geometry.POINT


def _importance(layer: Layer, table: Table) -> list[ColumnElement[Any]]:
    """Return the order of importance (`TileRule`), the same for every caller."""
    found: list[ColumnElement[Any]] = []
    if layer.assessed:
        # 2, 4, 6, 8 for the levels, 7 for what is not assessed: that is never low.
        found.append(func.coalesce(table.c.risk_level * 2, 7))
    people = layer.field(layer.people) if layer.people else None
    if people is not None and not people.restricted:
        found.append(table.c[people.name].desc().nulls_last())
    return found


def crowd(query: FeatureQuery, grid: Grid, z: int) -> Select[int]:
    """Return how many features a full tile would hold: asked only when its limit was reached."""
    table = table_for(query.layer)
    return select(func.count()).select_from(table).where(*_selected(query, grid, z, exact=True))


def _selected(query: FeatureQuery, grid: Grid, z: int, *, exact: bool) -> list[ColumnElement[bool]]:
    """Return the conditions of a tile: by the box, which the index tells, or by the shape."""
    geom = grid.geometry(table_for(query.layer))
    margin = grid.envelope(z, buffer=query.layer.tile.buffer)
    # The index knows WGS 84: what is asked is moved, not the column.
    asked = margin if query.datum is Datum.WGS84 else datums.box(grid.srid)
    found: list[ColumnElement[bool]] = [geom.op("&&")(asked)]
    if exact:
        shape = _placed(query, _drawn_from(query.layer, grid, z))
        # What lies in the box meets it: most do, and need no look at their vertices.
        found.append(shape.op("@")(margin) | func.ST_Intersects(shape, margin))
    others = [~cells.is_point(geom)] if cells.applies(query, z) else []
    return [*found, *others, *conditions(query)]
