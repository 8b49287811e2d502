"""What is drawn: GeoJSON features with the name of a class, and the roads behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import shapely
from shapely.geometry import shape as geometry_of
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.picture.looks import LOOKS, POINT_LOOKS
from riskmap.catalog.spec import Layer, Text
from riskmap.roads.graphs import Network
from riskmap.units import MS_PER_S, UNREACHED, Bbox

BAND: Final = "band"
Feature = Mapping[str, Any]
# More lines than this make a file of megabytes and a grey smear: the fastest roads stay.
_MOST_ROADS: Final = 9_000
_MAIN_KMH: Final = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Features that are drawn alike and share a row of the legend.

    Parameters
    ----------
    features
        GeoJSON features or bare geometries, longitude and latitude (WGS 84). Of the properties
        are read: `minutes` (class `band`), `risk_level` (null: not assessed), `open_status`,
        `duty_status` or `state`, `label` (text beside a point or on a ring), `order` (a number on
        the symbol).
    look
        `band` (response circles, whole or rings: ranked by `minutes`, the narrower cut out of the
        wider), a name of `riskmap.analysis.picture.looks.LOOKS` (danger, sector, range, area,
        route, walk, reached, closed, flooded, lost, gained, boundary, band-5 ...), or of points
        `place` (an ink cross), `uncovered` (a dashed ring about the symbol), `points`.
    label
        What the legend says, None for no row.
    symbol, by_risk_level
        Of points: as the `Style` of their layer has them. See `of_layer`.
    labelled
        How many features, from the first on, may write their `label` beside them.
    """

    features: Sequence[Feature]
    look: str
    label: Text | None = None
    symbol: str = "dot"
    by_risk_level: bool = False
    labelled: int = 8

    def __post_init__(self) -> None:
        if self.look not in {BAND, *LOOKS, *POINT_LOOKS}:
            raise ValueError(f"no class of shapes is called {self.look!r}")

    @classmethod
    def of_layer(
        cls, layer: Layer, features: Sequence[Feature], *, look: str = "points", labelled: int = 8
    ) -> Shapes:
        """Return features of a layer, drawn by its style and called by its title."""
        return cls(
            features=features,
            look=look,
            label=layer.title,
            symbol=layer.style.symbol,
            by_risk_level=layer.assessed,
            labelled=labelled,
        )


@dataclass(frozen=True, eq=False)
class Roads:
    """Lines of the background.

    Attributes
    ----------
    lines : object[n]
        Linestrings, degrees.
    main : bool[n]
        Whether each is fast enough to be drawn as a main road.
    """

    lines: npt.NDArray[np.object_]
    main: npt.NDArray[np.bool_]


def geometry(feature: Feature) -> BaseGeometry | None:
    """Return the shape of a feature or bare geometry, None where there is none."""
    found = feature.get("geometry") if feature.get("type") == "Feature" else feature
    if isinstance(found, orjson.Fragment):  # written already, as circles have it
        found = orjson.loads(orjson.dumps(found))
    drawn = None if found is None else geometry_of(dict(found))
    return None if drawn is None or drawn.is_empty else drawn


def box_of(features: Iterable[Feature]) -> Bbox | None:
    """Return the box that holds some features, None for none."""
    shapes = [found for one in features if (found := geometry(one)) is not None]
    return Bbox(*map(float, shapely.total_bounds(shapes))) if shapes else None


def roads_in(network: Network, box: Bbox | None) -> Roads:
    """Return the roads of a network in and around a box; of too many the fastest ones."""
    graph = network.graph
    if box is None or graph.edge_count == 0:
        return Roads(np.zeros(0, dtype=object), np.zeros(0, dtype=bool))
    corners = [(x, y) for x in (box.west, box.east) for y in (box.south, box.north)]
    local = network.to_local(corners)
    # A window is as much as half again as wide as what it must hold.
    low, high = local.min(axis=0), local.max(axis=0)
    room = (high - low).max() * 0.6 + 2500
    first, last = graph.offsets[:-1], graph.offsets[1:]
    inside = np.ones(graph.edge_count, dtype=bool)
    for axis in (0, 1):
        values = graph.xy[:, axis]
        inside &= np.minimum.reduceat(values, first) <= high[axis] + room
        inside &= np.maximum.reduceat(values, first) >= low[axis] - room
    quickest_ms = np.minimum(graph.forward_ms, graph.backward_ms)
    inside &= quickest_ms != UNREACHED
    edges = np.flatnonzero(inside)
    kmh = graph.length_m[edges] / quickest_ms[edges] * MS_PER_S * 3.6
    if len(edges) > _MOST_ROADS:
        kept = np.sort(np.argsort(-kmh, kind="stable")[:_MOST_ROADS])
        edges, kmh = edges[kept], kmh[kept]
    parts = [graph.xy[first[edge] : last[edge]] for edge in edges]
    xy = np.concatenate(parts) if parts else np.zeros((0, 2))
    bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    lines: npt.NDArray[np.object_] = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, network.to_lonlat(xy), (bounds,)
    )
    return Roads(lines, kmh >= _MAIN_KMH)
