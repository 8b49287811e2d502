"""The grid over the edges lists, for every cell, all edges with a part in it."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from riskmap.errors import InputError
from riskmap.roads import edge_grid as module
from riskmap.roads.edge_grid import edge_grid

NUMBER = st.one_of(st.integers(-8, 8).map(float), st.floats(-90, 90, allow_nan=False))
LINES = st.lists(st.lists(st.tuples(NUMBER, NUMBER), min_size=2, max_size=6), max_size=12)


def flat(lines, shift=(0.0, 0.0)):
    xy = np.array([point for line in lines for point in line], dtype=float).reshape(-1, 2)
    sizes = np.array([len(line) for line in lines], dtype=np.int64)
    return xy + shift, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@settings(max_examples=100, deadline=None)
@given(lines=LINES, cell_m=st.sampled_from([3.0, 25.0, 250.0]), far=st.booleans())
def test_no_cell_misses_an_edge(lines, cell_m, far):
    xy, offsets = flat(lines, (680_000.0, 4_040_000.0) if far else (0.0, 0.0))
    grid = edge_grid(xy, offsets, cell_m)
    shapes = shapely.linestrings(xy, indices=np.repeat(np.arange(len(lines)), np.diff(offsets)))
    row, column = np.divmod(np.arange(grid.columns * grid.rows), grid.columns)
    west, south = grid.x0 + column * grid.cell_m, grid.y0 + row * grid.cell_m

    def pairs(wider_m: float) -> set[tuple[int, int]]:
        """Return (cell, edge) as shapely sees them, for cells that much wider on each side."""
        east, north = west + grid.cell_m + wider_m, south + grid.cell_m + wider_m
        cells = shapely.box(west - wider_m, south - wider_m, east, north)
        tree = shapely.STRtree(cells)
        return {(c, e) for e, c in tree.query(shapes, predicate="intersects").T.tolist()}

    cell = np.repeat(np.arange(len(row)), np.diff(grid.indptr))
    listed = list(zip(cell.tolist(), grid.edge.tolist(), strict=True))
    assert listed == sorted(set(listed)), "ascending, none twice"
    # A cell holds its west and south sides alone; what rounding leaves open is taken off.
    assert pairs(-1e-7 * grid.cell_m) <= set(listed), "an edge is missed"
    assert set(listed) <= pairs(4e-6 * grid.cell_m), "none that is not there"


def test_a_street_lies_in_the_cells_it_passes():
    xy, offsets = flat([[(0, 0), (25, 0)], [(5, 5), (5, 25)], [(25, 25), (25, 25)]])
    grid = edge_grid(xy, offsets, 10)
    assert (grid.columns, grid.rows) == (3, 3)
    cells = [grid.edge[a:b].tolist() for a, b in zip(grid.indptr, grid.indptr[1:], strict=False)]
    assert cells == [[0, 1], [0], [0], [1], [], [], [1], [], [2]]
    assert grid.indptr.dtype == grid.edge.dtype == np.int32


def test_a_network_without_edges_has_one_empty_cell():
    grid = edge_grid(np.zeros((0, 2)), np.zeros(1))
    assert (grid.columns, grid.rows, len(grid.edge)) == (1, 1, 0)


def test_an_outlier_widens_the_cells(monkeypatch):
    monkeypatch.setattr(module, "MAX_CELLS", 100)
    grid = edge_grid(*flat([[(0, 0), (1, 1)], [(1e6, 1e6), (1e6, 1e6 + 1)]]), cell_m=10)
    assert grid.columns * grid.rows <= 100
    assert sorted(grid.edge.tolist()) == [0, 1]


@pytest.mark.parametrize("cell_m", [0, -1, float("nan")])
def test_a_cell_has_a_size(cell_m):
    with pytest.raises(InputError) as caught:
        edge_grid(np.zeros((2, 2)), [0, 2], cell_m)
    assert caught.value.parameter == "cell_m"
