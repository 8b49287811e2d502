"""底图地物: water, hills, parks and built-up ground, on which everything else is drawn."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="land-cover",
    title=Text("底图地物", "Land cover"),
    description=Text(
        "底图用的海面、河湖、山体、公园、工业区与建成区，不参与分析。",
        "Sea, rivers and lakes, hills, parks, industrial and built-up ground to draw a map on; "
        "no analysis reads it.",
    ),
    geometry=Geometry.MIXED,
    role=Role.CONTEXT,
    own_fields=(
        Field(
            name="cover_class",
            zh="地物类别",
            en="Class",
            values=(
                Value("sea", "海", "Sea"),
                Value("lake", "湖泊", "Lake"),
                Value("reservoir", "水库", "Reservoir"),
                Value("river", "河流", "River"),
                Value("wetland", "滩涂湿地", "Wetland"),
                Value("hill", "山体", "Hills"),
                Value("park", "公园绿地", "Park"),
                Value("industrial", "工业区", "Industrial"),
                Value("built_up", "建成区", "Built-up"),
                Value("farmland", "农田", "Farmland"),
                Value("other", "其他", "Other"),
            ),
            source="[D] what a base map needs",
            required=True,
            in_tile=True,
        ),
    ),
    tile=TileRule(min_zoom=0, buffer=16),
    style=Style(symbol="land-cover"),
)
TABLE = table_of(LAYER)
