"""Ends of lines that were meant to meet: snapped to each other, and to lines that they touch.

Positions only ever move to another end's position, so no place is invented and every move is at
most the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion

from riskmap.units import WGS84

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

# A line that comes back to its own end within fewer tolerances than this only bends sharply.
_RETURN: Final = 10.0


@dataclass(frozen=True, eq=False)
class Lines:
    """n lines, v vertices.

    Attributes
    ----------
    lonlat, xy : float64[v, 2]
        Vertices in degrees, and in metres (`to_metres`).
    offsets : int64[n + 1]
        Line k has the vertices ``offsets[k]:offsets[k + 1]``.
    level : int64[n]
        0 is the ground; lines of different levels cross without meeting.
    """

    lonlat: Floats
    xy: Floats
    offsets: Ids
    level: Ids

    @property
    def line(self) -> Ids:
        """The line of each vertex, int64[v]."""
        return np.repeat(np.arange(len(self.level)), np.diff(self.offsets))

    @property
    def ends(self) -> Ids:
        """The vertices that begin a line, then those that end one, int64[2n]."""
        return np.concatenate([self.offsets[:-1], self.offsets[1:] - 1])


@dataclass(frozen=True, slots=True)
class Moves:
    """How many ends were moved (or joined to a line), and how far at most, in metres."""

    count: int = 0
    greatest_m: float = 0.0


NO_MOVES: Final = Moves()


def to_metres(lonlat: Floats) -> Floats:
    """Project degrees (v, 2) to metres around their middle.

    Azimuthal equidistant: 100 km from the middle lengths are true to 0.004 %, which no tolerance
    of a metre notices, and it takes every place on earth.
    """
    lon, lat = np.median(lonlat, axis=0)
    crs = ProjectedCRS(
        AzimuthalEquidistantConversion(latitude_natural_origin=lat, longitude_natural_origin=lon)
    )
    x, y = Transformer.from_crs(WGS84, crs, always_xy=True).transform(lonlat[:, 0], lonlat[:, 1])
    return np.column_stack((x, y))


def place_keys(lonlat: Floats) -> Ids:
    """Return one number for each place, equal for places equal to 1e-7 degrees (1 cm)."""
    grid = np.round(lonlat * 1e7).astype(np.int64)
    # 32 bits for the longitude, 31 for the latitude.
    return ((grid[:, 0] + 1_800_000_000) << 31) | (grid[:, 1] + 900_000_000)


def snap_ends(lines: Lines, tolerance_m: float) -> tuple[Lines, Moves]:
    """Give ends within the tolerance of each other one position.

    Nearest pairs first. The position with most ends in reach stays, the others come to it; a merger
    after which some end would lie farther than the tolerance from where it was drawn is not made,
    so chains of ends never creep together. Neither is one that would make both ends of a line
    the same: a stretch shorter than the tolerance is a road all the same. The order of the rows
    does not matter.
    """
    ends = lines.ends
    keys, first, place, uses = np.unique(
        place_keys(lines.lonlat[ends]), return_index=True, return_inverse=True, return_counts=True
    )
    at = lines.xy[ends[first]]
    a, b = _pairs(at, tolerance_m)
    if len(a) == 0:
        return lines, NO_MOVES
    reach = uses.copy()
    np.add.at(reach, a, uses[b])
    np.add.at(reach, b, uses[a])
    count = len(lines.level)
    short = np.sort(np.column_stack((place[:count], place[count:])), axis=1)
    joined = set(map(tuple, short[np.isin(short, a).any(axis=1)].tolist()))
    leader = np.arange(len(keys))
    members: dict[int, list[int]] = {}
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        p, q = int(leader[one]), int(leader[other])
        if p == q:
            continue
        # The one with most ends within reach stays: the middle of a row; of equals the western.
        p, q = sorted((p, q), key=lambda k: (-int(reach[k]), k))
        stay, come = members.get(p, [p]), members.get(q, [q])
        if np.hypot(*(at[come] - at[p]).T).max() > tolerance_m or any(
            (min(s, c), max(s, c)) in joined for s in stay for c in come
        ):
            continue
        members[p] = stay + come
        members.pop(q, None)
        leader[come] = p
    moved = np.flatnonzero(leader[place] != place)
    lonlat, xy = lines.lonlat.copy(), lines.xy.copy()
    target = ends[first[leader[place[moved]]]]
    lonlat[ends[moved]], xy[ends[moved]] = lines.lonlat[target], lines.xy[target]
    greatest = np.hypot(*(lines.xy[target] - lines.xy[ends[moved]]).T).max(initial=0.0)
    return replace(lines, lonlat=lonlat, xy=xy), Moves(len(moved), float(greatest))


def _points(at: Floats) -> npt.NDArray[Any]:
    return np.asarray(shapely.points(at), dtype=object)


def _pairs(at: Floats, tolerance_m: float) -> tuple[Ids, Ids]:
    """Return pairs of places within the tolerance, nearest first."""
    if tolerance_m <= 0:
        none = np.empty(0, dtype=np.int64)
        return none, none
    points = _points(at)
    a, b = shapely.STRtree(points).query(points, predicate="dwithin", distance=tolerance_m)
    once = a < b
    a, b = a[once], b[once]
    apart = np.hypot(*(at[a] - at[b]).T)
    # Micrometres: what is equally far by the drawing does not differ by the last bit.
    order = np.lexsort((b, a, np.round(apart, 6)))
    return a[order], b[order]


def join_touching(lines: Lines, tolerance_m: float) -> tuple[Lines, Moves]:
    """Give a line a vertex where another line's end touches it between its vertices.

    The vertex is the end itself, so the line bends by at most the tolerance. An end on the ground
    does not touch the bridge above it; a bridge's end touches the ground.
    """
    if tolerance_m <= 0 or len(lines.level) == 0:
        return lines, NO_MOVES
    ends, line = lines.ends, lines.line
    count = len(lines.level)
    keys = place_keys(lines.lonlat)
    _, first, place = np.unique(keys[ends], return_index=True, return_inverse=True)
    start = np.flatnonzero(line[1:] == line[:-1])
    stretches = np.stack((lines.xy[start], lines.xy[start + 1]), axis=1)
    tree = shapely.STRtree(np.asarray(shapely.linestrings(stretches), dtype=object))
    at = lines.xy[ends[first]]
    who, segment = tree.query(_points(at), predicate="dwithin", distance=tolerance_m)
    on = line[start[segment]]

    # A line that has the place as a vertex already meets it there.
    names, number = np.unique(keys, return_inverse=True)
    there = np.searchsorted(names, keys[ends[first]])
    known = np.isin(there[who] * count + on, np.delete(number * count + line, ends))
    # Levels of the ends at each place.
    levels = np.tile(lines.level, 2)
    same = np.isin(who * count + on, _meeting(place, levels, lines.level, who, on, count))
    lands = np.bincount(place[levels != 0], minlength=len(first))[who] > 0
    who, segment, on = (part[~known & (same | lands)] for part in (who, segment, on))

    begin, finish = lines.xy[start[segment]], lines.xy[start[segment] + 1]
    along = finish - begin
    square = (along**2).sum(axis=1)
    share = ((at[who] - begin) * along).sum(axis=1) / np.where(square > 0, square, 1.0)
    share = np.clip(share, 0.0, 1.0)
    apart = np.hypot(*(begin + share[:, None] * along - at[who]).T)
    steps = np.zeros(len(line))
    steps[1:] = np.hypot(*np.diff(lines.xy, axis=0).T) * (line[1:] == line[:-1])
    walked = np.cumsum(steps)
    here = walked[start[segment]] + share * np.sqrt(square)
    fine = np.ones(len(who), dtype=bool)
    for end in (lines.offsets[:-1][on], lines.offsets[1:][on] - 1):
        own = place[np.where(end == lines.offsets[:-1][on], on, on + count)] == who
        far = np.abs(here - walked[end]) > _RETURN * tolerance_m
        # Near the end of another line is a matter of ends, which are snapped or not.
        fine &= np.where(own, far, np.hypot(*(lines.xy[end] - at[who]).T) > tolerance_m)
    who, segment, on, share, apart = (p[fine] for p in (who, segment, on, share, apart))

    order = np.lexsort((segment, np.round(apart, 6), on, who))
    who, segment, on, share, apart = (p[order] for p in (who, segment, on, share, apart))
    best = np.ones(len(who), dtype=bool)
    best[1:] = (who[1:] != who[:-1]) | (on[1:] != on[:-1])
    who, segment, share, apart = (p[best] for p in (who, segment, share, apart))
    order = np.lexsort((who, share, segment))
    index, source = start[segment[order]] + 1, ends[first[who[order]]]
    return (
        replace(
            lines,
            lonlat=np.insert(lines.lonlat, index, lines.lonlat[source], axis=0),
            xy=np.insert(lines.xy, index, lines.xy[source], axis=0),
            # No line begins at an index of an insertion: a segment lies before it.
            offsets=lines.offsets + np.searchsorted(np.sort(index), lines.offsets),
        ),
        Moves(len(index), float(apart.max(initial=0.0))),
    )


def _meeting(place: Ids, levels: Ids, level: Ids, who: Ids, on: Ids, count: int) -> Ids:
    """Return the pairs (place, line) of which an end has the line's level, as one number each."""
    kinds, rank = np.unique(np.concatenate([levels, level]), return_inverse=True)
    at_place = place * len(kinds) + rank[: len(levels)]
    wanted = who * len(kinds) + rank[len(levels) :][on]
    fits = np.isin(wanted, at_place)
    return who[fits] * count + on[fits]
