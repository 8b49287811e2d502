"""`make help` tells of everything that `make` can do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_lists_every_target_in_both_languages() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    targets = {name for line in phony for name in line.split()}
    said = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", "help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    listed = re.findall(r"^  make ([a-z-]+) +(\S.*)\n +(\S.*)$", said, re.MULTILINE)
    assert {name for name, _, _ in listed} == targets
    assert all(re.search("[\u4e00-\u9fff]", zh) and en.isascii() for _, zh, en in listed)


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line) for line in lines)
