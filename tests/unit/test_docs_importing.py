"""docs/importing.md says what the importer does: its options, endings and limits are looked up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from riskmap.cli.main import app
from riskmap.crs.input import read_crs
from riskmap.ingest.options import MODES
from riskmap.ingest.readers import READERS

DOCS = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")


def options_of(*names: str) -> set[str]:
    command = typer.main.get_command(app)
    for name in names:
        command = command.commands[name]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts}


def test_every_option_it_names_is_one() -> None:
    known = options_of("import") | options_of("template")
    known |= options_of("imports", "undo") | options_of("features", "restore")
    named = set(re.findall(r"`(--[a-z-]+)|\s(--[a-z-]+)\s", DOCS))
    found = {option for pair in named for option in pair if option}
    assert found and found <= known, found - known


@pytest.mark.parametrize("command", re.findall(r"`?(riskmap (?:imports|features) [a-z]+)", DOCS))
def test_every_command_it_names_is_one(command: str) -> None:
    options_of(*command.split()[1:])


def test_the_table_of_formats_is_that_of_the_readers() -> None:
    table = DOCS.partition("## 格式 Formats")[2].partition("\n##")[0]
    named = set(re.findall(r"`(\.[a-z]+)`", table)) - {".cpg", ".dbf"}
    assert named <= READERS.keys()
    # Other spellings of a sequence, and Excel's older endings, which are refused with a word.
    silent = {".geojsonseq", ".jsonl", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb"}
    assert READERS.keys() - named == silent


def test_its_coordinate_systems_and_modes_are_known() -> None:
    table = DOCS.partition("## 坐标系")[2].partition("\n##")[0]
    for name in re.findall(r"`(EPSG:\d+|GCJ02|BD09)`", table):
        read_crs(name)
    modes = DOCS.partition("## 入库方式")[2].partition("\n##")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", modes, re.MULTILINE)) == set(MODES)
