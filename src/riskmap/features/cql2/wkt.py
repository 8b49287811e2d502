"""Geometry literals of CQL2 text: WKT, with or without Z, EMPTY, and BBOX()."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.crs.served import ServedCrs
from riskmap.features.cql2 import shapes
from riskmap.features.cql2.limits import Budget, check_depth, check_items
from riskmap.features.cql2.shapes import Positions
from riskmap.features.cql2.tokens import NUMBER, Scanner
from riskmap.features.cql2.tree import Shape

_GAP: Final = r"[\t-\r ]"
_NUMBER: Final = rf"[+-]?{NUMBER}"
_POSITION: Final = rf"{_NUMBER}{_GAP}++{_NUMBER}(?:{_GAP}++{_NUMBER})?+{_GAP}*+"
# A list of positions is read in one go: token by token, 10,000 of them would take 100 ms.
_POSITIONS: Final = re.compile(rf"\({_GAP}*+({_POSITION}(?:,{_GAP}*+{_POSITION})*+)\)")

# Points in parentheses of their own.
_POINT: Final = rf"\({_GAP}*+{_POSITION}\){_GAP}*+"
_POINTS: Final = re.compile(rf"\({_GAP}*+({_POINT}(?:,{_GAP}*+{_POINT})*+)\)")

_Part = TypeVar("_Part")

KINDS: Final = frozenset(
    {
        "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection",
    }
)  # fmt: skip


def starts_here(scanner: Scanner) -> bool:
    """Say whether a geometry literal starts at the token, and no property of such a name."""
    token = scanner.token
    if token.kind != "name":
        return False
    if token.word == "bbox" or token.word.removesuffix("z") in KINDS:
        return scanner.follows("(") or _tagged(scanner)
    return False


def _tagged(scanner: Scanner) -> bool:
    rest = scanner.text[scanner.token.at - 1 + len(scanner.token.text) :][:32].split(None, 1)
    word = rest[0].lower() if rest else ""
    return scanner.token.word != "bbox" and re.split(r"[(,)]", word, maxsplit=1)[0] in (
        "z", "empty",
    )  # fmt: skip


def read_shape(scanner: Scanner, crs: ServedCrs, budget: Budget) -> Shape:
    """Read the geometry literal at the token.

    Raises
    ------
    InputError
        It is malformed, invalid, outside the world or too large.
    """
    at = scanner.token.at
    if scanner.token.word == "bbox":
        scanner.take()
        numbers = _numbers(scanner)
        budget.draw(at, len(numbers) // 2)
        return shapes.box(numbers, crs, at)
    return shapes.finish(_tagged_text(scanner, budget, 1), crs, at)


def _numbers(scanner: Scanner) -> list[float]:
    scanner.expect("(")
    found: list[float] = []
    # One more than a box can have: it is then refused as a box of the wrong length.
    while len(found) <= 6:
        sign = -1.0 if scanner.at_symbol("-") else 1.0
        if scanner.at_symbol("-") or scanner.at_symbol("+"):
            scanner.take()
        if scanner.token.kind != "number":
            raise scanner.unexpected("number")
        found.append(sign * float(scanner.take().text))
        if not scanner.accept(","):
            break
    scanner.expect(")")
    return found


def _tagged_text(scanner: Scanner, budget: Budget, depth: int) -> BaseGeometry:
    """Read a tag and what follows it."""
    at = scanner.token.at
    check_depth(depth, at)
    if scanner.token.kind != "name" or scanner.token.word.removesuffix("z") not in KINDS:
        raise scanner.unexpected("WKT")
    kind = scanner.take().word.removesuffix("z")
    scanner.accept_word("z")
    read = _READERS[kind]
    if scanner.accept_word("empty"):
        return read([])
    parts = _PARTS[kind](scanner, budget, depth)
    return shapes.made(partial(read, parts), at)


def _positions(scanner: Scanner, budget: Budget, depth: int = 0) -> Positions:
    return _listed(_POSITIONS, scanner, budget)


def _listed(pattern: re.Pattern[str], scanner: Scanner, budget: Budget) -> Positions:
    if not scanner.at_symbol("("):
        raise scanner.unexpected("(")
    at = scanner.token.at
    match = pattern.match(scanner.text, at - 1)
    if match is None:
        scanner.take()
        raise scanner.unexpected("x y, x y, ...")
    # Counted before they are taken apart.
    budget.draw(at, match[1].count(",") + 1)
    scanner.jump(match.end())
    bare = match[1].replace("(", " ").replace(")", " ")
    # Heights are left out: nothing here reads them.
    return [list(map(float, one.split()[:2])) for one in bare.split(",")]


def _ring(scanner: Scanner, budget: Budget, depth: int = 0) -> Positions:
    at = scanner.token.at
    return shapes.ring(_positions(scanner, budget), at)


def _list_of(
    read: Callable[[Scanner, Budget, int], _Part], scanner: Scanner, budget: Budget, depth: int
) -> list[_Part]:
    scanner.expect("(")
    found = [read(scanner, budget, depth)]
    while scanner.accept(","):
        found.append(read(scanner, budget, depth))
        check_items(len(found), scanner.token.at)
    scanner.expect(")")
    return found


def _points(scanner: Scanner, budget: Budget, depth: int) -> Positions:
    """Read positions, each in parentheses of its own or none of them, as is also in use."""
    return _listed(_POINTS if scanner.follows("(") else _POSITIONS, scanner, budget)


_READERS: Final[dict[str, Callable[..., BaseGeometry]]] = {
    "point": shapes.point,
    "linestring": shapely.LineString,
    "polygon": shapes.polygon,
    "multipoint": shapes.multipoint,
    "multilinestring": shapely.MultiLineString,
    "multipolygon": lambda parts: shapely.MultiPolygon([shapes.polygon(one) for one in parts]),
    "geometrycollection": shapely.GeometryCollection,
}
_PARTS: Final[dict[str, Callable[[Scanner, Budget, int], object]]] = {
    "point": _positions,
    "linestring": _positions,
    "polygon": partial(_list_of, _ring),
    "multipoint": _points,
    "multilinestring": partial(_list_of, _positions),
    "multipolygon": partial(_list_of, partial(_list_of, _ring)),
    "geometrycollection": lambda scanner, budget, depth: _list_of(
        _tagged_text, scanner, budget, depth + 1
    ),
}
