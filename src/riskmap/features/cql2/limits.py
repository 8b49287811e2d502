"""What a filter may cost: caps on its size, depth, operations and vertices, counted as it is read.

Nothing is built that a cap forbids: a filter is refused at the token that goes too far, so that no
text, however nested, costs more than the reading of its first 64 KiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskmap.errors import InputError

PARAMETER: Final = "filter"

MAX_BYTES: Final = 65_536
# The parser takes 9 calls a level and SQLAlchemy about as many: 32 levels stay far from the 1,000
# calls that Python allows.
MAX_DEPTH: Final = 32
MAX_OPERATIONS: Final = 256
MAX_VERTICES: Final = 10_000
# Codes of a district, ids of a selection: one bound array, however many.
MAX_ITEMS: Final = 1_000
MAX_TEXT: Final = 2_000
MAX_NUMBER_DIGITS: Final = 64
# Each % of a pattern multiplies the places where PostgreSQL tries the rest of it.
MAX_WILDCARDS: Final = 16
# Parts of the SQL expression: a power repeats its operands (see `arithmetic`).
MAX_WEIGHT: Final = 5_000
# What an error repeats of the caller's text.
SHOWN: Final = 40

# A character of the text, counted from 1, or a JSON pointer.
At = int | str


def fault(key: str, at: At, **values: object) -> InputError:
    """Return the error of a filter; the message names the place."""
    return InputError(f"cql2.{key}", parameter=PARAMETER, at=at if at != "" else "/", **values)


def shown(text: object) -> str:
    """Return what an error repeats of the caller's text: short, and fit to be sent."""
    whole = str(text)
    kept = whole if len(whole) <= SHOWN else f"{whole[:SHOWN]}…"
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in kept)


@dataclass(slots=True)
class Budget:
    """What one filter has used so far."""

    operations: int = 0
    vertices: int = 0

    def operate(self, at: At, count: int = 1) -> None:
        """Count operations.

        Raises
        ------
        InputError
            They are more than 256.
        """
        self.operations += count
        if self.operations > MAX_OPERATIONS:
            raise fault("operations", at, most=MAX_OPERATIONS)

    def draw(self, at: At, count: int) -> None:
        """Count vertices of geometries.

        Raises
        ------
        InputError
            They are more than 10,000.
        """
        self.vertices += count
        if self.vertices > MAX_VERTICES:
            raise fault("vertices", at, most=MAX_VERTICES)


def check_depth(depth: int, at: At) -> None:
    """Refuse what is nested too deep."""
    if depth > MAX_DEPTH:
        raise fault("depth", at, most=MAX_DEPTH)


def check_items(count: int, at: At) -> None:
    """Refuse a list that is empty or too long."""
    if count > MAX_ITEMS:
        raise fault("items", at, most=MAX_ITEMS)


def check_text(text: str, at: At) -> str:
    """Return a text if the database can hold and compare it.

    Raises
    ------
    InputError
        It is too long, or has a NUL or half a surrogate pair, which no text of PostgreSQL has.
    """
    if len(text) > MAX_TEXT:
        raise fault("text_length", at, most=MAX_TEXT)
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise fault("character", at, found=shown(text))
    return text
