"""What a layer is: frozen declarations from which table, API, tiles, import and docs follow.

Nothing here knows SQL or HTTP. A file of `riskmap.layers` declares one `LAYER = Layer(...)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from riskmap.i18n import Lang

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LAYER_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Names of the network in tiles and of the network and the keys in the feed: a layer of such a name
# could not be told from it.
_RESERVED_IDS: Final = frozenset({"roads", "api-keys"})


@dataclass(frozen=True, slots=True)
class Text:
    """One text in both languages."""

    zh: str
    en: str

    def in_(self, lang: Lang) -> str:
        """Return it in one language."""
        return self.zh if lang == "zh" else self.en


class Kind(StrEnum):
    """Type of a field; `riskmap.db.base` says which column type each becomes."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TEXTS = "texts"
    JSON = "json"


class Geometry(StrEnum):
    """Geometry of a layer. Lines and polygons are stored as multi; MIXED takes any of them."""

    POINT = "Point"
    LINE = "MultiLineString"
    POLYGON = "MultiPolygon"
    MIXED = "Geometry"


class Role(StrEnum):
    """What a layer means to the analyses. Behaviour goes by role, never by layer id."""

    HAZARD = "hazard"
    SOURCE = "source"
    ENTERPRISE = "enterprise"
    SHELTER = "shelter"
    TEAM = "team"
    DEPOT = "depot"
    AREA = "area"
    POPULATION = "population"
    # Drawn beneath everything, read by no analysis.
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Value:
    """One allowed value of a field, with its label."""

    code: str | int
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column of a layer.

    Parameters
    ----------
    unit
        Unit of the number, as people write it (人, m², t); None for what has none.
    values
        Allowed values; an import refuses others. Empty: any. For TEXTS they bind each element.
    minimum, maximum
        Inclusive range of a number.
    source
        Standard or document that the field comes from; "[U] ..." marks an uncertain one.
    restricted
        Never selected for a caller whose role may not read restricted fields.
    required
        An import refuses a row without it.
    managed
        Written by riskmap itself, never by an import or an edit.
    searched
        A public text in which the search looks.
    """

    name: str
    zh: str
    en: str
    kind: Kind = Kind.TEXT
    unit: str | None = None
    values: tuple[Value, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    source: str = "[D]"
    restricted: bool = False
    required: bool = False
    managed: bool = False
    in_tile: bool = False
    searched: bool = False

    def __post_init__(self) -> None:
        if self.searched and (self.restricted or self.kind is not Kind.TEXT):
            raise ValueError(f"field {self.name!r} is no public text: it cannot be searched")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"field name {self.name!r} is no plain lower-case name")
        if len({value.code for value in self.values}) != len(self.values):
            raise ValueError(f"field {self.name!r} lists an allowed value twice")

    @property
    def label(self) -> Text:
        """The field's label in both languages."""
        return Text(self.zh, self.en)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Rows that belong to a feature, such as the chemicals of a source.

    They are stored as one JSON array in the feature's own row, so that its version, history,
    feed and ETag cover them without a second mechanism; `fields` says what each row holds.
    """

    name: str
    zh: str
    en: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRule:
    """At which zooms a layer is in the tiles, and what survives a full one.

    Parameters
    ----------
    max_features, low_max_features
        A tile that holds more keeps the most important ones and says how many it dropped; the
        second up to zoom 10, where a tile holds a whole city. Cells count in neither. Important
        is danger first (1, 2, 3, not assessed, 4), then the number of people where the public
        may know it, then the id, so that neighbouring tiles keep the same ones.
    buffer
        In units of the 4096 grid: half the widest declared symbol. 4096 units are 512 px, so a
        symbol of 28 px with its halo (32 px across) needs 16 px = 128 units.
    cluster
        At low zooms points are counted in cells; the layer's migration calls
        `riskmap.attach_cells`.
    """

    min_zoom: int = 0
    max_zoom: int = 22
    max_features: int = 20_000
    low_max_features: int = 20_000
    cluster: bool = False
    buffer: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a layer is drawn: a named mark, or a colour by risk level."""

    symbol: str
    by_risk_level: bool = False


RISK_LEVELS: Final = (
    Value(1, "重大", "Major"),
    Value(2, "较大", "Serious"),
    Value(3, "一般", "General"),
    Value(4, "低", "Low"),
)

RISK_LEVEL: Final = Field(
    name="risk_level",
    zh="风险等级",
    en="Risk level",
    kind=Kind.INTEGER,
    values=RISK_LEVELS,
    source="双重预防机制四级; 空值为未评估, null is not assessed, never low",
    in_tile=True,
)

IDENTITY_FIELDS: Final = (
    Field(
        name="code",
        zh="统一编号",
        en="Code",
        required=True,
        source="upsert key in its source",
        searched=True,
    ),
    Field(name="name", zh="名称", en="Name", in_tile=True, searched=True),
    Field(name="name_en", zh="英文名称", en="Name in English", in_tile=True, searched=True),
)

