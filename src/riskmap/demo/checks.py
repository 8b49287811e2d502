"""What is true of every demo city, whatever its seed: counts, places, sums, and what goes together.

Each check yields sentences about what is wrong; `check` raises with all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Field, Geometry, Kind, Layer
from riskmap.demo import chemicals, floods, geohazards, plants, records, shelters, teams
from riskmap.demo.files import to_degrees
from riskmap.demo.ground import BOX, Ground
from riskmap.demo.places import Feature, Layers, Places
from riskmap.demo.streams import hill_streams

DISTRICTS: Final = 11
STREETS: Final = 139
POPULATION: Final = (8_800_000, 9_200_000)
DEPOTS: Final = (60, 90)
# Farther from every road than this a hazard is in nobody's reach; so many are, at least.
OFF_ROAD_M: Final = 500.0
OFF_ROAD_HAZARDS: Final = 50
COUNTS: Final = {
    "enterprises": plants.ENTERPRISES,
    "fault-lines": geohazards.FAULTS,
    "flash-flood-zones": floods.FLASH_FLOODS,
    "flood-impact-areas": floods.FLOOD_AREAS,
    "geohazard-points": geohazards.GEOHAZARDS,
    "major-hazard-sources": chemicals.SOURCES,
    "rescue-teams": teams.TEAMS,
    "risk-records": records.RECORDS,
    "shelters": shelters.SHELTERS,
}
# Layers that cover the whole city, water included, or are made by the ground itself.
_BASE: Final = ("admin-divisions", "land-cover", "population-cells")

Wrong = Iterator[str]


def check(ground: Ground, layers: Layers) -> None:
    """Check a city.

    Raises
    ------
    ValueError
        Something is wrong; the message lists all of it.
    """
    places = Places(ground)
    wrong = [
        *_counts(layers),
        *_fields(layers),
        *_shapes(layers),
        *_water(places, layers),
        *_divisions(layers),
        *_division_codes(places, layers),
        *_geohazards(places, layers["geohazard-points"]),
        *_floods(places, layers),
        *_sources(places, layers),
        *_shelters(places, layers),
        *_teams(places, layers["rescue-teams"]),
        *_out_of_reach(places, layers["geohazard-points"]),
    ]
    if wrong:
        raise ValueError("the demo city is wrong:\n" + "\n".join(wrong))


def _values(features: Iterable[Feature], name: str) -> list[Any]:
    return [feature.properties.get(name) for feature in features]


def _shapes_of(features: Iterable[Feature]) -> Any:
    return np.array([feature.shape for feature in features], dtype=object)


def _counts(layers: Layers) -> Wrong:
    catalog = load_catalog()
    if layers.keys() != catalog.keys():
        yield f"layers: {sorted(layers.keys() ^ catalog.keys())} missing or unknown"
    for layer_id, count in COUNTS.items():
        if len(layers[layer_id]) != count:
            yield f"{layer_id}: {len(layers[layer_id])} features instead of {count}"
    if not DEPOTS[0] <= len(layers["supply-depots"]) <= DEPOTS[1]:
        yield f"supply-depots: {len(layers['supply-depots'])} features"
    for layer_id, features in layers.items():
        if layer_id in catalog and catalog[layer_id].assessed:
            levels = set(_values(features, "risk_level"))
            if levels != {1, 2, 3, 4, None}:
                yield f"{layer_id}: risk levels {levels}"


def _fields(layers: Layers) -> Wrong:
    """Check every value against what its field allows, and that codes are unique."""
    catalog = load_catalog()
    for layer_id, features in layers.items():
        layer = catalog[layer_id]
        codes = Counter(_values(features, "code"))
        twice = [code for code, count in codes.items() if count > 1 or not code]
        if twice:
            yield f"{layer_id}: codes {twice[:5]} stand twice or are empty"
        if set(_values(features, "data_quality")) != {"synthetic"}:
            yield f"{layer_id}: features that do not say they are synthetic"
        if layer_id != "population-cells":
            unnamed = sum(
                not (one.properties.get("name") and one.properties.get("name_en"))
                for one in features
            )
            if unnamed:
                yield f"{layer_id}: {unnamed} features without a name in both languages"
        fields: dict[str, Field] = {field.name: field for field in layer.fields}
        bad = {
            f"{name}={value!r}"
            for feature in features
            for name, value in feature.properties.items()
            if name in fields and not _fits(fields[name], value)
        }
        for child in layer.children:
            inner = {field.name: field for field in child.fields}
            bad |= {
                f"{child.name}.{name}={value!r}"
                for feature in features
                for row in feature.properties.get(child.name, ())
                for name, value in row.items()
                if name not in inner or not _fits(inner[name], value)
            }
        if bad:
            yield f"{layer_id}: {sorted(bad)[:5]}"


def _fits(field: Field, value: Any) -> bool:
    values = value if field.kind is Kind.TEXTS else [value]
    allowed = {one.code for one in field.values}
    if allowed and not allowed.issuperset(values):
        return False
    if field.minimum is not None and value < field.minimum:
        return False
    return field.maximum is None or bool(value <= field.maximum)


def _shapes(layers: Layers) -> Wrong:
    """Check shapes as the files have them: valid, of their layer's type, in the box."""
    box = shapely.box(*BOX)
    catalog = load_catalog()
    for layer_id, features in layers.items():
        degrees = to_degrees(features)
        if not shapely.is_valid(degrees).all() or shapely.is_empty(degrees).any():
            yield f"{layer_id}: shapes that are not valid or empty"
        if not shapely.covers(box, degrees).all():
            yield f"{layer_id}: shapes outside the box"
        types = set(shapely.get_type_id(degrees).tolist())
        if not types <= _types(catalog[layer_id]):
            yield f"{layer_id}: types of shape {types}"


