"""The process that reads: what comes out of it, what ends it, and that nothing of it is left."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import riskmap
from conftest import shared_data
from ingest_help import BOX, PORTO_ALEGRE, geojson, point, table, trial_layer
from riskmap.catalog.spec import Geometry
from riskmap.errors import InputError, RiskmapError
from riskmap.ingest import process, reading
from riskmap.ingest.batches import Batch
from riskmap.ingest.frames import Columns, Frame, Rows, Summary, Withdrawn
from riskmap.ingest.mapping import FieldMapping
from riskmap.ingest.options import ImportOptions
from riskmap.ingest.process import ReaderProcess, check_size
from riskmap.ingest.reading import PROBLEMS, read_frames, reasons
from riskmap.ingest.report import ImportCancelledError, Problem, ProblemLog
from riskmap.ingest.request import Limits, Request
from riskmap.settings import Settings

WGS84 = ImportOptions(crs="EPSG:4326")


def ask(path: Path, options: ImportOptions = WGS84, **more: object) -> Request:
    told: dict[str, object] = {
        "path": path,
        "layer": trial_layer(Geometry.MIXED),
        "options": options,
        "box": BOX,
        "zone": "Asia/Shanghai",
        "parent": os.getpid(),
    }
    return Request(**(told | more))  # type: ignore[arg-type]


def apart(request: Request) -> list[Frame]:
    with ReaderProcess(request) as reader:
        return list(reader.frames())


def refusal(request: Request) -> RiskmapError:
    with pytest.raises(RiskmapError) as caught:
        apart(request)
    for lang in ("zh", "en"):
        assert caught.value.text(lang)  # type: ignore[arg-type]
    return caught.value


def many(folder: Path, rows: int) -> Path:
    lines = "".join(f"c{n},名称{n},{n % 7},120.{n % 997:03},36.5\n" for n in range(rows))
    return table(folder, "code,name,population,lon,lat\n" + lines)


def gone(number: int, *, within_s: float = 20) -> bool:
    """Say whether a process has ended (or is a zombie that only waits for its parent)."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_same_frames_as_in_this_process(tmp_path: Path) -> None:
    path = many(tmp_path, 25_000)
    frames = apart(ask(path))
    assert frames == list(read_frames(ask(path)))
    assert sum(frame.count for frame in frames if isinstance(frame, Rows)) == 25_000
    assert len([frame for frame in frames if isinstance(frame, Columns)]) == 1
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert (summary.rows, summary.rejected, summary.problem_count) == (25_000, 0, 0)


def test_real_sectors_come_through(tmp_path: Path) -> None:
    path = shared_data("porto-alegre/pmrr_setores.geojson")
    mapping = FieldMapping(fields={"code": "cod", "population": "pessoas"})
    options = replace(WGS84, mapping=mapping, repair=True)
    frames = apart(ask(path, options, box=PORTO_ALEGRE, zone="America/Sao_Paulo"))
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert (summary.rows, summary.rejected, summary.repaired) == (204, 0, 1)


def test_all_problems_are_left_in_the_file_and_the_first_ones_told(tmp_path: Path) -> None:
    rows = "".join(f"c{n},{n - 150},120,36\n" for n in range(300))
    path = table(tmp_path, "code,population,lon,lat\n" + rows + "c1,1,0,0\n")
    frames = apart(ask(path, replace(WGS84, max_bad_share=1), work_dir=tmp_path))
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert (summary.rows, summary.rejected, summary.problem_count) == (301, 151, 153)
    assert len(summary.problems) == 100
    with (tmp_path / PROBLEMS).open() as file:
        told = [json.loads(line) for line in file]
    assert told[:100] == summary.problems
    assert [entry["row"] for entry in told] == [1, 2, *range(2, 151), 301, 301]
    assert told[0].keys() == {"row", "field", "value", "key", "values"}
    *_, (row, last) = reasons(tmp_path / PROBLEMS)
    zh, _, en = last.partition(" / ")
    assert row == 301
    assert "；" in zh
    assert "c1" in zh
    assert "; " in en
    assert "stands in row 2, too" in en


def test_the_first_row_of_a_repeated_code_is_withdrawn(tmp_path: Path) -> None:
    lines = "".join(f"c{n},120,36\n" for n in range(60_000))
    path = table(tmp_path, "code,lon,lat\n" + lines + "c3,120,36\nc3,121,36\n")
    frames = apart(ask(path, replace(WGS84, max_bad_share=1), work_dir=tmp_path))
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert [frame.rows for frame in frames if isinstance(frame, Withdrawn)] == [[4]]
    assert (summary.rows, summary.rejected, summary.problem_count) == (60_002, 3, 3)
    told = [(row, said.partition(" / ")[2]) for row, said in reasons(tmp_path / PROBLEMS)]
    assert [row for row, _ in told] == [4, 60_001, 60_002]
    assert "row 60001" in told[0][1]
    assert "row 4" in told[2][1]


