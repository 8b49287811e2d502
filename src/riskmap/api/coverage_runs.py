"""Coverage that is kept: runs, their rows, what differs between two, and whether it still holds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field
from sqlalchemy import Row

from riskmap.access.keys import Caller, KeyRole
from riskmap.analysis import coverage_store as store
from riskmap.analysis.coverage_features import geojson, table
from riskmap.analysis.coverage_job import reproduce
from riskmap.analysis.scenario_ground import content_of
from riskmap.api.coverage import MAX_FEATURES, CoverageBody, query_of
from riskmap.api.deps import Ctx, Language, integer, needs, parameters
from riskmap.api.links import GEOJSON, address, base, link
from riskmap.api.problems import problem_body
from riskmap.api.query import flag
from riskmap.api.summary import CSV
from riskmap.api.tile_edge import MVT
from riskmap.crs.datum import Datum
from riskmap.db.sessions import Actor
from riskmap.errors import ConflictError, InputError, RiskmapError
from riskmap.i18n import Lang
from riskmap.jobs import store as jobs
from riskmap.tiles import coverage as tiles
from riskmap.tiles.grid import WEB_MERCATOR_QUAD
from riskmap.tiles.grid import address as tile_address

router = APIRouter(prefix="/analysis/coverage-runs", tags=["analysis"])

Analyst = Annotated[Caller, Depends(needs(KeyRole.EDITOR, KeyRole.ANALYST))]
_ID: Final = 2**63 - 1
_NO_STORE: Final = {"Cache-Control": "no-store"}


class RunBody(CoverageBody):
    """What a run is asked with."""

    name: str | None = Field(default=None, max_length=200, description="a name for people")


@router.post("", summary="存一次覆盖计算 Keep a coverage", response_model=None)
def start(body: RunBody, request: Request, ctx: Ctx, who: Analyst, lang: Language) -> Response:
    """Queue a run; `Location` says where it can be watched."""
    parameters(request, set())
    query = query_of(body, ctx.database)
    query.targets(ctx.catalog)
    asked = query.to_json() | {"scenario": content_of(ctx.analysis.ground, body.scenario)}
    actor = Actor(who.name, request.scope.get("riskmap.request_id"))
    with ctx.database.write(actor) as session:
        run_id = store.queue_run(session, asked, body.name, actor)
    ctx.jobs.wake()
    headers = {**_NO_STORE, "Location": f"/analysis/coverage-runs/{run_id}"}
    return JSONResponse(_shown(request, _find(ctx, str(run_id)), lang), 202, headers)


@router.get("", summary="覆盖计算列表 Coverage runs", response_model=None)
def listed(request: Request, ctx: Ctx, lang: Language) -> Response:
    """List runs, the newest first, without their sums."""
    found = parameters(request, {"limit", "before"})
    most = integer(found.get("limit", "100"), "limit", least=1, most=1000)
    below = integer(found["before"], "before", least=1, most=_ID) if "before" in found else None
    with ctx.database.read() as session:
        rows = store.list_runs(session, most, below)
    shown = [_shown(request, row, lang, whole=False) for row in rows]
    return JSONResponse({"runs": shown}, headers=_NO_STORE)


@router.get("/{run_id}", summary="一次覆盖计算 One coverage run", response_model=None)
def one(run_id: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """Return parameters, inputs, progress and sums of a run."""
    parameters(request, set())
    return JSONResponse(_shown(request, _find(ctx, run_id), lang), headers=_NO_STORE)


@router.delete("/{run_id}", summary="删除 Delete a coverage run", response_model=None)
def delete(run_id: str, request: Request, ctx: Ctx, who: Analyst) -> Response:
    """Delete a run and its rows."""
    parameters(request, set())
    number = integer(run_id, "id", least=1, most=_ID)
    with ctx.database.write(Actor(who.name, request.scope.get("riskmap.request_id"))) as session:
        store.delete_run(session, number)
    return Response(status_code=204)


@router.post("/{run_id}/cancel", summary="取消 Cancel a coverage run", response_model=None)
def cancel(run_id: str, request: Request, ctx: Ctx, who: Analyst, lang: Language) -> Response:
    """Cancel a run that waits or runs; nothing of it is kept but that it was asked for."""
    parameters(request, set())
    row = _find(ctx, run_id)
    if row.status not in jobs.OPEN:
        raise ConflictError("jobs.ended", parameter="id", value=row.id, status=row.status)
    actor = Actor(who.name, request.scope.get("riskmap.request_id"))
    with ctx.database.write(actor) as session:
        job = jobs.ask_cancel(session, row.job_id)
        if job.status == "cancelled":
            ctx.coverage_kind.ended(session, job)
    return JSONResponse(_shown(request, _find(ctx, run_id), lang), 202, _NO_STORE)


@router.get("/{run_id}/features", summary="逐点结果 Rows of a run", response_model=None)
def features(run_id: str, request: Request, ctx: Ctx) -> Response:
    """Return the rows of a run as GeoJSON or CSV, as they were when it ran."""
    asked = parameters(request, {"limit", "offset", "f", "bom"})
    form = asked.get("f", "geojson")
    if form not in ("geojson", "csv"):
        raise InputError("parameter.value", parameter="f", value=form[:40], expected="geojson, csv")
    mark = flag(asked.get("bom", "false"), "bom")
    offset = integer(asked.get("offset", "0"), "offset", least=0, most=2**31)
    limit = integer(asked.get("limit", "1000"), "limit", least=1, most=MAX_FEATURES)
    number = integer(run_id, "id", least=1, most=_ID)
    with ctx.database.read() as session:
        run = store.done_run(session, number)
        total = store.count_rows(session, number)
        rows = list(store.read_rows(session, number, offset, limit))
    headers, links = dict(_NO_STORE), []
    if offset + limit < total:
        following = address(request).include_query_params(offset=offset + limit, limit=limit)
        links = [link(str(following), "next", GEOJSON if form == "geojson" else CSV)]
        headers["Link"] = f'<{following}>; rel="next"'
    if form == "csv":
        pieces = table(rows, Datum.WGS84, mark=mark)
        return StreamingResponse(pieces, media_type=CSV, headers=headers)
    head = {
        "run": number,
        "parameters": run.parameters,
        "inputs": run.inputs,
        "numberMatched": total,
        "numberReturned": len(rows),
        "links": links,
    }
    pieces = geojson(rows, head, Datum.WGS84)
    return StreamingResponse(pieces, media_type=GEOJSON, headers=headers)


@router.get("/{run_id}/compare/{other_id}", summary="比较 Compare two runs", response_model=None)
def compare(run_id: str, other_id: str, request: Request, ctx: Ctx) -> Response:
    """Say what differs between two runs, the second taken for the later."""
    asked = parameters(request, {"limit"})
    limit = integer(asked.get("limit", "200"), "limit", least=0, most=2000)
    first = integer(run_id, "id", least=1, most=_ID)
    second = integer(other_id, "other_id", least=1, most=_ID)
    with ctx.database.read() as session:
        runs = [store.done_run(session, first), store.done_run(session, second, "other_id")]
        found = store.compare(session, first, second, limit)
    body = {
        "first": first,
        "second": second,
        "parameters": [run.parameters for run in runs],
        **found,
    }
    return JSONResponse(jsonable_encoder(body), headers=_NO_STORE)


@router.get("/{run_id}/reproduce", summary="复算 Does a run still hold", response_model=None)
def again(run_id: str, request: Request, ctx: Ctx) -> Response:
    """Compute a run again from what is there now; say whether it is the same, and what changed."""
    parameters(request, set())
    number = integer(run_id, "id", least=1, most=_ID)
    with ctx.database.read() as session:
        run = store.done_run(session, number)
    told = reproduce(ctx.analysis, run.parameters, run.inputs, run.checksum)
    return JSONResponse({"run": number, **told}, headers=_NO_STORE)


@router.get("/{run_id}/tiles/{z}/{x}/{y}.mvt", summary="矢量瓦片 Vector tile of a run")
def tile(run_id: str, z: str, x: str, y: str, request: Request, ctx: Ctx) -> Response:
    """Return one tile of a run's rows; 204 when nothing is in it."""
    parameters(request, set())
    number = integer(run_id, "id", least=1, most=_ID)
    numbers = [
        integer(text, name, least=0, most=2**31) for name, text in (("z", z), ("x", x), ("y", y))
    ]
    statement, bound = tiles.statement(number, tile_address(WEB_MERCATOR_QUAD, *numbers))
    with ctx.database.read() as session:
        store.done_run(session, number)
        body = bytes(session.execute(statement, bound).scalar_one() or b"")
    # The rows of a run never change; the run may be deleted.
    headers = {"Cache-Control": "public, max-age=60"}
    if not body:
        return Response(status_code=204, headers=headers)
    return Response(body, media_type=MVT, headers=headers)