def _types(layer: Layer) -> set[int]:
    point, line, polygon = {0}, {1, 5}, {3, 6}
    return {
        Geometry.POINT: point,
        Geometry.LINE: line,
        Geometry.POLYGON: polygon,
        Geometry.MIXED: point | line | polygon,
    }[layer.geometry]


def _water(places: Places, layers: Layers) -> Wrong:
    """Check that nothing lies in the sea or a lake, and points not in a river either."""
    for layer_id, features in layers.items():
        if layer_id in _BASE:
            continue
        points = [one for one in features if one.shape.geom_type == "Point"]
        if points:
            wet = ~places.dry(shapely.get_coordinates(_shapes_of(points)))
            if wet.any():
                first = points[int(wet.argmax())].properties["code"]
                yield f"{layer_id}: {int(wet.sum())} points in water, {first} first"
        for one in features:
            if one.shape.geom_type != "Point" and _wet_share(places, one.shape) > 0.002:
                yield f"{layer_id}: {one.properties['code']} lies in water"


def _wet_share(places: Places, shape: BaseGeometry) -> float:
    dry = places.free_of_water(shape)
    return 1 - (dry.area / shape.area if shape.area else dry.length / shape.length)


def _divisions(layers: Layers) -> Wrong:
    divisions = layers["admin-divisions"]
    levels = Counter(_values(divisions, "level"))
    if (levels["city"], levels["district"], levels["street"]) != (1, DISTRICTS, STREETS):
        yield f"admin-divisions: {dict(levels)}"
    people = Counter[str]()
    for one in divisions:
        people[one.properties["level"]] += one.properties["population"]
    total = sum(_values(layers["population-cells"], "population"))
    if set(people.values()) != {total}:
        yield f"admin-divisions: population {dict(people)}, cells have {total}"
    if not POPULATION[0] <= total <= POPULATION[1]:
        yield f"population-cells: {total} residents"
    by_code = {one.properties["code"]: one for one in divisions}
    inside: dict[str, int] = {}
    area: dict[str, float] = {}
    for one in divisions:
        parent = one.properties.get("parent_code")
        if parent is None:
            continue
        if parent not in by_code:
            yield f"admin-divisions: {one.properties['code']} has no parent {parent}"
            continue
        inside[parent] = inside.get(parent, 0) + one.properties["population"]
        area[parent] = area.get(parent, 0.0) + one.shape.area
    for code, persons in inside.items():
        parent = by_code[code]
        if persons != parent.properties["population"]:
            yield f"admin-divisions: {code} has other residents than its parts"
        if abs(area[code] - parent.shape.area) > 1e-4 * parent.shape.area:
            yield f"admin-divisions: {code} has another area than its parts"


