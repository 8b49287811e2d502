"""Surroundings of a city whose streets take whole seconds, against arithmetic and geodesics."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Geod
from sqlalchemy import text

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from grid_city import SECONDS, build, place  # noqa: E402

from api_help import SECRET, Served, serving  # noqa: E402
from riskmap.analysis import places  # noqa: E402
from riskmap.analysis.plane import Plane  # noqa: E402
from riskmap.analysis.refuge import REASONS  # noqa: E402
from riskmap.crs.datum import Datum  # noqa: E402
from riskmap.db.cluster import Cluster  # noqa: E402
from riskmap.db.sessions import Actor  # noqa: E402

GEOD = Geod(ellps="WGS84")
PATH = "/analysis/surroundings"
HERE = place(10, 2)
WALK_S = 300  # on foot a block takes 5 minutes
# Metres of a block along a row, and along a column.
ALONG = GEOD.inv(*place(10, 2), *place(11, 2))[2]
ACROSS = GEOD.inv(*place(10, 2), *place(10, 3))[2]


def away(bearing: float, metres: float, start: tuple[float, float] = HERE) -> tuple[float, float]:
    x, y, _ = GEOD.fwd(*start, bearing % 360, metres)
    return (float(x), float(y))


def at(lonlat: tuple[float, float]) -> str:
    return f"POINT({lonlat[0]!r} {lonlat[1]!r})"


OPEN = {"open_status": "open", "current_occupancy": 0}
SHELTERS: dict[str, dict[str, Any]] = {
    "in the zone": {"geom": at(place(10, 1)), "capacity_persons": 1000, **OPEN},
    "downwind": {"geom": at(place(4, 2)), "capacity_persons": 1000, **OPEN},
    "on the edge": {"geom": at(away(240, 1500)), "capacity_persons": 1000, **OPEN},
    "east": {"geom": at(place(13, 2)), "capacity_persons": 100, **OPEN},
    "north": {
        "geom": at(place(10, 4)), "capacity_persons": 50, "current_occupancy": 20,
        "open_status": "standby", "suitable_hazards": ["flood", "chemical"],
    },
    "far east": {"geom": at(place(16, 4)), "capacity_persons": 60, **OPEN},
    "closed": {"geom": at(place(14, 2)), "capacity_persons": 100, "open_status": "closed"},
    "no state": {"geom": at(place(14, 3)), "capacity_persons": 100},
    "full": {"geom": at(place(15, 2)), "capacity_persons": 100, "open_status": "full"},
    "crowded": {
        "geom": at(place(14, 1)), "capacity_persons": 100, "current_occupancy": 120,
        "open_status": "open",
    },
    "for floods": {
        "geom": at(place(15, 3)), "capacity_persons": 100, "suitable_hazards": ["flood"], **OPEN,
    },
    "unknown size": {"geom": at(place(15, 1)), **OPEN},
    "no road": {"geom": at(place(10, 9)), "capacity_persons": 100, **OPEN},
}  # fmt: skip


def fill(served: Served) -> None:
    served.put(
        "population-cells",
        {"code": "here", "geom": at(HERE), "population": 100},
        # A square of 100 m about a centre just 1000 m away: the circle cuts it.
        {"code": "cut", "geom": at(away(0, 1000)), "population": 10_000, "cell_size_m": 100},
        {"code": "west", "geom": at(away(270, 2000)), "population": 7},
        {"code": "far", "geom": at(away(90, 40_000)), "population": 1_000_000},
    )
    levels = {11: 1, 12: 2, 13: 3, 14: 4, 15: None, 16: None}
    served.put(
        "geohazard-points",
        *(
            {"code": f"G{c}", "geom": at(place(c, 2)), "risk_level": level, "threatened_persons": c}
            for c, level in levels.items()
        ),
    )
    served.put("shelters", *({"code": name, "name": name, **row} for name, row in SHELTERS.items()))
    (x, y), (x1, y1) = place(8, 4), place(8, -4)
    served.put("fault-lines", {"code": "L", "geom": f"MULTILINESTRING(({x} {y},{x1} {y1}))"})
    served.put(
        "flash-flood-zones", {"code": "F", "geom": _area(away(45, 9000), 0.001), "persons": 3}
    )
    served.put(
        "major-hazard-sources",
        {
            "code": "S", "name": "液氯储罐", "geom": at(HERE), "risk_level": 1,
            "responsible_phone": SECRET,
        },
    )  # fmt: skip


def _area(lonlat: tuple[float, float], half: float) -> str:
    x, y = lonlat
    return shapely.MultiPolygon([shapely.box(x - half, y - half, x + half, y + half)]).wkt


def walkable(served: Served) -> None:
    with served.database.own(Actor("test")) as session:
        for kind in SECONDS:
            session.execute(
                text(
                    "INSERT INTO road_speeds (profile, road_class, speed_kmh, source)"
                    " SELECT 'walk', :kind, avg(length_m) * 3.6 / :seconds, 'grid'"
                    " FROM road_edges WHERE road_class = :kind"
                ),
                {"kind": kind, "seconds": WALK_S},
            )


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with serving(cluster, migrated) as found:
        build(found.database)
        walkable(found)
        fill(found)
        yield found


@pytest.fixture
def bare(cluster: Cluster, migrated: str) -> Iterator[Served]:
    """Features, but neither roads nor people."""
    with serving(cluster, migrated) as found:
        fill(found)
        with found.database.own(Actor("test")) as session:
            session.execute(text("DELETE FROM population_cells"))
        yield found


def source(served: Served) -> str:
    (one,) = served.items("major-hazard-sources")
    return f"major-hazard-sources/{one['id']}"


def get(served: Served, **query: Any) -> dict[str, Any]:
    if "feature" not in query:
        query = {"lon": repr(HERE[0]), "lat": repr(HERE[1]), **query}
    answer = served.get(PATH, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(served: Served, **body: Any) -> dict[str, Any]:
    answer = served.client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---------------------------------------------------------------- what is near


def test_rings_count_by_level_and_sum(served: Served) -> None:
    """Geohazards lie 1 to 6 blocks of 268 m to the east: 1, 3 and 6 of them within these radii."""
    radius_m = [round(ALONG * blocks + 1, 3) for blocks in (1, 3, 6)]
    found = get(served, radius_m=",".join(map(str, radius_m)))
    assert [ring["radius_m"] for ring in found["rings"]] == radius_m
    counts = [ring["layers"]["geohazard-points"] for ring in found["rings"]]
    assert [one["count"] for one in counts] == [1, 3, 6]
    assert counts[2]["by_risk_level"] == {"1": 1, "2": 1, "3": 1, "4": 1, "null": 2}
    assert counts[1]["by_risk_level"]["null"] == 0
    assert [one["people"] for one in counts] == [11, 11 + 12 + 13, 81]
    shelters = found["rings"][2]["layers"]["shelters"]
    names = [
        name
        for name, row in SHELTERS.items()
        if _metres(shapely.from_wkt(row["geom"])) <= radius_m[2]
    ]
    assert shelters["count"] == len(names) == 11
    assert shelters["people_unknown"] == 1
    # east 100, north 30, in the zone, downwind and on the edge 1000 each, for floods 100.
    free = {"east": 100, "north": 30, "for floods": 100, "in the zone": 1000}
    free |= {"downwind": 1000, "on the edge": 1000, "far east": 60}
    assert shelters["free"] == sum(value for name, value in free.items() if name in names)


def _metres(point: Any) -> float:
    return float(GEOD.inv(*HERE, point.x, point.y)[2])


def test_a_radius_is_inclusive(served: Served) -> None:
    metres = _metres(shapely.Point(place(12, 2)))
    found = get(served, radius_m=f"{metres - 0.01},{metres + 1e-6}")
    assert [r["layers"]["geohazard-points"]["count"] for r in found["rings"]] == [1, 2]


def test_features_are_told_nearest_first_with_true_distances(served: Served) -> None:
    found = get(served, radius_m="3000")
    for layer in ("geohazard-points", "shelters"):
        features = found["layers"][layer]["features"]
        assert len(features) > 4
        metres = [one["distance_m"] for one in features]
        assert metres == sorted(metres)
        for one in features:
            azimuth, _, true = GEOD.inv(*HERE, one["lon"], one["lat"])
            assert one["distance_m"] == pytest.approx(true, abs=0.06)
            assert math.cos(math.radians(one["bearing_deg"] - azimuth)) > 1 - 1e-5
    (fault,) = found["layers"]["fault-lines"]["features"]
    # The line runs along column 8, far beyond the city: two blocks to the west, not to its middle.
    assert fault["distance_m"] == pytest.approx(2 * ALONG, abs=0.2)
    assert fault["bearing_deg"] == pytest.approx(270, abs=0.1)
    (here,) = found["layers"]["major-hazard-sources"]["features"]
    assert (here["distance_m"], here["bearing_deg"]) == (0, None)


def test_the_list_is_limited_and_says_how_many_there_are(served: Served) -> None:
    found = get(served, radius_m="3000", limit=2)["layers"]["geohazard-points"]
    assert found["count"] == 6
    assert [one["code"] for one in found["features"]] == ["G11", "G12"]
    assert get(served, radius_m="3000", limit=0)["layers"]["geohazard-points"]["features"] == []


def test_layers_without_data_are_told_apart_from_those_out_of_range(served: Served) -> None:
    found = get(served, radius_m="500")
    assert "flash-flood-zones" in found["none_in_range"]
    assert "flash-flood-zones" not in found["empty_layers"]
    assert {"rescue-teams", "supply-depots", "enterprises"} <= set(found["empty_layers"])
    assert not set(found["empty_layers"]) & set(found["none_in_range"])
    assert "flash-flood-zones" not in get(served, radius_m="9100")["none_in_range"]
    assert "population-cells" not in found["layers"] and "land-cover" not in found["layers"]


def test_a_cell_half_inside_counts_by_its_share(served: Served) -> None:
    """The circle of 1000 m through the middle of a square of 100 m leaves less than half inside.

    It bends down by x^2 / 2r: 2 * 50^3 / 3 / 2000 = 41.7 of 10,000 m2 less than the half of 5,000.
    """
    found = get(served, radius_m="900,1000,1100")
    cut = 10_000 * (0.5 - 2 * 50**3 / 3 / 2000 / 10_000)
    # The disk has 360 corners: up to 4 cm less at each.
    assert [ring["people"] for ring in found["rings"]] == [
        100,
        pytest.approx(100 + cut, abs=5),
        100 + 10_000,
    ]


def test_minutes_are_those_of_the_network_and_inclusive(served: Served) -> None:
    """A block takes an emergency vehicle 60 s; the metres from the road are walked."""
    found = get(served, minutes="2,3,6", profile="emergency")
    assert found["rings"] == [] and found["radius_m"] == []
    assert found["method"] == "network_free_flow" and "grid" in found["speed_source"]
    counts = [one["layers"]["geohazard-points"]["count"] for one in found["reached"]]
    assert counts == [2, 3, 6]
    travel = {
        one["code"]: one["travel_s"] for one in found["layers"]["geohazard-points"]["features"]
    }
    for code, seconds in travel.items():
        assert seconds == pytest.approx(60 * (int(code[1:]) - 10), abs=0.2)
    # Who lives 1000 m to the north walks the last third from the end of the street.
    seconds = 2 * 60 + (1000 - 2 * ACROSS) / 1.4
    assert 180 < seconds < 360
    assert [one["people"] for one in found["reached"]] == [100, 100, 10_100]
    assert len(found["snapped"]) == 1 and found["snapped"][0]["snap_distance_m"] < 0.1
    walked = get(served, minutes="6", profile="walk")["reached"][0]["layers"]["geohazard-points"]
    assert walked["count"] == 1  # 300 s a block


def test_both_at_once_and_what_is_not_reached_has_no_time(served: Served) -> None:
    found = get(served, radius_m="3000", minutes="3", profile="emergency")
    assert found["method"] == "straight_line, network_free_flow"
    features = {one["code"]: one for one in found["layers"]["geohazard-points"]["features"]}
    assert len(features) == 6
    assert features["G13"]["travel_s"] == pytest.approx(180, abs=0.2)
    assert features["G14"]["travel_s"] is None


def test_without_metres_or_minutes_there_are_three_rings(served: Served) -> None:
    assert get(served)["radius_m"] == [500, 1000, 3000]
    assert get(served, radius_m="700,300,700")["radius_m"] == [300, 700]


def test_around_a_feature(served: Served) -> None:
    found = get(served, feature=source(served), radius_m="500")
    assert found["place"]["feature"]["name"] == "液氯储罐"
    same = get(served, radius_m="500")
    assert found["rings"] == same["rings"] and found["layers"] == same["layers"]


def test_around_a_line_and_an_area(served: Served) -> None:
    """Along row 2 from column 11 to 15: what stands on it is no metre away."""
    line = {"type": "LineString", "coordinates": [place(11, 2), place(15, 2)]}
    found = post(served, geometry=line, radius_m=[10, ALONG + 5])
    counts = [ring["layers"]["geohazard-points"]["count"] for ring in found["rings"]]
    assert counts == [5, 6]
    beside = {one["code"]: one for one in found["layers"]["geohazard-points"]["features"]}["G16"]
    assert beside["distance_m"] == pytest.approx(ALONG, abs=0.1)
    assert beside["bearing_deg"] == pytest.approx(90, abs=0.1)
    (x, y), (x1, y1) = place(10.5, 1.5), place(13.5, 2.5)
    area = {"type": "Polygon", "coordinates": [[(x, y), (x1, y), (x1, y1), (x, y1), (x, y)]]}
    found = post(served, geometry=area, radius_m=[1], minutes=[1], profile="emergency")
    assert found["rings"][0]["layers"]["geohazard-points"]["count"] == 3
    # From its edge at column 13.5 another half block leads to 14; the next is 90 s away.
    assert found["reached"][0]["layers"]["geohazard-points"]["count"] == 4
    wrapped = {"type": "Feature", "properties": {}, "geometry": area}
    assert post(served, geometry=wrapped, radius_m=[1])["rings"] == found["rings"]


def test_only_public_fields_are_told(served: Served) -> None:
    assert SECRET not in json.dumps(get(served, feature=source(served)), ensure_ascii=False)


def test_in_another_datum_it_is_the_same_answer(served: Served) -> None:
    """GCJ-02 lies some 500 m off: place, features, rings, zone and ways move, nothing else does."""
    ((x, y),) = Datum.GCJ02.from_wgs84(np.array([HERE])).tolist()
    query = {"radius_m": "3000", "wind_from_deg": 90, "danger_radius_m": 500}
    plain = get(served, **query)
    moved = get(served, lon=repr(x), lat=repr(y), datum="gcj02", **query)
    assert moved["datum"] == "gcj02"
    assert (moved["place"]["lon"], moved["place"]["lat"]) == pytest.approx((x, y), abs=2e-7)
    for layer, found in plain["layers"].items():
        for one, other in zip(found["features"], moved["layers"][layer]["features"], strict=True):
            assert other["distance_m"] == pytest.approx(one["distance_m"], abs=0.11)
            back = Datum.GCJ02.to_wgs84(np.array([[other["lon"], other["lat"]]]))[0]
            assert back == pytest.approx([one["lon"], one["lat"]], abs=3e-7)
            assert abs(other["lon"] - one["lon"]) > 0.003
    assert usable(moved) == usable(plain) and refused(moved) == refused(plain)
    for name in ("zone", "sector"):
        shape = shapely.geometry.shape(moved["danger"][name])
        assert shape.contains(shapely.Point(away(260, 400, (x, y))))
    route = moved["refuge"]["usable"][0]["route"]["coordinates"][0]
    assert route != plain["refuge"]["usable"][0]["route"]["coordinates"][0]


# ---------------------------------------------------------------- danger and shelters


def toxic(served: Served, **query: Any) -> dict[str, Any]:
    query = {"radius_m": "3000", "wind_from_deg": 90, **query}
    return get(served, feature=source(served), **query)


def usable(found: dict[str, Any]) -> list[str]:
    return [one["code"] for one in found["refuge"]["usable"]]


def refused(found: dict[str, Any]) -> dict[str, list[str]]:
    return {one["code"]: one["reasons"] for one in found["refuge"]["refused"]}


def test_a_source_has_a_default_zone_and_says_where_it_comes_from(served: Served) -> None:
    danger = toxic(served)["danger"]
    assert danger["danger_radius_m"] == 500 and "[U]" in danger["sources"]["danger_radius_m"]
    assert (danger["wind_from_deg"], danger["wind_to_deg"]) == (90, 270)
    assert danger["sector_deg"] == 30 and "[U]" in danger["sources"]["sector_deg"]
    assert danger["downwind_m"] == 3000 and "[D]" in danger["sources"]["downwind_m"]
    asked = toxic(served, danger_radius_m=800, sector_deg=20, downwind_m=1000)["danger"]
    assert asked["sources"] == dict.fromkeys(
        ("danger_radius_m", "sector_deg", "downwind_m"), "asked"
    )
    answer = served.get(PATH, lon=HERE[0], lat=HERE[1], wind_from_deg=90)
    assert answer.status_code == 400 and answer.json()["parameter"] == "danger_radius_m"


def test_the_width_follows_the_wind(served: Served) -> None:
    """Light winds turn about, calm ones blow nowhere: the rows of the table."""
    widths = {
        speed: toxic(served, wind_speed_mps=speed)["danger"]["sector_deg"]
        for speed in (0, 1, 1.9, 2, 20)
    }
    assert widths == {0: 180, 1: 60, 1.9: 60, 2: 30, 20: 30}
    calm = toxic(served, wind_speed_mps=0)
    assert usable(calm) == []
    assert calm["warnings"] == []
    assert "wind_speed_mps" in toxic(served)["warnings"][0]
    assert toxic(served, sector_deg=25)["warnings"] == []


def test_zone_and_sector_as_shapes(served: Served) -> None:
    danger = toxic(served)["danger"]
    zone, sector = (shapely.geometry.shape(danger[name]) for name in ("zone", "sector"))
    assert zone.is_valid and sector.is_valid
    plane = Plane(shapely.Point(HERE))
    areas = [shapely.transform(one, plane.to_metres).area for one in (zone, sector)]
    assert areas[0] == pytest.approx(math.pi * 500**2, rel=1e-3)
    assert areas[1] == pytest.approx(math.pi * 3000**2 / 6, rel=1e-3)
    assert zone.contains(shapely.Point(place(10, 1))) and not zone.contains(
        shapely.Point(place(12, 2))
    )
    assert sector.contains(shapely.Point(place(4, 2))) and not sector.contains(
        shapely.Point(place(12, 2))
    )


def test_zone_and_sector_are_counted_apart(served: Served) -> None:
    danger = toxic(served)["danger"]
    assert danger["zone_layers"]["shelters"]["count"] == 1
    assert danger["sector_layers"]["shelters"]["count"] == 2
    assert danger["zone_layers"]["geohazard-points"]["by_risk_level"]["1"] == 1
    assert (danger["people_in_zone"], danger["people_in_sector"]) == (100, 7)


def test_each_shelter_is_told_why_it_is_none(served: Served) -> None:
    assert refused(toxic(served)) == {
        "in the zone": ["in_zone"],
        "downwind": ["downwind"],
        "on the edge": ["downwind"],
        "closed": ["not_open"],
        "no state": ["not_open"],
        "full": ["full"],
        "crowded": ["full"],
        "for floods": ["not_suitable"],
        "unknown size": ["capacity_unknown"],
        "no road": ["not_reachable_on_foot"],
    }
    counts = toxic(served)["refuge"]["refused_by_reason"]
    assert set(counts) == set(REASONS) and counts["downwind"] == 2 and counts["full"] == 2


def test_a_hundredth_of_a_degree_off_the_edge_is_not_downwind(served: Served) -> None:
    """Half a metre beside the edge at 1,500 m: the shelter is only too far from a road."""
    reasons = refused(toxic(served, sector_deg=29.99))["on the edge"]
    assert "downwind" not in reasons


@pytest.mark.parametrize(("wind_from", "downwind"), [(350, True), (10, False), (180, False)])
def test_the_wind_wraps(served: Served, wind_from: float, downwind: bool) -> None:
    """From 350 it blows to 170 (140 ... 200), from 10 to 190 (160 ... 220): of these only the first
    reaches the crossing 2 columns east and 2 rows south, which lies at 141 degrees."""
    danger = toxic(served, wind_from_deg=wind_from)["danger"]
    sector = shapely.geometry.shape(danger["sector"])
    azimuth = GEOD.inv(*HERE, *place(12, 0))[0]
    assert 140 < azimuth < 142
    assert sector.intersects(shapely.Point(place(12, 0))) is downwind


def test_0_and_360_are_one_wind(served: Served) -> None:
    zero, whole = (toxic(served, wind_from_deg=wind) for wind in (0, 360))
    assert zero["danger"]["sector"] == whole["danger"]["sector"]
    assert zero["refuge"] == whole["refuge"]


def test_shelters_are_in_the_order_of_the_walk_and_add_up(served: Served) -> None:
    """From where the streets leave the zone at 500 m, 300 s a block."""
    found = toxic(served)["refuge"]
    assert [one["code"] for one in found["usable"]] == ["north", "east", "far east"]
    walks = {one["code"]: one["walk_s"] for one in found["usable"]}
    assert walks["north"] == pytest.approx((2 * ACROSS - 500) / ACROSS * WALK_S, abs=2)
    assert walks["east"] == pytest.approx((3 * ALONG - 500) / ALONG * WALK_S, abs=2)
    # The nearest exit of (16, 4) is that of row 3: x = sqrt(500^2 - 333^2) m to the east.
    out = math.sqrt(500**2 - ACROSS**2)
    assert walks["far east"] == pytest.approx(((6 * ALONG - out) / ALONG + 1) * WALK_S, abs=4)
    assert [one["free"] for one in found["usable"]] == [30, 100, 60]
    assert [one["free_so_far"] for one in found["usable"]] == [30, 130, 190]
    assert (found["people"], found["takes_in"], found["lacking"]) == (100, 100, 0)
    assert found["enough_with"] == 2
    assert [one["suitable"] for one in found["usable"]] == [True, None, None]
    assert found["walks_from"] == "edge of the danger zone" and found["avoids"] == [
        "zone",
        "sector",
    ]


def test_nobody_walks_through_the_zone_or_the_plume(served: Served) -> None:
    """With 10 degrees the corner (0, 4) is no longer downwind, but the straight way there is."""
    served.put(
        "shelters", {"code": "corner", "geom": at(place(0, 4)), "capacity_persons": 5, **OPEN}
    )
    try:
        found = toxic(served, sector_deg=10)
        plane = Plane(shapely.Point(HERE))
        danger = shapely.union_all(
            [shapely.geometry.shape(found["danger"][name]) for name in ("zone", "sector")]
        )
        inside = shapely.transform(danger, plane.to_metres).buffer(-1)
        routes = {one["code"]: one["route"] for one in found["refuge"]["usable"]}
        assert "corner" in routes
        for code, route in routes.items():
            line = shapely.transform(shapely.geometry.shape(route), plane.to_metres)
            assert line.intersection(inside).length < 1, code
            assert line.length > 100
        walk = next(one["walk_s"] for one in found["refuge"]["usable"] if one["code"] == "corner")
        out = math.sqrt(500**2 - ACROSS**2)
        assert walk == pytest.approx(((10 * ALONG - out) / ALONG + 1) * WALK_S, abs=6)
        # Where the plume is as wide as to hold every way, nobody gets there.
        assert "corner" not in usable(toxic(served, sector_deg=30))
    finally:
        with served.database.own(Actor("test")) as session:
            session.execute(text("DELETE FROM shelters WHERE code = 'corner'"))


def test_a_zone_that_holds_every_shelter(served: Served) -> None:
    found = toxic(served, danger_radius_m=20_000)
    assert usable(found) == []
    assert all(reasons[0] == "in_zone" for reasons in refused(found).values())
    assert len(refused(found)) == len(SHELTERS)
    shelters = found["refuge"]
    assert (shelters["free"], shelters["takes_in"], shelters["enough_with"]) == (0, 0, None)
    assert shelters["lacking"] == shelters["people"] == 100 + 10_000 + 7
    assert any("walk" in warning for warning in shelters["warnings"])  # no street leads out


def test_too_short_a_walk(served: Served) -> None:
    found = toxic(served, walk_minutes=5)
    assert usable(found) == ["north"]
    assert refused(found)["east"] == ["not_reachable_on_foot"]


def test_a_zone_without_a_wind(served: Served) -> None:
    found = get(served, radius_m="3000", danger_radius_m=500)
    assert found["danger"]["sector"] is None and found["danger"]["wind_to_deg"] is None
    assert "downwind" in usable(found) and "in the zone" in refused(found)
    assert found["refuge"]["avoids"] == ["zone"]


def test_another_hazard(served: Served) -> None:
    found = toxic(served, hazard="flood")
    assert "for floods" in usable(found)
    assert toxic(served, hazard="fire")["refuge"]["usable"][0]["code"] == "east"


# ---------------------------------------------------------------- what cannot be


def test_without_roads_metres_still_count(bare: Served) -> None:
    found = get(bare, radius_m="3000")
    assert found["layers"]["geohazard-points"]["count"] == 6
    assert found["network_revision"] is None
    assert [ring["people"] for ring in found["rings"]] == [None]
    assert any("population-cells" in warning for warning in found["warnings"])
    answer = bare.get(PATH, lon=HERE[0], lat=HERE[1], minutes="5")
    assert answer.status_code == 503 and "riskmap roads import" in answer.json()["detail"]


def test_without_roads_no_shelter_is_called_near(bare: Served) -> None:
    found = toxic(bare)
    assert usable(found) == []
    assert refused(found)["east"] == ["no_walk_network"]
    assert refused(found)["in the zone"] == ["in_zone", "no_walk_network"]
    assert found["refuge"]["people"] is None and found["refuge"]["takes_in"] is None
    assert "riskmap roads import" in found["refuge"]["warnings"][0]


BAD = {
    "no place": ({}, "lon, lat, feature, geometry"),
    "two places": ({"lon": HERE[0], "lat": HERE[1], "feature": "shelters/1"}, "lon, lat, feature"),
    "half a place": ({"lon": HERE[0]}, "lat"),
    "outside": ({"lon": 119.0, "lat": 36.5}, "lon,lat"),
    "swapped": ({"lon": HERE[1], "lat": HERE[0]}, "lon,lat"),
    "no id": ({"feature": "shelters"}, "feature"),
    "id of letters": ({"feature": "shelters/x"}, "feature"),
    "huge id": ({"feature": f"shelters/{10**30}"}, "feature"),
    "zero": ({"radius_m": [0]}, "radius_m"),
    "negative": ({"radius_m": [500, -1]}, "radius_m"),
    "too far": ({"radius_m": [50_001]}, "radius_m"),
    "too many": ({"radius_m": list(range(1, 14))}, "radius_m"),
    "no minutes": ({"minutes": [0]}, "minutes"),
    "hours": ({"minutes": [121]}, "minutes"),
    "profile": ({"minutes": [5], "profile": "swim"}, "profile"),
    "limit": ({"limit": 1001}, "limit"),
    "wind 361": ({"wind_from_deg": 361, "danger_radius_m": 500}, "wind_from_deg"),
    "wind -1": ({"wind_from_deg": -1, "danger_radius_m": 500}, "wind_from_deg"),
    "sector 0": ({"wind_from_deg": 1, "sector_deg": 0, "danger_radius_m": 500}, "sector_deg"),
    "sector 181": ({"wind_from_deg": 1, "sector_deg": 181, "danger_radius_m": 500}, "sector_deg"),
    "sector alone": ({"sector_deg": 30, "danger_radius_m": 500}, "wind_from_deg"),
    "speed alone": ({"wind_speed_mps": 3, "danger_radius_m": 500}, "wind_from_deg"),
    "radius": ({"danger_radius_m": 0}, "danger_radius_m"),
    "danger everywhere": ({"danger_radius_m": 20_001}, "danger_radius_m"),
    "hazard": ({"danger_radius_m": 500, "hazard": "zombies"}, "hazard"),
    "walk": ({"danger_radius_m": 500, "walk_minutes": 0}, "walk_minutes"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(served: Served, name: str) -> None:
    body, parameter = BAD[name]
    if not {"lon", "lat", "feature"} & set(body) and name != "no place":
        body = {"lon": HERE[0], "lat": HERE[1], **body}
    answer = served.client.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"].startswith(parameter)
    query = {
        key: ",".join(map(str, value)) if isinstance(value, list) else value
        for key, value in body.items()
    }
    asked = served.get(PATH, **query)
    assert asked.status_code == 400, asked.text
    assert asked.json()["parameter"].startswith(parameter)
    if name == "swapped":
        assert "颠倒" in asked.json()["detail"]


@pytest.mark.parametrize("name", ["radius_m", "minutes", "wind_from_deg", "danger_radius_m", "lon"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_refused_however_it_is_spelt(served: Served, name: str, value: str) -> None:
    asked = served.get(PATH, **{"lon": HERE[0], "lat": HERE[1], name: value})
    assert asked.status_code == 400 and asked.json()["parameter"] == name
    inner = f"[{value}]" if name in ("radius_m", "minutes") else value
    places = {"lon": str(HERE[0]), "lat": str(HERE[1]), name: inner}
    text_ = "{" + ",".join(f'"{key}": {one}' for key, one in places.items()) + "}"
    answer = served.client.post(PATH, content=text_, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text


BOW = [[120.41, 36.51], [120.42, 36.52], [120.42, 36.51], [120.41, 36.52], [120.41, 36.51]]
RING = [[120.41, 36.51], [120.42, 36.51], [120.42, 36.52], [120.41, 36.51]]
BROKEN: dict[str, tuple[Any, int]] = {
    "crossing itself": ({"type": "Polygon", "coordinates": [BOW]}, 400),
    "empty": ({"type": "Polygon", "coordinates": []}, 400),
    "empty points": ({"type": "MultiPoint", "coordinates": []}, 400),
    "no type": ({"coordinates": [1, 2]}, 400),
    "collection": ({"type": "GeometryCollection", "geometries": []}, 400),
    "one vertex": ({"type": "LineString", "coordinates": [[120.41, 36.51]]}, 400),
    "open ring": ({"type": "Polygon", "coordinates": [RING[:2]]}, 400),
    "outside": ({"type": "LineString", "coordinates": [[120.41, 36.51], [122.0, 36.5]]}, 400),
    "swapped": ({"type": "Point", "coordinates": [36.51, 120.41]}, 400),
    "texts": ({"type": "Point", "coordinates": ["a", "b"]}, 400),
    "deep": ({"type": "Point", "coordinates": [[[[1, 2]]]]}, 400),
    "many vertices": (
        {"type": "LineString", "coordinates": [[120.41 + n * 1e-6, 36.51] for n in range(5001)]},
        413,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_shape_that_cannot_be_is_refused(served: Served, name: str) -> None:
    shape, status = BROKEN[name]
    answer = served.client.post(PATH, json={"geometry": shape})
    assert answer.status_code == status, answer.text
    assert answer.json()["parameter"] == "geometry"
    if name in ("outside", "swapped"):
        assert "120" in answer.json()["detail"]


def test_a_million_vertices_are_refused_before_any_work(served: Served) -> None:
    line = ",".join("[120.4,36.5]" for _ in range(1_000_000))
    body = f'{{"geometry": {{"type": "LineString", "coordinates": [{line}]}}}}'
    answer = served.client.post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert get(served, radius_m="500")["rings"]


def test_the_most_vertices_are_taken(served: Served) -> None:
    turns = np.linspace(0, 2 * math.pi, places.MAX_VERTICES)
    ring = [[120.5 + 0.08 * math.cos(t), 36.5 + 0.08 * math.sin(t)] for t in turns[:-1]]
    found = post(
        served, geometry={"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, radius_m=[100]
    )
    assert found["layers"]["geohazard-points"]["count"] > 0


def test_a_feature_that_is_not_there(served: Served) -> None:
    for feature in ("shelters/999999", "dragons/1"):
        answer = served.get(PATH, feature=feature)
        assert answer.status_code == 404 and answer.json()["parameter"] == "feature"


def test_minutes_of_a_place_without_a_road(served: Served) -> None:
    answer = served.get(PATH, lon=120.9, lat=36.9, minutes="5")
    assert answer.status_code == 422 and answer.json()["parameter"] == "lon,lat"
    assert served.get(PATH, lon=120.9, lat=36.9, radius_m="500").status_code == 200
