"""Networks that move while others ask: older ones at once, newer ones soon, never a mixture."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import BLOCK_S, build  # noqa: E402

from api_help import eventually  # noqa: E402
from riskmap.db.city import City  # noqa: E402
from riskmap.db.sessions import Actor, Database  # noqa: E402
from riskmap.errors import UnavailableError  # noqa: E402
from riskmap.roads import folder as folders  # noqa: E402
from riskmap.roads import graphs  # noqa: E402
from riskmap.roads.graph import RoadGraph  # noqa: E402
from riskmap.roads.graphs import Graphs, Network  # noqa: E402
from riskmap.roads.load import roads_revision  # noqa: E402

SRID = 4549
BOTH = ("emergency", "ordinary")
# Ordinary vehicles take twice as long; "times" is a factor on top for both.
SPEEDS = "UPDATE road_speeds SET speed_kmh = speed_kmh / {} WHERE road_class ~ '^[hv][0-9]'"

CHILD = """
import os, sys, time
from pathlib import Path
from riskmap.db.sessions import Database
from riskmap.roads import folder, graphs
from riskmap.roads.load import roads_revision
from riskmap.settings import Settings

owner, api, data, log, way = sys.argv[1:]
database = Database(owner, api, Settings(database_url=owner, api_database_url=api))

def say(word):
    with open(log, "a") as file:
        file.write(word + "\\n")

read = graphs.read_graph
def noted(session, **how):
    say(f"builds {how['profile']}")
    time.sleep(0.3)  # whoever comes now finds it at work
    return read(session, **how)
graphs.read_graph = noted
if way == "dies":
    def half(path):
        say("half")
        time.sleep(600)
    folder._sync_folder = half
with database.read() as session:
    revision = roads_revision(session)
all_ = graphs.Graphs(Path(data), database)
for profile in ("emergency", "ordinary"):
    found = all_.get(revision, profile=profile, srid=4549, fresh=True).graph
    assert found.revision == revision, (found.revision, revision)
    say(f"has {profile}")
