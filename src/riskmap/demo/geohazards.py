"""Geohazards on the slopes and in the plain, and the faults under the city."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.ground import Floats
from riskmap.demo.places import (
    Feature,
    Places,
    lines_of,
    numbered,
    pick,
    rank_levels,
    stem,
    stem_en,
    write_common,
)

GEOHAZARDS: Final = 2331
FAULTS: Final = 9
# Rise over run of a cell of 100 m: 0.08 is 5 degrees, and steeper where a road cuts into it. What
# slides or falls needs at least that.
STEEP: Final = 0.08
ON_SLOPES: Final = ("landslide", "collapse", "unstable_slope")
_SINKING: Final = ("ground_collapse", "ground_fissure", "land_subsidence")
# Off the roads a team walks; far from them no team comes in time.
OFF_ROAD: Final = 240
REMOTE: Final = 130
ON_ISLAND: Final = 6

# Type: number, Chinese, English, code of the type in a national site code.
_TYPES: Final[dict[str, tuple[int, str, str, str]]] = {
    "landslide": (1012, "滑坡", "landslide", "01"),
    "collapse": (603, "崩塌", "rock fall", "02"),
    "unstable_slope": (391, "不稳定斜坡", "unstable slope", "00"),
    "debris_flow": (214, "泥石流", "debris flow", "03"),
    "ground_collapse": (74, "地面塌陷", "ground collapse", "04"),
    "ground_fissure": (19, "地裂缝", "ground fissure", "05"),
    "land_subsidence": (18, "地面沉降", "land subsidence", "06"),
}
# Grades of size in 10,000 m³: a landslide of 10 is medium, of 100 large, of 1000 extra large.
_SIZES: Final = {
    "landslide": (10.0, 100.0, 1000.0),
    "unstable_slope": (10.0, 100.0, 1000.0),
    "collapse": (1.0, 10.0, 100.0),
    "debris_flow": (2.0, 20.0, 50.0),
}
GRADES: Final = ("small", "medium", "large", "extra_large")
DANGER_PERSONS: Final = (100, 500, 1000)
DANGER_WAN_YUAN: Final = (500, 5000, 10_000)
_SPOTS: Final = (
    ("北坡", "North Slope"),
    ("南坡", "South Slope"),
    ("东坡", "East Slope"),
    ("西坡", "West Slope"),
    ("后山", "Back Hill"),
    ("石梁", "Stone Ridge"),
    ("沟口", "Gully Mouth"),
    ("大坡", "Long Slope"),
    ("老屋后", "Old House"),
    ("岭下", "Below the Ridge"),
    ("公路边", "Roadside"),
    ("采石坑", "Old Quarry"),
)
_FLAT_SPOTS: Final = (("东片", "East"), ("西片", "West"), ("老井旁", "Old Well"), ("场院", "Yard"))


def grade_of(value: float, limits: tuple[float, ...]) -> str:
    """Return the grade of a value: a limit itself belongs to the grade above it."""
    return GRADES[int(np.searchsorted(limits, value, side="right"))]


def danger_grade(persons: int, property_wan_yuan: float) -> str:
    """Return the danger grade: the higher of what persons and property give."""
    return max(
        grade_of(persons, DANGER_PERSONS),
        grade_of(property_wan_yuan, DANGER_WAN_YUAN),
        key=GRADES.index,
    )


def _sites(places: Places, rng: np.random.Generator) -> list[tuple[str, Floats, bool]]:
    """Return type, place, and whether it is remote."""
    terrain = places.terrain
    # Cut slopes beside roads slide most, and where people live each slide is surveyed.
    beside, near = places.near_roads(350), places.near_roads(3000)
    lived_in = np.power(places.near_people(1200) + 5.0, 0.3)
    steep = np.where(terrain.slope >= STEEP, np.minimum(terrain.slope, 0.8) ** 1.2, 0.0)
    steep = np.where(terrain.land, steep, 0.0) * lived_in
    types = [name for name in ON_SLOPES for _ in range(_TYPES[name][0])]
    rng.shuffle(types)
    away = np.where(near, 0.0, steep)
    remote = min(REMOTE, int(np.count_nonzero(away)) // 4)
    usual = len(types) - OFF_ROAD - remote
    drawn = [(xy, True) for xy in places.draw(rng, away, remote)]
    drawn += [(xy, False) for xy in places.draw(rng, steep * (near & ~beside), OFF_ROAD)]
    drawn += [(xy, False) for xy in places.draw(rng, steep * beside, usual)]
    sites = [(name, xy, far_off) for name, (xy, far_off) in zip(types, drawn, strict=True)]
    # Debris flows come down valleys; the rest sinks in the plain where people live, and on the
    # island that no bridge reaches.
    valley = steep * ((terrain.river_m > 60) & (terrain.river_m < 1500) & places.near_roads(900))
    flows = _TYPES["debris_flow"][0]
    sites += [("debris_flow", xy, False) for xy in places.draw(rng, valley, flows)]
    types = [name for name in _SINKING for _ in range(_TYPES[name][0])]
    flat = np.where((terrain.slope < 0.05) & terrain.land & beside, lived_in, 0.0)
    island = _on_island(places, rng, ON_ISLAND)
    plain = places.draw(rng, flat, len(types) - len(island))
    sites += [(name, xy, True) for name, xy in zip(types, island, strict=False)]
    sites += [(name, xy, False) for name, xy in zip(types[len(island) :], plain, strict=True)]
    return sites


def _on_island(places: Places, rng: np.random.Generator, count: int) -> Floats:
    """Return places on the island that no bridge reaches."""
    island = places.terrain.lonely_island
    west, south, east, north = island.bounds
    xy = rng.uniform((west, south), (east, north), (4000, 2))
    return np.asarray(xy[shapely.contains_xy(island, xy) & places.usable(xy)][:count])


def geohazard_points(places: Places) -> list[Feature]:
    """Return the geohazards, in random order so that codes say nothing about types."""
    rng = places.random("geohazard-points")
    sites = _sites(places, rng)
    sites = [sites[row] for row in rng.permutation(len(sites))]
    xy = np.array([place for _, place, _ in sites])
    units = places.community_at(xy)
    density = places.density_at(xy)
    slope = places.slope_at(xy)
    rivers_m = places.grid.sample(places.terrain.river_m, xy)
    remote = np.array([far for _, _, far in sites])
    scale = np.where(remote, 0.35, 0.6 + np.sqrt(density / 350))
    persons = np.rint(rng.lognormal(2.6, 1.15, len(sites)) * scale).astype(np.int64)
    persons = np.clip(persons, 0, 2600)
    unstable = rng.random(len(sites))
    score = np.log1p(persons) + 2.6 * unstable + 1.5 * np.minimum(slope, 0.6)
    levels = rank_levels(rng, score, (0.035, 0.14, 0.42, 0.405), 0.11)
    serial: dict[tuple[str, str], int] = {}
    features = []
    for row, (kind, place, _) in enumerate(sites):
        community = places.communities[units[row]]
        _, zh, en, type_code = _TYPES[kind]
        spots = _SPOTS if slope[row] >= STEEP else _FLAT_SPOTS
        spot = spots[int(rng.integers(len(spots)))]
        division = community.code[:6]
        number = serial[division, type_code] = serial.get((division, type_code), 0) + 1
        properties: dict[str, Any] = {
            "name": f"{stem(community.name)}{spot[0]}{zh}",
            "name_en": f"{stem_en(community.name_en)} {spot[1]} {en}",
            "hazard_type": kind,
            "unified_code": f"{division}{type_code}{number:04d}",
        }
        if levels[row] is not None:
            properties["risk_level"] = levels[row]
        properties |= _size(rng, kind)
        properties |= _danger(rng, int(persons[row]), unstable[row])
        properties["trigger"] = _triggers(rng, kind, rivers_m[row])
        properties |= _watch(rng, properties.get("risk_level"))
        write_common(
            properties, rng, department="自然资源局", admin_code=community.code, responsible=0.3
        )
        features.append(Feature(shapely.Point(place), properties))
    return numbered("DZ", features)


def _size(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    if kind in _SIZES:
        small = _SIZES[kind][0]
        volume = round(float(np.clip(rng.lognormal(np.log(small * 0.45), 1.5), 0.05, 2500)), 2)
        grade = grade_of(volume, _SIZES[kind])
        return {"scale_value": volume, "scale_unit": "wan_m3", "scale_grade": grade}
    if kind == "ground_fissure":
        return {"scale_value": int(rng.integers(40, 900)), "scale_unit": "m"}
    return {"scale_value": round(float(rng.uniform(0.01, 0.9)), 2), "scale_unit": "km2"}


def _danger(rng: np.random.Generator, persons: int, unstable: float) -> dict[str, Any]:
    households = -(-persons // 3) if persons else 0
    wan_yuan = int(households * rng.uniform(8, 24) + rng.uniform(5, 60))
    found = {
        "stability": "差" if unstable > 0.7 else "较差" if unstable > 0.25 else "好",
        "susceptibility": ("low", "medium", "high", "very_high")[min(3, int(unstable * 4.2))],
        "threatened_households": households,
        "threatened_persons": persons,
        "threatened_property": wan_yuan,
        "danger_grade": danger_grade(persons, wan_yuan),
    }
    if rng.random() < 0.06:
        found["disaster_grade"] = pick(rng, {"small": 0.85, "medium": 0.15})
    return found


def _triggers(rng: np.random.Generator, kind: str, river_m: float) -> list[str]:
    if kind in ("ground_collapse", "land_subsidence"):
        return ["water_level"] if rng.random() < 0.6 else ["excavation", "other"]
    if kind == "ground_fissure":
        return ["earthquake", "water_level"]
    found = ["rainfall"]
    if rng.random() < 0.3:
        found.append("excavation")
    if rng.random() < 0.12:
        found.append("earthquake")
    if river_m < 250:
        found.append("water_level")
    return found


def _watch(rng: np.random.Generator, level: int | None) -> dict[str, Any]:
    watched = {1: "专业监测", 2: "普适型监测设备", 3: "简易监测", 4: "目视检查"}
    found = {
        "monitoring_method": watched[level] if level is not None else "目视检查",
        "alarm_method": pick(rng, {"鸣锣报警": 0.4, "应急广播": 0.35, "电话、短信": 0.25}),
        "treatment_status": pick(
            rng, {"群测群防": 0.72, "工程治理": 0.16, "避险搬迁": 0.08, "销号": 0.04}
        ),
    }
    if level in (1, 2):
        found["trend"] = pick(rng, {"加剧": 0.4, "基本稳定": 0.6})
    return found


def fault_lines(places: Places) -> list[Feature]:
    """Return long, gently bent faults: most run north-east, some across them."""
    rng = places.random("fault-lines")
    west, south, east, north = places.terrain.land_shape.bounds
    features: list[Feature] = []
    names = list("青云苍石龙白沙松柳竹")
    while len(features) < FAULTS:
        number = len(features)
        across = number % 3 == 2
        strike = float(rng.normal(130 if across else 40, 9)) % 180
        length_m = float(rng.uniform(26_000, 52_000) if across else rng.uniform(45_000, 105_000))
        middle = rng.uniform((west, south), (east, north))
        shape = _trace(rng, middle, strike, length_m)
        parts = [
            line
            for line in lines_of(shape.intersection(places.terrain.land_shape))
            if line.length > 4000
        ]
        parts = [
            line
            for line in lines_of(places.free_of_water(shapely.MultiLineString(parts)))
            if line.length > 1500
        ]
        if sum(line.length for line in parts) < 0.4 * length_m:
            continue
        buried = bool(rng.random() < 0.45)
        age = pick(rng, {"全新世": 0.3, "晚更新世": 0.3, "早中更新世": 0.25, "前第四纪": 0.15})
        character = names[number]
        properties: dict[str, Any] = {
            "name": f"{character}岭—{names[(number + 3) % 10]}湾断裂",
            "name_en": f"Demo fault {number + 1}",
            "fault_type": pick(rng, {"走滑": 0.4, "正断层": 0.3, "逆断层": 0.3}),
            "activity_age": age,
            "is_seismogenic": age == "全新世",
            "is_buried": buried,
            "dip_deg": int(rng.integers(50, 86)),
            "strike_deg": round(strike),
            "map_scale": 50_000 if number < 5 else 250_000,
        }
        if buried:
            properties["cover_thickness_m"] = int(rng.integers(12, 130))
        write_common(properties, rng, department="地震局", admin_code=None)
        properties["admin_code"] = places.admin_code(parts[0])[:6]
        features.append(Feature(shapely.MultiLineString(parts), properties))
    return numbered("DL", features, 3)


def _trace(
    rng: np.random.Generator, middle: Floats, strike_deg: float, length_m: float
) -> shapely.LineString:
    """Return a line whose direction wanders by a few degrees; strike is from north, clockwise."""
    count = int(length_m / 900)
    turn = np.cumsum(rng.normal(0, 2.0, count))
    turn = np.convolve(turn - turn.mean(), np.ones(9) / 9, "same")
    angle = np.radians(strike_deg + np.clip(turn, -24, 24))
    steps = np.column_stack([np.sin(angle), np.cos(angle)]) * 900
    path = np.cumsum(steps, axis=0)
    line = shapely.LineString(path - path[count // 2] + middle)
    return lines_of(line.simplify(25))[0]
