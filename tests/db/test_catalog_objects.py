"""What `alembic check` does not see: triggers, grants, generated columns, functions' rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from feedrows import ACTOR, feed, rows
from sqlalchemy import text

from conftest import connect, copy_of, drop, open_database
from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Geometry
from riskmap.db.city import City
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Database

LAYERS = {layer.table: layer.id for layer in load_catalog().values()}

# name: (timing and event, statement or row, function, transition tables)
FEED_TRIGGERS = {
    "feed_insert": ("AFTER INSERT", "STATEMENT", "feed_changed", "NEW"),
    "feed_update": ("AFTER UPDATE", "STATEMENT", "feed_changed", "OLD NEW"),
    "feed_delete": ("AFTER DELETE", "STATEMENT", "feed_changed", "OLD"),
    "feed_truncate": ("BEFORE TRUNCATE", "STATEMENT", "feed_truncated", ""),
}
LAYER_TRIGGERS = FEED_TRIGGERS | {
    "feature_touch": ("BEFORE UPDATE", "ROW", "feature_touch", ""),
    "history_update": ("AFTER UPDATE", "STATEMENT", "history_keep", "OLD"),
    "history_delete": ("AFTER DELETE", "STATEMENT", "history_keep", "OLD"),
    "history_truncate": ("BEFORE TRUNCATE", "STATEMENT", "history_keep", ""),
}

# Of a layer that has lines or areas.
LOW_TRIGGER = {"feature_touch": ("BEFORE UPDATE", "ROW", "feature_touch_low", "")}
CELL_TRIGGERS = {
    "cells_insert": ("AFTER INSERT", "STATEMENT", "cells_changed", "NEW"),
    "cells_update": ("AFTER UPDATE", "STATEMENT", "cells_changed", "OLD NEW"),
    "cells_delete": ("AFTER DELETE", "STATEMENT", "cells_changed", "OLD"),
    "cells_truncate": ("BEFORE TRUNCATE", "STATEMENT", "cells_truncated", ""),
}

TRIGGERS = """
SELECT tgname,
    concat_ws(' ', CASE WHEN tgtype & 2 = 2 THEN 'BEFORE' ELSE 'AFTER' END,
        CASE WHEN tgtype & 4 = 4 THEN 'INSERT' END, CASE WHEN tgtype & 8 = 8 THEN 'DELETE' END,
        CASE WHEN tgtype & 16 = 16 THEN 'UPDATE' END,
        CASE WHEN tgtype & 32 = 32 THEN 'TRUNCATE' END) AS event,
    CASE WHEN tgtype & 1 = 1 THEN 'ROW' ELSE 'STATEMENT' END AS level,
    tgfoid::regproc::text AS function,
    concat_ws(' ', CASE WHEN tgoldtable = 'old_rows' THEN 'OLD' END,
        CASE WHEN tgnewtable = 'new_rows' THEN 'NEW' END) AS seen,
    encode(tgargs, 'escape') AS argument, tgenabled::text AS enabled,
    tgqual IS NULL AND tgattr::text = '' AS always
FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal
"""


def expected(triggers: dict[str, tuple[str, str, str, str]], layer: str) -> dict[str, Any]:
    return {
        name: (event, level, f"riskmap.{function}", seen, argument_of(function, layer), "O", True)
        for name, (event, level, function, seen) in triggers.items()
    }


def argument_of(function: str, layer: str) -> str:
    return (
        ""
        if function in ("feature_touch", "feature_touch_low", "audit_changed")
        else f"{layer}\\000"
    )


def triggers_of(database: Database, table: str) -> dict[str, Any]:
    with database.read() as session:
        found = session.execute(text(TRIGGERS), {"name": table}).all()
    return {row.tgname: tuple(row)[1:] for row in found}


@pytest.fixture(scope="module")
def whole(cluster: Cluster, migrated: str) -> Iterator[Database]:
    """A database to look at, not to change."""
    copy_of(cluster, migrated, "test_catalog")
    database = open_database(cluster, "test_catalog")
    yield database
    database.dispose()
    drop(cluster, "test_catalog")


@pytest.mark.parametrize("table", sorted(LAYERS))
def test_a_layer_has_its_triggers(whole: Database, table: str) -> None:
    clustered = load_catalog()[LAYERS[table]].tile.cluster
    wanted = LAYER_TRIGGERS | CELL_TRIGGERS if clustered else LAYER_TRIGGERS
    if load_catalog()[LAYERS[table]].geometry is not Geometry.POINT:
        wanted = wanted | LOW_TRIGGER
    assert triggers_of(whole, table) == expected(wanted, LAYERS[table]), (
        f"does the migration of {table} call riskmap.attach_layer, and attach_cells if it clusters?"
    )


def test_roads_and_their_defaults_have_theirs(whole: Database) -> None:
    assert triggers_of(whole, "road_edges") == expected(FEED_TRIGGERS, "roads")
    flushed = {
        name: (event, level, function.replace("changed", "flushed"), seen)
        for name, (event, level, function, seen) in FEED_TRIGGERS.items()
    }
    both = expected(flushed, "roads") | expected(AUDIT_TRIGGERS, "")
    for table in ("road_speeds", "road_profiles", "road_time_factors"):
        assert triggers_of(whole, table) == both
    # The feed's own audit row says who and how many; an import brings thousands.
    assert triggers_of(whole, "road_turns") == expected(flushed, "roads")


AUDIT_TRIGGERS = {
    "audit_insert": ("AFTER INSERT", "STATEMENT", "audit_changed", "NEW"),
    "audit_update": ("AFTER UPDATE", "STATEMENT", "audit_changed", "OLD NEW"),
    "audit_delete": ("AFTER DELETE", "STATEMENT", "audit_changed", "OLD"),
    "audit_truncate": ("BEFORE TRUNCATE", "STATEMENT", "audit_changed", ""),
}


@pytest.mark.parametrize(
    "table",
    [
        *("city", "response_phases", "gb18218_chemicals", "gb18218_categories", "wind_sectors"),
        *("response_presets", "response_tiers"),
    ],
)
def test_what_is_in_no_feed_is_audited(whole: Database, table: str) -> None:
    assert triggers_of(whole, table) == expected(AUDIT_TRIGGERS, "")


def test_keys_are_audited_and_in_the_feed(whole: Database) -> None:
    noted = {
        name: (event, level, "feed_noted", seen)
        for name, (event, level, _, seen) in FEED_TRIGGERS.items()
    }
    both = expected(noted, "api-keys") | expected(AUDIT_TRIGGERS, "")
    assert triggers_of(whole, "api_keys") == both


def test_an_edit_by_psql_leaves_its_audit_row(
    cluster: Cluster, database: Database, city: City
) -> None:
    name = str(database.owner_url.database)
    with connect(cluster, name) as session:
        session.execute("DELETE FROM audit")
        session.execute("UPDATE city SET time_zone = 'Asia/Urumqi'")
        session.execute("UPDATE city SET time_zone = 'UTC' WHERE id = 2")  # nothing, no row
        session.execute("UPDATE response_phases SET turnout_s = 45 WHERE kind = 'default'")
        session.execute(
            "INSERT INTO api_keys (prefix, sha256, name, role) VALUES ('p', 'secret', 'n', 'admin')"
        )
        session.execute("DELETE FROM api_keys")
        session.execute("TRUNCATE response_phases")
    found = rows(database, "SELECT * FROM audit ORDER BY id")
    assert [(r.action, r.subject, r.row_count) for r in found] == [
        ("update", "city", 1),
        ("update", "response_phases", 1),
        ("insert", "api_keys", 1),
        ("delete", "api_keys", 1),
        ("truncate", "response_phases", 3),
    ]
    assert {(r.actor, r.db_user) for r in found} == {("db:riskmap_owner", "riskmap_owner")}
    assert found[0].detail["old"][0]["time_zone"] == "Asia/Shanghai"
    assert found[0].detail["new"][0]["time_zone"] == "Asia/Urumqi"
    assert found[2].detail["new"][0]["role"] == "admin"
    assert not any("sha256" in str(r.detail) for r in found)
    assert [(one.layer, one.op) for one in feed(database)] == [
        ("api-keys", "INSERT"),
        ("api-keys", "DELETE"),
    ]


def test_the_number_of_a_revision_is_given_at_commit(whole: Database) -> None:
    found = rows(
        whole,
        "SELECT tgrelid::regclass::text, tgdeferrable, tginitdeferred FROM pg_trigger"
        " WHERE tgfoid = 'riskmap.feed_number'::regproc",
    )
    assert found == [("feed", True, True)]


def test_a_layer_that_was_not_attached_is_seen(cluster: Cluster, database: Database) -> None:
    with connect(cluster, str(database.owner_url.database)) as session:
        session.execute("CREATE TABLE wells (LIKE shelters INCLUDING ALL)")
        wanted = expected(LAYER_TRIGGERS | LOW_TRIGGER, "wells")
        assert triggers_of(database, "wells") != wanted
        assert grants(database).get("wells") is None
        session.execute("SELECT riskmap.attach_layer('wells', 'wells')")
    assert triggers_of(database, "wells") == wanted
    assert grants(database)["wells"] == WRITES


@pytest.mark.parametrize("table", sorted(LAYERS))
def test_the_searched_texts_are_those_that_the_layer_declares(whole: Database, table: str) -> None:
    ((expression,),) = rows(
        whole,
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef d JOIN pg_attribute a"
        " ON a.attrelid = adrelid AND attnum = adnum"
        f" WHERE adrelid = '{table}'::regclass AND attname = 'search' AND attgenerated = 's'",
    )
    searched = re.findall(r"COALESCE\((\w+), ''::text\)", expression)
    layer = next(one for one in load_catalog().values() if one.table == table)
    assert searched == [field.name for field in layer.fields if field.searched]
    indexed = rows(
        whole,
        "SELECT attname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid"
        " JOIN pg_am m ON m.oid = relam JOIN pg_attribute a ON a.attrelid = indexrelid"
        f" WHERE indrelid = '{table}'::regclass AND amname = 'gin' AND indisvalid",
    )
    assert indexed == [("search",)]


@pytest.mark.parametrize("table", [*sorted(LAYERS), "road_edges"])
def test_generated_columns_indexes_and_identity(whole: Database, table: str) -> None:
    generated = rows(
        whole,
        "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef d JOIN pg_attribute a"
        " ON a.attrelid = adrelid AND attnum = adnum"
        f" WHERE adrelid = '{table}'::regclass AND attgenerated = 's' AND attname <> 'search'"
        " ORDER BY attname",
    )
    length = [("length_m", "st_length((geom)::geography)")] if table == "road_edges" else []
    drawn = "st_curvetoline(st_transform(geom, 3857))"
    low = f"st_simplify({drawn}, (76.43702828517625)::double precision, true)"
    shapes = table in LAYERS and load_catalog()[LAYERS[table]].geometry is not Geometry.POINT
    copies = [("geom_3857", "st_transform(geom, 3857)"), *([("geom_low", low)] if shapes else [])]
    assert generated == [*copies, *length]
    indexes = rows(
        whole,
        "SELECT attname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid"
        " JOIN pg_am m ON m.oid = relam JOIN pg_attribute a ON a.attrelid = indexrelid"
        f" WHERE indrelid = '{table}'::regclass AND amname = 'gist' AND indisvalid"
        " AND indpred IS NULL ORDER BY 1",
    )
    assert indexes == [("geom",), ("geom_3857",)]
    identity = rows(
        whole,
        "SELECT attname, attidentity::text, format_type(atttypid, atttypmod) FROM pg_attribute"
        f" WHERE attrelid = '{table}'::regclass AND attidentity <> ''",
    )
    assert identity == [("id", "a", "bigint")]


def test_functions_have_fixed_paths_and_belong_to_the_owner_alone(whole: Database) -> None:
    found = rows(
        whole,
        "SELECT proname, prosecdef, coalesce(proconfig::text, '') AS config, prosrc,"
        " pg_get_userbyid(proowner) AS owner,"
        " has_function_privilege('riskmap_api', oid, 'EXECUTE') AS api,"
        " coalesce((SELECT bool_or(grantee = 0) FROM aclexplode(proacl)), proacl IS NULL) AS public"
        " FROM pg_proc WHERE pronamespace = 'riskmap'::regnamespace",
    )
    assert len(found) >= 11
    for function in found:
        assert "search_path=pg_catalog" in function.config, function.proname
        assert function.config.count("pg_temp") == 1, function.proname
        assert 'pg_temp"' in function.config, "pg_temp comes last, or it comes first"
        writes = any(f"public.{table}" in function.prosrc for table in ("feed", "history", "audit"))
        calls = "riskmap.note" in function.prosrc
        assert function.prosecdef or not (writes or calls), function.proname
        assert not function.public, f"{function.proname} may be executed by everybody"
        assert function.owner == "riskmap_owner"
    assert {function.proname for function in found if function.api} == {
        "fold_cells",
        "record",
        "search_words",
        "search_vector",
    }


READS = {"SELECT"}
WRITES = {"SELECT", "INSERT", "UPDATE", "DELETE"}
GRANTS = {
    **dict.fromkeys(LAYERS, WRITES),
    "road_edges": WRITES,
    "road_turns": WRITES,
    "scenarios": WRITES,
    **dict.fromkeys(
        (
            *("alembic_version", "city", "feed", "history", "audit", "api_keys"),
            *("road_profiles", "road_speeds", "response_phases", "road_time_factors"),
            "flood_speed_factors",
            *("gb18218_chemicals", "gb18218_categories", "cell_sums", "cell_deltas"),
            *("wind_sectors", "response_presets", "response_tiers"),
        ),
        READS,
    ),
    # No DELETE: what was asked for stays known.
    "jobs": {"SELECT", "INSERT", "UPDATE"},
    "coverage_runs": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "coverage_features": {"SELECT", "INSERT"},
    "process_jobs": WRITES,
    "imports": {"SELECT", "INSERT", "UPDATE"},
}


def grants(database: Database) -> dict[str, set[str]]:
    """Return what the API's role may do to each table, by whatever way."""
    found = rows(
        database,
        "SELECT relname, privilege FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE',"
        " 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) privilege"
        " WHERE relnamespace IN ('public'::regnamespace, 'riskmap'::regnamespace)"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname NOT IN"
        " ('spatial_ref_sys', 'geometry_columns', 'geography_columns')"
        " AND has_table_privilege('riskmap_api', oid, privilege)",
    )
    result: dict[str, set[str]] = {}
    for table, privilege in found:
        result.setdefault(table, set()).add(privilege)
    return result


