"""The abstract tests of OGC API - Features part 4 (20-002r1, annex A), named by their ids.

Where the annex leaves the server a choice, the test says which one this service takes. Its one
deviation: after a DELETE it answers 410 where the annex has 404, which is the more exact of the
two (RFC 9110 section 15.5.11) and says that the feature can be restored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from api_help import CATALOG, Served, serving
from riskmap.api.edits import CONFORMANCE
from riskmap.db.cluster import Cluster

GEOJSON = "application/geo+json"
PATCH = "application/merge-patch+json"
ITEMS = "/collections/shelters/items"
EPSG = "http://www.opengis.net/def/crs/EPSG/0"
_codes = count(1)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        yield found


def send(served: Served, method: str, path: str, body: Any = None, **headers: str) -> Any:
    content = None if body is None else json.dumps(body).encode()
    sent = {**served.headers("editor"), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return served.client.request(method, path, content=content, headers=sent)


def building(name: str = "a", at: tuple[float, float] = (120.5, 36.5)) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": list(at)},
        "properties": {"code": f"b{next(_codes)}", "name": name, "capacity_persons": 5},
    }


@pytest.fixture
def made(served: Served) -> str:
    """The path of a new feature."""
    return path_of(send(served, "POST", ITEMS, building(), Content_Type=GEOJSON))


def path_of(answer: Any) -> str:
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("http://testserver")


def got(served: Served, path: str, **params: str) -> dict[str, Any]:
    answer = served.get(path, "editor", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tag_of(served: Served, path: str) -> str:
    return served.get(path, "editor").headers["etag"]


def holds(found: dict[str, Any], sent: dict[str, Any]) -> None:
    """The representation that is found is that of what was sent."""
    assert found["geometry"] == sent["geometry"]
    assert sent["properties"].items() <= found["properties"].items()


def ids(served: Served) -> set[int]:
    return {one["id"] for one in served.items("shelters", limit=10_000)}


def test_conformance_classes_are_those_that_are_proved_here() -> None:
    proved = {
        name.removeprefix("test_").split("__")[0].replace("_", "-")
        for name in globals()
        if "__" in name and name.startswith("test_")
    }
    assert {uri.rsplit("/", 1)[1] for uri in CONFORMANCE} == proved


# /conf/create-replace-delete


def test_create_replace_delete__options(served: Served, made: str) -> None:
    layer, one = send(served, "OPTIONS", ITEMS), send(served, "OPTIONS", made)
    assert (layer.status_code, one.status_code) == (200, 200)
    assert "POST" in layer.headers["allow"].split(", ")
    assert {"PUT", "PATCH", "DELETE"} <= set(one.headers["allow"].split(", "))
    assert GEOJSON in layer.headers["accept-post"]


def test_create_replace_delete__create(served: Served) -> None:
    before = ids(served)
    with_id = {**building(), "id": max(before, default=0) + 1000}
    for sent in (building(), with_id):
        path = path_of(send(served, "POST", ITEMS, sent, Content_Type=GEOJSON))
        found = got(served, path)
        holds(found, sent)
        assert found["id"] not in before
        assert path == f"{ITEMS}/{found['id']}"


def test_create_replace_delete__create_content_type(served: Served) -> None:
    assert send(served, "POST", ITEMS, building()).status_code == 400


def test_create_replace_delete__replace(served: Served, made: str) -> None:
    sent = building("another", (120.6, 36.6))
    headers = {"Content_Type": GEOJSON, "If_Match": tag_of(served, made)}
    assert send(served, "PUT", made, sent, **headers).status_code == 204
    holds(got(served, made), sent)


def test_create_replace_delete__replace_content_type(served: Served, made: str) -> None:
    assert send(served, "PUT", made, building()).status_code == 400


def test_create_replace_delete__replace_rid(served: Served, made: str) -> None:
    before, sent = got(served, made), {**building(), "id": 10**9}
    headers = {"Content_Type": GEOJSON, "If_Match": tag_of(served, made)}
    # Rejected, which features may be.
    assert send(served, "PUT", made, sent, **headers).status_code == 400
    assert got(served, made) == before
    assert served.get(f"{ITEMS}/{10**9}").status_code == 404


def test_create_replace_delete__replace_exceptions(served: Served) -> None:
    """PUT creates nothing here: 404 whatever the precondition."""
    for path, headers in (
        (f"{ITEMS}/987654321", {}),
        (f"{ITEMS}/987654322", {"If_Match": '"xyz"'}),
    ):
        answer = send(served, "PUT", path, building(), Content_Type=GEOJSON, **headers)
        assert answer.status_code == 404
        assert served.get(path).status_code == 404


def test_create_replace_delete__delete(served: Served, made: str) -> None:
    assert send(served, "DELETE", made, If_Match=tag_of(served, made)).status_code == 204
    assert served.get(made).status_code == 410


# /conf/update


def test_update__options(served: Served, made: str) -> None:
    answer = send(served, "OPTIONS", made)
    assert answer.status_code == 200 and "PATCH" in answer.headers["allow"]
    assert PATCH in answer.headers["accept-patch"]


def test_update__update(served: Served, made: str) -> None:
    before = got(served, made)
    changes = {"properties": {"name": "changed"}}
    headers = {"Content_Type": PATCH, "If_Match": tag_of(served, made)}
    assert send(served, "PATCH", made, changes, **headers).status_code == 204
    after = got(served, made)
    assert after["properties"].pop("name") == "changed"
    # Beside it only what the service itself keeps of a change.
    for name in ("name", "version", "updated_at"):
        for one in (before, after):
            one["properties"].pop(name, None)
    assert after == before


def test_update__update_content_type(served: Served, made: str) -> None:
    assert send(served, "PATCH", made, {"properties": {"name": "x"}}).status_code == 400


def test_update__update_rid(served: Served, made: str) -> None:
    headers = {"Content_Type": PATCH, "If_Match": tag_of(served, made)}
    assert send(served, "PATCH", made, {"id": 10**9}, **headers).status_code == 400
    assert got(served, made)["properties"]["version"] == 1


# /conf/optimistic-locking-etags


def test_optimistic_locking_etags__get_etag(served: Served, made: str) -> None:
    answer = served.get(made)
    assert answer.status_code == 200
    # A strong one: If-Match knows no other.
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', answer.headers["etag"])


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_optimistic_locking_etags__replace_and_update(
    served: Served, made: str, method: str
) -> None:
    before, tag = got(served, made), tag_of(served, made)
    body = building("new") if method == "PUT" else {"properties": {"name": "new"}}
    media = {"Content_Type": GEOJSON if method == "PUT" else PATCH}
    assert send(served, method, made, body, **media, If_Match='"0"').status_code == 412
    assert got(served, made) == before
    answer = send(served, method, made, body, **media, If_Match=tag)
    assert answer.status_code == 204 and answer.headers["etag"] != tag
    # Refused without If-Match, as permission /per/optimistic-locking-etags/ifmatch-missing has it.
    assert send(served, method, made, body, **media).status_code == 428
    # The tag of a change may be the precondition of the next one.
    again = {**body, "properties": {**body["properties"], "name": "newer"}}
    next_ = send(served, method, made, again, **media, If_Match=answer.headers["etag"])
    assert next_.status_code == 204


def test_optimistic_locking_etags__delete(served: Served, made: str) -> None:
    second = path_of(send(served, "POST", ITEMS, building(), Content_Type=GEOJSON))
    tag = tag_of(served, made)
    assert send(served, "DELETE", made, If_Match='"0"').status_code == 412
    assert served.get(made).status_code == 200
    assert send(served, "DELETE", made, If_Match=tag).status_code == 204
    assert served.get(made).status_code == 410
    assert send(served, "DELETE", second).status_code == 428
    assert served.get(second).status_code == 200


# /conf/return-resource-representation-in-response


def three_ways(served: Served) -> list[tuple[str, str, Any, str, str | None]]:
    """Each operation as method, path, body, media type and tag; every call gives fresh ones."""
    found: list[tuple[str, str, Any, str, str | None]] = [
        ("POST", ITEMS, building(), GEOJSON, None)
    ]
    for method, media in (("PUT", GEOJSON), ("PATCH", PATCH)):
        path = path_of(send(served, "POST", ITEMS, building(), Content_Type=GEOJSON))
        body = building("x") if method == "PUT" else {"properties": {"name": "x"}}
        found.append((method, path, body, media, tag_of(served, path)))
    return found


def run(served: Served, way: tuple[str, str, Any, str, str | None], **headers: str) -> Any:
    method, path, body, media, tag = way
    given = {} if tag is None else {"If_Match": tag}
    return send(served, method, path, body, Content_Type=media, **given, **headers)


@pytest.mark.parametrize("prefer", [None, "return=representation", "return=minimal"])
def test_return_resource_representation_in_response__prefer(
    served: Served, prefer: str | None
) -> None:
    """Also /minimal, /representation, /content-negotiation and /preference-applied."""
    for way in three_ways(served):
        headers = {} if prefer is None else {"Prefer": prefer, "Accept": GEOJSON}
        answer = run(served, way, **headers)
        assert answer.is_success, answer.text
        if prefer != "return=representation":
            assert answer.content == b"" and "preference-applied" not in answer.headers
            continue
        assert answer.status_code == (201 if way[0] == "POST" else 200)
        assert answer.headers["preference-applied"] == prefer
        assert answer.headers["content-type"] == GEOJSON
        assert way[2]["properties"].items() <= answer.json()["properties"].items()


# /conf/features


def test_features__endpoints(served: Served, made: str) -> None:
    listed = served.get("/collections").json()["collections"]
    assert {one["id"] for one in listed} == set(CATALOG)
    assert {one.get("itemType", "feature") for one in listed} == {"feature"}
    for one in listed:
        items = f"/collections/{one['id']}/items"
        assert "POST" in send(served, "OPTIONS", items).headers["allow"]
        for feature in served.items(one["id"]):
            allowed = send(served, "OPTIONS", f"{items}/{feature['id']}").headers["allow"]
            assert {"PUT", "PATCH", "DELETE"} <= set(allowed.split(", "))


def test_features__put_create(served: Served) -> None:
    """Ids are the database's own: nobody creates by PUT, and no collection says that one may."""
    for one in served.get("/collections").json()["collections"]:
        assert one.get("supportsNonAutogeneratedResourceIds", False) is False


