"""Search of texts: words and Chinese of any length, by the column that the database keeps.

A character of Chinese is searched as what a pair begins with, two are a pair, more are pairs one
after the other (`riskmap.search_words` in the migrations makes them). Words of alphabets and
numbers match by their beginning. What is asked must all be there, in whatever order.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final

from sqlalchemy import ColumnElement, Double, FromClause, String, cast, func, literal
from sqlalchemy.dialects.postgresql import REGCONFIG, TSQUERY

from riskmap.errors import InputError

MAX_CHARACTERS: Final = 200
# The code points that part words, and those that stand for words themselves: as in the migration.
_RUN: Final = re.compile(
    r"(?P<cjk>[\u2e80-\u2fff\u3005-\u3007\u3021-\U0010ffff]+)"
    r"|(?P<word>[0-9A-Za-z\u0080-\u1fff]+)"
)


def expression(words: str, *, parameter: str = "q") -> str:
    """Return what `to_tsquery` takes: quoted tokens, nothing else.

    Raises
    ------
    InputError
        Longer than `MAX_CHARACTERS`, or without a letter or digit.
    """
    if len(words) > MAX_CHARACTERS:
        raise InputError("q.long", parameter=parameter, most=MAX_CHARACTERS, value=len(words))
    parts: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFKC", words)):
        run = match["cjk"]
        if run is None:
            parts.append(f"'{match['word']}':*")
        elif len(run) == 1:
            parts.append(f"'{run}':*")
        else:
            pairs = " <-> ".join(f"'{first}{second}'" for first, second in pairwise(run))
            parts.append(f"({pairs})")
    if not parts:
        raise InputError("q.empty", parameter=parameter, value=words[:40])
    return " & ".join(parts)


def condition(source: FromClause, words: str) -> ColumnElement[bool]:
    """Say whether a feature's texts have all of the words.

    Raises
    ------
    InputError
        There is nothing to search for; names `q`.
    """
    return source.c.search.op("@@", return_type=None)(_query(words))


def rank(source: FromClause, words: str) -> ColumnElement[float]:
    """Return how well a feature fits: where the words stand in the name more than elsewhere.

    Divided by the length of the text (1 + log): a short name that is all of what was asked comes
    before a long one that has it somewhere.
    """
    return cast(func.ts_rank(source.c.search, _query(words), 1), Double)


def _query(words: str) -> ColumnElement[object]:
    simple = cast(literal("pg_catalog.simple", String), REGCONFIG)
    return func.to_tsquery(simple, literal(expression(words), String), type_=TSQUERY)
