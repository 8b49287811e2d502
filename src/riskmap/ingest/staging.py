"""The staging table of an import: a temporary table that COPY fills, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Column, Integer, MetaData, Table, column, table, text
from sqlalchemy.sql.expression import TableClause

from riskmap.db.sessions import WriteSession
from riskmap.ingest.frames import ROW, Columns, Frame, Rows, Withdrawn

_NAME: Final = "riskmap_import"
# The database gives these; the trigger raises version and updated_at on a change.
_DATABASE_GIVES: Final = frozenset(("version", "created_at", "updated_at"))
# The same for all rows of an import: no column of the staging table.
STATED: Final = ("source_system", "source_crs")


def writable(stored: Table) -> dict[str, Column[Any]]:
    """Return the columns of a layer's table that an import fills."""
    return {
        name: c
        for name, c in stored.columns.items()
        if c.computed is None and c.identity is None and name not in _DATABASE_GIVES
    }


@dataclass(frozen=True, slots=True)
class Staged:
    """What was copied: which columns the file speaks of, and how many rows."""

    used: tuple[str, ...]
    count: int

    def table(self) -> TableClause:
        """Return the staging table with the columns that the file speaks of."""
        return table(_NAME, column(ROW), *(column(name) for name in self.used))


def stage(session: WriteSession, target: Table, frames: Iterable[Frame]) -> Staged:
    """Make the staging table and pump the frames into it.

    It ends with the transaction, or with `drop`.

    Raises
    ------
    KeyError
        A frame has a column that the table lacks, or rows come before any columns.
    """
    columns = writable(target)
    staging = Table(
        _NAME,
        MetaData(),
        Column(ROW, Integer),
        *(Column(name, c.type) for name, c in columns.items() if name not in STATED),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    staging.create(session.connection, checkfirst=False)
    staged = _copy(session, frames, set(columns))
    # Nobody but ANALYZE tells the planner how long a table is that autovacuum does not see.
    session.execute(text(f"ANALYZE {_NAME}"))
    return staged


def drop(session: WriteSession) -> None:
    """Drop the staging table: several imports may share one transaction."""
    session.execute(text(f"DROP TABLE {_NAME}"))


def _copy(session: WriteSession, frames: Iterable[Frame], known: set[str]) -> Staged:
    """COPY the rows; each run of frames with the same columns is one COPY."""
    connection = session.connection.connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - the only driver there is
    used: dict[str, None] = {}
    count = 0
    withdrawn: list[int] = []
    names: tuple[str, ...] = ()
    copy: psycopg.Copy | None = None
    with connection.cursor() as cursor, ExitStack() as open_copy:
        for frame in frames:
            if isinstance(frame, Columns) and frame.names != names:
                strange = set(frame.names[1:]) - known
                if strange or frame.names[0] != ROW:
                    raise KeyError(f"the table has no column {sorted(strange)}")
                open_copy.close()
                names, copy = frame.names, None
            elif isinstance(frame, Rows) and frame.count:
                if copy is None:
                    used |= dict.fromkeys(names[1:])
                    copy = open_copy.enter_context(cursor.copy(_statement(names)))
                copy.write(frame.data)
                count += frame.count
            elif isinstance(frame, Withdrawn):
                withdrawn += frame.rows
    if withdrawn:
        gone = text("DELETE FROM riskmap_import WHERE riskmap_row = ANY(:rows)")
        count -= session.execute(gone, {"rows": withdrawn}).rowcount
    return Staged(tuple(used), count)


def _statement(names: tuple[str, ...]) -> sql.Composed:
    if not names:
        raise KeyError("rows without columns")
    return sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(_NAME), sql.SQL(", ").join(map(sql.Identifier, names))
    )
