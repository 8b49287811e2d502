"""Imports that were asked for over the service: their rows, beside those of their jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from riskmap.db.sessions import Actor, ReadSession, WriteSession
from riskmap.db.tables import IMPORTS, JOBS
from riskmap.errors import NotFoundError
from riskmap.ingest.report import ImportReport

_OPEN = ("queued", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An import as it was asked for.

    Parameters
    ----------
    idempotency_key, idempotency_hash
        The caller's own key for this request, and what was asked under it.
    """

    layer: str
    file: str
    sha256: str | None
    crs: str
    source_system: str
    mode: str
    options: Mapping[str, Any]
    idempotency_key: str | None = None
    idempotency_hash: str | None = None


def begin(session: WriteSession, asked: Asked, actor: Actor) -> int | None:
    """Note an import as queued; None where the actor's key has been used already.

    Of two requests at once with one key, the second waits here until the first has committed.
    """
    made = session.execute(
        insert(IMPORTS)
        .values(
            layer=asked.layer,
            file=asked.file,
            sha256=asked.sha256,
            crs=asked.crs,
            source_system=asked.source_system,
            mode=asked.mode,
            options=dict(asked.options),
            actor=actor.name,
            request_id=actor.request_id,
            idempotency_key=asked.idempotency_key,
            idempotency_hash=asked.idempotency_hash,
        )
        .on_conflict_do_nothing(index_elements=["actor", "idempotency_key"])
        .returning(IMPORTS.c.id)
    )
    found = made.scalar_one_or_none()
    return None if found is None else int(found)


def belongs_to_job(session: WriteSession, import_id: int, job_id: int) -> None:
    """Note which job runs an import."""
    session.execute(update(IMPORTS).where(IMPORTS.c.id == import_id).values(job_id=job_id))


def finish(
    session: WriteSession, import_id: int, report: ImportReport, status: str = "done"
) -> None:
    """Note what became of an import (done, rejected), in the transaction that loads its rows."""
    session.execute(
        update(IMPORTS)
        .where(IMPORTS.c.id == import_id)
        .values(status=status, report=report.to_json(), finished_at=func.clock_timestamp())
    )


def fail(session: WriteSession, import_id: int, status: str = "failed") -> None:
    """Note that an import failed or was cancelled; its job says why."""
    session.execute(
        update(IMPORTS)
        .where(IMPORTS.c.id == import_id, IMPORTS.c.status.in_(_OPEN))
        .values(status=status, finished_at=func.clock_timestamp())
    )


# While an import is open its job knows better whether it runs by now.
_STATUS = case(
    (IMPORTS.c.status.in_(_OPEN), func.coalesce(JOBS.c.status, IMPORTS.c.status)),
    else_=IMPORTS.c.status,
)


def _imports() -> Select[Any]:
    columns = [column for column in IMPORTS.c if column.name not in ("status", "inserted_ids")]
    return select(
        *columns,
        _STATUS.label("status"),
        JOBS.c.progress,
        JOBS.c.problem,
        JOBS.c.started_at,
        JOBS.c.attempts,
        JOBS.c.cancel_asked,
        JOBS.c.parameters.label("job_parameters"),
    ).select_from(IMPORTS.outerjoin(JOBS, IMPORTS.c.job_id == JOBS.c.id))


def get(session: ReadSession, import_id: int) -> Row[Any]:
    """Return an import beside its job.

    Raises
    ------
    NotFoundError
        There is no such import.
    """
    row = session.execute(_imports().where(IMPORTS.c.id == import_id)).first()
    if row is None:
        raise NotFoundError("imports.no_such", parameter="id", value=import_id)
    return row


def find_by_key(session: ReadSession, actor: str, key: str) -> Row[Any]:
    """Return the import for which an actor used a key."""
    wanted = (IMPORTS.c.actor == actor) & (IMPORTS.c.idempotency_key == key)
    return session.execute(_imports().where(wanted)).one()


def list_imports(
    session: ReadSession,
    *,
    layer: str | None = None,
    status: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Row[Any]]:
    """Return imports beside their jobs, the newest first, below an id."""
    statement = _imports().order_by(IMPORTS.c.id.desc()).limit(limit)
    if layer is not None:
        statement = statement.where(IMPORTS.c.layer == layer)
    if status is not None:
        statement = statement.where(_STATUS.in_([status]))
    if before is not None:
        statement = statement.where(IMPORTS.c.id < before)
    return list(session.execute(statement))


def open_imports(session: ReadSession) -> set[int]:
    """Return the ids of imports whose files are still needed."""
    return set(session.execute(select(IMPORTS.c.id).where(IMPORTS.c.status.in_(_OPEN))).scalars())
