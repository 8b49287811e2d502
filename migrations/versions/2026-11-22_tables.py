"""Tables of the city, its layers and its roads

Revision ID: 0001_tables
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_divisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.Column("is_functional_zone", sa.Boolean(), nullable=True),
        sa.Column("urban_rural_code", sa.Text(), nullable=True),
        sa.Column("population", sa.Integer(), nullable=True),
        sa.Column("population_at", sa.Date(), nullable=True),
        sa.Column("grid_duties", sa.Text(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_divisions")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_admin_divisions_source_system_code")
        ),
        info={"layer": "admin-divisions"},
    )
    op.create_index(
        op.f("ix_admin_divisions_admin_code"), "admin_divisions", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_admin_divisions_geom",
        "admin_divisions",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_admin_divisions_geom_3857",
        "admin_divisions",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('reader', 'editor', 'analyst', 'admin')", name=op.f("ck_api_keys_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("db_user", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("feed_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "city",
        sa.Column(
            "id", sa.Integer(), server_default=sa.text("1"), autoincrement=False, nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("west", sa.Double(), nullable=False),
        sa.Column("south", sa.Double(), nullable=False),
        sa.Column("east", sa.Double(), nullable=False),
        sa.Column("north", sa.Double(), nullable=False),
        sa.Column("local_srid", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_city_one_city")),
        sa.CheckConstraint("west < east AND south < north", name=op.f("ck_city_box")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_city")),
    )
    op.create_table(
        "enterprises",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("uscc", sa.Text(), nullable=True),
        sa.Column("industry_code", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("safety_code", sa.Text(), nullable=True),
        sa.Column("safety_code_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("safety_code_reason", sa.Text(), nullable=True),
        sa.Column("risk_tags", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("daily_pledge_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workers_max", sa.Integer(), nullable=True),
        sa.Column("insured", sa.Boolean(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("risk_level BETWEEN 1 AND 4", name=op.f("ck_enterprises_risk_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enterprises")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_enterprises_source_system_code")
        ),
        info={"layer": "enterprises"},
    )
    op.create_index(op.f("ix_enterprises_admin_code"), "enterprises", ["admin_code"], unique=False)
    op.create_index(
        "ix_enterprises_geom", "enterprises", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_enterprises_geom_3857",
        "enterprises",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "fault_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTILINESTRING",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="MULTILINESTRING",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("fault_type", sa.Text(), nullable=True),
        sa.Column("activity_age", sa.Text(), nullable=True),
        sa.Column("is_seismogenic", sa.Boolean(), nullable=True),
        sa.Column("is_buried", sa.Boolean(), nullable=True),
        sa.Column("cover_thickness_m", sa.Double(), nullable=True),
        sa.Column("dip_deg", sa.Double(), nullable=True),
        sa.Column("strike_deg", sa.Double(), nullable=True),
        sa.Column("map_scale", sa.Integer(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fault_lines")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_fault_lines_source_system_code")
        ),
        info={"layer": "fault-lines"},
    )
    op.create_index(op.f("ix_fault_lines_admin_code"), "fault_lines", ["admin_code"], unique=False)
    op.create_index(
        "ix_fault_lines_geom", "fault_lines", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_fault_lines_geom_3857",
        "fault_lines",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "feed",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("cells", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column("x_min", sa.Double(), nullable=True),
        sa.Column("y_min", sa.Double(), nullable=True),
        sa.Column("x_max", sa.Double(), nullable=True),
        sa.Column("y_max", sa.Double(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
        sa.UniqueConstraint("revision", name=op.f("uq_feed_revision")),
    )
    op.create_index(
        "ix_feed_layer_revision",
        "feed",
        ["layer", sa.literal_column("revision DESC")],
        unique=False,
    )
    op.create_table(
        "flash_flood_zones",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("danger_grade", sa.Text(), nullable=True),
        sa.Column("watershed", sa.Text(), nullable=True),
        sa.Column("catchment_km2", sa.Double(), nullable=True),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.Column("persons", sa.Integer(), nullable=True),
        sa.Column("evac_route", sa.Text(), nullable=True),
        sa.Column("shelter_code", sa.Text(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("thresholds", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "risk_level BETWEEN 1 AND 4", name=op.f("ck_flash_flood_zones_risk_level")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flash_flood_zones")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_flash_flood_zones_source_system_code")
        ),
        info={"layer": "flash-flood-zones"},
    )
    op.create_index(
        op.f("ix_flash_flood_zones_admin_code"), "flash_flood_zones", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_flash_flood_zones_geom",
        "flash_flood_zones",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_flash_flood_zones_geom_3857",
        "flash_flood_zones",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "flood_impact_areas",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("impact_source", sa.Text(), nullable=True),
        sa.Column("watershed", sa.Text(), nullable=True),
        sa.Column("return_period_a", sa.Integer(), nullable=True),
        sa.Column("max_depth_m", sa.Double(), nullable=True),
        sa.Column("max_velocity", sa.Double(), nullable=True),
        sa.Column("households", sa.Integer(), nullable=True),
        sa.Column("persons", sa.Integer(), nullable=True),
        sa.Column("evac_route", sa.Text(), nullable=True),
        sa.Column("shelter_code", sa.Text(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "risk_level BETWEEN 1 AND 4", name=op.f("ck_flood_impact_areas_risk_level")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flood_impact_areas")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_flood_impact_areas_source_system_code")
        ),
        info={"layer": "flood-impact-areas"},
    )
    op.create_index(
        op.f("ix_flood_impact_areas_admin_code"), "flood_impact_areas", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_flood_impact_areas_geom",
        "flood_impact_areas",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_flood_impact_areas_geom_3857",
        "flood_impact_areas",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "geohazard_points",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="POINT",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("hazard_type", sa.Text(), nullable=True),
        sa.Column("unified_code", sa.Text(), nullable=True),
        sa.Column("scale_value", sa.Double(), nullable=True),
        sa.Column("scale_unit", sa.Text(), nullable=True),
        sa.Column("scale_grade", sa.Text(), nullable=True),
        sa.Column("stability", sa.Text(), nullable=True),
        sa.Column("trend", sa.Text(), nullable=True),
        sa.Column("threatened_households", sa.Integer(), nullable=True),
        sa.Column("threatened_persons", sa.Integer(), nullable=True),
        sa.Column("threatened_property", sa.Double(), nullable=True),
        sa.Column("danger_grade", sa.Text(), nullable=True),
        sa.Column("disaster_grade", sa.Text(), nullable=True),
        sa.Column("trigger", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("monitoring_method", sa.Text(), nullable=True),
        sa.Column("alarm_method", sa.Text(), nullable=True),
        sa.Column("evac_route", sa.Text(), nullable=True),
        sa.Column("resettlement_place", sa.Text(), nullable=True),
        sa.Column("shelter_code", sa.Text(), nullable=True),
        sa.Column("treatment_status", sa.Text(), nullable=True),
        sa.Column("susceptibility", sa.Text(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "risk_level BETWEEN 1 AND 4", name=op.f("ck_geohazard_points_risk_level")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_geohazard_points")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_geohazard_points_source_system_code")
        ),
        info={"layer": "geohazard-points"},
    )
    op.create_index(
        op.f("ix_geohazard_points_admin_code"), "geohazard_points", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_geohazard_points_geom",
        "geohazard_points",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_geohazard_points_geom_3857",
        "geohazard_points",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("feature_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("row", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
    )
    op.create_index(
        "ix_history_layer_feature_id_version",
        "history",
        ["layer", "feature_id", "version"],
        unique=False,
    )
    op.create_table(
        "major_hazard_sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("enterprise_code", sa.Text(), nullable=True),
        sa.Column("unit_type", sa.Text(), nullable=True),
        sa.Column("hazard_level", sa.Integer(), nullable=True),
        sa.Column("s_value", sa.Double(), nullable=True),
        sa.Column("r_value", sa.Double(), nullable=True),
        sa.Column("exposed_persons_500m", sa.Integer(), nullable=True),
        sa.Column("alpha", sa.Double(), nullable=True),
        sa.Column("regulation", sa.Text(), nullable=True),
        sa.Column("r_source", sa.Text(), nullable=True),
        sa.Column("filing_no", sa.Text(), nullable=True),
        sa.Column("filed_at", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("online_status", sa.Text(), nullable=True),
        sa.Column("wind_relevant", sa.Boolean(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("chemicals", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "risk_level BETWEEN 1 AND 4", name=op.f("ck_major_hazard_sources_risk_level")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_major_hazard_sources")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_major_hazard_sources_source_system_code")
        ),
        info={"layer": "major-hazard-sources"},
    )
    op.create_index(
        op.f("ix_major_hazard_sources_admin_code"),
        "major_hazard_sources",
        ["admin_code"],
        unique=False,
    )
    op.create_index(
        "ix_major_hazard_sources_geom",
        "major_hazard_sources",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_major_hazard_sources_geom_3857",
        "major_hazard_sources",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "population_cells",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("population", sa.Double(), nullable=False),
        sa.Column("population_at", sa.Date(), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("cell_size_m", sa.Double(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_population_cells")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_population_cells_source_system_code")
        ),
        info={"layer": "population-cells"},
    )
    op.create_index(
        op.f("ix_population_cells_admin_code"), "population_cells", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_population_cells_geom",
        "population_cells",
        ["geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_population_cells_geom_3857",
        "population_cells",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "rescue_teams",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="POINT",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=True),
        sa.Column("level", sa.Text(), nullable=True),
        sa.Column("specialties", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("personnel", sa.Integer(), nullable=True),
        sa.Column("on_duty_personnel", sa.Integer(), nullable=True),
        sa.Column("duty_status", sa.Text(), nullable=True),
        sa.Column("duty_hours", sa.Text(), nullable=True),
        sa.Column("turnout_s", sa.Integer(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("speed_profile", sa.Text(), nullable=True),
        sa.Column("responds_outside", sa.Boolean(), nullable=True),
        sa.Column("licensed", sa.Boolean(), nullable=True),
        sa.Column("licensed_at", sa.Date(), nullable=True),
        sa.Column("station_standard", sa.Text(), nullable=True),
        sa.Column("contact_phone", sa.Text(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("vehicles", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("equipment", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rescue_teams")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_rescue_teams_source_system_code")
        ),
        info={"layer": "rescue-teams"},
    )
    op.create_index(
        op.f("ix_rescue_teams_admin_code"), "rescue_teams", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_rescue_teams_geom", "rescue_teams", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_rescue_teams_geom_3857",
        "rescue_teams",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "risk_records",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("risk_level", sa.Integer(), nullable=True),
        sa.Column("risk_domain", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("sector", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("threatened_persons", sa.Integer(), nullable=True),
        sa.Column("threatened_households", sa.Integer(), nullable=True),
        sa.Column("assessed_level", sa.Text(), nullable=True),
        sa.Column("assessed_at", sa.Date(), nullable=True),
        sa.Column("assessed_by", sa.Text(), nullable=True),
        sa.Column("control_measures", sa.Text(), nullable=True),
        sa.Column("found_through", sa.Text(), nullable=True),
        sa.Column("enterprise_code", sa.Text(), nullable=True),
        sa.Column("joint_mechanism", sa.Text(), nullable=True),
        sa.Column("lists", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("risk_level BETWEEN 1 AND 4", name=op.f("ck_risk_records_risk_level")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_risk_records")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_risk_records_source_system_code")
        ),
        info={"layer": "risk-records"},
    )
    op.create_index(
        op.f("ix_risk_records_admin_code"), "risk_records", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_risk_records_geom", "risk_records", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_risk_records_geom_3857",
        "risk_records",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "road_edges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="LINESTRING",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="LINESTRING",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "length_m",
            sa.Double(),
            sa.Computed("ST_Length(geom::geography)", persisted=True),
            nullable=True,
        ),
        sa.Column("from_node", sa.BigInteger(), nullable=False),
        sa.Column("to_node", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("road_class", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("oneway", sa.Text(), server_default=sa.text("'both'"), nullable=False),
        sa.Column("maxspeed_kmh", sa.Double(), nullable=True),
        sa.Column("bridge", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("tunnel", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("level", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("motor", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("restricted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("foot", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint(
            "oneway IN ('both', 'forward', 'backward')", name=op.f("ck_road_edges_oneway")
        ),
        sa.CheckConstraint("maxspeed_kmh > 0", name=op.f("ck_road_edges_maxspeed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_road_edges")),
    )
    op.create_index(
        "ix_road_edges_geom", "road_edges", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_road_edges_geom_3857",
        "road_edges",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "road_profiles",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("uses_restricted", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("mode IN ('motor', 'foot')", name=op.f("ck_road_profiles_mode")),
        sa.PrimaryKeyConstraint("profile", name=op.f("pk_road_profiles")),
    )
    op.create_table(
        "shelters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("admin_grade", sa.Text(), nullable=True),
        sa.Column("duration_class", sa.Text(), nullable=True),
        sa.Column("space_type", sa.Text(), nullable=True),
        sa.Column("function_type", sa.Text(), nullable=True),
        sa.Column("legacy_class", sa.Text(), nullable=True),
        sa.Column("suitable_hazards", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("total_area_m2", sa.Double(), nullable=True),
        sa.Column("effective_area_m2", sa.Double(), nullable=True),
        sa.Column("per_capita_m2", sa.Double(), nullable=True),
        sa.Column("capacity_persons", sa.Integer(), nullable=True),
        sa.Column("capacity_source", sa.Text(), nullable=True),
        sa.Column("current_occupancy", sa.Integer(), nullable=True),
        sa.Column("open_status", sa.Text(), nullable=True),
        sa.Column("accessible", sa.Boolean(), nullable=True),
        sa.Column("facilities", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("service_radius_m", sa.Integer(), nullable=True),
        sa.Column("standard_compliant", sa.Boolean(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shelters")),
        sa.UniqueConstraint("source_system", "code", name=op.f("uq_shelters_source_system_code")),
        info={"layer": "shelters"},
    )
    op.create_index(op.f("ix_shelters_admin_code"), "shelters", ["admin_code"], unique=False)
    op.create_index("ix_shelters_geom", "shelters", ["geom"], unique=False, postgresql_using="gist")
    op.create_index(
        "ix_shelters_geom_3857", "shelters", ["geom_3857"], unique=False, postgresql_using="gist"
    )
    op.create_table(
        "supply_depots",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column(
            "geom_3857",
            Geometry(
                geometry_type="POINT",
                srid=3857,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            sa.Computed("ST_Transform(geom, 3857)", persisted=True),
            nullable=True,
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("depot_level", sa.Text(), nullable=True),
        sa.Column("reserve_type", sa.Text(), nullable=True),
        sa.Column("area_m2", sa.Double(), nullable=True),
        sa.Column("keeper", sa.Text(), nullable=True),
        sa.Column("open_24h", sa.Boolean(), nullable=True),
        sa.Column("admin_code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("responsible_person", sa.Text(), nullable=True),
        sa.Column("responsible_phone", sa.Text(), nullable=True),
        sa.Column("source_system", sa.Text(), server_default=sa.text("'local'"), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("source_crs", sa.Text(), nullable=True),
        sa.Column("raw_x", sa.Double(), nullable=True),
        sa.Column("raw_y", sa.Double(), nullable=True),
        sa.Column("position_accuracy_m", sa.Double(), nullable=True),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data_quality", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("stock", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply_depots")),
        sa.UniqueConstraint(
            "source_system", "code", name=op.f("uq_supply_depots_source_system_code")
        ),
        info={"layer": "supply-depots"},
    )
    op.create_index(
        op.f("ix_supply_depots_admin_code"), "supply_depots", ["admin_code"], unique=False
    )
    op.create_index(
        "ix_supply_depots_geom", "supply_depots", ["geom"], unique=False, postgresql_using="gist"
    )
    op.create_index(
        "ix_supply_depots_geom_3857",
        "supply_depots",
        ["geom_3857"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_table(
        "response_phases",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("call_handling_s", sa.Double(), nullable=False),
        sa.Column("turnout_s", sa.Double(), nullable=False),
        sa.Column("setup_s", sa.Double(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "call_handling_s >= 0 AND turnout_s >= 0 AND setup_s >= 0",
            name=op.f("ck_response_phases_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["profile"], ["road_profiles.profile"], name=op.f("fk_response_phases_profile")
        ),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_response_phases")),
    )
    op.create_table(
        "road_speeds",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("road_class", sa.Text(), nullable=False),
        sa.Column("speed_kmh", sa.Double(), nullable=False),
        sa.Column("maxspeed_factor", sa.Double(), nullable=True),
        sa.Column("against_oneway_factor", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "against_oneway_factor > 0", name=op.f("ck_road_speeds_against_oneway_factor")
        ),
        sa.CheckConstraint("maxspeed_factor > 0", name=op.f("ck_road_speeds_maxspeed_factor")),
        sa.CheckConstraint("speed_kmh > 0 AND speed_kmh <= 200", name=op.f("ck_road_speeds_speed")),
        sa.ForeignKeyConstraint(
            ["profile"], ["road_profiles.profile"], name=op.f("fk_road_speeds_profile")
        ),
        sa.PrimaryKeyConstraint("profile", "road_class", name=op.f("pk_road_speeds")),
    )


def downgrade() -> None:
    op.drop_table("road_speeds")
    op.drop_table("response_phases")
    op.drop_index("ix_supply_depots_geom_3857", table_name="supply_depots", postgresql_using="gist")
    op.drop_index("ix_supply_depots_geom", table_name="supply_depots", postgresql_using="gist")
    op.drop_index(op.f("ix_supply_depots_admin_code"), table_name="supply_depots")
    op.drop_table("supply_depots")
    op.drop_index("ix_shelters_geom_3857", table_name="shelters", postgresql_using="gist")
    op.drop_index("ix_shelters_geom", table_name="shelters", postgresql_using="gist")
    op.drop_index(op.f("ix_shelters_admin_code"), table_name="shelters")
    op.drop_table("shelters")
    op.drop_table("road_profiles")
    op.drop_index("ix_road_edges_geom_3857", table_name="road_edges", postgresql_using="gist")
    op.drop_index("ix_road_edges_geom", table_name="road_edges", postgresql_using="gist")
    op.drop_table("road_edges")
    op.drop_index("ix_risk_records_geom_3857", table_name="risk_records", postgresql_using="gist")
    op.drop_index("ix_risk_records_geom", table_name="risk_records", postgresql_using="gist")
    op.drop_index(op.f("ix_risk_records_admin_code"), table_name="risk_records")
    op.drop_table("risk_records")
    op.drop_index("ix_rescue_teams_geom_3857", table_name="rescue_teams", postgresql_using="gist")
    op.drop_index("ix_rescue_teams_geom", table_name="rescue_teams", postgresql_using="gist")
    op.drop_index(op.f("ix_rescue_teams_admin_code"), table_name="rescue_teams")
    op.drop_table("rescue_teams")
    op.drop_index(
        "ix_population_cells_geom_3857", table_name="population_cells", postgresql_using="gist"
    )
    op.drop_index(
        "ix_population_cells_geom", table_name="population_cells", postgresql_using="gist"
    )
    op.drop_index(op.f("ix_population_cells_admin_code"), table_name="population_cells")
    op.drop_table("population_cells")
    op.drop_index(
        "ix_major_hazard_sources_geom_3857",
        table_name="major_hazard_sources",
        postgresql_using="gist",
    )
    op.drop_index(
        "ix_major_hazard_sources_geom", table_name="major_hazard_sources", postgresql_using="gist"
    )
    op.drop_index(op.f("ix_major_hazard_sources_admin_code"), table_name="major_hazard_sources")
    op.drop_table("major_hazard_sources")
    op.drop_index("ix_history_layer_feature_id_version", table_name="history")
    op.drop_table("history")
    op.drop_index(
        "ix_geohazard_points_geom_3857", table_name="geohazard_points", postgresql_using="gist"
    )
    op.drop_index(
        "ix_geohazard_points_geom", table_name="geohazard_points", postgresql_using="gist"
    )
    op.drop_index(op.f("ix_geohazard_points_admin_code"), table_name="geohazard_points")
    op.drop_table("geohazard_points")
    op.drop_index(
        "ix_flood_impact_areas_geom_3857", table_name="flood_impact_areas", postgresql_using="gist"
    )
    op.drop_index(
        "ix_flood_impact_areas_geom", table_name="flood_impact_areas", postgresql_using="gist"
    )
    op.drop_index(op.f("ix_flood_impact_areas_admin_code"), table_name="flood_impact_areas")
    op.drop_table("flood_impact_areas")
    op.drop_index(
        "ix_flash_flood_zones_geom_3857", table_name="flash_flood_zones", postgresql_using="gist"
    )
    op.drop_index(
        "ix_flash_flood_zones_geom", table_name="flash_flood_zones", postgresql_using="gist"
    )
    op.drop_index(op.f("ix_flash_flood_zones_admin_code"), table_name="flash_flood_zones")
    op.drop_table("flash_flood_zones")
    op.drop_index("ix_feed_layer_revision", table_name="feed")
    op.drop_table("feed")
    op.drop_index("ix_fault_lines_geom_3857", table_name="fault_lines", postgresql_using="gist")
    op.drop_index("ix_fault_lines_geom", table_name="fault_lines", postgresql_using="gist")
    op.drop_index(op.f("ix_fault_lines_admin_code"), table_name="fault_lines")
    op.drop_table("fault_lines")
    op.drop_index("ix_enterprises_geom_3857", table_name="enterprises", postgresql_using="gist")
    op.drop_index("ix_enterprises_geom", table_name="enterprises", postgresql_using="gist")
    op.drop_index(op.f("ix_enterprises_admin_code"), table_name="enterprises")
    op.drop_table("enterprises")
    op.drop_table("city")
    op.drop_table("audit")
    op.drop_table("api_keys")
    op.drop_index(
        "ix_admin_divisions_geom_3857", table_name="admin_divisions", postgresql_using="gist"
    )
    op.drop_index("ix_admin_divisions_geom", table_name="admin_divisions", postgresql_using="gist")
    op.drop_index(op.f("ix_admin_divisions_admin_code"), table_name="admin_divisions")
    op.drop_table("admin_divisions")
