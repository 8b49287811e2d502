"""Tiles that need neither routing nor SQL: answered before the application, from memory.

A browser asks for a hundred tiles at a time, most of them known. What a path and a query string
ask for is worked out once, by the application; afterwards the same question is answered here, in
some tens of microseconds, with the same headers.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riskmap.access.ring import KeyRing
from riskmap.errors import NotFoundError
from riskmap.features.exports import LeftError
from riskmap.features.query import FeatureQuery
from riskmap.tiles.cache import Entry
from riskmap.tiles.grid import WEB_MERCATOR_QUAD, address
from riskmap.tiles.packing import IDENTITY, LEAST_BYTES, accepted_bytes
from riskmap.tiles.question import Question
from riskmap.tiles.service import TileService

MVT: Final = "application/vnd.mapbox-vector-tile"
DROPPED: Final = "X-Riskmap-Dropped"
# Where a request carries what was tried for it here: the question's key and the ended task.
TRIED: Final = "riskmap.tile"
_MARK: Final = "/tiles/"
# What the questions that are remembered may take: one without filters takes some 2 kB.
_MOST_BYTES: Final = 96 << 20
_QUESTION_BYTES: Final = 2_048
# Forms keep filters alive as well: longer ones are read again for each tile.
_MOST_FORMS: Final = 1_000
_FORM_BYTES: Final = 65_536
_PATH: Final = re.compile(r"/tiles/([a-z0-9,-]{1,500})/([0-9]{1,2})/([0-9]{1,8})/([0-9]{1,8})\.mvt")

Headers = list[tuple[bytes, bytes]]


def headers_of(tiles: TileService, entry: Entry, coding: str) -> Headers:
    """Return the headers of a current tile in a coding (of its 304 as well)."""
    known: Headers | None = entry.wire.get(coding)
    if known is None:
        tag = tiles.tag(entry, coding)
        entry.tags.add(tag.encode())
        shared = shared_headers(entry.question, tag)
        known = entry.wire[coding] = [*shared, *_content_headers(entry, coding)]
    return known


def shared_headers(question: Question, tag: str | None) -> Headers:
    """Return the headers that 200, 204 and 304 have in common."""
    # A client asks each time, and nearly always hears 304: that is what the bound of a second
    # takes. What a key unlocked belongs to its holder alone.
    kept = b"private, no-cache" if question.restricted else b"public, no-cache"
    found = [
        (b"cache-control", kept),
        (b"vary", b"Accept-Encoding, Authorization, X-API-Key"),
    ]
    return found if tag is None else [*found, (b"etag", tag.encode())]


def _content_headers(entry: Entry, coding: str) -> Headers:
    found: Headers = []
    if entry.dropped:
        found.append((DROPPED.lower().encode(), str(sum(entry.dropped.values())).encode()))
    if not entry.mvt:
        return found
    length = str(len(entry.packed[coding])).encode()
    found += [(b"content-type", MVT.encode()), (b"content-length", length)]
    if coding != IDENTITY:
        found.append((b"content-encoding", coding.encode()))
    return found


def tags_in(header: str) -> list[str]:
    """Return the entity tags of If-None-Match."""
    return [one.strip() for one in header.split(",")] if header else []


@dataclass(frozen=True, slots=True)
class _Form:
    """What the tiles of an address have in common, wherever they lie."""

    asked: Hashable
    queries: tuple[FeatureQuery, ...]
    with_roads: bool


class Known:
    """What addresses ask for: path, query string and role scope of a tile, by what they mean.

    Of `/tiles/{layers}/{z}/{x}/{y}.mvt` one tile tells what all others with the same layers and
    the same query string mean.
    """

    def __init__(self) -> None:
        self._questions: OrderedDict[tuple[str, bytes, bool], Question] = OrderedDict()
        self._bytes = 0
        self._forms: OrderedDict[tuple[str, bytes, bool], _Form] = OrderedDict()

    def find(self, path: str, query: bytes, *, restricted: bool) -> Question | None:
        """Return what was remembered, or follows from it."""
        found = self._questions.get((path, query, restricted))
        if found is not None:
            return found
        parts = _PATH.fullmatch(path)
        form = None if parts is None else self._forms.get((parts[1], query, restricted))
        if parts is None or form is None:
            return None
        try:
            place = address(WEB_MERCATOR_QUAD, *(int(one) for one in parts.groups()[1:]))
        except NotFoundError:
            return None  # the application says it in words
        question = Question(form.asked, form.queries, place, form.with_roads)
        self._keep(path, query, question, restricted=restricted)
        return question

    def remember(self, path: str, query: bytes, question: Question, *, restricted: bool) -> None:
        """Remember what an address asks for: nothing but the address and the scope may decide."""
        self._keep(path, query, question, restricted=restricted)
        parts = _PATH.fullmatch(path)
        if parts is not None and question.weight_bytes <= _FORM_BYTES:
            form = _Form(question.asked, question.queries, question.with_roads)
            self._forms[parts[1], query, restricted] = form
            if len(self._forms) > _MOST_FORMS:
                self._forms.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._questions.clear()
        self._forms.clear()
        self._bytes = 0

    def _keep(self, path: str, query: bytes, question: Question, *, restricted: bool) -> None:
        if (path, query, restricted) in self._questions:
            return
        self._questions[path, query, restricted] = question
        self._bytes += _QUESTION_BYTES + question.weight_bytes
        while self._bytes > _MOST_BYTES:
            _, gone = self._questions.popitem(last=False)
            self._bytes -= _QUESTION_BYTES + gone.weight_bytes


class TileEdge:
    """Answers what is at hand; everything else goes on to the application."""

    def __init__(
        self,
        app: ASGIApp,
        tiles: TileService,
        keys: KeyRing,
        known: Known,
        *,
        origins: Sequence[str],
        exposed: Sequence[str],
    ) -> None:
        self._app, self._tiles, self._keys, self._known = app, tiles, keys, known
        self._origins = frozenset(origins)
        # A random id for each answer would take a third of its time.
        self._prefix, self._numbers = uuid.uuid4().hex[:20].encode(), count()
        self._exposed = ", ".join(exposed).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if (
            scope["type"] == "http"
            and _MARK in scope["path"]
            and scope["method"] in ("GET", "HEAD")
            and (question := self._question(scope)) is not None
        ):
            found = self._answer(scope, question)
            if found is None:
                try:
                    made = await self._made(question, scope, receive)
                except LeftError:
                    return  # nobody is there to be answered
                found = None if made is None else self._answer(scope, question, made)
            if found is not None:
                start, body = found
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
        await self._app(scope, receive, send)

    def _question(self, scope: Scope) -> Question | None:
        """Return what is asked for, where that is known."""
        headers = dict(scope["headers"])
        if b"x-request-id" in headers:
            return None  # an id of the caller's own is checked by the application
        restricted = self._restricted(headers)
        if restricted is None:
            return None
        return self._known.find(scope["path"], scope["query_string"], restricted=restricted)

    async def _made(self, question: Question, scope: Scope, receive: Receive) -> Entry | None:
        """Have a tile made and packed; None: the application shall say what is the matter.

        Raises
        ------
        LeftError
            The client did not wait for it.
        """
        if not self._tiles.feed.fresh:
            return None
        encodings = dict(scope["headers"]).get(b"accept-encoding", b"")
        work = asyncio.create_task(self._ready(question, encodings))
        left = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise LeftError
            # A tile that took long to fail is not tried once more.
            scope[TRIED] = question.key, work
            if work.exception() is not None:
                return None
            entry, current = work.result()
            return entry if current else None
        finally:
            work.cancel()
            left.cancel()

    async def _ready(self, question: Question, encodings: bytes) -> tuple[Entry, bool]:
        entry, current = await self._tiles.get(question)
        await self._tiles.packed(entry, accepted_bytes(encodings))
        return entry, current

    def _answer(
        self, scope: Scope, question: Question, made: Entry | None = None
    ) -> tuple[Message, bytes] | None:
        """Return the answer with what is at hand, or with what was just made."""
        headers = dict(scope["headers"])
        # As RequestId adds them, which this answer does not pass.
        extra: Headers = [
            (b"x-request-id", b"%s%012x" % (self._prefix, next(self._numbers))),
            (b"x-content-type-options", b"nosniff"),
        ]
        if self._origins and b"origin" in headers:
            extra += self._cors(headers[b"origin"].decode("latin-1"))
        entry = self._tiles.at_hand(question) if made is None else made
        known = headers.get(b"if-none-match")
        if known is not None and (tag := self._confirmed(question, entry, known)) is not None:
            self._tiles.count(question, "confirmed")
            return _start(304, [*shared_headers(question, tag), *extra]), b""
        coding = accepted_bytes(headers.get(b"accept-encoding", b""))
        if entry is not None and len(entry.mvt) < LEAST_BYTES:
            coding = IDENTITY
        body = None if entry is None else entry.packed.get(coding)
        if entry is None or body is None:
            return None
        if made is None:
            self._tiles.count(question, "memory")
        found = [*headers_of(self._tiles, entry, coding), *extra]
        if scope["method"] == "HEAD":
            body = b""
        return _start(200 if entry.mvt else 204, found), body

    def _confirmed(self, question: Question, entry: Entry | None, header: bytes) -> str | None:
        """Return the tag in If-None-Match that still holds."""
        if entry is not None and header in entry.tags:
            return header.decode("latin-1")
        for tag in tags_in(header.decode("latin-1")):
            if self._tiles.confirm(question, tag):
                return tag
        return None

    def _restricted(self, headers: Mapping[bytes, bytes]) -> bool | None:
        """Say whether the caller may read restricted fields; None where memory does not tell."""
        token = headers.get(b"x-api-key")
        if b"authorization" in headers:
            scheme, _, token = headers[b"authorization"].partition(b" ")
            if scheme.lower() != b"bearer":
                return None
        if token is None:
            return False
        caller = self._keys.recognise(token.decode("latin-1").strip())
        return None if caller is None else caller.reads_restricted

    def _cors(self, origin: str) -> Headers:
        """Return what CORSMiddleware adds: the application's own settings decide."""
        if "*" in self._origins:
            allowed = b"*"
        elif origin in self._origins:
            allowed = origin.encode("latin-1")
        else:
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", self._exposed),
            (b"vary", b"Origin"),
        ]


async def _left(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _start(status: int, headers: Headers) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}
