"""Reading features: one row, or a page streamed as it comes out of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from riskmap.catalog.spec import Layer
from riskmap.crs.datum import Datum, shapes_to_geojson
from riskmap.db.cursors import Row
from riskmap.db.sessions import AsyncReadSession, Database
from riskmap.features import history, statements
from riskmap.features.query import COUNT_CAP, FeatureQuery, Keyset
from riskmap.features.where import keys
from riskmap.units import Bbox

# One write for each row costs more than the row; a longer piece would hold up everybody else while
# it is compressed (256 KiB: about 3 ms).
_PIECE_BYTES = 256 * 1024


async def count(session: AsyncReadSession, query: FeatureQuery) -> int | None:
    """Return how many features match, or None above `COUNT_CAP`."""
    found = int((await session.execute(statements.count(query, COUNT_CAP))).scalar_one())
    return found if found <= COUNT_CAP else None


async def filled(session: AsyncReadSession, layers: Iterable[Layer]) -> bool:
    """Say whether any of the layers holds a feature."""
    return bool((await session.execute(statements.filled(layers))).scalar_one())


async def revisions(
    session: AsyncReadSession, layers: Iterable[Layer]
) -> dict[str, tuple[int, datetime]]:
    """Return the last revision of each layer that has one, and when it was committed."""
    rows = await session.execute(statements.revisions(layers))
    return {row.layer: (row.revision, row.at) for row in rows}


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of GeoJSON: what a document of it says at its head, and what a feature is.

    Parameters
    ----------
    columns
        As `statements.feature_columns`, which are GeoJSON's own.
    """

    head: Callable[[FeatureQuery], dict[str, Any]]
    columns: statements.FeatureColumns


def _head(query: FeatureQuery) -> dict[str, Any]:
    return {} if query.datum is Datum.WGS84 else {"datum": query.datum.value}


GEOJSON: Final = Form(_head, statements.feature_columns)


async def feature(
    session: AsyncReadSession, query: FeatureQuery, form: Form = GEOJSON
) -> tuple[bytes, int]:
    """Return one feature as text, and its version.

    Raises
    ------
    NotFoundError
        The layer has no feature with this id; GoneError: it had one.
    """
    row = (await session.execute(statements.one(query, form.columns))).first()
    if row is None:
        was_there = await history.gone_async(session, query)
        raise history.missing(query, was_there=was_there)
    version: int = row[0]
    columns: Row = tuple(row[1:])
    encoded = tuple(one.encode() if isinstance(one, str) else one for one in columns)
    (text,) = _texts([encoded], query)
    if head := form.head(query):
        start = b'{"type":"Feature",'
        text = start + orjson.dumps(head)[1:-1] + b"," + text.removeprefix(start)
    return text, version


def _texts(rows: Sequence[Row], query: FeatureQuery) -> list[bytes]:
    """Return `feature_columns` as GeoJSON."""
    if query.datum is Datum.WGS84 or not query.geometry:
        return [feature for (feature,) in rows]
    shapes = shapes_to_geojson([wkb for _, wkb, _ in rows], query.datum)
    return [
        before + shape.encode() + after
        for (before, _, after), shape in zip(rows, shapes, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer about a layer needs to know before it begins.

    Parameters
    ----------
    revision, updated_at
        The layer's last change; None: it was never touched.
    """

    city: Bbox | None
    local_srid: int | None
    revision: int | None
    updated_at: datetime | None


async def facts(session: AsyncReadSession, layer: Layer) -> Facts:
    """Read the city and the layer's revision, in one trip."""
    row = (await session.execute(statements.city_and_revision(layer))).one()
    city = None if row.west is None else Bbox(row.west, row.south, row.east, row.north)
    return Facts(city, row.local_srid, row.revision, row.at)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where the pages before and after a page begin; None: there is none."""

    before: Keyset | None = None
    after: Keyset | None = None


async def page(
    database: Database,
    query: FeatureQuery,
    links: Callable[[Neighbours], list[dict[str, Any]]],
    form: Form = GEOJSON,
) -> AsyncIterator[bytes]:
    """Yield a FeatureCollection in pieces; memory holds one batch of rows."""
    backward = query.after is not None and query.after.backward
    columns = slice(len(keys(query)), -1 if backward else None)
    async with database.stream_async() as session:
        matched = await count(session, query)
        head: dict[str, Any] = {"type": "FeatureCollection", **form.head(query)}
        head["timeStamp"] = _now()
        if matched is not None:
            head["numberMatched"] = matched
        ready = orjson.dumps(head)[:-1] + b',"features":['
        returned, more = 0, False
        first = last = None
        async with aclosing(session.batches(statements.page(query, form.columns))) as batches:
            async for batch in batches:
                kept: Sequence[Row] = batch
                if backward and first is None and query.limit is not None:
                    more = batch[0][-1] > query.limit
                    kept = batch[1:] if more else batch
                elif not backward and query.limit is not None:
                    kept = batch[: query.limit - returned]
                    more = len(kept) < len(batch)
                if not kept:
                    continue
                first, last = first or kept[0], kept[-1]
                found = [row[columns] for row in kept]
                if query.datum is Datum.WGS84:
                    texts = _texts(found, query)
                else:  # arithmetic on every vertex: others are served meanwhile
                    texts = await asyncio.to_thread(_texts, found, query)
                ready += (b"," if returned else b"") + b",".join(texts)
                returned += len(texts)
                for start in range(0, len(ready), _PIECE_BYTES):
                    yield ready[start : start + _PIECE_BYTES]
                ready = b""
        tail = {
            "numberReturned": returned,
            "links": links(_neighbours(query, first, last, more=more)),
        }
        yield ready + b"]," + orjson.dumps(tail)[1:]


def _neighbours(
    query: FeatureQuery, first: Row | None, last: Row | None, *, more: bool
) -> Neighbours:
    """Say where the neighbouring pages begin.

    A page that was reached by a cursor has the page behind it, since the cursor came from there.
    """
    if first is None or last is None:
        return Neighbours()
    start = query.after
    behind = start is not None
    backward = start is not None and start.backward
    has_before, has_after = (more, behind) if backward else (behind, more)
    return Neighbours(
        _keyset(query, first, backward=True) if has_before else None,
        _keyset(query, last, backward=False) if has_after else None,
    )


def _keyset(query: FeatureQuery, row: Row, *, backward: bool) -> Keyset:
    marks = row[: len(keys(query))]
    values = (one.decode() if isinstance(one, bytes) else one for one in marks[:-1])
    return Keyset(tuple(values), marks[-1], backward)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
