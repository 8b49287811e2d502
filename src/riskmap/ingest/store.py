"""The rows of IMPORTS: what was asked for, by whom, and what became of it.

A row of an import that is done was written in the transaction that loaded the features, so that
both are there or neither. What ends otherwise is noted in a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, Select, case, func, select, update
from sqlalchemy.dialects.postgresql import Range, insert

from riskmap.db.audit import record
from riskmap.db.jsonb import storable
from riskmap.db.sessions import Actor, Database, ReadSession, WriteSession
from riskmap.db.tables import IMPORTS, JOBS
from riskmap.errors import ConflictError, NotFoundError
from riskmap.ingest.report import ImportReport

STATUSES: Final = ("queued", "running", "done", "rejected", "failed", "cancelled")

Outcome = Literal["rejected", "failed", "cancelled"]

_OPEN: Final = ("queued", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of an import before it runs.

    Parameters
    ----------
    options
        The other options, as JSON knows them.
    undo_of
        The import that this one takes back.
    """

    layer: str
    file: str
    source_system: str
    mode: str
    crs: str | None = None
    sha256: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    undo_of: int | None = None


def queue_import(
    session: WriteSession,
    entry: Entry,
    actor: Actor,
    *,
    status: Literal["queued", "running"] = "queued",
    idempotency_key: str | None = None,
    idempotency_hash: str | None = None,
) -> int | None:
    """Note an import that is to run; return its id, None where the actor's key has been used.

    Of two requests at once with one key, the second waits here until the first has committed.

    Parameters
    ----------
    idempotency_key, idempotency_hash
        The caller's own key for this request, and what was asked under it.
    """
    values = {
        "kind": "import" if entry.undo_of is None else "undo",
        "layer": entry.layer,
        "file": storable(entry.file),
        "sha256": entry.sha256,
        "crs": entry.crs,
        "source_system": entry.source_system,
        "mode": entry.mode,
        "options": dict(entry.options),
        "undo_of": entry.undo_of,
        "actor": actor.name,
        "request_id": actor.request_id,
        "status": status,
        "idempotency_key": idempotency_key,
        "idempotency_hash": idempotency_hash,
    }
    made = session.execute(
        insert(IMPORTS)
        .values(values)
        .on_conflict_do_nothing(index_elements=["actor", "idempotency_key"])
        .returning(IMPORTS.c.id)
    )
    found = made.scalar_one_or_none()
    return None if found is None else int(found)


def _note(
    session: WriteSession,
    entry: Entry,
    actor: Actor,
    status: Literal["queued", "running"] = "queued",
) -> int:
    """Note an import that has no key, so that nothing can stand against it."""
    made = queue_import(session, entry, actor, status=status)
    if made is None:
        raise RuntimeError("an import without a key was taken for another one")
    return made


def begin_import(session: WriteSession, entry: Entry, actor: Actor) -> int:
    """Note an import that runs in this transaction; history and audit name it from here."""
    import_id = _note(session, entry, actor, "running")
    session.belongs_to_import(import_id)
    return import_id


def attach_job(session: WriteSession, import_id: int, job_id: int) -> None:
    """Say which job runs an import."""
    session.execute(update(IMPORTS).where(IMPORTS.c.id == import_id).values(job_id=job_id))


def finish_import(
    session: WriteSession,
    import_id: int,
    report: Mapping[str, Any],
    inserted_ids: Sequence[Range[int]],
    *,
    action: str = "import.done",
    **known: object,
) -> None:
    """Say in the transaction of the load that it is done, and leave an audit row.

    Parameters
    ----------
    known
        Columns that only the end tells, such as `sha256`.

    Raises
    ------
    ConflictError
        It has ended already, by a cancel or by another worker: the load must roll back.
    """
    values = {
        "status": "done",
        "report": storable(report),
        "inserted_ids": list(inserted_ids) or None,
        # Not now(), which is when the transaction began.
        "finished_at": func.clock_timestamp(),
        **known,
    }
    changed = (IMPORTS.c.layer, IMPORTS.c.file, IMPORTS.c.undo_of)
    found = session.execute(
        update(IMPORTS)
        .where(IMPORTS.c.id == import_id, IMPORTS.c.status.in_(_OPEN))
        .values(values)
        .returning(*changed)
    ).one_or_none()
    if found is None:
        raise ConflictError("imports.ended", parameter="import_id", value=import_id)
    if report.get("dry_run"):  # queued to be only checked
        return
    counts = {name: report[name] for name in COUNTED if name in report}
    detail = {"import_id": import_id, "file": found.file, "undo_of": found.undo_of, **counts}
    record(session, action, found.layer, detail, row_count=sum(counts.values()))


