"""`riskmap sources check`: levels of major hazard sources, filed and computed."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from riskmap.cli.opening import opened, out, tell

sources_app = typer.Typer(help="重大危险源 Major hazard sources", no_args_is_help=True)


@sources_app.callback()
def sources() -> None:
    """重大危险源 Major hazard sources."""


@sources_app.command("check")
def check(
    number: Annotated[int | None, typer.Option("--id", min=0, help="只查一个 One source")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON Print JSON")] = False,
) -> None:
    """核对级别:备案值与计算值 Filed levels against computed ones; nothing is stored."""
    import orjson

    answer = _all(number)
    if as_json:
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table(
        _numeric("编号 Id"),
        Column("统一编号 Code", no_wrap=True),
        _numeric("备案级 Filed"),
        _numeric("计算级 Computed"),
        _numeric("R 备案 filed"),
        _numeric("R 计算 computed"),
        _numeric("α"),
        "说明 Why",
    )
    for source in answer["sources"]:
        filed, computed = source["filed"], source["computed"]
        table.add_row(
            str(source["id"]),
            source["code"],
            _shown(filed["level"]),
            _shown(computed["level"]),
            _shown(filed["R"]),
            _shown(computed["R"]),
            f"{_shown(filed['alpha'])} / {_shown(computed['alpha'])}",
            "" if source["agrees"] else _why(source),
        )
    out.print(table)
    counts = {name: answer[name] for name in ("agree", "disagree", "not_compared")}
    unverified = sum(1 for source in answer["sources"] if source["unverified"])
    tell("gb18218.summary", count=len(answer["sources"]), unverified=unverified, **counts)


def _all(number: int | None) -> dict[str, Any]:
    """Compute one source or, page after page, all of them."""
    from riskmap.analysis.hazard_levels import hazard_levels, source_layer
    from riskmap.catalog.registry import load_catalog
    from riskmap.features.query import FeatureQuery, Keyset

    catalog = load_catalog()
    layer = source_layer(catalog)
    whole: dict[str, Any] = {}
    after: int | None = None
    with opened() as ready, ready.database.read() as session:
        while True:
            start = None if after is None else Keyset((), after)
            query = FeatureQuery(layer=layer, restricted=True, feature_id=number, after=start)
            page, after = hazard_levels(session, catalog, query)
            if not whole:
                whole = page
            else:
                whole["sources"] += page["sources"]
                for name in ("numberReturned", "agree", "disagree", "not_compared"):
                    whole[name] += page[name]
            if after is None:
                return whole


def _numeric(heading: str) -> Column:
    return Column(heading, justify="right", no_wrap=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _why(source: dict[str, Any]) -> str:
    """Say what stands in the way, or the difference that explains the level, else all of them."""
    notes = source["not_computed"] or source["differences"]
    explaining = [one for one in notes if one.get("explains_level")]
    return "\n".join(f"{one['zh']} {one['en']}" for one in explaining or notes)
