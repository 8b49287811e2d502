"""The load of an import, in one transaction: frames into a staging table, from there merged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError, IntegrityError

from riskmap.catalog.spec import Layer, Role
from riskmap.db.base import METADATA
from riskmap.db.sessions import WriteSession
from riskmap.errors import ConflictError, InputError
from riskmap.ingest import places, staging
from riskmap.ingest.frames import Frame
from riskmap.ingest.merge import Merge, Written
from riskmap.ingest.options import MODES, UNSTATED
from riskmap.ingest.report import ImportCancelledError, Problem
from riskmap.ingest.staging import writable

__all__ = ["Counts", "check_mode", "load", "lock_layer", "writable"]

Take = Callable[[Iterator[Problem]], None]
"""Takes problems in the order of the file. It may raise: nothing is loaded then."""

_TRY_EVERY_S: Final = 0.5


class Counts(NamedTuple):
    """What became of the rows.

    Parameters
    ----------
    deleted
        Stored features of the source that the file no longer has (mode replace).
    duplicates
        Rows left out because their code is stored already (mode append).
    admin_filled
        Rows written with a division's code that their position gave.
    admin_mismatched
        Rows that state another division than their position, kept as stated.
    inserted_ids
        Ids of the new features.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    duplicates: int = 0
    admin_filled: int = 0
    admin_mismatched: int = 0
    inserted_ids: Sequence[Range[int]] = ()


def check_mode(mode: str, max_bad_share: float, source_system: str) -> None:
    """Refuse a mode that is none, and a replacement that would pass over bad rows.

    Raises
    ------
    InputError
        A feature whose row has a typo would be deleted: `replace` takes no bad row. Nor does it
        take the source system of those who state none: each would delete the others' features.
    """
    if mode not in MODES:
        raise InputError("ingest.mode", parameter="mode", value=mode, known=", ".join(MODES))
    if mode == "replace" and max_bad_share > 0:
        raise InputError("ingest.mode.replace", parameter="max_bad_share", value=max_bad_share)
    if mode == "replace" and source_system.strip() == UNSTATED:
        raise InputError("ingest.mode.source", parameter="source_system", value=UNSTATED)


def lock_layer(
    session: WriteSession,
    layer: Layer,
    *,
    cancelled: Callable[[], bool] | None = None,
    patience_s: float | None = None,
) -> None:
    """Wait until no other import or undo works on the layer, and keep them out; others write on.

    Two at once could wait for each other's rows.

    Parameters
    ----------
    cancelled
        Asked between two tries; once it says True the wait ends.
    patience_s
        How long to try; None: until it succeeds.

    Raises
    ------
    ImportCancelledError
        `cancelled` said so.
    ConflictError
        The layer was not free in time.
    """
    # Tried again and again rather than waited for: in a statement that waits nobody could be told
    # that it was cancelled.
    attempt = text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
    bound = {"name": f"riskmap.import.{layer.table}"}
    end = None if patience_s is None else time.monotonic() + patience_s
    while not session.execute(attempt, bound).scalar_one():
        if cancelled is not None and cancelled():
            raise ImportCancelledError
        if end is not None and time.monotonic() >= end:
            raise ConflictError("imports.busy", parameter="layer", value=layer.id)
        time.sleep(_TRY_EVERY_S)


@contextmanager
def _limits_told() -> Iterator[None]:
    """Turn PostgreSQL's limits (class 54: nested too deep, too long for an index) into a refusal.

    They are the file's doing. Its driver counts them with the lost connections, after which an
    import is tried again.
    """
    try:
        yield
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not str(getattr(cause, "sqlstate", None)).startswith("54"):
            raise
        raise InputError("ingest.database_limit", parameter="file") from error


@_limits_told()
def load(
    session: WriteSession,
    layer: Layer,
    frames: Iterable[Frame],
    *,
    source_system: str,
    source_crs: str,
    mode: str = "upsert",
    dry_run: bool = False,
    refuse: Take | None = None,
    note: Take | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Counts:
    """Put checked rows into a layer's table, in the session's transaction.

    Parameters
    ----------
    frames
        Rows with unique codes. An exception while they are drawn ends the load. `replace` relies
        on all rows of the file being among them.
    source_system
        Who the rows are from; (source_system, code) is the key.
    mode
        One of `MODES`; see `check_mode`.
    dry_run
        Only count what would happen.
    refuse
        Mode append: is given the rows whose code is stored already, before anything is written.
    note
        Is given the rows that state another division than their position.
    cancelled
        Asked while another import or undo keeps the layer.

    Raises
    ------
    ImportCancelledError
        `cancelled` said so.
    ConflictError
        Somebody else stored the same code meanwhile.
    InputError
        A row is more than the database can hold.
    """
    target = METADATA.tables[layer.table]
    staged = staging.stage(session, target, frames)
    if not staged.count:
        staging.drop(session)
        return Counts()
    # Not before: a file may be read for an hour, and the staging table is this import's alone.
    lock_layer(session, layer, cancelled=cancelled)
    located, new_only = layer.role is not Role.AREA, mode == "append"
    merge = Merge(target, staged, source_system, source_crs, located, new_only)
    duplicates = filled = mismatched = deleted = 0
    if new_only:
        duplicates = merge.count_stored(session)
        if refuse is not None and duplicates:
            refuse(merge.duplicates(session))
    if located:
        places.find_places(session, layer, merge.to_locate())
        filled, mismatched = places.count(session)
        if note is not None and mismatched:
            note(places.notes(session))
    written = merge.foresee(session) if dry_run else _write(session, merge)
    if new_only and duplicates + written.inserted != staged.count:
        # Stored since `refuse` was told, and so left out without a word.
        raise ConflictError("ingest.race", parameter="mode")
    if mode == "replace":
        deleted = merge.foresee_missing(session) if dry_run else merge.delete_missing(session)
    if located:
        places.drop(session)
    staging.drop(session)
    return Counts(
        written.inserted,
        written.updated,
        staged.count - duplicates - written.inserted - written.updated,
        deleted,
        duplicates,
        filled,
        mismatched,
        written.inserted_ids,
    )


def _write(session: WriteSession, merge: Merge) -> Written:
    try:
        return merge.write(session)
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", None) != "23505":  # unique_violation
            raise
        raise ConflictError("ingest.race", parameter="mode") from error
