"""The format of an answer: which one a caller wants, and how each that is no page is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import Response

from riskmap.api import html
from riskmap.api.context import Context
from riskmap.api.links import Links, address, link
from riskmap.api.streams import Stream
from riskmap.crs.datum import Datum
from riskmap.errors import InputError, NotAcceptableError
from riskmap.features import exports
from riskmap.features.exports import LeftError, Work
from riskmap.features.formats import (
    CSV,
    FLATGEOBUF,
    GEOPARQUET,
    HTML,
    XLSX,
    Format,
    Way,
    columns,
    delimited,
    sequence,
    workbook,
)
from riskmap.features.query import FeatureQuery
from riskmap.features.read import Facts
from riskmap.i18n import LANGS, Lang, say

#: What a table may be asked beside its query.
OPTIONS: Final = ("bom", "headings")
_HEADINGS: Final = ("name", "label")
# Nginx says it of a client that left; nobody reads it.
_CLIENT_LEFT: Final = 499
_SHOWN: Final = 200


def choose(request: Request, allowed: Sequence[Format]) -> Format:
    """Return the format that a caller wants: by `f`, else by Accept (RFC 9110 section 12.5.1).

    The first of those allowed is the default. Where HTML is chosen, problems are told so, too.

    Raises
    ------
    InputError
        `f` names none of them.
    NotAcceptableError
        Accept takes none of them.
    """
    asked = request.query_params.get("f")
    chosen = _named(asked, allowed) if asked is not None else _accepted(request, allowed)
    request.state.html = chosen is HTML
    return chosen


def _named(asked: str, allowed: Sequence[Format]) -> Format:
    known = {one.name: one for one in allowed} | {"json": allowed[0]}
    if asked not in known:
        expected = ", ".join(known)
        raise InputError("parameter.value", parameter="f", value=asked[:40], expected=expected)
    return known[asked]


@dataclass(frozen=True, slots=True)
class _Range:
    """One part of Accept: a media type, or all of a kind, or all; how much it is wanted."""

    kind: str
    subtype: str
    weight: float
    place: int

    def fits(self, media_type: str) -> bool:
        kind, _, subtype = media_type.partition("/")
        return self.kind in ("*", kind) and self.subtype in ("*", subtype)

    @property
    def exactness(self) -> int:
        return (self.kind != "*") + (self.subtype != "*")


def _accepted(request: Request, allowed: Sequence[Format]) -> Format:
    header = ",".join(request.headers.getlist("accept"))
    ranges = _ranges(header)
    if not ranges:
        return allowed[0]
    best: tuple[tuple[float, int, int], Format] | None = None
    for one in allowed:
        wanted = _weight(one, ranges)
        if wanted is not None and (best is None or wanted > best[0]):
            best = wanted, one
    if best is None:
        types = ", ".join(one.media_type for one in allowed)
        raise NotAcceptableError(
            "formats.not_acceptable", parameter="Accept", value=header[:_SHOWN], known=types
        )
    return best[1]


def _weight(one: Format, ranges: Sequence[_Range]) -> tuple[float, int, int] | None:
    """Return how much a format is wanted; among equals the more exact and the earlier wins."""
    fitting = [
        (found.exactness, found)
        for media_type in (one.media_type, *one.also)
        for found in ranges
        if found.fits(media_type)
    ]
    if not fitting:
        return None
    # The most exact range decides: `text/csv;q=0, */*` takes anything but CSV.
    exactness, found = max(fitting, key=lambda pair: (pair[0], pair[1].weight))
    return (found.weight, exactness, -found.place) if found.weight > 0 else None


def _ranges(header: str) -> list[_Range]:
    """Read Accept; what is no media range is passed over."""
    found: list[_Range] = []
    for place, part in enumerate(header.split(",")):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        kind, slash, subtype = media.lower().partition("/")
        if not (kind and slash and subtype):
            continue
        weight = 1.0
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name.strip().lower() == "q":
                weight = _quality(text.strip())
        found.append(_Range(kind, subtype, weight, place))
    return found


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0


def alternates(request: Request, formats: Sequence[Format], chosen: Format) -> Links:
    """Return links to the same in every other format."""
    return [
        link(
            str(address(request).include_query_params(f=one.name)),
            "alternate",
            one.media_type,
            one.title,
        )
        for one in formats
        if one is not chosen
    ]


def unlimited(request: Request, query: FeatureQuery, chosen: Format) -> FeatureQuery:
    """Return the query of a file: without a limit it is all that matches."""
    if chosen.paged or "limit" in request.query_params:
        return query
    return replace(query, limit=None)


async def answer(
    ctx: Context,
    request: Request,
    lang: Lang,
    query: FeatureQuery,
    chosen: Format,
    facts: Facts,
    headers: Mapping[str, str],
    options: Options,
) -> Response:
    """Send what a query asks for as a file.

    Raises
    ------
    InputError
        There are more rows than the format takes.
    UnavailableError, StorageFullError
        No more can be made at the moment.
    """
    async with ctx.database.read_async() as session:
        city = await html.read_city(session)
    now = datetime.now(ZoneInfo(city.time_zone))
    headers = {**headers, **_attachment(query, chosen, now, lang)}
    if chosen.way is Way.STREAM:
        return await _streamed(ctx, query, chosen, headers, options)
    about = _about(request, lang, query, facts, city, now)
    return await _spooled(
        ctx, request, query, chosen, headers, _writer(query, chosen, options, about)
    )


@dataclass(frozen=True, slots=True)
class Options:
    """Byte order mark; language of the headings (None: names) and of what else is said."""

    bom: bool
    headings: Lang | None
    lang: Lang


def options(request: Request, lang: Lang) -> Options:
    """Return what a table is asked beside its query; a wrong one is refused with any format.

    Raises
    ------
    InputError
        An option has no such value.
    """
    bom = request.query_params.get("bom", "false")
    headings = request.query_params.get("headings", _HEADINGS[0])
    for name, text, known in (("bom", bom, ("true", "false")), ("headings", headings, _HEADINGS)):
        if text not in known:
            expected = ", ".join(known)
            raise InputError("parameter.value", parameter=name, value=text[:40], expected=expected)
    return Options(bom == "true", lang if headings == "label" else None, lang)


def _attachment(query: FeatureQuery, chosen: Format, now: datetime, lang: Lang) -> dict[str, str]:
    """Name the file (RFC 6266): by the layer's title, and in ASCII by its id."""
    end = f"{now:%Y-%m-%d}.{chosen.extension}"
    title = quote(f"{query.layer.title.in_(lang)}_{end}", safe="")
    plain = f'"{query.layer.id}_{end}"'
    return {"Content-Disposition": f"attachment; filename={plain}; filename*=UTF-8''{title}"}


