"""Who reaches a place, and the presets that responses are measured against."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.analysis.presets import read_presets
from riskmap.analysis.reach import MAX_NEED, ReachQuery
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.links import JSON
from riskmap.api.query import flag
from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError
from riskmap.units import LonLat

router = APIRouter(prefix="/analysis", tags=["analysis"])

_NEEDS: Final = ("need_people", "need_teams")


class ReachBody(BaseModel):
    """What a place is asked with."""

    model_config = ConfigDict(extra="forbid")

    lon: float | None = Field(default=None, description="the place, degrees in the datum")
    lat: float | None = None
    feature: str | None = Field(default=None, description="layer/id, instead of a place")
    minutes: float | None = Field(default=None, description="minutes after the alarm")
    kind: str | None = Field(default=None, description="only teams of this kind")
    specialty: str | None = Field(default=None, description="only teams that can do this")
    need_people: int | None = Field(default=None, description="when do so many stand there")
    need_teams: int | None = Field(default=None, description="when do so many teams stand there")
    preset: str | None = Field(default=None, description="id of a preset: /analysis/presets")
    day_type: str | None = Field(default=None, description="workday, restday; none: free flow")
    hour: int | None = Field(default=None, ge=0, le=23, description="0 … 23, with day_type")
    routes: bool = Field(default=False, description="with each team's way")
    datum: str | None = Field(default=None, description="wgs84, gcj02, bd09: of place and answer")
    scenario: int | str | dict[str, Any] | None = Field(
        default=None, description="id of a stored scenario, or a scenario: docs/scenarios.md"
    )


@router.get("/reach", summary="谁能到达 Who reaches this", response_model=None)
def reach(request: Request, ctx: Ctx) -> Response:
    """List the teams that reach a place within so many minutes of the alarm, and when enough do."""
    body = body_of(parameters(request, set(ReachBody.model_fields)))
    watch = Stopwatch()
    found, datum = told(ctx.analysis, body, watch)
    return answer(found, JSON, watch, datum)


def told(
    analysis: AnalysisService, body: ReachBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    datum = read_city_datum(analysis.ground, body.datum)
    query = query_of(body, datum)
    with watch.stage("scenario"):
        analysis = analysis.under(body.scenario, datum)
    return analysis.reach(query, watch), datum


@router.get("/presets", summary="评价标准 Presets", response_model=None)
def presets(request: Request, ctx: Ctx) -> dict[str, Any]:
    """List what responses are measured against: minutes, phases, tiers, source, how sure."""
    parameters(request, set())
    with ctx.database.read() as session:
        return {"presets": [preset.told() for preset in read_presets(session).values()]}


def body_of(found: dict[str, str]) -> ReachBody:
    """Read a question from an address."""
    given: dict[str, Any] = {}
    for name, text in found.items():
        if name == "lang":
            continue
        if name in ("lon", "lat", "minutes"):
            given[name] = number(text, name)
        elif name in _NEEDS:
            given[name] = integer(text, name, least=1, most=MAX_NEED)
        elif name == "hour":
            given[name] = integer(text, name, least=0, most=23)
        elif name == "routes":
            given[name] = flag(text, name)
        else:
            given[name] = text
    return ReachBody(**given)


def query_of(body: ReachBody, datum: Datum) -> ReachQuery:
    """Return the question of a body.

    Raises
    ------
    InputError
        Names the parameter.
    """
    place = None
    if body.feature is None or body.lon is not None or body.lat is not None:
        for name in ("lon", "lat"):
            if getattr(body, name) is None:
                raise InputError("parameter.missing", parameter=name)
        place = LonLat(float(body.lon or 0.0), float(body.lat or 0.0))
        place = place_in_wgs84(place, datum, "lon,lat")
    if (body.day_type is None) != (body.hour is None):
        missing = "hour" if body.hour is None else "day_type"
        raise InputError("parameter.missing", parameter=missing)
    for name in _NEEDS:
        need = getattr(body, name)
        if need is not None:
            integer(str(need), name, least=1, most=MAX_NEED)
    return ReachQuery(
        place=place,
        feature=body.feature,
        minutes=body.minutes,
        kind=body.kind,
        specialty=body.specialty,
        preset=body.preset,
        when=None if body.day_type is None or body.hour is None else (body.day_type, body.hour),
        with_routes=body.routes,
        need_people=body.need_people,
        need_teams=body.need_teams,
    )
