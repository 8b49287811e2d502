"""`riskmap scenario`: what somebody supposes, stored and compared with the city as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from riskmap.cli.analysis import check_writable, write
from riskmap.cli.opening import Opened, opened, out, tell
from riskmap.errors import InputError

if TYPE_CHECKING:
    from riskmap.analysis.service import AnalysisService

scenario_app = typer.Typer(
    help="情景:封路、积水、队伍调动 Scenarios: closed roads, water, moved teams",
    no_args_is_help=True,
)
_LISTED = 20


@scenario_app.command("list")
def scenario_list() -> None:
    """列出已保存的情景 List the stored scenarios."""
    from riskmap.analysis.scenario_store import list_scenarios

    shown = Table("编号 Id", "名称 Name", "路网 Network", "修改 Changed", "版本 Version")
    with opened() as ready, ready.database.read() as session:
        after, most = 0, 1000
        while rows := list_scenarios(session, after=after, limit=most):
            for one in rows:
                changed = one.updated_at.strftime("%Y-%m-%d %H:%M")
                revision = one.network_revision or ""
                shown.add_row(str(one.id), one.name, revision, changed, str(one.version))
            after = rows[-1].id
    out.print(shown)


@scenario_app.command("add")
def scenario_add(
    name: Annotated[str, typer.Argument(help="名称 Name, not yet taken")],
    file: Annotated[Path, typer.Argument(help="情景 JSON A scenario, see docs/scenarios.md")],
    note: Annotated[str | None, typer.Option(help="说明 Note")] = None,
    datum: Annotated[str | None, typer.Option(help="坐标 wgs84, gcj02, bd09")] = None,
) -> None:
    """保存情景 Store a scenario."""
    from riskmap.analysis.scenario_ground import checked_scenario
    from riskmap.analysis.scenario_store import add_scenario
    from riskmap.crs.datum import read_datum
    from riskmap.roads.load import roads_revision

    content = _read(file)
    with opened() as ready:
        ground = _service(ready).ground
        scenario = checked_scenario(ground, content, read_datum(datum))
        with ready.database.write(ready.actor) as session:
            made = add_scenario(
                session,
                name=name,
                note=note,
                content=scenario.to_json(),
                network_revision=roads_revision(session),
                actor=ready.actor.name,
            )
    tell("scenario.stored", id=made.id, name=made.name, version=made.version)


@scenario_app.command("compare")
def scenario_compare(
    scenario: Annotated[str, typer.Argument(help="编号或 JSON 文件 Id, or a file of one")],
    minutes: Annotated[float, typer.Option(help="多少分钟内为可达 In reach: minutes")] = 15,
    limit: Annotated[int, typer.Option(help="每类最多列出几条 Most features of a list")] = 200,
    datum: Annotated[str | None, typer.Option(help="坐标 wgs84, gcj02, bd09 of the file")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="写出 JSON Write JSON")
    ] = None,
) -> None:
    """与现状比较:谁新失去覆盖、谁更晚 Who is newly out of reach, and who is reached later."""
    import orjson

    from riskmap.analysis.coverage import CoverageQuery
    from riskmap.crs.datum import read_datum

    if output is not None:
        check_writable(output)
    asked: Any = int(scenario) if scenario.isascii() and scenario.isdigit() else None
    if asked is None:
        asked = _read(Path(scenario))
    with opened() as ready:
        service = _service(ready)
        changed = service.under(asked, read_datum(datum))
        answer = service.compare(changed, CoverageQuery(minutes=minutes, limit=limit))
    if output is not None:
        write(output, orjson.dumps(answer))
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    within = f"≤ {answer['minutes']:g} 分 min"
    shown = Table(
        "", f"原来 Before {within}", f"情景 After {within}", "失去 Out of reach", "新增 In reach",
        "更晚 Later", "最多晚 Most, s",
    )  # fmt: skip
    for name, one in {"人口 people": answer["population"], **answer["layers"]}.items():
        counts = one["people"] if one is answer["population"] else one
        numbers = ("covered_base", "covered", "out_of_reach", "in_reach", "later")
        most = one["later_s_max"]
        shown.add_row(
            name, *(f"{counts[key]:,}" for key in numbers), "" if most is None else f"{most:g}"
        )
    out.print(shown)
    for one in answer["out_of_reach"][:_LISTED]:
        when = one["reason"] if one["arrival_s"] is None else f"{one['arrival_s']:g} s"
        said = one.get("name") or ""
        out.print(f"{one['layer']}/{one['id']} {said}: {one['base_s']:g} s → {when}")
    for one in answer.get("scenario", {}).get("warnings", ()):
        out.print(one["zh"], markup=False)
        out.print(one["en"], markup=False)
    out.print(f"{answer['method']} · {answer['network_revision']}")


def _service(ready: Opened) -> AnalysisService:
    from riskmap.analysis.service import AnalysisService
    from riskmap.catalog.registry import load_catalog
    from riskmap.roads.graphs import Graphs

    graphs = Graphs(ready.settings.data_dir, ready.database)
    return AnalysisService(ready.database, load_catalog(), graphs)


def _read(file: Path) -> Any:
    import json

    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            "scenario.file", parameter="file", file=str(file), reason=error.strerror
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "scenario.file", parameter="file", file=str(file), reason=str(error)[:100]
        ) from error
