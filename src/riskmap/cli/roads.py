"""`riskmap roads`: the road network."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from riskmap.cli.analysis import check_writable, unwritable
from riskmap.cli.imports import AXES_HELP, SHIFT_HELP, shift
from riskmap.cli.opening import opened, out, tell
from riskmap.errors import InputError
from riskmap.i18n import LANGS

OSM_SUFFIXES: Final = (".pbf", ".osm")

roads_app = typer.Typer(help="路网 The road network", no_args_is_help=True)


@roads_app.command("import")
def roads_import(
    file: Annotated[Path, typer.Argument(help="OSM .pbf 或矢量线文件 OSM .pbf or a line layer")],
    crs: Annotated[str | None, typer.Option(help="坐标系 CRS of a vector file, EPSG:4490")] = None,
    axes: Annotated[str, typer.Option(help=AXES_HELP)] = "en",
    datum_shift: Annotated[str | None, typer.Option("--shift", help=SHIFT_HELP)] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="字段=列名 field=column (road_class, name, oneway, speed_kmh …)"
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="对照文件 Mapping file (columns, values, defaults)")
    ] = None,
    table: Annotated[str | None, typer.Option(help="文件中的图层 Layer in the file")] = None,
    encoding: Annotated[str | None, typer.Option(help="文字编码 Encoding of texts")] = None,
    wkt: Annotated[
        str | None, typer.Option(help="表格中 WKT 线所在的列 Column of a table with lines as WKT")
    ] = None,
    snap: Annotated[float, typer.Option(help="端点合并容差,米 Ends this near are one, m")] = 0.5,
    split_touching: Annotated[
        bool,
        typer.Option(
            "--split-touching",
            help="端点落在另一条线上时打断该线 Split a line where another's end touches it",
        ),
    ] = False,
    already_split: Annotated[
        bool,
        typer.Option(
            "--already-split", help="线已在路口打断,不做任何处理 Lines are edges: mend nothing"
        ),
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="把完整报告写成 JSON Write the whole report as JSON")
    ] = None,
) -> None:
    """导入路网,取代原有路网 Import a road network in the place of the present one."""
    import orjson

    from riskmap.crs.input import read_crs
    from riskmap.db.city import read_city
    from riskmap.ingest.readers import READERS
    from riskmap.ingest.roads import import_lines, read_road_mapping
    from riskmap.roads.graphs import Graphs
    from riskmap.roads.load import replace_edges
    from riskmap.roads.osm import read_osm_pbf
    from riskmap.roads.report import describe

    # The format first: of a file that is none, a CRS would not make one.
    suffix = file.suffix.lower()
    if suffix not in (*OSM_SUFFIXES, *READERS):
        known = ", ".join((*OSM_SUFFIXES, *READERS))
        raise InputError("roads.file_format", parameter="file", file=str(file), formats=known)
    if not file.exists():
        raise InputError("roads.file_missing", parameter="file", file=str(file))
    if suffix in READERS and crs is None:
        raise InputError("option.crs", parameter="--crs")
    if report is not None:
        check_writable(report, "--report")
    said = read_road_mapping(mapping, map_ or ())
    with opened() as ready:
        with ready.database.read() as session:
            city = read_city(session)
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=out) as bar:
            bar.add_task("读取 reading …")
            if suffix in OSM_SUFFIXES:
                edges = read_osm_pbf(file)
                found = describe(edges)
            else:
                with tempfile.TemporaryDirectory(prefix="riskmap-roads-") as workspace:
                    edges, found = import_lines(
                        file,
                        said,
                        crs=read_crs(
                            crs, parameter="--crs", axes=axes, datum_shift=shift(datum_shift)
                        ),
                        table=table,
                        encoding=encoding,
                        workspace=Path(workspace),
                        wkt=wkt,
                        snap_m=snap,
                        split_touching=split_touching,
                        already_split=already_split,
                    )
            bar.add_task("入库 storing …")
            with ready.database.write(ready.actor, timeout_s=0) as write:
                state = replace_edges(write, edges, city.bbox, source=file.name)
        tell("roads.done", edges=state.edges, km=round(state.length_km), notes=len(edges.notes))
        for lang in LANGS:
            out.print(found.render(lang), markup=False, soft_wrap=True)
        if report is not None:
            try:
                report.write_bytes(orjson.dumps(found.to_json(), option=orjson.OPT_INDENT_2))
            except OSError as error:
                raise unwritable(report, error.strerror, "--report") from error
        graphs = Graphs(ready.settings.data_dir, ready.database)
        for graph in graphs.build_all(srid=city.local_srid):
            tell(
                "roads.built",
                profile=graph.profile,
                nodes=graph.node_count,
                arcs=len(graph.head),
            )
