"""Alembic's environment: the tables come from the registry of layers."""

from __future__ import annotations

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlalchemy import Connection

from riskmap.catalog.registry import load_catalog
from riskmap.db import scenario_tables, tables  # noqa: F401 - the tables that are no layers
from riskmap.db.base import METADATA

load_catalog()


def include_object(obj, name, kind, reflected, compare_to):
    """Leave PostGIS's own tables alone."""
    return alembic_helpers.include_object(obj, name, kind, reflected, compare_to)


def run(connection: Connection) -> None:
    """Migrate on a given connection, in its transaction."""
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        include_object=include_object,
        render_item=alembic_helpers.render_item,
        compare_server_default=False,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("riskmap migrates by `riskmap migrate`, which opens the database itself")
run(connection)
