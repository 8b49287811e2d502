"""Every request that docs/scenarios.md shows is answered, in a city at its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_help import CATALOG, Served, serving
from demo_help import write_city
from riskmap.analysis.scenarios import KEYS
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor
from riskmap.demo.load import load_demo, read_files
from riskmap.roads.graphs import Graphs

DOCS = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
REQUESTS = re.findall(
    r"^(GET) (/\S*)$|^(POST) (/\S*)\n\n```json\n(.*?)\n```", DOCS, re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def served(
    cluster: Cluster, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    files = write_city(tmp_path_factory.mktemp("docs") / "city")
    with serving(cluster, migrated, city=False) as made:
        load_demo(
            made.database,
            CATALOG,
            Graphs(made.settings.data_dir, made.database),
            read_files(files),
            actor=Actor("test"),
            progress=lambda _: None,
        )
        yield made


def test_every_request_is_answered_in_the_order_of_the_page(served: Served) -> None:
    assert len(REQUESTS) >= 9
    for get, address, post, target, body in REQUESTS:
        if get:
            answer = served.client.get(address)
        else:
            headers = served.headers("editor")
            answer = served.client.post(target, json=json.loads(body), headers=headers)
        assert answer.status_code in (200, 201), (address or target, answer.text)
        said = answer.json()
        if "scenario=" in address or (post and "scenario" in body and "/compare" in target):
            assert said["scenario"]["digest"], address
            assert "+" in said["network_revision"]


def test_the_page_tells_every_key() -> None:
    table = DOCS.split("## 随请求给出")[0]
    assert [name for name in KEYS if f"`{name}`" not in table] == []