def _find(ctx: Ctx, run_id: str) -> Row[Any]:
    number = integer(run_id, "id", least=1, most=_ID)
    with ctx.database.read() as session:
        return store.get_run(session, number)


def _shown(request: Request, row: Row[Any], lang: Lang, *, whole: bool = True) -> dict[str, Any]:
    """Return a run as JSON."""
    here = f"{base(request)}/analysis/coverage-runs/{row.id}"
    fields = row._asdict()
    why = fields.pop("problem")
    if not whole:
        fields.pop("summary")
    body: dict[str, Any] = jsonable_encoder(fields)
    body["problem"] = None
    if why is not None:
        error = RiskmapError(why["key"], parameter=why["parameter"], **why["values"])
        where = f"/analysis/coverage-runs/{row.id}"
        body["problem"] = problem_body(error, lang, where, why["status"])
    links = [link(here, "self", "application/json")]
    if row.status == "done":
        links += [
            link(f"{here}/features", "items", GEOJSON),
            link(f"{here}/tiles/{{z}}/{{x}}/{{y}}.mvt", "tiles", MVT),
            link(f"{here}/reproduce", "reproduce", "application/json"),
        ]
    elif row.status in jobs.OPEN:
        links.append(link(f"{here}/cancel", "cancel", "application/json"))
    return body | {"links": links}
