"""What the columns of a road file mean: their use, and what their values say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from riskmap.errors import InputError
from riskmap.roads.edges import ROAD_CLASSES, RowNote

COLUMN_ROLES: Final = (
    *("road_class", "name", "oneway", "speed_kmh", "seconds", "bridge", "tunnel", "level"),
    *("motor", "foot", "restricted"),
)
FASTEST_KMH: Final = 200.0
_BLANK: Final = frozenset({"", "nan", "none", "null", "-"})
FLAGS: Final = {
    **dict.fromkeys(("1", "1.0", "true", "t", "yes", "y", "是", "有"), True),
    **dict.fromkeys(("0", "0.0", "false", "f", "no", "n", "否", "无"), False),
}
ONEWAYS: Final = {
    **dict.fromkeys(("both", "b", "0", "0.0", "no", "n", "false", "否", "无"), "both"),
    **dict.fromkeys(("双向", "双向通行"), "both"),
    **dict.fromkeys(
        (
            "forward",
            "f",
            "ft",
            "1",
            "1.0",
            "yes",
            "y",
            "true",
            "是",
            "单行",
            "单向",
            "正向",
            "顺向",
        ),
        "forward",
    ),
    **dict.fromkeys(("backward", "t", "tf", "-1", "-1.0", "reverse", "反向", "逆向"), "backward"),
}
# The classes of CJJ 37 and the motorway of JTG B01; other words need a mapping, since what a
# 二级公路 allows differs from province to province.
CLASSES: Final = {
    **{name: name for name in ROAD_CLASSES},
    "高速公路": "motorway",
    "快速路": "trunk",
    "主干路": "primary",
    "次干路": "secondary",
    "支路": "tertiary",
    "步行街": "pedestrian",
    "轮渡": "ferry",
}


@dataclass(frozen=True, slots=True)
class RoadMapping:
    """What the caller says about a file's columns.

    Parameters
    ----------
    columns
        From the use of a column (`COLUMN_ROLES`) to its name in the file; all optional.
    values
        Use -> {value of the file: ours}: ``{"road_class": {"一级道路": "primary"}}``.
    defaults
        Use -> value where the file has none.

    Raises
    ------
    InputError
        A use that there is not, or a value that it does not take.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in (*self.columns, *self.values, *self.defaults):
            if role not in COLUMN_ROLES:
                raise InputError("roads.column_role", parameter=role, roles=", ".join(COLUMN_ROLES))
        for role, words in self.values.items():
            for target in words.values():
                _checked(role, target)
        for role, target in self.defaults.items():
            _checked(role, target)


def _checked(role: str, target: object) -> object:
    found = _READERS[role](_word(target))
    if found is None:
        raise InputError("roads.mapping_value", parameter=role, value=str(target)[:60])
    return found


def _word(raw: object) -> str:
    return "" if raw is None else str(raw).strip()


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _speed(text: str) -> float | None:
    """Read a speed or a time: 0 is how many files write "not known"."""
    value = _number(text)
    if value is None or value < 0:
        return None
    return value or math.nan


def _level(text: str) -> int | None:
    value = _number(text)
    return int(value) if value is not None and value.is_integer() and abs(value) <= 100 else None


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "road_class": lambda text: CLASSES.get(text.casefold()),
    "name": lambda text: text,
    "oneway": lambda text: ONEWAYS.get(text.casefold()),
    "speed_kmh": lambda text: v if (v := _speed(text)) is None or not v > FASTEST_KMH else None,
    "seconds": _speed,
    "level": _level,
    **dict.fromkeys(
        ("bridge", "tunnel", "motor", "foot", "restricted"),
        lambda text: FLAGS.get(text.casefold()),
    ),
}
_NOTES: Final = {
    "road_class": "roads.row_class",
    "oneway": "roads.row_oneway",
    "speed_kmh": "roads.row_speed",
    "seconds": "roads.row_seconds",
    "level": "roads.row_level",
}


class ColumnReader:
    """Reads columns by their use; values that it does not understand become notes.

    Parameters
    ----------
    cells
        Use -> cells of each line.
    rows
        Row of each line, from 1.
    """

    def __init__(
        self, cells: Mapping[str, list[object]], mapping: RoadMapping, rows: list[int]
    ) -> None:
        self._cells = cells
        self._mapping = mapping
        self._rows = rows
        self.notes: list[RowNote] = []

    def __contains__(self, role: str) -> bool:
        return role in self._cells or role in self._mapping.defaults

    def read(self, role: str, missing: object) -> list[Any]:
        """Return the value of each line, `missing` where there is none."""
        default = self._mapping.defaults.get(role)
        empty = missing if default is None else _checked(role, default)
        cells = self._cells.get(role)
        if cells is None:
            return [empty] * len(self._rows)
        told = {
            _word(word).casefold(): _checked(role, target)
            for word, target in self._mapping.values.get(role, {}).items()
        }
        known: dict[str, tuple[object, bool]] = {}
        found = []
        noted: set[int] = set()
        for row, cell in zip(self._rows, cells, strict=True):
            text = _word(cell)
            if text not in known:
                word = text.casefold()
                blank = word in _BLANK
                value = told.get(word, empty if blank else _READERS[role](text))
                known[text] = (empty, not blank) if value is None else (value, False)
            value, strange = known[text]
            # A row of several lines is noted once.
            if strange and row not in noted:
                noted.add(row)
                key = _NOTES.get(role, "roads.row_flag")
                self.notes.append(RowNote(row, key, {"row": row, "value": text[:60], "role": role}))
            found.append(value)
        return found

    def refuse(self, role: str, lines: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Note lines whose value cannot be, for a reason that only the whole line shows."""
        for at in lines.tolist():
            row = self._rows[at]
            told = {"row": row, "value": f"{values[at]:g}", "role": role}
            self.notes.append(RowNote(row, _NOTES[role], told))
