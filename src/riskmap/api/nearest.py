"""The k nearest features of a layer by network time."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.analysis.nearest import MAX_K, MAX_STARTS, NearestQuery, nearest_features
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.circles import CircleBody, body_of, circle_query, one_of, table
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.links import GEOJSON
from riskmap.api.query import flag
from riskmap.crs.datum import Datum
from riskmap.errors import InputError, NotFoundError

router = APIRouter(prefix="/analysis", tags=["analysis"])

# A team's phases are counted where they are asked for: nearest alone is travel.
_PHASES: Final = ("call_handling_s", "turnout_s", "setup_s")
_SHARED: Final = (
    *("points", "features", "filter", "kind", "profile", "preset", "direction"),
    *("day_type", "hour", "datum", "scenario", "f", *_PHASES),
)
_OWN: Final = ("layer", "from_layer", "k", "minutes", "geometry")
MINUTES: Final = 60.0


class NearestBody(BaseModel):
    """What the nearest are asked with; without kind, preset and phases only travel counts."""

    model_config = ConfigDict(extra="forbid")

    layer: str = Field(description="whose features are found")
    k: int = Field(default=1, description=f"how many for each start, 1 … {MAX_K}")
    points: list[tuple[float, float]] = Field(
        default=[], description=f"[[lon, lat], …] in the datum, {MAX_STARTS} starts at most"
    )
    features: list[str] = Field(default=[], description='["layer/id", …]')
    from_layer: str | None = Field(default=None, description="all features of a layer start")
    filter: str | None = Field(default=None, description="CQL2 text: only those of from_layer")
    minutes: float = Field(default=MINUTES, description="not later than so many minutes")
    kind: str | None = Field(default=None, description="kind of team, which decides the phases")
    profile: str | None = None
    preset: str | None = Field(default=None, description="/analysis/presets")
    call_handling_s: float | None = None
    turnout_s: float | None = None
    setup_s: float | None = None
    direction: str = Field(default="from", description="from the starts, or toward them")
    day_type: str | None = None
    hour: int | None = None
    geometry: bool = Field(default=False, description="the way to each, instead of its position")
    datum: str | None = None
    scenario: int | str | dict[str, Any] | None = None
    f: str = Field(default="geojson", description="geojson, csv")


@router.post("/nearest", summary="最近的若干要素 The k nearest", response_model=None)
def nearest(body: NearestBody, request: Request, ctx: Ctx) -> Response:
    """Find the k features of a layer that are reached first from each start."""
    parameters(request, set())
    return _answer(ctx, body)


@router.get("/nearest", summary="最近的若干要素 The k nearest", response_model=None)
def nearest_by_address(request: Request, ctx: Ctx) -> Response:
    """The same by an address: `points=lon,lat&layer=shelters&k=3`."""
    found = parameters(request, set(NearestBody.model_fields))
    if "layer" not in found:
        raise InputError("parameter.missing", parameter="layer")
    shared = body_of({name: text for name, text in found.items() if name in _SHARED})
    given: dict[str, Any] = {name: getattr(shared, name) for name in _SHARED if name in found}
    for name in _OWN:
        text = found.get(name)
        if text is None:
            continue
        if name == "k":
            given[name] = integer(text, name, least=1, most=MAX_K)
        elif name == "minutes":
            given[name] = number(text, name)
        elif name == "geometry":
            given[name] = flag(text, name)
        else:
            given[name] = text
    return _answer(ctx, NearestBody(**given))


def _answer(ctx: Context, body: NearestBody) -> Response:
    form = one_of("f", body.f, ("geojson", "csv"))
    watch = Stopwatch()
    found, datum = told(ctx.analysis, body, watch)
    return table(found, watch) if form == "csv" else answer(found, GEOJSON, watch, datum)


def told(
    analysis: AnalysisService, body: NearestBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    ground = analysis.ground
    datum = read_city_datum(ground, body.datum)
    layer = ground.catalog.get(body.layer)
    if layer is None:
        raise NotFoundError("response.layer", parameter="layer", value=body.layer[:60])
    given = {name: getattr(body, name) for name in _SHARED}
    if body.kind is None and body.preset is None:
        given |= {name: given[name] or 0.0 for name in _PHASES}
    circle = CircleBody(**given, layer=body.from_layer, minutes=[body.minutes])
    query = NearestQuery(
        circle=circle_query(ground, circle, datum),
        layer=layer,
        k=body.k,
        with_routes=body.geometry,
    )
    with watch.stage("scenario"):
        ground = analysis.under(body.scenario, datum).ground
    return nearest_features(ground, query, watch), datum
