"""What a city is, in one answer: the first thing that the page asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api.archives import PATH
from riskmap.api.context import Context
from riskmap.api.deps import Ctx, Language, parameters
from riskmap.catalog.spec import Layer, Role
from riskmap.db.city import City, find_city
from riskmap.db.sessions import ReadSession
from riskmap.features import summary
from riskmap.features.summary import STATUS, Sums, Tally, add_up
from riskmap.i18n import Lang, say
from riskmap.roads.load import roads_revision, stored_edges
from riskmap.tiles import archive_list, archive_meta

router = APIRouter(tags=["service"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The answer; its names are those of the JSON."""

    as_of: str
    city: dict[str, Any] | None
    hint: str | None
    extent: list[float] | None
    layers: list[dict[str, Any]]
    shelters: dict[str, Any]
    teams: dict[str, Any]
    divisions: list[dict[str, Any]]
    roads: dict[str, Any] | None
    archive: dict[str, Any] | None


@router.get("/overview", summary="总览 Overview", response_model=None)
def overview(request: Request, ctx: Ctx, lang: Language) -> Response:
    """Tell the city, its layers and districts, and how many of what there are; public sums only."""
    parameters(request, set())
    layers = tuple(ctx.catalog.values())
    with ctx.database.read() as session:
        city = find_city(session)
        tallies = summary.tallies(session, layers)
        fresh = summary.freshness(session, layers)
        areas = ctx.catalog.with_role(Role.AREA)
        districts = summary.districts(session, areas)
        extent = summary.extent(session, areas) or summary.extent(session, layers)
        if extent is None and city is not None:
            extent = city.bbox
        roads = _roads(session)
    body = Overview(
        as_of=_time(datetime.now(UTC)),
        city=None if city is None else _city(city),
        hint=_hint(city, tallies, lang),
        extent=None if extent is None else list(extent),
        layers=[_layer(layer, tallies, fresh) for layer in layers],
        shelters=_shelters(ctx.catalog.with_role(Role.SHELTER), tallies),
        teams=_teams(ctx.catalog.with_role(Role.TEAM), tallies),
        divisions=_divisions(districts, layers, tallies),
        roads=roads,
        archive=_archive(ctx),
    )
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _city(city: City) -> dict[str, Any]:
    return {
        "name": city.name,
        "name_en": city.name_en,
        "bbox": list(city.bbox),
        "synthetic": city.synthetic,
        "time_zone": city.time_zone,
    }


def _hint(city: City | None, tallies: list[Tally], lang: Lang) -> str | None:
    if city is None:
        return say("landing.no_city", lang)
    return None if tallies else say("landing.empty", lang, name=city.name)


def _of(layers: Iterable[Layer], tallies: list[Tally]) -> Sums:
    names = {layer.id for layer in layers}
    return add_up(tally for tally in tallies if tally.layer in names)


def _layer(
    layer: Layer, tallies: list[Tally], fresh: dict[str, tuple[int, datetime]]
) -> dict[str, Any]:
    sums = _of([layer], tallies)
    revision, at = fresh.get(layer.id, (None, None))
    # A district's people are its streets' people, too: their sum would count everybody four times.
    summed = layer.role is not Role.AREA and summary.public(layer, layer.people)
    return {
        "id": layer.id,
        "title": {"zh": layer.title.zh, "en": layer.title.en},
        "role": layer.role,
        "geometry": layer.geometry,
        "symbol": layer.style.symbol,
        "by_risk_level": layer.style.by_risk_level,
        "cluster": layer.tile.cluster,
        "min_zoom": layer.tile.min_zoom,
        "count": sums.count,
        "levels": sums.levels if layer.assessed else None,
        "people": round(sums.people) if summed else None,
        "revision": revision,
        "updated_at": None if at is None else _time(at),
    }


def _by_status(layers: Iterable[Layer], sums: Sums) -> dict[str, int]:
    """Return the counts of every declared state, and of those that nobody declared."""
    fields = (layer.field(STATUS[layer.role]) for layer in layers)
    declared = [str(value.code) for field in fields if field for value in field.values]
    return {**dict.fromkeys([*declared, "null"], 0), **sums.by_status}


def _shelters(layers: tuple[Layer, ...], tallies: list[Tally]) -> dict[str, Any]:
    sums = _of(layers, tallies)
    return {
        "count": sums.count,
        "by_status": _by_status(layers, sums),
        "capacity": round(sums.people),
        "occupancy": round(sums.occupancy),
        "free": round(sums.free),
    }


def _teams(layers: tuple[Layer, ...], tallies: list[Tally]) -> dict[str, Any]:
    sums = _of(layers, tallies)
    return {
        "count": sums.count,
        "personnel": round(sums.people),
        "by_status": _by_status(layers, sums),
    }


def _divisions(
    districts: list[summary.District], layers: Iterable[Layer], tallies: list[Tally]
) -> list[dict[str, Any]]:
    """Return what is in each district: dangers by level, places of shelters."""
    by_id = {layer.id: layer for layer in layers}
    risks: dict[str | None, list[Tally]] = {}
    shelters: dict[str | None, list[Tally]] = {}
    for tally in tallies:
        layer = by_id[tally.layer]
        if layer.role is Role.SHELTER:
            shelters.setdefault(tally.district, []).append(tally)
        elif layer.role in summary.RISK_ROLES and layer.assessed:
            risks.setdefault(tally.district, []).append(tally)
    answer = []
    for district in districts:
        key = district.code[: summary.DISTRICT_DIGITS]
        answer.append(
            {
                "code": district.code,
                "name": district.name,
                "name_en": district.name_en,
                "population": district.population,
                "levels": add_up(risks.get(key, [])).levels,
                "capacity": round(add_up(shelters.get(key, [])).people),
            }
        )
    return answer


def _roads(session: ReadSession) -> dict[str, Any] | None:
    revision = roads_revision(session)
    if revision is None:
        return None
    stored = stored_edges(session)
    return {"edges": stored.edges, "km": round(stored.length_km, 1), "revision": revision}


def _archive(ctx: Context) -> dict[str, Any] | None:
    """Return where the page reads tiles instead of here, and of which schema they must be.

    What lies here and is missing or of another schema is not named at all; elsewhere the page
    looks for itself.
    """
    wanted = ctx.settings.tiles_archive
    if wanted is None:
        return None
    schema = archive_meta.schema(tuple(ctx.catalog.values()), with_roads=True)
    if wanted.startswith("https://"):
        return {"url": wanted, "schema": schema}
    there = archive_list.find(archive_list.folder_of(ctx.settings.data_dir), wanted)
    if there is None or there.ours.get("schema") != schema:
        return None
    return {"url": f"{PATH}{wanted}", "schema": schema}
