"""GeoJSON text sequences (RFC 8142): each feature between a record separator and a line feed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from riskmap.db.sessions import AsyncReadSession
from riskmap.features import statements
from riskmap.features.formats import columns
from riskmap.features.formats.datums import geojson
from riskmap.features.query import FeatureQuery
from riskmap.features.where import table_for

RECORD: Final = b"\x1e"
_BETWEEN: Final = b"\n" + RECORD


async def pieces(session: AsyncReadSession, query: FeatureQuery) -> AsyncGenerator[bytes]:
    """Yield the sequence, some hundred features at a time."""
    table = table_for(query.layer)
    statement = columns.rows(query, *statements.feature_columns(query, table))
    async with aclosing(session.batches(statement)) as batches:
        async for batch in batches:
            texts = await geojson(batch, query)
            yield RECORD + _BETWEEN.join(texts) + b"\n"
