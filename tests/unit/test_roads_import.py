from __future__ import annotations

import math

import numpy as np
import pyogrio
import pytest
import shapely

from conftest import shared_data
from riskmap.crs.input import read_crs
from riskmap.errors import InputError
from riskmap.i18n import LANGS, say
from riskmap.ingest.roads import import_lines, read_road_mapping
from riskmap.roads.columns import RoadMapping
from riskmap.roads.osm import read_osm_pbf
from riskmap.roads.osm_tags import read_tags, speed_kmh
from riskmap.roads.report import describe


def osm(tmp_path, nodes, ways):
    """Write an extract: {id: (lon, lat)} and [(id, refs, tags)]."""
    text = ["<osm version='0.6'>"]
    text += [f"<node id='{k}' version='1' lon='{x}' lat='{y}'/>" for k, (x, y) in nodes.items()]
    for number, refs, tags in ways:
        text.append(f"<way id='{number}' version='1'>")
        text += [f"<nd ref='{ref}'/>" for ref in refs]
        text += [f"<tag k='{k}' v='{v}'/>" for k, v in tags.items()]
        text.append("</way>")
    path = tmp_path / "small.osm"
    path.write_text("\n".join([*text, "</osm>"]), encoding="utf-8")
    return path


NODES = {k: (118.0 + k / 1000, 32.0 + (k % 3) / 1000) for k in range(1, 13)}


def ends(edges):
    return {
        source: (int(a), int(b))
        for source, a, b in zip(edges.source_id, edges.from_node, edges.to_node, strict=True)
    }


def test_ways_are_split_where_roads_meet(tmp_path):
    path = osm(
        tmp_path,
        NODES,
        [
            (10, [1, 2, 3, 4], {"highway": "primary", "name": "Main", "name:zh": "主街"}),
            (11, [5, 3, 6], {"highway": "residential", "oneway": "-1", "maxspeed": "30 mph"}),
            (12, [7, 8], {"highway": "construction"}),
            (13, [7, 2], {"building": "yes"}),
        ],
    )
    seen: list[int] = []
    edges = read_osm_pbf(path, progress=seen.append)
    assert ends(edges) == {
        "way/10/0": (1, 3), "way/10/1": (3, 4), "way/11/0": (5, 3), "way/11/1": (3, 6),
    }  # fmt: skip
    assert edges.name == ["主街", "主街", "", ""]
    assert edges.oneway == ["both", "both", "backward", "backward"]
    assert edges.maxspeed_kmh[2] == pytest.approx(48.28, abs=0.01)
    assert math.isnan(edges.maxspeed_kmh[0])
    assert edges.offsets.tolist() == [0, 3, 5, 7, 9]
    np.testing.assert_allclose(edges.lonlat[:3], [NODES[1], NODES[2], NODES[3]])
    assert seen == [3]
    assert len(edges) == 4


def test_a_bridge_crosses_without_a_junction(tmp_path):
    nodes = {1: (0, 0), 2: (0.02, 0.02), 3: (0, 0.02), 4: (0.02, 0)}
    path = osm(
        tmp_path, nodes,
        [(1, [1, 2], {"highway": "trunk", "bridge": "viaduct", "layer": "1"}),
         (2, [3, 4], {"highway": "primary", "tunnel": "yes", "layer": "-1"})],
    )  # fmt: skip
    edges = read_osm_pbf(path)
    assert len(edges) == 2
    assert edges.bridge.tolist() == [True, False]
    assert edges.tunnel.tolist() == [False, True]
    assert edges.layer.tolist() == [1, -1]


