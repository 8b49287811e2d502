"""What is to be known about a network before one trusts its answers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from riskmap.i18n import LANGS, Lang, say
from riskmap.roads.edges import RoadEdges, RowNote
from riskmap.roads.joining import place_keys, to_metres
from riskmap.roads.ordering import weak_components
from riskmap.roads.topology import Mended

# A gap is wider than the tolerance, and narrower than this many of it.
_GAP: Final = 10.0
_TOLERANCE_M: Final = 0.5
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Gap:
    """A road's end that nearly reaches another road of its level."""

    source_id: str
    lon: float
    lat: float
    other: str
    distance_m: float


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the network that hangs together, whatever the direction of travel."""

    edges: int
    length_m: float
    source_id: str


@dataclass(frozen=True, eq=False)
class RoadReport:
    """A network as it was found and mended.

    Attributes
    ----------
    dangling
        Ends at which no other road begins.
    gaps
        Dangling ends within ten times the tolerance of a road that they do not meet.
    components
        Largest first, by length; a source id of each.
    duplicates
        Pairs of edges with the same ends and vertices, whatever the direction.
    turns
        Turn restrictions that were read.
    """

    edges: int
    junctions: int
    length_m: float
    mended: Mended
    dangling: int
    gaps: tuple[Gap, ...]
    components: tuple[Component, ...]
    duplicates: tuple[tuple[str, str], ...]
    self_loops: tuple[str, ...]
    notes: tuple[RowNote, ...]
    turns: int = 0

    @property
    def largest_share(self) -> float:
        """The largest component's share of the length."""
        return self.components[0].length_m / self.length_m if self.length_m else 1.0

    def _rows(self, key: str) -> list[int]:
        return [note.row for note in self.notes if note.key == key]

    def to_json(self) -> dict[str, Any]:
        """Return the whole report as JSON knows it, texts in both languages."""
        done = self.mended
        return {
            "edges": self.edges,
            "junctions": self.junctions,
            "length_m": round(self.length_m, 1),
            "tolerance_m": done.tolerance_m,
            "snapped": {
                "ends": done.snapped.count,
                "greatest_m": round(done.snapped.greatest_m, 3),
            },
            "touching": {
                "ends": done.touching.count,
                "greatest_m": round(done.touching.greatest_m, 3),
            },
            "splits": done.splits,
            "contracted": done.contracted,
            "kept_apart": len(done.apart),
            "zero_length": self._rows("roads.row_zero_length"),
            "dangling": self.dangling,
            "gaps": [
                {
                    "source_id": gap.source_id,
                    "at": [gap.lon, gap.lat],
                    "other": gap.other,
                    "distance_m": round(gap.distance_m, 3),
                }
                for gap in self.gaps
            ],
            "components": {
                "count": len(self.components),
                "largest_share": round(self.largest_share, 6),
                "small": [
                    {
                        "edges": part.edges,
                        "length_m": round(part.length_m, 1),
                        "source_id": part.source_id,
                    }
                    for part in self.components[1:]
                ],
            },
            "duplicates": [list(pair) for pair in self.duplicates],
            "self_loops": list(self.self_loops),
            "turns": self.turns,
            "notes": [
                {
                    "row": note.row,
                    "note": note.key,
                    "text": {lang: say(note.key, lang, **note.values) for lang in LANGS},
                }
                for note in self.notes
            ],
        }

    def render(self, lang: Lang) -> str:
        """Return the short form: counts, and the first of what deserves a look."""
        done = self.mended
        zero = self._rows("roads.row_zero_length")
        lines = [
            say(
                "roads.report.network",
                lang,
                edges=self.edges,
                junctions=self.junctions,
                components=len(self.components),
                share=f"{100 * self.largest_share:.2f}",
            )
        ]
        if self.turns:
            lines.append(say("roads.report.turns", lang, count=self.turns))
        if done.tolerance_m or done.splits or done.contracted:
            lines.append(
                say(
                    "roads.report.mended",
                    lang,
                    tolerance=f"{done.tolerance_m:g}",
                    snapped=done.snapped.count,
                    snapped_m=f"{done.snapped.greatest_m:.2f}",
                    touching=done.touching.count,
                    splits=done.splits,
                    contracted=done.contracted,
                    apart=len(done.apart),
                )
            )
        lines.append(
            say(
                "roads.report.doubts",
                lang,
                zero=len(zero),
                dangling=self.dangling,
                gaps=len(self.gaps),
                duplicates=len(self.duplicates),
                loops=len(self.self_loops),
            )
        )
        for gap in self.gaps[:_SHOWN]:
            lines.append(
                say(
                    "roads.report.gap",
                    lang,
                    source=gap.source_id,
                    place=f"{gap.lon:.6f},{gap.lat:.6f}",
                    distance=f"{gap.distance_m:.2f}",
                    other=gap.other,
                )
            )
        for part in self.components[1 : 1 + _SHOWN]:
            lines.append(
                say(
                    "roads.report.component",
                    lang,
                    edges=part.edges,
                    length=round(part.length_m),
                    source=part.source_id,
                )
            )
        lines += [say(note.key, lang, **note.values) for note in self.notes[:_SHOWN]]
        if len(self.notes) > _SHOWN:
            lines.append(say("roads.report.more", lang, count=len(self.notes) - _SHOWN))
        return "\n".join(lines)


