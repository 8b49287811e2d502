"""Roads under a polygon, compared with shapely's exact predicates."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, affinity

from riskmap.roads.closing import touched_edges
from riskmap.roads.edge_grid import edge_grid

# Whole numbers meet exactly; with the others nothing does.
NUMBER = st.one_of(st.integers(-6, 6).map(float), st.floats(-8, 8, allow_nan=False))
LINES = st.lists(
    st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=5), min_size=1, max_size=25
)
# In thousandths: overlaying polygons (to make the holes) is beyond GEOS for numbers like 1e-300.
CORNER = st.one_of(st.integers(-6, 6).map(float), st.integers(-8000, 8000).map(lambda n: n / 1000))
CORNERS = st.lists(st.tuples(CORNER, CORNER), min_size=3, max_size=12)


def network(lines):
    sizes = np.array([len(line) for line in lines], dtype=np.int64)
    xy = np.array([point for line in lines for point in line], dtype=float).reshape(-1, 2)
    return xy, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def closed(lines, shape, cell_m=2.0):
    xy, offsets = network(lines)
    return touched_edges(xy, offsets, edge_grid(xy, offsets, cell_m), shape)


def shapes_of(lines):
    xy, offsets = network(lines)
    return shapely.linestrings(xy, indices=np.repeat(np.arange(len(lines)), np.diff(offsets)))


def polygonal(shape):
    parts = [p for p in shapely.get_parts(shape) if isinstance(p, Polygon) and p.is_valid]
    return MultiPolygon(
        [part for part in shapely.get_parts(shapely.union_all(parts)) if isinstance(part, Polygon)]
    )


@settings(max_examples=400, deadline=None)
@given(
    lines=LINES,
    corners=CORNERS,
    hole=CORNERS,
    cell_m=st.sampled_from([0.7, 2.0, 9.0, 250.0]),
    place=st.sampled_from([(0.0, 0.0), (680_000.0, 4_040_000.0), (1 / 3, -1e6 / 7)]),
)
def test_no_road_is_missed_and_none_closed_that_is_clear(lines, corners, hole, cell_m, place):
    """Shapes as they come: concave, in parts, with holes that touch the outline."""
    shape = polygonal(shapely.make_valid(Polygon(corners)))
    shape = polygonal(shapely.difference(shape, polygonal(shapely.make_valid(Polygon(hole)))))
    shape = polygonal(affinity.translate(shape, *place))
    assume(shape.is_valid)
    moved = [[(x + place[0], y + place[1]) for x, y in line] for line in lines]
    got = closed(moved, shape, cell_m)
    roads = shapes_of(moved)
    exact = shapely.intersects(shape, roads)
    assert not (exact & ~got).any(), "a road is missed"
    # Only what rounding cannot tell apart from touching may be closed as well.
    assert (shapely.distance(shape, roads[got & ~exact]) < 1e-3).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), corners=st.sampled_from([3, 10, 1000]))
def test_a_polygon_over_a_city(seed, corners):
    random = np.random.default_rng(seed)
    start = random.uniform(0, 9000, (400, 1, 2))
    lines = np.cumsum(np.concatenate([start, random.normal(0, 60, (400, 4, 2))], axis=1), axis=1)
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = random.uniform(500, 6000) * random.uniform(0.7, 1, corners)
    outline = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None] + 4500
    pond = affinity.scale(Polygon(outline), 0.4, 0.4, origin=(4500, 4500))
    shape = Polygon(outline, [pond.exterior])
    assume(shape.is_valid)
    got = closed(lines, shape, 250.0)
    assert (got == shapely.intersects(shape, shapes_of(lines))).all()


SQUARE = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(4, 4), (6, 4), (6, 6), (4, 6)]])


@pytest.mark.parametrize("cell_m", [0.5, 3.0, 100.0])
@pytest.mark.parametrize(
    ("line", "shut"),
    [
        ([(-5, 5), (15, 5)], True),  # right across
        ([(1, 1), (2, 2), (3, 1)], True),  # wholly inside, no crossing (Valhalla #5069)
        ([(4.5, 4.5), (5.5, 5.5)], False),  # wholly in the hole
        ([(5, 5), (3, 5)], True),  # out of the hole
        ([(4, 4.5), (5, 4.5)], True),  # touches the hole's side from within
        ([(-3, 10), (-1, 10)], False),  # on the line of a side, beside it
        ([(-3, 10), (0, 10)], True),  # touches a corner
        ([(2, 10), (3, 10)], True),  # along a side
        ([(10, -5), (10, -0.001)], False),
        ([(-1, 0), (0, -1)], False),
        ([(-1, 1), (1, -1)], True),  # passes through a corner
        ([(3, 3), (3, 3)], True),  # a loop of no length
        ([(30, 30), (31, 31)], False),
    ],
)
def test_what_counts_as_closed(line, shut, cell_m):
    # With a road elsewhere the grid is larger than either.
    assert closed([line, [(-20, -20), (-21, -20)]], SQUARE, cell_m).tolist() == [shut, False]


def test_a_polygon_beside_the_network_and_an_empty_one_close_nothing():
    roads = [[(0, 0), (5, 5)]]
    assert not closed(roads, affinity.translate(SQUARE, 1000, 0)).any()
    assert not closed(roads, Polygon()).any()
    assert not closed(roads, MultiPolygon()).any()
    assert closed(roads, shapely.box(-1e7, -1e7, 1e7, 1e7)).all()
