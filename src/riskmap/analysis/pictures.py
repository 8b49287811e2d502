"""The pictures of answers: which shapes, which figures, by the kind of question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shapely.geometry import mapping

from riskmap.analysis.ground import Ground
from riskmap.analysis.picture import Roads, Shapes, box_of, draw, roads_in
from riskmap.analysis.store import read_rows
from riskmap.analysis.surroundings import SurroundingsQuery
from riskmap.catalog.spec import Geometry, Layer, Role, Text
from riskmap.crs.boxes import rectangle
from riskmap.errors import UnavailableError
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import STATUS
from riskmap.units import Bbox

Answer = Mapping[str, Any]


def background(ground: Ground, box: Bbox | None, profile: str | None = None) -> Roads:
    """Return the roads behind a picture: those of a profile, by default a bare point's."""
    moment = ground.now()
    return roads_in(ground.network(moment, profile or moment.default_profile), box)


def footer(answer: Answer) -> str:
    """Return what an answer says of its method: the last line of a picture."""
    parts = [
        answer.get("profile"),
        answer.get("method"),
        f"路网 network {answer['network_revision']}" if answer.get("network_revision") else None,
        "; ".join(answer.get("speed_source", [])),
    ]
    return " · ".join(str(part) for part in parts if part)


def feature(geometry: Mapping[str, Any], **properties: Any) -> dict[str, Any]:
    """Return a GeoJSON feature."""
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def point(lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    """Return a GeoJSON feature of a point."""
    return feature({"type": "Point", "coordinates": [lon, lat]}, **properties)


def circle_picture(ground: Ground, answer: Answer) -> str:
    """Draw a response circle as SVG: its bands, where it starts, who is inside."""
    starts = [point(one["lon"], one["lat"]) for one in answer["starts"]]
    bands = sorted(answer["features"], key=lambda one: float(one["properties"]["minutes"]))
    box = box_of([*bands, *starts])
    minutes = ", ".join(f"{one['properties']['minutes']:g}" for one in bands)
    phases = answer["phases"]
    before = f"{phases['call_handling_s']:g} + {phases['turnout_s']:g} s"
    notes = [
        Text(f"接警 + 出动 {before}", f"Call handling + turnout {before}"),
        *(
            Text(
                f"{p['minutes']:g} 分: {p['people']:,} 人, {p['area_km2']:,.1f} km²",
                f"{p['minutes']:g} min: {p['people']:,} people, {p['area_km2']:,.1f} km²",
            )
            for p in (one["properties"] for one in bands)
        ),
    ]
    return draw(
        Text(f"响应圈: {minutes} 分钟内", f"Response circle: within {minutes} minutes"),
        [
            Shapes(features=bands, look="band"),
            Shapes(features=starts, look="place", label=Text("起点", "Start")),
        ],
        roads=background(ground, box, answer["profile"]),
        notes=notes,
        footer=footer(answer),
        synthetic=answer["synthetic"],
    )


def reach_picture(ground: Ground, answer: Answer) -> str:
    """Draw who reaches a place as SVG: the teams' ways and bases, and the place."""
    place = point(answer["lon"], answer["lat"])
    ways = [feature(team["route"]) for team in answer["teams"] if team.get("route")]
    teams = [
        point(team["lon"], team["lat"], label=str(team.get("name") or team["id"]))
        for team in answer["teams"]
    ]
    away = [point(team["lon"], team["lat"]) for team in answer["unavailable"]]
    minutes = f"{answer['minutes']:g}"
    first = answer["teams"][0] if answer["teams"] else None
    notes = [Text(f"{len(teams)} 支队伍", f"{len(teams)} teams")]
    if first is not None:
        arrival = f"{first['arrival_s'] / 60:.1f}"
        notes.append(Text(f"最早 {arrival} 分钟", f"First after {arrival} min"))
    return draw(
        Text(f"谁能在 {minutes} 分钟内到达", f"Who reaches this within {minutes} minutes"),
        [
            Shapes(features=ways, look="route", label=Text("路线", "Ways")),
            Shapes(features=away, look="points", label=Text("不能来", "Cannot come")),
            Shapes(features=teams, look="points", label=Text("队伍", "Teams"), labelled=6),
            Shapes(features=[place], look="place", label=Text("地点", "Place")),
        ],
        roads=background(ground, box_of([place, *ways, *teams])),
        notes=notes,
        footer=footer(answer),
        synthetic=answer["synthetic"],
    )


def coverage_picture(ground: Ground, answer: Answer, rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the coverage of layers as SVG: what is missed over what is reached."""
    places = {
        inside: [
            point(row["lon"], row["lat"], risk_level=row["risk_level"])
            for row in rows
            if row["covered"] is inside
        ]
        for inside in (True, False)
    }
    # Shelters have no level: a mark of "not assessed" would say that they should.
    assessed = any(row["risk_level"] is not None for row in rows)
    total, missed = answer["total"], answer["uncovered_people"]["sum"]
    minutes = f"{answer['minutes']:g}"
    return draw(
        Text(f"{minutes} 分钟覆盖", f"Coverage within {minutes} minutes"),
        [
            Shapes(
                features=places[True],
                look="points",
                by_risk_level=assessed,
                label=Text("已覆盖", "Covered"),
            ),
            Shapes(
                features=places[False],
                look="uncovered",
                by_risk_level=assessed,
                label=Text("未覆盖", "Missed"),
            ),
        ],
        roads=background(ground, box_of([*places[True], *places[False]])),
        notes=[
            Text(
                f"{total['covered']:,} / {total['count']:,}, 漏掉 {missed:,} 人",
                f"{total['covered']:,} / {total['count']:,}, {missed:,} people missed",
            )
        ],
        footer=footer(answer),
        synthetic=answer["synthetic"],
    )


def around_picture(ground: Ground, query: SurroundingsQuery, answer: Answer) -> str:
    """Draw what lies around a place as SVG: rings, zone and sector, the listed features."""
    place = answer["place"]
    rings = [
        feature(one["geometry"], label=f"{one['radius_m']:g} m") for one in answer["rings"][::-1]
    ]
    layers = [Shapes(features=rings, look="range", label=Text("范围", "Range"))]
    danger, shelters = answer.get("danger"), answer.get("refuge")
    walks: list[dict[str, Any]] = []
    if danger is not None and shelters is not None:
        zone, sector = danger["zone"], danger["sector"]
        wind = [] if sector is None else [feature(sector)]
        layers += [
            Shapes(features=wind, look="sector", label=Text("下风扇区", "Downwind sector")),
            Shapes(features=[feature(zone)], look="danger", label=Text("危险区", "Danger zone")),
        ]
        walks = [feature(one["route"]) for one in shelters["usable"] if one.get("route")]
        layers.append(Shapes(features=walks, look="walk", label=Text("步行路线", "Way on foot")))
    for layer_id, found in answer["layers"].items():
        layer = ground.catalog[layer_id]
        if shelters is not None and layer.role is Role.SHELTER:
            layers += _shelters(ground, layer, shelters)
            continue
        if layer.role is Role.AREA or not found["features"]:
            continue
        listed = _drawn(ground, layer, found["features"])
        count = f"{found['count']:,}"
        if len(listed) < found["count"]:
            count = f"{len(listed):,} / {count}"
        layers.append(_titled(Shapes.of_layer(layer, listed, labelled=3), layer, count))
    here = [point(place["lon"], place["lat"], label=place.get("feature", {}).get("name"))]
    layers.append(Shapes(features=here, look="place", label=Text("地点", "Place")))
    drawn: list[Mapping[str, Any]] = [*rings, *here, *walks]
    if danger is not None:
        drawn += [
            feature(danger["zone"]),
            *([feature(danger["sector"])] if danger["sector"] else []),
        ]
    if not rings and danger is None:
        drawn += [one for shapes in layers for one in shapes.features]
    box = box_of(drawn)
    name = place.get("feature", {}).get("name") or f"{place['lon']:.5f}, {place['lat']:.5f}"
    return draw(
        Text(f"周边分析: {name}", f"What lies around {name}"),
        layers,
        box=box,
        roads=_roads_or_none(ground, box, query.profile),
        notes=_around_notes(answer, ground),
        footer=footer(answer),
        wind_from_deg=query.danger.wind_from_deg,
        synthetic=answer["synthetic"],
    )


def _titled(shapes: Shapes, layer: Layer, count: str, zh: str = "", en: str = "") -> Shapes:
    return replace(shapes, label=Text(f"{layer.title.zh}{zh}", f"{layer.title.en} {en}{count}"))


def _drawn(
    ground: Ground, layer: Layer, told: Sequence[Mapping[str, Any]], **more: Any
) -> list[dict[str, Any]]:
    """Return the told features of a layer with their true shapes, and how each is marked."""
    shapes = _shapes(ground, layer, box_of([point(one["lon"], one["lat"]) for one in told]))
    return [
        feature(
            shapes.get(one["id"], point(one["lon"], one["lat"])["geometry"]),
            **{
                "risk_level": one.get("risk_level"),
                "state": one.get(STATUS.get(layer.role, "")),
                "label": one.get("name"),
                "order": one.get("order"),
                **more,
            },
        )
        for one in told
    ]


def _shelters(ground: Ground, layer: Layer, shelters: Answer) -> list[Shapes]:
    """Return the shelters of a layer: the refused grey, the others numbered by their walk."""
    refused = [one for one in shelters["refused"] if one["layer"] == layer.id]
    usable = [
        {**one, "order": rank}
        for rank, one in enumerate(shelters["usable"], 1)
        if one["layer"] == layer.id
    ]
    grey = Shapes.of_layer(layer, _drawn(ground, layer, refused, state="closed"), labelled=3)
    green = Shapes.of_layer(layer, _drawn(ground, layer, usable), labelled=9)
    return [
        _titled(grey, layer, f"{len(refused):,}", "(不可用,灰)", "refused, grey "),
        _titled(green, layer, f"{len(usable):,}"),
    ]


def _shapes(ground: Ground, layer: Layer, box: Bbox | None) -> dict[int, Mapping[str, Any]]:
    """Return the shapes of a layer's lines and areas that meet a box, GeoJSON by id."""
    if layer.geometry is Geometry.POINT or box is None:
        return {}
    query = FeatureQuery(layer=layer, area=rectangle(*box))
    with ground.database.read() as session:
        rows = read_rows(session, query, ())
    return {int(one): mapping(shape) for one, shape in zip(rows.ids, rows.shapes, strict=True)}


def _roads_or_none(ground: Ground, box: Bbox | None, profile: str | None) -> Roads | None:
    """Return the roads behind a picture; what needs none is drawn without where there are none."""
    try:
        return background(ground, box, profile)
    except UnavailableError:
        return None


def _around_notes(answer: Answer, ground: Ground) -> list[Text]:
    notes = []
    danger, shelters = answer.get("danger"), answer.get("refuge")
    if danger is not None and shelters is not None:
        inside, wind = _said(danger["people_in_zone"]), _said(danger["people_in_sector"])
        notes += [
            Text(
                f"危险区内 {inside} 人, 下风区 {wind} 人",
                f"{inside} people in the zone, {wind} downwind",
            ),
            Text(
                f"可用避难场所 {len(shelters['usable'])} 处, 空余 {shelters['free']:,},"
                f" 可接纳 {_said(shelters['takes_in'])}",
                f"Shelters: {len(shelters['usable'])}, free places {shelters['free']:,},"
                f" take in {_said(shelters['takes_in'])}",
            ),
        ]
    for one in [*answer["rings"], *answer["reached"]]:
        zh, en = (
            (f"{one['radius_m']:g} 米", f"{one['radius_m']:g} m")
            if "radius_m" in one
            else (f"{one['minutes']:g} 分钟", f"{one['minutes']:g} min")
        )
        count = sum(found["count"] for found in one["layers"].values())
        people = _said(one["people"])
        notes.append(
            Text(f"{zh}内: {people} 人, {count} 个要素", f"{en}: {people} people, {count} features")
        )
    if answer["empty_layers"]:
        titles = [ground.catalog[name].title for name in answer["empty_layers"]]
        notes.append(
            Text(
                "无数据: " + "、".join(title.zh for title in titles),
                "No data: " + ", ".join(title.en for title in titles),
            )
        )
    return notes


def _said(number: int | None) -> str:
    return "—" if number is None else f"{number:,}"
