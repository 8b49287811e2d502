"""One database, one city; what cannot be is refused by the name of its parameter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from feedrows import ACTOR, rows

from conftest import TEST_CITY
from riskmap.db.city import City, check_city, find_city, read_city, utm_srid, write_city
from riskmap.db.sessions import Database
from riskmap.errors import ConflictError, InputError, UnavailableError
from riskmap.settings import Settings
from riskmap.units import Bbox

NAN = float("nan")


def put(database: Database, city: City, *, instead: bool = False) -> None:
    with database.own(ACTOR) as session:
        write_city(session, city, replace=instead)


def test_there_and_back(database: Database) -> None:
    with database.read() as session:
        assert find_city(session) is None
        with pytest.raises(UnavailableError) as caught:
            read_city(session)
    assert caught.value.key == "city.none"
    put(database, TEST_CITY)
    with database.read() as session:
        assert read_city(session) == TEST_CITY


def test_a_second_city_is_refused_and_a_replacement_is_not(database: Database) -> None:
    put(database, TEST_CITY)
    other = replace(TEST_CITY, name="别处", name_en=None, synthetic=True)
    with pytest.raises(ConflictError) as caught:
        put(database, other)
    assert caught.value.key == "city.exists" and "测试市" in caught.value.text("zh")
    with database.read() as session:
        assert read_city(session) == TEST_CITY
    put(database, other, instead=True)
    with database.read() as session:
        assert read_city(session) == other
    assert rows(database, "SELECT action, subject, actor FROM audit ORDER BY id") == [
        ("insert", "city", ACTOR.name),
        ("city.init", "测试市", ACTOR.name),
        ("update", "city", ACTOR.name),
        ("city.replace", "别处", ACTOR.name),
    ]


def test_two_at_once_leave_one(database: Database) -> None:
    twin = Database(database.owner_url, database.api_url, Settings())

    def attempt(one: Database) -> str:
        try:
            put(one, TEST_CITY)
        except ConflictError as error:
            return error.key
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, (database, twin))) == ["city.exists", "done"]
    twin.dispose()


@pytest.mark.parametrize(
    ("change", "key", "parameter"),
    [
        ({"bbox": Bbox(121, 36, 120, 37)}, "city.bbox", "bbox"),
        ({"bbox": Bbox(120, 37, 121, 36)}, "city.bbox", "bbox"),
        ({"bbox": Bbox(120, 36, 120, 37)}, "city.bbox", "bbox"),
        ({"bbox": Bbox(36, 120, 37, 121)}, "city.bbox", "bbox"),
        ({"bbox": Bbox(NAN, 36, 121, 37)}, "city.bbox", "bbox"),
        ({"bbox": Bbox(120, 36, 121, float("inf"))}, "city.bbox", "bbox"),
        ({"local_srid": 4326}, "city.crs", "crs"),
        ({"local_srid": 999_999}, "city.crs", "crs"),
        ({"local_srid": 0}, "city.crs", "crs"),
        ({"local_srid": 2263}, "city.crs", "crs"),  # New York in feet
        ({"local_srid": 31982}, "city.crs_elsewhere", "crs"),  # Porto Alegre
        ({"local_srid": 3857}, "city.crs_distorts", "crs"),
        ({"time_zone": "Asia/Qingdao"}, "city.time_zone", "timezone"),
        ({"time_zone": "../etc/passwd"}, "city.time_zone", "timezone"),
        ({"time_zone": ""}, "city.time_zone", "timezone"),
    ],
)
def test_what_cannot_be(change: dict[str, object], key: str, parameter: str) -> None:
    with pytest.raises(InputError) as caught:
        check_city(replace(TEST_CITY, **change))
    assert (caught.value.key, caught.value.parameter) == (key, parameter)
    assert "{" not in str(caught.value)


@pytest.mark.parametrize(
    ("box", "srid"),
    [
        (TEST_CITY.bbox, 4549),
        (TEST_CITY.bbox, 32651),
        (Bbox(118.3, 31.2, 119.3, 32.7), 4549),
        (Bbox(-51.4, -30.3, -51.0, -29.9), 31982),
    ],
)
def test_good_systems_pass_and_so_does_the_hint(box: Bbox, srid: int) -> None:
    city = replace(TEST_CITY, bbox=box, local_srid=srid)
    check_city(city)
    check_city(replace(city, local_srid=utm_srid(box)))
