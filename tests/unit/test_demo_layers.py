"""Rules that the demo's layers follow, at their limits, and checks that do find what is wrong."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import numpy as np
import pytest
import shapely
import shapely.affinity

from riskmap.demo import places as places_module
from riskmap.demo.checks import check
from riskmap.demo.chemicals import alpha_of, indices, level_of
from riskmap.demo.generate import make_city
from riskmap.demo.geohazards import danger_grade, grade_of
from riskmap.demo.ground import SEED, Ground
from riskmap.demo.places import Feature, Layers, blob, rank_levels, stem, stem_en, tiles_of


@pytest.mark.parametrize(
    ("persons", "alpha"),
    [(0, 0.5), (1, 1.0), (29, 1.0), (30, 1.2), (49, 1.2), (50, 1.5), (99, 1.5), (100, 2.0)],
)
def test_alpha_at_its_limits(persons: int, alpha: float) -> None:
    assert alpha_of(persons) == alpha


@pytest.mark.parametrize(
    ("r_value", "level"), [(0.5, 4), (9.999, 4), (10, 3), (49.999, 3), (50, 2), (99.9, 2), (100, 1)]
)
def test_source_level_at_its_limits(r_value: float, level: int) -> None:
    assert level_of(r_value) == level


def test_indices_of_two_chemicals() -> None:
    rows = [
        {"quantity_t": 10.0, "critical_quantity_t": 5, "beta": 4},
        {"quantity_t": 25.0, "critical_quantity_t": 50, "beta": 1.5},
    ]
    # S = 2 + 0.5; R = 1.2 * (4 * 2 + 1.5 * 0.5)
    assert indices(rows, 1.2) == (2.5, 10.5)


@pytest.mark.parametrize(
    ("persons", "wan_yuan", "grade"),
    [
        (99, 499, "small"),
        (100, 0, "medium"),
        (0, 500, "medium"),
        (499, 4999, "medium"),
        (500, 0, "large"),
        (10, 5000, "large"),
        (1000, 0, "extra_large"),
        (0, 10_000, "extra_large"),
    ],
)
def test_danger_grade_is_the_higher_of_persons_and_property(
    persons: int, wan_yuan: int, grade: str
) -> None:
    assert danger_grade(persons, wan_yuan) == grade


def test_a_landslide_of_ten_is_medium() -> None:
    limits = (10.0, 100.0, 1000.0)
    assert [grade_of(v, limits) for v in (9.99, 10.0, 99.0, 100.0, 1000.0)] == [
        "small",
        "medium",
        "medium",
        "large",
        "extra_large",
    ]


def test_levels_follow_the_score_and_some_are_unknown() -> None:
    rng = np.random.default_rng(1)
    score = np.arange(1000.0)
    levels = rank_levels(rng, score, (0.1, 0.2, 0.3, 0.4), 0.1)
    known = [(s, level) for s, level in zip(score, levels, strict=True) if level is not None]
    assert 50 < levels.count(None) < 150
    assert [level for _, level in known] == sorted((lv for _, lv in known), reverse=True)
    assert [level for s, level in known if s >= 900] == [1] * sum(s >= 900 for s, _ in known)


def test_names_lose_the_word_for_their_kind() -> None:
    assert (stem("云泉社区"), stem("云泉村"), stem("柳街道")) == ("云泉", "云泉", "柳街道")
    assert (stem_en("Yunquan Community"), stem_en("Yunquan")) == ("Yunquan", "Yunquan")


def test_tiles_cover_the_same_ground() -> None:
    shape = shapely.Point(0, 0).buffer(1000, quad_segs=500).difference(shapely.box(-9, -9, 9, 9))
    parts = tiles_of(shape, 64)
    assert max(shapely.get_num_coordinates(parts)) <= 64
    assert sum(part.area for part in parts) == pytest.approx(shape.area)


def test_an_outline_is_one_valid_polygon_around_its_line() -> None:
    rng = np.random.default_rng(2)
    line = np.cumsum(rng.normal(60, 40, (9, 2)), axis=0)
    shape = blob(line, rng, (30.0, 80.0), 50.0)
    assert shape.is_valid
    assert shape.covers(shapely.LineString(line))
    assert shape.distance(shapely.Point(line[0])) == 0
    assert shapely.hausdorff_distance(shape, shapely.LineString(line)) < 90


@functools.cache
def city() -> tuple[Ground, Layers]:
    """The default city; `make_city` has checked it."""
    return make_city(SEED)


def first(features: list[Feature], **wanted: object) -> Feature:
    return next(
        one
        for one in features
        if all(one.properties.get(name) == value for name, value in wanted.items())
    )


def _twin_code(layers: Layers) -> None:
    one, two = layers["shelters"][:2]
    two.properties["code"] = one.properties["code"]


def _in_the_sea(layers: Layers) -> None:
    ground, _ = city()
    sea = next(one.shape for one in ground.terrain.cover if one.cover_class == "sea")
    layers["rescue-teams"][0].shape = shapely.point_on_surface(sea)


def _on_the_level(layers: Layers) -> None:
    slide = first(layers["geohazard-points"], hazard_type="landslide")
    slide.shape = first(layers["rescue-teams"], kind="fire_station").shape


def _one_person_more(layers: Layers) -> None:
    layers["rescue-teams"][0].properties["personnel"] += 1


def _one_inhabitant_less(layers: Layers) -> None:
    first(layers["admin-divisions"], level="community").properties["population"] -= 1


def _other_plant(layers: Layers) -> None:
    one = layers["major-hazard-sources"][0]
    owners = {source.properties["enterprise_code"] for source in layers["major-hazard-sources"]}
    other = min(owners - {one.properties["enterprise_code"]})
    one.properties["enterprise_code"] = other


def _wrong_level(layers: Layers) -> None:
    told = layers["major-hazard-sources"][0].properties
    told["hazard_level"] = told["hazard_level"] % 4 + 1


def _too_roomy(layers: Layers) -> None:
    first(layers["shelters"], capacity_source="derived").properties["capacity_persons"] += 1


def _all_assessed(layers: Layers) -> None:
    for one in layers["risk-records"]:
        one.properties.setdefault("risk_level", 4)


def _unknown_value(layers: Layers) -> None:
    layers["risk-records"][0].properties["risk_domain"] = "space"


def _not_marked(layers: Layers) -> None:
    del layers["fault-lines"][0].properties["data_quality"]


def _away_from_streams(layers: Layers) -> None:
    zone = layers["flash-flood-zones"][0]
    zone.shape = shapely.affinity.translate(zone.shape, yoff=40_000)


SPOILT: dict[Callable[[Layers], None], str] = {
    _twin_code: "shelters: codes ['BN-",
    _in_the_sea: "rescue-teams: 1 points in water",
    _on_the_level: "geohazard-points: 1 slopes are level",
    _one_person_more: "rescue-teams: 26001 persons",
    _one_inhabitant_less: "has other residents than its parts",
    _other_plant: "lies outside its plant",
    _wrong_level: "major-hazard-sources: ZD-000001 has level",
    _too_roomy: ", derived ",
    _all_assessed: "risk-records: risk levels",
    _unknown_value: "risk-records: [\"risk_domain='space'\"]",
    _not_marked: "fault-lines: features that do not say they are synthetic",
    _away_from_streams: "flash-flood-zones: 1 away from every stream",
}


@functools.cache
def complaints() -> str:
    """What the checks say of a city that is spoilt in all these ways at once."""
    ground, layers = city()
    spoilt = {
        name: [Feature(one.shape, copy.deepcopy(one.properties)) for one in features]
        for name, features in layers.items()
    }
    for spoil in SPOILT:
        spoil(spoilt)
    with pytest.raises(ValueError, match="the demo city is wrong") as error:
        check(ground, spoilt)
    return str(error.value)


# The whole city is made in memory, which takes most of a minute: `make prove-demo`.
@pytest.mark.prove
@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.strip("_"))
def test_the_checks_see_what_is_wrong(spoil: Callable[[Layers], None]) -> None:
    assert SPOILT[spoil] in complaints()


@pytest.mark.prove
def test_a_draw_that_the_ground_cannot_give_is_an_error() -> None:
    ground, _ = city()
    places = places_module.Places(ground)
    nowhere = np.zeros_like(ground.terrain.slope)
    nowhere[:2, :2] = 1.0
    with pytest.raises(ValueError, match="are needed"):
        places.draw(np.random.default_rng(1), nowhere, 50)
