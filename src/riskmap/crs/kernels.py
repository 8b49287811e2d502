"""The public formula of GCJ-02 over arrays, compiled: positions in, positions out.

The formula is the one that map software has shared since 2010 (PRCoords gives its history): from
x = lon - 105 and y = lat - 35 two sums of a quadratic and of sines give a shift in metres, which
is divided by the length of a degree on the ellipsoid of Krasovsky. Who publishes it has it from
observation: whoever follows it is consistent with the formula, not accurate to a provider.

Why it is not written down with one sine after another: six sines of x and four of y would cost
more than all else. All ten angles are multiples of pi/60, so one sine and cosine of each
coordinate give them all by the formulas of multiple angles. Between the smallest and the largest
angle lies a factor of 720, which takes the rounding of 1e-16 to 1e-13, or 1e-12 m. The loops
below have no branch and call nothing, so that the compiler works on four or eight positions at
once.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

# The public formula's ellipsoid (Krasovsky 1940): semi-major axis in metres, squared eccentricity.
_A_M: Final = 6378245.0
_EE: Final = 0.00669342162296594323
# Degrees to a metre: on a meridian (times magic^1.5), on a parallel (times magic^0.5 / cos).
_NORTH_DEG: Final = 180.0 / (math.pi * _A_M * (1.0 - _EE))
_EAST_DEG: Final = 180.0 / (math.pi * _A_M)
_RAD: Final = math.pi / 180.0
_PI: Final = math.pi
# All angles of the sums are multiples of pi / 120; by it |x| and |y| of the box stay below 1.
_BASE: Final = math.pi / 120.0
# The formula holds sqrt(|x|), which has no derivative at 105 E: within this band around it Newton's
# iteration is slow, and `_close_to_105` goes on with plain fixed-point steps.
_BAND_DEG: Final = 0.05
_BAND_STEPS: Final = 6
# Fixed-point steps for Baidu's shift: each takes the error to 3e-6 * 52.4 * 120 = 2 % and less.
_BD_STEPS: Final = 8
_BD_RAD: Final = math.pi * 3000.0 / 180.0
_BD_EAST_DEG: Final = 0.0065
_BD_NORTH_DEG: Final = 0.006

Array = npt.NDArray[np.float64]
Number = Any
# Let a product and a sum become one instruction; no other liberty is taken with the arithmetic.
_options: Final[dict[str, Any]] = {
    "cache": True,
    "nogil": True,
    "fastmath": {"contract"},
    # A division that Python would refuse is a branch, and a loop with one works one by one.
    "error_model": "numpy",
}


@njit(**_options, inline="always")
def _sin_cos(angle: Number) -> Number:
    """Return sine and cosine of |angle| <= 1, by Taylor: what is left out is below 1e-13."""
    q = angle * angle
    sine = 1.0 - q * (1.0 / 210.0)
    for divisor in (156.0, 110.0, 72.0, 42.0, 20.0, 6.0):
        sine = 1.0 - q * (1.0 / divisor) * sine
    cosine = 1.0 - q * (1.0 / 240.0)
    for divisor in (182.0, 132.0, 90.0, 56.0, 30.0, 12.0, 2.0):
        cosine = 1.0 - q * (1.0 / divisor) * cosine
    return angle * sine, cosine


@njit(**_options, inline="always")
def _turned(sine: Number, cosine: Number, angle: Number) -> Number:
    """Return sine and cosine after a turn by a small angle: for 0.02 degrees exact to 1e-16."""
    q = angle * angle
    c, s = 1.0 - 0.5 * q, angle * (1.0 - q * (1.0 / 6.0))
    return sine * c + cosine * s, cosine * c - sine * s


@njit(**_options, inline="always")
def _angles(s: Number, c: Number) -> Number:
    """Return sine and cosine of 4, 10, 40 and 120 times an angle, from its own."""
    s60, c60 = 2.0 * s * c, 1.0 - 2.0 * s * s
    s30, c30 = 2.0 * s60 * c60, 1.0 - 2.0 * s60 * s60
    q, r = s60 * s60, c60 * c60
    s12, c12 = s60 * (5.0 + q * (16.0 * q - 20.0)), c60 * (5.0 + r * (16.0 * r - 20.0))
    s6, c6 = 2.0 * s12 * c12, 1.0 - 2.0 * s12 * s12
    s3, c3 = 2.0 * s6 * c6, 1.0 - 2.0 * s6 * s6
    s1, c1 = s3 * (3.0 - 4.0 * s3 * s3), c3 * (4.0 * c3 * c3 - 3.0)
    return s30, c30, s12, c12, s3, c3, s1, c1


@njit(**_options, inline="always")
def _shift(
    lon: Number, lat: Number, sx: Number, cx: Number, sy: Number, cy: Number,
    sine: Number, cosine: Number,
) -> Number:  # fmt: skip
    """Return the shift at a WGS 84 position and its Jacobian, all in degrees.

    Of the Jacobian two parts are left out: that of sqrt(|x|), which has no bound, and that of the
    ellipsoid's flattening, which is below 1e-6.
    """
    x, y = lon - 105.0, lat - 35.0
    s30, c30, s12, c12, s3, c3, s1, c1 = _angles(sx, cx)
    t30, d30, t12, d12, t3, d3, t1, d1 = _angles(sy, cy)
    s_half, c_half = 2.0 * s1 * c1, 1.0 - 2.0 * s1 * s1
    s_sixth = s_half * (3.0 - 4.0 * s_half * s_half)
    c_sixth = c_half * (4.0 * c_half * c_half - 3.0)
    root = math.sqrt(abs(x))
    ripple = 40.0 / 3.0 * (s_sixth + s_half)
    ripple_x = 80.0 * _PI * c_sixth + 80.0 / 3.0 * _PI * c_half
    north = (
        -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + ripple
        + 40.0 / 3.0 * t1 + 80.0 / 3.0 * t3 + 320.0 / 3.0 * t12 + 640.0 / 3.0 * t30
    )  # fmt: skip
    # d sqrt(|x|) / dx; next to x = 0, where it has no bound, a small number instead.
    root_x = 0.5 * root * x / (x * x + 1e-9)
    north_x = 2.0 + 0.1 * y + 0.2 * root_x + ripple_x
    north_y = (
        3.0 + 0.4 * y + 0.1 * x
        + _PI * (40.0 / 3.0 * d1 + 80.0 / 9.0 * d3 + 80.0 / 9.0 * d12 + 64.0 / 9.0 * d30)
    )  # fmt: skip
    east = (
        300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + ripple
        + 40.0 / 3.0 * s1 + 80.0 / 3.0 * s3 + 100.0 * s12 + 200.0 * s30
    )  # fmt: skip
    east_x = (
        1.0 + 0.2 * x + 0.1 * y + 0.1 * root_x + ripple_x
        + _PI * (40.0 / 3.0 * c1 + 80.0 / 9.0 * c3 + 25.0 / 3.0 * c12 + 20.0 / 3.0 * c30)
    )  # fmt: skip
    east_y = 2.0 + 0.1 * x
    magic = 1.0 - _EE * sine * sine
    curve = math.sqrt(magic)
    per_cosine = 1.0 / cosine
    to_north = _NORTH_DEG * magic * curve
    to_east = _EAST_DEG * curve * per_cosine
    return (
        east * to_east,
        north * to_north,
        east_x * to_east,
        # A parallel shortens toward the pole by its own length times tan(lat).
        (east_y + east * (_RAD * sine * per_cosine)) * to_east,
        north_x * to_north,
        north_y * to_north,
    )


@njit(**_options, inline="always")
def _plain(lon: Number, lat: Number) -> Number:
    """Return the shift at a WGS 84 position alone."""
    sx, cx = _sin_cos((lon - 105.0) * _BASE)
    sy, cy = _sin_cos((lat - 35.0) * _BASE)
    sine, cosine = _sin_cos(lat * _RAD)
    east, north, _, _, _, _ = _shift(lon, lat, sx, cx, sy, cy, sine, cosine)
    return east, north


@njit(**_options)
def add_shift(lon: Array, lat: Array, out_lon: Array, out_lat: Array) -> None:
    """Write the GCJ-02 positions of WGS 84 positions."""
    for i in range(len(lon)):
        east, north = _plain(lon[i], lat[i])
        out_lon[i] = lon[i] + east
        out_lat[i] = lat[i] + north


@njit(**_options, inline="always")
def _newton(miss_x: Number, miss_y: Number, shift: Number) -> Number:
    """Return the step that Newton's iteration takes to make up for a miss."""
    _, _, east_x, east_y, north_x, north_y = shift
    a, d = 1.0 + east_x, 1.0 + north_y
    scale = 1.0 / (a * d - east_y * north_x)
    return (d * miss_x - east_y * miss_y) * scale, (a * miss_y - north_x * miss_x) * scale


