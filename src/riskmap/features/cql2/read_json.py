"""CQL2 JSON to the same tree as CQL2 text; a place is a JSON pointer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Final

import orjson
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from riskmap.crs.served import ServedCrs
from riskmap.features.cql2 import shapes
from riskmap.features.cql2.instants import OPEN, read_date, read_instant, read_timestamp
from riskmap.features.cql2.limits import (
    MAX_BYTES,
    At,
    Budget,
    check_depth,
    check_items,
    check_text,
    fault,
    shown,
)
from riskmap.features.cql2.read_text import checked_number
from riskmap.features.cql2.shapes import Positions
from riskmap.features.cql2.tree import (
    ARITHMETIC,
    COMPARISONS,
    FUNCTIONS,
    Call,
    Items,
    Literal,
    Moment,
    Name,
    Node,
    Shape,
    Span,
)

_OPERATORS: Final = (
    FUNCTIONS | COMPARISONS | ARITHMETIC | {"and", "or", "not", "like", "between", "in", "isnull"}
)
# How deep the positions of each kind of geometry lie.
_DEPTHS: Final = {
    "Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2,
    "MultiPolygon": 3,
}  # fmt: skip


def load(text: str | bytes) -> Any:
    """Parse the JSON of a filter.

    Raises
    ------
    InputError
        It is too large or no JSON.
    """
    sent = text if isinstance(text, bytes) else text[: MAX_BYTES + 1].encode("utf-8", "replace")
    if len(sent) > MAX_BYTES:
        raise fault("bytes", "", most=MAX_BYTES)
    try:
        # No NaN, no lone surrogates, and no nesting past its own limit: orjson refuses them.
        return orjson.loads(sent)
    except ValueError:
        raise fault("json", "") from None


def parse_json(value: Any, crs: ServedCrs) -> Node:
    """Read CQL2 JSON that was parsed.

    Raises
    ------
    InputError
        It is malformed or too large; names the JSON pointer.
    """
    return _Reader(crs).node(value, "", 1)


class _Reader:
    def __init__(self, crs: ServedCrs) -> None:
        self.crs = crs
        self.budget = Budget()

    def node(self, value: Any, at: str, level: int) -> Node:
        """Read an expression at a level of nesting."""
        check_depth(level, at)
        if isinstance(value, bool):
            return Literal(at, value)
        if isinstance(value, str):
            return Literal(at, check_text(value, at))
        if isinstance(value, (int, float)):
            return Literal(at, checked_number(value, at))
        if isinstance(value, list):
            return self._items(value, at, level)
        if isinstance(value, dict):
            return self._object(value, at, level)
        raise fault("expected", at, expected="{op, args}", found=shown(value))

    def _items(self, value: list[Any], at: str, level: int) -> Items:
        check_items(len(value), at)
        items = tuple(self.node(one, f"{at}/{i}", level + 1) for i, one in enumerate(value))
        return Items(at, items, 1 + max((one.depth for one in items), default=0))

    def _object(self, value: dict[Any, Any], at: str, level: int) -> Node:
        readers: dict[str, Callable[[], Node]] = {
            "op": lambda: self._call(value, at, level),
            "property": lambda: Name(at, _text(value["property"], f"{at}/property")),
            "date": lambda: _moment(value["date"], f"{at}/date", read_date),
            "timestamp": lambda: _moment(value["timestamp"], f"{at}/timestamp", read_timestamp),
            "interval": lambda: self._span(value["interval"], at, level),
            "type": lambda: shapes.finish(self._shape(value, at, level), self.crs, at),
            # After the type: a geometry may carry its box.
            "bbox": lambda: self._box(value["bbox"], at),
        }
        for key, read in readers.items():
            if key in value:
                return read()
        raise fault("expected", at, expected="{op, args}", found=shown(", ".join(map(str, value))))

    def _call(self, value: dict[Any, Any], at: str, level: int) -> Call:
        written = _text(value["op"], f"{at}/op")
        op = written.lower()
        if op not in _OPERATORS:
            raise fault("function", f"{at}/op", value=shown(written))
        args = value.get("args")
        if not isinstance(args, list) or not args:
            raise fault("args", at, op=op, expected=1, found=0)
        self.budget.operate(at, max(1, len(args) - 1))
        read = tuple(self.node(one, f"{at}/args/{i}", level + 1) for i, one in enumerate(args))
        depth = 1 + max(one.depth for one in read)
        check_depth(depth, at)
        if op in ("and", "or") and len(read) == 1:
            raise fault("args", at, op=op, expected=2, found=1)
        return Call(at, op, read, depth)

    def _span(self, value: Any, at: str, level: int) -> Span:
        self.budget.operate(at)
        inner = f"{at}/interval"
        if not isinstance(value, list) or len(value) != 2:
            raise fault("expected", inner, expected="[start, end]", found=shown(value))
        start, end = (
            self._end_of_span(one, f"{inner}/{i}", level + 1) for i, one in enumerate(value)
        )
        return Span(at, start, end)

    def _end_of_span(self, value: Any, at: str, level: int) -> Node | None:
        if value == OPEN:
            return None
        if isinstance(value, str):
            return Moment(at, read_instant(value, at))
        return self.node(value, at, level)

    def _box(self, value: Any, at: str) -> Shape:
        inner = f"{at}/bbox"
        if not isinstance(value, list) or len(value) not in (4, 6):
            raise fault("bbox", inner)
        self.budget.draw(inner, len(value) // 2)
        return shapes.box(_numbers(value, inner), self.crs, inner)

    def _shape(self, value: Any, at: str, level: int) -> BaseGeometry:
        check_depth(level, at)
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "GeometryCollection":
            parts = value.get("geometries")
            if not isinstance(parts, list):
                raise fault("geometry", at)
            check_items(len(parts), at)
            read = [
                self._shape(one, f"{at}/geometries/{i}", level + 1) for i, one in enumerate(parts)
            ]
            return shapes.made(lambda: shapely.GeometryCollection(read), at)
        if not isinstance(kind, str) or kind not in _DEPTHS:
            raise fault("geometry", at)
        inner = f"{at}/coordinates"
        coordinates = value.get("coordinates")
        if not isinstance(coordinates, list):
            raise fault("geometry", inner)
        if kind == "Point":
            coordinates = [coordinates] if coordinates else []
        positions = self._positions(coordinates, inner, max(1, _DEPTHS[kind]))
        return shapes.made(lambda: _BUILD[kind](positions, inner), inner)

    def _positions(self, value: Any, at: str, depth: int) -> list[Any]:
        """Read positions in as many lists as the kind has."""
        if not isinstance(value, list):
            raise fault("geometry", at)
        if depth > 1:
            check_items(len(value), at)
            return [self._positions(one, at, depth - 1) for one in value]
        self.budget.draw(at, len(value))
        return [_numbers(one, at) for one in value]


def _moment(value: Any, at: str, read: Callable[[str, At], date]) -> Moment:
    return Moment(at, read(_text(value, at), at))


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise fault("expected", at, expected="text", found=shown(value))
    return check_text(value, at)


def _numbers(value: Any, at: str) -> list[float]:
    """Read a position: numbers only, and two or more of them."""
    if not isinstance(value, list) or not 2 <= len(value) <= 6:
        raise fault("geometry", at)
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value):
        raise fault("geometry", at)
    return [float(checked_number(one, at)) for one in value[:6]]


def _flat(positions: list[list[float]]) -> Positions:
    """Leave heights out: they may stand at some positions only, and nothing here reads them."""
    return [one[:2] for one in positions]


def _polygon(rings: list[Any], at: str) -> Polygon:
    return shapes.polygon([shapes.ring(_flat(one), at) for one in rings])


_BUILD: Final[dict[str, Callable[[list[Any], str], BaseGeometry]]] = {
    "Point": lambda positions, at: shapes.point(_flat(positions)),
    "MultiPoint": lambda positions, at: shapes.multipoint(_flat(positions)),
    "LineString": lambda positions, at: shapely.LineString(_flat(positions)),
    "MultiLineString": lambda lines, at: shapely.MultiLineString([_flat(one) for one in lines]),
    "Polygon": _polygon,
    "MultiPolygon": lambda parts, at: shapely.MultiPolygon([_polygon(one, at) for one in parts]),
}
