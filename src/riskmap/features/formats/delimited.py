"""CSV (RFC 4180), made in PostGIS: to quote a million rows here would take a minute.

Texts always stand in quotation marks, so that an empty one can be told from none; numbers, dates
and nulls never do. The columns and their headings are those that an import recognises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, func, literal

from riskmap.catalog.spec import Kind
from riskmap.db.cursors import Row
from riskmap.db.sessions import AsyncReadSession
from riskmap.features.formats.columns import (
    Column,
    as_text,
    joined,
    moved,
    place_texts,
    rows,
    table_columns,
    value,
    wkb,
)
from riskmap.features.formats.datums import places, texts_of
from riskmap.features.query import FeatureQuery
from riskmap.features.where import table_for
from riskmap.i18n import Lang

BOM: Final = b"\xef\xbb\xbf"
_END: Final = "\r\n"
_QUOTED: Final = frozenset((Kind.TEXT, Kind.TEXTS, Kind.JSON))


async def pieces(
    session: AsyncReadSession, query: FeatureQuery, *, lang: Lang | None, bom: bool
) -> AsyncGenerator[bytes]:
    """Yield the table.

    Parameters
    ----------
    lang
        Language of the headings; None: the fields' names.
    bom
        Whether it begins with a byte order mark, without which Excel shows no Chinese.
    """
    yield (BOM if bom else b"") + heading(query, lang)
    async with aclosing(session.batches(statement(query))) as batches:
        async for batch in batches:
            texts = await texts_of(batch, query, lambda batch: _around(batch, query))
            yield b"".join(texts)


def heading(query: FeatureQuery, lang: Lang | None) -> bytes:
    """Return the first line."""
    cells = (_quoted(one.heading(lang)) for one in table_columns(query).all)
    return (",".join(cells) + _END).encode()


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if any(mark in text for mark in ',"\r\n') else text


def statement(query: FeatureQuery) -> Select[Any]:
    """Select each row as a line of text, or what stands before, in and behind the geometry."""
    table = table_for(query.layer)
    columns = table_columns(query)
    before = [cell(query, one, table) for one in columns.before]
    after = [cell(query, one, table) for one in columns.after]
    if moved(query):
        return rows(
            query,
            line([*before, literal("")]).label("before"),
            wkb(query, table),
            line([literal(""), *after], _END).label("after"),
        )
    place = place_texts(query, table) if columns.place else []
    if len(place) == 1:
        place = [literal('"') + place[0] + literal('"')]
    return rows(query, line([*before, *place, *after], _END).label("line"))


def line(cells: list[ColumnElement[Any]], end: str = "") -> ColumnElement[Any]:
    """Return cells with commas between them."""
    parts: list[ColumnElement[Any]] = []
    for one in cells:
        parts += [one, literal(",")]
    parts.pop()
    return joined([*parts, literal(end)] if end else parts)


def cell(query: FeatureQuery, column: Column, source: FromClause) -> ColumnElement[Any]:
    """Return a cell; null, which `line` takes for nothing, where there is nothing."""
    text = as_text(column, value(query, column, source))
    if column.kind not in _QUOTED:
        return text
    return literal('"') + func.replace(text, '"', '""') + literal('"')


def _around(batch: Sequence[Row], query: FeatureQuery) -> list[bytes]:
    """Put moved geometries between the halves of their rows."""
    texts = places([row[1] for row in batch], query)
    return [
        b"".join((before, _place(text), after))
        for (before, _, after), text in zip(batch, texts, strict=True)
    ]


def _place(texts: tuple[str, ...]) -> bytes:
    if len(texts) == 1:
        return f'"{texts[0]}"'.encode() if texts[0] else b""
    return ",".join(texts).encode()