COMMON_FIELDS: Final = (
    Field(name="admin_code", zh="行政区划代码", en="Division code", source="GB/T 2260, GB/T 10114"),
    Field(name="address", zh="地址", en="Address", searched=True),
    Field(
        name="status",
        zh="状态",
        en="Status",
        values=(
            Value("active", "有效", "Active"),
            Value("inactive", "停用", "Inactive"),
            Value("planned", "规划", "Planned"),
            Value("closed", "关闭", "Closed"),
        ),
    ),
    Field(name="department", zh="主管部门", en="Department", source="S0"),
    Field(
        name="responsible_person",
        zh="责任人",
        en="Responsible person",
        source="S4",
        restricted=True,
    ),
    Field(
        name="responsible_phone",
        zh="责任人电话",
        en="Responsible phone",
        source="S4",
        restricted=True,
    ),
    Field(name="source_system", zh="来源系统", en="Source system", managed=True, source="S0"),
    Field(name="source_id", zh="来源编号", en="Source id", source="S0"),
    Field(
        name="source_crs", zh="原坐标系", en="Source CRS", managed=True, source="EPSG code of input"
    ),
    Field(name="raw_x", zh="原坐标 x", en="Raw x", kind=Kind.NUMBER, managed=True, restricted=True),
    Field(name="raw_y", zh="原坐标 y", en="Raw y", kind=Kind.NUMBER, managed=True, restricted=True),
    Field(
        name="position_accuracy_m",
        zh="位置精度",
        en="Position accuracy",
        kind=Kind.NUMBER,
        unit="m",
        minimum=0,
    ),
    Field(name="surveyed_at", zh="调查时间", en="Surveyed at", kind=Kind.DATETIME),
    Field(name="valid_from", zh="有效期起", en="Valid from", kind=Kind.DATETIME),
    Field(name="valid_to", zh="有效期止", en="Valid to", kind=Kind.DATETIME),
    Field(
        name="data_quality",
        zh="数据质量",
        en="Data quality",
        values=(
            Value("verified", "已核实", "Verified"),
            Value("unverified", "未核实", "Unverified"),
            Value("derived", "推算", "Derived"),
            Value("synthetic", "演示数据", "Synthetic data"),
        ),
    ),
    Field(
        name="attributes",
        zh="其他属性",
        en="Other attributes",
        kind=Kind.JSON,
        restricted=True,
        source="what the source has and the layer does not model; unreviewed, so not public",
    ),
    Field(name="version", zh="版本", en="Version", kind=Kind.INTEGER, managed=True),
    Field(name="created_at", zh="入库时间", en="Created at", kind=Kind.DATETIME, managed=True),
    Field(name="updated_at", zh="更新时间", en="Updated at", kind=Kind.DATETIME, managed=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the city map.

    Parameters
    ----------
    id
        Public name in URLs and tiles. It stays.
    own_fields
        What this layer has beyond the common fields.
    assessed
        The layer carries a risk level (null: 未评估).
    people
        Name of the field that says how many persons: at risk, that fit, that serve, that live
        there, as the role tells.
    """

    id: str
    title: Text
    description: Text
    geometry: Geometry
    role: Role
    own_fields: tuple[Field, ...] = ()
    children: tuple[Child, ...] = ()
    assessed: bool = False
    people: str | None = None
    tile: TileRule = TileRule()
    style: Style = Style(symbol="dot")

    def __post_init__(self) -> None:
        if not _LAYER_ID.fullmatch(self.id):
            raise ValueError(f"layer id {self.id!r} is no plain lower-case name with hyphens")
        if self.id in _RESERVED_IDS:
            raise ValueError(f"layer id {self.id!r} is taken by the road network or the keys")
        names = [field.name for field in self.fields]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"layer {self.id}: fields declared twice: {sorted(twice)}")
        if self.people is not None and self.people not in names:
            raise ValueError(f"layer {self.id}: people={self.people!r} is no field of it")
        if self.tile.cluster and not self.assessed:
            raise ValueError(f"layer {self.id}: clusters count by risk level, which it has not")
        for child in self.children:
            if child.name in names:
                raise ValueError(f"layer {self.id}: child {child.name!r} has a field's name")

    @property
    def table(self) -> str:
        """Name of the layer's table."""
        return self.id.replace("-", "_")

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields in order: identity, risk level, the layer's own, common ones."""
        assessed = (RISK_LEVEL,) if self.assessed else ()
        return (*IDENTITY_FIELDS, *assessed, *self.own_fields, *COMMON_FIELDS)

    def field(self, name: str) -> Field | None:
        """Return the field of this name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    def visible(self, *, restricted: bool) -> Iterator[Field]:
        """Yield the fields that a caller may see."""
        return (field for field in self.fields if restricted or not field.restricted)
