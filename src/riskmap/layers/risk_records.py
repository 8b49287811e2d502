"""多部门风险信息: the register in which all departments enter their risks, of any geometry (S0)."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="risk-records",
    title=Text("风险点", "Risk records"),
    description=Text(
        "各部门上报的风险信息，包括点、线、面：领域、类别、等级、评估与管控措施。",
        "Risks that the departments report, as points, lines and areas: domain, category, level, "
        "assessment and control measures.",
    ),
    geometry=Geometry.MIXED,
    role=Role.HAZARD,
    assessed=True,
    people="threatened_persons",
    own_fields=(
        Field(
            name="risk_domain",
            zh="风险领域",
            en="Risk domain",
            values=(
                Value("industry", "工业企业", "Industry"),
                Value("crowded_place", "人员密集场所", "Crowded places"),
                Value("public_facility", "公共服务设施", "Public facilities"),
                Value("natural", "自然灾害", "Natural hazards"),
                Value("other", "其他", "Other"),
            ),
            source="[D] S3 names four and says 等, so there is an other",
            in_tile=True,
        ),
        # Both lists are open: S3 adds glass walkways and paragliding, S1 ends with 等.
        Field(
            name="category",
            zh="风险类别",
            en="Category",
            source="[D] open list: S1 有限空间, S3 玻璃栈道, S4 加油站",
            searched=True,
        ),
        Field(
            name="sector",
            zh="行业领域",
            en="Sector",
            source="[D] open list: S0 城市管理, 道路交通, 气象, 水务; S1 危险化学品, 燃气, 尾矿库",
            searched=True,
        ),
        Field(
            name="description",
            zh="风险描述",
            en="Description",
            source="S0",
            searched=True,
        ),
        Field(
            name="threatened_persons",
            zh="威胁人数",
            en="Threatened persons",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="threatened_households",
            zh="威胁户数",
            en="Threatened households",
            kind=Kind.INTEGER,
            unit="户",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="assessed_level",
            zh="评估层级",
            en="Level of assessment",
            values=(
                Value("city", "市级", "City"),
                Value("district", "区(县、市)级", "District"),
                Value("street", "镇(街)级", "Street or town"),
            ),
            source="S0 市、区、镇(街)三级风险评估",
        ),
        Field(
            name="assessed_at",
            zh="评估日期",
            en="Assessed on",
            kind=Kind.DATE,
            source="S1 季度、年度评估",
        ),
        Field(name="assessed_by", zh="评估单位", en="Assessed by", source="S2 委托第三方"),
        Field(
            name="control_measures",
            zh="管控措施",
            en="Control measures",
            source="S1 动态分级管控",
        ),
        Field(
            name="found_through",
            zh="发现途径",
            en="Found through",
            values=(
                Value("inspection", "检查发现", "Inspection"),
                Value("expert", "专家排查", "Expert survey"),
                Value("self", "企业自查", "Own check"),
                Value("public_report", "群众举报", "Public report"),
                Value("sensor", "监测发现", "Sensor"),
            ),
            source="[D] S0 举报, S2 专家",
        ),
        Field(
            name="enterprise_code",
            zh="所属企业编号",
            en="Code of the enterprise",
            source="[D] S0 数据关联",
        ),
        Field(
            name="joint_mechanism",
            zh="联防联控机制",
            en="Joint prevention mechanism",
            source="S0 重大风险联防联控机制",
        ),
        Field(name="lists", zh="所在清单", en="On lists", kind=Kind.TEXTS, source="S4 两张清单"),
    ),
    tile=TileRule(low_max_features=2_000, cluster=True),
    style=Style(symbol="risk", by_risk_level=True),
)
TABLE = table_of(LAYER)
