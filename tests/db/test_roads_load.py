"""Line files into the database: every edge stored, the search's times those of the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from riskmap.crs.input import read_crs
from riskmap.db.city import City
from riskmap.db.sessions import Actor, Database
from riskmap.ingest.roads import import_lines
from riskmap.roads.columns import RoadMapping
from riskmap.roads.graph import build_graph
from riskmap.roads.load import read_graph, replace_edges
from riskmap.roads.osm import read_osm_pbf

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


def test_turns_reach_the_profiles_that_obey_them(
    database: Database, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cross.osm"
    spot = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (1, 1), 5: (1, -1), 6: (2, 1)}
    ways = {
        1: ([1, 2], {"highway": "primary"}),
        2: ([2, 3], {"highway": "primary", "bridge": "yes"}),
        3: ([2, 4], {"highway": "motorway"}),
        4: ([5, 2], {"highway": "residential", "tunnel": "yes"}),
        5: ([3, 6], {"highway": "footway"}),
    }
    lines = ["<osm version='0.6'>"]
    for k, at in spot.items():
        lon, lat = place(*at)
        lines.append(f"<node id='{k}' version='1' lon='{lon}' lat='{lat}'/>")
    for k, (nodes, tags) in ways.items():
        lines.append(f"<way id='{k}' version='1'>")
        lines += [f"<nd ref='{node}'/>" for node in nodes]
        lines += [f"<tag k='{key}' v='{value}'/>" for key, value in tags.items()] + ["</way>"]
    for k, (start, end, value) in {1: (1, 3, "no_left_turn"), 2: (4, 2, "only_right_turn")}.items():
        lines.append(
            f"<relation id='{k}' version='1'><member type='way' ref='{start}' role='from'/>"
        )
        lines.append("<member type='node' ref='2' role='via'/>")
        lines.append(f"<member type='way' ref='{end}' role='to'/><tag k='type' v='restriction'/>")
        lines.append(f"<tag k='restriction' v='{value}'/></relation>")
    path.write_text("\n".join([*lines, "</osm>"]))
    edges = read_osm_pbf(path)
    for _ in range(2):  # the second import takes the first one's turns away
        with database.write(ACTOR) as session:
            replace_edges(session, edges, city.bbox, source="cross")
    given: dict[str, dict[str, Any]] = {}

    def build(**arrays: Any) -> Any:
        given[arrays["profile"]] = arrays
        return build_graph(**arrays)

    monkeypatch.setattr("riskmap.roads.load.build_graph", build)
    with database.read() as session:
        known = session.execute(text("SELECT source_id, id FROM road_edges")).all()
        stored = session.execute(
            text("SELECT from_source, via_node, to_source, mandatory, source FROM road_turns")
        ).all()
        for profile in ("emergency", "ordinary", "motorcycle", "walk"):
            read_graph(session, profile=profile, srid=city.local_srid, revision="1")
    assert sorted(map(tuple, stored)) == sorted(map(tuple, edges.turns))
    number = dict(map(tuple, known))
    way = [0, *(number[f"way/{k}/0"] for k in range(1, 6))]
    for profile in ("emergency", "motorcycle", "walk"):
        assert len(given[profile]["turns"]) == 0 and given[profile]["u_turns"] is True
    assert given["ordinary"]["u_turns"] is False
    # Out of way 4 only way 2 is left: not 1, not 3, and not back.
    banned = {(way[1], 2, way[3]), (way[4], 2, way[1]), (way[4], 2, way[3]), (way[4], 2, way[4])}
    assert {tuple(row) for row in given["ordinary"]["turns"].tolist()} == banned

    def pairs(arrays: dict[str, Any]) -> Any:
        return zip(arrays["road_class"], arrays["stops"], strict=True)

    rows = {
        profile: dict(zip(arrays["edge_id"], pairs(arrays), strict=True))
        for profile, arrays in given.items()
    }
    assert rows["emergency"] == {
        way[1]: ("primary", True), way[2]: ("primary", False),
        way[3]: ("motorway", False), way[4]: ("residential", False),
    }  # fmt: skip
    assert way[3] not in rows["motorcycle"] and rows["walk"][way[5]] == ("footway", True)
    # What turns name is gone with another network, in the same transaction.
    plain, _ = import_lines(
        draw(tmp_path, "a", [[(0, 0), (1, 0)]]), RoadMapping(), crs=read_crs("EPSG:4326")
    )
    with database.write(ACTOR) as session:
        replace_edges(session, plain, city.bbox, source="a")
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM road_turns")).scalar_one() == 0
