"""From a file to frames: what runs in the process that reads, and in ours for files we trust."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

import orjson

from riskmap.crs.input import InputCrs, read_crs
from riskmap.errors import InputError
from riskmap.i18n import Lang
from riskmap.ingest.batches import ReadOptions, Source
from riskmap.ingest.checks import Checker
from riskmap.ingest.encode import RowEncoder
from riskmap.ingest.frames import Frame, Reading, Summary, Withdrawn
from riskmap.ingest.mapping import Plan
from riskmap.ingest.readers import read
from riskmap.ingest.report import KEPT, Problem, ProblemLog
from riskmap.ingest.request import Request

PROBLEMS: Final = "problems.jsonl"
REJECTED: Final = "rejected"
# Numbers of one frame: ten digits and a comma each, far below what a frame may have.
_WITHDRAWN_ROWS: Final = 50_000
WORKSPACE: Final = "workspace"
_ZH: Final[Lang] = "zh"
_EN: Final[Lang] = "en"


@runtime_checkable
class CopiesRows(Protocol):
    """A source that can copy some of its rows."""

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the rows of these numbers into a file of the same format, each with its reason."""


def crs_of(request: Request) -> InputCrs:
    """Return the coordinate system that the options state.

    Raises
    ------
    InputError
        There is none, or it is refused.
    """
    options = request.options
    return read_crs(options.crs, axes=options.axes, datum_shift=options.datum_shift)


def read_frames(request: Request) -> Iterator[Frame]:
    """Read and check a file: a `Reading` as soon as it is open, rows, at the end the `Summary`.

    After a bad row in an import that takes all rows or none the rest is checked and not sent.
    With a work folder, the file `PROBLEMS` there gets every problem.

    Raises
    ------
    InputError
        The file, the CRS or the mapping is wrong as a whole, or the file has no row.
    """
    options = request.options
    crs = crs_of(request)
    plan = Plan(request.layer, options.mapping, ZoneInfo(request.zone))
    source = _opened(request, crs)
    headings = source.headings
    if headings is not None:
        plan.require(headings)
    yield Reading(0, 0)
    with ExitStack() as stack:
        file = None
        if request.work_dir is not None:
            file = stack.enter_context((request.work_dir / PROBLEMS).open("wb"))
        labels = {field.name: field.zh for field in request.layer.fields}
        log = ProblemLog(file=file, labels=labels)
        checker = Checker(request.layer, plan, crs, request.box, log, repair=options.repair)
        encoder = RowEncoder(request.layer)
        seen: set[str] = set(headings or ())
        others: dict[str, None] = {}
        for batch in source.batches():
            seen |= batch.columns.keys()
            others |= dict.fromkeys(plan.assign(batch.columns).rest)
            ready = checker.check(batch)
            if not (log.rejected and options.max_bad_share == 0):
                yield from encoder.frames(ready)
            yield Reading(*batch.position)
    if log.rows == 0:
        raise InputError("ingest.file.no_rows", parameter="file", value=request.path.name)
    plan.require(sorted(seen))
    repeated = checker.repeated
    log.add_earlier(repeated)
    if request.work_dir is not None and repeated:
        add_problems(request.work_dir, iter(repeated))
    for start in range(0, len(repeated), _WITHDRAWN_ROWS):
        yield Withdrawn([problem.row for problem in repeated[start : start + _WITHDRAWN_ROWS]])
    yield Summary(
        rows=log.rows,
        rejected=log.rejected,
        repaired=log.repaired,
        problem_count=log.count,
        problems=[problem.to_plain() for problem in log.problems],
        notes=[note.to_plain() for note in log.notes],
        # A file of objects may use their keys as values: thousands of them tell nobody anything.
        other_columns=list(others)[:KEPT],
    )


def _opened(request: Request, crs: InputCrs) -> Source:
    options = request.options
    workspace = None
    if request.work_dir is not None:
        workspace = request.work_dir / WORKSPACE
        workspace.mkdir(exist_ok=True)
    told = ReadOptions(
        crs=crs,
        mapping=options.mapping,
        table=options.table,
        encoding=options.encoding,
        workspace=workspace,
    )
    return read(request.path, told)


def write_rejects(request: Request) -> Path | None:
    """Copy the refused rows, each with its reasons, into `REJECTED` of the work folder.

    Returns the file, or None where the format cannot be written.

    Raises
    ------
    InputError
        The file cannot be read any more.
    """
    if request.work_dir is None:
        return None
    source = _opened(request, crs_of(request))
    if not isinstance(source, CopiesRows):
        return None
    target = request.work_dir / (REJECTED + (request.path.suffix.lower() or ".zip"))
    source.write_rejected(target, reasons(request.work_dir / PROBLEMS))
    return target if os.path.lexists(target) else None


def add_problems(folder: Path, more: Iterator[Problem]) -> None:
    """Merge problems that were found later, ascending by row, into the file of all problems."""
    file, merged = folder / PROBLEMS, folder / f"{PROBLEMS}.merged"
    with ExitStack() as stack:
        found: Iterator[Problem] = iter(())
        if file.exists():
            lines = stack.enter_context(file.open("rb"))
            found = (Problem.from_plain(orjson.loads(line)) for line in lines)
        target = stack.enter_context(merged.open("wb"))
        for problem in heapq.merge(found, more, key=lambda problem: problem.row):
            target.write(orjson.dumps(problem.to_plain(), option=orjson.OPT_APPEND_NEWLINE))
    merged.replace(file)


def reasons(problems: Path) -> Iterator[tuple[int, str]]:
    """Yield each refused row's number and all that is wrong with it, in both languages."""
    with problems.open("rb") as file:
        found = (Problem.from_plain(orjson.loads(line)) for line in file)
        for row, group in groupby(found, key=lambda problem: problem.row):
            told = list(group)
            zh = "；".join(dict.fromkeys(problem.text(_ZH) for problem in told))
            en = "; ".join(dict.fromkeys(problem.text(_EN) for problem in told))
            yield row, f"{zh} / {en}"
