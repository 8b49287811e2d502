"""Reading a tile: its bytes, and how many features it had to leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Select, literal, union_all
from sqlalchemy.dialects.postgresql import psycopg

from riskmap.catalog.spec import Layer
from riskmap.db.sessions import AsyncReadSession
from riskmap.errors import NotFoundError
from riskmap.features.query import FeatureQuery
from riskmap.tiles import roads, statement

MAX_ZOOM = 22
# Place of the roads among the layers of a tile: beneath all of them.
_ROADS = -1


@dataclass(frozen=True, slots=True)
class Tile:
    """One rendered tile. `dropped` is how many features the layers' limits left out."""

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


async def render(
    session: AsyncReadSession,
    queries: Sequence[FeatureQuery],
    z: int,
    x: int,
    y: int,
    *,
    with_roads: bool = False,
) -> Tile:
    """Render the layers of a tile, the roads beneath them; an empty one has no bytes.

    One statement for all of them: to ask for each alone would take as many round trips. A tile
    is a protobuf message of repeated layers, so that tiles set end to end are one tile.
    """
    at = {"x": x, "y": y}
    if any(query.narrowed for query in queries):
        statement_ = _statement(queries, z, with_roads)
        rows = [] if statement_ is None else (await session.execute(statement_, at)).all()
    else:
        layers = tuple(query.layer for query in queries)
        restricted = any(query.restricted for query in queries)
        ready = _compiled(layers, restricted, z, with_roads)
        rows = [] if ready is None else (await session.driver(ready.sql, ready.bound | at)).all()
    mvt, dropped = bytearray(), 0
    for row in sorted(rows, key=lambda row: row.place):
        full = row.place >= 0 and row.taken >= queries[row.place].layer.tile.max_features
        found = await _full(session, queries[row.place], z, at) if full else Tile(row.mvt)
        mvt += found.mvt
        dropped += found.dropped
    return Tile(bytes(mvt), dropped)


def _statement(
    queries: Sequence[FeatureQuery], z: int, with_roads: bool
) -> Select[Any] | CompoundSelect[Any] | None:
    """Return the statement of all that a tile of a zoom holds; None for nothing."""
    parts: list[Select[Any]] = []
    under = roads.tile(z) if with_roads else None
    if under is not None:
        parts.append(_of(_ROADS, under))
    for place, query in enumerate(queries):
        if query.layer.tile.min_zoom <= z <= query.layer.tile.max_zoom:
            parts.append(_of(place, statement.tile(query, z)))
    if len(parts) < 2:
        return parts[0] if parts else None
    return union_all(*parts)


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    bound: dict[str, Any]


@lru_cache(maxsize=256)
def _compiled(
    layers: tuple[Layer, ...], restricted: bool, z: int, with_roads: bool
) -> _Compiled | None:
    """Return the statement of an unfiltered tile as the driver takes it.

    To build and compile fourteen layers takes 40 ms, ten times what PostGIS needs for a tile at
    zoom 14; the text is the same for every tile of a zoom.
    """
    queries = [FeatureQuery(layer=layer, restricted=restricted) for layer in layers]
    found = _statement(queries, z, with_roads)
    if found is None:
        return None
    ready = found.compile(dialect=psycopg.dialect())  # type: ignore[no-untyped-call]
    return _Compiled(str(ready), {k: v for k, v in ready.params.items() if k not in ("x", "y")})


def _of(place: int, found: Select[bytes, int, int]) -> Select[Any]:
    """Say whose row it is: the rows of a union come in any order."""
    return found.add_columns(literal(place).label("place"))


async def _full(session: AsyncReadSession, query: FeatureQuery, z: int, at: dict[str, int]) -> Tile:
    """Render a layer that reached its limit: it counts who is really in the tile."""
    row = (await session.execute(statement.tile(query, z, exact=True), at)).one()
    crowd = (await session.execute(statement.crowd(query, z), at)).scalar_one()
    return Tile(bytes(row.mvt), dropped=max(0, crowd - row.kept))
