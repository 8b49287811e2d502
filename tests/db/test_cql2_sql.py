"""What each operator of CQL2 finds in a real PostGIS, with nulls among the rows.

Tests named `test_conf_...` are the abstract tests of OGC 21-065r2, annex A, by their ids. Those
over the ne_110m datasets stand here with rows that have the same relations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import shapely
from sqlalchemy import select, text

import cql2_help
from conftest import copy_of, drop, open_database
from cql2_help import FIELDS, TRIAL, folded, unaccented
from riskmap.crs.served import served
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database, ReadSession
from riskmap.errors import InputError
from riskmap.features.cql2 import read_text
from riskmap.features.cql2.sql import _text as text_sql


def at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


EMPTY: dict[str, Any] = dict.fromkeys(
    ("geom", "name", "other", "count", "most", "amount", "rate", "is_open", "day", "seen", "until",
     "tags")
)  # fmt: skip
# Rows 2, 3 and 4 have the instants that the standard's dataset has.
ROWS: list[dict[str, Any]] = [
    EMPTY | {"id": 1},
    EMPTY | {
        "id": 2, "name": "København", "other": "Kobenhavn", "count": 1038288, "most": 3,
        "amount": 0.1, "rate": 0.0, "is_open": True, "day": date(2021, 4, 16),
        "seen": at("2021-04-16T10:15:59"), "until": at("2022-04-16T10:16:06"), "tags": ["a", "b"],
        "geom": shapely.Point(120.5, 36.5),
    },
    EMPTY | {
        "id": 3, "name": "50%_x", "other": "it's", "count": -7, "most": 2, "amount": 1e300,
        "rate": 1e-300, "is_open": False, "day": date(2022, 4, 16),
        "seen": at("2022-04-16T10:13:19"), "until": at("2023-04-16T10:16:06"),
        "tags": ["b", "a", "a"],
        "geom": shapely.from_wkt("MULTIPOLYGON(((120 36,121 36,121 37,120 37,120 36)))"),
    },
    EMPTY | {
        "id": 4, "name": "STRASSE", "other": "a\\b", "count": 2147483647, "most": 0,
        "amount": -8.0, "rate": 0.5, "is_open": True, "day": date(2023, 4, 16),
        "seen": at("2022-04-16T10:15:10"), "until": at("2022-04-16T10:16:06"), "tags": [],
        "geom": shapely.from_wkt("MULTILINESTRING((119.5 36.5,120.5 36.5))"),
    },
    EMPTY | {"id": 5, "name": "学校滑坡", "other": "Οδός", "count": 0, "tags": ["学校"]},
]  # fmt: skip


@pytest.fixture(scope="module")
def trial(cluster: Cluster, migrated: str) -> Iterator[Database]:
    copy_of(cluster, migrated, "test_cql2")
    database = open_database(cluster, "test_cql2")
    cql2_help.fill(database, ROWS)
    yield database
    database.dispose()
    drop(cluster, "test_cql2")


@pytest.fixture
def session(trial: Database) -> Iterator[ReadSession]:
    with trial.read() as session:
        yield session


def found(session: ReadSession, asked: str) -> list[int]:
    condition = read_text(asked, FIELDS).where(TRIAL)
    return sorted(session.execute(select(TRIAL.c.id).where(condition)).scalars())


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        # Null is neither equal nor unequal, and its negation is unknown too.
        ("count = 0", [5]), ("count <> 0", [2, 3, 4]), ("NOT count = 0", [2, 3, 4]),
        ("count IS NULL", [1]), ("count IS NOT NULL", [2, 3, 4, 5]),
        ("count = 0 OR name IS NULL", [1, 5]), ("NOT (count = 0 AND most = 2)", [2, 3, 4]),
        ("(count = 0) IS NULL", [1]), ("id = 1", [1]), ("id > 3.5", [4, 5]),
        # An int4 column compares with what no int4 holds.
        ("count < 1099511627776", [2, 3, 4, 5]), ("count > -9223372036854775808", [2, 3, 4, 5]),
        ("count = 1e30", []), ("count IN (2147483647, 1099511627776)", [4]),
        ("count IN (-7, 2.5)", [3]), ("count NOT IN (-7, 0)", [2, 4]), ("count IN (most - 9)", [3]),
        ("count BETWEEN -7 AND 0", [3, 5]), ("count NOT BETWEEN -7 AND 0", [2, 4]),
        ("count BETWEEN 0 AND -7", []), ("most BETWEEN rate AND 3", [2, 3]),
        # Text: quotes, wildcards and their escapes; by code point.
        ("other = 'it''s'", [3]), (r"other = 'it\'s'", [3]), (r"other = 'a\\b'", [4]),
        ("name LIKE '50%'", [3]), (r"name LIKE '50\%\_x'", [3]), (r"name LIKE '50\%\_\x'", [3]),
        (r"name LIKE '5%\_x'", [3]), ("name LIKE '____'", [5]), ("name LIKE '学%坡'", [5]),
        ("name LIKE 'strasse'", []), (r"other LIKE 'a\\\\b'", [4]), (r"other LIKE 'a\\b'", []),
        ("name NOT LIKE '%s%'", [2, 3, 4, 5]), ("name NOT LIKE '%S%'", [2, 3, 5]),
        ("name > 'Z'", [5]), ("name < 'K'", [3]), ("name BETWEEN 'A' AND 'Z'", [2, 4]),
        ("name <> other", [2, 3, 4, 5]), ("'København' = name", [2]),
        # Case and accents.
        ("CASEI(name) = CASEI('Straße')", [4]), ("CASEI(name) = CASEI('KØBENHAVN')", [2]),
        ("CASEI(name) LIKE CASEI('STRA%')", [4]), ("CASEI(other) LIKE CASEI('ΟΔΌσ')", [5]),
        ("ACCENTI(name) = ACCENTI(other)", [2]), ("ACCENTI(CASEI(other)) = 'οδοσ'", [5]),
        ("ACCENTI(name) LIKE ACCENTI('KO%')", []), ("ACCENTI(name) LIKE ACCENTI('Kø%')", [2]),
        ("CASEI(name) IS NULL", [1]),
        # Arithmetic: decimal; what has no value is unknown.
        ("amount + 0.2 = 0.3", [2]), ("count / 2 = -3.5", [3]), ("count div 2 = -3", [3]),
        ("count % 4 = -3", [3]), ("most ^ 2 = 9", [2]), ("2 ^ most = 1", [4]),
        ("-most = -3", [2]), ("10 - 2 * most = 4", [2]), ("count / most > 0", [2]),
        ("(count / most) IS NULL", [1, 4, 5]), ("(amount ^ 0.5) IS NULL", [1, 4, 5]),
        ("rate ^ -1 = 2", [4]), ("(0 ^ -1) IS NULL", [1, 2, 3, 4, 5]),
        ("amount * amount > 1e308", [3]), ("rate * rate < 1e-308", [2, 3]),
        ("amount ^ 3 IS NULL", [1, 3, 5]), ("count + count = 4294967294", [4]),
        ("count % 0 IS NULL", [1, 2, 3, 4, 5]), ("count div 0 IS NOT NULL", []),
        # Instants: a date is its day in UTC.
        ("day = DATE('2022-04-16')", [3]), ("day IN (DATE('2021-04-16'))", [2]),
        ("seen = DATE('2022-04-16')", [3, 4]), ("seen <= DATE('2021-04-16')", [2]),
        ("seen > DATE('2021-04-16')", [3, 4]), ("seen >= TIMESTAMP('2022-04-16T10:15:10Z')", [4]),
        ("day = seen", [2, 3]), ("seen BETWEEN DATE('2022-01-01') AND DATE('2022-04-16')", [3, 4]),
        ("is_open = true", [2, 4]), ("is_open", [2, 4]), ("NOT is_open", [3]),
        # Arrays are sets; none is unknown, an empty one is empty.
        ("A_EQUALS(tags, ('b','a'))", [2, 3]), ("A_EQUALS(tags, ())", [4]),
        ("A_CONTAINS(tags, ('a'))", [2, 3]), ("A_CONTAINS(tags, ())", [2, 3, 4, 5]),
        ("A_CONTAINEDBY(tags, ('a','b','c'))", [2, 3, 4]), ("A_OVERLAPS(tags, ('学校','x'))", [5]),
        ("A_OVERLAPS(('b', other), tags)", [2, 3]), ("NOT A_OVERLAPS(tags, ('a'))", [4, 5]),
        ("A_EQUALS((1, 2), (2, 1.0, 1))", [1, 2, 3, 4, 5]), ("tags IS NULL", [1]),
        # Space.
        ("S_INTERSECTS(geom, POINT(120.5 36.5))", [2, 3, 4]),
        ("S_DISJOINT(geom, POINT(120.5 36.5))", []), ("S_DISJOINT(geom, POINT(1 2))", [2, 3, 4]),
        ("S_EQUALS(geom, POINT(120.5 36.5))", [2]), ("S_TOUCHES(geom, POINT(120 36))", [3]),
        ("S_TOUCHES(geom, POINT(120.5 36.5))", [4]),
        ("S_WITHIN(geom, BBOX(120,36,121,37))", [2, 3]),
        ("S_CONTAINS(geom, POINT(120.5 36.5))", [2, 3]),
        ("S_CROSSES(geom, BBOX(120,36,121,37))", [4]),
        ("S_OVERLAPS(geom, BBOX(120.5,36,121.5,37))", [3]), ("geometry IS NULL", [1, 5]),
        ("S_INTERSECTS(GEOMETRYCOLLECTION(POINT(120.5 36.5),LINESTRING(1 1,2 2)),geom)", [2, 3, 4]),
        ("S_EQUALS(geom, geometry)", [2, 3, 4]), ("S_DISJOINT(geom, POINT EMPTY)", [2, 3, 4]),
    ],
)  # fmt: skip
def test_each_operator_finds(session: ReadSession, asked: str, ids: list[int]) -> None:
    assert found(session, asked) == ids


LITERALS = {
    "name": "'foo'", "is_open": "true", "amount": "3.14", "count": "1",
    "seen": "TIMESTAMP('2022-04-14T14:48:46Z')", "day": "DATE('2022-04-14')",
}  # fmt: skip


@pytest.mark.parametrize("name", LITERALS)
@pytest.mark.parametrize("turned", [False, True])
def test_conf_basic_cql2_comparison(session: ReadSession, name: str, turned: bool) -> None:
    """Also /conf/property-property/comparison-value-property, with the operands turned."""
    value = LITERALS[name]

    def ids(op: str) -> set[int]:
        left, right = (value, name) if turned else (name, value)
        return set(found(session, f"{left} {op} {right}"))

    for first, second in (("=", "<>"), (">", "<="), ("<", ">=")):
        assert not ids(first) & ids(second)
        # Null is on neither side: what is left over has no value.
        assert ids(first) | ids(second) == set(found(session, f"{name} IS NOT NULL"))


@pytest.mark.parametrize("name", LITERALS)
def test_conf_property_property_comparison_property_property(
    session: ReadSession, name: str
) -> None:
    known = found(session, f"{name} is not null")
    for op in ("=", "<=", ">="):
        assert found(session, f"{name} {op} {name}") == known
    for op in ("<>", "<", ">"):
        assert found(session, f"{name} {op} {name}") == []


@pytest.mark.parametrize("value", LITERALS.values())
def test_conf_property_property_comparison_value_value(session: ReadSession, value: str) -> None:
    for op in ("=", "<=", ">="):
        assert len(found(session, f"{value} {op} {value}")) == len(ROWS)
    for op in ("<>", "<", ">"):
        assert found(session, f"{value} {op} {value}") == []


def test_conf_basic_cql2_is_null_and_boolean(session: ReadSession) -> None:
    for name in (*FIELDS, "geom", "id"):
        if name == "notes":
            continue
        nulls = set(found(session, f"{name} IS NULL"))
        others = set(found(session, f"{name} is not null"))
        assert not nulls & others
        assert len(nulls | others) == len(ROWS)
    assert len(found(session, "true")) == len(ROWS)
    assert found(session, "false") == []


def test_conf_basic_cql2_logical(session: ReadSession) -> None:
    """`(NOT (p2) AND p1) OR (p3 AND p4) OR NOT (p1 OR p4)` over every four predicates."""
    parts = ["count <> 0", "name < 'L'", "seen IS NULL", "is_open = true", "most > 2"]
    truth: dict[str, dict[int, bool | None]] = {}
    for one in parts:
        held, unknown = found(session, one), found(session, f"({one}) IS NULL")
        truth[one] = {
            row["id"]: None if row["id"] in unknown else row["id"] in held for row in ROWS
        }
    for p1, p2, p3, p4 in itertools.permutations(parts, 4):
        ids = [
            row["id"]
            for row in ROWS
            if _either(
                _both(_not(truth[p2][row["id"]]), truth[p1][row["id"]]),
                _both(truth[p3][row["id"]], truth[p4][row["id"]]),
                _not(_either(truth[p1][row["id"]], truth[p4][row["id"]])),
            )
        ]
        asked = f"(NOT ({p2}) AND {p1}) OR ({p3} and {p4}) or not ({p1} OR {p4})"
        assert found(session, asked) == ids, asked


def _not(one: bool | None) -> bool | None:
    return None if one is None else not one


def _both(*parts: bool | None) -> bool | None:
    return False if False in parts else None if None in parts else True


def _either(*parts: bool | None) -> bool | None:
    return True if True in parts else None if None in parts else False


@pytest.mark.parametrize("name", ["name", "other"])
def test_conf_advanced_comparison_operators_like(session: ReadSession, name: str) -> None:
    assert not set(found(session, f"{name} like '_%'")) & set(found(session, f"{name} like ''"))
    assert found(session, f"{name} LIKE '%'") == found(session, f"{name} like '%%'")
    found(session, rf"{name} like '\\%\\_'")


def test_conf_advanced_comparison_operators_between_and_in(session: ReadSession) -> None:
    for name in ("count", "amount"):
        found(session, f"{name} BETWEEN 0 AND 100")
        found(session, f"{name} between 100.0 and 1.0")
        found(session, f"{name} IN (1, 2, 3)")
    found(session, "name in ('foo', 'bar')")
    found(session, "is_open in (true)")
    found(session, "seen in ('2022-04-14T14:52:56Z', '2022-04-14T15:52:56Z')")
    found(session, "day in ('2022-04-14', '2022-04-15')")


@pytest.mark.parametrize("name", ["name", "other"])
def test_conf_case_and_accent_insensitive_comparison(session: ReadSession, name: str) -> None:
    def ids(asked: str) -> set[int]:
        return set(found(session, asked.replace("?", name)))

    assert not ids("CASEI(?) = casei('foo')") & ids("CASEI(?) <> casei('FOO')")
    assert ids("CASEI(?) LIKE casei('k%')") == ids("CASEI(?) LIKE casei('K%')")
    assert not ids("ACCENTI(?) = accenti('äöüéáí')") & ids("ACCENTI(?) <> accenti('aoueai')")
    assert ids("ACCENTI(?) LIKE accenti('Ä%')") == ids("ACCENTI(?) LIKE accenti('A%')")
    assert ids("ACCENTI(CASEI(?)) = accenti(casei('ÄÉ'))") == ids(
        "ACCENTI(CASEI(?)) = accenti(casei('ae'))"
    )
    assert ids("ACCENTI(CASEI(?)) LIKE accenti(casei('kØ%'))") == ids(
        "ACCENTI(CASEI(?)) LIKE accenti(casei('ko%'))"
    )


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("count=1038280+8", 1), ("count>=1038290-2*2^0", 2), ("count>1038290-20/10", 1),
        ("count>1038290-21 div 10", 1), ("count>1038290-5%2", 1), ("count<=1038200+8*11", 3),
        ("count<1038280+2^3", 2), ("count<>1038290-2^1", 3),
        ("count between 4000000/4 and (3*(900000+100000))", 1),
        ("count not between 4000000/4 and (3*(900000+100000))", 3),
        ("count in (1000000+38288,1000000+600000+11692)", 1), ("1038280+8=count", 1),
    ],
)  # fmt: skip
def test_conf_arithmetic_test_data(session: ReadSession, asked: str, count: int) -> None:
    assert len(found(session, asked)) == count


P = "interval(seen,until)"
SECONDS = "'2022-04-16T10:13:19Z','2022-04-16T10:15:10Z'"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("t_after(day,date('2022-04-16'))", 1), ("t_before(day,date('2022-04-16'))", 1),
        ("t_disjoint(day,date('2022-04-16'))", 2), ("t_equals(day,date('2022-04-16'))", 1),
        ("t_intersects(day,date('2022-04-16'))", 1),
        ("t_after(day,interval('2022-01-01','2022-12-31'))", 1),
        ("t_before(day,interval('2022-01-01','2022-12-31'))", 1),
        ("t_disjoint(day,interval('2022-01-01','2022-12-31'))", 2),
        ("t_equals(day,interval('2022-01-01','2022-12-31'))", 0),
        ("t_equals(day,interval('2022-04-16','2022-04-16'))", 1),
        ("t_intersects(day,interval('2022-01-01','2022-12-31'))", 1),
        ("t_after(seen,timestamp('2022-04-16T10:13:19Z'))", 1),
        ("t_before(seen,timestamp('2022-04-16T10:13:19Z'))", 1),
        ("t_disjoint(seen,timestamp('2022-04-16T10:13:19Z'))", 2),
        ("t_equals(seen,timestamp('2022-04-16T10:13:19Z'))", 1),
        ("t_intersects(seen,timestamp('2022-04-16T10:13:19Z'))", 1),
        ("t_after(seen,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 0),
        ("t_before(seen,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
        ("t_disjoint(seen,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
        ("t_intersects(seen,interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 2),
        (f"t_after({P},interval('..','2022-04-16T10:13:19Z'))", 1),
        (f"t_before({P},interval('2023-01-01T00:00:00Z','..'))", 2),
        (f"t_disjoint({P},interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", 1),
        (f"t_equals({P},interval('2021-04-16T10:15:59Z','2022-04-16T10:16:06Z'))", 1),
        (f"t_intersects({P},interval('2022-04-16T10:13:19Z','2022-04-16T10:15:09Z'))", 2),
        (f"T_CONTAINS({P},interval({SECONDS}))", 1),
        (f"T_DURING({P},interval('2022-01-01T00:00:00Z','2022-12-31T23:59:59Z'))", 1),
        (f"T_FINISHES({P},interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", 1),
        (f"T_FINISHEDBY({P},interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'))", 1),
        (f"T_MEETS({P},interval({SECONDS}))", 0), (f"T_METBY({P},interval({SECONDS}))", 1),
        (f"T_OVERLAPPEDBY({P},interval('2020-04-16T10:13:19Z','2022-04-16T10:15:10Z'))", 2),
        (f"T_OVERLAPS({P},interval('2022-04-16T10:13:19Z','2023-04-16T10:15:10Z'))", 1),
        (f"T_STARTEDBY({P},interval({SECONDS}))", 1), (f"T_STARTS({P},interval({SECONDS}))", 0),
        # /conf/property-property/test-data
        ("t_after(interval('2022-01-01','2022-12-31'),day)", 1),
        (f"t_after(interval('2023-01-01T00:00:00Z','..'),{P})", 2),
        (f"t_before(interval('..','2022-04-16T10:13:19Z'),{P})", 1),
        (f"T_CONTAINS(interval('2021-04-16T10:13:19Z','2023-04-16T10:15:10Z'),{P})", 2),
        (f"T_FINISHES(interval('2022-04-16T10:13:19Z','2022-04-16T10:16:06Z'),{P})", 1),
        (f"T_MEETS(interval({SECONDS}),{P})", 1), (f"T_METBY(interval({SECONDS}),{P})", 0),
        (f"T_STARTS(interval({SECONDS}),{P})", 1), (f"T_STARTEDBY(interval({SECONDS}),{P})", 0),
    ],
)  # fmt: skip
def test_conf_temporal_functions_test_data(session: ReadSession, asked: str, count: int) -> None:
    """The counts of the standard's dataset; its three rows with instants are rows 2 to 4."""
    if asked.startswith("T_FINISHEDBY"):
        # Row 2 starts earlier and ends with it, as row 1 of the dataset does.
        assert found(session, asked) == [2]
    assert len(found(session, asked)) == count