def test_the_role_has_exactly_its_grants(whole: Database) -> None:
    assert grants(whole) == GRANTS
    columns = rows(
        whole,
        "SELECT attrelid::regclass FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE attacl IS NOT NULL AND relnamespace = 'public'::regnamespace",
    )
    assert columns == []
    sequences = rows(
        whole,
        "SELECT sequencename FROM pg_sequences WHERE has_sequence_privilege('riskmap_api',"
        " format('%I.%I', schemaname, sequencename), 'USAGE, SELECT, UPDATE')",
    )
    assert sequences == []


def test_the_role_is_nobody(whole: Database) -> None:
    role = rows(
        whole,
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        " FROM pg_roles WHERE rolname = 'riskmap_api'",
    )
    assert role == [(False,) * 5]
    assert rows(whole, "SELECT 1 FROM pg_auth_members WHERE member = 'riskmap_api'::regrole") == []
    for catalog, owner in (
        ("pg_class", "relowner"),
        ("pg_proc", "proowner"),
        ("pg_namespace", "nspowner"),
        ("pg_type", "typowner"),
        ("pg_database", "datdba"),
    ):
        assert rows(whole, f"SELECT 1 FROM {catalog} WHERE {owner} = 'riskmap_api'::regrole") == []
    schemas = rows(
        whole,
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege('riskmap_api', oid, 'CREATE')"
        " AND nspname NOT LIKE 'pg\\_%temp%'",
    )
    assert schemas == []


