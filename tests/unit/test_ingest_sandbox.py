"""What a process cannot do any more once it has entered the sandbox, and what it still can."""

from __future__ import annotations

import os
import platform
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from riskmap.ingest import sandbox

FILTERED = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
ENTER = """
import ctypes, errno, os, socket, subprocess, sys, threading, urllib.request
import numpy, pyogrio, shapely
sys.path.insert(0, {source!r})
from riskmap.ingest import sandbox
notes = sandbox.enter(memory_mb={memory_mb}, cpu_s={cpu_s}, file_mb={file_mb})
assert not notes, notes
"""
SOURCE = str(Path(sandbox.__file__).parents[2])


def inside(
    code: str, *, memory_mb: int = 512, cpu_s: int = 60, file_mb: int = 10, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has entered the sandbox."""
    if not FILTERED:
        if os.environ.get("CI"):
            pytest.fail("the filter of system calls is not written for this machine")
        pytest.skip("the filter of system calls is not written for this machine")
    head = ENTER.format(source=SOURCE, memory_mb=memory_mb, cpu_s=cpu_s, file_mb=file_mb)
    return subprocess.run(
        [sys.executable, "-I", "-c", head + code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )


REFUSED = """
try:
    {attempt}
except PermissionError as error:
    assert error.errno == errno.EPERM
    print("refused")
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['/bin/true'])",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_calls_that_reach_out_are_refused(tmp_path: Path, attempt: str) -> None:
    done = inside(REFUSED.format(attempt=attempt), folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


def test_a_url_cannot_be_opened(tmp_path: Path) -> None:
    code = """
try:
    urllib.request.urlopen("http://127.0.0.1:9/")
except OSError as error:
    print(error.reason.errno == errno.EPERM)
"""
    assert inside(code, folder=tmp_path).stdout == "True\n"


def test_calls_by_number_are_refused_too(tmp_path: Path) -> None:
    code = """
libc = ctypes.CDLL(None, use_errno=True)
numbers = sandbox._MACHINES[os.uname().machine][2]
for name in ("ptrace", "execveat", "io_uring_setup", "process_vm_readv", "bpf", "connect"):
    assert libc.syscall(ctypes.c_long(numbers[name]), 0, 0, 0, 0, 0, 0) == -1
    assert ctypes.get_errno() == errno.EPERM, name
print("refused")
"""
    done = inside(code, folder=tmp_path)
    assert done.stdout == "refused\n", done.stderr


def test_threads_and_files_still_work(tmp_path: Path) -> None:
    code = """
found = []
thread = threading.Thread(target=lambda: found.append(1))
thread.start()
thread.join()
with open("a.txt", "w") as file:
    file.write("x")
refused = []
def attempt():
    try:
        socket.socket()
    except PermissionError:
        refused.append(1)
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
print(found, refused, open("a.txt").read())
"""
    assert inside(code, folder=tmp_path).stdout == "[1] [1] x\n"


def test_memory_is_limited(tmp_path: Path) -> None:
    code = """
try:
    numpy.ones(4 << 30, dtype=numpy.uint8)
except MemoryError:
    print("refused")
print(numpy.ones(64 << 20, dtype=numpy.uint8).sum())
"""
    assert inside(code, folder=tmp_path).stdout == f"refused\n{64 << 20}\n"


def test_an_endless_loop_ends(tmp_path: Path) -> None:
    # Loading the libraries counts as well: the limit is of the process, not of what follows.
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = inside("while True: pass", cpu_s=1, folder=tmp_path)
    assert done.returncode == -signal.SIGXCPU
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert now.ru_utime - spent.ru_utime < 30


def test_files_and_their_number_are_limited(tmp_path: Path) -> None:
    code = """
try:
    with open("big", "wb", buffering=0) as file:
        for _ in range(20):
            file.write(bytes(1 << 20))
except OSError as error:
    print(error.errno == errno.EFBIG, os.path.getsize("big"))
files = []
try:
    for _ in range(1000):
        files.append(open("big"))
except OSError as error:
    print(error.errno == errno.EMFILE)
"""
    assert inside(code, folder=tmp_path).stdout == f"True {10 << 20}\nTrue\n"


def test_no_core_is_left(tmp_path: Path) -> None:
    done = inside("os.abort()", folder=tmp_path)
    assert done.returncode in (-signal.SIGABRT, -signal.SIGSEGV)
    assert list(tmp_path.iterdir()) == []


def test_the_filter_is_written_for_each_machine() -> None:
    for arch, _, refused in sandbox._MACHINES.values():
        program = sandbox._instructions(arch, refused)
        numbers = {step.k for step in program if step.code == sandbox._JUMP_EQUAL}
        assert numbers == {arch, *refused.values()}
        # Every jump lands inside the program, and its last step lets the rest through.
        for place, step in enumerate(program):
            assert place + 1 + max(step.jt, step.jf) < len(program) or step.code == sandbox._RETURN
        assert (program[-1].code, program[-1].k) == (sandbox._RETURN, sandbox._ALLOW)


PARENT = """
import subprocess, sys
sys.path.insert(0, {source!r})
from riskmap.ingest import sandbox
sandbox.shield()
done = subprocess.run([sys.executable, "-I", "-c", {child!r}], capture_output=True, text=True)
print(done.stdout, done.stderr, sep="")
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "open(f'/proc/{os.getppid()}/mem', 'r+b')",
        "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (4, 4))",
        "os.kill(os.getppid(), 0)",
        "called(SYS['tkill'], os.getppid(), 0)",
        "called(SYS['unshare'], 0x10000000)",
        "called(SYS['setns'], 0, 0)",
        "called(SYS['perf_event_open'], 0, 0, 0, 0, 0)",
    ],
)
def test_the_parent_is_out_of_reach(tmp_path: Path, attempt: str) -> None:
    """Its memory holds the database's login; as root, too, which the tests run as."""
    calls = sandbox._MACHINES.get(platform.machine(), (0, 0, {}))[2]
    tried = f"""
import resource
SYS = {calls!r}
def called(number, *arguments):
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
try:
    {attempt}
except PermissionError:
    print("refused")
"""
    child = ENTER.format(source=SOURCE, memory_mb=512, cpu_s=60, file_mb=10) + tried
    answer = subprocess.run(
        [sys.executable, "-I", "-c", PARENT.format(source=SOURCE, child=child)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )
    assert answer.stdout.strip() == "refused", answer.stdout + answer.stderr
