"""Errors as problem+json (RFC 9457), in the reader's language, with the parameter at fault."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from riskmap.api import html
from riskmap.api.deps import language
from riskmap.api.preconditions import version_tag
from riskmap.errors import (
    InputError,
    NotFoundError,
    PreconditionError,
    RiskmapError,
    UnavailableError,
)
from riskmap.i18n import Lang

log = logging.getLogger("riskmap")

MEDIA = "application/problem+json"
# For OpenAPI: every route may answer so. It also keeps FastAPI's own 422 out of the document,
# which no route ever gives.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "RFC 9457 problem; `parameter` names what is at fault",
        "content": {
            MEDIA: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "instance"],
                    "properties": {
                        "type": {"type": "string", "format": "uri"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "instance": {"type": "string"},
                        "parameter": {"type": "string"},
                    },
                }
            }
        },
    }
}

# Those that a standard has a name for.
_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
_TYPES = {
    "process.unknown": f"{_OGC}/no-such-process",
    "process.no_job": f"{_OGC}/no-such-job",
    "process.not_ready": f"{_OGC}/result-not-ready",
}

_REASONS = {404: "http.not_found", 405: "http.method", 413: "http.too_large"}


def problem_body(error: RiskmapError, lang: Lang, instance: str, status: int) -> dict[str, Any]:
    """Return an error as RFC 9457's object."""
    body: dict[str, Any] = {
        "type": _TYPES.get(error.key, f"urn:riskmap:problem:{error.key}"),
        "title": error.text(lang).partition("\n")[0],
        "status": status,
        "detail": error.text(lang),
        "instance": instance,
    }
    if error.parameter is not None:
        body["parameter"] = error.parameter
    for name in ("row", "distance_m", "known", "problems", "at"):
        if name in error.values:
            body[name] = error.values[name]
    return body


def problem(error: RiskmapError, request: Request, status: int | None = None) -> Response:
    """Make the answer of an error."""
    lang = language(request)
    status = status or error.status
    body = problem_body(error, lang, request.url.path, status)
    headers = {"Content-Language": "zh-CN" if lang == "zh" else "en", "Vary": "Accept-Language"}
    # A 404 may be cached without being told so; the feature may come, the key may change.
    headers["Cache-Control"] = "no-store"
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="riskmap"'
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = "5"
    if isinstance(error, PreconditionError) and error.values.get("version"):
        headers["ETag"] = version_tag(int(str(error.values["version"])))
    if html.tells_problems(request):
        return html.problem(request, lang, body, headers)
    # The message quotes the caller: half a surrogate pair, which JSON can spell, has no UTF-8.
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(text, status_code=status, headers=headers, media_type=MEDIA)


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, RiskmapError)  # noqa: S101 - registered for this class alone
    return problem(error, request)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    key = _REASONS.get(error.status_code, "http.other")
    answer = problem(
        NotFoundError(
            key,
            path=request.url.path,
            status=error.status_code,
            method=request.method,
            limit=error.detail,
        ),
        request,
        error.status_code,
    )
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """Return all methods of an address: Starlette names those of the first route alone."""
    found = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return [*found[:1], "HEAD", *found[1:]] if found[:1] == ["GET"] else found


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    first = error.errors()[0]
    # The place in a body that is no JSON is a number of characters: it names no parameter.
    broken = first["type"] == "json_invalid"
    where = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    if broken:
        where.clear()
    return problem(
        InputError("body.invalid", parameter=".".join(where) or "body", reason=first["msg"]),
        request,
    )


def _busy(request: Request, error: Exception) -> Response:
    # All connections of the pool are in use, and none came back in time.
    log.warning("no connection for %s: %s", request.url.path, error)
    return problem(UnavailableError("database.timeout"), request)


def _fault(request: Request, error: Exception) -> Response:
    request_id = request.scope.get("riskmap.request_id", "-")
    log.error("request %s failed", request_id, exc_info=error)
    return problem(RiskmapError("internal", request_id=request_id), request)


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(RiskmapError, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(PoolTimeoutError, _busy)
    app.add_exception_handler(Exception, _fault)
