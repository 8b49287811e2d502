"""The SQL of the road network in a vector tile."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    String,
    any_,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy import case as sql_case

from riskmap.db.tables import ROAD_EDGES
from riskmap.tiles.grid import EXTENT, Grid

# The layer's name in a tile and in its address: no layer of features may have it.
NAME: Final = "roads"
# What a line carries, and its types as TileJSON names them; the last two from `_SINGLE_ZOOM` on.
FIELDS: Final = {
    "road_class": "String",
    "bridge": "Boolean",
    "tunnel": "Boolean",
    "level": "Number",
    "name": "String",
    "oneway": "String",
}
# Widest line with its casing, 24 px across: 12 px = 96 units beyond the edge.
BUFFER: Final = 96
# From which zoom each class is drawn; a class that is not named here, from `_LATEST` on.
_FROM_ZOOM: Final = {
    5: ("motorway", "trunk"),
    8: ("primary", "ferry"),
    9: ("motorway_link", "trunk_link"),
    10: ("secondary", "primary_link"),
    11: ("tertiary", "secondary_link"),
    12: ("unclassified", "road", "tertiary_link"),
    13: ("residential", "living_street", "pedestrian"),
}
_LATEST: Final = 14
# From this zoom each edge is a feature with its name. Before, edges that look alike are one shape:
# junctions would keep their vertices through any simplification, and their names are not drawn.
_SINGLE_ZOOM: Final = 12


def tile(grid: Grid, z: int) -> Select[bytes, int, int] | None:
    """Return (mvt, taken, kept) of the roads of one tile, None where no class is drawn yet.

    The classes are the limit, so that nothing is dropped unsaid: taken and kept are 0.

    Bridges come after what they cross, and main roads after side roads, so that a style which
    draws in the order of the tile need not sort.
    """
    if z < min(_FROM_ZOOM):
        return None
    edge = ROAD_EDGES.c
    box, margin = grid.envelope(z), grid.envelope(z, buffer=BUFFER)
    geom = grid.geometry(ROAD_EDGES)
    looks = (edge.road_class, edge.bridge, edge.tunnel, edge.level)
    near: list[ColumnElement[bool]] = [geom.op("&&")(margin)]
    if z < _LATEST:
        near.append(edge.road_class == any_(literal(classes(z), ARRAY(String))))

    def drawn(shape: ColumnElement[Any]) -> ColumnElement[Any]:
        simple = func.ST_Simplify(shape, grid.pixel(z), True)
        return func.ST_AsMVTGeom(simple, box, EXTENT, BUFFER, True).label("geom")

    order = (edge.level, _importance(edge.road_class).desc())
    if z < _SINGLE_ZOOM:
        merged = func.ST_LineMerge(func.ST_Collect(geom))
        rows = (
            select(cast(null(), BigInteger).label("id"), *looks, drawn(merged))
            .where(*near)
            .group_by(*looks)
            .order_by(*order)
            .subquery("tile")
        )
    else:
        rows = (
            select(edge.id, *looks, edge.name, edge.oneway, drawn(geom))
            .where(*near)
            .order_by(*order, edge.id)
            .subquery("tile")
        )
    mvt = func.ST_AsMVT(literal_column("tile"), NAME, EXTENT, "geom", "id")
    return select(
        cast(mvt.filter(rows.c.geom.is_not(None)), LargeBinary).label("mvt"),
        literal(0).label("taken"),
        literal(0).label("kept"),
    ).select_from(rows)


def classes(z: int) -> list[str]:
    """Return the road classes that are drawn at a zoom before the last step."""
    return [name for zoom, names in _FROM_ZOOM.items() if zoom <= z for name in names]


def _importance(road_class: ColumnElement[str]) -> ColumnElement[int]:
    """Return the zoom from which a class is drawn: the less, the more important."""
    zooms = {name: zoom for zoom, names in _FROM_ZOOM.items() for name in names}
    return cast(sql_case(zooms, value=road_class, else_=_LATEST), Integer)
