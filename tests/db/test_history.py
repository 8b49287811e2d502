"""History and audit: what an edit supersedes can be had again, exactly; and who did it."""

from __future__ import annotations

import pytest
from feedrows import ACTOR, act, point, points, psql, rows
from sqlalchemy import text

from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor, Database

# Numbers, texts and times that a careless way through JSON would change.
TEAM = """
INSERT INTO rescue_teams (code, geom, name, specialties, personnel, licensed, licensed_at,
    surveyed_at, raw_x, position_accuracy_m, attributes, vehicles)
VALUES ('a', ST_SetSRID(ST_MakePoint(120.1 + 0.2, 1 / 3.0 + 36), 4326), E'消防\\n"站"',
    '{fire,"a,b",NULL}', 2147483647, false, '2024-02-29', '2024-02-29 23:59:59.123456+08',
    0.1::float8 + 0.2::float8, 'NaN', '{"深": [1, 1.50, null, {"x": 1e40}]}',
    '[{"type": "truck", "count": 2}]')
"""
ROUND_TRIP = """
WITH restored AS (
    SELECT (jsonb_populate_record(NULL::rescue_teams, h."row")).*, h.geom AS kept FROM history h
)
SELECT count(*) FROM restored r JOIN was w USING (id)
WHERE to_jsonb(r) - ARRAY['geom', 'geom_3857', 'search', 'kept']
        = to_jsonb(w) - ARRAY['geom', 'geom_3857', 'search']
    AND (r.specialties, r.licensed_at, r.surveyed_at, r.attributes, r.vehicles, r.raw_x)
        IS NOT DISTINCT FROM
        (w.specialties, w.licensed_at, w.surveyed_at, w.attributes, w.vehicles, w.raw_x)
    AND float8send(r.raw_x) = float8send(w.raw_x)
    AND ST_AsEWKB(r.kept) = ST_AsEWKB(w.geom)
"""
CHANGES = {
    "update": "UPDATE rescue_teams SET name = 'new', geom = 'SRID=4326;POINT(120.5 36.5)'",
    "delete": "DELETE FROM rescue_teams",
    "truncate": "TRUNCATE rescue_teams",
}


def test_an_insert_costs_no_history(database: Database) -> None:
    act(database, points(3))
    assert rows(database, "SELECT 1 FROM history") == []


@pytest.mark.parametrize("op", CHANGES)
@pytest.mark.parametrize("digits", [1, -15])
def test_a_superseded_row_comes_back_bit_for_bit(
    cluster: Cluster, database: Database, op: str, digits: int
) -> None:
    with psql(cluster, database) as session:
        session.execute(TEAM)
        session.execute("CREATE TABLE was AS TABLE rescue_teams")
        session.execute(f"SET extra_float_digits = {digits}")
        session.execute(CHANGES[op])
        session.execute("RESET extra_float_digits")
        assert session.execute(ROUND_TRIP).fetchone() == (1,)
        [kept] = session.execute('SELECT "row" FROM history').fetchall()
        # What is computed from the rest comes back with it.
        assert not {"geom", "geom_3857", "search"} & set(kept[0])


def test_a_curve_can_be_deleted_and_kept(database: Database) -> None:
    """GeoJSON has no curves: a history that went by it would refuse the edit."""
    curve = "CIRCULARSTRING(120 36,120.1 36.1,120.2 36)"
    act(database, f"INSERT INTO risk_records (code, geom) VALUES ('a', 'SRID=4326;{curve}')")
    act(database, "UPDATE risk_records SET name = 'x'", "DELETE FROM risk_records")
    assert rows(database, "SELECT op, version, ST_AsText(geom) FROM history ORDER BY id") == [
        ("update", 1, curve),
        ("delete", 2, curve),
    ]


def test_a_deleted_feature_can_be_put_back_with_its_id(
    cluster: Cluster, database: Database
) -> None:
    act(database, point("a"), point("b"))
    [before] = rows(database, "SELECT id, code, geom::text FROM shelters WHERE code = 'a'")
    act(database, "DELETE FROM shelters WHERE code = 'a'")
    act(
        database,
        "INSERT INTO shelters (id, code, geom, version) OVERRIDING SYSTEM VALUE"
        " SELECT feature_id, \"row\"->>'code', geom, version + 1 FROM history",
    )
    assert rows(database, "SELECT id, code, geom::text FROM shelters WHERE code = 'a'") == [before]
    assert rows(database, "SELECT version FROM shelters WHERE code = 'a'") == [(2,)]


def test_who_did_it_for_which_request(database: Database) -> None:
    act(database, point("a"), "UPDATE shelters SET name = 'x'", "DELETE FROM shelters")
    who = (ACTOR.name, ACTOR.request_id)
    assert rows(
        database, "SELECT op, feature_id, version, actor, request_id FROM history ORDER BY id"
    ) == [("update", 1, 1, *who), ("delete", 1, 2, *who)]
    assert rows(database, "SELECT action, actor, request_id FROM audit ORDER BY id") == [
        (action, *who) for action in ("insert", "update", "delete")
    ]


def test_psql_is_named_by_its_login(cluster: Cluster, database: Database) -> None:
    with psql(cluster, database) as session:
        session.execute(point("a"))
        session.execute("TRUNCATE shelters")
    owner = "db:riskmap_owner"
    assert (
        rows(database, "SELECT actor, db_user, request_id FROM audit ORDER BY id")
        == [(owner, "riskmap_owner", None)] * 2
    )
    assert rows(database, "SELECT actor, request_id FROM history") == [(owner, None)]


def test_an_actor_does_not_leak_into_the_next_transaction(database: Database) -> None:
    act(database, point("a"))
    with database.engine.begin() as connection:  # the pool hands out the connection used last
        assert connection.execute(text("SHOW riskmap.actor")).scalar_one() == ""
        connection.execute(text("UPDATE shelters SET name = 'x'"))
    with database.write(Actor("key:b")) as session:
        session.execute(text("DELETE FROM shelters"))
    assert rows(database, "SELECT actor, request_id FROM audit ORDER BY id") == [
        (ACTOR.name, ACTOR.request_id),
        ("db:riskmap_api", None),
        ("key:b", None),
    ]
