"""The wheel holds what the service reads beside its code."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ASK = """
import riskmap
from riskmap.catalog.registry import load_catalog
from riskmap.db.migrate import code_head, scripts_folder
from riskmap.demo.load import layers_folder, read_files
from riskmap.i18n import say
print(riskmap.__file__)
print(layers_folder())
print(len(read_files(layers_folder()).layers))
print(scripts_folder())
print(code_head(), len(load_catalog()), say("city.none", "en"))
"""


PAGE = Path("src/riskmap/web/static")
FILES = Path("data/layers")


def missing(what: str, hint: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} missing in CI: {hint}")
    pytest.skip(f"{what} is missing: {hint}")


@pytest.fixture(autouse=True)
def hatchling() -> None:
    if importlib.util.find_spec("hatchling") is None:
        missing("hatchling", "it is in the dev extras")


def build(root: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_wheel_holds_all_that_it_reads(tmp_path: Path) -> None:
    if not (ROOT / PAGE / "index.html").is_file():
        missing("the built page", "make web")
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("riskmap-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        names = archive.namelist()
    for folder, ending in (("layers", ".py"), ("i18n/catalogue", ".toml")):
        stored = {path.name for path in (ROOT / "src" / "riskmap" / folder).glob(f"*{ending}")}
        packed = {n.rpartition("/")[2] for n in names if n.startswith(f"riskmap/{folder}/")}
        assert stored <= packed
    for folder, inside in ((PAGE, "riskmap/web/static"), (FILES, "riskmap/_demo_layers")):
        stored = {
            path.relative_to(ROOT / folder): path.read_bytes()
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
        assert stored
        for name, content in stored.items():
            assert (installed / inside / name).read_bytes() == content
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    module, files, demo, scripts, facts = asked.stdout.splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(files) == installed / "riskmap" / "_demo_layers"
    assert demo == "13"
    assert Path(scripts) == installed / "riskmap" / "_migrations"
    versions = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    assert {path.name for path in versions} <= {
        p.name for p in (Path(scripts) / "versions").iterdir()
    }
    head, layers, sentence = facts.split(" ", 2)
    assert f'revision = "{head}"' in "".join(p.read_text(encoding="utf-8") for p in versions)
    assert layers == "13"
    assert "riskmap city init" in sentence


@pytest.mark.parametrize(
    ("lacks", "hint"), [(PAGE, "make web"), (FILES, "make demo-files")], ids=["page", "files"]
)
def test_no_wheel_is_packed_without(tmp_path: Path, lacks: Path, hint: str) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("static"))
    shutil.copytree(ROOT / "migrations", root / "migrations")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root)
    for folder, name in ((PAGE, "index.html"), (FILES, "manifest.json")):
        if folder != lacks:
            (root / folder).mkdir(parents=True)
            (root / folder / name).write_text("{}")
    built = build(root, tmp_path)
    assert built.returncode != 0
    assert hint in built.stdout + built.stderr
    assert not list(tmp_path.glob("*.whl"))
    (root / lacks).mkdir(parents=True)
    (root / lacks / ("index.html" if lacks == PAGE else "manifest.json")).write_text("{}")
    assert build(root, tmp_path).returncode == 0
    assert list(tmp_path.glob("*.whl"))
