"""`riskmap demo` and the service that loads the city unasked, as a user meets them."""

from __future__ import annotations

import os
import pty
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli_help import RISKMAP, Answer, Place, Service, a_place
from conftest import connect
from demo_help import COUNTS, EDGES, write_city
from riskmap.catalog.registry import load_catalog
from riskmap.db.base import METADATA
from riskmap.db.cluster import Cluster
from riskmap.demo import generate
from riskmap.i18n import catalogue

SEED = 20_261_122
AT = {"points": [[122.905, 35.005]], "minutes": [5, 10, 15]}
TABLES = [layer.table for layer in load_catalog().values()]
# What a load leaves of a table: every column but those that tell when and in which order.
TOLD_BY_THE_DATABASE = {"id", "created_at", "updated_at"}
CONTENT = """
SELECT count(*), md5(string_agg(row, '' ORDER BY row))
FROM (SELECT md5(ROW({columns})::text) FROM {table}) rows (row)
"""
BOOKS = """
SELECT (SELECT count(*) FROM history),
    (SELECT count(*) FROM feed WHERE revision IS NULL),
    (SELECT count(*) FROM audit WHERE action = 'demo.load')
        - (SELECT count(*) FROM audit WHERE action = 'demo.remove'),
    (SELECT sum(CASE op WHEN 'INSERT' THEN row_count ELSE -row_count END) FROM feed
        WHERE x_min IS NOT NULL)
"""


def content_of(table: str) -> str:
    columns = [
        column.name
        for column in METADATA.tables[table].columns
        if column.computed is None and column.name not in TOLD_BY_THE_DATABASE
    ]
    return CONTENT.format(table=table, columns=", ".join(columns))


def content(place: Place) -> dict[str, Any]:
    """Return what the database holds, table by table, and what its books say."""
    with place.cluster().running() as cluster, connect(cluster, "riskmap") as session:
        found = {
            table: session.execute(content_of(table)).fetchone()
            for table in ("city", "road_edges", *TABLES)
        }
        rows = sum(n for table, (n, _) in found.items() if table != "city")
        books = session.execute(BOOKS).fetchone()
        assert books is not None
        history, unnumbered, loads, inserted = books
        assert (history, unnumbered) == (0, 0)
        assert loads == found["city"][0]
        assert (inserted or 0) == rows, "the feed tells of other rows"
    return found


def sizes(found: dict[str, Any]) -> set[int]:
    return {n for n, _ in found.values()}


@pytest.fixture(scope="module")
def tiny() -> Iterator[tuple[Place, Answer]]:
    """A place that holds the tiny city, and what its load said."""
    with a_place(made=True) as place:
        folder = write_city(place.cwd / "files")
        yield place, place.done("demo", "load", "--files", folder)


def test_each_stage_is_a_line_where_there_is_no_terminal(tiny: tuple[Place, Answer]) -> None:
    _, said = tiny
    lines = [line for line in said.out.splitlines() if line.startswith("[")]
    assert len(lines) == len(COUNTS) + 4
    assert any("避难场所" in line and "Shelters" in line for line in lines)
    assert "\x1b" not in said.out
    assert "riskmap demo remove" in said.out


def test_a_second_load_says_that_it_is_there(tiny: tuple[Place, Answer]) -> None:
    place, _ = tiny
    before = content(place)
    answer = place.done("demo", "load", "--files", place.cwd / "files")
    assert "已在" in answer.out and "already" in answer.out
    assert content(place) == before


def test_a_real_city_takes_another_database(tiny: tuple[Place, Answer]) -> None:
    place, _ = tiny
    real = ("city", "init", "--name", "真城", "--bbox=120,36,121,37", "--crs", "EPSG:4549")
    before = content(place)
    for more in ((), ("--replace",)):
        place.run(*real, *more).refused(1, "riskmap demo remove", "演示市")
    assert content(place) == before


def test_a_damaged_file_is_named(tiny: tuple[Place, Answer], tmp_path: Path) -> None:
    place, _ = tiny
    folder = write_city(tmp_path / "files")
    (folder / "shelters.geojson").write_text("{}")
    place.run("demo", "load", "--files", folder).refused(2, "shelters.geojson", folder)


