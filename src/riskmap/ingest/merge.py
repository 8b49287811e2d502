"""From the staging table into the layer's: which rows are inserted, updated, deleted, refused.

Rows that would not change are not touched: no version, no revision, no tile is invalidated, and
no API writer waits for them. What a file does not speak of (a column it lacks) keeps its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, Range, insert

from riskmap.db.sessions import WriteSession
from riskmap.ingest.frames import ROW
from riskmap.ingest.places import ADMIN_CODE, PLACES
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.staging import STATED, Staged

_CODE: Final = "code"


class Written(NamedTuple):
    """How many rows were inserted and updated, and the ids of the inserted ones."""

    inserted: int
    updated: int
    inserted_ids: Sequence[Range[int]] = ()


@dataclass(frozen=True, slots=True)
class Merge:
    """The staged rows, the table they go to, and what is the same for all of them.

    Parameters
    ----------
    located
        `PLACES` holds codes by position: a row that states no division gets one. What is stored
        stays where neither the row nor its position says anything.
    new_only
        Leave out what is stored already (mode append). A row that somebody else stores meanwhile
        under the same code then ends the import by the unique key.
    """

    target: Table
    staged: Staged
    source_system: str
    source_crs: str
    located: bool
    new_only: bool = False

    def to_locate(self) -> Select[Any]:
        """Select row, geometry and stated code of the rows whose place is to be looked up.

        New rows, moved ones and those that have no code yet; and whoever states a new code.
        """
        new, stored = self.staged.table(), self.target.alias("stored")
        stated: ColumnElement[Any] = (
            new.c[ADMIN_CODE] if ADMIN_CODE in self.staged.used else literal(None)
        )
        known = stored.c[ADMIN_CODE]
        wanted: ColumnElement[bool] = stored.c.id.is_(None)
        moved = or_(
            stored.c.geom.is_distinct_from(new.c.geom),
            known.is_distinct_from(func.coalesce(stated, known)),
            known.is_(None),
        )
        if not self.new_only:
            wanted = or_(wanted, moved)
        columns = (new.c[ROW], new.c.geom, stated.label("stated"))
        return select(*columns).select_from(self._beside(new, stored)).where(wanted)

    def duplicates(self, session: WriteSession) -> Iterator[Problem]:
        """Yield the rows whose code the source has stored already, in the order of the file."""
        new, stored = self.staged.table(), self.target.alias("stored")
        columns = (new.c[ROW], new.c[_CODE], stored.c.id)
        found = select(*columns).select_from(self._beside(new, stored))
        found = found.where(stored.c.id.is_not(None))
        streamed = {"stream_results": True, "yield_per": 1000}
        rows = session.connection.execute(found.order_by(new.c[ROW]), execution_options=streamed)
        for row, code, stored_id in rows:
            values = {"stored_id": str(stored_id)}
            yield Problem(row, "ingest.duplicate.stored", _CODE, shorten(code), values)

    def count_stored(self, session: WriteSession) -> int:
        """Count the rows whose code the source has stored already."""
        new, stored = self.staged.table(), self.target.alias("stored")
        counted = select(func.count(stored.c.id)).select_from(self._beside(new, stored))
        return int(session.execute(counted).scalar_one())

    def write(self, session: WriteSession) -> Written:
        """Insert and update."""
        new, stored = self.staged.table(), self.target.alias("stored")
        values: list[ColumnElement[Any]] = [
            literal(self.source_system),
            literal(self.source_crs),
            *(new.c[name] for name in self.staged.used if name != ADMIN_CODE),
            *self._admin_code(new),
        ]
        # The join keeps unchanged rows out before ON CONFLICT, which would lock each of them.
        wanted: ColumnElement[bool] = stored.c.id.is_(None)
        if not self.new_only:
            wanted = or_(wanted, self._changed(stored, new.c, self._admin_code(new)))
        rows = self._joined(new, stored, values).where(wanted).order_by(new.c[ROW])
        made: ColumnElement[bool] = literal(True)
        statement = insert(self.target).from_select([*STATED, *self._written()], rows)
        if not self.new_only:
            excluded = statement.excluded
            given = [excluded[ADMIN_CODE]] if self._sets_admin_code() else []
            set_: dict[str, ColumnElement[Any]] = {
                name: excluded[name] for name in ("source_crs", *self._written())
            }
            del set_[_CODE]
            if self.located:
                set_[ADMIN_CODE] = func.coalesce(*given, self.target.c[ADMIN_CODE])
            statement = statement.on_conflict_do_update(
                index_elements=["source_system", _CODE],
                set_=set_,
                where=self._changed(self.target, excluded, given),
            )
            # xmax is 0 in a row that this statement made, and set in one that it changed.
            made = literal_column("(xmax = 0)", Boolean)
        touched = statement.returning(self.target.c.id, made.label("made")).cte("touched")
        return _counted(session, touched)

    def foresee(self, session: WriteSession) -> Written:
        """Count what `write` would insert and update, and write nothing."""
        staged, stored = self.staged.table(), self.target.alias("stored")
        new = stored.c.id.is_(None)
        changed = and_(~new, self._changed(stored, staged.c, self._admin_code(staged)))
        wanted = (func.count().filter(new), func.count().filter(changed))
        inserted, updated = list(session.execute(self._joined(staged, stored, wanted)).one())
        return Written(inserted, 0 if self.new_only else updated)

    def delete_missing(self, session: WriteSession) -> int:
        """Delete the source's features that the file no longer has; return how many."""
        found = session.execute(delete(self.target).where(*self._missing()))
        return int(found.rowcount)

    def foresee_missing(self, session: WriteSession) -> int:
        """Count what `delete_missing` would delete."""
        counted = select(func.count()).select_from(self.target).where(*self._missing())
        return int(session.execute(counted).scalar_one())

    def _missing(self) -> tuple[ColumnElement[bool], ...]:
        new = self.staged.table()
        there = exists(select(1).select_from(new).where(new.c[_CODE] == self.target.c[_CODE]))
        return self.target.c.source_system == self.source_system, ~there

    def _sets_admin_code(self) -> bool:
        return self.located or ADMIN_CODE in self.staged.used

    def _written(self) -> list[str]:
        """Return the columns that vary by row; the division's code comes last."""
        names = [name for name in self.staged.used if name != ADMIN_CODE]
        return [*names, ADMIN_CODE] if self._sets_admin_code() else names

    def _admin_code(self, new: Any) -> list[ColumnElement[Any]]:
        """Return the division's code of a staged row: as stated, else by position."""
        found = [new.c[ADMIN_CODE]] if ADMIN_CODE in self.staged.used else []
        if self.located:
            found.append(PLACES.c.code)
        return [func.coalesce(*found)] if found else []

    def _changed(
        self, target: Any, new: Any, admin_code: Sequence[ColumnElement[Any]]
    ) -> ColumnElement[bool]:
        """Say whether any column that the file speaks of differs from what is stored."""
        names = [name for name in self.staged.used if name not in (_CODE, ADMIN_CODE)]
        differs = [target.c[name].is_distinct_from(new[name]) for name in names]
        for code in admin_code:
            other = target.c[ADMIN_CODE].is_distinct_from(code)
            # No code here means: not stated and not looked up, so what is stored stays.
            differs.append(and_(code.is_not(None), other) if self.located else other)
        return or_(target.c.source_crs.is_distinct_from(self.source_crs), *differs)

    def _beside(self, new: Any, stored: Any) -> FromClause:
        """Join the staged rows, each beside the stored one of the same key."""
        same = and_(stored.c.source_system == self.source_system, stored.c.code == new.c[_CODE])
        joined: FromClause = new.outerjoin(stored, same)
        return joined

    def _joined(self, new: Any, stored: Any, wanted: Iterable[ColumnElement[Any]]) -> Select[Any]:
        """Select from staged rows, the stored ones beside them, and what was looked up."""
        joined = self._beside(new, stored)
        if self.located:
            joined = joined.outerjoin(PLACES, PLACES.c[ROW] == new.c[ROW])
        return select(*wanted).select_from(joined)


def _counted(session: WriteSession, touched: CTE) -> Written:
    """Run the statement of a CTE; return counts and the ids of the rows that it made.

    A million ids are one range as a rule, since a sequence gives them: to collect them one by one
    would sort a million ranges.
    """
    id_, made = touched.c.id, touched.c.made
    sums = select(
        func.count().label("all"),
        func.count().filter(made).label("made"),
        func.min(id_).filter(made).label("first"),
        func.max(id_).filter(made).label("last"),
    ).cte("sums")
    one = func.int8multirange(func.int8range(sums.c.first, sums.c.last, "[]"))
    many = select(func.range_agg(func.int8range(id_, id_, "[]"))).where(made).scalar_subquery()
    ids = case((sums.c.last - sums.c.first + 1 == sums.c.made, one), else_=many)
    statement = select(sums.c.all, sums.c.made, type_coerce(ids, INT8MULTIRANGE))
    count, inserted, inserted_ids = list(session.execute(statement).one())
    return Written(inserted, count - inserted, tuple(inserted_ids or ()))
