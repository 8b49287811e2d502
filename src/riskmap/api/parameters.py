"""The parameters of queries as the API's description declares them: one table for all resources.

What a resource takes is read in `api.query` and beside it; tests check that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from riskmap import i18n
from riskmap.analysis.coverage import MAX_LISTED
from riskmap.api.query import LANGS, MAX_OFFSET, MAX_TOLERANCE_M
from riskmap.catalog.spec import Field, Kind, Layer, Text
from riskmap.catalog.tokens import THEMES
from riskmap.crs.datum import Datum
from riskmap.features.formats import OF_ITEM, OF_PAGE
from riskmap.features.history import MAX_VERSIONS
from riskmap.features.query import DEFAULT_LIMIT, MAX_LIMIT
from riskmap.tiles.grid import GRIDS
from riskmap.tiles.styles.style import STYLES

Schema = dict[str, Any]

_INT4: Final = 2**31
_INT8: Final = 2**63
# No text of ours holds NUL, which PostgreSQL does not know.
_TEXT: Final[Schema] = {"type": "string", "pattern": "^[^\\u0000]*$"}
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


_Q: Final = _shared(
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
    _Q,
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


def _forms(*names: str) -> Parameter:
    return Parameter(
        "f",
        {"type": "string", "enum": list(names)},
        Text("答复的格式;缺省时看 Accept 头", "format of the answer; without it Accept decides"),
    )


DOCUMENT: Final = (_forms("json", "html"),)
FEATURES: Final = (_forms("geojson", "json", "html"),)
_ITEM: Final = (_forms("json", *(one.name for one in OF_ITEM)),)
_PAGE: Final = (
    _forms("json", *(one.name for one in OF_PAGE)),
    Parameter(
        "headings",
        {"type": "string", "enum": ["name", "label"]},
        Text(
            "表格(csv、xlsx)的列名:字段名或名称",
            "headings of a table (csv, xlsx): names of fields, or their labels",
        ),
    ),
    Parameter(
        "bom",
        {"type": "boolean"},
        Text(
            "csv 以字节顺序标记开头,供 Excel 使用", "csv begins with a byte order mark, for Excel"
        ),
    ),
)
_MINUTES: Final = Parameter(
    "minutes",
    {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    Text("报警后的分钟数,默认 15", "minutes after the alarm, default 15"),
)
_BEFORE: Final = Parameter(
    "before", whole(1, _INT8 - 1), Text("只要编号小于此的", "only what has a smaller id")
)
_NUMBER_CURSOR: Final = Parameter(
    "cursor",
    {"type": "string", "format": "cursor"},
    Text("翻页标记:原样取自 next 链接", "place of a page: as the link next has it"),
)
_PLACE: Final = (
    Parameter(
        "lon",
        {"type": "number", "minimum": -180, "maximum": 180},
        Text("经度", "longitude"),
        required=True,
    ),
    Parameter(
        "lat",
        {"type": "number", "minimum": -90, "maximum": 90},
        Text("纬度", "latitude"),
        required=True,
    ),
)


def _limit(least: int, most: int, default: int) -> Parameter:
    return Parameter(
        "limit", whole(least, most, default), Text("最多几条", "how many entries at most")
    )


_IF_MATCH: Final = Parameter(
    "If-Match",
    {"type": "string", "format": "etag"},
    Text("所改版本的 ETag", "ETag of the version that is changed"),
    required=True,
    place="header",
)

ITEMS: Final = "/collections/{layer_id}/items"
ITEM: Final = f"{ITEMS}/{{feature_id}}"

_THEME: Final = Parameter(
    "theme",
    {"type": "string", "enum": list(THEMES), "default": THEMES[0]},
    Text("明暗主题", "colours for bright or dark rooms"),
)

_METRES: Final[Schema] = {"type": "number", "minimum": 0, "exclusiveMinimum": True}
_AROUND: Final = (
    *(replace(one, required=False) for one in _PLACE),
    Parameter(
        "feature",
        {"type": "string", "format": "feature"},
        Text("地点:某要素,写作 图层/编号", "the place: a feature, as layer/id"),
    ),
    Parameter(
        "radius_m",
        listed(_METRES, minItems=1, maxItems=12),
        Text(
            "多少米以内,可有多个;都不给时为 500、1000、3000",
            "within how many metres, several with commas; without any 500, 1000 and 3000",
        ),
    ),
    Parameter(
        "minutes",
        listed(_METRES, minItems=1, maxItems=12),
        Text("沿路网多少分钟以内,可有多个", "within how many minutes along the roads"),
    ),
    Parameter("profile", _TEXT, Text("出行方式", "who moves: emergency, ordinary, walk")),
    _limit(0, 1000, 20),
    Parameter(
        "danger_radius_m",
        _METRES,
        Text("危险半径(米);重大危险源默认 500", "danger radius, metres; of a source 500"),
    ),
    Parameter(
        "wind_from_deg",
        {"type": "number", "minimum": 0, "maximum": 360},
        Text("风从哪个方向来(度,正北为 0)", "where the wind comes from, degrees from the north"),
    ),
    Parameter(
        "wind_speed_mps",
        {"type": "number", "minimum": 0, "maximum": 200},
        Text("风速(米/秒)", "wind speed, m/s"),
    ),
    Parameter(
        "sector_deg",
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 180},
        Text("下风扇区半宽(度)", "half width of the downwind sector, degrees"),
    ),
    Parameter("downwind_m", _METRES, Text("下风扇区长(米)", "length of the sector, metres")),
    Parameter("hazard", _TEXT, Text("避难场所须适用的灾种", "hazard that shelters must suit")),
    Parameter(
        "walk_minutes",
        _METRES,
        Text("步行到避难场所最多多少分钟", "longest walk to a shelter, minutes"),
    ),
    DATUM,
)

#: What each resource takes; paths as the routes have them. What is not here takes none.
TAKEN: Final[dict[str, tuple[Parameter, ...]]] = {
    "/": DOCUMENT,
    "/api": DOCUMENT,
    "/openapi.json": DOCUMENT,
    "/conformance": DOCUMENT,
    "/collections": DOCUMENT,
    "/collections/{layer_id}": DOCUMENT,
    "/collections/{layer_id}/queryables": DOCUMENT,
    "/collections/{layer_id}/sortables": DOCUMENT,
    "/collections/{layer_id}/schema": DOCUMENT,
    ITEMS: (*NARROWING, *SHAPING, *PAGING, *_PAGE),
    ITEM: (SHAPING[0], DATUM, *_ITEM),
    "/collections/{layer_id}/summary": (
        *NARROWING,
        Parameter(
            "group_by",
            listed(
                {"type": "string", "format": "group-key"}, minItems=1, maxItems=3, uniqueItems=True
            ),
            Text("按这些属性分组", "properties to group by"),
        ),
        Parameter(
            "sum",
            listed({"type": "string", "format": "sum-key"}, minItems=1, uniqueItems=True),
            Text("对这些数值属性求和", "numeric properties to add up"),
        ),
        Parameter(
            "admin_digits",
            {"type": "integer", "enum": [2, 4, 6, 9, 12]},
            Text("行政区划代码取前几位", "how many digits of the division's code to group by"),
        ),
        DATUM,
        _forms("json", "csv", "html"),
        Parameter(
            "bom",
            {"type": "boolean"},
            Text(
                "csv 以字节顺序标记开头,供 Excel 使用",
                "csv begins with a byte order mark, for Excel",
            ),
        ),
    ),
    "/search": (
        replace(_Q, required=True, key=None),
        Parameter("layers", LAYER_LIST, Text("只在这些图层中", "in these layers only")),
        BBOX,
        _limit(1, 100, 10),
        DATUM,
        *FEATURES,
    ),
    "/locate": (*_PLACE, DATUM, *DOCUMENT),
    f"{ITEM}/history": (_limit(1, MAX_VERSIONS, 20), _NUMBER_CURSOR),
    "/tiles/{layers}/{z}/{x}/{y}.mvt": (*NARROWING, DATUM),
    "/tiles/{layers}.json": (*NARROWING, DATUM),
    "/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}": (
        *NARROWING,
        DATUM,
        Parameter("collections", LAYER_LIST, Text("只要这些图层", "of these layers only")),
    ),
    "/collections/{layer_id}/tiles/{tile_matrix_set}/{tile_matrix}/{tile_row}/{tile_col}": (
        *NARROWING,
        DATUM,
    ),
    "/styles": (),
    "/styles/{name}.json": (
        _THEME,
        Parameter(
            "base",
            {"type": "string", "enum": ["own", "raster"], "default": "own"},
            Text("底图:自有或所配置的栅格", "base map: our own, or the raster base configured"),
        ),
    ),
    "/styles/names.geojson": (DATUM,),
    "/styles/{name}/legend.json": (_THEME,),
    "/styles/{name}/legend.svg": (_THEME,),
    "/styles/sprites/{sheet}.json": (),
    "/styles/sprites/{sheet}.png": (),
    "/analysis/reach": (*_PLACE, _MINUTES, DATUM),
    "/analysis/surroundings": _AROUND,
    "/analysis/coverage": (_MINUTES, _limit(0, MAX_LISTED, 200), DATUM),
    "/analysis/hazard-levels": (BBOX, _limit(1, 1000, 1000), _NUMBER_CURSOR),
    "/imports": (
        Parameter("layer", _TEXT, Text("只要此图层的", "only those of this layer")),
        Parameter("status", _TEXT, Text("只要此状态的", "only those of this status")),
        _limit(1, 1000, 100),
        _BEFORE,
    ),
    "/audit": (_limit(1, 1000, 100), _BEFORE),
}

#: Those of other methods.
EDITED: Final[dict[tuple[str, str], tuple[Parameter, ...]]] = {
    ("post", ITEMS): (DATUM,),
    ("put", ITEM): (DATUM, _IF_MATCH),
    ("patch", ITEM): (DATUM, _IF_MATCH),
    ("delete", ITEM): (_IF_MATCH,),
}

#: Parts of paths: route's name -> what the document says.
PATHS: Final = {
    one.key: one
    for one in (
        Parameter(
            "featureId",
            whole(0, _INT8 - 1),
            Text("要素的编号(id)", "id of a feature"),
            key="feature_id",
            place="path",
        ),
        Parameter(
            "version",
            whole(0, _INT4 - 1),
            Text("要素的版本", "version of a feature"),
            key="version",
            place="path",
        ),
        Parameter(
            "layers",
            {"type": "string", "pattern": "^[a-z][a-z0-9-]*(,[a-z][a-z0-9-]*)*$"},
            Text("图层或 roads,用逗号分隔", "layers or roads, with commas"),
            key="layers",
            place="path",
        ),
        Parameter(
            "archive_name",
            {"type": "string"},
            Text("档案的名称,见 /archives", "name of an archive, see /archives"),
            key="archive_name",
            place="path",
        ),
        Parameter("z", whole(0, 24), Text("级别", "zoom"), key="z", place="path"),
        Parameter("x", whole(0, 2**24), Text("列", "column"), key="x", place="path"),
        Parameter("y", whole(0, 2**24), Text("行", "row"), key="y", place="path"),
        Parameter(
            "name",
            {"type": "string", "enum": list(STYLES)},
            Text("样式的名称", "name of a style"),
            key="name",
            place="path",
        ),
        Parameter(
            "sheet",
            {"type": "string", "enum": [f"{one}{at}" for one in THEMES for at in ("", "@2x")]},
            Text("主题的图标集", "sheet of a theme"),
            key="sheet",
            place="path",
        ),
        Parameter(
            "tileMatrixSetId",
            {"type": "string", "enum": list(GRIDS)},
            Text("瓦片网格", "tile matrix set"),
            key="tile_matrix_set",
            place="path",
        ),
        *(
            Parameter(name, whole(0, 2**24), Text(zh, en), key=key, place="path")
            for name, key, zh, en in (
                ("tileMatrix", "tile_matrix", "级别", "tile matrix"),
                ("tileRow", "tile_row", "行", "row"),
                ("tileCol", "tile_col", "列", "column"),
            )
        ),
        Parameter(
            "import_id",
            whole(1, _INT8 - 1),
            Text("导入的编号", "id of an import"),
            key="import_id",
            place="path",
        ),
    )
}


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
            return whole(-_INT4, _INT4 - 1)
        case Kind.NUMBER:
            return _NUMBER
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.DATE:
            return {"type": "string", "format": "date"}
        case Kind.DATETIME:
            return {"type": "string", "format": "date-time"}
        case _:
            return _TEXT


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
        if value is not _TEXT:
            value = {"anyOf": [value, {"type": "string", "enum": ["null"]}]}
        about = Text(
            f"{field.zh}:这些值之一,null 为空值", f"{field.en}: one of these; null is null"
        )
        yield Parameter(
            field.name, listed(value, minItems=1), about, key=f"{field.name}.{field.kind}"
        )
