"""`riskmap demo`: the demo city, for whoever has no data at hand yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskmap.cli.opening import Opened, err, opened, out, tell
from riskmap.errors import InputError, SetupError
from riskmap.i18n import say

if TYPE_CHECKING:
    from riskmap.demo.load import DemoFiles, Progress, Stage

demo_app = typer.Typer(help="演示市 The demo city", no_args_is_help=True)


@contextmanager
def _bar() -> Iterator[Progress]:
    """Say each stage in one line as it begins; on a terminal a bar below tells that it lives."""
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("demo")

        def show(stage: Stage) -> None:
            bar.update(task, completed=stage.number - 1, total=stage.of)
            said = f"[{stage.number:>2}/{stage.of}] {stage.text('zh')}  {stage.text('en')}"
            out.print(said, markup=False, soft_wrap=True)

        yield show


def _load(ready: Opened, files: DemoFiles) -> None:
    from riskmap.catalog.registry import load_catalog
    from riskmap.demo.ground import NAME, NAME_EN
    from riskmap.demo.load import load_demo
    from riskmap.roads.graphs import Graphs

    began = time.monotonic()
    graphs = Graphs(ready.settings.data_dir, ready.database)
    with _bar() as show:
        loaded = load_demo(
            ready.database, load_catalog(), graphs, files, actor=ready.actor, progress=show
        )
    if loaded:
        tell("demo.loaded", name=NAME, name_en=NAME_EN, seconds=round(time.monotonic() - began))
    else:
        tell("demo.there")


def load_when_empty(ready: Opened) -> None:
    """Load the demo city into an empty database; without its files, say so and go on."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.demo.load import is_empty, layers_folder, read_files

    with ready.database.read() as session:
        if not is_empty(session, load_catalog()):
            return
    try:
        files = read_files(layers_folder())
    except SetupError as error:
        err.print(str(error), markup=False, soft_wrap=True)
        return
    tell("demo.unasked")
    _load(ready, files)


@demo_app.command("load")
def demo_load(
    files: Annotated[
        Path | None,
        typer.Option(help="文件夹 Folder of the files, if not our own"),
    ] = None,
) -> None:
    """把演示市载入空的数据库 Load the demo city into an empty database."""
    from riskmap.demo.load import layers_folder, read_files

    found = read_files(layers_folder() if files is None else files)
    with opened() as ready:
        _load(ready, found)


@demo_app.command("remove")
def demo_remove(
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 Do not ask")] = False,
    every_source: Annotated[
        bool, typer.Option("--all", help="其他来源的要素也删除 Features of other sources, too")
    ] = False,
) -> None:
    """删除演示市及其路网、要素与历史 Remove the demo city, its roads, features and history."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.demo.load import removable, remove_demo

    catalog = load_catalog()
    with opened() as ready:
        with ready.database.read() as session:
            found = removable(session, catalog, every_source=every_source)
        features = sum(found.demo.values()) + sum(found.other.values())
        values = {"features": f"{features:,}", "edges": f"{found.edges:,}"}
        if not yes:
            if not sys.stdin.isatty():
                raise InputError("demo.confirm_where", parameter="--yes", **values)
            asked = (say("demo.confirm", lang, **values) for lang in ("zh", "en"))
            typer.confirm("\n".join(asked), abort=True)
        with out.status("…"):
            remove_demo(ready.database, catalog, actor=ready.actor, every_source=every_source)
    tell("demo.removed", **values)


@demo_app.command("generate")
def demo_generate(
    output: Annotated[Path, typer.Option(help="写入的文件夹 Folder to write to")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="种子 Seed, if not our own city's")
    ] = None,
) -> None:
    """由种子生成演示市的文件 Generate the files of a demo city from a seed."""
    from riskmap.demo.ground import SEED
    from riskmap.demo.load import strange_files

    chosen = SEED if seed is None else seed
    began = time.monotonic()
    try:
        strange = strange_files(output)
        if strange:
            named = ", ".join(strange[:3])
            raise InputError("demo.output", parameter="--output", folder=output, files=named)
        from riskmap.demo.generate import generate

        with out.status("…"):
            generate(chosen, output, _say_making)
    except OSError as error:
        raise InputError(
            "option.output", parameter="--output", file=output, reason=error.strerror
        ) from error
    except ValueError as error:
        raise InputError("demo.seed", parameter="--seed", seed=chosen, reason=error) from error
    tell("demo.generated", folder=output, seed=chosen, seconds=round(time.monotonic() - began))


def _say_making(stage: str) -> None:
    key = f"demo.making.{stage}"
    out.print(f"{say(key, 'zh')}  {say(key, 'en')}", markup=False, soft_wrap=True)
