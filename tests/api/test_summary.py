"""Statistics: equal to the items under the same query, what is not known in groups of its own."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from api_help import CATALOG, SECRET, Served, put, serving
from riskmap.catalog.spec import Layer
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
        if known or not rows:
            assert told["sum"] == pytest.approx(sum(known), rel=1e-12)
        else:  # nothing is known of any of them, which is not zero
            assert told["sum"] is None
        assert told["unknown"] == len(rows) - len(known)
    whole = sums["threatened_persons"]["sum"]
    assert whole is None or isinstance(whole, int)  # 2**31 - 1 several times is no 32-bit number


def _random(dice: random.Random, depth: int = 0) -> str:
    """Make a filter of the fields that the rows differ in."""
    if depth < 3 and dice.random() < 0.6:
        left, right = _random(dice, depth + 1), _random(dice, depth + 1)
        return dice.choice((f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})"))
    number = dice.choice(("0", "12", "100", "2147483647"))
    return dice.choice(
        (
            f"risk_level {dice.choice(('<', '=', '<>', '>='))} {dice.randint(0, 5)}",
            f"threatened_persons {dice.choice(('<', '=', '>'))} {number}",
            f"position_accuracy_m BETWEEN 0.1 AND {dice.choice(('0.1', '0.15', '1e9'))}",
            f"{dice.choice(('name', 'admin_code', 'risk_level'))} IS NULL",
            "name IN ('山', 'a,b')",
            "name = 'a''b'",
            "admin_code LIKE '3702%'",
            f"S_INTERSECTS(geometry, BBOX(120.2, 36, {120.2 + dice.random() / 2:.3f}, 37))",
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_random_filters_count_and_sum_as_the_items_do(served: Served, seed: int) -> None:
    dice = random.Random(seed)
    asked = {"filter": _random(dice)}
    keys = dice.sample(("risk_level", "admin_code", "name", "code"), dice.randint(1, 3))
    if dice.random() < 0.3:
        asked["bbox"] = "120.25,36,120.55,37"
    items = [row["properties"] for row in served.items(LAYER, limit="10000", **asked)]
    sums = "threatened_persons,position_accuracy_m"
    body = served.get(PATH, group_by=",".join(keys), sum=sums, **asked).json()
    want = Counter(tuple(row[name] for name in keys) for row in items)
    groups = {tuple(one["values"][name] for name in keys): one for one in body["groups"]}
    assert {key: one["count"] for key, one in groups.items()} == want, asked
    assert body["count"] == sum(want.values()) == len(items)
    for key, one in groups.items():
        _check_sums(one["sums"], [row for row in items if tuple(row[name] for name in keys) == key])
    _check_sums(body["sums"], items)


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


def test_every_layer_counts_what_its_items_are(cluster: Cluster, migrated: str) -> None:
    """Those without people to add up, too."""
    with serving(cluster, migrated, rows=3) as made:
        for layer in CATALOG:
            body = made.get(f"/collections/{layer}/summary").json()
            assert body["count"] == len(made.items(layer)), layer
            by_code = made.get(f"/collections/{layer}/summary", group_by="code").json()
            assert len(by_code["groups"]) == by_code["count"] == body["count"]


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
    marked = served.get(PATH, group_by="risk_level,name", f="csv", bom="true")
    assert marked.content == b"\xef\xbb\xbf" + answer.content


def test_a_table_of_what_nobody_knows(served: Served) -> None:
    answer = served.get(PATH, filter="threatened_persons IS NULL", f="csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["threatened_persons"] == "" and row["threatened_persons_unknown"] == row["count"]


def test_a_sum_beyond_what_a_number_holds_is_told(cluster: Cluster, migrated: str) -> None:
    huge = {"position_accuracy_m": 1.7e308, "geom": "POINT(120.3 36.3)"}
    with serving(cluster, migrated) as made:
        put(made.database, LAYER, {"code": "a", **huge}, {"code": "b", **huge})
        for asked in ({}, {"group_by": "code"}, {"group_by": "risk_level"}):
            answer = made.get(PATH, sum="position_accuracy_m", **asked)
            assert answer.status_code == 400 and answer.json()["parameter"] == "sum", asked
        one = made.get(PATH, sum="position_accuracy_m", code="a").json()
        assert one["sums"]["position_accuracy_m"] == {"sum": 1.7e308, "unknown": 0}


@pytest.mark.parametrize("layer", list(CATALOG.values()), ids=lambda layer: layer.id)
def test_what_is_restricted_is_not_there_for_others(served: Served, layer: Layer) -> None:
    path = f"/collections/{layer.id}/summary"
    hidden = [one for one in layer.fields if one.restricted]
    for field in hidden:
        for name in ("group_by", "sum"):
            answer = served.get(path, **{name: field.name})
            assert answer.status_code == 400 and answer.json()["parameter"] == name
            # No more is told of it than of what does not exist.
            nothing = served.get(path, **{name: "x" * len(field.name)})
            as_told = answer.text.replace(field.name, "x" * len(field.name))
            assert as_told == nothing.text
            assert served.get(path, "reader", **{name: field.name}).status_code in (200, 400)
    for child in layer.children:
        assert served.get(path, group_by=child.name).status_code == 400


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
        ("bom", {"f": "csv", "bom": "yes"}),
        ("crs", {"crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}),
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


def test_as_a_page(served: Served) -> None:
    address = f"{PATH}?group_by=risk_level&sum=threatened_persons&f=html"
    chinese = served.client.get(address)
    assert chinese.headers["content-type"].startswith("text/html")
    assert "未评估" in chinese.text and "<th" in chinese.text and "威胁人数" in chinese.text
    body = served.get(PATH, group_by="risk_level").json()
    for one in body["groups"]:
        assert f">{one['count']}<" in chinese.text
    english = served.client.get(address, headers={"Accept-Language": "en"})
    assert "Not assessed" in english.text
    assert served.get(PATH, f="html").status_code == 200
