"""Change feed, history, audit, grants: what the database does by itself

Revision ID: 0002_feed
Revises: 0001_tables

A migration that adds a layer calls `SELECT riskmap.attach_layer('<table>', '<layer id>')`; that
gives it every trigger and grant that the catalogue tests look for.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_feed"
down_revision = "0001_tables"
branch_labels = None
depends_on = None

LAYERS = (
    "risk-records",
    "geohazard-points",
    "flash-flood-zones",
    "flood-impact-areas",
    "fault-lines",
    "major-hazard-sources",
    "enterprises",
    "shelters",
    "rescue-teams",
    "supply-depots",
    "admin-divisions",
    "population-cells",
)

# Every function runs as its owner with a fixed search_path, so that a writer needs no right on
# feed, history or audit and cannot slip another table or operator under them. None but the owner
# may EXECUTE them, which a trigger that fires does not ask for: whoever may could hang them on a
# temporary table of his own, renumber the feed with it, or have a cast of his run as the owner.
FUNCTIONS = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA riskmap;
REVOKE ALL ON SCHEMA riskmap FROM PUBLIC;
GRANT USAGE ON SCHEMA riskmap TO riskmap_api;
CREATE SEQUENCE riskmap.revision;

CREATE FUNCTION riskmap.actor() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(nullif(current_setting('riskmap.actor', true), ''), 'db:' || session_user) $$;

CREATE FUNCTION riskmap.request() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT nullif(current_setting('riskmap.request', true), '') $$;

-- One row in the feed and one in the audit for what a statement did to a layer.
CREATE FUNCTION riskmap.note(layer text, op text, n bigint, cells int[], box float8[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    noted bigint;
BEGIN
    INSERT INTO public.feed (layer, op, row_count, cells, x_min, y_min, x_max, y_max)
    VALUES (layer, op, n, cells, box[1], box[2], box[3], box[4])
    RETURNING id INTO noted;
    INSERT INTO public.audit (actor, action, subject, row_count, feed_id, request_id)
    VALUES (riskmap.actor(), lower(op), layer, n, noted, riskmap.request());
END $$;

-- An audit row for what is no change of one layer's rows: keys, the city, a whole import. The
-- API's role has no INSERT on the audit; what it says here bears the database's time, login and
-- actor, and an action with a dot, which no row that a trigger wrote has.
CREATE FUNCTION riskmap.record(action text, subject text, n bigint, detail jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF action IS NULL OR action !~ '^[a-z]+[.][a-z]+$' THEN
        RAISE EXCEPTION 'riskmap.record: % is no action such as city.init', action
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.audit (actor, action, subject, row_count, request_id, detail)
    VALUES (riskmap.actor(), action, subject, n, riskmap.request(), detail);
END $$;

-- Runs at commit (deferred). The lock is given back only after the commit is visible, so a later
-- number never shows before an earlier one; and it is asked for at the very end, so that an
-- import of minutes holds it for milliseconds and stops nobody.
CREATE FUNCTION riskmap.feed_number() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    given bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('riskmap.feed'));
    given := nextval('riskmap.revision');
    UPDATE public.feed SET revision = given, at = clock_timestamp() WHERE id = NEW.id;
    PERFORM pg_notify(
        'riskmap_feed', json_build_object('layer', NEW.layer, 'revision', given)::text);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER feed_number AFTER INSERT ON public.feed
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION riskmap.feed_number();

-- Statement trigger of a table with geom_3857: the envelopes before and after as zoom-14 cells.
-- A cell is 40075016.685578488 / 2^14 = 2445.98490512564 m wide in Web Mercator. Past 1,024 cells
-- the one box around everything is noted instead: a row of the feed stays below some 4 kB.
CREATE FUNCTION riskmap.feed_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    touched CONSTANT text := CASE TG_OP
        WHEN 'UPDATE' THEN
            '(SELECT geom_3857 FROM old_rows UNION ALL SELECT geom_3857 FROM new_rows)'
        WHEN 'INSERT' THEN '(SELECT geom_3857 FROM new_rows)'
        ELSE '(SELECT geom_3857 FROM old_rows)'
    END;
    most CONSTANT int := 1024;
    n bigint;
    spread float8;
    cells int[];
    box float8[];
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || CASE TG_OP WHEN 'DELETE' THEN 'old_rows' ELSE 'new_rows' END
    INTO n;
    IF n = 0 THEN
        RETURN NULL;
    END IF;
    EXECUTE format($q$
        SELECT ARRAY[min(ST_XMin(g)), min(ST_YMin(g)), max(ST_XMax(g)), max(ST_YMax(g))],
            sum((1 + (ST_XMax(g) - ST_XMin(g)) / 2445.98490512564)
                * (1 + (ST_YMax(g) - ST_YMin(g)) / 2445.98490512564))
        FROM %s t (g)$q$, touched) INTO box, spread;
    -- Counting cells one by one is only worth it while they can be few.
    IF spread <= 1000000 THEN
        EXECUTE format($q$
            WITH range AS (
                SELECT DISTINCT
                    floor((ST_XMin(g) + 20037508.342789244) / 2445.98490512564)::int AS x0,
                    floor((ST_XMax(g) + 20037508.342789244) / 2445.98490512564)::int AS x1,
                    floor((20037508.342789244 - ST_YMax(g)) / 2445.98490512564)::int AS y0,
                    floor((20037508.342789244 - ST_YMin(g)) / 2445.98490512564)::int AS y1
                FROM %s t (g) WHERE NOT ST_IsEmpty(g)
            ), cell AS (
                SELECT DISTINCT (greatest(0, least(16383, x)) << 14)
                    | greatest(0, least(16383, y)) AS code
                FROM range, generate_series(x0, x1) x, generate_series(y0, y1) y
                LIMIT $1 + 1
            )
            SELECT array_agg(code) FROM cell HAVING count(*) <= $1$q$, touched)
        INTO cells USING most;
    END IF;
    PERFORM riskmap.note(TG_ARGV[0], TG_OP, n, cells, box);
    RETURN NULL;
END $$;

-- Statement trigger of a table without geometry (speeds): the whole layer is touched.
CREATE FUNCTION riskmap.feed_flushed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || CASE TG_OP WHEN 'DELETE' THEN 'old_rows' ELSE 'new_rows' END
    INTO n;
    IF n > 0 THEN
        PERFORM riskmap.note(TG_ARGV[0], TG_OP, n, NULL, NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION riskmap.feed_truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO n;
    IF n > 0 THEN
        PERFORM riskmap.note(TG_ARGV[0], TG_OP, n, NULL, NULL);
    END IF;
    RETURN NULL;
END $$;

-- Row trigger: an update that changes nothing touches nothing; any other is a new version.
CREATE FUNCTION riskmap.feature_touch() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    NEW.geom_3857 := OLD.geom_3857;  -- computed after this trigger, whatever stands here
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NULL;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Statement triggers: the versions that an update, delete or truncate supersedes. The geometries
-- stay out of the JSON from the start: to_jsonb would write both as GeoJSON first, which costs
-- more than all the rest, and fails for a curve, which then could never be deleted. A client that
-- set extra_float_digits for its own output does not round the numbers that are kept.
CREATE FUNCTION riskmap.history_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET extra_float_digits = 1
AS $$
DECLARE
    superseded CONSTANT text := CASE TG_OP
        WHEN 'TRUNCATE' THEN format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) ELSE 'old_rows' END;
    kept text;
BEGIN
    SELECT string_agg(format('o.%I', attname), ', ' ORDER BY attnum) INTO kept
    FROM pg_attribute
    WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped
        AND attname NOT IN ('geom', 'geom_3857');
    EXECUTE format(
        'INSERT INTO public.history (layer, feature_id, version, op, "row", geom, actor, request_id)'
        ' SELECT $1, o.id, o.version, $2, to_jsonb(k), o.geom, riskmap.actor(), riskmap.request()'
        ' FROM %s o CROSS JOIN LATERAL (SELECT %s) k', superseded, kept)
    USING TG_ARGV[0], lower(TG_OP);
    RETURN NULL;
END $$;

-- Statement trigger of a small table that is no layer: who changed it, from what to what. Beside
-- the row of riskmap.record, which an edit by psql does not leave. No hash of a key is kept.
CREATE FUNCTION riskmap.audit_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    was jsonb;
    became jsonb;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE format('SELECT jsonb_agg(to_jsonb(t) - ''sha256'') FROM %I.%I t',
            TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO was;
    ELSIF TG_OP <> 'INSERT' THEN
        SELECT jsonb_agg(to_jsonb(o) - 'sha256') INTO was FROM old_rows o;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        SELECT jsonb_agg(to_jsonb(n) - 'sha256') INTO became FROM new_rows n;
    END IF;
    IF was IS NOT NULL OR became IS NOT NULL THEN
        INSERT INTO public.audit (actor, action, subject, row_count, request_id, detail)
        VALUES (riskmap.actor(), lower(TG_OP), TG_TABLE_NAME,
            jsonb_array_length(coalesce(became, was)), riskmap.request(),
            jsonb_strip_nulls(jsonb_build_object('old', was, 'new', became)));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION riskmap.attach_audit(target regclass)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON %s'
        ' REFERENCING NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.audit_changed()', target);
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON %s'
        ' REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.audit_changed()', target);
    EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.audit_changed()', target);
    EXECUTE format('CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.audit_changed()', target);
END $$;

-- Give a table of the feed its triggers and the API's role its grants.
CREATE FUNCTION riskmap.attach_feed(target regclass, layer text, changed text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER feed_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.%I(%L)', target, changed, layer);
    EXECUTE format('CREATE TRIGGER feed_update AFTER UPDATE ON %s'
        ' REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.%I(%L)', target, changed, layer);
    EXECUTE format('CREATE TRIGGER feed_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.%I(%L)', target, changed, layer);
    EXECUTE format('CREATE TRIGGER feed_truncate BEFORE TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_truncated(%L)', target, layer);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO riskmap_api', target);
END $$;

CREATE FUNCTION riskmap.attach_layer(target regclass, layer text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM riskmap.attach_feed(target, layer, 'feed_changed');
    EXECUTE format('CREATE TRIGGER feature_touch BEFORE UPDATE ON %s'
        ' FOR EACH ROW EXECUTE FUNCTION riskmap.feature_touch()', target);
    EXECUTE format('CREATE TRIGGER history_update AFTER UPDATE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER history_delete AFTER DELETE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER history_truncate BEFORE TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA riskmap FROM PUBLIC;
GRANT EXECUTE ON FUNCTION riskmap.record(text, text, bigint, jsonb) TO riskmap_api;
"""

