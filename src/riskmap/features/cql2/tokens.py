"""CQL2 text to tokens, one at a time: what is never reached costs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from riskmap.errors import InputError
from riskmap.features.cql2.limits import check_text, fault, shown

# Names as the grammar has them (21-065r2, rule `identifier`), Chinese ones included.
_START: Final = (
    ":_A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1ffe\u200c-\u200d"
    "\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_PART: Final = _START + ".0-9\u0300-\u036f\u203f-\u2040"
NUMBER: Final = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_TOKEN: Final = re.compile(
    rf"(?P<number>{NUMBER})"
    rf"|(?P<name>[{_START}][{_PART}]*+)"
    r'|(?P<quoted>"[^"]*+")'
    r"|(?P<text>'(?:[^'\\]|''|\\.)*+')"
    r"|(?P<symbol><>|<=|>=|[=<>+\-*/%^(),])"
    r"|(?P<end>\Z)",
    re.DOTALL,
)
# The whitespace of the grammar; U+3000 is what a Chinese keyboard types.
_SPACE: Final = re.compile(
    "[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*+"
)
_ESCAPE: Final = re.compile(r"''|\\(.)", re.DOTALL)
_ESCAPED: Final = {
    "'": "'", "\\": "\\", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f",
    "r": "\r",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text.

    Parameters
    ----------
    at
        Its first character, counted from 1.
    word
        A name in lower case: keywords are told by it.
    """

    kind: str
    text: str
    at: int
    word: str = ""


class Scanner:
    """Reads one token ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.token = self._read(0)

    def _read(self, start: int) -> Token:
        match = _SPACE.match(self.text, start)
        start = start if match is None else match.end()
        found = _TOKEN.match(self.text, start)
        if found is None:
            raise self._unreadable(start)
        kind = found.lastgroup or "end"
        text = found.group()
        self._end = found.end()
        return Token(kind, text, start + 1, text.lower() if kind == "name" else "")

    def _unreadable(self, start: int) -> InputError:
        if self.text[start] in "'\"":
            return fault("unclosed", start + 1, found=shown(self.text[start:]))
        return fault("character", start + 1, found=shown(self.text[start]))

    def take(self) -> Token:
        """Return the token and go on to the next."""
        token = self.token
        self.token = self._read(self._end)
        return token

    def jump(self, end: int) -> None:
        """Go on behind a part of the text that was read otherwise."""
        self.token = self._read(end)

    def follows(self, symbol: str) -> bool:
        """Say whether the token after this one starts with a character."""
        match = _SPACE.match(self.text, self._end)
        start = self._end if match is None else match.end()
        return self.text.startswith(symbol, start)

    def at_symbol(self, symbol: str) -> bool:
        """Say whether the token is this symbol."""
        return self.token.kind == "symbol" and self.token.text == symbol

    def at_word(self, *words: str) -> bool:
        """Say whether the token is one of these keywords."""
        return self.token.kind == "name" and self.token.word in words

    def accept(self, symbol: str) -> bool:
        """Take this symbol if it is there."""
        found = self.at_symbol(symbol)
        if found:
            self.take()
        return found

    def accept_word(self, word: str) -> bool:
        """Take this keyword if it is there."""
        found = self.at_word(word)
        if found:
            self.take()
        return found

    def expect(self, symbol: str) -> None:
        """Take this symbol.

        Raises
        ------
        InputError
            Something else is there.
        """
        if not self.accept(symbol):
            raise self.unexpected(symbol)

    def unexpected(self, expected: str) -> InputError:
        """Return the error of a token that cannot be here."""
        if self.token.kind == "end":
            return fault("ended", self.token.at, expected=expected)
        return fault("expected", self.token.at, expected=expected, found=shown(self.token.text))


def unquoted(token: Token) -> str:
    r"""Return what a text literal means.

    The standard (requirement /req/cql2-text/escaping) has '' and \' for the quote and seven
    control characters. \\ is the backslash itself; before any other character the backslash
    stays, so that LIKE still finds its own escapes: '50\%' is fifty per cent.
    """
    inner = _ESCAPE.sub(
        lambda found: "'" if found[1] is None else _ESCAPED.get(found[1], found[0]),
        token.text[1:-1],
    )
    return check_text(inner, token.at)
