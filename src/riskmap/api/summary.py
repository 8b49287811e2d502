"""Statistics of a layer: counts and sums by the values of its fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from riskmap.api import html
from riskmap.api.asking import ask
from riskmap.api.conditions import etag, not_modified
from riskmap.api.deps import Ctx, Language, Who
from riskmap.api.links import JSON, address, base, cache_headers, link
from riskmap.api.query import flag
from riskmap.catalog.spec import RISK_LEVEL, Field, Kind, Layer
from riskmap.errors import InputError
from riskmap.features.groups import GROUPED, SUMMED, Group, Key, Sum, read_groups, total
from riskmap.i18n import Lang, say

router = APIRouter(tags=["features"])

CSV: Final = "text/csv; charset=utf-8; header=present"
ADMIN_CODE: Final = "admin_code"
# GB/T 2260 and GB/T 10114: province, city, district, street, community.
DIGITS: Final = (2, 4, 6, 9, 12)
_MAX_KEYS: Final = 3
_OWN: Final = ("group_by", "sum", "admin_digits", "datum", "f", "bom")
# Without a byte order mark Excel takes the text for the code page of its machine.
_BOM: Final = "\ufeff"


@router.get("/collections/{layer_id}/summary", summary="统计 Summary", response_model=None)
async def summary(layer_id: str, request: Request, ctx: Ctx, who: Who, lang: Language) -> Response:
    """Count and sum the features of a query by the values of some fields."""
    as_html = html.wanted(request, "json", "csv")
    mark = flag(request.query_params.get("bom", "false"), "bom")
    layer = ctx.catalog.find(layer_id)
    query, facts = await ask(request, ctx, layer, who, *_OWN)
    keys = _keys(request, query.fields)
    fields = _summed(request, layer, query.fields)
    headers = cache_headers(who, ETag=f"W/{etag(request, who, facts.revision)}")
    if not_modified(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    async with ctx.database.read_async() as session:
        groups = await read_groups(session, query, keys, fields)
    if request.query_params.get("f") == "csv":
        table = (_BOM if mark else "") + _csv(groups, keys, fields, lang)
        return Response(table.encode(), media_type=CSV, headers=headers)
    body = {
        "collection": layer.id,
        "title": layer.title.in_(lang),
        "revision": facts.revision,
        "updated_at": facts.updated_at,
        "group_by": [key.field.name for key in keys],
        **_told(total(groups, fields), fields),
        "groups": [_group(one, keys, fields, lang) for one in groups],
        "links": [
            link(str(address(request)), "self", JSON),
            link(f"{base(request)}/collections/{layer.id}", "collection", JSON),
        ],
    }
    if as_html:
        return await _page(request, ctx, lang, layer, groups, keys, fields)
    return Response(orjson.dumps(body), media_type=JSON, headers=headers)


async def _page(
    request: Request,
    ctx: Ctx,
    lang: Lang,
    layer: Layer,
    groups: Sequence[Group],
    keys: Sequence[Key],
    fields: Sequence[Field],
) -> Response:
    """Show the groups as a table with the labels of fields and values."""
    async with ctx.database.read_async() as session:
        city = await html.read_city(session)
    rows = [
        (
            [_label(key.field, value, lang) for key, value in zip(keys, one.values, strict=True)],
            _shown(one.count),
            [(_shown(sum_.total), _shown(sum_.unknown)) for sum_ in one.sums],
        )
        for one in groups
    ]
    title = html.both("summary.title")
    here = f"/collections/{layer.id}"
    return html.page(
        request,
        lang,
        "summary.html",
        title=layer.title,
        trail=(
            html.Crumb(html.both("html.collections"), "/collections"),
            html.Crumb(layer.title, here),
            html.Crumb(title),
        ),
        city=city,
        formats=tuple((name.upper(), html.same_page(request, f=name)) for name in ("json", "csv")),
        heads=[key.field.label for key in keys],
        sums=[field.label for field in fields],
        whole=html.both("html.count"),
        unknown=html.both("summary.unknown_count"),
        total=_shown(sum(one.count for one in groups)),
        rows=rows,
    )


def _shown(value: float | None) -> str:
    return "—" if value is None else f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"


def _keys(request: Request, visible: Sequence[Field]) -> list[Key]:
    known = {one.name: one for one in visible if one.kind in GROUPED}
    text = request.query_params.get("group_by")
    names = [] if text is None else text.split(",")
    _check(names, known, "group_by", "summary.group")
    if len(names) > _MAX_KEYS:
        raise InputError("sortby.many", parameter="group_by", value=len(names), most=_MAX_KEYS)
    said = request.query_params.get("admin_digits")
    if said is None:
        return [Key(known[name]) for name in names]
    if said not in map(str, DIGITS) or ADMIN_CODE not in names:
        expected = f"{', '.join(map(str, DIGITS))} (group_by=admin_code)"
        raise InputError(
            "parameter.value", parameter="admin_digits", value=said[:40], expected=expected
        )
    return [Key(known[name], int(said) if name == ADMIN_CODE else 0) for name in names]


def _summed(request: Request, layer: Layer, visible: Sequence[Field]) -> list[Field]:
    known = {one.name: one for one in visible if one.kind in SUMMED and not one.managed}
    text = request.query_params.get("sum")
    if text is None:
        return [known[layer.people]] if layer.people in known else []
    names = text.split(",")
    _check(names, known, "sum", "summary.sum")
    return [known[name] for name in names]


def _check(names: Sequence[str], known: dict[str, Field], parameter: str, key: str) -> None:
    for name in names:
        if name not in known:
            listed = ", ".join(known)
            raise InputError(key, parameter=parameter, value=name[:40], known=listed)
        if names.count(name) > 1:
            raise InputError("sortby.twice", parameter=parameter, value=name)


def _told(group: Group, fields: Sequence[Field]) -> dict[str, Any]:
    sums = zip(fields, group.sums, strict=True)
    return {"count": group.count, "sums": {field.name: _sum(one) for field, one in sums}}


def _sum(one: Sum) -> dict[str, Any]:
    return {"sum": one.total, "unknown": one.unknown}


def _group(
    group: Group, keys: Sequence[Key], fields: Sequence[Field], lang: Lang
) -> dict[str, Any]:
    pairs = list(zip(keys, group.values, strict=True))
    return {
        "values": {key.field.name: value for key, value in pairs},
        "labels": {key.field.name: _label(key.field, value, lang) for key, value in pairs},
        **_told(group, fields),
    }


def _label(field: Field, value: Any, lang: Lang) -> str:
    """Return a value as people call it; what is not known is never the least."""
    if value is None:
        key = "summary.not_assessed" if field.name == RISK_LEVEL.name else "summary.unknown"
        return say(key, lang)
    if field.kind is Kind.BOOLEAN:
        return say("summary.yes" if value else "summary.no", lang)
    for one in field.values:
        if one.code == value:
            return one.zh if lang == "zh" else one.en
    return value.isoformat() if isinstance(value, date) else str(value)


def _csv(groups: Sequence[Group], keys: Sequence[Key], fields: Sequence[Field], lang: Lang) -> str:
    """Return the groups as a table: values and labels of the keys, count, sums, unknowns."""
    text = io.StringIO()
    table = csv.writer(text)
    names = [key.field.name for key in keys]
    heads = [part for name in names for part in (name, f"{name}_label")]
    table.writerow(
        [
            *heads,
            "count",
            *(part for one in fields for part in (one.name, f"{one.name}_unknown")),
        ]
    )
    for group in groups:
        row: list[Any] = []
        for key, value in zip(keys, group.values, strict=True):
            row += [_cell(value), _label(key.field, value, lang)]
        row.append(group.count)
        for one in group.sums:
            row += [_cell(one.total), one.unknown]
        table.writerow(row)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as the items' table has it."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else value
