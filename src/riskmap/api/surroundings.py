"""周边分析 around a point, a feature, or a shape that somebody has drawn.

Every answer holds public fields only.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.analysis.danger import DangerQuery
from riskmap.analysis.places import Place, point_place, read_geometry
from riskmap.analysis.refuge import RefugeQuery
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.analysis.surroundings import DEFAULT_LIMIT, MAX_LISTED, SurroundingsQuery
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.links import JSON
from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError
from riskmap.units import LonLat

router = APIRouter(prefix="/analysis", tags=["analysis"])
PATH: Final = "/analysis/surroundings"
# 5,000 vertices with 15 decimals are 200 kB.
MAX_BODY_BYTES: Final = 1024 * 1024
_NUMBERS: Final = (
    "danger_radius_m", "wind_from_deg", "wind_speed_mps", "sector_deg", "downwind_m",
)  # fmt: skip


class SurroundingsBody(BaseModel):
    """What is asked: a place in one of three ways, how far, and what escapes there."""

    model_config = ConfigDict(extra="forbid")

    lon: float | None = None
    lat: float | None = None
    feature: str | None = Field(default=None, description="layer/id")
    geometry: dict[str, Any] | None = Field(
        default=None, description="GeoJSON point, line or area in the datum, 5,000 vertices at most"
    )
    radius_m: list[float] = Field(
        default=[], description="metres; without minutes 500, 1000 and 3000"
    )
    minutes: list[float] = Field(default=[], description="minutes along the network")
    profile: str | None = Field(default=None, description="emergency, ordinary, walk")
    limit: int = Field(default=DEFAULT_LIMIT, description="features listed of each layer")
    danger_radius_m: float | None = Field(default=None, description="by default 500 of a source")
    wind_from_deg: float | None = Field(default=None, description="where the wind comes from")
    wind_speed_mps: float | None = None
    sector_deg: float | None = Field(default=None, description="to either side of the wind")
    downwind_m: float | None = None
    hazard: str = Field(default="chemical", description="for which shelters must be suitable")
    walk_minutes: float = Field(default=60.0, description="longest walk to a shelter")
    datum: str | None = Field(default=None, description="wgs84, gcj02, bd09: of place and answer")


@router.get("/surroundings", summary="周边分析 Surroundings", response_model=None)
def surroundings(
    request: Request,
    ctx: Ctx,
    lon: str | None = None,
    lat: str | None = None,
    feature: str | None = None,
    radius_m: str | None = None,
    minutes: str | None = None,
    profile: str | None = None,
    limit: str | None = None,
    datum: str | None = None,
) -> Response:
    """Count and list what lies within so many metres or minutes of a point or feature."""
    del lon, lat, feature, radius_m, minutes, profile, limit, datum  # for OpenAPI, read below
    names = (
        "lon", "lat", "feature", "radius_m", "minutes", "profile", "limit", "hazard",
        "walk_minutes", "datum", *_NUMBERS,
    )  # fmt: skip
    found = parameters(request, set(names))
    body = SurroundingsBody(
        **{name: number(found[name], name) for name in ("lon", "lat") if name in found},
        **{name: number(found[name], name) for name in _NUMBERS if name in found},
        **{
            name: found[name] for name in ("feature", "profile", "hazard", "datum") if name in found
        },
        **{name: _list(found[name], name) for name in ("radius_m", "minutes") if name in found},
        limit=integer(found.get("limit", str(DEFAULT_LIMIT)), "limit", least=0, most=MAX_LISTED),
        walk_minutes=number(found.get("walk_minutes", "60"), "walk_minutes"),
    )
    return _asked(body, ctx)


@router.post("/surroundings", summary="周边分析 Surroundings", response_model=None)
def surroundings_of(body: SurroundingsBody, request: Request, ctx: Ctx) -> Response:
    """Count and list what lies within so many metres or minutes of a place of any shape."""
    parameters(request, set())
    return _asked(body, ctx)


def _list(text: str, parameter: str) -> list[float]:
    return [number(part, parameter) for part in text.split(",")]


def _asked(body: SurroundingsBody, ctx: Context) -> Response:
    watch = Stopwatch()
    found, datum = told(ctx.analysis, body, watch)
    return answer(found, JSON, watch, datum)


def told(
    analysis: AnalysisService, body: SurroundingsBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    datum = read_city_datum(analysis.ground, body.datum)
    query = SurroundingsQuery(
        place=_place(body, datum),
        radius_m=tuple(body.radius_m),
        minutes=tuple(body.minutes),
        profile=body.profile,
        limit=body.limit,
        danger=DangerQuery(**{name: getattr(body, name) for name in _NUMBERS}),
        refuge=RefugeQuery(body.hazard, body.walk_minutes),
    )
    return analysis.surroundings(query, watch), datum


def _place(body: SurroundingsBody, datum: Datum) -> Place | str:
    """Read the place, said in one way.

    Raises
    ------
    InputError
        It is said in none, in two, or by half a position.
    """
    ways = [
        body.lon is not None or body.lat is not None,
        bool(body.feature),
        body.geometry is not None,
    ]
    if sum(ways) != 1:
        raise InputError("around.place", parameter="lon, lat, feature, geometry")
    if body.feature:
        return body.feature
    if body.geometry is not None:
        return read_geometry(body.geometry, datum)
    for name in ("lon", "lat"):
        if getattr(body, name) is None:
            raise InputError("parameter.missing", parameter=name)
    place = LonLat(float(body.lon or 0.0), float(body.lat or 0.0))
    return point_place(place_in_wgs84(place, datum, "lon,lat"))
