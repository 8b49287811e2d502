"""Where water endangers people: flash floods along hill streams, floods of rivers and the sea."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.demo.ground import Floats
from riskmap.demo.places import (
    Feature,
    Places,
    blob,
    lines_of,
    numbered,
    polygons_of,
    rank_levels,
    stem,
    stem_en,
    tiles_of,
    write_common,
)
from riskmap.demo.streams import Stream, hill_streams

FLASH_FLOODS: Final = 1407
FLOOD_AREAS: Final = 82
# Metres between the middle of a zone and the stream or river that floods it, at most.
ALONG_M: Final = 60.0

_GRADES: Final = ("极高危险区", "高危险区", "危险区")
# Rain in mm that calls for preparing and for leaving, by minutes; practice of a hill county.
_RAIN_MM: Final = {60: (45.0, 65.0), 180: (75.0, 105.0), 360: (95.0, 130.0), 1440: (130.0, 175.0)}
_SOURCES: Final = {
    "river": 46,
    "storm_surge": 16,
    "waterlogging": 12,
    "reservoir_release": 5,
    "dam_break": 3,
}
_SOURCE_NAMES: Final = {
    "river": ("洪水影响区", "flood area"),
    "storm_surge": ("风暴潮影响区", "storm-surge area"),
    "waterlogging": ("内涝影响区", "waterlogging area"),
    "reservoir_release": ("水库泄洪影响区", "reservoir release area"),
    "dam_break": ("溃坝影响区", "dam-break area"),
}


def _reaches(places: Places, streams: list[Stream]) -> list[tuple[Floats, float]]:
    """Cut streams, and rivers where they leave the hills, into reaches with their catchment."""
    rng = places.random("reaches")
    found = []
    for stream in streams:
        at = 0
        while at < len(stream.xy) - 2:
            size = int(rng.integers(3, 7))
            part = stream.xy[at : at + size]
            if len(part) >= 3:
                found.append((part, float(stream.catchment_km2[at : at + size].max())))
            at += size + 1
    for river in places.terrain.rivers:
        count = int(river.line.length // 100)
        points = shapely.line_interpolate_point(river.line, np.arange(count) * 100.0)
        xy = shapely.get_coordinates(points)
        at = 0
        while at < count - 6:
            size = int(rng.integers(5, 13))
            part = xy[at : at + size]
            # Only the upper course is a matter of flash floods: banks of hills, a small catchment.
            share = (at + size / 2) / count
            if share < 0.55 and _hilly(places, part):
                found.append((part, max(1.5, river.catchment_km2 * share**1.5)))
            at += size + int(rng.integers(2, 6))
    return found


def _hilly(places: Places, path: Floats) -> bool:
    """Say whether the ground rises steeply beside a path."""
    around = np.concatenate([path + shift for shift in ([300, 0], [-300, 0], [0, 300], [0, -300])])
    return bool(np.mean(places.slope_at(around) > 0.06) > 0.3)


def flash_flood_zones(places: Places) -> list[Feature]:
    """Return the flash-flood zones, of the reaches where people live first.

    Raises
    ------
    ValueError
        The hills of this ground have too few streams.
    """
    rng = places.random("flash-flood-zones")
    reaches = _reaches(places, hill_streams(places))
    middles = np.array([path[len(path) // 2] for path, _ in reaches])
    fits = places.usable(middles) | (places.community_at(middles) >= 0)
    lived_in = places.grid.sample(places.near_people(700), middles)
    # A valley with a road has houses.
    beside, near = (places.grid.sample(places.near_roads(m), middles) for m in (300, 1200))
    lots = rng.standard_exponential(len(reaches))
    keys = lots / (np.power(lived_in + 3.0, 0.4) * (0.06 + near + 4.0 * beside))
    shapes: list[shapely.Polygon] = []
    catchments: list[float] = []
    for row in np.argsort(keys, kind="stable"):
        if len(shapes) == FLASH_FLOODS:
            break
        if not fits[row]:
            continue
        path, catchment = reaches[row]
        low = float(rng.uniform(22, 48))
        shape = blob(path, rng, (low, low * rng.uniform(1.8, 3.4)), 70.0)
        dry = polygons_of(places.free_of_water(shape))
        if not dry or dry[0].area < 0.7 * shape.area:
            continue
        shapes.append(dry[0])
        catchments.append(catchment)
    if len(shapes) < FLASH_FLOODS:
        raise ValueError(f"{len(shapes)} reaches of hill streams, {FLASH_FLOODS} are needed")
    persons = _persons(places, rng, shapes)
    danger = rng.random(len(shapes)) + 0.15 * np.log1p(persons)
    grade = np.digitize(danger, np.quantile(danger, (0.55, 0.85)))
    levels = rank_levels(rng, danger + 0.3 * np.log1p(persons), (0.045, 0.17, 0.42, 0.365), 0.08)
    features = []
    for row, shape in enumerate(shapes):
        unit = places.community_of(shape)
        gully = "上中下前后东西"[int(rng.integers(7))]
        properties: dict[str, Any] = {
            "name": f"{stem(unit.name)}{gully}沟山洪危险区",
            "name_en": f"{stem_en(unit.name_en)} flash-flood zone",
            "danger_grade": _GRADES[2 - int(grade[row])],
            "watershed": f"{stem(places.unit(unit.code[:9]).name)}小流域",
            "catchment_km2": round(catchments[row], 2),
            "households": int(-(-persons[row] // 3)),
            "persons": int(persons[row]),
            "thresholds": _thresholds(rng, int(grade[row])),
        }
        if levels[row] is not None:
            properties["risk_level"] = levels[row]
        write_common(
            properties,
            rng,
            department="水务局",
            admin_code=places.admin_code(shape),
            responsible=0.2,
        )
        features.append(Feature(shape, properties))
    return numbered("SH", features)


def _persons(places: Places, rng: np.random.Generator, shapes: list[shapely.Polygon]) -> Floats:
    """Return the residents of zones: houses stand closer to a stream than on the slope beside."""
    found = places.persons_in(shapes) * rng.uniform(1.0, 3.0, len(shapes))
    return np.asarray(np.rint(found + rng.integers(0, 9, len(shapes))).astype(np.int64))


def _thresholds(rng: np.random.Generator, grade: int) -> list[dict[str, Any]]:
    """Return when to prepare and when to leave: less rain is enough in more dangerous zones."""
    factor = rng.uniform(0.9, 1.25) - 0.12 * grade
    durations = sorted(rng.choice(list(_RAIN_MM), size=int(rng.integers(2, 4)), replace=False))
    rows = [
        {
            "step": step,
            "warning_level": level,
            "indicator": "rainfall",
            "duration_min": int(minutes),
            "value": 5 * round(_RAIN_MM[int(minutes)][which] * factor / 5),
            "unit": "mm",
        }
        for minutes in durations
        for which, (step, level) in enumerate((("准备转移", 2), ("立即转移", 1)))
    ]
    if rng.random() < 0.2:
        depth = round(float(rng.uniform(0.8, 2.2)), 1)
        rows += [
            {"step": step, "indicator": "water_level", "value": value, "unit": "m"}
            for step, value in (("准备转移", depth), ("立即转移", round(depth + 0.6, 1)))
        ]
    return rows


def _sections(line: shapely.LineString, rng: np.random.Generator, low: float) -> list[Floats]:
    """Cut the part of a line from the share `low` on into sections of 3 to 8 km with gaps."""
    at, found = low * line.length, []
    while at < line.length - 2500:
        size = float(rng.uniform(3000, 8000))
        end = min(at + size, line.length)
        steps = np.linspace(at, end, max(4, int((end - at) / 250)))
        found.append(shapely.get_coordinates(shapely.line_interpolate_point(line, steps)))
        at = end + float(rng.uniform(500, 3500))
    return found


def _flooded(places: Places, rng: np.random.Generator) -> list[tuple[str, str, str, BaseGeometry]]:
    """Return source, Chinese and English name of the water, and shape of candidates.

    They come in an order of which each source takes its first.
    """
    found: list[tuple[str, str, str, BaseGeometry]] = []
    for river in sorted(places.terrain.rivers, key=lambda one: -one.catchment_km2):
        low = 0.45 if river.catchment_km2 > 150 else 0.65
        half_m = 120 + 22 * np.sqrt(min(river.catchment_km2, 900.0))
        for path in _sections(river.line, rng, low):
            shape = blob(path, rng, (half_m * 0.45, half_m * rng.uniform(1.0, 1.7)), 300.0)
            found.append(("river", river.name, river.name_en, shape))
    lakes = [c for c in places.terrain.cover if c.cover_class in ("reservoir", "lake")]
    for lake in sorted(lakes, key=lambda one: (one.cover_class != "reservoir", -one.shape.area)):
        course = _below(places, lake.shape)
        if course is not None:
            half_m = rng.uniform(180, 320)
            shape = blob(course, rng, (half_m * 0.5, half_m * 1.5), 300.0)
            source = ("reservoir_release", "dam_break")[len(found) % 2]
            found.append((source, lake.name, lake.name_en, shape))
    sea = [cover.shape for cover in places.terrain.cover if cover.cover_class == "sea"]
    water = shapely.STRtree([part for shape in sea for part in tiles_of(shape)])
    for land in polygons_of(places.terrain.land_shape)[:3]:
        for path in _sections(shapely.LineString(land.exterior), rng, 0.0):
            # The land also ends where the city's box does: there is no coast.
            near, _ = water.query(shapely.points(path), predicate="dwithin", distance=120.0)
            if len(set(near.tolist())) == len(path):
                shape = blob(path, rng, (160.0, rng.uniform(350, 750)), 300.0)
                found.append(("storm_surge", "", "", shape))
    return found


def _below(places: Places, lake: BaseGeometry) -> Floats | None:
    """Return the river's first 5 km below a lake."""
    for river in sorted(places.terrain.rivers, key=lambda one: -one.catchment_km2):
        inside = lines_of(river.line.intersection(lake))
        if inside:
            start = max(river.line.project(shapely.Point(p)) for p in inside[0].coords)
            if river.line.length - start > 2500:
                steps = np.linspace(start + 50, min(start + 5000, river.line.length), 20)
                return shapely.get_coordinates(shapely.line_interpolate_point(river.line, steps))
    return None


