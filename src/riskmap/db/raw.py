"""Rows as the driver has them: what is only passed on need not become objects on its way.

A text that PostgreSQL made comes as its bytes. Through SQLAlchemy each row is an object and each
text is decoded, only to be encoded again: that costs more than the database needs for the row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.abc import AdaptContext
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.sql import ClauseElement

Row = tuple[Any, ...]

_CURSOR: Final = "riskmap_rows"
# The first answer must come soon; how wide the rows are is known only then. Zones with thousands
# of vertices are 100 kB each, points 300 bytes: a batch is about half a megabyte of either.
_FIRST_ROWS: Final = 100
_MOST_ROWS: Final = 2_000
BATCH_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as the driver takes it, and the values bound to it."""

    sql: bytes
    bound: dict[str, Any]


def compiled(statement: Executable) -> Compiled:
    """Compile a statement for the driver, its values apart from its text."""
    assert isinstance(statement, ClauseElement)  # noqa: S101 - every statement of ours is one
    dialect = dialects.dialect()  # type: ignore[no-untyped-call]
    # An IN takes as many parameters as it has values: they are known now.
    ready = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return Compiled(str(ready).encode(), dict(ready.params))


def _as_bytes(cursor: AdaptContext) -> None:
    """Make texts come as they were sent; the connection's encoding is UTF-8."""
    for name in ("text", "varchar"):
        cursor.adapters.register_loader(name, ByteaBinaryLoader)


def _next_rows(rows: list[Row]) -> int:
    """Return how many rows are a batch, by how wide the last ones were."""
    width = sum(len(cell) for row in rows for cell in row if isinstance(cell, bytes))
    return max(1, min(_MOST_ROWS, BATCH_BYTES * len(rows) // max(1, width)))


async def stream(
    connection: psycopg.AsyncConnection[Any], statement: Executable
) -> AsyncGenerator[list[Row]]:
    """Yield a statement's rows in batches through a server cursor; the next is read meanwhile.

    Memory holds two batches. While one is sent the server works on the other.
    """
    ready = compiled(statement)
    cursor = connection.cursor(_CURSOR)
    _as_bytes(cursor)
    try:
        await cursor.execute(ready.sql, ready.bound, binary=True)
        ahead = asyncio.create_task(cursor.fetchmany(_FIRST_ROWS))
        try:
            while rows := await ahead:
                ahead = asyncio.create_task(cursor.fetchmany(_next_rows(rows)))
                yield rows
        finally:
            # Whoever leaves early leaves a query behind: cancelling the task cancels it.
            ahead.cancel()
            await asyncio.wait([ahead])
    finally:
        await cursor.close()


@contextmanager
def opened(
    connection: psycopg.Connection[Any], statement: Executable
) -> Iterator[Iterator[list[Row]]]:
    """Open a server cursor for a thread of its own, which reads its batches."""
    ready = compiled(statement)
    with connection.cursor(_CURSOR) as cursor:
        _as_bytes(cursor)
        cursor.execute(ready.sql, ready.bound, binary=True)
        yield _batches(cursor)


def _batches(cursor: psycopg.ServerCursor[Any]) -> Iterator[list[Row]]:
    wanted = _FIRST_ROWS
    while rows := cursor.fetchmany(wanted):
        wanted = _next_rows(rows)
        yield rows
