"""`riskmap coverage`: how the teams cover whole layers, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from riskmap.cli.analysis import check_writable, print_preset, write
from riskmap.cli.opening import opened, out


def coverage(
    layer: Annotated[str, typer.Option(help="图层,逗号分隔 Layers, with commas")] = "",
    minutes: Annotated[float | None, typer.Option(help="分钟 Minutes")] = None,
    k: Annotated[int | None, typer.Option(help="几支队伍才算覆盖 Teams that it takes")] = None,
    preset: Annotated[str | None, typer.Option(help="评价标准 Preset")] = None,
    kind: Annotated[str | None, typer.Option(help="队伍类别 Kind of team")] = None,
    neighbours: Annotated[str, typer.Option(help="邻市队伍 in, out")] = "in",
    day_type: Annotated[str | None, typer.Option(help="workday, restday")] = None,
    hour: Annotated[int | None, typer.Option(min=0, max=23, help="钟点 Hour")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="写出 JSON Write the sums")] = None,
    csv_: Annotated[Path | None, typer.Option("--csv", help="写出逐点表 Write all rows")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="画成 SVG Draw a map as SVG")
    ] = None,
    limit: Annotated[int, typer.Option(help="列出几个未覆盖的 Uncovered to list")] = 10,
) -> None:
    """覆盖:队伍几分钟内能到哪些要素、漏掉了谁 What the teams reach in time, and whom they miss."""
    import orjson

    from riskmap.analysis.coverage_features import rows_of, table
    from riskmap.analysis.coverage_query import LayersQuery
    from riskmap.analysis.pictures import coverage_picture
    from riskmap.analysis.preset_use import coverage_given
    from riskmap.analysis.service import AnalysisService
    from riskmap.analysis.stopwatch import Stopwatch
    from riskmap.catalog.registry import load_catalog
    from riskmap.crs.datum import Datum
    from riskmap.errors import InputError
    from riskmap.roads.graphs import Graphs

    for name, file in (("--json", json_), ("--csv", csv_), ("--picture", picture)):
        if file is not None:
            check_writable(file, name)
    if (day_type is None) != (hour is None):
        missing = "--hour" if hour is None else "--day-type"
        raise InputError("parameter.missing", parameter=missing)
    with opened() as ready:
        graphs = Graphs(ready.settings.data_dir, ready.database)
        service = AnalysisService(ready.database, load_catalog(), graphs)
        query = LayersQuery(
            layers=tuple(layer.split(",")) if layer else (),
            kind=kind,
            neighbours=neighbours,
            when=None if day_type is None or hour is None else (day_type, hour),
            limit=limit,
            **coverage_given(ready.database, preset, {"minutes": minutes, "k": k}),
        )
        found = service.covered(query, Stopwatch())
        told = service.coverage_summary(found)
        rows = list(rows_of(found))
        drawn = "" if picture is None else coverage_picture(service.ground, told, rows)
    if json_ is not None:
        write(json_, orjson.dumps(told, option=orjson.OPT_INDENT_2), "--json")
    if csv_ is not None:
        write(csv_, b"".join(table(rows, Datum.WGS84, mark=True)), "--csv")
    if picture is not None:
        write(picture, drawn.encode(), "--picture")
    _print(told)


def _print(told: dict[str, Any]) -> None:
    sums = Table("", "总数 Count", "覆盖 Covered", "漏掉人数 People missed")
    whole = told["total"]
    missed = told["uncovered_people"]["sum"]
    sums.add_row("合计 Total", f"{whole['count']:,}", f"{whole['covered']:,}", f"{missed:,}")
    for level, one in told["by_risk_level"].items():
        name = "未评估 not assessed" if level == "null" else f"{level} 级 level"
        sums.add_row(name, *_share(one))
    for one in told["by_district"]:
        sums.add_row(one["name"] or one["code"] or "区划不明 no division", *_share(one))
    out.print(sums)
    if told["preset"] is not None:
        print_preset(told["preset"])
    people = told["population"]
    out.print(f"人口 People: {people['covered']:,} / {people['count']:,}")
    near, line = told["neighbours"], told["straight_line"]
    out.print(
        f"邻市队伍 neighbours' teams {near['team_count']}: 计入 in {near['in']['covered']:,},"
        f" 不计 out {near['out']['covered']:,}, 相差 difference {near['difference']['covered']:,}"
    )
    out.print(
        f"直线 straight line, {line['kmh']:g} km/h: {line['covered']:,};"
        f" 路网到不了的 not by road {line['covered_by_line_only']:,}"
    )
    for one in told["uncovered"]:
        late = "—" if one["arrival_s"] is None else f"{one['arrival_s'] / 60:.1f} min"
        out.print(f"未覆盖 missed: {one['name'] or one['id']} ({one['risk_level']}) {late}")
    for one in told["warnings"]:
        out.print("注意 note: " + ", ".join(f"{value}" for value in one.values()))
    out.print(f"{told['method']} · {told['network_revision']} · {'; '.join(told['speed_source'])}")


def _share(one: dict[str, Any]) -> tuple[str, str, str]:
    return f"{one['count']:,}", f"{one['covered']:,}", f"{one['uncovered_people']['sum']:,}"
