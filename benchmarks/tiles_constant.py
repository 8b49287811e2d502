"""A body of a size, by a raw ASGI function and by a plain FastAPI route: what the server can do."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, Response

BODY = os.urandom(int(os.environ["BODY_BYTES"]))
_HEADERS = [(b"content-type", b"application/x"), (b"content-length", str(len(BODY)).encode())]
_route = FastAPI()


@_route.get("/route/{name}")
async def route(name: str) -> Response:
    del name
    return Response(BODY, media_type="application/x")


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"].startswith("/raw"):
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": BODY})
    else:
        await _route(scope, receive, send)
