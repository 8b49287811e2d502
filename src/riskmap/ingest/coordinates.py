"""Cells of coordinates to geometries: plain numbers by the array, everything else one by one.

Degrees, minutes and seconds (`120°22'57.1"E`, `36°04′`, `东经120度22分57.1秒`) are read as degrees:
the marks leave no doubt. Groups of digits without marks (`120 22 57`) are refused, and so is a
comma (`120,38`), which may be a decimal sign or separate two numbers. A side that contradicts its
column (N in a column of longitudes) is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from riskmap.ingest.batches import Geometries, geometries
from riskmap.ingest.report import Problem, shorten
from riskmap.ingest.values import BadValueError, is_null, read_number, to_half_width

_ODD: Final = re.compile(r"[^0-9.-]")
_DEGREES: Final = re.compile(
    r"""(?P<before>[NSEW]|北纬|南纬|东经|西经)?\s*
    (?P<sign>-)?(?P<degrees>\d{1,3}(?:\.\d+)?)\s*[°º度]\s*
    (?:(?P<minutes>\d{1,2}(?:\.\d+)?)\s*(?:['′’‘´]|分)\s*
    (?:(?P<seconds>\d{1,2}(?:\.\d+)?)\s*(?:["″”“]|''|′′|’’|秒)\s*)?)?
    (?P<after>[NSEW])?""",
    re.VERBOSE | re.IGNORECASE,
)
_SIDES: Final = {"北纬": "N", "南纬": "S", "东经": "E", "西经": "W"}


def read_coordinate(raw: object, axis: str) -> float:
    """Read one coordinate: a number, or degrees with their marks.

    Parameters
    ----------
    axis
        Which letters of sides fit: `EW` or `NS`.

    Raises
    ------
    BadValueError
        It is neither.
    """
    if isinstance(raw, str):
        text = to_half_width(raw).strip()
        match = _DEGREES.fullmatch(text)
        if match is not None:
            return _degrees(match, axis)
        if "," in text or "、" in text:
            raise BadValueError("ingest.coordinate.comma")
    try:
        return float(read_number(raw))
    except (BadValueError, OverflowError):
        raise BadValueError("ingest.coordinate") from None


def _degrees(match: re.Match[str], axis: str) -> float:
    letters: list[str] = [side for side in (match["before"], match["after"]) if side]
    sides = [_SIDES.get(letter, letter.upper()) for letter in letters]
    parts = [match["degrees"], match["minutes"], match["seconds"]]
    numbers = [float(part) for part in parts if part is not None]
    # 22.5 minutes and 10 seconds, or 60 minutes: somebody meant something else.
    fractions = [part for part in parts if part is not None][:-1]
    if any("." in part for part in fractions) or any(n >= 60 for n in numbers[1:]):
        raise BadValueError("ingest.coordinate")
    if len(sides) > 1 or (sides and match["sign"]):
        raise BadValueError("ingest.coordinate")
    if sides and sides[0] not in axis:
        raise BadValueError("ingest.coordinate.side")
    value: float = sum(number / 60.0**power for power, number in enumerate(numbers))
    return -value if match["sign"] or (sides and sides[0] in "SW") else value


def points(
    rows: Sequence[int],
    pair: tuple[Sequence[object], Sequence[object]],
    names: tuple[str, str],
    axes: tuple[str, str],
    problems: list[Problem],
) -> Geometries:
    """Return one point for each row, None where both cells are empty or one cannot be read.

    Parameters
    ----------
    pair
        The cells of the first and of the second coordinate.
    names
        Their columns, for the problems.
    axes
        What `read_coordinate` is told of each.
    """
    first, second = _plain(pair[0]), _plain(pair[1])
    if first is not None and second is not None:
        found: Geometries = np.asarray(shapely.points(np.column_stack((first, second))))
        return found
    xy: list[list[float]] = []
    there: list[int] = []
    for index, cells in enumerate(zip(*pair, strict=True)):
        if all(map(is_null, cells)):
            continue
        numbers = []
        for cell, name, axis in zip(cells, names, axes, strict=True):
            if is_null(cell):
                problems.append(Problem(rows[index], "ingest.required", name))
                continue
            try:
                numbers.append(read_coordinate(cell, axis))
            except BadValueError as error:
                problems.append(Problem(rows[index], error.key, name, shorten(cell)))
        if len(numbers) == 2:
            xy.append(numbers)
            there.append(index)
    shapes = np.full(len(rows), None, dtype=object)
    if xy:
        shapes[there] = shapely.points(xy)
    return shapes


def _plain(cells: Sequence[object]) -> NDArray[np.float64] | None:
    """Return a column of plain numbers as an array; None: look at each cell.

    Python's own float() takes more than a number (`1_2`, `nan`), so other characters than digits,
    point and minus are looked for first, in all cells at once.
    """
    types = set(map(type, cells))
    numbers: Any = cells
    try:
        if types == {str}:
            if _ODD.search("".join(numbers)):
                return None
            return np.array(list(map(float, numbers)))
        if types <= {int, float}:
            return np.array(numbers, dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return None


def from_wkt(
    rows: Sequence[int], cells: Sequence[object], name: str, problems: list[Problem]
) -> Geometries:
    """Return the geometries of a column of WKT, None where a cell is empty or cannot be read."""
    texts = [None if is_null(cell) else str(cell).strip() for cell in cells]
    shapes = shapely.from_wkt(texts, on_invalid="ignore")
    for number, text, shape in zip(rows, texts, shapes, strict=True):
        if shape is None and text is not None:
            problems.append(Problem(number, "ingest.geometry.unreadable", name, shorten(text)))
    return geometries(list(shapes))
