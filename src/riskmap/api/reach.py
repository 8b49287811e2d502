"""Who reaches a place, and the presets that responses are measured against."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.analysis.presets import read_presets
from riskmap.analysis.reach import MAX_NEED, ReachQuery
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.query import flag
from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError
from riskmap.units import LonLat

router = APIRouter(prefix="/analysis", tags=["analysis"])

#: What a place is asked with, by address.
ASKED: Final = (
    *("lon", "lat", "feature", "minutes", "kind", "specialty", "need_people", "need_teams"),
    *("preset", "day_type", "hour", "routes", "datum", "scenario"),
)


@router.get("/reach", summary="谁能到达 Who reaches this", response_model=None)
def reach(request: Request, ctx: Ctx) -> Response:
    """List the teams that reach a place within so many minutes of the alarm, and when enough do."""
    found = parameters(request, set(ASKED))
    datum = read_city_datum(ctx, found.get("datum"))
    query = query_of(found, datum)
    watch = Stopwatch()
    with watch.stage("scenario"):
        analysis = ctx.analysis.under(found.get("scenario"), datum)
    return answer(analysis.reach(query, watch), "application/json", watch, datum)


@router.get("/presets", summary="评价标准 Presets", response_model=None)
def presets(request: Request, ctx: Ctx) -> dict[str, Any]:
    """List what responses are measured against: minutes, phases, tiers, source, how sure."""
    parameters(request, set())
    with ctx.database.read() as session:
        return {"presets": [preset.told() for preset in read_presets(session).values()]}


def query_of(found: dict[str, str], datum: Datum) -> ReachQuery:
    """Read a question.

    Raises
    ------
    InputError
        Names the parameter.
    """
    place = None
    if "feature" not in found or "lon" in found or "lat" in found:
        for name in ("lon", "lat"):
            if name not in found:
                raise InputError("parameter.missing", parameter=name)
        place = LonLat(number(found["lon"], "lon"), number(found["lat"], "lat"))
        place = place_in_wgs84(place, datum, "lon,lat")
    if ("day_type" in found) != ("hour" in found):
        raise InputError(
            "parameter.missing", parameter="hour" if "day_type" in found else "day_type"
        )
    needs = {
        name: integer(found[name], name, least=1, most=MAX_NEED) if name in found else None
        for name in ("need_people", "need_teams")
    }
    return ReachQuery(
        place=place,
        feature=found.get("feature"),
        minutes=number(found["minutes"], "minutes") if "minutes" in found else None,
        kind=found.get("kind"),
        specialty=found.get("specialty"),
        preset=found.get("preset"),
        when=(found["day_type"], integer(found["hour"], "hour", least=0, most=23))
        if "hour" in found
        else None,
        with_routes=flag(found.get("routes", "false"), "routes"),
        **needs,
    )
