"""Jobs, imports, which import superseded what; factors by the hour; tables of GB 18218

Revision ID: 0004_imports
Revises: 0003_land_cover
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_imports"
down_revision = "0003_land_cover"
branch_labels = None
depends_on = None

IMPORT_ID = """
CREATE FUNCTION riskmap.import_id() RETURNS bigint LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT nullif(current_setting('riskmap.import', true), '')::bigint $$;
REVOKE ALL ON FUNCTION riskmap.import_id() FROM PUBLIC;
"""

# The functions of 0002_feed, with the import beside the request: <c> is its column, <v> its value;
# without both they are as they were.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION riskmap.note(layer text, op text, n bigint, cells int[], box float8[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    noted bigint;
BEGIN
    INSERT INTO public.feed (layer, op, row_count, cells, x_min, y_min, x_max, y_max)
    VALUES (layer, op, n, cells, box[1], box[2], box[3], box[4])
    RETURNING id INTO noted;
    INSERT INTO public.audit (actor, action, subject, row_count, feed_id, request_id<c>)
    VALUES (riskmap.actor(), lower(op), layer, n, noted, riskmap.request()<v>);
END $$;

CREATE OR REPLACE FUNCTION riskmap.record(action text, subject text, n bigint, detail jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF action IS NULL OR action !~ '^[a-z]+[.][a-z]+$' THEN
        RAISE EXCEPTION 'riskmap.record: % is no action such as city.init', action
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO public.audit (actor, action, subject, row_count, request_id, detail<c>)
    VALUES (riskmap.actor(), action, subject, n, riskmap.request(), detail<v>);
END $$;

CREATE OR REPLACE FUNCTION riskmap.history_keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
        'INSERT INTO public.history (layer, feature_id, version, op, "row", geom, actor, request_id<c>)'
        ' SELECT $1, o.id, o.version, $2, to_jsonb(k), o.geom, riskmap.actor(), riskmap.request()<v>'
        ' FROM %s o CROSS JOIN LATERAL (SELECT %s) k', superseded, kept)
    USING TG_ARGV[0], lower(TG_OP);
    RETURN NULL;
END $$;
"""

GRANTS = """
-- No DELETE: what was asked for stays known.
GRANT SELECT, INSERT, UPDATE ON jobs, imports TO riskmap_api;
GRANT SELECT ON road_time_factors, gb18218_chemicals, gb18218_categories TO riskmap_api;
SELECT riskmap.attach_feed('road_time_factors', 'roads', 'feed_flushed');
REVOKE INSERT, UPDATE, DELETE ON road_time_factors FROM riskmap_api;
SELECT riskmap.attach_audit('road_time_factors');
SELECT riskmap.attach_audit('gb18218_chemicals');
SELECT riskmap.attach_audit('gb18218_categories');
-- Who changed a speed, by psql too.
SELECT riskmap.attach_audit('road_speeds');
SELECT riskmap.attach_audit('road_profiles');
"""

# Ways that are no roads for cars but carry emergency=yes (or motor_vehicle=yes): walking pace of a
# vehicle among people. Without emergency=yes their edges are closed to vehicles all the same.
NARROW = ("footway", "path", "pedestrian", "cycleway")
NARROW_KMH = 10
NARROW_SOURCE = (
    "[D] only where the map says emergency=yes or motor_vehicle=yes; riskmap 初始值 initial value"
)

# Share of the free speed on workdays, rush hours only. No figure comes from a measurement: they
# are this project's first guess and meant to be edited. (profile, class) -> {hour: factor}.
RUSH = {7: 0.7, 8: 0.6, 9: 0.75, 17: 0.65, 18: 0.6, 19: 0.75}
TIME_SOURCE = "[U] riskmap 初始值 initial value without measurement, edit for your city"

