"""The register of risks that the departments report: points, lines along roads, and areas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.ground import Floats
from riskmap.demo.places import (
    Feature,
    Places,
    blob,
    day_of,
    numbered,
    pick,
    polygons_of,
    rank_levels,
    stem,
    stem_en,
    write_common,
)

RECORDS: Final = 6128


@dataclass(frozen=True, slots=True)
class _Sort:
    """A sort of risk: number, who reports it, in which domain, what it is, and where.

    `where` is town (beside a road, by density), road (beside larger roads), water (near a river),
    hill, coast, street (a line along a road) or area.
    """

    count: int
    department: str
    domain: str
    sector: str
    category: str
    zh: str
    en: str
    where: str
    description: str
    people: tuple[int, int] | None = None


# A table: one entry a sort.
# fmt: off
_SORTS: Final = (
    _Sort(370, "城市管理局", "public_facility", "城市管理", "户外广告", "户外广告牌",
          "billboard", "town", "大风时可能坠落"),
    _Sort(300, "城市管理局", "public_facility", "燃气", "燃气管线", "燃气管线占压点",
          "building over a gas main", "town", "建筑物占压管线", (5, 120)),
    _Sort(240, "城市管理局", "public_facility", "城市管理", "桥下空间", "桥下空间",
          "space under a bridge", "road", "堆放可燃物"),
    _Sort(210, "城市管理局", "public_facility", "供热", "管网老化", "老旧供热管网",
          "old heating mains", "street", "管网超期服役"),
    _Sort(420, "交通运输局", "public_facility", "道路交通", "急弯陡坡", "急弯陡坡路段",
          "sharp bend", "hillroad", "视距不足，缺少护栏"),
    _Sort(300, "交通运输局", "public_facility", "道路交通", "临水临崖", "临水临崖路段",
          "road beside water", "riverroad", "临水一侧无防护"),
    _Sort(150, "交通运输局", "public_facility", "道路交通", "桥梁", "病害桥梁", "damaged bridge",
          "water", "桥面或墩台病害，限载通行"),
    _Sort(430, "公安局交警支队", "public_facility", "道路交通", "事故多发点", "事故多发路口",
          "accident black spot", "road", "事故多发，待渠化改造"),
    _Sort(320, "公安局交警支队", "public_facility", "道路交通", "学校周边", "校门前路段",
          "school crossing", "town", "上下学人车混行", (60, 900)),
    _Sort(190, "气象局", "natural", "气象", "雷击", "雷电易发点", "lightning spot", "hill",
          "旷野高处，无避雷设施"),
    _Sort(170, "气象局", "natural", "气象", "大风", "大风影响点", "gale spot", "coast",
          "临海开阔，阵风大"),
    _Sort(90, "气象局", "natural", "气象", "大雾", "团雾多发路段", "fog-prone road", "highway",
          "秋冬团雾多发"),
    _Sort(360, "水务局", "natural", "水务", "易涝点", "城市易涝点", "waterlogging spot", "town",
          "强降雨时积水超过30厘米", (5, 260)),
    _Sort(230, "水务局", "natural", "水务", "险工险段", "堤防险工险段", "weak levee", "levee",
          "堤身单薄，汛期巡查"),
    _Sort(210, "水务局", "natural", "水务", "溺水", "溺水危险水域", "drowning spot", "water",
          "岸坡陡，水深流急"),
    _Sort(120, "水务局", "natural", "水务", "内涝片区", "内涝片区", "waterlogging area", "area",
          "排水管网标准偏低", (40, 1800)),
    _Sort(230, "住房和城乡建设局", "public_facility", "城市建设", "危旧房屋", "危旧房屋",
          "dilapidated building", "town", "结构老化，待鉴定", (4, 90)),
    _Sort(220, "住房和城乡建设局", "industry", "城市建设", "深基坑", "在建工地深基坑",
          "deep excavation", "town", "邻近道路与管线", (10, 160)),
    _Sort(90, "住房和城乡建设局", "public_facility", "城市建设", "老旧小区", "老旧小区",
          "old housing estate", "area", "消防通道狭窄", (300, 5200)),
    _Sort(150, "教育局", "crowded_place", "教育", "学校", "学校", "school", "town",
          "在校人数多，疏散通道单一", (200, 2600)),
    _Sort(120, "卫生健康委员会", "crowded_place", "医疗", "医院", "医院", "hospital", "town",
          "行动不便人员多", (80, 1600)),
    _Sort(110, "民政局", "crowded_place", "养老", "养老机构", "养老院", "care home", "town",
          "夜间值守力量不足", (20, 260)),
    _Sort(210, "文化和旅游局", "crowded_place", "文化旅游", "景区", "景区游客集中点",
          "crowded scenic spot", "hill", "节假日瞬时客流大", (50, 2200)),
    _Sort(60, "文化和旅游局", "crowded_place", "文化旅游", "玻璃栈道", "玻璃栈道",
          "glass walkway", "hill", "目录外游乐设施", (20, 300)),
    _Sort(190, "市场监督管理局", "crowded_place", "特种设备", "电梯", "老旧电梯", "old lift",
          "town", "使用超过15年", (10, 160)),
    _Sort(160, "消防救援支队", "crowded_place", "消防", "电动车充电", "电动自行车充电棚",
          "e-bike charging shed", "town", "毗邻居民楼", (20, 320)),
    _Sort(130, "消防救援支队", "crowded_place", "消防", "大型综合体", "商业综合体",
          "shopping complex", "town", "人员密集，业态复杂", (300, 6500)),
    _Sort(150, "应急管理局", "industry", "有限空间", "有限空间", "有限空间作业点",
          "confined space", "town", "作业前未通风检测", (2, 20)),
    _Sort(110, "林业局", "natural", "森林防火", "森林火险", "森林火险片区", "forest-fire area",
          "wood", "林下可燃物多，邻近墓区"),
    _Sort(28, "海洋发展局", "natural", "海洋", "海岸侵蚀", "海岸侵蚀点", "eroding shore",
          "coast", "岸线后退"),
)
# fmt: on
# A table: one entry a sort.
# fmt: off
_OTHER: Final = (
    _Sort(0, "城市管理局", "other", "新业态", "外卖配送", "外卖骑手集中点", "courier hub",
          "town", "车辆集中停放充电"),
    _Sort(0, "体育局", "other", "新业态", "滑翔伞", "滑翔伞起飞场", "paragliding site", "hill",
          "目录外运动项目"),
)
# fmt: on
_LINES: Final[dict[str, dict[str, float]]] = {
    "street": {"secondary": 1, "tertiary": 2, "residential": 1},
    "hillroad": {"secondary": 1, "tertiary": 1, "unclassified": 1},
    "riverroad": {"secondary": 1, "tertiary": 1, "unclassified": 1, "residential": 0.5},
    "highway": {"motorway": 3, "trunk": 2, "primary": 1},
}


def risk_records(places: Places, enterprises: list[Feature]) -> list[Feature]:
    """Return the register: all departments' risks in random order."""
    rng = places.random("risk-records")
    rest = RECORDS - sum(sort.count for sort in _SORTS)
    sorts = [(sort, sort.count) for sort in _SORTS]
    sorts += [(sort, rest // 2 + (rest % 2) * (row == 0)) for row, sort in enumerate(_OTHER)]
    shapes = [(sort, shape) for sort, count in sorts for shape in _shapes(places, rng, sort, count)]
    shapes = [shapes[row] for row in rng.permutation(len(shapes))]
    middles = np.array(
        [shapely.get_coordinates(shapely.point_on_surface(shape))[0] for _, shape in shapes]
    )
    density = places.density_at(middles)
    people = np.array([_people(rng, sort, density[row]) for row, (sort, _) in enumerate(shapes)])
    score = np.log1p(np.maximum(people, 0)) * 0.5 + rng.normal(0, 1.4, len(shapes))
    levels = rank_levels(rng, score, (0.025, 0.12, 0.45, 0.405), 0.13)
    owners = shapely.STRtree([one.shape for one in enterprises])
    features = []
    for row, (sort, shape) in enumerate(shapes):
        unit = places.community_of(shape)
        here = stem(unit.name)
        properties: dict[str, Any] = {
            "name": f"{here}{sort.zh}",
            "name_en": f"{stem_en(unit.name_en)} {sort.en}",
            "risk_domain": sort.domain,
            "category": sort.category,
            "sector": sort.sector,
            "found_through": pick(rng, _FOUND),
        }
        level = levels[row]
        if level is not None:
            properties["risk_level"] = level
            properties["assessed_level"] = ("city", "district", "street", "street")[level - 1]
            properties["assessed_at"] = day_of(rng)
            # The words are for the worse half: they would double the file.
            if level <= 2:
                properties["description"] = sort.description
                properties["control_measures"] = pick(rng, _MEASURES)
            if level == 1:
                properties["joint_mechanism"] = f"联防联控{int(rng.integers(1, 233)):03d}号"
                properties["lists"] = ["重大风险清单"]
        if people[row] >= 0:
            properties["threatened_persons"] = int(people[row])
        if sort.domain == "industry":
            nearest = enterprises[int(owners.nearest(shape))]
            if nearest.shape.distance(shape) < 400:
                properties["enterprise_code"] = nearest.properties["code"]
        write_common(
            properties,
            rng,
            department=sort.department,
            admin_code=places.admin_code(shape),
            responsible=0.1,
        )
        features.append(Feature(shape, properties))
    return numbered("FX", features)


_FOUND: Final = {
    "inspection": 0.5,
    "expert": 0.13,
    "self": 0.12,
    "public_report": 0.17,
    "sensor": 0.08,
}
_MEASURES: Final = {
    "设置警示标识，落实巡查": 0.4,
    "限期整改，专人看护": 0.3,
    "挂牌督办，纳入联防联控": 0.3,
}


def _people(rng: np.random.Generator, sort: _Sort, density: float) -> int:
    """Return the threatened persons, -1 where nobody counts them."""
    if sort.people is None:
        return -1
    low, high = np.log(sort.people)
    crowded = min(1.0, density / 12_000)
    return int(np.exp(low + (high - low) * np.clip(rng.normal(0.3 + 0.3 * crowded, 0.2), 0, 1)))


def _shapes(places: Places, rng: np.random.Generator, sort: _Sort, count: int) -> list[Any]:
    if sort.where in _LINES:
        return _along_roads(places, rng, sort.where, count)
    if sort.where == "levee":
        return _along_rivers(places, rng, count)
    if sort.where in ("area", "wood"):
        return _areas(places, rng, sort.where, count)
    return [shapely.Point(xy) for xy in _spots(places, rng, sort.where, count)]


def _spots(places: Places, rng: np.random.Generator, where: str, count: int) -> Floats:
    terrain = places.terrain
    if where == "town":
        weight = places.road_weight(
            {"primary": 1.5, "secondary": 2, "tertiary": 2, "residential": 1, "unclassified": 1},
            0.85,
        )
        return places.draw_roadside(rng, weight, count, (12, 70))
    if where == "road":
        weight = places.road_weight({"trunk": 1, "primary": 3, "secondary": 3, "tertiary": 1}, 0.5)
        return places.draw_roadside(rng, weight, count, (6, 25))
    crowd = np.sqrt(places.near_people(800) + 5.0)
    if where == "water":
        near = (terrain.river_m > 40) & (terrain.river_m < 320)
    elif where == "coast":
        near = _shore(places)
    else:
        near = (terrain.slope > 0.1) & (terrain.slope < 0.6) & places.near_roads(2500)
    return places.draw(rng, np.where(near & terrain.land, crowd, 0.0), count)


def _shore(places: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say which cells lie within 600 m of the sea."""
    sea = places.terrain.elevation_m <= 0
    reach = max(1, round(600 / places.grid.cell_m))
    near = np.zeros_like(sea)
    for shift in range(-reach, reach + 1):
        near |= np.roll(sea, shift, axis=0) | np.roll(sea, shift, axis=1)
    return np.asarray(near)


def _along_roads(places: Places, rng: np.random.Generator, where: str, count: int) -> list[Any]:
    """Return stretches of roads, 250 m to 1.5 km long."""
    roads = places.roadside
    middle = (roads.start + roads.end) / 2
    weight = places.road_weight(_LINES[where], 0.5 if where == "street" else 0.0) * roads.length_m
    if where == "hillroad":
        weight = weight * (places.slope_at(middle) > 0.06)
    if where == "riverroad":
        weight = weight * (places.grid.sample(places.terrain.river_m, middle) < 350)
    weight = weight * places.road_usable
    found: list[Any] = []
    for row in rng.choice(len(weight), size=3 * count, p=weight / weight.sum()):
        if len(found) == count:
            break
        wanted = float(rng.uniform(250, 1500))
        first = last = int(row)
        length = float(roads.length_m[row])
        # On along the same way, a segment at a time to either side.
        while length < wanted:
            before, after = first - 1, last + 1
            if after < len(roads.way) and roads.way[after] == roads.way[row]:
                last, length = after, length + float(roads.length_m[after])
            elif before >= 0 and roads.way[before] == roads.way[row]:
                first, length = before, length + float(roads.length_m[before])
            else:
                break
        path = np.vstack([roads.start[first : last + 1], roads.end[last]])
        line = shapely.LineString(path).simplify(4)
        if line.length > 120 and places.usable(path).all():
            found.append(line)
    if len(found) < count:
        raise ValueError(f"{len(found)} stretches of {where}, {count} are needed")
    return found


def _along_rivers(places: Places, rng: np.random.Generator, count: int) -> list[Any]:
    """Return stretches of levees: beside the lower rivers, on their banks."""
    rivers = places.terrain.rivers
    length_m = np.array([river.line.length for river in rivers])
    found: list[Any] = []
    tries = 0
    while len(found) < count and tries < 40 * count:
        tries += 1
        river = rivers[int(rng.choice(len(rivers), p=length_m / length_m.sum()))]
        start = rng.uniform(0.3, 0.95) * river.line.length
        steps = np.arange(start, min(start + rng.uniform(400, 1600), river.line.length), 60.0)
        if len(steps) < 5:
            continue
        bed = shapely.LineString(shapely.line_interpolate_point(river.line, steps))
        side = float(rng.choice([-1.0, 1.0])) * (river.width_m / 2 + rng.uniform(15, 40))
        bank = shapely.offset_curve(bed, side).simplify(4)
        if bank.geom_type != "LineString" or bank.length < 200:
            continue
        if places.usable(shapely.get_coordinates(bank)).all():
            found.append(bank)
    if len(found) < count:
        raise ValueError(f"{len(found)} stretches of levee, {count} are needed")
    return found


def _areas(places: Places, rng: np.random.Generator, where: str, count: int) -> list[Any]:
    terrain = places.terrain
    if where == "wood":
        weight = np.where((terrain.slope > 0.12) & terrain.land & places.near_roads(3000), 1.0, 0.0)
        size, width = 320.0, (140.0, 420.0)
    else:
        crowd = np.maximum(places.near_people(300) - 1500, 0.0)
        weight = np.where((terrain.slope < 0.06) & terrain.land, crowd, 0.0)
        size, width = 90.0, (50.0, 130.0)
    found: list[Any] = []
    for xy in places.draw(rng, weight, 2 * count):
        turn = rng.uniform(0, np.pi) + np.cumsum(rng.normal(0, 0.35, 4))
        path = xy + np.cumsum(np.column_stack([np.cos(turn), np.sin(turn)]) * size, axis=0)
        shape = blob(path, rng, width, size / 2)
        parts = polygons_of(shapely.intersection(places.free_of_water(shape), terrain.land_shape))
        if parts and parts[0].area > 0.75 * shape.area and len(found) < count:
            found.append(parts[0])
    if len(found) < count:
        raise ValueError(f"{len(found)} areas of {where}, {count} are needed")
    return found
