"""S, R, α and level of GB 18218 at their borders, exactly, and what explains a difference."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from riskmap.analysis.gb18218 import (
    Computed,
    Filed,
    TableRow,
    Tables,
    agrees,
    alpha_of,
    differences,
    exact,
    known_part,
    level_of,
    read_chemicals,
    s_of,
    same,
    weighted_of,
    whole_persons,
)

NONE = Tables("other", {}, {})
TABLES = Tables(
    "gb18218-2018",
    {
        "7782-50-5": TableRow(5, 4, "table 1", False),
        "71-43-2": TableRow(50, None, "table 1", True),
        "630-08-0": TableRow(None, 2, "table 3", False),
    },
    {"W5.3": TableRow(None, 1, "table 4", False), "W2": TableRow(10, 1.5, "table 4", False)},
)


def row(quantity: Any = 1, critical: Any = 1, beta: Any = 1, **more: Any) -> dict[str, Any]:
    found = {"name": "甲", "quantity_t": quantity, "critical_quantity_t": critical, "beta": beta}
    return {**found, **more}


def read(*rows: Any, tables: Tables = NONE) -> Any:
    return read_chemicals(list(rows), tables)


def filed(**values: Any) -> Filed:
    known = {"level": None, "s_value": None, "r_value": None, "alpha": None, "persons": None}
    return Filed(**{**known, **values})


@pytest.mark.parametrize(
    ("persons", "alpha"),
    [
        (0, "0.5"),
        (1, "1"),
        (29, "1"),
        (30, "1.2"),
        (49, "1.2"),
        (50, "1.5"),
        (99, "1.5"),
        (100, "2"),
        (10**6, "2"),
    ],
)
def test_alpha_at_its_borders(persons: int, alpha: str) -> None:
    assert alpha_of(persons) == Fraction(alpha)


@pytest.mark.parametrize(
    ("r_value", "level"),
    [
        ("0", 4),
        ("9.9999999999999999999", 4),
        ("10", 3),
        ("49.9999999999999999999", 3),
        ("50", 2),
        ("99.9999999999999999999", 2),
        ("100", 1),
        ("1e9", 1),
    ],
)
def test_levels_at_their_borders(r_value: str, level: int) -> None:
    assert level_of(Fraction(r_value)) == level


@pytest.mark.parametrize(
    ("raw", "persons"),
    [
        ("0", 0),
        ("0.0000004", 0),  # noise of areas: below a millionth of a person
        ("0.000001", 1),
        ("0.4", 1),
        ("0.999", 1),
        ("1.49", 1),
        ("1.5", 2),
        ("29.49", 29),
        ("29.5", 30),
        ("49.4999999", 50),  # a millionth is half a person here: 49.5
        ("49.499", 49),
        ("99.4", 99),
        ("99.5", 100),
        ("99.9999999999", 100),
        ("100", 100),
    ],
)
def test_fractions_of_persons_become_whole_ones(raw: str, persons: int) -> None:
    assert whole_persons(Fraction(raw)) == persons


@pytest.mark.parametrize(("border", "level"), [(10, 3), (50, 2), (100, 1)])
def test_sums_that_floats_miss_are_exactly_at_the_border(border: int, level: int) -> None:
    # Sevenths and thirds: three chemicals of q/Q = border/3 each, Q with no finite binary inverse.
    thirds = read(*(row(quantity=border / 10, critical=0.3) for _ in range(3)))
    assert weighted_of(thirds) == border == s_of(thirds)
    assert level_of(weighted_of(thirds)) == level
    # In floats the sum of 0.1 + 0.2 is above 0.3, and of 0.1 + 0.7 below 0.8.
    for first, second, critical in ((0.1, 0.2, 0.3), (0.1, 0.7, 0.8)):
        assert first + second != critical
        parts = read(
            row(quantity=first, critical=critical, beta=border),
            row(quantity=second, critical=critical, beta=border),
        )
        assert s_of(parts) == 1
        assert weighted_of(parts) == border
        assert Computed(s_of(parts), weighted_of(parts), Fraction(1), 5).level == level


def test_below_one_it_is_no_major_source_and_has_no_level() -> None:
    just = read(row(0.1, 0.8), row(0.7, 0.8))
    below = read(row(0.1, 0.8), row(0.6999999, 0.8))
    assert Computed(s_of(just), weighted_of(just), Fraction(2), 100).level == 4
    computed = Computed(s_of(below), weighted_of(below), Fraction(2), 100)
    assert computed.major is False and computed.level is None
    assert agrees(filed(level=4), computed) is False
    (one,) = [d for d in differences(filed(level=4), computed, below) if d["what"] == "major"]
    assert one["code"] == "not_major"


def test_figures_come_from_table_then_category_then_filing() -> None:
    chlorine, benzene, monoxide, gas, own = read(
        row(5, 6, 3, cas=" 7782‑50‑5 "),
        row(5, 60, 1.5, cas="71-43-2", category_symbol="W5.3"),
        row(5, 7, 9, cas="630-08-0", category_symbol="w2"),
        row(5, None, None, category_symbol="W2"),
        row(5, 8, 3, cas="no", category_symbol="no"),
        tables=TABLES,
    )
    told = [
        (c.critical_t.value, c.critical_t.origin, c.beta.value, c.beta.origin)
        for c in (chlorine, benzene, monoxide, gas, own)
    ]
    assert told == [
        (5, "table", 4, "table"),
        (50, "table", 1, "category"),
        (10, "category", 2, "table"),
        (10, "category", Fraction("1.5"), "category"),
        (8, "filed", 3, "filed"),
    ]
    assert (benzene.critical_t.verified, benzene.beta.verified) == (True, False)
    assert chlorine.critical_t.source == "table 1" and own.beta.verified is None
    assert chlorine.differing == ("critical_quantity_t", "beta")
    assert gas.differing == own.differing == ()


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (row(quantity=None), "no_quantity"),
        (row(quantity=0), "value"),
        (row(quantity=-1), "value"),
        (row(quantity="5 t"), "value"),
        (row(quantity=True), "value"),
        (row(quantity=math.inf), "value"),
        (row(quantity=math.nan), "value"),
        (row(quantity=1e9), "value"),
        (row(critical=None), "no_critical_quantity"),
        (row(critical=0), "value"),
        (row(critical=1e-320), "value"),
        (row(beta=None), "no_beta"),
        (row(beta=1000), "value"),
        ("5 t", "no_quantity"),
        (None, "no_quantity"),
    ],
)
def test_what_cannot_be_computed_is_named_and_no_part_is_passed_off(bad: Any, code: str) -> None:
    chemicals = read(row(2, 1, 3), bad)
    assert weighted_of(chemicals) is None
    lacks = [note.answer() for note in chemicals[1].lacks]
    assert code in {note["code"] for note in lacks}
    assert all(chemicals[1].name in note[lang] for note in lacks for lang in ("zh", "en"))
    s_least, weighted = known_part(chemicals)
    assert s_least >= 2 and weighted >= 6
    if code != "no_beta" and "beta" not in str(lacks):
        assert s_of(chemicals) is None


def test_an_unusable_filed_figure_is_told_where_the_table_has_another() -> None:
    (chlorine,) = read(row(5, 0, -4, cas="7782-50-5"), tables=TABLES)
    assert (s_of([chlorine]), weighted_of([chlorine])) == (1, 4)
    assert chlorine.lacks == ()
    assert [note.values["field"] for note in chlorine.odd] == ["critical_quantity_t", "beta"]


@pytest.mark.parametrize("stored", [None, [], {}, "x", 5])
def test_no_chemicals_give_no_sum(stored: object) -> None:
    chemicals = read_chemicals(stored, TABLES)
    assert chemicals == () and s_of(chemicals) is None and weighted_of(chemicals) is None


def test_exact_is_the_decimal_text() -> None:
    assert exact(0.1) == Fraction(1, 10) and exact(3) == 3
    assert exact(1e-7) == Fraction(1, 10**7)
    assert [exact(v) for v in (None, True, "1", math.inf, math.nan)] == [None] * 5


def test_rounded_filings_do_not_differ() -> None:
    third = Fraction(100, 3)
    assert same(exact(33.333), third) and same(exact(33.3), third) and same(exact(33), third)
    assert not same(exact(33.334), third) and not same(exact(34), third)
    assert same(None, third) and same(third, None)


def explaining(found: list[dict[str, Any]]) -> set[str]:
    return {one["what"] for one in found if one["explains_level"]}


def test_the_input_that_explains_the_level_is_named() -> None:
    # 7 t of chlorine: q/Q = 1.4 and R = α · 5.6 by the table: 11.2 with α 2, 5.6 with α 1.
    chemicals = read(row(7, 5, 4, cas="7782-50-5"), tables=TABLES)
    computed = Computed(s_of(chemicals), weighted_of(chemicals), Fraction(2), 100)
    assert (computed.r_value, computed.level) == (Fraction("11.2"), 3)
    was = filed(level=4, alpha=Fraction(1), persons=20, r_value=Fraction("5.6"))
    assert agrees(was, computed) is False
    found = differences(was, computed, chemicals)
    assert explaining(found) == {"alpha"}
    assert {one["what"] for one in found} == {"persons", "alpha", "R"}
    # The same level, filed with β 2 instead of 4; then with Q 10 instead of 5.
    for more, cause in (({"beta": 2}, "beta"), ({"critical": 10}, "critical_quantity_t")):
        other = read(row(7, **{"critical": 5, "beta": 4, **more}, cas="7782-50-5"), tables=TABLES)
        was = filed(level=4, alpha=Fraction(2), persons=100, r_value=Fraction("5.6"))
        assert explaining(differences(was, computed, other)) == {cause}
    # Nothing of the inputs explains it: the quantities are not those of the filing.
    was = filed(level=4, alpha=Fraction(2), persons=100, r_value=Fraction("5.6"))
    found = differences(was, computed, chemicals)
    assert explaining(found) == set()
    assert {one["what"] for one in found} == {"R", "quantities"}


def test_a_filing_that_contradicts_itself_is_told() -> None:
    chemicals = read(row(7, 5, 4))
    was = filed(level=3, alpha=Fraction(2), persons=99, r_value=Fraction(100), s_value=Fraction(3))
    computed = Computed(s_of(chemicals), weighted_of(chemicals), Fraction(2), 100)
    told = {one["what"] for one in differences(was, computed, chemicals)}
    assert told == {"persons", "S", "R", "filed_level", "filed_alpha", "quantities"}


def test_nothing_to_compare_is_neither_yes_nor_no() -> None:
    whole = Computed(Fraction(2), Fraction(20), Fraction(1), 5)
    assert agrees(filed(), whole) is None
    assert agrees(filed(level=3), whole) is True
    assert agrees(filed(level=3), Computed(None, None, Fraction(1), 5)) is None
    assert agrees(filed(level=3), Computed(Fraction(2), Fraction(20), None, None)) is None
