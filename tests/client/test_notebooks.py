"""The notebooks run against a real service, and their numbers are its numbers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from api_help import put
from online_help import Online, an_online_city, place
from riskmap.db.cluster import Cluster

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIRST = ROOT / "notebooks" / "01_first_look.ipynb"
# What the notebook leaves behind, told by a cell that only the test adds.
TELL = """
import json as _json
print(_json.dumps({
    "hazards": len(hazards), "shelters": len(shelters), "free": int(free.sum()),
    "by_level": by_level.iloc[:, 0].tolist(), "start": [start.x, start.y],
    "minutes": circle["minutes"].tolist(), "people": circle["people"].tolist(),
    "hazards_inside": circle["geohazard-points"].tolist(), "crs": str(circle.crs),
    "teams": teams["name"].tolist(),
}))
"""


@pytest.fixture(scope="module")
def online(cluster: Cluster, migrated: str) -> Iterator[Online]:
    with an_online_city(cluster, migrated) as found:
        lon, lat = place(5, 2)
        team = {"code": "T", "name": "测试消防站", "kind": "fire_station"}
        put(found.served.database, "rescue-teams", {**team, "geom": f"POINT({lon} {lat})"})
        # More than lie around any other station.
        for column in range(10):
            lon, lat = place(column, 2)
            shelter = {"code": f"S{column}", "name": "测试小学", "geom": f"POINT({lon} {lat})"}
            put(found.served.database, "shelters", shelter)
        yield found


@pytest.fixture(scope="module")
def executed(online: Online) -> Any:
    notebook = nbformat.read(FIRST, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(TELL))
    environment = {
        **os.environ,
        "RISKMAP_URL": online.url,
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONWARNINGS": "error::UserWarning,error::DeprecationWarning:riskmap",
    }
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=environment)
    return notebook


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_is_committed_without_outputs(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert all(
        re.search(r"[\u4e00-\u9fff].*[A-Za-z]{3}", cell.source, re.DOTALL)
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    )


def test_its_counts_are_the_service_s(online: Online, executed: Any) -> None:
    told = json.loads(executed.cells[-1].outputs[0].text)
    assert told["hazards"] == online.items("geohazard-points")["numberMatched"] > 0
    assert told["shelters"] == online.items("shelters")["numberMatched"] > 0
    levels = [
        online.items("geohazard-points", risk_level=level)["numberMatched"]
        for level in ("1", "2", "3", "4", "null")
    ]
    assert told["by_level"] == levels
    usable = [
        feature["properties"]
        for feature in online.items("shelters", open_status="open,standby")["features"]
    ]
    free = [max(0, one["capacity_persons"] - one["current_occupancy"]) for one in usable]
    assert free
    assert told["free"] == sum(free)


def test_its_circle_is_the_service_s(online: Online, executed: Any) -> None:
    told = json.loads(executed.cells[-1].outputs[0].text)
    assert told["start"] == pytest.approx(place(5, 2))
    body = {"points": [told["start"]], "minutes": [5, 10, 15], "kind": "fire_station"}
    answer = online.served.client.post("/analysis/response-circles", json=body).json()
    bands = [band["properties"] for band in answer["features"][::-1]]
    assert told["minutes"] == [5, 10, 15]
    assert told["people"] == [band["people"] for band in bands]
    counts = [band["layers"]["geohazard-points"]["count"] for band in bands]
    assert told["hazards_inside"] == counts
    assert told["crs"] == "EPSG:4326"
    assert told["teams"] == ["测试消防站"]


def test_it_draws_maps_that_ask_no_other_host(online: Online, executed: Any) -> None:
    pages = [
        output.data["text/html"]
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {}) and "srcdoc" in output.data["text/html"]
    ]
    assert len(pages) == 2
    for page in pages:
        hosts = set(re.findall(r"https?://[^/\s&\"']+", page))
        assert hosts == {online.url}
        assert "演示数据" in page
    assert "15 分钟" in pages[1]
