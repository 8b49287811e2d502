"""Processes that have their imports, and fork themselves instead of a start of Python.

To import what riskmap imports takes 2.7 s of processor time, what its reader of files imports
0.5 s, and the tests start hundreds of each. `Forked` is a `Popen` whose process is such a fork, and
a child of ours like any other: between it and the zygote stands, for a moment, one process that
ends at once, and whom it leaves behind the kernel gives to us.

The zygote has a socket as its standard input: there comes a line of JSON for each command with the
files that are to be its 0, 1 and 2; back goes the number of the process.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

SOURCE = Path(__file__).parents[1] / "src"
MOST_BYTES = 1 << 20
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Zygote:
    """Our side of it: starts the script and has it fork."""

    def __init__(self, script: str) -> None:
        self._lock = threading.Lock()
        self._socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name(script)],
                stdin=its,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )

    def fork(self, wanted: Mapping[str, Any], files: list[int]) -> int:
        """Let it become a command, which is then a child of ours."""
        with self._lock, _adopting():
            socket.send_fds(self._socket, [json.dumps(wanted).encode()], files)
            said = self._socket.recv(64)
            assert said, f"the zygote ended: {self._process.wait()}"
            assert self._socket.recv(64) == b"."
            return int(said)


@contextmanager
def _adopting() -> Iterator[None]:
    """Be, for a moment, the parent of whom a grandchild leaves behind.

    No longer: processes whose parent was killed are to go where they go without us.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class Forked(subprocess.Popen[Any]):
    """What a zygote became; for its folder, environment, files and session ask as of `Popen`."""

    zygote: ClassVar[Callable[[], Zygote]]

    def _execute_child(self, args: Any, *given: Any) -> None:
        """Fork where Popen would: what it hands over stands in this order in 3.11 to 3.14."""
        _, _, _, _, cwd, env, _, _, _, *ends_and_more = given
        ends, session = ends_and_more[:6], ends_and_more[-2]
        wanted = {
            "arguments": [str(one) for one in args],
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "session": session,
            "parent": os.getpid(),
        }
        stdin, _, _, stdout, _, stderr = ends
        self.pid = type(self).zygote().fork(wanted, [stdin, stdout, stderr])
        self._child_created = True
        self._close_pipe_fds(*ends)


def serve(become: Callable[[list[str]], object]) -> None:
    """Be a zygote: fork for each command that is asked for; `become` runs its arguments."""
    gc.freeze()  # a collection in a child would copy all of these pages
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            told, files, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
            if not told:
                return
            between = os.fork()
            if between == 0:
                child = os.fork()
                if child == 0:
                    break
                asked.send(f"{child}\n".encode())
                os._exit(0)
            for file in files:
                os.close(file)
            os.waitpid(between, 0)
            asked.send(b".")
    _run(json.loads(told), files, become)


def _run(wanted: dict[str, Any], files: list[int], become: Callable[[list[str]], object]) -> None:
    while os.getppid() != wanted["parent"]:
        time.sleep(0.001)  # else a wish to end with our parent would be about the one between
    if wanted["session"]:
        os.setsid()
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    code: object = 0
    try:
        code = become(wanted["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as Python itself ends
        traceback.print_exc()
        code = 1
    # What Python does at its end, but for the taking apart of all modules: that takes 0.4 s.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