def _division_codes(places: Places, layers: Layers) -> Wrong:
    """Check that the divisions that features name exist, and that points lie in theirs."""
    known = set(_values(layers["admin-divisions"], "code"))
    for layer_id, features in layers.items():
        codes = {code for code in _values(features, "admin_code") if code is not None}
        if not codes <= known:
            yield f"{layer_id}: divisions {sorted(codes - known)[:5]} do not exist"
        points = [one for one in features if one.shape.geom_type == "Point"]
        if points:
            found = places.community_at(shapely.get_coordinates(_shapes_of(points)))
            off = [
                one.properties["code"]
                for one, row in zip(points, found, strict=True)
                if row < 0 or not _holds(places, one, int(row))
            ]
            if off:
                yield f"{layer_id}: {len(off)} points not in their community, {off[0]} first"


def _holds(places: Places, point: Feature, row: int) -> bool:
    """Say whether a point's division is where it lies; on a boundary both are right."""
    code = point.properties["admin_code"]
    return bool(
        places.communities[row].code == code or places.unit(code).shape.distance(point.shape) < 0.01
    )


def _geohazards(places: Places, features: list[Feature]) -> Wrong:
    steep = [one for one in features if one.properties["hazard_type"] in geohazards.ON_SLOPES]
    slope = places.slope_at(shapely.get_coordinates(_shapes_of(steep)))
    if (slope < geohazards.STEEP).any():
        yield f"geohazard-points: {int((slope < geohazards.STEEP).sum())} slopes are level"
    for one in features:
        told = one.properties
        grade = geohazards.danger_grade(told["threatened_persons"], told["threatened_property"])
        if told["danger_grade"] != grade:
            yield f"geohazard-points: {told['code']} has danger grade {told['danger_grade']}"


def _floods(places: Places, layers: Layers) -> Wrong:
    lines = [shapely.LineString(stream.xy) for stream in hill_streams(places)]
    lines += [river.line for river in places.terrain.rivers]
    tree = shapely.STRtree(lines)
    zones = _shapes_of(layers["flash-flood-zones"])
    near, _ = tree.query(zones, predicate="dwithin", distance=floods.ALONG_M)
    away = len(zones) - len(set(near.tolist()))
    if away:
        yield f"flash-flood-zones: {away} away from every stream"
    if not all(one.properties["thresholds"] for one in layers["flash-flood-zones"]):
        yield "flash-flood-zones: some without thresholds"
    rivers = shapely.STRtree([river.line for river in places.terrain.rivers])
    areas = [
        one for one in layers["flood-impact-areas"] if one.properties["impact_source"] == "river"
    ]
    near, _ = rivers.query(_shapes_of(areas), predicate="dwithin", distance=floods.ALONG_M)
    if len(set(near.tolist())) != len(areas):
        yield "flood-impact-areas: some of a river are away from every river"


