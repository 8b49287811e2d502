"""Line files into the database: every edge stored, the search's times those of the plan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from riskmap.crs.input import read_crs
from riskmap.db.city import City
from riskmap.db.sessions import Actor, Database
from riskmap.ingest.roads import import_lines
from riskmap.roads.columns import RoadMapping
from riskmap.roads.load import read_graph, replace_edges

ACTOR = Actor("cli:test")
STEP = 0.003
SIZE = 4


def place(x: float, y: float) -> list[float]:
    return [120.4 + STEP * x, 36.5 + STEP * y]


def draw(folder: Path, name: str, lines) -> Path:
    path = folder / f"{name}.geojson"
    features = [
        {
            "type": "Feature",
            "properties": {"class": "一级道路"},
            "geometry": {"type": "LineString", "coordinates": [place(*p) for p in line]},
        }
        for line in lines
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def three_ways(folder: Path) -> dict[str, Path]:
    n = range(SIZE)
    split = [[(x, y), (x + 1, y)] for y in n for x in n[:-1]]
    split += [[(x, y), (x, y + 1)] for x in n for y in n[:-1]]
    shared = [[(x, y) for x in n] for y in n] + [[(x, y) for y in n] for x in n]
    off = 0.3 / 111_000 / STEP  # 0.3 m
    sloppy = [[(0, y), (SIZE - 1, y)] for y in n]
    sloppy += [[(x, y + off), (x, y + 1 - off)] for x in n for y in n[:-1]]
    return {
        name: draw(folder, name, lines)
        for name, lines in (("split", split), ("shared", shared), ("sloppy", sloppy))
    }


def test_three_drawings_have_the_same_times(database: Database, city: City, tmp_path: Path) -> None:
    mapping = RoadMapping({"road_class": "class"}, {"road_class": {"一级道路": "primary"}})
    found = {}
    for name, path in three_ways(tmp_path).items():
        # The two ends at a crossing are 0.6 m apart.
        edges, report = import_lines(
            path, mapping, crs=read_crs("EPSG:4326"), snap_m=1.0, split_touching=True
        )
        with database.write(ACTOR) as session:
            state = replace_edges(session, edges, city.bbox, source=path.name)
        assert state.edges == report.edges == len(edges)
        with database.read() as session:
            graph = read_graph(session, profile="emergency", srid=city.local_srid, revision=name)
            kinds = session.execute(text("SELECT DISTINCT road_class FROM road_edges")).scalars()
            assert list(kinds) == ["primary"]
        found[name] = (graph.node_count, graph.edge_count, np.sort(graph.forward_ms))
    nodes, count, exact = found["split"]
    assert nodes == SIZE**2 - 4
    assert found["shared"][:2] == found["sloppy"][:2] == (nodes, count)
    np.testing.assert_array_equal(found["shared"][2], exact)
    # 0.3 m at each end of a block at 60 km/h are 36 ms.
    assert np.abs(found["sloppy"][2] - exact).max() <= 40


@pytest.mark.parametrize("split", [False, True])
def test_edges_of_the_database_keep_their_rows(
    database: Database, city: City, tmp_path: Path, split: bool
) -> None:
    path = draw(tmp_path, "a", [[(0, 0), (1, 0), (2, 0)], [(1, 0), (1, 1)], [(1, 1), (2, 2)]])
    edges, _ = import_lines(path, RoadMapping(), crs=read_crs("EPSG:4326"), already_split=split)
    with database.write(ACTOR) as session:
        replace_edges(session, edges, city.bbox, source="a")
    with database.read() as session:
        ids = session.execute(text("SELECT source_id FROM road_edges ORDER BY id")).scalars().all()
    if split:
        assert ids == ["row/1/0", "row/2/0", "row/3/0"]
    else:
        assert ids == ["row/1/0", "row/1/1", "row/2/0"]
