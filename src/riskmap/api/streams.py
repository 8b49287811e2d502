"""Answers that are sent while the database still reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


class Stream(StreamingResponse):
    """A streamed answer that ends by a deadline, however slowly its reader takes it.

    Past it the connection is cut: the client sees a body without its end, which no JSON parser
    takes for whole. Whatever ends it, the pieces are closed at once, and with them their session.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncIterator[bytes],
        *,
        media_type: str,
        headers: Mapping[str, str],
        deadline_s: float,
    ) -> None:
        super().__init__(_from(first, rest), media_type=media_type, headers=headers)
        self._rest, self._deadline_s = rest, deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await super().__call__(scope, receive, send)
        finally:
            close = getattr(self._rest, "aclose", None)
            if close is not None:
                await close()