def test_features__crs(served: Served) -> None:
    first = path_of(send(served, "POST", ITEMS, building(), Content_Type=GEOJSON))
    for code, at in (
        (4326, (36.5, 120.5)),
        (4490, (36.5, 120.5)),
        (4549, (4041140.757, 544795.718)),
        (3857, (13413998.641, 4369640.511)),
    ):
        crs, sent = f"{EPSG}/{code}", building(at=at)
        headers = {"Content_Type": GEOJSON, "Content_Crs": f"<{crs}>"}
        second = path_of(send(served, "POST", ITEMS, sent, **headers))
        for shown_in in ({}, {"crs": crs}):
            one, other = got(served, first, **shown_in), got(served, second, **shown_in)
            assert one["geometry"]["coordinates"] == pytest.approx(
                other["geometry"]["coordinates"], rel=1e-9
            )
    unserved = {"Content_Type": GEOJSON, "Content_Crs": f"<{EPSG}/32650>"}
    assert send(served, "POST", ITEMS, building(), **unserved).status_code == 400


def test_features__geojson(served: Served, made: str) -> None:
    before, tag = got(served, made), tag_of(served, made)
    sent = {**building("geo", (120.7, 36.7)), "id": 10**9}
    headers = {"Content_Type": GEOJSON, "If_Match": tag}
    assert send(served, "PUT", made, sent, **headers).status_code == 400
    assert got(served, made) == before
    sent["id"] = before["id"]
    assert send(served, "PUT", made, sent, **headers).status_code == 204
    holds(got(served, made), sent)


def test_features__json_merge_patch(served: Served, made: str) -> None:
    geometry = {"type": "Point", "coordinates": [120.8, 36.8]}
    patch = {
        "geometry": geometry,
        "properties": {"name": "changed", "address": "added", "capacity_persons": None},
    }
    headers = {"Content_Type": PATCH, "If_Match": tag_of(served, made)}
    assert send(served, "PATCH", made, patch, **headers).status_code == 204
    found = got(served, made)
    assert found["geometry"] == geometry
    assert found["properties"]["name"] == "changed"
    assert found["properties"]["address"] == "added"
    assert found["properties"]["capacity_persons"] is None
    headers["If_Match"] = tag_of(served, made)
    assert send(served, "PATCH", made, {"id": found["id"] + 1}, **headers).status_code == 400


def test_features__schema(served: Served) -> None:
    """A property that no layer has, and one that is read only, are refused."""
    for name, value in (("extra", 1), ("updated_at", "2024-01-01T00:00:00Z")):
        sent = building()
        sent["properties"][name] = value
        answer = send(served, "POST", ITEMS, sent, Content_Type=GEOJSON)
        assert (answer.status_code, answer.json()["parameter"]) == (400, name)
