"""`riskmap`: the command line.

The commands import what they work with when they run: numba, pandas and FastAPI together take
seconds, and `riskmap --help` needs none of them.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Column, Table

from riskmap import __version__
from riskmap.cli import (
    admin,
    analysis,
    around,
    coverage,
    demo,
    history,
    imports,
    reach,
    roads,
    scenarios,
    serve,
    sources,
    tables,
    templates,
    tiles,
)
from riskmap.cli.opening import err, opened, out
from riskmap.errors import EXIT_INPUT, EXIT_SETUP, RiskmapError, SetupError

app = typer.Typer(
    name="riskmap",
    help="城市公共安全风险一张图 One map of city safety risks",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("import")(imports.import_layer)
app.command("template")(templates.write_template)
app.command("circle")(analysis.circle)
app.command("around")(around.around)
app.command("reach")(reach.reach)
app.command("coverage")(coverage.coverage)
app.command("migrate")(admin.migrate_database)
app.command("backup")(admin.backup_database)
app.command("restore")(admin.restore_database)
app.command("doctor")(admin.doctor)
app.add_typer(admin.city_app, name="city")
app.add_typer(admin.keys_app, name="keys")
app.add_typer(demo.demo_app, name="demo")
app.add_typer(history.imports_app, name="imports")
app.add_typer(history.features_app, name="features")
app.add_typer(roads.roads_app, name="roads")
app.add_typer(scenarios.scenario_app, name="scenario")
app.add_typer(tables.tables_app, name="tables")
app.add_typer(sources.sources_app, name="sources")
app.add_typer(tiles.tiles_app, name="tiles")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="版本 Version")
    ] = False,
) -> None:
    """城市公共安全风险一张图 One map of city safety risks."""
    del version


@app.command("layers")
def layers() -> None:
    """列出图层与要素数 List the layers and how many features each holds."""
    from sqlalchemy import func, select

    from riskmap.catalog.registry import load_catalog
    from riskmap.db.base import METADATA

    catalog = load_catalog()
    # The ids are what one types next: on a narrow terminal other columns give way.
    ids = Column("图层 Layer", min_width=max(map(len, catalog)), no_wrap=True)
    table = Table(ids, "名称 Title", "几何 Geometry", "类别 Role", "要素 Features")
    with opened() as ready, ready.database.read() as session:
        for layer in catalog.values():
            count = session.execute(
                select(func.count()).select_from(METADATA.tables[layer.table])
            ).scalar_one()
            title = f"{layer.title.zh} {layer.title.en}"
            table.add_row(layer.id, title, layer.geometry.value, layer.role.value, f"{count:,}")
    out.print(table)


def main() -> None:
    """Run the command line; errors are one clear text in both languages, never a traceback."""
    try:
        app(standalone_mode=True)
    except RiskmapError as error:
        err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(EXIT_SETUP if isinstance(error, SetupError) else EXIT_INPUT)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
