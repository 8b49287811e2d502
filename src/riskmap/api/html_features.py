"""The pages of the features: the list of layers, one layer, its features, one feature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from markupsafe import Markup

from riskmap.access.keys import Caller
from riskmap.api import html
from riskmap.api.context import Context
from riskmap.api.html import City, Crumb, Form, both, read_city, same_page
from riskmap.api.html_values import label_of, shown, unit
from riskmap.api.links import base, cache_headers
from riskmap.catalog.spec import (
    COMMON_FIELDS,
    RISK_LEVEL,
    Child,
    Field,
    Kind,
    Layer,
    Role,
    Text,
)
from riskmap.features import read
from riskmap.features.query import COUNT_CAP, FeatureQuery
from riskmap.features.read import Neighbours
from riskmap.i18n import Lang, say

DEFAULT_ROWS: Final = 50
MAX_ROWS: Final = 500
SYNTHETIC: Final = "synthetic"
# Where a record comes from: on a feature's own page, not in the list.
_PROVENANCE: Final = frozenset(
    field.name
    for field in COMMON_FIELDS
    if field.name not in {"admin_code", "address", "status", "department", "updated_at"}
)
_UNSORTABLE: Final = (Kind.JSON, Kind.TEXTS)
_QUALITY: Final = "data_quality"
# The groups of the list of layers, by what a layer means.
_GROUPS: Final[tuple[tuple[str, frozenset[Role]], ...]] = (
    ("html.group.hazards", frozenset({Role.HAZARD, Role.SOURCE, Role.ENTERPRISE})),
    ("html.group.resources", frozenset({Role.SHELTER, Role.TEAM, Role.DEPOT})),
    ("html.group.context", frozenset({Role.AREA, Role.POPULATION, Role.CONTEXT})),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A heading of the list: what it says, and the address that sorts by it."""

    field: Field
    unit: str | None
    sort: str | None
    direction: str | None


@dataclass(frozen=True, slots=True)
class Active:
    """One part of the question that a list answers, and the address without it."""

    name: str
    value: str
    without: str


async def collections_page(
    request: Request, ctx: Context, who: Caller, lang: Lang, body: dict[str, Any]
) -> Response:
    """Show the list of layers.

    Parameters
    ----------
    body
        The resource's JSON.
    """
    told = {one["id"]: one for one in body["collections"]}
    layers = [layer for layer in ctx.catalog.values() if layer.id in told]
    async with ctx.database.read_async() as session:
        city = await read_city(session)
        counts = {
            layer.id: await read.count(session, FeatureQuery(layer=layer)) for layer in layers
        }
    groups = [
        (both(key), [layer for layer in layers if layer.role in roles]) for key, roles in _GROUPS
    ]
    return html.page(
        request,
        lang,
        "collections.html",
        headers=cache_headers(who),
        title=both("html.collections"),
        trail=(Crumb(both("html.collections")),),
        city=city,
        formats=(("JSON", same_page(request, f="json")),),
        groups=[(title, members) for title, members in groups if members],
        counts={name: _count(count, lang) for name, count in counts.items()},
        updated={name: _moment(one["updated_at"], city) for name, one in told.items()},
        told=told,
    )


async def collection_page(
    request: Request, ctx: Context, who: Caller, lang: Lang, layer: Layer, body: dict[str, Any]
) -> Response:
    """Show a layer: what it holds, how fresh it is, its fields, its map.

    Parameters
    ----------
    body
        The resource's JSON.
    """
    async with ctx.database.read_async() as session:
        city = await read_city(session)
        count = await read.count(session, FeatureQuery(layer=layer))
    boxes = body.get("extent", {}).get("spatial", {}).get("bbox", ())
    return html.page(
        request,
        lang,
        "collection.html",
        headers=cache_headers(who),
        title=layer.title,
        trail=(Crumb(both("html.collections"), "/collections"), Crumb(layer.title)),
        city=city,
        formats=(("JSON", same_page(request, f="json")),),
        map=_map(request, layer, box=boxes[0]) if boxes else None,
        layer=layer,
        count=_count(count, lang),
        box=boxes[0] if boxes else None,
        revision=body.get("revision"),
        updated=_moment(body.get("updated_at"), city),
        links=body["links"],
        tables=_dictionary(layer, who, lang),
        form=Form.of(request),
        levels=_levels(layer, "", lang),
    )


