"""Checks of rows: each batch in, the good rows out, every problem with its row's number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final

import numpy as np

from riskmap.catalog.spec import Layer
from riskmap.crs.input import InputCrs
from riskmap.ingest.batches import Batch
from riskmap.ingest.columns import convert_column
from riskmap.ingest.mapping import ATTRIBUTES, Assignment, Plan
from riskmap.ingest.report import Problem, ProblemLog, shorten
from riskmap.ingest.shapes import Fault, Shapes, check_points, check_shapes
from riskmap.ingest.values import BadValueError, is_null, to_json_text
from riskmap.units import Bbox

GEOMETRY: Final = "geometry"
CODE: Final = "code"
# An index of PostgreSQL takes 2,704 bytes, four for a rare character. A division has 12 digits, a
# grid some more.
LONGEST: Final = {CODE: 200, "admin_code": 40}


@dataclass(frozen=True, slots=True)
class Ready:
    """Checked rows, column by column, as COPY writes them: JSON as text, geometry as EWKB."""

    rows: list[int]
    columns: dict[str, list[Any]]


class Checker:
    """Checks all rows of one file.

    Parameters
    ----------
    box
        The city: what lies outside is refused.
    repair
        Make invalid geometries valid instead of refusing them.
    log
        Where problems go.
    """

    def __init__(
        self,
        layer: Layer,
        plan: Plan,
        crs: InputCrs,
        box: Bbox,
        log: ProblemLog,
        *,
        repair: bool = False,
    ) -> None:
        self._layer = layer
        self._plan = plan
        self._crs = crs
        self._box = box
        self._log = log
        self._repair = repair
        # Code -> the row it came in first; negative: that row is refused already.
        self._codes: dict[str, int] = {}
        self._repeated: dict[int, Problem] = {}

    @property
    def repeated(self) -> list[Problem]:
        """The rows that were passed on before their codes came once more, ascending."""
        return [self._repeated[row] for row in sorted(self._repeated)]

    def check(self, batch: Batch) -> Ready:
        """Return the good rows of a batch; the log has the others.

        Raises
        ------
        InputError
            Two columns mean the same field.
        """
        self._log.rows += len(batch.rows)
        problems = list(batch.problems)
        # A row that could not be read has no cells to judge, and is reported once.
        unread = {problem.row for problem in problems}
        shapes = self._shapes(batch)
        found = self._problems(batch, shapes.faults)
        assignment = self._plan.assign(batch.columns)
        columns = self._fields(batch, assignment, unread, found)
        columns |= self._children(batch, assignment, found)
        attributes = self._attributes(batch, assignment, found)
        if attributes is not None:
            columns[ATTRIBUTES] = attributes
        self._check_lengths(batch, columns, found)
        self._check_codes(batch, columns[CODE], found)
        problems += [problem for problem in found if problem.row not in unread]

        keep: list[int] | None = None
        rows = list(batch.rows)
        raw = shapes.raw
        repaired = shapes.repaired
        if problems:
            rejected = self._log.reject(problems)
            for row, code in zip(batch.rows, columns[CODE], strict=True):
                if row in rejected and self._codes.get(code) == row:
                    self._codes[code] = -row
            keep = [index for index, row in enumerate(rows) if row not in rejected]
            rows = [rows[index] for index in keep]
            columns = {name: [values[i] for i in keep] for name, values in columns.items()}
            raw = raw[keep]
            kept = set(keep)
            repaired = [fault for fault in repaired if fault.index in kept]
        self._log.note(self._problems(batch, repaired))
        columns["geom"] = list(shapes.ewkb(keep))
        for name, numbers in zip(("raw_x", "raw_y"), raw.T, strict=True):
            columns[name] = numbers.tolist()
            if np.isnan(numbers).any():
                columns[name] = [None if n != n else n for n in columns[name]]  # noqa: PLR0124
        return Ready(rows, columns)

    def _shapes(self, batch: Batch) -> Shapes:
        kind = self._layer.geometry
        if batch.xy is not None:
            return check_points(batch.xy, kind, self._crs, self._box)
        return check_shapes(batch.geometry, kind, self._crs, self._box, repair=self._repair)

    @staticmethod
    def _problems(batch: Batch, faults: list[Fault]) -> list[Problem]:
        return [
            Problem(batch.rows[fault.index], fault.key, GEOMETRY, fault.value, fault.values)
            for fault in faults
        ]

    def _fields(
        self, batch: Batch, assignment: Assignment, unread: set[int], problems: list[Problem]
    ) -> dict[str, list[Any]]:
        """Convert the columns that are fields; what is required must be there."""
        count = len(batch.rows)
        columns: dict[str, list[Any]] = {}
        for name, constant in self._plan.constants.items():
            columns[name] = [constant] * count
        for name, heading in assignment.fields.items():
            if name != ATTRIBUTES:
                columns[name] = self._column(batch, name, heading, problems)
        failed = {(problem.row, problem.field) for problem in problems}
        for field in self._layer.fields:
            if not field.required or field.managed:
                continue
            values = columns.setdefault(field.name, [None] * count)
            if None not in values:
                continue
            for row, value in zip(batch.rows, values, strict=True):
                if value is None and row not in unread and (row, field.name) not in failed:
                    problems.append(Problem(row, "ingest.required", field.name))
        return columns

    def _column(self, batch: Batch, name: str, heading: str, problems: list[Problem]) -> list[Any]:
        cells = batch.columns[heading]
        values, failures = convert_column(self._plan.converters[name], cells)
        problems += [
            _problem(batch.rows[index], name, cells[index], error) for index, error in failures
        ]
        return values

    def _children(
        self, batch: Batch, assignment: Assignment, problems: list[Problem]
    ) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {}
        for name, heading in assignment.children.items():
            convert = self._plan.child_converters[name]
            values: list[Any] = []
            for row, raw in zip(batch.rows, batch.columns[heading], strict=True):
                text: str | None = None
                try:
                    found = convert(raw)
                    text = None if found is None else to_json_text(found)
                except BadValueError as error:
                    problems.append(_problem(row, name, raw, error))
                values.append(text)
            columns[name] = values
        return columns

    def _attributes(
        self, batch: Batch, assignment: Assignment, problems: list[Problem]
    ) -> list[Any] | None:
        """Gather what matches no field, by heading.

        Nulls are left out: which headings a batch of GeoJSON has depends on its neighbours, and
        the same feature must give the same attributes wherever it stands.
        """
        own = assignment.fields.get(ATTRIBUTES)
        if own is None and not assignment.rest:
            return None
        found = self._gathered(batch, assignment.rest)
        if own is not None:
            convert = self._plan.converters[ATTRIBUTES]
            for index, raw in enumerate(batch.columns[own]):
                try:
                    value = convert(raw)
                    if not isinstance(value, dict | None):
                        raise BadValueError("ingest.type.json")
                except BadValueError as error:
                    problems.append(_problem(batch.rows[index], ATTRIBUTES, raw, error))
                else:
                    found[index] = (value or {}) | found[index]
        return self._as_json(batch, found, problems)

    @staticmethod
    def _gathered(batch: Batch, headings: tuple[str, ...]) -> list[dict[str, object]]:
        if not headings:
            return [{} for _ in batch.rows]
        there = (_without_blanks(batch.columns[name]) for name in headings)
        return [
            {name: raw for name, raw in zip(headings, cells, strict=True) if raw is not None}
            for cells in zip(*there, strict=True)
        ]

    @staticmethod
    def _as_json(
        batch: Batch, found: list[dict[str, object]], problems: list[Problem]
    ) -> list[Any]:
        texts: list[str | None] = []
        for row, gathered in zip(batch.rows, found, strict=True):
            text: str | None = None
            try:
                text = to_json_text(gathered) if gathered else None
            except BadValueError as error:
                problems.append(_problem(row, ATTRIBUTES, gathered, error))
            texts.append(text)
        return texts

    @staticmethod
    def _check_lengths(
        batch: Batch, columns: dict[str, list[Any]], problems: list[Problem]
    ) -> None:
        """Find texts that are too long for the index they stand in."""
        for name, most in LONGEST.items():
            cells = columns.get(name)
            # The cheap test first: it is one for every cell.
            if cells is None or max(map(len, filter(None, cells)), default=0) <= most:
                continue
            for row, text in zip(batch.rows, cells, strict=True):
                if text is not None and len(text) > most:
                    more = {"most": str(most), "length": str(len(text))}
                    problems.append(Problem(row, "ingest.length", name, shorten(text), more))

    def _check_codes(self, batch: Batch, codes: list[Any], problems: list[Problem]) -> None:
        """Find codes that stand twice in the file: which of the two is right, nobody can know."""
        fresh = dict(zip(codes, batch.rows, strict=True))
        if len(fresh) == len(codes) and None not in fresh and self._codes.keys().isdisjoint(fresh):
            self._codes |= fresh
            return
        here = set(batch.rows)
        for row, code in zip(batch.rows, codes, strict=True):
            if not isinstance(code, str):
                continue
            first = self._codes.setdefault(code, row)
            if first == row:
                continue
            problems.append(_duplicate(row, code, abs(first)))
            if first > 0:
                self._codes[code] = -first
                if first in here:
                    problems.append(_duplicate(first, code, row))
                else:
                    self._repeated[first] = _duplicate(first, code, row)


def _without_blanks(cells: Sequence[object]) -> list[object]:
    """Return a column with None wherever a cell holds nothing, as `is_null` has it."""
    if set(map(type, cells)) <= {str, NoneType}:  # a loop without calls: most columns are text
        return [None if not cell or cell.isspace() else cell for cell in cells]  # type: ignore[attr-defined]
    return [None if is_null(cell) else cell for cell in cells]


def _duplicate(row: int, code: str, other: int) -> Problem:
    return Problem(row, "ingest.duplicate", CODE, shorten(code), {"first": str(other)})


def _problem(row: int, field: str, raw: object, error: BadValueError) -> Problem:
    return Problem(row, error.key, field, shorten(raw), error.values)
