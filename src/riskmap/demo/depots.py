"""Depots of emergency supplies, and what they hold against what they should hold."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.places import Feature, Places, day_of, numbered, pick, stem, stem_en, write_common

# Level: Chinese, English, m², factor on the standard quantities. One for each district comes first.
_LEVELS: Final = {
    "city": ("市级应急物资储备库", "City Depot", (3000, 9000), 12.0),
    "county": ("应急物资储备库", "District Depot", (800, 3000), 4.0),
    "street": ("应急物资储备点", "Street Depot", (120, 700), 1.0),
    "community": ("应急物资储备站", "Community Depot", (20, 90), 0.25),
}
CITY_DEPOTS: Final = 2
STREET_DEPOTS: Final = 46
COMMUNITY_DEPOTS: Final = 16
# Code in the manner of GB/T 38565-2020 (7 digits, the first says the class), Chinese name, unit,
# usual quantity of a street, years that it keeps.
_ITEMS: Final = (
    ("1010101", "救灾帐篷", "顶", 60, 0),
    ("1010201", "棉被", "床", 300, 0),
    ("1010202", "棉大衣", "件", 260, 0),
    ("1010301", "折叠床", "张", 150, 0),
    ("1020101", "瓶装水", "箱", 400, 1),
    ("1020102", "方便食品", "箱", 300, 1),
    ("1030101", "急救包", "个", 120, 3),
    ("2010101", "救生衣", "件", 200, 0),
    ("2010201", "橡皮艇", "艘", 4, 0),
    ("2020101", "应急照明灯", "台", 12, 0),
    ("2020201", "卫星电话", "部", 2, 0),
    ("2030101", "灭火器", "具", 80, 5),
    ("3010101", "编织袋", "条", 3000, 0),
    ("3010201", "水泵", "台", 6, 0),
    ("3010301", "发电机", "台", 5, 0),
    ("9900001", "铁锹", "把", 90, 0),
)


def supply_depots(places: Places) -> list[Feature]:
    """Return the depots: of the city, of each district, of some streets and communities."""
    rng = places.random("supply-depots")
    by_people = sorted(places.districts, key=lambda unit: -unit.population)
    sites = [("city", unit) for unit in by_people[:CITY_DEPOTS]]
    sites += [("county", unit) for unit in places.districts]
    for level, units, count in (
        ("street", places.streets, STREET_DEPOTS),
        ("community", places.communities, COMMUNITY_DEPOTS),
    ):
        people = np.array([unit.population for unit in units], dtype=np.float64)
        rows = rng.choice(len(units), size=count, replace=False, p=people / people.sum())
        sites += [(level, units[row]) for row in np.sort(rows)]
    roads = places.roadside
    middle = (roads.start + roads.end) / 2
    usual = places.road_weight(
        {"primary": 1, "secondary": 1, "tertiary": 1, "residential": 0.7, "unclassified": 0.7}, 0.6
    )
    features = []
    for level, unit in sites:
        # A small community may have no road of its own: the weight elsewhere is not quite nothing.
        inside = shapely.contains_xy(unit.shape, middle)
        xy = places.draw_roadside(rng, usual * np.where(inside, 1.0, 1e-9), 1, (15, 50), 0.15)[0]
        features.append(_depot(places, rng, level, shapely.Point(xy)))
    return numbered("WZ", features, 4)


def _depot(places: Places, rng: np.random.Generator, level: str, point: shapely.Point) -> Feature:
    unit = places.community_of(point)
    owner = {"street": places.unit(unit.code[:9]), "community": unit}.get(
        level, places.unit(unit.code[:6])
    )
    zh, en, (low, high), factor = _LEVELS[level]
    kind = "physical" if level in ("city", "county") else None
    properties: dict[str, Any] = {
        "name": f"{stem(owner.name)}{zh}",
        "name_en": f"{stem_en(owner.name_en)} {en}",
        "depot_level": level,
        "reserve_type": kind or pick(rng, {"physical": 0.6, "production": 0.2, "social": 0.2}),
        "area_m2": round(float(rng.uniform(low, high))),
        "open_24h": bool(level in ("city", "county") or rng.random() < 0.4),
        "stock": _stock(rng, level, factor),
    }
    write_common(properties, rng, department="应急管理局", admin_code=unit.code, responsible=0.5)
    if "responsible_person" in properties:
        properties["keeper"] = properties["responsible_person"]
    return Feature(point, properties)


def _stock(rng: np.random.Generator, level: str, factor: float) -> list[dict[str, Any]]:
    count = {"city": 14, "county": 10, "street": 7, "community": 4}[level]
    rows = []
    for row in np.sort(rng.choice(len(_ITEMS), size=count, replace=False)):
        code, name, unit, usual, years = _ITEMS[row]
        standard = max(1, round(usual * factor))
        # Some stand below the standard, some above it.
        quantity = int(standard * rng.uniform(0.6, 1.25))
        item: dict[str, Any] = {
            "item_code": code,
            "name": name,
            "quantity": quantity,
            "unit": unit,
            "standard_quantity": standard,
            "checked_at": day_of(rng, "2026-09-01", 75),
        }
        if years:
            item["expires_on"] = day_of(rng, "2026-12-01", 365 * years)
        rows.append(item)
    return rows
