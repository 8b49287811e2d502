"""What holds for every scenario on every network."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from network import random_graph, straight  # noqa: E402

from riskmap.analysis.anchors import Anchors, anchor  # noqa: E402
from riskmap.analysis.changed import RoadFacts, apply, changed_teams  # noqa: E402
from riskmap.analysis.coverage import Way, first_arrivals, teams_of  # noqa: E402
from riskmap.analysis.scenario_store import FloodFactors  # noqa: E402
from riskmap.analysis.scenarios import (  # noqa: E402
    AddedTeam,
    Flood,
    MovedTeam,
    Scenario,
    TeamRef,
)
from riskmap.analysis.search import search  # noqa: E402
from riskmap.analysis.store import LayerRows, Phases  # noqa: E402
from riskmap.catalog.registry import load_catalog  # noqa: E402
from riskmap.catalog.spec import Role  # noqa: E402
from riskmap.roads.graphs import Network  # noqa: E402
from riskmap.roads.snap import positions_on  # noqa: E402
from riskmap.roads.speeds import TimeFactors  # noqa: E402
from riskmap.units import UNREACHED, LonLat  # noqa: E402

FLOOD = FloodFactors(
    {"*": [(0.0, 0.2, 0.5), (0.2, 0.5, 0.2), (0.5, float("inf"), None)], "boat": [(1.0, 2.0, 0.9)]}
)
DRY = RoadFacts(FLOOD, TimeFactors({}), np.zeros(0, dtype=np.int64))
CATALOG = load_catalog()
(TEAMS, *_), (TARGETS, *_) = CATALOG.with_role(Role.TEAM), CATALOG.with_role(Role.HAZARD)
PHASES = {"default": Phases("default", "plain", 60.0, 30.0, 0.0, "test")}


def network(seed: int) -> tuple[np.random.Generator, Network]:
    random = np.random.default_rng(seed)
    nodes = int(random.integers(2, 25))
    return random, Network(random_graph(random, nodes, int(random.integers(1, 60))))


def polygon(random: np.random.Generator, near: Network) -> shapely.Polygon:
    corners = random.uniform(-200, 2200, 2) + random.uniform(-700, 700, (6, 2))
    hull = shapely.convex_hull(shapely.MultiPoint(corners))
    return shapely.transform(hull, near.to_lonlat)


def supposed(random: np.random.Generator, near: Network) -> Scenario:
    graph = near.graph
    some = random.random(graph.edge_count) < 0.1
    return Scenario(
        closed_edges=tuple(graph.edge_id[some].tolist()),
        closed_polygons=tuple(polygon(random, near) for _ in range(random.integers(0, 2))),
        flooded_polygons=tuple(
            Flood(polygon(random, near), float(random.choice([0, 0.1, 0.3, 0.7])))
            for _ in range(random.integers(0, 3))
        ),
    )


def times(of: Network, random: np.random.Generator, *, reverse: bool):
    graph = of.graph
    edge = random.integers(0, graph.edge_count, 12)
    start = positions_on(graph, edge[:2], random.choice([0.0, 0.3, 1.0], 2))
    found = search(graph, start, [0, 5000], 60_000, reverse=reverse)
    return found.at(positions_on(graph, edge, random.choice([0.0, 0.5, 1.0], 12)))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), reverse=st.booleans())
def test_closing_and_water_never_shorten_a_time(seed: int, reverse: bool) -> None:
    random, base = network(seed)
    changed = apply(supposed(random, base), base, DRY)
    before = times(base, np.random.default_rng(seed), reverse=reverse)
    after = times(changed, np.random.default_rng(seed), reverse=reverse)
    assert (after >= before).all()
    assert (changed.graph.forward_ms >= base.graph.forward_ms).all()
    assert (changed.graph.backward_ms[changed.closed] == UNREACHED).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_more_closed_is_never_shorter(seed: int) -> None:
    random, base = network(seed)
    some = supposed(random, base)
    more = Scenario(
        closed_edges=(*some.closed_edges, int(base.graph.edge_id[0])),
        closed_polygons=(*some.closed_polygons, polygon(random, base)),
        flooded_polygons=some.flooded_polygons,
    )
    before = times(apply(some, base, DRY), np.random.default_rng(seed), reverse=False)
    after = times(apply(more, base, DRY), np.random.default_rng(seed), reverse=False)
    assert (after >= before).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_an_empty_scenario_changes_no_time(seed: int) -> None:
    _, base = network(seed)
    changed = apply(Scenario(), base, DRY)
    for name in ("forward_ms", "backward_ms", "cost_ms", "rev_cost_ms"):
        assert (getattr(changed.graph, name) == getattr(base.graph, name)).all()
    assert not changed.closed.any() and not changed.slowed


def rows(layer, places, *, first_id: int = 1) -> LayerRows:
    shapes = np.array([shapely.Point(one) for one in places], dtype=object)
    nothing = {"name": [None] * len(places), "duty_status": [None] * len(places)}
    return LayerRows(layer, 7, np.arange(len(places)) + first_id, shapes, nothing)


def arrived(base: Network, teams: Anchors, targets: Anchors):
    who = teams_of([teams.rows], PHASES)
    (found,) = first_arrivals(who, [Way(base, [teams], [targets])])
    return found


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_teams_more_and_fewer(seed: int) -> None:
    random, base = network(seed)

    def places(count: int) -> list[LonLat]:
        return [LonLat(*one) for one in base.to_lonlat(random.uniform(0, 2000, (count, 2)))]

    teams = anchor(rows(TEAMS, places(int(random.integers(0, 6)))), base)
    targets = anchor(rows(TARGETS, places(15)), base)
    before = arrived(base, teams, targets)
    refs = [TeamRef(TEAMS.id, int(one)) for one in teams.rows.ids]

    added = [AddedTeam(TEAMS.id, one, {"name": "x"}) for one in places(2)]
    more = changed_teams(Scenario(teams_added=tuple(added)), teams)
    assert more.rows.ids.tolist() == [*teams.rows.ids.tolist(), -1, -2]
    assert (arrived(base, more, targets).ms <= before.ms).all()

    some = tuple(ref for ref in refs if random.random() < 0.5)
    fewer = arrived(base, changed_teams(Scenario(teams_removed=some), teams), targets)
    assert (fewer.ms >= before.ms).all()
    for limit in (200_000, 600_000):
        assert (fewer.ms <= limit).sum() <= (before.ms <= limit).sum()
    # Off duty or gone is the same to whoever waits.
    off = arrived(base, changed_teams(Scenario(teams_off_duty=some), teams), targets)
    assert (off.ms == fewer.ms).all()

    # Moved is removed there and added here.
    if refs:
        (place,) = places(1)
        moved = changed_teams(Scenario(teams_moved=(MovedTeam(refs[-1], place),)), teams)
        both = Scenario(teams_removed=(refs[-1],), teams_added=(AddedTeam(TEAMS.id, place, {}),))
        assert (
            arrived(base, moved, targets).ms
            == arrived(base, changed_teams(both, teams), targets).ms
        ).all()
        assert moved.rows.ids.tolist() == teams.rows.ids.tolist()


def test_areas_keep_their_places_when_their_neighbours_move() -> None:
    """A team whose base is an area has many positions; those of the others must not slip."""
    base = Network(straight([(0, 1, 1000, 1000), (1, 2, 1000, 1000), (2, 3, 1000, 1000)]))
    shapes = np.array(
        [shapely.Point(10, 5), shapely.box(110, -5, 290, 5), shapely.Point(250, 5)], dtype=object
    )
    lonlat = np.array([shapely.transform(one, base.to_lonlat) for one in shapes], dtype=object)
    fields = {"name": ["a", "b", "c"]}
    teams = anchor(LayerRows(TEAMS, 1, np.array([11, 12, 13]), lonlat, fields), base)
    place = LonLat(*base.to_lonlat([[290.0, 0.0]])[0])
    found = changed_teams(Scenario(teams_moved=(MovedTeam(TeamRef(TEAMS.id, 11), place),)), teams)
    assert found.rows.fields["name"] == ["a", "b", "c"]
    counts = np.diff(np.append(teams.first, len(teams.positions)))
    assert np.diff(np.append(found.first, len(found.positions))).tolist() == counts.tolist()
    assert found.positions.xy[0, 0] == pytest.approx(290)
    assert (found.positions.xy[1:] == teams.positions.xy[1:]).all()
    assert teams.positions.xy[0, 0] == pytest.approx(10), "the layer as it is stays"


@pytest.mark.parametrize(
    ("profile", "depth", "share", "told"),
    [
        ("plain", 0, 1.0, True),
        ("plain", 0.1, 0.5, True),
        ("plain", 0.2, 0.2, True),  # from 0.2 on
        ("plain", 0.5, 0.0, True),
        ("plain", 99, 0.0, True),
        ("boat", 1.5, 0.9, True),
        ("boat", 0.5, 0.0, False),  # nobody said: blocked
        ("boat", 0, 1.0, True),
    ],
)
def test_depths_and_factors(profile: str, depth: float, share: float, told: bool) -> None:
    assert FLOOD.find(profile, depth) == (share, told)
