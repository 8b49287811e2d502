"""Errors: one shape, two languages, nothing of the driver; headers of every answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.testclient import TestClient

from api_help import Served, serving
from riskmap.api import scenarios
from riskmap.app import create_app
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.features import extents, read

CJK = re.compile(r"[\u4e00-\u9fff]")
ITEMS = "/collections/shelters/items"
CIRCLES = "/analysis/response-circles"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=1) as found:
        yield found


ERRORS = [
    ("GET", "/nothing", 404, None),
    ("GET", "/collections/none", 404, "layer"),
    ("GET", f"{ITEMS}/99999", 404, "feature_id"),
    ("GET", f"{ITEMS}?limit=0", 400, "limit"),
    ("GET", f"{ITEMS}?bbox=1,2", 400, "bbox"),
    ("GET", f"{ITEMS}?no=1", 400, "no"),
    ("GET", "/tiles/shelters/30/1/1.mvt", 404, "z"),
    ("GET", "/tiles/shelters/1/1/1.png", 404, None),
    ("DELETE", "/collections", 405, None),
    ("PUT", ITEMS, 405, None),
    ("PUT", CIRCLES, 405, None),
    ("GET", CIRCLES, 400, "points"),
    ("GET", "/audit", 401, None),
    ("POST", CIRCLES, 400, "body"),
    ("GET", "/analysis/reach", 400, "lon"),
    ("GET", "/analysis/reach?lon=120.5&lat=36.5", 503, None),
]


@pytest.mark.parametrize(("method", "path", "status", "parameter"), ERRORS, ids=str)
def test_every_error_is_a_problem(
    served: Served, method: str, path: str, status: int, parameter: str | None
) -> None:
    answer = served.client.request(method, path)
    body = answer.json()
    assert answer.status_code == body["status"] == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert re.fullmatch(r"urn:riskmap:problem:[a-z_.]+", body["type"])
    assert body["title"] and body["detail"].startswith(body["title"])
    assert body["instance"] == path.partition("?")[0]
    if parameter is not None:
        assert body["parameter"] == parameter
    assert answer.headers["content-language"] == "zh-CN"
    assert "Accept-Language" in answer.headers["vary"]
    if status == 405:
        allowed = {ITEMS: "GET, HEAD, POST, OPTIONS", CIRCLES: "GET, HEAD, POST"}.get(
            path, "GET, HEAD"
        )
        assert answer.headers["allow"] == allowed
    if status == 503:
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("language", "chinese"),
    [
        (None, True),
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("fr", True),
        ("en", False),
        ("en-GB,en;q=0.9,zh;q=0.1", False),
        ("fr, en;q=0.5", False),
        ("zh;q=0, en", False),
        (";;;q=,,x", True),
        ("\u00e9", True),
    ],
)
def test_the_reader_chooses_the_language(
    served: Served, language: str | None, chinese: bool
) -> None:
    headers = {} if language is None else {"Accept-Language": language.encode("latin-1")}
    for path in ("/nothing", f"{ITEMS}?limit=0", f"{ITEMS}/99999", "/audit"):
        answer = served.client.get(path, headers=headers)
        body = answer.json()
        assert bool(CJK.search(body["detail"])) == chinese
        assert answer.headers["content-language"] == ("zh-CN" if chinese else "en")


def test_an_internal_fault_tells_its_number_and_no_more(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM api_keys")

    monkeypatch.setattr(read.statements, "extent", broken)
    answer = served.client.get("/collections/shelters", headers={"X-Request-ID": "abc-1"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "abc-1" in answer.json()["detail"]
    assert not re.search("secret|SELECT|Traceback|RuntimeError|File", answer.text)
    assert "abc-1" in caplog.text and "SELECT secret" in caplog.text


def test_what_the_database_refuses_stays_inside(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read.statements, "extent", lambda _: text("SELECT * FROM no_such_table"))
    answer = served.client.get("/collections/shelters")
    assert answer.status_code == 500
    assert not re.search("no_such_table|psycopg|sqlalche|UndefinedTable", answer.text)


def test_a_slow_statement_is_a_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "SELECT set_config('statement_timeout', '1', true), pg_sleep(0), 1, 1"
    calls = iter([text(late), text("SELECT pg_sleep(30), 1, 1, 1")])
    monkeypatch.setattr(read.statements, "extent", lambda _: next(calls))

    find = extents.Extents.find

    async def twice(self: Any, session: Any, layer: Any, revision: Any) -> Any:
        await session.execute(read.statements.extent(layer))
        return await find(self, session, layer, revision)

    monkeypatch.setattr(extents.Extents, "find", twice)
    answer = served.client.get("/collections/shelters")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("database.timeout")


def test_without_its_database_the_service_lives_and_says_so(served: Served) -> None:
    away = "postgresql://riskmap:secretword@127.0.0.1:1/riskmap"
    settings = served.settings.model_copy(update={"database_url": away, "api_database_url": away})
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/openapi.json").status_code == 200
        for path in ("/", "/readyz", "/collections", "/collections/shelters", ITEMS,
                     f"{ITEMS}/1", "/tiles/shelters/10/1/1.mvt",
                     "/analysis/reach?lon=120.5&lat=36.5"):  # fmt: skip
            answer = client.get(path)
            assert answer.status_code == 503, path
            assert answer.json()["type"].endswith("database.away")
            assert not re.search("secretword|127.0.0.1|refused|psycopg", answer.text)
        assert client.get("/me", headers=served.headers("admin")).status_code == 503
        # What is wrong with the question is said all the same.
        assert client.get(f"{ITEMS}?limit=0").status_code == 400


def test_connections_that_were_cut_are_replaced(served: Served) -> None:
    assert served.get(ITEMS).status_code == 200
    with served.database.own(Actor("test")) as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND usename = 'riskmap_api'"
            )
        )
    assert served.get(ITEMS).status_code == 200


def test_more_callers_than_connections_are_told_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise PoolTimeout("QueuePool limit of size 8 overflow 0 reached")

    monkeypatch.setattr(AsyncEngine, "connect", full)
    answer = served.get(ITEMS)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "QueuePool" not in answer.text


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 64])
def test_a_plain_request_id_is_echoed(served: Served, given: str) -> None:
    for path in ("/livez", "/nothing", ITEMS):
        answer = served.client.get(path, headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\u00e9"])
def test_any_other_is_replaced(served: Served, given: str) -> None:
    answer = served.client.get("/livez", headers={"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_answers_are_not_sniffed(served: Served) -> None:
    for path in ("/", "/livez", "/nothing", ITEMS, "/tiles/shelters/10/1/1.mvt"):
        assert served.get(path).headers["x-content-type-options"] == "nosniff"


def test_other_origins_are_let_in_by_the_setting_only(served: Served) -> None:
    origin = "https://map.example"
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    answer = served.client.get(ITEMS, headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    flight = served.client.options(ITEMS, headers=asked)
    assert not [name for name in flight.headers if name.startswith("access-control")]
    settings = served.settings.model_copy(update={"cors_origins": [origin]})
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.get(ITEMS, headers=asked)
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "X-Riskmap-Dropped" in answer.headers["access-control-expose-headers"]
        flight = client.options(
            ITEMS, headers={**asked, "Access-Control-Request-Headers": "X-API-Key"}
        )
        assert flight.status_code == 200
        # What an editor's page sends and reads.
        sent = {"Origin": origin, "Access-Control-Request-Headers": "If-Match, Content-Crs, Prefer"}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            wanted = {**sent, "Access-Control-Request-Method": method}
            assert client.options(f"{ITEMS}/1", headers=wanted).status_code == 200, method
        exposed = answer.headers["access-control-expose-headers"]
        assert {"ETag", "Location", "X-Riskmap-Warnings"} <= set(exposed.split(", "))
        other = client.get(ITEMS, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert (
            client.get("/nothing", headers=asked).headers["access-control-allow-origin"] == origin
        )


BAD_BODIES = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe", None),
    (b"[" * 60_000, None),
    (b'"text"', None),
    (b"null", None),
    (b"[]", None),
    (b'{"points": [[120.5, 36.5]], "extra": 1}', "extra"),
    (b'{"points": [[120.5, 36.5]], "\\ud800": 1}', None),
    (b'{"points": [[120.5, 36.5]], "profile": "\\ud800"}', "profile"),
    (b'{"points": [[120.5]]}', "points.0.1"),
    (b'{"points": [[120.5, 36.5, 7]]}', "points.0"),
    (b'{"points": "here"}', "points"),
    (b'{"points": []}', "points"),
    (b"{}", "points"),
    (b'{"points": [[120.5, 36.5]], "minutes": "x"}', "minutes"),
    (b'{"points": [[120.5, 36.5]], "minutes": [null]}', "minutes.0"),
]


@pytest.mark.parametrize(("body", "parameter"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_a_bad_body_is_a_problem(served: Served, body: bytes, parameter: str | None) -> None:
    answer = served.client.post(CIRCLES, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if parameter:
        assert answer.json()["parameter"] == parameter


def test_a_body_that_is_too_large_is_not_read(served: Served) -> None:
    body = b'{"layer": [' + b" " * scenarios.MAX_BODY_BYTES + b"]}"
    answer = served.client.post("/analysis/coverage", content=body)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/collections", ITEMS, "/livez", "/nothing"])
def test_head_is_get_without_its_body(served: Served, path: str) -> None:
    head, get = served.client.head(path), served.client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
