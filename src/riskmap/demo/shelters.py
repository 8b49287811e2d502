"""Shelters in all five grades, where people live; a few stand where they should not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely

from riskmap.demo.ground import Division, Floats
from riskmap.demo.places import Feature, Places, numbered, pick, stem, stem_en, write_common

SHELTERS: Final = 305
STEEPEST: Final = 0.14
# Deliberately inside a flash-flood zone, a flood area, or within 500 m of a chemical plant: which
# of our own shelters lie in danger is a question that riskmap answers.
IN_DANGER: Final = {"flash": 6, "flood": 5, "chemical": 3}
# m² of effective area for one person.
PER_CAPITA_M2: Final = {"emergency": 0.5, "short": 2.0, "long": 4.5}
_RADIUS_M: Final = {"emergency": 500, "short": 1000, "long": 2500}


@dataclass(frozen=True, slots=True)
class _Grade:
    """How shelters of a grade are: number, m² indoors and outdoors, share that is outdoors."""

    code: str
    count: int
    indoor_m2: tuple[float, float]
    outdoor_m2: tuple[float, float]
    outdoors: float
    duration: dict[str, float]


_GRADES: Final = (
    _Grade("province", 3, (0, 0), (120_000, 240_000), 1.0, {"long": 1}),
    _Grade("city", 12, (12_000, 30_000), (50_000, 130_000), 0.7, {"long": 0.7, "short": 0.3}),
    _Grade("county", 40, (5000, 16_000), (18_000, 60_000), 0.5, {"short": 0.7, "long": 0.3}),
    _Grade("township", 90, (1500, 7000), (5000, 20_000), 0.4, {"short": 0.7, "emergency": 0.3}),
    _Grade("village", 160, (180, 1300), (900, 5000), 0.3, {"emergency": 0.6, "short": 0.4}),
)
_NAMES: Final[dict[tuple[str, bool], tuple[tuple[str, str], ...]]] = {
    ("province", True): (("应急避难公园", "Emergency Park"),),
    ("city", True): (("中央公园", "Central Park"), ("体育公园", "Sports Park")),
    ("city", False): (("体育中心", "Sports Centre"), ("会展中心", "Exhibition Hall")),
    ("county", True): (("人民公园", "People's Park"), ("市民广场", "Civic Square")),
    ("county", False): (("体育馆", "Gymnasium"), ("中学", "High School")),
    ("township", True): (("广场", "Square"), ("公园", "Park")),
    ("township", False): (
        ("小学", "Primary School"),
        ("文化中心", "Culture Centre"),
        ("避灾安置中心", "Shelter Centre"),
    ),
    ("village", True): (("游园", "Garden"), ("健身广场", "Fitness Square")),
    ("village", False): (
        ("党群服务中心", "Community Centre"),
        ("文化礼堂", "Culture Hall"),
        ("避灾安置点", "Shelter"),
    ),
}


def shelters(
    places: Places, flash: list[Feature], flood: list[Feature], plants: list[Feature]
) -> list[Feature]:
    """Return the shelters; `flash`, `flood` and `plants` are what most of them keep out of."""
    rng = places.random("shelters")
    rings = [plant.shape.buffer(500) for plant in plants]
    danger = shapely.STRtree([*(zone.shape for zone in (*flash, *flood)), *rings])
    todo = _sites(places, rng, danger)
    inside = _in_danger(places, rng, flash, flood, rings)
    # They replace those drawn last, which are of the lowest grade.
    todo[len(todo) - len(inside) :] = [(_GRADES[-1], xy, False) for xy in inside]
    features = []
    for grade, xy, outdoors in todo:
        unit = places.communities[int(places.community_at(xy[None])[0])]
        features.append(_shelter(places, rng, grade, xy, outdoors, unit))
    features = [features[row] for row in rng.permutation(len(features))]
    return numbered("BN", features, 4)


def _sites(
    places: Places, rng: np.random.Generator, danger: shapely.STRtree
) -> list[tuple[_Grade, Floats, bool]]:
    """Draw a place for each shelter: by people, at most one of a grade in a community."""
    people = places.people
    share = people.cell_people / people.cell_people.sum()
    found: list[tuple[_Grade, Floats, bool]] = []
    for grade in _GRADES:
        # The lower grades reach the villages, too.
        power = 1.0 if grade.code in ("province", "city", "county") else 0.7
        weight = share**power
        cells = rng.choice(len(share), size=40 * grade.count, p=weight / weight.sum())
        shift = rng.uniform(-0.5, 0.5, (len(cells), 2)) * people.cell_m
        xy = people.cell_xy[cells] + shift
        fine = places.usable(xy) & (places.slope_at(xy) < STEEPEST / 2)
        used: set[str] = set()
        for place in xy[fine]:
            if len(used) == grade.count:
                break
            unit = places.communities[int(places.community_at(place[None])[0])]
            outdoors = bool(rng.random() < grade.outdoors)
            size = 90.0 if not outdoors else 60 + float(np.sqrt(grade.outdoor_m2[1]))
            area = shapely.Point(place).buffer(size)
            crowded = any(np.hypot(*(place - other)) < 2 * size for _, other, _ in found)
            if (
                _area_of(grade, unit) in used
                or crowded
                or len(danger.query(area, predicate="intersects"))
            ):
                continue
            if outdoors and not _level(places, place, size):
                continue
            used.add(_area_of(grade, unit))
            found.append((grade, place, outdoors))
        if len(used) < grade.count:
            raise ValueError(f"{len(used)} places for shelters of grade {grade.code}")
    return found


def _area_of(grade: _Grade, unit: Division) -> str:
    """Return what holds one shelter of a grade at most: a community, or a street of the larger."""
    return unit.code if grade.code == "village" else unit.code[:9]


def _level(places: Places, xy: Floats, size_m: float) -> bool:
    """Say whether the ground around is dry and level."""
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    around = xy + size_m * np.column_stack([np.cos(turn), np.sin(turn)])
    return bool(places.usable(around).all() and (places.slope_at(around) < STEEPEST).all())


def _in_danger(
    places: Places,
    rng: np.random.Generator,
    flash: list[Feature],
    flood: list[Feature],
    rings: list[Any],
) -> list[Floats]:
    found: list[Floats] = []
    shapes = {
        "flash": [zone.shape for zone in flash],
        "flood": [zone.shape for zone in flood],
        "chemical": rings,
    }
    for kind, count in IN_DANGER.items():
        here = shapes[kind]
        taken = 0
        for row in rng.permutation(len(here)):
            west, south, east, north = here[row].bounds
            xy = rng.uniform((west, south), (east, north), (60, 2))
            xy = xy[shapely.contains_xy(here[row], xy) & places.usable(xy)]
            xy = xy[(places.slope_at(xy) < STEEPEST) & (places.density_at(xy) > 20)]
            if len(xy):
                found.append(xy[0])
                taken += 1
            if taken == count:
                break
    return found


def _outline(xy: Floats, area_m2: float, rng: np.random.Generator) -> shapely.Polygon:
    """Return a block with rounded corners and about that area."""
    aspect = float(rng.uniform(0.6, 1.0))
    width, height = np.sqrt(area_m2 / aspect), np.sqrt(area_m2 * aspect)
    turn = float(rng.uniform(0, np.pi))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2]
    corners += rng.uniform(-0.08, 0.08, (4, 2)) * [width, height]
    across = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    round_m = 0.12 * height
    block = shapely.Polygon(corners @ across + xy)
    return block.buffer(-round_m).buffer(round_m, quad_segs=3)


def _shelter(
    places: Places,
    rng: np.random.Generator,
    grade: _Grade,
    xy: Floats,
    outdoors: bool,
    unit: Division,
) -> Feature:
    street = places.unit(unit.code[:9])
    owner = unit if grade.code == "village" else street
    if grade.code in ("province", "city", "county"):
        owner = unit if rng.random() < 0.5 else street
    zh, en = _NAMES[grade.code, outdoors][int(rng.integers(len(_NAMES[grade.code, outdoors])))]
    low, high = grade.outdoor_m2 if outdoors else grade.indoor_m2
    total_m2 = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    shape: shapely.Point | shapely.Polygon = shapely.Point(xy)
    if outdoors:
        shape = _outline(xy, total_m2, rng)
        total_m2 = shape.area
    total = round(total_m2)
    effective = round(total_m2 * rng.uniform(0.45, 0.75))
    duration = pick(rng, grade.duration)
    per_capita = PER_CAPITA_M2[duration]
    capacity, source = int(effective / per_capita), "derived"
    if rng.random() < 0.35:
        capacity, source = max(50, 10 * round(capacity * rng.uniform(0.7, 1.0) / 10)), "entered"
    status = pick(
        rng,
        {"standby": 0.8, "open": 0.09, "full": 0.02, "closed": 0.06, "damaged": 0.01, None: 0.02},
    )
    properties: dict[str, Any] = {
        "name": f"{stem(owner.name)}{zh}",
        "name_en": f"{stem_en(owner.name_en)} {en}",
        "admin_grade": grade.code,
        "duration_class": duration,
        "space_type": "outdoor" if outdoors else "indoor",
        "function_type": pick(rng, {"comprehensive": 0.6, "single": 0.3, "specific": 0.1}),
        "suitable_hazards": _suitable(rng, outdoors),
        "total_area_m2": total,
        "effective_area_m2": effective,
        "per_capita_m2": per_capita,
        "capacity_persons": capacity,
        "capacity_source": source,
        "accessible": bool(rng.random() < 0.7),
        "facilities": [one for one in _FACILITIES if rng.random() < 0.65],
        "service_radius_m": _RADIUS_M[duration],
        "standard_compliant": bool(rng.random() < 0.6),
    }
    legacy = pick(rng, {_LEGACY[duration]: 0.3, None: 0.7})
    if legacy is not None:
        properties["legacy_class"] = legacy
    if status is not None:
        properties["open_status"] = status
    full = {"open": float(rng.uniform(0.05, 0.8)), "full": 1.0}.get(status, 0.0)
    properties["current_occupancy"] = int(capacity * full)
    write_common(
        properties,
        rng,
        department="应急管理局" if grade.code != "village" else "民政局",
        admin_code=unit.code,
        responsible=0.6,
    )
    return Feature(shape, properties)


_FACILITIES: Final = ("water", "power", "toilet", "medical", "broadcast")
_LEGACY: Final = {"emergency": "gb51143-emergency", "short": "gb51143-short", "long": "gb21734-1"}


def _suitable(rng: np.random.Generator, outdoors: bool) -> list[str]:
    if outdoors:
        found = ["earthquake", "fire"]
        return [*found, "chemical"] if rng.random() < 0.2 else found
    found = ["flood", "typhoon", "geohazard"]
    if rng.random() < 0.3:
        found.append("chemical")
    return found


def link_shelters(
    places: Places, hazards: list[Feature], found: list[Feature], most_m: float
) -> None:
    """Name in each hazard with people the nearest shelter outside it, if one is near enough."""
    tree = shapely.STRtree([shelter.shape for shelter in found])
    for hazard in hazards:
        people = hazard.properties.get("threatened_persons", hazard.properties.get("persons", 0))
        if not people:
            continue
        near = tree.query(hazard.shape, predicate="dwithin", distance=most_m)
        gaps = [(hazard.shape.distance(found[row].shape), int(row)) for row in near]
        outside = [gap for gap in gaps if gap[0] > 0]
        if outside:
            hazard.properties["shelter_code"] = found[min(outside)[1]].properties["code"]
