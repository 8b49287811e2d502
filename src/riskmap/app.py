"""The only assembly of the service: lifespan, routers, middleware, error handlers."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import parent_process

from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riskmap import __version__
from riskmap.access.ring import KeyRing
from riskmap.analysis import coverage_job, process_job
from riskmap.analysis.coverage_job import CoverageKind
from riskmap.analysis.service import AnalysisService
from riskmap.api import (
    archives,
    circle_tiles,
    circles,
    collections,
    conformance,
    convert,
    coverage,
    coverage_runs,
    edits,
    hazard_levels,
    history,
    imports,
    items,
    metrics,
    nearest,
    openapi,
    overview,
    problems,
    processes,
    reach,
    scenarios,
    schemas,
    search,
    service,
    styles,
    summary,
    surroundings,
    tile_edge,
    tiles,
    tilesets,
)
from riskmap.api.context import Context
from riskmap.api.deps import caller
from riskmap.api.process_list import execute
from riskmap.api.tallies import Exchange
from riskmap.api.tile_edge import Known, TileEdge
from riskmap.catalog.registry import load_catalog
from riskmap.db.feed import Feed
from riskmap.db.sessions import Database
from riskmap.errors import RiskmapError, SetupError
from riskmap.features.exports import Exports
from riskmap.features.extents import Extents
from riskmap.features.formats import OF_PAGE, Way
from riskmap.ingest.folders import Folders
from riskmap.ingest.job import KIND, ImportKind
from riskmap.ingest.run import Limits
from riskmap.jobs.runner import Kind, Runner
from riskmap.roads.graphs import Graphs
from riskmap.settings import Settings, load_settings
from riskmap.tiles.archive_format import MEDIA_TYPE
from riskmap.tiles.cache import TileCache
from riskmap.tiles.folding import Folder
from riskmap.tiles.service import TileService
from riskmap.web.files import FilesRoute
from riskmap.web.page import PageRoute, policy

log = logging.getLogger("riskmap")

# No other request of ours is longer: a hundred starts are 5 kB.
MAX_BODY_BYTES = 64 * 1024
LARGER_BODIES = (
    (re.compile(re.escape(convert.PATH)), convert.MAX_BODY_BYTES),
    (edits.PATHS, edits.MAX_BODY_BYTES),
    (scenarios.PATHS, scenarios.MAX_BODY_BYTES),
    (processes.PATHS, scenarios.MAX_BODY_BYTES),
    (re.compile(re.escape(surroundings.PATH)), surroundings.MAX_BODY_BYTES),
)
# These take files: they count for themselves, and what they take goes to the disk.
UPLOADS = {("POST", "/imports")}

# What scripts of other origins may read of an answer.
EXPOSED = (
    "ETag",
    "Preference-Applied",
    edits.WARNINGS,
    "Location",
    "Content-Disposition",
    "X-Request-ID",
    tile_edge.DROPPED,
    "Content-Crs",
    "X-Datum",
    "Server-Timing",
    "Warning",
    "Accept-Ranges",
    "Content-Range",
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Give each request an id (the caller's own if it is a plain one) and say it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((v for k, v in scope["headers"] if k == b"x-request-id"), b"")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode()
        scope["riskmap.request_id"] = request_id.decode()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, answer)


class HeadAsGet:
    """Answer HEAD as GET without its body (RFC 9110 section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET", "riskmap.head": True}, receive, answer)


def max_body_bytes(path: str) -> int:
    """Return how long the body of a request to this path may be."""
    longer = (most for paths, most in LARGER_BODIES if paths.fullmatch(path))
    return next(longer, MAX_BODY_BYTES)


class BodyLimit:
    """Stop reading a body at its route's limit: it is refused before it is held or parsed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if (scope.get("method"), scope.get("path")) in UPLOADS:
            await self._app(scope, receive, send)
            return
        read = 0
        most = max_body_bytes(scope.get("path", ""))

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, detail=str(most // 1024))
            return message

        await self._app(scope, limited, send)


class Service(FastAPI):
    """The application, with `RequestId` around everything, and tiles at hand before it.

    Starlette keeps its own error handler outside of all added middleware: the answer to an
    internal fault, which needs the id most, would go without it.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the stack."""
        inner = RequestId(BodyLimit(HeadAsGet(super().build_middleware_stack())))
        context: Context = self.state.context
        return TileEdge(
            inner,
            context.tiles,
            context.keys,
            context.known_tiles,
            origins=context.settings.cors_origins,
            exposed=EXPOSED,
        )


def _warm_up(context: Context) -> None:
    try:
        context.analysis.warm_up()
    except RiskmapError as error:
        log.warning("%s", error)


def create_app(settings: Settings) -> FastAPI:
    """Put the service together.

    Raises
    ------
    SetupError
        The settings name no database: `riskmap serve` starts one and names it.
    """
    if settings.database_url is None:
        raise SetupError("database.url", parameter="RISKMAP_DATABASE_URL")
    database = Database(settings.database_url, settings.api_database_url, settings)
    catalog = load_catalog()
    graphs = Graphs(settings.data_dir, database)
    folders = Folders(settings.data_dir)
    imports_kind = ImportKind(
        database,
        catalog,
        folders,
        keep_days=settings.imports_keep_days,
        limits=Limits.of(settings),
    )
    feed = Feed(database)
    ready_tiles = TileService(database, feed, TileCache(settings.tile_cache_mb << 20))
    folder = Folder(database, feed, catalog)
    analysis_service = AnalysisService(database, catalog, graphs)
    coverage_kind = CoverageKind(analysis_service)
    kinds: dict[str, Kind] = {
        KIND: imports_kind,
        coverage_job.KIND: coverage_kind,
        process_job.KIND: process_job.ProcessKind(analysis_service, execute),
    }
    runner = Runner(database, kinds, folders.place)
    context = Context(
        settings,
        database,
        catalog,
        analysis_service,
        folders,
        imports_kind,
        coverage_kind,
        runner,
        Extents(),
        Exports(settings.data_dir / "exports", database),
        feed,
        KeyRing(database, feed),
        ready_tiles,
        Known(),
        Exchange(settings, ready_tiles, feed),
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In a thread: the first page need not wait for the kernels to compile.
        threading.Thread(target=_warm_up, args=(context,), daemon=True).start()
        runner.start()
        context.exports.clear()
        folder.start()
        feed.start()
        context.tallies.start()
        yield
        await context.tallies.stop()
        await feed.stop()
        await folder.stop()
        await context.tiles.stop()
        await run_in_threadpool(runner.stop)
        await database.dispose_async()

    app = Service(
        title="riskmap 城市公共安全风险一张图",
        version=__version__,
        lifespan=lifespan,
        # The stock pages load their scripts from another host.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # ours is at api/openapi.py
    )
    app.state.context = context
    problems.install(app)
    # Before the JSON at /: it takes only those who want HTML.
    allowed = policy(archive=settings.tiles_archive, raster=settings.basemap_origin)
    app.router.routes += [PageRoute(policy=allowed), FilesRoute(policy=allowed)]
    # A key is checked even where the answer would not depend on it: its holder should learn that
    # it is wrong. `health` alone asks nothing of the database.
    checked = [Depends(caller)]
    for router in (
        conformance.router,
        collections.router,
        schemas.router,
        items.router,
        edits.router,
        history.router,
        summary.router,
        search.router,
        overview.router,
        tiles.router,
        tilesets.router,
        archives.router,
        styles.router,
        reach.router,
        scenarios.router,
        processes.router,
        surroundings.router,
        circles.router,
        circle_tiles.router,
        nearest.router,
        coverage.router,
        coverage_runs.router,
        convert.router,
        imports.router,
        hazard_levels.router,
        service.router,
    ):
        app.include_router(router, responses=problems.RESPONSES, dependencies=checked)
    for router in (service.health, metrics.router, openapi.router):
        app.include_router(router, responses=problems.RESPONSES)
    # Level 1 shrinks a circle of 800 kB to a third in 6 ms; level 9 takes 20 times as long for
    # another tenth.
    app.add_middleware(
        GZipMiddleware,
        minimum_size=1024,
        compresslevel=1,
        # Packed already, or asked for by their length.
        exclude_content_types=(
            *DEFAULT_EXCLUDED_CONTENT_TYPES,
            MEDIA_TYPE,
            tile_edge.MVT,
            *(one.media_type for one in OF_PAGE if one.way is Way.SPOOL),
        ),
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "Content-Crs",
                "Prefer",
                "Range",
                "If-Range",
            ],
            expose_headers=EXPOSED,
        )
    return app


def _end_with_parent() -> None:
    """Ask for SIGTERM at the parent's death: an orphan would keep the port from the next start."""
    parent = parent_process()
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent.pid:  # it died before we asked
        raise SystemExit(1)


def from_environment() -> FastAPI:
    """Make the service from the environment: what uvicorn's workers call."""
    _end_with_parent()
    return create_app(load_settings())
