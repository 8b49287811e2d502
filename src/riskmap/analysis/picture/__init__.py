"""Pictures of answers: a map as one SVG file that stands alone, with legend, scale and source.

`draw` takes GeoJSON features and names of classes; it knows neither questions nor databases::

    draw(
        Text("响应圈", "Response circle"),
        [
            Shapes(features=answer["features"], look="band"),
            Shapes(features=[station], look="points", symbol="team", label=Text("队伍", "Team")),
        ],
        roads=roads_in(network, box_of(answer["features"])),
        footer=answer["network_revision"],
    )
"""

from riskmap.analysis.picture.drawing import draw
from riskmap.analysis.picture.shapes import Roads, Shapes, box_of, roads_in

__all__ = ["Roads", "Shapes", "box_of", "draw", "roads_in"]
