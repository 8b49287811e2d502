"""地质灾害隐患点: landslides, collapses, debris flows and the like (地质灾害防治条例)."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="geohazard-points",
    title=Text("地质灾害点", "Geohazards"),
    description=Text(
        "地质灾害隐患点：灾害类型、规模、险情、威胁户数与人数、监测与撤离安排。",
        "Sites of geological hazard: type, size, danger, threatened households and persons, "
        "monitoring and evacuation.",
    ),
    geometry=Geometry.POINT,
    role=Role.HAZARD,
    assessed=True,
    people="threatened_persons",
    own_fields=(
        Field(
            name="hazard_type",
            zh="灾害类型",
            en="Hazard type",
            values=(
                Value("collapse", "崩塌", "Rock fall"),
                Value("landslide", "滑坡", "Landslide"),
                Value("debris_flow", "泥石流", "Debris flow"),
                Value("ground_collapse", "地面塌陷", "Ground collapse"),
                Value("ground_fissure", "地裂缝", "Ground fissure"),
                Value("land_subsidence", "地面沉降", "Land subsidence"),
                Value("unstable_slope", "不稳定斜坡", "Unstable slope"),
            ),
            source="[C] 地质灾害防治条例 art. 2, and unstable slopes as surveyed",
            in_tile=True,
        ),
        Field(
            name="unified_code",
            zh="隐患点统一编号",
            en="National site code",
            source="[U] 6 digits division, 2 type, 4 serial: kept as it is, never parsed",
            searched=True,
        ),
        Field(
            name="scale_value",
            zh="规模",
            en="Size",
            kind=Kind.NUMBER,
            minimum=0,
            source="[D] in scale_unit",
        ),
        Field(
            name="scale_unit",
            zh="规模单位",
            en="Unit of the size",
            values=(
                Value("wan_m3", "万立方米", "10,000 cubic metres"),
                Value("km2", "平方千米", "Square kilometres"),
                Value("m", "米", "Metres"),
            ),
            source="[D]",
        ),
        # Entered, not computed: only the limits for landslides are confirmed.
        Field(
            name="scale_grade",
            zh="规模等级",
            en="Size grade",
            values=(
                Value("extra_large", "特大型(巨型)", "Extra large"),
                Value("large", "大型", "Large"),
                Value("medium", "中型", "Medium"),
                Value("small", "小型", "Small"),
            ),
            source="[C] names of the grades; landslide <10, 10-100, 100-1000, >=1000 万m³",
        ),
        Field(
            name="stability",
            zh="稳定性",
            en="Stability",
            source="[U] in practice 好 stable, 较差 less stable, 差 unstable; the wording varies",
        ),
        Field(name="trend", zh="发展趋势", en="Trend", source="[C] in use"),
        Field(
            name="threatened_households",
            zh="威胁户数",
            en="Threatened households",
            kind=Kind.INTEGER,
            unit="户",
            minimum=0,
            source="[C] in use",
        ),
        Field(
            name="threatened_persons",
            zh="威胁人数",
            en="Threatened persons",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[C] in use",
        ),
        Field(
            name="threatened_property",
            zh="威胁财产",
            en="Threatened property",
            kind=Kind.NUMBER,
            unit="万元",
            minimum=0,
            source="[C] in use",
        ),
        Field(
            name="danger_grade",
            zh="险情等级",
            en="Danger grade",
            values=(
                Value("extra_large", "特大型", "Extra large"),
                Value("large", "大型", "Large"),
                Value("medium", "中型", "Medium"),
                Value("small", "小型", "Small"),
            ),
            source="[C] persons >=1000, 500-1000, 100-500, <100; or >=1亿元, 5000万, 500万, less",
        ),
        Field(
            name="disaster_grade",
            zh="灾情等级",
            en="Disaster grade",
            values=(
                Value("extra_large", "特大型", "Extra large"),
                Value("large", "大型", "Large"),
                Value("medium", "中型", "Medium"),
                Value("small", "小型", "Small"),
            ),
            source="[C] 地质灾害防治条例 art. 4: deaths >=30, 10-30, 3-10, <3; or >=1000万元, "
            "500-1000, 100-500, <100",
        ),
        Field(
            name="trigger",
            zh="诱发因素",
            en="Triggers",
            kind=Kind.TEXTS,
            values=(
                Value("rainfall", "降雨", "Rainfall"),
                Value("earthquake", "地震", "Earthquake"),
                Value("excavation", "开挖", "Excavation"),
                Value("water_level", "水位变化", "Change of water level"),
                Value("other", "其他", "Other"),
            ),
            source="[D] the field is in use [C], its values are ours",
        ),
        Field(
            name="monitoring_method",
            zh="监测方法",
            en="Monitoring",
            source="[C] in use, e.g. 目视检查",
        ),
        Field(name="alarm_method", zh="报警方法", en="Alarm", source="[C] in use, e.g. 鸣锣报警"),
        Field(name="evac_route", zh="撤离路线", en="Evacuation route", source="[C] in use, words"),
        Field(
            name="resettlement_place",
            zh="安置地点",
            en="Place of resettlement",
            source="[C] in use, words",
        ),
        Field(
            name="shelter_code",
            zh="安置场所编号",
            en="Code of the shelter",
            source="[D] the code of the shelter that resettlement_place means",
        ),
        Field(
            name="treatment_status",
            zh="治理状态",
            en="Treatment",
            source="[U] such as 群测群防 monitoring, 工程治理 treated, 避险搬迁 relocated, "
            "销号 cancelled",
        ),
        Field(
            name="susceptibility",
            zh="易发性",
            en="Susceptibility",
            values=(
                Value("very_high", "极高", "Very high"),
                Value("high", "高", "High"),
                Value("medium", "中", "Medium"),
                Value("low", "低", "Low"),
            ),
            source="[C] in use",
        ),
    ),
    tile=TileRule(cluster=True),
    style=Style(symbol="geohazard", by_risk_level=True),
)
TABLE = table_of(LAYER)
