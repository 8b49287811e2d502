"""Rows of long answers: by a server cursor, in batches of a size, their texts undecoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final

from psycopg import AsyncConnection as DriverConnection
from psycopg import AsyncCursor as DriverCursor
from psycopg import Connection as WaitingConnection
from psycopg import sql
from psycopg.abc import AdaptContext
from psycopg.types.string import ByteaBinaryLoader
from sqlalchemy import Connection, Executable, Select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.visitors import InternalTraversal

Row = tuple[Any, ...]

# A batch stands up to four times in memory: in libpq, as rows, as text, and the next one that is
# fetched meanwhile. Below 1 MiB the round trips begin to show, above 4 MiB nothing is won.
BATCH_BYTES: Final = 2 * 1024 * 1024
FIRST_ROWS: Final = 250
MOST_ROWS: Final = 5_000
# Rows of a layer differ in size: a batch is at most so many times as long as the one before it.
GROWTH: Final = 4
_SAMPLES: Final = 16


class _Declare(Executable, ClauseElement):
    """DECLARE of a cursor: SQLAlchemy compiles it, keeps the text and binds the values."""

    inherit_cache = True
    # What the key of the compiled text is made of.
    _traverse_internals = [  # noqa: RUF012
        ("name", InternalTraversal.dp_string),
        ("statement", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, name: str, statement: Select[Any]) -> None:
        self.name, self.statement = name, statement


@compiles(_Declare)
def _declare(element: _Declare, compiler: SQLCompiler, **options: Any) -> str:
    name = compiler.preparer.quote_identifier(element.name)
    inner = compiler.process(element.statement, **options)
    return f"DECLARE {name} NO SCROLL CURSOR WITHOUT HOLD FOR {inner}"


async def batches(
    connection: AsyncConnection, name: str, statement: Select[Any]
) -> AsyncGenerator[Sequence[Row]]:
    """Yield the rows of a statement; the next batch is fetched while one is worked on.

    Texts come as the UTF-8 that the server sent: decoding them, and a Row object for each, takes
    longer than all else of a page. The cursor ends with the transaction.
    """
    await connection.execute(_Declare(name, statement))
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, DriverConnection):
        raise TypeError(f"not psycopg's connection: {driver!r}")
    cursor = driver.cursor(binary=True)
    _undecoded(cursor)
    asked = FIRST_ROWS
    waiting = asyncio.create_task(_fetch(cursor, name, asked))
    try:
        while True:
            rows = await waiting
            if len(rows) < asked:
                if rows:
                    yield rows
                return
            asked = _next_size(rows)
            waiting = asyncio.create_task(_fetch(cursor, name, asked))
            yield rows
    finally:
        # Whoever leaves half way: psycopg cancels the statement and waits for its end, so that
        # the connection can be used again.
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def driver_of(connection: Connection) -> WaitingConnection[Any]:
    """Return the driver's own connection."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, WaitingConnection):
        raise TypeError(f"not psycopg's connection: {driver!r}")
    return driver


def waited_batches(
    connection: Connection, name: str, statement: Select[Any]
) -> Iterator[Sequence[Row]]:
    """Yield the rows as `batches` does, for a thread that waits for each."""
    connection.execute(_Declare(name, statement))
    with driver_of(connection).cursor(binary=True) as cursor:
        _undecoded(cursor)
        asked = FIRST_ROWS
        rows: list[Row] = []
        while not rows or len(rows) == asked:
            asked = _next_size(rows) if rows else FIRST_ROWS
            rows = cursor.execute(_forward(asked, name), prepare=False).fetchall()
            if not rows:
                return
            yield rows


def _undecoded(cursor: AdaptContext) -> None:
    for type_name in ("text", "varchar"):
        cursor.adapters.register_loader(type_name, ByteaBinaryLoader)


def _forward(rows: int, name: str) -> sql.Composed:
    return sql.SQL("FETCH FORWARD {} FROM {}").format(sql.Literal(rows), sql.Identifier(name))


async def _fetch(cursor: DriverCursor[Row], name: str, rows: int) -> list[Row]:
    await cursor.execute(_forward(rows, name), prepare=False)
    return await cursor.fetchall()


def _next_size(rows: Sequence[Row]) -> int:
    """Return how many rows like these make a batch."""
    step = max(1, len(rows) // _SAMPLES)
    largest = max(
        sum(len(value) for value in row if isinstance(value, bytes)) for row in rows[::step]
    )
    return max(1, min(MOST_ROWS, GROWTH * len(rows), BATCH_BYTES // max(1, largest)))
