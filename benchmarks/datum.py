"""GCJ-02 to WGS 84: our array code beside pure-Python libraries, row by row.

    pip install prcoords==1.0.2 eviltransform==0.1.1
    python benchmarks/datum.py [--points 1000000] [--rows 20000]

Without `eviltransform`, the fastest, it is left out and the script says so. All take turns in one
process. Of each library two functions run: the fast inverse, a single step that is up to 2.5 m off,
and the exact one that iterates; ours iterates to 1e-6 m. Read the ratios: the nanoseconds are those
of this machine at this hour.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pyproj import Geod

from riskmap.crs.china import gcj02_to_wgs84, wgs84_to_gcj02

TURNS = 7


def libraries() -> dict[str, Callable[[float, float], Any]]:
    """Return name -> function of (lat, lon)."""
    found: dict[str, Callable[[float, float], Any]] = {}
    try:
        evil = importlib.import_module("eviltransform")
        found["eviltransform.gcj2wgs (fast)"] = evil.gcj2wgs
        found["eviltransform.gcj2wgs_exact"] = evil.gcj2wgs_exact
    except ImportError:
        print("eviltransform is not here: pip install eviltransform==0.1.1")
    prc = importlib.import_module("prcoords")
    found["prcoords.gcj_wgs (fast)"] = lambda lat, lon: prc.gcj_wgs((lat, lon))
    found["prcoords.gcj_wgs_bored (exact)"] = lambda lat, lon: prc.gcj_wgs_bored((lat, lon))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()

    random = np.random.default_rng(1)
    wgs84 = np.column_stack(
        [random.uniform(104, 122, options.points), random.uniform(29, 38, options.points)]
    )
    gcj02 = wgs84_to_gcj02(wgs84)
    rows = gcj02[: options.rows, ::-1].tolist()
    gcj02_to_wgs84(gcj02)  # compiles
    ours, theirs = [], {name: [] for name in libraries()}
    functions = libraries()
    for _ in range(TURNS):
        began = time.perf_counter()
        found = gcj02_to_wgs84(gcj02)
        ours.append((time.perf_counter() - began) / len(gcj02))
        for name, function in functions.items():
            began = time.perf_counter()
            for lat, lon in rows:
                function(lat, lon)
            theirs[name].append((time.perf_counter() - began) / len(rows))

    def off_m(lonlat: np.ndarray) -> float:
        first = wgs84[: len(lonlat)]
        return float(np.max(Geod(ellps="WGS84").inv(*lonlat.T, *first.T)[2]))

    mine = min(ours)
    print(f"{options.points:,} points, best of {TURNS}; a library on {options.rows:,} of them")
    print(f"{'riskmap (exact)':32} {mine * 1e9:10,.1f} ns a point, off by {off_m(found):.1e} m")
    for name, times in theirs.items():
        results = np.array([functions[name](lat, lon)[::-1] for lat, lon in rows])
        print(
            f"{name:32} {min(times) * 1e9:10,.1f} ns a point, off by {off_m(results):.1e} m: "
            f"{min(times) / mine:,.0f} times ours"
        )
    fastest = min(theirs, key=lambda name: min(theirs[name]))
    ratio = min(theirs[fastest]) / mine
    print(f"beside the fastest, {fastest}: {ratio:,.0f} times (asked for: at least 100)")


if __name__ == "__main__":
    main()