def test_loops_figures_of_eight_and_slips_of_the_pen(tmp_path):
    path = osm(
        tmp_path, NODES,
        [(1, [1, 2, 3, 1], {"highway": "residential", "junction": "roundabout"}),
         (2, [4, 5, 6, 7, 5, 8], {"highway": "service"}),
         (3, [9, 9, 10], {"highway": "track"}),
         (4, [11], {"highway": "track"})],
    )  # fmt: skip
    edges = read_osm_pbf(path)
    assert ends(edges) == {
        "way/1/0": (1, 1), "way/2/0": (4, 5), "way/2/1": (5, 5), "way/2/2": (5, 8),
        "way/3/0": (9, 10),
    }  # fmt: skip
    assert edges.oneway[0] == "forward"
    assert (np.diff(edges.offsets) >= 2).all()


def test_a_way_that_leaves_the_extract_is_cut(tmp_path):
    path = osm(tmp_path, NODES, [(1, [1, 2, 99, 3, 4, 98], {"highway": "primary"})])
    edges = read_osm_pbf(path)
    assert ends(edges) == {"way/1/0": (1, 2), "way/1/1": (3, 4)}
    assert [(note.row, note.key) for note in edges.notes] == [(1, "roads.way_incomplete")]


def test_a_file_without_roads_or_no_file_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_osm_pbf(osm(tmp_path, NODES, [(1, [1, 2], {"building": "yes"})]))
    assert caught.value.key == "roads.no_roads"
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(b"no")
    for path in (broken, tmp_path / "absent.osm.pbf"):
        with pytest.raises(InputError) as caught:
            read_osm_pbf(path)
        assert caught.value.key == "roads.file_unreadable"


@pytest.mark.parametrize(
    ("tags", "motor", "foot", "restricted"),
    [
        ({"highway": "residential"}, True, True, False),
        ({"highway": "motorway"}, True, False, False),
        ({"highway": "footway"}, False, True, False),
        ({"highway": "cycleway"}, False, False, False),
        ({"highway": "pedestrian", "motor_vehicle": "yes"}, True, True, False),
        ({"highway": "service", "access": "private"}, True, True, True),
        ({"highway": "service", "access": "no"}, False, False, False),
        ({"highway": "service", "access": "no", "motor_vehicle": "destination"}, True, False, True),
        ({"highway": "service", "motor_vehicle": "no", "emergency": "yes"}, True, True, True),
        ({"highway": "primary", "vehicle": "no"}, False, True, False),
        ({"highway": "primary", "foot": "no"}, True, False, False),
        ({"highway": "steps", "motor_vehicle": "yes"}, False, True, False),
        ({"highway": "service", "access": "no", "emergency": "yes"}, True, False, True),
        ({"highway": "service", "access": "emergency"}, True, True, True),
        ({"highway": "service", "service": "emergency_access"}, True, True, True),
        ({"highway": "service", "access": "private", "emergency": "no"}, False, True, False),
        ({"highway": "residential", "emergency": "no"}, True, True, False),
        ({"highway": "footway", "emergency": "yes"}, True, True, True),
        ({"highway": "steps", "emergency": "yes"}, False, True, False),
        ({"highway": "busway"}, True, True, True),
        ({"highway": "busway", "motor_vehicle": "yes"}, True, True, False),
        ({"highway": "trunk", "motorroad": "yes"}, True, False, False),
        ({"route": "ferry"}, False, True, False),
        ({"route": "ferry", "motor_vehicle": "yes"}, True, True, False),
    ],
)
def test_who_may_use_a_road(tags, motor, foot, restricted):
    read = read_tags(tags)
    assert (read.motor, read.foot, read.restricted) == (motor, foot, restricted)


@pytest.mark.parametrize(
    ("tags", "oneway"),
    [
        ({"highway": "motorway"}, "forward"),
        ({"highway": "motorway", "oneway": "no"}, "both"),
        ({"highway": "motorway_link"}, "both"),
        ({"highway": "primary", "junction": "roundabout"}, "forward"),
        ({"highway": "primary", "junction": "roundabout", "oneway": "-1"}, "backward"),
        ({"highway": "primary", "oneway": "reversible"}, "both"),
        ({"highway": "primary", "oneway": "1"}, "forward"),
        ({"highway": "primary", "oneway": "yes", "oneway:motor_vehicle": "no"}, "both"),
        ({"highway": "primary", "oneway": "yes", "oneway:bicycle": "no"}, "forward"),
    ],
)
def test_directions(tags, oneway):
    assert read_tags(tags).oneway == oneway


