"""Points counted in cells, for tiles of low zooms: sums that every writer keeps right

Revision ID: 0006_cells
Revises: 0005_features
"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0006_cells"
down_revision = "0005_features"
branch_labels = None
depends_on = None

CLUSTERED = ("enterprises", "geohazard-points", "major-hazard-sources", "risk-records")

# The world is 2^31 units wide, counted from its north-west corner, and a cell 2^17 of them: an
# eighth of a tile of zoom 11. Places are whole numbers, so that sums are exact and what was added
# can be taken away again. 53.586... is 2^31 / 40075016.685578488, as riskmap.tiles.cells has it.
#
# A statement appends what it did, one row for each cell: no two writers touch the same row, and
# none waits for another. Whoever reads adds up both tables in one snapshot.
FUNCTIONS = """
CREATE FUNCTION riskmap.cells_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, riskmap, pg_temp
AS $$
DECLARE
    was CONSTANT text := 'SELECT -1 AS s, id, risk_level, geom_3857 AS g FROM old_rows';
    became CONSTANT text := 'SELECT 1 AS s, id, risk_level, geom_3857 AS g FROM new_rows';
    touched CONSTANT text := CASE TG_OP
        WHEN 'UPDATE' THEN was || ' UNION ALL ' || became
        WHEN 'INSERT' THEN became
        ELSE was
    END;
BEGIN
    EXECUTE format($q$
        INSERT INTO public.cell_deltas
            (layer, x, y, n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id)
        SELECT * FROM (
            SELECT %L, (x >> 17)::int, (y >> 17)::int, sum(s) AS n,
                coalesce(sum(s) FILTER (WHERE risk_level = 1), 0) AS n1,
                coalesce(sum(s) FILTER (WHERE risk_level = 2), 0) AS n2,
                coalesce(sum(s) FILTER (WHERE risk_level = 3), 0) AS n3,
                coalesce(sum(s) FILTER (WHERE risk_level = 4), 0) AS n4,
                coalesce(sum(s) FILTER (WHERE risk_level IS NULL), 0) AS n0,
                sum(s * x) AS sum_x, sum(s * y) AS sum_y, sum(s * id) AS sum_id
            FROM (
                SELECT s, id, risk_level,
                    <unit ST_XMin(g) + 20037508.342789244> AS x,
                    <unit 20037508.342789244 - ST_YMin(g)> AS y
                FROM (%s) rows WHERE GeometryType(g) = 'POINT' AND NOT ST_IsEmpty(g)
            ) placed GROUP BY 2, 3
        ) summed
        WHERE (n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id) <> (0, 0, 0, 0, 0, 0, 0, 0, 0)
        $q$, TG_ARGV[0], touched);
    RETURN NULL;
END $$;

CREATE FUNCTION riskmap.cells_truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO public.cell_deltas (layer, x, y, n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id)
    SELECT layer, x, y, -sum(n), -sum(n1), -sum(n2), -sum(n3), -sum(n4), -sum(n0),
        -sum(sum_x), -sum(sum_y), -sum(sum_id)
    FROM (
        SELECT layer, x, y, n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id
        FROM public.cell_sums WHERE layer = TG_ARGV[0]
        UNION ALL
        SELECT layer, x, y, n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id
        FROM public.cell_deltas WHERE layer = TG_ARGV[0]
    ) every GROUP BY layer, x, y HAVING sum(n) <> 0;
    RETURN NULL;
END $$;

