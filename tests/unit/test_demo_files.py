"""The demo city's files: what is committed is whole, the importer takes it, seeds decide it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest_help import run
from riskmap.catalog.registry import load_catalog
from riskmap.demo.checks import COUNTS
from riskmap.demo.files import GENERATOR, MANIFEST, NOTICE, ROADS
from riskmap.demo.ground import BOX, SEED

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "data" / "layers"
OTHER_SEED = 7
CATALOG = load_catalog()


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return content


def sums(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if file.name != "SOURCES.md"
    }


def file_of(layer_id: str) -> Path:
    (file,) = COMMITTED.glob(f"{layer_id}.*")
    return file


def test_the_manifest_lists_what_is_there() -> None:
    manifest = manifest_of(COMMITTED)
    assert manifest["seed"] == SEED
    assert manifest["generator"] == GENERATOR
    assert manifest["synthetic"] is True
    found = sums(COMMITTED)
    del found[MANIFEST]
    assert {name: about["sha256"] for name, about in manifest["files"].items()} == found
    assert manifest["files"].keys() >= {ROADS}
    assert manifest["counts"].keys() == CATALOG.keys()
    assert COUNTS.items() <= manifest["counts"].items()


def test_the_files_are_small_enough() -> None:
    sizes = [file.stat().st_size for file in COMMITTED.iterdir()]
    assert sum(sizes) <= 20_000_000
    assert max(sizes) <= 4_800_000


@pytest.mark.parametrize("layer_id", CATALOG)
def test_the_importer_takes_every_row(layer_id: str) -> None:
    outcome = run(file_of(layer_id), CATALOG[layer_id], box=BOX)
    assert outcome.found == []
    assert len(outcome.rows) == manifest_of(COMMITTED)["counts"][layer_id]
    # Whatever is no field of the layer would end here, unseen by everybody.
    assert not any(record.get("attributes") for record in outcome.records)


@pytest.mark.parametrize("layer_id", CATALOG)
def test_every_file_and_feature_says_that_it_is_synthetic(layer_id: str) -> None:
    file = file_of(layer_id)
    outcome = run(file, CATALOG[layer_id], box=BOX)
    assert {record["data_quality"] for record in outcome.records} == {"synthetic"}
    if file.suffix == ".geojson":
        content = json.loads(file.read_text(encoding="utf-8"))
        assert (content["synthetic"], content["notice"]) == (True, NOTICE)


def test_the_published_figures_stand_in_the_files() -> None:
    teams = json.loads(file_of("rescue-teams").read_text(encoding="utf-8"))["features"]
    told = [team["properties"] for team in teams]
    assert sum(team["personnel"] for team in told) == 26_000
    micro = [team for team in told if team["kind"] == "micro_station"]
    vehicles: Counter[str] = Counter()
    for team in micro:
        vehicles.update({row["type"]: row["count"] for row in team["vehicles"]})
    assert (len(told), len(micro), sorted(vehicles.values())) == (383, 49, [20, 100])
    sources = json.loads(file_of("major-hazard-sources").read_text(encoding="utf-8"))["features"]
    assert len(sources) == 192
    assert len({source["properties"]["enterprise_code"] for source in sources}) == 97


GENERATE = """
import sys
from pathlib import Path
from riskmap.demo.generate import generate
generate(int(sys.argv[1]), Path(sys.argv[2]))
"""


def generate(folders: dict[Path, int]) -> None:
    """Generate seeds into folders, each in a process of its own at the same time.

    Sets and dictionaries of strings must not matter: every process hashes them differently.
    """
    started = []
    for folder, seed in folders.items():
        command = [sys.executable, "-c", GENERATE, str(seed), str(folder)]
        hashing = {"PYTHONHASHSEED": str(len(started) + 1)}
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **hashing}
        started.append(subprocess.Popen(command, env=environment))
    assert [process.wait() for process in started] == [0] * len(started)


@pytest.mark.prove
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    generate({tmp_path / "once": SEED})
    again = sums(tmp_path / "once")
    if again != sums(COMMITTED):
        # Another kind of processor rounds the last bit of a sine or a power differently, and what
        # is chosen by it differs then: this machine must agree with itself.
        warnings.warn(
            "the committed files differ from this machine's: make demo-files", stacklevel=1
        )
        generate({tmp_path / "twice": SEED})
        assert sums(tmp_path / "twice") == again


@pytest.mark.prove
def test_another_seed_gives_another_city_with_the_same_figures(tmp_path: Path) -> None:
    generate({tmp_path: OTHER_SEED})
    # `generate` ran the checks; every file differs from the default city's.
    mine, theirs = manifest_of(COMMITTED), manifest_of(tmp_path)
    assert COUNTS.items() <= theirs["counts"].items()
    assert not {one["sha256"] for one in mine["files"].values()} & {
        one["sha256"] for one in theirs["files"].values()
    }
