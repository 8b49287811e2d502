"""What a response is measured against: presets and their tiers, editable, each with its source

Revision ID: 0013_presets
Revises: 0012_coverage_runs
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013_presets"
down_revision = "0012_coverage_runs"
branch_labels = None
depends_on = None

_TABLES = ("response_presets", "response_tiers")
_PRESET = (
    *("preset", "name_zh", "name_en", "minutes", "call_handling_s", "turnout_s", "setup_s"),
    *("profile", "need_people", "need_teams", "percentile", "source", "edition", "confidence"),
)
_NONE = (None, None, None)
# In the order of the columns above.
_PRESETS = (
    ("circle-15", "15 分钟应急救援圈", "15-minute rescue circle", 15.0, *_NONE, None, None, None,
     None, "绍兴等市目标 target of Shaoxing and other cities; 无全国性条文 no national text seen",
     None, "local"),
    ("135-taizhou", "135:1 分钟响应、3 分钟到场、5 分钟协同", "135: respond, arrive, join forces",
     5.0, *_NONE, None, None, None, None, "台州 2018 Taizhou, press", "2018", "uncertain"),
    ("135-stations", "135:微型站、联防组、消防站", "135: micro station, neighbours, fire brigade",
     5.0, *_NONE, None, None, None, None, "消防宣传资料 fire-safety press, undated", None,
     "uncertain"),
    ("jb152-5min", "接到出动指令后 5 分钟到达辖区边缘", "Edge of the district within 5 min of dispatch",
     5.0, 0.0, 60.0, 0.0, None, None, None, None, "建标152-2011 第十二条 art. 12", "2011",
     "confirmed"),
    ("fire-15", "15 分钟消防时间:发现 4、接警 2.5、出动 1、行驶 4、出水 3.5",
     "15-minute fire time: found 4, call 2.5, turnout 1, travel 4, water 3.5",
     11.0, 150.0, 60.0, 210.0, None, None, None, None,
     "考试资料 exam notes; 发现的 4 分钟在报警之前 the 4 min to find it lie before the alarm", "2025",
     "uncertain"),
    ("nfpa1710-first", "NFPA 1710 首车", "NFPA 1710 first engine", 5.333, 0.0, 80.0, 0.0, None,
     4, None, 0.9, "NFPA 1710: turnout 80 s, travel 240 s, four people", "2020", "uncertain"),
    ("nfpa1710-full", "NFPA 1710 全部首批力量", "NFPA 1710 full first alarm", 9.333, 0.0, 80.0,
     0.0, None, 15, None, 0.9, "NFPA 1710: travel 480 s; people by hazard 15 / 28 / 43 [U]",
     "2020", "uncertain"),
    ("nfpa1720-urban", "NFPA 1720 城区", "NFPA 1720 urban", 9.0, *_NONE, None, 15, None, 0.9,
     "NFPA 1720, Oregon Area Fire 2025", "2025", "uncertain"),
    ("nfpa1720-suburban", "NFPA 1720 郊区", "NFPA 1720 suburban", 10.0, *_NONE, None, 10, None,
     0.8, "NFPA 1720, Oregon Area Fire 2025; 旧版 an older exhibit says 0.9", "2025",
     "uncertain"),
    ("nfpa1720-rural", "NFPA 1720 乡村", "NFPA 1720 rural", 14.0, *_NONE, None, 6, None, 0.8,
     "NFPA 1720, Oregon Area Fire 2025", "2025", "uncertain"),
    ("walk-shelter", "步行 10 分钟到紧急避难场所", "Emergency shelter within 10 min on foot", 10.0,
     0.0, 0.0, 0.0, "walk", None, None, None,
     "广东规划纲要 Guangdong outline: 500 m, about 10 min on foot", None, "uncertain"),
)  # fmt: skip
_TIER = ("preset", "tier", "minutes", "measure", "kinds", "need_teams", "name_zh", "name_en")
_JOINT = "joint_station,small_fire_station,team,rescue_base"
_TIERS = (
    ("135-taizhou", 1, 1.0, "turnout", "*", 1, "1 分钟响应启动", "on their way in 1 min"),
    ("135-taizhou", 3, 3.0, "arrival", "*", 1, "3 分钟到场扑救", "there in 3 min"),
    ("135-taizhou", 5, 5.0, "arrival", "*", 2, "5 分钟协同作战", "two teams in 5 min"),
    ("135-stations", 1, 1.0, "arrival", "micro_station", 1, "1 分钟单位微型站", "micro station"),
    ("135-stations", 3, 3.0, "arrival", _JOINT, 1, "3 分钟区域联防", "neighbours' joint group"),
    ("135-stations", 5, 5.0, "arrival", "fire_station", 1, "5 分钟消防救援队", "fire brigade"),
)


def upgrade() -> None:
    presets = op.create_table(
        "response_presets",
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Double(), nullable=False),
        sa.Column("call_handling_s", sa.Double(), nullable=True),
        sa.Column("turnout_s", sa.Double(), nullable=True),
        sa.Column("setup_s", sa.Double(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("need_people", sa.Integer(), nullable=True),
        sa.Column("need_teams", sa.Integer(), nullable=True),
        sa.Column("percentile", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("edition", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "minutes > 0 AND minutes <= 120", name=op.f("ck_response_presets_minutes")
        ),
        sa.CheckConstraint(
            "call_handling_s >= 0 AND turnout_s >= 0 AND setup_s >= 0",
            name=op.f("ck_response_presets_not_negative"),
        ),
        sa.CheckConstraint(
            "need_people > 0 AND need_teams > 0", name=op.f("ck_response_presets_needs")
        ),
        sa.CheckConstraint(
            "percentile > 0 AND percentile <= 1", name=op.f("ck_response_presets_percentile")
        ),
        sa.CheckConstraint(
            "confidence IN ('confirmed', 'uncertain', 'local')",
            name=op.f("ck_response_presets_confidence"),
        ),
        sa.ForeignKeyConstraint(
            ["profile"],
            ["road_profiles.profile"],
            name=op.f("fk_response_presets_profile_road_profiles"),
        ),
        sa.PrimaryKeyConstraint("preset", name=op.f("pk_response_presets")),
    )
    tiers = op.create_table(
        "response_tiers",
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("tier", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("minutes", sa.Double(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("need_teams", sa.Integer(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "minutes > 0 AND minutes <= 120", name=op.f("ck_response_tiers_minutes")
        ),
        sa.CheckConstraint(
            "measure IN ('turnout', 'arrival')", name=op.f("ck_response_tiers_measure")
        ),
        sa.CheckConstraint("need_teams > 0", name=op.f("ck_response_tiers_need_teams")),
        sa.ForeignKeyConstraint(
            ["preset"],
            ["response_presets.preset"],
            name=op.f("fk_response_tiers_preset_response_presets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("preset", "tier", name=op.f("pk_response_tiers")),
    )
    op.bulk_insert(presets, [dict(zip(_PRESET, row, strict=True)) for row in _PRESETS])
    op.bulk_insert(tiers, [dict(zip(_TIER, row, strict=True)) for row in _TIERS])
    for name in _TABLES:
        op.execute(f"GRANT SELECT ON {name} TO riskmap_api")
        op.execute(f"REVOKE INSERT, UPDATE, DELETE ON {name} FROM riskmap_api")
        op.execute(f"SELECT riskmap.attach_audit('{name}')")


def downgrade() -> None:
    op.drop_table("response_tiers")
    op.drop_table("response_presets")
