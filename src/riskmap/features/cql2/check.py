"""Names and types of a filter, checked against the fields that the caller may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

from riskmap.catalog.spec import Field, Kind
from riskmap.errors import InputError
from riskmap.features.cql2.arithmetic import REPEATS
from riskmap.features.cql2.crossings import MAX_CROSSINGS, is_tangled
from riskmap.features.cql2.instants import read_instant
from riskmap.features.cql2.limits import MAX_WEIGHT, At, fault, shown
from riskmap.features.cql2.patterns import checked_pattern
from riskmap.features.cql2.tree import (
    ARITHMETIC,
    ARRAYS,
    COMPARISONS,
    FOLDS,
    SPATIAL,
    TEMPORAL_ANY,
    TEMPORAL_INTERVALS,
    Call,
    Items,
    Literal,
    Moment,
    Name,
    Node,
    Shape,
    Span,
)
from riskmap.features.cql2.typed import INSTANTS, Column, Elements, Expr, Op, Period, Type, Value

_TYPES: Final = {
    Kind.TEXT: Type.TEXT,
    Kind.INTEGER: Type.NUMBER,
    Kind.NUMBER: Type.NUMBER,
    Kind.BOOLEAN: Type.BOOLEAN,
    Kind.DATE: Type.DATE,
    Kind.DATETIME: Type.TIMESTAMP,
    Kind.TEXTS: Type.ARRAY,
}
_GEOMETRY: Final = "geom"
# Both name the feature's geometry: the first is the column's, the second GeoJSON's.
_GEOMETRY_NAMES: Final = (_GEOMETRY, "geometry")
_ID: Final = "id"
_SCALARS: Final = frozenset({Type.NUMBER, Type.TEXT, Type.BOOLEAN, *INSTANTS})
_ORDERED: Final = frozenset({Type.NUMBER, Type.TEXT, *INSTANTS})
# ST_Intersects alone relates a collection of several kinds.
_COLLECTIONS: Final = frozenset({"s_intersects", "s_disjoint"})

# How many operands, of which types, and the type of the result; None: any number of operands.
_RULES: Final[dict[str, tuple[int | None, frozenset[Type], Type]]] = {
    "and": (None, frozenset({Type.BOOLEAN}), Type.BOOLEAN),
    "or": (None, frozenset({Type.BOOLEAN}), Type.BOOLEAN),
    "not": (1, frozenset({Type.BOOLEAN}), Type.BOOLEAN),
    "isnull": (1, frozenset(Type), Type.BOOLEAN),
    **{op: (1, frozenset({Type.TEXT}), Type.TEXT) for op in FOLDS},
    **{op: (2, frozenset({Type.NUMBER}), Type.NUMBER) for op in ARITHMETIC},
    **{op: (2, frozenset({Type.INTERVAL, *INSTANTS}), Type.BOOLEAN) for op in TEMPORAL_ANY},
    **{op: (2, frozenset({Type.INTERVAL}), Type.BOOLEAN) for op in TEMPORAL_INTERVALS},
}


def check(tree: Node, fields: Mapping[str, Field]) -> Expr:
    """Return the tree with columns and types.

    Parameters
    ----------
    fields
        What the caller may ask for. A field that is not among them does not exist: the error is
        the same as for any other name.

    Raises
    ------
    InputError
        A property is unknown, or something is of the wrong type.
    """
    found = _Checker(fields).condition(tree)
    if _weight(found) > MAX_WEIGHT:
        raise fault("weight", tree.at)
    return found


def _weight(expr: Expr) -> int:
    """Return how many parts the SQL of an expression has, repetitions counted.

    A power repeats its operands, and a list of anything but literals is compared item by item; of
    literals it is one array.
    """
    match expr:
        case Op(op="^", args=args):
            return 1 + REPEATS * sum(map(_weight, args))
        case Op(op="in", args=(value, *items)):
            if all(isinstance(one, Value) for one in items):
                return 1 + _weight(value)
            return 1 + sum(_weight(value) + _weight(one) for one in items)
        case Op(args=parts) | Elements(items=parts):
            return 1 + sum(map(_weight, parts))
    return 1


def _unlike(at: At, expected: Iterable[str], found: str, what: str) -> InputError:
    """Return the error of a wrong type."""
    wanted = " / ".join(sorted(expected))
    return fault("type", at, expected=wanted, found=found, what=what)


def _called(node: Node) -> str:
    """Return what an error calls a part of the filter."""
    found: object = "(…)"
    match node:
        case Name(name=found) | Shape(kind=found):
            pass
        case Literal(value=bool(value)):
            found = str(value).lower()
        case Literal(value=found):
            pass
        case Moment(value=value):
            found = value.isoformat()
        case Span():
            found = "INTERVAL"
        case Call(op=op):
            found = op.upper()
    return shown(found)


def _same(types: Iterable[Type]) -> bool:
    """Say whether values of these types compare with each other."""
    kinds = set(types)
    return len(kinds) == 1 or kinds == INSTANTS


class _Checker:
    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields

    def condition(self, node: Node) -> Expr:
        """Check what must be true or false."""
        return self._as(node, {Type.BOOLEAN})

    def _as(self, node: Node, wanted: Iterable[Type]) -> Expr:
        """Check a part that must be of one of these types."""
        types = set(wanted)
        if Type.ARRAY not in types:
            node = _single(node)
        found = self._expression(node)
        if found.type in types:
            return found
        if types & INSTANTS and isinstance(node, Literal) and isinstance(node.value, str):
            return _moment(node.at, read_instant(node.value, node.at))
        raise _unlike(node.at, types, found.type, _called(node))

    def _expression(self, node: Node) -> Expr:
        match node:
            case Name():
                return self._column(node)
            case Span():
                return self._period(node)
            case Items():
                return self._elements(node)
            case Call():
                return self._call(node)
        return _constant(node)

    def _column(self, node: Name) -> Column:
        if node.name in _GEOMETRY_NAMES:
            return Column(node.at, Type.GEOMETRY, _GEOMETRY)
        if node.name == _ID:
            return Column(node.at, Type.NUMBER, _ID)
        field = self.fields.get(node.name)
        if field is None or field.kind not in _TYPES:
            known = [name for name, one in self.fields.items() if one.kind in _TYPES]
            names = ", ".join(dict.fromkeys([_ID, _GEOMETRY, *known]))
            raise fault("property", node.at, value=shown(node.name), known=names)
        return Column(node.at, _TYPES[field.kind], field.name)

    def _period(self, node: Span) -> Period:
        start, end = (
            None if one is None else self._as(one, INSTANTS) for one in (node.start, node.end)
        )
        if _after(start, end):
            raise fault("interval", node.at)
        return Period(node.at, start, end)

    def _elements(self, node: Items) -> Elements:
        items = tuple(self._as(one, _SCALARS) for one in node.items)
        for one, item in zip(node.items, items, strict=True):
            if not _same((items[0].type, item.type)):
                raise _unlike(one.at, [items[0].type], item.type, _called(one))
        types = {item.type for item in items}
        of = Type.DATE if types == INSTANTS else next(iter(types), None)
        return Elements(node.at, items, of)

    def _call(self, node: Call) -> Op:
        op = node.op
        if op in _RULES:
            count, wanted, found = _RULES[op]
            parts = _count(node, count) if count else node.args
            return Op(node.at, found, op, tuple(self._as(one, wanted) for one in parts))
        if op in COMPARISONS:
            return Op(node.at, Type.BOOLEAN, op, self._alike(_count(node, 2), _SCALARS))
        if op in ARRAYS:
            return self._array(node)
        if op in SPATIAL:
            return self._spatial(node)
        other = {"between": self._between, "in": self._membership, "like": self._like}
        return other[op](node)

    def _between(self, node: Call) -> Op:
        return Op(node.at, Type.BOOLEAN, node.op, self._alike(_count(node, 3), _ORDERED))

    def _alike(self, nodes: Iterable[Node], types: Iterable[Type]) -> tuple[Expr, ...]:
        """Check operands that are compared with each other.

        The first that is no literal says of which type all must be: in `'5' > risk_level` the
        literal is wrong, not the property.
        """
        parts = [_single(node) for node in nodes]
        first = next((one for one in parts if not isinstance(one, Literal)), parts[0])
        leading = self._as(first, types).type
        wanted = INSTANTS if leading in INSTANTS else {leading}
        found = tuple(self._as(one, wanted) for one in parts)
        for one, node in zip(found, parts, strict=True):
            if isinstance(one, Op) and one.type is Type.BOOLEAN:
                raise _unlike(node.at, _SCALARS, "predicate", _called(node))
        return found

    def _membership(self, node: Call) -> Op:
        left, right = _count(node, 2)
        if not isinstance(right, Items):
            raise _unlike(right.at, [Type.ARRAY], "value", _called(right))
        if not right.items:
            raise fault("empty_list", right.at)
        operands = self._alike((left, *right.items), _SCALARS)
        return Op(node.at, Type.BOOLEAN, "in", operands)

    def _like(self, node: Call) -> Op:
        left, right = _count(node, 2)
        value = self._as(left, {Type.TEXT})
        return Op(node.at, Type.BOOLEAN, "like", (value, self._pattern(right)))

    def _pattern(self, node: Node) -> Expr:
        """Check a pattern: a text, or one that is folded."""
        node = _single(node)
        if isinstance(node, Literal) and isinstance(node.value, str):
            return Value(node.at, Type.TEXT, checked_pattern(node.value, node.at))
        if isinstance(node, Call) and node.op in FOLDS:
            (inner,) = _count(node, 1)
            return Op(node.at, Type.TEXT, node.op, (self._pattern(inner),))
        raise _unlike(node.at, ["text literal"], self._expression(node).type, _called(node))

    def _spatial(self, node: Call) -> Op:
        shapes = tuple(self._as(one, {Type.GEOMETRY}) for one in _count(node, 2))
        for one in shapes:
            mixed = isinstance(one, Value) and one.geometry == "GeometryCollection"
            if mixed and node.op not in _COLLECTIONS:
                raise fault("collection", one.at, op=node.op.upper())
        drawn = [one.value for one in shapes if isinstance(one, Value)]
        if is_tangled(*(one for one in drawn if isinstance(one, bytes))):
            raise fault("tangled", node.at, most=f"{MAX_CROSSINGS:,}")
        return Op(node.at, Type.BOOLEAN, node.op, shapes)

    def _array(self, node: Call) -> Op:
        nodes = _count(node, 2)
        parts = [self._as(one, {Type.ARRAY}) for one in nodes]
        types = [part.of if isinstance(part, Elements) else Type.TEXT for part in parts]
        known = [one for one in types if one is not None]
        if known and not _same(known):
            raise _unlike(nodes[1].at, [known[0]], known[1], _called(nodes[1]))
        return Op(node.at, Type.BOOLEAN, node.op, tuple(parts))


def _single(node: Node) -> Node:
    """Return what stands alone in parentheses, or the node itself; JSON has no parentheses."""
    if isinstance(node, Items) and len(node.items) == 1 and isinstance(node.at, int):
        return node.items[0]
    return node


def _count(node: Call, count: int) -> tuple[Node, ...]:
    if len(node.args) != count:
        found = len(node.args)
        raise fault("args", node.at, op=node.op.upper(), expected=count, found=found)
    return node.args


def _constant(node: Literal | Moment | Shape) -> Value:
    match node:
        case Shape(at=at, wkb=wkb, kind=kind):
            return Value(at, Type.GEOMETRY, wkb, kind)
        case Moment(at=at, value=moment):
            return _moment(at, moment)
        case Literal(at=at, value=bool(truth)):
            return Value(at, Type.BOOLEAN, truth)
        case Literal(at=at, value=str(text)):
            return Value(at, Type.TEXT, text)
        case Literal(at=at, value=number):
            return Value(at, Type.NUMBER, number)


def _moment(at: At, value: date) -> Value:
    return Value(at, Type.TIMESTAMP if isinstance(value, datetime) else Type.DATE, value)


def _after(first: Expr | None, second: Expr | None) -> bool:
    """Say whether an interval of two literals starts after it ends; by day if either is a date."""
    match first, second:
        case Value(value=datetime() as start), Value(value=datetime() as end):
            return start > end
        case Value(value=date() as start), Value(value=date() as end):
            return _day(start) > _day(end)
    return False


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value
