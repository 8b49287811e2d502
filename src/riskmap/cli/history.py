"""`riskmap imports` and `riskmap features`: what was imported, what features were, the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from riskmap.cli.imports import copy_rejected
from riskmap.cli.opening import opened, out, tell
from riskmap.errors import NotFoundError
from riskmap.i18n import LANGS, say

imports_app = typer.Typer(help="导入记录 The list of imports", no_args_is_help=True)
features_app = typer.Typer(help="要素的历史 Versions of features", no_args_is_help=True)


@imports_app.command("list")
def list_all(
    layer: Annotated[str | None, typer.Option(help="图层 Layer")] = None,
    status: Annotated[
        str | None, typer.Option(help="状态 queued, running, done, rejected, failed, cancelled")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多列出 How many at most")] = 50,
) -> None:
    """列出导入,最近的在前 List imports, the newest first."""
    from riskmap.ingest.store import list_imports

    table = Table(
        "编号 Id", "时间 When", "图层 Layer", "文件 File", "方式 Mode", "状态 Status", "谁 Who"
    )
    with opened() as ready, ready.database.read() as session:
        for row in list_imports(session, layer=layer, status=status, limit=limit):
            mode = row.mode if row.undo_of is None else f"undo {row.undo_of}"
            state = row.status
            if row.undone_by is not None:
                state += f" (undone by {row.undone_by})"
            when = f"{row.created_at:%Y-%m-%d %H:%M}"
            told = (row.layer, row.file, mode, state, row.actor)
            table.add_row(str(row.id), when, *told)
    out.print(table)


@imports_app.command("show")
def show(import_id: Annotated[int, typer.Argument(help="编号 Its id")]) -> None:
    """显示一次导入及其报告 Show an import and its report, as JSON."""
    from riskmap.ingest.store import get_import

    with opened() as ready, ready.database.read() as session:
        found = get_import(session, import_id)
    # Not through rich, which would wrap it.
    typer.echo(json.dumps(dict(found._mapping), ensure_ascii=False, indent=2, default=str))


@imports_app.command("rejected")
def rejected(
    import_id: Annotated[int, typer.Argument(help="编号 Its id")],
    output: Annotated[Path, typer.Option("-o", "--output", help="写到哪里 Where to")],
) -> None:
    """取出被拒收的行,每行附原因 Fetch the refused rows, each with its reason."""
    from riskmap.ingest.folders import Folders
    from riskmap.ingest.store import get_import

    with opened() as ready:
        with ready.database.read() as session:
            get_import(session, import_id)
        file = Folders(ready.settings.data_dir).left(import_id, "rejected")
        if file is None:
            raise NotFoundError("imports.none_rejected", parameter="import_id", value=import_id)
        copy_rejected(file, output)


@imports_app.command("undo")
def undo(
    import_id: Annotated[int, typer.Argument(help="编号 Its id")],
    skip_changed: Annotated[
        bool,
        typer.Option("--skip-changed", help="跳过此后又被修改的要素 Leave out what changed since"),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 Do not ask")] = False,
) -> None:
    """撤销一次导入,要素编号不变 Take an import back; ids of features stay."""
    from riskmap.ingest.store import get_import
    from riskmap.ingest.undo import undo_import

    with opened() as ready:
        with ready.database.read() as session:
            found = get_import(session, import_id)
        asked = {"import_id": import_id, "file": found.file, "layer": found.layer}
        if not yes:
            question = "\n".join(say("imports.confirm", lang, **asked) for lang in LANGS)
            typer.confirm(question, abort=True)
        with ready.database.write(ready.actor, timeout_s=0) as write:
            done = undo_import(write, import_id, actor=ready.actor, skip_changed=skip_changed)
    tell("undo.done", **done.to_json())


@features_app.command("history")
def history(
    layer: Annotated[str, typer.Argument(help="图层 Layer")],
    feature_id: Annotated[int, typer.Argument(help="要素编号 Its id")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="最多列出 How many at most")] = 100,
) -> None:
    """列出要素的版本,最近的在前 List the versions of a feature, the newest first."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.features.history import versions

    found_layer = load_catalog().find(layer, parameter="LAYER")
    table = Table(
        "版本 Version", "方式 How", "时间 When", "谁 Who", "导入 Import", "后来 Then", "名称 Name"
    )
    with opened() as ready, ready.database.read() as session:
        for one in versions(session, found_layer, feature_id, restricted=True, limit=limit):
            made, later = one.made, one.superseded
            then = "" if later is None else f"{later.op} {later.actor}"
            when = f"{made.at:%Y-%m-%d %H:%M:%S}"
            name = json.loads(one.feature)["properties"].get("name")
            number = "" if made.import_id is None else str(made.import_id)
            told = (when, made.actor or "", number, then, name or "")
            table.add_row(str(one.version), made.op, *told)
    out.print(table)


@features_app.command("restore")
def restore(
    layer: Annotated[str, typer.Argument(help="图层 Layer")],
    feature_id: Annotated[int, typer.Argument(help="要素编号 Its id")],
    version: Annotated[int, typer.Option(min=1, help="恢复到哪个版本 Which version")],
) -> None:
    """把要素恢复为以前的版本,已删除的也可以 Put a feature back to a version, a deleted one, too."""
    from riskmap.catalog.registry import load_catalog
    from riskmap.ingest.undo import restore_feature

    found = load_catalog().find(layer, parameter="LAYER")
    with opened() as ready, ready.database.write(ready.actor) as session:
        became = restore_feature(session, found, feature_id, version)
    tell("history.restored", feature_id=feature_id, restored=version, version=became)
