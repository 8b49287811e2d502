"""A process that has imported what riskmap imports, and forks itself for each command.

To import all that takes 2.7 s of processor time, more than most commands take to do their work,
and the tests run three hundred. Of riskmap itself only the command line is imported anew by each
command: it alone looks at the environment (the terminal's width) when it is imported.

On its standard input, a socket, comes a line of JSON for each command, with the files that are to
be the command's own 0, 1 and 2; back goes its process number, once its parent is our parent.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import alembic.command
import alembic.context
import openpyxl
import osmium
import pygments.lexers
import rich.progress
import rich.table
import typer
import uvicorn.lifespan.on
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.auto
import uvicorn.supervisors
import uvloop

import riskmap.app
import riskmap.demo.load

# What stands here is imported for its being imported.
READY = (alembic, openpyxl, osmium, pygments, rich, riskmap, typer, uvicorn, uvloop)
MOST_BYTES = 1 << 20


def become(wanted: dict[str, Any], files: list[int]) -> None:
    """Turn this process into the command, to its end."""
    if wanted["session"]:
        os.setsid()
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["riskmap", *wanted["arguments"]]
    code = 0
    try:
        # The altered `__main__` is what workers of the service, which are spawned, import.
        runpy.run_module("riskmap.cli.main", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself ends
        traceback.print_exc()
        code = 1
    # What Python does at its end, but for the taking apart of all modules: that takes 0.4 s.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> tuple[dict[str, Any], list[int]] | None:
    """Serve commands; what is returned is to be become, in a process of its own."""
    gc.freeze()  # a collection in a child would copy all of these pages
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            told, files, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
            if not told:
                return None
            # Between us and the command one process that ends at once: our parent is then the
            # command's, which it can wait for and kill as it does with any child of its own.
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
    return json.loads(told), files


if __name__ == "__main__":
    found = main()
    if found is not None:
        become(*found)