def _sources(places: Places, layers: Layers) -> Wrong:
    plants_by_code = {one.properties["code"]: one for one in layers["enterprises"]}
    parks = shapely.union_all([park.shape for park in places.people.parks]).buffer(1)
    owners = set(_values(layers["major-hazard-sources"], "enterprise_code"))
    if len(owners) != chemicals.SOURCE_PLANTS:
        yield f"major-hazard-sources: {len(owners)} enterprises"
    for code in sorted(owners - plants_by_code.keys()):
        yield f"major-hazard-sources: enterprise {code} does not exist"
    for code in sorted(owners & plants_by_code.keys()):
        if not parks.covers(plants_by_code[code].shape):
            yield f"enterprises: {code} with a major source lies outside the parks"
    for one in layers["major-hazard-sources"]:
        told = one.properties
        plant = plants_by_code.get(told["enterprise_code"])
        if plant is not None and not plant.shape.contains(one.shape):
            yield f"major-hazard-sources: {told['code']} lies outside its plant"
        s_value, r_value = chemicals.indices(told["chemicals"], told["alpha"])
        wanted = (chemicals.alpha_of(told["exposed_persons_500m"]), s_value, r_value)
        if (told["alpha"], told["s_value"], told["r_value"]) != wanted or s_value < 1:
            yield f"major-hazard-sources: {told['code']} has other indices than its chemicals"
        if told["hazard_level"] != chemicals.level_of(r_value):
            yield f"major-hazard-sources: {told['code']} has level {told['hazard_level']}"
    if set(_values(layers["major-hazard-sources"], "hazard_level")) != {1, 2, 3, 4}:
        yield "major-hazard-sources: not all four levels"


def _shelters(places: Places, layers: Layers) -> Wrong:
    found = layers["shelters"]
    if len(set(_values(found, "admin_grade"))) != 5:
        yield "shelters: not all five grades"
    if not {"standby", "open", "full", "closed"} <= set(_values(found, "open_status")):
        yield "shelters: not all states"
    for one in found:
        told = one.properties
        if told["effective_area_m2"] > told["total_area_m2"]:
            yield f"shelters: {told['code']} is smaller than its effective area"
        derived = int(told["effective_area_m2"] / told["per_capita_m2"])
        if told["capacity_source"] == "derived" and told["capacity_persons"] != derived:
            yield f"shelters: {told['code']} holds {told['capacity_persons']}, derived {derived}"
    middles = shapely.get_coordinates(shapely.centroid(_shapes_of(found)))
    if (places.slope_at(middles) > shelters.STEEPEST).any():
        yield "shelters: some on steep slopes"
    zones = shapely.STRtree(
        _shapes_of([*layers["flash-flood-zones"], *layers["flood-impact-areas"]])
    )
    inside = len(set(zones.query(_shapes_of(found), predicate="intersects")[0].tolist()))
    if not 5 <= inside <= 60:
        yield f"shelters: {inside} in zones of floods, a few are meant to be"


def _teams(places: Places, features: list[Feature]) -> Wrong:
    if sum(_values(features, "personnel")) != teams.PERSONNEL:
        yield f"rescue-teams: {sum(_values(features, 'personnel'))} persons"
    if len(set(_values(features, "category"))) != 5:
        yield "rescue-teams: not all five categories"
    if set(_values(features, "duty_status")) != {"on_duty", "standby", "dispatched", "off"}:
        yield "rescue-teams: not all states of duty"
    over = [
        one for one in features if one.properties["on_duty_personnel"] > one.properties["personnel"]
    ]
    if over:
        yield f"rescue-teams: {len(over)} with more on duty than they have"
    micro = [one for one in features if one.properties["kind"] == "micro_station"]
    vehicles = Counter[str]()
    for one in micro:
        for row in one.properties["vehicles"]:
            vehicles[row["type"]] += row["count"]
    wanted = {teams.TRUCK: teams.MICRO_TRUCKS, teams.TWO_WHEELER: teams.MICRO_TWO_WHEELERS}
    if len(micro) != teams.MICRO_STATIONS or vehicles != wanted:
        yield f"rescue-teams: {len(micro)} micro stations with {dict(vehicles)}"
    far = places.roadside.distance_m(shapely.get_coordinates(_shapes_of(features)))
    if (far > 100).any():
        yield f"rescue-teams: {int((far > 100).sum())} away from every road"


def _out_of_reach(places: Places, features: list[Feature]) -> Wrong:
    xy = shapely.get_coordinates(_shapes_of(features))
    far = int((places.roadside.distance_m(xy) > OFF_ROAD_M).sum())
    if far < OFF_ROAD_HAZARDS:
        yield f"geohazard-points: only {far} far from every road"
    if not shapely.contains_xy(places.terrain.lonely_island, xy).any():
        yield "geohazard-points: none on the island without a bridge"