GRANTS = """
GRANT SELECT ON city, feed, history, audit, road_profiles, road_speeds, response_phases
    TO riskmap_api;
-- /readyz compares the schema with the code.
GRANT SELECT ON alembic_version TO riskmap_api;
GRANT SELECT ON api_keys TO riskmap_api;
SELECT riskmap.attach_feed('road_edges', 'roads', 'feed_changed');
SELECT riskmap.attach_feed('road_speeds', 'roads', 'feed_flushed');
SELECT riskmap.attach_feed('road_profiles', 'roads', 'feed_flushed');
REVOKE INSERT, UPDATE, DELETE ON road_speeds, road_profiles FROM riskmap_api;
SELECT riskmap.attach_audit('city');
SELECT riskmap.attach_audit('response_phases');
SELECT riskmap.attach_audit('api_keys');
"""

# Speeds in km/h: (class, emergency, ordinary, emergency against one-way). No figure below comes
# from a Chinese standard; they are this project's first guess and meant to be edited.
SPEEDS = (
    ("motorway", 100, 90, None),
    ("motorway_link", 60, 50, None),
    ("trunk", 80, 70, None),
    ("trunk_link", 50, 45, None),
    ("primary", 60, 45, 0.5),
    ("primary_link", 45, 35, 0.5),
    ("secondary", 55, 40, 0.5),
    ("secondary_link", 40, 30, 0.5),
    ("tertiary", 45, 35, 0.5),
    ("tertiary_link", 35, 25, 0.5),
    ("unclassified", 40, 30, 0.5),
    ("residential", 35, 25, 0.5),
    ("living_street", 20, 15, 0.5),
    ("service", 20, 15, 0.5),
    ("road", 35, 25, 0.5),
    ("track", 20, 15, 0.5),
    ("ferry", 8, 8, None),
)
WALKED = (
    "primary",
    "primary_link",
    "secondary",
    "secondary_link",
    "tertiary",
    "tertiary_link",
    "unclassified",
    "residential",
    "living_street",
    "service",
    "road",
    "track",
    "footway",
    "path",
    "pedestrian",
    "steps",
    "cycleway",
    "trunk",
    "trunk_link",
)
# profile, names, mode, restricted roads open, source
PROFILES = (
    (
        "emergency",
        "应急车辆",
        "Emergency vehicle",
        "motor",
        True,
        "道路交通安全法 第五十三条: on duty free of route, direction and signal limits",
    ),
    ("ordinary", "普通车辆", "Ordinary vehicle", "motor", False, "[D]"),
    ("walk", "步行", "On foot", "foot", True, "[D]"),
)
SPEED_SOURCE = "[D] riskmap 初始值 initial value, edit for your city"

