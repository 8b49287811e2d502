"""Send a file to the service, and wait until it is imported."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from riskmap.client.http import Service, ServiceError

Progress = Callable[[str, int, int], None]

_PAUSE_S: Final = 0.5
# A connection that breaks is tried again; an address that is wrong is soon told.
_SENDING_S: Final = 5.0
# A service that starts anew takes its time; what it began goes on by itself.
_WATCHING_S: Final = 120.0
_OPEN: Final = ("queued", "running")


class ImportRefusedError(ServiceError):
    """An import came to its end and loaded nothing.

    Attributes
    ----------
    report
        What is wrong with which row; None where the file as a whole could not be read.
    """

    def __init__(self, found: dict[str, Any], lang: str) -> None:
        problem = found["problem"] or {}
        self.report: dict[str, Any] | None = found["report"]
        status = found["status"]
        title = {"rejected": "拒收 Rejected", "cancelled": "已取消 Cancelled"}.get(
            status, "失败 Failed"
        )
        lines = [problem["detail"]] if problem else []
        for one in (self.report or {}).get("problems", ())[:10]:
            lines.append(f"{one['row']}: {one['reason'][lang]}")
        super().__init__(
            str(problem.get("title") or title),
            "\n".join(lines) or title,
            parameter=problem.get("parameter"),
        )
        self.import_id: int = found["id"]


def shown(stage: str, done: int, total: int) -> None:
    """Show progress on one line."""
    share = f" {100 * done / total:.0f} %" if total else ""
    sys.stdout.write(f"\r{stage}{share}    ")
    sys.stdout.flush()


def import_file(
    service: Service,
    path: Path,
    layer: str,
    crs: str,
    *,
    progress: Progress | None = shown,
    **options: Any,
) -> dict[str, Any]:
    """Do what `Client.import_file` says."""
    fields = {name: _text(value) for name, value in options.items() if value is not None}
    key = uuid.uuid4().hex
    found = _patiently(
        lambda: service.send_file(
            "/imports", path, {"layer": layer, "crs": crs, **fields}, key=key
        ),
        _SENDING_S,
    )
    said = None
    while found["status"] in _OPEN:
        now = found["progress"]
        if progress is not None and now is not None and now != said:
            progress(now["stage"], now["done"], now["total"])
            said = now
        time.sleep(_PAUSE_S)
        address = f"/imports/{found['id']}"
        found = _patiently(partial(service.get, address), _WATCHING_S)
    if progress is shown and said is not None:
        sys.stdout.write("\n")
    if found["status"] != "done":
        raise ImportRefusedError(found, service.lang)
    report: dict[str, Any] = {**found["report"], "import_id": found["id"]}
    return report


def _patiently(ask: Callable[[], dict[str, Any]], patience_s: float) -> dict[str, Any]:
    """Ask again while the service or its database is away: under one key nothing runs twice."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except ServiceError as error:
            if error.status not in (None, 503) or time.monotonic() > until:
                raise
        time.sleep(2 * _PAUSE_S)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
