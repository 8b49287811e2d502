"""The worker: a thread of each service process that runs jobs, one at a time.

It asks the queue every second, and is woken at once by a job that its own process queued. While a
job runs, a second thread shows that the worker lives and how far the work is, on a connection of
its own: the work's transaction may last for minutes. The queue is spoken with over a pool of its
own, so that a service that is busy does not look dead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from riskmap.db.jsonb import storable
from riskmap.db.sessions import Actor, Database, WriteSession
from riskmap.errors import RiskmapError, UnavailableError
from riskmap.jobs import store
from riskmap.jobs.identity import new_name
from riskmap.jobs.store import Claim, Job, JobCancelledError, LostClaimError

log = logging.getLogger("riskmap")

POLL_S: Final = 1.0
BEAT_S: Final = 1.0
# How often progress is written at most: nobody reads faster.
PROGRESS_S: Final = 0.3
# The longest pause between two looks at a database that does not answer.
MAX_PAUSE_S: Final = 15.0
# uvicorn gives open requests 10 s; the work is stopped at its next check, mostly within one.
STOP_S: Final = 20.0


class Handle:
    """What a handler is given to speak with the queue."""

    def __init__(self, database: Database, job: Job, stopping: threading.Event) -> None:
        self.job = job
        self.finished = False
        self.cancel_asked = False
        self.lost = False
        self.stopping = stopping
        self._database = database
        self._progress: dict[str, Any] | None = None
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="riskmap-beat", daemon=True)

    @property
    def claim(self) -> Claim:
        """The hold of this attempt on the job, for `riskmap.jobs.store.still_mine`."""
        return self.job.claim

    @property
    def actor(self) -> Actor:
        """Who asked for the work, for audit and history."""
        return Actor(self.job.actor, self.job.request_id)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far the work is; cheap, however often it is called."""
        self._progress = {"stage": stage, "done": int(done), "total": int(total)}
        self._news.set()

    def cancelled(self) -> bool:
        """Say whether to stop now: a cancel, the service's end, or the job is another's by now.

        A handler that sees it raises whatever it likes and commits nothing.
        """
        return self.cancel_asked or self.lost or self.stopping.is_set()

    def finish(self, session: WriteSession, result: Mapping[str, Any]) -> None:
        """End the job as done in the work's own transaction, as the last thing it does.

        So work and `done` are true together, whenever the process ends. A handler that has no
        transaction of its own returns its result instead.

        Raises
        ------
        LostClaimError
            The job is no longer this worker's: the transaction must roll back.
        JobCancelledError
            A cancel was answered with yes: it must roll back, too.
        """
        if store.still_mine(session, self.claim):
            self.cancel_asked = True
            raise JobCancelledError
        store.finish(session, self.claim, "done", result=result)
        self.finished = True

    def start(self) -> None:
        """Begin to show life."""
        self._thread.start()

    def close(self) -> None:
        """Stop showing life."""
        self._over.set()
        self._news.set()
        self._thread.join()

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._over.is_set():
            self._news.wait(BEAT_S)
            # The pause makes the rate; what is said meanwhile replaces what was said before.
            self._over.wait(max(0.0, PROGRESS_S - (time.monotonic() - last)))
            self._news.clear()
            last = time.monotonic()
            if self._over.is_set():
                return
            try:
                with self._database.write_for_jobs(self.actor) as session:
                    asked = store.beat(session, self.claim, self._progress)
            except LostClaimError:
                # Or the work's own transaction has just ended the job.
                self.lost = not self.finished
                return
            except UnavailableError as error:
                log.warning("job %d: no heartbeat: %s", self.job.id, error.text("en"))
                continue
            except Exception:
                # Whatever it is: a heartbeat must not end the work that it only speaks for. It is
                # logged; while none comes through, the lease runs out and another may take over.
                log.exception("job %d: no heartbeat", self.job.id)
                continue
            self.cancel_asked = self.cancel_asked or asked


