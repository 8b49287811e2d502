"""CQL2 text: what the grammar says, where an error stands, what a filter may cost."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import shapely

from cql2_help import FIELDS, TRIAL, refused_at_once
from riskmap.catalog.registry import load_catalog
from riskmap.crs.served import CRS84, served
from riskmap.errors import InputError
from riskmap.features.cql2 import CONFORMANCE, Filter, read_text
from riskmap.features.cql2.tokens import Scanner, unquoted
from riskmap.features.cql2.typed import Op, Value


def read(text: str) -> Filter:
    return read_text(text, FIELDS)


def refused(text: str, **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read_text(text, FIELDS, **more)
    assert caught.value.status == 400
    assert caught.value.parameter == "filter"
    for lang in ("zh", "en"):
        assert "filter" in caught.value.text(lang)
    return caught.value


def same(text: str, other: str) -> None:
    assert read(text) == read(other), (text, other)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("count=1 AND most=2 OR rate=3", "((count = 1) and (most = 2)) or rate = 3"),
        ("count = 1 or most = 2 and rate = 3", "count = 1 or (most = 2 and rate = 3)"),
        ("not count = 1 and most = 2", "(not (count = 1)) and most = 2"),
        ("count NOT IN (1, 2)", "not count in (1,2)"),
        ("name NOT LIKE 'a%'", "not (name like 'a%')"),
        ("count not between 1 and 2", "not count between 1 and 2"),
        ("name is not null", "not name is null"),
        ("count + 1 * 2 = 3", "count + (1 * 2) = 3"),
        ("count - 1 - 2 = 3", "(count - 1) - 2 = 3"),
        ("count * 2 ^ 3 = 8", "count * (2 ^ 3) = 8"),
        ("count div 2 % 3 = 1", "(count div 2) % 3 = 1"),
        ("count -2 = 1", "count - 2 = 1"),
        ("count > -2", "count > - 2"),
        ("count = 1 AND count between 1 and 2 and most = 1",
         "count = 1 and (count between 1 and 2) and most = 1"),
        ('"count" = 1', "count=1"),
        ("count=1\u3000and\n\tmost=2", "count=1 and most=2"),
        ("S_Intersects(geometry, Point Z(120 36 5))", "s_intersects(geom,POINT(120 36))"),
        ("s_intersects(geom, pointz(120 36 5))", "s_intersects(geom,POINT(120 36))"),
        ("s_intersects(geom,MULTIPOINT(1 2,3 4))", "s_intersects(geom,MULTIPOINT((1 2),(3 4)))"),
        ("s_intersects(geom,BBOX(1,2,0,3,4,9))", "s_intersects(geom,bbox(1,2,3,4))"),
        ("s_within(geom,GEOMETRYCOLLECTION(POINT(1 2),POINT(3 4)))",
         "s_within(geom,MULTIPOINT((1 2),(3 4)))"),
        ("count = +1.5E+1", "count = 15.0"),
        ("count = .5", "count = 0.5"),
        ("name = 'a''b'", r"name = 'a\'b'"),
        (r"name LIKE '50\%'", r"name like '50\\%'"),
        ("name like 'a%%%b'", "name like 'a%b'"),
        ("T_DURING(INTERVAL(seen, until), INTERVAL(\"2026-05-01T00:00:00Z\", '..'))",
         "t_during(interval(seen,until),interval('2026-05-01T08:00:00+08:00','..'))"),
        ("a_equals(tags, ('a'))", "A_EQUALS(tags,( 'a' ))"),
        ("s_intersects((geom), POINT(1 2))", "s_intersects(geom,POINT(1 2))"),
        ("seen in ('2026-05-01T00:00:00Z')", "seen in (TIMESTAMP('2026-05-01T00:00:00Z'))"),
        ("day = '2026-05-01'", "day = date('2026-05-01')"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_filter(text: str, other: str) -> None:
    same(text, other)


@pytest.mark.parametrize(
    ("text", "key", "at"),
    [
        ("", "empty", 1),
        ("  ", "empty", 1),
        ("nom = 1", "property", 1),
        ("count = 1 and nom = 1", "property", 15),
        ('count = 1 and "no\'m" = 1', "property", 15),
        ("name = \"foo\"", "property", 8),
        ("notes = 'a'", "property", 1),
        ("pg_sleep(10) = 1", "function", 1),
        ("学校(1) = 1", "function", 1),
        ("buffer(geom, 1) is null", "function", 1),
        ("count = 'one'", "type", 9),
        ("'5' > count", "type", 1),
        ("count like 'a'", "type", 1),
        ("name like other", "type", 11),
        ("name = 1", "type", 8),
        ("casei(count) = 'a'", "type", 7),
        ("count + name = 1", "type", 9),
        ("count and true", "type", 1),
        ("name", "type", 1),
        ("tags = 'a'", "type", 1),
        ("s_within(name, POINT(1 2))", "type", 10),
        ("t_during(seen, interval('2026-05-01','..'))", "type", 10),
        ("a_contains(tags, (1, 2))", "type", 18),
        ("a_contains(tags, ('a', 1))", "type", 24),
        ("count in (1, 'a')", "type", 14),
        ("(count = 1) = true", "type", 2),
        ("count = ", "ended", 9),
        ("count = 1 most", "expected", 11),
        ("count = = 1", "expected", 9),
        ("count not 1", "expected", 11),
        ("count is 1", "expected", 10),
        ("(count = 1", "ended", 11),
        ("count in ()", "empty_list", 10),
        ("count in 1", "expected", 10),
        ("2 ^ 3 ^ 4 = 1", "expected", 7),
        ("count = 1;", "character", 10),
        ("count = 1 -- x", "property", 14),
        ("count = $1", "character", 9),
        ("name = 'abc", "unclosed", 8),
        ('"name = 1', "unclosed", 1),
        (r"name like 'a\'", "unclosed", 11),
        (r"name like 'a\\'", "escape", 11),
        ("name like '" + "%a" * 17 + "'", "wildcards", 11),
        ("name = 'a\0b'", "character", 8),
        ("name = '\ud800'", "character", 8),
        ("count = 1e400", "number", 9),
        ("count = " + "9" * 65, "number", 9),
        ("day = date('2026-02-30')", "instant", 12),
        ("day = date('2026-5-1')", "instant", 12),
        ("day = 'soon'", "instant", 7),
        ("seen = timestamp('2026-05-01')", "instant", 18),
        ("seen = timestamp('9999-12-31T23:59:59-23:00')", "instant", 18),
        ("t_after(seen, interval('2026-05-02','2026-05-01'))", "interval", 15),
        ("t_after(seen, interval(interval('..','..'),'..'))", "expected", 32),
        ("s_within(geom, POINT(181 0))", "world", 16),
        ("s_within(geom, POINT(90 180))", "world", 16),
        ("s_within(geom, POINT(1))", "expected", 22),
        ("s_within(geom, POINT(nan nan))", "expected", 22),
        ("s_within(geom, POINT(1e999 0))", "world", 16),
        ("s_within(geom, POLYGON((0 0, 1 1, 1 0)))", "ring", 24),
        ("s_within(geom, POLYGON((0 0, 1 1, 1 0, 0 1, 0 0)))", "invalid", 16),
        ("s_within(geom, LINESTRING(0 0))", "geometry", 16),
        ("s_within(geom, BBOX(1,2,3))", "bbox", 16),
        ("s_within(geom, BBOX(1,5,3,4))", "bbox", 16),
        ("s_within(geom, GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(3 4,5 6)))", "collection", 16),
        ("s_within(geom)", "args", 1),
        ("casei(name, other) = 'a'", "args", 1),
        ("true and", "ended", 9),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text: str, key: str, at: int) -> None:
    error = refused(text)
    assert (error.key, error.values.get("at", 1)) == (f"cql2.{key}", at)


def test_an_unknown_property_is_named_with_the_known_ones() -> None:
    error = refused("capacity = 1")
    assert error.values["value"] == "capacity"
    assert "id, geom, name, other, count" in error.values["known"]
    # JSON columns are not asked for.
    assert "notes" not in error.values["known"]


def test_a_hidden_property_is_told_from_no_other_unknown_one() -> None:
    layer = next(iter(load_catalog().values()))
    seen = {field.name: field for field in layer.visible(restricted=False)}
    hidden = next(field.name for field in layer.fields if field.restricted)
    answers = []
    for name in (hidden, "x" * len(hidden)):
        with pytest.raises(InputError) as caught:
            read_text(f"{name} = 'a'", seen)
        answers.append(str(caught.value).replace(name, "?"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000, "(" * 5000 + "true" + ")" * 5000, "NOT " * 5000 + "true", "-" * 5000 + "1 = 1",
        "casei(" * 5000, "interval(" * 5000, "t_after(interval(" * 3000, "a_equals((" * 3000,
        "GEOMETRYCOLLECTION(" * 3000, "s_within(geom,GEOMETRYCOLLECTION(" * 1800,
        " or ".join(["true"] * 9000), "+".join(["1"] * 30_000) + " = 1",
        "1 = " + "+".join(["count"] * 40), "count in (" + ",".join(["1"] * 30_000) + ")",
        "count in (" + ",".join(["1"] * 1001) + ")", "^".join(["2"] * 9000),
        "((((count^2)^2)^2)^2)^2 = 1",
        "((count^2)^2)^2 in (" + ",".join(["most"] * 900) + ")",
        "'" * 65_535, "\\" * 65_000, "'" + "\\" * 65_000,
        "%" * 65_000, "name like '" + "%" * 60_000 + "a%'", "\u3000" * 21_000, "a" * 65_536,
        "学" * 21_846, "name = '" + "学" * 2001 + "'", "1" * 65_536 + " = 1",
        "count = 1e" + "9" * 60_000, "s_within(geom, POLYGON((" + "0 0," * 16_000 + "0 0)))",
        "s_within(geom, LINESTRING(" + ",".join(f"{i} {i}" for i in range(8000)),
        "s_within(geom, LINESTRING(" + "1 1," * 16_000 + "x))",
        "s_within(geom, MULTIPOINT(" + "(1 1)," * 10_001 + "(1 1)))",
    ],
)  # fmt: skip
def test_hostile_text_is_refused_at_once(text: str) -> None:
    error = refused_at_once(lambda: read(text))
    assert (error.status, error.parameter) == (400, "filter")


def test_what_is_as_large_as_it_may_be_is_read() -> None:
    read("(" * 31 + "true" + ")" * 31)
    read(" or ".join(["count = 1"] * 128))
    read(" or ".join(["count in (" + ",".join(map(str, range(1000))) + ")"] * 9))
    read("count in (" + ",".join(["most"] * 1000) + ")")
    positions = ",".join(f"{i % 100} {i // 100 / 10}" for i in range(9_000))
    text = f"s_intersects(geom, MULTIPOINT({positions}))"
    read(text)


def test_the_deepest_filter_compiles_in_a_deep_stack() -> None:
    """32 levels are far from Python's limit, even where the server has used half of it."""
    found = read("(" * 10 + "not (" * 20 + "count + 1 * 2 ^ 1 = 1" + ")" * 30)

    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else str(found.where(TRIAL).compile())

    assert "cql2_trial.count" in deeper(400)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("''", ""), ("'a''b'", "a'b"), (r"'a\'b'", "a'b"), ("''''", "'"), (r"'\\'", "\\"),
        (r"'\a\b\t\n\v\f\r'", "\a\b\t\n\v\f\r"), (r"'\%\_'", r"\%\_"), (r"'\x'", r"\x"),
        ("'学校\n'", "学校\n"), (r"'a\\''b'", "a\\'b"),
    ],
)  # fmt: skip
def test_conf_cql2_text_escaping(written: str, meant: str) -> None:
    assert unquoted(Scanner(written).take()) == meant


