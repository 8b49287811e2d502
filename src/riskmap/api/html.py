"""HTML of the service's resources: the only place that renders templates.

The pages read well without script and without style; both come from the page's build where there
is one, under the same policy as the map page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import URL

from riskmap.api.context import Context
from riskmap.api.links import base
from riskmap.catalog.spec import Text
from riskmap.db.sessions import AsyncReadSession
from riskmap.db.tables import CITY
from riskmap.errors import InputError
from riskmap.i18n import LANGS, Lang, catalogue, say
from riskmap.web.page import BUILT, HEADERS, wants_html

TEMPLATES: Final = Path(__file__).parents[1] / "web" / "templates"
# A form sends its empty boxes, too; none of these can mean anything without a value.
_BOXES: Final = frozenset({"q", "filter", "risk_level"})
# What a page says of the place in a list, which another question starts anew.
_PLACE: Final = ("offset", "cursor")
_MOST_COLUMNS: Final = 12
_ASSET: Final = re.compile(r"features(-map)?-[0-9A-Z]{8}\.(css|js)")


@dataclass(frozen=True, slots=True)
class City:
    """What every page says of the city: whether it is made up, and its clock."""

    name: Text | None = None
    synthetic: bool = False
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step of the way to a page; the last has no address."""

    text: Text
    path: str | None = None


def both(key: str) -> Text:
    """Return a text of the catalogue in both languages."""
    return Text(say(key, "zh"), say(key, "en"))


def wanted(request: Request, *others: str) -> bool:
    """Say whether the reader wants HTML; where it does, its problems are told as HTML, too.

    Parameters
    ----------
    others
        What else `f` may say of this resource.

    Raises
    ------
    InputError
        It says something else.
    """
    form = request.query_params.get("f", "html")
    if form not in ("html", *others):
        expected = ", ".join((*others, "html"))
        raise InputError("parameter.value", parameter="f", value=form[:40], expected=expected)
    request.state.html = wants_html(request)
    return bool(request.state.html)


def tells_problems(request: Request) -> bool:
    """Say whether a problem of this request is to be told as HTML."""
    return bool(getattr(request.state, "html", False))


def without_blanks(request: Request) -> Response | None:
    """Send a form's reader to the address without its empty boxes; None: there are none."""
    params = request.query_params.multi_items()
    kept = [(name, text) for name, text in params if text.strip() or name not in _BOXES]
    if len(kept) == len(params):
        return None
    target = query_of(kept)
    return RedirectResponse(target, status_code=303, headers=HEADERS)


async def read_city(session: AsyncReadSession) -> City:
    """Read the city; where there is none yet, its defaults."""
    row = (await session.execute(CITY.select())).mappings().first()
    if row is None:
        return City()
    name = Text(row["name"], row["name_en"] or row["name"])
    return City(name, row["synthetic"], row["time_zone"])


def query_of(params: Iterable[tuple[str, str]]) -> str:
    """Return a relative address with these parameters: right behind any proxy."""
    url = URL("").include_query_params(**dict(params))
    return f"?{url.query}"


def same_page(request: Request, *, without: Iterable[str] = (), **params: str) -> str:
    """Return the relative address of this page with other parameters, at the list's beginning."""
    left = {*_PLACE, *without}
    kept = {name: text for name, text in request.query_params.items() if name not in left}
    return query_of({**kept, **params}.items())