"""


@pytest.fixture
def streets(database: Database, city: City) -> Database:
    build(database)
    return database


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def revision(database: Database) -> str:
    with database.read() as session:
        found = roads_revision(session)
    assert found is not None
    return found


def edit(database: Database, statement: str) -> str:
    with database.own(Actor("test")) as session:
        session.execute(text(statement))
    return revision(database)


def slower(database: Database) -> str:
    return edit(database, SPEEDS.format(2))


def block_ms(network: Network) -> int:
    """Return the time of most edges, which is that of a block."""
    return int(np.median(network.graph.forward_ms))


def store(graphs_: Graphs) -> Path:
    return graphs_._folder


@contextmanager
def somebody_builds(graphs_: Graphs) -> Iterator[None]:
    """Hold the lock of all processes."""
    store(graphs_).mkdir(parents=True, exist_ok=True)
    with (store(graphs_) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def child(database: Database, data: Path, log: Path, way: str) -> subprocess.Popen[bytes]:
    urls = (
        url.set(drivername="postgresql").render_as_string(hide_password=False)
        for url in (database.owner_url, database.api_url)
    )
    words = [sys.executable, "-c", CHILD, *urls, str(data), str(log), way]
    return subprocess.Popen(words, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def test_the_older_network_answers_until_the_newer_one_is_there(
    streets: Database, data: Path
) -> None:
    all_ = Graphs(data, streets)
    first = revision(streets)
    old = {p: all_.get(first, profile=p, srid=SRID) for p in BOTH}
    assert [block_ms(old[p]) for p in BOTH] == [BLOCK_S * 1000, 2 * BLOCK_S * 1000]
    with somebody_builds(all_):
        second = slower(streets)
        for _ in range(3):
            serving = all_.serving(second, srid=SRID)
            assert serving.outdated(second) and not serving.outdated(first)
            assert serving.get("emergency") is old["emergency"]
            assert all_.get(second, profile="ordinary", srid=SRID) is old["ordinary"]
        threads = [t for t in threading.enumerate() if t.name == "roads"]
        assert len(threads) == 1, "one thread builds, however many ask"
    eventually(lambda: not all_.serving(second, srid=SRID).outdated(second))
    new = all_.serving(second, srid=SRID)
    for p in BOTH:
        assert new.get(p).graph.revision == second
        assert block_ms(new.get(p)) == 2 * block_ms(old[p])
    # Who read the revision before the swap is answered with the newer one, and starts nothing.
    late = all_.serving(first, srid=SRID)
    assert late is new and not late.outdated(first)
    threads[0].join(30)
    assert not any(t.name == "roads" for t in threading.enumerate())
    # The old one still works for whoever holds it, though its files are gone.
    assert not any(first in path.name for path in store(all_).iterdir())
    assert block_ms(old["emergency"]) == BLOCK_S * 1000


def test_a_database_that_goes_back_is_followed(
    streets: Database, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "_PAST_S", 0.0)
    all_ = Graphs(data, streets)
    first = revision(streets)
    all_.get(first, profile="emergency", srid=SRID)
    second = slower(streets)
    all_.get(second, profile="emergency", srid=SRID, fresh=True)
    # As a restored backup has it: the same revision at the same time.
    edit(streets, "UPDATE road_speeds SET speed_kmh = speed_kmh * 2 WHERE road_class ~ '^[hv]'")
    number = first.partition("-")[0]
    edit(streets, f"DELETE FROM feed WHERE layer = 'roads' AND revision > {number}")
    assert revision(streets) == first
    back = all_.get(first, profile="emergency", srid=SRID, fresh=True)
    assert (back.graph.revision, block_ms(back)) == (first, BLOCK_S * 1000)


def test_graphs_are_mapped_and_the_first_caller_waits(streets: Database, data: Path) -> None:
    all_, other = Graphs(data, streets), Graphs(data, streets)
    now = revision(streets)
    built = all_.get(now, profile="emergency", srid=SRID).graph
    loaded = other.get(now, profile="emergency", srid=SRID).graph
    for graph in (built, loaded):
        for name in ("xy", "head", "cost_ms"):
            base = getattr(graph, name)
            while base is not None and not isinstance(base, np.memmap):
                base = base.base
            assert base is not None, f"{name} is in this process's own memory"


def test_no_answer_mixes_revisions(streets: Database, data: Path) -> None:
    all_ = Graphs(data, streets)
    stop = threading.Event()
    seen: set[str] = set()

    def ask(_: int) -> int:
        asked = 0
        while not stop.is_set():
            serving = all_.serving(revision(streets), srid=SRID)
            emergency = serving.get("emergency")
            time.sleep(0.002)  # an answer takes its time between its networks
            ordinary = serving.get("ordinary")
            assert emergency.graph.revision == ordinary.graph.revision
            assert block_ms(ordinary) == 2 * block_ms(emergency)
            seen.add(emergency.graph.revision)
            asked += 1
        return asked

    for p in BOTH:
        all_.get(revision(streets), profile=p, srid=SRID)
    with ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(ask, n) for n in range(8)]
        try:
            for _ in range(4):
                now = slower(streets)
                eventually(lambda now=now: now in seen)  # type: ignore[misc]
        finally:
            stop.set()
        assert all(thread.result() > 0 for thread in threads)
    assert len(seen) >= 5


def test_two_processes_build_once(streets: Database, data: Path, tmp_path: Path) -> None:
    for number in range(2):
        log = tmp_path / f"log{number}"
        pair = [child(streets, data, log, "lives") for _ in range(2)]
        assert [one.wait(120) for one in pair] == [0, 0]
        said = sorted(log.read_text().split("\n"))[1:]
        built, had = [[f"{w} {p}" for p in BOTH] for w in ("builds", "has")]
        assert said == [*built, *sorted(had * 2)], "each graph is built by one, and both have it"
        slower(streets)


def test_who_is_killed_while_building_leaves_nothing_in_the_way(
    streets: Database, data: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    dying = child(streets, data, log, "dies")
    eventually(lambda: "half" in log.read_text(), tries=6000)
    all_ = Graphs(data, streets)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            all_.get, revision(streets), profile="emergency", srid=SRID, fresh=True
        )
        time.sleep(0.2)
        assert not waiting.done() and any(store(all_).glob(".emergency-*"))
        dying.send_signal(signal.SIGKILL)
        dying.wait(30)
        assert block_ms(waiting.result(60)) == BLOCK_S * 1000
    assert [path.name for path in store(all_).iterdir() if path.is_dir()] == [
        f"emergency-{SRID}-{revision(streets)}"
    ]


def test_nobody_waits_for_ever_for_another_process(
    streets: Database, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "PATIENCE_S", 0.2)
    all_ = Graphs(data, streets)
    with somebody_builds(all_), pytest.raises(UnavailableError) as caught:
        all_.get(revision(streets), profile="emergency", srid=SRID)
    assert caught.value.key == "roads.building"
    all_.get(revision(streets), profile="emergency", srid=SRID)


def test_a_deleted_folder_costs_a_build(streets: Database, data: Path) -> None:
    all_ = Graphs(data, streets)
    now = revision(streets)
    mapped = all_.get(now, profile="emergency", srid=SRID)
    shutil.rmtree(data)
    assert all_.get(now, profile="emergency", srid=SRID) is mapped
    assert block_ms(mapped) == BLOCK_S * 1000
    assert block_ms(all_.get(now, profile="ordinary", srid=SRID)) == 2 * BLOCK_S * 1000
    shutil.rmtree(data)
    now = slower(streets)
    fresh = all_.get(now, profile="emergency", srid=SRID, fresh=True)
    assert fresh.graph.revision == now
    other = Graphs(data, streets)
    assert other.get(now, profile="ordinary", srid=SRID).graph.revision == now


@pytest.mark.parametrize("files", [0, 3])
def test_a_full_disk(
    streets: Database, data: Path, monkeypatch: pytest.MonkeyPatch, files: int, caplog: Any
) -> None:
    written = 0
    save = np.save

    def full(*arguments: Any, **how: Any) -> None:
        nonlocal written
        written += 1
        if written > files:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **how)

    all_ = Graphs(data, streets)
    now = revision(streets)
    monkeypatch.setattr(folders.np, "save", full)
    assert block_ms(all_.get(now, profile="emergency", srid=SRID)) == BLOCK_S * 1000
    now = slower(streets)
    new = all_.get(now, profile="emergency", srid=SRID, fresh=True)
    assert block_ms(new) == 2 * BLOCK_S * 1000
    assert [path.name for path in store(all_).iterdir()] == [".lock"]
    assert "cannot be kept" in caplog.text
    monkeypatch.undo()
    assert Graphs(data, streets).get(now, profile="emergency", srid=SRID).graph.revision == now


def failing(*_: object, **__: object) -> RoadGraph:
    raise MemoryError("no memory for it")


def test_a_failed_build_keeps_the_old_and_is_not_tried_at_once(
    streets: Database, data: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    all_ = Graphs(data, streets)
    old = all_.get(revision(streets), profile="emergency", srid=SRID)
    tries = 0

    def counted(*arguments: Any, **how: Any) -> RoadGraph:
        nonlocal tries
        tries += 1
        return failing()

    monkeypatch.setattr(graphs, "read_graph", counted)
    now = slower(streets)

    def asked() -> Network:
        return all_.get(now, profile="emergency", srid=SRID)

    assert asked() is old
    eventually(lambda: "the older ones stay" in caplog.text)
    assert now in caplog.text and "no memory for it" in caplog.text
    for _ in range(20):
        assert asked() is old and all_.serving(now, srid=SRID).outdated(now)
    assert tries == 1
    with pytest.raises(MemoryError):
        all_.get(now, profile="emergency", srid=SRID, fresh=True)
    monkeypatch.setattr(graphs, "RETRY_S", 0.0)
    assert asked() is old
    eventually(lambda: tries == 3)
    monkeypatch.setattr(graphs, "read_graph", graphs_read)
    eventually(lambda: asked().graph.revision == now)


graphs_read: Callable[..., RoadGraph] = graphs.read_graph


def test_a_profile_that_loses_all_its_roads_has_none(streets: Database, data: Path) -> None:
    all_ = Graphs(data, streets)
    now = revision(streets)
    for p in BOTH:
        all_.get(now, profile=p, srid=SRID)
    with pytest.raises(UnavailableError) as caught:
        all_.get(now, profile="walk", srid=SRID)
    assert caught.value.key == "roads.none_open"
    now = edit(streets, "DELETE FROM road_speeds WHERE profile = 'ordinary'")
    all_.get(now, profile="ordinary", srid=SRID)  # the older network, for the moment
    eventually(lambda: not all_.serving(now, srid=SRID).outdated(now))
    for p in ("ordinary", "walk"):
        with pytest.raises(UnavailableError) as caught:
            all_.get(now, profile=p, srid=SRID)
        assert caught.value.key == "roads.none_open"
    assert all_.get(now, profile="emergency", srid=SRID).graph.revision == now
    with pytest.raises(UnavailableError) as caught:
        all_.get(None, profile="emergency", srid=SRID)
    assert caught.value.key == "roads.none"


def test_another_projection_is_no_older_network(streets: Database, data: Path) -> None:
    all_ = Graphs(data, streets)
    now = revision(streets)
    old = all_.get(now, profile="emergency", srid=SRID).graph
    new = all_.get(now, profile="emergency", srid=4528).graph
    assert (old.srid, new.srid) == (SRID, 4528)
    assert abs(new.xy[0, 0] - old.xy[0, 0]) > 1_000_000


def test_the_roads_move_on_between_two_profiles(streets: Database, data: Path) -> None:
    """A profile that nobody had asked for cannot be made of a revision that is gone."""
    all_ = Graphs(data, streets)
    serving = all_.serving(revision(streets), srid=SRID)
    serving.get("emergency")
    now = slower(streets)
    with pytest.raises(UnavailableError) as caught:
        serving.get("ordinary")
    assert caught.value.key == "roads.building"
    eventually(lambda: not all_.serving(now, srid=SRID).outdated(now))
    assert all_.get(now, profile="ordinary", srid=SRID).graph.revision == now
    # Nobody had any yet: all are of the revision that the first one comes with.
    empty = data / "empty"
    serving = Graphs(empty, streets).serving(now, srid=SRID)
    now = slower(streets)
    assert {serving.get(p).graph.revision for p in BOTH} == {now}
    assert {graph.profile for graph in Graphs(empty, streets).build_all(srid=SRID)} == set(BOTH)
