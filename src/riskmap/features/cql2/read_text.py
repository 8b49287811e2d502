"""CQL2 text to the tree: recursive descent, at most 32 levels deep.

The grammar of 21-065r2, and a little more where it costs nothing: parentheses around any
expression, a minus before any operand, `NOT` more than once, BETWEEN of texts and instants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from riskmap.crs.served import ServedCrs
from riskmap.features.cql2 import wkt
from riskmap.features.cql2.instants import OPEN, read_date, read_instant, read_timestamp
from riskmap.features.cql2.limits import (
    MAX_BYTES,
    MAX_NUMBER_DIGITS,
    Budget,
    check_depth,
    check_items,
    fault,
    shown,
)
from riskmap.features.cql2.tokens import Scanner, Token, unquoted
from riskmap.features.cql2.tree import (
    COMPARISONS,
    FUNCTIONS,
    Call,
    Items,
    Literal,
    Moment,
    Name,
    Node,
    Span,
)

_OPERAND: Final = "property, 'text', number, ("
_Read = TypeVar("_Read")

_RESERVED: Final = frozenset(
    {"and", "or", "not", "like", "between", "in", "is", "null", "true", "false", "div"}
)


def parse_text(text: str, crs: ServedCrs) -> Node:
    """Read CQL2 text.

    Raises
    ------
    InputError
        It is malformed or too large; names the position.
    """
    # An encoded character has at most 4 bytes: a text that is far too long is not encoded.
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise fault("bytes", 1, most=MAX_BYTES)
    parser = _Parser(text, crs)
    if parser.scanner.token.kind == "end":
        raise fault("empty", 1)
    tree = parser.disjunction()
    if parser.scanner.token.kind != "end":
        raise parser.scanner.unexpected("AND, OR")
    return tree


class _Parser:
    def __init__(self, text: str, crs: ServedCrs) -> None:
        self.scanner = Scanner(text)
        self.crs = crs
        self.budget = Budget()
        self.level = 0

    def _call(self, at: int, op: str, *args: Node) -> Call:
        self.budget.operate(at, max(1, len(args) - 1) if op in ("and", "or") else 1)
        depth = 1 + max(one.depth for one in args)
        check_depth(depth, at)
        return Call(at, op, args, depth)

    def _deeper(self, read: Callable[[], _Read], at: int) -> _Read:
        """Read one level deeper."""
        self.level += 1
        check_depth(self.level, at)
        found = read()
        self.level -= 1
        return found

    # Conditions

    def disjunction(self) -> Node:
        return self._chain("or", self._conjunction)

    def _conjunction(self) -> Node:
        return self._chain("and", self._negation)

    def _chain(self, word: str, read: Callable[[], Node]) -> Node:
        at = self.scanner.token.at
        parts = [read()]
        while self.scanner.at_word(word):
            # Counted here: a chain without end must not be read to its end first.
            self.budget.operate(self.scanner.take().at)
            parts.append(read())
        if len(parts) == 1:
            return parts[0]
        depth = 1 + max(one.depth for one in parts)
        check_depth(depth, at)
        return Call(at, word, tuple(parts), depth)

    def _negation(self) -> Node:
        places = []
        while self.scanner.at_word("not"):
            places.append(self.scanner.take().at)
            check_depth(len(places), places[-1])
        found = self._predicate()
        for at in reversed(places):
            found = self._call(at, "not", found)
        return found

    def _predicate(self) -> Node:
        at = self.scanner.token.at
        left = self._sum()
        token = self.scanner.token
        if token.kind == "symbol" and token.text in COMPARISONS:
            self.scanner.take()
            return self._call(at, token.text, left, self._sum())
        if self.scanner.accept_word("is"):
            negated = self.scanner.accept_word("not")
            if not self.scanner.accept_word("null"):
                raise self.scanner.unexpected("NULL")
            return self._unless(negated, at, self._call(at, "isnull", left))
        negated = self.scanner.accept_word("not")
        if self.scanner.accept_word("like"):
            return self._unless(negated, at, self._call(at, "like", left, self._operand()))
        if self.scanner.accept_word("between"):
            low = self._sum()
            if not self.scanner.accept_word("and"):
                raise self.scanner.unexpected("AND")
            found = self._call(at, "between", left, low, self._sum())
            return self._unless(negated, at, found)
        if self.scanner.accept_word("in"):
            return self._unless(negated, at, self._call(at, "in", left, self._items()))
        if negated:
            raise self.scanner.unexpected("LIKE, BETWEEN, IN")
        return left

    def _unless(self, negated: bool, at: int, found: Call) -> Call:
        return self._call(at, "not", found) if negated else found

    # Numbers

    def _sum(self) -> Node:
        return self._infix(self._product, "+-", ())

    def _product(self) -> Node:
        return self._infix(self._power, "*/%", ("div",))

    def _infix(self, read: Callable[[], Node], symbols: str, words: tuple[str, ...]) -> Node:
        found = read()
        while True:
            token = self.scanner.token
            is_symbol = token.kind == "symbol" and token.text in symbols
            if not is_symbol and not self.scanner.at_word(*words):
                return found
            self.scanner.take()
            found = self._call(token.at, token.word or token.text, found, read())

    def _power(self) -> Node:
        base = self._signed()
        at = self.scanner.token.at
        if not self.scanner.accept("^"):
            return base
        return self._call(at, "^", base, self._signed())

    def _signed(self) -> Node:
        at = self.scanner.token.at
        if self.scanner.accept("+"):
            return self._number(1) if self.scanner.token.kind == "number" else self._operand()
        if not self.scanner.accept("-"):
            return self._operand()
        if self.scanner.token.kind == "number":
            return self._number(-1)
        return self._call(at, "-", Literal(at, 0), self._deeper(self._signed, at))

    def _number(self, sign: int) -> Literal:
        token = self.scanner.take()
        return Literal(token.at, sign * _read_number(token))

    # Operands

    def _operand(self) -> Node:
        token = self.scanner.token
        match token.kind:
            case "number":
                return self._number(1)
            case "text":
                self.scanner.take()
                return Literal(token.at, unquoted(token))
            case "quoted":
                self.scanner.take()
                return Name(token.at, token.text[1:-1])
            case "name":
                return self._named(token)
        if not self.scanner.accept("("):
            raise self.scanner.unexpected(_OPERAND)
        return self._deeper(lambda: self._in_parentheses(token.at), token.at)

    def _in_parentheses(self, at: int) -> Node:
        """Read the rest of `(a + b)`, or of the array `(a, b)`, `()`."""
        if self.scanner.accept(")"):
            return Items(at, (), 1)
        first = self.disjunction()
        if self.scanner.at_symbol(","):
            return self._rest_of_items(at, first)
        self.scanner.expect(")")
        return first

    def _rest_of_items(self, at: int, first: Node) -> Items:
        items = [first]
        while self.scanner.accept(","):
            items.append(self.disjunction())
            check_items(len(items), at)
        self.scanner.expect(")")
        depth = 1 + max(one.depth for one in items)
        check_depth(depth, at)
        return Items(at, tuple(items), depth)

    def _items(self) -> Items:
        """Read a list in parentheses."""
        at = self.scanner.token.at
        self.scanner.expect("(")
        if self.scanner.accept(")"):
            return Items(at, (), 1)
        first = self._deeper(self.disjunction, at)
        return self._rest_of_items(at, first)

    def _named(self, token: Token) -> Node:
        scanner = self.scanner
        if token.word in ("true", "false"):
            scanner.take()
            return Literal(token.at, token.word == "true")
        if token.word in _RESERVED:
            raise scanner.unexpected(_OPERAND)
        if wkt.starts_here(scanner):
            return wkt.read_shape(scanner, self.crs, self.budget)
        if not scanner.follows("("):
            scanner.take()
            return Name(token.at, token.text)
        match token.word:
            case "date" | "timestamp":
                return self._moment(token.word)
            case "interval":
                return self._span()
        if token.word not in FUNCTIONS:
            raise fault("function", token.at, value=shown(token.text))
        scanner.take()
        args = self._deeper(lambda: self._arguments(token.at), token.at)
        return self._call(token.at, token.word, *args.items)

    def _arguments(self, at: int) -> Items:
        self.scanner.expect("(")
        args = [self._argument()]
        while self.scanner.accept(","):
            args.append(self._argument())
            check_items(len(args), at)
        self.scanner.expect(")")
        return Items(at, tuple(args), 1)

    def _argument(self) -> Node:
        """Read an argument; `('a')` is an array of one where an array is wanted."""
        at = self.scanner.token.at
        in_parentheses = self.scanner.at_symbol("(")
        found = self.disjunction()
        if in_parentheses and isinstance(found, (Literal, Name, Moment)):
            return Items(at, (found,), 2)
        return found

    def _moment(self, word: str) -> Moment:
        self.scanner.take()
        self.scanner.expect("(")
        token = self._text()
        read = read_date if word == "date" else read_timestamp
        found = Moment(token.at, read(unquoted(token), token.at))
        self.scanner.expect(")")
        return found

    def _span(self) -> Span:
        at = self.scanner.take().at
        self.scanner.expect("(")
        start = self._end_of_span()
        self.scanner.expect(",")
        end = self._end_of_span()
        self.scanner.expect(")")
        self.budget.operate(at)
        return Span(at, start, end)

    def _end_of_span(self) -> Node | None:
        token = self.scanner.token
        # Examples of the standard put instants in double quotes; no name starts with a digit.
        if token.kind == "text" or (token.kind == "quoted" and token.text[1] in "0123456789."):
            self.scanner.take()
            text = unquoted(token)
            return None if text == OPEN else Moment(token.at, read_instant(text, token.at))
        if token.kind == "quoted":
            self.scanner.take()
            return Name(token.at, token.text[1:-1])
        if token.kind != "name" or token.word in _RESERVED:
            raise self.scanner.unexpected("property, '2026-05-01', '..'")
        if token.word in ("date", "timestamp") and self.scanner.follows("("):
            return self._moment(token.word)
        self.scanner.take()
        return Name(token.at, token.text)

    def _text(self) -> Token:
        if self.scanner.token.kind != "text":
            raise self.scanner.unexpected("'...'")
        return self.scanner.take()


def _read_number(token: Token) -> int | float:
    """Read a number: what no bigint holds is a double; what no double holds is refused."""
    if len(token.text) > MAX_NUMBER_DIGITS:
        raise fault("number", token.at, found=shown(token.text))
    if token.text.isdigit():
        return checked_number(int(token.text), token.at)
    wide = float(token.text)
    if wide == float("inf"):
        raise fault("number", token.at, found=shown(token.text))
    return wide


def checked_number(value: int | float, at: int | str) -> int | float:
    """Return a number if the database can hold it.

    Raises
    ------
    InputError
        It is not finite, or past what a double holds.
    """
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    try:
        wide = float(value)
    except OverflowError:
        wide = float("inf")
    if not abs(wide) < float("inf"):
        raise fault("number", at, found=shown(value if isinstance(value, float) else "1E309"))
    return wide
