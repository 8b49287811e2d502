"""What tables of text and of spreadsheets share: from columns of cells to a batch."""

from __future__ import annotations

from collections.abc import Sequence

from riskmap.crs.input import InputCrs
from riskmap.ingest.batches import Batch, Geometries
from riskmap.ingest.coordinates import from_wkt, points
from riskmap.ingest.headings import Heading
from riskmap.ingest.report import Problem

NO_CELLS = "ingest.row.cells"


def table_batch(
    heading: Heading,
    crs: InputCrs,
    rows: Sequence[int],
    columns: Sequence[Sequence[object]],
    problems: list[Problem],
    position: tuple[int, int],
) -> Batch:
    """Return a batch of a table.

    Parameters
    ----------
    columns
        The cells of each column of the heading, coordinates included.
    problems
        What is wrong already: rows of the wrong width, cells that hold no value.
    """
    broken = {problem.row for problem in problems if problem.key == NO_CELLS}
    shapes = _shapes(heading, crs, rows, columns, problems)
    # A row of the wrong width has its cells under the wrong headings: say that and no more.
    if broken:
        problems = [p for p in problems if p.row not in broken or p.key == NO_CELLS]
    cells: dict[str, list[object]] = {
        name: list(columns[place])
        for place, name in enumerate(heading.names)
        if place not in heading.coordinates
    }
    return Batch(rows, cells, shapes, tuple(problems), position)


def _shapes(
    heading: Heading,
    crs: InputCrs,
    rows: Sequence[int],
    columns: Sequence[Sequence[object]],
    problems: list[Problem],
) -> Geometries:
    first, *rest = heading.coordinates
    if not rest:
        return from_wkt(rows, columns[first], heading.names[first], problems)
    (second,) = rest
    return points(
        rows,
        (columns[first], columns[second]),
        (heading.names[first], heading.names[second]),
        ("EW", "NS") if heading.east_first else ("NS", "EW"),
        problems,
    )


def guarded(reason: str) -> str:
    """Return a reason that no spreadsheet takes for a formula.

    A reason may begin with a column's name, and that is the sender's. OWASP's remedy against CSV
    injection is the apostrophe, which tells a spreadsheet that text follows.
    """
    return f"'{reason}" if reason.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else reason