@njit(**_options)
def take_shift(lon: Array, lat: Array, out_lon: Array, out_lat: Array) -> None:
    """Write the WGS 84 positions of GCJ-02 positions.

    Newton's iteration starts at the GCJ-02 position, some 500 m off. The shift bends by 4,800 m to
    the square degree, so that one step leaves about a decimetre, and a second less than 1e-8 m.
    """
    for i in range(len(lon)):
        sx, cx = _sin_cos((lon[i] - 105.0) * _BASE)
        sy, cy = _sin_cos((lat[i] - 35.0) * _BASE)
        sine, cosine = _sin_cos(lat[i] * _RAD)
        shift = _shift(lon[i], lat[i], sx, cx, sy, cy, sine, cosine)
        step_x, step_y = _newton(-shift[0], -shift[1], shift)
        x, y = lon[i] + step_x, lat[i] + step_y
        sx, cx = _turned(sx, cx, step_x * _BASE)
        sy, cy = _turned(sy, cy, step_y * _BASE)
        sine, cosine = _turned(sine, cosine, step_y * _RAD)
        shift = _shift(x, y, sx, cx, sy, cy, sine, cosine)
        step_x, step_y = _newton(lon[i] - x - shift[0], lat[i] - y - shift[1], shift)
        out_lon[i], out_lat[i] = x + step_x, y + step_y
    for i in range(len(lon)):
        if abs(out_lon[i] - 105.0) < _BAND_DEG:
            x, y = out_lon[i], out_lat[i]
            for _ in range(_BAND_STEPS):
                east, north = _plain(x, y)
                x, y = lon[i] - east, lat[i] - north
            out_lon[i], out_lat[i] = x, y


