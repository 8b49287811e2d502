"""The parameters of queries as the API's description declares them: one table for all resources.

What a resource takes is read in `api.query` and beside it; tests check that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from riskmap import i18n
from riskmap.api.query import LANGS, MAX_OFFSET, MAX_TOLERANCE_M
from riskmap.catalog.spec import Field, Kind, Layer, Text
from riskmap.crs.datum import Datum
from riskmap.features.query import DEFAULT_LIMIT, MAX_LIMIT

Schema = dict[str, Any]

INT4: Final = 2**31
INT8: Final = 2**63
# No text of ours holds NUL, which PostgreSQL does not know.
TEXT: Final[Schema] = {"type": "string", "pattern": "^[^\\u0000]*$"}
_NUMBER: Final[Schema] = {"type": "number"}
_FLAG: Final[Schema] = {"type": "boolean", "default": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Parameters
    ----------
    schema
        Its JSON Schema, as OpenAPI 3.0 has it.
    key
        Its name among the shared parameters of the document; None: described where it is used,
        as another resource has one of the same name with other bounds.
    """

    name: str
    schema: Schema
    about: Text
    key: str | None = None
    required: bool = False
    place: str = "query"

    def to_json(self) -> dict[str, Any]:
        """Return it as OpenAPI's parameter object."""
        found: dict[str, Any] = {
            "name": self.name,
            "in": self.place,
            "required": self.required or self.place == "path",
            "description": f"{self.about.zh} | {self.about.en}",
            "schema": self.schema,
        }
        if self.place == "query":
            # A list is one value with commas (explode: false), not the name several times.
            found |= {"style": "form", "explode": False}
        return found

    def reference(self) -> dict[str, Any]:
        """Return what stands in an operation."""
        if self.key is None:
            return self.to_json()
        return {"$ref": f"#/components/parameters/{self.key}"}


def whole(least: int, most: int, default: int | None = None) -> Schema:
    """Return the schema of a whole number within inclusive bounds."""
    found: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return found if default is None else {**found, "default": default}


def listed(items: Schema, **more: Any) -> Schema:
    """Return the schema of a list with commas."""
    return {"type": "array", "items": items, **more}


def _shared(name: str, schema: Schema, zh: str, en: str) -> Parameter:
    return Parameter(name, schema, Text(zh, en), key=name)


BBOX: Final = _shared(
    "bbox",
    # Four or six: five are no box.
    listed(_NUMBER, minItems=4, maxItems=6, **{"not": {"minItems": 5, "maxItems": 5}}),
    "只要与此范围相交的要素:西,南,东,北(带高程时为六个数);坐标系由 bbox-crs 或 datum 说明",
    "only what meets this box: west,south,east,north, or six numbers with heights; measured in "
    "bbox-crs or in the datum",
)
DATETIME: Final = _shared(
    "datetime",
    {"type": "string", "format": "rfc3339-interval"},
    "只要在此时刻或时段内有效的要素:时刻、起/止(两端都含)、起/.. 、../止,或起/时长",
    "only what is valid then: an instant, start/end (both inclusive), start/.., ../end, or "
    "start/duration",
)
LIMIT: Final = _shared(
    "limit",
    whole(1, MAX_LIMIT, DEFAULT_LIMIT),
    "一页最多几个要素",
    "how many features a page holds at most",
)
DATUM: Final = _shared(
    "datum",
    {"type": "string", "enum": [one.value for one in Datum], "default": Datum.WGS84.value},
    "给出与答复的坐标所用的基准(国内互联网地图用 gcj02 或 bd09)",
    "datum of the positions sent and answered (online maps in China use gcj02 or bd09)",
)


def _crs(name: str, zh: str, en: str) -> Parameter:
    return _shared(name, {"type": "string", "format": "crs-uri"}, zh, en)


