"""Turn restrictions of OpenStreetMap, the passages that they ban, and times by the hour."""

from __future__ import annotations

import numpy as np
import osmium
import pytest

from conftest import shared_data
from riskmap.errors import InputError
from riskmap.i18n import LANGS, say
from riskmap.roads.graph import build_graph
from riskmap.roads.hours import at_hour, hour_sources
from riskmap.roads.osm import read_osm_pbf
from riskmap.roads.osm_turns import RestrictionTags
from riskmap.roads.report import describe
from riskmap.roads.speeds import TimeFactor, TimeFactors
from riskmap.roads.turns import banned_passages
from riskmap.units import UNREACHED

# Node 1 in the middle, arms to 2..5; way 6 passes node 1, one-way from 6 to 7; way 7 does so both
# ways.
NODES = {k: (118.0 + k / 1000, 32.0 + (k * k % 7) / 1000) for k in range(1, 10)}
ROAD = {"highway": "residential"}
WAYS = {
    **{k: ([1, k], ROAD) for k in (2, 3, 4, 5)},
    6: ([6, 1, 7], {**ROAD, "oneway": "yes"}),
    7: ([8, 1, 9], ROAD),
    8: ([2, 3], {"highway": "construction"}),
}


def extract(tmp_path, relations):
    """Write an extract: relations as {id: (members, tags)}, a member as "from 2" or "via n1"."""
    text = ["<osm version='0.6'>"]
    text += [f"<node id='{k}' version='1' lon='{x}' lat='{y}'/>" for k, (x, y) in NODES.items()]
    for number, (refs, tags) in WAYS.items():
        text.append(f"<way id='{number}' version='1'>")
        text += [f"<nd ref='{ref}'/>" for ref in refs]
        text += [f"<tag k='{k}' v='{v}'/>" for k, v in tags.items()] + ["</way>"]
    for number, (members, tags) in relations.items():
        text.append(f"<relation id='{number}' version='1'>")
        for role, ref in (member.split() for member in members):
            kind = "node" if ref.startswith("n") else "way"
            text.append(f"<member type='{kind}' ref='{ref.lstrip('n')}' role='{role}'/>")
        text += [f"<tag k='{k}' v='{v}'/>" for k, v in {"type": "restriction", **tags}.items()]
        text.append("</relation>")
    path = tmp_path / "turns.osm"
    path.write_text("\n".join([*text, "</osm>"]), encoding="utf-8")
    return path


def no_left(*members):
    return (members, {"restriction": "no_left_turn"})


def read(tmp_path, relations):
    edges = read_osm_pbf(extract(tmp_path, relations))
    turns = {
        (turn.from_source[4:], turn.via_node, turn.to_source[4:], turn.mandatory)
        for turn in edges.turns
    }
    return turns, {note.key: note.values["count"] for note in edges.notes}


def test_members_become_the_edges_that_touch_the_node(tmp_path):
    turns, notes = read(
        tmp_path,
        {
            1: no_left("from 2", "via n1", "to 3"),
            2: (("from 3", "via n1", "to 4"), {"restriction": "only_straight_on"}),
            # The halves of a one-way street: one comes to the node, the other leaves it.
            3: no_left("from 6", "via n1", "to 2"),
            4: no_left("from 3", "via n1", "to 6"),
            5: (("from 4", "via n1", "to 4"), {"restriction": "no_u_turn"}),
            6: (("from 2", "from 3", "via n1", "to 5"), {"restriction": "no_entry"}),
            7: (("from 5", "via n1", "to 2", "to 3"), {"restriction": "no_exit"}),
        },
    )
    assert turns == {
        ("2/0", 1, "3/0", False), ("3/0", 1, "4/0", True), ("6/0", 1, "2/0", False),
        ("3/0", 1, "6/1", False), ("4/0", 1, "4/0", False), ("2/0", 1, "5/0", False),
        ("3/0", 1, "5/0", False), ("5/0", 1, "2/0", False), ("5/0", 1, "3/0", False),
    }  # fmt: skip
    assert notes == {}