def test_a_row_with_one_reason_twice_has_it_once(tmp_path: Path) -> None:
    with (tmp_path / PROBLEMS).open("wb") as file:
        log = ProblemLog(file=file)
        log.reject([Problem(2, "ingest.geometry.null"), Problem(2, "ingest.geometry.null")])
    assert list(reasons(tmp_path / PROBLEMS)) == [
        (2, "没有几何（坐标为空） / it has no geometry, or no coordinates")
    ]


def test_after_a_bad_row_the_rest_is_only_checked(tmp_path: Path) -> None:
    lines = "".join(f"c{n},120,36\n" for n in range(25_000))
    path = table(tmp_path, "code,lon,lat\n" + lines.replace("c3,120", "c3,0", 1) + "c3,120,36\n")
    frames = apart(ask(path))
    assert not [frame for frame in frames if isinstance(frame, Rows)]
    summary = frames[-1]
    assert isinstance(summary, Summary)
    assert (summary.rows, summary.rejected) == (25_001, 2)


def test_errors_of_the_file_are_raised_here(tmp_path: Path) -> None:
    missing = refusal(ask(tmp_path / "none.csv"))
    assert (type(missing), missing.key, missing.parameter) == (
        InputError,
        "ingest.file.missing",
        "file",
    )
    empty = refusal(ask(table(tmp_path, "code,lon,lat\n")))
    assert empty.key == "ingest.file.no_rows"
    mapping = FieldMapping(fields={"name": "nowhere"})
    column = refusal(ask(geojson(tmp_path, point("a")), replace(WGS84, mapping=mapping)))
    assert (column.key, column.parameter) == ("ingest.mapping.column", "mapping")
    assert refusal(ask(tmp_path / "a.csv", replace(WGS84, crs=None))).key == "crs.missing"
    remote = refusal(ask(Path("/vsicurl/http://127.0.0.1/a.gpkg")))
    assert remote.key == "ingest.file.remote"


def test_too_little_memory_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('code,lon,lat\n"' + "x" * 60_000_000 + '",120,36\n')
    error = refusal(ask(path, limits=Limits(memory_mb=32)))
    assert isinstance(error, InputError)
    assert error.key in ("ingest.limit.memory", "ingest.child.died")
    assert "32 MB" in error.text("en")
    assert "RISKMAP_IMPORT_MEMORY_MB" in error.text("zh")
    apart(ask(many(tmp_path, 100), limits=Limits(memory_mb=128)))


def test_too_little_time_says_so(tmp_path: Path) -> None:
    error = refusal(ask(many(tmp_path, 10), limits=Limits(minutes=0)))
    assert error.key == "ingest.limit.minutes"
    assert "RISKMAP_IMPORT_MINUTES" in error.text("en")


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (signal.SIGKILL, "ingest.limit.memory"),
        (signal.SIGABRT, "ingest.limit.memory"),
        (signal.SIGXCPU, "ingest.limit.minutes"),
        (signal.SIGSEGV, "ingest.child.died"),
    ],
)
def test_a_reader_that_dies_says_why(tmp_path: Path, number: signal.Signals, key: str) -> None:
    # Enough rows to fill the pipe: it cannot have ended by itself.
    with (
        ReaderProcess(ask(many(tmp_path, 60_000))) as reader,
        pytest.raises(InputError) as caught,
    ):
        for _ in reader.frames():
            os.kill(reader.pid, number)
    assert caught.value.key == key


def test_a_fault_of_ours_is_told_as_such_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import sys; sys.stdin.read(); raise ValueError('inner thoughts')")
    noisy = tmp_path / "noisy.py"
    noisy.write_text("import sys; sys.stdin.read(); print('hello')")
    request = ask(many(tmp_path, 10))
    for script in (broken, noisy):
        monkeypatch.setattr(process.child, "__file__", str(script))
        error = refusal(request)
        assert (type(error), error.key) == (RiskmapError, "ingest.child.failed")
        assert "inner" not in str(error)
    assert "inner thoughts" in caplog.text


def test_cancelled_means_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_ASK_S", 0)
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 6

    with (
        ReaderProcess(ask(many(tmp_path, 60_000)), cancelled=cancelled) as reader,
        pytest.raises(ImportCancelledError),
    ):
        list(reader.frames())
    assert not Path(f"/proc/{reader.pid}").exists()


def test_leaving_early_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        ReaderProcess(ask(many(tmp_path, 60_000))) as reader,
    ):
        next(reader.frames())
        raise ZeroDivisionError
    assert not Path(f"/proc/{reader.pid}").exists()


