"""What the process that reads a foreign file gives up before it opens the file.

Limits of memory, time and file size; and, by a filter in the kernel, everything that could reach
another machine or another process. Whatever a crafted file makes a parser do, it stays here.

`man 2 seccomp`, `man 2 getrlimit`, `man 2 prctl`. Files may still be read and written as the
account may: the parent hands over nothing but the file and a folder of its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import sys
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1

_MB: Final = 1 << 20
_OPEN_FILES: Final = 256

# machine -> (AUDIT_ARCH of linux/audit.h, number of seccomp itself, refused calls by name).
_REFUSED_EVERYWHERE: Final = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsmount": 432, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438,
    "process_madvise": 440,
}  # fmt: skip
_MACHINES: Final[dict[str, tuple[int, int, dict[str, int]]]] = {
    "x86_64": (
        0xC000003E,
        317,
        {
            "socket": 41, "connect": 42, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
            "kill": 62, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
            "bpf": 321, "execveat": 322,
            "rt_sigqueueinfo": 129, "pivot_root": 155, "chroot": 161, "mount": 165,
            "umount2": 166, "tkill": 200, "tgkill": 234, "add_key": 248, "request_key": 249,
            "keyctl": 250, "unshare": 272, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
            "prlimit64": 302, "setns": 308, "userfaultfd": 323, **_REFUSED_EVERYWHERE,
        },
    ),
    "aarch64": (
        0xC00000B7,
        277,
        {
            "ptrace": 117, "kill": 129, "socket": 198, "connect": 203, "clone": 220,
            "execve": 221, "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280,
            "execveat": 281,
            "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97,
            "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "add_key": 217,
            "request_key": 218, "keyctl": 219, "rt_tgsigqueueinfo": 240, "perf_event_open": 241,
            "prlimit64": 261, "setns": 268, "userfaultfd": 282, **_REFUSED_EVERYWHERE,
        },
    ),
}  # fmt: skip

# Classic BPF (linux/filter.h) over struct seccomp_data: nr at 0, arch at 4, args from 16.
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_AT_LEAST: Final = 0x35
_JUMP_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
_EPERM: Final = 1
_ENOSYS: Final = 38
_CLONE_THREAD: Final = 0x00010000
_CAPABILITY_VERSION_3: Final = 0x20080522  # linux/capability.h
_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_X32: Final = 0x40000000


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it dies."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def enter(*, memory_mb: int, cpu_s: int, file_mb: int) -> list[str]:
    """Give up what reading a file does not need; return what this machine cannot take away.

    Parameters
    ----------
    memory_mb
        Memory beyond what is mapped now: the libraries are loaded by now.
    cpu_s
        Seconds of processor time; SIGXCPU ends the process then.
    file_mb
        Longest file that may be written.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, cpu_s, cpu_s + 5)
    _limit(resource.RLIMIT_FSIZE, file_mb * _MB)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    # Not RLIMIT_NPROC: it counts all processes of the account, and threads, too. The filter
    # lets this process make threads and nothing else.
    if sys.platform != "linux":
        return [f"{sys.platform}: no limit of memory, no filter of system calls"]
    # AS and not DATA: shared mappings count as well. Libraries map far more than they use (GDAL,
    # PROJ and numpy some hundred MB), so the limit starts from what is mapped already.
    mapped = int(_first_word("/proc/self/statm")) * resource.getpagesize()
    _limit(resource.RLIMIT_AS, mapped + memory_mb * _MB)
    _drop_capabilities()
    return _filter_calls()


def _drop_capabilities() -> None:
    """Give up what root may beyond its own files: the parent's memory under /proc, above all.

    The kernel lets a process look into another one of the same account only if it has every
    capability that the other has (and, `shield`, if the other allows it).
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc().capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def shield() -> None:
    """Close this process's memory and environment to other processes of its account.

    For the parent: the reading process runs under the same account. It also means no core dumps,
    and a debugger needs root.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    wanted = soft if hard is None else hard
    _, most = resource.getrlimit(what)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    resource.setrlimit(what, (min(soft, wanted), wanted))


def _first_word(path: str) -> str:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - /proc is no file of anybody's
        return file.read().split()[0]


def _filter_calls() -> list[str]:
    machine = platform.machine()
    if machine not in _MACHINES or sys.maxsize < 2**32:
        return [f"{machine}: no filter of system calls"]
    arch, seccomp, refused = _MACHINES[machine]
    # Without it only a privileged process may install a filter; and no exec can gain anything.
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    instructions = _instructions(arch, refused)
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    # TSYNC: threads that a library has started by now are bound, too.
    done = _libc().syscall(
        ctypes.c_long(seccomp),
        ctypes.c_ulong(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_ulong(_SECCOMP_FILTER_FLAG_TSYNC),
        ctypes.byref(program),
    )
    if done != 0:
        return [f"seccomp: {os.strerror(ctypes.get_errno()) if done < 0 else done}"]
    return []


def _instructions(arch: int, refused: dict[str, int]) -> list[_Instruction]:
    """Write the filter: another architecture's calls kill, the refused ones fail, others pass."""
    program = [
        _Instruction(_LOAD, 0, 0, _ARCH),
        _Instruction(_JUMP_EQUAL, 1, 0, arch),
        _Instruction(_RETURN, 0, 0, _KILL),
        _Instruction(_LOAD, 0, 0, _NR),
        # The x32 twins of x86_64's calls have other numbers.
        _Instruction(_JUMP_AT_LEAST, 0, 1, _X32),
        _Instruction(_RETURN, 0, 0, _ERRNO | _EPERM),
    ]
    for name, number in refused.items():
        if name == "clone":  # a thread passes, a process does not
            program += [
                _Instruction(_JUMP_EQUAL, 0, 4, number),
                _Instruction(_LOAD, 0, 0, _FIRST_ARGUMENT),
                _Instruction(_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD),
                _Instruction(_RETURN, 0, 0, _ERRNO | _EPERM),
                _Instruction(_RETURN, 0, 0, _ALLOW),
            ]
            continue
        # clone3 keeps its flags where no filter sees them: "no such call" makes libc use clone.
        errno = _ENOSYS if name == "clone3" else _EPERM
        program += [
            _Instruction(_JUMP_EQUAL, 0, 1, number),
            _Instruction(_RETURN, 0, 0, _ERRNO | errno),
        ]
    return [*program, _Instruction(_RETURN, 0, 0, _ALLOW)]


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    arguments = (ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if _libc().prctl(ctypes.c_int(option), *arguments) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
