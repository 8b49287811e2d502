"""Single features created, replaced, patched, deleted: what editors get for what they send."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from api_help import CATALOG, Served, row_of, serving
from import_help import division
from riskmap.catalog.spec import Geometry
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

GEOJSON = "application/geo+json"
PATCH = "application/merge-patch+json"
ITEMS = "/collections/shelters/items"


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=3) as found:
        yield found


_codes = iter(range(10**6))


def feature(*, at: Any = (120.5, 36.5), **properties: Any) -> dict[str, Any]:
    geometry = at if isinstance(at, dict) or at is None else point(*at)
    given = {"code": f"e{next(_codes)}", **properties}
    return {"type": "Feature", "geometry": geometry, "properties": given}


def point(*position: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(position)}


def send(
    served: Served,
    method: str,
    path: str,
    body: Any = None,
    *,
    role: str | None = "editor",
    media: str | None = GEOJSON,
    version: int | None = None,
    **headers: str,
) -> Any:
    sent = {**served.headers(role), **{k.replace("_", "-"): v for k, v in headers.items()}}
    if media is not None and body is not None:
        sent["Content-Type"] = media
    if version is not None:
        sent["If-Match"] = f'"{version}"'
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return served.client.request(method, path, content=content, headers=sent)


def created(served: Served, body: Any = None, items: str = ITEMS, **more: Any) -> str:
    """Create a feature and return its path."""
    answer = send(served, "POST", items, feature() if body is None else body, **more)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("http://testserver")


def got(served: Served, path: str, **params: Any) -> dict[str, Any]:
    answer = served.get(path, "editor", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(served: Served, statement: str, **values: Any) -> list[Any]:
    with served.database.read() as session:
        return list(session.execute(text(statement), values).all())


def refused(answer: Any, status: int, parameter: str | None, kind: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body.get("parameter") == parameter, body
    assert body["type"].endswith(kind), body["type"]
    return body


# Creation


def test_a_new_feature_has_an_id_a_version_a_source_and_its_raw_numbers(served: Served) -> None:
    answer = send(served, "POST", ITEMS, {**feature(name="新"), "id": 77_000_000})
    assert answer.status_code == 201 and answer.content == b""
    assert answer.headers["etag"] == '"1"'
    found = served.client.get(answer.headers["location"], headers=served.headers("editor"))
    body = found.json()
    assert body["id"] != 77_000_000
    assert answer.headers["location"] == f"http://testserver{ITEMS}/{body['id']}"
    properties = body["properties"]
    assert properties["name"] == "新" and properties["version"] == 1
    assert properties["source_system"] == "local" and properties["source_crs"] == "EPSG:4326"
    assert (properties["raw_x"], properties["raw_y"]) == (120.5, 36.5)
    assert body["geometry"] == point(120.5, 36.5)


def test_every_layer_takes_a_feature_with_all_its_fields(served: Served) -> None:
    for layer in CATALOG.values():
        items = f"/collections/{layer.id}/items"
        model = served.items(layer.id, "editor", limit=1)[0]
        managed = {one.name for one in layer.fields if one.managed}
        properties = {k: v for k, v in model["properties"].items() if k not in managed}
        body = {**model, "properties": {**properties, "code": "all"}}
        stored = got(served, created(served, body, items))
        assert stored["geometry"] == model["geometry"]
        for name in properties.keys() - {"code", "admin_code"}:
            assert stored["properties"][name] == properties[name], (layer.id, name)


def test_single_geometries_become_multi_and_heights_are_dropped(served: Served) -> None:
    ring = [[120.1, 36.1, 5], [120.2, 36.1, 5], [120.2, 36.2, 5], [120.1, 36.1, 5]]
    area = next(one for one in CATALOG.values() if one.geometry is Geometry.POLYGON)
    sent = feature(at={"type": "Polygon", "coordinates": [ring]}, level="district")
    allowed = {field.name for field in area.fields}
    sent["properties"] = {k: v for k, v in sent["properties"].items() if k in allowed}
    for field in area.fields:
        if field.required and field.name not in sent["properties"]:
            sent["properties"][field.name] = field.values[0].code
    found = got(served, created(served, sent, f"/collections/{area.id}/items"))
    assert found["geometry"] == {
        "type": "MultiPolygon",
        "coordinates": [[[position[:2] for position in ring]]],
    }
    assert found["properties"]["raw_x"] is None
    spot = got(served, created(served, feature(at=(120.25, 36.25, 12.5))))
    assert spot["geometry"] == point(120.25, 36.25)


def test_the_same_code_again_is_a_conflict_that_names_whose_it_is(served: Served) -> None:
    path = created(served, feature(code="twice"))
    body = refused(send(served, "POST", ITEMS, feature(code="twice")), 409, "code", "edit.code")
    assert "twice" in body["detail"] and path.rsplit("/", 1)[1] in body["detail"]
    other = created(served)
    answer = send(served, "PATCH", other, {"properties": {"code": "twice"}}, version=1)
    refused(answer, 409, "code", "edit.code")
    # The same code of another source is another feature.
    served.put("shelters", {"code": "theirs", "source_system": "x", "geom": "POINT(120.5 36.5)"})
    created(served, feature(code="theirs"))


# What an import of one row refuses, with its words

BAD: list[tuple[dict[str, Any], str, str]] = [
    (feature(code=None), "code", "ingest.required"),
    (feature(code=" "), "code", "ingest.required"),
    (feature(code="x" * 201), "code", "ingest.length"),
    (feature(capacity_persons="many"), "capacity_persons", "ingest.type.integer"),
    (feature(capacity_persons=1.5), "capacity_persons", "ingest.type.integer"),
    (feature(capacity_persons=-1), "capacity_persons", "ingest.range"),
    (feature(capacity_persons=2**31), "capacity_persons", "ingest.range"),
    (feature(capacity_persons=10**400), "capacity_persons", "ingest.range"),
    (feature(capacity_persons=True), "capacity_persons", "ingest.type.integer"),
    (feature(total_area_m2=[1]), "total_area_m2", "ingest.type.number"),
    (feature(total_area_m2=10**400), "total_area_m2", "ingest.type.number"),
    (feature(open_status="ajar"), "open_status", "ingest.allowed"),
    (feature(suitable_hazards=["boredom"]), "suitable_hazards", "ingest.allowed"),
    (feature(suitable_hazards={"a": 1}), "suitable_hazards", "ingest.type.texts"),
    (feature(accessible="perhaps"), "accessible", "ingest.type.boolean"),
    (feature(surveyed_at="yesterday"), "surveyed_at", "ingest.type.datetime"),
    (feature(name="a\0b"), "name", "ingest.characters"),
    (feature(name="\ud800"), "name", "ingest.characters"),
    (feature(name={"zh": "名"}), "name", "ingest.type.text"),
    (feature(attributes="text"), "attributes", "ingest.type.json"),
    (feature(attributes=[1]), "attributes", "ingest.type.json"),
    (feature(attributes={"a": "\0"}), "attributes", "ingest.characters"),
    (feature(nickname="x"), "nickname", "edit.property.unknown"),
    (feature(名称="x"), "名称", "edit.property.unknown"),
    (feature(version=7), "version", "edit.managed"),
    # In UTC these lie outside the years that a date has.
    (feature(valid_to="0001-01-01T00:00:00+14:00"), "valid_to", "ingest.type.datetime"),
    (feature(valid_to="9999-12-31T23:59:59-10:00"), "valid_to", "ingest.type.datetime"),
    (feature(valid_from="0001-01-01"), "valid_from", "ingest.type.datetime"),
    (feature(source_system="x"), "source_system", "edit.managed"),
    (feature(raw_x=1), "raw_x", "edit.managed"),
    (feature(at=None), "geometry", "ingest.geometry.null"),
    (feature(at={"type": "Point", "coordinates": []}), "geometry", "ingest.geometry"),
    (feature(at=("a", "b")), "geometry", "ingest.coordinate"),
    (feature(at={"type": "Sphere"}), "geometry", "ingest.geometry.unreadable"),
    (feature(at=feature()), "geometry", "ingest.geometry.unreadable"),
    (feature(at={"type": "LineString", "coordinates": [[1, 2], [3]]}), "geometry", "unreadable"),
    (feature(at=(10**400, 36.5)), "geometry", "ingest.geometry.not_finite"),
    (
        feature(at={"type": "MultiPoint", "coordinates": [[120.1, 36.1], [120.2, 36.2]]}),
        "geometry",
        "ingest.geometry.type",
    ),
    (feature(at=(119.0, 36.5)), "geometry", "ingest.outside"),
    (feature(at=(36.5, 120.5)), "geometry", "edit.outside.swapped"),
]


@pytest.mark.parametrize(("body", "parameter", "kind"), BAD, ids=[f"{k}-{p}" for _, p, k in BAD])
def test_what_is_wrong_is_named(
    served: Served, body: dict[str, Any], parameter: str, kind: str
) -> None:
    before = rows(served, "SELECT count(*), max(id) FROM shelters")
    answer = send(served, "POST", ITEMS, body)
    assert answer.status_code == 400, answer.text
    found = answer.json()
    assert found["parameter"] == parameter
    assert kind in found["type"]
    assert rows(served, "SELECT count(*), max(id) FROM shelters") == before
    # The same of a replacement, which leaves the feature as it was.
    path = created(served)
    was = got(served, path)
    again = send(served, "PUT", path, body, version=1)
    assert (again.status_code, again.json()["parameter"]) == (400, parameter)
    assert got(served, path) == was


def test_all_that_is_wrong_is_told_at_once_in_both_languages(served: Served) -> None:
    body = feature(at=(1, 1), capacity_persons="x", open_status="ajar")
    answer = send(served, "POST", ITEMS, body, **{"Accept-Language": "en"})
    problems = answer.json()["problems"]
    assert {one["field"] for one in problems} == {"geometry", "capacity_persons", "open_status"}
    assert (
        "no whole number" in problems[0]["reason"]["en"] and "整数" in problems[0]["reason"]["zh"]
    )


def test_a_new_feature_states_nothing_of_what_riskmap_writes(served: Served) -> None:
    """Not even what it would get: a copy of a feature is a new one, and says so."""
    for name, value in (("version", 1), ("source_system", "local"), ("raw_x", 120.5)):
        answer = send(served, "POST", ITEMS, feature(**{name: value}))
        refused(answer, 400, name, "edit.managed")
        created(served, feature(**{name: None}))


def test_an_invalid_polygon_says_where(served: Served) -> None:
    bow = [[120.1, 36.1], [120.2, 36.2], [120.2, 36.1], [120.1, 36.2], [120.1, 36.1]]
    layer = next(one for one in CATALOG.values() if one.geometry is Geometry.MIXED)
    body = feature(at={"type": "Polygon", "coordinates": [bow]})
    answer = send(served, "POST", f"/collections/{layer.id}/items", body)
    found = refused(answer, 400, "geometry", "edit.geometry.invalid")
    assert "Self-intersection[120.15 36.15" in found["detail"]


@pytest.mark.parametrize("kind", [Geometry.POINT, Geometry.LINE, Geometry.POLYGON])
def test_a_geometry_of_another_kind_than_the_layers(served: Served, kind: Geometry) -> None:
    ring = [[120.1, 36.1], [120.2, 36.1], [120.2, 36.2], [120.1, 36.1]]
    shapes = {
        Geometry.POINT: point(120.1, 36.1),
        Geometry.LINE: {"type": "LineString", "coordinates": ring},
        Geometry.POLYGON: {"type": "Polygon", "coordinates": [ring]},
    }
    layer = next(one for one in CATALOG.values() if one.geometry is kind)
    path = f"/collections/{layer.id}/items"
    model = served.items(layer.id, "editor", limit=1)[0]
    where = f"{path}/{model['id']}"
    for other in shapes.keys() - {kind}:
        answer = send(served, "PATCH", where, {"geometry": shapes[other]}, version=1)
        refused(answer, 400, "geometry", "ingest.geometry.type")


def test_children_are_judged_field_by_field(served: Served) -> None:
    items = "/collections/major-hazard-sources/items"
    good = feature(chemicals=[{"name": "氯", "quantity_t": "5.5"}])
    path = created(served, good, items)
    [chemical] = got(served, path)["properties"]["chemicals"]
    assert chemical == {"name": "氯", "quantity_t": 5.5}
    for bad in ([{"quantity_t": 1}], [{"name": "x", "smell": "y"}], ["x"], {"name": "x"}, 5):
        body = {**good, "properties": {**good["properties"], "chemicals": bad}}
        refused(send(served, "PUT", path, body, version=1), 400, "chemicals")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "edit.json"),
        (b"{", "edit.json"),
        (b"\xff\xfe{}", "edit.json"),
        ("氯".encode("gb18030"), "edit.json"),
        (b"[]", "edit.object"),
        (b"null", "edit.object"),
        (b'"x"', "edit.object"),
        (b"{}", "ingest.feature"),
        (b'{"type":"Feature","properties":[1]}', "ingest.feature"),
        (b'{"type":"FeatureCollection","features":[]}', "ingest.feature"),
        (b'{"type":"Feature","type":"Feature"}', "edit.twice"),
        (b'{"type":"Feature","properties":{"capacity_persons":NaN}}', "edit.number"),
        (b'{"type":"Feature","properties":{"capacity_persons":1e999}}', "edit.number"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "edit.depth"),
        (b"[" * 100_000, "edit.json"),
        (b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "edit.json"),
        (b"1" * 10_000, "edit.json"),
    ],
)
def test_bodies_that_are_no_feature(served: Served, content: bytes, kind: str) -> None:
    for method, path in (("POST", ITEMS), ("PUT", f"{ITEMS}/1")):
        answer = send(served, method, path, content, version=1)
        assert answer.status_code == 400, answer.text
        assert answer.json()["parameter"] == "body" and answer.json()["type"].endswith(kind)


def test_a_body_may_have_a_megabyte_and_no_more(served: Served) -> None:
    body = feature(attributes={"text": "x" * 1_000_000})
    path = created(served, body)
    assert len(got(served, path)["properties"]["attributes"]["text"]) == 1_000_000
    longer = feature(attributes={"text": "x" * 1_050_000})
    for method, where in (("POST", ITEMS), ("PUT", path), ("PATCH", path)):
        assert send(served, method, where, longer, version=1).status_code == 413
    # Elsewhere the limit is what it was.
    answer = served.client.post(
        f"{path}/restore", content=b"x" * 70_000, headers=served.headers("editor")
    )
    assert answer.status_code == 413


def test_media_types(served: Served) -> None:
    body, path = feature(), created(served)
    for method, where in (("POST", ITEMS), ("PUT", path)):
        refused(send(served, method, where, body, media="text/csv"), 415, "Content-Type")
        refused(send(served, method, where, body, media=PATCH), 415, "Content-Type")
        charset = f"{GEOJSON}; charset=gb18030"
        refused(send(served, method, where, body, media=charset), 415, "Content-Type")
        packed = send(served, method, where, body, Content_Encoding="gzip")
        refused(packed, 415, "Content-Encoding")
        refused(send(served, method, where, body, media=None), 400, "Content-Type")
    created(served, media="application/json; charset=UTF-8")
    for number, media in enumerate((PATCH, GEOJSON, "application/json"), 1):
        patch = {"properties": {"name": media}}
        answer = send(served, "PATCH", path, patch, media=media, version=number)
        assert answer.status_code == 204, answer.text


def test_unknown_parameters_and_addresses(served: Served) -> None:
    refused(send(served, "POST", f"{ITEMS}?crs=x", feature()), 400, "crs")
    refused(send(served, "PUT", f"{ITEMS}/1?bbox=1", feature()), 400, "bbox")
    refused(send(served, "DELETE", f"{ITEMS}/1?force=1"), 400, "force")
    refused(send(served, "POST", "/collections/none/items", feature()), 404, "layer")
    refused(send(served, "PUT", f"{ITEMS}/x", feature()), 400, "feature_id")
    refused(send(served, "POST", f"{ITEMS}?datum=nad27", feature()), 400, "datum")


# Replacement and patches


def test_what_was_read_can_be_sent_back_and_changes_nothing(served: Served) -> None:
    revision = "SELECT max(revision) FROM feed"
    for layer in CATALOG.values():
        served.put(layer.id, {**row_of(layer, 2), "code": "back"})
        [found] = served.items(layer.id, "editor", code="back")
        path = f"/collections/{layer.id}/items/{found['id']}"
        body, before = got(served, path), rows(served, revision)
        answer = send(served, "PUT", path, body, version=1)
        assert (answer.status_code, answer.headers["etag"]) == (204, '"1"'), answer.text
        assert got(served, path) == body and rows(served, revision) == before


def test_an_answer_of_seven_decimals_does_not_move_the_feature(served: Served) -> None:
    # 1e-9 degrees, a tenth of a millimetre: stored, and in no answer.
    path = created(served, feature(at=(120.123456789, 36.987654321)))
    number = int(path.rsplit("/", 1)[1])
    stored = rows(served, "SELECT geom::text FROM shelters WHERE id = :id", id=number)
    body = got(served, path)
    assert body["geometry"]["coordinates"] == [120.1234568, 36.9876543]
    body["properties"]["name"] = "another"
    assert send(served, "PUT", path, body, version=1).headers["etag"] == '"2"'
    after = rows(served, "SELECT geom::text FROM shelters WHERE id = :id", id=number)
    assert after == stored
    assert got(served, path)["properties"]["raw_x"] == 120.123456789


def test_the_same_value_in_other_words_makes_no_version(served: Served) -> None:
    path = created(served, feature(surveyed_at="2024-02-29T08:00:00+08:00", total_area_m2=5))
    body = got(served, path)
    body["properties"] |= {"surveyed_at": "2024-02-29T00:00:00Z", "total_area_m2": "5.0"}
    assert send(served, "PUT", path, body, version=1).headers["etag"] == '"1"'
    # But true is not 1.
    body["properties"]["attributes"] = {"a": 1}
    assert send(served, "PUT", path, body, version=1).headers["etag"] == '"2"'
    body["properties"] |= {"attributes": {"a": True}, "version": 2}
    body["properties"].pop("updated_at")
    assert send(served, "PUT", path, body, version=2).headers["etag"] == '"3"'


def test_a_replacement_replaces_everything_a_patch_what_it_names(served: Served) -> None:
    full = feature(
        name="one",
        capacity_persons=10,
        responsible_phone="13800000000",
        attributes={"a": {"x": 1, "y": 2}, "b": 3},
    )
    path = created(served, full)
    patch = {"properties": {"name": None, "attributes": {"a": {"x": None, "z": 4}}}}
    assert send(served, "PATCH", path, patch, media=PATCH, version=1).status_code == 204
    properties = got(served, path)["properties"]
    assert properties["name"] is None and properties["capacity_persons"] == 10
    assert properties["responsible_phone"] == "13800000000"
    assert properties["attributes"] == {"a": {"y": 2, "z": 4}, "b": 3}
    body = feature(code=properties["code"], name="two")
    assert send(served, "PUT", path, body, version=2).status_code == 204
    properties = got(served, path)["properties"]
    assert (properties["name"], properties["capacity_persons"]) == ("two", None)
    assert properties["responsible_phone"] is None and properties["attributes"] is None
    assert (properties["version"], properties["source_system"]) == (3, "local")


def test_managed_fields_are_taken_as_they_are_and_not_otherwise(served: Served) -> None:
    path = created(served)
    body = got(served, path)
    for name, value in (
        ("version", 9),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("updated_at", "2020-01-01T00:00:00Z"),
        ("source_system", "other"),
        ("source_crs", "EPSG:4490"),
        ("raw_y", 1),
    ):
        changed = {**body, "properties": {**body["properties"], name: value}}
        refused(send(served, "PUT", path, changed, version=1), 400, name, "edit.managed")
        patch = {"properties": {name: value}}
        refused(send(served, "PATCH", path, patch, version=1), 400, name, "edit.managed")
    without = {**body, "properties": {"code": body["properties"]["code"], "version": None}}
    assert send(served, "PUT", path, without, version=1).status_code == 204
    assert got(served, path)["properties"]["source_crs"] == "EPSG:4326"


def test_the_id_must_be_that_of_the_address(served: Served) -> None:
    path = created(served)
    number = int(path.rsplit("/", 1)[1])
    body = got(served, path)
    for other in (number + 1, str(number + 1), 1.5, True, [number], {}):
        answer = send(served, "PUT", path, {**body, "id": other}, version=1)
        refused(answer, 400, "id", "edit.id")
        refused(send(served, "PATCH", path, {"id": other}, version=1), 400, "id", "edit.id")
    refused(send(served, "PATCH", path, {"id": None}, version=1), 400, "id", "edit.id")
    for same in (number, str(number), None):
        assert send(served, "PUT", path, {**body, "id": same}, version=1).status_code == 204


def test_patches_that_leave_no_feature(served: Served) -> None:
    path = created(served)
    for patch, parameter in (
        ({"geometry": None}, "geometry"),
        ({"type": None}, "body"),
        ({"type": "Point"}, "body"),
        ({"properties": None}, "code"),
        ({"properties": 5}, "body"),
        ({"properties": {"code": None}}, "code"),
        ({"properties": {"x": 1}}, "x"),
        ({"place": point(1, 1)}, "place"),
    ):
        refused(send(served, "PATCH", path, patch, media=PATCH, version=1), 400, parameter)
    moved = {"geometry": {"coordinates": [120.75, 36.75]}}
    assert send(served, "PATCH", path, moved, media=PATCH, version=1).status_code == 204
    assert got(served, path)["geometry"] == point(120.75, 36.75)


def test_prefer_brings_the_feature(served: Served) -> None:
    answer = send(served, "POST", ITEMS, feature(name="p"), Prefer="return=representation")
    assert answer.status_code == 201 and answer.headers["content-type"] == GEOJSON
    assert answer.headers["preference-applied"] == "return=representation"
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert answer.json()["properties"]["name"] == "p"
    path = answer.headers["location"].removeprefix("http://testserver")
    patch = {"properties": {"name": "q"}}
    wanted = 'handling=strict, return="representation"; x=1'
    changed = send(served, "PATCH", path, patch, version=1, Prefer=wanted)
    assert changed.status_code == 200 and changed.json()["properties"]["name"] == "q"
    assert (changed.headers["etag"], changed.json()["properties"]["version"]) == ('"2"', 2)
    quiet = send(served, "PATCH", path, patch, version=2, Prefer="return=minimal")
    assert quiet.status_code == 204 and not quiet.content


# Coordinate systems


def test_content_crs_has_the_axes_of_its_registry(served: Served) -> None:
    uri = "http://www.opengis.net/def/crs/EPSG/0/"
    # 4549 (the city's), the position as pyproj gives it: northing, easting.
    for code, at, raw, name in (
        ("4326", (36.5, 120.5), (36.5, 120.5), "EPSG:4326 (north, east)"),
        ("4490", (36.5, 120.5), (36.5, 120.5), "EPSG:4490 (north, east)"),
        ("4549", (4041140.757, 544795.718), (4041140.757, 544795.718), "EPSG:4549 (north, east)"),
        ("3857", (13413998.641, 4369640.511), (13413998.641, 4369640.511), "EPSG:3857"),
    ):
        for header in (f"<{uri}{code}>", f"{uri}{code}"):
            path = created(served, feature(at=at), Content_Crs=header)
            body = got(served, path)
            lon, lat = body["geometry"]["coordinates"]
            assert (round(lon, 4), round(lat, 4)) == (120.5, 36.5), (code, lon, lat)
            properties = body["properties"]
            assert (properties["raw_x"], properties["raw_y"]) == raw
            assert properties["source_crs"] == name
    east_first = send(served, "POST", ITEMS, feature(at=(120.5, 36.5)), Content_Crs=f"<{uri}4326>")
    refused(east_first, 400, "geometry", "edit.outside.swapped")
    for unknown in ("<", "EPSG:4326", f"<{uri}4326> x", "", "<>"):
        refused(send(served, "POST", ITEMS, feature(), Content_Crs=unknown), 400, "Content-Crs")
    answer = send(served, "POST", ITEMS, feature(), Content_Crs=f"<{uri}9999>")
    assert f"{uri}4490" in refused(answer, 400, "Content-Crs")["detail"]


@pytest.mark.parametrize("code", ["4326", "4490", "4549", "3857"])
def test_what_was_read_in_a_system_goes_back_in_it(served: Served, code: str) -> None:
    uri = f"http://www.opengis.net/def/crs/EPSG/0/{code}"
    path = created(served, feature(at=(120.123456789, 36.987654321)))
    body = got(served, path, crs=uri)
    assert send(served, "PUT", path, body, version=1, Content_Crs=uri).headers["etag"] == '"1"'
    patch = {"properties": {"name": "x"}}
    answer = send(served, "PATCH", path, patch, version=1, Content_Crs=uri,
                  Prefer="return=representation")  # fmt: skip
    assert answer.headers["content-crs"] == f"<{uri}>"
    assert answer.json()["geometry"] == body["geometry"]
    assert got(served, path)["properties"]["raw_x"] == 120.123456789


def test_gcj02_by_query_or_by_member(served: Served) -> None:
    wgs = created(served, feature(at=(120.5, 36.5)))
    moved = got(served, wgs, datum="gcj02")
    assert moved["datum"] == "gcj02" and moved["geometry"] != point(120.5, 36.5)
    at = moved["geometry"]["coordinates"]
    by_query = created(served, feature(at=at), f"{ITEMS}?datum=gcj02")
    by_member = created(served, {**feature(at=at), "datum": "gcj02"})
    for path in (by_query, by_member):
        body = got(served, path)
        lon, lat = body["geometry"]["coordinates"]
        assert (round(lon, 6), round(lat, 6)) == (120.5, 36.5)
        assert body["properties"]["source_crs"] == "GCJ02"
        assert [body["properties"]["raw_x"], body["properties"]["raw_y"]] == at
    # What was read in GCJ-02 goes back as it came and moves nothing.
    assert send(served, "PUT", wgs, moved, version=1).headers["etag"] == '"1"'
    shown = send(served, "PATCH", wgs, {"datum": "gcj02", "properties": {"name": "x"}}, version=1,
                 Prefer="return=representation")  # fmt: skip
    assert shown.json()["geometry"]["coordinates"] == at and shown.json()["datum"] == "gcj02"
    assert shown.headers["x-datum"] == "gcj02"
    clash = send(served, "POST", f"{ITEMS}?datum=bd09", {**feature(), "datum": "gcj02"})
    refused(clash, 400, "datum", "crs.differs")
    uri = "<http://www.opengis.net/def/crs/EPSG/0/4490>"
    both = send(served, "POST", f"{ITEMS}?datum=bd09", feature(), Content_Crs=uri)
    refused(both, 400, "Content-Crs", "edit.two_systems")
    old = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    declared = send(served, "POST", ITEMS, {**feature(), "crs": old})
    refused(declared, 400, "crs", "crs.differs")


# Divisions


@pytest.fixture(scope="module")
def divisions(served: Served) -> None:
    for code, west in (("370299001000", 120.0), ("370299002000", 120.1)):
        made = division(code, "street", west, 36.8, 0.1)
        created(served, made, "/collections/admin-divisions/items")


@pytest.mark.usefixtures("divisions")
def test_the_division_follows_the_position_unless_it_was_stated(served: Served) -> None:
    first, second, nowhere = (120.05, 36.85), (120.15, 36.85), (120.5, 36.1)

    def code(path: str) -> str | None:
        return got(served, path)["properties"]["admin_code"]

    path = created(served, feature(at=first))
    assert code(path) == "370299001000"
    # A client that reads, moves and sends back states nothing by that.
    body = got(served, path)
    body["geometry"] = point(*second)
    answer = send(served, "PUT", path, body, version=1)
    assert "x-riskmap-warnings" not in answer.headers and code(path) == "370299002000"
    assert send(served, "PATCH", path, {"geometry": point(*nowhere)}, version=2).is_success
    assert code(path) is None
    assert send(served, "PATCH", path, {"geometry": point(*first)}, version=3).is_success
    assert code(path) == "370299001000"
    # Stated: kept, and the mismatch told.
    answer = send(served, "PATCH", path, {"properties": {"admin_code": "370299002"}}, version=4)
    assert answer.headers["x-riskmap-warnings"] == (
        "admin_code; stated=370299002; by-position=370299001000"
    )
    assert send(served, "PATCH", path, {"geometry": point(120.06, 36.85)}, version=5).is_success
    assert code(path) == "370299002"
    # The whole that the place is part of is no mismatch.
    answer = send(served, "PATCH", path, {"properties": {"admin_code": "370299"}}, version=6)
    assert "x-riskmap-warnings" not in answer.headers and code(path) == "370299"
    assert send(served, "PATCH", path, {"properties": {"admin_code": None}}, version=7).is_success
    assert code(path) == "370299001000"
    stated = send(served, "POST", ITEMS, feature(at=first, admin_code="市区"))
    assert "stated=%E5%B8%82%E5%8C%BA" in stated.headers["x-riskmap-warnings"]


# Versions


def test_a_change_must_name_its_version(served: Served) -> None:
    path = created(served)
    now = "Mon, 23 Nov 2099 00:00:00 GMT"
    for method, body in (
        ("PUT", got(served, path)),
        ("PATCH", {"properties": {}}),
        ("DELETE", None),
    ):
        for headers in ({}, {"If_Match": "*"}, {"If_Unmodified_Since": now}):
            answer = send(served, method, path, body, **headers)
            refused(answer, 428, "If-Match", "edit.if_match")
        for stale in ('"0"', '"2"', '"xyz"', 'W/"2-12345678"', '"2", "3"', '""'):
            answer = send(served, method, path, body, If_Match=stale)
            refused(answer, 412, "If-Match", "edit.stale")
            assert answer.headers["etag"] == '"1"'
        for nonsense in ("abc", '"1', '*, "1"', '"1" "2"', "1.0", "-1"):
            refused(send(served, method, path, body, If_Match=nonsense), 400, "If-Match")
    assert got(served, path)["properties"]["version"] == 1


@pytest.mark.parametrize(
    "tag", ['"1"', "1", 'W/"1"', '"1-1a2b3c4d"', 'W/"1-1a2b3c4d"', '"1-1a2b3c4d-gzip"', '"7", "1"']
)
def test_tags_that_name_the_version(served: Served, tag: str) -> None:
    path = created(served)
    answer = send(served, "PATCH", path, {"properties": {"name": "x"}}, If_Match=tag)
    assert (answer.status_code, answer.headers["etag"]) == (204, '"2"')


def test_the_etag_of_a_get_is_taken_as_it_is(served: Served) -> None:
    path = created(served)
    tag = served.get(path, "editor").headers["etag"]
    answer = send(served, "PATCH", path, {"properties": {"name": "x"}}, If_Match=tag)
    assert answer.status_code == 204


def test_gone_and_never_there(served: Served) -> None:
    path = created(served, feature(name="last"))
    assert send(served, "DELETE", path, version=1).status_code == 204
    for method, body in (("PUT", feature()), ("PATCH", {}), ("DELETE", None)):
        for version in (1, None):
            found = refused(
                send(served, method, path, body, version=version), 410, "feature_id", "feature.gone"
            )
            assert path.rsplit("/", 1)[1] in found["detail"]
            never = send(served, method, f"{ITEMS}/99999999", body, version=version)
            refused(never, 404, "feature_id", "feature.unknown")
    for role in ("editor", None):
        refused(served.get(path, role), 410, "feature_id", "feature.gone")
        assert served.client.head(path).status_code == 410
        refused(served.get(f"{ITEMS}/99999999", role), 404, "feature_id", "feature.unknown")
    restored = send(served, "POST", f"{path}/restore", {"version": 1}, media="application/json")
    assert restored.json()["feature"]["properties"]["name"] == "last"
    assert send(served, "PATCH", path, {"properties": {"name": "y"}}, version=2).is_success


def test_changes_are_in_history_feed_and_audit_with_who_it_was(served: Served) -> None:
    request = {"X-Request-ID": "edit-77"}
    path = created(served, **request)
    patch = {"geometry": point(120.6, 36.6)}
    assert send(served, "PATCH", path, patch, version=1, **request).is_success
    assert send(served, "DELETE", path, version=2, **request).is_success
    number = int(path.rsplit("/", 1)[1])
    kept = rows(
        served,
        "SELECT op, version, actor, request_id FROM history WHERE feature_id = :id AND"
        " layer = 'shelters' ORDER BY version",
        id=number,
    )
    assert [tuple(row)[:2] for row in kept] == [("update", 1), ("delete", 2)]
    assert {row.actor for row in kept} == {kept[0].actor} and kept[0].actor.startswith("key:")
    audit = rows(served, "SELECT action FROM audit WHERE request_id = 'edit-77' ORDER BY id")
    assert [row.action for row in audit] == ["insert", "update", "delete"]
    with_feed = rows(
        served, "SELECT count(*) FROM feed WHERE layer = 'shelters' AND revision IS NOT NULL"
    )
    assert with_feed[0][0] >= 3


def test_options_say_what_the_caller_may_do(served: Served) -> None:
    for role, may in (("editor", True), ("admin", True), ("reader", False), (None, False)):
        layer = served.client.options(ITEMS, headers=served.headers(role))
        one = served.client.options(f"{ITEMS}/1", headers=served.headers(role))
        assert layer.status_code == one.status_code == 200
        assert ("POST" in layer.headers["allow"]) is ("accept-post" in layer.headers) is may
        assert ("PATCH" in one.headers["allow"]) is ("accept-patch" in one.headers) is may
        assert "authorization" in one.headers["vary"].lower()


def test_nobody_waits_for_an_import(served: Served) -> None:
    """Whoever has the row locked for long: the editor is told to come again, nothing changes."""
    path = created(served, feature(code="locked"))
    number = int(path.rsplit("/", 1)[1])
    statuses: list[Any] = []
    with served.database.write(Actor("test")) as session:
        session.execute(text("UPDATE shelters SET name = 'import' WHERE id = :id"), {"id": number})
        session.execute(
            text(
                "INSERT INTO shelters (code, geom) VALUES ('coming', 'SRID=4326;POINT(120.5 36.5)')"
            )
        )
        asked = [
            ("PATCH", path, {"properties": {"name": "mine"}}),
            ("DELETE", path, None),
            ("POST", ITEMS, feature(code="coming")),
        ]
        threads = [
            threading.Thread(target=lambda a=a: statuses.append(send(served, *a, version=1)))
            for a in asked
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        # Others, which the import does not touch, are written meanwhile.
        created(served)
    assert [one.status_code for one in statuses] == [503] * 3
    for one in statuses:
        assert one.headers["retry-after"] == "5" and one.json()["type"].endswith("database.locked")
    assert got(served, path)["properties"]["name"] == "import"
    # The feature has another version now, and the code is taken.
    assert send(served, *asked[0], version=1).status_code == 412
    assert send(served, *asked[2]).status_code == 409
