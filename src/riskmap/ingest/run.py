"""One import from file to report: readers -> crs -> checks -> load, in one transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from riskmap.catalog.spec import Layer
from riskmap.crs.input import read_crs
from riskmap.db.sessions import Actor, Database, WriteSession
from riskmap.errors import InputError
from riskmap.ingest import store
from riskmap.ingest.batches import ReadOptions, Source
from riskmap.ingest.checks import Checker, Ready
from riskmap.ingest.frames import ROW, Columns, Frame, Rows
from riskmap.ingest.load import Counts, check_mode, load
from riskmap.ingest.mapping import FieldMapping, Plan
from riskmap.ingest.readers import read
from riskmap.ingest.report import (
    KEPT,
    ImportRejectedError,
    ImportReport,
    Problem,
    ProblemLog,
    shorten,
)
from riskmap.ingest.values import BadValueError, storable
from riskmap.units import Bbox

BeforeCommit = Callable[[WriteSession, ImportReport], None]
"""Called with the load's own session as the last thing before it commits."""

Progress = Callable[[str, int, int], None]
"""Called with the stage (read, load), how far it is, and of how much."""

_LONGEST_NAME: Final = 64


class City(Protocol):
    """What an import asks of the city."""

    @property
    def bbox(self) -> Bbox:
        """Its box: what lies outside is refused."""

    @property
    def time_zone(self) -> str:
        """The zone of times that state none, such as `Asia/Shanghai`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How to import a file.

    Parameters
    ----------
    crs
        `EPSG:n`; None is refused: nothing is guessed.
    axes
        Which axis the first coordinate is: `en` (east first, the usual) or `ne` (north first, as
        Chinese survey tables write x and y).
    datum_shift
        Parameters of PROJ's towgs84 (3 or 7 numbers), which Beijing 1954 and Xian 1980 need.
    table
        Which table of a GeoPackage or geodatabase, sheet of a workbook.
    encoding
        Encoding of the file's texts; None: as it says itself, else UTF-8, else GB 18030.
    source_system
        Who the rows are from; the same code from another source is another feature.
    mode
        `upsert`: by (source_system, code). `replace`: the same, and what the file no longer has
        is deleted. `append`: a row whose code is stored already is refused.
    repair
        Make invalid geometries valid instead of refusing their rows.
    max_bad_share
        Share of rows that may be refused while the others go in, 0 to 1. 0: all or nothing.
    dry_run
        Check and count, write nothing.
    """

    crs: str | None
    axes: str = "en"
    datum_shift: tuple[float, ...] = ()
    mapping: FieldMapping = field(default_factory=FieldMapping)
    table: str | None = None
    encoding: str | None = None
    source_system: str = "local"
    mode: str = "upsert"
    repair: bool = False
    max_bad_share: float = 0.0
    dry_run: bool = False


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
    before_commit: BeforeCommit | None = None,
) -> ImportReport:
    """Import a file into a layer, as a whole or (up to the stated share) without its bad rows.

    Raises
    ------
    InputError
        The file, the CRS, the mapping or an option is wrong as a whole.
    ImportRejectedError
        Too many rows are wrong; it carries the report, and nothing was loaded.
    UnavailableError
        The database is away.
    """
    del work_dir  # NAME=pipeline
    told = progress or (lambda stage, done, total: None)

    def watched(stage: str, done: int, total: int) -> None:
        if cancelled is not None and cancelled():
            raise InputError("jobs.ended", parameter="file", value=path.name, status="cancelled")
        told(stage, done, total)

    run = _Run(city, layer, path, options, watched)
    # An import that was asked for before is its asker's to settle, where it came to nothing.
    asked = import_id is not None
    try:
        with database.write(actor, timeout_s=0) as session:
            if import_id is None and not options.dry_run:
                import_id = store.begin_import(session, run.entry(), actor)
            if import_id is not None:
                session.belongs_to_import(import_id)
            counts = run.load(session)
            report = run.report(counts, import_id)
            if import_id is not None:
                store.finish_import(session, import_id, report.to_json(), counts.inserted_ids)
            if before_commit is not None:
                before_commit(session, report)
    except ImportRejectedError as error:
        if import_id is not None and not asked:
            # Its number is gone with the transaction that began it.
            number = store.record_outcome(
                database, actor, status="rejected", report=error.report, entry=run.entry()
            )
            raise ImportRejectedError(replace(error.report, import_id=number)) from None
        raise
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

    Several files can go in as one: all of them, or none.
    """
    run = _Run(city, layer, path, options, progress)
    return run.report(run.load(session))


class _Run:
    """The state of one import while its rows stream by."""

    def __init__(
        self,
        city: City,
        layer: Layer,
        path: Path,
        options: ImportOptions,
        progress: Progress | None,
    ) -> None:
        share = options.max_bad_share
        if not (math.isfinite(share) and 0 <= share <= 1):
            raise InputError("ingest.share", parameter="max_bad_share", value=str(share))
        check_mode(options.mode, share)
        self.source_system = _source_system(options.source_system)
        self.crs = read_crs(options.crs)
        self._layer = layer
        self._path = path
        self._options = options
        self._progress = progress or (lambda stage, done, total: None)
        self._plan = Plan(layer, options.mapping, ZoneInfo(city.time_zone))
        self._source: Source = read(
            path, ReadOptions(crs=self.crs, mapping=options.mapping, table=options.table)
        )
        if self._source.headings is not None:
            self._plan.require(self._source.headings)
        self._log = ProblemLog()
        self._checker = Checker(
            layer, self._plan, self.crs, city.bbox, self._log, repair=options.repair
        )

    def load(self, session: WriteSession) -> Counts:
        """Read, check and write the file in the session's transaction."""
        return load(
            session,
            self._layer,
            self.frames(),
            source_system=self.source_system,
            source_crs=self.crs.name,
            mode=self._options.mode,
            dry_run=self._options.dry_run,
            refuse=self._refuse,
            note=self._note,
        )

    def entry(self) -> store.Entry:
        """Return what is known of the import before it runs."""
        return store.Entry(
            layer=self._layer.id,
            file=self._path.name,
            crs=self.crs.name,
            source_system=self.source_system,
            mode=self._options.mode,
        )

    def _refuse(self, problems: Iterator[Problem]) -> None:
        self._log.reject(list(problems))
        self._judge()

    def _note(self, notes: Iterator[Problem]) -> None:
        self._log.notes += islice(notes, max(0, KEPT - len(self._log.notes)))

    def _judge(self) -> None:
        if self._log.rejected > self._options.max_bad_share * self._log.rows:
            raise ImportRejectedError(self.report(Counts()))

    def frames(self) -> Iterator[Frame]:
        """Yield the rows as COPY's text."""
        for ready in self.ready():
            if ready.rows:
                yield Columns((ROW, *ready.columns))
                lines = zip(ready.rows, *ready.columns.values(), strict=True)
                yield Rows("".join(map(_line, lines)).encode(), len(ready.rows))

    def ready(self) -> Iterator[Ready]:
        """Yield checked rows; at the end, judge the file as a whole.

        The judgement stands inside the transaction: it ends the load before anything is visible.
        """
        seen: set[str] = set(self._source.headings or ())
        for batch in self._source.batches():
            seen |= batch.columns.keys()
            rows = self._checker.check(batch)
            self._progress("read", *batch.position)
            # After a bad row of an all-or-nothing import the rest is only checked, not copied.
            if not (self._log.rejected and self._options.max_bad_share == 0):
                yield rows
        if self._log.rows == 0:
            raise InputError("ingest.file.no_rows", parameter="file", value=self._path.name)
        self._plan.require(sorted(seen))
        self._judge()
        self._progress("load", 0, self._log.rows)

    def report(self, counts: Counts, import_id: int | None = None) -> ImportReport:
        """Return the report of what has happened so far."""
        log = self._log
        return ImportReport(
            layer=self._layer.id,
            file=self._path.name,
            crs=self.crs.name,
            source_system=self.source_system,
            dry_run=self._options.dry_run,
            import_id=import_id,
            rows=log.rows,
            inserted=counts.inserted,
            updated=counts.updated,
            unchanged=counts.unchanged,
            deleted=counts.deleted,
            duplicates=counts.duplicates,
            admin_filled=counts.admin_filled,
            admin_mismatched=counts.admin_mismatched,
            repaired=log.repaired,
            rejected=log.rejected,
            problem_count=log.count,
            problems=tuple(log.problems),
            notes=tuple(log.notes),
        )


def _source_system(name: str) -> str:
    try:
        storable(name)
    except BadValueError:
        name = ""
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise InputError("ingest.source_system", parameter="source_system", value=shorten(name))
    return name.strip()


_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _line(cells: tuple[object, ...]) -> str:
    return "\t".join(map(_cell, cells)) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, list):
        quoted = (str(one).replace("\\", "\\\\").replace('"', '\\"') for one in value)
        value = "{" + ",".join(f'"{one}"' for one in quoted) + "}"
    return (value.hex() if isinstance(value, bytes) else str(value)).translate(_ESCAPES)