class Kind(Protocol):
    """How jobs of one kind are run."""

    def run(self, parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        """Do the work; return the result, or what `handle.finish` has stored already.

        It may run more than once (a worker may die at any point): work that changes data calls
        `handle.finish` in the transaction that changes them.
        """

    def ended(self, session: WriteSession, job: Job) -> None:
        """Write down elsewhere that a job failed or was cancelled, in the same transaction."""

    def clean(self, job: Job) -> None:
        """Remove what only the work needed: the job has ended for good, however it did."""

    def prepare(self) -> None:
        """Put things in order at the start of a worker, once the database answers."""


class Runner:
    """A worker.

    Parameters
    ----------
    kinds
        What it can run.
    place
        Says the place whose files it has (`riskmap.jobs.store.HOST`); asked once it runs.
    """

    def __init__(
        self, database: Database, kinds: Mapping[str, Kind], place: Callable[[], str]
    ) -> None:
        self.name = new_name()
        self._place = place
        self._database = database
        self._kinds = dict(kinds)
        self._actor = Actor("jobs")
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, name="riskmap-jobs", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._awake.set()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Stop the thread: a job that runs goes back into the queue, which costs no attempt."""
        self._stopping.set()
        self._awake.set()
        if self._thread is None:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("a job did not stop; another worker takes it when its lease is over")

    def _loop(self) -> None:
        pause, prepared = POLL_S, False
        while not self._stopping.is_set():
            try:
                if not prepared:
                    for kind in self._kinds.values():
                        kind.prepare()
                    prepared = True
                job = self._claim()
            except Exception as error:  # noqa: BLE001 - a worker that ends would not be missed
                # The database is away, or not migrated yet. /readyz says so, too.
                log.warning("jobs wait: %s", error)
                self._stopping.wait(pause)
                pause = min(2 * pause, MAX_PAUSE_S)
                continue
            pause = POLL_S
            if job is None:
                self._awake.wait(POLL_S)
                self._awake.clear()
            elif job.status == "running":
                self._work(job)
            else:
                self._clean(job)

    def _claim(self) -> Job | None:
        with self._database.write_for_jobs(self._actor) as session:
            job = store.claim(session, self.name, list(self._kinds), self._place())
            if job is not None and job.status != "running":
                self._kinds[job.kind].ended(session, job)
            return job

    def _work(self, job: Job) -> None:
        handle = Handle(self._database, job, self._stopping)
        handle.start()
        result: Mapping[str, Any] = {}
        error: Exception | None = None
        try:
            result = self._kinds[job.kind].run(job.parameters, handle)
        except Exception as raised:  # noqa: BLE001 - judged below
            error = raised
        finally:
            handle.close()
        if error is None and handle.finished:
            self._clean(job)
            return
        self._settle(handle, error, result)

    def _settle(self, handle: Handle, error: Exception | None, result: Mapping[str, Any]) -> None:
        """Write down how an attempt ended, as soon as the database answers."""
        ended = pause = None
        faulty = False
        expected = RiskmapError | LostClaimError | JobCancelledError
        if error is not None and not isinstance(error, expected):
            log.error("job %d failed", handle.job.id, exc_info=error)
        while True:
            try:
                with self._database.write_for_jobs(self._actor) as session:
                    ended = self._write_end(session, handle, error, result)
                break
            except LostClaimError:
                log.warning("job %d is another worker's by now", handle.job.id)
                return
            except UnavailableError as away:
                log.warning("job %d: its end is not written yet: %s", handle.job.id, away)
                pause = min(2 * (pause or POLL_S), MAX_PAUSE_S)
                # A service that ends does not wait for its database: the lease runs out.
                if self._stopping.wait(pause):
                    return
            except Exception as fault:
                # Not to be stored as it is: then as a fault of ours, and without a result.
                log.exception("job %d: its end could not be written", handle.job.id)
                if faulty:
                    return
                faulty, error = True, fault
        if ended is not None:
            self._clean(ended)

    def _write_end(
        self,
        session: WriteSession,
        handle: Handle,
        error: Exception | None,
        result: Mapping[str, Any],
    ) -> Job | None:
        job, claim = handle.job, handle.claim
        if error is None:
            return store.finish(session, claim, "done", result=result)
        if isinstance(error, LostClaimError) or handle.lost:
            raise LostClaimError
        if handle.cancel_asked:
            ended = store.finish(session, claim, "cancelled")
        elif handle.stopping.is_set():
            store.release(session, claim, costs_attempt=False)
            return None
        elif isinstance(error, UnavailableError) and job.attempts < store.MAX_ATTEMPTS:
            # It costs an attempt: a file may be what brings the database down.
            store.release(session, claim, costs_attempt=True)
            return None
        else:
            ended = store.finish(session, claim, "failed", problem=describe(error, job))
        self._kinds[job.kind].ended(session, ended)
        return ended

    def _clean(self, job: Job) -> None:
        try:
            self._kinds[job.kind].clean(job)
        except OSError:
            log.exception("job %d left files behind", job.id)


def describe(error: Exception, job: Job) -> dict[str, Any]:
    """Return an error as JSON; of a fault of ours no more than the job that the log names."""
    if not isinstance(error, RiskmapError):
        error = RiskmapError("jobs.fault", job=job.id)
    return {
        "key": error.key,
        "parameter": error.parameter,
        "values": storable(error.values),
        "status": error.status,
    }