def test_what_is_no_road():
    for tags in ({}, {"highway": "proposed"}, {"highway": "pedestrian", "area": "yes"},
                 {"route": "bus"}, {"highway": "platform"}):  # fmt: skip
        assert read_tags(tags) is None


def test_speeds():
    assert [speed_kmh(text) for text in ("50", "50 km/h", "62.5")] == [50, 50, 62.5]
    assert speed_kmh("30 mph") == pytest.approx(48.28, abs=0.01)
    for text in ("", "none", "walk", "BR:urban", "0", "50;70", "signals"):
        assert math.isnan(speed_kmh(text))


def test_a_limit_for_each_direction():
    both = {"highway": "primary", "maxspeed:forward": "60", "maxspeed:backward": "40"}
    assert read_tags(both).maxspeed_kmh == 40
    assert read_tags({**both, "oneway": "yes"}).maxspeed_kmh == 60
    assert read_tags({**both, "oneway": "-1"}).maxspeed_kmh == 40
    assert read_tags({**both, "maxspeed": "50"}).maxspeed_kmh == 50
    assert read_tags({"highway": "primary", "maxspeed:forward": "60"}).maxspeed_kmh == 60


def test_porto_alegre():
    edges = read_osm_pbf(shared_data("porto-alegre/poa_osm.pbf"))
    assert len(edges) == 28_730
    assert int(edges.motor.sum()) == 23_168
    assert len(set(edges.source_id)) == len(edges)
    assert edges.notes == ()
    assert int(edges.bridge.sum()) == 205
    assert (np.diff(edges.offsets) >= 2).all()
    west, south, east, north = -51.3, -30.3, -51.0, -29.9
    assert ((edges.lonlat >= (west, south)) & (edges.lonlat <= (east, north))).all()


def read_vector(path, *, crs="EPSG:4326", columns=None, values=None, defaults=None, **options):
    mapping = RoadMapping(columns or {}, values or {}, defaults or {})
    return import_lines(path, mapping, crs=read_crs(crs), **options)[0]


def vector(tmp_path, lines, crs="EPSG:4490", **columns):
    path = tmp_path / "roads.gpkg"
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(lines, dtype=object)),
        field_data=[np.array(values, dtype=object) for values in columns.values()],
        fields=list(columns), geometry_type="Unknown", crs=crs, driver="GPKG",
    )  # fmt: skip
    return path


def test_a_line_layer(tmp_path):
    path = vector(
        tmp_path,
        [
            shapely.LineString([(118, 32), (118.1, 32)]),
            shapely.MultiLineString(
                [[(118.1, 32), (118.1, 32.1)], [(118.2, 32), (118.1, 32.00000001)]]
            ),
            shapely.LineString([(118, 32), (118, 32)]),
            shapely.Point(1, 1),
            None,
            shapely.LineString([(118, 32), (1180, 32)]),
        ],
        等级=["primary", "Track", "", "", "", ""],
        路名=["中山路", None, "", "", "", ""],
        方向=["F", "sideways", "", "", "", ""],
        速度=["40", "0", "", "", "", ""],
        桥=["是", "0", "", "", "", ""],
    )
    columns = {"road_class": "等级", "name": "路名", "oneway": "方向", "speed_kmh": "速度",
               "bridge": "桥"}  # fmt: skip
    edges = read_vector(path, crs="EPSG:4490", columns=columns)
    assert edges.source_id == ["row/1/0", "row/2/0", "row/2/1"]
    assert edges.from_node[1] == edges.to_node[0] == edges.to_node[2]
    assert edges.road_class == ["primary", "track", "track"]
    assert edges.name == ["中山路", "", ""]
    assert edges.oneway == ["forward", "both", "both"]
    assert edges.maxspeed_kmh[0] == 40
    assert np.isnan(edges.maxspeed_kmh[1:]).all()
    assert edges.bridge.tolist() == [True, False, False]
    told = {(note.row, note.key) for note in edges.notes}
    assert told == {
        (2, "roads.row_oneway"), (3, "roads.row_zero_length"), (4, "roads.row_empty"),
        (5, "roads.row_empty"), (6, "roads.row_coordinates"),
    }  # fmt: skip