EDITION = "gb18218-2018"
TABLE_3 = "GB 18218-2018 table 3 (β) [C: two public copies agree]"
TABLE_1 = "GB 18218-2018 table 1 (Q) [U: one OCR copy]"
# CAS, names, Q in tonnes, beta of table 3, toxic gas. Null Q: in no copy that was seen.
CHEMICALS = (
    ("630-08-0", "一氧化碳", "Carbon monoxide", None, 2, True),
    ("7446-09-5", "二氧化硫", "Sulfur dioxide", 20, 2, True),
    ("7664-41-7", "氨", "Ammonia", 10, 2, True),
    ("75-21-8", "环氧乙烷", "Ethylene oxide", 10, 2, True),
    ("7647-01-0", "氯化氢", "Hydrogen chloride", None, 3, True),
    ("74-83-9", "溴甲烷", "Methyl bromide", None, 3, True),
    ("7782-50-5", "氯", "Chlorine", 5, 4, True),
    ("7783-06-4", "硫化氢", "Hydrogen sulfide", 5, 5, True),
    ("7664-39-3", "氟化氢", "Hydrogen fluoride", 1, 5, True),
    ("10102-44-0", "二氧化氮", "Nitrogen dioxide", None, 10, True),
    ("74-90-8", "氰化氢", "Hydrogen cyanide", 1, 10, True),
    ("75-44-5", "碳酰氯", "Phosgene", 0.3, 20, True),
    ("7803-51-2", "磷化氢", "Phosphine", None, 20, True),
    ("624-83-9", "异氰酸甲酯", "Methyl isocyanate", 0.75, 20, True),
    ("68476-85-7", "液化石油气", "Liquefied petroleum gas", 50, None, False),
    ("74-82-8", "甲烷", "Methane", 50, None, False),
    ("8006-14-2", "天然气", "Natural gas", 50, None, False),
    ("1333-74-0", "氢", "Hydrogen", 5, None, False),
    ("74-86-2", "乙炔", "Acetylene", 1, None, False),
    ("75-01-4", "氯乙烯", "Vinyl chloride", 50, None, False),
    ("71-43-2", "苯", "Benzene", 50, None, False),
    ("108-88-3", "甲苯", "Toluene", 500, None, False),
    ("67-56-1", "甲醇", "Methanol", 500, None, False),
    ("64-17-5", "乙醇", "Ethanol", 500, None, False),
    ("67-64-1", "丙酮", "Acetone", 500, None, False),
    ("86290-81-5", "汽油", "Petrol", 200, None, False),
    ("7782-44-7", "氧", "Oxygen", 200, None, False),
    (
        "6484-52-2",
        "硝酸铵(含可燃物≤0.2%)",
        "Ammonium nitrate (combustible matter at most 0.2 %)",
        50,
        None,
        False,
    ),
)
TABLE_4 = "GB 18218-2018 table 4 (β) [U: one copy]"
CATEGORIES = {
    4: ("J1",),
    1: (
        *("J2", "J5", "W3", "W4", "W5.2", "W5.3", "W5.4", "W6.2", "W7.2"),
        *("W8", "W9.1", "W9.2", "W10", "W11"),
    ),
    2: ("J3", "J4", "W1.1", "W1.2", "W1.3"),
    1.5: ("W2", "W5.1", "W6.1", "W7.1"),
}


