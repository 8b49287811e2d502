"""Statistics: equal to the items under the same query, what is not known in groups of its own."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from api_help import SECRET, Served, put, serving
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

LAYER = "geohazard-points"
PATH = f"/collections/{LAYER}/summary"
ROWS = 120


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    dice = random.Random(5)
    rows = [
        {
            "code": f"c{n}",
            "name": dice.choice(("山", "a'b", "a,b", None)),
            "admin_code": dice.choice(("370202001", "370202002", "370203001001", "37", None)),
            "risk_level": dice.choice((1, 2, 3, 4, None)),
            "threatened_persons": dice.choice((None, 0, 12, 2**31 - 1)),
            "position_accuracy_m": dice.choice((None, 0.1, 0.2, 1e9)),
            "responsible_person": SECRET,
            "geom": f"POINT({120.2 + 0.004 * n} 36.5)",
        }
        for n in range(ROWS)
    ]
    with serving(cluster, migrated) as made:
        put(made.database, LAYER, *rows)
        yield made


FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"bbox": "120.3,36,120.5,37"},
    {"risk_level": "1,null"},
    {"filter": "threatened_persons > 0 OR name = 'a''b'"},
    {"q": "山"},
    {"filter": "risk_level IS NULL", "bbox": "120.1,36,120.4,37"},
    {"filter": "code = 'nothing'"},
)
KEYS = ("risk_level", "admin_code", "name", "admin_code,risk_level", "name,admin_code,risk_level")


@pytest.mark.parametrize("narrowed", FILTERS, ids=str)
@pytest.mark.parametrize("group_by", KEYS)
def test_the_groups_are_the_items(served: Served, narrowed: dict[str, str], group_by: str) -> None:
    items = [row["properties"] for row in served.items(LAYER, limit="10000", **narrowed)]
    asked = {"group_by": group_by, "sum": "threatened_persons,position_accuracy_m", **narrowed}
    body = served.get(PATH, **asked).json()
    names = group_by.split(",")
    want = Counter(tuple(row[name] for name in names) for row in items)
    got = {tuple(one["values"][name] for name in names): one for one in body["groups"]}
    assert {key: one["count"] for key, one in got.items()} == want
    assert body["count"] == len(items) == sum(want.values())
    for key, one in got.items():
        mine = [row for row in items if tuple(row[name] for name in names) == key]
        _check_sums(one["sums"], mine)
    _check_sums(body["sums"], items)


def _check_sums(sums: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for name, told in sums.items():
        known = [row[name] for row in rows if row[name] is not None]
        assert told["sum"] == pytest.approx(sum(known), rel=1e-12)
        assert told["unknown"] == len(rows) - len(known)
    whole = sums["threatened_persons"]["sum"]
    assert isinstance(whole, int)  # 2**31 - 1 several times is no 32-bit number


def test_not_assessed_is_a_group_of_its_own_in_both_languages(served: Served) -> None:
    body = served.get(PATH, group_by="risk_level").json()
    assert [one["values"]["risk_level"] for one in body["groups"]] == [1, 2, 3, 4, None]
    labels = [one["labels"]["risk_level"] for one in body["groups"]]
    assert labels == ["重大", "较大", "一般", "低", "未评估"]
    english = served.client.get(
        f"{PATH}?group_by=risk_level,name", headers={"Accept-Language": "en"}
    ).json()
    assert english["groups"][-1]["labels"] == {"risk_level": "Not assessed", "name": "Not stated"}
    assert list(body["sums"]) == ["threatened_persons"]


def test_districts_of_streets(served: Served) -> None:
    whole = served.get(PATH, group_by="admin_code").json()["groups"]
    cut = served.get(PATH, group_by="admin_code", admin_digits="6").json()["groups"]
    want: Counter[str | None] = Counter()
    for one in whole:
        code = one["values"]["admin_code"]
        want[code[:6] if code else None] += one["count"]
    assert {one["values"]["admin_code"]: one["count"] for one in cut} == want
    assert {"370202", "370203", "37", None} == set(want)


def test_without_keys_it_is_one_number(served: Served) -> None:
    body = served.get(PATH).json()
    assert body["count"] == ROWS and len(body["groups"]) == 1


def test_as_a_table(served: Served) -> None:
    answer = served.get(PATH, group_by="risk_level,name", f="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    body = served.get(PATH, group_by="risk_level,name").json()
    assert len(rows) == len(body["groups"])
    assert sum(int(row["count"]) for row in rows) == ROWS
    assert rows[-1]["risk_level"] == "" and rows[-1]["risk_level_label"] == "未评估"


def test_the_same_again_is_304(served: Served) -> None:
    tag = served.get(PATH, group_by="name").headers["etag"]
    known = {"If-None-Match": tag}
    assert served.client.get(f"{PATH}?group_by=name", headers=known).status_code == 304
    assert served.client.get(f"{PATH}?group_by=code", headers=known).status_code == 200


@pytest.mark.parametrize(
    ("parameter", "params"),
    [
        ("group_by", {"group_by": "nosuch"}),
        ("group_by", {"group_by": ""}),
        ("group_by", {"group_by": "responsible_person"}),
        ("group_by", {"group_by": "updated_at"}),
        ("group_by", {"group_by": "attributes"}),
        ("group_by", {"group_by": "name,name"}),
        ("group_by", {"group_by": "name,code,risk_level,status"}),
        ("sum", {"sum": "name"}),
        ("sum", {"sum": "raw_x"}),
        ("sum", {"sum": "version"}),
        ("admin_digits", {"admin_digits": "6"}),
        ("admin_digits", {"group_by": "admin_code", "admin_digits": "5"}),
        ("limit", {"limit": "5"}),
        ("f", {"f": "xml"}),
        ("responsible_person", {"responsible_person": SECRET}),
        ("filter", {"filter": "responsible_person = 'x'"}),
    ],
)
def test_what_is_wrong_is_named(served: Served, parameter: str, params: dict[str, str]) -> None:
    answer = served.get(PATH, **params)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter


def test_holders_of_a_key_group_by_what_others_do_not_know(served: Served) -> None:
    answer = served.get(PATH, "reader", group_by="responsible_person")
    assert answer.json()["groups"][0]["values"] == {"responsible_person": SECRET}
    assert "private" in answer.headers["cache-control"]


def test_too_many_groups_are_told(cluster: Cluster, migrated: str) -> None:
    with serving(cluster, migrated) as made:
        with made.database.own(Actor("test")) as session:
            session.connection.exec_driver_sql(
                "INSERT INTO geohazard_points (code, geom) SELECT 'g' || n,"
                " 'SRID=4326;POINT(120.5 36.5)' FROM generate_series(1, 10001) n"
            )
        answer = made.get(PATH, group_by="code")
        assert answer.status_code == 400 and answer.json()["parameter"] == "group_by"
        assert made.get(PATH, group_by="code", filter="code <> 'g7'").status_code == 200