async def items_page(
    request: Request,
    ctx: Context,
    who: Caller,
    lang: Lang,
    query: FeatureQuery,
    links: Callable[[Neighbours], list[dict[str, Any]]],
) -> Response:
    """Show a page of features as a table.

    Parameters
    ----------
    query
        Of it at most `MAX_ROWS` rows are shown, `DEFAULT_ROWS` where the address has no limit.
    links
        Given where the neighbouring pages begin, returns the links of the GeoJSON's page.
    """
    limit = query.limit if "limit" in request.query_params else DEFAULT_ROWS
    query = replace(query, limit=min(limit or MAX_ROWS, MAX_ROWS), geometry=False)
    # At most 500 features without their shapes: the one place that holds a page as objects.
    found = orjson.loads(b"".join([one async for one in read.page(ctx.database, query, links)]))
    async with ctx.database.read_async() as session:
        city = await read_city(session)
    return await run_in_threadpool(_items, request, who, lang, query, found, city)


def _items(
    request: Request,
    who: Caller,
    lang: Lang,
    query: FeatureQuery,
    found: dict[str, Any],
    city: City,
) -> Response:
    layer, zone = query.layer, ZoneInfo(city.time_zone)
    features = [(one["id"], one["properties"]) for one in found["features"]]
    columns, empty = _columns(request, query, [properties for _, properties in features], lang)
    rows = [
        (
            feature_id,
            name_of(properties, feature_id, lang),
            _level(layer, properties),
            [shown(one.field, properties.get(one.field.name), lang, zone) for one in columns],
        )
        for feature_id, properties in features
    ]
    named = [layer.field("name"), RISK_LEVEL if rows and rows[0][2] else None]
    heads = [_column(request, query, one, lang) for one in named if one is not None]
    rels = {one["rel"]: one["href"] for one in found["links"]}
    form = Form.of(request)
    return html.page(
        request,
        lang,
        "items.html",
        headers=cache_headers(who),
        title=layer.title,
        trail=(
            Crumb(both("html.collections"), "/collections"),
            Crumb(layer.title, f"/collections/{layer.id}"),
            Crumb(both("html.features")),
        ),
        city=city,
        formats=_formats(request),
        map=_map(request, layer, query) if rows and _drawable(request) else None,
        layer=layer,
        matched=_count(found.get("numberMatched"), lang),
        heads=heads,
        columns=columns,
        rows=rows,
        empty=empty,
        active=_active(request, query, lang),
        earlier=rels.get("prev"),
        later=rels.get("next"),
        form=form,
        levels=_levels(layer, form.level, lang),
    )


async def item_page(
    request: Request, ctx: Context, who: Caller, lang: Lang, query: FeatureQuery
) -> Response:
    """Show one feature: every field that the caller may see, and its dependent rows."""
    layer = query.layer
    async with ctx.database.read_async() as session:
        text, version = await read.feature(session, query)
        city = await read_city(session)
    feature = orjson.loads(text)
    properties, zone = feature["properties"], ZoneInfo(city.time_zone)
    name = name_of(properties, feature["id"], lang)
    quality = layer.field(_QUALITY)

    def told(fields: Iterable[Field]) -> list[tuple[Field, Markup, str | None]]:
        return [
            (one, shown(one, properties.get(one.name), lang, zone), unit(one, lang))
            for one in fields
        ]

    children = []
    for child in layer.children:
        fields = child_fields(child, who)
        rows = properties.get(child.name) or []
        cells = [[shown(one, row.get(one.name), lang, zone) for one in fields] for row in rows]
        children.append((child, fields, cells))
    title = Text(name_of(properties, feature["id"], "zh"), name_of(properties, feature["id"], "en"))
    return html.page(
        request,
        lang,
        "item.html",
        headers=cache_headers(who),
        title=title,
        trail=(
            Crumb(both("html.collections"), "/collections"),
            Crumb(layer.title, f"/collections/{layer.id}"),
            Crumb(both("html.features"), f"/collections/{layer.id}/items"),
            Crumb(title),
        ),
        city=city,
        formats=_formats(request),
        map=_map(request, layer, query) if feature["geometry"] and _drawable(request) else None,
        layer=layer,
        feature_id=feature["id"],
        name=name,
        level=_level(layer, properties),
        synthetic=properties.get(_QUALITY) == SYNTHETIC,
        quality=quality and quality.label,
        facts=told(one for one in query.fields if one.name not in _PROVENANCE),
        provenance=told(one for one in query.fields if one.name in _PROVENANCE),
        children=children,
        place=_place(feature["geometry"]),
        version=version,
    )


