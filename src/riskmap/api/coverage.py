"""What the teams cover: sums over whole layers, and who comes to each feature.

Every answer holds public fields only. These are plain functions: FastAPI runs them in threads, and
the kernels let go of the GIL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from riskmap.analysis.coverage import MAX_LISTED, CoverageQuery
from riskmap.analysis.coverage_features import count_of, geojson, rows_of, table
from riskmap.analysis.coverage_query import LINE_KMH, LayersQuery
from riskmap.analysis.preset_use import coverage_given
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.links import GEOJSON, JSON, address, link
from riskmap.api.query import flag
from riskmap.api.summary import CSV
from riskmap.crs.datum import Datum
from riskmap.db.sessions import Database
from riskmap.errors import InputError

router = APIRouter(prefix="/analysis", tags=["analysis"])

MAX_FEATURES: Final = 10_000
#: What a question about layers is asked with, by address.
ASKED: Final = (
    *("layer", "minutes", "k", "kind", "neighbours", "day_type", "hour", "line_kmh", "limit"),
    "preset",
)
_PLAIN: Final = {"minutes", "limit", "datum", "scenario", "lang"}


class CoverageBody(BaseModel):
    """What the coverage of layers is asked with."""

    model_config = ConfigDict(extra="forbid")

    layer: list[str] = Field(default=[], description="layers; none: all assessed risks")
    minutes: float | None = Field(
        default=None, description="minutes after the alarm; none: the preset's, else 15"
    )
    k: int | None = Field(
        default=None, description="covered when so many teams come in time; none: the preset's or 1"
    )
    preset: str | None = Field(default=None, description="says what is left out: /analysis/presets")
    kind: str | None = Field(default=None, description="only teams of this kind")
    neighbours: str = Field(default="in", description="in, out: teams based outside the city")
    day_type: str | None = Field(default=None, description="workday, restday; none: free flow")
    hour: int | None = Field(default=None, description="0 … 23, with day_type")
    line_kmh: float = Field(default=LINE_KMH, description="speed of the straight line, km/h")
    limit: int = Field(default=200, description="how many of the uncovered to list")
    scenario: int | str | dict[str, Any] | None = Field(
        default=None, description="id of a stored scenario, or a scenario: docs/scenarios.md"
    )


class CoverageAskedBody(CoverageBody):
    """The same, in a datum of the caller's."""

    datum: str | None = Field(default=None, description="wgs84, gcj02, bd09: of the answer")


