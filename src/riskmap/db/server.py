"""The server process of the embedded cluster: made, started, found again, stopped.

Nothing here decides who may; the callers hold `start.lock` (see `riskmap.db.cluster`).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from riskmap.db.data_folder import SOCKET, Place, usable
from riskmap.db.flocks import open_lock, take
from riskmap.db.pg_config import KEPT_LOGS, configuration
from riskmap.db.pg_programs import Programs, as_account
from riskmap.errors import SetupError

OWNER: Final = "riskmap_owner"
PORT: Final = 5432

# Recovery after a crash replays the log since the last checkpoint: minutes on a slow disk.
START_SECONDS: Final = 300.0
STOP_SECONDS: Final = 60.0
# Backends that outlive their postmaster end by themselves as soon as they are idle; one in the
# middle of a long statement is told to after a while.
ORPHAN_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05

log = logging.getLogger(__name__)


class Postmaster(NamedTuple):
    """What postmaster.pid says about the server of a data folder."""

    pid: int
    sockets: Path
    status: str


class Server:
    """One PostgreSQL over one data folder.

    Attributes
    ----------
    sockets
        The folder of its socket: of the running server once `start` is through.
    """

    def __init__(self, place: Place, programs: Programs) -> None:
        self._place = place
        self._programs = programs
        self._child: subprocess.Popen[bytes] | None = None
        self.folder = place.folder
        self.data = place.data
        self.sockets = place.sockets()

    def is_running(self) -> bool:
        """Say whether it takes connections now."""
        return (postmaster := self._postmaster()) is not None and _listens(postmaster)

    def start(self) -> None:
        """Have it running: found, or started after what an earlier one left is cleared.

        Raises
        ------
        SetupError
            It cannot be made or started; the message says what to do.
        """
        with usable(self.folder):
            lock = open_lock(self.folder / "postmaster.lock", self._place.account)
        try:
            if self._found_running(lock):
                return
            self._make()
            self._configure()
            self._refuse_foreign()
            self.sockets = self._place.sockets()
            self._place.make_private(self.sockets)
            # Nobody of ours lives, and the folder is ours alone: what lies there is stale, though
            # it may name a process that PostgreSQL takes for a living one.
            with usable(self.sockets):
                for stale in (SOCKET, f"{SOCKET}.lock"):
                    (self.sockets / stale).unlink(missing_ok=True)
            self._launch(lock)
        finally:
            os.close(lock)

    def stop(self) -> None:
        """Stop it, sessions of others included; nothing to do where it does not run."""
        with usable(self.folder):
            lock = open_lock(self.folder / "postmaster.lock", self._place.account)
        try:
            for number in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate
                postmaster = self._postmaster()
                # Asked of the socket: after a kill its number may by now be anybody's.
                if postmaster is None or not _listens(postmaster):
                    return
                with suppress(ProcessLookupError):
                    os.kill(postmaster.pid, number)
                deadline = time.monotonic() + STOP_SECONDS
                while time.monotonic() < deadline:
                    if take(lock):
                        return
                    time.sleep(POLL_SECONDS)
                log.warning("process %d does not end on signal %s", postmaster.pid, number)
        finally:
            os.close(lock)
            if self._child is not None:
                self._child.poll()

    def _make(self) -> None:
        """Make the data folder, under another name first: a killed initdb leaves no half."""
        if self._place.major() is not None:
            return
        with usable(self.data):
            if self.data.exists() and any(self.data.iterdir()):
                raise SetupError(
                    "cluster.not_a_cluster", parameter="RISKMAP_DATA_DIR", folder=self.data
                )
            new = self.folder / "pg.new"
            if new.is_symlink():
                new.unlink()
            shutil.rmtree(new, ignore_errors=True)
            self._place.make_private(new)
        answer = subprocess.run(
            [
                self._programs.folder / "initdb",
                *("-D", new, "-U", OWNER, "-A", "trust", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            **as_account(self._place.account),
        )
        if answer.returncode != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise SetupError(
                "cluster.initdb_failed", folder=self.data, reason=_reason(answer.stderr)
            )
        with usable(self.data):
            with (new / "postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.write("\n# Written at every start; ALTER SYSTEM overrides it.\n")
                conf.write("include = 'riskmap.conf'\n")
            if self.data.exists():
                self.data.rmdir()
            new.rename(self.data)

    def _configure(self) -> None:
        with usable(self.data):
            path = self.data / "riskmap.conf"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as conf:
                conf.write(configuration())
            self._place.give(path)
            logs = sorted((self.data / "log").glob("postgresql-*.log"))
            for old in logs[:-KEPT_LOGS]:
                old.unlink(missing_ok=True)

    def _found_running(self, lock: int) -> bool:
        """Say whether a server is there; else no process of an earlier one is left.

        It waits for a server whose starter or stopper was killed half way, and for backends
        whose postmaster was: they hold the old shared memory, and may still write.
        """
        began = told = time.monotonic()
        while not take(lock):
            postmaster = self._postmaster()
            now = time.monotonic()
            if postmaster is not None and _listens(postmaster):
                if postmaster.status == "ready":
                    self.sockets = postmaster.sockets
                    return True
                limit = START_SECONDS
            else:
                limit = ORPHAN_SECONDS
                if now - told > PATIENCE_SECONDS:
                    told = now
                    for pid in self._processes():
                        # Quit at once: recovery follows anyhow, and what it had not committed
                        # is gone either way.
                        with suppress(ProcessLookupError, PermissionError):
                            os.kill(pid, signal.SIGQUIT)
            if now - began > limit:
                raise SetupError(
                    "cluster.still_held",
                    folder=self.folder,
                    seconds=round(limit),
                    processes=", ".join(map(str, self._processes())) or "?",
                )
            time.sleep(POLL_SECONDS)
        return False

    def _processes(self) -> list[int]:
        """Return the processes of this cluster: their titles bear its name."""
        title = f"postgres: {self._cluster_name}: ".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if entry.read_bytes().startswith(title):
                    found.append(int(entry.parent.name))
        return found

    @property
    def _cluster_name(self) -> str:
        return f"riskmap-{self._place.fingerprint}"

    def _refuse_foreign(self) -> None:
        """Look into a postmaster.pid that nobody of ours can have in use.

        PostgreSQL itself sees through one whose process is gone. It does not where the number
        was given to another process of the same account (after a reboot, in a container), or
        to a dead one that nobody has waited for: that file is removed. A server that somebody
        started by hand is left alone.
        """
        postmaster = self._postmaster()
        if postmaster is None:
            return
        process = Path(f"/proc/{postmaster.pid}")
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            return
        inside = elsewhere = False
        with suppress(OSError):  # closed to us where the account is another
            inside = (process / "cwd").samefile(self.data)
            elsewhere = not inside
        if inside or _listens(postmaster):
            raise SetupError("cluster.foreign_postmaster", folder=self.data, pid=postmaster.pid)
        if elsewhere or b"postgres" not in command:
            with usable(self.data):
                (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, lock: int) -> None:
        settings = {
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": self.sockets,
            "unix_socket_permissions": "0700",
            "cluster_name": self._cluster_name,
        }
        command: list[str | Path] = [self._programs.folder / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        first_words = self.folder / "postgres-start.log"
        with usable(self.folder):
            output = os.open(
                first_words, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600
            )
            self._place.give(first_words)
        # Not through pg_ctl: it puts the command through a shell, which reads a path's `$`.
        # The session of its own keeps the terminal's Ctrl-C from it.
        try:
            child = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                pass_fds=[lock],
                umask=0o077,
                **as_account(self._place.account),
            )
        finally:
            os.close(output)
        try:
            self._await_ready(child, first_words)
        except BaseException:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                child.wait()
            raise
        self._child = child

    def _await_ready(self, child: subprocess.Popen[bytes], first_words: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while child.poll() is None:
            postmaster = self._postmaster()
            if postmaster and postmaster.pid == child.pid and postmaster.status == "ready":
                return
            if time.monotonic() > deadline:
                self._fail(f"{START_SECONDS:.0f} s", first_words)
            time.sleep(POLL_SECONDS)
        texts = [first_words, *sorted((self.data / "log").glob("postgresql-*.log"))[-1:]]
        reasons = [_reason(path.read_text(encoding="utf-8", errors="replace")) for path in texts]
        reason = next((r for r in reversed(reasons) if "FATAL" in r or "PANIC" in r), reasons[0])
        self._fail(reason, texts[-1])

    def _fail(self, reason: str, where: Path) -> NoReturn:
        raise SetupError("cluster.start_failed", folder=self.data, reason=reason, log=where)

    def _postmaster(self) -> Postmaster | None:
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return Postmaster(int(lines[0]), Path(lines[4]), lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):  # none, or half written
            return None


def _listens(postmaster: Postmaster) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(postmaster.sockets / SOCKET))
        except OSError:
            return False
    return True


def _reason(text: str) -> str:
    """Return the line of a program's output that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    return (fatal or lines or ["?"])[-1]
