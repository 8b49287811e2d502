"""应急救援队伍: teams at their bases, fire stations and micro fire stations (应急〔2022〕61号)."""

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


def _inventory(name: str, zh: str, en: str, source: str) -> Child:
    """Return rows of type, number and how many of them can be used."""
    return Child(
        name=name,
        zh=zh,
        en=en,
        fields=(
            Field(name="type", zh="类型", en="Type", source=source, required=True),
            Field(
                name="count",
                zh="数量",
                en="Count",
                kind=Kind.INTEGER,
                minimum=0,
                source=source,
                required=True,
            ),
            Field(
                name="usable",
                zh="可用数量",
                en="Usable",
                kind=Kind.INTEGER,
                minimum=0,
                source="[D]",
            ),
            Field(name="spec_code", zh="规格代码", en="Specification code", source="[D]"),
        ),
    )


LAYER = Layer(
    id="rescue-teams",
    title=Text("救援队伍", "Rescue teams"),
    description=Text(
        "救援队伍、消防救援站与微型消防站：类别、专业、人数、值勤状态、出动时间、车辆装备。",
        "Rescue teams, fire stations and micro fire stations: category, specialties, personnel, "
        "duty, turnout time, vehicles and equipment.",
    ),
    geometry=Geometry.POINT,
    role=Role.TEAM,
    people="personnel",
    own_fields=(
        Field(
            name="kind",
            zh="站点类型",
            en="Kind",
            values=(
                Value("fire_station", "消防救援站", "Fire station"),
                Value("small_fire_station", "小型消防救援站", "Small fire station"),
                Value("joint_station", "综合应急消防救援站", "Joint emergency and fire station"),
                Value("micro_station", "微型消防站", "Micro fire station"),
                Value("team", "救援队伍驻地", "Team base"),
                Value("rescue_base", "救援基地", "Rescue base"),
                Value("other", "其他", "Other"),
            ),
            source="[D] S1, S3, S4; default turnout times go by it",
            in_tile=True,
        ),
        Field(
            name="category",
            zh="队伍类别",
            en="Category",
            values=(
                Value("national_fire", "国家综合性消防救援队伍", "National fire and rescue"),
                Value("military", "军队、武警、民兵", "Military and militia"),
                Value("professional", "专业救援队伍", "Professional"),
                Value("social", "社会救援力量", "Volunteer organisation"),
                Value("grassroots", "基层救援力量", "Grassroots"),
            ),
            source="[C] 应急〔2022〕61号; fire and military from S0, S2",
        ),
        # What "135" means differs from city to city: who is in a tier is data, how many minutes
        # the tier has is a parameter of the analysis.
        Field(
            name="tier",
            zh="响应梯次",
            en="Response tier",
            kind=Kind.INTEGER,
            minimum=1,
            source="[D] S4 135快速救援圈: 1 comes first",
            in_tile=True,
        ),
        Field(
            name="level",
            zh="级别",
            en="Level",
            values=(
                Value("national", "国家级", "National"),
                Value("province", "省级", "Province"),
                Value("city", "市级", "City"),
                Value("county", "区(县)级", "County"),
                Value("township", "街道(乡镇)级", "Township"),
                Value("community", "社区(村)级", "Community"),
                Value("enterprise", "企业", "Enterprise"),
            ),
            source="[D] S0, S4",
        ),
        Field(
            name="specialties",
            zh="专业",
            en="Specialties",
            kind=Kind.TEXTS,
            values=(
                Value("flood", "抗洪抢险", "Flood"),
                Value("forest_fire", "森林灭火", "Forest fire"),
                Value("earthquake_geo", "地震地质", "Earthquake and geohazard"),
                Value("work_safety", "生产安全事故", "Industrial accident"),
                Value("aviation", "航空", "Aviation"),
                Value("water", "水上", "Water"),
                Value("marine", "海洋", "Marine"),
                Value("metro", "轨道交通", "Metro"),
                Value("medical", "医疗", "Medical"),
                Value("comms", "通信", "Communications"),
                Value("fire", "消防", "Fire"),
                Value("other", "其他", "Other"),
            ),
            source="[D] the first five [C] 应急〔2022〕61号, the others S1, S2; 一专多能: several",
        ),
        Field(
            name="personnel",
            zh="人数",
            en="Personnel",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="S0, S3, S4",
        ),
        Field(
            name="on_duty_personnel",
            zh="在勤人数",
            en="Personnel on duty",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="duty_status",
            zh="值勤状态",
            en="Duty status",
            values=(
                Value("on_duty", "在岗", "On duty"),
                Value("standby", "备勤", "Standby"),
                Value("dispatched", "出动", "Dispatched"),
                Value("off", "离岗", "Off duty"),
            ),
            source="[D]",
            in_tile=True,
        ),
        Field(
            name="duty_hours",
            zh="值班时段",
            en="Duty hours",
            source="[D] 24h or a schedule: volunteers are not always there",
        ),
        Field(
            name="turnout_s",
            zh="出动时间",
            en="Turnout",
            kind=Kind.INTEGER,
            unit="s",
            minimum=0,
            source="[C] alarm to wheels rolling; empty: the default of its kind",
        ),
        Field(
            name="mode",
            zh="出行方式",
            en="Mode of travel",
            values=(
                Value("fire_truck", "消防车", "Fire engine"),
                Value("mini_truck", "小型消防车", "Small fire engine"),
                Value("two_wheel", "两轮车", "Two-wheeler"),
                Value("foot", "步行", "On foot"),
                Value("boat", "船艇", "Boat"),
                Value("air", "航空器", "Aircraft"),
            ),
            source="[D] S1, S4",
        ),
        Field(
            name="speed_profile",
            zh="速度方案",
            en="Speed profile",
            source="[D] name of a routing profile; profiles are data",
        ),
        Field(
            name="responds_outside",
            zh="跨区增援",
            en="Responds outside its area",
            kind=Kind.BOOLEAN,
            source="S0 胶东五市一体化应急联动",
        ),
        Field(
            name="licensed", zh="已授牌", en="Licensed", kind=Kind.BOOLEAN, source="S3 授牌、授旗"
        ),
        Field(
            name="licensed_at", zh="授牌日期", en="Licensed on", kind=Kind.DATE, source="S3 授牌"
        ),
        Field(
            name="station_standard",
            zh="站点达标状态",
            en="Station standard",
            values=(
                Value("met", "达标", "Met"),
                Value("not_met", "未达标", "Not met"),
                Value("in_progress", "创建中", "In progress"),
            ),
            source="[D] S4 应急消防管理站达标",
        ),
        Field(
            name="contact_phone",
            zh="值班电话",
            en="Duty phone",
            source="[D]",
            restricted=True,
        ),
    ),
    children=(
        _inventory("vehicles", "车辆", "Vehicles", "S4 小型应急消防救援车, 两轮电动应急消防车"),
        _inventory("equipment", "装备", "Equipment", "S4 5类128件"),
    ),
    tile=TileRule(min_zoom=8),
    style=Style(symbol="team"),
)
TABLE = table_of(LAYER)
