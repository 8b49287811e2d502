"""The API's description as a page: every resource and its parameters, no script."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import Any, Final

from fastapi.responses import Response

from riskmap.i18n import LANGS, Lang, say

# No script and no style of any origin: there are none.
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def page(document: dict[str, Any], lang: Lang) -> Response:
    """Return a light page for people: a document of OpenAPI 3.0, in both languages."""
    listed = [
        (path, method, operation)
        for path, item in document["paths"].items()
        # Those of single collections say again what the template says.
        if "parameters" not in item
        for method, operation in item.items()
    ]
    listed.sort(key=lambda one: one[2]["tags"][0])
    sections = "".join(
        f"<h2>{escape(tag)}</h2>" + "".join(_operation(document, *one) for one in operations)
        for tag, operations in groupby(listed, key=lambda one: one[2]["tags"][0])
    )
    title = escape(" | ".join(say("ogc.documentation", one) for one in LANGS))
    about = "".join(f'<p lang="{one}">{escape(say("ogc.about", one))}</p>' for one in LANGS)
    html = (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · {escape(document['info']['title'])}</title>"
        f'<main><h1>{title}</h1>{about}<p><a href="/openapi.json">OpenAPI 3.0</a> · '
        f'<a href="/collections">{escape(say("ogc.collections", lang))}</a></p>'
        f"{sections}</main></html>"
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",
        "Vary": "Accept, Accept-Language",
    }
    return Response(html, media_type="text/html", headers=headers)


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = [_resolved(document, one) for one in operation["parameters"]]
    rows = "".join(
        f"<dt><code>{escape(one['name'])}</code></dt>{_about(one)}" for one in parameters
    )
    none = " | ".join(say("ogc.no_parameters", one) for one in LANGS)
    keyed = {} not in operation["security"]
    key = " | ".join(say("ogc.key", one) for one in LANGS)
    return (
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>"
        f"<p><strong>{escape(operation['summary'])}</strong></p>"
        + (f"<p>{escape(key)}</p>" if keyed else "")
        + (f"<dl>{rows}</dl>" if rows else f"<p>{escape(none)}</p>")
        + "</section>"
    )


def _about(parameter: dict[str, Any]) -> str:
    """Say what a parameter is and which values it takes."""
    schema = parameter["schema"]
    values = [str(one) for one in schema.get("enum", [])]
    limits = [
        f"{name}: {schema[name]}" for name in ("minimum", "maximum", "default") if name in schema
    ]
    shown = escape("; ".join([schema.get("type", ""), ", ".join(values), *limits]).strip("; "))
    return f"<dd>{escape(parameter.get('description', ''))} <small>({shown})</small></dd>"


def _resolved(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    key = parameter.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["parameters"][key] if key else parameter
    return found