WORLD = "POLYGON((-180 -90,180 -90,180 90,-180 90,-180 -90))"


def test_conf_spatial_functions(session: ReadSession) -> None:
    """s_intersects to s_overlaps of /conf/spatial-functions and /conf/basic-spatial-functions."""
    for op in ("S_INTERSECTS", "S_DISJOINT", "S_WITHIN", "S_CONTAINS"):
        assert found(session, f"{op}(geom,BBOX(-180,-90,180,90))") == found(
            session, f"{op}(geom,{WORLD})"
        )
        with pytest.raises(InputError):
            found(session, f"{op}(geom,POINT(90 180))")
    assert found(session, f"S_DISJOINT(geom,{WORLD})") == []
    for op, shape in itertools.product(
        (
            "INTERSECTS",
            "DISJOINT",
            "EQUALS",
            "TOUCHES",
            "CROSSES",
            "WITHIN",
            "CONTAINS",
            "OVERLAPS",
        ),
        (WORLD, "LINESTRING(7 50,10 51)", "POINT(7.02 49.92)", "MULTIPOINT(7 50,10 51)"),
    ):
        found(session, f"S_{op}(geom,{shape})")
    for shape in ("LINESTRING(7 50,10 51)", "POINT(120.5 36.5)"):
        meets = set(found(session, f"S_INTERSECTS(geom,{shape})"))
        assert not meets & set(found(session, f"S_DISJOINT(geom,{shape})"))


