"""The process that reads a foreign file: it has no database, no network and little else.

The parent (`riskmap.ingest.process`) runs this file with one JSON request on standard input; the
answer on standard output is frames (`riskmap.ingest.protocol`). What libraries print goes to
standard error, which the parent keeps for its log.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

if __name__ == "__main__":
    # `python -I` runs this by its path and knows no PYTHONPATH. First, so that it is the parent's
    # riskmap and no other that is installed; then last, since that folder may hold anything.
    _ROOT: Final = str(Path(__file__).resolve().parents[2])
    sys.path.insert(0, _ROOT)
    import riskmap

    sys.path.remove(_ROOT)
    sys.path.append(_ROOT)
    del riskmap
    # pyogrio imports these where it finds them, and nothing here uses them: half of the processor
    # time (1.0 s) that this process would take to start.
    for _unused in ("geopandas", "pandas"):
        sys.modules[_unused] = None  # type: ignore[assignment]

from riskmap.errors import InputError, RiskmapError, UnavailableError
from riskmap.ingest import sandbox
from riskmap.ingest.gdal import confine_gdal
from riskmap.ingest.protocol import Done, Fault, Message, encode
from riskmap.ingest.reading import read_frames, write_rejects
from riskmap.ingest.request import Request

LONGEST_REQUEST: Final = 64 << 20
# Rows that were refused are copied, and problems told, at more length than the file has.
_WRITTEN_TIMES: Final = 2
_COLLECTED_EVERY: Final = 64
_FULL: Final = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT)


def main() -> int:
    """Do what the request says; return the exit code."""
    sandbox.die_with_parent()
    request = Request.loads(sys.stdin.buffer.read(LONGEST_REQUEST))
    if os.getppid() != request.parent:
        return 1  # it died before the kernel was told to end us with it
    out = _own_output()
    try:
        _give_up(request)
        # Batches are millions of lists without a cycle: looking for cycles at every turn takes a
        # quarter of all the time.
        gc.disable()
        for number, message in enumerate(_messages(request), 1):
            _send(out, message)
            if number % _COLLECTED_EVERY == 0:
                gc.collect()
    except RiskmapError as error:
        _send(out, Fault(error))
    except MemoryError:
        _send(out, Fault(too_much_memory(request.limits.memory_mb)))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _send(out, Fault(UnavailableError("ingest.limit.disk", parameter="file")))
    return 0


def too_much_memory(memory_mb: int) -> InputError:
    """Return the error for a file that needs more memory than an import may have."""
    return InputError(
        "ingest.limit.memory", parameter="file", limit=memory_mb, setting="RISKMAP_IMPORT_MEMORY_MB"
    )


def _own_output() -> BinaryIO:
    """Take standard output for frames alone: whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return out


def _give_up(request: Request) -> None:
    limits = request.limits
    confine_gdal()
    for note in sandbox.enter(
        memory_mb=limits.memory_mb,
        cpu_s=limits.minutes * 60,
        file_mb=_WRITTEN_TIMES * limits.max_mb,
    ):
        print(note, file=sys.stderr)  # noqa: T201 - the parent's log


def _messages(request: Request) -> Iterator[Message]:
    if request.task == "rejects":
        made = write_rejects(request)
        yield Done(None if made is None else made.name)
    else:
        yield from read_frames(request)


def _send(out: BinaryIO, message: Message) -> None:
    for part in encode(message):
        left = memoryview(part)
        while left:  # a raw file may take less than it was given
            left = left[out.write(left) :]


if __name__ == "__main__":
    sys.exit(main())
