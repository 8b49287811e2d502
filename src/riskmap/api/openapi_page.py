"""The API's description as a page: every resource and its parameters, no script."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from riskmap.api import html
from riskmap.api.html import Crumb
from riskmap.api.links import base
from riskmap.i18n import LANGS, Lang, say


def page(request: Request, document: dict[str, Any], lang: Lang) -> Response:
    """Return a light page for people: a document of OpenAPI 3.0, in both languages."""
    listed = [
        (operation["tags"][0], _operation(document, path, method, operation))
        for path, item in document["paths"].items()
        # Those of single collections say again what the template says.
        if "parameters" not in item
        for method, operation in item.items()
    ]
    listed.sort(key=lambda one: one[0])
    title = html.both("ogc.documentation")
    return html.page(
        request,
        lang,
        "api.html",
        headers={"Cache-Control": "no-cache", "Vary": "Accept, Accept-Language"},
        title=title,
        trail=(Crumb(title),),
        formats=(("OpenAPI 3.0", f"{base(request)}/openapi.json"),),
        about={one: say("ogc.about", one) for one in LANGS},
        sections=[
            (tag, [operation for _, operation in operations])
            for tag, operations in groupby(listed, key=lambda one: one[0])
        ],
        key=" | ".join(say("ogc.key", one) for one in LANGS),
        none=" | ".join(say("ogc.no_parameters", one) for one in LANGS),
    )


def _operation(
    document: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> dict[str, Any]:
    """Return what the page says of an operation."""
    parameters = [_resolved(document, one) for one in operation["parameters"]]
    return {
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "keyed": {} not in operation["security"],
        "parameters": [
            (one["name"], one.get("description", ""), _values(one["schema"])) for one in parameters
        ],
    }


def _values(schema: dict[str, Any]) -> str:
    """Say which values a parameter takes."""
    listed = ", ".join(str(one) for one in schema.get("enum", []))
    limits = [
        f"{name}: {schema[name]}" for name in ("minimum", "maximum", "default") if name in schema
    ]
    return "; ".join(one for one in (schema.get("type", ""), listed, *limits) if one)


def _resolved(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    key = parameter.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["parameters"][key] if key else parameter
    return found
