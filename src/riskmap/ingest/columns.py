"""Whole columns of cells to values: the rules of `riskmap.ingest.values`, a batch at a time.

A shortcut is taken only where it must give what the cell by cell way gives; at the first doubt
the whole column goes cell by cell, which finds every bad one and says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, Final, NamedTuple

import numpy as np

from riskmap.catalog.spec import Kind
from riskmap.ingest.values import BadValueError, Converter, to_json_text, within_int32

# What float() reads beyond these (NaN, infinity, 1_000, full-width digits) is no number here.
_OF_NUMBERS: Final = b"0123456789+-.eE \t"


class Failure(NamedTuple):
    """A cell that its field cannot take."""

    place: int
    error: BadValueError


def convert_column(convert: Converter, cells: Sequence[object]) -> tuple[list[Any], list[Failure]]:
    """Return the values of a column, null where a cell is bad, and the bad ones."""
    types = set(map(type, cells))
    kind = convert.field.kind
    values: list[Any] | None = None
    if convert.is_plain and kind is Kind.TEXT and types <= {str, NoneType}:
        values = _texts(cells, with_null=NoneType in types)
    elif convert.is_plain and kind in (Kind.NUMBER, Kind.INTEGER):
        if types == {str}:
            values = _written_numbers(convert, cells)
        elif types <= {int, float, NoneType}:
            values = _typed_numbers(convert, cells)
    if values is not None:
        return values, []
    if types <= {str, NoneType} or types <= {int, NoneType}:
        return _distinct(convert, cells)
    return _one_by_one(convert, cells)


def _one(convert: Converter, cell: object) -> object:
    value = convert(cell)
    if convert.field.kind is Kind.JSON and value is not None:
        return to_json_text(value)
    return value


def _one_by_one(convert: Converter, cells: Sequence[object]) -> tuple[list[Any], list[Failure]]:
    values: list[object] = []
    failures: list[Failure] = []
    for index, cell in enumerate(cells):
        try:
            values.append(_one(convert, cell))
        except BadValueError as error:
            values.append(None)
            failures.append(Failure(index, error))
    return values, failures


def _distinct(convert: Converter, cells: Sequence[object]) -> tuple[list[Any], list[Failure]]:
    """Convert each text once: levels, dates and names of streets repeat."""
    known: dict[object, object] = {}
    bad: dict[object, BadValueError] = {}
    for cell in set(cells):
        try:
            known[cell] = _one(convert, cell)
        except BadValueError as error:
            known[cell] = None
            bad[cell] = error
    failures = [Failure(i, bad[cell]) for i, cell in enumerate(cells) if cell in bad] if bad else []
    return list(map(known.__getitem__, cells)), failures


def _texts(cells: Sequence[Any], *, with_null: bool) -> list[Any] | None:
    there = [cell for cell in cells if cell is not None] if with_null else cells
    joined = "".join(there)
    if "\0" in joined:
        return None
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:  # half a surrogate pair in one of them
            return None
    if with_null:
        return [(cell.strip() or None) if cell is not None else None for cell in cells]
    return [cell.strip() or None for cell in cells]


def _written_numbers(convert: Converter, cells: Sequence[Any]) -> list[Any] | None:
    """Read numbers that stand as text; an empty cell is null."""
    joined = "".join(cells)
    if not joined.isascii() or joined.encode().translate(None, _OF_NUMBERS):
        return None
    nulls = "" in cells
    try:
        numbers = [float(cell) for cell in cells if cell] if nulls else list(map(float, cells))
    except ValueError:
        return None
    whole = _in_order(convert, numbers)
    if whole is None or not nulls:
        return whole
    following = iter(whole)
    return [next(following) if cell else None for cell in cells]


def _typed_numbers(convert: Converter, cells: Sequence[Any]) -> list[Any] | None:
    """Take numbers that the file holds as numbers; null and NaN are null."""
    try:
        # None becomes NaN, which is null: float columns of pyogrio say so, too.
        array = np.array(cells, dtype=np.float64)
    except OverflowError:  # an integer beyond any float
        return None
    null = np.isnan(array)
    if not null.any():
        return _in_order(convert, array.tolist())
    whole = _in_order(convert, array[~null].tolist())
    if whole is None:
        return None
    following = iter(whole)
    return [None if gap else next(following) for gap in null.tolist()]


def _in_order(convert: Converter, numbers: list[float]) -> list[Any] | None:
    """Return the numbers as the field has them, or None if one of them is not in order."""
    if not numbers:
        return []
    array = np.array(numbers)
    low, high = float(array.min()), float(array.max())
    field = convert.field
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    if (field.minimum is not None and low < field.minimum) or (
        field.maximum is not None and high > field.maximum
    ):
        return None
    if field.kind is Kind.NUMBER:
        return numbers
    if not (within_int32(low) and within_int32(high)) or (np.rint(array) != array).any():
        return None
    return list(array.astype(np.int64).tolist())
