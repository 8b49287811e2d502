"""A process that runs by itself, as a job: its result and its end are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from riskmap.analysis import process_store as store
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.db.sessions import WriteSession
from riskmap.jobs.runner import Handle
from riskmap.jobs.store import Job, JobCancelledError

KIND = store.KIND

Execute = Callable[[AnalysisService, str, Mapping[str, Any], Stopwatch], bytes]


@dataclass(slots=True)
class Watched(Stopwatch):
    """A stopwatch that tells each stage, and stops where somebody wants it to."""

    handle: Handle = field(kw_only=True)
    stages: int = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell a stage and measure it.

        Raises
        ------
        JobCancelledError
            The job is to stop.
        """
        self.look(name)
        # Not super(): a dataclass with slots is another class than the one written here.
        with Stopwatch.stage(self, name):
            yield
        self.look(name)

    def look(self, name: str) -> None:
        """Say how far it is; how many stages there will be, nobody knows."""
        self.stages += 1
        self.handle.progress(name, self.stages, 0)
        if self.handle.cancelled():
            raise JobCancelledError


class ProcessKind:
    """How jobs of the kind process are run.

    Parameters
    ----------
    execute
        Runs a process by its name: they are known where requests are read.
    """

    def __init__(self, service: AnalysisService, execute: Execute) -> None:
        self._service, self._execute = service, execute

    def run(self, parameters: Mapping[str, Any], handle: Handle) -> Mapping[str, Any]:
        """Run a process and store what it gives, or nothing."""
        database, job = self._service.ground.database, str(parameters["job"])
        with database.read() as session:
            row = store.get_job(session, job)
        found = self._execute(self._service, row.process, row.inputs, Watched(handle=handle))
        packed = store.packed(found)
        with database.write(handle.actor, timeout_s=0) as session:
            store.write_result(session, job, packed)
            handle.finish(session, {"job": job, "bytes": len(found)})
        return {}

    def ended(self, session: WriteSession, job: Job) -> None:
        """Nothing but the job itself tells how it ended."""

    def clean(self, job: Job) -> None:
        """Nothing lies beside the rows."""

    def prepare(self) -> None:
        """Remove what was kept long enough."""
        with self._service.ground.database.write_for_jobs(store.SWEEPER) as session:
            store.sweep(session)
