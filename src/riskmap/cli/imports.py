"""`riskmap import`: a file into a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from riskmap.cli.opening import err, opened, out
from riskmap.errors import EXIT_INPUT
from riskmap.i18n import LANGS


def import_layer(
    layer: Annotated[str, typer.Argument(help="图层 Layer, see `riskmap layers`")],
    file: Annotated[Path, typer.Argument(help="GeoJSON, GeoPackage 或 CSV")],
    crs: Annotated[str | None, typer.Option(help="坐标系(必填) CRS (needed), EPSG:4490")] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="字段=列名 field=column")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="字段对照文件 Mapping file (fields, values, constants)")
    ] = None,
    source: Annotated[str, typer.Option(help="来源系统 Source system")] = "local",
    table: Annotated[str | None, typer.Option(help="GeoPackage 中的表 Table in it")] = None,
    repair: Annotated[bool, typer.Option(help="修复无效几何 Repair invalid geometry")] = False,
    max_bad: Annotated[
        float, typer.Option(help="可拒收的行所占比例 Share of bad rows that may be left out, 0–1")
    ] = 0.0,
    dry_run: Annotated[bool, typer.Option(help="只检查 Check only")] = False,
) -> None:
    """把文件导入图层:一次全部完成,或什么都不改 Import a file: all of it, or nothing at all."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.db.city import read_city
    from riskmap.ingest.mapping import read_mapping
    from riskmap.ingest.report import ImportRejectedError
    from riskmap.ingest.run import ImportOptions, Limits, import_file

    options = ImportOptions(
        crs=crs,
        mapping=read_mapping(mapping, map_ or ()),
        table=table,
        source_system=source,
        repair=repair,
        max_bad_share=max_bad,
        dry_run=dry_run,
    )
    target = load_catalog().find(layer, parameter="LAYER")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with opened() as ready:
        with ready.database.read() as session:
            city = read_city(session)
        with Progress(*columns, console=out, transient=True) as bar:
            tasks = {}

            def progress(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.update(tasks[stage], completed=done, total=total)

            try:
                report = import_file(
                    ready.database,
                    city,
                    target,
                    file,
                    options,
                    actor=ready.actor,
                    progress=progress,
                    limits=Limits.of(ready.settings),
                )
            except ImportRejectedError as error:
                bar.stop()
                for lang in LANGS:
                    err.print(error.report.render(lang), markup=False, soft_wrap=True)
                raise typer.Exit(EXIT_INPUT) from None
    for lang in LANGS:
        out.print(report.render(lang), markup=False, soft_wrap=True)