# kind, profile, call handling, turnout, set-up (s), source
PHASES = (
    (
        "default",
        "emergency",
        60,
        60,
        0,
        "turnout: 1分钟启动响应 (Shaoxing 2021); call handling [U], NFPA 1710 gives 64 s",
    ),
    (
        "micro_station",
        "emergency",
        60,
        30,
        0,
        "[U] no published figure; micro stations are manned on the spot; edit for your city",
    ),
    (
        "volunteer",
        "ordinary",
        60,
        240,
        0,
        "turnout 3-5 min for volunteers (QNEAT3#19); call handling [U]",
    ),
)


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(FUNCTIONS.replace("%", "%%"))  # the driver takes a lone % for a placeholder
    profiles = sa.table(
        "road_profiles",
        *map(sa.column, ("profile", "name_zh", "name_en", "mode", "uses_restricted", "source")),
    )
    op.bulk_insert(
        profiles,
        [
            dict(
                zip(
                    ("profile", "name_zh", "name_en", "mode", "uses_restricted", "source"),
                    row,
                    strict=True,
                )
            )
            for row in PROFILES
        ],
    )
    rows = []
    for road_class, emergency, ordinary, against in SPEEDS:
        # Law frees vehicles on duty from limits: the emergency profile ignores tagged ones.
        # Of a road of unknown class the stated speed is all we know.
        stated = 1.0 if road_class == "road" else None
        rows.append(("emergency", road_class, emergency, stated, against))
        if ordinary is not None:
            rows.append(("ordinary", road_class, ordinary, 0.8, None))
    rows += [("walk", road_class, 4.8, None, 1.0) for road_class in WALKED if road_class != "steps"]
    rows.append(("walk", "steps", 2.4, None, 1.0))
    speeds = sa.table(
        "road_speeds",
        *map(
            sa.column,
            (
                "profile",
                "road_class",
                "speed_kmh",
                "maxspeed_factor",
                "against_oneway_factor",
                "source",
            ),
        ),
    )
    op.bulk_insert(
        speeds,
        [
            dict(
                zip(
                    (
                        "profile",
                        "road_class",
                        "speed_kmh",
                        "maxspeed_factor",
                        "against_oneway_factor",
                    ),
                    row,
                    strict=True,
                ),
                source=SPEED_SOURCE,
            )
            for row in rows
        ],
    )
    phases = sa.table(
        "response_phases",
        *map(sa.column, ("kind", "profile", "call_handling_s", "turnout_s", "setup_s", "source")),
    )
    op.bulk_insert(
        phases,
        [
            dict(
                zip(
                    ("kind", "profile", "call_handling_s", "turnout_s", "setup_s", "source"),
                    row,
                    strict=True,
                )
            )
            for row in PHASES
        ],
    )
    # Last: what a new database starts with is no change for its feed and audit.
    run(GRANTS)
    for layer in LAYERS:
        run(f"SELECT riskmap.attach_layer('{layer.replace('-', '_')}', '{layer}')")


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run("DROP SCHEMA riskmap CASCADE")  # the triggers go with their functions
    run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM riskmap_api")
    run("DELETE FROM road_speeds; DELETE FROM response_phases; DELETE FROM road_profiles")
