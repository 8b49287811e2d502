"""The network of an hour: times stretched by what the hour makes of the free speed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from riskmap.roads.graph import RoadGraph
from riskmap.roads.speeds import TimeFactor, TimeFactors
from riskmap.units import UNREACHED


def at_hour(graph: RoadGraph, factors: TimeFactors, day_type: str, hour: int) -> RoadGraph:
    """Return the graph at an hour of a kind of day; this one stays as it is.

    Whole milliseconds, rounded to even, at least 1; a closed direction stays closed.

    Parameters
    ----------
    factors
        See `riskmap.roads.speeds.read_time_factors`; a class's own row goes before ``*``.
    day_type, hour
        One of `riskmap.roads.speeds.DAY_TYPES`, 0..23 by the city's clock.

    Returns
    -------
    RoadGraph
        Its revision ends in ``@workday-08``, so that no cache takes it for the stored network.

    Raises
    ------
    InputError
        There is no such day type or hour.
    """
    share = np.ones(len(graph.classes))
    for code, factor in _of_classes(graph, factors, day_type, hour).items():
        share[code] = factor.factor
    by_edge = share[graph.road_class]
    return graph.with_times(
        _stretched(graph.forward_ms, by_edge),
        _stretched(graph.backward_ms, by_edge),
        revision=f"{graph.revision}@{day_type}-{hour:02d}",
    )


def hour_sources(graph: RoadGraph, factors: TimeFactors, day_type: str, hour: int) -> list[str]:
    """Return where the factors of `at_hour` come from; none where the speed is the free one.

    Raises
    ------
    InputError
        There is no such day type or hour.
    """
    found = _of_classes(graph, factors, day_type, hour).values()
    return sorted({factor.source for factor in found})


def _of_classes(
    graph: RoadGraph, factors: TimeFactors, day_type: str, hour: int
) -> dict[int, TimeFactor]:
    factors.check(day_type, hour)
    found = (factors.find(graph.profile, name, day_type, hour) for name in graph.classes)
    return {code: factor for code, factor in enumerate(found) if factor is not None}


def _stretched(
    times_ms: npt.NDArray[np.int32], share: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    stretched = np.clip(np.rint(times_ms / share), 1, UNREACHED - 1)
    return np.where(times_ms == UNREACHED, UNREACHED, stretched).astype(np.int32)
