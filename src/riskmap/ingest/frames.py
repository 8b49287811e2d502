"""What the checks hand to the load: rows as COPY's own text, so that nobody converts them twice.

The file is read and checked in a child process that has no database and no network
(`riskmap.ingest.child`); its frames go straight into COPY.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ROW = "riskmap_row"
"""The staging table's first column: the number of the data row in the file, from 1."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the frames that follow, until the next `Columns`; `ROW` is the first."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    r"""Rows in COPY's text format: tabs, newlines, `\\N`, UTF-8, hexadecimal EWKB."""

    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the file is read: done of total, in whatever unit the format can tell."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The last frame: what was read, as `riskmap.ingest.report.ProblemLog` counted it.

    Parameters
    ----------
    problems, notes
        The first of them as JSON; the file of all problems has the rest.
    other_columns
        Headings that are no field of the layer: their values went to `attributes`.
    """

    rows: int
    rejected: int
    repaired: int
    problem_count: int
    problems: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    other_columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Numbers of rows that were sent and are refused after all: their codes came once more."""

    rows: list[int]


Frame = Columns | Rows | Reading | Withdrawn | Summary
