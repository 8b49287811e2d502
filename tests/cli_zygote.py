"""A process that has imported what riskmap imports, and forks itself for each command.

To import them takes 1.2 of the 1.5 s of processor time of a short command, and the tests run two
hundred. riskmap itself is imported by each command anew, in its own environment.

Reads from stdin a line of JSON for each command; writes a line with its process, then its exit.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import sys
import threading
import traceback
from typing import Any

import alembic.command
import alembic.context
import geoalchemy2
import geopandas
import numba
import pandas
import psycopg
import pydantic_settings
import pyogrio
import pyproj
import rich.progress
import rich.table
import shapely
import sqlalchemy.ext.asyncio
import typer

# What stands here is imported for its being imported.
READY = (alembic, geoalchemy2, geopandas, numba, pandas, psycopg, pydantic_settings, pyogrio)
READY += (pyproj, rich, shapely, sqlalchemy, typer)


def become(wanted: dict[str, Any]) -> None:
    """Turn this process into the command, to its end."""
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, wanted["out"], os.O_WRONLY),
        (2, wanted["err"], os.O_WRONLY),
    ):
        file = os.open(name, flags)
        os.dup2(file, number)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["riskmap", *wanted["arguments"]]
    code = 0
    try:
        runpy.run_module("riskmap.cli.main", run_name="__main__")
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


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> dict[str, Any] | None:
    """Serve commands; what is returned is to be become, in a process of its own."""
    gc.freeze()  # a collection in a child would copy all of these pages
    while line := sys.stdin.readline():
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            return wanted
        say(child)
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status))
    return None


if __name__ == "__main__":
    found = main()
    if found is not None:
        become(found)
