"""Features as GeoJSON: shapes, paging, filters, bad input, streams that break or are left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import delete, text
from starlette.testclient import TestClient

from api_help import CATALOG, Served, backends, eventually, listening, serving, streaming
from riskmap.app import create_app
from riskmap.catalog.spec import Geometry
from riskmap.db import sessions
from riskmap.db.base import METADATA
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.features import read

POINTS = "/collections/geohazard-points/items"
RECORDS = "/collections/risk-records/items"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """Read-only by agreement: seven rows in each layer but the empty one, 25 records more."""
    with serving(cluster, migrated, rows=7) as found:
        with found.database.write(Actor("test")) as session:
            session.execute(delete(METADATA.tables["supply_depots"]))
        found.put(
            "risk-records",
            *(
                {
                    "code": f"R{n}",
                    "geom": f"POINT({120.5 + n / 1000} 36.5)",
                    "risk_level": (1, 2, None)[n % 3],
                    "threatened_persons": n,
                    "lists": [f"list{n % 2}", "all"],
                    "assessed_at": f"2024-03-{n + 1:02d}",
                    "address": "paged",
                }
                for n in range(25)
            ),
        )
        yield found


@pytest.fixture
def writable(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def codes(features: list[dict[str, Any]]) -> list[str]:
    return [feature["properties"]["code"] for feature in features]


def refused(served: Served, path: str, parameter: str) -> dict[str, Any]:
    answer = served.client.get(path)
    assert answer.status_code == 400, (path, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter, answer.text
    return answer.json()


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize("layer", CATALOG)
def test_every_layer_is_a_feature_collection(served: Served, layer: str) -> None:
    answer = served.get(f"/collections/{layer}/items")
    assert answer.headers["content-type"] == "application/geo+json"
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    page = answer.json()
    assert page["type"] == "FeatureCollection"
    assert page["numberReturned"] == page["numberMatched"] == len(page["features"])
    assert (layer == "supply-depots") == (page["features"] == [])
    public = [field.name for field in CATALOG[layer].fields if not field.restricted]
    public += [child.name for child in CATALOG[layer].children]
    for feature in page["features"]:
        assert feature["type"] == "Feature" and isinstance(feature["id"], int)
        assert list(feature["properties"]) == public
        kind = feature["geometry"]["type"]
        assert CATALOG[layer].geometry in (kind, Geometry.MIXED)
        assert set(feature["geometry"]) == {"type", "coordinates"}
        place = feature["geometry"]["coordinates"]
        while isinstance(place[0], list):
            place = place[0]
        assert 120 <= place[0] <= 121 and 36 <= place[1] <= 37  # longitude first


def test_mixed_geometries_stand_side_by_side(served: Served) -> None:
    kinds = {f["geometry"]["type"] for f in served.items("risk-records", limit=7)}
    assert kinds == {"Point", "MultiLineString", "MultiPolygon"}


def test_a_position_has_seven_decimals(writable: Served) -> None:
    writable.put("geohazard-points", {"code": "a", "geom": "POINT(120.123456789 36.987654321)"})
    (feature,) = writable.items("geohazard-points")
    assert feature["geometry"]["coordinates"] == [120.1234568, 36.9876543]


def test_text_of_any_kind_survives(writable: Served) -> None:
    name = '引号" 反斜杠\\ 换行\n 表\t 😀 </script> \u2028'
    writable.put("geohazard-points", {"code": "a", "geom": "POINT(120.5 36.5)", "name": name})
    (feature,) = writable.items("geohazard-points")
    assert feature["properties"]["name"] == name
    assert len(writable.items("geohazard-points", name=name)) == 1


# ---------------------------------------------------------------- bbox


def test_bbox_takes_shapes_not_their_boxes(writable: Served) -> None:
    """The line runs from corner to corner; the asked box lies in the line's box, off the line."""
    writable.put(
        "fault-lines",
        {"code": "diagonal", "geom": "MULTILINESTRING((120.2 36.2,120.6 36.6))"},
        {"code": "elsewhere", "geom": "MULTILINESTRING((120.8 36.8,120.9 36.9))"},
    )
    asked = writable.items
    assert asked("fault-lines", bbox="120.5,36.2,120.6,36.3") == []
    assert codes(asked("fault-lines", bbox="120.3,36.2,120.4,36.4")) == ["diagonal"]
    # The end of the line touches the corner of the box: touching is inside.
    assert codes(asked("fault-lines", bbox="120.6,36.6,120.7,36.7")) == ["diagonal"]
    assert codes(asked("fault-lines", bbox="120.6,36.6,120.6,36.6")) == ["diagonal"]
    six = "120.3,36.2,-5,120.4,36.4,5000"
    assert codes(asked("fault-lines", bbox=six)) == ["diagonal"]
    assert len(asked("fault-lines", bbox="-180,-90,180,90")) == 2


