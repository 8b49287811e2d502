"""What the analyses take by their addresses: circles, coverage, reach."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from riskmap.analysis.coverage_query import LINE_KMH, MAX_K, MAX_LINE_KMH, NEIGHBOURS
from riskmap.analysis.polygons import CELL_M, MIN_CELL_M, OFF_ROAD_MAX_M
from riskmap.analysis.process_store import STATUS
from riskmap.analysis.response import (
    MAX_MINUTES,
    MAX_STARTS,
    Cutoff,
    Output,
    Overlap,
)
from riskmap.api.parameters import (
    DATETIME,
    DATUM,
    INT4,
    LAYER_LIST,
    TEXT,
    Parameter,
    forms,
    listed,
    whole,
)
from riskmap.catalog.spec import Text
from riskmap.roads.speeds import DAY_TYPES

MINUTES: Final = Parameter(
    "minutes",
    {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    Text("报警后的分钟数,默认 15", "minutes after the alarm, default 15"),
)
SCENARIO: Final = Parameter(
    "scenario",
    {"type": "string", "format": "scenario"},
    Text("已保存情景的编号,或情景的 JSON", "id of a stored scenario, or the JSON of one"),
)
PLACE: Final = (
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


def circle_parameters() -> tuple[Parameter, ...]:
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
            "报警后的分钟数,默认取评价标准的,否则 5,10,15",
            "minutes after the alarm, default the preset's, else 5,10,15",
        ),
        one("preset", TEXT, "评价标准,补足未给出的值", "says what is left out: /analysis/presets"),
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
        SCENARIO,
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
        forms("geojson", "csv"),
    )


def covered_parameters() -> tuple[Parameter, ...]:
    """Return what the coverage of layers takes by its address."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    return (
        MINUTES,
        Parameter("layer", LAYER_LIST, Text("要到达的图层", "layers whose features are reached")),
        one(
            "k",
            whole(1, MAX_K, 1),
            "几支队伍到达才算覆盖",
            "covered when so many teams come in time",
        ),
        one("preset", TEXT, "评价标准,补足未给出的值", "says what is left out: /analysis/presets"),
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


def nearest_parameters() -> tuple[Parameter, ...]:
    """Return what the nearest features are asked with by an address."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    left_out = {"layer", "minutes", "overlap", "cutoff", "output", "cell_m", "access_m"}
    return (
        Parameter("layer", TEXT, Text("要找的图层", "whose features are found"), required=True),
        one("k", whole(1, 100, 1), "每个起点几个", "how many for each start"),
        Parameter(
            "minutes",
            MINUTES.schema,
            Text("不晚于几分钟,默认 60", "not later than so many minutes, default 60"),
        ),
        one("from_layer", TEXT, "作为起点的图层", "layer whose features start"),
        one("geometry", {"type": "boolean"}, "给出路线", "the way to each"),
        *(row for row in circle_parameters() if row.name not in left_out),
    )


OFFSET: Final = Parameter(
    "offset", whole(0, INT4 - 1, 0), Text("跳过前几条", "how many entries to skip")
)
BOM: Final = Parameter(
    "bom",
    {"type": "boolean"},
    Text("csv 以字节顺序标记开头,供 Excel 使用", "csv begins with a byte order mark, for Excel"),
)


def reached_parameters() -> tuple[Parameter, ...]:
    """Return what `/analysis/reach` takes."""

    def one(name: str, schema: dict[str, object], zh: str, en: str) -> Parameter:
        return Parameter(name, schema, Text(zh, en))

    return (
        *(replace(place, required=False) for place in PLACE),
        one(
            "feature",
            TEXT,
            "要素:图层/编号,代替经纬度",
            "a feature, layer/id, instead of a position",
        ),
        MINUTES,
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
        SCENARIO,
    )


_STATES: Final = listed({"type": "string", "enum": list(STATUS.values())})
_SECONDS: Final[dict[str, object]] = {"type": "number"}
#: What a list of jobs is asked with: the names are the standard's.
JOBS_ASKED: Final = tuple(
    Parameter(name, schema, Text(zh, en))
    for name, schema, zh, en in (
        ("type", {"type": "string", "enum": ["process"]}, "作业的种类", "kind of job"),
        ("processID", TEXT, "只要这些处理的，用逗号分隔", "of these processes only, with commas"),
        (
            "status",
            listed({"type": "string", "enum": list(STATUS.values())}),
            "只要这些状态的",
            "in these states only",
        ),
        (
            "datetime",
            DATETIME.schema,
            "何时提出：时刻或区间",
            "when it was asked for: a time or an interval",
        ),
        ("minDuration", _SECONDS, "至少运行了几秒", "seconds that it ran at least"),
        ("maxDuration", _SECONDS, "至多运行了几秒", "seconds that it ran at most"),
        ("limit", whole(1, 1000, 100), "最多几条", "how many entries at most"),
        ("before", whole(1, 2**63 - 1), "只要编号小于此的", "only what has a smaller number"),
    )
)
