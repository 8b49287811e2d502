"""地震断裂带: active and other faults (GB/T 36072-2018).

They carry no risk level: what is near a fault is at risk, by a setback that is a parameter of the
analysis (GB 50011 table 4.1.7), and the map draws them in a colour of their own.
"""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule
from riskmap.db.base import table_of

LAYER = Layer(
    id="fault-lines",
    title=Text("断裂带", "Faults"),
    description=Text(
        "地震断裂带与活动断裂：断层类型、活动时代、是否发震、埋深与产状。",
        "Seismic fault belts and active faults: type, age of activity, whether they can cause "
        "earthquakes, cover and attitude.",
    ),
    geometry=Geometry.LINE,
    role=Role.HAZARD,
    own_fields=(
        Field(
            name="fault_type",
            zh="断层类型",
            en="Fault type",
            source="[U] 正 normal, 逆 reverse, 走滑 strike-slip, 隐伏 buried",
        ),
        Field(
            name="activity_age",
            zh="活动时代",
            en="Age of activity",
            source="[U] GB/T 36072-2018: 全新世 Holocene, 晚更新世 late Pleistocene, "
            "早中更新世 early to middle Pleistocene, 前第四纪 pre-Quaternary",
        ),
        Field(
            name="is_seismogenic",
            zh="发震断裂",
            en="Seismogenic",
            kind=Kind.BOOLEAN,
            source="[D] GB 50011 art. 4.1.7 speaks of 发震断裂",
        ),
        Field(
            name="is_buried",
            zh="隐伏断裂",
            en="Buried",
            kind=Kind.BOOLEAN,
            source="[D]",
            in_tile=True,
        ),
        Field(
            name="cover_thickness_m",
            zh="覆盖层厚度",
            en="Thickness of the cover",
            kind=Kind.NUMBER,
            unit="m",
            minimum=0,
            source="[C] GB 50011 art. 4.1.7: exempt above 60 m (intensity 8), 90 m (9)",
        ),
        Field(
            name="dip_deg",
            zh="倾角",
            en="Dip",
            kind=Kind.NUMBER,
            unit="°",
            minimum=0,
            maximum=90,
            source="[D]",
        ),
        Field(
            name="strike_deg",
            zh="走向",
            en="Strike",
            kind=Kind.NUMBER,
            unit="°",
            minimum=0,
            maximum=360,
            source="[D]",
        ),
        Field(
            name="map_scale",
            zh="填图比例尺分母",
            en="Denominator of the map scale",
            kind=Kind.INTEGER,
            minimum=1,
            source="[D] 50000 for 1:50,000; the error of position follows it",
        ),
    ),
    tile=TileRule(min_zoom=6, low_max_features=2_000),
    style=Style(symbol="fault"),
)
TABLE = table_of(LAYER)