def test_projected_lines_come_out_east_first(tmp_path):
    # 4549 is north-first by its definition; files hold east, north all the same.
    path = vector(tmp_path, [shapely.LineString([(400_000, 3_540_000), (401_000, 3_540_000)])],
                  crs="EPSG:4549")  # fmt: skip
    edges = read_vector(path, crs="EPSG:4549")
    assert 118 < edges.lonlat[0, 0] < 120
    assert 31 < edges.lonlat[0, 1] < 33


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"columns": {"name": "无"}}, "roads.column_unknown"),
        ({"columns": {"colour": "x"}}, "roads.column_role"),
        ({"values": {"road_class": {"一级": "great"}}}, "roads.mapping_value"),
        ({"defaults": {"oneway": "sometimes"}}, "roads.mapping_value"),
        ({"table": "none"}, "ingest.table.unknown"),
        ({"snap_m": -1}, "roads.snap"),
        ({"snap_m": math.nan}, "roads.snap"),
        ({"crs": "EPSG:4549"}, "crs.differs"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, key):
    path = vector(tmp_path, [shapely.LineString([(118, 32), (118.1, 32)])])
    with pytest.raises(InputError) as caught:
        read_vector(path, **{"crs": "EPSG:4490", **options})
    assert caught.value.key == key
    assert str(caught.value)


def test_values_by_mapping_and_defaults(tmp_path):
    lines = [shapely.LineString([(118, 32 + k / 100), (118.1, 32 + k / 100)]) for k in range(7)]
    path = vector(
        tmp_path,
        lines,
        等级=["一级道路", "快速路", "羊肠小道", "", "轮渡", "primary", "primary"],
        方向=["双", "FT", "TF", "-1", "单行", "B", ""],
        限速=["60", "60km/h", "900", "0", "", "-5", "40"],
        层=["0", "1", "-1", "高架", "1.5", "", "2"],
        车=["1", "0", "是", "否", "?", "", "true"],
        时=["", "", "", "", "", "600", "1"],
    )
    columns = {"road_class": "等级", "oneway": "方向", "speed_kmh": "限速", "level": "层",
               "motor": "车", "seconds": "时"}  # fmt: skip
    edges = read_vector(
        path,
        crs="EPSG:4490",
        columns=columns,
        values={"road_class": {"一级道路": "primary"}, "oneway": {"双": "both"}},
        defaults={"road_class": "residential", "foot": "no", "name": "某路"},
    )
    assert edges.road_class == [
        "primary", "trunk", "residential", "residential", "ferry", "primary", "primary",
    ]  # fmt: skip
    assert edges.oneway == [
        "both", "forward", "backward", "backward", "forward", "both", "both",
    ]  # fmt: skip
    assert edges.layer.tolist() == [0, 1, -1, 0, 0, 0, 2]
    assert edges.motor.tolist() == [True, False, True, False, False, True, True]
    assert not edges.foot.any() and edges.name == ["某路"] * 7
    # 9.44 km in 600 s; in 1 s nobody does it, and the stated speed stays.
    length_km = shapely.length(shapely.from_wkt("LINESTRING (0 0, 0.1 0)")) * 111.32
    assert edges.maxspeed_kmh[5] == pytest.approx(
        length_km * math.cos(math.radians(32.05)) * 6, rel=0.01
    )
    assert edges.maxspeed_kmh[6] == 40 and edges.maxspeed_kmh[0] == 60
    assert np.isnan(edges.maxspeed_kmh[1:5]).all()
    told = {(note.row, note.key) for note in edges.notes}
    assert told == {
        (2, "roads.row_speed"), (3, "roads.row_class"), (3, "roads.row_speed"),
        (4, "roads.row_level"), (5, "roads.row_level"), (5, "roads.row_flag"),
        (6, "roads.row_speed"), (7, "roads.row_seconds"),
    }  # fmt: skip
    for note in edges.notes:
        for lang in LANGS:
            assert str(note.row) in say(note.key, lang, **note.values)


