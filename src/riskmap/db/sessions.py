"""Connections: who connects as what, and read and write sessions as different types.

A function that asks for a `ReadSession` cannot write: its transaction is READ ONLY in the
database too. Changes go through a `WriteSession`, which carries who makes them; the triggers put
that name into audit and history.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from psycopg import AsyncConnection as DriverAsyncConnection
from psycopg import AsyncConnection as DriverConnection
from psycopg import AsyncRawCursor
from psycopg import Error as DriverError
from psycopg import InterfaceError as DriverInterfaceError
from psycopg import OperationalError as DriverOperationalError
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Select,
    create_engine,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from riskmap.db import cursors
from riskmap.db.cursors import Row, batches
from riskmap.errors import SetupError, UnavailableError
from riskmap.settings import Settings

API_ROLE: Final = "riskmap_api"

STREAM_PATIENCE_S: Final = 5.0
_CANCEL_PATIENCE_S: Final = 5.0
# As SQLAlchemy writes them; %% stands for one %.
_PLACEHOLDER: Final = re.compile(r"%\((\w+)\)s|%%")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes data: `cli:alice`, `key:3f9a...`; and for which request."""

    name: str
    request_id: str | None = None


class ReadSession:
    """One READ ONLY transaction with one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement with bound values."""
        return self._connection.execute(statement, parameters)

    def limit_statements(self, timeout_s: float) -> None:
        """Set how long a statement of this transaction may take, in place of the setting's."""
        self.execute(
            text("SELECT set_config('statement_timeout', :ms, true)"),
            {"ms": str(round(timeout_s * 1000))},
        )

    def batches(self, statement: Select[Any]) -> Iterator[Sequence[Row]]:
        """Run a statement through a server cursor: see `riskmap.db.cursors.waited_batches`."""
        return cursors.waited_batches(self._connection, "rows", statement)

    def cancel(self) -> None:
        """Cancel what another thread runs in this session."""
        cursors.driver_of(self._connection).cancel_safe(timeout=_CANCEL_PATIENCE_S)


class WriteSession(ReadSession):
    """One transaction that may write, committed as a whole or not at all."""

    @property
    def connection(self) -> Connection:
        """The connection itself, for COPY."""
        return self._connection

    def belongs_to_import(self, import_id: int) -> None:
        """Tell history and audit which import makes the changes of this transaction from here."""
        self.execute(
            text("SELECT set_config('riskmap.import', :import_id, true)"),
            {"import_id": str(import_id)},
        )


class AsyncReadSession:
    """The asynchronous twin of `ReadSession`, for requests that stream."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._cursors = 0

    async def execute(
        self, statement: Executable, parameters: Parameters = None
    ) -> CursorResult[Any]:
        """Run a statement with bound values."""
        return await self._connection.execute(statement, parameters)

    async def driver(self, sql: str, bound: Mapping[str, Any]) -> Sequence[Any]:
        """Run a statement that was compiled before and return its rows, columns by name.

        The server binds the values by number. Psycopg reads a text of more than 4,096 characters
        anew each time for its own placeholders: 4 ms for the 650 of a tile with all layers, which
        PostGIS draws in 2. Results come binary: as text a tile is twice as long.
        """
        text_, names = _numbered(sql)
        raw = await self._connection.get_raw_connection()
        driver = cast(DriverConnection, raw.driver_connection)
        async with AsyncRawCursor(driver, row_factory=namedtuple_row) as cursor:
            await cursor.execute(text_, [bound[name] for name in names], binary=True)
            return await cursor.fetchall()

    async def limit_statements(self, timeout_s: float) -> None:
        """Set how long a statement of this transaction may take, in place of the setting's."""
        await self.execute(
            text("SELECT set_config('statement_timeout', :ms, true)"),
            {"ms": str(round(timeout_s * 1000))},
        )

    def batches(self, statement: Select[Any]) -> AsyncGenerator[Sequence[Row]]:
        """Run a statement through a server cursor: see `riskmap.db.cursors.batches`."""
        self._cursors += 1
        return batches(self._connection, f"rows_{self._cursors}", statement)


@lru_cache(maxsize=512)
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement with numbers in the place of names, and the names in that order."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PLACEHOLDER.sub(number, sql), tuple(numbers)


def _url(value: str, parameter: str) -> URL:
    """Read a database URL and say which driver it means: psycopg 3, whatever it names."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):  # ValueError: the port is no number
        raise SetupError("database.url", parameter=parameter) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise SetupError("database.url", parameter=parameter)
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return a database's address as it may be printed: a password may stand in the query too."""
    hidden = [key for key in url.query if "password" in key.lower()]
    return url.difference_update_query(hidden).render_as_string(hide_password=True)


