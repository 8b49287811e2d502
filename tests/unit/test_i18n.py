"""The catalogue of words is whole: both languages, the same placeholders."""

import re
import string

import pytest

from riskmap.i18n import LANGS, catalogue, preferred, say

CJK = re.compile(r"[\u4e00-\u9fff]")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", sorted(catalogue()))
def test_each_entry_has_both_languages_with_the_same_placeholders(key: str) -> None:
    entry = catalogue()[key]
    assert set(entry) == set(LANGS)
    assert CJK.search(entry["zh"]), "the Chinese text holds no Chinese"
    assert entry["en"].strip() and not CJK.search(entry["en"])
    assert placeholders(entry["zh"]) == placeholders(entry["en"])
    assert all(name.isidentifier() for name in placeholders(entry["zh"]))


def test_say_fills_the_placeholders_in_both_languages() -> None:
    values = {"parameter": "layer", "value": "nowhere", "known": "a, b"}
    for lang in LANGS:
        text = say("layer.unknown", lang, **values)
        assert "nowhere" in text and "a, b" in text and "{" not in text


def test_say_without_entry_or_value_is_a_fault() -> None:
    with pytest.raises(KeyError):
        say("no.such.entry", "en")
    with pytest.raises(KeyError):
        say("layer.unknown", "en")


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        (None, "zh"),
        ("", "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.3, zh;q=0.7", "zh"),
        ("en;q=0", "zh"),
        ("fr", "zh"),
        ("en;q=much", "zh"),
    ],
)
def test_preferred_language(header: str | None, lang: str) -> None:
    assert preferred(header) == lang


def test_nothing_sticks_to_the_address_that_a_start_prints() -> None:
    """A terminal makes a link of it, and takes what follows without a blank for a part."""
    for lang in LANGS:
        told = say("serve.ready", lang, address="http://127.0.0.1:8000")
        assert "http://127.0.0.1:8000 " in told
