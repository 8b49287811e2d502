"""Rings in metres to GeoJSON text: degrees between exact ones, digits written one by one.

PROJ takes a microsecond for a position and Python's lists as long again: for a circle of 20,000
vertices that would be most of the answer's time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from riskmap.analysis.kernels import Array, Int

# 1 cm: the borders of two bands a minute apart are 2 cm apart at the smallest cell of 10 m.
DECIMALS: Final = 7
_UNIT: Final = 10**DECIMALS
# Every parabola spans this far. Its error, h^3 f''' / 15.6 with h = 2 km and a projection's third
# derivative of some 3 / R^2 metres, is 0.04 mm.
_PATCH_M: Final = 4000.0

Project = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def to_degrees(xy: npt.NDArray[np.float64], project: Project) -> npt.NDArray[np.float64]:
    """Turn metres to degrees by parabolas between exact positions.

    Parameters
    ----------
    xy : float64[v, 2]
        Metres.
    project
        Metres (n, 2) to degrees (n, 2), exact, smooth over some kilometres.

    Returns
    -------
    float64[v, 2]
        Within 0.1 mm of `project`'s.
    """
    if len(xy) == 0:
        return np.zeros((0, 2))
    # By columns: along rows of two, numpy's least takes thirty times as long.
    low, high = (np.array([of(xy[:, 0]), of(xy[:, 1])]) for of in (np.min, np.max))
    patches = np.maximum(np.ceil((high - low) / _PATCH_M), 1).astype(np.int64)
    nodes = 2 * patches + 1
    if int(nodes.prod()) >= len(xy):
        return project(xy)
    step = _PATCH_M / 2
    x, y = (low[axis] + step * np.arange(nodes[axis]) for axis in (0, 1))
    lattice = project(np.column_stack([np.tile(x, nodes[1]), np.repeat(y, nodes[0])]))
    return _between(xy, low, step, lattice.reshape(int(nodes[1]), int(nodes[0]), 2))


@njit(cache=True, nogil=True)
def _between(xy: Array, low: Array, step: float, lattice: Array) -> Array:
    """Interpolate a lattice by Lagrange's parabolas over three nodes each way."""
    rows, columns, _ = lattice.shape
    found = np.empty((len(xy), 2), np.float64)
    scale = 1.0 / step
    for vertex in range(len(xy)):
        u, v = (xy[vertex, 0] - low[0]) * scale, (xy[vertex, 1] - low[1]) * scale
        column = min(int(u) // 2 * 2, columns - 3)
        row = min(int(v) // 2 * 2, rows - 3)
        u, v = u - column - 1.0, v - row - 1.0  # -1..1 about the middle node
        a0, a1, a2 = 0.5 * u * (u - 1.0), 1.0 - u * u, 0.5 * u * (u + 1.0)
        b0, b1, b2 = 0.5 * v * (v - 1.0), 1.0 - v * v, 0.5 * v * (v + 1.0)
        lon, lat = 0.0, 0.0
        for line in range(3):
            r, c = row + line, column
            weight = b0 if line == 0 else (b1 if line == 1 else b2)
            lon += weight * (
                a0 * lattice[r, c, 0] + a1 * lattice[r, c + 1, 0] + a2 * lattice[r, c + 2, 0]
            )
            lat += weight * (
                a0 * lattice[r, c, 1] + a1 * lattice[r, c + 1, 1] + a2 * lattice[r, c + 2, 1]
            )
        found[vertex, 0], found[vertex, 1] = lon, lat
    return found


def multipolygon(
    lonlat: npt.NDArray[np.float64], first: npt.NDArray[np.int32], owner: npt.NDArray[np.int32]
) -> bytes:
    """Write rings as the text of a GeoJSON MultiPolygon; parameters as `contours.trace` returns.

    `lonlat` holds degrees; they are rounded to `DECIMALS`.
    """
    order = np.argsort(owner, kind="stable").astype(np.int32)
    text = _write(lonlat, first, owner, order)
    return b'{"type":"MultiPolygon","coordinates":' + text.tobytes() + b"}"


@njit(cache=True, nogil=True, inline="always")
def _number(text: Array, at: Int, degrees: float) -> Int:
    """Write degrees without trailing zeros; return where the next byte goes.

    The unit is a constant to the compiler: dividing by it is multiplying then.
    """
    value = np.int64(np.floor(degrees * _UNIT + 0.5))
    if value < 0:
        text[at] = 45  # -
        at += 1
        value = -value
    whole = np.uint32(value // _UNIT)
    rest = np.uint32(value - np.int64(whole) * _UNIT)
    if whole >= 100:
        text[at] = 48 + whole // np.uint32(100)
        at += 1
    if whole >= 10:
        text[at] = 48 + whole // np.uint32(10) % np.uint32(10)
        at += 1
    text[at] = 48 + whole % np.uint32(10)
    at += 1
    if rest == 0:
        return at
    text[at] = 46  # .
    last = at
    for place in range(DECIMALS, 0, -1):
        digit = rest % np.uint32(10)
        rest //= np.uint32(10)
        text[at + place] = 48 + digit
        if digit != 0 and last == at:
            last = at + place
    return last + 1


@njit(cache=True, nogil=True)
def _write(lonlat: Array, first: Array, owner: Array, order: Array) -> Array:
    # "[-179.1234567,-89.1234567]," are 27 bytes; a ring adds up to six brackets and commas.
    text = np.empty(28 * len(lonlat) + 8 * len(order) + 8, np.uint8)
    at: Int = 0
    text[at] = 91
    at += 1
    for place in range(len(order)):
        ring = order[place]
        outer = owner[ring] == ring
        if place > 0:
            if outer:
                text[at] = 93
                at += 1
            text[at] = 44
            at += 1
        if outer:
            text[at] = 91
            at += 1
        text[at] = 91
        at += 1
        for vertex in range(first[ring], first[ring + 1]):
            if vertex > first[ring]:
                text[at] = 44
                at += 1
            text[at] = 91
            at = _number(text, at + 1, lonlat[vertex, 0])
            text[at] = 44
            at = _number(text, at + 1, lonlat[vertex, 1])
            text[at] = 93
            at += 1
        text[at] = 93
        at += 1
    if len(order) > 0:
        text[at] = 93
        at += 1
    text[at] = 93
    return text[: at + 1]
