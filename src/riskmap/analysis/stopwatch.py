"""Milliseconds by stage, for Server-Timing and the benchmarks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """What each stage of an answer took, milliseconds."""

    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what a block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1000

    def header(self) -> str:
        """Return it as a Server-Timing header."""
        return ", ".join(f"{name};dur={ms:.1f}" for name, ms in self.ms.items())