def test_no_orphan_when_the_parent_is_killed(tmp_path: Path) -> None:
    path = many(tmp_path, 60_000)
    code = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ingest_child import ask
from riskmap.ingest.process import ReaderProcess
with ReaderProcess(ask(Path(sys.argv[1]))) as reader:
    next(reader.frames())
    print(reader.pid, flush=True)
    time.sleep(60)
"""
    here = Path(__file__).parent
    paths = [str(Path(riskmap.__path__[0]).parent), str(here), str(here.parent)]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(here)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        assert Path(f"/proc/{number}").exists()
        parent.kill()
    assert gone(number)


def test_the_reader_is_told_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKMAP_DATABASE_URL", "postgresql://u:geheim@host/db")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    with ReaderProcess(ask(many(tmp_path, 60_000), work_dir=tmp_path)) as reader:
        next(reader.frames())
        told = Path(f"/proc/{reader.pid}/environ").read_bytes()
        names = {part.partition(b"=")[0] for part in told.split(b"\0") if part}
        status = Path(f"/proc/{reader.pid}/status").read_text()
        limits = Path(f"/proc/{reader.pid}/limits").read_text()
        descriptors = {str(entry.readlink()) for entry in Path(f"/proc/{reader.pid}/fd").iterdir()}
    assert b"geheim" not in told
    assert b"PYTHONPATH" not in names
    assert b"PROJ_NETWORK=OFF" in told
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert "Max core file size        0 " in limits
    assert not [name for name in descriptors if name.startswith("socket:")]


def test_limits_are_the_settings() -> None:
    given = Settings(import_memory_mb=500, import_minutes=5, import_max_mb=50)
    assert Limits.of(given) == Limits(500, 5, 50)
    assert Limits.of(Settings()) == Limits()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
    check_size(path, 2)
    with pytest.raises(InputError) as caught:
        check_size(path, 1)
    assert caught.value.values["size"] == 2
    assert "RISKMAP_IMPORT_MAX_MB" in caught.value.text("zh")
    folder = tmp_path / "folder"
    folder.mkdir()
    path.rename(folder / "a.shp")
    (folder / "a.dbf").write_bytes(bytes(1 << 20))
    with pytest.raises(InputError):
        check_size(folder, 2)
    check_size(tmp_path / "none", 1)


class _Copies:
    """A source that copies rows as readers do, to see what the reading hands to it."""

    headings = ("code",)

    def batches(self) -> Iterator[Batch]:
        raise NotImplementedError

    def write_rejected(self, target: Path, reasons: Iterator[tuple[int, str]]) -> int:
        lines = [f"{row}:{reason}\n" for row, reason in reasons]
        target.write_text("".join(lines))
        return len(lines)


def test_rejected_rows_are_copied_with_their_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, "code,population,lon,lat\na,1,120,36\nb,-1,0,0\n,1,120,36\n")
    request = ask(path, replace(WGS84, max_bad_share=1), work_dir=tmp_path)
    apart(request)
    # The call itself, of a source that can: the readers' own files are tested with them.
    monkeypatch.setattr(reading, "read", lambda path, options: _Copies())
    target = reading.write_rejects(replace(request, task="rejects"))
    assert target == tmp_path / "rejected.csv"
    first, second = target.read_text().splitlines()
    assert first.startswith("2:坐标 0, 0")
    assert "; population: -1 does not lie" in first or "population: -1" in first
    assert second.startswith("3:统一编号(code) 必填 / code is required")


def test_the_task_of_rejects_through_the_process(tmp_path: Path) -> None:
    path = table(tmp_path, "code,population,lon,lat\na,1,120,36\nb,-1,120,36\n")
    request = ask(path, replace(WGS84, max_bad_share=1), work_dir=tmp_path)
    apart(request)
    with ReaderProcess(replace(request, task="rejects")) as reader:
        made = reader.done()
    if made is None:  # a reader that cannot copy rows says so by leaving no file
        assert not list(tmp_path.glob("rejected*"))
    else:
        assert made == tmp_path / "rejected.csv"
        assert "-1" in made.read_text(encoding="utf-8-sig")


def test_what_the_reader_says_is_only_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "talks.py"
    # fmt: off
    script.write_text(
        "import runpy, sys\n"
        "print('warning of a library', file=sys.stderr)\n"
        f"runpy.run_path({process.child.__file__!r}, run_name='__main__')\n"
    )
    # fmt: on
    monkeypatch.setattr(process.child, "__file__", str(script))
    with caplog.at_level(logging.INFO):
        assert isinstance(apart(ask(many(tmp_path, 10)))[-1], Summary)
    assert "warning of a library" in caplog.text