@pytest.mark.parametrize(
    "value",
    [
        *("121,36,120,37", "120,37,121,36", "120,36,121", "120,36,121,37,1", "", "a,b,c,d"),
        *("nan,36,121,37", "120,36,inf,37", "-inf,36,121,37", "120,36,1e400,37", ",,,"),
        *("-181,36,121,37", "120,36,181,37", "120,-91,121,37", "120,36,121,91"),
        *("120,36,121,37;", "1_20,36,121,37", " 120,36,121,37", "１２０,36,121,37", "0x1,0,1,1"),
        *("121,36,0,120,37,1", "120,36,nan,121,37,1"),
    ],
)
def test_a_bad_bbox_is_named(served: Served, value: str) -> None:
    refused(served, f"{POINTS}?bbox={quote(value)}", "bbox")


# ---------------------------------------------------------------- numbers and names


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize(
    "value", ["-1", "1000000001", "abc", "1.5", "", " 1", "1_0", "１", "0x10", "1e2", "9" * 400]
)
def test_a_bad_number_is_named(served: Served, name: str, value: str) -> None:
    refused(served, f"{POINTS}?{name}={quote(value)}", name)


def test_limit_is_1_to_10000(served: Served) -> None:
    refused(served, f"{POINTS}?limit=0", "limit")
    refused(served, f"{POINTS}?limit=10001", "limit")
    refused(served, f"{POINTS}?limit={10**9}", "limit")
    assert len(served.items("geohazard-points", limit=10_000)) == 7
    assert len(served.items("geohazard-points", limit=1)) == 1


def test_unknown_and_repeated_parameters(served: Served) -> None:
    assert "bbox" in refused(served, f"{POINTS}?bobx=1,2,3,4", "bobx")["known"]
    refused(served, f"{POINTS}?limit=1&limit=2", "limit")
    refused(served, f"{POINTS}?risk_level=1&risk_level=2", "risk_level")
    refused(served, "/collections?x=1", "x")
    refused(served, "/collections/shelters?limit=1", "limit")
    refused(served, f"{POINTS}/1?bbox=1,2,3,4", "bbox")


@pytest.mark.parametrize("value", ["", "x", "MQ==x", "-1", "LTE", "OTk" * 99, "IDE", "MV8w", "é"])
def test_a_cursor_that_is_none_of_ours(served: Served, value: str) -> None:
    refused(served, f"{POINTS}?cursor={quote(value)}", "cursor")


def test_unknown_layers_are_named(served: Served) -> None:
    for path in ("", "/items", "/items/1"):
        answer = served.get(f"/collections/no-such{path}")
        assert answer.status_code == 404
        assert "no-such" in answer.json()["detail"]
        assert answer.json()["parameter"]


def test_single_features(served: Served) -> None:
    listed = served.items("geohazard-points")
    for feature in listed:
        answer = served.get(f"{POINTS}/{feature['id']}")
        body = answer.json()
        assert {link["rel"] for link in body.pop("links")} == {"self", "alternate", "collection"}
        assert body == feature
        assert answer.headers["content-type"] == "application/geo+json"
    missing = served.get(f"{POINTS}/{2**63 - 1}")
    assert missing.status_code == 404 and missing.json()["parameter"] == "feature_id"
    assert served.get(f"{POINTS}/0").status_code == 404
    for bad in ("abc", "1.0", "-1", str(2**63), "9" * 500, "1%00", "%EF%BC%91", "1_0", "%201"):
        refused(served, f"{POINTS}/{bad}", "feature_id")


# ---------------------------------------------------------------- paging


