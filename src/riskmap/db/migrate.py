"""Migrations: from nothing to head, and clear words when a database does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from riskmap.db.sessions import API_ROLE, Database, shown
from riskmap.errors import SetupError

MIN_POSTGRES = 15
MIN_POSTGIS = (3, 3)


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a database stands: its revision (None: empty) and the code's head."""

    current: str | None
    head: str

    @property
    def ready(self) -> bool:
        """Whether the service can run on it."""
        return self.current == self.head


def scripts_folder() -> Path:
    """Return the folder of the migrations: inside an installed wheel, else beside `src`."""
    package = Path(__file__).resolve().parents[1]
    bundled = package / "_migrations"
    return bundled if bundled.is_dir() else package.parents[1] / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for an open connection."""
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.set_main_option("version_path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def code_head() -> str:
    """Return the revision that this code's tables stand at."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:
        raise SetupError("migrate.none", parameter=str(scripts_folder()))
    return head


def schema_state(connection: Connection) -> SchemaState:
    """Compare a database with the code.

    Raises
    ------
    SetupError
        The database was migrated by a newer riskmap than this one.
    """
    head = code_head()
    current = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(alembic_config())
    if current is not None and current not in {one.revision for one in scripts.walk_revisions()}:
        raise SetupError("migrate.newer", revision=current, head=head)
    return SchemaState(current, head)


def connect_owner(engine: Engine) -> Connection:
    """Open the owner's connection, or say in one sentence why it cannot be opened."""
    try:
        return engine.connect()
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()
        raise SetupError(
            "database.connect",
            parameter="RISKMAP_DATABASE_URL",
            url=shown(engine.url),
            reason=reason[0] if reason else "?",
        ) from error


def check_server(connection: Connection) -> None:
    """Refuse a server that is too old, or one without PostGIS that does not let us add it."""
    version = connection.execute(text("SHOW server_version_num")).scalar_one()
    if int(version) // 10000 < MIN_POSTGRES:
        raise SetupError("database.old", found=int(version) // 10000, need=MIN_POSTGRES)
    if (
        connection.execute(
            text(
                "SELECT pg_encoding_to_char(encoding) FROM pg_database"
                " WHERE datname = current_database()"
            )
        ).scalar_one()
        != "UTF8"
    ):
        raise SetupError("database.encoding")
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS postgis"))
    except DBAPIError as error:
        raise SetupError("database.postgis") from error
    found = connection.execute(text("SELECT postgis_lib_version()")).scalar_one()
    if tuple(int(part) for part in found.split(".")[:2]) < MIN_POSTGIS:
        raise SetupError("database.postgis_old", found=found, need="3.3")


def ensure_role(connection: Connection) -> None:
    """Make the API's role and be a member of it, or say what an administrator must run."""
    user = connection.execute(text("SELECT current_user")).scalar_one()
    try:
        with connection.begin_nested():
            # Roles belong to the whole server: somebody else's migration may be faster.
            connection.execute(
                text(
                    f"DO $$ BEGIN IF to_regrole('{API_ROLE}') IS NULL THEN"
                    f" CREATE ROLE {API_ROLE} NOLOGIN; END IF;"
                    " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
                )
            )
    except ProgrammingError as error:
        raise SetupError("database.role", role=API_ROLE, user=user) from error
    try:
        with connection.begin_nested():
            # From 16 on, whoever made a role is its member and still may not take it on.
            if not connection.execute(
                text(
                    "SELECT pg_has_role(current_user, :role, CASE WHEN"
                    " current_setting('server_version_num')::int >= 160000"
                    " THEN 'SET' ELSE 'MEMBER' END)"
                ),
                {"role": API_ROLE},
            ).scalar_one():
                connection.execute(text(f"GRANT {API_ROLE} TO CURRENT_USER"))
    except ProgrammingError as error:
        raise SetupError("database.membership", role=API_ROLE, user=user) from error


def migrate(database: Database) -> SchemaState:
    """Bring a database to the code's head, in one transaction.

    Raises
    ------
    SetupError
        It cannot be reached, is too old, has no PostGIS, lets us make no role, or is newer than
        this code. Nothing was changed.
    """
    with connect_owner(database.owner_engine) as connection, connection.begin():
        state = schema_state(connection)
        if not state.ready:
            # Two starts at once: the second waits here, then finds the work done.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('riskmap.migrate'))"))
            check_server(connection)
            ensure_role(connection)
            command.upgrade(alembic_config(connection), "head")
        return schema_state(connection)
