"""OGC API - Processes Part 1 (18-062r2) over the analyses.

Whoever may ask a route may run its process and wait for it. What runs by itself takes a worker's
time and the database's room: for that a key is needed, and for the list of all jobs. A job's own
address cannot be guessed; who was told it may read it, and what an analysis gives is public.
"""

from __future__ import annotations

import gzip
import re
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row
from starlette.concurrency import run_in_threadpool

from riskmap.access.keys import Caller, KeyRole
from riskmap.analysis import process_store as store
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.deps import Ctx, Language, Who, integer, needs, number, parameters
from riskmap.api.links import JSON, address, base, link
from riskmap.api.problems import problem
from riskmap.api.process_list import PROCESSES, RESULT, execute, find, results
from riskmap.api.taken_analysis import JOBS_ASKED
from riskmap.api.times import read_interval
from riskmap.db.sessions import Actor
from riskmap.errors import InputError, NotFoundError, RiskmapError
from riskmap.i18n import Lang, say

router = APIRouter(tags=["processes"])

_SPEC: Final = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
CONFORMANCE: Final = tuple(
    f"{_SPEC}/{one}"
    for one in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss")
)
_REL: Final = "http://www.opengis.net/def/rel/ogc/1.0"
LIST, RESULTS, EXECUTE = (f"{_REL}/{name}" for name in ("processes", "results", "execute"))
PATHS: Final = re.compile(r"/processes/[^/]+/execution")
_NO_STORE: Final = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
_ROLES: Final = needs(KeyRole.EDITOR, KeyRole.ANALYST)
Analyst = Annotated[Caller, Depends(_ROLES)]
_ID: Final = 2**63 - 1


class OutputBody(BaseModel):
    """How an output is wanted."""

    model_config = ConfigDict(extra="forbid")

    transmissionMode: Literal["value"] = "value"  # noqa: N815 - the standard's name
    format: dict[str, Any] | None = None


class ExecuteBody(BaseModel):
    """A request to run a process."""

    model_config = ConfigDict(extra="forbid")

    inputs: dict[str, Any] = Field(default={}, description="as the process describes them")
    outputs: dict[str, OutputBody] | None = Field(default=None, description="none: all")
    response: Literal["raw", "document"] = Field(
        default="raw", description="the output itself, or the document of results"
    )


@router.get("/processes", summary="处理列表 Processes", response_model=None)
def processes(request: Request, ctx: Ctx, lang: Language) -> Response:
    """List the processes."""
    asked = parameters(request, {"limit", "offset"})
    most = integer(asked.get("limit", "100"), "limit", least=1, most=1000)
    offset = integer(asked.get("offset", "0"), "offset", least=0, most=1000)
    root = f"{base(request)}/processes"
    listed = list(PROCESSES.values())
    found = [
        {**one.summary(lang), "links": [link(f"{root}/{one.id}", "self", JSON)]}
        for one in listed[offset : offset + most]
    ]
    links = [link(str(address(request)), "self", JSON)]
    if offset + most < len(listed):
        following = address(request).include_query_params(limit=most, offset=offset + most)
        links.append(link(str(following), "next", JSON))
    return _json({"processes": found, "links": links})


