"""Supervised enterprises: plants in the parks, and what stands along the roads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.chemicals import SOURCE_PLANTS
from riskmap.demo.ground import Floats, Park
from riskmap.demo.places import (
    Feature,
    Places,
    day_of,
    numbered,
    pick,
    polygons_of,
    rank_levels,
    stem,
    stem_en,
    write_common,
)

ENTERPRISES: Final = 2331
PETROL_STATIONS: Final = 229

# Category: number, Chinese, English, GB/T 4754 division, workers, where.
# plot: a plant in a park; road: beside a road where people are; quiet: beside a road in the
# country; hill: on a slope away from people.
_Kind = tuple[int, str, str, str, tuple[int, int], str]
_KINDS: Final[dict[str, _Kind]] = {
    "chemical_production": (70, "化工有限公司", "Chemicals", "26", (60, 900), "plot"),
    "chemical_use": (96, "新材料有限公司", "Materials", "29", (30, 400), "plot"),
    "hazardous_waste": (14, "环保处置有限公司", "Waste Treatment", "77", (20, 90), "plot"),
    "steel": (9, "钢铁有限公司", "Steel", "31", (300, 2600), "plot"),
    "industry_large": (236, "制造有限公司", "Manufacturing", "34", (80, 1500), "plot"),
    "dust_explosion": (52, "木业有限公司", "Wood Products", "20", (15, 160), "plot"),
    "ammonia_cooling": (61, "冷链有限公司", "Cold Chain", "59", (10, 120), "road"),
    "chemical_trade": (148, "化工商贸有限公司", "Chemical Trading", "51", (4, 30), "road"),
    "petrol_station": (PETROL_STATIONS, "加油站", "Petrol Station", "52", (4, 14), "road"),
    "gas": (64, "燃气站", "Gas Station", "45", (5, 40), "road"),
    "micro_park": (96, "小微产业园", "Small-Business Park", "72", (60, 700), "road"),
    "industry_small": (582, "加工厂", "Workshop", "33", (6, 70), "road"),
    "commerce": (426, "商场", "Shopping Centre", "52", (20, 900), "road"),
    "confined_space": (118, "污水处理站", "Sewage Works", "46", (4, 30), "road"),
    "mine": (31, "石料矿", "Quarry", "10", (12, 120), "hill"),
    "tailings": (9, "尾矿库", "Tailings Pond", "10", (3, 12), "hill"),
    "fireworks": (22, "烟花爆竹仓库", "Fireworks Store", "26", (3, 14), "quiet"),
    "other": (68, "物流有限公司", "Logistics", "59", (8, 150), "road"),
}
_TAGS: Final = {
    "chemical_production": ("重大危险源", "重点监管工艺", "动火作业"),
    "chemical_use": ("危化品使用", "特种设备"),
    "hazardous_waste": ("危废贮存", "有限空间"),
    "steel": ("高温熔融金属", "煤气"),
    "industry_large": ("特种设备", "有限空间", "动火作业"),
    "dust_explosion": ("粉尘涉爆", "除尘系统"),
    "ammonia_cooling": ("涉氨制冷", "特种设备"),
    "chemical_trade": ("危化品经营",),
    "petrol_station": ("危化品经营", "油气回收"),
    "gas": ("燃气", "特种设备"),
    "micro_park": ("厂中厂", "消防"),
    "industry_small": ("消防", "用电安全"),
    "commerce": ("人员密集", "消防", "电动车充电"),
    "confined_space": ("有限空间", "硫化氢"),
    "mine": ("边坡", "爆破作业"),
    "tailings": ("头顶库", "汛期"),
    "fireworks": ("易燃易爆", "限量存放"),
    "other": ("货车", "消防"),
}
# Invented pairs of characters: they name no firm.
# fmt: off
_FIRST: Final = (
    ("澄", "Cheng"), ("岚", "Lan"), ("熙", "Xi"), ("沅", "Yuan"), ("屿", "Yu"), ("泓", "Hong"),
    ("砺", "Li"), ("崧", "Song"), ("骋", "Cheng"), ("澜", "Lan"), ("煜", "Yu"), ("珩", "Heng"),
    ("黎", "Li"), ("嵘", "Rong"),
)
_SECOND: Final = (
    ("阡", "qian"), ("墨", "mo"), ("溪", "xi"), ("桓", "huan"), ("岑", "cen"), ("畅", "chang"),
    ("栎", "li"), ("翎", "ling"), ("穹", "qiong"), ("笙", "sheng"), ("舸", "ge"), ("砚", "yan"),
)
# fmt: on


def _word(number: int) -> tuple[str, str]:
    first = _FIRST[number % len(_FIRST)]
    second = _SECOND[number // len(_FIRST) % len(_SECOND)]
    return first[0] + second[0], first[1] + second[1]


def plots_of(
    places: Places, park: Park, rng: np.random.Generator, plot_m2: float
) -> list[shapely.Polygon]:
    """Cut a park into plots by halving it, with room for lanes between them.

    Parameters
    ----------
    plot_m2
        Plots are between about half and all of this.
    """
    frame = shapely.minimum_rotated_rectangle(park.shape)
    ground = park.shape.buffer(-12)
    todo, found = [frame], []
    while todo:
        piece = todo.pop()
        corners = shapely.get_coordinates(piece)[:4]
        sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
        if piece.area > plot_m2 * rng.uniform(0.75, 1.25):
            # Across the longer side, not always in its middle.
            if sides[1] > sides[0]:
                corners = np.roll(corners, -1, axis=0)
            share = rng.uniform(0.4, 0.6)
            a, b, c, d = corners
            low, high = a + (b - a) * share, d + (c - d) * share
            todo += [shapely.Polygon([a, low, high, d]), shapely.Polygon([low, b, c, high])]
            continue
        parts = polygons_of(piece.buffer(-9, join_style="mitre").intersection(ground))
        if parts and parts[0].area > max(3000.0, 0.45 * piece.area):
            found.append(parts[0])
    return [plot for plot in found if _on_land(places, plot)]


def _on_land(places: Places, plot: shapely.Polygon) -> bool:
    corners = shapely.get_coordinates(plot)
    return bool(places.usable(corners).all()) and not places.meets_water(plot)


def _park_plots(places: Places, rng: np.random.Generator) -> list[tuple[Park, shapely.Polygon]]:
    """Return plots for all plants, those of chemical and port parks first.

    Raises
    ------
    ValueError
        The parks are too small even for plots of a hectare.
    """
    wanted = sum(kind[0] for kind in _KINDS.values() if kind[5] == "plot")
    chemical = [park for park in places.people.parks if park.kind != "general"]
    general = [park for park in places.people.parks if park.kind == "general"]
    plot_m2 = 160_000.0
    while plot_m2 > 10_000:
        first = [(park, plot) for park in chemical for plot in plots_of(places, park, rng, plot_m2)]
        rest = [(park, plot) for park in general for plot in plots_of(places, park, rng, plot_m2)]
        if len(first) >= 1.25 * SOURCE_PLANTS and len(first) + len(rest) >= wanted:
            return [
                *(first[row] for row in rng.permutation(len(first))),
                *(rest[row] for row in rng.permutation(len(rest))),
            ]
        plot_m2 *= 0.88
    raise ValueError(f"the parks have no room for {wanted} plants")


def enterprises(places: Places) -> tuple[list[Feature], list[Feature]]:
    """Return all enterprises, and those among them that have major hazard sources."""
    rng = places.random("enterprises")
    plots = _park_plots(places, rng)
    wanted = [name for name, kind in _KINDS.items() for _ in range(kind[0]) if kind[5] == "plot"]
    # Who makes or uses chemicals comes first, and so into the chemical parks.
    owners = wanted[:SOURCE_PLANTS]
    others = wanted[SOURCE_PLANTS:]
    rng.shuffle(others)
    features, hazardous = [], []
    for number, (category, (park, plot)) in enumerate(zip([*owners, *others], plots, strict=False)):
        feature = _enterprise(places, rng, category, plot, number, park)
        features.append(feature)
        if number < SOURCE_PLANTS:
            hazardous.append(feature)
    number = len(features)
    for category, (count, *_, where) in _KINDS.items():
        if where == "plot":
            continue
        for place in _spots(places, rng, where, count):
            feature = _enterprise(places, rng, category, shapely.Point(place), number, None)
            features.append(feature)
            number += 1
    sizes = np.array([one.properties["workers_max"] for one in features])
    danger = np.array([one.properties["category"] in _DANGEROUS for one in features])
    score = np.log(sizes) + 1.6 * danger + rng.normal(0, 0.9, len(features))
    levels = rank_levels(rng, score, (0.03, 0.13, 0.44, 0.4), 0.1)
    for feature, level in zip(features, levels, strict=True):
        if level is not None:
            feature.properties["risk_level"] = level
    features = [features[row] for row in rng.permutation(len(features))]
    return numbered("QY", features), hazardous


_DANGEROUS: Final = (
    "chemical_production",
    "chemical_use",
    "steel",
    "fireworks",
    "tailings",
    "ammonia_cooling",
    "gas",
)


def _spots(places: Places, rng: np.random.Generator, where: str, count: int) -> Floats:
    if where == "hill":
        steep = places.terrain.slope
        near = places.near_roads(600) & places.terrain.land
        weight = np.where((steep > 0.1) & (steep < 0.5) & near, 1.0, 0.0)
        return places.draw(rng, weight / (places.people.density + 30.0), count)
    if where == "quiet":
        weight = places.road_weight({"tertiary": 1, "unclassified": 2, "residential": 0.5}, -0.6)
        return places.draw_roadside(rng, weight, count, (60, 180))
    weight = places.road_weight(
        {"primary": 4, "secondary": 3, "tertiary": 2, "residential": 0.7, "unclassified": 0.7}, 0.75
    )
    return places.draw_roadside(rng, weight, count, (18, 70), 0.2)


def _enterprise(
    places: Places,
    rng: np.random.Generator,
    category: str,
    shape: shapely.Point | shapely.Polygon,
    number: int,
    park: Park | None,
) -> Feature:
    _, zh, en, industry, (fewest, most), _ = _KINDS[category]
    word, word_en = _word(number + int(rng.integers(3)) * 5)
    unit = places.community_of(shape)
    if category in (
        "petrol_station",
        "gas",
        "commerce",
        "confined_space",
        "mine",
        "tailings",
        "fireworks",
        "micro_park",
    ):
        name, name_en = f"{stem(unit.name)}{word}{zh}", f"{stem_en(unit.name_en)} {word_en} {en}"
    else:
        street = places.unit(unit.code[:9])
        name, name_en = (
            f"{stem(street.name)}{word}{zh}",
            f"{stem_en(street.name_en)} {word_en} {en}",
        )
    workers = int(np.exp(rng.uniform(np.log(fewest), np.log(most))))
    tags = [tag for tag in _TAGS[category] if rng.random() < 0.6]
    properties: dict[str, Any] = {
        "name": name,
        "name_en": name_en,
        "category": category,
        "industry_code": industry,
        "workers_max": workers,
        "insured": bool(rng.random() < 0.82),
    }
    if tags:
        properties["risk_tags"] = tags
    if park is not None:
        properties["address"] = park.name
    code = pick(rng, {"green": 0.71, "yellow": 0.15, "red": 0.03, None: 0.11})
    if code is not None:
        properties["safety_code"] = code
        properties["safety_code_at"] = day_of(rng, "2026-07-01", 140)
    if code in ("red", "yellow"):
        properties["safety_code_reason"] = pick(
            rng, {"隐患逾期未整改": 0.4, "未作每日承诺": 0.35, "特种作业证过期": 0.25}
        )
    if rng.random() < 0.12:
        properties["daily_pledge_at"] = f"2026-11-2{int(rng.integers(0, 3))}T08:00:00+08:00"
    write_common(
        properties,
        rng,
        department=_DEPARTMENTS.get(category, "应急管理局"),
        admin_code=unit.code,
        responsible=0.25,
    )
    return Feature(shape, properties)


_DEPARTMENTS: Final = {
    "petrol_station": "商务局",
    "commerce": "商务局",
    "gas": "城市管理局",
    "hazardous_waste": "生态环境局",
    "micro_park": "工业和信息化局",
    "confined_space": "水务局",
}
