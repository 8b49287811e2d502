"""Pictures of answers: what they show is where it lies, and whatever a name holds, it is SVG."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import orjson
import pytest
import shapely
from pyproj import Geod

from riskmap.analysis.picture import Roads, Shapes, box_of, draw
from riskmap.analysis.picture.frame import Frame, Room, path
from riskmap.analysis.picture.looks import LOOKS
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Role, Text
from riskmap.catalog.tokens import TOKENS
from riskmap.units import Bbox

TITLE = Text("标题", "Title")
BOX = Bbox(120.0, 36.0, 120.1, 36.1)
LINE = {"type": "LineString", "coordinates": [[120, 36], [120.1, 36.1]]}
SVG = "{http://www.w3.org/2000/svg}"


def disk(radius: float, **properties: Any) -> dict[str, Any]:
    shape = shapely.Point(120.05, 36.05).buffer(radius)
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(shape),
        "properties": properties,
    }


def point(lon: float, lat: float, **properties: Any) -> dict[str, Any]:
    at = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "geometry": at, "properties": properties}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text, which must be XML


def drawn(svg: str) -> str:
    """Return what is drawn in the map's window, from the first element on."""
    return svg.partition('url(#map)">')[2]


def words(svg: str) -> str:
    return " ".join(one.text or "" for one in parsed(svg).iter(f"{SVG}text"))


def test_scale_and_places_are_those_of_the_ground() -> None:
    frame = Frame.fit(BOX, left=10, top=20, width=600, height=400)
    geod = Geod(ellps="WGS84")
    ends = [(120.0, 36.05), (120.1, 36.05), (120.05, 36.0), (120.05, 36.1)]
    px = frame.px(ends)
    for one, other in ((0, 1), (2, 3)):
        metres = geod.inv(*ends[one], *ends[other])[2]
        drawn = float(np.hypot(*(px[one] - px[other])))
        assert drawn * frame.m_per_px == pytest.approx(metres, rel=1e-4)
    assert frame.px([(120.05, 36.05)])[0] == pytest.approx([310, 220])
    bar_px, text = frame.scale_bar()
    number, unit = text.split()
    assert bar_px * frame.m_per_px == pytest.approx(float(number) * (1000 if unit == "km" else 1))
    assert 30 < bar_px <= 150
    shown = frame.box
    assert shown.west <= BOX.west and shown.east >= BOX.east
    assert shown.south <= BOX.south and shown.north >= BOX.north


def test_one_point_alone_is_a_map() -> None:
    text = draw(TITLE, [Shapes(features=[point(120, 36)], look="place", label=Text("点", "Dot"))])
    assert "点 Dot" in words(text)
    assert re.search(r"\d+ m$|\d+ m ", words(text))


def test_whatever_a_name_holds_it_stays_text() -> None:
    nasty = "<script>&\"'</svg>\x0b"
    text = draw(
        Text(nasty, nasty),
        [
            Shapes(
                features=[point(120.05, 36.05, label=nasty, order=nasty, risk_level=1)],
                look="points", symbol=nasty, by_risk_level=True, label=Text(nasty, nasty),
            ),
            Shapes(features=[disk(0.02, label=nasty)], look="range"),
        ],
        notes=[Text(nasty, nasty)],
        footer=nasty,
    )  # fmt: skip
    root = parsed(text)
    assert not list(root.iter(f"{SVG}script"))
    assert words(text).count(nasty[:-1]) >= 6


def test_a_picture_stands_alone() -> None:
    text = draw(TITLE, [Shapes(features=[disk(0.02)], look="sector")])
    assert "href" not in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_synthetic_data_are_called_so() -> None:
    shapes = [Shapes(features=[disk(0.02)], look="danger")]
    assert "演示数据 Synthetic data" in words(draw(TITLE, shapes, synthetic=True))
    assert "Synthetic" not in draw(TITLE, shapes)


def test_bands_become_disjoint_rings_in_the_pages_colours() -> None:
    """Wide and narrow whole disks in any order; each is drawn once, in the colour of its rank."""
    bands = [disk(0.04, minutes=15), disk(0.01, minutes=5), disk(0.02, minutes=10)]
    text = draw(TITLE, [Shapes(features=bands, look="band")])
    light = TOKENS["light"]
    fills = re.findall(r'fill="(#\w+)" fill-opacity', drawn(text))
    assert fills[:3] == [light["band-15"], light["band-10"], light["band-5"]]
    # Two rings of the outer two (their holes), one of the inner.
    paths = re.findall(r'<path d="([^"]+)" fill="#\w+" fill-opacity', drawn(text))
    assert [data.count("M") for data in paths[:3]] == [2, 2, 1]
    assert "≤ 5 分 min" in words(text) and "15 分 min" in words(text)


def test_geometries_may_be_written_already() -> None:
    written = {**disk(0.02, minutes=5)}
    written["geometry"] = orjson.Fragment(orjson.dumps(written["geometry"]))
    plain = Shapes(features=[disk(0.02, minutes=5)], look="band")
    assert draw(TITLE, [Shapes(features=[written], look="band")]) == draw(TITLE, [plain])