class Database:
    """The engines of one running riskmap.

    Parameters
    ----------
    owner_url
        Login of the owner of the tables: migrations, keys, backup. Never used by a request.
    api_url
        Login of the API's role, which owns nothing. None: the owner's login takes on the role
        with `SET ROLE` when it connects.
    """

    def __init__(self, owner_url: URL | str, api_url: URL | str | None, settings: Settings) -> None:
        self.owner_url = (
            _url(str(owner_url), "RISKMAP_DATABASE_URL")
            if isinstance(owner_url, str)
            else owner_url
        )
        # jit=off: its cost guesses are wrong for short tile and page queries
        # (PEERS-SERVING.md section 4).
        timeout_ms = round(settings.statement_timeout_s * 1000)
        options = f"-c jit=off -c timezone=UTC -c statement_timeout={timeout_ms}"
        if api_url is None:
            api_url = self.owner_url
            options += f" -c role={API_ROLE}"
        self.api_url = (
            _url(api_url, "RISKMAP_API_DATABASE_URL") if isinstance(api_url, str) else api_url
        )
        # The encoding is said: texts of an SQL_ASCII server would come as bytes, and its refusal
        # (riskmap.db.migrate) would end in the driver.
        owner: dict[str, Any] = {"connect_timeout": 10, "client_encoding": "utf8"}
        self._connect = connect = owner | {"options": options}
        # LISTEN needs a session of its own, which a pooler between does not give.
        self.feed_url = (
            self.api_url
            if settings.feed_database_url is None
            else _url(settings.feed_database_url, "RISKMAP_FEED_DATABASE_URL")
        )
        pool: dict[str, Any] = {
            "pool_size": settings.pool_size,
            "max_overflow": 0,
            "pool_timeout": 10,
            "pool_pre_ping": True,
        }
        # A stream holds its connection for as long as its reader takes: slow readers may have all
        # but two of the pool, so that everybody else still gets an answer.
        self._streams = asyncio.Semaphore(max(1, settings.pool_size - 2))
        self.engine: Engine = create_engine(self.api_url, connect_args=connect, **pool)
        self.async_engine: AsyncEngine = create_async_engine(
            self.api_url, connect_args=connect, **pool
        )
        # Signs of life of a job must not wait for requests. Two: one for its worker, one for the
        # heartbeats meanwhile.
        self.jobs_engine: Engine = create_engine(
            self.api_url, connect_args=connect, **pool | {"pool_size": 2}
        )
        self.owner_engine: Engine = create_engine(
            self.owner_url, connect_args=owner, pool_size=1, pool_pre_ping=True
        )

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        """Open a read session of the API's role."""
        with _connected(self.engine) as connection, connection.begin():
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield ReadSession(connection)

    @contextmanager
    def write(self, actor: Actor, *, timeout_s: float | None = None) -> Iterator[WriteSession]:
        """Open a write session of the API's role; it commits when the block ends well.

        Parameters
        ----------
        timeout_s
            Limit of one statement, 0 for none; None keeps the setting's.
        """
        with _connected(self.engine) as connection, connection.begin():
            _introduce(connection, actor, timeout_s)
            yield WriteSession(connection)

    @contextmanager
    def write_for_jobs(self, actor: Actor) -> Iterator[WriteSession]:
        """Open a short write session as `write` does, from a pool that no request uses."""
        with _connected(self.jobs_engine) as connection, connection.begin():
            _introduce(connection, actor, None)
            yield WriteSession(connection)

    @contextmanager
    def own(self, actor: Actor) -> Iterator[WriteSession]:
        """Open a write session of the owner: keys, the city, roads' tables."""
        with _connected(self.owner_engine) as connection, connection.begin():
            _introduce(connection, actor, None)
            yield WriteSession(connection)

    @asynccontextmanager
    async def read_async(self) -> AsyncIterator[AsyncReadSession]:
        """Open an asynchronous read session of the API's role."""
        try:
            async with self.async_engine.connect() as connection, connection.begin():
                await connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                )
                yield AsyncReadSession(connection)
        except (DBAPIError, DriverError, PoolTimeout) as error:
            raise unavailable(error) from error

    async def connect_directly(self) -> DriverAsyncConnection[Any]:
        """Open a connection of the API's role that belongs to the caller: for LISTEN."""
        _, arguments = self.async_engine.dialect.create_connect_args(self.feed_url)
        return await DriverAsyncConnection.connect(**arguments, **self._connect, autocommit=True)

    @asynccontextmanager
    async def stream_async(self) -> AsyncIterator[AsyncReadSession]:
        """Open a read session for an answer that is streamed; only so many at a time.

        Raises
        ------
        UnavailableError
            As many streams as there may be are still open after `STREAM_PATIENCE_S`.
        """
        try:
            await asyncio.wait_for(self._streams.acquire(), STREAM_PATIENCE_S)
        except TimeoutError:
            raise UnavailableError("database.busy") from None
        try:
            async with self.read_async() as session:
                yield session
        finally:
            self._streams.release()

    def dispose(self) -> None:
        """Close the synchronous pools."""
        self.engine.dispose()
        self.jobs_engine.dispose()
        self.owner_engine.dispose()

    async def dispose_async(self) -> None:
        """Close every pool."""
        await self.async_engine.dispose()
        self.dispose()


def unavailable(error: DBAPIError | DriverError | PoolTimeout) -> Exception:
    """Turn a lost connection or a timeout into an answer; anything else stays what it is.

    COPY speaks to the driver itself, whose errors come without SQLAlchemy's wrapping.
    """
    if isinstance(error, PoolTimeout):
        return UnavailableError("database.busy")
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if state == "57014":
        return UnavailableError("database.timeout")
    # Serialisation, deadlock, lock not to be had: the same asked again may well succeed.
    if state in ("40001", "40P01", "55P03"):
        return UnavailableError("database.locked")
    if isinstance(cause, DriverOperationalError | DriverInterfaceError) and (
        state is None or state[:2] in ("08", "57", "53")
    ):
        return UnavailableError("database.away")
    return error


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except (DBAPIError, DriverError, PoolTimeout) as error:
        raise unavailable(error) from error


def _introduce(connection: Connection, actor: Actor, timeout_s: float | None) -> None:
    """Tell the triggers who acts, for this transaction only."""
    connection.execute(
        text(
            "SELECT set_config('riskmap.actor', :actor, true),"
            " set_config('riskmap.request', :request, true)"
        ),
        {"actor": actor.name, "request": actor.request_id or ""},
    )
    if timeout_s is not None:
        connection.execute(
            text("SELECT set_config('statement_timeout', :ms, true)"),
            {"ms": str(round(timeout_s * 1000))},
        )