def walk(served: Served, path: str) -> Iterator[list[dict[str, Any]]]:
    url: str | None = path
    for _ in range(100):  # a link that leads back must fail, not run for ever
        if url is None:
            return
        page = served.client.get(url).json()
        yield page["features"]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    raise AssertionError("the next links have no end")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 32),
        ("&address=paged", 25),
        ("&risk_level=null&address=paged", 8),
        ("&bbox=120.5,36.4,120.51,36.6", 11),
        ("&lists=list1", 12),
    ],
)
@pytest.mark.parametrize("limit", [1, 5, 25, 1000])
def test_next_walks_through_all_once(served: Served, query: str, expected: int, limit: int) -> None:
    pages = list(walk(served, f"{RECORDS}?limit={limit}{query}"))
    ids = [feature["id"] for page in pages for feature in page]
    assert len(ids) == len(set(ids)) == expected
    assert ids == sorted(ids)
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages) == -(-expected // limit)  # a full last page has no empty one after it


def test_rows_that_come_and_go_between_pages_shift_nothing(writable: Served) -> None:
    row = {"geom": "POINT(120.5 36.5)"}
    writable.put("geohazard-points", *({**row, "code": f"a{n}"} for n in range(10)))
    seen: list[str] = []
    for turn, page in enumerate(walk(writable, f"{POINTS}?limit=3")):
        seen += codes(page)
        if turn == 0:
            with writable.database.write(Actor("test")) as session:
                table = METADATA.tables["geohazard_points"]
                session.execute(delete(table).where(table.c.code.in_(["a0", "a1"])))
            writable.put("geohazard-points", {**row, "code": "b0"}, {**row, "code": "b1"})
    assert seen == [*(f"a{n}" for n in range(10)), "b0", "b1"]


def test_offset_counts_from_the_start_and_its_next_link_goes_on(served: Served) -> None:
    every = [f["id"] for f in served.items("risk-records")]
    assert [f["id"] for f in served.items("risk-records", offset=30)] == every[30:]
    assert served.items("risk-records", offset=10**9) == []
    pages = list(walk(served, f"{RECORDS}?limit=10&offset=5"))
    assert [f["id"] for page in pages for f in page] == every[5:]


def test_a_count_is_exact_or_not_there(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.get(RECORDS, limit=3).json()["numberMatched"] == 32
    assert served.get(RECORDS, limit=3, address="paged").json()["numberMatched"] == 25
    monkeypatch.setattr(read, "COUNT_CAP", 25)
    assert "numberMatched" not in served.get(RECORDS, limit=3).json()
    assert served.get(RECORDS, limit=3, address="paged").json()["numberMatched"] == 25


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("risk_level=1", lambda p: p["risk_level"] == 1),
        ("risk_level=1,2", lambda p: p["risk_level"] in (1, 2)),
        ("risk_level=null", lambda p: p["risk_level"] is None),
        ("risk_level=null,2", lambda p: p["risk_level"] in (None, 2)),
        ("code=R3,R4,nobody", lambda p: p["code"] in ("R3", "R4")),
        ("threatened_persons=7", lambda p: p["threatened_persons"] == 7),
        ("threatened_persons=2147483647", lambda p: False),
        ("lists=list1", lambda p: "list1" in (p["lists"] or [])),
        ("lists=list1,甲", lambda p: {"list1", "甲"} & set(p["lists"] or [])),
        ("lists=null", lambda p: p["lists"] is None),
        ("assessed_at=2024-03-04", lambda p: p["assessed_at"] == "2024-03-04"),
        ("assessed_at=2024-03-04,20240305", lambda p: p["code"] in ("R3", "R4")),
        ("assessed_at=2024-W09-4", lambda p: p["assessed_at"] == "2024-02-29"),
        ("surveyed_at=2024-02-29T00:00:00Z", lambda p: p["surveyed_at"] is not None),
        ("surveyed_at=2024-02-29T08:00:00%2B08:00", lambda p: p["surveyed_at"] is not None),
        ("surveyed_at=0001-01-01T00:00:00%2B14:00", lambda p: False),
        ("name=null", lambda p: p["name"] is None),
        ("name=", lambda p: p["name"] == ""),
        ("position_accuracy_m=2.5", lambda p: p["position_accuracy_m"] == 2.5),
        ("risk_level=1&address=paged", lambda p: p["risk_level"] == 1 and p["address"] == "paged"),
        ("version=1", lambda p: True),
    ],
)  # fmt: skip
def test_filters_by_kind(served: Served, query: str, expected: Any) -> None:
    every = served.items("risk-records")
    page = served.client.get(f"{RECORDS}?{query}").json()
    assert codes(page["features"]) == codes([f for f in every if expected(f["properties"])])
    assert page["numberMatched"] == len(page["features"])


