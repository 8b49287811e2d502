"""`riskmap tiles export` as a user runs it: killed, interrupted, twice at once, misled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import demo_help
from archive_help import Tiles, places, read, same
from cli_help import PATIENCE_S, Place, a_place
from riskmap.tiles.archive_work import part_of

BOX = (demo_help.WEST, demo_help.SOUTH, demo_help.WEST + 0.012, demo_help.SOUTH + 0.012)
# More tiles than by default, so that a kill finds it at work.
ZOOMS = "0-18"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A tiny city in a cluster that another process keeps up, so that kills hit exports alone."""
    with a_place(made=True) as found:
        files = demo_help.write_city(found.cwd / "files")
        found.done("demo", "load", "--files", files)
        with found.cluster().running():
            yield found


@pytest.fixture(scope="module")
def whole(place: Place) -> Tiles:
    """The tiles of an export that nothing disturbed."""
    place.done("tiles", "export", "--zooms", ZOOMS, "-o", "whole.pmtiles")
    return read(place.cwd / "whole.pmtiles")[0]


def equal(found: Tiles, wanted: Tiles) -> bool:
    return set(found) == set(wanted) and all(same(found[at], wanted[at]) for at in wanted)


def wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def begun(output: Path) -> bool:
    """Say whether an export holds its work file."""
    part = part_of(output)
    return part.exists() and part.stat().st_size > 0


def killed(place: Place, output: str, after: Callable[[Path], bool], number: int) -> int:
    """Start an export and send it a signal as soon as something holds; return its exit code."""
    process = place.start("tiles", "export", "--zooms", ZOOMS, "-o", output)
    path = place.cwd / output
    wait(lambda: after(path) or process.poll() is not None)
    if process.poll() is None:
        os.kill(process.pid, number)
    process.communicate(timeout=PATIENCE_S)
    return process.returncode


def test_it_says_what_it_wrote(place: Place, whole: Tiles) -> None:
    answer = place.done("tiles", "export", "--zooms", ZOOMS, "-o", "said.pmtiles")
    assert f"{len(whole):,} tiles" in answer.out and "个瓦片" in answer.out
    for zoom in range(19):
        assert f"z{zoom}: " in answer.out
    assert sorted(p.name for p in place.cwd.glob("said*")) == ["said.pmtiles"]
    # The demo city's data are not real, and whoever opens the file is told.
    assert "演示数据" in read(place.cwd / "said.pmtiles")[1]["name"]


def test_the_tiles_are_those_of_the_service(place: Place, whole: Tiles) -> None:
    names = ",".join(read(place.cwd / "whole.pmtiles")[1]["riskmap"]["layers"])
    asked = list(places(BOX, range(19)))
    assert set(whole) <= set(asked)
    with place.serving() as service:
        for z, x, y in asked:
            reply = service.get(f"/tiles/{names}/{z}/{x}/{y}.mvt")
            assert same(whole.get((z, x, y), b""), reply.body), (z, x, y)


def test_killed_at_any_moment_it_goes_on(place: Place, whole: Tiles) -> None:
    chance = random.Random(int(os.environ.get("RISKMAP_TEST_SEED", "7")))
    path = place.cwd / "killed.pmtiles"
    path.write_bytes(b"the old one")
    kills = 0
    for _ in range(int(os.environ.get("PROVE_KILLS", "8"))):
        since, pause = None, chance.uniform(0, 1.5)

        def late(output: Path, pause: float = pause) -> bool:
            nonlocal since
            if since is None and part_of(output).exists():
                since = time.monotonic()
            return since is not None and time.monotonic() - since > pause

        code = killed(place, path.name, late, signal.SIGKILL)
        kills += code == -signal.SIGKILL
        if code == 0:
            assert equal(read(path)[0], whole)
            path.write_bytes(b"the old one")
        elif path.read_bytes() != b"the old one":
            # It was killed after it had published: then the archive is whole.
            assert equal(read(path)[0], whole)
            path.write_bytes(b"the old one")
    assert kills > 2
    place.done("tiles", "export", "--zooms", ZOOMS, "-o", path.name)
    assert equal(read(path)[0], whole)
    assert not list(place.cwd.glob("killed.pmtiles.*"))


