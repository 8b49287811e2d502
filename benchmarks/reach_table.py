"""What benchmarks/reach.py says: lines with medians, ratios and targets, and the noise."""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Say = Callable[..., None]

# A hundred thousand additions: what varies in it is the machine, not the program.
_SPIN = 100_000


@dataclass
class Line:
    """One thing measured: `value` in `unit`; `target` is a least or a largest value."""

    section: str
    network: str
    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.least is None and self.most is None:
            return None
        high = self.least is None or self.value >= self.least
        return high and (self.most is None or self.value <= self.most)

    def __str__(self) -> str:
        target = ""
        if self.met is not None:
            wanted = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"
            target = f"{wanted} {'met' if self.met else 'MISSED'}"
        digits = 1 if abs(self.value) >= 100 else 2
        return (
            f"{self.network:18.18} {self.name:58.58} {self.value:10,.{digits}f} {self.unit:5} "
            f"{target:15} {self.note}"
        ).rstrip()


@dataclass
class Report:
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spins_ms: list[float] = field(default_factory=list)
    _section: str = ""

    def add(
        self, section: str, network: str, name: str, value: float, unit: str, **more: Any
    ) -> None:
        """Say a line at once: who stops a long run keeps what it has found."""
        line = Line(section, network, name, float(value), unit, **more)
        if section != self._section:
            self._section = section
            print(f"\n{section}")
        self.lines.append(line)
        print(line, flush=True)

    def of(self, section: str, network: str) -> Say:
        """Return what adds lines of one section and network."""

        def say(name: str, value: float, unit: str, **more: Any) -> None:
            self.add(section, network, name, value, unit, **more)

        return say

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(text, flush=True)

    def spin(self) -> None:
        """Time the same arithmetic once more."""
        began = time.perf_counter()
        total = 0
        for number in range(_SPIN):
            total += number
        self.spins_ms.append((time.perf_counter() - began) * 1000)

    def end(self, file: Path | None) -> None:
        spins = self.spins_ms or [0.0]
        noise = {
            "median_ms": statistics.median(spins),
            "least_ms": min(spins),
            "most_ms": max(spins),
            "times": len(spins),
            "load": os.getloadavg()[0],
            "processors": os.cpu_count(),
            "python": sys.version.split()[0],
        }
        print(
            f"\nnoise: the same arithmetic took {min(spins):.1f} ... {statistics.median(spins):.1f}"
            f" ... {max(spins):.1f} ms in {len(spins)} turns; load {noise['load']:.1f} on "
            f"{noise['processors']} processors"
        )
        missed = [line for line in self.lines if line.met is False]
        print(f"{len(missed)} of {sum(line.met is not None for line in self.lines)} targets missed")
        for line in missed:
            print(f"  {line}")
        if file is not None:
            found = {
                "lines": [asdict(line) | {"met": line.met} for line in self.lines],
                "notes": self.notes,
                "noise": noise,
            }
            file.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


@dataclass
class Clock:
    """Times of several sides, taken in turns."""

    ms: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, name: str, work: Callable[..., T], *given: Any, **more: Any) -> T:
        began = time.perf_counter()
        found = work(*given, **more)
        self.take(name, (time.perf_counter() - began) * 1000)
        return found

    def take(self, name: str, ms: float) -> None:
        self.ms.setdefault(name, []).append(ms)

    def turns(self, report: Report, count: int, warm: int = 2) -> Iterator[tuple[int, bool]]:
        """Yield rows and whether they count: the first ones compile and warm up, then all anew."""
        for turn in range(-warm, count):
            if turn == 0:
                self.ms.clear()
            report.spin()
            yield max(turn, 0), turn >= 0

    def median(self, name: str) -> float:
        return statistics.median(self.ms[name])

    def ratio(self, name: str, other: str) -> float:
        return self.median(name) / self.median(other)

    def p90(self, name: str) -> float:
        return sorted(self.ms[name])[math.ceil(0.9 * len(self.ms[name])) - 1]

    def __contains__(self, name: str) -> bool:
        return name in self.ms