def test_axes_and_systems_of_filter_crs() -> None:
    """North first where the registry says so, and the same place whatever it is measured in."""
    systems = {one.srid: one for one in served(4549)[1:]}
    expected = read_text("s_within(geom, POINT(120.5 36.25))", FIELDS, crs=CRS84)
    for srid in (4326, 4490):
        found = read_text("s_within(geom, POINT(36.25 120.5))", FIELDS, crs=systems[srid])
        assert found == expected, srid
        box = read_text("s_within(geom, BBOX(36, 120, 37, 121))", FIELDS, crs=systems[srid])
        assert box == read("s_within(geom, BBOX(120, 36, 121, 37))")
        refused("s_within(geom, POINT(120.5 36.25))", crs=systems[srid])
    refused("s_within(geom, POINT(1e30 1e30))", crs=systems[3857])
    refused("s_within(geom, BBOX(3, 1, 2, 2))", crs=systems[3857])
    for srid, far in itertools.product((3857, 4549), ("1e308", "1e12", "9e8", "3e7")):
        for shape in (f"LINESTRING(-{far} 0, {far} 1)", f"BBOX(-{far}, -{far}, {far}, {far})"):
            refused(f"s_within(geom, {shape})", crs=systems[srid])


def test_a_box_over_the_antimeridian_is_two() -> None:
    tree = read("s_intersects(geom, BBOX(170, -10, -170, 10))").tree
    assert isinstance(tree, Op)
    box = tree.args[1]
    assert isinstance(box, Value)
    shape = shapely.from_wkb(box.value)
    assert (shape.geom_type, shape.area, shape.bounds) == (
        "MultiPolygon",
        400,
        (-180, -10, 180, 10),
    )