async def search_page(
    request: Request, ctx: Context, who: Caller, lang: Lang, body: dict[str, Any], most: int
) -> Response:
    """Show what was found over all layers.

    Parameters
    ----------
    body
        The resource's GeoJSON.
    most
        How many hits may be asked for.
    """
    async with ctx.database.read_async() as session:
        city = await read_city(session)
    matched = body.get("numberMatched")
    # Who reads a short list must see that it is one.
    count = len(body["features"])
    cut = matched is None or matched > count
    hits = []
    for one in body["features"]:
        said = one["properties"]
        layer = ctx.catalog.find(said["layer"])
        name = name_of(said, said["feature_id"], lang)
        hits.append((layer, said["feature_id"], name, _level(layer, said), said))
    return html.page(
        request,
        lang,
        "search.html",
        headers=cache_headers(who),
        title=both("search.title"),
        trail=(Crumb(both("html.collections"), "/collections"), Crumb(both("search.title"))),
        city=city,
        formats=_formats(request),
        hits=hits,
        matched=_count(matched, lang),
        cut=cut,
        more=same_page(request, limit=str(most)) if cut and count < most else None,
        most=most,
        form=Form.of(request),
    )


def child_fields(child: Child, who: Caller) -> list[Field]:
    """Return the fields of a child that the caller may see."""
    return [one for one in child.fields if who.reads_restricted or not one.restricted]


def name_of(properties: dict[str, Any], feature_id: int, lang: Lang) -> str:
    """Return what a person calls a feature: its name in the language, else what it has."""
    names = ("name", "name_en", "code") if lang == "zh" else ("name_en", "name", "code")
    found = (properties.get(name) for name in names)
    return next((str(name) for name in found if name), f"#{feature_id}")


def _level(layer: Layer, properties: dict[str, Any]) -> tuple[str, Text] | None:
    """Return a level's key and words; None where the layer has none or it was not asked for."""
    if not layer.assessed or RISK_LEVEL.name not in properties:
        return None
    value = properties[RISK_LEVEL.name]
    for one in RISK_LEVEL.values:
        if one.code == value:
            return str(one.code), Text(one.zh, one.en)
    return "null", both("html.not_assessed")


def _columns(
    request: Request, query: FeatureQuery, rows: Sequence[dict[str, Any]], lang: Lang
) -> tuple[list[Column], list[str]]:
    """Return the columns of the list, and the names of those that no row has a value for.

    A caller who chose the properties gets these; else what says where a record comes from is left
    to the feature's own page. The name and the level head each row.
    """
    heads = {"name", "name_en", RISK_LEVEL.name}
    fields = [
        one
        for one in query.fields
        if one.name not in heads and (query.chosen is not None or one.name not in _PROVENANCE)
    ]
    # Without rows a table of headings alone would say that nothing is known of them.
    filled = [one for one in fields if any(row.get(one.name) is not None for row in rows)]
    empty = [one.label.in_(lang) for one in fields if one not in filled] if rows else []
    return [_column(request, query, one, lang) for one in filled], empty


