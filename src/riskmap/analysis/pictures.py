"""The pictures of answers: which shapes, which figures, by the kind of question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from riskmap.analysis.ground import Ground
from riskmap.analysis.picture import Roads, Shapes, box_of, draw, roads_in
from riskmap.catalog.spec import Text
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
    total, missed = answer["total"], answer["uncovered_people"]["sum"]
    minutes = f"{answer['minutes']:g}"
    return draw(
        Text(f"{minutes} 分钟覆盖", f"Coverage within {minutes} minutes"),
        [
            Shapes(features=places[True], look="points", label=Text("已覆盖", "Covered")),
            Shapes(features=places[False], look="uncovered", label=Text("未覆盖", "Missed")),
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