def test_conf_basic_spatial_functions_plus(session: ReadSession) -> None:
    with pytest.raises(InputError):
        found(session, "S_INTERSECTS(geom,MULTIPOINT(7.02 49.92, 90 180))")
    for shape in (
        "LINESTRING(-180 -45, 0 -45)",
        "MULTILINESTRING((-180 -45, 0 -45), (0 45, 180 45))",
        "POLYGON((-180 -90, -90 -90, -90 90, -180 90, -180 -90),"
        "(-120 -50, -100 -50, -100 -40, -120 -40, -120 -50))",
        "MULTIPOLYGON(((-180 -90, -90 -90, -90 90, -180 90, -180 -90),"
        "(-120 -50, -100 -50, -100 -40, -120 -40, -120 -50)),((0 0, 10 0, 10 10, 0 10, 0 0)))",
        "GEOMETRYCOLLECTION(POINT(7.02 49.92), POLYGON((0 0, 10 0, 10 10, 0 10, 0 0)))",
    ):
        assert found(session, f"S_INTERSECTS(geom,{shape})") == []


def test_conf_array_functions_array_predicates(session: ReadSession) -> None:
    """The standard's test writes ("foo","bar"), which its own grammar reads as properties."""
    for op in ("A_CONTAINS", "A_CONTAINEDBY", "A_EQUALS", "A_OVERLAPS"):
        found(session, f"{op}(tags,('foo','bar'))")