def page(
    request: Request,
    lang: Lang,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Render a template.

    Parameters
    ----------
    headers
        Of the answer; without them it is nobody's but the asker's.
    values
        What the template says. Every page takes `title` (a `Text`), `trail` (`Crumb`s), `city`,
        `formats` (pairs of name and address) and `map` (the attributes of the map's element).
    """
    given = {"city": City(), "trail": (), "formats": (), "map": None, **values}
    text = _environment().get_template(template).render(**given, **_words(request, lang))
    return Response(
        text,
        status_code=status,
        media_type="text/html",
        headers={
            "Cache-Control": "private, no-store",
            **(headers or {}),
            **HEADERS,
            "Content-Language": "zh-CN" if lang == "zh" else "en",
        },
    )


async def document(
    request: Request,
    ctx: Context,
    lang: Lang,
    *,
    title: Text,
    body: Any,
    headers: Mapping[str, str] | None = None,
    trail: tuple[Crumb, ...] = (),
) -> Response:
    """Show what a resource says as JSON as a readable page: for resources without one of their own.

    Parameters
    ----------
    body
        What `json.loads` could have returned.
    """
    async with ctx.database.read_async() as session:
        city = await read_city(session)
    formats = (("JSON", same_page(request, f="json")),)
    return page(
        request,
        lang,
        "document.html",
        headers=headers,
        title=title,
        body=body,
        city=city,
        trail=(*trail, Crumb(title)),
        formats=formats,
    )


def problem(
    request: Request, lang: Lang, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """Tell a problem (RFC 9457) to a person, with the forms' texts still in their boxes."""
    title = both("html.problem")
    parameter = body.get("parameter")
    given = request.query_params.get(parameter) if isinstance(parameter, str) else None
    searched = request.url.path.rstrip("/").endswith("/items")
    return page(
        request,
        lang,
        "problem.html",
        status=body["status"],
        headers=headers,
        title=title,
        problem=body,
        given=given,
        at=body.get("at"),
        form=Form.of(request, without=parameter) if searched else None,
        trail=(Crumb(both("html.collections"), "/collections"), Crumb(title)),
    )


@dataclass(frozen=True, slots=True)
class Form:
    """The search form of a list: what stands in its boxes, and what it keeps of the address."""

    q: str
    filter: str
    level: str
    hidden: tuple[tuple[str, str], ...]

    @staticmethod
    def of(request: Request, *, without: str | None = None) -> Form:
        """Read it from the address; of a parameter at fault only a box keeps the text."""
        asked = dict(request.query_params)
        hidden = tuple(
            (name, text) for name, text in asked.items() if name not in {*_BOXES, *_PLACE, without}
        )
        return Form(
            asked.get("q", ""), asked.get("filter", ""), asked.get("risk_level", ""), hidden
        )


def pair(text: Text, lang: Lang) -> Markup:
    """Return a text with the other language small beside it."""
    other: Lang = "en" if lang == "zh" else "zh"
    first, second = text.in_(lang), text.in_(other)
    if first == second:
        return Markup("{}").format(first)
    tag = "en" if other == "en" else "zh-CN"
    return Markup('{} <small lang="{}">{}</small>').format(first, tag, second)


def _words(request: Request, lang: Lang) -> dict[str, Any]:
    """Return what templates say things with."""
    # Who chose a language by the switch keeps it on the way through the pages.
    chosen = {"lang": lang} if "lang" in request.query_params else {}
    other: Lang = "en" if lang == "zh" else "zh"

    def url(path: str, **params: str) -> str:
        query = query_of({**chosen, **params}.items())
        return f"{base(request)}{path}{query if query != '?' else ''}"

    return {
        "lang": lang,
        "other_lang": other,
        "switch": query_of({**request.query_params, "lang": other}.items()),
        "t": lambda key, **given: say(f"html.{key}", lang, **given),
        "both": lambda key: pair(both(f"html.{key}"), lang),
        "pair": lambda text: pair(text, lang),
        "url": url,
        "assets": _assets(),
        "texts": _map_texts(),
        "site": both("landing.title"),
    }


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["columns_of"] = _columns_of
    return found


def _columns_of(values: Sequence[Any]) -> list[str]:
    """Return the columns of a list of objects; none where it reads better as a plain list."""
    if not all(isinstance(one, dict) and "href" not in one for one in values):
        return []
    names = list(dict.fromkeys(name for one in values for name in one))
    return names if len(names) <= _MOST_COLUMNS else []


def _assets() -> dict[str, str]:
    """Return the built files by what they are; none where the page was not built.

    Looked for each time: a build may be made while the service runs.
    """
    found = (_ASSET.fullmatch(path.name) for path in BUILT.glob("features-*"))
    return {f"{one[1] or ''}.{one[2]}": f"/static/{one[0]}" for one in found if one}


@cache
def _map_texts() -> dict[str, dict[str, str]]:
    """Return the words that the map itself draws, of all those of the map page."""
    entries = {key: texts for key, texts in catalogue().items() if key.startswith("page.map.")}
    return {lang: {key: texts[lang] for key, texts in entries.items()} for lang in LANGS}
