"""Tables that are no layers: the city, keys, audit, the change feed, history, roads, defaults."""

from __future__ import annotations

from typing import Final

from geoalchemy2 import Geometry as GeometryColumn
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

from riskmap.db.base import METADATA
from riskmap.units import WEB_MERCATOR, WGS84

_NOW: Final = text("now()")


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


# One database holds one city: the key can only be 1.
CITY: Final = Table(
    "city",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False, server_default=text("1")),
    Column("name", Text, nullable=False),
    Column("name_en", Text),
    Column("west", Double, nullable=False),
    Column("south", Double, nullable=False),
    Column("east", Double, nullable=False),
    Column("north", Double, nullable=False),
    Column("local_srid", Integer, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    CheckConstraint("id = 1", name="one_city"),
    CheckConstraint("west < east AND south < north", name="box"),
)

API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    _id(),
    Column("prefix", Text, nullable=False, unique=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("role IN ('reader', 'editor', 'analyst', 'admin')", name="role"),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    _id(),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("actor", Text, nullable=False),
    Column("db_user", Text, nullable=False, server_default=text("session_user")),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("row_count", BigInteger),
    Column("feed_id", BigInteger),
    Column("request_id", Text),
    Column("detail", JSONB),
    Column("import_id", BigInteger),
)

