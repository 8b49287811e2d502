"""`riskmap circle`: a response circle in the terminal."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from riskmap.cli.opening import opened, out
from riskmap.errors import InputError
from riskmap.units import LonLat


def unwritable(file: Path, reason: str | None, parameter: str = "--output") -> InputError:
    """Return the error for a file that cannot be written."""
    return InputError("option.output", parameter=parameter, file=str(file), reason=reason)


def check_writable(file: Path, parameter: str = "--output") -> None:
    """Refuse a file that cannot be written before the work is done, not after it."""
    if file.is_dir():
        raise unwritable(file, os.strerror(errno.EISDIR), parameter)
    if not file.absolute().parent.is_dir():
        raise unwritable(file, os.strerror(errno.ENOENT), parameter)
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise unwritable(file, os.strerror(errno.EACCES), parameter)


def write(file: Path, content: bytes, parameter: str = "--output") -> None:
    """Write a file that the command was asked for."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise unwritable(file, error.strerror, parameter) from error


def circle(
    at: Annotated[str, typer.Option(help="经度,纬度 lon,lat (WGS 84)")],
    minutes: Annotated[str | None, typer.Option(help="分钟 Minutes")] = None,
    preset: Annotated[str | None, typer.Option(help="评价标准 Preset")] = None,
    kind: Annotated[str | None, typer.Option(help="队伍类别 Kind of team")] = None,
    profile: Annotated[str | None, typer.Option(help="出行方式 Profile")] = None,
    call_handling: Annotated[float | None, typer.Option(help="接警 Call handling, s")] = None,
    turnout: Annotated[float | None, typer.Option(help="出动 Turnout, s")] = None,
    setup: Annotated[float | None, typer.Option(help="展开 Set-up, s")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="写出 GeoJSON Write GeoJSON")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="画成 SVG Draw a map as SVG")
    ] = None,
    timing: Annotated[bool, typer.Option(help="显示用时 Show timings")] = False,
) -> None:
    """响应圈:几分钟内能到哪里、有谁 Who and what is reached within so many minutes."""
    import orjson

    from riskmap.analysis.pictures import circle_picture
    from riskmap.analysis.preset_use import circle_given
    from riskmap.analysis.response import ResponseQuery
    from riskmap.analysis.service import AnalysisService
    from riskmap.analysis.stopwatch import Stopwatch
    from riskmap.catalog.registry import load_catalog
    from riskmap.roads.graphs import Graphs

    try:
        lon, lat = (float(part) for part in at.split(","))
        wanted = None if minutes is None else tuple(float(part) for part in minutes.split(","))
    except ValueError:
        raise InputError(
            "option.circle", parameter="--at, --minutes", at=at, minutes=minutes or ""
        ) from None
    for file, name in ((output, "--output"), (picture, "--picture")):
        if file is not None:
            check_writable(file, name)
    given: dict[str, Any] = {
        "minutes": wanted,
        "kind": kind,
        "profile": profile,
        "call_handling_s": call_handling,
        "turnout_s": turnout,
        "setup_s": setup,
    }
    catalog, watch = load_catalog(), Stopwatch()
    with opened() as ready:
        graphs = Graphs(ready.settings.data_dir, ready.database)
        service = AnalysisService(ready.database, catalog, graphs)
        given = circle_given(ready.database, preset, given)
        query = ResponseQuery(starts=(LonLat(lon, lat),), **given)
        answer = service.circle(query, watch)
        drawn = (
            ""
            if picture is None
            else circle_picture(service.ground, orjson.loads(orjson.dumps(answer)))
        )
    if output is not None:
        write(output, orjson.dumps(answer))
    if picture is not None:
        write(picture, drawn.encode(), "--picture")
    bands = answer["features"][::-1]
    table = Table("", *(f"≤ {band['properties']['minutes']:g} 分 min" for band in bands))
    table.add_row("行驶 Travel, s", *(f"{b['properties']['travel_s']:g}" for b in bands))
    table.add_row("面积 Area, km²", *(f"{b['properties']['area_km2']:,.2f}" for b in bands))
    table.add_row("人口 People", *(f"{b['properties']['people']:,}" for b in bands))
    for layer_id in bands[0]["properties"]["layers"]:
        layer = catalog[layer_id]
        counts = (b["properties"]["layers"][layer_id]["count"] for b in bands)
        table.add_row(f"{layer.title.zh} {layer.title.en}", *(f"{n:,}" for n in counts))
    out.print(table)
    phases = answer["phases"]
    out.print(
        f"接警 call {phases['call_handling_s']:g} s + 出动 turnout {phases['turnout_s']:g} s"
        f" + 行驶 travel + 展开 set-up {phases['setup_s']:g} s · {answer['profile']}"
        f" · {answer['method']} · {answer['network_revision']}"
    )
    if answer["preset"] is not None:
        print_preset(answer["preset"])
    if timing:
        out.print(watch.header())


def print_preset(told: Mapping[str, Any]) -> None:
    """Say which preset an answer follows, where it comes from, and how sure it is."""
    edition = f" {told['edition']}" if told["edition"] else ""
    out.print(
        f"评价标准 preset: {told['name']} {told['name_en']} · {told['source']}{edition}"
        f" · {told['confidence']} · {', '.join(told['used'])}"
    )
