"""行政区划: divisions down to the grid, functional zones among them (GB/T 2260, GB/T 10114)."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="admin-divisions",
    title=Text("行政区划", "Divisions"),
    description=Text(
        "行政区划与功能区：市、区县、街道、社区、网格的范围、隶属与人口。",
        "Administrative divisions and functional zones: extent, parent and population of "
        "city, districts, streets, communities and grids.",
    ),
    geometry=Geometry.POLYGON,
    role=Role.AREA,
    people="population",
    own_fields=(
        Field(
            name="level",
            zh="层级",
            en="Level",
            values=(
                Value("province", "省(自治区、直辖市)", "Province"),
                Value("city", "市", "City"),
                Value("district", "区(县、市)", "District"),
                Value("street", "街道(乡镇)", "Street"),
                Value("community", "社区(村)", "Community"),
                Value("grid", "网格", "Grid"),
            ),
            source="[C] 统计用区划代码; grids S2, S4",
            required=True,
            in_tile=True,
        ),
        Field(
            name="parent_code",
            zh="上级编号",
            en="Code of the parent",
            source="[D]; code is 6 digits GB/T 2260 + 3 GB/T 10114 + 3 community [C]",
        ),
        # 高新区 and the like take part in the emergency system (S0: 1+11+139) but have no code of
        # GB/T 2260, so nothing checks the shape of a code.
        Field(
            name="is_functional_zone",
            zh="功能区",
            en="Functional zone",
            kind=Kind.BOOLEAN,
            source="[D] S0: 开发区, 高新区 without a GB/T 2260 code",
        ),
        Field(
            name="urban_rural_code",
            zh="城乡分类代码",
            en="Urban-rural code",
            source="[U] 111, 112, 121, 122, 123, 210, 220; confirmed in part",
        ),
        Field(
            name="population",
            zh="人口",
            en="Population",
            kind=Kind.INTEGER,
            unit="人",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="population_at",
            zh="人口统计日期",
            en="Population as of",
            kind=Kind.DATE,
            source="[D]",
        ),
        Field(
            name="grid_duties",
            zh="网格责任",
            en="Grid responsibility",
            source="S2 网格化管理, S4 网格责任人",
            restricted=True,
        ),
    ),
    tile=TileRule(min_zoom=0, buffer=64),
    style=Style(symbol="division"),
)
TABLE = table_of(LAYER)