@router.get("/processes/{process_id}", summary="一项处理 One process", response_model=None)
def described(process_id: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """Return inputs, outputs and job control of a process."""
    parameters(request, set())
    process, here = find(process_id), f"{base(request)}/processes/{process_id}"
    links = [link(here, "self", JSON), link(f"{here}/execution", EXECUTE, JSON)]
    return _json({**process.description(lang), "links": links})


@router.post("/processes/{process_id}/execution", summary="执行 Execute", response_model=None)
async def executed(
    process_id: str, body: ExecuteBody, request: Request, ctx: Ctx, who: Who, lang: Language
) -> Response:
    """Run a process: wait for it, or with `Prefer: respond-async` be told where to look."""
    parameters(request, set())
    if not _prefers_async(request):
        return await run_in_threadpool(_waited, process_id, body, ctx)
    return await run_in_threadpool(_queued, process_id, body, request, ctx, await _ROLES(who), lang)


def _waited(process_id: str, body: ExecuteBody, ctx: Ctx) -> Response:
    process = find(process_id)
    _check_outputs(process_id, body)
    watch = Stopwatch()
    output = execute(ctx.analysis, process_id, body.inputs, watch)
    headers = {**_NO_STORE, "Server-Timing": watch.header()}
    if body.response == "document":
        return Response(results(process, output), 200, headers, media_type=JSON)
    return Response(output, 200, headers, media_type=process.media)


def _queued(
    process_id: str, body: ExecuteBody, request: Request, ctx: Ctx, who: Caller, lang: Lang
) -> Response:
    _check_outputs(process_id, body)
    # What can be told at once is not left for a job to find.
    find(process_id).read(body.inputs)
    actor = Actor(who.name, request.scope.get("riskmap.request_id"))
    with ctx.database.write(actor) as session:
        name = store.queue_job(session, process_id, body.inputs, body.response, actor)
    ctx.jobs.wake()
    with ctx.database.read() as session:
        row = store.get_job(session, name)
    headers = {"Location": f"{base(request)}/jobs/{name}", "Preference-Applied": "respond-async"}
    return _json(_status(request, row, lang), 201, **headers)


def _prefers_async(request: Request) -> bool:
    """Say whether the caller would rather not wait (RFC 7240); other preferences are let be."""
    said = ",".join(request.headers.getlist("prefer")).split(",")
    return any(one.partition(";")[0].strip().lower() == "respond-async" for one in said)


def _check_outputs(process_id: str, body: ExecuteBody) -> None:
    """Refuse an output that there is not, or in a form that it does not have."""
    process = find(process_id)
    for name, wanted in (body.outputs or {}).items():
        if name != RESULT:
            raise InputError(
                "process.output", parameter=f"outputs.{name[:60]}", value=name[:60], known=RESULT
            )
        media = (wanted.format or {}).get("mediaType", process.media)
        if media != process.media:
            where = f"outputs.{name}.format.mediaType"
            raise InputError(
                "parameter.value", parameter=where, value=str(media)[:60], expected=process.media
            )


@router.get("/jobs", summary="作业列表 Jobs", response_model=None)
def jobs(request: Request, ctx: Ctx, who: Analyst, lang: Language) -> Response:
    """List the jobs of processes, the newest first."""
    del who
    asked = _asked(request)
    with ctx.database.read() as session:
        rows = store.list_jobs(session, asked)
    links = [link(str(address(request)), "self", JSON)]
    if len(rows) == asked.limit:
        following = address(request).include_query_params(before=rows[-1].job_id)
        links.append(link(str(following), "next", JSON))
    return _json({"jobs": [_status(request, row, lang) for row in rows], "links": links})


def _asked(request: Request) -> store.Asked:
    """Read which jobs are asked for."""
    found = parameters(request, {one.name for one in JOBS_ASKED})
    kinds = found.get("type", "process").split(",")
    statuses = tuple(found["status"].split(",")) if "status" in found else ()
    for name, values, known in (
        ("type", kinds, ("process",)),
        ("status", statuses, tuple(store.STATUS.values())),
    ):
        for value in values:
            if value not in known:
                expected = ", ".join(known)
                raise InputError(
                    "parameter.value", parameter=name, value=value[:40], expected=expected
                )
    times = read_interval(found["datetime"]) if "datetime" in found else None
    shortest, longest = (
        number(found[name], name) if name in found else None
        for name in ("minDuration", "maxDuration")
    )
    return store.Asked(
        processes=tuple(found["processID"].split(",")) if "processID" in found else (),
        statuses=statuses,
        began=None if times is None else times.start,
        ended=None if times is None else times.end,
        least_s=shortest,
        most_s=longest,
        before=integer(found["before"], "before", least=1, most=_ID) if "before" in found else None,
        limit=integer(found.get("limit", "100"), "limit", least=1, most=1000),
    )


@router.get("/jobs/{job_id}", summary="一项作业 One job", response_model=None)
def job(job_id: str, request: Request, ctx: Ctx, lang: Language) -> Response:
    """Return the status of a job."""
    parameters(request, set())
    with ctx.database.read() as session:
        row = store.get_job(session, job_id)
    return _json(_status(request, row, lang))


@router.get("/jobs/{job_id}/results", summary="作业结果 Results of a job", response_model=None)
def job_results(job_id: str, request: Request, ctx: Ctx) -> Response:
    """Return what a job gave, as it was asked for; of one that failed, why."""
    parameters(request, set())
    with ctx.database.read() as session:
        row = store.get_job(session, job_id)
        if row.dismissed_at is None and row.status in ("queued", "running"):
            raise NotFoundError("process.not_ready", parameter="jobID", value=job_id)
        if row.dismissed_at is None and row.status == "failed":
            why = row.problem
            error = RiskmapError(why["key"], parameter=why["parameter"], **why["values"])
            return problem(error, request, why["status"])
        output = gzip.decompress(store.read_result(session, job_id))
    process = find(row.process)
    if row.response == "document":
        return Response(results(process, output), 200, _NO_STORE, media_type=JSON)
    return Response(output, 200, _NO_STORE, media_type=process.media)


@router.delete("/jobs/{job_id}", summary="撤销作业 Dismiss a job", response_model=None)
def dismissed(job_id: str, request: Request, ctx: Ctx, who: Analyst, lang: Language) -> Response:
    """Stop a job if it waits or runs, and remove what it gave."""
    parameters(request, set())
    actor = Actor(who.name, request.scope.get("riskmap.request_id"))
    with ctx.database.write(actor) as session:
        row = store.dismiss(session, job_id)
    return _json(_status(request, row, lang))


def _status(request: Request, row: Row[Any], lang: Lang) -> dict[str, Any]:
    """Return a job in the words of the standard."""
    here = f"{base(request)}/jobs/{row.id}"
    status = "dismissed" if row.dismissed_at is not None else store.STATUS[row.status]
    ended = row.dismissed_at or row.finished_at
    links = [link(here, "self", JSON)]
    told: dict[str, Any] = {
        "processID": row.process,
        "type": "process",
        "jobID": str(row.id),
        "status": status,
        "message": say(f"process.{status}", lang),
        "created": row.created_at,
        "started": row.started_at,
        "finished": ended,
        "updated": ended or row.heartbeat_at or row.started_at or row.created_at,
    }
    if status == "running" and row.progress is not None:
        told["message"] = say("process.stage", lang, stage=row.progress["stage"])
    if status == "failed":
        why = row.problem
        told["message"] = RiskmapError(why["key"], **why["values"]).text(lang)
    if status in ("successful", "failed"):
        links.append(link(f"{here}/results", RESULTS, JSON))
    if status == "successful":
        told["progress"] = 100
    plain: dict[str, Any] = jsonable_encoder(told)
    return {name: one for name, one in plain.items() if one is not None} | {"links": links}


def _json(body: dict[str, Any], status: int = 200, **headers: str) -> Response:
    return Response(orjson.dumps(body), status, {**_NO_STORE, **headers}, media_type=JSON)
