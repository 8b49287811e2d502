"""Every address that docs/circles.md shows is answered by the demo city."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_help import Served, serving_the_demo
from riskmap.analysis.response import Cutoff, Output, Overlap
from riskmap.api.reach import ASKED
from riskmap.db.cluster import Cluster

DOCS = (Path(__file__).parents[2] / "docs" / "circles.md").read_text(encoding="utf-8")
ADDRESSES = re.findall(r"^GET (/\S+)$", DOCS, re.MULTILINE)


@pytest.fixture(scope="module")
def demo(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving_the_demo(cluster, migrated) as made:
        yield made


def test_every_address_is_answered(demo: Served) -> None:
    assert len(ADDRESSES) >= 16
    for address in ADDRESSES:
        answer = demo.client.get(address)
        assert answer.status_code == 200, (address, answer.text[:500])
        if "f=csv" in address:
            assert answer.text.count("\r\n") > 2, address
            continue
        said = answer.json()
        if "response-circles" in address:
            assert said["features"] and said["network_revision"], address
        elif "reach" in address:
            assert said["teams"] and said["network_revision"], address


def test_every_choice_is_told() -> None:
    told = DOCS.split("## 谁能到达")[0]
    for choice in (*Overlap, *Cutoff, *Output):
        assert f"`{choice}`" in told
    assert {name for name in ASKED if name.startswith("need_")} <= set(re.findall(r"\w+", DOCS))
