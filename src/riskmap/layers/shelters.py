"""应急避难场所, 避灾安置场所: where people can go (GB/T 44013-2024)."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="shelters",
    title=Text("避难场所", "Shelters"),
    description=Text(
        "应急避难场所与避灾安置场所:级别、面积、容量、开放状态。",
        "Emergency shelters: grade, area, capacity and whether they are open.",
    ),
    geometry=Geometry.MIXED,
    role=Role.SHELTER,
    people="capacity_persons",
    own_fields=(
        Field(
            name="admin_grade",
            zh="级别",
            en="Administrative grade",
            values=(
                Value("province", "省级", "Province"),
                Value("city", "市级", "City"),
                Value("county", "县级", "County"),
                Value("township", "乡镇(街道)级", "Township"),
                Value("village", "村(社区)级", "Village"),
            ),
            source="GB/T 44013-2024",
            in_tile=True,
        ),
        Field(
            name="capacity_persons",
            zh="可容纳人数",
            en="Capacity",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            in_tile=True,
        ),
    ),
    tile=TileRule(min_zoom=8),
    style=Style(symbol="shelter"),
)
TABLE = table_of(LAYER)
