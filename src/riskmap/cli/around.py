"""`riskmap around`: what lies around a place, in the terminal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from riskmap.cli.analysis import check_writable, write
from riskmap.cli.opening import opened, out
from riskmap.errors import InputError
from riskmap.units import LonLat

if TYPE_CHECKING:
    from riskmap.analysis.places import Place
    from riskmap.catalog.registry import Catalog

_POINTS = ["北 N", "东北 NE", "东 E", "东南 SE", "南 S", "西南 SW", "西 W", "西北 NW"]
_SHOWN = 15
_DRAWN = 400


def numbers(text: str | None, parameter: str) -> tuple[float, ...]:
    """Read numbers separated by commas; none for no text.

    Raises
    ------
    InputError
        One of them is none.
    """
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise InputError("option.around", parameter=parameter, value=text) from None


def around(
    at: Annotated[str | None, typer.Option(help="经度,纬度 lon,lat (WGS 84)")] = None,
    feature: Annotated[str | None, typer.Option(help="要素 A feature: layer/id")] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="GeoJSON 文件 A file with a point, line or area")
    ] = None,
    radius: Annotated[str | None, typer.Option(help="米 Metres: 500,1000,3000")] = None,
    minutes: Annotated[str | None, typer.Option(help="分钟 Minutes along the roads")] = None,
    profile: Annotated[str | None, typer.Option(help="出行方式 Profile")] = None,
    limit: Annotated[int, typer.Option(help="每层列出几个 Listed of each layer")] = 20,
    wind_from: Annotated[float | None, typer.Option(help="风从何来,度 Wind from, degrees")] = None,
    wind_speed: Annotated[float | None, typer.Option(help="风速 Wind speed, m/s")] = None,
    sector: Annotated[float | None, typer.Option(help="扇区半宽 Half width, degrees")] = None,
    danger_radius: Annotated[float | None, typer.Option(help="危险半径 Danger radius, m")] = None,
    downwind: Annotated[float | None, typer.Option(help="下风距离 Downwind, m")] = None,
    hazard: Annotated[str, typer.Option(help="灾种 Shelters must suit")] = "chemical",
    walk_minutes: Annotated[float, typer.Option(help="最长步行 Longest walk, min")] = 60.0,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="画成 SVG Draw a map as SVG")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON Print the answer")] = False,
) -> None:
    """周边分析:附近有什么、有谁、去哪里避难 What and who is near, and where people can go."""
    import orjson

    from riskmap.analysis.danger import DangerQuery
    from riskmap.analysis.pictures import around_picture
    from riskmap.analysis.refuge import RefugeQuery
    from riskmap.analysis.service import AnalysisService
    from riskmap.analysis.surroundings import SurroundingsQuery
    from riskmap.catalog.registry import load_catalog
    from riskmap.roads.graphs import Graphs

    if picture is not None:
        check_writable(picture, "--picture")
    query = SurroundingsQuery(
        place=_place(at, feature, geometry),
        radius_m=numbers(radius, "--radius"),
        minutes=numbers(minutes, "--minutes"),
        profile=profile,
        limit=limit,
        danger=DangerQuery(
            danger_radius_m=danger_radius,
            wind_from_deg=wind_from,
            wind_speed_mps=wind_speed,
            sector_deg=sector,
            downwind_m=downwind,
        ),
        refuge=RefugeQuery(hazard, walk_minutes),
    )
    catalog = load_catalog()
    with opened() as ready:
        graphs = Graphs(ready.settings.data_dir, ready.database)
        service = AnalysisService(ready.database, catalog, graphs)
        # A picture shows more than a list: what is drawn should not end where a list does.
        wide = query if picture is None else replace(query, limit=max(limit, _DRAWN))
        answer = service.surroundings(wide)
        drawn = "" if picture is None else around_picture(service.ground, query, answer)
        for found in answer["layers"].values():
            del found["features"][limit:]
    if picture is not None:
        write(picture, drawn.encode(), "--picture")
    if json:
        typer.echo(orjson.dumps(answer).decode())
        return
    _counts(answer, catalog)
    if "danger" in answer:
        _danger(answer)
    for warning in answer["warnings"] + answer.get("refuge", {}).get("warnings", []):
        out.print(f"▲ {warning}", markup=False, soft_wrap=True)
    out.print(f"{answer['method']} · {answer['network_revision']}")


def _place(at: str | None, feature: str | None, file: Path | None) -> Place | str:
    """Read the place, said in one way.

    Raises
    ------
    InputError
        It is said in none or in two, or the file holds no geometry.
    """
    import orjson

    from riskmap.analysis.places import point_place, read_geometry

    if sum(one is not None for one in (at, feature, file)) != 1:
        raise InputError("around.place", parameter="--at, --feature, --geometry")
    if feature is not None:
        return feature
    if file is not None:
        try:
            return read_geometry(orjson.loads(file.read_bytes()), parameter="--geometry")
        except (OSError, ValueError) as error:
            raise InputError(
                "around.broken", parameter="--geometry", reason=str(error)[:120]
            ) from error
    found = numbers(at, "--at")
    if len(found) != 2:
        raise InputError("option.around", parameter="--at", value=at)
    return point_place(LonLat(*found), "--at")


def compass(degrees: float | None) -> str:
    """Return the name of a direction, in steps of 45 degrees."""
    return "·" if degrees is None else _POINTS[round(degrees / 45) % 8]


def _counts(answer: dict[str, Any], catalog: Catalog) -> None:
    rings = [*answer["rings"], *answer["reached"]]
    heads = [
        f"≤ {one['radius_m']:g} m" if "radius_m" in one else f"≤ {one['minutes']:g} 分 min"
        for one in rings
    ]
    table = Table("", *heads, "最近 Nearest")
    table.add_row("人口 People", *(_number(one["people"]) for one in rings), "")
    for layer_id, found in answer["layers"].items():
        if not found["count"]:
            continue
        layer = catalog[layer_id]
        counts = [_number(one["layers"].get(layer_id, {}).get("count")) for one in rings]
        table.add_row(f"{layer.title.zh} {layer.title.en}", *counts, _nearest(found["features"]))
    out.print(table)
    for key, label in (
        ("none_in_range", "范围内没有 None in range"),
        ("empty_layers", "全市无数据 No data in the city"),
    ):
        names = [f"{catalog[one].title.zh} {catalog[one].title.en}" for one in answer[key]]
        if names:
            out.print(f"{label}: {', '.join(names)}")


def _number(value: int | None) -> str:
    return "—" if value is None else f"{value:,}"


def _nearest(features: list[dict[str, Any]]) -> str:
    if not features:
        return ""
    first = features[0]
    name = first.get("name") or first.get("code") or first["id"]
    return f"{name} {first['distance_m']:,.0f} m {compass(first['bearing_deg'])}"


def _danger(answer: dict[str, Any]) -> None:
    danger, shelters = answer["danger"], answer["refuge"]
    people = _number(danger["people_in_zone"])
    line = f"危险区 Danger zone {danger['danger_radius_m']:g} m: {people} 人 people"
    if danger["wind_to_deg"] is not None:
        line += (
            f" · 风自 wind from {danger['wind_from_deg']:g}° → {danger['wind_to_deg']:g}°"
            f" ± {danger['sector_deg']:g}°, {danger['downwind_m']:g} m:"
            f" {_number(danger['people_in_sector'])} 人 people"
        )
    out.print(line)
    table = Table(
        "避难场所 Shelter", "步行 Walk, min", "距离 m", "方向", "空余 Free", "累计 So far"
    )
    for one in shelters["usable"][:_SHOWN]:
        table.add_row(
            str(one.get("name") or one.get("code") or one["id"]),
            f"{one['walk_s'] / 60:.1f}",
            f"{one['distance_m']:,.0f}",
            compass(one["bearing_deg"]),
            _number(one["free"]),
            _number(one["free_so_far"]),
        )
    out.print(table)
    more = len(shelters["usable"]) - _SHOWN
    reasons = ", ".join(
        f"{_REASONS[name]} {count:,}"
        for name, count in shelters["refused_by_reason"].items()
        if count
    )
    out.print(
        f"可用 usable {len(shelters['usable']):,}"
        + (f" (+{more:,} …)" if more > 0 else "")
        + f" · 空余 free {shelters['free']:,} · 可接纳 takes in {_number(shelters['takes_in'])}"
        f" · 尚缺 lacking {_number(shelters['lacking'])}"
    )
    if reasons:
        out.print(f"不可用 refused {len(shelters['refused']):,}: {reasons}")


_REASONS = {
    "in_zone": "危险区内 in the zone",
    "downwind": "下风向 downwind",
    "not_open": "未开放 not open",
    "full": "满员 full",
    "capacity_unknown": "容量不明 capacity unknown",
    "not_suitable": "不适用 not suitable",
    "not_reachable_on_foot": "步行不可达 not reachable on foot",
    "no_walk_network": "无步行路网 no network to walk",
}
