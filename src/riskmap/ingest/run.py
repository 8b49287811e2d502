"""One import from file to report: readers -> crs -> checks -> load, in one transaction.

The file is read and checked in a process of its own (`riskmap.ingest.process`), whose frames go
into COPY while it reads on. Files that we made ourselves are read in this one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Final, Protocol

from riskmap.catalog.spec import Layer
from riskmap.db.sessions import Actor, Database, WriteSession
from riskmap.errors import InputError, RiskmapError
from riskmap.ingest import store
from riskmap.ingest.frames import Frame, Reading, Summary
from riskmap.ingest.load import Counts, check_mode, load
from riskmap.ingest.options import ImportOptions
from riskmap.ingest.process import ReaderProcess, check_size, files_of
from riskmap.ingest.reading import add_problems, crs_of, read_frames
from riskmap.ingest.report import (
    KEPT,
    ImportCancelledError,
    ImportRejectedError,
    ImportReport,
    Problem,
    shorten,
)
from riskmap.ingest.request import Limits, Request
from riskmap.ingest.values import BadValueError, storable
from riskmap.units import Bbox

__all__ = (
    "City",
    "ImportCancelledError",
    "ImportOptions",
    "ImportRejectedError",
    "ImportReport",
    "Limits",
    "Progress",
    "import_file",
    "import_within",
)

Progress = Callable[[str, int, int], None]
"""Called with the stage (read, load), how far it is, and of how much."""

BeforeCommit = Callable[[WriteSession, ImportReport], None]

_LOG: Final = logging.getLogger(__name__)
_LONGEST_NAME: Final = 64


class City(Protocol):
    """What an import asks of the city."""

    @property
    def bbox(self) -> Bbox:
        """Its box: what lies outside is refused."""

    @property
    def time_zone(self) -> str:
        """The zone of times that state none, such as `Asia/Shanghai`."""


def import_file(
    database: Database,
    city: City,
    layer: Layer,
    path: Path,
    options: ImportOptions,
    *,
    actor: Actor,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    import_id: int | None = None,
    work_dir: Path | None = None,
    limits: Limits | None = None,
    before_commit: BeforeCommit | None = None,
) -> ImportReport:
    """Import a file into a layer, as a whole or (up to the stated share) without its bad rows.

    Parameters
    ----------
    cancelled
        Asked now and then, from this thread; once it says True the import ends and writes nothing.
    import_id
        Row of an import that was queued; None: it gets one of its own, unless it is a dry run.
        History and audit name it with every change.
    work_dir
        Where `problems.jsonl`, with every problem, and `rejected.<ending>`, the refused rows with
        their reasons, are left. None: nowhere.
    limits
        Memory, time and size; None: the settings' defaults.
    before_commit
        Called last in the transaction that loads the rows, or in the one that notes that they
        were refused (`report.refused`): what it writes is true exactly if that is.

    Raises
    ------
    InputError
        The file, the CRS, the mapping or an option is wrong as a whole, or the file asks for more
        than the limits.
    ImportRejectedError
        Too many rows are wrong; it carries the report, and nothing was loaded.
    ImportCancelledError
        `cancelled` said so.
    UnavailableError
        The database is away.
    """
    limits = limits or Limits()
    stop = cancelled or (lambda: False)
    with ExitStack() as stack:
        folder = work_dir
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riskmap-")))
        request = Request(
            path=path,
            layer=layer,
            options=options,
            box=city.bbox,
            zone=city.time_zone,
            work_dir=folder.absolute(),
            limits=limits,
            parent=os.getpid(),
        )
        run = _Run(request, progress, stop)

        def keep_rejected() -> None:
            if work_dir is not None and run.rejected:
                _copy_rejected(request, stop)

        check_size(path, limits.max_mb)
        try:
            with ReaderProcess(request, cancelled=stop) as reader:
                frames = _begun(reader.frames())
                with database.write(actor, timeout_s=0) as session:
                    report = run.enter(session, frames, actor, import_id)
                    if stop():
                        raise ImportCancelledError
                    if before_commit is not None:
                        before_commit(session, report)
        except ImportRejectedError as error:
            # First: whoever reads that it was rejected may ask for its rows at once.
            keep_rejected()
            if options.dry_run and import_id is None:
                raise  # it has no row if all is well, either
            refused = error.report
            # The row of an import that began in the transaction went with it.
            number = store.record_outcome(
                database,
                actor,
                status="rejected",
                report=refused,
                entry=run.entry(),
                import_id=import_id,
                before_commit=before_commit and (lambda session: before_commit(session, refused)),
            )
            raise ImportRejectedError(replace(refused, import_id=number)) from None
        keep_rejected()
        return report


def import_within(
    session: WriteSession,
    city: City,
    layer: Layer,
    path: Path,
    options: ImportOptions,
    *,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a file as `import_file` does, within a transaction that the caller ends.

    Several files can go in as one: all of them, or none. The file is one of our own: it is read
    in this process.
    """
    request = Request(path=path, layer=layer, options=options, box=city.bbox, zone=city.time_zone)
    run = _Run(request, progress)
    return run.report(run.load(session, _begun(read_frames(request))))


