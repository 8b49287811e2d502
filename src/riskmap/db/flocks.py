"""Locks on files that the kernel drops with their holder, so that a kill leaves nothing stale."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riskmap.db.pg_programs import Account


def open_lock(path: Path, account: Account | None) -> int:
    """Open a lock's file, made where it is missing, and return its descriptor.

    It belongs to the cluster's account, so that its owner can use it after root has. Python
    opens descriptors so that no program we start inherits them.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if account is not None:
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor


def take(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if nobody is in the way, and say whether it was got. Never waits."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held(path: Path, account: Account | None) -> Iterator[None]:
    """Hold a lock alone, after waiting for it."""
    descriptor = open_lock(path, account)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
