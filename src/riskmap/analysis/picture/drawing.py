"""The one function that draws; see `riskmap.analysis.picture`."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.picture.canvas import Canvas
from riskmap.analysis.picture.frame import Frame
from riskmap.analysis.picture.legend import Row, around_the_map, window
from riskmap.analysis.picture.looks import BANDS, LOOKS, PLACE, POINT_LOOKS, UNCOVERED
from riskmap.analysis.picture.marks import painted, place_mark, ring_mark
from riskmap.analysis.picture.shapes import BAND, Roads, Shapes, box_of, geometry
from riskmap.catalog.spec import Text
from riskmap.catalog.symbols import svg, swatch_parts
from riskmap.catalog.tokens import Theme
from riskmap.units import Bbox


def draw(
    title: Text,
    layers: Sequence[Shapes],
    *,
    box: Bbox | None = None,
    roads: Roads | None = None,
    notes: Sequence[Text] = (),
    footer: str = "",
    wind_from_deg: float | None = None,
    synthetic: bool = False,
    theme: Theme = "light",
) -> str:
    """Return a map of 1180 by 800 px as the text of an SVG file.

    Parameters
    ----------
    layers
        From the lowest to the topmost. Lines and areas lie below all points.
    box
        What the map must show; without one, all shapes.
    roads
        Background; see `roads_in`.
    notes
        What stands under the legend: the figures of the answer, a line each.
    footer
        Method, speed source and network revision.
    wind_from_deg
        Where the wind comes from: draws an arrow that blows with it.
    synthetic
        Says 演示数据 in a banner.

    Raises
    ------
    ValueError
        There is no box and no shape.
    """
    shown = box or box_of(feature for one in layers for feature in one.features)
    if shown is None:
        raise ValueError("a picture needs a box or a shape")
    left, top, width, height = window(synthetic=synthetic)
    frame = Frame.fit(shown, left=left, top=top, width=width, height=height)
    canvas = Canvas(frame, theme)
    if roads is not None:
        canvas.roads(roads)
    bands = _rings([one for one in layers if one.look == BAND])
    for shapes in (*bands, *(one for one in layers if one.look in LOOKS)):
        canvas.areas(shapes)
    points = [one for one in layers if one.look in POINT_LOOKS]
    for shapes in points:
        canvas.grounds(shapes)
    for shapes in points:
        canvas.points(shapes)
    canvas.labels()
    return around_the_map(
        title=title,
        body="".join(canvas.body),
        frame=frame,
        rows=[
            Row(_swatch(one, theme), one.label)
            for one in (*bands[::-1], *(one for one in layers if one.look != BAND))
            if one.label is not None and one.features
        ],
        levels=canvas.levels,
        notes=notes,
        footer=footer,
        wind_from_deg=wind_from_deg,
        synthetic=synthetic,
        theme=theme,
    )


def _rings(layers: Sequence[Shapes]) -> list[Shapes]:
    """Return the bands as disjoint rings, the widest first, with the classes of their rank."""
    found = sorted(
        (
            (float(one["properties"]["minutes"]), one)
            for shapes in layers
            for one in shapes.features
        ),
        key=lambda pair: pair[0],
    )
    minutes = sorted({value for value, _ in found})
    rings: list[Shapes] = []
    inner: BaseGeometry = shapely.MultiPolygon()
    for rank, value in enumerate(minutes):
        parts = [geometry(one) for at, one in found if at == value]
        whole = shapely.union_all([one for one in parts if one is not None])
        ring = shapely.difference(whole, inner)
        inner = shapely.union(inner, whole)
        name = BANDS[min(2, rank * 3 // max(3, len(minutes)))]
        feature = {
            "type": "Feature",
            "geometry": mapping(ring),
            "properties": {"label": f"{value:g} 分 min"},
        }
        rings.append(Shapes(features=[feature], look=name, label=Text(f"≤ {value:g} 分", "min")))
    return rings[::-1]


def _swatch(shapes: Shapes, theme: Theme) -> str:
    """Return what the legend shows of some shapes, in a box of 24 by 24."""
    if shapes.look == PLACE:
        return f'<g transform="translate(12 12) scale(0.8)">{place_mark(0, 0, theme)}</g>'
    if (look := LOOKS.get(shapes.look)) is not None:
        area = look.fill is not None
        return painted("M2 5H22V19H2z" if area else "M1 17 8 9l7 5 8-8", look, theme)
    text = svg(swatch_parts(shapes.symbol, theme))
    if shapes.look == UNCOVERED:
        return f'<g transform="translate(4 4) scale(0.66)">{text}</g>{ring_mark(12, 12, 11, theme)}'
    return text
