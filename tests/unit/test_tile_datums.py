"""One affine map for each tile: half a screen pixel from the exact formula, anywhere in China."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from riskmap.crs.datum import Datum
from riskmap.tiles.datums import Shift, _degrees, _projected, fit
from riskmap.tiles.grid import EXTENT, GRIDS, WEB_MERCATOR_QUAD, Address

BUFFER = 128


def tile_of(lon: float, lat: float, zoom: int, grid: str = "WebMercatorQuad") -> Address:
    if grid != "WebMercatorQuad":
        side = 360 / 2**zoom
        return Address(zoom, int((lon + 180) / side), int((90 - lat) / side), GRIDS[grid])
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return Address(zoom, int((lon + 180) / 360 * 2**zoom), int(y * 2**zoom))


def applied(shift: Shift, xy: np.ndarray) -> np.ndarray:
    a, b, d, e, x, y = shift.ground
    return np.column_stack([a * xy[:, 0] + b * xy[:, 1] + x, d * xy[:, 0] + e * xy[:, 1] + y])


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("zoom", range(3, 19))
def test_half_a_pixel_anywhere(zoom: int, grid: str) -> None:
    """At positions that the map was not fitted to."""
    worst = worst_px(Datum.GCJ02, zoom, grid)
    assert worst < 0.5, worst


def worst_px(datum: Datum, zoom: int, grid: str) -> float:
    dice = random.Random(zoom)
    worst = 0.0
    for _ in range(40):
        address = tile_of(dice.uniform(76, 134), dice.uniform(20, 52), zoom, grid)
        west, south, east, north = address.bounds(buffer=BUFFER)
        target = np.column_stack(
            [
                [dice.uniform(west, east) for _ in range(60)],
                [dice.uniform(south, north) for _ in range(60)],
            ]
        )
        source = _projected(address, datum.to_wgs84(_degrees(address, target)))
        known = np.isfinite(source).all(axis=1)
        shift = fit(datum, address, buffer=BUFFER)
        left, low, right, high = shift.source
        inside = source[known]
        assert ((inside >= (left, low)) & (inside <= (right, high))).all()
        error = np.abs(applied(shift, inside) - target[known]) / address.grid.pixel(zoom)
        worst = max(worst, float(error.max(initial=0)))
    return worst


def test_bd09_has_waves_that_no_affine_map_follows() -> None:
    """So its tiles are refused: 42 m high and 13 km long, three pixels at zoom 12."""
    assert worst_px(Datum.BD09, 12, "WebMercatorQuad") > 2


def test_the_map_of_the_tile_is_the_map_of_the_ground() -> None:
    address = tile_of(120.38, 36.07, 13)
    shift = fit(Datum.GCJ02, address, buffer=BUFFER)
    west, _, _, north = address.bounds()
    scale = EXTENT / (WEB_MERCATOR_QUAD.width / 2**13)
    place = np.array([[west + 1234.5, north - 777.25]])
    px, py = (place[0, 0] - west) * scale, (north - place[0, 1]) * scale
    a, b, d, e, x, y = shift.tile
    there = applied(shift, place)[0]
    expected = ((there[0] - west) * scale, (north - there[1]) * scale)
    assert (a * px + b * py + x, d * px + e * py + y) == pytest.approx(expected, abs=1e-4)


def test_where_the_formula_is_not_made_for_nothing_is_moved() -> None:
    address = tile_of(-51.2, -30.05, 12)
    shift = fit(Datum.GCJ02, address, buffer=BUFFER)
    assert shift.ground == (1, 0, 0, 1, 0, 0) and shift.source == address.bounds(buffer=BUFFER)
