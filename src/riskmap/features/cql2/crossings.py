"""How often the lines of a filter cross each other, counted before the database has to.

To relate two shapes PostGIS (GEOS) keeps each of their crossings, in one call that no timeout ends.
A zigzag of 9,000 vertices crosses itself 25 million times: minutes and gigabytes for each row.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

# So many take about 0.1 s a row; a real border or route meets itself at its corners alone.
MAX_CROSSINGS: Final = 10_000
# Pairs of segments whose boxes meet: a tenth of a second of looking closer.
_MOST_PAIRS: Final = 100_000
_AT_ONCE: Final = 32


def _segments(shapes: NDArray[Any]) -> NDArray[Any]:
    """Return all segments of lines and of the borders of polygons."""
    parts = shapely.get_parts(shapely.get_parts(shapes))
    polygons = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    lines = np.concatenate((parts[~polygons], shapely.get_rings(parts[polygons])))
    xy, line = shapely.get_coordinates(lines, return_index=True)
    joined = line[:-1] == line[1:]
    found: NDArray[Any] = shapely.linestrings(np.stack((xy[:-1], xy[1:]), axis=1)[joined])
    return found


def is_tangled(*wkb: bytes) -> bool:
    """Say whether shapes cross themselves and each other more than `MAX_CROSSINGS` times.

    Neighbours, which meet at their common vertex, do not count.
    """
    segments = _segments(shapely.from_wkb(list(wkb)))
    if len(segments) ** 2 <= 2 * MAX_CROSSINGS:
        return False
    tree = shapely.STRtree(segments)
    pairs = crossings = 0
    for start in range(0, len(segments), _AT_ONCE):
        near, other = tree.query(segments[start : start + _AT_ONCE])
        apart = start + near + 1 < other  # each pair once
        near, other = start + near[apart], other[apart]
        pairs += len(near)
        if pairs > _MOST_PAIRS:
            return True
        crossings += int(np.count_nonzero(shapely.intersects(segments[near], segments[other])))
        if crossings > MAX_CROSSINGS:
            return True
    return False
