"""`riskmap import`: a file into a layer."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from riskmap.cli.analysis import check_writable
from riskmap.cli.opening import err, opened, out, tell
from riskmap.errors import EXIT_INPUT, InputError
from riskmap.i18n import LANGS

AXES_HELP: Final = "坐标顺序 en 东在前, ne 北在前 Which axis comes first, en or ne"
SHIFT_HELP: Final = "转换参数 3 或 7 个数 Datum shift, 3 or 7 numbers: dx,dy,dz…"
STAGES: Final = {"read": "读取 reading", "load": "入库 loading"}


def shift(text: str | None) -> tuple[float, ...]:
    """Read parameters of a datum shift, separated by commas; `read_crs` counts them."""
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError("option.shift", parameter="--shift", value=text) from None


def import_layer(
    layer: Annotated[str, typer.Argument(help="图层 Layer, see `riskmap layers`")],
    file: Annotated[
        Path,
        typer.Argument(help="文件 File: GeoJSON, Shapefile, KML, CSV, Excel …"),
    ],
    crs: Annotated[
        str | None, typer.Option(help="坐标系(必填) CRS (needed): EPSG:4490, GCJ02, BD09")
    ] = None,
    axes: Annotated[str, typer.Option(help=AXES_HELP)] = "en",
    datum_shift: Annotated[str | None, typer.Option("--shift", help=SHIFT_HELP)] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="字段=列名 field=column")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="字段对照文件 Mapping file (fields, values, constants)")
    ] = None,
    source: Annotated[str, typer.Option(help="来源系统 Source system")] = "local",
    mode: Annotated[
        str,
        typer.Option(
            help="upsert 更新, replace 以文件取代同一来源, append 只新增 Update by code, replace"
            " the source by the file, or only add"
        ),
    ] = "upsert",
    table: Annotated[
        str | None, typer.Option(help="文件中的表 Table, layer or sheet in the file")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="文字编码 Encoding of its texts")] = None,
    repair: Annotated[bool, typer.Option(help="修复无效几何 Repair invalid geometry")] = False,
    max_bad: Annotated[
        float, typer.Option(help="可拒收的行所占比例 Share of bad rows that may be left out, 0–1")
    ] = 0.0,
    rejected: Annotated[
        Path | None,
        typer.Option(help="被拒收的行写到哪里 Where the refused rows go, with their reasons"),
    ] = None,
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
        axes=axes,
        datum_shift=shift(datum_shift),
        mapping=read_mapping(mapping, map_ or ()),
        table=table,
        encoding=encoding,
        source_system=source,
        mode=mode,
        repair=repair,
        max_bad_share=max_bad,
        dry_run=dry_run,
    )
    target = load_catalog().find(layer, parameter="LAYER")
    if rejected is not None:
        check_writable(rejected, "--rejected")
        ending = ".zip" if file.is_dir() else file.suffix.lower()
        if rejected.suffix.lower() != ending:
            raise InputError(
                "imports.rejected_ending",
                parameter="--rejected",
                file=str(rejected),
                ending=ending,
            )
        if rejected.exists():
            raise InputError("imports.rejected_exists", parameter="--rejected", file=str(rejected))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with opened() as ready, tempfile.TemporaryDirectory(prefix="riskmap-import-") as work:
        with ready.database.read() as session:
            city = read_city(session)
        with Progress(*columns, console=out, transient=True) as bar:
            tasks = {}

            def progress(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(STAGES.get(stage, stage), total=total)
                bar.update(tasks[stage], completed=done, total=total)

            refused = False
            try:
                report = import_file(
                    ready.database,
                    city,
                    target,
                    file,
                    options,
                    actor=ready.actor,
                    progress=progress,
                    work_dir=Path(work),
                    limits=Limits.of(ready.settings),
                )
            except ImportRejectedError as error:
                report, refused = error.report, True
        for lang in LANGS:
            (err if refused else out).print(report.render(lang), markup=False, soft_wrap=True)
        _keep_rejected(Path(work), ready.settings.data_dir, report.import_id, rejected)
    if refused:
        raise typer.Exit(EXIT_INPUT)


def _keep_rejected(work: Path, data_dir: Path, import_id: int | None, target: Path | None) -> None:
    """Keep the refused rows under the import's number, and copy them where they are wanted."""
    from riskmap.ingest.folders import Folders

    made = sorted(work.glob("rejected.*"))
    if not made:
        return
    if import_id is not None:
        folder = Folders(data_dir).of(import_id)
        folder.mkdir(parents=True, exist_ok=True)
        for kept in (*made, *work.glob("problems.jsonl")):
            shutil.copy(kept, folder)
        tell("imports.rejected_kept", import_id=import_id)
    if target is not None:
        copy_rejected(made[0], target)


def copy_rejected(made: Path, target: Path) -> None:
    """Copy the file of refused rows; it keeps the ending of its format.

    Raises
    ------
    InputError
        It cannot be written there, something is there already, or its ending is another format's.
    """
    if target.suffix.lower() != made.suffix:
        raise InputError(
            "imports.rejected_ending", parameter="FILE", file=str(target), ending=made.suffix
        )
    try:
        with made.open("rb") as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
    except OSError as error:
        raise InputError(
            "option.output", parameter="FILE", file=str(target), reason=error.strerror
        ) from error
    tell("imports.rejected_written", file=target)
