"""危险化学品重大危险源: units and their chemicals (GB 18218-2018, 40号令).

The level is public. Quantities are restricted, and so are S and R: with one chemical either of
them gives the quantity away.
"""

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

CHEMICALS = Child(
    name="chemicals",
    zh="危险化学品",
    en="Chemicals",
    fields=(
        Field(name="name", zh="品名", en="Name", source="GB 18218-2018", required=True),
        Field(name="cas", zh="CAS号", en="CAS number", source="GB 18218-2018 table 1 [C]"),
        Field(
            name="category_symbol",
            zh="危险性类别符号",
            en="Hazard category symbol",
            source="[U] GB 18218-2018 table 2: J1 ... W11",
        ),
        Field(
            name="quantity_t",
            zh="设计最大量",
            en="Greatest quantity",
            kind=Kind.NUMBER,
            unit="t",
            minimum=0,
            source="q, GB 18218-2018 [C]",
            restricted=True,
        ),
        Field(
            name="critical_quantity_t",
            zh="临界量",
            en="Critical quantity",
            kind=Kind.NUMBER,
            unit="t",
            minimum=0,
            source="Q, GB 18218-2018 [C]",
            restricted=True,
        ),
        Field(
            name="beta",
            zh="校正系数β",
            en="Correction factor beta",
            kind=Kind.NUMBER,
            minimum=0,
            source="β, GB 18218-2018 tables 3 [C] and 4",
        ),
    ),
)

LAYER = Layer(
    id="major-hazard-sources",
    title=Text("重大危险源", "Major hazard sources"),
    description=Text(
        "危险化学品重大危险源：级别、辨识与分级指标、厂界外500米人口、备案与在线监测。",
        "Major hazard sources of dangerous chemicals: level, indices, people within 500 m of the "
        "plant boundary, filing and online monitoring.",
    ),
    geometry=Geometry.MIXED,
    role=Role.SOURCE,
    assessed=True,
    people="exposed_persons_500m",
    own_fields=(
        Field(
            name="enterprise_code",
            zh="所属企业编号",
            en="Code of the enterprise",
            source="S3: 192 sources of 97 enterprises",
            searched=True,
        ),
        Field(
            name="unit_type",
            zh="单元类型",
            en="Type of unit",
            source="[U] GB 18218-2018: 生产单元 production, 储存单元 storage",
        ),
        Field(
            name="hazard_level",
            zh="重大危险源级别",
            en="Source level",
            kind=Kind.INTEGER,
            values=(
                Value(1, "一级", "Level 1"),
                Value(2, "二级", "Level 2"),
                Value(3, "三级", "Level 3"),
                Value(4, "四级", "Level 4"),
            ),
            source="[C] GB 18218-2018 table 6, 40号令 annex 1: R>=100, 50<=R<100, 10<=R<50, R<10",
            in_tile=True,
        ),
        Field(
            name="s_value",
            zh="辨识指标S",
            en="Identification index S",
            kind=Kind.NUMBER,
            minimum=0,
            source="[C] GB 18218-2018: S = Σ q/Q, a major source when S>=1",
            restricted=True,
        ),
        Field(
            name="r_value",
            zh="分级指标R",
            en="Grading index R",
            kind=Kind.NUMBER,
            minimum=0,
            source="[C] GB 18218-2018: R = α Σ β q/Q",
            restricted=True,
        ),
        Field(
            name="exposed_persons_500m",
            zh="厂界外500m常住人口",
            en="Residents within 500 m",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[C] GB 18218-2018: outward of the plant boundary, not of the tank",
        ),
        Field(
            name="alpha",
            zh="暴露人员校正系数α",
            en="Exposure factor alpha",
            kind=Kind.NUMBER,
            minimum=0.5,
            maximum=2.0,
            source="[C] GB 18218-2018: persons >=100 2.0, 50-99 1.5, 30-49 1.2, 1-29 1.0, 0 0.5",
        ),
        Field(
            name="regulation",
            zh="依据标准版本",
            en="Edition of the rule",
            values=(
                Value("gb18218-2018", "国标 GB 18218-2018", "GB 18218-2018"),
                Value("order40-2011", "安监总局40号令(2011)", "Order 40 of 2011"),
            ),
            source="[C] the two differ in β",
        ),
        Field(
            name="r_source",
            zh="R值来源",
            en="Source of R",
            values=(
                Value("reported", "备案", "Reported"),
                Value("computed", "计算", "Computed"),
            ),
            source="[D] a filed value is never overwritten by a computed one",
        ),
        Field(
            name="filing_no",
            zh="备案编号",
            en="Filing number",
            source="[U] 40号令",
            searched=True,
        ),
        Field(
            name="filed_at",
            zh="备案日期",
            en="Filed on",
            kind=Kind.DATE,
            source="[U] 40号令",
        ),
        Field(
            name="valid_until",
            zh="备案有效期",
            en="Filing valid until",
            kind=Kind.DATE,
            source="[U] 40号令",
        ),
        Field(
            name="online_status",
            zh="在线监测状态",
            en="Online monitoring",
            values=(
                Value("online", "在线", "Online"),
                Value("offline", "离线", "Offline"),
                Value("none", "未接入", "Not connected"),
            ),
            source="[D] S1 全部入网",
        ),
        Field(
            name="wind_relevant",
            zh="涉毒性气体",
            en="Toxic gas",
            kind=Kind.BOOLEAN,
            source="[D] any of its chemicals is a toxic gas",
        ),
    ),
    children=(CHEMICALS,),
    tile=TileRule(low_max_features=2_000, cluster=True),
    style=Style(symbol="flask", by_risk_level=True),
)
TABLE = table_of(LAYER)
