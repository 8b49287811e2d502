"""The zygote of `riskmap` as a user runs it (`zygote`).

Of riskmap itself only the command line is imported anew by each command: it alone looks at the
environment (the terminal's width) when it is imported.
"""

from __future__ import annotations

import runpy
import signal
import sys

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
import zygote

# What stands here is imported for its being imported.
READY = (alembic, openpyxl, osmium, pygments, rich, riskmap, typer, uvicorn, uvloop)


def become(arguments: list[str]) -> None:
    """Run `python -m riskmap.cli.main …`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _python, _m, module, *rest = arguments
    sys.argv = ["riskmap", *rest]
    # The altered `__main__` is what workers of the service, which are spawned, import.
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    zygote.serve(become)
