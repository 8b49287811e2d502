"""What each resource takes: one table for the checks, the document and the tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from riskmap.analysis.coverage import MAX_LISTED
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
    forms,
    listed,
    whole,
)
from riskmap.api.taken_analysis import (
    BOM,
    JOBS_ASKED,
    OFFSET,
    PLACE,
    SCENARIO,
    circle_parameters,
    covered_parameters,
    nearest_parameters,
    reached_parameters,
)
from riskmap.api.taken_around import AROUND
from riskmap.catalog.spec import Text
from riskmap.catalog.tokens import THEMES
from riskmap.features.formats import OF_ITEM, OF_PAGE
from riskmap.features.history import MAX_VERSIONS
from riskmap.tiles.grid import GRIDS
from riskmap.tiles.styles.style import STYLES

DOCUMENT: Final = (forms("json", "html"),)
FEATURES: Final = (forms("geojson", "json", "html"),)
_ITEM: Final = (forms("json", *(one.name for one in OF_ITEM)),)
_PAGE: Final = (
    forms("json", *(one.name for one in OF_PAGE)),
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
_BEFORE: Final = Parameter(
    "before", whole(1, INT8 - 1), Text("只要编号小于此的", "only what has a smaller id")
)
_NUMBER_CURSOR: Final = Parameter(
    "cursor",
    {"type": "string", "format": "cursor"},
    Text("翻页标记:原样取自 next 链接", "place of a page: as the link next has it"),
)


def _limit(least: int, most: int, default: int) -> Parameter:
    return Parameter(
        "limit", whole(least, most, default), Text("最多几条", "how many entries at most")
    )


_PREFER: Final = Parameter(
    "Prefer",
    {"type": "string"},
    Text("respond-async:不等待,作为作业执行", "respond-async: do not wait, run it as a job"),
    place="header",
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
        forms("json", "csv", "html"),
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
    "/locate": (*PLACE, DATUM, *DOCUMENT),
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
    "/analysis/response-circles": circle_parameters(),
    "/analysis/response-circles/tiles/{z}/{x}/{y}.mvt": circle_parameters(),
    "/analysis/response-circles/tilejson": circle_parameters(),
    "/analysis/response-circles/style": circle_parameters(),
    "/analysis/nearest": nearest_parameters(),
    "/analysis/reach": reached_parameters(),
    "/analysis/presets": (),
    "/analysis/scenarios": (
        _limit(1, 1000, 100),
        replace(_NUMBER_CURSOR, schema={"type": "string", "format": "number-cursor"}),
    ),
    "/analysis/surroundings": AROUND,
    "/analysis/coverage": (*covered_parameters(), _limit(0, MAX_LISTED, 200), DATUM, SCENARIO),
    "/analysis/coverage/features": (
        *covered_parameters(),
        _limit(1, 10_000, 1000),
        OFFSET,
        DATUM,
        SCENARIO,
        forms("geojson", "csv"),
        BOM,
    ),
    "/analysis/coverage-runs": (_limit(1, 1000, 100), _BEFORE),
    "/analysis/coverage-runs/{run_id}/features": (
        _limit(1, 10_000, 1000),
        OFFSET,
        forms("geojson", "csv"),
        BOM,
    ),
    "/analysis/coverage-runs/{run_id}/compare/{other_id}": (_limit(0, 2000, 200),),
    "/processes": (_limit(1, 1000, 100), OFFSET),
    "/jobs": JOBS_ASKED,
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
    ("post", "/processes/{process_id}/execution"): (_PREFER,),
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
            "process_id",
            {"type": "string"},
            Text("处理的名称,见 /processes", "name of a process, see /processes"),
            key="process_id",
            place="path",
        ),
        Parameter(
            "job_id",
            {"type": "string"},
            Text("作业的名称", "name of a job"),
            key="job_id",
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