def _begun(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Wait for the first frame, so that a file that cannot be opened begins no transaction."""
    return chain([next(frames)], frames)


def _copy_rejected(request: Request, stop: Callable[[], bool]) -> None:
    """Leave the refused rows in the work folder; the outcome of the import does not hang on it."""
    try:
        with ReaderProcess(replace(request, task="rejects"), cancelled=stop) as reader:
            reader.done()
    except RiskmapError as error:
        _LOG.warning("the rejected rows of %s: %s", request.path.name, error.text("en"))


class _Run:
    """The state of one import while its rows stream by."""

    def __init__(
        self,
        request: Request,
        progress: Progress | None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        request.options.check_share()
        options = request.options
        check_mode(options.mode, options.max_bad_share, options.source_system)
        self._source_system = _source_system(request.options.source_system)
        self._crs = crs_of(request).name
        self._request = request
        self._stop = stop
        self._progress = progress or (lambda stage, done, total: None)
        self._summary = Summary(0, 0, 0, 0)
        self._mismatches: list[Problem] = []
        self._sha256: str | None = None

    @property
    def rejected(self) -> int:
        """How many rows were refused, as far as the file was read to its end."""
        return self._summary.rejected

    def entry(self) -> store.Entry:
        """Return what the list of imports says of this one."""
        options = self._request.options
        return store.Entry(
            layer=self._request.layer.id,
            file=self._request.path.name,
            crs=self._crs,
            source_system=self._source_system,
            mode=options.mode,
            sha256=self._sha256,
            options={
                "axes": options.axes,
                "repair": options.repair,
                "max_bad_share": options.max_bad_share,
            },
        )

    def enter(
        self, session: WriteSession, frames: Iterator[Frame], actor: Actor, import_id: int | None
    ) -> ImportReport:
        """Write the rows, and in the same transaction that it is done."""
        if import_id is None and not self._request.options.dry_run:
            import_id = store.begin_import(session, self.entry(), actor)
        if import_id is None:
            return self.report(self.load(session, frames))
        session.belongs_to_import(import_id)
        counts = self.load(session, frames)
        report = replace(self.report(counts), import_id=import_id)
        store.finish_import(
            session, import_id, report.to_json(), counts.inserted_ids, sha256=self._sha256
        )
        return report

    def load(self, session: WriteSession, frames: Iterator[Frame]) -> Counts:
        """Write the rows in the session's transaction."""
        return load(
            session,
            self._request.layer,
            self._judged(frames),
            source_system=self._source_system,
            source_crs=self._crs,
            mode=self._request.options.mode,
            dry_run=self._request.options.dry_run,
            refuse=self._refuse,
            note=self._note,
            cancelled=self._stop,
        )

    def _refuse(self, problems: Iterator[Problem]) -> None:
        """Count rows whose code is stored already with the bad ones, and judge once more."""
        found, folder = self._summary, self._request.work_dir
        told = list(map(Problem.from_plain, found.problems))
        kept: list[Problem] = []
        count = 0

        def counted() -> Iterator[Problem]:
            nonlocal count
            for problem in problems:
                count += 1
                if len(kept) < KEPT:
                    kept.append(problem)
                yield problem

        if folder is None:
            deque(counted(), maxlen=0)
        else:
            add_problems(folder, counted())
        first = sorted([*told, *kept], key=lambda problem: problem.row)[:KEPT]
        self._summary = replace(
            found,
            rejected=found.rejected + count,
            problem_count=found.problem_count + count,
            problems=[problem.to_plain() for problem in first],
        )
        self._judge()

    def _note(self, notes: Iterator[Problem]) -> None:
        self._mismatches = list(islice(notes, KEPT))

    def _judge(self) -> None:
        found = self._summary
        if found.rejected > self._request.options.max_bad_share * found.rows:
            raise ImportRejectedError(replace(self.report(Counts()), refused=True))

    def _judged(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass the frames on; at the end, judge the file as a whole.

        The judgement stands inside the transaction: it ends the load before anything is visible.
        """
        for frame in frames:
            if isinstance(frame, Reading):
                if frame.total:
                    self._progress("read", frame.done, frame.total)
                continue
            if isinstance(frame, Summary):
                self._summary = frame
                self._sha256 = digest(self._request.path)
                self._judge()
                self._progress("load", 0, frame.rows)
            yield frame

    def report(self, counts: Counts) -> ImportReport:
        """Return the report of what has happened so far."""
        found = self._summary
        return ImportReport(
            layer=self._request.layer.id,
            file=self._request.path.name,
            crs=self._crs,
            source_system=self._source_system,
            dry_run=self._request.options.dry_run,
            rows=found.rows,
            inserted=counts.inserted,
            updated=counts.updated,
            unchanged=counts.unchanged,
            deleted=counts.deleted,
            duplicates=counts.duplicates,
            admin_filled=counts.admin_filled,
            admin_mismatched=counts.admin_mismatched,
            repaired=found.repaired,
            rejected=found.rejected,
            problem_count=found.problem_count,
            problems=tuple(map(Problem.from_plain, found.problems)),
            notes=(*map(Problem.from_plain, found.notes), *self._mismatches),
            sha256=self._sha256,
            other_columns=tuple(found.other_columns),
            max_bad_share=self._request.options.max_bad_share,
        )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder one after another by name."""
    total = hashlib.sha256()
    for file in files_of(path):
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                total.update(chunk)
    return total.hexdigest()


def _source_system(name: str) -> str:
    try:
        storable(name)
    except BadValueError:
        name = ""
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise InputError("ingest.source_system", parameter="source_system", value=shorten(name))
    return name.strip()