def test_what_a_system_calls_a_place_is_that_place_in_postgis(session: ReadSession) -> None:
    """The literal is moved as PostGIS moves geometries: within a centimetre."""
    for crs in served(4549):
        asked = text(
            "SELECT ST_X(p), ST_Y(p) FROM ST_Transform(ST_SetSRID(ST_Point(120.5, 36.25), 4326),"
            " CAST(:srid AS integer)) AS p"
        )
        x, y = session.execute(asked, {"srid": crs.srid}).one()
        first, second = (y, x) if crs.north_first else (x, y)
        tree = read_text(f"s_within(geom, POINT({first!r} {second!r}))", FIELDS, crs=crs).tree
        point = shapely.from_wkb(tree.args[1].value)
        assert point.distance(shapely.Point(120.5, 36.25)) < 1e-7, crs.uri


# What C folds to one letter and Python to two: the dotted capital I.
_FOLDED_APART = {"İ"}


def test_letters_fold_in_the_database_as_in_the_evaluator(session: ReadSession) -> None:
    """Latin, Greek, Cyrillic, full width: one letter at a time, in the locale of the cluster."""
    for first, last in ((0x20, 0x24F), (0x386, 0x3CE), (0x400, 0x52F), (0xFF21, 0xFF5A)):
        letters = [one for one in map(chr, range(first, last + 1)) if one.isalpha()]
        for op, meant in (("casei", folded), ("accenti", unaccented)):
            tree = read_text(f"{op}('{' '.join(letters)}') = ''", FIELDS).tree
            answer = session.execute(select(text_sql(tree.args[0], TRIAL))).scalar_one().split()
            apart = {one for one, found in zip(letters, answer, strict=True) if found != meant(one)}
            assert apart <= _FOLDED_APART, (op, apart)


