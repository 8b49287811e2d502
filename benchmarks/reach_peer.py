"""One peer of benchmarks/reach.py in its own Python: answers lines of JSON, timing itself.

    python reach_peer.py valhalla CONFIG | osrm DATA

Runs in an environment without riskmap. Only the peer's own call lies within the clock.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return (time.perf_counter() - began) * 1000, found


def valhalla(config: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    from valhalla import Actor  # noqa: PLC0415 - each peer has one of them

    actor = Actor(config)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        request = json.dumps(asked["request"])
        ms, text = clocked(lambda: getattr(actor, asked["call"])(request))
        return {"ms": ms, "bytes": len(text)}

    return answer


def osrm(data: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    import osrm as bindings  # noqa: PLC0415

    engine = bindings.OSRM(
        storage_config=data, algorithm="CH", use_shared_memory=False,
        max_locations_distance_table=-1,
    )  # fmt: skip

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        sources, targets = asked["sources"], asked["targets"]
        parameters = bindings.TableParameters(
            coordinates=[tuple(place) for place in sources + targets],
            sources=list(range(len(sources))),
            destinations=list(range(len(sources), len(sources) + len(targets))),
            annotations=["duration"],
        )
        ms, found = clocked(lambda: engine.Table(parameters))
        rows = found["durations"]
        return {"ms": ms, "rows": len(rows), "columns": len(rows[0])}

    return answer


def main() -> None:
    answer = {"valhalla": valhalla, "osrm": osrm}[sys.argv[1]](sys.argv[2])
    # Libraries write to the standard output as they please: answers carry a mark.
    print("\n@ready", flush=True)
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side is told
            said = {"error": f"{type(error).__name__}: {error}"}
        print("\n@" + json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
