"""Stored coverage: what was asked, what it follows from, and the rows

Revision ID: 0012_coverage_runs
Revises: 0011_wind_sectors
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0012_coverage_runs"
down_revision = "0011_wind_sectors"
branch_labels = None
depends_on = None

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON coverage_runs TO riskmap_api;
GRANT SELECT, INSERT ON coverage_features TO riskmap_api;
"""


def upgrade() -> None:
    op.create_table(
        "coverage_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("inputs", postgresql.JSONB()),
        sa.Column("summary", postgresql.JSONB()),
        sa.Column("checksum", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coverage_runs")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_coverage_runs_job_id")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_coverage_runs_status"),
        ),
    )
    op.create_table(
        "coverage_features",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("feature_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "geom",
            Geometry("GEOMETRY", srid=4326, dimension=2, spatial_index=False, nullable=False),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry("GEOMETRY", srid=3857, dimension=2, spatial_index=False),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
        ),
        sa.Column("covered", sa.Boolean(), nullable=False),
        sa.Column("first_s", sa.Double()),
        sa.Column("teams_in_time", sa.Integer(), nullable=False),
        sa.Column("risk_level", sa.Integer()),
        sa.Column("people", sa.Double()),
        sa.Column("told", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "layer", "feature_id", name=op.f("pk_coverage_features")),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["coverage_runs.id"],
            name=op.f("fk_coverage_features_run_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_coverage_features_geom_3857",
        "coverage_features",
        ["geom_3857"],
        postgresql_using="gist",
    )
    op.get_bind().exec_driver_sql(GRANTS)


def downgrade() -> None:
    op.drop_table("coverage_features")
    op.drop_table("coverage_runs")
