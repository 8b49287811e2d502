"""The parent's side of the process that reads: starts it, takes its frames, ends it in time."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from riskmap.errors import InputError, RiskmapError
from riskmap.ingest import child, sandbox
from riskmap.ingest.child import too_much_memory
from riskmap.ingest.frames import Frame, Summary
from riskmap.ingest.protocol import (
    HEADER,
    Done,
    Fault,
    Message,
    ProtocolError,
    decode,
    payload_length,
)
from riskmap.ingest.report import ImportCancelledError
from riskmap.ingest.request import Request

_LOG: Final = logging.getLogger(__name__)
_LOOK_MS: Final = 100
_ASK_S: Final = 0.5
_PIPE_BYTES: Final = 1 << 20
_TOLD_BYTES: Final = 8192
_MB: Final = 1 << 20
# A user's libraries may lie where only this says so.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PROJ_NETWORK": "OFF",
}


class ReaderProcess:
    """One process that reads one file: `with ReaderProcess(request) as reader`.

    However the block is left, the process is gone then; and it dies with the thread that entered
    the block (the kernel counts threads), which has to live as long.

    Parameters
    ----------
    cancelled
        Asked twice a second at most; once it says True the import ends.
    """

    def __init__(self, request: Request, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._request = request
        self._cancelled = cancelled
        self._waited_s = 0.0
        self._asked = 0.0

    def __enter__(self) -> ReaderProcess:
        environment = _ENVIRONMENT | {
            name: os.environ[name] for name in _PASSED_ON if name in os.environ
        }
        folder = self._request.work_dir
        if folder is not None:
            environment["TMPDIR"] = str(folder)
        asked = self._request.dumps()
        self._told = tempfile.TemporaryFile()
        sandbox.shield()
        # Its own session: Ctrl-C is for us, and we end it.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(child.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            env=environment,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        assert self._process.stdout is not None  # noqa: S101
        self._stdout = self._process.stdout
        with suppress(OSError):  # a larger pipe only saves turns between the two
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            # It may have died at once: reading says why. A raw file takes what the pipe takes.
            left = memoryview(asked)
            while left:
                left = left[stdin.write(left) :]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._stdout.close()
        with self._told:
            size = self._told.seek(0, os.SEEK_END)
            self._told.seek(max(0, size - _TOLD_BYTES))
            said = self._told.read().decode(errors="replace").strip()
        if said:
            level = logging.WARNING if error is not None else logging.INFO
            _LOG.log(level, "reading %s: %s", self._request.path.name, said)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; the last one is the `Summary`.

        Raises
        ------
        InputError
            The file is wrong as a whole, or it asks for more memory or time than it may have.
        ImportCancelledError
            `cancelled` said so.
        RiskmapError
            The process failed in a way that the file does not explain.
        """
        while True:
            message = self._next()
            if isinstance(message, Done):
                raise self._failed()
            yield message
            if isinstance(message, Summary):
                return

    def done(self) -> Path | None:
        """Wait for a task without rows; return the file that it made in the work folder.

        Raises
        ------
        RiskmapError
            As `frames` does.
        """
        message = self._next()
        folder = self._request.work_dir
        if not isinstance(message, Done) or folder is None:
            raise self._failed()
        return None if message.name is None else folder / message.name

    def _next(self) -> Frame | Done:
        try:
            kind, length = payload_length(self._take(HEADER.size))
            message: Message = decode(kind, self._take(length))
        except ProtocolError as error:
            _LOG.warning("reading %s: %s", self._request.path.name, error)
            raise self._failed() from None
        if isinstance(message, Fault):
            raise message.error
        return message

    def _take(self, count: int) -> bytes:
        """Read so many bytes; the time that counts is what we wait, not what the load takes."""
        data = bytearray(count)
        left = memoryview(data)
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        while left:
            began = time.monotonic()
            if began - self._asked >= _ASK_S:  # it may ask a database
                self._asked = began
                if self._cancelled():
                    raise ImportCancelledError
            ready = poll.poll(_LOOK_MS)
            self._waited_s += time.monotonic() - began
            if self._waited_s > self._request.limits.minutes * 60:
                raise self._too_long()
            if ready:
                got = self._stdout.readinto(left)  # type: ignore[attr-defined]
                if not got:
                    raise self._died()
                left = left[got:]
        return bytes(data)

    def _too_long(self) -> InputError:
        return InputError(
            "ingest.limit.minutes",
            parameter="file",
            limit=self._request.limits.minutes,
            setting="RISKMAP_IMPORT_MINUTES",
        )

    def _failed(self) -> RiskmapError:
        return RiskmapError("ingest.child.failed", parameter="file", value=self._request.path.name)

    def _died(self) -> RiskmapError:
        """Say why the process ended before its last word."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its output and lives
            return self._failed()
        if code >= 0:
            return self._failed()
        if -code == signal.SIGXCPU:
            return self._too_long()
        # A parser in C that gets no memory aborts or falls; the system's own killer sends KILL.
        name = signal.Signals(-code).name
        _LOG.warning("reading %s: ended by %s", self._request.path.name, name)
        if -code in (signal.SIGABRT, signal.SIGKILL):
            return too_much_memory(self._request.limits.memory_mb)
        return InputError(
            "ingest.child.died",
            parameter="file",
            value=self._request.path.name,
            signal=name,
            limit=self._request.limits.memory_mb,
        )


def check_size(path: Path, max_mb: int) -> None:
    """Refuse a file (or a folder of files) that is larger than an import may be.

    Raises
    ------
    InputError
        It is larger; the message names the setting.
    """
    try:
        size = sum(file.stat().st_size for file in files_of(path))
    except OSError:
        return  # the reader says what is wrong with it
    if size > max_mb * _MB:
        raise InputError(
            "ingest.limit.size",
            parameter="file",
            value=path.name,
            size=-(-size // _MB),
            limit=max_mb,
            setting="RISKMAP_IMPORT_MAX_MB",
        )


def files_of(path: Path) -> list[Path]:
    """Return a file, or the files of a folder by name."""
    if path.is_dir():
        return sorted(entry for entry in path.iterdir() if entry.is_file())
    return [path]
