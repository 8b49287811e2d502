"""API keys in the feed: a revoked one stops working everywhere within a second

Revision ID: 0008_key_feed
Revises: 0007_low_zoom
"""

from __future__ import annotations

from alembic import op

revision = "0008_key_feed"
down_revision = "0007_low_zoom"
branch_labels = None
depends_on = None

# As riskmap.feed_flushed (0002_feed), but what is done to keys has its rows in the audit already.
FEED = """
CREATE FUNCTION riskmap.feed_noted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    n bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE format('SELECT count(*) FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO n;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT count(*) FROM old_rows INTO n;
    ELSE
        SELECT count(*) FROM new_rows INTO n;
    END IF;
    IF n > 0 THEN
        INSERT INTO public.feed (layer, op, row_count) VALUES (TG_ARGV[0], TG_OP, n);
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION riskmap.feed_noted() FROM PUBLIC;
CREATE TRIGGER feed_insert AFTER INSERT ON api_keys REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_noted('api-keys');
CREATE TRIGGER feed_update AFTER UPDATE ON api_keys
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_noted('api-keys');
CREATE TRIGGER feed_delete AFTER DELETE ON api_keys REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_noted('api-keys');
CREATE TRIGGER feed_truncate BEFORE TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION riskmap.feed_noted('api-keys');
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(FEED.replace("%", "%%"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP FUNCTION riskmap.feed_noted() CASCADE")