def test_a_spatial_filter_asks_the_index(trial: Database) -> None:
    with trial.own(Actor("test")) as session:
        session.connection.exec_driver_sql(
            "INSERT INTO cql2_trial (id, geom) SELECT 1000 + n,"
            " ST_SetSRID(ST_Point(-60 + n / 1000.0, -30 + mod(n, 97) / 10.0), 4326)"
            " FROM generate_series(1, 20000) AS n"
        )
        session.connection.exec_driver_sql("ANALYZE cql2_trial")
    try:
        with trial.read() as session:
            for asked in (
                "S_INTERSECTS(geom, BBOX(-50,-30,-49.9,-29))",
                "S_WITHIN(geom, POLYGON((-50 -30,-49.9 -30,-49.9 -29,-50 -30)))",
                "S_INTERSECTS(POINT(-50 -30), geom) AND name IS NULL",
            ):
                query = select(TRIAL.c.id).where(read_text(asked, FIELDS).where(TRIAL))
                lines = _plan(session, query)
                assert "ix_cql2_trial_geom" in lines, lines
    finally:
        with trial.own(Actor("test")) as session:
            session.connection.exec_driver_sql("DELETE FROM cql2_trial WHERE id > 1000")


def _plan(session: ReadSession, query: Any) -> str:
    compiled = query.compile(session._connection.engine)
    explained = session._connection.exec_driver_sql(
        f"EXPLAIN {compiled}", compiled.construct_params()
    )
    return "\n".join(explained.scalars())
