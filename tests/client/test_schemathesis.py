"""The API's description against the service: requests that schemathesis makes of it, all checks.

It asks what the description allows, which must be answered, and what it forbids, which must be
refused, with the statuses, types and shapes that are described. `make prove-api` asks more, longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_help import listening
from ogc_help import a_city
from riskmap.app import create_app
from riskmap.db.cluster import Cluster

ITEMS = "/collections/{collectionId}/items"
# Reading alone: what is written is proved in test_edits.py.
READ = (
    *("/", "/conformance", "/collections", "/collections/{collectionId}", "/api", "/locate"),
    *("/collections/{collectionId}/queryables", "/collections/{collectionId}/schema"),
    *(ITEMS, f"{ITEMS}/{{featureId}}"),
)
MORE = ("/search", "/collections/{collectionId}/summary", "/collections/geohazard-points/items")
WRITING = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def root(cluster: Cluster, migrated: str) -> Iterator[str]:
    with a_city(cluster, migrated) as served, listening(create_app(served.settings)) as port:
        yield f"http://127.0.0.1:{port}"


def ask(root: str, paths: tuple[str, ...], folder: Path, *options: str) -> None:
    """Run schemathesis with all checks; what it finds is a failure."""
    chosen = [part for path in paths for part in ("--include-path", path)]
    left = [part for method in WRITING for part in ("--exclude-method", method)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{root}/openapi.json"),
            *("--checks", "all", "--continue-on-failure", "--no-color"),
            *(*chosen, *left, *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        },
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f"Tested: {len(paths)}" in done.stdout, done.stdout[-3000:]


def test_what_is_described_is_what_is_answered(root: str, tmp_path: Path) -> None:
    ask(root, READ, tmp_path, "--phases", "examples,coverage", "--seed", "1", "--workers", "2")


@pytest.mark.prove
def test_what_is_described_is_what_is_answered_at_length(root: str, tmp_path: Path) -> None:
    """The seed is another one each time; schemathesis says which."""
    phases = ("--phases", "examples,coverage,fuzzing")
    ask(root, (*READ, *MORE), tmp_path, *phases, "--max-examples", "200", "--workers", "2")
