"""`riskmap tiles`: the public map as one file, for a static host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskmap.cli.analysis import check_writable
from riskmap.cli.opening import opened, out, tell

if TYPE_CHECKING:
    from riskmap.catalog.spec import Layer
    from riskmap.tiles.archive_walk import Progress, Step

tiles_app = typer.Typer(help="瓦片 Tiles", no_args_is_help=True)


@tiles_app.callback()
def _tiles() -> None:
    """瓦片 Tiles."""  # `export` stays a command of its own while it is the only one


@tiles_app.command("export")
def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="写入的文件 File to write: city.pmtiles")
    ],
    zooms: Annotated[str, typer.Option(help="缩放级别 Zooms, from-to")] = "0-16",
    layers: Annotated[
        str | None,
        typer.Option(help="图层,以逗号分隔,默认全部与路网 Layers; all and the roads: a,b,roads"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="从头开始 Forget an unfinished export")
    ] = False,
) -> None:
    """导出公开地图为一个 PMTiles 文件,可中断后继续 Export the public map as one PMTiles file."""
    from riskmap.db.city import read_city
    from riskmap.tiles.archive import export as run
    from riskmap.tiles.archive import read_zooms
    from riskmap.tiles.archive_work import part_of

    chosen, with_roads = _chosen(layers)
    wanted = read_zooms(zooms)
    began = time.monotonic()
    with opened() as ready:
        _make_folder(output, ready.settings.data_dir)
        check_writable(output, "--output")
        with ready.database.read() as session:
            city = read_city(session)

        async def work(progress: Progress) -> None:
            try:
                done = await run(
                    ready.database,
                    city,
                    chosen,
                    output,
                    with_roads=with_roads,
                    zooms=wanted,
                    timeout_s=ready.settings.export_timeout_s,
                    progress=progress,
                    restart=restart,
                )
            finally:
                await ready.database.async_engine.dispose()
            tell(
                "archive.written",
                file=output,
                tiles=f"{done.tiles:,}",
                rendered=f"{done.rendered:,}",
                size=f"{done.size_bytes / 1e6:,.1f}",
                revision=done.revision,
                seconds=round(time.monotonic() - began),
            )
            if done.dropped:
                tell("archive.dropped", dropped=f"{done.dropped:,}")

        try:
            with _bar() as progress:
                asyncio.run(work(progress))
        except KeyboardInterrupt:
            if part_of(output).exists():
                tell("archive.interrupted", file=part_of(output))
            raise


def _chosen(names: str | None) -> tuple[list[Layer], bool]:
    """Return the layers that are asked for, and whether the roads are."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.tiles import roads

    catalog = load_catalog()
    if names is None:
        return list(catalog.values()), True
    asked = list(dict.fromkeys(name.strip() for name in names.split(",")))
    found = [catalog.find(name, parameter="--layers") for name in asked if name != roads.NAME]
    return found, roads.NAME in asked


def _make_folder(output: Path, data_dir: Path) -> None:
    """Make the folder that the service serves archives from; any other must be there."""
    from riskmap.tiles.archive_list import folder_of

    folder = folder_of(data_dir)
    if output.absolute().parent == folder.absolute() and data_dir.is_dir():
        folder.mkdir(exist_ok=True)


@contextmanager
def _bar() -> Iterator[Progress]:
    """Say each zoom in one line when it is done; on a terminal a bar below tells how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal
    ) as bar:
        task = bar.add_task("z0", total=None)
        said: set[int] = set()

        def show(step: Step) -> None:
            bar.update(task, description=f"z{step.zoom}", completed=step.done, total=step.estimated)
            # The last look at what was changed meanwhile is not told again.
            if step.ends_zoom and step.zoom not in said:
                said.add(step.zoom)
                out.print(f"z{step.zoom}: {step.done:,} / ~{step.estimated:,}")

        yield show