def test_what_is_left_out_is_counted(tmp_path):
    turns, notes = read(
        tmp_path,
        {
            11: (("from 2", "via 6", "to 3"), {"restriction": "no_u_turn"}),
            12: (("from 2", "via n1", "to 3"), {"restriction:conditional": "no_left_turn @ (7-9)"}),
            13: (
                ("from 2", "via n1", "to 3"),
                {"restriction": "no_left_turn", "hour_on": "07:00", "hour_off": "09:00"},
            ),
            21: no_left("from 2", "to 3"),
            22: no_left("from 2", "via n1", "via n2", "to 3"),
            23: no_left("from 2", "via n1", "to 99"),
            24: no_left("from 2", "via n1", "to 8"),
            25: no_left("from 2", "via n3", "to 3"),
            26: no_left("from 7", "via n1", "to 3"),  # which half of way 7?
            27: no_left("from n2", "via n1", "to 3"),
            28: no_left("via n1", "to 3"),
        },
    )
    assert turns == set()
    assert notes == {
        "roads.turns_via_way": 1, "roads.turns_conditional": 2, "roads.turns_unresolved": 8,
    }  # fmt: skip
    report = describe(read_osm_pbf(extract(tmp_path, {28: no_left("via n1", "to 3")})))
    for lang in LANGS:
        assert "relation/28" in report.render(lang)


def test_a_ban_beats_a_mandatory_turn_and_is_kept_once(tmp_path):
    both = ("from 2", "via n1", "to 3")
    only = (both, {"restriction": "only_left_turn"})
    for order in ([only, no_left(*both)], [no_left(*both), only, no_left(*both)]):
        edges = read_osm_pbf(extract(tmp_path, dict(enumerate(order, start=1))))
        (turn,) = edges.turns
        assert not turn.mandatory and "no_left_turn" in turn.source
        assert describe(edges).to_json()["turns"] == 1


@pytest.mark.parametrize(
    ("tags", "value", "conditional"),
    [
        ({"restriction": "no_left_turn"}, "no_left_turn", False),
        ({"restriction": "no_left_turn", "except": "psv;emergency"}, "no_left_turn", False),
        ({"restriction": "no_left_turn", "except": "bicycle; motorcar"}, "", False),
        ({"restriction": "no_left_turn", "except": "motor_vehicle"}, "", False),
        ({"restriction:hgv": "no_left_turn"}, "", False),
        ({"restriction:motorcar": "only_right_turn"}, "only_right_turn", False),
        (
            {"restriction": "no_u_turn", "restriction:motor_vehicle": "no_exit"},
            "no_exit",
            False,
        ),
        ({"restriction": "give_way"}, "", False),
        ({"restriction": "no_u_turn", "restriction:conditional": "x"}, "no_u_turn", False),
        ({"restriction:motorcar:conditional": "no_u_turn @ wet"}, "", True),
        ({"restriction": "no_u_turn", "day_on": "Mo"}, "", True),
        ({}, "", False),
    ],
)
def test_tags(tags, value, conditional):
    found = RestrictionTags(tags)
    assert (found.value, found.conditional) == (value, conditional)


def test_porto_against_a_plain_count():
    path = shared_data("porto/porto_2015.osm.pbf")
    edges = read_osm_pbf(path)
    by_relation: dict[int, set[str]] = {}
    plain = 0
    for relation in osmium.FileProcessor(str(path), osmium.osm.RELATION):
        tags = dict(relation.tags)
        if tags.get("type") != "restriction" or not any(
            key == "restriction" or key.startswith("restriction:mot") for key in tags
        ):
            continue
        plain += 1
        by_relation[relation.id] = {f"way/{m.ref}" for m in relation.members if m.type == "w"}
    left_out = sum(
        note.values["count"] for note in edges.notes if note.key.startswith("roads.turns")
    )
    read_from = {int(turn.source.split("/")[1].split()[0]) for turn in edges.turns}
    assert plain > 100 and len(read_from) > 0.8 * plain
    # Every relation is a turn, in a note, or said by another relation already.
    assert 0 <= plain - len(read_from) - left_out < 0.02 * plain
    at = {source: k for k, source in enumerate(edges.source_id)}
    for turn in edges.turns:
        for source in (turn.from_source, turn.to_source):
            assert (
                source.rpartition("/")[0] in by_relation[int(turn.source.split("/")[1].split()[0])]
            )
            assert turn.via_node in (edges.from_node[at[source]], edges.to_node[at[source]])


# ---------------------------------------------------------------- what they ban

EDGES = np.array([[20, 1, 2], [10, 3, 1], [30, 1, 4], [40, 1, 1], [50, 4, 5]])


def bans(*rows):
    return banned_passages(EDGES, np.array(rows, dtype=np.int64).reshape(-1, 4)).tolist()


def test_a_mandatory_turn_bans_all_other_exits():
    assert bans([10, 1, 20, 1]) == [[10, 1, 10], [10, 1, 30], [10, 1, 40]]
    assert bans([10, 1, 20, 1], [10, 1, 30, 1]) == [[10, 1, 10], [10, 1, 40]]
    assert bans([10, 1, 20, 1], [10, 1, 30, 0]) == [[10, 1, 10], [10, 1, 30], [10, 1, 40]]
    assert bans([40, 1, 20, 1]) == [[40, 1, 10], [40, 1, 30], [40, 1, 40]]
    assert bans([30, 1, 30, 1]) == [[30, 1, 10], [30, 1, 20], [30, 1, 40]]