def flood_impact_areas(places: Places) -> list[Feature]:
    """Return the flood areas of each source, as many as there are places; rivers fill up."""
    rng = places.random("flood-impact-areas")
    candidates = _flooded(places, rng)
    candidates += [("waterlogging", "", "", shape) for shape in _low_town(places, rng, 40)]
    chosen: list[tuple[str, str, str, shapely.Polygon, int]] = []
    for source in ("dam_break", "reservoir_release", "storm_surge", "waterlogging", "river"):
        usable = []
        for kind, zh, en, shape in candidates:
            if kind == source:
                parts = polygons_of(
                    shapely.intersection(places.free_of_water(shape), places.terrain.land_shape)
                )
                if parts and parts[0].area > 150_000:
                    usable.append((kind, zh, en, parts[0]))
        wanted = _SOURCES[source] if source != "river" else FLOOD_AREAS - len(chosen)
        # Where most people are is where a flood area was worth mapping.
        persons = places.persons_in([one[3] for one in usable]) if usable else np.zeros(0, int)
        lots = rng.standard_exponential(len(usable)) / np.sqrt(persons + 50.0)
        order = np.argsort(lots, kind="stable")[:wanted]
        chosen += [(*usable[row], int(persons[row])) for row in order]
    if len(chosen) < FLOOD_AREAS:
        raise ValueError(f"{len(chosen)} flood areas, {FLOOD_AREAS} are needed")
    chosen = [chosen[row] for row in rng.permutation(len(chosen))]
    people = np.array([one[4] for one in chosen])
    levels = rank_levels(rng, np.log1p(people) + rng.normal(0, 1, 82), (0.1, 0.25, 0.4, 0.25), 0.08)
    features = []
    for row, (source, water, water_en, shape, persons_here) in enumerate(chosen):
        unit = places.community_of(shape)
        zh, en = _SOURCE_NAMES[source]
        near, near_en = stem(unit.name), stem_en(unit.name_en)
        properties: dict[str, Any] = {
            "name": f"{water}{near}{'段' if source == 'river' else ''}{zh}",
            "name_en": f"{water_en or near_en} {en}{f' at {near_en}' if water_en else ''}",
            "impact_source": source,
            "watershed": water or f"{stem(places.unit(unit.code[:6]).name)}沿海诸河",
            "return_period_a": int(rng.choice([10, 20, 50, 100, 200])),
            "max_depth_m": round(float(rng.uniform(0.5, 4.5)), 1),
            "max_velocity": round(float(rng.uniform(0.3, 3.5)), 1),
            "households": -(-persons_here // 3),
            "persons": persons_here,
        }
        if levels[row] is not None:
            properties["risk_level"] = levels[row]
        write_common(
            properties,
            rng,
            department="水务局",
            admin_code=places.admin_code(shape),
            responsible=0.5,
        )
        features.append(Feature(shape, properties))
    return numbered("HZ", features, 4)


def _low_town(places: Places, rng: np.random.Generator, count: int) -> list[shapely.Polygon]:
    """Return flat ground in densely lived-in parts, where rain does not run off."""
    weight = np.where(places.terrain.slope < 0.03, np.maximum(places.near_people(400) - 2500, 0), 0)
    shapes = []
    for xy in places.draw(rng, np.where(places.terrain.land, weight, 0.0), count):
        turn = rng.uniform(0, np.pi) + np.cumsum(rng.normal(0, 0.3, 6))
        path = xy + np.cumsum(np.column_stack([np.cos(turn), np.sin(turn)]) * 260, axis=0)
        shapes.append(blob(path, rng, (110.0, 320.0), 120.0))
    return shapes
