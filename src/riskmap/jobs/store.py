"""The rows of jobs: a queue that several workers on several machines take from.

A worker that claims a job holds it for as long as it shows that it lives. One that was silent for
`LEASE_S` by the database's clock, or whose process is gone, has lost the job: another may claim
it. The one that lost it may still be at work, so it must ask before it commits: `still_mine`
stands in the work's own transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select, text, update

from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.db.tables import JOBS
from riskmap.errors import ConflictError, NotFoundError
from riskmap.jobs.identity import is_gone, machine

LEASE_S: Final = 15
MAX_ATTEMPTS: Final = 3
OPEN: Final = ("queued", "running")
HOST: Final = "host"
"""The parameter that names the place whose files a job needs; without it any machine will do."""


class JobCancelledError(Exception):
    """A cancel was asked for before the work had committed."""


class LostClaimError(Exception):
    """The job is no longer this worker's: it must not commit what it did."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job; `attempt` counts from 1."""

    job_id: int
    runner: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored.

    Parameters
    ----------
    progress
        `stage`, `done`, `total` of the present attempt.
    problem
        Why it failed: `key`, `parameter`, `values` of the catalogue, and the HTTP status.
    """

    id: int
    kind: str
    actor: str
    request_id: str | None
    parameters: dict[str, Any]
    status: str
    runner: str | None
    attempts: int
    heartbeat_at: datetime | None
    cancel_asked: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    problem: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def claim(self) -> Claim:
        """The hold that its present runner has on it."""
        return Claim(self.id, self.runner or "", self.attempts)


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        JOBS.c.id == claim.job_id,
        JOBS.c.status == "running",
        JOBS.c.runner == claim.runner,
        JOBS.c.attempts == claim.attempt,
    )


def queue(
    session: WriteSession,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    actor: str,
    request_id: str | None = None,
) -> int:
    """Queue a job; it runs once the session has committed. Returns its id."""
    made = session.execute(
        insert(JOBS)
        .values(kind=kind, parameters=dict(parameters), actor=actor, request_id=request_id)
        .returning(JOBS.c.id)
    )
    return int(made.scalar_one())


def claim(session: WriteSession, runner: str, kinds: Collection[str], place: str) -> Job | None:
    """Take the oldest job that this worker can run, or end one that must not run any more.

    Parameters
    ----------
    kinds
        What the worker has handlers for.
    place
        The place whose files it has, as `parameters["host"]` names it.

    Returns
    -------
    The job: `running` and this worker's; `cancelled` or `failed` when it was left by its worker
    after a cancel was asked for, or too often; None when there is nothing to do.
    """
    host = JOBS.c.parameters[HOST].astext
    lapsed = JOBS.c.heartbeat_at < func.clock_timestamp() - text(f"interval '{LEASE_S} s'")
    found = session.execute(
        select(JOBS)
        .where(
            JOBS.c.status.in_(OPEN),
            JOBS.c.kind.in_(kinds),
            or_(host.is_(None), host == place),
            or_(JOBS.c.status == "queued", lapsed, JOBS.c.runner.in_(_gone(session))),
        )
        .order_by(JOBS.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if found is None:
        return None
    now = func.clock_timestamp()
    if found.cancel_asked:
        values: dict[str, Any] = {"status": "cancelled", "finished_at": now}
    elif found.attempts >= MAX_ATTEMPTS:
        why = {"key": "jobs.attempts", "values": {"attempts": found.attempts}, "status": 500}
        values = {"status": "failed", "finished_at": now, "problem": {"parameter": None, **why}}
    else:
        values = {
            "status": "running",
            "runner": runner,
            "attempts": found.attempts + 1,
            "heartbeat_at": now,
            "progress": None,
            "started_at": now,
        }
    taken = update(JOBS).where(JOBS.c.id == found.id).values(values).returning(JOBS)
    return _job(session.execute(taken).one())


def _gone(session: ReadSession) -> list[str]:
    """Return the runners of open jobs whose process on this machine is no more."""
    names = session.execute(
        select(JOBS.c.runner)
        .where(JOBS.c.status == "running", JOBS.c.runner.startswith(machine(), autoescape=True))
        .distinct()
    ).scalars()
    return [name for name in names if is_gone(name)]


def beat(session: WriteSession, claim: Claim, progress: Mapping[str, Any] | None) -> bool:
    """Show that the worker lives, and how far it is (None: as before).

    Returns
    -------
    Whether a cancel was asked for.

    Raises
    ------
    LostClaimError
        The job is another's by now, or has ended.
    """
    values: dict[str, Any] = {"heartbeat_at": func.clock_timestamp()}
    if progress is not None:
        values["progress"] = dict(progress)
    asked = session.execute(
        update(JOBS).where(_held(claim)).values(values).returning(JOBS.c.cancel_asked)
    ).scalar_one_or_none()
    if asked is None:
        raise LostClaimError
    return bool(asked)


def still_mine(session: WriteSession, claim: Claim) -> bool:
    """Hold the job until this transaction ends; the last thing that a work's transaction does.

    Not the first: heartbeats would wait for its end, and the lease would lapse.

    Returns
    -------
    Whether a cancel was asked for.

    Raises
    ------
    LostClaimError
        Another attempt may be under way: roll back.
    """
    held = select(JOBS.c.cancel_asked).where(_held(claim)).with_for_update()
    asked = session.execute(held).scalar_one_or_none()
    if asked is None:
        raise LostClaimError
    return bool(asked)


def finish(
    session: WriteSession,
    claim: Claim,
    status: str,
    *,
    result: Mapping[str, Any] | None = None,
    problem: Mapping[str, Any] | None = None,
) -> Job:
    """End a job as `done`, `failed` or `cancelled`.

    Raises
    ------
    LostClaimError
        It is no longer this worker's.
    """
    still_mine(session, claim)
    values: dict[str, Any] = {"status": status, "finished_at": func.clock_timestamp()}
    if result is not None:
        values["result"] = dict(result)
    if problem is not None:
        values["problem"] = dict(problem)
    ended = update(JOBS).where(_held(claim)).values(values).returning(JOBS)
    return _job(session.execute(ended).one())


def release(session: WriteSession, claim: Claim, *, costs_attempt: bool) -> None:
    """Put a job back into the queue; one that is no longer this worker's is left alone."""
    attempts = claim.attempt if costs_attempt else claim.attempt - 1
    session.execute(
        update(JOBS)
        .where(_held(claim))
        .values(status="queued", attempts=attempts, heartbeat_at=None, progress=None)
    )