def test_a_mapping_file(tmp_path):
    path = tmp_path / "roads.json"
    path.write_text(
        '{"columns": {"name": "NAME", "oneway": "DIR"}, "values": {"oneway": {"3": "TF"}},'
        ' "defaults": {"road_class": "primary"}}',
        encoding="utf-8-sig",
    )
    found = read_road_mapping(path, ["name = 路名"])
    assert found.columns == {"name": "路名", "oneway": "DIR"}
    assert found.values == {"oneway": {"3": "TF"}}
    assert found.defaults == {"road_class": "primary"}
    for text in (
        "[]",
        "{",
        '{"columns": {"name": 1}}',
        '{"fields": {}}',
        '{"values": {"name": 1}}',
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_road_mapping(path)
        assert caught.value.key == "roads.mapping_file"
    with pytest.raises(InputError, match="--map"):
        read_road_mapping(None, ["name"])


def test_lines_of_a_geojson_file(tmp_path):
    path = tmp_path / "roads.geojson"
    path.write_text(
        '{"type": "FeatureCollection", "features": ['
        '{"type": "Feature", "properties": {"v": 40}, "geometry":'
        ' {"type": "LineString", "coordinates": [[118, 32, 5], [118.1, 32, 6]]}},'
        '{"type": "Feature", "properties": {}, "geometry":'
        ' {"type": "LineString", "coordinates": [[118, 32]]}},'
        '{"type": "Feature", "properties": {"v": true}, "geometry": null}]}',
        encoding="utf-8",
    )
    edges = read_vector(path, columns={"speed_kmh": "v"})
    assert len(edges) == 1 and edges.maxspeed_kmh.tolist() == [40]
    assert [note.row for note in edges.notes] == [2, 3]


def nanjing(**options):
    return import_lines(
        shared_data("nanjing/roads.gpkg"),
        RoadMapping({"speed_kmh": "speed_kmh"}),
        crs=read_crs("EPSG:4326"),
        **options,
    )


def test_nanjing():
    edges, report = nanjing(already_split=True)
    assert len(edges) == 45_717
    zero = [8260, 10384, 27858, 29358, 31870, 39857]
    assert [note.row for note in edges.notes] == zero
    assert {note.key for note in edges.notes} == {"roads.row_zero_length"}
    assert not (edges.maxspeed_kmh <= 0).any()
    assert len(report.components) == 1
    assert report.to_json()["zero_length"] == zero
    # As drawn without a promise: 8 places inside lines are shared, 4 joints are none.
    mended, report = nanjing()
    assert len(mended) == 45_721
    assert (report.mended.splits, report.mended.contracted) == (8, 4)
    assert report.mended.snapped.count == 0
    assert len(report.components) == 1


def test_the_report_of_porto_alegre():
    edges = read_osm_pbf(shared_data("porto-alegre/poa_osm.pbf"))
    report = describe(edges)
    assert report.edges == 28_730
    assert len(report.components) == 41 and 0.98 < report.largest_share < 1
    lengths = [part.length_m for part in report.components]
    assert lengths == sorted(lengths, reverse=True)
    assert sum(part.edges for part in report.components) == 28_730
    assert sum(lengths) == pytest.approx(report.length_m)
    assert all(0 < gap.distance_m <= 5 for gap in report.gaps)
    assert len(report.gaps) < report.dangling
    for lang in LANGS:
        assert "98.91" in report.render(lang)
