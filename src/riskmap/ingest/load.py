"""All SQL of an import: COPY into a staging table, then one statement that inserts and updates.

Rows that would not change are not touched: no version, no revision, no tile is invalidated, and
no API writer waits for them. What a file does not speak of (a column it lacks) keeps its value.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Executable,
    Integer,
    MetaData,
    Select,
    Table,
    and_,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.expression import TableClause

from riskmap.catalog.spec import Layer
from riskmap.db.base import METADATA
from riskmap.db.sessions import WriteSession
from riskmap.errors import UnavailableError
from riskmap.ingest.frames import ROW, Columns, Frame, Rows

_STAGING: Final = "riskmap_import"
# The database gives these; the trigger raises version and updated_at on a change.
_DATABASE_GIVES: Final = frozenset(("version", "created_at", "updated_at"))
_STATED: Final = ("source_system", "source_crs")


class Counts(NamedTuple):
    """What became of the rows."""

    inserted: int
    updated: int
    unchanged: int


def writable(stored: Table) -> dict[str, Column[Any]]:
    """Return the columns of a layer's table that an import fills."""
    return {
        name: c
        for name, c in stored.columns.items()
        if c.computed is None and c.identity is None and name not in _DATABASE_GIVES
    }


def load(
    session: WriteSession,
    layer: Layer,
    frames: Iterable[Frame],
    *,
    source_system: str,
    source_crs: str,
    dry_run: bool = False,
) -> Counts:
    """Put checked rows into a layer's table, in the session's transaction.

    Parameters
    ----------
    frames
        Rows with unique codes. An exception while they are drawn ends the load.
    source_system
        Who the rows are from; (source_system, code) is the key.
    dry_run
        Only count what would happen.

    Raises
    ------
    UnavailableError
        The connection was lost.
    """
    target = METADATA.tables[layer.table]
    columns = writable(target)
    # One import into a layer at a time, else two could wait for each other's rows. Others write on.
    session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext(:name))"),
        {"name": f"riskmap.import.{layer.table}"},
    )
    _create_staging(session, columns)
    used, count = _copy(session, frames, set(columns))
    session.execute(text(f"ANALYZE {_STAGING}"))
    merge = _Merge(target, used, source_system, source_crs)
    inserted = updated = 0
    if count:
        inserted, updated = merge.foresee(session) if dry_run else merge.write(session)
    session.execute(text(f"DROP TABLE {_STAGING}"))
    return Counts(inserted, updated, count - inserted - updated)


def _create_staging(session: WriteSession, columns: dict[str, Column[Any]]) -> None:
    staging = Table(
        _STAGING,
        MetaData(),
        Column(ROW, Integer),
        *(Column(name, c.type) for name, c in columns.items() if name not in _STATED),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
    staging.create(session.connection, checkfirst=False)


def _copy(session: WriteSession, frames: Iterable[Frame], known: set[str]) -> tuple[list[str], int]:
    """COPY each run of rows with the same columns; return all columns and the count."""
    connection = session.connection.connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - the only driver there is
    used: dict[str, None] = {}
    count = 0
    try:
        with ExitStack() as stack, connection.cursor() as cursor:
            copy: psycopg.Copy | None = None
            for frame in frames:
                if isinstance(frame, Columns):
                    strange = set(frame.names) - known - {ROW}
                    if strange:
                        raise KeyError(f"the table has no column {sorted(strange)}")
                    used |= dict.fromkeys(name for name in frame.names if name != ROW)
                    stack.close()
                    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
                        sql.Identifier(_STAGING),
                        sql.SQL(", ").join(map(sql.Identifier, frame.names)),
                    )
                    copy = stack.enter_context(cursor.copy(statement))
                elif isinstance(frame, Rows) and copy is not None:
                    count += frame.count
                    copy.write(frame.data)
    except psycopg.OperationalError as error:
        raise UnavailableError("database.away") from error
    return list(used), count


@dataclass(frozen=True, slots=True)
class _Merge:
    """The staged rows, the table they go to, and which columns the file speaks of."""

    target: Table
    used: list[str]
    source_system: str
    source_crs: str

    def write(self, session: WriteSession) -> tuple[int, int]:
        """Insert and update; return how many rows of each."""
        staged, stored = self._staged(), self.target.alias("stored")
        values: list[ColumnElement[Any]] = [
            literal(self.source_system),
            literal(self.source_crs),
            *(staged.c[name] for name in self.used),
        ]
        # The join keeps unchanged rows out before ON CONFLICT, which would lock each of them.
        rows = (
            self._joined(staged, stored, values)
            .where(or_(stored.c.id.is_(None), self._changed(stored, staged.c)))
            .order_by(staged.c[ROW])
        )
        statement = insert(self.target).from_select([*_STATED, *self.used], rows)
        written = ("source_crs", *self.used)
        touched = (
            statement.on_conflict_do_update(
                index_elements=["source_system", "code"],
                set_={name: statement.excluded[name] for name in written if name != "code"},
                where=self._changed(self.target, statement.excluded),
            )
            # xmax is 0 in a row that this statement made, and set in one that it changed.
            .returning(literal_column("(xmax = 0)", Boolean).label("made"))
            .cte("touched")
        )
        made = touched.c.made
        counts = (func.count().filter(made), func.count().filter(~made))
        return _pair(session, select(*counts).select_from(touched))

    def foresee(self, session: WriteSession) -> tuple[int, int]:
        """Count what `write` would insert and update, and write nothing."""
        staged, stored = self._staged(), self.target.alias("stored")
        new = stored.c.id.is_(None)
        changed = and_(~new, self._changed(stored, staged.c))
        wanted = (func.count().filter(new), func.count().filter(changed))
        return _pair(session, self._joined(staged, stored, wanted))

    def _staged(self) -> TableClause:
        return table(_STAGING, column(ROW), *(column(name) for name in self.used))

    def _changed(self, target: Any, new: Any) -> ColumnElement[bool]:
        """Say whether any column that the file speaks of differs from what is stored."""
        names = [name for name in self.used if name != "code"]
        differs = [target.c[name].is_distinct_from(new[name]) for name in names]
        return or_(target.c.source_crs.is_distinct_from(self.source_crs), *differs)

    def _joined(
        self, staged: TableClause, stored: Any, wanted: Iterable[ColumnElement[Any]]
    ) -> Select[Any]:
        """Select from the staged rows, each beside the stored one of the same key."""
        same = and_(stored.c.source_system == self.source_system, stored.c.code == staged.c.code)
        return select(*wanted).select_from(staged.outerjoin(stored, same))


def _pair(session: WriteSession, statement: Executable) -> tuple[int, int]:
    first, second = list(session.execute(statement).one())
    return int(first), int(second)
