"""人口格网: where people live, the one layer that every count of persons reads."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule
from riskmap.db.base import table_of

LAYER = Layer(
    id="population-cells",
    title=Text("人口格网", "Population cells"),
    description=Text(
        "常住人口格网：每个格网单元的人数；单元可为面，也可为其中心点。",
        "Where people live: residents of each cell, given as its area or as its centre.",
    ),
    geometry=Geometry.MIXED,
    role=Role.POPULATION,
    people="population",
    own_fields=(
        # A number, not an integer: gridded products share people out by fractions, and rounding
        # each cell would change the sum over the city.
        Field(
            name="population",
            zh="常住人口",
            en="Residents",
            kind=Kind.NUMBER,
            unit="人",
            minimum=0,
            source="[D] census or gridded product",
            required=True,
            in_tile=True,
        ),
        Field(
            name="population_at",
            zh="人口统计日期",
            en="Population as of",
            kind=Kind.DATE,
            source="[D]",
        ),
        Field(
            name="method",
            zh="数据来源与方法",
            en="Dataset and method",
            source="[D] 普查, 手机信令, 格网化产品",
        ),
        Field(
            name="cell_size_m",
            zh="格网边长",
            en="Cell size",
            kind=Kind.NUMBER,
            unit="m",
            minimum=0,
            source="[D]",
        ),
    ),
    tile=TileRule(min_zoom=10, buffer=16),
    style=Style(symbol="population"),
)
TABLE = table_of(LAYER)