-- Moves what was appended into the sums, at most so many rows a call; returns how many. One at a
-- time; who comes second leaves it to the first. A reader sees all of it done or nothing.
CREATE FUNCTION riskmap.fold_cells(most int DEFAULT 50000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    moved bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('riskmap.cells')) THEN
        RETURN 0;
    END IF;
    WITH gone AS (
        DELETE FROM public.cell_deltas
        WHERE id IN (SELECT id FROM public.cell_deltas ORDER BY id LIMIT most)
        RETURNING *
    ), summed AS (
        INSERT INTO public.cell_sums AS c
            (layer, x, y, n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id)
        SELECT layer, x, y, sum(n), sum(n1), sum(n2), sum(n3), sum(n4), sum(n0),
            sum(sum_x), sum(sum_y), sum(sum_id)
        FROM gone GROUP BY layer, x, y
        ON CONFLICT (layer, x, y) DO UPDATE SET
            n = c.n + excluded.n, n1 = c.n1 + excluded.n1, n2 = c.n2 + excluded.n2,
            n3 = c.n3 + excluded.n3, n4 = c.n4 + excluded.n4, n0 = c.n0 + excluded.n0,
            sum_x = c.sum_x + excluded.sum_x, sum_y = c.sum_y + excluded.sum_y,
            sum_id = c.sum_id + excluded.sum_id
    )
    SELECT count(*) INTO moved FROM gone;
    DELETE FROM public.cell_sums
    WHERE (n, n1, n2, n3, n4, n0, sum_x, sum_y, sum_id) = (0, 0, 0, 0, 0, 0, 0, 0, 0);
    RETURN moved;
END $$;

CREATE FUNCTION riskmap.attach_cells(target regclass, layer text)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER cells_insert AFTER INSERT ON %s'
        ' REFERENCING NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.cells_changed(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER cells_update AFTER UPDATE ON %s'
        ' REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.cells_changed(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER cells_delete AFTER DELETE ON %s'
        ' REFERENCING OLD TABLE AS old_rows'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.cells_changed(%L)', target, layer);
    EXECUTE format('CREATE TRIGGER cells_truncate BEFORE TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION riskmap.cells_truncated(%L)', target, layer);
    -- What is there already.
    EXECUTE format($q$
        INSERT INTO public.cell_sums
        SELECT %L, (x >> 17)::int, (y >> 17)::int, count(*),
            count(*) FILTER (WHERE risk_level = 1), count(*) FILTER (WHERE risk_level = 2),
            count(*) FILTER (WHERE risk_level = 3), count(*) FILTER (WHERE risk_level = 4),
            count(*) FILTER (WHERE risk_level IS NULL), sum(x), sum(y), sum(id)
        FROM (
            SELECT id, risk_level,
                <unit ST_XMin(geom_3857) + 20037508.342789244> AS x,
                <unit 20037508.342789244 - ST_YMin(geom_3857)> AS y
            FROM %s WHERE GeometryType(geom_3857) = 'POINT' AND NOT ST_IsEmpty(geom_3857)
        ) placed GROUP BY 2, 3
        $q$, layer, target);
END $$;
REVOKE ALL ON FUNCTION riskmap.cells_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION riskmap.cells_truncated() FROM PUBLIC;
REVOKE ALL ON FUNCTION riskmap.fold_cells(int) FROM PUBLIC;
REVOKE ALL ON FUNCTION riskmap.attach_cells(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION riskmap.fold_cells(int) TO riskmap_api;
GRANT SELECT ON cell_sums, cell_deltas TO riskmap_api;
"""


# Metres from the corner as a place. No function: with a fixed search_path it would be called.
UNIT = r"least(greatest(floor((\1) * 53.586593983198505::float8), 0), 2147483647)::bigint"


def _sums() -> list[sa.Column[int]]:
    names = ("n", "n1", "n2", "n3", "n4", "n0", "sum_x", "sum_y", "sum_id")
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "cell_sums",
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("layer", "x", "y", name=op.f("pk_cell_sums")),
    )
    op.create_table(
        "cell_deltas",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        *_sums(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cell_deltas")),
    )
    run = op.get_bind().exec_driver_sql
    run(re.sub(r"<unit ([^>]+)>", UNIT, FUNCTIONS).replace("%", "%%"))
    for layer in CLUSTERED:
        run(f"SELECT riskmap.attach_cells('{layer.replace('-', '_')}', '{layer}')")


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    for function in ("attach_cells", "fold_cells", "cells_truncated", "cells_changed"):
        run(f"DROP FUNCTION riskmap.{function} CASCADE")
    op.drop_table("cell_deltas")
    op.drop_table("cell_sums")
