"""Checks of rows: each batch in, the good rows out, every problem with its row's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from riskmap.catalog.spec import Kind, Layer
from riskmap.crs.input import InputCrs
from riskmap.ingest.batches import Batch
from riskmap.ingest.mapping import ATTRIBUTES, Assignment, Plan
from riskmap.ingest.report import Problem, ProblemLog, shorten
from riskmap.ingest.shapes import Fault, check_shapes, to_ewkb
from riskmap.ingest.values import BadValueError, is_null, to_json_text
from riskmap.units import Bbox

GEOMETRY: Final = "geometry"
CODE: Final = "code"


@dataclass(frozen=True, slots=True)
class Ready:
    """Checked rows, column by column, as COPY writes them: JSON as text, geometry as EWKB."""

    rows: list[int]
    columns: dict[str, list[object]]


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
        self._codes: dict[str, int] = {}

    def check(self, batch: Batch) -> Ready:
        """Return the good rows of a batch; the log has the others.

        Raises
        ------
        InputError
            Two columns mean the same field.
        """
        self._log.rows += len(batch.rows)
        problems = list(batch.problems)
        unread = {problem.row for problem in problems}
        # A row that could not be read has no cells to judge, and is reported once.
        shapes = check_shapes(
            batch.geometry, self._layer.geometry, self._crs, self._box, repair=self._repair
        )
        problems += self._problems(batch, shapes.faults, unread)
        assignment = self._plan.assign(batch.columns)
        columns = self._fields(batch, assignment, unread, problems)
        columns |= self._children(batch, assignment, problems)
        attributes = self._attributes(batch, assignment, problems)
        if attributes is not None:
            columns[ATTRIBUTES] = attributes
        self._check_codes(batch, columns[CODE], problems)

        rejected = self._log.reject(problems)
        keep = [index for index, row in enumerate(batch.rows) if row not in rejected]
        kept = set(keep)
        self._log.note(
            self._problems(batch, [f for f in shapes.repaired if f.index in kept], set())
        )
        ready = columns
        if rejected:
            ready = {name: [values[index] for index in keep] for name, values in columns.items()}
        ready["geom"] = list(to_ewkb(shapes.geometry[keep]))
        for name, numbers in zip(("raw_x", "raw_y"), shapes.raw[keep].T, strict=True):
            ready[name] = [None if np.isnan(number) else float(number) for number in numbers]
        return Ready([batch.rows[index] for index in keep], ready)

    @staticmethod
    def _problems(batch: Batch, faults: list[Fault], unread: set[int]) -> list[Problem]:
        return [
            Problem(batch.rows[fault.index], fault.key, GEOMETRY, fault.value, fault.values)
            for fault in faults
            if batch.rows[fault.index] not in unread
        ]

    def _fields(
        self, batch: Batch, assignment: Assignment, unread: set[int], problems: list[Problem]
    ) -> dict[str, list[object]]:
        """Convert the columns that are fields; what is required must be there."""
        count = len(batch.rows)
        columns: dict[str, list[object]] = {}
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
            for row, value in zip(batch.rows, values, strict=True):
                if value is None and row not in unread and (row, field.name) not in failed:
                    problems.append(Problem(row, "ingest.required", field.name))
        return columns

    def _column(
        self, batch: Batch, name: str, heading: str, problems: list[Problem]
    ) -> list[object]:
        convert = self._plan.converters[name]
        as_json = convert.field.kind is Kind.JSON
        values: list[object] = []
        # Levels, dates and names of streets repeat: a text that was good once is good again.
        known: dict[str, object] = {}
        for row, raw in zip(batch.rows, batch.columns[heading], strict=True):
            if type(raw) is str and raw in known:
                values.append(known[raw])
                continue
            value: object = None
            try:
                value = convert(raw)
                if as_json and value is not None:
                    value = to_json_text(value)
            except BadValueError as error:
                problems.append(_problem(row, name, raw, error))
                value = None
            else:
                if type(raw) is str:
                    known[raw] = value
            values.append(value)
        return values

    def _children(
        self, batch: Batch, assignment: Assignment, problems: list[Problem]
    ) -> dict[str, list[object]]:
        columns: dict[str, list[object]] = {}
        for name, heading in assignment.children.items():
            convert = self._plan.child_converters[name]
            values: list[object] = []
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
    ) -> list[object] | None:
        """Gather what matches no field, by heading.

        Nulls are left out: which headings a batch of GeoJSON has depends on its neighbours, and
        the same feature must give the same attributes wherever it stands.
        """
        own = assignment.fields.get(ATTRIBUTES)
        if own is None and not assignment.rest:
            return None
        found: list[dict[str, object]] = [{} for _ in batch.rows]
        if own is not None:
            convert = self._plan.converters[ATTRIBUTES]
            for row, raw, gathered in zip(batch.rows, batch.columns[own], found, strict=True):
                try:
                    value = convert(raw)
                    if not isinstance(value, dict | None):
                        raise BadValueError("ingest.type.json")
                except BadValueError as error:
                    problems.append(_problem(row, ATTRIBUTES, raw, error))
                else:
                    gathered.update(value or {})
        for heading in assignment.rest:
            for gathered, raw in zip(found, batch.columns[heading], strict=True):
                if not is_null(raw):
                    gathered[heading] = raw
        texts: list[object] = []
        for row, gathered in zip(batch.rows, found, strict=True):
            text: str | None = None
            try:
                text = to_json_text(gathered) if gathered else None
            except BadValueError as error:
                problems.append(_problem(row, ATTRIBUTES, gathered, error))
            texts.append(text)
        return texts

    def _check_codes(self, batch: Batch, codes: list[object], problems: list[Problem]) -> None:
        """Find codes that stand twice in the file: which of the two is right, nobody can know."""
        for row, code in zip(batch.rows, codes, strict=True):
            if isinstance(code, str):
                first = self._codes.setdefault(code, row)
                if first != row:
                    problems.append(
                        Problem(row, "ingest.duplicate", CODE, shorten(code), {"first": str(first)})
                    )


def _problem(row: int, field: str, raw: object, error: BadValueError) -> Problem:
    return Problem(row, error.key, field, shorten(raw), error.values)
