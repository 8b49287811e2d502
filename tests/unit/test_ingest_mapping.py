from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest_help import geojson, point, run, table, trial_layer
from riskmap.errors import InputError
from riskmap.ingest.mapping import FieldMapping, Plan, read_mapping

ZONE = ZoneInfo("Asia/Shanghai")


def plan(**parts: object) -> Plan:
    return Plan(trial_layer(), FieldMapping(**parts), ZONE)  # type: ignore[arg-type]


def test_headings_by_name_label_or_mapping() -> None:
    assigned = plan(fields={"code": "cod"}).assign(
        ("cod", "名称", "Risk Level", " 人口 ", "化学品", "统一编号", "bairro", "version", "ID")
    )
    assert assigned.fields == {
        "code": "cod",
        "name": "名称",
        "risk_level": "Risk Level",
        "population": " 人口 ",
    }
    assert assigned.children == {"chemicals": "化学品"}
    assert assigned.rest == ("统一编号", "bairro", "version", "ID")


def test_two_columns_for_one_field_need_a_word_from_the_caller() -> None:
    with pytest.raises(InputError) as caught:
        plan().assign(("name", "名称"))
    assert caught.value.key == "ingest.heading.twice"
    assert "名称" in str(caught.value)
    assert plan(fields={"name": "名称"}).assign(("name", "名称")).rest == ("name",)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ({"fields": {"nonsense": "a"}}, "ingest.mapping.field"),
        ({"fields": {"source_system": "a"}}, "ingest.mapping.field"),
        ({"constants": {"version": 7}}, "ingest.mapping.field"),
        ({"values": {"nonsense": {}}}, "ingest.mapping.field"),
        ({"constants": {"chemicals": []}}, "ingest.mapping.field"),
        ({"constants": {"status": "open"}}, "ingest.mapping.value"),
        ({"values": {"risk_level": {"R9": 9}}}, "ingest.mapping.value"),
        ({"fields": {"name": "a"}, "constants": {"name": "b"}}, "ingest.mapping.twice"),
    ],
)
def test_a_mapping_that_does_not_fit_the_layer(parts: dict[str, object], key: str) -> None:
    with pytest.raises(InputError) as caught:
        plan(**parts)
    assert (caught.value.key, caught.value.parameter) == (key, "mapping")
    assert caught.value.text("zh")


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError) as caught:
        plan(fields={"code": "cod"}).require(["bairro", "tipo"])
    assert "cod" in caught.value.text("en")
    assert "bairro, tipo" in caught.value.text("en")


def test_mapping_files_and_pairs(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(
        "\ufeff"
        + json.dumps(
            {
                "fields": {"code": "cod", "name": "n"},
                "values": {"risk_level": {"R3": 2}},
                "constants": {"status": "active"},
            }
        ),
        encoding="utf-8",
    )
    mapping = read_mapping(path, ["name = 名称", "x=东"])
    assert mapping.fields == {"code": "cod", "name": "名称", "x": "东"}
    assert mapping.coordinates == {"x": "东"}
    assert read_mapping() == FieldMapping()
    for pair in ("name", "=a", "name="):
        with pytest.raises(InputError) as caught:
            read_mapping(None, [pair])
        assert caught.value.key == "ingest.mapping.pair"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"fields": []}', '{"fields": {"a": 1}}', '{"values": {"a": 1}}', '{"x": {}}'],
)
def test_mapping_files_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_mapping(path)
    assert caught.value.parameter == "mapping"
    assert caught.value.text("zh")
    assert caught.value.text("en")


def test_values_by_code_label_and_mapping(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "code,lon,lat,risk_level,专长\n"
        "a,120,36,重大,消防、水上\nb,120,36,Serious,fire;Water\nc,120,36,3,\nd,120,36,4.0,\n"
        "e,120,36,R3,\nf,120,36,,\ng,120,36,R1,\n",
    )
    outcome = run(path, mapping=FieldMapping(values={"risk_level": {"R3": "较大", "R1": None}}))
    assert outcome.found == []
    assert [r["risk_level"] for r in outcome.records] == [1, 2, 3, 4, 2, None, None]
    assert outcome.records[0]["skills"] == outcome.records[1]["skills"] == ["fire", "water"]
    assert outcome.records[2]["skills"] is None


def test_constants_fill_every_row_and_win_over_a_column(tmp_path: Path) -> None:
    path = geojson(tmp_path, point("a", status="planned"), point("b"))
    outcome = run(path, mapping=FieldMapping(constants={"status": "有效", "population": "7"}))
    assert [r["status"] for r in outcome.records] == ["active", "active"]
    assert [r["population"] for r in outcome.records] == [7, 7]
    assert outcome.records[0]["attributes"] == '{"status":"planned"}'


def test_what_matches_no_field_goes_to_attributes(tmp_path: Path) -> None:
    path = geojson(
        tmp_path,
        point("a", 备注="x", version=9, source_system="theirs", nested=[{"a": 1}], empty=None),
        point("b", attributes={"kept": True}, extra=1.5),
        point("c"),
        point("d", attributes=[1]),
    )
    outcome = run(path)
    texts = [r["attributes"] for r in outcome.records]
    assert [json.loads(str(text)) if text else None for text in texts] == [
        {"备注": "x", "version": 9, "source_system": "theirs", "nested": [{"a": 1}]},
        {"kept": True, "extra": 1.5},
        None,
    ]
    assert outcome.found == [(4, "ingest.type.json", "attributes")]
    assert "version" not in outcome.records[0]
