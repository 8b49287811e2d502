"""Scenarios, and what water on a road does to speed

Revision ID: 0010_scenarios
Revises: 0009_turns
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_scenarios"
down_revision = "0009_turns"
branch_labels = None
depends_on = None

CARS = (
    "[U] Pregnolato et al. 2017, depth-disruption function v(w) = 0.0009 w² - 0.5529 w + 86.9448"
    " (mm, km/h) as a share of v(0), middle of the band; no car from 300 mm on"
)
FIRE = (
    "[U] limit of 0.6 m: Kramer, Terheiden & Wieprecht 2016 (total head for emergency vehicles,"
    " standing water); shares below it: riskmap 初始值 initial value, edit for your vehicles"
)
OTHERS = "[U] riskmap 初始值 initial value without measurement, edit for your city"

# (profile, from m, below m, share of the dry speed; None: blocked)
FACTORS = (
    ("emergency", 0, 0.15, 0.8, FIRE),
    ("emergency", 0.15, 0.3, 0.5, FIRE),
    ("emergency", 0.3, 0.6, 0.25, FIRE),
    ("emergency", 0.6, None, None, FIRE),
    ("ordinary", 0, 0.05, 0.85, CARS),
    ("ordinary", 0.05, 0.1, 0.58, CARS),
    ("ordinary", 0.1, 0.15, 0.37, CARS),
    ("ordinary", 0.15, 0.3, 0.09, CARS),
    ("ordinary", 0.3, None, None, CARS),
    ("motorcycle", 0, 0.1, 0.5, OTHERS),
    ("motorcycle", 0.1, 0.2, 0.2, OTHERS),
    ("motorcycle", 0.2, None, None, OTHERS),
    ("walk", 0, 0.2, 0.7, OTHERS),
    ("walk", 0.2, 0.5, 0.4, OTHERS),
    ("walk", 0.5, None, None, OTHERS),
    ("*", 0, 0.3, 0.3, OTHERS),
    ("*", 0.3, None, None, OTHERS),
)

GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON scenarios TO riskmap_api;
GRANT SELECT ON flood_speed_factors TO riskmap_api;
SELECT riskmap.attach_audit('flood_speed_factors');
"""


def upgrade() -> None:
    now = sa.text("now()")
    op.create_table(
        "scenarios",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("network_revision", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name=op.f("ck_scenarios_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenarios")),
        sa.UniqueConstraint("name", name=op.f("uq_scenarios_name")),
    )
    factors = op.create_table(
        "flood_speed_factors",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("depth_from_m", sa.Double(), nullable=False),
        sa.Column("depth_to_m", sa.Double(), nullable=True),
        sa.Column("factor", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "depth_from_m >= 0 AND depth_from_m < 'Infinity'"
            " AND (depth_to_m IS NULL OR (depth_to_m > depth_from_m AND depth_to_m < 'Infinity'))",
            name=op.f("ck_flood_speed_factors_depth"),
        ),
        sa.CheckConstraint(
            "factor > 0 AND factor <= 1", name=op.f("ck_flood_speed_factors_factor")
        ),
        sa.CheckConstraint(
            "confidence IN ('confirmed', 'uncertain', 'local')",
            name=op.f("ck_flood_speed_factors_confidence"),
        ),
        sa.PrimaryKeyConstraint("profile", "depth_from_m", name=op.f("pk_flood_speed_factors")),
    )
    names = ("profile", "depth_from_m", "depth_to_m", "factor", "source")
    rows = [dict(zip(names, row, strict=True)) | {"confidence": "uncertain"} for row in FACTORS]
    op.bulk_insert(factors, rows)
    op.get_bind().exec_driver_sql(GRANTS)


def downgrade() -> None:
    op.drop_table("flood_speed_factors")
    op.drop_table("scenarios")
