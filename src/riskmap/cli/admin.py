"""Commands of whoever runs the service: city, keys, schema, backups, doctor."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from riskmap.access.keys import KeyRole
from riskmap.cli.opening import opened, out, tell
from riskmap.errors import EXIT_SETUP, InputError
from riskmap.units import Bbox

city_app = typer.Typer(help="城市 The city", no_args_is_help=True)
keys_app = typer.Typer(help="API 密钥 API keys", no_args_is_help=True)


def epsg(text: str, parameter: str) -> int:
    """Read `EPSG:4549`."""
    prefix, _, code = text.partition(":")
    if prefix.upper() != "EPSG" or not code.isdigit() or len(code) > 6:
        raise InputError("option.epsg", parameter=parameter, value=text)
    return int(code)


@city_app.command("init")
def city_init(
    name: Annotated[str, typer.Option(help="名称 Name")],
    bbox: Annotated[str, typer.Option(help="西,南,东,北 west,south,east,north (WGS 84)")],
    crs: Annotated[str, typer.Option(help="本地投影坐标系 Local projected CRS, EPSG:4549")],
    name_en: Annotated[str | None, typer.Option(help="英文名称 Name in English")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="时区 Time zone", show_default="Asia/Shanghai")
    ] = None,
    replace: Annotated[bool, typer.Option(help="修改已有城市 Change the present city")] = False,
) -> None:
    """设定城市(--replace 保留未给出的项) Set the city (--replace keeps what is not given)."""
    from riskmap.db.city import City, find_city, write_city

    try:
        west, south, east, north = (float(part) for part in bbox.split(","))
    except ValueError:
        raise InputError("bbox.option", parameter="--bbox", value=bbox) from None
    city = City(
        name,
        name_en,
        Bbox(west, south, east, north),
        epsg(crs, "--crs"),
        timezone if timezone is not None else "Asia/Shanghai",
    )
    with opened() as ready, ready.database.own(ready.actor) as session:
        present = find_city(session)
        if replace and present is not None:
            city = dataclasses.replace(
                city,
                name_en=present.name_en if name_en is None else name_en,
                time_zone=present.time_zone if timezone is None else timezone,
            )
        write_city(session, city, replace=replace)
    tell("city.done", name=name, srid=city.local_srid, zone=city.time_zone)


@city_app.command("show")
def city_show() -> None:
    """显示城市 Show the city."""
    from riskmap.db.city import read_city

    with opened() as ready, ready.database.read() as session:
        city = read_city(session)
    table = Table(show_header=False)
    table.add_row("名称 Name", f"{city.name} {city.name_en or ''}")
    table.add_row("范围 Box", ", ".join(f"{value:g}" for value in city.bbox))
    table.add_row("坐标系 CRS", f"EPSG:{city.local_srid}")
    table.add_row("时区 Time zone", city.time_zone)
    out.print(table)


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="给谁 For whom")],
    role: Annotated[KeyRole, typer.Option(help="角色 Role")] = KeyRole.READER,
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="有效天数 Valid for days")
    ] = None,
) -> None:
    """新建密钥 Make a key."""
    from riskmap.access.store import create_key

    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    with opened() as ready, ready.database.own(ready.actor) as session:
        key = create_key(session, name=name, role=role, expires_at=expires)
    tell("keys.once")
    out.print(key.token, markup=False, soft_wrap=True)


@keys_app.command("list")
def keys_list() -> None:
    """列出密钥 List the keys."""
    from riskmap.access.store import list_keys

    table = Table(
        "前缀 Prefix", "给谁 For", "角色 Role", "建于 Made", "到期 Expires", "吊销 Revoked"
    )
    with opened() as ready, ready.database.own(ready.actor) as session:
        for key in list_keys(session):
            moments = (key.created_at, key.expires_at, key.revoked_at)
            shown = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in moments)
            table.add_row(key.prefix, key.name, key.role, *shown)
    out.print(table)


@keys_app.command("revoke")
def keys_revoke(prefix: Annotated[str, typer.Argument(help="前缀 Prefix")]) -> None:
    """吊销密钥 Revoke a key."""
    from riskmap.access.store import revoke_key

    with opened() as ready, ready.database.own(ready.actor) as session:
        revoke_key(session, prefix)
    tell("keys.revoked", prefix=prefix)


def migrate_database() -> None:
    """升级数据库结构 Bring the database's schema up to date."""
    from riskmap.db.migrate import migrate

    with opened(migrated=False) as ready:
        state = migrate(ready.database)
    tell("migrate.done", revision=state.current)


def backup_database(file: Annotated[Path, typer.Argument(help="备份文件 File to write")]) -> None:
    """备份 Back the city up to one file."""
    from riskmap.db.backup import backup

    with opened() as ready, out.status("pg_dump …"):
        size = backup(ready.database, file, bin_folder=ready.bin_folder)
    tell("backup.done", file=file, size=f"{size / 1e6:.1f} MB")


def restore_database(
    file: Annotated[Path, typer.Argument(help="备份文件 Backup file")],
    replace: Annotated[bool, typer.Option(help="取代现有城市 Replace the present city")] = False,
) -> None:
    """恢复 Restore a backup."""
    from riskmap.db.backup import restore
    from riskmap.db.migrate import migrate

    with opened(migrated=False) as ready:
        with out.status("pg_restore …"):
            restore(ready.database, file, replace=replace, bin_folder=ready.bin_folder)
        migrate(ready.database)
    tell("restore.done", file=file)


def doctor() -> None:
    """检查安装 Say what is wrong with the set-up and how to mend it."""
    from riskmap.cli import checks

    table = Table("检查 Check", "结果 Result", "说明 What to do")
    failed = False
    for check in checks.run():
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]–[/]"}[check.fine]
        table.add_row(check.name, mark, check.detail)
        failed |= check.fine is False
    out.print(table)
    if failed:
        raise typer.Exit(EXIT_SETUP)