def _moment(name: str, **more: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **more)


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("runner", sa.Text()),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("heartbeat_at"),
        sa.Column("cancel_asked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("progress", postgresql.JSONB()),
        sa.Column("result", postgresql.JSONB()),
        sa.Column("problem", postgresql.JSONB()),
        _moment("created_at", server_default=sa.text("now()"), nullable=False),
        _moment("started_at"),
        _moment("finished_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_jobs_status"),
        ),
    )
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["id"],
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'import'"), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text()),
        sa.Column("crs", sa.Text()),
        sa.Column("source_system", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("idempotency_hash", sa.Text()),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("report", postgresql.JSONB()),
        sa.Column("inserted_ids", postgresql.INT8MULTIRANGE()),
        sa.Column("undo_of", sa.BigInteger()),
        _moment("created_at", server_default=sa.text("now()"), nullable=False),
        _moment("finished_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_imports_job_id")),
        sa.ForeignKeyConstraint(["undo_of"], ["imports.id"], name=op.f("fk_imports_undo_of")),
        sa.UniqueConstraint(
            "actor", "idempotency_key", name=op.f("uq_imports_actor_idempotency_key")
        ),
        sa.CheckConstraint("kind IN ('import', 'undo')", name=op.f("ck_imports_kind")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'rejected', 'failed', 'cancelled')",
            name=op.f("ck_imports_status"),
        ),
        sa.CheckConstraint("mode IN ('upsert', 'replace', 'append')", name=op.f("ck_imports_mode")),
    )
    op.create_index("ix_imports_undo_of", "imports", ["undo_of"])
    for table in ("history", "audit"):
        op.add_column(table, sa.Column("import_id", sa.BigInteger()))
    op.create_index(
        "ix_history_import_id",
        "history",
        ["import_id"],
        postgresql_where=sa.text("import_id IS NOT NULL"),
    )
    factors = op.create_table(
        "road_time_factors",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("road_class", sa.Text(), nullable=False),
        sa.Column("day_type", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("factor", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("profile", "road_class", "day_type", "hour"), name=op.f("pk_road_time_factors")
        ),
        sa.ForeignKeyConstraint(
            ["profile"], ["road_profiles.profile"], name=op.f("fk_road_time_factors_profile")
        ),
        sa.CheckConstraint(
            "day_type IN ('workday', 'restday')", name=op.f("ck_road_time_factors_day_type")
        ),
        sa.CheckConstraint("hour BETWEEN 0 AND 23", name=op.f("ck_road_time_factors_hour")),
        sa.CheckConstraint("factor > 0 AND factor <= 2", name=op.f("ck_road_time_factors_factor")),
    )
    chemicals = op.create_table(
        "gb18218_chemicals",
        sa.Column("edition", sa.Text(), nullable=False),
        sa.Column("cas", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("critical_quantity_t", sa.Double()),
        sa.Column("beta", sa.Double()),
        sa.Column("toxic_gas", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("edition", "cas", name=op.f("pk_gb18218_chemicals")),
        sa.CheckConstraint(
            "critical_quantity_t > 0", name=op.f("ck_gb18218_chemicals_critical_quantity")
        ),
        sa.CheckConstraint("beta > 0", name=op.f("ck_gb18218_chemicals_beta")),
    )
    categories = op.create_table(
        "gb18218_categories",
        sa.Column("edition", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("critical_quantity_t", sa.Double()),
        sa.Column("beta", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("edition", "symbol", name=op.f("pk_gb18218_categories")),
        sa.CheckConstraint(
            "critical_quantity_t > 0", name=op.f("ck_gb18218_categories_critical_quantity")
        ),
        sa.CheckConstraint("beta > 0", name=op.f("ck_gb18218_categories_beta")),
    )
    op.bulk_insert(
        factors,
        [
            {
                "profile": profile,
                "road_class": "*",
                "day_type": "workday",
                "hour": hour,
                # On duty one overtakes the queue in part: half of the loss.
                "factor": factor if profile == "ordinary" else (1 + factor) / 2,
                "source": TIME_SOURCE,
            }
            for profile in ("emergency", "ordinary")
            for hour, factor in RUSH.items()
        ],
    )
    op.bulk_insert(
        chemicals,
        [
            {
                "edition": EDITION,
                "cas": cas,
                "name_zh": zh,
                "name_en": en,
                "critical_quantity_t": critical,
                "beta": beta,
                "toxic_gas": toxic,
                "source": "; ".join(
                    text
                    for text, there in ((TABLE_1, critical is not None), (TABLE_3, toxic))
                    if there
                ),
                "verified": False,
            }
            for cas, zh, en, critical, beta, toxic in CHEMICALS
        ],
    )
    op.bulk_insert(
        categories,
        [
            {
                "edition": EDITION,
                "symbol": symbol,
                "critical_quantity_t": None,
                "beta": beta,
                "source": TABLE_4,
                "verified": False,
            }
            for beta, symbols in CATEGORIES.items()
            for symbol in symbols
        ],
    )
    _speeds(
        "INSERT INTO road_speeds (profile, road_class, speed_kmh, against_oneway_factor, source)"
        " SELECT profile, road_class, :kmh, 0.5, :source"
        " FROM road_profiles, unnest(CAST(:classes AS text[])) road_class"
        " WHERE profile = 'emergency' ON CONFLICT DO NOTHING",
        {"kmh": NARROW_KMH, "source": NARROW_SOURCE, "classes": list(NARROW)},
    )
    run(IMPORT_ID)
    run(_functions(", import_id", ", riskmap.import_id()"))
    run(GRANTS)


def _functions(column: str, value: str) -> str:
    text = FUNCTIONS.replace("<c>", column).replace("<v>", value)
    return text.replace("%", "%%")  # the driver takes a lone % for a placeholder


def _speeds(statement: str, values: dict[str, object]) -> None:
    """Change speeds: news for a stored network's graphs, none for a database without roads."""
    run = op.get_bind().exec_driver_sql
    stored = run("SELECT EXISTS (SELECT FROM road_edges)").scalar()
    if not stored:
        run("ALTER TABLE road_speeds DISABLE TRIGGER USER")
    op.get_bind().execute(sa.text(statement), values)
    if not stored:
        run("ALTER TABLE road_speeds ENABLE TRIGGER USER")
    # The feed's rows get their numbers now: a step after this one may alter the feed.
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("SET CONSTRAINTS ALL DEFERRED")


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    run(_functions("", ""))
    run("DROP FUNCTION riskmap.import_id()")
    for table in ("road_speeds", "road_profiles"):
        for event in ("insert", "update", "delete", "truncate"):
            run(f"DROP TRIGGER audit_{event} ON {table}")
    _speeds("DELETE FROM road_speeds WHERE source = :source", {"source": NARROW_SOURCE})
    op.drop_table("gb18218_categories")
    op.drop_table("gb18218_chemicals")
    op.drop_table("road_time_factors")
    op.drop_index("ix_history_import_id", "history")
    for table in ("history", "audit"):
        op.drop_column(table, "import_id")
    op.drop_table("imports")
    op.drop_table("jobs")
