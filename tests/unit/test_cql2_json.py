"""CQL2 JSON: the same tree as text, with a JSON pointer where something is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from cql2_help import FIELDS, refused_at_once
from riskmap.features.cql2 import read_json, read_json_text, read_text

NAME = {"property": "name"}
COUNT = {"property": "count"}
POINT = {"type": "Point", "coordinates": [120.5, 36.25]}


def nested(depth: int, make: Any, seed: Any = True) -> Any:
    for _ in range(depth):
        seed = make(seed)
    return seed


# The standard's own examples (21-065r2, clauses 6 and 7), on the properties of the trial.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name='Toronto'", {"op": "=", "args": [NAME, "Toronto"]}),
        ("count-150.0 > 0", {"op": ">", "args": [{"op": "-", "args": [COUNT, 150.0]}, 0]}),
        ("day >= DATE('1970-01-01')",
         {"op": ">=", "args": [{"property": "day"}, {"date": "1970-01-01"}]}),
        ("geometry IS NOT NULL",
         {"op": "not", "args": [{"op": "isNull", "args": [{"property": "geometry"}]}]}),
        ("name LIKE 'Smith%'", {"op": "like", "args": [NAME, "Smith%"]}),
        ("amount BETWEEN 100.0 and 150.0",
         {"op": "between", "args": [{"property": "amount"}, 100.0, 150.0]}),
        ("name IN ('Toronto','Frankfurt','Tokyo','New York')",
         {"op": "in", "args": [NAME, ["Toronto", "Frankfurt", "Tokyo", "New York"]]}),
        ("count NOT IN (1,2,3,4)",
         {"op": "not", "args": [{"op": "in", "args": [COUNT, [1, 2, 3, 4]]}]}),
        ("CASEI(name) IN (CASEI('Οδος'),CASEI('Straße'))",
         {"op": "in", "args": [{"op": "casei", "args": [NAME]}, [
             {"op": "casei", "args": ["Οδος"]}, {"op": "casei", "args": ["Straße"]}]]}),
        ("ACCENTI(name) = ACCENTI('débárquér')",
         {"op": "=", "args": [{"op": "accenti", "args": [NAME]},
                              {"op": "accenti", "args": ["débárquér"]}]}),
        ("S_INTERSECTS(geometry,POINT(36.319836 32.288087))",
         {"op": "s_intersects", "args": [{"property": "geometry"}, {
             "type": "Point", "coordinates": [36.319836, 32.288087]}]}),
        ("S_WITHIN(geom,BBOX(160.6,-55.95,-170,-25.89))",
         {"op": "s_within", "args": [{"property": "geom"},
                                     {"bbox": [160.6, -55.95, -170, -25.89]}]}),
        ("T_INTERSECTS(seen, INTERVAL('1969-07-16T05:32:00Z', '1969-07-24T16:50:35Z'))",
         {"op": "t_intersects", "args": [{"property": "seen"}, {
             "interval": ["1969-07-16T05:32:00Z", "1969-07-24T16:50:35Z"]}]}),
        ("T_DURING(INTERVAL(seen, until), INTERVAL('1969-07-16', '..'))",
         {"op": "t_during", "args": [
             {"interval": [{"property": "seen"}, {"property": "until"}]},
             {"interval": ["1969-07-16", ".."]}]}),
        ("A_CONTAINS(tags, ('layers-ca','layers-us'))",
         {"op": "a_contains", "args": [{"property": "tags"}, ["layers-ca", "layers-us"]]}),
        ("count > (most-1)",
         {"op": ">", "args": [COUNT, {"op": "-", "args": [{"property": "most"}, 1]}]}),
        ("TRUE", True),
        ("is_open = true AND (NOT (count > 8) OR count < 1)",
         {"op": "and", "args": [
             {"op": "=", "args": [{"property": "is_open"}, True]},
             {"op": "or", "args": [
                 {"op": "not", "args": [{"op": ">", "args": [COUNT, 8]}]},
                 {"op": "<", "args": [COUNT, 1]}]}]}),
        ("seen = TIMESTAMP('2012-08-10T05:30:00Z')",
         {"op": "=", "args": [{"property": "seen"}, {"timestamp": "2012-08-10T05:30:00Z"}]}),
        ("count div 2 % 3 ^ 2 = 1",
         {"op": "=", "args": [{"op": "%", "args": [
             {"op": "div", "args": [COUNT, 2]}, {"op": "^", "args": [3, 2]}]}, 1]}),
        (r"name like '50\%'", {"op": "like", "args": [NAME, "50\\%"]}),
        (r"name = 'a\\b''c'", {"op": "=", "args": [NAME, "a\\b'c"]}),
        ("T_METBY(INTERVAL('..','2026-05-01'), INTERVAL(day,'..'))",
         {"op": "t_metBy", "args": [{"interval": ["..", "2026-05-01"]},
                                    {"interval": [{"property": "day"}, ".."]}]}),
    ],
)  # fmt: skip
def test_text_and_json_are_one_filter(text: str, value: Any) -> None:
    assert read_json(value, FIELDS) == read_text(text, FIELDS)
    assert read_json_text(json.dumps(value), FIELDS) == read_text(text, FIELDS)


@pytest.mark.parametrize(
    ("value", "key", "at"),
    [
        ({"op": "=", "args": [{"property": "nom"}, 1]}, "property", "/args/0"),
        ({"op": "pg_sleep", "args": [9]}, "function", "/op"),
        ({"op": 1, "args": [9]}, "expected", "/op"),
        ({"op": "="}, "args", "/"),
        ({"op": "=", "args": [COUNT]}, "args", "/"),
        ({"op": "and", "args": [True]}, "args", "/"),
        ({"op": "not", "args": [True, True]}, "args", "/"),
        ({"op": "=", "args": [COUNT, "a"]}, "type", "/args/1"),
        ({"op": "=", "args": [COUNT, None]}, "expected", "/args/1"),
        ({"op": "=", "args": [COUNT, math.nan]}, "number", "/args/1"),
        ({"op": "=", "args": [COUNT, math.inf]}, "number", "/args/1"),
        ({"op": "=", "args": [COUNT, 10**400]}, "number", "/args/1"),
        ({"op": "=", "args": [NAME, "a\0"]}, "character", "/args/1"),
        ({"op": "=", "args": [NAME, "\ud800"]}, "character", "/args/1"),
        ({"op": "=", "args": [NAME, "x" * 2001]}, "text_length", "/args/1"),
        ({"op": "=", "args": [{"property": "\ud800"}, 1]}, "character", "/args/0/property"),
        ({"op": "=", "args": [{"property": 1}, 1]}, "expected", "/args/0/property"),
        ({"op": "=", "args": [{"date": "soon"}, "a"]}, "instant", "/args/0/date"),
        ({"op": "=", "args": [{"timestamp": 1}, "a"]}, "expected", "/args/0/timestamp"),
        ({"op": "isNull", "args": [{"interval": ["a"]}]}, "expected", "/args/0/interval"),
        ({"op": "isNull", "args": [{"interval": ["a", ".."]}]}, "instant", "/args/0/interval/0"),
        ({"op": "in", "args": [COUNT, []]}, "empty_list", "/args/1"),
        ({"op": "in", "args": [COUNT, 1]}, "type", "/args/1"),
        ({"op": "in", "args": [COUNT, [1] * 1001]}, "items", "/args/1"),
        ({"op": "like", "args": [NAME, "a\\"]}, "escape", "/args/1"),
        ({"op": "isNull", "args": [{"type": "Circle"}]}, "geometry", "/args/0"),
        ({"op": "isNull", "args": [{"type": "Point"}]}, "geometry", "/args/0/coordinates"),
        ({"op": "isNull", "args": [{"type": "Point", "coordinates": [1, "2"]}]},
         "geometry", "/args/0/coordinates"),
        ({"op": "isNull", "args": [{"type": "Point", "coordinates": [1, math.nan]}]},
         "number", "/args/0/coordinates"),
        ({"op": "isNull", "args": [{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0]]]}]},
         "ring", "/args/0/coordinates"),
        ({"op": "isNull", "args": [{"bbox": [1, 2]}]}, "bbox", "/args/0/bbox"),
        ({"op": "isNull", "args": [{"bbox": [1, 2, 3, None]}]}, "geometry", "/args/0/bbox"),
        ({}, "expected", "/"),
        (None, "expected", "/"),
        ("name = 1", "type", "/"),
        ([True], "type", "/"),
        (nested(40, lambda one: {"op": "not", "args": [one]}), "depth", "/args/0" * 32),
        (nested(40, lambda one: [one]), "depth", "/0" * 32),
        (nested(900, lambda one: {"type": "GeometryCollection", "geometries": [one]}, POINT),
         "depth", "/geometries/0" * 32),
        ({"op": "or", "args": [True] * 5000}, "operations", "/"),
        ({"op": "isNull", "args": [{"type": "MultiPoint", "coordinates": [[1, 2]] * 10_001}]},
         "vertices", "/args/0/coordinates"),
        ({"op": "isNull", "args": [{"type": "MultiLineString", "coordinates": [[]] * 20_000}]},
         "items", "/args/0/coordinates"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_a_json_pointer(value: Any, key: str, at: str) -> None:
    error = refused_at_once(lambda: read_json(value, FIELDS))
    assert (error.key, error.values["at"]) == (f"cql2.{key}", at)
    assert (error.status, error.parameter) == (400, "filter")
    assert at in error.text("en")
    error.text("zh").encode()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{", "json"), ("", "json"), ("\ud800", "json"), ('"\\ud800"', "json"), ("NaN", "json"),
        (b"\xff\xfe", "json"), ("[" * 43_000, "json"), ("[" * 60_000 + "]" * 5_000, "json"),
        ('{"op":"not","args":[' * 2_000 + "true" + "]}" * 2_000, "json"),
        ("[" * 70_000, "bytes"), ('"' + "学" * 22_000 + '"', "bytes"), ("true", None),
    ],
)  # fmt: skip
def test_json_as_it_was_sent(text: str | bytes, key: str | None) -> None:
    """43 KB of nesting made another server take a gigabyte: here it is not even parsed."""
    if key is None:
        assert read_json_text(text, FIELDS) == read_text("true", FIELDS)
        return
    assert refused_at_once(lambda: read_json_text(text, FIELDS)).key == f"cql2.{key}"
