"""What the tests of the command line share: riskmap as a user runs it, a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from riskmap.db.cluster import Cluster
from riskmap.settings import Settings
from zygote import SOURCE, Forked, Zygote

RISKMAP = (sys.executable, "-m", "riskmap.cli.main")
# Not a limit of speed: what hangs for ever should fail and not stop the run.
PATIENCE_S = 300


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *parts: object) -> None:
        """Check for a clear refusal: both languages on stderr, naming what they must."""
        shown = f"exit {self.code}\n{self.out}\n{self.err}"
        assert self.code == code, shown
        assert "Traceback" not in self.err + self.out, shown
        lines = self.err.strip().splitlines()
        chinese, english = lines[: len(lines) // 2], lines[len(lines) // 2 :]
        assert re.search(r"[\u4e00-\u9fff]", " ".join(chinese)), shown
        assert re.search(r"[a-z]{2,} [a-z]{2,}", " ".join(english)), shown
        assert chinese != english
        for part in parts:
            assert str(part) in "\n".join(chinese), shown
            assert str(part) in "\n".join(english), shown


@dataclass(frozen=True)
class Place:
    """A data folder, a folder to stand in, and the environment of a user."""

    cwd: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.cwd / "data"

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RISKMAP_", "PG"))}
        return {
            **kept,
            "PYTHONPATH": str(SOURCE),
            "COLUMNS": "120",
            "RISKMAP_DATA_DIR": str(self.data),
            # Whoever tests the demo city asks for it.
            "RISKMAP_DEMO": "0",
            **self.variables,
        }

    def set(self, **variables: str) -> Place:
        """Return the same place with other variables: `PORT="1"` is RISKMAP_PORT."""
        named = {f"RISKMAP_{name}": value for name, value in variables.items()}
        return Place(self.cwd, {**self.variables, **named})

    def start(self, *arguments: str | Path, session: bool = False) -> subprocess.Popen[str]:
        """Start a command; `session`: as the leader of a session of its own."""
        # What Python itself reads at its start needs a start.
        forks = all(name.startswith("RISKMAP_") for name in self.variables)
        return (Command if forks else subprocess.Popen)(
            [*RISKMAP, *arguments],
            cwd=self.cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=session,
        )

    def run(self, *arguments: str | Path) -> Answer:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Answer(process.returncode, out, err)

    def done(self, *arguments: str | Path) -> Answer:
        """Run a command that must succeed."""
        answer = self.run(*arguments)
        assert answer.code == 0, f"{arguments}\n{answer.out}\n{answer.err}"
        assert "Traceback" not in answer.err
        return answer

    def cluster(self) -> Cluster:
        return Cluster.locate(Settings(data_dir=self.data))

    def postmaster(self) -> int:
        return int((self.cluster().data / "postmaster.pid").read_text().split()[0])

    @contextmanager
    def serving(self) -> Iterator[Service]:
        service = Service(self)
        try:
            service.await_ready()
            yield service
        finally:
            service.end()


class Command(Forked):
    """A command that the zygote became."""

    zygote = staticmethod(cache(lambda: Zygote("cli_zygote.py")))


@contextmanager
def a_place(*, made: bool = False) -> Iterator[Place]:
    """Give a user a short folder that the account of root's clusters may enter, too.

    With `made` it holds a stopped cluster with an empty database at head: to make that takes 1.5 s
    of processor time.
    """
    with tempfile.TemporaryDirectory(prefix="rm-cli-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        place = Place(folder)
        try:
            if made:
                subprocess.run(["cp", "-a", _template() / "data", folder], check=True)
            yield place
        finally:
            # Whatever a failed test left: the last user of the cluster stops it.
            if (place.data / "pg").exists():
                with place.cluster().running():
                    pass


@cache
def _template() -> Path:
    """Return a place whose cluster is made, migrated and stopped; it is removed at our exit."""
    stack = ExitStack()
    atexit.register(stack.close)
    place = stack.enter_context(a_place())
    place.done("migrate")
    # As in the tests' own cluster: nothing of this need survive the machine.
    with (place.cluster().data / "postgresql.auto.conf").open("a", encoding="utf-8") as conf:
        conf.write("fsync = off\n")
    return place.cwd


@dataclass(frozen=True)
class Reply:
    status: int
    type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A running `riskmap serve` on a free port."""

    def __init__(self, place: Place) -> None:
        self.process = place.set(PORT="0").start("serve", session=True)
        self.lines: list[str] = []
        self._address: str | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._errors = threading.Thread(target=self._read_errors, daemon=True)
        self._errors.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"ready: (http://[^ ]+:\d+)", line):
                self._address = found[1]

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    @property
    def address(self) -> str:
        assert self._address is not None
        return self._address

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def await_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._address is not None and self.reaches("/livez"):
                return
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(self.said)

    def reaches(self, path: str) -> bool:
        try:
            return self.get(path).status == 200
        except OSError:
            return False

    def get(self, path: str, body: object = None) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}{path}", data)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                return Reply(answer.status, answer.headers["content-type"], answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers["content-type"], error.read())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        return code

    def end(self) -> None:
        if self.process.poll() is None:
            self.stop()
        # Workers that a killed parent left behind.
        for pid in session_of(self.process.pid):
            os.kill(pid, signal.SIGKILL)


def session_of(leader: int) -> list[int]:
    """Return the living processes of a session that we started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, _group, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def counts(answer: Answer) -> tuple[int, int, int]:
    """Read an import's report: inserted, updated, unchanged."""
    found = re.search(r"(\d+) inserted, (\d+) updated, (\d+) unchanged", answer.out)
    assert found is not None, answer.out
    inserted, updated, unchanged = map(int, found.groups())
    return inserted, updated, unchanged


def call(environment: Mapping[str, str], folder: Path, arguments: tuple[str, ...]) -> None:
    """Run riskmap in this process: the body of a forked one that is to be killed."""
    from riskmap.cli.main import main  # noqa: PLC0415

    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("RISKMAP_")]:
        del os.environ[name]
    os.environ.update(environment)
    log = os.open(folder / "victim.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["riskmap", *arguments]
    main()
