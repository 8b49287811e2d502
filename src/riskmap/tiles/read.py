"""Reading a tile: its bytes, and how many features it had to leave out."""

from __future__ import annotations

from dataclasses import dataclass

from riskmap.db.sessions import AsyncReadSession
from riskmap.errors import NotFoundError
from riskmap.features.query import FeatureQuery
from riskmap.tiles import statement

MAX_ZOOM = 22


@dataclass(frozen=True, slots=True)
class Tile:
    """One rendered tile. `dropped` is how many features the layer's limit left out."""

    mvt: bytes
    dropped: int = 0


def check_address(z: int, x: int, y: int) -> None:
    """Refuse a tile that the matrix does not have.

    Raises
    ------
    NotFoundError
        Names z, x or y.
    """
    if not 0 <= z <= MAX_ZOOM:
        raise NotFoundError("tile.zoom", parameter="z", value=z, most=MAX_ZOOM)
    for name, value in (("x", x), ("y", y)):
        if not 0 <= value < 2**z:
            raise NotFoundError("tile.range", parameter=name, value=value, zoom=z, most=2**z - 1)


async def render(session: AsyncReadSession, query: FeatureQuery, z: int, x: int, y: int) -> Tile:
    """Render a tile; an empty one has no bytes."""
    rule = query.layer.tile
    if not rule.min_zoom <= z <= rule.max_zoom:
        return Tile(b"")
    row = (await session.execute(statement.tile(query, z, x, y))).one()
    if row.taken < rule.max_features:
        return Tile(bytes(row.mvt) if row.kept else b"")
    row = (await session.execute(statement.tile(query, z, x, y, exact=True))).one()
    crowd = (await session.execute(statement.crowd(query, z, x, y))).scalar_one()
    mvt = bytes(row.mvt) if row.kept else b""
    return Tile(mvt, dropped=max(0, crowd - row.kept))
