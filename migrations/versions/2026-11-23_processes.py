"""Processes that were asked to run by themselves: inputs and results

Revision ID: 0014_processes
Revises: 0013_presets
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014_processes"
down_revision = "0013_presets"
branch_labels = None
depends_on = None

GRANTS = "GRANT SELECT, INSERT, UPDATE, DELETE ON process_jobs TO riskmap_api"


def upgrade() -> None:
    op.create_table(
        "process_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("inputs", postgresql.JSONB(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("result", sa.LargeBinary()),
        sa.Column("dismissed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_jobs")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_process_jobs_job_id")),
        sa.UniqueConstraint("job_id", name=op.f("uq_process_jobs_job_id")),
        sa.CheckConstraint(
            "response IN ('raw', 'document')", name=op.f("ck_process_jobs_response")
        ),
    )
    op.get_bind().exec_driver_sql(GRANTS)


def downgrade() -> None:
    op.drop_table("process_jobs")
