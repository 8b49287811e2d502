"""Rescue teams of five categories: stations where people live, others where they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.ground import Division, Floats
from riskmap.demo.places import (
    Feature,
    Places,
    box_mean,
    numbered,
    pick,
    stem,
    stem_en,
    write_common,
)

TEAMS: Final = 383
PERSONNEL: Final = 26_000
MICRO_STATIONS: Final = 49
MICRO_TRUCKS: Final = 20
MICRO_TWO_WHEELERS: Final = 100
# 5 kinds and 128 pieces in each micro station.
MICRO_PIECES: Final = 128
TRUCK: Final = "小型应急消防救援车"
TWO_WHEELER: Final = "两轮电动应急消防车"


@dataclass(frozen=True, slots=True)
class _Sort:
    """A sort of team: how many, what they are, how large, where.

    `where` is people (spread where people live), park (beside industry), coast, hill or city
    (drawn by density).
    """

    count: int
    kind: str
    category: str
    level: str
    zh: str
    en: str
    personnel: tuple[int, int]
    specialties: tuple[str, ...]
    where: str
    mode: str = "fire_truck"
    department: str = "应急管理局"


# A table: one entry a sort.
# fmt: off
_SORTS: Final = (
    _Sort(92, "fire_station", "national_fire", "county", "消防救援站", "Fire Station", (38, 70),
          ("fire", "earthquake_geo", "flood"), "people", department="消防救援支队"),
    _Sort(48, "small_fire_station", "national_fire", "township", "小型消防救援站",
          "Small Fire Station", (15, 25), ("fire",), "people", department="消防救援支队"),
    _Sort(56, "joint_station", "grassroots", "township", "综合应急消防救援站",
          "Joint Rescue Station", (18, 36), ("fire", "flood", "earthquake_geo"), "people"),
    _Sort(MICRO_STATIONS, "micro_station", "grassroots", "community", "微型消防站",
          "Micro Fire Station", (6, 12), ("fire",), "city", "two_wheel"),
    _Sort(4, "rescue_base", "professional", "city", "综合救援基地", "Rescue Base", (180, 320),
          ("work_safety", "earthquake_geo", "water"), "park"),
    _Sort(6, "team", "military", "city", "武警救援分队", "Armed Police Rescue Unit", (150, 320),
          ("flood", "earthquake_geo"), "city", department="武警支队"),
    _Sort(18, "team", "military", "county", "民兵应急分队", "Militia Emergency Unit", (90, 220),
          ("flood", "forest_fire"), "city", department="人民武装部"),
    _Sort(10, "team", "professional", "city", "危化品应急救援队", "Hazmat Rescue Team",
          (50, 140), ("work_safety", "fire"), "park"),
    _Sort(4, "team", "professional", "county", "矿山救护队", "Mine Rescue Team", (40, 90),
          ("work_safety",), "hill"),
    _Sort(16, "team", "professional", "county", "森林消防队", "Forest Fire Team", (60, 160),
          ("forest_fire",), "hill"),
    _Sort(8, "team", "professional", "enterprise", "燃气抢险队", "Gas Repair Team", (40, 100),
          ("work_safety",), "city", department="城市管理局"),
    _Sort(8, "team", "professional", "city", "海上搜救队", "Marine Rescue Team", (40, 120),
          ("marine", "water"), "coast", "boat", "海事局"),
    _Sort(6, "team", "professional", "enterprise", "电力抢修队", "Power Repair Team", (60, 160),
          ("other",), "city"),
    _Sort(3, "team", "professional", "enterprise", "轨道交通应急队", "Metro Emergency Team",
          (60, 120), ("metro",), "city", department="交通运输局"),
    _Sort(3, "team", "professional", "city", "应急通信保障队", "Communications Team", (40, 80),
          ("comms",), "city", department="通信管理局"),
    _Sort(24, "team", "social", "city", "志愿救援队", "Volunteer Rescue Team", (50, 180),
          ("water", "earthquake_geo", "medical"), "city"),
    _Sort(2, "team", "social", "city", "航空救援队", "Air Rescue Team", (30, 60),
          ("aviation", "medical"), "city", "air"),
    _Sort(26, "team", "grassroots", "township", "综合应急救援队", "Township Rescue Team",
          (60, 140), ("flood", "forest_fire"), "city"),
)
# fmt: on
_TIERS: Final = {"micro_station": 1, "small_fire_station": 2, "joint_station": 2, "fire_station": 3}
# Square of 2 x 3.5 km around a station that counts as served when the next one is sited.
_SERVED_M: Final = 3500.0


def rescue_teams(places: Places) -> list[Feature]:
    """Return the teams; personnel, micro stations and their vehicles add up as published."""
    rng = places.random("rescue-teams")
    spread = [sort for sort in _SORTS if sort.where == "people"]
    sites = _stations(places, rng, sum(sort.count for sort in spread))
    # The stations sited first serve most people: they are the full ones.
    features: list[Feature] = []
    free = list(range(len(sites)))
    for sort in _SORTS:
        if sort.where == "people":
            rows, free = free[: sort.count], free[sort.count :]
            xy = sites[rows]
        else:
            xy = _drawn(places, rng, sort)
        features += [_team(places, rng, sort, place) for place in xy]
    _fill(rng, features)
    _equip(rng, features)
    features = [features[row] for row in rng.permutation(len(features))]
    return numbered("JY", features, 4)


def _stations(places: Places, rng: np.random.Generator, count: int) -> Floats:
    """Site stations one by one, each where most people are not served yet."""
    people = places.people
    corner = people.cell_xy.min(axis=0)
    column, row = np.rint((people.cell_xy - corner) / people.cell_m).astype(np.int64).T
    left = np.zeros((row.max() + 1, column.max() + 1))
    left[row, column] = people.cell_people
    half = round(_SERVED_M / people.cell_m)
    lonely = places.terrain.lonely_island
    found: list[Floats] = []
    while len(found) < count:
        at = int(np.argmax(box_mean(left, half)))
        r, c = divmod(at, left.shape[1])
        centre = corner + np.array([c, r]) * people.cell_m
        window = left[max(0, r - half) : r + half + 1, max(0, c - half) : c + half + 1]
        site = _beside_road(places, rng, centre)
        if site is not None and not lonely.contains(shapely.Point(site)):
            found.append(site)
            window *= 0.12
        else:
            window *= 0.0
        if left.max() <= 0:
            raise ValueError(f"{len(found)} sites for stations, {count} are needed")
    return np.array(found)


def _beside_road(places: Places, rng: np.random.Generator, centre: Floats) -> Floats | None:
    """Return a dry place beside the road nearest to a point, None when it is 2 km off."""
    for _ in range(12):
        near = shapely.Point(centre + rng.normal(0, 250, 2))
        line = shapely.LineString(
            shapely.get_coordinates(
                places.roadside.tree.geometries[places.roadside.tree.nearest(near)]
            )
        )
        at = line.interpolate(line.project(near))
        # A little beyond the kerb, on the side that the point lies on.
        gap = max(1.0, at.distance(near))
        step = (np.array([near.x, near.y]) - [at.x, at.y]) / gap * min(gap, 25.0)
        xy = np.array([at.x, at.y]) + step
        if (
            np.hypot(*(xy - centre)) < 2000
            and places.usable(xy[None])[0]
            and places.slope_at(xy[None])[0] < 0.2
        ):
            return xy
    return None


def _drawn(places: Places, rng: np.random.Generator, sort: _Sort) -> Floats:
    """Draw the places of a sort of team beside roads."""
    roads = places.roadside
    middle = (roads.start + roads.end) / 2
    weight = places.road_weight(
        {"primary": 1, "secondary": 1, "tertiary": 1, "residential": 0.6, "unclassified": 0.6}, 0.8
    )
    if sort.where == "park":
        parks = [park.shape for park in places.people.parks if park.kind != "general"]
        around = shapely.union_all(parks).buffer(900)
        weight = np.where(shapely.contains_xy(around, middle), weight, 0.0)
    elif sort.where == "coast":
        line = shapely.union_all([part.exterior for part in places.terrain.land_shape.geoms][:1])
        near = shapely.dwithin(shapely.points(middle), line, 2500)
        weight = np.where(near, weight, 0.0)
    elif sort.where == "hill":
        hills = box_mean(places.terrain.slope, round(1500 / places.grid.cell_m))
        weight = np.where(places.grid.sample(hills, middle) > 0.08, weight, 0.0)
    lonely = places.terrain.lonely_island
    weight = np.where(shapely.contains_xy(lonely, middle), 0.0, weight)
    return places.draw_roadside(rng, weight, sort.count, (15, 45), 0.25)


def _team(places: Places, rng: np.random.Generator, sort: _Sort, xy: Floats) -> Feature:
    unit = places.communities[int(places.community_at(xy[None])[0])]
    owner: Division = unit
    if sort.level in ("township", "county", "enterprise"):
        owner = places.unit(unit.code[:9])
    if sort.where != "people" and sort.level == "city":
        owner = places.unit(unit.code[:6])
    manned = sort.kind != "team"
    duty = {"on_duty": 0.9, "standby": 0.03, "dispatched": 0.07, "off": 0.0}
    if not manned:
        duty = {"on_duty": 0.3, "standby": 0.55, "dispatched": 0.05, "off": 0.1}
    social = sort.category == "social"
    properties: dict[str, Any] = {
        "name": f"{stem(owner.name)}{sort.zh}",
        "name_en": f"{stem_en(owner.name_en)} {sort.en}",
        "kind": sort.kind,
        "category": sort.category,
        "level": sort.level,
        "specialties": list(sort.specialties),
        "personnel": int(rng.integers(sort.personnel[0], sort.personnel[1] + 1)),
        "duty_status": pick(rng, duty),
        "duty_hours": "按排班" if social else "24h",
        "mode": sort.mode,
        "responds_outside": bool(sort.level == "city" or rng.random() < 0.2),
    }
    if sort.kind in _TIERS:
        properties["tier"] = _TIERS[sort.kind]
        properties["station_standard"] = pick(rng, {"met": 0.7, "in_progress": 0.2, "not_met": 0.1})
    if sort.kind == "team":
        properties["turnout_s"] = int(rng.choice([180, 240, 300] if social else [120, 180, 300]))
    elif rng.random() < 0.3:
        properties["turnout_s"] = int(rng.choice([45, 60, 75]))
    if social:
        properties["licensed"] = bool(rng.random() < 0.5)
        if properties["licensed"]:
            properties["licensed_at"] = "2025-11-09"
    write_common(properties, rng, department=sort.department, admin_code=unit.code, responsible=0.5)
    if "responsible_phone" in properties:
        properties["contact_phone"] = properties["responsible_phone"]
    return Feature(shapely.Point(xy), properties)


def _fill(rng: np.random.Generator, features: list[Feature]) -> None:
    """Bring the personnel to the published sum by the teams that keep no station."""
    teams = [
        one.properties for one in features if one.properties["kind"] in ("team", "rescue_base")
    ]
    stations = sum(one.properties["personnel"] for one in features) - sum(
        one["personnel"] for one in teams
    )
    drawn = np.array([one["personnel"] for one in teams], dtype=np.float64)
    wanted = drawn * (PERSONNEL - stations) / drawn.sum()
    whole = np.floor(wanted).astype(np.int64)
    rest = PERSONNEL - stations - int(whole.sum())
    # Largest remainders, so that no team is off its share by a whole person.
    whole[np.argsort(-(wanted - whole), kind="stable")[:rest]] += 1
    for one, personnel in zip(teams, whole, strict=True):
        one["personnel"] = int(personnel)
    for feature in features:
        one = feature.properties
        share = 0.0 if one["duty_status"] == "off" else float(rng.uniform(0.3, 0.7))
        one["on_duty_personnel"] = int(one["personnel"] * share)


def _rows(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"type": name, "count": count, "usable": count} for name, count in pairs if count]


def _equip(rng: np.random.Generator, features: list[Feature]) -> None:
    """Give vehicles and equipment; those of the micro stations add up as published."""
    micro = [one.properties for one in features if one.properties["kind"] == "micro_station"]
    trucks = set(rng.permutation(len(micro))[:MICRO_TRUCKS].tolist())
    two, more = divmod(MICRO_TWO_WHEELERS, len(micro))
    for row, one in enumerate(micro):
        one["vehicles"] = _rows((TRUCK, int(row in trucks)), (TWO_WHEELER, two + (row < more)))
        if row in trucks:
            one["mode"] = "mini_truck"
        one["equipment"] = _rows(
            ("灭火器", 48), ("水带水枪", 24), ("防护装备", 30), ("破拆工具", 14), ("照明警戒", 12)
        )
    for feature in features:
        one = feature.properties
        if one["kind"] == "fire_station":
            one["vehicles"] = _rows(
                ("水罐消防车", int(rng.integers(2, 5))),
                ("泡沫消防车", 1),
                ("举高消防车", int(rng.random() < 0.5)),
                ("抢险救援车", 1),
            )
        elif one["kind"] in ("small_fire_station", "joint_station"):
            one["vehicles"] = _rows(("水罐消防车", 1), ("抢险救援车", int(rng.random() < 0.6)))
        elif one["mode"] == "boat":
            one["vehicles"] = _rows(("救助艇", int(rng.integers(2, 6))))
        elif one["mode"] == "air":
            one["vehicles"] = _rows(("救援直升机", int(rng.integers(1, 3))))
        elif one["kind"] in ("team", "rescue_base"):
            one["vehicles"] = _rows(
                ("运兵车", int(rng.integers(1, 5))), ("装备车", int(rng.integers(1, 4)))
            )
