"""What a heading means: a field, one of the two columns of coordinates, or nothing.

Headings are compared without case, outer spaces, the width of characters (（ and ( are the same)
and the star by which a template marks a required column. A unit in brackets is passed over when it
is the field's own: `面积（㎡）`, `面积(平方米)` and `面积` are one heading for a field in m². With
another unit, `面积(亩)`, the column is not that field: its numbers mean something else, so they are
kept in `attributes` as they stand.

Two columns hold a table's coordinates. Their names say which of them is which, or do not:

- lon/lat, longitude/latitude, lng/lat, 经度/纬度, easting/northing, 东坐标/北坐标 and 横坐标/纵坐标
  say it. The first of each pair is east, the second north, wherever the columns stand and whatever
  `axes` says. 横坐标 is the horizontal axis, east, although Chinese surveying calls it Y.
- x/y and X坐标/Y坐标 do not: in geodata x is east, in Chinese survey tables X is north. They are
  the first and the second coordinate, and `axes` says which is north: `en` (the usual) means
  x = east, `ne` means x = north. A wrong one puts every row outside the city, and the report says
  that the coordinates look swapped.
- In a mapping, `x` and `y` are the first and the second coordinate in the same sense; `lon`, `lat`,
  `easting` and `northing` say which is which. What the mapping says counts, whatever the column is
  called.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from riskmap.crs.input import InputCrs
from riskmap.errors import InputError
from riskmap.ingest.mapping import FieldMapping, heading_word, missing_column
from riskmap.ingest.report import shorten

# East before north.
_DIRECTED: Final = (
    ("lon", "lat"),
    ("lng", "lat"),
    ("longitude", "latitude"),
    ("经度", "纬度"),
    ("easting", "northing"),
    ("东坐标", "北坐标"),
    ("横坐标", "纵坐标"),
)
_PLAIN: Final = (("x", "y"), ("x坐标", "y坐标"))
_WKT: Final = ("wkt", "geometry", "几何", "几何wkt")
_UNITS: Final = ("°", "m")
_TOLD: Final = (
    ({"x", "y"}, ("x", "y"), False),
    ({"lon", "lat"}, ("lon", "lat"), True),
    ({"easting", "northing"}, ("easting", "northing"), True),
)


def north_first(crs: InputCrs) -> bool:
    """Say whether a coordinate system takes the northing first: it was stated with `axes="ne"`."""
    return crs.north_first


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a table.

    Parameters
    ----------
    names
        All columns, in the order of the file.
    coordinates
        Places of the columns that hold coordinates: two, in the order that the coordinate system
        takes them, or one of WKT.
    east_first
        Which of the two is east.
    """

    names: tuple[str, ...]
    coordinates: tuple[int, ...]
    east_first: bool

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that hold no coordinates."""
        return tuple(n for place, n in enumerate(self.names) if place not in self.coordinates)


def check_names(cells: Iterable[str], file: str) -> list[str]:
    """Return the names of the columns; empty cells at the end are none.

    Raises
    ------
    InputError
        A column has no name, or two have the same.
    """
    names = [name.removeprefix("\ufeff").strip() for name in cells]
    while names and not names[-1]:
        names.pop()
    for name in names:
        if not name:
            raise InputError("ingest.heading.empty", parameter="file", value=file)
        if names.count(name) > 1:
            raise InputError("ingest.heading.repeated", parameter="file", value=shorten(name))
    return names


def find_heading(
    names: Sequence[str], mapping: FieldMapping, crs: InputCrs, *, file: str
) -> Heading:
    """Find the columns of coordinates: as told, or by their names; never by a guess.

    Raises
    ------
    InputError
        There are none, there are several sets, or the mapping names them by halves or wrongly.
    """
    found = _told(names, mapping)
    if found is None:
        candidates = _named(names)
        if len(candidates) != 1:
            key = "ingest.coordinates.many" if candidates else "ingest.coordinates.none"
            headings = ", ".join(shorten(name) for name in names)
            raise InputError(key, parameter="file", value=file, headings=headings)
        found = candidates[0]
    columns, directed = found
    if directed and north_first(crs):
        columns = columns[::-1]
    places = tuple(names.index(column) for column in columns)
    return Heading(tuple(names), places, east_first=not north_first(crs))


def _told(names: Sequence[str], mapping: FieldMapping) -> tuple[tuple[str, ...], bool] | None:
    told = mapping.coordinates
    if not told:
        return None
    for name, column in told.items():
        if column not in names:
            raise missing_column(name, column, names)
    if told.keys() == {"wkt"}:
        return (told["wkt"],), False
    for wanted, order, directed in _TOLD:
        if told.keys() == wanted:
            return tuple(told[name] for name in order), directed
    raise InputError("ingest.coordinates.told", parameter="mapping")


def _named(names: Sequence[str]) -> list[tuple[tuple[str, ...], bool]]:
    words: dict[str, str] = {}
    for name in names:
        word = heading_word(name)
        words.setdefault(word, name)
        # A coordinate may have its unit behind it, in brackets.
        for unit in _UNITS:
            words.setdefault(word.removesuffix(f"({unit})"), name)
    found: dict[tuple[str, ...], bool] = {}
    for pairs, directed in ((_DIRECTED, True), (_PLAIN, False)):
        for pair in pairs:
            if all(word in words for word in pair):
                found[tuple(words[word] for word in pair)] = directed
    for word in _WKT:
        if word in words:
            found[words[word],] = False
    return list(found.items())
