"""What the surroundings of a place take."""

from __future__ import annotations

from typing import Final

from riskmap.analysis.surroundings import DEFAULT_LIMIT, MAX_LISTED
from riskmap.api.parameters import DATUM, TEXT, Parameter, Schema, listed, whole
from riskmap.catalog.spec import Text

_METRES: Final[Schema] = {"type": "number", "minimum": 0, "exclusiveMinimum": True}
AROUND: Final = (
    Parameter(
        "lon", {"type": "number", "minimum": -180, "maximum": 180}, Text("经度", "longitude")
    ),
    Parameter("lat", {"type": "number", "minimum": -90, "maximum": 90}, Text("纬度", "latitude")),
    Parameter(
        "feature",
        {"type": "string", "format": "feature"},
        Text("地点:某要素,写作 图层/编号", "the place: a feature, as layer/id"),
    ),
    Parameter(
        "radius_m",
        listed(_METRES, minItems=1, maxItems=12),
        Text(
            "多少米以内,可有多个;都不给时为 500、1000、3000",
            "within how many metres, several with commas; without any 500, 1000 and 3000",
        ),
    ),
    Parameter(
        "minutes",
        listed(_METRES, minItems=1, maxItems=12),
        Text("沿路网多少分钟以内,可有多个", "within how many minutes along the roads"),
    ),
    Parameter("profile", TEXT, Text("出行方式", "who moves: emergency, ordinary, walk")),
    Parameter(
        "limit",
        whole(0, MAX_LISTED, DEFAULT_LIMIT),
        Text("每个图层最多列出几个", "how many features of each layer are listed at most"),
    ),
    Parameter(
        "danger_radius_m",
        _METRES,
        Text("危险半径(米);重大危险源默认 500", "danger radius, metres; of a source 500"),
    ),
    Parameter(
        "wind_from_deg",
        {"type": "number", "minimum": 0, "maximum": 360},
        Text("风从哪个方向来(度,正北为 0)", "where the wind comes from, degrees from the north"),
    ),
    Parameter(
        "wind_speed_mps",
        {"type": "number", "minimum": 0, "maximum": 200},
        Text("风速(米/秒)", "wind speed, m/s"),
    ),
    Parameter(
        "sector_deg",
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 180},
        Text("下风扇区半宽(度)", "half width of the downwind sector, degrees"),
    ),
    Parameter("downwind_m", _METRES, Text("下风扇区长(米)", "length of the sector, metres")),
    Parameter("hazard", TEXT, Text("避难场所须适用的灾种", "hazard that shelters must suit")),
    Parameter(
        "walk_minutes",
        _METRES,
        Text("步行到避难场所最多多少分钟", "longest walk to a shelter, minutes"),
    ),
    DATUM,
)
