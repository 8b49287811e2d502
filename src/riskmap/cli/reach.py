"""`riskmap reach`: who reaches a place, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from riskmap.cli.analysis import check_writable, write
from riskmap.cli.opening import opened, out
from riskmap.errors import InputError
from riskmap.units import LonLat


def reach(
    at: Annotated[str | None, typer.Option(help="经度,纬度 lon,lat (WGS 84)")] = None,
    feature: Annotated[str | None, typer.Option(help="要素 A feature: layer/id")] = None,
    minutes: Annotated[float | None, typer.Option(help="分钟 Minutes after the alarm")] = None,
    preset: Annotated[str | None, typer.Option(help="评价标准 Preset: 135-stations")] = None,
    kind: Annotated[str | None, typer.Option(help="所需类别 Kind that is needed")] = None,
    need_people: Annotated[int | None, typer.Option(help="需要几人 People needed")] = None,
    need_teams: Annotated[int | None, typer.Option(help="需要几队 Teams needed")] = None,
    day_type: Annotated[str | None, typer.Option(help="workday, restday")] = None,
    hour: Annotated[int | None, typer.Option(help="0 … 23", min=0, max=23)] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="画成 SVG Draw a map as SVG")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="输出 JSON Print the answer")] = False,
) -> None:
    """谁能到达:各队伍按到达先后、各阶段用时、何时够人 Who reaches a place, and when enough do."""
    import orjson

    from riskmap.analysis.pictures import reach_picture
    from riskmap.analysis.reach import ReachQuery
    from riskmap.analysis.service import AnalysisService
    from riskmap.catalog.registry import load_catalog
    from riskmap.roads.graphs import Graphs

    if picture is not None:
        check_writable(picture, "--picture")
    if (day_type is None) != (hour is None):
        missing = "--hour" if hour is None else "--day-type"
        raise InputError("parameter.missing", parameter=missing)
    query = ReachQuery(
        place=_place(at),
        feature=feature,
        minutes=minutes,
        preset=preset,
        kind=kind,
        need_people=need_people,
        need_teams=need_teams,
        when=None if day_type is None or hour is None else (day_type, hour),
        with_routes=picture is not None,
    )
    with opened() as ready:
        graphs = Graphs(ready.settings.data_dir, ready.database)
        service = AnalysisService(ready.database, load_catalog(), graphs)
        answer = service.reach(query)
        drawn = "" if picture is None else reach_picture(service.ground, answer)
    if picture is not None:
        write(picture, drawn.encode(), "--picture")
    if json:
        typer.echo(orjson.dumps(answer).decode())
        return
    _teams(answer)
    _enough(answer)
    out.print(f"{answer['method']} · {answer['network_revision']}")


def _place(text: str | None) -> LonLat | None:
    if text is None:
        return None
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("option.reach", parameter="--at", value=text[:40]) from None
    return LonLat(lon, lat)


def _teams(answer: dict[str, Any]) -> None:
    if not answer["reachable"]:
        out.print(f"▲ {answer['snap_limit_m']:g} 米内没有道路,无人能到 no road near: unreachable")
    table = Table(
        "队伍 Team", "类别 Kind", "到达 Arrival", "接警 + 出动 + 行驶 + 展开, s", "人数 People"
    )
    for team in answer["teams"]:
        phases = team["phases"]
        on_duty = team.get("on_duty_personnel")
        people = team.get("personnel") if on_duty is None else on_duty
        mark = "★ " if team.get("has_specialty") else ""
        table.add_row(
            mark + str(team.get("name") or team.get("code") or team["id"]),
            str(team.get("kind") or "–"),
            f"{team['arrival_s'] / 60:.1f} min",
            f"{phases['call_handling_s']:g} + {phases['turnout_s']:g} + "
            f"{phases['travel_s']:.0f} + {phases['setup_s']:g}",
            "–" if people is None else f"{people:,}",
        )
    out.print(table)
    out.print(
        f"{answer['minutes']:g} 分钟内 within: {len(answer['teams'])} · 更晚 later"
        f" {answer['later']} · 不能来 cannot come {len(answer['unavailable'])}"
        + "".join(
            f"\n  – {team.get('name') or team['id']} ({team.get('duty_status')})"
            for team in answer["unavailable"]
        ),
        markup=False,
    )


def _enough(answer: dict[str, Any]) -> None:
    force = answer["force"]
    for name, zh in (("people", "人"), ("teams", "队")):
        need, met = force[f"need_{name}"], force[f"{name}_met_s"]
        if need is not None:
            when = "不能满足 never" if met is None else f"{met / 60:.1f} min"
            out.print(f"需要 need {need:,} {zh} {name}: {when}")
    for tier in answer.get("tiers", ()):
        at = "无 nobody" if tier["at_s"] is None else f"{tier['at_s'] / 60:.1f} min"
        mark = "✓" if tier["met"] else "▲"
        out.print(f"{mark} {tier['name']} {tier['name_en']} (≤ {tier['minutes']:g} min): {at}")
    if answer["preset"] is not None:
        preset = answer["preset"]
        edition = f", {preset['edition']}" if preset["edition"] else ""
        out.print(
            f"{preset['name']} · {preset['source']}{edition} · {preset['confidence']}",
            markup=False,
        )
