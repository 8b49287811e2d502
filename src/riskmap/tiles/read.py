"""Reading a tile: its bytes, and how many features it had to leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Row, Select, literal, union_all
from sqlalchemy.dialects.postgresql import psycopg

from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum
from riskmap.db.sessions import AsyncReadSession
from riskmap.features.query import FeatureQuery
from riskmap.tiles import datums, roads, statement
from riskmap.tiles.grid import Address, Grid

# Place of the roads among the layers of a tile: beneath all of them.
_ROADS = -1


@dataclass(frozen=True, slots=True)
class Tile:
    """One rendered tile.

    Parameters
    ----------
    dropped
        How many features a layer's limit left out, by layer; only of those that left out any.
    """

    mvt: bytes
    dropped: Mapping[str, int] = field(default_factory=dict)


async def render(
    session: AsyncReadSession,
    queries: Sequence[FeatureQuery],
    address: Address,
    *,
    with_roads: bool = False,
) -> Tile:
    """Render the layers of a tile, the roads beneath them; an empty one has no bytes.

    One statement for all of them: to ask for each alone would take as many round trips. A tile
    is a protobuf message of repeated layers, so that tiles set end to end are one tile.
    """
    grid, z = address.grid, address.zoom
    at: dict[str, float] = {"x": address.x, "y": address.y}
    datum = next((query.datum for query in queries), Datum.WGS84)
    if datum is not Datum.WGS84:
        buffer = max(query.layer.tile.buffer for query in queries)
        at |= datums.fit(datum, address, buffer=buffer).bound()
    if datum is not Datum.WGS84 or any(query.narrowed for query in queries):
        statement_ = _statement(queries, grid, z, with_roads)
        rows = [] if statement_ is None else (await session.execute(statement_, at)).all()
    else:
        layers = tuple(query.layer for query in queries)
        restricted = any(query.restricted for query in queries)
        ready = _compiled(layers, restricted, grid, z, with_roads)
        rows = [] if ready is None else (await session.driver(ready.sql, ready.bound | at)).all()
    mvt = bytearray()
    dropped: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: row.place):
        full = row.place >= 0 and row.taken >= statement.most(queries[row.place].layer, z)
        if not full:
            mvt += row.mvt
            continue
        query = queries[row.place]
        content, left_out = await _full(session, query, grid, z, at, row)
        mvt += content
        if left_out:
            dropped[query.layer.id] = left_out
    return Tile(bytes(mvt), dropped)


def _statement(
    queries: Sequence[FeatureQuery], grid: Grid, z: int, with_roads: bool
) -> Select[Any] | CompoundSelect[Any] | None:
    """Return the statement of all that a tile of a zoom holds; None for nothing."""
    parts: list[Select[Any]] = []
    under = roads.tile(grid, z) if with_roads else None
    if under is not None:
        parts.append(_of(_ROADS, under))
    for place, query in enumerate(queries):
        if query.layer.tile.min_zoom <= z <= query.layer.tile.max_zoom:
            parts.append(_of(place, statement.tile(query, grid, z)))
    if len(parts) < 2:
        return parts[0] if parts else None
    return union_all(*parts)


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    bound: dict[str, Any]


@lru_cache(maxsize=256)
def _compiled(
    layers: tuple[Layer, ...], restricted: bool, grid: Grid, z: int, with_roads: bool
) -> _Compiled | None:
    """Return the statement of an unfiltered tile as the driver takes it.

    To build and compile fourteen layers takes 40 ms, ten times what PostGIS needs for a tile at
    zoom 14; the text is the same for every tile of a zoom.
    """
    queries = [FeatureQuery(layer=layer, restricted=restricted) for layer in layers]
    found = _statement(queries, grid, z, with_roads)
    if found is None:
        return None
    ready = found.compile(dialect=psycopg.dialect())  # type: ignore[no-untyped-call]
    return _Compiled(str(ready), {k: v for k, v in ready.params.items() if k not in ("x", "y")})


def _of(place: int, found: Select[bytes, int, int]) -> Select[Any]:
    """Say whose row it is: the rows of a union come in any order."""
    return found.add_columns(literal(place).label("place"))


async def _full(
    session: AsyncReadSession,
    query: FeatureQuery,
    grid: Grid,
    z: int,
    at: Mapping[str, float],
    row: Row[Any],
) -> tuple[bytes, int]:
    """Return a layer that reached its limit, and how many of what is in the tile it left out."""
    if not statement.is_exact(query.layer, grid, z):
        row = (await session.execute(statement.tile(query, grid, z, exact=True), at)).one()
    crowd = (await session.execute(statement.crowd(query, grid, z), at)).scalar_one()
    return bytes(row.mvt), max(0, crowd - row.kept)
