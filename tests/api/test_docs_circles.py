"""Every address that docs/circles.md shows is answered by the demo city."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from api_help import Served, serving_the_demo
from riskmap.analysis.response import Cutoff, Output, Overlap
from riskmap.api.reach import ReachBody
from riskmap.cli.main import app
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
            assert (said["teams"] or said["later"]) and said["network_revision"], address


def test_every_choice_is_told() -> None:
    told = DOCS.split("## 谁能到达")[0]
    for choice in (*Overlap, *Cutoff, *Output):
        assert f"`{choice}`" in told
    assert {name for name in ReachBody.model_fields if name.startswith("need_")} <= set(
        re.findall(r"\w+", DOCS)
    )


def test_questions_1_5_7_and_11_by_one_command_each(
    demo: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """谁能到, 135 缺哪一级, 哪些没有队伍, 邻市力量算不算: with a picture where there is one."""
    monkeypatch.setenv("RISKMAP_DATABASE_URL", str(demo.settings.database_url))
    monkeypatch.setenv("RISKMAP_API_DATABASE_URL", str(demo.settings.api_database_url))
    monkeypatch.setenv("RISKMAP_DATA_DIR", str(demo.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    source = demo.get("/collections/major-hazard-sources/items", limit=1).json()["features"][0]
    commands = {
        f"reach --feature major-hazard-sources/{source['id']} --picture who.svg": "到达 Arrival",
        "reach --at 123.0,35.05 --preset 135-stations": "微型站",
        "coverage --layer geohazard-points --minutes 15 --picture missed.svg": "1,",
        "coverage --layer geohazard-points --minutes 15 --neighbours out": "1,",
    }
    for command, words in commands.items():
        shown = CliRunner().invoke(app, command.split())
        assert shown.exit_code == 0, (command, shown.output, shown.exception)
        assert words in shown.stdout, (command, shown.stdout)
    for name in ("who.svg", "missed.svg"):
        picture = (tmp_path / name).read_text(encoding="utf-8")
        ElementTree.fromstring(picture)  # noqa: S314 - our own text
        assert "演示数据 Synthetic data" in picture
    wrong = CliRunner().invoke(app, ["reach", "--at", "x,y"])
    assert wrong.exit_code != 0 and "--at" in str(wrong.exception)