def test_booleans(served: Served) -> None:
    path = "/collections/rescue-teams/items"
    for value, count in (("true", 4), ("0", 3), ("null", 0), ("TRUE,false", 7)):
        assert served.get(path, licensed=value).json()["numberMatched"] == count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("risk_level", v) for v in ("x", "1.0", "", "1,", ",1", "1;2", "2147483648", "٣")),
        *(("assessed_at", v) for v in ("yesterday", "2024-13-01", "2024-02-30", "", "infinity")),
        *(("surveyed_at", v) for v in ("noon", "2024-02-29T25:00", "now")),
        *(("position_accuracy_m", v) for v in ("nan", "inf", "1_0", "", "1e999", "x")),
        ("threatened_persons", str(10**30)),
        ("name", "a\x00b"),
        ("attributes", "x"),
    ],
)
def test_a_bad_value_names_its_field(served: Served, name: str, value: str) -> None:
    refused(served, f"{RECORDS}?{name}={quote(value)}", name)


HOSTILE = [
    *("'", "''", '"', "\\", "';--", "' OR '1'='1", "') OR 1=1--", "1 OR 1=1", "1; DROP TABLE city"),
    *("'; SELECT pg_sleep(9)--", "$$", "$1", "%s", "%(limit)s", "%", "%%", ":x", ":1", "{}", "{0}"),
    *("\x00", "a\x00", "\x1b", "\r\nX-Evil: 1", "\ud7ff", "\uffff", "😀" * 50, "A" * 6000, "null"),
    *("NaN", "Infinity", "-0", "1e308", "0x1F", "1/0", "[]", '{"a":1}', "../../etc/passwd", "<b>"),
    *("UNION SELECT sha256 FROM api_keys", "1)) UNION SELECT 1,'x'--", "pg_catalog.version()"),
    *("E'\\x27'", "U&'\\0027'", "/*", "*/", "--", "`", "||", "true", "now()", "ARRAY[1]", "{a,b}"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=[f"h{n}" for n in range(len(HOSTILE))])
def test_hostile_text_is_text(served: Served, hostile: str) -> None:
    """On every parameter, value and name, path and header: never a fault, never more rows."""
    kinds = ["bbox", "limit", "offset", "cursor", "code", "name", "risk_level", "lists"]
    kinds += ["threatened_persons", "assessed_at", "surveyed_at", "position_accuracy_m"]
    kinds += ["attributes", "raw_x"]
    value = quote(hostile, safe="")
    answers = [
        served.client.get(f"{RECORDS}?{name}={value}", headers=headers)
        for name in kinds
        for headers in ({}, served.headers("reader"))
    ]
    for answer in answers:
        assert answer.status_code in (200, 400), (answer.status_code, answer.text)
        if answer.status_code == 200:
            found = answer.json()["features"]
            # -0 and 0x.. are no whole numbers; null and -0 are the only ones that may mean a row.
            assert found == [] or hostile in ("null", "-0")
        else:
            assert answer.json()["parameter"] in kinds
    others = [
        served.client.get(f"{RECORDS}?{value}=1"),
        served.client.get(f"{RECORDS}/{value}"),
        served.client.get(f"/collections/{value}"),
        served.client.get(f"/tiles/{value}/1/1/1.mvt"),
        served.client.get(f"/tiles/risk-records/{value}/1/1.mvt"),
        served.client.get(f"/tiles/risk-records/9/1/1.mvt?name={value}"),
        served.client.get(f"/analysis/reach?lon={value}&lat=36"),
        served.client.get(f"/audit?before={value}", headers=served.headers("admin")),
        served.client.post("/analysis/response-circles", content=hostile.encode("utf-8")),
        served.client.post(
            "/analysis/response-circles", json={"points": [[120.5, 36.5]], "profile": hostile}
        ),
    ]
    for answer in others:
        assert answer.status_code < 500 or answer.json()["type"].endswith("roads.none")
        assert "X-Evil" not in answer.headers
    with served.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM city")).scalar_one() == 1


@pytest.mark.parametrize("host", ["[", "a b", '"><script>alert(1)</script>', "x" * 300, "::1", ""])
def test_a_hostile_host_header(served: Served, host: str) -> None:
    for path in ("/", POINTS):
        answer = served.client.get(path, headers={"Host": host, "Accept": "text/html"})
        assert answer.status_code in (200, 400), answer.text
        assert "<script>alert" not in answer.text or "json" in answer.headers["content-type"]


# ---------------------------------------------------------------- streaming


@pytest.fixture(scope="module")
def large(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """10,000 features of some 4 kB each."""
    with serving(cluster, migrated) as found:
        with found.database.write(Actor("test"), timeout_s=0) as session:
            session.execute(
                text(
                    "INSERT INTO geohazard_points (code, geom, evac_route) SELECT 'c' || n,"
                    # Not in a field that is searched: its index would take most of the time.
                    " 'SRID=4326;POINT(120.5 36.5)', repeat('长', 1300)"
                    " FROM generate_series(1, 10000) n"
                )
            )
        yield found


def test_a_fault_before_the_first_piece_has_its_status(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(read.statements, "page", broken)
    answer = served.get(POINTS)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_a_large_page_is_sent_in_pieces_and_never_held(large: Served) -> None:
    with listening(create_app(large.settings)) as port:
        url = f"http://127.0.0.1:{port}{POINTS}"
        httpx.get(url, params={"limit": 1})  # what is loaded once is not the page's
        tracemalloc.start()
        try:
            length = pieces = 0
            start, _ = tracemalloc.get_traced_memory()
            plain = {"Accept-Encoding": "identity"}  # the bytes themselves are measured
            with httpx.stream(
                "GET", url, params={"limit": 10_000}, headers=plain, timeout=60
            ) as answer:
                assert "content-length" not in answer.headers
                for piece in answer.iter_raw():
                    length, pieces = length + len(piece), pieces + 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert length > 39_000_000 and pieces > 100
    assert peak - start < length / 3  # one batch of 500 rows, the pieces, and the client's own


def test_a_large_page_is_whole(large: Served) -> None:
    answer = large.get(POINTS, limit=10_000)
    page = json.loads(answer.content)
    assert page["numberReturned"] == page["numberMatched"] == len(page["features"]) == 10_000


def test_a_stream_that_breaks_does_not_look_whole(large: Served) -> None:
    """The database's process dies mid-stream: the client must notice."""
    with listening(create_app(large.settings)) as port:
        url = f"http://127.0.0.1:{port}{POINTS}?limit=10000"
        with (
            pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"),
            httpx.stream("GET", url, timeout=60) as answer,
        ):
            assert answer.status_code == 200
            pieces = answer.iter_raw()
            next(pieces)
            eventually(lambda: len(streaming(large.database)) == 1)
            (process,) = streaming(large.database)
            with large.database.own(Actor("test")) as session:
                session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": process})
            for _ in pieces:
                pass
        # The service itself goes on with a new connection.
        assert httpx.get(f"http://127.0.0.1:{port}{POINTS}?limit=1").status_code == 200


def test_a_client_that_leaves_gives_its_connection_back(large: Served) -> None:
    app = create_app(large.settings)
    pool = app.state.context.database.async_engine.pool
    with listening(app) as port:

        def comes_and_leaves() -> bool:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(f"GET {POINTS}?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                return client.recv(100).startswith(b"HTTP/1.1 200")

        # On a slow machine those before may hold all streams for longer than one waits: 503, once.
        # If they never gave them back, it would be 503 for ever.
        for _ in range(large.settings.pool_size + 2):
            eventually(comes_and_leaves, tries=20)
        eventually(lambda: pool.checkedout() == 0)
        eventually(lambda: backends(large.database) == [])
        assert httpx.get(f"http://127.0.0.1:{port}{POINTS}?limit=1").status_code == 200


def test_readers_who_do_not_read_leave_room_for_others(large: Served) -> None:
    """Every stream that may be open stalls: others answer, one more stream is told to wait."""
    settings = large.settings.model_copy(update={"stream_timeout_s": 8.0})
    app = create_app(settings)
    with listening(app) as port, contextlib.ExitStack() as stalled:
        for _ in range(settings.pool_size):
            client = stalled.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", port))
            client.sendall(f"GET {POINTS}?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        pool = app.state.context.database.async_engine.pool
        eventually(lambda: pool.checkedout() == settings.pool_size - 2)
        assert httpx.get(f"http://127.0.0.1:{port}/collections").status_code == 200
        # Past the deadline the stalled ones are cut and streams are free again.
        eventually(lambda: pool.checkedout() == 0)
        assert httpx.get(f"http://127.0.0.1:{port}{POINTS}?limit=1").status_code == 200


def test_no_stream_is_free(large: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "STREAM_PATIENCE_S", 0.05)
    app = create_app(large.settings)
    monkeypatch.setattr(app.state.context.database, "_streams", asyncio.Semaphore(0))
    with TestClient(app) as client:
        answer = client.get(POINTS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["type"].endswith("database.busy")
        assert client.get(f"{POINTS}/1").status_code == 200
