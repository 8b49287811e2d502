"""The rows of PROCESS_JOBS: what was asked of a process, and what it gave."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, text, update

from riskmap.db.sessions import Actor, ReadSession, WriteSession
from riskmap.db.tables import JOBS, PROCESS_JOBS
from riskmap.errors import GoneError, NotFoundError, UnprocessableError
from riskmap.jobs import store as jobs

KIND: Final = "process"
SWEEPER: Final = Actor("jobs")
#: How long a job and its result are kept after it has ended.
KEEP_DAYS: Final = 7
#: Largest result, packed. The circles of a hundred starts, each its own, are 10 MB.
MAX_BYTES: Final = 64 * 1024 * 1024

#: The words of the standard for our own.
STATUS: Final = {
    "queued": "accepted",
    "running": "running",
    "done": "successful",
    "failed": "failed",
    "cancelled": "dismissed",
}


def packed(result: bytes) -> bytes:
    """Return a result as it is stored.

    Raises
    ------
    UnprocessableError
        It is too large to be kept.
    """
    found = gzip.compress(result, compresslevel=1, mtime=0)
    if len(found) > MAX_BYTES:
        size = {"mb": round(len(found) / 1e6), "most_mb": round(MAX_BYTES / 1e6)}
        raise UnprocessableError("process.too_large", parameter="inputs", **size)
    return found


def queue_job(
    session: WriteSession, process: str, inputs: Mapping[str, Any], response: str, actor: Actor
) -> str:
    """Queue a process; return the job's name, which nobody can guess. What is old is removed."""
    sweep(session)
    name = uuid4()
    job_id = jobs.queue(
        session, KIND, {"job": str(name)}, actor=actor.name, request_id=actor.request_id
    )
    values = {"process": process, "inputs": dict(inputs), "response": response}
    session.execute(insert(PROCESS_JOBS).values(id=name, job_id=job_id, **values))
    return str(name)


def _found() -> Any:
    mine, job = PROCESS_JOBS.c, JOBS.c
    return select(
        *(mine[name] for name in ("id", "process", "inputs", "response", "job_id")),
        mine.dismissed_at,
        job.status,
        job.progress,
        job.problem,
        job.created_at,
        job.started_at,
        job.finished_at,
        job.heartbeat_at,
    ).join_from(PROCESS_JOBS, JOBS, mine.job_id == job.id)


def get_job(session: ReadSession, name: str) -> Row[Any]:
    """Return a job.

    Raises
    ------
    NotFoundError
        There is no such job, or it was kept long enough.
    """
    try:
        key = UUID(name)
    except ValueError:
        key = None
    row = None
    if key is not None:
        row = session.execute(_found().where(PROCESS_JOBS.c.id == key)).first()
    if row is None:
        raise NotFoundError("process.no_job", parameter="jobID", value=name[:60])
    return row


@dataclass(frozen=True, slots=True)
class Asked:
    """Which jobs are asked for.

    Attributes
    ----------
    statuses
        In the words of the standard.
    began, ended
        When they were asked for: from, to, inclusive.
    least_s, most_s
        How long they ran, or have run by now.
    before
        Number of the job that the page follows.
    """

    processes: Sequence[str] = ()
    statuses: Sequence[str] = ()
    began: datetime | None = None
    ended: datetime | None = None
    least_s: float | None = None
    most_s: float | None = None
    before: int | None = None
    limit: int = 100


def list_jobs(session: ReadSession, asked: Asked) -> list[Row[Any]]:
    """Return jobs, the newest first."""
    mine, job = PROCESS_JOBS.c, JOBS.c
    ran_s = func.extract(
        "epoch", func.coalesce(job.finished_at, func.clock_timestamp()) - job.started_at
    )
    where: list[ColumnElement[bool]] = []
    if asked.processes:
        where.append(mine.process.in_(asked.processes))
    if asked.statuses:
        ours = [one for one, told in STATUS.items() if told in asked.statuses]
        dismissed = mine.dismissed_at.is_not(None)
        plain = job.status.in_(ours) & ~dismissed
        where.append(plain | dismissed if "dismissed" in asked.statuses else plain)
    for fits, bound in (
        (job.created_at.__ge__, asked.began),
        (job.created_at.__le__, asked.ended),
        (ran_s.__ge__, asked.least_s),
        (ran_s.__le__, asked.most_s),
        (mine.job_id.__lt__, asked.before),
    ):
        if bound is not None:
            where.append(fits(bound))
    statement = _found().where(*where).order_by(mine.job_id.desc()).limit(asked.limit)
    return list(session.execute(statement))


def write_result(session: WriteSession, name: str, result: bytes) -> None:
    """Keep what a job gave; what was dismissed meanwhile keeps nothing."""
    mine = PROCESS_JOBS.c
    session.execute(
        update(PROCESS_JOBS)
        .where(mine.id == UUID(name), mine.dismissed_at.is_(None))
        .values(result=result)
    )


def read_result(session: ReadSession, name: str) -> bytes:
    """Return what a job gave, packed by gzip.

    Raises
    ------
    GoneError
        It was dismissed.
    """
    mine = PROCESS_JOBS.c
    found = session.execute(select(mine.result).where(mine.id == UUID(name))).scalar_one_or_none()
    if found is None:
        raise GoneError("process.gone", parameter="jobID", value=name)
    return bytes(found)


def dismiss(session: WriteSession, name: str) -> Row[Any]:
    """Dismiss a job: it stops if it runs, and what it gave is removed.

    Raises
    ------
    NotFoundError, GoneError
        There is no such job; it was dismissed before.
    """
    row = get_job(session, name)
    if row.dismissed_at is not None:
        raise GoneError("process.gone", parameter="jobID", value=name)
    # Held first: a job that ends at this moment ends before, or finds that it is dismissed.
    session.execute(select(JOBS.c.id).where(JOBS.c.id == row.job_id).with_for_update())
    row = get_job(session, name)
    if row.status in jobs.OPEN:
        jobs.ask_cancel(session, row.job_id)
    session.execute(
        update(PROCESS_JOBS)
        .where(PROCESS_JOBS.c.id == UUID(name))
        .values(dismissed_at=func.clock_timestamp(), result=None)
    )
    return get_job(session, name)


def sweep(session: WriteSession) -> None:
    """Delete what ended more than `KEEP_DAYS` ago."""
    old = select(JOBS.c.id).where(
        JOBS.c.kind == KIND,
        JOBS.c.finished_at < func.clock_timestamp() - text(f"interval '{KEEP_DAYS} days'"),
    )
    session.execute(delete(PROCESS_JOBS).where(PROCESS_JOBS.c.job_id.in_(old)))