DENIED = (
    "INSERT INTO audit (actor, action, subject) VALUES ('mayor', 'delete', 'shelters')",
    "UPDATE audit SET actor = 'mayor'",
    "DELETE FROM audit",
    "TRUNCATE audit",
    "UPDATE history SET actor = 'mayor'",
    "DELETE FROM imports",
    "UPDATE road_time_factors SET factor = 2",
    "UPDATE gb18218_chemicals SET verified = true",
    "DELETE FROM history",
    "TRUNCATE shelters",
    "UPDATE feed SET revision = 1",
    "INSERT INTO feed (layer, op, row_count) VALUES ('shelters', 'INSERT', 1)",
    "UPDATE api_keys SET role = 'admin'",
    "INSERT INTO api_keys (prefix, sha256, name, role) VALUES ('a', '', 'a', 'admin')",
    "UPDATE city SET name = 'mine'",
    "UPDATE road_speeds SET speed_kmh = 200",
    "ALTER TABLE shelters DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "SELECT riskmap.note('shelters', 'DELETE', 9, NULL, NULL)",
    "SELECT riskmap.attach_layer('shelters', 'shelters')",
    "SELECT nextval('riskmap.revision')",
    "CREATE FUNCTION public.st_xmin(geometry) RETURNS float8 LANGUAGE sql AS 'SELECT 0.0::float8'",
    "CREATE TEMP TABLE mine (id bigint, layer text); CREATE CONSTRAINT TRIGGER t AFTER INSERT ON"
    " mine DEFERRABLE FOR EACH ROW EXECUTE FUNCTION riskmap.feed_number()",
    "CREATE TEMP TABLE mine (geom_3857 geometry); CREATE TRIGGER t AFTER INSERT ON mine REFERENCING"
    " NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_changed('shelters')",
    "CREATE TEMP TABLE mine (LIKE shelters); CREATE TRIGGER t AFTER DELETE ON mine REFERENCING"
    " OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep('shelters')",
)


