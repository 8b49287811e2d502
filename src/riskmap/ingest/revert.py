"""Making features what they were: the SQL that undo and restore share.

A plan says for each feature what is to be done and which version it is expected at. Values come
from the history's JSON by way of `jsonb_populate_record`, which gives them back bit for bit; what
the JSON lacks (a column that is younger) keeps its present value. Nothing goes back in time: what
becomes what it was gets a new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, text
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, Range

from riskmap.db.sessions import WriteSession
from riskmap.ingest.staging import writable

PLAN: Final = Table(
    "riskmap_revert",
    MetaData(),
    Column("feature_id", BigInteger, primary_key=True, autoincrement=False),
    # delete, update, insert
    Column("act", String, nullable=False),
    # The version that it has if nobody changed it; for an insert, the version that it gets.
    Column("expected", Integer, nullable=False),
    # Which row of the history has the values.
    Column("history_id", BigInteger),
    # The version it has; null: there is no such feature.
    Column("live", Integer),
    # Another feature that has its source and code now.
    Column("taken", BigInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
_LOCK: Final = """
SELECT count(*) FROM (
    SELECT 1 FROM {table} t JOIN riskmap_revert p ON p.feature_id = t.id FOR UPDATE OF t
) locked
"""
_LOOK: Final = """
UPDATE riskmap_revert p SET live = t.version FROM {table} t WHERE t.id = p.feature_id
"""
# A later import that was undone, say: another version with the content that was left. Geometries
# are compared for themselves, since the history keeps them for themselves; what the JSON lacks is
# as it is now.
_SAME: Final = """
UPDATE riskmap_revert p SET expected = p.live
FROM history h, {table} t
WHERE p.act <> 'insert' AND p.live <> p.expected AND t.id = p.feature_id
    AND h.layer = :layer AND h.feature_id = p.feature_id AND h.version = p.expected
    AND h.geom = t.geom AND ROW({stored}) IS NOT DISTINCT FROM (
        SELECT ROW({were}) FROM jsonb_populate_record(t, h."row") r
    )
"""
_TAKEN: Final = """
UPDATE riskmap_revert p SET taken = t.id
FROM history h, {table} t
WHERE h.id = p.history_id AND t.id <> p.feature_id
    AND t.source_system = h."row"->>'source_system' AND t.code = h."row"->>'code'
    AND NOT EXISTS (
        SELECT 1 FROM riskmap_revert d
        WHERE d.feature_id = t.id AND d.act = 'delete' AND d.live = d.expected
    )
"""
# Somebody else changed it since.
_CHANGED: Final = "live IS DISTINCT FROM CASE act WHEN 'insert' THEN NULL ELSE expected END"
_CLASHES: Final = """
SELECT count(*) FILTER (WHERE {changed}),
    (array_agg(feature_id ORDER BY feature_id) FILTER (WHERE {changed}))[1\\:10],
    count(taken),
    (array_agg(taken ORDER BY taken) FILTER (WHERE taken IS NOT NULL))[1\\:10]
FROM riskmap_revert
"""
_LEAVE_OUT: Final = "DELETE FROM riskmap_revert WHERE ({changed}) OR taken IS NOT NULL"
_DELETE: Final = """
DELETE FROM {table} t USING riskmap_revert p WHERE p.act = 'delete' AND t.id = p.feature_id
"""
_UPDATE: Final = """
UPDATE {table} SET geom = was.kept_geom, {assigned}
FROM (
    SELECT p.feature_id AS kept_id, h.geom AS kept_geom, {were}
    FROM riskmap_revert p
    JOIN {table} t ON t.id = p.feature_id
    JOIN history h ON h.id = p.history_id
    CROSS JOIN LATERAL jsonb_populate_record(t, h."row") r
    WHERE p.act = 'update'
) was
WHERE {table}.id = was.kept_id
"""
_INSERT: Final = """
WITH made AS (
    INSERT INTO {table} (id, version, created_at, geom, {columns}) OVERRIDING SYSTEM VALUE
    SELECT p.feature_id, p.expected, r.created_at, h.geom, {were}
    FROM riskmap_revert p
    JOIN history h ON h.id = p.history_id
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, h."row") r
    WHERE p.act = 'insert' ORDER BY p.feature_id
    RETURNING id
)
SELECT count(*) AS n, range_agg(int8range(id, id, '[]')) AS ids FROM made
"""


class Clashes(NamedTuple):
    """Features of a plan that others have changed, or whose code another feature has now."""

    changed: int
    changed_ids: Sequence[int]
    taken: int
    taken_ids: Sequence[int]


class Reverted(NamedTuple):
    """How many features were deleted, updated and put back; the ids of those put back."""

    deleted: int
    updated: int
    inserted: int
    inserted_ids: Sequence[Range[int]]


def look(session: WriteSession, target: Table, layer: str) -> Clashes:
    """Lock the features of the plan and see what they are now.

    One that has the content of the expected version is unchanged, whatever happened in between.
    """
    session.execute(text(_LOCK.format(table=target.name)))
    # A statement of its own: it sees what was committed while the one before waited.
    session.execute(text(_LOOK.format(table=target.name)))
    columns = _contents(target)
    same = _SAME.format(
        table=target.name,
        stored=", ".join(f"t.{name}" for name in columns),
        were=", ".join(f"r.{name}" for name in columns),
    )
    session.execute(text(same), {"layer": layer})
    # What is to go and is gone already is no clash.
    session.execute(text("DELETE FROM riskmap_revert WHERE act = 'delete' AND live IS NULL"))
    session.execute(text(_TAKEN.format(table=target.name)))
    changed, ids, taken, taken_ids = list(
        session.execute(text(_CLASHES.format(changed=_CHANGED))).one()
    )
    return Clashes(changed, ids or [], taken, taken_ids or [])


def leave_out_clashes(session: WriteSession) -> int:
    """Take out of the plan what clashes; return how many."""
    return session.execute(text(_LEAVE_OUT.format(changed=_CHANGED))).rowcount


def apply(session: WriteSession, target: Table) -> Reverted:
    """Carry the plan out.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        A code was taken since `look`.
    """
    columns = _contents(target)
    named = {
        "table": target.name,
        "columns": ", ".join(columns),
        "were": ", ".join(f"r.{name}" for name in columns),
        "assigned": ", ".join(f"{name} = was.{name}" for name in columns),
    }
    deleted = session.execute(text(_DELETE.format(**named))).rowcount
    updated = session.execute(text(_UPDATE.format(**named))).rowcount
    statement = text(_INSERT.format(**named)).columns(n=Integer, ids=INT8MULTIRANGE)
    put_back = session.execute(statement).one()
    return Reverted(deleted, updated, put_back.n, tuple(put_back.ids or ()))


def _contents(target: Table) -> list[str]:
    return [name for name in writable(target) if name != "geom"]


def begin(session: WriteSession) -> None:
    """Make an empty plan."""
    PLAN.create(session.connection, checkfirst=False)


def end(session: WriteSession) -> None:
    """Drop the plan: several may share one transaction."""
    PLAN.drop(session.connection, checkfirst=False)
