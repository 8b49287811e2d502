"""Who reaches a place.

Every answer holds public fields only. These are plain functions: FastAPI runs them in threads, and
the kernels let go of the GIL.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.analysis.reach import ReachQuery
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.deps import Ctx, number, parameters
from riskmap.crs.datum import Datum, check_city, move_answer, place_in_wgs84, read_datum
from riskmap.db.city import find_city
from riskmap.errors import InputError
from riskmap.units import LonLat

router = APIRouter(prefix="/analysis", tags=["analysis"])


def read_city_datum(ctx: Ctx, text: str | None) -> Datum:
    """Read in which datum positions come and go; refuse one that cannot serve this city."""
    datum = read_datum(text)
    if datum is not Datum.WGS84:
        with ctx.database.read() as session:
            city = find_city(session)
        if city is not None:
            check_city(datum, city.bbox)
    return datum


def answer(body: dict[str, Any], media: str, watch: Stopwatch, datum: Datum) -> Response:
    """Write an answer in a datum, with what its stages took."""
    headers = {"Server-Timing": watch.header(), "Cache-Control": "no-store"}
    if datum is not Datum.WGS84:
        headers["X-Datum"] = datum.value
    return Response(orjson.dumps(move_answer(body, datum)), media_type=media, headers=headers)


@router.get("/reach", summary="谁能到达 Who reaches this", response_model=None)
def reach(
    request: Request,
    ctx: Ctx,
    lon: str | None = None,
    lat: str | None = None,
    minutes: str | None = None,
    datum: str | None = None,
    scenario: str | None = None,
) -> Response:
    """List the teams that reach a place within so many minutes of the alarm."""
    del lon, lat, minutes, datum, scenario  # declared for OpenAPI, read below
    found = parameters(request, {"lon", "lat", "minutes", "datum", "scenario"})
    asked = read_city_datum(ctx, found.get("datum"))
    for name in ("lon", "lat"):
        if name not in found:
            raise InputError("parameter.missing", parameter=name)
    place = LonLat(number(found["lon"], "lon"), number(found["lat"], "lat"))
    place = place_in_wgs84(place, asked, "lon,lat")
    query = ReachQuery(place, number(found.get("minutes", "15"), "minutes"))
    watch = Stopwatch()
    with watch.stage("scenario"):
        analysis = ctx.analysis.under(found.get("scenario"), asked)
    return answer(analysis.reach(query, watch), "application/json", watch, asked)
