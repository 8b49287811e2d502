"""How wide the wind carries what escapes: an editable table

Revision ID: 0011_wind_sectors
Revises: 0010_scenarios
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_wind_sectors"
down_revision = "0010_scenarios"
branch_labels = None
depends_on = None

# ERG 2020 protects a square downwind, as wide as it is long: at its far side half the width is
# half the distance, atan(0.5) = 27 degrees. Light winds turn about, calm ones have no direction.
_COLUMNS = ("wind_speed_mps", "half_width_deg", "source")
_ROWS = (
    (0.0, 180.0, "[U] 静风无主导风向 calm air has no direction; riskmap 初始值 initial value"),
    (1.0, 60.0, "[U] 微风风向多变 light winds turn about; riskmap 初始值 initial value"),
    (2.0, 30.0, "[U] ERG 2020 下风向防护区宽等于长 as wide as long: atan(0.5) = 27°, rounded up"),
)


def upgrade() -> None:
    table = op.create_table(
        "wind_sectors",
        sa.Column("wind_speed_mps", sa.Double(), autoincrement=False, nullable=False),
        sa.Column("half_width_deg", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "wind_speed_mps >= 0 AND wind_speed_mps < 200",
            name=op.f("ck_wind_sectors_wind_speed_mps"),
        ),
        sa.CheckConstraint(
            "half_width_deg > 0 AND half_width_deg <= 180",
            name=op.f("ck_wind_sectors_half_width_deg"),
        ),
        sa.PrimaryKeyConstraint("wind_speed_mps", name=op.f("pk_wind_sectors")),
    )
    op.bulk_insert(
        table,
        [dict(zip(_COLUMNS, row, strict=True)) for row in _ROWS],
    )
    op.execute("GRANT SELECT ON wind_sectors TO riskmap_api")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON wind_sectors FROM riskmap_api")
    op.execute("SELECT riskmap.attach_audit('wind_sectors')")


def downgrade() -> None:
    op.drop_table("wind_sectors")