@pytest.mark.parametrize("statement", DENIED)
def test_the_role_cannot(cluster: Cluster, whole: Database, statement: str) -> None:
    address = cluster.api_url("test_catalog").set(drivername="postgresql")
    with (
        psycopg.connect(address.render_as_string(hide_password=False)) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(statement)


@pytest.mark.parametrize("action", ["insert", "delete", "truncate", "", "Key.create", "a.b.c"])
def test_what_the_role_records_cannot_pass_for_a_trigger(database: Database, action: str) -> None:
    with pytest.raises(Exception, match="is no action"), database.write(ACTOR) as session:
        session.execute(text("SELECT riskmap.record(:a, 'shelters', 1, NULL)"), {"a": action})
    assert rows(database, "SELECT 1 FROM audit") == [] and feed(database) == []


def test_what_the_role_records_bears_its_login(database: Database) -> None:
    with database.write(ACTOR) as session:
        session.execute(text("""SELECT riskmap.record('roads.import', 'roads', 7, '{"a": 1}')"""))
    [row] = rows(database, "SELECT * FROM audit")
    assert (row.actor, row.db_user, row.action, row.subject, row.row_count, row.request_id) == (
        *(ACTOR.name, "riskmap_api", "roads.import", "roads", 7, ACTOR.request_id),
    )
    assert row.detail == {"a": 1} and row.feed_id is None
