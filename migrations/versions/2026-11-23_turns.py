"""Turn restrictions and U-turns, where one can stop, two-wheelers of micro fire stations

Revision ID: 0009_turns
Revises: 0008_key_feed
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_turns"
down_revision = "0008_key_feed"
branch_labels = None
depends_on = None

# Laws and regulations below are quoted from memory: [U], compare before you rely on them.
ON_DUTY = "道路交通安全法 第五十三条"
ORDINARY_TURNS = "turns and U-turns as signed: 道路交通安全法实施条例 第四十九条 [U]"

# Where nobody gets off the road, after the source of the speed.
NO_STOP = ("motorway", "motorway_link", "trunk", "trunk_link", "ferry")
NO_STOP_SOURCE = "; no stop: 实施条例 第八十二条 (motorway) [U], trunk and ferry [D]"

MOTORCYCLE = (
    "motorcycle",
    "两轮消防车",
    "Two-wheeler of a micro fire station",
    "motor",
    True,
    True,
    False,
    "[D] 100辆两轮电动应急消防车 on duty, as emergency vehicles: " + ON_DUTY + "; footways only"
    " where the map says emergency=yes or motor_vehicle=yes",
)
# Speeds in km/h: (class, speed, against one-way as a share of it). Electric two-wheelers are built
# for at most 50 km/h; no figure is measured, they are this project's first guess and meant to be
# edited. No row for motorways: who is built for less than 70 km/h may not use them.
MOTORCYCLE_SPEEDS = (
    ("trunk", 45, None),
    ("trunk_link", 35, None),
    ("primary", 45, 0.5),
    ("primary_link", 35, 0.5),
    ("secondary", 45, 0.5),
    ("secondary_link", 35, 0.5),
    ("tertiary", 40, 0.5),
    ("tertiary_link", 35, 0.5),
    ("unclassified", 35, 0.5),
    ("residential", 30, 0.5),
    ("living_street", 20, 0.5),
    ("service", 20, 0.5),
    ("road", 30, 0.5),
    ("track", 15, 0.5),
    ("footway", 15, 0.5),
    ("path", 15, 0.5),
    ("pedestrian", 15, 0.5),
    ("cycleway", 15, 0.5),
    ("ferry", 8, None),
)
MOTORCYCLE_SOURCE = (
    "[D] riskmap 初始值 initial value, edit for your city; motorways closed: "
    "道路交通安全法 第六十七条 [U]"
)

GRANTS = """
SELECT riskmap.attach_feed('road_turns', 'roads', 'feed_flushed');
"""


def upgrade() -> None:
    op.create_table(
        "road_turns",
        sa.Column("from_source", sa.Text(), nullable=False),
        sa.Column("via_node", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to_source", sa.Text(), nullable=False),
        sa.Column("mandatory", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("from_source", "via_node", "to_source", name=op.f("pk_road_turns")),
    )
    # A city's own profiles go on as they did: turning anywhere, bound by nothing.
    for column, usual in (("u_turns", "true"), ("obeys_turns", "false")):
        op.add_column(
            "road_profiles",
            sa.Column(column, sa.Boolean(), server_default=sa.text(usual), nullable=False),
        )
    op.add_column(
        "road_speeds",
        sa.Column("stops", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    _quietly(
        (
            "UPDATE road_profiles SET u_turns = false, obeys_turns = true,"
            " source = source || '; ' || :source WHERE profile = 'ordinary'",
            {"source": ORDINARY_TURNS},
        ),
        (
            "UPDATE road_speeds s SET stops = false, source = s.source || :source"
            " FROM road_profiles p WHERE p.profile = s.profile AND p.mode = 'motor'"
            " AND road_class = ANY(CAST(:classes AS text[]))",
            {"source": NO_STOP_SOURCE, "classes": list(NO_STOP)},
        ),
        (
            "INSERT INTO road_profiles (profile, name_zh, name_en, mode, uses_restricted, u_turns,"
            " obeys_turns, source) VALUES (:a, :b, :c, :d, :e, :f, :g, :h) ON CONFLICT DO NOTHING",
            dict(zip("abcdefgh", MOTORCYCLE, strict=True)),
        ),
        *(
            (
                "INSERT INTO road_speeds (profile, road_class, speed_kmh, maxspeed_factor,"
                " against_oneway_factor, stops, source)"
                " VALUES (:p, :c, :kmh, :stated, :against, :stops, :source)"
                " ON CONFLICT DO NOTHING",
                {
                    "p": MOTORCYCLE[0],
                    "c": road_class,
                    "kmh": kmh,
                    # Of a road of unknown class the stated speed is all we know.
                    "stated": 1.0 if road_class == "road" else None,
                    "against": against,
                    "stops": road_class not in NO_STOP,
                    "source": MOTORCYCLE_SOURCE + (NO_STOP_SOURCE if road_class in NO_STOP else ""),
                },
            )
            for road_class, kmh, against in MOTORCYCLE_SPEEDS
        ),
    )
    op.get_bind().exec_driver_sql(GRANTS)


def _quietly(*statements: tuple[str, dict[str, object]]) -> None:
    """Change profiles and speeds: news for a stored network, none for a database without roads."""
    run = op.get_bind().exec_driver_sql
    stored = run("SELECT EXISTS (SELECT FROM road_edges)").scalar()
    for table in () if stored else ("road_profiles", "road_speeds"):
        run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement, values in statements:
        op.get_bind().execute(sa.text(statement), values)
    for table in () if stored else ("road_profiles", "road_speeds"):
        run(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    # The feed's rows get their numbers now: a step after this one may alter the feed.
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("SET CONSTRAINTS ALL DEFERRED")


def downgrade() -> None:
    _quietly(
        # Whoever responded on two wheels did so as an emergency vehicle before.
        ("UPDATE response_phases SET profile = 'emergency' WHERE profile = 'motorcycle'", {}),
        ("DELETE FROM road_time_factors WHERE profile = 'motorcycle'", {}),
        ("DELETE FROM road_speeds WHERE profile = 'motorcycle'", {}),
        ("DELETE FROM road_profiles WHERE profile = 'motorcycle'", {}),
        (
            "UPDATE road_speeds SET source = replace(source, :source, '')",
            {"source": NO_STOP_SOURCE},
        ),
        (
            "UPDATE road_profiles SET source = replace(source, '; ' || :source, '')",
            {"source": ORDINARY_TURNS},
        ),
    )
    op.drop_column("road_speeds", "stops")
    op.drop_column("road_profiles", "obeys_turns")
    op.drop_column("road_profiles", "u_turns")
    op.drop_table("road_turns")
