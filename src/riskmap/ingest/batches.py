"""What every reader yields: batches of rows, as the file has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.limits import FileLimits
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.report import Problem

Geometries = NDArray[Any]

BATCH_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows, as the file has them, column by column.

    Parameters
    ----------
    rows
        Number of each data row, from 1.
    columns
        Heading -> cells; without the coordinates of a table.
    geometry
        Shapely geometries in the file's own coordinates, None where a row has none.
    problems
        Rows that could not be read as such.
    position
        How far the file is read: done, of all.
    xy
        Points as numbers, float64 of shape (n, 2), x before y as the file has them: NaN in both
        where a row has none or could not be read. With it, nobody looks at `geometry`, which may
        then be empty. A table of points costs a third so, since no row becomes an object.
    """

    rows: Sequence[int]
    columns: dict[str, list[object]]
    geometry: Geometries
    problems: tuple[Problem, ...] = ()
    position: tuple[int, int] = (0, 0)
    xy: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a reader is told.

    Parameters
    ----------
    crs
        What the caller states. A file that declares another one is refused.
    mapping
        Names the columns that hold a table's coordinates, where they have other names.
    table
        Which table of a GeoPackage or geodatabase, sheet of a workbook; needed where there are
        several.
    encoding
        Encoding of texts; None: as the file says, else UTF-8, else GB 18030.
    workspace
        Folder for what has to be unpacked; the caller removes it. None: nothing may be.
    limits
        How much one file may cost.
    """

    crs: InputCrs
    mapping: FieldMapping = field(default_factory=FieldMapping)
    table: str | None = None
    encoding: str | None = None
    workspace: Path | None = None
    limits: FileLimits = field(default_factory=FileLimits)


class Source(Protocol):
    """An opened file."""

    @property
    def headings(self) -> tuple[str, ...] | None:
        """The headings, or None when only reading to the end tells them (GeoJSON)."""

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file."""

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        """Copy the rows with these numbers (ascending) into a new file of the same format.

        Each gets two more columns, its number and what is wrong with it; returns how many there
        were. The ending of `target` is the original's, or .zip where that was a folder.
        """


def geometries(items: Sequence[object]) -> Geometries:
    """Return shapely geometries and None as one array of objects."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def unreadable(path: Path) -> InputError:
    """Return the error for a file that is not what its ending says, or is damaged."""
    return InputError("ingest.file.unreadable", parameter="file", value=path.name)


def check_declared(declared: str, crs: InputCrs) -> None:
    """Compare what a file declares with what the caller stated.

    Raises
    ------
    InputError
        They differ; the message names both.
    """
    if not crs.is_same_as(declared):
        name = " ".join(declared.split())[:80]
        raise InputError("crs.differs", parameter="crs", value=crs.name, declared=name)
