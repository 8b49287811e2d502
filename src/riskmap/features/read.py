"""Reading features: one row, or a page streamed as it comes out of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum, shapes_to_geojson
from riskmap.db.sessions import AsyncReadSession, Database
from riskmap.errors import NotFoundError
from riskmap.features import statements
from riskmap.features.query import COUNT_CAP, FeatureQuery

# Rows are sent in pieces of about this size: one write for each row costs more than the row.
_PIECE_BYTES = 64 * 1024


async def count(session: AsyncReadSession, query: FeatureQuery) -> int | None:
    """Return how many features match, or None above `COUNT_CAP`."""
    found = int((await session.execute(statements.count(query, COUNT_CAP))).scalar_one())
    return found if found <= COUNT_CAP else None


async def extent(session: AsyncReadSession, layer: Layer) -> list[float] | None:
    """Return the box of a layer, or None when it is empty."""
    row = (await session.execute(statements.extent(layer))).one()
    return None if row[0] is None else [float(value) for value in row]


async def filled(session: AsyncReadSession, layers: Iterable[Layer]) -> bool:
    """Say whether any of the layers holds a feature."""
    return bool((await session.execute(statements.filled(layers))).scalar_one())


async def revisions(
    session: AsyncReadSession, layers: Iterable[Layer]
) -> dict[str, tuple[int, datetime]]:
    """Return the last revision of each layer that has one, and when it was committed."""
    rows = await session.execute(statements.revisions(layers))
    return {row.layer: (row.revision, row.at) for row in rows}


async def feature(session: AsyncReadSession, query: FeatureQuery) -> bytes:
    """Return one feature as GeoJSON text.

    Raises
    ------
    NotFoundError
        The layer has no feature with this id.
    """
    row = (await session.execute(statements.page(query))).first()
    if row is None:
        raise NotFoundError(
            "feature.unknown", parameter="feature_id", value=query.feature_id, layer=query.layer.id
        )
    (text,) = _texts([row], query.datum)
    if query.datum is Datum.WGS84:
        return text
    head, member = b'{"type":"Feature",', f'"datum":"{query.datum}",'.encode()
    return head + member + text.removeprefix(head)


def _texts(rows: Sequence[Any], datum: Datum) -> list[bytes]:
    """Return rows of a page as GeoJSON."""
    if datum is Datum.WGS84:
        return [row.feature.encode() for row in rows]
    shapes = shapes_to_geojson([row.wkb for row in rows], datum)
    return [
        f"{row.before}{shape}{row.after}".encode() for row, shape in zip(rows, shapes, strict=True)
    ]


async def page(
    database: Database,
    query: FeatureQuery,
    links: Callable[[int | None], list[dict[str, Any]]],
) -> AsyncIterator[bytes]:
    """Yield a FeatureCollection in pieces; memory holds one batch of rows.

    Parameters
    ----------
    links
        Given the id after which the next page starts (None: there is none), returns the links.
    """
    async with database.stream_async() as session:
        matched = await count(session, query)
        head: dict[str, Any] = {"type": "FeatureCollection"}
        if query.datum is not Datum.WGS84:
            head["datum"] = query.datum.value
        head["timeStamp"] = _now()
        if matched is not None:
            head["numberMatched"] = matched
        buffer = bytearray(orjson.dumps(head)[:-1] + b',"features":[')
        returned, last, more = 0, None, False
        rows = await session.stream(statements.page(query))
        async for batch in rows.partitions():
            kept = batch[: query.limit - returned]
            more = len(kept) < len(batch)
            if query.datum is Datum.WGS84:
                texts = _texts(kept, query.datum)
            else:  # arithmetic on every vertex: others are served meanwhile
                texts = await asyncio.to_thread(_texts, kept, query.datum)
            for row, text in zip(kept, texts, strict=True):
                if returned:
                    buffer += b","
                buffer += text
                returned, last = returned + 1, row.id
                if len(buffer) >= _PIECE_BYTES:
                    yield bytes(buffer)
                    buffer.clear()
        tail = {"numberReturned": returned, "links": links(last if more else None)}
        buffer += b"]," + orjson.dumps(tail)[1:]
        yield bytes(buffer)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