def describe(edges: RoadEdges, mended: Mended | None = None) -> RoadReport:
    """Look a network over.

    Parameters
    ----------
    mended
        What was done to it; None for a file that comes split, such as OpenStreetMap's.
    """
    done = mended or Mended()
    xy = to_metres(edges.lonlat)
    count = len(edges)
    owner = np.repeat(np.arange(count), np.diff(edges.offsets))
    step = np.zeros(len(xy))
    step[1:] = np.hypot(*np.diff(xy, axis=0).T) * (owner[1:] == owner[:-1])
    length = np.bincount(owner, weights=step, minlength=count)
    nodes, number = np.unique(np.concatenate([edges.from_node, edges.to_node]), return_inverse=True)
    tail, head = number[:count], number[count:]
    part = weak_components(len(nodes), tail, head)[0][tail]
    parts = [
        Component(int(size), float(metres), edges.source_id[first])
        for size, metres, first in zip(
            np.bincount(part),
            np.bincount(part, weights=length),
            np.unique(part, return_index=True)[1],
            strict=True,
        )
    ]
    degree = np.bincount(number)
    return RoadReport(
        edges=count,
        junctions=len(nodes),
        length_m=float(length.sum()),
        mended=done,
        dangling=int((degree == 1).sum()),
        gaps=_gaps(edges, xy, number, degree, _GAP * (done.tolerance_m or _TOLERANCE_M)),
        components=tuple(sorted(parts, key=lambda found: -found.length_m)),
        duplicates=_duplicates(edges),
        self_loops=tuple(edges.source_id[k] for k in np.flatnonzero(tail == head).tolist()),
        notes=edges.notes,
        turns=len(edges.turns),
    )


def _gaps(
    edges: RoadEdges,
    xy: npt.NDArray[np.float64],
    number: npt.NDArray[np.int64],
    degree: npt.NDArray[np.int64],
    reach_m: float,
) -> tuple[Gap, ...]:
    count = len(edges)
    loose = np.flatnonzero(degree[number] == 1)  # k: the beginning of edge k, k + count: its end
    if len(loose) == 0:
        return ()
    own = loose % count
    vertex = np.where(loose < count, edges.offsets[own], edges.offsets[own + 1] - 1)
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, xy, (edges.offsets,))
    points = np.asarray(shapely.points(xy[vertex]), dtype=object)
    end, other = shapely.STRtree(lines).query(points, predicate="dwithin", distance=reach_m)
    # The road that it hangs on is near to a short one's end, and no gap.
    beyond = np.where(loose < count, number[own + count], number[own])[end]
    level = np.where(edges.layer != 0, edges.layer, edges.bridge * 1 - edges.tunnel * 1)
    gap = (own[end] != other) & (number[other] != beyond) & (number[other + count] != beyond)
    gap &= level[own[end]] == level[other]
    end, other = end[gap], other[gap]
    distance = np.asarray(shapely.distance(points[end], lines[other]))
    order = np.lexsort((other, distance, end))
    end, other, distance = end[order], other[order], distance[order]
    first = np.diff(end, prepend=-1) != 0
    return tuple(
        Gap(
            edges.source_id[own[e]],
            float(edges.lonlat[vertex[e], 0]),
            float(edges.lonlat[vertex[e], 1]),
            edges.source_id[o],
            float(d),
        )
        for e, o, d in zip(end[first], other[first], distance[first], strict=True)
    )


def _duplicates(edges: RoadEdges) -> tuple[tuple[str, str], ...]:
    keys = place_keys(edges.lonlat)
    bounds = edges.offsets.tolist()
    seen: dict[tuple[object, ...], int] = {}
    found = []
    for k, (a, b) in enumerate(itertools.pairwise(bounds)):
        there = keys[a:b]
        ends = sorted((int(edges.from_node[k]), int(edges.to_node[k])))
        name = (*ends, min(there.tobytes(), there[::-1].tobytes()))
        first = seen.setdefault(name, k)
        if first != k:
            found.append((edges.source_id[first], edges.source_id[k]))
    return tuple(found)
