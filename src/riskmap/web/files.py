"""The page's built files under /static/."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from riskmap.web.page import BUILT, INDEX, POLICY, headers_with

# The build puts a hash of the bytes into a name: app-3F9A21BC.js is the same for ever.
_HASHED: Final = re.compile(r"-[0-9A-Z]{8}\.[a-z]+\Z")
# Said here, since the tables of Python and of the machine differ: a browser runs no module that
# comes as text/plain.
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


class FilesRoute(Route):
    """The files of the build; what is none of them is 404: folders, the page itself, all else."""

    def __init__(self, folder: Path = BUILT, *, policy: str = POLICY) -> None:
        headers = headers_with(policy)
        # The folder may be built after the start.
        files = StaticFiles(directory=folder, check_dir=False)

        async def endpoint(request: Request) -> Response:
            path: str = request.path_params["path"]
            name = os.path.normpath(path.lstrip("/"))
            # Without its texts the page would not know a word.
            if name == INDEX:
                raise HTTPException(404)
            found = await files.get_response(name, request.scope)
            kept = "public, max-age=31536000, immutable" if _HASHED.search(name) else "no-cache"
            found.headers.update({**headers, "Cache-Control": kept})
            media = _TYPES.get(Path(name).suffix)
            if media is not None and "content-type" in found.headers:
                found.headers["content-type"] = media
            return found

        super().__init__("/static/{path:path}", endpoint, methods=["GET"], include_in_schema=False)