def test_a_ban_is_itself_and_what_does_not_fit_is_none():
    assert bans([30, 1, 20, 0], [10, 1, 20, 0], [10, 1, 20, 0]) == [[10, 1, 20], [30, 1, 20]]
    # An edge that is not there, or does not touch the node; a mandatory one binds nobody then.
    for mandatory in (0, 1):
        for row in ([99, 1, 20], [10, 1, 99], [10, 4, 30], [50, 1, 20], [10, 1, 50]):
            assert bans([*row, mandatory]) == []
    assert bans() == []
    nothing = np.empty((0, 3), dtype=np.int64)
    assert banned_passages(nothing, np.array([[1, 2, 3, 1]])).shape == (0, 3)


def test_against_a_loop_in_plain_python():
    random = np.random.default_rng(7)
    for _ in range(50):
        edges = np.column_stack([random.permutation(30), random.integers(0, 8, (30, 2))])
        rows = np.column_stack(
            [
                random.integers(0, 33, 40),
                random.integers(0, 8, 40),
                random.integers(0, 33, 40),
                random.integers(0, 2, 40),
            ]
        )
        ends = {e: {u, v} for e, u, v in edges.tolist()}
        fit = [r for r in rows.tolist() if all(r[1] in ends.get(r[k], ()) for k in (0, 2))]
        expected = {(f, v, t) for f, v, t, must in fit if not must}
        for f, v, _, must in fit:
            if must:
                allowed = {r[2] for r in fit if r[:2] == [f, v] and r[3]}
                expected |= {(f, v, e) for e, at in ends.items() if v in at and e not in allowed}
        assert banned_passages(edges, rows).tolist() == sorted(map(list, expected))


# ---------------------------------------------------------------- hours


def timed():
    return build_graph(
        revision="7-x",
        profile="ordinary",
        srid=32650,
        edge_id=[1, 2, 3],
        from_node=[1, 2, 3],
        to_node=[2, 3, 4],
        xy=[[0, 0], [1, 0], [1, 0], [2, 0], [2, 0], [3, 0]],
        offsets=[0, 2, 4, 6],
        length_m=[1, 1, 1],
        forward_ms=[900, 1001, UNREACHED],
        backward_ms=[UNREACHED, 1, UNREACHED - 5],
        road_class=["service", "primary", "track"],
    )


FACTORS = TimeFactors(
    {
        ("ordinary", "*", "workday", 8): TimeFactor(0.5, "all"),
        ("ordinary", "primary", "workday", 8): TimeFactor(2.0, "own"),
        ("walk", "service", "workday", 9): TimeFactor(0.1, "other"),
    }
)


def test_an_hour_stretches_times_and_nothing_else():
    graph = timed()
    slow = at_hour(graph, FACTORS, "workday", 8)
    order = np.argsort(slow.edge_id)
    # 1001 / 2 = 500.5 to even; 1 / 2 stays 1 ms; a closed direction stays closed.
    assert slow.forward_ms[order].tolist() == [1800, 500, UNREACHED]
    assert slow.backward_ms[order].tolist() == [UNREACHED, 1, UNREACHED - 1]
    assert slow.revision == "7-x@workday-08" and graph.revision == "7-x"
    assert graph.forward_ms[order].tolist() == [900, 1001, UNREACHED]
    assert hour_sources(graph, FACTORS, "workday", 8) == ["all", "own"]


def test_an_hour_without_rows_is_the_free_speed():
    graph = timed()
    for day, hour in (("restday", 8), ("workday", 9)):
        same = at_hour(graph, FACTORS, day, hour)
        np.testing.assert_array_equal(same.forward_ms, graph.forward_ms)
        np.testing.assert_array_equal(same.cost_ms, graph.cost_ms)
        assert same.revision != graph.revision
        assert hour_sources(graph, FACTORS, day, hour) == []


@pytest.mark.parametrize(
    ("day", "hour", "named"), [("sunday", 8, "day_type"), ("workday", 24, "hour")]
)
def test_a_time_that_there_is_not(day, hour, named):
    with pytest.raises(InputError) as caught:
        at_hour(timed(), FACTORS, day, hour)
    assert caught.value.parameter == named
    for lang in LANGS:
        assert caught.value.text(lang)
        assert say("roads.turns_via_way", lang, count=1, examples="relation/1")
