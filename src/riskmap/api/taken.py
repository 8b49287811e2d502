"""What each resource takes: one table for the checks, the document and the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from riskmap.analysis.coverage import MAX_LISTED
from riskmap.analysis.coverage_query import LINE_KMH, MAX_K, MAX_LINE_KMH, NEIGHBOURS
from riskmap.analysis.polygons import MIN_CELL_M, OFF_ROAD_MAX_M
from riskmap.analysis.response import (
    CELL_M,
    MAX_MINUTES,
    MAX_STARTS,
    Cutoff,
    Output,
    Overlap,
)
from riskmap.api.parameters import (
    BBOX,
    DATUM,
    INT4,
    INT8,
    LAYER_LIST,
    NARROWING,
    PAGING,
    SHAPING,
    TEXT,
    Parameter,
    Q,
    listed,
    whole,
)
from riskmap.api.taken_around import AROUND
from riskmap.catalog.spec import Text
from riskmap.catalog.tokens import THEMES
from riskmap.features.formats import OF_ITEM, OF_PAGE
from riskmap.features.history import MAX_VERSIONS
from riskmap.roads.speeds import DAY_TYPES
from riskmap.tiles.grid import GRIDS
from riskmap.tiles.styles.style import STYLES


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
    "before", whole(1, INT8 - 1), Text("只要编号小于此的", "only what has a smaller id")
)
_SCENARIO: Final = Parameter(
    "scenario",
    {"type": "string", "format": "scenario"},
    Text("已保存情景的编号,或情景的 JSON", "id of a stored scenario, or the JSON of one"),
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


def _circle() -> tuple[Parameter, ...]:
    """Return what a response circle takes by its address."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    seconds: dict[str, object] = {"type": "number", "minimum": 0, "maximum": 3600}
    return (
        one("points", TEXT, "起点:经度,纬度;经度,纬度", "starts: lon,lat;lon,lat"),
        one(
            "features",
            listed({"type": "string"}, minItems=1, maxItems=MAX_STARTS),
            "作为起点的要素:图层/编号",
            "features that start: layer/id",
        ),
        one("layer", TEXT, "作为起点的图层", "layer whose features start"),
        one("filter", TEXT, "只要符合此 CQL2 条件的起点", "only those that this CQL2 text selects"),
        one(
            "minutes",
            listed(
                {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": MAX_MINUTES},
                minItems=1,
                maxItems=12,
            ),
            "报警后的分钟数,默认 5,10,15",
            "minutes after the alarm, default 5,10,15",
        ),
        one("kind", TEXT, "队伍类别,决定各阶段用时", "kind of team, which decides the phases"),
        one("profile", TEXT, "出行方式", "profile: emergency, ordinary, motorcycle, walk"),
        one("call_handling_s", seconds, "接警用时(秒)", "call handling, seconds"),
        one("turnout_s", seconds, "出动用时(秒)", "turnout, seconds"),
        one("setup_s", seconds, "展开用时(秒)", "set-up at the place, seconds"),
        one(
            "direction",
            {"type": "string", "enum": ["from", "toward"], "default": "from"},
            "从起点出发,或到达起点",
            "from the starts, or toward them",
        ),
        one(
            "day_type",
            {"type": "string", "enum": list(DAY_TYPES)},
            "工作日或休息日,与 hour 同用",
            "kind of day, with hour",
        ),
        one("hour", whole(0, 23), "钟点,与 day_type 同用", "hour of the day, with day_type"),
        _SCENARIO,
        one(
            "overlap",
            {"type": "string", "enum": list(Overlap), "default": Overlap.UNION.value},
            "多个起点:合并、各自、最近者、到达数",
            "several starts: together, each, the nearest, how many",
        ),
        one(
            "cutoff",
            {"type": "string", "enum": list(Cutoff), "default": Cutoff.DISKS.value},
            "各级含内圈,或只取环带",
            "whole disks, or rings",
        ),
        one(
            "output",
            {"type": "string", "enum": list(Output), "default": Output.BANDS.value},
            "面、路段或路口",
            "areas, roads or junctions",
        ),
        one(
            "cell_m",
            {"type": "number", "minimum": MIN_CELL_M, "maximum": 1000, "default": CELL_M},
            "作图格网边长(米)",
            "side of the drawing's cells, metres",
        ),
        one(
            "access_m",
            {"type": "number", "minimum": 10, "maximum": 2000, "default": OFF_ROAD_MAX_M},
            "离路步行的最远距离(米)",
            "how far from a road on foot, metres",
        ),
        DATUM,
        _forms("geojson", "csv"),
    )


def _covered() -> tuple[Parameter, ...]:
    """Return what the coverage of layers takes by its address."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    return (
        _MINUTES,
        Parameter("layer", LAYER_LIST, Text("要到达的图层", "layers whose features are reached")),
        one(
            "k",
            whole(1, MAX_K, 1),
            "几支队伍到达才算覆盖",
            "covered when so many teams come in time",
        ),
        one("kind", TEXT, "只计此类队伍", "only teams of this kind"),
        one(
            "neighbours",
            {"type": "string", "enum": list(NEIGHBOURS), "default": NEIGHBOURS[0]},
            "是否计入驻地在本市区划之外的队伍",
            "whether teams based outside the city's own divisions count",
        ),
        one(
            "day_type",
            {"type": "string", "enum": list(DAY_TYPES)},
            "工作日或休息日,与 hour 同用",
            "kind of day, with hour",
        ),
        one("hour", whole(0, 23), "钟点,与 day_type 同用", "hour of the day, with day_type"),
        one(
            "line_kmh",
            {"type": "number", "minimum": 1, "maximum": MAX_LINE_KMH, "default": LINE_KMH},
            "直线比较所用的速度(公里/小时)",
            "speed of the straight line to compare with, km/h",
        ),
    )


_OFFSET: Final = Parameter(
    "offset", whole(0, INT4 - 1, 0), Text("跳过前几条", "how many entries to skip")
)
_BOM: Final = Parameter(
    "bom",
    {"type": "boolean"},
    Text("csv 以字节顺序标记开头,供 Excel 使用", "csv begins with a byte order mark, for Excel"),
)


def _reached() -> tuple[Parameter, ...]:
    """Return what `/analysis/reach` takes."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    return (
        *(replace(place, required=False) for place in _PLACE),
        one(
            "feature",
            TEXT,
            "要素:图层/编号,代替经纬度",
            "a feature, layer/id, instead of a position",
        ),
        _MINUTES,
        one("kind", TEXT, "只有此类队伍计入所需", "only teams of this kind count toward the needs"),
        one("specialty", TEXT, "标出有此专业的队伍", "marks the teams that have this specialty"),
        one("need_people", whole(1, 100_000), "需要几人到场", "how many people should stand there"),
        one(
            "need_teams", whole(1, 100_000), "需要几支队伍到场", "how many teams should stand there"
        ),
        one("preset", TEXT, "评价标准,见 /analysis/presets", "see /analysis/presets"),
        one(
            "day_type",
            {"type": "string", "enum": list(DAY_TYPES)},
            "工作日或休息日,与 hour 同用",
            "kind of day, with hour",
        ),
        one("hour", whole(0, 23), "钟点,与 day_type 同用", "hour of the day, with day_type"),
        one("routes", {"type": "boolean"}, "给出各队伍的路线", "the way of each team as well"),
        DATUM,
        _SCENARIO,
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
        replace(Q, required=True, key=None),
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
    "/analysis/response-circles": _circle(),
    "/analysis/reach": _reached(),
    "/analysis/presets": (),
    "/analysis/scenarios": (
        _limit(1, 1000, 100),
        replace(_NUMBER_CURSOR, schema={"type": "string", "format": "number-cursor"}),
    ),
    "/analysis/surroundings": AROUND,
    "/analysis/coverage": (*_covered(), _limit(0, MAX_LISTED, 200), DATUM, _SCENARIO),
    "/analysis/coverage/features": (
        *_covered(),
        _limit(1, 10_000, 1000),
        _OFFSET,
        DATUM,
        _SCENARIO,
        _forms("geojson", "csv"),
        _BOM,
    ),
    "/analysis/coverage-runs": (_limit(1, 1000, 100), _BEFORE),
    "/analysis/coverage-runs/{run_id}/features": (
        _limit(1, 10_000, 1000),
        _OFFSET,
        _forms("geojson", "csv"),
        _BOM,
    ),
    "/analysis/coverage-runs/{run_id}/compare/{other_id}": (_limit(0, 2000, 200),),
    "/analysis/hazard-levels": (BBOX, _limit(1, 1000, 1000), _NUMBER_CURSOR),
    "/imports": (
        Parameter("layer", TEXT, Text("只要此图层的", "only those of this layer")),
        Parameter("status", TEXT, Text("只要此状态的", "only those of this status")),
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
    ("put", "/analysis/scenarios/{scenario_id}"): (_IF_MATCH,),
    ("delete", "/analysis/scenarios/{scenario_id}"): (_IF_MATCH,),
}

#: Parts of paths: route's name -> what the document says.
PATHS: Final = {
    one.key: one
    for one in (
        Parameter(
            "featureId",
            whole(0, INT8 - 1),
            Text("要素的编号(id)", "id of a feature"),
            key="feature_id",
            place="path",
        ),
        Parameter(
            "version",
            whole(0, INT4 - 1),
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
            whole(1, INT8 - 1),
            Text("导入的编号", "id of an import"),
            key="import_id",
            place="path",
        ),
        Parameter(
            "scenario_id",
            whole(0, INT8 - 1),
            Text("情景的编号", "id of a scenario"),
            key="scenario_id",
            place="path",
        ),
        *(
            Parameter(
                name,
                whole(1, INT8 - 1),
                Text("覆盖计算的编号", "id of a coverage run"),
                key=name,
                place="path",
            )
            for name in ("run_id", "other_id")
        ),
    )
}