async def _streamed(
    ctx: Context,
    query: FeatureQuery,
    chosen: Format,
    headers: Mapping[str, str],
    options: Options,
) -> Response:
    pieces = _pieces(ctx, query, chosen, options)
    # What fails before the first piece still gets its proper status.
    first = await anext(pieces, b"")
    return Stream(
        first,
        pieces,
        media_type=f"{chosen.media_type}; header=present" if chosen is CSV else chosen.media_type,
        headers=headers,
        deadline_s=ctx.settings.export_timeout_s,
    )


async def _pieces(
    ctx: Context, query: FeatureQuery, chosen: Format, options: Options
) -> AsyncIterator[bytes]:
    async with ctx.database.stream_async() as session:
        await session.limit_statements(ctx.settings.export_timeout_s)
        if chosen is CSV:
            found = delimited.pieces(session, query, lang=options.headings, bom=options.bom)
        else:
            found = sequence.pieces(session, query)
        async with aclosing(found) as pieces:
            async for piece in pieces:
                yield piece


async def _spooled(
    ctx: Context,
    request: Request,
    query: FeatureQuery,
    chosen: Format,
    headers: Mapping[str, str],
    write: Callable[[Work], None],
) -> Response:
    try:
        file = await ctx.exports.make(
            write,
            name=f"{query.layer.id}.{chosen.extension}",
            deadline_s=ctx.settings.export_timeout_s,
            gone=request.is_disconnected,
        )
    except LeftError:
        return Response(status_code=_CLIENT_LEFT)
    length = file.seek(0, 2)
    file.seek(0)
    pieces = exports.pieces(file)
    return Stream(
        await anext(pieces, b""),
        pieces,
        media_type=chosen.media_type,
        headers={**headers, "Content-Length": str(length)},
        deadline_s=ctx.settings.export_timeout_s,
    )


def _writer(
    query: FeatureQuery, chosen: Format, options: Options, about: workbook.About
) -> Callable[[Work], None]:
    """Return what writes the file of a format."""

    def xlsx(work: Work) -> None:
        with work.opened() as session:
            count = int(session.execute(columns.count(query)).scalar_one())
            if count > workbook.MOST_ROWS:
                raise InputError(
                    "formats.xlsx_rows",
                    parameter="f",
                    value=f"{count:,}",
                    most=f"{workbook.MOST_ROWS:,}",
                )
            batches = session.batches(workbook.statement(query, about.time_zone))
            with work.path.open("wb") as file:
                workbook.write(
                    file,
                    query,
                    batches,
                    about,
                    count=count,
                    lang=options.headings,
                    said_in=options.lang,
                    check=work.check,
                )

    def arrow(work: Work) -> None:
        # Arrow takes half a second to load, which only those wait for who ask for it.
        from riskmap.features.formats import arrow, flatgeobuf, geoparquet  # noqa: PLC0415

        write = {FLATGEOBUF: flatgeobuf.write, GEOPARQUET: geoparquet.write}[chosen]
        with work.opened() as session:
            batches = session.batches(arrow.statement(query))
            write(work.path, query, batches, check=work.check)

    return xlsx if chosen is XLSX else arrow


def _about(
    request: Request,
    lang: Lang,
    query: FeatureQuery,
    facts: Facts,
    city: html.City,
    now: datetime,
) -> workbook.About:
    """Say of a workbook what it holds, since when, and what it leaves out."""

    def word(name: str) -> str:
        return say(f"formats.about.{name}", lang)

    asked = "&".join(
        f"{name}={text}"
        for name, text in request.query_params.items()
        if name not in ("f", "lang", "headings", "bom")
    )
    system = query.crs.uri if query.datum is Datum.WGS84 else query.datum.value.upper()
    lines = [
        (word("layer"), f"{query.layer.title.in_(lang)} ({query.layer.id})"),
        (word("made_at"), f"{now:%Y-%m-%d %H:%M:%S} ({city.time_zone})"),
        (word("filter"), asked or word("everything")),
        (word("revision"), str(facts.revision or 0)),
        (word("crs"), system),
        (word("time_zone"), city.time_zone),
    ]
    if city.name is not None:
        lines.insert(0, (word("city"), city.name.in_(lang)))
    if city.synthetic:
        said = " ".join(say("formats.about.synthetic_data", one) for one in LANGS)
        lines.append((word("synthetic"), said))
    return workbook.About(query.layer.title.in_(lang), lines, city.time_zone)