@njit(**_options, inline="always")
def _baidu(lon: Number, lat: Number) -> Number:
    """Return the BD-09 position of a GCJ-02 position.

    The public formula goes to polar coordinates, lengthens the radius and turns the angle. A turn
    of 3e-6 needs no arctangent: its sine is itself, and its cosine 1 - turn^2 / 2, to 1e-17.
    """
    radius = math.sqrt(lon * lon + lat * lat)
    longer = 1.0 + 0.00002 * math.sin(lat * _BD_RAD) / radius
    turn = 0.000003 * math.cos(lon * _BD_RAD)
    kept = 1.0 - 0.5 * turn * turn
    return (
        (lon * kept - lat * turn) * longer + _BD_EAST_DEG,
        (lat * kept + lon * turn) * longer + _BD_NORTH_DEG,
    )


@njit(**_options)
def add_baidu(lon: Array, lat: Array, out_lon: Array, out_lat: Array) -> None:
    """Write the BD-09 positions of GCJ-02 positions."""
    for i in range(len(lon)):
        out_lon[i], out_lat[i] = _baidu(lon[i], lat[i])


@njit(**_options)
def take_baidu(lon: Array, lat: Array, out_lon: Array, out_lat: Array) -> None:
    """Write the GCJ-02 positions of BD-09 positions."""
    for i in range(len(lon)):
        x, y = lon[i] - _BD_EAST_DEG, lat[i] - _BD_NORTH_DEG
        for _ in range(_BD_STEPS):
            east, north = _baidu(x, y)
            x, y = x + lon[i] - east, y + lat[i] - north
        out_lon[i], out_lat[i] = x, y


@njit(**_options)
def load(xy: Array, lon: Array, lat: Array) -> None:
    """Copy positions of shape (n, 2) to a column each."""
    for i in range(len(lon)):
        lon[i] = xy[i, 0]
        lat[i] = xy[i, 1]


@njit(**_options)
def store(
    lon: Array, lat: Array, wgs84_lon: Array, wgs84_lat: Array,
    west: Number, south: Number, east: Number, north: Number, xy: Array,
) -> None:  # fmt: skip
    """Copy columns to positions; where the WGS 84 position is not in the box, infinity."""
    for i in range(len(lon)):
        x, y = wgs84_lon[i], wgs84_lat[i]
        # Not `and`: it would branch. NaN is never inside.
        inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        xy[i, 0] = lon[i] if inside else np.inf
        xy[i, 1] = lat[i] if inside else np.inf
