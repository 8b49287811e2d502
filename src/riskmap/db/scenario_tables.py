"""Tables of scenarios: what somebody supposes, and what water on a road does to speed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from riskmap.db.base import METADATA

_NOW: Final = text("now()")

SCENARIOS: Final = Table(
    "scenarios",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("note", Text),
    Column("content", JSONB, nullable=False),
    # What the ids of its edges meant when it was made; null: there were no roads.
    Column("network_revision", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("version", Integer, nullable=False, server_default=text("1")),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
)

# Speed in standing water as a share of the speed on the dry road: from a depth on, up to below
# another. Profile '*' stands for every profile without rows of its own.
FLOOD_SPEED_FACTORS: Final = Table(
    "flood_speed_factors",
    METADATA,
    Column("profile", Text, primary_key=True),
    Column("depth_from_m", Double, primary_key=True),
    # Null: however deep.
    Column("depth_to_m", Double),
    # Null: nobody gets through.
    Column("factor", Double),
    Column("source", Text, nullable=False),
    Column("confidence", Text, nullable=False),
    CheckConstraint(
        "depth_from_m >= 0 AND depth_from_m < 'Infinity'"
        " AND (depth_to_m IS NULL OR (depth_to_m > depth_from_m AND depth_to_m < 'Infinity'))",
        name="depth",
    ),
    CheckConstraint("factor > 0 AND factor <= 1", name="factor"),
    CheckConstraint("confidence IN ('confirmed', 'uncertain', 'local')", name="confidence"),
)