def ask_cancel(session: WriteSession, job_id: int) -> Job:
    """Cancel a job: one that waits at once, one that runs at its worker's next look.

    Raises
    ------
    NotFoundError
        There is no such job.
    ConflictError
        It has ended.
    """
    found = session.execute(select(JOBS).where(JOBS.c.id == job_id).with_for_update()).first()
    if found is None:
        raise NotFoundError("jobs.unknown", parameter="id", value=job_id)
    if found.status not in OPEN:
        raise ConflictError("jobs.ended", parameter="id", value=job_id, status=found.status)
    values: dict[str, Any] = {"cancel_asked": True}
    if found.status == "queued":
        values |= {"status": "cancelled", "finished_at": func.clock_timestamp()}
    return _job(
        session.execute(
            update(JOBS).where(JOBS.c.id == job_id).values(values).returning(JOBS)
        ).one()
    )


def get(session: ReadSession, job_id: int) -> Job:
    """Return a job.

    Raises
    ------
    NotFoundError
        There is no such job.
    """
    row = session.execute(select(JOBS).where(JOBS.c.id == job_id)).first()
    if row is None:
        raise NotFoundError("jobs.unknown", parameter="id", value=job_id)
    return _job(row)


def list_jobs(
    session: ReadSession,
    *,
    kind: str | None = None,
    statuses: Sequence[str] | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Job]:
    """Return jobs, the newest first, below an id."""
    statement = select(JOBS).order_by(JOBS.c.id.desc()).limit(limit)
    if kind is not None:
        statement = statement.where(JOBS.c.kind == kind)
    if statuses is not None:
        statement = statement.where(JOBS.c.status.in_(statuses))
    if before is not None:
        statement = statement.where(JOBS.c.id < before)
    return [_job(row) for row in session.execute(statement)]
