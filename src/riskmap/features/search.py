"""Hits of a search over several layers, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    String,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.features.words import rank

# A word that more features of a layer have ("市") says little: so many are ranked, whichever.
CANDIDATES: Final = 10_000
_NAMES: Final = ("code", "name", "name_en", "address", "status")


def hits(queries: Sequence[FeatureQuery], words: str, limit: int) -> Select[Any]:
    """Return the best hits of several layers, best first.

    Columns: `place` (of the layer's query), `id`, a point of the shape as `wkb`, names, level,
    `score`: 3 for a name or code that is what was asked, 2 for one that begins with it, 1 for one
    that holds it, plus the rank, which is less than 1; and `matched`: how many features match in
    all layers, null where a layer has more than are ranked (`CANDIDATES`).

    Parameters
    ----------
    queries
        One for each layer: its own conditions (a box, say) and `words`.
    """
    parts = [_hits(query, place, words, limit) for place, query in enumerate(queries)]
    found = union_all(*parts).subquery("hits") if len(parts) > 1 else parts[0].subquery("hits")
    best = (found.c.score.desc(), found.c.place, found.c.id)
    # Each layer's number stands in all its rows: it is added once, at the layer's best.
    number = func.sum(found.c.in_layer).filter(found.c.nth == 1).over()
    capped = func.max(found.c.in_layer).over() > CANDIDATES
    matched = case((capped, None), else_=cast(number, Integer)).label("matched")
    kept = [one for one in found.c if one.name not in ("in_layer", "nth")]
    return select(*kept, matched).order_by(*best).limit(limit)


def _hits(query: FeatureQuery, place: int, words: str, limit: int) -> Select[Any]:
    layer, table = query.layer, table_for(query.layer)
    level = table.c.risk_level if layer.assessed else cast(null(), Integer)
    rows = (
        select(
            table.c.id,
            table.c.geom,
            *(table.c[name] for name in _NAMES),
            level.label("risk_level"),
            rank(table, words).label("rank"),
        )
        .where(*conditions(query))
        .limit(CANDIDATES + 1)
        .subquery(f"rows_{place}")
    )
    said = literal(words.strip().lower(), String)
    texts = [func.lower(rows.c[name]) for name in ("name", "name_en", "code")]

    def anywhere(*tests: ColumnElement[bool]) -> ColumnElement[bool]:
        found = tests[0]
        for test in tests[1:]:
            found |= test
        return func.coalesce(found, False)

    fit = case(
        (anywhere(*(text == said for text in texts)), 3.0),
        (anywhere(*(func.starts_with(text, said) for text in texts)), 2.0),
        (anywhere(*(func.strpos(text, said) > 0 for text in texts)), 1.0),
        else_=0.0,
    )
    # Rank goes to 1 as a word stands again and again, and must not lift a hit into the next class.
    score = cast(fit + rows.c.rank / (1 + rows.c.rank), Double).label("score")
    scored = (
        select(
            literal(place, Integer).label("place"),
            rows.c.id,
            rows.c.geom,
            *(rows.c[name] for name in (*_NAMES, "risk_level")),
            score,
            func.count().over().label("in_layer"),
            func.row_number().over(order_by=(score.desc(), rows.c.id)).label("nth"),
        )
        .order_by(score.desc(), rows.c.id)
        .limit(limit)
        .subquery(f"scored_{place}")
    )
    # A point of what is left only: it costs more than all else.
    point = func.ST_AsBinary(func.ST_PointOnSurface(scored.c.geom)).label("wkb")
    return select(*(one for one in scored.c if one.name != "geom"), point)
