"""Response circles: areas, roads or junctions that are reached within so many minutes.

Every answer holds public fields only. These are plain functions: FastAPI runs them in threads, and
the kernels let go of the GIL.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from riskmap.analysis.ground import Ground
from riskmap.analysis.polygons import CELL_M, OFF_ROAD_MAX_M
from riskmap.analysis.preset_use import circle_given
from riskmap.analysis.response import (
    MAX_STARTS,
    Cutoff,
    Output,
    Overlap,
    ResponseQuery,
)
from riskmap.analysis.service import AnalysisService
from riskmap.analysis.stopwatch import Stopwatch
from riskmap.api.analysis import answer, read_city_datum
from riskmap.api.deps import Ctx, integer, number, parameters
from riskmap.api.links import GEOJSON
from riskmap.catalog.registry import Catalog
from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError, NotFoundError
from riskmap.features import cql2
from riskmap.features.query import FeatureQuery
from riskmap.units import LonLat

router = APIRouter(prefix="/analysis", tags=["analysis"])

E = TypeVar("E", bound=StrEnum)
_DIRECTIONS = ("from", "toward")
# What a preset may say in place of what is left out.
_PRESETTABLE = ("minutes", "kind", "profile", "call_handling_s", "turnout_s", "setup_s")


class CircleBody(BaseModel):
    """What a circle is asked with; phases that are left out are those of the kind of team."""

    model_config = ConfigDict(extra="forbid")

    points: list[tuple[float, float]] = Field(
        default=[], description="[[lon, lat], …] in the datum"
    )
    features: list[str] = Field(default=[], description='["layer/id", …]')
    layer: str | None = Field(default=None, description="all features of a layer start")
    filter: str | None = Field(default=None, description="CQL2 text: only those of the layer")
    minutes: list[float] | None = Field(
        default=None, description="minutes after the alarm; none: the preset's, else 5, 10, 15"
    )
    preset: str | None = Field(default=None, description="says what is left out: /analysis/presets")
    kind: str | None = Field(default=None, description="kind of team")
    profile: str | None = Field(default=None, description="emergency, ordinary, motorcycle, walk")
    call_handling_s: float | None = None
    turnout_s: float | None = None
    setup_s: float | None = None
    direction: str = Field(default="from", description="from the starts, or toward them")
    day_type: str | None = Field(default=None, description="workday, restday; none: free flow")
    hour: int | None = Field(default=None, description="0 … 23, with day_type")
    overlap: str = Field(default="union", description="union, separate, nearest, count")
    cutoff: str = Field(default="disks", description="disks, rings")
    output: str = Field(default="bands", description="bands, edges, points")
    cell_m: float = Field(default=CELL_M, description="side of the drawing's cells, metres")
    access_m: float = Field(default=OFF_ROAD_MAX_M, description="how far from a road on foot")
    datum: str | None = Field(default=None, description="wgs84, gcj02, bd09: of points and answer")
    scenario: int | str | dict[str, Any] | None = Field(
        default=None, description="id of a stored scenario, or a scenario: docs/scenarios.md"
    )
    f: str = Field(default="geojson", description="geojson, csv")


@router.post("/response-circles", summary="响应圈 Response circles", response_model=None)
def response_circles(body: CircleBody, request: Request, ctx: Ctx) -> Response:
    """Draw what is reached within so many minutes, and count who and what is inside."""
    parameters(request, set())
    return _circle(ctx, body)


@router.get("/response-circles", summary="响应圈 Response circles", response_model=None)
def response_circles_by_address(request: Request, ctx: Ctx) -> Response:
    """The same by an address: `points=lon,lat;lon,lat&minutes=5,10,15`."""
    return _circle(ctx, body_of(parameters(request, set(CircleBody.model_fields))))


def body_of(found: Mapping[str, str]) -> CircleBody:
    """Read a question from an address."""
    given: dict[str, Any] = {}
    for name, text in found.items():
        if name == "lang":
            continue
        if name == "points":
            given[name] = [_pair(place, row) for row, place in enumerate(text.split(";"))]
        elif name == "features":
            given[name] = text.split(",")
        elif name == "minutes":
            given[name] = [number(part, name) for part in text.split(",")]
        elif name == "hour":
            given[name] = integer(text, name, least=0, most=23)
        elif name.endswith(("_s", "_m")):
            given[name] = number(text, name)
        else:
            given[name] = text
    return CircleBody(**given)


def _pair(text: str, row: int) -> tuple[float, float]:
    name = f"points[{row}]"
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError("parameter.value", parameter=name, value=text[:40], expected="lon,lat")
    return number(parts[0], name), number(parts[1], name)


def _circle(ctx: Ctx, body: CircleBody) -> Response:
    form = one_of("f", body.f, ("geojson", "csv"))
    watch = Stopwatch()
    found, datum = told(ctx.analysis, body, watch)
    if form == "csv":
        return table(found, watch)
    return answer(found, GEOJSON, watch, datum)


def told(
    analysis: AnalysisService, body: CircleBody, watch: Stopwatch
) -> tuple[dict[str, Any], Datum]:
    """Answer a question; say in which datum the caller wants it."""
    datum = read_city_datum(analysis.ground, body.datum)
    query = circle_query(analysis.ground, body, datum)
    with watch.stage("scenario"):
        analysis = analysis.under(body.scenario, datum)
    return analysis.circle(query, watch, datum), datum


def circle_query(ground: Ground, body: CircleBody, datum: Datum) -> ResponseQuery:
    """Return the question of a body; raises InputError that names the field at fault."""
    if len(body.points) > MAX_STARTS:
        raise InputError("response.starts", parameter="points", most=MAX_STARTS)
    if (body.day_type is None) != (body.hour is None):
        missing = "hour" if body.hour is None else "day_type"
        raise InputError("parameter.missing", parameter=missing)
    given: dict[str, Any] = {name: getattr(body, name) for name in _PRESETTABLE}
    given["overlap"] = _choice("overlap", body.overlap, Overlap)
    return ResponseQuery(
        starts=tuple(
            place_in_wgs84(LonLat(*point), datum, f"points[{row}]")
            for row, point in enumerate(body.points)
        ),
        features=tuple(body.features),
        selection=_selection(ground.catalog, body),
        toward=one_of("direction", body.direction, _DIRECTIONS) == "toward",
        when=None if body.day_type is None or body.hour is None else (body.day_type, body.hour),
        cutoff=_choice("cutoff", body.cutoff, Cutoff),
        output=_choice("output", body.output, Output),
        cell_m=body.cell_m,
        access_m=body.access_m,
        **circle_given(ground.database, body.preset, given),
    )


def _selection(catalog: Catalog, body: CircleBody) -> FeatureQuery | None:
    if body.layer is None:
        if body.filter is not None:
            raise InputError("parameter.missing", parameter="layer")
        return None
    layer = catalog.get(body.layer)
    if layer is None:
        raise NotFoundError("response.layer", parameter="layer", value=body.layer[:60])
    fields = {field.name: field for field in layer.visible(restricted=False)}
    condition = None if body.filter is None else cql2.read_text(body.filter, fields)
    # One more than may start: that there are too many is said by name.
    return FeatureQuery(layer=layer, condition=condition, limit=MAX_STARTS + 1)


def one_of(parameter: str, text: str, known: tuple[str, ...]) -> str:
    """Return a word that is known, or raise InputError that names its parameter."""
    if text not in known:
        raise InputError(
            "parameter.value", parameter=parameter, value=text[:40], expected=", ".join(known)
        )
    return text


def _choice(parameter: str, text: str, kind: type[E]) -> E:
    return kind(one_of(parameter, text, tuple(kind)))


def table(found: dict[str, Any], watch: Stopwatch) -> Response:
    """Write the properties of all features as CSV, nested ones as `layers.shelters.count`."""
    rows = [_flat(feature["properties"]) for feature in found["features"]]
    for row, feature in zip(rows, found["features"], strict=True):
        geometry = feature["geometry"]
        if isinstance(geometry, dict) and geometry["type"] == "Point":
            row["lon"], row["lat"] = geometry["coordinates"]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    headers = {
        "Server-Timing": watch.header(),
        "Cache-Control": "no-store",
        "X-Network-Revision": str(found["network_revision"]),
    }
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, dict):
            found |= _flat(one, f"{before}{name}.")
        elif not isinstance(one, orjson.Fragment):
            found[before + name] = one
    return found
