"""`riskmap tables`: speeds, factors and the other tables that a city edits, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from riskmap.cli.analysis import check_writable, unwritable
from riskmap.cli.opening import err, opened, out, tell
from riskmap.errors import EXIT_INPUT
from riskmap.i18n import LANGS

tables_app = typer.Typer(
    help="可编辑的参数表 Tables of speeds, factors and quantities", no_args_is_help=True
)
_SHOWN = 100


@tables_app.command("list")
def tables_list() -> None:
    """列出参数表 List the tables."""
    from sqlalchemy import func, select

    from riskmap.db.reference import REFERENCE

    shown = Table("表 Table", "行 Rows", "字段 Columns")
    with opened() as ready, ready.database.read() as session:
        for name, table in REFERENCE.items():
            count = session.execute(select(func.count()).select_from(table)).scalar_one()
            shown.add_row(name, f"{count:,}", ", ".join(table.columns.keys()))
    out.print(shown)


@tables_app.command("export")
def tables_export(
    name: Annotated[str, typer.Argument(help="表 Table, see `riskmap tables list`")],
    output: Annotated[Path, typer.Option("--output", "-o", help="写出的 CSV CSV file to write")],
) -> None:
    """导出为 CSV Write a table as CSV."""
    from riskmap.db.reference import export_table, find_table

    find_table(name)
    check_writable(output)
    with opened() as ready, ready.database.read() as session:
        content = export_table(session, name)
    try:
        output.write_bytes(content)
    except OSError as error:
        raise unwritable(output, error.strerror) from error
    tell("tables.exported", name=name, file=output)


@tables_app.command("load")
def tables_load(
    name: Annotated[str, typer.Argument(help="表 Table, see `riskmap tables list`")],
    file: Annotated[Path, typer.Argument(help="CSV,取代全部行 CSV of all its rows")],
    dry_run: Annotated[bool, typer.Option(help="只检查 Check only")] = False,
) -> None:
    """用 CSV 取代全部行:一次完成,或什么都不改 Replace a table's rows: all, or nothing."""
    from riskmap.db.reference import TableRejectedError, find_table, load_table

    find_table(name)
    with opened() as ready:
        try:
            with ready.database.own(ready.actor) as session:
                change = load_table(session, name, file)
                if dry_run:
                    session.connection.get_transaction().rollback()  # type: ignore[union-attr]
        except TableRejectedError as error:
            for lang in LANGS:
                err.print(error.text(lang), markup=False, soft_wrap=True)
                for problem in error.problems[:_SHOWN]:
                    err.print(problem.text(lang), markup=False, soft_wrap=True)
            raise typer.Exit(EXIT_INPUT) from None
    tell(
        "tables.checked" if dry_run else "tables.loaded",
        name=name,
        inserted=change.inserted,
        updated=change.updated,
        deleted=change.deleted,
        unchanged=change.unchanged,
    )
