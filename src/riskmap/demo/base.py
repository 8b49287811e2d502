"""What the other layers stand on, as layers: divisions, people and the base map."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import shapely
from pyproj import Transformer

from riskmap.demo.ground import BOX, NAME, NAME_EN, SRID, Division
from riskmap.demo.places import Feature, Places, numbered, polygons_of

COUNTED_AT: Final = "2026-06-30"


def admin_divisions(places: Places) -> list[Feature]:
    """Return the city, its districts, streets and communities, from the whole to its parts."""
    districts = places.districts
    whole = shapely.union_all([unit.shape for unit in districts])
    city = Division(
        code=f"{districts[0].code[:4]}00",
        parent_code=None,
        level="city",
        name=NAME,
        name_en=NAME_EN,
        shape=shapely.MultiPolygon(polygons_of(whole)),
        population=sum(unit.population for unit in districts),
        urban=True,
    )
    return [
        _division(unit, city.code)
        for unit in (city, *districts, *places.streets, *places.communities)
    ]


def _division(unit: Division, city_code: str) -> Feature:
    properties: dict[str, Any] = {
        "code": unit.code,
        "name": unit.name,
        "name_en": unit.name_en,
        "level": unit.level,
        "population": unit.population,
        "population_at": COUNTED_AT,
        "admin_code": unit.code,
        "status": "active",
        "data_quality": "synthetic",
        "department": "民政局",
        "surveyed_at": COUNTED_AT,
    }
    parent = city_code if unit.level == "district" else unit.parent_code
    if parent is not None:
        properties["parent_code"] = parent
    if unit.is_functional_zone:
        properties["is_functional_zone"] = True
    if unit.level == "community":
        properties["urban_rural_code"] = "111" if unit.urban else "220"
    return Feature(unit.shape, properties)


def population_cells(places: Places) -> list[Feature]:
    """Return the populated cells as their centres, without names: nobody names a cell.

    A square is touched by a road at its edge long before the people in it are reached; its centre
    is reached when about half of them are. Where the centre lies in water or outside the city, a
    place of the square that does not stands for it.
    """
    people = places.people
    units = places.community_at(people.cell_xy)
    wet = ~places.dry(people.cell_xy)
    corner = people.cell_xy.min(axis=0)
    columns, rows = np.rint((people.cell_xy - corner) / people.cell_m).astype(np.int64).T
    features = []
    for number, xy in enumerate(people.cell_xy):
        centre = shapely.Point(xy)
        community = places.community_of(centre)
        if units[number] < 0 or wet[number]:
            dry = places.free_of_water(places.cell_boxes[number].intersection(community.shape))
            centre = shapely.point_on_surface(dry if dry.area > 1 else community.shape)
        properties = {
            "code": f"RK-{columns[number]:03d}{rows[number]:03d}",
            "population": int(people.cell_people[number]),
            "cell_size_m": round(people.cell_m),
            "population_at": COUNTED_AT,
            "method": "演示数据",
            "admin_code": community.code,
            "data_quality": "synthetic",
        }
        features.append(Feature(centre, properties))
    return features


def land_cover(places: Places) -> list[Feature]:
    """Return the base map in the order of drawing: the ground, then what people built on it."""
    # A river that leaves in the north is drawn on beyond the city's box.
    frame = _frame()
    features = []
    for cover in (*places.terrain.cover, *places.people.cover):
        properties: dict[str, Any] = {
            "name": cover.name,
            "name_en": cover.name_en,
            "cover_class": cover.cover_class,
            "status": "active",
            "data_quality": "synthetic",
            "department": "自然资源局",
            "surveyed_at": COUNTED_AT,
        }
        inside = cover.shape.intersection(frame)
        if polygons_of(inside):
            features.append(Feature(shapely.MultiPolygon(polygons_of(inside)), properties))
    return numbered("DW", features, 4)


def _frame() -> shapely.Polygon:
    """Return the city's box in metres, a metre within it."""
    box = shapely.segmentize(shapely.box(*BOX), 0.01)
    transformer = Transformer.from_crs(4326, SRID, always_xy=True)
    xy = np.column_stack(transformer.transform(*shapely.get_coordinates(box).T))
    # Between two corners the box's edges bend by less than a metre.
    return polygons_of(shapely.Polygon(xy).buffer(-1.0))[0]