def told(
    analysis: AnalysisService, body: CoverageAskedBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    datum = read_city_datum(analysis.ground, body.datum)
    query = query_of(body, analysis.ground.database)
    with watch.stage("scenario"):
        analysis = analysis.under(body.scenario, datum)
    return analysis.coverage_summary(analysis.covered(query, watch)), datum


def query_of(body: CoverageBody, database: Database) -> LayersQuery:
    """Return the question of a body, with what its preset says in it."""
    if (body.day_type is None) != (body.hour is None):
        missing = "hour" if body.hour is None else "day_type"
        raise InputError("parameter.missing", parameter=missing)
    return LayersQuery(
        layers=tuple(body.layer),
        **coverage_given(database, body.preset, {"minutes": body.minutes, "k": body.k}),
        kind=body.kind,
        neighbours=body.neighbours,
        when=None if body.day_type is None or body.hour is None else (body.day_type, body.hour),
        line_kmh=body.line_kmh,
        limit=body.limit,
    ).checked()


def body_of(found: Mapping[str, str]) -> CoverageBody:
    """Read a question from an address; what is not of the question is left alone."""
    given: dict[str, Any] = {}
    for name in ASKED:
        text = found.get(name)
        if text is None:
            continue
        if name == "layer":
            given[name] = text.split(",")
        elif name in ("minutes", "line_kmh"):
            given[name] = number(text, name)
        elif name == "hour":
            given[name] = integer(text, name, least=0, most=23)
        elif name in ("k", "limit"):
            given[name] = integer(text, name, least=-1, most=MAX_FEATURES)
        else:
            given[name] = text
    return CoverageBody(**given)


@router.get("/coverage", summary="覆盖 Coverage", response_model=None)
def coverage(request: Request, ctx: Ctx) -> Response:
    """Say which share of dangers and people the free teams reach in time, and whom they miss.

    With `minutes` and `limit` alone it is the short answer of a page; anything else asks for the
    coverage of layers, as the body of a POST does.
    """
    found = parameters(request, {*ASKED, "datum", "scenario"})
    datum = read_city_datum(ctx, found.get("datum"))
    watch = Stopwatch()
    with watch.stage("scenario"):
        analysis = ctx.analysis.under(found.get("scenario"), datum)
    if set(found) <= _PLAIN:
        plain = CoverageQuery(
            minutes=number(found.get("minutes", "15"), "minutes"),
            limit=integer(found.get("limit", "200"), "limit", least=0, most=MAX_LISTED),
        )
        return answer(analysis.coverage(plain, watch), "application/json", watch, datum)
    query = query_of(body_of(found), ctx.database)
    return _summary(analysis, query, watch, datum)


@router.post("/coverage", summary="覆盖 Coverage of layers", response_model=None)
def coverage_of_layers(body: CoverageBody, request: Request, ctx: Ctx) -> Response:
    """Say how the teams cover layers: by level, district, street, with and without neighbours."""
    found = parameters(request, {"datum"})
    asked = CoverageAskedBody(**body.model_dump(), datum=found.get("datum"))
    watch = Stopwatch()
    whole, datum = told(ctx.analysis, asked, watch)
    return answer(whole, JSON, watch, datum)


def _summary(
    analysis: AnalysisService, query: LayersQuery, watch: Stopwatch, datum: Datum
) -> Response:
    found = analysis.covered(query, watch)
    return answer(analysis.coverage_summary(found), "application/json", watch, datum)


@router.get("/coverage/features", summary="逐点覆盖 Coverage by feature", response_model=None)
def features(request: Request, ctx: Ctx) -> Response:
    """Say of each feature who comes first, second, third, and how many come in time."""
    asked = parameters(request, {*ASKED, "offset", "f", "bom", "datum", "scenario"})
    datum = read_city_datum(ctx, asked.get("datum"))
    form = _form(asked)
    mark = flag(asked.get("bom", "false"), "bom")
    offset = integer(asked.get("offset", "0"), "offset", least=0, most=2**31)
    usual = str(MAX_FEATURES) if form == "csv" else "1000"
    limit = integer(asked.get("limit", usual), "limit", least=1, most=MAX_FEATURES)
    question = {name: text for name, text in asked.items() if name != "limit"}
    watch = Stopwatch()
    with watch.stage("scenario"):
        analysis = ctx.analysis.under(asked.get("scenario"), datum)
    found = analysis.covered(query_of(body_of(question), ctx.database), watch)
    total, rows = count_of(found), rows_of(found, offset, limit)
    headers = {"Server-Timing": watch.header(), "Cache-Control": "no-store"}
    if datum is not Datum.WGS84:
        headers["X-Datum"] = datum.value
    links = [link(str(address(request)), "self", GEOJSON if form == "geojson" else CSV)]
    if offset + limit < total:
        following = address(request).include_query_params(offset=offset + limit, limit=limit)
        links.append(link(str(following), "next", GEOJSON if form == "geojson" else CSV))
        headers["Link"] = f'<{following}>; rel="next"'
    if form == "csv":
        return StreamingResponse(table(rows, datum, mark=mark), media_type=CSV, headers=headers)
    told = analysis.coverage_summary(found)
    head = {name: told[name] for name in _HEAD} | {
        "numberMatched": total,
        "numberReturned": max(0, min(limit, total - offset)),
        "links": links,
        **({} if datum is Datum.WGS84 else {"datum": datum.value}),
    }
    return StreamingResponse(geojson(rows, head, datum), media_type=GEOJSON, headers=headers)


_HEAD: Final = (
    *("minutes", "k", "kind", "preset", "horizon_minutes", "line_kmh", "teams", "warnings"),
    *("method", "hour", "snap_limit_m", "network_revision", "speed_source", "synthetic"),
)


def _form(asked: Mapping[str, str]) -> str:
    form = asked.get("f", "geojson")
    if form not in ("geojson", "csv"):
        raise InputError("parameter.value", parameter="f", value=form[:40], expected="geojson, csv")
    return form
