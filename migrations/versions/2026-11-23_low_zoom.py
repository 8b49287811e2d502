"""Lines and areas as low zooms draw them: a copy simplified to a pixel of zoom 10

Revision ID: 0007_low_zoom
Revises: 0006_cells
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0007_low_zoom"
down_revision = "0006_cells"
branch_labels = None
depends_on = None

TABLES = (
    "admin_divisions",
    "enterprises",
    "fault_lines",
    "flash_flood_zones",
    "flood_impact_areas",
    "land_cover",
    "major_hazard_sources",
    "population_cells",
    "risk_records",
    "shelters",
)

# As riskmap.feature_touch (0005_features), for tables with one computed column more.
FUNCTIONS = """
CREATE FUNCTION riskmap.feature_touch_low() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    NEW.id := OLD.id;
    NEW.created_at := OLD.created_at;
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    NEW.geom_3857 := OLD.geom_3857;  -- computed after this trigger, whatever stands here
    NEW.geom_low := OLD.geom_low;
    NEW.search := OLD.search;
    IF NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NULL;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.updated_at := now();
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION riskmap.feature_touch_low() FROM PUBLIC;

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
        AND attname NOT IN ('geom', 'geom_3857', 'search'<left out>);
    EXECUTE format(
        'INSERT INTO public.history (layer, feature_id, version, op, "row", geom, actor, request_id, import_id)'
        ' SELECT $1, o.id, o.version, $2, to_jsonb(k), o.geom, riskmap.actor(), riskmap.request(), riskmap.import_id()'
        ' FROM %s o CROSS JOIN LATERAL (SELECT %s) k', superseded, kept)
    USING TG_ARGV[0], lower(TG_OP);
    RETURN NULL;
END $$;
"""
ATTACH = """
CREATE OR REPLACE FUNCTION riskmap.attach_layer(target regclass, layer text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    touch CONSTANT text := CASE WHEN EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = target AND attname = 'geom_low'
    ) THEN 'feature_touch_low' ELSE 'feature_touch' END;
BEGIN
    PERFORM riskmap.attach_feed(target, layer, 'feed_changed');
    EXECUTE format('CREATE TRIGGER feature_touch BEFORE UPDATE ON %s'
        ' FOR EACH ROW EXECUTE FUNCTION riskmap.%I()', target, touch);
    EXECUTE format('CREATE TRIGGER history_update AFTER UPDATE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER history_delete AFTER DELETE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER history_truncate BEFORE TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.history_keep(%L)', target, layer);
END $$;
"""
# As 0002_feed wrote it.
ATTACH_BEFORE = ATTACH.replace(ATTACH[ATTACH.index("DECLARE") : ATTACH.index("BEGIN")], "").replace(
    "riskmap.%I()', target, touch)", "riskmap.feature_touch()', target)"
)


def _run(text: str) -> None:
    op.get_bind().exec_driver_sql(text.replace("%", "%%"))


def _touch(table: str, function: str) -> None:
    _run(
        f"DROP TRIGGER feature_touch ON {table};"
        f" CREATE TRIGGER feature_touch BEFORE UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION riskmap.{function}()"
    )


def upgrade() -> None:
    _run(FUNCTIONS.replace("<left out>", ", 'geom_low'"))
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "geom_low",
                Geometry("GEOMETRY", 3857, spatial_index=False),
                # 40075016.685578488 / 512 / 2^10 metres: a pixel of zoom 10.
                sa.Computed(
                    "ST_Simplify(ST_CurveToLine(ST_Transform(geom, 3857)), 76.43702828517625, true)",
                    persisted=True,
                ),
                nullable=True,
            ),
        )
        _touch(table, "feature_touch_low")
    _run(ATTACH)


def downgrade() -> None:
    for table in TABLES:
        _touch(table, "feature_touch")
        op.drop_column(table, "geom_low")
    functions = FUNCTIONS.replace("<left out>", "")
    _run(functions[functions.index("CREATE OR REPLACE") :])
    _run(ATTACH_BEFORE)
    _run("DROP FUNCTION riskmap.feature_touch_low()")