def test_generating_leaves_other_files_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("x")
    place = Place(tmp_path)
    for folder in (tmp_path, mine):
        place.run("demo", "generate", "--output", folder).refused(1, "--output", "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_each_stage_of_the_generator_has_its_words() -> None:
    source = Path(generate.__file__).read_text(encoding="utf-8")
    stages = set(re.findall(r'(?:tell|progress)\("(\w+)"\)', source))
    assert "terrain" in stages and "files" in stages
    assert {f"demo.making.{stage}" for stage in stages} <= catalogue().keys()


def asked(place: Place, reply: str) -> tuple[int, str]:
    """Run the removal at a terminal and answer its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*RISKMAP, "demo", "remove"],
        cwd=place.cwd,
        env=place.environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(theirs)
    os.write(ours, f"{reply}\n".encode())
    out, _ = process.communicate(timeout=300)
    os.close(ours)
    return process.returncode, out


def test_removal_asks_first(tiny: tuple[Place, Answer]) -> None:
    place, _ = tiny
    before = content(place)
    features = sum(COUNTS.values())
    place.run("demo", "remove").refused(1, "--yes", features, EDGES)
    code, said = asked(place, "n")
    assert code == 1 and "继续吗" in said and "Go on?" in said
    assert content(place) == before


def test_the_city_goes_and_comes_beside_a_running_service(tiny: tuple[Place, Answer]) -> None:
    place, _ = tiny
    before = content(place)
    (place.cwd / "own.csv").write_text("code,longitude,latitude\nX,122.9,35.0\n")
    with place.serving() as service:
        first = service.get("/analysis/response-circles", AT)
        assert first.status == 200 and first.json()["features"][0]["properties"]["people"] > 0

        place.done("import", "shelters", "own.csv", "--crs", "EPSG:4326", "--source", "own")
        place.run("demo", "remove", "--yes").refused(1, "--all", "shelters 1")
        gone = place.done("demo", "remove", "--yes", "--all").out
        assert f"{sum(COUNTS.values()) + 1}" in gone
        assert service.get("/").json()["city"] is None
        for layer in COUNTS:
            assert service.get(f"/collections/{layer}/items").json()["features"] == []
        reply = service.get("/analysis/response-circles", AT)
        assert reply.status == 503
        assert reply.json()["type"] == "urn:riskmap:problem:city.none"

        place.done("demo", "load", "--files", place.cwd / "files")
        again = service.get("/analysis/response-circles", AT)
        assert again.status == 200
        assert [f["properties"]["people"] for f in again.json()["features"]] == [
            f["properties"]["people"] for f in first.json()["features"]
        ]
        assert "Traceback" not in service.said
    assert content(place) == before


def test_without_the_demo_the_start_stays_empty() -> None:
    with a_place() as bare:
        # A variable that Python itself reads: this start is no fork.
        place = Place(bare.cwd, {"RISKMAP_DEMO": "0", "PYTHONFAULTHANDLER": "1"})
        with place.serving() as service:
            assert service.get("/").json()["city"] is None
            assert "riskmap city init" in service.said
    with a_place() as place:
        place.set(DEMO="perhaps").run("serve").refused(2, "RISKMAP_DEMO", "perhaps")


def test_an_external_database_gets_no_demo_unasked(
    cluster: Cluster, database_factory: Callable[[], str]
) -> None:
    url = cluster.owner_url(database_factory()).render_as_string(hide_password=False)
    with a_place() as bare:
        place = bare.set(DATABASE_URL=url, DEMO="1")
        place.done("migrate")
        with place.serving() as service:
            assert service.get("/").json()["city"] is None
            assert "riskmap city init" in service.said


def every(service: Service, layer: str) -> list[dict[str, Any]]:
    """Read all features of a layer, page by page; return their properties."""
    found, path = [], f"/collections/{layer}/items?limit=10000"
    while True:
        page = service.get(path).json()
        found += [feature["properties"] for feature in page["features"]]
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        if not following:
            return found
        path = following[0].removeprefix(service.address)


@pytest.fixture(scope="module")
def city() -> Iterator[tuple[Place, Service, float]]:
    """The real demo city, loaded by the service's own start, and how long that took."""
    with a_place() as bare:
        place = bare.set(DEMO="1")
        began = time.monotonic()
        with place.serving() as service:
            yield place, service, time.monotonic() - began


def test_a_start_on_an_empty_database_loads_the_city(city: tuple[Place, Service, float]) -> None:
    _, service, _ = city
    assert "RISKMAP_DEMO=0" in service.said
    assert service.said.index("[ 1/") < service.said.index("riskmap is ready")
    shown = service.get("/").json()["city"]
    assert (shown["name"], shown["synthetic"]) == ("演示市", True)


def test_the_published_figures(city: tuple[Place, Service, float]) -> None:
    _, service, _ = city
    rows = {layer: every(service, layer) for layer in load_catalog()}
    n = {layer: len(found) for layer, found in rows.items()}
    assert n["geohazard-points"] == 2331
    assert n["flash-flood-zones"] == 1407
    assert n["flood-impact-areas"] == 82
    assert n["fault-lines"] == 9
    assert n["major-hazard-sources"] == 192
    owners = {row["enterprise_code"] for row in rows["major-hazard-sources"]}
    assert len(owners) == 97
    assert n["enterprises"] == 2331
    assert owners <= {row["code"] for row in rows["enterprises"]}
    assert n["risk-records"] >= 6000
    assert len({row["department"] for row in rows["risk-records"]}) >= 3
    assert n["shelters"] == 305
    assert n["rescue-teams"] == 383
    assert sum(row["personnel"] for row in rows["rescue-teams"]) == 26_000
    micro = [row for row in rows["rescue-teams"] if row["kind"] == "micro_station"]
    assert len(micro) == 49
    vehicles: Counter[str] = Counter()
    for row in micro:
        for vehicle in row["vehicles"]:
            vehicles["two-wheel" if "两轮" in vehicle["type"] else "car"] += vehicle["count"]
    assert vehicles == {"car": 20, "two-wheel": 100}
    levels = Counter(row["level"] for row in rows["admin-divisions"])
    assert (levels["district"], levels["street"]) == (11, 139)
    people = sum(row["population"] for row in rows["population-cells"])
    assert 8_800_000 <= people <= 9_200_000
    assert all(row["stock"] for row in rows["supply-depots"])
    for layer, found in rows.items():
        assert {row["source_system"] for row in found} == {"demo"}, layer
        assert {row["data_quality"] for row in found} == {"synthetic"}, layer


def test_the_roads_and_a_circle(city: tuple[Place, Service, float]) -> None:
    place, service, _ = city
    found = content(place)
    assert found["road_edges"][0] >= 60_000
    teams = service.get("/collections/rescue-teams/items?limit=1").json()["features"]
    at = teams[0]["geometry"]["coordinates"]
    reply = service.get("/analysis/response-circles", {"points": [at], "minutes": [5, 10, 15]})
    assert reply.status == 200
    assert reply.json()["features"][0]["properties"]["people"] > 0


class Killed:
    """Starts of the service on an empty database, killed while they load the city."""

    def __init__(self, place: Place, whole: dict[str, Any]) -> None:
        self.place, self.whole = place, whole
        self.outcomes: Counter[str] = Counter()

    def kill(self, line: str, after_s: float) -> None:
        """Start, wait until a stage is told, kill -9 so much later; look at what is left."""
        service = Service(self.place)
        deadline = time.monotonic() + 300
        while line not in service.said and service.process.poll() is None:
            assert time.monotonic() < deadline, service.said
            time.sleep(0.02)
        time.sleep(after_s)
        ended = "is loaded" in service.said
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        service.end()
        found = content(self.place)
        assert found == self.whole or sizes(found) == {0}, "a part was left"
        state = "whole" if sizes(found) != {0} else "nothing"
        self.outcomes[f"{'too late' if ended else 'in time'}: {state}"] += 1

    def next_start(self) -> None:
        """Start again: the city is whole, whatever was before."""
        with self.place.serving() as service:
            assert service.get("/readyz").json()["city"] is True
            assert "Traceback" not in service.said
        assert content(self.place) == self.whole


def test_a_start_that_is_killed(city: tuple[Place, Service, float]) -> None:
    whole = content(city[0])
    with a_place() as bare:
        killed = Killed(bare.set(DEMO="1"), whole)
        killed.kill("[ 9/", 0.1)
        assert killed.outcomes == {"in time: nothing": 1}
        killed.next_start()


@pytest.mark.prove
def test_many_starts_that_are_killed(
    city: tuple[Place, Service, float], capsys: pytest.CaptureFixture[str]
) -> None:
    kills = int(os.environ.get("PROVE_KILLS", "60")) // 3
    whole = content(city[0])
    chance = random.Random(SEED)
    with a_place() as bare:
        killed = Killed(bare.set(DEMO="1"), whole)
        stages = len(load_catalog()) + 4
        for number in count():
            if killed.outcomes["in time: nothing"] >= kills:
                break
            assert number < 3 * kills, killed.outcomes
            killed.kill(f"[{chance.randint(1, stages):>2}/", chance.uniform(0, 1.5))
            if number % 5 == 4:
                killed.next_start()
            if sizes(content(killed.place)) != {0}:
                killed.place.done("demo", "remove", "--yes")
    with capsys.disabled():
        print(f"\n{killed.outcomes}")  # noqa: T201
