"""The SQL of a vector tile."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Select, case, func, literal, literal_column, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.types import LargeBinary

from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.units import WEB_MERCATOR

EXTENT: Final = 4096
# Width of the Web Mercator world in metres, and of a tile on the screen in pixels.
WORLD_M: Final = 40_075_016.685578488
TILE_PX: Final = 512
# ST_TileEnvelope's default bounds, which must be given before its margin.
_WORLD: Final = func.ST_MakeEnvelope(
    -WORLD_M / 2, -WORLD_M / 2, WORLD_M / 2, WORLD_M / 2, WEB_MERCATOR
)


def pixel_m(zoom: int) -> float:
    """Return the width of a screen pixel in Web Mercator metres: the tolerance of drawing."""
    return WORLD_M / TILE_PX / (1 << zoom)


def tile(
    query: FeatureQuery, z: int, x: int, y: int, *, exact: bool = False
) -> Select[bytes, int, int]:
    """Return (mvt, taken, kept) of one tile of a layer: rows selected, and those of them drawn.

    The box that selects is as wide as the one that clips, so that a symbol at the edge is in both
    tiles. `ST_Simplify` and not its topology-preserving kin, which is ten times slower. What is
    smaller than a pixel becomes its point, and so does a sliver that collapses on the tile's
    grid: they would vanish otherwise, and they may be dangerous.
    The most dangerous come first where the limit bites; null (not assessed) sorts last there
    and is still drawn.

    Parameters
    ----------
    exact
        Select by the shape, not by its box: for a full tile, where the place of a feature that
        is drawn must not go to one that only passes by. It costs more.
    """
    layer, table = query.layer, table_for(query.layer)
    box = func.ST_TileEnvelope(z, x, y)
    margin = func.ST_TileEnvelope(z, x, y, _WORLD, layer.tile.buffer / EXTENT)
    px = pixel_m(z)
    geom = table.c.geom_3857
    tiny = (
        (func.ST_Dimension(geom) > 0)
        & (func.ST_XMax(geom) - func.ST_XMin(geom) < px)
        & (func.ST_YMax(geom) - func.ST_YMin(geom) < px)
    )
    drawn = case((tiny, func.ST_PointOnSurface(geom)), else_=func.ST_Simplify(geom, px, True))
    as_point = case((func.ST_Dimension(geom) > 0, func.ST_PointOnSurface(geom)), else_=None)
    near = func.ST_Intersects(geom, margin) if exact else geom.op("&&")(margin)
    danger = [table.c.risk_level.asc().nulls_last()] if layer.assessed else []
    rows = (
        select(
            table.c.id,
            *(table.c[field.name] for field in query.fields if field.in_tile),
            func.coalesce(
                func.ST_AsMVTGeom(drawn, box, EXTENT, layer.tile.buffer, True),
                func.ST_AsMVTGeom(as_point, box, EXTENT, layer.tile.buffer, True),
            ).label("geom"),
        )
        .where(near, *conditions(query))
        .order_by(*danger, table.c.id)
        .limit(layer.tile.max_features)
        .subquery("tile")
    )
    shown = rows.c.geom.is_not(None)
    mvt = func.ST_AsMVT(literal_column("tile"), layer.id, EXTENT, "geom", "id").filter(shown)
    return select(
        sql_cast(mvt, LargeBinary).label("mvt"),
        func.count(literal(1)).label("taken"),
        func.count(rows.c.geom).label("kept"),
    ).select_from(rows)


def crowd(query: FeatureQuery, z: int, x: int, y: int) -> Select[int]:
    """Return how many features a full tile would hold: asked only when its limit was reached."""
    table = table_for(query.layer)
    margin = func.ST_TileEnvelope(z, x, y, _WORLD, query.layer.tile.buffer / EXTENT)
    return (
        select(func.count())
        .select_from(table)
        .where(func.ST_Intersects(table.c.geom_3857, margin), *conditions(query))
    )
