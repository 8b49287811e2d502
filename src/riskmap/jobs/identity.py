"""Who runs a job: names of processes that tell whether the process is still there."""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@cache
def machine() -> str:
    """Return the name of what process numbers mean here: host, its boot, its pid namespace.

    Containers may share a host's name, and after a boot the numbers begin anew.
    """
    parts = [socket.gethostname().replace("/", "-")]
    try:
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(str((_PROC / "self/ns/pid").readlink()).strip("pid:[]"))
    except OSError:  # no Linux: the host's name has to do
        return parts[0]
    return ".".join(parts)


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None: there is no such process.

    Numbers of processes come round again; with the start they do not.
    """
    try:
        # The name, second of the fields, may hold blanks and brackets; the start is the 22nd.
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else fields[18]


def _alive(pid: int, started: str) -> bool:
    if (_PROC / "self/stat").exists():
        return _started(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def new_name() -> str:
    """Make a name for a worker of this process: machine/pid.start/word."""
    pid = os.getpid()
    return f"{machine()}/{pid}.{_started(pid) or 0}/{secrets.token_hex(4)}"


def is_gone(name: str) -> bool:
    """Say whether a worker's process was of this machine and is no more."""
    where, _, rest = name.partition("/")
    process, _, _ = rest.partition("/")
    pid, _, started = process.partition(".")
    if where != machine() or not pid.isdecimal():
        return False
    return not _alive(int(pid), started)
