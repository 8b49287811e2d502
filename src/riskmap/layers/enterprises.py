"""重点监管企业: supervised enterprises, as the plant boundary where it is known.

The 500 m of α start at this boundary (GB 18218-2018), so a polygon is worth having; a point is
taken where there is none.
"""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="enterprises",
    title=Text("重点企业", "Key enterprises"),
    description=Text(
        "重点监管企业及其厂界：类别、安全健康码、风险标签、每日承诺、作业人数。",
        "Supervised enterprises and their plant boundaries: category, safety code, risk tags, "
        "daily pledge, workers.",
    ),
    geometry=Geometry.MIXED,
    role=Role.ENTERPRISE,
    assessed=True,
    people="workers_max",
    own_fields=(
        Field(
            name="uscc",
            zh="统一社会信用代码",
            en="Unified social credit code",
            source="GB 32100-2015",
            searched=True,
        ),
        Field(name="industry_code", zh="行业代码", en="Industry code", source="[U] GB/T 4754"),
        Field(
            name="category",
            zh="企业类别",
            en="Category",
            values=(
                Value("chemical_production", "危化品生产", "Chemicals: production"),
                Value("chemical_trade", "危化品经营", "Chemicals: trade"),
                Value("chemical_use", "危化品使用", "Chemicals: use"),
                Value("industry_large", "规上工业", "Industry above designated size"),
                Value("industry_small", "规下工业", "Industry below designated size"),
                Value("commerce", "商贸", "Commerce"),
                Value("petrol_station", "加油站", "Petrol station"),
                Value("micro_park", "小微园区", "Park of small enterprises"),
                Value("dust_explosion", "粉尘涉爆", "Explosive dust"),
                Value("ammonia_cooling", "涉氨制冷", "Ammonia cooling"),
                Value("confined_space", "有限空间", "Confined space"),
                Value("steel", "钢铁冶炼", "Steel"),
                Value("mine", "非煤矿山", "Mine other than coal"),
                Value("tailings", "尾矿库", "Tailings pond"),
                Value("fireworks", "烟花爆竹", "Fireworks"),
                Value("gas", "燃气", "Gas"),
                Value("hazardous_waste", "危险废物", "Hazardous waste"),
                Value("other", "其他", "Other"),
            ),
            source="[D] from S0 to S4; what else it is goes to risk_tags",
            in_tile=True,
        ),
        Field(
            name="safety_code",
            zh="企业安全健康码",
            en="Safety code",
            values=(
                Value("red", "红码", "Red"),
                Value("yellow", "黄码", "Yellow"),
                Value("green", "绿码", "Green"),
            ),
            source="[D] imported; S0 names 红码 only",
            in_tile=True,
        ),
        Field(
            name="safety_code_at",
            zh="赋码时间",
            en="Safety code given at",
            kind=Kind.DATETIME,
            source="[D] S0",
        ),
        Field(
            name="safety_code_reason",
            zh="赋码原因",
            en="Reason of the safety code",
            source="[D] S0",
        ),
        Field(
            name="risk_tags",
            zh="风险标签",
            en="Risk tags",
            kind=Kind.TEXTS,
            source="S4 风险标签, open list",
        ),
        Field(
            name="daily_pledge_at",
            zh="每日安全承诺时间",
            en="Daily pledge made at",
            kind=Kind.DATETIME,
            source="S4 每日安全承诺",
        ),
        Field(
            name="workers_max",
            zh="最多作业人数",
            en="Greatest number of workers",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="S1 10人以上危险作业场所",
        ),
        Field(
            name="insured",
            zh="安责险投保",
            en="Insured",
            kind=Kind.BOOLEAN,
            source="S0, S1 安责险",
        ),
    ),
    tile=TileRule(low_max_features=2_000, cluster=True),
    style=Style(symbol="enterprise", by_risk_level=True),
)
TABLE = table_of(LAYER)
