"""Which archives the setting takes."""

from __future__ import annotations

import pytest

from riskmap.errors import SetupError
from riskmap.settings import load_settings


@pytest.mark.parametrize(
    "value", ["city.pmtiles", "城市-2026.pmtiles", "https://a.example:1/x/city.pmtiles"]
)
def test_what_is_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RISKMAP_TILES_ARCHIVE", value)
    assert load_settings().tiles_archive == value


@pytest.mark.parametrize(
    "value",
    [
        "city", "a/city.pmtiles", "../city.pmtiles", "http://a.example/city.pmtiles",
        "https://a.example", "https://a.example/x?y", "https://a.example/x; script-src *",
        "https://a.example;script-src */x", "https://user@a.example/x", "javascript:x",
    ],
)  # fmt: skip
def test_what_is_not(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RISKMAP_TILES_ARCHIVE", value)
    with pytest.raises(SetupError, match="RISKMAP_TILES_ARCHIVE"):
        load_settings()