def test_twelve_bands_have_the_three_colours_in_order() -> None:
    bands = [disk(0.003 * n, minutes=n) for n in range(1, 13)]
    text = drawn(draw(TITLE, [Shapes(features=bands, look="band")]))
    fills = re.findall(r'fill="(#\w+)" fill-opacity', text)[:12]
    names = {value: name for name, value in TOKENS["light"].items() if name.startswith("band-")}
    ranks = [int(names[fill].removeprefix("band-")) for fill in fills]
    assert ranks == sorted(ranks, reverse=True) and set(ranks) == {5, 10, 15}


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_every_class_draws_something(look: str) -> None:
    line = {"type": "LineString", "coordinates": [[120.01, 36.01], [120.09, 36.09]]}
    text = draw(TITLE, [Shapes(features=[line, disk(0.01)], look=look, label=TITLE)], box=BOX)
    parsed(text)
    assert drawn(text).startswith("<path")


def test_an_unknown_class_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="sparkle"):
        Shapes(features=[], look="sparkle")
    with pytest.raises(ValueError, match="box or a shape"):
        draw(TITLE, [])


@pytest.mark.parametrize("layer", list(load_catalog().values()), ids=lambda one: one.id)
def test_every_layer_is_drawn_by_its_style(layer: Any) -> None:
    features = [
        {**point(120.02, 36.02, risk_level=1, label="甲", open_status="full"), "id": 1},
        {**disk(0.02), "properties": {"risk_level": None, "duty_status": "off"}},
        {"type": "Feature", "geometry": None, "properties": {}},
        {"type": "Feature", "geometry": LINE, "properties": {}},
    ]  # fmt: skip
    text = draw(TITLE, [Shapes.of_layer(layer, features)])
    parsed(text)
    assert layer.title.zh in words(text)
    assert ("未评估" in words(text)) is layer.assessed
    assert ("甲" in words(text)) is True


def test_not_assessed_is_never_the_colour_of_a_level() -> None:
    layer = next(one for one in load_catalog().with_role(Role.HAZARD) if one.assessed)
    text = draw(TITLE, [Shapes.of_layer(layer, [point(120, 36, risk_level=None)])])
    light = TOKENS["light"]
    window = drawn(text).partition("</g>")[0]
    assert light["panel"] in window
    assert not any(light[f"level-{n}"] in window for n in range(1, 5))


def test_what_lies_far_outside_costs_nothing() -> None:
    far = Shapes(
        features=[point(121 + 0.001 * n, 37, label="远") for n in range(500)], look="points"
    )
    near = Shapes(features=[disk(0.01)], look="range")
    bare = draw(TITLE, [near], box=BOX)
    assert len(draw(TITLE, [near, far], box=BOX)) == len(bare)
    frame = Frame.fit(BOX, left=0, top=0, width=600, height=400)
    line = shapely.LineString([(100, 10), (140.1, 62.1)])
    numbers = re.findall(r"-?\d+\.?\d*", path(frame.clipped(line)))
    assert len(numbers) == 4 and all(abs(float(one)) < 700 for one in numbers)


def test_labels_do_not_lie_on_each_other() -> None:
    room = Room(Frame.fit(BOX, left=0, top=0, width=600, height=400))
    spots = [room.beside(300, 200, 10, 80, 16) for _ in range(12)]
    found = [shapely.box(x - 40, y - 8, x + 40, y + 8) for spot in spots if spot for x, y in [spot]]
    assert 4 <= len(found) < 12
    for row, one in enumerate(found):
        assert all(one.intersection(other).area == 0 for other in found[:row])


def test_roads_are_drawn_beneath() -> None:
    lines = np.array([shapely.LineString([(120, 36), (120.1, 36.1)])] * 2, dtype=object)
    roads = Roads(lines, np.array([False, True]))
    text = draw(TITLE, [Shapes(features=[disk(0.02)], look="danger")], roads=roads)
    body = drawn(text)
    light = TOKENS["light"]
    assert (
        body.index(light["road-minor"])
        < body.index(light["road-trunk"])
        < body.index(light["level-1"])
    )


def test_the_wind_arrow_points_where_the_wind_blows() -> None:
    shapes = [Shapes(features=[disk(0.02)], look="sector")]
    text = draw(TITLE, shapes, wind_from_deg=90)
    # Drawn pointing north; a wind from the east blows west: a quarter turn anti-clockwise.
    assert "rotate(270)" in text and "wind from 90°" in words(text)
    assert "rotate(180)" in draw(TITLE, shapes, wind_from_deg=360)


def test_the_box_of_nothing_is_none() -> None:
    assert box_of([]) is None
    assert box_of([{"type": "Feature", "geometry": None}]) is None
    assert box_of([point(1, 2), disk(0.01)]).east == pytest.approx(120.06)  # type: ignore[union-attr]