COUNTED: Final = ("inserted", "updated", "deleted")
"""Counts of a report that say how many features were touched."""


def record_outcome(
    database: Database,
    actor: Actor,
    *,
    status: Outcome,
    report: ImportReport | Mapping[str, Any] | None = None,
    entry: Entry | None = None,
    import_id: int | None = None,
    before_commit: Callable[[WriteSession], None] | None = None,
) -> int:
    """Note in a transaction of its own that an import came to nothing; return its id.

    Parameters
    ----------
    entry
        For an import without a row, or whose row went with the transaction that began it.
    import_id
        The row of an import that was queued.
    before_commit
        Called last in the transaction: what it writes is true exactly if the outcome is noted.
    """
    plain = report.to_json() if isinstance(report, ImportReport) else report
    with database.write(actor) as session:
        if import_id is None:
            if entry is None:
                raise TypeError("neither entry nor import_id")
            import_id = _note(session, entry, actor)
        if plain is not None:
            plain = storable({**plain, "import_id": import_id})
        come_to_nothing(session, import_id, status, plain)
        if before_commit is not None:
            before_commit(session)
    return import_id


def come_to_nothing(
    session: WriteSession,
    import_id: int,
    status: str,
    report: Mapping[str, Any] | None = None,
) -> None:
    """Note that an import that was open loaded nothing: rejected, failed or cancelled."""
    session.execute(
        update(IMPORTS)
        .where(IMPORTS.c.id == import_id, IMPORTS.c.status.in_(_OPEN))
        .values(status=status, report=report, finished_at=func.clock_timestamp())
    )


def find_by_key(session: ReadSession, actor: str, key: str) -> Row[Any] | None:
    """Return the import for which an actor used a key."""
    wanted = (IMPORTS.c.actor == actor) & (IMPORTS.c.idempotency_key == key)
    return session.execute(_imports().where(wanted)).first()


def get_import(session: ReadSession, import_id: int) -> Row[Any]:
    """Return one import beside its job.

    Raises
    ------
    NotFoundError
        There is no such import.
    """
    found = session.execute(_imports().where(IMPORTS.c.id == import_id)).first()
    if found is None:
        raise NotFoundError("imports.unknown", parameter="import_id", value=import_id)
    return found


def list_imports(
    session: ReadSession,
    *,
    layer: str | None = None,
    status: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> Sequence[Row[Any]]:
    """Return imports beside their jobs, the newest first, below an id."""
    statement = _imports().order_by(IMPORTS.c.id.desc()).limit(limit)
    if layer is not None:
        statement = statement.where(IMPORTS.c.layer == layer)
    if status is not None:
        statement = statement.where(_STATUS.in_([status]))
    if before is not None:
        statement = statement.where(IMPORTS.c.id < before)
    return session.execute(statement).all()


def open_imports(session: ReadSession) -> set[int]:
    """Return the ids of imports whose files are still needed."""
    return set(session.execute(select(IMPORTS.c.id).where(IMPORTS.c.status.in_(_OPEN))).scalars())


# While an import is open its job knows better whether it runs by now.
_STATUS: Final[ColumnElement[str]] = case(
    (IMPORTS.c.status.in_(_OPEN), func.coalesce(JOBS.c.status, IMPORTS.c.status)),
    else_=IMPORTS.c.status,
)


def _imports() -> Select[Any]:
    """Select imports; `undone_by` is the one that took it back."""
    # Ids may be hundreds of thousands of ranges, which nobody asks for in a list.
    kept_back = ("status", "inserted_ids")
    columns: list[ColumnElement[Any]] = [c for c in IMPORTS.c if c.name not in kept_back]
    later = IMPORTS.alias("later")
    undone_by = (
        select(func.max(later.c.id))
        .where(later.c.undo_of == IMPORTS.c.id, later.c.status == "done")
        .scalar_subquery()
    )
    return select(
        *columns,
        _STATUS.label("status"),
        undone_by.label("undone_by"),
        JOBS.c.progress,
        JOBS.c.problem,
        JOBS.c.started_at,
        JOBS.c.attempts,
        JOBS.c.cancel_asked,
        JOBS.c.parameters.label("job_parameters"),
    ).select_from(IMPORTS.outerjoin(JOBS, IMPORTS.c.job_id == JOBS.c.id))
