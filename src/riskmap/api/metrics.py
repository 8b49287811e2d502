"""What Prometheus asks for: tiles by layer and zoom, their memory, the change feed.

Every process counts for itself, and a scrape reaches any of them: each leaves its numbers in the
data folder every two seconds (`riskmap.api.tallies`), and the answer is the sum over the living.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from riskmap.api.deps import Ctx, parameters
from riskmap.api.tallies import Sample

router = APIRouter(tags=["service"])

# name -> (is a counter, help, labels)
_METRICS: Final[dict[str, tuple[bool, str, tuple[str, ...]]]] = {
    "riskmap_tiles": (
        True,
        "Tiles served, counted for each layer in them; how: memory, confirmed (304), rendered,"
        " stale (database away).",
        ("layer", "zoom", "how"),
    ),
    "riskmap_tile_renders": (True, "Tiles rendered by PostGIS.", ()),
    "riskmap_tile_render_seconds": (True, "Time that rendering tiles took.", ()),
    "riskmap_tile_cache_bytes": (False, "Memory of ready tiles.", ()),
    "riskmap_tile_cache_tiles": (False, "Ready tiles in memory.", ()),
    "riskmap_tile_cache_evicted": (True, "Ready tiles given up for room.", ()),
    "riskmap_processes": (False, "Processes of the service.", ()),
    "riskmap_processes_fresh": (False, "Those that know every change older than a second.", ()),
}


class _Sums:
    """A collector of sums."""

    def __init__(self, found: Iterable[Sample]) -> None:
        self._sums: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for name, labels, number in found:
            of = self._sums[name]
            of[labels] = of.get(labels, 0) + number

    def collect(self) -> Iterator[Metric]:
        for name, (counter, about, labels) in _METRICS.items():
            family = (CounterMetricFamily if counter else GaugeMetricFamily)(
                name, about, labels=labels
            )
            for values, number in self._sums[name].items():
                family.add_metric(list(values), number)
            yield family


@router.get("/metrics", summary="运行指标 Metrics", response_model=None)
async def metrics(request: Request, ctx: Ctx) -> Response:
    """Tell Prometheus what was served."""
    parameters(request, set())
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Sums(ctx.tallies.everybody()))
    return Response(
        generate_latest(registry),
        media_type=CONTENT_TYPE_LATEST,
        headers={"Cache-Control": "no-store"},
    )