def _column(request: Request, query: FeatureQuery, field: Field, lang: Lang) -> Column:
    if field.kind in _UNSORTABLE:
        return Column(field, unit(field, lang), None, None)
    first = query.order[0] if query.order else None
    mine = first is not None and first.field.name == field.name
    down = mine and first is not None and first.descending
    target = field.name if down or not mine else f"-{field.name}"
    direction = ("descending" if down else "ascending") if mine else None
    return Column(field, unit(field, lang), same_page(request, sortby=target), direction)


def _active(request: Request, query: FeatureQuery, lang: Lang) -> list[Active]:
    """Return what the list was narrowed, sorted and shaped by, each with the address without it."""
    found = []
    for name, text in request.query_params.items():
        if name in {"f", "lang", "limit", "offset", "cursor"}:
            continue
        field = query.layer.field(name)
        label, value = name, text
        if field is not None:
            label = field.label.in_(lang)
            value = say("html.or", lang).join(_said(field, one, lang) for one in text.split(","))
        elif name in {"q", "filter", "bbox", "datetime", "sortby", "properties"}:
            label = say(f"html.parameter.{name}", lang)
        found.append(Active(label, value, same_page(request, without=[name])))
    return found


def _said(field: Field, code: str, lang: Lang) -> str:
    if code == "null":
        key = "html.not_assessed" if field.name == RISK_LEVEL.name else "html.no_value"
        return say(key, lang)
    return label_of(field, code, lang)


def _levels(layer: Layer, asked: str, lang: Lang) -> list[tuple[str, str]]:
    """Return what the form's list of levels offers: value and words."""
    if not layer.assessed:
        return []
    codes = [*(str(one.code) for one in RISK_LEVEL.values), "null"]
    if asked and asked not in codes:  # several at once, from an address
        codes.append(asked)
    words = (
        say("html.or", lang).join(_said(RISK_LEVEL, part, lang) for part in code.split(","))
        for code in codes
    )
    return [("", say("html.any", lang)), *zip(codes, words, strict=True)]


def _dictionary(layer: Layer, who: Caller, lang: Lang) -> list[tuple[Text | None, list[Any]]]:
    """Return the data dictionary: the layer's fields, then those of each child."""

    def rows(fields: Iterable[Field]) -> list[Any]:
        return [(one, unit(one, lang)) for one in fields]

    children = [
        (Text(child.zh, child.en), rows(child_fields(child, who))) for child in layer.children
    ]
    return [(None, rows(layer.visible(restricted=who.reads_restricted))), *children]


def _count(count: int | None, lang: Lang) -> str:
    """Return a number of features; None is more than are counted."""
    return say("html.more_than", lang, n=f"{COUNT_CAP:,}") if count is None else f"{count:,}"


def _moment(text: str | None, city: City) -> str | None:
    if text is None:
        return None
    at = datetime.fromisoformat(text).astimezone(ZoneInfo(city.time_zone))
    return f"{at:%Y-%m-%d %H:%M}"


def _place(geometry: dict[str, Any] | None) -> tuple[float, float] | None:
    """Return longitude and latitude of a point."""
    if geometry is None or geometry["type"] != "Point":
        return None
    lon, lat = geometry["coordinates"][:2]
    return lon, lat


def _drawable(request: Request) -> bool:
    """Say whether a map can show what was asked for: its ground is WGS 84."""
    params = request.query_params
    return "datum" not in params and params.get("skipGeometry") != "true"


def _formats(request: Request) -> tuple[tuple[str, str], ...]:
    kept = dict(request.query_params)
    return (("GeoJSON", html.query_of({**kept, "f": "geojson"}.items())),)


def _map(
    request: Request,
    layer: Layer,
    query: FeatureQuery | None = None,
    box: Sequence[float] = (),
) -> dict[str, str]:
    """Return what the map's element says: the layer, and the same address as GeoJSON."""
    said = {"data-layer": layer.id, "data-root": base(request)}
    if query is None:  # the whole layer, from its tiles
        return {**said, "data-box": ",".join(str(value) for value in box)}
    params = request.query_params.items()
    wanted = {name: text for name, text in params if name not in {"crs", "lang"}}
    if query.feature_id is None:
        wanted["limit"] = str(query.limit)
    return {**said, "data-items": html.query_of({**wanted, "f": "geojson"}.items())}
