"""The zygote of the process that reads a foreign file (`riskmap.ingest.child`, `zygote`)."""

from __future__ import annotations

import sys

# As the process itself does.
for _unused in ("geopandas", "pandas"):
    sys.modules[_unused] = None  # type: ignore[assignment]

import zygote  # noqa: E402
from riskmap.ingest import child  # noqa: E402


def become(arguments: list[str]) -> int:
    """Run `python -I …/child.py`."""
    assert arguments[1:] == ["-I", child.__file__], arguments
    return child.main()


if __name__ == "__main__":
    zygote.serve(become)