def test_killed_while_it_publishes(place: Place, whole: Tiles) -> None:
    path = place.cwd / "late.pmtiles"
    for _ in range(5):
        killed(place, path.name, lambda p: p.with_name(f"{p.name}.new").exists(), signal.SIGKILL)
        if path.exists():
            assert equal(read(path)[0], whole)
    place.done("tiles", "export", "--zooms", ZOOMS, "-o", path.name)
    assert equal(read(path)[0], whole)
    assert not list(place.cwd.glob("late.pmtiles.*"))


def test_interrupted_it_says_how_to_go_on(place: Place, whole: Tiles) -> None:
    process = place.start("tiles", "export", "--zooms", ZOOMS, "-o", "int.pmtiles")
    wait(lambda: begun(place.cwd / "int.pmtiles") or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, out + err
    assert "int.pmtiles.part" in out and "Traceback" not in err
    assert not (place.cwd / "int.pmtiles").exists()
    place.done("tiles", "export", "--zooms", ZOOMS, "-o", "int.pmtiles")
    assert equal(read(place.cwd / "int.pmtiles")[0], whole)


def test_a_second_one_for_the_same_file_is_refused(place: Place, whole: Tiles) -> None:
    first = place.start("tiles", "export", "--zooms", ZOOMS, "-o", "two.pmtiles")
    wait(lambda: begun(place.cwd / "two.pmtiles") or first.poll() is not None)
    first.send_signal(signal.SIGSTOP)
    try:
        place.run("tiles", "export", "--zooms", ZOOMS, "-o", "two.pmtiles").refused(
            1, "two.pmtiles.part"
        )
        place.run("tiles", "export", "--restart", "-o", "two.pmtiles").refused(1, "two.pmtiles")
    finally:
        first.send_signal(signal.SIGCONT)
        out, err = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0, out + err
    assert equal(read(place.cwd / "two.pmtiles")[0], whole)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--zooms", "16-0", "-o", "bad.pmtiles"), ("--zooms", "16-0", "22")),
        (("--zooms", "0-23", "-o", "bad.pmtiles"), ("--zooms", "0-23", "22")),
        (("--zooms", "all", "-o", "bad.pmtiles"), ("--zooms", "all")),
        (("--layers", "shelters,nowhere", "-o", "bad.pmtiles"), ("--layers", "nowhere")),
        (("--layers", "", "-o", "bad.pmtiles"), ("--layers",)),
        (("-o", "no/such/folder/bad.pmtiles"), ("--output", "no/such/folder")),
        (("-o", "files"), ("--output", "files")),
    ],
)
def test_bad_options(place: Place, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    place.run("tiles", "export", *arguments).refused(1, *parts)
    assert not list(place.cwd.glob("bad.pmtiles*"))


def test_work_of_other_zooms_is_told(place: Place, whole: Tiles) -> None:
    code = killed(place, "zooms.pmtiles", begun, signal.SIGINT)
    assert code == 130
    answer = place.run("tiles", "export", "--zooms", "0-9", "-o", "zooms.pmtiles")
    answer.refused(1, "zooms.pmtiles.part", "0,18", "0,9", "--restart")
    place.done("tiles", "export", "--zooms", "0-9", "--restart", "-o", "zooms.pmtiles")
    assert set(read(place.cwd / "zooms.pmtiles")[0]) == {at for at in whole if at[0] <= 9}


def test_the_folder_that_is_served_is_made(place: Place) -> None:
    place.done("tiles", "export", "--zooms", "0-9", "-o", place.data / "archives" / "city.pmtiles")
    with place.set(TILES_ARCHIVE="city.pmtiles").serving() as service:
        (listed,) = service.get("/archives").json()["archives"]
        assert listed["name"] == "city" and listed["current"]
        assert service.get("/overview").json()["archive"]["url"] == listed["href"]


def test_a_folder_that_nobody_may_write_to(place: Place) -> None:
    if os.geteuid() == 0:
        target = "/proc/bad.pmtiles"  # root may write wherever a file system lets anybody
    else:
        (place.cwd / "closed").mkdir(mode=0o500, exist_ok=True)
        target = "closed/bad.pmtiles"
    place.run("tiles", "export", "-o", target).refused(1, target)


def test_without_a_city_it_says_what_to_do() -> None:
    with a_place() as empty:
        empty.run("tiles", "export", "-o", "city.pmtiles").refused(1, "riskmap")
        assert not list(empty.cwd.glob("city*"))