Q: Final = _shared(
    "q",
    {"type": "string", "minLength": 1, "maxLength": 200, "format": "words"},
    "全文检索:所有词都要出现",
    "full text search: all of these words",
)
LAYER_LIST: Final = listed({"type": "string", "format": "layer"}, minItems=1, uniqueItems=True)
# What selects features: of every resource that takes a query.
NARROWING: Final = (
    BBOX,
    _crs("bbox-crs", "bbox 的坐标系(集合的 crs 之一),默认 CRS84", "CRS of bbox, default CRS84"),
    DATETIME,
    _shared(
        "filter",
        {"type": "string", "format": "cql2"},
        "CQL2 过滤条件,可用属性见该集合的 queryables",
        "a CQL2 filter; the collection's queryables list its properties",
    ),
    _shared(
        "filter-lang",
        {"type": "string", "enum": list(LANGS), "default": LANGS[0]},
        "filter 的写法",
        "how filter is written",
    ),
    _crs("filter-crs", "filter 中几何的坐标系,默认 CRS84", "CRS of filter's geometries"),
    Q,
)
SHAPING: Final = (
    _crs("crs", "答复的坐标系(集合的 crs 之一),默认 CRS84", "CRS of the answer, default CRS84"),
    DATUM,
    _shared(
        "properties",
        listed({"type": "string", "format": "property"}, minItems=1),
        "只给出这些属性",
        "only these properties",
    ),
    _shared("skipGeometry", _FLAG, "不给出几何", "no geometries"),
    _shared(
        "simplify",
        {"type": "number", "minimum": 0, "maximum": MAX_TOLERANCE_M},
        "几何可简化,偏离不超过此数(米)",
        "geometries may be simplified by as much as this, metres",
    ),
)
PAGING: Final = (
    LIMIT,
    _shared("offset", whole(0, MAX_OFFSET, 0), "跳过几个要素", "how many features to skip"),
    _shared(
        "cursor",
        {"type": "string", "format": "cursor"},
        "翻页标记:原样取自 next 或 prev 链接",
        "place of a page: as the links next and prev have it",
    ),
    _shared(
        "sortby",
        listed({"type": "string", "format": "sort-key"}, minItems=1, maxItems=8, uniqueItems=True),
        "排序:属性名,前加 - 为降序;空值总在最后",
        "order: names of properties, with - descending; nulls come last",
    ),
)


#: Every resource takes it.
LANG: Final = _shared(
    "lang",
    {"type": "string", "enum": list(i18n.LANGS)},
    "答复的语言;缺省时看 Accept-Language 头",
    "language of the answer; without it Accept-Language decides",
)


def forms(*names: str) -> Parameter:
    """Return the parameter that chooses among some formats."""
    return Parameter(
        "f",
        {"type": "string", "enum": list(names)},
        Text("答复的格式;缺省时看 Accept 头", "format of the answer; without it Accept decides"),
    )


def collection_id(layers: list[str]) -> Parameter:
    """Return the part of paths that names a layer."""
    return Parameter(
        "collectionId",
        {"type": "string", "enum": layers},
        Text("图层的标识", "id of a layer"),
        key="layer_id",
        place="path",
    )


def _value(field: Field) -> Schema:
    """Return what one value of a property filter may be.

    Allowed values are not listed here: a code that no feature has is answered with no feature.
    """
    match field.kind:
        case Kind.INTEGER:
            return whole(-INT4, INT4 - 1)
        case Kind.NUMBER:
            return _NUMBER
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.DATE:
            return {"type": "string", "format": "date"}
        case Kind.DATETIME:
            return {"type": "string", "format": "date-time"}
        case _:
            return TEXT


def is_plain(field: Field) -> bool:
    """Say whether no value of a field can hold what a URL's writer might not escape."""
    codes = field.kind in (Kind.TEXT, Kind.TEXTS) and bool(field.values)
    return codes or field.kind not in (Kind.TEXT, Kind.TEXTS)


def of_fields(layer: Layer, *, plain: bool) -> Iterator[Parameter]:
    """Yield the property filters of a layer that everybody may use.

    Parameters
    ----------
    plain
        Those of numbers, dates and codes, or those of free text.
    """
    for field in layer.visible(restricted=False):
        if field.kind is Kind.JSON or is_plain(field) is not plain:
            continue
        value = _value(field)
        if value is not TEXT:
            value = {"anyOf": [value, {"type": "string", "enum": ["null"]}]}
        about = Text(
            f"{field.zh}:这些值之一,null 为空值", f"{field.en}: one of these; null is null"
        )
        yield Parameter(
            field.name, listed(value, minItems=1), about, key=f"{field.name}.{field.kind}"
        )
