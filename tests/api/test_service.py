"""The service about itself, and the descriptions that clients go by."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import pytest
from sqlalchemy import delete, text, update

from api_help import CATALOG, Served, serving
from riskmap.api import service
from riskmap.db.base import METADATA
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import code_head
from riskmap.db.sessions import Actor, Database

HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=2) as found:
        yield found


@pytest.fixture
def empty(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def test_without_a_city_the_landing_page_says_what_to_run(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated, city=False) as served:
        body = served.get("/").json()
        assert body["city"] is None
        for command in ("riskmap city init", "riskmap roads import", "riskmap import"):
            assert command in body["description"]
        ready = served.get("/readyz").json()
        assert ready["city"] is False and ready["roads"]["revision"] is None
        asked = served.client.post("/analysis/response-circles", json={"points": [[120.5, 36.5]]})
        assert asked.status_code == 503 and "city init" in asked.json()["detail"]


def test_an_empty_city_says_which_command_fills_it(empty: Served) -> None:
    body = empty.get("/").json()
    assert body["city"]["name"] == "测试市" and "riskmap import" in body["description"]
    empty.put("shelters", {"code": "a", "geom": "POINT(120.5 36.5)"})
    assert "riskmap import" not in empty.get("/").json()["description"]


def test_a_city_whose_last_feature_went_is_empty_again(empty: Served) -> None:
    empty.put("shelters", {"code": "a", "geom": "POINT(120.5 36.5)"})
    with empty.database.write(Actor("test")) as session:
        session.execute(delete(METADATA.tables["shelters"]))
    assert "riskmap import" in empty.get("/").json()["description"]


def test_the_landing_page_links_to_all_there_is(served: Served) -> None:
    body = served.get("/").json()
    assert body["city"]["bbox"] == [120, 36, 121, 37]
    assert {link["rel"] for link in body["links"]} >= {"self", "service-desc", "data"}
    for link in body["links"]:
        assert served.client.get(link["href"]).status_code == 200
    assert served.client.get("/?f=json", headers=HTML).json() == body | {"links": body["links"]}
    assert served.client.get("/", headers={"Accept-Language": "en"}).json()["title"].isascii()


def test_a_browser_gets_the_page_and_all_others_the_json(served: Served) -> None:
    for address, headers, html in (
        ("/", HTML, True),
        ("/?from=singlemessage", HTML, True),
        ("/?f=html", {}, True),
        ("/", {}, False),
        ("/", {"Accept": "application/json"}, False),
        ("/?f=json", HTML, False),
    ):
        answer = served.client.get(address, headers=headers)
        kind = "text/html; charset=utf-8" if html else "application/json"
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), address
        assert "accept" in answer.headers["vary"].lower()
        assert ("content-security-policy" in answer.headers) is html
        head = served.client.head(address, headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
    wrong = served.client.get("/?f=xml", headers=HTML)
    assert wrong.status_code == 400 and wrong.json()["parameter"] == "f"
    assert served.client.post("/", headers=HTML).status_code == 405


def test_the_collections_and_their_links(served: Served) -> None:
    body = served.get("/collections").json()
    assert [one["id"] for one in body["collections"]] == list(CATALOG)
    assert len(body["collections"]) == 13
    for one in body["collections"]:
        links = {link["rel"]: link["href"] for link in one["links"] if link["type"] != "text/html"}
        assert served.client.get(links["self"]).json()["id"] == one["id"]
        assert served.client.get(links["items"]).json()["numberMatched"] == 2
        tile = links["tiles"].format(z=1, x=1, y=0)
        assert served.client.get(tile).status_code in (200, 204)
        assert one["titles"] == {
            "zh": CATALOG[one["id"]].title.zh,
            "en": CATALOG[one["id"]].title.en,
        }
    english = served.client.get("/collections", headers={"Accept-Language": "en"}).json()
    assert all(one["title"] == one["titles"]["en"] for one in english["collections"])


@pytest.mark.parametrize("layer", CATALOG)
def test_a_collection_describes_its_fields_and_extent(served: Served, layer: str) -> None:
    body = served.get(f"/collections/{layer}", "reader").json()
    fields = {field.name: field for field in CATALOG[layer].fields}
    assert [field["name"] for field in body["fields"]] == list(fields)
    for field in body["fields"]:
        assert field["label"] == fields[field["name"]].zh
        assert field["unit"] == fields[field["name"]].unit
    west, south, east, north = body["extent"]["spatial"]["bbox"][0]
    assert 120 <= west <= east <= 121 and 36 <= south <= north <= 37


def test_an_empty_collection_has_no_extent_and_no_revision(empty: Served) -> None:
    body = empty.get("/collections/shelters").json()
    assert "extent" not in body and body["revision"] is None and body["updated_at"] is None


def test_every_edit_moves_the_revision(empty: Served) -> None:
    def fresh(layer: str = "shelters") -> tuple[int, datetime]:
        body = empty.get(f"/collections/{layer}").json()
        listed = next(
            c for c in empty.get("/collections").json()["collections"] if c["id"] == layer
        )
        assert (body["revision"], body["updated_at"]) == (listed["revision"], listed["updated_at"])
        return body["revision"], datetime.fromisoformat(body["updated_at"])

    table = METADATA.tables["shelters"]
    empty.put("shelters", {"code": "a", "geom": "POINT(120.5 36.5)"})
    seen = [fresh()]
    for statement in (update(table).values(name="新"), delete(table)):
        with empty.database.write(Actor("test")) as session:
            session.execute(statement)
        seen.append(fresh())
    with empty.database.own(Actor("test")) as session:  # an edit by psql counts like all others
        session.execute(text("INSERT INTO shelters (code, geom) VALUES ('b', "
                             "'SRID=4326;POINT(120.5 36.5)')"))  # fmt: skip
    seen.append(fresh())
    assert len({revision for revision, _ in seen}) == 4
    assert seen == sorted(seen)
    assert all(at.tzinfo is not None for _, at in seen)
    empty.put("enterprises", {"code": "a", "geom": "POINT(120.5 36.5)"})
    assert fresh() == seen[-1]


def test_readiness_tells_the_state(served: Served) -> None:
    answer = served.get("/readyz")
    body = answer.json()
    assert body.pop("feed")["revision"] >= 0
    assert body == {
        "status": "ok",
        "city": True,
        "roads": {"revision": None, "profiles": ["emergency", "motorcycle", "ordinary", "walk"]},
        "schema": code_head(),
    }
    assert answer.headers["cache-control"] == "no-store"
    assert served.get("/livez").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "damage", ["UPDATE alembic_version SET version_num = 'x'", "DELETE FROM alembic_version",
               "DROP TABLE alembic_version"],
)  # fmt: skip
def test_another_schema_is_not_ready(empty: Served, damage: str) -> None:
    with empty.database.own(Actor("test")) as session:
        session.execute(text(damage))
    answer = empty.get("/readyz")
    assert answer.status_code == 503
    assert "riskmap migrate" in answer.json()["detail"]
    assert empty.get("/livez").status_code == 200


def test_who_am_i(served: Served) -> None:
    assert served.get("/me").json() == {
        "name": "anonymous", "role": None, "reads_restricted": False
    }  # fmt: skip
    for role in ("reader", "editor", "analyst", "admin"):
        body = served.get("/me", role).json()
        prefix = served.keys[role].split("_")[1]
        assert body == {"name": f"key:{prefix}", "role": role, "reads_restricted": True}
        assert served.get("/me", role).headers["cache-control"] == "private, no-store"


def test_the_audit_is_paged_from_the_newest(served: Served) -> None:
    rows = served.get("/audit", "admin", limit=1000).json()["audit"]
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids, reverse=True)
    assert {row["action"] for row in rows} >= {"insert", "key.create", "key.revoke"}
    assert all(row["actor"] and row["at"] for row in rows)
    assert {r["actor"] for r in rows if r["action"].startswith("key.")} == {"test"}
    first = served.get("/audit", "admin", limit=3).json()["audit"]
    rest = served.get("/audit", "admin", limit=1000, before=first[-1]["id"]).json()["audit"]
    assert first + rest == rows
    for name, bad in (("limit", "0"), ("limit", "1001"), ("before", "x"), ("before", "0")):
        answer = served.get("/audit", "admin", **{name: bad})
        assert answer.status_code == 400 and answer.json()["parameter"] == name


def test_other_documentation_pages_load_nothing_from_afar(served: Served) -> None:
    assert served.get("/docs").status_code == 404
    assert served.get("/redoc").status_code == 404


def test_answers_are_compressed_for_those_who_take_it(served: Served) -> None:
    for path in ("/collections", "/openapi.json", "/collections/shelters/items"):
        plain = served.client.get(path, headers={"Accept-Encoding": "identity"})
        small = served.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert small.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in small.headers["vary"].lower()
        if path != "/collections/shelters/items":  # its answer tells the time
            assert small.content == plain.content
        assert small.headers["content-type"] == plain.headers["content-type"]


def test_a_database_that_hangs_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for its answer to the cancelling, which hangs as well."""
    gate = threading.Event()
    hung = []

    @asynccontextmanager
    async def hangs(self: Database) -> AsyncIterator[None]:
        try:
            await asyncio.sleep(3600)
        finally:
            hung.append(1)
            for _ in range(500):
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
                if gate.is_set():
                    break
        yield

    monkeypatch.setattr(service, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(Database, "read_async", hangs)
    try:
        answer = served.get("/readyz")
        assert answer.status_code == 503 and hung == [1]
        assert answer.json()["type"].endswith("database.away")
    finally:
        gate.set()
