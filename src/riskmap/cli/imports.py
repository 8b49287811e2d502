"""`riskmap import` and `riskmap roads import`: files into the city."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from riskmap.cli.opening import err, opened, out, tell
from riskmap.errors import EXIT_INPUT, InputError
from riskmap.i18n import LANGS

OSM_SUFFIXES: Final = (".pbf", ".osm")
VECTOR_SUFFIXES: Final = (".gpkg", ".geojson", ".json", ".shp", ".fgb", ".gml")

STAGES: Final = {"read": "读取 reading", "load": "入库 loading"}

roads_app = typer.Typer(help="路网 The road network", no_args_is_help=True)


def pairs(options: list[str] | None, parameter: str) -> dict[str, str]:
    """Read options of the form field=column."""
    found = {}
    for option in options or ():
        name, sign, column = option.partition("=")
        if not (name and sign and column):
            raise InputError("option.pair", parameter=parameter, value=option)
        found[name] = column
    return found


@roads_app.command("import")
def roads_import(
    file: Annotated[Path, typer.Argument(help="OSM .pbf 或矢量线文件 OSM .pbf or a line layer")],
    crs: Annotated[str | None, typer.Option(help="坐标系 CRS of a vector file, EPSG:4490")] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="字段=列名 field=column (road_class, name, oneway, speed_kmh …)"
        ),
    ] = None,
    table: Annotated[str | None, typer.Option(help="文件中的图层 Layer in the file")] = None,
) -> None:
    """导入路网,取代原有路网 Import a road network in the place of the present one."""
    from riskmap.db.city import read_city
    from riskmap.roads.graphs import Graphs
    from riskmap.roads.load import replace_edges
    from riskmap.roads.osm import read_osm_pbf
    from riskmap.roads.vector import read_vector_roads

    # The format first: of a file that is none, a CRS would not make one.
    suffix = file.suffix.lower()
    if suffix not in (*OSM_SUFFIXES, *VECTOR_SUFFIXES):
        known = ", ".join((*OSM_SUFFIXES, *VECTOR_SUFFIXES))
        raise InputError("roads.file_format", parameter="file", file=str(file), formats=known)
    if not file.is_file():
        raise InputError("roads.file_missing", parameter="file", file=str(file))
    if suffix in VECTOR_SUFFIXES and crs is None:
        raise InputError("option.crs", parameter="--crs")
    with opened() as ready:
        with ready.database.read() as session:
            city = read_city(session)
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=out) as bar:
            bar.add_task("读取 reading …")
            if crs is None or suffix in OSM_SUFFIXES:
                edges = read_osm_pbf(file)
            else:
                edges = read_vector_roads(file, crs=crs, columns=pairs(map_, "--map"), layer=table)
            bar.add_task("入库 storing …")
            with ready.database.write(ready.actor, timeout_s=0) as write:
                state = replace_edges(write, edges, city.bbox, source=file.name)
        tell("roads.done", edges=state.edges, km=round(state.length_km), notes=len(edges.notes))
        graphs = Graphs(ready.settings.data_dir, ready.database)
        for graph in graphs.build_all(srid=city.local_srid):
            tell(
                "roads.built",
                profile=graph.profile,
                nodes=graph.node_count,
                arcs=len(graph.head),
            )


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
    file: Annotated[Path, typer.Argument(help="文件 File")],
    crs: Annotated[str | None, typer.Option(help="坐标系(必填) CRS (needed), EPSG:4490")] = None,
    axes: Annotated[
        str, typer.Option(help="坐标顺序 en 东在前, ne 北在前 Which axis comes first, en or ne")
    ] = "en",
    datum_shift: Annotated[
        str | None,
        typer.Option("--shift", help="转换参数 3 或 7 个数 Datum shift, 3 or 7 numbers: dx,dy,dz…"),
    ] = None,
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
    from riskmap.ingest.store import import_folder

    made = sorted(work.glob("rejected.*"))
    if not made:
        return
    if import_id is not None:
        folder = import_folder(data_dir, import_id)
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
        It cannot be written there.
    """
    target = target.with_suffix(made.suffix)
    try:
        shutil.copy(made, target)
    except OSError as error:
        raise InputError(
            "option.output", parameter="FILE", file=str(target), reason=error.strerror
        ) from error
    tell("imports.rejected_written", file=target)
