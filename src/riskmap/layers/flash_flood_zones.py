"""山洪灾害危险区: where a flash flood endangers people, and the rain at which they must leave."""

from __future__ import annotations

from riskmap.catalog.spec import (
    Child,
    Field,
    Geometry,
    Kind,
    Layer,
    Role,
    Style,
    Text,
    TileRule,
    Value,
)
from riskmap.db.base import table_of

# Rows, not columns: thresholds differ by zone, duration and soil moisture.
THRESHOLDS = Child(
    name="thresholds",
    zh="预警阈值",
    en="Thresholds",
    fields=(
        Field(
            name="step",
            zh="转移阶段",
            en="Step",
            source="[U] 准备转移 prepare, 立即转移 immediate",
        ),
        Field(
            name="warning_level",
            zh="预警级别",
            en="Warning level",
            kind=Kind.INTEGER,
            values=(
                Value(1, "红色", "Red"),
                Value(2, "橙色", "Orange"),
                Value(3, "黄色", "Yellow"),
                Value(4, "蓝色", "Blue"),
            ),
            source="[C] practice: tables by duration and colour",
        ),
        Field(
            name="indicator",
            zh="指标",
            en="Indicator",
            values=(
                Value("rainfall", "雨量", "Rainfall"),
                Value("water_level", "水位", "Water level"),
            ),
            source="[D]",
            required=True,
        ),
        Field(
            name="duration_min",
            zh="时段",
            en="Duration",
            kind=Kind.INTEGER,
            unit="min",
            minimum=1,
            source="[C] practice: 0.5, 1, 3, 6 and 24 hours",
        ),
        Field(
            name="value",
            zh="阈值",
            en="Threshold",
            kind=Kind.NUMBER,
            source="[D]",
            required=True,
        ),
        Field(
            name="unit",
            zh="单位",
            en="Unit",
            values=(Value("mm", "毫米", "Millimetres"), Value("m", "米", "Metres")),
            source="[D] mm of rain, m of water level",
        ),
        Field(name="soil_moisture", zh="土壤含水状态", en="Soil moisture", source="[D] open list"),
    ),
)

LAYER = Layer(
    id="flash-flood-zones",
    title=Text("山洪危险区", "Flash-flood zones"),
    description=Text(
        "山洪灾害危险区：等级、小流域、户数人口、转移阈值、转移路线与安置点。",
        "Zones that flash floods endanger: grade, watershed, people, thresholds for leaving, "
        "route and shelter.",
    ),
    geometry=Geometry.POLYGON,
    role=Role.HAZARD,
    assessed=True,
    people="persons",
    own_fields=(
        Field(
            name="danger_grade",
            zh="危险区等级",
            en="Danger grade",
            source="[U] 山洪灾害分析评价技术要求: 极高危险区 (<5 years), 高危险区 (5-20), "
            "危险区 (>=20)",
        ),
        Field(
            name="watershed",
            zh="小流域",
            en="Watershed",
            source="[C] 山洪灾害普查",
            searched=True,
        ),
        Field(
            name="catchment_km2",
            zh="集水面积",
            en="Catchment",
            kind=Kind.NUMBER,
            unit="km²",
            minimum=0,
            source="[C] 山洪灾害普查: 200 km² as a rule, so no maximum here",
        ),
        Field(
            name="households",
            zh="户数",
            en="Households",
            kind=Kind.INTEGER,
            unit="户",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="persons",
            zh="人口",
            en="Persons",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="evac_route",
            zh="转移路线",
            en="Evacuation route",
            source="[C] 水利部: 谁组织、转移谁、何时转、转何处、不擅返; in words",
        ),
        Field(
            name="shelter_code",
            zh="安置点编号",
            en="Code of the shelter",
            source="[C] 水利部: 转何处",
        ),
    ),
    children=(THRESHOLDS,),
    tile=TileRule(low_max_features=2_000, buffer=64),
    style=Style(symbol="flash-flood", by_risk_level=True),
)
TABLE = table_of(LAYER)
