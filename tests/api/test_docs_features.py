"""Every address that docs/features.md shows is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_help import Served, serving
from riskmap.db.cluster import Cluster
from riskmap.demo.ground import BOX

DOCS = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
ADDRESSES = re.findall(r"^GET (/.*)$", DOCS, re.MULTILINE)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated, rows=7) as made:
        yield made


def test_it_shows_some() -> None:
    assert len(ADDRESSES) > 20


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_answered(served: Served, address: str) -> None:
    answer = served.client.get(address)
    assert answer.status_code == 200, answer.text


def test_the_examples_lie_in_the_city_that_a_first_start_shows() -> None:
    """Who copies one must get features, not an empty list."""
    pairs = re.findall(r"(\d+\.\d+),(\d+\.\d+)", "\n".join(ADDRESSES))
    pairs += re.findall(r"lon=([\d.]+)&lat=([\d.]+)", DOCS)
    assert len(pairs) > 6
    for pair in pairs:
        north, east = sorted(map(float, pair))
        assert BOX.west < east < BOX.east and BOX.south < north < BOX.north, pair


TILES = (Path(__file__).parents[2] / "docs" / "tiles.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("address", re.findall(r"\]\((/[^)]*)\)", TILES))
def test_an_address_of_the_tiles_is_answered(served: Served, address: str) -> None:
    answer = served.client.get(address)
    assert answer.status_code == 200, answer.text
