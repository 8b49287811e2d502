"""洪灾影响区: what a river, a reservoir, the sea or heavy rain would put under water (S3)."""

from __future__ import annotations

from riskmap.catalog.spec import Field, Geometry, Kind, Layer, Role, Style, Text, TileRule, Value
from riskmap.db.base import table_of

LAYER = Layer(
    id="flood-impact-areas",
    title=Text("洪灾影响区", "Flood-impact areas"),
    description=Text(
        "洪灾影响区：影响来源、重现期、最大水深与流速、户数人口。",
        "Areas that a flood would reach: its source, return period, depth and velocity, people.",
    ),
    geometry=Geometry.POLYGON,
    role=Role.HAZARD,
    assessed=True,
    people="persons",
    own_fields=(
        Field(
            name="impact_source",
            zh="影响来源",
            en="Source of the flood",
            values=(
                Value("river", "江河洪水", "River"),
                Value("reservoir_release", "水库泄洪", "Reservoir release"),
                Value("dam_break", "溃坝", "Dam break"),
                Value("storm_surge", "风暴潮", "Storm surge"),
                Value("waterlogging", "内涝", "Waterlogging"),
            ),
            source="[D]",
        ),
        Field(
            name="watershed",
            zh="流域",
            en="Watershed",
            source="[D]",
            searched=True,
        ),
        Field(
            name="return_period_a",
            zh="重现期",
            en="Return period",
            kind=Kind.INTEGER,
            unit="年",
            minimum=1,
            source="[U] years",
        ),
        Field(
            name="max_depth_m",
            zh="最大水深",
            en="Greatest depth",
            kind=Kind.NUMBER,
            unit="m",
            minimum=0,
            source="[D]",
        ),
        Field(
            name="max_velocity",
            zh="最大流速",
            en="Greatest velocity",
            kind=Kind.NUMBER,
            unit="m/s",
            minimum=0,
            source="[D]",
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
        Field(name="evac_route", zh="转移路线", en="Evacuation route", source="[D] in words"),
        Field(name="shelter_code", zh="安置点编号", en="Code of the shelter", source="[D]"),
    ),
    tile=TileRule(low_max_features=2_000, buffer=64),
    style=Style(symbol="flood-impact", by_risk_level=True),
)
TABLE = table_of(LAYER)
