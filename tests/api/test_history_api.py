"""Versions of a feature over HTTP: what each caller sees, pages, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api_help import CATALOG, SECRET, SECRET_NUMBER, Served, row_of, serving
from conftest import TEST_CITY
from import_help import Desk
from ingest_help import point
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def change(served: Served, *statements: str, actor: str = "key:abc") -> None:
    with served.database.write(Actor(actor, "req-7")) as session:
        for statement in statements:
            session.execute(text(statement))


@pytest.fixture
def shelter(served: Served) -> int:
    """A feature that had three versions and is there."""
    served.put("shelters", {"code": "h", "name": "one", "geom": "POINT(120.5 36.5)"})
    with served.database.read() as session:
        made = session.execute(text("SELECT max(id) FROM shelters")).scalar_one()
    change(
        served,
        f"UPDATE shelters SET name = 'two' WHERE id = {made}",
        f"UPDATE shelters SET name = 'three', geom = 'SRID=4326;POINT(120.6 36.6)'"
        f" WHERE id = {made}",
    )
    served_id = int(made)
    yield served_id
    change(served, f"DELETE FROM shelters WHERE id = {served_id}")


def at(feature_id: int, rest: str = "/history", layer: str = "shelters") -> str:
    return f"/collections/{layer}/items/{feature_id}{rest}"


def listed(served: Served, feature_id: int, role: str | None = "reader", **params: Any) -> Any:
    answer = served.get(at(feature_id), role, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_newest_first_with_the_feature_of_each(served: Served, shelter: int) -> None:
    found = listed(served, shelter)["versions"]
    assert [one["version"] for one in found] == [3, 2, 1]
    assert [one["feature"]["properties"]["name"] for one in found] == ["three", "two", "one"]
    assert [one["feature"]["geometry"]["coordinates"] for one in found] == [
        [120.6, 36.6],
        [120.5, 36.5],
        [120.5, 36.5],
    ]
    assert {one["feature"]["id"] for one in found} == {shelter}
    assert [one["op"] for one in found] == ["update", "update", "insert"]
    assert [one["actor"] for one in found] == ["key:abc", "key:abc", None]
    assert found[0]["superseded"] is None
    assert found[1]["superseded"] == {
        "op": "update",
        "at": found[0]["at"],
        "actor": "key:abc",
        "import_id": None,
    }
    # The present version is the feature as the items show it.
    item = served.get(f"/collections/shelters/items/{shelter}", "reader").json()
    item.pop("links", None)
    assert found[0]["feature"] == item


def test_nobody_without_a_key_learns_who_it_was(served: Served, shelter: int) -> None:
    answer = served.get(at(shelter))
    assert '"actor"' not in answer.text and "key:abc" not in answer.text
    assert len(answer.json()["versions"]) == 3
    one = served.get(at(shelter, "/history/2"))
    assert one.status_code == 200 and "actor" not in one.text
    assert one.json()["feature"]["properties"]["name"] == "two"
    assert served.get(at(shelter, "/history/2"), "reader").json()["actor"] == "key:abc"


@pytest.mark.parametrize("layer", CATALOG)
def test_restricted_values_of_old_versions_are_never_public(served: Served, layer: str) -> None:
    table = CATALOG[layer].table
    served.put(layer, {**row_of(CATALOG[layer], 1), "code": "secret"})
    with served.database.read() as session:
        made = session.execute(text(f"SELECT max(id) FROM {table}")).scalar_one()
    change(served, f"UPDATE {table} SET name = 'x' WHERE id = {made}")
    public = served.get(at(made, layer=layer))
    assert [one["version"] for one in public.json()["versions"]] == [2, 1]
    assert SECRET not in public.text and str(int(SECRET_NUMBER)) not in public.text
    for name in (f.name for f in CATALOG[layer].fields if f.restricted):
        assert f'"{name}"' not in public.text
    for child in CATALOG[layer].children:
        hidden = {field.name for field in child.fields if field.restricted}
        assert not any(f'"{name}"' in public.text for name in hidden)
    change(served, f"DELETE FROM {table} WHERE id = {made}")
    assert served.get(at(made, layer=layer)).status_code == 404
    keyed = served.get(at(made, layer=layer), "reader").text
    assert SECRET in keyed and str(int(SECRET_NUMBER)) in keyed and '"attributes"' in keyed


def test_pages(served: Served, shelter: int) -> None:
    change(served, *(f"UPDATE shelters SET name = 'n{n}' WHERE id = {shelter}" for n in range(5)))
    first = listed(served, shelter, limit=3)
    assert [one["version"] for one in first["versions"]] == [8, 7, 6]
    seen, page = [8, 7, 6], first
    while nexts := [link["href"] for link in page["links"] if link["rel"] == "next"]:
        page = served.client.get(nexts[0], headers=served.headers("reader")).json()
        seen += [one["version"] for one in page["versions"]]
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1]


def test_which_import_it_was(served: Served, tmp_path: Path) -> None:
    desk = Desk(served.database, TEST_CITY, tmp_path)
    made = desk.bring(point("i", 120.1, 36.1), source_system="imports")
    again = desk.bring(point("i", 120.1, 36.1, name="x"), source_system="imports")
    [feature_id] = desk.column("SELECT id FROM shelters WHERE source_system = 'imports'")
    found = listed(served, feature_id)["versions"]
    assert [(one["op"], one["import_id"], one["actor"]) for one in found] == [
        ("update", again.import_id, "cli:importer"),
        ("insert", made.import_id, "cli:importer"),
    ]
    # Deleted: the last version says so, by whom and when.
    gone = desk.bring(point("j", 120.1, 36.1), source_system="imports", mode="replace")
    newest = listed(served, feature_id)["versions"][0]
    assert (newest["version"], newest["superseded"]["op"]) == (2, "delete")
    assert newest["superseded"]["import_id"] == gone.import_id


def test_nan_and_times_are_json(served: Served) -> None:
    served.put(
        "shelters",
        {
            "code": "nan",
            "geom": "POINT(120.5 36.5)",
            "position_accuracy_m": float("nan"),
            "surveyed_at": "2024-02-29T23:59:59.123456+08:00",
        },
    )
    with served.database.read() as session:
        made = session.execute(text("SELECT max(id) FROM shelters")).scalar_one()
    change(served, f"UPDATE shelters SET name = 'x' WHERE id = {made}")
    new, old = listed(served, made)["versions"]
    for name in ("position_accuracy_m", "surveyed_at"):
        assert new["feature"]["properties"][name] == old["feature"]["properties"][name]


def send(served: Served, feature_id: int, body: object, role: str | None = "editor", **more: str):
    headers = {**served.headers(role), **more}
    return served.client.post(at(feature_id, "/restore"), json=body, headers=headers)


def test_back_to_a_version(served: Served, shelter: int) -> None:
    answer = send(served, shelter, {"version": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["version"], found["feature"]["properties"]["name"]) == (4, "one")
    assert answer.headers["etag"] == '"4"'
    assert found["feature"]["geometry"]["coordinates"] == [120.5, 36.5]
    [newest, *_] = listed(served, shelter)["versions"]
    assert newest["op"] == "update" and newest["actor"].startswith("key:")
    audit = served.get("/audit", "admin", limit=3).json()
    assert "feature.restore" in str(audit)


def test_a_deleted_one_comes_back(served: Served, shelter: int) -> None:
    change(served, f"DELETE FROM shelters WHERE id = {shelter}")
    assert served.get(f"/collections/shelters/items/{shelter}").status_code == 410
    assert listed(served, shelter)["versions"][0]["superseded"]["op"] == "delete"
    answer = send(served, shelter, {"version": 3})
    assert (answer.status_code, answer.json()["version"]) == (200, 4)
    item = served.get(f"/collections/shelters/items/{shelter}").json()
    assert item["properties"]["name"] == "three"


def test_if_match(served: Served, shelter: int) -> None:
    for stale in ('"2"', 'W/"2-1a2b3c4d"', '"1", "2"', '"another"'):
        wrong = send(served, shelter, {"version": 1}, **{"If-Match": stale})
        assert (wrong.status_code, wrong.json()["parameter"]) == (412, "If-Match")
        assert wrong.headers["etag"] == '"3"'
    nonsense = send(served, shelter, {"version": 1}, **{"If-Match": "abc"})
    assert (nonsense.status_code, nonsense.json()["parameter"]) == (400, "If-Match")
    assert send(served, shelter, {"version": 1}, **{"If-Match": '"3"'}).status_code == 200
    assert send(served, shelter, {"version": 2}, **{"If-Match": "*"}).status_code == 200


def test_what_is_not_there(served: Served, shelter: int) -> None:
    for path in (at(10**9), at(10**9, "/history/1"), at(shelter, "/history/9"), at(1, layer="no")):
        assert served.get(path).status_code == 404, path
    assert send(served, 10**9, {"version": 1}).status_code == 404
    assert send(served, shelter, {"version": 9}).status_code == 404
    assert send(served, shelter, {"version": 9}).json()["parameter"] == "version"


def test_bad_requests(served: Served, shelter: int) -> None:
    for params in ({"limit": "0"}, {"limit": "101"}, {"cursor": "x y"}, {"sort": "up"}):
        answer = served.get(at(shelter), **params)
        assert (answer.status_code, answer.json()["parameter"]) == (400, next(iter(params)))
    for path in (at("x"), at(shelter, "/history/x"), at(shelter, "/history/99999999999")):  # type: ignore[arg-type]
        assert served.get(path).status_code == 400, path
    for body in ({}, {"version": 0}, {"version": "1"}, {"version": 1, "why": "x"}, []):
        assert send(served, shelter, body).status_code == 400, body
