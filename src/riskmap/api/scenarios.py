"""Scenarios: what somebody supposes, named and stored, and what it would change.

Anybody may read and compare them; an editor or an analyst writes them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.access.keys import Caller, KeyRole
from riskmap.analysis.coverage import MAX_LISTED, CoverageQuery
from riskmap.analysis.scenario_ground import checked_scenario
from riskmap.analysis.scenario_store import (
    StoredScenario,
    add_scenario,
    change_scenario,
    delete_scenario,
    find_scenario,
    list_scenarios,
)
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Who, decode_cursor, encode_cursor, integer, needs, parameters
from riskmap.api.links import JSON, address, base, cache_headers
from riskmap.api.preconditions import if_match, version_tag
from riskmap.crs.datum import Datum
from riskmap.db.sessions import Actor
from riskmap.roads.load import roads_revision

PREFIX: Final = "/analysis/scenarios"
router = APIRouter(prefix=PREFIX, tags=["scenarios"])
PATHS: Final = re.compile(
    rf"{PREFIX}(/.*)?|/analysis/(response-circles|nearest|coverage|coverage-runs)"
)
# 100,000 vertices with seven decimals, 27 bytes each, are 2.7 MB.
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_MAX_ID: Final = 2**63 - 1

Writer = Annotated[Caller, Depends(needs(KeyRole.EDITOR, KeyRole.ANALYST))]


class ScenarioBody(BaseModel):
    """A scenario to store."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=r"\S", description="名称 unique")
    note: str | None = Field(default=None, max_length=2000)
    scenario: dict[str, Any] = Field(description="what is supposed: docs/scenarios.md")
    datum: str | None = Field(default=None, description="wgs84, gcj02, bd09: of its positions")


class CompareBody(BaseModel):
    """How to compare a stored scenario with the city as it is."""

    model_config = ConfigDict(extra="forbid")

    minutes: float = Field(default=15, description="in reach: within so many after the alarm")
    limit: int = Field(default=200, description=f"of each list, 0 … {MAX_LISTED}")
    datum: str | None = None


class CompareAnyBody(CompareBody):
    """How to compare a stored scenario, or one of the request itself."""

    scenario: int | str | dict[str, Any] = Field(
        description="id of a stored scenario, or a scenario: docs/scenarios.md"
    )


class CompareInlineBody(CompareBody):
    """How to compare a scenario of the request itself."""

    scenario: dict[str, Any] = Field(description="what is supposed: docs/scenarios.md")


@router.get("", summary="情景列表 Scenarios", response_model=None)
def scenarios(
    request: Request, ctx: Ctx, who: Who, limit: str | None = None, cursor: str | None = None
) -> Response:
    """List the stored scenarios, a page at a time."""
    del limit, cursor  # declared for OpenAPI, read below
    found = parameters(request, {"limit", "cursor"})
    most = integer(found.get("limit", "100"), "limit", least=1, most=1000)
    after = decode_cursor(found["cursor"]) if "cursor" in found else 0
    with ctx.database.read() as session:
        rows = list_scenarios(session, after=after, limit=most + 1)
    links = [{"href": str(address(request)), "rel": "self", "type": JSON}]
    if len(rows) > most:
        url = address(request).include_query_params(cursor=encode_cursor(rows[most - 1].id))
        links.append({"href": str(url), "rel": "next", "type": JSON})
    body = {"scenarios": [_shown(one, who, content=False) for one in rows[:most]], "links": links}
    return Response(orjson.dumps(body), headers=cache_headers(who), media_type=JSON)


@router.post("", summary="保存情景 Store a scenario", response_model=None, status_code=201)
def create(body: ScenarioBody, request: Request, ctx: Ctx, who: Writer) -> Response:
    """Store a scenario under a name; all that it names must be there."""
    parameters(request, set())
    content, revision = _content(ctx, body)
    with ctx.database.write(_actor(request, who)) as session:
        made = add_scenario(
            session,
            name=body.name.strip(),
            note=body.note,
            content=content,
            network_revision=revision,
            actor=who.name,
        )
    return _written(request, made, who, 201)