FEED: Final = Table(
    "feed",
    METADATA,
    _id(),
    # Given at commit, under a lock that is held until the commit is visible: revisions become
    # visible in their own order, and a reader who has seen N has seen everything before N.
    Column("revision", BigInteger, unique=True),
    Column("layer", Text, nullable=False),
    Column("op", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    # Zoom-14 cells touched, x << 14 | y; null when they are too many: then the box counts, and
    # without a box the whole layer.
    Column("cells", ARRAY(Integer)),
    Column("x_min", Double),
    Column("y_min", Double),
    Column("x_max", Double),
    Column("y_max", Double),
    Column("at", DateTime(timezone=True)),
    Index("ix_feed_layer_revision", "layer", text("revision DESC")),
)


def _cell_sums() -> list[Column[int]]:
    """Return what is known of the points in a cell; x and y in units of 2^-31 of the world."""
    names = ("n", "n1", "n2", "n3", "n4", "n0", "sum_x", "sum_y", "sum_id")
    return [Column(name, BigInteger, nullable=False) for name in names]


# Points by cells of zoom 11: what is folded, and what triggers appended since (0006_cells).
CELL_SUMS: Final = Table(
    "cell_sums",
    METADATA,
    Column("layer", Text, primary_key=True),
    Column("x", Integer, primary_key=True, autoincrement=False),
    Column("y", Integer, primary_key=True, autoincrement=False),
    *_cell_sums(),
)

CELL_DELTAS: Final = Table(
    "cell_deltas",
    METADATA,
    _id(),
    Column("layer", Text, nullable=False),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    *_cell_sums(),
)

# Superseded versions only: an insert costs no history row.
HISTORY: Final = Table(
    "history",
    METADATA,
    _id(),
    Column("layer", Text, nullable=False),
    Column("feature_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("op", Text, nullable=False),
    Column("row", JSONB, nullable=False),
    Column("geom", GeometryColumn("GEOMETRY", WGS84, spatial_index=False)),
    Column("at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("import_id", BigInteger),
    Index("ix_history_layer_feature_id_version", "layer", "feature_id", "version"),
    Index("ix_history_import_id", "import_id", postgresql_where=text("import_id IS NOT NULL")),
)

# Long work that a request starts and does not wait for. A worker claims a job, shows that it lives
# by the heartbeat, and runs the handler of its kind.
JOBS: Final = Table(
    "jobs",
    METADATA,
    _id(),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("parameters", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    # Machine and process that run it; of an earlier attempt while it is queued again.
    Column("runner", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("heartbeat_at", DateTime(timezone=True)),
    Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
    # Stage, done, total: what a person who waits is shown.
    Column("progress", JSONB),
    Column("result", JSONB),
    # An error as its entry of the catalogue: key, parameter, values.
    Column("problem", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint(
        "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"
    ),
    Index("ix_jobs_open", "id", postgresql_where=text("status IN ('queued', 'running')")),
)

# One row for each import that was asked for, by whatever way; written in the transaction that
# loads its rows, so that `done` and the rows are true together.
IMPORTS: Final = Table(
    "imports",
    METADATA,
    _id(),
    Column("kind", Text, nullable=False, server_default=text("'import'")),
    Column("layer", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("sha256", Text),
    Column("crs", Text),
    Column("source_system", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("options", JSONB, nullable=False, server_default=text("'{}'")),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("idempotency_key", Text),
    # What the key was used for: another body under the same key is refused.
    Column("idempotency_hash", Text),
    Column("job_id", BigInteger, ForeignKey(JOBS.c.id)),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    Column("report", JSONB),
    # Ids of the features that it made: neither they nor the history tell that otherwise.
    Column("inserted_ids", INT8MULTIRANGE),
    Column("undo_of", BigInteger, ForeignKey("imports.id")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("kind IN ('import', 'undo')", name="kind"),
    CheckConstraint(
        "status IN ('queued', 'running', 'done', 'rejected', 'failed', 'cancelled')",
        name="status",
    ),
    CheckConstraint("mode IN ('upsert', 'replace', 'append')", name="mode"),
    UniqueConstraint("actor", "idempotency_key"),
    Index("ix_imports_undo_of", "undo_of"),
)

# A computation of coverage that was asked for to be kept, with all that it depends on.
PROCESS_JOBS: Final = Table(
    "process_jobs",
    METADATA,
    # It stands in addresses, which are for those who were told: nobody can guess it.
    Column("id", Uuid, primary_key=True),
    Column("job_id", BigInteger, ForeignKey(JOBS.c.id), nullable=False, unique=True),
    Column("process", Text, nullable=False),
    Column("inputs", JSONB, nullable=False),
    Column("response", Text, nullable=False),
    # Packed by gzip.
    Column("result", LargeBinary),
    Column("dismissed_at", DateTime(timezone=True)),
    CheckConstraint("response IN ('raw', 'document')", name="response"),
)

COVERAGE_RUNS: Final = Table(
    "coverage_runs",
    METADATA,
    _id(),
    Column("name", Text),
    Column("actor", Text, nullable=False),
    Column("request_id", Text),
    Column("parameters", JSONB, nullable=False),
    Column("job_id", BigInteger, ForeignKey(JOBS.c.id)),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    # Revisions of network and layers, phases, speed sources, version: what the rows follow from.
    Column("inputs", JSONB),
    Column("summary", JSONB),
    # SHA-256 over the rows.
    Column("checksum", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint(
        "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="status"
    ),
)

COVERAGE_FEATURES: Final = Table(
    "coverage_features",
    METADATA,
    Column(
        "run_id", BigInteger, ForeignKey("coverage_runs.id", ondelete="CASCADE"), primary_key=True
    ),
    Column("layer", Text, primary_key=True),
    Column("feature_id", BigInteger, primary_key=True, autoincrement=False),
    Column("geom", GeometryColumn("GEOMETRY", WGS84, spatial_index=False), nullable=False),
    Column(
        "geom_3857",
        GeometryColumn("GEOMETRY", WEB_MERCATOR, spatial_index=False),
        Computed(f"ST_Transform(geom, {WEB_MERCATOR})", persisted=True),
    ),
    Column("covered", Boolean, nullable=False),
    Column("first_s", Double),
    Column("teams_in_time", Integer, nullable=False),
    Column("risk_level", Integer),
    Column("people", Double),
    # The other columns of the answer as they were told.
    Column("told", JSONB, nullable=False),
    Index("ix_coverage_features_geom_3857", "geom_3857", postgresql_using="gist"),
)

ROAD_EDGES: Final = Table(
    "road_edges",
    METADATA,
    _id(),
    Column("geom", GeometryColumn("LINESTRING", WGS84, spatial_index=False), nullable=False),
    Column(
        "geom_3857",
        GeometryColumn("LINESTRING", WEB_MERCATOR, spatial_index=False),
        Computed(f"ST_Transform(geom, {WEB_MERCATOR})", persisted=True),
    ),
    Column("length_m", Double, Computed("ST_Length(geom::geography)", persisted=True)),
    Column("from_node", BigInteger, nullable=False),
    Column("to_node", BigInteger, nullable=False),
    Column("source_id", Text),
    Column("road_class", Text, nullable=False),
    Column("name", Text),
    Column("oneway", Text, nullable=False, server_default=text("'both'")),
    Column("maxspeed_kmh", Double),
    Column("bridge", Boolean, nullable=False, server_default=text("false")),
    Column("tunnel", Boolean, nullable=False, server_default=text("false")),
    Column("level", Integer, nullable=False, server_default=text("0")),
    Column("motor", Boolean, nullable=False, server_default=text("true")),
    Column("restricted", Boolean, nullable=False, server_default=text("false")),
    Column("foot", Boolean, nullable=False, server_default=text("true")),
    CheckConstraint("oneway IN ('both', 'forward', 'backward')", name="oneway"),
    CheckConstraint("maxspeed_kmh > 0", name="maxspeed"),
    Index("ix_road_edges_geom", "geom", postgresql_using="gist"),
    Index("ix_road_edges_geom_3857", "geom_3857", postgresql_using="gist"),
)

# Ways of moving over the network.
ROAD_PROFILES: Final = Table(
    "road_profiles",
    METADATA,
    Column("profile", Text, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    # motor: where motor vehicles may go; foot: where people may walk.
    Column("mode", Text, nullable=False),
    # Private, destination-only and emergency-only roads are open to it.
    Column("uses_restricted", Boolean, nullable=False),
    # May turn round at a junction; where a road ends everybody may.
    Column("u_turns", Boolean, nullable=False, server_default=text("true")),
    # The turn restrictions of road_turns bind it.
    Column("obeys_turns", Boolean, nullable=False, server_default=text("false")),
    Column("source", Text, nullable=False),
    CheckConstraint("mode IN ('motor', 'foot')", name="mode"),
)

# Which road classes a profile may use, and how fast. No row: the class is closed to the profile.
ROAD_SPEEDS: Final = Table(
    "road_speeds",
    METADATA,
    Column("profile", Text, ForeignKey(ROAD_PROFILES.c.profile), primary_key=True),
    Column("road_class", Text, primary_key=True),
    Column("speed_kmh", Double, nullable=False),
    # A tagged limit times this is the speed where a limit is known; null: limits are ignored.
    Column("maxspeed_factor", Double),
    # Speed against a one-way street as a share of the speed along it; null: not allowed.
    Column("against_oneway_factor", Double),
    # It can stop there and people get off the road: what lies beside is reached. On bridges and in
    # tunnels nobody can, whatever stands here.
    Column("stops", Boolean, nullable=False, server_default=text("true")),
    Column("source", Text, nullable=False),
    CheckConstraint("speed_kmh > 0 AND speed_kmh <= 200", name="speed"),
    CheckConstraint("maxspeed_factor > 0", name="maxspeed_factor"),
    CheckConstraint("against_oneway_factor > 0", name="against_oneway_factor"),
)

# Turn restrictions: from one edge over a node to another, edges by their source_id, so that they
# outlive the edges' ids. They bind the profiles that obey them.
ROAD_TURNS: Final = Table(
    "road_turns",
    METADATA,
    Column("from_source", Text, primary_key=True),
    Column("via_node", BigInteger, primary_key=True, autoincrement=False),
    Column("to_source", Text, primary_key=True),
    # false: this turn is banned; true: of all turns from there only this one is allowed.
    Column("mandatory", Boolean, nullable=False, server_default=text("false")),
    Column("source", Text, nullable=False),
)

# Phases of a response by kind of team; 'default' serves a bare point and every other kind.
RESPONSE_PHASES: Final = Table(
    "response_phases",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("profile", Text, ForeignKey(ROAD_PROFILES.c.profile), nullable=False),
    Column("call_handling_s", Double, nullable=False),
    Column("turnout_s", Double, nullable=False),
    Column("setup_s", Double, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint(
        "call_handling_s >= 0 AND turnout_s >= 0 AND setup_s >= 0", name="not_negative"
    ),
)

# How far to either side of its direction the wind may carry what escapes, from a wind speed on.
# Nobody publishes such a table for every substance and weather: the figures are [U], to be edited.
WIND_SECTORS: Final = Table(
    "wind_sectors",
    METADATA,
    Column("wind_speed_mps", Double, primary_key=True, autoincrement=False),
    Column("half_width_deg", Double, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint("wind_speed_mps >= 0 AND wind_speed_mps < 200", name="wind_speed_mps"),
    CheckConstraint("half_width_deg > 0 AND half_width_deg <= 180", name="half_width_deg"),
)

# What a response is measured against, and who says so. Null phases are those of the kind of team.
RESPONSE_PRESETS: Final = Table(
    "response_presets",
    METADATA,
    Column("preset", Text, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("minutes", Double, nullable=False),
    Column("call_handling_s", Double),
    Column("turnout_s", Double),
    Column("setup_s", Double),
    Column("profile", Text, ForeignKey(ROAD_PROFILES.c.profile)),
    # How many people or teams should stand there within the minutes; null: the first team.
    Column("need_people", Integer),
    Column("need_teams", Integer),
    # In what share of incidents it should hold; null: not said.
    Column("percentile", Double),
    Column("source", Text, nullable=False),
    Column("edition", Text),
    Column("confidence", Text, nullable=False),
    CheckConstraint("minutes > 0 AND minutes <= 120", name="minutes"),
    CheckConstraint(
        "call_handling_s >= 0 AND turnout_s >= 0 AND setup_s >= 0", name="not_negative"
    ),
    CheckConstraint("need_people > 0 AND need_teams > 0", name="needs"),
    CheckConstraint("percentile > 0 AND percentile <= 1", name="percentile"),
    CheckConstraint("confidence IN ('confirmed', 'uncertain', 'local')", name="confidence"),
)

# The steps of a preset that has several, as 135 does.
RESPONSE_TIERS: Final = Table(
    "response_tiers",
    METADATA,
    Column(
        "preset",
        Text,
        ForeignKey(RESPONSE_PRESETS.c.preset, ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("tier", Integer, primary_key=True, autoincrement=False),
    Column("minutes", Double, nullable=False),
    # turnout: on their way; arrival: at the place.
    Column("measure", Text, nullable=False),
    # Kinds of teams with commas, '*' for every kind.
    Column("kinds", Text, nullable=False),
    Column("need_teams", Integer, nullable=False),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    CheckConstraint("minutes > 0 AND minutes <= 120", name="minutes"),
    CheckConstraint("measure IN ('turnout', 'arrival')", name="measure"),
    CheckConstraint("need_teams > 0", name="need_teams"),
)

# Speed by the hour as a share of the free speed; no row: 1. Class '*' stands for every class that
# has no row of its own.
ROAD_TIME_FACTORS: Final = Table(
    "road_time_factors",
    METADATA,
    Column("profile", Text, ForeignKey(ROAD_PROFILES.c.profile), primary_key=True),
    Column("road_class", Text, primary_key=True),
    Column("day_type", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("factor", Double, nullable=False),
    Column("source", Text, nullable=False),
    CheckConstraint("day_type IN ('workday', 'restday')", name="day_type"),
    CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
    CheckConstraint("factor > 0 AND factor <= 2", name="factor"),
)

# Critical quantities and factors of GB 18218, by edition; `verified` once somebody has compared a
# row with the printed standard.
GB18218_CHEMICALS: Final = Table(
    "gb18218_chemicals",
    METADATA,
    Column("edition", Text, primary_key=True),
    Column("cas", Text, primary_key=True),
    Column("name_zh", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    # Q in tonnes; null: not known to us, the filed one counts.
    Column("critical_quantity_t", Double),
    # Beta of table 3; null: that of the chemical's category.
    Column("beta", Double),
    Column("toxic_gas", Boolean, nullable=False, server_default=text("false")),
    Column("source", Text, nullable=False),
    Column("verified", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("critical_quantity_t > 0", name="critical_quantity"),
    CheckConstraint("beta > 0", name="beta"),
)

GB18218_CATEGORIES: Final = Table(
    "gb18218_categories",
    METADATA,
    Column("edition", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("critical_quantity_t", Double),
    Column("beta", Double, nullable=False),
    Column("source", Text, nullable=False),
    Column("verified", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("critical_quantity_t > 0", name="critical_quantity"),
    CheckConstraint("beta > 0", name="beta"),
)
