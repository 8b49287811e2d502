"""应急物资储备库: depots and what they hold (GB/T 38565-2020)."""

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

# Relief goods, not hazards: unlike the quantities of chemicals they are public.
STOCK = Child(
    name="stock",
    zh="库存",
    en="Stock",
    fields=(
        Field(
            name="item_code",
            zh="物资编码",
            en="Item code",
            source="[C] GB/T 38565-2020: 7 digits, the first 1 basic needs, 2 rescue equipment, "
            "3 engineering; 99 other",
        ),
        Field(name="name", zh="品名", en="Name", source="S2 帐篷, 棉被, 折叠床", required=True),
        Field(
            name="quantity",
            zh="数量",
            en="Quantity",
            kind=Kind.NUMBER,
            minimum=0,
            source="S4",
            required=True,
        ),
        Field(name="unit", zh="计量单位", en="Unit", source="[D] 件, 顶, 床"),
        Field(
            name="standard_quantity",
            zh="配置标准数量",
            en="Quantity by the standard",
            kind=Kind.NUMBER,
            minimum=0,
            source="S4 按标配置",
        ),
        Field(name="expires_on", zh="有效期至", en="Expires on", kind=Kind.DATE, source="[D]"),
        Field(name="checked_at", zh="盘点日期", en="Checked on", kind=Kind.DATE, source="[D]"),
    ),
)

LAYER = Layer(
    id="supply-depots",
    title=Text("物资储备库", "Supply depots"),
    description=Text(
        "应急物资储备库：级别、储备方式、面积、库存。",
        "Depots of emergency supplies: level, kind of reserve, area and stock.",
    ),
    geometry=Geometry.POINT,
    role=Role.DEPOT,
    own_fields=(
        Field(
            name="depot_level",
            zh="级别",
            en="Level",
            values=(
                Value("city", "市级", "City"),
                Value("county", "区(县)级", "County"),
                Value("street", "街道(乡镇)级", "Street"),
                Value("community", "社区(村)级", "Community"),
            ),
            source="[D]",
            in_tile=True,
        ),
        Field(
            name="reserve_type",
            zh="储备方式",
            en="Kind of reserve",
            values=(
                Value("physical", "实物储备", "Goods in store"),
                Value("production", "生产力储备", "Production capacity"),
                Value("social", "社会单元储备", "Reserve of social units"),
            ),
            source="S1 实物储备+生产力储备+社会单元储备",
        ),
        Field(
            name="area_m2",
            zh="面积",
            en="Area",
            kind=Kind.NUMBER,
            unit="m²",
            minimum=0,
            source="[D]",
        ),
        Field(name="keeper", zh="保管人", en="Keeper", source="[D] a person", restricted=True),
        Field(
            name="open_24h",
            zh="全天可领用",
            en="Open 24 hours",
            kind=Kind.BOOLEAN,
            source="[D]",
        ),
    ),
    children=(STOCK,),
    tile=TileRule(min_zoom=8),
    style=Style(symbol="depot"),
)
TABLE = table_of(LAYER)