@router.get("/{scenario_id}", summary="一个情景 One scenario", response_model=None)
def scenario(scenario_id: str, request: Request, ctx: Ctx, who: Who) -> Response:
    """Return a scenario with its version as its ETag."""
    parameters(request, set())
    with ctx.database.read() as session:
        found = find_scenario(session, _number(scenario_id))
    return _written(request, found, who, 200)


@router.put("/{scenario_id}", summary="修改情景 Change a scenario", response_model=None)
def change(
    scenario_id: str, body: ScenarioBody, request: Request, ctx: Ctx, who: Writer
) -> Response:
    """Replace a scenario; If-Match says which version it was."""
    parameters(request, set())
    number, expected = _number(scenario_id), if_match(request)
    content, revision = _content(ctx, body)
    with ctx.database.write(_actor(request, who)) as session:
        made = change_scenario(
            session,
            number,
            expected=expected,
            name=body.name.strip(),
            note=body.note,
            content=content,
            network_revision=revision,
        )
    return _written(request, made, who, 200)


@router.delete(
    "/{scenario_id}", summary="删除情景 Delete a scenario", response_model=None, status_code=204
)
def remove(scenario_id: str, request: Request, ctx: Ctx, who: Writer) -> Response:
    """Delete a scenario; If-Match says which version it was. The audit keeps its content."""
    parameters(request, set())
    number, expected = _number(scenario_id), if_match(request)
    with ctx.database.write(_actor(request, who)) as session:
        delete_scenario(session, number, expected=expected)
    return Response(status_code=204, headers=cache_headers(who))


@router.post("/{scenario_id}/compare", summary="比较情景 Compare", response_model=None)
def compare(scenario_id: str, body: CompareBody, request: Request, ctx: Ctx) -> Response:
    """Say what a stored scenario changes: who is newly out of reach, and who is reached later."""
    parameters(request, set())
    return _compared(ctx, _number(scenario_id), body)


@router.post("/compare", summary="比较设想 Compare without storing", response_model=None)
def compare_inline(body: CompareInlineBody, request: Request, ctx: Ctx) -> Response:
    """Say what a scenario of the request itself changes."""
    parameters(request, set())
    return _compared(ctx, body.scenario, body)


def _compared(ctx: Context, value: int | dict[str, Any], body: CompareBody) -> Response:
    asked = CompareAnyBody(**{**body.model_dump(), "scenario": value})
    watch = Stopwatch()
    found, datum = told(ctx.analysis, asked, watch)
    return answer(found, JSON, watch, datum)


def told(
    analysis: AnalysisService, body: CompareAnyBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    datum = read_city_datum(analysis.ground, body.datum)
    with watch.stage("scenario"):
        changed = analysis.under(body.scenario, datum)
    query = CoverageQuery(minutes=body.minutes, limit=body.limit)
    return analysis.compare(changed, query, watch), datum


def _content(ctx: Context, body: ScenarioBody) -> tuple[dict[str, Any], str | None]:
    """Return what is stored: checked, in WGS 84, and for which network."""
    datum = read_city_datum(ctx, body.datum)
    found = checked_scenario(ctx.analysis.ground, body.scenario, datum)
    with ctx.database.read() as session:
        return found.to_json(), roads_revision(session)


def _number(scenario_id: str) -> int:
    return integer(scenario_id, "scenario_id", least=0, most=_MAX_ID)


def _actor(request: Request, who: Caller) -> Actor:
    return Actor(who.name, request.scope.get("riskmap.request_id"))


def _shown(found: StoredScenario, who: Caller, *, content: bool) -> dict[str, Any]:
    """Return a scenario for its reader; names of people are for holders of a key."""
    body: dict[str, Any] = {
        "id": found.id,
        "name": found.name,
        "note": found.note,
        "network_revision": found.network_revision,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "version": found.version,
    }
    if who.role is not None:
        body["created_by"] = found.created_by
    if content:
        body |= {"datum": Datum.WGS84.value, "scenario": found.content}
    return body


def _written(request: Request, made: StoredScenario, who: Caller, status: int) -> Response:
    headers = {"ETag": version_tag(made.version)}
    if status == 201:
        headers["Location"] = f"{base(request)}{PREFIX}/{made.id}"
    body = orjson.dumps(_shown(made, who, content=True))
    return Response(body, status, cache_headers(who, **headers), media_type=JSON)