def test_conformance_names_no_class_twice_and_no_function_class() -> None:
    assert len(set(CONFORMANCE)) == len(CONFORMANCE) == 13
    assert all(one.startswith("http://www.opengis.net/spec/cql2/1.0/conf/") for one in CONFORMANCE)
    assert not any(one.endswith("/functions") for one in CONFORMANCE)


def test_a_collection_of_one_kind_is_never_merged() -> None:
    """Its lines cross each other half a million times: merged they would be 150 MB."""
    draw = random.Random(5)
    corners = ",".join(f"{draw.randint(-99, 99)} {draw.randint(-80, 80)}" for _ in range(1500))
    found = read(f"s_within(geom,GEOMETRYCOLLECTION(POINT EMPTY,LINESTRING({corners})))").tree
    assert isinstance(found, Op)
    shape = found.args[1]
    assert isinstance(shape, Value)
    assert shape.geometry == "MultiLineString"
    assert isinstance(shape.value, bytes)
    assert shapely.get_num_coordinates(shapely.from_wkb(shape.value)) == 1500
    overlapping = "GEOMETRYCOLLECTION(POLYGON((0 0,2 0,2 2,0 0)),POLYGON((1 0,3 0,3 2,1 0)))"
    assert "collection" in refused(f"s_within(geom,{overlapping})").key
    read(f"s_intersects(geom,{overlapping})")
