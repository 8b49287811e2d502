"""Paging, order, time and what is shown: every part of a feature query over HTTP."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
from pyproj import Geod
from shapely.geometry import shape
from sqlalchemy import text

from api_help import Served, put, serving
from riskmap.api.times import read_interval
from riskmap.db.cluster import Cluster
from riskmap.errors import InputError

POINTS = "geohazard-points"
PATH = f"/collections/{POINTS}/items"
ROWS = 83
WORDS = ("山", "滑坡", None, "a'b", "a,b", "ß", "É", "", "山")


def _rows() -> list[dict[str, Any]]:
    dice = random.Random(20261123)
    rows = []
    for n in range(ROWS):
        since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=dice.randrange(2000))
        rows.append(
            {
                "code": f"c{n:03}",
                "name": dice.choice(WORDS),
                "risk_level": dice.choice((1, 2, 3, 4, None)),
                "threatened_persons": dice.choice((None, 0, 7, 7, 120)),
                "position_accuracy_m": dice.choice((None, 0.1, 0.30000000000000004, 1e-300, -0.0)),
                "surveyed_at": dice.choice((None, since)),
                "valid_from": dice.choice((None, since)),
                "valid_to": dice.choice((None, since + timedelta(hours=dice.randrange(300)))),
                "geom": f"POINT({120.2 + 0.005 * n} 36.5)",
            }
        )
    return rows


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as made:
        put(made.database, POINTS, *_rows())
        yield made


def link(page: dict[str, Any], rel: str) -> str | None:
    found = [one["href"] for one in page["links"] if one["rel"] == rel]
    assert len(found) <= 1
    return found[0] if found else None


def walk(served: Served, path: str, rel: str = "next") -> list[dict[str, Any]]:
    """Return the pages from one on, whichever way."""
    pages = []
    following: str | None = path
    while following is not None:
        answer = served.client.get(following)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        following = link(pages[-1], rel)
        assert len(pages) <= ROWS + 1
    return pages


def ids(pages: list[dict[str, Any]]) -> list[int]:
    return [feature["id"] for page in pages for feature in page["features"]]


def refused(served: Served, parameter: str, **params: str) -> dict[str, Any]:
    answer = served.get(PATH, **params)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["parameter"] == parameter, answer.text
    return answer.json()


ORDERS = (
    "code",
    "-code",
    "risk_level",
    "-risk_level,name",
    "name,-threatened_persons",
    "position_accuracy_m,-surveyed_at",
    "-updated_at",
    "surveyed_at",
    "id",
    "-id",
    "risk_level,-id,name",
)


def expected(served: Served, order: str) -> list[int]:
    """Sort by Python: nulls last in both directions, the id among equals."""
    rows = [{"id": one["id"], **one["properties"]} for one in served.items(POINTS, limit=10_000)]
    rows.sort(key=lambda row: row["id"])
    for key in reversed(order.split(",")):
        name, down = key.removeprefix("-"), key.startswith("-")
        known = [row for row in rows if row[name] is not None]
        if isinstance(known[0][name], str):  # C.UTF-8 sorts by code points
            known.sort(key=lambda row, name=name: row[name].encode(), reverse=down)
        else:
            known.sort(key=lambda row, name=name: row[name], reverse=down)
        rows = known + [row for row in rows if row[name] is None]
    return [row["id"] for row in rows]


@pytest.mark.parametrize("order", ORDERS)
def test_pages_forward_and_back_are_the_whole_in_order(served: Served, order: str) -> None:
    want = expected(served, order)
    # Page by page of one where many are equal and some null; elsewhere four at a time will do.
    few = 1 if "risk_level" in order else 4
    for limit in (few, 10, ROWS, ROWS + 1):
        pages = walk(served, f"{PATH}?sortby={order}&limit={limit}")
        assert ids(pages) == want
        assert link(pages[0], "prev") is None
        back = walk(served, link(pages[-1], "prev") or "none", "prev") if len(pages) > 1 else []
        assert ids(back[::-1] + pages[-1:]) == want
        if back:
            assert link(back[-1], "prev") is None
            assert link(back[0], "next") is not None
        if limit == few:
            break_even = pages[len(pages) // 2]
            assert link(break_even, "prev") and link(break_even, "next")


@pytest.mark.parametrize("name", ["valid_to", "position_accuracy_m"])
@pytest.mark.parametrize("down", ["", "-"])
def test_values_that_json_and_python_lack_are_paged_over(
    cluster: Cluster, migrated: str, name: str, down: str
) -> None:
    times = ("infinity", "-infinity", "2026-01-01T00:00:00.5Z", "9999-12-31T23:59:59Z", None)
    numbers = (float("nan"), float("inf"), float("-inf"), 1.5, None)
    with serving(cluster, migrated) as made:
        for turn, (time, number) in enumerate(zip(times * 2, numbers * 2, strict=True)):
            row = {"valid_to": time, "position_accuracy_m": number}
            put(made.database, POINTS, {"code": f"{turn}", "geom": "POINT(120.5 36.5)", **row})
        with made.database.read() as session:
            want = session.execute(
                text(
                    "SELECT id FROM geohazard_points ORDER BY"
                    f" {name} {'DESC' if down else 'ASC'} NULLS LAST, id"
                )
            ).scalars()
            want = list(want)
        pages = walk(made, f"{PATH}?sortby={down}{name}&limit=1")
        assert ids(pages) == want
        back = walk(made, link(pages[-1], "prev") or "none", "prev")
        assert ids(back[::-1] + pages[-1:]) == want


def test_rows_that_come_and_go_while_one_pages(cluster: Cluster, migrated: str) -> None:
    """What was there at the first page comes once, whatever is put in or taken out."""
    with serving(cluster, migrated) as made:
        put(made.database, POINTS, *_rows())
        there = set(ids([made.get(PATH, limit=10_000).json()]))
        for order in ("code", "-name", "risk_level"):
            pages = [made.get(PATH, limit=9, sortby=order).json()]
            turn = 0
            while (following := link(pages[-1], "next")) is not None:
                turn += 1
                put(
                    made.database,
                    POINTS,
                    *(
                        {
                            "code": f"{order}{turn}{n}",
                            "name": WORDS[n],
                            "risk_level": n % 4 + 1,
                            "geom": "POINT(120.5 36.5)",
                        }
                        for n in range(4)
                    ),
                )
                pages.append(made.client.get(following).json())
            seen = [one for one in ids(pages) if one in there]
            assert sorted(seen) == sorted(there)
            there = set(ids([made.get(PATH, limit=10_000).json()]))


def test_offset_is_served_and_leads_on_by_cursor(served: Served) -> None:
    whole = ids([served.get(PATH, limit=10_000).json()])
    page = served.get(PATH, limit=10, offset=25).json()
    assert ids([page]) == whole[25:35]
    assert "cursor=" in (link(page, "next") or "")
    assert ids([served.client.get(link(page, "prev") or "").json()]) == whole[15:25]


def test_the_order_of_a_cursor_is_that_of_its_request(served: Served) -> None:
    following = link(served.get(PATH, sortby="name", limit=5).json(), "next") or ""
    cursor = following.partition("cursor=")[2].partition("&")[0]
    assert served.get(PATH, sortby="name", limit="5", cursor=cursor).status_code == 200
    refused(served, "cursor", sortby="-name", cursor=cursor)
    refused(served, "cursor", cursor=cursor)


def _cursor(body: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("sortby", "body"),
    [
        ("name", [1, 0, "name", [7]]),
        ("name", [1, 0, "name", ["a\x00b"]]),
        ("name", [1, 0, "name", ["\ud800"]]),
        ("name", [1, 0, "name", []]),
        ("name", [1, 0, "name", ["a", "b"]]),
        ("name", [-1, 0, "name", ["a"]]),
        ("name", [2**63, 0, "name", ["a"]]),
        ("name", [True, 0, "name", ["a"]]),
        ("name", [1, 2, "name", ["a"]]),
        ("name", [1, 0, "name; DROP", ["a"]]),
        ("risk_level", [1, 0, "risk_level", [2**40]]),
        ("risk_level", [1, 0, "risk_level", [True]]),
        ("updated_at", [1, 0, "updated_at", ["yesterday"]]),
        ("position_accuracy_m", [1, 0, "position_accuracy_m", ["1"]]),
        ("id", [1, 0, "id", [1]]),
        ("name", {"a": 1}),
        ("name", None),
        ("name", "1234"),
    ],
)
def test_a_made_up_cursor_is_refused(served: Served, sortby: str, body: Any) -> None:
    refused(served, "cursor", sortby=sortby, cursor=_cursor(body))


@pytest.mark.parametrize("value", ["nosuch", "responsible_phone", "suitable", "name,name", "", "-"])
def test_a_wrong_order_is_refused(served: Served, value: str) -> None:
    refused(served, "sortby", sortby=value)


def test_holders_of_a_key_may_sort_by_what_others_do_not_know(served: Served) -> None:
    refused(served, "sortby", sortby="responsible_phone")
    assert served.get(PATH, "reader", sortby="responsible_phone").status_code == 200


# ---------------------------------------------------------------- time


def _meets(row: dict[str, Any], start: str | None, end: str | None) -> bool:
    def moment(text: str | None, otherwise: datetime) -> datetime:
        return otherwise if text is None else datetime.fromisoformat(text)

    least, most = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    since, until = moment(row["valid_from"], least), moment(row["valid_to"], most)
    return since <= moment(end, most) and until >= moment(start, least)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("2026-02-01", "2026-02-01T00:00:00+00:00", "2026-02-01T23:59:59.999999+00:00"),
        ("2026-01-20/2026-02-01", "2026-01-20T00:00:00+00:00", "2026-02-01T23:59:59.999999+00:00"),
        ("../2026-01-20T08:00:00+08:00", None, "2026-01-20T00:00:00+00:00"),
        ("/2026-01-20T00:00:00Z", None, "2026-01-20T00:00:00+00:00"),
        ("2026-02-20T00:00:00Z/..", "2026-02-20T00:00:00+00:00", None),
        ("2026-02-20T00:00:00Z/", "2026-02-20T00:00:00+00:00", None),
        ("2026-01-31T00:00:00Z/P1M", "2026-01-31T00:00:00+00:00", "2026-02-28T00:00:00+00:00"),
        ("P1DT6H/2026-02-01T00:00:00Z", "2026-01-30T18:00:00+00:00", "2026-02-01T00:00:00+00:00"),
    ],
)
def test_what_is_valid_then(served: Served, text: str, start: str | None, end: str | None) -> None:
    rows = served.items(POINTS, limit=10_000)
    want = [row["id"] for row in rows if _meets(row["properties"], start, end)]
    assert 0 < len(want) < ROWS
    page = served.get(PATH, datetime=text, limit=10_000).json()
    assert ids([page]) == want
    assert page["numberMatched"] == len(want)


def test_both_ends_belong_to_an_interval(served: Served) -> None:
    edges = [row for row in served.items(POINTS, limit=10_000) if row["properties"]["valid_to"]]
    row = edges[0]
    until = datetime.fromisoformat(row["properties"]["valid_to"]).astimezone(UTC)
    said = until.isoformat().replace("+00:00", "Z")
    later = (until + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    assert row["id"] in ids([served.get(PATH, datetime=f"{said}/..", limit=10_000).json()])
    assert row["id"] not in ids([served.get(PATH, datetime=f"{later}/..", limit=10_000).json()])


@pytest.mark.parametrize(
    "text",
    [
        *("", "..", "../..", "/", "2026", "2026-13-01", "2026-02-30", "2026-02-01T00:00:00"),
        *("2026-02-01T25:00:00Z", "now", "2026-W09-4", "20260201", "2026-02-01/2026-01-01"),
        *("2026-01-01/2026-02-01/2026-03-01", "P1D", "P1D/P1D", "2026-01-01/P", "2026-01-01/PT"),
        *("9999-12-31/P1Y", "P9999Y/2026-01-01", "../P1D", "２０２６-01-01", "2026-01-01/P1.5D"),
        "0000-01-01",
    ],
)
def test_a_wrong_time_is_refused(served: Served, text: str) -> None:
    refused(served, "datetime", datetime=text)


def test_intervals_are_read_to_the_tick() -> None:
    found = read_interval("2024-02-29T12:00:00.1234567Z/P1Y2M1W3DT4H5M6.5S")
    assert found.start == datetime(2024, 2, 29, 12, 0, 0, 123456, UTC)
    assert found.end == datetime(2025, 5, 9, 16, 5, 6, 623456, UTC)
    assert read_interval("../9999-12-31").end == datetime.max.replace(tzinfo=UTC)
    assert read_interval("2016-12-31T23:59:60Z").start == datetime(2016, 12, 31, 23, 59, 59, 0, UTC)
    with pytest.raises(InputError, match="早于"):
        read_interval("2026-02-01T00:00:01Z/2026-02-01T00:00:00Z")


# ---------------------------------------------------------------- what is shown


def test_chosen_properties(served: Served) -> None:
    for feature in served.items(POINTS, properties="risk_level,name"):
        assert set(feature["properties"]) == {"name", "risk_level"}
    refused(served, "properties", properties="name,responsible_phone")
    refused(served, "properties", properties="")
    (one, *_) = served.items(POINTS, "reader", properties="responsible_phone")
    assert set(one["properties"]) == {"responsible_phone"}


def test_without_geometry(served: Served) -> None:
    assert {one["geometry"] for one in served.items(POINTS, skipGeometry="true")} == {None}
    assert {
        one["geometry"] for one in served.items(POINTS, skipGeometry="true", datum="gcj02")
    } == {None}
    refused(served, "skipGeometry", skipGeometry="yes")


def test_simplified_shapes_are_valid_and_near(cluster: Cluster, migrated: str) -> None:
    ring = shapely.Point(120.5, 36.5).buffer(0.05, quad_segs=200)
    with serving(cluster, migrated) as made:
        put(
            made.database,
            "flash-flood-zones",
            {"code": "a", "geom": f"MULTIPOLYGON({str(ring)[8:]})"},
        )
        (exact,) = made.items("flash-flood-zones")
        (plain,) = made.items("flash-flood-zones", simplify="50")
        assert made.items("flash-flood-zones", simplify="0")[0] == exact
    fine, rough = shape(exact["geometry"]), shape(plain["geometry"])
    assert rough.is_valid
    assert shapely.get_num_coordinates(rough) < shapely.get_num_coordinates(fine) / 5
    far = shapely.hausdorff_distance(fine, rough, densify=0.05)
    assert Geod(ellps="WGS84").inv(120, 36.5, 120, 36.5 + far)[2] <= 50


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e6", "fine"])
def test_a_wrong_tolerance_is_refused(served: Served, value: str) -> None:
    refused(served, "simplify", simplify=value)


def test_datum_and_system_exclude_each_other(served: Served) -> None:
    uri = "http://www.opengis.net/def/crs/EPSG/0/4490"
    refused(served, "crs", crs=uri, datum="gcj02")
    refused(served, "bbox-crs", bbox="36,120,37,121", datum="gcj02", **{"bbox-crs": uri})
    refused(served, "crs", crs="http://www.opengis.net/def/crs/EPSG/0/4214")
    refused(served, "bbox-crs", **{"bbox-crs": "EPSG:4326"})


def test_a_box_across_the_antimeridian(served: Served) -> None:
    assert served.items(POINTS, bbox="177,30,-177,40") == []
    assert served.items(POINTS, bbox="121.5,36,-59,37") == []
    refused(served, "bbox", bbox="121,36,120,37")


# ---------------------------------------------------------------- freshness


def test_the_same_again_is_304_until_it_changes(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as made:
        put(made.database, POINTS, *_rows()[:5])
        first = made.get(PATH)
        tag = first.headers["etag"]
        again = made.client.get(PATH, headers={"If-None-Match": tag})
        assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
        # Other parameters, another caller, another medium: another answer.
        assert made.client.get(f"{PATH}?limit=2", headers={"If-None-Match": tag}).status_code == 200
        keyed = {"If-None-Match": tag, **made.headers("reader")}
        assert made.client.get(PATH, headers=keyed).status_code == 200
        one = f"{PATH}/{first.json()['features'][0]['id']}"
        single = made.get(one)
        assert single.headers["etag"].startswith('"1-')
        known = {"If-None-Match": f'"x", W/{single.headers["etag"]}'}
        assert made.client.get(one, headers=known).status_code == 304
        put(made.database, POINTS, _rows()[6])
        assert made.client.get(PATH, headers={"If-None-Match": tag}).status_code == 200
        assert made.client.get(one, headers=known).status_code == 304


def test_the_label_of_a_level_is_told_its_codes(served: Served) -> None:
    """The range of the database's integers helps nobody who wrote 高 or high."""
    answer = served.get(PATH, risk_level="高")
    assert answer.status_code == 400 and answer.json()["parameter"] == "risk_level"
    assert answer.json()["detail"].endswith("1, 2, 3, 4, null")
