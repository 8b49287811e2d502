"""Opening the database for a command: an external one, or the private cluster, for its lifetime."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from riskmap.errors import SetupError, UnavailableError
from riskmap.i18n import LANGS, say

if TYPE_CHECKING:
    from riskmap.db.sessions import Actor, Database
    from riskmap.settings import Settings

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def tell(key: str, **values: object) -> None:
    """Print an entry of the catalogue, Chinese first, English beside it."""
    for lang in LANGS:
        out.print(say(key, lang, **values), markup=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is up, and with which settings. `settings` name it, for workers."""

    settings: Settings
    database: Database
    bin_folder: Path | None

    @property
    def actor(self) -> Actor:
        """Who runs this command, for the audit."""
        from riskmap.db.sessions import Actor

        return Actor(f"cli:{getpass.getuser()}")


@contextmanager
def _lost_connections_told() -> Iterator[None]:
    """Say a lost connection in one sentence wherever it is lost, the sessions' own cases aside."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from riskmap.db.sessions import unavailable

    try:
        yield
    except DBAPIError as error:
        raise unavailable(error) from error
    except psycopg.OperationalError as error:
        raise UnavailableError("database.away") from error


@contextmanager
def opened(*, migrated: bool = True) -> Iterator[Opened]:
    """Open the database of the environment's settings.

    Parameters
    ----------
    migrated
        Bring the private cluster's database to this code's schema; an external one must be at it
        already, since `riskmap migrate` there is its owner's decision.

    Raises
    ------
    SetupError
        Something about machine, settings or database is not ready; the message says what to do.
    """
    from riskmap.settings import load_settings

    settings = load_settings()
    with _lost_connections_told():
        yield from _opened(settings, migrated=migrated)


def _opened(settings: Settings, *, migrated: bool) -> Iterator[Opened]:
    from riskmap.db.cluster import DATABASE, Cluster
    from riskmap.db.migrate import connect_owner, migrate, schema_state
    from riskmap.db.sessions import Database

    if settings.database_url is not None:
        database = Database(settings.database_url, settings.api_database_url, settings)
        try:
            if migrated:
                with connect_owner(database.owner_engine) as connection:
                    state = schema_state(connection)
                if not state.ready:
                    raise SetupError("schema.not_ready", current=state.current, head=state.head)
            yield Opened(settings, database, settings.pg_bin)
        finally:
            database.dispose()
        return
    cluster = Cluster.locate(settings)
    for notice in cluster.notices:
        tell(notice.key, **notice.values)
    with cluster.running():
        cluster.ensure_database(DATABASE)
        owner, api = cluster.owner_url(DATABASE), cluster.api_url(DATABASE)
        named = settings.model_copy(
            update={
                "database_url": owner.render_as_string(hide_password=False),
                "api_database_url": api.render_as_string(hide_password=False),
            }
        )
        database = Database(owner, api, named)
        try:
            if migrated:
                migrate(database)
            yield Opened(named, database, cluster.programs.folder)
        finally:
            database.dispose()
