"""The wheel holds what the service reads beside its code."""

from __future__ import annotations

import importlib.util
import os
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
from riskmap.i18n import say
print(riskmap.__file__)
print(scripts_folder())
print(code_head(), len(load_catalog()), say("city.none", "en"))
"""


def test_an_installed_wheel_knows_its_migrations(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        if os.environ.get("CI"):
            pytest.fail("hatchling missing in CI: it is in the dev extras")
        pytest.skip("hatchling is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
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
    module, scripts, facts = asked.stdout.splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(scripts) == installed / "riskmap" / "_migrations"
    versions = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    assert {path.name for path in versions} <= {
        p.name for p in (Path(scripts) / "versions").iterdir()
    }
    head, layers, sentence = facts.split(" ", 2)
    assert f'revision = "{head}"' in "".join(p.read_text(encoding="utf-8") for p in versions)
    assert layers == "12"
    assert "riskmap city init" in sentence
