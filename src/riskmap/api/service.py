"""The service about itself: alive, ready, who am I, what was changed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from sqlalchemy import text

from riskmap.access.keys import Caller
from riskmap.access.store import read_audit
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Who, integer, needs, parameters
from riskmap.db.migrate import code_head
from riskmap.errors import UnavailableError

router = APIRouter(tags=["service"])
health = APIRouter(tags=["service"])

_PATIENCE_S = 5.0
_looks: Final[set[asyncio.Task[Any]]] = set()  # the loop itself keeps none alive

_T = TypeVar("_T")

NO_STORE = {"Cache-Control": "no-store"}


@health.get("/livez", summary="存活 Alive")
async def livez() -> dict[str, str]:
    """Say that the process answers; asks nothing of the database."""
    return {"status": "ok"}


@health.get("/readyz", summary="就绪 Ready", response_model=None)
async def readyz(ctx: Ctx) -> Response:
    """Say whether requests can be answered: database reached, schema right."""
    current, has_city = await _in_time(_looked(ctx))
    head = code_head()
    if current != head:
        raise UnavailableError("schema.not_ready", current=current, head=head)
    body = {
        "status": "ok",
        "city": has_city,
        "roads": await run_in_threadpool(ctx.analysis.roads_state),
        "schema": current,
        "feed": {"revision": ctx.feed.position, "fresh": ctx.feed.fresh},
    }
    return JSONResponse(body, headers=NO_STORE)


async def _looked(ctx: Context) -> tuple[str | None, bool]:
    """Return the database's schema, and whether it has a city."""
    async with ctx.database.read_async() as session:
        # Asking a database that was never migrated for the table's rows would be a fault.
        stands = await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        if not stands.scalar_one():
            raise UnavailableError("schema.not_ready", current="-", head=code_head())
        current = (
            await session.execute(text("SELECT version_num FROM alembic_version"))
        ).scalar_one_or_none()
        has_city = (await session.execute(text("SELECT count(*) FROM city"))).scalar_one() > 0
    return current, has_city


async def _in_time(work: Coroutine[Any, Any, _T]) -> _T:
    """Call a database that does not answer away: one that hangs ends no statement by itself."""
    task = asyncio.create_task(work)
    _looks.add(task)
    task.add_done_callback(_ended)
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE_S)
    if not done:
        # Not awaited: of a database that hangs the cancelling hangs as well.
        task.cancel()
        raise UnavailableError("database.away")
    return task.result()


def _ended(task: asyncio.Task[Any]) -> None:
    _looks.discard(task)
    if not task.cancelled():
        task.exception()  # asked for: nobody may be waiting for it any more


@router.get("/me", summary="调用者 Who am I", response_model=None)
async def me(who: Who) -> Response:
    """Say as whom the caller is known and what it may do."""
    body = {"name": who.name, "role": who.role, "reads_restricted": who.reads_restricted}
    return JSONResponse(body, headers={"Cache-Control": "private, no-store"})


@router.get("/audit", summary="审计 Audit", response_model=None)
async def audit(
    request: Request,
    ctx: Ctx,
    who: Annotated[Caller, Depends(needs())],
    limit: str | None = None,
    before: str | None = None,
) -> Response:
    """List changes, the newest first (role admin)."""
    del who, limit, before
    found = parameters(request, {"limit", "before"})
    most = integer(found.get("limit", "100"), "limit", least=1, most=1000)
    below = (
        integer(found["before"], "before", least=1, most=2**63 - 1) if "before" in found else None
    )
    async with ctx.database.read_async() as session:
        rows = await read_audit(session, limit=most, before=below)
    return JSONResponse({"audit": jsonable_encoder(rows)}, headers=NO_STORE)
